"""Packs and erasure: a pack says nothing of whether a text is there, and holds none that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.errors import StoreDenied
from ledger.format import layout
from ledger.format.entry import short_form
from ledger.packs.format import Packable, make_pack
from ledger.packs.reader import pack_names
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, memory_ledger
from tests.titles.test_erase import NAME, ORDER, TITLE, entry_keys, forget, holding, named, put
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from ledger import Ledger


def slugs(report) -> list[tuple[str, str]]:
    return [(finding.severity, finding.slug) for finding in report.findings]


def with_packs_from_before(ledger: Ledger) -> Ledger:
    """The ledger, its text of version 1 erased, and a packer's late packs that still hold it."""
    ledger.pack()
    (name,) = pack_names(ledger.store)
    before = ledger.store.get(layout.pack_key(name)).data
    assert ledger.erase(TITLE, [1], change=forget, **ORDER).is_done
    ledger.store.create(layout.pack_key(name), before)
    return ledger


def test_a_pack_from_before_an_erasure_is_not_believed():
    ledger = with_packs_from_before(named(memory_ledger()))
    report = ledger.verify_all()
    assert slugs(report) == []
    assert f"the text of 1 entry of {TITLE}, erased by version 4 (reference LG 7/26)" in (
        report.not_shown
    )
    # And if the text really is there, a pack without it does not hide that.
    key = entry_keys(ledger)[1]
    short = ledger.store.get(key).data
    for name in list(pack_names(ledger.store)):
        ledger.store.delete(layout.pack_key(name))
    ledger.pack()
    put(ledger.store, key, short[:-1] + b',"text":{}}')
    assert ("tampering", "text-mismatch") in slugs(ledger.verify(TITLE))


def test_a_pack_without_a_text_that_is_there_again_is_not_believed():
    ledger = named(memory_ledger())
    entries = list(ledger.log(TITLE))
    packable = [Packable(TITLE, e.address, short_form(e.data)) for e in entries]
    name, data = make_pack(ORIGIN, packable)
    ledger.store.create(layout.pack_key(name), data)
    assert slugs(ledger.verify_all()) == []
    # But the entry's own object is looked at then.
    put(ledger.store, entry_keys(ledger)[1], entries[-1].short)
    assert slugs(ledger.verify_all()) == [("tampering", "text-missing")]


def test_no_packer_takes_over_what_older_packs_hold():
    ledger = with_packs_from_before(named(memory_ledger()))
    assert len(holding(ledger.store)) == 3  # version 3, the pack from before, and the new one
    ledger.pack(rebuild=True)
    assert all(
        NAME.encode() not in ledger.store.get(layout.pack_key(name)).data.split(b'"version":1,')[-1]
        for name in pack_names(ledger.store)
    )
    ledger.append("TN3", {"proprietor": "Bob"})
    assert ledger.pack().findings == ()
    ledger.erase(TITLE, [3], reference="LG 8", message="")
    assert [key for key in holding(ledger.store) if key.startswith(layout.PACKS)] == []


def test_a_packer_names_a_text_that_somebody_took():
    ledger = named(memory_ledger())
    key = entry_keys(ledger)[1]
    put(ledger.store, key, short_form(ledger.store.get(key).data))
    (finding,) = ledger.pack().findings
    assert (finding.slug, finding.object_key) == ("text-missing", key)


def test_a_finished_erasure_leaves_late_packs_for_the_next():
    ledger = with_packs_from_before(named(memory_ledger()))
    erasure = ledger.finish_erasure(TITLE)
    assert erasure.is_done
    packs = [ledger.store.get(layout.pack_key(name)).data for name in pack_names(ledger.store)]
    assert packs
    assert sum(data.count(NAME.encode()) for data in packs) == 3  # those of version 3 alone
    assert ledger.verify_all()


@pytest.mark.parametrize("where", ["packs", "entries"])
def test_what_may_not_be_written_is_named(where):
    class Denying(Wrapper):
        denying = False

        def called(self, operation, key):
            is_pack = key.startswith(layout.PACKS)
            writes = operation in {"create", "replace", "delete"}
            if self.denying and writes and is_pack == (where == "packs"):
                raise StoreDenied(f"{operation} {key}: AccessDenied")

    store = Denying(MemoryStore())
    ledger = named(memory_ledger(store))
    ledger.pack()
    key = entry_keys(ledger)[1]
    whole = store.get(key).data
    ledger.erase(TITLE, [1], **ORDER)
    put(store.inner, key, whole)
    (name,) = pack_names(store)
    store.inner.delete(layout.pack_key(name))
    parsed = layout.parse_entry_key(key)
    name, data = make_pack(ORIGIN, [Packable(*parsed, whole)])
    store.inner.create(layout.pack_key(name), data)
    store.denying = True
    erasure = ledger.finish_erasure(TITLE)
    assert not erasure.is_done
    assert any("AccessDenied" in said for said in erasure.left)
    store.denying = False
    assert ledger.finish_erasure(TITLE).is_done
    assert ledger.fsck().findings == ()
