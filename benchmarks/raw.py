"""The bare file and the bare request, against the same through a store."""

from __future__ import annotations

import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import local_s3, worlds
from benchmarks.append import create_file, write_file
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table
from ledger.stores import FolderStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Size, Table

WRITE, CREATED = "a file, written and forced", "the same, never seen by half"
FOLDER_CREATE, FOLDER_GET = "FolderStore.create", "FolderStore.get"
READ = "a file, read"
BOTO_PUT, BOTO_GET = "boto3 put_object", "boto3 get_object"
S3_CREATE, S3_GET = "S3Store.create", "S3Store.get"


def run(size: Size) -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as scratch:
        yield from files(Path(scratch), size)
    with local_s3.server() as url, local_s3.environment(url):
        (bucket,) = local_s3.new_buckets(url, 1)
        yield from requests(bucket, size)


def files(scratch: Path, size: Size) -> Iterator[Table]:
    data = next(worlds.chain("TN1", 1)).data
    store = FolderStore(scratch)
    names = count()
    store.create("TN1/read.json", data)

    def repeat(work: Callable[[str], object]) -> None:
        for _ in range(size.entries):
            work(f"{next(names)}.json")

    cases = {
        WRITE: lambda name: write_file(f"{scratch}/TN1/{name}", data),
        CREATED: lambda name: create_file(scratch / "TN1" / name, data),
        FOLDER_CREATE: lambda name: store.create(f"TN1/{name}", data),
        READ: lambda _: (scratch / "TN1/read.json").read_bytes(),
        FOLDER_GET: lambda _: store.get("TN1/read.json"),
    }
    times = take_turns(
        [Case(name, size.entries, partial(repeat, work)) for name, work in cases.items()],
        size.rounds,
    )
    yield times_table(f"Files of {len(data):,} bytes", times)
    claims = [Claim(FOLDER_CREATE, CREATED), Claim(FOLDER_GET, READ)]
    yield claims_table("A folder against bare files", times, claims)


def requests(bucket: str, size: Size) -> Iterator[Table]:
    from ledger.stores.s3.store import make_client

    data = next(worlds.chain("TN1", 1)).data
    client, store = make_client(), open_store(f"s3://{bucket}")
    names = count()
    store.create("TN1/read.json", data)

    def repeat(work: Callable[[str], object]) -> None:
        for _ in range(size.entries):
            work(f"TN1/{next(names)}.json")

    def get() -> bytes:
        return client.get_object(Bucket=bucket, Key="TN1/read.json")["Body"].read()

    cases = {
        BOTO_PUT: lambda key: client.put_object(Bucket=bucket, Key=key, Body=data),
        S3_CREATE: lambda key: store.create(key, data),
        BOTO_GET: lambda _: get(),
        S3_GET: lambda _: store.get("TN1/read.json"),
    }
    times = take_turns(
        [Case(name, size.entries, partial(repeat, work)) for name, work in cases.items()],
        size.rounds,
    )
    store.close()
    yield times_table("Requests to an S3 server on the same machine (moto)", times)
    claims = [Claim(S3_CREATE, BOTO_PUT), Claim(S3_GET, BOTO_GET)]
    yield claims_table("An S3 store against bare requests", times, claims)
