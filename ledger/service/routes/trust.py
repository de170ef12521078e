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
from ledger.service.routes.group import Routes, reading
from ledger.titles.trust_files import accepted_by
from ledger.trust.explain import trust_json

if TYPE_CHECKING:
    from ledger.trust.chain import Trust


class TrustRoutes(Routes):
    """The routes ``/trust`` and ``/trust/{version}``."""

    @reading("/trust", TRUST, "trust")
    def trust(self, request: Request) -> Response:
        """The newest trust file that this service accepts, and the one that it has pinned."""
        trust = self._accepted()
        shown = trust_json(trust.files[:-1], trust.newest)
        shown["pinned"] = {"version": trust.root.version, "trust": trust.root.digest}
        findings = self._context.trust_findings()
        if self._context.wants_html(request.scope):
            pages = self._context.pages(request.scope)
            return html(request, pages.trust(shown=shown, trust=trust, findings=findings))
        shown["findings"] = [finding_json(finding) for finding in findings]
        return answer(request, to_json(shown))

    @reading("/trust/{version}", TRUST_FILE, "trust-file")
    def trust_file(self, request: Request, version: TrustVersion) -> Response:
        """The exact bytes of a trust file that this service accepts."""
        found = self._accepted().file(version)
        if found is None:
            raise NotFoundError(
                f"this service accepts no trust file of version {version}",
                hint="/trust shows the newest",
            )
        return answer(request, found.encode(), negotiated=False)

    def _accepted(self) -> Trust:
        trust = accepted_by(self._ledger.keyring)
        if trust is None:
            raise NotFoundError(
                "this service has pinned no trust file: the keys in its keyring count",
                hint="'ledger trust pin' pins one",
            )
        return trust
