"""Compression: by the client's choice, with tags that tell representations apart."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httpx
import pytest
import zstandard

from tests.service.client import HTML, TITLE, Client, listening, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = f"/titles/{TITLE}"
LONG = {"address": "1 low street " * 200}
DECODERS = {
    "gzip": lambda data: zlib.decompress(data, 31),
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.fixture
def client() -> Client:
    client = Client()
    client.ledger.append(TITLE, LONG)
    return client


@pytest.fixture
def server(client: Client) -> Iterator[httpx.Client]:
    """The same client over a socket, where a HEAD has no body and a length can't lie."""
    with listening(client.app) as url, httpx.Client(base_url=url) as http:
        yield http


def raw(
    http: httpx.Client, path: str, accepted: str, **headers: str
) -> tuple[httpx.Response, bytes]:
    """An answer, and its bytes as they were sent."""
    with http.stream("GET", path, headers={"Accept-Encoding": accepted, **headers}) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate, GZIP;q=0.5, br", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip, zstd;q=0.9", "gzip"),
        ("gzip;q=0, zstd;q=0.000", ""),
        ("gzip;q=2", ""),
        ("identity, *", ""),
        ("gzipped", ""),
        ("", ""),
    ],
)
def test_the_client_chooses(server: httpx.Client, accepted: str, coding: str) -> None:
    plain, body = raw(server, PATH, "identity")
    answer, data = raw(server, PATH, accepted)
    assert answer.headers.get("content-encoding", "") == coding
    assert DECODERS[coding](data) == body if coding else data == body
    assert len(data) < len(body) or not coding
    assert answer.headers["content-length"] == str(len(data))
    for each in (plain, answer):
        assert each.headers["vary"] == "Accept, Accept-Encoding"
    ending = f"-{coding}" if coding else ""
    assert answer.headers["etag"] == plain.headers["etag"].rstrip('"') + ending + '"'
    head = server.head(PATH, headers={"Accept-Encoding": accepted})
    assert {**head.headers, "x-request-id": "", "date": ""} == {
        **answer.headers,
        "x-request-id": "",
        "date": "",
    }


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_tag_that_comes_back_names_the_version(client: Client, coding: str) -> None:
    takes = {"Accept-Encoding": coding}
    tag = client.get(PATH, headers=takes).headers["etag"]
    same = client.get(PATH, headers={"If-None-Match": f'"x", {tag}', **takes})
    assert (same.status_code, same.headers["etag"]) == (304, tag)
    assert same.headers["vary"] == "Accept, Accept-Encoding"
    assert client.get(PATH, headers={"If-Match": tag, **takes}).status_code == 200
    plain = tag.replace(f"-{coding}", "")
    same = client.get(PATH, headers={"If-None-Match": plain, **takes})
    assert (same.status_code, same.headers["etag"]) == (304, plain)

    # What is stored is compressed; who takes that no more has to get the other representation.
    other = client.get(PATH, headers={"If-None-Match": tag, "Accept-Encoding": "identity"})
    assert (other.status_code, other.headers["etag"]) == (200, plain)

    assert client.post(PATH, {"n": 1}, headers={"If-Match": tag}).status_code == 201
    assert client.ledger.head(TITLE).parent == plain.strip('"')
    problem(client.post(PATH, {"n": 2}, headers={"If-Match": tag}), 412, "head-moved")
    problem(client.post(PATH, {"n": 2}, headers={"If-None-Match": f"{tag}, *"}), 400, "bad-request")
    assert client.ledger.head(TITLE).document == {"n": 1}


def test_what_is_small_or_does_not_get_smaller_is_sent_as_it_is(client: Client) -> None:
    for number in range(40):
        client.ledger.append("TN2", {"n": number})
    client.ledger.append("TN3", {})
    for path in (
        "/titles/TN3",
        "/titles/TN2/bundle",
        f"/objects/TN2/{client.ledger.head('TN2').address}.json",
    ):
        answer = client.get(path, headers={"Accept-Encoding": "gzip, zstd"})
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers, path
        assert "Encoding" not in answer.headers.get("vary", "")
    written = client.post("/titles/TN3", LONG, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in written.headers
    assert written.headers["etag"] == f'"{client.ledger.head("TN3").address}"'


def test_pages_problems_and_the_description_get_smaller(client: Client) -> None:
    for path, headers in (
        (PATH, HTML),
        ("/openapi.json", {}),
        ("/static/style.css", {}),
        ("/titles/TN404", HTML),
        ("/metrics", {}),
    ):
        answer = client.get(path, headers={"Accept-Encoding": "gzip", **headers})
        assert answer.headers["content-encoding"] == "gzip", path
        assert answer.text


def test_what_another_site_asks_a_browser_for_has_its_own_length(client: Client) -> None:
    for site, coding in (("cross-site", None), ("same-site", None), ("same-origin", "gzip")):
        headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": site}
        assert client.get(PATH, headers=headers).headers.get("content-encoding") == coding
