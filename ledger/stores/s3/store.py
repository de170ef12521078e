"""A store in a bucket of S3, or of anything that speaks S3 and keeps its conditions.

A write carries its condition: ``If-None-Match: *`` creates, ``If-Match: <ETag>`` replaces. What an
answer means depends on who asked before: if the answer to a replacement is lost and the request is
sent again, the server refuses our own success. So botocore never sends anything twice here
(``total_max_attempts=1``); this module does, for reads and for creations, which come to the same
however often they are sent, and never for a replacement: that one is OutcomeUnknown, and the ledger
settles it by reading.

Many objects are read through ``s3_bulk`` where that is possible; what is said here of single ones
holds for them, too.
"""

from __future__ import annotations

import os
import random
import re
import time
from concurrent.futures import Future
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config
from botocore.handlers import add_expect_header
from botocore.session import get_session
from botocore.utils import parse_timestamp

from ledger.errors import (
    IntegrityError,
    InvalidError,
    LedgerError,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreUnavailable,
    StoreUnsafe,
)
from ledger.format.layout import check_deletable, check_key
from ledger.stores.base import (
    CONNECTIONS,
    Blob,
    IsUnwanted,
    Store,
    Swap,
    check_listing,
    is_listed,
    most_listed,
    swap_one,
)
from ledger.stores.s3.bulk import PAGE, BulkReader, Part
from ledger.stores.s3.errors import FOREIGN, explain, is_missing_object
from ledger.stores.s3.redact import Unlogged, hide_credentials
from ledger.stores.threads import DaemonThreads, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_s3.client import S3Client

LIMIT = 64 << 20  # far above any object of ours: whatever is larger was put there by others
WAITS = (0.0, 0.2, 0.8, 2.0)  # seconds before each sending, give or take a half
PAGES = 16
"""Pages of a listing that are asked for at once."""
NEVER = datetime.min.replace(tzinfo=UTC)
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 20

# Wider than AWS's own rules: Ceph's buckets may have capitals and underscores.
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
PREFIX_PART = re.compile(r"[A-Za-z0-9!_.*'()=+,-]{1,255}")

T = TypeVar("T")
R = TypeVar("R")


