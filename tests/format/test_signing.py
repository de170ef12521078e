"""Signing through a device: whatever comes back is verified before it is used."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Entry, PublicKey
from ledger.errors import KeyUnavailable
from ledger.format.keys import MIXED_ORDER_R, SMALL_ORDER_R, TEST_KEY, TEST_MESSAGE
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.format.signing import sign_with
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, WitnessKey, cosign, sign_checkpoint

KEY = signer()
DATA = b"what is to be signed"
GOOD = KEY.sign(DATA)
CHECKPOINT = Checkpoint(ORIGIN, 1, bytes(32))
WITNESS = WitnessKey("example.org/witness", KEY.public_key)


@dataclass
class Device:
    """Returns the same answer to everything, and notes what it was asked."""

    answer: bytes
    public_key: PublicKey = KEY.public_key
    limit: int | None = None
    asked: list[bytes] = field(default_factory=list)

    def sign(self, data: bytes) -> bytes:
        self.asked.append(data)
        return self.answer


BAD = {
    "none": b"",
    "short": GOOD[:-1],
    "long": GOOD + b"\0",
    "twice": GOOD * 2,
    "zeros": bytes(64),
    "over other bytes": KEY.sign(DATA + b"!"),
    "by another key": signer("eve").sign(DATA),
    "S too large": GOOD[:63] + bytes([GOOD[63] | 0xE0]),
    "a text": GOOD.hex().encode(),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_signature_that_does_not_verify_is_refused(bad):
    with pytest.raises(KeyUnavailable, match="does not verify"):
        sign_with(Device(BAD[bad]), DATA)


@pytest.mark.parametrize("signature", [SMALL_ORDER_R, MIXED_ORDER_R])
def test_a_signature_that_some_verifiers_accept_is_refused(signature):
    with pytest.raises(KeyUnavailable, match="does not verify"):
        sign_with(Device(signature, PublicKey(TEST_KEY)), TEST_MESSAGE)


def test_a_good_signature_is_returned():
    assert sign_with(Device(GOOD), DATA) == GOOD == sign_with(KEY, DATA)


@given(st.binary(max_size=80), st.binary(max_size=32))
def test_what_is_returned_verifies(answer, data):
    try:
        signature = sign_with(Device(answer), data)
    except KeyUnavailable:
        return
    assert KEY.public_key.verify(signature, data)


def test_what_is_longer_than_the_limit_never_reaches_the_device():
    device = Device(GOOD, limit=len(DATA))
    assert sign_with(device, DATA) == GOOD
    with pytest.raises(KeyUnavailable, match=r"cannot sign 21 bytes: .* at most 20"):
        sign_with(device, DATA + b"!")
    assert device.asked == [DATA]


def test_a_post_quantum_key_signs_by_the_same_rule():
    key = MLDSAPrivateKey("ML-DSA-44", bytes(32))
    assert key.public_key.verify(sign_with(key, DATA), DATA)


def sign_entry(device: Device) -> object:
    at = "2026-11-23T10:00:00.000000Z"
    return Entry.sign(
        device, ledger=ORIGIN, title_number="TN1", document={}, recorded_at=at, salt=bytes(32)
    )


ROLES = {
    "registrar": sign_entry,
    "log": lambda device: sign_checkpoint(CHECKPOINT, device),
    "witness": lambda device: cosign(CHECKPOINT, WITNESS, device, 1),
}


@pytest.mark.parametrize("answer", [bytes(64), GOOD])
@pytest.mark.parametrize("role", ROLES)
def test_the_rule_holds_for_every_role(role, answer):
    device = Device(answer)
    with pytest.raises(KeyUnavailable, match="does not verify"):
        ROLES[role](device)
    assert len(device.asked) == 1


@pytest.mark.parametrize("role", ROLES)
def test_the_limit_holds_for_every_role(role):
    device = Device(GOOD, limit=10)
    with pytest.raises(KeyUnavailable, match="at most 10"):
        ROLES[role](device)
    assert device.asked == []
