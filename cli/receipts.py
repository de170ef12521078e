"""Wait until an entry is in the log, and write its receipt to a new file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger import Entry, Ledger, LedgerError
from ledger.local.files import NewFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 60.0
"""Seconds."""


class NotLoggedError(LedgerError):
    """The entry was appended, but did not reach the log in time."""

    slug = "not-logged"
    exit_code = 3


@contextmanager
def waiting(
    ledger: Ledger, path: Path | None, timeout: float | None
) -> Iterator[Callable[[Entry], None]]:
    """Give a function that waits until an entry is in the log and writes its receipt.

    Checks at once, before anything is appended, that there is a log and that the file can be
    written. Without a path, the function does nothing.
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
            sys.stdout.flush()  # show that it is appended before the wait
            receipt = log.wait(entry, seconds)
            if receipt is None:
                raise NotLoggedError(
                    f"{entry.title_number} version {entry.version} is appended and durable,"
                    f" but was not in the log after {seconds:g} s",
                    hint="once it has been sealed: 'ledger prove"
                    f" {entry.title_number} v{entry.version} -o FILE'",
                )
            file.write(receipt.encode())
            file.commit()

        yield wait
