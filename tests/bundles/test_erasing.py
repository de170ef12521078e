"""Bundles and erasure: a text that is ordered erased is in no bundle, and comes back from none."""

from __future__ import annotations

import io

import pytest

from ledger import Ledger
from ledger.errors import Forked, IntegrityError
from ledger.format.entry import is_short, short_form
from ledger.format.layout import entry_key, head_key
from ledger.log import Log
from ledger.stores import MemoryStore
from ledger.testing import memory_ledger
from tests.bundles.bundles import NOW, addresses, again, bundle, check, contents, of_objects
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR, ledger_in
from tests.tampering import objects_of
from tests.titles.test_erase import NAME, ORDER, TITLE, entry_keys, forget, holding, named, put

SAID = f"the texts of 2 entries of {TITLE}, erased by version 4 (reference LG 7/26)"


@pytest.fixture
def ledger() -> Ledger:
    return named(memory_ledger())


def erased(ledger: Ledger) -> Ledger:
    assert ledger.erase(TITLE, [1, 3], change=forget, **ORDER).is_done
    return ledger


def other() -> Ledger:
    return memory_ledger(clock=NOW)


def test_a_bundle_has_no_erased_text_verifies_and_says_so(ledger):
    data = bundle(erased(ledger))
    assert NAME.encode() not in data.getvalue()
    report = check(data)
    assert report
    assert report.findings == ()
    assert SAID in report.not_shown
    replica = other()
    assert replica.import_bundle(again(data)).not_erased == ()
    assert addresses(replica) == addresses(ledger)
    assert replica.fsck().findings == ()
    assert bundle(replica).getvalue() == data.getvalue()


def test_a_bundle_from_before_brings_no_erased_text_back(ledger):
    before = bundle(ledger)
    erased(ledger)
    done = ledger.import_bundle(again(before))
    assert (done.moved, done.unchanged, done.not_erased) == (0, 2, ())
    assert holding(ledger.store) == []
    assert ledger.fsck().findings == ()


def test_a_replica_erases_what_the_next_bundle_orders(ledger):
    replica = other()
    replica.import_bundle(bundle(ledger))
    replica.pack()
    assert len(holding(replica.store)) == 4
    assert replica.import_bundle(bundle(erased(ledger))).not_erased == ()
    assert holding(replica.store) == []
    assert replica.fsck().findings == ()


def test_a_replica_erases_what_an_incremental_bundle_orders(ledger):
    before = bundle(ledger)
    replica = other()
    replica.import_bundle(again(before))
    later = bundle(erased(ledger), since=[again(before)])
    assert NAME.encode() not in later.getvalue()
    assert replica.import_bundle(later).not_erased == ()
    assert holding(replica.store) == []
    assert replica.fsck().findings == ()


def test_a_bundle_that_holds_a_text_in_spite_of_the_order_brings_none(ledger):
    keys = entry_keys(ledger)
    whole = ledger.store.get(keys[1]).data
    members = dict(contents(bundle(erased(ledger)))) | {keys[1]: whole}
    data = of_objects(list(members.items()))
    report = check(data)
    assert report
    assert [finding.slug for finding in report.findings] == ["not-erased"]
    replica = other()
    replica.import_bundle(again(data))
    assert holding(replica.store) == []
    assert replica.fsck().findings == ()


def test_an_import_puts_back_a_text_that_somebody_took(ledger):
    whole = bundle(ledger)
    expected = objects_of(ledger.store)
    key = entry_keys(ledger)[1]
    put(ledger.store, key, short_form(expected[key]))
    done = ledger.import_bundle(again(whole))
    assert (done.restored, done.is_whole) == (1, True)
    assert objects_of(ledger.store) == expected
    assert ledger.import_bundle(again(whole)).restored == 0


@pytest.mark.parametrize("taken", [1, 2])
def test_an_import_puts_back_a_text_below_what_the_bundle_lacks(ledger, taken):
    """The store has gone on since, and its chain can't be walked for want of that text."""
    whole = bundle(ledger)
    key = entry_keys(ledger)[taken]
    ledger.append("TN1", {"proprietor": "Mary Somerville"})
    expected = objects_of(ledger.store)
    put(ledger.store, key, short_form(expected[key]))
    assert ledger.import_bundle(again(whole)).moved == 0
    assert objects_of(ledger.store) == expected


def test_an_import_refuses_to_replace_other_bytes(ledger):
    whole = bundle(ledger)
    key = entry_keys(ledger)[1]
    changed = ledger.store.get(key).data.replace(b"Ada", b"Eve")
    put(ledger.store, key, changed)
    with pytest.raises(IntegrityError) as caught:
        ledger.import_bundle(again(whole))
    assert caught.value.reason == "address-mismatch"
    assert ledger.store.get(key).data == changed


