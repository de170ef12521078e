"""An S3 server on this machine, near, or as far away as is wanted.

``proxy`` passes bytes on and delays them, half the time on the way there and half on the way back,
so that every answer comes ``delay`` later than it would, however many are under way at once. How
long a new connection takes to open is not made longer: real ones take a round trip or more.

The server is moto, one process of Python: it takes 1 to 3 ms of processor time a request, on the
same machine as the client. Nothing is subtracted for it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import signal
import socket
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = ("AWS_", "LEDGER_")


@contextmanager
def server() -> Iterator[str]:
    """The URL of a moto server of its own."""
    with tempfile.TemporaryDirectory() as scratch, servers.moto(Path(scratch) / "log") as url:
        yield url


@contextmanager
def environment(url: str) -> Iterator[None]:
    """What a user would set to reach this server; as it was, afterwards."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(OURS) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL_S3": url,
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def new_buckets(url: str, count: int) -> list[str]:
    from ledger.stores.s3.store import make_client

    names = [f"bench-{secrets.token_hex(6)}" for _ in range(count)]
    with environment(url):
        client = make_client()  # once: making it takes longer than all it does here
        for name in names:
            client.create_bucket(Bucket=name)
    return names


@contextmanager
def proxies(url: str, delays: tuple[float, ...]) -> Iterator[dict[float, str]]:
    """A proxy before the server for each delay, in seconds; each is a process of its own."""
    with ExitStack() as stack:
        yield {delay: stack.enter_context(proxy(url, delay)) for delay in delays}


@contextmanager
def proxy(url: str, delay: float) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = int(url.rpartition(":")[2])
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(listener, port, delay / 2), daemon=True
    )
    process.start()
    here = listener.getsockname()[1]
    listener.close()
    try:
        yield f"http://127.0.0.1:{here}"
    finally:
        process.terminate()
        process.join()


def _serve(listener: socket.socket, port: int, one_way: float) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    async def connected(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            await asyncio.gather(
                _pass_on(client_in, server_out, one_way), _pass_on(server_in, client_out, one_way)
            )

    async def serve() -> None:
        server = await asyncio.start_server(connected, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


async def _pass_on(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float
) -> None:
    """Pass bytes on, each ``delay`` seconds after it came; those that follow don't wait longer."""
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        data = b"some"
        while data:
            due, data = await under_way.get()
            if due > clock():
                await asyncio.sleep(due - clock())
            target.write(data)
            await target.drain()
        target.close()

    delivering = asyncio.create_task(deliver())
    data = b"some"
    while data:
        with suppress(ConnectionError):
            data = await source.read(1 << 16)
        under_way.put_nowait((clock() + delay, data))
    await delivering
