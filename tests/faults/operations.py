"""Every store operation fails: the n-th one, for n = 1, 2, … until the work is done untouched."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from ledger.errors import LedgerError
from ledger.stores import FolderStore
from tests.faults.said import check_said, decisive
from tests.faults.stores import FAST, FAULTS, LASTING
from tests.faults.tally import Tally, part
from tests.faults.works import WORKS, Recover
from tests.wrappers import CrashError, KeepingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.stores import Store
    from tests.faults.stores import Fault
    from tests.faults.works import Work

NAME = "store operations failed"


def in_memory(_: Path) -> Store:
    return KeepingStore()


def in_a_folder(folder: Path) -> Store:
    return FolderStore(folder / "store")


def fail_each(
    work_type: type[Work],
    fault: Fault,
    make_store: Callable[[Path], Store] = in_memory,
    *,
    first: int = 0,
    stride: int = 1,
) -> Tally:
    """Let every operation of some work (or, from the first, every ``stride``-th) fail in turn."""
    tally = Tally(NAME)
    # Between tries of a swap it waits, for a server to come back; this one doesn't.
    with mock.patch("time.sleep"):
        for number in count(first, stride):
            with tempfile.TemporaryDirectory(prefix="title-ledger-", dir=FAST) as folder:
                store = make_store(Path(folder))
                if not _fail_one(tally, work_type(store, Path(folder)), fault, number):
                    return tally
    raise AssertionError("never untouched")


def _fail_one(tally: Tally, work: Work, fault: Fault, number: int) -> bool:
    """Let the n-th operation fail; False where there are not so many."""
    where = f"{type(work).__name__}, {fault} at {number}"
    failing = fault.at(number, work.store, work.rival)
    before = decisive(work.store)
    problem = run(work, failing)
    if isinstance(problem, str):
        tally.note("unclear", f"{where}: {problem}")
    if not failing.failed:
        tally.check(problem is None, "unclear", f"{where}: failed untouched: {problem!r}")
        return False
    tally.count += 1
    work.check(tally, where)
    if isinstance(problem, LedgerError) and work.one_answer and fault.how != "meanwhile":
        check_said(tally, where, problem, before, decisive(work.store))
    again = run(work, work.store)
    tally.check(again is None, "unclear", f"{where}: repeated: {again!r}")
    work.check_done(tally, f"{where}, repeated")
    return True


def run(work: Work, store: Store) -> LedgerError | CrashError | str | None:
    """What came of it: None, done; an error that says so; or, in words, anything else."""
    try:
        work.run(store)
    except (LedgerError, CrashError) as error:
        return error
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is no answer
        return f"{type(error).__name__}: {error}"
    return None


@part(NAME)
def every_operation() -> Iterator[Tally]:
    total = Tally(NAME)
    for work_type in WORKS:
        for fault in FAULTS + LASTING:
            if work_type is Recover and fault.name == "stale-listing-for-good":
                continue  # nothing but the listing tells of an entry: docs/reliability.md says so
            total.add(fail_each(work_type, fault))
            if fault in FAULTS[:2]:  # on a disk, what a crash leaves; errors are the same anywhere
                total.add(fail_each(work_type, fault, in_a_folder))
    yield total
