"""A file that takes its name only once it is whole and on the disk."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import InvalidError, StoreUnavailable
from ledger.local.files import sync, sync_folder

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["NewFile", "check_outside"]

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class NewFile:
    """Written under a temporary name in the same folder; ``commit`` gives it its own.

    Without ``commit``, nothing is left of it. ``replace``: it may take the place of a plain file;
    otherwise one that exists is refused, at the start and at the end. Raises InvalidError for a
    name that can't be taken, StoreUnavailable where the folder can't be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, replace: bool = False, mode: int = 0o666
    ) -> None:
        self.path = Path(path)
        self._replace = replace
        check_name(self.path, replace=replace)
        self._temporary = self.path.with_name(f".{self.path.name}-{secrets.token_hex(4)}")
        try:
            self._file = os.fdopen(os.open(self._temporary, NEW, mode), "w+b")
        except OSError as error:
            raise self._failure(error) from error

    def write(self, data: bytes) -> None:
        """Add bytes to it."""
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def commit(self) -> None:
        """Force the bytes to the disk, then give the file its name, and force that, too."""
        try:
            self._file.flush()
            sync(self._file.fileno())
            check_name(self.path, replace=self._replace)
            if self._replace:
                self._temporary.replace(self.path)
            else:
                os.link(self._temporary, self.path)  # unlike a rename, this never replaces
            sync_folder(str(self.path.parent))
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file, and of what was not committed."""
        self._temporary.unlink(missing_ok=True)
        try:
            self._file.close()  # writes what is left in the buffer: the disk may be full
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"cannot write {self.path}: {error.strerror}")


def check_name(path: Path, *, replace: bool) -> None:
    """Refuse a name that a file can't take: a link could be pointed elsewhere under our hands."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error
    if stat.S_ISLNK(mode):
        raise InvalidError(f"{path} is a symbolic link", hint="name the file itself")
    if not replace:
        raise InvalidError(f"{path} exists already", hint="it is not overwritten; choose a name")
    if not stat.S_ISREG(mode):
        raise InvalidError(f"{path} is no plain file")


def check_outside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Refuse a file inside the folder: who writes there could change what is to watch over it."""
    place, root = Path(path).parent.resolve(), Path(folder).resolve()
    if place == root or root in place.parents:
        raise InvalidError(
            f"{path} would lie in the store itself: whoever can write there could change it",
            hint="keep it in a folder that is yours alone",
        )
