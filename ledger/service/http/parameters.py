"""The parameters of the routes. OpenAPI shows their patterns; the ledger checks them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Le
from fastapi import Path, Query
from pydantic import BeforeValidator
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import InvalidError
from ledger.format.layout import ADDRESS, MAX_TITLE_NUMBER, TITLE_NUMBER
from ledger.service.http.errors import RequestError

MANY_ENTRIES = 20
"""Entries on a page. Each takes one read."""
MANY_TITLES = 100
MANY_CHANGES = 100
MANY_CHANGED = 2000
"""Titles of one reference that an answer looks at: twice what a registration can have."""

NUMBER = re.compile(r"[1-9][0-9]{0,15}")


def _plain_number(value: object) -> object:
    """Refuse what only Python accepts as a number: 1_0, +1, 1.0, 01, or spaces around it."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError("not a number of 1 or more, in digits")
    return value


def _plain_index(value: object) -> object:
    """Do the same for a number that may be 0."""
    if isinstance(value, str) and value != "0" and not NUMBER.fullmatch(value):
        raise ValueError("not a number of 0 or more, in digits")
    return value


def _pointer(value: object) -> object:
    """Refuse what is not a JSON pointer, the empty one aside."""
    if isinstance(value, str) and value and not value.startswith("/"):
        raise ValueError("not a JSON pointer, such as /proprietors/0/name")
    return value


def _as_typed(value: object) -> object:
    """Take an address as people paste it: with blanks around it, or in capitals."""
    return value.strip().lower() if isinstance(value, str) else value


_TITLE = {
    "pattern": f"^{TITLE_NUMBER.pattern}$",
    "maxLength": MAX_TITLE_NUMBER,
    "example": "TN1234567",
}
_ADDRESS = f"^{ADDRESS.pattern}$"
_REVISION = "A revision: HEAD, HEAD~2, v3 or 3, an address or its first digits, @{2026-01-31}."

TitleNumber: TypeAlias = Annotated[
    str, Path(description="A title number.", json_schema_extra=_TITLE)
]
AddressOrPrefix: TypeAlias = Annotated[
    str,
    Path(
        description="An entry's address, or enough of its first digits.",
        json_schema_extra={"pattern": "^[0-9a-f]{4,64}$"},
    ),
]
ObjectKey: TypeAlias = Annotated[
    str,
    Path(
        description="An object's key: ledger.json, TN1234567/head.json, _log/checkpoint …",
        json_schema_extra={"example": "ledger.json"},
    ),
]
Reference: TypeAlias = Annotated[
    str, Path(description="An application or case number, percent-encoded.", examples=["APP-77"])
]
TilePath: TypeAlias = Annotated[
    str,
    Path(
        description="A level, 0 to 63 or `entries`, and an index in groups of three digits:"
        " 0/x001/234, with .p/WIDTH if there are fewer than 256.",
        json_schema_extra={
            "pattern": "^([0-9]{1,2}|entries)/(x[0-9]{3}/)*[0-9]{3}(\\.p/[0-9]{1,3})?$"
        },
    ),
]
# The limits come first: JSON Schema has no words for one behind a validator.
DIGITS = BeforeValidator(_plain_number)
Number: TypeAlias = Annotated[int, Ge(1), Le(10**15), DIGITS]
Index: TypeAlias = Annotated[int, Ge(0), Le(10**15), BeforeValidator(_plain_index)]
Version: TypeAlias = Annotated[Number | None, Query(description="The version with this number.")]
TrustVersion: TypeAlias = Annotated[Number, Path(description="The version of a trust file.")]
Effective: TypeAlias = Annotated[
    str | None,
    Query(
        description="What is in law on this day, or at this instant: 2026-01-31,"
        " 2026-01-31T10:00:00+01:00, or today. A year or a month is not enough.",
        examples=["2026-01-31"],
    ),
]
Recorded: TypeAlias = Annotated[
    str | None,
    Query(
        description="As known by the end of this day (UTC), or at this instant, or today. Without"
        " effective, the newest version then.",
        examples=["2026-01-31"],
    ),
]
SkipUnchanged: TypeAlias = Annotated[
    Literal["1"] | None,
    Query(
        alias="skip-unchanged",
        description="Register nothing if the newest version says the same: see the answer 200.",
    ),
]
OnlyStatus: TypeAlias = Annotated[
    Literal["open", "closed"] | None,
    Query(
        alias="status",
        description="Only titles that are open, or closed. A page then has what it finds among"
        " `limit` titles, which may be none: `Link` leads on.",
    ),
]
Address: TypeAlias = Annotated[
    str | None,
    BeforeValidator(_as_typed),
    Query(alias="from", pattern=_ADDRESS, description="The address to begin with."),
]
Limit: TypeAlias = Annotated[int, Ge(1), Le(100), DIGITS, Query(description="How many at most.")]
OldRevision: TypeAlias = Annotated[str, Query(alias="from", description=_REVISION)]
NewRevision: TypeAlias = Annotated[str, Query(alias="to", description=_REVISION)]
Pointer: TypeAlias = Annotated[
    str,
    BeforeValidator(_pointer),
    Query(
        description="Only what is at this place, a JSON pointer (RFC 6901).",
        examples=["/charges/0/lender"],
    ),
]
Raw: TypeAlias = Annotated[
    Literal["1"] | None,
    Query(description="1: the stored bytes as a file, whatever `Accept` prefers."),
]
Expect: TypeAlias = Annotated[
    str | None,
    BeforeValidator(_as_typed),
    Query(
        pattern=_ADDRESS,
        description="A pin: an address noted before, which must be in the chain.",
    ),
]
After: TypeAlias = Annotated[
    str,
    Query(
        description="Only titles that sort after this one.",
        max_length=MAX_TITLE_NUMBER,
        json_schema_extra={"pattern": f"^({TITLE_NUMBER.pattern})?$"},
    ),
]
Search: TypeAlias = Annotated[
    str,
    Query(
        description="Only titles whose number begins like this. If the service has an index: also"
        " those whose newest version has all of these words, in names, addresses, references or"
        " anywhere else; a word may end with *.",
        max_length=400,
        examples=["TN123", "high street"],
    ),
]
ManyTitles: TypeAlias = Annotated[
    int, Ge(1), Le(1000), DIGITS, Query(description="How many at most.")
]


AfterLeaf: TypeAlias = Annotated[
    Index | None,
    Query(description="Only what comes after this leaf of the log."),
]
ManyChanges: TypeAlias = Annotated[
    int, Ge(1), Le(256), DIGITS, Query(description="How many at most.")
]
Archive: TypeAlias = Annotated[
    Index | None,
    Query(description="An archive: 2 has the leaves 200 to 299."),
]


async def only_known_parameters(request: Request) -> None:
    """Refuse a query with a parameter that came twice, or that the route doesn't know.

    ``?vresion=3`` must not show the current version.
    """
    given = [name for name, _ in request.query_params.multi_items()]
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    for name in given:
        if name not in known:
            raise InvalidError(
                f"unknown query parameter: {name!a:.80}",
                hint=f"known here: {', '.join(sorted(known)) or 'none'}",
            )
        if given.count(name) > 1:
            raise RequestError(f"the query parameter {name} came more than once")
