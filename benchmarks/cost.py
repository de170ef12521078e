"""What a ledger of a whole country asks of S3, and what that costs, on paper.

The requests are those that the code makes now, counted on small ledgers: what one title more costs,
times the titles of the country. S3's list prices for standard storage in us-east-1; reading within
the region is free of other charges, and what storing costs is not in here. The hours come from the
processor time of the same work here, and of requests to a server on this machine.
"""

from __future__ import annotations

import tempfile
import time
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmarks import local_s3, worlds
from benchmarks.harness import Table, duration, number
from ledger import Draft, Ledger, Log
from ledger.format.layout import LOG_STATE, PENDING
from ledger.stores import CONNECTIONS, MemoryStore, open_store
from ledger.testing import ORIGIN
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Size

PRICED_ON = "2026-11-23"
WRITE_PRICE = 5.00 / 1e6  # dollars for a PUT, and for a LIST
READ_PRICE = 0.40 / 1e6  # dollars for a GET
PAGE = 1000  # keys that a LIST answers with

TITLES = 26_000_000
REGISTRATIONS = 20_000
"""What a registry of this size registers in a day."""
PACKED = 750
"""Entries in a pack of 2 MiB."""
PACKS = "_packs/"
LATENCY = 0.02
"""Seconds that S3 takes for a request, mostly."""
WORKERS = (1, 16, 64)
BY_ONE = {"sealing it", "packing it, once", "a clone, of the source"}
"""What one process does."""


class Requests(NamedTuple):
    """How many requests of each kind; fractions where one serves several titles."""

    put: float = 0
    get: float = 0
    list: float = 0
    delete: float = 0
    """They cost nothing, but time."""

    def __add__(self, other: Requests) -> Requests:  # type: ignore[override]
        return Requests(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float) -> Requests:
        return Requests(*(each * factor for each in self))

    @property
    def dollars(self) -> float:
        return (self.put + self.list) * WRITE_PRICE + self.get * READ_PRICE


KINDS = {
    "create": Requests(put=1),
    "replace": Requests(put=1),
    "get": Requests(get=1),
    "list": Requests(list=1),
    "delete": Requests(delete=1),
}


class PricedStore(Wrapper):
    """Counts what would be sent to S3, packs aside: they hold so few entries here."""

    concurrency = CONNECTIONS  # so that it is read as a bucket is

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.requests = Requests()
        self._lock = Lock()

    def called(self, operation: str, key: str) -> None:
        if not key.startswith(PACKS):
            self._count(KINDS[operation])

    def _count(self, requests: Requests) -> None:
        with self._lock:
            self.requests += requests

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        """A page for every thousand keys, and one that is not full."""
        for key in super().list(prefix, after=after, delimiter=delimiter):
            self._count(Requests(list=1 / PAGE))
            yield key


class World(NamedTuple):
    """A ledger of so many titles, and what work leaves behind."""

    store: PricedStore
    ledger: Ledger
    titles: int
    scratch: Path

    @property
    def state(self) -> Path:
        """Where an audit remembers what it verified."""
        return self.scratch / "audit.state"


Work: TypeAlias = "Callable[[World], object]"


class Cost(NamedTuple):
    """What some work takes because of one title more."""

    requests: Requests
    processor: float
    """Seconds of processor time, without those of the client of S3."""

    def times(self, factor: float) -> Cost:
        return Cost(self.requests.times(factor), self.processor * factor)

    def plus(self, other: Cost) -> Cost:
        return Cost(self.requests + other.requests, self.processor + other.processor)


def run(size: Size) -> Iterator[Table]:
    entries = TITLES * worlds.VERSIONS
    packs = Cost(Requests(get=entries / PACKED, list=entries / PACKED / PAGE), 0)
    written = Cost(Requests(put=entries / PACKED), 0)
    one = {
        "append": of_one_more(size, append_to_each),
        "load": of_one_more(size, load, versions=0),
        "seal": of_one_more(size, seal, prepare=load, versions=0),
        "pack": of_one_more(size, pack),
        "verify": of_one_more(size, verify),
        "audit": of_one_more(size, audit, prepare=seal),
        "packed": of_one_more(size, audit, prepare=seal_and_pack),
        "again": of_one_more(size, audit, prepare=audit_sealed),
        "changed": of_one_more(size, audit, prepare=change_after_audit),
        "clone": of_one_more(size, clone, prepare=seal),
    }
    day = one["changed"].times(REGISTRATIONS).plus(one["again"].times(TITLES - REGISTRATIONS))
    all_of_it = {
        "the first load": one["load"].times(TITLES),
        "sealing it": one["seal"].times(TITLES),
        "packing it, once": one["pack"].times(TITLES).plus(written),
        "a full audit, loose": one["audit"].times(TITLES),
        "a full audit, packed": one["packed"].times(TITLES).plus(packs),
        "the audit a day later, with --state": day,
        "a clone, of the source": one["clone"].times(TITLES),
    }
    registered = one["append"].requests
    rows = {
        "an append": registered,
        f"a day of {REGISTRATIONS:,} registrations": registered.times(REGISTRATIONS),
        **{what: cost.requests for what, cost in all_of_it.items()},
    }
    what = f"{TITLES:,} titles of {worlds.VERSIONS} versions on S3"
    yield Table(
        f"{what}: requests, and dollars by the list prices of {PRICED_ON}",
        ("", "PUT", "GET", "LIST", "DELETE", "dollars"),
        [(name, *map(count, requests), money(requests)) for name, requests in rows.items()],
    )
    get, put = of_the_client(size)
    # One process reads the log; the titles can be spread over many.
    alone = max(one["audit"].processor - one["verify"].processor, 0) * TITLES
    yield Table(
        f"{what}: hours by so many processes of one core each",
        ("", "processor time of an entry", *(f"{workers}" for workers in WORKERS)),
        [
            (
                name,
                *in_hours(cost, get, put, alone if "audit" in name else 0, many=name not in BY_ONE),
            )
            for name, cost in all_of_it.items()
        ],
    )


