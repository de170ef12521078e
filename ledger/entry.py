"""An entry: one version of a title, sealed by a signature, named by its own sha256.

The stored object is exactly ``{"entry":P,"signature":"S"}``: P is the entry in canonical JSON, S
the base64 of the Ed25519 signature over the DSSE pre-authentication encoding of P. The whole is
canonical JSON itself, and P is its bytes from 9 to 104 before the end. ``docs/spec.md`` is the
format; this is its code.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger import canonical, layout, times
from ledger.errors import (
    IntegrityError,
    InvalidError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.keyring import check_origin

if TYPE_CHECKING:
    from ledger.canonical import JSONValue
    from ledger.keyring import Keyring
    from ledger.keys import Signer

__all__ = ["MAX_BYTES", "PAYLOAD_TYPE", "Entry", "digest", "parent_hint", "signed_bytes"]

MAX_BYTES = 1 << 20
"""The largest stored object."""

PAYLOAD_TYPE = b"application/vnd.title-ledger.entry.v1+json"
KIND = "registration"

START = b'{"entry":'
MIDDLE = b',"signature":"'
END = b'"}'
PARENT = b'"parent":'
SIGNATURE_CHARS = 88  # the base64 of 64 bytes
TAIL = len(MIDDLE) + SIGNATURE_CHARS + len(END)

MEMBERS = {
    "document",
    "effective_at",
    "key",
    "kind",
    "ledger",
    "message",
    "parent",
    "recorded_at",
    "reference",
    "title_number",
    "version",
}


def digest(document: dict[str, JSONValue]) -> str:
    """The document digest: hex sha256 of the document's canonical JSON."""
    return hashlib.sha256(canonical.encode(document)).hexdigest()


