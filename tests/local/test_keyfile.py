"""Private keys on disk."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

import pytest

from ledger import create_key, create_keys, load_key, load_keys
from ledger.errors import KeyUnavailable, MalformedError
from ledger.testing import signer

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = b"open sesame"


def _mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "key.pem"


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_is_made_for_the_owner_alone_and_read_again(path, passphrase):
    before = os.umask(0)
    try:
        key = create_key(path, passphrase)
    finally:
        os.umask(before)
    assert _mode(path) == 0o600
    assert load_key(path, passphrase).public_key == key.public_key
    assert load_key(str(path), passphrase).public_key == key.public_key


def test_every_key_is_another_one(tmp_path):
    keys = {create_key(tmp_path / f"{number}.pem").public_key.key_id for number in range(5)}
    assert len(keys) == 5


@pytest.mark.parametrize("content", [b"", b"a key, maybe"])
def test_a_file_that_is_there_is_never_overwritten(path, content):
    path.write_bytes(content)
    with pytest.raises(KeyUnavailable, match="there is a key already"):
        create_key(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_is_not_followed_when_a_key_is_made(tmp_path, path, dangling):
    target = tmp_path / "elsewhere"
    if not dangling:
        target.write_bytes(b"mine")
    path.symlink_to(target)
    with pytest.raises(KeyUnavailable, match="there is a key already"):
        create_key(path)
    assert target.exists() == (not dangling)
    assert dangling or target.read_bytes() == b"mine"


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(KeyUnavailable, match=r"no key was made: cannot write .*No such file"):
        create_key(tmp_path / "missing" / "key.pem")


def test_a_key_that_could_not_be_written_whole_leaves_nothing_behind(path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(KeyUnavailable, match="No space left on device"):
            create_key(path)
    assert not path.exists()
    create_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o660, 0o644, 0o777])
def test_a_key_that_others_can_use_is_refused(path, mode):
    create_key(path)
    path.chmod(mode)
    with pytest.raises(KeyUnavailable, match=f"others can read the private key: .*{mode:04o}") as e:
        load_key(path)
    assert f"chmod 600 {path}" in e.value.hint


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_that_only_its_owner_can_use_is_read(path, mode):
    create_key(path)
    path.chmod(mode)
    load_key(path)


def test_the_mode_is_that_of_the_file_a_link_leads_to(tmp_path, path):
    create_key(path)
    (tmp_path / "link").symlink_to(path)
    load_key(tmp_path / "link")
    path.chmod(0o644)
    with pytest.raises(KeyUnavailable, match="others can read"):
        load_key(tmp_path / "link")


def test_a_missing_key_is_named_with_what_to_do(path):
    with pytest.raises(KeyUnavailable, match=f"no private key: {path}") as caught:
        load_key(path)
    assert "'ledger key generate'" in caught.value.hint


def test_a_folder_is_no_key(tmp_path):
    with pytest.raises(KeyUnavailable, match="cannot read the private key"):
        load_key(tmp_path)


def test_the_passphrase_of_a_file_has_to_be_right(path):
    create_key(path, PASSPHRASE)
    with pytest.raises(KeyUnavailable, match=f"{path}: .*passphrase"):
        load_key(path)
    with pytest.raises(KeyUnavailable, match=f"{path}: wrong passphrase"):
        load_key(path, b"other")


@pytest.mark.parametrize("content", [b"", b"hello", signer().public_key.pem()])
def test_a_file_that_holds_no_private_key_is_refused(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(MalformedError, match=f"{path}: not a private key in PEM form"):
        load_key(path)


# --- whose file it is ----------------------------------------------------------------------------


def test_a_fifo_is_never_waited_for(path):
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyUnavailable, match="is not a plain file"):
        load_key(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_never_used(path):
    create_key(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(KeyUnavailable, match="belongs to another user"):
        load_key(path)


def test_a_file_may_hold_two_keys(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "log.pem", b"sesam")
    assert stat.S_IMODE((tmp_path / "log.pem").stat().st_mode) == 0o600
    assert [each.public_key.algorithm for each in made] == ["Ed25519", "ML-DSA-44"]
    found = load_keys(tmp_path / "log.pem", b"sesam")
    assert [each.public_key for each in found] == [each.public_key for each in made]
    assert load_key(tmp_path / "log.pem", b"sesam").public_key == made[0].public_key
    with pytest.raises(KeyUnavailable, match="there is a key already"):
        create_keys(tmp_path / "log.pem")
    with pytest.raises(KeyUnavailable, match=re.escape(str(tmp_path / "log.pem"))):
        load_keys(tmp_path / "log.pem", b"wrong")
    holder = create_keys(tmp_path / "holder.pem", algorithm="ML-DSA-65")
    assert holder[1].public_key.algorithm == "ML-DSA-65"
    create_key(tmp_path / "one.pem")
    assert len(load_keys(tmp_path / "one.pem")) == 1
