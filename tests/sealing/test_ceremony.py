"""Ceremonies: a trust file is proposed, signed by its holders, and published, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Entry, Keyring, Ledger
from ledger.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotFoundError,
    OutcomeUnknown,
    StoreUnavailable,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.keyring import Root
from ledger.format.layout import entry_key, head_key, trust_key
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.sealing.ceremony import Ceremony, check_replacement
from ledger.sealing.seal import seal
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.titles.history import History
from ledger.titles.trust_files import read_trust
from ledger.tlog import Checkpoint, sign_checkpoint
from ledger.trust import Revocation, Trust, TrustFile
from ledger.trust.changes import TrustChanges
from ledger.trust.proposal import Proposal
from tests.laws import THOROUGH
from tests.sealing.sealers import CLOCK, KEYRING, LOG_KEY, Sealer, ledger_in
from tests.tampering import objects_of
from tests.trust.people import ADA, BEN, CLEO, DAN, log_key, people, person, registrar, revoke
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.stores.base import Store
    from tests.wrappers import Operation

ALICE, BOB = signer(), signer("bob")
WIDE = KEYRING.trust(ORIGIN, BOB.public_key)
KEYS = (registrar(ALICE.public_key, "alice"), log_key(LOG_KEY.public_key))
FIRST = TrustChanges(holders=people(ADA, BEN, CLEO), threshold=2, keys=KEYS)
BOTH = TrustChanges(keys=(registrar(BOB.public_key, "bob"),))
DUE = TrustChanges(next="2030-01-01")
RETIRE = TrustChanges(retired=(ALICE.public_key.key_id,))


class Place:
    """A store with a ledger and its log, whose trust files a reader follows."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.ledger = ledger_in(store)
        self.bob = Ledger.open(store, keyring=WIDE, signer=BOB, clock=CLOCK)
        self.keyring = WIDE
        self._sealer = Sealer(folder)
        self._begun = False

    def append(self, title: str = "TN1", by: Ledger | None = None) -> None:
        (by or self.ledger).append(title, {"n": 1})

    def seal(self) -> Checkpoint:

        done = seal(
            History(self.store, ORIGIN, WIDE),
            self._sealer,
            self._sealer.memory,
            CLOCK.now,
            genesis=not self._begun,
        )
        self._begun = True
        return done.signed.checkpoint

    def copy_memory(self, other: Place) -> None:
        """Be the sealer of another place, as who has stolen its key."""
        self._sealer.memory.write_bytes(other._sealer.memory.read_bytes())
        self._begun, self.keyring = True, other.keyring

    def ceremony(self) -> Ceremony:
        return Ceremony(self.store, ORIGIN, self.keyring)

    def propose(self, changes: TrustChanges, *names: str, **options: Any) -> Proposal:
        return sign(self.ceremony().propose(changes, **options), *(names or (ADA, BEN)))

    def publish(self, changes: TrustChanges, *names: str) -> TrustFile:
        file = self.ceremony().publish(self.propose(changes, *names)).file
        if file.version == 1:
            self.keyring = self.keyring.pin(Root(ORIGIN, file.digest, 1))
        return file

    def trust(self) -> Trust:
        trust = read_trust(self.store, ORIGIN, self.keyring)
        assert trust is not None
        return trust


