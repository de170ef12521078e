"""A store behind a web server, to be read: a service's ``/objects``, or a ledger's plain folder.

Nothing is written here, and nothing can be listed: a web server has no listing that could be relied
on. What is read is believed no more than what any other store holds. What this module adds is that
only an object is taken for one. A login page, a redirect to another server, an answer that was cut
off, and a proxy's own page are errors of the store, and none of them says that an object is missing
or damaged.

https verifies the server's certificate. Credentials are sent over https, or within this machine,
to the server that was named and to no other, and are in no message.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import ssl
import time
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, SSLError

from ledger.errors import IntegrityError, InvalidError, StoreDenied, StoreUnavailable
from ledger.format.layout import LEDGER_KEY, LOG, check_key
from ledger.stores.base import CONNECTIONS, OBJECTS_HEADER, Blob, Store
from ledger.stores.threads import DaemonThreads, side_by_side
from ledger.stores.timed import TimedResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from urllib3 import BaseHTTPResponse

LIMIT = 5 << 20  # above any entry and trust file of ours: whatever is larger is none
LOG_LIMIT = 17 << 20  # a tile has up to 256 leaves of 64 KiB
CHUNK = 1 << 16
WAITS = (0.0, 0.2, 0.8, 2.0, 5.0)  # seconds before each sending, give or take a half
LONGEST_WAIT = 30.0
"""Seconds that a server may ask to be left alone for (Retry-After)."""
CONNECT = 5.0
OVERALL = 300.0
"""Seconds for one object: a server may send a byte now and then."""
REDIRECTS = 5
BUSY = {408, 425, 429, 500, 502, 503, 504}
PATH = re.compile(r"[A-Za-z0-9!$&'()*+,;=:@/._~%-]*")
PLACES = ("/objects", "")
"""Where below a URL the objects may be: a service's, or those of a plain folder."""


