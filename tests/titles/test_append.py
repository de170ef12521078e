"""Append: an entry is acknowledged when the head points at it, and never twice."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from threading import Barrier

import msgspec
import pytest

from ledger import ANY, Draft, Entry, Guards, Ledger
from ledger.errors import (
    ClockBehind,
    HeadMissing,
    HeadMoved,
    IntegrityError,
    InvalidError,
    KeyUnavailable,
    LedgerError,
    MalformedError,
    NotDurable,
    NotFoundError,
    OutcomeUnknown,
    PreconditionFailed,
    ReferenceConflict,
    StoreDenied,
    StoreUnavailable,
    Supersedes,
    TitleClosed,
    TrustError,
)
from ledger.format.canonical import decode
from ledger.format.entry import MAX_BYTES
from ledger.format.layout import (
    LEDGER_KEY,
    PENDING,
    REFERENCES,
    entry_key,
    head_key,
    pending_key,
    pending_prefix,
    reference_key,
    reference_prefix,
    sealed_key,
)
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from tests import corpora
from tests.tampering import objects_of, without
from tests.wrappers import CountingStore, CrashError, CrashingStore, FailingStore, Wrapper

TITLE = "TN1"
HEAD = head_key(TITLE)


class OwnText(str):
    """A text that JSON would not keep as what it is."""

    __slots__ = ()


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(MemoryStore())


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def ledger(store, clock) -> Ledger:
    return memory_ledger(store, clock=clock)


def reopened(store, clock=None, key=None, keyring=None, **more) -> Ledger:
    key, clock = key or signer(), clock or FixedClock()
    return Ledger.open(store, keyring=keyring or keyring_for(key), signer=key, clock=clock, **more)


def written(store) -> dict[str, bytes]:
    return {key: data for key, data in objects_of(store).items() if key != LEDGER_KEY}


# --- what is written -----------------------------------------------------------------------------


def test_an_append_returns_the_entry_that_is_the_head_now(ledger):
    entry = ledger.append(
        TITLE, {"owner": "Ada"}, message="m", effective_at="1995-03-01", reference="N7"
    )
    assert ledger.head(TITLE) == entry
    assert entry.document == {"owner": "Ada"}
    assert (entry.title_number, entry.version, entry.parent) == (TITLE, 1, None)
    assert (entry.message, entry.effective_at, entry.reference) == ("m", "1995-03-01", "N7")
    assert (entry.ledger, entry.kind) == (ORIGIN, "registration")
    assert entry.key == signer().public_key.key_id
    assert entry.recorded_at == "2026-11-23T10:00:00.000000Z"


def test_the_objects_are_the_entry_the_head_and_the_marker_and_no_others(store, ledger):
    first = ledger.append(TITLE, {})
    second = ledger.append(TITLE, {})
    assert written(store) == {
        HEAD: second.data,
        entry_key(TITLE, first.address): first.data,
        entry_key(TITLE, second.address): second.data,
        pending_key(TITLE, 1, first.address): b"",
        pending_key(TITLE, 2, second.address): b"",
    }


def test_a_later_version_is_one_read_then_entry_and_marker_then_the_head(store, ledger):
    ledger.append(TITLE, {})
    entries = []
    calls = store.during(lambda: entries.append(ledger.append(TITLE, {"a": 1})))
    address = entries[0].address
    assert calls == [
        ("get", HEAD),
        ("create", entry_key(TITLE, address)),
        ("create", pending_key(TITLE, 2, address)),
        ("replace", HEAD),
    ]


def test_the_first_version_also_asks_whether_the_ledger_is_there_and_the_title_new(store, ledger):
    entries = []
    calls = store.during(lambda: entries.append(ledger.append(TITLE, {})))
    address = entries[0].address
    assert calls == [
        ("get", HEAD),
        ("get", LEDGER_KEY),
        ("list", f"{TITLE}/"),
        ("list", pending_prefix(TITLE)),
        ("get", sealed_key(TITLE)),
        ("create", entry_key(TITLE, address)),
        ("create", pending_key(TITLE, 1, address)),
        ("create", HEAD),
    ]


def test_the_entry_and_the_marker_are_sent_side_by_side(ledger, store):
    """In one call, so that a store can do them at the same time."""
    sent = []

    class Batching(Wrapper):
        def create_many(self, objects):
            batch = list(objects)
            sent.append([key for key, _ in batch])
            self.inner.create_many(batch)

    entry = reopened(Batching(store)).append(TITLE, {})
    assert sent == [[entry_key(TITLE, entry.address), pending_key(TITLE, 1, entry.address)]]


def test_a_reference_is_one_listing_and_one_more_name(store, ledger):
    for version in range(6):
        ledger.append(TITLE, {"v": version})
    entries = []
    calls = store.during(lambda: entries.append(ledger.append(TITLE, {}, reference="new")))
    address = entries[0].address
    assert calls == [
        ("get", HEAD),
        ("list", f"{reference_prefix('new')}{TITLE}."),
        ("create", entry_key(TITLE, address)),
        ("create", pending_key(TITLE, 7, address)),
        ("create", reference_key("new", TITLE, 7, address)),
        ("replace", HEAD),
    ]


def test_a_title_without_a_head_needs_no_listing_for_a_reference(store, ledger):
    calls = store.during(lambda: ledger.append(TITLE, {}, reference="new"))
    assert [key for operation, key in calls if operation == "list"] == [
        f"{TITLE}/",
        pending_prefix(TITLE),
    ]


def test_a_reference_that_is_there_is_read_down_to(store, ledger):
    entries = [ledger.append(TITLE, {"v": v}, reference=f"r{v}") for v in range(6)]
    again = []
    calls = store.during(lambda: again.append(ledger.append(TITLE, {"v": 3}, reference="r3")))
    assert again == [entries[3]]
    assert [operation for operation, _ in calls] == ["get", "list", "get", "get", "create"]


def test_what_is_appended_is_not_changed_by_what_the_caller_does_to_it_later(ledger):
    document = {"owners": ["Ada"]}
    entry = ledger.append(TITLE, document)
    document["owners"].append("Eve")
    assert ledger.head(TITLE).document == entry.document == {"owners": ["Ada"]}


def test_a_preview_is_the_entry_that_an_append_would_make_and_writes_nothing(store, ledger):
    ledger = reopened(store, random_bytes=bytes)
    before = written(store)
    draft = Draft(TITLE, {"a": 1}, "m", "2020-01-01", "r")
    preview = ledger.preview(draft)
    assert written(store) == before
    appended = ledger.submit(draft)
    assert appended == preview
    assert not appended.repeated
    assert ledger.preview(Draft(TITLE, {})).entry.parent == appended.entry.address
    assert ledger.preview(draft)[:2] == (appended.entry, True)
    with pytest.raises(HeadMoved):
        ledger.preview(Draft(TITLE, {}), parent=None)


# --- parent --------------------------------------------------------------------------------------


def test_on_top_of_anything_is_the_default(ledger):
    assert [ledger.append(TITLE, {}).version, ledger.append(TITLE, {}, parent=ANY).version] == [
        1,
        2,
    ]


def test_the_parent_has_to_be_the_head(ledger):
    first = ledger.append(TITLE, {})
    second = ledger.append(TITLE, {}, parent=first.address)
    with pytest.raises(HeadMoved) as caught:
        ledger.append(TITLE, {}, parent=first.address)
    assert (caught.value.expected, caught.value.actual) == (first.address, second.address)
    assert str(caught.value) == (
        f"cannot append to TN1: head moved from {first.address[:8]} to {second.address[:8]}"
    )
    assert "'ledger log TN1'" in caught.value.hint
    assert ledger.head(TITLE) == second


def test_no_parent_means_that_it_has_to_be_version_1(ledger):
    first = ledger.append(TITLE, {}, parent=None)
    with pytest.raises(HeadMoved, match="it exists already") as caught:
        ledger.append(TITLE, {}, parent=None)
    assert (caught.value.expected, caught.value.actual) == (None, first.address)


def test_a_parent_where_there_is_no_title_is_a_moved_head(ledger):
    with pytest.raises(HeadMoved) as caught:
        ledger.append(TITLE, {}, parent="0" * 64)
    assert (caught.value.expected, caught.value.actual) == ("0" * 64, None)


@pytest.mark.parametrize("parent", ["HEAD", "", "0" * 8, "A" * 64])
def test_a_parent_that_is_no_address_is_refused_as_such(ledger, parent):
    ledger.append(TITLE, {})
    with pytest.raises(InvalidError, match="not an address"):
        ledger.append(TITLE, {}, parent=parent)


def test_a_refused_append_writes_nothing(store, ledger):
    first = ledger.append(TITLE, {}, reference="r")
    before = written(store)
    for call in (
        lambda: ledger.append(TITLE, {}, parent=None),
        lambda: ledger.append(TITLE, {}, parent="0" * 64),
        lambda: ledger.append(TITLE, {"other": 1}, reference="r"),
        lambda: ledger.append(TITLE, {"a": Decimal(1)}),
        lambda: ledger.append(TITLE, {"title_number": "TN2"}, parent=first.address),
        lambda: ledger.append("tn1", {}),
        lambda: ledger.append(TITLE, {}, effective_at="tomorrow"),
        lambda: ledger.append(TITLE, {}, message="\ud800"),
        lambda: ledger.append(TITLE, {}, author=OwnText("")),
        lambda: ledger.append(TITLE, {}, message=OwnText("")),
    ):
        with pytest.raises(LedgerError):
            call()
        assert written(store) == before


# --- reference -----------------------------------------------------------------------------------


def test_the_same_reference_and_document_is_the_same_entry(store, ledger, clock):
    first = ledger.append(TITLE, {"a": 1.0}, reference="N7", message="first")
    before = written(store)
    clock.forward(days=1)
    assert ledger.append(TITLE, {"a": 1}, reference="N7", message="again") == first
    assert reopened(store, clock).append(TITLE, {"a": 1}, reference="N7") == first
    assert written(store) == before


def test_a_reference_is_found_further_down_too(ledger):
    first = ledger.append(TITLE, {}, reference="N7")
    for _ in range(5):
        ledger.append(TITLE, {"later": True})
    assert ledger.append(TITLE, {}, reference="N7") == first
    assert ledger.append(TITLE, {}, reference="N7", parent=None) == first


def test_a_reference_counts_whatever_the_parent(ledger):
    first = ledger.append(TITLE, {})
    second = ledger.append(TITLE, {"a": 1}, reference="N7", parent=first.address)
    head = ledger.append(TITLE, {"b": 1})
    for parent in (first.address, head.address):
        assert ledger.append(TITLE, {"a": 1}, reference="N7", parent=parent) == second
        with pytest.raises(ReferenceConflict):
            ledger.append(TITLE, {"a": 2}, reference="N7", parent=parent)


def test_a_reference_that_is_taken_by_another_document_is_a_conflict(ledger):
    first = ledger.append(TITLE, {"a": 1}, reference="N7")
    ledger.append(TITLE, {})
    with pytest.raises(
        ReferenceConflict, match=r"the reference 'N7' is taken: TN1 .*version 1"
    ) as e:
        ledger.append(TITLE, {"a": 2}, reference="N7")
    assert e.value.address == first.address
    with pytest.raises(ReferenceConflict):
        ledger.append(TITLE, {"a": True}, reference="N7")  # Python holds True == 1


def test_a_reference_groups_titles(ledger):
    entries = [ledger.append(title, {}, reference="N7") for title in ("TN1", "TN2")]
    assert [entry.version for entry in entries] == [1, 1]


def test_no_reference_is_not_a_reference(ledger):
    assert [ledger.append(TITLE, {}, reference="").version for _ in range(2)] == [1, 2]


def test_a_damaged_chain_is_not_built_upon_where_a_reference_asks_for_it(store, ledger):
    first = ledger.append(TITLE, {}, reference="N7")
    ledger.append(TITLE, {})
    store.inner._objects.pop(entry_key(TITLE, first.address))
    with pytest.raises(IntegrityError, match="missing, and the chain leads through it"):
        ledger.append(TITLE, {}, reference="N7")


def test_a_name_that_is_not_in_the_chain_means_nothing(store, ledger):
    """Another try, which crashed or lost a race, may have left it; or anybody."""
    first = ledger.append(TITLE, {"a": 1}, reference="other")
    loser = Entry.sign(
        signer(),
        ledger=ORIGIN,
        title_number=TITLE,
        document={"a": 2},
        recorded_at=first.recorded_at,
        salt=bytes(32),
        reference="N7",
    )
    store.create(entry_key(TITLE, loser.address), loser.data)
    for version, address in ((1, loser.address), (1, first.address), (9, "0" * 64)):
        store.create(reference_key("N7", TITLE, version, address), b"")
    assert ledger.append(TITLE, {"a": 3}, reference="N7").version == 2
    assert ledger.append(TITLE, {"a": 3}, reference="N7").version == 2


def test_more_names_than_a_thousand_are_not_believed_to_be_all(store, ledger):
    """Anybody who may create names could hide one behind them."""
    first = ledger.append(TITLE, {"a": 1}, reference="N7")
    ledger.append(TITLE, {})
    store.inner._objects.pop(reference_key("N7", TITLE, 1, first.address))
    store.inner._keys.remove(reference_key("N7", TITLE, 1, first.address))
    for number in range(1001):
        store.create(reference_key("N7", TITLE, 2, f"{number:064x}"), b"")
    assert ledger.append(TITLE, {"a": 1}, reference="N7") == first


def test_a_repeat_of_the_head_is_found_though_its_name_was_deleted(store, ledger):
    first = ledger.append(TITLE, {"a": 1}, reference="N7")
    store.delete(reference_key("N7", TITLE, 1, first.address))
    assert ledger.append(TITLE, {"a": 1}, reference="N7") == first


def test_a_repeat_is_found_behind_the_names_of_a_thousand_titles_that_begin_alike(store, ledger):
    """``TN1.7`` is a title of its own, and its names stand among those of ``TN1``."""
    ledger.append("TN1", {})
    second = ledger.append("TN1", {"a": 1}, reference="N7")
    for number in range(1001):
        store.create(reference_key("N7", f"TN1.1{number}", 1, f"{number:064x}"), b"")
    assert ledger.append("TN1", {"a": 1}, reference="N7") == second


REPEATED = Draft(
    TITLE,
    {"a": 1},
    effective_at="2026-01-01",
    reference="N7",
    effective_until="2027",
    kind="migration",
    part=(1, 2),
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"document": {"a": 2}}, "document"),
        ({"effective_at": "2026-01"}, "effective date"),
        ({"effective_at": None}, "effective date"),
        ({"effective_until": "2027-01-01"}, "end"),
        ({"kind": "registration"}, "kind"),
        ({"status": "closed"}, "status"),
    ],
)
def test_what_a_repeat_has_to_have_in_common(ledger, change, words):
    """Texts are compared: another spelling of a date is another member."""
    first = ledger.submit(REPEATED)
    assert ledger.submit(REPEATED)[:2] == (first.entry, True)
    with pytest.raises(ReferenceConflict, match=f"with another {words}"):
        ledger.submit(msgspec.structs.replace(REPEATED, **change))


def test_a_repeat_may_have_another_author_and_message(ledger):
    first = ledger.submit(REPEATED).entry
    other = msgspec.structs.replace(REPEATED, author="Di", message="again", status="open")
    assert ledger.submit(other)[:2] == (first, True)


def test_another_part_of_the_same_registration_is_no_repeat(ledger):
    ledger.submit(REPEATED)
    second = ledger.submit(msgspec.structs.replace(REPEATED, part=(2, 2), document={"b": 1}))
    assert (second.entry.version, second.repeated) == (2, False)


@pytest.mark.parametrize("members", [{"part": [1, 2]}, {"erases": [1]}, {"erases": iter([1])}])
def test_a_repeat_is_one_whatever_its_numbers_come_in(ledger, members):
    ledger.append(TITLE, {"n": 1})
    draft = Draft(TITLE, {"n": 2}, reference="R", **members)
    assert [ledger.submit(draft).repeated for _ in range(2)] == [False, True]
    assert ledger.head(TITLE).version == 2


def test_a_draft_with_what_is_no_list_of_numbers_is_refused():
    for name in ("part", "erases", "confirms", "voids"):
        with pytest.raises(InvalidError, match=f"expected a tuple of numbers as {name}, not a int"):
            Draft(TITLE, {}, **{name: 5})


def test_other_erased_versions_are_no_repeat(ledger):
    for version in range(3):
        ledger.append(TITLE, {"v": version})
    order = Draft(TITLE, {"v": 2}, reference="order", erases=(1,))
    assert not ledger.submit(order).repeated
    assert ledger.submit(order).repeated
    with pytest.raises(ReferenceConflict, match="with another list of erased versions"):
        ledger.submit(msgspec.structs.replace(order, erases=(1, 2)))


def test_a_repeat_of_what_was_erased_is_a_conflict_for_nothing_can_be_compared(ledger):
    ledger.append(TITLE, {"a": 1}, reference="N7")
    ledger.submit(Draft(TITLE, {}, reference="order", erases=(1,)))
    with pytest.raises(ReferenceConflict, match="erased, so that nothing can be compared"):
        ledger.append(TITLE, {"a": 1}, reference="N7")


# --- status --------------------------------------------------------------------------------------


def test_a_title_stays_open_or_closed_until_it_is_said_otherwise(ledger):
    assert ledger.append(TITLE, {}).status == "open"
    assert ledger.append(TITLE, {}, status="closed").status == "closed"
    assert ledger.append(TITLE, {}, kind="rectification").status == "closed"
    assert ledger.append(TITLE, {}, status="open").status == "open"
    assert ledger.append(TITLE, {}).status == "open"


@pytest.mark.parametrize("status", [None, "closed"])
@pytest.mark.parametrize("kind", ["registration", "migration"])
def test_a_closed_title_takes_no_further_entries(store, ledger, kind, status):
    ledger.append(TITLE, {}, status="closed")
    before = written(store)
    with pytest.raises(TitleClosed, match="version 1 closed it") as caught:
        ledger.append(TITLE, {}, kind=kind, status=status)
    assert "--reopen" in caught.value.hint
    assert written(store) == before


def test_a_closed_title_takes_an_erasure(ledger):
    ledger.append(TITLE, {"v": 1})
    ledger.append(TITLE, {"v": 2}, status="closed")
    order = ledger.submit(Draft(TITLE, {"v": 2}, reference="order", erases=(1,))).entry
    assert (order.version, order.status) == (3, "closed")


def test_a_title_may_begin_closed_and_a_repeat_is_no_further_entry(ledger):
    first = ledger.append(TITLE, {}, status="closed", reference="N7")
    assert ledger.append(TITLE, {}, reference="N7") == first


@pytest.mark.parametrize("change", [{"status": "frozen"}, {"kind": "redaction"}])
def test_what_no_reader_knows_is_not_written(ledger, change):
    with pytest.raises(InvalidError):
        ledger.append(TITLE, {}, **change)


# --- time in law ---------------------------------------------------------------------------------


def test_a_past_period_without_an_end_does_not_take_the_place_of_what_holds_now(store, ledger):
    """Else the former owner would be the owner today."""
    ledger.append(TITLE, {"owner": "Bo"}, effective_at="2026-03-01")
    before = written(store)
    with pytest.raises(Supersedes, match="version 1 holds from 2026-03-01") as caught:
        ledger.append(TITLE, {"owner": "Ada"}, effective_at="2026-01-01")
    assert "--effective-until 2026-03-01" in caught.value.hint
    assert written(store) == before
    corrected = {"effective_at": "2026-01-01", "effective_until": "2026-03-01"}
    ledger.append(TITLE, {"owner": "Ada"}, **corrected)
    assert ledger.at(TITLE, effective="2026-11-23").document == {"owner": "Bo"}
    assert ledger.at(TITLE, effective="2026-02-28").document == {"owner": "Ada"}


def test_the_end_that_is_proposed_is_where_the_first_later_version_begins(ledger):
    """With the end of a later one, this would take the place of the first all the same."""
    for since in ("2021", "2019-05", "2023", "2099"):
        ledger.append(TITLE, {"since": since}, effective_at=since, guards=Guards(False, True))
    with pytest.raises(Supersedes, match="version 2 holds from 2019-05") as caught:
        ledger.append(TITLE, {}, effective_at="2010")
    assert "--effective-until 2019-05;" in caught.value.hint


def test_what_is_still_to_come_is_told_by_the_day_where_the_clock_is(ledger):
    ledger.append(TITLE, {}, effective_at="2026-07-02")
    late = Draft(TITLE, {}, effective_at="2026-06-01")
    ledger.clock = FixedClock(datetime(2026, 7, 1, 23, 30, tzinfo=UTC))
    assert ledger.preview(late, guards=Guards(clamp_time=True)).entry.version == 2
    ledger.clock.now = ledger.clock.now.astimezone(timezone(timedelta(hours=1)))
    with pytest.raises(Supersedes):
        ledger.preview(late, guards=Guards(clamp_time=True))


def test_one_who_insists_takes_the_place_of_a_later_version(ledger):
    ledger.append(TITLE, {"owner": "Bo"}, effective_at="2026-03-01")
    guards = Guards(supersede_later=True)
    ledger.append(TITLE, {"owner": "Ada"}, effective_at="2026-01-01", guards=guards)
    assert ledger.at(TITLE, effective="2026-11-23").document == {"owner": "Ada"}


@pytest.mark.parametrize("effective_at", [None, "2026-03-01", "2026-04-01", "2099"])
def test_what_begins_no_earlier_than_what_is_there_supersedes_it_in_order(ledger, effective_at):
    ledger.append(TITLE, {}, effective_at="2026-03-01")
    assert ledger.append(TITLE, {}, effective_at=effective_at).version == 2


def test_a_version_that_is_still_to_come_may_be_superseded(ledger):
    ledger.append(TITLE, {}, effective_at="2030-01-01")
    assert ledger.append(TITLE, {}, effective_at="2020-01-01").version == 2


@pytest.mark.parametrize(
    ("there", "more"),
    [
        (
            {"effective_at": "2026-01-01", "effective_until": "2026-03-31T22:00:00Z"},
            {"effective_at": "2026-04-01T00:00:00+02:00"},
        ),
        (
            {"effective_at": "2026-04-01T00:00:00+02:00"},
            {"effective_at": "2026-01-01", "effective_until": "2026-03-31T22:00:00Z"},
        ),
    ],
    ids=["an end, then a beginning", "a beginning, then an end"],
)
def test_an_instant_is_not_spelled_in_two_ways(ledger, there, more):
    """Dates are compared as written: 31 March would end in one, and 1 April begin in the other."""
    ledger.append(TITLE, {}, **there)
    with pytest.raises(InvalidError, match="is the instant that version 1 spells") as caught:
        ledger.append(TITLE, {}, **more)
    theirs = there.get("effective_until") or there["effective_at"]
    assert caught.value.hint == f"write {theirs}"
    same = {name: theirs if "T" in text else text for name, text in more.items()}
    assert ledger.append(TITLE, {}, **same).version == 2


# --- a crash or a lost answer at every step ------------------------------------------------------


class Appending:
    """An append to a title of so many versions, in a store that fails at one call."""

    def __init__(self, versions: int) -> None:
        self.inner = MemoryStore()
        self.clock = FixedClock()
        ledger = memory_ledger(self.inner, clock=self.clock)
        self.before = [ledger.append(TITLE, {"v": v}, reference=f"r{v}") for v in range(versions)]
        self.clock.forward(hours=1)

    def on(self, store, reference="new") -> Entry:
        ledger = reopened(store, self.clock)
        return ledger.append(TITLE, {"new": True}, reference=reference)

    def chain(self) -> list[Entry]:
        ledger = reopened(self.inner, self.clock)
        if not self.inner.get(HEAD):
            return []
        chain = list(ledger.log(TITLE))[::-1]
        report = ledger.fsck()
        assert report, report.findings
        return chain

    def check(self) -> None:
        """The state is the old or the new one; asking again with the reference ends in the new."""
        assert self.chain() in (self.before, [*self.before, *self.chain()[-1:]])
        entry = self.on(self.inner)
        assert self.chain() == [*self.before, entry]
        assert self.on(self.inner) == entry
        assert self.chain() == [*self.before, entry]


@pytest.mark.parametrize("versions", [0, 1, 3])
@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_a_lost_answer_is_settled_by_reading_and_nothing_happens_twice(versions, after):
    for failing in range(100):
        appending = Appending(versions)
        store = FailingStore(appending.inner, failing, after=after)
        try:
            entry = appending.on(store)
        except StoreUnavailable:  # the head was not touched yet
            assert appending.chain() == appending.before
        else:
            assert appending.chain() == [*appending.before, entry]
        if not store.failed:
            assert failing == 4  # entry, marker, name of the reference, head
            return
        appending.check()
    raise AssertionError("never without a failure")


@pytest.mark.parametrize("versions", [0, 1, 3])
@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_a_crash_at_any_write_leaves_the_old_or_the_new_state(versions, after):
    for failing in range(100):
        appending = Appending(versions)
        store = CrashingStore(appending.inner, failing, after=after)
        try:
            entry = appending.on(store)
        except CrashError:
            appending.check()
        else:
            assert appending.chain() == [*appending.before, entry]
            assert failing == 4
            return
    raise AssertionError("never without a crash")


@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied])
@pytest.mark.parametrize("versions", [0, 2])
def test_a_store_that_fails_is_passed_on_and_nothing_has_moved(versions, error):
    for failing in range(100):
        appending = Appending(versions)
        operations = ("get", "create", "replace", "list")
        store = FailingStore(appending.inner, None, error=error, operations=operations)
        ledger = reopened(store, appending.clock)
        store.failing = store.count + failing
        try:
            ledger.append(TITLE, {"new": True}, reference="new")
        except error:
            assert appending.chain() == appending.before
            appending.check()
        else:
            assert not store.failed
            assert failing > 3
            return
    raise AssertionError("never without a failure")


class LosingStore(Wrapper):
    """Loses the answer of every swap of a head, or the swap itself; then other things happen."""

    def __init__(self, inner, *, swaps=True, then=lambda: None, reads=True) -> None:
        super().__init__(inner)
        self.swaps = swaps
        self.then = then
        self.reads = reads
        self.lost = 0

    def _lose(self):
        self.lost += 1
        self.then()
        raise OutcomeUnknown("timed out")

    def create(self, key, data):
        if key != HEAD:
            return self.inner.create(key, data)
        if self.swaps:
            self.inner.create(key, data)
        return self._lose()

    def replace(self, key, data, expected):
        if self.swaps:
            self.inner.replace(key, data, expected)
        return self._lose()

    def get(self, key):
        if not self.reads and self.lost:
            raise StoreUnavailable("unreachable")
        return self.inner.get(key)


@pytest.mark.parametrize("reference", ["", "new"])
@pytest.mark.parametrize("versions", [0, 2])
def test_a_swap_whose_answer_is_lost_but_happened_is_success_at_once(versions, reference):
    appending = Appending(versions)
    store = LosingStore(appending.inner)
    entry = appending.on(store, reference)
    assert store.lost == 1
    assert appending.chain() == [*appending.before, entry]


@pytest.mark.parametrize("versions", [0, 2])
def test_a_swap_that_never_happens_is_an_unknown_outcome_in_the_end(versions, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    appending = Appending(versions)
    store = LosingStore(appending.inner, swaps=False)
    with pytest.raises(OutcomeUnknown) as caught:
        appending.on(store)
    assert 1 < store.lost < 20
    dangling = [k for k in objects_of(appending.inner) if caught.value.address in k]
    assert entry_key(TITLE, caught.value.address) in dangling
    assert caught.value.address in str(caught.value)
    assert "sent again without harm" in caught.value.hint
    appending.check()


@pytest.mark.parametrize("swaps", [True, False])
def test_where_nothing_can_be_read_any_more_the_outcome_is_unknown(swaps):
    appending = Appending(2)
    with pytest.raises(OutcomeUnknown, match="unreachable") as caught:
        appending.on(LosingStore(appending.inner, swaps=swaps, reads=False))
    assert (appending.chain()[-1].address == caught.value.address) == swaps
    appending.check()


@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied])
@pytest.mark.parametrize("versions", [0, 2])
def test_a_swap_of_which_nobody_knows_is_not_denied_because_the_next_one_is_refused(
    versions, error, monkeypatch
):
    """The first may be under way still: nobody can say that nothing was appended."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    appending = Appending(versions)

    def refuse_the_second():
        if store.lost > 1:
            raise error("busy")

    store = LosingStore(appending.inner, swaps=False, then=refuse_the_second)
    with pytest.raises(OutcomeUnknown, match="cannot tell"):
        appending.on(store)
    assert store.lost > 1
    appending.check()


