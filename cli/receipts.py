"""Receipts as files: written whole, and never over another file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger import LedgerError
from ledger.local.files import NewFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ledger import Entry, Ledger

__all__ = ["NotLoggedError", "waiting"]

PATIENCE = 60.0
"""Seconds."""


class NotLoggedError(LedgerError):
    """The entry is appended, but the log does not have it in time."""

    slug = "not-logged"
    exit_code = 3


@contextmanager
def waiting(
    ledger: Ledger, path: Path | None, timeout: float | None
) -> Iterator[Callable[[Entry], None]]:
    """What waits until an entry is in the log, and writes its receipt to a new file.

    That there is a log, and that the file can be written, is seen at once: before anything is
    appended. Without a path, nothing is waited for.
    """
    if path is None:
        yield lambda _: None
        return
    from ledger import Log  # noqa: PLC0415 -- seldom asked for

    log = Log(ledger)
    log.checkpoint()
    seconds = PATIENCE if timeout is None else timeout
    with NewFile(path) as file:

        def wait(entry: Entry) -> None:
            sys.stdout.flush()  # that it is appended should be known, however long this takes
            receipt = log.wait(entry, seconds)
            if receipt is None:
                raise NotLoggedError(
                    f"{entry.title_number} version {entry.version} is appended, and durable,"
                    f" but it was not in the log after {seconds:g} s",
                    hint="once it was sealed: 'ledger prove"
                    f" {entry.title_number} v{entry.version} -o FILE'",
                )
            file.write(receipt.encode())
            file.commit()

        yield wait
