"""The readers of foreign bytes, fed with noise; and the checks, loosened one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.tally import Tally, part
from tests.fuzz.__main__ import run_all
from tests.fuzz.readers import READERS
from tools.mutation.__main__ import chosen, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 5.0
"""For each reader; ``python -m tests.fuzz`` takes as long as is asked for."""

QUICK = (
    "format/keyring",
    "tlog/note",
    "tlog/checkpoint",
    "tlog/receipt",
    "tlog/leaf",
    "tlog/merkle",
)
"""Modules whose tests take a second; ``python -m tools.mutation`` does all, in hours."""


@part("fuzz cases")
def fuzz() -> Iterator[Tally]:
    tally = Tally("fuzz cases")
    for name, fed, wrong in run_all(READERS, SECONDS):
        tally.count += fed
        tally.check(not wrong, "unclear", f"{name}: {wrong[:500]}")
    yield tally


@part("mutants")
def mutants() -> Iterator[Tally]:
    """Statements, guards and operands left out: each is noticed by a test."""
    tally = Tally("mutants")
    for module in QUICK:
        count = run(module, chosen(module, 1, 1, "drop"))
        tally.count += count.tried
        for survivor in count.survivors:
            tally.check(not survivor.loosens, "unclear", str(survivor))
    yield tally
