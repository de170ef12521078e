"""Making the next trust file of a ledger: propose it, publish it, and see what it does.

Between the two, its holders sign it, offline. Publishing can be stopped at any step and repeated:

1. All rules are checked, and that no entry waits that the file would leave without a signer.
2. ``_trust/<N>.json`` is created; or it replaces an object that no reader accepts.
3. Heads and leaves are read again, and what slipped in between is named.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import (
    ConflictError,
    IntegrityError,
    LedgerError,
    MalformedError,
    NotFoundError,
    OutcomeUnknown,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.entry import Entry, version_hint
from ledger.format.report import Finding
from ledger.sealing.impact import Stopped, find_stopped
from ledger.sealing.pending import pending_titles
from ledger.sealing.positions import LogPositions
from ledger.sealing.reader import LogReader
from ledger.stores.swap import swap
from ledger.titles.history import History
from ledger.titles.trust_files import read_trust
from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from ledger.tlog.merkle import consistency_proof
from ledger.tlog.objects import Leaf, decode_leaf
from ledger.trust.accept import check_first, check_next
from ledger.trust.changes import TrustChanges, apply, first_file
from ledger.trust.file import TrustFile, log_keys_of
from ledger.trust.keyring import AcceptedKeyring
from ledger.trust.proposal import Proof, Proposal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ledger.format.keyring import Keyring, Root
    from ledger.format.pem import VerifyingKey
    from ledger.stores.base import Blob, Store
    from ledger.trust.chain import Trust

CHUNK = 1000
"""How many leaves' entries are asked for at once."""


class PublishedTrust(NamedTuple):
    """A trust file that is in the store, and what was found on the way."""

    file: TrustFile
    was_there: bool
    """Whether it had been published before."""
    replaced: bytes
    """The bytes that were in its place, and that no reader accepted; mostly none."""
    findings: tuple[Finding, ...]
    """What slipped in while it was published, and does not count."""


