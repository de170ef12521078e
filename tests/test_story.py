"""One story of an estate, performed in three ways, and the same questions asked in four.

The library, the shell and the service each perform it in a ledger of their own, by the same clock;
each is asked, and so is an index of each in SQL. The answers were written by hand.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import msgspec
import pytest

from cli.config import Config
from ledger import Draft, Ledger, LedgerError
from ledger.errors import NotFoundError, NotInLaw, RegistrationIncomplete, TitleClosed
from ledger.index import Index
from ledger.registrations.registration import registration_json
from ledger.testing import FixedClock, signer
from tests.cli.shell import ORIGIN, Shell
from tests.service.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from httpx import Response

    from tests.cli.shell import Result

# -- The story -------------------------------------------------------------------------------------


class Step(NamedTuple):
    """What the registry does on a day: a version of one title, or several under one reference."""

    day: str
    reference: str
    parts: list[dict[str, Any]]
    refused: type[LedgerError] | None = None
    lost: str = ""
    """The title whose head a power cut left unmoved."""


def part(title_number: str, owner: str, area: int, **about: Any) -> dict[str, Any]:
    """A version of a title; what is not in its document is about it."""
    document: dict[str, Any] = {"owner": owner, "area": area}
    if charge := about.pop("charge", None):
        document["charge"] = charge
    return {"title_number": title_number, "document": document, **about}


SPLIT = [
    part("P3", "Ada", 20),
    part("EST", "Ada", 0, status="closed"),
    part("P1", "Ada", 50),
    part("P2", "Ada", 30),
]
TRUE_PERIOD = {
    "kind": "rectification",
    "effective_at": "2026-03-10",
    "effective_until": "2026-05-01",
}
TRANSFER = [part("P2", "Bob", 40), part("P4", "Bob", 10)]

STORY = [
    Step("2026-01-05", "", [part("EST", "Ada", 100, kind="migration", effective_at="1995-06")]),
    # The estate is split into three; the clerk hears no answer, and asks again the next day.
    Step("2026-02-02", "APP-1", SPLIT),
    Step("2026-02-03", "APP-1", SPLIT),
    # One plot is mortgaged.
    Step("2026-03-02", "APP-2", [part("P1", "Ada", 50, charge="Bank")]),
    # Plots 2 and 3 were sold on 10 March. The clerk reads 1 May.
    Step("2026-05-04", "APP-3/2", [part("P2", "Bob", 30, effective_at="2026-05-01")]),
    Step("2026-05-04", "APP-3/3", [part("P3", "Bob", 20, effective_at="2026-05-01")]),
    # The two are merged.
    Step("2026-07-01", "APP-4", [part("P2", "Bob", 50), part("P3", "Bob", 0, status="closed")]),
    # The sale is corrected back to its date, on the closed title as well.
    Step(
        "2026-08-03",
        "APP-5",
        [part("P2", "Bob", 30, **TRUE_PERIOD), part("P3", "Bob", 20, **TRUE_PERIOD)],
    ),
    # Plot 1 is closed. The bank comes too late, and nothing of its application is registered.
    Step("2026-09-01", "APP-6", [part("P1", "Ada", 50, charge="Bank", status="closed")]),
    Step("2026-09-02", "APP-7", [part("P1", "Bank", 50), part("P0", "Bank", 1)], TitleClosed),
    Step("2026-09-02", "APP-7", [part("P1", "Bank", 50)], TitleClosed),
    # A part of plot 2 goes to plot 4. A power cut comes between, and then another application.
    Step("2026-10-01", "APP-8", TRANSFER, lost="P4"),
    Step("2026-10-02", "APP-9", [part("P2", "Bob", 40, charge="Bank")]),
    Step("2026-10-03", "APP-8", TRANSFER),
    # Two that stay half done: one is given up.
    Step("2026-10-05", "APP-10", [part("P4", "Bob", 9), part("P5", "Bob", 1)], lost="P5"),
    Step("2026-10-06", "APP-10", []),
    Step("2026-10-07", "APP-11", [part("P4", "Bob", 8), part("P6", "Bob", 1)], lost="P6"),
    # Agreed, but not yet so.
    Step("2026-11-02", "APP-12", [part("P2", "Zoe", 40, effective_at="2027-01-01")]),
]
"""A step of no part gives up what is missing."""

# -- The questions, and what is right --------------------------------------------------------------

Owned = tuple[int, str] | None

OWNERS: list[tuple[str, str, str, Owned]] = [
    # Who owned it on a day, as known on another: by which version.
    ("EST", "1995-05-31", "2026-12-31", None),
    ("EST", "1995-06-01", "2026-12-31", (1, "Ada")),
    ("EST", "2000-01-01", "2026-01-05", (1, "Ada")),
    ("EST", "2000-01-01", "2026-01-04", None),
    ("EST", "2026-02-01", "2026-12-31", (1, "Ada")),
    ("EST", "2026-02-02", "2026-02-01", (1, "Ada")),
    ("EST", "2026-02-02", "2026-12-31", (2, "Ada")),
    ("P1", "2026-12-31", "2026-12-31", (3, "Ada")),
    ("P2", "2026-02-01", "2026-12-31", None),
    ("P2", "2026-03-09", "2026-12-31", (1, "Ada")),
    ("P2", "2026-03-10", "2026-05-03", (1, "Ada")),
    ("P2", "2026-03-10", "2026-08-02", (1, "Ada")),
    ("P2", "2026-03-10", "2026-08-03", (4, "Bob")),
    ("P2", "2026-04-30", "2026-08-02", (1, "Ada")),
    ("P2", "2026-04-30", "2026-12-31", (4, "Bob")),
    ("P2", "2026-05-01", "2026-05-03", (1, "Ada")),
    ("P2", "2026-05-01", "2026-12-31", (2, "Bob")),
    ("P2", "2026-06-30", "2026-12-31", (2, "Bob")),
    ("P2", "2026-07-01", "2026-12-31", (3, "Bob")),
    ("P2", "2026-08-03", "2026-12-31", (3, "Bob")),
    ("P2", "2026-10-01", "2026-12-31", (5, "Bob")),
    ("P2", "2026-12-31", "2026-12-31", (6, "Bob")),
    ("P2", "2027-01-01", "2026-11-01", (6, "Bob")),
    ("P2", "2027-01-01", "2026-11-02", (7, "Zoe")),
    ("P3", "2026-03-10", "2026-08-02", (1, "Ada")),
    ("P3", "2026-03-10", "2026-12-31", (4, "Bob")),
    ("P3", "2026-06-30", "2026-12-31", (2, "Bob")),
    ("P3", "2026-12-31", "2026-12-31", (3, "Bob")),
    ("P4", "2026-10-02", "2026-12-31", None),
    ("P4", "2026-10-03", "2026-12-31", (1, "Bob")),
    ("P4", "2026-10-05", "2026-10-05", (2, "Bob")),
    ("P4", "2026-10-05", "2026-12-31", (3, "Bob")),
]

IN_FORCE_TODAY = {"EST": 2, "P1": 3, "P2": 6, "P3": 3, "P4": 4}
"""On 23 November: the newest version of P2 is about next year, that of P3 about last spring."""

FATES = {
    # What a title came from, and what came of it.
    "EST": ([], ["P1", "P2", "P3"]),
    "P1": (["EST"], []),
    "P2": (["EST", "P3"], ["P4"]),
    "P3": (["EST"], ["P2"]),
    "P4": (["P2"], []),
}

STATUSES = {"open": ["P2", "P4"], "closed": ["EST", "P1", "P3"]}

Changed = list[tuple[str, int, str]]

CHANGES: dict[str, tuple[str, Changed]] = {
    # What an application changed, and whether that is all of it.
    "APP-1": (
        "complete",
        [("EST", 2, "closes"), ("P1", 1, "begins"), ("P2", 1, "begins"), ("P3", 1, "begins")],
    ),
    "APP-2": ("one", [("P1", 2, "")]),
    "APP-3/2": ("one", [("P2", 2, "")]),
    "APP-4": ("complete", [("P2", 3, ""), ("P3", 3, "closes")]),
    "APP-5": ("complete", [("P2", 4, ""), ("P3", 4, "")]),
    "APP-6": ("one", [("P1", 3, "closes")]),
    "APP-7": ("none", []),
    "APP-8": ("complete", [("P2", 5, ""), ("P4", 1, "begins")]),
    "APP-9": ("one", [("P2", 6, "")]),
    "APP-10": ("complete", [("P4", 2, ""), ("P4", 3, "")]),
    "APP-11": ("lacks 2", [("P4", 4, "")]),
    "APP-12": ("one", [("P2", 7, "")]),
}

# -- The ways --------------------------------------------------------------------------------------


class Way(ABC):
    """A way to perform the story in a ledger of one's own, and to ask about it."""

    def __init__(self, place: Path) -> None:
        self.clock = FixedClock()
        self.folder = place / "store"
        self.ledger = Ledger.create(
            str(self.folder), origin=ORIGIN, signer=signer(), clock=self.clock
        )

    def perform(self, step: Step) -> None:
        self.clock.now = datetime.combine(datetime.fromisoformat(step.day), time(10), tzinfo=UTC)
        if step.refused:
            before = self.listing()
            assert self.refusal(step) == step.refused.slug
            assert self.listing() == before
        elif not step.parts:
            self.give_up(step.reference)
        else:
            self.write(step)
        if step.lost:
            (self.folder / step.lost / "head.json").unlink()

    def open(self) -> Ledger:
        return self.ledger

    def index(self, file: Path) -> None:
        """Make an index of the ledger."""
        with Index(self.ledger, file) as index:
            assert index.update(jobs=1)

    def listing(self) -> list[Path]:
        return sorted(self.folder.rglob("*"))

    @abstractmethod
    def write(self, step: Step) -> None: ...

    @abstractmethod
    def refusal(self, step: Step) -> str:
        """The slug of the error that a step ends with."""

    def give_up(self, reference: str) -> None:
        """Complete it without what is missing: the service leaves that to the registry."""
        self.ledger.give_up(reference)

    @abstractmethod
    def owner(self, title_number: str, on: str, known: str) -> Owned: ...

    @abstractmethod
    def in_force_today(self, title_number: str) -> int: ...

    @abstractmethod
    def fate(self, title_number: str) -> tuple[list[str], list[str]]: ...

    @abstractmethod
    def titles(self, status: str) -> list[str]: ...

    @abstractmethod
    def changed(self, reference: str) -> tuple[str, Changed]: ...


