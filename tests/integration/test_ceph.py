"""The store contract, races and the probe on Ceph's S3 gateway."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from ledger.errors import LedgerError, OutcomeUnknown, PreconditionFailed, StoreUnsafe
from ledger.stores.contract import StoreContract
from ledger.stores.probe import probe
from ledger.stores.s3.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.stores import Blob
    from tests.integration.ceph import Ceph

pytestmark = [pytest.mark.ceph, pytest.mark.xdist_group("ceph")]

WRITERS = 16
ROUNDS = 300
HEAD = "TN1/head.json"


@pytest.fixture
def bucket(client: Any) -> str:
    """A new bucket; it goes when the cluster does."""
    name = f"test-{secrets.token_hex(8)}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(client: Any, bucket: str) -> Iterator[S3Store]:
    store = S3Store(bucket, client=client)
    yield store
    store.close()


class TestCeph(StoreContract):
    """The contract, through the client that a store is given."""


class TestCephWithObstore(StoreContract):
    """The contract, as ``open_store`` has it: many objects are read past boto3."""

    @pytest.fixture
    def store(
        self, cluster: Ceph, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[S3Store]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", cluster.url)
        for name, value in cluster.owner.credentials.items():
            monkeypatch.setenv(name, value)
        store = S3Store(bucket)
        yield store
        store.close()


class Race:
    """Many writers who all start at once, again and again."""

    def __init__(self) -> None:
        self.refused = self.unclear = 0

    def run(self, pool: ThreadPoolExecutor, write: Callable[[bytes], str]) -> list[bytes]:
        """What those wrote who were told that they had won."""
        start = Barrier(WRITERS)

        def compete(number: int) -> bytes | LedgerError:
            data = b"%d" % number
            start.wait(60)
            try:
                write(data)
            except (PreconditionFailed, OutcomeUnknown) as error:
                return error
            return data

        results = list(pool.map(compete, range(WRITERS)))
        self.refused += sum(isinstance(each, PreconditionFailed) for each in results)
        self.unclear += sum(isinstance(each, OutcomeUnknown) for each in results)
        return [each for each in results if isinstance(each, bytes)]


def seen(store: S3Store, key: str) -> Blob:
    there = store.get(key)
    assert there is not None
    return there


def test_one_of_sixteen_writers_wins_in_every_round(store: S3Store) -> None:
    race = Race()
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            key = f"A{number}/head.json"
            first = race.run(pool, partial(store.create, key))
            assert first == [seen(store, key).data], f"round {number}"
            swap = partial(store.replace, key, expected=seen(store, key).version)
            second = race.run(pool, lambda data, swap=swap: swap(b"next " + data))
            assert [b"next " + each for each in second] == [seen(store, key).data]
    lost = 2 * ROUNDS * (WRITERS - 1)
    print(f"\n{2 * ROUNDS} rounds of {WRITERS} writers, one winner each; {race.refused} refused")
    assert (race.refused, race.unclear) == (lost, 0)


def test_the_probe_passes_and_leaves_nothing_behind(store: S3Store) -> None:
    probe(store)
    assert list(store.list()) == []


def test_a_versioned_bucket_is_refused_by_the_probe(
    store: S3Store, client: Any, bucket: str
) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(StoreUnsafe, match="race") as refusal:
        probe(store)
    assert "on Ceph one without versioning" in refusal.value.hint
    assert list(store.list()) == []
    print(f"\n{refusal.value}")
