"""A world in which a thief can do whatever a writer of the store with stolen keys can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger import Entry
from ledger.format import layout
from ledger.format.times import format_time
from ledger.sealing.publish import extend, publish_tiles
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, sign_checkpoint
from ledger.tlog.objects import LogState, SealedRecord
from tests.trust.people import listed, revoke
from tests.trust.world import SEALER, World

if TYPE_CHECKING:
    from datetime import timedelta

    from ledger import PrivateKey
    from ledger.stores import Store
    from ledger.tlog import Leaf
    from ledger.tlog.objects import TrustLeaf
    from ledger.trust import TrustFile

__all__ = ["Siege"]


class Siege(World):
    """A World under attack. Nothing here asks the trust files whether it may."""

    # -- Objects -------------------------------------------------------------------------------

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whatever was there."""
        put(self.store, key, data)

    def take(self, key: str) -> None:
        """Take an object away, also one that the store never deletes."""
        self.restore({each: data for each, data in self.objects().items() if each != key})

    def read(self, key: str) -> bytes:
        blob = self.store.get(key)
        assert blob is not None
        return blob.data

    # -- Entries -------------------------------------------------------------------------------

    def head(self, title: str) -> Entry | None:
        blob = self.store.get(layout.head_key(title))
        return Entry.unverified(blob.data) if blob else None

    def entry(self, title: str, version: int) -> Entry:
        """An entry of the chain, whatever it is worth."""
        found = self.head(title)
        while found is not None and found.version > version:
            found = Entry.unverified(self.read(layout.entry_key(title, str(found.parent))))
        assert found is not None
        return found

    def sign(
        self,
        title: str,
        name: str,
        *,
        on: Entry | None = None,
        ago: timedelta | None = None,
        **members: Any,
    ) -> Entry:
        """Sign an entry on top of another, or of the head, and keep it to oneself."""
        self.clock.forward(seconds=1)
        parent = on or self.head(title)
        at = format_time(self.clock() - ago if ago else self.clock())
        if parent is not None:
            at = max(at, parent.recorded_at)
        if members.get("erases"):
            members.setdefault("reference", "court order 7")
        return Entry.sign(
            signer(name),
            ledger=ORIGIN,
            title_number=title,
            document=members.pop("document", {"by": name}),
            recorded_at=at,
            salt=self.random(32),
            parent=parent,
            **members,
        )

    def place(self, entry: Entry, *, head: bool = True, marker: bool = True) -> Entry:
        """Bring an entry into the store, and set the head to it."""
        title = entry.title_number
        self.put(layout.entry_key(title, entry.address), entry.data)
        if head:
            if marker:
                self.put(layout.pending_key(title, entry.version, entry.address), b"")
            self.put(layout.head_key(title), entry.data)
        return entry

    def write(self, title: str, name: str, **members: Any) -> Entry:
        """Sign an entry on top of the head, and set the head to it."""
        return self.place(self.sign(title, name, **members))

    def withhold(self, title: str, version: int) -> None:
        """Take the text of an entry away, as an erasure does."""
        entry = self.entry(title, version)
        self.put(layout.entry_key(title, entry.address), entry.without_text().data)

    # -- The log -------------------------------------------------------------------------------

    def log_leaves(self, *leaves: Leaf | TrustLeaf, key: PrivateKey = SEALER) -> Checkpoint:
        """Log leaves with a key of the log, true or not, and publish them."""
        log = self.log().reader
        state = log.state(any_algorithm=True)
        assert state is not None
        builder = log.builder(state[0].checkpoint.size, state[0].checkpoint.root)
        commit = extend(builder, [leaf.encode() for leaf in leaves])
        checkpoint = Checkpoint(ORIGIN, commit.builder.size, commit.builder.root())
        signed = log.open(sign_checkpoint(checkpoint, key), any_algorithm=True)
        publish_tiles(self.store, commit.tiles)
        self.put(layout.staging_key(commit.staging.name), commit.staged)
        self.put(layout.LOG_STATE, LogState(signed, commit.staging).encode())
        self.put(layout.LOG_CHECKPOINT, signed.note)
        return checkpoint

    def hint(self, title: str, record: SealedRecord | None) -> None:
        """Forge the hint at a title's leaves, or take it away."""
        key = layout.sealed_key(title)
        if record is not None:
            self.put(key, record.encode())
        else:
            self.take(key)

    # -- The holders ---------------------------------------------------------------------------

    def revoke(self, name: str, start: int, *more: str, **changes: Any) -> TrustFile:
        """Revoke a registrar's key, and others', from a leaf on; a lower start lowers it."""
        gone = {signer(each).public_key.key_id for each in (name, *more)}
        before = {each.key_id: each for each in self.files[-1].revoked}
        before |= {key: type(revoke(SEALER.public_key, 0))(key, start) for key in gone}
        return self.publish(
            keys=changes.pop("keys", listed(*(k for k in self.keys if k.key_id not in gone))),
            revoked=list(before.values()),
            **changes,
        )


def put(store: Store, key: str, data: bytes) -> None:
    """Write an object, whatever was there."""
    blob = store.get(key)
    if blob is None:
        store.create(key, data)
    elif blob.data != data:
        store.replace(key, data, blob.version)
