"""Ed25519 keys: what is accepted as a key and as a signature, and that secrets stay secret."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

import nacl.exceptions
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings
from nacl._sodium import ffi

from ledger import PrivateKey, PublicKey
from ledger.errors import InvalidError, KeyUnavailable, LedgerError, LibraryUnsafe, MalformedError
from ledger.format.keys import SPKI_PREFIX, check_library
from ledger.testing import signer
from tests import corpora
from tests.laws import examples

if TYPE_CHECKING:
    from collections.abc import Callable

law = settings(deadline=None, max_examples=examples(50))

SEED = bytes(range(32))
PASSPHRASE = b"correct horse battery staple"

# RFC 8032, section 7.1: secret key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]

# The points of order 1, 2, 4 and 8, in canonical and other encodings (libsodium's list).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
ORDER = 2**252 + 27742317777372353535851937790883648493


def _is_signature(public: str, signature: str, message: str) -> bool:
    try:
        key = PublicKey(bytes.fromhex(public))
    except MalformedError:
        return False
    return key.verify(bytes.fromhex(signature), bytes.fromhex(message))


# --- signatures ----------------------------------------------------------------------------------


@corpora.needs("ed25519/ed25519_test.json")
def test_every_case_of_wycheproof():
    suite = json.loads((corpora.CORPORA / "ed25519/ed25519_test.json").read_text())
    seen = []
    for group in suite["testGroups"]:
        for case in group["tests"]:
            held = _is_signature(group["publicKey"]["pk"], case["sig"], case["msg"])
            assert held == (case["result"] == "valid"), (case["tcId"], case["comment"])
            seen.append(held)
    assert (len(seen), sum(seen)) == (151, 88)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032(seed, public, message, signature):
    key = PrivateKey(bytes.fromhex(seed))
    assert key.public_key.raw.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert _is_signature(public, signature, message)


@law
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 511))
def test_a_signature_holds_for_its_bytes_and_key_alone(seed, message, bit):
    key = PrivateKey(seed)
    signature = key.sign(message)
    assert signature == Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    assert key.public_key.verify(signature, message)
    assert not key.public_key.verify(signature, message + b"\0")
    changed = int.from_bytes(signature) ^ (1 << bit)
    assert not key.public_key.verify(changed.to_bytes(64), message)
    assert not signer("somebody else").public_key.verify(signature, message)


@pytest.mark.parametrize("length", [0, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_none(length):
    assert signer().public_key.verify(b"x" * length, b"") is False


def test_a_signature_with_a_non_canonical_s_is_refused():
    """S + L satisfies the same equation (RFC 8032, section 5.1.7: S has to be below L)."""
    signature = signer().sign(b"x")
    larger = int.from_bytes(signature[32:], "little") + ORDER
    other = signature[:32] + larger.to_bytes(32, "little")
    assert signer().public_key.verify(signature, b"x")
    assert not signer().public_key.verify(other, b"x")


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_small_order_r_is_refused(point):
    assert not signer().public_key.verify(bytes.fromhex(point) + bytes(32), b"x")


# --- the self-test of the library ----------------------------------------------------------------


def test_the_library_passes_its_test_in_less_than_a_millisecond():
    def taken() -> float:
        check_library.cache_clear()
        start = time.process_time()
        check_library()
        return time.process_time() - start

    assert min(taken() for _ in range(20)) < 0.001


def cofactored(signed: bytes, public: bytes) -> bytes:
    """Judge by the other equation of RFC 8032, section 5.1.7: 8SB = 8R + 8kA."""
    r, s, message = signed[:32], signed[32:64], signed[64:]
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ORDER
    left = bindings.crypto_scalarmult_ed25519_base_noclamp(s)
    right = bindings.crypto_core_ed25519_add(r, times(public, k))
    if eight(left) != eight(right):
        raise nacl.exceptions.BadSignatureError
    return message


def times(point: bytes, scalar: int) -> bytes:
    """Multiply a point by doubling and adding: libsodium's own refuses points of small order."""
    result = b"\x01" + bytes(31)
    for bit in f"{scalar:b}":
        result = bindings.crypto_core_ed25519_add(result, result)
        if bit == "1":
            result = bindings.crypto_core_ed25519_add(result, point)
    return result


