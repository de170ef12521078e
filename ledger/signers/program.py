"""A program of your own that signs: ``exec:/path/to/program``.

It is run without a shell, with one argument:

``public-key``
    print the public key, as SubjectPublicKeyInfo PEM;
``sign``
    read from stdin all that is to be signed, and write the 64 bytes of the signature, nothing else.

It ends with 0, or says on stderr what is wrong. It has no terminal.
"""

from __future__ import annotations

import os
import signal
import subprocess

from ledger.errors import InvalidError, KeyUnavailable, MalformedError
from ledger.format.keys import PublicKey


class ProgramSigner:
    """Signs by running a program, anew for each signature."""

    limit: int | None = None

    def __init__(self, path: str, *, timeout: float) -> None:
        """Ask the program for its public key; raises KeyUnavailable, or InvalidError for a path."""
        if not path.startswith("/"):
            raise InvalidError(
                f"exec:{path!a:.80} is not an absolute path",
                hint="write exec:/PATH, without arguments; a script can add them",
            )
        self._path = path
        self._timeout = timeout
        try:
            self.public_key: PublicKey = PublicKey.from_pem(self._run("public-key"))
        except MalformedError as error:
            raise KeyUnavailable(f"{path} public-key: {error}") from error

    def sign(self, data: bytes) -> bytes:
        """The signature that the program writes; raises KeyUnavailable if it fails."""
        return self._run("sign", data)

    def _run(self, verb: str, data: bytes = b"") -> bytes:
        try:
            # In a group of its own, so that what it starts can be ended with it.
            process = subprocess.Popen(  # noqa: S603 -- it is the user who names it
                [self._path, verb],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise KeyUnavailable(f"cannot run {self._path}: {error}") from error
        with process:
            try:
                output, said = process.communicate(data, self._timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise KeyUnavailable(
                    f"{self._path} {verb} has not ended after {self._timeout:g} seconds"
                ) from None
        if process.returncode != 0:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise KeyUnavailable(
                f"{self._path} {verb} failed ({process.returncode})" + (last and f": {last:.200}")
            )
        return output

    def __repr__(self) -> str:
        return f"ProgramSigner({self._path}, {self.public_key.key_id[:16]}…)"
