"""What a store is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import InvalidError, StoreDenied, StoreUnavailable
from ledger.stores import FolderStore, MemoryStore, open_store
from ledger.stores.s3.store import S3Store

pytestmark = pytest.mark.usefixtures("_botocore")


def test_memory_is_a_new_store_each_time():
    store = open_store("memory:")
    assert isinstance(store, MemoryStore)
    store.create("A/1", b"x")
    assert open_store("memory:").get("A/1") is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("file:/var/titles", "/var/titles"),
        ("file:///var/titles", "/var/titles"),
        ("file://localhost/var/titles", "/var/titles"),
        ("FILE:/var/titles", "/var/titles"),
        ("/var/titles", "/var/titles"),
        ("//var/titles/", "/var/titles"),
        ("/var/../titles/.", "/titles"),
        ("/var/a%20b:c", "/var/a%20b:c"),
        ("file:/var/a%20b:c", "/var/a%20b:c"),
        (Path("/var/titles"), "/var/titles"),
        (Path("s3:/titles"), "{cwd}/s3:/titles"),
        ("titles", "{cwd}/titles"),
        ("file:titles", "{cwd}/titles"),
        ("./http://x", "{cwd}/http:/x"),
        (".", "{cwd}"),
        ("~", "{cwd}/~"),
        ("c:/titles", "{cwd}/c:/titles"),
    ],
)
def test_a_path_is_a_folder(name, path):
    store = open_store(name)
    assert isinstance(store, FolderStore)
    assert store.path == path.format(cwd=Path.cwd())


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/titles", "s3://bucket/titles"),
        ("s3://bucket/titles/", "s3://bucket/titles"),
        ("S3://My_Bucket.1/a/b=c/d", "s3://My_Bucket.1/a/b=c/d"),
    ],
)
def test_a_bucket_is_an_s3_store(name, url):
    store = open_store(name)
    assert isinstance(store, S3Store)
    assert store.url == url
    assert repr(store) == f"S3Store('{url}')"


@pytest.mark.parametrize("name", ["memory:", "/var/titles", "file:a%20:b", "s3://bucket/a/b"])
def test_a_store_opens_again_by_its_url(name):
    url = open_store(name).url
    assert open_store(url).url == url


@pytest.mark.parametrize(
    "name",
    [
        "",
        "file:",
        "file://",
        "file://host/titles",
        "a\0b",
        "file:a\0b",
        "memory:x",
        "memory://",
        "http://user:SECRET@host/titles",
        "https://bucket.s3.amazonaws.com/titles?X-Amz-Signature=SECRET",
        "gs://bucket/titles",
        "s3:bucket",
        "s3:/bucket",
        "s3://",
        "s3:///titles",
        "s3://b",
        "s3://key:SECRET@bucket/titles",
        "s3://-bucket",
        "s3://bucket\n",
        "s3://bucket//",
        "s3://bucket//titles",
        "s3://bucket/titles//",
        "s3://bucket/a//b",
        "s3://bucket/.",
        "s3://bucket/a/../b",
        "s3://bucket/a b",
        "s3://bucket/titles?versionId=SECRET",
        "s3://bucket/titles#x",
        "s3://bucket/\N{LATIN SMALL LETTER A WITH DIAERESIS}",
        "s3://bucket/a\n",
    ],
)
def test_anything_else_is_refused_without_repeating_a_credential(name):
    with pytest.raises(InvalidError) as caught:
        open_store(name)
    assert "SECRET" not in str(caught.value) + caught.value.hint


def test_another_kind_of_store_is_refused_with_what_is_known():
    with pytest.raises(InvalidError, match="not a store: gs:") as caught:
        open_store("gs://bucket")
    assert "s3://BUCKET/PREFIX" in caught.value.hint


def test_an_aws_profile_that_is_not_there_is_denied(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreDenied, match="nobody") as caught:
        open_store("s3://bucket")
    assert "AWS_PROFILE" in caught.value.hint


def test_an_endpoint_that_is_no_address_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "not a url")
    with pytest.raises(StoreUnavailable) as caught:
        open_store("s3://bucket")
    assert "AWS_ENDPOINT_URL_S3" in caught.value.hint


def test_a_bucket_has_as_many_connections_as_are_asked_for():
    assert open_store("s3://bucket").concurrency == 64
    assert open_store("s3://bucket", connections=5).concurrency == 5
    assert open_store("x", connections=5).concurrency == open_store("x").concurrency


@pytest.mark.parametrize("name", ["s3://bucket", "memory:", "x"])
@pytest.mark.parametrize("number", [0, -1, 1001])
def test_no_store_has_none_or_thousands_of_connections(name, number):
    with pytest.raises(InvalidError, match="connections"):
        open_store(name, connections=number)


def test_a_store_that_is_made_directly_has_connections_too():
    with pytest.raises(InvalidError, match="connections"):
        S3Store("bucket", connections=0)
