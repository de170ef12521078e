"""A register that comes as CSV: loaded by the command, and its full extract given again."""

from __future__ import annotations

import csv
import json
import tempfile
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import NeedsTool, Table, duration, number
from benchmarks.measured import command
from tests.corpora import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size

NAMES = (
    "id,price:int,sold:date,postcode,type,new:bool,tenure,number,flat,street,locality,town,"
    "district,county,category,status:skip"
)
TITLE = "postcode,number,flat,street"
SCHEMA = {
    "type": "object",
    "required": ["id", "price", "sold"],
    "properties": {
        "id": {"pattern": r"^\{[0-9A-F-]{36}\}$"},
        "price": {"type": "integer", "minimum": 1},
        "sold": {"format": "date"},
        "new": {"type": "boolean"},
        "type": {"enum": ["D", "S", "T", "F", "O"]},
        "tenure": {"enum": ["F", "L", "U"]},
    },
}


def run(size: Size) -> Iterator[Table]:
    """Load a tenth of so many titles, and then all; give each file again, under another name."""
    rows = [
        ("load", ()),
        ("the extract again, --skip-unchanged", ("--skip-unchanged",)),
        ("check alone (--dry-run)", ("--dry-run",)),
        ("check alone, with a schema", ("--dry-run", "--schema", "deed.schema.json")),
    ]
    for titles in sorted({max(1, size.entries // 10), size.entries}):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "deed.schema.json").write_text(json.dumps(SCHEMA))
            command(folder, "init", "--origin", "example.org/sales")
            lines = []
            for name, options in rows:
                write_rows(folder / "extract.csv", titles)
                done = command(
                    folder,
                    *("append", "--batch", "extract.csv", "--csv", "--columns", NAMES),
                    *("--title-column", TITLE, "--reference", name, *options),
                )
                each = done.seconds / titles
                memory = f"{done.peak / 1e6:,.0f} MB"
                lines.append(
                    (name, f"{number(done.seconds)} s", duration(each), f"{1 / each:,.0f}", memory)
                )
            found = [path for path in (folder / "ledger-data").rglob("*") if path.is_file()]
            bytes_of = {"the CSV": (folder / "extract.csv").stat().st_size}
            bytes_of["the ledger"] = sum(path.stat().st_size for path in found)
            bytes_of["the ledger on the disk"] = 512 * sum(path.stat().st_blocks for path in found)
        header = ("", "time", "each", "a second", "memory, at most")
        yield Table(f"A register of {titles:,} titles from CSV", header, lines)
        sizes = [
            (what, f"{much / 1e6:,.1f} MB", f"{much / titles:,.0f}")
            for what, much in bytes_of.items()
        ]
        yield Table(f"{titles:,} titles in {len(found):,} files", ("", "size", "bytes each"), sizes)


def write_rows(file: Path, titles: int) -> None:
    """Write so many sales of as many properties: those of the Isle of Wight, again and again."""
    sales = {}
    for month in files("price-paid/*.csv"):
        with month.open(encoding="utf-8", newline="") as source:
            sales |= {(row[3], *row[7:10]): row for row in csv.reader(source)}
    if not sales:
        raise NeedsTool("no price-paid/*.csv in the corpora (LEDGER_CORPORA names the folder)")
    copies = (
        [row[0], *row[1:3], f"{row[3]}{copy or ''}", *row[4:]]
        for copy in count()
        for row in sales.values()
    )
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(islice(copies, titles))