class S3Store(Store):
    """The objects of a bucket, or of those whose keys begin with ``prefix`` and a slash.

    Credentials, region and endpoint come from the standard AWS configuration (AWS_PROFILE,
    AWS_ENDPOINT_URL_S3 …). A ``client`` that is given instead must have been made with
    ``Config(retries={"total_max_attempts": 1})``; all requests are its own then, while else
    ``get_many`` takes the short cut of the extra ``fast``. At most ``connections`` requests of
    ``get_many`` and ``create_many`` are under way at once.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: S3Client | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._bucket = _check_bucket(bucket)
        self._prefix = _check_prefix(prefix)
        self.url: str = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        self._own_client = client is None
        if connections < 1:
            raise InvalidError(f"not a number of connections: {connections}")
        self._bulk: BulkReader | None = None
        if client is None:
            self._client, self._bulk = _connect(connections)
        else:  # how it was made can't all be seen, so nothing else may stand in for it
            self._client = _check_client(client)
        self.concurrency = connections
        self._told: tuple[datetime | None, float] = (None, 0.0)
        """What time the server said it was, and when that was on this machine's monotonic clock."""
        # The threads of both are made as they are needed.
        self._readers = DaemonThreads(connections)
        self._writers = DaemonThreads(connections)
        self._process: int | None = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._own_client:
            return super().__reduce__()
        place = _endpoint(self._client)
        return _open_there, (self._bucket, self._prefix, self.concurrency, place)

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    def close(self) -> None:
        """End the threads, and the connections of a client that was not given."""
        if self._process != os.getpid():
            return  # they are another process's
        self._process = None
        self._readers.close()
        self._writers.close()
        if self._own_client:
            self._client.close()

    def _check_open(self) -> None:
        """Refuse to hang: threads and connections don't outlive a close, nor follow a fork."""
        if self._process is None:
            raise StoreUnavailable(f"{self.url} was closed", hint="open the store again")
        if self._process != os.getpid():
            raise StoreUnavailable(
                f"{self.url} was opened by process {self._process}, before a fork:"
                " its threads and connections are not in this process",
                hint="open the ledger in each worker, after the fork (gunicorn: post_fork)",
            )

    def get(self, key: str) -> Blob | None:
        """The object, or None where there is none."""
        self._check_open()
        check_key(key)
        return _read(lambda: self._get(key))

    def create(self, key: str, data: bytes) -> str:
        """Create the object; PreconditionFailed if other bytes are there.

        OutcomeUnknown where the request was sent several times and no answer was clear.
        """
        self._check_open()
        check_key(key)
        return _again(lambda: self._create(key, data))

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Replace the object if its version is ``expected``, else PreconditionFailed."""
        self._check_open()
        check_key(key)
        return self._put(key, data, IfMatch=expected)

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        """The keys in order, a page of a thousand at a time."""
        self._check_open()
        check_listing(prefix, after, delimiter)
        return self._list(prefix, after, delimiter)

    def list_newest(self, prefix: str, about: int) -> Iterable[Sequence[str]]:
        """The keys that ``list`` gives, by the times at which the server says they were written."""
        self._check_open()
        check_listing(prefix, "", "")
        most = most_listed(about)
        written = self._list_side_by_side(prefix, about, most) if self._bulk else None
        if written is None:
            written = {}
            for page in self._pages(prefix):
                told = {each["Key"]: each.get("LastModified") for each in page.get("Contents", ())}
                items = self._items(page)
                written |= {item: _in_utc(told.get(self._prefix + item) or NEVER) for item in items}
                if len(written) >= most:
                    break
        newest = sorted(written, key=written.__getitem__, reverse=True)
        return [list(group) for _, group in groupby(newest, key=written.__getitem__)]

    def _list_side_by_side(self, prefix: str, about: int, most: int) -> dict[str, datetime] | None:
        """List through the short cut, some pages at once: addresses are evenly spread."""
        start = self._prefix + prefix
        pages = min(-(-about // PAGE) or 1, PAGES)
        after = ["", *(f"{start}{0x10000 * page // pages:04x}" for page in range(1, pages)), ""]
        parts = [Part(start, *between, most // pages) for between in pairwise(after)]
        written: dict[str, datetime] = {}
        for listed in side_by_side(self._readers.submit, self._list_part, parts, pages):
            if listed is None:
                return None
            written |= listed
        items = ((key.removeprefix(self._prefix), when) for key, when in written.items())
        return {item: when for item, when in items if is_listed(item)}

    def _list_part(self, part: Part) -> dict[str, datetime] | None:
        return self._bulk.list(part) if self._bulk else None

    def delete(self, key: str) -> None:
        """Delete an object that ``check_deletable`` lets go; others are an InvalidError."""
        self._check_open()
        check_deletable(key)
        _again(lambda: self._delete(key))

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
        """Every key with its object, in the order asked for; the next ones are read ahead."""
        self._check_open()
        return side_by_side(self._readers.submit, self._read_one, keys, self.concurrency)

    def create_many(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Create all the objects side by side; after a failure, none is under way any more."""
        self._check_open()
        submit, most = self._writers.submit, self.concurrency
        for _ in side_by_side(submit, lambda it: self.create(*it), objects, most, finish=True):
            pass

    def swap_many(
        self, objects: Iterable[tuple[str, bytes]], swaps: Sequence[Swap]
    ) -> Sequence[str | LedgerError]:
        """Create the objects side by side, and then do the swaps so."""
        self.create_many(objects)
        if len(swaps) == 1:
            return [swap_one(self, swaps[0])]
        swap, most = partial(swap_one, self), self.concurrency
        return list(side_by_side(self._submit_swap, swap, swaps, most, finish=True))

    def _submit_swap(
        self, call: Callable[[Swap], str | LedgerError], swap: Swap
    ) -> Future[str | LedgerError]:
        try:
            return self._writers.submit(call, swap)
        except StoreUnavailable as error:  # this one is not sent; others may have been
            unsent: Future[str | LedgerError] = Future()
            unsent.set_result(error)
            return unsent

    def purge(self, prefix: str, is_unwanted: IsUnwanted) -> tuple[str, ...]:
        """Delete the unwanted of the versions that a bucket with versioning keeps below a prefix.

        An object that was deleted has older versions only. What Object Lock holds, or nobody lets
        us list or delete, is in the answer.
        """
        check_listing(prefix, "", "")
        left: list[str] = []
        try:
            for key, version in self._older_versions(prefix):
                read = partial(self._read_version, key, version)
                if is_unwanted(key, read) and (why := self._delete_version(key, version)):
                    left.append(f"an older version of {key} ({version}): {why}")
        except (StoreDenied, StoreUnsafe) as error:
            left.append(f"older versions of the objects below {prefix}: {error}")
        return tuple(left)

    def presign(self, key: str, seconds: int) -> str:
        """A URL from which anybody can read this one object for so long: it is a credential."""
        self._check_open()
        check_key(key)
        try:
            return self._client.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": self._prefix + key},
                ExpiresIn=seconds,
            )
        except FOREIGN as error:
            raise explain(error, f"cannot presign {self._where(key)}", key) from error

    def server_time(self, *, remembered: bool = False) -> datetime | None:
        """What the server's clock says, to the second.

        ``remembered``: as the last read of an object told it, and the time since; None if it
        didn't. Raises StoreUnavailable if the server doesn't tell when asked.
        """
        self._check_open()
        if remembered:
            said_at, since = self._told
            return said_at and said_at + timedelta(seconds=time.monotonic() - since)
        page = _read(lambda: self._page({"Bucket": self._bucket, "Prefix": self._prefix}))
        said_at = _date_of(page)
        if said_at is None:
            raise StoreUnavailable(f"{self.url}: the server doesn't say what time it is")
        return said_at

    def _read_one(self, key: str) -> tuple[str, Blob | None]:
        bulk = self._bulk
        blob = bulk.get(self._prefix + check_key(key), LIMIT) if bulk else None
        if blob is None:
            blob = self.get(key)
            if bulk is not None and blob is not None:
                bulk.miss()
        return key, blob

    def _get(self, key: str, **version: str) -> Blob | None:
        get: Callable[..., Any] = self._client.get_object
        try:
            answer = get(Bucket=self._bucket, Key=self._prefix + key, **version)
            # Not "with … as": that would give the raw stream, in which nothing is checked.
            with closing(answer["Body"]) as body:
                data = body.read(LIMIT)
                # Reading to the end is what makes botocore compare the length and the checksum.
                more = body.read(1)
        except FOREIGN as error:
            if is_missing_object(error):
                return None
            raise explain(error, f"cannot read {self._where(key)}", key) from error
        if more:
            raise IntegrityError(f"{key} is larger than {LIMIT} bytes", object_key=key)
        self._told = (_date_of(answer), time.monotonic())
        blob = Blob(data, self._version(key, answer))
        if self._bulk is not None and not version:
            self._bulk.learn(self._prefix + key)
        return blob

    def _create(self, key: str, data: bytes) -> str:
        """Send a creation once, and if it is refused, see what is there.

        A server may refuse (409) while another's creation is under way: then nothing is there yet.
        """
        try:
            return self._put(key, data, IfNoneMatch="*")
        except PreconditionFailed as refusal:
            there = self.get(key)
            if there is None:
                raise _Collided(str(refusal), hint="try again later") from refusal
            if there.data != data:
                raise
            return there.version

    def _put(self, key: str, data: bytes, **condition: str) -> str:
        """Send a conditional write once; one that got no clear answer is OutcomeUnknown."""
        put: Callable[..., Any] = self._client.put_object
        if getattr(self._client.meta.config, "request_checksum_calculation", "") != "when_required":
            condition["ChecksumAlgorithm"] = "SHA256"
        try:
            answer = put(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=Unlogged(data),
                ContentType="application/json" if key.endswith(".json") else "binary/octet-stream",
                **condition,
            )
        except FOREIGN as error:
            action = f"cannot write {self._where(key)}"
            if is_missing_object(error):
                raise PreconditionFailed(f"{action}: it is not there to be replaced") from error
            raise explain(error, action, key) from error
        return self._version(key, answer)

    def _version(self, key: str, answer: Mapping[str, Any]) -> str:
        """The ETag of an answer: without one, the next replacement would carry no condition."""
        version = str(answer.get("ETag", ""))
        if not version:
            raise StoreUnsafe(
                f"{self._where(key)}: the server, or a gateway before it, leaves out the ETag",
                hint="a ledger needs it, to replace what was read and nothing else",
            )
        return version

    def _delete(self, key: str, **version: str) -> None:
        delete: Callable[..., Any] = self._client.delete_object
        try:
            delete(Bucket=self._bucket, Key=self._prefix + key, **version)
        except FOREIGN as error:
            if not is_missing_object(error):
                raise explain(error, f"cannot delete {self._where(key)}", key) from error

    def _older_versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The key and the version's id of what ``get`` doesn't find any more."""
        asked = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        while True:
            page = _read(lambda: self._page(asked, self._client.list_object_versions))
            for found in page.get("Versions", ()):
                key = found["Key"].removeprefix(self._prefix)
                if not found["IsLatest"] and is_listed(key):
                    yield key, found["VersionId"]
            if not page.get("IsTruncated"):
                return
            asked["KeyMarker"] = page["NextKeyMarker"]
            asked["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _read_version(self, key: str, version: str) -> bytes:
        blob = _read(lambda: self._get(key, VersionId=version))
        return blob.data if blob else b""

    def _delete_version(self, key: str, version: str) -> str:
        """Delete a version; return why it can't be, or nothing."""
        try:
            _again(lambda: self._delete(key, VersionId=version))
        except StoreDenied as error:
            return self._find_lock(key, version) or str(error)
        return ""

    def _find_lock(self, key: str, version: str) -> str:
        try:
            found = self._client.head_object(
                Bucket=self._bucket, Key=self._prefix + key, VersionId=version
            )
        except FOREIGN:
            return ""
        until: datetime | None = found.get("ObjectLockRetainUntilDate")
        if found.get("ObjectLockLegalHoldStatus") == "ON":
            return "a legal hold keeps it"
        return f"Object Lock keeps it until {until:%Y-%m-%d}" if until else ""

    def _list(self, prefix: str, after: str, delimiter: str) -> Iterator[str]:
        for page in self._pages(prefix, after, delimiter):
            # After "TN1/", a server may go on with "TN1/" again: its keys do sort after it.
            yield from (item for item in self._items(page) if item > after)

    def _pages(self, prefix: str, after: str = "", delimiter: str = "") -> Iterator[dict[str, Any]]:
        asked = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "Delimiter": delimiter}
        if after:
            asked["StartAfter"] = self._prefix + after
        while True:
            page = _read(lambda: self._page(asked))
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _page(self, asked: dict[str, str], ask: Callable[..., Any] | None = None) -> dict[str, Any]:
        list_objects: Callable[..., Any] = ask or self._client.list_objects_v2
        try:
            page: dict[str, Any] = list_objects(**asked)
        except FOREIGN as error:
            raise explain(error, f"cannot list {self.url}") from error
        goes_on = page.get("NextContinuationToken") or page.get("NextKeyMarker")
        if page.get("IsTruncated") and not goes_on:
            raise StoreUnavailable(f"cannot list {self.url}: the server doesn't say how to go on")
        return page

    def _items(self, page: dict[str, Any]) -> Iterable[str]:
        """The keys and common prefixes of a page as one sorted list; those of others left out."""
        keys = [content["Key"] for content in page.get("Contents", ())]
        # A console marks its folders with objects, whose names end in a slash.
        names = [key for key in keys if not key.endswith("/")]
        names += [common["Prefix"] for common in page.get("CommonPrefixes", ())]
        return filter(is_listed, sorted(name.removeprefix(self._prefix) for name in names))

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}"


