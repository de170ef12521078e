"""GET: versions, history, exact bytes, differences, verification, bundles; in JSON and HTML."""

from __future__ import annotations

import io

import pytest

from ledger import verify_bundle
from ledger.format.entry import address_of, entry_json
from ledger.format.layout import head_key
from ledger.testing import FixedClock, memory_ledger
from tests.service.client import HTML, TITLE, Client, problem, tag

PATH = f"/titles/{TITLE}"


@pytest.fixture
def client() -> Client:
    return make_client()


@pytest.fixture(scope="module")
def reader() -> Client:
    """The same for all tests that only read."""
    return make_client()


def make_client() -> Client:
    """A title with three versions, a day apart."""
    clock = FixedClock()
    client = Client(memory_ledger(clock=clock))
    for number in (1, 2, 3):
        client.ledger.append(TITLE, {"n": number}, message=f"version {number}")
        clock.forward(days=1)
    return client


def addresses(client: Client) -> list[str]:
    return [entry.address for entry in client.ledger.log(TITLE)]


# -- One version ---------------------------------------------------------------------------------


def test_a_version_by_its_number_and_by_a_moment(client: Client) -> None:
    assert client.get(f"{PATH}?version=2").json()["n"] == 2
    assert client.get(f"{PATH}?recorded=2026-11-24").json()["n"] == 2
    assert client.get(f"{PATH}?recorded=2026-11-25T09:59:59Z").json()["n"] == 2
    assert client.get(f"{PATH}?recorded=2026-11-25T10:00:00Z").json()["n"] == 3
    assert client.get(f"{PATH}?version=1").headers["etag"] == tag(addresses(client)[2])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("version=4", 404),
        ("recorded=1995-01-01", 404),
        ("effective=1995-01-01", 404),
        ("version=0", 422),
        *((f"version={odd}", 422) for odd in ("1_0", "%2B1", "1.0", "%201", "01", "1" * 17)),
        ("version=x", 422),
        ("version=", 422),
        *((f"{name}={odd}", 422) for name in ("effective", "recorded") for odd in ("", "tomorrow")),
        *((f"{name}=2026-11", 422) for name in ("effective", "recorded")),
        ("effective=2026", 422),
        ("effective=2026-11-25T10:00:00", 422),
        ("version=1&recorded=2026-11-25", 422),
        ("version=1&effective=2026-11-25", 422),
        ("at=2026-11-25", 422),
        ("vresion=1", 422),
        ("version=1&version=2", 400),
    ],
)
def test_a_version_that_cannot_be_had(reader: Client, query: str, status: int) -> None:
    assert reader.get(f"{PATH}?{query}").status_code == status


@pytest.mark.parametrize(
    "path", ["", "/entries", "/diff", "/verification", "/bundle", "/entries/abcd"]
)
def test_no_route_takes_what_is_no_title_number(reader: Client, path: str) -> None:
    for name in (
        "tn1",
        "TN1.json",
        "%2e%2e",
        "CON",
        "TN1%0A",
        "_pending",
        "T" * 65,
        "T..1",
        "T1.",
        "%C3%A4",
    ):
        problem(reader.get(f"/titles/{name}{path}"), 422, "invalid")
    problem(reader.get(f"/titles/TN404{path}"), 404, "not-found")


