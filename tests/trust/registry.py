"""A register from which a thief takes a key, and what the thief and the registrars do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger import Entry, Ledger
from ledger.format.times import format_time
from ledger.testing import ORIGIN, keyring_for, signer
from ledger.titles.append import move_head
from tests.trust.people import listed, registrar, revoke
from tests.trust.world import SEALER, World

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.format.signing import PrivateKey
    from ledger.stores import Store
    from ledger.trust.file import TrustFile

ALICE, BOB, ERIN, CAROL = map(signer, ("alice", "bob", "erin", "carol"))
ALICE_ID, ERIN_ID = ALICE.public_key.key_id, ERIN.public_key.key_id


class Registry(World):
    """Alice, Bob and Erin register; only Erin may erase."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(folder, store, "alice bob erin", erasers="erin")
        self._before = keyring_for(ALICE, BOB, ERIN).trust(ORIGIN, SEALER.public_key, role="log")

    def ledger(self, key: PrivateKey | None = BOB) -> Ledger:
        """The ledger, as somebody opens it who follows the trust files."""
        return self._open(self.keyring, key)

    def stolen(self, key: PrivateKey | None = ALICE) -> Ledger:
        """The ledger, as one opens it to whom the trust files are nothing."""
        return self._open(self._before, key)

    def _open(self, keyring: Any, key: PrivateKey | None) -> Ledger:
        return Ledger.open(
            self.store,
            keyring=keyring,
            signer=key,
            clock=self.clock,
            random_bytes=self.random,
        )

    def write(self, title: str, key: PrivateKey = BOB, **options: Any) -> None:
        """Register the next version, whatever the trust files say; the document has its number."""
        ledger = self.stolen(key)
        head = ledger.history.find_head(title)
        number = head.entry.version + 1 if head else 1
        options.setdefault("message", f"number {number}")
        ledger.append(title, {"n": number}, **options)

    def plant(self, title: str, key: PrivateKey = ALICE, **members: Any) -> Entry:
        """Put an entry on top of a title that no writer of ours would write."""
        history = self.stolen(None).history
        head = history.find_head(title)
        entry = self.sign(title, head.entry if head else None, key, **members)
        assert move_head(history, entry, head.version if head else None)
        return entry

    def sign(self, title: str, parent: Entry | None, key: PrivateKey, **members: Any) -> Entry:
        """Sign an entry on top of another one, without writing it."""
        defaults = {
            "document": {"forged": True},
            "recorded_at": format_time(self.clock()),
            "salt": self.random(32),
        }
        return Entry.sign(
            key, ledger=ORIGIN, title_number=title, parent=parent, **(defaults | members)
        )

    def size(self) -> int:
        """How many leaves the log has."""
        return self.checkpoint().size

    def revoke(self, key: PrivateKey, start: int, *new: PrivateKey) -> TrustFile:
        """Revoke a key from a leaf on, and list new ones, which may erase."""
        added = (registrar(each.public_key, "new", erase=True) for each in new)
        kept = (each for each in self.keys if each.key_id != key.public_key.key_id)
        revoked = {each.key_id: each for each in self.files[-1].revoked}
        revoked[key.public_key.key_id] = revoke(key.public_key, start)
        return self.publish(keys=listed(*kept, *added), revoked=list(revoked.values()))

    def found(self, *titles: str) -> list[tuple[str, str]]:
        """What a stranger finds who has the first trust file: the slug and the title of each."""
        report = self.ledger(None).verify_all(titles or None)
        return [(each.slug, each.object_key[:3]) for each in report.findings]


# -- What happened to it ---------------------------------------------------------------------------


def retire(registry: Registry) -> None:
    """TN1: 1 to 3 by Alice, Bob and Alice; then she leaves, and Bob goes on. TN2 is Bob's."""
    for key in (ALICE, BOB, ALICE):
        registry.write("TN1", key)
    registry.write("TN2")
    registry.seal()
    registry.publish(keys=registry.without("alice"))
    registry.write("TN1")
    registry.seal()


def rob(registry: Registry) -> None:
    """TN1: 1 by Alice, 2 by her thief. TN2: 1 and 2 by Alice, 2 logged too late. TN3: Bob's."""
    registry.write("TN3")
    registry.write("TN1", ALICE)
    registry.write("TN2", ALICE)
    registry.seal()
    good = registry.size()
    registry.write("TN1", ALICE)
    registry.write("TN2", ALICE, message="honest work")
    registry.seal()
    registry.revoke(ALICE, good)
    registry.seal()


def settle(registry: Registry) -> None:
    """Say what becomes of what ``rob`` left."""
    registry.ledger().settle("TN1", voids=[2])
    registry.ledger().settle("TN2", confirms=[2])
    registry.seal()