class InPython(Way):
    """The library."""

    def write(self, step: Step) -> None:
        drafts = [Draft(**each) for each in step.parts]
        if len(drafts) > 1:
            self.ledger.register(drafts, reference=step.reference)
        else:
            self.ledger.submit(msgspec.structs.replace(drafts[0], reference=step.reference))

    def refusal(self, step: Step) -> str:
        with pytest.raises(LedgerError) as caught:
            self.write(step)
        return caught.value.slug

    def owner(self, title_number: str, on: str, known: str) -> Owned:
        try:
            entry = self.ledger.at(title_number, effective=on, recorded=known)
        except NotInLaw:
            return None
        return entry.version, str(entry.document["owner"])

    def in_force_today(self, title_number: str) -> int:
        return self.ledger.at(title_number, effective="today").version

    def fate(self, title_number: str) -> tuple[list[str], list[str]]:
        entries = self.ledger.log(title_number)
        found = [self.ledger.registration(e.reference) for e in entries if e.part[1] > 1]
        came = {title for each in found for title in each.came_from(title_number)}
        went = {title for each in found for title in each.went_into(title_number)}
        return sorted(came), sorted(went)

    def titles(self, status: str) -> list[str]:
        return list(self.ledger.titles(status=status))

    def changed(self, reference: str) -> tuple[str, Changed]:
        found = self.ledger.registration(reference)
        return _verdict(registration_json(found))


