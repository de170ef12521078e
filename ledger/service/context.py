"""Hold what every route needs: the ledger, the threads, the URLs and the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ledger.service.http.headers import one_header, prefers_html
from ledger.service.log_view import LogView
from ledger.service.pages.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.types import Scope

    from ledger.ledger import Ledger
    from ledger.service.metrics import Metrics
    from ledger.service.sealer import Sealer
    from ledger.service.settings import Settings
    from ledger.service.threads import Threads

__all__ = ["Call", "Context"]


@dataclass(slots=True)
class Call:
    """A request, as the access log will show it."""

    request_id: str
    token: str = ""
    """The caller's name: that of the token or login that came with the request."""


@dataclass(frozen=True)
class Context:
    """What the routes of one ledger share."""

    ledger: Ledger
    settings: Settings
    threads: Threads = field(repr=False)
    metrics: Metrics = field(repr=False)
    sealer: Sealer | None = field(default=None, repr=False)
    """Seals the log while the service runs; None: the service does not seal."""

    def url(self, scope: Scope, path: str, **query: str | int) -> str:
        """Build the absolute URL of a page, as this client sees it."""
        base = self.settings.public_url
        if not base:
            base = f"{scope['scheme']}://{_host(scope)}{scope.get('root_path', '')}"
        return f"{base}{path}?{urlencode(query)}" if query else f"{base}{path}"

    def base_path(self, scope: Scope) -> str:
        """Return what comes before the path of every page, as this client sees it."""
        url = self.settings.public_url
        return self.settings.base_path if url else str(scope.get("root_path", ""))

    def wants_html(self, scope: Scope) -> bool:
        """Tell whether this client prefers HTML to JSON."""
        accept = b", ".join(value for name, value in scope["headers"] if name == b"accept")
        return prefers_html(accept.decode("latin-1"))

    @cached_property
    def for_ever(self) -> str:
        """The Cache-Control header of an answer that never changes."""
        public = self.settings.public_read or not self.settings.tokens
        # A shared cache must not keep what only a token may see (RFC 9111, section 3.5).
        return f"{'public' if public else 'private'}, max-age=31536000, immutable"

    def now(self) -> datetime:
        """The instant that "today" means in a question about the law, in the service's zone."""
        return self.ledger.clock().astimezone(self.settings.zone)

    @cached_property
    def log(self) -> LogView:
        """The transparency log, as the routes look at it."""
        return LogView(self.ledger)

    def pages(self, scope: Scope) -> Pages:
        """Return the pages, with links that work wherever the service is mounted."""
        return self._pages_at(self.settings.public_url or scope.get("root_path", ""))

    @cached_property
    def _pages_at(self) -> Callable[[str], Pages]:
        ledger = self.ledger

        @lru_cache(maxsize=8)
        def pages_at(base: str) -> Pages:
            return Pages(origin=ledger.origin, keyring=ledger.keyring, base=base)

        return pages_at


def _host(scope: Scope) -> str:
    host = one_header(scope, b"host")
    if host:
        return host.decode("latin-1")
    server = scope.get("server") or ("localhost", None)  # HTTP/1.0 may come without a Host
    return f"{server[0]}:{server[1]}" if server[1] else str(server[0])
