"""A log with an Ed25519 key and an ML-DSA-44 key: both sign, and a new key signs the same tree."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Ledger, Log, verify_bundle
from ledger.errors import IntegrityError, KeyUnavailable, StoreUnavailable, TrustError
from ledger.format.layout import LOG_CHECKPOINT, LOG_STATE
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.sealing.memory import MemoryFile
from ledger.sealing.seal import Sealed, seal
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, signer
from ledger.titles.history import History
from ledger.tlog import Checkpoint, add_signatures, cosign, sign_checkpoint, witness_key
from ledger.tlog.note import Signature, parse_unverified
from ledger.tlog.objects import LogState
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Keyring
    from ledger.format.keys import AnySigner
    from ledger.stores.base import Store

REGISTRAR, ED, LATER_ED = signer(), signer("log"), signer("later log")
PQ = MLDSAPrivateKey("ML-DSA-44", hashlib.sha256(b"log").digest())
CLOCK = FixedClock()
WITNESS = signer("witness")
WITNESS_KEY = witness_key("witness.example/w", WITNESS.public_key)

ED_ALONE = keyring_for(REGISTRAR).trust(ORIGIN, ED.public_key, role="log")
BOTH = ED_ALONE.trust(ORIGIN, PQ.public_key, role="log")


class Bench:
    """A ledger of one title, and a sealer with a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.memory = folder / "sealer.json"
        ledger = self.ledger(ED_ALONE)
        ledger.append("TN1", {"a": 1})

    def ledger(self, keyring: Keyring) -> Ledger:
        return Ledger.create(
            self.store, origin=ORIGIN, keyring=keyring, signer=REGISTRAR, clock=CLOCK
        )

    def log(self, keyring: Keyring = BOTH) -> Log:
        return Log(self.ledger(keyring))

    def seal(
        self,
        *signers: AnySigner,
        keyring: Keyring = BOTH,
        store: Store | None = None,
        **options: Any,
    ) -> Sealed:
        history = History(store or self.store, ORIGIN, keyring)
        return seal(history, signers, self.memory, CLOCK.now, **options)

    def lines(self) -> list[Signature]:
        return parse_unverified(self.read(LOG_CHECKPOINT))[1]

    def read(self, key: str) -> bytes:
        blob = self.store.get(key)
        assert blob
        return blob.data

    def write(self, key: str, data: bytes) -> None:
        blob = self.store.get(key)
        assert blob
        self.store.replace(key, data, blob.version)

    def strip(self, *keep: int) -> None:
        """Leave only some lines under the published checkpoint."""
        text, lines = parse_unverified(self.read(LOG_CHECKPOINT))
        kept = b"".join(lines[each].encode() for each in keep)
        self.write(LOG_CHECKPOINT, f"{text}\n".encode() + kept)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def early(bench: Bench) -> Bench:
    """One whose log was begun with an Ed25519 key alone."""
    bench.seal(ED, keyring=ED_ALONE, genesis=True)
    return bench


# --- both sign -----------------------------------------------------------------------------------


def test_both_lines_are_made_in_one_step(bench: Bench) -> None:
    done = bench.seal(ED, PQ, genesis=True)
    assert (done.leaves, done.signatures) == (1, 0)
    assert done.signed.signed_by == (ED.public_key, PQ.public_key)
    assert bench.read(LOG_CHECKPOINT) == done.signed.note
    assert bench.log().reader.state()
    assert bench.log().audit(jobs=1).run()
    receipt = bench.log().receipt("TN1")
    assert len(parse_unverified(receipt.note)[1]) == 2


def test_whoever_knows_one_key_reads_the_log_as_before(bench: Bench) -> None:
    bench.seal(ED, PQ, genesis=True)
    assert bench.log(ED_ALONE).audit(jobs=1).run()


def test_a_log_whose_ml_dsa_key_is_known_is_not_sealed_without_it(bench: Bench) -> None:
    for one, lacks in ((ED, "ML-DSA-44"), (PQ, "Ed25519")):
        with pytest.raises(KeyUnavailable, match=f"has an {lacks} key"):
            bench.seal(one, genesis=True)
    with pytest.raises(TrustError, match="not a key of the log"):
        bench.seal(ED, PQ, keyring=ED_ALONE, genesis=True)
    assert bench.store.get(LOG_STATE) is None