def _verdict(found: dict[str, Any]) -> tuple[str, Changed]:
    """What the library, the shell and the service say of a registration, in short."""
    missing = ", ".join(str(i) for i, _ in found["missing"])
    parts = [entry["part"] for entry in found["entries"] if entry["part"] != [1, 1]]
    said = f"lacks {missing}" if missing else "complete" if found["complete"] else "one"
    assert found["complete"] == bool(parts and not missing)
    entries = found["entries"]
    changed = [(each["title_number"], each["version"], each["role"] or "") for each in entries]
    return (said if entries else "none"), changed


def _fate(
    title_number: str, entries: list[dict[str, Any]], ask: Callable[[str], dict[str, Any]]
) -> tuple[list[str], list[str]]:
    """What the registrations say that a title was part of."""
    found = [
        ask(entry["reference"])["titles"][title_number] for entry in entries if entry["part"][1] > 1
    ]
    came = {title for each in found for title in each["came_from"]}
    went = {title for each in found for title in each["went_into"]}
    return sorted(came), sorted(went)


class InTheShell(Way):
    """The command."""

    def __init__(self, place: Path) -> None:
        self.clock = FixedClock()
        self.shell = Shell.make(place / "shell")
        self.run(f"init --origin {ORIGIN}")
        self.folder = self.shell.store

    def run(self, line: str, *words: str, **options: Any) -> Result:
        with mock.patch.object(Config, "now", return_value=self.clock.now):
            return self.shell(line, *words, **options)

    def _write(self, step: Step, code: int = 0) -> Result:
        if len(step.parts) > 1:
            lines = "\n".join(map(json.dumps, step.parts)).encode()
            return self.run(f"register - --reference {step.reference}", stdin=lines, code=code)
        (about,) = step.parts
        words = ["--reference", step.reference] if step.reference else []
        for member, option in OPTIONS.items():
            words += [option, about[member]] if member in about else []
        words += ["--close"] if about.get("status") == "closed" else []
        document = json.dumps(about["document"]).encode()
        return self.run("append", about["title_number"], "-", *words, stdin=document, code=code)

    def write(self, step: Step) -> None:
        self._write(step)

    def refusal(self, step: Step) -> str:
        assert step.refused
        said = self._write(step, step.refused.exit_code).err
        return step.refused.slug if "cannot append to P1: version 3 closed it" in said else said

    def open(self) -> Ledger:
        return Ledger.open(str(self.folder), keyring=self.shell.keyring(), clock=self.clock)

    def index(self, file: Path) -> None:
        self.run(f"index {file} --quiet")

    def give_up(self, reference: str) -> None:
        self.run(f"register --give-up {reference}")

    def owner(self, title_number: str, on: str, known: str) -> Owned:
        words = f"show {title_number} --effective {on} --recorded {known} --json"
        found = self.run(words, code=None)
        if found.code == NotInLaw.exit_code:
            assert "nothing was in law then" in found.err
            return None
        return found.json["version"], found.json["document"]["owner"]

    def in_force_today(self, title_number: str) -> int:
        return self.run(f"show {title_number} --effective today --json").json["version"]

    def fate(self, title_number: str) -> tuple[list[str], list[str]]:
        entries = self.run(f"log {title_number} --json").objects
        return _fate(title_number, entries, lambda each: self._registration(each).json)

    def _registration(self, reference: str) -> Result:
        return self.run(f"registration {reference} --json", code=None)

    def titles(self, status: str) -> list[str]:
        return self.run(f"titles --{status}").lines

    def changed(self, reference: str) -> tuple[str, Changed]:
        found = self._registration(reference)
        if found.code == NotFoundError.exit_code:
            return "none", []
        said = _verdict(found.json)
        incomplete = RegistrationIncomplete.exit_code
        assert found.code == (incomplete if said[0].startswith("lacks") else 0)
        return said


