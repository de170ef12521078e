"""A title that the log has is neither begun anew nor set back; packs bring back what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import Entry, Ledger
from ledger.errors import ConflictError, HeadMissing, IntegrityError, OriginNotPinned
from ledger.format.layout import PACKS, entry_key, head_key, pack_key, reference_prefix, sealed_key
from ledger.packs.format import Packable, make_pack
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, keyring_for
from ledger.tlog.objects import SealedRecord
from tests.sealing.sealers import KEYRING, REGISTRAR, Sealer, ledger_in
from tests.tampering import objects_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """TN1 with three versions, all of them sealed and packed."""
    ledger = ledger_in(MemoryStore())
    for version in range(3):
        ledger.append("TN1", {"owner": version}, reference=f"R{version}")
    ledger.append("TN2", {})
    Sealer(tmp_path).seal(ledger.store, genesis=True)
    ledger.pack()
    return ledger


def lacking(ledger: Ledger, *prefixes: str, keyring: object = KEYRING) -> Ledger:
    store = MemoryStore()
    objects = objects_of(ledger.store)
    store.create_many((k, data) for k, data in objects.items() if not k.startswith(prefixes))
    return Ledger.open(store, keyring=keyring, signer=REGISTRAR, clock=ledger.clock)  # type: ignore[arg-type]


def test_a_logged_title_that_was_deleted_is_not_begun_anew(ledger: Ledger) -> None:
    lost = lacking(ledger, "TN1/")
    for _ in range(2):
        with pytest.raises(HeadMissing, match="the log has its version 3"):
            lost.append("TN1", {})
    assert list(lost.store.list("TN1/")) == []
    assert lost.append("TN3", {}).version == 1


def test_a_record_that_was_made_up_keeps_no_title_from_being_begun(ledger: Ledger) -> None:
    ledger.store.create(sealed_key("TN3"), SealedRecord(1, "0" * 64, (0,)).encode())
    assert ledger.append("TN3", {}).version == 1


def test_a_wrong_record_lets_nobody_begin_a_logged_title_anew(ledger: Ledger) -> None:
    lost = lacking(ledger, "TN1/", sealed_key("TN1"))
    lost.store.create(sealed_key("TN1"), b"{}")
    with pytest.raises(HeadMissing, match="the log has its version 3"):
        lost.append("TN1", {})


def test_a_writer_that_cannot_tell_begins_no_title_that_has_a_record(ledger: Ledger) -> None:
    lost = lacking(ledger, "TN1/", keyring=keyring_for(REGISTRAR))
    with pytest.raises(OriginNotPinned, match="no key of the log"):
        lost.append("TN1", {})


def test_a_head_that_only_a_pack_has_is_brought_back(ledger: Ledger) -> None:
    head = ledger.head("TN1")
    lost = lacking(ledger, head_key("TN1"), entry_key("TN1", head.address))
    assert lost.recover("TN1") == head
    assert lost.verify("TN1", expect=head.address)
    assert lost.fsck()


@pytest.mark.parametrize("record", [True, False])
def test_all_of_a_title_comes_back_from_packs(ledger: Ledger, record: bool) -> None:
    head = ledger.head("TN1")
    lost = lacking(ledger, "TN1/", *[] if record else [sealed_key("TN1")], "_references/")
    assert lost.recover("TN1") == head
    assert [entry.data for entry in lost.log("TN1")] == [e.data for e in ledger.log("TN1")]
    assert list(lost.store.list(reference_prefix("R1"))) == list(
        ledger.store.list(reference_prefix("R1"))
    )


@pytest.mark.parametrize("record", [True, False])
def test_a_title_is_not_set_back_below_what_is_logged(ledger: Ledger, record: bool) -> None:
    head = ledger.head("TN1")
    below = [] if record else [sealed_key("TN1")]
    lost = lacking(ledger, head_key("TN1"), entry_key("TN1", head.address), PACKS, *below)
    for to in (None, head.parent):
        with pytest.raises(ConflictError, match="the log has version 3") as caught:
            lost.recover("TN1", to=to)
        assert head.address in str(caught.value)
    assert lost.store.get(head_key("TN1")) is None


def test_a_log_that_was_taken_away_lets_no_title_be_set_back_unasked(ledger: Ledger) -> None:
    head = ledger.head("TN1")
    gone = [head_key("TN1"), entry_key("TN1", head.address), PACKS, "_pending/", "_log/checkpoint"]
    for more in ([], ["_log/"]):
        lost = lacking(ledger, *gone, *more)
        with pytest.raises(ConflictError, match="_log/checkpoint: missing"):
            lost.recover("TN1")
        assert lost.recover("TN1", to=head.parent).version == 2
    lost = lacking(ledger, "TN1/", "_log/checkpoint")
    with pytest.raises(IntegrityError, match="_log/checkpoint: missing"):
        lost.append("TN1", {})


def test_the_loser_of_a_race_is_no_head_that_the_log_refutes(ledger: Ledger) -> None:
    head = ledger.head("TN1")
    loser = Entry.sign(
        REGISTRAR,
        ledger=ORIGIN,
        title_number="TN1",
        document={"owner": "Mallory"},
        recorded_at=head.recorded_at,
        salt=bytes(32),
        parent=ledger.entry("TN1", "v2"),
    )
    lost = lacking(ledger, head_key("TN1"))
    lost.store.create(entry_key("TN1", loser.address), loser.data)
    with pytest.raises(ConflictError, match="not in the chain"):
        lost.recover("TN1", to=loser.address)
    assert lost.recover("TN1") == head


def test_what_the_log_cannot_tell_is_a_doubt(ledger: Ledger) -> None:
    head = ledger.head("TN1")
    lost = lacking(ledger, head_key("TN1"), keyring=keyring_for(REGISTRAR))
    with pytest.raises(ConflictError, match="no key of the log"):
        lost.recover("TN1")
    assert lost.recover("TN1", to=head.address) == head
    lost = lacking(ledger, head_key("TN1"), "_log/tile/", sealed_key("TN1"))
    with pytest.raises(ConflictError, match="tile"):
        lost.recover("TN1")


def test_a_pack_without_a_text_that_nobody_erased_puts_no_entry_back(ledger: Ledger) -> None:
    """Else the short form would lie there, and no other pack be asked any more."""
    first = ledger.entry("TN1", "v1")
    key = entry_key("TN1", first.address)
    lost = lacking(ledger, head_key("TN1"), key, PACKS)
    name, data = make_pack(ORIGIN, [Packable("TN1", first.address, first.short)])
    lost.store.create(pack_key(name), data)
    with pytest.raises(IntegrityError, match="the text of version 1 is gone"):
        lost.recover("TN1")
    assert lost.store.get(key) is None
    lost.store.delete(pack_key(name))
    lost.store.create_many((k, d) for k, d in objects_of(ledger.store).items() if PACKS in k)
    assert lost.recover("TN1") == ledger.head("TN1")


def test_an_entry_made_up_in_a_pack_is_not_brought_back(ledger: Ledger) -> None:
    stranger = keyring_for(REGISTRAR)
    head = ledger.head("TN1")
    objects = {k: d for k, d in objects_of(ledger.store).items() if not k.startswith("_log/")}
    store = MemoryStore()
    pack = next(key for key in objects if key.startswith(PACKS))
    objects[pack] = objects[pack].replace(b'"owner":2', b'"owner":7')
    del objects[head_key("TN1")], objects[entry_key("TN1", head.address)]
    store.create_many(objects.items())
    lost = Ledger.open(store, keyring=stranger, signer=REGISTRAR, clock=ledger.clock)
    assert lost.recover("TN1").version == 2
