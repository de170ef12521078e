"""A model of a disk, on which what was not forced to it may be there after a power cut, or not.

The calls that are made below a folder are noted as they happen. A cut leaves what was forced (a
file's bytes by fsync of the file, a name by fsync of its folder), and of the rest nothing, or all,
or any one thing, or all but one: real disks keep what they like.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from ledger.format.layout import check_key
from ledger.stores import MemoryStore
from tests.wrappers import CrashError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORE = "ledgers/store"
"""Where the store lies on the disk; both folders are made with it."""
NOTED = ("open", "write", "link", "rename", "replace", "unlink", "mkdir", "fsync")


class Change(NamedTuple):
    """A name in a folder that came, went or changed, and is not forced to the disk yet."""

    folder: str
    name: str
    file: int | None
    """Which file it names now; None: it is gone."""


FOLDER = -1
"""What a folder's name names: its own names say the rest."""


class Left(NamedTuple):
    """What a cut has left."""

    store: MemoryStore
    files: dict[str, bytes]
    """All else, by its path on the disk."""


class PowerDisk:
    """Notes what is done below a folder, and what of it a cut would leave."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.store = str(root / STORE)
        self.number = 0
        self.last: int | None = None
        """After which call the power goes; None: it stays."""
        self._names: dict[tuple[str, str], int] = {}
        """What is forced to the disk: folder and name, and the file."""
        self._pending: list[Change] = []
        self._now: dict[tuple[str, str], int] = {}
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
        if place is None or place in self._now or not flags & os.O_CREAT:
            return False
        new = next(self._ids)
        self._files[os.fstat(answer).st_ino] = new
        self._forced[new] = b""
        self._change(place, new)
        return True

    def _write(self, _: int, descriptor: int, _data: object) -> bool:
        return os.fstat(descriptor).st_ino in self._files

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

    _replace = _rename

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
            self._forced[file] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
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

    def left(self) -> Iterator[Left]:
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
            files = self._kept_files([self._pending[n] for n in sorted(chosen)])
            if files not in seen:
                seen.append(files)
                yield _left(files)

    def put_back(self, files: dict[str, bytes]) -> None:
        """Leave these beside the store, and nothing else, in the real folder."""
        for folder, _, names in os.walk(self.root):
            if not folder.startswith(self.store):
                for name in names:
                    Path(folder, name).unlink()
        for path, data in files.items():
            Path(self.root, path).write_bytes(data)

    def _kept_files(self, kept: list[Change]) -> dict[str, bytes]:
        names = dict(self._names)
        for change in kept:
            _apply(names, change)
        return {
            f"{folder}/{name}" if folder else name: self._forced[file]
            for (folder, name), file in names.items()
            if file != FOLDER and not name.startswith(".tmp-") and _reached(names, folder)
        }


def _left(files: dict[str, bytes]) -> Left:
    store, own = MemoryStore(), f"{STORE}/"
    for path, data in files.items():
        if path.startswith(own):
            store.create(check_key(path.removeprefix(own)), data)
    return Left(store, {path: data for path, data in files.items() if not path.startswith(own)})


def _apply(names: dict[tuple[str, str], int], change: Change) -> None:
    if change.file is None:
        names.pop((change.folder, change.name), None)
    else:
        names[change.folder, change.name] = change.file


def _reached(names: dict[tuple[str, str], int], folder: str) -> bool:
    above, _, name = folder.rpartition("/")
    return not folder or ((above, name) in names and _reached(names, above))
