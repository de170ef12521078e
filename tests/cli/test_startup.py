"""What a command loads: nothing that it does not need, so that it starts at once."""

from __future__ import annotations

import subprocess
import sys
from functools import cache, partial
from typing import TYPE_CHECKING

import pytest

import ledger
from tests.cli.shell import TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK = """
import sys
from cli.app import run
code = run(sys.argv[1:])
print(*(name for name in sys.modules), file=sys.stderr)
sys.exit(code)
"""

OPTIONAL = {"boto3", "rich", "pydantic", "tomllib", "getpass", "importlib.metadata", "email"}

WRITERS = {
    "concurrent.futures",
    "cryptography",
    "ledger.bundles",
    "ledger.format.signing",
    "ledger.local.keyfile",
    "ledger.offline",
    "ledger.packs",
    "ledger.registrations.register",
    "ledger.stores.probe",
    "ledger.titles.append",
    "ledger.verification",
    "logging",
    "secrets",
    "tarfile",
}
"""What writes, signs, or works through many titles."""


pytestmark = pytest.mark.xdist_group("startup")


def loaded_in(shell: Shell, line: str) -> set[str]:
    """What a command line loads in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-c", CHECK, *line.split()],
        cwd=shell.folder,
        env={"PATH": "/usr/bin:/bin", **shell.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(process.stderr.split())


@pytest.fixture(scope="session")
def loaded(
    title_made: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], set[str]]:
    """The same, once for each line, in a ledger with a title."""
    shell = title_made.copied_to(tmp_path_factory.mktemp("startup") / "made")

    return cache(partial(loaded_in, shell))


@pytest.mark.parametrize(
    "line",
    [
        f"log {TITLE}",
        pytest.param(f"show {TITLE}", marks=pytest.mark.slow),
        f"append {TITLE} --set a=b",
        "verify",
    ],
)
def test_on_a_folder_neither_boto3_nor_rich_nor_the_log(
    loaded: Callable[[str], set[str]], line: str
) -> None:
    names = loaded(line)
    assert "ledger.stores.folder" in names
    assert not names & OPTIONAL
    assert not [name for name in names if name.startswith("ledger.tlog")]


@pytest.mark.parametrize(
    "line", [f"log {TITLE}", pytest.param(f"show {TITLE}", marks=pytest.mark.slow)]
)
def test_whoever_reads_does_not_wait_for_what_writes(
    loaded: Callable[[str], set[str]], line: str
) -> None:
    assert not loaded(line) & WRITERS


def test_whoever_verifies_a_title_does_not_wait_for_bundles_packs_and_samples(
    loaded: Callable[[str], set[str]],
) -> None:
    needed = {"ledger.verification"}
    assert not loaded(f"verify {TITLE}") & (WRITERS - needed)


def test_the_version_needs_no_ledger(loaded: Callable[[str], set[str]]) -> None:
    names = loaded("--version")
    assert {"typer", "ledger"} <= names
    assert not [name for name in names if name.startswith(("ledger.", "cli.commands."))]
    assert not names & OPTIONAL


def test_a_command_loads_no_other(loaded: Callable[[str], set[str]]) -> None:
    names = {name for name in loaded(f"log {TITLE}") if name.startswith("cli.commands.")}
    assert names == {"cli.commands.log"}


def test_the_library_loads_what_is_used() -> None:
    line = (
        "import sys, ledger; print(*sys.modules); ledger.Keyring(); print(*sys.modules);"
        " print(ledger.errors.HeadMoved.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", line], capture_output=True, text=True, check=True, timeout=60
    )
    first, second, third = done.stdout.splitlines()
    assert not [name for name in first.split() if name.startswith("ledger.")]
    assert "ledger.format.keyring" in second.split()
    assert not {"cryptography", "ledger.ledger"} & set(second.split())
    assert third == "HeadMoved"


def test_every_public_name_is_there_and_no_other() -> None:
    found = {name: getattr(ledger, name) for name in ledger.__all__}
    assert {name for name, value in found.items() if hasattr(value, "__module__")} >= {"Ledger"}
    assert set(ledger.__all__) <= set(dir(ledger))
    with pytest.raises(AttributeError, match="has no attribute 'Ledgre'"):
        _ = ledger.Ledgre  # type: ignore[attr-defined]
