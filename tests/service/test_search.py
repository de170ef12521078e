"""Searching over HTTP: what ``q`` finds with an index, and how the service keeps that."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ledger import IntegrityError
from ledger.errors import StoreUnavailable
from ledger.service import Indexer
from ledger.stores import MemoryStore
from ledger.testing import FixedClock, keyring_for, memory_ledger, signer
from tests.servers import wait_until
from tests.service.client import HTML, Client, problem
from tests.service.test_pages import check
from tests.wrappers import FailingStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """Ada, then Bob from 2020 on, and some neighbours."""
    ledger = memory_ledger(clock=FixedClock())
    ledger.append("TN1", {"owner": "Ada Lovelace", "address": "1 High Street"}, effective_at="2010")
    ledger.append("TN1", {"owner": "Bob", "address": "1 High Street"}, effective_at="2020")
    for number in range(2, 6):
        document = {"owner": "Eve", "address": f"{number} High Street"}
        ledger.append(f"TN{number}", document, effective_at="2015", reference="APP-7")
    return ledger


@pytest.fixture
def indexer(ledger: Ledger, tmp_path: Path) -> Iterator[Indexer]:
    indexer = Indexer(ledger, tmp_path / "index.sqlite", every=0.05)
    yield indexer
    indexer.stop()


@pytest.fixture
def client(ledger: Ledger, indexer: Indexer) -> Client:
    indexer.index.update(jobs=1)
    return Client(ledger, indexer=indexer)


def titles(client: Client, **asked: Any) -> list[str]:
    answer = client.get("/titles", params=asked)
    assert answer.status_code == 200, answer.text
    return [url.rpartition("/")[2] for url in answer.json()["titles"]]


def test_words_names_addresses_references_and_numbers(client: Client) -> None:
    assert titles(client, q="bob") == ["TN1"]
    assert titles(client, q=" HIGH street 3 ") == ["TN3"]
    assert titles(client, q="APP-7 eve") == ["TN2", "TN3", "TN4", "TN5"]
    assert titles(client, q="tn4") == ["TN4"]
    assert titles(client, q="ada") == []
    assert titles(client, q="ada", effective="2015-01-01") == ["TN1"]
    assert titles(client, q="ada", effective="2015-01-01", recorded="2026-01-01") == []
    assert len(titles(client)) == len(titles(client, q=" ")) == 5


def test_the_answer_says_what_was_searched(client: Client) -> None:
    assert client.get("/titles?q=bob").json() == {
        "titles": ["http://localhost:5000/titles/TN1"],
        "index": {
            "leaf": None,
            "updated_at": "2026-11-23T10:00:00.000000Z",
            "waiting": 0,
            "left_out": 0,
        },
    }
    assert "index" not in client.get("/titles").json()
    assert client.get("/healthz").json() == {"status": "ok", "indexing": "ok"}


def test_the_next_page_asks_the_same(client: Client) -> None:
    url, found = "/titles?q=eve&effective=2016-01-01&limit=3", []
    while url:
        answer = client.get(url)
        found.append([title.rpartition("/")[2] for title in answer.json()["titles"]])
        url = answer.links["next"]["url"] if "link" in answer.headers else ""
    assert found == [["TN2", "TN3", "TN4"], ["TN5"]]


@pytest.mark.parametrize(
    "query", ["q=%22", "q=*", "q=x&effective=2020", "q=x&effective=soon", "effective=2020-01-01"]
)
def test_what_cannot_be_searched(client: Client, query: str) -> None:
    problem(client.get(f"/titles?{query}"), 422, "invalid")


def test_the_page_searches_the_same(client: Client) -> None:
    page = client.get("/titles", params={"q": "high street"}, headers=HTML)
    text = " ".join(check(page.text).text.split())
    assert "A name, an address, a reference, or how a title number begins" in text
    for number in range(1, 6):  # each with what it was found by
        assert re.search(rf"TN{number} [^T]*high street", text, re.IGNORECASE)
    assert "This search cannot prove that no title is missing" in text
    for nothing in ("nobody", '"', "<b>"):
        page = client.get("/titles", params={"q": nothing}, headers=HTML)
        assert page.status_code == 200
        assert "No title has all of these words" in check(page.text).text
    days = {"q": "bob", "effective": "2020"}
    assert client.get("/titles", params=days, headers=HTML).status_code == 422


def test_what_is_written_is_found_soon(ledger: Ledger, indexer: Indexer, client: Client) -> None:
    indexer.start()
    assert client.post("/titles/TN9", {"owner": "Zoe"}).status_code == 201
    wait_until(lambda: titles(client, q="zoe") == ["TN9"])
    ledger.append("TN8", {"owner": "Zoe"})  # another writer, of whom it hears nothing
    wait_until(lambda: titles(client, q="zoe") == ["TN8", "TN9"])
    client.post("/titles/TN9", {"owner": "Max"})
    order = {"versions": [1], "reference": "ORDER 1", "message": "by order"}
    assert client.post("/titles/TN9/erasures", order).status_code == 200
    wait_until(lambda: titles(client, q="zoe", recorded="2030-01-01") == ["TN8"])
    indexer.stop()
    data = indexer.index.path.read_bytes()
    assert data.count(b"Zoe") == 1  # the document of TN8
    assert (data.count(b"tn8\nzoe"), data.count(b"tn9\nzoe")) == (1, 0)  # its words
    assert [each.name for each in indexer.index.path.parent.glob("index.sqlite*")] == [
        "index.sqlite"
    ]


def test_searching_goes_on_while_it_is_updated(ledger: Ledger, indexer: Indexer) -> None:
    client = Client(ledger, indexer=indexer)
    indexer.index.update(jobs=1)
    held, go_on = threading.Event(), threading.Event()

    def each(_: object) -> None:
        held.set()
        assert go_on.wait(20)

    ledger.append("TN6", {"owner": "Bob"})
    thread = threading.Thread(target=lambda: indexer.index.update(each=each, jobs=1))
    thread.start()
    assert held.wait(20)
    assert titles(client, q="bob") == ["TN1"]
    assert client.get("/titles?q=bob").json()["index"]["waiting"] == 6
    go_on.set()
    thread.join(20)
    assert titles(client, q="bob") == ["TN1", "TN6"]


def test_before_there_is_an_index_it_is_not_ready(ledger: Ledger, indexer: Indexer) -> None:
    client = Client(ledger, indexer=indexer)
    problem(client.get("/titles?q=bob"), 503, "not-ready")
    indexer.index.update(jobs=1)
    ledger.history.use_keyring(keyring_for(signer("bob")))
    problem(client.get("/titles?q=bob"), 503, "not-ready")


def test_trouble_is_logged_once_and_ends_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FailingStore(MemoryStore(), None, operations=("list",), error=StoreUnavailable)
    ledger = memory_ledger(store)
    ledger.append("TN1", {"owner": "Ada"})
    entry = ledger.append("TN2", {"owner": "Ada"})
    indexer = Indexer(ledger, tmp_path / "index.sqlite", every=0.01)
    client = Client(ledger, indexer=indexer)
    store.failing = store.count
    head = store.get("TN2/head.json")
    assert head is not None
    store.replace(
        "TN2/head.json", head.data.replace(b'"part":[1,1]', b'"part":[1,2]'), head.version
    )
    indexer.start()
    wait_until(lambda: "indexed again" in caplog.text)
    wait_until(lambda: titles(client, q="ada") == ["TN1"])
    wait_until(lambda: client.get("/titles?q=ada").json()["index"]["left_out"] == 1)
    indexer.stop()
    assert caplog.text.count("not indexed: store-unavailable") == 1
    assert caplog.text.count("left out of the index: bad-signature") == 1
    assert client.get("/healthz").json()["indexing"] == "ok"
    with pytest.raises(IntegrityError):
        ledger.head(entry.title_number)


def test_a_stop_does_not_wait_for_all_titles(
    ledger: Ledger, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, begun = ledger.store.get, threading.Event()

    def slow(key: str) -> Any:
        if key.startswith("TN2/"):
            begun.set()
            wait_until(lambda: indexer._stopping)
        return get(key)

    monkeypatch.setattr(ledger.store, "get", slow)
    monkeypatch.setattr("ledger.verification.many.TITLES", 1)
    indexer.start()
    assert begun.wait(20)
    indexer.stop()
    assert indexer.index.coverage()[2:4] == (None, 5)
    assert indexer.index.update()
    assert Client(ledger, indexer=indexer).get("/titles?q=bob").json()["index"]["waiting"] == 0