# --- a line that was taken away ------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 1], ids=["Ed25519", "ML-DSA-44"])
def test_a_line_that_was_taken_away_is_missed(bench: Bench, kept: int) -> None:
    bench.seal(ED, PQ, genesis=True)
    bundle = io.BytesIO()
    whole = bench.read(LOG_CHECKPOINT)
    bench.strip(kept)
    with pytest.raises(TrustError) as error:
        bench.log().checkpoint()
    assert (error.value.reason, error.value.object_key) == ("half-signed", LOG_CHECKPOINT)
    report = bench.log().audit(jobs=1).run()
    assert report.outcome == "unchecked"
    assert [finding.slug for finding in report.findings] == ["half-signed"]
    known = ED_ALONE if kept == 0 else BOTH.untrust(ED.public_key.key_id)
    bench.ledger(known).export(bundle)
    bundle.seek(0)
    carried = verify_bundle(bundle, keyring=BOTH, origin=ORIGIN)
    assert [(found.severity, found.slug) for found in carried.findings] == [
        ("unchecked", "half-signed")
    ]
    bench.seal(ED, PQ)
    assert sorted(bench.read(LOG_CHECKPOINT)) == sorted(whole)
    assert bench.log().audit(jobs=1).run()


@pytest.mark.parametrize("forger", [ED, PQ], ids=["Ed25519", "ML-DSA-44"])
def test_whoever_can_forge_one_algorithm_gets_no_other_line(
    bench: Bench, forger: AnySigner
) -> None:
    """The thief writes the whole log anew, with one true signature; the sealer adds none to it."""
    bench.seal(ED, PQ, genesis=True)
    root = hashlib.sha256(b"the thief's").digest()
    thief = bench.log().reader.open(
        sign_checkpoint(Checkpoint(ORIGIN, 2, root), forger), any_algorithm=True
    )
    honest = bench.read(LOG_CHECKPOINT)
    state = bench.log().reader.state()
    assert state
    for key, data in (
        (LOG_CHECKPOINT, thief.note),
        (LOG_STATE, LogState(thief, state[0].staging).encode()),
    ):
        bench.write(key, data)
        with pytest.raises(TrustError) as error:
            bench.log().checkpoint()
        assert error.value.reason == "half-signed"
        if key == LOG_CHECKPOINT:
            bench.seal(ED, PQ)  # what nobody believes is replaced
            assert bench.read(LOG_CHECKPOINT) == honest
            bench.write(key, data)
        else:
            with pytest.raises(TrustError) as error:
                bench.seal(ED, PQ)
            assert (error.value.reason, error.value.object_key) == ("half-signed", LOG_STATE)
            assert bench.read(LOG_STATE) == data


# --- the same tree, signed again -----------------------------------------------------------------


def test_a_new_key_signs_the_tree_that_is_there(early: Bench) -> None:
    old = early.log(ED_ALONE).checkpoint()
    done = early.seal(ED, PQ)
    assert (done.leaves, done.signatures) == (0, 1)
    signed = early.log().checkpoint()
    assert signed.checkpoint == old.checkpoint
    assert signed.signed_by == (ED.public_key, PQ.public_key)
    assert early.log().audit(jobs=1).run()
    assert early.seal(ED, PQ).signatures == 0


def test_a_successor_signs_beside_its_predecessor(early: Bench) -> None:
    both = ED_ALONE.trust(ORIGIN, LATER_ED.public_key, role="log")
    assert early.seal(LATER_ED, keyring=both).signatures == 1
    assert [each.name for each in early.lines()] == [ORIGIN, ORIGIN]
    for keyring in (ED_ALONE, both, both.untrust(ED.public_key.key_id)):
        assert early.log(keyring).audit(jobs=1).run()
    early.ledger(both).append("TN1", {"a": 2})
    done = early.seal(LATER_ED, keyring=both.untrust(ED.public_key.key_id))
    assert (done.leaves, done.signatures) == (1, 0)
    assert len(early.lines()) == 1


def test_the_lines_of_others_stay(early: Bench) -> None:
    checkpoint = early.log(ED_ALONE).checkpoint().checkpoint
    stranger = sign_checkpoint(checkpoint, signer("stranger")).partition(b"\n\n")[2]
    note = add_signatures(early.read(LOG_CHECKPOINT), stranger)
    early.write(LOG_CHECKPOINT, add_signatures(note, cosign(checkpoint, WITNESS_KEY, WITNESS, 9)))
    before = early.lines()
    early.seal(ED, PQ)
    assert early.lines()[:3] == before
    assert len(early.lines()) == 4
    assert len(early.log().checkpoint(witnesses=[WITNESS_KEY]).cosignatures) == 1


