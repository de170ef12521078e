"""Read the rows of a CSV file: what each column is, and which of them name the title.

A column is a member of the document, unless its kind says otherwise. The kind stands behind its
name in the header (``price:int``), or in ``--types``. An empty cell is an absent member.
"""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from cli.batch.records import LONGEST, Place, Record, bounded_lines, text_of, too_large
from ledger import InvalidError, MalformedError
from ledger.format.canonical import MAX_DEPTH, decode
from ledger.format.entry import MAX_BYTES
from ledger.format.layout import is_title_number

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = {
    "text": "a text",
    "int": "an integer, such as 185000",
    "number": "a number, such as 0.25",
    "bool": "true or false, yes or no, Y or N, 1 or 0",
    "date": "a date, such as 2025-01-31",
    "json": "JSON",
}
"""What the cells of a column hold that is a member of the document, by the column's kind."""

ABOUT = {
    "author",
    "effective_at",
    "effective_until",
    "kind",
    "message",
    "reference",
    "status",
}
"""Kinds of columns that say something of the version, instead of being in its document."""

SKIP = "skip"
"""The kind of a column that is left out."""

JSON_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "number": (int, float)}
MIDNIGHT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]00:00(?::00)?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TRUTH = {"true": True, "yes": True, "y": True, "1": True} | {
    "false": False,
    "no": False,
    "n": False,
    "0": False,
}
KEPT = 31
"""Characters that are kept of a title number that has to be cut."""


class Columns(NamedTuple):
    """What the command line says of a file's columns."""

    title: str = "title_number"
    """The column of the title number; or several, with commas, whose cells make it."""
    types: str = ""
    """Kinds of columns, as ``price:int,sold:date``."""
    names: str = ""
    """The header, if the file has none."""
    delimiter: str = ","


class _Column(NamedTuple):
    name: str
    kind: str


def read_rows(columns: Columns, source: BinaryIO) -> Iterator[Record]:
    """Yield a record for every row that is not blank. Its value is an envelope."""
    csv.field_size_limit(MAX_BYTES)
    rows = csv.reader(_texts(source), delimiter=columns.delimiter, strict=True)
    layout = _Layout(_split(columns.names), columns) if columns.names else None
    begin = 1
    try:
        for row in rows:
            place, begin = Place(begin), rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if layout is None:
                layout = _Layout(row, columns)
            elif columns.names and layout.is_header(row):
                raise InvalidError(f"{place} is a header", hint="leave out --columns")
            else:
                yield Record(place, partial(layout.envelope, row))
    except csv.Error as error:
        raise MalformedError(f"line {begin}: not CSV: {error}") from None


def _texts(source: BinaryIO) -> Iterator[str]:
    for number, line in bounded_lines(source):
        if len(line) > LONGEST:
            raise InvalidError(f"line {number}: {too_large()}")
        yield text_of(number, line)


def _split(names: str) -> list[str]:
    return next(csv.reader([names]), [])


class _Layout:
    """A header that was understood."""

    def __init__(self, header: list[str], columns: Columns) -> None:
        """Understand a header; raises InvalidError for one that could mean two things."""
        kinds = dict(map(_named_kind, _split(columns.types)))
        self._columns = [_column(name.strip(), kinds) for name in header]
        names = [column.name for column in self._columns]
        said = ", ".join(names)
        for number, (name, kind) in enumerate(self._columns, 1):
            if not name:
                raise InvalidError(f"column {number} has no name in the header: {said!a:.200}")
            if names.index(name) != number - 1:
                raise InvalidError(f"the header has the column {name!a:.60} twice")
            if kind in ABOUT and sum(other.kind == kind for other in self._columns) > 1:
                raise InvalidError(f"the header has two columns of the kind {kind}")
        self._title = _split(columns.title)
        for name in [*self._title, *kinds]:
            if name not in names:
                raise InvalidError(
                    f"there is no column {name!a:.60}; there are: {said!a:.400}",
                    hint=_other_delimiter(names)
                    or (
                        "--title-column NAME names the column of the title number; if there is no"
                        " header, --columns NAME,NAME,… is one"
                        if name in self._title
                        else "name columns in --types as the header does"
                    ),
                )

    def is_header(self, row: list[str]) -> bool:
        """Tell whether a row has nothing but the columns' own names."""
        names = [column.name.lower() for column in self._columns]
        return names == [cell.strip().lower() for cell in row]

    def envelope(self, row: list[str]) -> dict[str, Any]:
        """Return what a row says; raises MalformedError if a cell is not of its column's kind."""
        if len(row) != len(self._columns):
            raise InvalidError(f"{len(row)} cells, but the header has {len(self._columns)}")
        cells: dict[str, str] = {}
        document: dict[str, Any] = {}
        about: dict[str, Any] = {}
        for (name, kind), cell in zip(self._columns, row, strict=True):
            cells[name] = cell
            if cell.strip() and kind != SKIP:
                (about if kind in ABOUT else document)[kind if kind in ABOUT else name] = _value(
                    name, kind, cell
                )
        parts = [cells[name] for name in self._title]
        title_number = parts[0] if len(parts) == 1 else _title_of(parts)
        return {"title_number": title_number, "document": document, **about}