def sign(proposal: Proposal, *names: str) -> Proposal:
    file = proposal.file.signed(each for name in names for each in person(name).sign(proposal.file))
    return replace(proposal, file=file)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A ledger with a title, and a log that has it."""
    place = Place(MemoryStore(), tmp_path)
    place.append()
    place.seal()
    return place


@pytest.fixture
def pinned(place: Place) -> Place:
    """The same with a first trust file, which the reader has pinned."""
    place.publish(FIRST)
    return place


def put(store: Store, key: str, data: bytes) -> None:
    """Write as somebody who can write to the store, whatever was there."""
    reset(store, {**objects_of(store), key: data})


def reset(store: Store, objects: dict[str, bytes]) -> None:
    store.__init__()  # type: ignore[misc]
    store.create_many(objects.items())


# -- The way it goes -------------------------------------------------------------------------------


def test_a_first_file_is_proposed_signed_and_published(place: Place) -> None:
    proposal = place.propose(FIRST)
    assert Proposal.decode(proposal.encode()) == proposal
    done = place.ceremony().publish(proposal)
    assert (done.was_there, done.replaced, done.findings) == (False, b"", ())
    blob = place.store.get("_trust/1.json")
    assert blob is not None
    assert TrustFile.decode(blob.data) == done.file
    place.keyring = Keyring().pin(Root(ORIGIN, done.file.digest, 1))
    assert place.trust().files == (done.file,)


def test_a_file_is_published_once(pinned: Place) -> None:
    pinned.append("TN2")
    pinned.seal()
    proposal = pinned.propose(BOTH)
    first = pinned.ceremony().publish(proposal)
    again = pinned.ceremony().publish(proposal)
    assert (first.was_there, again.was_there) == (False, True)
    assert again.file == first.file == pinned.trust().newest


def test_the_next_file_carries_the_proof_from_the_last_pin(pinned: Place) -> None:
    for number in range(2, 5):
        pinned.append(f"TN{number}")
    new = pinned.seal()
    proposal = pinned.propose(BOTH)
    assert proposal.file.log == new
    assert [proof.size for proof in proposal.proofs] == [1]
    proposal.check()
    with pytest.raises(TrustError, match="nothing in the proposal shows"):
        replace(proposal, proofs=()).check()


def test_without_a_root_the_reader_has_no_trust_files(place: Place) -> None:
    assert read_trust(place.store, ORIGIN, place.keyring) is None
    place.publish(FIRST)
    assert read_trust(place.store, ORIGIN, KEYRING) is None


def test_there_are_no_trust_files_without_a_log(tmp_path: Path) -> None:
    place = Place(MemoryStore(), tmp_path)
    with pytest.raises(NotFoundError, match="there is no log"):
        place.ceremony().propose(FIRST)


def test_only_who_pinned_a_file_can_publish_the_next(pinned: Place) -> None:
    proposal = pinned.propose(BOTH)
    pinned.keyring = WIDE
    with pytest.raises(TrustError, match="pinned none"):
        pinned.ceremony().publish(proposal)


# -- What is refused -------------------------------------------------------------------------------


def unpublished(place: Place, proposal: Proposal, *, version: int = 2) -> LedgerError:
    before = objects_of(place.store)
    with pytest.raises(LedgerError) as caught:
        place.ceremony().publish(proposal)
    assert objects_of(place.store) == before
    return caught.value


def test_too_few_signatures_publish_nothing(pinned: Place) -> None:
    assert isinstance(unpublished(pinned, pinned.propose(BOTH, ADA)), TrustError)


def test_a_revocation_can_not_begin_beyond_the_log(pinned: Place) -> None:
    revoked = (Revocation(ALICE.public_key.key_id, 2),)
    with pytest.raises(InvalidError, match="the log has 1"):
        pinned.ceremony().propose(TrustChanges(revoked=revoked))


def test_a_checkpoint_without_a_line_of_each_algorithm_is_not_pinned(place: Place) -> None:
    post_quantum = MLDSAPrivateKey("ML-DSA-44", bytes(32))
    both = replace(FIRST, keys=(*KEYS, log_key(post_quantum.public_key)))
    proposal = place.propose(both)
    assert "ML-DSA-44" in str(unpublished(place, proposal))
    # The sealer adds the new key's line before the file is proposed.
    note = sign_checkpoint(proposal.file.log, LOG_KEY, post_quantum)
    assert not place.ceremony().publish(replace(proposal, checkpoint=note)).was_there


@pytest.fixture
def thief(pinned: Place, tmp_path: Path) -> Place:
    """A copy of a ledger in which the thief of the log's key goes on; so does the ledger."""
    (tmp_path / "thief").mkdir()
    thief = Place(MemoryStore(), tmp_path / "thief")
    reset(thief.store, objects_of(pinned.store))
    thief.copy_memory(pinned)
    for place, title in ((pinned, "TN2"), (thief, "TN666")):
        place.append(title)
        place.seal()
    return thief


def test_a_fork_handed_to_the_ceremony_is_refused(pinned: Place, thief: Place) -> None:
    proposal = thief.propose(BOTH)
    proposal.check()  # it does continue the last pin
    seen = pinned.ceremony().checkpoint().checkpoint
    with pytest.raises(IntegrityError, match="no continuation"):
        proposal.check_seen(seen)
    assert isinstance(unpublished(pinned, proposal), IntegrityError)


