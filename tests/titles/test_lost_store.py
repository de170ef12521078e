"""A store that lost the ledger is unavailable: nobody is told that a title does not exist."""

from __future__ import annotations

import shutil
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, Log
from ledger.errors import NotFoundError, StoreUnavailable
from ledger.stores import FolderStore
from ledger.stores.s3.store import S3Store
from ledger.testing import ORIGIN, FixedClock, keyring_for, signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = signer()
LOG_KEY = signer("log")
KEYRING = keyring_for(KEY).trust(ORIGIN, LOG_KEY.public_key, role="log")

READINGS = {
    "head": lambda ledger: ledger.head("TN1"),
    "entry": lambda ledger: ledger.entry("TN1", "v1"),
    "short address": lambda ledger: ledger.entry("TN1", "81be04aa"),
    "address": lambda ledger: ledger.entry("TN1", "81be04aa" * 8),
    "log": lambda ledger: list(ledger.log("TN1")),
    "titles": lambda ledger: list(ledger.titles()),
    "titles with a prefix": lambda ledger: list(ledger.titles(prefix="TN")),
    "verify all": lambda ledger: ledger.verify_all(),
    "fsck": lambda ledger: ledger.fsck(),
    "export": lambda ledger: ledger.export(BytesIO()),
    "checkpoint": lambda ledger: Log(ledger).checkpoint(),
    "append": lambda ledger: ledger.append("TN1", {}),
    "open": lambda ledger: Ledger.open(ledger.store, keyring=KEYRING),
}


def filled(store: FolderStore | S3Store) -> Ledger:
    ledger = Ledger.create(store, origin=ORIGIN, keyring=KEYRING, signer=KEY, clock=FixedClock())
    ledger.append("TN1", {})
    return ledger


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
def test_an_emptied_folder_never_reads_as_a_ledger_without_titles(
    tmp_path: Path, read: Callable[[Ledger], object]
) -> None:
    ledger = filled(FolderStore(tmp_path / "mount"))
    shutil.rmtree(tmp_path / "mount")
    (tmp_path / "mount").mkdir()
    with pytest.raises(StoreUnavailable, match="mount") as caught:
        read(ledger)
    assert "see whether the disk is mounted" in caught.value.hint


@pytest.mark.parametrize("deleted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_emptied_or_deleted_bucket_never_reads_as_a_ledger_without_titles(
    s3_client, s3_bucket, deleted: bool
) -> None:
    """Whichever is the first reading of those who opened it before."""
    with filled(S3Store(s3_bucket, client=s3_client)) as made:
        ledgers = [Ledger.open(made.store, keyring=KEYRING, signer=KEY) for _ in READINGS]
        page = s3_client.list_objects_v2(Bucket=s3_bucket)
        for each in page["Contents"]:
            s3_client.delete_object(Bucket=s3_bucket, Key=each["Key"])
        if deleted:
            s3_client.delete_bucket(Bucket=s3_bucket)
        told = {}
        for (name, read), ledger in zip(READINGS.items(), ledgers, strict=True):
            try:
                told[name] = read(ledger)
            except StoreUnavailable:
                told[name] = "unavailable"
        if deleted:  # the fixture deletes it
            s3_client.create_bucket(Bucket=s3_bucket)
    assert told == dict.fromkeys(READINGS, "unavailable")


@pytest.mark.parametrize("pin", [None, "81be04aa" * 8])
def test_an_emptied_folder_never_makes_a_title_unknown_or_tampered_with(
    tmp_path: Path, pin: str | None
) -> None:
    ledger = filled(FolderStore(tmp_path / "mount"))
    shutil.rmtree(tmp_path / "mount")
    report = ledger.verify("TN1", expect=pin)
    assert report.outcome == "unchecked"
    assert [finding.slug for finding in report.findings] == ["store-unavailable"]


def test_a_mount_that_goes_away_during_a_walk_is_not_called_tampering(tmp_path: Path) -> None:
    ledger = filled(FolderStore(tmp_path / "mount"))
    newest = ledger.append("TN1", {"n": 2})
    history = ledger.log("TN1")
    assert next(history) == newest
    shutil.rmtree(tmp_path / "mount")
    with pytest.raises(StoreUnavailable):
        next(history)


def test_a_lost_identity_under_a_head_that_is_there_is_unchecked(tmp_path: Path) -> None:
    ledger = filled(FolderStore(tmp_path))
    ledger.append("TN1", {"n": 2})
    for path in tmp_path.glob("TN1/[0-9a-f]*.json"):
        path.unlink()
    (tmp_path / "ledger.json").unlink()
    report = ledger.verify("TN1")
    assert report.outcome == "unchecked"
    assert {finding.slug for finding in report.findings} == {"store-unavailable"}


def test_a_title_that_never_was_is_still_not_found(tmp_path: Path) -> None:
    ledger = filled(FolderStore(tmp_path))
    with pytest.raises(NotFoundError, match="no such title: TN2"):
        ledger.head("TN2")
    assert not list(ledger.titles(prefix="X"))
