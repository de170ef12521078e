"""A ledger in a bucket that is far away: what has to be waited for, is waited for at once."""

from __future__ import annotations

import tempfile
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import local_s3, worlds
from benchmarks.append import append_batch
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table
from ledger.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3.client import S3Client

    from benchmarks.harness import Size, Table
    from ledger import Entry, Ledger

DELAY = 50
"""Milliseconds that are added to every answer."""

BATCH = 32
SINGLE = 100
"""Versions that are walked one by one: all of them would take minutes."""

WALK, VERIFY = "one GET after another", "ledger.verify"
LOG, SOME, BUNDLE = "ledger.log", f"ledger.log, the newest {SINGLE}", "ledger.export"
TRIPS, APPEND = "boto3: GET, PUT, PUT", "ledger.append"
TOGETHER = "ledger.append_many"
LOOSE, PACKED = "ledger.verify_all, loose", "ledger.verify_all, packed"


def run(size: Size) -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = worlds.folder(Path(scratch) / "titles", 1, size.entries)
        with (
            local_s3.canned(folder, worlds.title(0)) as url,
            local_s3.proxy(url, DELAY / 1000) as far,
            local_s3.environment(far),
        ):
            yield from one_title(size)
    with local_s3.server() as url, local_s3.proxy(url, DELAY / 1000) as far:
        titles = max(size.entries // worlds.VERSIONS, 1)
        day, many, packed = local_s3.new_buckets(url, 3)
        with local_s3.environment(url):
            fill(day, min(BATCH, size.entries), 1)
            fill(many, titles, worlds.VERSIONS)
            fill(packed, titles, worlds.VERSIONS).pack()
        with local_s3.environment(far):
            yield from appends(day, size)
            yield from audits(many, packed, size)


def fill(bucket: str, titles: int, versions: int) -> Ledger:
    return worlds.filled(open_store(f"s3://{bucket}"), titles, versions)


def one_title(size: Size) -> Iterator[Table]:
    title, some = worlds.title(0), min(SINGLE, size.entries)
    with worlds.open_ledger(f"s3://{local_s3.BUCKET}") as ledger:

        def walk() -> None:
            entry: Entry | None = ledger.head(title)
            for _ in range(some - 1):
                assert entry is not None
                entry = ledger.history.parent(entry)

        def verify() -> None:
            worlds.check(ledger.verify(title), size.entries)

        def log(limit: int) -> None:
            assert sum(1 for _ in ledger.log(title, limit=limit)) == limit

        cases = [
            Case(WALK, some, walk),
            Case(VERIFY, size.entries, verify),
            Case(LOG, size.entries, lambda: log(size.entries)),
            Case(SOME, some, lambda: log(some)),
            Case(BUNDLE, size.entries, lambda: ledger.export(BytesIO(), [title])),
        ]
        times = take_turns(cases, size.rounds)
    yield times_table(f"{DELAY} ms away: one title of {size.entries:,} versions", times)
    claims = [*(Claim(name, WALK, 25) for name in (VERIFY, LOG, BUNDLE)), Claim(SOME, WALK)]
    yield claims_table(f"{DELAY} ms away: side by side against one after another", times, claims)


def appends(bucket: str, size: Size) -> Iterator[Table]:
    """The next version of titles that are there, through connections that are open."""
    from ledger.stores.s3.store import make_client

    client, numbers = make_client(), count(1)
    with worlds.open_ledger(f"s3://{bucket}") as ledger:
        titles = list(ledger.titles())

        def append() -> None:
            for title in titles:
                ledger.append(title, worlds.document(next(numbers)))

        def together() -> None:
            append_batch(ledger, titles, next(numbers))

        cases = [
            Case(TRIPS, len(titles), lambda: three_trips(client, bucket, titles, next(numbers))),
            Case(APPEND, len(titles), append),
            Case(TOGETHER, len(titles), together),
        ]
        times = take_turns(cases, size.rounds)
    client.close()
    yield times_table(f"{DELAY} ms away: the next version of {len(titles)} titles", times)
    claims = [Claim(APPEND, TRIPS, at_most=1.15), Claim(TOGETHER, APPEND)]
    yield claims_table(f"{DELAY} ms away: appending against three round trips", times, claims)


def three_trips(client: S3Client, bucket: str, titles: list[str], number: int) -> None:
    """The least that an append can wait for: to read the head, to write, to swap the head."""
    for title in titles:
        head = client.get_object(Bucket=bucket, Key=f"{title}/head.json")["Body"].read()
        client.put_object(Bucket=bucket, Key=f"bare/{title}/{number}.json", Body=head)
        client.put_object(Bucket=bucket, Key=f"bare/{title}/head.json", Body=head)


def audits(loose: str, packed: str, size: Size) -> Iterator[Table]:
    titles = max(size.entries // worlds.VERSIONS, 1)
    entries = titles * worlds.VERSIONS
    with (
        worlds.open_ledger(f"s3://{loose}") as first,
        worlds.open_ledger(f"s3://{packed}") as second,
    ):

        def audit(ledger: Ledger) -> None:
            worlds.check(ledger.verify_all(), entries)

        cases = [
            Case(LOOSE, entries, lambda: audit(first)),
            Case(PACKED, entries, lambda: audit(second)),
        ]
        times = take_turns(cases, size.rounds)
    yield times_table(
        f"{DELAY} ms away: an audit of {titles:,} titles of {worlds.VERSIONS} versions", times
    )
    claims = [Claim(PACKED, LOOSE)]
    yield claims_table(f"{DELAY} ms away: packed against loose", times, claims)
