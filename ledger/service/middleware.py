"""The middleware, in one place and in its order.

From the outside in:

1. ``Proxied``, if there are proxies to trust, takes from their headers who asks, and how.
2. ``Outermost`` gives the request its id, reads a target in absolute form, answers HEAD by GET,
   adds the security headers, counts and logs. It is outside of all that answers, so it sees every
   answer.
3. ``Compression`` compresses answers to GET. It is outside of whatever answers.
4. ``CORSMiddleware``, if there are origins to allow. It is outside of ``Problems``, so that
   scripts can read problems.
5. ``Problems`` turns errors into answers.
6. ``Guard`` looks at the host and the token. It is inside of ``Problems``, so that it can refuse
   by raising.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ledger.errors import LedgerError
from ledger.format.layout import is_title_number
from ledger.service.context import Call, Context
from ledger.service.http.compression import Compression
from ledger.service.http.errors import (
    Busy,
    Forbidden,
    HeadTooLarge,
    RequestError,
    TimedOut,
    Unauthorized,
    UnknownHost,
)
from ledger.service.http.headers import one_header
from ledger.service.http.problems import (
    PROBLEM_TYPE,
    damaged_title,
    problem_headers,
    problem_members,
    status_of,
)
from ledger.service.tokens import find_token

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ledger.service.metrics import Metrics
    from ledger.service.settings import Settings

ACCESS_LOG = "ledger.service.access"
SECURITY = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
            b" base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
"""Headers of every answer. Nothing inside sets any of them."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
USER = re.compile(rb"[\x21-\x7e]{1,254}")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
ABSOLUTE = re.compile(rb"(?i:https?)://(?P<host>[^/?#]*)(?P<path>/[\x21-\x7e]*)?")
CLIENT = re.compile(r"[A-Za-z0-9._:%-]{1,64}")
"""What the log calls a client; X-Forwarded-For may say anything, more than one word too."""
PROBES = {"/healthz", "/readyz"}
STATIC = ("/static/", "/robots.txt", "/favicon.ico")
CLIENT_GONE = 499
MAX_HEAD = 16 << 10
"""Bytes of a target and its headers, ended as on the wire."""
TOO_LARGE = f"the target and the headers are larger than {MAX_HEAD:,} bytes"
READING = {"GET", "HEAD", "OPTIONS"}
REALM = 'realm="title ledger"'
BY_PROXY = "ledger.user"
"""Where a scope holds the values of the header in which a trusted proxy names the user."""

CORS_SENT = [
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Ledger-Message",
    "Ledger-Message*",
    "Ledger-Effective",
    "Ledger-Effective-Until",
    "Ledger-Kind",
    "Ledger-Status",
    "Ledger-As-Document",
    "Ledger-Clamp-Time",
    "Ledger-Supersede-Later",
]
CORS_SHOWN = [
    "ETag",
    "Ledger-Address",
    "Ledger-Effective",
    "Ledger-Effective-Until",
    "Ledger-Future",
    "Ledger-Objects",
    "Ledger-Passed-Over",
    "Ledger-Standing",
    "Ledger-Status",
    "Ledger-Unchanged",
    "Link",
    "Location",
    "Retry-After",
    "X-Request-Id",
]

access: logging.Logger = logging.getLogger(ACCESS_LOG)
logger: logging.Logger = logging.getLogger("ledger.service")


def middleware_of(context: Context) -> list[Middleware]:
    """List the layers, from the outside in."""
    layers = [Middleware(Outermost, context.metrics), Middleware(Compression)]
    if context.settings.trusted_proxies:
        layers.insert(0, Middleware(Proxied, context.settings))
    if context.settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=context.settings.cors_origins,
                allow_methods=["GET", "HEAD", "POST"],
                allow_headers=CORS_SENT,
                expose_headers=CORS_SHOWN,
            )
        )
    return [*layers, Middleware(Problems, context), Middleware(Guard, context)]


