"""Every system call fails: real commands under strace, which fails their n-th call, or kills them.

strace counts the calls of each thread by itself, so that in a batch the n-th of several may fail.
Opening and listing are narrowed to the ledger's folders: the interpreter opens hundreds of files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.cli.shell import PATIENCE
from tests.faults.commands import COMMANDS, check_code, check_repeated, check_state, make_shell
from tests.faults.tally import Tally, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

NAME = "system calls failed"
OPEN = "openat"
LISTING = "getdents64"
CALLS = (
    OPEN,
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "link,linkat",
    "rename,renameat,renameat2",
    "unlink,unlinkat",
    "mkdir,mkdirat",
    "flock",
    LISTING,
)
KILL = "signal=SIGKILL"
FAILURES = {
    "error=EIO": CALLS,
    "error=ENOSPC": (OPEN, "write", "fsync", "link,linkat", "mkdir,mkdirat"),
    "error=EROFS": (OPEN, "link,linkat", "rename,renameat,renameat2", "mkdir,mkdirat"),
    KILL: CALLS,
}


class Run(NamedTuple):
    """A command that strace did something to."""

    code: int
    out: bytes
    err: str
    injected: tuple[str, ...]
    """The calls that failed, as strace tells them."""


@cache
def missing() -> str:
    """Why strace can't be used here; empty where it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "needs strace"
    command = [strace, "-f", "-qq", "-o", os.devnull, "-e", "inject=rmdir:error=EIO", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return f"strace can't trace here: {done.stderr[:200]}" if done.returncode else ""


def traced(
    shell: Shell, line: str, call: str, failure: str, number: int, folders: tuple[str, ...]
) -> Run:
    """Run a command whose n-th (1 is the first) call of a kind fails in this way."""
    log = shell.folder.with_name(f"{shell.folder.name}.strace")
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={call}"]
    command += ["-e", f"inject={call}:{failure}:when={number}"]
    if failure != KILL:
        command.append("--seccomp-bpf")  # twice as fast; it swallows signals
    if call in {OPEN, LISTING}:
        for path in _opened(shell, folders):
            command += ["-P", str(path)]
    done = subprocess.run(
        [*command, *shell.command(line)],
        cwd=shell.folder,
        env=os.environ | shell.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10 * PATIENCE,
        check=False,
    )
    told = log.read_text(errors="replace").splitlines()
    injected = [each for each in told if "(INJECTED)" in each]
    killed = [each for each in told if "killed by SIGKILL" in each]
    return Run(done.returncode, done.stdout, done.stderr.decode(), tuple(injected + killed))


def _opened(shell: Shell, folders: tuple[str, ...]) -> Iterator[Path]:
    """The folders of the store, and the files of the sealer's memory."""
    yield from (shell.store / folder for folder in ("", *folders))
    for memory in shell.home.glob(".local/state/title-ledger/sealer-*.json"):
        yield from (memory.parent, memory, memory.with_name(f"{memory.name}.lock"))


def fail_one(made: Shell, place: Path, name: str, call: str, failure: str, number: int) -> Tally:
    """Let one call of a command fail; a tally of 0 where there are not so many."""
    tally, command = Tally(NAME), COMMANDS[name]
    where = f"{name}, {call} {number}, {failure}"
    shell = made.copied_to(place)
    run = traced(shell, command.line, call, failure, number, command.folders)
    if not run.injected:
        tally.check(run.code == 0, "unclear", f"{where}: untouched, and ended with {run.code}")
        return tally
    tally.count = 1
    on_output = any(f"write({fd}, " in each for each in run.injected for fd in (1, 2))
    if failure != KILL and not on_output:
        check_code(tally, where, run.code, run.err)
    check_state(tally, shell, command, where, out=run.out, err=run.err, code=run.code)
    check_repeated(tally, shell, command, where)
    shutil.rmtree(shell.folder)
    shutil.rmtree(shell.home)
    return tally


def fail_each(made: Shell, folder: Path, name: str, call: str, failure: str) -> Tally:
    """Let every call of a kind fail in its turn."""
    tally = Tally(NAME)
    for number in count(1):
        place = folder / f"{name}-{call}-{failure}-{number}".replace(",", "-")
        one = fail_one(made, place, name, call, failure, number)
        tally.add(one)
        if not one.count:
            return tally
    raise AssertionError("never untouched")


@part(NAME)
def every_call() -> Iterator[Tally]:
    total = Tally(NAME)
    if missing():
        total.name = f"{NAME}: not run, {missing()}"
        yield total
        return
    cases = [(n, c, failure) for n in COMMANDS for failure, cs in FAILURES.items() for c in cs]
    with tempfile.TemporaryDirectory(prefix="title-ledger-") as name:
        folder = Path(name)
        made = make_shell(folder / "made")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for tally in pool.map(lambda case: fail_each(made, folder, *case), cases):
                total.add(tally)
    yield total
