"""What can be checked without a store."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from ledger.bundles import verifying
from ledger.errors import IntegrityError, MalformedError, NotFoundError, NotProven, OriginNotPinned
from ledger.format import layout
from ledger.format.bundle import BundleReader
from ledger.format.entry import Entry, as_address
from ledger.format.keyring import TRUST_THE_LOG, Keyring, check_keyring, check_origin
from ledger.format.report import Finding, Report
from ledger.format.standing import Positions
from ledger.local.files import Named, reading
from ledger.local.parallel import cores
from ledger.titles.trust_files import accept, accepted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey
    from ledger.tlog.receipt import Receipt
    from ledger.trust.chain import Trust

__all__ = [
    "RECEIPT",
    "Proven",
    "accept",
    "audit_bundle",
    "bundle_origin",
    "bundle_trust",
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
    source: Named,
    *,
    keyring: Keyring,
    origin: str | None = None,
    expect: str | Entry | None = None,
    clock: Callable[[], datetime] = _now,
    jobs: int | None = None,
    executor: Executor | None = None,
) -> Report:
    """Verify a bundle where it lies (a path or a seekable file), offline; see ``Ledger.verify``.

    With a root in the keyring, the bundle's trust files say whose keys count; so do those of a
    keyring that ``accept`` made, which may be newer. ``jobs`` and ``executor`` are those of
    ``Ledger.verification``: without one, a single thread does all of it.
    """
    pin = None if expect is None else as_address(expect)
    with reading(source) as file:
        return verifying.verify_bundle(
            file,
            keyring,
            clock(),
            origin=origin,
            expect=pin,
            jobs=jobs or cores(),
            executor=executor,
        )


def audit_bundle(
    source: Named,
    *,
    keyring: Keyring,
    origin: str | None = None,
    clock: Callable[[], datetime] = _now,
    jobs: int | None = None,
    executor: Executor | None = None,
) -> Report:
    """Verify a bundle, and insist on the log that it carries; offline.

    ``verify_bundle`` holds the titles against that log as well, if there is one and the keyring has
    its key. Raises OriginNotPinned if it has not, NotFoundError for a bundle without a log.
    """
    check_keyring(keyring)
    with reading(source) as file:
        start = file.tell()
        with suppress(MalformedError):  # the report says so
            header = BundleReader(file).header
            if not header.has_log:
                raise NotFoundError(
                    "the bundle carries no log",
                    hint="a bundle of all titles does if there is one;"
                    " 'ledger verify --bundle' takes it",
                )
            has_root = keyring.own.root(header.origin) is not None
            if not has_root and not keyring.keys(header.origin, "log"):
                raise OriginNotPinned(
                    f"your keyring has no key of the log of {header.origin}",
                    hint=TRUST_THE_LOG.format(header.origin),
                )
        file.seek(start)
        return verify_bundle(
            file, keyring=keyring, origin=origin, clock=clock, jobs=jobs, executor=executor
        )


def bundle_origin(source: Named) -> str:
    """Return what a bundle says its origin is: a claim, to be compared with a keyring."""
    with reading(source) as file:
        start = file.tell()
        origin = BundleReader(file).header.origin
        file.seek(start)
    return origin


def bundle_trust(source: Named) -> dict[int, bytes]:
    """Return the trust files in a bundle, by version, for ``accept``; nothing is checked."""
    with reading(source) as file:
        start = file.tell()
        files = BundleReader(file).trust
        file.seek(start)
    return files


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
    doubt: Finding | None = None
    """Why nobody can tell by this receipt whether the entry counts; None: it does."""

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

    If the keyring has a root of the ledger, ``accept`` has to make it one that goes by the trust
    files. Then the checkpoint has to count by them, and if the entry's key has an end, the receipt
    has to show that it was logged before that: see ``Proven.doubt``.

    Raises IntegrityError or TrustError (``reason`` is the finding's slug) if it does not hold,
    NotProven if the checkpoint may or may not count, OriginNotPinned if the log has no key there.
    """
    from ledger.tlog.objects import leaf_of  # noqa: PLC0415 -- slow to load
    from ledger.tlog.receipt import check_receipt  # noqa: PLC0415
    from ledger.trust.checkpoints import check_receipt_alone  # noqa: PLC0415

    check_keyring(keyring)
    read = _read_entry(entry)
    name = check_origin(read.ledger if origin is None else origin)
    if keyring.root(name) is not None:
        raise NotProven(
            f"your keyring has a root of {name}, and its trust files are not at hand: they say"
            " whose keys count",
            hint="pass a copy of them: ledger check --trust FOLDER|FILE|BUNDLE",
            reason="trust-missing",
            object_key=layout.TRUST,
        )
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
    accepted = accepted_by(keyring, name)
    if accepted is None:
        signed = check_receipt(parsed, leaf, origin=name, log_keys=log_keys, witnesses=witnesses)
        return Proven(read, signed, parsed.index, is_signed)
    signed = check_receipt_alone(accepted, parsed, leaf, log_keys, witnesses)
    return Proven(read, signed, parsed.index, is_signed, _doubt(accepted, read, parsed, signed))


def _doubt(
    accepted: Trust, entry: Entry, receipt: Receipt, signed: SignedCheckpoint
) -> Finding | None:
    """Say why a receipt does not show that an entry counts; None: it does.

    That it does not count is never shown: a lower leaf may name the entry, or one above it confirm
    it.
    """
    from ledger.trust.checkpoints import shows_positions  # noqa: PLC0415 -- slow to load
    from ledger.trust.standing import ChainJudge  # noqa: PLC0415

    is_shown = shows_positions(accepted, signed.checkpoint)
    known = Positions({entry.address: receipt.index} if is_shown else {})
    stand = ChainJudge(accepted, lambda _end, _search: known)(entry)
    if stand.stands:
        return None
    end = accepted.end_of(entry.key)
    key = f"its key {entry.key[:16]}…"
    if stand.reason == "may-not-erase":
        why = f"{key} may not erase texts: it counts only if an entry above confirms it"
    elif is_shown:
        why = (
            f"{key} ends at leaf {end:,} of the log, and the receipt shows leaf {receipt.index:,}:"
            " it counts only if an entry above confirms it, or an earlier leaf names it"
        )
    else:
        why = (
            f"{key} has an end, and the receipt's log of {signed.checkpoint.size:,} leaves is older"
            " than the newest trust file: it does not show where the entry is"
            " ('ledger prove' makes a newer receipt)"
        )
    return Finding("unchecked", stand.reason, ENTRY, f"{ENTRY}: {why}")


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
