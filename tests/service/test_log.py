"""The transparency log over HTTP: its files, receipts, pages, figures, and sealing meanwhile."""

from __future__ import annotations

import html
import re
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ledger import Draft, Ledger, Log, check_entry
from ledger.errors import (
    ConflictError,
    InvalidError,
    KeyUnavailable,
    NotFoundError,
    StoreUnavailable,
    TrustError,
)
from ledger.format.layout import LOG_CHECKPOINT, head_key, sealed_key, tile_key
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.sealing import witnesses
from ledger.service import Sealer, Settings, create_app, log_view, parse_tokens
from ledger.service.routes.health import FIGURES_SECONDS
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    Edge,
    NoteKey,
    Tile,
    TileBuilder,
    WitnessPolicy,
    cut_tile,
    hash_reader,
    open_checkpoint,
)
from ledger.tlog.objects import SealedRecord
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR, assert_sealed, ledger_in
from tests.servers import wait_until
from tests.service.client import HTML, TITLE, Client, problem, serving, shell
from tests.tampering import objects_of
from tests.witnesses import Answer, Witness, served
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class World:
    """A service, its ledger, and a sealer beside it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ledger = ledger_in(MemoryStore())
        self.client = Client(self.ledger, **settings)
        self.log = Log(self.ledger)
        self.memory = folder / "memory.json"
        self.log.seal(LOG_KEY, self.memory, genesis=True)

    def append(self, title: str = TITLE, times: int = 1) -> str:
        for _ in range(times):
            entry = self.ledger.append(title, {"address": "1 low street"})
        return entry.address

    def time(self) -> float:
        return self.ledger.clock().timestamp()

    def seal(self) -> None:
        assert self.log.seal(LOG_KEY, self.memory).report

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def page(self, path: str = f"/titles/{TITLE}") -> str:
        answer = self.get(path, headers=HTML)
        assert answer.status_code == 200, answer.text
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())

    def record_only(self, leaf: int) -> None:
        """Leave the title's record only its newest leaf, as if it had room for no other."""
        head = self.ledger.head(TITLE)
        self.put(sealed_key(TITLE), SealedRecord(head.version, head.address, (leaf,)).encode())

    def put(self, key: str, data: bytes) -> None:
        """Write as somebody who can write to the store, whatever was there."""
        store = self.ledger.store
        objects = objects_of(store) | {key: data}
        store.__init__()  # type: ignore[misc]
        store.create_many(objects.items())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# -- The files of the log ------------------------------------------------------------------------


