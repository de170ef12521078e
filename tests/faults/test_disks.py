"""A disk that is full, has no inodes left, or can't be written: an error that says so, no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.commands import COMMANDS, make_shell
from tests.faults.disks import NAME, every_disk, fill_each, limit, limited, missing
from tests.faults.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell

mounting = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return make_shell(tmp_path_factory.mktemp("disks") / "made")


def slow(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.slow)


SOME = ["pages", slow("inodes"), slow("read-only")]


@mounting
@pytest.mark.parametrize("what", SOME)
@pytest.mark.parametrize(
    "command",
    [name if name == "append" else slow(name) for name in COMMANDS],
)
def test_a_command_on_a_disk_with_too_little_room_says_so_and_harms_nothing(
    made: Shell, tmp_path: Path, command: str, what: str
) -> None:
    total = Tally(NAME)
    step = 1 if command in {"append", "seal"} else 3
    for tally in fill_each(made, tmp_path, command, what, step=step):
        total.add(tally)
    total.assert_sound()


@mounting
@pytest.mark.parametrize("what", SOME)
def test_a_sealer_whose_memory_has_too_little_room_signs_nothing_it_could_forget(
    made: Shell, tmp_path: Path, what: str
) -> None:
    total = Tally(NAME)
    for tally in fill_each(made, tmp_path, "seal", what, memory=True):
        total.add(tally)
    total.assert_sound()


@pytest.mark.parametrize(
    "command",
    [name if name in {"append", "batch", "import", "seal"} else slow(name) for name in COMMANDS],
)
def test_a_command_that_may_not_make_a_file_large_enough_says_so_and_harms_nothing(
    made: Shell, tmp_path: Path, command: str
) -> None:
    limit(made, tmp_path / "work", command, 300).assert_sound()


@pytest.mark.parametrize(("command", "size"), [("import", 300), ("pack", 300), ("seal", 0)])
def test_a_work_of_many_steps_says_that_those_before_the_failure_stay_done(
    made: Shell, tmp_path: Path, command: str, size: int
) -> None:
    done = limited(made.copied_to(tmp_path / "work"), COMMANDS[command].line, size)
    assert done.code in {13, 15}
    assert "what was done before stays; the same command again does the rest" in done.err


@pytest.mark.faults
def test_every_disk_with_too_little_room() -> None:
    (tally,) = every_disk()
    tally.assert_sound(at_least=60)
