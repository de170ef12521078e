"""Append a document to a title, and erase the texts of earlier ones."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import ConflictError, HeadMoved, LedgerError
from ledger.format.entry import KINDS
from ledger.service.http import headers
from ledger.service.http.answers import JSON_TYPE, to_json
from ledger.service.http.bodies import parse_document, parse_order, read_body, representation
from ledger.service.http.conditions import Conditions, expected_parent
from ledger.service.http.errors import MatchRequired, WriteRefused
from ledger.service.http.parameters import SkipUnchanged, TitleNumber  # noqa: TC001 -- FastAPI reads the annotations
from ledger.service.openapi.routes import APPEND, APPEND_ANY, ERASE
from ledger.service.routes.group import Routes, route
from ledger.titles.draft import ANY, Appended, Draft, Guards

if TYPE_CHECKING:
    from ledger.service.metrics import WriteOutcome
    from ledger.titles.erase import Erasure


class WriteRoutes(Routes):
    """The routes that write."""

    @route("/titles", APPEND_ANY, "POST")
    async def append_any(self, request: Request, skip_unchanged: SkipUnchanged = None) -> Response:
        """Register a new version of the title that the document names."""
        return await self._append(request, None, skip_unchanged)

    @route("/titles/{title_number}", APPEND, "POST")
    async def append(
        self, request: Request, title_number: TitleNumber, skip_unchanged: SkipUnchanged = None
    ) -> Response:
        """Register a new version of this title."""
        return await self._append(request, title_number, skip_unchanged)

    async def _append(
        self, request: Request, title_number: str | None, skip_unchanged: str | None
    ) -> Response:
        conditions = headers.conditions(request)
        if self._context.settings.require_match and not conditions.say_on_what():
            raise MatchRequired(
                "every write must say which version it builds on: If-Match with an address,"
                " or If-None-Match: *",
                hint="read the title and send its ETag in If-Match",
            )
        guards = headers.guards(request, skip_unchanged=skip_unchanged is not None)
        as_document = headers.as_document(request)
        kind = headers.text(request, "Ledger-Kind")
        members = {
            "message": headers.message(request),
            "effective_at": headers.text(request, "Ledger-Effective"),
            "effective_until": headers.text(request, "Ledger-Effective-Until"),
            "kind": KINDS[0] if kind is None else kind,
            "status": headers.text(request, "Ledger-Status"),
            "reference": headers.reference(request),
            "author": request.scope["ledger"].caller,
        }
        data = await read_body(request, self._context.settings.max_body)

        def write() -> Response:
            name, document = parse_document(data, title_number, as_document=as_document)
            request.scope["ledger"].titles = name
            self._context.read_ahead(name)
            self._context.log.check_head(name)
            draft = Draft(name, document, **members)
            return self._answer(request, *self._submit(draft, conditions, guards))

        return await self._context.run("append", write)

    def _submit(
        self, draft: Draft, conditions: Conditions, guards: Guards
    ) -> tuple[Appended, WriteOutcome]:
        try:
            # A known reference decides, whatever the condition: nothing is written twice.
            known = bool(conditions) and self._is_known(draft)
            parent = ANY if known else expected_parent(self._ledger, draft.title_number, conditions)
            appended = self._ledger.submit(draft, parent=parent, guards=guards)
        except ConflictError as error:
            self._context.metrics.conflicted(error.slug)
            if isinstance(error, HeadMoved):
                raise self._explain(error, draft.title_number) from error
            raise
        outcome: WriteOutcome = "repeated" if appended.repeated else "appended"
        if appended.unchanged and guards.skip_unchanged:
            outcome = "skipped"
        self._context.metrics.appended(outcome)
        self._context.changed(draft.title_number)
        return appended, outcome

    def _is_known(self, draft: Draft) -> bool:
        """Tell whether the title's chain has the reference."""
        if not draft.reference:
            return False
        history = self._ledger.history
        head = history.find_head(draft.title_number)
        return head is not None and bool(
            history.find_reference(head.entry, draft.reference, draft.part)
        )

    @route("/titles/{title_number}/erasures", ERASE, "POST")
    async def erase(self, request: Request, title_number: TitleNumber) -> Response:
        """Order the texts of versions erased, and erase what can be by now. Repeat it to go on."""
        guards = headers.guards(request)
        author = request.scope["ledger"].caller
        data = await read_body(request, self._context.settings.max_body)

        def write() -> Response:
            order = parse_order(data)
            self._context.log.check_head(title_number)
            erasure = self._ledger.erase(
                title_number,
                order.versions,
                reference=order.reference,
                message=order.message,
                author=author,
                clamp_time=guards.clamp_time,
            )
            self._context.changed(title_number)
            return self._erased(title_number, erasure)

        return await self._context.run("erase", write, title_number)

    def _erased(self, title_number: str, erasure: Erasure) -> Response:
        assert erasure.order is not None  # noqa: S101 -- it was just appended
        order = erasure.order
        body = {
            "title_number": title_number,
            "order": {
                "address": order.address,
                "version": order.version,
                "reference": order.reference,
            },
            "erased": sorted(entry.version for entry in erasure.erased),
            "waiting": sorted(erasure.waiting),
            "left": list(erasure.left),
        }
        named = {"Ledger-Address": order.address, "Cache-Control": "no-store"}
        return Response(to_json(body), 200 if erasure.is_done else 202, named, JSON_TYPE)

    def _explain(self, error: HeadMoved, title_number: str) -> WriteRefused:
        head = None
        with suppress(LedgerError):  # the evidence is optional
            head = self._ledger.head(title_number)
        return WriteRefused.because(error, head)

    def _answer(self, request: Request, appended: Appended, outcome: WriteOutcome) -> Response:
        entry = appended.entry
        named = {
            "Location": self._context.url(request.scope, f"/titles/{entry.title_number}"),
            "ETag": f'"{entry.address}"',
            "Ledger-Address": entry.address,
            "Cache-Control": "no-store",
        }
        if appended.unchanged:
            named["Ledger-Unchanged"] = "yes"
        body = representation(entry)
        return Response(body, 201 if outcome == "appended" else 200, named, JSON_TYPE)
