"""What a kept checkpoint says of a title, proved by the log that is there now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import IntegrityError, Ledger, Log, TrustError
from ledger.errors import InvalidError, MalformedError
from ledger.format.layout import LOG_CHECKPOINT, LOG_STATE, head_key, sealed_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, Leaf, sign_checkpoint
from tests.sealing.sealers import LOG_KEY, Sealer, ledger_in
from tests.tampering import without
from tests.verification.register import forged_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    return Sealer(tmp_path)


@pytest.fixture
def titles(sealer: Sealer) -> Ledger:
    """A ledger of TN1 in two versions and TN2 in one, logged."""
    made = ledger_in(MemoryStore())
    made.append("TN1", {"n": 1})
    made.append("TN1", {"n": 2})
    made.append("TN2", {})
    sealer.seal(made.store, genesis=True)
    return made


def kept(ledger: Ledger) -> bytes:
    return Log(ledger).checkpoint().note


def newest(ledger: Ledger, title_number: str) -> Leaf:
    head = ledger.entry(title_number)
    return Leaf(title_number, head.version, head.address)


def lacking(ledger: Ledger, key: str) -> Ledger:
    """The same ledger without an object."""
    return Ledger.open(without(ledger.store, key), keyring=ledger.keyring)


def put(ledger: Ledger, key: str, data: bytes) -> None:
    blob = ledger.store.get(key)
    if blob is None:
        ledger.store.create(key, data)
    else:
        ledger.store.replace(key, data, blob.version)


def test_it_is_the_newest_version_that_was_logged_by_then(titles: Ledger, sealer: Sealer) -> None:
    before, then = kept(titles), newest(titles, "TN1")
    titles.append("TN1", {"n": 3})
    titles.append("TN3", {})
    assert Log(titles).known("TN1", before) == then
    sealer.seal(titles.store)
    log = Log(titles)
    assert log.known("TN1", before) == then
    assert log.known("TN1", kept(titles)) == newest(titles, "TN1")
    assert log.known("TN3", before) is None
    assert log.known("TN3", kept(titles)) == newest(titles, "TN3")


def test_an_empty_log_knew_of_nothing(tmp_path: Path) -> None:
    ledger = ledger_in(MemoryStore())
    sealer = Sealer(tmp_path)
    sealer.seal(ledger.store, genesis=True)
    empty = kept(ledger)
    ledger.append("TN1", {})
    sealer.seal(ledger.store)
    assert Log(ledger).known("TN1", empty) is None


def test_what_is_no_title_is_refused(titles: Ledger) -> None:
    with pytest.raises(InvalidError):
        Log(titles).known('TN1","version":1', kept(titles))


def test_records_of_titles_are_not_believed(titles: Ledger) -> None:
    before, then = kept(titles), newest(titles, "TN1")
    assert Log(lacking(titles, sealed_key("TN1"))).known("TN1", before) == then
    put(titles, sealed_key("TN1"), b"{}")
    assert Log(titles).known("TN1", before) == then


def test_what_was_logged_a_second_time_hides_nothing(titles: Ledger) -> None:
    """As two sealers that knew nothing of each other did before records were hints."""
    gone = newest(titles, "TN1")
    first = titles.entry("TN1", "v1")
    leaf = Leaf("TN1", 1, first.address)
    for key, data in forged_log([leaf, gone, leaf]).items():
        put(titles, key, data)
    put(titles, head_key("TN1"), first.data)
    assert Log(titles).known("TN1", kept(titles)) == gone
    assert "pin-missing" in {
        each.slug for each in titles.verify("TN1", since=gone.address).findings
    }


@pytest.mark.parametrize("digit", "0f")
def test_two_addresses_of_the_newest_version_are_a_fork(titles: Ledger, digit: str) -> None:
    mine = newest(titles, "TN1")
    for key, data in forged_log([mine, mine._replace(address=digit * 64)]).items():
        put(titles, key, data)
    with pytest.raises(IntegrityError, match="two entries as version 2") as caught:
        Log(titles).known("TN1", kept(titles))
    assert caught.value.reason == "forked"


def test_it_is_found_across_tiles(tmp_path: Path) -> None:
    """A title in the first tile of several, one in the last, and one in between."""
    ledger = ledger_in(MemoryStore())
    sealer = Sealer(tmp_path)
    ledger.append("TN1", {})
    sealer.seal(ledger.store, genesis=True)
    for number in range(2, 600):
        ledger.append(f"TN{number}", {})
    sealer.seal(ledger.store)
    before = kept(ledger)
    ledger.append("TN1", {"a": 1})
    sealer.seal(ledger.store)
    first = ledger.entry("TN1", "v1")
    assert Log(ledger).known("TN1", before) == Leaf("TN1", 1, first.address)
    assert Log(ledger).known("TN300", before) == newest(ledger, "TN300")
    assert Log(ledger).known("TN599", before) == newest(ledger, "TN599")
    assert Log(ledger).known("TN600", before) is None


@pytest.mark.parametrize("other", [b"TN5", b"TN6", b"TN7", b"TN8", b"TN9"])
def test_a_leaf_that_was_taken_out_is_missed(titles: Ledger, other: bytes) -> None:
    """As if TN1 had never been logged, or another version had been."""
    before = kept(titles)
    key = "_log/tile/entries/000.p/3"
    blob = titles.store.get(key)
    assert blob
    put(titles, key, blob.data.replace(b"TN1", other))
    for title_number in ("TN1", other.decode(), "TN4"):
        with pytest.raises(IntegrityError) as caught:
            Log(titles).known(title_number, before)
        assert caught.value.reason == "wrong-root"


def test_a_log_that_is_behind_the_kept_checkpoint_was_set_back(
    titles: Ledger, sealer: Sealer
) -> None:
    old = {key: titles.store.get(key) for key in (LOG_STATE, LOG_CHECKPOINT)}
    titles.append("TN1", {"n": 3})
    sealer.seal(titles.store)
    after = kept(titles)
    for key, blob in old.items():
        assert blob
        put(titles, key, blob.data)
    with pytest.raises(IntegrityError, match="the log has 3 leaves") as caught:
        Log(titles).known("TN1", after)
    assert (caught.value.reason, caught.value.object_key) == ("log-set-back", LOG_CHECKPOINT)
    with pytest.raises(IntegrityError, match="log is gone"):
        Log(lacking(titles, LOG_CHECKPOINT)).known("TN1", after)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_kept_checkpoint_of_another_log_shows_a_fork(titles: Ledger, size: int) -> None:
    fork = sign_checkpoint(Checkpoint(ORIGIN, size, bytes(32)), LOG_KEY)
    with pytest.raises(IntegrityError, match="the log's key signed both") as caught:
        Log(titles).known("TN1", fork)
    assert (caught.value.reason, caught.value.object_key) == ("not-consistent", LOG_CHECKPOINT)


def test_a_checkpoint_that_the_log_did_not_sign_says_nothing(titles: Ledger) -> None:
    other = signer("other log")
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, bytes(32)), other)
    with pytest.raises(TrustError, match=r"^the kept checkpoint: "):
        Log(titles).known("TN1", note)
    with pytest.raises(IntegrityError, match=r"^the kept checkpoint: .*wrong signature") as caught:
        Log(titles).known("TN1", kept(titles).replace(b"\n3\n", b"\n2\n"))
    assert caught.value.reason == "bad-signature"
    with pytest.raises(MalformedError, match=r"^the kept checkpoint: "):
        Log(titles).known("TN1", b"a receipt\n")
