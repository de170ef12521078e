"""Read the headers of a request. A header may come once, unless it is a list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from ledger.service.http.conditions import Conditions, Tags
from ledger.service.http.errors import RequestError, UnsupportedMediaType
from ledger.titles.draft import Guards

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.types import Scope

JSON_TYPES = {"application/json", "application/ld+json", "application/geo+json"}
"""Types of a plain document. Others with ``+json`` may mean something else, such as a patch."""
# RFC 8187, section 3.2.1: charset, language and the percent-encoded text.
EXTENDED = re.compile(
    rb"([A-Za-z0-9!#$%&+^_`{}~-]+)'[A-Za-z0-9-]*'"
    rb"((?:%[0-9A-Fa-f]{2}|[A-Za-z0-9!#$&+.^_`|~-])*)"
)
QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')  # a string of RFC 9651, section 3.3.3
QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110, section 12.4.2


def one_header(scope: Scope, name: bytes) -> bytes | None:
    """Return the raw value of a header that may come once; raises RequestError."""
    found = _all(scope, name)
    if len(found) > 1:
        raise RequestError(f"the header {name.decode()} came {len(found)} times")
    return found[0] if found else None


def _all(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def conditions(request: Request) -> Conditions:
    """Read If-Match and If-None-Match. They are lists, so lines are joined (RFC 9110, 5.3)."""
    return Conditions(
        match=_tags(request, b"if-match"), none_match=_tags(request, b"if-none-match")
    )


def _tags(request: Request, name: bytes) -> Tags | None:
    found = _all(request.scope, name)
    return Tags.parse(b", ".join(found).decode("latin-1")) if found else None


def message(request: Request) -> str:
    """Read Ledger-Message*, or else Ledger-Message, or else "".

    Either may be as RFC 8187 has it, since many clients send ASCII alone; Ledger-Message* has to.
    """
    extended = one_header(request.scope, b"ledger-message*")
    value = one_header(request.scope, b"ledger-message") or b""
    if extended is None and not value.lower().startswith(b"utf-8'"):
        return _decode(value, "Ledger-Message")
    match = EXTENDED.fullmatch(value if extended is None else extended)
    if match is None or match[1].lower() != b"utf-8":
        raise RequestError(
            f"the header Ledger-Message{'' if extended is None else '*'} is not an extended value",
            hint="write UTF-8''first%20registration (RFC 8187), or send Ledger-Message as UTF-8",
        )
    return _decode(unquote_to_bytes(match[2]), "Ledger-Message")


def guards(request: Request, *, skip_unchanged: bool = False) -> Guards:
    """Read Ledger-Clamp-Time and Ledger-Supersede-Later: what to insist on."""
    return Guards(
        skip_unchanged=skip_unchanged,
        clamp_time=_yes(request, "Ledger-Clamp-Time"),
        supersede_later=_yes(request, "Ledger-Supersede-Later"),
    )


def as_document(request: Request) -> bool:
    """Read Ledger-As-Document: a document that looks like an answer of ours is meant."""
    return _yes(request, "Ledger-As-Document")


def _yes(request: Request, name: str) -> bool:
    value = text(request, name)
    if value not in {None, "yes"}:
        raise RequestError(f"the header {name} is not yes", hint="write yes, or leave it out")
    return value is not None


def reference(request: Request) -> str:
    """Read Idempotency-Key, bare or as a quoted string; "" if there is none.

    draft-ietf-httpapi-idempotency-key-header has it quoted, most clients send it bare. Both are the
    same reference.
    """
    value = text(request, "Idempotency-Key")
    if value is None:
        return ""
    if match := QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", match[1])
    if not value:
        raise RequestError(
            "the Idempotency-Key is empty", hint="leave the header out, or give a key"
        )
    return value


def text(request: Request, name: str) -> str | None:
    """Read a header that may come once, in UTF-8; raises RequestError."""
    value = one_header(request.scope, name.lower().encode())
    return None if value is None else _decode(value, name)


def _decode(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RequestError(f"the header {name} is not UTF-8") from None


def check_json(request: Request) -> None:
    """Refuse a body that is declared not to be JSON in UTF-8 (RFC 8259, 8.1), or to be encoded."""
    value = (one_header(request.scope, b"content-type") or b"").decode("latin-1").lower()
    media, *parameters = (part.strip() for part in value.split(";"))
    if media not in JSON_TYPES:
        raise UnsupportedMediaType(
            f"the body is {media or 'of no type'!a:.80}, not application/json",
            hint="send the whole document as application/json: no patch is applied",
        )
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip() == "charset" and charset.strip().strip('"') not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType("the charset of JSON is UTF-8, not another")
    if (one_header(request.scope, b"content-encoding") or b"identity").lower() != b"identity":
        raise UnsupportedMediaType(
            "the body is encoded",
            hint="send it without Content-Encoding",
            headers=(("Accept-Encoding", "identity"),),
        )


def prefers_html(accept: str) -> bool:
    """Tell whether an Accept header (RFC 9110, 12.5.1) prefers HTML. All others get JSON."""
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    return _quality(ranges, "text", "html") > _quality(ranges, "application", "json")


def _media_range(part: str) -> tuple[str, str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    kind, _, subtype = media.partition("/")
    return kind, subtype, quality(parameters)


def quality(parameters: Iterable[str]) -> float:
    """Return the weight among the parameters of a range (RFC 9110, 12.4.2); 0 if it is invalid."""
    found = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
    return float(found) if QUALITY.fullmatch(found) else 0.0


def _quality(ranges: list[tuple[str, str, float]], kind: str, subtype: str) -> float:
    """Return the quality of the most specific range that matches, or 0."""
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        found = [weight for *media, weight in ranges if tuple(media) == wanted]
        if found:
            return max(found)
    return 0.0
