"""What is done to a ledger while the way to its bucket breaks, and what has to be true after it."""

from __future__ import annotations

import io
import secrets
from functools import cache
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import pytest
from botocore import loaders

from ledger import Draft, Entry, Ledger, Log
from ledger.errors import ConflictError, LedgerError, NotFoundError, StoreError
from ledger.stores import MemoryStore
from ledger.stores.s3 import store as s3_module
from ledger.stores.s3.store import S3Store
from tests.faults.proxy import proxy
from tests.faults.tally import Tally
from tests.faults.wire import PATIENCE, STALLS, Strike
from tests.sealing.sealers import CLOCK, KEYRING, LOG_KEY, REGISTRAR, assert_sealed, ledger_in

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores import Store
    from tests.faults.proxy import Between, Proxy

    Result = tuple[Draft, Entry | LedgerError | None]

NAME = "requests broken on the way to S3"

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
    """What a ledger in memory has: its objects, its bundle, and what its sealer remembers."""

    def __init__(self, ledger: Ledger, memory: bytes) -> None:
        self.memory = memory
        written = io.BytesIO()
        ledger.export(written)
        self.bundle = written.getvalue()
        found = ledger.store.get_many(list(ledger.store.list()))
        self.objects = {key: blob.data for key, blob in found if blob}


def make_beginnings(folder: Path) -> dict[bool, Beginning]:
    """One title and a log that has it; and the same, grown: with more to be sealed."""
    ledger = ledger_in(MemoryStore())
    ledger.append("OLD", {"n": 1}, reference="r1")
    memory = folder / f"memory-{secrets.token_hex(8)}"
    Log(ledger).seal(LOG_KEY, memory, genesis=True)
    begun = Beginning(ledger, memory.read_bytes())
    assert all(outcome.appended for outcome in ledger.append_many(BATCH))
    return {False: begun, True: Beginning(ledger, begun.memory)}


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

    def check_done(self, tally: Tally, ledger: Ledger, where: str) -> None:
        """See that it was done, once."""


class AppendVersion(Work):
    draft = SECOND

    def run(self, store: Store, memory: Path) -> list[Result]:
        try:
            return [(self.draft, on(store).submit(self.draft).entry)]
        except LedgerError as error:
            return [(self.draft, error)]

    def check_done(self, tally: Tally, ledger: Ledger, where: str) -> None:
        found = references(ledger, self.draft.title_number)
        tally.check(found[-1:] == [self.draft.reference], "lost", f"{where}: {found}")


class AppendTitle(AppendVersion):
    draft = FIRST


class AppendBatch(Work):
    def run(self, store: Store, memory: Path) -> list[Result]:
        return [
            (outcome.draft, outcome.appended.entry if outcome.appended else outcome.error)
            for outcome in on(store).append_many(BATCH)
        ]

    def check_done(self, tally: Tally, ledger: Ledger, where: str) -> None:
        old, new = references(ledger, "OLD"), references(ledger, "NEW")
        done = (old, new) == (["r1", "r2", "r3"], ["r1", "r2"])
        tally.check(done, "lost", f"{where}: {old}, {new}")


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

    def check_done(self, tally: Tally, ledger: Ledger, where: str) -> None:
        try:
            assert_sealed(ledger)
        except AssertionError as error:
            tally.note("torn", f"{where}: {error}")


class FalseAlarm(Exception):
    """What is sound was called damaged."""


class Verify(Work):
    """What is sound may be unchecked; it is never said to be tampered with."""

    def run(self, store: Store, memory: Path) -> list[Result]:
        report = on(store).verify_all()
        if report.outcome not in {"verified", "unchecked"}:
            raise FalseAlarm(report.findings[0].message)
        return []


WORKS: tuple[type[Work], ...] = (AppendVersion, AppendTitle, AppendBatch, Import, Seal, Verify)


def references(ledger: Ledger, title_number: str) -> list[str]:
    """Of a title's entries, the oldest first."""
    try:
        return [entry.reference for entry in ledger.log(title_number)][::-1]
    except NotFoundError:
        return []


# --- what has to be true afterwards --------------------------------------------------------------