# -- Tags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "?version=2", "/entries", "/diff"])
@pytest.mark.parametrize("headers", [{}, HTML], ids=["json", "html"])
def test_what_a_reader_has_is_not_sent_again(client: Client, path: str, headers: dict) -> None:
    headers = {**headers, "Accept-Encoding": "identity"}  # test_compression.py has the others
    first = client.get(PATH + path, headers=headers)
    assert first.headers["cache-control"] == "no-cache"
    for known in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = client.get(PATH + path, headers={**headers, "If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["vary"] == "Accept, Accept-Encoding"
    client.ledger.append(TITLE, {"n": 4})
    later = client.get(PATH + path, headers={**headers, "If-None-Match": first.headers["etag"]})
    assert later.status_code == (304 if path == "?version=2" and "Accept" not in headers else 200)


def test_if_match_on_a_read(client: Client) -> None:
    assert client.get(PATH, headers={"If-Match": tag(addresses(client)[0])}).status_code == 200
    problem(client.get(PATH, headers={"If-Match": '"x"'}), 412, "precondition-failed")


def test_json_and_html_of_one_url_have_tags_of_their_own(client: Client) -> None:
    one, other = client.get(PATH), client.get(PATH, headers=HTML)
    assert one.headers["content-type"] == "application/json"
    assert other.headers["content-type"] == "text/html; charset=utf-8"
    assert one.headers["etag"] != other.headers["etag"]
    assert one.headers["vary"] == "Accept"  # too short to be compressed
    assert other.headers["vary"] == "Accept, Accept-Encoding"


# -- The history ---------------------------------------------------------------------------------


def test_the_history_newest_first_with_what_changed(client: Client) -> None:
    found = client.get(f"{PATH}/entries").json()["entries"]
    assert [entry["version"] for entry in found] == [3, 2, 1]
    assert [entry["address"] for entry in found] == addresses(client)
    assert found[0]["changes"] == [{"path": "/n", "kind": "changed", "old": 2, "new": 3}]
    assert found[2]["changes"] == [{"path": "/n", "kind": "added", "new": 1}]
    assert (found[0]["message"], found[0]["parent"]) == ("version 3", found[1]["address"])


def test_the_history_page_by_page(client: Client) -> None:
    url, found = f"{PATH}/entries?limit=2", []
    while url:
        answer = client.get(url)
        page = answer.json()["entries"]
        assert len(page) <= 2
        found += page
        url = answer.links["next"]["url"] if "link" in answer.headers else ""
    assert found == client.get(f"{PATH}/entries").json()["entries"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=1_0", "limit=%2B1", "from=HEAD", "from=abcd"],
)
def test_pages_that_cannot_be_had(client: Client, query: str) -> None:
    problem(client.get(f"{PATH}/entries?{query}"), 422, "invalid")


def test_changes_that_would_fill_the_memory_are_not_shown(client: Client) -> None:
    for value in (1, 2):
        client.ledger.append(TITLE, {"x" * 50_000: {str(n): value for n in range(100)}})
    found = client.get(f"{PATH}/entries").json()["entries"]
    assert [entry["changes"] is None for entry in found] == [True, False, False, False, False]
    problem(client.get(f"{PATH}/diff"), 422, "invalid")
    assert client.get(f"{PATH}/diff", headers=HTML).status_code == 422
    address = addresses(client)[0]
    for path in ("", "/entries", f"/entries/{address}"):
        page = client.get(PATH + path, headers=HTML)
        assert page.status_code == 200
        assert "Too much changed" in page.text


# -- Exact bytes ---------------------------------------------------------------------------------


def test_the_exact_bytes_lead_to_the_address(client: Client) -> None:
    for entry in client.ledger.log(TITLE):
        address = entry.address
        answer = client.get(f"{PATH}/entries/{address}")
        assert answer.content == entry.data
        assert address_of(answer.content) == address
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["etag"] == tag(address)


def test_a_prefix_leads_to_the_whole_address(client: Client) -> None:
    address = addresses(client)[1]
    answer = client.get(f"{PATH}/entries/{address[:6]}")
    assert answer.status_code == 307
    assert answer.headers["location"] == f"http://localhost:5000{PATH}/entries/{address}"


@pytest.mark.parametrize(
    ("address", "status"),
    [("HEAD", 422), ("abc", 422), ("ABCD", 422), ("f" * 65, 422), ("f" * 64, 404), ("v3", 422)],
)
def test_addresses_that_lead_nowhere(client: Client, address: str, status: int) -> None:
    assert client.get(f"{PATH}/entries/{address}").status_code == status


def test_an_ambiguous_prefix_names_the_candidates(client: Client) -> None:
    store = client.ledger.store
    for tail in "ab":
        store.create(f"{TITLE}/{'0' * 63}{tail}.json", b"{}")
    said = problem(client.get(f"{PATH}/entries/{'0' * 10}"), 422, "invalid")
    assert f"{'0' * 63}a" in said["detail"]


def test_an_address_of_another_title_is_not_found(client: Client) -> None:
    other = client.ledger.append("TN2", {}).address
    problem(client.get(f"{PATH}/entries/{other}"), 404, "not-found")


# -- Differences ---------------------------------------------------------------------------------


def test_a_diff_of_two_revisions(client: Client) -> None:
    last = client.get(f"{PATH}/diff").json()
    assert last["changes"] == [{"path": "/n", "kind": "changed", "old": 2, "new": 3}]
    assert [last["from"]["version"], last["to"]["version"]] == [2, 3]
    assert client.get(f"{PATH}/diff", params={"from": "v3", "to": "v1"}).json()["changes"] == [
        {"path": "/n", "kind": "changed", "old": 3, "new": 1}
    ]
    first = client.get(f"{PATH}/diff", params={"from": "HEAD~2", "to": "@^"}).json()
    assert [first["from"]["version"], first["to"]["version"]] == [1, 2]
    dated = client.get(f"{PATH}/diff", params={"from": "@{2026-11-24}", "to": "HEAD"}).json()
    assert [dated["from"]["version"], dated["to"]["version"]] == [1, 3]
    for query in ("from=nonsense!", "from=HEADx", "from=xHEAD", "to=HEAD~9"):
        assert client.get(f"{PATH}/diff?{query}").status_code in {404, 422}


# -- Verification --------------------------------------------------------------------------------


def test_a_verification(client: Client) -> None:
    answer = client.get(f"{PATH}/verification")
    assert answer.headers["cache-control"] == "no-store"
    report = answer.json()
    assert (report["outcome"], report["entries"], report["findings"]) == ("verified", 3, [])
    assert report["not_shown"]
    pinned = client.get(f"{PATH}/verification", params={"expect": addresses(client)[2]}).json()
    assert pinned["outcome"] == "verified"
    unknown = client.get(f"{PATH}/verification", params={"expect": "0" * 64}).json()
    assert (unknown["outcome"], unknown["findings"][0]["slug"]) == (
        "mismatch",
        "pin-missing",
    )
    for query in ("expect=x", "expect="):
        problem(client.get(f"{PATH}/verification?{query}"), 422, "invalid")


def test_the_page_of_what_is_in_no_chain_is_not_verified(client: Client) -> None:
    store, head = client.ledger.store, f"{TITLE}/head.json"
    objects = store._objects  # type: ignore[attr-defined]
    before = objects[head]
    client.ledger.append(TITLE, {"n": "lost"})
    lost = objects[head]
    objects[head] = before
    client.ledger.append(TITLE, {"n": "kept"})
    heads = [lost]  # for who asks first; then the other one
    get = store.get
    store.get = lambda key: heads.pop() if key == head and heads else get(key)  # type: ignore[method-assign]
    page = client.get(PATH, headers=HTML).text
    assert not heads
    assert "pin-missing" in page
    assert "superseded" not in page
    assert "NOT as it was signed" in page
    honest = client.get(f"{PATH}?version=1", headers=HTML).text
    assert "superseded" in honest
    assert "whether this is the latest version" in honest


def tamper(client: Client, version: int) -> None:
    entry = client.ledger.entry(TITLE, f"v{version}")
    objects = client.ledger.store._objects  # type: ignore[attr-defined]
    key = f"{TITLE}/{entry.address}.json"
    data = entry.data.replace(b'"kind":"registration"', b'"kind":"migration"')
    objects[key] = objects[key]._replace(data=data)


def test_a_broken_chain_is_the_reports_answer_and_the_readers_error(client: Client) -> None:
    address = addresses(client)[1]
    tamper(client, 2)
    answer = client.get(f"{PATH}/verification")
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "tampered"
    for path in (f"/entries/{address}", "/entries", "/bundle", "?version=2", "/diff"):
        said = problem(client.get(PATH + path), 500, "integrity")
        assert said["object_key"] == f"{TITLE}/{address}.json"
        assert said["reason"] == "address-mismatch"
    page = client.get(PATH, headers=HTML)  # the head holds: the page says what doesn't
    assert page.status_code == 200
    assert "address-mismatch" in page.text


def test_a_key_that_does_not_count_is_the_services_own_trouble(client: Client) -> None:
    ledger = memory_ledger()
    from ledger import Ledger
    from ledger.testing import keyring_for, signer

    ledger.append(TITLE, {})
    stranger = Client(Ledger.open(ledger.store, keyring=keyring_for(signer("bob"))))
    said = problem(stranger.get(PATH), 500, "untrusted")
    assert said["reason"] == "unknown-key"
    report = stranger.get(f"{PATH}/verification").json()
    assert report["outcome"] == "tampered"


# -- Bundles -------------------------------------------------------------------------------------


def test_a_bundle_verifies_offline(client: Client) -> None:
    answer = client.get(f"{PATH}/bundle")
    assert answer.headers["content-disposition"] == f'attachment; filename="{TITLE}.bundle"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    keyring = client.ledger.keyring
    report = verify_bundle(io.BytesIO(answer.content), keyring=keyring)
    assert (report.outcome, report.entries) == ("verified", 3)


# -- The list ------------------------------------------------------------------------------------


def test_titles_page_by_page_and_by_prefix(client: Client) -> None:
    for name in ("A1", "TN2", "TN3", "Z"):
        client.ledger.append(name, {})
    everything = client.get("/titles").json()["titles"]
    assert [url.rpartition("/")[2] for url in everything] == ["A1", TITLE, "TN2", "TN3", "Z"]
    url, found = "/titles?limit=2", []
    while url:
        answer = client.get(url)
        found += answer.json()["titles"]
        url = answer.links["next"]["url"] if "link" in answer.headers else ""
    assert found == everything
    answer = client.get("/titles?q=TN&limit=1&after=TN1234567")
    assert answer.json()["titles"] == ["http://localhost:5000/titles/TN2"]
    assert answer.links["next"]["url"].endswith("after=TN2&limit=1&q=TN")
    assert client.get("/titles?q=NONE").json() == {"titles": []}
    assert client.get("/titles?q=%20tn2 ").json()["titles"] == ["http://localhost:5000/titles/TN2"]
    days = ("q=TN&effective=2026-01-01", "recorded=2026-01-01")
    for query in ("q=../x", "after=x", "limit=0", "limit=1001", *days):
        problem(client.get(f"/titles?{query}"), 422, "invalid")


def test_the_root_leads_to_the_list(client: Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "http://localhost:5000/titles")


# -- Methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/titles", PATH, f"{PATH}/bundle", f"{PATH}/entries", "/healthz", "/docs"]
)
def test_head_is_get_without_a_body(client: Client, path: str) -> None:
    got, headed = client.get(path), client.request("HEAD", path)
    assert headed.content == b""
    assert headed.status_code == got.status_code
    volatile = {"x-request-id"}
    assert {k: v for k, v in headed.headers.items() if k not in volatile} == {
        k: v for k, v in got.headers.items() if k not in volatile
    }


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/titles", "GET, HEAD, OPTIONS, POST"),
        (PATH, "GET, HEAD, OPTIONS, POST"),
        (f"{PATH}/entries", "GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_what_is_allowed(client: Client, path: str, allow: str) -> None:
    told = client.request("OPTIONS", path)
    assert (told.status_code, told.headers["allow"]) == (204, allow)
    for method in ("DELETE", "PUT", "PATCH", "TRACE"):
        refused = client.request(method, path)
        problem(refused, 405, "method-not-allowed")
        assert refused.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/nope", "/titles/", "/titles/TN1/x", "/static/../app.py"])
def test_paths_that_are_not_there(client: Client, path: str) -> None:
    problem(client.get(path), 404, "unknown-path")
    assert client.request("OPTIONS", path).status_code == 404


# -- Pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/titles", 200),
        (PATH, 200),
        (f"{PATH}?version=1", 200),
        (f"{PATH}/entries", 200),
        (f"{PATH}/diff", 200),
        (f"{PATH}/verification", 200),
        ("/docs", 200),
        ("/titles/TN404", 404),
        ("/nope", 404),
        ("/titles?limit=x", 422),
    ],
)
def test_a_browser_gets_pages(reader: Client, path: str, status: int) -> None:
    answer = reader.get(path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text


def test_an_entry_has_a_page_too(client: Client) -> None:
    address = addresses(client)[1]
    page = client.get(f"{PATH}/entries/{address}", headers=HTML)
    assert page.headers["cache-control"] == "no-cache"
    assert address in page.text


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("text/*", True),
        ("application/json", False),
        ("text/html, application/json", False),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("text/html;q=0.8, */*;q=0.9", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=nonsense", False),
        ("image/png", False),
        (HTML["Accept"], True),
        (";;;,,/,q=", False),
    ],
)
def test_negotiation(reader: Client, accept: str, html: bool) -> None:
    answer = reader.get("/titles", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/html" if html else "application/json")


def test_no_page_needs_anything_from_elsewhere(reader: Client) -> None:
    for path in ("/titles", PATH, "/docs"):
        page = reader.get(path, headers=HTML).text
        for attribute in ('src="http', "src='http", 'href="http', "@import", "url("):
            assert attribute not in page, path


def test_a_mistyped_address_does_not_make_a_sound_title_look_forged(client: Client) -> None:
    other = client.post("/titles/OTHER", {}).headers["ledger-address"]
    address = client.get(PATH).headers["ledger-address"]
    mistyped = address[:-1] + ("0" if address[-1] != "0" else "1")
    for wrong in (mistyped, other, "0" * 64):
        said = client.get(f"{PATH}/verification?expect={wrong}").json()
        assert said["outcome"] == "mismatch"
        assert [each["severity"] for each in said["findings"]] == ["mismatch"]
        page = client.get(f"{PATH}/verification?expect={wrong}", headers=HTML).text
        assert f"This address is not in the history of {TITLE}" in page
        assert "NOT as it was signed" not in page
        assert "tampered" not in page
    assert client.get(f"{PATH}/verification?expect={address}").json()["outcome"] == "verified"


def test_an_entry_that_is_no_longer_in_the_chain_is_not_called_mistyped(client: Client) -> None:
    first = client.ledger.append(TITLE, {})
    second = client.ledger.append(TITLE, {"two": 2})
    store = client.ledger.store
    blob = store.get(head_key(TITLE))
    assert blob is not None
    store.replace(head_key(TITLE), first.data, blob.version)
    said = client.get(f"{PATH}/verification?expect={second.address}").json()
    assert said["outcome"] == "tampered"
    assert said["findings"][0]["slug"] == "pin-missing"


# -- Blame ---------------------------------------------------------------------------------------


def test_blame_says_what_the_library_says(client: Client) -> None:
    ledger = client.ledger
    ledger.append(TITLE, {"a": {"b": 1}, "c": [1]}, message="first")
    ledger.append(TITLE, {"a": {"b": 2}, "c": [1]}, reference="R-1", author="clerk")
    for path in ("", "/a", "/a/b", "/c/0"):
        found = client.get(f"/titles/{TITLE}/blame", params={"path": path} if path else None)
        shown = found.json()
        assert [
            (each["path"], each["value"], each["version"], each["or_before"])
            for each in shown["fields"]
        ] == [
            (each.path, each.value, each.entry.version, each.or_before)
            for each in ledger.blame(TITLE, path)
        ]
        versions = sorted({each["version"] for each in shown["fields"]}, reverse=True)
        assert shown["entries"] == [
            entry_json(ledger.entry(TITLE, f"v{version}"), ledger.keyring) for version in versions
        ]
    tag = {"If-None-Match": found.headers["ETag"]}
    assert client.get(f"/titles/{TITLE}/blame?path=/c/0", headers=tag).status_code == 304
    problem(client.get(f"/titles/{TITLE}/blame?path=/x"), 404, "not-found")
    problem(client.get("/titles/TN404/blame"), 404, "not-found")


def test_blame_of_more_than_an_answer_has_is_refused(client: Client) -> None:
    client.ledger.append(TITLE, {"n" * 100_000: list(range(100)), "b": 1})
    refused = problem(client.get(f"/titles/{TITLE}/blame"), 422, "invalid")
    assert "too many fields" in refused["detail"]
    assert client.get(f"/titles/{TITLE}/blame?path=/b").json()["fields"][0]["value"] == 1
