"""A short cut for reading many objects of a bucket: obstore, at a twentieth of boto3's work.

It is a short cut, and decides nothing. Only a whole object with its ETag counts; whatever else
comes back, boto3 is asked, and its answer stands: what is missing, denied, damaged or too slow is
told in one way. And it is taken only where it leads to the same place: a request of boto3's is
copied, its address, region and credentials; what can't be copied closes the short cut.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

from ledger.stores.base import Blob

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.credentials import Credentials
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Credential
    from obstore.store import S3Store as Obstore

logger: logging.Logger = logging.getLogger("ledger.stores.s3")

SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^ ,]*/([a-z0-9-]+)/s3/aws4_request,.*")
# What is escaped in a path is signed in one way by some, and in another by others.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]*")

PAGE = 1000
"""Keys in a page of a listing."""

MISSES = 3
"""So many readings in a row that boto3 could do and this could not close the short cut; so many
listings that this could not do close it for listings."""

CREDENTIALS_LAST = timedelta(minutes=6)
"""obstore asks again five minutes before the end: every minute, so as to see what was refreshed."""

OVERALL = timedelta(minutes=5)  # for 64 MiB; what stalls is given up sooner, by the read timeout


class Place(NamedTuple):
    """Where boto3 sends its readings to."""

    url: str
    """What stands before the slash and the key of an object."""
    region: str


class Part(NamedTuple):
    """What is to be listed."""

    prefix: str
    after: str
    until: str
    """The last key there may be; "": any."""
    most: int
    """Keys after which no further page is asked for."""


class BulkReader:
    """Reads objects where a client of boto3's does; safe to use from many threads."""

    def __init__(self, session: Session, client: S3Client, *, connect: float, read: float) -> None:
        """``session`` is what the client was made from; the timeouts are in seconds."""
        self._credentials = session.get_credentials()
        self._timeouts = {
            "connect_timeout": timedelta(seconds=connect),
            "read_timeout": timedelta(seconds=read),
            "timeout": OVERALL,
        }
        self._authorities = session.get_config_variable("ca_bundle")
        self._obstacle = ""
        if why := _obstacle(session):
            self._close(why)
        self._sent: tuple[str, str] | None = None
        self._place: Place | None = None
        self._store: Obstore | None = None
        self._misses = 0
        self._list_misses = 0
        self._lock = Lock()
        client.meta.events.register("before-send.s3.GetObject", self._note)

    def get(self, key: str, limit: int) -> Blob | None:
        """The object of at most so many bytes, or None where that is for boto3 to say."""
        store = self._open()
        if store is None:
            return None
        import obstore  # noqa: PLC0415 -- it is there: the store is made of it

        try:
            answer = obstore.get(store, key)
            size, version = answer.meta["size"], answer.meta["e_tag"]
            data = bytes(answer.bytes()) if version and size <= limit else None
        except Exception:  # noqa: BLE001 -- whatever it is: boto3 is asked, and tells
            return None
        if data is None or not version or len(data) != size:
            return None
        self._misses = 0
        return Blob(data, version)

    def list(self, part: Part) -> dict[str, datetime] | None:
        """Tell when each key was written, or None if that is for boto3 to say."""
        # obstore lists folders, and no other prefix.
        is_folder = part.prefix.endswith("/") and PLAIN_PATH.fullmatch(part.prefix)
        store = self._open() if is_folder and self._list_misses < MISSES else None
        if store is None:
            return None
        import obstore  # noqa: PLC0415 -- it is there: the store is made of it

        after, until = part.after or None, part.until
        written: dict[str, datetime] = {}
        try:
            for page in obstore.list(store, part.prefix, offset=after, chunk_size=PAGE):
                written |= {each["path"]: each["last_modified"] for each in page}
                if len(written) >= part.most or (until and page[-1]["path"] > until):
                    break
        except Exception as error:  # noqa: BLE001 -- whatever it is: boto3 is asked, and tells
            self._list_misses += 1
            if self._list_misses == MISSES:
                logger.info("boto3 lists alone: obstore: %s", type(error).__name__)
            return None
        self._list_misses = 0
        return {
            key: time
            for key, time in written.items()
            if key.startswith(part.prefix) and (not until or key <= until)
        }

    def learn(self, key: str) -> None:
        """Hear that boto3 has just read this object."""
        if self._place is None and not self._obstacle and self._sent is not None:
            self._place, why = _place(*self._sent, key)
            if self._authorities and self._sent[0].startswith("https:"):
                why = "AWS_CA_BUNDLE: obstore would trust the system's authorities, too"
            if why:
                self._close(why)

    def miss(self) -> None:
        """Hear that boto3 has read what this could not."""
        if self._store is not None and not self._obstacle:
            self._misses += 1
            if self._misses >= MISSES:
                self._close("obstore is refused what boto3 is given")

    def _note(self, request: AWSPreparedRequest, **_: object) -> None:
        """See a request before it is sent."""
        signed = request.headers.get("Authorization", b"")
        self._sent = (request.url, signed.decode() if isinstance(signed, bytes) else str(signed))

    def _open(self) -> Obstore | None:
        if self._obstacle or self._place is None:
            return None
        with self._lock:
            if self._store is None:
                try:
                    self._store = self._make(self._place)
                except ImportError:
                    self._close("obstore is not installed (pip install '.[fast]')")
                except Exception as error:  # noqa: BLE001 -- it is a short cut, and may be closed
                    self._close(f"obstore: {type(error).__name__}")
            return self._store

    def _make(self, place: Place) -> Obstore:
        from obstore.store import S3Store as Obstore  # noqa: PLC0415 -- only who reads much waits

        # It reads AWS_… too, some that boto3 doesn't know: what matters here is said outright.
        options: dict[str, Any] = {
            "client_options": {
                **self._timeouts,
                "allow_http": place.url.startswith("http:"),
                "allow_invalid_certificates": False,
                "http1_only": True,
            },
            "retry_config": {"max_retries": 0},
            "credential_provider": self._provide,
            "aws_endpoint_url_s3": place.url,
            "virtual_hosted_style_request": True,  # the bucket is in the URL already
            "region": place.region,
            "skip_signature": False,
            "request_payer": False,
            "s3_express": False,
        }
        return Obstore("bucket", **options)

    def _provide(self) -> S3Credential:
        frozen = cast("Credentials", self._credentials).get_frozen_credentials()
        return {
            "access_key_id": cast("str", frozen.access_key),
            "secret_access_key": cast("str", frozen.secret_key),
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_LAST,
        }

    def _close(self, why: str) -> None:
        self._obstacle = why
        logger.info("boto3 reads alone: %s", why)


def _obstacle(session: Session) -> str:
    """What of the configuration can't be copied, or ""."""
    if session.get_credentials() is None:
        return "there are no credentials"
    if getproxies().keys() - {"no"}:
        return "a proxy: which hosts are excepted, each reads in its own way"
    return ""


def _place(url: str, signed: str, key: str) -> tuple[Place | None, str]:
    """The place that a request for the key was sent to; or None, and what is in the way.

    Neither, where the request was for another key: many threads send them.
    """
    parts = urlsplit(url)
    if not parts.path.endswith(f"/{key}"):
        return None, "" if PLAIN_PATH.fullmatch(key) else "the prefix has unusual characters"
    scope = SIGNED.fullmatch(signed)
    if scope is None:
        return None, "the requests are signed in another way"
    if parts.query or "@" in parts.netloc or not PLAIN_PATH.fullmatch(parts.path):
        return None, "the endpoint is an unusual one"
    base = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix(f'/{key}')}"
    return Place(base, scope[1]), ""
