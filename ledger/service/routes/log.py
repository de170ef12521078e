"""Serve the transparency log: its files, as c2sp.org/tlog-tiles names them, and receipts.

A client trusts none of it: it checks that the tiles lead to the root of a checkpoint.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi.responses import Response  # noqa: TC002 -- FastAPI reads the annotations
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import IntegrityError, MalformedError
from ledger.format.layout import tile_key
from ledger.format.times import format_time
from ledger.service.http.answers import answer, html
from ledger.service.http.errors import UnknownPath
from ledger.service.http.parameters import TilePath, TitleNumber, Version  # noqa: TC001 -- FastAPI reads the annotations
from ledger.service.openapi.routes import CHECKPOINT, LOG, RECEIPT, TILE
from ledger.service.routes.group import Routes, reading, route
from ledger.tlog.tiles import ENTRIES, HEIGHT, WIDTH, Tile, check_tile, decode_entries, parse_tile

if TYPE_CHECKING:
    from ledger.service.context import Context

TEXT_TYPE = "text/plain; charset=utf-8"
TILE_TYPE = "application/octet-stream"


class LogRoutes(Routes):
    """The routes below ``/log``, and that of a title's receipt."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._size = 0  # the largest that was seen: a log only grows

    @reading("/log", LOG, "log")
    def log(self, request: Request) -> Response:
        """The transparency log, for people: its size, its witnesses, what waits, what is new."""
        context, sealer = self._context, self._context.sealer
        found = context.log.overview(sealer.policy if sealer else None, self._ledger.clock())
        if found.signed is None:
            context.check_store()
        sealed = sealer.sealing.sealed_at if sealer else None
        contradicted = {each: None for state in context.states() for each in state.contradicted}
        page = context.pages(request.scope).render(
            "log.html",
            log=found,
            sealed_at=format_time(datetime.fromtimestamp(sealed, UTC)) if sealed else None,
            contradicted=tuple(contradicted),
        )
        return html(request, page)

    @reading("/log/checkpoint", CHECKPOINT, "log-checkpoint")
    def checkpoint(self, request: Request) -> Response:
        """The signed checkpoint of the transparency log: its size and its root."""
        note = self._context.log.checkpoint().note
        return answer(request, note, media_type=TEXT_TYPE, negotiated=False)

    @route("/log/tile/{path:path}", TILE)
    async def tile(self, request: Request, path: TilePath) -> Response:
        """A tile of the transparency log: up to 256 hashes or leaves."""
        try:
            tile = parse_tile(f"tile/{path}")
        except MalformedError as error:
            raise UnknownPath(f"no such tile: {error}", hint="see c2sp.org/tlog-tiles") from error

        def read() -> Response:
            return answer(
                request,
                self._read(tile),
                media_type=TILE_TYPE,
                cache=self._context.for_ever,
                negotiated=False,
            )

        return await self._context.run("log-tile", read)

    def _read(self, tile: Tile) -> bytes:
        # Nothing beyond the checkpoint: it is not final, and a cache would keep it for ever.
        if not _is_in(tile, self._size):
            self._size = self._context.log.checkpoint().checkpoint.size
        missing = UnknownPath(f"the log has no {tile.path} now", hint="see /log/checkpoint")
        if not _is_in(tile, self._size):
            raise missing
        try:
            data = self._context.log.read_tile(tile)
        except IntegrityError as error:
            if error.reason == "tile-missing" and tile.width < WIDTH:
                raise missing from error  # the log was never published with this size
            raise
        _check_shape(tile, data)
        return data

    @reading("/titles/{title_number}/receipt", RECEIPT, "receipt")
    def receipt(
        self, request: Request, title_number: TitleNumber, version: Version = None
    ) -> Response:
        """The proof that a version is in the transparency log, to check offline."""
        self._context.read_ahead(title_number, whole=version is not None)
        entry = self._ledger.entry(title_number, f"v{version}" if version else "HEAD")
        receipt = self._context.log.receipt(entry)
        name = f"{title_number}.v{entry.version}.receipt"
        named = {
            "Ledger-Address": entry.address,
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        return answer(
            request, receipt.encode(), media_type=TEXT_TYPE, headers=named, negotiated=False
        )


def _check_shape(tile: Tile, data: bytes) -> None:
    """Refuse what can't be the tile. Caches would keep it even after a repair of the store."""
    try:
        if tile.level == ENTRIES:
            decode_entries(tile, data)
        else:
            check_tile(tile, data)
    except MalformedError as error:
        key = tile_key(tile.path)
        raise IntegrityError(f"{key}: {error}", reason="wrong-root", object_key=key) from error


def _is_in(tile: Tile, size: int) -> bool:
    """Tell whether a log of this size has all that is in the tile."""
    return tile.index * WIDTH + tile.width <= size >> HEIGHT * max(tile.level, 0)
