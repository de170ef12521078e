"""Which version is in law: what a title's answer and page say, and what may be asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger.format.layout import entry_key
from ledger.testing import FixedClock, memory_ledger
from tests.service.client import HTML, TITLE, Client, problem, shell
from tests.service.test_pages import check

PATH = f"/titles/{TITLE}"


class Title:
    """A title, and a service that is asked about it on 23 November 2026."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FixedClock()
        self.client = Client(memory_ledger(clock=self.clock), **settings)

    def append(self, owner: str, since: str | None = None, until: str | None = None) -> None:
        self.client.ledger.append(
            TITLE, {"owner": owner}, effective_at=since, effective_until=until
        )

    def get(self, **asked: str) -> Any:
        return self.client.get(PATH, params=asked)

    def owner(self, **asked: str) -> str:
        return str(self.get(**asked).json()["owner"])

    def page(self, **asked: str) -> str:
        answer = self.client.get(PATH, params=asked, headers=HTML)
        assert answer.status_code == 200, answer.text
        return " ".join(check(answer.text).text.split())


@pytest.fixture
def title() -> Title:
    """Ada, then Bob from 2026 on; then, a week later, the first period is corrected to Eve."""
    title = Title()
    title.append("Ada", "1995-06-01")
    title.append("Bob", "2026-01-01")
    title.clock.forward(days=7)
    title.append("Eve", "1995-06-01", "2026-01-01")
    return title


def test_what_was_posted_last_says_which_version_is_in_force(title: Title) -> None:
    answer = title.get()
    assert answer.json()["owner"] == "Eve"
    assert answer.headers["ledger-effective"] == "1995-06-01"
    assert answer.headers["ledger-effective-until"] == "2026-01-01"
    assert answer.links["alternate"] == {
        "url": f"http://localhost:5000{PATH}?version=2",
        "rel": "alternate",
        "title": "version 2 is in force today",
    }
    assert title.client.get(answer.links["alternate"]["url"]).json()["owner"] == "Bob"
    known = {"If-None-Match": answer.headers["etag"]}
    again = title.client.get(PATH, headers=known)
    assert (again.status_code, again.headers["link"]) == (304, answer.headers["link"])


def test_a_newest_version_that_is_in_force_needs_no_link(title: Title) -> None:
    title.append("Zoe")
    answer = title.get()
    assert "link" not in answer.headers
    assert answer.headers["ledger-effective"] == title.client.ledger.head(TITLE).recorded_at
    assert "ledger-effective-until" not in answer.headers
    assert "is in force today, " not in title.page()


def test_a_title_that_nobody_holds_today() -> None:
    title = Title()
    title.append("Ada", "2030")
    assert "link" not in title.get().headers
    assert "No version is in force today, 23 November 2026." in title.page()


@pytest.mark.parametrize(
    ("asked", "owner"),
    [
        ({"effective": "2000-01-01"}, "Eve"),
        ({"effective": "2000-01-01", "recorded": "2026-11-29"}, "Ada"),
        ({"effective": "2000-01-01T12:00:00+01:00", "recorded": "2026-11-30T10:00:00Z"}, "Eve"),
        ({"effective": "2025-12-31"}, "Eve"),
        ({"effective": "2026-01-01"}, "Bob"),
        ({"recorded": "2026-11-23"}, "Bob"),
        ({"recorded": "2026-11-30"}, "Eve"),
    ],
)
def test_a_day_in_law_as_known_on_another(title: Title, asked: dict[str, str], owner: str) -> None:
    assert title.owner(**asked) == owner
    version = ["Ada", "Bob", "Eve"].index(owner) + 1
    assert f": version {version}." in title.page(**asked)


def test_a_day_without_law_names_the_versions_next_to_it(title: Title) -> None:
    title.client.ledger.append("TN2", {}, effective_at="2020", effective_until="2021")
    said = problem(title.client.get("/titles/TN2?effective=2025-01-01"), 404, "not-in-law")
    assert "version 1 held until 2021" in said["detail"]
    said = problem(title.get(effective="1990-01-01"), 404, "not-in-law")
    assert "version 3 holds from 1995-06-01" in said["detail"]


@pytest.mark.parametrize("name", ["effective", "recorded"])
def test_a_partial_date_asks_for_a_whole_one(title: Title, name: str) -> None:
    for partial in ("2026", "2026-03"):
        said = problem(title.get(**{name: partial}), 422, "invalid")
        assert "not a whole date" in said["detail"]


