"""Changes that no test can notice, and why: what is accepted and refused stays the same."""

from __future__ import annotations

from pathlib import Path

HARMLESS = frozenset(
    line
    for line in Path(__file__).with_name("harmless.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
"""By the names of the mutants. A line that changes has to be judged again."""
