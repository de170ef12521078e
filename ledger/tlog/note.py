"""Signed notes: a text, and who signed it (c2sp.org/signed-note).

::

    example.org/titles
    1
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.org/titles <base64 of 4 bytes of key hash and the signature>

The text is what is above the last empty line, its newline included. Anybody may add lines of their
own below: those of unknown keys mean nothing. A key is known by its name and key hash together; a
line that claims a known key and does not verify spoils the note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeVar

from ledger.errors import IntegrityError, InvalidError, MalformedError, TrustError
from ledger.format.given import check_given
from ledger.format.keys import AnySigner, PublicKey
from ledger.format.signing import sign_with

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.pem import VerifyingKey

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
"""Readers must accept at least 16; witnesses are few."""

DASH = "\N{EM DASH}"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
KEY_HASH = re.compile(r"[0-9a-f]{8}")
KEY_HASH_BYTES = 4


class Signature(NamedTuple):
    """One line under a note, verified or not."""

    name: str
    key_hash: bytes
    """4 bytes."""
    body: bytes

    def encode(self) -> bytes:
        """The line, newline included."""
        return f"{DASH} {self.name} {encode_base64(self.key_hash + self.body)}\n".encode()


@dataclass(frozen=True)
class NoteKey:
    """A public key under the name that it signs notes with; compares by value."""

    algorithm: ClassVar[int] = 0x01
    """The type of signature: Ed25519 over the text."""
    key_algorithm: ClassVar[str] = "Ed25519"

    name: str
    """Without spaces and ``+``; the origin, for a log's key."""
    key: VerifyingKey

    def __post_init__(self) -> None:
        if not _is_name(self.name) or CONTROL.search(self.name):
            raise InvalidError(f"not a name for a note's key: {self.name!a:.80}")
        if self.key.algorithm != self.key_algorithm:
            raise InvalidError(
                f"a key of the algorithm {self.key.algorithm} makes no signatures of type"
                f" {self.algorithm:02x}"
            )

    @property
    def key_hash(self) -> bytes:
        """4 bytes that, with the name, say whose a signature line is."""
        return hashlib.sha256(f"{self.name}\n".encode() + self._typed()).digest()[:KEY_HASH_BYTES]

    @property
    def vkey(self) -> str:
        """The key as one text, as tools for notes exchange it: ``name+hex+base64``."""
        return f"{self.name}+{self.key_hash.hex()}+{encode_base64(self._typed())}"

    @classmethod
    def from_vkey(cls, text: str) -> Self:
        """Read a key; raises MalformedError for anything but a key of this algorithm."""
        return parse_vkey(text, (cls,))

    @classmethod
    def read_key(cls, raw: bytes) -> VerifyingKey:
        """Read the bytes of a public key of this algorithm; raises MalformedError."""
        return PublicKey(raw)

    def _typed(self) -> bytes:
        return bytes([self.algorithm]) + self.key.raw

    def verify(self, text: str, body: bytes) -> bool:
        """Whether the body of a signature is this key's, over the text of a note."""
        return self.key.verify(body, text.encode())

    def sign(self, text: str, signer: AnySigner) -> Signature:
        """The line of this key under the text; raises InvalidError if the signer has another."""
        self.check_signer(signer)
        return Signature(self.name, self.key_hash, sign_with(signer, text.encode()))

    def check_signer(self, signer: AnySigner) -> None:
        """Raise InvalidError if the signer does not hold this key."""
        mine, wanted = signer.public_key, self.key
        if mine != wanted:
            raise InvalidError(
                f"key {mine.key_id[:8]} can't sign as {self.name}, key {wanted.key_id[:8]}"
            )


Kind = TypeVar("Kind", bound=NoteKey)


def parse_vkey(text: str, kinds: Iterable[type[Kind]]) -> Kind:
    """Read the key of a vkey; raises MalformedError for anything but a key of these kinds."""
    name, _, rest = text.partition("+")
    key_hash, _, typed = rest.partition("+")
    if not KEY_HASH.fullmatch(key_hash):
        raise MalformedError(f"not a note's key (name+hash+key): {text!a:.160}")
    data = decode_base64(typed)
    known = {bytes([kind.algorithm]): kind for kind in kinds}
    if data[:1] not in known:
        expected = " or ".join(algorithm.hex() for algorithm in known)
        raise MalformedError(f"a key for signatures of type {data[:1].hex()}, expected {expected}")
    kind = known[data[:1]]
    found = kind(name, kind.read_key(data[1:]))
    if found.key_hash.hex() != key_hash:
        raise MalformedError(f"the key of {name} does not have the hash {key_hash}")
    return found


@dataclass(frozen=True, slots=True)
class Note:
    """A note that a known key signed."""

    text: str
    """Ends in a newline."""
    verified: tuple[tuple[NoteKey, Signature], ...]
    """In the order of the lines; at least one."""
    ignored: tuple[Signature, ...]
    """By keys that are not known: they mean nothing."""


