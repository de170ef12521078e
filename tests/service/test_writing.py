"""POST: what a document may be, what its headers say, and the conditions it is written under."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ledger.format import canonical
from ledger.format.entry import digest
from ledger.testing import FixedClock, memory_ledger
from tests.service.client import DIGEST, DOCUMENT, TITLE, Client, problem, tag

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = f"/titles/{TITLE}"


def post(client: Client, document: Any = DOCUMENT, **headers: Any) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(PATH, document, headers=named)


def address(answer: Any) -> str:
    assert answer.status_code in {200, 201}, answer.text
    return str(answer.headers["ledger-address"])


# -- Documents -----------------------------------------------------------------------------------


def test_what_was_appended_in_a_shell_can_be_got_and_posted_again(client: Client) -> None:
    client.ledger.append(TITLE, {"address": "1 low street"})
    got = client.get(PATH).json()
    assert got == {**DOCUMENT, "sha256": DIGEST}
    assert client.post("/titles", got).status_code == 201


def test_the_document_is_stored_as_it_was_posted_without_its_digest(client: Client) -> None:
    post(client, {"address": "1 low street", "sha256": DIGEST})
    entry = client.ledger.head(TITLE)
    assert entry.document == {"address": "1 low street"}
    post(client, {**DOCUMENT, "sha256": DIGEST})
    assert client.ledger.head(TITLE).digest == DIGEST


def test_a_digest_may_be_that_of_what_was_sent_without_its_title_number(client: Client) -> None:
    sent = {"address": "1 low street"}
    assert post(client, {**sent, "sha256": digest(sent)}).status_code == 201
    assert client.get(PATH).json()["sha256"] == DIGEST


@pytest.mark.parametrize("claimed", [None, 7, "", DIGEST.upper(), [DIGEST]])
def test_a_digest_that_is_none_is_refused(client: Client, claimed: object) -> None:
    said = problem(post(client, {**DOCUMENT, "sha256": claimed}), 422, "invalid")
    assert DIGEST in said["detail"]


@pytest.mark.parametrize("document", [[], "text", 7, None, True])
def test_a_document_is_an_object(client: Client, document: object) -> None:
    answer = client.send("/titles", json.dumps(document))
    problem(answer, 422, "invalid")


@pytest.mark.parametrize("name", [None, 7, "", "tn1", "../x", "TN1\n", "CON", "TN1/head"])
def test_a_title_number_is_checked_before_the_store_is_touched(name: object) -> None:
    client = Client()
    problem(client.post("/titles", {"title_number": name}), 422, "invalid")
    assert list(client.ledger.store.list()) == ["ledger.json"]


@pytest.mark.parametrize("number", [b"9007199254740992", b"1e30", b"1e400"])
def test_numbers_that_would_not_survive_are_refused(client: Client, number: bytes) -> None:
    problem(client.send(PATH, b'{"price":%b}' % number), 422, "invalid")


def test_a_document_that_is_too_deep_is_refused(client: Client) -> None:
    problem(client.send(PATH, b'{"a":' * 100 + b"1" + b"}" * 100), 422, "invalid")
    problem(client.send(PATH, b"[" * 100_000), 422, "invalid")


def test_text_beyond_ascii_comes_back_as_it_was(client: Client) -> None:
    document = {"title_number": TITLE, "ä": "Straße 𝄞 \u202e", "n": 0.1, "z": None}
    assert client.post("/titles", document).status_code == 201
    got = client.get(PATH).json()
    assert got == {**document, "sha256": digest(document)}


class Calls:
    """Counts how often a document passes through the JSON of the ledger."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded = self.encoded = 0
        for name in ("decode", "load"):
            monkeypatch.setattr(canonical, name, self._decoding(getattr(canonical, name)))
        monkeypatch.setattr(canonical, "encode", self._encoding(canonical.encode))

    def _decoding(self, real: Callable[..., object]) -> Callable[..., object]:
        def decoding(data: bytes, **options: int) -> object:
            self.decoded += b"1 low street" in data
            return real(data, **options)

        return decoding

    def _encoding(self, real: Callable[..., bytes]) -> Callable[..., bytes]:
        def encoding(value: object, **options: int) -> bytes:
            data = real(value, **options)
            self.encoded += b"1 low street" in data
            return data

        return encoding


