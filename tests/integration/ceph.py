"""One node of Ceph, with its S3 gateway, on this machine: installed, started, stopped, removed.

It is Debian's Ceph in a folder of its own, and all it keeps is in memory. What it starts is one
group of processes, which ends as one, also where a test run is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TOOLS = ("apt-get", "bash", "chroot", "mount", "unshare")
INSTALLED = "usr/bin/radosgw"
PATIENCE = 300  # seconds for a cluster to come up; it takes 20, on a machine that does nothing else
INSIDE = 'mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"; exec chroot "$0" "$@"'


class CannotRunError(Exception):
    """Why there can be no Ceph on this machine."""


@dataclass(frozen=True)
class User:
    """Somebody who may call the gateway."""

    name: str
    access_key: str
    secret_key: str

    @property
    def credentials(self) -> dict[str, str]:
        """As the environment has them."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self, url: str) -> Any:
        """The client that a store of this user makes."""
        return client_of(url, **self.credentials)


@dataclass(frozen=True)
class Ceph:
    """A cluster that is up."""

    url: str
    folder: Path
    version: str
    owner: User = User("lab", "lab", "labsecret")

    def make_user(self, name: str) -> User:
        """Somebody new, who may do nothing yet in the buckets of others."""
        words = f"radosgw-admin -c /ceph/ceph.conf -n client.rgw.a user create --uid={name}"
        said = _inside(self.folder, *words.split(), f"--display-name={name}")
        key = json.loads(said)["keys"][0]
        return User(name, key["access_key"], key["secret_key"])


def check_machine() -> None:
    """Raise CannotRunError where Ceph can't be installed and run."""
    if os.geteuid() != 0:
        raise CannotRunError("to install and run Ceph, one has to be root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise CannotRunError(f"Ceph is installed as on Debian, which has {', '.join(missing)}")


def install(folder: Path) -> None:
    """Install Ceph in a folder, unless it is there; a minute, 1 GB."""
    if (folder / INSTALLED).exists():
        return
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as output:
        command = ["bash", str(HERE / "ceph_install.sh"), str(folder)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            timeout=600,
        )
    if done.returncode != 0 or not (folder / INSTALLED).exists():
        raise CannotRunError(f"Ceph could not be installed: {_end_of(log)}")


@contextmanager
def running(folder: Path, port: int) -> Iterator[Ceph]:
    """A cluster from an installed folder, on this port, until the block is left."""
    shutil.copy(HERE / "ceph_up.sh", folder)
    log = folder.with_name(f"{folder.name}.run.log")
    command = ["unshare", "--mount", "sh", "-c", INSIDE]
    with log.open("wb") as output:
        cluster = subprocess.Popen(
            [*command, str(folder), "bash", "/ceph_up.sh", str(port)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(cluster, url, log)
        yield Ceph(url, folder, _inside(folder, "radosgw", "--version").strip())
    finally:
        assert cluster.stdin is not None
        cluster.stdin.close()  # which also happens if this process is killed
        cluster.wait(60)


def _wait_until_it_answers(cluster: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and cluster.poll() is None:
        try:
            with urlopen(url, timeout=5) as answer:
                if b"ListAllMyBucketsResult" in answer.read():
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"Ceph did not start: {_end_of(log)}")


def _inside(folder: Path, *command: str) -> str:
    """What a command prints that runs in the folder."""
    words = ["unshare", "--mount", "sh", "-c", INSIDE, str(folder), *command]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=600).stdout


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
