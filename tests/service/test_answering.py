"""A remote store: how often an answer waits for it, and that what it shows is true all the same."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from ledger.errors import StoreUnavailable
from ledger.format.layout import LOG_CHECKPOINT, entry_key, head_key, sealed_key
from ledger.service import answering
from ledger.service.answering import AnsweringStore
from ledger.stores import FolderStore, MemoryStore
from tests.sealing.sealers import Sealer, ledger_in
from tests.service.client import HTML, TITLE, Client
from tests.wrappers import CountingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from ledger import Ledger
    from ledger.stores import Blob

PATH = f"/titles/{TITLE}"
VERSIONS = 40


class Remote(CountingStore):
    """Reads eight objects at a time; ``waits`` counts how often it is waited for."""

    concurrency = 8
    waits = 0
    meanwhile: Callable[[str], object] | None = None

    def get(self, key: str) -> Blob | None:
        self.waits += 1
        return self._get(key)

    def _get(self, key: str) -> Blob | None:
        blob = super().get(key)
        if self.meanwhile is not None:
            self.meanwhile(key)
        return blob

    def list(self, *arguments: Any, **named: Any) -> Iterator[str]:
        self.waits += 1
        return super().list(*arguments, **named)

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
        for number, key in enumerate(keys):
            self.waits += number % self.concurrency == 0
            yield key, self._get(key)


@pytest.fixture
def store() -> Remote:
    return Remote(MemoryStore())


@pytest.fixture
def ledger(store: Remote, tmp_path: Path) -> Ledger:
    """A title of many versions, all of them logged."""
    local = ledger_in(store.inner)
    for number in range(VERSIONS):
        local.append(TITLE, {"n": number})
    Sealer(tmp_path).seal(store.inner, genesis=True)
    return ledger_in(store)


def waits(client: Client, store: Remote, path: str, headers: dict[str, str]) -> int:
    before, known = store.waits, len(store.calls)
    assert client.get(path, headers=headers).status_code == 200
    keys = [key for operation, key in store.calls[known:] if operation == "get"]
    assert sorted(set(keys)) == sorted(keys), "an object was read twice"
    return store.waits - before


def test_a_page_waits_no_more_often_than_the_verification_that_is_on_it(
    ledger: Ledger, store: Remote
) -> None:
    client = Client(ledger)
    bare = waits(client, store, f"{PATH}/verification", {})
    # The head with the record and the checkpoint, a listing, the entries, and two tiles.
    assert bare <= 1 + 1 + VERSIONS // store.concurrency + 2
    for path in ("", "?version=1", "/entries", "/diff?from=v1&to=v3", "/blame", "/verification"):
        assert waits(client, store, PATH + path, HTML) <= bare, path
    for path in ("?version=1", "/entries", "/diff?from=v1&to=v3", "/bundle", "/receipt?version=1"):
        assert waits(client, store, PATH + path, {}) <= 1.5 * bare, path
    assert waits(client, store, PATH, {}) == 1  # the record comes with the head


@pytest.mark.parametrize("headers", [{}, HTML])
def test_a_title_that_moves_on_meanwhile_is_not_called_set_back(
    ledger: Ledger, store: Remote, tmp_path: Path, headers: dict[str, str]
) -> None:
    """Even if the head was read before others appended and sealed, and the record after it."""
    client, other = Client(ledger), ledger_in(store.inner)

    def go_on(key: str) -> None:
        if key == head_key(TITLE):
            store.meanwhile = None
            other.append(TITLE, {"n": -1})
            Sealer(tmp_path).seal(store.inner)

    for path in (PATH, f"{PATH}/verification"):
        store.meanwhile = go_on
        answer = client.get(path, headers=headers)
        assert store.meanwhile is None
        assert answer.status_code == 200
        assert "not-as-logged" not in answer.text
        assert "does not hold" not in answer.text
    assert client.get("/readyz").json()["status"] == "ok"


def test_a_head_that_was_set_back_is_seen(ledger: Ledger, store: Remote) -> None:
    client = Client(ledger)
    inner = store.inner
    head = inner.get(head_key(TITLE))
    assert head
    inner.replace(head_key(TITLE), ledger.entry(TITLE, "v3").data, head.version)
    assert client.get(PATH).json()["reason"] == "not-as-logged"
    assert client.get(f"{PATH}/verification").json()["outcome"] == "tampered"
    assert client.post(PATH, {}).status_code == 500
    inner.replace(head_key(TITLE), head.data, inner.get(head_key(TITLE)).version)  # type: ignore[union-attr]
    assert client.get(PATH).status_code == 200


# -- AnsweringStore --------------------------------------------------------------------------------

KEYS = [head_key(TITLE), sealed_key(TITLE), LOG_CHECKPOINT]


def test_it_answers_as_the_store_does_and_asks_once(ledger: Ledger, store: Remote) -> None:
    once = AnsweringStore(store)
    store.calls.clear()
    asked = [KEYS[0], "_log/none", KEYS[1], KEYS[0], entry_key(TITLE, "0" * 64), KEYS[2]]
    with once.answering(lambda: None):
        assert once.get(KEYS[1]) == store.inner.get(KEYS[1])
        for _ in range(2):
            found = list(once.get_many(iter(asked)))
            assert found == [(key, store.inner.get(key)) for key in asked]
        assert sorted(key for _, key in store.calls) == sorted({*asked})
        once.forget()
        assert store.reads(lambda: [once.get(KEYS[1]) for _ in range(2)]) == 1
    assert store.reads(lambda: [once.get(KEYS[1]) for _ in range(2)]) == 2


def test_what_is_too_much_to_keep_is_read_again(
    ledger: Ledger, store: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering._Known, "room", 10)
    once = AnsweringStore(store)
    expected = [(key, store.inner.get(key)) for key in KEYS]
    with once.answering(lambda: None):
        assert store.reads(lambda: list(once.get_many(KEYS))) == len(KEYS)
        assert list(once.get_many(KEYS)) == expected
        assert store.reads(lambda: list(once.get_many(KEYS))) == len(KEYS)


def test_an_error_is_not_remembered(store: Remote) -> None:
    once = AnsweringStore(store)

    def fail(_: str) -> None:
        store.meanwhile = None
        raise StoreUnavailable("the network is down")

    store.meanwhile = fail
    with once.answering(lambda: None):
        with pytest.raises(StoreUnavailable):
            once.get(KEYS[0])
        assert once.get(KEYS[0]) is None


def test_a_local_store_is_read_each_time_and_goes_to_other_processes(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    once = AnsweringStore(store)
    with once.answering(lambda: None):
        assert once.get(KEYS[0]) is None
        once.create(KEYS[0], b"{}")
        assert once.get(KEYS[0]) == store.get(KEYS[0])
    assert pickle.loads(pickle.dumps(once)).path == store.path
