"""What an audit by the log costs beside verifying the chains: the first one, and the next.

Every measurement is a process of its own, so that its peak of memory is its own, too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import worlds
from benchmarks.harness import Table, duration
from benchmarks.log import KEY, begin, memory, open_ledger
from benchmarks.measured import megabytes
from ledger import Log
from ledger.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Size
    from ledger import Report


class Audited(NamedTuple):
    """What a process measured of itself; seconds are those of an entry."""

    verify: float
    first: float
    again: float
    megabytes: float
    """How much more memory there was at the peak than the ledger itself takes."""


def auditing(size: Size) -> Table:
    rows = []
    for entries in sorted({max(size.entries // part, worlds.VERSIONS) for part in (100, 10, 1)}):
        found = [in_a_process(entries) for _ in range(size.rounds)]
        verify, first, again, peak = (statistics.median(each) for each in zip(*found, strict=True))
        name = f"{entries:,} entries in titles of {worlds.VERSIONS}"
        ratio = f"{first / verify:.2f}"
        rows.append(
            (name, duration(verify), duration(first), ratio, duration(again), f"{peak:.0f} MB")
        )
    header = ("in memory, one job", "verify", "audit", "of verify", "audit again", "peak memory")
    return Table("Auditing by the log, each entry", header, rows)


def in_a_process(entries: int) -> Audited:
    command = [sys.executable, "-m", "benchmarks.log_audit", str(entries)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    return Audited(*json.loads(done.stdout))


def measure(entries: int, scratch: Path) -> Audited:
    store = worlds.filled(MemoryStore(), entries // worlds.VERSIONS, worlds.VERSIONS).store
    ledger = open_ledger(store)
    begin(ledger, scratch)
    Log(ledger).seal(KEY, memory(scratch), every_title=True)
    made = megabytes()
    state = scratch / "state"
    first = seconds(lambda: Log(ledger).audit(state=state, jobs=1).run(), entries)
    again = seconds(lambda: Log(ledger).audit(state=state, jobs=1).run(), entries)
    peak = megabytes() - made
    verify = seconds(lambda: ledger.verify_all(jobs=1), entries)
    return Audited(verify, first, again, peak)


def seconds(audit: Callable[[], Report], entries: int) -> float:
    start = time.perf_counter()
    report = audit()
    taken = time.perf_counter() - start
    assert report, report
    return taken / entries


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(int(sys.argv[1]), Path(folder))))