class Ceremony:
    """What a ledger's next trust file is made from: its trust files, its log, its entries."""

    def __init__(self, store: Store, origin: str, keyring: Keyring) -> None:
        """Read the trust files; raises what ``read_trust`` does."""
        self.store = store
        self.origin = origin
        self._keyring = keyring
        self._follow(read_trust(store, origin, keyring))

    def _follow(self, trust: Trust | None) -> None:
        """Judge by these trust files from now on."""
        self.trust = trust
        accepted = AcceptedKeyring(trust, self._keyring) if trust else self._keyring
        self._history = History(self.store, self.origin, accepted, LogPositions())
        self.log: LogReader = LogReader(self._history)

    @property
    def files(self) -> tuple[TrustFile, ...]:
        """The files that are accepted; none before the first is pinned."""
        return self.trust.files if self.trust else ()

    def checkpoint(self) -> SignedCheckpoint:
        """The published checkpoint, which continues every pin; raises NotFoundError without a log.

        The newest tiles lead to its root. Raises IntegrityError if one does not hold.
        """
        signed = self.log.checkpoint()
        if signed is None:
            raise NotFoundError(
                f"there is no log in {self.store.url}, and trust files pin one",
                hint="'ledger seal --genesis' begins it",
            )
        self.log.builder(signed.checkpoint.size, signed.checkpoint.root)
        return signed

    # -- Propose -------------------------------------------------------------------------------

    def propose(
        self, changes: TrustChanges, *, seen: Iterable[Checkpoint] = (), continues: bool = False
    ) -> Proposal:
        """Make the next trust file, or the first, for its holders to sign.

        It pins the published checkpoint. ``seen`` are checkpoints that holders have: the proposal
        carries the proofs that lead from the pin to them. ``continues``: it is to stand without the
        holders of the file before. Raises InvalidError for what no file can be, TrustError for what
        no reader would accept.
        """
        signed = self.checkpoint()
        log = signed.checkpoint
        before = self.files
        file = apply(before, changes, log) if before else first_file(changes, log)
        sizes = {*(other.size for other in seen), *(each.log.size for each in before[-1:])}
        proposal = Proposal(
            file,
            before,
            signed.note,
            tuple(Proof(size, self.prove(log, size)) for size in sorted(sizes - {0, log.size})),
            continues,
        )
        proposal.check()
        for other in seen:
            proposal.check_continues(other)
        return proposal

    def prove(self, pin: Checkpoint, size: int) -> tuple[bytes, ...]:
        """The proof that the pinned log and the store's log of another size are one."""
        old, new = sorted([pin.size, size])
        signed = self.log.checkpoint()
        if signed is None or signed.checkpoint.size < new:
            raise NotFoundError(f"the log in {self.store.url} has not {new:,} leaves yet")
        try:
            return consistency_proof(old, new, self.log.hashes(new))
        except MalformedError as error:
            raise TrustError(f"the tiles of the log prove nothing: {error}") from error

    # -- Publish -------------------------------------------------------------------------------

    def publish(self, proposal: Proposal) -> PublishedTrust:
        """Put a trust file that enough holders signed where readers look for it.

        A file whose pin is of another log than this is replaced, if that is what readers have
        accepted. Raises TrustError if a rule is broken, ConflictError if another file of this
        version is accepted, or if an entry waits by a key that the file drops without revoking it,
        OutcomeUnknown if nobody can tell whether it was published.
        """
        file = proposal.file
        known = next((each for each in self.files if each.version == file.version), None)
        forked = known is not None and known.digest != file.digest
        if forked:
            self.disown(file.version)
        if known is None or forked:
            self._check(proposal)
        found = self.store.get(file.object_key)
        there = None
        if found is not None:
            there = self._find_accepted(found.data, proposal) if known is None or forked else known
        if there is not None and there.digest != file.digest:
            if there != known:
                raise _taken(there)
            there = None
        if there is None:
            self._put(file, found)
        else:
            self.store.make_durable(file.object_key)
        return PublishedTrust(
            there or file,
            was_there=there is not None,
            replaced=found.data if found and there is None else b"",
            findings=tuple(self._slipped(file)),
        )

    def disown(self, version: int) -> None:
        """Take a file, and those after it, for none: it pins a log that is not this one.

        The holders were deceived with a fork. Raises ConflictError if the file pins this log, or
        one that this has not reached.
        """
        forked = next((each for each in self.files if each.version == version), None)
        if forked is None or self.trust is None or version <= self.trust.root.version:
            raise NotFoundError(
                f"no version {version} follows the trust file that your keyring has pinned"
            )
        kept = tuple(each for each in self.files if each.version < version)
        self._follow(replace(self.trust, files=kept))
        published = self.checkpoint().checkpoint
        if published.size < forked.log.size:
            raise _taken(forked)
        try:
            self.log.check_continues(published, forked.log)
        except IntegrityError as error:
            if error.reason != "not-consistent":
                raise
        else:
            raise _taken(forked)

    def _check(self, proposal: Proposal) -> None:
        file = proposal.file
        if self.trust is None and file.version > 1:
            raise TrustError(
                f"version {file.version} follows others, and your keyring has pinned none of them",
                hint="ledger trust pin SHA256, with the sha256 of a trust file that you know",
                reason="trust-not-accepted",
            )
        _judge(self.files, file, continues=proposal.continues)
        proposal.check()
        pinned = open_checkpoint(
            proposal.checkpoint, origin=file.origin, log_keys=log_keys_of([file])
        )
        self.log.check_continues(self.checkpoint().checkpoint, pinned.checkpoint)
        waiting = list(self._by_dropped_keys(file))
        if waiting:
            shown = "; ".join(f"version {e.version} of {e.title_number}" for e in waiting[:5])
            raise ConflictError(
                f"{len(waiting)} entries after leaf {file.log.size:,} are by a key that version"
                f" {file.version} drops, and would not count: {shown}",
                hint="let the writer use the new key, run 'ledger seal', and propose it again",
            )

    def _find_accepted(self, data: bytes, proposal: Proposal) -> TrustFile | None:
        """The file that is in its place already, if readers accept it."""
        try:
            other = TrustFile.decode(data)
            continues = proposal.continues and other.digest == proposal.file.digest
            _judge(self.files, other, continues=continues)
        except UnsupportedFormatError:
            raise  # a newer version may know it: not ours to replace
        except LedgerError:
            return None
        return other

    def _put(self, file: TrustFile, found: Blob | None) -> None:
        key = file.object_key

        def unknown(why: LedgerError) -> OutcomeUnknown:
            return OutcomeUnknown(
                f"cannot tell whether {key} was written: {why}", hint="publish it again"
            )

        expected = found.version if found else None
        if swap(self.store, key, file.encode(), expected, unknown=unknown) is None:
            raise ConflictError(
                f"{key}: another writer was first", hint="see 'ledger trust log'; publish it again"
            )

    def _slipped(self, file: TrustFile) -> Iterator[Finding]:
        """Name the entries that came in by keys that the file drops, after they were looked for."""
        for entry in self._by_dropped_keys(file):
            key = layout.entry_key(entry.title_number, entry.address)
            message = (
                f"{key}: version {entry.version}, by key {entry.key[:16]}…, came in while version"
                f" {file.version} of the trust files was published, and does not count"
            )
            yield Finding("tampering", "key-ended", key, message)

    def stopped(self, file: TrustFile) -> Iterator[Stopped | Finding]:
        """Yield the entries that stop counting if this file comes next; see ``find_stopped``."""
        if self.trust is not None and file.version == self.trust.newest.version + 1:
            checkpoint = self.checkpoint().checkpoint
            yield from find_stopped(self._history, self.log, checkpoint, self.trust, file)

    # -- Entries by keys that go ---------------------------------------------------------------

    def _by_dropped_keys(self, file: TrustFile) -> Iterator[Entry]:
        """The entries from the pin on, logged or waiting, by keys that it drops, not revokes."""
        revoked = {each.key_id for each in file.revoked}
        dropped = {key.key_id for key in self._registrars_before(file)} - revoked
        dropped -= {each.key_id for each in file.keys}
        if not dropped:
            return
        seen: set[str] = set()
        for entry in (*self._logged_since(file.log), *self._waiting()):
            if entry.key in dropped and entry.address not in seen:
                seen.add(entry.address)
                yield entry

    def _registrars_before(self, file: TrustFile) -> list[VerifyingKey]:
        """The registrars that counted before the file."""
        before = next((each for each in self.files if each.version == file.version - 1), None)
        keys = self._history.keyring.keys(self.origin, "registrar")
        if before is None:
            return keys if file.version == 1 else []
        return [key for key in keys if before.key(key.key_id)]

    def _logged_since(self, pin: Checkpoint) -> Iterator[Entry]:
        leaves: list[Leaf] = []
        checkpoint = self.checkpoint().checkpoint
        for data in self.log.proved_leaves(checkpoint, pin.size, pin.root):
            leaf = decode_leaf(data)
            if isinstance(leaf, Leaf):
                leaves.append(leaf)
        for start in range(0, len(leaves), CHUNK):
            yield from self._entries(
                (leaf.title_number, leaf.address) for leaf in leaves[start : start + CHUNK]
            )

    def _waiting(self) -> Iterator[Entry]:
        """The entries that a head has reached, or passed by, and that no seal has settled."""
        for title_number, markers in pending_titles(self.store):
            head = self.store.get(layout.head_key(title_number))
            reached = version_hint(head.data) if head else 0
            yield from self._entries(
                (title_number, each.address) for each in markers if each.version <= reached
            )

    def _entries(self, places: Iterable[tuple[str, str]]) -> Iterator[Entry]:
        """The entries that can be read; what can't is for a verification to name."""
        wanted = {layout.entry_key(*place): place for place in places}
        for key, blob in self.store.get_many(list(wanted)):
            with suppress(LedgerError):
                if blob:
                    title_number, address = wanted[key]
                    yield Entry.judge(
                        blob.data,
                        keyring=self._history.keyring,
                        ledger=self.origin,
                        title_number=title_number,
                        address=address,
                    )


