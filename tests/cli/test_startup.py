"""What a command loads: nothing that it does not need, so that it starts at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.shell import TITLE, Shell

CHECK = """
import sys
from cli.app import run
code = run(sys.argv[1:])
print(*(name for name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


def loaded(shell: Shell, line: str) -> set[str]:
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


@pytest.mark.parametrize(
    "line", [f"log {TITLE}", f"show {TITLE}", f"append {TITLE} --set a=b", "verify"]
)
def test_on_a_folder_neither_boto3_nor_rich_nor_the_log(title: Shell, line: str) -> None:
    names = loaded(title, line)
    assert "ledger.stores.folder" in names
    assert not names & {"boto3", "rich", "pydantic", "tomllib", "getpass"}
    assert not [name for name in names if name.startswith("ledger.tlog")]


def test_the_version_needs_no_ledger(bare: Shell) -> None:
    names = loaded(bare, "--version")
    assert "typer" in names
    assert not names & {"ledger", "cryptography", "boto3", "cli.commands.log"}


def test_a_command_loads_no_other(title: Shell) -> None:
    names = {name for name in loaded(title, f"log {TITLE}") if name.startswith("cli.commands.")}
    assert names == {"cli.commands.log"}
