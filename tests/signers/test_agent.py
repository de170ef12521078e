"""A real ssh-agent, and sockets that only seem to be one."""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import open_signer
from ledger.errors import KeyUnavailable, LedgerError
from ledger.format.signing import sign_with
from ledger.signers.agent import MAX_MESSAGE
from ledger.testing import signer
from tests.signers.devices import openssh_key, run

KEY = signer()


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


BLOB = string(b"ssh-ed25519") + string(KEY.public_key.raw)
IDENTITIES = b"\x0c" + struct.pack(">I", 1) + string(BLOB) + string(b"comment")


def fingerprint(blob: bytes = BLOB) -> str:
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"ssh-agent:SHA256:{digest.rstrip('=')}"


def response(signature: bytes, algorithm: bytes = b"ssh-ed25519") -> bytes:
    return b"\x0e" + string(string(algorithm) + string(signature))


class Odd:
    """A socket that gives these answers, one to a connection; without one it says nothing."""

    def __init__(self, *answers: bytes) -> None:
        self.path = Path(f"/tmp/ledger-odd-{os.getpid()}-{time.monotonic_ns()}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._answers = list(answers)
        self.asked: list[bytes] = []
        self._open: list[socket.socket] = []
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError, struct.error):  # closed, or the other side has hung up
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                length = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))[0]
                self.asked.append(connection.recv(length, socket.MSG_WAITALL))
                if self._answers:
                    connection.sendall(self._answers.pop(0))
                    connection.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()


def opened(odd: Odd, timeout: float = 30.0):
    return open_signer(fingerprint(), ssh_agent=odd.path, timeout=timeout)


def test_the_request_is_that_of_the_protocol():
    good = response(KEY.sign(b"data"))
    with Odd(string(IDENTITIES), string(good)) as odd:
        assert sign_with(opened(odd), b"data") == KEY.sign(b"data")
        assert odd.asked == [b"\x0b", b"\x0d" + string(BLOB) + string(b"data") + bytes(4)]


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(63), bytes(64), KEY.sign(b"data") + b"\0", KEY.sign(b"x"), b"\x01" + bytes(63)],
)
def test_a_wrong_signature_is_refused(signature):
    with Odd(string(IDENTITIES), string(response(signature))) as odd:
        found = opened(odd)
        with pytest.raises(KeyUnavailable, match="does not verify"):
            sign_with(found, b"data")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (string(b"\x05"), "does not sign with SHA256:"),
        (string(b""), "does not sign with SHA256:"),
        (string(b"\x0e"), "does not speak the protocol"),
        (string(b"\x0e\xff\xff\xff\xff"), "does not speak the protocol"),
        (struct.pack(">I", MAX_MESSAGE + 1), "does not speak the protocol"),
        (string(b"\x0e1234")[:-1], "has hung up"),
        (b"", "has hung up"),
    ],
)
def test_another_answer_is_refused(answer, words):
    with Odd(string(IDENTITIES), answer) as odd:
        found = opened(odd)
        with pytest.raises(KeyUnavailable, match=words):
            sign_with(found, b"data")


@given(st.binary(max_size=200))
def test_no_answer_is_an_internal_error(answer):
    with Odd(answer) as odd, pytest.raises(LedgerError):
        opened(odd, timeout=5)


def test_an_agent_that_hangs_is_given_up():
    with Odd(string(IDENTITIES)) as odd:
        found = opened(odd)
        found._timeout = 0.2
        with pytest.raises(KeyUnavailable, match=r"not answered within 0\.2 seconds"):
            found.sign(b"data")


def test_without_an_agent_it_says_how_to_start_one(tmp_path):
    for place, words in ((None, "SSH_AUTH_SOCK"), (tmp_path / "none", "cannot reach")):
        with pytest.raises(KeyUnavailable, match=words) as caught:
            open_signer(fingerprint(), ssh_agent=place)
        assert "ssh-add" in caught.value.hint


def test_a_key_that_the_agent_has_not_is_named(agent):
    with pytest.raises(KeyUnavailable, match="does not have the key SHA256:"):
        open_signer(fingerprint(), **agent.options)


def test_another_kind_of_key_is_refused(agent, tmp_path):
    key = openssh_key(tmp_path / "ecdsa", kind="ecdsa")
    environment = os.environ | agent.environment
    run("ssh-add", "-q", key, env=environment)
    name = run("ssh-keygen", "-lf", key).split()[1].decode()
    with pytest.raises(KeyUnavailable, match="not an Ed25519 key but ecdsa"):
        open_signer(f"ssh-agent:{name}", **agent.options)
    run("ssh-add", "-q", "-d", key, env=environment)


def test_a_key_of_small_order_is_refused():
    blob = string(b"ssh-ed25519") + string(b"\x01" + bytes(31))
    listed = b"\x0c" + struct.pack(">I", 1) + string(blob) + string(b"")
    with Odd(string(listed)) as odd, pytest.raises(KeyUnavailable, match="main subgroup"):
        open_signer(fingerprint(blob), ssh_agent=odd.path)


def test_the_limit_is_what_a_real_agent_takes(agent):
    found = open_signer(agent.uris["registrar"], **agent.options)
    assert found.limit is not None
    sign_with(found, bytes(found.limit))
    with pytest.raises(KeyUnavailable, match="at most"):
        sign_with(found, bytes(found.limit + 1))


def test_a_key_that_was_removed_says_so(agent, tmp_path):
    key = openssh_key(tmp_path / "id")
    environment = os.environ | agent.environment
    run("ssh-add", "-q", key, env=environment)
    name = run("ssh-keygen", "-lf", key).split()[1].decode()
    found = open_signer(f"ssh-agent:{name}", **agent.options)
    sign_with(found, b"data")
    run("ssh-add", "-q", "-d", key, env=environment)
    with pytest.raises(KeyUnavailable, match="does not sign with") as caught:
        sign_with(found, b"data")
    assert "ssh-add -l" in caught.value.hint
