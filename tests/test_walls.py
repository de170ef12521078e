"""What import-linter (pyproject.toml) can't see of the walls between the rooms.

Pure modules touch nothing but their arguments; only ``cli`` reads the environment and prints.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

LEDGER = sorted((ROOT / "ledger").rglob("*.py"))
CLI = sorted((ROOT / "cli").rglob("*.py"))
PURE = [path for path in LEDGER if path.parent.name in {"format", "tlog", "trust"}]

LONGEST_FUNCTION = 60


pytestmark = pytest.mark.xdist_group("walls")


@cache
def nodes(path: Path) -> list[ast.AST]:
    """All that a module consists of, itself first."""
    return list(ast.walk(ast.parse(path.read_text(), str(path))))


def called(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Every call as it is spelled: ``open``, ``datetime.now``; and where it is."""
    for path in paths:
        for node in nodes(path):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", dotted(node.func)


def dotted(node: ast.expr) -> str:
    """The dotted name of a node; if it starts with something else, what follows that."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


# --- the pure core -------------------------------------------------------------------------------


def test_a_pure_module_opens_no_file_and_reads_no_clock():
    impure = {"open", "input", "print", "exec", "eval", "__import__"}
    clocks = {"now", "utcnow", "today"}
    found = called(PURE)
    assert not [each for each in found if each[1] in impure or each[1].split(".")[-1] in clocks]


# --- who speaks to the world ---------------------------------------------------------------------


def test_the_library_does_not_print_exit_or_configure_logging():
    not_ours = {
        *("print", "input", "exit", "quit", "breakpoint", "sys.exit", "os._exit"),
        *("logging.basicConfig", "logging.disable", "warnings.simplefilter"),
        *("signal.signal", "sys.setrecursionlimit", "locale.setlocale"),
    }
    found = [each for each in called(LEDGER) if each[1] in not_ours]
    # a worker ends itself when its parent has ended
    assert [(where.partition(":")[0], call) for where, call in found] == [
        ("ledger/local/processes.py", "os._exit")
    ]


def test_only_the_shell_reads_the_environment():
    found = [
        f"{path}:{node.lineno}: {node.value.id}.{node.attr}"
        for path in LEDGER
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    shells = ("os.environ", "os.environb", "os.getenv", "sys.argv")
    assert not [each for each in found if each.endswith(shells)]


def _loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = [sys.executable, "-W", "error", "-c", script]
    return set(subprocess.check_output(run, cwd=ROOT, text=True, timeout=60).split())


def test_importing_the_library_and_using_a_folder_loads_neither_boto3_nor_a_framework(tmp_path):
    code = f"""
from ledger import Ledger, PrivateKey
ledger = Ledger.create({str(tmp_path)!r}, origin="example.org/titles", signer=PrivateKey(bytes(32)))
ledger.append("TN1", {{}})
assert ledger.verify_all() and list(ledger.log("TN1"))
"""
    heavy = {"boto3", "botocore", "fastapi", "starlette", "typer", "rich", "pytest", "asyncio"}
    assert not _loaded(code) & heavy


def test_the_testing_helpers_load_without_pytest():
    assert not _loaded("import ledger.testing") & {"pytest", "hypothesis", "boto3"}


# --- functions are short --------------------------------------------------------------------------


def test_functions_are_short():
    long = []
    for path in LEDGER + CLI:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                # The parameters of a command are a table of its options: only its body counts.
                start = node.body[0].lineno if path in CLI else node.lineno
                length = (node.end_lineno or start) - start + 1
                if length > LONGEST_FUNCTION:
                    long.append(f"{path}:{node.lineno}: {node.name}: {length} lines")
    assert not long


def test_every_module_says_what_it_is():
    assert not [path for path in LEDGER if not ast.get_docstring(nodes(path)[0])], "a docstring"
