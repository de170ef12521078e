"""Reading a title: log, at, revisions; everything that is handed out has been checked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Entry, Ledger
from ledger.errors import Erased, IntegrityError, InvalidError, NotFoundError, NotInLaw, TrustError
from ledger.format.layout import entry_key, head_key
from ledger.stores import MemoryStore
from ledger.testing import FixedClock, keyring_for, memory_ledger, signer
from tests.laws import examples
from tests.tampering import address, members, signed, small_world
from tests.wrappers import CountingStore

law = settings(deadline=None, max_examples=examples(60))

TITLE = "TN1"
START = datetime(2026, 11, 23, 10, tzinfo=UTC)


class Chain:
    """A title with as many versions, one a day, and a store that counts."""

    def __init__(self, versions: int, **effective: str) -> None:
        self.store = CountingStore(MemoryStore())
        self.clock = FixedClock(START)
        self.ledger = memory_ledger(self.store, clock=self.clock)
        self.entries: list[Entry] = []
        for version in range(1, versions + 1):
            self.entries.append(
                self.ledger.append(
                    TITLE, {"version": version}, effective_at=effective.get(f"v{version}")
                )
            )
            self.clock.forward(days=1)


@pytest.fixture
def chain() -> Chain:
    return Chain(12)


# --- log -----------------------------------------------------------------------------------------


def test_the_log_is_newest_first_from_any_revision(chain):
    assert list(chain.ledger.log(TITLE)) == chain.entries[::-1]
    assert list(chain.ledger.log(TITLE, "v5")) == chain.entries[4::-1]
    assert list(chain.ledger.log(TITLE, "HEAD~10", limit=1)) == [chain.entries[1]]


@pytest.mark.parametrize(("limit", "reads"), [(0, 1), (1, 1), (10, 10), (12, 12), (99, 12)])
def test_a_log_reads_one_object_an_entry(chain, limit, reads):
    log = list(chain.ledger.log(TITLE, limit=limit))
    assert log == chain.entries[::-1][:limit]
    assert chain.store.reads(lambda: list(chain.ledger.log(TITLE, limit=limit))) == reads


def test_a_log_reads_no_more_than_is_taken_of_it(chain):
    log = chain.ledger.log(TITLE)
    assert chain.store.reads(lambda: list(islice(log, 3))) == 2  # and one when it was asked for


def test_a_title_that_is_not_there_is_not_found_at_once(chain):
    for call in (chain.ledger.head, chain.ledger.entry, chain.ledger.log, chain.ledger.diff):
        with pytest.raises(NotFoundError, match="no such title: TN404"):
            call("TN404")
        with pytest.raises(InvalidError, match="not a title number"):
            call("../TN1")


# --- revisions -----------------------------------------------------------------------------------


def test_every_kind_of_revision_finds_its_entry(chain):
    found = chain.ledger.entry
    first, fifth, last = chain.entries[0], chain.entries[4], chain.entries[-1]
    assert found(TITLE) == found(TITLE, "HEAD") == found(TITLE, "@") == last
    assert found(TITLE, "HEAD~7") == found(TITLE, "HEAD^^~5") == fifth
    assert found(TITLE, "v5") == found(TITLE, "v7~2") == fifth
    assert found(TITLE, fifth.address) == found(TITLE, fifth.address[:10]) == fifth
    assert found(TITLE, f"{fifth.address[:10]}^^^^") == found(TITLE, "v1") == first
    assert found(TITLE, "@{2026-11-28}") == fifth  # recorded on the 27th at 10:00
    assert found(TITLE, "@{2026-11-27T10:00:00Z}") == fifth
    assert found(TITLE, "@{2026-11-27T10:59:59+01:00}~1") == chain.entries[2]
    assert found(TITLE, "@{2030-01-01}") == last


@pytest.mark.parametrize(
    ("revision", "reads"),
    [("HEAD", 1), ("HEAD~1", 2), ("HEAD~5", 6), ("v12", 1), ("v8", 5), ("v1", 12), ("v8~2", 7)],
)
def test_a_revision_reads_from_the_head_down_to_it(chain, revision, reads):
    assert chain.store.reads(lambda: chain.ledger.entry(TITLE, revision)) == reads


def test_an_address_is_read_and_what_is_above_it_and_a_prefix_is_one_list_more(chain):
    """What is above may erase its text."""
    entry = chain.entries[9]
    keys = [entry_key(TITLE, each.address) for each in chain.entries]
    above = [("get", head_key(TITLE)), ("get", keys[10]), ("get", keys[9])]
    calls = chain.store.during(lambda: chain.ledger.entry(TITLE, entry.address))
    assert calls == [("get", keys[9]), *above]
    calls = chain.store.during(lambda: chain.ledger.entry(TITLE, entry.address[:12]))
    assert calls == [("list", f"{TITLE}/{entry.address[:12]}"), ("get", keys[9]), *above]


def test_the_head_is_one_read(chain):
    assert chain.store.during(lambda: chain.ledger.head(TITLE)) == [("get", head_key(TITLE))]


@pytest.mark.parametrize(
    "revision", ["v13", "HEAD~12", "v3~3", "@{2026-11-23}", "@{1995-01-01}", "0" * 64]
)
def test_what_the_chain_has_not_is_not_found(chain, revision):
    with pytest.raises(NotFoundError):
        chain.ledger.entry(TITLE, revision)


def test_an_unknown_prefix_is_not_found(chain):
    taken = {entry.address[:4] for entry in chain.entries}
    free = next(f"{number:04x}" for number in range(1 << 16) if f"{number:04x}" not in taken)
    with pytest.raises(NotFoundError, match=f"no entry of TN1 begins with {free}"):
        chain.ledger.entry(TITLE, free)


def test_a_prefix_of_several_addresses_is_refused_with_the_candidates(chain):
    """Two entries whose addresses begin alike: a few hundred messages have such a pair."""
    head, seen = chain.entries[-1], {}
    for number in range(5000):
        data = signed(chain.ledger._signer, members(head, message=str(number)))
        other = seen.setdefault(address(data)[:4], data)
        if other is not data:
            break
    candidates = [address(other), address(data)]
    for found in (other, data):
        chain.store.create(entry_key(TITLE, address(found)), found)
    with pytest.raises(InvalidError, match="is ambiguous in TN1: ") as caught:
        chain.ledger.entry(TITLE, candidates[0][:4])
    assert all(candidate in str(caught.value) for candidate in candidates)
    assert caught.value.hint == "write more of its digits"
    unique = next(n for n in range(4, 64) if candidates[0][:n] != candidates[1][:n])
    assert chain.ledger.entry(TITLE, candidates[1][:unique]).data == data


@pytest.mark.parametrize("revision", ["", "head", "v0", "abc", "HEAD@{1}", "../v1"])
def test_what_is_no_revision_is_refused(chain, revision):
    with pytest.raises(InvalidError, match="not a revision"):
        chain.ledger.entry(TITLE, revision)


# --- at a moment ---------------------------------------------------------------------------------


def test_as_known_on_a_day_the_newest_recorded_by_then_is_shown(chain):
    moment = START + timedelta(days=3)
    at = chain.ledger.at
    assert at(TITLE, recorded=moment) == chain.entries[3]
    assert at(TITLE, recorded=moment - timedelta(microseconds=1)) == chain.entries[2]
    assert at(TITLE, recorded=moment.date()) == chain.entries[3]  # all of that day
    assert at(TITLE, recorded="2026-11-25") == chain.entries[2]
    assert at(TITLE, recorded=datetime(2999, 1, 1, tzinfo=UTC)) == at(TITLE) == chain.entries[-1]
    with pytest.raises(NotFoundError, match="no entry of TN1 was recorded by 2026-11-22"):
        at(TITLE, recorded="2026-11-22")


def test_in_law_a_version_holds_from_its_beginning():
    """An imported sale of 1995, recorded now; then one to be, recorded before it holds."""
    ledger = Chain(3, v1="1995-03-01", v3="2027-01-01T00:00:00+01:00").ledger

    def at(text: str) -> int:
        return ledger.at(TITLE, effective=text).version

    assert at("1995-03-01T00:00:00Z") == at("1995-03-01") == 1
    assert at("2026-11-23") == at("2026-11-24T09:59:59Z") == 1
    assert at("2026-11-24T10:00:00Z") == at("2026-11-24") == 2  # from when it was recorded
    assert at("2026-12-31T22:59:59Z") == at("2026-12-31") == 2
    assert at("2026-12-31T23:00:00Z") == at("2027-01-01") == 3  # its date as it is written
    with pytest.raises(NotInLaw, match="version 1 holds from 1995-03-01"):
        at("1995-02-28T23:59:59Z")
    with pytest.raises(NotFoundError, match="was recorded by 1995-03-01"):
        ledger.at(TITLE, recorded=datetime(1995, 3, 1, tzinfo=UTC))


def test_in_law_a_version_holds_until_its_end_exclusive():
    clock = FixedClock(START)
    ledger = memory_ledger(clock=clock)
    ledger.append(TITLE, {}, effective_at="2020", effective_until="2021-03")
    ledger.append(TITLE, {}, effective_at="2025-06-01")
    assert ledger.at(TITLE, effective="2021-02-28").version == 1
    assert ledger.at(TITLE, effective=date(2025, 6, 1)).version == 2
    with pytest.raises(NotInLaw) as caught:
        ledger.at(TITLE, effective="2021-03-01")
    assert str(caught.value) == (
        "nothing was in law then: version 1 held until 2021-03, version 2 holds from 2025-06-01"
    )


def test_both_questions_at_once_ask_what_was_held_to_be_the_law():
    clock = FixedClock(START)
    ledger = memory_ledger(clock=clock)
    ledger.append(TITLE, {"owner": "Ada"}, effective_at="2020")
    clock.forward(days=1)
    ledger.append(
        TITLE, {"owner": "Bo"}, effective_at="2022", effective_until="2023", kind="rectification"
    )

    def owner(effective: str, recorded: str | None = None) -> str:
        return ledger.at(TITLE, effective=effective, recorded=recorded).document["owner"]

    assert owner("2022-06-01") == owner("2022-06-01", "2026-11-24") == "Bo"
    assert owner("2022-06-01", "2026-11-23") == owner("2023-01-01") == "Ada"
    with pytest.raises(NotInLaw):
        owner("2022-06-01", "2026-11-22")


def test_in_law_a_later_version_supersedes_earlier_ones_that_take_effect_after_it():
    ledger = Chain(2, v1="2030-01-01", v2="2020-01-01").ledger
    assert ledger.at(TITLE, effective=datetime(2031, 1, 1, tzinfo=UTC)).version == 2


@pytest.mark.parametrize("question", ["effective", "recorded"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (datetime(2026, 1, 1), "without an offset"),  # noqa: DTZ001
        ("2026", "whole date"),
        ("2026-03", "whole date"),
        ("soon", "not a whole date"),
        (2026, "not a date"),
    ],
)
def test_what_is_no_question_is_refused(chain, question, asked, words):
    with pytest.raises(InvalidError, match=words):
        chain.ledger.at(TITLE, **{question: asked})


# --- texts that are gone -------------------------------------------------------------------------


def _erased(*, withheld: bool) -> Ledger:
    """A title whose version 2 was erased by version 4."""
    world = small_world()
    world.add(erases=[2], reference="ORDER-1")
    if withheld:
        world.withhold(2)
    return world.open()


@pytest.mark.parametrize("withheld", [False, True], ids=["still there", "gone"])
def test_an_erased_text_is_not_shown_whether_it_is_there_or_not(withheld):
    ledger = _erased(withheld=withheld)
    log = list(ledger.log(TITLE))
    assert [entry.version for entry in log if entry.is_withheld] == [2]
    second = log[2]
    assert (second.author, second.message) == ("", "")
    for call in (
        lambda: second.document,
        lambda: ledger.at(TITLE, recorded="2026-11-24"),
        lambda: ledger.at(TITLE, effective="2026-11-24", recorded="2026-11-24"),
        lambda: ledger.diff(TITLE, "v2", "v1"),
    ):
        with pytest.raises(Erased):
            call()
    assert ledger.entry(TITLE, "v2").is_withheld
    assert ledger.entry(TITLE, second.address).is_withheld
    with pytest.raises(Erased, match=r"erased by version 4 \(reference ORDER-1\)") as caught:
        ledger.at(TITLE, recorded="2026-11-24")
    assert (caught.value.version, caught.value.reference) == (4, "ORDER-1")
    assert ledger.at(TITLE, recorded="2026-11-23").document == {"owner": "Ada"}


def test_a_text_that_is_gone_without_an_order_is_damage():
    world = small_world()
    key = world.withhold(2)
    ledger = world.open()
    for call in (lambda: list(ledger.log(TITLE)), lambda: ledger.at(TITLE, recorded="2026-11-24")):
        with pytest.raises(IntegrityError) as caught:
            call()
        assert (caught.value.reason, caught.value.object_key) == ("text-missing", key)


def test_what_lost_a_race_orders_nothing_erased():
    """Seen from it, too, the text is there: no entry of the chain can be named for its absence."""
    ledger = memory_ledger()
    ledger.append(TITLE, {"owner": "Ada"})
    head = ledger.append(TITLE, {"owner": "Bob"})
    ledger.append(TITLE, {"owner": "Cy"})
    loser = Entry.sign(
        signer(),
        ledger=ledger.origin,
        title_number=TITLE,
        document={},
        recorded_at=head.recorded_at,
        salt=bytes(32),
        parent=head,
        reference="ORDER-1",
        erases=(1,),
    )
    ledger.store.create(entry_key(TITLE, loser.address), loser.data)
    *_, first = ledger.log(TITLE, loser.address)
    assert first.document == {"owner": "Ada"}
    assert [change.new for change in ledger.diff(TITLE, "v2", f"{loser.address}~2")] == ["Ada"]


# --- what is handed out --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_damaged_entry_raises_when_the_log_comes_to_it(version):
    world = small_world()
    key = world.key_of(version)
    whole = world.objects[key]
    for damaged in (b"", whole + b"\n", whole.replace(b'"version":', b'"version":1'), None):
        if damaged is None:
            del world.objects[key]
        else:
            world.objects[key] = damaged
        ledger = world.open()
        log = ledger.log("TN1")
        # The newest is read from the head, which is a copy.
        assert len(list(islice(log, 3 - version))) == 3 - version
        if version < 3:
            with pytest.raises(IntegrityError) as caught:
                next(log)
            assert caught.value.object_key == key
            assert key in str(caught.value)
        with pytest.raises((IntegrityError, NotFoundError)):
            ledger.entry("TN1", world.entries[version - 1].address)


def test_a_damaged_head_is_not_handed_out():
    world = small_world()
    world.objects["TN1/head.json"] = world.objects["TN1/head.json"].replace(b"Cy", b"Me")
    ledger = world.open()
    for call in (ledger.head, ledger.entry, ledger.log, ledger.diff):
        with pytest.raises(IntegrityError) as caught:
            call("TN1")
        assert (caught.value.reason, caught.value.object_key) == ("text-mismatch", "TN1/head.json")


def test_an_entry_by_an_unknown_key_is_not_handed_out():
    world = small_world()
    world.keyring = keyring_for(signer("bob"))
    with pytest.raises(TrustError, match="which the keyring lacks") as caught:
        world.open().head("TN1")
    assert "ledger key trust FILE" in caught.value.hint


def test_a_key_that_is_given_up_while_a_head_is_checked_by_it_counts_no_more():
    history = memory_ledger().history
    first = memory_ledger(history.store).append(TITLE, {})
    open_, others = history.open, keyring_for(signer("other"))

    def opened(*args):
        entry = open_(*args)
        history.use_keyring(others)
        return entry

    history.open = opened
    assert history.head(TITLE) == first  # it was asked for before
    with pytest.raises(TrustError):
        history.head(TITLE)


def test_links_are_checked_when_reading():
    world = small_world()
    changed = world.rewrite(3, parent=world.entries[0].address)
    ledger = world.open()
    assert ledger.head("TN1").version == 3
    for call in (
        lambda: list(ledger.log("TN1")),
        lambda: ledger.entry("TN1", "HEAD~1"),
        lambda: ledger.diff("TN1"),
    ):
        with pytest.raises(IntegrityError) as caught:
            call()
        assert (caught.value.reason, caught.value.object_key) == ("wrong-version", changed)


def test_documents_handed_out_are_fresh_copies(chain):
    document = chain.ledger.head(TITLE).document
    document["version"] = "mine"
    assert chain.ledger.head(TITLE).document == {"version": 12}


def test_a_diff_of_two_revisions(chain):
    assert [(c.path, c.old, c.new) for c in chain.ledger.diff(TITLE)] == [("/version", 11, 12)]
    assert [(c.old, c.new) for c in chain.ledger.diff(TITLE, "v9", "v2")] == [(9, 2)]
    assert chain.ledger.diff(TITLE, "HEAD", "HEAD") == []


@law
@given(st.lists(st.integers(0, 100), min_size=1, max_size=6), st.integers(-10, 700))
def test_at_agrees_with_the_log_for_every_moment(hours, moment):
    clock = FixedClock(START)
    ledger = memory_ledger(clock=clock)
    for step in hours:
        clock.forward(hours=step)
        ledger.append(TITLE, {})
    asked = START + timedelta(hours=moment)
    by_then = [
        entry for entry in ledger.log(TITLE) if datetime.fromisoformat(entry.recorded_at) <= asked
    ]
    if by_then:
        assert ledger.at(TITLE, recorded=asked) == by_then[0]
        assert ledger.entry(TITLE, f"@{{{asked.isoformat()}}}") == by_then[0]
    else:
        with pytest.raises(NotFoundError):
            ledger.at(TITLE, recorded=asked)


def test_a_reader_needs_no_signer(chain):
    reader = Ledger.open(chain.store, keyring=chain.ledger.keyring)
    assert reader.head(TITLE) == chain.entries[-1]
