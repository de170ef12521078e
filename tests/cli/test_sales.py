"""Nine months of house sales, as HM Land Registry publishes them: a register out of CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from benchmarks.extract import NAMES, TITLE, command, write_rows
from tests.corpora import files, needs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell

pytestmark = [needs("price-paid/*.csv"), pytest.mark.slow]

EVENTS = NAMES.replace("id,", "id:reference,").replace("sold:date", "sold:effective_at")
LOAD = f"--csv --title-column {TITLE} --kind migration"


def sales(month: Path) -> list[list[str]]:
    """The sales of a month that stand, the oldest first."""
    with month.open(encoding="utf-8", newline="") as source:
        rows = [row for row in csv.reader(source) if row[15] != "D"]
    return sorted(rows, key=lambda row: row[2])


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(rows)


def test_each_property_is_a_title_and_each_sale_a_version(shell: Shell) -> None:
    rows = sales(files("price-paid/*.csv")[0])
    write(shell.folder / "january.csv", rows)
    loading = f"{LOAD} --columns {EVENTS} --skip-unchanged"
    done = shell(f"append --batch january.csv {loading} -q")
    assert done.out == done.err == ""
    chains: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        chains.setdefault((row[3], *row[7:10]), []).append(row[0])
    titles = shell("titles").lines
    assert len(titles) == len(chains)
    (shell.folder / "full.csv").write_bytes((shell.folder / "january.csv").read_bytes())
    done = shell(f"append --batch full.csv {loading}")
    assert done.err.startswith("ledger: 0 appended, ")
    assert shell("verify -q").code == 0

    # The longest history, in the order of its sales, and what was law between two of them.
    (postcode, number, *_), ids = max(chains.items(), key=lambda pair: len(pair[1]))
    start = f"{postcode.replace(' ', '_')}-{number}"
    (title,) = (each for each in titles if each.startswith(f"{start}-") or each == start)
    log = shell(f"log {title} --oneline --reverse --json").objects
    assert [entry["reference"] for entry in log] == ids
    day = log[1]["effective_at"]
    shown = shell(f"show {title} --effective {day} --json").json
    assert shown["effective_at"] == day
    assert isinstance(shown["document"]["price"], int)


def test_memory_does_not_grow_with_the_register(tmp_path: Path) -> None:
    command(tmp_path, "init", "--origin", "example.org/sales")
    peaks = []
    for titles in (1_000, 10_000):
        write_rows(tmp_path / "extract.csv", titles)
        options = ("--csv", "--columns", NAMES, "--title-column", TITLE, "--skip-unchanged", "-q")
        done = command(tmp_path, "append", "--batch", "extract.csv", *options)
        peaks.append(done.peak)
    assert peaks[1] < peaks[0] + (16 << 20)
    again = command(
        tmp_path, "append", "--batch", "extract.csv", *options[:-1], "--reference", "next month"
    )
    assert again.said.splitlines()[-1] == (
        "ledger: 0 appended, 0 were there already, 10,000 unchanged, left out"
    )
    assert again.peak < peaks[0] + (16 << 20)
