"""docs/benchmarks.md: its tables are written by the benchmarks, between lines that name them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.harness import Table

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def place(name: str) -> re.Pattern[str]:
    """Where the tables of a benchmark stand."""
    return re.compile(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


def text(tables: Iterable[Table]) -> str:
    return "\n\n".join(table.markdown() for table in tables)


def write(name: str, tables: Iterable[Table], page: Path = PAGE) -> None:
    """Put the tables in their place; LookupError where the page has none."""
    tables_text = f"\n{text(tables)}\n\n"
    new, count = place(name).subn(lambda found: found[1] + tables_text + found[3], page.read_text())
    if count != 1:
        raise LookupError(f"{page} has {count} places for {name}")
    page.write_text(new)
