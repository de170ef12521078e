"""A store that is slow, that fails, that loses answers; bodies that are too large; defects."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ledger import Draft
from ledger.errors import NotFoundError, OutcomeUnknown, StoreDenied, StoreUnavailable
from ledger.format.layout import head_key
from ledger.service import app
from ledger.service.routes import health
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import memory_ledger
from tests.service.client import DIGEST, DOCUMENT, HTML, TITLE, Client, problem, serving
from tests.tampering import objects_of
from tests.wrappers import FailingStore, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from ledger.stores import Blob

PATH = f"/titles/{TITLE}"
REPEATABLE = {"Idempotency-Key": "A-17"}


# -- What failed, and whether it was written -----------------------------------------------------


class Unreachable(Wrapper):
    """A store that does nothing any more from some moment on."""

    error: type[Exception] | None = None

    def called(self, operation: str, key: str) -> None:
        if self.error is not None:
            raise self.error("the store is down")


@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied])
def test_503_says_to_try_again_as_nothing_was_written(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0)
    store = Unreachable(MemoryStore())
    client = Client(memory_ledger(store))
    client.post(PATH, DOCUMENT)
    store.error = error
    for method in ("GET", "POST"):
        options: dict[str, Any] = {"json": DOCUMENT} if method == "POST" else {}
        answer = client.request(method, PATH, **options)
        problem(answer, 503, getattr(error, "slug", ""))
        assert answer.headers["retry-after"] == "5"
    ready = client.get("/readyz")
    problem(ready, 503, "not-ready")
    assert ready.headers["retry-after"] == "5"
    assert client.get("/healthz").json() == {"status": "ok"}
    store.error = None
    assert client.get("/readyz").json()["status"] == "ok"
    assert client.ledger.head(TITLE).version == 1
    failures = f'ledger_store_failures_total{{slug="{getattr(error, "slug", "")}"}} 2.0'
    assert failures in client.get("/metrics").text


def empty(client: Client, *kept: str) -> None:
    """Take everything out of the store, but for objects whose keys begin like this."""
    store = client.ledger.store
    left = {key: data for key, data in objects_of(store).items() if key.startswith(kept or ("\0",))}
    store.__init__()  # type: ignore[misc]
    store.create_many(left.items())


class Gone(Wrapper):
    """A bucket that was deleted: it answers 404 to everything."""

    gone = False

    def called(self, operation: str, key: str) -> None:
        if self.gone:
            raise NotFoundError("no such bucket: NoSuchBucket")


READS = [
    "/titles",
    "/titles?q=TN",
    PATH,
    f"{PATH}?version=1",
    f"{PATH}/entries",
    f"{PATH}/entries/{'0' * 64}",
    f"{PATH}/diff",
    f"{PATH}/verification",
    f"{PATH}/bundle",
    f"{PATH}/receipt",
    "/titles/NEVERSEEN",
    "/titles/NEVERSEEN/verification",
    "/log/checkpoint",
]


@pytest.mark.parametrize("headers", [{}, HTML])
def test_a_store_that_is_not_there_is_not_called_empty_or_unregistered(
    headers: dict[str, str],
) -> None:
    client = Client()
    client.post(PATH, DOCUMENT)
    empty(client)
    said = {path: client.get(path, headers=headers).status_code for path in READS}
    assert said == dict.fromkeys(READS, 503)
    gone = Gone(MemoryStore())
    client = Client(memory_ledger(gone))
    client.post(PATH, DOCUMENT)
    gone.gone = True
    said = {path: client.get(path).json()["slug"] for path in READS}
    assert said == dict.fromkeys(READS, "not-ready")


def test_a_folder_that_was_unmounted_is_a_503_for_reads_and_writes(tmp_path: Path) -> None:
    client = Client(memory_ledger(FolderStore(tmp_path / "titles")))
    client.post(PATH, DOCUMENT)
    (tmp_path / "titles").rename(tmp_path / "unmounted")
    for left in (False, True):
        if left:
            (tmp_path / "titles").mkdir()
        for path in READS:
            assert client.get(path).status_code == 503, (path, left)
        for path in (PATH, "/titles/NEVERSEEN"):
            assert client.post(path, {}).status_code == 503, (path, left)
    assert not list((tmp_path / "titles").iterdir())


def test_a_ledger_that_is_there_still_says_what_is_not_registered() -> None:
    client = Client()
    assert client.get("/titles").json() == {"titles": []}
    said = problem(client.get(PATH), 404, "not-found")
    assert "ledger " not in said["hint"]
    problem(client.get(f"{PATH}/verification"), 404, "not-found")


@pytest.mark.parametrize("path", ["", "?version=1", "/entries", "/diff", "/bundle", "/receipt"])
def test_a_title_whose_head_is_gone_or_damaged_is_not_a_bare_error(path: str) -> None:
    client = Client()
    for _ in range(2):
        client.post(PATH, DOCUMENT)
    kept = objects_of(client.ledger.store)
    for data, reason in ((None, "head-missing"), (b"garbage", "")):
        client.ledger.store.__init__()  # type: ignore[misc]
        damaged = {**kept, head_key(TITLE): data}
        client.ledger.store.create_many((k, v) for k, v in damaged.items() if v is not None)
        said = problem(client.get(PATH + path), 500, "integrity")
        assert said["reason"] == reason or not reason
        assert said["verification"] == f"http://localhost:5000{PATH}/verification"
        page = client.get(PATH + path, headers=HTML)
        assert page.status_code == 500
        assert f'href="{PATH}/verification"' in page.text
        assert client.get(f"{PATH}/verification").json()["outcome"] != "verified"


class LosingStore(Wrapper):
    """Swaps heads and never says so; from then on, nothing can be read."""

    lost = False

    def returned(self, operation: str, key: str) -> None:
        if operation in {"create", "replace"} and key.endswith("head.json"):
            self.lost = True
            raise OutcomeUnknown("the connection was reset")

    def called(self, operation: str, key: str) -> None:
        if self.lost:
            raise StoreUnavailable("unreachable")


def test_504_names_what_to_look_for_and_does_not_say_to_try_again() -> None:
    store = LosingStore(MemoryStore())
    client = Client(memory_ledger(store))
    answer = client.post(PATH, DOCUMENT, headers=REPEATABLE)
    said = problem(answer, 504, "outcome-unknown")
    assert "retry-after" not in answer.headers
    store.lost = False
    assert client.ledger.head(TITLE).address == said["address"]
    again = client.post(PATH, DOCUMENT, headers=REPEATABLE)
    assert (again.status_code, again.headers["ledger-address"]) == (200, said["address"])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("failing", range(4))
def test_one_lost_answer_is_settled_or_can_be_asked_for_again(failing: int, after: bool) -> None:
    store = FailingStore(MemoryStore(), None, after=after)
    client = Client(memory_ledger(store))
    store.failing, store.count = failing, 0
    first = client.post(PATH, DOCUMENT, headers=REPEATABLE)
    assert first.status_code in {201, 503}, first.text
    if first.status_code == 503:
        first = client.post(PATH, DOCUMENT, headers=REPEATABLE)
        assert first.status_code == 201
    store.failing = None
    assert client.post(PATH, DOCUMENT, headers=REPEATABLE).status_code == 200
    assert client.ledger.head(TITLE).version == 1


class Defective(Wrapper):
    """A store with a defect."""

    defective = False

    def get(self, key: str) -> Blob | None:
        if self.defective:
            raise ZeroDivisionError("a secret of the inside")
        return super().get(key)


@pytest.mark.parametrize("headers", [{}, HTML])
def test_a_defect_is_logged_and_not_shown(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    store = Defective(MemoryStore())
    client = Client(memory_ledger(store))
    store.defective = True
    answer = client.get(PATH, headers=headers)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    if not headers:
        problem(answer, 500, "unexpected")
    assert "ZeroDivisionError" in caplog.text


# -- A slow store --------------------------------------------------------------------------------


class SlowStore(Wrapper):
    """Reads wait until they are let go."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = 0

    def called(self, operation: str, key: str) -> None:
        if operation == "get":
            self.waiting += 1
            assert self.gate.wait(20)
            self.waiting -= 1


