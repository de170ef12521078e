"""How much of a bare handler's speed is left: ``python -m tests.benchmarks.service``.

One process of the service each for a folder and for memory, and one of a bare FastAPI handler
that returns the same bytes, all under the same server of ours and without an access log. They are
loaded in turn, round after round, so that what else the machine does falls on all of them alike;
what counts is the ratio. ``wrk`` is the load (Debian: ``apt install wrk``).
"""

from __future__ import annotations

import multiprocessing
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from fastapi import Request  # noqa: TC002 -- FastAPI looks for it among this module's names

from cli.access import listen
from ledger import canonical
from ledger.stores import MemoryStore, open_store
from ledger.testing import memory_ledger
from tests.service.client import DIGEST, DOCUMENT, TITLE

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

ROUNDS, SECONDS, CONNECTIONS = 5, 2, 8

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
    run_server(_bare() if kind == "bare" else _service(kind), listener)


def _service(kind: str) -> object:
    from ledger.service import create_app

    store = MemoryStore() if kind == "memory" else open_store(tempfile.mkdtemp())
    ledger = memory_ledger(store)
    ledger.append(TITLE, DOCUMENT)
    return create_app(ledger)


def _bare() -> object:
    from fastapi import FastAPI, Response

    app = FastAPI()
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


def load(url: str, *script: str) -> float:
    """Requests a second; a request that fails ends it all."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", *script, f"{url}/titles/{TITLE}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    assert found, told
    return float(found[1])


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this needs wrk (Debian: apt install wrk)")
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "post.lua"
        script.write_text(POST)
        with running("bare") as bare, running("memory") as memory, running("folder") as folder:
            urls = {"bare": bare, "memory": memory, "folder": folder}
            for method, options in (("GET", ()), ("POST", ("-s", str(script)))):
                rounds = [{k: load(u, *options) for k, u in urls.items()} for _ in range(ROUNDS)]
                for kind in urls:
                    rate = statistics.median(each[kind] for each in rounds)
                    ratio = statistics.median(each[kind] / each["bare"] for each in rounds)
                    print(f"{method:5} {kind:7} {rate:7.0f}/s  {ratio:5.2f} of bare")


if __name__ == "__main__":
    main()
