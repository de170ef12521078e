"""Say in words what programs call ``property_description`` or ``/charges/0/lender``.

The name itself stays in the page, as the ``value`` of a ``data`` element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ledger.format import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.format.canonical import JSONValue

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_-][A-Za-z0-9]+)*")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_INDEX = re.compile(r"[0-9]{1,15}")
_SPELLED = {"id": "ID", "uprn": "UPRN", "url": "URL"}
MAX_NAME = 100
MAX_PATH = 3
"""How many names are one, at most."""


class Name(NamedTuple):
    """What a member, or a place in a document, is called."""

    words: list[str]
    """From the outside in."""
    raw: str
    """What programs call it; empty if the words are just that."""


class Member(NamedTuple):
    """A member of an object, for reading."""

    name: Name
    value: JSONValue


def words(name: str) -> str:
    """Say a name in words, if it is an identifier; any other name says itself."""
    if len(name) > MAX_NAME or not _IDENTIFIER.fullmatch(name):
        return name
    first, *rest = _WORD.findall(name)
    said = [first if first.isupper() else first.capitalize()]
    said += [word if word.isupper() and len(word) > 1 else word.lower() for word in rest]
    return " ".join(_SPELLED.get(word.lower(), word) for word in said)


def members(value: dict[str, JSONValue], limit: int) -> list[Member]:
    """Return the first members of an object, by name in words.

    An object that has one member, which is an object, is one with it.
    """
    found = []
    said = _distinct(value)
    for name in list(value)[:limit]:
        path, member = [name], value[name]
        while isinstance(member, dict) and len(member) == 1 and len(path) < MAX_PATH:
            ((inner, below),) = member.items()
            if not isinstance(below, dict):
                break
            path.append(inner)
            member = below
        shown = [said[name], *map(words, path[1:])]
        raw = canonical.pointer(tuple(path)) if len(path) > 1 else name
        found.append(Member(Name(shown, "" if shown == [raw] else raw), member))
    return found


def columns(names: Sequence[str]) -> list[Name]:
    """Name the columns of a table."""
    said = _distinct(names)
    return [Name([said[name]], "" if said[name] == name else name) for name in names]


def _distinct(names: Iterable[str]) -> dict[str, str]:
    """Map names to words. Two names that would sound alike keep theirs."""
    said = {name: words(name) for name in names}
    seen: dict[str, int] = {}
    for label in said.values():
        seen[label] = seen.get(label, 0) + 1
    return {name: label if seen[label] == 1 else name for name, label in said.items()}


def place(pointer: str, document: JSONValue, like: str = "") -> Name:
    """Say where in a document a JSON pointer leads. Items are counted from 1.

    ``like``: a pointer of the same shape, into this document, that tells lists from objects.
    """
    shown = []
    at = document
    guides = _parts(like or pointer)
    for part, guide in zip(_parts(pointer), guides, strict=False):
        if isinstance(at, list) and _INDEX.fullmatch(part):
            shown.append(f"item {int(part) + 1:,}")
            at = at[int(guide)] if _INDEX.fullmatch(guide) and int(guide) < len(at) else None
        else:
            shown.append(words(part))
            at = at.get(guide) if isinstance(at, dict) else None
    return Name(shown or ["the whole document"], pointer or "/")


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
