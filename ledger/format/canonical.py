"""Strict JSON <-> canonical bytes (RFC 8785).

``decode`` takes any spelling of a JSON text and is strict about its meaning; ``encode`` gives the
one canonical spelling; ``load`` accepts nothing but that spelling. There is one byte string for
one value: ``encode(load(data)) == data``, always.

All three refuse duplicate member names, NaN and infinities, lone surrogates, more than ``depth``
levels of nesting, and what would not survive the way there and back: a number beyond 2^53 - 1, or
one with more digits than a double keeps. Errors name the place as a JSON pointer (RFC 6901).

msgspec writes JSON as RFC 8785 does, with four exceptions that this module takes care of:

- Floats: msgspec prints ``1.0`` and ``1e-6``; ECMAScript prints ``1`` and ``0.000001``.
- Member names: msgspec sorts by code points, RFC 8785 by UTF-16 code units.
- Integers: msgspec has no limit.
- Types: msgspec also takes tuples, dates, enums and so on.

``decode`` reads with CPython's ``json``: msgspec neither reports duplicate names nor says in which
line and column a text goes wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import msgspec

from ledger.errors import InvalidError, MalformedError
from ledger.format.given import check_given

if TYPE_CHECKING:
    from collections.abc import Iterable

JSONValue: TypeAlias = Any
"""None, bool, int, float, str, list of these, or dict of str to these."""

MAX_DEPTH = 64
"""How many levels a document may nest, itself the first."""

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps (RFC 8785, section 3.2.2.3; RFC 7493, 2.2)."""

T = TypeVar("T")
Path: TypeAlias = tuple[str | int, ...]


def pointer(path: Path) -> str:
    """Write a place in a document as a JSON pointer (RFC 6901); the whole document is empty."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def encode(value: JSONValue, *, depth: int = MAX_DEPTH) -> bytes:
    """Spell a value made of dict, list, str, int, float, bool and None canonically.

    Any mapping is taken for a dict. Raises InvalidError, naming the place, for anything else:
    another type (Decimal, datetime, tuple, a subclass) is refused by name, never guessed.
    """
    if _is_plain((value,), depth + 1):
        try:
            data = spell(value)
        except UnicodeEncodeError:
            pass  # _check names the place
        else:
            if _sorts_alike(data):
                return data
    return _ENCODER.encode(_check(value, depth))


def decode(data: bytes, *, depth: int = MAX_DEPTH) -> JSONValue:
    """Read a JSON text in any spelling.

    Raises MalformedError if the text is not JSON (RFC 8259, UTF-8 without BOM, no duplicate names:
    RFC 7493), InvalidError if a value can't be kept.
    """
    value = _parse(data)
    _check(value, depth)
    return value


def load(data: bytes, *, depth: int = MAX_DEPTH) -> JSONValue:
    """Read canonical bytes, and no other bytes.

    Raises MalformedError for every other spelling, and what ``decode`` raises.
    """
    try:
        value = _CANONICAL_DECODER.decode(data)
        if is_spelling(data, value, value, data, depth) or encode(value, depth=depth) == data:
            return value
    except (*NOT_READ, MalformedError):
        pass  # read it again, to say what is wrong and where
    value = decode(data, depth=depth)
    if encode(value, depth=depth) != data:
        raise MalformedError("not canonical JSON (RFC 8785): another spelling of the same value")
    return value


def typed_decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return what reads bytes into a type, or raises one of NOT_READ: see ``is_spelling``."""
    return msgspec.json.Decoder(kind, float_hook=_canonical_float)


def is_spelling(
    data: bytes, value: object, free: JSONValue, within: bytes, depth: int = MAX_DEPTH
) -> bool:
    """Tell whether bytes are the canonical spelling of the value that they were decoded to.

    ``free`` is the part of the value that may be anything; it lies ``within`` these bytes of it.
    The types of the rest leave no room for nesting, large numbers, or names beyond ASCII. False:
    ``load`` has to judge.
    """
    return (
        _sorts_alike(within)
        and not _has_long_number(within)
        and not _deeper_than(depth, free, within)
        # Equal bytes prove the spelling, the order, and that no name is there twice.
        and _ENCODER.encode(value) == data
    )


