"""KMS, from a server that says what a test wants it to say."""

from __future__ import annotations

import base64
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import Ledger, open_signer
from ledger.errors import KeyUnavailable
from ledger.format.keys import SPKI_PREFIX
from ledger.format.signing import sign_with
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer

ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
URI = f"awskms:///{ARN}"


def test_it_asks_for_pure_ed25519_over_the_message_itself(kms):
    found = open_signer(URI)
    assert found.public_key == kms.key.public_key
    assert sign_with(found, b"data") == kms.key.sign(b"data")
    assert kms.asked == [
        ("GetPublicKey", {"KeyId": ARN}),
        (
            "Sign",
            {
                "KeyId": ARN,
                "Message": base64.b64encode(b"data").decode(),
                "MessageType": "RAW",
                "SigningAlgorithm": "ED25519_SHA_512",
            },
        ),
    ]


def test_4097_bytes_never_reach_it(kms):
    found = open_signer(URI)
    sign_with(found, bytes(4096))
    with pytest.raises(KeyUnavailable, match=r"4,097 bytes: .* at most 4,096"):
        sign_with(found, bytes(4097))
    assert [operation for operation, _ in kms.asked] == ["GetPublicKey", "Sign"]


def test_the_largest_entry_is_within_its_limit(kms):
    ledger = Ledger.create(MemoryStore(), origin=ORIGIN, signer=open_signer(URI))
    ledger.append("TN1", {"plan": "x" * 1_000_000}, reference="r" * 100)
    assert ledger.verify("TN1")


@pytest.mark.parametrize(
    "bad",
    [b"", bytes(63), bytes(64), b"\x01" + bytes(63), signer("eve").sign(b"data"), bytes(65)],
)
def test_a_wrong_signature_is_refused_and_nothing_is_written(kms, bad):
    store = MemoryStore()
    ledger = Ledger.create(store, origin=ORIGIN, signer=open_signer(URI))
    before = list(store.list())
    kms.sign = lambda data: bad
    with pytest.raises(KeyUnavailable, match="does not verify"):
        ledger.append("TN1", {})
    assert list(store.list()) == before


def test_a_key_that_was_changed_for_another_is_refused(kms):
    found = open_signer("awskms:///alias/registrar")
    kms.key = signer("another")
    with pytest.raises(KeyUnavailable, match="does not verify"):
        sign_with(found, b"data")


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "not an Ed25519 key but A_SPEC"),
        (MLDSA65PrivateKey.generate(), "not an Ed25519 key but A_SPEC"),
        (b"", "not a public key"),
        (signer().public_key.spki + b"\0", "not a public key"),
        (SPKI_PREFIX + b"\x01" + bytes(31), "main subgroup"),
    ],
)
def test_another_kind_of_key_is_refused(kms, shown, words):
    if not isinstance(shown, bytes):
        shown = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    kms.shown = shown
    with pytest.raises(KeyUnavailable, match=words):
        open_signer(URI)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "AccessDeniedException", "kms:Sign"),
        (400, "NotFoundException", "region"),
        (400, "DisabledException", ""),
    ],
)
def test_a_refusal_says_why(kms, status, code, words):
    found = open_signer(URI)
    kms.error = (status, code, "because")
    for asking in (lambda: found.sign(b"data"), lambda: open_signer(URI)):
        with pytest.raises(KeyUnavailable, match=f"{code}: because") as caught:
            asking()
        assert words in caught.value.hint


def test_one_that_hangs_is_given_up(kms):
    found = open_signer(URI, timeout=1)
    kms.hang = Event()
    with pytest.raises(KeyUnavailable, match="imeout"):
        found.sign(b"data")


def test_one_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
    with pytest.raises(KeyUnavailable, match="127") as caught:
        open_signer(URI, timeout=2)
    assert "AWS_ENDPOINT_URL_KMS" in caught.value.hint


def test_the_region_is_that_of_the_arn(kms, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert open_signer(URI)._client.meta.region_name == "eu-west-1"
