"""Whose signatures count: per origin, and per role, a set of public keys.

The keyring is also the pin of the origin. What a store says of itself is compared with it, never
believed. Keyrings are values: ``trust`` and ``untrust`` return another one.

Its file, ``keyring.json``, is JSON::

    {"format": 1,
     "keys": [{"key": "<PEM>", "name": "alice",
               "origin": "example.org/titles", "role": "registrar"}]}

A registrar's key is Ed25519. The keys of logs and witnesses may also be ML-DSA-44.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from ledger.errors import InvalidError, MalformedError, NotFoundError, UnsupportedFormatError
from ledger.format import canonical, layout
from ledger.format.given import check_given
from ledger.format.pem import VerifyingKey, read_public_key
from ledger.format.standing import FindPositions, Judge, judge_without_trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Role = Literal["registrar", "log", "witness"]
TRUST_THE_LOG = (
    "ask for it, and compare its id over another channel:"
    " ledger key trust FILE --origin {} --role log"
)
"""The hint if the keyring has no key of the log of an origin, which is to be filled in."""

ROLES: tuple[Role, ...] = get_args(Role)

ALGORITHMS: dict[Role, tuple[str, ...]] = {
    "registrar": ("Ed25519",),
    "log": ("Ed25519", "ML-DSA-44"),
    "witness": ("Ed25519", "ML-DSA-44"),
}
"""What a key of a role may sign with."""

ORIGIN = re.compile(r"[!-*,-~]{1,200}")
"""Printable ASCII without spaces and ``+``, as the key names of signed notes (C2SP)."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")


class TrustedKey(NamedTuple):
    """A key that counts for one origin in one role; ``name`` is only for people."""

    origin: str
    role: Role
    key: VerifyingKey
    name: str = ""


class Root(NamedTuple):
    """A trust file that a reader believes, by its digest, and through it those before it."""

    origin: str
    digest: str
    """Hex sha256 of what its holders signed."""
    version: int


def check_origin(text: object) -> str:
    """Return the origin name, or raise InvalidError."""
    if isinstance(text, str) and ORIGIN.fullmatch(text):
        return text
    raise InvalidError(
        f"not an origin: {text!a:.80} (printable ASCII, no spaces, no '+')",
        hint="an origin looks like example.org/titles",
    )


