"""One chain: what does not hold is found and named, from the head down, in either form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, StoreDenied
from ledger.format.chain import NO_PIN, check_link, verify_chain
from ledger.format.entry import Entry, address_of, short_form
from ledger.format.layout import entry_key, head_key
from ledger.testing import ORIGIN, keyring_for, signer
from tests.format import by_hand
from tests.format.by_hand import ALICE, SALT, TITLE
from tests.laws import examples

if TYPE_CHECKING:
    from ledger import Report

law = settings(deadline=None, max_examples=examples(150))

HEAD = head_key(TITLE)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
EVE = signer("eve")


class Title:
    """The objects of one title; ``versions`` are their long forms, version 1 first."""

    def __init__(self, *changes: dict[str, Any], rogue: bool = False) -> None:
        """Make a chain of entries with these changes; ``rogue``: by hand, whatever they are."""
        self.versions: list[bytes] = []
        for number, change in enumerate(changes, 1):
            recorded = {"recorded_at": f"2026-11-{number:02}T10:00:00.000000Z"}
            above = self.versions[-1] if self.versions else None
            if rogue:
                links = {"version": number, "parent": above and by_hand.address(above)}
                data = by_hand.entry(**(recorded | links | change))
            else:
                plain = {"ledger": ORIGIN, "title_number": TITLE, "salt": SALT, "document": {}}
                links = {"parent": above and Entry.unverified(above)}
                data = Entry.sign(ALICE, **(plain | recorded | links | change)).data
            self.versions.append(data)
        self.objects = {self.key(number): data for number, data in enumerate(self.versions, 1)}
        self.objects[HEAD] = self.versions[-1]

    def key(self, version: int) -> str:
        return entry_key(TITLE, address_of(self.versions[version - 1]))

    def withhold(self, *versions: int) -> None:
        for version in versions:
            self.objects[self.key(version)] = short_form(self.versions[version - 1])

    def verify(self, now: datetime = NOW, **pins: str) -> Report:
        return verify_chain(
            TITLE,
            origin=ORIGIN,
            keyring=keyring_for(ALICE),
            head=self.objects[HEAD],
            read=lambda address: self.objects.get(entry_key(TITLE, address)),
            now=now,
            **pins,
        )

    def found(self) -> list[tuple[str, str, str]]:
        return [(each.severity, each.slug, each.object_key) for each in self.verify().findings]


def three(**last: Any) -> Title:
    return Title({}, {}, last)


def erasing(*versions: int) -> dict[str, Any]:
    return {"erases": versions, "reference": "AG 7/26"}


# --- a chain that holds --------------------------------------------------------------------------


def test_an_untouched_chain_verifies():
    report = three().verify()
    assert report
    assert (report.titles, report.entries, report.findings) == (1, 3, ())
    assert report.not_shown == (NO_PIN,)


def test_a_document_that_looks_like_a_parent_leads_nowhere():
    """The parent is found in P alone, also at version 1, which has none."""
    sly = {"parent": "a" * 64, "version": 9}
    title = Title({"document": sly}, {"document": sly, "message": f'{{"parent":"{"b" * 64}"}}'})
    report = title.verify()
    assert report
    assert report.entries == 2


def test_times_that_are_equal_are_in_order():
    when = {"recorded_at": "2026-11-01T10:00:00.000000Z"}
    assert Title(when, when).verify()


# --- a chain that does not -----------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_missing_entry_is_named(version):
    title = three()
    del title.objects[title.key(version)]
    assert title.found() == [("tampering", "entry-missing", title.key(version))]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_entry_in_anothers_place_is_named(version):
    title = three()
    title.objects[title.key(version)] = title.versions[version - 2]
    assert title.found() == [("tampering", "address-mismatch", title.key(version))]


@pytest.mark.parametrize("place", ["head", 3, 2, 1])
@pytest.mark.parametrize("withheld", [False, True])
def test_a_changed_byte_is_named(place, withheld):
    title = Title({}, {}, {}, erasing(1, 2, 3))
    if withheld:
        title.withhold(1, 2, 3)
    key = HEAD if place == "head" else title.key(place)
    whole = title.objects[key]
    for position in range(0, len(whole), 41):
        title.objects[key] = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        tampering = [named for severity, _, named in title.found() if severity == "tampering"]
        assert tampering == [key]


def test_the_heads_own_object_is_judged_too():
    title = three()
    title.objects[title.key(3)] += b" "
    assert title.found() == [("tampering", "malformed-entry", title.key(3))]
    title.withhold(3)
    assert title.found() == [("tampering", "text-missing", title.key(3))]
    del title.objects[title.key(3)]
    report = title.verify()
    assert [each.slug for each in report.findings] == ["entry-missing"]
    assert report.entries == 2  # what lies below is still looked at


def test_a_withheld_head_is_tampering():
    title = three()
    title.objects[HEAD] = short_form(title.versions[2])
    assert title.found() == [("tampering", "text-missing", HEAD)]
    title.withhold(3)
    assert title.found() == [("tampering", "text-missing", HEAD)]


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"title_number": "TN2"}, "wrong-title"),
        ({"ledger": "example.org/other"}, "wrong-ledger"),
        ({"text": "0" * 64}, "text-mismatch"),
        ({"key": EVE.public_key.key_id}, "unknown-key"),
        ({"part": [2, 1]}, "malformed-entry"),
        ({"kind": "later", "voids": None}, "malformed-entry"),
        ({"recorded_at": "2026-10-31T23:59:59.999999Z"}, "time-reversed"),
    ],
)
def test_what_a_registrar_signed_wrongly_is_named(change, slug):
    title = Title({}, change, {}, rogue=True)
    assert title.found() == [("tampering", slug, title.key(2))]
    head = Title({}, change, rogue=True)
    named = head.key(2) if slug == "time-reversed" else HEAD  # it is the link that is wrong
    assert head.found()[0] == ("tampering", slug, named)


def test_a_version_is_one_more_than_its_parents():
    title = Title({}, {"version": 3}, {}, rogue=True)
    assert title.found() == [
        ("tampering", "wrong-version", title.key(3)),
        ("tampering", "wrong-version", title.key(2)),
    ]


def test_an_entry_that_is_not_the_parent_does_not_link():
    one, other = Title({}, {}), Title({"document": {"other": 1}}, {})
    child, stranger = Entry.unverified(one.versions[1]), Entry.unverified(other.versions[0])
    check_link(child, Entry.unverified(one.versions[0]))
    with pytest.raises(IntegrityError, match="its parent is") as caught:
        check_link(child, stranger)
    assert (caught.value.reason, caught.value.object_key) == ("address-mismatch", one.key(2))


# --- erasure -------------------------------------------------------------------------------------


def test_a_text_that_an_entry_above_erases_may_be_withheld_and_is_counted():
    title = Title({}, {}, {}, erasing(1, 3), erasing(2))
    title.withhold(1, 2, 3)
    report = title.verify()
    assert report
    assert report.entries == 5
    assert report.not_shown[1:] == (
        f"the texts of 2 entries of {TITLE}, erased by version 4 (reference AG 7/26)",
        f"the text of 1 entry of {TITLE}, erased by version 5 (reference AG 7/26)",
    )


def test_a_text_that_nobody_erased_is_missing():
    title = three()
    title.withhold(1, 2)
    assert title.found() == [
        ("tampering", "text-missing", title.key(2)),
        ("tampering", "text-missing", title.key(1)),
    ]


def test_a_text_that_is_erased_and_still_there_is_a_warning():
    title = three(**erasing(1))
    assert title.verify()
    assert title.found() == [("warning", "not-erased", title.key(1))]


def test_an_erasure_may_be_withheld_by_a_later_one_and_still_counts():
    title = Title({}, erasing(1), erasing(1, 2))
    title.withhold(1, 2)
    report = title.verify()
    assert report
    assert "the texts of 2 entries" in report.not_shown[1]


def test_an_erased_entry_that_is_gone_as_a_whole_is_missing():
    title = three(**erasing(1))
    del title.objects[title.key(1)]
    assert title.found() == [("tampering", "entry-missing", title.key(1))]


def test_the_lists_of_an_unknown_kind_count():
    title = Title({}, {"kind": "later", "erases": [1], "part": by_hand.ABSENT}, rogue=True)
    title.withhold(1)
    report = title.verify()
    assert [each.slug for each in report.findings] == ["unsupported-kind"]
    assert f"the text of 1 entry of {TITLE}, erased by version 2" in report.not_shown


lists = st.lists(st.lists(st.integers(1, 5), unique=True).map(sorted), min_size=1, max_size=6)


@law
@given(lists, st.sets(st.integers(1, 6)))
def test_who_may_be_withheld_follows_from_the_lists_above(lists, gone):
    lists = [[each for each in named if each < own] for own, named in enumerate(lists, 1)]
    title = Title(*(erasing(*named) for named in lists))
    size = len(lists)
    gone = {version for version in gone if version <= size}
    title.withhold(*gone)
    title.objects[HEAD] = title.objects[title.key(size)]
    named = {version for each in lists for version in each}
    report = title.verify()
    slugs = [each.slug for each in report.findings]
    assert slugs.count("text-missing") == len(gone - named)
    assert slugs.count("not-erased") == len(named - gone)
    assert len(slugs) == len(gone ^ named)
    assert bool(report) == (gone <= named)


# --- what can't be judged ------------------------------------------------------------------------


def test_the_walk_goes_on_below_an_entry_of_a_kind_to_come():
    title = Title({}, {"kind": "later"}, {}, rogue=True)
    assert title.found() == [("unchecked", "unsupported-kind", title.key(2))]
    assert title.verify().entries == 3
    title.objects[title.key(1)] += b" "
    assert [slug for _, slug, _ in title.found()] == ["unsupported-kind", "malformed-entry"]
    assert title.verify().outcome == "tampered"


def test_an_unknown_status_is_unsupported():
    title = Title({}, {"status": "frozen"}, rogue=True)
    assert title.found() == [("unchecked", "unsupported-status", HEAD)]


@pytest.mark.parametrize("name", ["confirms", "voids"])
def test_what_confirms_or_voids_takes_a_trust_file(name):
    title = Title({}, {}, {name: (1,)})
    assert title.found() == [("unchecked", "needs-trust", HEAD)]


def test_what_can_not_be_read_is_unchecked():
    def read(address: str) -> bytes:
        raise StoreDenied("no permission")

    report = verify_chain(
        TITLE,
        origin=ORIGIN,
        keyring=keyring_for(ALICE),
        head=three().versions[2],
        read=read,
        now=NOW,
    )
    found = {(each.severity, each.slug) for each in report.findings}
    assert found == {("unchecked", "store-denied")}


def test_a_time_in_the_future_is_a_warning():
    title = three()
    recorded = datetime(2026, 11, 3, 10, tzinfo=UTC)
    assert title.verify(now=recorded - timedelta(minutes=5)).findings == ()
    report = title.verify(now=recorded - timedelta(minutes=5, microseconds=1))
    assert report
    assert [each.slug for each in report.findings] == ["time-in-future"]


# --- pins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_pin_holds_for_both_forms_of_an_entry(version):
    title = three(**erasing(1, 2))
    title.withhold(1, 2)
    pin = address_of(title.versions[version - 1])
    report = title.verify(expect=pin)
    assert report
    assert NO_PIN not in report.not_shown
    since = title.verify(since=pin)
    assert since
    assert since.entries == 4 - version


def test_a_pin_that_the_chain_lacks_is_named():
    report = three().verify(expect="0" * 64)
    assert [(each.slug, each.object_key) for each in report.findings] == [("pin-missing", HEAD)]