@pytest.mark.parametrize("reference", ["", "new"])
@pytest.mark.parametrize("versions", [0, 2])
def test_a_lost_answer_is_settled_though_others_have_appended_since(versions, reference):
    """Our entry is then an ancestor of the head, and is not appended once more."""
    appending = Appending(versions)
    others = reopened(appending.inner, appending.clock)
    store = LosingStore(appending.inner, then=lambda: others.append(TITLE, {"other": True}))
    entry = appending.on(store, reference)
    assert appending.chain()[-2] == entry
    assert len(appending.chain()) == versions + 2


def test_a_lost_swap_that_others_were_faster_than_is_a_lost_race():
    appending = Appending(2)
    others = reopened(appending.inner, appending.clock)
    done = []

    def once():
        if not done:
            done.append(others.append(TITLE, {"other": True}))

    class LosingOnce(LosingStore):
        def replace(self, key, data, expected):
            return (
                super().replace(key, data, expected)
                if not done
                else self.inner.replace(key, data, expected)
            )

    entry = appending.on(LosingOnce(appending.inner, swaps=False, then=once))
    assert [e.address for e in appending.chain()[-2:]] == [done[0].address, entry.address]


def test_a_store_that_refuses_the_version_it_gave_is_unavailable_not_raced_forever(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    class Refusing(Wrapper):
        def replace(self, key, data, expected):
            raise PreconditionFailed("412")

    appending = Appending(1)
    with pytest.raises(StoreUnavailable, match="refuses the version that it gave itself"):
        appending.on(Refusing(appending.inner))
    appending.check()


# --- the order of what is written ----------------------------------------------------------------


@pytest.mark.parametrize("versions", [0, 2])
def test_the_entry_and_its_names_are_there_before_the_head_moves(versions):
    appending = Appending(versions)

    class Watching(Wrapper):
        seen = 0

        def called(self, operation, key):
            if key == HEAD and operation != "get":
                objects = objects_of(self.inner)
                new = [k for k in objects if k.startswith(pending_prefix(TITLE))]
                assert len(new) == versions + 1
                names = [k for k in objects if k.startswith(REFERENCES)]
                assert len(names) == versions + 1
                assert len([k for k in objects if k.startswith("TN1/") and k != HEAD]) == len(new)
                self.seen += 1

    store = Watching(appending.inner)
    appending.on(store)
    assert store.seen == 1


def test_a_first_append_that_crashed_does_not_block_the_next(store, ledger):
    with pytest.raises(CrashError):
        reopened(CrashingStore(store.inner, 2)).append(TITLE, {"crashed": True})
    assert store.inner.get(HEAD) is None
    assert any(key.startswith(f"{TITLE}/") for key in objects_of(store.inner))
    entry = ledger.append(TITLE, {"later": True})
    assert entry.version == 1
    assert ledger.verify(TITLE)
    assert [f.slug for f in ledger.fsck().findings] == ["dangling-entry"]


def test_a_title_whose_head_is_gone_is_not_started_anew(store, ledger):
    ledger.append(TITLE, {})
    second = ledger.append(TITLE, {})
    del store.inner._objects[HEAD]
    store.inner._keys.remove(HEAD)
    before = written(store)
    for parent in (ANY, None):
        with pytest.raises(HeadMissing, match=r"TN1 has entries .* but no head") as caught:
            ledger.append(TITLE, {}, parent=parent)
        assert "'ledger recover TN1'" in caught.value.hint
    with pytest.raises(HeadMoved):
        ledger.append(TITLE, {}, parent=second.address)
    assert written(store) == before


def test_an_unreadable_entry_without_a_head_may_have_been_a_later_version(store, ledger):
    store.create(entry_key(TITLE, "0" * 64), b"damaged")
    with pytest.raises(HeadMissing):
        ledger.append(TITLE, {})


def test_other_bytes_under_the_entrys_address_are_no_lost_race(store, ledger, clock):
    ledger = reopened(store, clock, random_bytes=bytes)
    preview = ledger.preview(Draft(TITLE, {})).entry
    store.create(entry_key("TN2", preview.address), b"")  # another title: not in the way
    store.create(pending_key(TITLE, 1, preview.address), b"")  # the same marker: not in the way
    assert ledger.append(TITLE, {}) == preview
    second = ledger.preview(Draft(TITLE, {})).entry
    store.create(entry_key(TITLE, second.address), b"other bytes")
    with pytest.raises(IntegrityError, match="other bytes are stored under this address") as caught:
        ledger.append(TITLE, {})
    assert caught.value.object_key == entry_key(TITLE, second.address)


# --- races ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_of_many_writers_of_one_title_each_ones_entries_are_in_the_chain_once(kind, tmp_path):
    store = MemoryStore() if kind == "memory" else FolderStore(tmp_path)
    key, writers, rounds = signer(), 8, 10
    ledger = Ledger.create(store, origin=ORIGIN, signer=key)
    start = Barrier(writers)

    def write(writer: int) -> list[Entry]:
        mine = ledger if writer % 2 else Ledger.open(store, keyring=ledger.keyring, signer=key)
        start.wait(60)
        return [
            mine.append(TITLE, {"w": writer, "n": n}, reference=f"{writer}.{n}")
            for n in range(rounds)
        ]

    with ThreadPoolExecutor(writers) as pool:
        acknowledged = [entry for entries in pool.map(write, range(writers)) for entry in entries]
    chain = list(ledger.log(TITLE))
    assert [entry.version for entry in chain] == list(range(writers * rounds, 0, -1))
    assert {entry.address for entry in acknowledged} == {entry.address for entry in chain}
    assert len({entry.reference for entry in chain}) == len(chain)
    assert ledger.verify(TITLE)
    assert ledger.fsck()


def test_two_versions_that_came_while_a_first_one_was_prepared_are_no_loss(store, ledger):
    """The head was not there yet when it was read, and the markers of both were when listed."""

    class Faster(Wrapper):
        done = False

        def called(self, operation, key):
            if operation == "list" and not self.done:
                self.done = True
                ledger.append(TITLE, {"faster": 1})
                ledger.append(TITLE, {"faster": 2})

    assert reopened(Faster(store.inner)).append(TITLE, {"slower": True}).version == 3
    with pytest.raises(HeadMoved):
        reopened(Faster(store.inner)).append(TITLE, {"slower": True}, parent=None)
    assert ledger.fsck()


def test_of_many_who_want_to_be_the_next_version_one_is(ledger):
    first = ledger.append(TITLE, {})
    start = Barrier(8)

    def write(writer: int) -> Entry | HeadMoved:
        start.wait(60)
        try:
            return ledger.append(TITLE, {"writer": writer}, parent=first.address)
        except HeadMoved as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(write, range(8)))
    won = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
    assert won == [ledger.head(TITLE)]
    assert {outcome.actual for outcome in outcomes if isinstance(outcome, HeadMoved)} == {
        won[0].address
    }


