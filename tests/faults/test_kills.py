"""A writer that is killed at any moment: what it has acknowledged is there, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.commands import make_shell
from tests.faults.kills import check, kill_loop, many_kills
from tests.faults.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return make_shell(tmp_path_factory.mktemp("kills") / "made")


@pytest.mark.parametrize("cycles", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_what_killed_writers_acknowledged_is_there_once(
    made: Shell, tmp_path: Path, cycles: int
) -> None:
    shell = made.copied_to(tmp_path / "work")
    kill_loop(shell, cycles=cycles, seed=1).assert_sound(at_least=3 * cycles)


def test_an_acknowledgement_of_what_is_not_there_is_found_out(made: Shell) -> None:
    tally = Tally("lies")
    lie = f"A version 2 is {'0' * 64}\nA version 3 is {'1' * 64}\nA version 4".encode()
    check(tally, made, [lie], "here")
    assert tally.lost == 2


@pytest.mark.slow
def test_dozens_of_writers_are_killed() -> None:
    (tally,) = many_kills(cycles=10)
    tally.assert_sound(at_least=30)


@pytest.mark.faults
def test_hundreds_of_writers_are_killed() -> None:
    (tally,) = many_kills()
    tally.assert_sound(at_least=300)
