"""What the transparency log costs: an entry sealed, a receipt, and the requests of both on S3.

Every seal that is timed is a process of its own, so that its peak of memory is its own, too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import worlds
from benchmarks.cost import PRICED_ON, PricedStore, Requests, money
from benchmarks.harness import Case, Table, duration, take_turns, times_table
from benchmarks.measured import MEMORY, Peak, megabytes
from ledger import Ledger, Log, check_entry
from ledger.format.layout import pending_key
from ledger.sealing.commit import Committed, Declared
from ledger.sealing.memory import MemoryFile
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.titles.history import History
from ledger.tlog import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size
    from ledger import Store

KEY = signer("log")
KEYRING = worlds.KEYRING.trust(ORIGIN, KEY.public_key, role="log")

LEAVES = 2**16 + 2**8 + 1
"""How large the log is whose requests are counted: as few as make three levels of tiles."""
MILLION = 1_000_000
SEALS_A_MONTH = 30 * 24 * 3600 // 5
"""One every five seconds."""


def run(size: Size) -> Iterator[Table]:
    from benchmarks.log_audit import auditing

    yield sealing(size)
    yield receipts(size)
    yield auditing(size)
    yield requests()


# -- Time and memory of sealing ------------------------------------------------------------------


class Backlog(NamedTuple):
    """Titles with a first version each that waits to be sealed, in a folder or in memory."""

    kind: str
    titles: int


def sealing(size: Size) -> Table:
    numbers = sorted({max(size.entries // part, 1) for part in (10, 1)})
    backlogs = [Backlog(kind, titles) for kind in (MEMORY, "folder") for titles in numbers]
    found = [[in_a_process(backlog) for backlog in backlogs] for _ in range(size.rounds)]
    rows = []
    for backlog, values in zip(backlogs, zip(*found, strict=True), strict=True):
        each = statistics.median(value.seconds for value in values)
        peak = statistics.median(value.megabytes for value in values)
        place = "in memory" if backlog.kind == MEMORY else "in a folder, warm"
        name = f"{backlog.titles:,} titles {place}"
        rows.append((name, duration(each), f"{1 / each:,.0f}", f"{peak:.0f} MB"))
    header = ("waiting", "median each", "a second", "peak memory")
    return Table("Sealing what waits, durably where it is on a disk", header, rows)


def in_a_process(backlog: Backlog) -> Peak:
    command = [sys.executable, "-m", "benchmarks.log", *map(str, backlog)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    return Peak(*json.loads(done.stdout))


def measure(backlog: Backlog, scratch: Path) -> Peak:
    """Seal all of it, in this process; a ledger in memory is made first, and is not counted."""
    made = 0.0
    if backlog.kind == MEMORY:
        made -= megabytes()
        ledger = open_ledger(worlds.filled(MemoryStore(), backlog.titles, 1).store)
        made += megabytes()
    else:
        ledger = open_ledger(str(worlds.folder(scratch / "titles", backlog.titles, 1)))
    begin(ledger, scratch)
    mark(ledger, backlog.titles)
    start = time.perf_counter()
    done = Log(ledger).seal(KEY, memory(scratch))
    seconds = (time.perf_counter() - start) / backlog.titles
    worlds.check(done.report, backlog.titles)
    assert done.leaves == backlog.titles
    return Peak(seconds, megabytes() - made)


def open_ledger(store: str | Store) -> Ledger:
    return Ledger.open(store, keyring=KEYRING, signer=worlds.KEY)


def memory(scratch: Path) -> Path:
    return scratch / "sealer.json"


def begin(ledger: Ledger, scratch: Path) -> None:
    """Begin the log; no marker speaks of any title yet."""
    assert Log(ledger).seal(KEY, memory(scratch), genesis=True).leaves == 0


def mark(ledger: Ledger, titles: int) -> None:
    """Leave the markers that appending would have left."""
    names = [worlds.title(number) for number in range(titles)]
    markers = [(pending_key(name, 1, ledger.head(name).address), b"") for name in names]
    ledger.store.create_many(markers)


# -- Receipts --------------------------------------------------------------------------------------


def receipts(size: Size) -> Table:
    """Of a title that was logged first, and again as the last one."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ledger = open_ledger(worlds.filled(MemoryStore(), size.entries, 1).store)
        begin(ledger, scratch)
        mark(ledger, size.entries)
        log = Log(ledger)
        log.seal(KEY, memory(scratch))
        entry = ledger.append(worlds.title(0), worlds.document(1))
        log.seal(KEY, memory(scratch))
    receipt = log.receipt(entry.title_number).encode()
    cases = [
        Case("Log.receipt, newest version", 1, lambda: log.receipt(entry.title_number)),
        Case(
            f"Log.receipt, {size.entries:,} leaves before the newest",
            1,
            lambda: log.receipt(entry.title_number, "v1"),
        ),
        Case("check_entry, offline", 1, lambda: check_entry(receipt, entry.data, keyring=KEYRING)),
    ]
    times = take_turns(cases, 10 * size.rounds)
    return times_table(f"Receipts from a log of {size.entries + 1:,} leaves in memory", times)


