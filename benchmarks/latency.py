"""A ledger in a bucket that is far away: what has to be waited for, is waited for at once."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from benchmarks import local_s3, worlds
from benchmarks.append import append_batch
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table
from ledger.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3.client import S3Client

    from benchmarks.harness import Size, Table
    from ledger import Ledger

DELAYS = (0, 20, 50)
"""Milliseconds that are added to every answer."""

BATCH = 32

WALK, VERIFY = "one by one (ledger.log)", "ledger.verify"
TRIPS, APPEND = "boto3: GET, PUT, PUT", "ledger.append"
TOGETHER = "ledger.append_many"
LOOSE, PACKED = "ledger.verify_all, loose", "ledger.verify_all, packed"


def run(size: Size) -> Iterator[Table]:
    with (
        local_s3.server() as url,
        local_s3.proxies(url, tuple(delay / 1000 for delay in DELAYS)) as proxies,
    ):
        titles = max(size.entries // worlds.VERSIONS, 1)
        long, day, many, packed = local_s3.new_buckets(url, 4)
        with local_s3.environment(url):
            fill(long, 1, size.entries)
            fill(day, min(BATCH, size.entries), 1)
            fill(many, titles, worlds.VERSIONS)
            fill(packed, titles, worlds.VERSIONS).pack()
        for delay, proxy in zip(DELAYS, proxies.values(), strict=True):
            with local_s3.environment(proxy):
                yield from one_title(long, delay, size)
                yield from appends(day, delay, size)
                yield from audits(many, packed, delay, size)


def fill(bucket: str, titles: int, versions: int) -> Ledger:
    return worlds.filled(open_store(f"s3://{bucket}"), titles, versions)


def one_title(bucket: str, delay: int, size: Size) -> Iterator[Table]:
    title = worlds.title(0)
    with worlds.open_ledger(f"s3://{bucket}") as ledger:

        def walk() -> None:
            assert sum(1 for _ in ledger.log(title)) == size.entries

        def verify() -> None:
            worlds.check(ledger.verify(title), size.entries)

        cases = [Case(WALK, size.entries, walk), Case(VERIFY, size.entries, verify)]
        ledger.head(title)  # a connection that is open
        times = take_turns(cases, size.rounds, warm_up=False)
    yield times_table(f"{delay} ms away: one title of {size.entries:,} versions", times)
    claims = [Claim(VERIFY, WALK, 20 if delay else None)]
    yield claims_table(f"{delay} ms away: verifying against walking", times, claims)


def appends(bucket: str, delay: int, size: Size) -> Iterator[Table]:
    """The next version of titles that are there, through connections that are open."""
    from ledger.stores.s3.store import make_client

    client, numbers = make_client(), count(1000 * delay + 1)
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
    yield times_table(f"{delay} ms away: the next version of {len(titles)} titles", times)
    bound = 1.15 if delay >= 50 else None
    claims = [
        Claim(APPEND, TRIPS, at_most=bound) if bound else Claim(APPEND, TRIPS),
        Claim(TOGETHER, APPEND),
    ]
    yield claims_table(f"{delay} ms away: appending against three round trips", times, claims)


def three_trips(client: S3Client, bucket: str, titles: list[str], number: int) -> None:
    """The least that an append can wait for: to read the head, to write, to swap the head."""
    for title in titles:
        head = client.get_object(Bucket=bucket, Key=f"{title}/head.json")["Body"].read()
        client.put_object(Bucket=bucket, Key=f"bare/{title}/{number}.json", Body=head)
        client.put_object(Bucket=bucket, Key=f"bare/{title}/head.json", Body=head)


def audits(loose: str, packed: str, delay: int, size: Size) -> Iterator[Table]:
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
        f"{delay} ms away: an audit of {titles:,} titles of {worlds.VERSIONS} versions", times
    )
    claims = [Claim(PACKED, LOOSE)]
    yield claims_table(f"{delay} ms away: packed against loose", times, claims)
