"""Public keys of any algorithm as bytes: one spelling, so that a key has one id."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.format.keys import PublicKey
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.trust.keys import OtherKey, read_spki
from tests.trust.people import ALICE


def test_each_key_has_one_spelling():
    post_quantum = [
        MLDSAPrivateKey(each, bytes(32)).public_key for each in ("ML-DSA-44", "ML-DSA-65")
    ]
    for key in (ALICE, *post_quantum):
        der = key.spki
        assert read_spki(der) == key
        for other in (der + b"\0", der[:-1], der[1:], b""):
            with pytest.raises(MalformedError):
                read_spki(other)
    # With parameters, which RFC 8410 leaves out; with a longer length; with unused bits.
    null = bytes.fromhex("302c300706032b65700500032100") + ALICE.raw
    long = bytes.fromhex("30812a300506032b6570032100") + ALICE.raw
    bits = bytes.fromhex("302a300506032b6570032101") + ALICE.raw
    tail = -len(post_quantum[0].raw)
    odd = post_quantum[0].spki[: tail - 1] + b"\x01" + post_quantum[0].raw
    for other in (null, long, bits, odd):
        with pytest.raises(MalformedError):
            read_spki(other)


ED448 = bytes.fromhex("3043300506032b6571033a00") + bytes(57)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ED448 + b"\0", id="something behind it"),
        pytest.param(ED448[:-1], id="cut off"),
        pytest.param(b"\x30\x45" + ED448[2:] + b"\x05\x00", id="something behind the bits"),
        pytest.param(b"\x30\x81\x43" + ED448[2:], id="a length in a longer form"),
        pytest.param(b"\x30\x82\x00\x43" + ED448[2:], id="a length with a zero"),
        pytest.param(
            bytes.fromhex("3082008a300506032b6571038180") + bytes(0x80),
            id="a longer length with a zero",
        ),
        pytest.param(b"\x30\x80" + ED448[2:] + bytes(2), id="no length"),
        pytest.param(
            b"\x30\x80" + bytes.fromhex("300506032b6571") + b"\x03\x77" + bytes(0x77),
            id="no length, and 128 bytes",
        ),
        pytest.param(b"\x30\x84\x00\x00\x00\x43" + ED448[2:], id="a length of four bytes"),
        pytest.param(bytes.fromhex("300a300506032b65710301") + b"\0", id="no key"),
        pytest.param(b"\x30", id="one byte"),
        *(
            pytest.param(tag + ED448[1:], id=f"another tag {tag.hex()}")
            for tag in (b"\x2f", b"\x31")
        ),
    ],
)
def test_a_key_of_another_algorithm_is_der(data: bytes) -> None:
    assert isinstance(read_spki(ED448), OtherKey)
    with pytest.raises(MalformedError):
        read_spki(data)


@pytest.mark.parametrize("size", [1, 117, 118, 119, 200, 300])
def test_a_key_of_another_algorithm_may_be_short_or_long(size: int) -> None:
    def element(tag: int, content: bytes) -> bytes:
        length = len(content)
        digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
        spelled = digits if length < 0x80 else bytes([0x80 | len(digits)]) + digits
        return bytes([tag]) + spelled + content

    der = element(0x30, bytes.fromhex("300506032b6571") + element(0x03, bytes(1 + size)))
    assert isinstance(read_spki(der), OtherKey)


def test_a_key_of_another_algorithm_keeps_its_bytes():
    key = read_spki(ED448)
    assert (key.spki, key.key_id) == (ED448, hashlib.sha256(ED448).hexdigest())


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(bytes.fromhex("302a300506032b656e032100") + bytes(32), id="X25519"),
        pytest.param(bytes.fromhex("3013300d06092a864886f70d01010105000302") + bytes(2), id="RSA"),
        pytest.param(bytes.fromhex("3008300206000302") + bytes(2), id="no algorithm"),
    ],
)
def test_other_algorithms_may_sort_before_those_that_are_known(der: bytes) -> None:
    assert isinstance(read_spki(der), OtherKey)


def test_bytes_that_are_themselves_a_point_are_no_other_spelling_of_it():
    """32 bytes that name Ed25519: as the raw bytes of a key, they would be sound."""
    der = bytes.fromhex("301e300506032b657003150049d180ecf56132819571bf39d9b7b342522a2ac6")
    PublicKey(der)
    with pytest.raises(MalformedError, match="as its algorithm spells it"):
        read_spki(der)


def test_a_key_of_small_order_is_none():
    with pytest.raises(MalformedError):
        read_spki(bytes.fromhex("302a300506032b6570032100") + b"\x01" + bytes(31))


@given(st.binary(max_size=80))
def test_other_bytes_are_no_key(data: bytes) -> None:
    with suppress(MalformedError):
        assert read_spki(data).spki == data
