"""Cases that take turns, what they claim of each other, and tables of both.

What else a machine does falls on every case alike if they take turns; so they all run once in each
round, and a claim is a median of ratios, each from one round, never a ratio across runs.
"""

from __future__ import annotations

import operator
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Size(NamedTuple):
    """How much to measure."""

    entries: int
    rounds: int


class NeedsTool(Exception):
    """A program or a package that a benchmark compares with is not there."""


@dataclass(frozen=True)
class Case:
    """One thing to time, which handles ``count`` items a round.

    ``work`` may return the seconds itself, where not all that it does counts.
    """

    name: str
    count: int
    work: Callable[[], object]


@dataclass(frozen=True)
class Claim:
    """``ours`` against ``theirs``: a speed ``at_least`` so many times theirs, or a time
    ``at_most`` so many times theirs; neither: a speed that is only told.
    """

    ours: str
    theirs: str
    at_least: float | None = None
    at_most: float | None = None


class Table(NamedTuple):
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Aligned, so that it reads as well on a terminal; numbers to the right."""
        cells = [list(self.header), *(list(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        cells.insert(1, rule)
        lines = [
            " | ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        ]
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in lines)])


class Picture(NamedTuple):
    """A drawing beside the page."""

    file: str
    alt: str
    svg: str

    def markdown(self) -> str:
        return f"![{self.alt}]({self.file})"


Times = dict[str, list[float]]
"""Seconds per item of each case, a value for each round."""


def take_turns(cases: Iterable[Case], rounds: int, *, warm_up: bool = True) -> Times:
    """Run all cases once a round; a first round that warms up does not count."""
    cases = list(cases)
    times: Times = {case.name: [] for case in cases}
    if warm_up:
        for case in cases:
            case.work()
    for _ in range(rounds):
        for case in cases:
            times[case.name].append(seconds(case.work) / case.count)
    return times


def seconds(work: Callable[[], object]) -> float:
    """What the work took, or what it says that it took."""
    start = time.perf_counter()
    told = work()
    took = time.perf_counter() - start
    return told if isinstance(told, float) else took


def times_table(title: str, times: Times) -> Table:
    rows = []
    for name, values in times.items():
        median = statistics.median(values)
        spread = f"{duration(min(values))} to {duration(max(values))}"
        rows.append((name, duration(median), f"{1 / median:,.0f}", spread))
    return Table(title, ("", "median each", "a second", "spread"), rows)


def claims_table(title: str, times: Times, claims: Iterable[Claim]) -> Table:
    rows = [judge(times[claim.ours], times[claim.theirs], claim) for claim in claims]
    return Table(title, ("", "median", "spread", "target", "met"), rows)


def judge(ours: list[float], theirs: list[float], claim: Claim) -> tuple[str, ...]:
    """A claim's row: the ratio in each round, its median, and how that compares."""
    pairs = list(zip(ours, theirs, strict=True))
    if claim.at_most is not None:
        name = f"time of {claim.ours} / {claim.theirs}"
        ratios = [mine / other for mine, other in pairs]
        target = f"≤ {claim.at_most:g}"
    else:
        name = f"speed of {claim.ours} / {claim.theirs}"
        ratios = [other / mine for mine, other in pairs]
        target = "" if claim.at_least is None else f"≥ {claim.at_least:g}"
    median = statistics.median(ratios)
    spread = f"{number(min(ratios))} to {number(max(ratios))}"
    return (name, number(median), spread, target, verdict(median, claim.at_least, claim.at_most))


def verdict(value: float, at_least: float | None, at_most: float | None) -> str:
    for bound, holds in ((at_least, operator.ge), (at_most, operator.le)):
        if bound is not None:
            return "yes" if holds(value, bound) else "no"
    return ""


def duration(value: float) -> str:
    """Seconds for people, with three digits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if value * factor >= 1:
            return f"{number(value * factor)} {unit}"
    return f"{number(value * 1e6)} µs"


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