def test_a_slow_store_does_not_stop_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PROBE_TIMEOUT", 1)
    store = SlowStore()
    client = Client(memory_ledger(store), concurrency=3, patience=1)
    client.ledger.append(TITLE, {})

    async def scene() -> None:
        store.gate.clear()
        readers = [asyncio.create_task(client.later("GET", PATH)) for _ in range(3)]
        while store.waiting < 3:
            await asyncio.sleep(0.01)
        # The store is busy with three: health answers, one more waits for its turn in vain.
        assert (await client.later("GET", "/healthz")).status_code == 200
        metrics = (await client.later("GET", "/metrics")).text
        assert "ledger_store_in_use 3.0" in metrics
        refused = await client.later("GET", PATH)
        problem(refused, 503, "busy")
        assert refused.headers["retry-after"] == "5"
        assert store.waiting == 4  # the metrics, too, have a thread of their own
        store.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*readers)] == [200] * 3
        assert (await client.later("GET", PATH)).status_code == 200

    asyncio.run(scene())


def test_many_probes_are_one_call_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 600)
    store = SlowStore()
    client = Client(memory_ledger(store), concurrency=2)
    client.ledger.append(TITLE, {})

    async def scene() -> None:
        store.gate.clear()
        probes = [asyncio.create_task(client.later("GET", "/readyz")) for _ in range(20)]
        while not store.waiting:
            await asyncio.sleep(0.01)
        reader = asyncio.create_task(client.later("GET", PATH))  # for whom there is a place
        while store.waiting < 2:
            await asyncio.sleep(0.01)
        store.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*probes)] == [200] * 20
        assert (await reader).status_code == 200
        assert (await client.later("GET", "/readyz")).status_code == 200
        told = (await client.later("GET", "/metrics")).text
        assert 'ledger_store_seconds_count{operation="readyz"} 1.0' in told

    asyncio.run(scene())


