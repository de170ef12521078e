"""The leaves of the log, and what sealing keeps in the store beside the log, in canonical JSON.

A leaf of the log::

    {"entry":"<address>","title_number":"TN1234567","type":"entry","version":3}

It says which entry is version 3 of a title, and nothing of what the entry says: the log may be
public when the register is not. Another one names a trust file, from the second on::

    {"trust":"<sha256 of what its holders signed>","type":"trust","version":2}

Beside the log::

    _log/state          {"checkpoint":"<signed note>","format":1,"staging":"<base size>-<sha256>"}
    _log/staging/…      the leaves that the checkpoint adds to its base, as a tile of entries
    _log/sealed/TN1     {"address":"<sha256>","leaves":[<index>,…],"version":<number>}

Only the checkpoint is signed. Everything else has to lead to its root, or to be in a chain.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import (
    IntegrityError,
    LedgerError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import canonical, layout
from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from ledger.tlog.merkle import MAX_SIZE
from ledger.tlog.tiles import ENTRIES, Tile, decode_entries, encode_entries, parse_tile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.canonical import JSONValue
    from ledger.format.entry import Entry
    from ledger.format.pem import VerifyingKey

LEAF_TYPE = "entry"
LEAF_MEMBERS = {"entry", "title_number", "type", "version"}
ENTRY_LEAF = re.compile(
    rb'\{"entry":"([0-9a-f]{64})","title_number":"([0-9A-Z._-]+)","type":"entry",'
    rb'"version":([1-9][0-9]{0,14})\}'
)
"""All that the canonical JSON of an entry's leaf can be, but for versions of 16 digits: a log has
millions, and this tells in a tenth of the time."""
TRUST_TYPE = "trust"
TRUST_MEMBERS = {"trust", "type", "version"}

NOT_TO_BE_PASSED_OVER = "!"
"""What the type of a leaf begins with if a reader that does not know it must say so."""

RECORDED = 1000
"""Of how many versions, the newest, a record has the leaves."""

FORMAT = 1
NAME = re.compile(r"(0|[1-9][0-9]{0,18})-([0-9a-f]{64})")


class Leaf(NamedTuple):
    """One entry in the log."""

    title_number: str
    version: int
    address: str

    def encode(self) -> bytes:
        """The content of the leaf; raises InvalidError for what is none."""
        return canonical.encode(
            {
                "entry": layout.check_address(self.address),
                "title_number": layout.check_title_number(self.title_number),
                "type": LEAF_TYPE,
                "version": _check_version(self.version),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Leaf:
        """Read a leaf; raises MalformedError, or UnsupportedFormatError for another type."""
        leaf = decode_leaf(data)
        if isinstance(leaf, OtherLeaf):
            raise leaf.unsupported()
        if isinstance(leaf, TrustLeaf):
            raise MalformedError("not the leaf of an entry: it names a trust file")
        return leaf

    @classmethod
    def _of(cls, value: dict[str, JSONValue]) -> Leaf:
        if value.keys() != LEAF_MEMBERS:
            raise MalformedError(
                f"not a leaf of the log: expected {', '.join(sorted(LEAF_MEMBERS))}"
            )
        return cls(
            layout.check_title_number(value["title_number"]),
            _check_version(value["version"]),
            layout.check_address(value["entry"]),
        )


class TrustLeaf(NamedTuple):
    """One trust file in the log."""

    version: int
    digest: str
    """Hex sha256 of what its holders signed."""

    def encode(self) -> bytes:
        """The content of the leaf; raises InvalidError for what is none."""
        return canonical.encode(
            {
                "trust": layout.check_address(self.digest),
                "type": TRUST_TYPE,
                "version": _check_version(self.version),
            }
        )

    @classmethod
    def _of(cls, value: dict[str, JSONValue]) -> TrustLeaf:
        if value.keys() != TRUST_MEMBERS:
            raise MalformedError(f"not a trust leaf: expected {', '.join(sorted(TRUST_MEMBERS))}")
        version = _check_version(value["version"])
        if version == 1:
            raise MalformedError("not a trust leaf: the first trust file has none")
        return cls(version, layout.check_address(value["trust"]))


class OtherLeaf(NamedTuple):
    """A leaf that is not about an entry: it is counted, and what it says is not judged."""

    type: str

    @property
    def may_be_passed_over(self) -> bool:
        """Whether the rest of the log can be judged without knowing what this leaf says."""
        return not self.type.startswith(NOT_TO_BE_PASSED_OVER)

    def unsupported(self) -> UnsupportedFormatError:
        """The error of whoever has to know what the leaf says."""
        return UnsupportedFormatError(
            f"a leaf of type {self.type!a:.40}; this version knows {LEAF_TYPE!r} and {TRUST_TYPE!r}"
        )


AnyLeaf: TypeAlias = Leaf | TrustLeaf | OtherLeaf


def decode_leaf(data: bytes) -> AnyLeaf:
    """Read a leaf of any type; raises MalformedError."""
    match = ENTRY_LEAF.fullmatch(data)
    if match and layout.is_title_number(title_number := match[2].decode()):
        return Leaf(title_number, int(match[3]), match[1].decode())
    value = canonical.load(data)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise MalformedError("not a leaf of the log: no object with a type")
    if value["type"] == LEAF_TYPE:
        return Leaf._of(value)  # noqa: SLF001 -- next to it
    if value["type"] == TRUST_TYPE:
        return TrustLeaf._of(value)  # noqa: SLF001
    return OtherLeaf(str(value["type"]))


def leaf_of(entry: Entry) -> Leaf:
    """Return the leaf of an entry."""
    return Leaf(entry.title_number, entry.version, entry.address)


def _check_version(version: object) -> int:
    if type(version) is not int or not 1 <= version <= canonical.MAX_INTEGER:
        raise MalformedError(f"not a version: {version!a:.40}")
    return version


class Staging(NamedTuple):
    """The name of the leaves of one commit: the size that they continue, and their sha256."""

    base: int
    sha256: str

    @property
    def name(self) -> str:
        """What follows ``_log/staging/``."""
        return f"{self.base}-{self.sha256}"

    @classmethod
    def parse(cls, name: str) -> Staging | None:
        """Read a name; None for every other text."""
        match = NAME.fullmatch(name)
        return cls(int(match[1]), match[2]) if match and int(match[1]) <= MAX_SIZE else None

    @classmethod
    def encode(cls, base: int, leaves: Iterable[bytes]) -> tuple[Staging, bytes]:
        """The name and the bytes of these leaves."""
        data = encode_entries(leaves)
        return cls(base, hashlib.sha256(data).hexdigest()), data

    def decode(self, data: bytes, size: int) -> list[bytes]:
        """The leaves from the base up to ``size``; raises MalformedError for other bytes."""
        if hashlib.sha256(data).hexdigest() != self.sha256 or size < self.base:
            raise MalformedError("these are not the leaves that it is named after")
        return decode_entries(Tile(ENTRIES, 0, size - self.base), data)


@dataclass(frozen=True, slots=True)
class LogState:
    """What the log is committed to: a checkpoint, and where the leaves are that it added."""

    signed: SignedCheckpoint
    staging: Staging

    @property
    def checkpoint(self) -> Checkpoint:
        """The size and the root."""
        return self.signed.checkpoint

    @property
    def lines(self) -> bytes:
        """The sealers' signature lines, those by keys that readers may not know yet among them."""
        return self.signed.note.rpartition(b"\n\n")[2]

    def encode(self) -> bytes:
        """The bytes of ``_log/state``."""
        note = self.signed.note.decode()
        return canonical.encode(
            {"checkpoint": note, "format": FORMAT, "staging": self.staging.name}
        )

    @classmethod
    def open(
        cls,
        data: bytes,
        *,
        origin: str,
        log_keys: Iterable[VerifyingKey],
    ) -> LogState:
        """Read a state that a key of the log signed; one of any algorithm is enough.

        Raises IntegrityError (reason ``bad-state``) for any other, UnsupportedFormatError.
        """
        try:
            return cls._open(data, origin, log_keys)
        except (IntegrityError, MalformedError, TrustError) as error:
            raise IntegrityError(
                f"{layout.LOG_STATE}: {error}",
                hint="the log's own key did not make it so: see who writes to the store",
                reason="bad-state",
                object_key=layout.LOG_STATE,
            ) from error

    @classmethod
    def _open(cls, data: bytes, origin: str, log_keys: Iterable[VerifyingKey]) -> LogState:
        value = canonical.load(data)
        if not isinstance(value, dict) or type(value.get("format")) is not int:
            raise MalformedError("it has no format number")
        if value["format"] != FORMAT:
            raise UnsupportedFormatError(
                f"{layout.LOG_STATE}: a state of format {value['format']}; this knows {FORMAT}"
            )
        if value.keys() != {"checkpoint", "format", "staging"} or not all(
            isinstance(value[name], str) for name in ("checkpoint", "staging")
        ):
            raise MalformedError("expected the members checkpoint, format and staging")
        signed = open_checkpoint(
            value["checkpoint"].encode(), origin=origin, log_keys=log_keys, any_algorithm=True
        )
        staging = Staging.parse(value["staging"])
        if staging is None or staging.base > signed.checkpoint.size:
            raise MalformedError(f"not the name of its leaves: {value['staging']!a:.100}")
        return cls(signed, staging)


