"""How much of a bare handler's speed the HTTP service keeps.

One process of the service each for a folder and for memory, and one of a bare FastAPI handler
that returns the same bytes, all under the same server of ours and without an access log. They are
loaded in turn; what counts is the ratio. ``wrk`` is the load (Debian: ``apt install wrk``).

Then one client that posts to the folder, and many: how far they share what each has to force to the
disk.
"""

from __future__ import annotations

import multiprocessing
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI, Request  # FastAPI looks for Request among this module's names

from benchmarks.harness import Case, Claim, NeedsTool, claims_table, take_turns, times_table
from cli.serve.access import listen
from ledger.format import canonical
from ledger.stores import MemoryStore, open_store
from ledger.testing import memory_ledger
from tests.service.client import DIGEST, DOCUMENT, TITLE

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table

SECONDS, CONNECTIONS, MANY = 2, 8, 32
BARE, MEMORY, FOLDER = "a bare handler", "the service, memory", "the service, folder"

# Each thread of wrk posts to titles of its own, or every post would be a race for one head.
POST = """
local number = 0
request = function()
    number = number + 1
    return wrk.format("POST", "/titles/TN" .. number % 500, {["Content-Type"] = "application/json"},
        '{"address": "1 low street", "n": ' .. number .. '}')
end
"""


def _serve(kind: str, listener: socket.socket) -> None:
    import logging

    from ledger.service.server import run_server

    logging.disable(logging.CRITICAL)
    run_server(_bare() if kind == BARE else _service(kind), listener)


def _service(kind: str) -> FastAPI:
    from ledger.service import create_app

    store = MemoryStore() if kind == MEMORY else open_store(tempfile.mkdtemp())
    ledger = memory_ledger(store)
    ledger.append(TITLE, DOCUMENT)
    return create_app(ledger)


def _bare() -> FastAPI:
    from fastapi import Response

    app = FastAPI()
    # What the server asks of the application that it runs.
    app.state.context = SimpleNamespace(
        working=nullcontext,
        name="bare",
        ledger=SimpleNamespace(origin="", store=SimpleNamespace(url="")),
        reload=SimpleNamespace(hurry=lambda *_: None),
        threads=SimpleNamespace(wait_until_idle=lambda: None),
    )
    answer = canonical.encode({**DOCUMENT, "sha256": DIGEST})

    @app.get("/titles/{title_number}")
    async def get(title_number: str) -> Response:
        return Response(answer, media_type="application/json")

    @app.post("/titles/{title_number}")
    async def post(title_number: str, request: Request) -> Response:
        await request.body()
        return Response(answer, 201, media_type="application/json")

    return app


@contextmanager
def running(kind: str) -> Iterator[str]:
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(kind, listener))
        process.start()
    try:
        for _ in range(200):
            try:
                httpx.get(f"{url}/titles/{TITLE}")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.join()


def load(url: str, seconds: int, *script: str, clients: int = CONNECTIONS) -> float:
    """Seconds for a request; one that fails ends it all."""
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", *script, f"{url}/titles/{TITLE}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    assert found, told
    return 1 / float(found[1])


def run(size: Size) -> Iterator[Table]:
    if shutil.which("wrk") is None:
        raise NeedsTool("no wrk (Debian: apt install wrk)")
    seconds = min(size.rounds, SECONDS)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        script = Path(scratch) / "post.lua"
        script.write_text(POST)
        urls = {kind: stack.enter_context(running(kind)) for kind in (BARE, MEMORY, FOLDER)}
        for method, options in (("GET", ()), ("POST", ("-s", str(script)))):
            cases = [
                Case(kind, 1, partial(load, url, seconds, *options)) for kind, url in urls.items()
            ]
            times = take_turns(cases, size.rounds, warm_up=False)
            yield times_table(f"{method}, with {CONNECTIONS} connections", times)
            bars = (0.5, 0.35) if method == "GET" else (None, None)
            claims = [Claim(MEMORY, BARE, bars[0]), Claim(FOLDER, BARE, bars[1])]
            yield claims_table(f"{method} against a bare handler", times, claims)
        post = partial(load, urls[FOLDER], seconds, "-s", str(script))
        one, many = "one client", f"{MANY} clients"
        cases = [Case(one, 1, partial(post, clients=1)), Case(many, 1, partial(post, clients=MANY))]
        times = take_turns(cases, size.rounds, warm_up=False)
        yield times_table("POST to a folder", times)
        yield claims_table("Clients that share their forcing", times, [Claim(many, one, 3)])
