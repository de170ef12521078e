"""Read the lines of a batch, and give each the reference that makes it repeatable.

A line is a document with its ``title_number``, or an envelope around one: an object with the member
``document``, and no members but ``MEMBERS``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from cli.inputs import check_own_document
from ledger import ANY, Draft, InvalidError, MalformedError, NotFoundError
from ledger.format.canonical import MAX_DEPTH, decode, encode
from ledger.format.entry import KINDS, MAX_BYTES
from ledger.format.layout import check_address, check_title_number
from ledger.titles.batch import check_draft

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BadLine", "Lines"]

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
LONGEST = MAX_BYTES * 8
"""The longest line, in bytes. Written wastefully, an entry can need that many."""

BUCKETS = 256


class BadLine(NamedTuple):
    """A line that can't be appended, and why."""

    number: int
    error: MalformedError


class Lines:
    """The lines of a file that is read twice: first to check it, then to append it.

    A line without a reference gets ``PREFIX:DIGEST:N``: the sha256 of its canonical JSON, and a
    number that counts its occurrences in the file. So the same line in the same file is the same
    append, wherever it is and however its JSON is spelled.
    """

    def __init__(
        self,
        source: BinaryIO,
        prefix: str,
        *,
        as_document: bool = False,
        parents: dict[str, str | None] | None = None,
        **about: Any,
    ) -> None:
        """Prepare to read; ``about`` holds the members for lines that don't have their own.

        ``parents``: envelopes may have a member ``parent``, which is noted here for their titles.
        """
        self._source = _Twice(source)
        self._prefix = prefix
        self._as_document = as_document
        self._parents = parents
        self._defaults = DEFAULTS | about
        self._repeated: set[int] = set()
        self.total = 0
        """How many lines there are, once checked; blank ones don't count."""
        self.nameless = 0
        """How many lines have no reference of their own."""

    def check(self) -> Iterator[BadLine]:
        """Yield every line that no append would accept; read it to the end before ``drafts``."""
        occurrences = _Occurrences()
        for number, line in self._source.first():
            self.total += 1
            try:
                draft, digest = self._draft(line)
                if digest:
                    self.nameless += 1
                    occurrences.add(_short(digest))
                    draft = self._named(draft, digest, 1)
                check_draft(draft)
            except MalformedError as error:
                yield BadLine(number, error)
        self._repeated = occurrences.repeated()

    def drafts(self) -> Iterator[tuple[int, Draft]]:
        """Yield the drafts with the numbers of their lines.

        Raises InvalidError if the file is no longer the one that was checked. A line that was
        added in the meantime is never among the drafts.
        """
        seen: Counter[bytes] = Counter()
        for number, line in self._source.again():
            try:
                draft, digest = self._draft(line)
            except MalformedError as error:
                raise _changed(number) from error
            if digest:
                if _short(digest) in self._repeated:
                    seen[digest] += 1
                draft = self._named(draft, digest, seen[digest] or 1)
            yield number, draft

    def _draft(self, line: bytes) -> tuple[Draft, bytes]:
        """Return the draft in a line, and the digest of the line if it has no reference."""
        if len(line) > LONGEST:
            raise InvalidError(f"too large: an entry has at most {MAX_BYTES:,} bytes")
        value: Any = decode(line, depth=MAX_DEPTH + 1)
        if not isinstance(value, dict):
            raise InvalidError(
                "not a JSON object: write one object per line, a document or an envelope around one"
            )
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
        return replace(draft, reference=f"{self._prefix}:{digest.hex()}:{occurrence}")


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
        self._found: tuple[int, ...] = ()
        self._size = 0
        self._digest = b""

    def first(self) -> Iterator[tuple[int, bytes]]:
        """Yield every line that is not blank, with its number."""
        self._found = self._stamp()
        whole = hashlib.sha256()
        yield from _read(self._source, sys.maxsize, whole)
        self._size = self._source.tell()
        self._digest = whole.digest()

    def again(self) -> Iterator[tuple[int, bytes]]:
        """Yield the same lines; raises InvalidError once it finds that they differ."""
        if self._stamp() != self._found:
            raise _changed(0)
        number, whole = 0, hashlib.sha256()
        for number, line in _read(self._source, self._size, whole):
            if self._stamp() != self._found:
                raise _changed(number)
            yield number, line
        # Finds a change that the file's time does not show, or that a file without a time had.
        if whole.digest() != self._digest or self._source.read(1):
            raise _changed(number + 1)

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = os.fstat(self._source.fileno())
        except OSError:  # a file in memory
            return ()
        return found.st_size, found.st_mtime_ns


def _changed(number: int) -> InvalidError:
    """Make the error. ``number`` is the first line that was not appended; 0: none was."""
    again = "once it is complete, append it again: what is there already stays as it is"
    if number:
        return InvalidError(
            f"the file changed while it was read; stopped before line {number}",
            hint=f"some of the lines before may have changed as well; {again}",
        )
    return InvalidError("the file changed after it was checked; nothing was written", hint=again)


def _read(source: BinaryIO, size: int, whole: hashlib._Hash) -> Iterator[tuple[int, bytes]]:
    """Yield every line that is not blank, with its number; only the beginning of a very long one.

    Reads the first ``size`` bytes, and adds them to the digest.
    """
    number = 0

    def read(most: int) -> bytes:
        part = source.readline(min(most, size - source.tell()))
        whole.update(part)
        return part

    try:
        source.seek(0)
        while line := read(LONGEST + 1):
            number += 1
            rest = line
            while not rest.endswith(b"\n") and (rest := read(LONGEST)):
                pass
            if line.strip():
                yield number, line
    except OSError as error:
        raise NotFoundError(f"cannot read line {number + 1}: {error.strerror}") from error
