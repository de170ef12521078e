"""What each operation asks of a bucket: these requests, for these keys, and no other.

A request takes longer than everything else that a ledger does, and is paid for: the numbers in
docs/how-to/s3.md are promises. They are counted between the store and a server. What is asked of
any store, in which order, test_append and test_history tell.
"""

from __future__ import annotations

import http.client
import secrets
import sys
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from ledger import Draft, Guards, Ledger
from ledger.format.layout import (
    LEDGER_KEY,
    entry_key,
    head_key,
    pending_key,
    pending_prefix,
    reference_key,
    reference_prefix,
    sealed_key,
    trust_key,
)
from ledger.stores.s3.store import S3Store
from ledger.testing import FixedClock, keyring_for, memory_ledger, signer
from ledger.titles import ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.xdist_group("moto")

TITLE = "TN1"
HEAD = head_key(TITLE)
PASSED_ON = ("ETag", "Content-Type", "Last-Modified")

Asked = tuple[str, str]  # a method, or LIST, and a key or a prefix


class Counted:
    """Passes requests on to a server and notes them; a listing has ``page`` keys at most."""

    def __init__(self, server: str) -> None:
        self.asked: list[Asked] = []
        self.page = 1000
        self.server = urlsplit(server).netloc
        self.url = ""

    def during(self, work: Callable[[], object]) -> list[Asked]:
        """The requests that some work takes."""
        start = len(self.asked)
        work()
        return self.asked[start:]

    def note(self, method: str, path: str) -> str:
        """Note a request, and return the path to ask the server for."""
        url = urlsplit(path)
        query = parse_qs(url.query, keep_blank_values=True)
        if "list-type" in query:
            self.asked.append(("LIST", query["prefix"][0]))
            return f"{path}&max-keys={self.page}"
        self.asked.append((method, unquote(url.path).split("/", 2)[2]))
        return path


