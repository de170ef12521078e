"""A power cut at any moment: what was acknowledged was forced to the disk before."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from ledger.local import files
from ledger.stores import FolderStore, folder
from tests.faults.power import WORKS, cut_each, cut_each_pair, every_cut
from tests.faults.works import (
    Append,
    AppendMany,
    AppendSealed,
    AppendTogether,
    Begin,
    Export,
    First,
    Import,
    Key,
    Pack,
    Rebuild,
    Recover,
    Seal,
    Second,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="which folder a descriptor is of, only Linux tells"
)

SOME = {Append: 3, Recover: 3, Import: 29, AppendMany: 15, AppendTogether: 17, Seal: 47}
SOME |= {Begin: 53, AppendSealed: 67, Pack: 2, Rebuild: 2}
"""Of the longer ones, every so-many-th call; ``-m faults`` tries each."""
closely = pytest.mark.parametrize("closely", [1, pytest.param(3, marks=pytest.mark.slow)])


@closely
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_power_cut_leaves_the_old_or_the_new_and_all_that_was_acknowledged(work, closely):
    stride = -(-SOME.get(work, 1) // closely)
    cut_each(work, stride=stride).assert_sound(at_least=5)


@closely
@pytest.mark.parametrize(
    "work",
    [First, Append, Pack, pytest.param(AppendTogether, marks=pytest.mark.slow)],
    ids=lambda work: work.__name__,
)
def test_what_is_acknowledged_to_whoever_repeats_it_after_a_kill_survives_a_power_cut(
    work, closely
):
    """What the killed one had made was read, but may not have been forced to the disk."""
    cut_each(work, killed=True, stride=4 if closely == 1 else 1).assert_sound(at_least=5)


@pytest.mark.slow
def test_it_survives_after_two_kills_too():
    """The second is of a process that has appended before: it looks after no folder twice."""
    cut_each_pair(Second, stride=3).assert_sound(at_least=100)


@pytest.mark.slow
def test_what_is_sealed_after_a_kill_survives_a_power_cut():
    """A head, or a checkpoint, that a killed process left may not have been on the disk."""
    cut_each(AppendSealed, behind=True, stride=8).assert_sound(at_least=10)


# --- what finds nothing could be blind -----------------------------------------------------------


class NeverSettled(FolderStore):
    """Forgets to force names to the disk."""

    def _settle(self, folders):
        return {}


class NothingAbove(FolderStore):
    """Forgets to force the names of folders to the disk that others made."""

    def _to_settle(self, folder, name, begun):
        return iter(())


class NeverDurable(FolderStore):
    """Forgets to force to the disk what others wrote."""

    def make_durable(self, *keys):
        return


def folders_only(descriptor: int) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)


def files_only(descriptor: int) -> None:
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)


def never(_: object) -> None:
    return


def test_names_that_are_not_forced_to_the_disk_are_found_missing():
    assert cut_each(Append, NeverSettled, stride=11).lost


@pytest.mark.slow
def test_names_of_folders_that_others_made_are_found_missing():
    found = cut_each_pair(Second, NothingAbove, stride=3)
    assert found.lost or found.torn


def test_bytes_that_are_not_forced_to_the_disk_are_found_missing(monkeypatch):
    monkeypatch.setattr(folder, "sync", folders_only)
    assert cut_each(Append, stride=6).torn


@pytest.mark.parametrize(
    ("forgotten", "replaced"), [("sync_folder", never), ("_sync_name", os.stat)]
)
def test_a_ledgers_own_folder_that_is_not_forced_to_the_disk_is_found_missing(
    monkeypatch, forgotten, replaced
):
    monkeypatch.setattr(files, forgotten, replaced)
    assert cut_each(First, killed=True).lost


@pytest.mark.slow
def test_a_log_ahead_of_heads_that_are_not_on_the_disk_is_found_out():
    assert cut_each(AppendSealed, NeverDurable, behind=True, stride=2).torn


@pytest.mark.slow
@pytest.mark.parametrize("forced", [folders_only, files_only])
def test_a_sealer_that_forgets_what_it_signed_is_found_out(monkeypatch, forced):
    monkeypatch.setattr(files, "sync", forced)
    assert cut_each(AppendSealed, stride=18).torn


@pytest.mark.parametrize("work", [Export, Key], ids=lambda work: work.__name__)
def test_a_backup_or_a_key_whose_name_is_not_forced_to_the_disk_is_found_missing(work, monkeypatch):
    monkeypatch.setattr(files, "sync", files_only)
    assert cut_each(work).lost


@pytest.mark.faults
def test_the_power_is_cut_after_every_call_of_everything():
    (tally,) = every_cut()
    tally.assert_sound(at_least=4_000)
