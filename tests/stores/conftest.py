"""What the tests of the S3 store share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.stores.s3.store import S3Store


@pytest.fixture
def store_at(monkeypatch: pytest.MonkeyPatch, _botocore: None) -> Callable[..., S3Store]:
    """Make a store on the server of a URL, as a user would who set the endpoint."""
    from ledger.stores.s3 import store as s3

    monkeypatch.setattr(s3, "WAITS", (0.0, 0.0, 0.0, 0.0))

    def make(url: str, *, bucket: str = "bucket", **options: object) -> S3Store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        return s3.S3Store(bucket, **options)

    return make
