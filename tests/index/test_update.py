"""Keeping an index up to date: what goes in, what stays out, what is read, what it survives."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ledger import InvalidError, NotFoundError
from ledger.errors import ConflictError, NotProven, OriginNotPinned, StoreUnavailable
from ledger.format.layout import LOG, head_key
from ledger.index import Index
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import FixedClock, keyring_for, memory_ledger, signer
from tests.index.helpers import dump, found, rows, update
from tests.sealing.sealers import Sealer, ledger_in
from tests.tampering import SCENARIOS, TITLE, Scenario, objects_of, processes, small_world, without
from tests.trust.registry import Registry, rob
from tests.wrappers import CountingStore, FailingStore

if TYPE_CHECKING:
    from pathlib import Path


LISTED = "SELECT title_number, version, address FROM entries"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


# -- What stays out --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario",
    [  # whatever is tampered with is found by a verification: tests/verification/test_tampering.py
        pytest.param(scenario, id=scenario.name, marks=[pytest.mark.slow] if number % 3 else [])
        for number, scenario in enumerate(SCENARIOS)
    ],
)
def test_only_what_verifies_is_in_it(path: Path, scenario: Scenario) -> None:
    world = small_world()
    scenario.change(world)
    ledger = world.open()
    expected = ledger.verify_all()
    report = update(ledger, path)
    assert (report.outcome, report.findings) == (expected.outcome, expected.findings)
    listed = {each for each in rows(path, LISTED) if each[0] == TITLE}
    left_out = rows(path, "SELECT title_number, finding FROM left_out")
    if scenario.needs_pin:  # it knows of nothing from before
        there = ledger.log(TITLE) if TITLE in ledger.titles() else ()
        assert listed == {(TITLE, entry.version, entry.address) for entry in there}
    else:
        assert (TITLE, scenario.slug) in left_out
        assert not listed


def test_a_title_that_was_set_back_leaves_it_and_stays_out(path: Path) -> None:
    world = small_world()
    store = world.store()
    ledger = world.open(store)
    update(ledger, path)
    blob = store.get(head_key(TITLE))
    assert blob is not None
    store.replace(head_key(TITLE), world.entries[1].data, blob.version)
    for _ in range(2):  # it remembers what was there
        report = update(ledger, path)
        assert [each.slug for each in report.findings] == ["pin-missing"]
        assert found(ledger, path, "bo", every_version=True) == []
    store.replace(head_key(TITLE), blob.data, store.get(head_key(TITLE)).version)  # type: ignore[union-attr]
    assert update(ledger, path)
    assert found(ledger, path, "bo", every_version=True) == [(TITLE, 2)]


def test_a_title_that_is_gone_leaves_it(path: Path) -> None:
    world = small_world()
    store = world.store()
    update(world.open(store), path)
    report = update(world.open(without(store, f"{TITLE}/")), path)
    assert [each.slug for each in report.findings] == ["head-missing"]
    assert {title for (title,) in rows(path, "SELECT title_number FROM entries")} == {"TN2"}


def test_a_store_out_of_reach_takes_nothing_away(path: Path) -> None:
    world = small_world()
    store = FailingStore(world.store(), None, operations=("get",), error=StoreUnavailable)
    ledger = world.open(store)
    update(ledger, path)
    before = rows(path, "SELECT * FROM entries")
    store.failing = store.count  # the next read
    store.failing += 2  # ledger's log, then the first head
    report = update(ledger, path)
    assert report.outcome == "unchecked"
    assert rows(path, "SELECT * FROM entries") == before
    assert update(ledger, path)
    assert rows(path, "SELECT * FROM left_out") == []


def test_an_index_goes_with_the_keys_that_it_relied_on(path: Path) -> None:
    ledger = memory_ledger()
    ledger.append("TN1", {"owner": "Ada"})
    update(ledger, path)
    assert found(ledger, path, "ada") == [("TN1", 1)]
    ledger.history.use_keyring(keyring_for(signer("bob")))
    with pytest.raises(NotProven, match="a key that counts no more"):
        found(ledger, path, "ada")
    assert [each.slug for each in update(ledger, path).findings] == ["unknown-key"]
    assert rows(path, "SELECT * FROM entries") == []


def test_a_key_that_was_revoked_takes_what_it_signed_with_it(tmp_path: Path, path: Path) -> None:
    registry = Registry(MemoryStore(), tmp_path)
    registry.write("TN1", message="first")
    registry.seal()
    assert update(registry.ledger(), path)
    rob(registry)
    with pytest.raises(NotProven, match="a key that counts no more"):
        found(registry.ledger(), path, "TN")
    assert update(registry.ledger(), path).outcome == "tampered"
    assert found(registry.ledger(), path, "TN") == [("TN3", 1)]


# -- What it reads ---------------------------------------------------------------------------------


def test_without_a_log_it_compares_heads(path: Path) -> None:
    store = CountingStore(MemoryStore())
    ledger = memory_ledger(store)
    for number in range(5):
        ledger.append(f"TN{number}", {"owner": "Ada"})
    update(ledger, path)
    again = store.during(lambda: update(ledger, path))
    heads = [("get", head_key(f"TN{number}")) for number in range(5)]
    assert [each for each in again if each[1].startswith("TN")] == heads
    entry = ledger.append("TN3", {"owner": "Bo"})
    after = store.during(lambda: update(ledger, path))
    assert len(after) == len(again) + 2  # the new entry, and the one that was known
    assert ("get", f"TN3/{entry.address}.json") in after


def test_with_a_log_it_reads_what_is_new_in_it_and_what_waits(tmp_path: Path, path: Path) -> None:
    store = CountingStore(MemoryStore())
    ledger, sealer = ledger_in(store), Sealer(tmp_path)
    for number in range(20):
        ledger.append(f"TN{number}", {"owner": "Ada"})
    sealer.seal(store, genesis=True)
    ledger.append("TN7", {"owner": "Bo"})
    with Index(ledger, path) as index:
        index.update(jobs=1)
        assert index.coverage()[1:2] == (20,)
    assert len(found(ledger, path, "owner OR ada")) == 0
    assert len(found(ledger, path, "ada")) == 19
    assert found(ledger, path, "bo") == [("TN7", 2)]  # not sealed yet

    def titles_read() -> list[str]:
        asked = store.during(lambda: update(ledger, path))
        return [key for operation, key in asked if operation == "get" and key.startswith("TN")]

    assert titles_read() == [head_key("TN7")]
    sealer.seal(store)
    assert titles_read() == [head_key("TN7")]
    assert titles_read() == []
    ledger.append("TN9", {"owner": "Cy"})
    sealer.seal(store)
    assert titles_read()[0] == head_key("TN9")
    assert found(ledger, path, "cy") == [("TN9", 2)]
    assert rows(path, "SELECT leaf FROM about") == [(22,)]


def test_titles_that_are_known_to_have_changed_are_all_that_is_read(path: Path) -> None:
    store = CountingStore(MemoryStore())
    ledger = memory_ledger(store)
    for number in range(3):
        ledger.append(f"TN{number}", {"owner": "Ada"})
    with Index(ledger, path) as index:
        asked = store.during(lambda: index.update(["TN1", "TN1"], jobs=1))
        assert found(ledger, path, "ada") == [("TN1", 1)]
    assert {key.partition("/")[0] for _, key in asked} == {"TN1"}


def test_a_log_that_was_set_back_is_not_followed(tmp_path: Path, path: Path) -> None:
    store = MemoryStore()
    ledger, sealer = ledger_in(store), Sealer(tmp_path)
    ledger.append("TN1", {"owner": "Ada"})
    sealer.seal(store, genesis=True)
    before = {key: data for key, data in objects_of(store).items() if key.startswith(LOG)}
    ledger.append("TN2", {"owner": "Bo"})
    sealer.seal(store)
    update(ledger, path)
    for key, data in before.items():
        blob = store.get(key)
        store.replace(key, data, blob.version) if blob else store.create(key, data)
    report = update(ledger, path)
    assert [each.slug for each in report.findings] == ["log-set-back"]
    assert rows(path, "SELECT leaf FROM about") == [(2,)]
    gone = ledger_in(without(store, LOG))
    assert [each.slug for each in update(gone, path).findings] == ["log-set-back"]


def test_leaves_that_do_not_lead_to_the_root_are_not_counted(tmp_path: Path, path: Path) -> None:
    store = MemoryStore()
    ledger, sealer = ledger_in(store), Sealer(tmp_path)
    ledger.append("TN1", {"owner": "Ada"})
    sealer.seal(store, genesis=True)
    (tile,) = (key for key in store.list(f"{LOG}tile/entries/"))
    blob = store.get(tile)
    assert blob is not None
    store.replace(tile, blob.data.replace(b"TN1", b"TN9"), blob.version)
    assert update(ledger, path).outcome == "tampered"
    assert rows(path, "SELECT leaf FROM about") == [(None,)]


def test_a_log_that_nobody_can_check_is_an_error(tmp_path: Path, path: Path) -> None:
    store = MemoryStore()
    Sealer(tmp_path).seal(ledger_in(store).store, genesis=True)
    with pytest.raises(OriginNotPinned):
        update(memory_ledger(store), path)


def test_a_new_version_does_not_write_the_file_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = memory_ledger()
    ledger.append("TN1", {"owner": "Ada"})
    update(ledger, path)
    monkeypatch.setattr("ledger.index.file._owe", lambda _: pytest.fail("a text was taken out"))
    for owner in ("Bo", "Cy"):
        ledger.append("TN1", {"owner": owner})
        update(ledger, path)
    assert found(ledger, path, "TN1", every_version=True) == [("TN1", 1), ("TN1", 2), ("TN1", 3)]


def test_other_processes_may_verify(tmp_path: Path, path: Path) -> None:
    ledger = memory_ledger(FolderStore(tmp_path / "store"))
    for number in range(40):
        ledger.append(f"TN{number}", {"owner": f"Ada {number}"})
    with Index(ledger, path) as index:
        assert index.update(executor=processes()).entries == 40
    fresh = tmp_path / "fresh.sqlite"
    update(ledger, fresh)
    assert dump(path) == dump(fresh)


# -- Erasure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "while somebody reads"])
def test_an_erased_text_leaves_the_file(path: Path, alone: bool) -> None:
    ledger = memory_ledger()
    for number in range(60):
        ledger.append(f"TN{number}", {"owner": f"Ada {number}", "where": "High Street" * 20})
    document = {"owner": "Quetzalcoatl", "at": {"street": "Popocatepetl Road", "n": 987654321}}
    ledger.append("TN7", document, message="whispered", author="Xochimilco")
    ledger.append("TN7", {"owner": "Bo"})
    with Index(ledger, path) as index:
        index.update(jobs=1)
        assert found(ledger, path, "quetzalcoatl", every_version=True) == [("TN7", 2)]
        reader = sqlite3.connect(path)
        if not alone:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM entries").fetchall()
        ledger.erase("TN7", [2], reference="ORDER 1", message="by order of the court")
        report = index.update(jobs=1)
        reader.close()
        assert any("keeps no erased text" in each for each in report.not_shown) is not alone
        index.update(jobs=1)
    for query in ("quetzalcoatl", "popoc*", "987654321"):
        assert found(ledger, path, query, every_version=True) == []
    row = "SELECT document, author, message, erased_by, words FROM entries WHERE document IS NULL"
    assert rows(path, row) == [(None, None, None, 4, "tn7")]
    for file in path.parent.iterdir():
        data = file.read_bytes().lower()
        for secret in ("quetzalcoatl", "popocatepetl", "whispered", "xochimilco", "987654321"):
            assert secret.encode() not in data, file
    fresh = path.with_name("fresh.sqlite")
    update(ledger, fresh)
    assert dump(path) == dump(fresh)


def test_a_second_order_to_erase_is_the_one_that_is_named(path: Path) -> None:
    """As in an index that is made anew, where the newest order comes first."""
    ledger = memory_ledger()
    for number in range(2):
        ledger.append("TN1", {"owner": f"Ada {number}"})
    for order in ("ORDER 1", "ORDER 2"):
        ledger.erase("TN1", [1], reference=order, message="")
        update(ledger, path)
    assert rows(path, "SELECT erased_by FROM entries WHERE version = 1") == [(4,)]
    fresh = path.with_name("fresh.sqlite")
    update(ledger, fresh)
    assert dump(path) == dump(fresh)


# -- Cut off ---------------------------------------------------------------------------------------

KILLED = """
import os, sys
from ledger.index import Index, index
from ledger.stores import FolderStore
from ledger.testing import memory_ledger
index.TITLES = 3
left = int(sys.argv[3])
def each(report):
    global left
    left -= 1
    if not left:
        os._exit(9)