def test_of_many_who_make_a_title_one_does(ledger):
    start = Barrier(8)

    def write(writer: int) -> int:
        start.wait(60)
        try:
            return ledger.append(TITLE, {"writer": writer}, parent=None).version
        except HeadMoved:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [0] * 7 + [1]
    assert ledger.verify(TITLE).entries == 1


@pytest.mark.parametrize("parent", ["any", "none", "first"])
def test_the_same_case_sent_by_many_at_once_is_registered_once(store, parent):
    ledger = memory_ledger(store, clock=lambda: datetime.now(UTC))
    parents = {"any": ANY, "none": None}
    if parent == "first":
        parents["first"] = ledger.append(TITLE, {}).address
    start = Barrier(8)

    def write(_: int) -> Entry:
        start.wait(60)
        return ledger.append(TITLE, {"a": 1}, reference="N7", parent=parents[parent])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(8))) == {ledger.head(TITLE)}
    assert ledger.head(TITLE).version == len(parents) - 1


def test_a_race_that_is_always_lost_ends(store, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    ledger = memory_ledger(store)
    ledger.append(TITLE, {})

    class Faster(Wrapper):
        def replace(self, key, data, expected):
            ledger.append(TITLE, {"faster": True})
            return self.inner.replace(key, data, expected)

    with pytest.raises(HeadMoved, match="lost the race 50 times"):
        reopened(Faster(store.inner)).append(TITLE, {})


# --- the clock -----------------------------------------------------------------------------------


def test_a_clock_that_lags_a_little_is_set_to_the_parents_time(ledger, clock):
    first = ledger.append(TITLE, {})
    clock.forward(minutes=-5)
    second = ledger.append(TITLE, {})
    assert second.recorded_at == first.recorded_at
    assert ledger.verify(TITLE)


@pytest.mark.parametrize(
    ("random_bytes", "versions"), [(secrets.token_bytes, 3), (bytes, 2)], ids=["fresh", "the same"]
)
def test_salts_tell_two_appends_apart_that_are_otherwise_the_same(random_bytes, versions):
    """Clocks that lag give one time; a refused swap may have been refused for its own success."""
    store = MemoryStore()
    memory_ledger(store).append(TITLE, {"n": 1})
    one, two = (FixedClock(FixedClock().now - timedelta(seconds=lag)) for lag in (3, 7))
    done = []

    class Raced(Wrapper):
        def replace(self, key, data, expected):
            if not done:
                other = reopened(store, two, random_bytes=random_bytes)
                done.append(other.append(TITLE, {"n": 2}))
            return super().replace(key, data, expected)

    ours = reopened(Raced(store), one, random_bytes=random_bytes)
    mine = ours.append(TITLE, {"n": 2})
    assert (mine == done[0]) == (versions == 2)
    assert reopened(store).head(TITLE).version == versions


def test_a_clock_that_lags_more_is_refused_unless_it_is_to_be_clamped(ledger, clock):
    first = ledger.append(TITLE, {})
    clock.forward(minutes=-5, microseconds=-1)
    with pytest.raises(
        ClockBehind, match=f"recorded {first.recorded_at}, but this clock says"
    ) as e:
        ledger.append(TITLE, {})
    assert "--clamp-time" in e.value.hint
    assert ledger.append(TITLE, {}, guards=Guards(clamp_time=True)).recorded_at == first.recorded_at


def test_times_never_go_back_along_a_chain(ledger, clock):
    for minutes in (0, 3, -4, 2, -1, 0):
        clock.forward(minutes=minutes)
        ledger.append(TITLE, {})
    times = [entry.recorded_at for entry in ledger.log(TITLE)]
    assert times == sorted(times, reverse=True)


def test_a_clock_in_another_zone_is_recorded_in_utc(store):
    zone = timezone(timedelta(hours=5, minutes=30))
    clock = FixedClock(datetime(2026, 11, 23, 15, 30, tzinfo=zone))
    assert memory_ledger(store, clock=clock).append(TITLE, {}).recorded_at == (
        "2026-11-23T10:00:00.000000Z"
    )


def test_a_clock_without_a_zone_is_refused(store):
    clock = FixedClock(datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(InvalidError, match="without an offset"):
        memory_ledger(store, clock=clock).append(TITLE, {})
    assert written(store) == {}


# --- the signer ----------------------------------------------------------------------------------


def test_without_a_signer_nothing_is_appended(store, ledger):
    reader = Ledger.open(store, keyring=ledger.keyring)
    for call in (reader.submit, reader.preview):
        with pytest.raises(KeyUnavailable, match="no key to sign with"):
            call(Draft(TITLE, {}))


@pytest.mark.parametrize("role", ["log", "witness", None])
def test_a_signer_that_is_no_registrar_appends_nothing(store, ledger, role):
    eve = signer("eve")
    keyring = ledger.keyring
    if role:
        keyring = keyring.trust(ORIGIN, eve.public_key, role=role)
    with pytest.raises(TrustError, match=r"is not a registrar of example\.org"):
        reopened(store, key=eve, keyring=keyring).append(TITLE, {})
    assert written(store) == {}


@pytest.mark.parametrize(
    "signature",
    [bytes(64), b"", b"x" * 63, b"x" * 65, signer("eve").sign(b""), b"\x01" + bytes(63)],
)
def test_a_signer_that_returns_garbage_is_never_written(store, ledger, signature):
    class Broken:
        public_key = signer().public_key
        limit = None

        def sign(self, data: bytes) -> bytes:
            return signature

    with pytest.raises(KeyUnavailable, match="does not verify"):
        reopened(store, key=Broken(), keyring=ledger.keyring).append(TITLE, {})
    assert written(store) == {}


def test_a_signer_may_be_anything_that_signs(store, ledger):
    """An HSM, a KMS: the protocol is a public key, a limit and a method."""

    class Remote:
        public_key = signer().public_key
        limit = None

        def sign(self, data: bytes) -> bytes:
            assert data.startswith(b"DSSEv1 ")
            return signer().sign(data)

    entry = reopened(store, key=Remote(), keyring=ledger.keyring).append(TITLE, {})
    assert ledger.head(TITLE) == entry


class SmallDevice:
    """A KMS, which signs messages of at most 4,096 bytes."""

    public_key = signer().public_key
    limit = 4096

    def sign(self, data: bytes) -> bytes:
        assert len(data) <= self.limit
        return signer().sign(data)


def append_by(device: SmallDevice, ledger: Ledger, document: dict[str, object]) -> None:
    """Append it as often as all that is signed grows: with a parent, a reference, an order."""
    pen = Ledger.open(ledger.store, keyring=ledger.keyring, signer=device, clock=ledger.clock)
    title = document.get("title_number", TITLE)
    longest = {"author": "é" * 128, "message": "é" * 2048, "reference": "é" * 128}
    for times in ({}, {"effective_at": "2126-03-31T00:00:00.000000+01:00"}):
        entry = pen.append(title, document, **longest, **times)
        longest["reference"] = "ü" * 128
        assert ledger.head(title) == entry
        assert entry.document == document
    assert pen.erase(title, [1, 2], reference="LG 7/26", message="", change=dict).is_done
    assert ledger.verify(title)


def test_a_device_that_signs_4096_bytes_signs_a_document_of_any_size(ledger):
    append_by(SmallDevice(), ledger, {"plan": "x" * (MAX_BYTES - 10_000)})


@corpora.needs("registers/BD*.json")
def test_a_device_that_signs_4096_bytes_signs_the_largest_real_register(ledger):
    whole = [path for path in corpora.files("registers/*.json") if "AGL1004" not in path.stem]
    largest = max(whole, key=lambda path: path.stat().st_size)
    assert largest.stat().st_size > 4 * 4096
    append_by(SmallDevice(), ledger, decode(largest.read_bytes()))


# --- documents -----------------------------------------------------------------------------------


def test_the_size_is_limited(ledger, store):
    with pytest.raises(InvalidError, match="too large"):
        ledger.append(TITLE, {"a": "x" * MAX_BYTES})
    assert written(store) == {}
    ledger.append(TITLE, {"a": "x" * (MAX_BYTES - 1000)})
    assert ledger.verify(TITLE)


@pytest.mark.parametrize("document", [None, [], "{}", b"{}", 1])
def test_a_document_is_an_object(ledger, document):
    with pytest.raises(InvalidError, match="a document is a JSON object"):
        ledger.append(TITLE, document)


@pytest.mark.parametrize("path", corpora.params("registers/*.json"))
def test_real_registers_are_appended(ledger, path):
    if path.stem.startswith("AGL1004"):
        with pytest.raises(MalformedError, match="duplicate member 'edition_date'"):
            decode(path.read_bytes())
        return
    document = decode(path.read_bytes())
    title = document.get("title_number", TITLE)
    for version in range(3):
        ledger.append(title, document | {"version": version})
    assert ledger.verify(title).entries == 3
    assert ledger.head(title).document == document | {"version": 2}


# --- the disk and the place itself ---------------------------------------------------------------


def test_what_could_not_be_forced_to_the_disk_is_not_acknowledged(store, ledger):
    """It can be read back, from memory: reading settles nothing here."""
    ledger.append(TITLE, {"a": 1})
    failing = FailingStore(store, 3, after=True, error=NotDurable)
    with pytest.raises(OutcomeUnknown, match="cannot tell") as caught:
        reopened(failing).append(TITLE, {"a": 2}, reference="r")
    assert failing.failed
    assert caught.value.address == ledger.head(TITLE).address


def test_an_append_that_was_there_already_is_made_durable_before_it_is_acknowledged(store, ledger):
    entry = ledger.append(TITLE, {"a": 1}, reference="r")
    calls = store.during(lambda: ledger.append(TITLE, {"a": 1}, reference="r"))
    assert calls == [
        ("get", HEAD),
        ("create", entry_key(TITLE, entry.address)),
    ]


def test_a_repeat_whose_entry_is_stored_without_its_text_is_damage(ledger):
    entry = ledger.append(TITLE, {"a": 1}, reference="r")
    withheld = without(ledger.store, entry_key(TITLE, entry.address))
    withheld.create(entry_key(TITLE, entry.address), entry.short)
    with pytest.raises(IntegrityError, match="stored without its text") as caught:
        reopened(withheld).append(TITLE, {"a": 1}, reference="r")
    assert caught.value.reason == "text-missing"


def test_nothing_is_put_on_top_of_a_head_without_its_text(ledger):
    entry = ledger.append(TITLE, {"a": 1})
    withheld = without(ledger.store, HEAD)
    withheld.create(HEAD, entry.short)
    with pytest.raises(IntegrityError) as caught:
        reopened(withheld).append(TITLE, {"a": 2})
    assert (caught.value.reason, caught.value.object_key) == ("text-missing", HEAD)


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied, OutcomeUnknown, NotDurable])
def test_a_repeat_that_cannot_make_durable_what_is_in_the_chain_says_that_it_is_there(
    store, ledger, error, after
):
    """It is neither acknowledged, nor told that nothing was written."""
    entry = ledger.append(TITLE, {"a": 1}, reference="r")
    ledger.append(TITLE, {"a": 2})
    failing = FailingStore(store, 0, error=error, after=after)
    with pytest.raises(OutcomeUnknown, match=r"has it, as version 1 .*reset") as caught:
        reopened(failing).append(TITLE, {"a": 1}, reference="r")
    assert failing.failed
    assert caught.value.address == entry.address
    assert reopened(failing).append(TITLE, {"a": 1}, reference="r") == entry


