"""What the log is committed to: ``_log/state``, and the one decision that moves it.

A sealer stages the new leaves, signs, remembers the signature on its own disk, and swaps the
state. The swap alone decides. Whatever comes before it may be lost. Whatever comes after it follows
from the state, and may be done again. A signature that lost the race is never in the store. If the
outcome is unknown, the sealer sends the same signature again, and no other: so it signs no fork.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.errors import (
    ConflictError,
    IntegrityError,
    KeyUnavailable,
    LedgerError,
    MalformedError,
    NotFoundError,
    NotProven,
    OutcomeUnknown,
    PreconditionFailed,
    StoreUnavailable,
    TrustError,
)
from ledger.format import layout, times
from ledger.sealing.disowned import find_bogus
from ledger.sealing.index import SealedIndex
from ledger.sealing.memory import MemoryFile, SealerMemory, SeenTrust, SetAside
from ledger.sealing.publish import (
    Commit,
    clean,
    extend,
    is_published,
    publish,
    publish_records,
    recover_commit,
    replace_checkpoint,
    replace_if_behind,
)
from ledger.sealing.reader import LogReader, check_remembered, judge_disowned
from ledger.stores.swap import swap
from ledger.titles.trust_files import accepted_by
from ledger.tlog.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    log_key,
    open_checkpoint,
    sign_checkpoint,
)
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.note import add_signatures
from ledger.tlog.objects import Leaf, LogState, TrustLeaf
from ledger.tlog.tiles import TileBuilder
from ledger.trust.keys import algorithm_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ledger.format.keyring import Keyring
    from ledger.format.keys import AnySigner
    from ledger.format.report import Finding
    from ledger.stores.base import Store
    from ledger.titles.history import History
    from ledger.trust.chain import Trust


class LostRaceError(Exception):
    """Another sealer swapped the state first, so what this one has read is out of date."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What only the caller can know about the log."""

    genesis: bool = False
    adopt: bool = False
    restored: str = ""


def check_signers(keyring: Keyring, origin: str, signers: Sequence[AnySigner]) -> None:
    """Check that readers with this keyring accept what these signers sign for the log.

    Raises TrustError for a key that is not one of the log's, KeyUnavailable if none of them has a
    key of some algorithm that the log's keys are of.
    """
    accepted = accepted_by(keyring)
    if accepted is not None:
        _check_listed(accepted, signers)
        return
    signing = set()
    for signer in signers:
        key = keyring.key(origin, signer.public_key.key_id, "log")
        if key is None:
            raise TrustError(
                f"key {signer.public_key.key_id[:16]}… is not a key of the log of {origin}:"
                " nobody would accept what it signs",
                hint="if it is to sign there: ledger key show --key FILE > new.pub, then"
                f" ledger key trust new.pub --origin {origin} --role log",
            )
        signing.add(key.algorithm)
    for key in keyring.keys(origin, "log"):
        if key.algorithm not in signing:
            raise KeyUnavailable(
                f"the log of {origin} has an {key.algorithm} key, {key.key_id[:16]}…, and there is"
                " no private key of that algorithm to seal with: nobody who knows it would accept"
                " the checkpoint",
                hint="seal with a file that holds both keys; if the log has lost that key:"
                f" ledger key untrust {key.key_id[:16]} --origin {origin}",
            )


def _check_listed(accepted: Trust, signers: Sequence[AnySigner]) -> None:
    """Check that the signers have a key of each algorithm that the newest trust file lists.

    Others may sign as well: a key is used before a trust file lists it.
    """
    keys = [
        each
        for each in accepted.newest.keys
        if each.role == "log" and accepted.end_of(each.key_id) is None
    ]
    signing = {signer.public_key.key_id for signer in signers}
    covered = {algorithm_of(each.key) for each in keys if each.key_id in signing}
    for each in keys:
        if algorithm_of(each.key) not in covered:
            raise KeyUnavailable(
                f"{accepted.newest.object_key} lists an {algorithm_of(each.key)} key of the log,"
                f" {each.key_id[:16]}…, and no private key of that algorithm that it lists is here",
                hint="seal with all of the log's keys: 'ledger trust show' names them",
            )


