"""What the processes of one service tell one another: each its own state, in a file for the others.

Whoever asks a service how it is reaches one of its processes, and wants to hear of all of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

import msgspec

from ledger.service.sealer import Sealing  # noqa: TC001 -- msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 1.0
"""How old what the others say may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a process is doing."""

    worker: int = 1
    pid: int = field(default_factory=os.getpid)
    in_use: int = 0
    """Calls that use the store now."""
    problems: dict[str, str] = field(default_factory=dict)
    """What this process has met that somebody has to look at."""
    contradicted: list[str] = field(default_factory=list)
    """The titles that it found not to be as logged."""
    indexing: str = ""
    """How indexing is going; "": another process does it, or none."""
    sealing: Sealing | None = None
    """How sealing is going; None: another process does it, or none."""


class Worker:
    """One of the processes that serve a ledger together.

    ``folder``: one that nobody else can write to; all of them have the same.
    """

    def __init__(self, number: int, folder: Path) -> None:
        self.number: int = number
        self.folder: Path = folder
        self._file = folder / f"{number}.json"
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self, own: Callable[[], State]) -> None:
        """Tell the others from now on what ``own`` returns."""
        self._thread = Thread(target=self._run, args=(own,), name="worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell them no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def others(self) -> list[State]:
        """Return what the others said last."""
        found = []
        for file in sorted(self.folder.glob("*.json")):
            # One that is just being started again may have said nothing yet.
            with suppress(OSError, msgspec.DecodeError):
                if file != self._file:
                    found.append(msgspec.json.decode(file.read_bytes(), type=State))
        return found

    def _run(self, own: Callable[[], State]) -> None:
        said = b""
        while not self._stopping.is_set():
            state = msgspec.json.encode(own())
            if state != said:
                written = self._file.with_suffix(".new")
                written.write_bytes(state)
                written.replace(self._file)
                said = state
            self._stopping.wait(SECONDS)
