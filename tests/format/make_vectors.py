"""Makes ``tests/vectors/format-1.json``: ``python -m tests.make_vectors``.

The vectors are for those who write another reader of the format (``docs/spec.md``). Ed25519 is
deterministic and every time is fixed, so the file comes out the same, byte for byte, every time.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from ledger import Keyring, PrivateKey
from ledger.format import canonical, layout
from ledger.format.bundle import BUNDLE_KEY, Header, write_bundle
from ledger.format.entry import PAYLOAD_TYPE, Entry, digest, signed_bytes
from ledger.testing import ORIGIN, signer
from ledger.titles.identity import encode_identity

FILE = Path(__file__).parents[1] / "vectors" / "format-1.json"

TITLE = "TN1234567"
LONG_TITLE = "A2345678901234567890123456789-_Z"
OTHER_ORIGIN = "example.org/training"
NOW = "2026-11-23T10:00:00.000000Z"
ORDER_L = 2**252 + 27742317777372353535851937790883648493  # RFC 8032, section 5.1

ALICE, BOB, LOG, MALLORY = (signer(name) for name in ("alice", "bob", "log", "mallory"))
SEEDS = {
    name: hashlib.sha256(f"title-ledger test key {name}".encode()).digest()
    for name in ("alice", "bob", "log", "mallory")
}


def keyring() -> Keyring:
    """Alice and Bob are registrars, Bob of a second ledger too; Mallory is nobody."""
    return (
        Keyring()
        .trust(ORIGIN, ALICE.public_key, name="alice")
        .trust(ORIGIN, BOB.public_key, name="bob")
        .trust(ORIGIN, LOG.public_key, role="log", name="log")
        .trust(OTHER_ORIGIN, BOB.public_key, name="bob")
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# -- Entries that hold -----------------------------------------------------------------------------


def _sign(
    document: dict[str, Any],
    *,
    key: PrivateKey = ALICE,
    title_number: str = TITLE,
    recorded_at: str = NOW,
    ledger: str = ORIGIN,
    **rest: Any,
) -> Entry:
    return Entry.sign(
        key,
        ledger=ledger,
        title_number=title_number,
        document=document,
        recorded_at=recorded_at,
        **rest,
    )


def chain() -> list[Entry]:
    """Three versions of one title, by two registrars, oldest first."""
    first = _sign({"proprietor": "Ada Lovelace", "tenure": "freehold"}, message="registration")
    second = _sign(
        {"proprietor": "Charles Babbage", "tenure": "freehold"},
        key=BOB,
        parent=first,
        recorded_at="2026-11-24T09:30:00.000001Z",
        message="transfer",
        effective_at="2026-11-20",
        reference="APP-2026-000042",
    )
    third = _sign(
        {"proprietor": "Charles Babbage", "tenure": "freehold", "charges": []},
        parent=second,
        recorded_at="2026-11-24T09:30:00.000001Z",  # as late as its parent, which is allowed
        effective_at="2026-11-24T10:30:00+01:00",
        reference="APP-2026-000043",
    )
    return [first, second, third]


def entries() -> dict[str, Entry]:
    """Every entry that a reader accepts, by name."""
    first, second, third = chain()
    return {
        "minimal": _sign({}),
        "non-ascii": _sign(
            {
                "address": "Łódź, ulica Żółta 3\u2028",
                "straße": "Grüner Weg",
                "\ufb33": "after the next in code points, before it in UTF-16 units: it comes last",
                "\U0001f600": "\U0001f3e1",
                "e\u0301": "not normalised",
                "é": "another member",
            },
            message="заявление",
        ),
        "floats": _sign(
            {
                "integral": 1.0,
                "minus zero": -0.0,
                "tenth": 0.1,
                "sum": 0.1 + 0.2,
                "small": 0.000001,
                "smaller": 1e-7,
                "smallest": 5e-324,
                "point": [508225.88, 221781.09, -0.5],
                "largest integer": 2**53 - 1,
                "least integer": -(2**53) + 1,
            }
        ),
        "control-characters": _sign({"delete": "\x7f", "others": '\x00\x1f\b\t\n\f\r"\\/'}),
        "members": _sign(
            {"title_number": TITLE, "nested": {"sha256": "only refused at the top"}},
            message="a message",
            reference="APP-1",
            effective_at="1995-06-30",
        ),
        "long-title-number": _sign({"n": 1}, title_number=LONG_TITLE),
        "chain-1": first,
        "chain-2": second,
        "chain-3": third,
    }


def _describe(name: str, entry: Entry) -> dict[str, Any]:
    return {
        "name": name,
        "title_number": entry.title_number,
        "version": entry.version,
        "parent": entry.parent,
        "key": entry.key,
        "object_key": layout.entry_key(entry.title_number, entry.address),
        "payload": entry.payload.decode(),
        "signed_hex": signed_bytes(entry.payload).hex(),
        "signature": _b64(entry.signature),
        "object": entry.data.decode(),
        "address": entry.address,
        "document_digest": digest(entry.document),
    }


# -- Entries that don't ----------------------------------------------------------------------------


def wrap(payload: bytes, signature: bytes | str) -> bytes:
    """An object of the form of an entry, whatever its parts are."""
    text = signature if isinstance(signature, str) else _b64(signature)
    return b'{"entry":' + payload + b',"signature":"' + text.encode() + b'"}'


def _wrap(payload: bytes, key: PrivateKey = ALICE) -> bytes:
    """An object of these bytes, whatever they are, with a signature that is valid for them."""
    return wrap(payload, key.sign(signed_bytes(payload)))


def _members(**changes: Any) -> dict[str, Any]:
    members = canonical.load(_sign({"n": 1}).payload)
    members.update(changes)
    return {name: value for name, value in members.items() if value is not _ABSENT}


_ABSENT = object()


def _signed(**changes: Any) -> bytes:
    return _wrap(canonical.encode(_members(**changes), depth=100))


def _spelled(old: str, new: str) -> bytes:
    """A signed object whose payload has another spelling in one place."""
    payload = _sign({"n": 1}).payload.decode()
    if payload.count(old) != 1:
        raise ValueError(old)
    return _wrap(payload.replace(old, new).encode("utf-8", "surrogatepass"))


def _nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {"in": document}
    return document


def _malformed() -> dict[str, bytes]:
    good = _sign({"n": 1})
    payload, signature = good.payload, _b64(good.signature)
    members = _members()
    reordered = dict(sorted(members.items(), reverse=True))
    return {
        "empty": b"",
        "cut by one byte": good.data[:-1],
        "a newline at the end": good.data + b"\n",
        "a byte order mark": b"\xef\xbb\xbf" + good.data,
        "another member beside entry": good.data[:-1] + b',"x":1}',
        "a payload that is an array": _wrap(b"[" + payload + b"]"),
        "signature without padding": wrap(payload, signature.rstrip("=")),
        "signature of 66 bytes": wrap(payload, signature.rstrip("=") + "AA"),
        "signature in the URL-safe alphabet": wrap(payload, "_" + signature[1:]),
        "signature with stray bits": wrap(payload, signature[:-3] + _next(signature[-3]) + "=="),
        "spaces": _spelled('"kind":', '"kind": '),
        "members in another order": _wrap(json.dumps(reordered, separators=(",", ":")).encode()),
        "an escape that is not needed": _spelled('"registration"', '"registr\\u0061tion"'),
        "a duplicate member": _spelled('{"n":1}', '{"n":1,"n":1}'),
        "a duplicate member, spelled otherwise": _spelled('{"n":1}', '{"n":1,"\\u006e":1}'),
        "1.0": _spelled('{"n":1}', '{"n":1.0}'),
        "-0": _spelled('{"n":1}', '{"n":-0}'),
        "1e3": _spelled('{"n":1}', '{"n":1e3}'),
        "NaN": _spelled('{"n":1}', '{"n":NaN}'),
        "2^53": _spelled('{"n":1}', '{"n":9007199254740992}'),
        "1e+30": _spelled('{"n":1}', '{"n":1e+30}'),
        "a lone surrogate": _spelled('{"n":1}', '{"n":"\\ud800"}'),
        "bytes that are no UTF-8": _spelled('{"n":1}', '{"n":"\ud800"}'),
        "65 levels": _signed(document=_nested(65)),
        "an unknown member": _signed(extra=1),
        **{f"without {name}": _signed(**{name: _ABSENT}) for name in members},
        "a document that is an array": _signed(document=[]),
        "a document of another title": _signed(document={"title_number": "TN7654321"}),
        "a document with sha256": _signed(document={"sha256": "0" * 64}),
        "version 0": _signed(version=0, parent=None),
        "version true": _signed(version=True, parent=None),
        "version 1 with a parent": _signed(parent="0" * 64),
        "version 2 without a parent": _signed(version=2),
        "a parent in capitals": _signed(version=2, parent="A" * 64),
        "a key id cut short": _signed(key=good.key[:-1]),
        "a kind that is no string": _signed(kind=1),
        "a message that is null": _signed(message=None),
        "recorded_at without microseconds": _signed(recorded_at="2026-11-23T10:00:00Z"),
        "recorded_at with an offset": _signed(recorded_at="2026-11-23T10:00:00.000000+00:00"),
        "recorded_at on 30 February": _signed(recorded_at="2026-02-30T10:00:00.000000Z"),
        "recorded_at at 24 o'clock": _signed(recorded_at="2026-11-22T24:00:00.000000Z"),
        "recorded_at in a leap second": _signed(recorded_at="2016-12-31T23:59:60.000000Z"),
        "effective_at at 24 o'clock": _signed(effective_at="2026-11-22T24:00:00Z"),
        "effective_at in lower case": _signed(effective_at="2026-11-22t10:00:00z"),
        "effective_at that is no date": _signed(effective_at="2026-11"),
        "effective_at without an offset": _signed(effective_at="2026-11-23T10:00:00"),
        "a title number in lower case": _signed(title_number="tn1"),
        "a title number that is a device": _signed(title_number="COM1"),
        "an origin with a space": _signed(ledger="example.org titles"),
    }


def _next(character: str) -> str:
    """The next character of the base64 alphabet: one more bit is set, which belongs to no byte."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(character) + 1]


