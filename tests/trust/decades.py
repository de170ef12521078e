"""Makes ``tests/vectors/trust-2046.tar.gz``: ``python -m tests.trust.decades``.

A register as a stranger finds it in 2046: twenty yearly trust files, three keys of the log one
after the other, a holder who is lost and replaced, a registrar who retires, another whose key is
stolen, and two texts that were erased. It is for those who write another reader of the format:
whoever knows the 64 hex digits in ``trust-2046.json`` can check all of it, and should find what
that file says.

All of it is the same at every run but for the signatures of ML-DSA, which are hedged (FIPS 204).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.format.mldsa import MLDSAPrivateKey
from ledger.stores import FolderStore
from ledger.testing import ORIGIN, signer
from tests.trust.people import ADA, BEN, CLEO, DAN, listed, log_key, people, revoke
from tests.trust.world import World

if TYPE_CHECKING:
    from ledger.format.keys import AnySigner
    from ledger.stores import Store
    from ledger.trust import TrustFile

VECTORS = Path(__file__).parents[1] / "vectors"
ARCHIVE = VECTORS / "trust-2046.tar.gz"
FACTS = VECTORS / "trust-2046.json"
READ_IN = datetime(2046, 6, 1, 10, tzinfo=UTC)
"""When the stranger comes."""


def log_pair(name: str) -> tuple[AnySigner, AnySigner]:
    """One of the log's keys, of both algorithms."""
    seed = hashlib.sha256(f"log {name}".encode()).digest()
    return signer(f"log {name}"), MLDSAPrivateKey("ML-DSA-44", seed)


LOG_A, LOG_B, LOG_C = map(log_pair, "abc")


