"""The log of a ledger as the library shows it: seal, checkpoint, receipts, what waits."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from threading import Thread
from typing import TYPE_CHECKING

import pytest

import ledger
from ledger import IntegrityError, InvalidError, Keyring, Ledger, Log, NotFoundError, check_entry
from ledger.errors import OriginNotPinned
from ledger.format.layout import head_key, pending_key
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, signer
from ledger.tlog import Leaf, open_checkpoint
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR, ledger_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def titles() -> Ledger:
    """A ledger of two titles: TN1 in three versions, TN2 in one."""
    made = ledger_in(MemoryStore())
    for number in range(3):
        made.append("TN1", {"n": number})
    made.append("TN2", {})
    return made


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory.json"


@pytest.fixture
def log(titles: Ledger, memory: Path) -> Log:
    """The log of that ledger, in which all is sealed."""
    made = Log(titles)
    made.seal(LOG_KEY, memory, genesis=True)
    return made


def test_the_log_is_a_name_of_the_library() -> None:
    assert {"Log", "check_entry"} <= set(ledger.__all__)
    with pytest.raises(AttributeError, match="no attribute 'logs'"):
        ledger.logs  # noqa: B018


def test_a_log_is_begun_sealed_and_read(titles: Ledger, memory: Path) -> None:
    log = Log(titles)
    with pytest.raises(NotFoundError, match="there is no log"):
        log.checkpoint()
    sealed = log.seal(LOG_KEY, memory, genesis=True)
    assert (sealed.leaves, sealed.markers, bool(sealed.report)) == (4, 4, True)
    signed = log.checkpoint(verify=True)
    assert signed == sealed.signed
    opened = open_checkpoint(signed.note, origin=log.origin, log_keys=[LOG_KEY.public_key])
    assert opened.checkpoint.size == 4


def test_nobody_else_vouches_for_a_checkpoint(log: Log, titles: Ledger) -> None:
    stranger = Ledger.open(titles.store, keyring=keyring_for(REGISTRAR))
    with pytest.raises(OriginNotPinned, match="no key of the log"):
        Log(stranger).checkpoint()


def test_without_a_log_it_does_not_matter_whose_key_counts(titles: Ledger) -> None:
    stranger = Ledger.open(titles.store, keyring=keyring_for(REGISTRAR))
    with pytest.raises(NotFoundError):
        Log(stranger).checkpoint()


def test_the_memory_is_not_kept_in_the_store(tmp_path: Path) -> None:
    log = Log(ledger_in(FolderStore(tmp_path / "store")))
    with pytest.raises(InvalidError, match="inside the store"):
        log.seal(LOG_KEY, tmp_path / "store" / "memory.json", genesis=True)


# --- receipts ------------------------------------------------------------------------------------


def test_every_entry_has_a_receipt_that_stands_alone(log: Log, titles: Ledger) -> None:
    leaves = set()
    for title_number in titles.titles():
        for entry in titles.log(title_number):
            receipt = log.receipt(title_number, f"v{entry.version}")
            proven = check_entry(receipt.encode(), entry.data, keyring=KEYRING)
            assert (proven.entry, proven.leaf, proven.is_signed) == (entry, receipt.index, True)
            leaves.add(proven.leaf)
    assert leaves == set(range(4))


def test_a_receipt_binds_the_exact_bytes_of_an_entry(log: Log, titles: Ledger) -> None:
    receipt = log.receipt("TN1", "v2").encode()
    for other in (titles.entry("TN1", "v1"), titles.entry("TN1", "v3"), titles.head("TN2")):
        with pytest.raises(IntegrityError) as caught:
            check_entry(receipt, other.data, keyring=KEYRING)
        assert caught.value.reason == "not-included"


def test_an_entry_is_checked_as_far_as_the_keyring_goes(log: Log, titles: Ledger) -> None:
    entry = titles.head("TN1")
    receipt = log.receipt("TN1").encode()
    only_log = Keyring().trust(ORIGIN, LOG_KEY.public_key, role="log")
    assert check_entry(receipt, entry.data, keyring=only_log).is_signed is False
    with pytest.raises(OriginNotPinned):
        check_entry(receipt, entry.data, keyring=keyring_for(REGISTRAR))
    others = only_log.trust(ORIGIN, signer("stranger").public_key)
    with pytest.raises(ledger.TrustError) as caught:
        check_entry(receipt, entry.data, keyring=others)
    assert caught.value.reason == "unknown-key"


def test_a_receipt_of_another_ledger_does_not_count(log: Log, titles: Ledger) -> None:
    other = "example.org/other"
    keyring = Keyring().trust(other, LOG_KEY.public_key, role="log")
    receipt, entry = log.receipt("TN1").encode(), titles.head("TN1").data
    with pytest.raises(IntegrityError) as caught:
        check_entry(receipt, entry, keyring=keyring, origin=other)
    assert caught.value.reason == "wrong-ledger"


def test_what_is_not_sealed_has_no_receipt_yet(log: Log, titles: Ledger, memory: Path) -> None:
    titles.append("TN1", {"n": 4})
    with pytest.raises(NotFoundError, match="is not in the log"):
        log.receipt("TN1")
    log.seal(LOG_KEY, memory)
    assert log.receipt("TN1").index == 4


def test_who_waits_for_a_receipt_has_it_after_the_next_seal(
    log: Log, titles: Ledger, memory: Path
) -> None:
    entry = titles.append("TN1", {"n": 4})
    assert log.wait(entry, 0) is None
    sealing = Thread(target=lambda: log.seal(LOG_KEY, memory))
    sealing.start()
    receipt = log.wait(entry, 60)
    sealing.join(60)
    assert receipt == log.receipt("TN1")


# --- how far it is -------------------------------------------------------------------------------


def test_where_a_title_is(log: Log, titles: Ledger) -> None:
    assert log.newest_of("TN1") == Leaf("TN1", 3, titles.head("TN1").address)
    assert log.newest_of("TN3") is None


def test_the_newest_leaf(titles: Ledger, memory: Path) -> None:
    log = Log(titles)
    for title in ("TN1", "TN2"):
        entry = titles.append(title, {"new": True})
        log.seal(LOG_KEY, memory, genesis=not memory.exists())
    assert log.newest() == Leaf("TN2", 2, entry.address)


def test_an_empty_log_has_no_newest_leaf(memory: Path) -> None:
    log = Log(ledger_in(MemoryStore()))
    log.seal(LOG_KEY, memory, genesis=True)
    assert log.newest() is None
    assert log.pending() == (0, None)


def test_pending_counts_moves_and_tells_since_when_they_wait(memory: Path) -> None:
    clock = FixedClock()
    titles = ledger_in(MemoryStore(), clock)
    log = Log(titles)
    log.seal(LOG_KEY, memory, genesis=True)
    first = titles.append("TN2", {})
    clock.now += timedelta(hours=1)
    titles.append("TN2", {"n": 2})
    titles.append("TN1", {})
    assert log.pending() == (3, first.recorded_at)
    log.seal(LOG_KEY, memory)
    assert log.pending() == (0, None)


def test_of_many_titles_that_wait_each_may_be_the_one_that_is_looked_at(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.log.LOOKED_AT", 3)
    monkeypatch.setattr("ledger.log.random", Random(2))  # the rarest comes once in 84 draws
    clock = FixedClock()
    titles = ledger_in(MemoryStore(), clock)
    log = Log(titles)
    log.seal(LOG_KEY, memory, genesis=True)
    recorded = set()
    for number in range(5, 0, -1):  # the last in the listing has waited longest
        recorded.add(titles.append(f"TN{number}", {}).recorded_at)
        clock.now += timedelta(hours=1)
    seen = {log.pending() for _ in range(200)}
    assert {moves for moves, _ in seen} == {5}
    # Of three drawn, the oldest is any but the two youngest.
    assert {oldest for _, oldest in seen} == set(sorted(recorded)[:-2])


def test_a_move_that_never_came_to_be_waits_for_nothing(log: Log, titles: Ledger) -> None:
    titles.store.create(pending_key("TN1", 9, "0" * 64), b"")
    titles.store.create(pending_key("TN9", 1, "0" * 64), b"")
    assert log.pending() == (2, None)


def test_a_head_that_can_not_be_read_is_for_the_seal_to_report(log: Log, titles: Ledger) -> None:
    titles.append("TN1", {"n": 4})
    blob = titles.store.get(head_key("TN1"))
    assert blob is not None
    titles.store.replace(head_key("TN1"), b"{}", blob.version)
    assert log.pending() == (1, None)
