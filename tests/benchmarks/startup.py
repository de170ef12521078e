"""How long a command takes to start: ``python -m tests.benchmarks.startup [ROUNDS]``.

The aim: ``ledger --version``, and ``ledger log`` on a folder, within three times of
``python -c "import typer"``. The commands take turns, so that a busy moment hits them all alike;
what is printed are medians, and their ratios to the import of typer.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 25
BASE = "import typer"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as place:
        environment = os.environ | {"HOME": place, "XDG_CONFIG_HOME": place}
        ledger = str(Path(sys.executable).with_name("ledger"))
        for words in ("init", "append TN1 --set a=1", "append TN1 --set a=2"):
            _run([ledger, *words.split()], place, environment)
        commands = {
            BASE: [sys.executable, "-c", BASE],
            "import ledger": [sys.executable, "-c", "import ledger"],
            "ledger --version": [ledger, "--version"],
            "ledger log TN1": [ledger, "log", "TN1"],
            "ledger show TN1": [ledger, "show", "TN1"],
            "ledger verify": [ledger, "verify"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                start = time.perf_counter()
                _run(command, place, environment)
                times[name].append(time.perf_counter() - start)
    base = statistics.median(times[BASE])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:<18}{median * 1000:7.0f} ms  {median / base:5.2f} x")


def _run(command: list[str], place: str, environment: dict[str, str]) -> None:
    subprocess.run(
        command, cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=60
    )


if __name__ == "__main__":
    main()
