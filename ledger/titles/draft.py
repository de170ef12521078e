"""What a writer asks for: a draft, its parent and its guards; and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ledger.errors import InvalidError
from ledger.format.entry import KINDS, Entry
from ledger.format.given import check_given

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ledger.format.canonical import JSONValue
    from ledger.format.keys import Signer
    from ledger.format.times import Question
    from ledger.tlog.objects import Leaf


class Anything(Enum):
    """The type of ``ANY``."""

    ANY = "any"


ANY: Final = Anything.ANY
"""As a parent: on top of whatever is there."""


class Appended(NamedTuple):
    """What became of an append."""

    entry: Entry
    repeated: bool
    """Whether the chain already had an entry with this reference. If so, nothing was written."""
    unchanged: bool = False
    """Whether the head said all of the draft already, but for who asked and why.

    With ``Guards.skip_unchanged`` nothing was written then, and the entry is that head.
    """


class Pen(msgspec.Struct, frozen=True):
    """What it takes to write: a key, a clock, a source of randomness, and somebody who knows."""

    signer: Signer
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    logged: Callable[[str], Leaf | None]
    """Answers the newest version of a title that the log has, if the store says that it has any."""
    check: Callable[[JSONValue], None] | None = None
    """Raises InvalidError for a document that may not be registered."""


class Draft(msgspec.Struct, frozen=True):
    """A version to be registered, before it has a place in a chain."""

    title_number: str
    document: Mapping[str, object]
    message: str = ""
    effective_at: Question | None = None
    reference: str = ""
    effective_until: Question | None = None
    author: str = ""
    """Who asks for it."""
    kind: str = KINDS[0]
    status: str | None = None
    """``open`` or ``closed``; None: what the title is already."""
    erases: tuple[int, ...] = ()
    """Versions whose texts are to be erased."""
    part: tuple[int, int] = (1, 1)
    confirms: tuple[int, ...] = ()
    """Versions that don't count, and are to stand all the same."""
    voids: tuple[int, ...] = ()
    """Versions that don't count, and are to be passed over for ever."""

    def __post_init__(self) -> None:
        given: object = self.document
        if type(given) is not dict and isinstance(given, Mapping):
            # Read it once: what is checked has to be what is signed.
            msgspec.structs.force_setattr(self, "document", dict(given))
        if type(self.erases) is type(self.part) is type(self.confirms) is type(self.voids) is tuple:
            return
        # Else a list would differ from the entry's own tuple, and a repeat be no repeat.
        for name in ("erases", "part", "confirms", "voids"):
            numbers = getattr(self, name)
            check_given(numbers, Iterable, f"a tuple of numbers as {name}")
            msgspec.structs.force_setattr(self, name, tuple(numbers))


@dataclass(frozen=True, slots=True)
class Guards:
    """What a writer insists on in spite of a guard."""

    clamp_time: bool = False
    """Record the parent's time if the clock is far behind it."""
    supersede_later: bool = False
    """Let a version without an end take the place of one that begins later."""
    trust_clock: bool = False
    """Sign even if the clock is far ahead of the store's."""
    skip_unchanged: bool = False
    """Write nothing if the head says all of the draft already, but for who asks and why."""


def check_own_document(document: Mapping[str, object]) -> None:
    """Refuse a document that is one of our files or answers, given by mistake.

    Raises InvalidError.
    """
    what_then = "append the document in it"
    if isinstance(document.get("document"), dict):
        what = "an envelope around a document"
    elif "signature" in document and isinstance(document.get("entry"), dict):
        what = "an entry"
    elif document.keys() >= {"type", "title", "status", "detail", "slug", "hint"}:
        what, what_then = "the answer to a request that failed", "see why it failed"
    else:
        return
    raise InvalidError(
        f"the document looks like {what}",
        hint=f"{what_then}; or, if it is meant as it is, add --as-document",
    )