def _forged() -> dict[str, tuple[str, bytes]]:
    good = _sign({"n": 1})
    payload, signature = good.payload, good.signature
    response = int.from_bytes(signature[32:], "little") + ORDER_L
    above = signature[:32] + response.to_bytes(32, "little")
    bare = ALICE.sign(payload)
    other_type = PAYLOAD_TYPE.replace(b"entry", b"other")
    other = ALICE.sign(b"DSSEv1 %d %b %d %b" % (len(other_type), other_type, len(payload), payload))
    stranger = _members(key=MALLORY.key_id)
    log = _members(key=LOG.key_id)
    return {
        "a changed byte": ("bad-signature", good.data.replace(b'{"n":1}', b'{"n":2}')),
        "signed by another than it says": ("bad-signature", wrap(payload, BOB.sign(payload))),
        "signed without the prefix": ("bad-signature", wrap(payload, bare)),
        "signed as another type": ("bad-signature", wrap(payload, other)),
        "a signature whose S is not below L": ("bad-signature", wrap(payload, above)),
        "a signature of zeros": ("bad-signature", wrap(payload, bytes(64))),
        "a key that nobody trusts": ("unknown-key", _wrap(canonical.encode(stranger), MALLORY)),
        "a key of another role": ("untrusted-key", _wrap(canonical.encode(log), LOG)),
        "an entry of another title": ("wrong-title", _sign({}, title_number="TN7654321").data),
        "an entry of another ledger": (
            "wrong-ledger",
            _wrap(canonical.encode(_members(ledger=OTHER_ORIGIN))),
        ),
        "a kind of a later version": ("unsupported-kind", _signed(kind="redaction")),
    }


