"""A service whose keyring pins a trust file: it follows what holders decide, while it runs."""

from __future__ import annotations

import pytest

from ledger.service import Access, Settings, create_app, parse_tokens, reload
from ledger.stores.base import Blob
from ledger.testing import signer
from tests.service.client import Client, problem
from tests.trust.people import revoke
from tests.trust.world import World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(reload, "SECONDS", 0.0)
    return World(tmp_path, registrars="alice bob")


def test_a_running_service_follows_the_trust_files(world):
    ledger = world.open("bob")
    client = Client(ledger)
    assert client.post("/titles/TN1", {"n": 1}).status_code == 201
    world.seal()
    good = world.checkpoint().size
    world.forge("TN2", "alice")
    assert client.get("/titles/TN2/verification").json()["outcome"] == "verified"
    world.publish(keys=world.without("alice"), revoked=[revoke(signer("alice").public_key, good)])
    report = client.get("/titles/TN2/verification").json()
    assert (report["outcome"], report["findings"][0]["slug"]) == ("tampered", "key-ended")
    assert client.post("/titles/TN1", {"n": 2}).status_code == 201
    world.publish(keys=world.without("bob"))
    refused = client.post("/titles/TN1", {"n": 3})
    assert (refused.status_code, refused.json()["type"].rpartition("#")[2]) == (500, "untrusted")
    assert client.get("/titles/TN1").json()["n"] == 2


def test_trust_files_that_cannot_be_read_change_nothing(world):
    ledger = world.open("bob")
    client = Client(ledger)
    world.store.create("_trust/2.json", b"junk")
    assert client.post("/titles/TN1", {"n": 1}).status_code == 201
    report = client.get("/titles/TN1/verification").json()
    assert [each["slug"] for each in report["findings"]] == ["trust-not-accepted"]


@pytest.mark.parametrize("there", [None, Blob(b"junk", "1")])
def test_a_token_that_was_taken_away_is_gone_even_if_trust_files_cannot_be_read(
    world, monkeypatch, there
):
    ledger = world.open("bob")
    old, new = (
        Access(ledger.keyring.own, parse_tokens(f"intake write {each * 20}")) for each in "on"
    )
    now = [old]
    client = Client(ledger)
    client.app = create_app(ledger, Settings(tokens=old.tokens), read_access=lambda: now[0])

    def status(token):
        return client.get("/titles", headers={"Authorization": f"Bearer {token * 20}"}).status_code

    assert (status("o"), status("n")) == (200, 401)
    read = world.store.get
    monkeypatch.setattr(
        world.store, "get", lambda key: there if key.startswith("_trust/") else read(key)
    )
    now = [new]
    assert (status("o"), status("n")) == (401, 200)
    assert client.get("/readyz").json()["keyring"] == "stale"


def test_a_title_whose_head_does_not_stand_takes_nothing_until_it_is_settled(world):
    ledger = world.open("bob")
    client = Client(ledger)
    world.seal()
    world.forge("TN1", "alice")
    world.publish(
        keys=world.without("alice"),
        revoked=[revoke(signer("alice").public_key, world.checkpoint().size)],
    )
    said = problem(client.post("/titles/TN1", {"n": 2}), 409, "not-standing")
    assert said["reason"] == "key-ended"
    assert "ledger settle" in said["hint"]
    world.open("bob").settle("TN1", voids=[1], change=lambda _: {"n": 0})
    assert client.post("/titles/TN1", {"n": 2}).status_code == 201
