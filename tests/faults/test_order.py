"""Each file that a command writes reaches the disk in order: bytes, then name, then the folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import ORIGIN, PATIENCE, TITLE, Shell
from tests.faults.calls import missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

REPOSITORY = Path(__file__).parents[2]
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


IN_TURN = """
import json, sys
from pathlib import Path
from tests.cli.shell import Shell
for folder, line in json.load(sys.stdin):
    Shell.make(Path(folder))(line)
"""


@pytest.fixture(scope="module")
def shells(tmp_path_factory: pytest.TempPathFactory, made: Shell) -> dict[str, Shell]:
    """A shell for each command: what it writes tells its calls from those of the others."""
    place = tmp_path_factory.mktemp("order").resolve()
    found = {name: made.copied_to(place / f"{n}") for n, name in enumerate(COMMANDS)}
    (found["init"].config / "key.pem").unlink()
    return found


@pytest.fixture(scope="module")
def calls(made: Shell, shells: dict[str, Shell]) -> list[str]:
    """The calls of all commands that force something to the disk or name it, in order."""
    log = made.folder.with_name("strace")
    command = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", f"trace={CALLS}"]
    [own] = [trusted for trusted in made.keyring() if trusted.role == "registrar"]
    lines = [
        (str(shell.folder), COMMANDS[name][0].format(key=own.key.key_id))
        for name, shell in shells.items()
    ]
    done = subprocess.run(
        [*command, sys.executable, "-c", IN_TURN],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(lines).encode(),
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
def test_bytes_then_name_then_folder(
    shells: dict[str, Shell], calls: list[str], command: str
) -> None:
    shell = shells[command]
    places = {"folder": shell.folder, "config": shell.config, "store": shell.store}
    for file in COMMANDS[command][1]:
        assert_forced_in_order(calls, file.format(**places))


@pytest.mark.parametrize("left_out", ["bytes", "name"])
def test_what_is_not_forced_is_noticed(left_out: str) -> None:
    bytes_, name = "fsync(4</a/.tmp-1>) = 0", "fsync(3</a>) = 0"
    linked = 'linkat(3</a>, ".tmp-1", 3</a>, "file", 0) = 0'
    assert_forced_in_order([bytes_, linked, name], "/a/file")
    rest = [linked, name] if left_out == "bytes" else [name, bytes_, linked]
    with pytest.raises(AssertionError, match="disk"):
        assert_forced_in_order(rest, "/a/file")
