"""Each file that a command writes reaches the disk in order: bytes, then name, then the folder."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import ORIGIN, PATIENCE, TITLE, Shell
from tests.faults.calls import missing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

FORCED = re.compile(r"(?:fsync|fdatasync)\(\d+<(.+?)>\) = 0$")
NAMED = re.compile(
    r"(?:linkat|renameat2?)\(\d+<(.+?)>, \"(.+?)\", \d+<(.+?)>, \"(.+?)\"(?:, \w+)?\) = 0$"
)
CALLS = "fsync,fdatasync,link,linkat,rename,renameat,renameat2"

COMMANDS = {
    "export": ("export backup.bundle", ["{folder}/backup.bundle"]),
    "key generate": ("key generate --key mine.pem", ["{folder}/mine.pem"]),
    "key generate --for witness": (
        "key generate --for witness --name city.example/w --key city.pem",
        ["{folder}/city.pem", "{folder}/city.vkey"],
    ),
    "init": (
        f"init another --origin {ORIGIN}/2",
        ["{config}/key.pem", "{config}/keyring.json", "{config}/stores.json"],
    ),
    "key untrust": ("key untrust {key}", ["{config}/keyring.json"]),
    "seal": ("seal --genesis --memory memory.json", ["{folder}/memory.json"]),
    "verify --report": ("verify --report report.json", ["{folder}/report.json"]),
    "verify --state": ("verify --state state", ["{folder}/state"]),
    "append": (f"append {TITLE} --set a=b", ["{store}/" + TITLE + "/head.json"]),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell.make(tmp_path_factory.mktemp("order") / "made")
    shell(f"init --origin {ORIGIN} -q")
    shell(f"append {TITLE} --new --set n:=1 -q")
    shell("key generate --for log -q")
    return shell


def calls(shell: Shell, line: str) -> list[str]:
    """The calls of a command that force something to the disk or name it, in order."""
    log = shell.folder.with_name("strace")
    command = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", f"trace={CALLS}"]
    done = subprocess.run(
        [*command, *shell.command(line)],
        cwd=shell.folder,
        env=os.environ | shell.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [each.split(None, 1)[1] for each in log.read_text().splitlines()]


def assert_forced_in_order(made: list[str], path: str) -> None:
    forced = [(n, match[1]) for n, each in enumerate(made) if (match := FORCED.search(each))]
    named = [
        (n, f"{match[1]}/{match[2]}", match[3])
        for n, each in enumerate(made)
        if (match := NAMED.search(each)) and f"{match[3]}/{match[4]}" == path
    ]
    assert named, f"{path} was never named: {made}"
    for number, temporary, folder in named:
        before = [n for n, what in forced if what == temporary and n < number]
        after = [n for n, what in forced if what == folder and n > number]
        assert before, f"{path} has its name before its bytes are on the disk: {made}"
        assert after, f"the name of {path} is not forced to the disk: {made}"


@pytest.mark.parametrize("command", COMMANDS)
def test_bytes_then_name_then_folder(made: Shell, tmp_path: Path, command: str) -> None:
    shell = made.copied_to(tmp_path.resolve() / "work")
    line, files = COMMANDS[command]
    [own] = [trusted for trusted in shell.keyring() if trusted.role == "registrar"]
    if command == "init":
        (shell.config / "key.pem").unlink()
    found = calls(shell, line.format(key=own.key.key_id))
    places = {"folder": shell.folder, "config": shell.config, "store": shell.store}
    for file in files:
        assert_forced_in_order(found, file.format(**places))


@pytest.mark.parametrize("left_out", ["bytes", "name"])
def test_what_is_not_forced_is_noticed(left_out: str) -> None:
    bytes_, name = "fsync(4</a/.tmp-1>) = 0", "fsync(3</a>) = 0"
    linked = 'linkat(3</a>, ".tmp-1", 3</a>, "file", 0) = 0'
    assert_forced_in_order([bytes_, linked, name], "/a/file")
    rest = [linked, name] if left_out == "bytes" else [name, bytes_, linked]
    with pytest.raises(AssertionError, match="disk"):
        assert_forced_in_order(rest, "/a/file")
