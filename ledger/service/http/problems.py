"""Turn an error into problem details (RFC 9457): a status, members and headers."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.errors import (
    ClockAhead,
    DoesNotFit,
    HeadMissing,
    IntegrityError,
    LedgerError,
    NotStanding,
    StoreError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.layout import is_title_number
from ledger.service.http.bodies import title_digest
from ledger.service.http.errors import Busy, NotReady, RequestError, TimedOut, WriteRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = "5"
HEADERS = {
    "--effective-until": "Ledger-Effective-Until:",
    "--supersede-later": "Ledger-Supersede-Later: yes",
    "--clamp-time": "Ledger-Clamp-Time: yes",
    "--reopen": "Ledger-Status: open",
    "--as-document": "Ledger-As-Document: yes",
    "a --reference": "an Idempotency-Key",
    "without --new": "without If-None-Match",
    "'ledger titles'": "/titles",
    "'ledger registration'": "/registrations/{reference}",
    "'ledger register --give-up' with the reference": "post to /registrations/{reference}/give-up",
}
"""How a client says what a hint to the shell's user says by an option."""
ASIDE = re.compile(r" \((?:RFC|``)[^)]*\)")
SENTENCE = re.compile(r"[.;:]\s")
OPTION = re.compile("|".join(HEADERS))
COMMANDS = (
    (re.compile("'ledger log ([A-Z0-9._-]+)'"), r"/titles/\1/entries"),
    (re.compile("'ledger show ([A-Z0-9._-]+) v([0-9]+)'"), r"/titles/\1?version=\2"),
    (re.compile("'ledger verify ([A-Z0-9._-]+)'"), r"/titles/\1/verification"),
)
"""Where a client finds what a command shows. All others are for those who run the service."""
EVIDENCE = (
    *("expected", "actual", "address", "reason", "object_key", "version", "reference"),
    *("standing", "missing"),
)


class ProblemKind(NamedTuple):
    """A kind of problem, which its slug names."""

    slug: str
    status: int
    meaning: str
    """In words, with ``code`` between backticks."""


def problem_kinds(base: type[LedgerError] = LedgerError) -> Iterator[ProblemKind]:
    """Yield every kind of problem that an answer can name by its ``type``."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("ledger."):
            if kind.slug != base.slug:
                yield ProblemKind(kind.slug, _status_of(kind), inspect.getdoc(kind) or "")
            yield from problem_kinds(kind)


def status_of(error: LedgerError) -> int:
    """Return the HTTP status of an error."""
    return _status_of(type(error))


def _status_of(kind: type[LedgerError]) -> int:
    # Clients sign nothing here: if a key is not trusted, the service is set up wrongly. A head that
    # does not stand is another matter: the title waits for a registrar.
    if issubclass(kind, TrustError) and not issubclass(kind, NotStanding):
        return 500
    return kind.http_status


def _title_of(kind: type[LedgerError]) -> str:
    """Say in a few words what kind of problem it is: how its class is described."""
    first = next(each for each in reversed(kind.__mro__) if vars(each).get("slug") == kind.slug)
    sentence = SENTENCE.split(f"{first.__doc__ or kind.slug} ")[0]
    return ASIDE.sub("", sentence).replace("`", "")


def damaged_title(error: LedgerError, title_number: object) -> str | None:
    """Name the title whose verification tells more about the error, if there is one.

    ``title_number`` is the one in the path of the request, if there is one.
    """
    if not isinstance(error, (HeadMissing, IntegrityError, TrustError, UnsupportedFormatError)):
        return None
    named = title_number or getattr(error, "object_key", "").partition("/")[0]
    return named if isinstance(named, str) and is_title_number(named) else None


def hint_over_http(hint: str) -> str:
    """Say in headers and paths what a hint says in options and commands."""
    for command, path in COMMANDS:
        hint = command.sub(path, hint)
    return OPTION.sub(lambda option: HEADERS[option[0]], hint)


def problem_members(error: LedgerError, *, docs: str = "/docs") -> dict[str, Any]:
    """Return the members of the problem details, with the evidence that the error carries."""
    members: dict[str, Any] = {
        "type": f"{docs}#{error.slug}",
        "title": _title_of(type(error)),
        "status": status_of(error),
        "detail": str(error),
        "slug": error.slug,
        "hint": hint_over_http(error.hint),
    }
    members |= {name: getattr(error, name) for name in EVIDENCE if hasattr(error, name)}
    if isinstance(error, DoesNotFit):
        members["faults"] = [{"pointer": place, "problem": said} for place, said in error.faults]
        members["more_faults"] = error.more
    if isinstance(error, WriteRefused) and error.head is not None:
        head = error.head
        members |= {
            "address": head.address,
            "parent": head.parent,
            "version": head.version,
            "digest": title_digest(head),
        }
    return members


def problem_headers(error: LedgerError) -> list[tuple[str, str]]:
    """Name the headers that go with an error."""
    headers = [("Vary", "Accept"), ("Cache-Control", "no-store")]
    if isinstance(
        error, (StoreError, ClockAhead, Busy, TimedOut, NotReady)
    ):  # nothing was written: safe to repeat
        headers.append(("Retry-After", RETRY_AFTER))
    if isinstance(error, RequestError):
        headers += error.headers
    return headers