OPTIONS = {
    "kind": "--kind",
    "effective_at": "--effective",
    "effective_until": "--effective-until",
}


class OverHTTP(Way):
    """The service."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.client = Client(self.ledger)

    def _write(self, step: Step) -> Response:
        if len(step.parts) > 1:
            body = {"reference": step.reference, "parts": step.parts}
            return self.client.post("/registrations", body)
        (about,) = step.parts
        headers = {"Idempotency-Key": step.reference} if step.reference else {}
        headers |= {name: about[member] for member, name in HEADERS.items() if member in about}
        path = f"/titles/{about['title_number']}"
        return self.client.post(path, about["document"], headers=headers)

    def write(self, step: Step) -> None:
        answer = self._write(step)
        assert answer.status_code in {200, 201}, answer.text

    def refusal(self, step: Step) -> str:
        answer = self._write(step)
        assert step.refused
        assert answer.status_code == step.refused.http_status
        return str(answer.json()["slug"])

    def owner(self, title_number: str, on: str, known: str) -> Owned:
        asked = {"effective": on, "recorded": known}
        answer = self.client.get(f"/titles/{title_number}", params=asked)
        if answer.status_code == NotInLaw.http_status:
            assert answer.json()["slug"] == NotInLaw.slug
            return None
        return self._version(title_number, answer), answer.json()["owner"]

    def _version(self, title_number: str, answer: Response) -> int:
        address = answer.headers["ledger-address"]
        (version,) = (
            entry["version"] for entry in self._entries(title_number) if entry["address"] == address
        )
        return int(version)

    def _entries(self, title_number: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._json(f"/titles/{title_number}/entries")["entries"]
        return entries

    def _json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(path).json()
        return found

    def in_force_today(self, title_number: str) -> int:
        answer = self.client.get(f"/titles/{title_number}?effective=today")
        return self._version(title_number, answer)

    def fate(self, title_number: str) -> tuple[list[str], list[str]]:
        return _fate(
            title_number,
            self._entries(title_number),
            lambda each: self._json(f"/registrations/{each}"),
        )

    def titles(self, status: str) -> list[str]:
        urls = self._json(f"/titles?status={status}")["titles"]
        return [url.rpartition("/")[2] for url in urls]

    def changed(self, reference: str) -> tuple[str, Changed]:
        answer = self.client.get(f"/registrations/{reference}")
        if answer.status_code == NotFoundError.http_status:
            return "none", []
        return _verdict(answer.json())


HEADERS = {
    "kind": "Ledger-Kind",
    "effective_at": "Ledger-Effective",
    "effective_until": "Ledger-Effective-Until",
    "status": "Ledger-Status",
}


class InSQL:
    """An index, asked by nothing but SQLite."""

    def __init__(self, file: Path) -> None:
        self.database = sqlite3.connect(file)

    def rows(self, query: str, *values: str) -> list[Any]:
        return self.database.execute(query, values).fetchall()

    def owner(self, title_number: str, on: str, known: str) -> Owned:
        self.rows("UPDATE as_of SET effective_day = ?, recorded_day = ?", on, known)
        query = "SELECT version, document ->> 'owner' FROM in_force WHERE title_number = ?"
        (found,) = self.rows(query, title_number) or [None]
        return found

    def in_force_today(self, title_number: str) -> int:
        found = self.owner(title_number, f"{TODAY:%Y-%m-%d}", f"{TODAY:%Y-%m-%d}")
        assert found
        return found[0]

    def fate(self, title_number: str) -> tuple[list[str], list[str]]:
        came = "SELECT DISTINCT came_from FROM moves WHERE went_into = ? ORDER BY came_from"
        went = "SELECT DISTINCT went_into FROM moves WHERE came_from = ? ORDER BY went_into"
        came_from, went_into = (
            [title for (title,) in self.rows(query, title_number)] for query in (came, went)
        )
        return came_from, went_into

    def titles(self, status: str) -> list[str]:
        query = "SELECT title_number FROM titles WHERE status = ? ORDER BY title_number"
        return [title for (title,) in self.rows(query, status)]

    def changed(self, reference: str) -> tuple[str, Changed]:
        query = """SELECT title_number, version, coalesce(role, ''), part, parts
            FROM entries WHERE stands AND reference = ? ORDER BY part, title_number"""
        found = self.rows(query, reference)
        changed = [each[:3] for each in found]
        complete = self.rows("SELECT complete FROM registrations WHERE reference = ?", reference)
        if not complete:
            return ("one" if found else "none"), changed
        there = {part for *_, part, _ in found}
        missing = set(range(1, found[0][4] + 1)) - there
        assert complete == [(not missing,)]
        return (f"lacks {', '.join(map(str, missing))}" if missing else "complete"), changed


# -- The same answers ------------------------------------------------------------------------------

TODAY = datetime(2026, 11, 23, 10, tzinfo=UTC)
FILE = "titles.sqlite"
WAYS = {"library": InPython, "shell": InTheShell, "service": OverHTTP}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Way | InSQL]:
    """The story as each way has performed it, and an index of each."""
    ways: dict[str, Way | InSQL] = {}
    for name, kind in WAYS.items():
        place = tmp_path_factory.mktemp(name)
        ways[name] = way = kind(place)
        for step in STORY:
            way.perform(step)
        way.clock.now = TODAY
        file = place / FILE
        way.index(file)
        ways[f"SQL, after the {name}"] = InSQL(file)
    return ways


def questions() -> Iterator[tuple[str, str, tuple[str, ...], Any]]:
    """Each question in words, how it is asked, and the answer."""
    for title, on, known, owned in OWNERS:
        yield f"who owned {title} on {on}, as known on {known}", "owner", (title, on, known), owned
    for title, version in IN_FORCE_TODAY.items():
        yield f"what is in force of {title} today", "in_force_today", (title,), version
    for title, fate in FATES.items():
        yield f"what did {title} come from, and what came of it", "fate", (title,), fate
    for status, titles in STATUSES.items():
        yield f"which titles are {status}", "titles", (status,), titles
    for reference, changed in CHANGES.items():
        yield f"what did {reference} change", "changed", (reference,), changed


def test_each_way_tells_the_same_story(told: dict[str, Way | InSQL]) -> None:
    wrong = [
        f"{question}? {name}: {found}, not {answer}"
        for question, ask, asked, answer in questions()
        for name, way in told.items()
        if (found := getattr(way, ask)(*asked)) != answer
    ]
    assert not wrong, "\n".join(wrong)


def test_the_shell_finds_what_an_application_changed(told: dict[str, Way | InSQL]) -> None:
    way = told["shell"]
    assert isinstance(way, InTheShell)
    found = way.run(f"find --reference APP-8 --index {way.folder.parent.parent / FILE}").lines
    assert found == [
        "P2  version 5  from 2026-10-01  reference APP-8  part 1 of 2",
        "P4  version 1  from 2026-10-03  reference APP-8  part 2 of 2",
    ]


def test_each_way_leaves_what_is_half_done_to_be_found(told: dict[str, Way | InSQL]) -> None:
    for way in told.values():
        if isinstance(way, Way):
            report = way.open().verify_all()
            found = {(each.slug, each.object_key.partition("/")[0]) for each in report.findings}
            assert found == {
                ("registration-incomplete", "P4"),
                ("unfinished-append", "P5"),
                ("unfinished-append", "P6"),
            }