def signed_bytes(payload: bytes) -> bytes:
    """What is signed: the DSSE v1 pre-authentication encoding of the payload."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE, len(payload), payload)


def parent_hint(data: bytes) -> str | None:
    """Where the parent's address stands in an entry's bytes; a hint, as nothing was checked.

    It is exact for every entry that ``Entry.open`` accepts: the member parent comes after the
    document, nothing after it nests, and in a text its quotes would be escaped.
    """
    start = data.rfind(PARENT) + len(PARENT)
    text = data[start : start + 66].decode("ascii", "replace")
    return text[1:65] if text.startswith('"') else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a title. The members are those of the format, in the format's own texts."""

    address: str
    """Hex sha256 of ``data``: the entry's name."""
    title_number: str
    version: int
    """1 for the first entry of a title, the parent's + 1 after."""
    parent: str | None
    recorded_at: str
    """RFC 3339, UTC, microseconds: ``2026-11-23T10:00:00.000000Z``."""
    effective_at: str | None
    """RFC 3339 date or time from which it holds in law; None: from when it was recorded."""
    message: str
    reference: str
    key: str
    """The signer's key id."""
    ledger: str
    """The ledger's origin."""
    kind: str
    data: bytes = field(repr=False)
    """The stored object."""

    @property
    def payload(self) -> bytes:
        """P: the canonical JSON that is signed (inside ``signed_bytes``)."""
        return self.data[len(START) : -TAIL]

    @property
    def signature(self) -> bytes:
        """The 64 bytes of the signature."""
        return base64.b64decode(self.data[-SIGNATURE_CHARS - len(END) : -len(END)])

    @property
    def document(self) -> dict[str, JSONValue]:
        """The title as registered: a fresh copy at every call."""
        payload: dict[str, Any] = canonical.load(self.payload, depth=canonical.MAX_DEPTH + 1)
        document: dict[str, JSONValue] = payload["document"]
        return document

    @property
    def digest(self) -> str:
        """Hex sha256 of the canonical JSON of the document."""
        return digest(self.document)

    @classmethod
    def seal(
        cls,
        signer: Signer,
        *,
        ledger: str,
        title_number: str,
        document: dict[str, JSONValue],
        recorded_at: str,
        parent: Entry | None = None,
        message: str = "",
        effective_at: str | None = None,
        reference: str = "",
    ) -> Entry:
        """Make and sign the entry that follows ``parent``; MalformedError names what can't be."""
        members: dict[str, JSONValue] = {
            "document": document,
            "effective_at": effective_at,
            "key": signer.key_id,
            "kind": KIND,
            "ledger": ledger,
            "message": message,
            "parent": parent.address if parent else None,
            "recorded_at": recorded_at,
            "reference": reference,
            "title_number": title_number,
            "version": parent.version + 1 if parent else 1,
        }
        _check_members(members)
        try:
            payload = canonical.encode(members, depth=canonical.MAX_DEPTH + 1)
        except InvalidError:
            canonical.encode(document)  # if it is in there, name the place as the caller knows it
            raise
        _check_numbers(document, payload)
        signature = signer.sign(signed_bytes(payload))
        data = START + payload + MIDDLE + base64.b64encode(signature) + END
        if len(data) > MAX_BYTES:
            raise InvalidError(
                f"too large: the entry would be {len(data):,} bytes of {MAX_BYTES:,}"
            )
        return cls._from_members(members, data, hashlib.sha256(data).hexdigest())

    @classmethod
    def unverified(cls, data: bytes) -> Entry:
        """Read an entry without looking at its signature: anyone may have made it.

        Raises MalformedError, or UnsupportedFormatError for a kind that this version doesn't know.
        """
        payload, _, members = _split(data)
        _check_kind(members)
        _check_members(members)
        _check_numbers(members["document"], payload)
        return cls._from_members(members, data, hashlib.sha256(data).hexdigest())

    @classmethod
    def open(
        cls,
        data: bytes,
        *,
        keyring: Keyring,
        ledger: str,
        title_number: str,
        address: str | None = None,
        object_key: str = "",
    ) -> Entry:
        """Read a stored entry and check all that can be told from its bytes.

        The address (if known), the spelling, the members, the signature by a registrar's key that
        counts for this ledger, the ledger and the title. Raises IntegrityError, TrustError or
        UnsupportedFormatError with the finding's slug as ``reason``.
        """
        where = object_key or layout.entry_key(title_number, address or "head")
        found = hashlib.sha256(data).hexdigest()
        if address is not None and found != address:
            raise _broken(where, "address-mismatch", f"its bytes have the sha256 {found}")
        try:
            payload, signature, members = _split(data)
            _check_signature(
                members, payload, signature, keyring=keyring, ledger=ledger, where=where
            )
            _check_kind(members)
            _check_members(members)
            _check_numbers(members["document"], payload)
            entry = cls._from_members(members, data, found)
        except MalformedError as error:
            raise _broken(where, "malformed-entry", str(error)) from None
        if entry.ledger != ledger:
            raise _broken(where, "wrong-ledger", f"it belongs to the ledger {entry.ledger}")
        if entry.title_number != title_number:
            raise _broken(where, "wrong-title", f"it belongs to the title {entry.title_number}")
        return entry

    @classmethod
    def _from_members(cls, members: dict[str, Any], data: bytes, address: str) -> Entry:
        return cls(
            address,
            members["title_number"],
            members["version"],
            members["parent"],
            members["recorded_at"],
            members["effective_at"],
            members["message"],
            members["reference"],
            members["key"],
            members["ledger"],
            members["kind"],
            data,
        )


def _broken(where: str, reason: str, why: str) -> IntegrityError:
    return IntegrityError(f"{where}: {why}", reason=reason, object_key=where)


def _split(data: bytes) -> tuple[bytes, bytes, dict[str, Any]]:
    """The payload, the signature and the members of an object that is canonical throughout."""
    if len(data) > MAX_BYTES:
        raise MalformedError(f"too large: {len(data):,} bytes, at most {MAX_BYTES:,}")
    middle = len(data) - TAIL
    if not (data.startswith(START) and data[middle:].startswith(MIDDLE) and data.endswith(END)):
        raise MalformedError('not an entry: expected {"entry":…,"signature":"…"}')
    text = data[middle + len(MIDDLE) : -len(END)]
    try:
        signature = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise MalformedError("the signature is no base64") from None
    if len(signature) != 64 or base64.b64encode(signature) != text:
        raise MalformedError("the signature is not the canonical base64 of 64 bytes")
    value = canonical.load(data, depth=canonical.MAX_DEPTH + 2)
    if value.keys() != {"entry", "signature"} or not isinstance(value["entry"], dict):
        raise MalformedError("not an entry: expected the members entry and signature")
    return data[len(START) : middle], signature, value["entry"]


