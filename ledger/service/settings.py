"""The settings of the service. ``cli`` reads them from flags and the environment."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ledger.errors import InvalidError
from ledger.format.entry import MAX_BYTES

if TYPE_CHECKING:
    from ledger.service.tokens import Token

URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
HEADER = re.compile(r"(?i:x-(?!forwarded-(?:for|proto)$|request-id$)[a-z0-9-]{1,60}|remote-user)")
"""Not Host, Authorization, or another one that means something to the service."""
MAX_PRESIGN = 7 * 24 * 3600  # what Signature Version 4 allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Say how the service faces the world.

    The defaults are safe if there are tokens, or if nobody else can reach the service.

    Raises InvalidError for a setting that makes no sense.
    """

    public_url: str = ""
    """What the service's URLs begin with, as clients see them; "": what each request says."""
    allowed_hosts: frozenset[str] = frozenset()
    """The host names to answer to, without ports; empty: any."""
    tokens: tuple[Token, ...] = ()
    """Who may read and write; empty: anybody."""
    public_read: bool = False
    """Whether reading needs no token although there are tokens."""
    trusted_proxies: tuple[str, ...] = ()
    """The addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    user_header: str = ""
    """The header in which these proxies name who has signed in, and so may read; "": none."""
    require_match: bool = False
    """Whether every write must say which version it builds on (RFC 6585, section 3)."""
    max_body: int = 2 * MAX_BYTES
    """The largest body in bytes. It exceeds an entry, to leave room for indentation and escapes."""
    cors_origins: tuple[str, ...] = ()
    """The origins whose scripts may call (``https://app.example.org``); empty: no script may."""
    presign_seconds: int | None = None
    """List titles as presigned S3 URLs that are valid for so long. Each of them is a credential."""
    concurrency: int = 32
    """How many calls may use the store at once; each may have many of its requests under way."""
    patience: float = 5.0
    """How many seconds a request waits for its turn before it is refused."""
    timeout: float = 30.0
    """How many seconds a request waits in all: its client has an answer by then."""

    def __post_init__(self) -> None:
        url = self.public_url
        if url and (not URL.fullmatch(url) or url.endswith("/")):
            raise InvalidError(
                f"not a public URL: {url!a:.120}",
                hint="write https://titles.example.org or with a path, and no slash at the end",
            )
        for proxy in self.trusted_proxies:
            _check_proxy(proxy)
        if self.user_header and not HEADER.fullmatch(self.user_header):
            raise InvalidError(
                f"not the name of a header: {self.user_header!a:.60}",
                hint="write a name that only your proxy uses, such as X-Forwarded-Email",
            )
        if self.user_header and not self.trusted_proxies:
            raise InvalidError(
                "a user's header is believed only from a proxy, and none is trusted",
                hint="name the proxy's address: --trusted-proxy 127.0.0.1",
            )
        if self.presign_seconds is not None and not 0 < self.presign_seconds <= MAX_PRESIGN:
            raise InvalidError(f"presigned URLs are valid for 1 to {MAX_PRESIGN} seconds")
        if not self.timeout > 0:
            raise InvalidError(f"not a time to wait for the store: {self.timeout:g} seconds")

    @property
    def base_path(self) -> str:
        """The path in the public URL: "" or ``/titles-of-tonga``."""
        return urlsplit(self.public_url).path


def _check_proxy(address: str) -> None:
    try:
        ipaddress.ip_network(address)
    except ValueError:
        raise InvalidError(
            f"not the address of a proxy: {address!a:.60}", hint="write 10.0.0.2 or 10.0.0.0/24"
        ) from None