def _invalid() -> list[dict[str, Any]]:
    """What ``Entry.open`` refuses as an entry of the title, without knowing its address."""
    found = [
        {"name": name, "slug": "malformed-entry", "object_base64": _b64(data)}
        for name, data in _malformed().items()
    ]
    found += [
        {"name": name, "slug": slug, "object_base64": _b64(data)}
        for name, (slug, data) in _forged().items()
    ]
    return found


# -- Chains ----------------------------------------------------------------------------------------


def _follow(parent: Entry, **changes: Any) -> bytes:
    members = _members(version=parent.version + 1, parent=parent.address)
    members.update(changes)
    return _wrap(canonical.encode(members))


def _store(*objects: bytes) -> dict[str, bytes]:
    """The objects under their addresses; the head is the first of them."""
    found = {layout.head_key(TITLE): objects[0]}
    for data in objects:
        found[layout.entry_key(TITLE, hashlib.sha256(data).hexdigest())] = data
    return found


def _without(objects: dict[str, bytes], key: str) -> dict[str, bytes]:
    return {name: data for name, data in objects.items() if name != key}


def _chains() -> list[dict[str, Any]]:
    first, second, third = chain()
    keys = [layout.entry_key(TITLE, entry.address) for entry in (first, second, third)]
    whole = _store(third.data, second.data, first.data)
    sibling = _sign({"proprietor": "Mallory"}, key=BOB, message="signed, but in no chain")
    swapped = copy.copy(whole)
    swapped[keys[0]], swapped[keys[1]] = whole[keys[1]], whole[keys[0]]
    older = (second.data, first.data)
    late = "2026-11-25T00:00:00.000000Z"
    chains: list[tuple[str, dict[str, bytes], str | None, list[str]]] = [
        ("three versions", whole, None, []),
        ("three versions, pinned at the first", whole, first.address, []),
        ("without the root", _without(whole, keys[0]), None, ["entry-missing"]),
        ("without the head's own entry", _without(whole, keys[2]), None, ["entry-missing"]),
        ("two objects swapped", swapped, None, ["address-mismatch"]),
        (
            "a version left out",
            _store(_follow(first, version=3, recorded_at=late), first.data),
            None,
            ["wrong-version"],
        ),
        ("time going back", _store(_follow(second), *older), None, ["time-reversed"]),
        ("rolled back below the pin", _store(*older), third.address, ["pin-missing"]),
        ("a sibling in the head's place", _store(sibling.data), first.address, ["pin-missing"]),
    ]
    return [
        {
            "name": name,
            "title_number": TITLE,
            "expect": expect,
            "slugs": slugs,
            "objects": {key: data.decode() for key, data in sorted(objects.items())},
        }
        for name, objects, expect, slugs in chains
    ]


