"""The feed of changes: all leaves of the log, in its order, each of them checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import IntegrityError, InvalidError, Log, NotFoundError, UnsupportedFormatError
from ledger.format.layout import LOG, entry_key, tile_key
from ledger.sealing.feed import logged_change_json
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, Leaf
from ledger.tlog.objects import OtherLeaf, TrustLeaf
from tests.laws import THOROUGH, examples
from tests.sealing import logs
from tests.sealing.sealers import LOG_KEY, ledger_in, log_in
from tests.trust.people import listed, log_key, revoke
from tests.trust.siege import Siege
from tests.trust.world import SEALER
from tests.verification.register import Register, leaves_of, store_of
from tests.verification.test_log_objects import with_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")
SIZES = [1, 2, 255, 256, 257, 513, *[65_537][: int(THOROUGH)]]


def until_it_fails(read: Callable[[], Iterable[T]]) -> tuple[list[T], str]:
    """What comes up to the first error, and the reason of that; "": there was none."""
    found = []
    try:
        for change in read():
            found.append(change)  # noqa: PERF402 -- what came before the error counts
    except IntegrityError as error:
        return found, error.reason
    return found, ""


# --- the leaves are proved ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree() -> logs.Log:
    return logs.Log(SIZES)


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_any_part_of_the_log_is_what_the_log_has_or_an_error(tree: logs.Log, data) -> None:
    size = data.draw(st.sampled_from(SIZES))
    start = data.draw(st.integers(max(0, size - 600), size) | st.integers(0, size))
    end = data.draw(st.integers(start, min(size, start + 300)))
    store = MemoryStore()
    for path, content in tree.files.items():
        store.create(tile_key(path), content)
    log = log_in(store)
    checkpoint = Checkpoint(ORIGIN, size, tree.roots[size])
    expected = [logs.leaf(index) for index in range(start, end)]
    assert log.proved_part(checkpoint, start, end) == expected

    key = data.draw(st.sampled_from(sorted(store.list(LOG))))
    blob = store.get(key)
    assert blob is not None
    at = data.draw(st.integers(0, len(blob.data) - 1))
    changed = bytearray(blob.data)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    store.replace(key, bytes(changed), blob.version)
    found, reason = until_it_fails(lambda: log.proved_part(checkpoint, start, end))
    assert (found, reason) in [(expected, ""), ([], "wrong-root")]


# --- entries --------------------------------------------------------------------------------------


@pytest.fixture
def titles(tmp_path: Path) -> Log:
    """A log of five leaves: TN1 in three versions, TN2 in one, then TN1 again."""
    ledger = ledger_in(MemoryStore())
    log = Log(ledger)
    for number in range(3):
        ledger.append("TN1", {"n": number}, reference=f"A{number}", effective_at="2026-01-01")
    ledger.append("TN2", {}, kind="migration", status="closed")
    log.seal(LOG_KEY, tmp_path / "memory", genesis=True)
    ledger.append("TN1", {"n": 3})
    log.seal(LOG_KEY, tmp_path / "memory")
    ledger.append("TN3", {})  # not sealed
    return log


def test_the_feed_has_what_is_sealed_in_the_order_of_the_log(titles: Log) -> None:
    changes = list(titles.changes())
    assert [change.index for change in changes] == list(range(5))
    assert [(c.leaf.title_number, c.leaf.version) for c in changes if isinstance(c.leaf, Leaf)] == [
        ("TN1", 1),
        ("TN1", 2),
        ("TN1", 3),
        ("TN2", 1),
        ("TN1", 4),
    ]
    for change in changes:
        assert change.entry is not None
        assert isinstance(change.leaf, Leaf)
        assert change.entry.address == change.leaf.address
        assert change.stand.stands
    assert changes[2].entry is not None
    assert changes[2].entry.document["n"] == 2
    for after in (None, 0, 3, 4):
        for limit in (None, 0, 1, 3, 100):
            start = 0 if after is None else after + 1
            end = None if limit is None else start + limit
            assert list(titles.changes(after=after, limit=limit)) == changes[start:end]
    assert logged_change_json(changes[1]) == {
        "leaf": 1,
        "type": "entry",
        "title_number": "TN1",
        "version": 2,
        "address": changes[1].entry.address if changes[1].entry else "",
        "recorded_at": "2026-11-23T10:00:00.000000Z",
        "effective_at": "2026-01-01",
        "effective_until": None,
        "kind": "registration",
        "reference": "A1",
        "part": [1, 1],
        "status": "open",
        "confirms": [],
        "erases": [],
        "voids": [],
        "key": signer().public_key.key_id,
        "erased": None,
    }
    assert logged_change_json(changes[3])["status"] == "closed"


def test_a_checkpoint_from_before_ends_the_feed_where_it_ends(titles: Log, tmp_path: Path) -> None:
    old = titles.checkpoint()
    titles.seal(LOG_KEY, tmp_path / "memory")
    assert [change.index for change in titles.changes(after=3)] == [4, 5]
    assert [change.index for change in titles.changes(after=3, signed=old)] == [4]


def test_a_leaf_that_the_log_never_had_is_named(titles: Log) -> None:
    assert list(titles.changes(after=4)) == []
    for after in (5, 10**15, -2):
        with pytest.raises(InvalidError, match=f"no leaf {after}: it has 5 leaves"):
            titles.changes(after=after)
    with pytest.raises(InvalidError):
        titles.changes(limit=-1)


def test_a_ledger_without_a_log_says_so(tmp_path: Path) -> None:
    ledger = ledger_in(MemoryStore())
    with pytest.raises(NotFoundError, match="there is no log"):
        Log(ledger).changes()
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    assert list(Log(ledger).changes()) == []


@pytest.mark.parametrize("kind", ["gone", "another", "changed", "withheld"])
def test_the_feed_stops_at_the_first_entry_that_does_not_hold(titles: Log, kind: str) -> None:
    store = titles.reader.store
    changes = list(titles.changes())
    entry, other = changes[3].entry, changes[1].entry
    assert entry is not None
    assert other is not None
    key = entry_key(entry.title_number, entry.address)
    data = {
        "gone": b"",
        "another": other.data,
        "changed": entry.data.replace(b'"message":""', b'"message":"?"'),
        "withheld": entry.without_text().data,
    }[kind]
    objects = {each: blob.data for each in store.list() if (blob := store.get(each))}
    store = store_of({each: found for each, found in objects.items() if each != key})
    if data:
        store.create(key, data)
    reason = {
        "gone": "entry-missing",
        "another": "address-mismatch",
        "changed": "text-mismatch",
        "withheld": "text-missing",
    }[kind]
    found, why = until_it_fails(Log(ledger_in(store)).changes)
    assert (found, why) == (changes[:3], reason)
    assert [c.index for c in Log(ledger_in(store)).changes(after=3)] == [4]


# --- what is erased, void, or no entry ------------------------------------------------------------


def test_an_entry_whose_text_is_erased_is_still_there(titles: Log, tmp_path: Path) -> None:
    ledger = ledger_in(titles.reader.store)
    before = list(titles.changes())
    ledger.erase("TN1", [1, 2], reference="court order 7", message="by order")
    titles.seal(LOG_KEY, tmp_path / "memory")
    assert ledger.finish_erasure("TN1").is_done
    changes = list(titles.changes())
    assert [change.leaf for change in changes[:5]] == [change.leaf for change in before]
    for change in changes[:2]:
        assert change.entry is not None
        assert change.entry.is_withheld
        assert logged_change_json(change)["erased"] == {"version": 5, "reference": "court order 7"}
    assert changes[2:5] == before[2:5]
    order = next(change for change in changes[5:] if change.entry and change.entry.erases)
    assert logged_change_json(order)["erases"] == [1, 2]


def test_a_text_that_is_gone_without_an_order_ends_it_at_its_own_leaf(
    titles: Log, tmp_path: Path
) -> None:
    ledger = ledger_in(titles.reader.store)
    ledger.erase("TN1", [1, 3], reference="court order 7", message="by order")
    titles.seal(LOG_KEY, tmp_path / "memory")
    assert ledger.finish_erasure("TN1").is_done
    second = ledger.entry("TN1", "v2")
    key = entry_key("TN1", second.address)
    blob = ledger.store.get(key)
    assert blob is not None
    ledger.store.replace(key, second.without_text().data, blob.version)
    found, reason = until_it_fails(titles.changes)
    assert ([change.index for change in found], reason) == ([0], "text-missing")
    found, reason = until_it_fails(lambda: titles.changes(after=1))
    assert [change.index for change in found] == [2, 3, 4, 5, 6]
    assert [change.index for change in found if change.order] == [2]
    assert reason == ""


@pytest.fixture
def siege(tmp_path: Path) -> Siege:
    return Siege(tmp_path, registrars="alice bob")


def shown(siege: Siege) -> list[dict[str, object]]:
    return [logged_change_json(change) for change in siege.log().changes()]


def test_what_trust_files_say_of_an_entry_is_said_and_they_have_leaves_of_their_own(
    siege: Siege,
) -> None:
    for title in ("TN1", "TN2", "TN3"):
        siege.append(title)
    siege.seal()
    good = siege.checkpoint().size
    for title in ("TN1", "TN2", "TN3"):
        siege.forge(title, "alice")
    siege.seal()
    siege.revoke("alice", good)
    siege.open("bob").settle("TN1", voids=[2])
    siege.open("bob").settle("TN2", confirms=[2])
    siege.seal()
    found = shown(siege)
    assert [each["leaf"] for each in found] == list(range(len(found)))
    assert {each["type"] for each in found} == {"entry", "trust"}
    trust = next(each for each in found if each["type"] == "trust")
    assert trust == {
        "leaf": 6,
        "type": "trust",
        "version": 2,
        "trust": siege.files[-1].digest,
    }
    standing = {
        (each["title_number"], each["version"]): each.get("standing")
        for each in found
        if each["type"] == "entry"
    }
    assert standing == {
        ("TN1", 1): None,
        ("TN2", 1): None,
        ("TN3", 1): None,
        ("TN1", 2): {"stands": False, "reason": None, "by": 3},
        ("TN2", 2): {"stands": True, "reason": None, "by": 3},
        ("TN3", 2): {"stands": False, "reason": "key-ended", "by": None},
        ("TN1", 3): None,
        ("TN2", 3): None,
    }
    assert [each["voids"] for each in found if each.get("voids")] == [[2]]


def test_what_a_thief_of_the_log_s_key_logged_is_disowned(siege: Siege) -> None:
    first = siege.append("TN1")
    siege.seal()
    good = siege.checkpoint().size
    new = signer("log 2")
    bogus = [Leaf("TN9", 1, "0" * 64), Leaf("TN1", 99, "1" * 64), Leaf("TN1", 7, first.address)]
    honest = siege.append("TN3", "bob")
    siege.log_leaves(*bogus, TrustLeaf(2, "3" * 64), Leaf("TN3", 1, honest.address))
    found, why = until_it_fails(siege.log().changes)
    assert (len(found), why) == (good, "entry-missing")
    keys = (key for key in siege.keys if key.key_id != SEALER.public_key.key_id)
    siege.publish(
        keys=listed(*keys, log_key(new.public_key)), revoked=[revoke(SEALER.public_key, good)]
    )
    siege.seal(new)
    said = shown(siege)
    assert [each["leaf"] for each in said if each.get("disowned")] == list(range(good, good + 4))
    assert said[good] == {
        "leaf": good,
        "type": "entry",
        "title_number": "TN9",
        "version": 1,
        "address": "0" * 64,
        "disowned": True,
    }
    assert (said[good + 4]["title_number"], said[-1]["type"]) == ("TN3", "trust")


def test_leaves_of_other_types_keep_their_place(tmp_path: Path) -> None:
    register = Register(tmp_path)
    log = Log(register.open(store_of(with_leaves(register, "note"))))
    changes = list(log.changes())
    assert [change.index for change in changes] == list(range(len(changes)))
    assert changes[2].leaf == OtherLeaf("note")
    assert logged_change_json(changes[2]) == {"leaf": 2, "type": "note"}
    entries = [change.leaf for change in changes if change.entry]
    assert sorted(entries) == sorted(leaves_of(register, "TN1", "TN2", "TN3"))


def test_the_feed_stops_at_a_leaf_that_must_not_be_passed_over(tmp_path: Path) -> None:
    register = Register(tmp_path)
    log = Log(register.open(store_of(with_leaves(register, "!hand-over"))))
    changes = log.changes()
    assert [next(changes).index, next(changes).index] == [0, 1]
    with pytest.raises(UnsupportedFormatError, match="hand-over"):
        next(changes)
