"""A proxy before a real S3 server, for those who stand in between: faults, cheats, guards.

What stands in between is a function of a request and of a way to pass it on::

    def busy(request: Request, forward: Forward) -> Response:
        return error(503, "SlowDown") if request.writes else forward(request)

    with proxy(url, busy) as between:
        ...                                       # clients use between.url

It answers, or raises ``Broken`` for what no server says: a connection that ends too soon.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from threading import Lock, Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

Headers = tuple[tuple[str, str], ...]

OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}
PATIENCE = 30  # seconds for the server behind to answer
RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends a reset


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def path(self) -> str:
        """The bucket and key, as a text."""
        return unquote(urlsplit(self.target).path)

    @property
    def writes(self) -> bool:
        return self.method in {"PUT", "POST", "DELETE"}

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)

    def without(self, *names: str) -> Request:
        """The request with these headers left out."""
        left = {name.lower() for name in names}
        return replace(self, headers=tuple(h for h in self.headers if h[0].lower() not in left))


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)

    def encode(self, method: str) -> bytes:
        """The bytes of the answer; one to HEAD has the headers only."""
        known = self.header("content-length") if method == "HEAD" else None
        lines = [f"HTTP/1.1 {self.status} Whatever", f"Content-Length: {known or len(self.body)}"]
        lines += [f"{n}: {v}" for n, v in self.headers if n.lower() not in OF_ONE_CONNECTION]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if method == "HEAD" else head + self.body


Forward = Callable[[Request], Response]
Between = Callable[[Request, Forward], Response]


class Broken(Exception):
    """The client gets these bytes, and then the connection's end, or a reset."""

    def __init__(self, data: bytes = b"", *, reset: bool = False) -> None:
        super().__init__("broken")
        self.data = data
        self.reset = reset


@dataclass
class Proxy:
    url: str
    between: Between
    requests: list[Request] = field(default_factory=list)
    close: Callable[[], None] = field(default=lambda: None)
    """End it, when all that is under way has come to its end."""


def error(status: int, code: str) -> Response:
    """An error of S3."""
    body = f"<Error><Code>{code}</Code><Message>said the proxy</Message></Error>".encode()
    return Response(status, body, (("Content-Type", "application/xml"),))


def honest(request: Request, forward: Forward) -> Response:
    return forward(request)


@contextmanager
def proxy(server: str, between: Between = honest) -> Iterator[Proxy]:
    """Stand before a server; ``between`` can be changed at any time."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        state = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}", between)
        serving = _Serving(urlsplit(server).netloc, state, listener)
        state.close = serving.end
        serving.start()
        try:
            yield state
        finally:
            state.close()


class _Serving:
    """The connections of a proxy, a thread each."""

    def __init__(self, server: str, state: Proxy, listener: socket.socket) -> None:
        self.server = server
        self.state = state
        self.listener = listener
        self.lock = Lock()
        self.connections: list[tuple[socket.socket, Thread]] = []
        self.thread = Thread(target=self.accept)
        self.start = self.thread.start

    def accept(self) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                connection = self.listener.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = Thread(target=self.serve, args=(connection,))
                self.connections.append((connection, thread))
                thread.start()

    def end(self) -> None:
        with suppress(OSError):  # it has ended before
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(60)
        for connection, _ in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in self.connections:
            thread.join(60)

    def serve(self, connection: socket.socket) -> None:
        upstream = HTTPConnection(self.server, timeout=PATIENCE)
        try:
            with suppress(OSError), connection, connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    if not self.answer(connection, request, upstream):
                        break
        finally:
            upstream.close()

    def answer(self, connection: socket.socket, request: Request, upstream: HTTPConnection) -> bool:
        """Answer one request; whether the connection is good for another."""
        with self.lock:
            self.state.requests.append(request)
        try:
            response = self.state.between(request, lambda each: _forward(each, upstream))
        except Broken as broken:
            connection.sendall(broken.data)
            if broken.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            else:
                connection.shutdown(socket.SHUT_RDWR)
            return False
        connection.sendall(response.encode(request.method))
        return True


def _read(stream: BinaryIO) -> Request | None:
    """The next request of a connection; None where there is no more."""
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = []
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    request = Request(first[0], first[1], tuple(headers), b"")
    return replace(request, body=stream.read(int(request.header("content-length") or 0)))


def _forward(request: Request, upstream: HTTPConnection) -> Response:
    """Ask the server just what the client asked: its signature is over the host, too."""
    upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers:
        if name.lower() not in {"connection", "expect", "content-length"}:
            upstream.putheader(name, value)
    if request.body or request.method in {"PUT", "POST"}:
        upstream.putheader("Content-Length", str(len(request.body)))
    upstream.endheaders(request.body or None)
    answer = upstream.getresponse()
    return Response(answer.status, answer.read(), tuple(answer.getheaders()))
