"""The feed of changes over HTTP: as JSON, to be polled, and as Atom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from ledger import Draft, Ledger, Log
from ledger.format.layout import entry_key
from ledger.service import parse_tokens
from ledger.service.openapi.schemas import COMPONENTS
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, keyring_for
from tests.sealing.sealers import LOG_KEY, REGISTRAR, ledger_in
from tests.service.client import Client, problem
from tests.trust.siege import Siege
from tests.verification.register import store_of

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

BASE = "http://localhost:5000"
ATOM = "{http://www.w3.org/2005/Atom}"
FH = "{http://purl.org/syndication/history/1.0}"
CHANGES = {"$ref": "#/components/schemas/Changes", "components": COMPONENTS}


class World:
    """A service, and the log of its ledger."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ledger = ledger_in(MemoryStore())
        self.log = Log(self.ledger)
        self.memory = folder / "memory.json"
        self.client = Client(self.ledger, **settings)
        self.log.seal(LOG_KEY, self.memory, genesis=True)

    def add(self, count: int, **members: Any) -> None:
        """Append so many titles, and seal."""
        size = self.log.checkpoint().checkpoint.size
        drafts = (Draft(f"T{size + n:04}", {"n": n}, **members) for n in range(count))
        assert all(outcome.appended for outcome in self.ledger.append_many(drafts))
        self.log.seal(LOG_KEY, self.memory)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def valid(answer: httpx.Response) -> Any:
    """The object in an answer, which has to be as the contract describes it."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    Draft202012Validator(CHANGES).validate(found)
    return found


def follow(client: Client, path: str) -> tuple[list[Any], str]:
    """All changes from a page on, by the ``Link`` of each, and where to go on later."""
    found: list[Any] = []
    while True:
        answer = client.get(path)
        page = valid(answer)
        found += page["changes"]
        link = answer.headers.get("link")
        if link is None:
            return found, page["next"]
        assert link == f'<{page["next"]}>; rel="next"'
        path = page["next"]


# --- JSON -----------------------------------------------------------------------------------------


def test_pages_have_every_leaf_once_while_the_log_grows(world: World) -> None:
    world.add(7, reference="A 1", effective_at="2026-01-31")
    first, later = follow(world.client, "/changes?limit=3")
    assert [each["leaf"] for each in first] == list(range(7))
    assert follow(world.client, later) == ([], later)
    world.add(3)
    more, _ = follow(world.client, later)
    assert [each["leaf"] for each in more] == [7, 8, 9]
    assert follow(world.client, "/changes")[0] == first + more
    change = first[4]
    leaf = next(world.log.changes(after=3))
    assert leaf.entry is not None
    assert change == {
        "leaf": 4,
        "type": "entry",
        "title_number": leaf.entry.title_number,
        "version": 1,
        "address": leaf.entry.address,
        "recorded_at": leaf.entry.recorded_at,
        "effective_at": "2026-01-31",
        "effective_until": None,
        "kind": "registration",
        "reference": "A 1",
        "part": [1, 1],
        "status": "open",
        "confirms": [],
        "erases": [],
        "voids": [],
        "key": REGISTRAR.public_key.key_id,
        "erased": None,
        "links": change["links"],
    }
    links = change["links"]
    assert world.get(links["entry"]).content == leaf.entry.data
    assert world.get(links["title"]).json()["n"] == leaf.entry.document["n"]
    receipt = world.get(links["receipt"])
    assert receipt.headers["ledger-address"] == leaf.entry.address
    assert "\nindex 4\n" in receipt.text


def test_whoever_polls_gets_304_until_there_is_more(world: World) -> None:
    world.add(2)
    url = "/changes?after=1"
    answer = world.get(url)
    assert valid(answer) == {"changes": [], "next": f"{BASE}/changes?after=1&limit=100"}
    assert answer.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": answer.headers["etag"]}
    assert world.get(url, headers=known).status_code == 304
    full = world.get("/changes?limit=2")
    world.add(1)
    assert [each["leaf"] for each in valid(world.get(url, headers=known))["changes"]] == [2]
    # A page that is full stays as it is.
    assert world.get("/changes?limit=2").json() == full.json()
    assert world.get("/changes?limit=2").headers["etag"] == full.headers["etag"]


@pytest.mark.parametrize(
    "query",
    [f"after={each}" for each in ("2", "-1", "01", "x", "1e0", 10**16, "")]
    + [f"limit={each}" for each in (0, 257, "")]
    + ["since=1"],
)
def test_what_makes_no_sense_is_refused(world: World, query: str) -> None:
    world.add(2)
    found = problem(world.get(f"/changes?{query}"), 422, "invalid")
    if query == "after=2":
        assert found["detail"] == "the log has no leaf 2: it has 2 leaves, from 0 on"


def test_a_ledger_without_a_log_says_so() -> None:
    client = Client(ledger_in(MemoryStore()))
    for path in ("/changes", "/changes?after=7", "/changes.atom", "/changes.atom?archive=0"):
        assert "no transparency log" in problem(client.get(path), 404, "not-sealed")["detail"]


def test_a_service_without_the_log_s_key_says_so(world: World) -> None:
    stranger = Ledger.open(world.ledger.store, keyring=keyring_for(REGISTRAR))
    problem(Client(stranger).get("/changes"), 500, "origin-not-pinned")


def without(ledger: Ledger, *keys: str) -> Ledger:
    store = ledger.store
    kept = (key for key in store.list() if key not in keys)
    return ledger_in(store_of({key: blob.data for key in kept if (blob := store.get(key))}))


def test_a_page_ends_before_the_first_leaf_that_does_not_hold(world: World) -> None:
    world.add(5)
    entry = list(world.log.changes())[3].entry
    assert entry is not None
    damaged = Client(without(world.ledger, entry_key(entry.title_number, entry.address)))
    answer = damaged.get("/changes")
    assert [each["leaf"] for each in valid(answer)["changes"]] == [0, 1, 2]
    found = problem(damaged.get(valid(answer)["next"]), 500, "integrity")
    assert found["reason"] == "entry-missing"
    assert "leaf 3 of the log" in found["detail"]
    assert [each["leaf"] for each in valid(damaged.get("/changes?after=3"))["changes"]] == [4]
    problem(damaged.get("/changes.atom"), 500, "integrity")


def test_trust_files_and_what_does_not_stand_are_in_it(tmp_path: Path) -> None:
    siege = Siege(tmp_path, registrars="alice bob")
    siege.append("TN1")
    siege.seal()
    good = siege.checkpoint().size
    siege.forge("TN1", "alice")
    siege.seal()
    siege.revoke("alice", good)
    siege.open("bob").settle("TN1", voids=[2])
    siege.seal()
    client = Client(siege.open())
    found = valid(client.get("/changes"))["changes"]
    assert [each["type"] for each in found] == ["entry", "entry", "trust", "entry"]
    assert found[1]["standing"] == {"stands": False, "reason": None, "by": 3}
    assert found[2]["links"] == {"trust": f"{BASE}/trust/2"}
    assert client.get(found[2]["links"]["trust"]).status_code == 200
    assert found[3]["voids"] == [2]
    entries = ET.fromstring(client.get("/changes.atom").content).findall(f"{ATOM}entry")
    assert len(entries) == 3
    assert "void, by version 3" in str(entries[1].findtext(f"{ATOM}summary"))


def test_reading_it_needs_what_reading_needs(tmp_path: Path) -> None:
    tokens = parse_tokens(f"clerk read {'t' * 32}")
    closed, public = (World(tmp_path / name, tokens=tokens, **more) for name, more in MODES.items())
    for path in ("/changes", "/changes.atom"):
        problem(closed.get(path), 401, "unauthorized")
        assert public.get(path).status_code == 200


MODES: dict[str, Any] = {"closed": {}, "public": {"public_read": True}}


# --- Atom -----------------------------------------------------------------------------------------


def feed_of(answer: httpx.Response) -> ET.Element:
    """The feed in an answer, with what RFC 4287 asks of each feed and entry."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = ET.fromstring(answer.content)
    assert feed.tag == f"{ATOM}feed"
    for element in (feed, *feed.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(element.findall(ATOM + name)) == 1
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", str(element.findtext(f"{ATOM}id")))
        when = str(element.findtext(f"{ATOM}updated"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", when)
        hrefs = [each.attrib["href"] for each in element.findall(f"{ATOM}link")]
        assert hrefs
        assert all(href.startswith(BASE) for href in hrefs)
    assert feed.findtext(f"{ATOM}author/{ATOM}name") == ORIGIN
    return feed


def link(element: ET.Element, relation: str) -> str | None:
    found = [e.attrib["href"] for e in element.findall(f"{ATOM}link") if e.get("rel") == relation]
    assert len(found) <= 1
    return found[0] if found else None


def titles(feed: ET.Element) -> list[str]:
    found = [str(each.findtext(f"{ATOM}title")) for each in feed.findall(f"{ATOM}entry")]
    return [title.split()[0] for title in found]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 250])
def test_a_reader_of_archives_gets_every_entry(world: World, size: int) -> None:
    if size:
        world.add(size)
    feed = feed_of(world.get("/changes.atom"))
    assert link(feed, "self") == f"{BASE}/changes.atom"
    assert feed.find(f"{FH}archive") is None
    found = set(titles(feed))
    assert len(found) >= min(size, 100)
    names = {str(feed.findtext(f"{ATOM}id"))}
    archives = 0
    while (before := link(feed, "prev-archive")) is not None:
        feed = feed_of(world.get(before))
        archives += 1
        assert feed.find(f"{FH}archive") is not None
        assert link(feed, "self") == before
        assert link(feed, "current") == f"{BASE}/changes.atom"
        assert len(titles(feed)) == 100
        found |= set(titles(feed))
        names.add(str(feed.findtext(f"{ATOM}id")))
    assert archives == size // 100
    assert found == {f"T{number:04}" for number in range(size)}
    assert len(names) == 1
    problem(world.get(f"/changes.atom?archive={size // 100}"), 404, "not-sealed")


def test_an_entry_of_the_feed_says_what_was_registered(world: World) -> None:
    world.add(1, reference="<A&1> \ufffe \U0001f3e0", kind="migration", status="closed")
    answer = world.get("/changes.atom")
    (entry,) = feed_of(answer).findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id") == uuid5(NAMESPACE_URL, f"{ORIGIN}#0").urn
    assert entry.findtext(f"{ATOM}title") == "T0000 version 1"
    assert entry.findtext(f"{ATOM}updated") == "2026-11-23T10:00:00.000000Z"
    said = "leaf 0; migration; reference <A&1> \ufffd \U0001f3e0; closed"
    assert entry.findtext(f"{ATOM}summary") == said
    assert entry.find(f"{ATOM}category").attrib == {"term": "migration"}  # type: ignore[union-attr]
    assert link(entry, "alternate") == f"{BASE}/titles/T0000?version=1"
    assert world.get(str(link(entry, "related"))).status_code == 200
    known = {"If-None-Match": answer.headers["etag"]}
    assert world.get("/changes.atom", headers=known).status_code == 304
    world.add(1)
    newer = feed_of(world.get("/changes.atom", headers=known))
    assert titles(newer) == ["T0001", "T0000"]
    assert newer.findall(f"{ATOM}entry")[1].findtext(f"{ATOM}id") == entry.findtext(f"{ATOM}id")


def test_the_urls_are_those_of_the_service(tmp_path: Path) -> None:
    world = World(tmp_path, public_url="https://titles.example.org/register")
    world.add(1)
    assert "https://titles.example.org/register/titles/T0000" in world.get("/changes").text
    feed = ET.fromstring(world.get("/changes.atom").content)
    assert link(feed, "self") == "https://titles.example.org/register/changes.atom"
