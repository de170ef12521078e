"""An entry: one version of a title, signed, and named by the sha256 of its short form.

A stored object has one of two forms. Both are canonical JSON without a newline::

    {"entry":P,"signature":"S","text":T}      long: as registered
    {"entry":P,"signature":"S"}               short: its text withheld

P is what is signed; it names T by its sha256. S is the base64 of the signature over the DSSE
pre-authentication encoding of P. Both forms have the same address, the sha256 of the short one. So
a text can be withheld, and every signature and every link still holds. ``docs/spec.md`` describes
the format.
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64, b2a_base64
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

from ledger.errors import (
    Erased,
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import canonical, layout, times
from ledger.format.dsse import pre_authentication
from ledger.format.given import check_given
from ledger.format.keyring import Keyring, check_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.format.canonical import JSONValue
    from ledger.format.keys import Signer
    from ledger.format.times import Bound, Question

MAX_BYTES = 1 << 20
"""The largest stored object, in bytes."""

MAX_PAYLOAD = 4000
"""The largest P, in bytes: a KMS signs at most 4,096."""

MAX_SHORT = 16_384
"""The largest short form, in bytes."""

MAX_SIGNATURE = 8192
SIGNATURE_BYTES = 64  # Ed25519
MAX_AUTHOR = MAX_REFERENCE = 256
MAX_MESSAGE = 4096
SALT_DIGITS = 64
SALT_END = SALT_DIGITS + len('"}')
"""How many bytes of T the salt and what closes it take, at the end."""
DELETE = 0x7F
"""U+007F: a member that is signed has none."""
MAX_PARTS = 1000
MAX_DEPTH = canonical.MAX_DEPTH + 2  # the object, its text, then the document

PAYLOAD_TYPE = b"application/vnd.title-ledger.entry.v1+json"

KINDS = ("registration", "rectification", "migration")
OPEN, CLOSED = STATUSES = ("open", "closed")

START = b'{"entry":{'
SIGNATURE = b',"signature":"'
END = b"}" + SIGNATURE
"""What ends P."""
TEXT = b',"text":'
DOCUMENT = b',"document":{'
MESSAGE = b',"message":"'
P_AT = len(START) - 1
"""Where P begins."""

# A comma before the quote: then it opens a member's name, whatever the strings hold. None of them
# is the first: every P has the member confirms.
PARENT = re.compile(rb',"parent":(?:null|"([0-9a-f]{64})")')
TEXT_DIGEST = re.compile(rb',"text":"([0-9a-f]{64})"')
ERASES = re.compile(rb',"erases":\[([0-9,]*)\]')
VERSION = re.compile(rb',"version":([1-9][0-9]{0,15})[,}]')

PLAIN: set[type[object]] = {str, int, type(None)}
"""What the values in P are, or the items of a list there."""

LISTS = ("confirms", "erases", "voids")


Integer: TypeAlias = Annotated[
    int, msgspec.Meta(ge=-canonical.MAX_INTEGER, le=canonical.MAX_INTEGER)
]


class _Payload(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """P: its members, in the order of their names.

    Those without a default are in every kind, now and later, with the same meaning.
    """

    confirms: tuple[Integer, ...]
    effective_at: str | None = None
    effective_until: str | None = None
    erases: tuple[Integer, ...]
    key: str
    kind: str
    ledger: str
    parent: str | None
    part: tuple[Integer, Integer] = (1, 1)
    recorded_at: str
    reference: str = ""
    status: str = ""
    text: str
    title_number: str
    version: Integer
    voids: tuple[Integer, ...]


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """T."""

    author: str
    document: dict[str, Any]
    message: str
    salt: str


class _Object(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A stored object of a kind that this version knows, in either form."""

    entry: _Payload
    signature: str
    text: _Text | msgspec.UnsetType = msgspec.UNSET


MEMBERS = set(_Payload.__struct_fields__)
COMMON = {each.name for each in msgspec.structs.fields(_Payload) if each.required}
TEXT_MEMBERS = set(_Text.__struct_fields__)

