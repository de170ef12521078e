"""Several keys in one PEM text, and what a keyring makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Keyring, PrivateKey
from ledger.errors import InvalidError, KeyUnavailable, MalformedError
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.format.pem import (
    encode_private_keys,
    read_private_keys,
    read_public_key,
    read_public_keys,
)
from ledger.testing import ORIGIN, signer

ED, OTHER = signer("log"), signer("other")
SMALL, LARGE = MLDSAPrivateKey("ML-DSA-44", bytes(32)), MLDSAPrivateKey("ML-DSA-65", bytes(32))


@settings(deadline=None, max_examples=10)
@given(st.permutations([ED, SMALL, LARGE]), st.sampled_from([None, b"sesam"]))
def test_private_keys_come_back_in_their_order(
    keys: list[PrivateKey | MLDSAPrivateKey], passphrase: bytes | None
) -> None:
    pem = encode_private_keys(keys, passphrase)
    assert pem.count(b"ENCRYPTED" if passphrase else b"BEGIN PRIVATE") == 3 * (1 + bool(passphrase))
    found = read_private_keys(pem, passphrase)
    assert [each.public_key for each in found] == [each.public_key for each in keys]
    assert all(each.public_key.verify(each.sign(b"data"), b"data") for each in found)


def test_a_passphrase_is_for_all_keys_of_a_file() -> None:
    pem = encode_private_keys([ED, SMALL], b"sesam")
    for wrong in (None, b"other"):
        with pytest.raises(KeyUnavailable):
            read_private_keys(pem, wrong)
    assert len(read_private_keys(ED.pem() + SMALL.pem(b"sesam"), b"sesam")) == 2
    with pytest.raises(InvalidError, match="1023"):
        encode_private_keys([SMALL], b"x" * 1024)


def test_public_keys_come_back_in_their_order() -> None:
    keys = (SMALL.public_key, ED.public_key, LARGE.public_key)
    assert read_public_keys(b"comment\n" + b"".join(each.pem() for each in keys)) == keys
    assert read_public_key(SMALL.public_key.pem()) == SMALL.public_key
    with pytest.raises(MalformedError, match="3 public keys, expected one"):
        read_public_key(b"".join(each.pem() for each in keys))


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "something else"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "CERTIFICATE"),
        (ED.public_key.pem() + SMALL.public_key.pem()[:-30], "cut off"),
        (ED.public_key.pem() * 2, "in the file twice"),
        (ED.public_key.pem() + ED.pem(), "PRIVATE KEY"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
    ],
)
def test_other_texts_are_no_public_keys(pem: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read_public_keys(pem)


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "something else"),
        (ED.pem() + SMALL.pem()[:-30], "cut off"),
        (ED.pem() * 2, "in the file twice"),
        (SMALL.pem() + ED.public_key.pem(), "PUBLIC KEY"),
    ],
)
def test_other_texts_are_no_private_keys(pem: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read_private_keys(pem)


def test_no_secret_is_in_a_message() -> None:
    for key in (ED, SMALL):
        assert key.pem().decode().split("\n")[1] not in repr(key)


# --- the keyring ---------------------------------------------------------------------------------


def test_a_keyring_holds_ml_dsa_44_keys_of_logs_and_witnesses() -> None:
    keyring = Keyring()
    for role, key in (("log", SMALL), ("witness", MLDSAPrivateKey("ML-DSA-44", b"w" * 32))):
        keyring = keyring.trust(ORIGIN, key.public_key, role=role)
        assert keyring.keys(ORIGIN, role) == [key.public_key]
        assert keyring.key(ORIGIN, key.public_key.key_id, role) == key.public_key
    assert Keyring.decode(keyring.encode()) == keyring
    assert not keyring.untrust(SMALL.public_key.key_id).keys(ORIGIN, "log")


@pytest.mark.parametrize(
    ("role", "key"),
    [("registrar", SMALL), ("log", LARGE), ("witness", LARGE), ("registrar", LARGE)],
)
def test_a_key_of_an_algorithm_that_its_role_does_not_sign_with_is_refused(
    role: str, key: MLDSAPrivateKey
) -> None:
    with pytest.raises(InvalidError, match=f"{key.public_key.algorithm} can't be a {role}'s"):
        Keyring().trust(ORIGIN, key.public_key, role=role)
    good = Keyring().trust(ORIGIN, SMALL.public_key, role="log").encode()
    pems = [each.public_key.pem().replace(b"\n", b"\\n") for each in (SMALL, key)]
    data = good.replace(*pems).replace(b'"log"', b'"%s"' % role.encode())
    with pytest.raises(InvalidError):
        Keyring.decode(data)
