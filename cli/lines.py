"""The lines of a batch: what each of them registers, and the reference that makes it repeatable.

A line is a document with its ``title_number``, or an envelope around one: an object that has the
member ``document``, and none but those of ``MEMBERS``.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ledger import Draft, InvalidError, MalformedError, NotFoundError
from ledger.batch import check_draft
from ledger.canonical import MAX_DEPTH, decode, encode
from ledger.entry import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BadLine", "Lines"]

MEMBERS = {"title_number", "document", "reference", "message", "effective_at"}
LONGEST = MAX_BYTES * 8
"""How long a line may be: one of that many bytes can still be an entry, in a wasteful spelling."""

BUCKETS = 256


class BadLine(NamedTuple):
    """A line that can't be appended, and why."""

    number: int
    error: MalformedError


class Lines:
    """The lines of a file that can be read twice: to be checked first, then to be appended.

    A line without a reference gets ``PREFIX:DIGEST:N``: the sha256 of its canonical JSON, and which
    occurrence of it in the file it is. So the same line in the same file is the same append,
    wherever in the file it is and however it is spelled.
    """

    def __init__(
        self, source: BinaryIO, prefix: str, *, message: str = "", effective_at: str | None = None
    ) -> None:
        self._source = source
        self._prefix = prefix
        self._defaults = {"message": message, "effective_at": effective_at, "reference": ""}
        self._repeated: set[int] = set()
        self.total = 0
        """How many lines there are, once they were checked; blank ones don't count."""
        self.nameless = 0
        """How many of them have no reference of their own."""

    def check(self) -> Iterator[BadLine]:
        """Every line that no append would accept; to be read to the end before ``drafts``."""
        occurrences = _Occurrences()
        for number, line in _read(self._source):
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
        """The lines with their numbers, as what is to be appended."""
        seen: Counter[int] = Counter()
        for number, line in _read(self._source):
            draft, digest = self._draft(line)
            if digest:
                short = _short(digest)
                if short in self._repeated:
                    seen[short] += 1
                draft = self._named(draft, digest, seen[short] or 1)
            yield number, draft

    def _draft(self, line: bytes) -> tuple[Draft, bytes]:
        """What a line registers; and its digest, if it has no reference."""
        if len(line) > LONGEST:
            raise InvalidError(f"too large: an entry has at most {MAX_BYTES:,} bytes")
        value: Any = decode(line, depth=MAX_DEPTH + 1)
        if not isinstance(value, dict):
            raise InvalidError("not an object: a line is a document, or an envelope around one")
        is_envelope = "document" in value and value.keys() <= MEMBERS
        if "title_number" not in value:
            raise InvalidError("it has no member title_number")
        about = self._defaults | (value if is_envelope else {"document": value})
        draft = Draft(**about | {"title_number": value["title_number"]})
        if draft.reference != "":  # a null is no reference either, and is refused
            return draft, b""
        return draft, hashlib.sha256(encode(value, depth=MAX_DEPTH + 1)).digest()

    def _named(self, draft: Draft, digest: bytes, occurrence: int) -> Draft:
        return replace(draft, reference=f"{self._prefix}:{digest.hex()}:{occurrence}")


class _Occurrences:
    """Finds what occurs more than once among millions, in eight bytes of memory for each."""

    def __init__(self) -> None:
        # In buckets, so that only one of them at a time becomes a list of Python's own integers.
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
    """The first eight bytes of a digest, to count by.

    Two lines that share them would be counted as one. Their references differ all the same, by the
    whole digest, and are the same in every run.
    """
    return int.from_bytes(digest[:8])


def _read(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number; of a very long one only the beginning."""
    number = 0
    try:
        source.seek(0)
        while line := source.readline(LONGEST + 1):
            number += 1
            rest = line
            while not rest.endswith(b"\n") and (rest := source.readline(LONGEST)):
                pass
            if line.strip():
                yield number, line
    except OSError as error:
        raise NotFoundError(f"cannot read line {number + 1}: {error.strerror}") from error
