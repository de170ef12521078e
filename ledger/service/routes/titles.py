"""Read one title: its current and earlier versions, its history, and what proves them."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from anyio import to_thread
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import IntegrityError, InvalidError, TrustError
from ledger.format.chain import NO_PIN
from ledger.format.diff import change_json, changes
from ledger.format.entry import entry_json
from ledger.format.layout import is_address
from ledger.format.report import report_json
from ledger.format.times import parse_time
from ledger.service.http.answers import answer, html, to_json
from ledger.service.http.bodies import representation
from ledger.service.http.parameters import (
    MANY_ENTRIES,
    Address,
    AddressOrPrefix,
    Expect,
    Limit,
    Moment,
    NewRevision,
    OldRevision,
    Raw,
    TitleNumber,
    Version,
)
from ledger.service.openapi.routes import BUNDLE, DIFF, ENTRIES, ENTRY, TITLE, VERIFICATION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

    from ledger.format.canonical import JSONValue
    from ledger.format.diff import Change
    from ledger.format.entry import Entry
    from ledger.service.context import Context

    Step = tuple[Entry, Entry | None]
    Page = tuple[list[tuple[Entry, list[Change] | None]], str | None]
    """Entries, newest first, with what changed in each (None: too much to show), and the address
    that the next page begins with."""

__all__ = ["BUNDLE_TYPE", "TitleRoutes"]

PATH = "/titles/{title_number}"
BUNDLE_TYPE = "application/x-tar"
CHUNK = 1 << 16
IN_MEMORY = 1 << 20
MAX_CHANGES = 4 << 20
"""How many bytes of changes an answer has at most. Each repeats its path, which can be long."""
PAGE_CHANGES = 1 << 18
"""The same for a page, which shows less."""
PAGE_DOCUMENTS = 1 << 20
"""How many bytes of entries are compared for a page. JSON compares all."""
PREFIX = re.compile(r"[0-9a-f]{4,64}")
# The head is read once, so that both sides of a comparison come from the same state.
HEAD = re.compile(r"\A(?:HEAD|@(?!\{))")


class TitleRoutes:
    """The routes below ``/titles/{title_number}`` that only read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ledger = context.ledger

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to the application."""
        for path, endpoint, contract in (
            ("", self.title, TITLE),
            ("/entries", self.entries, ENTRIES),
            ("/entries/{address}", self.entry, ENTRY),
            ("/diff", self.diff, DIFF),
            ("/verification", self.verification, VERIFICATION),
            ("/bundle", self.bundle, BUNDLE),
        ):
            app.add_api_route(PATH + path, endpoint, methods=["GET"], **contract)

    async def title(
        self,
        request: Request,
        title_number: TitleNumber,
        version: Version = None,
        at: Moment = None,
    ) -> Response:
        """One version of a title: the current one, a numbered one, or the one at a moment."""

        def read() -> Response:
            entry = self._find(title_number, version, at)
            if self._context.wants_html(request.scope):
                return html(request, self._title_page(request, entry))
            body = representation(entry)
            named = {"Ledger-Address": entry.address}
            return answer(request, body, tag=entry.address, headers=named)

        return await self._context.run("title", read, title_number)

    def _find(self, title_number: str, version: int | None, at: str | None) -> Entry:
        if version is not None and at is not None:
            raise InvalidError("version and at cannot be used together")
        if at is not None:
            return self._ledger.at(title_number, parse_time(at))
        return self._ledger.entry(title_number, "HEAD" if version is None else f"v{version}")

    def _title_page(self, request: Request, shown: Entry) -> str:
        title_number = shown.title_number
        history, older = self._history(title_number, "HEAD", MANY_ENTRIES, page=True, broken=True)
        # Each call reads the head again, so what is shown must be in the chain that is verified.
        report = self._context.verify(title_number, shown.address)
        # But the pin came from this very request, so it shows nothing about a rollback.
        report = replace(report, not_shown=(NO_PIN, *report.not_shown))
        entries = [entry for entry, _ in history]
        return self._context.pages(request.scope).title(
            shown=shown,
            head=history[0][0],
            history=history,
            older_url=self._older(request, title_number, older, MANY_ENTRIES),
            report=report,
            log=self._context.log.of(entries, shown),
        )

    async def entries(
        self,
        request: Request,
        title_number: TitleNumber,
        start: Address = None,
        limit: Limit = MANY_ENTRIES,
    ) -> Response:
        """The history of a title, newest first, from its head or from an address down."""

        def read() -> Response:
            page = self._context.wants_html(request.scope)
            history, older = self._history(title_number, start or "HEAD", limit, page=page)
            url = self._older(request, title_number, older, limit)
            if page:
                shown_page = self._context.pages(request.scope).entries(
                    title_number=title_number,
                    history=history,
                    older_url=url,
                    log=self._context.log.of([each for each, _ in history]),
                )
                return html(request, shown_page)
            shown = [
                {
                    **entry_json(entry, self._ledger.keyring),
                    "changes": None
                    if differing is None
                    else [change_json(change) for change in differing],
                }
                for entry, differing in history
            ]
            body = to_json({"title_number": title_number, "entries": shown})
            return answer(request, body, headers={"Link": f'<{url}>; rel="next"'} if url else {})

        return await self._context.run("entries", read, title_number)

    def _history(
        self,
        title_number: str,
        start: str,
        limit: int,
        *,
        page: bool = False,
        broken: bool = False,
    ) -> Page:
        """Read some history, for a ``page`` or for JSON, which has more of the changes.

        ``broken``: stop at a broken link, for the report names it.
        """
        history: list[tuple[Entry, list[Change] | None]] = []
        left = PAGE_CHANGES if page else MAX_CHANGES
        documents = 0
        below: tuple[str, dict[str, JSONValue]] = ("", {})  # each document is decoded once
        for entry, parent in self._steps(title_number, start, limit + 1, broken=broken):
            if len(history) == limit:
                return history, entry.address
            documents += len(entry.data) + (len(parent.data) if parent else 0)
            if page and documents > PAGE_DOCUMENTS:
                history.append((entry, None))
                continue
            new = below[1] if below[0] == entry.address else entry.document
            below = (parent.address, parent.document) if parent else ("", {})
            try:
                differing = changes(below[1], new, limit=left)
            except InvalidError:
                history.append((entry, None))
            else:
                history.append((entry, differing))
                left -= sum(change.size for change in differing)
        return history, None

    def _steps(self, title_number: str, start: str, limit: int, *, broken: bool) -> Iterator[Step]:
        """Yield each entry with the one before it; holds two at a time."""
        child: Entry | None = None
        try:
            for entry in self._ledger.log(title_number, start, limit=limit):
                if child is not None:
                    yield child, entry
                child = entry
        except (IntegrityError, TrustError):
            if not broken or child is None:
                raise
        if child is not None:
            yield child, None

    def _older(
        self, request: Request, title_number: str, address: str | None, limit: int
    ) -> str | None:
        path = f"/titles/{title_number}/entries"
        if address is None:
            return None
        return self._context.url(request.scope, path, **{"from": address}, limit=limit)

    async def entry(
        self,
        request: Request,
        title_number: TitleNumber,
        address: AddressOrPrefix,
        raw: Raw = None,
    ) -> Response:
        """The exact bytes of an entry: their sha256 is its address."""

        def read() -> Response:
            if not PREFIX.fullmatch(address):
                raise InvalidError(
                    f"not an address: {address!a:.80}", hint="4 to 64 lower-case hex digits"
                )
            entry = self._ledger.entry(title_number, address)
            if not is_address(address):
                path = f"/titles/{title_number}/entries/{entry.address}"
                return RedirectResponse(self._context.url(request.scope, path), 307)
            if raw is None and self._context.wants_html(request.scope):
                return html(request, self._entry_page(request, entry))
            file = f'attachment; filename="{title_number}.v{entry.version}.json"'
            return answer(
                request,
                entry.data,
                tag=entry.address,
                cache=self._context.for_ever,
                headers={"Content-Disposition": file} if raw else {},
            )

        return await self._context.run("entry", read, title_number)

    def _entry_page(self, request: Request, entry: Entry) -> str:
        [(_, differing)], _ = self._history(entry.title_number, entry.address, 1, page=True)
        head = self._ledger.head(entry.title_number)
        return self._context.pages(request.scope).entry(
            entry=entry, changes=differing, is_head=entry.address == head.address
        )

    async def diff(
        self,
        request: Request,
        title_number: TitleNumber,
        old: OldRevision = "HEAD~1",
        new: NewRevision = "HEAD",
    ) -> Response:
        """What changed between two revisions of a title."""

        def read() -> Response:
            head = self._ledger.head(title_number).address
            before = self._ledger.entry(title_number, HEAD.sub(head, old))
            after = self._ledger.entry(title_number, HEAD.sub(head, new))
            differing = changes(before.document, after.document, limit=MAX_CHANGES)
            if self._context.wants_html(request.scope):
                pages = self._context.pages(request.scope)
                return html(request, pages.diff(old=before, new=after, changes=differing))
            shown = {
                "title_number": title_number,
                "from": {"address": before.address, "version": before.version},
                "to": {"address": after.address, "version": after.version},
                "changes": [change_json(change) for change in differing],
            }
            return answer(request, to_json(shown))

        return await self._context.run("diff", read, title_number)

    async def verification(
        self, request: Request, title_number: TitleNumber, expect: Expect = None
    ) -> Response:
        """The report of a verification, made now. The status is 200 whatever it says."""

        def read() -> Response:
            report = self._context.verify(title_number, expect)
            headers = {"Vary": "Accept", "Cache-Control": "no-store"}
            if self._context.wants_html(request.scope):
                page = self._context.pages(request.scope).verification(
                    title_number=title_number,
                    report=report,
                    pin=expect,
                )
                return Response(page, headers=headers, media_type="text/html")
            shown = {"title_number": title_number, "expect": expect}
            body = to_json(shown | report_json(report))
            return Response(body, headers=headers, media_type="application/json")

        return await self._context.run("verification", read, title_number)

    async def bundle(self, title_number: TitleNumber) -> Response:
        """The title with all its history, as a file to verify offline."""

        def read() -> tuple[BinaryIO, int]:
            # Complete before the first byte is sent, so that a broken history is an error.
            with ExitStack() as undo:
                out = cast("BinaryIO", undo.enter_context(SpooledTemporaryFile(IN_MEMORY)))
                self._ledger.export(out, [title_number])
                size = out.tell()
                out.seek(0)
                undo.pop_all()  # _chunks closes it
            return out, size

        out, size = await self._context.run("bundle", read, title_number)
        headers = {
            "Content-Disposition": f'attachment; filename="{title_number}.bundle"',
            "Content-Length": str(size),
            "Cache-Control": "no-store",
        }
        return StreamingResponse(_chunks(out), media_type=BUNDLE_TYPE, headers=headers)


async def _chunks(source: BinaryIO) -> AsyncIterator[bytes]:
    with source:
        while chunk := await to_thread.run_sync(source.read, CHUNK):
            yield chunk
