"""Questions to an index: by words, by reference, by a place in the document, and as of a day."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.errors import InvalidError
from ledger.format import times
from ledger.format.layout import is_title_number
from ledger.index.schema import in_force

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from ledger.format.canonical import JSONValue
    from ledger.format.entry import Entry
    from ledger.format.times import Question

NO_WORDS = {"true", "false", "null"}
INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
COLUMNS = (
    "title_number, version, address, recorded_at, effective_at, effective_until, kind, status,"
    " reference, part, parts, key, author, message, document, erased_by, standing"
)
ASKED = """(SELECT ? AS effective_day, ? AS effective_instant,
    ? AS recorded_day, ? AS recorded_instant)"""
WORDS = "entry.id IN (SELECT rowid FROM entries_fts WHERE entries_fts MATCH ?)"


class Coverage(NamedTuple):
    """What an index is of, and as of when."""

    origin: str
    leaf: int | None
    """How many leaves of the log it has taken up; None: the ledger had no log."""
    updated_at: str | None
    """When an update last ended; None: the first one has not ended yet."""
    waiting: int = 0
    """Titles that an update has not looked at yet: one is under way, or was cut off."""
    left_out: int = 0
    """Titles that did not verify, and are not in it."""


class Found(NamedTuple):
    """A version of a title that a search found, as it is in the index."""

    title_number: str
    version: int
    address: str
    recorded_at: str
    effective_at: str | None
    effective_until: str | None
    kind: str
    status: str
    reference: str
    part: tuple[int, int]
    key: str
    author: str | None
    message: str | None
    document: dict[str, JSONValue] | None
    """None: its text is erased."""
    erased_by: int | None
    """The version that orders the text erased."""
    standing: str
    """How it stands, in words; "": it simply counts."""


class Listed(NamedTuple):
    """Where a version of a title is in the ledger."""

    title_number: str
    address: str
    is_plain: bool
    """It simply counts, and its text is not erased."""


def search(
    database: sqlite3.Connection,
    text: str = "",
    *,
    reference: str | None = None,
    path: str = "",
    effective: Question | None = None,
    recorded: Question | None = None,
    every_version: bool = False,
    after: str = "",
    limit: int | None = None,
) -> Iterator[Found]:
    """Yield what answers; see ``Index.find``."""
    if every_version and (effective is not None or recorded is not None):
        raise InvalidError("every version, or the one of a day: not both")
    if not (text or path) and reference is None:
        raise InvalidError("nothing to look for", hint="pass a text, a reference or a path")
    conditions, values = ["entry.title_number > ?"], [after]
    if text:
        condition, found = _by_text(text)
        conditions.append(condition)
        values += found
    if reference is not None:
        conditions.append("entry.reference = ?")
        values.append(_storable(reference))
    if path:
        steps, value = _parse_path(path)
        conditions.append("entry.document IS NOT NULL AND is_at(entry.document, ?, ?)")
        values += [json.dumps(steps), value]
        if (
            _has_token(value) and value not in NO_WORDS
        ):  # narrows it down: these are among its words
            conditions.insert(1, WORDS)
            values.insert(1, _quoted(value))
        database.create_function("is_at", 3, _is_at, deterministic=True)
    if every_version:
        base, asked = "SELECT entry.* FROM entries AS entry WHERE entry.stands", []
    else:
        base, asked = in_force(ASKED), [*_asked(effective), *_asked(recorded)]
    query = (
        f"SELECT {COLUMNS} FROM ({base} AND {' AND '.join(conditions)})"  # noqa: S608 -- no values
        " ORDER BY title_number, version LIMIT ?"
    )
    rows = database.execute(query, (*asked, *values, -1 if limit is None else limit))
    return map(_found, rows)


def newest_first(
    database: sqlite3.Connection, *, since: str = "", until: str = "", reference: str | None = None
) -> Iterator[Listed]:
    """Yield all versions by when they were recorded; see ``Index.newest_first``."""
    query = """SELECT title_number, address, stands AND standing = '' AND erased_by IS NULL
        AND document IS NOT NULL FROM entries
        WHERE recorded_at >= ? AND (? = '' OR substr(recorded_at, 1, length(?)) <= ?)
        AND (? IS NULL OR reference = ?)
        ORDER BY recorded_at DESC, title_number DESC, version DESC"""
    named = None if reference is None else _storable(reference)
    rows = database.execute(query, (since, until, until, until, named, named))
    return (Listed(title_number, address, bool(plain)) for title_number, address, plain in rows)


def _found(row: tuple[Any, ...]) -> Found:
    members = dict(zip(COLUMNS.split(", "), row, strict=True))
    document = members.pop("document")
    part = (members.pop("part"), members.pop("parts"))
    return Found(**members, part=part, document=document and json.loads(document))


def bound_columns(bound: times.Bound | None) -> tuple[str | None, str | None]:
    """Return the columns of a bound: its day, and its instant in UTC."""
    if bound is None:
        return None, None
    instant = None if bound.instant is None else times.format_time(bound.instant)
    return bound.day.isoformat(), instant


def _asked(question: Question | None) -> tuple[str | None, str | None]:
    return bound_columns(None if question is None else times.as_bound(question))


def words_of(entry: Entry) -> str:
    """Return what a search finds an entry by: its title number, reference, texts and numbers.

    Case is folded in full, so that STRASSE finds Straße. SQLite folds letter by letter.
    """
    words = [entry.title_number, entry.reference]
    if not entry.is_withheld:
        collect_texts(entry.document, words)
    return "\n".join(filter(None, words)).casefold()


def collect_texts(value: JSONValue, words: list[str]) -> None:
    """Add the texts and numbers of a document to ``words``."""
    if isinstance(value, dict):
        for member in value.values():
            collect_texts(member, words)
    elif isinstance(value, list):
        for item in value:
            collect_texts(item, words)
    elif isinstance(value, str):
        words.append(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        words.append(json.dumps(value))


# -- Words -----------------------------------------------------------------------------------------


def _by_text(text: str) -> tuple[str, list[str]]:
    """Return the condition for all words of a text, in any order, or how a title number begins."""
    terms = [term for term in text.split() if _has_token(term)]
    if not terms:
        raise InvalidError(f"nothing to look for in {text!a:.80}", hint="write a word or a number")
    match = " ".join(_quoted(term.removesuffix("*")) + "*" * term.endswith("*") for term in terms)
    title_number = "".join(text.split()).upper()
    if not is_title_number(title_number):
        return WORDS, [match]
    # "~" comes after all that a title number may have.
    begins = "entry.title_number >= ? AND entry.title_number < ?"
    return f"({WORDS} OR {begins})", [match, title_number, f"{title_number}~"]


def _has_token(text: str) -> bool:
    return any(map(str.isalnum, text))


def _quoted(text: str) -> str:
    """Return the text as a phrase, in which nothing is syntax, with its case folded."""
    return '"' + _storable(text).casefold().replace("\0", " ").replace('"', '""') + '"'


def _storable(text: str) -> str:
    """Return a text that SQLite can take: what was no UTF-8 in a command line can't be found."""
    return text.encode("utf-8", "replace").decode()


