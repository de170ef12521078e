"""The service's /objects: what is offered, to whom, and what copies make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, Log
from ledger.format import layout
from ledger.format.entry import short_form
from ledger.service import Settings, create_app
from ledger.service.tokens import parse_tokens
from ledger.stores import MemoryStore, open_store
from ledger.testing import ORIGIN
from tests.sealing.sealers import CLOCK, KEYRING, Sealer, ledger_in
from tests.service.client import Client, listening, problem

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "0123456789abcdef"


@pytest.fixture
def registry(tmp_path: Path) -> Ledger:
    ledger = ledger_in(MemoryStore())
    for number in range(3):
        ledger.append("TN1", {"n": number}, reference=f"case {number}")
    ledger.append("TN2", {"n": 9})
    Sealer(tmp_path, "registry").seal(ledger.store, genesis=True)
    return ledger


def test_the_objects_are_those_of_the_store(registry: Ledger) -> None:
    client = Client(registry)
    registry.append("TN2", {"n": 10})
    hidden = (layout.REFERENCES, layout.STAGING)
    for key in registry.store.list():
        answer = client.get(f"/objects/{key}")
        if key.startswith(hidden):
            problem(answer, 404, "unknown-path")
            continue
        assert answer.content == registry.store.get(key).data
        assert answer.headers["ledger-objects"] == "1"
        assert answer.headers["content-type"] == "application/octet-stream"  # JSON or not
        tag = answer.headers["etag"]
        assert client.get(f"/objects/{key}", headers={"If-None-Match": tag}).status_code == 304
        head = client.request("HEAD", f"/objects/{key}")
        assert (head.status_code, head.content) == (200, b"")
    assert 'route="/objects/{key:path}"' in client.get("/metrics").text


@pytest.mark.parametrize(
    "key",
    ["", "x", "TN9/head.json", "TN1", "TN1/x.json",
     "_packs/A/B.1-" + "0" * 64,
     "_log/tile/entries/000", "_trust/1.json", "tokens", "_log/sealed/x/y", "%2e%2e/etc/passwd"],
)  # fmt: skip
def test_nothing_else_is_shown(registry: Ledger, key: str) -> None:
    registry.store.create("tokens", b"secret")
    answer = Client(registry).get(f"/objects/{key}")
    problem(answer, 404, "unknown-path")
    assert "secret" not in answer.text


def test_whoever_may_read_may_read_objects(registry: Ledger) -> None:
    client = Client(registry, tokens=parse_tokens(f"auditor read {TOKEN}"))
    problem(client.get("/objects/ledger.json"), 401, "unauthorized")
    allowed = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/objects/ledger.json", headers=allowed).status_code == 200


def test_a_text_that_is_ordered_erased_is_not_shown(registry: Ledger) -> None:
    entry = registry.entry("TN1", "v1")
    key = layout.entry_key("TN1", entry.address)
    client = Client(registry)
    assert client.get(f"/objects/{key}").content == entry.data
    registry.erase("TN1", [1], reference="order", message="", change=lambda _: {"n": -1})
    assert registry.store.get(key).data == entry.data  # the log lacks the order
    assert client.get(f"/objects/{key}").content == short_form(entry.data)


def test_a_copy_over_http_is_whole_and_needs_the_token(registry: Ledger) -> None:
    registry.erase("TN1", [1], reference="order", message="", change=lambda _: {"n": -1})
    app = create_app(registry, Settings(tokens=parse_tokens(f"auditor read {TOKEN}")))
    copy = MemoryStore()
    with (
        listening(app) as url,
        Ledger.open(open_store(url, bearer=TOKEN), keyring=KEYRING, clock=CLOCK) as there,
    ):
        assert Log(there).audit().run()
        done = Ledger.for_import(copy, origin=ORIGIN, keyring=KEYRING).pull(there)
    assert (done.moved, done.leaves) == (2, 4)
    report = Log(ledger_in(copy)).audit().run()
    assert report, report.findings