@pytest.mark.parametrize("path", ["/titles", PATH])
def test_a_document_is_decoded_and_encoded_once(
    client: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    calls = Calls(monkeypatch)
    assert client.post(path, DOCUMENT).status_code == 201
    assert (calls.decoded, calls.encoded) == (1, 1)


def test_a_digest_that_is_sent_takes_one_more_encoding(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    assert client.post(PATH, {**DOCUMENT, "sha256": DIGEST}).status_code == 201
    assert (calls.decoded, calls.encoded) == (1, 2)


@pytest.mark.parametrize(
    "names",
    [["z", "a"], ["\U0001f600", "\ufb33"], ["title_numbe", "title_numbers"], ["sha25", "t"]],
)
def test_an_answer_is_canonical_wherever_the_members_go(client: Client, names: list[str]) -> None:
    document = {**dict.fromkeys(names, 1.0), "q": {"\U0001f600": 1e-6, "\ufb33": []}}
    for answer in (client.post(PATH, document), client.get(PATH)):
        shown = {**document, "title_number": TITLE}
        assert answer.content == canonical.encode({**shown, "sha256": digest(shown)})


# -- Headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Ledger-Message", b"first registration", "first registration"),
        ("Ledger-Message", "Übertragung 𝄞".encode(), "Übertragung 𝄞"),
        ("Ledger-Message*", b"UTF-8''%C3%9Cbertragung%0Aheute", "Übertragung\nheute"),
        ("Ledger-Message*", b"utf-8'de'plain", "plain"),
        ("Ledger-Message", b"UTF-8''T%C5%B7%20Newydd", "Tŷ Newydd"),
        ("Ledger-Message", b"utf-8, he said", "utf-8, he said"),
    ],
)
def test_a_message(client: Client, name: str, value: bytes, message: str) -> None:
    answer = client.post("/titles", DOCUMENT, headers=[(name.encode(), value)])
    assert answer.status_code == 201
    assert client.ledger.head(TITLE).message == message


def test_the_extended_message_is_preferred(client: Client) -> None:
    headers = {"Ledger-Message": "plain", "Ledger-Message*": "UTF-8''extended"}
    client.post("/titles", DOCUMENT, headers=headers)
    assert client.ledger.head(TITLE).message == "extended"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Ledger-Message", b"\xff\xfe"),
        ("Ledger-Message", b"caf\xe9"),
        ("Ledger-Message", b"UTF-8''100% sure"),
        ("Ledger-Message", b"utf-8'T\xc5\xb7"),
        ("Ledger-Message*", b"plain"),
        ("Ledger-Message*", b"ISO-8859-1''%E9"),
        ("Ledger-Message*", b"UTF-8''%E9"),
        ("Ledger-Message*", b"UTF-8''%4"),
        ("Idempotency-Key", b""),
        ("Idempotency-Key", b'""'),
        ("Idempotency-Key", b"\xff"),
        ("Ledger-Effective", b"\xff"),
        ("Ledger-Effective-Until", b"\xff"),
        ("Ledger-Status", b"\xff"),
        ("If-Match", b"abc"),
        ("If-Match", b'"abc'),
        ("If-None-Match", b"*, *"),
    ],
)
def test_a_header_that_cannot_be_understood(client: Client, name: str, value: bytes) -> None:
    answer = client.post("/titles", DOCUMENT, headers=[(name.encode(), value)])
    problem(answer, 400, "bad-request")
    assert client.get("/titles").json() == {"titles": []}


@pytest.mark.parametrize("name", ["Ledger-Message", "Idempotency-Key", "Content-Type"])
def test_a_header_twice(client: Client, name: str) -> None:
    headers = [("Content-Type", "application/json"), (name, "text/json"), (name, "b")]
    answer = client.request("POST", PATH, content=b"{}", headers=headers)
    problem(answer, 400, "bad-request")


def test_effective_dates(client: Client) -> None:
    post(client, Ledger_Effective="1995-06-01")
    assert client.ledger.head(TITLE).effective_at == "1995-06-01"
    problem(post(client, Ledger_Effective="yesterday"), 422, "invalid")


