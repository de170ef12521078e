"""A ledger with a log and trust files, from whose registrars a thief takes a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger import Entry, Ledger, Log
from ledger.format.keyring import Keyring
from ledger.format.layout import trust_key
from ledger.format.times import format_time
from ledger.testing import ORIGIN, FixedClock, FixedRandom, keyring_for, signer
from ledger.titles.append import move_head
from tests.trust.people import after, first, listed, log_key, registrar, revoke, root_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Report
    from ledger.format.keys import PrivateKey
    from ledger.stores import Store
    from ledger.tlog.checkpoint import Checkpoint
    from ledger.trust.file import TrustFile

ALICE, BOB, ERIN, CAROL, LOG = map(signer, ("alice", "bob", "erin", "carol", "log"))
KEYS = (
    registrar(ALICE.public_key, "alice"),
    registrar(BOB.public_key, "bob"),
    registrar(ERIN.public_key, "erin", erase=True),
    log_key(LOG.public_key),
)
ALICE_ID, ERIN_ID = ALICE.public_key.key_id, ERIN.public_key.key_id


class Registry:
    """Alice, Bob and Erin register; only Erin may erase. Ada, Ben and Cleo are the holders."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.clock = FixedClock()
        self._random = FixedRandom()
        self._memory = folder / "sealer.json"
        keys = keyring_for(ALICE, BOB, ERIN).trust(ORIGIN, LOG.public_key, role="log")
        self.keyring = keys
        self.before = keys
        """A keyring from before there were trust files."""
        Ledger.create(store, origin=ORIGIN, keyring=keys)
        checkpoint = self.seal(genesis=True)
        file = first(keys=listed(*KEYS), log=checkpoint)
        self.files = [file]
        self._put(file)
        self.keyring = Keyring().pin(root_of(file))

    def ledger(self, key: PrivateKey | None = BOB) -> Ledger:
        """The ledger, as somebody opens it who follows the trust files."""
        return self._open(self.keyring, key)

    def stolen(self, key: PrivateKey = ALICE) -> Ledger:
        """The ledger, as a thief writes to it: no trust file is in the way."""
        return self._open(self.before, key)

    def _open(self, keyring: Keyring, key: PrivateKey | None) -> Ledger:
        return Ledger.open(
            self.store,
            keyring=keyring,
            signer=key,
            clock=self.clock,
            random_bytes=self._random,
        )

    def append(self, title: str, key: PrivateKey = BOB, **options: Any) -> int:
        """Register a version, and return its number; the document says who did."""
        # A thief asks nobody.
        ledger = self._open(self.before, key)
        number = sum(1 for _ in ledger.log(title)) + 1 if self._has(title) else 1
        options.setdefault("message", f"number {number}")
        return ledger.append(title, {"n": number}, **options).version

    def _has(self, title: str) -> bool:
        return self.store.get(f"{title}/head.json") is not None

    def seal(self, **options: Any) -> Checkpoint:
        with self._open(self.keyring, None) as ledger:
            done = Log(ledger).seal(LOG, self._memory, **options)
        return done.signed.checkpoint

    def size(self) -> int:
        with self._open(self.keyring, None) as ledger:
            return Log(ledger).checkpoint().checkpoint.size

    def publish(self, **changes: Any) -> TrustFile:
        """Publish the next trust file, which pins the log as it is."""
        with self._open(self.keyring, None) as ledger:
            checkpoint = Log(ledger).checkpoint().checkpoint
        file = after(self.files[-1], log=checkpoint, **changes)
        self.files.append(file)
        self._put(file)
        return file

    def revoke(self, key: PrivateKey, start: int, *new: PrivateKey) -> TrustFile:
        """Revoke a key from a leaf on, and list new ones, which may erase."""
        old = self.files[-1]
        kept = (each for each in old.keys if each.key_id != key.public_key.key_id)
        added = (registrar(each.public_key, "new", erase=True) for each in new)
        revoked = {each.key_id: each for each in old.revoked}
        revoked[key.public_key.key_id] = revoke(key.public_key, start)
        return self.publish(
            keys=listed(*kept, *added), revoked=tuple(revoked[each] for each in sorted(revoked))
        )

    def _put(self, file: TrustFile) -> None:
        self.store.create(trust_key(file.version), file.encode())

    def verify(self, *titles: str) -> Report:
        """Verify as a stranger would, who has the first trust file."""
        with self._open(self.keyring, None) as ledger:
            return ledger.verify_all(titles or None)

    def found(self, *titles: str) -> list[tuple[str, str]]:
        return [(each.slug, each.object_key[:3]) for each in self.verify(*titles).findings]

    def audit(self) -> Report:
        with self._open(self.keyring, None) as ledger:
            return Log(ledger).audit(jobs=1).run()

    def forge(self, title: str, key: PrivateKey = ALICE, **members: Any) -> Entry:
        """Put an entry on top of a title that no writer of ours would write."""
        with self._open(self.before, None) as ledger:
            head = ledger.history.find_head(title)
            entry = self.sign(title, head.entry if head else None, key, **members)
            assert move_head(ledger.history, entry, head.version if head else None)
        return entry

    def sign(self, title: str, parent: Entry | None, key: PrivateKey, **members: Any) -> Entry:
        """Sign an entry on top of another one, without writing it."""
        defaults = {
            "document": {"forged": True},
            "recorded_at": format_time(self.clock()),
            "salt": self._random(32),
        }
        return Entry.sign(
            key, ledger=ORIGIN, title_number=title, parent=parent, **(defaults | members)
        )