def test_a_file_that_pins_a_fork_is_disowned(pinned: Place, thief: Place) -> None:
    deceived = thief.publish(BOTH)
    put(pinned.store, trust_key(2), deceived.encode())
    assert pinned.trust().newest == deceived
    with pytest.raises(IntegrityError):
        pinned.propose(BOTH)
    ceremony = pinned.ceremony()
    ceremony.disown(2)
    proposal = sign(ceremony.propose(DUE), ADA, BEN)
    done = pinned.ceremony().publish(proposal)
    assert done.replaced == deceived.encode()
    assert pinned.trust().newest == proposal.file
    # Who pinned the file with the fork has to be told of another.
    lost = WIDE.pin(Root(ORIGIN, deceived.digest, 2))
    other = Root(ORIGIN, proposal.file.digest, 2)
    with pytest.raises(TrustError):
        check_replacement(pinned.store, ORIGIN, lost, other)
    assert check_replacement(pinned.store, ORIGIN, lost, other, {2}).newest == proposal.file


def test_only_a_file_that_pins_another_log_is_disowned(pinned: Place) -> None:
    pinned.append("TN2")
    pinned.seal()
    pinned.publish(BOTH)
    with pytest.raises(ConflictError):
        pinned.ceremony().disown(2)
    for version in (1, 3):
        with pytest.raises(NotFoundError):
            pinned.ceremony().disown(version)


def test_a_log_that_lags_does_not_disown_what_it_has_not_reached(pinned: Place) -> None:
    before = objects_of(pinned.store)
    pinned.append("TN2")
    pinned.seal()
    pinned.publish(BOTH)
    reset(pinned.store, before | {trust_key(2): objects_of(pinned.store)[trust_key(2)]})
    with pytest.raises(ConflictError):
        pinned.ceremony().disown(2)


def test_another_root_is_one_whose_log_has_all_pins(pinned: Place, thief: Place) -> None:
    changes = TrustChanges(holders=people(DAN), dropped_holders=(ADA, BEN, CLEO), threshold=1)
    file = pinned.ceremony().publish(pinned.propose(changes, DAN, continues=True)).file
    root = Root(ORIGIN, file.digest, 2)
    assert check_replacement(pinned.store, ORIGIN, pinned.keyring, root).newest == file
    deceived = thief.propose(changes, DAN, continues=True)
    put(pinned.store, trust_key(2), deceived.file.encode())
    other = Root(ORIGIN, deceived.file.digest, 2)
    with pytest.raises(IntegrityError):
        check_replacement(pinned.store, ORIGIN, pinned.keyring, other)


def test_a_holder_s_checkpoint_must_reach_as_far_as_the_pin(pinned: Place) -> None:
    old = pinned.ceremony().checkpoint().checkpoint
    pinned.append("TN2")
    new = pinned.seal()
    proposal = pinned.propose(BOTH)
    proposal.check_seen(new)
    with pytest.raises(TrustError, match="you have seen 1 leaves"):
        proposal.check_seen(old)
    pinned.append("TN3")
    later = pinned.seal()
    with pytest.raises(TrustError, match="nothing in the proposal shows"):
        proposal.check_seen(later)
    proposal.check_seen(later, pinned.ceremony().prove(proposal.file.log, later.size))
    with pytest.raises(IntegrityError):
        proposal.check_seen(replace(later, root=bytes(32)), pinned.ceremony().prove(new, 3))


def test_a_log_that_lags_proves_nothing_of_what_a_holder_saw(pinned: Place) -> None:
    with pytest.raises(NotFoundError, match="not 99 leaves yet"):
        pinned.ceremony().prove(pinned.trust().newest.log, 99)


def test_a_pin_must_be_the_checkpoint_in_the_proposal(pinned: Place) -> None:
    proposal = pinned.propose(BOTH)
    other = sign_checkpoint(Checkpoint(ORIGIN, 7, bytes(range(32))), LOG_KEY)
    with pytest.raises(TrustError, match="would pin"):
        replace(proposal, checkpoint=other).check()


# -- A key that is dropped -------------------------------------------------------------------------