class Committed:
    """The state of the log in the hands of one sealer, whose memory is locked.

    ``settle`` first; then ``append`` as often as there are leaves.
    """

    state: LogState
    """What the log is committed to."""

    def __init__(
        self,
        history: History,
        signers: Sequence[AnySigner],
        memory: MemoryFile,
        declared: Declared,
        now: datetime,
    ) -> None:
        check_signers(history.keyring, history.origin, signers)
        self.history = history
        self.origin: str = history.origin
        self.store: Store = history.store
        self.log: LogReader = LogReader(history)
        self.signers = signers
        self.memory = memory
        self.index: SealedIndex = SealedIndex(
            memory.path.with_name(f"{memory.path.name}.index"),
            lambda title, leaves: find_bogus(self.store, history.keyring, title, leaves),
        )
        """Covers what ``state`` commits to, once that is settled or appended to."""
        self.findings: list[Finding] = []
        """Records of titles that were wrong, and are mended."""
        self.declared = declared
        self.now = now
        self.jobs = 1
        self.appended: int = 0
        """How many leaves were committed."""
        self.trust: int = 0
        """How many of them name trust files."""
        self.signatures: int = 0
        """How many lines were added under a checkpoint that was there already."""
        self._remembered = SealerMemory(history.origin)
        self._version: str | None = None
        self._builder: TileBuilder | None = None

    # -- One commit ----------------------------------------------------------------------------

    def log_trust(self) -> None:
        """Log the trust files that the log does not name yet, before anything is judged by them."""
        accepted = accepted_by(self.history.keyring)
        if accepted is None:
            return
        from ledger.trust.leaves import due_leaves  # noqa: PLC0415 -- slow to load

        if due := list(due_leaves(accepted, self.index.trust_leaves())):
            self.append(due)
            self.trust += len(due)

    def append(self, leaves: Sequence[Leaf | TrustLeaf]) -> None:
        """Commit to these leaves, and publish them.

        Raises LostRaceError, StoreError if nothing was committed, OutcomeUnknown.
        """
        before = self.state.checkpoint
        if self._builder is None:
            self._builder = self.log.builder(before.size, before.root)
        self._commit(self._builder, [leaf.encode() for leaf in leaves], before)

    def mend(self, titles: list[str]) -> None:
        """Write the records of these titles again, if they are not as the log has them."""
        records = ((title, self.index.record(title)) for title in titles)
        size = self.state.checkpoint.size
        self.findings += publish_records(self.log, records, size, self.jobs, mend=True)

    def _commit(
        self, builder: TileBuilder, leaves: list[bytes], before: Checkpoint | None = None
    ) -> None:
        """Stage, sign, remember, swap, publish."""
        commit = extend(builder, leaves)
        try:
            self.store.create(layout.staging_key(commit.staging.name), commit.staged)
        except OutcomeUnknown as error:
            # Nothing points at it: it is nothing yet.
            raise StoreUnavailable(f"nothing more was sealed: {error}", hint=error.hint) from error
        checkpoint = Checkpoint(self.origin, builder.size, builder.root())
        signed = self.log.open(sign_checkpoint(checkpoint, *self.signers))
        state = LogState(signed, commit.staging)
        self._remember(replace(self._remembered, attempt=state.encode()))
        self._decide(state, commit, before)

    def _decide(self, state: LogState, commit: Commit, before: Checkpoint | None = None) -> None:
        self._version = self._swap(state.encode())
        self.state = state
        self.appended += len(commit.leaves)
        self._remember(replace(self._remembered, seen=state.signed.note, attempt=None))
        if before is not None:
            self.index.add(commit.leaves, before, state.checkpoint)
        self._publish(state, commit)
        clean(self.store, state)
        self._builder = commit.builder

    def _publish(self, state: LogState, commit: Commit) -> None:
        self.findings += publish(self.log, state, commit, self.index, self.jobs)

    def _swap(self, data: bytes) -> str:
        """Swap the state, if it still is the one that was read; return its new version."""
        swapped = swap(self.store, layout.LOG_STATE, data, self._version, unknown=_unknown)
        if swapped is None:
            raise LostRaceError
        return swapped.version

    def _remember(self, remembered: SealerMemory) -> None:
        if remembered != self._remembered:
            self.memory.write(remembered)
            self._remembered = remembered

    # -- The state that is there ---------------------------------------------------------------

    def settle(self) -> None:
        """Read the state, compare it with what is remembered, and publish it."""
        found = self.log.state(any_algorithm=True)
        remembered = self.memory.read() or self._begin(found[0] if found else None)
        if remembered.origin != self.origin:
            raise TrustError(
                f"{self.memory.path} is the memory of a sealer of {remembered.origin},"
                f" not of {self.origin}",
                reason="wrong-ledger",
            )
        self._remembered = remembered
        self._check_trust()
        self._builder = None
        self._version = found[1] if found else None
        seen = _seen(self.log, remembered)
        if found and (base := self._base_of_a_thiefs(found[0], seen)):
            self._go_back(found[0], base)
            found, seen = self.log.state(any_algorithm=True), base
        self._take_found(found[0] if found else None, seen)
        if found is None:
            self._redo_or(begin=True)
        else:
            self.state = found[0]
            if self._remembered.attempt:
                self._redo_or(begin=False)
        self.log.check_pins(self.state.checkpoint)
        self._sign_again()
        self.index.follow(self.log, self.state.checkpoint)

    def _take_found(self, found: LogState | None, seen: Checkpoint | None) -> None:
        """Compare the state with what is remembered, and publish it."""
        try:
            _check_not_behind(seen, found.checkpoint if found else None)
            if found:
                self._check_signed(found, seen)
                self._publish_found(found, seen)
        except IntegrityError as error:
            if not self._may_forget(error):
                raise
            if found:
                self._check_signed(found, seen)
            self._set_aside(found)
            if found:
                self._publish_restored(found)

    def _may_forget(self, error: IntegrityError) -> bool:
        """Whether what is remembered may be set aside: that was declared, or a thief signed it."""
        if error.reason not in {"log-set-back", "not-consistent"}:
            return False
        seen = self._remembered.seen
        disowned = judge_disowned(self.log, seen) if seen else None
        if disowned is not None and self.log.checkpoint() is not None:  # it continues all pins
            self.findings.append(disowned)
            return True
        return bool(self.declared.restored)

    def _check_trust(self) -> None:
        """Refuse trust files that were set back or replaced since this sealer saw them."""
        accepted, seen = accepted_by(self.history.keyring), self._remembered.trust
        if accepted is None:
            return
        file = accepted.file(seen.version) if seen else None
        if seen is not None and (file is None or file.digest != seen.digest):
            key = layout.trust_key(seen.version)
            there = "another file is there" if file else "it is not there, or not accepted"
            raise IntegrityError(
                f"{key}: this sealer has seen {seen.digest}, and {there}: nothing is signed",
                hint="bring the trust file back from a copy",
                reason="trust-set-back",
                object_key=key,
            )
        newest = SeenTrust(accepted.newest.version, accepted.newest.digest)
        self._remember(replace(self._remembered, trust=newest))

    def _check_signed(self, state: LogState, seen: Checkpoint | None) -> None:
        """Refuse a state that lacks the line of an algorithm, unless this sealer knows its tree.

        Else whoever can forge the other line would have it signed.
        """
        if self._is_known(state, seen) or self.declared.restored:
            return
        try:
            self.log.check_signatures(state.signed, layout.LOG_STATE)
        except NotProven as error:
            raise NotProven(
                f"{error}: nothing is signed, as this sealer has not seen that tree",
                hint="whoever can forge one of the log's signatures may have written it; if a"
                " sealer of yours did, without the other key: 'ledger seal --restored \"WHY\"'",
                reason=error.reason,
                object_key=layout.LOG_STATE,
            ) from error

    def _is_known(self, state: LogState, seen: Checkpoint | None) -> bool:
        attempt = self._remembered.attempt
        known = [seen, self._open_attempt(attempt).checkpoint if attempt else None]
        return state.checkpoint in known

    def _base_of_a_thiefs(self, state: LogState, seen: Checkpoint | None) -> Checkpoint | None:
        """From where a thief continued the log with a key that counts no more, if that is declared.

        It is what the newest trust file pins, or what this sealer saw after that. None: the state
        counts, or nothing was declared.
        """
        accepted = accepted_by(self.history.keyring)
        if accepted is None or not self.declared.restored or self._is_known(state, seen):
            return None
        try:
            self.log.check_signatures(state.signed, layout.LOG_STATE)
        except NotProven:
            pin = accepted.newest.log
            if seen is None or seen.size < pin.size:
                return pin
            self.log.check_continues(seen, pin)
            return seen
        return None

    def _go_back(self, found: LogState, base: Checkpoint) -> None:
        """Commit to the log as it was before a thief continued it; keep what is given up, and why.

        Tiles of the thief's may lie where later ones belong: publishing those names them.
        """
        within = max(found.checkpoint.size, base.size)
        builder = self.log.builder(base.size, base.root, within)
        at, words = times.format_time(self.now), self.declared.restored
        kept = (*self._remembered.set_aside, SetAside(found.signed.note.decode(), at, words))
        self._remember(replace(self._remembered, attempt=None, set_aside=kept))
        self._commit(builder, [])
        self._builder = None

    def _sign_again(self) -> None:
        """Add the lines of the signers that have not signed this state, and publish it with them.

        The sealer remembers nothing before the swap: the tree is the same, so it can't be a fork.
        """
        signed = self.state.signed
        missing = [each for each in self.signers if not self._has_signed(each, signed)]
        if not missing:
            return
        lines = sign_checkpoint(signed.checkpoint, *missing).partition(b"\n\n")[2]
        state = LogState(self.log.open(add_signatures(signed.note, lines)), self.state.staging)
        self._version = self._swap(state.encode())
        self.state = state
        self.signatures += len(missing)
        self._remember(replace(self._remembered, seen=state.signed.note))
        replace_if_behind(self.log, state.signed, state.lines)

    def _has_signed(self, signer: AnySigner, signed: SignedCheckpoint) -> bool:
        """Whether there is a line of this signer, whose key readers may not know yet."""
        key = signer.public_key
        if key in signed.signed_by:
            return True
        with suppress(TrustError):
            open_checkpoint(
                signed.note,
                origin=self.origin,
                log_keys=[log_key(self.origin, key).key],
                any_algorithm=True,
            )
            return True
        return False

    def _open_attempt(self, attempt: bytes) -> LogState:
        return self.log.open_state(attempt, any_algorithm=True)

    def _begin(self, found: LogState | None) -> SealerMemory:
        """What a sealer without a memory begins with, if that was declared."""
        if found is None and not self.declared.genesis:
            raise NotFoundError(
                f"there is no log in {self.store.url}",
                hint="'ledger seal --genesis' begins it, once;"
                " if there was one, it is gone: bring it back from a copy",
            )
        if found is not None and not self.declared.adopt:
            raise ConflictError(
                f"there is a log of {found.checkpoint.size} leaves, and this sealer has no memory"
                f" of it ({self.memory.path}): it can't tell whether the log was set back",
                hint="bring the file back; if this is a new sealer, compare the checkpoint with"
                " what others have seen, then: 'ledger seal --adopt'",
            )
        if found is not None:
            published = self._published(any_algorithm=True)
            if published and published.checkpoint.size > found.checkpoint.size:
                raise _set_back(published.checkpoint, found.checkpoint, "is published")
        remembered = SealerMemory(self.origin, found.signed.note if found else None)
        if found is not None:
            self.memory.write(remembered)
        return remembered

    def _publish_found(self, state: LogState, seen: Checkpoint | None) -> None:
        """Publish a state that is not behind, and see that it continues what was seen."""
        published = self._published()
        if is_published(state, published):
            # Whoever published it may have been stopped, and what is due is judged by it now.
            self.store.make_durable(layout.LOG_CHECKPOINT)
            if published and published.checkpoint == state.checkpoint:
                there = published.note.splitlines()
                if any(line not in there for line in state.lines.splitlines()):
                    replace_if_behind(self.log, state.signed, state.lines)
        else:
            commit = self._recover(state)
            self._publish(state, commit)
            self._builder = commit.builder
        clean(self.store, state)
        if seen != state.checkpoint:
            empty = Checkpoint(self.origin, 0, EMPTY_ROOT)
            self.log.check_continues(state.checkpoint, seen or empty)
            self._make_durable(state)
            # What was signed on top of what was seen has come to be, or never will.
            self._remember(replace(self._remembered, seen=state.signed.note, attempt=None))

    def _publish_restored(self, state: LogState) -> None:
        """Publish what was declared to be right, even in the place of a later checkpoint."""
        published = self._published()
        if published and published.checkpoint.size >= state.checkpoint.size:
            replace_checkpoint(self.log, state)
        self._publish_found(state, state.checkpoint)

    def _recover(self, state: LogState) -> Commit:
        """Make a commit again; raises LostRaceError if another sealer is done with it."""
        try:
            return recover_commit(self.log, state)
        except IntegrityError:
            blob = self.store.get(layout.LOG_STATE)
            moved = (blob.version if blob else None) != self._version
            if moved or is_published(state, self._published()):
                raise LostRaceError from None
            raise

    def _make_durable(self, state: LogState) -> None:
        """Create again what was read: whoever wrote it may have crashed before it was durable."""
        try:
            self.store.create(layout.LOG_STATE, state.encode())
        except PreconditionFailed:
            raise LostRaceError from None

    def _published(self, *, any_algorithm: bool = False) -> SignedCheckpoint | None:
        """The published checkpoint; one that nobody of ours signed is as good as none."""
        try:
            return self.log.checkpoint(any_algorithm=any_algorithm)
        except (IntegrityError, MalformedError, TrustError):
            return None

    def _redo_or(self, *, begin: bool) -> None:
        """Do again, to the byte, what was signed before a crash; or begin an empty log."""
        attempt = self._remembered.attempt
        if attempt is None:
            if begin:
                self._commit(TileBuilder(), [])
            return
        state = self._open_attempt(attempt)
        try:
            commit = self._recover(state)
        except IntegrityError:
            if not self.declared.restored:
                raise
            self._set_aside(None if begin else self.state)
            self._redo_or(begin=begin)
        else:
            self._decide(state, commit)

    def _set_aside(self, found: LogState | None) -> None:
        """Accept what is there after a declared restore; keep what was given up, and why."""
        given_up = [self._remembered.seen]
        if self._remembered.attempt:
            given_up.append(self._open_attempt(self._remembered.attempt).signed.note)
        at = times.format_time(self.now)
        words = self.declared.restored
        kept = tuple(SetAside(note.decode(), at, words) for note in given_up if note)
        self._remember(
            SealerMemory(
                self.origin,
                found.signed.note if found else None,
                None,
                (*self._remembered.set_aside, *kept),
                self._remembered.trust,
            )
        )