def _check_signature(
    members: dict[str, Any],
    payload: bytes,
    signature: bytes,
    *,
    keyring: Keyring,
    ledger: str,
    where: str,
) -> None:
    key_id = members.get("key")
    if not layout.is_address(key_id):
        raise MalformedError("the member key is no key id (64 lower-case hex digits)")
    assert isinstance(key_id, str)  # noqa: S101 -- for the type checker
    key = keyring.key(ledger, key_id)
    if key is None:
        known = keyring.has_key(key_id)
        raise TrustError(
            f"{where}: signed by key {key_id[:16]}…, which "
            + (f"is trusted, but not as a registrar of {ledger}" if known else "the keyring lacks"),
            hint=f"'ledger key trust FILE --origin {ledger}', if its owner confirms the key id",
            reason="untrusted-key" if known else "unknown-key",
            object_key=where,
        )
    if not key.verify(signature, signed_bytes(payload)):
        raise _broken(where, "bad-signature", f"the signature is not that of key {key_id[:16]}…")


def _check_kind(members: dict[str, Any]) -> None:
    # Before all other members: another kind may have others.
    kind = members.get("kind")
    if isinstance(kind, str) and kind != KIND:
        raise UnsupportedFormatError(
            f"an entry of the kind {kind!a:.40}, which this version doesn't know",
            hint="a newer version of this software may",
        )


def _check_members(members: dict[str, Any]) -> None:
    """Check every member of the format, in the order of ``docs/spec.md``; raises MalformedError."""
    if members.keys() != MEMBERS:
        odd = ", ".join(sorted(members.keys() ^ MEMBERS))
        raise MalformedError(f"missing or unknown members: {odd!a:.200}")
    for name in ("message", "reference", "kind"):
        if not isinstance(members[name], str):
            raise MalformedError(f"the member {name} is no string")
    version, parent = members["version"], members["parent"]
    if type(version) is not int or version < 1:
        raise MalformedError("the member version is no integer from 1 on")
    if (parent is None) != (version == 1) or not (parent is None or layout.is_address(parent)):
        raise MalformedError("the member parent is no address, or null other than at version 1")
    if not layout.is_address(members["key"]):
        raise MalformedError("the member key is no key id (64 lower-case hex digits)")
    if not times.is_recorded_time(members["recorded_at"]):
        raise MalformedError("the member recorded_at is no UTC time with microseconds")
    effective_at = members["effective_at"]
    if not (effective_at is None or isinstance(effective_at, str)):
        raise MalformedError("the member effective_at is no string and not null")
    times.check_effective(effective_at)
    check_origin(members["ledger"])
    layout.check_title_number(members["title_number"])
    check_document(members["document"], members["title_number"])


def check_document(document: object, title_number: str) -> None:
    """Refuse a document that no entry may carry; raises InvalidError naming the member."""
    if not isinstance(document, dict):
        raise InvalidError(f"a document is a JSON object, not {type(document).__name__}")
    if "title_number" in document and document["title_number"] != title_number:
        raise InvalidError(
            f"the document's title_number is {document['title_number']!a:.80},"
            f" the entry's {title_number}"
        )
    if "sha256" in document:
        raise InvalidError(
            "the document has a top-level member sha256, a name kept for its digest",
            hint="leave it out: the digest is computed",
        )


def _check_numbers(document: JSONValue, spelled: bytes) -> None:
    """Refuse 1e30 and its like: canonical JSON could keep them, but others' readers can't."""
    if b"+" not in spelled:  # canonical JSON spells every one of them with an e+
        return
    todo: list[tuple[JSONValue, tuple[str | int, ...]]] = [(document, ())]
    while todo:
        value, path = todo.pop()
        if isinstance(value, dict):
            todo.extend((member, (*path, name)) for name, member in value.items())
        elif isinstance(value, list):
            todo.extend((item, (*path, index)) for index, item in enumerate(value))
        elif isinstance(value, float) and abs(value) > canonical.MAX_INTEGER:
            place = canonical.pointer(path)
            raise InvalidError(f"number beyond 2^53-1 at {place}: write it as a string")
