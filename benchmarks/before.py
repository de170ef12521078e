"""``python -m benchmarks.before FOLDER``: this checkout against an older one, in turns.

FOLDER is the other checkout. Each runs its own code, in a process of its own that stays, and is
asked for one figure at a time: first one, then the other, round after round. An older format can be
compared, as every checkout makes its own ledgers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.harness import Table
    from ledger import Ledger

HERE = Path(__file__).parents[1]
VERSIONS = 500
"""Of the title that is verified; one order can erase the texts of as many."""
LONG = 200
"""Versions of the titles that are appended to."""
ITEMS = 5
"""Appends that are timed at once."""
UNSEALED = 20_000
"""New titles that no seal has taken."""
SODIUM = "libsodium, signatures alone"
ONE, WITHHELD = "verify, jobs=1", "verify, jobs=1, texts withheld"
CLOCK_ONE, CLOCK_TWO = "verify, jobs=1, by the clock", "verify, jobs=2, by the clock"
APPEND, REFERENCE = "append, memory", "append with a reference, memory"
FOLDER, FOLDER_REFERENCE = "append, folder", "append with a reference, folder"
EMPTY, FULL = "first version, folder", f"first version beside {UNSEALED:,} unsealed titles"
ASKED, ASKED_REFERENCE = "requests of an append", "requests with a reference"
BYTES = "bytes of an entry of 2,048 bytes of document"


class Row(NamedTuple):
    """A row of the table: a figure, or how one compares with another in the same checkout."""

    figure: str
    than: str = ""
    """The speed of the figure is divided by that of this one."""
    at_least: float | None = None
    at_most: float | None = None
    """Of the figure after, by the figure before."""


ROWS = [
    Row(SODIUM),
    Row(ONE),
    Row(ONE, SODIUM, at_least=0.8),
    Row(WITHHELD, at_most=1.0),
    Row(CLOCK_TWO, CLOCK_ONE, at_least=1.7),
    Row(APPEND),
    Row(REFERENCE, at_most=1.0),
    Row(FOLDER),
    Row(FOLDER_REFERENCE),
    Row(EMPTY),
    Row(FULL, EMPTY, at_least=0.8),
    Row(BYTES, at_most=1.12),
]


# --- what a checkout measures of itself: nothing here may need what only one of them has ----------


def figures(scratch: Path) -> dict[str, Callable[[], object]]:
    """What can be asked for, by name; times are seconds for one item."""
    return verifying() | appending(scratch) | asking()


def timed(
    work: Callable[..., object],
    *arguments: object,
    items: int,
    clock: Callable[[], float] = time.process_time,
) -> Callable[[], float]:
    """Time some work, by the processor's time unless it waits, or uses both cores."""

    def run() -> float:
        start = clock()
        work(*arguments)
        return (clock() - start) / items

    return run


def verifying() -> dict[str, Callable[[], object]]:
    import nacl.bindings

    from benchmarks import worlds

    whole, withheld, title = worlds.memory(1, VERSIONS), worlds.memory(1, VERSIONS), worlds.title(0)
    if hasattr(withheld, "erase"):
        withheld.erase(title, range(1, VERSIONS), reference="R", message="")
    signed = [worlds.signature_of(entry).joined for entry in whole.log(title)]
    raw = worlds.KEY.public_key.raw

    def sodium() -> None:
        for each in signed:
            nacl.bindings.crypto_sign_open(each, raw)

    def verify(ledger: Ledger, jobs: int) -> None:
        assert ledger.verify(title, jobs=jobs)

    return {
        SODIUM: timed(sodium, items=VERSIONS),
        ONE: timed(verify, whole, 1, items=VERSIONS),
        CLOCK_ONE: timed(verify, whole, 1, items=VERSIONS, clock=time.perf_counter),
        CLOCK_TWO: timed(verify, whole, 2, items=VERSIONS, clock=time.perf_counter),
        WITHHELD: timed(verify, withheld, 1, items=VERSIONS),
        BYTES: lambda: len(whole.head(title).data),
    }


def appending(scratch: Path) -> dict[str, Callable[[], object]]:
    from benchmarks import worlds
    from ledger.stores import MemoryStore

    numbers = count(1_000_000)

    def later(ledger: Ledger, place: int, *, reference: bool) -> None:
        for _ in range(ITEMS):
            number = next(numbers)
            case = str(number) if reference else ""
            ledger.append(worlds.title(place), worlds.document(number), reference=case)

    def first(ledger: Ledger) -> None:
        for _ in range(ITEMS):
            number = next(numbers)
            ledger.append(worlds.title(number), {"n": number})

    memory = worlds.filled(MemoryStore(), 2, LONG)
    folder = worlds.open_ledger(str(worlds.folder(scratch / "long", 2, LONG)))
    empty, full = worlds.new_ledger(str(scratch / "empty")), _beside_unsealed(scratch / "full")
    plain, with_reference = partial(later, reference=False), partial(later, reference=True)
    return {
        APPEND: timed(plain, memory, 0, items=ITEMS),
        REFERENCE: timed(with_reference, memory, 1, items=ITEMS),
        FOLDER: timed(plain, folder, 0, items=ITEMS, clock=time.perf_counter),
        FOLDER_REFERENCE: timed(with_reference, folder, 1, items=ITEMS, clock=time.perf_counter),
        EMPTY: timed(first, empty, items=ITEMS, clock=time.perf_counter),
        FULL: timed(first, full, items=ITEMS, clock=time.perf_counter),
    }


