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
from ledger.format import canonical, layout
from ledger.format.chain import verify_chain
from ledger.format.entry import Entry, digest, signed_bytes
from ledger.format.report import finding_of
from ledger.testing import memory_ledger
from ledger.titles.identity import decode_identity
from tests.format import make_vectors

VECTORS: dict[str, Any] = json.loads(make_vectors.FILE.read_bytes())
KEYRING = Keyring.decode(VECTORS["keyring"].encode())
ORIGIN: str = VECTORS["origin"]
TITLE: str = VECTORS["title_number"]
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def cases(name: str) -> Any:
    return pytest.mark.parametrize("case", VECTORS[name], ids=lambda case: case["name"])


def test_the_file_is_what_the_library_makes() -> None:
    assert make_vectors.text() == make_vectors.FILE.read_bytes(), "python -m tests.make_vectors"


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


@pytest.mark.parametrize("text", VECTORS["title_numbers"]["valid"], ids=ascii)
def test_a_title_number(text: str) -> None:
    assert layout.check_title_number(text) == text


@pytest.mark.parametrize("text", VECTORS["title_numbers"]["invalid"], ids=ascii)
def test_what_is_no_title_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        layout.check_title_number(text)


def test_ledger_json_names_the_origin() -> None:
    assert decode_identity(VECTORS["ledger_json"].encode()) == ORIGIN


def test_a_marker_names_its_entry() -> None:
    key = VECTORS["pending_key"]
    last = VECTORS["entries"][-1]
    assert layout.parse_pending_key(key) == (TITLE, last["version"], last["address"])


@cases("entries")
def test_an_entry_is_opened(case: dict[str, Any]) -> None:
    data = case["object"].encode()
    entry = Entry.open(
        data,
        keyring=KEYRING,
        ledger=ORIGIN,
        title_number=case["title_number"],
        address=case["address"],
    )
    assert hashlib.sha256(data).hexdigest() == case["address"]
    assert entry.payload == case["payload"].encode() == data[9:-104]
    assert signed_bytes(entry.payload).hex() == case["signed_hex"]
    assert entry.signature == base64.b64decode(case["signature"])
    assert (entry.version, entry.parent, entry.key) == (
        case["version"],
        case["parent"],
        case["key"],
    )
    assert digest(entry.document) == case["document_digest"]
    assert canonical.encode(canonical.decode(data), depth=66) == data


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
    assert bool(report) == (not case["slugs"])


@cases("documents_refused")
def test_a_document_that_cannot_be_kept_is_refused(case: dict[str, str]) -> None:
    ledger = memory_ledger()
    with pytest.raises(MalformedError):
        ledger.append(TITLE, canonical.decode(case["text"].encode()))
    assert list(ledger.titles()) == []


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
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        assert names[:2] == ["bundle.json", "ledger.json"]
        for name in names:
            parsed = layout.parse_entry_key(name)
            member = archive.extractfile(name)
            assert member is not None
            if parsed:
                assert hashlib.sha256(member.read()).hexdigest() == parsed[1]
