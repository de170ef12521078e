"""Answer with entity tags, so that no client fetches the same twice (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from ledger.service.http.conditions import is_not_modified
from ledger.service.http.headers import conditions

if TYPE_CHECKING:
    from starlette.requests import Request

JSON_TYPE = "application/json"
REVALIDATE = "no-cache"
"""A cache may store the answer, but must ask each time whether the tag is still the same."""


def to_json(value: dict[str, Any]) -> bytes:
    """Spell reports, changes and lists as JSON. It is not canonical."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def answer(
    request: Request,
    body: bytes,
    *,
    tag: str | None = None,
    media_type: str = JSON_TYPE,
    cache: str = REVALIDATE,
    headers: dict[str, str] | None = None,
    negotiated: bool = True,
) -> Response:
    """Answer with a body and its tag (by default its sha256), or with 304.

    ``negotiated``: whether the answer depends on the Accept header. Raises PreconditionFailed.
    """
    tag = tag or hashlib.sha256(body).hexdigest()
    vary = {"Vary": "Accept"} if negotiated else {}
    named = {"ETag": f'"{tag}"', **vary, "Cache-Control": cache, **(headers or {})}
    if is_not_modified(conditions(request), tag):
        return Response(status_code=304, headers=named)
    return Response(body, headers=named, media_type=media_type)


def html(request: Request, page: str) -> Response:
    """Answer with a page, tagged by its sha256."""
    return answer(request, page.encode(), media_type="text/html")
