"""Power cuts, on a model of a disk: what was not forced to the disk may be there, or not.

The calls that a folder's store makes are noted as they happen. A cut after any of them leaves what
was forced (a file's bytes by fsync of the file, a name by fsync of its folder), and of the rest
nothing, or all, or any one thing, or all but one: real disks keep what they like.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from itertools import count
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from ledger.errors import LedgerError
from ledger.layout import check_key
from ledger.stores import FolderStore, MemoryStore
from tests.faults.stores import FAST
from tests.faults.tally import Tally, part
from tests.faults.works import Append, AppendMany, Import, Pack, Rebuild, Recover
from tests.wrappers import CrashError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.works import Work

NAME = "power cuts, on a model of a disk"
WORKS: list[type[Work]] = [Append, AppendMany, Import, Recover, Pack, Rebuild]
# A recovery that finds the head mended says so with an error: it acknowledges nothing.
REPEATED = [work for work in WORKS if work is not Recover]
NOTED = ("open", "write", "link", "rename", "unlink", "mkdir", "fsync")


class Change(NamedTuple):
    """A name in a folder that came, went or changed, and is not forced to the disk yet."""

    folder: str
    name: str
    file: int | None
    """Which file it names now; None: it is gone."""


FOLDER = -1
"""What a folder's name names: its own names say the rest."""


