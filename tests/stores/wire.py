"""A server that gives the answers it is told to, or drops the connection, one per request."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DROP = b""  # the request is read, and the connection is closed without an answer
STALL = b"stall"  # the request is read, and nothing happens


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Wire:
    """The answers still to give, the last of them again and again, and the requests there were."""

    answers: list[bytes]
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    stalls_at: str | None = None
    """How the paths end for which nothing happens, whatever the answers."""
    drips: float = 0
    """Seconds between single bytes that follow the last answer, without end; 0: none do."""

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


def answer(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> bytes:
    """An HTTP answer; its ``length`` may lie."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    lines += ["Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(status: int, code: str, message: str = "said the server") -> bytes:
    """An error of S3."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return answer(status, body.encode())


@contextmanager
def wire(*answers: bytes, drips: float = 0) -> Iterator[Wire]:
    """Serve the answers; more requests than answers get the last one again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        state = Wire(list(answers), url=url, drips=drips)
        thread = Thread(target=_serve, args=(listener, state))
        thread.start()
        try:
            yield state
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def _serve(listener: socket.socket, state: Wire) -> None:
    # A thread each: some clients open a connection ahead, and may never use it.
    connections, threads, turn = [], [], Lock()
    with suppress(OSError):  # the listener is shut down
        while True:
            connections.append(listener.accept()[0])
            threads.append(Thread(target=_answer, args=(connections[-1], state, turn)))
            threads[-1].start()
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(60)
    for connection in connections:
        connection.close()


def _answer(connection: socket.socket, state: Wire, turn: Lock) -> None:
    with suppress(OSError):
        request = _read(connection)
        if request is None:
            return
        with turn:
            state.requests.append(request)
            is_last = len(state.answers) == 1
            given = state.answers[0] if is_last else state.answers.pop(0)
        stalled = state.stalls_at is not None and request.path.endswith(state.stalls_at)
        if given is not STALL and not stalled:
            connection.sendall(given)
            while state.drips and is_last:
                Event().wait(state.drips)  # a test may have taken time.sleep away
                connection.sendall(b"x")
            connection.close()


def _read(connection: socket.socket) -> Request | None:
    """A request, or None where the connection is closed without one."""
    with connection.makefile("rb") as lines:
        first = lines.readline().decode()
        if not first:
            return None
        method, path, _ = first.split()
        headers = {}
        while line := lines.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        lines.read(int(headers.get("content-length", 0)))
    return Request(method, path, headers)