@contextmanager
def counted(server: str) -> Iterator[Counted]:
    counts = Counted(server)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            path = counts.note(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(counts.server)
            connection.request(self.command, path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            self.send_response_only(answer.status)
            for name in PASSED_ON:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_DELETE = pass_on  # noqa: N815  as the standard library spells them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        counts.url = f"http://127.0.0.1:{proxy.server_port}"
        thread = Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield counts
        finally:
            proxy.shutdown()
            thread.join(60)


@pytest.fixture
def counts(moto_url) -> Iterator[Counted]:
    with counted(moto_url) as counts:
        yield counts


@pytest.fixture(params=["obstore", pytest.param("boto3", marks=pytest.mark.slow)])
def ledger(request, counts, moto_client, monkeypatch) -> Iterator[Ledger]:
    """A ledger in a bucket, read in bulk through obstore, or with nothing but boto3."""
    if request.param == "boto3":
        monkeypatch.setitem(sys.modules, "obstore", None)
        monkeypatch.setitem(sys.modules, "obstore.store", None)
    bucket = f"test-{secrets.token_hex(8)}"
    moto_client.create_bucket(Bucket=bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", counts.url)
    # As ``create`` makes it, without its probe: sixteen writers take seconds to pass the proxy.
    origin = memory_ledger().store.get(LEDGER_KEY)
    moto_client.put_object(Bucket=bucket, Key=LEDGER_KEY, Body=origin.data)
    store, key = S3Store(bucket), signer()
    with Ledger.open(store, keyring=keyring_for(key), signer=key, clock=FixedClock()) as ledger:
        yield ledger


def appended(ledger: Ledger, count: int, title_number: str = TITLE) -> list[str]:
    """Append so many versions; the keys of the entries."""
    entries = [ledger.append(title_number, {"v": number}) for number in range(count)]
    return [entry_key(title_number, entry.address) for entry in entries]


# --- writing -------------------------------------------------------------------------------------


def test_a_first_version_looks_whether_it_is_one(ledger, counts):
    asked = counts.during(lambda: appended(ledger, 1))
    address = ledger.head(TITLE).address
    assert asked[:5] == [
        ("GET", HEAD),
        ("GET", LEDGER_KEY),
        ("LIST", f"{TITLE}/"),
        ("LIST", pending_prefix(TITLE)),
        ("GET", sealed_key(TITLE)),
    ]
    assert set(asked[5:7]) == {
        ("PUT", entry_key(TITLE, address)),
        ("PUT", pending_key(TITLE, 1, address)),
    }
    assert asked[7:] == [("PUT", HEAD)]


def test_a_later_version_is_one_get_two_puts_side_by_side_and_one_put(ledger, counts):
    appended(ledger, 1)
    asked = counts.during(lambda: appended(ledger, 1))
    address = ledger.head(TITLE).address
    assert asked[0] == ("GET", HEAD)
    assert set(asked[1:3]) == {
        ("PUT", entry_key(TITLE, address)),
        ("PUT", pending_key(TITLE, 2, address)),
    }
    assert asked[3:] == [("PUT", HEAD)]


def test_a_reference_is_one_list_and_one_more_put_beside_the_others(ledger, counts):
    appended(ledger, 3)
    asked = counts.during(lambda: ledger.append(TITLE, {"v": 9}, reference="APP-1"))
    address = ledger.head(TITLE).address
    assert asked[:2] == [("GET", HEAD), ("LIST", f"{reference_prefix('APP-1')}{TITLE}.")]
    assert set(asked[2:5]) == {
        ("PUT", entry_key(TITLE, address)),
        ("PUT", pending_key(TITLE, 4, address)),
        ("PUT", reference_key("APP-1", TITLE, 4, address)),
    }
    assert asked[5:] == [("PUT", HEAD)]


def test_a_batch_that_begins_a_title_looks_for_none_of_its_references(ledger, counts):
    drafts = [Draft(TITLE, {"v": n}, reference=f"APP-{n}") for n in range(4)]
    asked = counts.during(lambda: list(ledger.append_many(drafts)))
    listed = [key for method, key in asked if method == "LIST"]
    assert listed == [f"{TITLE}/", pending_prefix(TITLE)]  # is it new?
    assert Counter(key for method, key in asked if method == "GET")[HEAD] == 1


def test_what_is_left_out_as_unchanged_is_one_get_whatever_its_reference(ledger, counts):
    ledger.append(TITLE, {"v": 1}, reference="April:1")
    again = Draft(TITLE, {"v": 1}, reference="May:1")
    skip = Guards(skip_unchanged=True)
    assert counts.during(lambda: ledger.submit(again, guards=skip)) == [("GET", HEAD)]
    assert counts.during(lambda: list(ledger.append_many([again], guards=skip))) == [("GET", HEAD)]


# --- reading -------------------------------------------------------------------------------------


def test_the_head_is_one_get(ledger, counts):
    appended(ledger, 3)
    assert counts.during(lambda: ledger.head(TITLE)) == [("GET", HEAD)]


def test_a_log_is_a_get_for_each_entry_that_is_shown(ledger, counts):
    keys = appended(ledger, 11)
    asked = counts.during(lambda: list(ledger.log(TITLE, limit=10)))
    assert asked == [("GET", HEAD), *[("GET", key) for key in reversed(keys[1:10])]]


def test_a_long_log_lists_the_title_and_reads_each_entry_once(ledger, counts):
    keys = appended(ledger, 30)
    asked = counts.during(lambda: list(ledger.log(TITLE)))
    assert asked[:5] == [
        ("GET", HEAD),
        *[("GET", key) for key in reversed(keys[26:29])],
        ("LIST", f"{TITLE}/"),
    ]
    assert Counter(asked[5:]) == Counter(("GET", key) for key in keys[:26])


def test_a_part_of_a_long_log_reads_ahead_what_is_likely_to_be_next(ledger, counts):
    appended(ledger, 20)
    time.sleep(1.1)  # the server tells seconds: within one, it can't tell what was written last
    keys = appended(ledger, 20)
    asked = counts.during(lambda: list(ledger.log(TITLE, limit=10)))
    assert Counter(method for method, _ in asked)["LIST"] == 1
    read = Counter(key for method, key in asked if method == "GET")
    assert {HEAD, *keys[10:19]} <= read.keys()
    assert read.total() <= 4 + 4 * ahead.FACTOR  # the head, three parents, and what is read ahead


def test_a_bundle_reads_each_head_and_each_entry_once(ledger, counts, tmp_path):
    keys = [key for n in (1, 2, 20) for key in appended(ledger, n, f"TN{n}")]
    asked = counts.during(lambda: ledger.export(tmp_path / "all.tar"))
    read = Counter(key for method, key in asked if method == "GET" and key[0] != "_")
    heads = [head_key(title_number) for title_number in ("TN1", "TN2", "TN20")]
    assert read == Counter([*heads, *keys])
    assert Counter(key for method, key in asked if method == "LIST") == Counter(["", "TN20/"])


def test_a_bundle_of_a_title_asks_once_for_a_trust_file_and_then_as_a_verification(
    ledger, counts, tmp_path
):
    appended(ledger, 20)
    verified = counts.during(lambda: ledger.verify(TITLE))
    asked = counts.during(lambda: ledger.export(tmp_path / "one.tar", [TITLE]))
    assert asked[0] == ("GET", trust_key(1))
    assert Counter(asked[1:]) == Counter(verified)


def test_five_before_the_head_is_six_gets(ledger, counts):
    keys = appended(ledger, 8)
    asked = counts.during(lambda: ledger.entry(TITLE, "HEAD~5"))
    assert asked == [("GET", HEAD), *[("GET", key) for key in reversed(keys[2:7])]]


def test_titles_are_pages_of_a_listing_and_nothing_else(ledger, counts):
    for number in range(5):
        appended(ledger, 1, f"TN{number}")
    counts.page = 2
    asked = counts.during(lambda: list(ledger.titles()))
    assert asked == [("LIST", "")] * 4  # ledger.json and _pending/ are there, too


# --- verifying -----------------------------------------------------------------------------------


def test_a_title_is_verified_with_its_head_a_listing_and_each_entry_once(ledger, counts):
    keys = appended(ledger, 20)
    asked = counts.during(lambda: ledger.verify(TITLE))
    assert Counter(asked) == Counter(
        [("GET", HEAD), ("LIST", f"{TITLE}/"), *[("GET", key) for key in keys]]
    )


def test_all_titles_are_verified_with_each_head_and_each_entry_once(ledger, counts):
    keys = [key for n in (1, 2, 20) for key in appended(ledger, n, f"TN{n}")]
    asked = counts.during(ledger.verify_all)
    heads = [head_key(title_number) for title_number in ("TN1", "TN2", "TN20")]
    read = Counter(key for method, key in asked if method == "GET")
    assert read == Counter([*heads, *keys])
    listed = [key for method, key in asked if method == "LIST"]
    assert listed[:2] == ["_packs/", ""]  # is anything packed? then, the titles
    assert set(listed) <= {"", "_packs/", "TN1/", "TN2/", "TN20/"}
    assert len(listed) == len(set(listed))
    assert {method for method, _ in asked} == {"GET", "LIST"}
