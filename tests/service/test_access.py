"""Who may call: tokens, the login, hosts, other sites' scripts; and what the log keeps of it."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cli.serve.access import read_tokens
from ledger import InvalidError, Keyring, Ledger, LedgerError, Log
from ledger.service import Access, Settings, basic_login, create_app, parse_tokens, reload
from ledger.service.routes import health
from ledger.service.tokens import find_token
from ledger.stores import MemoryStore
from ledger.testing import memory_ledger, signer
from tests.sealing.sealers import LOG_KEY, ledger_in
from tests.service.client import DOCUMENT, HTML, TITLE, Client, problem, serving, shell

if TYPE_CHECKING:
    from pathlib import Path

READ, WRITE = "r" * 20, "w" * 20
HASHED = "h" * 20
TOKENS = f"""
# who, what, with what
auditor read  {READ}
intake  write {WRITE}

vault   write sha256:{hashlib.sha256(HASHED.encode()).hexdigest()}
"""
LOGIN = basic_login("alice", "opensesame")


def bearer(token: str) -> str:
    return f"Bearer {token}"


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


# -- The file ------------------------------------------------------------------------------------


def test_the_tokens_file() -> None:
    tokens = parse_tokens(TOKENS)
    assert [(token.name, token.may_write) for token in tokens] == [
        ("auditor", False),
        ("intake", True),
        ("vault", True),
    ]
    for secret, name in ((READ, "auditor"), (WRITE, "intake"), (HASHED, "vault")):
        found = find_token(tokens, f"bearer  {secret} ".encode())
        assert found is not None
        assert found.name == name
        assert secret not in repr(tokens)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "auditor read",
        "auditor read short",
        f"auditor admin {READ}",
        f"audi/tor read {READ}",
        f"auditor read {READ} {READ}",
        f"auditor read {READ}\nauditor write {WRITE}",
        "auditor read sha256:abcd",
        f"auditor read sha256:{'A' * 64}",
        f"auditor read {READ}\N{SNOWMAN}",
    ],
)
def test_a_tokens_file_that_is_refused_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidError) as raised:
        parse_tokens(text)
    assert READ not in str(raised.value)


@pytest.mark.parametrize("login", [("", "x"), ("a", ""), ("a:b", "x")])
def test_a_login_that_can_be_none(login: tuple[str, str]) -> None:
    with pytest.raises(InvalidError):
        basic_login(*login)


# -- The matrix ----------------------------------------------------------------------------------

WHO = {
    "nobody": None,
    "reader": bearer(READ),
    "writer": bearer(WRITE),
    "vault": bearer(HASHED),
    "login": basic("alice:opensesame"),
}
STRANGERS = {
    "unknown": bearer("x" * 20),
    "empty": "Bearer ",
    "digest": bearer(hashlib.sha256(HASHED.encode()).hexdigest()),
    "wrong scheme": basic(WRITE),
    "login as token": bearer("alice:opensesame"),
    "wrong password": basic("alice:opensesame2"),
    "no base64": "Basic ???",
    "no scheme": WRITE,
}


def call(client: Client, method: str, authorization: str | None) -> int:
    headers = {"Authorization": authorization} if authorization is not None else {}
    if method == "POST":
        return client.post("/titles", DOCUMENT, headers=headers).status_code
    return client.request(method, "/titles", headers=headers).status_code


@pytest.mark.parametrize("public_read", [False, True])
@pytest.mark.parametrize("who", [*WHO, *STRANGERS])
def test_who_may_do_what(who: str, public_read: bool) -> None:
    client = Client(tokens=(*parse_tokens(TOKENS), LOGIN), public_read=public_read)
    authorization = (WHO | STRANGERS)[who]
    read = 200 if who in WHO and (who != "nobody" or public_read) else 401
    write = {"nobody": 401, "reader": 403}.get(who, 201 if who in WHO else 401)
    assert call(client, "GET", authorization) == read
    assert call(client, "HEAD", authorization) == read
    assert call(client, "POST", authorization) == write


def test_without_tokens_everybody_may(client: Client) -> None:
    assert call(client, "POST", None) == 201
    assert call(client, "GET", bearer("whatever")) == 200


def test_what_a_refusal_says() -> None:
    client = Client(tokens=(*parse_tokens(TOKENS), LOGIN))
    refused = client.get("/titles")
    problem(refused, 401, "unauthorized")
    assert refused.headers.get_list("www-authenticate") == [
        'Basic realm="title ledger", charset="UTF-8"',
        'Bearer realm="title ledger"',
    ]
    wrong = client.get("/titles", headers={"Authorization": bearer("x" * 20)})
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    reader = client.post("/titles", DOCUMENT, headers={"Authorization": bearer(READ)})
    problem(reader, 403, "read-only-token")
    assert 'error="insufficient_scope"' in reader.headers["www-authenticate"]
    twice = [("Authorization", bearer(READ)), ("Authorization", bearer(WRITE))]
    problem(client.request("GET", "/titles", headers=twice), 400, "bad-request")


def test_what_is_open_to_all() -> None:
    client = Client(tokens=parse_tokens(TOKENS))
    for path in ("/healthz", "/readyz", "/static/style.css"):
        assert client.get(path).status_code == 200
    for path in ("/", "/titles", "/metrics", "/docs", "/openapi.json", "/nope", "/healthz/x"):
        assert client.get(path).status_code == 401


def test_the_callers_name_is_the_author_of_what_it_writes() -> None:
    client = Client(tokens=(*parse_tokens(TOKENS), LOGIN))
    for authorization, name in ((bearer(WRITE), "intake"), (basic("alice:opensesame"), "alice")):
        headers = {"Authorization": authorization, "Ledger-Author": "mallory"}
        assert client.post("/titles", DOCUMENT, headers=headers).status_code == 201
        assert client.ledger.head(TITLE).author == name
    anonymous = Client()
    anonymous.post("/titles", DOCUMENT)
    assert anonymous.ledger.head(TITLE).author == ""


# -- Hosts and URLs ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "127.0.0.1", "[::1]:5000"])
def test_a_host_that_is_answered_to(host: str) -> None:
    client = Client(allowed_hosts=frozenset({"localhost", "127.0.0.1", "[::1]"}))
    assert client.get("/titles", headers={"Host": host}).status_code == 200


def test_a_host_that_is_not(client: Client) -> None:
    picky = Client(allowed_hosts=frozenset({"localhost"}))
    problem(picky.get("/titles", headers={"Host": "evil.example:5000"}), 400, "unknown-host")
    assert picky.get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200
    for host in ("a/b", "a b", 'a"b', "a@b", "<x>"):
        problem(client.get("/titles", headers={"Host": host}), 400, "bad-request")


def test_a_public_url_is_what_all_urls_begin_with() -> None:
    client = Client(public_url="https://example.org/land")
    posted = client.post("/titles", DOCUMENT)
    assert posted.headers["location"] == f"https://example.org/land/titles/{TITLE}"
    assert client.get("/titles").json()["titles"] == [posted.headers["location"]]
    assert client.get("/").headers["location"] == "https://example.org/land/titles"
    assert client.get("/nope").json()["type"] == "/land/docs#unknown-path"
    assert 'href="https://example.org/land/' in client.get("/titles", headers=HTML).text
    assert client.get("/openapi.json").json()["servers"] == [{"url": "https://example.org/land"}]


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org", "https://example.org/", "https://a/?q", "https://"]
)
def test_a_public_url_that_is_none(url: str) -> None:
    with pytest.raises(InvalidError):
        Settings(public_url=url)


def test_mounted_below_another_application(client: Client) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    inner = client.app
    client.app = Starlette(routes=[Mount("/land", inner)])  # type: ignore[assignment]
    posted = client.post("/land/titles", DOCUMENT)
    assert posted.headers["location"] == f"http://localhost:5000/land/titles/{TITLE}"
    assert 'href="/land/titles' in client.get("/land/titles", headers=HTML).text


def test_a_server_may_ask_for_a_start_and_an_end(client: Client) -> None:
    import asyncio

    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    said: list[str] = []

    async def receive() -> dict[str, str]:
        return events.pop(0)

    async def send(message: dict[str, str]) -> None:
        said.append(message["type"])

    asyncio.run(client.app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_the_contract_is_rendered_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [client.get(path).content for path in ("/docs", "/openapi.json")]
    monkeypatch.delattr("ledger.service.pages.pages.Pages.docs")
    monkeypatch.delattr("ledger.service.routes.health.json.dumps")
    assert [client.get(path).content for path in ("/docs", "/openapi.json")] == first


# -- Other sites' scripts ------------------------------------------------------------------------

PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,if-match",
}


def test_no_script_may_call_unless_it_was_said(client: Client) -> None:
    asked = client.request("OPTIONS", "/titles", headers=PREFLIGHT)
    answered = client.get("/titles", headers={"Origin": "https://app.example"})
    for answer in (asked, answered):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_script_that_may_call() -> None:
    client = Client(cors_origins=("https://app.example",), tokens=parse_tokens(TOKENS))
    asked = client.request("OPTIONS", "/titles", headers=PREFLIGHT)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == "https://app.example"
    refused = client.get("/titles", headers={"Origin": "https://app.example"})
    problem(refused, 401, "unauthorized")
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    assert "ETag" in refused.headers["access-control-expose-headers"]
    other = client.request("OPTIONS", "/titles", headers=PREFLIGHT | {"Origin": "https://evil"})
    assert "access-control-allow-origin" not in other.headers


# -- Ids and the log -----------------------------------------------------------------------------


def test_request_ids(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "a-1"}).headers["x-request-id"] == "a-1"
    made = [client.get("/healthz").headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    for bad in ("", "a b", "x" * 65, "a;b", "\xff"):
        given = client.get("/healthz", headers=[(b"X-Request-Id", bad.encode("latin-1"))])
        assert given.headers["x-request-id"] != bad


def test_the_log_has_one_line_a_request_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client(tokens=(*parse_tokens(TOKENS), LOGIN))
    secret = {"Ledger-Message": "msgsecret", "Cookie": "cookiesecret", "X-Request-Id": "id-1"}
    writer = {"Authorization": bearer(WRITE)}
    client.post("/titles", {**DOCUMENT, "s": "bodysecret"}, headers=secret | writer)
    client.get("/titles?q=QUERYSECRET", headers={"Authorization": WHO["login"] or ""})
    client.get("/titles?nope=querysecret", headers={"Authorization": bearer("strangersecret00")})
    client.get("/titles/%0Aforged?x=1")
    records = [record for record in caplog.records if record.name == "ledger.service.access"]
    fields = [record.__dict__["request"] for record in records]
    assert [f["caller"] for f in fields] == ["intake", "alice", "-", "-"]
    assert [f["status"] for f in fields] == [201, 200, 401, 401]
    assert fields[0]["request_id"] == "id-1"
    assert fields[0]["method"] == "POST"
    assert fields[0]["ms"] >= 0
    head = client.ledger.head(TITLE)
    assert (fields[0]["title"], fields[0]["address"]) == (TITLE, head.address)
    assert head.author == "intake"
    assert fields[3]["path"] == "/titles/%0Aforged"
    ours = [record for record in caplog.records if record.name.startswith("ledger")]
    text = "\n".join(record.getMessage() for record in ours) + json.dumps(fields)
    assert "secret" not in text.lower()
    for hidden in (READ, WRITE, HASHED, "opensesame", "1 low street"):
        assert hidden not in text
    assert "\nforged" not in text


def test_the_line_of_a_registration_names_what_it_wrote(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ledger.service.access")
    client = Client(tokens=parse_tokens(TOKENS))
    parts = [{"title_number": f"TN{n}", "document": {"n": n}} for n in (2, 1)]
    body = {"reference": "APP-1", "parts": parts}
    answer = client.post("/registrations", body, headers={"Authorization": bearer(WRITE)})
    assert answer.status_code == 201
    [record] = caplog.records
    line = record.__dict__["request"]
    heads = {name: client.ledger.head(name).address for name in line["title"].split(",")}
    assert heads.keys() == {"TN1", "TN2"}
    assert line["address"].split(",") == [*heads.values()]
    assert line["caller"] == "intake"


# -- People who sign in at the proxy -------------------------------------------------------------

HEADER = "X-Forwarded-Email"
ALICE = {HEADER: "alice@land.example"}


def behind(proxy: str = "127.0.0.1", **settings: Any) -> Client:
    """A service whose requests come from 127.0.0.1, and that trusts ``proxy``."""
    return Client(trusted_proxies=(proxy,), user_header=HEADER, **settings)


@pytest.mark.parametrize("tokens", ["", TOKENS])
def test_who_has_signed_in_at_the_proxy_may_read_and_no_more(
    tokens: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ledger.service.access")
    client = behind(tokens=parse_tokens(tokens) if tokens else ())
    assert client.get("/titles", headers=ALICE).status_code == 200
    problem(client.post("/titles", DOCUMENT, headers=ALICE), 401, "unauthorized")
    problem(client.get("/titles"), 401, "unauthorized")
    problem(client.post("/titles", DOCUMENT), 401, "unauthorized")
    for wrong in ({HEADER: "a b"}, [(HEADER, "a"), (HEADER, "b")], {HEADER: ""}):
        assert client.get("/titles", headers=wrong).status_code == 400
    lines = [record.__dict__["request"] for record in caplog.records]
    assert [line["caller"] for line in lines] == [ALICE[HEADER]] * 2 + ["-"] * 5


def test_nobody_but_the_trusted_proxy_says_who_has_signed_in() -> None:
    stranger = behind("192.0.2.1", tokens=parse_tokens(TOKENS))
    for headers in (ALICE, ALICE | {"X-Forwarded-For": "192.0.2.1"}):
        problem(stranger.get("/titles", headers=headers), 401, "unauthorized")
    unused = Client(trusted_proxies=("127.0.0.1",), tokens=parse_tokens(TOKENS))
    problem(unused.get("/titles", headers=ALICE), 401, "unauthorized")


def test_what_a_header_calls_an_address_adds_no_words_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="ledger.service.access")
    client = behind()
    for said in ("192.0.2.7 - intake TN1\x85\x1b[2K".encode("latin-1"), b"2001:db8::7"):
        client.get("/titles", headers=[(HEADER, "alice"), (b"X-Forwarded-For", said)])
    assert [record.__dict__["request"]["client"] for record in caplog.records] == [
        "-",
        "2001:db8::7",
    ]


def test_a_shared_cache_keeps_nothing_that_takes_signing_in(tmp_path: Path) -> None:
    client = behind(ledger=ledger_in(MemoryStore()))
    client.ledger.append(TITLE, {})
    Log(client.ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    answer = client.get("/log/tile/entries/000.p/1", headers=ALICE)
    assert answer.status_code == 200
    assert "private" in answer.headers["cache-control"]


def test_a_token_counts_more_than_who_has_signed_in() -> None:
    client = behind(tokens=parse_tokens(TOKENS))
    writer = ALICE | {"Authorization": bearer(WRITE)}
    assert client.post("/titles", DOCUMENT, headers=writer).status_code == 201
    assert client.ledger.head(TITLE).author == "intake"
    wrong = ALICE | {"Authorization": bearer("x" * 20)}
    problem(client.get("/titles", headers=wrong), 401, "unauthorized")


@pytest.mark.parametrize(
    "settings",
    [
        {"user_header": HEADER},
        {"user_header": "Host", "trusted_proxies": ("127.0.0.1",)},
        {"user_header": "x-forwarded-for", "trusted_proxies": ("127.0.0.1",)},
        {"user_header": "X-Forwarded-Email:", "trusted_proxies": ("127.0.0.1",)},
        {"trusted_proxies": ("localhost",)},
        {"trusted_proxies": ("*",)},
    ],
)
def test_a_proxy_that_makes_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        Settings(**settings)


# -- The command ---------------------------------------------------------------------------------


def refusal(*options: str, **environment: str) -> str:
    done = shell("serve", *options, **environment)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_other_addresses_need_tokens(folder: str, home: Path) -> None:
    environment = {"LEDGER_STORE": folder, "XDG_CONFIG_HOME": str(home)}
    said = refusal("--host", "0.0.0.0", **environment)
    assert "--insecure" in said
    tokens = home / "tokens"
    tokens.write_text(TOKENS)
    for mode in (0o644, 0o620, 0o602):
        tokens.chmod(mode)
        said = refusal(LEDGER_TOKENS_FILE=str(tokens), **environment)
        assert f"chmod 600 {tokens}" in said
    said = refusal(LEDGER_TOKENS_FILE=str(home / "none"), **environment)
    assert "cannot read the tokens" in said


@pytest.mark.parametrize(
    "options",
    [
        ("--trusted-proxy", "127.0.0.1"),
        pytest.param(("--public-url", "https://titles.example.org"), marks=pytest.mark.slow),
    ],
)
def test_a_service_behind_a_proxy_is_not_only_for_this_machine(
    options: tuple[str, str], folder: str, home: Path
) -> None:
    environment = {"LEDGER_STORE": folder, "XDG_CONFIG_HOME": str(home)}
    assert "--insecure" in refusal(*options, **environment)
    login = {"BASIC_AUTH_USERNAME": "alice", "BASIC_AUTH_PASSWORD": "opensesame"}
    with serving(folder, home, *options, **login) as server:
        assert httpx.get(f"{server.url}/titles").status_code == 401
    with serving(folder, home, *options, "--public-read", **login) as server:
        assert httpx.get(f"{server.url}/titles").status_code == 200


@pytest.mark.parametrize(
    "name", ["LEDGER_TOKENS_FILE", "BASIC_AUTH_USERNAME", "BASIC_AUTH_PASSWORD"]
)
def test_an_empty_setting_is_no_service_without_tokens(name: str) -> None:
    with pytest.raises(LedgerError):
        read_tokens({name: ""})
    assert read_tokens({}) == ()


def test_a_busy_port_says_how_to_choose_another(folder: str, home: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal("--port", str(port), LEDGER_STORE=folder, XDG_CONFIG_HOME=str(home))
    assert f"port {port}" in said
    assert f"--port {port + 1}" in said


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cli.commands import serve
    from cli.serve.access import CannotServeError

    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "fastapi" else object())
    with pytest.raises(CannotServeError) as raised:
        serve.serve()
    assert raised.value.hint == "in the clone of the source: pip install '.[serve]'"


@pytest.mark.parametrize("module", ["ledger", "cli.commands.log", "cli.commands.serve"])
def test_nobody_loads_a_web_framework_who_does_not_serve(module: str) -> None:
    import subprocess
    import sys

    code = f"import {module}, sys; print({{'fastapi', 'uvicorn', 'jinja2'}} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "set()"


# -- A keyring and tokens that change while the service runs -------------------------------------


class Changing:
    """A service whose keyring and tokens are read again before every request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tokens: str = "") -> None:
        monkeypatch.setattr(reload, "SECONDS", 0.0)
        monkeypatch.setattr(health, "PROBE_SECONDS", 0.0)
        self.ledger = memory_ledger()
        self.trust = Access(self.ledger.keyring, parse_tokens(tokens) if tokens else ())
        self.client = Client(self.ledger)
        settings = Settings(tokens=self.trust.tokens)
        self.client.app = create_app(self.ledger, settings, None, self.read)

    def read(self) -> Access:
        if isinstance(self.trust, Exception):
            raise self.trust
        return self.trust


