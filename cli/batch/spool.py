"""Input that can be read once, as a file that can be read twice."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from ledger.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["spooled"]


@contextmanager
def spooled(source: BinaryIO) -> Iterator[BinaryIO]:
    """A temporary file with all that the source had, read from its beginning.

    Raises StoreUnavailable where there is no room for it.
    """
    with tempfile.TemporaryFile() as spool:
        try:
            while chunk := source.read(1 << 20):
                spool.write(chunk)
            spool.seek(0)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot keep the input in a temporary file: {error.strerror}",
                hint="make room where temporary files are, or name another folder in TMPDIR",
            ) from error
        yield cast("BinaryIO", spool)
