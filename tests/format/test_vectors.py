"""The checked-in vectors are what the library makes, and what it accepts and refuses."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger import (
    IntegrityError,
    Keyring,
    Ledger,
    MalformedError,
    PublicKey,
    TrustError,
    UnsupportedFormatError,
    verify_bundle,
)
from ledger.errors import NotInLaw
from ledger.format import canonical, layout, times
from ledger.format.chain import finding_of, verify_chain
from ledger.format.entry import Entry, digest, signed_bytes
from ledger.format.law import in_law
from ledger.titles.identity import decode_identity
from tests.format import make_vectors
from tests.format.by_hand import ALICE, SALT, pae

VECTORS: dict[str, Any] = json.loads(make_vectors.FILE.read_bytes())
KEYRING = Keyring.decode(VECTORS["keyring"].encode())
ORIGIN: str = VECTORS["origin"]
TITLE: str = VECTORS["title_number"]
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def cases(name: str) -> Any:
    return pytest.mark.parametrize("case", VECTORS[name], ids=lambda case: case["name"])


def test_the_file_is_what_the_library_makes() -> None:
    made = "python -m tests.format.make_vectors"
    assert make_vectors.text() == make_vectors.FILE.read_bytes(), made


@cases("keys")
def test_a_key_has_its_id_and_its_pem(case: dict[str, str]) -> None:
    key = PublicKey.from_pem(case["pem"].encode())
    assert key.raw.hex() == case["public_hex"]
    assert key.key_id == case["key_id"]
    spki = bytes.fromhex("302a300506032b6570032100" + case["public_hex"])
    assert hashlib.sha256(spki).hexdigest() == case["key_id"]


@cases("not_keys")
def test_what_is_no_key_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(MalformedError):
        PublicKey(bytes.fromhex(case["public_hex"]))


@cases("signatures")
def test_a_signature_holds_or_does_not(case: dict[str, Any]) -> None:
    try:
        key = PublicKey(bytes.fromhex(case["public_hex"]))
    except MalformedError:
        assert not case["holds"]
        return
    signature, message = (bytes.fromhex(case[f"{name}_hex"]) for name in ("signature", "message"))
    assert key.verify(signature, message) == case["holds"]


@pytest.mark.parametrize("text", VECTORS["title_numbers"]["valid"], ids=ascii)
def test_a_title_number(text: str) -> None:
    assert layout.check_title_number(text) == text


@pytest.mark.parametrize("text", VECTORS["title_numbers"]["invalid"], ids=ascii)
def test_what_is_no_title_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        layout.check_title_number(text)


@pytest.mark.parametrize("text", VECTORS["bounds"]["valid"])
def test_a_bound(text: str) -> None:
    day = times.parse_bound(text).day.isoformat()
    assert day == (text + "-01-01")[:10] if len(text) < 10 else text[:10]


@pytest.mark.parametrize("text", VECTORS["bounds"]["invalid"])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        times.parse_bound(text)


def test_ledger_json_names_the_origin() -> None:
    assert decode_identity(VECTORS["ledger_json"].encode()) == ORIGIN


def test_a_marker_and_a_reference_name_their_entry() -> None:
    last = VECTORS["entries"][-1]
    names = (TITLE, last["version"], last["address"])
    assert layout.parse_pending_key(VECTORS["pending_key"]) == names
    reference = layout.parse_reference_key(VECTORS["reference_key"])
    assert reference
    digest = hashlib.sha256(b"APP-2026-000051").hexdigest()
    assert reference == (digest, *names)


@cases("entries")
def test_an_entry_is_opened_in_both_forms(case: dict[str, Any]) -> None:
    long, short = case["long"].encode(), case["short"].encode()
    payload, text = case["payload"].encode(), case["text"].encode()
    assert hashlib.sha256(short).hexdigest() == case["address"]
    assert short == b'{"entry":%b,"signature":"%b"}' % (payload, case["signature"].encode())
    assert long == short[:-1] + b',"text":' + text + b"}"
    assert pae(payload).hex() == case["signed_hex"]
    assert json.loads(payload)["text"] == hashlib.sha256(text).hexdigest()
    for data in (long, short):
        entry = Entry.open(
            data,
            keyring=KEYRING,
            ledger=ORIGIN,
            title_number=case["title_number"],
            address=case["address"],
        )
        assert (entry.payload, entry.short) == (payload, short)
        assert signed_bytes(entry.payload) == pae(payload)
        assert entry.signature == base64.b64decode(case["signature"])
        assert (entry.version, entry.parent, entry.key) == (
            case["version"],
            case["parent"],
            case["key"],
        )
        assert entry.is_withheld == (data == short)
        assert entry.is_withheld or digest(entry.document) == case["document_digest"]
    assert canonical.encode(canonical.decode(long, depth=66), depth=66) == long


@cases("invalid_entries")
def test_an_entry_that_does_not_hold_is_refused_for_its_reason(case: dict[str, str]) -> None:
    data = base64.b64decode(case["object_base64"])
    with pytest.raises((IntegrityError, TrustError, UnsupportedFormatError)) as caught:
        Entry.open(data, keyring=KEYRING, ledger=ORIGIN, title_number=TITLE)
    assert finding_of(caught.value, "").slug == case["slug"]


@cases("chains")
def test_a_chain_is_verified(case: dict[str, Any]) -> None:
    objects = {key: text.encode() for key, text in case["objects"].items()}
    report = verify_chain(
        TITLE,
        origin=ORIGIN,
        keyring=KEYRING,
        head=objects[VECTORS["head_key"]],
        read=lambda address: objects.get(layout.entry_key(TITLE, address)),
        now=NOW,
        expect=case["expect"],
    )
    assert [finding.slug for finding in report.findings] == case["slugs"]
    assert bool(report) == all(finding.severity == "warning" for finding in report.findings)


@cases("law")
def test_a_version_is_in_law_on_a_day(case: dict[str, Any]) -> None:
    entries = [Entry.unverified(text.encode()) for text in reversed(case["objects"])]
    for question in case["ask"]:
        effective = times.parse_bound(question["effective"], partial=False)
        recorded = question["recorded"] and times.parse_bound(question["recorded"], partial=False)
        try:
            found: int | None = in_law(entries, effective, recorded).version
        except NotInLaw:
            found = None
        assert found == question["version"], question


@cases("documents_refused")
def test_a_document_that_cannot_be_kept_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(MalformedError):
        Entry.sign(
            ALICE,
            document=canonical.decode(case["text"].encode()),
            ledger=ORIGIN,
            title_number=TITLE,
            recorded_at="2026-11-23T10:00:00.000000Z",
            salt=SALT,
        )


def test_the_bundle_verifies_and_imports() -> None:
    data = base64.b64decode(VECTORS["bundle"]["base64"])
    assert hashlib.sha256(data).hexdigest() == VECTORS["bundle"]["sha256"]
    report = verify_bundle(io.BytesIO(data), keyring=KEYRING, clock=lambda: NOW)
    assert report
    assert (report.titles, report.entries) == (2, VECTORS["bundle"]["entries"])

    ledger = Ledger.create("memory:", origin=ORIGIN, keyring=KEYRING, clock=lambda: NOW)
    ledger.import_bundle(io.BytesIO(data))
    assert list(ledger.titles()) == VECTORS["bundle"]["titles"]
    again = io.BytesIO()
    ledger.export(again)
    assert again.getvalue() == data


def test_the_bundle_is_a_tar_archive() -> None:
    data = base64.b64decode(VECTORS["bundle"]["base64"])
    known = {case["address"]: (case["long"], case["short"]) for case in VECTORS["entries"]}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        assert names[:2] == ["bundle.json", "ledger.json"]
        for name in names:
            parsed = layout.parse_entry_key(name)
            member = archive.extractfile(name)
            assert member is not None
            if parsed:
                assert member.read().decode() in known[parsed[1]]
