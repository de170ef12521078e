"""Reading many objects of a bucket: through obstore or boto3, and nobody can tell which."""

from __future__ import annotations

import gc
import logging
import re
import secrets
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import RefreshableCredentials
from urllib3 import HTTPResponse

from ledger.errors import IntegrityError, InvalidError, StoreDenied, StoreUnavailable, StoreUnsafe
from ledger.stores.contract import StoreContract
from ledger.stores.s3 import store as s3_module
from ledger.stores.s3.store import S3Store, make_client
from tests.servers import free_port
from tests.stores.wire import DROP, STALL, Wire, answer, error, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest

REPOSITORY = Path(__file__).parents[2]
FIRST = "ledger.json"
KEYS = [f"A/{number}" for number in range(20)]
ETAG = '"0123456789abcdef0123456789abcdef"'
OBSTORE, BOTO3 = "obstore", "boto3"


def found(data: bytes = b"x") -> bytes:
    return answer(200, data, ETag=ETAG)


def without_obstore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)


@pytest.fixture(params=[OBSTORE, BOTO3])
def way(request, monkeypatch) -> str:
    """With obstore installed, and without."""
    if request.param == BOTO3:
        without_obstore(monkeypatch)
    return request.param


@contextmanager
def reading(store_at, *answers: bytes, **options: object) -> Iterator[tuple[S3Store, Wire]]:
    """A store that has been used already, as each one has that a ledger was opened in."""
    with wire(found(), *answers) as server:
        store = store_at(server.url, **options)
        store.get(FIRST)
        server.requests.clear()
        yield store, server
        store.close()


def ways(server: Wire) -> list[str]:
    """Who sent the requests."""
    return [
        OBSTORE if request.headers["user-agent"].startswith("object_store/") else BOTO3
        for request in server.requests
    ]


# --- the short cut is a store like the other -----------------------------------------------------


@pytest.fixture(
    params=[
        pytest.param("moto", marks=pytest.mark.xdist_group("moto")),
        pytest.param("ministack", marks=[pytest.mark.xdist_group("ministack"), pytest.mark.slow]),
    ]
)
def own_store(request, monkeypatch) -> Iterator[S3Store]:
    """A store with a client of its own, on each server, that has been used already."""
    client = request.getfixturevalue(f"{request.param}_client")
    bucket = f"test-{secrets.token_hex(8)}"
    client.create_bucket(Bucket=bucket)
    S3Store(bucket, "beside", client=client).create(FIRST, b"{}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", request.getfixturevalue(f"{request.param}_url"))
    store = S3Store(bucket, "in/it")
    store.create("_probe/first", b"")
    store.get("_probe/first")
    store.delete("_probe/first")
    yield store
    store.close()


class TestBulkReading:
    """What of the contract reads in bulk, or has to do with a prefix."""

    @pytest.fixture
    def store(self, own_store):
        return own_store

    test_many_objects_are_read_in_the_order_asked_for = (
        StoreContract.test_many_objects_are_read_in_the_order_asked_for
    )
    test_many_are_read_as_they_are_taken = StoreContract.test_many_are_read_as_they_are_taken
    test_keys_are_listed_in_the_order_of_their_bytes = (
        StoreContract.test_keys_are_listed_in_the_order_of_their_bytes
    )
    test_of_many_swaps_each_has_an_outcome_of_its_own = (
        StoreContract.test_of_many_swaps_each_has_an_outcome_of_its_own
    )


@pytest.mark.slow
class TestAStoreThatReadsInBulk(StoreContract):
    @pytest.fixture
    def store(self, own_store):
        return own_store


def test_a_large_object_is_read_whole(own_store, way):
    data = secrets.token_bytes(5 << 20)
    version = own_store.create(KEYS[0], data)
    assert list(own_store.get_many(KEYS[:1])) == [(KEYS[0], (data, version))]


# --- one answer, whichever way -------------------------------------------------------------------


def test_objects_come_in_order_with_their_versions(store_at, way):
    with reading(store_at, found()) as (store, server):
        assert list(store.get_many(KEYS)) == [(key, (b"x", ETAG)) for key in KEYS]
        assert sorted(request.path for request in server.requests) == sorted(
            f"/bucket/{key}" for key in KEYS
        )
        assert set(ways(server)) == {way}


