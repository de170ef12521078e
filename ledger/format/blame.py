"""Find which version of a title gave each field of a document its value.

The documents are followed from the newest back. A field that is the same in the older document is
passed on to it, to its place there; one that is not was set by the newer version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ledger.errors import InvalidError, NotFoundError
from ledger.format import canonical
from ledger.format.diff import ABSENT, match_items, same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.format.canonical import JSONValue
    from ledger.format.entry import Entry

INDEX = re.compile("0|[1-9][0-9]{0,8}")
FIELD = 100
"""Bytes that a field takes beside its path and its value, about."""
Fields: TypeAlias = "dict[str | int, Fields] | str"
"""The fields yet to be found, shaped as the document that has them; each its pointer at last."""


@dataclass(frozen=True, slots=True)
class Blame:
    """A field of the newest document, and the version that gave it its value."""

    path: str
    """A JSON pointer (RFC 6901). The field is a text, a number, true, false, null, {} or []."""
    value: JSONValue
    entry: Entry
    or_before: bool = False
    """Whether it may have been a version before: the text of the one below is erased."""


def blame(entries: Iterable[Entry], path: str = "", *, limit: int | None = None) -> list[Blame]:
    """Find who set each field at or below a JSON pointer, in the document of the first entry.

    ``entries`` are those that stand, the newest first, and that one has its text; each is taken
    once, and none below the last that is needed. ``limit`` is the number of bytes that the fields
    may take, about: each repeats its path, so they can take thousands of times as many as the
    document. Raises NotFoundError if there is no such place, InvalidError beyond the limit.
    """
    chain = iter(entries)
    newer = next(chain)
    place, value = _find(newer.document, path)
    if value is ABSENT:
        raise NotFoundError(
            f"version {newer.version} of {newer.title_number} has nothing at {path!a:.80}",
            hint="write the place as a JSON pointer, such as /charges/0/lender",
        )
    values: dict[str, JSONValue] = {}
    size = 0
    for pointer, inner in _leaves(value, path):
        values[pointer] = inner
        size += len(pointer) + (len(inner) if isinstance(inner, str) else 0) + FIELD
        if limit is not None and size > limit:
            raise InvalidError(
                f"too many fields: the list of them is larger than {limit:,} bytes",
                hint="ask for a place in the document, by a JSON pointer",
            )
    wanted = _fields(value, path)
    for name in reversed(place):
        wanted = {name: wanted}
    found: dict[str, Blame] = {}
    fields: Fields | None = wanted
    while fields is not None:
        older = next(chain, None)
        erased = older is not None and older.is_withheld
        before: JSONValue = ABSENT if older is None or erased else older.document
        fields, set_here = _trace(before, newer.document, fields)
        found |= {each: Blame(each, values[each], newer, erased) for each in set_here}
        newer = older or newer
    return [found[each] for each in values if each in found]


def _find(document: JSONValue, path: str) -> tuple[list[str | int], JSONValue]:
    """Follow a JSON pointer: the names and indexes on the way, and what is there, or ABSENT."""
    place: list[str | int] = []
    value: Any = document
    for token in path.split("/")[1:]:
        name: str | int = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and INDEX.fullmatch(token) and int(token) < len(value):
            name = int(token)
        elif not isinstance(value, dict) or name not in value:
            return place, ABSENT
        place.append(name)
        value = value[name]
    return place, value if canonical.pointer(tuple(place)) == path else ABSENT


def _leaves(value: JSONValue, path: str) -> Iterator[tuple[str, JSONValue]]:
    """Yield the fields that hold no others, each with its pointer."""
    if isinstance(value, dict | list) and value:
        for name, inner in _members(value):
            yield from _leaves(inner, path + canonical.pointer((name,)))
    else:
        yield path, value


def _members(value: dict[str, JSONValue] | list[JSONValue]) -> Iterable[tuple[Any, JSONValue]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _fields(value: JSONValue, path: str) -> Fields:
    """Return the fields of a value in its shape, each its pointer."""
    if isinstance(value, dict | list) and value:
        members = _members(value)
        return {name: _fields(each, path + canonical.pointer((name,))) for name, each in members}
    return path


def _trace(old: JSONValue, new: JSONValue, fields: Fields) -> tuple[Fields | None, list[str]]:
    """Return the fields that the older document has as well, in its shape, and all others."""
    if same(old, new):
        return fields, []
    old_of: dict[Any, Any] = {}
    if isinstance(old, dict) and isinstance(new, dict):
        old_of = {name: name for name in old}
    elif isinstance(old, list) and isinstance(new, list):
        old_of = match_items(old, new).old_of
    if isinstance(fields, str) or not old_of:
        return None, list(_pointers(fields))
    kept: dict[str | int, Fields] = {}
    set_here: list[str] = []
    for name, inner in fields.items():
        if name not in old_of:
            set_here += _pointers(inner)
            continue
        before: Any = old
        after: Any = new
        stays, changed = _trace(before[old_of[name]], after[name], inner)
        set_here += changed
        if stays is not None:
            kept[old_of[name]] = stays
    return kept or None, set_here


def _pointers(fields: Fields) -> Iterator[str]:
    if isinstance(fields, str):
        yield fields
    else:
        for inner in fields.values():
            yield from _pointers(inner)
