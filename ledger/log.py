"""The transparency log of a ledger: seal it, read its checkpoint, hand out receipts.

::

    log = Log(ledger)
    log.seal(load_key("log-key.pem"), "/var/lib/titles/sealer.json", genesis=True)
    receipt = log.receipt("TN1234567")
    Path("TN1234567.receipt").write_bytes(receipt.encode())

Anybody checks a receipt offline, with the log's public key and the entry:
``check_entry``, or any tool for C2SP's tlog-proof.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import (
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    NotFoundError,
    OriginNotPinned,
)
from ledger.format import layout
from ledger.format.entry import Entry
from ledger.local.newfile import check_outside
from ledger.local.parallel import cores
from ledger.sealing.cosign import add_cosignatures
from ledger.sealing.pending import pending_titles
from ledger.sealing.reader import LogReader
from ledger.sealing.seal import Sealed, seal
from ledger.stores import FolderStore
from ledger.titles.history import History
from ledger.tlog.checkpoint import cosign
from ledger.tlog.leaf import Leaf
from ledger.tlog.note import add_signatures
from ledger.tlog.receipt import Receipt, check_receipt
from ledger.verification.by_log import MAX_DELAY, LogAudit
from ledger.verification.run import Audit
from ledger.verification.since import last_logged

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from ledger.format.keyring import Keyring, Role
    from ledger.format.keys import PublicKey, Signer
    from ledger.ledger import Ledger
    from ledger.sealing.pending import Moved
    from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey
    from ledger.tlog.objects import SealedRecord
    from ledger.tlog.policy import WitnessPolicy

__all__ = ["Log", "Pending", "Proven", "check_entry", "leaf_of"]

ENTRY = "the entry"
RECEIPT = "the receipt"
"""What findings call files that only their reader knows the names of."""

_TRUST_THE_LOG = (
    "ask for it, and compare its id over another channel:"
    " ledger key trust FILE --origin {} --role log"
)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two looks at the log."""

LOOKED_AT = 100
"""Of so many titles at most it is asked how long they have been waiting: drawn by lot, as those of
one part of the register may all be young while others wait."""


class Pending(NamedTuple):
    """What waits to be logged."""

    moves: int
    """How many moves of heads were prepared, and not settled by a seal yet."""
    oldest: str | None
    """When the oldest entry that waits was recorded (RFC 3339); None: none does.

    A move that was prepared and never came to be waits for nothing. Of more than LOOKED_AT titles
    so many are drawn by lot, anew each time: the oldest of all may be older then, by a little where
    many have waited as long.
    """