# -- The rest --------------------------------------------------------------------------------------


def _keys() -> list[dict[str, Any]]:
    found = []
    for name, seed in SEEDS.items():
        public = PrivateKey(seed).public_key
        found.append(
            {
                "name": name,
                "seed_hex": seed.hex(),
                "public_hex": public.raw.hex(),
                "pem": public.pem().decode(),
                "key_id": public.key_id,
            }
        )
    return found


# Points of small order, in their canonical encodings and two others that decode to such points;
# then 31 bytes, and 32 that are no point.
NOT_KEYS = {
    "small order: 1": "0100000000000000000000000000000000000000000000000000000000000000",
    "small order: 2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "small order: 4": "0000000000000000000000000000000000000000000000000000000000000000",
    "small order: 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "small order, p + 1": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "31 bytes": "01" * 31,
    "no point": "02" + "00" * 31,
}

TITLE_NUMBERS = {
    "valid": [
        "A", "0", "TN1234567", "12DFSADF", "DN100", "A-_9", LONG_TITLE, "COM", "COM10", "CON1",
    ],
    "invalid": [
        "", "tn1", "_A", "-A", "A" * 33, "A.B", "A/B", "../A", "A%2e", "A\n", "A\x00", "A B",
        "\uff21", "\u0410", "\u0661", "CON", "PRN", "AUX", "NUL", "COM0", "COM9", "LPT1",
    ],
}  # fmt: skip

DOCUMENTS_REFUSED = {
    "a duplicate member": '{"edition_date":"2014-10-17","edition_date":"2015-01-02"}',
    "a duplicate member, nested": '{"a":[{"b":1,"\\u0062":2}]}',
    "NaN": '{"n":NaN}',
    "Infinity": '{"n":-Infinity}',
    "out of range": '{"n":1e400}',
    "2^53": '{"n":9007199254740992}',
    "2^53 as a float": '{"n":9007199254740992.0}',
    "1e30": '{"n":1e30}',
    "a lone surrogate": '{"s":"\\udc00"}',
    "a lone surrogate in a name": '{"\\ud800":1}',
    "a byte order mark": '\ufeff{"n":1}',
    "no object": "[]",
    "cut short": '{"n":1',
    "65 levels": json.dumps(_nested(65)),
    "another title": '{"title_number":"TN7654321"}',
    "sha256": '{"sha256":""}',
}


def bundle_bytes() -> bytes:
    """A bundle of two titles, the chain and one whose names need the header's prefix field."""
    first, second, third = chain()
    lone = entries()["long-title-number"]
    objects = [
        (BUNDLE_KEY, Header(ORIGIN, complete=True).encode()),
        (layout.LEDGER_KEY, encode_identity(ORIGIN)),
    ]
    for versions in ([lone], [third, second, first]):
        title = versions[0].title_number
        objects.append((layout.head_key(title), versions[0].data))
        objects += [(layout.entry_key(title, entry.address), entry.data) for entry in versions]
    return b"".join(write_bundle(objects))


def vectors() -> dict[str, Any]:
    """The whole file, as a value."""
    bundle = bundle_bytes()
    third = chain()[-1]
    return {
        "about": "Test vectors of the format in docs/spec.md. The keys are no secrets.",
        "format": 1,
        "origin": ORIGIN,
        "title_number": TITLE,
        "payload_type": PAYLOAD_TYPE.decode(),
        "keys": _keys(),
        "not_keys": [{"name": name, "public_hex": text} for name, text in NOT_KEYS.items()],
        "keyring": keyring().encode().decode(),
        "ledger_json": encode_identity(ORIGIN).decode(),
        "head_key": layout.head_key(TITLE),
        "pending_key": layout.pending_key(TITLE, third.version, third.address),
        "title_numbers": TITLE_NUMBERS,
        "entries": [_describe(name, entry) for name, entry in entries().items()],
        "invalid_entries": _invalid(),
        "chains": _chains(),
        "documents_refused": [
            {"name": name, "text": text} for name, text in DOCUMENTS_REFUSED.items()
        ],
        "bundle": {
            "titles": [LONG_TITLE, TITLE],
            "entries": 4,
            "sha256": hashlib.sha256(bundle).hexdigest(),
            "base64": _b64(bundle),
        },
    }


def text() -> bytes:
    """The bytes of the file: ASCII alone, so that no editor changes them."""
    return json.dumps(vectors(), indent=1).encode() + b"\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(text())
    print(f"wrote {FILE} ({FILE.stat().st_size:,} bytes)")