def asking() -> dict[str, Callable[[], object]]:
    from benchmarks import worlds
    from ledger.stores import MemoryStore
    from tests.wrappers import CountingStore

    store = CountingStore(MemoryStore())
    ledger = worlds.filled(store, 1, LONG)
    requests = {"get": "GET", "list": "LIST", "create": "PUT", "replace": "PUT"}

    def ask(reference: str) -> str:
        work = partial(ledger.append, worlds.title(0), {"for": reference}, reference=reference)
        counts = Counter(requests[operation] for operation, _ in store.during(work))
        return ", ".join(f"{counts[name]} {name}" for name in ("GET", "LIST", "PUT"))

    return {ASKED: partial(ask, ""), ASKED_REFERENCE: partial(ask, "R")}


def _beside_unsealed(path: Path) -> Ledger:
    """A ledger in a folder that has the markers of many titles, and nothing else of them."""
    from benchmarks import worlds
    from ledger.format.layout import pending_key

    ledger = worlds.new_ledger(str(path))
    for number in range(UNSEALED):
        marker = path / pending_key(worlds.title(number), 1, f"{number:064x}")
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return ledger


def answer(scratch: Path) -> None:
    """Answer with a figure for each name on standard input, line by line."""
    found = figures(scratch)
    for line in sys.stdin:
        print(json.dumps(found[json.loads(line)]()), flush=True)


# --- who asks both -------------------------------------------------------------------------------


class Checkout:
    """A process with the code of a checkout."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, "--answer", str(scratch)],
            env=os.environ | {"PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, name: str) -> object:
        """The figure of this name."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(name) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def compare(other: Path, rounds: int) -> Table:
    """Ask both for every figure, in turns."""
    names = list(dict.fromkeys(name for row in ROWS for name in (row.than, row.figure) if name))
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        places = zip((other, HERE), folders, strict=True)
        both = [stack.enter_context(Checkout(*place)) for place in places]
        found: list[dict[str, list[float]]] = [{name: [] for name in names} for _ in both]
        for _ in range(rounds + 1):
            for name in names:
                for checkout, values in zip(both, found, strict=True):
                    told = checkout.ask(name)
                    assert isinstance(told, int | float)
                    values[name].append(told)
        for values in found:
            for each in values.values():
                each.pop(0)  # it warmed up
        asked = [(name, *(str(one.ask(name)) for one in both)) for name in (ASKED, ASKED_REFERENCE)]
    return table(found[0], found[1], asked)


def table(
    before: dict[str, list[float]], after: dict[str, list[float]], asked: Iterable[tuple[str, ...]]
) -> Table:
    from benchmarks.harness import Table

    rows = [cells(row, before, after) for row in ROWS]
    rows += [(*each, "", "", "") for each in asked]
    header = ("", "before", "after", "after / before", "target", "met")
    return Table("Before and after", header, rows)


def cells(
    row: Row, before: dict[str, list[float]], after: dict[str, list[float]]
) -> tuple[str, ...]:
    from benchmarks.harness import duration, number, verdict

    if row.than:
        ratios = [list(_ratios(values[row.than], values[row.figure])) for values in (before, after)]
        shown = [number(statistics.median(each)) for each in ratios]
        met = verdict(statistics.median(ratios[1]), row.at_least, None)
        name = f"speed of {row.figure} / {row.than}"
        return (name, *shown, "", f"≥ {row.at_least:g}", met)
    show = (lambda value: f"{value:,.0f}") if row.figure == BYTES else duration
    medians = [statistics.median(values[row.figure]) for values in (before, after)]
    ratio = statistics.median(_ratios(after[row.figure], before[row.figure]))
    target = "" if row.at_most is None else f"≤ {row.at_most:g}"
    met = verdict(ratio, None, row.at_most)
    return (row.figure, *map(show, medians), number(ratio), target, met)


def _ratios(ones: list[float], others: list[float]) -> Iterator[float]:
    return (one / other for one, other in zip(ones, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before", description=__doc__)
    parser.add_argument("folder", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=15, help="how often each figure is asked for")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.answer:
        answer(asked.folder)
    else:
        print(compare(asked.folder.resolve(), asked.rounds).markdown())


if __name__ == "__main__":
    main()
