"""The form of a pack: what was packed comes out, byte for byte, and nothing else is read."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, UnsupportedFormatError
from ledger.format import canonical
from ledger.format.entry import MAX_BYTES
from ledger.format.layout import PackName, head_key, pack_key, parse_pack_key
from ledger.packs.format import MAX_PACK, Packable, make_pack, open_pack
from ledger.testing import ORIGIN
from tests.format.test_layout import title_numbers
from tests.laws import examples
from tests.tampering import address

law = settings(deadline=None, max_examples=examples(100))

ENTRIES = [
    Packable(title, address(data), data)
    for title, data in [("A-1", b"newest"), ("A-1", b"oldest"), ("A", b"x" * 100), ("B", b"\n")]
]


def in_order(contents: dict[str, set[bytes]]) -> list[Packable]:
    return [
        Packable(title, address(data), data)
        for title in sorted(contents, key=head_key)
        for data in contents[title]
    ]


def read(name: PackName, data: bytes) -> list[Packable]:
    return [
        Packable(title, address, entry)
        for title, entries in open_pack(name, data, ORIGIN).items()
        for address, entry in entries.items()
    ]


def named(
    index: object, rest: bytes, first: str = "A-1", last: str = "B"
) -> tuple[PackName, bytes]:
    """A pack with any index, under the name that it would have."""
    line = index if isinstance(index, bytes) else canonical.encode(index)
    data = line + b"\n" + rest
    return PackName(first, last, len(data), hashlib.sha256(data).hexdigest()), data


def index(entries: list[object], **changes: object) -> dict[str, object]:
    return {"entries": entries, "format": 1, "ledger": ORIGIN} | changes


ITEMS: list[object] = [[title, address, len(data)] for title, address, data in ENTRIES]
REST = b"".join(entry.data for entry in ENTRIES)


@law
@given(
    st.dictionaries(
        title_numbers,
        st.sets(st.binary(min_size=1, max_size=50), min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_packed_comes_out(contents):
    entries = in_order(contents)
    name, data = make_pack(ORIGIN, entries)
    assert read(name, data) == entries
    assert parse_pack_key(pack_key(name)) == name


def test_the_form_of_a_pack():
    name, data = make_pack(ORIGIN, ENTRIES)
    assert (name, data) == named(index(ITEMS), REST)
    assert pack_key(name) == f"_packs/A-1/B.{len(data)}-{hashlib.sha256(data).hexdigest()}"


@law
@given(st.data())
def test_a_pack_that_is_changed_anywhere_is_refused(draw):
    name, data = make_pack(ORIGIN, ENTRIES)
    place = draw.draw(st.integers(0, len(data)))
    noise = draw.draw(st.binary(max_size=20))
    cut = draw.draw(st.integers(0, 20))
    changed = data[:place] + noise + data[place + cut :]
    if changed == data:
        assert read(name, changed) == ENTRIES
        return
    with pytest.raises(MalformedError, match="not"):
        open_pack(name, changed, ORIGIN)


@law
@given(st.data())
def test_whoever_names_a_changed_pack_anew_can_still_only_leave_entries_out(draw):
    _, data = make_pack(ORIGIN, ENTRIES)
    place = draw.draw(st.integers(0, len(data) - 1))
    noise = draw.draw(st.binary(min_size=1, max_size=3))
    changed = data[:place] + noise + data[place + len(noise) :]
    name = PackName("A-1", "B", len(changed), hashlib.sha256(changed).hexdigest())
    try:
        found = read(name, changed)
    except LedgerError:
        return
    assert all(address(each.data) == each.address for each in found)


OTHER_SHA = "0" * 64


@pytest.mark.parametrize(
    ("content", "rest"),
    [
        (index(ITEMS), REST + b"x"),
        (index(ITEMS), REST[:-1]),
        (index(ITEMS), b""),
        (index(ITEMS[1:]), REST),
        (index([]), b""),
        (index([["A", OTHER_SHA, 1], *ITEMS]), b"x" + REST),
        (index([*ITEMS, ITEMS[-1]]), REST + ENTRIES[-1].data),
        (index([*ITEMS[2:], *ITEMS[:2]]), ENTRIES[2].data + ENTRIES[3].data + REST[:12]),
        (index([ITEMS[0], *ITEMS[2:], ITEMS[1]]), b"newest" + REST[12:] + b"oldest"),
        (index([["A-1", ENTRIES[0].address, 0], *ITEMS]), REST),
        (index([["A-1", ENTRIES[0].address, -6], *ITEMS]), REST),
        (index([["A-1", ENTRIES[0].address, MAX_BYTES + 1], *ITEMS]), b"x" * MAX_BYTES + REST),
        (index([["A-1", ENTRIES[0].address, 2**53 - 1], *ITEMS]), REST),
        (index([["A-1", ENTRIES[0].address, True], *ITEMS]), REST),
        (index([["A-1", ENTRIES[0].address, 6.5], *ITEMS]), REST),
        (index([["A-1", ENTRIES[0].address.upper(), 6], *ITEMS]), REST),
        (index([["a-1", ENTRIES[0].address, 6], *ITEMS]), REST),
        (index([["../A", ENTRIES[0].address, 6], *ITEMS]), REST),
        (index([["A-1", ENTRIES[0].address], *ITEMS]), REST),
        (index([{}, *ITEMS]), REST),
        (index([None]), REST),
        (index({}), REST),
        (index(ITEMS, ledger="example.org/other"), REST),
        (index(ITEMS, ledger=None), REST),
        (index(ITEMS, more=1), REST),
        (index(ITEMS, format=True), REST),
        ([1], REST),
        (b"", REST),
        (b" " + canonical.encode(index(ITEMS)), REST),
        (b"{}", b""),
    ],
)
def test_an_index_has_one_form_and_no_length_is_believed(content, rest):
    with pytest.raises(MalformedError):
        open_pack(*named(content, rest), ORIGIN)


def test_the_name_says_which_titles_are_in_a_pack():
    for first, last in (("A-1", "A"), ("A", "B"), ("0", "B"), ("A-1", "Z")):
        with pytest.raises(MalformedError, match="not those in its name"):
            open_pack(*named(index(ITEMS), REST, first, last), ORIGIN)


@pytest.mark.parametrize("data", [b"", b"\n", b"x" * 100, b"{}\n", b"\0" * 5000])
def test_what_is_no_pack_is_refused(data):
    name = PackName("A", "A", len(data), hashlib.sha256(data).hexdigest())
    with pytest.raises(MalformedError):
        open_pack(name, data, ORIGIN)


def test_a_pack_has_a_largest_size():
    data = b"x" * (MAX_PACK + 1)
    name = PackName("A", "A", len(data), hashlib.sha256(data).hexdigest())
    with pytest.raises(MalformedError, match="16,777,217 bytes"):
        open_pack(name, data, ORIGIN)


def test_a_later_format_is_named_as_such():
    with pytest.raises(UnsupportedFormatError, match="a pack of format 2"):
        open_pack(*named(index(ITEMS, format=2, more=[]), REST), ORIGIN)
