"""Where objects lie: in memory, in a folder, in a bucket, or behind a web server."""

from __future__ import annotations

import os
import re

from ledger.errors import InvalidError
from ledger.format.given import check_given
from ledger.stores.base import CONNECTIONS, Blob, Store
from ledger.stores.folder import FolderStore
from ledger.stores.memory import MemoryStore

__all__ = [
    "CONNECTIONS",
    "MAX_CONNECTIONS",
    "Blob",
    "FolderStore",
    "MemoryStore",
    "Store",
    "open_store",
]

MAX_CONNECTIONS = 1000
# Two letters or more: "C:\titles" is nobody's scheme.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
EXPECTED = "a store is a folder's path, file:PATH, s3://BUCKET/PREFIX, https://HOST/PATH or memory:"


def open_store(
    url: str | os.PathLike[str], *, connections: int = CONNECTIONS, bearer: str | None = None
) -> Store:
    """The store of a name: ``memory:``, ``file:PATH``, a plain path, or one of the URLs below.

    ``s3://BUCKET/PREFIX`` is a bucket. ``https://HOST/PATH`` is a web server, to be read only;
    ``bearer`` is a token to send there. ``connections``: how many requests to one of these may be
    under way at once. Nothing is read or made yet. InvalidError for anything else; it does not
    repeat what it was given, for a URL may hold credentials.
    """
    if not 1 <= connections <= MAX_CONNECTIONS:
        raise InvalidError(f"not a number of connections from 1 to {MAX_CONNECTIONS}")
    check_given(url, (str, os.PathLike), EXPECTED)
    match = SCHEME.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        return FolderStore(url)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "memory" and not rest:
        return MemoryStore()
    if scheme == "file":
        return FolderStore(_file_path(rest))
    if scheme == "s3" and rest.startswith("//"):
        return _open_s3(rest.removeprefix("//"), connections)
    if scheme in {"http", "https"} and rest.startswith("//"):
        from ledger.stores.web import WebStore  # noqa: PLC0415 -- slow to load

        return WebStore(f"{scheme}:{rest}", token=bearer, connections=connections)
    raise InvalidError(
        f"not a store: {scheme}:…", hint=f"{EXPECTED}; for a path with a colon, write ./PATH"
    )


def _file_path(rest: str) -> str:
    """The path in a ``file:`` URL, as it stands: nothing is percent-decoded."""
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest.removeprefix("//").partition("/")
    if host not in {"", "localhost"} or not slash:
        raise InvalidError("not a folder of this machine: file://HOST/…", hint=EXPECTED)
    return f"/{path}"


def _open_s3(rest: str, connections: int) -> Store:
    # boto3 takes longer to import than everything else together: only those who use it wait.
    from ledger.stores.s3.store import S3Store  # noqa: PLC0415

    bucket, _, prefix = rest.partition("/")
    return S3Store(bucket, prefix, connections=connections)