class Leaping(asyncio.SelectorEventLoop):
    """Its time leaps to when nobody waits any more, and however slow a machine is, not before."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def leap(self) -> None:
        self.ahead += 60


class HangingStore(Wrapper):
    """From some moment on, a read, or a swap of a head, does not come back until it is let go."""

    loop: Leaping
    """In which somebody waits for it."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.gate = threading.Event()
        self.hangs: tuple[str, ...] = ()
        """How an operation and its key begin."""
        self.hanging = 0

    def called(self, operation: str, key: str) -> None:
        if f"{operation} {key}".startswith(self.hangs or "\0"):
            self.hanging += 1
            with suppress(RuntimeError):  # nobody waits any more
                self.loop.call_soon_threadsafe(self.loop.leap)
            assert self.gate.wait(20)

    def let_go(self, client: Client) -> None:
        """Let it answer again, and wait until no thread uses it."""
        self.hangs = ()
        self.gate.set()
        client.app.state.context.threads.wait_until_idle()
        while client.app.state.context.threads.in_use:
            time.sleep(0.01)


class HangingClient(Client):
    """Calls a service that gives up at once what hangs, and nothing else."""

    def __init__(self, store: HangingStore, **settings: Any) -> None:
        super().__init__(memory_ledger(store), **settings)
        self.store = store

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        self.store.loop = Leaping()
        with asyncio.Runner(loop_factory=lambda: self.store.loop) as runner:
            return runner.run(self.later(method, path, **options))


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, HangingStore]]:
    monkeypatch.setattr(app, "PROBE_PATIENCE", 0.1)
    store = HangingStore()
    client = HangingClient(store, concurrency=3)
    client.post(PATH, DOCUMENT)
    yield client, store
    store.gate.set()


def test_a_registration_that_hangs_is_not_given_up(hanging: tuple[Client, HangingStore]) -> None:
    """It may yet be written, and what gives up a part would stand beside it."""
    client, store = hanging
    parts = [{"title_number": name, "document": {}} for name in ("A", "B")]
    store.hangs = (f"create {head_key('B')}",)
    body = {"reference": "R", "parts": parts}
    assert client.post("/registrations", body).status_code == 504
    assert client.get("/registrations/R").json()["missing"] == [[2, 2]]
    problem(client.post("/registrations/R/give-up", {}), 503, "busy")
    store.let_go(client)
    found = client.post("/registrations/R/give-up", {})
    assert (found.status_code, found.json()["conflicts"]) == (200, [])
    assert {each["title_number"] for each in found.json()["entries"]} == {"A", "B"}