def _date_of(answer: Mapping[str, Any]) -> datetime | None:
    """The date in an answer's headers."""
    try:
        said_at = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (LookupError, ValueError):
        return None
    return _in_utc(said_at)


def _in_utc(said_at: datetime) -> datetime:
    """The time that a server told; in UTC, if it left out its zone."""
    return said_at if said_at.tzinfo else said_at.replace(tzinfo=UTC)


def make_client(connections: int = CONNECTIONS) -> S3Client:
    """A client of the standard AWS configuration, set up as ``S3Store`` needs it."""
    return _connect(connections)[0]


def _connect(connections: int) -> tuple[S3Client, BulkReader]:
    config = Config(
        signature_version="s3v4",
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=connections,
    )
    try:
        hide_credentials()
        session = get_session()
        parsers: Any = session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=parse_time)
        client: S3Client = Session(botocore_session=session).client("s3", config=config)
        bulk = BulkReader(session, client, connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
    except FOREIGN as error:
        failure = explain(error, "cannot use the AWS configuration")
        if isinstance(failure, OutcomeUnknown):  # it isn't: nothing was sent
            failure = StoreUnavailable(str(failure), hint="see AWS_ENDPOINT_URL_S3 and AWS_REGION")
        raise failure from error
    # "Expect: 100-continue" costs a round trip per write, for bodies of a few KB.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client, bulk


def parse_time(value: Any) -> datetime:
    """Parse as botocore does, which takes longer for the times of a listing than for all else."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime) if isinstance(value, str) else ():
        with suppress(ValueError):
            if (parsed := parse(value)).tzinfo is not None:
                return parsed
    return parse_timestamp(value)


def _open_there(bucket: str, prefix: str, connections: int, endpoint: str) -> S3Store:
    """Open a bucket in another process, with the credentials that this one has.

    The bucket of the same name at another endpoint would be another one.
    """
    store = S3Store(bucket, prefix, connections=connections)
    here = _endpoint(store._client)  # noqa: SLF001
    if here != endpoint:
        store.close()
        raise StoreUnavailable(
            f"{store.url} would be read at {here} by a worker, and is at {endpoint}",
            hint="give the workers the same AWS_ENDPOINT_URL_S3 and AWS_REGION as this process",
        )
    return store


def _endpoint(client: S3Client) -> str:
    """Where a client sends its requests, without any credentials."""
    parts = urlsplit(client.meta.endpoint_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _check_client(client: S3Client) -> S3Client:
    retries: dict[str, object] = getattr(client.meta.config, "retries", None) or {}
    if retries.get("total_max_attempts") != 1:
        raise InvalidError(
            "the S3 client repeats its requests, so that it would refuse its own success",
            hint='make it with botocore.config.Config(retries={"total_max_attempts": 1})',
        )
    return client


def _check_bucket(bucket: str) -> str:
    """The bucket's name, or InvalidError, which does not repeat it: it may hold a credential."""
    if not BUCKET.fullmatch(bucket):
        raise InvalidError("not a bucket's name", hint="an S3 store is named s3://BUCKET/PREFIX")
    return bucket


def _check_prefix(prefix: str) -> str:
    """The prefix with a slash at its end, or "", or InvalidError."""
    parts = prefix.removesuffix("/").split("/") if prefix else []
    for part in parts:
        if not PREFIX_PART.fullmatch(part) or part in {".", ".."}:
            raise InvalidError(
                "not a prefix for a bucket's keys",
                hint="its parts are of letters, digits and !_.*'()=+,- and none is '.' or '..'",
            )
    return "".join(f"{part}/" for part in parts)


class _Collided(StoreUnavailable):
    """Refused because others are writing the object: nothing was written, and it may be now."""


def _read(call: Callable[[], T]) -> T:
    """``_again`` for a reading, which has no outcome to be unknown."""
    try:
        return _again(call)
    except OutcomeUnknown as error:
        raise StoreUnavailable(str(error), hint="try again later") from error


def _again(call: Callable[[], T]) -> T:
    """Call until there is a clear answer: for requests that come to the same if repeated.

    After an unclear answer, a later refusal leaves the doubt: the first request may have been done,
    and its object replaced since.
    """
    failure: LedgerError = OutcomeUnknown("nothing was sent")
    in_doubt = False
    for seconds in WAITS:
        # Not the same time for all, or those who collided would collide again.
        time.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311  not a secret
        try:
            return call()
        except OutcomeUnknown as error:
            failure, in_doubt = error, True
        except LedgerError as error:
            if in_doubt:
                raise failure from error
            if not isinstance(error, _Collided):
                raise
            failure = error
    raise failure
