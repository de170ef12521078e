"""A bucket in this process, of which one knows what was asked, and which may not answer.

It speaks as much of S3 as a ledger needs. What real servers make of that, servers.py shows.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 11, 23, 10, tzinfo=UTC)

Answer = tuple[int, bytes]


def refusal(status: int, code: str) -> Answer:
    return status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


class Bucket(ThreadingHTTPServer):
    """The bucket, whatever name it is asked for by; each write is a second after the one before."""

    daemon_threads = True

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.objects = objects
        self.written = dict.fromkeys(objects, START)
        self.now = START
        self.page = 1000
        """How many keys a listing has at most."""
        self.asked: list[tuple[str, str]] = []
        """A method, or LIST, and a key or a prefix, of each request."""
        self._lock = Lock()

    @contextmanager
    def serving(self) -> Iterator[Self]:
        thread = Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join(60)
            self.server_close()

    def read(self, key: str) -> Answer:
        data = self.objects.get(key)
        return refusal(404, "NoSuchKey") if data is None else (200, data)

    def write(self, key: str, data: bytes, conditions: Any) -> Answer:
        """Write an object, where ``If-None-Match`` and ``If-Match`` let it."""
        with self._lock:
            there = self.objects.get(key)
            expected = conditions.get("If-Match")
            if (there is not None and "If-None-Match" in conditions) or (
                expected is not None and (there is None or etag(there) != expected)
            ):
                return refusal(412, "PreconditionFailed")
            self.now += timedelta(seconds=1)
            self.objects[key], self.written[key] = data, self.now
            return 200, b""

    def listing(self, query: dict[str, str]) -> Answer:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        found = {
            prefix + inner.partition("/")[0] + "/"
            if query.get("delimiter") and "/" in inner
            else key
            for key in tuple(self.objects)
            if key.startswith(prefix)
            for inner in (key.removeprefix(prefix),)
        }
        rest = sorted(name for name in found if name > after)
        parts = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if name.endswith("/")
            else f"<Contents><Key>{escape(name)}</Key>{self._about(name)}</Contents>"
            for name in rest[: self.page]
        ]
        if len(rest) > self.page:
            token = escape(rest[self.page - 1])
            parts += ["<IsTruncated>true</IsTruncated>"]
            parts += [f"<NextContinuationToken>{token}</NextContinuationToken>"]
        return 200, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode()

    def _about(self, key: str) -> str:
        data = self.objects[key]
        return (
            f"<LastModified>{self.written[key]:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(etag(data))}</ETag><Size>{len(data)}</Size>"
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever asked has gone
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self._key:
            self.server.asked.append(("GET", self._key))
            self._answer(*self.server.read(self._key))
        else:
            self.server.asked.append(("LIST", query.get("prefix", "")))
            self._answer(*self.server.listing(query))

    def do_PUT(self) -> None:
        self.server.asked.append(("PUT", self._key))
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(*self.server.write(self._key, data, self.headers), etag(data))

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def _answer(self, status: int, body: bytes, tag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", tag or etag(body))
        at = self.server.written.get(self._key, START)
        self.send_header("Last-Modified", format_datetime(at, usegmt=True))
        self.end_headers()
        self.wfile.write(body)
