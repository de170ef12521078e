"""Recover: mends a head that is missing or unreadable, and nothing else."""

from __future__ import annotations

import pytest

from ledger import Ledger
from ledger.errors import (
    ConflictError,
    HeadMissing,
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotFoundError,
    StoreUnavailable,
    TrustError,
)
from ledger.format.layout import entry_key, pending_key
from ledger.stores import MemoryStore
from ledger.testing import signer
from tests.tampering import (
    HEAD,
    TITLE,
    World,
    address,
    members,
    objects_of,
    signed,
    small_world,
    without,
)
from tests.wrappers import FailingStore, Wrapper


@pytest.fixture
def world() -> World:
    return small_world()


def opened(world: World, store=None) -> Ledger:
    return Ledger.open(
        world.store() if store is None else store,
        keyring=world.keyring,
        signer=world.key,
        clock=world.clock,
    )


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "changed", "of another title"])
def test_a_head_that_is_missing_or_unreadable_is_mended(world, damage):
    whole = world.objects.pop(HEAD)
    if damage != "missing":
        world.objects[HEAD] = {
            "empty": b"",
            "cut": whole[:-1],
            "changed": whole.replace(b"Cy", b"Me"),
            "of another title": world.objects["TN2/head.json"],
        }[damage]
    ledger = opened(world)
    assert not ledger.verify(TITLE)
    assert ledger.recover(TITLE) == world.entries[2]
    assert objects_of(ledger.store)[HEAD] == whole
    assert ledger.verify(TITLE, expect=world.entries[2].address)
    assert ledger.fsck().findings == ()
    assert ledger.append(TITLE, {}).version == 4


def test_a_head_that_can_be_read_is_never_moved(world):
    ledger = opened(world)
    before = objects_of(ledger.store)
    for to in (None, world.entries[1].address, world.entries[2].address):
        with pytest.raises(ConflictError, match="the head of TN1 is readable: version 3"):
            ledger.recover(TITLE, to=to)
    world.objects[HEAD] = world.entries[
        1
    ].data  # set back: readable, so for verify --expect to find
    with pytest.raises(ConflictError, match="is readable: version 2"):
        opened(world).recover(TITLE)
    assert objects_of(ledger.store) == before


def test_a_head_signed_by_a_key_that_the_keyring_lacks_is_not_overwritten(world):
    """It may be another registrar's, and the keyring out of date."""
    bob = signer("bob")
    world.point_head_at(signed(bob, members(world.entries[2], key=bob.public_key.key_id)))
    with pytest.raises(TrustError):
        opened(world).recover(TITLE)


def test_where_several_entries_have_no_successor_one_has_to_be_chosen(world):
    del world.objects[HEAD]
    sibling = signed(world.key, members(world.entries[2], message="lost a race"))
    key = world.put(sibling)
    ledger = opened(world)
    with pytest.raises(ConflictError) as caught:
        ledger.recover(TITLE)
    for name in (world.entries[2].address, key[4:68]):
        assert f"{name} (version 3)" in str(caught.value)
    assert "--to ADDRESS" in caught.value.hint
    assert ledger.recover(TITLE, to=key[4:68]).data == sibling
    assert ledger.verify(TITLE)


def test_only_an_entry_that_nothing_follows_can_be_chosen(world):
    del world.objects[HEAD]
    ledger = opened(world)
    for to in (world.entries[1].address, "0" * 64, "HEAD"):
        with pytest.raises(LedgerError, match=r"is not a tip of TN1|not an address"):
            ledger.recover(TITLE, to=to)
    assert ledger.store.get(HEAD) is None


def test_a_newest_entry_that_is_damaged_makes_the_rest_uncertain(world):
    """Without a word, the title would go back a version."""
    del world.objects[HEAD]
    world.objects[world.key_of(3)] = b"damaged"
    ledger = opened(world)
    with pytest.raises(ConflictError, match=f"{world.key_of(3)} is damaged") as caught:
        ledger.recover(TITLE)
    assert world.entries[1].address in str(caught.value)
    assert ledger.recover(TITLE, to=world.entries[1].address) == world.entries[1]


def test_a_marker_of_a_later_version_makes_the_rest_uncertain(world):
    del world.objects[HEAD], world.objects[world.key_of(3)]
    newest = world.entries[2].address
    assert pending_key(TITLE, 3, newest) in world.objects
    ledger = opened(world)
    with pytest.raises(ConflictError, match=rf"{newest} \(version 3\) was about to be the head"):
        ledger.recover(TITLE)
    assert ledger.recover(TITLE, to=world.entries[1].address) == world.entries[1]