def test_a_client_of_tlog_tiles_reads_the_whole_log(world: World) -> None:
    world.append("A", 300)
    world.seal()
    note = world.get("/log/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    signed = open_checkpoint(note.content, origin=ORIGIN, log_keys=[LOG_KEY.public_key])
    assert signed.checkpoint.size == 300

    def fetch(tiles: Sequence[Tile]) -> list[bytes]:
        return [world.get(f"/log/{tile.path}").content for tile in tiles]

    assert Edge.read(300, hash_reader(300, fetch)).root() == signed.checkpoint.root
    builder = TileBuilder()
    for leaf in Log(world.ledger).reader.leaves(300):
        for tile, data in builder.append(leaf):
            assert fetch([tile]) == [data]
    assert fetch([tile for tile, _ in builder.unfinished()]) == [d for _, d in builder.unfinished()]


def test_tiles_are_kept_for_ever_and_the_checkpoint_is_asked_for_again(world: World) -> None:
    world.append()
    world.seal()
    tile = world.get("/log/tile/0/000.p/1")
    assert tile.headers["content-type"] == "application/octet-stream"
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    note = world.get("/log/checkpoint")
    assert note.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": note.headers["etag"]}
    assert world.get("/log/checkpoint", headers=known).status_code == 304
    world.append()
    world.seal()
    assert world.get("/log/checkpoint", headers=known).status_code == 200


def test_what_needs_a_token_is_nothing_for_a_shared_cache(tmp_path: Path) -> None:
    world = World(tmp_path, tokens=parse_tokens(f"auditor read {'r' * 20}"))
    world.append()
    world.seal()
    tile = world.get("/log/tile/0/000.p/1", headers={"Authorization": f"Bearer {'r' * 20}"})
    assert tile.headers["cache-control"].startswith("private, ")


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"])
def test_what_the_log_is_made_of_is_the_same_for_all_who_ask(world: World, path: str) -> None:
    world.append()
    world.seal()
    whole = world.get(f"/log/{path}", headers=HTML)
    assert whole.content == world.get(f"/log/{path}").content
    assert "vary" not in whole.headers
    head = world.client.request("HEAD", f"/log/{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["etag"] == whole.headers["etag"]
    known = world.get(f"/log/{path}", headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["cache-control"] == whole.headers["cache-control"]


def test_a_partial_tile_stays_after_it_is_full_and_was_removed(world: World) -> None:
    world.append("A", 3)
    world.seal()
    world.append("B", 300)
    world.seal()
    partial = world.get("/log/tile/entries/000.p/3").content
    assert partial == cut_tile(Tile(-1, 0, 3), world.get("/log/tile/entries/000").content)
    world.ledger.store._objects.pop(tile_key("tile/entries/000.p/3"))
    assert world.get("/log/tile/entries/000.p/3").content == partial


def test_nothing_else_of_the_log_is_served(world: World) -> None:
    paths = [
        *("tile/0/001", "tile/0/000", "tile/0/000.p/3", "tile/0/000.p/1", "tile/1/000.p/1"),
        *("tile/64/000", "tile/0/0", "tile/0/x000/000", "tile/0/000.p/256", "tile/", "tile/0/"),
        *("state", "sealed/TN1", "staging/", "", "checkpoint/", "tile/../state"),
        *("tile/%2e%2e/state", "tile/0/000%2e%2e", "tile/entries/x001", "tile/0/000.p/2/"),
    ]
    world.append("A", 2)
    world.seal()
    assert world.get("/log/tile/0/000.p/2").status_code == 200
    answers = {path: world.get(f"/log/{path}") for path in paths}
    said = {path: (each.status_code, each.json()["slug"]) for path, each in answers.items()}
    assert said == dict.fromkeys(paths, (404, "unknown-path"))


def test_a_tile_that_is_gone_is_no_404(world: World) -> None:
    world.append("A", 2)
    world.append("B", 300)
    world.seal()
    world.ledger.store._objects.pop(tile_key("tile/0/000"))
    assert problem(world.get("/log/tile/0/000"), 500, "integrity")["reason"] == "tile-missing"


@pytest.mark.parametrize("path", ["tile/0/000.p/2", "tile/entries/000.p/2"])
@pytest.mark.parametrize("data", [b"", b"x", bytes(96)])
def test_what_cannot_be_a_tile_gets_into_no_cache(world: World, path: str, data: bytes) -> None:
    world.append("A", 2)
    world.seal()
    world.put(tile_key(path), data)
    answer = world.get(f"/log/{path}")
    found = problem(answer, 500, "integrity")
    assert (found["reason"], found["object_key"]) == ("wrong-root", tile_key(path))
    assert answer.headers["cache-control"] == "no-store"


def test_a_forged_tile_beyond_the_checkpoint_is_nobodys(world: World) -> None:
    world.append()
    world.seal()
    world.put(tile_key("tile/0/000"), bytes(8192))
    problem(world.get("/log/tile/0/000"), 404, "unknown-path")


def test_a_checkpoint_that_nobody_of_ours_signed_is_not_handed_out(world: World) -> None:
    world.append()
    world.seal()
    note = world.ledger.store.get(LOG_CHECKPOINT).data
    for forged in (note.replace(b"\n1\n", b"\n2\n"), b"", b"\xff", b"x\n1\n" + note):
        world.put(LOG_CHECKPOINT, forged)
        answer = world.get("/log/checkpoint")
        assert answer.status_code == 500, answer.text
        assert answer.json()["slug"] != "unexpected"
        assert "The log could not be used." in world.page()
        assert world.get("/metrics").status_code == 200


def test_a_ledger_without_a_log_says_so() -> None:
    client = Client()
    client.ledger.append(TITLE, {})
    problem(client.get("/log/checkpoint"), 404, "not-sealed")
    problem(client.get("/log/tile/0/000"), 404, "not-sealed")
    problem(client.get(f"/titles/{TITLE}/receipt"), 404, "not-sealed")
    assert "This ledger has no log" in client.get(f"/titles/{TITLE}", headers=HTML).text
    assert "ledger_log" not in client.get("/metrics").text


def test_a_service_that_has_no_key_of_the_log_says_so(world: World) -> None:
    world.append()
    world.seal()
    keyring = KEYRING.untrust(LOG_KEY.public_key.key_id)
    stranger = Client(Ledger.open(world.ledger.store, keyring=keyring))
    problem(stranger.get("/log/checkpoint"), 500, "origin-not-pinned")
    page = stranger.get(f"/titles/{TITLE}", headers=HTML)
    assert "This service does not have the log" in page.text
    assert 'class="verdict verified"' in page.text


def test_the_log_is_read_by_whom_titles_are(tmp_path: Path) -> None:
    tokens = parse_tokens("auditor read " + "r" * 20)
    paths = ("/log/checkpoint", "/log/tile/0/000.p/1", f"/titles/{TITLE}/receipt")
    bearer = {"Authorization": f"Bearer {'r' * 20}"}
    closed = World(tmp_path, tokens=tokens)
    closed.append()
    closed.seal()
    for path in paths:
        problem(closed.get(path), 401, "unauthorized")
        answer = closed.get(path, headers=bearer)
        assert answer.status_code == 200
        assert "public" not in answer.headers["cache-control"]


# -- Receipts ------------------------------------------------------------------------------------


def test_the_receipt_of_each_version_holds_offline(world: World) -> None:
    for number in range(3):
        world.append()
        world.append(f"OTHER{number}", 200)
        world.seal()
    for entry in world.ledger.log(TITLE):
        answer = world.get(f"/titles/{TITLE}/receipt", params={"version": entry.version})
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["ledger-address"] == entry.address
        name = f"{TITLE}.v{entry.version}.receipt"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert check_entry(answer.content, entry.data, keyring=KEYRING).entry == entry
    newest = world.get(f"/titles/{TITLE}/receipt")
    assert newest.headers["ledger-address"] == world.ledger.head(TITLE).address


def test_what_is_not_in_the_log_yet_has_no_receipt(world: World) -> None:
    world.append()
    assert "try again" in problem(world.get(f"/titles/{TITLE}/receipt"), 404, "not-sealed")["hint"]
    world.seal()
    world.append()
    assert world.get(f"/titles/{TITLE}/receipt?version=1").status_code == 200
    problem(world.get(f"/titles/{TITLE}/receipt?version=2"), 404, "not-sealed")
    problem(world.get(f"/titles/{TITLE}/receipt?version=3"), 404, "not-found")
    problem(world.get("/titles/NONE/receipt"), 404, "not-found")


def test_a_receipt_is_not_looked_for_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_view, "TILES_OF_A_RECEIPT", 1)
    world.append()
    world.seal()
    world.append("OTHER", 600)
    world.append()
    world.seal()
    world.record_only(601)
    assert world.get(f"/titles/{TITLE}/receipt").status_code == 200
    found = problem(world.get(f"/titles/{TITLE}/receipt?version=1"), 422, "invalid")
    assert "ledger prove" in found["hint"]


def test_few_receipts_are_searched_for_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_view, "SEARCHES", 0)
    world.client = Client(world.ledger)
    world.append(TITLE, 2)
    world.seal()
    world.record_only(1)
    assert world.get(f"/titles/{TITLE}/receipt").status_code == 200  # there is nothing to search
    found = problem(world.get(f"/titles/{TITLE}/receipt?version=1"), 503, "busy")
    assert "again" in found["hint"]


def test_an_entry_that_was_put_in_the_place_of_a_logged_one_has_no_receipt(world: World) -> None:
    world.append()
    world.seal()
    other = ledger_in(MemoryStore())
    forged = other.append(TITLE, {"address": "2 low street"})
    world.put(f"{TITLE}/{forged.address}.json", forged.data)
    world.put(head_key(TITLE), forged.data)
    found = problem(world.get(f"/titles/{TITLE}/receipt"), 500, "integrity")
    assert found["reason"] == "not-as-logged"
    assert "The log has another entry as version 1." in world.page()


# -- Pages ---------------------------------------------------------------------------------------


def test_the_page_says_where_each_version_is_logged(world: World) -> None:
    world.append("A", 1)
    world.seal()
    world.append(TITLE, 2)
    world.seal()
    world.append()
    page = world.page()
    assert "Version 3 is not in the log yet." in page
    assert page.count("Log not in the log yet") == 1
    assert "Log leaf 1" in page
    assert "Log leaf 2" in page
    old = world.page(f"/titles/{TITLE}?version=2")
    assert "Version 2 is in the log , as leaf 2 of the 3 that the log has" in old
    assert f"/titles/{TITLE}/receipt?version=2" in old
    world.seal()
    assert "Version 3 is in the log , as leaf 3 of the 4" in world.page()
    assert "Log leaf 1" in world.page(f"/titles/{TITLE}/entries")


def test_where_is_said_of_what_was_logged_long_ago_as_far_as_it_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_view, "TILES_OF_A_PAGE", 1)
    world.append()
    world.seal()
    world.append("OTHER", 600)
    world.append()
    world.seal()
    world.record_only(601)
    assert "Log before leaf 601" in world.page()
    old = world.page(f"/titles/{TITLE}?version=1")
    assert "Version 1 was logged before leaf 601 of the 602" in old


