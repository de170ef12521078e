"""Many writers who all want to be the next version of a title: one is, and the others are told."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

from ledger.errors import HeadMoved
from ledger.format.entry import Entry
from ledger.stores import FolderStore, MemoryStore
from tests.faults.tally import Tally, check_verifies, part
from tests.faults.works import begin, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.stores import Store

NAME = "races"
WRITERS = 16


def race(store: Store, rounds: int, writers: int = WRITERS, *, name: str = NAME) -> Tally:
    """Let so many writers race for so many versions; every writer has opened the ledger itself."""
    tally = Tally(name)
    begin(store)
    ledgers = [opened(store) for _ in range(writers)]
    start = Barrier(writers)

    def write(number: int, parent: str | None) -> Entry | HeadMoved:
        start.wait(60)
        try:
            return ledgers[number].append("A", {"n": number}, parent=parent)
        except HeadMoved as error:
            return error

    parent: str | None = None
    with ThreadPoolExecutor(writers) as pool:
        for version in range(1, rounds + 1):
            done = list(pool.map(write, range(writers), [parent] * writers))
            won = [each for each in done if isinstance(each, Entry)]
            head = ledgers[0].head("A")
            tally.count += 1
            tally.check(len(won) < 2, "doubled", f"round {version}: {len(won)} were told they won")
            tally.check(head in won, "lost", f"round {version}: who won is not the head")
            tally.check(head.version == version, "torn", f"round {version}: {head.version}")
            told = {each.actual for each in done if isinstance(each, HeadMoved)}
            tally.check(told <= {head.address}, "unclear", f"round {version}: told of {told}")
            parent = head.address
    check_verifies(tally, ledgers[0], "after the races")
    return tally


@part(NAME)
def many_races(rounds: int = 500) -> Iterator[Tally]:
    with tempfile.TemporaryDirectory(prefix="title-ledger-") as folder:
        total = race(MemoryStore(), rounds)
        total.add(race(FolderStore(Path(folder)), rounds * 2 // 5))
        yield total
