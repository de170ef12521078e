"""``demo``: the whole story, which must leave nothing behind in the user's own configuration."""

from __future__ import annotations

import pytest

from tests.cli.shell import ORIGIN, TITLE, Shell


def test_the_demo_ends_with_a_named_tampering(bare: Shell) -> None:
    bare.config.mkdir(parents=True)
    (bare.config / "config.toml").write_text('store = "mine"\n')
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