def test_a_page_whose_record_names_another_leaf_says_so_and_finds_the_right_one(
    world: World,
) -> None:
    world.append()
    world.append("OTHER")
    world.seal()
    world.record_only(0)
    page = world.page()
    assert "Could not check everything" in page
    assert "where leaf 0 is version 1 of OTHER" in page
    assert "Version 1 is in the log , as leaf 1 of the 2" in page


def set_back(world: World) -> str:
    """Three sealed versions, and the bytes of version 2 as the head; the address of version 3."""
    newest = world.append(TITLE, 3)
    world.seal()
    world.put(head_key(TITLE), world.ledger.entry(TITLE, "v2").data)
    return newest


def test_a_title_that_was_set_back_is_not_called_verified_or_current(world: World) -> None:
    newest = set_back(world)
    page = world.page()
    assert "NOT as it was logged" in page
    assert "Version 2 of 2 not as logged" in page
    assert f"its chain lacks version 3 ({newest}), which the log has as leaf 2" in page
    said = world.get(f"/titles/{TITLE}/verification").json()
    assert said["outcome"] == "tampered"
    assert [finding["slug"] for finding in said["findings"]] == ["not-as-logged"]
    refused = problem(world.get(f"/titles/{TITLE}"), 500, "integrity")
    assert refused["reason"] == "not-as-logged"
    assert world.get(f"/titles/{TITLE}?version=1").status_code == 200
    assert "NOT as it was logged" in world.page(f"/titles/{TITLE}/verification")