def in_hours(cost: Cost, get: float, put: float, alone: float, *, many: bool) -> Iterator[str]:
    """The processor time of an entry, then the hours that all takes; ``alone``, in one process."""
    requests = cost.requests
    others = requests.put + requests.list + requests.delete
    processor = cost.processor + requests.get * get + others * put
    yield duration(processor / TITLES / worlds.VERSIONS)
    waiting = sum(requests) * LATENCY / CONNECTIONS
    for workers in WORKERS:
        shared = max(processor - alone, waiting) / workers
        yield number((alone + shared) / 3600) if workers == 1 or many else ""


def of_the_client(size: Size) -> tuple[float, float]:
    """Seconds of processor time that a GET of many takes the client of S3, and a PUT."""
    objects = list(islice(worlds.objects(worlds.title(0), 5 * size.entries), 5 * size.entries))
    with local_s3.server() as url, local_s3.environment(url):
        (bucket,) = local_s3.new_buckets(url, 1)
        store = open_store(f"s3://{bucket}")
        store.create_many(objects[:1])
        store.get(objects[0][0])
        start = time.process_time()
        store.create_many(objects[1:])
        put = (time.process_time() - start) / (len(objects) - 1)
        start = time.process_time()
        assert all(blob for _, blob in store.get_many(key for key, _ in objects))
        get = (time.process_time() - start) / len(objects)
        store.close()
    return get, put


def of_one_more(
    size: Size, work: Work, *, prepare: Work = id, versions: int = worlds.VERSIONS
) -> Cost:
    """What the work takes because of one title more."""
    few, many = (cost_of(work, prepare, n, versions) for n in (size.entries, 2 * size.entries))
    return many.plus(few.times(-1)).times(1 / size.entries)


def cost_of(work: Work, prepare: Work, titles: int, versions: int) -> Cost:
    """What the work takes in a ledger of so many titles that was prepared for it."""
    from benchmarks.log import open_ledger

    store = PricedStore()
    worlds.filled(store, titles if versions else 0, versions)
    with tempfile.TemporaryDirectory() as scratch:
        world = World(store, open_ledger(store), titles, Path(scratch))
        prepare(world)
        store.requests = Requests()
        start = time.process_time()
        work(world)
        return Cost(store.requests, time.process_time() - start)


def load(world: World) -> None:
    """As 'ledger append --batch' does: every line has a reference."""
    drafts = (
        Draft(worlds.title(n // worlds.VERSIONS), worlds.document(n), reference=f"first:{n}")
        for n in range(world.titles * worlds.VERSIONS)
    )
    assert all(outcome.error is None for outcome in world.ledger.append_many(drafts))


def append_to_each(world: World) -> None:
    for place in range(world.titles):
        world.ledger.append(worlds.title(place), worlds.document(worlds.VERSIONS))


def seal(world: World) -> None:
    from benchmarks.log import KEY, memory

    log, is_new = Log(world.ledger), world.store.inner.get(LOG_STATE) is None
    # Appends leave markers; a ledger that was filled at once has none.
    is_filled = next(world.store.inner.list(PENDING), None) is None
    log.seal(KEY, memory(world.scratch), genesis=is_new, every_title=is_filled)


def pack(world: World) -> None:
    world.ledger.pack()


def seal_and_pack(world: World) -> None:
    seal(world)
    pack(world)


def verify(world: World) -> None:
    assert world.ledger.verify_all(jobs=1)


def audit(world: World) -> None:
    assert Log(world.ledger).audit(state=world.state, jobs=1).run()


def audit_sealed(world: World) -> None:
    seal(world)
    audit(world)


def change_after_audit(world: World) -> None:
    audit_sealed(world)
    append_to_each(world)
    seal(world)


def clone(world: World) -> None:
    """Pull all of it into a copy; what the copy is asked for is not counted."""
    copy = Ledger.for_import(MemoryStore(), origin=ORIGIN, keyring=world.ledger.keyring)
    assert copy.pull(world.ledger).moved == world.titles


def count(value: float) -> str:
    return f"{value:,.0f}"


def money(requests: Requests) -> str:
    dollars = requests.dollars
    return f"${dollars:,.2f}" if dollars >= 0.1 else f"${dollars:.6f}"