def test_a_planned_retirement_takes_two_files(pinned: Place) -> None:
    with pytest.raises(NotFoundError, match="does not list the key"):
        pinned.propose(TrustChanges(retired=(BOB.public_key.key_id,)))
    pinned.publish(BOTH)
    pinned.append("TN2", by=pinned.bob)
    size = pinned.seal().size
    pinned.publish(RETIRE)
    assert pinned.trust().end_of(ALICE.public_key.key_id) == size
    assert not pinned.trust().is_current(ALICE.public_key.key_id)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_key_with_an_entry_after_the_pin_is_not_dropped(pinned: Place, sealed: bool) -> None:
    pinned.publish(BOTH)
    proposal = pinned.propose(RETIRE)
    pinned.append("TN2")
    if sealed:
        pinned.seal()
    error = unpublished(pinned, proposal)
    assert isinstance(error, ConflictError)
    assert "version 1 of TN2" in str(error)


def test_a_key_can_be_revoked_whatever_it_signed(pinned: Place) -> None:
    pinned.publish(BOTH)
    proposal = pinned.propose(TrustChanges(revoked=(revoke(ALICE.public_key, 1),)))
    pinned.append("TN2")
    pinned.seal()
    assert pinned.ceremony().publish(proposal).findings == ()
    assert pinned.trust().end_of(ALICE.public_key.key_id) == 1


def test_the_entry_of_another_key_is_in_nobody_s_way(pinned: Place) -> None:
    pinned.publish(BOTH)
    proposal = pinned.propose(RETIRE)
    pinned.append("TN2", by=pinned.bob)
    assert not pinned.ceremony().publish(proposal).findings


def test_a_lower_position_tells_which_names_take_effect(pinned: Place) -> None:
    pinned.append("TN2")
    pinned.seal()
    head = pinned.ledger.head("TN2")
    naming = Entry.sign(
        ALICE,
        ledger=ORIGIN,
        title_number="TN2",
        document={"n": 2},
        recorded_at=head.recorded_at,
        salt=bytes(32),
        parent=head,
        confirms=(1,),
    )
    put(pinned.store, entry_key("TN2", naming.address), naming.data)
    put(pinned.store, head_key("TN2"), naming.data)
    ceremony = pinned.ceremony()
    proposal = ceremony.propose(TrustChanges(revoked=(revoke(ALICE.public_key, 1),)))
    stopped = list(ceremony.stopped(proposal.file))
    assert [each[:2] + each[4:] for each in stopped] == [("TN2", 2, None, None), ("TN2", 1, 1, 2)]
    assert {each[3] for each in stopped} == {ALICE.public_key.key_id}
    assert list(ceremony.stopped(ceremony.propose(DUE).file)) == []


# -- What is in its place --------------------------------------------------------------------------


def test_what_no_reader_accepts_is_replaced_and_kept_as_evidence(pinned: Place) -> None:
    proposal = pinned.propose(BOTH)
    for junk in (
        b"junk",
        sign(proposal, DAN).file.encode(),
        objects_of(pinned.store)[trust_key(1)],
    ):
        put(pinned.store, trust_key(2), junk)
        assert pinned.trust().findings[0].slug == "trust-not-accepted"
        done = pinned.ceremony().publish(proposal)
        assert (done.was_there, done.replaced) == (False, junk)
        assert pinned.trust().newest == proposal.file
        assert pinned.trust().findings == ()


def test_another_file_that_is_accepted_is_not_replaced(pinned: Place) -> None:
    mine, other = pinned.propose(BOTH), pinned.propose(DUE)
    pinned.ceremony().publish(other)
    assert isinstance(unpublished(pinned, mine), ConflictError)


def test_a_first_file_is_not_replaced_by_another(place: Place) -> None:
    mine, other = place.propose(FIRST), place.propose(replace(FIRST, next="2030-01-01"))
    place.ceremony().publish(other)
    assert isinstance(unpublished(place, mine), ConflictError)


def test_a_file_of_a_later_format_is_not_replaced(pinned: Place) -> None:
    proposal = pinned.propose(BOTH)
    later = proposal.file.encode().replace(b'"format":1', b'"format":2')
    put(pinned.store, trust_key(2), later)
    assert isinstance(unpublished(pinned, proposal), UnsupportedFormatError)


def test_the_same_file_with_other_signatures_is_as_good(pinned: Place) -> None:
    pinned.ceremony().publish(pinned.propose(BOTH))
    pinned.keyring = WIDE.pin(Root(ORIGIN, pinned.trust().files[0].digest, 1))
    assert (
        pinned.ceremony()
        .publish(
            replace(
                pinned.propose(BOTH), file=pinned.trust().newest, before=pinned.trust().files[:1]
            )
        )
        .was_there
    )


# -- While it is published -------------------------------------------------------------------------


