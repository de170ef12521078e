"""Read the records of a batch, and give each the reference that makes it repeatable.

A record is a document with its ``title_number``, or an envelope around one: an object with the
member ``document``, and no members but ``MEMBERS``.
"""

from __future__ import annotations

import hashlib
import io
import os
from array import array
from collections import Counter
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

import msgspec

from cli.batch.records import (
    BEGINNING,
    EncodingError,
    Place,
    Record,
    check_encoding,
    find_reader,
    looks_like_json,
)
from ledger import ANY, Draft, InvalidError, MalformedError, NotFoundError
from ledger.format.canonical import MAX_DEPTH, JSONValue, encode
from ledger.format.entry import KINDS
from ledger.format.layout import check_address, check_title_number
from ledger.titles.batch import check_draft
from ledger.titles.draft import check_own_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.batch.rows import Columns

DEFAULTS: dict[str, Any] = {
    "reference": "",
    "message": "",
    "effective_at": None,
    "effective_until": None,
    "author": "",
    "kind": KINDS[0],
    "status": None,
}
"""What an envelope may say besides the title and the document, and what holds if it doesn't."""

MEMBERS = {"title_number", "document", *DEFAULTS}
BUCKETS = 256
BUFFER = 1 << 18

Reader: TypeAlias = "Callable[[BinaryIO], Iterator[Record]]"


class BadLine(NamedTuple):
    """A record that can't be appended, and why."""

    place: Place
    error: MalformedError


class Lines:
    """The records of a file that is read twice: first to check it, then to append it.

    A record without a reference gets ``PREFIX:DIGEST:N``: the sha256 of its canonical JSON, and a
    number that counts its occurrences in the file. So the same record in the same file is the same
    append, wherever it is and however its JSON is spelled.
    """

    def __init__(
        self,
        source: BinaryIO,
        prefix: str,
        *,
        columns: Columns | None = None,
        check: Callable[[JSONValue], None] | None = None,
        as_document: bool = False,
        parents: dict[str, str | None] | None = None,
        **about: Any,
    ) -> None:
        """Prepare to read; ``about`` holds the members for records that don't have their own.

        ``columns``: the file is CSV. ``check``: what refuses documents, beside the format.
        ``parents``: envelopes may have a member ``parent``, which is noted here for their titles.
        """
        self._source = _Twice(source)
        self._prefix = prefix
        self._columns = columns
        self._check = check
        self._as_document = as_document
        self._parents = parents
        self._defaults = DEFAULTS | about
        self._repeated: set[int] = set()
        self.total = 0
        """How many records there are, once checked; blank lines don't count."""
        self.nameless = 0
        """How many records have no reference of their own."""

    def check(self, each: Callable[[int], None] = lambda _: None) -> Iterator[BadLine]:
        """Yield every record that no append would accept; read it to the end before ``drafts``.

        ``each`` hears after every record how many bytes were read. Raises MalformedError for what
        is wrong with the file as a whole.
        """
        occurrences = _Occurrences()
        beginning = self._source.beginning()
        check_encoding(beginning)
        if self._columns is not None:
            if not self._columns.names and looks_like_json(beginning):
                raise InvalidError("it looks like JSON", hint="leave out --csv")
            from cli.batch.rows import read_rows  # noqa: PLC0415 -- seldom needed

            reader: Reader = partial(read_rows, self._columns)
        else:
            reader = find_reader(beginning)
        for place, read in self._source.first(reader, each):
            self.total += 1
            try:
                draft, digest = self._draft(read())
                if digest:
                    self.nameless += 1
                    occurrences.add(_short(digest))
                    draft = self._named(draft, digest, 1)
                check_draft(draft)
                if self._check is not None:
                    self._check(draft.document)
            except EncodingError:
                raise
            except MalformedError as error:
                yield BadLine(place, error)
        self._repeated = occurrences.repeated()

    def drafts(self) -> Iterator[tuple[Place, Draft]]:
        """Yield the drafts with their places.

        Raises InvalidError if the file is no longer the one that was checked. A record that was
        added in the meantime is never among the drafts.
        """
        seen: Counter[bytes] = Counter()
        for place, read in self._source.again():
            try:
                draft, digest = self._draft(read())
            except MalformedError as error:
                raise _changed(place) from error
            if digest:
                if _short(digest) in self._repeated:
                    seen[digest] += 1
                draft = self._named(draft, digest, seen[digest] or 1)
            yield place, draft

    def _draft(self, value: Any) -> tuple[Draft, bytes]:
        """Return the draft in a record, and the digest of the record if it has no reference."""
        if not isinstance(value, dict):
            raise InvalidError("not a JSON object: write a document, or an envelope around one")
        if "title_number" not in value:
            raise InvalidError("it has no member title_number")
        is_envelope = "document" in value
        parent = value.pop("parent", ANY) if is_envelope and self._parents is not None else ANY
        if is_envelope and (odd := value.keys() - MEMBERS):
            raise InvalidError(
                f"an envelope has no member {', '.join(sorted(odd))!a:.80}; to register a document"
                " with a member document, put it into an envelope"
            )
        about = self._defaults | (value if is_envelope else {"document": value})
        name = check_title_number(value["title_number"], place="its title_number")
        draft = Draft(**about | {"title_number": name})
        if parent is not ANY:
            self._note_parent(name, parent)
        if not self._as_document and isinstance(draft.document, dict):
            check_own_document(draft.document)
        if draft.reference != "":  # null is not a reference either, and is refused later
            return draft, b""
        return draft, hashlib.sha256(encode(value, depth=MAX_DEPTH + 1)).digest()

    def _note_parent(self, title_number: str, parent: object) -> None:
        """Note what the head of a title has to be: an address, or null for a title that is new."""
        assert self._parents is not None  # noqa: S101 -- asked just before
        found = None if parent is None else check_address(parent)
        if self._parents.setdefault(title_number, found) != found:
            raise InvalidError(f"another line gives {title_number!a:.80} another parent")

    def _named(self, draft: Draft, digest: bytes, occurrence: int) -> Draft:
        return msgspec.structs.replace(
            draft, reference=f"{self._prefix}:{digest.hex()}:{occurrence}"
        )


