"""Whether new titles cost more where many are unsealed already."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import worlds
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table
    from ledger import Ledger

CHUNK = 100
FIRST = "the first titles"


def run(size: Size) -> Iterator[Table]:
    """Load so many titles into a folder, then some more in turns with a folder that is empty."""
    last = f"titles after {size.entries:,}"
    numbers = count()

    def load(ledger: Ledger, titles: int) -> None:
        for _ in range(titles):
            number = next(numbers)
            ledger.append(worlds.title(number), {"n": number})

    with tempfile.TemporaryDirectory() as scratch:
        empty, full = (worlds.new_ledger(str(Path(scratch) / name)) for name in ("empty", "full"))
        load(full, size.entries)
        cases = [
            Case(FIRST, CHUNK, lambda: load(empty, CHUNK)),
            Case(last, CHUNK, lambda: load(full, CHUNK)),
        ]
        times = take_turns(cases, size.rounds)
    yield times_table("First versions, into a folder, with nothing sealed", times)
    yield claims_table("The last against the first", times, [Claim(last, FIRST, 0.8)])
