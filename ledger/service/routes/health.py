"""Health, metrics, the description of the API, and the files that pages need."""

from __future__ import annotations

import hashlib
import json
import logging
import mimetypes
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import Lock
from fastapi.responses import RedirectResponse, Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import LedgerError
from ledger.service.http.answers import JSON_TYPE, answer, html, to_json
from ledger.service.http.errors import NotReady, UnknownPath
from ledger.service.http.problems import problem_kinds
from ledger.service.openapi.routes import DOCS, HEALTHZ, METRICS, OPENAPI, READYZ
from ledger.service.routes.group import Routes, route

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.service.context import Context
    from ledger.service.metrics import LogFigures
    from ledger.service.workers import State

UNDESCRIBED = {"include_in_schema": False}
STATIC = Path(__file__).parents[1] / "pages" / "static"
ROBOTS = b"User-agent: *\nDisallow: /\n"
PROBE_SECONDS = 1.0
"""How long the result of a probe is reused, so that probes can't keep the store busy."""
FIGURES_SECONDS = 15.0
"""How long figures of the log are reused. Finding them lists all that waits."""

logger: logging.Logger = logging.getLogger("ledger.service")


class HealthRoutes(Routes):
    """The routes for those who run the service, and for those who write clients."""

    def __init__(self, context: Context, contract: Callable[[str], dict[str, Any]]) -> None:
        super().__init__(context)
        self._probing = Lock()
        self._probed_until = 0.0
        self._probed: LedgerError | None = None
        self._figuring = Lock()
        self._figured_until = 0.0

        # Rendering takes long enough to delay other requests.
        @lru_cache(maxsize=8)
        def described(base: str) -> bytes:
            return json.dumps(contract(base), indent=2).encode()

        @lru_cache(maxsize=8)
        def docs(base: str) -> str:
            return context.pages_at(base).docs(
                openapi=contract(""), problems=sorted(problem_kinds())
            )

        self._described = described
        self._docs = docs
        self._files = {file.name: file.read_bytes() for file in STATIC.iterdir() if file.is_file()}

    @route("/healthz", HEALTHZ)
    async def healthz(self) -> Response:
        """Whether the process answers. It touches nothing else."""
        found = self._background(self._context.states())
        return Response(to_json({"status": "ok", **found}), media_type=JSON_TYPE)

    def _background(self, states: list[State]) -> dict[str, str]:
        """Show how sealing and indexing are going. A service that can't do so can still serve."""
        found = {}
        for each in states:
            if each.sealing:
                found["sealing"] = each.sealing.state
            if each.indexing:
                found["indexing"] = each.indexing
        return found

    @route("/readyz", READYZ)
    async def readyz(self) -> Response:
        """Whether the ledger can be read, or could a moment ago."""
        async with self._probing:  # requests that come meanwhile get the same answer
            if monotonic() >= self._probed_until:
                self._probed = await self._probe()
                self._probed_until = monotonic() + PROBE_SECONDS
        if self._probed is not None:
            raise NotReady(str(self._probed), hint=self._probed.hint) from self._probed
        states = self._context.states()
        found = {name: said for each in states for name, said in each.problems.items()}
        status = "degraded" if found else "ok"
        shown = {"status": status, "origin": self._context.ledger.origin, **found}
        shown |= self._background(states)
        return Response(to_json(shown), media_type=JSON_TYPE)

    async def _probe(self) -> LedgerError | None:
        try:
            await self._context.probes.run("readyz", lambda _: self._context.check_store())
        except LedgerError as error:
            return error
        return None

    @route("/metrics", METRICS)
    async def metrics(self) -> Response:
        """Counters and timings, for Prometheus."""
        metrics = self._context.metrics
        async with self._figuring:
            if monotonic() >= self._figured_until:
                metrics.log_is(await self._figure())
                self._figured_until = monotonic() + FIGURES_SECONDS
        return Response(metrics.exposition(), headers={"Content-Type": metrics.content_type})

    async def _figure(self) -> LogFigures | None:
        try:
            return await self._context.probes.run("metrics", lambda _: self._context.log.figures())
        except LedgerError as error:
            logger.warning("cannot measure the log: %s: %a", error.slug, str(error))
            return None

    @route("/openapi.json", OPENAPI)
    async def openapi(self, request: Request) -> Response:
        """The description of the API, for programs."""
        base = self._context.base_path(request.scope)
        return answer(request, self._described(base), negotiated=False)

    @route("/docs", DOCS)
    async def docs(self, request: Request) -> Response:
        """The description of the API, for people."""
        base = self._context.settings.public_url or request.scope.get("root_path", "")
        return html(request, self._docs(base))

    @route("/robots.txt", UNDESCRIBED)
    async def robots(self, request: Request) -> Response:
        """Ask search engines to stay away: titles name people."""
        return answer(request, ROBOTS, media_type="text/plain", negotiated=False)

    @route("/favicon.ico", UNDESCRIBED)
    async def favicon(self, request: Request) -> Response:
        """The icon, where programs look for it that read no page."""
        return RedirectResponse(self._context.url(request.scope, "/static/icon.svg"), 307)

    @route("/static/{name}", UNDESCRIBED)
    async def static(self, request: Request, name: str, v: str = "") -> Response:  # noqa: ARG002 -- not to be refused as unknown
        """A stylesheet or a picture. ``v`` is its hash, so that each version has its own URL."""
        if name not in self._files:
            raise UnknownPath(f"no such file: {name!a:.80}")
        body = self._files[name]
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        tag = hashlib.sha256(body).hexdigest()
        return answer(request, body, tag=tag, media_type=media_type, cache="public, max-age=86400")
