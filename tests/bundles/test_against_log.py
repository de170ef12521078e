"""A bundle is held against its own log, and what is refused or empty is no yes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, audit_bundle, verify_bundle
from ledger.errors import IntegrityError, NotABundle, NotFoundError, OriginNotPinned
from ledger.format.bundle import write_bundle
from ledger.format.canonical import encode
from ledger.format.layout import LOG_CHECKPOINT, entry_key, head_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, keyring_for
from tests.bundles.bundles import contents
from tests.sealing.sealers import CLOCK, KEYRING, REGISTRAR, Sealer, ledger_in
from tests.verification.register import slugs

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Keyring, Report

Members = list[tuple[str, bytes]]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """TN1 with three versions and TN2 with one, logged."""
    ledger = ledger_in(MemoryStore())
    for version in range(3):
        ledger.append("TN1", {"owner": version})
    ledger.append("TN2", {})
    Sealer(tmp_path).seal(ledger.store, genesis=True)
    return ledger


def bundle(ledger: Ledger, *titles: str, since: io.BytesIO | None = None) -> Members:
    out = io.BytesIO()
    earlier = []
    if since:
        since.seek(0)
        earlier = [since]
    ledger.export(out, titles or None, since=earlier)
    return contents(io.BytesIO(out.getvalue()))


def file_of(members: Members) -> io.BytesIO:
    return io.BytesIO(b"".join(write_bundle(iter(members))))


def report(members: Members, keyring: Keyring = KEYRING) -> Report:
    return verify_bundle(file_of(members), keyring=keyring, clock=CLOCK)


def set_back(ledger: Ledger, members: Members) -> Members:
    """TN1 at its second version, with the log left as it is."""
    newest, before = list(ledger.log("TN1"))[:2]
    kept = [each for each in members if each[0] != entry_key("TN1", newest.address)]
    return [(k, before.data if k == head_key("TN1") else data) for k, data in kept]


def without(members: Members, *prefixes: str) -> Members:
    return [each for each in members if not each[0].startswith(prefixes)]


def test_a_bundle_that_is_as_far_as_its_log_or_further_verifies(ledger: Ledger) -> None:
    assert report(bundle(ledger))
    ledger.append("TN1", {})
    ledger.append("TN3", {})
    assert report(bundle(ledger))


def test_a_title_that_was_set_back_or_taken_out_is_refuted_by_the_log_beside_it(
    ledger: Ledger,
) -> None:
    members = bundle(ledger)
    for changed, slug in (
        (set_back(ledger, members), "not-as-logged"),
        (without(members, "TN2/"), "head-missing"),
        (without(members, "TN1/", "TN2/"), "head-missing"),
    ):
        found = report(changed)
        assert found.outcome == "tampered"
        assert slug in slugs(found)
        store = MemoryStore()
        target = Ledger.for_import(store, origin=ORIGIN, keyring=KEYRING)
        with pytest.raises(IntegrityError, match="log refutes it") as caught:
            target.import_bundle(file_of(changed))
        assert caught.value.reason == slug
        assert list(store.list()) == []


def test_a_title_that_was_left_out_keeps_the_others_from_no_restore(ledger: Ledger) -> None:
    """It is unchecked, for the bundle says so; what is missing without a word is tampering."""
    members = without(bundle(ledger), "TN2/")
    header = {"complete": True, "format": 2, "left_out": ["TN2"], "origin": ORIGIN}
    found = report([("bundle.json", encode(header)), *members[1:]])
    assert (found.outcome, slugs(found)) == ("unchecked", ["left-out"])
    copy = Ledger.for_import(MemoryStore(), origin=ORIGIN, keyring=KEYRING)
    done = copy.import_bundle(file_of([("bundle.json", encode(header)), *members[1:]]))
    assert (done.moved, done.leaves, done.titles_left_out) == (1, 4, ("TN2",))
    assert copy.verify("TN1")


def test_whose_log_nobody_can_check_refutes_nothing(ledger: Ledger) -> None:
    found = report(without(bundle(ledger), "TN2/"), keyring_for(REGISTRAR))
    assert found
    assert any("no key of the log" in said for said in found.not_shown)


def test_an_incremental_bundle_says_what_must_be_in_an_earlier_one(ledger: Ledger) -> None:
    first = file_of(bundle(ledger))
    ledger.append("TN3", {})
    members = bundle(ledger, since=first)
    assert [key for key, _ in members if key.endswith("head.json")] == ["TN3/head.json"]
    found = report(members)
    assert (found.outcome, slugs(found)) == ("unchecked", ["not-in-bundle"])
    assert "2 titles" in found.findings[0].message
    copy = Ledger.for_import(MemoryStore(), origin=ORIGIN, keyring=KEYRING)
    first.seek(0)
    copy.import_bundle(first)
    copy.import_bundle(file_of(members))
    assert list(copy.titles()) == ["TN1", "TN2", "TN3"]


def test_titles_taken_out_of_a_bundle_that_is_then_called_incremental(ledger: Ledger) -> None:
    members = without(bundle(ledger), "TN2/")
    header = {"complete": False, "format": 2, "origin": ORIGIN}
    found = report([("bundle.json", encode(header)), *members[1:]])
    assert (found.outcome, slugs(found)) == ("unchecked", ["not-in-bundle"])


def test_a_bundle_of_some_titles_has_no_log_to_be_held_against(ledger: Ledger) -> None:
    assert report(bundle(ledger, "TN2"))


def test_an_empty_bundle_of_a_ledger_that_has_a_log_is_no_yes(ledger: Ledger) -> None:
    empty = bundle(ledger_in(MemoryStore()))
    found = report(empty)
    assert (found.outcome, slugs(found)) == ("unchecked", ["nothing-there"])
    assert report(empty, keyring_for(REGISTRAR))


def test_a_bundle_of_a_ledger_that_was_just_begun_is_one(tmp_path: Path) -> None:
    new = ledger_in(MemoryStore())
    Sealer(tmp_path).seal(new.store, genesis=True)
    assert report(bundle(new))


def test_a_bundle_that_is_refused_writes_nothing(ledger: Ledger) -> None:
    members = bundle(ledger)
    damaged = [(k, d[:-1] if k.startswith("TN2/") else d) for k, d in members]
    cut = file_of(members).getvalue()[:-2000]
    for bad in (file_of(damaged), io.BytesIO(cut), io.BytesIO(b"")):
        store = MemoryStore()
        target = Ledger.for_import(store, origin=ORIGIN, keyring=KEYRING)
        with pytest.raises((IntegrityError, NotABundle)):
            target.import_bundle(bad)
        assert list(store.list()) == []
    target = Ledger.for_import(MemoryStore(), origin=ORIGIN, keyring=KEYRING)
    target.import_bundle(file_of(members))
    assert target.verify_all()


def test_an_audit_of_a_bundle_insists_on_its_log(ledger: Ledger) -> None:
    whole = bundle(ledger)
    assert audit_bundle(file_of(whole), keyring=KEYRING, clock=CLOCK)
    found = audit_bundle(file_of(without(whole, "TN2/")), keyring=KEYRING, clock=CLOCK)
    assert slugs(found) == ["head-missing"]
    with pytest.raises(NotFoundError, match="carries no log"):
        audit_bundle(file_of(bundle(ledger, "TN2")), keyring=KEYRING)
    with pytest.raises(OriginNotPinned, match="no key of the log"):
        audit_bundle(file_of(whole), keyring=keyring_for(REGISTRAR))
    with pytest.raises(NotABundle):
        audit_bundle(io.BytesIO(b"x"), keyring=KEYRING)


# --- a store that was emptied --------------------------------------------------------------------


def emptied(ledger: Ledger, *prefixes: str, keyring: Keyring = KEYRING) -> Ledger:
    store = MemoryStore()
    for key in ledger.store.list():
        blob = ledger.store.get(key)
        if blob and not key.startswith(("TN", *prefixes)):
            store.create(key, blob.data)
    return Ledger.open(store, keyring=keyring, clock=CLOCK)


def test_an_emptied_store_of_a_ledger_that_has_a_log_is_no_yes(ledger: Ledger) -> None:
    for check in (Ledger.verify_all, Ledger.fsck):
        found = check(emptied(ledger))
        assert found.outcome == "tampered"
        assert "nothing-there" in slugs(found)
        found = check(emptied(ledger, "_"))
        assert found.outcome == "unchecked"
        assert "nothing-there" in slugs(found)
        found = check(emptied(ledger, keyring=keyring_for(REGISTRAR)))
        assert found.outcome == "unchecked"
        assert check(emptied(ledger, "_", keyring=keyring_for(REGISTRAR)))


def test_an_emptied_store_of_which_a_state_remembers_titles_is_no_yes(
    ledger: Ledger, tmp_path: Path
) -> None:
    assert ledger.verify_all(state=tmp_path / "memory")
    gone = emptied(ledger, "_", keyring=keyring_for(REGISTRAR))
    found = gone.verify_all(state=tmp_path / "memory")
    assert found.outcome == "tampered"
    assert slugs(found).count("head-missing") == 2


def test_a_ledger_that_was_just_begun_verifies(tmp_path: Path) -> None:
    new = ledger_in(MemoryStore())
    Sealer(tmp_path).seal(new.store, genesis=True)
    assert new.store.get(LOG_CHECKPOINT)
    assert new.verify_all()
    assert new.fsck()