def eight(point: bytes) -> bytes:
    return times(point, 8)


def openssl(signed: bytes, public: bytes) -> bytes:
    """Judge as OpenSSL does: without the cofactor, and with small orders."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed[:64], signed[64:])
    except InvalidSignature:
        raise nacl.exceptions.BadSignatureError from None
    return signed[64:]


def refuse_all(signed: bytes, public: bytes) -> bytes:
    raise nacl.exceptions.BadSignatureError


class Opening(NamedTuple):
    """A libsodium that opens signed messages by other rules, and hands out nothing."""

    rules: Callable[[bytes, bytes], bytes]

    def crypto_sign_open(
        self, message: object, length: object, signed: bytes, size: int, public: bytes
    ) -> int:
        assert (message, length, size) == (ffi.NULL, ffi.NULL, len(signed))
        try:
            self.rules(signed, public)
        except nacl.exceptions.BadSignatureError:
            return -1
        return 0


SMALL = "an R of small order, a signature by a key of small order"


@pytest.mark.parametrize(
    ("name", "other", "wrong"),
    [
        ("crypto_sign_open", cofactored, f"an R of mixed order, {SMALL}"),
        ("crypto_sign_open", openssl, SMALL),
        ("crypto_sign_open", refuse_all, "an ordinary signature"),
        (
            "crypto_core_ed25519_is_valid_point",
            lambda raw: True,
            "a key of small order, a key of mixed order",
        ),
        ("crypto_core_ed25519_is_valid_point", lambda raw: False, "a key of prime order"),
    ],
)
def test_nothing_is_judged_by_a_library_that_judges_otherwise(name, other, wrong, monkeypatch):
    key = signer().public_key
    signature = signer().sign(b"x")
    if name == "crypto_sign_open":
        monkeypatch.setattr("ledger.format.keys.lib", Opening(other))
    else:
        monkeypatch.setattr(bindings, name, other)
    check_library.cache_clear()
    try:
        for use in (lambda: PublicKey(key.raw), lambda: key.verify(signature, b"x")):
            with pytest.raises(LibraryUnsafe) as caught:
                use()
            assert str(caught.value).endswith(f"otherwise than the format: {wrong}")
            assert caught.value.hint.startswith("pip install ")
    finally:
        check_library.cache_clear()


# --- public keys ---------------------------------------------------------------------------------


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_small_order_key_is_refused(point):
    """One signature fits every message under such a key."""
    with pytest.raises(MalformedError, match="not a point of the main subgroup"):
        PublicKey(bytes.fromhex(point))
    pem = _pem("PUBLIC KEY", SPKI_PREFIX + bytes.fromhex(point))
    with pytest.raises(MalformedError):
        PublicKey.from_pem(pem)


@pytest.mark.parametrize("raw", [b"", b"x" * 31, b"x" * 33, b"\xff" * 32, b"\x02" + bytes(31)])
def test_bytes_that_are_no_point_are_no_key(raw):
    with pytest.raises(MalformedError, match="not an Ed25519 public key"):
        PublicKey(raw)


@law
@given(st.binary(min_size=32, max_size=32))
def test_a_public_key_survives_its_pem(seed):
    key = PrivateKey(seed).public_key
    again = PublicKey.from_pem(key.pem())
    assert again == key
    assert hash(again) == hash(key)
    assert again.key_id == key.key_id
    assert again != seed


def _public(seed):
    return PrivateKey(seed).public_key.raw


@law
@given(st.binary(min_size=32, max_size=32) | st.binary(min_size=32, max_size=32).map(_public))
def test_a_public_key_reads_alike_however_its_pem_is_spelled(raw):
    """Ours is read without OpenSSL; with other line ends it goes through OpenSSL."""
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    found = [_public_or_error(each) for each in (pem, pem[:-1], pem.replace(b"\n", b"\r\n"))]
    assert found == found[:1] * 3
    assert isinstance(found[0], str) or found[0].pem() == pem


@law
@given(st.integers(0, 59), st.sampled_from("ABCDwxyz0189+/=-"))
def test_a_public_key_with_another_digit_reads_as_openssl_reads_it(place, digit):
    head, body, foot, _ = signer().public_key.pem().decode().split("\n")
    body = body[:place] + digit + body[place + 1 :]
    ours, theirs = (
        _public_or_error(end.join((head, body, foot, "")).encode()) for end in ("\n", "\r\n")
    )
    assert ours == theirs


def _public_or_error(pem):
    try:
        return PublicKey.from_pem(pem)
    except MalformedError as error:
        return str(error)


def test_the_key_id_is_the_sha256_of_the_public_key_as_openssl_writes_it(tmp_path):
    (tmp_path / "key.pub").write_bytes(signer().public_key.pem())
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", tmp_path / "key.pub", "-outform", "DER"],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    (tmp_path / "der").write_bytes(der)
    digest = subprocess.check_output(["sha256sum", tmp_path / "der"], text=True, timeout=60)
    assert digest.split()[0] == signer().public_key.key_id


def _pem(label: str, der: bytes) -> bytes:
    import base64

    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


OTHER_KEYS = {
    "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "X25519": x25519.X25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(1024),
}


@pytest.mark.parametrize("name", OTHER_KEYS)
def test_a_key_of_another_kind_is_refused_by_its_name(name):
    key = OTHER_KEYS[name]()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for read, pem in ((PrivateKey.from_pem, private), (PublicKey.from_pem, public)):
        with pytest.raises(MalformedError, match=f"^not an Ed25519 key but {name}$"):
            read(pem)


@pytest.mark.parametrize(
    "pem", [b"", b"x", b"\xff\xfe", _pem("PUBLIC KEY", b""), _pem("PUBLIC KEY", SPKI_PREFIX), SEED]
)
def test_what_is_no_pem_is_no_key(pem):
    with pytest.raises(MalformedError, match="not a public key in PEM form"):
        PublicKey.from_pem(pem)
    with pytest.raises(MalformedError, match="not a private key in PEM form"):
        PrivateKey.from_pem(pem)


@law
@given(st.binary(max_size=60), st.integers(0, 200))
def test_a_damaged_pem_is_a_key_or_refused_with_our_error(noise, place):
    for read, pem in (
        (PublicKey.from_pem, signer().public_key.pem()),
        (PrivateKey.from_pem, signer().pem()),
    ):
        try:
            read(pem[:place] + noise + pem[place + len(noise) :])
        except LedgerError:
            continue


def test_a_private_key_given_for_a_public_one_is_refused_with_a_hint():
    with pytest.raises(MalformedError) as caught:
        PublicKey.from_pem(signer().pem())
    assert "this is a private key" in caught.value.hint


# --- private keys --------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE, "pä§§".encode(), "pä§§"])
def test_a_private_key_survives_its_pem(passphrase):
    pem = PrivateKey(SEED).pem(passphrase)
    assert (b"ENCRYPTED" in pem) == bool(passphrase)
    assert PrivateKey.from_pem(pem, passphrase).public_key == PrivateKey(SEED).public_key


def test_openssl_reads_a_private_key(tmp_path):
    (tmp_path / "key.pem").write_bytes(PrivateKey(SEED).pem(PASSPHRASE))
    public = subprocess.check_output(
        [
            "openssl",
            "pkey",
            "-in",
            tmp_path / "key.pem",
            "-passin",
            b"pass:" + PASSPHRASE,
            "-pubout",
        ],
        timeout=60,
    )
    assert public == PrivateKey(SEED).public_key.pem()


def test_a_passphrase_that_is_not_needed_does_no_harm():
    key = PrivateKey(SEED)
    assert PrivateKey.from_pem(key.pem(), PASSPHRASE).public_key == key.public_key


@pytest.mark.parametrize("passphrase", [None, b""])
def test_a_missing_passphrase_is_named(passphrase):
    with pytest.raises(KeyUnavailable, match="no passphrase was given") as caught:
        PrivateKey.from_pem(PrivateKey(SEED).pem(PASSPHRASE), passphrase)
    assert "LEDGER_PASSPHRASE_FILE" in caught.value.hint


def test_a_wrong_passphrase_is_named():
    with pytest.raises(KeyUnavailable, match="wrong passphrase"):
        PrivateKey.from_pem(PrivateKey(SEED).pem(PASSPHRASE), b"something else")


@pytest.mark.parametrize("seed", [b"", b"x" * 31, b"x" * 33])
def test_a_seed_of_another_length_is_no_key(seed):
    with pytest.raises(MalformedError, match="expected 32"):
        PrivateKey(seed)


def _secrets(pem: bytes) -> list[str]:
    lines = pem.decode().splitlines()[1:-1]
    return [SEED.hex(), repr(SEED)[2:-1], PASSPHRASE.decode(), *lines]


def test_nothing_secret_is_in_a_repr_or_str():
    key = PrivateKey(SEED)
    for text in (repr(key), str(key), f"{key}", repr(key.public_key), repr([key])):
        assert key.public_key.key_id[:16] in text
        assert not any(secret in text for secret in _secrets(key.pem()))


def test_nothing_secret_is_in_an_error_nor_in_what_caused_it():
    plain, locked = PrivateKey(SEED).pem(), PrivateKey(SEED).pem(PASSPHRASE)
    calls = [
        lambda: PrivateKey.from_pem(locked),
        lambda: PrivateKey.from_pem(locked, PASSPHRASE + b"x"),
        lambda: PrivateKey.from_pem(plain[:-40]),
        lambda: PrivateKey.from_pem(plain.replace(b"-----END", b"-----END X")),
        lambda: PublicKey.from_pem(plain),
        lambda: PrivateKey(SEED + b"x"),
    ]
    for call in calls:
        with pytest.raises(LedgerError) as caught:
            call()
        told = "".join(traceback.format_exception_only(caught.value)) + caught.value.hint
        told += repr(vars(caught.value)) + repr(caught.value.args)
        assert caught.value.__cause__ is None
        assert not any(secret in told for secret in [*_secrets(plain), *_secrets(locked)])


def test_keys_are_not_pickled_by_accident():
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(PrivateKey(SEED))
    assert pickle.loads(pickle.dumps(signer().public_key)) == signer().public_key


@pytest.mark.parametrize("label", ["EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"])
def test_a_private_key_of_another_form_is_refused_by_its_label(label):
    pem = f"-----BEGIN {label}-----\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END {label}-----\n"
    with pytest.raises(MalformedError, match=label):
        PrivateKey.from_pem(pem.encode(), b"passphrase")


def test_a_key_whose_parts_disagree_is_malformed_and_no_internal_error():
    """The OID of Ed448 over 32 bytes."""
    body = "MC4CAQAwBQYDK2VxBCIEIH3cjlb9rfIWmqBaNMdpi3EbOk4ITjG2HgGDcQoJ34BA"
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    with pytest.raises(MalformedError):
        PrivateKey.from_pem(pem.encode())


def test_a_passphrase_is_of_a_length_that_openssl_takes():
    key = signer()
    for wrong in (b"x" * 1024, "", b"", "\ud800", 7):  # an empty one would encrypt nothing
        with pytest.raises(InvalidError, match="not a passphrase"):
            key.pem(wrong)
    assert PrivateKey.from_pem(key.pem(b"x" * 1023), b"x" * 1023).public_key == key.public_key