SURROGATE = re.compile(r"[\ud800-\udfff]")
UNSEEN = re.compile(
    r"[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that nobody sees, or that change what is seen: none is in a reference."""


def as_address(named: str | Entry) -> str:
    """The address that a text is, or an entry has; raises InvalidError."""
    return named.address if isinstance(named, Entry) else layout.check_address(named)


def digest(document: Mapping[str, object]) -> str:
    """The document digest: hex sha256 of the document's canonical JSON."""
    return hashlib.sha256(canonical.encode(document)).hexdigest()


def signed_bytes(payload: bytes) -> bytes:
    """What is signed: the DSSE v1 pre-authentication encoding of P."""
    return pre_authentication(PAYLOAD_TYPE, payload)


def _cut(data: bytes) -> tuple[int, int] | None:
    """Where P ends, and where the quote behind S is; None if the bytes have no short form."""
    if not data.startswith(START):
        return None
    end = data.find(END, P_AT, MAX_SHORT) + 1
    # The short form has one more byte behind the quote.
    quote = data.find(b'"', end + len(SIGNATURE), MAX_SHORT - 1) if end else -1
    return (end, quote) if quote >= 0 else None


def _short(data: bytes, quote: int) -> bytes:
    return data[: quote + 1] + b"}"


def address_of(data: bytes) -> str:
    """Hash the short form of stored bytes, or all of them if they have none; in hex."""
    return _address(data, _cut(data))


def _address(data: bytes, cut: tuple[int, int] | None) -> str:
    return hashlib.sha256(_short(data, cut[1]) if cut else data).hexdigest()


def short_form(data: bytes) -> bytes:
    """Cut the text out of a stored object; raises MalformedError if it has no short form."""
    cut = _cut(data)
    if cut is None:
        raise MalformedError(NOT_AN_ENTRY)
    return _short(data, cut[1])


def holds_text(data: bytes) -> bool:
    """Whether stored bytes have the very text that their P names; P itself is not checked.

    Of an entry whose address was vouched for before, this is all that is left to be seen.
    """
    cut = _cut(data)
    return cut is not None and _holds_text(data, cut)


def _holds_text(data: bytes, cut: tuple[int, int]) -> bool:
    match = TEXT_DIGEST.search(data, 0, cut[0])
    rest = data[cut[1] + 1 :]
    return (
        match is not None
        and rest.startswith(TEXT)
        and rest.endswith(b"}")
        and hashlib.sha256(rest[len(TEXT) : -1]).hexdigest().encode() == match[1]
    )


def is_short(data: bytes) -> bool:
    """Whether stored bytes are a short form: nothing stands in the place of the text."""
    cut = _cut(data)
    return cut is not None and data[cut[1] + 1 :] == b"}"


def is_settled_by(address: str, data: bytes) -> bool:
    """Whether bytes have this address, and are one of the two forms of what it names.

    The address alone leaves open what stands behind the short form: anybody can put another text
    there. What this lets pass is wrong only if the entry itself is.
    """
    cut = _cut(data)
    if _address(data, cut) != address:
        return False
    return cut is None or data[cut[1] + 1 :] == b"}" or _holds_text(data, cut)


NOT_AN_ENTRY = 'not an entry: expected {"entry":{…},"signature":"…"} within the first 16,384 bytes'


def parent_hint(data: bytes) -> str | None:
    """Find the parent's address in stored bytes; a hint, as nothing was checked.

    It is exact for every entry that ``Entry.judge`` accepts: P comes first and always has this
    member.
    """
    match = PARENT.search(data, 0, MAX_SHORT)
    return match[1].decode() if match and match[1] else None


def version_hint(data: bytes) -> int:
    """Find the version in stored bytes, 0 if there is none; a hint like ``parent_hint``."""
    match = VERSION.search(data, 0, MAX_SHORT)
    return int(match[1]) if match else 0


def erases_hint(data: bytes) -> list[int]:
    """Find the versions whose texts stored bytes order erased; a hint like ``parent_hint``."""
    match = ERASES.search(data, 0, MAX_SHORT)
    return [int(version) for version in match[1].split(b",") if version] if match else []


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One version of a title. The members are those of the format, in the format's own texts."""

    address: str
    """Hex sha256 of the short form: the entry's name."""
    title_number: str
    version: int
    """1 for the first entry of a title, the parent's + 1 after."""
    parent: str | None
    recorded_at: str
    """RFC 3339, UTC, microseconds: ``2026-11-23T10:00:00.000000Z``."""
    effective_at: str | None
    """From when it holds in law: a year, month, date or time; None: from when it was recorded."""
    effective_until: str | None
    """Until when, exclusive; None: without end."""
    reference: str
    """The application or case number; empty: none."""
    part: tuple[int, int]
    """Which part of a registration of how many; (1, 1) for an ordinary entry."""
    kind: str
    status: str
    """``open`` or ``closed``: what the title is from this version on."""
    confirms: tuple[int, ...]
    erases: tuple[int, ...]
    """Versions whose texts this entry orders erased."""
    voids: tuple[int, ...]
    author: str
    """Who asked for it; empty if the text is withheld."""
    message: str
    """Empty if the text is withheld."""
    key: str
    """The signer's key id."""
    ledger: str
    """The ledger's origin."""
    text: str
    """Hex sha256 of T."""
    unsupported: str
    """Why this version can't judge it (a finding's slug); empty: it can."""
    is_withheld: bool
    """Whether ``data`` is the short form: the text is not here."""
    data: bytes
    """The stored object, in the form that was read."""

    def __repr__(self) -> str:
        return f"Entry({self.title_number} version {self.version}: {self.address})"

    @property
    def payload(self) -> bytes:
        """P: the canonical JSON that is signed (inside ``signed_bytes``)."""
        return self.data[P_AT : self._cut[0]]

    @property
    def signature(self) -> bytes:
        """The bytes of the signature."""
        end, quote = self._cut
        return a2b_base64(self.data[end + len(SIGNATURE) : quote])

    @property
    def short(self) -> bytes:
        """The short form: the object without its text."""
        return _short(self.data, self._cut[1])

    def without_text(self) -> Entry:
        """The same entry in its short form."""
        if self.is_withheld:
            return self
        return msgspec.structs.replace(
            self, author="", message="", is_withheld=True, data=self.short
        )

    @property
    def text_bytes(self) -> bytes:
        """T: the canonical JSON of the text; empty if it is withheld."""
        return self.data[self._cut[1] + 1 + len(TEXT) : -1]

    @property
    def document_bytes(self) -> bytes:
        """The canonical JSON of the document; raises Erased if the text is withheld."""
        if self.is_withheld:
            raise Erased(
                f"the text of {self.title_number} version {self.version} is withheld",
                hint=f"'ledger log {self.title_number}' says what became of it",
            )
        # P has no object, and no text a quote that is not escaped.
        start = self.data.index(DOCUMENT, P_AT) + len(DOCUMENT) - 1
        return self.data[start : self.data.rindex(MESSAGE)]

    @property
    def document(self) -> dict[str, JSONValue]:
        """The title as registered, a fresh copy at every call; raises Erased if it is withheld."""
        document: dict[str, JSONValue] = canonical.load(self.document_bytes)
        return document

    @property
    def digest(self) -> str:
        """Hex sha256 of the canonical JSON of the document."""
        return hashlib.sha256(self.document_bytes).hexdigest()

    def check_supported(self, object_key: str = "") -> Entry:
        """Return the entry, or raise UnsupportedFormatError if this version can't judge it."""
        if not self.unsupported:
            return self
        key = object_key or layout.entry_key(self.title_number, self.address)
        knows_kind = self.kind in KINDS
        what = f"status {self.status!a:.80}" if knows_kind else f"kind {self.kind!a:.80}"
        raise UnsupportedFormatError(
            f"{key}: this version doesn't know the {what}",
            hint="a newer version of this software may",
            reason="unsupported-status" if knows_kind else "unsupported-kind",
            object_key=key,
        )

    @property
    def begins(self) -> Bound:
        """From when it holds in law."""
        return times.parse_bound(self.effective_at or self.recorded_at)

    @property
    def ends(self) -> Bound | None:
        """Until when it holds in law, exclusive; None: without end."""
        return times.parse_bound(self.effective_until) if self.effective_until else None

    @property
    def _cut(self) -> tuple[int, int]:
        cut = _cut(self.data)
        assert cut is not None  # noqa: S101 -- an Entry is made of nothing else
        return cut

    @classmethod
    def sign(
        cls,
        signer: Signer,
        *,
        ledger: str,
        title_number: str,
        document: Mapping[str, object],
        recorded_at: str,
        salt: bytes,
        parent: Entry | None = None,
        kind: str = KINDS[0],
        message: str = "",
        author: str = "",
        effective_at: Question | None = None,
        effective_until: Question | None = None,
        reference: str = "",
        part: tuple[int, int] = (1, 1),
        status: str = STATUSES[0],
        confirms: tuple[int, ...] = (),
        erases: tuple[int, ...] = (),
        voids: tuple[int, ...] = (),
        spelled: bytes | None = None,
    ) -> Entry:
        """Make and sign the entry that follows ``parent``; raises MalformedError for what can't be.

        ``salt`` is 32 random bytes, fresh for every entry: without it, whoever knows the rest of an
        erased text could guess what is missing. ``spelled``: what ``canonical.encode`` gave for the
        document, if it was asked already.
        """
        text = _Text(author, document, message, salt.hex())  # type: ignore[arg-type]  # see below
        _check_text(text, title_number)
        text_bytes = _encode_text(text, spelled or canonical.encode(document))
        members = _Payload(
            confirms=tuple(confirms),
            effective_at=_spell_bound("effective_at", effective_at),
            effective_until=_spell_bound("effective_until", effective_until),
            erases=tuple(erases),
            key=signer.public_key.key_id,
            kind=kind,
            ledger=ledger,
            parent=parent.address if parent else None,
            part=tuple(part),  # type: ignore[arg-type]  # _check_members counts
            recorded_at=recorded_at,
            reference=reference,
            status=status,
            text=hashlib.sha256(text_bytes).hexdigest(),
            title_number=title_number,
            version=parent.version + 1 if parent else 1,
            voids=tuple(voids),
        )
        return _signed(signer, members, text, text_bytes, parent)

    @classmethod
    def unverified(cls, data: bytes) -> Entry:
        """Read an entry without looking at its signature: anyone may have made it.

        Raises MalformedError, IntegrityError if the text is not the one that P names, or
        UnsupportedFormatError for what this version doesn't know.
        """
        check_given(data, bytes, "the bytes of an entry")
        cut = _cut(data)
        found = _address(data, cut)
        read = _read(data, cut)
        _check_key_id(read.key)
        return _judge(read, found, None, None, found).check_supported()

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
        """Read a stored entry, in either form, and check all that can be told from its bytes.

        The address (if known), the spelling, the signature by a registrar's key that counts for
        this ledger, the members, the text, the ledger and the title. Raises IntegrityError,
        TrustError or UnsupportedFormatError with the finding's slug as ``reason``. Whether a text
        may be withheld is for those who know the entries above.
        """
        return cls.judge(
            data,
            keyring=keyring,
            ledger=ledger,
            title_number=title_number,
            address=address,
            object_key=object_key,
        ).check_supported(object_key)

    @classmethod
    def judge(
        cls,
        data: bytes,
        *,
        keyring: Keyring,
        ledger: str,
        title_number: str,
        address: str | None = None,
        object_key: str = "",
    ) -> Entry:
        """Check as ``open`` does, but hand out an entry that is ``unsupported``, too.

        A walk goes on below it: its links and lists mean what they mean in every kind.
        """
        where = object_key or (
            layout.entry_key(title_number, address) if address else layout.head_key(title_number)
        )
        cut = _cut(data)
        found = _address(data, cut)
        if address is not None and found != address:
            raise _broken(where, "address-mismatch", f"its bytes have the address {found}")
        try:
            read = _read(data, cut)
            _check_signature(read, keyring, ledger, where)
            entry = _judge(read, found, ledger, title_number, where)
        except MalformedError as error:
            raise _broken(where, "malformed-entry", str(error)) from None
        if entry.ledger != ledger:
            raise _broken(where, "wrong-ledger", f"it belongs to the ledger {entry.ledger}")
        if entry.title_number != title_number:
            raise _broken(where, "wrong-title", f"it belongs to the title {entry.title_number}")
        return entry


def _signed(
    signer: Signer, members: _Payload, text: _Text, text_bytes: bytes, parent: Entry | None
) -> Entry:
    """Check and sign P, and put the entry together."""
    import ledger.format.signing as private  # noqa: PLC0415 -- slow to load, for writers only

    if members.kind not in KINDS:
        raise InvalidError(f"not a kind of entry: {members.kind!a:.40} ({', '.join(KINDS)})")
    if members.status not in STATUSES:
        raise InvalidError(f"not a status: {members.status!a:.40} ({' or '.join(STATUSES)})")
    ledger, title_number = (parent.ledger, parent.title_number) if parent else (None, None)
    _check_members(members, ledger, title_number, members.text)
    payload = _encode_members(members)
    _check_size(payload)
    signature = b2a_base64(private.sign_with(signer, signed_bytes(payload)), newline=False)
    short = b'{"entry":%b,"signature":"%b"}' % (payload, signature)
    data = b"%b%b%b}" % (short[:-1], TEXT, text_bytes)
    if len(data) > MAX_BYTES:
        raise InvalidError(
            f"too large: the entry would be {len(data):,} bytes; the most is {MAX_BYTES:,}"
        )
    return _entry(members, text, data, hashlib.sha256(short).hexdigest())


def _entry(
    members: _Payload,
    text: _Text | None,
    data: bytes,
    address: str,
    *,
    withheld: bool = False,
    unsupported: str = "",
) -> Entry:
    """Make the entry of members that were checked."""
    return Entry(
        address,
        members.title_number,
        members.version,
        members.parent,
        members.recorded_at,
        members.effective_at,
        members.effective_until,
        members.reference,
        members.part,
        members.kind,
        members.status,
        members.confirms,
        members.erases,
        members.voids,
        text.author if text else "",
        text.message if text else "",
        members.key,
        members.ledger,
        members.text,
        unsupported,
        withheld,
        data,
    )


def _broken(where: str, reason: str, why: str) -> IntegrityError:
    return IntegrityError(f"{where}: {why}", reason=reason, object_key=where)


class _Read(msgspec.Struct, gc=False):
    """An object that is canonical throughout and has the form of an entry."""

    members: Any
    """P: a ``_Payload``, or a dict with any members."""
    text: Any
    """T: a ``_Text``, or any value; nothing if it is withheld, but only ``text_bytes`` tells."""
    key: str
    payload: bytes
    signature: bytes
    text_bytes: bytes
    data: bytes


def _read(data: bytes, cut: tuple[int, int] | None) -> _Read:
    """Read an object that is cut there; raises MalformedError."""
    if len(data) > MAX_BYTES:
        raise MalformedError(f"too large: {len(data):,} bytes, at most {MAX_BYTES:,}")
    if cut is None:
        raise MalformedError(NOT_AN_ENTRY)
    end, quote = cut
    # No object is in P: so the bytes were cut where its value ends.
    payload, text_bytes = data[P_AT:end], data[quote + 1 + len(TEXT) : -1]
    members, text = _read_known(data, payload, text_bytes) or _read_any(data, payload)
    signature = _decode_signature(data[end + len(SIGNATURE) : quote])
    if isinstance(members, _Payload):
        key: str = members.key  # looking it up tells whether it is a key id
    else:
        key = _check_key_id(members.get("key"))
    return _Read(members, text, key, payload, signature, text_bytes, data)


def _read_known(
    data: bytes, payload: bytes, text_bytes: bytes
) -> tuple[_Payload, _Text | None] | None:
    """Read an object whose members all have the names and types of a kind that is known.

    Nearly every object is read here. None: it isn't one, or ``_read_any`` has to tell.
    """
    try:
        found = _OBJECT.decode(data)
        members, text = found.entry, found.text or None
        document, within = None, b""
        if text is not None:
            if len(text.salt) != SALT_DIGITS:
                return None
            # All of T but the salt, at its end: digits that are no number.
            document, within = text.document, text_bytes[:-SALT_END]
        if (
            members.kind in KINDS
            and len(payload) <= MAX_PAYLOAD
            and DELETE not in payload
            and canonical.is_spelling(data, found, document, within)
        ):
            return members, text
    except canonical.NOT_READ:
        pass
    return None


_OBJECT = canonical.typed_decoder(_Object)


def _read_any(data: bytes, payload: bytes) -> tuple[dict[str, Any], Any]:
    """Read an object that is canonical and has the form of an entry; raises MalformedError."""
    value = canonical.load(data, depth=MAX_DEPTH)
    text = value.get("text")
    if len(value) != (3 if "text" in value else 2) or "signature" not in value:
        raise MalformedError("not an entry: its members are entry, signature and text")
    _check_payload(value["entry"], payload)
    return value["entry"], text


def _check_payload(members: dict[str, Any], payload: bytes) -> None:
    """Check what holds for the P of every kind, now and later."""
    _check_size(payload)
    for name, value in members.items():
        kind = type(value)
        if kind not in PLAIN and not (kind is list and PLAIN.issuperset(map(type, value))):
            raise MalformedError(
                f"the member {name!a:.80} is not a string, an integer, null or a list of these"
            )


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise InvalidError(
            f"too large: {len(payload):,} bytes would be signed; the most is {MAX_PAYLOAD:,}",
            hint="shorten the reference or the lists of versions",
        )
    if DELETE in payload:
        raise InvalidError("the character U+007F is in a member that is signed")


def _check_key_id(key: object) -> str:
    if isinstance(key, str) and layout.is_address(key):
        return key
    raise MalformedError("the member key is not a key id (64 lower-case hex digits)")


def _decode_signature(text: bytes) -> bytes:
    try:
        signature = a2b_base64(text, strict_mode=True)
    except ValueError:
        raise MalformedError("the signature is not base64") from None
    if not 0 < len(signature) <= MAX_SIGNATURE:
        raise MalformedError(f"the signature has {len(signature):,} bytes, not 1 to 8,192")
    # Decoders take several spellings of the same bytes; there is one that encoding gives.
    if b2a_base64(signature, newline=False) != text:
        raise MalformedError("the signature is not canonical base64")
    return signature


def _check_signature(read: _Read, keyring: Keyring, ledger: str, where: str) -> None:
    key = keyring.key(ledger, read.key)
    if key is None:
        raise _unknown_key(read.key, keyring, ledger, where)
    if len(read.signature) != SIGNATURE_BYTES:
        raise MalformedError(f"the signature of an Ed25519 key has {len(read.signature)} bytes")
    if not key.verify(read.signature, signed_bytes(read.payload)):
        raise _broken(
            where, "bad-signature", f"the signature is not that of key {key.key_id[:16]}…"
        )


def _unknown_key(key_id: str, keyring: Keyring, ledger: str, where: str) -> LedgerError:
    """The error of a key that does not count; raises MalformedError for what is no key id."""
    _check_key_id(key_id)
    if keyring.is_unsupported(ledger, key_id):
        return UnsupportedFormatError(
            f"{where}: signed by key {key_id[:16]}…, whose algorithm this version doesn't know",
            hint="a newer version of this software may",
            reason="unsupported-key",
            object_key=where,
        )
    known = keyring.has_key(key_id)
    return TrustError(
        f"{where}: signed by key {key_id[:16]}…, which "
        + (f"is trusted, but not as a registrar of {ledger}" if known else "the keyring lacks"),
        hint=f"'ledger key trust FILE --origin {ledger}', if its owner confirms the key id",
        reason="untrusted-key" if known else "unknown-key",
        object_key=where,
    )


def _judge(
    read: _Read, address: str, ledger: str | None, title_number: str | None, where: str
) -> Entry:
    """Check the members and the text of what was read, and make the entry of it."""
    members = read.members if type(read.members) is _Payload else _as_payload(read.members)
    withheld = not read.text_bytes
    found = None if withheld else hashlib.sha256(read.text_bytes).hexdigest()
    _check_members(members, ledger, title_number, found)
    known, text = members.kind in KINDS, None
    if not withheld:
        if found != members.text:
            raise _broken(where, "text-mismatch", "its text is not the one that was signed")
        if known:
            try:
                text = read.text if type(read.text) is _Text else _as_text(read.text)
                _check_text(text, members.title_number)
            except MalformedError as error:
                raise _broken(where, "malformed-text", str(error)) from None
    unsupported = ""
    if not known:
        unsupported = "unsupported-kind"
    elif members.status not in STATUSES:
        unsupported = "unsupported-status"
    return _entry(members, text, read.data, address, withheld=withheld, unsupported=unsupported)


# -- P ---------------------------------------------------------------------------------------------


def _as_payload(members: dict[str, Any]) -> _Payload:
    """Take the members that are judged, of any types; of an unknown kind, only the common ones."""
    kind = members.get("kind")
    if type(kind) is not str:
        raise MalformedError("the member kind is not a string")
    if odd := members.keys() ^ MEMBERS if kind in KINDS else COMMON - members.keys():
        raise MalformedError(f"missing or unknown members: {', '.join(sorted(odd))!a:.200}")
    judged = MEMBERS if kind in KINDS else COMMON
    values: dict[str, Any] = {
        name: tuple(value) if type(value) is list else value
        for name, value in members.items()
        if name in judged
    }
    return _Payload(**values)


def _check_members(
    members: _Payload,
    ledger: str | None = None,
    title_number: str | None = None,
    text: str | None = None,
) -> None:
    """Check every member of P, in the order of ``docs/spec.md``; raises MalformedError.

    Their types, too: nothing has looked at those of what is to be signed. A ledger, a title number
    and the digest of a text that are known to be well spelled need no look if they are met. Most
    members of most entries say nothing, and need none either.
    """
    version, parent = members.version, members.parent
    if type(version) is not int or version < 1:
        raise MalformedError("the member version is not an integer from 1 on")
    if (parent is None) != (version == 1) or not (parent is None or layout.is_address(parent)):
        raise MalformedError("the member parent is not an address, or null other than at version 1")
    if not times.is_recorded_time(members.recorded_at):
        raise MalformedError("the member recorded_at is not a UTC time with microseconds")
    if (text is None or members.text != text) and not layout.is_address(members.text):
        raise MalformedError("the member text is not a sha256 (64 lower-case hex digits)")
    if not members.confirms == members.erases == members.voids == ():
        _check_lists(members)
    if ledger is None or members.ledger != ledger:
        check_origin(members.ledger)
    if title_number is None or members.title_number != title_number:
        layout.check_title_number(members.title_number)
    if members.kind in KINDS:
        _check_own_members(members)


def _check_lists(members: _Payload) -> None:
    for name in LISTS:
        versions = getattr(members, name)
        if type(versions) is not tuple or any(type(each) is not int for each in versions):
            raise MalformedError(f"the member {name} is not a list of versions")
        if any(low >= high for low, high in pairwise([0, *versions, members.version])):
            raise InvalidError(
                f"the versions in {name} do not ascend from 1 to {members.version - 1}"
            )
    if not set(members.confirms).isdisjoint(members.voids):
        raise InvalidError("a version is in both confirms and voids")


def _check_own_members(members: _Payload) -> None:
    """Check the members that the known kinds have beyond those of every kind."""
    if members.effective_at is not None or members.effective_until is not None:
        _check_bounds(members)
    part: Any = members.part
    if type(part) is not tuple or len(part) != 2 or not type(part[0]) is type(part[1]) is int:
        raise MalformedError("the member part is not a list of two integers")
    if not 1 <= part[0] <= part[1] <= MAX_PARTS:
        raise InvalidError(f"the member part is not i of n, 1 <= i <= n <= {MAX_PARTS:,}")
    if type(members.status) is not str:
        raise MalformedError("the member status is not a string")
    if members.reference != "":
        check_reference(members.reference)
    elif part[1] > 1 or members.erases:
        raise InvalidError("a part of a registration, and an erasure, need a reference")


def _check_bounds(members: _Payload) -> None:
    begins = _bound("effective_at", members.effective_at)
    ends = _bound("effective_until", members.effective_until)
    if ends is not None:
        begins = begins or times.parse_bound(members.recorded_at)
        if not begins.is_before(ends):
            raise InvalidError("the member effective_until is not later than the beginning")


def _spell_bound(name: str, bound: Question | None) -> str | None:
    try:
        return times.spell(bound)
    except InvalidError as error:
        raise InvalidError(f"the member {name} is {error}", hint=error.hint) from None


def _bound(name: str, text: object) -> Bound | None:
    if text is None:
        return None
    if type(text) is not str:
        raise MalformedError(f"the member {name} is not a string and not null")
    return times.parse_bound(text)


def check_reference(reference: object) -> None:
    """Refuse what no entry can have for a reference; raises MalformedError or InvalidError."""
    if type(reference) is not str:
        raise MalformedError("the member reference is not a string")
    if len(reference.encode("utf-8", "surrogatepass")) > MAX_REFERENCE:
        raise InvalidError(f"the reference is longer than {MAX_REFERENCE} bytes of UTF-8")
    unseen = UNSEEN.search(reference) or SURROGATE.search(reference)
    if unseen:
        raise InvalidError(f"the reference has the character U+{ord(unseen[0]):04X}")
    if reference != reference.strip(" "):
        raise InvalidError("the reference begins or ends with a blank")


def _encode_members(members: _Payload) -> bytes:
    """Spell members that were checked."""
    values = msgspec.structs.astuple(members)
    if members.version <= canonical.MAX_INTEGER and EXACT.issuperset(map(type, values)):
        try:
            return canonical.spell(members)
        except UnicodeEncodeError:
            pass
    return canonical.encode(  # it names what is wrong
        {
            name: list(each) if type(each) is tuple else each
            for name, each in msgspec.structs.asdict(members).items()
        }
    )


EXACT: set[type[object]] = {*PLAIN, tuple}


# -- T ---------------------------------------------------------------------------------------------


def _encode_text(text: _Text, document: bytes) -> bytes:
    try:
        return canonical.spell(msgspec.structs.replace(text, document=msgspec.Raw(document)))
    except UnicodeEncodeError:
        canonical.encode({"author": text.author, "message": text.message})  # names the place
        raise


def _as_text(text: object) -> _Text:
    if type(text) is not dict or text.keys() != TEXT_MEMBERS:
        raise MalformedError("the text's members are not author, document, message and salt")
    return _Text(**text)


def _check_text(text: _Text, title_number: str) -> None:
    """Check T's own rules; raises MalformedError."""
    if text.author or type(text.author) is not str:
        _check_length("author", text.author, MAX_AUTHOR)
    if text.message or type(text.message) is not str:
        _check_length("message", text.message, MAX_MESSAGE)
    if not layout.is_address(text.salt):
        raise MalformedError("the salt is not 32 bytes in 64 lower-case hex digits")
    check_document(text.document, title_number)


def _check_length(name: str, value: object, most: int) -> None:
    if type(value) is not str:
        raise MalformedError(f"the {name} is not a string")
    if len(value.encode("utf-8", "surrogatepass")) > most:
        raise InvalidError(f"the {name} is longer than {most:,} bytes of UTF-8")


def check_document(document: object, title_number: str) -> None:
    """Refuse a document that no entry may carry; raises InvalidError naming the member."""
    if not isinstance(document, dict):
        raise InvalidError(
            f"a document is a JSON object, not {type(document).__name__}",
            hint="pass a dict: dataclasses.asdict(…), or model_dump(mode='json') of pydantic",
        )
    if "title_number" in document and document["title_number"] != title_number:
        raise InvalidError(
            f"the document's title_number is not the entry's, which is {title_number}"
        )
    if "sha256" in document:
        raise InvalidError(
            "the document has a top-level member sha256, a name kept for its digest",
            hint="leave it out: the digest is computed",
        )


def entry_json(entry: Entry, keyring: Keyring) -> dict[str, Any]:
    """Return an entry as an object: the members of the format, without the document.

    Of a withheld text, ``author`` and ``message`` are null.
    """
    return {
        "address": entry.address,
        "title_number": entry.title_number,
        "version": entry.version,
        "parent": entry.parent,
        "recorded_at": entry.recorded_at,
        "effective_at": entry.effective_at,
        "effective_until": entry.effective_until,
        "author": None if entry.is_withheld else entry.author,
        "message": None if entry.is_withheld else entry.message,
        "reference": entry.reference,
        "part": list(entry.part),
        "kind": entry.kind,
        "status": entry.status,
        "confirms": list(entry.confirms),
        "erases": list(entry.erases),
        "voids": list(entry.voids),
        "key": entry.key,
        "key_name": keyring.name(entry.ledger, entry.key),
        "ledger": entry.ledger,
    }