class Proxied:
    """Believes the trusted proxies, and nobody else, about whom they ask for, and over what."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        # Any: uvicorn has its own types for what ASGI passes on.
        self._app: Any = ProxyHeadersMiddleware(cast("Any", app), list(settings.trusted_proxies))
        self._header = settings.user_header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as its client sent it to the proxy."""
        client = scope.get("client")  # the proxy itself, until uvicorn replaces it
        if scope["type"] == "http" and client and client[0] in self._app.trusted_hosts:
            users = (value for name, value in scope["headers"] if name == self._header)
            scope[BY_PROXY] = tuple(users)
        await self._app(scope, receive, send)


class Outermost:
    """Identifies, measures and logs every request, and marks every answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = Call(_request_id(scope), scope.get(BY_PROXY, ()))
        method, status = scope["method"], CLIENT_GONE

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                marks = (b"x-request-id", call.request_id.encode()), *SECURITY
                message["headers"] = [*message["headers"], *marks]
                if not call.addresses:
                    named = dict(message["headers"]).get(b"ledger-address", b"")
                    call.addresses = named.decode("latin-1")
            elif method == "HEAD":
                if message.get("more_body"):
                    return
                message = {**message, "body": b""}
            await send(message)

        # A copy: the server must still see HEAD.
        inner = {**scope, "method": "GET" if method == "HEAD" else method, "ledger": call}
        _take_absolute(inner)
        started = perf_counter()
        try:
            await self._app(inner, receive, marked)
        finally:
            seconds = perf_counter() - started
            self._metrics.answered(_route(inner), method, status, seconds)
            named = inner.get("path_params", {}).get("title_number")
            if isinstance(named, str) and is_title_number(named):
                call.titles = named
            _log(scope, call, status, seconds * 1000)


def _take_absolute(scope: Scope) -> None:
    """Read ``GET http://host/path``, whose host replaces the header (RFC 9112, section 3.2.2)."""
    raw: bytes = scope.get("raw_path") or b""
    root = scope.get("root_path", "")
    match = ABSOLUTE.fullmatch(raw.removeprefix(root.encode()))
    if match is None:
        return
    raw_path = match["path"] or b"/"
    others = [(name, value) for name, value in scope["headers"] if name != b"host"]
    scope["headers"] = [(b"host", match["host"]), *others]
    scope["raw_path"] = root.encode() + raw_path
    scope["path"] = root + unquote(raw_path.decode("ascii"))


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value.decode("latin-1")):
            return str(value.decode())
    return secrets.token_hex(8)


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return getattr(route, "path", None) or "unmatched"


def _log(scope: Scope, call: Call, status: int, milliseconds: float) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    # The raw path: percent-encoded, it can't break a line. No query: it may hold a secret.
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "backslashreplace")
    client = (scope.get("client") or ("",))[0]
    fields = {
        "method": scope["method"],
        "path": raw.partition(b"?")[0].decode("latin-1")[:500],
        "status": status,
        "ms": round(milliseconds, 1),
        "request_id": call.request_id,
        "client": client if CLIENT.fullmatch(client) else "-",
        "caller": call.caller or "-",
        "title": call.titles or "-",
        "address": call.addresses or "-",
    }
    text = (
        "%(method)s %(path)a %(status)s %(ms)s ms %(request_id)s %(client)s %(caller)s"
        " %(title)s %(address)s"
    )
    access.info(text, fields, extra={"request": fields})


class Unexpected(LedgerError):
    """A defect of ours. The details go to the log, not to the client."""

    slug = "unexpected"


