"""A trust file: who decides for a ledger, whose keys count, and what the log was then.

``_trust/<N>.json`` is canonical JSON without a newline::

    {"signatures":[{"key":"<key id>","signature":"<base64>"},…],"trust":T}

T is what the holders sign; the sha256 of its bytes names the file::

    {"format":1,
     "holders":[{"keys":["<base64 SPKI>",…],"name":"ada"},…],
     "keys":[{"erase":false,"key":"<base64 SPKI>","name":"alice","role":"registrar"},…],
     "log":{"root":"<base64>","size":81204},
     "next":"2027-12-01",
     "origin":"example.org/titles",
     "previous":"<sha256 of the T before>",
     "revoked":[{"from":80112,"key":"<key id>"},…],
     "threshold":2,
     "version":3}

Here is what a file must be by itself. ``ledger.trust.accept`` says who must have signed it, and
what it may change. ``docs/spec.md`` describes the format.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from ledger.errors import InvalidError, MalformedError, UnsupportedFormatError
from ledger.format import canonical, layout
from ledger.format.dsse import pre_authentication
from ledger.format.keyring import NAME
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.note import decode_base64, encode_base64
from ledger.trust.keys import ED25519, MLDSA44, MLDSA65, AnyKey, OtherKey, algorithm_of, read_spki

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.canonical import JSONValue
    from ledger.format.pem import VerifyingKey

FORMAT = 1
MAX_BYTES = layout.MAX_TRUST_FILE
"""The largest trust file, in bytes."""

MAX_HOLDERS = 32
MAX_KEYS = 1000
PAYLOAD_TYPE = b"application/vnd.title-ledger.trust.v1+json"

TrustRole = Literal["registrar", "log"]
ROLES: tuple[TrustRole, ...] = get_args(TrustRole)
HOLDER_ALGORITHMS = [ED25519, MLDSA65]
LOG_ALGORITHMS = {ED25519, MLDSA44}

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MEMBERS = {
    "format",
    "holders",
    "keys",
    "log",
    "next",
    "origin",
    "previous",
    "revoked",
    "threshold",
    "version",
}


class Holder(NamedTuple):
    """One of those who decide. A holder has one voice, and speaks if all its keys have signed."""

    name: str
    keys: tuple[AnyKey, ...]
    """An Ed25519 and an ML-DSA-65 key, ascending by key id."""


class TrustKey(NamedTuple):
    """A key that counts for the ledger in one role."""

    key: AnyKey
    name: str
    """For people; may be empty."""
    role: TrustRole
    erase: bool = False
    """Whether a registrar's entries may order texts erased."""

    @property
    def key_id(self) -> str:
        """The id of the key."""
        return self.key.key_id


class Revocation(NamedTuple):
    """A key whose entries, or checkpoints, do not count from a position in the log on."""

    key_id: str
    start: int
    """The position; the member ``from``."""


class HolderSignature(NamedTuple):
    """A signature over T; whether it is the key's is not checked yet."""

    key_id: str
    signature: bytes


