"""A key in an ssh-agent, named by its fingerprint: ``ssh-agent:SHA256:…``.

The protocol is draft-ietf-sshm-ssh-agent; the forms of keys and signatures are those of RFC 8709.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import time

from ledger.errors import InvalidError, KeyUnavailable, MalformedError
from ledger.format.keys import PublicKey

FINGERPRINT = re.compile("SHA256:[A-Za-z0-9+/]{43}")
ALGORITHM = b"ssh-ed25519"

REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14

MAX_MESSAGE = 256 << 10
"""The longest message that OpenSSH's agent takes."""


class AgentSigner:
    """Signs through an agent; each signature has a connection of its own."""

    limit: int | None = MAX_MESSAGE - 128
    """The rest is for the key and the lengths."""

    def __init__(
        self, fingerprint: str, *, place: str | os.PathLike[str] | None, timeout: float
    ) -> None:
        """Find the key; raises KeyUnavailable, or InvalidError for what is not a fingerprint."""
        if not FINGERPRINT.fullmatch(fingerprint):
            raise InvalidError(
                f"not a fingerprint of a key in an ssh-agent: {fingerprint!a:.80}",
                hint="'ssh-add -l' shows them: ssh-agent:SHA256:…",
            )
        if place is None:
            raise KeyUnavailable(
                "no ssh-agent: SSH_AUTH_SOCK does not name its socket",
                hint='eval "$(ssh-agent)"; ssh-add KEY',
            )
        self._fingerprint = fingerprint
        self._socket = os.fspath(place)
        self._timeout = timeout
        self._blob = self._find()
        algorithm, rest = _take(self._blob)
        if algorithm != ALGORITHM:
            raise KeyUnavailable(
                f"{fingerprint} is not an Ed25519 key but {algorithm.decode(errors='replace'):.40}",
                hint="'ssh-keygen -t ed25519' makes one",
            )
        try:
            self.public_key: PublicKey = PublicKey(_take(rest)[0])
        except MalformedError as error:
            raise KeyUnavailable(f"{fingerprint}: {error}") from error

    def sign(self, data: bytes) -> bytes:
        """The agent's signature; raises KeyUnavailable if it refuses, or does not answer."""
        request = bytes([SIGN_REQUEST]) + _string(self._blob) + _string(data) + bytes(4)
        answer = self._ask(request)
        if answer[:1] != bytes([SIGN_RESPONSE]):
            raise KeyUnavailable(
                f"the ssh-agent does not sign with {self._fingerprint}",
                hint="see whether it is locked ('ssh-add -X' unlocks it), still has the key"
                " ('ssh-add -l'), or asked you to confirm",
            )
        _, rest = _take(_take(answer[1:])[0])
        return _take(rest)[0]

    def _find(self) -> bytes:
        """Return the public key with the fingerprint, as the agent spells it."""
        answer = self._ask(bytes([REQUEST_IDENTITIES]))
        if answer[:1] != bytes([IDENTITIES_ANSWER]):
            raise KeyUnavailable("the ssh-agent does not list its keys")
        rest = answer[5:]
        for _ in range(int.from_bytes(answer[1:5], "big")):
            blob, rest = _take(rest)
            _, rest = _take(rest)
            digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            if f"SHA256:{digest}" == self._fingerprint:
                return blob
        raise KeyUnavailable(
            f"the ssh-agent does not have the key {self._fingerprint}",
            hint="'ssh-add -l' shows what it has; 'ssh-add KEY' adds a key",
        )

    def _ask(self, request: bytes) -> bytes:
        end = time.monotonic() + self._timeout
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self._timeout)
                connection.connect(self._socket)
                connection.sendall(_string(request))
                length = int.from_bytes(_receive(connection, 4, end), "big")
                if length > MAX_MESSAGE:
                    raise _gibberish()
                return _receive(connection, length, end)
        except TimeoutError:
            raise KeyUnavailable(
                f"the ssh-agent has not answered within {self._timeout:g} seconds"
            ) from None
        except OSError as error:
            raise KeyUnavailable(
                f"cannot reach the ssh-agent at {self._socket}: {error.strerror or error}",
                hint='eval "$(ssh-agent)"; ssh-add KEY',
            ) from error

    def __repr__(self) -> str:
        return f"AgentSigner({self._fingerprint}, {self.public_key.key_id[:16]}…)"


def _receive(connection: socket.socket, size: int, end: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(size - len(data))
        if not part:
            raise KeyUnavailable("the ssh-agent has hung up")
        data += part
    return bytes(data)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    """Split what begins with a string of SSH (RFC 4251, section 5)."""
    end = 4 + int.from_bytes(data[:4], "big")
    if len(data) < max(end, 4):
        raise _gibberish()
    return data[4:end], data[end:]


def _gibberish() -> KeyUnavailable:
    return KeyUnavailable("the ssh-agent does not speak the protocol of ssh-agents")
