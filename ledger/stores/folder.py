"""A store in a local folder: durable, and safe for many processes at once.

An object is a file, written whole under a temporary name beside its place, forced to the disk, and
only then given its name: with link(2), which fails if the name is taken (``create``), or with
rename(2) under a lock (``replace``). So no reader, and no crash, ever meets half an object. What a
crash may leave behind is a file named ``.tmp-…``, which no key can name and no listing shows.

Below the root no symbolic link is followed, for any part of a key, at any time: every part is
opened relative to the descriptor of the one before it (openat(2), O_NOFOLLOW). The root itself is
the user's and may be a link. A root that is not there reads as an empty store.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import resource
import stat
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ledger.errors import (
    IntegrityError,
    InvalidError,
    LedgerError,
    NotDurable,
    PreconditionFailed,
    StoreDenied,
    StoreUnavailable,
)
from ledger.format.layout import HEAD_NAME, LEDGER_KEY, check_deletable, check_key
from ledger.local.files import FOLDER, Unnamed, check_outside, close, make_folder, sync
from ledger.stores.base import Blob, Store, Swap, check_listing, find_doubt, is_listed, swap_one

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor

LIMIT = 64 << 20  # far above any object of ours: whatever is larger was put there by others
CHUNK = 1 << 20
MODE = 0o644
TOGETHER = 64  # files written at once: each of them, and its folder, is open
APPENDS = 16  # each is three or four files
LANES = 8  # threads that force what was written together
ALONE = 8  # so few, those of one append, are forced by the thread that wrote them

INNER_FOLDER = FOLDER | os.O_NOFOLLOW
# O_NONBLOCK: opening a FIFO that was put in a file's place must not wait for its other end.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

DENIED = {errno.EACCES, errno.EPERM}
# What open(2) answers if a link, a socket or a file without a folder's uses is in the way.
MISPLACED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EMLINK}
MISPLACED_HINT = "a store holds plain files in plain folders; see what put something else there"


class FolderStore(Store):
    """The objects below one folder, which is made when the first of them is created.

    Every method raises IntegrityError if something else is in the place of a file or a folder:
    a symbolic link, a FIFO, a folder, a file larger than any object.
    """

    together = APPENDS

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        if not text or "\0" in text:
            raise InvalidError(f"not the path of a folder: {text!r:.120}")
        # One slash in front: abspath keeps two, and the url file://… would name a host.
        self.path: str = "/" + os.path.abspath(text).lstrip("/")  # noqa: PTH100  as fast as it gets
        self.url: str = f"file:{self.path}"
        self._settled: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_there, (type(self), self.path, _numbers(self.path))

    def __repr__(self) -> str:
        return f"FolderStore({self.path!r})"

    def check_outside(self, path: str | os.PathLike[str]) -> None:
        """Refuse a file inside: whoever writes here could change what watches over the store."""
        check_outside(path, self.path)

    def get(self, key: str) -> Blob | None:
        """The object, or None if there is none."""
        *folders, name = check_key(key).split("/")
        try:
            folder = self._open_folder(folders)
            try:
                data = _read(folder, name, key)
            finally:
                close(folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure("read", key, error) from error
        return Blob(data, _version(data))

    def create(self, key: str, data: bytes) -> str:
        """Create the object, durably; PreconditionFailed if other bytes are there."""
        self._write([(key, data)])
        return _version(data)

    def create_many(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Create all the objects; what is forced to the disk together takes hardly more time."""
        todo = iter(objects)
        most = _most()
        while some := list(islice(todo, most)):
            self._write(some)

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Replace the object if its version is ``expected``, durably, else PreconditionFailed."""
        (outcome,) = self._write((), [Swap(key, data, expected)])
        if isinstance(outcome, LedgerError):
            raise outcome
        return outcome

    def swap_many(
        self, objects: Iterable[tuple[str, bytes]], swaps: Sequence[Swap]
    ) -> list[str | LedgerError]:
        """Create the objects, then do the swaps; all their files are forced to the disk at once."""
        before, most = list(objects), _most()
        if not swaps or len(before) + len(swaps) > most:
            self.create_many(before)
            before = []
        todo, outcomes = iter(swaps), list[str | LedgerError]()
        while some := list(islice(todo, most)):
            try:
                outcomes += self._write(before, some)
            except LedgerError as error:
                if not find_doubt(error):
                    self.create_many(before)
                    outcomes += [swap_one(self, each) for each in some]
                elif outcomes:
                    outcomes += [error] * len(some)
                else:
                    raise
            before = []
        return outcomes

    def _write(
        self, objects: Sequence[tuple[str, bytes]], swaps: Sequence[Swap] = ()
    ) -> list[str | LedgerError]:
        """Write all files, force them to the disk, name the objects', and then do the swaps.

        The names of their folders come before their own: what can be read is in no folder that a
        power cut takes away, whatever became of those who made it. All is open before the first
        name is given: from then on, nothing but naming and forcing can fail.
        """
        with _Together(self) as together:
            new = [together.write(key, data) for key, data in objects]
            moves = [together.write_swap(swap) for swap in swaps]
            together.force()
            for file in new:
                try:
                    self._name(file)
                except OSError as error:
                    raise self._failure("write", file.key, error) from error
            # If another process created one too: it may not have come this far yet.
            in_doubt = self._settle({file.folder: file.key for file in new})
            for doubt in in_doubt.values():
                raise doubt
            outcomes = [self._swap(*each) for each in zip(moves, swaps, strict=True)]
            in_doubt = self._settle(
                {
                    file.folder: file.key
                    for file, outcome in zip(moves, outcomes, strict=True)
                    if isinstance(file, _File) and isinstance(outcome, str)
                }
            )
        self._settled |= together.begun
        return [
            in_doubt.get(file.folder, outcome)
            if isinstance(file, _File) and isinstance(outcome, str)
            else outcome
            for file, outcome in zip(moves, outcomes, strict=True)
        ]

    def _to_settle(self, folder: str, name: str, begun: set[str]) -> Iterator[str]:
        """The folders above, in which those of this object may not be on the disk by name.

        Whoever made them may have been stopped before it came so far. A title's is settled with its
        head, once: without one, nothing in it means anything yet. One of the few others is settled
        once by each store, which ``begun`` collects.
        """
        if folder and name == HEAD_NAME:
            yield folder.rpartition("/")[0]
        elif folder.startswith("_"):
            while folder and folder not in self._settled and folder not in begun:
                begun.add(folder)
                folder = folder.rpartition("/")[0]
                yield folder

    def _name(self, file: _File) -> None:
        """Give the file its name, unless an object is there: then it has to have these bytes."""
        try:
            file.unnamed.link(file.name)
        except FileExistsError:
            if _read(file.folder, file.name, file.key) != file.data:
                raise PreconditionFailed(f"{file.key} exists already, with other bytes") from None

    def _swap(self, file: _File | LedgerError, swap: Swap) -> str | LedgerError:
        """Name the file if the version in its place is the expected one; or say why not."""
        if isinstance(file, LedgerError):
            return file
        try:
            if swap.expected is None:
                self._name(file)
            else:
                self._rename(file, swap.expected)
        except FileNotFoundError:
            return _missing(file.key)
        except OSError as error:
            return self._failure("write", file.key, error)
        except LedgerError as error:
            return error
        return _version(file.data)

    def _rename(self, file: _File, expected: str) -> None:
        # The lock is the folder's own (flock(2) of this descriptor): it leaves no file behind, and
        # it ends with the descriptor, however this process ends.
        fcntl.flock(file.folder, fcntl.LOCK_EX)
        try:
            if _version(_read(file.folder, file.name, file.key)) != expected:
                raise PreconditionFailed(f"{file.key} is not the version that was to be replaced")
            file.unnamed.rename(file.name)
        finally:
            with suppress(OSError):
                fcntl.flock(file.folder, fcntl.LOCK_UN)

    def make_durable(self, *keys: str) -> None:
        """Force the objects that ``get`` finds to the disk by name; NotDurable if that fails."""
        with _Together(self) as together:
            folders: dict[int, str] = {}
            for key in keys:
                try:
                    folders.setdefault(together.folder(check_key(key).rpartition("/")[0]), key)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise self._failure("read", key, error) from error
            for doubt in self._settle(folders).values():
                raise doubt

    def delete(self, key: str) -> None:
        """Delete an object that ``check_deletable`` lets go; others are an InvalidError."""
        *folders, name = check_deletable(key).split("/")
        try:
            # Locked, so that no replacement under way brings the object back.
            with self._locked_folder(folders) as folder:
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failure("delete", key, error) from error

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        """The keys in order; one folder's names at a time are held in memory."""
        check_listing(prefix, after, delimiter)
        return self._walk(prefix[: prefix.rfind("/") + 1], prefix, after, delimiter)

    def _walk(self, folder: str, prefix: str, after: str, delimiter: str) -> Iterator[str]:
        for item in self._items(folder, prefix):
            if item <= after and not after.startswith(item):
                continue
            if item.endswith("/") and not delimiter:
                yield from self._walk(item, prefix, after, delimiter)
            elif item > after and (not item.endswith("/") or self._holds_a_key(item)):
                yield item

    def _holds_a_key(self, folder: str) -> bool:
        inner = []
        with closing(self._scan(folder)) as items:
            for item in items:
                if not item.endswith("/"):
                    return True  # the rest need not be looked at
                inner.append(item)
        return any(map(self._holds_a_key, inner))

    def _items(self, folder: str, prefix: str) -> Sequence[str]:
        """What is in a folder and begins so, in the order of the keys.

        With the slash as part of the name, "A-1/" sorts before "A/", as the keys below them do.
        """
        return sorted(item for item in self._scan(folder) if item.startswith(prefix))

    def _scan(self, folder: str) -> Generator[str, None, None]:
        """The keys and the folders (with "/") in a folder, as they come.

        Whatever is not a folder is given as a key, even a link: reading it says what is wrong.
        """
        try:
            descriptor = self._open_folder(folder.split("/")[:-1])
            try:
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        is_folder = entry.is_dir(follow_symlinks=False)
                        item = f"{folder}{entry.name}/" if is_folder else folder + entry.name
                        if is_listed(item):
                            yield item
            finally:
                close(descriptor)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failure("list", folder, error) from error

    def _open_folder(self, parts: Sequence[str] = ()) -> int:
        """Open a folder below the root, part by part, following no link; OSError as it comes."""
        if len(parts) == 1:
            # In one go, as O_NOFOLLOW minds the last part; what is wrong, the long way tells.
            with suppress(NotADirectoryError):
                return os.open(f"{self.path}/{parts[0]}", INNER_FOLDER)
        try:
            descriptor = os.open(self.path, FOLDER)
        except NotADirectoryError as error:
            raise StoreUnavailable(f"cannot use {self.path}: it is not a folder") from error
        for part in parts:
            descriptor = _step_into(descriptor, part)
        return descriptor

    @contextmanager
    def _locked_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Open a folder and lock it against replacements of what is in it."""
        descriptor = self._open_folder(parts)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            close(descriptor)

    def _settle(self, folders: dict[int, str]) -> dict[int, NotDurable]:
        """Force the new names in these folders to the disk, each of which is for the object named.

        They are visible already: a failure leaves them in doubt. Return the errors, by folder.
        """
        return {
            folder: NotDurable(
                f"{self.path}/{folders[folder]} was written, but may not survive a crash:"
                f" {error.strerror}",
                hint="look after the disk, then read the object again",
            )
            for folder, error in zip(folders, _force(list(folders)), strict=True)
            if error
        }

    def _failure(self, action: str, key: str, error: OSError) -> LedgerError:
        """The error to raise for an OSError: the only place that reads an errno."""
        message = f"cannot {action} {self.path}/{key}: {error.strerror}"
        if error.errno in MISPLACED:
            return IntegrityError(message, hint=MISPLACED_HINT, object_key=key)
        if error.errno in DENIED:
            return StoreDenied(message, hint=f"see who owns {self.path}, and its mode")
        return StoreUnavailable(message)


class _File(NamedTuple):
    """A file on its way to its name, in an open folder."""

    key: str
    data: bytes
    folder: int
    name: str
    unnamed: Unnamed


class _Together:
    """Files that are written together, and the folders that are open for them."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self._folders: dict[str, int] = {}
        self._files: list[_File] = []
        self._above: dict[int, str] = {}
        """Folders to be forced before a name is given, and for which object."""
        self.begun: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.unnamed.discard()
        for folder in self._folders.values():
            close(folder)

    def write(self, key: str, data: bytes) -> _File:
        """Write a new object, and make its folder if it isn't there."""
        path, _, name = check_key(key).rpartition("/")
        try:
            if not path:
                make_folder(self._store.path)
            folder = self._made(path, key)
            for above in self._store._to_settle(path, name, self.begun):  # noqa: SLF001
                self._above[self._made(above, key)] = key
            return self._unnamed(key, data, folder, name)
        except OSError as error:
            raise self._store._failure("write", key, error) from error  # noqa: SLF001

    def write_swap(self, swap: Swap) -> _File | PreconditionFailed:
        """Write what is to take the place of an object, or of none."""
        key, data, expected = swap
        if expected is None:
            return self.write(key, data)
        path, _, name = check_key(key).rpartition("/")
        try:
            return self._unnamed(key, data, self.folder(path), name)
        except FileNotFoundError:
            return _missing(key)
        except OSError as error:
            raise self._store._failure("write", key, error) from error  # noqa: SLF001

    def _unnamed(self, key: str, data: bytes, folder: int, name: str) -> _File:
        file = _File(key, data, folder, name, Unnamed(folder, MODE))
        self._files.append(file)
        file.unnamed.write(data)
        return file

    def force(self) -> None:
        """Force the files to the disk, and the folders above that may not be there by name."""
        files = {file.unnamed.descriptor: file.key for file in self._files}
        waiting = files | self._above
        failed = {it: e for it, e in zip(waiting, _force(list(waiting)), strict=True) if e}
        for it in sorted(failed, key=files.__contains__):  # a folder's error must not be missed
            key, error = waiting[it], failed[it]
            why = error if it in files else NotDurable(f"the folder of {key} may not last")
            raise self._store._failure("write", key, error) from why  # noqa: SLF001

    def folder(self, path: str) -> int:
        """Open a folder, once, following no link; OSError as it comes."""
        folder = self._folders.get(path)
        if folder is None:
            above, _, name = path.rpartition("/")
            folder = self._folders[path] = (
                os.open(name, INNER_FOLDER, dir_fd=self.folder(above))
                if above
                else self._store._open_folder([name] if name else [])  # noqa: SLF001
            )
        return folder

    def _made(self, path: str, key: str) -> int:
        """Open a folder, making it if it isn't there."""
        try:
            return self.folder(path)
        except FileNotFoundError:
            self._make(path, key)
            return self.folder(path)

    def _make(self, path: str, key: str) -> None:
        if not path:
            make_folder(self._store.path)
            return
        above, _, name = path.rpartition("/")
        parent = self._made(above, key)
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        self._above[parent] = key


