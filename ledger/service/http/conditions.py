"""Handle conditional requests (RFC 9110, section 13). The entity tag of a version is its address.

On a write they become the ``parent`` that the ledger compares when it swaps the head, so nothing
can happen in between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import HeadMoved, NotFoundError, PreconditionFailed
from ledger.format.layout import is_address
from ledger.service.http.errors import RequestError
from ledger.titles.draft import ANY, Anything

if TYPE_CHECKING:
    from ledger.ledger import Ledger


# RFC 9110, section 8.8.3; a list may have empty elements (section 5.6.1).
TAG = re.compile(r'[ \t,]*(?P<weak>W/)?"(?P<text>[\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Tags:
    """The value of an If-Match or If-None-Match header."""

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    anything: bool = False
    """It was ``*``: any version, as long as there is one."""

    @classmethod
    def parse(cls, value: str) -> Tags:
        """Read a header; raises RequestError."""
        if value.strip() == "*":
            return cls(anything=True)
        found: dict[bool, list[str]] = {True: [], False: []}
        position = 0
        value = value.rstrip(" \t,")
        while position < len(value):
            match = TAG.match(value, position)
            if match is None:
                raise RequestError(
                    f"not a list of entity tags: {value!a:.120}",
                    hint='write "ADDRESS", with the quotes, or *',
                )
            found[match["weak"] is None].append(match["text"])
            position = match.end()
        return cls(tuple(found[True]), tuple(found[False]))

    def holds(self, tag: str | None, *, weakly: bool = False) -> bool:
        """Tell whether the current tag (None: there is nothing) is among these."""
        if tag is None:
            return False
        return self.anything or tag in self.strong or (weakly and tag in self.weak)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The two conditions of a request; None: absent."""

    match: Tags | None = None
    none_match: Tags | None = None

    def __bool__(self) -> bool:
        return self.match is not None or self.none_match is not None

    def say_on_what(self) -> bool:
        """Tell whether a write says which version it builds on: an address, or none yet."""
        if self.match is not None and any(map(is_address, self.match.strong)):
            return True
        return self.none_match is not None and self.none_match.anything


def is_not_modified(conditions: Conditions, tag: str) -> bool:
    """Tell whether the client has this already; raises PreconditionFailed if If-Match fails."""
    if conditions.match is not None and not conditions.match.holds(tag):
        raise PreconditionFailed("the current version is not one that If-Match names")
    return conditions.none_match is not None and conditions.none_match.holds(tag, weakly=True)


def expected_parent(
    ledger: Ledger, title_number: str, conditions: Conditions
) -> str | Anything | None:
    """Turn conditions into the parent to append on top of; raises HeadMoved.

    The ledger itself checks a single address, and ``If-None-Match: *``, when it swaps the head.
    """
    match, none_match = conditions.match, conditions.none_match
    if match is None and (none_match is None or none_match.anything):
        return ANY if none_match is None else None
    addresses = [tag for tag in match.strong if is_address(tag)] if match is not None else []
    if none_match is None and len(addresses) == 1:
        return addresses[0]
    head = _head(ledger, title_number)
    if match is not None and not match.holds(head):
        if addresses:
            # An earlier try of the same append may have moved it: the ledger finds its reference.
            return addresses[0]
        raise _refused(title_number, "If-Match", head)
    if none_match is not None and none_match.holds(head, weakly=True):
        raise _refused(title_number, "If-None-Match", head)
    return ANY if match is None or match.anything else head


def _head(ledger: Ledger, title_number: str) -> str | None:
    try:
        return ledger.head(title_number).address
    except NotFoundError:
        return None


def _refused(title_number: str, header: str, head: str | None) -> HeadMoved:
    there = f"its head is {head}" if head else "there is no such title"
    return HeadMoved(
        f"cannot append to {title_number}: {header} does not hold: {there}",
        hint="read the title, see what changed, then write again",
        actual=head,
    )
