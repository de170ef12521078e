"""What can be checked without a store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ledger.bundles import verifying
from ledger.errors import IntegrityError, MalformedError, NotFoundError, OriginNotPinned
from ledger.format.bundle import BundleReader
from ledger.format.entry import Entry
from ledger.format.keyring import TRUST_THE_LOG
from ledger.format.report import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.format.keyring import Keyring
    from ledger.format.report import Report
    from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey
    from ledger.tlog.receipt import Receipt

__all__ = [
    "RECEIPT",
    "Proven",
    "audit_bundle",
    "bundle_origin",
    "check_entry",
    "verify_bundle",
]

# What findings call files whose names only their reader knows.
ENTRY = "the entry"
RECEIPT = "the receipt"


def _now() -> datetime:
    return datetime.now(UTC)


# -- A bundle ------------------------------------------------------------------------------------


def verify_bundle(
    source: BinaryIO,
    *,
    keyring: Keyring,
    origin: str | None = None,
    expect: str | None = None,
    clock: Callable[[], datetime] = _now,
) -> Report:
    """Verify a bundle where it lies, offline; see ``Ledger.verify``."""
    verifying.check_source(source)
    return verifying.verify_bundle(source, keyring, clock(), origin=origin, expect=expect)


def audit_bundle(
    source: BinaryIO,
    *,
    keyring: Keyring,
    origin: str | None = None,
    clock: Callable[[], datetime] = _now,
) -> Report:
    """Verify a bundle, and insist on the log that it carries; offline.

    ``verify_bundle`` holds the titles against that log as well, if there is one and the keyring has
    its key. Raises OriginNotPinned if it has not, NotFoundError for a bundle without a log.
    """
    start = source.tell()
    try:
        header = BundleReader(source).header
    except MalformedError:
        header = None  # the report says so
    source.seek(start)
    if header is not None and not header.has_log:
        raise NotFoundError(
            "the bundle carries no log",
            hint="a bundle of all titles does if there is one; 'ledger verify --bundle' takes it",
        )
    if header is not None and not keyring.keys(header.origin, "log"):
        raise OriginNotPinned(
            f"your keyring has no key of the log of {header.origin}",
            hint=TRUST_THE_LOG.format(header.origin),
        )
    return verify_bundle(source, keyring=keyring, origin=origin, clock=clock)


def bundle_origin(source: BinaryIO) -> str:
    """Return what a bundle says its origin is: a claim, to be compared with a keyring."""
    start = verifying.check_source(source).tell()
    origin = BundleReader(source).header.origin
    source.seek(start)
    return origin


# -- An entry and its receipt --------------------------------------------------------------------


class Proven(NamedTuple):
    """What a receipt showed of an entry."""

    entry: Entry
    signed: SignedCheckpoint
    """The checkpoint of a log that has the entry, with the cosignatures of known witnesses."""
    leaf: int
    """Which leaf of the log it is, from 0 on."""
    is_signed: bool
    """Whether a registrar's signature was checked: False if the keyring has no registrar."""

    def unsigned(self) -> Finding | None:
        """Return the finding that no registrar's signature was checked, or None if one was.

        The log takes in what its sealer gives it: only a registrar's signature makes an entry.
        """
        if self.is_signed:
            return None
        message = (
            f"{ENTRY}: it is leaf {self.leaf:,} of the log, but your keyring has no registrar of"
            f" {self.entry.ledger}, so nobody's signature on it was checked"
        )
        return Finding("unchecked", "no-registrar", ENTRY, message)


def check_entry(
    receipt: bytes,
    entry: bytes,
    *,
    keyring: Keyring,
    origin: str | None = None,
    witnesses: Iterable[WitnessKey] = (),
) -> Proven:
    """Check, without any store, that the log of a ledger has an entry; both as bytes of files.

    ``keyring`` has a key of the log. If it also has the registrars', the entry's signature is
    checked. ``origin``: which ledger it has to be of, if the keyring knows several. How
    many cosignatures are enough is the caller's policy.

    Raises IntegrityError or TrustError (``reason`` is the finding's slug) if it does not hold,
    OriginNotPinned if the keyring has no key of that log.
    """
    from ledger.tlog.objects import leaf_of  # noqa: PLC0415 -- slow to load
    from ledger.tlog.receipt import check_receipt  # noqa: PLC0415

    read = _read_entry(entry)
    name = read.ledger if origin is None else origin
    log_keys = keyring.keys(name, "log")
    if not log_keys:
        raise OriginNotPinned(
            f"your keyring has no key of the log of {name}", hint=TRUST_THE_LOG.format(name)
        )
    is_signed = bool(keyring.keys(name, "registrar"))
    if is_signed:
        Entry.open(
            entry, keyring=keyring, ledger=name, title_number=read.title_number, object_key=ENTRY
        )
    elif read.ledger != name:
        raise IntegrityError(
            f"{ENTRY}: it belongs to the ledger {read.ledger}, not {name}",
            reason="wrong-ledger",
            object_key=ENTRY,
        )
    parsed = _read_receipt(receipt)
    leaf = leaf_of(read).encode()
    signed = check_receipt(parsed, leaf, origin=name, log_keys=log_keys, witnesses=witnesses)
    return Proven(read, signed, parsed.index, is_signed)


def _read_entry(data: bytes) -> Entry:
    try:
        return Entry.unverified(data)
    except MalformedError as error:
        raise IntegrityError(
            f"{ENTRY}: {error}", reason="malformed-entry", object_key=ENTRY
        ) from error


def _read_receipt(data: bytes) -> Receipt:
    from ledger.tlog.receipt import Receipt  # noqa: PLC0415 -- slow to load

    try:
        return Receipt.decode(data)
    except MalformedError as error:
        raise IntegrityError(
            f"{RECEIPT}: {error}", reason="malformed-receipt", object_key=RECEIPT
        ) from error