def test_readiness_and_metrics_do_not_hide_a_title_that_was_set_back(world: World) -> None:
    newest = set_back(world)
    assert world.get("/readyz").json()["status"] == "ok"
    world.page()
    ready = world.get("/readyz").json()
    assert (ready["status"], ready["log"]) == ("degraded", "contradicted")
    assert "ledger_log_findings 1.0" in world.get("/metrics").text
    world.put(head_key(TITLE), world.ledger.entry(TITLE, newest).data)
    world.page()
    assert world.get("/readyz").json()["status"] == "ok"
    assert "ledger_log_findings 0.0" in world.get("/metrics").text


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_is_appended_below_what_is_logged(world: World, version: int) -> None:
    newest = set_back(world)
    world.put(head_key(TITLE), world.ledger.entry(TITLE, f"HEAD~{2 - version}").data)
    before = objects_of(world.ledger.store)
    answer = world.client.post(f"/titles/{TITLE}", {})
    said = problem(answer, 500, "integrity")
    assert said["reason"] == "not-as-logged"
    assert newest in said["detail"]
    assert said["verification"].endswith(f"/titles/{TITLE}/verification")
    assert objects_of(world.ledger.store) == before


def test_no_logged_title_is_begun_anew(world: World) -> None:
    world.append()
    world.seal()
    store = world.ledger.store
    left = {k: v for k, v in objects_of(store).items() if not k.startswith(f"{TITLE}/")}
    store.__init__()  # type: ignore[misc]
    store.create_many(left.items())
    said = problem(world.client.post(f"/titles/{TITLE}", {}), 409, "head-missing")
    assert "lacks version 1" in said["detail"]
    assert objects_of(store) == left
    for path in ("", "/entries", "/bundle", "/receipt"):
        gone = problem(world.get(f"/titles/{TITLE}{path}"), 500, "integrity")
        assert gone["reason"] == "head-missing"
    said = world.get(f"/titles/{TITLE}/verification").json()
    assert said["outcome"] == "tampered"


