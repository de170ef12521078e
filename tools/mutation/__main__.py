"""The full run: ``python -m tools.mutation`` loosens every check in turn, and counts.

Words choose modules: ``python -m tools.mutation verify tlog/note``. All changes that loosen a check
are tried, and of the others one in ``--one-in``, drawn with ``--seed``. It prints what no test
noticed, and ends with 1 if anything loosens a check and is not known to change nothing.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.mutation.harmless import HARMLESS
from tools.mutation.mutants import Mutant, mutants, mutated
from tools.mutation.targets import TARGETS
from tools.mutation.trial import ROOT, survives

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


class Count(NamedTuple):
    """What came of the mutants of one module."""

    module: str
    tried: int
    harmless: int
    """Those that no test can notice, as harmless.txt explains."""
    survivors: tuple[Mutant, ...]


def chosen(
    module: str, one_in: int, seed: int, only: str, again: Collection[str] = ()
) -> list[Mutant]:
    """All mutants that loosen a check, and some of the others; or those that are named."""
    draw = random.Random(f"{seed} {module}")
    found = [each for each in mutants(module, text_of(module)) if each.change.startswith(only)]
    if again:
        return [each for each in found if each.name in again]
    return [each for each in found if each.loosens or draw.random() * one_in < 1]


def text_of(module: str) -> str:
    """The module as it is."""
    return (ROOT / "ledger" / f"{module}.py").read_text()


def run(module: str, tried: Sequence[Mutant]) -> Count:
    """Try these mutants of one module."""
    source = text_of(module)
    tests = TARGETS[module]
    start = time.monotonic()
    if not survives(module, source, tests, 600):
        raise SystemExit(f"the tests of {module} fail without any change: {', '.join(tests)}")
    seconds = 10 + 5 * (time.monotonic() - start)
    harmless, survivors = 0, []
    for mutant in tried:
        if not survives(module, mutated(mutant, source), tests, seconds):
            continue
        if mutant.name in HARMLESS:
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
    parser = argparse.ArgumentParser(prog="python -m tools.mutation")
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--one-in", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a kind of change, or how it begins: drop")
    parser.add_argument("--again", metavar="FILE", help="those that an earlier run printed")
    given = parser.parse_args()
    lines = Path(given.again).read_text().splitlines() if given.again else []
    again = {re.sub(r"^\d+: ", "", line) for line in lines}
    counts = []
    for module in given.modules or TARGETS:
        tried = chosen(module, given.one_in, given.seed, given.only, again)
        if not tried:
            continue
        print(f"{module}: {len(tried)} …", file=sys.stderr, flush=True)
        counts.append(run(module, tried))
        print(*list(table(counts[-1:]))[2:], file=sys.stderr, flush=True)
    print(*table(counts), sep="\n")
    return 1 if any(each.loosens for count in counts for each in count.survivors) else 0


if __name__ == "__main__":
    sys.exit(main())