def test_what_is_not_there_is_none(store_at, way):
    with reading(store_at, error(404, "NoSuchKey")) as (store, _):
        assert list(store.get_many(KEYS)) == [(key, None) for key in KEYS]


@pytest.mark.parametrize("trouble", [DROP, error(500, "InternalError"), error(503, "SlowDown")])
def test_a_reading_is_repeated_until_it_is_answered(store_at, way, trouble):
    with reading(store_at, trouble, trouble, found()) as (store, server):
        assert list(store.get_many(KEYS[:1])) == [(KEYS[0], (b"x", ETAG))]
        assert server.methods() == ["GET"] * 3


@pytest.mark.parametrize("trouble", [DROP, error(503, "SlowDown")])
def test_a_reading_that_is_never_answered_is_unavailable(store_at, way, trouble):
    with reading(store_at, trouble) as (store, server):
        with pytest.raises(StoreUnavailable, match=KEYS[0]):
            list(store.get_many(KEYS[:1]))
        assert len(server.requests) <= len(s3_module.WAITS) + 1  # the short cut is tried once


@pytest.mark.parametrize(
    ("said", "expected", "match"),
    [
        (answer(404, b"<html>not here</html>"), StoreUnavailable, "404"),
        (error(404, "NoSuchBucket"), StoreUnavailable, "NoSuchBucket"),
        (error(403, "AccessDenied"), StoreDenied, "AccessDenied"),
        (error(400, "ExpiredToken"), StoreDenied, "ExpiredToken"),
        (answer(200, b"x"), StoreUnsafe, "ETag"),
        (answer(200, b"half an en", length=20, ETag=ETAG), StoreUnavailable, "cannot read"),
        (b"nonsense\r\n\r\n", StoreUnavailable, "cannot read"),
    ],
)
def test_what_is_no_object_is_told_as_for_a_single_one(store_at, way, said, expected, match):
    with reading(store_at, said) as (store, _):
        with pytest.raises(expected, match=match) as many:
            list(store.get_many(KEYS[:2]))
        with pytest.raises(expected, match=match) as single:
            store.get(KEYS[0])
        assert many.value.hint == single.value.hint


def test_an_object_too_large_to_be_ours_is_not_read(store_at, way, monkeypatch):
    monkeypatch.setattr(s3_module, "LIMIT", 10)
    with reading(store_at, found(bytes(10)), found(bytes(11))) as (store, _):
        assert list(store.get_many(KEYS[:1])) == [(KEYS[0], (bytes(10), ETAG))]
        with pytest.raises(IntegrityError, match="larger than 10 bytes"):
            list(store.get_many(KEYS[:1]))


def test_a_server_that_stalls_is_unavailable(store_at, way, monkeypatch):
    monkeypatch.setattr(s3_module, "READ_TIMEOUT", 0.1)
    with reading(store_at, found()) as (store, server):
        server.stalls_at = KEYS[0]
        with pytest.raises(StoreUnavailable, match="timeout"):
            list(store.get_many(KEYS[:1]))


def test_a_server_that_has_gone_is_unavailable(store_at, way):
    store = store_at(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailable, match="Could not connect"):
        list(store.get_many(KEYS))


def test_a_key_that_is_none_is_refused(store_at, way):
    with reading(store_at, found()) as (store, server):
        with pytest.raises(InvalidError):
            list(store.get_many(["../x"]))
        assert not server.requests


# --- what a title's keys are, and when they were written -----------------------------------------


def page(*written: tuple[str, int], size: str = "<Size>1</Size>") -> bytes:
    """A listing of keys, each with the second in which it was written."""
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-11-23T10:00:{second:02}.000Z</LastModified>"
        f"<ETag>{ETAG}</ETag>{size}</Contents>"
        for key, second in written
    )
    listed = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    return answer(200, listed.encode())