def test_a_fork_of_a_logged_version_is_not_called_verified(world: World) -> None:
    world.append(TITLE, 2)
    fork = world.client.ledger.preview(Draft(TITLE, {"other": 1})).entry
    logged = world.append(TITLE, 1)
    world.seal()
    world.ledger.store.create(f"{TITLE}/{fork.address}.json", fork.data)
    world.put(head_key(TITLE), fork.data)
    world.client.ledger.append(TITLE, {"on": "top"})  # not through the service, which refuses
    said = world.get(f"/titles/{TITLE}/verification").json()
    assert said["outcome"] == "tampered"
    assert logged in said["findings"][0]["message"]


@pytest.mark.parametrize(
    "record", [SealedRecord(2, "0" * 64, (1,)), SealedRecord(9, "0" * 64, (1,))]
)
def test_a_record_that_the_log_does_not_confirm_accuses_no_title(
    world: World, record: SealedRecord
) -> None:
    world.append(TITLE, 2)
    world.seal()
    world.put(sealed_key(TITLE), record.encode())
    page = world.page()
    assert "Could not check everything" in page
    assert f"{sealed_key(TITLE)}: it is not as the log has it, where leaf 1 is version 2" in page
    assert "Version 2 is in the log , as leaf 1" in page
    assert "another entry" not in page
    said = world.get(f"/titles/{TITLE}/verification").json()
    assert said["outcome"] == "unchecked"
    assert said["findings"][0]["object"] == sealed_key(TITLE)
    assert world.client.post(f"/titles/{TITLE}", {}).status_code == 201
    world.put(sealed_key(TITLE), b"{}")
    page = world.page()
    assert "Could not check everything" in page
    assert "Log leaf 1" in page


def test_the_commands_on_the_page_check_the_receipt(world: World, tmp_path: Path) -> None:
    world.append()
    world.seal()
    page = world.page()
    name = f"{TITLE}.v1.receipt"
    (tmp_path / name).write_bytes(world.get(f"/titles/{TITLE}/receipt?version=1").content)
    (tmp_path / "entry.json").write_bytes(world.ledger.head(TITLE).data)
    (tmp_path / "log.pem").write_bytes(LOG_KEY.public_key.pem())
    (tmp_path / "registrar.pem").write_bytes(signer().public_key.pem())
    commands = re.search(
        r"(ledger key trust registrar\.pem .*?) (ledger key trust log\.pem .*?)"
        r" (ledger check .*?) Download",
        page,
    ).groups()
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    ids = {"KEY_ID": signer().public_key.key_id, "LOG_KEY_ID": LOG_KEY.public_key.key_id}
    for command in commands:
        words = [ids.get(word, word) for word in command.split()[1:]]
        files = {name, "entry.json", "log.pem", "registrar.pem"}
        done = shell(*(str(tmp_path / word) if word in files else word for word in words), **home)
        assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout


def test_a_title_is_shown_where_its_log_cannot_be_read() -> None:
    store = Broken(MemoryStore())
    client = Client(ledger_in(store))
    client.ledger.append(TITLE, {})
    store.down, store.keys = True, "_log/"
    page = client.get(f"/titles/{TITLE}", headers=HTML)
    assert page.status_code == 200
    assert "The log could not be used." in page.text
    assert 'class="verdict unchecked"' in page.text  # the chain holds, the log can't be compared


# -- Figures -------------------------------------------------------------------------------------


def figure(client: Client | str, name: str) -> float | None:
    text = (
        httpx.get(f"{client}/metrics").text
        if isinstance(client, str)
        else client.get("/metrics").text
    )
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_the_figures_of_the_log(world: World) -> None:
    world.append("A", 2)
    world.seal()
    world.append("A", 3)
    assert figure(world.client, "ledger_log_size") == 2
    assert figure(world.client, "ledger_log_pending") == 3
    waited = figure(world.client, "ledger_log_oldest_pending_seconds")
    assert waited is not None
    assert waited > 0
    assert figure(world.client, "ledger_log_sealed_timestamp_seconds") is None


def test_figures_are_not_found_again_for_each_scrape(world: World) -> None:
    assert figure(world.client, "ledger_log_pending") == 0
    world.append()
    assert figure(world.client, "ledger_log_pending") == 0
    assert FIGURES_SECONDS > 1


def test_of_a_long_backlog_no_more_is_counted_than_was_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_view, "COUNTED", 3)
    world.append("A", 5)
    assert figure(world.client, "ledger_log_pending") == 3


