"""Erased texts: how they are ordered, and that no answer has them any more."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from ledger import verify_bundle
from ledger.format.entry import address_of
from ledger.service import parse_tokens
from ledger.stores import MemoryStore
from tests.sealing.sealers import Sealer, ledger_in
from tests.service.client import HTML, TITLE, Client, problem, tag
from tests.service.test_pages import check

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Entry

PATH = f"/titles/{TITLE}"
ORDER = {"versions": [1], "reference": "ORDER-7", "message": "by order of the court"}
SECRETS = ("Mallory", "divorce", "clerk")


def erase(client: Client, **more: Any) -> Any:
    return client.post(f"{PATH}/erasures", ORDER | more)


@pytest.fixture
def client() -> Client:
    """A title with three versions, of which the first holds what is to go."""
    client = Client()
    client.ledger.append(TITLE, {"owner": "Mallory"}, message="divorce", author="clerk")
    for owner in ("Bob", "Carol"):
        client.ledger.append(TITLE, {"owner": owner})
    return client


def first(client: Client) -> Entry:
    return list(client.ledger.log(TITLE))[-1]


def test_a_text_is_erased_by_an_entry_that_orders_it(client: Client) -> None:
    answer = erase(client)
    head = client.ledger.head(TITLE)
    assert answer.status_code == 200
    assert answer.json() == {
        "title_number": TITLE,
        "order": {"address": head.address, "version": 4, "reference": "ORDER-7"},
        "erased": [1],
        "waiting": [],
        "left": [],
    }
    assert (head.erases, head.message) == ((1,), "by order of the court")
    assert head.document == {"owner": "Carol"}
    blob = client.ledger.store.get(f"{TITLE}/{first(client).address}.json")
    assert blob is not None
    assert b"Mallory" not in blob.data
    again = erase(client)
    assert (again.status_code, again.json()) == (200, answer.json())


def test_the_order_names_the_caller() -> None:
    client = Client(tokens=parse_tokens(f"intake write {'w' * 20}"))
    client.ledger.append(TITLE, {})
    client.ledger.append(TITLE, {})
    headers = {"Authorization": f"Bearer {'w' * 20}"}
    answer = client.post(f"{PATH}/erasures", ORDER, headers=headers)
    assert answer.status_code == 200
    assert client.ledger.head(TITLE).author == "intake"


def test_with_a_log_the_texts_wait_until_it_has_the_order(tmp_path: Path) -> None:
    client = Client(ledger_in(MemoryStore()))
    for owner in ("Mallory", "Bob"):
        client.ledger.append(TITLE, {"owner": owner})
    sealer = Sealer(tmp_path)
    sealer.seal(client.ledger.store, genesis=True)
    waiting = erase(client)
    assert waiting.status_code == 202
    assert (waiting.json()["erased"], waiting.json()["waiting"]) == ([], [1])
    problem(client.get(f"{PATH}?version=1"), 410, "erased")
    assert b"Mallory" not in client.get(f"{PATH}/entries/{first(client).address}").content
    sealer.seal(client.ledger.store)
    done = erase(client)
    assert (done.status_code, done.json()["erased"]) == (200, [1])
    assert client.ledger.head(TITLE).version == 3


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "",
        "?version=1",
        "?recorded=2026-11-23",
        "/entries",
        "/entries/FIRST",
        "/diff?from=v1&to=v2",
        "/diff?from=v2&to=v1",
        "/diff?from=FIRST&to=HEAD",
        "/verification",
        "/bundle",
    ],
)
def test_no_answer_has_an_erased_text(client: Client, path: str, html: bool) -> None:
    path = PATH + path.replace("FIRST", first(client).address)
    erase(client)
    answer = client.get(path, headers=HTML if html else {})
    assert answer.status_code == (410 if "version=1" in path else 200)
    for secret in SECRETS:
        assert secret not in answer.text
    if html and answer.headers["content-type"].startswith("text/html"):
        check(answer.text)


def test_a_version_without_its_text_names_the_order(client: Client) -> None:
    erase(client)
    said = problem(client.get(f"{PATH}?version=1"), 410, "erased")
    assert (said["version"], said["reference"]) == (4, "ORDER-7")
    assert "was erased by version 4 (reference ORDER-7)" in said["detail"]


def test_an_erased_version_that_is_asked_for_by_its_day() -> None:
    client = Client()
    client.ledger.append(TITLE, {}, effective_at="1990", effective_until="2000")
    client.ledger.append(TITLE, {}, effective_at="2000")
    erase(client)
    problem(client.get(f"{PATH}?effective=1995-01-01"), 410, "erased")
    assert client.get(f"{PATH}?effective=2005-01-01").status_code == 200


def test_the_bytes_of_an_erased_entry_still_lead_to_its_address(client: Client) -> None:
    entry = first(client)
    whole = client.get(f"{PATH}/entries/{entry.address}")
    assert whole.headers["etag"] == tag(entry.address)
    erase(client)
    known = {"If-None-Match": whole.headers["etag"]}
    answer = client.get(f"{PATH}/entries/{entry.address}", headers=known)
    assert answer.status_code == 200  # not 304: the reader's copy has the text
    assert answer.content == entry.short
    assert address_of(answer.content) == entry.address
    assert answer.headers["etag"] == tag(f"{entry.address}-short")
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get(f"{PATH}/entries/{entry.address}", headers=known).status_code == 304


def test_the_history_and_a_diff_say_erased_and_go_on(client: Client) -> None:
    erase(client)
    order = {"version": 4, "reference": "ORDER-7"}
    history = client.get(f"{PATH}/entries").json()["entries"]
    assert [entry["erased"] for entry in history] == [None, None, None, order]
    assert [entry["changes"] is None for entry in history] == [False, False, True, True]
    assert (history[3]["author"], history[3]["message"]) == (None, None)
    assert history[0]["erases"] == [1]
    last = client.get(f"{PATH}/entries?limit=1&from={history[2]['address']}").json()["entries"]
    assert last == [history[2]]
    diff = client.get(f"{PATH}/diff?from=v1&to=v2").json()
    assert (diff["from"]["erased"], diff["to"]["erased"]) == (order, None)
    assert diff["changes"] is None


def test_the_pages_say_what_was_erased_by_which_order(client: Client) -> None:
    address = first(client).address
    erase(client)
    for path, said in {
        f"/entries/{address}": "This text was erased by version 4 (reference ORDER-7)",
        "/entries": "The text of this version was erased by version 4 (reference ORDER-7)",
        "": "The text of version 1 was erased by version 4 (reference ORDER-7), so the changes",
        "/diff?from=v1&to=v2": "The text of version 1 was erased by version 4 (reference ORDER-7)",
    }.items():
        page = client.get(PATH + path, headers=HTML)
        assert page.status_code == 200
        assert said in " ".join(check(page.text).text.split())


def test_what_is_left_verifies_offline(client: Client) -> None:
    erase(client)
    answer = client.get(f"{PATH}/bundle")
    report = verify_bundle(io.BytesIO(answer.content), keyring=client.ledger.keyring)
    assert (report.outcome, report.entries) == ("verified", 4)
    assert client.get(f"{PATH}/verification").json()["outcome"] == "verified"


def test_a_reference_whose_text_is_erased_cannot_be_repeated(client: Client) -> None:
    made = {"Idempotency-Key": "A-17"}
    client.post("/titles", {"title_number": TITLE, "owner": "Dan"}, headers=made)
    client.ledger.append(TITLE, {"owner": "Eve"})
    erase(client, versions=[4])
    again = client.post("/titles", {"title_number": TITLE, "owner": "Dan"}, headers=made)
    problem(again, 409, "reference-conflict")


@pytest.mark.parametrize(
    "more",
    [
        {"versions": []},
        {"versions": [9]},
        {"versions": [0]},
        {"versions": "1"},
        {"versions": ["1"]},
        {"versions": [True]},
        {"reference": ""},
        {"reference": 7},
        {"message": None},
        {"document": {}},
    ],
)
def test_an_order_that_cannot_be_carried_out(client: Client, more: dict[str, Any]) -> None:
    problem(erase(client, **more), 422, "invalid")
    assert client.ledger.head(TITLE).version == 3


def test_an_order_is_json_and_of_a_title_that_is_there(client: Client) -> None:
    problem(client.send(f"{PATH}/erasures", b"[1]"), 422, "invalid")
    problem(client.send(f"{PATH}/erasures", b"{"), 400, "malformed")
    problem(
        client.send(f"{PATH}/erasures", b"{}", media="text/plain"), 415, "unsupported-media-type"
    )
    problem(client.post("/titles/TN404/erasures", ORDER), 404, "not-found")
