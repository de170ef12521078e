"""Leaves: one text for one entry."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, UnsupportedFormatError
from ledger.tlog import Leaf
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

ADDRESS = "81be04aa" * 8
LEAF = Leaf("TN1234567", 3, ADDRESS)
TEXT = b'{"entry":"%s","title_number":"TN1234567","type":"entry","version":3}' % ADDRESS.encode()


def test_a_leaf_is_canonical_json_of_four_members():
    assert LEAF.encode() == TEXT
    assert Leaf.decode(TEXT) == LEAF


@law
@example("TN1", 2**53 - 1, ADDRESS)
@given(
    st.from_regex(r"[A-Z]{2}[0-9]{1,7}", fullmatch=True),
    st.integers(1, 2**53 - 1),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
def test_every_leaf_comes_back(title_number, version, address):
    leaf = Leaf(title_number, version, address)
    assert Leaf.decode(leaf.encode()) == leaf


@pytest.mark.parametrize(
    "leaf",
    [
        Leaf("tn1", 1, ADDRESS),
        Leaf("", 1, ADDRESS),
        Leaf("TN1", 0, ADDRESS),
        Leaf("TN1", -1, ADDRESS),
        Leaf("TN1", 2**53, ADDRESS),
        Leaf("TN1", True, ADDRESS),
        Leaf("TN1", 1.0, ADDRESS),  # type: ignore[arg-type]
        Leaf("TN1", 1, ADDRESS.upper()),
        Leaf("TN1", 1, ADDRESS[:-1]),
    ],
)
def test_what_is_no_entry_makes_no_leaf(leaf):
    with pytest.raises(MalformedError):
        leaf.encode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT + b"\n",
        b" " + TEXT,
        TEXT.replace(b":3", b":3.0"),
        TEXT.replace(b":3", b':"3"'),
        TEXT.replace(b":3", b":0"),
        TEXT.replace(b":3", b":null"),
        TEXT.replace(b"TN1234567", b"../head"),
        TEXT.replace(b'"TN1234567"', b"[]"),
        TEXT.replace(b"81be04aa", b"81BE04AA"),
        TEXT.replace(b',"version":3', b""),
        TEXT.replace(b":3}", b':3,"why":1}'),
        TEXT.replace(b'"type":"entry",', b""),
        TEXT.replace(b'"entry",', b"1,"),
        b"[]",
        b'"entry"',
        b"null",
        b"",
    ],
)
def test_every_other_text_is_refused(text):
    with pytest.raises(MalformedError):
        Leaf.decode(text)


def test_a_leaf_of_another_type_is_not_called_malformed():
    with pytest.raises(UnsupportedFormatError, match="redaction"):
        Leaf.decode(b'{"type":"redaction"}')


def test_no_part_of_a_leaf_and_no_changed_byte_is_the_same_leaf():
    for end in range(len(TEXT)):
        with pytest.raises(MalformedError):
            Leaf.decode(TEXT[:end])
    for place in range(len(TEXT)):
        for bit in range(8):
            changed = bytearray(TEXT)
            changed[place] ^= 1 << bit
            with suppress(LedgerError):
                assert Leaf.decode(bytes(changed)) != LEAF


@law
@given(st.binary(max_size=200))
def test_any_bytes_are_a_leaf_or_an_error_of_ours(data):
    with suppress(LedgerError):
        assert Leaf.decode(data).encode() == data
