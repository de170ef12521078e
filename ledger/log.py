"""The log of a ledger: seal it, read its checkpoint, hand out receipts.

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
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import InvalidError, LedgerError, NotFoundError, OriginNotPinned
from ledger.format import layout
from ledger.format.keyring import TRUST_THE_LOG
from ledger.format.report import Finding, finding_of
from ledger.format.times import CLOCK_SKEW, parse_time
from ledger.local.parallel import cores
from ledger.sealing.cosign import add_cosignatures
from ledger.sealing.feed import LoggedChange, read_changes
from ledger.sealing.pending import Moved, pending_titles
from ledger.sealing.reader import LogReader
from ledger.sealing.seal import Sealed, seal
from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, WitnessKey, cosign
from ledger.tlog.note import add_signatures
from ledger.tlog.objects import Leaf, decode_leaf, leaf_of
from ledger.verification.by_log import LogAudit
from ledger.verification.replay import check_kept, last_logged
from ledger.verification.run import Verification
from ledger.verification.trust import MAX_DELAY

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor
    from datetime import timedelta

    from ledger.format.entry import Entry
    from ledger.format.keys import AnySigner
    from ledger.ledger import Ledger
    from ledger.sealing.witnesses import Witnesses
    from ledger.tlog.policy import WitnessPolicy
    from ledger.tlog.receipt import Receipt

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two looks at the log."""

LOOKED_AT = 100
"""How many titles, drawn at random, are asked how long they have been waiting.

The first in the listing would not do: they may all be young while others wait."""


SEEN = 20
"""How many of the newest leaves, and of the titles that wait, are looked at without an audit."""

WITNESS_TIMEOUT = 10.0
"""Seconds that a witness has for an answer."""


class Pending(NamedTuple):
    """What waits to be logged."""

    moves: int
    """Moves of heads that were prepared and that no seal has settled yet."""
    oldest: str | None
    """When the oldest waiting entry was recorded (RFC 3339), or None if nothing waits.

    A move that was prepared but never happened does not count. If more than LOOKED_AT titles wait,
    this is the oldest of a random sample, drawn anew each time: another may be older.
    """


