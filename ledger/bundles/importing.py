"""Bringing a bundle into a store: all of it is verified before anything is written."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from ledger.bundles.verifying import NOT_STANDING, check_origins
from ledger.errors import (
    Forked,
    HeadMoved,
    IntegrityError,
    LedgerError,
    MalformedError,
    NotABundle,
    NotFoundError,
    NotProven,
    OutcomeUnknown,
    PreconditionFailed,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader
from ledger.format.chain import verify_chain
from ledger.format.entry import Entry, address_of, is_short, short_form, version_hint
from ledger.local.parallel import in_chunks
from ledger.stores.swap import update
from ledger.titles.append import Move, check_new, move_heads, names_of
from ledger.titles.history import Head, History, missing_entry, not_standing
from ledger.titles.identity import create_identity
from ledger.titles.trust_files import accept, accepted_by, trust_objects
from ledger.verification.trust import trust_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from ledger.bundles.log_part import AgainstLog
    from ledger.bundles.trust_part import BundlePositions
    from ledger.format.report import Report
    from ledger.format.standing import FindPositions
    from ledger.titles.erase import Erasure

BATCH = 64
"""How many objects of a title an import creates side by side."""

BATCH_BYTES = 1 << 20
"""Their bytes, at which they are created before there are so many."""

TITLES = 16
"""Titles that are written together, at most."""

JOBS = 4
"""Groups of them at once, if the store does not wait for a network."""


class Imported(NamedTuple):
    """What an import did: titles whose head moved, titles that were there already."""

    moved: int
    unchanged: int
    leaves: int = 0
    """How many leaves the log got."""
    left_out: bool = False
    """Whether the bundle's log was left out: the keyring has no key of it."""
    not_erased: tuple[str, ...] = ()
    """What is left of texts that chains order erased, and why, in words."""
    titles_left_out: tuple[str, ...] = ()
    """Titles that the bundle says it left out, as they did not hold together."""
    trust_left_out: bool = False
    """Whether trust files in the bundle were left out: the keyring has no root of the ledger."""
    restored: int = 0
    """How many texts were put back that were missing, and that no chain orders erased."""

    @property
    def is_whole(self) -> bool:
        """Whether the store now has all that the bundle has, and no text that is to be erased."""
        return not (self.left_out or self.trust_left_out or self.titles_left_out or self.not_erased)


def import_bundle(
    history: History, source: BinaryIO, now: datetime, finish: Callable[[str], Erasure]
) -> Imported:
    """Bring every title of a bundle to where the bundle has it; repeating it changes nothing.

    ``source`` is read twice: all of it is verified, and compared with what the store has, before
    anything is written. A store without a ledger becomes the bundle's then. Raises IntegrityError
    for what doesn't verify, or what the bundle's own log refutes, Forked if the store has another
    history. Titles that the store has further are left as they are. Entries that the store
    lost are put back, and so are texts that no chain orders erased. Those that one does are never
    written; ``finish`` erases them in a title where the store may have them. If it fails on the
    way, the titles that were moved stay so: import again.

    With a root in the keyring, the bundle's trust files come first, and the titles are judged by
    them: a head that does not stand is not set. Raises NotStanding then, or NotProven if the bundle
    and the store don't show whether it does.
    """
    from ledger.bundles.trust_part import BundlePositions  # noqa: PLC0415 -- slow to load

    start = source.tell()
    header = _follow_trust(history, source, now)
    source.seek(start)
    with closing(BundlePositions(source, history.keyring)) as positions:
        done = _import(history, source, now, finish, positions)
    return done._replace(titles_left_out=header.left_out, trust_left_out=header.trust_left_out)


class _Header(NamedTuple):
    """What the beginning of a bundle says, and whether its trust files could not be judged."""

    left_out: tuple[str, ...]
    trust_left_out: bool


def _follow_trust(history: History, source: BinaryIO, now: datetime) -> _Header:
    """Take up the trust files of a bundle: judge by them, and by those of the store, from now on.

    Nothing is written yet.
    """
    with _as_integrity():
        reader = BundleReader(source)
        check_origins(reader, history.keyring, history.origin)
    header = _Header(reader.header.left_out, trust_left_out=False)
    if history.keyring.own.root(history.origin) is None:
        return header._replace(trust_left_out=bool(reader.trust))
    follow_files(history, reader.trust, now)
    return header