class _Occurrences:
    """Finds the numbers that occur more than once among millions, in eight bytes each."""

    def __init__(self) -> None:
        # In buckets, so that only one at a time becomes a list of Python integers.
        self._buckets = [array("Q") for _ in range(BUCKETS)]

    def add(self, number: int) -> None:
        self._buckets[number % BUCKETS].append(number)

    def repeated(self) -> set[int]:
        return {
            one
            for bucket in self._buckets
            for one, next_one in pairwise(sorted(bucket))
            if one == next_one
        }


def _short(digest: bytes) -> int:
    """Return the first eight bytes of a digest, which find the lines that may repeat.

    Lines that share them are then counted by their whole digests.
    """
    return int.from_bytes(digest[:8])


class _Twice:
    """A file that is read twice, and must be the same both times."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._reader: Reader = find_reader(b"")
        self._found: tuple[int, ...] = ()
        self._size: int | None = None
        self._digest = b""

    def beginning(self) -> bytes:
        """Return the first bytes."""
        self._source.seek(0)
        return self._source.read(BEGINNING)

    def first(self, reader: Reader, each: Callable[[int], None]) -> Iterator[Record]:
        """Yield every record; ``each`` hears how far it is."""
        self._reader = reader
        self._found = self._stamp()
        source = _Counted(self._source, None)
        for record in _reading(reader, source):
            yield record
            each(source.size)
        self._size, self._digest = source.size, source.digest()

    def again(self) -> Iterator[Record]:
        """Yield the same records; raises InvalidError once it finds that they differ."""
        if self._stamp() != self._found:
            raise _changed(None)
        source = _Counted(self._source, self._size)
        records = _reading(self._reader, source)
        last: Place | None = None
        while True:
            try:
                record = next(records, None)
            except MalformedError as error:
                raise _changed(last, "after") from error
            if record is None:
                break
            if self._stamp() != self._found:
                raise _changed(record.place)
            yield record
            last = record.place
        # Finds a change that the file's time does not show, or that a file without a time had.
        if source.digest() != self._digest or self._source.read(1):
            raise _changed(last, "after")

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = os.fstat(self._source.fileno())
        except OSError:  # a file in memory
            return ()
        return found.st_size, found.st_mtime_ns


def _changed(place: Place | None, where: str = "before") -> InvalidError:
    """Make the error; ``place`` tells where the appends stopped. None: nothing was appended."""
    again = "once it is complete, append it again: what is there already stays as it is"
    if place is not None:
        return InvalidError(
            f"the file changed while it was read; stopped {where} {place}",
            hint=f"some of what came before may have changed as well; {again}",
        )
    return InvalidError("the file changed after it was checked; nothing was written", hint=again)


class _Counted(io.RawIOBase):
    """The first bytes of a file, which are counted and hashed as they are read."""

    def __init__(self, source: BinaryIO, most: int | None) -> None:
        self._source = source
        self._most = most
        self._whole = hashlib.sha256()
        self.size = 0
        source.seek(0)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        size = len(into) if self._most is None else min(len(into), self._most - self.size)
        data = self._source.read(size)
        into[: len(data)] = data
        self._whole.update(data)
        self.size += len(data)
        return len(data)

    def digest(self) -> bytes:
        return self._whole.digest()


def _reading(reader: Reader, source: _Counted) -> Iterator[Record]:
    try:
        yield from reader(io.BufferedReader(source, BUFFER))
    except OSError as error:
        raise NotFoundError(f"cannot read after {source.size:,} bytes: {error.strerror}") from error
