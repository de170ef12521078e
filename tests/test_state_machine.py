"""The ledger is what a model of it says, whatever happens: in memory, in a folder and in S3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.machines import FolderMachine, MemoryMachine, S3Machine, many_steps, run


def test_in_memory_the_ledger_is_what_the_model_says_whatever_happens() -> None:
    run(MemoryMachine, 8)


def test_in_a_folder_the_ledger_is_what_the_model_says_whatever_happens() -> None:
    run(FolderMachine, 3)


@pytest.mark.slow
@pytest.mark.xdist_group("moto")
def test_in_s3_the_ledger_is_what_the_model_says_whatever_happens(
    moto_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Machine, "client", moto_client, raising=False)
    run(S3Machine, 1, 12)


@pytest.mark.slow
@pytest.mark.parametrize(("machine", "examples"), [(MemoryMachine, 60), (FolderMachine, 10)])
def test_through_hundreds_of_steps_the_ledger_is_what_the_model_says(machine, examples) -> None:
    run(machine, examples, 30)


@pytest.mark.faults
def test_through_thousands_of_steps_the_ledger_is_what_the_model_says() -> None:
    (tally,) = many_steps()
    tally.assert_sound(at_least=3_000)
