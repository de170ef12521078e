"""Compare two documents: the fields that differ, with their old and new values.

Objects are compared member by member. Lists are compared item by item, without their common
beginning and end, so an item that was inserted or removed shows as just that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from ledger.errors import InvalidError
from ledger.format import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.format.canonical import JSONValue

__all__ = ["ABSENT", "Absent", "Change", "change_json", "changes"]


class Absent(Enum):
    """The type of ``ABSENT``, which means no value; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""The old value of what was added, the new value of what was removed."""

Path = tuple[str | int, ...]

AROUND = 64
"""Bytes that a change takes in JSON besides its path and values, about."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; ``path`` is a JSON pointer (RFC 6901)."""

    path: str
    old: JSONValue
    new: JSONValue

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        """What happened to the field."""
        if self.old is ABSENT:
            return "added"
        return "removed" if self.new is ABSENT else "changed"

    @property
    def size(self) -> int:
        """Bytes that the change takes in JSON, about."""
        values = [value for value in (self.old, self.new) if value is not ABSENT]
        return AROUND + len(self.path) + sum(len(json.dumps(value)) for value in values)


def changes(old: JSONValue, new: JSONValue, *, limit: int | None = None) -> list[Change]:
    """Return the changes from one document to another; none only if they are the same.

    An item's place is its index in its list; a changed item has the same index in both lists.
    ``limit`` is the number of bytes that the changes may take, about: each repeats its path, so
    they can take thousands of times as many as the documents. Raises InvalidError beyond it.
    """
    found: list[Change] = []
    size = 0
    for change in _changes(old, new, ()):
        if limit is not None:
            size += change.size
            if size > limit:
                raise InvalidError(
                    f"too much changed: the list of changes is larger than {limit:,} bytes",
                    hint="read both entries and compare them yourself",
                )
        found.append(change)
    return found


def _changes(old: JSONValue, new: JSONValue, path: Path) -> Iterator[Change]:
    if type(old) is dict and type(new) is dict:
        for name in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(name, ABSENT), new.get(name, ABSENT), (*path, name))
    elif type(old) is list and type(new) is list:
        yield from _list_changes(old, new, path)
    elif not _same(old, new):
        yield Change(canonical.pointer(path), old, new)


def _list_changes(old: list[JSONValue], new: list[JSONValue], path: Path) -> Iterator[Change]:
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and _same(old[start], new[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(old[-1 - end], new[-1 - end]):
        end += 1
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    for index in range(max(len(before), len(after))):
        yield from _changes(
            before[index] if index < len(before) else ABSENT,
            after[index] if index < len(after) else ABSENT,
            (*path, start + index),
        )


def _same(old: JSONValue, new: JSONValue) -> bool:
    return bool(old == new) and _same_kinds(old, new)


def _same_kinds(old: JSONValue, new: JSONValue) -> bool:
    """Tell true from 1 in values that are equal to Python. One pass, however deep they are."""
    if type(old) is dict and type(new) is dict:
        return all(_same_kinds(old[name], new[name]) for name in old)
    if type(old) is list and type(new) is list:
        return all(map(_same_kinds, old, new))
    return (type(old) is bool) is (type(new) is bool)


def change_json(change: Change) -> dict[str, Any]:
    """Return a change as a JSON object, without ``old`` if added, without ``new`` if removed."""
    values = {"old": change.old, "new": change.new}
    present = {name: value for name, value in values.items() if value is not ABSENT}
    return {"path": change.path, "kind": change.kind, **present}
