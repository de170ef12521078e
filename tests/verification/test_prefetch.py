"""Reading ahead: fewer round trips, never a wrong answer, flat memory."""

from __future__ import annotations

import resource
from collections import Counter
from contextlib import contextmanager

import pytest

from ledger import Ledger
from ledger.errors import StoreUnavailable
from ledger.format.layout import entry_key
from ledger.stores import MemoryStore
from ledger.testing import FixedClock, memory_ledger
from ledger.verification import prefetch
from tests.tampering import HEAD, TITLE, World, objects_of, small_world
from tests.wrappers import CountingStore


class FarStore(CountingStore):
    """As on a network: many reads at once are worth it; counts the rounds of them."""

    concurrency = 16

    def __init__(self, inner):
        super().__init__(inner)
        self.rounds = 0

    def get_many(self, keys):
        self.rounds += 1
        return super().get_many(keys)


def world_of(versions: dict[str, int]) -> World:
    clock = FixedClock()
    ledger = memory_ledger(clock=clock)
    entries = []
    for title_number, count in versions.items():
        for version in range(count):
            entry = ledger.append(title_number, {"version": version})
            if title_number == TITLE:
                entries.append(entry)
    return World(objects_of(ledger.store), entries, ledger.keyring, clock=clock)


def reads(calls) -> Counter[str]:
    return Counter(key for operation, key in calls if operation == "get")


@pytest.mark.parametrize("count", [1, 2, prefetch.LONG - 1, prefetch.LONG, 40])
def test_every_object_of_a_title_is_read_once(count):
    world = world_of({TITLE: count})
    store = FarStore(world.store())
    ledger = world.open(store)
    calls = store.during(lambda: ledger.verify(TITLE))
    assert reads(calls) == {HEAD: 1} | {entry_key(TITLE, e.address): 1 for e in world.entries}


def test_a_long_title_takes_as_many_round_trips_as_a_short_one():
    world = world_of({TITLE: 40})
    store = FarStore(world.store())
    assert world.open(store).verify(TITLE).entries == 40
    assert store.rounds <= 3


def test_short_titles_are_read_side_by_side_a_generation_at_a_time():
    titles = {f"TN{number}": 3 for number in range(16)}
    world = world_of(titles)
    store = FarStore(world.store())
    report = world.open(store).verify_all()
    assert (report.titles, report.entries) == (16, 48)
    assert store.rounds <= 4
    assert set(reads(store.calls).values()) == {1}


def test_what_is_known_of_a_title_is_not_read_again():
    world = world_of({TITLE: 40})
    store = FarStore(world.store())
    ledger = world.open(store)
    calls = store.during(lambda: ledger.verify(TITLE, since=world.entries[-3].address))
    assert len(reads(calls)) == 4  # the head, and three entries


def test_more_than_fits_in_memory_is_verified_from_a_file(monkeypatch):
    monkeypatch.setattr(prefetch, "NEAR_BYTES", 5_000)
    world = world_of({TITLE: 60})
    report = world.open(FarStore(world.store())).verify(TITLE)
    assert report
    assert report.entries == 60


def test_bytes_that_lead_round_in_a_circle_are_not_followed_for_ever():
    world = small_world()
    first, second = world.entries[0], world.entries[1]
    circle = first.data.replace(b'"parent":null', b'"parent":"%b"' % second.address.encode())
    world.objects[world.key_of(1)] = circle
    report = world.open(FarStore(world.store())).verify(TITLE)
    assert [(f.slug, f.object_key) for f in report.findings] == [
        ("address-mismatch", world.key_of(1))
    ]


def test_a_listing_that_fails_or_lies_is_no_harm():
    world = world_of({TITLE: 12})

    class Empty(FarStore):
        def list(self, *args, **kwargs):
            return iter(())

    assert world.open(Empty(world.store())).verify(TITLE).entries == 12
    world.objects[entry_key(TITLE, "0" * 64)] = b"nobody asks for this"
    store = MemoryStore()
    store.create_many(world.objects.items())
    assert world.open(FarStore(store)).verify(TITLE).entries == 12


@contextmanager
def no_file_larger_than(size):
    """As on a disk without room: what would make a file larger fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def long_title(versions=14):
    ledger = memory_ledger()
    for number in range(versions):
        ledger.append(TITLE, {"number": number, "plan": "x" * 900_000})
    return Ledger.open(FarStore(ledger.store), keyring=ledger.keyring)


def test_without_room_for_a_temporary_file_a_verification_only_takes_longer():
    ledger = long_title()
    with no_file_larger_than(1 << 20):
        for report in (ledger.verify(TITLE), ledger.verify_all(), ledger.fsck()):
            assert (report.entries, report.findings) == (14, ())


def test_what_there_is_no_room_for_is_an_error_and_all_before_it_stays_near():
    data = {number: bytes([number]) * 900_000 for number in range(14)}
    near = prefetch.Near({})

    def fill():
        for number, each in data.items():
            near.add(str(number), each)

    with no_file_larger_than(1_000_000), pytest.raises(StoreUnavailable, match="too large") as told:
        fill()
    assert "TMPDIR" in told.value.hint
    kept = [number for number in data if str(number) in near]
    assert kept == list(range(10))
    assert all(near.get(str(number)) == data[number] for number in kept)
    assert near.get("10") is None
