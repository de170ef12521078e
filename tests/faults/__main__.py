"""The full run: ``python -m tests.faults`` breaks everything there is to break, and counts.

It prints a table, and ends with 1 if anything was lost, doubled, torn or unclear. Words choose
parts: ``python -m tests.faults "system calls failed"``. As many parts run at once as there are
cores, each in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

from ledger.local.parallel import cores
from tests.faults.tally import Tally, all_parts, row, run_part, table


def main(wanted: list[str]) -> int:
    parts = all_parts()
    unknown = set(wanted) - parts.keys()
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(parts)}")
        return 2
    tallies: list[Tally] = []
    start = time.monotonic()
    print(*table([]), sep="\n")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), spawn, max_tasks_per_child=1) as pool:
        for found in [pool.submit(run_part, name) for name in wanted or parts]:
            tallies += found.result()
            print(*map(row, found.result()), sep="\n", flush=True)
    problems = [problem for tally in tallies for problem in tally.problems]
    for problem in problems[:100]:
        print(problem, file=sys.stderr)
    print(
        f"\n{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, Python"
        f" {platform.python_version()}, {(time.monotonic() - start) / 60:.0f} minutes"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
