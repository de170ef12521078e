"""Calling a service: in this process, or a real one with sockets and signals."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from io import BytesIO, StringIO, TextIOWrapper
from threading import Thread
from typing import TYPE_CHECKING, Any
from unittest import mock

import fastapi
import httpx
import uvicorn

from cli.app import run
from ledger import Keyring
from ledger.service import Settings, create_app
from ledger.testing import memory_ledger
from tests.servers import PATIENCE
from tests.service.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ledger import Ledger
    from ledger.service import Indexer

TITLE = "TN1234567"
DOCUMENT = {"address": "1 low street", "title_number": TITLE}
DIGEST = "78f08a9bb7e01441832a50e9dc9938ccae6bf5359c6efa2312fa4aa652a8747d"
# httpx gives an answer 5 seconds, which a server that others slow down may need for its first one.
vars(httpx._config.DEFAULT_TIMEOUT_CONFIG).update(httpx.Timeout(PATIENCE).as_dict())
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def _prepare_once() -> None:
    """Let FastAPI read what an endpoint takes for the first application only, and httpx its CAs.

    Each takes longer over that than all else does in a test of one request.
    """
    default = httpx._transports.default
    default.create_ssl_context = cache(default.create_ssl_context)
    read, known = fastapi.routing.get_dependant, {}

    def remembered(*, path: str, call: Callable[..., Any], **named: Any) -> Any:
        key = (path, getattr(call, "__func__", call), repr(named))
        if key not in known:
            known[key] = replace(read(path=path, call=call, **named), call=None)
        found = known[key]
        return replace(found, call=call, dependencies=[*found.dependencies])

    fastapi.routing.get_dependant = remembered
    fastapi.dependencies.utils.get_dependant = remembered


_prepare_once()


class Client:
    """Calls an application without a socket, one request at a time."""

    def __init__(
        self, ledger: Ledger | None = None, *, indexer: Indexer | None = None, **settings: Any
    ) -> None:
        self.ledger = ledger or memory_ledger()
        self.app = create_app(self.ledger, Settings(**settings), indexer=indexer)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.later(method, path, **options))

    async def later(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        base = "http://localhost:5000"
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, document: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=document, **options)

    def send(self, path: str, body: bytes | str, media: str = "application/json") -> httpx.Response:
        return self.request("POST", path, content=body, headers={"Content-Type": media})


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem details in an answer, which has to be of this status and slug."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = answer.json()
    assert members["status"] == status
    assert members["slug"] == slug, members
    assert members["type"].endswith(f"/docs#{slug}")
    assert members["title"]
    assert members["detail"]
    return members


def tag(address: str) -> str:
    return f'"{address}"'


# -- A real one ----------------------------------------------------------------------------------


class Server:
    """A ``ledger serve`` that runs."""

    def __init__(self, process: Process | subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """Stop it as an init system would, and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """The address of an application of this process, on a free port, until the end of the block."""
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    _, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of ours in this process, to its end."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), StringIO()
    with (
        mock.patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = run([*arguments])
    out.flush()
    said = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, code, said, err.getvalue())


@contextmanager
def serving(
    store: str,
    home: Path,
    *options: str,
    before: str = "",
    log_name: str = "serve.log",
    **environment: str,
) -> Iterator[Server]:
    """``ledger serve`` on a free port, until the end of the block, which runs ``before`` first."""
    log = home / log_name
    log.write_bytes(b"")
    code = f"{before}\nfrom cli.app import main; main()"
    command = ["serve", "--port", "0", "--json", *options]
    environment = {"LEDGER_STORE": store, "XDG_CONFIG_HOME": str(home), **environment}
    process: Process | subprocess.Popen[bytes]
    if "--workers" in options:  # they may not have loaded everything before they are forked
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *command],
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
    else:
        process = Process(code, command, os.environ | environment, log)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        server = Server(process, json.loads(line)["url"], log)
        _wait_until_it_answers(server)
        yield server
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{server.url}/healthz")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(server.log.read_text())


def keyring_in(home: Path) -> Keyring:
    """The keyring that ``ledger init`` made."""
    return Keyring.decode((home / "title-ledger" / "keyring.json").read_bytes())