class Problems:
    """Answers for every error that the layers inside raise."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and answer if what is inside raises before it has begun to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return  # there is nobody left to answer
        except Exception as error:
            if begun:
                raise
            await self._answer(scope, error)(scope, receive, send)

    def _answer(self, scope: Scope, error: Exception) -> Response:
        known = error if isinstance(error, LedgerError) else Unexpected("an unexpected error")
        if known is not error:
            logger.error("unexpected: %s", type(error).__name__, exc_info=error)
        elif status_of(known) >= 500:
            logger.warning("%s: %a", known.slug, str(known))
        members = problem_members(known, docs=f"{self._context.base_path(scope)}/docs")
        title_number = damaged_title(known, scope.get("path_params", {}).get("title_number"))
        if title_number:
            path = f"/titles/{title_number}/verification"
            members["verification"] = self._context.url(scope, path)
        if self._context.wants_html(scope):
            names = ("status", "title", "detail", "slug", "hint")
            body = self._context.pages(scope).render(
                "problem.html", **{name: members[name] for name in names}, damaged=title_number
            )
            answer = Response(body, members["status"], media_type="text/html")
        else:
            text = json.dumps(members, ensure_ascii=True)
            answer = Response(text, members["status"], media_type=PROBLEM_TYPE)
        for name, value in problem_headers(known):
            answer.headers.append(name, value)
        return answer


class Guard:
    """Checks the framing, the host and the caller of a request."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._settings = context.settings
        self._reload = context.reload
        self._probes = context.probes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or raise RequestError."""
        if scope["type"] == "http":
            if self._reload.is_due:
                with suppress(Busy, TimedOut):  # what was read last holds until it succeeds
                    await self._probes.run("reload", lambda _: self._reload.run())
            self._check(scope, scope["path"].removeprefix(scope.get("root_path", "")))
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, path: str) -> None:
        _check_framing(scope)
        if path in PROBES:  # a probe has no token, and may call any address
            return
        self._check_host(scope)
        if not path.startswith(STATIC):  # a refusal may be a page that needs its stylesheet
            self._check_caller(scope["ledger"], scope)

    def _check_host(self, scope: Scope) -> None:
        # This also protects a service on localhost from pages that rebind their own name.
        value = one_header(scope, b"host")
        if value is None:
            return
        match = HOST.fullmatch(value.decode("latin-1"))
        if match is None:
            raise RequestError("the Host header is not a valid host")
        allowed = self._settings.allowed_hosts
        if allowed and match[1].lower() not in allowed:
            raise UnknownHost(
                f"this service does not answer for {match[1]}", hint="see --allowed-host"
            )

    def _check_caller(self, call: Call, scope: Scope) -> None:
        tokens = self._reload.access.tokens
        if not tokens and not self._settings.user_header:
            return
        authorization = one_header(scope, b"authorization")
        reads = scope["method"] in READING
        if authorization is None:
            call.caller = _user(call)
            if reads and (call.caller or self._settings.public_read):
                return
            raise Unauthorized("a token is required", headers=self._challenges())
        token = find_token(tokens, authorization)
        if token is None:
            raise Unauthorized(
                "this token is not known", headers=self._challenges('error="invalid_token"')
            )
        call.caller = token.name
        if not (reads or token.may_write):
            raise Forbidden(
                f"the token of {token.name} may only read",
                headers=(("WWW-Authenticate", f'Bearer {REALM}, error="insufficient_scope"'),),
            )

    def _challenges(self, error: str = "") -> tuple[tuple[str, str], ...]:
        bearer = f"Bearer {REALM}, {error}" if error else f"Bearer {REALM}"
        schemes = sorted({token.scheme for token in self._reload.access.tokens} or {"bearer"})
        challenges = {"bearer": bearer, "basic": f'Basic {REALM}, charset="UTF-8"'}
        return tuple(("WWW-Authenticate", challenges[scheme]) for scheme in schemes)


def _user(call: Call) -> str:
    """Return who has signed in at the proxy, or ""; raises RequestError if that is not clear."""
    if not call.user:
        return ""
    if len(call.user) > 1 or not USER.fullmatch(call.user[0]):
        raise RequestError("the proxy's header does not name one user")
    return call.user[0].decode("ascii")


def _check_framing(scope: Scope) -> None:
    """Refuse a head that is too long, or a body whose length a proxy may see otherwise.

    See RFC 9112, section 6.1.
    """
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
    if size > MAX_HEAD:
        raise HeadTooLarge(TOO_LARGE)
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" in names and scope.get("http_version") == "1.0":
        raise RequestError("HTTP/1.0 has no Transfer-Encoding", headers=(("Connection", "close"),))
    if {b"content-length", b"transfer-encoding"} <= names:
        raise RequestError(
            "Content-Length and Transfer-Encoding exclude each other",
            headers=(("Connection", "close"),),
        )
