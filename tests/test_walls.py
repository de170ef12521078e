"""What import-linter (pyproject.toml) can't see of the walls between the rooms.

Pure modules touch nothing but their arguments; only ``cli`` reads the environment and prints.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LEDGER = sorted((ROOT / "ledger").rglob("*.py"))
CLI = sorted((ROOT / "cli").rglob("*.py"))
PURE = [path for path in LEDGER if path.parent.name in {"format", "tlog", "trust"}]

LONGEST_FUNCTION = 60


def trees(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def called(path: Path) -> list[tuple[int, str]]:
    """Every call as it is spelled: ``open``, ``datetime.now``."""
    return [
        (node.lineno, ast.unparse(node.func))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
    ]


# --- the pure core -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", trees(PURE))
def test_a_pure_module_opens_no_file_and_reads_no_clock(path):
    for line, call in called(path):
        assert call not in {"open", "input", "print", "exec", "eval", "__import__"}, (
            f"{path}:{line}"
        )
        assert call.rpartition(".")[2] not in {"now", "utcnow", "today"}, f"{path}:{line}: {call}"


# --- who speaks to the world ---------------------------------------------------------------------


@pytest.mark.parametrize("path", trees(LEDGER))
def test_the_library_does_not_print_exit_or_configure_logging(path):
    for line, call in called(path):
        if (path.name, call) == ("processes.py", "os._exit"):
            continue  # a worker ends itself when its parent has ended
        assert call not in {
            *("print", "input", "exit", "quit", "breakpoint", "sys.exit", "os._exit"),
            *("logging.basicConfig", "logging.disable", "warnings.simplefilter"),
            *("signal.signal", "sys.setrecursionlimit", "locale.setlocale"),
        }, f"{path}:{line}: {call}"


@pytest.mark.parametrize("path", trees(LEDGER))
def test_only_the_shell_reads_the_environment(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in {
                "os.environ",
                "os.environb",
                "os.getenv",
                "sys.argv",
            }, f"{path}:{node.lineno}"


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


@pytest.mark.parametrize("path", trees(LEDGER + CLI))
def test_functions_are_short(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # The parameters of a command are a table of its options: only its body counts.
            start = node.body[0].lineno if path in CLI else node.lineno
            length = (node.end_lineno or start) - start + 1
            assert length <= LONGEST_FUNCTION, f"{path}:{node.lineno}: {node.name}: {length} lines"


@pytest.mark.parametrize("path", trees(LEDGER))
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(tree(path)), "a docstring"
