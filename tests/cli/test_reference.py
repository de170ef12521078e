"""``docs/reference/cli.md`` has every command, every option and every exit code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli import app, reports
from cli.commands import GROUPS, make_app
from ledger.errors import LedgerError

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
SECTIONS = {
    heading.strip(): text
    for heading, text in re.findall(r"^##+ (.*)\n((?:(?!^##+ ).*\n?)*)", PAGE, re.MULTILINE)
}
COMMON = SECTIONS["For all commands"]


@cache
def commands() -> dict[str, Any]:
    """Every command by the words that one types."""
    top: dict[str, Any] = get_command(make_app([])).commands  # type: ignore[attr-defined]
    groups = {name: top.pop(name).commands for name in GROUPS}
    below = ((group, name, found[name]) for group, found in groups.items() for name in found)
    return top | {f"{group} {name}": command for group, name, command in below}


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_there(name: str) -> None:
    section = SECTIONS[f"ledger {name}"]
    assert f"```text\nledger {name}" in section
    for parameter in commands()[name].params:
        for spelling in parameter.opts:
            if parameter.param_type_name == "argument":
                assert parameter.metavar in section
            elif spelling not in {"--help", "-n"}:
                assert f"`{spelling}" in section + COMMON, f"{name} {spelling}"


@pytest.mark.parametrize("name", commands())
def test_nothing_is_there_that_does_not_exist(name: str) -> None:
    known = {spelling for parameter in commands()[name].params for spelling in parameter.opts}
    table = re.findall(r"^\| (`-.*?) \|", SECTIONS[f"ledger {name}"], re.MULTILINE)
    named = {word for row in table for word in re.findall(r"`(-[-a-z]+)", row)}
    assert named <= known


def errors(kind: type[LedgerError] = LedgerError) -> set[type[LedgerError]]:
    return {kind}.union(*(errors(below) for below in kind.__subclasses__()))


def test_every_exit_code_is_there_and_no_other() -> None:
    used = {error.exit_code for error in errors() if error.__module__.startswith("ledger.")}
    used |= {0, 1, 2, *reports.EXIT_CODES.values()}
    used |= {app.OUTPUT_FAILED, app.UNEXPECTED, app.INTERRUPTED}
    documented = re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)
    assert sorted(used) == [int(code) for code in documented]