def _force(descriptors: list[int]) -> list[OSError | None]:
    """Force files and folders to the disk; return the errors, in their order.

    Many are forced side by side: a disk does that about as fast as one.
    """
    if len(descriptors) <= ALONE:
        return _force_some(descriptors)
    from concurrent.futures import Future, wait  # noqa: PLC0415 -- slow to load

    lanes = [descriptors[lane::LANES] for lane in range(LANES)]
    futures: list[Future[list[OSError | None]]] = []
    with suppress(RuntimeError):  # no thread is to be had, as when the main thread is at its end
        for lane in lanes:
            future = _forcers(os.getpid()).submit(_force_some, lane)
            futures.append(future)
    rest = [_force_some(lane) for lane in lanes[len(futures) :]]
    wait(futures)  # whatever becomes of one, no descriptor may be closed under another
    errors: list[OSError | None] = [None] * len(descriptors)
    for n, found in enumerate([*(future.result() for future in futures), *rest]):
        errors[n::LANES] = found
    return errors


def _force_some(descriptors: list[int]) -> list[OSError | None]:
    errors: list[OSError | None] = []
    for descriptor in descriptors:
        try:
            sync(descriptor)
        except OSError as error:
            errors.append(error)
        else:
            errors.append(None)
    return errors


@lru_cache(maxsize=1)
def _forcers(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 -- a fork leaves its threads behind
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- slow to load

    return ThreadPoolExecutor(2 * LANES, thread_name_prefix="ledger-force")


def _most() -> int:
    """How many files to write at once, so that several threads may do so.

    Each of them is open, and so is its folder. macOS lets a program open 256 unless it asks.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(TOGETHER, max(ALONE // 2, (limit - 64) // 10)) if limit >= 0 else TOGETHER


def _missing(key: str) -> PreconditionFailed:
    return PreconditionFailed(f"{key} is not there to be replaced")


def _open_there(kind: type[FolderStore], path: str, numbers: list[int]) -> FolderStore:
    """Open a folder in another process, maybe of another machine, which has to see the same one."""
    if _numbers(path) != numbers:
        raise StoreUnavailable(
            f"{path} of {os.uname().nodename} is another folder than the one that was opened",
            hint="all machines have to mount the same folder there",
        )
    return kind(path)


def _numbers(path: str) -> list[int]:
    """What a file system says of a folder, on each machine that mounts it; none: it isn't there.

    The root folders of many file systems have the same number. So the number of ledger.json is
    compared as well, and when it last changed: a copy of it was not changed at the same moment.
    """
    numbers = []
    with suppress(OSError):
        numbers.append(os.stat(path).st_ino)  # noqa: PTH116
        identity = os.stat(f"{path}/{LEDGER_KEY}")  # noqa: PTH116
        numbers += identity.st_ino, identity.st_ctime_ns
    return numbers


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(folder: int, name: str, key: str) -> bytes:
    """The bytes of a plain file; IntegrityError if the name is something else's."""
    descriptor = os.open(name, READ, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise IntegrityError(f"{key} is not a plain file", hint=MISPLACED_HINT, object_key=key)
        size = status.st_size
        data = os.read(descriptor, min(size, LIMIT) + 1)
        # Seldom: a network's disk gave less than was asked for, or somebody writes to the file.
        while len(data) != size and len(data) <= LIMIT and (more := os.read(descriptor, CHUNK)):
            data += more
    finally:
        close(descriptor)
    if len(data) > LIMIT:
        raise IntegrityError(f"{key} is larger than {LIMIT} bytes", object_key=key)
    return data


def _step_into(descriptor: int, part: str) -> int:
    """Open a folder in an open one, which is closed."""
    try:
        return os.open(part, INNER_FOLDER, dir_fd=descriptor)
    finally:
        close(descriptor)