@dataclass(frozen=True)
class TrustFile:
    """A trust file that is as it must be by itself; nobody's signature has been checked.

    Making one raises InvalidError for what no file can be.
    """

    version: int
    previous: str | None
    """The digest of the file before; None for the first."""
    holders: tuple[Holder, ...]
    threshold: int
    """How many holders must sign this file's successor, and must have signed this one."""
    keys: tuple[TrustKey, ...]
    log: Checkpoint
    """What the log was when this was signed: a pin. It has the origin of the file."""
    revoked: tuple[Revocation, ...] = ()
    next: str | None = None
    """The day on which a successor is due."""
    signatures: tuple[HolderSignature, ...] = ()

    def __post_init__(self) -> None:
        layout.check_version(self.version)
        if (self.previous is None) != (self.version == 1):
            raise InvalidError("the first trust file, and no other, has previous null")
        if self.previous is not None:
            layout.check_address(self.previous)
        if self.next is not None:
            _check_day(self.next)
        _check_holders(self.holders, self.threshold)
        _check_keys(self.keys)
        _check_ascending("the revoked keys", [each.key_id for each in self.revoked])
        for revoked in self.revoked:
            layout.check_address(revoked.key_id)
            if not 0 <= revoked.start <= canonical.MAX_INTEGER:
                raise InvalidError(f"not a position in the log: {revoked.start}")
        _check_ascending("the signatures", [each.key_id for each in self.signatures])

    @property
    def origin(self) -> str:
        """The ledger that it is about."""
        return self.log.origin

    @property
    def unsupported(self) -> str:
        """Which holder or key of the log this version can't judge; empty: none."""
        for holder in self.holders:
            if not all(map(algorithm_of, holder.keys)):
                return f"the algorithm of a key of the holder {holder.name}"
        for key in self.keys:
            if key.role == "log" and algorithm_of(key.key) not in LOG_ALGORITHMS:
                return f"the algorithm of the log's key {key.key_id[:16]}…"
        return ""

    @cached_property
    def payload(self) -> bytes:
        """T: the canonical JSON that is signed (inside ``signed_bytes``)."""
        return canonical.encode(
            {
                "format": FORMAT,
                "holders": [
                    {"keys": [encode_base64(key.spki) for key in holder.keys], "name": holder.name}
                    for holder in self.holders
                ],
                "keys": [
                    {
                        "erase": each.erase,
                        "key": encode_base64(each.key.spki),
                        "name": each.name,
                        "role": each.role,
                    }
                    for each in self.keys
                ],
                "log": {"root": encode_base64(self.log.root), "size": self.log.size},
                "next": self.next,
                "origin": self.origin,
                "previous": self.previous,
                "revoked": [{"from": each.start, "key": each.key_id} for each in self.revoked],
                "threshold": self.threshold,
                "version": self.version,
            }
        )

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of T: the file's name for whoever pins it, and for its successor."""
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def signed_bytes(self) -> bytes:
        """What the holders sign: the DSSE v1 pre-authentication encoding of T."""
        return pre_authentication(PAYLOAD_TYPE, self.payload)

    @property
    def object_key(self) -> str:
        """The key of its object in a store."""
        return layout.trust_key(self.version)

    def key(self, key_id: str) -> TrustKey | None:
        """The registrar's or log's key of this id; None: the file does not list it."""
        return next((each for each in self.keys if each.key_id == key_id), None)

    def signed(self, signatures: Iterable[HolderSignature]) -> TrustFile:
        """The same file with these signatures as well; a key's new one replaces its old one."""
        by_key = {each.key_id: each for each in (*self.signatures, *signatures)}
        return replace(self, signatures=tuple(by_key[key_id] for key_id in sorted(by_key)))

    def encode(self) -> bytes:
        """The bytes of the file."""
        signatures = [
            {"key": each.key_id, "signature": encode_base64(each.signature)}
            for each in self.signatures
        ]
        head = canonical.encode({"signatures": signatures})
        data = b'%b,"trust":%b}' % (head[:-1], self.payload)
        if len(data) > MAX_BYTES:
            raise InvalidError(f"a trust file of {len(data):,} bytes; at most {MAX_BYTES:,}")
        return data

    @classmethod
    def decode(cls, data: bytes) -> TrustFile:
        """Read a trust file; raises MalformedError, or UnsupportedFormatError for another format.

        One file has one spelling: ``decode(data).encode() == data``.
        """
        if len(data) > MAX_BYTES:
            raise MalformedError(f"a trust file of {len(data):,} bytes; at most {MAX_BYTES:,}")
        value = canonical.load(data)
        if type(value) is not dict or value.keys() != {"signatures", "trust"}:
            raise MalformedError("not a trust file: expected the members signatures and trust")
        signatures = tuple(_signature(each) for each in _list(value, "signatures"))
        return _decode_trust(value["trust"], signatures)


def log_keys_of(files: Iterable[TrustFile]) -> list[VerifyingKey]:
    """The log's keys that some of these files list, if this version can verify with them."""
    keys = [each.key for file in files for each in file.keys if each.role == "log"]
    return list(dict.fromkeys(key for key in keys if not isinstance(key, OtherKey)))


def _check_holders(holders: tuple[Holder, ...], threshold: int) -> None:
    if not 1 <= len(holders) <= MAX_HOLDERS:
        raise InvalidError(f"a trust file has 1 to {MAX_HOLDERS} holders, not {len(holders)}")
    if not 1 <= threshold <= len(holders):
        raise InvalidError(f"a threshold of {threshold} can't be met by {len(holders)} holders")
    _check_ascending("the holders' names", [holder.name for holder in holders])
    seen: dict[str, str] = {}
    for holder in holders:
        if not NAME.fullmatch(holder.name):
            raise InvalidError(f"not a name for a holder: {holder.name!a:.80}")
        _check_ascending(f"the keys of {holder.name}", [key.key_id for key in holder.keys])
        algorithms = sorted(map(algorithm_of, holder.keys))
        # A later format may ask for others: that is for a later version to judge.
        if "" not in algorithms and algorithms != HOLDER_ALGORITHMS:
            raise InvalidError(
                f"the holder {holder.name} has not exactly one Ed25519 and one ML-DSA-65 key"
            )
        for key in holder.keys:
            if key.key_id in seen:
                other = seen[key.key_id]
                raise InvalidError(f"{other} and {holder.name} have one key: they are one holder")
            seen[key.key_id] = holder.name