Index(memory_ledger(FolderStore(sys.argv[1])), sys.argv[2]).update(each=each, jobs=1)
"""


def test_killed_in_the_middle_it_goes_on_to_the_same_content(tmp_path: Path, path: Path) -> None:
    ledger = memory_ledger(FolderStore(tmp_path / "store"))
    for number in range(20):
        ledger.append(f"TN{number}", {"owner": f"Ada {number}"})
    for left in (5, 10):
        arguments = [sys.executable, "-c", KILLED, str(tmp_path / "store"), str(path), str(left)]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
        done = subprocess.run(arguments, env=environment, timeout=60, check=False)
        assert done.returncode == 9
    (entries,), (waiting,) = (
        rows(path, f"SELECT count(*) FROM {table}")[0] for table in ("entries", "waiting")
    )
    assert (entries, waiting) == (9, 11)  # the first three were looked at again
    assert Index(ledger, path).coverage().waiting == waiting
    update(ledger, path)
    fresh = tmp_path / "fresh.sqlite"
    update(ledger, fresh)
    assert dump(path) == dump(fresh)


def test_a_failing_listing_changes_nothing(path: Path) -> None:
    world = small_world()
    store = FailingStore(world.store(), 0, operations=("list",), error=StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        update(world.open(store), path)
    assert update(world.open(store), path)
    assert len(rows(path, "SELECT * FROM entries")) == 4


def test_two_do_not_update_it_at_once(path: Path) -> None:
    ledger = memory_ledger()
    ledger.append("TN1", {})

    def each(_: object) -> None:
        with pytest.raises(ConflictError, match="another process is updating"):
            update(ledger, path)

    with Index(ledger, path) as index:
        assert index.update(each=each, jobs=1)


# -- The file --------------------------------------------------------------------------------------


def test_what_is_no_index_of_this_ledger_is_refused_and_kept(tmp_path: Path, path: Path) -> None:
    ledger = memory_ledger()
    ledger.append("TN1", {"owner": "Ada"})
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (x)")
    text = tmp_path / "notes.txt"
    text.write_text("mine, too")
    theirs = tmp_path / "theirs.sqlite"
    update(memory_ledger(origin="example.org/other"), theirs)
    for file, why in (
        (path, "is not an index of a ledger, and is left as it is"),
        (text, "is not an index of a ledger, and is left as it is"),
        (theirs, "is the index of another ledger: example.org/other, not example.org/titles"),
    ):
        before = file.read_bytes()
        for ask in (update, lambda ledger, file: found(ledger, file, "ada")):
            with pytest.raises(InvalidError, match=why):
                ask(ledger, file)
        assert file.read_bytes() == before
    with pytest.raises(NotFoundError, match="there is no index"):
        found(ledger, tmp_path / "none.sqlite", "ada")


def test_an_index_of_another_version_is_made_anew(path: Path) -> None:
    ledger = memory_ledger()
    ledger.append("TN1", {"owner": "Ada"})
    update(ledger, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE left_out")
        database.execute("PRAGMA user_version = 999")
    with pytest.raises(NotFoundError, match="another version"):
        found(ledger, path, "ada")
    update(ledger, path)
    assert found(ledger, path, "ada") == [("TN1", 1)]


def test_a_damaged_file_is_an_error_with_a_way_out(path: Path) -> None:
    ledger = memory_ledger()
    for number in range(100):
        ledger.append(f"TN{number}", {"owner": "Ada"})
    update(ledger, path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    for ask in (update, lambda ledger, file: found(ledger, file, "ada")):
        with pytest.raises(StoreUnavailable) as caught:
            ask(ledger, path)
        assert "delete it" in caught.value.hint


def test_it_is_no_file_of_the_store_and_only_the_owner_s(tmp_path: Path) -> None:
    ledger = memory_ledger(FolderStore(tmp_path / "store"))
    with pytest.raises(InvalidError, match="inside the store"):
        Index(ledger, tmp_path / "store" / "index.sqlite")
    update(ledger, tmp_path / "index.sqlite")
    assert (tmp_path / "index.sqlite").stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        ".index.sqlite.lock",
        "index.sqlite",
        "store",
    ]


def test_it_says_when_it_was_brought_up_to_date(path: Path) -> None:
    clock = FixedClock()
    ledger = memory_ledger(clock=clock)
    update(ledger, path)
    with Index(ledger, path) as index:
        assert index.coverage().updated_at == "2026-11-23T10:00:00.000000Z"
        clock.forward(days=1)
        index.update()
        assert index.coverage().updated_at == "2026-11-24T10:00:00.000000Z"
