"""Export: what goes into a bundle, in which order, and what is left out."""

from __future__ import annotations

import io
import subprocess

import pytest

from ledger import Ledger
from ledger.errors import Forked, HeadMissing, IntegrityError, InvalidError, NotFoundError
from ledger.format.layout import entry_key
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import memory_ledger, signer
from tests.bundles.bundles import NOW, addresses, again, bundle, check, contents, filled
from tests.tampering import objects_of, small_world, without


def test_some_titles_are_exported_in_the_order_of_their_keys_each_once():
    ledger = filled(["A", "A-1", "A0", "B"])
    whole = bundle(ledger)
    assert check(whole).titles == 4
    some = bundle(ledger, ["A0", "A", "A-1", "A"])
    assert some.getvalue() == bundle(ledger, ["A", "A-1", "A0"]).getvalue()
    assert check(some).titles == 3
    out = io.BytesIO()
    assert ledger.export(out, ["A"]) == 1


def test_a_bundle_has_the_same_bytes_from_every_store(tmp_path):
    ledger = filled(["A", "A-1", "A_1", "A0"])
    other = memory_ledger(FolderStore(tmp_path), clock=NOW)
    other.import_bundle(bundle(ledger))
    assert bundle(other).getvalue() == bundle(ledger).getvalue()


def test_an_empty_ledger_has_a_bundle():
    empty = bundle(memory_ledger())
    assert check(empty)
    assert check(empty).titles == 0
    assert filled().import_bundle(again(empty)).moved == 0


def test_a_title_that_is_not_there_is_not_exported():
    with pytest.raises(NotFoundError, match="no such title: TN404"):
        bundle(filled(), ["TN404"])
    with pytest.raises(InvalidError):
        bundle(filled(), ["../TN1"])


def test_a_first_append_that_was_cut_off_does_not_hinder_the_backup_of_all():
    ledger = filled()
    objects = objects_of(ledger.store)
    first = memory_ledger(clock=NOW).append("TN2", {"v": 0})
    whole = {k: v for k, v in objects.items() if "TN2" not in k}
    store = MemoryStore()
    store.create_many((whole | {entry_key("TN2", first.address): first.data}).items())
    unfinished = Ledger.open(store, keyring=ledger.keyring, clock=NOW)
    assert list(unfinished.titles()) == ["TN1", "TN2", "TN3"]
    assert check(bundle(unfinished)).titles == 2
    with pytest.raises(NotFoundError):
        bundle(unfinished, ["TN2"])


def test_a_title_that_lost_its_head_is_not_left_out_of_the_backup_of_all_without_a_word():
    ledger = filled()
    objects = objects_of(ledger.store)
    del objects["TN2/head.json"]
    store = MemoryStore()
    store.create_many(objects.items())
    with pytest.raises(HeadMissing, match="TN2 has entries"):
        bundle(Ledger.open(store, keyring=ledger.keyring, clock=NOW))


def test_the_real_tar_makes_a_folder_store_of_it(tmp_path):
    ledger = filled()
    (tmp_path / "b.tar").write_bytes(bundle(ledger).getvalue())
    (tmp_path / "store").mkdir()
    subprocess.run(
        ["tar", "xf", tmp_path / "b.tar", "-C", tmp_path / "store"], check=True, timeout=60
    )
    opened = Ledger.open(
        str(tmp_path / "store"), keyring=ledger.keyring, signer=signer(), clock=NOW
    )
    assert addresses(opened) == addresses(ledger)
    assert opened.verify_all()
    assert opened.append("TN1", {}).version == 4
    assert [f.object_key for f in opened.fsck().findings] == ["bundle.json"]
    for path in (tmp_path / "store" / "TN1").glob("????*.json"):
        if path.name != "head.json":
            short = subprocess.check_output(["jq", "-cj", "{entry,signature}", path], timeout=60)
            digest = subprocess.check_output(["sha256sum"], input=short, timeout=60)
            assert path.name == f"{digest.decode().split()[0]}.json"


def test_what_does_not_hold_together_is_not_exported():
    world = small_world()
    world.objects[world.key_of(1)] += b"\n"
    with pytest.raises(IntegrityError) as caught:
        bundle(world.open())
    assert caught.value.object_key == world.key_of(1)


def test_since_an_earlier_bundle_only_what_came_after_it_is_written():
    ledger = filled()
    full = bundle(ledger)
    newest = ledger.append("TN2", {"v": "later"})
    ledger.append("TN4", {})
    later = bundle(ledger, since=[full])
    keys = [key for key, _ in contents(later)]
    assert keys[:4] == [
        "bundle.json",
        "ledger.json",
        "TN2/head.json",
        entry_key("TN2", newest.address),
    ]
    assert keys[4] == "TN4/head.json"
    assert len(keys) == 6
    assert len(later.getvalue()) < len(full.getvalue())
    copy = memory_ledger(clock=NOW)
    copy.import_bundle(again(full))
    done = copy.import_bundle(again(later))
    assert (done.moved, done.unchanged) == (2, 0)
    assert addresses(copy) == addresses(ledger)
    assert copy.fsck().findings == ()


def test_several_earlier_bundles_make_a_chain_of_backups():
    ledger = filled()
    backups = [bundle(ledger)]
    for day in range(3):
        ledger.append("TN1", {"day": day})
        ledger.append(f"DAY{day}", {})
        backups.append(bundle(ledger, since=[again(backup) for backup in backups]))
    assert len(contents(backups[-1])) == 6
    copy = memory_ledger(clock=NOW)
    for backup in backups:
        copy.import_bundle(again(backup))
    assert addresses(copy) == addresses(ledger)
    assert copy.verify_all()


def test_nothing_new_makes_a_bundle_without_titles():
    ledger = filled()
    nothing = bundle(ledger, since=[bundle(ledger)])
    assert [key for key, _ in contents(nothing)] == ["bundle.json", "ledger.json"]
    assert check(nothing)
    assert ledger.import_bundle(again(nothing)).moved == 0


def test_a_store_that_was_set_back_is_found_when_the_next_backup_is_made():
    ledger = filled()
    full = bundle(ledger)
    back = ledger.entry("TN1", "v2")
    blob = ledger.store.get("TN1/head.json")
    ledger.store.replace("TN1/head.json", back.data, blob.version)
    with pytest.raises(Forked, match="which is not in its chain now"):
        bundle(ledger, since=[full])


def test_a_title_that_an_earlier_bundle_has_and_the_store_lists_no_more_is_named():
    whole = memory_ledger()
    for title_number in ("TN1", "TN2"):
        whole.append(title_number, {"a": 1})
    earlier = io.BytesIO()
    whole.export(earlier)
    ledger = memory_ledger(without(whole.store, "TN2/"))
    earlier.seek(0)
    with pytest.raises(IntegrityError, match="TN2 is in the earlier bundle") as caught:
        ledger.export(io.BytesIO(), since=[earlier])
    assert caught.value.reason == "head-missing"
    earlier.seek(0)
    assert ledger.export(io.BytesIO(), ["TN1"], since=[earlier]) == 0  # TN2 was not asked for
