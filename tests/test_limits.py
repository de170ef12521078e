"""No test waits for ever: a process, a thread and an event are waited for with a limit."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("tests", "tools") for path in (ROOT / folder).rglob("*.py"))
RUN = ("run", "call", "check_call", "check_output")
WAIT = ("wait", "join", "communicate")
# What has nothing like it need not be parsed: most of the time that this takes.
LIKELY = re.compile(
    rf"\.({'|'.join(WAIT)})\(\s*(\)|\w+\s*=|[*#])|\bsubprocess\.({'|'.join(RUN)})\b"
)


def test_every_wait_has_a_limit() -> None:
    unlimited = []
    for path in FILES:
        text = path.read_text()
        for call in ast.walk(ast.parse(text)) if LIKELY.search(text) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                name = call.func.attr
                limited = any(keyword.arg in {"timeout", None} for keyword in call.keywords)
                waits = name in WAIT and not call.args
                runs = name in RUN and ast.unparse(call.func) == f"subprocess.{name}"
                if not limited and (waits or runs):
                    unlimited.append(f"{path}:{call.lineno}: {ast.unparse(call.func)}")
    assert not unlimited
