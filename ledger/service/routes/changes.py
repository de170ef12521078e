"""The feed of changes, in the order of the log: as JSON, and as Atom."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi.responses import Response  # noqa: TC002 -- FastAPI reads the annotations
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.sealing.feed import LoggedChange, logged_change_json
from ledger.service.atom import ARCHIVED, ATOM_TYPE, atom_feed
from ledger.service.http.answers import answer, html, to_json
from ledger.service.http.errors import NotSealed
from ledger.service.http.parameters import MANY_CHANGES, AfterLeaf, Archive, ManyChanges
from ledger.service.openapi.routes import ATOM, CHANGES
from ledger.service.routes.group import Routes, reading
from ledger.tlog.objects import TrustLeaf


class ChangeRoutes(Routes):
    """The routes ``/changes`` and ``/changes.atom``."""

    @reading("/changes", CHANGES, "changes")
    def changes(
        self, request: Request, after: AfterLeaf = None, limit: ManyChanges = MANY_CHANGES
    ) -> Response:
        """The changes of all titles after a leaf of the log, in its order."""
        found, size = self._context.log.changes(after, limit)
        last = found[-1].index if found else after
        query = {"limit": limit} if last is None else {"after": last, "limit": limit}
        url = self._context.url(request.scope, "/changes", **query)
        shown = {"changes": [self._json(request, each) for each in found], "next": url}
        more = found and found[-1].index + 1 < size
        if self._context.wants_html(request.scope):
            pages = self._context.pages(request.scope)
            next_url = url if more else None
            return html(request, pages.changes(found, limit=limit, size=size, next_url=next_url))
        headers = {"Link": f'<{url}>; rel="next"'} if more else {}
        return answer(request, to_json(shown), headers=headers)

    def _json(self, request: Request, change: LoggedChange) -> dict[str, Any]:
        shown, links = logged_change_json(change), {}
        entry = change.entry
        if entry is not None:
            path = f"/titles/{entry.title_number}"
            links = {
                "title": self._context.url(request.scope, path),
                "entry": self._context.url(request.scope, f"{path}/entries/{entry.address}"),
                "receipt": self._context.url(
                    request.scope, f"{path}/receipt", version=entry.version
                ),
            }
        elif isinstance(change.leaf, TrustLeaf) and not change.is_disowned:
            links = {"trust": self._context.url(request.scope, f"/trust/{change.leaf.version}")}
        return shown | ({"links": links} if links else {})

    @reading("/changes.atom", ATOM, "changes-atom")
    def atom(self, request: Request, archive: Archive = None) -> Response:
        """The same as an Atom feed, with archives (RFC 5005)."""
        log = self._context.log
        full = log.checkpoint().checkpoint.size // ARCHIVED
        if archive is not None and archive >= full:
            raise NotSealed(
                f"there is no archive {archive} yet: each is {ARCHIVED} leaves of the log",
                hint="/changes.atom has the newest",
            )
        first = max(0, full - 1) if archive is None else archive
        after = first * ARCHIVED - 1
        limit = 2 * ARCHIVED if archive is None else ARCHIVED
        found, _ = log.changes(after if after >= 0 else None, limit, whole=True)
        before = first - 1 if archive is not None else full - 1
        feed = atom_feed(
            self._context.ledger.origin,
            found,
            partial(self._context.url, request.scope),
            archive=archive,
            before=before if before >= 0 else None,
        )
        return answer(request, feed, media_type=ATOM_TYPE, negotiated=False)