class Broken(Wrapper):
    """A store that can't be used while ``down``."""

    down = False
    keys = ""
    """What the keys begin with that can't be used."""

    def called(self, operation: str, key: str) -> None:
        if self.down and key.startswith(self.keys):
            raise StoreUnavailable("the store is down")


def test_metrics_are_there_while_the_store_is_not(tmp_path: Path) -> None:
    store = Broken(MemoryStore())
    client = Client(ledger_in(store))
    store.down = True
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "ledger_log" not in answer.text


# -- Sealing while it runs -----------------------------------------------------------------------


def test_a_sealer_seals_what_is_appended_until_it_is_stopped(world: World) -> None:
    sealer = Sealer(world.ledger, LOG_KEY, world.memory, every=0.01)
    client = Client.__new__(Client)
    client.ledger, client.app = world.ledger, create_app(world.ledger, Settings(), sealer)
    assert client.get("/healthz").json() == {"status": "ok", "sealing": "starting"}
    sealer.start()
    for size in (1, 2):
        world.append()
        wait_until(lambda size=size: world.log.checkpoint().checkpoint.size == size)
    wait_until(lambda: client.get("/healthz").json()["sealing"] == "ok")
    assert client.get("/readyz").json()["sealing"] == "ok"
    assert figure(client, "ledger_log_sealed_timestamp_seconds")
    assert figure(client, "ledger_log_seal_failures_total") == 0
    sealer.stop()
    world.append()
    assert world.log.checkpoint().checkpoint.size == 2
    assert world.log.pending().moves == 1


def test_what_fails_is_shown_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken(MemoryStore())
    ledger = ledger_in(store)
    memory = tmp_path / "memory"
    Log(ledger).seal(LOG_KEY, memory, genesis=True)
    sealer = Sealer(ledger, LOG_KEY, memory, every=0.01)
    ledger.append(TITLE, {})
    store.down = True
    sealer.start()
    wait_until(lambda: sealer.sealing.failures > 2)
    assert (sealer.sealing.state, sealer.sealing.problem) == ("failing", "store-unavailable")
    assert [r.message for r in caplog.records if "not sealed" in r.message] == [
        "not sealed: store-unavailable: 'the store is down'"
    ]
    store.down = False
    wait_until(lambda: sealer.sealing.state == "ok")
    sealer.stop()
    assert_sealed(ledger)


def test_a_title_that_does_not_hold_is_reported_once_and_the_rest_is_sealed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.append("BAD")
    world.put(head_key("BAD"), b"garbage")
    world.append("GOOD")
    sealer = Sealer(world.ledger, LOG_KEY, world.memory, every=0.01)
    sealer.start()
    wait_until(lambda: len(sealer.sealing.findings) == 1)
    for title in ("GOOD2", "GOOD3"):
        world.append(title)
        wait_until(lambda title=title: world.log.newest_of(title) is not None)
    sealer.stop()
    assert sealer.sealing.state == "ok"
    assert len([r for r in caplog.records if "left out of the log" in r.message]) == 1


def test_no_service_begins_a_log_or_adopts_one(tmp_path: Path) -> None:
    ledger = ledger_in(MemoryStore())
    with pytest.raises(NotFoundError) as missing:
        Sealer(ledger, LOG_KEY, tmp_path / "memory")
    assert "ledger seal --genesis" in missing.value.hint
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    with pytest.raises(ConflictError) as unknown:
        Sealer(ledger, LOG_KEY, tmp_path / "other")
    assert "ledger seal --adopt" in unknown.value.hint
    for key in (REGISTRAR, signer("mallory")):
        with pytest.raises(TrustError, match="not a key of the log"):
            Sealer(ledger, key, tmp_path / "memory")


