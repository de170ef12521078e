"""The walls of the house (docs/decisions, DESIGN 2), kept by reading the source.

Imports go one way; the pure modules touch nothing but their arguments; only ``cli`` reads the
environment, and only faces print; rooms are small.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up: a module imports only what stands in a line below its own. A package (stores,
# service) is one place, in which its modules may import each other. A new module needs a place.
# Of tlog, the modules that touch a store or a disk have places of their own, above the pure ones.
FLOORS = [
    ["errors"],
    ["canonical", "layout", "report", "times"],
    ["diff", "keys", "revision"],
    ["keyring"],
    ["entry", "tlog"],
    ["bundle", "packfile", "plain", "verify"],
    ["durable", "pool", "workers"],
    ["stores"],
    ["fetch", "filelock", "history", "identity", "keyfile", "listing", "newfile"],
    ["packs", "tip"],
    ["append", "audit", "packing"],
    ["audit_lines", "batch", "fsck", "tlog/memory", "tlog/read"],
    ["audit_state", "recover", "tlog/leaf_index", "tlog/rehash", "tlog/remembered"],
    ["tlog/compare", "tlog/cosigned", "tlog/due", "tlog/publish", "tlog/since"],
    ["audit_run", "tlog/beyond", "tlog/carry", "tlog/commit"],
    ["tlog/audit", "tlog/seal", "transfer"],
    ["ledger", "offline"],
    ["tlog/log"],
    ["store_contract"],
    ["__init__", "testing"],
    ["service"],
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

PURE = [name for names in FLOORS[:6] for name in names if name != "tlog"]
# The formats of the log are pure, too; what reads and seals it is not.
PURE += [f"tlog/{name}" for name in ("checkpoint", "leaf", "merkle", "note", "proof")]
PURE += ["tlog/state", "tlog/tiles", "tlog/witness"]
WORLDLY = {
    *("asyncio", "boto3", "botocore", "builtins", "concurrent", "ctypes", "fcntl", "glob", "http"),
    *("importlib", "io", "locale", "logging", "multiprocessing", "os", "pathlib", "platform"),
    *("random", "requests", "secrets", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "urllib3", "uuid"),
}

LEDGER = sorted((ROOT / "ledger").rglob("*.py"))
CLI = sorted((ROOT / "cli").rglob("*.py"))

LONGEST_FILE = 420  # "about 400"
LONGEST_FUNCTION = 60


def trees(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def place(path: Path) -> str:
    """The module's place: its own name, or that of its package below ``ledger``."""
    return place_of(path.relative_to(ROOT / "ledger").with_suffix("").parts)


def place_of(parts: tuple[str, ...]) -> str:
    own = "/".join(parts[:2])
    return own if own in FLOOR else parts[0]


def imported(path: Path) -> list[tuple[int, str]]:
    """Every imported module with its line, those under TYPE_CHECKING and in functions, too."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            module = node.module or ""
            if module == "ledger":
                found += [(node.lineno, f"ledger.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, module))
    return found


def called(path: Path) -> list[tuple[int, str]]:
    """Every call as it is spelled: ``open``, ``datetime.now``."""
    return [
        (node.lineno, ast.unparse(node.func))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
    ]


# --- imports go one way --------------------------------------------------------------------------


def test_every_module_has_its_floor():
    assert {place(path) for path in LEDGER} <= FLOOR.keys()


@pytest.mark.parametrize("path", trees(LEDGER))
def test_imports_go_down(path):
    mine = place(path)
    for line, module in imported(path):
        package, _, rest = module.partition(".")
        assert package != "cli", f"{path}:{line}: the library knows no shell"
        if package != "ledger" or not rest:
            continue
        other = place_of(tuple(rest.split(".")))
        if other not in FLOOR:  # a name out of the package itself: ``from ledger import Ledger``
            other = "__init__"
        same_package = other == mine and path.parent != ROOT / "ledger"
        assert same_package or FLOOR[other] < FLOOR[mine], f"{path}:{line}: {mine} -> {other}"


def test_stores_know_nothing_of_entries_and_keys():
    for path in (ROOT / "ledger" / "stores").glob("*.py"):
        ours = {
            module.split(".")[1] for _, module in imported(path) if module.startswith("ledger.")
        }
        assert ours <= {"durable", "errors", "layout", "stores"}, path


def test_only_the_s3_store_imports_boto3_and_only_the_service_a_framework():
    web = {"fastapi", "starlette", "uvicorn", "jinja2", "pydantic", "typer", "rich", "click"}
    for path in LEDGER:
        modules = {module.partition(".")[0] for _, module in imported(path)}
        if not path.name.startswith("s3"):
            assert not modules & {"boto3", "botocore"}, path
        if place(path) != "service":
            assert not modules & web, path


# --- the pure core -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_opens_no_file_and_reads_no_clock_environment_or_randomness(name):
    path = ROOT / "ledger" / f"{name}.py"
    for line, module in imported(path):
        assert module.partition(".")[0] not in WORLDLY, f"{path}:{line}: {module}"
    for line, call in called(path):
        assert call not in {"open", "input", "print", "exec", "eval", "__import__"}, (
            f"{path}:{line}"
        )
        assert call.rpartition(".")[2] not in {"now", "utcnow", "today"}, f"{path}:{line}: {call}"


# --- who speaks to the world ---------------------------------------------------------------------


@pytest.mark.parametrize("path", trees(LEDGER))
def test_the_library_does_not_print_exit_or_configure_logging(path):
    for line, call in called(path):
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
    assert not {"getpass", "argparse"} & {module for _, module in imported(path)}


def _loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    run = [sys.executable, "-W", "error", "-c", script]
    return set(subprocess.check_output(run, cwd=ROOT, text=True).split())


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


# --- rooms are small -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", trees(LEDGER + CLI))
def test_files_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # The parameters of a command are a table of its options: only its body counts.
            start = node.body[0].lineno if path in CLI else node.lineno
            length = (node.end_lineno or start) - start + 1
            assert length <= LONGEST_FUNCTION, f"{path}:{node.lineno}: {node.name}: {length} lines"


@pytest.mark.parametrize("path", trees(LEDGER))
def test_every_module_says_what_it_is_and_what_it_gives(path):
    module = tree(path)
    assert ast.get_docstring(module), "a docstring"
    names = [
        target.id
        for node in module.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]
    assert "__all__" in names