def _other_delimiter(names: list[str]) -> str:
    """Say which sign seems to stand between the cells, if all of them are in one."""
    sign = next((sign for sign in ";\t|" if len(names) == 1 and sign in names[0]), "")
    return f"add --delimiter {'TAB' if sign == chr(9) else repr(sign)}" if sign else ""


def _named_kind(text: str) -> tuple[str, str]:
    name, _, kind = text.strip().rpartition(":")
    if not name or not _is_kind(kind):
        raise _no_kind(text, kind if name else "")
    return name, kind


def _column(header: str, kinds: dict[str, str]) -> _Column:
    if header in kinds:
        return _Column(header, kinds[header])
    name, colon, kind = header.rpartition(":")
    if not colon and header in ABOUT:
        raise InvalidError(
            f"column {header!a}: it could be a member of the document, or say so of the version",
            hint=f"add --types {header}:text or --types {header}:{header}",
        )
    if not colon:
        return _Column(header, "text")
    if not _is_kind(kind):
        raise _no_kind(header, kind)
    return _Column(name, kinds.get(name, kind))


def _is_kind(kind: str) -> bool:
    return kind in VALUES or kind in ABOUT or kind == SKIP


def _no_kind(text: str, kind: str) -> InvalidError:
    what = f"{kind!a:.40} is no kind of column" if kind else "write NAME:KIND"
    return InvalidError(
        f"column {text!a:.60}: {what}",
        hint=f"kinds are {', '.join([*VALUES, *sorted(ABOUT), SKIP])}; if the colon belongs to the"
        f" name, add --types '{text}:text'; if there is no header, --columns NAME,NAME,… is one",
    )


def _value(name: str, kind: str, cell: str) -> Any:
    """Return the value of a cell; raises InvalidError if it is not of the kind."""
    text = cell.strip()
    if kind in {"date", "effective_at", "effective_until"} and (found := MIDNIGHT.fullmatch(text)):
        text = found[1]  # how databases export a date
    try:
        if kind == "bool":
            return TRUTH[text.lower()]
        if kind == "date":
            if not DATE.fullmatch(text):
                raise ValueError
            return date.fromisoformat(text).isoformat()
        if kind == "json" or kind in JSON_TYPES:
            value = decode(text.encode(), depth=MAX_DEPTH)
            if type(value) not in JSON_TYPES.get(kind, (type(value),)):
                raise ValueError
            return value
    except (KeyError, ValueError, MalformedError) as error:
        # What is wrong with JSON, or with a number that is one but can't be kept, is worth a word.
        if isinstance(error, InvalidError) or kind == "json":
            raise InvalidError(f"column {name}: {cell!a:.60}: {error}") from None
        raise InvalidError(f"column {name}: {cell!a:.60} is not {VALUES[kind]}") from None
    return text if kind in ABOUT else cell


def _title_of(cells: list[str]) -> str:
    """Make a title number of several cells: other cells make another, but for case and spaces.

    Capitals and digits stay, a space becomes ``_``, and each byte of anything else ``.`` and two
    hex digits; ``-`` stands between the cells. What is then no title number, as it is too long or
    begins with a sign, is cut, and ends with the beginning of its sha256.
    """
    joined = "-".join(map(_spell, cells))
    if is_title_number(joined) or not any(cells):
        return joined
    digest = hashlib.sha256(joined.encode()).hexdigest().upper()[:32]
    return f"{joined.lstrip('._-')[:KEPT].rstrip('.')}.{digest}"


def _spell(cell: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(cell.casefold().upper().split()))
    return "".join(
        sign
        if sign.isascii() and sign.isalnum()
        else "_"
        if sign == " "
        else "".join(f".{byte:02X}" for byte in sign.encode())
        for sign in text
    )
