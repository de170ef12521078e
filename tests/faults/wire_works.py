"""What is done to a ledger while the way to its bucket breaks, and what has to be true after it."""

from __future__ import annotations

import io
import secrets
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Draft, Entry, Ledger, Log
from ledger.errors import ConflictError, LedgerError, NotFoundError, StoreError
from ledger.stores import MemoryStore
from ledger.stores import s3 as s3_module
from ledger.stores.s3 import S3Store
from tests.faults.proxy import proxy
from tests.faults.wire import Strike
from tests.tlog.sealing import CLOCK, KEYRING, LOG_KEY, REGISTRAR, assert_sealed, ledger_in

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores import Store
    from tests.faults.proxy import Between, Proxy

    Result = tuple[Draft, Entry | LedgerError | None]

SECOND = Draft("OLD", {"n": 2}, reference="r2")
FIRST = Draft("NEW", {"n": 1}, reference="r1")
BATCH = [
    SECOND,
    Draft("OLD", {"n": 3}, reference="r3"),
    FIRST,
    Draft("NEW", {"n": 2}, reference="r2"),
]


# --- what is there to begin with -----------------------------------------------------------------


def on(store: Store) -> Ledger:
    return Ledger.open(store, keyring=KEYRING, signer=REGISTRAR, clock=CLOCK)


class Beginning:
    """A ledger in memory: one title and a log that has it; grown: with more to be sealed."""

    def __init__(self, folder: Path, *, grown: bool) -> None:
        store = MemoryStore()
        ledger = ledger_in(store)
        ledger.append("OLD", {"n": 1}, reference="r1")
        memory = folder / f"memory-{secrets.token_hex(8)}"
        Log(ledger).seal(LOG_KEY, memory, genesis=True)
        self.memory = memory.read_bytes()
        if grown:
            assert all(outcome.appended for outcome in ledger.append_many(BATCH))
        written = io.BytesIO()
        ledger.export(written)
        self.bundle = written.getvalue()
        found = store.get_many(list(store.list()))
        self.objects = {key: blob.data for key, blob in found if blob}


def make_beginnings(folder: Path) -> dict[bool, Beginning]:
    """One that is grown, and one that isn't."""
    return {grown: Beginning(folder, grown=grown) for grown in (False, True)}


# --- what is done --------------------------------------------------------------------------------


class Work:
    """One thing to do to a ledger, as often as wanted."""

    grown = False
    """Whether there is something to be sealed, to begin with."""
    half_done: frozenset[str] = frozenset()
    """What may be found where it was cut off, until it is done again."""

    def __init__(self, elsewhere: Beginning) -> None:
        self.elsewhere = elsewhere

    def run(self, store: Store, memory: Path) -> list[Result]:
        """Do it; for each draft the entry that was acknowledged, or the error."""
        raise NotImplementedError

    def check_done(self, ledger: Ledger) -> None:
        """See that it was done, once."""


class AppendVersion(Work):
    draft = SECOND

    def run(self, store: Store, memory: Path) -> list[Result]:
        try:
            return [(self.draft, on(store).submit(self.draft).entry)]
        except LedgerError as error:
            return [(self.draft, error)]

    def check_done(self, ledger: Ledger) -> None:
        assert references(ledger, self.draft.title_number)[-1] == self.draft.reference


class AppendTitle(AppendVersion):
    draft = FIRST


class AppendBatch(Work):
    def run(self, store: Store, memory: Path) -> list[Result]:
        return [
            (outcome.draft, outcome.appended.entry if outcome.appended else outcome.error)
            for outcome in on(store).append_many(BATCH)
        ]

    def check_done(self, ledger: Ledger) -> None:
        assert references(ledger, "OLD") == ["r1", "r2", "r3"]
        assert references(ledger, "NEW") == ["r1", "r2"]


class Import(AppendBatch):
    half_done = frozenset({"head-missing"})  # all of a title's entries come first, then its head

    def run(self, store: Store, memory: Path) -> list[Result]:
        on(store).import_bundle(io.BytesIO(self.elsewhere.bundle))
        return []


