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
import stat
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

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
from ledger.stores.base import Blob, Store, check_listing, is_listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIMIT = 64 << 20  # far above any object of ours: whatever is larger was put there by others
CHUNK = 1 << 20
MODE = 0o644
TOGETHER = 32  # files written at once: each of them, and its folder, is open

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
        self._create_together([(key, data)])
        return _version(data)

    def create_many(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Create all the objects; what is forced to the disk together takes hardly more time."""
        todo = iter(objects)
        while some := list(islice(todo, TOGETHER)):
            self._create_together(some)

    def _create_together(self, objects: Sequence[tuple[str, bytes]]) -> None:
        """Write all, force them to the disk, name them, and force their names to the disk.

        The names of their folders come before their own: what can be read is in no folder that a
        power cut takes away, whatever became of those who made it.
        """
        with ExitStack() as opened:
            new: list[tuple[str, bytes, int, Unnamed]] = []
            above: list[tuple[str, int]] = []
            begun: set[str] = set()
            for key, data in objects:
                *folders, name = check_key(key).split("/")
                with self._writing(key):
                    if not folders:
                        make_folder(self.path)
                    folder = opened.enter_context(self._made_folder(folders))
                    above += [
                        (key, opened.enter_context(self._made_folder(path)))
                        for path in self._to_settle(folders, name, begun)
                    ]
                    file = opened.enter_context(Unnamed(folder, MODE))
                    file.write(data)
                new.append((key, data, folder, file))
            for key, descriptor in [*((key, file.descriptor) for key, _, _, file in new), *above]:
                with self._writing(key):
                    sync(descriptor)
            # All is open that has to be settled: once there are names, nothing else may fail.
            for key, data, folder, file in new:
                self._name(key, data, folder, file)
            # If another process created it too: it may not have come this far yet.
            for key, _, folder, _ in new:
                self._settle(key, folder)
        self._settled |= begun

    def _to_settle(self, folders: list[str], name: str, begun: set[str]) -> Iterator[list[str]]:
        """The folders above, in which those of this object may not be on the disk by name.

        Whoever made them may have been stopped before it came so far. A title's is settled with its
        head, once: without one, nothing in it means anything yet. One of the few others is settled
        once by each store, which ``begun`` collects.
        """
        if folders and name == HEAD_NAME:
            yield folders[:-1]
        elif folders and folders[0].startswith("_"):
            for depth in range(len(folders)):
                path = "/".join(folders[: depth + 1])
                if path not in self._settled | begun:
                    begun.add(path)
                    yield folders[:depth]

    def _name(self, key: str, data: bytes, folder: int, file: Unnamed) -> None:
        """Give the file its name, unless an object is there: then it has to have these bytes."""
        name = key.rpartition("/")[2]
        with self._writing(key):
            try:
                file.link(name)
            except FileExistsError:
                if _read(folder, name, key) != data:
                    raise PreconditionFailed(f"{key} exists already, with other bytes") from None

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Replace the object if its version is ``expected``, durably, else PreconditionFailed."""
        *folders, name = check_key(key).split("/")
        missing = f"{key} is not there to be replaced"
        with self._writing(key, missing=missing), self._locked_folder(folders) as folder:
            if _version(_read(folder, name, key)) != expected:
                raise PreconditionFailed(f"{key} is not the version that was to be replaced")
            with Unnamed(folder, MODE) as file:
                file.write(data)
                sync(file.descriptor)
                file.rename(name)
            self._settle(key, folder)
        return _version(data)

    def make_durable(self, key: str) -> None:
        """Force the object that ``get`` finds to the disk by name; NotDurable if that fails."""
        *folders, _ = check_key(key).split("/")
        try:
            folder = self._open_folder(folders)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failure("read", key, error) from error
        try:
            self._settle(key, folder)
        finally:
            close(folder)

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
        for item in self._items(folder):
            if not item.startswith(prefix) or (item <= after and not after.startswith(item)):
                continue
            if item.endswith("/") and not delimiter:
                yield from self._walk(item, prefix, after, delimiter)
            elif item > after and (not item.endswith("/") or self._holds_a_key(item)):
                yield item

    def _holds_a_key(self, folder: str) -> bool:
        return any(True for _ in self._walk(folder, folder, "", ""))

    def _items(self, folder: str) -> Sequence[str]:
        """The keys and the folders (with "/") in a folder, in the order of the keys.

        With the slash as part of the name, "A-1/" sorts before "A/", as the keys below them do.
        Whatever is not a folder is given as a key, even a link: reading it says what is wrong.
        """
        try:
            descriptor = self._open_folder(folder.split("/")[:-1])
            try:
                with os.scandir(descriptor) as entries:
                    items = [
                        f"{folder}{entry.name}/"
                        if entry.is_dir(follow_symlinks=False)
                        else folder + entry.name
                        for entry in entries
                    ]
            finally:
                close(descriptor)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._failure("list", folder, error) from error
        return sorted(filter(is_listed, items))

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
    def _made_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Open a folder, making it first if it isn't there."""
        try:
            descriptor = self._open_folder(parts)
        except FileNotFoundError:
            descriptor = self._open_made_root()
            for part in parts:
                descriptor = _step_into(descriptor, part, make=True)
        try:
            yield descriptor
        finally:
            close(descriptor)

    def _open_made_root(self) -> int:
        try:
            return self._open_folder()
        except FileNotFoundError:
            make_folder(self.path)
            return self._open_folder()

    @contextmanager
    def _locked_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Open a folder and lock it against other replacements below it.

        The lock is the folder's own (flock(2) of this descriptor): it leaves no file behind, and
        it ends with the descriptor, however this process ends.
        """
        descriptor = self._open_folder(parts)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            close(descriptor)

    @contextmanager
    def _writing(self, key: str, *, missing: str = "") -> Iterator[None]:
        """Turn the OSErrors of a write that did not happen into ours."""
        try:
            yield
        except OSError as error:
            if missing and error.errno == errno.ENOENT:
                raise PreconditionFailed(missing) from error
            raise self._failure("write", key, error) from error

    def _settle(self, key: str, folder: int) -> None:
        """Force the new name to the disk. It is visible already: a failure leaves it in doubt."""
        try:
            sync(folder)
        except OSError as error:
            raise NotDurable(
                f"{self.path}/{key} was written, but may not survive a crash: {error.strerror}",
                hint="look after the disk, then read the object again",
            ) from error

    def _failure(self, action: str, key: str, error: OSError) -> LedgerError:
        """The error to raise for an OSError: the only place that reads an errno."""
        message = f"cannot {action} {self.path}/{key}: {error.strerror}"
        if error.errno in MISPLACED:
            return IntegrityError(message, hint=MISPLACED_HINT, object_key=key)
        if error.errno in DENIED:
            return StoreDenied(message, hint=f"see who owns {self.path}, and its mode")
        return StoreUnavailable(message)


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

    The topmost folders of many file systems have one number. What ledger.json has is its own: no
    copy of it was last changed at that moment.
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


def _step_into(descriptor: int, part: str, *, make: bool = False) -> int:
    """Open a folder in an open one, which is closed; ``make`` it if it isn't there."""
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            sync(descriptor)
        return os.open(part, INNER_FOLDER, dir_fd=descriptor)
    finally:
        close(descriptor)
