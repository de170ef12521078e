"""Copies: what comes, what is refused, and what a source can't hide."""

from __future__ import annotations

import secrets
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, Log, Pulled
from ledger.errors import Forked, IntegrityError, OriginNotPinned, StoreUnavailable, TrustError
from ledger.format import layout
from ledger.format.entry import short_form
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, keyring_for, memory_ledger, signer
from tests.sealing.sealers import CLOCK, KEYRING, REGISTRAR, Sealer, ledger_in, logged
from tests.wrappers import Wrapper, holding

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Report
    from ledger.stores import Blob, Store

Objects = dict[str, bytes]


def objects(store: Store) -> Objects:
    return {key: blob.data for key, blob in store.get_many(list(store.list())) if blob}


def open_in(store: Store, signs: bool = True) -> Ledger:
    return Ledger.open(store, keyring=KEYRING, signer=REGISTRAR if signs else None, clock=CLOCK)


def pull(source: Store, copy: Store) -> Pulled:
    heard: list[Report] = []
    here = Ledger.for_import(copy, origin=ORIGIN, keyring=KEYRING)
    done = here.pull(open_in(source, signs=False), each=heard.append)
    assert sum(each.titles for each in heard) >= done.moved + done.unchanged
    return done


def assert_clean(copy: Store, source: Store) -> None:
    """The copy has what the source has, but for what only the source needs."""
    report = Log(open_in(copy)).audit().run()
    assert report, report.findings
    assert not open_in(copy).fsck().findings
    there, here = objects(source), objects(copy)
    own = (layout.PENDING, layout.LOG_STATE, layout.STAGING, "_log/tile/")
    assert {k: v for k, v in there.items() if not k.startswith(own)} == {
        k: v for k, v in here.items() if not k.startswith(own)
    }
    assert logged(copy) == logged(source)


class Registry:
    """A ledger with a log, and a copy that has what was there at first."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.ledger = ledger_in(self.store)
        self.sealer = Sealer(folder, "registry")
        self.copy = MemoryStore()
        self.numbers = count()
        self.grow({"TN1": 1, "TN2": 3, "TN3": 1}, genesis=True)
        pull(self.store, self.copy)

    def grow(self, titles: dict[str, int], *, seal: bool = True, genesis: bool = False) -> None:
        for title, versions in titles.items():
            for _ in range(versions):
                number = next(self.numbers)
                self.ledger.append(title, {"n": number}, reference=f"case {number}")
        if seal:
            self.sealer.seal(self.store, genesis=genesis)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


class Source(Wrapper):
    """What a source shows in place of what is there; it can't be listed."""

    is_listable = False

    def __init__(self, inner: Store, shown: dict[str, bytes | None]) -> None:
        super().__init__(inner)
        self.shown = shown
        self.asked: list[str] = []

    def get(self, key: str) -> Blob | None:
        self.asked.append(key)
        blob = self.inner.get(key)
        if key not in self.shown:
            return blob
        data = self.shown[key]
        return None if data is None else self.of(data)

    @staticmethod
    def of(data: bytes) -> Blob:
        store = MemoryStore()
        store.create("x", data)
        blob = store.get("x")
        assert blob
        return blob

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = ""):
        raise StoreUnavailable("it can't be listed")


# -- What comes --------------------------------------------------------------------------------


def test_a_copy_has_all_that_the_log_has_and_follows(registry: Registry) -> None:
    assert_clean(registry.copy, registry.store)
    registry.grow({"TN1": 2, "TN2": 1, "TN9": 2})
    source = Source(registry.store, {})
    assert pull(source, registry.copy) == Pulled(moved=3, unchanged=0, leaves=5, unlogged=0)
    assert not any(key.startswith("TN3/") for key in source.asked)  # nothing of it is new
    assert_clean(registry.copy, registry.store)
    assert pull(source, registry.copy) == Pulled(moved=0, unchanged=0, leaves=0, unlogged=0)


def test_a_copy_of_a_copy_is_the_same(registry: Registry) -> None:
    other = MemoryStore()
    pull(registry.copy, other)
    assert objects(other) == objects(registry.copy)


def test_a_copy_goes_as_far_as_the_log(registry: Registry) -> None:
    registry.grow({"TN1": 1}, seal=True)
    registry.grow({"TN1": 2, "TN3": 1, "TN8": 1}, seal=False)
    done = pull(Source(registry.store, {}), registry.copy)
    assert (done.moved, done.unlogged) == (1, 1)
    assert open_in(registry.copy).head("TN1").version == 2
    assert Log(open_in(registry.copy)).audit().run()
    registry.sealer.seal(registry.store)
    pull(registry.store, registry.copy)
    assert_clean(registry.copy, registry.store)