def _check_keys(keys: tuple[TrustKey, ...]) -> None:
    if len(keys) > MAX_KEYS:
        raise InvalidError(f"a trust file has at most {MAX_KEYS:,} keys, not {len(keys):,}")
    _check_ascending("the keys", [each.key_id for each in keys])
    for each in keys:
        if each.name and not NAME.fullmatch(each.name):
            raise InvalidError(f"not a name for a key: {each.name!a:.80}")
        if each.role not in ROLES:
            raise InvalidError(f"not a role: {each.role!a:.40} (one of {', '.join(ROLES)})")
        if each.role == "log" and each.erase:
            raise InvalidError(f"the log's key {each.key_id[:16]}… can't have erase")
    if not any(each.role == "log" for each in keys):
        raise InvalidError("a trust file lists at least one key of the log")


def _check_ascending(what: str, ids: list[str]) -> None:
    if any(low >= high for low, high in pairwise(ids)):
        raise InvalidError(f"{what} do not ascend, or one is there twice")


def _check_day(text: str) -> str:
    try:
        if DAY.fullmatch(text):
            date.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise InvalidError(f"not a day: {text!a:.40} (write it as 2027-12-01)")


# -- Reading ---------------------------------------------------------------------------------------


def _decode_trust(value: JSONValue, signatures: tuple[HolderSignature, ...]) -> TrustFile:
    if type(value) is not dict or type(value.get("format")) is not int:
        raise MalformedError("not a trust file: it has no format number")
    if value["format"] != FORMAT:
        raise UnsupportedFormatError(
            f"a trust file of format {value['format']}; this version knows {FORMAT}",
            hint="a newer version of this software may read it",
            reason="unsupported-trust",
        )
    if value.keys() != MEMBERS:
        odd = ", ".join(sorted(value.keys() ^ MEMBERS))
        raise MalformedError(f"not a trust file: missing or unknown members: {odd!a:.200}")
    log = _members(value["log"], root=str, size=int)
    for name in ("next", "previous"):
        if value[name] is not None and type(value[name]) is not str:
            raise MalformedError(f"not a trust file: {name} is neither a string nor null")
    trust = _only(value, origin=str, threshold=int, version=int)
    return TrustFile(
        version=trust["version"],
        previous=value["previous"],
        holders=tuple(_holder(each) for each in _list(value, "holders")),
        threshold=trust["threshold"],
        keys=tuple(_key(each) for each in _list(value, "keys")),
        log=Checkpoint(trust["origin"], log["size"], decode_base64(log["root"])),
        revoked=tuple(_revocation(each) for each in _list(value, "revoked")),
        next=value["next"],
        signatures=signatures,
    )


def _holder(value: JSONValue) -> Holder:
    members = _members(value, keys=list, name=str)
    return Holder(members["name"], tuple(_read_key(each) for each in members["keys"]))


def _key(value: JSONValue) -> TrustKey:
    members = _members(value, erase=bool, key=str, name=str, role=str)
    key = _read_key(members["key"])
    return TrustKey(key, members["name"], members["role"], members["erase"])


def _revocation(value: JSONValue) -> Revocation:
    members = _members(value, **{"from": int, "key": str})
    return Revocation(members["key"], members["from"])


def _signature(value: JSONValue) -> HolderSignature:
    members = _members(value, key=str, signature=str)
    return HolderSignature(
        layout.check_address(members["key"]), decode_base64(members["signature"])
    )


def _read_key(text: object) -> AnyKey:
    if type(text) is not str:
        raise MalformedError("not a trust file: a key is not a string")
    return _decode_key(text)


@lru_cache(maxsize=MAX_KEYS)
def _decode_key(text: str) -> AnyKey:
    """Read a key once: the files of a ledger mostly list the same ones."""
    return read_spki(decode_base64(text))


def _list(value: dict[str, Any], name: str) -> list[Any]:
    members = _only(value, **{name: list})
    found: list[Any] = members[name]
    return found


def _members(value: JSONValue, **types: type) -> dict[str, Any]:
    """Return an object that has exactly these members, of these types."""
    if type(value) is not dict or value.keys() != types.keys():
        raise MalformedError(f"not a trust file: expected an object of {', '.join(sorted(types))}")
    return _only(value, **types)


def _only(value: dict[str, Any], **types: type) -> dict[str, Any]:
    for name, kind in types.items():
        if type(value[name]) is not kind:
            raise MalformedError(f"not a trust file: {name} is not a {kind.__name__}")
    return value
