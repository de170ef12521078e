"""POST to several servers side by side, each answer by a deadline.

The servers are other people's: they may be slow, gone, or send without end. So the deadline is for
the whole exchange, not for one read, and no redirect is followed. Connections are direct, as the
library reads no environment and so knows no proxy.
"""

from __future__ import annotations

import ssl
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from ledger.errors import InvalidError
from ledger.stores.timed import TimedResponse
from ledger.tlog.add_checkpoint import MAX_ANSWER_BYTES, Answer

if TYPE_CHECKING:
    from collections.abc import Sequence


class Target(NamedTuple):
    """Where to post."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str, name: str) -> Self:
        """Parse a URL, for the place of this name below it; raises InvalidError for a wrong one."""
        try:
            if not url.isascii():
                raise ValueError("only ASCII is sent: write the host in Punycode")
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("expected https://HOST/PATH")
            if parts.query or parts.fragment or parts.username is not None:
                raise ValueError("it has more than a host, a port and a path")
            secure = parts.scheme == "https"
            port = parts.port or (443 if secure else 80)
            return cls(secure, parts.hostname, port, f"{parts.path.rstrip('/')}/{name}")
        except ValueError as error:
            raise InvalidError(f"not a URL to post to: {url!a:.200}: {error}") from None


def post_all(requests: Sequence[tuple[Target, bytes]], seconds: float) -> list[Answer | str]:
    """Post all bodies at once; return each answer, or why none came within these seconds."""
    answers: list[Answer | str] = [f"no answer within {seconds:g} s"] * len(requests)
    arrived: SimpleQueue[tuple[int, Answer | str]] = SimpleQueue()
    context = ssl.create_default_context() if any(to.secure for to, _ in requests) else None
    end = time.monotonic() + seconds

    def run(number: int) -> None:
        try:
            arrived.put((number, _post(*requests[number], context, end)))
        except TimeoutError:
            pass
        except (OSError, HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            arrived.put((number, f"no answer: {why!a:.200}"))

    # Nobody waits for these threads after the deadline: looking up a name can't be cut short.
    for number in range(len(requests)):
        Thread(target=run, args=[number], name="ledger-post", daemon=True).start()
    for _ in requests:
        try:
            number, answer = arrived.get(timeout=_left(end))
        except (Empty, TimeoutError):
            break
        answers[number] = answer
    return answers


def _post(to: Target, body: bytes, context: ssl.SSLContext | None, end: float) -> Answer:
    connection = (
        HTTPSConnection(to.host, to.port, timeout=_left(end), context=context)
        if to.secure
        else HTTPConnection(to.host, to.port, timeout=_left(end))
    )
    with closing(connection):
        connection.connect()
        connection.sock.settimeout(_left(end))
        connection.request("POST", to.path, body, {"User-Agent": "title-ledger"})
        connection.sock.settimeout(_left(end))
        connection.response_class = TimedResponse
        with connection.getresponse() as response:
            data = response.read(MAX_ANSWER_BYTES + 1)
            media_type = response.getheader("Content-Type", "")
            return Answer(response.status, media_type, response.getheader("Location", ""), data)


def _left(end: float) -> float:
    """Return the seconds until the deadline; raises TimeoutError after it."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
