"""The list of titles."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fastapi.responses import RedirectResponse, Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import InvalidError, NotFoundError, NotProven
from ledger.format.layout import head_key, is_title_number
from ledger.format.times import as_bound
from ledger.service.http.answers import REVALIDATE, answer, html, to_json
from ledger.service.http.errors import NotReady
from ledger.service.http.parameters import (
    MANY_TITLES,
    After,
    Effective,
    ManyTitles,
    OnlyStatus,
    Recorded,
    Search,
)
from ledger.service.openapi.routes import ROOT, TITLES
from ledger.service.routes.group import Routes, route

if TYPE_CHECKING:
    from ledger.index import Coverage, Found, Index
    from ledger.service.context import Context

OF_AN_INDEX = ("leaf", "updated_at", "waiting", "left_out")
"""What an answer says of the index that was searched."""

MATCHES, MATCH_CHARS = 2, 80
"""How many values, and how much of each, a page shows of what a search found."""


@runtime_checkable
class Presigner(Protocol):
    """A store whose objects can be read through URLs that need no credentials."""

    def presign(self, key: str, seconds: int) -> str:
        """The URL."""
        ...


class ListingRoutes(Routes):
    """The routes ``/`` and ``/titles``."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        store, seconds = context.ledger.store, context.settings.presign_seconds
        self._presigner = store if isinstance(store, Presigner) and seconds else None
        self._seconds = seconds or 0
        if seconds and self._presigner is None:
            raise InvalidError(
                f"{store.url} has no presigned URLs", hint="leave --presign out: only S3 has them"
            )

    @route("/", ROOT)
    async def root(self, request: Request) -> Response:
        """Redirects to the list of titles."""
        return RedirectResponse(self._context.url(request.scope, "/titles"), 307)

    @route("/titles", TITLES)
    async def titles(
        self,
        request: Request,
        *,
        after: After = "",
        limit: ManyTitles = MANY_TITLES,
        q: Search = "",
        effective: Effective = None,
        recorded: Recorded = None,
        status: OnlyStatus = None,
    ) -> Response:
        """The titles, in order, as the store lists them: a listing can't be verified.

        With q, the titles that a search finds; with effective or recorded, by the version of then.
        """
        text = q.strip()
        asked = {"effective": effective, "recorded": recorded}
        days = {name: day for name, day in asked.items() if day is not None}
        for day in set(days.values()) - {"today"}:
            as_bound(day)
        if days and not (text and self._index):
            what = "q" if self._index else "an index, which this service doesn't have"
            raise InvalidError(f"{' and '.join(days)}: a search of a day needs {what}")

        def read() -> Response:
            coverage = None
            why: dict[str, list[str]] = {}
            try:
                if text and self._index:
                    coverage = self._coverage(self._index)
                    found = self._index.find(
                        text, effective=effective, recorded=recorded, after=after, limit=limit + 1
                    )
                    why = {each.title_number: _matching(each, text) for each in found}
                    titles = list(why)
                else:
                    titles = self._list(text, after, limit)
            except InvalidError:
                if not self._context.wants_html(request.scope):
                    raise
                titles = []  # with the form, to try again
            listed, url = titles[:limit], None
            if len(titles) > limit:
                given = ({"q": text, **days} if text else {}) | (
                    {"status": status} if status else {}
                )
                query = {"after": listed[-1], "limit": str(limit), **given}
                url = self._context.url(request.scope, "/titles", **query)
            if status is not None:
                listed = list(self._context.ledger.history.with_status(listed, status))
            return self._answer(request, listed, text, url, coverage=coverage, why=why)

        return await self._context.run("titles", read)

    def _coverage(self, index: Index) -> Coverage:
        try:
            return index.coverage()
        except (NotFoundError, NotProven) as error:
            raise NotReady(f"the index is not ready: {error}", hint="try again later") from error

    @property
    def _index(self) -> Index | None:
        return self._context.indexer.index if self._context.indexer else None

    def _list(self, text: str, after: str, limit: int) -> list[str]:
        prefix = "".join(text.split()).upper()  # as people type them
        if prefix and not is_title_number(prefix):
            raise InvalidError(
                f"no title number begins like this: {text!a:.80}",
                hint="letters, digits, - and _, as in TN1234567; 64 at most",
            )
        found = list(self._context.ledger.titles(prefix=prefix, after=after, limit=limit + 1))
        if not found:
            self._context.check_store()
        return found

    def _answer(
        self,
        request: Request,
        listed: list[str],
        text: str,
        url: str | None,
        *,
        coverage: Coverage | None,
        why: dict[str, list[str]],
    ) -> Response:
        if self._context.wants_html(request.scope):
            shown = self._context.pages(request.scope).render(
                "titles.html",
                titles=listed,
                query=text,
                next_url=url,
                searches=self._index is not None,
                index=coverage,
                why=why,
            )
            return html(request, shown)
        body: dict[str, Any] = {"titles": [self._url(request, name) for name in listed]}
        if coverage is not None:
            body["index"] = {name: getattr(coverage, name) for name in OF_AN_INDEX}
        return answer(
            request,
            to_json(body),
            cache="no-store" if self._presigner else REVALIDATE,
            headers={"Link": f'<{url}>; rel="next"'} if url else {},
        )

    def _url(self, request: Request, title_number: str) -> str:
        if self._presigner:
            return self._presigner.presign(head_key(title_number), self._seconds)
        return self._context.url(request.scope, f"/titles/{title_number}")


def _matching(found: Found, text: str) -> list[str]:
    """The first values of a version that have a word of a search in them, to tell it by."""
    from ledger.index.search import collect_texts  # noqa: PLC0415 -- only with an index

    terms = [term.removesuffix("*").casefold() for term in text.split()]
    values = [found.reference]
    collect_texts(found.document, values)
    matching = (each for each in values if any(term in each.casefold() for term in terms))
    return [each[:MATCH_CHARS] for each in islice(matching, MATCHES)]