class Log:
    """The transparency log of a ledger, in the same store, by the same keyring and clock.

    What is signed is checked before it is handed out; so is a receipt.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._history = History(ledger.store, ledger.origin, ledger.keyring)
        self._titles = ledger.titles
        self._clock = ledger._clock  # noqa: SLF001 -- the log is the ledger's own
        self._reader = LogReader(ledger.store, ledger.origin, ledger.keyring)

    @property
    def origin(self) -> str:
        """The name of the log: the ledger's."""
        return self._history.origin

    @property
    def reader(self) -> LogReader:
        """What reads the log's objects from the store, and checks them."""
        return self._reader

    def seal(
        self,
        signer: Signer,
        memory: str | os.PathLike[str],
        *,
        genesis: bool = False,
        adopt: bool = False,
        restored: str = "",
        every_title: bool = False,
        jobs: int | None = None,
    ) -> Sealed:
        """Log every entry that a head has moved to, and publish the log.

        ``signer`` is the log's own key, ``memory`` the file of this sealer, on a disk that the
        writers of the store can't reach. ``genesis`` begins the log; ``adopt`` goes on with one
        that this sealer has no memory of; ``restored`` says in words why the log was set back.
        ``every_title``: not only those that were appended to since. Titles that don't verify are
        left out, and are in the report of what it returns. Raises what ``ledger.tlog.seal`` does,
        and InvalidError for a memory inside the store.
        """
        if isinstance(self._history.store, FolderStore):
            check_outside(memory, self._history.store.path)
        return seal(
            self._history,
            signer,
            memory,
            self._clock(),
            genesis=genesis,
            adopt=adopt,
            restored=restored,
            every_title=every_title,
            jobs=jobs or cores(),
        )

    def checkpoint(
        self, *, verify: bool = False, witnesses: Iterable[WitnessKey] = ()
    ) -> SignedCheckpoint:
        """The published checkpoint, signed by the log's key.

        ``verify``: check that the newest tiles lead to its root, too; that all others do is for
        an audit to say. ``witnesses``: those whose cosignatures are looked at; how many are enough
        is for a ``WitnessPolicy`` to say. Raises NotFoundError where there is no log yet,
        TrustError or IntegrityError where a key of the log did not sign it, or a witness's
        signature is wrong.
        """
        self._check_pinned()
        signed = self._reader.checkpoint(witnesses)
        if signed is None:
            raise NotFoundError(
                f"there is no log in {self._history.store.url}",
                hint="'ledger seal --genesis' begins it; 'ledger key generate --for log' first",
            )
        if verify:
            self._reader.builder(signed.checkpoint.size, signed.checkpoint.root)
        return signed

    def add_cosignatures(
        self, cosigned: bytes, witnesses: Iterable[WitnessKey]
    ) -> SignedCheckpoint:
        """Publish what witnesses have signed: the checkpoint, as they returned it, with the log's.

        Their cosignatures are verified, and what others wrote is left out. The next seal of
        anything new publishes a checkpoint without them. Raises ConflictError where another
        checkpoint is published by now, TrustError where none of the witnesses signed this one.
        """
        self._check_pinned()
        return add_cosignatures(self._reader, cosigned, tuple(witnesses))

    def known(self, title_number: str, kept: bytes) -> Leaf | None:
        """The newest version of a title that the log had by a checkpoint kept from before.

        None: it had none of it. That the log continues the checkpoint is checked, and the answer
        is proved: the log is read from that version on. Raises IntegrityError (reason
        ``log-set-back``, ``not-consistent``, or where tiles are missing or wrong).
        """
        self._check_pinned()
        return last_logged(self._reader, title_number, kept)

    def receipt(self, title_number: str, revision: str = "HEAD") -> Receipt:
        """The receipt of an entry: that it is in the log, provable without the store.

        At once for the newest logged version of a title; for an earlier one the log is searched.
        Raises NotFoundError where it is not in the published log yet.
        """
        signed = self.checkpoint()
        entry = self._history.resolve(title_number, revision)
        return self._reader.receipt(leaf_of(entry), signed)

    def wait(self, entry: Entry, timeout: float) -> Receipt | None:
        """The receipt of an entry as soon as it is in the log; None: not within these seconds."""
        end = time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            try:
                return self._reader.receipt(leaf_of(entry), self.checkpoint())
            except NotFoundError:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                time.sleep(min(pause, left))
                pause = min(2 * pause, LONGEST_PAUSE)

    def where(self, title_number: str) -> SealedRecord | None:
        """Which version of a title was logged last, and as which leaf; None: none was.

        As the store says: a receipt proves it.
        """
        found = self._reader.record(title_number)
        return found[0] if found else None

    def newest(self) -> Leaf | None:
        """The last leaf of the published log; None: it is empty. As the store says."""
        size = self.checkpoint().checkpoint.size
        leaves = list(self._reader.leaves(size, size - 1)) if size else []
        return Leaf.decode(leaves[0]) if leaves else None

    def pending(self, most: int | None = None) -> Pending:
        """What waits for the next seal; ``most``: no more markers than so many are counted.

        Lists them, and reads the heads and entries of a hundred titles.
        """
        moves = 0
        drawn: list[Moved] = []
        for count, moved in enumerate(pending_titles(self._history.store, most), 1):
            moves += len(moved[1])
            if count <= LOOKED_AT:
                drawn.append(moved)
            elif (place := random.randrange(count)) < LOOKED_AT:  # noqa: S311 -- no secret
                drawn[place] = moved
        return Pending(moves, self._find_oldest(drawn))

    def _find_oldest(self, moved: list[Moved]) -> str | None:
        """When the first of these was recorded that a head has reached."""
        first = [(title, min(markers, key=lambda each: each.version)) for title, markers in moved]
        heads = self._entries((title, layout.head_key(title)) for title, _ in first)
        reached = [
            (title, layout.entry_key(title, marker.address))
            for (title, marker), head in zip(first, heads, strict=True)
            if head and head.version >= marker.version
        ]
        # Where it lost a race, another was recorded in its place at about the same time.
        return min((e.recorded_at for e in self._entries(reached) if e), default=None)

    def _entries(self, places: Iterable[tuple[str, str]]) -> Iterator[Entry | None]:
        """The entries of titles at these keys; None: one that a seal will report."""
        titles = {key: title for title, key in places}
        for key, blob in self._history.store.get_many(list(titles)):
            try:
                yield self._history.open(blob.data, titles[key], key) if blob else None
            except LedgerError:
                yield None

    def audit(
        self,
        *,
        state: str | os.PathLike[str] | None = None,
        max_delay: timedelta = MAX_DELAY,
        policy: WitnessPolicy | None = None,
        jobs: int | None = None,
    ) -> Audit:
        """An audit of the whole ledger by its log, as something under way: nothing is read yet.

        ``run`` it. Every leaf, tile, chain and signature is checked, and each against the others:
        what the log has, has to be in its title's chain; a head beyond the log needs a marker, and
        that for no longer than ``max_delay``. ``state``: as with ``Ledger.verify_all``; it also
        remembers the checkpoint, and when a head was first seen to wait. ``policy``: who
        has to have cosigned the checkpoint.

        Raises what ``checkpoint`` and ``Ledger.audit`` do.
        """
        now = self._clock()
        beside = LogAudit(
            self._history,
            self._reader,
            lambda: self.checkpoint(witnesses=policy.witnesses if policy else ()),
            now,
            max_delay=max_delay,
            policy=policy,
        )
        return Audit(
            self._history,
            None,
            now,
            listing=self._titles,
            listed=True,
            state=state,
            jobs=jobs or cores(),
            beside=beside,
        )

    def cosign(self, checkpoint: bytes, witness: WitnessKey, signer: Signer) -> bytes:
        """The signed checkpoint with a witness's line, by this ledger's clock.

        It says that this was the largest that the witness saw, and that it continues all that it
        saw before: so it is for an ``audit`` with a state that held, and for no other checkpoint
        than its. Raises InvalidError where the signer has another key.
        """
        signed = self._reader.open(checkpoint)
        line = cosign(signed.checkpoint, witness, signer, int(self._clock().timestamp()))
        cosigned = add_signatures(checkpoint, line)
        if not self._reader.open(cosigned, [witness]).cosignatures:
            raise InvalidError(f"{witness.name} has the log's own key: it is no witness")
        return cosigned

    def _check_pinned(self) -> None:
        if self._reader.log_keys or self._history.store.get(layout.LOG_CHECKPOINT) is None:
            return
        raise OriginNotPinned(
            f"your keyring has no key of the log of {self.origin}",
            hint=_TRUST_THE_LOG.format(self.origin),
        )