# -- Requests --------------------------------------------------------------------------------------


def requests() -> Table:
    idle, one, two = (requests_of_a_seal(titles) for titles in (0, 1, 2))
    each = two + one.times(-1)
    fixed = one + each.times(-1)
    rows = {
        "a seal of nothing": idle,
        "a month of them, one every 5 s": idle.times(SEALS_A_MONTH),
        "a title more in a seal": each,
    }
    for together in (1, 10, 1000):
        seals = MILLION / together
        total = fixed.times(seals) + each.times(MILLION)
        rows[f"a million entries, {together:,} in a seal"] = total
    rows["a receipt of a newest version"] = requests_of_a_receipt()
    title = (
        f"Sealing on S3, in a log of {LEAVES:,} leaves: requests,"
        f" and dollars by the list prices of {PRICED_ON}"
    )
    return Table(
        title,
        ("", "PUT", "GET", "LIST", "DELETE", "dollars"),
        [
            (what, *(f"{number:,.0f}" for number in found), money(found))
            for what, found in rows.items()
        ],
    )


def requests_of_a_seal(titles: int) -> Requests:
    """What a seal asks for where so many titles have a second version since they were logged."""
    with tempfile.TemporaryDirectory() as folder:
        store, ledger = large_log(Path(folder), titles)
        for number in range(titles):
            ledger.append(worlds.title(number), worlds.document(1))
        store.requests = Requests()
        assert Log(ledger).seal(KEY, memory(Path(folder))).leaves == titles
        return store.requests


def requests_of_a_receipt() -> Requests:
    """What the receipt of a title's newest version asks for."""
    with tempfile.TemporaryDirectory() as folder:
        store, ledger = large_log(Path(folder), 1)
        store.requests = Requests()
        Log(ledger).receipt(worlds.title(0))
        return store.requests


def large_log(scratch: Path, titles: int) -> tuple[PricedStore, Ledger]:
    """A log with the first versions of so many titles; all other leaves are made up."""
    store = PricedStore()
    worlds.new_ledger(store)
    ledger = open_ledger(store)
    made_up = [Leaf("MADEUP", version, f"{version:064x}") for version in range(1, LEAVES + 1)]
    history = History(store, ORIGIN, KEYRING)
    sealer = MemoryFile(memory(scratch))
    committed = Committed(history, [KEY], sealer, Declared(genesis=True), datetime.now(UTC))
    with sealer.locked():
        committed.settle()
        committed.append(made_up)
    for number in range(titles):
        ledger.append(worlds.title(number), worlds.document(0))
    Log(ledger).seal(KEY, memory(scratch))
    return store, ledger


if __name__ == "__main__":
    kind, number = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Backlog(kind, int(number)), Path(folder))))
