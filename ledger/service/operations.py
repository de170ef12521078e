"""What is not about titles: health, metrics, the contract, and the files that pages need."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import LedgerError
from ledger.identity import read_origin
from ledger.service import openapi
from ledger.service.answers import JSON_TYPE, answer, html, to_json
from ledger.service.errors import NotReady, UnknownPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from ledger.service.face import Face

__all__ = ["Operations"]

STATIC = Path(__file__).parent / "static"


class Operations:
    """The routes for those who run the service, and for those who write clients."""

    def __init__(self, face: Face, contract: Callable[[], dict[str, Any]]) -> None:
        self._face = face
        self._contract = contract
        self._files = {file.name: file.read_bytes() for file in STATIC.iterdir() if file.is_file()}

    def add_to(self, app: FastAPI) -> None:
        """Add the routes, as the contract has them."""
        for path, endpoint, contract in (
            ("/healthz", self.healthz, openapi.HEALTHZ),
            ("/readyz", self.readyz, openapi.READYZ),
            ("/metrics", self.metrics, openapi.METRICS),
            ("/openapi.json", self.openapi, openapi.OPENAPI),
            ("/docs", self.docs, openapi.DOCS),
        ):
            app.add_api_route(path, endpoint, methods=["GET"], **contract)
        app.add_api_route("/static/{name}", self.static, methods=["GET"], include_in_schema=False)

    async def healthz(self) -> Response:
        """Whether the process answers; touches nothing else."""
        return Response(to_json({"status": "ok"}), media_type=JSON_TYPE)

    async def readyz(self) -> Response:
        """Whether the ledger can be read."""

        def read() -> str:
            try:
                return read_origin(self._face.ledger.store)
            except LedgerError as error:
                raise NotReady(f"the ledger can't be read: {error}", hint=error.hint) from error

        origin = await self._face.work.run("readyz", read)
        return Response(to_json({"status": "ok", "origin": origin}), media_type=JSON_TYPE)

    async def metrics(self) -> Response:
        """Counters and timings, for Prometheus."""
        metrics = self._face.metrics
        return Response(metrics.exposition(), headers={"Content-Type": metrics.content_type})

    async def openapi(self, request: Request) -> Response:
        """The contract, for machines."""
        text = json.dumps(self._contract(), indent=2)
        return answer(request, text.encode())

    async def docs(self, request: Request) -> Response:
        """The contract, for people."""
        return html(request, self._face.pages(request.scope).docs(openapi=self._contract()))

    async def static(self, request: Request, name: str, v: str = "") -> Response:  # noqa: ARG002 -- not to be refused as unknown
        """A stylesheet or a picture; ``v`` is its hash, so that another version is another URL."""
        if name not in self._files:
            raise UnknownPath(f"no such file: {name!a:.80}")
        body = self._files[name]
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        tag = hashlib.sha256(body).hexdigest()
        return answer(request, body, tag=tag, media_type=media_type, cache="public, max-age=86400")