@pytest.mark.parametrize(
    ("asked", "is_future"),
    [
        ({}, False),
        ({"effective": "2026-11-30"}, False),
        ({"effective": "2026-12-01"}, True),
        ({"recorded": "2026-12-01"}, True),
        ({"effective": "2026-11-30T10:00:01Z"}, True),
        ({"effective": "2026-11-30T10:00:00Z"}, False),
    ],
)
def test_an_answer_about_the_future_says_so(
    title: Title, asked: dict[str, str], is_future: bool
) -> None:
    assert title.get(**asked).headers.get("ledger-future") == ("yes" if is_future else None)
    assert ("This is about the future" in title.page(**asked)) == is_future


def test_the_page_says_first_which_version_is_in_force(title: Title) -> None:
    page = title.page()
    assert (
        "Version 2 is in force today, 30 November 2026. The newest, version 3, holds from" in page
    )
    assert page.index("is in force today") < page.index("Version 3 of 3")
    assert page.count("in force today") == 2  # the first line, and the mark in the history
    assert "Version 3 of 3 newest recorded" in page
    old = title.page(version="2")
    assert "Version 2 of 3 not the newest in force today" in old
    assert "This is not the newest version, but the one in force today." in old


def test_the_page_says_what_comes_and_what_was_corrected(title: Title) -> None:
    title.append("Zoe", "2030-05", "2031")
    ledger = title.client.ledger
    times = {"effective_at": "1990", "effective_until": "1995-06-01"}
    ledger.append(TITLE, {"owner": "Eva"}, kind="rectification", **times)
    ledger.append(TITLE, {"owner": "Eve"}, kind="rectification", **times)
    for asked in ({}, {"version": "1"}, {"effective": "1992-01-01"}):
        page = title.page(**asked).replace(" (shown here)", "")
        assert "Today, 30 November 2026version 2, from 1 January 2026 Takes effect later" in page
        assert "from May 2030: version 4 from 2031: version 2 Corrected" in page
        assert "from 1990 until 1 June 1995: version 6 corrects version 5 (what was wrong)," in page
        assert "from 1990 until 1 June 1995: version 5 says what was missing, recorded 30" in page


def test_the_page_tells_of_ten_changes_at_most() -> None:
    title = Title()
    for year in range(2030, 2041):
        title.append(f"from {year}", str(year))
    page = title.page()
    assert "from 2039: version 10 and more after that" in page
    assert "from 2040:" not in page


def test_of_a_history_that_does_not_hold_only_what_is_above_the_break_is_told(title: Title) -> None:
    store = title.client.ledger.store
    key = entry_key(TITLE, title.client.ledger.entry(TITLE, "v1").address)
    store.delete(key)
    page = title.page()
    assert "Today, 30 November 2026version 2, from 1 January 2026 Document" in page
    assert page.index("NOT as it was signed") < page.index("What is in force")
    assert "Version 3 of 3 newest recorded" in page
    assert "Takes effect later" not in page


@pytest.mark.parametrize(
    ("zone", "owner"), [("Pacific/Auckland", "Bob"), ("UTC", "Ada"), ("America/New_York", "Ada")]
)
def test_today_is_told_in_the_services_zone(zone: str, owner: str) -> None:
    title = Title()
    title.clock.now = datetime(2026, 12, 31, 12, tzinfo=UTC).astimezone(ZoneInfo(zone))
    title.append("Ada", "2020", "2027")
    title.append("Bob", "2027")
    assert title.owner(effective="today") == owner
    linked = title.get().links.get("alternate")
    assert (linked is None) == (owner == "Bob")


def test_a_zone_that_there_is_not(folder: str) -> None:
    done = shell("serve", "--store", folder, "--port", "0", "--zone", "Mars/Phobos")
    assert done.returncode == 65
    assert "the command line: zone is not a time zone: 'Mars/Phobos'" in done.stderr


def test_a_closed_title_says_so(title: Title) -> None:
    assert "This title is closed." not in title.page()
    title.client.ledger.append(TITLE, {"owner": "Eve"}, status="closed")
    assert "This title is closed." in title.page()
    assert title.client.get(f"{PATH}/entries").json()["entries"][0]["status"] == "closed"
