"""The run of changed modules finds out what a test misses, and what it does not."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest

from tools.mutation import trial
from tools.mutation.harmless import HARMLESS
from tools.mutation.targets import TARGETS
from tools.mutation.trial import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.slow

OBJECTS = (ROOT / "ledger" / "tlog" / "objects.py").read_text()
LIMIT = 300
"""Seconds for tests that take four: an unchanged module may not fail for a busy machine."""

VERSION = 'raise MalformedError(f"not a version: {version!a:.40}")'


def survives(module: str, source: str, tests: Sequence[str], seconds: float) -> bool:
    """In a process of its own, which has no other tests behind it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(trial.survives, (module, source, tests, seconds))


def test_a_module_is_as_it_was_before_it_is_changed() -> None:
    assert survives("tlog/objects", OBJECTS, TARGETS["tlog/objects"], LIMIT)


def test_a_check_that_is_left_out_is_noticed() -> None:
    from tools.mutation.mutants import mutants, mutated

    (mutant,) = (
        each
        for each in mutants("tlog/objects", OBJECTS)
        if each.text == VERSION and each.change == "drop a statement"
    )
    assert mutant.loosens
    changed = mutated(mutant, OBJECTS)
    assert VERSION in OBJECTS
    assert "not a version: " not in changed
    assert not survives("tlog/objects", changed, TARGETS["tlog/objects"], LIMIT)


def test_a_change_that_no_test_looks_at_is_not_noticed() -> None:
    changed = OBJECTS.replace("not a version: ", "no version: ")
    assert survives("tlog/objects", changed, ["format/test_times.py"], LIMIT)


def test_a_check_is_loosened_in_every_way() -> None:
    from tools.mutation.mutants import mutants, mutated

    source = "def f(a):\n    if a < 1 or not a:\n        raise ValueError\n    return check(a)\n"
    changes = {(each.change, mutated(each, source).strip()) for each in mutants("m", source)}
    kinds = {change for change, _ in changes}
    assert {"drop a statement", "drop an operand", "drop a check", "ReplaceOrWithAnd"} <= kinds
    assert any("a <= 1 or not a" in text for _, text in changes)
    assert any("    pass" in text for _, text in changes)


@pytest.mark.parametrize("module", TARGETS)
def test_what_is_changed_and_what_has_to_notice_is_there(module: str) -> None:
    assert (ROOT / "ledger" / f"{module}.py").is_file()
    assert all((ROOT / "tests" / test).is_file() for test in TARGETS[module])


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_is_called_harmless_is_a_change_to_a_line_that_is_there(name: str) -> None:
    from tools.mutation.mutants import CHECKS

    module, change, text = name.split(": ", 2)
    source = (ROOT / "ledger" / f"{module}.py").read_text()
    assert text in {line.strip() for line in source.splitlines()}
    assert module in TARGETS
    assert change.rpartition(" ")[0].startswith(CHECKS)