def spell(value: object) -> bytes:
    """Spell a value of which the caller knows that ``encode`` takes it; structs are objects.

    Raises UnicodeEncodeError for a lone surrogate, which nobody has to know.
    """
    return _ENCODER.encode(value)


def split(data: bytes) -> dict[str, msgspec.Raw]:
    """Take canonical bytes of an object apart into its members, without reading them."""
    return _MEMBERS.decode(data)


def join(members: dict[str, msgspec.Raw]) -> bytes:
    """Put an object together from members that are canonical already."""
    if _sorts_alike("".join(members).encode()):
        return _ENCODER.encode(members)
    return bytes(_spell_in_utf16_order(members))


# -- What msgspec spells in its own way ----------------------------------------------------------

_ENCODER = msgspec.json.Encoder(order="deterministic")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _spell_float(number: float) -> str:
    """Print a float as ECMAScript does (ECMA-262, Number::toString; RFC 8785, 3.2.2.3)."""
    if number.is_integer():
        return str(int(number))  # ECMAScript would use an exponent from 1e21 on: that is refused
    digits = repr(number)  # as short as ECMAScript's, but for how it writes the exponent
    if 1e-6 <= abs(number) < 1e-4:
        return format(Decimal(digits), "f")
    return digits.replace("e-0", "e-")


def _sorts_alike(data: bytes) -> bool:
    """Tell whether the names in a text sort by code points as they do by UTF-16 code units.

    A difference takes both a character beyond the basic plane, whose first surrogate is U+D800 to
    U+DBFF, and one of U+E000 to U+FFFF. In UTF-8 they begin with F0 to F4, and with EE or EF.
    """
    if data.isascii():
        return True
    private = 0xEE in data or 0xEF in data
    return not (private and any(lead in data for lead in range(0xF0, 0xF5)))


def _spell_in_utf16_order(value: dict[str, Any]) -> msgspec.Raw:
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    members = (b"%b:%b" % (_ENCODER.encode(name), _ENCODER.encode(value[name])) for name in names)
    return msgspec.Raw(b"{%b}" % b",".join(members))


# -- The canonical spelling ----------------------------------------------------------------------


class _OtherSpellingError(Exception):
    """A float that is not spelled as RFC 8785 does."""


def _canonical_float(token: str) -> float:
    number = float(token)
    if _prints_alike(number):
        return number  # or its bytes will not be equal
    if abs(number) > MAX_INTEGER or _spell_float(number) != token:
        raise _OtherSpellingError
    return number


NOT_READ = (_OtherSpellingError, msgspec.DecodeError, RecursionError, ValueError)
"""What decoding raises that does not take canonical bytes for what they are."""

_CANONICAL_DECODER = msgspec.json.Decoder(float_hook=_canonical_float)
_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else 0 for byte in range(256))
_LONG = b"0" * len(str(MAX_INTEGER))


def _has_long_number(data: bytes) -> bool:
    """Tell whether there may be an integer beyond 2^53-1; digits in a text count as well."""
    # Of 16 digits in a row, at least 3 are among every fifth: that is seen sooner.
    return b"000" in data[::5].translate(_DIGITS) and _LONG in data.translate(_DIGITS)


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


class _Changed(float):
    """A number that would not be kept as it is written: refused when its place is known."""


def _integer(token: str) -> int:
    # int() itself refuses very long ones, with an error of its own: any that is too large will do.
    return int(token) if len(token) <= 20 else MAX_INTEGER + 1


def _float(token: str) -> float:
    number = float(token)
    try:
        # -0, 1.10 and 1e2 are other spellings of a number that is kept.
        if abs(number) <= MAX_INTEGER and Decimal(token) == Decimal(repr(number)):
            return number
    except InvalidOperation:  # an exponent that even Decimal refuses
        pass
    return _Changed()


