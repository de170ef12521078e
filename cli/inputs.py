"""Open and read the files that a command line names; ``-`` is standard input."""

from __future__ import annotations

import codecs
import hashlib
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ledger import InvalidError, MalformedError, NotFoundError
from ledger.errors import StoreUnavailable
from ledger.format.canonical import decode
from ledger.format.entry import MAX_BYTES
from ledger.format.pem import VerifyingKey, read_public_keys
from ledger.titles.draft import check_own_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader


def read_input(file: str | Path, most: int = -1) -> bytes:
    """Read a file, or its first ``most`` bytes; raises NotFoundError."""
    try:
        if file == "-":
            return sys.stdin.buffer.read(most)
        with Path(file).open("rb") as source:
            return source.read(most)
    except OSError as error:
        raise cannot_read(file, error) from error


def read_document(file: str, *, as_document: bool = False) -> dict[str, Any]:
    """Read a document; raises NotFoundError, or InvalidError for what is none.

    Unless ``as_document``, what looks like one of our own files is refused.
    """
    # One byte more than an entry can ever need shows that the file is too large.
    data = read_input(file, MAX_BYTES * 8 + 1)
    if len(data) > MAX_BYTES * 8:
        raise InvalidError(f"{file} is too large: an entry has at most {MAX_BYTES:,} bytes")
    where = "standard input" if file == "-" else file
    try:
        data.decode()
        document = decode(data)
    except UnicodeDecodeError as error:
        is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "UTF-16" if is_utf16 else "WINDOWS-1252"
        name = "FILE" if file == "-" else shlex.quote(file)
        raise MalformedError(
            f"{where}: not UTF-8 (at byte {error.start})",
            hint=f"'iconv -f {encoding} -t UTF-8 {name} > utf8' converts it",
        ) from None
    except MalformedError as error:
        raise type(error)(f"{where}: {error}", hint=error.hint) from None
    if not isinstance(document, dict):
        raise InvalidError(
            f"{file}: not a JSON object", hint='write the document as {"name": value, …}'
        )
    if not as_document:
        check_own_document(document)
    return document


def read_keys(file: str | Path) -> tuple[VerifyingKey, ...]:
    """Read a file of public keys; raises NotFoundError or MalformedError."""
    with naming(file):
        return read_public_keys(read_input(file))


@contextmanager
def naming(file: str | Path) -> Iterator[None]:
    """Put the name of a file before what is wrong with it."""
    try:
        yield
    except MalformedError as error:
        raise MalformedError(f"{file}: {error}", hint=error.hint) from error


@contextmanager
def spooled(source: BinaryIO) -> Iterator[BinaryIO]:
    """Copy what can be read only once to a temporary file, and give the file from its beginning.

    Raises StoreUnavailable if there is no room for it.
    """
    import tempfile  # noqa: PLC0415 -- slow to load

    with tempfile.TemporaryFile() as spool:
        try:
            while chunk := source.read(1 << 20):
                spool.write(chunk)
            spool.seek(0)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot keep the input in a temporary file: {error.strerror}",
                hint=f"make room in {tempfile.gettempdir()}, or set TMPDIR to another folder",
            ) from error
        yield cast("BinaryIO", spool)


def sha256_of(source: BinaryIO) -> str:
    """The sha256 of a whole file, in hex."""
    source.seek(0)
    return hashlib.file_digest(cast("BufferedReader", source), "sha256").hexdigest()


def cannot_read(file: str | Path, error: OSError) -> NotFoundError:
    """The error for a file that can't be read."""
    what = "standard input" if file == "-" else file
    return NotFoundError(f"cannot read {what}: {error.strerror}")