class Interrupted(Wrapper):
    """Does something at the write of a trust file: before it, and in the place of its answer."""

    def __init__(
        self, inner: Store, before: Callable[[], None], answer: LedgerError | None = None
    ) -> None:
        super().__init__(inner)
        self.before: Callable[[], None] | None = before
        self.answer = answer

    def create(self, key: str, data: bytes) -> str:
        if key.startswith("_trust/") and self.before:
            before, self.before = self.before, None
            before()
            version = super().create(key, data)
            if self.answer:
                raise self.answer
            return version
        return super().create(key, data)


def test_what_slips_in_while_a_file_is_published_is_named(pinned: Place) -> None:
    pinned.publish(BOTH)
    proposal = pinned.propose(RETIRE)
    store = Interrupted(pinned.store, lambda: pinned.append("TN2"))
    done = Ceremony(store, ORIGIN, pinned.keyring).publish(proposal)
    (finding,) = done.findings
    assert (finding.severity, finding.slug) == ("tampering", "key-ended")
    assert "version 1, by key" in finding.message
    again = pinned.ceremony().publish(proposal)
    assert again.findings == done.findings


def fail() -> None:
    raise StoreUnavailable("the disk is gone")


def test_a_publication_that_stops_before_the_write_is_repeated(pinned: Place) -> None:
    proposal = pinned.propose(BOTH)
    with pytest.raises(StoreUnavailable):
        Ceremony(Interrupted(pinned.store, fail), ORIGIN, pinned.keyring).publish(proposal)
    assert len(pinned.trust().files) == 1
    assert not pinned.ceremony().publish(proposal).was_there


def test_a_write_whose_answer_is_lost_is_found_by_reading(pinned: Place) -> None:
    proposal = pinned.propose(BOTH)
    store = Interrupted(pinned.store, lambda: None, OutcomeUnknown("timeout"))
    assert Ceremony(store, ORIGIN, pinned.keyring).publish(proposal).file == pinned.trust().newest


class Failing(Wrapper):
    """Stops before or after the n-th call, as a process that is killed does."""

    def __init__(self, inner: Store, moments: int) -> None:
        super().__init__(inner)
        self.left = moments

    def called(self, operation: Operation, key: str) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1

    returned = called


@pytest.mark.parametrize("junk", [b"", b"junk"])
def test_a_publication_that_is_killed_anywhere_is_repeated(pinned: Place, junk: bytes) -> None:
    pinned.publish(BOTH)
    proposal = pinned.propose(RETIRE)
    start = objects_of(pinned.store) | ({trust_key(3): junk} if junk else {})
    # By default the one is killed at a third of the moments, the other at another third.
    for moments in range(200) if THOROUGH else range(len(junk) % 3, 200, 3):
        reset(pinned.store, start)
        try:
            Ceremony(Failing(pinned.store, moments), ORIGIN, pinned.keyring).publish(proposal)
        except KeyboardInterrupt:
            assert pinned.ceremony().publish(proposal).file == proposal.file
            assert pinned.trust().newest == proposal.file
        else:
            break
    assert 10 < moments < 199


# -- Holders who are lost --------------------------------------------------------------------------


def test_a_file_that_continues_without_the_holders_before_is_for_those_who_pin_it(
    pinned: Place,
) -> None:
    changes = TrustChanges(holders=people(DAN), dropped_holders=(ADA, BEN, CLEO), threshold=1)
    assert isinstance(unpublished(pinned, pinned.propose(changes, DAN)), TrustError)
    proposal = pinned.propose(changes, DAN, continues=True)
    assert not pinned.ceremony().publish(proposal).was_there
    assert pinned.ceremony().publish(proposal).was_there
    assert pinned.trust().findings[0].slug == "trust-not-accepted"
    pinned.keyring = pinned.keyring.pin(Root(ORIGIN, proposal.file.digest, 2))
    trust = pinned.trust()
    assert (len(trust.files), trust.findings) == (2, ())


def test_copies_that_holders_signed_apart_are_put_together(pinned: Place) -> None:
    plain = pinned.ceremony().propose(BOTH)
    joined = sign(plain, ADA).signed([sign(plain, BEN), sign(plain, CLEO)])
    assert not pinned.ceremony().publish(joined).was_there
    with pytest.raises(TrustError, match="different files"):
        plain.signed([pinned.ceremony().propose(DUE)])