def _constant(token: str) -> NoReturn:
    raise MalformedError(f"not JSON: {token} is no JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _parse(data: bytes) -> JSONValue:
    check_given(data, bytes, "the bytes of a JSON text")
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


# -- Any value -----------------------------------------------------------------------------------


class _RefusedError(Exception):
    """What is wrong with a value. The path is put together on the way out, from its end."""

    def __init__(
        self,
        before: str,
        after: str = "",
        *,
        path: Path = (),
        kind: type[MalformedError] = InvalidError,
    ) -> None:
        self.before = before
        self.after = after
        self.kind = kind
        self.path = path


def _is_plain(items: Iterable[Any], depth: int) -> bool:  # noqa: C901 -- all documents pass
    """Tell whether msgspec may spell these items as they are: nearly every value is so.

    What a text holds, and how names sort, is left to be seen.
    """
    for item in items:
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict:
            for name in item:
                if type(name) is not str:
                    return False
            if depth <= 1 or not _is_plain(item.values(), depth - 1):
                return False
        elif kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                return False
        elif kind is list:
            if depth <= 1 or not _is_plain(item, depth - 1):
                return False
        elif kind is not float or not _prints_alike(item):
            return False
    return True


def _prints_alike(number: float) -> bool:
    """Tell whether msgspec prints a float as ECMAScript does."""
    return 1e-4 <= abs(number) < 1e15 and not number.is_integer()


def _check(value: JSONValue, depth: int) -> JSONValue:
    """Refuse what JSON can't keep, naming the place.

    Returns the value with every float that msgspec would print differently replaced by its
    spelling.
    """
    try:
        return _checked(value, depth)
    except _RefusedError as refused:
        place = ascii(pointer(refused.path))[1:-1] or "the top"
        raise refused.kind(f"{refused.before} at {place}{refused.after}") from None


def _checked(value: JSONValue, depth: int) -> JSONValue:
    kind = type(value)
    if kind is str:
        _check_text(value)
    elif kind is dict or kind is list or kind is _Duplicate:
        if depth <= 0:
            raise _RefusedError("nested deeper than allowed,")
        return _checked_list(value, depth) if kind is list else _checked_dict(value, depth)
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise _RefusedError("integer beyond 2^53-1", ": write it as a string")
    elif kind is float:
        return _checked_float(value)
    elif kind is _Changed:
        raise _RefusedError("a number that would not be kept as it is", ": write it as a string")
    elif isinstance(value, Mapping):
        return _checked(dict(value), depth)
    elif value is not None and kind is not bool:
        raise _RefusedError(kind.__name__, " is no JSON value; convert it first")
    return value


def _checked_dict(value: dict[str, Any], depth: int) -> dict[str, Any] | msgspec.Raw:
    if isinstance(value, _Duplicate):
        raise _RefusedError(
            f"duplicate member {value.name!r}", kind=MalformedError, path=(value.name,)
        )
    respelled: dict[str, Any] = {}
    in_ascii = True
    for name, member in value.items():
        if type(name) is not str:
            kind = type(name).__name__
            raise _RefusedError(f"{kind} as a member name", "; names are strings")
        if not name.isascii():
            in_ascii = False
            _check_text(name)
        if type(member) is str and member.isascii():
            continue
        try:
            checked = _checked(member, depth - 1)
        except _RefusedError as refused:
            refused.path = (name, *refused.path)
            raise
        if checked is not member:
            respelled[name] = checked
    if respelled:
        value = {**value, **respelled}
    if in_ascii or _sorts_alike("".join(value).encode()):
        return value
    return _spell_in_utf16_order(value)


def _checked_list(value: list[Any], depth: int) -> list[Any]:
    checked: list[Any] = []
    try:
        for item in value:
            checked.append(_checked(item, depth - 1))  # noqa: PERF401 -- its length is the index
    except _RefusedError as refused:
        refused.path = (len(checked), *refused.path)
        raise
    return checked


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _RefusedError("lone surrogate in the text") from None


def _checked_float(number: float) -> float | msgspec.Raw:
    if _prints_alike(number):
        return number
    if not math.isfinite(number):
        raise _RefusedError(str(number), " is no JSON value")
    if abs(number) > MAX_INTEGER:
        raise _RefusedError("number beyond 2^53-1", ": write it as a string")
    return msgspec.Raw(_spell_float(number).encode())
