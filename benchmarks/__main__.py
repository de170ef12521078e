"""``python -m benchmarks [NAME…]``: run these benchmarks, or all but the long ones."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import page
from benchmarks.harness import NeedsTool, Size

if TYPE_CHECKING:
    from benchmarks.harness import Picture, Table


class Benchmark(NamedTuple):
    """A module of this package that has ``run(size)``, and how much it measures by itself."""

    module: str
    size: Size
    what: str


BENCHMARKS = {
    "verify": Benchmark("verify", Size(1000, 9), "one title in memory against bare signatures"),
    "steps": Benchmark("steps", Size(20, 150), "one entry, step by step; a busy machine will do"),
    "append": Benchmark("append", Size(500, 9), "in memory and in a folder, single and in batches"),
    "load": Benchmark("load", Size(100_000, 20), "new titles, beside as many that no seal took"),
    "extract": Benchmark("extract", Size(100_000, 1), "a register from CSV, and its extract again"),
    "raw": Benchmark("raw", Size(200, 7), "bare files and requests against the stores"),
    "peers": Benchmark("peers", Size(1000, 7), "Python libraries that sign documents"),
    "git": Benchmark("git", Size(600, 3), "git with SSH-signed commits"),
    "scale": Benchmark("scale", Size(100_000, 1), "a life in the shell: flat, whatever the size?"),
    "audit": Benchmark("audit", Size(500_000, 3), "many titles in a folder, against both cores"),
    "spread": Benchmark("spread", Size(10_000, 3), "Dask: two workers against one"),
    "log": Benchmark("log", Size(10_000, 3), "sealing, receipts, and what they ask of S3"),
    "latency": Benchmark("latency", Size(1000, 3), "S3 that is 50 ms away"),
    "copies": Benchmark("copies", Size(10_000, 3), "a copy over HTTP that is 20 ms away"),
    "cost": Benchmark("cost", Size(100, 1), "requests, dollars and hours for a country on S3"),
    "start": Benchmark("start", Size(1, 15), "processes of the command line"),
    "index": Benchmark("index", Size(100_000, 1), "a search index of sales, and what it answers"),
    "service": Benchmark("service", Size(8, 5), "the HTTP service against a bare handler"),
}


def main() -> None:
    asked = parse()
    unfit = [name for name in asked.names if name not in BENCHMARKS]
    if unfit or asked.list:
        for name, benchmark in BENCHMARKS.items():
            entries, rounds = benchmark.size
            print(f"{name:8} {entries:>8,} entries {rounds:>3} rounds   {benchmark.what}")
        sys.exit(f"no such benchmark: {', '.join(unfit)}" if unfit else 0)
    # Servers are stopped and gigabytes removed however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    for name in asked.names or BENCHMARKS:
        start, when = time.perf_counter(), page.stamp()
        tables = measure(name, asked.entries, asked.rounds)
        took = time.perf_counter() - start
        print(f"\n## {name}\n\n{page.text(tables)}\n\n({took:.0f} s)", flush=True)
        if asked.write and tables:
            page.write(name, tables, f"{when}, {took:.0f} s")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; none: all")
    parser.add_argument("--entries", type=int, help="how many entries, instead of each one's own")
    parser.add_argument("--rounds", type=int, help="how many rounds, instead of each one's own")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    return parser.parse_args()


def measure(name: str, entries: int | None, rounds: int | None) -> list[Table | Picture]:
    """The tables of a benchmark; none where something that it compares with is not installed."""
    benchmark = BENCHMARKS[name]
    size = Size(entries or benchmark.size.entries, rounds or benchmark.size.rounds)
    try:
        module = importlib.import_module(f"benchmarks.{benchmark.module}")
        return list(module.run(size))
    except NeedsTool as error:
        print(f"{name}: left out: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in {"cli", "ledger", "tests"}:
            raise
        print(f"{name}: left out: no {error.name}; pip install -e .[bench]", file=sys.stderr)
    return []


if __name__ == "__main__":
    main()
