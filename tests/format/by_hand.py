"""Entries put together by hand from the format's text, so that no test takes the code's word.

A rogue registrar can sign anything; ``sealed`` is what such a one would store.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from ledger.testing import ORIGIN, signer

if TYPE_CHECKING:
    from ledger import PrivateKey

ALICE = signer()
TITLE = "TN1234567"
NOW = "2026-11-23T10:00:00.000000Z"
SALT = bytes(range(32))
TYPE = b"application/vnd.title-ledger.entry.v1+json"

ORDER = 2**252 + 27742317777372353535851937790883648493
"""L, the order of the base point (RFC 8032, section 5.1)."""

ABSENT = object()
"""In place of a value: leave the member out."""


def spell(value: Any) -> bytes:
    """Canonical JSON, for values whose canonical spelling is that of Python's json."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def text(**changes: Any) -> dict[str, Any]:
    """The members of a text, changed."""
    return _changed({"author": "", "document": {}, "message": "", "salt": SALT.hex()}, changes)


def members(t: bytes = b"", **changes: Any) -> dict[str, Any]:
    """The members of a first entry with the text ``t``, changed."""
    plain = {
        "confirms": [],
        "effective_at": None,
        "effective_until": None,
        "erases": [],
        "key": ALICE.public_key.key_id,
        "kind": "registration",
        "ledger": ORIGIN,
        "parent": None,
        "part": [1, 1],
        "recorded_at": NOW,
        "reference": "",
        "status": "open",
        "text": hashlib.sha256(t or spell(text())).hexdigest(),
        "title_number": TITLE,
        "version": 1,
        "voids": [],
    }
    return _changed(plain, changes)


def _changed(value: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in (value | changes).items() if each is not ABSENT}


def pae(payload: bytes, payload_type: bytes = TYPE) -> bytes:
    """The DSSE v1 pre-authentication encoding."""
    parts = [b"DSSEv1", str(len(payload_type)).encode(), payload_type]
    return b" ".join([*parts, str(len(payload)).encode(), payload])


def wrap(payload: bytes, signature: bytes | str, t: bytes | None = None) -> bytes:
    """A stored object of these parts, whatever they are; the short form if there is no text."""
    spelled = signature if isinstance(signature, str) else base64.b64encode(signature).decode()
    short = b'{"entry":' + payload + b',"signature":"' + spelled.encode() + b'"}'
    return short if t is None else short[:-1] + b',"text":' + t + b"}"


def sealed(payload: bytes, t: bytes | None = None, key: PrivateKey = ALICE) -> bytes:
    """A stored object of these parts, with a signature that is good for them."""
    return wrap(payload, key.sign(pae(payload)), t)


def entry(t: bytes | None = None, key: PrivateKey = ALICE, /, **changes: Any) -> bytes:
    """A long form with a good signature: of P's members, changed, over the text ``t``."""
    t = spell(text()) if t is None else t
    return sealed(spell(members(t, **changes)), t, key)


def address(data: bytes) -> str:
    """The address of an object that is well formed: of all up to the quote behind S, then ``}``."""
    end = data.index(b'},"signature":"') + len(b'},"signature":"')
    return hashlib.sha256(data[: data.index(b'"', end) + 1] + b"}").hexdigest()


def nested(levels: int) -> dict[str, Any]:
    """A document of so many levels."""
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {"in": document}
    return document
