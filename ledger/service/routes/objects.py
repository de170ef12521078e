"""Serve the ledger's objects as they are, for copies and for auditors; see ``ledger.stores.web``.

A client trusts none of it: it has a keyring, and checks what it reads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fastapi.responses import Response  # noqa: TC002 -- FastAPI reads the annotations
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import IntegrityError, MalformedError, TrustError
from ledger.format import layout
from ledger.format.entry import is_short, short_form, version_hint
from ledger.service.http.answers import answer
from ledger.service.http.errors import UnknownPath
from ledger.service.http.parameters import ObjectKey  # noqa: TC001 -- FastAPI reads the annotations
from ledger.service.openapi.routes import OBJECT
from ledger.service.routes.group import Routes, route
from ledger.stores.base import OBJECTS_HEADER
from ledger.tlog.tiles import parse_tile

if TYPE_CHECKING:
    from ledger.service.context import Context

TOLD = (OBJECTS_HEADER, "1")
SINGLE = {layout.LEDGER_KEY, layout.LOG_CHECKPOINT, layout.LOG_STATE}
REMEMBERED = 1024
"""Heads of which it is remembered what they erase."""


class ObjectRoutes(Routes):
    """The route ``/objects/{key}``."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._erased = lru_cache(maxsize=REMEMBERED)(self._find_erased)

    @route("/objects/{key:path}", OBJECT)
    async def object(self, request: Request, key: ObjectKey) -> Response:
        """The exact bytes of one object of the ledger, without an erased text."""
        missing = UnknownPath(
            f"there is no object {key!a:.200}", hint="docs/spec.md names them", headers=(TOLD,)
        )
        if not _is_offered(key):
            raise missing

        def read() -> Response:
            data = self._read(key)
            if data is None:
                self._context.check_store()
                raise missing
            return answer(
                request,
                data,
                media_type="application/octet-stream",
                headers=dict([TOLD]),
                negotiated=False,
            )

        return await self._context.run("object", read)

    def _read(self, key: str) -> bytes | None:
        blob = self._ledger.store.get(key)
        entry = layout.parse_entry_key(key)
        if blob is None or entry is None or is_short(blob.data):
            return blob.data if blob else None
        try:
            head = self._ledger.history.head(entry[0])
            if head.address != entry[1] and version_hint(blob.data) in self._erased(
                entry[0], head.address
            ):
                return short_form(blob.data)
        except (IntegrityError, MalformedError, TrustError):
            pass  # nobody can tell what a chain orders that does not hold: the client sees it too
        return blob.data

    def _find_erased(self, title_number: str, head: str) -> frozenset[int]:
        """The versions whose texts a chain orders erased, whether it was done yet or not."""
        history = self._ledger.history
        return frozenset(history.orders(history.entry(title_number, head), 1))


def _is_offered(key: str) -> bool:
    """Whether this is the key of an object that reading needs; nothing else in the store is shown.

    The names of references and packs are left out: only a listing leads to them.
    """
    title_number, _, name = key.partition("/")
    if key in SINGLE or (layout.is_title_number(title_number) and name == layout.HEAD_NAME):
        return True
    if layout.parse_entry_key(key) or layout.parse_pending_key(key) or layout.parse_trust_key(key):
        return True
    if key.startswith(layout.sealed_key("")):
        return layout.is_title_number(key.removeprefix(layout.sealed_key("")))
    try:
        return key.startswith(layout.LOG) and bool(parse_tile(key.removeprefix(layout.LOG)))
    except MalformedError:
        return False
