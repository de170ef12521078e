"""An entry: one version of a title, signed, and named by its own sha256.

The stored object is exactly ``{"entry":P,"signature":"S"}``: P is the entry in canonical JSON, S
the base64 of the Ed25519 signature over the DSSE pre-authentication encoding of P. The whole is
canonical JSON itself, and P is its bytes from 9 to 104 before the end. ``docs/spec.md`` is the
format; this is its code.
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any

import msgspec

from ledger.errors import (
    IntegrityError,
    InvalidError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import canonical, layout, times
from ledger.format.keyring import check_origin

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue
    from ledger.format.keyring import Keyring
    from ledger.format.keys import Signer

__all__ = [
    "MAX_BYTES",
    "PAYLOAD_TYPE",
    "Entry",
    "digest",
    "entry_json",
    "parent_hint",
    "signed_bytes",
    "version_hint",
]

MAX_BYTES = 1 << 20
"""The largest stored object."""

PAYLOAD_TYPE = b"application/vnd.title-ledger.entry.v1+json"
PREFIX = b"DSSEv1 %d %b " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE)
KIND = "registration"

START = b'{"entry":'
MIDDLE = b',"signature":"'
END = b'"}'
PARENT = b'"parent":'
VERSION = b',"version":'
SIGNATURE_CHARS = 88  # the base64 of 64 bytes
TAIL = len(MIDDLE) + SIGNATURE_CHARS + len(END)

ENVELOPE = {"entry", "signature"}
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
    return PREFIX + b"%d " % len(payload) + payload


def parent_hint(data: bytes) -> str | None:
    """Where the parent's address stands in an entry's bytes; a hint, as nothing was checked.

    It is exact for every entry that ``Entry.open`` accepts: the member parent comes after the
    document, nothing after it nests, and in a text its quotes would be escaped.
    """
    start = data.rfind(PARENT) + len(PARENT)
    text = data[start : start + 66].decode("ascii", "replace")
    return text[1:65] if text.startswith('"') else None


def version_hint(data: bytes) -> int:
    """Which version an entry's bytes say they are; a hint, as nothing was checked. 0: none."""
    digits = data[:-TAIL].rpartition(VERSION)[2].removesuffix(b"}")
    return int(digits) if digits.isdigit() and len(digits) < 17 else 0


