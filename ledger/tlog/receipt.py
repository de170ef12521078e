"""Receipts: that an entry is in the log, provable offline (c2sp.org/tlog-proof).

::

    c2sp.org/tlog-proof@v1
    index 73894
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
    B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

    example.org/titles
    109482
    ...

The index of the leaf, the inclusion proof from the leaf's sibling up, an empty line, and a signed
checkpoint as the log gave it. A line ``extra`` before the index may hold anything; nothing vouches
for it, and receipts made here have none. The leaf itself is not in the receipt: it follows from
the entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import InvalidError, MalformedError
from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey, open_checkpoint
from ledger.tlog.merkle import HASH_BYTES, MAX_SIZE, check_inclusion, hash_leaf
from ledger.tlog.note import MAX_NOTE_BYTES, decode_base64, encode_base64, parse_unverified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.pem import VerifyingKey

FIRST_LINE = "c2sp.org/tlog-proof@v1"
EXTRA = re.compile(r"extra ([A-Za-z0-9+/=]+)")
INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
MAX_PROOF = 63
"""No tree is higher than the largest size has bits."""

MAX_RECEIPT_BYTES = 2 * MAX_NOTE_BYTES


@dataclass(frozen=True, slots=True)
class Receipt:
    """A proof as a text, of which nothing is verified: ``check_receipt`` does that."""

    index: int
    proof: tuple[bytes, ...]
    note: bytes
    """The signed checkpoint."""
    extra: bytes = b""
    """Never to be trusted."""

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE:
            raise InvalidError(f"not the index of a leaf: {self.index}")
        if len(self.proof) > MAX_PROOF or any(len(h) != HASH_BYTES for h in self.proof):
            raise InvalidError(f"not an inclusion proof: at most {MAX_PROOF} sha256 hashes")
        parse_unverified(self.note)

    def encode(self) -> bytes:
        """The text of the receipt."""
        lines = [FIRST_LINE]
        if self.extra:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [encode_base64(each) for each in self.proof]
        return "".join(f"{line}\n" for line in [*lines, ""]).encode() + self.note

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """Read a receipt; raises MalformedError for every other text."""
        head, blank, note = data.partition(b"\n\n")
        if len(data) > MAX_RECEIPT_BYTES or not blank or not head.isascii():
            raise MalformedError("not a receipt: no proof before an empty line")
        first, *lines = head.decode().split("\n")
        if first != FIRST_LINE:
            raise MalformedError(f"not a receipt: it does not begin with {FIRST_LINE}")
        extra = EXTRA.fullmatch(lines[0]) if lines else None
        if extra:
            del lines[0]
        index = INDEX.fullmatch(lines[0]) if lines else None
        if not index:
            raise MalformedError("not a receipt: no index of a leaf")
        return cls(
            int(index[1]),
            tuple(decode_base64(line) for line in lines[1:]),
            note,
            decode_base64(extra[1]) if extra else b"",
        )


def check_receipt(
    receipt: Receipt,
    leaf: bytes,
    *,
    origin: str,
    log_keys: Iterable[VerifyingKey],
    witnesses: Iterable[WitnessKey] = (),
    any_algorithm: bool = False,
) -> SignedCheckpoint:
    """Check that the log holds this leaf, and return the checkpoint that says so.

    ``any_algorithm``: see ``open_checkpoint``; the caller judges who signed. How many of its
    cosignatures are enough is the caller's policy. Raises what ``open_checkpoint`` raises, and
    IntegrityError (reason ``not-included``) if the leaf is another.
    """
    signed = open_checkpoint(
        receipt.note,
        origin=origin,
        log_keys=log_keys,
        witnesses=witnesses,
        any_algorithm=any_algorithm,
    )
    checkpoint = signed.checkpoint
    check_inclusion(hash_leaf(leaf), receipt.index, checkpoint.size, receipt.proof, checkpoint.root)
    return signed
