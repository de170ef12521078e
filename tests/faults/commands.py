"""Command lines that something is done to while they run, and what must be true afterwards."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING

from ledger import Ledger
from ledger.log import Log
from tests.cli.shell import ORIGIN, Shell
from tests.faults.tally import Chains, Tally, chains, check_chains, check_verifies, is_prefix

if TYPE_CHECKING:
    from pathlib import Path

BEFORE: Chains = {"A": [1, 2]}
SAID = re.compile(r"^(?:part \d+ of \d+: )?(\S+) version (\d+) is ([0-9a-f]{64})", re.MULTILINE)
NOTHING_WRITTEN = 13
KNOWN_CODES = {0, 3, 11, 13, 15, 16, 20, 74}
"""Of a command that was right, on a disk that fails; never 70, which is a defect."""
ONE_AT_A_TIME = Lock()  # a command that runs in this process has its folder and environment


@dataclass(frozen=True)
class Command:
    """A command line that can be given again."""

    line: str
    after: Chains
    """What the ledger has, once it is done."""
    seals: bool = False
    folders: tuple[str, ...] = field(default=("A", "B", "C", "_pending"))
    """Those of the store in which it opens files."""


COMMANDS = {
    "append": Command("append A --set n:=3 --reference case-3", {"A": [1, 2, 3]}),
    "append of a first version": Command(
        "append B --new --set n:=1 --reference case-1", {"A": [1, 2], "B": [1]}
    ),
    "batch": Command("append --batch deeds.jsonl", {"A": [1, 2, 3, 4], "B": [1, 2], "C": [1]}),
    "register": Command(
        "register parts.jsonl --reference case-7",
        {"A": [1, 2, 3], "B": [1], "C": [1]},
        folders=("A", "B", "C", "_pending", "_references"),
    ),
    "import": Command("import more.bundle", {"A": [1, 2, 3], "B": [1]}),
    "pack": Command("pack", BEFORE, folders=("A", "_packs", "_pending")),
    "seal": Command(
        "seal",
        {"A": [1, 2]},
        seals=True,
        folders=(
            "A",
            "_pending",
            "_log",
            "_log/sealed",
            "_log/staging",
            "_log/tile",
            "_log/tile/0",
        ),
    ),
}


def make_shell(folder: Path) -> Shell:
    """A ledger of two versions, one of them sealed, and files for the commands."""
    shell = Shell.make(folder)
    shell(f"init --origin {ORIGIN} -q")
    shell("append A --new --set n:=1 -q")
    shell("key generate --for log -q")
    shell("seal --genesis -q")
    shell("append A --set n:=2 -q")
    more = shell.copied_to(folder.with_name(f"{folder.name} and more"))
    more("append A --set n:=3 -q")
    more("append B --new --set n:=1 -q")
    more("export more.bundle -q")
    shutil.copy(more.folder / "more.bundle", shell.folder)
    deeds = [("A", 3), ("B", 1), ("A", 4), ("C", 1), ("B", 2)]
    lines = [json.dumps({"title_number": title, "n": n}) for title, n in deeds]
    (shell.folder / "deeds.jsonl").write_text("\n".join(lines) + "\n")
    parts = [json.dumps({"title_number": title, "n": n}) for title, n in deeds[:2]]
    parts.append(json.dumps({"title_number": "C", "n": 1}))
    (shell.folder / "parts.jsonl").write_text("\n".join(parts) + "\n")
    return shell


def opened(shell: Shell) -> Ledger:
    return Ledger.open(str(shell.store), keyring=shell.keyring())


def said(out: bytes) -> list[tuple[str, int, str]]:
    """What was acknowledged: title, version and address, of every line that came out whole."""
    whole = out[: out.rfind(b"\n") + 1].decode()
    return [(title, int(version), address) for title, version, address in SAID.findall(whole)]


def denied(shell: Shell, command: Command, err: str, code: int) -> list[tuple[str, object]]:
    """What was said not to be appended: title and number. Of a batch, each line has its answer."""
    new = [(t, n) for t, ns in command.after.items() for n in ns if n not in BEFORE.get(t, [])]
    failed = re.findall(r"line (\d+): (nothing was appended)?", err)
    if failed:
        # The exit code is that of the first line that failed.
        lines = [int(line) for line, said_no in failed if said_no]
        lines += [int(failed[0][0])] if code == NOTHING_WRITTEN else []
        deeds = [
            json.loads(each) for each in (shell.folder / "deeds.jsonl").read_text().splitlines()
        ]
        return [(deeds[n - 1]["title_number"], deeds[n - 1]["n"]) for n in lines]
    titles = re.findall(r"nothing was appended to (\S+):", err)
    # Of a batch whose words were lost on the way, no line said it.
    one = command.line.startswith("append ") and "--batch" not in command.line
    everything = one and code == NOTHING_WRITTEN
    return [(title, number) for title, number in new if everything or title in titles]


def check_code(tally: Tally, where: str, code: int, err: str) -> None:
    """An exit code that the documentation has, and words for it."""
    tally.check(code in KNOWN_CODES, "unclear", f"{where}: exit code {code}: {err[-500:]}")
    words = code in {0, 3} or "ledger: error: " in err
    tally.check(words, "unclear", f"{where}: exit code {code} without a word: {err!r}")


def check_state(
    tally: Tally,
    shell: Shell,
    command: Command,
    where: str,
    *,
    out: bytes = b"",
    err: str = "",
    code: int = 0,
) -> None:
    """The ledger is as it was, or on its way, and has all that was acknowledged."""
    ledger = opened(shell)
    found = chains(ledger)
    done = command.after if code == 0 else BEFORE
    check_chains(tally, found, lambda title, ns: _on_the_way(command, title, ns), done, where)
    for title, version, address in said(out):
        there = [e.address for e in ledger.log(title)][::-1] if title in found else []
        tally.check(
            there[version - 1 : version] == [address], "lost", f"{where}: {title} {version}"
        )
    for title, number in denied(shell, command, err, code):
        true = number not in found.get(title, [])
        tally.check(true, "unclear", f"{where}: said that nothing was written: {found}: {err}")
    cut_off = {"set-back", "head-missing", "log-missing"}
    harmless = cut_off if command.line.startswith("import") else ()
    check_verifies(tally, ledger, where, harmless=harmless)


def _on_the_way(command: Command, title: str, numbers: list[object]) -> bool:
    done = command.after.get(title, [])
    return is_prefix(numbers, done) and is_prefix(BEFORE.get(title, []), numbers)


def check_repeated(tally: Tally, shell: Shell, command: Command, where: str) -> None:
    """Given again, the command does what it was to do, once."""
    if current_thread() is main_thread():
        done = shell(command.line, code=None)
    else:
        done = shell.bash(f"ledger {command.line}")
    problem = f"{where}: given again: exit code {done.code}: {done.err}"
    tally.check(done.code == 0, "unclear", problem)
    ledger = opened(shell)
    found = chains(ledger)
    check_chains(tally, found, lambda t, ns: ns == command.after.get(t), command.after, where)
    check_verifies(tally, ledger, f"{where}, given again")
    if command.seals:
        size = Log(ledger).checkpoint().checkpoint.size
        tally.check(size == 2, "torn", f"{where}: {size} leaves in the log")
