"""A ledger behind a web server: what is taken for an object, and what is not."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from ledger import Ledger, Log
from ledger.errors import IntegrityError, InvalidError, StoreDenied, StoreUnavailable
from ledger.format.layout import LEDGER_KEY, head_key
from ledger.stores import FolderStore, MemoryStore, open_store
from ledger.stores import web as web_module
from ledger.stores.web import WebStore
from ledger.testing import ORIGIN
from tests.sealing.sealers import CLOCK, KEYRING, Sealer, ledger_in
from tests.servers import nginx
from tests.stores.wire import DROP, answer, wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDENTITY = b'{"format":1,"origin":"example.org/titles"}'
HEAD = head_key("TN1")
THERE = answer(200, IDENTITY)
PLAIN = (answer(404), THERE)
"""How a plain web server answers first: it has no /objects, and has ledger.json."""
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[mock.Mock]:
    with mock.patch("ledger.stores.web.time.sleep") as sleep:
        yield sleep


def read(*answers: bytes, key: str = HEAD, **options: str):
    with wire(*answers) as server:
        store = WebStore(server.url, **options)
        blob = store.get(key)
        store.close()
        return blob, server.requests


def used(url: str) -> WebStore:
    """A store that knows already where the objects are."""
    store = WebStore(url)
    assert store.get(LEDGER_KEY)
    return store


# -- What is taken for an object ----------------------------------------------------------------


def test_a_plain_server_and_a_service_are_told_apart():
    blob, requests = read(*PLAIN, answer(200, b"{}", ETag='"7"'))
    assert blob == (b"{}", '"7"')
    assert [each.path for each in requests] == [
        "/objects/ledger.json", "/ledger.json", f"/{HEAD}",
    ]  # fmt: skip
    _, requests = read(answer(200, IDENTITY, **{"Ledger-Objects": "1"}), answer(200, b"{}"))
    assert requests[1].path == f"/objects/{HEAD}"


def test_what_is_not_there_is_none():
    assert read(*PLAIN, answer(404))[0] is None
    told = {"Ledger-Objects": "1"}
    assert read(answer(200, IDENTITY, **told), answer(404, **told))[0] is None
    assert read(answer(404))[0] is None


@pytest.mark.parametrize(
    "unclear",
    [
        DROP,
        answer(503),
        answer(429, **{"Retry-After": "1"}),
        answer(500),
        answer(200, b"{", length=9),
    ],
)
def test_an_unclear_answer_is_asked_for_again(unclear):
    assert read(*PLAIN, unclear, unclear, answer(200, b"{}"))[0].data == b"{}"
    with pytest.raises(StoreUnavailable):
        read(*PLAIN, unclear)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer(200, b"<!doctype html>Log in", **HTML), StoreUnavailable, "a web page"),
        (answer(302, Location="https://login.example/"), StoreUnavailable, "another server"),
        (answer(401), StoreDenied, "401"),
        (answer(403), StoreDenied, "403"),
        (answer(418), StoreUnavailable, "418"),
        (answer(206, b"{"), StoreUnavailable, "206"),
        (answer(200, b"\x1f\x8b", **{"Content-Encoding": "gzip"}), StoreUnavailable, "encoded"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", StoreUnavailable, "how long"),
        (answer(302, Location="/again"), StoreUnavailable, "without end"),
    ],
)
def test_what_is_no_object_is_an_error_of_the_store(said, error, words):
    with pytest.raises(error, match=words):
        read(*PLAIN, said)


def test_a_404_of_a_proxy_is_not_an_absence():
    with pytest.raises(StoreUnavailable, match="a proxy answered"):
        read(answer(200, IDENTITY, **{"Ledger-Objects": "1"}), answer(404, b"<html>", **HTML))


def test_a_server_that_sends_without_end_is_let_go(monkeypatch):
    monkeypatch.setattr(web_module, "LIMIT", 1 << 20)
    with pytest.raises(IntegrityError, match="larger than"):
        read(*PLAIN, answer(200, b"x" * (3 << 20)))


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_sends_a_byte_now_and_then_is_let_go(monkeypatch, no_waits, status):
    """With a length that it keeps to: each read alone would wait until all of it is there."""
    monkeypatch.setattr(web_module, "WAITS", (0.0,))
    with wire(*PLAIN, THERE, answer(status, length=1000), drips=0.1) as server:
        store, begun = used(server.url), time.monotonic()
        if status == 404:
            assert store.get(HEAD) is None
        else:
            monkeypatch.setattr(web_module, "OVERALL", 0.3)
            with pytest.raises(StoreUnavailable, match="did not come within"):
                store.get(HEAD)
        assert time.monotonic() - begun < 30  # and not a hundred seconds
        store.close()


@pytest.mark.parametrize("head", [b"HTT", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_sends_its_head_a_byte_now_and_then_is_let_go(monkeypatch, no_waits, head):
    with wire(*PLAIN, THERE, head, drips=0.1) as server:
        store, begun = used(server.url), time.monotonic()
        monkeypatch.setattr(web_module, "OVERALL", 0.5)
        with pytest.raises(StoreUnavailable, match=r"did not come within 0\.5 s"):
            store.get(HEAD)
        assert time.monotonic() - begun < 30
        assert len(server.requests) <= 1 + len(PLAIN) + 1  # the time is for all tries together
        store.close()


def test_a_redirect_within_the_server_is_followed():
    blob, requests = read(*PLAIN, answer(307, Location="/elsewhere"), answer(200, b"{}"))
    assert blob.data == b"{}"
    assert requests[-1].path == "/elsewhere"


# -- Credentials --------------------------------------------------------------------------------


def test_a_credential_is_sent_and_never_shown():
    _, requests = read(THERE, answer(404), token="SECRETSECRET")
    assert {each.headers["authorization"] for each in requests} == {"Bearer SECRETSECRET"}
    with wire(THERE, answer(404)) as server:
        store = WebStore(server.url.replace("//", "//ada:SECRET@"))
        store.get(HEAD)
        basic = base64.b64encode(b"ada:SECRET").decode()
        assert server.requests[-1].headers["authorization"] == f"Basic {basic}"
        assert "SECRET" not in store.url + repr(store)
    with wire(answer(302, Location="https://user:SECRET@login.example/?SECRET")) as server:
        with pytest.raises(StoreUnavailable) as caught:
            WebStore(server.url, token="SECRETSECRET").get(HEAD)
        assert "SECRET" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    "url",
    ["http://", "https:///x", "https://h/?q", "https://h/#f", "https://h:x", "ftp://SECRET@h",
     "https://u:SECRET@h/ x", "https://SECRET@ü"],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidError) as caught:
        WebStore(url)
    assert "SECRET" not in str(caught.value)


def test_a_credential_is_not_sent_in_the_clear():
    for url, token in (
        ("http://register.example", "SECRETSECRET"),
        ("http://a:SECRET@h.example", None),
    ):
        with pytest.raises(InvalidError, match="in the clear") as caught:
            WebStore(url, token=token)
        assert "SECRET" not in str(caught.value)
    assert open_store("https://register.example/a/", bearer="x").url == "https://register.example/a"


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    with https(tmp_path) as url:
        with pytest.raises(StoreUnavailable, match="certificate"):
            WebStore(url).get(HEAD)
        with mock.patch.dict(os.environ, SSL_CERT_FILE=str(tmp_path / "cert.pem")):
            assert WebStore(url).get("ledger.json").data == IDENTITY


@contextmanager
def https(folder: Path) -> Iterator[str]:
    """A server with a certificate that nobody vouches for."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ed25519 -nodes -days 1 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True, timeout=60)
    (folder / "www").mkdir()
    (folder / "www" / "ledger.json").write_bytes(IDENTITY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder / "www")) as server:
        server.handle_error = lambda *_: None
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()
        thread.join(20)


