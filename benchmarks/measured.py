"""Processes that measure themselves, or are measured: their time, and their peak of memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

MEMORY = "memory:"

# A process begins with the peak of the one that started it, so that has to be small.
MEASURE = """
import os, sys, time
start = time.perf_counter()
child = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
took = time.perf_counter() - start
print("\\n", took, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Peak(NamedTuple):
    """What a process measured of itself."""

    seconds: float
    """Per entry."""
    megabytes: float


class Done(NamedTuple):
    """What a command took, with all the processes that it started."""

    seconds: float
    """By the clock."""
    processor: float
    """Seconds of processor time."""
    peak: int
    """Bytes of memory, at most, of the largest of them."""
    said: str


def command(folder: Path, *words: str, **variables: str) -> Done:
    """Run ``ledger`` in a folder, with a home there; RuntimeError if it fails."""
    environment = os.environ | {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **variables,
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed software is compiled
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, sys.executable, "-m", "cli", *words],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stdout[-1000:]} {done.stderr[-2000:]}")
    took, processor, peak = done.stdout.splitlines()[-1].split()
    unit = 1 if sys.platform == "darwin" else 1024
    return Done(float(took), float(processor), int(peak) * unit, done.stderr)


def megabytes() -> float:
    """The most memory that this process has had so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
