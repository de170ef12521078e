"""Lengths of time as people type them: ``5s``, ``10m``, ``1d``."""

from __future__ import annotations

import re

import typer

__all__ = ["parse_duration"]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 10**9
"""Some thirty years: what the system can wait for is not much more."""
DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")


def parse_duration(text: str) -> float:
    """The seconds; raises BadParameter for what is no length of time, or none at all."""
    match = DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST:
        raise typer.BadParameter(f"not a length of time: {text!a:.40}; write 5s, 10m, 2h or 1d")
    return seconds
