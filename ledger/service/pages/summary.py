"""Pick out of a document what people come for: where it is, whose, for how much, what burdens it.

The names that are looked for are in ``docs/reference/http.md``. Of a document that has none of
them there is no summary. It never says that something is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.format import canonical
from ledger.service.pages.naming import Name, words
from ledger.service.pages.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.format.canonical import JSONValue

    Object = dict[str, JSONValue]

INSIDE = ("property", "payment", "register")
"""Objects whose members are looked at as if they were the document's own."""
NAMES = (
    *("address", "property address", "property description"),
    *("tenure", "class of title"),
    *("proprietor", "proprietors", "owner", "owners"),
    *("price paid", "price"),
    *("charges", "charge", "mortgages", "mortgage"),
)
"""The members, in this order. ``price_paid``, ``price-paid`` and ``pricePaid`` are one name."""
PRICES = {"price paid", "price"}
ADDRESSES = {"address", "property address"}
WHO = ("name", "lender", "chargee", "proprietor", "owner", "holder")
FORENAMES, SURNAMES = (
    ("first name", "forename", "given name"),
    ("last name", "surname", "family name"),
)
LINES = (
    *("address lines", "lines", "line 1", "line 2", "line 3", "flat", "house name"),
    *("house number", "number", "road", "street", "locality", "village", "town", "city"),
    *("county", "region", "postcode", "postal code", "country"),
)
"""The parts of an address, in the order in which they are written."""

AMOUNTS = ("amount", "value", "price", "price paid")

MAX_ITEMS = 8
MAX_MORE = 4
MAX_ROWS = 12
MAX_CHARS = 200
MAX_NAME = 60
"""How much a summary has, whatever the document has."""


class Line(NamedTuple):
    """One proprietor, charge, price or address."""

    text: str
    more: Sequence[tuple[str, str]] = ()
    """What else is said of it, by name in words."""
    left_out: bool = False
    """Whether the document has more of it."""


class Row(NamedTuple):
    """A member of the document."""

    name: Name
    lines: list[Line]
    left_out: bool
    """Whether the document has more of it."""


class Summary(NamedTuple):
    """What a title's page shows first."""

    rows: list[Row]
    plan: Plan | None

    def __bool__(self) -> bool:
        return bool(self.rows or self.plan)


def summary(document: JSONValue) -> Summary:
    """Sum up a document, in which geometries are plans."""
    if not isinstance(document, dict):
        return Summary([], None)
    places = list(_places(document))
    rows = [
        _row(path, wanted, value, holder)
        for wanted in NAMES
        for path, value, holder in places
        if words(path[-1]).lower() == wanted
    ]
    plans = (value for _, value, _ in places if isinstance(value, Plan) and value.drawing)
    return Summary(rows[:MAX_ROWS], next(plans, None))


def _places(document: Object) -> Iterator[tuple[tuple[str, ...], JSONValue, Object]]:
    """Yield the document's members, and those of some of them, with the object each is in."""
    for name, value in document.items():
        yield (name,), value, document
        if isinstance(value, dict) and words(name).lower() in INSIDE:
            for inner, below in value.items():
                yield (name, inner), below, value


def _row(path: tuple[str, ...], wanted: str, value: JSONValue, holder: Object) -> Row:
    name = Name([words(path[-1])], canonical.pointer(path) if len(path) > 1 else path[0])
    if value == []:
        return Row(name, [Line("none", [])], left_out=False)
    if wanted in PRICES:
        lines = [_price(value, holder)]
    elif wanted in ADDRESSES:
        lines = [_address(value)]
    else:
        lines = [_who(item) for item in (value if isinstance(value, list) else [value])]
    shown = [line for line in lines[:MAX_ITEMS] if line]
    return Row(name, shown, len(shown) < len(lines) or any(line.left_out for line in shown))


def _line(value: JSONValue) -> Line | None:
    """A text, number or truth value in one line."""
    if isinstance(value, str):
        return Line(value[:MAX_CHARS], left_out=len(value) > MAX_CHARS) if value.strip() else None
    if isinstance(value, bool):
        return Line("yes" if value else "no")
    return Line(canonical.encode(value).decode()) if isinstance(value, int | float) else None


def _who(item: JSONValue) -> Line | None:
    """Somebody, or a charge, by name; with what else is said of them."""
    if not isinstance(item, dict):
        return _line(item)
    said = {
        words(name).lower(): (name, line) for name, each in item.items() if (line := _line(each))
    }
    main = next(([name] for name in WHO if name in said), [])
    if not main:
        kinds = (FORENAMES, SURNAMES)
        main = [name for kind in kinds if (name := next((n for n in kind if n in said), ""))]
    if not main:
        return None
    rest = [name for name in said if name not in main and len(name) <= MAX_NAME]
    more = [(words(said[name][0]), said[name][1].text) for name in rest[:MAX_MORE]]
    cut = any(line.left_out for _, line in said.values())
    left_out = len(main) + len(more) < len(item) or cut
    return Line(" ".join(said[name][1].text for name in main), more, left_out)


def _price(value: JSONValue, holder: Object) -> Line | None:
    """An amount, with its currency if the document has one beside it."""
    if isinstance(value, dict):
        amounts = [member for name, member in value.items() if words(name).lower() in AMOUNTS]
        line = _price(amounts[0], value) if len(amounts) == 1 else None
        currency = sum(words(name).lower() == "currency" for name in value)
        return line and line._replace(left_out=line.left_out or len(value) > 1 + currency)
    line = _line(value)
    currencies = [member for name, member in holder.items() if words(name).lower() == "currency"]
    if line is None or isinstance(value, str | bool):
        return line
    digits = f"{value:,}" if isinstance(value, int) else line.text
    if len(currencies) == 1 and isinstance(currencies[0], str) and len(currencies[0]) <= 20:
        return Line(f"{digits} {currencies[0]}")
    return Line(digits)


def _address(value: JSONValue) -> Line | None:
    """An address in one line."""
    if isinstance(value, list):
        lines = list(map(_line, value))
        parts = [line.text for line in lines if line]
        return Line(", ".join(parts), left_out=len(parts) < len(lines)) if parts else None
    if not isinstance(value, dict):
        return _line(value)
    named = {words(name).lower(): _line(each) for name, each in value.items()}
    order = sorted(named, key=lambda name: LINES.index(name) if name in LINES else len(LINES))
    parts = [line.text for name in order if name in LINES and (line := named[name])]
    shown = ", ".join(parts)
    return Line(shown, left_out=len(parts) < len(value)) if parts else None
