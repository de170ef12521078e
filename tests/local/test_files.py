"""Files appear whole or not at all, and planted links lead nowhere."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from ledger.errors import InvalidError, StoreUnavailable
from ledger.local.files import BUFFER, NewFile, lock_file, write_file

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_appears_whole_when_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    big = os.urandom(BUFFER)
    with NewFile(path) as file:
        assert file.write(b"begin") == 5
        file.write(big)
        file.writelines([b"e", b"nd"])
        assert not path.exists()
        file.commit()
    assert path.read_bytes() == b"begin" + big + b"end"
    assert names(tmp_path) == {"file"}


@pytest.mark.parametrize("replace", [False, True])
def test_without_a_commit_nothing_is_left(tmp_path: Path, replace: bool) -> None:
    with NewFile(tmp_path / "file", replace=replace) as file:
        file.write(b"half")
    assert not names(tmp_path)


def test_a_file_that_is_there_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(InvalidError, match="file exists already"):
        write_file(path, b"new")
    assert path.read_bytes() == b"mine"
    write_file(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {"file"}


def test_a_file_that_came_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with NewFile(path) as file:
        file.write(b"new")
        path.write_bytes(b"theirs")
        with pytest.raises(InvalidError, match="file exists already"):
            file.commit()
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == {"file"}


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_never_followed(tmp_path: Path, dangling: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if not dangling:
        target.write_bytes(b"mine")
    link.symlink_to(target)
    with pytest.raises(InvalidError, match="link is a symbolic link"):
        write_file(link, b"new")
    write_file(link, b"new", replace=True)
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert target.exists() != dangling
    assert dangling or target.read_bytes() == b"mine"


def test_the_mode_is_the_one_asked_for_less_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_file(tmp_path / "shared", b"")
        write_file(tmp_path / "private", b"", mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ["write", "fsync", "link", "rename"])
def test_a_disk_that_fails_leaves_the_old_file_and_says_which_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "file"
    if replace := call == "rename":
        path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(StoreUnavailable, match=f"cannot write {path}: No space left on device"):
        write_file(path, b"new", replace=replace)
    assert names(tmp_path) == ({"file"} if replace else set())
    assert not replace or path.read_bytes() == b"old"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot write .*/none/file: No such file"):
        write_file(tmp_path / "none" / "file", b"")


def test_a_lock_holds_until_it_is_closed(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock"), pytest.raises(BlockingIOError):
        lock_file(tmp_path / "lock", wait=False)
    lock_file(tmp_path / "lock", wait=False).close()