def test_an_erasure_is_carried_out_in_the_copy(registry: Registry) -> None:
    text = b'{"n":%d}' % open_in(registry.store).entry("TN2", "v1").document["n"]
    assert holding(registry.copy, text)
    registry.ledger.erase("TN2", [1], reference="order", message="", change=lambda _: {"n": -1})
    registry.sealer.seal(registry.store)  # it counts, and is not carried out in the source yet
    assert pull(registry.store, registry.copy).not_erased == ()
    assert not holding(registry.copy, text)
    registry.ledger.finish_erasure("TN2")
    new = MemoryStore()
    pull(registry.store, new)
    assert not holding(new, text)
    assert_clean(registry.copy, registry.store)
    assert_clean(new, registry.store)


def test_a_text_that_is_withheld_before_the_order_is_logged_brings_the_order(
    registry: Registry,
) -> None:
    """As a service withholds it: only the entry above, which the log lacks yet, explains it."""
    first = open_in(registry.store).entry("TN2", "v1")
    registry.ledger.erase("TN2", [1], reference="order", message="", change=lambda _: {"n": -1})
    shown = {layout.entry_key("TN2", first.address): short_form(first.data)}
    new = MemoryStore()
    assert pull(Source(registry.store, shown), new).unlogged == 1
    assert open_in(new).head("TN2").version == 4
    assert not Log(open_in(new)).audit().run().findings
    assert pull(Source(registry.store, shown), registry.copy).moved == 0
    registry.sealer.seal(registry.store)
    registry.ledger.finish_erasure("TN2")
    pull(registry.store, new)
    assert_clean(new, registry.store)
    assert not list(new.list(layout.PENDING))


def test_a_ledger_without_a_log_is_copied_by_its_listing() -> None:
    source, copy = memory_ledger(), MemoryStore()
    for number in range(3):
        source.append("TN1", {"n": number})
    source.append("TN2", {"n": 9})
    keyring = keyring_for(signer())

    def pull_all(store: Store) -> Pulled:
        there = Ledger.open(store, keyring=keyring)
        return Ledger.for_import(copy, origin=ORIGIN, keyring=keyring).pull(there)

    assert pull_all(source.store) == Pulled(2, 0, leaves=0, unlogged=0, without_log=True)
    assert objects(copy) == {
        key: data
        for key, data in objects(source.store).items()
        if not key.startswith(layout.PENDING)
    } | dict.fromkeys(copy.list(layout.PENDING), b"")
    source.append("TN2", {"n": 10})
    assert pull_all(source.store) == Pulled(1, 1, leaves=0, unlogged=0, without_log=True)
    with pytest.raises(OriginNotPinned, match="can't be listed"):
        pull_all(Source(source.store, {}))


# -- What is refused ---------------------------------------------------------------------------


def test_trust_files_without_end_end_the_pull(registry: Registry) -> None:
    class Endless(Source):
        def get(self, key: str) -> Blob | None:
            return self.of(b"{}") if layout.parse_trust_key(key) else super().get(key)

    before = objects(registry.copy)
    with pytest.raises(IntegrityError, match="so many trust files"):
        pull(Endless(registry.store, {}), registry.copy)
    assert objects(registry.copy) == before


def test_a_log_that_was_set_back_changes_nothing(registry: Registry) -> None:
    old = objects(registry.store)
    registry.grow({"TN1": 1})
    pull(registry.store, registry.copy)
    before = objects(registry.copy)
    shown: dict[str, bytes | None] = {**old}
    with pytest.raises(IntegrityError) as caught:
        pull(Source(registry.store, shown), registry.copy)
    assert caught.value.reason == "log-set-back"
    with pytest.raises(IntegrityError) as gone:
        pull(Source(registry.store, {layout.LOG_CHECKPOINT: None}), registry.copy)
    assert gone.value.reason == "log-set-back"
    assert objects(registry.copy) == before


def test_a_forked_log_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    fork = MemoryStore()
    other = ledger_in(fork)
    for number in range(9):
        other.append("TN1", {"n": -number})
    Sealer(tmp_path, "fork").seal(fork, genesis=True)
    before = objects(registry.copy)
    with pytest.raises(IntegrityError) as caught:
        pull(fork, registry.copy)
    assert caught.value.reason == "not-consistent"
    assert objects(registry.copy) == before


def test_leaves_that_do_not_lead_to_the_checkpoint_change_nothing(registry: Registry) -> None:
    registry.grow({"TN7": 1})
    before = objects(registry.copy)
    (tile,) = (key for key in registry.store.list("_log/tile/entries/") if key.endswith(".p/6"))
    data = objects(registry.store)[tile]
    for shown in (None, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]):
        with pytest.raises(IntegrityError):
            pull(Source(registry.store, {tile: shown}), registry.copy)
        assert objects(registry.copy) == before


