"""A copy of a ledger over HTTP: what comes side by side, against one GET after another."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import local_s3, worlds
from benchmarks.harness import Case, Claim, NeedsTool, claims_table, take_turns, times_table
from ledger import Ledger, Log
from ledger.format.layout import head_key
from ledger.local.files import make_folder
from ledger.stores import MemoryStore, open_store
from ledger.testing import ORIGIN, signer
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table
    from ledger.stores import Store

DELAY = 20
"""Milliseconds that are added to every answer."""
SINGLE = 100
"""GETs that are made one after another: all of them would take minutes."""
LOG_KEY = signer("log")
KEYRING = worlds.KEYRING.trust(ORIGIN, LOG_KEY.public_key, role="log")
GETS = "one GET after another"
CLONE, DURABLE = "a copy in memory", "a copy in a folder, durable"


def run(size: Size) -> Iterator[Table]:
    if shutil.which("nginx", path=servers.PROGRAMS) is None:
        raise NeedsTool("nginx")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        registry = worlds.folder(place / "registry", size.entries, 1)
        make_folder(str(place / "own"), 0o700)
        ledger = Ledger.open(registry, keyring=KEYRING, signer=worlds.KEY)
        Log(ledger).seal(LOG_KEY, place / "own" / "memory", genesis=True, every_title=True)
        with servers.nginx(registry, place) as url, local_s3.proxy(url, DELAY / 1000) as far:
            yield from copies(f"{far}/register", place, size)


def copies(url: str, place: Path, size: Size) -> Iterator[Table]:
    numbers = count()
    single = min(SINGLE, size.entries)

    def get() -> None:
        with closing(open_store(url)) as store:
            for number in range(single):
                assert store.get(head_key(worlds.title(number))) is not None

    def clone(copy: Store) -> None:
        with Ledger.open(url, keyring=KEYRING) as source:
            done = Ledger.for_import(copy, origin=ORIGIN, keyring=KEYRING).pull(source)
        assert (done.moved, done.leaves) == (size.entries, size.entries)

    cases = [
        Case(GETS, single, get),
        Case(CLONE, size.entries, lambda: clone(MemoryStore())),
        Case(DURABLE, size.entries, lambda: clone(open_store(place / f"copy {next(numbers)}"))),
    ]
    times = take_turns(cases, size.rounds, warm_up=False)
    name = f"{DELAY} ms away: a copy of {size.entries:,} titles from nginx"
    yield times_table(name, times)
    yield claims_table("Side by side", times, [Claim(CLONE, GETS, 10), Claim(DURABLE, GETS)])