def check(
    tally: Tally,
    ledger: Ledger,
    results: list[Result],
    where: str,
    half_done: frozenset[str] = frozenset(),
) -> None:
    """Acknowledged: it is there. Denied: it is not. Nothing is there twice; all of it verifies."""
    there = {title: references(ledger, title) for title in ("OLD", "NEW")}
    tally.check(there["OLD"][:1] == ["r1"], "lost", f"{where}: what was there before")
    for draft, result in results:
        is_there = draft.reference in there[draft.title_number]
        what = f"{where}: {draft.title_number} {draft.reference}"
        if isinstance(result, Entry):
            is_there = result in ledger.log(draft.title_number) if is_there else False
            tally.check(is_there, "lost", what)
        elif isinstance(result, (StoreError, ConflictError)):
            tally.check(not is_there, "unclear", f"{what}: denied, and yet there")
    for title, found in there.items():
        tally.check(len(found) == len(set(found)), "doubled", f"{where}: {title}: {found}")
    findings = [each for each in ledger.verify_all().findings if each.severity != "warning"]
    tally.check({each.slug for each in findings} <= half_done, "torn", f"{where}: {findings}")


class Bench:
    """Runs one work in a new bucket, through a proxy that breaks; looks at what became of it."""

    def __init__(self, work: Work, between: Proxy, client: Any, folder: Path) -> None:
        self.work = work
        self.between = between
        self.client = client
        self.folder = folder

    def run(self, tally: Tally, beginning: Beginning, strike: Strike, where: str) -> None:
        bucket = f"test-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=bucket)
        memory = self.folder / bucket
        memory.write_bytes(beginning.memory)
        direct = S3Store(bucket, client=self.client)
        direct.create_many(beginning.objects.items())
        self.between.between = strike
        results = self._run_through(tally, bucket, memory, where)
        # What is there by now can be looked at faster, and gone on with, out of the bucket.
        left = copy_of(direct)
        direct.close()
        try:
            check(tally, on(left), results, where, self.work.half_done)
        except LedgerError as error:
            tally.note("torn", f"{where}: {error!r}")
        try:
            check(tally, on(left), self.work.run(left, memory), f"{where}, repeated")
        except Exception as error:  # noqa: BLE001 -- nothing is broken any more
            tally.note("unclear", f"{where}, repeated: {error!r}")
        self.work.check_done(tally, on(left), f"{where}, repeated")

    def _run_through(self, tally: Tally, bucket: str, memory: Path, where: str) -> list[Result]:
        store = S3Store(bucket)
        try:
            return self.work.run(store, memory)
        except LedgerError:
            return []
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is no answer
            tally.note("unclear", f"{where}: {type(error).__name__}: {error}")
            return []
        finally:
            store.close()
            self.between.close()  # what was under way arrives now, if ever


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
        self,
        kind: type[Work],
        fault: Between,
        *,
        for_good: bool = False,
        start: int = 0,
        step: int = 1,
        most: int | None = None,
    ) -> Tally:
        """Strike once each, or for good from each on; ``most``: so many requests at most."""
        tally = Tally(NAME)
        for place in islice(count(start, step), most):
            strike = Strike(fault, place, for_good=for_good)
            how = f"from request {place} on" if for_good else f"at request {place}"
            self._strike(tally, kind, strike, f"{kind.__name__}, {fault.__name__} {how}")
            tally.count += strike.broken > 0
            if strike.seen <= place:
                break
        return tally

    def _strike(self, tally: Tally, kind: type[Work], strike: Strike, where: str) -> None:
        with proxy(self.url) as between, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL_S3", between.url)
            patch.setattr(s3_module, "WAITS", (0.0, 0.0, 0.0, 0.0))
            patch.setattr(loaders, "create_loader", create_loader)
            if strike.fault in STALLS:
                patch.setattr(s3_module, "READ_TIMEOUT", PATIENCE)
            bench = Bench(kind(self.beginnings[True]), between, self.client, self.folder)
            bench.run(tally, self.beginnings[kind.grown], strike, where)


create_loader = cache(loaders.create_loader)
"""Reads boto's descriptions of S3 once, and not for each client: half of the time goes there."""