def test_until_when_what_kind_and_which_status(client: Client) -> None:
    named = {
        "Ledger_Effective": "1995",
        "Ledger_Effective_Until": "2020-06",
        "Ledger_Kind": "migration",
        "Ledger_Status": "closed",
    }
    assert post(client, **named).status_code == 201
    head = client.ledger.head(TITLE)
    assert (head.effective_at, head.effective_until) == ("1995", "2020-06")
    assert (head.kind, head.status) == ("migration", "closed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Ledger-Effective", "2026-13"),
        ("Ledger-Effective-Until", "yesterday"),
        ("Ledger-Effective-Until", "1995-06-01"),
        ("Ledger-Kind", "erasure"),
        ("Ledger-Kind", ""),
        ("Ledger-Status", "shut"),
        ("Ledger-Status", ""),
    ],
)
def test_a_member_that_cannot_be_registered(client: Client, name: str, value: str) -> None:
    headers = {"Ledger-Effective": "1995-06-01"} | {name: value}
    problem(client.post(PATH, DOCUMENT, headers=headers), 422, "invalid")


def test_a_closed_title_takes_nothing_until_it_is_opened(client: Client) -> None:
    post(client, Ledger_Status="closed")
    problem(post(client), 409, "title-closed")
    assert post(client, Ledger_Kind="rectification").status_code == 201
    assert client.ledger.head(TITLE).status == "closed"
    assert post(client, Ledger_Status="open").status_code == 201
    assert post(client).status_code == 201


def test_a_version_that_begins_later_is_superseded_only_on_demand(client: Client) -> None:
    post(client, Ledger_Effective="2020-01-01")
    late = {"Ledger_Effective": "2010-01-01"}
    problem(post(client, **late), 409, "supersedes-later")
    assert post(client, **late, Ledger_Effective_Until="2020-01-01").status_code == 201
    assert post(client, **late, Ledger_Supersede_Later="yes").status_code == 201


def test_a_head_in_the_future_is_gone_on_from_only_on_demand() -> None:
    clock = FixedClock()
    client = Client(memory_ledger(clock=clock))
    post(client)
    clock.forward(hours=-1)
    problem(post(client), 409, "clock-behind")
    for odd in ("no", "1", ""):
        problem(post(client, Ledger_Clamp_Time=odd), 400, "bad-request")
    assert post(client, Ledger_Clamp_Time="yes").status_code == 201
    newer, older = client.ledger.log(TITLE)
    assert newer.recorded_at == older.recorded_at


# -- What changes nothing ------------------------------------------------------------------------


def skip(client: Client, document: Any = DOCUMENT, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"{PATH}?skip-unchanged=1", document, headers=named)


def test_what_changes_nothing_is_left_out_on_demand(client: Client) -> None:
    first = skip(client)
    again = skip(client, dict(reversed(DOCUMENT.items())))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert 'ledger_appends_total{outcome="skipped"} 1.0' in client.get("/metrics").text
    assert post(client).status_code == 201
    assert skip(client, {"address": "2 low street"}).status_code == 201


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Ledger_Status", "closed"),
        ("Ledger_Kind", "rectification"),
        ("Ledger_Effective", "2027"),
        ("Ledger_Effective_Until", "2099"),
    ],
)
def test_a_document_that_stays_may_still_say_something_new(
    client: Client, name: str, value: str
) -> None:
    post(client)
    assert skip(client, **{name: value}).status_code == 201
    assert client.ledger.head(TITLE).version == 2


def test_a_document_that_says_nothing_new_is_told_from_one_that_does(client: Client) -> None:
    answers = post(client), post(client), skip(client), skip(client, {"address": "2 low street"})
    told = [(each.status_code, each.headers.get("ledger-unchanged")) for each in answers]
    assert told == [(201, None), (201, "yes"), (200, "yes"), (201, None)]


@pytest.mark.parametrize(
    ("there", "new", "slug", "hint"),
    [
        (
            {"Ledger-Effective": "2024"},
            {"Ledger-Effective": "2020"},
            "supersedes-later",
            "Ledger-Effective-Until: 2024; or insist with Ledger-Supersede-Later: yes",
        ),
        ({"Ledger-Status": "closed"}, {}, "title-closed", "Ledger-Status: open"),
    ],
)
def test_a_hint_names_the_header_that_helps(
    client: Client, there: dict[str, str], new: dict[str, str], slug: str, hint: str
) -> None:
    client.post(PATH, DOCUMENT, headers=there)
    said = problem(client.post(PATH, DOCUMENT, headers=new), 409, slug)
    assert hint in said["hint"]
    assert " --" not in said["hint"]


def test_a_hint_names_paths_and_no_commands(client: Client) -> None:
    first = address(post(client))
    post(client)
    for condition in ({"If-Match": tag(first)}, {"If-None-Match": "*"}):
        said = problem(client.post(PATH, DOCUMENT, headers=condition), 412, "head-moved")
        assert f"{PATH}/entries" in said["hint"]
        assert "'ledger" not in said["hint"]
        assert "--" not in said["hint"]
    said = problem(client.get(f"{PATH}?version=9"), 404, "not-found")
    assert "'ledger" not in said["hint"]


