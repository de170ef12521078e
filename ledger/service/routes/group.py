"""Say beside an endpoint which requests it answers."""

from __future__ import annotations

from functools import partial, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from ledger.service.context import Context

Endpoint = Any
"""A method that returns a response, or what will."""


class Routes:
    """Some routes of a ledger: the methods that ``route`` or ``reading`` marks, in their order."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ledger = context.ledger

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to the application."""
        for name, method in vars(type(self)).items():
            if hasattr(method, "route"):
                app.add_api_route(endpoint=getattr(self, name), **method.route)


def route(
    path: str, contract: dict[str, Any], method: str = "GET"
) -> Callable[[Endpoint], Endpoint]:
    """Answer requests to a path."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.route = {"path": path, "methods": [method], **contract}
        return endpoint

    return mark


def reading(path: str, contract: dict[str, Any], name: str) -> Callable[[Endpoint], Endpoint]:
    """Answer requests to a path in a thread, as ``Context.run`` does under this name."""

    def mark(read: Endpoint) -> Endpoint:
        @wraps(read)
        async def endpoint(self: Routes, **given: Any) -> Any:
            title_number = given.get("title_number", "")
            return await self._context.run(name, partial(read, self, **given), title_number)

        # Its annotations are names in the module that it comes from.
        endpoint.__signature__ = signature(read, eval_str=True)  # type: ignore[attr-defined]
        # Some versions of FastAPI look there whether to await what it returns.
        del endpoint.__wrapped__
        return route(path, contract)(endpoint)

    return mark
