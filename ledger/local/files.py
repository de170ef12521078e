"""Write files so that they survive a crash, and lock them between processes.

Every file is written in one way: under a temporary name in its own folder, forced to the disk, and
only then given its name, which is forced to the disk in turn. So nobody ever meets half a file.
A crash may leave a file called ``.tmp-…``, which means nothing and can be deleted.

A name is on the disk once the folder that holds it has been forced there, and that goes for the
names of folders as well. A process may stop between making a folder and forcing its name, and the
next process just finds the folder. So a folder's name is forced again before anything goes into it.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
import sys
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Self, TypeAlias, cast

from ledger.errors import InvalidError, NotFoundError, StoreUnavailable, TrustError
from ledger.format.given import check_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = os.O_RDONLY | os.O_DIRECTORY
"""The flags that open a folder."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
BUFFER = 1 << 20


def as_path(path: str | os.PathLike[str]) -> Path:
    """The path; raises InvalidError if it is something else."""
    check_given(path, (str, os.PathLike), "the path of a file")
    return Path(path)


# -- Files -----------------------------------------------------------------------------------------


class Unnamed:
    """A file that has only a temporary name so far, in an open folder.

    A context manager: at its end the temporary name is gone. The caller forces ``descriptor`` to
    the disk before it names the file, and the folder afterwards. Every method raises OSError.
    """

    __slots__ = ("_folder", "_name", "descriptor")

    def __init__(self, folder: int, mode: int = 0o666) -> None:
        self._folder = folder
        self._name = f".tmp-{os.urandom(8).hex()}"
        self.descriptor: int = os.open(self._name, NEW, mode, dir_fd=folder)

    def write(self, data: bytes | bytearray) -> None:
        """Add all of these bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def link(self, name: str) -> None:
        """Give the file its name; raises FileExistsError if the name is taken."""
        folder = self._folder
        os.link(self._name, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)

    def rename(self, name: str) -> None:
        """Give the file its name, in place of whatever has it. A link there is not followed."""
        os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._name = ""

    def discard(self) -> None:
        """Close the file and delete its temporary name, if it still has that."""
        close(self.descriptor)
        if self._name:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


class NewFile:
    """A file that appears under its name, whole and durable, when ``commit`` is called.

    A context manager: without ``commit``, nothing is left. With ``replace`` it takes the place of
    what is there, a link itself rather than what the link points to. Otherwise a name that is
    taken is refused, at the start and at the end.

    Raises InvalidError if the name is taken, StoreUnavailable if the file can't be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, replace: bool = False, mode: int = 0o666
    ) -> None:
        self.path: Path = as_path(path)
        self._replace = replace
        self._buffer = bytearray()
        if not replace:
            check_name(self.path, replace=False)
        with ExitStack() as stack:
            try:
                self._folder = os.open(self.path.parent, FOLDER)
                stack.callback(close, self._folder)
                self._file = stack.enter_context(Unnamed(self._folder, mode))
            except OSError as error:
                raise self._failure(error) from error
            self._opened = stack.pop_all()

    def write(self, data: bytes) -> int:
        """Add bytes to the file; returns how many, as other files do."""
        self._buffer += data
        if len(self._buffer) >= BUFFER:
            try:
                self._flush()
            except OSError as error:
                raise self._failure(error) from error
        return len(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        """Add each of these."""
        for line in lines:
            self.write(line)

    def commit(self) -> None:
        """Force the bytes to the disk, give the file its name, and force the name to the disk."""
        try:
            self._flush()
            sync(self._file.descriptor)
            if self._replace:
                self._file.rename(self.path.name)
            else:
                self._file.link(self.path.name)
            sync(self._folder)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of the file, and delete it if it was not committed."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flush(self) -> None:
        self._file.write(self._buffer)
        self._buffer = bytearray()

    def _failure(self, error: OSError) -> InvalidError | StoreUnavailable:
        if isinstance(error, FileExistsError):
            return _taken(self.path)
        return StoreUnavailable(f"cannot write {self.path}: {error.strerror}")


def write_file(
    path: str | os.PathLike[str], data: bytes, *, replace: bool = False, mode: int = 0o666
) -> None:
    """Write a whole file durably; raises what ``NewFile`` does."""
    with NewFile(path, replace=replace, mode=mode) as file:
        file.write(data)
        file.commit()


Named: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A file by its path, or one that is open; such a one is not closed."""


@contextmanager
def reading(source: Named) -> Iterator[BinaryIO]:
    """Open a file to be read; raises NotFoundError if that fails."""
    if not isinstance(source, (str, os.PathLike)):
        yield _check_binary(source, ("read", "seek", "tell"), "rb")
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 -- just below
    except OSError as error:
        raise NotFoundError(f"cannot read {os.fspath(source)}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def writing(out: Named) -> Iterator[BinaryIO]:
    """Make a file that is there, whole and durable, once the block has ended well.

    Raises what ``NewFile`` does.
    """
    if not isinstance(out, (str, os.PathLike)):
        yield _check_binary(out, ("write", "writelines"), "xb")
        return
    with NewFile(out) as file:
        yield cast("BinaryIO", file)
        file.commit()


def _check_binary(file: object, methods: tuple[str, ...], mode: str) -> BinaryIO:
    if isinstance(file, TextIOBase) or not all(hasattr(file, name) for name in methods):
        raise InvalidError(
            f"not a binary file, nor a path: a {type(file).__name__}",
            hint=f"pass the path, or a file opened with {mode!r}",
        )
    return cast("BinaryIO", file)


def check_name(path: Path, *, replace: bool) -> None:
    """Refuse a name that a new file can't take; with ``replace``, a plain file may have it.

    Raises InvalidError, or StoreUnavailable if the folder can't be read.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error
    if stat.S_ISLNK(mode):  # somebody could point it elsewhere in the meantime
        raise InvalidError(f"{path} is a symbolic link", hint="name the file itself")
    if not replace:
        raise _taken(path)
    if not stat.S_ISREG(mode):
        raise InvalidError(f"{path} is not a plain file", hint="name a file, or a new one")


def _taken(path: Path) -> InvalidError:
    return InvalidError(f"{path} exists already", hint="it is not overwritten; choose a new name")


# -- The user's own files --------------------------------------------------------------------------


def read_own(path: str | os.PathLike[str], most: int = -1) -> bytes:
    """Read a file that nobody else may have written, or its first ``most`` bytes.

    It must be a plain file of this user's or of root's that only its owner can write to. So must a
    link that leads to it be theirs, and none of their folders may be one that everybody can write
    to, unless it is sticky as /tmp is. Raises TrustError, or OSError if it can't be read.
    """
    place = as_path(path)
    # O_NONBLOCK: opening a FIFO would wait for its other end.
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 -- a descriptor
        info, link = os.fstat(descriptor), place.lstat()
        why, mend = _why_not_own(info, link, place)
        if why:
            raise TrustError(f"{place} {why}", hint=f"see who changed it, then: {mend}")
        return file.read(most)


def _why_not_own(info: os.stat_result, link: os.stat_result, path: Path) -> tuple[str, str]:
    """Say why others may have written a file, and the command that mends it; or nothing."""
    name = shlex.quote(str(path))
    if not stat.S_ISREG(info.st_mode):
        return "is not a plain file", f"ls -l {name}"
    for owner in (info.st_uid, link.st_uid):
        if owner not in {0, os.geteuid()}:
            return f"belongs to another user ({owner})", f"ls -lL {name}"
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(info.st_mode)
        return f"can be written by others (mode {mode:04o})", f"chmod go-w {name}"
    for folder in {path.absolute().parent, path.resolve().parent}:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            mend = f"chmod o-w {shlex.quote(str(folder))}"
            return f"is in a folder that everybody can write to ({folder})", mend
    return "", ""


def check_outside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Refuse a file inside a store: whoever writes there could change what watches over it."""
    place, root = as_path(path).parent.resolve(), Path(folder).resolve()
    if place == root or root in place.parents:
        raise InvalidError(
            f"{path} would be inside the store: whoever can write to the store could change it",
            hint="keep it in a folder that only you can write to",
        )


# -- Folders, and what reaches the disk ------------------------------------------------------------


def sync(descriptor: int) -> None:
    """Force a file's bytes, or a folder's names, to the disk; raises OSError."""
    if sys.platform == "darwin":  # fsync(2) only reaches the disk's own cache there
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(path: str) -> None:
    """Force the names in a folder to the disk; raises OSError."""
    descriptor = os.open(path, FOLDER)
    try:
        sync(descriptor)
    finally:
        close(descriptor)


def close(descriptor: int) -> None:
    """Close a file or a folder, whatever the system says to that.

    What counts was forced to the disk before. An error raised here would deny a write that
    has happened.
    """
    try:  # noqa: SIM105 -- for each file of each append, at a fraction of what "suppress" takes
        os.close(descriptor)
    except OSError:
        pass


def make_folder(path: str, mode: int = 0o777) -> None:
    """Make a folder and those above it, or find them there, with their names on the disk.

    ``path`` is absolute; ``mode`` is that of the last folder only. Raises OSError.
    """
    above = os.path.dirname(path)  # noqa: PTH120  as fast as it gets
    try:
        _sync_name(above)
    except FileNotFoundError:
        make_folder(above)
    try:
        os.mkdir(path, mode)  # noqa: PTH102
    except FileExistsError:
        _sync_name(path)
    else:
        sync_folder(above)


def _sync_name(path: str) -> None:
    """Force the name of an existing folder to the disk, whoever made the folder.

    Skips a mount point, and a folder inside one that may not be read: we made neither.
    """
    above = os.path.join(path, "..")  # noqa: PTH118  of the folder itself, if this is a link to it
    try:
        if os.stat(path).st_dev == os.stat(above).st_dev:  # noqa: PTH116
            sync_folder(above)
    except PermissionError:
        return


# -- Locks -----------------------------------------------------------------------------------------


def lock_file(path: Path, *, wait: bool = True) -> IO[bytes]:
    """Lock a file, making it if it is missing; the lock lasts until the result is closed.

    It is a file because NFS can't lock a folder. It stays behind: if it were deleted, two processes
    could lock two files of the same name.

    Raises OSError; without ``wait``, BlockingIOError if the file is locked already, be it by this
    process.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        file.close()
        raise
    return file