def test_what_changes_nothing_still_heeds_its_condition(client: Client) -> None:
    head = address(post(client))
    problem(skip(client, If_None_Match="*"), 412, "head-moved")
    problem(skip(client, If_Match=tag("0" * 64)), 412, "head-moved")
    assert skip(client, If_Match=tag(head)).status_code == 200
    problem(client.post(f"{PATH}?skip-unchanged=yes", DOCUMENT), 422, "invalid")
    assert client.ledger.head(TITLE).version == 1


def test_a_key_is_found_before_it_is_asked_what_changed(client: Client) -> None:
    mine = skip(client, Idempotency_Key="A-17")
    post(client, {"address": "2 low street"})
    again = skip(client, Idempotency_Key="A-17")
    assert (again.status_code, address(again)) == (200, address(mine))


# -- Idempotency-Key -----------------------------------------------------------------------------


def test_sent_again_the_same_answer_and_nothing_is_written(client: Client) -> None:
    first = post(client, Idempotency_Key="A-2026-17")
    post(client, {**DOCUMENT, "address": "2"})
    again = post(client, Idempotency_Key="A-2026-17")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.content == again.content
    same = {"etag", "location", "ledger-address"}
    assert all(first.headers[name] == again.headers[name] for name in same)
    assert client.ledger.head(TITLE).version == 2


def test_a_quoted_key_is_the_same_key(client: Client) -> None:
    first = post(client, Idempotency_Key='"A-\\"17"')
    assert post(client, Idempotency_Key='A-"17').status_code == 200
    assert client.ledger.head(TITLE).reference == 'A-"17'
    assert address(first) == client.ledger.head(TITLE).address


def test_a_key_is_never_written_twice_whatever_the_condition(client: Client) -> None:
    first = post(client, Idempotency_Key="A-17")
    head = address(post(client, {"address": "2"}))
    for fresh in ({"If_Match": tag(head)}, {"If_Match": "*"}, {"If_None_Match": "*"}):
        again = post(client, Idempotency_Key="A-17", **fresh)
        assert (again.status_code, address(again)) == (200, address(first))
        other = post(client, {"address": "3"}, Idempotency_Key="A-17", **fresh)
        problem(other, 409, "reference-conflict")
    assert client.ledger.head(TITLE).version == 2


def test_a_key_that_is_taken_by_another_document(client: Client) -> None:
    first = post(client, Idempotency_Key="A-17")
    said = problem(
        post(client, {"address": "2"}, Idempotency_Key="A-17"), 409, "reference-conflict"
    )
    assert said["address"] == address(first)


# -- If-Match and If-None-Match ------------------------------------------------------------------


def test_on_top_of_what_was_read(client: Client) -> None:
    first = address(post(client))
    second = address(post(client, If_Match=tag(first)))
    refused = post(client, {"address": "lost"}, If_Match=tag(first), Idempotency_Key="new")
    said = problem(refused, 412, "head-moved")
    head = client.ledger.head(TITLE)
    assert said["expected"] == first
    assert said["actual"] == said["address"] == second == head.address
    assert (said["parent"], said["version"], said["digest"]) == (first, 2, DIGEST)


def test_the_digest_of_a_refusal_is_the_one_that_is_shown(client: Client) -> None:
    post(client, {"address": "1 low street"})
    said = problem(post(client, If_None_Match="*"), 412, "head-moved")
    assert said["digest"] == client.get(PATH).json()["sha256"] == DIGEST


@pytest.mark.parametrize("path", ["/titles", PATH])
def test_both_routes_heed_conditions(client: Client, path: str) -> None:
    none = {"If-None-Match": "*"}
    assert client.post(path, DOCUMENT, headers=none).status_code == 201
    problem(client.post(path, DOCUMENT, headers=none), 412, "head-moved")


def test_a_retry_under_the_old_condition_finds_its_own_entry(client: Client) -> None:
    first = address(post(client))
    mine = post(client, If_Match=tag(first), Idempotency_Key="A-17")
    again = post(client, If_Match=tag(first), Idempotency_Key="A-17")
    assert (again.status_code, address(again)) == (200, address(mine))
    listed = post(client, If_Match=f'"x", {tag(first)}', Idempotency_Key="A-17")
    assert (listed.status_code, address(listed)) == (200, address(mine))


