"""Append a document to a title."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import ConflictError, HeadMoved, LedgerError, NotFoundError
from ledger.service.http import headers
from ledger.service.http.answers import JSON_TYPE
from ledger.service.http.bodies import parse_document, read_body, representation
from ledger.service.http.conditions import expected_parent
from ledger.service.http.errors import MatchRequired, WriteRefused
from ledger.service.http.parameters import TitleNumber  # noqa: TC001 -- FastAPI reads the annotations
from ledger.service.openapi.routes import APPEND, APPEND_ANY
from ledger.titles.append import ANY, Draft

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ledger.service.context import Context
    from ledger.service.http.conditions import Conditions
    from ledger.titles.append import Appended

__all__ = ["WriteRoutes"]


class WriteRoutes:
    """The two routes that append."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ledger = context.ledger

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to the application."""
        app.add_api_route("/titles", self.append_any, methods=["POST"], **APPEND_ANY)
        app.add_api_route("/titles/{title_number}", self.append, methods=["POST"], **APPEND)

    async def append_any(self, request: Request) -> Response:
        """Register a new version of the title that the document names."""
        return await self._append(request, None)

    async def append(self, request: Request, title_number: TitleNumber) -> Response:
        """Register a new version of this title."""
        return await self._append(request, title_number)

    async def _append(self, request: Request, title_number: str | None) -> Response:
        conditions = headers.conditions(request)
        if self._context.settings.require_match and not conditions.say_on_what():
            raise MatchRequired(
                "every write must say which version it builds on: If-Match with an address,"
                " or If-None-Match: *",
                hint="send If-Match with the ETag you read, or If-None-Match: * for a new title",
            )
        message = headers.message(request)
        effective_at = headers.effective_at(request)
        reference = headers.reference(request)
        data = await read_body(request, self._context.settings.max_body)

        def write() -> Response:
            name, document = parse_document(data, title_number)
            self._context.log.check_head(name)
            draft = Draft(name, document, message, effective_at, reference)
            return self._answer(request, self._submit(draft, conditions))

        return await self._context.run("append", write)

    def _submit(self, draft: Draft, conditions: Conditions) -> Appended:
        try:
            # A known reference decides, whatever the condition: nothing is written twice.
            known = bool(conditions) and self._is_known(draft)
            parent = ANY if known else expected_parent(self._ledger, draft.title_number, conditions)
            appended = self._ledger.submit(draft, parent=parent)
        except ConflictError as error:
            self._context.metrics.conflicted(error.slug)
            if isinstance(error, HeadMoved):
                raise self._explain(error, draft.title_number) from error
            raise
        self._context.metrics.appended(repeated=appended.repeated)
        return appended

    def _is_known(self, draft: Draft) -> bool:
        """Tell whether the title's chain has the reference."""
        if not draft.reference:
            return False
        try:
            chain = self._ledger.log(draft.title_number)
            return any(entry.reference == draft.reference for entry in chain)
        except NotFoundError:
            return False  # no such title yet

    def _explain(self, error: HeadMoved, title_number: str) -> WriteRefused:
        head = None
        with suppress(LedgerError):  # the evidence is optional
            head = self._ledger.head(title_number)
        return WriteRefused.because(error, head)

    def _answer(self, request: Request, appended: Appended) -> Response:
        entry = appended.entry
        named = {
            "Location": self._context.url(request.scope, f"/titles/{entry.title_number}"),
            "ETag": f'"{entry.address}"',
            "Ledger-Address": entry.address,
            "Cache-Control": "no-store",
        }
        body = representation(entry)
        return Response(body, 200 if appended.repeated else 201, named, JSON_TYPE)
