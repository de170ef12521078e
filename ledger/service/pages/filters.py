"""Show stored values in HTML: hidden characters as escapes, times and JSON for people.

Text that comes from a store is data. The templates escape markup. These filters show characters
that are invisible, or that change the reading direction, as escapes.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from itertools import groupby, islice
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from ledger.format import canonical
from ledger.service.pages.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.format.canonical import JSONValue

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""The Unicode categories that are shown as escapes."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
MAX_COLUMNS = 6
MAX_MEMBERS = 200
"""How many members of an object, or items of a list, are shown."""
MAX_CHARS = 10_000
"""How much of one text is shown."""
MAX_MARGIN = 13
"""How far JSON is indented at most: a phone has some 40 characters in a line."""


MAX_VALUES = 4000
MAX_TEXT = 100_000
MAX_NESTING = 65
"""How many values and characters of documents one page shows, and how deeply nested."""
PLAN_VALUES = 30
"""How many values a plan counts for, beside its shapes, which have a limit of their own."""


class Room:
    """How much of documents a page may still show. A document can be 1 MiB, a page can't."""

    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._text = MAX_TEXT

    def take(self, value: object) -> bool:
        """Take the room that a value needs; False: there is not enough, and none was taken."""
        values, text = self._values, self._text
        level = [value]
        for depth in range(MAX_NESTING):
            below: list[object] = []
            text -= 2 * depth * len(level)  # the indentation
            for item in level:
                values -= 1
                if isinstance(item, dict):
                    text -= sum(len(name) for name in item)
                    below.extend(item.values())
                elif isinstance(item, list):
                    below.extend(item)
                elif isinstance(item, str):
                    text -= len(item)
                elif isinstance(item, Plan):
                    values -= PLAN_VALUES
                    below.append(item.said)
                if values < 0 or text < 0 or len(below) > values:
                    return False
            if not below:
                self._values, self._text = values, text
                return True
            level = below
        return False

    def members(self, document: dict[str, JSONValue]) -> dict[str, JSONValue | TooLarge]:
        """Return the first members of a document, with a TooLarge for each that has no room."""
        shown: dict[str, JSONValue | TooLarge] = {}
        for name, value in islice(document.items(), MAX_MEMBERS):
            if not self.take(name):
                break
            shown[name] = value if self.take(value) else TooLarge(value)
        return shown


class TooLarge:
    """A value that a page has no room for, to be named in its place."""

    def __init__(self, value: object) -> None:
        match value:
            case dict():
                self.what: str = f"an object with {len(value):,} members"
            case list():
                self.what = f"a list of {len(value):,} items"
            case str():
                self.what = f"a text of {len(value):,} characters"
            case _:
                self.what = "a value"


