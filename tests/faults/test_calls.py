"""Whatever system call of a command fails, or is its last: nothing is lost, doubled or torn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.calls import CALLS, KILL, LISTING, OPEN, every_call, fail_each, fail_one, missing
from tests.faults.commands import make_shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

SOME = [
    ("append", "write", "error=ENOSPC", 2),  # the new head
    ("append", "fsync", "error=EIO", 6),  # the head's name
    ("append", "rename,renameat,renameat2", KILL, 1),
    ("append", OPEN, "error=EIO", 4),  # the head that is read
    ("append", "fsync", "error=EIO", 1),
    ("append", "rename,renameat,renameat2", "error=EIO", 1),
    ("append", "unlink,unlinkat", "error=EIO", 1),
    ("append of a first version", "mkdir,mkdirat", "error=EROFS", 1),
    ("batch", "link,linkat", "error=EIO", 1),
    ("batch", "fsync", KILL, 2),
    ("import", "fsync", KILL, 5),
    ("seal", "rename,renameat,renameat2", KILL, 2),
]
"""Of each command, what could do the most harm; ``-m faults`` tries every call."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return make_shell(tmp_path_factory.mktemp("calls") / "made")


@pytest.mark.parametrize(
    ("command", "call", "failure", "number"),
    [*SOME[:3], *(pytest.param(*each, marks=pytest.mark.slow) for each in SOME[3:])],
    ids=lambda value: str(value).replace(",", "-"),
)
def test_a_command_whose_system_call_fails_leaves_the_old_or_the_new(
    made: Shell, tmp_path: Path, command: str, call: str, failure: str, number: int
) -> None:
    fail_one(made, tmp_path / "work", command, call, failure, number).assert_sound()


READING = (OPEN, LISTING, "flock")
"""Killed at one of these, a command leaves what it leaves if it is killed at the next change."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", [call for call in CALLS if call not in READING], ids=lambda call: call.replace(",", "-")
)
def test_an_append_is_killed_at_every_call(made: Shell, tmp_path: Path, call: str) -> None:
    fail_each(made, tmp_path, "append", call, KILL).assert_sound(at_least=0)


@pytest.mark.faults
def test_every_system_call_of_every_command_fails() -> None:
    (tally,) = every_call()
    tally.assert_sound(at_least=500)
