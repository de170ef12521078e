"""The store in a folder where others have put links, pipes and folders in the way."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from ledger.errors import IntegrityError
from ledger.stores import FolderStore
from ledger.stores import folder as folder_module

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "TN1/head.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def store(root: Path) -> FolderStore:
    return FolderStore(root)


def assert_unusable(store: FolderStore, key: str) -> None:
    """Reading and writing are refused with the key, and at once."""
    for use in (
        lambda: store.get(key),
        lambda: store.create(key, b"written through"),
        lambda: store.replace(key, b"written through", "version"),
    ):
        with pytest.raises(IntegrityError, match=key) as caught:
            use()
        assert caught.value.object_key == key


def test_a_link_for_a_title_is_not_followed(store, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "head.json").write_bytes(b"secret")
    (root / "TN1").symlink_to(outside)
    assert_unusable(store, HEAD)
    assert_unusable(store, "TN1/new.json")
    assert [path.name for path in outside.iterdir()] == ["head.json"]
    assert (outside / "head.json").read_bytes() == b"secret"
    assert list(store.list()) == ["TN1"]  # something is there, and reading it says what is wrong
    assert list(store.list(delimiter="/")) == ["TN1"]


def test_a_link_inside_a_deep_key_is_not_followed(store, root, tmp_path):
    (tmp_path / "outside").mkdir()
    (root / "_log").mkdir()
    (root / "_log" / "tile").symlink_to(tmp_path / "outside")
    assert_unusable(store, "_log/tile/0/000")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("target", ["../outside", "nowhere", "head.json"])
def test_a_link_for_an_object_is_not_followed(store, root, tmp_path, target):
    (tmp_path / "root" / "outside").write_bytes(b"secret")
    (root / "TN1").mkdir()
    (root / HEAD).symlink_to(target)
    assert_unusable(store, HEAD)
    assert (root / "outside").read_bytes() == b"secret"
    assert not (root / "TN1" / "nowhere").exists()


def test_nothing_is_deleted_through_a_link(store, root, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"")
    (root / "_probe").symlink_to(tmp_path / "outside")
    with pytest.raises(IntegrityError):
        store.delete("_probe/x")
    assert (tmp_path / "outside" / "x").exists()


def test_a_fifo_a_socket_or_a_folder_for_an_object_is_reported(store, root):
    (root / "TN1").mkdir()
    os.mkfifo(root / "TN1" / "fifo")
    (root / "TN1" / "folder").mkdir()
    assert_unusable(store, "TN1/fifo")
    assert_unusable(store, "TN1/folder")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "TN1" / "socket"))  # its name must be short
        assert_unusable(store, "TN1/socket")


def test_a_file_for_a_title_is_reported(store, root):
    (root / "TN1").write_bytes(b"")
    assert_unusable(store, HEAD)


def test_an_object_too_large_to_be_ours_is_not_read(store, root):
    (root / "TN1").mkdir()
    with (root / HEAD).open("wb") as file:
        file.truncate(folder_module.LIMIT + 1)
    assert_unusable(store, HEAD)
