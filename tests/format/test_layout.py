"""Title numbers, addresses and object keys."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.format import layout
from ledger.format.layout import (
    PackName,
    ReferenceName,
    check_address,
    check_deletable,
    check_key,
    check_title_number,
    entry_key,
    head_key,
    is_address,
    is_title_number,
    pack_key,
    parse_entry_key,
    parse_pack_key,
    parse_pending_key,
    parse_reference_key,
    pending_key,
    pending_prefix,
    reference_key,
    reference_prefix,
)
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

ADDRESS = "0123456789abcdef" * 4

# As from the pattern, in a tenth of the time. Few dots: two of them may not meet.
_letters = "ABXYZ0189_-" * 9 + "."
title_numbers = st.text(_letters, min_size=1, max_size=64).filter(is_title_number)
grammar = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")
addresses = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.mark.parametrize(
    "text",
    [
        *("TN1234567", "12DFSADF", "DN100", "A", "0", "A-1", "A_1", "A--", "A-_", "X" * 64),
        *("CONS", "COM10", "A.CON", "CON-1.A", "A.B.C", "0.0", "AGL1004", "8A.1-2_3"),
        "0D5F6BC4-91D5-4F4A-9B2B-B7E4F9C2D1AA",
    ],
)
def test_title_numbers(text):
    assert check_title_number(text) == text


NOT_TITLE_NUMBERS = [
    "",
    " ",
    "tn1234567",
    "Tn1234567",
    "TN 1",
    " TN1",
    "TN1 ",
    "TN1\n",
    "TN1\r\n",
    "\nTN1",
    "TN1\0",
    "TN1\0.json",
    "../TN1",
    "..",
    ".",
    "TN1/..",
    "TN1/head.json",
    "/TN1",
    "TN1\\X",
    "%2e%2e",
    "%2E%2E%2FTN1",
    "TN%31",
    "TN1.json",
    "TN1+",
    "TN1:X",
    "TN1~1",
    "_TN1",
    "-TN1",
    "_log",
    "\N{FULLWIDTH LATIN CAPITAL LETTER T}1",
    "TN\N{FULLWIDTH DIGIT ONE}",
    "\N{CYRILLIC CAPITAL LETTER TE}N1",
    "TN①",
    "TN٣",  # a digit, says str.isdigit
    "TN²",
    "TİN",
    "ß",
    "TN1\u200b",
    "\ud800",
    "X" * 65,
    "X" * 100_000,
    *("A.", "A..B", "A..", ".A", "A.B.", "A.-.", "X" * 63 + ".", "A.B..C.D"),
    *("CON.A", "COM1.B.C", "NUL.0", "AUX.json"),
    *("CON", "PRN", "AUX", "NUL", "COM0", "COM1", "COM9", "LPT0", "LPT1", "LPT9"),
    None,
    1,
    b"TN1",
    ["TN1"],
]


@pytest.mark.parametrize("text", NOT_TITLE_NUMBERS, ids=lambda text: ascii(text)[:30])
def test_what_is_no_title_number_is_refused_and_never_made_to_fit(text):
    assert not is_title_number(text)
    with pytest.raises(InvalidError) as caught:
        check_title_number(text)
    assert str(caught.value).startswith("not a title number: ")
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 220
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("WS5C/560", "WS5C-560"),
        ("ws5c:560 ", "WS5C-560"),
        ("Tn 1", "TN-1"),
        ("0d5f6bc4-91d5", "0D5F6BC4-91D5"),
    ],
)
def test_the_error_proposes_the_spelling_that_other_registers_map_theirs_to(text, near):
    with pytest.raises(InvalidError) as caught:
        check_title_number(text)
    assert caught.value.hint == f"write {near}"
    assert is_title_number(near)


@pytest.mark.parametrize("text", ["../TN1", "a\\b", "stra\u00dfe", "con", 1, None, "a" * 65])
def test_nothing_is_proposed_that_would_not_be_one_or_is_far_from_it(text):
    with pytest.raises(InvalidError) as caught:
        check_title_number(text)
    assert caught.value.hint == "title numbers look like TN1234567; they are never changed to fit"


def test_in_a_document_the_place_is_named_and_the_value_is_not():
    with pytest.raises(InvalidError) as caught:
        check_title_number("secret/1", place="/title_number")
    assert str(caught.value).startswith("/title_number is not a title number")
    assert "ecret" not in (str(caught.value) + caught.value.hint).lower()


def test_a_device_name_is_refused_as_such():
    with pytest.raises(InvalidError, match="a device name on some systems"):
        check_title_number("COM1")


@law
@given(st.text("AZ09._-/a", max_size=66))
def test_a_title_number_is_what_the_format_says(text):
    dots = ".." in text or text.endswith(".")
    device = text.split(".")[0] in {"CON", "PRN", "AUX", "NUL", "COM0", "COM9", "LPT0", "LPT9"}
    expected = grammar.fullmatch(text) is not None and not dots and not device
    assert is_title_number(text) == expected


@law
@given(st.text(max_size=40))
def test_a_title_number_is_ascii_upper_case_and_safe_in_a_key(text):
    if is_title_number(text):
        assert text.isascii()
        assert text == text.upper() == text.strip()
        assert check_key(head_key(text)) == f"{text}/head.json"


def test_the_object_keys_are_those_of_the_format():
    assert layout.LEDGER_KEY == "ledger.json"
    assert head_key("TN1") == "TN1/head.json"
    assert entry_key("TN1", ADDRESS) == f"TN1/{ADDRESS}.json"
    title = hashlib.sha256(b"TN1").hexdigest()
    assert pending_key("TN1", 12, ADDRESS) == f"_pending/{title[:3]}/TN1.12-{ADDRESS}"
    digest = hashlib.sha256("Az. 7 \u00fc".encode()).hexdigest()
    assert reference_key("Az. 7 \u00fc", "TN1", 12, ADDRESS) == (
        f"_references/{digest[:3]}/{digest[3:]}.TN1.12-{ADDRESS}"
    )
    assert pack_key(PackName("A.B", "A.C", 7, ADDRESS)) == f"_packs/A.B/A.C.7-{ADDRESS}"


@law
@given(title_numbers, st.integers(1, 2**53 - 1), addresses)
def test_keys_are_taken_apart_as_they_were_made(title_number, version, address):
    assert parse_entry_key(entry_key(title_number, address)) == (title_number, address)
    marker = pending_key(title_number, version, address)
    assert parse_pending_key(marker) == (title_number, version, address)
    assert marker.startswith(pending_prefix(title_number))
    reference = reference_key("R 1", title_number, version, address)
    digest = hashlib.sha256(b"R 1").hexdigest()
    assert parse_reference_key(reference) == ReferenceName(digest, title_number, version, address)
    assert reference.startswith(reference_prefix("R 1"))
    for key in (entry_key(title_number, address), head_key(title_number), marker, reference):
        assert check_key(key) == key
        assert max(map(len, key.split("/"))) <= 255  # the longest name that disks take


@law
@given(title_numbers, title_numbers, st.integers(1, 2**24), addresses)
def test_a_pack_names_its_first_and_its_last_title(one, other, size, digest):
    first, last = sorted((one, other), key=head_key)
    name = PackName(first, last, size, digest)
    assert parse_pack_key(pack_key(name)) == name
    assert check_key(pack_key(name)) == pack_key(name)
    if first != last:
        assert parse_pack_key(pack_key(PackName(last, first, size, digest))) is None


@law
@given(st.lists(title_numbers, min_size=2, max_size=6, unique=True))
def test_packs_are_listed_in_the_order_of_their_first_titles_keys(titles):
    names = [PackName(each, each, 1, ADDRESS) for each in titles]
    listed = [name.first for name in sorted(names, key=pack_key)]
    assert listed == sorted(titles, key=head_key)


@pytest.mark.parametrize(
    "key",
    [
        "ledger.json",
        "TN1/head.json",
        f"TN1/{ADDRESS}",
        f"TN1/{ADDRESS}.json.json",
        f"TN1/{ADDRESS}.JSON",
        f"TN1/{ADDRESS.upper()}.json",
        f"TN1/{ADDRESS[:-1]}.json",
        f"TN1/x/{ADDRESS}.json",
        f"tn1/{ADDRESS}.json",
        f"{ADDRESS}.json",
        f"TN1/{ADDRESS}.json\n",
        f"_log/{ADDRESS}.json",
    ],
)
def test_other_keys_are_no_entrys(key):
    assert parse_entry_key(key) is None


MARKER = pending_key("TN1", 1, ADDRESS)


@pytest.mark.parametrize(
    "key",
    [
        "TN1/head.json",
        "_pending/x",
        f"_pending/TN1.1-{ADDRESS}",
        f"_pending/000/TN1.1-{ADDRESS}",
        MARKER.replace("TN1.1-", "TN1.0-"),
        MARKER.replace("TN1.1-", "TN1.01-"),
        MARKER.replace("TN1.1-", "TN1-"),
        MARKER.replace("TN1.1-", "TN2.1-"),
        MARKER + "\n",
        "_pending/" + MARKER,
        MARKER.replace(ADDRESS, ADDRESS.upper()),
        MARKER.replace("/TN1", "/CON"),
        MARKER.replace("/TN1", "//TN1"),
    ],
)
def test_other_keys_are_no_markers(key):
    assert parse_pending_key(MARKER)
    assert parse_pending_key(key) is None


REFERENCE = reference_key("R", "TN1", 1, ADDRESS)


@pytest.mark.parametrize(
    "key",
    [
        "_references/x",
        REFERENCE.replace("TN1.1-", "TN1.0-"),
        REFERENCE.replace("TN1", "tn1"),
        REFERENCE.replace("TN1", "NUL"),
        REFERENCE + "\n",
        REFERENCE[:14] + REFERENCE[16:],
        REFERENCE.replace("_references", "_pending"),
    ],
)
def test_other_keys_are_no_references(key):
    assert parse_reference_key(REFERENCE)
    assert parse_reference_key(key) is None


@pytest.mark.parametrize(
    "key",
    [
        f"_packs/A.B.1-{ADDRESS}",
        f"_packs/A/B.0-{ADDRESS}",
        f"_packs/A/B.1-{ADDRESS}x",
        f"_packs/A/CON.1-{ADDRESS}",
        f"_packs/B/A.1-{ADDRESS}",
        f"A/B.1-{ADDRESS}",
    ],
)
def test_other_keys_are_no_packs(key):
    assert parse_pack_key(f"_packs/A/B.1-{ADDRESS}")
    assert parse_pack_key(key) is None


@pytest.mark.parametrize(
    "text", ["", ADDRESS[:-1], ADDRESS + "0", ADDRESS.upper(), ADDRESS + "\n", "g" * 64, None, 1]
)
def test_an_address_is_64_lower_case_hex_digits(text):
    assert is_address(ADDRESS)
    assert check_address(ADDRESS) == ADDRESS
    assert not is_address(text)
    with pytest.raises(InvalidError, match="not an address"):
        check_address(text)


@pytest.mark.parametrize(
    "key",
    [
        *("_pending/x", "_probe/x", "_packs/x", "_log/staging/x", "_references/x"),
        entry_key("TN1", ADDRESS),  # of one that lost a race
    ],
)
def test_markers_probes_packs_and_what_lost_a_race_may_be_deleted(key):
    assert check_deletable(key) == key


@pytest.mark.parametrize(
    "key",
    ["ledger.json", "TN1/head.json", "_log/x", "_pending", "_packs", "_trust/1.json"],
)
def test_nothing_else_may_ever_be_deleted(key):
    with pytest.raises(InvalidError, match="never deleted"):
        check_deletable(key)
