"""``demo``: the whole story, which must leave nothing behind in the user's own configuration."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.shell import ORIGIN, TITLE, Shell

RUN = subprocess.run


def run_here(command: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """What ``subprocess.run`` is to the demo: a ledger's command takes no process."""
    ledger = f"{shlex.quote(sys.executable)} -m cli "
    if not command.startswith(ledger):
        return RUN(command, **options)  # type: ignore[no-any-return]
    assert options["shell"]
    assert options["stdout"] is None
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - options["env"].keys():
            patch.delenv(name)
        shell = Shell(options["cwd"], options["cwd"])
        shell.environment = options["env"]
        done = shell(command.removeprefix(ledger), code=None)
    print(done.out, end="")
    return subprocess.CompletedProcess(command, done.code)


@pytest.mark.parametrize("how", ["here", pytest.param("as a process", marks=pytest.mark.slow)])
def test_the_demo_ends_with_a_named_tampering(
    bare: Shell, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.config.mkdir(parents=True)
    (bare.config / "config.toml").write_text('store = "mine"\n')
    if how == "here":
        monkeypatch.setattr("cli.commands.demo.subprocess.run", run_here)
        done = bare("demo play", LEDGER_ORIGIN="example.org/x", LEDGER_STORE="mine")
    else:
        done = bare.bash("LEDGER_ORIGIN=example.org/x LEDGER_STORE=mine ledger demo play")
    assert done.code == 0, done.err
    commands = [line for line in done.lines if line.startswith("$ ")]
    assert commands[0] == f"$ ledger init titles --origin {ORIGIN}"
    assert sum(line.startswith(f"$ ledger append {TITLE} ") for line in commands) == 3
    assert f"$ ledger log {TITLE}" in commands
    assert commands[-1] == "$ ledger verify"
    verdict = done.out.rpartition("$ ledger verify")[2]
    assert f"tampering: text-mismatch: {TITLE}/" in verdict
    assert "NOT VERIFIED" in verdict
    assert [path.name for path in bare.config.iterdir()] == ["config.toml"]
    assert sorted(path.name for path in bare.folder.iterdir()) == ["play"]
    assert sorted(path.name for path in (bare.folder / "play").iterdir()) == ["config", "titles"]


@pytest.mark.slow
def test_the_demo_as_json(bare: Shell) -> None:
    shown = bare("demo play --json").json
    assert shown["folder"] == str(bare.folder / "play")
    assert (bare.folder / "play" / shown["tampered"]).exists()
    assert "cannot make play: File exists" in bare.fails(65, "demo play")
