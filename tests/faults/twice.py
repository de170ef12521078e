"""A failure, and then another one of the repeat: wherever the first was, and the second.

Who gets no answer asks again, and may get none again.
"""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from ledger.errors import LedgerError, StoreError
from ledger.format.layout import parse_entry_key
from ledger.stores import MemoryStore
from tests.faults.operations import run
from tests.faults.said import check_said, decisive
from tests.faults.stores import (
    CONFLICT,
    CRASH_AFTER,
    CUT,
    FAST,
    NOT_DURABLE,
    REFUSED,
    UNKNOWN_AND_DONE,
    UNKNOWN_AND_NOT_DONE,
)
from tests.faults.tally import Tally, chains, part
from tests.faults.works import Append, AppendMany, Import, Recover, Seal, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stores import Fault, FaultyStore
    from tests.faults.works import Work

NAME = "store operations failed, and the repeat's, too"
WORKS: dict[type[Work], int] = {Append: 1, AppendMany: 1, Recover: 1, Import: 4, Seal: 4}
"""And every so-many-th operation of the repeat of each that fails in the full run."""
FIRST = [CRASH_AFTER, UNKNOWN_AND_DONE, REFUSED]
"""What leaves everything that can be left."""
SECOND = [CRASH_AFTER, UNKNOWN_AND_DONE, UNKNOWN_AND_NOT_DONE, NOT_DURABLE, REFUSED, CONFLICT, CUT]


def fail_twice(
    work_type: type[Work], first: Fault, second: Fault, *, stride: int = 1, again: int = 1
) -> Tally:
    """Let every operation of some work (or every ``stride``-th) fail, and of its repeat every one.

    Or every ``again``-th: after each first failure others of them, so that none is left out.
    """
    tally = Tally(NAME)
    with mock.patch("time.sleep"):
        for turn, number in enumerate(count(0, stride)):
            for other in count(turn % again, again):
                with tempfile.TemporaryDirectory(prefix="title-ledger-", dir=FAST) as folder:
                    work = work_type(MemoryStore(), Path(folder))
                    failing = first.at(number, work.store, work.rival)
                    run(work, failing)
                    if not failing.failed:
                        return tally
                    if not _fail_again(tally, work, second, other, f"{first} at {number}"):
                        break
    raise AssertionError("never untouched")


def _fail_again(tally: Tally, work: Work, fault: Fault, number: int, before: str) -> bool:
    """Let the n-th operation of the repeat fail; False where there are not so many."""
    where = f"{type(work).__name__}, {before}, then {fault} at {number}"
    failing = fault.at(number, work.store, work.rival)
    had, decided = chains(opened(work.store)), decisive(work.store)
    work.nothing_happened = {}
    problem = run(work, failing)
    if not failing.failed:
        tally.check(problem is None, "unclear", f"{where}: untouched: {problem!r}")
        return False
    tally.count += 1
    tally.check(not isinstance(problem, str), "unclear", f"{where}: {problem}")
    # Of what the first try wrote, the second may say that itself it wrote nothing.
    work.nothing_happened = {
        title: [number for number in numbers if number not in had.get(title, ())]
        for title, numbers in work.nothing_happened.items()
    }
    work.check(tally, where)
    if isinstance(problem, LedgerError) and work.one_answer:
        check_said(tally, where, problem, decided, decisive(work.store))
    elif isinstance(problem, StoreError):
        read = _was_read(work, failing)
        tally.check(not read, "unclear", f"{where}: it was read in its chain: {problem!r}")
    done = run(work, work.store)
    tally.check(done is None, "unclear", f"{where}: given again: {done!r}")
    work.check_done(tally, f"{where}, given again")
    return True


def _was_read(work: Work, failing: FaultyStore) -> bool:
    """Whether what failed is the writing of an entry that is in its chain: it was read there."""
    ledger = opened(work.store)
    there = chains(ledger)
    written = [parse_entry_key(key) for what, key in failing.struck if what == "create"]
    return any(
        entry.address == parsed[1]
        for parsed in written
        if parsed and parsed[0] in there
        for entry in ledger.log(parsed[0])
    )


@part(NAME)
def every_pair() -> Iterator[Tally]:
    total = Tally(NAME)
    for work_type, again in WORKS.items():
        for first in FIRST:
            for second in SECOND:
                total.add(fail_twice(work_type, first, second, again=again))
    yield total
