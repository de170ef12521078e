"""Of many writers who want to be the next version one is, every time."""

from __future__ import annotations

from contextlib import suppress
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

import pytest

from ledger.errors import PreconditionFailed
from ledger.format.layout import head_key
from ledger.stores import FolderStore, MemoryStore
from tests.faults.races import many_races, race
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores import Blob

HEAD = head_key("A")


def test_of_sixteen_writers_one_wins_each_round_in_memory() -> None:
    race(MemoryStore(), 20).assert_sound(at_least=20)


def test_of_sixteen_writers_one_wins_each_round_in_a_folder(tmp_path: Path) -> None:
    race(FolderStore(tmp_path), 10).assert_sound(at_least=10)


class Careless(Wrapper):
    """Shows writers the head as it was before the race, and lets each of them replace it."""

    seen: Blob | None = None

    def get(self, key: str) -> Blob | None:
        if key != HEAD or current_thread() is not main_thread():
            return self.seen if key == HEAD else self.inner.get(key)
        self.seen = self.inner.get(key)
        return self.seen

    def create(self, key: str, data: bytes) -> str:
        try:
            return self.inner.create(key, data)
        except PreconditionFailed:
            return self.replace(key, data, "any")

    def replace(self, key: str, data: bytes, expected: str) -> str:
        while True:
            there = self.inner.get(key)
            assert there
            with suppress(PreconditionFailed):
                return self.inner.replace(key, data, there.version)


def test_a_store_that_ignores_conditions_is_found_out() -> None:
    assert race(Careless(MemoryStore()), 2, writers=4).doubled == 2


@pytest.mark.parametrize(
    "rounds",
    [pytest.param(150, marks=pytest.mark.slow), pytest.param(500, marks=pytest.mark.faults)],
)
def test_hundreds_of_races_have_one_winner_each(rounds: int) -> None:
    (tally,) = many_races(rounds)
    tally.assert_sound(at_least=rounds * 7 // 5)
