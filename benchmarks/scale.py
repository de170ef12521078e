"""A ledger's whole life in the shell, at a hundredth, a tenth and all of the entries: is it flat?

Each step is the command that a user would type, a process of its own. Counted is processor time, of
the process and all that it started: what else the machine does changes that little.
"""

from __future__ import annotations

import tempfile
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from benchmarks import local_s3, worlds
from benchmarks.harness import Picture, Table, duration, number, verdict
from benchmarks.measured import Done, command
from ledger.format import canonical
from ledger.testing import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size

FLAT = 1.3
"""How many times the time of an entry, and the peak, may be what they are at a tenth of it all."""
BATCH = "first.jsonl"
STEPS = {
    "load": f"append --batch {BATCH} --quiet",
    "seal": "seal --genesis",
    "pack": "pack",
    "index": "index index.sqlite",
    "verify": "verify",
    "audit": "audit --state audit.state",
    "audit again": "audit --state audit.state",
    "clone": "clone {store} {copy}",
}
BEFORE = "load"
"""The step that reads the batch: the file is removed after it."""

Life: TypeAlias = "dict[str, Done]"
"""What each step took."""


class Place(NamedTuple):
    """Where a ledger is, and where its copy goes."""

    store: str
    copy: str


FOLDER = Place("store", "copy")


def run(size: Size) -> Iterator[Table | Picture]:
    """In a folder, and a tenth of it in a bucket, with its copy in a folder."""
    found = {entries: live(entries, FOLDER) for entries in sizes(size.entries)}
    yield picture(found)
    yield table("A life in a folder", found)
    with local_s3.server() as url, local_s3.environment(url):
        few = sizes(max(size.entries // 10, 1))
        buckets = local_s3.new_buckets(url, len(few))
        in_a_bucket = {
            entries: live(entries, Place(f"s3://{bucket}", "copy"))
            for entries, bucket in zip(few, buckets, strict=True)
        }
    yield table("A life in a bucket, on MiniStack", in_a_bucket)


def sizes(entries: int) -> list[int]:
    """A hundredth, a tenth and all, in whole titles."""
    titles = {max(entries // part // worlds.VERSIONS, 1) for part in (100, 10, 1)}
    return [worlds.VERSIONS * each for each in sorted(titles)]


def live(entries: int, place: Place) -> Life:
    """Take a new ledger through all steps."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, found = Path(scratch), {}
        write_batch(folder / BATCH, entries)
        command(folder, "init", place.store, "--origin", ORIGIN)
        command(folder, *["key", "generate", "--for", "log"], LEDGER_STORE=place.store)
        for name, words in STEPS.items():
            line = words.format(**place._asdict()).split()
            found[name] = command(folder, *line, LEDGER_STORE=place.store)
            if name == BEFORE:
                (folder / BATCH).unlink()
    return found


def write_batch(file: Path, entries: int) -> None:
    """The versions of each title, one after another, as a register that moves gives them."""
    with file.open("wb") as out:
        for place in range(entries):
            line = {
                "title_number": worlds.title(place // worlds.VERSIONS),
                "document": worlds.document(place),
            }
            out.write(canonical.encode(line) + b"\n")


def table(name: str, found: dict[int, Life]) -> Table:
    """Each step at each size, and the largest beside the next smaller one."""
    *smaller, most = found
    tenth = smaller[-1] if smaller else most
    rows = []
    for step in STEPS:
        times = {entries: life[step].processor / entries for entries, life in found.items()}
        peaks = {entries: life[step].peak for entries, life in found.items()}
        slower, larger = times[most] / times[tenth], peaks[most] / peaks[tenth]
        rows.append(
            (
                step,
                *map(duration, times.values()),
                f"{peaks[tenth] / 1e6:.0f} MB",
                f"{peaks[most] / 1e6:.0f} MB",
                f"{number(found[most][step].seconds)} s",
                f"{number(slower)}, {number(larger)}",
                verdict(max(slower, larger), None, FLAT),
            )
        )
    header = (
        *("processor time of an entry, of", *(f"{entries:,}" for entries in found)),
        *(f"memory, {tenth:,}", f"memory, {most:,}", f"in all, {most:,}"),
        *("of a tenth", f"≤ {FLAT}"),
    )
    return Table(f"{name}: {most:,} entries in titles of {worlds.VERSIONS}", header, rows)


# -- The picture -----------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 60, 110, 30, 40
STYLE = (
    "text{font:12px sans-serif;fill:#24292f}"
    "path{fill:none;stroke:#0969da;stroke-width:2}.grid{stroke:#d0d7de;stroke-width:1}"
    "circle{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}path{stroke:#58a6ff}"
    ".grid{stroke:#30363d}circle{fill:#58a6ff}}"
)


def picture(found: dict[int, Life]) -> Picture:
    """Processor time of an entry against the size of the ledger, both by powers of ten."""
    least, most = log10(min(found)), max(log10(max(found)), log10(min(found)) + 1)
    each = {
        step: [(entries, life[step].processor / entries) for entries, life in found.items()]
        for step in STEPS
    }
    times = [time for line in each.values() for _, time in line]
    low, high = int(log10(min(times))) - 1, int(log10(max(times))) + (max(times) >= 1)

    def x(entries: float) -> float:
        return LEFT + (log10(entries) - least) / (most - least) * (WIDTH - LEFT - RIGHT)

    def y(time: float) -> float:
        return TOP + (high - log10(time)) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = ['<text x="8" y="18">processor time of an entry</text>']
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.0f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="8" y="{at + 4:.0f}">{duration(10**power)}</text>')
    parts += [
        f'<text x="{x(entries):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{entries:,}</text>'
        for entries in found
    ]
    parts.append(f'<text x="{WIDTH - RIGHT + 40}" y="{HEIGHT - 14}">entries</text>')
    below = 0.0
    for step, line in sorted(each.items(), key=lambda item: -item[1][-1][1]):
        path = "L".join(f"{x(entries):.0f} {y(time):.0f}" for entries, time in line)
        below = max(y(line[-1][1]) + 4, below + 14)  # names don't cover each other
        parts.append(f'<path d="M{path}"/>')
        parts += [f'<circle cx="{x(n):.0f}" cy="{y(t):.0f}" r="3"/>' for n, t in line]
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{below:.0f}">{step}</text>')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>Cost of an entry against the size of the ledger</title><style>{STYLE}</style>"
        f"{''.join(parts)}</svg>\n"
    )
    alt = "Processor time of an entry for each step, against the number of entries"
    return Picture("benchmarks.svg", alt, svg)
