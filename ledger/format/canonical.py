"""Strict JSON <-> canonical bytes (RFC 8785).

``decode`` takes any spelling of a JSON text and is strict about its meaning; ``encode`` gives the
one canonical spelling; ``load`` accepts nothing but that spelling. There is one byte string for
one value: ``encode(load(data)) == data``, always.

Refused, by all three, with the place named as a JSON pointer (RFC 6901) where there is one:
duplicate member names, NaN and infinities, lone surrogates, more than ``depth`` levels of nesting,
and what would not survive the way there and back: an integer beyond 2^53 - 1, or a float that
RFC 8785 prints as one.

Two ways lead to the same bytes. The reference way is the ``rfc8785`` package. The fast way is
msgspec and orjson, and is taken where their output is RFC 8785's by construction: no character
outside the basic plane (which alone can tell UTF-16 order from code point order) and no float
other than those that every shortest-form printer spells alike.
"""

from __future__ import annotations

import json
import marshal
import math
import re
from typing import Any, NoReturn, TypeAlias

import msgspec
import orjson
import rfc8785

from ledger.errors import InvalidError, MalformedError

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "JSONValue", "decode", "encode", "load", "pointer"]

JSONValue: TypeAlias = Any
"""None, bool, int, float, str, list of these, or dict of str to these."""

MAX_DEPTH = 64
"""How many levels a document may nest, itself the first."""

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps (RFC 8785, section 3.2.2.3; RFC 7493, 2.2)."""

EXPONENT_FROM = 1e21
"""From here on ECMAScript prints a number with an exponent (ECMA-262, Number::toString)."""

ORJSON = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
ASTRAL_LEADS = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")
"""The bytes that begin a character outside the basic plane in UTF-8."""


SMALL = 1024
"""Up to so many bytes a copy is worth its time."""


def pointer(path: tuple[str | int, ...]) -> str:
    """A place in a document as a JSON pointer (RFC 6901); the whole document is the empty one."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def encode(value: JSONValue, *, depth: int = MAX_DEPTH) -> bytes:
    """The canonical bytes of a value made of dict, list, str, int, float, bool and None.

    Raises InvalidError, naming the place, for anything else: another type (Decimal, datetime,
    tuple, a subclass) is refused by name, never guessed.
    """
    try:
        data = orjson.dumps(value, option=ORJSON)
        # Equal to what its bytes are read as, and made of Python's own types (marshal takes no
        # other; an enum could be equal to its value): nothing was guessed, nothing got lost.
        if _load_plain(data, depth) == value and marshal.dumps(value):
            # orjson hands out its whole buffer, kilobytes for a leaf of the log: a copy is small.
            return data if len(data) > SMALL else bytes(memoryview(data))
    except ODD:
        pass  # the reference way says what is wrong, if anything, and where
    return _encode_reference(value, depth)


def _encode_reference(value: JSONValue, depth: int) -> bytes:
    _check(value, (), depth)
    return rfc8785.dumps(value)


def decode(data: bytes, *, depth: int = MAX_DEPTH) -> JSONValue:
    """The value of a JSON text in any spelling.

    Raises MalformedError where the text is no JSON (RFC 8259, UTF-8 without BOM, no duplicate
    names: RFC 7493), InvalidError where a value can't be kept.
    """
    value = _parse(data)
    _check(value, (), depth)
    return value


def load(data: bytes, *, depth: int = MAX_DEPTH) -> JSONValue:
    """The value of canonical bytes, and of no other bytes.

    Raises MalformedError for every other spelling, and what ``decode`` raises.
    """
    try:
        value = _load_plain(data, depth)
        # Equal bytes prove spelling, order, distinct names and integers in range, all at once.
        if value is not _NOT_PLAIN and orjson.dumps(value, option=ORJSON) == data:
            return value
    except ODD:
        pass  # the reference way says what is wrong, if anything, and where
    return _load_reference(data, depth)


def _load_reference(data: bytes, depth: int) -> JSONValue:
    value = decode(data, depth=depth)
    if _encode_reference(value, depth) != data:
        raise MalformedError("not canonical JSON (RFC 8785): another spelling of the same value")
    return value


def _load_plain(data: bytes, depth: int) -> JSONValue:
    """The value of JSON that the fast way spells as RFC 8785 does, else _NOT_PLAIN, or an error."""
    value = _PLAIN_DECODER.decode(data)
    return _NOT_PLAIN if _has_astral(data) or _deeper_than(depth, value, data) else value


