"""Makes ``tests/vectors/format-1.json``: ``python -m tests.format.make_vectors``.

The vectors are for those who write another reader of the format (``docs/spec.md``). Ed25519 is
deterministic, and every time and salt is fixed, so the file is the same, byte for byte, every time.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from nacl import bindings

from ledger import Keyring, PrivateKey
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, Header, write_bundle
from ledger.format.entry import PAYLOAD_TYPE, Entry, digest, signed_bytes
from ledger.testing import ORIGIN, signer
from ledger.titles.identity import encode_identity
from tests.format import by_hand
from tests.format.by_hand import ALICE, NOW, ORDER, TITLE, pae, spell, wrap
from tests.format.refused import HEX, MALFORMED, MALFORMED_TEXTS

FILE = Path(__file__).parents[1] / "vectors" / "format-1.json"

LONG_TITLE = "A.2345678901234567890123456789-_2345678901234567890123456789.64_"
OTHER_ORIGIN = "example.org/training"

BOB, LOG, MALLORY = (signer(name) for name in ("bob", "log", "mallory"))
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


def _sign(document: dict[str, Any], key: PrivateKey = ALICE, **rest: Any) -> Entry:
    plain = {"ledger": ORIGIN, "title_number": TITLE, "recorded_at": NOW}
    salt = hashlib.sha256(spell([document, str(rest)])).digest()  # fresh, and always the same
    return Entry.sign(key, document=document, salt=salt, **(plain | rest))


def chain() -> list[Entry]:
    """Five versions of one title, by two registrars, the oldest first; the last erases two."""
    first = _sign({"proprietor": "Ada Lovelace", "tenure": "freehold"}, message="registration")
    second = _sign(
        {"proprietor": "Charles Babbage", "tenure": "freehold"},
        BOB,
        parent=first,
        recorded_at="2026-11-24T09:30:00.000001Z",
        message="transfer",
        author="case.worker@example.org",
        effective_at="2026-11-20",
        effective_until="2031",
        reference="APP-2026-000042",
    )
    third = _sign(
        {"proprietor": "Charles Babbage", "tenure": "freehold", "charges": []},
        parent=second,
        recorded_at="2026-11-24T09:30:00.000001Z",  # as late as its parent, which is allowed
        effective_at="2026-11-24T10:30:00+01:00",
        reference="APP-2026-000043",
        part=(2, 3),
        kind="rectification",
    )
    fourth = _sign(
        {"proprietor": "Charles Babbage"},
        parent=third,
        recorded_at="2026-11-25T09:30:00.000000Z",
        reference="AG Neustadt 7 C 12/26",
        erases=(1, 3),
    )
    fifth = _sign(
        {"proprietor": "Charles Babbage"},
        parent=fourth,
        recorded_at="2026-11-26T09:30:00.000000Z",
        reference="APP-2026-000051",
        status="closed",
    )
    return [first, second, third, fourth, fifth]


def _lists(size: int) -> dict[str, Any]:
    """The members of a P of so many bytes: of version 1,000, with as many erasures as fit."""
    plain: dict[str, Any] = {"version": 1000, "parent": HEX, "reference": ""}
    erases = list(range(1, 1000))
    while len(spell(by_hand.members(**plain, erases=erases))) > size - 250:
        erases.pop()
    left = size - len(spell(by_hand.members(**plain, erases=erases)))
    return plain | {"erases": erases, "reference": "x" * left}


def _opened(data: bytes) -> Entry:
    return Entry.unverified(data)


def entries() -> dict[str, Entry]:
    """Every entry that a reader accepts, by name."""
    links = {f"chain-{number}": entry for number, entry in enumerate(chain(), 1)}
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
            author="Zoë",
            reference="Az. 7 ü",
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
        "control-characters": _sign(
            {"delete": "\x7f", "others": '\x00\x1f\b\t\n\f\r"\\/'}, message="\x7f\x00"
        ),
        "a text that looks like P": _sign(
            {"entry": {"parent": HEX, "version": 7}, "parent": HEX, "version": 9},
            message='{"entry":{},"signature":"AA==","text":{}}',
            reference='},"signature":"AA=="',
        ),
        "members": _sign(
            {"title_number": TITLE, "nested": {"sha256": "only refused at the top"}},
            message="a message",
            reference="APP-1",
            effective_at="1995-06-30",
            kind="migration",
        ),
        "bounds": _sign(
            {}, effective_at="0001-01-01T00:00:00.5Z", effective_until="9999-12-31T23:59:59+00:01"
        ),
        "partial-bounds": _sign({}, effective_at="1866", effective_until="2026-03"),
        "long-title-number": _sign({"n": 1}, title_number=LONG_TITLE),
        "longest-texts": _sign(
            {}, author="ü" * 128, message="ü" * 2048, reference="ü" * 128, part=(1000, 1000)
        ),
        "64 levels": _sign(by_hand.nested(64)),
        "P of 4,000 bytes": _opened(by_hand.entry(**_lists(4000))),
        **links,
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
        "text": entry.text_bytes.decode(),
        "long": entry.data.decode(),
        "short": entry.short.decode(),
        "address": entry.address,
        "document_digest": digest(entry.document),
    }


# -- Signatures ------------------------------------------------------------------------------------

NEUTRAL = b"\x01" + bytes(31)
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _times_base(scalar: int) -> bytes:
    return bindings.crypto_scalarmult_ed25519_base_noclamp((scalar % ORDER).to_bytes(32, "little"))


def malicious(message: bytes, torsion: bytes, *, small: bool = False) -> bytes:
    """Sign as Alice, who knows her key, but with R = rB + T; ``small``: R = T."""
    expanded = hashlib.sha512(SEEDS["alice"]).digest()
    secret = (_number(expanded[:32]) & ((1 << 254) - 8)) | 1 << 254  # RFC 8032, section 5.1.5
    nonce = 0 if small else _number(hashlib.sha512(expanded[32:] + message).digest()) % ORDER
    point = torsion
    if nonce:
        point = bindings.crypto_core_ed25519_add(_times_base(nonce), torsion)
    challenge = _number(hashlib.sha512(point + ALICE.public_key.raw + message).digest())
    return point + ((nonce + challenge * secret) % ORDER).to_bytes(32, "little")


def _above(signature: bytes) -> bytes:
    return signature[:32] + (_number(signature[32:]) + ORDER).to_bytes(32, "little")


def signatures() -> list[dict[str, Any]]:
    """Signatures over one message, and whether they hold: where verifiers differ."""
    message, alice = b"title ledger", ALICE.public_key.raw
    good = ALICE.sign(message)
    mixed = bindings.crypto_core_ed25519_add(alice, ORDER_8)
    fits_every_message = _times_base(7) + (7).to_bytes(32, "little")
    return [
        {
            "name": name,
            "public_hex": key.hex(),
            "message_hex": message.hex(),
            "signature_hex": signature.hex(),
            "holds": holds,
        }
        for name, key, signature, holds in (
            ("ordinary", alice, good, True),
            ("R = rB + T, T of order 8", alice, malicious(message, ORDER_8), False),
            ("R = T of order 8", alice, malicious(message, ORDER_8, small=True), False),
            ("R neutral", alice, malicious(message, NEUTRAL, small=True), False),
            ("S + L", alice, _above(good), False),
            ("A neutral, any message", NEUTRAL, fits_every_message, False),
            ("A = aB + T", mixed, good, False),
        )
    ]


# -- Entries that don't hold -----------------------------------------------------------------------


def _forged() -> dict[str, tuple[str, bytes]]:
    good = _sign({"n": 1})
    payload, signature, text = good.payload, good.signature, good.text_bytes
    other_type = pae(payload, PAYLOAD_TYPE.replace(b"entry", b"other"))
    stranger = by_hand.entry(None, MALLORY, key=MALLORY.public_key.key_id)
    other_role = by_hand.entry(None, LOG, key=LOG.public_key.key_id)

    def signed(wrong: bytes) -> tuple[str, bytes]:
        return "bad-signature", wrap(payload, wrong, text)

    return {
        "a changed byte in P": (
            "bad-signature",
            good.data.replace(b'"status":"open"', b'"status":"opem"'),
        ),
        "a changed byte in T": ("text-mismatch", good.data.replace(b'{"n":1}', b'{"n":2}')),
        "the text of another entry": (
            "text-mismatch",
            wrap(payload, signature, _sign({}).text_bytes),
        ),
        "signed by another than it says": signed(BOB.sign(pae(payload))),
        "signed without the prefix": signed(ALICE.sign(payload)),
        "signed as another type": signed(ALICE.sign(other_type)),
        "S not below L": signed(_above(signature)),
        "a signature of zeros": signed(bytes(64)),
        "R of mixed order": signed(malicious(pae(payload), ORDER_8)),
        "R of small order": signed(malicious(pae(payload), NEUTRAL, small=True)),
        "a key that nobody trusts": ("unknown-key", stranger),
        "a key of another role": ("untrusted-key", other_role),
        "an unknown key and another length": (
            "unknown-key",
            wrap(spell(by_hand.members(key=MALLORY.public_key.key_id)), bytes(3309)),
        ),
        "an entry of another title": ("wrong-title", by_hand.entry(title_number="TN7654321")),
        "an entry of another ledger": ("wrong-ledger", by_hand.entry(ledger=OTHER_ORIGIN)),
        "P of 4,001 bytes": ("malformed-entry", by_hand.entry(**_lists(4001))),
        "a short form of 16,385 bytes": (
            "malformed-entry",
            wrap(payload, "A" * (16_385 - len(wrap(payload, "")))),
        ),
        "a kind of a later version": ("unsupported-kind", by_hand.entry(kind="redaction")),
        "a kind of a later version, another text": (
            "unsupported-kind",
            by_hand.entry(b"[]", kind="redaction", status=["a", 1, None], part=by_hand.ABSENT),
        ),
        "a kind of a later version, a wrong list": (
            "malformed-entry",
            by_hand.entry(kind="redaction", voids=[1]),
        ),
        "a status of a later version": ("unsupported-status", by_hand.entry(status="frozen")),
    }


def _invalid() -> list[dict[str, Any]]:
    """What ``Entry.open`` refuses as an entry of the title, without knowing its address."""
    found = {
        **{name: ("malformed-entry", data) for name, data in MALFORMED.items()},
        **{f"a text: {name}": ("malformed-text", data) for name, data in MALFORMED_TEXTS.items()},
        **_forged(),
    }
    return [
        {"name": name, "slug": slug, "object_base64": _b64(data)}
        for name, (slug, data) in found.items()
    ]


# -- Chains ----------------------------------------------------------------------------------------


def _follow(parent: Entry, **changes: Any) -> bytes:
    return by_hand.entry(**({"version": parent.version + 1, "parent": parent.address} | changes))


def _store(*objects: bytes) -> dict[str, bytes]:
    """The objects under their addresses; the head is the first of them."""
    found = {layout.head_key(TITLE): objects[0]}
    for data in objects:
        found[layout.entry_key(TITLE, by_hand.address(data))] = data
    return found


def _without(objects: dict[str, bytes], key: str) -> dict[str, bytes]:
    return {name: data for name, data in objects.items() if name != key}


def _withheld(objects: dict[str, bytes], *entries: Entry) -> dict[str, bytes]:
    return objects | {layout.entry_key(TITLE, each.address): each.short for each in entries}


def _chains() -> list[dict[str, Any]]:
    first, second, third, fourth, fifth = chain()
    keys = [layout.entry_key(TITLE, entry.address) for entry in chain()]
    whole = _store(third.data, second.data, first.data)
    all_five = _store(*(entry.data for entry in reversed(chain())))
    sibling = _sign({"proprietor": "Mallory"}, BOB, message="signed, but in no chain")
    swapped = copy.copy(whole)
    swapped[keys[0]], swapped[keys[1]] = whole[keys[1]], whole[keys[0]]
    older = (second.data, first.data)
    late = "2026-11-25T00:00:00.000000Z"
    later = _opened_chain(first, kind="redaction", recorded_at=late)
    cases: list[tuple[str, dict[str, bytes], str | None, list[str]]] = [
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
        ("erased and withheld", _withheld(all_five, first, third), None, []),
        ("erased, one still there", _withheld(all_five, third), None, ["not-erased"]),
        (
            "withheld, and not erased",
            _withheld(all_five, first, second, third),
            None,
            ["text-missing"],
        ),
        ("erased, and gone as a whole", _without(all_five, keys[0]), None,
         ["not-erased", "entry-missing"]),
        ("the head's own object withheld", _withheld(whole, third), None, ["text-missing"]),
        (
            "a withheld head",
            _withheld(all_five, fifth, first, third) | {layout.head_key(TITLE): fifth.short},
            None,
            ["text-missing"],
        ),
        ("the erasing entry is the head", _withheld(
            _store(*(entry.data for entry in (fourth, third, second, first))), first, third
        ), None, []),
        ("a kind of a later version below", later, None, ["unsupported-kind"]),
        (
            "what voids takes a trust file",
            _store(_follow(first, voids=[1], recorded_at=late), first.data),
            None,
            ["needs-trust"],
        ),
    ]  # fmt: skip
    return [
        {
            "name": name,
            "title_number": TITLE,
            "expect": expect,
            "slugs": slugs,
            "objects": {key: data.decode() for key, data in sorted(objects.items())},
        }
        for name, objects, expect, slugs in cases
    ]


def _opened_chain(first: Entry, **changes: Any) -> dict[str, bytes]:
    """A chain of three, the second with these changes."""
    second = _follow(first, **changes)
    third = by_hand.entry(
        version=3, parent=by_hand.address(second), recorded_at="2026-11-26T00:00:00.000000Z"
    )
    return _store(third, second, first.data)


# -- Time in law -----------------------------------------------------------------------------------

# Each version as (effective_at, effective_until), recorded on 1, 2, 3 … April 2026 at 10:00 UTC;
# then questions as (effective, recorded) with the version in law, or null.
LAW: dict[str, tuple[list[tuple[str | None, str | None]], list[tuple[str, str | None, int | None]]]]
LAW = {
    "from when it was recorded": (
        [(None, None)],
        [
            ("2026-03-31", None, None),
            ("2026-04-01", None, 1),
            ("2026-04-01T09:59:59.999999Z", None, None),
            ("2026-04-01T10:00:00Z", None, 1),
            ("2026-04-01T11:59:59+02:00", None, None),
        ],
    ),
    "partial bounds": (
        [("2026", "2026-03")],
        [
            ("2025-12-31", None, None),
            ("2026-01-01", None, 1),
            ("2026-02-28", None, 1),
            ("2026-03-01", None, None),
            ("2025-12-31T23:59:59-10:00", None, None),
            ("2026-01-01T00:00:00+14:00", None, 1),
        ],
    ),
    "the newest that covers the day": (
        [("2020", None), ("2024", None), ("2021", "2023"), ("2099", None)],
        [
            ("2019-06-01", None, None),
            ("2020-06-01", None, 1),
            ("2022-06-01", None, 3),
            ("2023-06-01", None, 1),
            ("2026-06-01", None, 2),
            ("2100-06-01", None, 4),
        ],
    ),
    "as known on a day": (
        [("2020", None), ("2020", None)],
        [
            ("2026-06-01", "2026-03-31", None),
            ("2026-06-01", "2026-04-01", 1),
            ("2026-06-01", "2026-04-02T09:59:59.999999Z", 1),
            ("2026-06-01", "2026-04-02T10:00:00Z", 2),
            ("2026-06-01", "2026-04-02", 2),
        ],
    ),
    "two spellings of one instant": (
        [("2020", "2026-03-31T22:00:00Z"), ("2026-04-01T00:00:00+02:00", None)],
        [
            ("2026-03-31", None, None),
            ("2026-04-01", None, 2),
            ("2026-03-31T21:59:59Z", None, 1),
            ("2026-03-31T22:00:00Z", None, 2),
        ],
    ),
}


def _law() -> list[dict[str, Any]]:
    cases = []
    for name, (bounds, questions) in LAW.items():
        versions: list[Entry] = []
        for day, (begins, ends) in enumerate(bounds, 1):
            versions.append(
                _sign(
                    {"n": day},
                    parent=versions[-1] if versions else None,
                    recorded_at=f"2026-04-{day:02}T10:00:00.000000Z",
                    effective_at=begins,
                    effective_until=ends,
                )
            )
        cases.append(
            {
                "name": name,
                "objects": [entry.data.decode() for entry in versions],
                "ask": [
                    {"effective": effective, "recorded": recorded, "version": version}
                    for effective, recorded, version in questions
                ],
            }
        )
    return cases


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
# a point of mixed order; 31 bytes, and 32 that are no point.
NOT_KEYS = {
    "small order: 1": "0100000000000000000000000000000000000000000000000000000000000000",
    "small order: 2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "small order: 4": "0000000000000000000000000000000000000000000000000000000000000000",
    "small order: 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "small order, p + 1": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "mixed order": "c5e44479cdabd48e08d494512dc823580a995cc28b458a754ebf3c1c88c150a3",
    "31 bytes": "01" * 31,
    "no point": "02" + "00" * 31,
}

TITLE_NUMBERS = {
    "valid": [
        "A", "0", "TN1234567", "12DFSADF", "DN100", "A-_9", LONG_TITLE, "COM", "COM10", "CON1",
        "A.B", "A.CON", "0.0", "X" * 64, "0D5F6BC4-91D5-4F4A-9B2B-B7E4F9C2D1AA",
    ],
    "invalid": [
        "", "tn1", "_A", "-A", ".A", "A.", "A..B", "A" * 65, "A/B", "../A", "A%2e", "A\n", "A\x00",
        "A B", "A:B", "\uff21", "\u0410", "\u0661", "CON", "PRN", "AUX", "NUL", "COM0", "COM9",
        "LPT1", "CON.A", "COM1.B.C",
    ],
}  # fmt: skip

BOUNDS = {
    "valid": [
        "2026", "0001", "9999-12", "2026-03", "2026-03-31", "2024-02-29", "2026-03-31T00:00:00Z",
        "2026-03-31T23:59:59.1+23:59", "2026-03-31T00:00:00-00:01", "2026-03-31T00:00:00+00:00",
    ],
    "invalid": [
        "", "0000", "26", "2026-13", "2026-02-30", "2026-1-1", "20260331", "2026-W05", "+2026",
        "2026-03-31T24:00:00Z", "2026-03-31T23:59:60Z", "2026-03-31T10:00Z", "2026-03-31T10:00:00",
        "2026-03-31t10:00:00z", "2026-03-31T10:00:00.1234567Z", "2026-03-31T10:00:00-00:00",
        "2026-03-31T10:00:00+24:00", "2026-03-31T10:00:00+0100", "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
}  # fmt: skip

# The text of a token in what is submitted, and how it is kept.
NUMBERS_KEPT = {
    "0": "0", "-0": "0", "-0.0": "0", "1.10": "1.1", "1e2": "100", "1E+2": "100", "100e-2": "1",
    "0.1": "0.1", "1e-7": "1e-7", "5e-324": "5e-324", "0.30000000000000004": "0.30000000000000004",
    "9007199254740991": "9007199254740991", "-9007199254740991.000": "-9007199254740991",
    "1.7976931348623157": "1.7976931348623157", "0e999999999999": "0", "508225.88": "508225.88",
}  # fmt: skip
NUMBERS_REFUSED = [
    "0.12345678901234567890", "9007199254740990.6", "0.30000000000000003", "3.141592653589793238",
    "1e-400", "5e-325", "4.9e-324", "1e-999999999999", "9007199254740992", "-9007199254740992",
    "9007199254740993.0", "1e21", "1e30", "1.7976931348623157e308", "1e400", "-1e400",
    "1e999999999999",
]  # fmt: skip

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
    "65 levels": json.dumps(by_hand.nested(65)),
    "another title": '{"title_number":"TN7654321"}',
    "sha256": '{"sha256":""}',
}


def bundle_bytes() -> bytes:
    """A bundle of two titles: the chain with what is erased, and one with a long number."""
    lone = entries()["long-title-number"]
    withheld = {1, 3}
    versions = [
        (entry.address, entry.short if entry.version in withheld else entry.data)
        for entry in reversed(chain())
    ]
    objects = [
        (BUNDLE_KEY, Header(ORIGIN, complete=True).encode()),
        (layout.LEDGER_KEY, encode_identity(ORIGIN)),
    ]
    for title, stored in ((LONG_TITLE, [(lone.address, lone.data)]), (TITLE, versions)):
        objects.append((layout.head_key(title), stored[0][1]))
        objects += [(layout.entry_key(title, address), data) for address, data in stored]
    return b"".join(write_bundle(objects))


def vectors() -> dict[str, Any]:
    """The whole file, as a value."""
    bundle = bundle_bytes()
    last = chain()[-1]
    return {
        "about": "Test vectors of the format in docs/spec.md. The keys are no secrets.",
        "format": 1,
        "origin": ORIGIN,
        "title_number": TITLE,
        "payload_type": PAYLOAD_TYPE.decode(),
        "keys": _keys(),
        "not_keys": [{"name": name, "public_hex": text} for name, text in NOT_KEYS.items()],
        "signatures": signatures(),
        "keyring": keyring().encode().decode(),
        "ledger_json": encode_identity(ORIGIN).decode(),
        "head_key": layout.head_key(TITLE),
        "pending_key": layout.pending_key(TITLE, last.version, last.address),
        "reference_key": layout.reference_key(last.reference, TITLE, last.version, last.address),
        "title_numbers": TITLE_NUMBERS,
        "bounds": BOUNDS,
        "numbers": {"kept": NUMBERS_KEPT, "refused": NUMBERS_REFUSED},
        "entries": [_describe(name, entry) for name, entry in entries().items()],
        "invalid_entries": _invalid(),
        "chains": _chains(),
        "law": _law(),
        "documents_refused": [
            {"name": name, "text": text} for name, text in DOCUMENTS_REFUSED.items()
        ],
        "bundle": {
            "titles": [LONG_TITLE, TITLE],
            "entries": 6,
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