class Entry(msgspec.Struct, frozen=True, gc=False):
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
    data: bytes
    """The stored object."""

    def __repr__(self) -> str:
        return f"Entry({self.title_number} version {self.version}: {self.address})"

    @property
    def payload(self) -> bytes:
        """P: the canonical JSON that is signed (inside ``signed_bytes``)."""
        return self.data[len(START) : -TAIL]

    @property
    def signature(self) -> bytes:
        """The 64 bytes of the signature."""
        return a2b_base64(self.data[-SIGNATURE_CHARS - len(END) : -len(END)])

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
    def sign(
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
        _check_key_id(signer.key_id)
        _check_members(members)
        try:
            payload = canonical.encode(members, depth=canonical.MAX_DEPTH + 1)
        except InvalidError:
            canonical.encode(document)  # if it is in there, name the place as the caller knows it
            raise
        _check_numbers(document, payload)
        signature = signer.sign(signed_bytes(payload))
        data = START + payload + MIDDLE + b2a_base64(signature, newline=False) + END
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
        _check_key_id(members.get("key"))
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
            _check_members(members, ledger, title_number)
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
    value = canonical.load(data, depth=canonical.MAX_DEPTH + 2)
    if type(value) is not dict or value.keys() != ENVELOPE or type(value["entry"]) is not dict:
        raise MalformedError('not an entry: expected {"entry":{…},"signature":"…"}')
    # Being canonical, the bytes are START, the payload, MIDDLE, this text and END.
    return data[len(START) : -TAIL], _decode_signature(value["signature"]), value["entry"]


def _decode_signature(text: object) -> bytes:
    if type(text) is not str or len(text) != SIGNATURE_CHARS:
        raise MalformedError("the signature is not the base64 of 64 bytes")
    try:
        signature = a2b_base64(text)
    except ValueError:
        raise MalformedError("the signature is not base64") from None
    # Decoders take several spellings of the same bytes; there is one that encoding gives.
    if len(signature) != 64 or b2a_base64(signature, newline=False) != text.encode():
        raise MalformedError("the signature is not the canonical base64 of 64 bytes")
    return signature


def _check_signature(
    members: dict[str, Any],
    payload: bytes,
    signature: bytes,
    *,
    keyring: Keyring,
    ledger: str,
    where: str,
) -> None:
    named = members.get("key")
    key = keyring.key(ledger, named) if type(named) is str else None
    if key is None:
        key_id = _check_key_id(named)
        known = keyring.has_key(key_id)
        raise TrustError(
            f"{where}: signed by key {key_id[:16]}…, which "
            + (f"is trusted, but not as a registrar of {ledger}" if known else "the keyring lacks"),
            hint=f"'ledger key trust FILE --origin {ledger}', if its owner confirms the key id",
            reason="untrusted-key" if known else "unknown-key",
            object_key=where,
        )
    if not key.verify(signature, signed_bytes(payload)):
        raise _broken(
            where, "bad-signature", f"the signature is not that of key {key.key_id[:16]}…"
        )


def _check_kind(members: dict[str, Any]) -> None:
    # Before all other members: another kind may have others.
    kind = members.get("kind")
    if isinstance(kind, str) and kind != KIND:
        raise UnsupportedFormatError(
            f"an entry of the kind {kind!a:.40}, which this version doesn't know",
            hint="a newer version of this software may",
        )


def _check_members(members: dict[str, Any], ledger: str = "", title_number: str = "") -> None:
    """Check every member of the format, in the order of ``docs/spec.md``; raises MalformedError.

    A ledger and a title number that are known to be well spelled need no look when they are met.
    """
    if members.keys() != MEMBERS:
        odd = ", ".join(sorted(members.keys() ^ MEMBERS))
        raise MalformedError(f"missing or unknown members: {odd!a:.200}")
    message, reference, kind = members["message"], members["reference"], members["kind"]
    if not (type(message) is type(reference) is type(kind) is str):
        raise MalformedError("one of the members kind, message and reference is not a string")
    version, parent = members["version"], members["parent"]
    if type(version) is not int or version < 1:
        raise MalformedError("the member version is not an integer from 1 on")
    if (parent is None) != (version == 1) or not (parent is None or layout.is_address(parent)):
        raise MalformedError("the member parent is not an address, or null other than at version 1")
    if not times.is_recorded_time(members["recorded_at"]):
        raise MalformedError("the member recorded_at is not a UTC time with microseconds")
    effective_at = members["effective_at"]
    if effective_at is not None:
        if type(effective_at) is not str:
            raise MalformedError("the member effective_at is neither a string nor null")
        times.check_effective(effective_at)
    if members["ledger"] != ledger:
        check_origin(members["ledger"])
    if members["title_number"] != title_number:
        layout.check_title_number(members["title_number"])
    check_document(members["document"], members["title_number"])


def _check_key_id(key_id: object) -> str:
    if isinstance(key_id, str) and layout.is_address(key_id):
        return key_id
    raise MalformedError("the member key is not a key id (64 lower-case hex digits)")


def check_document(document: object, title_number: str) -> None:
    """Refuse a document that no entry may carry; raises InvalidError naming the member."""
    if not isinstance(document, dict):
        raise InvalidError(f"a document is a JSON object, not {type(document).__name__}")
    if "title_number" in document and document["title_number"] != title_number:
        raise InvalidError(
            f"the document's title_number is not the entry's, which is {title_number}"
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


def entry_json(entry: Entry, keyring: Keyring) -> dict[str, Any]:
    """Return an entry as a JSON object: the members of the format, without the document."""
    return {
        "address": entry.address,
        "title_number": entry.title_number,
        "version": entry.version,
        "parent": entry.parent,
        "recorded_at": entry.recorded_at,
        "effective_at": entry.effective_at,
        "message": entry.message,
        "reference": entry.reference,
        "key": entry.key,
        "key_name": keyring.name(entry.ledger, entry.key),
        "ledger": entry.ledger,
        "kind": entry.kind,
    }
