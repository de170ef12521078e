"""Whether a large ledger costs more for each entry than a small one, in time and in memory.

Every measurement is a process of its own, so that its peak of memory is its own, too.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import worlds
from benchmarks.harness import Table, duration, number, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size
    from ledger import Ledger

FLAT = 1.3
MEMORY = "memory:"
PLACES = {"folder": "a folder, warm", MEMORY: "memory"}
HEADER = (
    "entries",
    "each",
    "peak memory",
    "time, of a tenth",
    "memory, of a tenth",
    "target",
    "met",
)


class Peak(NamedTuple):
    """What a process measured of itself."""

    seconds: float
    """Per entry."""
    megabytes: float


class World(NamedTuple):
    """A ledger to verify: so many entries, in one title or in many, in a folder or in memory."""

    store: str
    titles: int
    versions: int

    @property
    def entries(self) -> int:
        return self.titles * self.versions


def run(size: Size) -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as scratch:
        for kind, place in PLACES.items():
            yield compare(
                f"one title in {place}", build(Path(scratch), kind, one(size)), size.rounds
            )
            yield compare(
                f"titles of {worlds.VERSIONS} versions in {place}",
                build(Path(scratch), kind, many(size)),
                size.rounds,
            )


def sizes(size: Size) -> list[int]:
    return sorted({max(size.entries // part, 1) for part in (100, 10, 1)})


def one(size: Size) -> list[tuple[int, int]]:
    """One title, of so many versions."""
    return [(1, entries) for entries in sizes(size)]


def many(size: Size) -> list[tuple[int, int]]:
    """So many titles, of five versions each."""
    numbers = sorted({max(entries // worlds.VERSIONS, 1) for entries in sizes(size)})
    return [(titles, worlds.VERSIONS) for titles in numbers]


def build(scratch: Path, kind: str, shapes: list[tuple[int, int]]) -> list[World]:
    if kind == MEMORY:
        return [World(MEMORY, *shape) for shape in shapes]
    paths = [Path(tempfile.mkdtemp(dir=scratch)) / "titles" for _ in shapes]
    return [
        World(str(worlds.folder(path, *shape)), *shape)
        for path, shape in zip(paths, shapes, strict=True)
    ]


def compare(title: str, worlds_: list[World], rounds: int) -> Table:
    """The sizes take turns; each is set against the next smaller one."""
    if worlds_[0].store != MEMORY:
        for world in worlds_:
            in_a_process(world)  # so that all rounds find the files in the machine's memory
    found = [[in_a_process(world) for world in worlds_] for _ in range(rounds)]
    rows = [
        row(world, [each[place] for each in found], [each[max(place - 1, 0)] for each in found])
        for place, world in enumerate(worlds_)
    ]
    return Table(f"Verifying {title}", HEADER, rows)


def row(world: World, values: list[Peak], smaller: list[Peak]) -> tuple[str, ...]:
    """A size beside the next smaller one; the smallest stands beside itself, and is not judged."""
    each = statistics.median(value.seconds for value in values)
    peak = statistics.median(value.megabytes for value in values)
    figures = (f"{world.entries:,}", duration(each), f"{peak:.0f} MB")
    if values == smaller:
        return (*figures, "", "", "", "")
    pairs = list(zip(values, smaller, strict=True))
    slower = statistics.median(mine.seconds / other.seconds for mine, other in pairs)
    larger = statistics.median(mine.megabytes / other.megabytes for mine, other in pairs)
    met = verdict(max(slower, larger), None, FLAT)
    return (*figures, number(slower), number(larger), f"≤ {FLAT}", met)


def in_a_process(world: World) -> Peak:
    command = [sys.executable, "-m", "benchmarks.scale", *map(str, world)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    return Peak(*json.loads(done.stdout))


def measure(world: World) -> Peak:
    """Verify all of it, in this process; a ledger in memory is made first, and is not counted."""
    made = -megabytes()
    if world.store == MEMORY:
        ledger = worlds.memory(world.titles, world.versions)
    else:
        ledger = worlds.open_ledger(world.store)
    made += megabytes()
    start = time.perf_counter()
    verify(ledger, world)
    seconds = (time.perf_counter() - start) / world.entries
    return Peak(seconds, megabytes() - made)


def verify(ledger: Ledger, world: World) -> None:
    report = ledger.verify(worlds.title(0)) if world.titles == 1 else ledger.verify_all()
    worlds.check(report, world.entries)


def megabytes() -> float:
    """The most memory that this process has had so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    store, titles, versions = sys.argv[1:]
    print(json.dumps(measure(World(store, int(titles), int(versions)))))