def test_keys_are_in_groups_by_the_second_they_were_written_in(store_at, way):
    written = page(("A/", 9), ("A/1", 1), ("A/2", 7), ("A/3", 1), ("A/a b", 8), ("A/x/1", 3))
    with reading(store_at, written) as (store, server):
        assert store.list_newest("A/", 3) == [["A/2"], ["A/x/1"], ["A/1", "A/3"]]
        assert ways(server) == [way]
    with reading(store_at, page()) as (store, _):
        assert store.list_newest("A/", 3) == []


def test_the_pages_of_a_long_title_are_asked_for_side_by_side(store_at):
    keys = [f"A/{number:x}" for number in range(16)]
    with reading(store_at, page(*((key, 1) for key in keys))) as (store, server):
        assert store.list_newest("A/", 2500) == [keys]
        assert ways(server) == [OBSTORE] * 3
        begins = [re.findall("start-after=A%2F([^&]*)", each.path) for each in server.requests]
        assert sorted(begins) == [[], ["5555"], ["aaaa"]]


def test_a_hint_of_any_size_asks_for_few_pages(store_at):
    with reading(store_at, page(("A/1", 1))) as (store, server):
        assert store.list_newest("A/", 10**30) == [["A/1"]]
        assert len(server.requests) == s3_module.PAGES


def test_what_only_boto3_can_list_is_listed_by_it_from_then_on(store_at, caplog):
    with reading(store_at, page(("A/1", 1), size="")) as (store, server):
        for _ in range(5):
            assert store.list_newest("A/", 3) == [["A/1"]]
        assert ways(server) == [OBSTORE, BOTO3] * 3 + [BOTO3] * 2
        assert caplog.messages == ["boto3 lists alone: obstore: GenericError"]


def test_a_time_without_its_zone_is_in_utc(store_at, way):
    told = page(("A/1", 1), ("A/2", 2), ("A/3", 3)).replace(b"02.000Z", b"02.0000")
    with reading(store_at, told) as (store, _):
        assert store.list_newest("A/", 3) == [["A/3"], ["A/2"], ["A/1"]]


def test_a_time_beyond_all_calendars_is_no_listing(store_at, way):
    told = page(("A/1", 1)).replace(b"2026-11-23T10:00:01.000Z", b"1e30".ljust(24))
    with reading(store_at, told) as (store, _), pytest.raises(StoreUnavailable, match="list"):
        store.list_newest("A/", 3)


def test_a_listing_that_is_refused_is_told_as_boto3_does(store_at, way):
    with (
        reading(store_at, error(403, "AccessDenied")) as (store, _),
        pytest.raises(StoreDenied, match="cannot list"),
    ):
        store.list_newest("A/", 3)


# --- what is not wanted any more -----------------------------------------------------------------


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "store-reader"]


def test_an_abandoned_reading_is_not_waited_for(store_at, way):
    before = set(readers())
    with reading(store_at, found(), connections=2) as (store, server):
        server.stalls_at = KEYS[2]
        answers = store.get_many(KEYS)
        assert [next(answers)[0], next(answers)[0]] == KEYS[:2]
        answers.close()
        store.close()
        assert set(readers()) - before, "nobody is reading any more: it was waited for"
        assert len(server.requests) <= 3


def test_the_threads_of_a_closed_store_end(store_at, way):
    before = set(readers())
    with reading(store_at, found(), connections=4) as (store, _):
        list(store.get_many(KEYS))
        mine = set(readers()) - before
        assert 1 <= len(mine) <= 4  # one is started when none of the others is idle
        store.close()
        for thread in mine:
            thread.join(30)
        assert not mine & set(readers())


def test_the_threads_of_a_forgotten_store_end(store_at, way):
    """Whoever opens a ledger to look at one title seldom closes it."""
    before = set(readers())
    with wire(found()) as server:
        store = store_at(server.url, connections=4)
        list(store.get_many(KEYS))
        mine = set(readers()) - before
        del store
        gc.collect()
        for thread in mine:
            thread.join(30)
    assert mine
    assert not mine & set(readers())


def test_a_closed_store_reads_no_more(store_at, way):
    with reading(store_at, found()) as (store, _):
        store.close()
        with pytest.raises(StoreUnavailable, match="was closed"):
            list(store.get_many(KEYS))