class SealedRecord(NamedTuple):
    """How far a title is logged: up to this version, whose leaf is the last of these.

    A hint for readers: whoever uses it proves the leaf that it names.
    """

    version: int
    address: str
    leaves: tuple[int, ...]
    """The indexes of the leaves of the newest versions, the last of them that of ``version``."""

    @property
    def leaf(self) -> int:
        """The index of the leaf of ``version``."""
        return self.leaves[-1]

    def leaf_of(self, version: int) -> int | None:
        """The index of the leaf of a version; None if the record does not name it."""
        place = version - self.version + len(self.leaves) - 1
        return self.leaves[place] if 0 <= place < len(self.leaves) else None

    def encode(self) -> bytes:
        """The bytes of ``_log/sealed/<title>``."""
        return canonical.encode({**self._asdict(), "leaves": list(self.leaves)})

    @classmethod
    def decode(cls, data: bytes, object_key: str = "") -> SealedRecord:
        """Read a record; raises IntegrityError (reason ``bad-record``)."""
        try:
            return cls._decode(canonical.load(data))
        except LedgerError as error:
            raise IntegrityError(
                f"{object_key}: {error}", reason="bad-record", object_key=object_key
            ) from None

    @classmethod
    def _decode(cls, value: JSONValue) -> SealedRecord:
        if not isinstance(value, dict) or value.keys() != set(cls._fields):
            raise MalformedError("expected the members address, leaves and version")
        version, leaves = _check_version(value["version"]), value["leaves"]
        if not isinstance(leaves, list) or not 1 <= len(leaves) <= min(RECORDED, version):
            raise MalformedError("not the indexes of the leaves of its newest versions")
        indexes = tuple(index for index in leaves if type(index) is int and index >= 0)
        if len(indexes) != len(leaves):
            raise MalformedError("not the index of a leaf")
        return cls(version, layout.check_address(value["address"]), indexes)


def is_log_key(key: str) -> bool:
    """Whether this is the key of something that belongs to a log, by its name alone."""
    if key in {layout.LOG_STATE, layout.LOG_CHECKPOINT}:
        return True
    if key.startswith(layout.STAGING):
        return Staging.parse(key.removeprefix(layout.STAGING)) is not None
    if key.startswith(layout.sealed_key("")):
        return layout.is_title_number(key.removeprefix(layout.sealed_key("")))
    return key.startswith(layout.LOG) and _is_tile(key.removeprefix(layout.LOG))


def _is_tile(path: str) -> bool:
    try:
        parse_tile(path)
    except MalformedError:
        return False
    return True
