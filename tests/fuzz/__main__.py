"""The full run: ``python -m tests.fuzz --seconds 60`` feeds every reader for so long, and counts.

Words choose readers. Led by coverage where atheris is installed, else by chance. What a reader gets
wrong is printed, and kept below ``tests/fuzz/cases``; then it ends with 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.noise import noise
from tests.fuzz.readers import READERS
from tests.fuzz.run import cases, feed_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GUIDED = importlib.util.find_spec("atheris") is not None


class Count(NamedTuple):
    """What came of one reader."""

    name: str
    fed: int
    wrong: str
    """What it got wrong, as it is printed; "": nothing."""


def run(name: str, seconds: float) -> Count:
    """Feed a reader for some seconds."""
    return _guided(name, seconds) if GUIDED else _by_chance(name, seconds)


def run_all(names: Iterable[str], seconds: float) -> Iterator[Count]:
    """Feed these readers, one after another."""
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        yield run(name, seconds)


def _guided(name: str, seconds: float) -> Count:
    with tempfile.TemporaryDirectory() as folder:
        seeds = [*READERS[name].seeds, *cases(name), *noise(READERS[name].seeds, name, 100)]
        for number, seed in enumerate(seeds):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        module = [sys.executable, "-m", "tests.fuzz.guided", name, f"{seconds:.0f}", folder]
        done = subprocess.run(
            module,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + 600,
        )
    fed = re.findall(r"number_of_executed_units: +([0-9]+)", done.stderr)
    said = "" if done.returncode == 0 else done.stdout + done.stderr
    return Count(name, max(map(int, fed), default=0), said)


def _by_chance(name: str, seconds: float) -> Count:
    end, fed = time.monotonic() + seconds, 0
    try:
        while time.monotonic() < end:
            fed += feed_all(name, noise(READERS[name].seeds, f"{time.time_ns()}", 1000))[0]
    except Exception as error:  # noqa: BLE001 -- that is what is looked for
        return Count(name, fed, f"{error!r}\n" + "\n".join(error.__notes__))
    return Count(name, fed, "")


def table(counts: Sequence[Count]) -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield "| Reader | Inputs | Wrong |"
    yield "|---|--:|--:|"
    for name, fed, wrong in counts:
        yield f"| {name} | {fed:,} | {int(bool(wrong))} |"
    yield f"| all | {sum(each.fed for each in counts):,} | {sum(bool(e.wrong) for e in counts)} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--seconds", type=float, default=10, help="for each reader")
    given = parser.parse_args()
    if unknown := set(given.readers) - READERS.keys():
        parser.error(f"no such reader: {', '.join(unknown)}")
    counts = list(run_all(given.readers or READERS, given.seconds))
    for each in counts:
        if each.wrong:
            print(f"{each.name}:\n{each.wrong}", file=sys.stderr)
    print(*table(counts), sep="\n")
    return 1 if any(each.wrong for each in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
