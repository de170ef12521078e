"""Parse revisions: the ways to name one version of a title, as in git.

======================  ==========================================================================
``HEAD`` (or ``@``)     the newest entry
``v3``                  version 3
``81be04aa``            the entry whose address starts so (at least 4 hex digits)
``@{2026-01-31}``       the newest entry recorded at that moment or before (a date: 00:00 UTC)
``REV~2``, ``REV^``     the second, the first entry before that one
======================  ==========================================================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import InvalidError
from ledger.format import times
from ledger.format.entry import Entry

if TYPE_CHECKING:
    from datetime import datetime

REVISION = re.compile(
    r"(?:(?P<head>HEAD|@)|v(?P<version>[1-9][0-9]{0,15})"
    r"|(?P<prefix>[0-9a-f]{4,64})|@\{(?P<time>[^{}]{1,40})\})"
    r"(?P<back>(?:~[0-9]{0,9}|\^)*)"
)


class Revision(NamedTuple):
    """A revision, taken apart. At most one of version, prefix and time is set; none: the head."""

    version: int | None = None
    prefix: str | None = None
    time: datetime | None = None
    back: int = 0
    """Entries to go back from the one named."""


def parse_revision(text: object) -> Revision:
    """Parse a revision, or take an entry for its address; raise InvalidError."""
    if isinstance(text, Entry):
        return Revision(prefix=text.address)
    match = REVISION.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise InvalidError(
            f"not a revision: {text!a:.80}",
            hint="write HEAD, HEAD~2, v3, 4 or more digits of an address, or @{2026-01-31}",
        )
    steps = re.findall(r"~([0-9]*)|(\^)", match["back"])
    return Revision(
        version=int(match["version"]) if match["version"] else None,
        prefix=match["prefix"],
        time=times.parse_time(match["time"]) if match["time"] else None,
        back=sum(1 if caret or not count else int(count) for count, caret in steps),
    )