# -- What can't be done -------------------------------------------------------------------------


def test_nothing_is_written_or_listed():
    store = WebStore("https://register.example")
    for call in (
        lambda: store.create(HEAD, b""),
        lambda: store.replace(HEAD, b"", ""),
        lambda: store.delete(HEAD),
        store.check_writable,
    ):
        with pytest.raises(StoreDenied, match="read-only"):
            call()
    with pytest.raises(StoreUnavailable, match="can't be listed"):
        store.list()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.get(HEAD)


# -- A real server over a plain folder ----------------------------------------------------------


def test_a_ledger_in_a_folder_behind_nginx(tmp_path: Path) -> None:
    folder, copy = FolderStore(tmp_path / "registry"), MemoryStore()
    ledger = ledger_in(folder)
    for number in range(12):
        ledger.append("TN1", {"n": number})
        ledger.append(f"TN{number + 2}", {"n": number}, reference=f"case {number}")
    Sealer(tmp_path, "registry").seal(folder, genesis=True)
    ledger.append("TN2", {"n": -1})  # it waits, and its marker explains it
    with nginx(tmp_path / "registry", tmp_path) as url:
        with Ledger.open(f"{url}/register", keyring=KEYRING, clock=CLOCK) as there:
            assert there.verify_all()
            assert Log(there).audit().run()
            assert list(there.titles(prefix="TN1", after="TN1", limit=3)) == [
                "TN10",
                "TN11",
                "TN12",
            ]
            assert there.entry("TN1", "v3").document == {"n": 2}
            assert there.verify("TN2").entries == 2
            assert Log(there).receipt("TN3")
            done = Ledger.for_import(copy, origin=ORIGIN, keyring=KEYRING).pull(there)
            assert (done.moved, done.unlogged) == (13, 1)
        assert Log(ledger_in(copy)).audit().run()
