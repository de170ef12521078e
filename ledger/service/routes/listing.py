"""The list of titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from fastapi.responses import RedirectResponse, Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import InvalidError
from ledger.format.layout import head_key, is_title_number
from ledger.service.http.answers import REVALIDATE, answer, html, to_json
from ledger.service.http.parameters import MANY_TITLES, After, ManyTitles, OnlyStatus, Prefix
from ledger.service.openapi.routes import ROOT, TITLES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ledger.service.context import Context

__all__ = ["ListingRoutes"]


@runtime_checkable
class Presigner(Protocol):
    """A store whose objects can be read through URLs that need no credentials."""

    def presign(self, key: str, seconds: int) -> str:
        """The URL."""
        ...


class ListingRoutes:
    """The routes ``/`` and ``/titles``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        store, seconds = context.ledger.store, context.settings.presign_seconds
        self._presigner = store if isinstance(store, Presigner) and seconds else None
        self._seconds = seconds or 0
        if seconds and self._presigner is None:
            raise InvalidError(
                f"{store.url} has no presigned URLs", hint="leave --presign out: only S3 has them"
            )

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to the application."""
        app.add_api_route("/", self.root, methods=["GET"], **ROOT)
        app.add_api_route("/titles", self.titles, methods=["GET"], **TITLES)

    async def root(self, request: Request) -> Response:
        """Redirects to the list of titles."""
        return RedirectResponse(self._context.url(request.scope, "/titles"), 307)

    async def titles(
        self,
        request: Request,
        after: After = "",
        limit: ManyTitles = MANY_TITLES,
        q: Prefix = "",
        status: OnlyStatus = None,
    ) -> Response:
        """The titles, in order, as the store lists them: a listing can't be verified."""
        page = self._context.wants_html(request.scope)
        prefix = "".join(q.split()).upper() if page else q  # as people type them
        valid = not prefix or is_title_number(prefix)
        if not (page or valid):
            raise InvalidError(
                f"no title number begins like this: {q!a:.80}",
                hint="capitals, digits, - and _, as in TN1234567; 32 at most",
            )

        def read() -> Response:
            if not valid:  # a search that finds nothing, with its form to try again
                pages = self._context.pages(request.scope)
                return html(request, pages.titles(titles=[], query=prefix, next_url=None))
            found = list(self._context.ledger.titles(prefix=prefix, after=after, limit=limit + 1))
            if not found:
                self._context.check_store()
            listed, more = found[:limit], len(found) > limit
            url = self._next(request, listed[-1], limit, prefix, status) if more else None
            if status is not None:
                listed = list(self._context.ledger.history.with_status(listed, status))
            if page:
                pages = self._context.pages(request.scope)
                return html(request, pages.titles(titles=listed, query=prefix, next_url=url))
            return answer(
                request,
                to_json({"titles": [self._url(request, name) for name in listed]}),
                cache="no-store" if self._presigner else REVALIDATE,
                headers={"Link": f'<{url}>; rel="next"'} if url else {},
            )

        return await self._context.run("titles", read)

    def _url(self, request: Request, title_number: str) -> str:
        if self._presigner:
            return self._presigner.presign(head_key(title_number), self._seconds)
        return self._context.url(request.scope, f"/titles/{title_number}")

    def _next(
        self, request: Request, last: str, limit: int, prefix: str, status: str | None
    ) -> str:
        query: dict[str, str | int] = {"after": last, "limit": limit}
        query |= ({"q": prefix} if prefix else {}) | ({"status": status} if status else {})
        return self._context.url(request.scope, "/titles", **query)