_NOT_PLAIN = object()


class _UnusualFloatError(Exception):
    """A float that printers may spell differently."""


def _plain_float(token: str) -> float:
    number = float(token)
    # In this range repr, orjson and ECMAScript's Number::toString print the same digits.
    if number.is_integer() or not 1e-4 <= abs(number) < 1e16:
        raise _UnusualFloatError
    return number


_PLAIN_DECODER = msgspec.json.Decoder(float_hook=_plain_float)
ODD = (
    *(_UnusualFloatError, msgspec.DecodeError, orjson.JSONEncodeError),
    # For bytes that are no text, what nests without end, and types that are not Python's own.
    *(UnicodeError, RecursionError, ValueError),
)
"""What the fast way raises where it does not apply."""


def _deeper_than(depth: int, value: JSONValue, data: bytes) -> bool:
    # How many containers there are: without them the bytes are shorter (counting takes longer).
    if 2 * len(data) - len(data.replace(b"{", b"")) - len(data.replace(b"[", b"")) <= depth:
        return False
    level = [value]
    while level and depth >= 0:
        depth -= 1
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
    return depth < 0


def _has_astral(data: bytes) -> bool:
    return not data.isascii() and any(lead in data for lead in ASTRAL_LEADS)


# -- Any spelling --------------------------------------------------------------------------------


class _Duplicate(dict[str, Any]):
    """An object that came with a duplicate name: found first, reported when its place is known."""

    name: str


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    marked = _Duplicate(result)
    marked.name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return marked


def _integer(token: str) -> int:
    if len(token) > 20:  # int() itself refuses very long ones, with an error of its own
        raise InvalidError(f"integer beyond 2^53-1, of {len(token)} digits: write it as a string")
    return int(token)


def _float(token: str) -> float:
    number = float(token)
    if math.isinf(number) or (number == 0 and re.search(r"[1-9]", re.split("[eE]", token)[0])):
        raise InvalidError(f"number out of range, of {len(token)} characters: write it as a string")
    return number


def _constant(token: str) -> NoReturn:
    raise MalformedError(f"not JSON: {token} is no JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _parse(data: bytes) -> JSONValue:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8 (at byte {error.start})") from None
    if text.startswith("\ufeff"):
        raise MalformedError("starts with a byte order mark; JSON has none")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedError(f"not JSON: {error.msg} ({where})") from None
    except RecursionError:
        raise InvalidError("nested too deeply to read") from None


def _place(path: tuple[str | int, ...]) -> str:
    return ascii(pointer(path))[1:-1] or "the top"


# -- Any value -----------------------------------------------------------------------------------


def _check(value: JSONValue, path: tuple[str | int, ...], depth: int) -> None:
    """Refuse what JSON can't keep, naming the place."""
    kind = type(value)
    if kind is str:
        _check_text(value, path)
    elif kind is dict or kind is list or kind is _Duplicate:
        if depth <= 0:
            raise InvalidError(f"nested deeper than allowed, at {_place(path)}")
        check = _check_items if kind is list else _check_members
        check(value, path, depth)
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise InvalidError(f"integer beyond 2^53-1 at {_place(path)}: write it as a string")
    elif kind is float:
        _check_float(value, path)
    elif value is not None and kind is not bool:
        raise InvalidError(f"{kind.__name__} at {_place(path)} is no JSON value; convert it first")


def _check_members(value: dict[str, Any], path: tuple[str | int, ...], depth: int) -> None:
    if isinstance(value, _Duplicate):
        raise MalformedError(f"duplicate member {value.name!r} at {_place((*path, value.name))}")
    for name, member in value.items():
        if type(name) is not str:
            raise InvalidError(
                f"{type(name).__name__} as a member name at {_place(path)}; names are strings"
            )
        _check_text(name, path)
        _check(member, (*path, name), depth - 1)


def _check_items(value: list[Any], path: tuple[str | int, ...], depth: int) -> None:
    for index, item in enumerate(value):
        _check(item, (*path, index), depth - 1)


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidError(f"lone surrogate in the text at {_place(path)}") from None


def _check_float(number: float, path: tuple[str | int, ...]) -> None:
    if not math.isfinite(number):
        raise InvalidError(f"{number} at {_place(path)} is no JSON value")
    if MAX_INTEGER < abs(number) < EXPONENT_FROM:  # and so an integer
        raise InvalidError(f"number beyond 2^53-1 at {_place(path)}: write it as a string")
