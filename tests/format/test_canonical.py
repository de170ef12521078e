"""Strict JSON and its one canonical spelling."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, UserDict
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError, LedgerError, MalformedError
from ledger.format import canonical
from ledger.format.canonical import MAX_INTEGER, decode, encode, load, pointer
from tests import corpora
from tests.format import json_test_suite
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

# What RFC 8785 orders, escapes and prints in ways of its own.
ODD_TEXTS = [
    "",
    "\x7f",
    "\x00\x1f",
    '"\\/',
    "\u2028",
    "\ufb33",
    "\ue000",
    "\U0001f600",
    "é",
    "e\u0301",
]
ODD_FLOATS = [
    -0.0, 5e-324, 1e-7, 1e-6, 9.999e-5, 0.0001, 0.1, 333333333.33333329, 1e15, 4.5, 1.5e-300,
    123456789012345.67, 2.0, 9007199254740991.0, 5e-324, -1e-7,
]  # fmt: skip

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(ODD_TEXTS)
numbers = (
    st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.sampled_from(ODD_FLOATS)
    | st.floats(-MAX_INTEGER, MAX_INTEGER)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def refused(call, *args, **kwargs) -> LedgerError:
    """The MalformedError (or InvalidError) that the call must raise."""
    with pytest.raises(MalformedError) as caught:
        call(*args, **kwargs)
    return caught.value


# --- laws ----------------------------------------------------------------------------------------


@law
@given(values)
def test_what_is_encoded_loads_as_the_same_value(value):
    data = encode(value)
    assert load(data) == value
    assert encode(load(data)) == data
    assert decode(data) == value


@law
@given(values)
@example({"\ue000": 1, "\U0001f600": {"\uff01": 1e-30, "\U0001f600": 1e-6, "a": -0.0}})
@example([{"\U0001f600": 1, "é": 2}, {"\ufb33": 3}])
def test_the_spelling_is_that_of_another_implementation(value):
    assert encode(value) == rfc8785.dumps(value)


odd_values = st.recursive(
    st.none()
    | numbers
    | texts
    | st.sampled_from([MAX_INTEGER + 1, math.nan, "\ud800", b"", Decimal(1), date.min, {1}, (1,)])
    | st.sampled_from([IntEnum("Enum", "A").A, OrderedDict(a=1), type("Text", (str,), {})("a")]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts | st.sampled_from(["\ud800", 1, None]), inner, max_size=4)
    ),
    max_leaves=20,
)


@law
@given(odd_values, st.integers(0, 4))
def test_what_is_encoded_at_once_is_encoded_with_care_to_the_same(value, depth):
    def encoded():
        try:
            return encode(value, depth=depth)
        except LedgerError as error:
            return type(error), str(error)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(canonical, "_is_plain", lambda *_: False)
        careful = encoded()
    assert encoded() == careful


@law
@given(values)
@example({"\ue000": 1, "\U0001f600": 2})  # UTF-16 order is not that of code points
@example({"\U0001f600": 1.5, "\ufb33": 1e-30})
def test_both_readers_agree(value):
    """On canonical bytes, and on the same value spelled as Python's json spells it."""
    for data in (
        encode(value),
        json.dumps(value).encode(),
        json.dumps(value, ensure_ascii=False).encode(),
    ):
        canonical_spelling = encode(value) == data
        try:
            loaded = load(data)
        except MalformedError:
            assert not canonical_spelling
        else:
            assert canonical_spelling
            assert loaded == canonical.decode(data)


@law
@given(values)
def test_any_spelling_of_a_value_is_decoded_to_it(value):
    for spelling in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False)):
        decoded = decode(spelling.encode())
        assert decoded == value
        assert encode(decoded) == encode(value)


