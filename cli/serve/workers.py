"""Serve with several processes, which one that does nothing else starts, replaces and stops."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from threading import Thread

import typer

HEEDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1}
PAUSE = 1.0
"""How many seconds pass before another process takes the place of one that has ended."""

logger: logging.Logger = logging.getLogger("ledger.service")


class Crew:
    """The processes of a service. They share a socket, and a folder for what they have counted.

    They are forked before anything is opened, so that none shares a connection or a lock.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._folder = Path(tempfile.mkdtemp(prefix="ledger-serve-"))
        self._numbers: dict[int, int] = {}
        """Of each process that runs, by its id."""
        self._to_start = [1]
        """The others follow when the first is ready: what keeps one from starting keeps all."""
        self._is_ready = False
        self._is_stopping = False
        self._exit_code = 0
        self._parent = os.getpid()
        self._pipe = os.pipe()

    def start(self) -> tuple[int, Path]:
        """Return the number of a process and the folder, in each of them.

        The process that called this keeps them running, and raises typer.Exit at their end.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
        try:
            while True:
                while self._to_start:
                    number = self._to_start.pop(0)
                    pid = os.fork()
                    if pid == 0:
                        self._begin(before)
                        return number, self._folder
                    self._numbers[pid] = number
                if not self._numbers:
                    raise typer.Exit(self._exit_code)
                self._heed(signal.sigwait(HEEDED))
        finally:
            if os.getpid() == self._parent:
                shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def was_ready(self) -> bool:
        """Whether the service answered before this process began: it takes another's place."""
        return self._is_ready

    def tell_ready(self) -> None:
        """Say, in one of the processes, that it answers."""
        os.kill(self._parent, signal.SIGUSR1)

    def _begin(self, mask: set[int | signal.Signals]) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder)
        os.close(self._pipe[1])
        Thread(target=self._end_with_parent, daemon=True).start()

    def _end_with_parent(self) -> None:
        os.read(self._pipe[0], 1)  # nobody writes: this returns when the parent is gone
        os.kill(os.getpid(), signal.SIGTERM)

    def _heed(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._look_after()
        elif number == signal.SIGUSR1:
            if not (self._is_ready or self._is_stopping):
                self._to_start += range(2, self._count + 1)
            self._is_ready = True
        elif number == signal.SIGHUP:
            self._pass_on(signal.SIGHUP)
        else:
            self._is_stopping = True
            self._pass_on(signal.SIGTERM)

    def _look_after(self) -> None:
        """Learn which processes have ended, and replace them."""
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            number = self._numbers.pop(pid, 0)
            if self._is_stopping or not self._is_ready:
                if self._is_stopping and code == -signal.SIGTERM:
                    code = 0  # it had not begun
                self._exit_code = self._exit_code or (code if code >= 0 else 128 - code)
            elif number:
                logger.error("worker %d has ended (%d): another takes its place", number, code)
                time.sleep(PAUSE)
                self._to_start.append(number)

    def _pass_on(self, number: signal.Signals) -> None:
        for pid in self._numbers:  # none of them was waited for, so each is still ours
            os.kill(pid, number)
