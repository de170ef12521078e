"""Writers that are killed at random moments, while others go on: what they printed, is there."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.shell import PATIENCE
from tests.faults.commands import make_shell, opened, said
from tests.faults.tally import Tally, chains, check_chains, check_verifies, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

NAME = "processes killed"
REPOSITORY = Path(__file__).parents[2]
TITLES = 5

# Told to begin by a line, it appends without end, and prints what is acknowledged, as the command.
WRITER = """
import sys
from ledger import Keyring, Ledger, load_key
store, keyring, key, name, titles = sys.argv[1:]
ledger = Ledger.open(
    store, keyring=Keyring.decode(open(keyring, "rb").read()), signer=load_key(key)
)
print("ready", flush=True)
sys.stdin.readline()
for number in range(1_000_000):
    title = f"T{number % int(titles)}"
    mark = f"{name}.{number}"
    entry = ledger.append(title, {"n": mark}, reference=mark)
    print(f"{title} version {entry.version} is {entry.address}", flush=True)
"""


def kill_writers(shell: Shell, name: str, choose: random.Random, writers: int = 2) -> list[bytes]:
    """Let writers append to the same titles, and kill each at its own moment; what they said."""
    words = [str(shell.store), str(shell.config / "keyring.json"), str(shell.config / "key.pem")]
    processes = [
        _popen(shell, [sys.executable, "-c", WRITER, *words, f"{name}.{number}", str(TITLES)])
        for number in range(writers)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    first, *others = processes
    assert first.stdout is not None
    acknowledged = first.stdout.readline()  # on a busy machine that may take a while
    return [
        acknowledged + _killed(first, choose.uniform(0, 0.15)),
        *(_killed(process, choose.uniform(0, 0.15)) for process in others),
    ]


def kill_batch(shell: Shell, name: str, choose: random.Random) -> bytes:
    """Kill a batch at a random moment, from before it began to after it ended; what it said."""
    lines = [json.dumps({"title_number": f"T{n % 7}", "n": f"{name}.{n}"}) for n in range(60)]
    (shell.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    process = _popen(shell, shell.command(f"append --batch {name}.jsonl"))
    return _killed(process, choose.uniform(0.1, 0.9))


def _popen(shell: Shell, command: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | shell.environment | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command,
        cwd=shell.folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _killed(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Kill a process after a while, and return all that it printed."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        timer.cancel()
        process.kill()
    return out


def check(tally: Tally, shell: Shell, outs: list[bytes], where: str) -> None:
    """Everything that was printed is in its place, nothing is there twice, all of it verifies."""
    ledger = opened(shell)
    addresses = {t: [e.address for e in ledger.log(t)][::-1] for t in chains(ledger)}
    for title, version, address in (each for out in outs for each in said(out)):
        there = addresses.get(title, [])[version - 1 : version]
        tally.check(there == [address], "lost", f"{where}: {title} version {version}")
    check_chains(tally, chains(ledger), lambda _title, _numbers: True, {}, where)
    check_verifies(tally, ledger, where)


def kill_loop(shell: Shell, cycles: int, seed: int) -> Tally:
    """Kill two writers and a batch, again and again, over the same ledger."""
    tally, choose = Tally(NAME), random.Random(seed)
    outs: list[bytes] = []
    acknowledged = 0
    for cycle in range(cycles):
        outs += kill_writers(shell, f"w{cycle}", choose)
        outs.append(kill_batch(shell, f"b{cycle}", choose))
        tally.count += 3
        if cycle % 10 == 9 or cycle == cycles - 1:
            check(tally, shell, outs, f"seed {seed}, cycle {cycle}")
            _give_again(tally, shell, f"b{cycle}", f"seed {seed}, cycle {cycle}")
            acknowledged += sum(len(said(out)) for out in outs)
            outs = []
            _begin_anew(shell)
    tally.check(acknowledged, "unclear", "nobody was killed after an acknowledgement")
    return tally


def _give_again(tally: Tally, shell: Shell, name: str, where: str) -> None:
    """The batch that was killed, once more: every line is there once."""
    with_ = shell(f"append --batch {name}.jsonl", code=None)
    tally.check(with_.code == 0, "unclear", f"{where}: given again: {with_.err}")
    found = chains(opened(shell))
    marks = sorted(str(n) for ns in found.values() for n in ns if str(n).startswith(f"{name}."))
    tally.check(len(marks) == 60, "lost", f"{where}: {len(marks)} of 60 lines")
    tally.check(len(set(marks)) == len(marks), "doubled", f"{where}: {marks}")


def _begin_anew(shell: Shell) -> None:
    """Chains that grow for hundreds of cycles take longer and longer to check."""
    names = (
        path for where in ("_pending", "_references") for path in shell.store.glob(f"{where}/*")
    )
    for path in (*shell.store.glob("T*"), *names):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@part(NAME)
def many_kills(cycles: int = 100) -> Iterator[Tally]:
    with tempfile.TemporaryDirectory(prefix="title-ledger-") as name:
        shell = make_shell(Path(name) / "work")
        yield kill_loop(shell, cycles, random.SystemRandom().randrange(1 << 32))