def test_a_sealer_has_each_checkpoint_cosigned(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "PAUSE", 0.0)
    city = Witness("city.example/w", NoteKey(ORIGIN, LOG_KEY.public_key).vkey, clock=world.time)
    broken = Event()

    def answer(body: bytes) -> Answer:
        return Answer(503) if broken.is_set() else city(body)

    with served(answer) as url:
        policy = WitnessPolicy.parse(f"witness city {city.vkey} {url}\nquorum city\n")
        sealer = Sealer(world.ledger, LOG_KEY, world.memory, every=0.01, policy=policy)
        client = Client.__new__(Client)
        client.ledger, client.app = world.ledger, create_app(world.ledger, Settings(), sealer)
        assert "ledger_log_witnessed" not in client.get("/metrics").text
        sealer.start()
        for size in (1, 2, 3):
            world.append()
            wait_until(lambda size=size: city.seen.get(ORIGIN, (0,))[0] == size)
            wait_until(lambda: world.log.checkpoint(witnesses=policy.witnesses).cosignatures)
        assert b"old 1" in city.asked
        assert figure(client, "ledger_log_witnessed") == 1
        broken.set()
        world.append()
        wait_until(lambda: sealer.sealing.witnessed is False)
        assert sealer.sealing.state == "ok"
        assert figure(client, "ledger_log_witnessed") == 0
        asked = len(city.asked)
        broken.clear()
        wait_until(lambda: sealer.sealing.witnessed is True)
        sealer.stop()
    assert len(city.asked) == asked + 1
    said = [r.message for r in caplog.records if "cosigned" in r.message]
    assert [line.partition(": '")[0] for line in said] == [
        "not cosigned: witness-failed",
        "not cosigned: not-witnessed",
        "cosigned again, as the policy asks",
    ]