def leaf_of(entry: Entry) -> Leaf:
    """The leaf of an entry."""
    return Leaf(entry.title_number, entry.version, entry.address)


class Proven(NamedTuple):
    """What a receipt showed of an entry."""

    entry: Entry
    signed: SignedCheckpoint
    """The checkpoint of a log that has the entry, with the cosignatures of known witnesses."""
    leaf: int
    """Which leaf of the log it is, from 0 on."""
    is_signed: bool
    """Whether a registrar's signature was checked: False where the keyring has no registrar."""


def check_entry(
    receipt: bytes,
    entry: bytes,
    *,
    keyring: Keyring,
    origin: str | None = None,
    witnesses: Iterable[WitnessKey] = (),
) -> Proven:
    """Check, without any store, that the log of a ledger has an entry; both as bytes of files.

    ``keyring`` has a key of the log, and should have the registrars': then the entry's signature is
    checked, too. ``origin``: which ledger it has to be of, where the keyring knows several. How
    many cosignatures are enough is the caller's policy.

    Raises IntegrityError or TrustError (``reason`` is the finding's slug) where it does not hold,
    OriginNotPinned where the keyring has no key of that log.
    """
    read = _read_entry(entry)
    name = read.ledger if origin is None else origin
    log_keys = _keys(keyring, name, "log")
    if not log_keys:
        raise OriginNotPinned(
            f"your keyring has no key of the log of {name}", hint=_TRUST_THE_LOG.format(name)
        )
    is_signed = bool(_keys(keyring, name, "registrar"))
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
    try:
        return Receipt.decode(data)
    except MalformedError as error:
        raise IntegrityError(
            f"{RECEIPT}: {error}", reason="malformed-receipt", object_key=RECEIPT
        ) from error


def _keys(keyring: Keyring, origin: str, role: Role) -> list[PublicKey]:
    return [t.key for t in keyring if (t.origin, t.role) == (origin, role)]
