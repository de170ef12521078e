"""The store in a bucket, on real servers, and where answers are lost on the way."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from boto3.session import Session
from botocore.config import Config
from botocore.stub import Stubber
from botocore.utils import parse_timestamp
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import (
    IntegrityError,
    InvalidError,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    StoreUnsafe,
)
from ledger.stores.base import Swap
from ledger.stores.contract import StoreContract
from ledger.stores.s3 import store as s3_module
from ledger.stores.s3.store import S3Store, make_client, parse_time
from tests.servers import free_port
from tests.stores.wire import DROP, STALL, answer, error, wire

HEAD = "TN1/head.json"
FORMS = [
    *("%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%dT%H:%M:%S+05:30", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"),
    *("%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S -0000", "1767225600.5"),
]
ETAG = '"0123456789abcdef0123456789abcdef"'
DONE = answer(200, ETag=ETAG)
THERE = error(412, "PreconditionFailed")
MISSING = error(404, "NoSuchKey")


def found(data: bytes) -> bytes:
    return answer(200, data, ETag=ETAG)


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, s3_store):
        return s3_store

    @pytest.mark.slow
    def test_a_counter_of_many_threads_loses_nothing(self, store):
        super().test_a_counter_of_many_threads_loses_nothing(store)

    @pytest.mark.slow
    def test_a_listing_is_longer_than_a_page(self, store):
        super().test_a_listing_is_longer_than_a_page(store)


@pytest.mark.slow
@pytest.mark.xdist_group("moto")
class TestS3StoreUnderAPrefix(StoreContract):
    """One server is enough: our code adds the prefix. ``TestBulkReading`` uses one, too."""

    @pytest.mark.slow
    def test_a_listing_is_longer_than_a_page(self, store):
        super().test_a_listing_is_longer_than_a_page(store)

    @pytest.fixture
    def store(self, moto_client):
        bucket = f"test-{secrets.token_hex(8)}"
        moto_client.create_bucket(Bucket=bucket)
        for key in ("registry.json", "registry/other.json", "registry/titles.json", "s/x.json"):
            S3Store(bucket, client=moto_client).create(key, b"beside")
        store = S3Store(bucket, "registry/titles", client=moto_client)
        yield store
        store.close()


# --- what is in the bucket -----------------------------------------------------------------------


def test_objects_have_the_keys_of_the_layout_below_the_prefix(s3_bucket, s3_client):
    S3Store(s3_bucket, "a/b", client=s3_client).create(HEAD, b"{}")
    page = s3_client.list_objects_v2(Bucket=s3_bucket)
    assert [each["Key"] for each in page["Contents"]] == ["a/b/TN1/head.json"]
    assert s3_client.head_object(Bucket=s3_bucket, Key="a/b/TN1/head.json")["ContentType"] == (
        "application/json"
    )


def test_objects_of_others_are_not_listed(s3_store, s3_bucket, s3_client):
    s3_store.create(HEAD, b"x")
    for key in ("TN1/", "TN1//x", "read me.txt", ".hidden/x", "caf\N{LATIN SMALL LETTER E}\u0301"):
        s3_client.put_object(Bucket=s3_bucket, Key=key, Body=b"")
    assert list(s3_store.list()) == [HEAD]
    assert list(s3_store.list(delimiter="/")) == ["TN1/"]


# --- a bucket that can't be used -----------------------------------------------------------------


def uses(store: S3Store) -> list:
    return [
        lambda: store.get(HEAD),
        lambda: list(store.get_many([HEAD])),
        lambda: store.create(HEAD, b"x"),
        lambda: store.create_many([(HEAD, b"x")]),
        lambda: store.replace(HEAD, b"x", ETAG),
        lambda: list(store.list()),
        lambda: store.delete("_probe/x"),
    ]


def assert_all_raise(store: S3Store, expected: type[Exception], match: str) -> None:
    for use in uses(store):
        with pytest.raises(expected, match=match) as caught:
            use()
        assert caught.value.hint
    store.close()


def test_a_bucket_that_is_not_there_is_unavailable(s3_client):
    store = S3Store("no-such-bucket-here", client=s3_client)
    assert_all_raise(store, StoreUnavailable, "NoSuchBucket")


def test_a_server_that_is_not_there_is_unavailable_and_nothing_is_in_doubt(store_at):
    store = store_at(f"http://127.0.0.1:{free_port()}")
    assert_all_raise(store, StoreUnavailable, "Could not connect")


def test_without_credentials_all_is_denied(store_at, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert_all_raise(store_at("http://127.0.0.1:1"), StoreDenied, "credentials")


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AccessDenied", "s3:GetObject"),
        (400, "ExpiredToken", "sign in"),
        (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (403, "RequestTimeTooSkewed", "clock"),
        (401, "Unauthorized", "credentials"),
    ],
)
def test_a_refusal_is_denied_with_what_to_do(store_at, status, code, hint):
    with wire(error(status, code)) as server:
        store = store_at(server.url)
        for use in uses(store):
            with pytest.raises(StoreDenied, match=code) as caught:
                use()
            assert hint in caught.value.hint
        assert len(server.requests) == len(uses(store))  # asking again would not help
        store.close()


def test_the_errors_of_a_given_client_are_ours_too():
    client = make_client()
    store = S3Store("bucket", client=client)
    with Stubber(client) as stub:
        stub.add_client_error("get_object", "ExpiredToken", http_status_code=400)
        with pytest.raises(StoreDenied, match="ExpiredToken"):
            store.get(HEAD)


@pytest.mark.parametrize(
    "broken",
    [
        answer(200, b"<html>"),
        pytest.param(answer(302), marks=pytest.mark.slow),
        answer(400, b"{}"),
    ],
)
def test_a_server_that_is_no_s3_raises_nothing_foreign(store_at, broken):
    with wire(broken) as server:
        store = store_at(server.url)
        with pytest.raises(StoreUnavailable):
            list(store.list())
        store.close()


def test_a_server_without_conditions_is_unsafe(store_at):
    with wire(error(501, "NotImplemented")) as server:
        store = store_at(server.url)
        with pytest.raises(StoreUnsafe):
            store.create(HEAD, b"x")
        with pytest.raises(StoreUnsafe):
            store.replace(HEAD, b"x", ETAG)


def test_no_credential_is_in_a_name_or_an_error(store_at, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SECRETKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRET")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "SECRETTOKEN")
    said = []
    for url in (f"http://SECRETUSER:SECRETPASS@127.0.0.1:{free_port()}", "http://SECRET HOST?x"):
        with pytest.raises(StoreUnavailable) as caught:
            store_at(url).get(HEAD)
        said.append(f"{caught.value} {caught.value.hint}")
    store = store_at("http://127.0.0.1:1")
    assert "SECRETPASS" not in "".join([*said, store.url, repr(store)])
    assert "SECRETTOKEN" not in "".join(said)


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [DROP, error(500, "InternalError"), error(503, "SlowDown")])
def test_a_reading_is_repeated_until_it_is_answered(store_at, trouble):
    with wire(trouble, trouble, found(b"x")) as server:
        assert store_at(server.url).get(HEAD) == (b"x", ETAG)
        assert server.methods() == ["GET"] * 3


@pytest.mark.parametrize("trouble", [DROP, error(503, "SlowDown")])
def test_a_reading_that_is_never_answered_is_unavailable(store_at, trouble):
    with wire(trouble) as server:
        with pytest.raises(StoreUnavailable, match=HEAD):
            store_at(server.url).get(HEAD)
        assert server.methods() == ["GET"] * len(s3_module.WAITS)


def test_a_404_that_does_not_say_what_is_missing_may_be_a_proxys(store_at):
    """Could not check is never missing."""
    page = answer(404, b"<html>not here</html>")
    with wire(page) as server, pytest.raises(StoreUnavailable, match="404"):
        store_at(server.url).get(HEAD)


def test_without_an_etag_nothing_could_be_replaced_safely(store_at):
    with wire(answer(200, b"x")) as server, pytest.raises(StoreUnsafe, match="ETag"):
        store_at(server.url).get(HEAD)
    with wire(answer(200)) as server, pytest.raises(StoreUnsafe, match="ETag"):
        store_at(server.url).create(HEAD, b"x")


def test_an_answer_lost_behind_a_proxy_is_in_doubt_like_any_other(store_at, monkeypatch):
    """The proxy was reached, and may have passed the write on."""
    with wire(DROP) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        with pytest.raises(OutcomeUnknown):
            store_at("http://s3.example.org").replace(HEAD, b"y", ETAG)
        assert proxy.methods() == ["PUT"]


def test_an_object_cut_short_is_never_taken_for_the_whole(store_at):
    with wire(answer(200, b"half an en", length=20, ETag=ETAG)) as server:
        with pytest.raises(StoreUnavailable, match="cannot read"):
            store_at(server.url).get(HEAD)
        assert server.methods() == ["GET"] * len(s3_module.WAITS)


def test_an_object_that_fails_its_checksum_is_damaged(store_at):
    headers = {"x-amz-checksum-crc32": "AAAAAA==", "ETag": ETAG}
    with wire(answer(200, b"x", **headers)) as server, pytest.raises(IntegrityError) as caught:
        store_at(server.url).get(HEAD)
    assert caught.value.object_key == HEAD


def test_an_object_too_large_to_be_ours_is_not_read(store_at, monkeypatch):
    monkeypatch.setattr(s3_module, "LIMIT", 10)
    with wire(found(bytes(10)), found(bytes(11))) as server:
        store = store_at(server.url)
        assert store.get(HEAD).data == bytes(10)
        with pytest.raises(IntegrityError, match="larger than 10 bytes"):
            store.get(HEAD)


# --- creating: it comes to the same however often it is sent -------------------------------------


@pytest.mark.parametrize("trouble", [DROP, error(500, "InternalError"), error(503, "SlowDown")])
def test_a_creation_is_sent_again_until_it_is_answered(store_at, trouble):
    with wire(trouble, DONE) as server:
        assert store_at(server.url).create(HEAD, b"x") == ETAG
    assert server.methods() == ["PUT", "PUT"]
    assert [request.headers["if-none-match"] for request in server.requests] == ["*", "*"]


@pytest.mark.parametrize("refusal", [THERE, error(409, "ConditionalRequestConflict")])
def test_a_creation_that_meets_its_own_first_sending_succeeded(store_at, refusal):
    with wire(DROP, refusal, found(b"x")) as server:
        assert store_at(server.url).create(HEAD, b"x") == ETAG
    assert server.methods() == ["PUT", "PUT", "GET"]


def test_a_creation_that_meets_other_bytes_is_refused(store_at):
    with wire(THERE, found(b"other")) as server:
        with pytest.raises(PreconditionFailed):
            store_at(server.url).create(HEAD, b"x")
        assert server.methods() == ["PUT", "GET"]


@pytest.mark.parametrize("later", [(THERE, found(b"other")), (error(403, "AccessDenied"),)])
def test_a_creation_stays_in_doubt_after_a_lost_answer(store_at, later):
    """The first sending may have created the object, and another replaced it since."""
    with wire(DROP, *later) as server, pytest.raises(OutcomeUnknown):
        store_at(server.url).create(HEAD, b"x")


def test_a_creation_that_collides_is_sent_again(store_at):
    with wire(error(409, "ConditionalRequestConflict"), MISSING, DONE) as server:
        assert store_at(server.url).create(HEAD, b"x") == ETAG
        assert server.methods() == ["PUT", "GET", "PUT"]


def test_a_creation_that_collides_and_then_loses_is_refused_without_a_doubt(store_at):
    with wire(error(409, "ConditionalRequestConflict"), MISSING, THERE, found(b"other")) as server:
        with pytest.raises(PreconditionFailed):
            store_at(server.url).create(HEAD, b"x")
        assert server.methods() == ["PUT", "GET", "PUT", "GET"]


def test_a_creation_that_only_collides_did_not_happen(store_at):
    with wire(*[error(409, "ConditionalRequestConflict"), MISSING] * 4) as server:
        with pytest.raises(StoreUnavailable):
            store_at(server.url).create(HEAD, b"x")
        assert server.methods() == ["PUT", "GET"] * 4


def test_a_creation_that_is_never_answered_is_unknown(store_at):
    with wire(DROP) as server:
        with pytest.raises(OutcomeUnknown, match=HEAD):
            store_at(server.url).create(HEAD, b"x")
        assert server.methods() == ["PUT"] * len(s3_module.WAITS)


# --- replacing: it is sent once ------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        DROP,
        error(500, "InternalError"),
        error(503, "SlowDown"),
        answer(502, b"<html>"),
        b"nonsense",
    ],
)
def test_a_replacement_without_a_clear_answer_is_unknown(store_at, trouble):
    with wire(trouble) as server:
        with pytest.raises(OutcomeUnknown, match=HEAD):
            store_at(server.url).replace(HEAD, b"x", ETAG)
        assert server.methods() == ["PUT"]


def test_a_replacement_that_stalls_is_unknown(store_at, monkeypatch):
    monkeypatch.setattr(s3_module, "READ_TIMEOUT", 0.2)
    with wire(STALL) as server:
        with pytest.raises(OutcomeUnknown, match="timeout"):
            store_at(server.url).replace(HEAD, b"x", ETAG)
        assert server.methods() == ["PUT"]


@pytest.mark.parametrize(
    "refusal",
    [
        THERE,
        MISSING,
        error(409, "ConditionalRequestConflict"),
        error(409, "ConcurrentModification"),
    ],
)
def test_a_replacement_that_is_refused_did_not_happen(store_at, refusal):
    with wire(refusal) as server:
        with pytest.raises(PreconditionFailed):
            store_at(server.url).replace(HEAD, b"x", ETAG)
        assert server.methods() == ["PUT"]


def test_a_write_carries_its_condition_and_its_checksum_and_waits_for_no_permission(store_at):
    with wire(DONE) as server:
        store_at(server.url).replace(HEAD, b"x", ETAG)
    (request,) = server.requests
    assert request.path == "/bucket/TN1/head.json"
    assert request.headers["if-match"] == ETAG
    assert "x-amz-checksum-sha256" in request.headers
    assert "expect" not in request.headers


# --- many ----------------------------------------------------------------------------------------


def test_after_a_failure_no_creation_is_under_way(store_at):
    refused = error(403, "AccessDenied")
    with wire(refused) as server:
        store = store_at(server.url, connections=4)
        with pytest.raises(StoreDenied):
            store.create_many((f"A/{number}", b"x") for number in range(1000))
        sent = len(server.requests)
        store.close()
        assert len(server.requests) == sent <= 8


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_no_more_threads_can_start_no_swap_is_done_that_is_not_told(
    store_at, monkeypatch, allowed
):
    start, started = threading.Thread.start, []

    def start_some(thread: threading.Thread) -> None:
        if thread.name.startswith(("store-", "s3-")):
            if len(started) == allowed:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    swaps = [Swap(f"A{number}/head.json", b"x", None) for number in range(5)]
    with wire(answer(200, ETag=ETAG)) as server:
        store = store_at(server.url)
        monkeypatch.setattr(threading.Thread, "start", start_some)
        done = store.swap_many([], swaps)
        monkeypatch.undo()
        if allowed:
            assert done == [ETAG] * 5
        else:
            assert all(isinstance(each, StoreUnavailable) for each in done)
            store.create_many([("A/1", b"x")])
            assert [each.path for each in server.requests] == ["/bucket/A/1"]
        store.close()


def test_a_listing_that_cannot_go_on_is_unavailable_not_short(store_at):
    page = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    with wire(answer(200, page)) as server, pytest.raises(StoreUnavailable, match="go on"):
        list(store_at(server.url).list())


# --- the client ----------------------------------------------------------------------------------


@given(st.datetimes(datetime(1000, 1, 1)), st.sampled_from(FORMS))  # noqa: DTZ001
def test_times_are_parsed_as_botocore_does(time, form):
    text = time.strftime(form)
    assert parse_time(text) == parse_timestamp(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "Thu, 99 Jan 2026"])
def test_what_is_no_time_is_none_to_either(text):
    for parse in (parse_time, parse_timestamp):
        with pytest.raises(ValueError, match="timestamp"):
            parse(text)
    assert parse_time(1767225600) == parse_timestamp(1767225600)


def test_a_client_that_repeats_requests_is_refused():
    with pytest.raises(InvalidError, match="repeats") as caught:
        S3Store("bucket", client=Session().client("s3"))
    assert "total_max_attempts" in caught.value.hint
    once = Config(retries={"total_max_attempts": 1})
    S3Store("bucket", client=Session().client("s3", config=once))


def test_the_environment_does_not_make_a_client_repeat_requests(store_at, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    with wire(DROP) as server:
        with pytest.raises(OutcomeUnknown):
            store_at(server.url).replace(HEAD, b"x", ETAG)
        assert server.methods() == ["PUT"]


# --- the server's clock --------------------------------------------------------------------------

LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_the_servers_time_is_that_of_its_answers(store_at, zone):
    with wire(answer(200, LISTING, Date=f"Mon, 23 Nov 2026 10:00:00 {zone}")) as server:
        store = store_at(server.url)
        assert store.server_time() == datetime(2026, 11, 23, 10, tzinfo=UTC)
        store.close()


def test_the_servers_time_is_remembered_from_the_last_object_read(store_at):
    dated = answer(200, b"x", ETag='"1"', Date="Mon, 23 Nov 2026 10:00:00 GMT")
    with wire(dated, answer(200, b"x", ETag='"1"')) as server:
        store = store_at(server.url)
        assert store.server_time(remembered=True) is None
        store.get(HEAD)
        told = store.server_time(remembered=True)
        assert timedelta() <= told - datetime(2026, 11, 23, 10, tzinfo=UTC) < timedelta(minutes=1)
        store.get(HEAD)
        assert store.server_time(remembered=True) is None
        assert server.methods() == ["GET", "GET"]
        store.close()


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}])
def test_a_server_that_does_not_say_its_time_is_no_defect(store_at, headers):
    with wire(answer(200, LISTING, **headers)) as server:
        store = store_at(server.url)
        with pytest.raises(StoreUnavailable, match="what time it is"):
            store.server_time()
        store.close()


# --- another process, and the end ----------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a matter of fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_nothing_ever_hangs(s3_store):
    s3_store.create_many([(HEAD, b"x")])
    assert dict(s3_store.get_many([HEAD]))
    child = os.fork()
    if child == 0:
        refused = 0
        for use in uses(s3_store):
            with suppress(StoreUnavailable):
                use()
                break
            refused += 1
        s3_store.close()
        os._exit(refused)
    deadline = time.monotonic() + 30
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ended[1]) == len(uses(s3_store))
    assert s3_store.get(HEAD) is not None


def test_a_closed_store_never_goes_on(s3_bucket, s3_client):
    store = S3Store(s3_bucket, client=s3_client)
    store.close()
    for use in uses(store):
        with pytest.raises(StoreUnavailable, match="was closed"):
            use()
    store.close()


# --- servers without checksums -------------------------------------------------------------------


def test_a_server_without_checksums_is_never_sent_one_if_the_user_says_so(store_at, monkeypatch):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    with wire(DONE) as server:
        store = store_at(server.url)
        store.create(HEAD, b"x")
        store.replace(HEAD, b"y", ETAG)
        store.close()
    for request, data in zip(server.requests, (b"x", b"y"), strict=True):
        assert request.method == "PUT"
        assert not [name for name in request.headers if "checksum" in name or "trailer" in name]
        signed = hashlib.sha256(data).hexdigest()
        assert request.headers["x-amz-content-sha256"] == signed
        assert "x-amz-content-sha256" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "InvalidArgument", "x-amz-sdk-checksum-algorithm is not supported"),
        (400, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid."),
        (501, "NotImplemented", "A header you provided implies functionality: x-amz-trailer"),
        (400, "XAmzContentSHA256Mismatch", "The provided header does not match what was computed"),
        (501, "NotImplemented", "A header you provided implies functionality"),
    ],
)
def test_a_refused_checksum_never_leaves_the_user_without_the_remedy(
    store_at, status, code, message
):
    with wire(error(status, code, message)) as server:
        store = store_at(server.url)
        with pytest.raises(StoreError) as caught:
            store.create(HEAD, b"x")
        store.close()
    assert "AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in caught.value.hint
