"""Cosignatures under the published checkpoint: who adds which, and what is left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import ConflictError, IntegrityError, Ledger, Log, NotFoundError, TrustError
from ledger.errors import MalformedError, OutcomeUnknown, PreconditionFailed
from ledger.format.layout import LOG_CHECKPOINT
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, WitnessKey, add_signatures, cosign, sign_checkpoint
from ledger.tlog.note import Signature
from tests.sealing.sealers import LOG_KEY, Sealer, assert_sealed, ledger_in
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores.s3.store import S3Store

W1, W2 = signer("w1"), signer("w2")
KEY1 = WitnessKey("w1.example/w", W1.public_key)
KEY2 = WitnessKey("w2.example/w", W2.public_key)
HELD = {KEY1: W1, KEY2: W2}
NOON = 1_795_000_000


@pytest.fixture
def titles(tmp_path: Path) -> Ledger:
    """A ledger of one title, logged."""
    made = ledger_in(MemoryStore())
    made.append("TN1", {})
    Sealer(tmp_path).seal(made.store, genesis=True)
    return made


def cosigned(ledger: Ledger, *keys: WitnessKey, time: int = NOON) -> bytes:
    """The published checkpoint as these witnesses return it."""
    signed = Log(ledger).checkpoint()
    note = signed.note
    for key in keys:
        note = add_signatures(note, cosign(signed.checkpoint, key, HELD[key], time))
    return note


def published(ledger: Ledger) -> bytes:
    blob = ledger.store.get(LOG_CHECKPOINT)
    assert blob
    return blob.data


def times(ledger: Ledger, *keys: WitnessKey) -> list[tuple[WitnessKey, int]]:
    return [(w, time) for w, time in Log(ledger).checkpoint(witnesses=keys).cosignatures]


def test_they_are_published_with_the_checkpoint_and_go_into_receipts(titles: Ledger) -> None:
    log = Log(titles)
    note = cosigned(titles, KEY1)
    signed = log.add_cosignatures(note, [KEY1])
    assert signed.note == note == published(titles) == log.receipt("TN1").note
    assert times(titles, KEY1) == [(KEY1, NOON)]


def test_witnesses_come_one_after_the_other(titles: Ledger) -> None:
    first, second = cosigned(titles, KEY1), cosigned(titles, KEY2)
    log = Log(titles)
    log.add_cosignatures(first, [KEY1])
    log.add_cosignatures(second, [KEY1, KEY2])
    assert set(times(titles, KEY1, KEY2)) == {(KEY1, NOON), (KEY2, NOON)}
    before = published(titles)
    log.add_cosignatures(second, [KEY2])
    assert published(titles) == before


def test_only_the_newest_of_a_witness_is_kept(titles: Ledger) -> None:
    log = Log(titles)
    plain = published(titles)
    for time in (NOON, NOON + 60, NOON + 30):
        log.add_cosignatures(
            add_signatures(plain, cosign(log.checkpoint().checkpoint, KEY1, W1, time)), [KEY1]
        )
    assert times(titles, KEY1) == [(KEY1, NOON + 60)]


def test_what_others_wrote_is_not_published(titles: Ledger) -> None:
    only_another = cosigned(titles, KEY2)
    Log(titles).add_cosignatures(cosigned(titles, KEY1, KEY2), [KEY1])
    assert times(titles, KEY1, KEY2) == [(KEY1, NOON)]
    with pytest.raises(TrustError, match="none of the witnesses"):
        Log(titles).add_cosignatures(only_another, [KEY1])


def test_a_wrong_cosignature_is_not_published(titles: Ledger) -> None:
    before = published(titles)
    other = Checkpoint(ORIGIN, 2, bytes(32))
    with pytest.raises(IntegrityError):
        Log(titles).add_cosignatures(add_signatures(before, cosign(other, KEY1, W1, NOON)), [KEY1])
    assert published(titles) == before


def test_a_wrong_cosignature_that_is_published_gives_way_to_a_right_one(titles: Ledger) -> None:
    note = cosigned(titles, KEY1)
    spoilt = Signature(KEY1.name, KEY1.key_hash, b"?" * 72).encode()
    blob = titles.store.get(LOG_CHECKPOINT)
    assert blob
    titles.store.replace(LOG_CHECKPOINT, add_signatures(blob.data, spoilt), blob.version)
    with pytest.raises(IntegrityError):
        Log(titles).checkpoint(witnesses=[KEY1])
    Log(titles).add_cosignatures(note, [KEY1])
    assert times(titles, KEY1) == [(KEY1, NOON)]


def test_a_checkpoint_of_another_size_is_late(titles: Ledger, tmp_path: Path) -> None:
    note = cosigned(titles, KEY1)
    titles.append("TN1", {"a": 1})
    Sealer(tmp_path).seal(titles.store)
    before = published(titles)
    with pytest.raises(ConflictError, match="of 1 leaves, and that of 2"):
        Log(titles).add_cosignatures(note, [KEY1])
    assert published(titles) == before


def test_two_checkpoints_of_one_size_are_a_fork(titles: Ledger) -> None:
    fork = Checkpoint(ORIGIN, 1, bytes(32))
    note = sign_checkpoint(fork, LOG_KEY)
    with pytest.raises(IntegrityError) as caught:
        Log(titles).add_cosignatures(add_signatures(note, cosign(fork, KEY1, W1, NOON)), [KEY1])
    assert caught.value.reason == "not-consistent"


def test_without_a_log_there_is_nothing_to_add_to(titles: Ledger) -> None:
    note = cosigned(titles, KEY1)
    with pytest.raises(NotFoundError):
        Log(ledger_in(MemoryStore())).add_cosignatures(note, [KEY1])
    with pytest.raises(MalformedError):
        Log(titles).add_cosignatures(b"a cosignature", [KEY1])


def test_the_log_goes_on_above_cosignatures(titles: Ledger, tmp_path: Path) -> None:
    """A seal of nothing new leaves them, one of something new replaces them."""
    Log(titles).add_cosignatures(cosigned(titles, KEY1), [KEY1])
    Sealer(tmp_path).seal(titles.store)
    assert times(titles, KEY1) == [(KEY1, NOON)]
    titles.append("TN1", {"a": 1})
    Sealer(tmp_path).seal(titles.store)
    assert times(titles, KEY1) == []
    assert_sealed(titles)


@pytest.mark.slow
def test_they_are_swapped_in_in_a_bucket(s3_store: S3Store, tmp_path: Path) -> None:
    ledger = ledger_in(s3_store)
    ledger.append("TN1", {})
    Sealer(tmp_path).seal(s3_store, genesis=True)
    first, second = cosigned(ledger, KEY1), cosigned(ledger, KEY2)
    Log(ledger).add_cosignatures(first, [KEY1, KEY2])
    Log(ledger).add_cosignatures(second, [KEY1, KEY2])
    assert set(times(ledger, KEY1, KEY2)) == {(KEY1, NOON), (KEY2, NOON)}


class Racing(Wrapper):
    """Lets another witness be first, or loses an answer, once."""

    def __init__(self, inner: MemoryStore, first: bytes | None) -> None:
        super().__init__(inner)
        self.first = first
        self.raced = False

    def replace(self, key: str, data: bytes, expected: str) -> str:
        if self.raced:
            return super().replace(key, data, expected)
        self.raced = True
        if self.first is None:
            super().replace(key, data, expected)
            raise OutcomeUnknown("the answer was lost")
        super().replace(key, self.first, expected)
        raise PreconditionFailed("somebody was first")


def test_what_may_have_been_published_is_not_said_to_be_unwritten(titles: Ledger) -> None:
    class Lost(Wrapper):
        def replace(self, key: str, data: bytes, expected: str) -> str:
            raise OutcomeUnknown("timed out")

    losing = Ledger.open(Lost(titles.store), keyring=titles.keyring)
    with pytest.raises(OutcomeUnknown, match="whether _log/checkpoint was written: timed out"):
        Log(losing).add_cosignatures(cosigned(titles, KEY1), [KEY1])


def test_two_at_once_both_come_in(titles: Ledger) -> None:
    first, second = cosigned(titles, KEY1), cosigned(titles, KEY2)
    assert isinstance(titles.store, MemoryStore)
    racing = Ledger.open(Racing(titles.store, first), keyring=titles.keyring)
    Log(racing).add_cosignatures(second, [KEY1, KEY2])
    assert set(times(titles, KEY1, KEY2)) == {(KEY1, NOON), (KEY2, NOON)}


def test_an_answer_that_is_lost_is_looked_for(titles: Ledger) -> None:
    assert isinstance(titles.store, MemoryStore)
    racing = Ledger.open(Racing(titles.store, None), keyring=titles.keyring)
    Log(racing).add_cosignatures(cosigned(titles, KEY1), [KEY1])
    assert times(titles, KEY1) == [(KEY1, NOON)]
