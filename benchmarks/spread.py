"""An audit spread over Dask's workers, processes of one thread: two of them against one.

Other work on the machine stretches the time by the clock. The processor time of the busiest worker
says what the clock would say if each had a core of its own, and that of this process what no worker
can take off it: it checks the log, takes the answers, and has Dask's scheduler in it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from distributed import Client, LocalCluster

from benchmarks import worlds
from benchmarks.harness import Claim, Table, claims_table, duration
from benchmarks.log import KEY, KEYRING, memory
from ledger import Ledger, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from benchmarks.harness import Size
    from ledger import Report, Store

TEAMS = {"1 worker": 1, "2 workers": 2}
KINDS = {", by the clock": None, ", the busiest worker": 1.7}
"""What is compared, and the target."""


class Took(NamedTuple):
    """Seconds for an entry."""

    clock: float
    busiest: float
    """Of processor time, of the worker that had the most of it."""
    here: float
    """Of processor time, of this process."""


class Team(NamedTuple):
    """Some workers, and what hands them their tasks."""

    client: Client
    count: int

    def measure(self, work: Callable[[Executor, int], Report], entries: int) -> Took:
        executor = self.client.get_executor(pure=False)
        before = self.client.run(time.process_time)
        clock, here = time.perf_counter(), time.process_time()
        worlds.check(work(executor, self.count), entries)
        clock, here = time.perf_counter() - clock, time.process_time() - here
        after = self.client.run(time.process_time)
        busiest = max(after[worker] - before[worker] for worker in before)
        return Took(clock / entries, busiest / entries, here / entries)


def run(size: Size) -> Iterator[Table]:
    titles = max(size.entries // worlds.VERSIONS, 1)
    entries = titles * worlds.VERSIONS
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        source = worlds.memory(titles, worlds.VERSIONS).store
        sealed = Log(Ledger.open(source, keyring=KEYRING))
        sealed.seal(KEY, memory(Path(scratch)), genesis=True, every_title=True)
        ledger = Ledger.open(written(source, Path(scratch) / "titles"), keyring=KEYRING)

        def verify(executor: Executor, jobs: int) -> Report:
            return ledger.verify_all(executor=executor, jobs=jobs)

        def audit(executor: Executor, jobs: int) -> Report:
            return Log(ledger).audit(executor=executor, jobs=jobs).run()

        teams = {name: stack.enter_context(team(count)) for name, count in TEAMS.items()}
        cases = {
            f"{work.__name__}, {name}": (work, some)
            for work in (verify, audit)
            for name, some in teams.items()
        }
        found: dict[str, list[Took]] = {name: [] for name in cases}
        for number in range(size.rounds + 1):
            for name, (work, some) in cases.items():
                took = some.measure(work, entries)
                if number:  # the first round warms up
                    found[name].append(took)
    yield Table(
        f"{titles:,} titles of {worlds.VERSIONS} versions in a folder, spread: median of an entry",
        ("", "by the clock", "the busiest worker", "this process"),
        [(name, *medians(found[name])) for name in cases],
    )
    times = {
        f"{name}{kind}": [took[place] for took in found[name]]
        for place, kind in enumerate(KINDS)
        for name in cases
    }
    claims = [
        Claim(f"{what}, 2 workers{kind}", f"{what}, 1 worker{kind}", at_least)
        for kind, at_least in KINDS.items()
        for what in ("verify", "audit")
    ]
    yield claims_table("Two workers against one", times, claims)


def written(source: Store, path: Path) -> Path:
    """Write all objects into a folder, which the disk need not keep."""
    for key in source.list():
        blob = source.get(key)
        (path / key).parent.mkdir(parents=True, exist_ok=True)
        (path / key).write_bytes(blob.data if blob else b"")
    return path


def medians(found: list[Took]) -> Iterator[str]:
    return (duration(statistics.median(each)) for each in zip(*found, strict=True))


@contextmanager
def team(count: int) -> Iterator[Team]:
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=count, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        client.wait_for_workers(count)
        yield Team(client, count)
