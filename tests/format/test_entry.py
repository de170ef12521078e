"""The entry: its bytes in both forms, what it refuses, and that others can check it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from ledger.errors import (
    Erased,
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.canonical import decode, encode
from ledger.format.entry import (
    MAX_BYTES,
    Entry,
    address_of,
    digest,
    erases_hint,
    parent_hint,
    short_form,
    signed_bytes,
    version_hint,
)
from ledger.testing import ORIGIN, keyring_for, signer
from tests import corpora
from tests.format import by_hand
from tests.format.by_hand import ABSENT, ALICE, NOW, SALT, TITLE, nested, pae, spell, wrap
from tests.format.refused import MALFORMED, MALFORMED_TEXTS
from tests.format.test_diff import documents
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

KEYRING = keyring_for(ALICE)
EVE = signer("eve")
HEX = "0123456789abcdef" * 4

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
sly = st.one_of(
    texts,
    st.sampled_from(
        [
            '},"signature":"',
            '{"entry":{"a":1},"signature":"AA=="}',
            ',"document":{"a":1},"message":"',
            f'{{"parent":"{HEX}","version":7}}',
            f'{{"parent":"{HEX}',
            '"}\x7f\\"\\',
            "\u2028\U0001f600\x00",
        ]
    ),
)
printable = st.characters(min_codepoint=32, max_codepoint=126)
references = st.text(printable, max_size=40).map(str.strip)


def sign(document: Any = None, **changes: Any) -> Entry:
    parts = {"ledger": ORIGIN, "title_number": TITLE, "recorded_at": NOW, "salt": SALT} | changes
    return Entry.sign(ALICE, document={} if document is None else document, **parts)


def open_(data: bytes, **changes: Any) -> Entry:
    return Entry.open(
        data, **({"keyring": KEYRING, "ledger": ORIGIN, "title_number": TITLE} | changes)
    )


def reason(data: bytes, **changes: Any) -> str:
    """Why the bytes are refused."""
    with pytest.raises((IntegrityError, TrustError, UnsupportedFormatError)) as caught:
        open_(data, **changes)
    return caught.value.reason


# --- the bytes -----------------------------------------------------------------------------------


def test_the_stored_object_is_exactly_these_bytes():
    entry = sign(
        {"owner": "Zoë", "area": 12.50, "b": None},
        author="Ada",
        message="first",
        effective_at="1995-03",
        effective_until="2031-03-31T00:00:00+01:00",
        reference="N 7/ü",
        part=(1, 2),
        kind="migration",
        status="closed",
    )
    t = (
        '{"author":"Ada","document":{"area":12.5,"b":null,"owner":"Zoë"},"message":"first",'
        f'"salt":"{SALT.hex()}"}}'
    ).encode()
    payload = (
        '{"confirms":[],"effective_at":"1995-03","effective_until":"2031-03-31T00:00:00+01:00",'
        f'"erases":[],"key":"{ALICE.public_key.key_id}","kind":"migration","ledger":"example.org/titles",'
        '"parent":null,"part":[1,2],"recorded_at":"2026-11-23T10:00:00.000000Z",'
        f'"reference":"N 7/ü","status":"closed","text":"{hashlib.sha256(t).hexdigest()}",'
        '"title_number":"TN1234567","version":1,"voids":[]}'
    ).encode()
    signature = ALICE.sign(pae(payload))
    assert entry.payload == payload
    assert entry.text_bytes == t
    assert entry.signature == signature
    assert entry.data == wrap(payload, signature, t)
    assert entry.short == short_form(entry.data) == wrap(payload, signature)
    assert entry.address == hashlib.sha256(wrap(payload, signature)).hexdigest()


def test_the_signature_is_over_the_dsse_encoding():
    start = b"DSSEv1 42 application/vnd.title-ledger.entry.v1+json 5 hello"
    assert signed_bytes(b"hello") == start == pae(b"hello")
    assert signed_bytes("Zoë".encode()).endswith(" 4 Zoë".encode())


def test_an_empty_entry_is_650_bytes():
    entry = sign(title_number="TN1")
    assert (len(entry.data), len(entry.payload), len(entry.short)) == (650, 415, 528)


@law
@given(documents, sly, sly, references)
def test_what_is_signed_is_opened_as_the_same_in_both_forms(document, message, author, reference):
    entry = sign(
        document | {"sly": message},
        parent=sign(),
        message=message,
        author=author,
        reference=reference,
        effective_at="2020-01-01T00:00:00+01:00",
    )
    assert open_(entry.data, address=entry.address) == entry == Entry.unverified(entry.data)
    assert encode(decode(entry.data), depth=66) == entry.data
    value = json.loads(entry.data)
    assert (json.loads(entry.payload), json.loads(entry.text_bytes)) == (
        value["entry"],
        value["text"],
    )
    assert entry.document == document | {"sly": message}
    assert (entry.message, entry.author, entry.reference) == (message, author, reference)
    assert entry.digest == digest(entry.document)
    assert pickle.loads(pickle.dumps(entry)) == copy.copy(entry) == entry

    short = open_(entry.short, address=entry.address)
    assert short.is_withheld
    assert not entry.is_withheld
    assert short.data == short.short == entry.short
    assert (short.payload, short.signature) == (entry.payload, entry.signature)
    assert (short.text_bytes, short.message, short.author) == (b"", "", "")
    shared = (
        "address title_number version parent recorded_at effective_at effective_until reference"
    )
    shared += " part kind status confirms erases voids key ledger text"
    for name in shared.split():
        assert getattr(short, name) == getattr(entry, name)
    with pytest.raises(Erased, match="the text of TN1234567 version 2 is withheld"):
        _ = short.document


@law
@given(st.data(), st.booleans())
def test_no_byte_can_be_changed_cut_or_added_in_either_form(data, withheld):
    entry = sign({"owner": 'Zoë },"signature":"', "n": [1, 2.5]}, message="m", reference="R")
    whole = entry.short if withheld else entry.data
    position = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    changed = whole[:position] + byte + whole[position + 1 :]
    added = whole[:position] + byte + whole[position:]
    cut = whole[:position] + whole[position + 1 :]
    for other in {changed, added, cut, whole + byte, whole[:position]} - {whole}:
        for changes in ({}, {"address": entry.address}, {"address": address_of(other)}):
            with pytest.raises(LedgerError):
                open_(other, **changes)


def test_every_single_byte_counts():
    entry = sign({"a": "b"}, message="m")
    for whole in (entry.data, entry.short):
        for position in range(len(whole)):
            start, end = whole[:position], whole[position + 1 :]
            for other in (start + bytes([whole[position] ^ 1]) + end, start + end, start):
                with pytest.raises(LedgerError):
                    open_(other)
            with pytest.raises(LedgerError):
                open_(start + b"x" + whole[position:])


def test_a_text_of_another_entry_does_not_fit():
    one, other = sign({"a": 1}), sign({"a": 2})
    assert reason(one.short[:-1] + b',"text":' + other.text_bytes + b"}") == "text-mismatch"


def test_a_version_follows_its_parent():
    first = sign()
    second = sign(parent=first)
    assert (first.version, first.parent) == (1, None)
    assert (second.version, second.parent) == (2, first.address)


def test_equal_parts_make_equal_bytes_whatever_the_order_of_the_members():
    assert sign({"a": 1, "b": 2.0}) == sign({"b": 2, "a": 1})
    assert sign({"a": 1}).address != sign({"a": 1}, salt=bytes(32)).address


def test_the_document_handed_out_is_a_fresh_copy():
    given_document = {"owners": ["Ada"]}
    entry = sign(given_document)
    given_document["owners"].append("Eve")
    entry.document["owners"].append("Eve")
    assert entry.document == {"owners": ["Ada"]}


def test_an_entry_cant_be_changed():
    with pytest.raises(AttributeError):
        sign().version = 2


def test_its_repr_is_short():
    assert len(repr(sign({"a": "x" * 10_000}))) < 200


@pytest.mark.parametrize("path", corpora.params("registers/*.json"))
def test_real_registers_are_signed_and_opened(path):
    if path.stem.startswith("AGL1004"):
        pytest.skip("the register with a duplicated member: test_canonical.py")
    document = decode(path.read_bytes())
    title_number = document.get("title_number", "TN1")
    entry = sign(document, title_number=title_number)
    assert open_(entry.data, title_number=title_number).document == document
    assert len(signed_bytes(entry.payload)) <= 4058


# --- where an object is cut -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"[" * 100_000, b'{"entry":{', b'{"entry":{}', b'{"entry":{},"signature":"'),
        *(b'{"entry":[],"signature":"x"}', b' {"entry":{},"signature":"x"}'),
        b'{"entry":{} ,"signature":"x"}',
        b'{"entry":{},"signature": "x"}',
        b'{"entry":{"a":"' + b"x" * 16_384 + b'"},"signature":"x"}',
        b'{"entry":{},"signature":"' + b"x" * 16_358 + b'"}',
    ],
)
def test_bytes_that_cant_be_cut_have_their_own_sha256_for_an_address(data):
    assert address_of(data) == hashlib.sha256(data).hexdigest()
    with pytest.raises(MalformedError, match="not an entry"):
        short_form(data)
    assert reason(data, address=address_of(data)) == "malformed-entry"
    assert reason(data, address=HEX) == "address-mismatch"


@pytest.mark.parametrize("end", [b"", b"}", b',"text":{}}', b"\n", b',"text":' + b"x" * 2_000_000])
def test_what_follows_the_signature_does_not_matter_to_the_address(end):
    """The short form may be 16,384 bytes, and no more."""
    short = b'{"entry":{},"signature":"' + b"x" * 16_357 + b'"}'
    assert len(short) == 16_384
    assert address_of(short[:-1] + end) == hashlib.sha256(short).hexdigest()
    assert short_form(short[:-1] + end) == short


def test_the_first_middle_counts_and_then_the_first_quote():
    data = b'{"entry":{"a":{"b":1},"signature":"x","c":1},"signature":"y"}'
    assert short_form(data) == b'{"entry":{"a":{"b":1},"signature":"x"}'
    assert reason(data) == "malformed-entry"


@law
@given(sly, sly)
def test_the_hints_are_exact_whatever_a_text_or_a_name_holds(one, other):
    sly = {"parent": HEX, "version": 8, "erases": [1]}
    document = {one: other, "parent": HEX, "version": 9, "erases": [1], "sly": sly}
    first = sign(document, message=f'{{"parent":"{HEX}","version":7}}')
    second = sign(document, parent=first)
    for entry in (first, second):
        for data in (entry.data, entry.short):
            assert (parent_hint(data), version_hint(data)) == (entry.parent, entry.version)
            assert erases_hint(data) == []
    name = one.replace("\x7f", "") + 'a"parent'
    later = by_hand.entry(kind="later", **{name: HEX, 'u"version': 3, ',"parent': HEX})
    assert (
        Entry.judge(later, keyring=KEYRING, ledger=ORIGIN, title_number=TITLE).unsupported
        == "unsupported-kind"
    )
    assert (parent_hint(later), version_hint(later)) == (None, 1)


@pytest.mark.parametrize("digits", ["", "x", "1x", "1" * 17, "-1"])
def test_what_is_no_version_is_no_hint_of_one(digits):
    data = sign().data
    assert version_hint(data.replace(b'"version":1,', b'"version":%b,' % digits.encode())) == 0


# --- what others make of it ----------------------------------------------------------------------


def test_another_dsse_verifier_accepts_an_entry_and_refuses_a_changed_one():
    key = SSlibKey(
        ALICE.public_key.key_id, "ed25519", "ed25519", {"public": ALICE.public_key.raw.hex()}
    )

    def envelope(entry: Entry, payload: bytes) -> Envelope:
        return Envelope.from_dict(
            {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": "application/vnd.title-ledger.entry.v1+json",
                "signatures": [
                    {
                        "keyid": ALICE.public_key.key_id,
                        "sig": base64.b64encode(entry.signature).decode(),
                    }
                ],
            }
        )

    entry = sign({"owner": "Zoë", "area": 12.5}, reference="R 1")
    assert envelope(entry, entry.payload).verify([key], 1)
    with pytest.raises(Exception, match=r"threshold|signature"):
        envelope(entry, entry.payload.replace(b"R 1", b"R 2")).verify([key], 1)


# --- what can't be registered --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "a document is a JSON object, not NoneType"),
        ([], "a document is a JSON object, not list"),
        ("{}", "a document is a JSON object, not str"),
        (b"{}", "a document is a JSON object, not bytes"),
        ({"title_number": "TN2"}, "title_number is not the entry's, which is TN1234567"),
        ({"title_number": None}, "title_number is not the entry's, which is TN1234567"),
        ({"title_number": "tn1"}, "title_number is not the entry's, which is TN1234567"),
        ({"sha256": "x"}, "the document has a top-level member sha256"),
        ({"a": {"b": 2**53}}, "integer beyond 2^53-1 at /a/b"),
        ({"a": {"b": 1e30}}, "number beyond 2^53-1 at /a/b"),
        ({"a": [-1.5e300]}, "number beyond 2^53-1 at /a/0"),
        ({"a": "1e+30", "b": 1e21}, "number beyond 2^53-1 at /b"),
        ({"a": Decimal(1)}, "Decimal at /a is no JSON value"),
        ({"a": "\ud800"}, "lone surrogate in the text at /a"),
        ({1: 2}, "int as a member name at the top"),
    ],
)  # fmt: skip
def test_a_document_that_no_entry_may_carry_is_refused_with_the_place(document, why):
    with pytest.raises(MalformedError) as caught:
        Entry.sign(
            ALICE,
            ledger=ORIGIN,
            title_number=TITLE,
            recorded_at=NOW,
            document=document,
            salt=SALT,
        )
    assert why in str(caught.value)


def test_a_document_may_name_its_title_and_hold_a_digest_further_down():
    document = {"title_number": TITLE, "plan": {"sha256": "x"}, "text": "1e+30", "small": 1e-30}
    document |= {"large": float(2**53 - 1)}
    assert open_(sign(document).data).document == document


def test_a_document_nests_64_levels():
    assert open_(sign(nested(64)).data).document == nested(64)
    with pytest.raises(InvalidError, match=r"nested deeper than allowed, at (/in)+$"):
        sign(nested(65))


def test_an_object_is_at_most_a_mebibyte():
    small = len(sign({"a": ""}).data)
    largest = sign({"a": "x" * (MAX_BYTES - small)})
    assert len(largest.data) == MAX_BYTES == 1 << 20
    assert open_(largest.data) == largest
    with pytest.raises(InvalidError, match="too large: the entry would be 1,048,577 bytes"):
        sign({"a": "x" * (MAX_BYTES - small + 1)})


def longest(extra: int = 0) -> dict[str, Any]:
    """Members whose P is 4,000 bytes, and so many more."""
    version = 1000
    plain = {"version": version, "parent": HEX, "reference": ""}
    erases = list(range(1, version))
    while len(spell(by_hand.members(**plain, erases=erases))) > 3750:
        erases.pop()
    left = 4000 + extra - len(spell(by_hand.members(**plain, erases=erases)))
    return by_hand.members(**plain | {"reference": "x" * left}, erases=erases)


def test_at_most_4000_bytes_are_signed():
    good = by_hand.sealed(spell(longest()), spell(by_hand.text()))
    assert len(open_(good).payload) == 4000
    assert len(signed_bytes(open_(good).payload)) == 4058
    assert reason(by_hand.sealed(spell(longest(1)), spell(by_hand.text()))) == "malformed-entry"
    parent = open_(by_hand.entry(version=999, parent=HEX))
    members = longest()
    parts = {"parent": parent, "erases": tuple(members["erases"])}
    assert len(sign(reference=members["reference"], **parts).payload) == 4000
    with pytest.raises(InvalidError, match="too large: 4,001 bytes would be signed") as caught:
        sign(reference=members["reference"] + "x", **parts)
    assert "lists of versions" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"message": None},
        {"message": b"x"},
        {"message": "\ud800"},
        {"message": "ü" * 2049},
        {"author": 1},
        {"author": "\ud800"},
        {"author": "x" * 257},
        {"salt": bytes(31)},
        {"salt": bytes(33)},
        {"reference": 1},
        {"reference": None},
        {"reference": "\ud800"},
        {"reference": "ü" * 128 + "x"},
        {"reference": " x"},
        {"reference": "a\u200bb"},
        {"effective_at": "yesterday"},
        {"effective_at": 1995},
        {"effective_at": ""},
        {"effective_until": "2026-11-23"},
        {"effective_at": "2026", "effective_until": "2026-01-01"},
        {"recorded_at": "2026-11-23"},
        {"ledger": "a b"},
        {"title_number": "tn1"},
        {"kind": "redaction"},
        {"kind": "\ud800"},
        {"status": "frozen"},
        {"status": None},
        {"part": (1, 2)},
        {"part": (2, 1), "reference": "R"},
        {"part": (0, 1), "reference": "R"},
        {"part": (1, 1001), "reference": "R"},
        {"part": (1,), "reference": "R"},
        {"part": (True, 1)},
        {"erases": (1,), "reference": "R"},
        {"voids": (1,)},
        {"confirms": (0,)},
    ],
)
def test_members_that_the_format_has_not_are_refused(changes):
    with pytest.raises(MalformedError):
        sign(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "ü" * 2048},
        {"message": "\x00\x7f\n\u200b"},
        {"author": "ü" * 128},
        {"author": "\x7f"},
        {"reference": "ü" * 128},
        {"reference": '},"signature":"'},
        {"reference": "a  b \u00a0"},
        {"part": (1000, 1000), "reference": "R"},
        {"effective_at": "2026-11-22", "effective_until": "2026-11-23"},
        {"effective_until": "2026-11-24"},
        {"effective_until": "2026-11-23T10:00:00.000001Z"},
        {"kind": "rectification", "status": "closed"},
    ],
)
def test_the_limits_themselves_are_allowed(changes):
    entry = open_(sign(**changes).data)
    for name, value in changes.items():
        assert getattr(entry, name) == value


def test_a_third_version_may_name_the_two_before():
    third = sign(
        parent=sign(parent=sign()), reference="R", erases=(1, 2), voids=(1,), confirms=(2,)
    )
    found = open_(third.data)
    assert (found.erases, found.voids, found.confirms) == ((1, 2), (1,), (2,))
    for lists in ({"erases": (2, 1)}, {"erases": (1, 1)}, {"erases": (3,)}):
        with pytest.raises(InvalidError, match="the versions in erases do not ascend from 1 to 2"):
            sign(parent=sign(parent=sign()), reference="R", **lists)
    with pytest.raises(InvalidError, match="in both confirms and voids"):
        sign(parent=sign(parent=sign()), voids=(1, 2), confirms=(2,))
    with pytest.raises(InvalidError, match="an erasure, need a reference"):
        sign(parent=sign(), erases=(1,))


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_entry_is_refused_though_its_signature_may_be_good(name):
    with pytest.raises(IntegrityError) as caught:
        open_(MALFORMED[name], object_key="TN1/x.json")
    assert caught.value.reason == "malformed-entry"
    assert caught.value.object_key == "TN1/x.json"
    assert str(caught.value).startswith("TN1/x.json: ")


@pytest.mark.parametrize("name", MALFORMED_TEXTS)
def test_a_malformed_text_is_refused_though_it_was_signed(name):
    data = MALFORMED_TEXTS[name]
    assert reason(data) == "malformed-text"
    assert open_(short_form(data)).is_withheld  # nobody can tell any more


@pytest.mark.parametrize("signature", ["", "A" * 87, "A" * 88, "=" * 88, "A" * 86 + "B=", "\u00fc"])
def test_a_signature_is_base64_in_one_spelling(signature):
    with pytest.raises(IntegrityError, match="the signature "):
        open_(wrap(sign().payload, signature))


@pytest.mark.parametrize("end", ["x==", "0==", "!==", "w=", "w==="])
def test_a_signature_is_spelled_in_one_way(end):
    """Decoders drop the bits that are left over, and what is no base64."""
    text = base64.b64encode(bytes(63) + b"\x03").decode()
    assert text.endswith("w==")
    with pytest.raises(IntegrityError, match=r"base64"):
        open_(wrap(sign().payload, text[:85] + end))


def test_an_error_says_where_the_entry_should_be():
    for changes, name in (({}, "head.json"), ({"address": "0" * 64}, f"{'0' * 64}.json")):
        with pytest.raises(IntegrityError) as caught:
            open_(b"x", **changes)
        assert caught.value.object_key == f"{TITLE}/{name}"


def test_the_error_names_what_is_wrong_with_a_member():
    with pytest.raises(IntegrityError, match="missing or unknown members: 'colour, part'"):
        open_(by_hand.entry(colour=1, part=ABSENT))
    with pytest.raises(IntegrityError, match="too large: 1,048,577 bytes, at most 1,048,576"):
        open_(sign().data.ljust(MAX_BYTES + 1))


# --- what this version doesn't know --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["redaction", "", "Registration"])
def test_another_kind_is_unsupported_but_only_if_it_is_signed(kind):
    """A redaction of a later version is no tampering; a changed byte in the kind is."""
    later = by_hand.entry(kind=kind, colour="members of its own", part=ABSENT, status=["x", 1])
    for read in (open_, Entry.unverified):
        with pytest.raises(UnsupportedFormatError, match=f"kind '{kind}'"):
            read(later)
    assert reason(later) == "unsupported-kind"
    assert reason(sign().data.replace(b"registration", b"registratiom")) == "bad-signature"
    assert reason(by_hand.entry(None, EVE, kind=kind, key=EVE.public_key.key_id)) == "unknown-key"


def test_another_status_is_unsupported():
    assert reason(by_hand.entry(status="frozen")) == "unsupported-status"
    assert reason(by_hand.entry(status="frozen", kind="later")) == "unsupported-kind"


def judge(data: bytes) -> Entry:
    return Entry.judge(data, keyring=KEYRING, ledger=ORIGIN, title_number=TITLE)


def test_of_an_unknown_kind_the_common_members_count():
    later = judge(
        by_hand.entry(
            b"5", kind="later", version=3, parent=HEX, erases=[1], voids=[2], effective_at=1
        )
    )
    assert later.unsupported == "unsupported-kind"
    assert (later.version, later.parent, later.erases, later.voids) == (3, HEX, (1,), (2,))
    assert (later.effective_at, later.part, later.reference) == (None, (1, 1), "")
    assert (later.author, later.message) == ("", "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": {}}, "malformed-entry"),
        ({"status": "\x7f"}, "malformed-entry"),
        ({"more": [[1]]}, "malformed-entry"),
        ({"version": 2}, "malformed-entry"),
        ({"voids": [1]}, "malformed-entry"),
        ({"recorded_at": "2026"}, "malformed-entry"),
        ({"text": HEX}, "text-mismatch"),
        ({"ledger": "example.org/other"}, "wrong-ledger"),
        ({"title_number": "TN2"}, "wrong-title"),
    ],
)
@pytest.mark.parametrize("unknown", [{"kind": "later"}, {"status": "frozen"}])
def test_what_is_wrong_is_refused_before_what_is_unsupported(changes, expected, unknown):
    assert reason(by_hand.entry(**(unknown | changes))) == expected


# --- in the wrong place --------------------------------------------------------------------------


def elsewhere(origin: str) -> dict[str, Any]:
    """Another ledger, in which the same key counts."""
    return {"ledger": origin, "keyring": KEYRING.trust(origin, ALICE.public_key)}


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"address": "0" * 64}, IntegrityError, "address-mismatch"),
        ({"address": "f" * 64}, IntegrityError, "address-mismatch"),
        ({"title_number": "TN0"}, IntegrityError, "wrong-title"),
        ({"title_number": "TN2"}, IntegrityError, "wrong-title"),
        ({"keyring": keyring_for(signer("bob"))}, TrustError, "unknown-key"),
        ({"keyring": keyring_for()}, TrustError, "unknown-key"),
        ({"ledger": "example.org/other"}, TrustError, "untrusted-key"),
        (elsewhere("a.example/first"), IntegrityError, "wrong-ledger"),
        (elsewhere("z.example/last"), IntegrityError, "wrong-ledger"),
    ],
)
def test_a_good_entry_in_the_wrong_place_is_refused(changes, error, expected):
    for data in (sign().data, sign().short):
        with pytest.raises(error) as caught:
            open_(data, object_key="here", **changes)
        assert type(caught.value) is error
        assert caught.value.reason == expected
        assert ("the keyring lacks" in str(caught.value)) == (expected == "unknown-key")
        assert caught.value.object_key == "here"


def test_a_signature_is_not_looked_at_only_where_the_name_says_so():
    entry = sign()
    forged = by_hand.sealed(entry.payload, entry.text_bytes, EVE)
    assert Entry.unverified(forged).document == entry.document
    with pytest.raises(IntegrityError, match="the signature is not that of key"):
        open_(forged)


@law
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_our_error(noise):
    for data in (
        noise,
        b'{"entry":{' + noise,
        wrap(noise, bytes(64)),
        wrap(b"{" + noise + b"}", bytes(64), noise),
        by_hand.sealed(noise),
        by_hand.entry(noise),
    ):
        for read in (open_, Entry.unverified):
            try:
                read(data)
            except LedgerError:
                continue
            raise AssertionError(data)


def test_the_address_is_checked_before_anything_is_read():
    assert reason(b"[" * 100_000, address=HEX) == "address-mismatch"
