"""Title numbers, addresses and object keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.format import layout
from ledger.format.layout import (
    check_address,
    check_deletable,
    check_key,
    check_title_number,
    entry_key,
    head_key,
    is_address,
    is_title_number,
    parse_entry_key,
    parse_pending_key,
    pending_key,
)

law = settings(deadline=None, max_examples=100)

ADDRESS = "0123456789abcdef" * 4

title_numbers = st.from_regex(layout.TITLE_NUMBER, fullmatch=True).filter(is_title_number)
addresses = st.from_regex(layout.ADDRESS, fullmatch=True)


@pytest.mark.parametrize(
    "text",
    ["TN1234567", "12DFSADF", "DN100", "A", "0", "A-1", "A_1", "A--", "X" * 32, "CONS", "COM10"],
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
    "X" * 33,
    "X" * 100_000,
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
    assert len(str(caught.value)) < 200
    assert "TN1234567" in caught.value.hint


def test_a_device_name_is_refused_as_such():
    with pytest.raises(InvalidError, match="a device name on some systems"):
        check_title_number("COM1")


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
    assert pending_key("TN1", 12, ADDRESS) == f"_pending/TN1.12-{ADDRESS}"


@law
@given(title_numbers, st.integers(1, 2**53 - 1), addresses)
def test_keys_are_taken_apart_as_they_were_made(title_number, version, address):
    assert parse_entry_key(entry_key(title_number, address)) == (title_number, address)
    marker = pending_key(title_number, version, address)
    assert parse_pending_key(marker) == (title_number, version, address)
    for key in (entry_key(title_number, address), head_key(title_number), marker):
        assert check_key(key) == key


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


@pytest.mark.parametrize(
    "key",
    [
        "TN1/head.json",
        "_pending/x",
        f"TN1.1-{ADDRESS}",
        f"_pending/TN1.0-{ADDRESS}",
        f"_pending/TN1.01-{ADDRESS}",
        f"_pending/TN1-{ADDRESS}",
        f"_pending/TN1.1-{ADDRESS}\n",
        f"_pending/_pending/TN1.1-{ADDRESS}",
        f"_pending/TN1.1-{ADDRESS.upper()}",
    ],
)
def test_other_keys_are_no_markers(key):
    assert parse_pending_key(key) is None


@pytest.mark.parametrize(
    "text", ["", ADDRESS[:-1], ADDRESS + "0", ADDRESS.upper(), ADDRESS + "\n", "g" * 64, None, 1]
)
def test_an_address_is_64_lower_case_hex_digits(text):
    assert is_address(ADDRESS)
    assert check_address(ADDRESS) == ADDRESS
    assert not is_address(text)
    with pytest.raises(InvalidError, match="not an address"):
        check_address(text)


@pytest.mark.parametrize("key", ["_pending/x", "_probe/x", "_packs/x", "_log/staging/x"])
def test_markers_probes_packs_and_staging_objects_may_be_deleted(key):
    assert check_deletable(key) == key


@pytest.mark.parametrize(
    "key",
    ["ledger.json", "TN1/head.json", entry_key("TN1", ADDRESS), "_log/x", "_pending", "_packs"],
)
def test_nothing_else_may_ever_be_deleted(key):
    with pytest.raises(InvalidError, match="never deleted"):
        check_deletable(key)