def test_a_store_that_is_closed_meanwhile_reads_no_more(store_at, way):
    with reading(store_at, found(), connections=2) as (store, _):
        answers = store.get_many(KEYS)
        next(answers)
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            list(answers)


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_no_more_threads_can_start_those_there_are_read(store_at, way, monkeypatch, allowed):
    start, started = threading.Thread.start, []

    def start_some(thread: threading.Thread) -> None:
        if thread.name == "store-reader":
            if len(started) == allowed:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    with reading(store_at, found()) as (store, server):
        if allowed:
            assert [key for key, _ in store.get_many(KEYS)] == KEYS
            return
        with pytest.raises(StoreUnavailable, match="can't start new thread"):
            list(store.get_many(KEYS))
        monkeypatch.undo()
        assert [key for key, _ in store.get_many(KEYS[1:])] == KEYS[1:]
        assert not any(request.path.endswith(KEYS[0]) for request in server.requests)


INTERRUPTED = """
import sys
from ledger.stores.s3 import store as s3
if {blocked}:
    sys.modules["obstore"] = sys.modules["obstore.store"] = None
s3.READ_TIMEOUT = 3600
store = s3.S3Store("bucket", connections=1)
store.get("ledger.json")
try:
    for key, blob in store.get_many(f"A/{{number}}" for number in range(100)):
        print(key, flush=True)
except KeyboardInterrupt:
    store.close()
    sys.exit(130)
"""


@pytest.mark.parametrize("way", [OBSTORE, pytest.param(BOTO3, marks=pytest.mark.slow)])
def test_an_interrupted_program_ends_though_the_server_stalls(way, monkeypatch):
    with wire(found(), found(), STALL) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        code = INTERRUPTED.format(blocked=way == BOTO3)
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as program:
            try:
                assert program.stdout is not None
                assert program.stdout.readline() == "A/0\n"
                program.send_signal(signal.SIGINT)
                assert program.wait(60) == 130  # it would be an hour
            finally:
                program.kill()


# --- the short cut leads to the same place -------------------------------------------------------


def test_the_first_object_shows_where_the_others_are(store_at):
    """A store that was not used before has no request to copy."""
    with wire(found()) as server:
        store = store_at(server.url, connections=1)
        list(store.get_many(KEYS[:3]))
        assert ways(server) == [BOTO3, OBSTORE, OBSTORE]


@pytest.mark.parametrize("prefix", ["", "register/a_b-c.d"])
def test_requests_go_to_the_same_place_and_are_signed_for_it(store_at, monkeypatch, prefix):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
    with wire(found()) as server:
        store = store_at(server.url, prefix=prefix, connections=1)
        list(store.get_many(["A/1", "A/1"]))
        one, other = server.requests
        assert ways(server) == [BOTO3, OBSTORE]
        assert one.path == other.path
        assert one.headers["host"] == other.headers["host"]
        assert other.headers["x-amz-security-token"] == "the-token"
        scopes = [
            re.search(r"Credential=([^,]*)", each.headers["authorization"])[1]
            for each in (one, other)
        ]
        assert scopes[0] == scopes[1]
        assert scopes[0].startswith("test/")
        assert scopes[0].endswith("/eu-west-3/s3/aws4_request")


def test_variables_that_boto3_does_not_know_change_nothing(store_at, monkeypatch):
    for name, value in {
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_REQUEST_PAYER": "requester",
        "AWS_S3_EXPRESS": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        "AWS_PROXY_URL": "http://127.0.0.1:1",
        "AWS_BUCKET": "other",
    }.items():
        monkeypatch.setenv(name, value)
    with reading(store_at, found()) as (store, server):
        list(store.get_many(KEYS))
        assert set(ways(server)) == {OBSTORE}
        assert {request.path for request in server.requests} == {f"/bucket/{key}" for key in KEYS}
        assert all("authorization" in request.headers for request in server.requests)
        assert not any("x-amz-request-payer" in request.headers for request in server.requests)