def _unknown(why: LedgerError) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"cannot tell whether the log was committed: {why}",
        hint="seal again: this sealer remembers what it signed, and signs nothing else",
    )


def is_as_remembered(log: LogReader, remembered: SealerMemory) -> bool:
    """Whether the log has, and has published, all that its sealer remembers; nothing is sealed.

    False: the last commit is not published. A seal is under way, or was cut off, and the next one
    publishes it. Raises IntegrityError if the log was set back, or is another one.
    """
    seen = _seen(log, remembered)
    found = log.state()
    _check_not_behind(seen, found[0].checkpoint if found else None)
    if seen is None or found is None:
        return True
    state, published = found[0], log.checkpoint()
    is_whole = is_published(state, published)
    size = published.checkpoint.size if published else 0
    # One that is smaller may be about to be replaced, unless it precedes the last commit's base.
    if (published and size >= seen.size) or size < state.staging.base:
        check_remembered(log, published, seen)
    return is_whole


def _seen(log: LogReader, remembered: SealerMemory) -> Checkpoint | None:
    """The checkpoint that a sealer remembers; None: it has seen none yet."""
    if not remembered.seen:
        return None
    return log.open(remembered.seen, any_algorithm=True).checkpoint


def _check_not_behind(seen: Checkpoint | None, found: Checkpoint | None) -> None:
    if seen is not None and (
        found is None
        or found.size < seen.size
        or (found.size == seen.size and found.root != seen.root)
    ):
        raise _set_back(seen, found, "is what this sealer remembers")


def _set_back(seen: Checkpoint, found: Checkpoint | None, why: str) -> IntegrityError:
    there = f"{found.size} leaves" if found else "none at all"
    if found and found.size == seen.size:
        there = "as many leaves with another root"
    return IntegrityError(
        f"{layout.LOG_STATE}: the log has {there}, but a checkpoint of {seen.size} leaves {why}:"
        " nothing is signed, as that would be a fork",
        hint="bring back the log as it was; if the store was restored from a backup, and that is"
        " known to all who rely on the log: 'ledger seal --restored \"WHY\"'",
        reason="log-set-back",
        object_key=layout.LOG_STATE,
    )
