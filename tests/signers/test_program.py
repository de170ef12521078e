"""Programs that sign, and programs that do something else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ledger import Ledger, open_signer
from ledger.errors import KeyUnavailable
from ledger.format.signing import sign_with
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from tests.signers.devices import program

KEY = signer()
SHOW = f"cat <<'END'\n{KEY.public_key.pem().decode()}END\n"


@pytest.fixture
def signing(tmp_path):
    """Makes a signer whose program does this to sign."""

    def make(script, timeout=30.0, show=SHOW):
        text = f'#!/bin/sh\ncase "$1" in\npublic-key) {show}\n;;\nsign) {script}\n;;\nesac\n'
        return open_signer(program(tmp_path / "sign", text), timeout=timeout)

    return make


def octal(data: bytes) -> str:
    return "printf '" + "".join(f"\\{byte:03o}" for byte in data) + "'"


BAD = {
    "nothing": "cat >/dev/null",
    "short": octal(bytes(63)),
    "long": octal(KEY.sign(b"data")) + "; echo",
    "wrong": octal(KEY.sign(b"other data")),
    "small order": octal(b"\x01" + bytes(63)),
    "base64": "base64",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_wrong_signature_is_refused_and_nothing_is_written(signing, bad):
    bad_signer = signing(BAD[bad])
    with pytest.raises(KeyUnavailable, match="does not verify"):
        sign_with(bad_signer, b"data")
    store = MemoryStore()
    ledger = Ledger.create(store, origin=ORIGIN, signer=bad_signer)
    before = list(store.list())
    with pytest.raises(KeyUnavailable, match="does not verify"):
        ledger.append("TN1", {})
    assert list(store.list()) == before


def test_what_was_written_last_to_stderr_says_why_it_failed(signing):
    failing = signing("echo first >&2; echo 'no card in the reader' >&2; exit 7")
    with pytest.raises(KeyUnavailable, match=r"sign failed \(7\): no card in the reader$"):
        failing.sign(b"data")


def test_a_program_that_fails_is_refused_though_it_signed(signing):
    with pytest.raises(KeyUnavailable, match=r"failed \(1\)"):
        signing(f"{octal(KEY.sign(b'data'))}; exit 1").sign(b"data")


def test_one_that_hangs_is_ended_with_all_that_it_started(signing, tmp_path):
    hanging = signing(f"sleep 60 & echo $! >{tmp_path}/pid; sleep 60")
    hanging._timeout = 3  # by then it has started the other
    start = time.monotonic()
    with pytest.raises(KeyUnavailable, match="has not ended after 3 seconds"):
        hanging.sign(b"data")
    assert time.monotonic() - start < 30
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("it still runs")


def test_the_data_may_be_larger_than_a_pipe_and_need_not_be_read(signing):
    with pytest.raises(KeyUnavailable, match="does not verify"):
        sign_with(signing("exit 0"), bytes(1 << 20))


def test_no_shell_reads_the_path(tmp_path):
    with pytest.raises(KeyUnavailable, match="cannot run"):
        open_signer(f"exec:/bin/true; touch {tmp_path}/made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("show", "words"),
    [
        ("echo hello", "not a public key in PEM form"),
        (":", "not a public key in PEM form"),
        ("exit 3", r"public-key failed \(3\)"),
        (f"cat <<'END'\n{KEY.pem().decode()}END\n", "not a public key in PEM form"),
    ],
)
def test_one_that_shows_no_key_is_refused(signing, show, words):
    with pytest.raises(KeyUnavailable, match=words):
        signing("exit 1", show=show)


def test_one_that_is_not_there_or_may_not_run_is_named(tmp_path):
    (tmp_path / "text").write_text("hello")
    for name in ("missing", "text"):
        with pytest.raises(KeyUnavailable, match=f"cannot run {tmp_path}/{name}"):
            open_signer(f"exec:{tmp_path}/{name}")