@law
@given(
    st.binary(max_size=40) | st.text(max_size=20).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
@example(b'{"a":"\xff"}')
@example(b'"\xed\xa0\x80"')
def test_any_bytes_are_read_or_refused_with_our_error(data):
    for read in (load, decode):
        try:
            value = read(data)
        except MalformedError:
            continue
        assert read is decode or encode(value) == data


@law
@given(st.data())
def test_no_other_spelling_is_loaded(data):
    """Whatever single byte of canonical bytes is changed: another value, or no JSON of ours."""
    spelled = encode({"a": data.draw(values), "é": [1.5, None]})
    index = data.draw(st.integers(0, len(spelled) - 1))
    changed = bytearray(spelled)
    changed[index] = data.draw(st.integers(0, 255))
    try:
        value = load(bytes(changed))
    except MalformedError:
        return
    assert encode(value) == changed


# --- the corpora ---------------------------------------------------------------------------------

REFUSED = {
    "y_object_duplicated_key",
    "y_object_duplicated_key_and_value",
    # Beyond 2^53-1, or more digits than a double keeps.
    "y_number",
    "y_number_real_capital_e",
    "y_number_real_exponent",
    "y_number_real_fraction_exponent",
    "y_object_extreme_numbers",
}


@pytest.mark.parametrize("path", corpora.params("json/test_parsing/*.json"))
def test_the_json_test_suite(path: Path):
    data = path.read_bytes()
    if path.stem.startswith("y_") and path.stem not in REFUSED:
        assert encode(decode(data)) == rfc8785.dumps(json.loads(data))
    elif path.stem.startswith("i_"):
        kept_or_refused(data)
    else:
        refused(decode, data)
        refused(load, data)


def kept_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except MalformedError:
        refused(load, data)
    else:
        assert load(encode(value)) == value


@corpora.needs("json/test_parsing/*.json")
def test_the_json_test_suite_is_whole():
    counts = [len(corpora.files(f"json/test_parsing/{kind}_*.json")) for kind in "yni"]
    assert counts == [95, 188, 35]


@corpora.needs("json/test_parsing/*.json")
def test_the_table_says_what_is_refused_of_the_json_test_suite_and_why():
    assert json_test_suite.TABLE.read_text() == json_test_suite.text(), (
        "python -m tests.format.json_test_suite"
    )


@pytest.mark.parametrize("path", corpora.params("jcs/input/*.json"))
def test_the_vectors_of_rfc_8785(path: Path):
    expected = (path.parents[1] / "output" / path.name).read_bytes()
    in_hex = (path.parents[1] / "outhex" / f"{path.stem}.txt").read_text()
    assert bytes.fromhex(in_hex) == expected
    if path.stem == "values":  # 333333333.33333329 has more digits than a double keeps
        assert "at /numbers/0: write it as a string" in str(refused(decode, path.read_bytes()))
        return
    assert encode(decode(path.read_bytes())) == expected
    assert encode(load(expected)) == expected


@pytest.mark.parametrize("path", corpora.params("registers/*.json"))
def test_real_registers(path: Path):
    if path.stem.startswith("AGL1004"):
        error = refused(decode, path.read_bytes())
        assert "duplicate member 'edition_date' at " in str(error)
        assert "/edition_date" in str(error).partition(" at ")[2]
    else:
        value = decode(path.read_bytes())
        assert load(encode(value)) == value == json.loads(path.read_bytes())


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ('{"a":1,"a":2}', "a", "/a"),
        ('{"a":1,"a":1}', "a", "/a"),
        (r'{"a":1,"\u0061":2}', "a", "/a"),
        ('{"x":[1,{"b":{"c":0,"d":1,"c":0}}]}', "c", "/x/1/b/c"),
        ('{"a":{"b":1,"b":2},"a":1}', "a", "/a"),
        ('{"a/b~c":1,"a/b~c":2}', "a/b~c", "/a~1b~0c"),
        ('{"":1,"":2}', "", "/"),
        (r'{"\ud800":1,"\ud800":2}', r"\ud800", r"/\ud800"),
    ],
)
def test_a_duplicate_member_is_refused_by_name_and_place(text, name, place):
    for read in (decode, load):
        error = refused(read, text.encode())
        assert str(error) == f"duplicate member '{name}' at {place}"
        str(error).encode()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '{"a":[NaN]}', '{"a":-Infinity}'])
