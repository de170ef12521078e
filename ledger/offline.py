"""What can be checked without a store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from ledger.bundles import importing as transfer
from ledger.format.bundle import BundleReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.format.keyring import Keyring
    from ledger.format.report import Report

__all__ = ["bundle_origin", "verify_bundle"]


def _now() -> datetime:
    return datetime.now(UTC)


def verify_bundle(
    source: BinaryIO,
    *,
    keyring: Keyring,
    origin: str | None = None,
    expect: str | None = None,
    clock: Callable[[], datetime] = _now,
) -> Report:
    """Verify a bundle where it lies, offline; see ``Ledger.verify``."""
    return transfer.verify_bundle(source, keyring, clock(), origin=origin, expect=expect)


def bundle_origin(source: BinaryIO) -> str:
    """What a bundle says its origin is: a claim, to be compared with a keyring."""
    start = source.tell()
    origin = BundleReader(source).header.origin
    source.seek(start)
    return origin
