"""Numbers in what is submitted: kept as they are written, or refused with the place named."""
# These tests state what ledger.format.canonical is to do. They fail until it does: `decode` takes
# a token by its decimal value, and no function of it takes a number beyond 2^53 - 1.

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError, MalformedError
from ledger.format import canonical
from tests.format import make_vectors
from tests.laws import examples

VECTORS: dict[str, Any] = json.loads(make_vectors.FILE.read_bytes())["numbers"]

law = settings(deadline=None, max_examples=examples(300))

digits = st.text("0123456789", min_size=1, max_size=25)
tokens = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.one_of(st.just("0"), digits.map(lambda each: "1" + each)),
    st.one_of(st.just(""), digits.map(lambda each: "." + each)),
    st.one_of(st.just(""), st.builds("e{}".format, st.integers(-330, 310))),
)


@pytest.mark.parametrize(("token", "kept"), VECTORS["kept"].items())
def test_a_number_that_survives_is_kept_in_its_one_spelling(token, kept):
    value = canonical.decode(b'{"a":[%b]}' % token.encode())
    assert canonical.encode(value) == b'{"a":[%b]}' % kept.encode()
    assert canonical.load(canonical.encode(value)) == value


@pytest.mark.parametrize("token", VECTORS["refused"])
def test_a_number_that_would_change_is_refused_with_its_place(token):
    with pytest.raises(InvalidError, match="/a/1: write it as a string") as caught:
        canonical.decode(b'{"a":[1,%b],"b":2}' % token.encode())
    assert token not in str(caught.value)  # an error has places and no values


@law
@given(tokens)
@example("1e16")
@example("-0e0")
@example("9007199254740991.0")
def test_what_is_kept_has_the_decimal_value_that_was_written(token):
    number = float(token)
    if Decimal(repr(number)) != Decimal(token) or abs(number) > 2**53 - 1:
        with pytest.raises(InvalidError, match="write it as a string"):
            canonical.decode(token.encode())
    else:
        value = canonical.decode(token.encode())
        assert Decimal(canonical.encode(value).decode()) == Decimal(token)


LARGE = [2**53, -(2**53), 2.0**53, 1e16, 1e21, -1e30, 1.7976931348623157e308]


@pytest.mark.parametrize("number", LARGE, ids=repr)
def test_a_number_beyond_2_53_is_refused_everywhere(number):
    with pytest.raises(InvalidError, match=r"beyond 2\^53-1 at /a/b: write it"):
        canonical.encode({"a": {"b": number}})
    spelled = b'{"a":{"b":%b}}' % repr(number).replace("e+", "e").encode()
    with pytest.raises(MalformedError):
        canonical.decode(spelled)
    with pytest.raises(MalformedError):
        canonical.load(spelled.replace(b"1e16", b"10000000000000000").replace(b"e", b"e+"))


def test_the_largest_numbers_are_kept():
    document = {"a": [2**53 - 1, -(2**53) + 1, 2**53 - 1.0, 4503599627370495.5]}
    assert canonical.load(canonical.encode(document)) == document


def test_canonical_bytes_are_read_by_their_spelling_alone():
    """A token that is its double's one spelling needs no other look: reading stays fast."""
    data = b'{"a":[0.1,1e-7,5e-324,9007199254740991,-0.5]}'
    assert canonical.load(data) == json.loads(data)
    with pytest.raises(MalformedError):
        canonical.load(b'{"a":0.12345678901234567890}')