def test_what_nobody_could_read_is_replaced(early: Bench) -> None:
    """So many lines that no more fit: those of others go."""
    text, lines = parse_unverified(early.read(LOG_CHECKPOINT))
    junk = [Signature("junk.example", each.to_bytes(4, "big"), b"x") for each in range(99)]
    data = b"".join(each.encode() for each in [*lines, *junk])
    early.write(LOG_CHECKPOINT, f"{text}\n".encode() + data)
    early.seal(ED, PQ)
    assert len(early.lines()) == 2
    assert early.log().checkpoint()


class Failing(Wrapper):
    """A store that can't write the checkpoint any more."""

    def replace(self, key: str, data: bytes, expected: str) -> str:
        if key == LOG_CHECKPOINT:
            raise StoreUnavailable("no")
        return super().replace(key, data, expected)


def test_a_seal_that_was_cut_off_between_the_state_and_the_checkpoint_is_finished(
    early: Bench,
) -> None:
    with pytest.raises(StoreUnavailable):
        early.seal(ED, PQ, store=Failing(early.store))
    assert early.log().reader.state()  # which has both
    with pytest.raises(TrustError, match="lacks the ML-DSA-44"):
        early.log().checkpoint()
    early.seal(ED, PQ)
    assert early.log().checkpoint().signed_by == (ED.public_key, PQ.public_key)
    # Of one algorithm, too, where a reader misses nothing.
    later = BOTH.trust(ORIGIN, LATER_ED.public_key, role="log")
    with pytest.raises(StoreUnavailable):
        early.seal(LATER_ED, PQ, keyring=later, store=Failing(early.store))
    assert len(early.lines()) == 2
    early.seal(LATER_ED, PQ, keyring=later)
    assert len(early.lines()) == 3


def test_an_attempt_from_before_the_key_is_finished(early: Bench) -> None:
    class Broken(Wrapper):
        def replace(self, key: str, data: bytes, expected: str) -> str:
            if key == LOG_STATE:
                raise StoreUnavailable("no")
            return super().replace(key, data, expected)

    early.ledger(ED_ALONE).append("TN1", {"a": 2})
    with pytest.raises(StoreUnavailable):
        early.seal(ED, keyring=ED_ALONE, store=Broken(early.store))
    remembered = MemoryFile(early.memory).read()
    assert remembered
    assert remembered.attempt
    done = early.seal(ED, PQ)
    assert (done.signed.checkpoint.size, done.signatures) == (2, 1)
    assert early.log().audit(jobs=1).run()


def test_a_sealer_without_a_memory_adopts_what_lacks_a_line_if_told_to(early: Bench) -> None:
    early.memory.unlink()
    assert early.seal(ED, PQ, adopt=True).signatures == 1
    assert early.log().audit(jobs=1).run()


def test_a_declared_restore_may_go_back_to_before_the_key(early: Bench) -> None:
    before = {key: early.read(key) for key in (LOG_STATE, LOG_CHECKPOINT)}
    early.seal(ED, PQ)
    early.ledger(BOTH).append("TN1", {"a": 2})
    early.seal(ED, PQ)
    for key, data in before.items():
        early.write(key, data)
    with pytest.raises((IntegrityError, TrustError)):
        early.seal(ED, PQ)
    done = early.seal(ED, PQ, restored="the bucket was restored")
    assert done.signatures == 1
    assert early.log().checkpoint().signed_by == (ED.public_key, PQ.public_key)


def test_what_was_kept_before_the_key_still_compares(early: Bench, tmp_path: Path) -> None:
    kept = early.read(LOG_CHECKPOINT)
    state = tmp_path / "audit.state"
    assert early.log(ED_ALONE).audit(jobs=1, state=state).run()
    early.seal(ED, PQ)
    assert early.log().audit(jobs=1, state=state).run()
    assert early.log().known("TN1", kept)


def test_an_import_brings_the_line_that_a_copy_lacks(early: Bench) -> None:
    copy = Ledger.create(MemoryStore(), origin=ORIGIN, keyring=ED_ALONE, clock=CLOCK)
    bundle = io.BytesIO()
    early.ledger(ED_ALONE).export(bundle)
    bundle.seek(0)
    copy.import_bundle(bundle)
    early.seal(ED, PQ)
    bundle = io.BytesIO()
    early.ledger(BOTH).export(bundle)
    bundle.seek(0)
    mirror = Ledger.open(copy.store, origin=ORIGIN, keyring=BOTH, clock=CLOCK)
    mirror.import_bundle(bundle)
    assert Log(mirror).checkpoint().signed_by == (ED.public_key, PQ.public_key)
    assert Log(mirror).reader.state()
    assert Log(mirror).audit(jobs=1).run()