def test_nan_and_the_infinities_are_no_json(text):
    for read in (decode, load):
        assert "no JSON value" in str(refused(read, text.encode()))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_the_infinities_are_not_encoded(value):
    assert "/a/0" in str(refused(encode, {"a": [value]}))


@pytest.mark.parametrize("text", ["1e400", "-1e400", '{"a":1e309}', "1" + "0" * 400 + ".0"])
def test_a_number_out_of_range_is_refused(text):
    for read in (decode, load):
        assert "write it as a string" in str(refused(read, text.encode()))


@pytest.mark.parametrize("value", [MAX_INTEGER, -MAX_INTEGER, 0])
def test_integers_up_to_2_to_the_53_minus_1_are_kept(value):
    assert load(encode({"a": value})) == {"a": value}
    assert encode(float(value)) == encode(value)


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), 2**63, 2**64, 10**30, -(10**4000), float(2**53), 1e20, -1e17]
)
def test_integers_beyond_are_refused_with_their_place(value):
    assert "2^53-1 at /a/1: write it as a string" in str(refused(encode, {"a": [0, value]}))


@pytest.mark.parametrize("digits", [17, 20, 21, 400, 5000])
def test_long_integers_are_refused_without_reading_them_all(digits):
    for text in ("9" * digits, "-" + "9" * digits, '{"a":%s}' % ("9" * digits)):
        for read in (decode, load):
            error = refused(read, text.encode())
            assert "2^53-1" in str(error)
            assert len(str(error)) < 100


@pytest.mark.parametrize(
    "text", [r'"\ud800"', r'["x","\udfff"]', r'{"\ud83d":1}', r'"\ude00\ud83d"']
)
def test_lone_surrogates_are_refused(text):
    for read in (decode, load):
        assert "lone surrogate" in str(refused(read, text.encode()))
    assert "lone surrogate" in str(refused(encode, json.loads(text)))


def test_a_surrogate_pair_is_one_character():
    assert encode(decode(rb'"\ud83d\ude00"')) == '"\U0001f600"'.encode()


def test_a_byte_order_mark_is_refused_by_name():
    for read in (decode, load):
        assert "byte order mark" in str(refused(read, b'\xef\xbb\xbf{"a":1}'))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_nothing_but_utf_8_is_read(encoding):
    for read in (decode, load):
        refused(read, '{"name":"Müller"}'.encode(encoding))


@pytest.mark.parametrize(
    "data", [b'{"a":"\xff"}', b'{"\xc0\xaf":1}', b'"\xed\xa0\x80"', b"\xff", b'"\xf5\x80\x80\x80"']
)
def test_invalid_utf_8_is_refused_wherever_it_is(data):
    for read in (decode, load):
        assert "not UTF-8 (at byte " in str(refused(read, data))


def test_the_depth_is_limited_the_outermost_being_the_first():
    def nested(levels: int, start: str, end: str) -> bytes:
        return (start * levels + "0" + end * levels).encode()

    for start, end in (("[", "]"), ('{"a":', "}")):
        value = decode(nested(64, start, end))
        assert encode(value) == nested(64, start, end)
        assert load(nested(64, start, end)) == value
        deeper = nested(65, start, end)
        for read in (decode, load):
            assert "nested deeper" in str(refused(read, deeper))
        assert "nested deeper" in str(refused(encode, json.loads(deeper)))
        assert encode(json.loads(deeper), depth=65) == deeper
        assert load(deeper, depth=65) == json.loads(deeper)