def test_credentials_that_change_are_followed(store_at):
    """As an instance's role does, every few hours."""
    asked = []

    def refresh() -> dict[str, str]:
        asked.append(f"KEY{len(asked)}")
        return {
            "access_key": asked[-1],
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }

    with reading(store_at, found()) as (store, server):
        bulk = store._bulk
        bulk._credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
        list(store.get_many(KEYS))
        assert all("Credential=KEY0/" in each.headers["authorization"] for each in server.requests)
        left = bulk._provide()["expires_at"] - datetime.now(UTC)
        assert left < timedelta(minutes=10)  # botocore refreshes earlier than that


# --- what closes the short cut -------------------------------------------------------------------


def assert_boto3_alone(store: S3Store, server: Wire, caplog, why: str) -> None:
    assert list(store.get_many(KEYS)) == [(key, (b"x", ETAG)) for key in KEYS]
    assert set(ways(server)) == {BOTO3}
    assert [why in message for message in caplog.messages] == [True]


@pytest.fixture(autouse=True)
def _hears(caplog):
    caplog.set_level(logging.INFO, "ledger.stores.s3")


def test_without_obstore_boto3_reads_and_the_log_says_how_to_have_it(store_at, monkeypatch, caplog):
    without_obstore(monkeypatch)
    with reading(store_at, found()) as (store, server):
        assert_boto3_alone(store, server, caplog, "pip install '.[fast]'")


def test_a_bundle_of_authorities_stays_with_boto3(store_at, monkeypatch, caplog, tmp_path):
    """To obstore they could only be added to those of the system."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ours.pem"))
    store = store_at("https://s3.example.org")

    def answers(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """What boto3 gets instead of a connection to a server with a certificate."""
        body = HTTPResponse(BytesIO(b"x"), preload_content=False)
        return AWSResponse(request.url, 200, {"ETag": ETAG, "Content-Length": "1"}, body)

    store._client.meta.events.register("before-send.s3.GetObject", answers)
    assert list(store.get_many(KEYS)) == [(key, (b"x", ETAG)) for key in KEYS]
    assert ["AWS_CA_BUNDLE" in message for message in caplog.messages] == [True]


def test_authorities_do_not_matter_where_there_is_no_tls(store_at, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ours.pem")
    with reading(store_at, found()) as (store, server):
        list(store.get_many(KEYS))
        assert set(ways(server)) == {OBSTORE}


def test_a_proxy_stays_with_boto3(store_at, monkeypatch, caplog):
    with wire(found()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        store = store_at("http://s3.example.org")
        store.get(FIRST)
        assert_boto3_alone(store, proxy, caplog, "proxy")


def test_a_prefix_that_has_to_be_escaped_stays_with_boto3(store_at, caplog):
    with reading(store_at, found(), prefix="year=2026") as (store, server):
        assert_boto3_alone(store, server, caplog, "prefix")


def test_a_client_that_was_given_does_all_the_reading(store_at, monkeypatch):
    """It may have authorities, proxies and handlers that can't be seen."""
    with wire(found()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        store = S3Store("bucket", client=make_client())
        list(store.get_many(KEYS))
        assert set(ways(server)) == {BOTO3}


def test_where_only_boto3_gets_through_the_short_cut_is_given_up(store_at, caplog):
    refused = error(403, "AccessDenied")
    answers = [refused, found()] * 3
    with reading(store_at, *answers, connections=1) as (store, server):
        assert [blob for _, blob in store.get_many(KEYS)] == [(b"x", ETAG)] * len(KEYS)
        assert ways(server) == [OBSTORE, BOTO3] * 3 + [BOTO3] * (len(KEYS) - 3)
        assert caplog.messages == ["boto3 reads alone: obstore is refused what boto3 is given"]


def test_boto3_is_imported_only_for_a_bucket_and_obstore_only_where_it_is_read_in_bulk(monkeypatch):
    with wire(found()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        code = (
            "import sys\n"
            "from ledger.stores import open_store\n"
            "open_store('memory:'), open_store('x'), open_store('file:x')\n"
            "assert not {'boto3', 'botocore', 'urllib3'} & set(sys.modules)\n"
            "with_bucket = open_store('s3://bucket')\n"
            "with_bucket.get('ledger.json')\n"
            "assert 'boto3' in sys.modules\n"
            "assert 'obstore' not in sys.modules\n"
            "list(with_bucket.get_many(['A/1']))\n"
            "assert 'obstore' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=60)
