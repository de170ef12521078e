"""One mutant, one process: its module is imported changed, and the tests run until one fails."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Loaded once, before the processes part: everything that tests need but what may be changed.
import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

ROOT = Path(__file__).parents[2]
WARNINGS = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of what is loaded already
MOST_BYTES = 4 << 30
"""Of memory, for a mutant that never ends and keeps what it finds."""

OPTIONS = ("-x", "-q", "-n", "0", "-p", "no:cacheprovider", *WARNINGS)


class Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from another text than its file's."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self.path, "exec"), module.__dict__)


class Finder:
    """Finds one module, changed."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name, self._path, self._source = name, str(path), source

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        loader = Changed(name, self._path, self._source)
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


def survives(module: str, source: str, tests: Sequence[str], seconds: float) -> bool:
    """Whether all tests pass with this text in the place of a module's.

    A mutant that takes longer than ``seconds`` does not: it was noticed.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(_run(module, source, tests))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(module: str, source: str, tests: Sequence[str]) -> int:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    try:
        name = "ledger." + module.replace("/", ".")
        finder = Finder(name, ROOT / "ledger" / f"{module}.py", source)
        for loaded in list(sys.modules):  # of ours: they have to be imported anew
            if loaded.partition(".")[0] in {"ledger", "cli", "tests"}:
                del sys.modules[loaded]
        sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
        _quick_laws()
        os.environ["LEDGER_TEST_THOROUGH"] = "1"  # a law may be all that notices
        return int(pytest.main([*OPTIONS, *(str(ROOT / "tests" / test) for test in tests)]))
    except BaseException:  # noqa: BLE001 -- whatever it is, the mutant did not pass
        return 70


def _quick_laws() -> None:
    """The same examples for every mutant, and no time spent on smaller ones."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutation", max_examples=50, derandomize=True, database=None, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutation")