@cache
def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def visible(value: object) -> object:
    """Show hidden characters in a text as escapes; return anything else as it is.

    The templates pass every expression through this, so no attribute or heading is forgotten.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(_escaped(char) if _is_hidden(char) else char for char in value)


def text(value: str) -> Markup:
    """Show a stored text with its lines, isolate its direction, and mark escapes.

    Spaces at either end are marked as well. A very long text is cut.
    """
    if len(value) > MAX_CHARS:
        cut = Markup('<span class="lit">… (the JSON has all of it)</span>')
        return text(value[:MAX_CHARS]) + cut
    body = value.strip(" ")
    start = len(value) - len(value.lstrip(" ")) if body else 0
    edges = "␣" * start, "␣" * (len(value) - len(body) - start)
    return Markup('<bdi class="text">{}{}{}</bdi>').format(
        _mark(edges[0]), _runs(body), _mark(edges[1])
    )


def prose(value: str) -> Markup:
    """Show paragraphs of our own documentation, with ``code`` between backticks."""
    paragraphs = (" ".join(lines.split()) for lines in value.split("\n\n"))
    return Markup("").join(
        Markup("<p>{}</p>\n").format(
            Markup("").join(
                Markup("<code>{}</code>").format(_runs(part)) if index % 2 else _runs(part)
                for index, part in enumerate(paragraph.replace("``", "`").split("`"))
            )
        )
        for paragraph in paragraphs
        if paragraph
    )


def _runs(body: str) -> Markup:
    if body.isprintable():
        return escape(body)
    runs = groupby(body, key=lambda char: char != "\n" and _is_hidden(char))
    return Markup("").join(
        _mark("".join(map(_escaped, run))) if hidden else escape("".join(run))
        for hidden, run in runs
    )


def _mark(shown: str) -> Markup:
    return Markup('<span class="esc">{}</span>').format(shown) if shown else Markup("")


def literal(value: JSONValue) -> str:
    """Show a number, true, false or null as canonical JSON spells it."""
    return canonical.encode(value).decode()


def pretty(value: JSONValue) -> Markup:
    """Show indented JSON. Hidden characters become JSON escapes, so it is still the same JSON."""
    written = "".join(_written(value, "\n"))
    return escape(
        "".join(
            _json_escaped(char) if char != "\n" and _is_hidden(char) else char for char in written
        )
    )


def _written(value: JSONValue, margin: str) -> Iterator[str]:
    """Write JSON with a line for each value, but one for numbers side by side: a position, say."""
    inner = margin + "  " if len(margin) < MAX_MARGIN else margin
    if isinstance(value, dict) and value:
        for index, (name, member) in enumerate(value.items()):
            yield f"{',' if index else '{'}{inner}{json.dumps(name, ensure_ascii=False)}: "
            yield from _written(member, inner)
        yield margin + "}"
    elif isinstance(value, list) and value and not numbers(value):
        for index, item in enumerate(value):
            yield f"{',' if index else '['}{inner}"
            yield from _written(item, inner)
        yield margin + "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def numbers(items: list[JSONValue]) -> bool:
    """Tell whether a list is of numbers alone."""
    return all(type(item) in (int, float) for item in items)


def height(value: object) -> int:
    """Count the levels of a value; one that holds no others has one."""
    levels, level = 0, [value]
    while level:
        levels += 1
        level = [
            below
            for item in level
            if isinstance(item, dict | list)
            for below in (item.values() if isinstance(item, dict) else item)
        ]
    return levels


def fits(value: object) -> bool:
    """Tell whether a page has room for a value, if it shows nothing else of its kind."""
    return Room().take(value)


def _json_escaped(char: str) -> str:
    # json escapes all of them but U+007F, which is ASCII.
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


def moment(value: str) -> Markup:
    """Show a year, month, date or time (RFC 3339) for people and, in ``datetime``, for programs."""
    date, _, clock = value.partition("T")
    year, *rest = date.split("-")
    shown = " ".join([*(str(int(day)) for day in rest[1:]), *map(_month, rest[:1]), year])
    machine = date
    if clock:
        offset = "Z" if clock.endswith("Z") else clock[-6:]
        seconds, _, fraction = clock.removesuffix(offset).partition(".")
        shown += f", {seconds} UTC{'' if offset == 'Z' else offset}"
        # HTML knows milliseconds, and nothing finer.
        machine += f"T{seconds}{'.' + fraction[:3] if fraction else ''}{offset}"
    return Markup('<time datetime="{}">{}</time>').format(machine, shown)


def _month(number: str) -> str:
    return MONTHS[int(number) - 1]


def columns(items: list[JSONValue]) -> list[str]:
    """Name the columns of a list of small flat objects; empty if it is no such list."""
    if len(items) < 2 or not all(isinstance(item, dict) and item for item in items):
        return []
    names = list(dict.fromkeys(name for item in items for name in item))
    nested = any(isinstance(value, dict | list | Plan) for item in items for value in item.values())
    return [] if nested or len(names) > MAX_COLUMNS else names
