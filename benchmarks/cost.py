"""What a ledger of a whole country asks of S3, and what that costs, on paper.

The requests are those that the code makes now, counted on small ledgers: what one title more costs,
times the titles of the country. S3's list prices for standard storage in us-east-1; reading within
the region is free of other charges, and what storing costs is not in here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmarks import worlds
from benchmarks.harness import Table
from ledger.stores import MemoryStore
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Size
    from ledger import Ledger

PRICED_ON = "2026-11-23"
WRITE_PRICE = 5.00 / 1e6  # dollars for a PUT, and for a LIST
READ_PRICE = 0.40 / 1e6  # dollars for a GET
PAGE = 1000  # keys that a LIST answers with

TITLES = 26_000_000
REGISTRATIONS = 20_000
"""What a registry of this size registers in a day."""
PACKED = 4000
"""Entries in a pack of 8 MiB."""
PACKS = "_packs/"


class Requests(NamedTuple):
    """How many requests of each kind; fractions where one serves several titles."""

    put: float = 0
    get: float = 0
    list: float = 0

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
    "delete": Requests(),  # costs nothing
}


class PricedStore(Wrapper):
    """Counts what would be sent to S3, packs aside: they hold so few entries here."""

    concurrency = 32  # so that it is read as a bucket is

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.requests = Requests()

    def called(self, operation: str, key: str) -> None:
        if not key.startswith(PACKS):
            self.requests += KINDS[operation]

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        """A page for every thousand keys, and one that is not full."""
        for key in super().list(prefix, after=after, delimiter=delimiter):
            self.requests += Requests(list=1 / PAGE)
            yield key


class World(NamedTuple):
    ledger: Ledger
    titles: int
    state: Path
    """Where an audit remembers what it verified."""


Work: TypeAlias = "Callable[[World], object]"


def run(size: Size) -> Iterator[Table]:
    entries = TITLES * worlds.VERSIONS
    packs = Requests(get=entries / PACKED, list=entries / PACKED / PAGE)
    append = of_one_more(size, append_to_each)
    loose = of_one_more(size, audit)
    packing = of_one_more(size, pack)
    packed = of_one_more(size, audit, prepare=pack)
    again = of_one_more(size, audit_with_state, prepare=audit_with_state)
    changed = of_one_more(size, audit_with_state, prepare=change_after_audit)
    day = changed.times(REGISTRATIONS) + again.times(TITLES - REGISTRATIONS)
    rows = {
        "an append": append,
        f"a day of {REGISTRATIONS:,} registrations": append.times(REGISTRATIONS),
        "a full audit, loose": loose.times(TITLES),
        "packing all of it, once": packing.times(TITLES) + Requests(put=entries / PACKED),
        "a full audit, packed": packed.times(TITLES) + packs,
        "the audit a day later, with --state": day,
    }
    title = (
        f"{TITLES:,} titles of {worlds.VERSIONS} versions on S3: requests,"
        f" and dollars by the list prices of {PRICED_ON}"
    )
    yield Table(
        title,
        ("", "PUT", "GET", "LIST", "dollars"),
        [(what, *map(count, requests), money(requests)) for what, requests in rows.items()],
    )


def of_one_more(size: Size, work: Work, *, prepare: Work = id) -> Requests:
    """What the work asks for because of one title more."""
    few, many = (requests_of(work, prepare, titles) for titles in (size.entries, 2 * size.entries))
    return (many + few.times(-1)).times(1 / size.entries)


def requests_of(work: Work, prepare: Work, titles: int) -> Requests:
    """What the work asks for in a ledger of so many titles that was prepared for it."""
    store = PricedStore()
    ledger = worlds.filled(store, titles, worlds.VERSIONS)
    with tempfile.TemporaryDirectory() as scratch:
        world = World(ledger, titles, Path(scratch) / "audit.state")
        prepare(world)
        store.requests = Requests()
        work(world)
    return store.requests


def append_to_each(world: World) -> None:
    for number in range(world.titles):
        world.ledger.append(worlds.title(number), worlds.document(worlds.VERSIONS))


def audit(world: World) -> None:
    assert world.ledger.verify_all()


def pack(world: World) -> None:
    world.ledger.pack()


def audit_with_state(world: World) -> None:
    assert world.ledger.verify_all(state=world.state)


def change_after_audit(world: World) -> None:
    audit_with_state(world)
    append_to_each(world)


def count(value: float) -> str:
    return f"{value:,.0f}"


def money(requests: Requests) -> str:
    dollars = requests.dollars
    return f"${dollars:,.2f}" if dollars >= 0.1 else f"${dollars:.6f}"
