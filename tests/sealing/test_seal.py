"""Sealing: what heads have moved to is logged, each entry once, and only what holds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest

from ledger import Draft, Entry
from ledger.errors import (
    ConflictError,
    IntegrityError,
    KeyUnavailable,
    MalformedError,
    NotDurable,
    NotFoundError,
    StoreUnavailable,
    TrustError,
)
from ledger.format import layout
from ledger.format.layout import (
    LOG_CHECKPOINT,
    LOG_STATE,
    PENDING,
    entry_key,
    head_key,
    parse_pending_key,
    pending_key,
    pending_prefix,
    sealed_key,
    staging_key,
    tile_key,
)
from ledger.sealing import seal as seal_module
from ledger.sealing.memory import MemoryFile, SealerMemory
from ledger.sealing.pending import pending_titles
from ledger.sealing.publish import extend
from ledger.sealing.seal import seal
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.titles.history import History
from ledger.tlog import (
    Checkpoint,
    Leaf,
    TileBuilder,
    check_receipt,
    open_checkpoint,
    sign_checkpoint,
)
from ledger.tlog.objects import LogState
from tests.sealing.sealers import (
    CLOCK,
    KEYRING,
    LOG_KEY,
    REGISTRAR,
    Sealer,
    assert_sealed,
    ledger_in,
    log_in,
    logged,
)
from tests.tampering import objects_of
from tests.wrappers import CountingStore, Wrapper


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def ledger(store):
    return ledger_in(store)


@pytest.fixture
def sealer(tmp_path, store, ledger):
    """A sealer that has begun the log."""
    sealer = Sealer(tmp_path)
    sealer.seal(store, genesis=True)
    return sealer


def put(store, key, data):
    """Write as somebody who can write to the store, whatever was there."""
    objects = objects_of(store)
    objects[key] = data
    reset(store, objects)


def reset(store, objects):
    store.__init__()
    store.create_many((key, data) for key, data in objects.items() if data is not None)


def slugs(done):
    return [(finding.slug, finding.object_key) for finding in done.report.findings]


# --- what is logged ------------------------------------------------------------------------------


def test_every_entry_is_logged_in_the_order_of_its_title(store, ledger, sealer):
    for title in ("A", "A-1", "B2", "A"):
        ledger.append(title, {"n": 1})
    done = sealer.seal(store)
    assert (done.leaves, done.markers) == (4, 4)
    assert done.report
    assert (done.report.titles, done.report.entries) == (3, 4)
    assert done.signed == log_in(store).checkpoint()
    assert done.signed.checkpoint.size == 4
    assert_sealed(ledger)


def test_a_log_begins_empty_and_signed(store, tmp_path, ledger):
    done = Sealer(tmp_path).seal(store, genesis=True)
    assert done.signed.checkpoint == Checkpoint(ORIGIN, 0, hashlib.sha256().digest())
    assert log_in(store).checkpoint() == done.signed
    assert_sealed(ledger)


def test_where_nothing_moved_nothing_is_signed_or_written(store, ledger, sealer):
    ledger.append("A", {})
    first = sealer.seal(store)
    before = objects_of(store)
    again = sealer.seal(store)
    assert (again.signed, again.leaves, again.markers) == (first.signed, 0, 0)
    assert objects_of(store) == before


def test_entries_appended_between_two_seals_are_logged_by_the_second(store, ledger, sealer):
    ledger.append("A", {"n": 1})
    first = sealer.seal(store).signed.checkpoint
    ledger.append("A", {"n": 2})
    ledger.append("A", {"n": 3})
    second = sealer.seal(store)
    assert second.leaves == 2
    log_in(store).check_continues(second.signed.checkpoint, first)
    assert [leaf.version for leaf in logged(store)] == [1, 2, 3]
    assert_sealed(ledger)


def test_more_entries_than_fit_into_one_commit_take_several(store, ledger, sealer, monkeypatch):
    monkeypatch.setattr(seal_module, "BATCH", 3)
    for _ in range(5):
        ledger.append("A", {})
    for title in ("B", "C", "D"):
        ledger.append(title, {})
    done = sealer.seal(store)
    assert (done.leaves, done.signed.checkpoint.size) == (8, 8)
    assert_sealed(ledger)


def test_parts_that_are_found_together_are_committed_together(store, ledger, sealer, monkeypatch):
    """Of the folders that markers are spread over, those of the parts come first and last."""
    order = sorted((f"T{number}" for number in range(20)), key=pending_prefix)
    monkeypatch.setattr(seal_module, "BATCH", 5)
    ends = [Draft(order[0], {}), Draft(order[-1], {})]
    ledger.register(ends, reference="APP")
    for title in order[1:-1]:
        ledger.append(title, {})
    assert sealer.seal(store).leaves == 20
    places = {leaf.title_number: at for at, leaf in enumerate(logged(store))}
    sizes = [checkpoint.size for checkpoint in sealer.signed]
    (commits,) = {
        tuple(size for size in sizes if size <= places[draft.title_number]) for draft in ends
    }
    assert commits
    assert_sealed(ledger)


def test_a_part_is_logged_without_the_others(store, ledger, sealer):
    ledger.submit(Draft("A", {}, reference="APP", part=(1, 2)))
    assert sealer.seal(store).leaves == 1


def test_the_tiles_of_a_large_seal_are_those_of_the_format(store, ledger, sealer):
    for number in range(300):
        ledger.append(f"TN{number}", {})
    assert sealer.seal(store, jobs=2).leaves == 300
    assert_sealed(ledger)
    ledger.append("TN7", {})
    sealer.seal(store)
    assert_sealed(ledger)


def test_without_markers_only_a_seal_of_every_title_logs_an_entry(store, ledger, sealer):
    ledger.append("A", {})
    ledger.append("B", {})
    for key in list(store.list(PENDING)):
        store.delete(key)
    ledger.append("B", {})
    assert [leaf.title_number for leaf in logged(store)] == []
    assert sealer.seal(store).leaves == 2  # B's marker led to both of its entries
    assert sealer.seal(store, every_title=True).leaves == 1
    assert_sealed(ledger)
    assert sealer.seal(store, every_title=True).leaves == 0


def test_markers_are_read_in_whatever_order_their_folders_have(store, ledger, sealer):
    titles = [f"TN{number}" for number in range(40)] + ["A", "A.1", "A-1", "A.1.1"]
    for title in titles:
        for _ in range(2):
            ledger.append(title, {})
    listed = [title for title, _ in pending_titles(store)]
    assert sorted(listed) == sorted(titles)
    assert listed != sorted(listed)
    assert sealer.seal(store).leaves == 2 * len(titles)
    assert_sealed(ledger)


def test_titles_whose_markers_share_a_folder_are_found_once_each(store):
    folder = layout.pending_prefix("A").rpartition("/")[0]
    other = next(
        title
        for title in (f"A.{number}" for number in range(100, 100_000))
        if layout.pending_prefix(title).startswith(folder) and title[2] == "1"
    )
    for title, version in (("A", 1), ("A", 20), ("A", 3), (other, 1)):
        store.create(pending_key(title, version, "0" * 64), b"")
    found = {title: [m.version for m in markers] for title, markers in pending_titles(store)}
    assert found == {"A": [1, 20, 3], other: [1]}
    assert [key.startswith(f"{folder}/{other}.") for key in store.list(PENDING)][0::3] == [
        False,
        False,
    ]


def test_a_marker_of_an_append_that_never_happened_stays(store, ledger, sealer):
    ledger.append("A", {})
    waiting = pending_key("A", 2, "0" * 64)
    store.create(waiting, b"")
    first = pending_key("B", 1, "0" * 64)
    store.create(first, b"")
    done = sealer.seal(store)
    assert done.report
    assert set(store.list(PENDING)) == {waiting, first}


def test_a_marker_of_an_append_that_lost_its_race_is_settled(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    store.create(pending_key("A", 1, "0" * 64), b"")
    done = sealer.seal(store)
    assert (done.leaves, done.markers) == (0, 1)
    assert_sealed(ledger)


def test_the_receipts_of_all_versions_hold(store, ledger, sealer):
    for title in ("A", "B", "A", "A"):
        ledger.append(title, {})
        sealer.seal(store)
    for title in ("A", "B"):
        for entry in ledger.log(title):
            leaf = Leaf(title, entry.version, entry.address)
            receipt = log_in(store).receipt(leaf)
            check_receipt(receipt, leaf.encode(), origin=ORIGIN, log_keys=[LOG_KEY.public_key])


def test_what_is_not_logged_yet_has_no_receipt(store, ledger, sealer):
    entry = ledger.append("A", {})
    with pytest.raises(NotFoundError, match="not in the log"):
        log_in(store).receipt(Leaf("A", 1, entry.address))
    sealer.seal(store)
    with pytest.raises(NotFoundError, match="not in the log"):
        log_in(store).receipt(Leaf("A", 1, "0" * 64))


# --- what may seal -------------------------------------------------------------------------------


def test_a_key_that_is_no_logs_key_seals_nothing(tmp_path, store, ledger):
    history = History(store, ORIGIN, KEYRING)
    for key in (REGISTRAR, signer("mallory")):
        with pytest.raises(TrustError, match="is not a key of the log"):
            seal(history, key, tmp_path / "memory", CLOCK.now, genesis=True)
    assert store.get(LOG_STATE) is None


def test_a_signer_that_signs_something_else_seals_nothing(store, ledger, sealer):
    class Broken:
        public_key = LOG_KEY.public_key
        limit = None

        def sign(self, data):
            return LOG_KEY.sign(data + b"!")

    ledger.append("A", {})
    before = store.get(LOG_STATE)
    with pytest.raises(KeyUnavailable, match="does not verify"):
        seal(History(store, ORIGIN, KEYRING), Broken(), sealer.memory, CLOCK.now)
    assert store.get(LOG_STATE) == before


def test_two_sealers_with_keys_of_their_own_make_one_log(tmp_path, store, ledger):
    other = signer("another log key")
    keyring = KEYRING.trust(ORIGIN, other.public_key, role="log")
    history = History(store, ORIGIN, keyring)
    ledger.append("A", {})
    seal(history, LOG_KEY, tmp_path / "one", CLOCK.now, genesis=True)
    ledger.append("A", {})
    done = seal(history, other, tmp_path / "two", CLOCK.now, adopt=True)
    assert done.leaves == 1
    ledger.append("A", {})
    assert seal(history, LOG_KEY, tmp_path / "one", CLOCK.now).signed.checkpoint.size == 3


def test_a_log_is_begun_only_where_that_is_declared(tmp_path, store, ledger):
    with pytest.raises(NotFoundError) as caught:
        Sealer(tmp_path).seal(store)
    assert "--genesis" in caught.value.hint
    with pytest.raises(NotFoundError):
        Sealer(tmp_path).seal(store, adopt=True)


def test_a_sealer_without_memory_goes_on_only_where_that_is_declared(
    tmp_path, store, ledger, sealer
):
    ledger.append("A", {})
    new = Sealer(tmp_path, "new")
    for options in ({}, {"genesis": True}):
        with pytest.raises(ConflictError, match="no memory") as caught:
            new.seal(store, **options)
        assert "--adopt" in caught.value.hint
    assert new.seal(store, adopt=True).leaves == 1
    ledger.append("A", {})
    assert new.seal(store).leaves == 1
    assert sealer.seal(store).leaves == 0
    assert_sealed(ledger)


def test_a_new_sealer_adopts_no_log_that_is_behind_what_is_published(
    tmp_path, store, ledger, sealer
):
    old = store.get(LOG_STATE)
    ledger.append("A", {})
    sealer.seal(store)
    put(store, LOG_STATE, old.data)
    with pytest.raises(IntegrityError) as caught:
        Sealer(tmp_path, "new").seal(store, adopt=True)
    assert caught.value.reason == "log-set-back"


def test_the_memory_of_another_ledger_is_refused(tmp_path, store, ledger, sealer):
    text = sealer.memory.read_text().replace(f'"origin":"{ORIGIN}"', '"origin":"example.org/other"')
    sealer.memory.write_text(text)
    with pytest.raises(TrustError, match=r"the memory of a sealer of example\.org/other"):
        sealer.seal(store)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"format":1}'])
def test_a_damaged_memory_is_refused(store, sealer, damage):
    sealer.memory.write_bytes(damage)
    with pytest.raises(MalformedError, match="not the memory of a sealer"):
        sealer.seal(store)


def test_a_memory_that_cannot_be_written_seals_nothing(tmp_path, store, ledger):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="memory of the sealer"):
        Sealer(tmp_path / "file").seal(store, genesis=True)
    assert store.get(LOG_STATE) is None


def test_the_memory_is_for_its_owner_alone(sealer):
    assert sealer.memory.stat().st_mode & 0o777 == 0o600


# --- titles that do not hold ---------------------------------------------------------------------


def test_a_garbage_head_is_reported_and_the_rest_is_sealed(store, ledger, sealer):
    ledger.append("A", {})
    kept = ledger.append("B", {})
    put(store, head_key("A"), b"garbage")
    done = sealer.seal(store)
    assert slugs(done) == [("malformed-entry", "A/head.json")]
    assert done.report.outcome == "tampered"
    assert logged(store) == [Leaf("B", 1, kept.address)]
    assert [parse_pending_key(key)[0] for key in store.list(PENDING)] == ["A"]
    put(store, head_key("A"), objects_of(store)[next(store.list("A/"))])
    assert sealer.seal(store).leaves == 1  # mended, and found again by its marker
    assert_sealed(ledger)


def test_an_entry_signed_by_nobody_who_counts_is_not_logged(store, ledger, sealer):
    mallory = signer("mallory")
    entry = Entry.sign(
        mallory,
        ledger=ORIGIN,
        title_number="A",
        document={},
        recorded_at="2026-11-23T10:00:00.000000Z",
        salt=bytes(32),
        parent=None,
    )
    for key, data in (
        (entry_key("A", entry.address), entry.data),
        (head_key("A"), entry.data),
        (pending_key("A", 1, entry.address), b""),
    ):
        store.create(key, data)
    assert slugs(sealer.seal(store)) == [("unknown-key", "A/head.json")]
    assert logged(store) == []


def test_a_head_that_does_not_descend_from_what_is_logged_is_reported(store, ledger, sealer):
    first = ledger.append("A", {"n": 1})
    ledger.append("A", {"n": 2})
    sealer.seal(store)
    put(store, head_key("A"), first.data)  # set back by one, and another way taken from there
    ledger.append("A", {"n": "sibling"})
    done = sealer.seal(store)
    assert slugs(done) == [("not-as-logged", "A/head.json")]
    assert "its chain lacks version 2" in done.report.findings[0].message
    ledger.append("A", {"n": 3})
    assert slugs(sealer.seal(store)) == [("not-as-logged", "A/head.json")]
    assert len(list(store.list(PENDING))) == 2
    assert len(logged(store)) == 2


def test_a_head_that_is_gone_is_reported(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    ledger.append("A", {})
    put(store, head_key("A"), None)
    assert slugs(sealer.seal(store)) == [("head-missing", "A/head.json")]
    put(store, sealed_key("A"), None)
    assert ("head-missing", "A/head.json") in slugs(sealer.seal(store))


def test_a_broken_chain_below_the_head_is_reported(store, ledger, sealer):
    first = ledger.append("A", {})
    ledger.append("A", {})
    put(store, entry_key("A", first.address), None)
    assert slugs(sealer.seal(store)) == [("entry-missing", entry_key("A", first.address))]
    assert logged(store) == []


def test_what_cannot_be_read_is_unchecked_and_left_for_later(tmp_path):
    folder = tmp_path / "store"
    store = FolderStore(folder)
    ledger = ledger_in(store)
    sealer = Sealer(tmp_path)
    ledger.append("A", {})
    ledger.append("B", {})
    head = folder / head_key("A")
    head.rename(folder / "kept")
    head.mkdir()
    done = sealer.seal(store, genesis=True)
    assert slugs(done) == [("damaged", "A/head.json")]
    assert done.leaves == 1
    head.rmdir()
    (folder / "kept").rename(head)
    assert sealer.seal(store).leaves == 1
    assert_sealed(ledger)


# --- a store that somebody else writes to --------------------------------------------------------


def test_a_log_that_was_set_back_to_last_week_is_not_continued(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    last_week = objects_of(store)
    ledger.append("A", {})
    sealer.seal(store)
    ledger.append("B", {})
    newest = sealer.seal(store).signed
    reset(store, last_week)
    ledger.append("C", {})
    before = objects_of(store)
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert caught.value.reason == "log-set-back"
    assert caught.value.object_key == LOG_STATE
    assert "3 leaves is what this sealer remembers" in str(caught.value)
    assert objects_of(store) == before
    assert newest.note.decode() in json.loads(sealer.memory.read_text())["seen"]


def test_a_log_that_was_set_back_by_one_is_not_continued(store, ledger, sealer):
    before = objects_of(store)
    ledger.append("A", {})
    sealer.seal(store)
    reset(store, before)
    ledger.append("B", {})
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert caught.value.reason == "log-set-back"


def test_a_log_that_was_taken_away_is_not_begun_again(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    objects = objects_of(store)
    reset(store, {k: d for k, d in objects.items() if not k.startswith("_log/")})
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store, genesis=True)
    assert caught.value.reason == "log-set-back"


def test_a_fork_by_another_sealer_is_not_continued(tmp_path, store, ledger, sealer):
    before = objects_of(store)
    ledger.append("A", {})
    sealer.seal(store)
    reset(store, before)  # and a sealer on another machine, which saw nothing of it
    ledger.append("B", {})
    ledger.append("B", {})
    Sealer(tmp_path, "other").seal(store, adopt=True)
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert caught.value.reason == "not-consistent"


def test_a_declared_restore_is_accepted_and_kept_with_its_words(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    backup = objects_of(store)
    ledger.append("A", {})
    lost = sealer.seal(store).signed
    reset(store, backup)
    ledger.append("B", {})
    done = sealer.seal(store, restored="disk lost on Monday; backup of Sunday")
    assert done.signed.checkpoint.size == 2
    assert_sealed(ledger)
    remembered = MemoryFile(sealer.memory).read()
    assert [each.note for each in remembered.set_aside] == [lost.note.decode()]
    assert remembered.set_aside[0].words == "disk lost on Monday; backup of Sunday"
    ledger.append("B", {})
    assert sealer.seal(store).leaves == 1  # declared once, and no more needed
    assert_sealed(ledger)


def test_after_a_declared_restore_no_later_checkpoint_stays_published(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    backup = objects_of(store)
    ledger.append("A", {})
    sealer.seal(store)
    published = store.get(LOG_CHECKPOINT).data
    reset(store, backup | {LOG_CHECKPOINT: published})
    sealer.seal(store, restored="backup of Sunday")
    assert_sealed(ledger)


def test_a_restore_to_before_there_was_a_log_begins_another(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    objects = objects_of(store)
    reset(store, {k: d for k, d in objects.items() if not k.startswith("_log/")})
    done = sealer.seal(store, restored="the log was lost", every_title=True)
    assert done.leaves == 1
    assert_sealed(ledger)


def forged_state(store, key, leaves):
    """A state with consistent staged leaves on top of the log, signed by some key."""
    found = log_in(store).state()[0].checkpoint
    commit = extend(log_in(store).builder(found.size), [leaf.encode() for leaf in leaves])
    note = sign_checkpoint(Checkpoint(ORIGIN, commit.builder.size, commit.builder.root()), key)
    signed = open_checkpoint(note, origin=ORIGIN, log_keys=[key.public_key])
    return LogState(signed, commit.staging), commit.staged


@pytest.mark.parametrize("signed_by", ["nobody", "another key", "the registrar"])
def test_a_forged_state_is_refused_whatever_is_staged(store, ledger, sealer, signed_by):
    ledger.append("A", {})
    sealer.seal(store)
    key = REGISTRAR if signed_by == "the registrar" else signer("mallory")
    state, staged = forged_state(store, key, [Leaf("EVIL", 1, "e" * 64)])
    data = state.encode()
    if signed_by == "nobody":
        value = json.loads(data)
        real = log_in(store).checkpoint().note.decode()
        value["checkpoint"] = value["checkpoint"].split("\n\n")[0] + "\n\n" + real.split("\n\n")[1]
        data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    put(store, LOG_STATE, data)
    put(store, staging_key(state.staging.name), staged)
    before = objects_of(store)
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert (caught.value.reason, caught.value.object_key) == ("bad-state", LOG_STATE)
    assert objects_of(store) == before


@pytest.mark.parametrize("change", ["missing", "other leaves", "other bytes", "a tile"])
def test_a_commit_whose_leaves_do_not_lead_to_its_root_is_not_published(
    store, ledger, sealer, change
):
    ledger.append("A", {})
    sealer.seal(store)
    published = objects_of(store)
    state, staged = forged_state(store, LOG_KEY, [Leaf("A", 2, "e" * 64)])
    other, other_staged = forged_state(store, LOG_KEY, [Leaf("A", 2, "f" * 64)])
    key = staging_key(state.staging.name)
    objects = published | {LOG_STATE: state.encode(), key: staged}
    if change == "missing":
        del objects[key]
    elif change == "other leaves":
        swapped = LogState(state.signed, other.staging)
        objects |= {
            LOG_STATE: swapped.encode(),
            (key := staging_key(other.staging.name)): other_staged,
        }
    elif change == "other bytes":
        objects[key] = staged[:-1]
    else:
        objects[tile_key("tile/0/000.p/1")] = bytes(32)
    reset(store, objects)
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert caught.value.reason == ("wrong-root" if change == "a tile" else "bad-staging")
    assert objects_of(store) == objects


def test_new_leaves_go_on_no_tiles_but_the_logs_own(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    put(store, tile_key("tile/entries/000.p/1"), b"\x00\x01x")
    ledger.append("A", {})
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert caught.value.reason == "wrong-root"


def test_a_partial_tile_that_is_gone_is_cut_of_the_full_one(store, ledger, sealer):
    for _ in range(3):
        ledger.append("A", {})
    small = sealer.seal(store).signed
    for number in range(260):
        ledger.append(f"TN{number}", {})
    sealer.seal(store)
    put(store, tile_key("tile/0/000.p/3"), None)
    put(store, tile_key("tile/entries/000.p/3"), None)
    builder = TileBuilder()
    for leaf in log_in(store).leaves(3):
        builder.append(leaf)
    assert builder.root() == small.checkpoint.root


def test_a_tile_that_is_gone_is_named(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    put(store, tile_key("tile/0/000.p/1"), None)
    ledger.append("A", {})
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert (caught.value.reason, caught.value.object_key) == (
        "tile-missing",
        "_log/tile/0/000.p/1",
    )


def test_a_tile_that_somebody_wrote_beforehand_is_named_and_then_mended(store, ledger, sealer):
    ledger.append("A", {})
    put(store, tile_key("tile/0/000.p/1"), b"in the way")
    with pytest.raises(IntegrityError, match=r"tile/0/000\.p/1") as caught:
        sealer.seal(store)
    assert caught.value.reason == "foreign-tile"
    put(store, tile_key("tile/0/000.p/1"), None)
    sealer.seal(store)
    assert_sealed(ledger)


def test_a_forged_checkpoint_is_replaced_by_the_next(store, ledger, sealer):
    mallory = signer("mallory")
    forged = Checkpoint(ORIGIN, 10**9, b"r" * 32)
    put(store, LOG_CHECKPOINT, sign_checkpoint(forged, mallory))
    ledger.append("A", {})
    sealer.seal(store)
    assert_sealed(ledger)


def test_an_attempt_whose_leaves_were_taken_away_is_refused(store, ledger, sealer):
    ledger.append("A", {})
    before = objects_of(store)
    sealer_memory = MemoryFile(sealer.memory)
    remembered = sealer_memory.read()
    state, _ = forged_state(store, LOG_KEY, [Leaf("A", 1, "a" * 64)])
    sealer_memory.write(type(remembered)(ORIGIN, remembered.seen, state.encode()))
    with pytest.raises(IntegrityError) as caught:
        sealer.seal(store)
    assert caught.value.reason == "bad-staging"
    assert objects_of(store) == before
    assert sealer.seal(store, restored="staging was lost").leaves == 1
    assert_sealed(ledger)


def test_a_head_that_cannot_be_forced_to_the_disk_is_left_for_the_next_seal(store, ledger, sealer):
    """Its writer may have been stopped: a power cut could take back what the log has already."""

    class Doubtful(Wrapper):
        def make_durable(self, key):
            if key == head_key("A"):
                raise NotDurable("the disk says no")

    for title in ("A", "B"):
        ledger.append(title, {})
    (finding,) = sealer.seal(Doubtful(store)).report.findings
    assert (finding.severity, finding.slug) == ("unchecked", "not-durable")
    assert finding.object_key == head_key("A")
    assert [leaf.title_number for leaf in logged(store)] == ["B"]
    assert sealer.seal(store).leaves == 1
    assert_sealed(ledger)


# --- what it costs -------------------------------------------------------------------------------


def requests(store, work):
    counting = CountingStore(store)
    return Counter(operation for operation, _ in counting.during(lambda: work(counting)))


def test_a_seal_of_nothing_is_four_requests(store, ledger, sealer):
    ledger.append("A", {})
    sealer.seal(store)
    assert requests(store, sealer.seal) == {"get": 2, "list": 2}


@pytest.mark.parametrize("titles", [1, 10])
def test_the_requests_of_a_seal_grow_by_seven_a_title(store, ledger, sealer, titles):
    for number in range(titles):
        ledger.append(f"TN{number}", {})
    sealer.seal(store)
    for number in range(titles):
        ledger.append(f"TN{number}", {})
    assert requests(store, sealer.seal) == {
        # the state, the checkpoint twice, two tiles; record, head, entry and parent of each title
        "get": 5 + 4 * titles,
        "create": 3,  # staging, two tiles
        "replace": 2 + titles,  # the state, the checkpoint; the record of each title
        "list": 3,  # staging twice, markers
        "delete": 1 + titles,  # staging; the marker of each title
    }


@pytest.mark.parametrize("planted", [".{name}.tmp", "{name}"])
def test_a_link_that_somebody_planted_where_the_memory_is_written_leads_nowhere(
    tmp_path, store, sealer, planted
):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    remembered = sealer.memory.read_bytes()
    link = sealer.memory.with_name(planted.format(name=sealer.memory.name))
    link.unlink(missing_ok=True)
    link.symlink_to(victim)
    MemoryFile(sealer.memory).write(SealerMemory.decode(remembered))
    assert victim.read_bytes() == b"precious"
    assert sealer.memory.read_bytes() == remembered
    assert not sealer.memory.is_symlink()