class Decades(World):
    """A register over twenty years; it is whole when it is made."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(folder, store, "alice bob erin", erasers="erin", log_keys=LOG_A)
        self.sealer = LOG_A
        self.holders = (ADA, BEN, CLEO)
        self.signers = (ADA, BEN)
        self._live()

    def _live(self) -> None:
        self.append("TN1", document={"proprietor": "Ada Lovelace"}, message="first registration")
        self.append("TN2", "bob", document={"proprietor": "Charles Babbage", "share": 0.5})
        self.append("TN5", document={"proprietor": "Mary Somerville"})
        self.log_it()
        self.year(2027)
        self.append("TN1", "bob", document={"proprietor": "Grace Hopper"}, message="sale")
        self.append("TN3", document={"proprietor": "Emmy Noether"})
        self.log_it()
        self.year(2028)
        self.erase("TN1", 1, "LG 7/28")
        self._change_the_key_of_the_log(2029, LOG_B)
        self._replace_a_holder()
        self._retire_bob()
        self._steal_from_alice()
        self._order_without_the_right()
        self._change_the_key_of_the_log(2039, LOG_C)
        for year in range(2041, 2046):
            self.year(year)
            self.append("TN2", "grace", document={"proprietor": f"Heir of {year}", "share": 0.5})
            self.log_it()

    def _change_the_key_of_the_log(self, year: int, new: tuple[AnySigner, AnySigner]) -> None:
        """List both, let the sealer sign with both, and list only the new one a year later."""
        old = self.sealer
        self.year(year, keys=listed(*self.keys, *(log_key(key.public_key) for key in new)))
        self.append("TN5", "erin", document={"proprietor": f"Owner of {year}"})
        self.log_it()
        self.sealer = new
        self.seal(new)  # the tree that is there
        gone = {key.public_key.key_id for key in old}
        self.year(year + 1, keys=listed(*(key for key in self.keys if key.key_id not in gone)))

    def _replace_a_holder(self) -> None:
        self.holders = (ADA, BEN, DAN)
        self.year(2031)
        self.signers = (BEN, DAN)

    def _retire_bob(self) -> None:
        self.year(2032, keys=self.with_registrar("grace"))
        self.append("TN2", "bob", document={"proprietor": "Sophie Germain", "share": 0.25})
        self.log_it()
        self.year(2033, keys=self.without("bob"))
        self.append("TN2", "grace", document={"proprietor": "Maria Agnesi", "share": 0.25})
        self.log_it()
        self.year(2034)

    def _steal_from_alice(self) -> None:
        """What she did before is good; what came after is confirmed or void."""
        self.append("TN4", document={"proprietor": "Lise Meitner"})
        self.log_it()
        good = self.checkpoint().size
        self.append("TN4", document={"proprietor": "Hedy Lamarr"}, message="honest work")
        self.forge("TN3", "alice", document={"proprietor": "Mallory"}, erases=(1,), reference="x")
        self.log_it()
        alice = signer("alice").public_key
        self.year(2035, keys=self.without("alice"), revoked=[revoke(alice, good)])
        self.clock.forward(seconds=1)
        grace = self.open("grace")
        grace.settle("TN4", confirms=[2], reference="CRIME 7/35", message="theft: this is honest")
        grace.settle("TN3", voids=[2], reference="CRIME 7/35", message="theft")
        self.log_it()
        self.year(2036)

    def _order_without_the_right(self) -> None:
        """Grace orders a text erased, and may not; Erin voids that, and orders it herself."""
        self.year(2037)
        self.forge("TN5", "grace", document={"proprietor": "Owner of 2029"}, **ORDER)
        self.clock.forward(seconds=1)
        self.open("erin").settle("TN5", voids=[3], message="she has no right to")
        self.log_it()
        self.erase("TN5", 1, "LG 9/37")
        self.year(2038)

    def erase(self, title: str, version: int, reference: str) -> None:
        """Order a text erased as one may, log the order, and erase it."""
        self.clock.forward(seconds=1)
        self.open("erin").erase(title, [version], reference=reference, message="by court order")
        self.log_it()
        assert self.open("erin").finish_erasure(title).is_done

    def year(self, year: int, **changes: Any) -> TrustFile:
        """Come together on the first of December, publish a trust file, and log it."""
        assert len(self.files) == year - 2026, "one file a year"
        self.clock.now = datetime(year, 12, 1, 10, tzinfo=UTC)
        file = self.publish(
            holders=people(*self.holders),
            signed_by=self.signers,
            next=f"{year + 1}-12-31",
            **changes,
        )
        self.log_it()
        return file

    def log_it(self) -> None:
        """Seal, with the keys that the log has by now."""
        self.seal(self.sealer)


ORDER = {"erases": (1,), "reference": "LG 9/37"}


def make(folder: Path) -> TrustFile:
    """Make the store in a folder that doesn't exist, and return the trust file to begin with."""
    with tempfile.TemporaryDirectory() as work:
        return Decades(FolderStore(folder), Path(work)).files[0]


def facts(first: TrustFile) -> dict[str, Any]:
    """What a reader is told, and what it should find: what it says of each version of a title."""
    return {
        "about": "A register over twenty years, in trust-2046.tar.gz. The keys are no secrets.",
        "origin": ORIGIN,
        "trust": first.digest,
        "version": 1,
        "titles": {
            "TN1": {"versions": 3, "void": [], "confirmed": [], "erased": [1]},
            "TN2": {"versions": 8, "void": [], "confirmed": [], "erased": []},
            "TN3": {"versions": 3, "void": [2], "confirmed": [], "erased": []},
            "TN4": {"versions": 3, "void": [], "confirmed": [2], "erased": []},
            "TN5": {"versions": 6, "void": [3], "confirmed": [], "erased": [1]},
        },
    }


def archive(folder: Path) -> bytes:
    """Pack a store, the same bytes for the same objects."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)
    return gzip.compress(packed.getvalue(), mtime=0)


def unpack(folder: Path) -> Path:
    """Unpack the committed store into a folder, and return it."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "store"
        first = make(folder)
        ARCHIVE.write_bytes(archive(folder))
    FACTS.write_text(json.dumps(facts(first), indent=1) + "\n")


if __name__ == "__main__":
    main()