class Keyring:
    """Which public keys count, for which ledger, as what. A value: it never changes."""

    def __init__(self, keys: Iterable[TrustedKey] = (), roots: Iterable[Root] = ()) -> None:
        self._keys: dict[tuple[str, Role, str], TrustedKey] = {}
        for trusted in keys:
            self._add(trusted)
        self._roots: dict[str, Root] = {}
        for root in roots:
            check_origin(root.origin)
            layout.check_address(root.digest)
            layout.check_version(root.version)
            self._roots[root.origin] = root

    def _add(self, trusted: TrustedKey) -> None:
        check_origin(trusted.origin)
        check_given(trusted.name, str, "the name of a key")
        if not hasattr(trusted.key, "key_id"):
            raise InvalidError(f"not a public key: a {type(trusted.key).__name__}")
        if trusted.role not in ROLES:
            raise InvalidError(f"not a role: {trusted.role!r} (one of {', '.join(ROLES)})")
        if trusted.name and not NAME.fullmatch(trusted.name):
            raise InvalidError(f"not a name for a key: {trusted.name!a:.80}")
        if trusted.key.algorithm not in ALGORITHMS[trusted.role]:
            raise InvalidError(
                f"a key of the algorithm {trusted.key.algorithm} can't be a {trusted.role}'s:"
                f" expected {' or '.join(ALGORITHMS[trusted.role])}"
            )
        for role in ROLES:
            if role != trusted.role and (trusted.origin, role, trusted.key.key_id) in self._keys:
                raise InvalidError(
                    f"key {trusted.key.key_id[:8]} is a {role} of {trusted.origin} already",
                    hint=f"a key has one role; generate another one for the {trusted.role}",
                )
        self._keys[trusted.origin, trusted.role, trusted.key.key_id] = trusted

    def trust(
        self, origin: str, key: VerifyingKey, *, role: Role = "registrar", name: str = ""
    ) -> Keyring:
        """A keyring in which this key counts, too."""
        return Keyring([*self._keys.values(), TrustedKey(origin, role, key, name)], self.roots)

    def untrust(self, key_id: str, *, origin: str | None = None) -> Keyring:
        """A keyring in which this key counts no more, for one origin or for all of them."""
        kept = [
            trusted
            for trusted in self
            if trusted.key.key_id != key_id or origin not in (None, trusted.origin)
        ]
        if len(kept) == len(self._keys):
            raise NotFoundError(f"no such key in the keyring: {key_id!s:.64}")
        return Keyring(kept, self.roots)

    def pin(self, root: Root) -> Keyring:
        """A keyring with this root, in the place of any other that it has of the same ledger."""
        return Keyring(self._keys.values(), [*self.roots, root])

    @property
    def roots(self) -> tuple[Root, ...]:
        """The trust files that are pinned, one for a ledger, by origin."""
        return tuple(self._roots[origin] for origin in sorted(self._roots))

    def root(self, origin: str) -> Root | None:
        """The trust file that is pinned for this origin; None: the keys here count."""
        return self._roots.get(origin)

    def key(self, origin: str, key_id: str, role: Role = "registrar") -> VerifyingKey | None:
        """The key of this id, if it counts for this origin in this role."""
        trusted = self._keys.get((origin, role, key_id))
        return trusted.key if trusted and self.counts(trusted) else None

    def counts(self, trusted: TrustedKey) -> bool:
        """Whether a key of this keyring counts: if its ledger has a root, only a witness's does."""
        return trusted.role == "witness" or trusted.origin not in self._roots

    def keys(self, origin: str, role: Role) -> list[VerifyingKey]:
        """All keys that count for this origin in this role."""
        return [t.key for t in self if (t.origin, t.role) == (origin, role) and self.counts(t)]

    @property
    def own(self) -> Keyring:
        """What the reader's own keyring says, without trust files."""
        return self

    def has_ends(self, origin: str) -> bool:  # noqa: ARG002
        """Whether a registrar's key has an end, so that positions in the log matter."""
        return False

    def is_unsupported(self, origin: str, key_id: str) -> bool:  # noqa: ARG002
        """Whether this is a registrar's key of an algorithm that no entry can be checked with."""
        return False

    def may_sign(self, origin: str, key_id: str) -> bool:
        """Whether what this registrar's key signs from now on can count."""
        return self.key(origin, key_id) is not None

    def judge(self, origin: str, find_positions: FindPositions) -> Judge:  # noqa: ARG002
        """Return what judges the entries of one chain of this origin; see ``format/standing.py``.

        Here all of them stand. ``find_positions`` is asked only by a keyring with trust files.
        """
        return judge_without_trust

    def name(self, origin: str, key_id: str) -> str:
        """What people call the key, or ""."""
        for role in ROLES:
            if (origin, role, key_id) in self._keys:
                return self._keys[origin, role, key_id].name
        return ""

    def has_key(self, key_id: str) -> bool:
        """Whether the key counts for anything at all."""
        return any(t.key.key_id == key_id and self.counts(t) for t in self._keys.values())

    @property
    def origins(self) -> list[str]:
        """The origins that are pinned, sorted."""
        return sorted({*self._roots, *(origin for origin, _, _ in self._keys)})

    def __iter__(self) -> Iterator[TrustedKey]:
        return iter(sorted(self._keys.values(), key=lambda t: (t.origin, t.role, t.key.key_id)))

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        about = ", ".join(self.origins) or "empty"
        return f"<{type(self).__name__} {about}; keys: {len(self)}, roots: {len(self._roots)}>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Keyring) and self._keys == other._keys and self._roots == other._roots
        )

    def __hash__(self) -> int:
        return hash((frozenset(self._keys.values()), frozenset(self._roots.values())))

    def encode(self) -> bytes:
        """The bytes of ``keyring.json``."""
        keys = [
            {"key": t.key.pem().decode(), "name": t.name, "origin": t.origin, "role": t.role}
            for t in self
        ]
        value: dict[str, canonical.JSONValue] = {"format": 1, "keys": keys}
        if self._roots:
            value["roots"] = [
                {"origin": r.origin, "trust": r.digest, "version": r.version} for r in self.roots
            ]
        return json.dumps(value, indent=2).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Keyring:
        """Read ``keyring.json``; raises MalformedError or UnsupportedFormatError."""
        value = canonical.decode(data)
        if not isinstance(value, dict) or type(value.get("format")) is not int:
            raise MalformedError("not a keyring: no format number")
        if value["format"] != 1:
            raise UnsupportedFormatError(f"a keyring of format {value['format']}; this knows 1")
        if value.keys() - {"roots"} != {"format", "keys"} or not (
            isinstance(value["keys"], list) and isinstance(value.get("roots", []), list)
        ):
            raise MalformedError(
                "not a keyring: expected the members format and keys, and perhaps roots"
            )
        keys = [_trusted_key(item) for item in value["keys"]]
        roots = [_root(item) for item in value.get("roots", [])]
        keyring = cls(keys, roots)
        if len(keyring) != len(keys):
            raise MalformedError("not a keyring: it has one key twice, and only one name can count")
        if len(keyring.roots) != len(roots):
            raise MalformedError("not a keyring: it has two roots for one ledger")
        return keyring


def _trusted_key(item: object) -> TrustedKey:
    if not isinstance(item, dict) or item.keys() != {"key", "name", "origin", "role"}:
        raise MalformedError("not a keyring: a key has the members key, name, origin and role")
    if not all(isinstance(member, str) for member in item.values()):
        raise MalformedError("not a keyring: the members of a key are strings")
    key = read_public_key(item["key"].encode())
    return TrustedKey(item["origin"], item["role"], key, item["name"])


def _root(item: object) -> Root:
    if not isinstance(item, dict) or item.keys() != {"origin", "trust", "version"}:
        raise MalformedError("not a keyring: a root has the members origin, trust and version")
    return Root(item["origin"], item["trust"], item["version"])


def check_keyring(keyring: object) -> None:
    """Refuse what is not a keyring; raises InvalidError."""
    expected = "a keyring, such as Keyring.decode(Path(FILE).read_bytes())"
    check_given(keyring, Keyring, expected)