def _judge(files: Sequence[TrustFile], file: TrustFile, *, continues: bool) -> None:
    if files:
        check_next(files, file, continues=continues)
    else:
        check_first(file)


def _taken(other: TrustFile) -> ConflictError:
    return ConflictError(
        f"{other.object_key} is another file, and accepted: its sha256 is {other.digest}",
        hint="see 'ledger trust log', and propose the next version",
    )


def check_replacement(
    store: Store, origin: str, keyring: Keyring, root: Root, disowned: Collection[int] = ()
) -> Trust:
    """Check that another root can take the place of the one in the keyring, and follow it.

    The log in the store has to continue what every file of the old root pins, but for the versions
    that are ``disowned`` (they pin a fork), and what every file of the new one pins. Raises
    IntegrityError if it does not, and what ``read_trust`` does.
    """
    new = Ceremony(store, origin, keyring.pin(root))
    published = new.checkpoint().checkpoint
    try:
        old = read_trust(store, origin, keyring)
    except (IntegrityError, TrustError):
        before = keyring.root(origin)
        if before is None or before.version not in disowned:
            raise
        old = None  # all that is left of it is its digest
    for file in old.files if old else ():
        if file.version not in disowned:
            new.log.check_continues(published, file.log)
    assert new.trust is not None  # noqa: S101 -- its keyring has a root
    return new.trust