def open_note(data: bytes, keys: Iterable[NoteKey]) -> Note:
    """The note, if at least one of the keys signed it, and none of them has a wrong signature.

    Raises MalformedError if it is no note, TrustError (reason ``unknown-key``) if no known
    key signed it, and IntegrityError (reason ``bad-signature``) if one did not.
    """
    known = _by_name_and_hash(keys)
    text, signatures = parse_unverified(data)
    verified = []
    ignored = []
    for signature in signatures:
        key = known.get((signature.name, signature.key_hash))
        if key is None:
            ignored.append(signature)
        elif key.verify(text, signature.body):
            verified.append((key, signature))
        else:
            raise IntegrityError(
                f"the note has a wrong signature by {signature.name}", reason="bad-signature"
            )
    if not verified:
        names = ", ".join(sorted({signature.name for signature in signatures}))
        raise TrustError(
            f"the note is signed by no key that is known, only by {names!a:.160}",
            reason="unknown-key",
        )
    return Note(text, tuple(verified), tuple(ignored))


def sign_note(text: str, signers: Iterable[tuple[NoteKey, AnySigner]]) -> bytes:
    """The note of this text with the signatures of these; raises InvalidError for a bad text."""
    if not _is_unicode(text):
        raise InvalidError("not a text to sign: it has a lone surrogate")
    signatures = [key.sign(text, signer) for key, signer in signers]
    data = b"".join([text.encode(), b"\n", *(each.encode() for each in signatures)])
    try:
        parsed = parse_unverified(data)
    except MalformedError as error:
        raise InvalidError(f"not a text to sign: {error}") from None
    if parsed != (text, signatures):
        raise InvalidError("not a text to sign: it must end in a newline")
    return data


def add_signatures(data: bytes, lines: bytes) -> bytes:
    """The note with more signature lines, but for those that it has already.

    They are not verified. Raises MalformedError if the note or the lines are not well-formed.
    """
    _, signatures = parse_unverified(data)
    new = [each for each in _parse_lines(_decode(lines)) if each not in signatures]
    data += b"".join(each.encode() for each in dict.fromkeys(new))
    parse_unverified(data)  # neither too long nor too many
    return data


def parse_unverified(data: bytes) -> tuple[str, list[Signature]]:
    """The text and the lines of a note, whoever wrote them; raises MalformedError."""
    check_given(data, bytes, "the bytes of a signed note")
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedError(f"a note of {len(data)} bytes; at most {MAX_NOTE_BYTES}")
    text, blank, lines = _decode(data).rpartition("\n\n")
    if not blank:
        raise MalformedError("not a signed note: no empty line before the signatures")
    return text + "\n", _parse_lines(lines)


def _decode(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"not a signed note: no UTF-8 (at byte {error.start})") from None
    if CONTROL.search(text):
        raise MalformedError("not a signed note: it has control characters")
    return text


def _parse_lines(lines: str) -> list[Signature]:
    if not lines.endswith("\n"):
        raise MalformedError("not a signed note: no newline at the end, or no signature")
    if lines.count("\n") > MAX_SIGNATURES:
        raise MalformedError(f"a note of more than {MAX_SIGNATURES} signatures")
    return [_parse_line(line) for line in lines[:-1].split("\n")]


def _parse_line(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH or not _is_name(parts[1]):
        raise MalformedError(f"not a line of a signature: {line!a:.80}")
    data = decode_base64(parts[2])
    if len(data) <= KEY_HASH_BYTES:
        raise MalformedError(f"a signature by {parts[1]!a:.80} of {len(data)} bytes")
    return Signature(parts[1], data[:KEY_HASH_BYTES], data[KEY_HASH_BYTES:])


def _by_name_and_hash(keys: Iterable[NoteKey]) -> dict[tuple[str, bytes], NoteKey]:
    known: dict[tuple[str, bytes], NoteKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_hash), key) != key:
            raise InvalidError(f"two keys of {key.name} can't be told apart: they share a hash")
    return known


def _is_name(text: str) -> bool:
    """Not empty, no spaces of any script, no plus, and all of it can be written as UTF-8."""
    return "+" not in text and text.split() == [text] and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    """Whether the text has no lone surrogates, which nothing can sign."""
    return text.isascii() or all(not "\ud800" <= char <= "\udfff" for char in text)


def encode_base64(data: bytes) -> str:
    """Standard alphabet, padded (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def decode_base64(text: str) -> bytes:
    """The bytes of a base64 text in its one spelling; raises MalformedError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise MalformedError(f"not base64: {text!a:.80}") from None
    if encode_base64(data) != text:
        raise MalformedError(f"not the canonical base64 of any bytes: {text!a:.80}")
    return data