def address(registry: Registry, title: str, revision: str = "HEAD") -> str:
    return open_in(registry.store).entry(title, revision).address


def hidden(registry: Registry) -> dict[str, bytes | None]:
    return {layout.head_key("TN2"): None}


def set_back(registry: Registry) -> dict[str, bytes | None]:
    entry = open_in(registry.store).entry("TN2", "v3")
    return {layout.head_key("TN2"): entry.data}


def without_an_entry(registry: Registry) -> dict[str, bytes | None]:
    return {layout.entry_key("TN2", address(registry, "TN2", "v4")): None}


def replaced(registry: Registry) -> dict[str, bytes | None]:
    """Another history of the title, which the registrar signed, and the log does not have."""
    third = open_in(registry.store).entry("TN2", "v3")
    aside = MemoryStore()
    for key, data in objects(registry.copy).items():
        aside.create(key, data)
    ledger = Ledger.open(
        aside,
        keyring=keyring_for(REGISTRAR),
        signer=REGISTRAR,
        clock=CLOCK,
        random_bytes=secrets.token_bytes,
    )
    forged = [ledger.append("TN2", {"n": -n}) for n in range(3)]
    assert forged[0].parent == third.address
    shown: dict[str, bytes | None] = {
        layout.entry_key("TN2", each.address): each.data for each in forged
    }
    return shown | {layout.head_key("TN2"): forged[-1].data}


def without_a_text(registry: Registry) -> dict[str, bytes | None]:
    entry = open_in(registry.store).entry("TN2", "v4")
    return {layout.entry_key("TN2", entry.address): short_form(entry.data)}


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (hidden, "head-missing"),
        (set_back, "not-as-logged"),
        (without_an_entry, "entry-missing"),
        (replaced, "not-as-logged"),
        (without_a_text, "text-missing"),
    ],
)
def test_a_lie_about_a_title_is_named_and_the_title_and_the_log_stay(
    registry: Registry, lie, reason: str
) -> None:
    registry.grow({"TN1": 1, "TN2": 2, "TN5": 1})
    shown = lie(registry)
    before = objects(registry.copy)
    with pytest.raises(IntegrityError, match="TN2") as caught:
        pull(Source(registry.store, shown), registry.copy)
    assert caught.value.reason == reason
    after = objects(registry.copy)
    untouched = ("TN2/", layout.LOG)
    assert {k: v for k, v in after.items() if k.startswith(untouched)} == {
        k: v for k, v in before.items() if k.startswith(untouched)
    }
    assert open_in(registry.copy).head("TN5").version == 1
    pull(registry.store, registry.copy)
    assert_clean(registry.copy, registry.store)


def test_a_copy_that_was_written_to_is_not_overwritten(registry: Registry) -> None:
    open_in(registry.copy).append("TN1", {"n": -1})
    before = objects(registry.copy)
    registry.grow({"TN1": 1})
    with pytest.raises(IntegrityError, match="TN1: the log of the source") as caught:
        pull(registry.store, registry.copy)
    assert caught.value.reason == Forked.slug
    assert objects(registry.copy) == before


def test_what_a_seal_changes_meanwhile_is_taken_in_a_further_round(registry: Registry) -> None:
    """A text goes between the reading of the head and that of the entry."""
    registry.grow({"TN2": 2})
    erased = layout.entry_key("TN2", address(registry, "TN2", "v4"))

    class Busy(Source):
        def get(self, key: str) -> Blob | None:
            if key == erased and key not in self.asked:
                registry.ledger.erase(
                    "TN2", [4], reference="o", message="", change=lambda _: {"n": -1}
                )
                registry.sealer.seal(registry.store)
                registry.ledger.finish_erasure("TN2")
            return super().get(key)

    pull(Busy(registry.store, {}), registry.copy)
    assert open_in(registry.copy).head("TN2").version == 6
    assert_clean(registry.copy, registry.store)


def test_another_ledger_and_an_unknown_log_are_refused(registry: Registry) -> None:
    other = memory_ledger(origin="example.org/other")
    with pytest.raises(TrustError, match=r"holds the ledger example\.org/other"):
        open_in(registry.copy).pull(other)
    unlogged = keyring_for(REGISTRAR)
    source = Ledger.open(registry.store, keyring=unlogged)
    with pytest.raises(OriginNotPinned, match="no key of the log"):
        Ledger.for_import(MemoryStore(), origin=ORIGIN, keyring=unlogged).pull(source)