def test_a_sealer_outlives_a_defect_of_asking(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(self: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(witnesses.Witnesses, "ask", defective)
    city = Witness("city.example/w")
    policy = WitnessPolicy.parse(f"witness city {city.vkey} http://127.0.0.1:9\nquorum city\n")
    sealer = Sealer(world.ledger, LOG_KEY, world.memory, every=0.01, policy=policy)
    sealer.start()
    for size in (1, 2):
        world.append()
        wait_until(lambda size=size: world.log.checkpoint().checkpoint.size == size)
    sealer.stop()
    assert sealer.sealing.witnessed is False
    assert "not cosigned: unexpected" in caplog.text


def test_a_policy_without_urls_does_not_serve(world: World) -> None:
    policy = WitnessPolicy.parse(f"witness city {Witness('city.example/w').vkey}\nquorum city\n")
    with pytest.raises(InvalidError, match="none has a URL"):
        Sealer(world.ledger, LOG_KEY, world.memory, policy=policy)


def test_a_service_that_gets_a_second_key_of_the_log_signs_with_it(tmp_path: Path) -> None:
    later = MLDSAPrivateKey("ML-DSA-44", bytes(32))
    ledger = ledger_in(MemoryStore())
    memory = tmp_path / "memory"
    Log(ledger).seal(LOG_KEY, memory, genesis=True)
    keyring = ledger.keyring.trust(ORIGIN, later.public_key, role="log")
    ledger = Ledger.open(ledger.store, keyring=keyring, origin=ORIGIN, signer=REGISTRAR)
    with pytest.raises(KeyUnavailable, match="ML-DSA-44"):
        Sealer(ledger, LOG_KEY, memory)
    sealer = Sealer(ledger, [LOG_KEY, later], memory, every=0.01)
    sealer.start()
    wait_until(lambda: sealer.sealing.state == "ok")
    sealer.stop()
    assert Log(ledger).checkpoint().signed_by == (LOG_KEY.public_key, later.public_key)


# -- ``ledger serve --seal-every`` ---------------------------------------------------------------


@pytest.fixture
def sealed_home(home: Path, folder: str) -> Path:
    """A user's side with a log that was begun."""
    environment = sealing_environment(home, folder)
    for command in (("key", "generate", "--for", "log"), ("seal", "--genesis")):
        done = shell(*command, **environment)
        assert done.returncode == 0, done.stderr
    return home


def sealing_environment(home: Path, folder: str) -> dict[str, str]:
    return {
        "LEDGER_STORE": folder,
        "XDG_CONFIG_HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
    }


def test_serving_seals_and_asks_witnesses(folder: str, sealed_home: Path, tmp_path: Path) -> None:
    environment = sealing_environment(sealed_home, folder)
    log = shell("key", "show", "--for", "log", "--vkey", "-q", **environment).stdout.split()[0]
    city = Witness("city.example/w", log)
    policy = tmp_path / "policy"
    with served(city) as url:
        policy.write_text(f"witness city {city.vkey} {url}\nquorum city\n")
        serve_and_seal(folder, sealed_home, policy)
    done = shell("checkpoint", "--verify", "--witness", str(policy), **environment)
    assert done.returncode == 0, done.stderr


def serve_and_seal(folder: str, sealed_home: Path, policy: Path) -> None:
    environment = sealing_environment(sealed_home, folder)
    del environment["LEDGER_STORE"], environment["XDG_CONFIG_HOME"]
    options = ["--seal-every", "0.05s", "--witness", str(policy)]
    with serving(folder, sealed_home, *options, **environment) as server:
        url = f"{server.url}/titles/{TITLE}"
        assert httpx.post(url, json={"address": "1 low street"}).status_code == 201
        wait_until(lambda: httpx.get(f"{url}/receipt").status_code == 200)
        wait_until(lambda: "city.example/w" in httpx.get(f"{server.url}/log/checkpoint").text)
        assert httpx.get(f"{server.url}/healthz").json()["sealing"] == "ok"
        page = httpx.get(f"{server.url}/log", headers=HTML).text
        assert re.search(r"<dt>Witnesses</dt><dd>\s*<bdi class=.text.>city</bdi>, <time", page)
        assert re.search(r"<dt>Last sealed</dt><dd><time", page)
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


SLOW_SEAL = """
import sys, time
from ledger.sealing import commit
publish = commit.publish

def slow_publish(*arguments, **options):
    print("publishing", file=sys.stderr, flush=True)
    time.sleep(2)
    publish(*arguments, **options)
    print("published", file=sys.stderr, flush=True)

commit.publish = slow_publish
"""


@pytest.mark.slow
def test_a_stop_waits_for_the_seal_that_is_under_way(folder: str, sealed_home: Path) -> None:
    environment = {"XDG_STATE_HOME": str(sealed_home / "state")}
    with serving(
        folder, sealed_home, "--seal-every", "0.05s", before=SLOW_SEAL, **environment
    ) as server:
        httpx.post(f"{server.url}/titles/{TITLE}", json={"address": "1 low street"})
        wait_until(lambda: "publishing" in server.log.read_text())
        assert server.stop() == 0
        assert "published" in server.log.read_text()


NO_PATIENCE = SLOW_SEAL.replace("sleep(2)", "sleep(60)") + (
    "import ledger.service.sealer\nledger.service.sealer.PATIENCE = 0.2\n"
)


@pytest.mark.slow
def test_a_seal_that_takes_too_long_is_left_to_the_next(folder: str, sealed_home: Path) -> None:
    environment = {"XDG_STATE_HOME": str(sealed_home / "state")}
    with serving(
        folder, sealed_home, "--seal-every", "0.05s", before=NO_PATIENCE, **environment
    ) as server:
        httpx.post(f"{server.url}/titles/{TITLE}", json={"address": "1 low street"})
        wait_until(lambda: "publishing" in server.log.read_text())
        assert server.stop() == 0
        assert "stopped in the middle of a seal" in server.log.read_text()
    done = shell("seal", **sealing_environment(sealed_home, folder))
    assert done.returncode == 0, done.stderr
    done = shell("checkpoint", "--verify", **sealing_environment(sealed_home, folder))
    assert done.stdout.splitlines()[1] == "1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seal-every", "5s"), "ledger key generate --for log"),
        (("--seal-every", "often"), "not a length of time: 'often'"),
        (("--seal-every", "0s"), "not a length of time"),
        (("--seal-every", "999999999d"), "not a length of time"),
        (("--log-key", "x"), "need --seal-every"),
        (("--seal-memory", "x"), "need --seal-every"),
        (("--witness", "x"), "need --seal-every"),
    ],
)
def test_what_cannot_seal_does_not_serve(
    home: Path, folder: str, options: tuple[str, ...], said: str
) -> None:
    done = shell("serve", "--port", "0", *options, **sealing_environment(home, folder))
    assert done.returncode not in {0, 1}
    assert said in done.stderr


def test_what_the_sealer_remembers_is_not_kept_in_the_store(tmp_path: Path) -> None:
    ledger = ledger_in(FolderStore(tmp_path / "titles"))
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    with pytest.raises(InvalidError):
        Sealer(ledger, LOG_KEY, tmp_path / "titles" / "memory")


def test_serving_does_not_begin_a_log(home: Path, folder: str) -> None:
    environment = sealing_environment(home, folder)
    assert shell("key", "generate", "--for", "log", **environment).returncode == 0
    done = shell("serve", "--port", "0", "--seal-every", "5s", **environment)
    assert done.returncode != 0
    assert "ledger seal --genesis" in done.stderr
    assert shell("checkpoint", **environment).returncode != 0
