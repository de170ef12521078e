"""``ledger serve`` as a process that was forked from one that had loaded all of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

# pytest, as each imports what the program that started it does.
_loaded = multiprocessing.get_context("forkserver")
_loaded.set_forkserver_preload(["pytest", "cli.app", "cli.commands.serve", "ledger.service.server"])


class Process:
    """One that runs some code, with these arguments, environment and file for its stderr.

    It is used as a ``subprocess.Popen``.
    """

    def __init__(self, code: str, arguments: list[str], environment: dict[str, str], stderr: Path):
        read, write = _loaded.Pipe(duplex=False)
        given = (code, arguments, environment, stderr, write)
        self._process = _loaded.Process(target=_run, args=given, daemon=True)
        self._process.start()
        write.close()
        self.stdout = os.fdopen(os.dup(read.fileno()), "rb")
        read.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("ledger serve", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    code: str, arguments: list[str], environment: dict[str, str], stderr: Path, stdout: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with stderr.open("ab") as file:
        os.dup2(file.fileno(), 2)
    os.dup2(stdout.fileno(), 1)
    stdout.close()
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", 1, closefd=False) for fd in (1, 2))
    sys.argv = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})
