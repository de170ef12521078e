"""docs/benchmarks.md: its tables are written by the benchmarks, between lines that name them.

At its top stands what was promised: every claim of its tables that has a target.
"""

from __future__ import annotations

import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import Picture, Table
from ledger.local.parallel import cores

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
CLAIM = re.compile(r"^\| (.*?) +\| +([\d.,]+) \|.*\| +([≤≥] [\d.]+) \| +(yes|no) \|$", re.MULTILINE)
"""A row that has a target: what it is about, the median, the target, and whether it is met."""


def place(name: str) -> re.Pattern[str]:
    """Where the tables of a benchmark stand."""
    return re.compile(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


PROMISES = re.compile(r"(<!-- promises -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def text(tables: Iterable[Table | Picture]) -> str:
    return "\n\n".join(table.markdown() for table in tables)


def stamp() -> str:
    """When and where something is measured."""
    processor = platform.processor() or platform.machine()
    with suppress(FileNotFoundError), Path("/proc/cpuinfo").open() as info:
        for line in info:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return (
        f"{time.strftime('%Y-%m-%d')}, {cores()} cores ({processor}), {platform.system()},"
        f" Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f} at the start"
    )


def write(name: str, tables: list[Table | Picture], when: str, page: Path = PAGE) -> None:
    """Put the tables in their place, and pictures beside the page; LookupError for no place."""
    tables_text = f"\n{text(tables)}\n\n*{when}*\n\n"
    new, count = place(name).subn(lambda found: found[1] + tables_text + found[3], page.read_text())
    if count != 1:
        raise LookupError(f"{page} has {count} places for {name}")
    promised = f"\n{promises(new).markdown()}\n\n"
    page.write_text(PROMISES.sub(lambda found: found[1] + promised + found[3], new))
    for each in tables:
        if isinstance(each, Picture):
            (page.parent / each.file).write_text(each.svg)


def promises(page: str) -> Table:
    """Every claim of the benchmarks' tables that has a target; those not met come first."""
    claims = [claim for found in place(r"\w+").finditer(page) for claim in CLAIM.findall(found[2])]
    met = sum(claim[-1] == "yes" for claim in claims)
    rows = sorted(claims, key=lambda claim: claim[-1])
    return Table(f"{met} of {len(claims)} targets are met", ("", "median", "target", "met"), rows)