def test_a_pin_has_to_be_in_the_chain(world):
    del world.objects[HEAD], world.objects[world.key_of(3)]
    ledger = opened(world)
    one, two, three = (entry.address for entry in world.entries)
    with pytest.raises(IntegrityError, match="lacks the pinned") as caught:
        ledger.recover(TITLE, to=two, expect=three)
    assert caught.value.reason == "pin-missing"
    assert ledger.store.get(HEAD) is None
    assert ledger.recover(TITLE, to=two, expect=one).address == two


def test_a_broken_chain_is_no_ground_for_a_head(world):
    del world.objects[HEAD], world.objects[world.key_of(1)]
    ledger = opened(world)
    with pytest.raises(IntegrityError, match="the chain leads through it"):
        ledger.recover(TITLE, to=world.entries[2].address)
    assert ledger.store.get(HEAD) is None


def test_there_may_be_nothing_to_recover_from(world):
    for title in ("TN404", TITLE):
        world.objects = {k: v for k, v in world.objects.items() if not k.startswith(f"{TITLE}/")}
        with pytest.raises(NotFoundError, match="no entry of it holds together"):
            opened(world).recover(title)
    with pytest.raises(InvalidError):
        opened(world).recover("../TN1")


def test_a_first_append_that_crashed_can_be_completed(world):
    del world.objects["TN2/head.json"]
    assert opened(world).recover("TN2").version == 1


def test_an_append_that_was_refused_may_have_left_the_entry_that_is_chosen(world):
    """Nothing tells it from an acknowledged one; taken away, the one below it can be chosen."""
    failing = FailingStore(world.store(), 0, error=StoreUnavailable, operations=("replace",))
    with pytest.raises(StoreUnavailable):
        opened(world, failing).append(TITLE, {"refused": True})
    headless = without(failing.inner, HEAD)
    refused = opened(world, headless).recover(TITLE)
    assert refused.document == {"refused": True}

    left = without(without(failing.inner, HEAD), entry_key(TITLE, refused.address))
    with pytest.raises(ConflictError, match=rf"{refused.address}.* is missing"):
        opened(world, left).recover(TITLE)
    last = world.entries[2]
    assert opened(world, left).recover(TITLE, to=last.address) == last


def test_of_two_who_mend_at_once_one_is_told(world):
    del world.objects[HEAD]
    sibling = signed(world.key, members(world.entries[2], message="lost a race"))
    world.put(sibling)
    inner = world.store()

    class Raced(Wrapper):
        def called(self, operation, key):
            if operation == "create" and key == HEAD and inner.get(HEAD) is None:
                inner.create(HEAD, sibling)

    with pytest.raises(HeadMoved, match="was mended by another writer"):
        opened(world, Raced(inner)).recover(TITLE, to=world.entries[2].address)
    assert inner.get(HEAD).data == sibling


def test_a_marker_is_written_before_the_head_is_mended(world):
    world.objects = {k: v for k, v in world.objects.items() if not k.startswith("_pending/")}
    del world.objects[HEAD]
    inner, seen = MemoryStore(), []
    inner.create_many(world.objects.items())

    class Watching(Wrapper):
        def called(self, operation, key):
            if operation == "create" and key == HEAD:
                seen.append(inner.get(pending_key(TITLE, 3, world.entries[2].address)))

    opened(world, Watching(inner)).recover(TITLE)
    assert seen[0].data == b""


def test_until_it_is_recovered_a_title_without_a_head_is_not_appended_to(world):
    del world.objects[HEAD]
    ledger = opened(world)
    with pytest.raises(HeadMissing):
        ledger.append(TITLE, {})
    ledger.recover(TITLE)
    entry = ledger.append(TITLE, {})
    assert entry.parent == world.entries[2].address
    assert ledger.store.get(entry_key(TITLE, entry.address)).data == entry.data


def test_a_marker_of_the_same_version_makes_the_tip_uncertain(world):
    """The newest entry is lost, and one that lost the race for its version is there."""
    newest = world.entries[2]
    sibling = signed(world.key, members(newest, message="the loser"))
    del world.objects[entry_key(TITLE, newest.address)], world.objects[HEAD]
    world.objects[pending_key(TITLE, 3, newest.address)] = b""
    world.objects[entry_key(TITLE, address(sibling))] = sibling
    ledger = opened(world)
    with pytest.raises(ConflictError, match=f"{newest.address}.* is missing"):
        ledger.recover(TITLE)
    assert ledger.recover(TITLE, to=address(sibling)).message == "the loser"


@pytest.mark.parametrize("option", ["to", "expect"])
def test_an_empty_choice_is_no_choice(world, option):
    del world.objects[HEAD]
    with pytest.raises(InvalidError, match="not an address"):
        opened(world).recover(TITLE, **{option: ""})


def test_a_head_signed_by_an_unknown_key_is_only_replaced_by_choice(world):
    bob = signer("bob")
    world.objects[HEAD] = signed(bob, members(world.entries[2], key=bob.public_key.key_id))
    newest = world.entries[2]
    assert opened(world).recover(TITLE, to=newest.address) == newest