def test_what_is_just_being_given_up_is_not_registered(
    hanging: tuple[Client, HangingStore],
) -> None:
    client, store = hanging
    drafts = [Draft("A", {}, reference="R", part=(1, 2))]
    assert [each.error for each in client.ledger.append_many(drafts)] == [None]
    store.hangs = (f"replace {head_key('A')}",)
    assert client.post("/registrations/R/give-up", {}).status_code == 504
    parts = [{"title_number": name, "document": {}} for name in ("A", "B")]
    body = {"reference": "R", "parts": parts}
    problem(client.post("/registrations", body), 503, "busy")
    store.let_go(client)
    problem(client.post("/registrations", body), 409, "reference-conflict")
    found = client.get("/registrations/R").json()
    assert (found["missing"], found["conflicts"]) == ([], [])


def test_a_store_that_hangs_is_a_503_in_time_and_takes_no_more_threads_than_places(
    hanging: tuple[Client, HangingStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0)
    client, store = hanging
    store.hangs = ("",)
    threads = threading.active_count()
    slugs = []
    for path in [*READS, "/objects/ledger.json", "/registrations/A-17", "/changes"]:
        started = time.monotonic()
        answer = client.get(path)
        assert time.monotonic() - started < 5
        slugs.append(answer.json()["slug"])
        problem(answer, 503, slugs[-1])
        assert answer.headers["retry-after"] == "5"
        if len(slugs) == 3:  # no place is left, nor will be
            monkeypatch.setattr(client.app.state.context.threads, "_patience", 0.1)
    assert slugs[:3] == ["timed-out"] * 3
    assert set(slugs[3:]) == {"busy"}
    problem(client.post(PATH, {"n": 2}), 503, "busy")
    for _ in range(5):
        problem(client.get("/readyz"), 503, "not-ready")
    assert "ledger_store_in_use 3.0" in client.get("/metrics").text
    assert client.get("/healthz").status_code == 200
    assert store.hanging <= 3 + app.PROBES
    assert threading.active_count() - threads <= 3 + app.PROBES
    store.let_go(client)
    assert client.get(PATH).status_code == 200
    assert client.ledger.head(TITLE).version == 1


PARTS = [{"title_number": name, "document": {"n": 2}} for name in (TITLE, "TN2")]
WRITES: dict[str, dict[str, Any]] = {
    PATH: {"n": 2},
    f"{PATH}/erasures": {"versions": [1], "reference": "A-17", "message": ""},
    "/registrations": {"reference": "A-17", "parts": PARTS},
    "/registrations/A-0/give-up": {"message": "given up"},
}


@pytest.mark.parametrize("path", WRITES)
def test_what_was_not_written_in_time_is_not_written_later(
    hanging: tuple[Client, HangingStore], path: str
) -> None:
    client, store = hanging
    half = Draft("TN3", {}, reference="A-0", part=(1, 2))
    client.ledger.submit(half)
    before = objects_of(store.inner)
    store.hangs = ("get " + head_key(TITLE), "get " + head_key("TN3"))
    said = problem(client.post(path, WRITES[path]), 503, "timed-out")
    assert "nothing was done" in said["detail"]
    store.let_go(client)
    assert objects_of(store.inner) == before
    assert client.post(path, WRITES[path]).status_code in {200, 201, 202}


@pytest.mark.parametrize("path", WRITES)
def test_from_its_first_write_on_it_is_carried_out_when_the_store_comes_back(
    hanging: tuple[Client, HangingStore], path: str
) -> None:
    client, store = hanging
    client.ledger.submit(Draft("TN3", {}, reference="A-0", part=(1, 2)))
    before = objects_of(store.inner)
    store.hangs = ("create",)
    answer = client.post(path, WRITES[path], headers=REPEATABLE)
    problem(answer, 504, "outcome-unknown")
    assert objects_of(store.inner) == before
    store.let_go(client)
    after = objects_of(store.inner)
    assert after != before
    assert client.post(path, WRITES[path], headers=REPEATABLE).status_code in {200, 202}


def test_a_write_that_timed_out_says_that_it_may_yet_be_written_and_is_found_again(
    hanging: tuple[Client, HangingStore],
) -> None:
    client, store = hanging
    store.hangs = ("replace " + head_key(TITLE),)
    answer = client.post(PATH, {"n": 2}, headers=REPEATABLE)
    said = problem(answer, 504, "outcome-unknown")
    assert "may yet be" in said["detail"]
    assert "Idempotency-Key" in said["hint"]
    assert "retry-after" not in answer.headers
    assert client.get(PATH).json()["sha256"] == DIGEST
    store.let_go(client)
    assert client.get(PATH).json()["n"] == 2
    again = client.post(PATH, {"n": 2}, headers=REPEATABLE)
    assert again.status_code == 200
    assert client.ledger.head(TITLE).version == 2


def test_a_stop_does_not_wait_for_a_store_that_hangs(folder: str, home: Path) -> None:
    """And a thread that hangs does not keep the process."""
    hang = """
import time
from ledger.stores import FolderStore
get = FolderStore.get
FolderStore.get = lambda store, key: time.sleep(600) if "HANG" in key else get(store, key)
"""
    with serving(folder, home, "--timeout", "1s", before=hang) as server:
        answer = httpx.get(f"{server.url}/titles/HANG", timeout=20)
        problem(answer, 503, "timed-out")
        assert server.stop() == 0


# -- Bodies --------------------------------------------------------------------------------------


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    client = Client(max_body=100)

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    headers = {"Content-Type": "application/json", "Content-Length": "101"}
    answer = client.request("POST", PATH, content=never(), headers=headers)
    problem(answer, 413, "too-large")
    assert answer.headers["connection"] == "close"


def test_a_body_that_turns_out_too_large_is_read_no_further() -> None:
    client, chunks = Client(max_body=100), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal chunks
        while True:
            chunks += 1
            yield b" " * 40

    headers = {"Content-Type": "application/json"}
    answer = client.request("POST", PATH, content=endless(), headers=headers)
    problem(answer, 413, "too-large")
    assert chunks == 3


def test_a_body_at_the_limit_is_taken() -> None:
    body = b'{"title_number":"TN1"}'
    client = Client(max_body=len(body))
    assert client.send("/titles", body).status_code == 201
    problem(client.send("/titles", body + b" "), 413, "too-large")


def test_an_entry_that_would_be_too_large_is_refused(client: Client) -> None:
    problem(client.post(PATH, {"a": "x" * (1 << 20)}), 422, "invalid")


def test_an_encoded_body_is_refused(client: Client) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.request("POST", PATH, content=b"{}", headers=headers)
    problem(answer, 415, "unsupported-media-type")


# -- Metrics -------------------------------------------------------------------------------------


def test_metrics(client: Client) -> None:
    head = client.post(PATH, DOCUMENT, headers=REPEATABLE).headers["etag"]
    client.post(PATH, DOCUMENT, headers=REPEATABLE)
    client.post(PATH, {"n": 2}, headers={"If-Match": head})
    client.post(PATH, {"n": 3}, headers={"If-Match": head})
    client.get(PATH)
    client.request("BREW", "/titles/TN7")
    client.get("/nope/1")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    told = answer.text.splitlines()
    for line in (
        'ledger_http_requests_total{method="POST",route="/titles/{title_number}",status="201"} 2.0',
        'ledger_http_requests_total{method="GET",route="/titles/{title_number}",status="200"} 1.0',
        'ledger_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'ledger_appends_total{outcome="appended"} 2.0',
        'ledger_appends_total{outcome="repeated"} 1.0',
        'ledger_conflicts_total{slug="head-moved"} 1.0',
        'ledger_store_seconds_count{operation="append"} 4.0',
        'ledger_http_seconds_count{method="POST",route="/titles/{title_number}"} 4.0',
        "ledger_store_in_use 0.0",
    ):
        assert line in told, answer.text
    assert 'method="other"' in answer.text
    assert "BREW" not in answer.text
    assert TITLE not in answer.text


def test_two_services_count_apart(client: Client) -> None:
    client.post(PATH, DOCUMENT)
    assert "ledger_appends_total{" not in Client().get("/metrics").text


def test_readers_who_were_refused_are_no_errors_of_ours(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for path in (PATH, "/nope", "/titles/x"):
        client.get(path)
    assert not caplog.records
