"""Presigned URLs, as the original listed them: only when asked for, only on S3."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ledger import InvalidError
from ledger.stores.s3.store import S3Store
from ledger.testing import memory_ledger
from tests.service.client import DOCUMENT, TITLE, Client

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("moto")


@pytest.fixture
def store(moto_client: Any) -> Iterator[S3Store]:
    bucket = f"presign-{secrets.token_hex(4)}"
    moto_client.create_bucket(Bucket=bucket)
    store = S3Store(bucket, "land", client=moto_client)
    yield store
    store.close()


@pytest.mark.slow
def test_the_list_is_of_urls_that_need_no_credentials(
    store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "ledger")
    client = Client(memory_ledger(store), presign_seconds=60)
    entry = client.ledger.append(TITLE, DOCUMENT)
    answer = client.get("/titles")
    assert answer.headers["cache-control"] == "no-store"
    [url] = answer.json()["titles"]
    assert httpx.get(url).content == entry.data
    signature = url.partition("X-Amz-Signature=")[2]
    assert signature
    assert signature not in caplog.text


@pytest.mark.slow
def test_it_is_off_by_default(store: S3Store) -> None:
    client = Client(memory_ledger(store))
    client.ledger.append(TITLE, {})
    assert client.get("/titles").json()["titles"] == [f"http://localhost:5000/titles/{TITLE}"]


def test_other_stores_have_none() -> None:
    with pytest.raises(InvalidError):
        Client(presign_seconds=60)


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_times_that_cannot_be(seconds: int) -> None:
    with pytest.raises(InvalidError):
        Client(presign_seconds=seconds)