class Seal(Work):
    grown = True

    def run(self, store: Store, memory: Path) -> list[Result]:
        Log(on(store)).seal(LOG_KEY, memory)
        return []

    def check_done(self, ledger: Ledger) -> None:
        assert_sealed(ledger)


class Verify(Work):
    """What is sound may be unchecked; it is never said to be tampered with."""

    def run(self, store: Store, memory: Path) -> list[Result]:
        assert on(store).verify_all().outcome in {"verified", "unchecked"}
        return []


WORKS: tuple[type[Work], ...] = (AppendVersion, AppendTitle, AppendBatch, Import, Seal, Verify)


def references(ledger: Ledger, title_number: str) -> list[str]:
    """Of a title's entries, the oldest first."""
    try:
        return [entry.reference for entry in ledger.log(title_number)][::-1]
    except NotFoundError:
        return []


# --- what has to be true afterwards --------------------------------------------------------------


def check(ledger: Ledger, results: list[Result], half_done: frozenset[str] = frozenset()) -> None:
    """Acknowledged: it is there. Denied: it is not. Nothing is there twice; all of it verifies."""
    there = {title: references(ledger, title) for title in ("OLD", "NEW")}
    for draft, result in results:
        if isinstance(result, Entry):
            assert result in list(ledger.log(draft.title_number)), "an entry was lost"
        elif isinstance(result, (StoreError, ConflictError)):
            assert draft.reference not in there[draft.title_number], "denied, and yet there"
    for title, found in there.items():
        assert len(found) == len(set(found)), f"{title}: an entry was doubled"
    findings = [each for each in ledger.verify_all().findings if each.severity != "warning"]
    assert {each.slug for each in findings} <= half_done, findings


class Bench:
    """Runs one work in a new bucket, through a proxy that breaks; looks at what became of it."""

    def __init__(self, work: Work, between: Proxy, client: Any, folder: Path) -> None:
        self.work = work
        self.between = between
        self.client = client
        self.folder = folder

    def run(self, beginning: Beginning, strike: Strike) -> None:
        bucket = f"test-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=bucket)
        memory = self.folder / bucket
        memory.write_bytes(beginning.memory)
        direct = S3Store(bucket, client=self.client)
        direct.create_many(beginning.objects.items())
        self.between.between = strike
        store = S3Store(bucket)
        try:
            results = self.work.run(store, memory)
        except LedgerError:
            results = []
        finally:
            store.close()
            self.between.close()  # what was under way arrives now, if ever
        # What is there by now can be looked at faster, and gone on with, out of the bucket.
        left = copy_of(direct)
        direct.close()
        check(on(left), results, self.work.half_done)
        check(on(left), self.work.run(left, memory))
        self.work.check_done(on(left))


def copy_of(store: Store) -> MemoryStore:
    copy = MemoryStore()
    for key, blob in store.get_many(list(store.list())):
        assert blob is not None
        copy.create(key, blob.data)
    return copy


class Striking:
    """Lets a fault strike every request of a work in its turn, before one server."""

    def __init__(self, url: str, client: Any, folder: Path) -> None:
        self.url = url
        self.client = client
        self.folder = folder
        self.beginnings = make_beginnings(folder)

    def __call__(
        self, kind: type[Work], fault: Between, *, for_good: bool = False, step: int = 1
    ) -> int:
        """Strike once each, or for good from each on; how many requests were struck."""
        struck = 0
        for place in count(0, step):
            strike = Strike(fault, place, for_good=for_good)
            with proxy(self.url) as between, pytest.MonkeyPatch.context() as patch:
                patch.setenv("AWS_ENDPOINT_URL_S3", between.url)
                patch.setattr(s3_module, "WAITS", (0.0, 0.0, 0.0, 0.0))
                bench = Bench(kind(self.beginnings[True]), between, self.client, self.folder)
                bench.run(self.beginnings[kind.grown], strike)
            if strike.struck == 0:
                break
            struck += strike.struck
        how = "from each on" if for_good else "each once"
        print(f"{kind.__name__}: {fault.__name__}: {place} requests, {how}: struck {struck}")
        return struck
