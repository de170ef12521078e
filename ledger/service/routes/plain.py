"""Call an endpoint directly if a request has nothing that FastAPI would have to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.requests import Request

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class PlainRoute(APIRoute):
    """A route whose parameters are text in the path, or have defaults and are in the query.

    Without a query there is nothing to convert, to refuse or to fill in, but FastAPI takes longer
    over that than the ledger over reading a title. Routes of another kind are as FastAPI's.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # Every endpoint answers with a Response; None spares FastAPI to look that up.
        super().__init__(*arguments, **named | {"response_model": None})
        reads = self.dependant
        self._is_plain = (
            all(
                field.field_info.annotation is str and not field.field_info.metadata
                for field in reads.path_params
            )
            and not any(field.field_info.is_required() for field in reads.query_params)
            and not (reads.header_params or reads.cookie_params or reads.body_params)
        )
        self._takes_request = reads.request_param_name is not None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if (
            scope["query_string"]
            or not self._is_plain
            or scope["method"] not in (self.methods or ())
        ):
            await super().handle(scope, receive, send)
            return
        given = {"request": Request(scope, receive, send)} if self._takes_request else {}
        response = await self.endpoint(**given, **scope["path_params"])
        await response(scope, receive, send)
