"""What was broken, and what came of it: rows of the table that ``python -m tests.faults`` prints.

A part of the full run is a function that yields tallies, registered with ``@part`` in a module that
``MODULES`` names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ledger import Ledger

    Part = Callable[[], Iterable["Tally"]]

MODULES = (
    "tests.faults.operations",
    "tests.faults.twice",
    "tests.faults.calls",
    "tests.faults.kills",
    "tests.faults.disks",
    "tests.faults.machines",
    "tests.faults.races",
    "tests.faults.requests",
    "tests.faults.power",
    "tests.faults.readers",
)
PARTS: dict[str, Part] = {}

HARMLESS = {
    "dangling-entry",
    "dangling-reference",
    "unfinished-append",
    "time-in-future",
    "unpublished",
}
"""What an interrupted writer may leave behind."""


@dataclass
class Tally:
    """One row: how often something was broken, and how often a promise was with it."""

    name: str
    count: int = 0
    lost: int = 0
    """Entries that were acknowledged, or there before, and are not in their chain."""
    doubled: int = 0
    """Entries that are in a chain twice."""
    torn: int = 0
    """States that are neither the old nor the new one, or don't verify."""
    unclear: int = 0
    """Errors that don't say what happened, or say what didn't; repeats that failed."""
    problems: list[str] = field(default_factory=list)

    @property
    def broken(self) -> int:
        return self.lost + self.doubled + self.torn + self.unclear

    def note(self, kind: str, what: str) -> None:
        """Count a broken promise of a kind, which is the name of a column."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.problems.append(f"{self.name}: {kind}: {what}")

    def check(self, holds: object, kind: str, what: str) -> None:
        if not holds:
            self.note(kind, what)

    def add(self, other: Tally) -> None:
        """Add what another tally of the same name has."""
        for name in ("count", "lost", "doubled", "torn", "unclear"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems

    def assert_sound(self, at_least: int = 1) -> None:
        """For a test: something was broken, and no promise was."""
        assert not self.broken, "\n".join(self.problems[:20])
        assert self.count >= at_least, f"{self.name}: only {self.count}"


def part(name: str) -> Callable[[Part], Part]:
    """Register a part of the full run."""

    def register(run: Part) -> Part:
        PARTS[name] = run
        return run

    return register


def all_parts() -> dict[str, Part]:
    """Every part there is, in the order of the modules."""
    for module in MODULES:
        import_module(module)
    return PARTS


def run_part(name: str) -> list[Tally]:
    """One part of the full run, whole."""
    return list(all_parts()[name]())


# --- What must be true of a ledger, whatever was done to it ---------------------------------------

Chains = dict[str, list[object]]


def chains(ledger: Ledger) -> Chains:
    """The documents' ``n`` of every title that has a head, oldest first, or why there are none."""
    return {
        title: _chain(ledger, title)
        for title in ledger.titles()
        if ledger.store.get(f"{title}/head.json") is not None
    }


def _chain(ledger: Ledger, title: str) -> list[object]:
    try:
        return [entry.document.get("n") for entry in ledger.log(title)][::-1]
    except LedgerError as error:
        return [str(error)]


def check_chains(
    tally: Tally,
    found: Chains,
    allowed: Callable[[str, list[object]], bool],
    acknowledged: Mapping[str, Sequence[object]],
    where: str,
) -> None:
    """Nothing acknowledged is lost, nothing is there twice, and every chain is an allowed one."""
    for title, numbers in acknowledged.items():
        missing = set(numbers) - set(found.get(title, ()))
        tally.check(not missing, "lost", f"{where}: {title} lacks {sorted(map(str, missing))}")
    for title, numbers in found.items():
        twice = [n for n, times in Counter(numbers).items() if times > 1]
        tally.check(not twice, "doubled", f"{where}: {title} has {twice} twice")
        tally.check(allowed(title, numbers), "torn", f"{where}: {title} is {numbers}")


def check_verifies(
    tally: Tally, ledger: Ledger, where: str, *, harmless: Iterable[str] = ()
) -> None:
    """Every object of the ledger verifies, but for what an interruption may leave."""
    report = ledger.fsck()
    # Most works have no log, though the keyring has a key of it: that is unchecked, and a ledger
    # that has no title yet could as well have been emptied. What it should have, others look at.
    not_begun = {("log-missing", "unchecked"), ("nothing-there", "unchecked")}
    bad = [
        f
        for f in report.findings
        if f.slug not in HARMLESS | set(harmless) and (f.slug, f.severity) not in not_begun
    ]
    tally.check(not bad, "torn", f"{where}: {[f.message for f in bad]}")


def is_prefix(short: Sequence[object], long: Sequence[object]) -> bool:
    return list(short) == list(long[: len(short)])


def table(tallies: Iterable[Tally]) -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield "| Broken on purpose | Count | Lost | Doubled | Torn | Unclear |"
    yield "|---|--:|--:|--:|--:|--:|"
    yield from map(row, tallies)


def row(tally: Tally) -> str:
    """A line of the table."""
    broken = (tally.lost, tally.doubled, tally.torn, tally.unclear)
    return f"| {' | '.join((tally.name, f'{tally.count:,}', *map(str, broken)))} |"
