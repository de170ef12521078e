"""An index of sales: what making it takes beside verifying alone, its size, memory and answers.

A title is a property and each of its two versions a sale, with the members of HM Land Registry's
price-paid data: its rows where the corpora are there (``LEDGER_CORPORA``), made-up ones elsewhere.
"""

from __future__ import annotations

import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import worlds
from benchmarks.harness import Table, duration, number
from benchmarks.measured import megabytes
from ledger.format.entry import Entry
from ledger.format.layout import entry_key, head_key
from ledger.index import Index
from ledger.local.parallel import cores
from ledger.local.processes import Processes
from ledger.testing import ORIGIN
from tests import corpora

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size

COLUMNS = ("price", "date", "postcode", "type", "new", "tenure", "number", "flat", "street")
MADE_UP = [
    ["", "105000", "2002-11-19 00:00", f"PO{n % 40} {n % 9}BU", "F", "N", "L", "", "", f"{n} ROAD"]
    for n in range(500)
]
DAYS = ("2012-06-01", "2022-06-01")
"""In between two sales, and after both."""

SEARCHES = 20
NEW = 100


@cache
def sales() -> list[dict[str, str]]:
    """Rows, as often as there are titles; none has its own street."""
    rows = []
    for path in corpora.files("price-paid/*_2025.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.reader(file))
    return [dict(zip(COLUMNS, row[1:], strict=False)) for row in rows or MADE_UP]


def sale(place: int, version: int) -> dict[str, Any]:
    """The sale of a property: at another price each time, and in a street of a few hundred."""
    found = sales()[place % len(sales())]
    return found | {"number": str(place), "price": place * 10 + version}


def write(path: Path, place: int) -> None:
    """Put the two sales of a property into a folder."""
    title_number, parent = worlds.title(place), None
    (path / title_number).mkdir()
    for version, year in enumerate(("2002", "2017"), 1):
        parent = Entry.sign(
            worlds.KEY,
            ledger=ORIGIN,
            title_number=title_number,
            document=sale(place, version),
            recorded_at=worlds.RECORDED_AT,
            effective_at=year,
            reference=f"SALE {place}/{version}",
            parent=parent,
            salt=random.Random(f"{place} {version}").randbytes(32),
        )
        (path / entry_key(title_number, parent.address)).write_bytes(parent.data)
    assert parent is not None
    (path / head_key(title_number)).write_bytes(parent.data)


def run(size: Size) -> Iterator[Table]:
    rows = []
    for titles in sorted({max(size.entries // 10, 1), size.entries}):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "titles"
            worlds.new_ledger(str(path)).close()
            with ProcessPoolExecutor(cores()) as pool:
                for _ in pool.map(partial(write, path), range(titles), chunksize=50):
                    pass
            found = [in_a_process(path, titles) for _ in range(size.rounds)]
        rows.append(row(titles, found))
    header = (
        *("titles", "verify alone", "make it", "of verifying", "its size", "an entry"),
        *("peak memory", f"update, {NEW} new", "search, as of a day"),
    )
    yield Table("An index of sales, two of each property", header, rows)


def row(titles: int, found: list[dict[str, float]]) -> tuple[str, ...]:
    median = {name: statistics.median(each[name] for each in found) for name in found[0]}
    ratio = statistics.median(each["made"] / each["verified"] for each in found)
    return (
        f"{titles:,}",
        f"{median['verified']:.1f} s",
        f"{median['made']:.1f} s",
        number(ratio),
        f"{median['bytes'] / 1e6:.0f} MB",
        f"{median['bytes'] / titles / 2:,.0f} B",
        f"{median['peak']:.0f} MB",
        duration(median["updated"]),
        duration(median["searched"]),
    )


def in_a_process(path: Path, titles: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.index", str(path), str(titles)]
    here = Path(__file__).parents[1]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=here)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(path: Path, titles: int) -> dict[str, float]:
    """Verify, make an index, add to it and ask it; the processes that verify are not counted."""
    ledger, found = worlds.open_ledger(str(path)), {}
    with tempfile.TemporaryDirectory() as scratch, Processes() as executor:
        file = Path(scratch) / "index.sqlite"
        worlds.check(ledger.verify_all(executor=executor), _entries(ledger, titles))
        start = time.perf_counter()
        ledger.verify_all(executor=executor)
        found["verified"] = time.perf_counter() - start
        with Index(ledger, file) as index:
            start = time.perf_counter()
            assert index.update(executor=executor)
            found["made"] = time.perf_counter() - start
            found["peak"] = megabytes()
            index.close()
            found["bytes"] = float(file.stat().st_size)
            changed = [worlds.title(place) for place in range(min(NEW, titles))]
            for title_number in changed:
                head = ledger.head(title_number)
                ledger.append(title_number, head.document, effective_at="2024")
            start = time.perf_counter()
            assert index.update(changed)
            found["updated"] = time.perf_counter() - start
            found["searched"] = statistics.median(searches(index))
    return found


def _entries(ledger: Any, titles: int) -> int:
    """How many there are, as an earlier round may have added some."""
    first = ledger.head(worlds.title(0)).version
    return titles * 2 + (first - 2) * min(NEW, titles)


def searches(index: Index) -> Iterator[float]:
    """The seconds that the first 100 titles of a street take, as of one day and another."""
    streets = sorted({each["street"] for each in sales()} - {""})
    for place in range(SEARCHES):
        street = streets[place * len(streets) // SEARCHES]
        start = time.perf_counter()
        list(index.find(street, effective=DAYS[place % 2], limit=100))
        yield time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
