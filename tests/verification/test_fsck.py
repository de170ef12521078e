"""fsck: the names of references, and what lost a race."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import Entry, Ledger
from ledger.errors import StoreDenied
from ledger.format import layout
from ledger.log import Log
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, memory_ledger, signer
from ledger.titles.append import names_of
from tests.sealing.sealers import LOG_KEY, ledger_in
from tests.tampering import objects_of
from tests.wrappers import Wrapper

TITLE = "TN1"
DAY = timedelta(days=1)


def slugs(ledger: Ledger, **options) -> list[tuple[str, str]]:
    return [(f.severity, f.slug) for f in ledger.fsck(**options).findings]


def two(ledger: Ledger) -> Ledger:
    ledger.append(TITLE, {"n": 1}, reference="A 1")
    ledger.append(TITLE, {"n": 2}, reference="A 2")
    ledger.append(TITLE, {"n": 3})
    return ledger


def lost(ledger: Ledger, version: int = 2, reference: str = "B 1") -> Entry:
    """An entry that lost its race for this version, with its names."""
    parent = next((e for e in ledger.log(TITLE) if e.version == version - 1), None)
    entry = Entry.sign(
        signer(),
        ledger=ORIGIN,
        title_number=TITLE,
        document={"n": "lost"},
        recorded_at=ledger.head(TITLE).recorded_at,
        salt=bytes(32),
        parent=parent,
        reference=reference,
    )
    ledger.store.create_many(
        [(layout.entry_key(TITLE, entry.address), entry.data), *names_of(entry)]
    )
    return entry


# --- references ----------------------------------------------------------------------------------


def test_the_names_of_references_are_known():
    assert slugs(two(memory_ledger())) == []


def test_a_name_that_is_missing_is_created_again():
    ledger = two(memory_ledger())
    whole = objects_of(ledger.store)
    for key in whole:
        if key.startswith(layout.REFERENCES):
            ledger.store.delete(key)
    assert slugs(ledger) == [("warning", "reference-missing")] * 2
    assert objects_of(ledger.store) == whole
    assert slugs(ledger) == []
    assert ledger.append(TITLE, {"n": 1}, reference="A 1").version == 1


def test_who_may_not_create_it_is_told_that_it_is_missing():
    class ReadOnly(Wrapper):
        def called(self, operation, key):
            if operation in {"create", "replace", "delete"}:
                raise StoreDenied(f"{operation} {key}: denied")

    ledger = two(memory_ledger())
    key = next(ledger.store.list(layout.REFERENCES))
    ledger.store.delete(key)
    reader = Ledger.open(ReadOnly(ledger.store), keyring=ledger.keyring, clock=ledger.clock)
    report = reader.fsck()
    (finding,) = report.findings
    assert (finding.slug, finding.object_key) == ("reference-missing", key)
    assert "denied" in finding.message
    assert report


def test_a_name_without_its_entry_is_named():
    ledger = two(memory_ledger())
    address = ledger.head(TITLE).address
    keys = [
        layout.reference_key("A 1", TITLE, 3, address),  # the entry has no reference
        layout.reference_key("A 9", TITLE, 9, "0" * 64),  # there is no entry
    ]
    for key in keys:
        ledger.store.create(key, b"")
    found = ledger.fsck().findings
    assert {(f.slug, f.object_key) for f in found} == {("dangling-reference", key) for key in keys}
    ledger.store.create(f"{layout.REFERENCES}000/1", b"")
    assert ("warning", "stray-object") in slugs(ledger)


# --- what lost a race ----------------------------------------------------------------------------


def test_what_lost_a_race_is_pruned_with_its_names_when_it_is_old_enough():
    clock = FixedClock()
    ledger = two(memory_ledger(clock=clock))
    whole = objects_of(ledger.store)
    lost(ledger)
    assert slugs(ledger) == [("warning", "dangling-entry")]
    assert slugs(ledger, prune_losers=DAY) == [("warning", "dangling-entry")]
    clock.forward(days=1)
    assert slugs(ledger, prune_losers=DAY) == [("warning", "dangling-entry")]
    clock.forward(seconds=1)
    assert slugs(ledger) == [("warning", "dangling-entry")]
    assert slugs(ledger, prune_losers=DAY) == [("warning", "pruned")]
    assert objects_of(ledger.store) == whole
    assert slugs(ledger) == []


@pytest.mark.parametrize("version", [1, 3])
def test_a_first_version_and_the_heads_rival_can_be_pruned(version):
    clock = FixedClock()
    ledger = two(memory_ledger(clock=clock))
    lost(ledger, version)
    clock.forward(days=2)
    assert slugs(ledger, prune_losers=DAY) == [("warning", "pruned")]
    assert slugs(ledger) == []


def test_what_may_still_become_the_head_stays():
    clock = FixedClock()
    ledger = two(memory_ledger(clock=clock))
    entry = lost(ledger, 4)
    clock.forward(days=100)
    assert slugs(ledger, prune_losers=DAY) == [("warning", "dangling-entry")]
    assert ledger.store.get(layout.entry_key(TITLE, entry.address))


def test_nothing_is_pruned_of_a_title_that_does_not_verify():
    clock = FixedClock()
    ledger = two(memory_ledger(clock=clock))
    entry = lost(ledger)
    key = layout.entry_key(TITLE, ledger.entry(TITLE, "v2").address)
    blob = ledger.store.get(key)
    ledger.store.replace(key, b"{}", blob.version)
    clock.forward(days=2)
    assert ("warning", "pruned") not in slugs(ledger, prune_losers=DAY)
    assert ledger.store.get(layout.entry_key(TITLE, entry.address))


def test_what_was_the_head_before_a_rollback_is_not_pruned_as_if_it_had_lost_a_race():
    """The entry on top of it shows that it was registered."""
    clock = FixedClock()
    ledger = two(memory_ledger(clock=clock))
    before = ledger.head(TITLE)
    fourth, fifth = (ledger.append(TITLE, {"n": n}) for n in (4, 5))
    blob = ledger.store.get(layout.head_key(TITLE))
    ledger.store.replace(layout.head_key(TITLE), before.data, blob.version)
    for number in (40, 50, 60):
        ledger.append(TITLE, {"n": number})
    clock.forward(days=2)
    found = slugs(ledger, prune_losers=DAY)
    assert sorted(found) == [("tampering", "set-back"), ("warning", "dangling-entry")]
    for entry in (fourth, fifth):
        assert ledger.store.get(layout.entry_key(TITLE, entry.address)).data == entry.data


def test_what_the_log_has_lost_no_race_whatever_the_head_says(tmp_path):
    """A head that was set to a loser makes a loser of what was registered."""
    clock = FixedClock()
    ledger = two(ledger_in(MemoryStore(), clock))
    loser = lost(ledger, 3)
    Log(ledger).seal(LOG_KEY, tmp_path / "sealer", genesis=True)
    true = ledger.head(TITLE)
    blob = ledger.store.get(layout.head_key(TITLE))
    ledger.store.replace(layout.head_key(TITLE), loser.data, blob.version)
    clock.forward(days=2)
    assert ("tampering", "not-as-logged") in slugs(ledger, prune_losers=DAY)
    assert ledger.store.get(layout.entry_key(TITLE, true.address)).data == true.data
    # The right head again: then it is the other one that goes.
    blob = ledger.store.get(layout.head_key(TITLE))
    ledger.store.replace(layout.head_key(TITLE), true.data, blob.version)
    assert ("warning", "pruned") in slugs(ledger, prune_losers=DAY)
    assert ledger.store.get(layout.entry_key(TITLE, loser.address)) is None
