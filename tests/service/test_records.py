"""The history of a field, where each came from, copies to print, the log's page, small files."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Log
from ledger.format.layout import LOG_CHECKPOINT, head_key
from ledger.service.context import Context
from ledger.service.http.problems import problem_kinds
from ledger.service.workers import State
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock
from tests.sealing.sealers import LOG_KEY, ledger_in
from tests.service.client import HTML, TITLE, Client, problem

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Ledger

DOCUMENTS: list[dict[str, Any]] = [
    {"owner": "Ada", "price": 1, "at": {"lane": "Mill", "no": 1}},
    {"owner": "Bob", "price": 1, "at": {"lane": "Mill", "no": 1}},
    {"owner": "Bob", "price": 2, "at": {"lane": "Mill", "no": 2}},
    {"owner": "Bob", "price": 2, "at": "Mill Lane"},
]


@pytest.fixture
def ledger() -> Ledger:
    ledger = ledger_in(MemoryStore(), FixedClock())
    for number, document in enumerate(DOCUMENTS, 1):
        ledger.append(TITLE, document, message=f"change {number}", reference=f"A-{number}")
    return ledger


@pytest.fixture
def client(ledger: Ledger) -> Client:
    return Client(ledger)


def page(client: Client, path: str, status: int = 200, **headers: str) -> str:
    """The text of a page, its tags taken out."""
    answer = client.get(path, headers=HTML | headers)
    assert answer.status_code == status, answer.text
    return " ".join(unescape(re.sub("<[^>]*>", " ", answer.text)).split())


def test_a_history_is_filtered_by_field(client: Client) -> None:
    def versions(field: str) -> list[int]:
        path = f"/titles/{TITLE}/entries?path={field}"
        return [each["version"] for each in client.get(path).json()["entries"]]

    assert versions("/owner") == [2, 1]
    assert versions("/price") == [3, 1]
    assert versions("/at") == [4, 3, 1]
    assert versions("/at/no") == [4, 3, 1]
    assert versions("/at/nothing") == [4, 1]  # what it would be in came, and went
    assert versions("") == [4, 3, 2, 1]
    assert versions("/nothing") == []
    text = page(client, f"/titles/{TITLE}/entries?path=/price")
    assert "Versions that changed Price" in text
    assert "Version 3" in text
    assert "Version 2" not in text
    assert " No changed" not in text  # which changed as well, but was not asked for
    assert "could not be read" not in text
    assert "None of those" in page(client, f"/titles/{TITLE}/entries?path=/nothing")
    problem(client.get(f"/titles/{TITLE}/entries?path=price"), 422, "invalid")


def test_a_filtered_history_goes_on_where_it_stopped(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.service.routes.titles.SEARCHED", 2)
    url = f"/titles/{TITLE}/entries?path=/owner"
    found = []
    while url:
        answer = client.get(url)
        found.append([each["version"] for each in answer.json()["entries"]])
        url = answer.links["next"]["url"] if "link" in answer.headers else ""
    assert found == [[], [2, 1]]


def test_a_version_whose_changes_nobody_knows_is_not_filtered_out(client: Client) -> None:
    order = {"versions": [3], "reference": "ORDER-1", "message": "by order"}
    assert client.post(f"/titles/{TITLE}/erasures", order).status_code == 200
    found = client.get(f"/titles/{TITLE}/entries?path=/owner").json()["entries"]
    unknown = [each["version"] for each in found if each["changes"] is None]
    assert unknown == [4, 3]
    assert [each["version"] for each in found] == [4, 3, 2, 1]


def test_where_each_field_comes_from(client: Client) -> None:
    problem(client.get(f"/titles/{TITLE}/blame?path=/nothing"), 404, "not-found")
    text = page(client, f"/titles/{TITLE}/blame")
    assert "Owner Bob version 2 , 23 November 2026" in text
    assert "change 2" in text


def test_an_official_copy_has_what_is_needed_to_check_it(ledger: Ledger, client: Client) -> None:
    entry = ledger.entry(TITLE, "v2")
    answer = client.get(f"/titles/{TITLE}/copy?version=2", headers=HTML)
    assert answer.headers["cache-control"] == "no-store"
    text = page(client, f"/titles/{TITLE}/copy?version=2")
    assert "official copy of version 2, issued 23 November 2026" in text
    assert f"http://localhost:5000/titles/{TITLE}/entries/{entry.address}" in text
    assert entry.key in text
    assert "2 of 4 on the day of issue, not in force then : version 4 was" in text
    assert "<form" not in answer.text
    assert "in force then" in page(client, f"/titles/{TITLE}/copy")


def test_there_is_no_official_copy_of_what_does_not_hold(
    ledger: Ledger, client: Client, tmp_path: Path
) -> None:
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    blob = ledger.store.get(head_key(TITLE))
    assert blob
    ledger.store.replace(head_key(TITLE), ledger.entry(TITLE, "v3").data, blob.version)
    for version in ("", "?version=2"):
        text = page(client, f"/titles/{TITLE}/copy{version}", 500)
        assert "there is no official copy" in text
        assert "What can be verified" in text
    problem(client.get(f"/titles/{TITLE}/blame"), 500, "integrity")  # of what is not the newest
    # Nor if whoever set the title back has spoilt the log as well.
    checkpoint = ledger.store.get(LOG_CHECKPOINT)
    assert checkpoint
    ledger.store.replace(LOG_CHECKPOINT, b"spoilt", checkpoint.version)
    assert client.get(f"/titles/{TITLE}/verification").json()["outcome"] == "unchecked"
    assert "there is no official copy" in page(client, f"/titles/{TITLE}/copy", 500)


def test_the_log_s_page_leads_to_titles_and_back(
    ledger: Ledger, client: Client, tmp_path: Path
) -> None:
    assert "This ledger has no log yet" in page(client, "/log")
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    ledger.append("TN2", {"owner": "Eve"})
    text = page(client, "/log")
    assert "Size 4 leaves" in text
    assert "Last sealed after 23 November 2026" in text
    assert "Waiting for the next seal 1 version, the oldest since 23 November 2026" in text
    assert "Witnesses none has cosigned it" in text
    shown = client.get(f"/titles/{TITLE}", headers=HTML).text
    (leaf,) = set(re.findall(r'href="(/changes\?after=2&amp;limit=20)#leaf-3"', shown))
    there = client.get(unescape(leaf), headers=HTML).text
    assert '<tr id="leaf-3">' in there
    assert f'href="/titles/{TITLE}/entries/{ledger.head(TITLE).address}"' in there


def test_the_log_s_page_names_what_another_process_found(
    ledger: Ledger, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    assert "Not as logged" not in page(client, "/log")
    told = [State(), State(worker=2, contradicted=[TITLE])]
    monkeypatch.setattr(Context, "states", lambda _: told)
    assert f"Not as logged when they were last read: {TITLE}" in page(client, "/log")


def test_the_log_s_page_says_what_it_could_not_read(
    ledger: Ledger, client: Client, tmp_path: Path
) -> None:
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    blob = ledger.store.get("_log/checkpoint")
    assert blob
    ledger.store.replace("_log/checkpoint", b"nonsense\n", blob.version)
    text = page(client, "/log")
    assert "The log could not be read" in text
    assert "leaves" not in text


def test_every_kind_of_problem_has_its_meaning_where_its_type_leads(client: Client) -> None:
    docs = client.get("/docs", headers=HTML).text
    ids = re.findall(r'id="([a-z-]+)"', docs)
    kinds = list(problem_kinds())
    assert {"not-found", "head-moved", "unauthorized", "unexpected"} <= {k.slug for k in kinds}
    for kind in kinds:
        assert ids.count(kind.slug) == 1
        assert kind.meaning
    found = problem(client.get("/titles/NONE"), 404, "not-found")
    assert found["type"] == "/docs#not-found"
    assert found["title"] == "No such ledger, title or entry"
    assert 'href="/docs#not-found"' in client.get("/titles/NONE", headers=HTML).text


@pytest.mark.parametrize(
    "path", ["/titles?limit=abc", f"/titles/{TITLE}/verification?expect=zz", "/changes?after=x"]
)
def test_no_refusal_shows_a_pattern(client: Client, path: str) -> None:
    text = page(client, path, 422)
    assert "pattern" not in text
    assert "[0-9" not in text
    assert "Value error" not in text


def test_an_address_is_taken_as_it_is_pasted(ledger: Ledger, client: Client) -> None:
    typed = f" {ledger.head(TITLE).address.upper()}\n"
    found = client.get(f"/titles/{TITLE}/verification", params={"expect": typed}).json()
    assert found["outcome"] == "verified"
    assert found["expect"] == typed.strip().lower()


def test_versions_are_compared_by_their_numbers(client: Client) -> None:
    found = client.get(f"/titles/{TITLE}/diff?from=1&to=2").json()
    assert (found["from"]["version"], found["to"]["version"]) == (1, 2)


@pytest.mark.parametrize(
    ("settings", "host", "expected"),
    [
        ({}, "localhost:8080", "http://localhost:8080"),
        ({}, "register.example", "http://register.example"),
        ({"public_url": "https://x.example/reg"}, "localhost", "https://x.example/reg"),
    ],
)
def test_commands_name_the_host_that_was_asked(
    ledger: Ledger, settings: dict[str, Any], host: str, expected: str
) -> None:
    text = page(Client(ledger, **settings), f"/titles/{TITLE}", Host=host)
    assert f"curl -fsS -o {TITLE}.bundle {expected}/titles/{TITLE}/bundle" in text
    assert f"Permanent link {expected}/titles/{TITLE}/entries/" in text


def test_what_programs_look_for(client: Client) -> None:
    robots = client.get("/robots.txt")
    assert robots.text == "User-agent: *\nDisallow: /\n"
    assert robots.headers["content-type"].startswith("text/plain")
    icon = client.get("/favicon.ico")
    assert icon.status_code == 307
    assert icon.headers["location"] == "http://localhost:5000/static/icon.svg"
    assert ORIGIN in client.get("/log", headers=HTML).text
