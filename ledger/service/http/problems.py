"""The one place where errors become answers: problem details (RFC 9457), or a page of them."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ledger.errors import LedgerError, StoreError, TrustError
from ledger.service.http.bodies import title_digest
from ledger.service.http.errors import Busy, NotReady, RequestError, WriteRefused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ledger.service.context import Face

__all__ = ["PROBLEM_TYPE", "Problems", "problem_members", "status_of"]

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = "5"
EVIDENCE = ("expected", "actual", "address", "reason", "object_key")

logger = logging.getLogger("ledger.service")


class Unexpected(LedgerError):
    """A defect of ours. What it was is for the log, not for whoever found it."""

    slug = "unexpected"


def status_of(error: LedgerError) -> int:
    """The HTTP status, from the error's class."""
    # Clients sign nothing here: a key that doesn't count is the service's own set-up.
    return 500 if isinstance(error, TrustError) else error.http_status


def problem_members(error: LedgerError, *, docs: str = "/docs") -> dict[str, Any]:
    """An error as problem details; its evidence, where it has any, is in members of its own."""
    members: dict[str, Any] = {
        "type": f"{docs}#{error.slug}",
        "title": error.slug.replace("-", " ").capitalize(),
        "status": status_of(error),
        "detail": str(error),
        "slug": error.slug,
        "hint": error.hint,
    }
    members |= {name: getattr(error, name) for name in EVIDENCE if hasattr(error, name)}
    if isinstance(error, WriteRefused) and error.head is not None:
        head = error.head
        members |= {
            "address": head.address,
            "parent": head.parent,
            "version": head.version,
            "digest": title_digest(head.document, head.title_number),
        }
    return members


def _headers(error: LedgerError) -> list[tuple[str, str]]:
    headers = [("Vary", "Accept"), ("Cache-Control", "no-store")]
    if isinstance(error, (StoreError, Busy, NotReady)):  # nothing was written: safe to repeat
        headers.append(("Retry-After", RETRY_AFTER))
    if isinstance(error, RequestError):
        headers += error.headers
    return headers


class Problems:
    """Answers for every error that comes up from below."""

    def __init__(self, app: ASGIApp, face: Face) -> None:
        self._app = app
        self._face = face

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call what is below, and answer in its place if it raises before it has begun to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:
            if begun:
                raise
            await self._answer(scope, error)(scope, receive, send)

    def _answer(self, scope: Scope, error: Exception) -> Response:
        known = error if isinstance(error, LedgerError) else Unexpected("an unexpected error")
        if known is not error:
            logger.error("unexpected: %s", type(error).__name__, exc_info=error)
        elif status_of(known) >= 500:
            logger.warning("%s: %a", known.slug, str(known))
        members = problem_members(known, docs=f"{self._face.base_path(scope)}/docs")
        if self._face.wants_html(scope):
            names = ("status", "title", "detail", "slug", "hint")
            body = self._face.pages(scope).problem(**{name: members[name] for name in names})
            answer = Response(body, members["status"], media_type="text/html")
        else:
            text = json.dumps(members, ensure_ascii=True)
            answer = Response(text, members["status"], media_type=PROBLEM_TYPE)
        for name, value in _headers(known):
            answer.headers.append(name, value)
        return answer