class PowerDisk:
    """Notes what is done below a folder, and what of it a cut would leave."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.number = 0
        self.last: int | None = None
        """After which call the power goes; None: it stays."""
        self._names: dict[tuple[str, str], int] = {}
        """What is forced to the disk: folder and name, and the file."""
        self._pending: list[Change] = []
        self._now: dict[tuple[str, str], int] = {}
        self._bytes: dict[int, bytes] = {}
        self._forced: dict[int, bytes] = {}
        self._ids = count()
        self._files: dict[int, int] = {}
        """The file that an inode is, by now."""
        self._lock = RLock()

    # -- What is done --------------------------------------------------------------------------

    def noting(self) -> ExitStack:
        """Note the calls of this process from here on, until the stack is closed."""
        patches = ExitStack()
        for name in NOTED:
            call = getattr(os, name)
            patches.enter_context(mock.patch.object(os, name, self._noted(name, call)))
        return patches

    def _noted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                if self.last is not None and self.number >= self.last:
                    raise CrashError("the power is gone")
                answer = call(*arguments, **options)
                self.number += getattr(self, f"_{name}")(answer, *arguments, **options)
            return answer

        return noted

    def _open(self, answer: int, path: str, flags: int, *_: Any, dir_fd: int | None = None) -> bool:
        place = self._place(path, dir_fd)
        if place is None or not flags & os.O_CREAT:
            return False
        new = next(self._ids)
        self._files[os.fstat(answer).st_ino] = new
        self._bytes[new] = self._forced[new] = b""
        self._change(place, new)
        return True

    def _write(self, answer: int, descriptor: int, data: Any) -> bool:
        file = self._files.get(os.fstat(descriptor).st_ino)
        if file is None:
            return False
        self._bytes[file] += bytes(data[:answer])
        return True

    def _link(self, _: None, source: str, name: str, **options: Any) -> bool:
        place = self._place(name, options["dst_dir_fd"])
        if place is not None:
            self._change(place, self._now[self._place(source, options["src_dir_fd"]) or ("", "")])
        return place is not None

    def _rename(self, _: None, source: str, name: str, **options: Any) -> bool:
        place, old = (
            self._place(name, options.get("dst_dir_fd")),
            self._place(source, options.get("src_dir_fd")),
        )
        if place is None or old is None:
            return False
        self._change(place, self._now[old])
        self._change(old, None)
        return True

    def _unlink(self, _: None, path: str, *, dir_fd: int | None = None) -> bool:
        place = self._place(path, dir_fd)
        if place is not None:
            self._change(place, None)
        return place is not None

    def _mkdir(self, _: None, path: str, *_mode: int, dir_fd: int | None = None) -> bool:
        place = self._place(path, dir_fd)
        if place is not None:
            self._change(place, FOLDER)
        return place is not None

    def _fsync(self, _: None, descriptor: int) -> bool:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            folder = self._path_of(descriptor)
            for change in self._pending:
                if change.folder == folder:
                    _apply(self._names, change)
            self._pending = [change for change in self._pending if change.folder != folder]
            return folder is not None
        file = self._files.get(status.st_ino)
        if file is not None:
            self._forced[file] = self._bytes[file]
        return file is not None

    def _change(self, place: tuple[str, str], file: int | None) -> None:
        change = Change(*place, file)
        self._pending.append(change)
        _apply(self._now, change)

    def _path_of(self, descriptor: int) -> str | None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if path != self.root and not path.startswith(f"{self.root}/"):
            return None
        return path[len(self.root) + 1 :]

    def _place(self, path: str, folder: int | None) -> tuple[str, str] | None:
        """The folder below the root, and the name in it; None: it is elsewhere."""
        if folder is None:
            if not str(path).startswith(f"{self.root}/"):
                return None
            above, _, name = str(path)[len(self.root) + 1 :].rpartition("/")
            return above, name
        above_or_none = self._path_of(folder)
        return None if above_or_none is None else (above_or_none, path)

    # -- What a cut leaves ---------------------------------------------------------------------

    def left(self) -> Iterator[MemoryStore]:
        """The states that a cut at this moment may leave."""
        pending = range(len(self._pending))
        kept = [
            set(),
            set(pending),
            *({n} for n in pending),
            *(set(pending) - {n} for n in pending),
        ]
        seen = []
        for chosen in kept:
            state = self._objects([self._pending[n] for n in sorted(chosen)])
            if state not in seen:
                seen.append(state)
                store = MemoryStore()
                store.create_many(state.items())
                yield store

    def _objects(self, kept: list[Change]) -> dict[str, bytes]:
        names = dict(self._names)
        for change in kept:
            _apply(names, change)
        objects = {}
        for (folder, name), file in names.items():
            if file == FOLDER or name.startswith(".tmp-") or not _reached(names, folder):
                continue
            key = f"{folder}/{name}" if folder else name
            objects[check_key(key)] = self._forced[file]
        return objects


def _apply(names: dict[tuple[str, str], int], change: Change) -> None:
    if change.file is None:
        names.pop((change.folder, change.name), None)
    else:
        names[change.folder, change.name] = change.file


def _reached(names: dict[tuple[str, str], int], folder: str) -> bool:
    above, _, name = folder.rpartition("/")
    return not folder or ((above, name) in names and _reached(names, above))


# --- cut after each call --------------------------------------------------------------------------


def cut_each(
    work_type: type[Work],
    make_store: Callable[[str], FolderStore] = FolderStore,
    *,
    killed: bool = False,
    stride: int = 1,
) -> Tally:
    """Cut the power after every call (or ``stride``-th) of some work; look at all it may leave.

    ``killed``: only the process ends there; the work is repeated, and then the power goes.
    """
    tally = Tally(NAME)
    for number in count(0, stride):
        with tempfile.TemporaryDirectory(prefix="title-ledger-", dir=FAST) as folder:
            root = Path(folder) / "store"
            root.mkdir()
            work_in = partial(work_type, make_store(str(root)), Path(folder))
            if _cut_one(tally, work_in, PowerDisk(str(root)), number, killed=killed):
                return tally
    raise AssertionError("never untouched")


def _cut_one(
    tally: Tally, make: Callable[[], Work], disk: PowerDisk, number: int, *, killed: bool
) -> bool:
    """Cut after the n-th call of the work; True where it was done before that."""
    with disk.noting():
        work = make()
        disk.last = disk.number + number
        untouched = _done(work)
        disk.last = None
        done = untouched or (killed and _done(work))
    acknowledged = deepcopy(work.acknowledged)
    where = f"{type(work).__name__}, cut after {number} calls{' and a repeat' * killed}"
    for left in disk.left():
        work.store, work.acknowledged = left, deepcopy(acknowledged)
        tally.count += 1
        try:
            _check(tally, work, where, done=done)
        except LedgerError as error:
            tally.note("torn", f"{where}: {error!r}")
    return untouched


def _done(work: Work) -> bool:
    try:
        work.run(work.store)
    except CrashError:
        return False
    return True


def _check(tally: Tally, work: Work, where: str, *, done: bool) -> None:
    work.check(tally, where)
    if not done:
        work.run(work.store)
    work.check_done(tally, f"{where}, {'done' if done else 'repeated'}")


@part(NAME)
def every_cut() -> Iterator[Tally]:
    total = Tally(NAME)
    for work_type in WORKS:
        total.add(cut_each(work_type))
    for work_type in REPEATED:
        total.add(cut_each(work_type, killed=True))
    yield total
