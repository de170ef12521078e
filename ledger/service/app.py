"""Put the application together: the routes, and the middleware around them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from ledger import __version__
from ledger.errors import InvalidError
from ledger.service.answering import AnsweringStore
from ledger.service.context import Context
from ledger.service.http.errors import MethodNotAllowed, RequestError, UnknownPath
from ledger.service.http.parameters import only_known_parameters
from ledger.service.metrics import Metrics
from ledger.service.middleware import middleware_of
from ledger.service.openapi.routes import build_contract
from ledger.service.routes.changes import ChangeRoutes
from ledger.service.routes.copies import CopyRoutes
from ledger.service.routes.health import HealthRoutes
from ledger.service.routes.listing import ListingRoutes
from ledger.service.routes.log import LogRoutes
from ledger.service.routes.objects import ObjectRoutes
from ledger.service.routes.plain import PlainRoute
from ledger.service.routes.registrations import RegistrationRoutes
from ledger.service.routes.titles import TitleRoutes
from ledger.service.routes.trust import TrustRoutes
from ledger.service.routes.writes import WriteRoutes
from ledger.service.settings import Settings
from ledger.service.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from ledger.ledger import Ledger
    from ledger.service.indexer import Indexer
    from ledger.service.reload import Access
    from ledger.service.sealer import Sealer
    from ledger.service.workers import Worker
    from ledger.stores import Store

DEFAULTS = Settings()
PROBES = 3
"""Threads for ``/readyz``, for ``/metrics``, and for reading the keyring and the tokens again."""
PROBE_PATIENCE = 1.0
PROBE_TIMEOUT = 8.0
"""Seconds. Prometheus waits for 10, if it is not told otherwise."""


def create_app(
    ledger: Ledger,
    settings: Settings = DEFAULTS,
    sealer: Sealer | None = None,
    read_access: Callable[[], Access] | None = None,
    indexer: Indexer | None = None,
    *,
    worker: Worker | None = None,
) -> FastAPI:
    """Create the service of a ledger, an ASGI application: run it with any server, or mount it.

    The caller closes the ledger, and starts and stops the ``sealer`` and the ``indexer``; the
    service only shows how they are doing, and searches the index. ``read_access`` reads the keyring
    and the tokens, which the service does again every now and then. ``worker``: this process is one
    of several. Raises InvalidError if the settings don't fit the store.
    """
    context = _context_of(ledger, settings, sealer, read_access, indexer, worker=worker)
    app = FastAPI(
        title="Title Ledger",
        version=__version__,
        openapi_url=None,  # ours is complete, and /docs needs no CDN
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=middleware_of(context),
        dependencies=[Depends(only_known_parameters)],
        exception_handlers={
            HTTPException: _refuse_route,
            RequestValidationError: _refuse_parameters,
        },
    )

    @lru_cache(maxsize=8)
    def contract(base: str = "") -> dict[str, Any]:
        return build_contract(app, settings, base)

    app.state.context = context  # for whoever runs the service
    app.openapi = contract  # type: ignore[method-assign]
    app.router.route_class = PlainRoute
    for routes in (
        ListingRoutes(context),
        WriteRoutes(context),
        RegistrationRoutes(context),
        TitleRoutes(context),
        CopyRoutes(context),
        LogRoutes(context),
        ChangeRoutes(context),
        TrustRoutes(context),
        ObjectRoutes(context),
        HealthRoutes(context, contract),
    ):
        routes.add_to(app)
    return app


def _context_of(
    ledger: Ledger,
    settings: Settings,
    sealer: Sealer | None,
    read_access: Callable[[], Access] | None,
    indexer: Indexer | None,
    *,
    worker: Worker | None,
) -> Context:
    metrics = Metrics(worker)
    store = AnsweringStore(ledger.history.store)
    ledger.history.store = cast("Store", store)
    threads = Threads(settings.concurrency, settings.patience, settings.timeout, metrics)
    probes = Threads(PROBES, PROBE_PATIENCE, min(settings.timeout, PROBE_TIMEOUT), metrics)
    context = Context(
        *(ledger, settings, store, threads, probes, metrics, sealer, read_access, indexer, worker)
    )
    metrics.watch(context.states)
    _ = context.log, context.reload  # made now, not while the first request waits
    return context


async def _refuse_route(request: Request, error: Exception) -> Response:
    """Refuse an unknown path or method. OPTIONS lists the methods (RFC 9110, section 9.3.7)."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- for the type checker
    path = request.scope["path"]
    if path == "*" and request.method == "OPTIONS":  # RFC 9110, section 9.3.7
        return Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS, POST"})
    if error.status_code == 404:
        raise UnknownPath(f"there is nothing at {path!a:.200}", hint="see /docs") from None
    if error.status_code != 405:
        raise RequestError(str(error.detail)) from None
    allow = ", ".join(sorted(_methods(request)))
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allow})
    raise MethodNotAllowed(
        f"{path!a:.200} does not support {request.method!a:.20}",
        hint=f"it supports {allow}",
        headers=(("Allow", allow),),
    ) from None


def _methods(request: Request) -> set[str]:
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", set())
    return methods | {"HEAD"} if "GET" in methods else methods


async def _refuse_parameters(_request: Request, error: Exception) -> NoReturn:
    """Refuse a parameter that FastAPI did not accept."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- for the type checker
    wrong = [f"{each['loc'][-1]}: {_why(each)}" for each in error.errors()]
    raise InvalidError(f"invalid parameter: {'; '.join(wrong)!s:.400}") from None


def _why(fault: dict[str, Any]) -> str:
    """Say what is wrong with a parameter; of a pattern, only addresses have one."""
    if fault["type"] == "string_pattern_mismatch":
        return "not an address, which is 64 digits of 0-9 and a-f"
    return str(fault["msg"]).removeprefix("Value error, ")