# -- A place in the document -----------------------------------------------------------------------


def _parse_path(path: str) -> tuple[list[str], str]:
    pointer, equals, value = path.partition("=")
    if not (equals and pointer.startswith("/")):
        raise InvalidError(
            f"not a path and a value: {path!a:.80}",
            hint="write /proprietors/*/name=Ada: a JSON pointer, in which * is any member or item",
        )
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
    return steps, _storable(value)


def _is_at(document: str, steps: str, value: str) -> bool:
    """Tell whether the value is at one of the places that the steps lead to."""
    places = [json.loads(document)]
    for step in json.loads(steps):
        places = [found for place in places for found in _step(place, step)]
    return any(_spell(place) == value for place in places)


def _step(place: JSONValue, step: str) -> Iterator[JSONValue]:
    if isinstance(place, dict):
        if step == "*":
            yield from place.values()
        elif step in place:
            yield place[step]
    elif isinstance(place, list):
        if step == "*":
            yield from place
        elif INDEX.fullmatch(step) and int(step) < len(place):
            yield place[int(step)]


def _spell(value: JSONValue) -> str | None:
    """Return how a value is written after the equals sign: a text as it is, others as JSON."""
    if isinstance(value, (dict, list)):
        return None
    return value if isinstance(value, str) else json.dumps(value)
