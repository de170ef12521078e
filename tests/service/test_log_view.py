"""What the service says of the log of a title is proved, or said not to be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.errors import IntegrityError, InvalidError
from ledger.format.layout import LOG_CHECKPOINT, head_key, sealed_key
from ledger.service.http.errors import NotSealed
from ledger.service.log_view import LogView
from ledger.stores import MemoryStore
from ledger.tlog.objects import SealedRecord
from tests.sealing.sealers import Sealer, ledger_in
from tests.sealing.test_seal import put

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """TN1 with two logged versions, and a third that waits."""
    ledger = ledger_in(MemoryStore())
    ledger.append("TN1", {})
    ledger.append("TN1", {})
    Sealer(tmp_path).seal(ledger.store, genesis=True)
    ledger.append("TN1", {})
    return ledger


def states(ledger: Ledger) -> list[str]:
    """Of the versions of TN1, the oldest first."""
    entries = list(ledger.log("TN1"))
    summary = LogView(ledger).of(entries)
    assert not summary.problem
    return [summary.places[entry.address].state for entry in reversed(entries)]


def test_what_is_logged_and_what_waits(ledger: Ledger) -> None:
    assert states(ledger) == ["logged", "logged", "waiting"]
    for version in (1, 2):
        assert LogView(ledger).receipt(ledger.entry("TN1", f"v{version}")).index == version - 1
    with pytest.raises(NotSealed):
        LogView(ledger).receipt(ledger.head("TN1"))


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"{}",
        SealedRecord(2, "0" * 64, (0, 1)).encode(),
        SealedRecord(3, "0" * 64, (1,)).encode(),
        SealedRecord(1, "0" * 64, (7,)).encode(),
    ],
)
def test_a_wrong_record_denies_nothing(ledger: Ledger, record: bytes | None) -> None:
    put(ledger.store, sealed_key("TN1"), record)
    assert states(ledger) == ["logged", "logged", "waiting"]
    assert LogView(ledger).receipt(ledger.entry("TN1", "v2")).index == 1


def test_without_a_record_and_a_marker_nobody_says_that_it_is_not_logged(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ledger.store, sealed_key("TN1"), None)
    for key in list(ledger.store.list("_pending/")):
        ledger.store.delete(key)
    assert states(ledger) == ["logged", "logged", "unknown"]
    with pytest.raises(InvalidError, match="not known"):
        LogView(ledger).receipt(ledger.head("TN1"))
    monkeypatch.setattr("ledger.service.log_view.TILES_OF_A_PAGE", 0)
    assert states(ledger) == ["unknown", "unknown", "unknown"]


def test_another_entry_in_the_place_of_a_logged_one_is_contradicted_by_proof(
    ledger: Ledger,
) -> None:
    other = ledger_in(MemoryStore())
    other.append("TN1", {"n": 1})
    other.append("TN1", {"n": 2})
    view = LogView(ledger)
    assert view.of([other.head("TN1")]).places[other.head("TN1").address].state == "contradicted"
    with pytest.raises(IntegrityError, match="another entry"):
        view.receipt(other.head("TN1"))


def test_while_a_seal_publishes_a_title_is_held_to_what_was_published_before(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Records are written before the checkpoint, so they may name leaves that it does not cover."""
    before = ledger.store.get(LOG_CHECKPOINT)
    assert before
    for _ in range(300):
        ledger.append("OTHER", {})
    Sealer(tmp_path).seal(ledger.store)
    put(ledger.store, LOG_CHECKPOINT, before.data)
    newest = ledger.head("TN1")
    put(ledger.store, sealed_key("TN1"), SealedRecord(3, newest.address, (1, 302)).encode())
    view = LogView(ledger)
    places = view.of([ledger.entry("TN1", "v2"), ledger.entry("TN1", "v1")]).places.values()
    assert [(place.state, place.leaf) for place in places] == [("logged", 1), ("logged", 0)]
    assert view.compare("TN1") == ()
    view.check_head("TN1")
    put(ledger.store, head_key("TN1"), ledger.entry("TN1", "v1").data)
    assert [finding.slug for finding in view.compare("TN1")] == ["not-as-logged"]
    with pytest.raises(IntegrityError, match=r"lacks version 2 .* as leaf 1:"):
        view.check_head("TN1")
    put(ledger.store, sealed_key("TN1"), SealedRecord(3, newest.address, (302,)).encode())
    assert view.compare("TN1") == ()
