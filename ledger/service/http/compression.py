"""Compress answers to GET, if the client takes it (RFC 9110, section 12.5.3).

An entity tag ends with the coding: "ADDRESS-gzip" is another representation than "ADDRESS". The
ending is taken off what a client sends back, so a write on top of it names the version.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import zstandard
from anyio import to_thread
from starlette.datastructures import MutableHeaders

from ledger.service.http.headers import quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "gzip": lambda data: zlib.compress(data, wbits=31),
}
"""The first one wins if a client takes both alike: it is faster, and makes less of a page."""
TYPES = (
    "application/json",
    "application/problem+json",
    "application/atom+xml",
    "text/",
    "image/svg",
)
"""What gets smaller. Tiles are hashes, and bundles are sent while they are read."""
MIN_SIZE = 1200
"""Bytes below which an answer is one packet anyway."""
IN_LOOP = 1 << 16
"""Bytes beyond which compressing would delay other requests."""
ENDING = re.compile(rb'-(?:%s)"' % "|".join(CODINGS).encode())
CONDITIONS = {b"if-match", b"if-none-match"}
FOREIGN = {b"cross-site", b"same-site"}
"""Who asked a browser for this (Sec-Fetch-Site): another site, which may have chosen words in the
answer to guess others by its length (BREACH)."""


class Compression:
    """Middleware that compresses what is inside, and takes the endings off tags that come back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            coding, tags = _read(scope)
            if scope["method"] == "GET":
                send = _Sender(send, coding, tags)
        await self._app(scope, receive, send)


class _Sender:
    """Sends one answer, compressed if it is whole, and gets smaller, and the client takes it."""

    def __init__(self, send: Send, coding: str, tags: bytes) -> None:
        self._send = send
        self._coding = coding
        self._tags = tags
        self._start: Message = {}

    async def __call__(self, message: Message) -> None:
        """Send a message of the answer. Its start waits for the body, whose length it names."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start:
            start, self._start = self._start, {}
            body: bytes = message.get("body", b"")
            if start["status"] == 304:
                self._restore_tag(start)
            elif len(body) >= MIN_SIZE and not message.get("more_body"):
                message = {**message, "body": await self._compress(start, body)}
            await self._send(start)
        await self._send(message)

    def _restore_tag(self, start: Message) -> None:
        """Name the representation that the client has."""
        headers = MutableHeaders(scope=start)
        headers.add_vary_header("Accept-Encoding")
        tag = _ended(headers["ETag"], self._coding)
        if tag.encode("latin-1") in self._tags:
            headers["ETag"] = tag

    async def _compress(self, start: Message, body: bytes) -> bytes:
        headers = MutableHeaders(scope=start)
        media_type = headers.get("Content-Type", "")
        if not media_type.startswith(TYPES) or "Content-Encoding" in headers:
            return body
        headers.add_vary_header("Accept-Encoding")
        if not self._coding:
            return body
        compress = CODINGS[self._coding]
        data = await to_thread.run_sync(compress, body) if len(body) > IN_LOOP else compress(body)
        headers["Content-Encoding"] = self._coding
        headers["Content-Length"] = str(len(data))
        if "ETag" in headers:
            headers["ETag"] = _ended(headers["ETag"], self._coding)
        return data


def _read(scope: Scope) -> tuple[str, bytes]:
    """Choose the coding of the answer, and take the endings off the tags in the conditions.

    Returns the coding, or "" (identity), and the tags that If-None-Match had.
    """
    reads = scope["method"] == "GET"
    accepted = tags = b""
    is_tagged = is_foreign = False
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted = accepted + b"," + value
        elif name == b"sec-fetch-site":
            is_foreign = value in FOREIGN
        elif name == b"if-none-match":
            tags += value
        is_tagged = is_tagged or (name in CONDITIONS and ENDING.search(value) is not None)
    coding = _choose(accepted.lower()) if reads and accepted and not is_foreign else ""
    if is_tagged:
        scope["headers"] = [
            (name, _without_ending(name, value, coding, reads=reads))
            for name, value in scope["headers"]
        ]
    return coding, tags


@lru_cache(maxsize=256)
def _choose(accepted: bytes) -> str:
    """Return the coding that a client prefers, or "" (identity)."""
    wanted: dict[str, float] = {}
    for part in accepted.decode("latin-1").split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        wanted[coding] = quality(parameters)
    best = max(CODINGS, key=lambda coding: wanted.get(coding, 0.0))
    return best if wanted.get(best) else ""


def _without_ending(name: bytes, value: bytes, coding: str, *, reads: bool) -> bytes:
    """Take the endings off the tags in a condition.

    But a client that has another representation than it would get now does not have this one.
    """
    if name == b"if-match" or (name == b"if-none-match" and not reads):
        return ENDING.sub(b'"', value)
    return value.replace(_ended('"', coding).encode(), b'"') if name == b"if-none-match" else value


def _ended(tag: str, coding: str) -> str:
    return f'{tag[:-1]}-{coding}"' if coding else tag
