"""An S3 server on this machine, near, or as far away as is wanted.

``proxy`` passes bytes on and delays them, half the time on the way there and half on the way back,
so that every answer comes ``delay`` later than it would, however many are under way at once. How
long a new connection takes to open is not made longer: real ones take a round trip or more.

``server`` is MiniStack, one process of Python: it answers some 1,000 requests a second, so that it
is waited for where many are under way. ``canned`` is nginx, which answers many more: it has one
title, to be read and listed, and takes nothing. Nothing is subtracted for either.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from bisect import bisect
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import NeedsTool
from ledger.format.entry import Entry
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = ("AWS_", "LEDGER_")
BUCKET = "canned"
PAGE = 1000
"""Keys in a page of a listing."""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server of its own."""
    if not Path(sys.executable).with_name("ministack").exists():
        raise NeedsTool("MiniStack (pip install ministack)")
    with tempfile.TemporaryDirectory() as scratch, servers.ministack(Path(scratch) / "log") as url:
        yield url


@contextmanager
def canned(folder: Path, title_number: str) -> Iterator[str]:
    """The URL of nginx, which serves a ledger's folder as ``BUCKET``, and a listing of one title.

    By the listing's times, the versions were written a minute apart.
    """
    if shutil.which("nginx", path=servers.PROGRAMS) is None:
        raise NeedsTool("nginx")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "pages").mkdir()
        versions = {
            f"{title_number}/{file.name}": Entry.unverified(file.read_bytes()).version
            for file in (folder / title_number).iterdir()
        }
        keys = sorted(versions)
        # Where a client begins that asks for some pages side by side.
        parts = len(keys) // PAGE + 1
        cuts = [f"{0x10000 * part // parts:04x}" for part in range(1, parts)]
        starts = {cut: bisect(keys, f"{title_number}/{cut}") for cut in cuts}
        for start in (0, *starts.values()):
            for first in range(start, len(keys), PAGE):
                (work / "pages" / f"{first}").write_text(listing(keys, first, versions))
        (work / "pages" / "missing").write_text("<Error><Code>NoSuchKey</Code></Error>")
        begins = (
            f" if ($args ~ start-after=[^&]*{cut}) {{ set $page {first}; }}"
            for cut, first in starts.items()
        )
        rules = (
            "error_page 404 /pages/missing; "
            f"location /{BUCKET}/ {{ alias {folder}/; }}"
            f"location = /{BUCKET} {{ set $page 0;"
            f"{''.join(begins)} if ($args ~ continuation-token=([0-9]+)) {{ set $page $1; }}"
            " rewrite ^ /pages/$page last; }"
            f"location /pages/ {{ default_type application/xml; alias {work}/pages/; }}"
        )
        with servers.nginx(folder, work, rules) as url:
            yield url


def listing(keys: list[str], first: int, versions: dict[str, int]) -> str:
    """A page of a listing, as S3 gives it."""
    following = first + PAGE
    is_cut = following < len(keys)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    page = (
        f"<Contents><Key>{key}</Key><LastModified>"
        f"{start + timedelta(minutes=versions[key]):%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f'<ETag>"{versions[key]:032x}"</ETag><Size>3072</Size>'
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys[first:following]
    )
    token = f"<NextContinuationToken>{following}</NextContinuationToken>" if is_cut else ""
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{'true' if is_cut else 'false'}</IsTruncated>{token}{''.join(page)}"
        "</ListBucketResult>"
    )


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
