"""What it costs to start a command, against what it can't do without: typer.

Counted is processor time, of the process and in the system: what else runs changes it little.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table

BASE = 'python -c "import typer"'
AT_MOST = {
    "ledger --version": 1.1,
    "ledger log TN1": 1.6,
    "ledger show TN1": 1.6,
    "ledger verify": 2,
}
"""Times the processor time of the import."""


def run(size: Size) -> Iterator[Table]:
    """A folder with one title of two versions, and a home of its own."""
    with tempfile.TemporaryDirectory() as place:
        environment = os.environ | {"HOME": place, "XDG_CONFIG_HOME": place}
        # Installed software is compiled; a checkout has to be able to keep what it compiles.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        ledger = str(Path(sys.executable).with_name("ledger"))

        def do(*command: str) -> float:
            before = _of_children()
            subprocess.run(
                command, cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True
            )
            return _of_children() - before

        for words in (
            "init --origin example.org/titles",
            "append TN1 --new --set a=1",
            "append TN1 --set a=2",
        ):
            do(ledger, *words.split())
        commands = {
            BASE: [sys.executable, "-c", "import typer"],
            'python -c "import ledger"': [sys.executable, "-c", "import ledger"],
            "ledger --version": [ledger, "--version"],
            "ledger log TN1": [ledger, "log", "TN1"],
            "ledger show TN1": [ledger, "show", "TN1"],
            "ledger verify": [ledger, "verify"],
        }
        cases = [Case(name, 1, partial(do, *command)) for name, command in commands.items()]
        times = take_turns(cases, size.rounds)
    yield times_table("Processor time of whole processes", times)
    claims = [Claim(name, BASE, at_most=most) for name, most in AT_MOST.items()]
    yield claims_table("Commands against the import of typer", times, claims)


def _of_children() -> float:
    """The processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
