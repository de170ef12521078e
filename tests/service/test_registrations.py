"""Several titles at once over HTTP: all parts, or none, or what is missing is named."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Draft
from ledger.errors import StoreUnavailable
from ledger.format.layout import SEALED, head_key, pending_prefix, sealed_key
from ledger.registrations.registration import registration_json
from ledger.service import parse_tokens
from ledger.stores import MemoryStore
from ledger.testing import memory_ledger
from ledger.tlog.objects import SealedRecord
from tests.sealing.sealers import Sealer, ledger_in
from tests.service.client import HTML, Client, problem
from tests.service.test_pages import check
from tests.tampering import objects_of, without
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

R = "APP 7/26 <é>"
PATH = "/registrations/APP%207%2F26%20%3C%C3%A9%3E"
PARTS: list[dict[str, Any]] = [
    {"title_number": "P1", "document": {"area": 0}, "status": "closed", "message": "split"},
    {"title_number": "P3", "document": {"area": 40, "title_number": "P3"}, "parent": None},
    {"title_number": "P2", "document": {"area": 60}},
]
BODY = {"reference": R, "parts": PARTS}


@pytest.fixture
def client() -> Client:
    client = Client()
    client.ledger.append("P1", {"area": 100})
    return client


def shown(page: str) -> str:
    """A page that is well made."""
    check(page)
    return page


def with_part(**members: Any) -> dict[str, Any]:
    return {"reference": R, "parts": [PARTS[0] | members, *PARTS[1:]]}


def test_a_split_is_registered_read_and_repeated(client: Client) -> None:
    problem(client.get(PATH), 404, "not-found")
    answer = client.post("/registrations", BODY)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"http://localhost:5000{PATH}"
    found = answer.json()
    assert (found["reference"], found["complete"], found["missing"]) == (R, True, [])
    assert [entry["part"] for entry in found["entries"]] == [[1, 3], [2, 3], [3, 3]]
    assert found["titles"]["P1"] == {"came_from": [], "went_into": ["P2", "P3"]}
    assert client.ledger.head("P1").message == "split"
    read = client.get(PATH)
    assert read.json() == found
    assert client.get(PATH, headers={"If-None-Match": read.headers["ETag"]}).status_code == 304
    again = client.post("/registrations", BODY, headers={"Idempotency-Key": R.encode()})
    assert (again.status_code, again.json()) == (200, found)


def test_titles_are_listed_by_status(client: Client) -> None:
    client.post("/registrations", BODY)
    assert client.get("/titles?status=closed").json()["titles"] == [
        "http://localhost:5000/titles/P1"
    ]
    page = client.get("/titles?status=closed&limit=2&q=P&after=P1")
    assert page.json()["titles"] == []
    assert "Link" not in page.headers
    first = client.get("/titles?status=open&limit=1")
    assert first.json()["titles"] == []
    assert "status=open" in first.headers["Link"]
    problem(client.get("/titles?status=half"), 422, "invalid")


def test_a_part_that_does_not_fit_refuses_all(client: Client) -> None:
    stale = client.ledger.head("P1").address
    client.ledger.append("P1", {"area": 90})
    refused = problem(client.post("/registrations", with_part(parent=stale)), 412, "head-moved")
    assert refused["actual"] == client.ledger.head("P1").address
    client.ledger.append("P1", {"area": 90}, status="closed")
    problem(client.post("/registrations", BODY), 409, "title-closed")
    assert list(client.ledger.titles()) == ["P1"]


def test_what_stands_and_what_is_missing_is_said_and_finished() -> None:
    class Full(Wrapper):
        full = True

        def called(self, operation: str, key: str) -> None:
            if self.full and operation == "create" and key == head_key("P3"):
                raise StoreUnavailable("no space left")

    client = Client(memory_ledger(store := Full(MemoryStore())))
    client.ledger.append("P1", {"area": 100})
    failed = problem(client.post("/registrations", BODY), 409, "registration-incomplete")
    assert failed["missing"] == [3]
    assert failed["standing"] == {
        "1": client.ledger.head("P1").address,
        "2": client.ledger.head("P2").address,
    }
    assert client.get(PATH).json()["missing"] == [[3, 3]]
    page = shown(client.get(PATH, headers=HTML).text)
    assert "This registration is incomplete" in page
    assert "which is incomplete" in client.get("/titles/P1", headers=HTML).text
    store.full = False
    assert client.post("/registrations", BODY).status_code == 201
    assert client.get(PATH).json()["complete"]


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_part_that_the_log_has_is_not_given_up(tmp_path: Path, is_gone: bool) -> None:
    store = MemoryStore()
    ledger = ledger_in(store)
    before = ledger.append("P3", {"area": 1})
    parts = [{"title_number": name, "document": {"area": 2}} for name in ("P2", "P3")]
    body = {"reference": R, "parts": parts}
    assert Client(ledger).post("/registrations", body).status_code == 201
    Sealer(tmp_path).seal(store, genesis=True)
    key = head_key("P3")
    if is_gone:
        client = Client(ledger_in(without(store, key)))
    else:
        store.replace(key, before.data, store.get(key).version)  # type: ignore[union-attr]
        client = Client(ledger_in(store))
    assert client.get(PATH).json()["missing"] == [[2, 2]]
    status, slug = (409, "head-missing") if is_gone else (500, "integrity")
    problem(client.post(f"{PATH}/give-up", {}), status, slug)
    assert client.ledger.head("P2").version == 1


def test_what_nobody_registers_is_given_up_as_in_the_shell() -> None:
    class Full(Wrapper):
        def called(self, operation: str, key: str) -> None:
            if operation == "create" and key == head_key("P3"):
                raise StoreUnavailable("no space left")

    tokens = parse_tokens("clerk write 0123456789abcdef\nreader read fedcba9876543210")
    clerk, reader = (
        {"Authorization": f"Bearer {token}"} for token in ("0123456789abcdef", "fedcba9876543210")
    )
    client = Client(memory_ledger(Full(MemoryStore())), tokens=tokens)
    client.ledger.append("P1", {"area": 100})
    path, why = f"{PATH}/give-up", {"message": "withdrawn"}
    problem(client.post(path, why, headers=clerk), 404, "not-found")
    problem(client.post("/registrations", BODY, headers=clerk), 409, "registration-incomplete")
    problem(client.post(path, why, headers=reader), 403, "read-only-token")
    problem(client.post(path, {"reason": "x"}, headers=clerk), 422, "invalid")
    problem(client.post(path, {"message": 1}, headers=clerk), 422, "invalid")
    problem(client.request("POST", path, headers=clerk), 415, "unsupported-media-type")
    assert not client.ledger.registration(R).is_complete

    answer = client.post(path, why, headers=clerk)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"http://localhost:5000{PATH}"
    found = client.get(PATH, headers=clerk).json()
    shown = registration_json(client.ledger.registration(R))
    assert answer.json() == found == json.loads(json.dumps(shown))
    assert found["complete"]
    standing, given_up = client.ledger.log("P2", limit=2)
    assert (given_up.part, standing.part) == ((2, 3), (3, 3))
    assert (standing.kind, standing.author, standing.message) == (
        "rectification",
        "clerk",
        "withdrawn",
    )
    assert standing.document == given_up.document
    again = client.post(path, {}, headers=clerk)
    assert (again.status_code, again.json()) == (200, found)
    assert client.ledger.head("P2") == standing


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "a registration is an object"),
        ({"parts": PARTS}, "a registration is an object"),
        (BODY | {"author": "me"}, "a registration is an object"),
        ({"reference": 7, "parts": PARTS}, "reference is a string"),
        ({"reference": R, "parts": {}}, "parts is a list"),
        ({"reference": R, "parts": PARTS[:1]}, "2 to 1,000 parts, not 1"),
        ({"reference": "", "parts": PARTS}, "needs a reference"),
        ({"reference": "a\tb", "parts": PARTS}, "has the character U+0009"),
        (with_part(author="me"), "part 1: not an object with the members"),
        (with_part(reference="x"), "part 1: not an object with the members"),
        (with_part(title_number=["P1"]), "part 1: its title_number is not a title number"),
        (with_part(document=[]), "part 1: a document is a JSON object"),
        (with_part(document={"title_number": "P2"}), "part 1: "),
        (with_part(document={"sha256": "0" * 64}), "part 1: sha256 is not that"),
        (with_part(parent="81be"), "part 1: not an address"),
        (with_part(status="shut"), "part 1: "),
        (with_part(kind=None), "part 1: "),
        (with_part(effective_at=2020), "part 1: "),
        (with_part(message=None), "part 1: "),
        ({"reference": R, "parts": [*PARTS, PARTS[1] | {"parent": "0" * 64}]}, "part 4: another"),
    ],
)
def test_a_body_that_is_no_registration_is_refused(client: Client, body: Any, why: str) -> None:
    answer = client.post("/registrations", body)
    assert answer.status_code in {400, 422}, answer.text
    assert why in answer.json()["detail"]
    assert list(client.ledger.titles()) == ["P1"]


def test_a_key_that_is_not_the_reference_is_refused(client: Client) -> None:
    answer = client.post("/registrations", BODY, headers={"Idempotency-Key": "other"})
    problem(answer, 400, "bad-request")
    assert list(client.ledger.titles()) == ["P1"]


def test_another_registration_does_not_get_the_reference(client: Client) -> None:
    client.post("/registrations", BODY)
    other = {"reference": R, "parts": PARTS[:2]}
    problem(client.post("/registrations", other), 409, "reference-conflict")


def test_every_part_needs_a_parent_if_the_service_asks_for_conditions(client: Client) -> None:
    strict = Client(client.ledger, require_match=True)
    problem(strict.post("/registrations", BODY), 428, "match-required")
    parents = {"P1": client.ledger.head("P1").address, "P2": None, "P3": None}
    parts = [part | {"parent": parents[part["title_number"]]} for part in PARTS]
    assert strict.post("/registrations", {"reference": R, "parts": parts}).status_code == 201


def test_who_may_only_read_registers_nothing() -> None:
    tokens = parse_tokens("reader read " + "x" * 40 + "\nwriter write " + "y" * 40)
    client = Client(tokens=tokens)
    client.ledger.append("P1", {"area": 100})
    read = {"Authorization": "Bearer " + "x" * 40}
    problem(client.post("/registrations", BODY), 401, "unauthorized")
    problem(client.post("/registrations", BODY, headers=read), 403, "read-only-token")
    write = {"Authorization": "Bearer " + "y" * 40}
    assert client.post("/registrations", BODY, headers=write).status_code == 201
    problem(client.get(PATH), 401, "unauthorized")
    assert client.get(PATH, headers=read).json()["complete"]
    assert client.ledger.head("P2").author == "writer"


def test_pages_say_what_a_title_came_from_and_went_into(client: Client) -> None:
    client.post("/registrations", BODY)
    client.ledger.append("P9", {}, reference=R)
    page = shown(client.get(PATH, headers=HTML).text)
    assert "Complete: 3 parts" in page
    assert "by itself" in page
    old = shown(client.get("/titles/P1", headers=HTML).text)
    assert "Went into" in old
    client.ledger.append("P2", {"area": 61})
    new = shown(client.get("/titles/P2", headers=HTML).text)
    assert "Came from" in new
    assert f'href="{PATH}"' in new


def test_a_page_names_two_entries_of_one_part(client: Client) -> None:
    client.post("/registrations", BODY)
    client.ledger.submit(Draft("P9", {}, reference=R, part=(2, 3)))
    assert "More than one entry is part 2 of 3" in client.get(PATH, headers=HTML).text
    assert client.get(PATH).json()["conflicts"] == [[2, 3]]


def test_what_the_log_lacks_is_named_until_it_is_sealed(tmp_path: Path) -> None:
    ledger = ledger_in(store := MemoryStore())
    client, sealer = Client(ledger), Sealer(tmp_path)
    ledger.append("P1", {"area": 100})
    sealer.seal(store, genesis=True)
    client.post("/registrations", BODY)
    assert client.get(PATH).json()["unlogged"] == [[1, 3], [2, 3], [3, 3]]
    assert "P3 version 1. What was registered" in client.get(PATH, headers=HTML).text
    marker = next(store.list(pending_prefix("P3")))
    store.delete(marker)  # somebody keeps it out of the log
    sealer.seal(store)
    assert client.get(PATH).json()["unlogged"] == [[3, 3]]
    assert client.get(PATH).json()["complete"]
    # Without records, the leaves are searched. A record that points elsewhere shows nothing.
    left = {key: data for key, data in objects_of(store).items() if not key.startswith(SEALED)}
    head = ledger.head("P3")
    left[sealed_key("P3")] = SealedRecord(head.version, head.address, (0,)).encode()
    store.__init__()  # type: ignore[misc]
    store.create_many(left.items())
    assert client.get(PATH).json()["unlogged"] == [[3, 3]]


def test_without_a_log_nothing_is_said_of_one(client: Client) -> None:
    client.post("/registrations", BODY)
    assert "unlogged" not in client.get(PATH).json()


def test_a_header_says_what_the_title_is(client: Client) -> None:
    client.post("/registrations", BODY)
    for path, status in (
        ("/titles/P1", "closed"),
        ("/titles/P1?effective=today", "closed"),
        ("/titles/P1?version=1", "open"),
        ("/titles/P2", "open"),
    ):
        assert client.get(path).headers["Ledger-Status"] == status


def test_a_page_says_what_a_title_that_goes_on_took_in_and_gave_away(client: Client) -> None:
    def register(reference: str, *parts: dict[str, Any]) -> None:
        body = {"reference": reference, "parts": parts}
        assert client.post("/registrations", body).status_code == 201

    closed = {"title_number": "P3", "document": {"area": 0}, "status": "closed"}
    client.post("/registrations", BODY)
    register("merger", {"title_number": "P2", "document": {"area": 100}}, closed)
    register("transfer", *({"title_number": t, "document": {"area": 50}} for t in ("P2", "P4")))
    client.ledger.append("P2", {"area": 50, "charge": "Bank"})
    page = " ".join(re.sub(r"<[^>]*>", "", client.get("/titles/P2", headers=HTML).text).split())
    for said in ("Came from P1, by", "Came from P3, by", "Went into P4, by"):
        assert said in page


def test_a_page_says_that_a_registration_is_incomplete_or_can_not_be_read(client: Client) -> None:
    client.ledger.submit(Draft("P1", {"area": 99}, reference=R, part=(1, 2)))
    page = shown(client.get("/titles/P1", headers=HTML).text)
    assert "Part of the registration" in page
    assert "which is incomplete" in page
    client.ledger.submit(Draft("P2", {"area": 1}, reference=R, part=(2, 2)))
    key = head_key("P2")
    head = client.ledger.store.get(key)
    assert head
    client.ledger.store.replace(key, b"{}", head.version)
    page = shown(client.get("/titles/P1", headers=HTML).text)
    assert "What else the registration" in page
    assert "could not be read" in page
