"""A power cut at any moment: what was acknowledged was forced to the disk before."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from ledger.stores import FolderStore, folder
from tests.faults.power import WORKS, cut_each, every_cut
from tests.faults.works import Append, AppendMany, Import, Pack

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="which folder a descriptor is of, only Linux tells"
)


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_power_cut_leaves_the_old_or_the_new_and_all_that_was_acknowledged(work):
    stride = {Import: 6, AppendMany: 3}.get(work, 1)  # -m slow tries each
    cut_each(work, stride=stride).assert_sound(at_least=10)


@pytest.mark.parametrize("work", [Append, Pack], ids=lambda work: work.__name__)
def test_what_is_acknowledged_to_whoever_repeats_it_after_a_kill_survives_a_power_cut(work):
    """What the killed one had made was read, but may not have been forced to the disk."""
    cut_each(work, killed=True).assert_sound(at_least=10)


class NeverSettled(FolderStore):
    """Forgets to force names to the disk."""

    def _settle(self, key, folder):
        return


def test_names_that_are_not_forced_to_the_disk_are_found_missing():
    assert cut_each(Append, NeverSettled, stride=6).lost


def test_bytes_that_are_not_forced_to_the_disk_are_found_missing(monkeypatch):
    def folders_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)

    monkeypatch.setattr(folder, "_sync", folders_only)
    assert cut_each(Append, stride=6).torn


@pytest.mark.slow
def test_the_power_is_cut_after_every_call_of_everything():
    (tally,) = every_cut()
    tally.assert_sound(at_least=400)