def test_depth_is_not_counted_in_brackets():
    value = {"a": [[]] * 100, "b": "[" * 100}
    assert load(encode(value)) == value


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_nesting_without_end_is_refused_cleanly(text):
    for read in (decode, load):
        assert "nested" in str(refused(read, text.encode()))


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)
    assert "nested deeper" in str(refused(encode, value))


class Colour(IntEnum):
    RED = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Decimal("1.50"), "Decimal"),
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime"),
        (date(2026, 1, 1), "date"),
        (b"bytes", "bytes"),
        ((1, 2), "tuple"),
        ({1, 2}, "set"),
        (Colour.RED, "Colour"),
        (Text("a"), "Text"),
        (UUID(int=0), "UUID"),
        (Path("x"), "PosixPath"),
        (object(), "object"),
        (1j, "complex"),
    ],
)
def test_a_python_value_that_is_no_json_is_refused_by_the_name_of_its_type(value, name):
    error = refused(encode, {"a": [value]})
    assert isinstance(error, InvalidError)
    assert str(error) == f"{name} at /a/0 is no JSON value; convert it first"


@pytest.mark.parametrize("mapping", [OrderedDict, UserDict, MappingProxyType])
def test_any_mapping_is_an_object(mapping):
    inner = {"z": 1.0, "é": [None], "\U0001f600": 1, "\ufb01": 2}
    value = mapping({"b": [mapping(inner)], "a": mapping({})})
    assert encode(value) == encode({"b": [inner], "a": {}})
    assert str(refused(encode, {"a": [mapping({"b": b""})]})).startswith("bytes at /a/0/b")
    assert "nested deeper" in str(refused(lambda each: encode(each, depth=3), [[value]]))


@pytest.mark.parametrize("name", [1, None, True, 1.5, b"a", Text("a"), ("a",)])
def test_a_member_name_that_is_no_string_is_refused(name):
    error = refused(encode, {"a": {name: 1}})
    assert str(error) == f"{type(name).__name__} as a member name at /a; names are strings"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"a":1}\n',
        ' {"a":1}',
        '{"b":1,"a":2}',
        r'{"\u0061":1}',
        r'{"a":"\u00e9"}',
        r'{"a":"\/"}',
        r'{"a":"\u000A"}',
        '{"a":1.0}',
        '{"a":-0}',
        '{"a":-0.0}',
        '{"a":1E5}',
        '{"a":100000.0}',
        '{"a":0.10}',
        '{"a":1e-1}',
        '{"a":1e-6}',
        '{"\ue000":2,"\U0001f600":1}',
    ],
)
def test_another_spelling_of_a_value_is_decoded_but_not_loaded(text):
    value = decode(text.encode())
    assert load(encode(value)) == value
    assert "not canonical JSON" in str(refused(load, text.encode()))


@pytest.mark.parametrize(
    "text", ["", " ", "{", '{"a":1}x', "{'a':1}", '{"a":01}', '{"a":1,}', "\x0c1", '"\t"']
)
def test_what_is_no_json_is_refused_with_the_place(text):
    for read in (decode, load):
        assert "not JSON: " in str(refused(read, text.encode()))
        assert "line 1, column " in str(refused(read, text.encode()))


def test_numbers_are_printed_as_ecmascript_prints_them():
    assert encode([1.0, -0.0, 1e-7, 0.000001, 1.5]) == b"[1,0,1e-7,0.000001,1.5]"


def test_a_place_is_a_json_pointer():
    assert pointer(()) == ""
    assert pointer(("a", 0, "b/c~d", "")) == "/a/0/b~1c~0d/"


@pytest.mark.parametrize("token", [b"1e-400", b"0.00001e-9999", b"-3E-325"])
def test_a_number_too_small_to_keep_is_not_stored_as_zero(token):
    with pytest.raises(InvalidError, match="not be kept as it is at /a: write it as a string"):
        decode(b'{"a":' + token + b"}")
    assert decode(b'{"a":0e-400}') == {"a": 0.0}
