"""Power cuts, on a model of a disk: what was not forced to the disk may be there, or not.

The disk holds a folder's store, from the folder that this is made in, and what a sealer remembers,
a backup or a key beside it. Before the power goes, processes may be killed.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from operator import call
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import LedgerError
from ledger.stores import FolderStore
from tests.faults.power_disk import PowerDisk
from tests.faults.stores import FAST
from tests.faults.tally import Tally, part
from tests.faults.works import (
    Append,
    AppendMany,
    AppendSealed,
    AppendTogether,
    Begin,
    Export,
    First,
    Import,
    Key,
    Pack,
    Rebuild,
    Recover,
    Seal,
    Second,
)
from tests.wrappers import CrashError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.faults.works import Work

    MakeStore = Callable[[str], FolderStore]

NAME = "power cuts, on a model of a disk"
WORKS: list[type[Work]] = [
    *(First, Append, AppendMany, AppendTogether, Import, Recover, Pack, Rebuild),
    *(Seal, Begin, AppendSealed, Export, Key),
]
# A recovery that finds the head mended says so with an error: it acknowledges nothing.
REPEATED = [work for work in WORKS if work is not Recover]
REPEATED_TWICE: list[type[Work]] = [First, Second]


class Process(NamedTuple):
    """One that does the work, or its rival's, before the power goes."""

    calls: int | None = None
    """After how many calls it is killed; None: it comes to its end."""
    is_new: bool = True
    """It has just opened the store; another one has used it before."""
    is_rival: bool = False

    def __str__(self) -> str:
        who = f"{'a new' if self.is_new else 'an old'} {'rival' if self.is_rival else 'process'}"
        return f"{who} {'done' if self.calls is None else f'stopped after {self.calls} calls'}"


def cut_each(
    work_type: type[Work],
    make_store: MakeStore = FolderStore,
    *,
    killed: bool = False,
    behind: bool = False,
    stride: int = 1,
) -> Tally:
    """Cut the power after every call (or ``stride``-th) of some work; look at all it may leave.

    ``killed``: only the process ends there; the work is repeated, and then the power goes.
    ``behind``: the process ends there, and the power goes once a rival has done its own work.
    """
    tally = Tally(NAME)
    for number in count(0, stride):
        processes = [Process(number, is_new=killed or behind)]
        if killed or behind:
            processes.append(Process(is_new=False, is_rival=behind))
        untouched, *_ = _cut(tally, work_type, make_store, processes)
        if untouched:
            return tally
    raise AssertionError("never untouched")


def cut_each_pair(
    work_type: type[Work], make_store: MakeStore = FolderStore, *, stride: int = 1
) -> Tally:
    """Kill two processes one after the other, the second an old one; a third repeats the work.

    Then the power goes. The first is killed after every call, the second after every ``stride``-th.
    """
    tally = Tally(NAME)
    for first in count():
        for second in count(0, stride):
            processes = [Process(first), Process(second, is_new=False), Process()]
            first_untouched, untouched, _ = _cut(tally, work_type, make_store, processes)
            if untouched:
                break
        if first_untouched:
            return tally
    raise AssertionError("never untouched")


def _cut(
    tally: Tally, work_type: type[Work], make_store: MakeStore, processes: Sequence[Process]
) -> list[bool]:
    """Let the processes work in turn, cut the power, and look; which of them were done."""
    with tempfile.TemporaryDirectory(prefix="title-ledger-", dir=FAST) as folder:
        disk = PowerDisk(Path(folder).resolve())
        with disk.noting():
            work = work_type(make_store(disk.store), Path(disk.root, "sealers"))
            ended = [_ended(work, disk, process, make_store) for process in processes]
        work.look()
        where = f"{work_type.__name__}, {', '.join(map(str, processes))}"
        done = ended[-1] and not processes[-1].is_rival
        for left in disk.left():
            disk.put_back(left.files)
            tally.count += 1
            try:
                _check(tally, work.after_cut(left.store), where, done=done)
            except LedgerError as error:
                tally.note("torn", f"{where}: {error!r}")
    return ended


def _ended(work: Work, disk: PowerDisk, process: Process, make_store: MakeStore) -> bool:
    """Let it work; False where it was killed before it was done."""
    store = work.opened_anew(make_store(disk.store)) if process.is_new else work.store
    disk.last = None if process.calls is None else disk.number + process.calls
    try:
        work.rival() if process.is_rival else work.run(store)
    except CrashError:
        return False
    finally:
        disk.last = None
    return True


def _check(tally: Tally, work: Work, where: str, *, done: bool) -> None:
    work.check(tally, where)
    work.go_on(done=done)
    work.check_done(tally, f"{where}, {'done' if done else 'repeated'}")


@part(NAME)
def every_cut() -> Iterator[Tally]:
    total = Tally(NAME)
    for tally in _every_cut():
        total.add(tally)
    yield total


def _every_cut() -> Iterable[Tally]:
    todo = [
        *(partial(cut_each, work_type) for work_type in WORKS),
        *(partial(cut_each, work_type, killed=True) for work_type in REPEATED),
        *(partial(cut_each_pair, work_type) for work_type in REPEATED_TWICE),
        partial(cut_each, AppendSealed, behind=True),
    ]
    # Who is killed on the model leaves its files open here, so each kind gets a process of its own.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        yield from pool.map(call, todo)
