"""Reading ahead in a bucket: other requests, and never another answer."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ledger import Ledger, LedgerError
from ledger.errors import StoreUnavailable
from ledger.format.layout import entry_key, head_key
from ledger.stores import MemoryStore
from ledger.stores.base import most_listed
from ledger.testing import FixedClock, memory_ledger
from ledger.titles import ahead
from tests.tampering import objects_of
from tests.wrappers import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger.stores import Blob

TITLE = "TN1"
VERSIONS = 40


class Bucket(CountingStore):
    """A store that is far away: it lists keys as it is told to, and may fail in bulk."""

    concurrency = 32

    def __init__(
        self,
        objects: dict[str, bytes],
        newest: Callable[[], list[str]],
        *,
        together: int = 1,
        broken: bool = False,
    ) -> None:
        """``together``: how many keys were written at one time, as far as the store can tell."""
        inner = MemoryStore()
        inner.create_many(objects.items())
        super().__init__(inner)
        self.newest = newest
        self.together = together
        self.broken = broken

    def list_newest(self, prefix: str, about: int) -> list[list[str]]:
        self.called("list", prefix)
        keys = self.newest()[: most_listed(about)]
        return [keys[at : at + self.together] for at in range(0, len(keys), self.together)]

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
        for number, key in enumerate(keys):
            if self.broken and number == 5:
                raise StoreUnavailable("the connection was reset")
            yield key, self.get(key)


def made() -> tuple[dict[str, bytes], list[str]]:
    """The objects of a ledger with one title, and the keys of its entries, newest first."""
    ledger = memory_ledger(clock=FixedClock())
    entries = [ledger.append(TITLE, {"v": number}) for number in range(VERSIONS)]
    return objects_of(ledger.store), [entry_key(TITLE, each.address) for each in reversed(entries)]


OBJECTS, NEWEST = made()


def opened(store: MemoryStore | Bucket) -> Ledger:
    return Ledger.open(store, keyring=memory_ledger().keyring, clock=FixedClock())


def read(store: Bucket, limit: int | None = None) -> tuple[int, int, int]:
    """Walk; how many entries were shown, how many reads that took, and how many listings."""
    ledger = opened(store)
    shown = 0

    def work() -> None:
        nonlocal shown
        shown = sum(1 for _ in ledger.log(TITLE, limit=limit))

    asked = store.during(work)
    listed = [key for operation, key in asked if operation == "list"]
    return shown, len(asked) - len(listed), len(listed)


def test_a_walk_lists_the_title_once_and_reads_each_entry_once():
    store = Bucket(OBJECTS, lambda: [head_key(TITLE), *NEWEST])
    assert read(store) == (VERSIONS, VERSIONS, 1)


def test_as_many_as_are_asked_for_are_read_at_once():
    """All that is waited for one after another: the head, the listing, and what it names."""
    store = Bucket(OBJECTS, lambda: [head_key(TITLE), *NEWEST])
    many = ahead.MANY
    ledger = opened(store)
    asked = store.during(lambda: list(ledger.log(TITLE, limit=many)))
    assert asked[0] == ("get", head_key(TITLE))
    assert asked[1][0] == "list"
    assert asked[2:] == [("get", key) for key in NEWEST[1:many]]


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_a_short_walk_lists_nothing_and_reads_what_it_shows(limit):
    store = Bucket(OBJECTS, lambda: NEWEST)
    assert read(store, limit) == (limit, limit, 0)


def test_the_rest_of_a_short_title_is_not_listed():
    few = NEWEST[-8:]
    head = OBJECTS[few[0]]
    objects = {key: OBJECTS[key] for key in [*few, "ledger.json"]} | {head_key(TITLE): head}
    assert read(Bucket(objects, lambda: few)) == (8, 8, 0)


@pytest.mark.parametrize("order", ["oldest first", "shuffled", "others", "nothing", "gone"])
def test_a_bad_guess_costs_few_reads_and_brings_the_same(order):
    orders = {
        "oldest first": NEWEST[::-1],
        "shuffled": random.Random(1).sample(NEWEST, VERSIONS),
        "others": [entry_key(TITLE, f"{number:064x}") for number in range(VERSIONS)],
        "nothing": [],
        "gone": ["no key", *(key.replace(TITLE, "TN2") for key in NEWEST)],
    }
    store = Bucket(OBJECTS, lambda: orders[order])
    for limit in (5, 10, 20, VERSIONS):
        shown, reads, lists = read(store, limit)
        assert (shown, lists) == (limit, 1)
        assert reads <= limit * (1 + ahead.FACTOR)


def test_what_was_written_in_one_second_is_read_together_or_not_at_all():
    """The head, the listing, and all of that second; or the parents, one by one."""
    shuffled = random.Random(2).sample(NEWEST, VERSIONS)
    few = Bucket(OBJECTS, lambda: shuffled, together=VERSIONS)
    shown, reads, lists = read(few, ahead.MANY)
    assert (shown, lists) == (ahead.MANY, 1)
    assert ahead.MANY < reads <= VERSIONS  # some of the rest, and none twice
    others = [entry_key(TITLE, f"{number:064x}") for number in range(ahead.MOST * ahead.MANY)]
    many = Bucket(OBJECTS, lambda: [*shuffled, *others], together=VERSIONS + len(others))
    assert read(many, ahead.MANY) == (ahead.MANY, ahead.MANY, 1)


def test_a_flood_of_keys_is_not_listed_to_its_end():
    flood = [entry_key(TITLE, f"{number:064x}") for number in range(10**5)]
    shown, reads, lists = read(Bucket(OBJECTS, lambda: flood))
    assert (shown, lists) == (VERSIONS, 1)
    assert reads <= VERSIONS * (1 + ahead.MOST)


@pytest.mark.parametrize("fails", ["list", "get_many"])
def test_what_fails_ahead_ends_reading_ahead_and_nothing_else(fails):
    def newest() -> list[str]:
        if fails == "list":
            raise StoreUnavailable("the connection was reset")
        return NEWEST

    store = Bucket(OBJECTS, newest, broken=fails == "get_many")
    assert read(store)[0] == VERSIONS


def test_what_is_held_has_a_limit(monkeypatch):
    monkeypatch.setattr(ahead, "MOST_BYTES", 4000)
    store = Bucket(OBJECTS, lambda: NEWEST[::-1])
    shown, reads, _ = read(store)
    assert shown == VERSIONS
    assert reads <= VERSIONS + 10  # an entry has some 700 bytes


@settings(deadline=None, max_examples=12, phases=[Phase.generate])
@given(st.data())
def test_whatever_the_store_holds_and_lists_the_answer_is_that_of_plain_reading(data):
    objects = dict(OBJECTS)
    for key in data.draw(st.lists(st.sampled_from(NEWEST), max_size=3)):
        kind = data.draw(st.sampled_from(["gone", "another's", "damaged"]))
        if kind == "gone":
            objects.pop(key, None)
        else:
            other = OBJECTS[data.draw(st.sampled_from(NEWEST))]
            objects[key] = other if kind == "another's" else other[:-9]
    guess = data.draw(st.permutations(NEWEST))[data.draw(st.integers(0, 9)) :]
    broken = data.draw(st.booleans())
    plain = MemoryStore()
    plain.create_many(objects.items())
    together = data.draw(st.integers(1, VERSIONS))
    far = Bucket(objects, lambda: guess, together=together, broken=broken)
    works: list[Callable[[Ledger], object]] = [
        lambda ledger: list(ledger.log(TITLE)),
        lambda ledger: ledger.entry(TITLE, "v20"),
        lambda ledger: ledger.at(TITLE, recorded="2000-01-01"),
        exported,
    ]
    for work in works:
        assert outcome(work, opened(far)) == outcome(work, opened(plain))


def exported(ledger: Ledger) -> bytes:
    out = io.BytesIO()
    ledger.export(out)
    return out.getvalue()


def outcome(work: Callable[[Ledger], object], ledger: Ledger) -> object:
    try:
        return work(ledger)
    except LedgerError as error:
        return type(error), str(error)