def test_a_repeat_under_whose_address_other_bytes_are_stored_is_damage_and_no_conflict(ledger):
    entry = ledger.append(TITLE, {"a": 1}, reference="r")
    damaged = without(ledger.store, entry_key(TITLE, entry.address))
    damaged.create(entry_key(TITLE, entry.address), b"{}")
    with pytest.raises(IntegrityError, match="other bytes") as caught:
        reopened(damaged).append(TITLE, {"a": 1}, reference="r")
    assert caught.value.reason == "address-mismatch"


@pytest.mark.parametrize("what", ["nothing", "another ledger"])
def test_no_history_begins_where_the_ledger_is_gone(ledger, what):
    """A disk that is no longer mounted: the title only seems new."""
    now = MemoryStore()
    if what == "another ledger":
        memory_ledger(now, origin="example.org/other")
    before = objects_of(now)
    ledger.history.store = now  # the place changed under an open ledger
    with pytest.raises((NotFoundError, StoreUnavailable)):
        ledger.append(TITLE, {"a": 1})
    assert objects_of(now) == before


def test_no_history_begins_where_markers_tell_of_a_lost_one(store, ledger):
    ledger.append(TITLE, {"a": 1})
    ledger.append(TITLE, {"a": 2})
    wiped = reopened(without(store, f"{TITLE}/"))
    with pytest.raises(HeadMissing, match="its version 2 was prepared"):
        wiped.append(TITLE, {"a": 3})
    assert not wiped.verify_all([TITLE])


def test_a_first_append_that_others_overtake_twice_goes_on_top_of_theirs(store, ledger):
    class Overtaken(Wrapper):
        done = False

        def called(self, operation, key):
            if operation == "list" and key.startswith(PENDING):
                self.done = True
                ledger.append(TITLE, {"a": 1})
                ledger.append(TITLE, {"a": 2})

    slow = Overtaken(store)
    assert reopened(slow).append(TITLE, {"a": 3}).version == 3
    assert slow.done


def test_a_reference_repeated_with_another_effective_date_is_a_conflict(ledger):
    """A legal date must not be dropped in silence."""
    ledger.append(TITLE, {"a": 1}, reference="r", effective_at="2026-01-01")
    with pytest.raises(ReferenceConflict, match="another effective date"):
        ledger.append(TITLE, {"a": 1}, reference="r", effective_at="2026-02-01")
    again = ledger.append(TITLE, {"a": 1}, reference="r", effective_at="2026-01-01", message="m")
    assert again.version == 1