class Log:
    """The transparency log of a ledger, in the same store, by the same keyring and clock.

    What is signed is checked before it is handed out; so is a receipt.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._history = ledger.history
        self._titles = ledger.titles
        self._clock = ledger.clock
        self.reader: LogReader = LogReader(ledger.history)
        """The log as its store has it: only what is signed has been checked."""

    def __repr__(self) -> str:
        return f"<Log {self.origin} in {self._history.store.url}>"

    @property
    def origin(self) -> str:
        """The name of the log: the ledger's."""
        return self._history.origin

    def seal(
        self,
        signers: AnySigner | Sequence[AnySigner],
        memory: str | os.PathLike[str],
        *,
        genesis: bool = False,
        adopt: bool = False,
        restored: str = "",
        every_title: bool = False,
        jobs: int | None = None,
    ) -> Sealed:
        """Log every entry that a head has moved to, and publish the log.

        ``signers`` are the log's own keys, one of each algorithm that the keyring has for it: an
        Ed25519 key, and the ML-DSA-44 key beside it. Those that have not signed the published
        checkpoint sign it, even if nothing is new. ``memory`` is the file of this sealer, on a disk
        that the writers of the store can't reach. ``genesis`` begins the log; ``adopt`` goes on
        with one that this sealer has no memory of; ``restored`` says in words why the log was set
        back. ``every_title``: not only those that were appended to since. Titles that don't verify
        are left out, and are in the report of what it returns.

        Raises what ``ledger.sealing.seal.seal`` does, and InvalidError for a memory inside the
        store.
        """
        self._history.store.check_writable()
        self._history.store.check_outside(memory)
        return seal(
            self._history,
            signers,
            memory,
            self._clock(),
            genesis=genesis,
            adopt=adopt,
            restored=restored,
            every_title=every_title,
            jobs=jobs or cores(),
        )

    def checkpoint(
        self,
        *,
        verify: bool = False,
        since: bytes | None = None,
        witnesses: Iterable[WitnessKey] = (),
    ) -> SignedCheckpoint:
        """The published checkpoint, signed by the log's keys.

        ``verify``: also check that the newest tiles lead to its root. Only an audit checks all
        the others. ``since``: the note of one that was kept from before, which the log must
        continue. ``witnesses``: those whose cosignatures are looked at; how many are enough
        is for a ``WitnessPolicy`` to say. Raises NotFoundError if there is no log yet,
        TrustError or IntegrityError if a key of the log did not sign it, or a witness's
        signature is wrong; IntegrityError (reason ``log-set-back``, ``not-consistent``,
        ``memory-disowned``) if the log does not continue ``since``.
        """
        self._check_pinned()
        signed = self.reader.checkpoint(witnesses)
        if since is not None:
            check_kept(self.reader, signed, since)
        if signed is None:
            raise NotFoundError(
                f"there is no log in {self._history.store.url}",
                hint="'ledger seal --genesis' begins it; 'ledger key generate --for log' first",
            )
        if verify:
            self.reader.builder(signed.checkpoint.size, signed.checkpoint.root)
        return signed

    def add_cosignatures(
        self, cosigned: bytes, witnesses: Iterable[WitnessKey]
    ) -> SignedCheckpoint:
        """Publish what witnesses have signed: the checkpoint, as they returned it, with the log's.

        Their cosignatures are verified, and what others wrote is left out. The next seal of
        anything new publishes a checkpoint without them. Raises ConflictError if another
        checkpoint is published by now, TrustError if none of the witnesses signed this one.
        """
        self._history.store.check_writable()
        self._check_pinned()
        return add_cosignatures(self.reader, cosigned, tuple(witnesses))

    def witnesses(self, policy: WitnessPolicy, *, timeout: float = WITNESS_TIMEOUT) -> Witnesses:
        """Return the witnesses of a policy: ``ask`` them, and their cosignatures are published.

        Call this before the seal, so that it sees the cosignatures that the seal replaces, and
        ``ask`` after it. ``timeout``: seconds that each witness has for an answer. Raises
        InvalidError if none of them has a URL, or one has another role in the keyring.
        """
        from ledger.sealing.witnesses import Witnesses  # noqa: PLC0415 -- HTTP is slow to load

        policy.check_roles(self._history.keyring)
        return Witnesses(lambda: self.reader, policy, self._clock, timeout)

    def known(self, title_number: str, kept: bytes) -> Leaf | None:
        """The newest version of a title that the log had by a checkpoint kept from before.

        None: it had none of it. That the log continues the checkpoint is checked, and the answer
        is proved: the log is read from that version on. Raises IntegrityError (reason
        ``log-set-back``, ``not-consistent``, or if tiles are missing or wrong).
        """
        self._check_pinned()
        return last_logged(self.reader, title_number, kept)

    def receipt(self, title_number: str, revision: str | Entry = "HEAD") -> Receipt:
        """The receipt of an entry: that it is in the log, provable without the store.

        At once for the newest thousand logged versions of a title; otherwise the log is searched.
        Raises NotFoundError if it is not in the published log yet, which that search proves.
        """
        signed = self.checkpoint()
        entry = self._history.resolve(title_number, revision)
        return self.reader.receipt(leaf_of(entry), signed)

    def wait(self, entry: Entry, timeout: float) -> Receipt | None:
        """The receipt of an entry as soon as it is in the log; None: not within these seconds."""
        end = time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            receipt = self.reader.recorded_receipt(leaf_of(entry), self.checkpoint())
            left = end - time.monotonic()
            if receipt is not None or left <= 0:
                return receipt
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)

    def newest_of(self, title_number: str) -> Leaf | None:
        """The newest version of a title in the published log; None: there is none.

        It is proved: all leaves after the newest that the title's record proves are read, or all
        leaves if the record is missing or wrong.
        """
        return self.reader.newest_leaf(
            layout.check_title_number(title_number), self.checkpoint().checkpoint
        )

    def lacks(self, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Those of the entries that the published checkpoint does not cover, which is proved.

        So a reader who goes by the log tells whether it has all parts of a registration.
        """
        signed = self.checkpoint()
        return tuple(entry for entry in entries if not self.reader.has(entry, signed))

    def newest(self) -> Leaf | None:
        """The last leaf of the published log, as the store says; None: it is about no entry."""
        size = self.checkpoint().checkpoint.size
        leaves = list(self.reader.leaves(size, size - 1)) if size else []
        leaf = decode_leaf(leaves[0]) if leaves else None
        return leaf if isinstance(leaf, Leaf) else None

    def markers(self, title_number: str) -> Iterator[tuple[int, str]]:
        """The version and address of every move of a title's head that no seal has settled."""
        return self._history.markers(layout.check_title_number(title_number))

    def look(self) -> tuple[Finding, ...]:
        """Look at the titles that were logged last and at some that wait, as an audit looks at all.

        Their records have to name the leaves that the log has, and their heads must not lie in the
        future. Cheap, and no proof of the others. Raises what ``checkpoint`` does.
        """
        checkpoint = self.checkpoint().checkpoint
        size = checkpoint.size
        last = max(0, size - SEEN)
        newest: dict[str, Leaf] = {}
        for data in self.reader.leaves(size, last):
            leaf = decode_leaf(data)
            if isinstance(leaf, Leaf):
                newest[leaf.title_number] = leaf
        is_listable = self._history.store.is_listable
        waiting = islice(pending_titles(self._history.store), SEEN) if is_listable else ()
        titles = dict.fromkeys([*newest, *(title for title, _ in waiting)])
        findings = [
            finding
            for title in titles
            if (finding := self._look_at_record(title, newest.get(title), checkpoint))
        ]
        heads = self._entries((title, layout.head_key(title)) for title in titles)
        findings += [
            _in_future(head)
            for head in heads
            if head and parse_time(head.recorded_at) - self._clock() > CLOCK_SKEW
        ]
        return tuple(findings)

    def _look_at_record(
        self, title_number: str, logged: Leaf | None, checkpoint: Checkpoint
    ) -> Finding | None:
        key = layout.sealed_key(title_number)
        try:
            found = self.reader.proved_record(title_number, checkpoint)
        except LedgerError as error:
            return finding_of(error, key)
        if logged is None or (found and found[0].version >= logged.version):
            return None
        message = f"{key}: missing, or behind version {logged.version}, which the log has"
        return Finding("warning", "bad-record", key, message)

    def changes(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        signed: SignedCheckpoint | None = None,
        reverse: bool = False,
    ) -> Iterator[LoggedChange]:
        """The leaves of the log in its order, each with the entry that it names, checked.

        ``after``: only those after this leaf. ``reverse``: the newest first. ``signed`` is the
        checkpoint to read up to, one that ``checkpoint`` returned; by default the published one.
        The numbers of leaves have no gap: one that is about no entry is there as well.

        The first leaf that does not hold raises, after those before it: IntegrityError, TrustError,
        or UnsupportedFormatError. Raises InvalidError if the log has no leaf ``after``, and what
        ``checkpoint`` does.
        """
        checkpoint = (signed or self.checkpoint()).checkpoint
        start = 0 if after is None else after + 1
        if not 0 <= start <= checkpoint.size or (limit is not None and limit < 0):
            raise InvalidError(
                f"the log has no leaf {after}: it has {checkpoint.size:,} leaves, from 0 on",
                hint="if you have seen that leaf, the log was set back: keep the checkpoint that"
                " you have, and ask the registry",
            )
        end = checkpoint.size
        if limit is not None and reverse:
            start = max(start, end - limit)
        elif limit is not None:
            end = min(end, start + limit)
        return read_changes(self._history, self.reader, checkpoint, start, end, reverse=reverse)

    def pending(self, most: int | None = None) -> Pending:
        """Return what waits for the next seal. At most ``most`` markers are counted.

        List the markers, and read the heads and entries of up to a hundred titles.
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
        # If it lost a race, another was recorded in its place at about the same time.
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
        loose: int = 0,
        jobs: int | None = None,
        executor: Executor | None = None,
    ) -> Verification:
        """Prepare an audit of the whole ledger by its log; ``run`` it.

        It checks every leaf, tile, chain and signature, and each against the others. What the log
        has must be in its title's chain. A head beyond the log needs a marker, and for no longer
        than ``max_delay``. ``policy`` says who must have cosigned the checkpoint. ``loose``: of how
        many titles, drawn at random, the entries are read from their own objects as well, if they
        were read from packs. ``state``,
        ``jobs`` and ``executor`` are those of ``Ledger.verification``; the state also remembers the
        checkpoint, and when a head was first seen to wait.

        Raises what ``checkpoint`` and ``Ledger.verification`` do, and InvalidError for a policy
        whose witness has another role in the keyring.
        """
        if policy is not None:
            policy.check_roles(self._history.keyring)
        now = self._clock()
        log_audit = LogAudit(
            self._history,
            self.reader,
            lambda: self.checkpoint(witnesses=policy.witnesses if policy else ()),
            now,
            max_delay=max_delay,
            policy=policy,
            loose=loose,
        )
        return Verification(
            self._history,
            None,
            now,
            # What the log has, the audit knows from its leaves.
            listing=self._titles if self._history.store.is_listable else tuple,
            listed=True,
            state=state,
            jobs=jobs or cores(),
            executor=executor,
            log_audit=log_audit,
        )

    def cosign(self, checkpoint: bytes, cosigners: Iterable[tuple[WitnessKey, AnySigner]]) -> bytes:
        """The signed checkpoint with the lines of a witness's keys, by this ledger's clock.

        They say that this was the largest that the witness saw, and that it continues all that it
        saw before: so it is for an ``audit`` with a state that held, and for no other checkpoint
        than its. Raises InvalidError if a signer has another key.
        """
        signed = self.reader.open(checkpoint)
        now = int(self._clock().timestamp())
        cosigned = checkpoint
        for witness, signer in cosigners:
            cosigned = add_signatures(cosigned, cosign(signed.checkpoint, witness, signer, now))
            if not self.reader.open(cosigned, [witness]).cosignatures:
                raise InvalidError(f"{witness.name} has the log's own key: it is not a witness")
        return cosigned

    def _check_pinned(self) -> None:
        if self.reader.log_keys or self._history.store.get(layout.LOG_CHECKPOINT) is None:
            return
        raise OriginNotPinned(
            f"your keyring has no key of the log of {self.origin}",
            hint=TRUST_THE_LOG.format(self.origin),
        )


def _in_future(head: Entry) -> Finding:
    key = layout.head_key(head.title_number)
    message = f"{key}: recorded {head.recorded_at}, which is in the future by this clock"
    return Finding("warning", "time-in-future", key, message)
