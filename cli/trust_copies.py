"""Copies of trust files that a command is given: what is checked offline is judged by them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from cli.inputs import cannot_read, naming
from ledger import Keyring, LedgerError
from ledger.errors import OriginNotPinned
from ledger.format.layout import MAX_TRUST_FILE, TRUST, trust_key
from ledger.local.files import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

TrustOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        metavar="COPY",
        help="Trust files: one, a folder of them or with a store, or a bundle (repeatable).",
    ),
]


def accept_copies(keyring: Keyring, copies: Iterable[Path] | None, origin: str) -> Keyring:
    """Return the keyring that these trust files make of one, from its root for a ledger.

    Raises OriginNotPinned if there is none, and what ``accept`` does. Without copies, it stays as
    it is.
    """
    files: dict[int, bytes] = {}
    for copy in copies or ():
        for version, data in _read(copy).items():
            files.setdefault(version, data)
    if not files and not copies:
        return keyring
    if keyring.own.root(origin) is None:
        raise OriginNotPinned(
            f"your keyring has no root of {origin}: nothing says which trust files are right",
            hint="ledger trust pin FILE|SHA256",
        )
    from ledger import accept  # noqa: PLC0415 -- slow to load

    return accept(keyring, files, origin=origin)


def accept_bundle(keyring: Keyring, copies: Iterable[Path] | None, source: BinaryIO) -> Keyring:
    """Return the keyring that counts for a bundle: by these trust files, and by its own.

    If its own can't be used, verifying it says why.
    """
    from ledger.offline import accept, bundle_origin, bundle_trust  # noqa: PLC0415 -- slow to load

    origin = bundle_origin(source)
    keyring = accept_copies(keyring, copies, origin)
    with suppress(LedgerError):
        return accept(keyring, bundle_trust(source), origin=origin)
    return keyring


def _read(copy: Path) -> dict[int, bytes]:
    """Read trust files, by version, unchecked; raises NotFoundError, MalformedError."""
    try:
        if copy.is_dir():
            return _read_folder(copy)
        with reading(copy) as source:
            start = source.read(16)
            source.seek(0)
            if start.startswith(b"bundle.json\0"):
                from ledger.offline import bundle_trust  # noqa: PLC0415 -- slow to load

                return bundle_trust(source)
            return {_version_of(copy, data := source.read(MAX_TRUST_FILE + 1)): data}
    except OSError as error:
        raise cannot_read(copy, error) from error


def _read_folder(folder: Path) -> dict[int, bytes]:
    files: dict[int, bytes] = {}
    for name in (str, lambda key: key.removeprefix(TRUST)):
        while (path := folder / name(trust_key(len(files) + 1))).is_file():
            with path.open("rb") as source:
                files[len(files) + 1] = source.read(MAX_TRUST_FILE + 1)
    return files


def _version_of(path: Path, data: bytes) -> int:
    from ledger.trust import TrustFile  # noqa: PLC0415 -- slow to load

    with naming(path):
        return TrustFile.decode(data).version