def follow_files(history: History, incoming: Mapping[int, bytes], now: datetime) -> None:
    """Judge by these trust files and those of the store, from now on; nothing is written.

    Raises TrustError if the store has another of a version, or if one is not accepted.
    """
    from ledger.bundles.trust_part import check_trust  # noqa: PLC0415 -- slow to load

    check_trust(history.store, incoming)
    files = dict(enumerate(trust_objects(history.store), 1)) | dict(incoming)
    keyring = accept(history.keyring, files, origin=history.origin)
    for finding in trust_findings(keyring, now):
        if finding.severity != "warning":
            kind = TrustError if finding.severity == "tampering" else NotProven
            raise kind(finding.message, reason=finding.slug, object_key=finding.object_key)
    history.use_keyring(keyring)


def _import(
    history: History,
    source: BinaryIO,
    now: datetime,
    finish: Callable[[str], Erasure],
    positions: BundlePositions,
) -> Imported:
    from ledger.bundles.log_part import LogImport  # noqa: PLC0415 -- slow to load
    from ledger.bundles.trust_part import put_trust  # noqa: PLC0415

    start = source.tell()
    log = LogImport(history)
    with _reading(history, source) as (reader, against):
        for _ in _titles(history, reader, now, against, positions, keep=False):
            pass
        log.take(reader, against, keep=False)
    source.seek(start)
    if history.store.get(layout.LEDGER_KEY) is None:
        create_identity(history.store, history.origin)
    accepted = accepted_by(history.keyring, history.origin)
    if accepted is not None:
        put_trust(history.store, accepted)
    moved = unchanged = restored = 0
    erasing: list[str] = []
    with _reading(history, source) as (reader, against):
        arrived = _titles(history, reader, now, against, positions, keep=True)
        titles = in_chunks(
            # The next titles are verified while other threads force these to the disk.
            arrived,
            partial(_move_all, history),
            max(JOBS, history.store.concurrency // 8),
            chunk=TITLES,
            weigh=lambda title: title.incoming.size,
            writes=True,
        )
        with closing(titles):
            for title in titles:
                restored += len(title.incoming.restored)
                if title.incoming.may_erase:
                    erasing.append(title.head.title_number)
                moved += title.moves
                unchanged += not title.moves
        # Every head has moved: the log may claim them.
        log.take(reader, against, keep=True)
    left = tuple(said for title_number in erasing for said in _finish(title_number, finish))
    return Imported(moved, unchanged, log.leaves, log.left_out, left, restored=restored)


def _finish(title_number: str, finish: Callable[[str], Erasure]) -> Iterator[str]:
    try:
        erasure = finish(title_number)
    except TrustError as error:  # no key of the log: its part of the bundle was left out
        yield f"{title_number}: {error}"
        return
    yield from (f"{title_number}: {said}" for said in erasure.left)
    if erasure.waiting:
        versions = ", ".join(map(str, erasure.waiting))
        yield f"{title_number}: the log lacks the order to erase version {versions}"


class _Arrived(NamedTuple):
    """A title of the bundle that was verified: its head there and here, and what came in."""

    head: Entry
    target: Head | None
    incoming: Arrival

    @property
    def moves(self) -> bool:
        """Whether the bundle has the title further than the store does."""
        return self.target is None or self.target.entry.version < self.head.version


@contextmanager
def _reading(history: History, source: BinaryIO) -> Iterator[tuple[BundleReader, AgainstLog]]:
    """Read a bundle of this ledger, and collect what its log is compared with."""
    from ledger.bundles.log_part import AgainstLog  # noqa: PLC0415 -- slow to load

    with _as_integrity(), closing(AgainstLog()) as against:
        reader = BundleReader(source)
        check_origins(reader, history.keyring, history.origin)
        yield reader, against


def _titles(
    history: History,
    reader: BundleReader,
    now: datetime,
    against: AgainstLog,
    positions: BundlePositions,
    *,
    keep: bool,
) -> Iterator[_Arrived]:
    """Verify each title of the bundle against the store; ``keep``: store it, in ``_move_all``."""
    for section in reader.sections():
        target = history.find_head(section.title_number)
        incoming = Arrival(
            history,
            section,
            target,
            positions.of(section),
            complete=reader.header.complete,
            keep=keep,
        )
        head = check_arrival(incoming, target, now)
        against.add_chain(section.title_number, section.head, incoming.trace)
        if target is None:
            check_new(history, section.title_number, incoming.addresses)
        yield _Arrived(head, target, incoming)
        if not reader.header.complete:
            reader.skip(section)  # an incremental bundle may begin below what is here


def _move_all(history: History, arrived: list[_Arrived]) -> list[_Arrived]:
    """Write what is left of the titles' entries, then move their heads."""
    waiting = [each for title in arrived for each in title.incoming.waiting]

    def write_each() -> None:
        for title in arrived:
            title.incoming.flush()

    moves = [
        Move(title.head, title.target.version if title.target else None)
        for title in arrived
        if title.moves
    ]
    moved = move_heads(history, moves, waiting, write_each)
    for move, now in zip(moves, moved, strict=True):
        if now is None:
            raise HeadMoved(
                f"{move.entry.title_number} was appended to during the import",
                hint="import again: what is there already stays as it is",
            )
    return arrived


@contextmanager
def _as_integrity() -> Iterator[None]:
    """Turn bytes that are of no bundle into an IntegrityError."""
    try:
        yield
    except NotABundle:
        raise
    except MalformedError as error:
        raise IntegrityError(str(error), reason="malformed-bundle", object_key=BUNDLE_KEY) from None


def check_arrival(incoming: Arrival, target: Head | None, now: datetime) -> Entry:
    """Verify a title that comes in, against what the store has of it; return its head.

    Raises IntegrityError, Forked, NotStanding, NotProven, or why an entry could not be read.
    """
    history, section = incoming.history, incoming.section
    head_key = layout.head_key(section.title_number)
    head = history.open(section.head, section.title_number, head_key)
    pin = target.entry.address if target and head.version > target.entry.version else None
    report = verify_chain(
        section.title_number,
        origin=history.origin,
        keyring=history.keyring,
        head=section.head,
        read=incoming.read,
        now=now,
        expect=pin,
        # An incremental bundle continues what the store has, which was verified when it came.
        since=None if incoming.complete else pin,
        trace=incoming.trace,
        find_positions=incoming.find_positions,
    )
    if pin:
        forked = any(finding.slug == "pin-missing" for finding in report.findings)
    else:
        forked = target is not None and not history.descends(
            target.entry, head.address, head.version
        )
    if forked:
        raise Forked(
            f"{section.title_number}: the {section.source} and the store hold two histories that"
            " part",
            hint="one of them is not the ledger's; compare both with what auditors remember",
        )
    # The bundle ends below the entry that erases them: the store's chain says that they may lack.
    findings = tuple(
        finding
        for finding in report.findings
        if finding.slug != "text-missing" or finding.object_key not in incoming.erased_above
    )
    # What an earlier entry is worth is for the head's chain to say, and for the log: a copy has to
    # be able to take in what waits to be settled.
    findings = tuple(finding for finding in findings if finding.slug not in NOT_STANDING)
    report = replace(report, findings=findings)
    if not report:
        raise _refusal(report, incoming)
    if target is None or head.version > target.entry.version:
        _check_stands(history, head, incoming)
    return head


def _check_stands(history: History, head: Entry, incoming: Arrival) -> None:
    """Check that a head that is to be set stands; raises NotStanding, or NotProven."""
    stand = history.standing(head.title_number, incoming.find_positions).take(head)
    if stand.stands is None:
        raise NotProven(
            f"neither the {incoming.section.source} nor the store shows where"
            f" {head.title_number} version {head.version} is in the log, and its key"
            f" {head.key[:16]}… has an end",
            hint="import a bundle of all titles, which has the log",
            reason="position-unknown",
            object_key=layout.head_key(head.title_number),
        )
    if not stand.stands:
        raise not_standing(head, stand)


def _refusal(report: Report, incoming: Arrival) -> LedgerError:
    """What to raise for a title that doesn't verify: it is wrong, or it could not be checked."""
    source = incoming.section.source
    for finding in report.findings:
        if finding.severity in {"tampering", "mismatch"}:
            return IntegrityError(
                f"the {source} doesn't verify: {finding.message}",
                reason=finding.slug,
                object_key=finding.object_key,
            )
    unchecked = next(finding for finding in report.findings if finding.severity == "unchecked")
    return incoming.failure or UnsupportedFormatError(
        f"the {source} can't be verified: {unchecked.message}"
    )


def down_to(history: History, head: Entry, version: int) -> Iterator[Entry]:
    """Yield a chain from its head down to a version; what is below need not have its text."""
    entry: Entry | None = head
    while entry is not None and entry.version >= version:
        yield entry
        entry = history.parent(entry) if entry.version > version else None


class Incoming(Protocol):
    """One title, as a bundle or another store has it."""

    title_number: str
    head: bytes
    source: str
    """What it comes from, in words."""

    def read(self, address: str) -> bytes | None:
        """The entry of this address, asked for from the head down; None: it lacks it."""
        ...


class Arrival:
    """The entries of one title: from where it comes or, below those, from the store."""

    def __init__(
        self,
        history: History,
        section: Incoming,
        target: Head | None,
        find_positions: FindPositions,
        *,
        complete: bool = False,
        keep: bool = False,
        above: Iterable[Entry] = (),
    ) -> None:
        """``above``: what the source's chain has above the section's head, the newest first."""
        from ledger.bundles.trust_part import either  # noqa: PLC0415 -- slow to load

        self.history = history
        self.section = section
        self.complete = complete
        self.addresses: set[str] = set()
        self.trace: bytearray = bytearray()
        """The addresses from the head down, 32 bytes each, as far as they were walked."""
        self.failure: LedgerError | None = None
        """Why an entry could not be read."""
        self.may_erase: bool = False
        """Whether the store may hold a text that a chain orders erased."""
        self.restored: set[str] = set()
        """The keys of entries whose texts were put back."""
        self.erased_above: set[str] = set()
        """The keys of short forms that only the store's own, longer chain explains."""
        self._keep = keep
        self.waiting: list[tuple[str, bytes]] = []
        """Objects of entries that were read, and are still to be written."""
        self.size: int = 0
        """Bytes of their entries."""
        self.find_positions: FindPositions = either(
            find_positions, history.find_positions(section.title_number)
        )
        """Tells where the log has the entries, by the bundle or by the store."""
        self._standing = history.standing(section.title_number, self.find_positions)
        """Knows the versions whose texts the longer of the two chains orders erased."""
        version = version_hint(section.head)
        if target is not None and target.entry.version > version:
            above = down_to(history, target.entry, version + 1)
        for entry in above:
            self._standing.take(entry)
        self._above = set(self._standing.erased)
        self._note(section.head, layout.head_key(section.title_number))

    def read(self, address: str) -> bytes | None:
        """The entry of this address, asked for from the head down."""
        key = layout.entry_key(self.section.title_number, address)
        self.addresses.add(address)
        try:
            data = self.section.read(address)
        except LedgerError as error:
            self.failure = error
            raise
        if data is None:
            if self.complete:
                return None
            data = self._stored(key)
            self._note(data, key)
            return data
        self._note(data, key)
        if self._keep and address_of(data) == address:
            short = short_form(data)
            self.waiting.append(
                (key, short if version_hint(data) in self._standing.erased else data)
            )
            self.waiting += names_of(Entry.unverified(short))[1:]  # no marker: no head moves to it
            self.size += len(data)
            if len(self.waiting) >= BATCH or self.size >= BATCH_BYTES:
                self.flush()
        return data

    def _note(self, data: bytes, key: str) -> None:
        """Note what an entry erases; it comes from the head down, and the walk checks it."""
        if is_short(data) and version_hint(data) in self._above:
            self.erased_above.add(key)
        with suppress(LedgerError):  # the walk says what is wrong
            self._standing.take(Entry.unverified(data))
        self.may_erase = self.may_erase or bool(self._standing.erased)

    def _stored(self, key: str) -> bytes:
        try:
            blob = self.history.store.get(key)
            if blob is None:
                if self.section.source != "bundle":
                    raise missing_entry(*(layout.parse_entry_key(key) or (key, "")))
                raise NotFoundError(
                    f"{key} is not in this incremental bundle, nor in {self.history.store.url}",
                    hint="import the earlier bundles first, the oldest first",
                )
        except LedgerError as error:
            self.failure = error
            raise
        return blob.data

    def flush(self) -> None:
        """Write the entries that were read."""
        try:
            self.history.store.create_many(self.waiting)
        except PreconditionFailed:
            for key, data in self.waiting:
                self._put(key, data)
        self.waiting, self.size = [], 0  # not sooner: what broke off may be done once more

    def _put(self, key: str, data: bytes) -> None:
        """Create an entry, or settle what is there under its address: its other form.

        A text that is missing is put back, if no chain orders it erased. An order that comes in
        between is carried out at the end, as the head is read again then.
        """

        def change(found: bytes | None) -> bytes | None:
            if found is None:
                return data
            if found == data or (is_short(data) and address_of(found) == address_of(data)):
                return None  # a text that is there is erased at the end
            if found == short_form(data):
                self.may_erase = True
                self.restored.add(key)
                return data
            raise IntegrityError(
                f"the store holds other bytes under an address of the {self.section.source}: {key}",
                hint=f"'ledger fsck' names it; nothing of {self.section.title_number} was moved",
                reason="address-mismatch",
                object_key=key,
            )

        def unknown(why: LedgerError) -> OutcomeUnknown:
            return OutcomeUnknown(
                f"cannot tell whether {key} was imported: {why}",
                hint="import again: what is there already stays as it is",
            )

        update(self.history.store, key, change, unknown=unknown)
