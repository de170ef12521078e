"""Every benchmark runs, at a size too small to mean anything, so that none of them rots."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from benchmarks import page, scale
from benchmarks.__main__ import BENCHMARKS
from benchmarks.harness import Case, Claim, Table, claims_table, take_turns
from benchmarks.measured import Done
from tests.test_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_prints_tables(name: str) -> None:
    done = run(name, "--entries", "2", "--rounds", "1")
    if "left out" in done.stderr:
        pytest.skip(f"needs what it compares with: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n**") >= 1, done.stdout


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_has_a_place_for_a_benchmark(name: str) -> None:
    assert len(page.place(name).findall(page.PAGE.read_text())) == 1


def test_the_page_has_a_place_for_nothing_else() -> None:
    assert set(re.findall(r"<!-- (\w+): ", page.PAGE.read_text())) == set(BENCHMARKS)


def test_they_are_listed_and_a_name_that_is_none_is_refused() -> None:
    done = run("--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(BENCHMARKS)
    done = run("nonsense")
    assert done.returncode != 0
    assert "no such benchmark: nonsense" in done.stderr


def test_cases_take_turns() -> None:
    heard: list[str] = []
    cases = [Case(name, 1, partial(heard.append, name)) for name in "AB"]
    take_turns(cases, 2, warm_up=False)
    assert heard == ["A", "B", "A", "B"]


@pytest.mark.parametrize(
    ("claim", "met"),
    [
        (Claim("ours", "theirs", at_least=2), "yes"),
        (Claim("ours", "theirs", at_least=2.1), "no"),
        (Claim("ours", "theirs", at_most=0.5), "yes"),
        (Claim("ours", "theirs", at_most=0.4), "no"),
        (Claim("ours", "theirs"), ""),
    ],
)
def test_a_claim_is_the_median_of_the_ratios_within_rounds(claim: Claim, met: str) -> None:
    times = {"ours": [1.0, 2.0, 30.0], "theirs": [2.0, 4.0, 30.0]}
    (row,) = claims_table("", times, [claim]).rows
    assert row[1] == ("0.50" if claim.at_most else "2.00")
    assert row[-1] == met


def test_tables_are_put_between_the_lines_that_name_them(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("above\n<!-- verify: … -->\nold\n<!-- end -->\n<!-- git: … -->\n<!-- end -->\n")
    page.write("verify", [Table("New", ("a", "b"), [("1", "2")])], "today", file)
    text = file.read_text()
    assert "old" not in text
    assert text.startswith("above\n<!-- verify: … -->\n\n**New**\n\n| a | b |\n")
    assert text.endswith("| 1 | 2 |\n\n*today*\n\n<!-- end -->\n<!-- git: … -->\n<!-- end -->\n")
    with pytest.raises(LookupError):
        page.write("scale", [], "today", file)


def test_targets_are_gathered_at_the_top_those_not_met_first(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("<!-- promises -->\n<!-- end -->\n<!-- git: … -->\n<!-- end -->\n")
    times = {"ours": [1.0], "theirs": [2.0]}
    claims = [Claim("ours", "theirs", at_least=bound) for bound in (1.5, 9, None)]
    for _ in range(2):  # what is gathered is not gathered again
        page.write("git", [claims_table("Claims", times, claims)], "today", file)
    top = file.read_text().partition("<!-- end -->")[0]
    assert "**1 of 2 targets are met**" in top
    assert [line.split("|")[-2].strip() for line in top.splitlines()[-4:-1] if "≥" in line] == [
        "no",
        "yes",
    ]


def test_a_picture_is_written_beside_the_page(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("<!-- scale: … -->\n<!-- end -->\n")
    times = {step: Done(2.0, 1.0, 10**8, "") for step in scale.STEPS}
    page.write("scale", [scale.picture({10: times, 100: times})], "today", file)
    assert "](benchmarks.svg)" in file.read_text()
    drawn = ElementTree.fromstring((tmp_path / "benchmarks.svg").read_text())
    assert {each.text for each in drawn.iter() if each.tag.endswith("text")} >= set(scale.STEPS)
