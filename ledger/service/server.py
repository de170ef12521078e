"""Run the service with uvicorn, with deadlines for slow clients and an orderly end.

h11 reads the requests, not httptools: it limits the size of a head and follows RFC 9112 strictly.
docs/decisions/0011-service.md says what that costs.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ledger import __version__
from ledger.service.http.answers import to_json
from ledger.service.http.errors import Busy, HeadTooLarge, RequestError
from ledger.service.http.problems import PROBLEM_TYPE, problem_headers, problem_members, status_of
from ledger.service.middleware import MAX_HEAD, TOO_LARGE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    from ledger.service.context import Context

HEAD_SECONDS = 10
"""How long a client may take to send the head of a request."""
BODY_SECONDS = 60
"""How long it may take to send the body."""
WRITE_SECONDS = 60
"""How long it may take to read what was sent."""
KEEP_ALIVE_SECONDS = 5
GRACE_SECONDS = 30
"""How long a stopping server keeps connections. It always finishes work that it has begun, but a
client that waits longer for the outcome gets no answer, because no answer would be true."""
MAX_CONNECTIONS = 1000

logger: logging.Logger = logging.getLogger("ledger.service")


def run_server(
    app: FastAPI, listener: socket.socket, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight, take nothing new, and return.

    ``app`` comes from ``create_app``; its sealer and its indexer run meanwhile. When this returns,
    nothing uses the ledger any more, except a seal or an update that did not end in time.
    ``ready`` is called when requests are answered.

    Logs to ``ledger.service`` and ``uvicorn.error``; configures no logging.
    """
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # the application writes a better one
        server_header=False,
        proxy_headers=False,  # the application looks at them
        workers=1,
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=None,  # it would cancel writes that happen all the same
    )
    context: Context = app.state.context
    try:
        with context.working():
            _Server(config, context, ready).run(sockets=[listener])
    finally:
        context.threads.wait_until_idle()
    logger.info("%s stopped", context.name)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, context: Context, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._context = context
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            ledger = self._context.ledger
            text = "%s started: version %s serves %s from %s"
            logger.info(text, self._context.name, __version__, ledger.origin, ledger.store.url)
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop in order on a signal. uvicorn would raise the signal again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._context.reload.hurry)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for all work that has begun, and for connections no longer than the grace."""
        logger.info("%s is stopping: it finishes what is in flight", self._context.name)
        grace = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._abort_connections)
        try:
            await super().shutdown(sockets)
        finally:
            grace.cancel()
            self._abort_connections()  # there are some after a second SIGINT

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Protocol(H11Protocol):
    """uvicorn's protocol with deadlines, so that a slow client can't keep a connection."""

    _watched: object = None
    _deadline: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(
            high=0
        )  # pause while the client has anything left to read
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:  # uvicorn's own limit answers in plain text
            self.app = _refuse_connection

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self._end_write_deadline()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_write_deadline()
        self._write_deadline = self.loop.call_later(WRITE_SECONDS, self._too_slow)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_write_deadline()

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 can't read by a problem, if it is this side's turn to speak."""
        del msg  # it says the same of every fault
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        why = sys.exc_info()[1]
        too_large = isinstance(why, h11.RemoteProtocolError) and why.error_status_hint == 431
        error = HeadTooLarge(TOO_LARGE) if too_large else RequestError("this is not HTTP/1.1")
        head, body = _spell(error)
        head["reason"] = HTTPStatus(head["status_code"]).phrase.encode()
        for event in (h11.Response(**head), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _end_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _watch(self) -> None:
        """Start a deadline when it is the client's turn to send; more bytes do not extend it."""
        state = self.conn.their_state
        if state is not self._watched:
            self._watched = state
            self._set_deadline({h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(state))

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._too_slow) if seconds else None

    def _too_slow(self) -> None:
        self.transport.abort()


async def _refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer on a connection beyond the limit."""
    del scope, receive
    error = Busy(f"there are more than {MAX_CONNECTIONS:,} connections", hint="try again later")
    head, body = _spell(error)
    start = {"status": head["status_code"], "headers": head["headers"]}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": body})


def _spell(error: RequestError) -> tuple[dict[str, Any], bytes]:
    """Spell a problem that no application answers with: status and headers, and body."""
    body = to_json(problem_members(error))
    headers = {
        "Content-Type": PROBLEM_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
        **dict(problem_headers(error)),
    }
    spelled = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"status_code": status_of(error), "headers": spelled}, body
