"""No test waits for ever: a process, a thread and an event are waited for with a limit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("tests", "tools") for path in (ROOT / folder).rglob("*.py"))
RUN = {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")}
WAIT = ("wait", "join", "communicate")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_wait_has_a_limit(path: Path) -> None:
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call):
            name = ast.unparse(call.func)
            limited = any(keyword.arg in {"timeout", None} for keyword in call.keywords)
            waits = name.rpartition(".")[2] in WAIT and "." in name and not call.args
            assert limited or not (waits or name in RUN), f"{path}:{call.lineno}: {name}"
