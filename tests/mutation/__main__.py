"""The full run: ``python -m tests.mutation`` loosens every check in turn, and counts.

Words choose modules: ``python -m tests.mutation verify tlog/note``. All changes that loosen a check
are tried, and of the others one in ``--one-in``, drawn with ``--seed``. It prints what no test
noticed, and ends with 1 if anything loosens a check and is not known to change nothing.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.mutation.harmless import HARMLESS
from tests.mutation.mutants import Mutant, mutants, mutated
from tests.mutation.targets import TARGETS
from tests.mutation.trial import ROOT, survives

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Count(NamedTuple):
    """What came of the mutants of one module."""

    module: str
    tried: int
    harmless: int
    """Those that no test can notice, as ``HARMLESS`` explains."""
    survivors: tuple[Mutant, ...]


def chosen(module: str, source: str, one_in: int, seed: int, only: str) -> list[Mutant]:
    """All mutants that loosen a check, and some of the others."""
    draw = random.Random(f"{seed} {module}")
    found = [each for each in mutants(module, source) if each.change.startswith(only)]
    return [each for each in found if each.loosens or draw.random() * one_in < 1]


def run(module: str, one_in: int, seed: int, only: str) -> Count:
    """Try the mutants of one module."""
    source = (ROOT / "ledger" / f"{module}.py").read_text()
    tests = TARGETS[module]
    start = time.monotonic()
    if not survives(module, source, tests, 600):
        raise SystemExit(f"the tests of {module} fail without any change: {', '.join(tests)}")
    seconds = 10 + 5 * (time.monotonic() - start)
    tried, harmless, survivors = chosen(module, source, one_in, seed, only), 0, []
    for mutant in tried:
        if not survives(module, mutated(mutant, source), tests, seconds):
            continue
        if (mutant.module, mutant.text) in HARMLESS:
            harmless += 1
            continue
        survivors.append(mutant)
        print(mutant, flush=True)
    return Count(module, len(tried), harmless, tuple(survivors))


def table(counts: Sequence[Count]) -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield "| Module | Changed | Noticed | Harmless | Loosens, unnoticed | Other, unnoticed |"
    yield "|---|--:|--:|--:|--:|--:|"
    for module, tried, harmless, survivors in counts:
        loose = sum(each.loosens for each in survivors)
        cells = (tried, tried - harmless - len(survivors), harmless, loose, len(survivors) - loose)
        yield f"| {module} | " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--one-in", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a kind of change, or how it begins: drop")
    given = parser.parse_args()
    counts = []
    for module in given.modules or TARGETS:
        print(f"{module} …", file=sys.stderr, flush=True)
        counts.append(run(module, given.one_in, given.seed, given.only))
        print(*list(table(counts[-1:]))[2:], file=sys.stderr, flush=True)
    print(*table(counts), sep="\n")
    return 1 if any(each.loosens for count in counts for each in count.survivors) else 0


if __name__ == "__main__":
    sys.exit(main())