def test_no_title_of_a_registrar_who_came_later_stays_a_500(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changing = Changing(monkeypatch)
    other = signer("another registrar")
    keyring = changing.ledger.keyring.trust(changing.ledger.origin, other.public_key)
    colleague = Ledger.open(changing.ledger.store, keyring=keyring, signer=other)
    colleague.append(TITLE, {})
    client = changing.client
    assert client.get("/readyz").json()["status"] == "ok"
    said = problem(client.get(f"/titles/{TITLE}"), 500, "untrusted")
    assert said["verification"]
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["keyring"]) == ("degraded", "incomplete")
    changing.trust = Access(keyring)
    assert client.get(f"/titles/{TITLE}").status_code == 200
    assert client.get("/readyz").json()["status"] == "ok"
    changing.trust = Access(keyring.untrust(other.public_key.key_id))
    problem(client.get(f"/titles/{TITLE}"), 500, "untrusted")  # the checked head is forgotten


def test_no_token_that_was_taken_away_lets_anybody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = "mF_9.B5f-4.1JqMmF_9", "aaaaaaaaaaaaaaaaaaaa"
    changing = Changing(monkeypatch, f"auditor read {old}")
    client = changing.client

    def status(token: str) -> int:
        return client.get("/titles", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status(old), status(new)) == (200, 401)
    changing.trust = Access(changing.ledger.keyring, parse_tokens(f"auditor read {new}"))
    assert (status(old), status(new)) == (401, 200)
    # What can't be read, or has no tokens or keys left, changes nothing.
    for bad in (Access(changing.ledger.keyring), Access(Keyring(), changing.trust.tokens)):
        kept, changing.trust = changing.trust, bad
        assert (status(old), status(new)) == (401, 200)
        assert client.get("/titles").status_code == 401
        assert client.get("/readyz").json()["keyring"] == "stale"
        changing.trust = kept
    assert client.get("/readyz").json()["status"] == "ok"
