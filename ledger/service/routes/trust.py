"""Show whose keys count: the trust files that this service goes by.

A client trusts none of it: it has the sha256 of a file from elsewhere, and the rest follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import Response  # noqa: TC002 -- FastAPI reads the annotations
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import NotFoundError
from ledger.format.report import finding_json
from ledger.service.http.answers import answer, html, to_json
from ledger.service.http.parameters import TrustVersion  # noqa: TC001 -- FastAPI reads the annotations
from ledger.service.openapi.routes import TRUST, TRUST_FILE
from ledger.titles.trust_files import accepted_by
from ledger.trust.explain import trust_json

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ledger.service.context import Context
    from ledger.trust.chain import Trust


class TrustRoutes:
    """The routes ``/trust`` and ``/trust/{version}``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ledger = context.ledger

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to the application."""
        app.add_api_route("/trust", self.trust, methods=["GET"], **TRUST)
        app.add_api_route("/trust/{version}", self.trust_file, methods=["GET"], **TRUST_FILE)

    async def trust(self, request: Request) -> Response:
        """The newest trust file that this service accepts, and the one that it has pinned."""

        def read() -> Response:
            trust = self._accepted()
            shown = trust_json(trust.files[:-1], trust.newest)
            shown["pinned"] = {"version": trust.root.version, "trust": trust.root.digest}
            findings = self._context.trust_findings()
            if self._context.wants_html(request.scope):
                pages = self._context.pages(request.scope)
                return html(request, pages.trust(shown=shown, trust=trust, findings=findings))
            shown["findings"] = [finding_json(finding) for finding in findings]
            return answer(request, to_json(shown))

        return await self._context.run("trust", read)

    async def trust_file(self, request: Request, version: TrustVersion) -> Response:
        """The exact bytes of a trust file that this service accepts."""

        def read() -> Response:
            found = self._accepted().file(version)
            if found is None:
                raise NotFoundError(
                    f"this service accepts no trust file of version {version}",
                    hint="/trust shows the newest",
                )
            return answer(request, found.encode(), negotiated=False)

        return await self._context.run("trust-file", read)

    def _accepted(self) -> Trust:
        trust = accepted_by(self._ledger.keyring)
        if trust is None:
            raise NotFoundError(
                "this service has pinned no trust file: the keys in its keyring count",
                hint="'ledger trust pin' pins one",
            )
        return trust
