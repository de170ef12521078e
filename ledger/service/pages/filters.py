"""How stored values are shown in HTML: hidden characters as escapes, times and JSON for people.

Text that comes from a store is data. What would be markup is escaped by the templates; what would
be invisible, or turn the reading direction, is shown as its escape.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from ledger.format import canonical

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue

__all__ = ["columns", "literal", "moment", "pretty", "prose", "text", "visible"]

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""The Unicode categories that are shown as escapes."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
MAX_COLUMNS = 6
MAX_CHARS = 10_000
"""How much of one text is shown."""


@cache
def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def visible(value: object) -> object:
    """Any output of a template: text with what is hidden as escapes, all else as it is.

    The templates put every expression through this, so that no attribute and no heading can be
    forgotten.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(_escaped(char) if _is_hidden(char) else char for char in value)


def text(value: str) -> Markup:
    """A stored text: lines kept, its direction its own, escapes told apart from what was written.

    A space at either end, which nobody would see, is marked too; one that is very long is cut.
    """
    if len(value) > MAX_CHARS:
        cut = Markup('<span class="lit">… (the JSON has it all)</span>')
        return text(value[:MAX_CHARS]) + cut
    body = value.strip(" ")
    start = len(value) - len(value.lstrip(" ")) if body else 0
    edges = "␣" * start, "␣" * (len(value) - len(body) - start)
    return Markup('<bdi class="text">{}{}{}</bdi>').format(
        _mark(edges[0]), _runs(body), _mark(edges[1])
    )


def prose(value: str) -> Markup:
    """Paragraphs of our own documentation, with ``code`` between backticks."""
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
    """A number, true, false or null, as canonical JSON spells it."""
    return canonical.encode(value).decode()


def pretty(value: JSONValue) -> Markup:
    """JSON, indented: still the same JSON, as what is hidden becomes JSON's own escapes."""
    written = json.dumps(value, ensure_ascii=False, indent=2)
    return escape(
        "".join(
            _json_escaped(char) if char != "\n" and _is_hidden(char) else char for char in written
        )
    )


def _json_escaped(char: str) -> str:
    # json escapes all of them but U+007F, which is ASCII.
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


def moment(value: str) -> Markup:
    """A date or time of the format (RFC 3339), for people and, in ``datetime``, for machines."""
    date, _, clock = value.partition("T")
    year, month, day = date.split("-")
    shown = f"{int(day)} {MONTHS[int(month) - 1]} {year}"
    machine = date
    if clock:
        offset = "Z" if clock.endswith("Z") else clock[-6:]
        seconds, _, fraction = clock.removesuffix(offset).partition(".")
        shown += f", {seconds} UTC{'' if offset == 'Z' else offset}"
        # HTML knows milliseconds, and nothing finer.
        machine += f"T{seconds}{'.' + fraction[:3] if fraction else ''}{offset}"
    return Markup('<time datetime="{}">{}</time>').format(machine, shown)


def columns(items: list[JSONValue]) -> list[str]:
    """The columns of a list that reads best as a table: small flat objects; else none."""
    if len(items) < 2 or not all(isinstance(item, dict) and item for item in items):
        return []
    names = list(dict.fromkeys(name for item in items for name in item))
    nested = any(isinstance(value, dict | list) for item in items for value in item.values())
    return [] if nested or len(names) > MAX_COLUMNS else names