def conditions() -> list[tuple[str, str, int]]:
    """A header, its value where {head} is the head of a title, and the status."""
    other = tag("0" * 64)
    return [
        ("If-Match", "{head}", 201),
        ("If-Match", f"{other}, {{head}}", 201),
        ("If-Match", f' , {{head}},{other} ,"x"', 201),
        ("If-Match", "{head},, , ", 201),
        ("If-Match", "*", 201),
        ("If-Match", "W/{head}", 412),  # strong comparison (RFC 9110, section 13.1.1)
        ("If-Match", other, 412),
        ("If-Match", f"{other}, {other}", 412),
        ("If-Match", '"not-an-address"', 412),
        ("If-Match", '""', 412),
        ("If-None-Match", "*", 412),
        ("If-None-Match", other, 201),
        ("If-None-Match", "{head}", 412),
        ("If-None-Match", f"W/{{head}}, {other}", 412),  # weak comparison (13.1.2)
    ]


@pytest.mark.parametrize(("name", "value", "status"), conditions())
def test_a_condition_on_a_title_that_is_there(name: str, value: str, status: int) -> None:
    client = Client()
    head = tag(address(post(client)))
    answer = client.post(PATH, {"a": 1}, headers={name: value.format(head=head)})
    assert answer.status_code == status, answer.text
    assert client.ledger.head(TITLE).version == (2 if status == 201 else 1)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Match", "*", 412),
        ("If-Match", tag("0" * 64), 412),
        ("If-None-Match", "*", 201),
        ("If-None-Match", tag("0" * 64), 201),
    ],
)
def test_a_condition_on_a_title_that_is_not_there(name: str, value: str, status: int) -> None:
    client = Client()
    answer = client.post(PATH, {"a": 1}, headers={name: value})
    assert answer.status_code == status
    assert (client.get(PATH).status_code == 200) == (status == 201)


def test_both_conditions(client: Client) -> None:
    head = tag(address(post(client)))
    problem(post(client, If_Match=head, If_None_Match="*"), 412, "head-moved")
    problem(post(client, If_Match=head, If_None_Match=head), 412, "head-moved")
    assert post(client, If_Match=head, If_None_Match='"x"').status_code == 201


def test_a_condition_can_be_required() -> None:
    client = Client(require_match=True)
    problem(post(client), 428, "match-required")
    assert post(client, If_None_Match="*").status_code == 201
    problem(client.post("/titles", DOCUMENT), 428, "match-required")
    for vague in ({"If_Match": "*"}, {"If_Match": '"x"'}, {"If_None_Match": tag("0" * 64)}):
        problem(post(client, **vague), 428, "match-required")
    head = client.ledger.head(TITLE).address
    assert post(client, If_Match=tag(head)).status_code == 201


def test_a_service_without_a_key_only_reads() -> None:
    ledger = memory_ledger()
    ledger.append(TITLE, DOCUMENT)
    client = Client(type(ledger).open(ledger.store, keyring=ledger.keyring))
    problem(post(client), 500, "key-unavailable")
    assert client.get(PATH).json() == {**DOCUMENT, "sha256": DIGEST}


@pytest.mark.parametrize(
    ("path", "words"),
    [("/entries/{}", "looks like an entry"), ("?version=9", "looks like the answer to a request")],
)
def test_an_answer_of_ours_is_no_document_unless_it_is_meant(
    client: Client, path: str, words: str
) -> None:
    client.post(PATH, DOCUMENT)
    found = client.get(PATH + path.format(client.ledger.head(TITLE).address)).json()
    parts = [{"title_number": "P1", "document": found}, {"title_number": "P2", "document": {}}]
    for url, body in ((PATH, found), ("/registrations", {"reference": "R", "parts": parts})):
        refused = problem(client.post(url, body), 422, "invalid")
        assert words in refused["detail"]
        assert "Ledger-As-Document: yes" in refused["hint"]
        meant = client.post(url, body, headers={"Ledger-As-Document": "yes"})
        assert meant.status_code == 201
    assert client.ledger.head(TITLE).document == client.ledger.head("P1").document == found
    problem(client.post(PATH, {}, headers={"Ledger-As-Document": "1"}), 400, "bad-request")


def test_what_a_get_shows_can_be_posted_again(client: Client) -> None:
    client.post(PATH, DOCUMENT)
    again = client.post(PATH, client.get(PATH).json())
    assert (again.status_code, again.headers["ledger-unchanged"]) == (201, "yes")
