"""The full run: ``python -m tests.faults`` breaks everything there is to break, and counts.

It prints a table, and ends with 1 if anything was lost, doubled, torn or unclear. Words choose
parts: ``python -m tests.faults "system calls failed"``.
"""

from __future__ import annotations

import platform
import sys
import time
from datetime import UTC, datetime

from tests.faults.tally import all_parts, row, table


def main(wanted: list[str]) -> int:
    parts = all_parts()
    unknown = set(wanted) - parts.keys()
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(parts)}")
        return 2
    tallies, start = [], time.monotonic()
    print(*table([]), sep="\n")
    for name in wanted or parts:
        print(f"{name} …", file=sys.stderr, flush=True)
        for tally in parts[name]():
            tallies.append(tally)
            print(row(tally), flush=True)
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
