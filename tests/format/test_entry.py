"""The entry: its bytes, what it refuses, and that others can check it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from ledger.errors import (
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.canonical import decode, encode
from ledger.format.entry import MAX_BYTES, Entry, digest, signed_bytes, version_hint
from ledger.testing import ORIGIN, keyring_for, signer
from tests import corpora
from tests.format.test_diff import documents
from tests.tampering import SCENARIOS, address, members, pae, signed, small_world, wrap

law = settings(deadline=None, max_examples=100)

ALICE = signer()
KEYRING = keyring_for(ALICE)
WHEN = "2026-11-23T10:00:00.000000Z"


def sign(document=None, **changes) -> Entry:
    parts = {"ledger": ORIGIN, "title_number": "TN1", "recorded_at": WHEN} | changes
    return Entry.sign(ALICE, document={} if document is None else document, **parts)


def open_(data: bytes, **changes) -> Entry:
    return Entry.open(
        data, **({"keyring": KEYRING, "ledger": ORIGIN, "title_number": "TN1"} | changes)
    )


# --- the bytes -----------------------------------------------------------------------------------


def test_the_stored_object_is_exactly_these_bytes():
    entry = sign(
        {"owner": "Zoë", "area": 12.50, "b": None},
        message="first",
        effective_at="1995-03-01",
        reference="N7",
    )
    payload = (
        '{"document":{"area":12.5,"b":null,"owner":"Zoë"},"effective_at":"1995-03-01",'
        f'"key":"{ALICE.key_id}","kind":"registration","ledger":"example.org/titles",'
        '"message":"first","parent":null,"recorded_at":"2026-11-23T10:00:00.000000Z",'
        '"reference":"N7","title_number":"TN1","version":1}'
    ).encode()
    assert entry.payload == payload
    assert entry.data == wrap(payload, ALICE.sign(pae(payload)))
    assert entry.address == hashlib.sha256(entry.data).hexdigest()


def test_the_signature_is_over_the_dsse_encoding():
    start = b"DSSEv1 42 application/vnd.title-ledger.entry.v1+json 5 hello"
    assert signed_bytes(b"hello") == start == pae(b"hello")
    assert signed_bytes("Zoë".encode()).endswith(" 4 Zoë".encode())


@law
@given(documents, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_the_payload_is_the_bytes_from_9_to_104_before_the_end(document, message):
    entry = sign(document, message=message)
    payload = entry.data[9:-104]
    assert payload == entry.payload
    assert json.loads(payload) == json.loads(entry.data)["entry"]
    assert base64.b64decode(entry.data[-90:-2]) == entry.signature
    assert encode(decode(entry.data)) == entry.data
    assert not entry.data.endswith(b"\n")


@law
@given(documents)
def test_what_is_sealed_is_opened_as_the_same(document):
    entry = sign(document, parent=sign(), reference="r", effective_at="2020-01-01T00:00:00+01:00")
    assert open_(entry.data, address=entry.address) == entry == Entry.unverified(entry.data)
    assert encode(entry.document) == encode(document)
    assert entry.digest == digest(document) == hashlib.sha256(encode(document)).hexdigest()
    assert pickle.loads(pickle.dumps(entry)) == copy.copy(entry) == entry


def test_a_version_follows_its_parent():
    first = sign()
    second = sign(parent=first)
    assert (first.version, first.parent) == (1, None)
    assert (second.version, second.parent) == (2, first.address)


def test_equal_parts_make_equal_bytes_whatever_the_order_of_the_members():
    assert sign({"a": 1, "b": 2.0}) == sign({"b": 2, "a": 1})


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
    assert len(repr(sign({"a": "x" * 10_000}))) < 700


@pytest.mark.parametrize("path", corpora.params("registers/*.json"))
def test_real_registers_are_sealed_and_opened(path):
    if path.stem.startswith("AGL1004"):
        pytest.skip("the register with a duplicated member: test_canonical.py")
    document = decode(path.read_bytes())
    title_number = document.get("title_number", "TN1")
    entry = sign(document, title_number=title_number)
    assert open_(entry.data, title_number=title_number).document == document


# --- what others make of it ----------------------------------------------------------------------


def test_another_dsse_verifier_accepts_an_entry_and_refuses_a_changed_one():
    key = SSlibKey(ALICE.key_id, "ed25519", "ed25519", {"public": ALICE.public_key.raw.hex()})

    def envelope(entry: Entry, payload: bytes) -> Envelope:
        return Envelope.from_dict(
            {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": "application/vnd.title-ledger.entry.v1+json",
                "signatures": [
                    {"keyid": ALICE.key_id, "sig": base64.b64encode(entry.signature).decode()}
                ],
            }
        )

    entry = sign({"owner": "Zoë", "area": 12.5})
    assert envelope(entry, entry.payload).verify([key], 1)
    with pytest.raises(Exception, match=r"threshold|signature"):
        envelope(entry, entry.payload.replace(b"12.5", b"13.5")).verify([key], 1)


# --- what can't be registered --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "a document is a JSON object, not NoneType"),
        ([], "a document is a JSON object, not list"),
        ("{}", "a document is a JSON object, not str"),
        (b"{}", "a document is a JSON object, not bytes"),
        ({"title_number": "TN2"}, "title_number is not the entry's, which is TN1"),
        ({"title_number": None}, "title_number is not the entry's, which is TN1"),
        ({"title_number": "tn1"}, "title_number is not the entry's, which is TN1"),
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
        Entry.sign(ALICE, ledger=ORIGIN, title_number="TN1", recorded_at=WHEN, document=document)
    assert why in str(caught.value)


def test_a_document_may_name_its_title_and_hold_a_digest_further_down():
    document = {"title_number": "TN1", "plan": {"sha256": "x"}, "text": "1e+30", "small": 1e-30}
    document |= {"large": float(2**53 - 1)}
    assert open_(sign(document).data).document == document


def nested(levels: int) -> dict:
    document: dict = {}
    for _ in range(levels - 1):
        document = {"a": document}
    return document


def test_a_document_nests_64_levels():
    assert open_(sign(nested(64)).data).document == nested(64)
    with pytest.raises(InvalidError, match=r"nested deeper than allowed, at (/a)+$"):
        sign(nested(65))


def test_an_object_is_at_most_a_mebibyte():
    small = len(sign({"a": ""}).data)
    largest = sign({"a": "x" * (MAX_BYTES - small)})
    assert len(largest.data) == MAX_BYTES == 1 << 20
    assert open_(largest.data) == largest
    with pytest.raises(InvalidError, match="too large: the entry would be 1,048,577 bytes"):
        sign({"a": "x" * (MAX_BYTES - small + 1)})


@pytest.mark.parametrize(
    "changes",
    [
        {"message": None},
        {"message": b"x"},
        {"message": "\ud800"},
        {"reference": 1},
        {"reference": None},
        {"effective_at": "yesterday"},
        {"effective_at": 1995},
        {"recorded_at": "2026-11-23"},
        {"ledger": "a b"},
        {"title_number": "tn1"},
    ],
)
def test_members_that_the_format_has_not_are_refused(changes):
    with pytest.raises(MalformedError):
        sign(**changes)


def test_a_signer_without_a_proper_key_id_signs_nothing():
    class Odd:
        key_id = ALICE.key_id.upper()
        sign = ALICE.sign

    with pytest.raises(MalformedError, match="not a key id"):
        Entry.sign(Odd(), document={}, ledger=ORIGIN, title_number="TN1", recorded_at=WHEN)


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.slug == "malformed-entry"], ids=lambda s: s.name
)
def test_a_malformed_entry_is_refused_though_its_signature_is_valid(scenario):
    world = small_world()
    data = world.objects[scenario.change(world)]
    with pytest.raises(IntegrityError) as caught:
        open_(data, object_key="TN1/x.json")
    assert caught.value.reason == "malformed-entry"
    assert caught.value.object_key == "TN1/x.json"
    assert str(caught.value).startswith("TN1/x.json: ")
    with pytest.raises(MalformedError):
        Entry.unverified(data)


@pytest.mark.parametrize("signature", [None, 1, True, [], {}, "", "A" * 88, "=" * 88])
def test_a_signature_is_the_base64_of_64_bytes(signature):
    data = encode({"entry": decode(sign().payload), "signature": signature})
    with pytest.raises(IntegrityError, match="the signature is") as caught:
        open_(data)
    assert caught.value.reason == "malformed-entry"
    with pytest.raises(MalformedError, match="the signature is"):
        Entry.unverified(data)


@pytest.mark.parametrize("end", ["x==", "0==", "!==="])
def test_a_signature_is_spelled_in_one_way(end):
    """Decoders drop the bits that are left over, and what is no base64."""
    entry = sign()
    text = base64.b64encode(bytes(63) + b"\x03").decode()
    assert text.endswith("w==")
    other = text[: 88 - len(end)] + end
    with pytest.raises(IntegrityError, match=r"canonical base64"):
        open_(encode({"entry": decode(entry.payload), "signature": other}))


@pytest.mark.parametrize("envelope", [{}, {"signature": 1, "x": 1}, {"signature": 1, "entry": []}])
def test_an_object_has_an_entry_and_a_signature_and_nothing_else(envelope):
    with pytest.raises(MalformedError, match="not an entry"):
        Entry.unverified(encode(envelope))


@pytest.mark.parametrize("key", [None, 1, "", "x", ALICE.key_id.upper(), ALICE.key_id[1:]])
def test_a_key_is_named_by_its_id_alone(key):
    with pytest.raises(MalformedError, match="not a key id"):
        Entry.unverified(signed(ALICE, members(sign(), key=key)))


@pytest.mark.parametrize("digits", ["", "x", "1x", "1" * 17, "-1"])
def test_what_is_no_version_is_no_hint_of_one(digits):
    assert version_hint(sign().data) == 1
    assert (
        version_hint(sign().data.replace(b'"version":1}', b'"version":%b}' % digits.encode())) == 0
    )


def test_an_error_says_where_the_entry_should_be():
    for changes, name in (({}, "head.json"), ({"address": "0" * 64}, f"{'0' * 64}.json")):
        with pytest.raises(IntegrityError) as caught:
            open_(b"x", **changes)
        assert caught.value.object_key == f"TN1/{name}"


def test_the_error_names_what_is_wrong_with_a_member():
    entry = sign()
    with pytest.raises(IntegrityError, match="missing or unknown members: 'colour, message'"):
        open_(signed(ALICE, {k: v for k, v in members(entry, colour=1).items() if k != "message"}))
    with pytest.raises(IntegrityError, match="too large: 1,048,577 bytes, at most 1,048,576"):
        open_(entry.data.ljust(MAX_BYTES + 1))


@pytest.mark.parametrize("kind", ["redaction", "transfer"])
def test_another_kind_is_unsupported_but_only_if_it_is_signed(kind):
    """A redaction of a later version is no tampering; a changed byte in the kind is."""
    entry = sign()
    later = signed(ALICE, members(entry, kind=kind, colour="members of its own"))
    with pytest.raises(UnsupportedFormatError, match=f"'{kind}'"):
        open_(later)
    with pytest.raises(UnsupportedFormatError, match=f"'{kind}'"):
        Entry.unverified(later)
    with pytest.raises(IntegrityError) as caught:
        open_(entry.data.replace(b"registration", b"registratiom"))
    assert caught.value.reason == "bad-signature"
    with pytest.raises(TrustError):
        open_(signed(signer("eve"), members(entry, kind=kind, key=signer("eve").key_id)))


def elsewhere(origin: str) -> dict:
    """Another ledger, in which the same key counts."""
    return {"ledger": origin, "keyring": KEYRING.trust(origin, ALICE.public_key)}


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
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
def test_a_good_entry_in_the_wrong_place_is_refused(changes, error, reason):
    with pytest.raises(error) as caught:
        open_(sign().data, object_key="here", **changes)
    assert type(caught.value) is error
    assert caught.value.reason == reason
    assert ("the keyring lacks" in str(caught.value)) == (reason == "unknown-key")
    assert caught.value.object_key == "here"


def test_a_signature_is_not_looked_at_only_where_the_name_says_so():
    entry = sign()
    forged = signed(signer("eve"), entry.payload)
    assert Entry.unverified(forged).document == entry.document
    with pytest.raises(IntegrityError, match="the signature is not that of key"):
        open_(forged)


@law
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_our_error(noise):
    for data in (noise, b'{"entry":' + noise, wrap(noise, bytes(64)), signed(ALICE, noise)):
        with pytest.raises(LedgerError):
            open_(data)
        with pytest.raises(MalformedError):
            Entry.unverified(data)


def test_the_address_is_checked_before_anything_is_read():
    with pytest.raises(IntegrityError) as caught:
        open_(b"[" * 100_000, address=address(b""))
    assert caught.value.reason == "address-mismatch"