class _Again(StoreUnavailable):
    """No clear answer: the same request may get one a little later."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message, hint="try again later")
        self.wait = wait


class _Connection(HTTPConnection):
    response_class = TimedResponse


class _SecureConnection(HTTPSConnection):
    response_class = TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class WebStore(Store):
    """The objects below a URL of http or https, to be read and not to be written.

    ``token`` is sent as a bearer token; a login in the URL is sent as one. At most ``connections``
    requests of ``get_many`` are under way at once.
    """

    is_listable = False

    def __init__(
        self, url: str, *, token: str | None = None, connections: int = CONNECTIONS
    ) -> None:
        parts = _parse(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        self._origin = f"{parts.scheme}://{host}{port}"
        self._path = parts.path.rstrip("/")
        self.url: str = self._origin + self._path
        self.concurrency = connections
        self._headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "title-ledger",
            **_credentials(parts, token),
        }
        self._pool = _connect(parts, connections)
        self._readers = DaemonThreads(connections)
        self._process: int | None = os.getpid()
        self._place: str | None = None
        """Where the objects are, below the origin, once ``ledger.json`` was found there."""
        self._tells = False
        """Whether the server says of each answer that it is about an object."""
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        if "Authorization" in self._headers:
            return super().__reduce__()  # a token is told to the server, and to nobody else
        return partial(type(self), connections=self.concurrency), (self.url,)

    def __repr__(self) -> str:
        return f"WebStore({self.url!r})"

    def close(self) -> None:
        """End the threads and the connections."""
        if self._process == os.getpid():
            self._process = None
            self._readers.close()
            self._pool.clear()

    def _check_open(self) -> None:
        """Refuse to hang: threads and connections don't outlive a close, nor follow a fork."""
        if self._process != os.getpid():
            raise StoreUnavailable(
                f"{self.url} was closed, or opened before a fork", hint="open the store again"
            )

    # -- Reading -------------------------------------------------------------------------------

    def get(self, key: str) -> Blob | None:
        """The object, or None if the server says that there is none."""
        check_key(key)
        self._check_open()
        place = self._find_place()
        return None if place is None else self._read(place, key)

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
        """Every key with its object, in the order asked for; the next ones are read ahead."""
        self._check_open()
        return side_by_side(self._readers.submit, self._read_one, keys, self.concurrency)

    def _read_one(self, key: str) -> tuple[str, Blob | None]:
        return key, self.get(key)

    def _find_place(self) -> str | None:
        with self._lock:
            if self._place is None:
                for below in PLACES:
                    if self._read(self._path + below, LEDGER_KEY) is not None:
                        self._place = self._path + below
                        break
            return self._place

    def _read(self, place: str, key: str) -> Blob | None:
        """Ask until there is a clear answer, or no time is left."""
        failure: _Again | None = None
        end = time.monotonic() + OVERALL
        for seconds in WAITS:
            wait = max(seconds, failure.wait if failure else 0.0)
            # Not the same time for all, or those who came together would come together again.
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret
            try:
                return self._ask(f"{place}/{key}", key, end)
            except _Again as error:
                failure = error
            if time.monotonic() >= end:
                break
        raise StoreUnavailable(str(failure), hint="try again later") from failure

    def _ask(self, path: str, key: str, end: float) -> Blob | None:
        url = self._origin + path
        for _ in range(REDIRECTS):
            left = max(end - time.monotonic(), 0.01)
            try:
                answer = self._pool.urlopen(
                    "GET",
                    url,
                    headers=self._headers,
                    timeout=urllib3.Timeout(min(CONNECT, left), left),
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
                try:
                    if 300 <= answer.status < 400 and answer.headers.get("Location"):
                        url = self._follow(url, answer.headers["Location"])
                        continue
                    return self._take(answer, key)
                finally:
                    _let_go(answer)
            except SSLError as error:
                raise StoreUnavailable(
                    f"{self.url}: its certificate is not accepted: {_said(error)}",
                    hint="SSL_CERT_FILE names the authorities to trust, if they are your own",
                ) from error
            except (HTTPError, OSError) as error:
                if time.monotonic() >= end:
                    why = f"{self.url}: {key} did not come within {OVERALL:g} s"
                else:
                    why = f"cannot read {key} from {self.url}: {_said(error)}"
                raise _Again(why) from error
        raise StoreUnavailable(f"{self.url} redirects without end, asked for {key}")

    def _follow(self, url: str, location: str) -> str:
        """Where a redirect leads, if it stays at this server: credentials go to no other."""
        target = urlsplit(urljoin(url, location))
        if f"{target.scheme}://{target.netloc}".lower() != self._origin.lower():
            there = f"{target.scheme}://{target.hostname or ''}"
            raise StoreUnavailable(
                f"{self.url} redirects to another server ({there!a:.100}): a login page?",
                hint="if it moved there, use that address; if you must log in: LEDGER_TOKEN",
            )
        return target._replace(fragment="").geturl()

    def _take(self, answer: BaseHTTPResponse, key: str) -> Blob | None:
        self._judge_status(answer, key)
        if key == LEDGER_KEY and answer.status == 200:
            self._tells = OBJECTS_HEADER in answer.headers
        if answer.status == 404:
            if self._tells and OBJECTS_HEADER not in answer.headers:
                raise _Again(f"cannot read {key} from {self.url}: a proxy answered for it (404)")
            return None
        data = _read_whole(answer, key, self.url)
        if data.lstrip()[:1] == b"<" and "html" in answer.headers.get("Content-Type", ""):
            raise StoreUnavailable(
                f"{self.url} answers with a web page, asked for {key}: a login page, or not where"
                " the objects are",
                hint="name the folder of ledger.json, or the service; a token: LEDGER_TOKEN",
            )
        return Blob(data, answer.headers.get("ETag") or hashlib.sha256(data).hexdigest())

    def _judge_status(self, answer: BaseHTTPResponse, key: str) -> None:
        status = answer.status
        what = f"cannot read {key} from {self.url}: the server answers {status}"
        if status in {401, 403, 407}:
            raise StoreDenied(what, hint="set LEDGER_TOKEN to a token that may read")
        if status in BUSY:
            after = answer.headers.get("Retry-After", "")
            wait = float(after) if re.fullmatch("[0-9]{1,4}", after) else 0.0
            raise _Again(what, min(wait, LONGEST_WAIT))
        if status not in {200, 404}:
            raise StoreUnavailable(what, hint="see whether this is the address of a ledger")

    # -- What can't be done --------------------------------------------------------------------

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:  # noqa: ARG002
        """Raise StoreUnavailable: there is no listing."""
        raise StoreUnavailable(
            f"{self.url} can't be listed: a web server only gives what it is asked for by name",
            hint="'ledger clone' makes a copy, in which everything works",
        )

    def check_writable(self) -> NoReturn:
        """Raise StoreDenied."""
        raise StoreDenied(
            f"{self.url} is read-only: nothing can be written over http",
            hint="write where the ledger is, or, with a token, to its service",
        )

    def create(self, key: str, data: bytes) -> str:  # noqa: ARG002
        """Raise StoreDenied, as all that would write do."""
        self.check_writable()

    def replace(self, key: str, data: bytes, expected: str) -> str:  # noqa: ARG002
        """Raise StoreDenied."""
        self.check_writable()

    def delete(self, key: str) -> None:  # noqa: ARG002
        """Raise StoreDenied."""
        self.check_writable()


def _read_whole(answer: BaseHTTPResponse, key: str, url: str) -> bytes:
    """Read an object to its end, and no more than an object may have."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise StoreUnavailable(f"{url}: {key} is encoded, which was not asked for")
    length = answer.headers.get("Content-Length")
    if length is None and not getattr(answer, "chunked", False):
        raise StoreUnavailable(f"{url} does not say how long {key} is: it may be cut off unseen")
    limit = LOG_LIMIT if key.startswith(LOG) else LIMIT
    data = bytearray()
    chunks = answer.stream(CHUNK, decode_content=False)
    for part in chunks if length is None else iter(lambda: _next_part(answer), b""):
        data += part
        if len(data) > limit:
            raise IntegrityError(f"{key} is larger than {limit} bytes", object_key=key)
    if length is not None and length != str(len(data)):
        raise _Again(f"{url}: {key} was cut off after {len(data):,} bytes")
    return bytes(data)


def _next_part(answer: BaseHTTPResponse) -> bytes:
    """Return what has come of an answer, however little: it may not go on."""
    return answer.read1(CHUNK, decode_content=False)


def _let_go(answer: BaseHTTPResponse) -> None:
    """Give a connection back; one that has more to say than a short refusal is closed."""
    with suppress(HTTPError, OSError):
        if not _next_part(answer) or answer.length_remaining == 0:
            answer.release_conn()
            return
    answer.close()


def _parse(url: str) -> SplitResult:
    """Read a URL; the error does not repeat it, for it may hold credentials."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        if not fits or re.search("[?#]", url) or not url.isascii():
            raise ValueError
        if not PATH.fullmatch(parts.path) or re.search(r"[\s\\]", url):
            raise ValueError
    except ValueError:
        raise InvalidError(
            "not the URL of a ledger: expected https://HOST/PATH, in ASCII, without a query"
        ) from None
    return parts


def _credentials(parts: SplitResult, token: str | None) -> dict[str, str]:
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        value = f"Basic {base64.b64encode(login.encode()).decode()}"
    elif token:
        value = f"Bearer {token}"
    else:
        return {}
    if not re.fullmatch(r"[\x21-\x7e ]+", value):
        raise InvalidError("not a token: it has characters that no token has")
    if parts.scheme != "https" and not _is_this_machine(parts.hostname or ""):
        raise InvalidError(
            f"a token or a login for {parts.hostname} would be sent in the clear",
            hint="use https, or unset LEDGER_TOKEN",
        )
    return {"Authorization": value}


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connect(parts: SplitResult, connections: int) -> urllib3.PoolManager:
    """Make the pool of connections: as curl does, through the proxy that the system names."""
    context = ssl.create_default_context()
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(host) and not _is_this_machine(host):
        pool: urllib3.PoolManager = urllib3.ProxyManager(
            proxy, maxsize=connections, ssl_context=context
        )
    else:
        pool = urllib3.PoolManager(maxsize=connections, ssl_context=context)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


def _said(error: Exception) -> str:
    """What went wrong, in a line without addresses: a proxy's may hold a login."""
    cause = getattr(error, "reason", None) or error
    return re.sub(r"//\S*@", "//", str(cause).partition("\n")[0])[:200]