def test_a_bundle_without_a_text_that_only_the_store_orders_erased_is_imported(ledger):
    """And one whose texts nothing explains is not."""
    members = dict(contents(bundle(ledger)))
    key = entry_keys(ledger)[1]
    data = of_objects(list((members | {key: short_form(members[key])}).items()))
    (finding,) = check(data).findings
    assert (finding.severity, finding.slug, finding.object_key) == (
        "tampering",
        "text-missing",
        key,
    )
    with pytest.raises(IntegrityError) as caught:
        ledger.import_bundle(again(data))
    assert caught.value.reason == "text-missing"
    assert erased(ledger).import_bundle(again(data)).unchanged == 2


def test_a_document_that_speaks_of_erasing_takes_no_text_from_a_replica():
    """Only what is signed as the order erases: a document may have a member ``erases``, too."""
    ledger = memory_ledger()
    ledger.append(TITLE, {"name": NAME})
    ledger.append(TITLE, {"erases": [1]})
    replica = other()
    replica.import_bundle(bundle(ledger))
    assert replica.verify(TITLE)
    assert replica.entry(TITLE, "v1").document == {"name": NAME}


def test_an_import_waits_for_the_log_as_an_erasure_does(tmp_path):
    ledger = named(ledger_in(MemoryStore()))
    log = Log(ledger)
    log.seal(LOG_KEY, tmp_path / "sealer", genesis=True)
    replica = Ledger.create(
        MemoryStore(), origin=ledger.origin, keyring=KEYRING, signer=REGISTRAR, clock=NOW
    )
    replica.import_bundle(bundle(ledger))
    ledger.erase(TITLE, [1, 3], change=forget, **ORDER)
    (said,) = replica.import_bundle(bundle(ledger)).not_erased
    assert "the log lacks the order to erase version 3, 1" in said
    assert len(holding(replica.store)) == 2
    log.seal(LOG_KEY, tmp_path / "sealer")
    assert replica.import_bundle(bundle(ledger)).not_erased == ()
    assert holding(replica.store) == []
    assert replica.fsck()


def stripped(ledger: Ledger, old: io.BytesIO) -> tuple[int, io.BytesIO]:
    out = io.BytesIO()
    count = ledger.strip_bundle(again(old), out)
    return count, again(out)


def test_an_archive_is_stripped_and_verifies_by_itself(ledger):
    before = bundle(ledger)
    erased(ledger)
    count, after = stripped(ledger, before)
    assert count == 2
    assert NAME.encode() not in after.getvalue()
    report = check(after)
    assert report
    assert SAID in report.not_shown
    assert after.getvalue() == bundle(ledger).getvalue()
    count, again_after = stripped(ledger, after)
    assert (count, again_after.getvalue()) == (0, after.getvalue())
    replica = other()
    replica.import_bundle(again(after))
    assert replica.fsck().findings == ()


def test_an_archive_of_nothing_erased_stays_as_it_is(ledger):
    before = bundle(ledger)
    ledger.append("TN2", {"proprietor": "Bob"})
    count, after = stripped(ledger, before)
    assert count == 0
    assert after.getvalue() == before.getvalue()


def test_an_incremental_archive_is_stripped_as_far_as_it_goes(ledger):
    first = bundle(ledger)
    ledger.append(TITLE, {"proprietor": NAME})
    ledger.append(TITLE, {"proprietor": "Bob"})
    later = bundle(ledger, since=[first])
    ledger.erase(TITLE, [1, 4], **ORDER)
    count, after = stripped(ledger, later)
    assert count == 1
    assert NAME.encode() not in after.getvalue()
    names = [name for name, data in contents(after) if is_short(data)]
    assert names == [entry_keys(ledger)[4]]
    replica = other()
    replica.import_bundle(stripped(ledger, first)[1])
    replica.import_bundle(again(after))
    assert addresses(replica)[TITLE] == addresses(ledger)[TITLE]


def test_an_archive_of_another_history_is_not_stripped(ledger):
    rival = memory_ledger()
    rival.append(TITLE, {"proprietor": "Eve"})
    with pytest.raises(Forked):
        ledger.strip_bundle(bundle(rival), io.BytesIO())
    members = dict(contents(bundle(ledger)))
    members[head_key(TITLE)] = members[head_key(TITLE)].replace(b"Ada", b"Eve")
    with pytest.raises(IntegrityError, match="doesn't verify"):
        ledger.strip_bundle(of_objects(list(members.items())), io.BytesIO())
    assert entry_key(TITLE, addresses(ledger)[TITLE][0]) in members
