"""dulwich: git's objects in Python, with an Ed25519 signature over each commit."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit, ShaFile, Tree

from benchmarks import worlds
from ledger.format import canonical

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue

WHO = b"Registrar <registrar@example.org>"
WHEN = 1_795_000_000


class Dulwich:
    """A file, a tree and a signed commit for each document, in dulwich's store in memory."""

    name = "dulwich, signed commits"

    def __init__(self) -> None:
        self.key = Ed25519PublicKey.from_public_bytes(worlds.KEY.public_key.raw)
        self.store = MemoryObjectStore()
        self.head: bytes | None = None
        self.count = 0

    def append(self, documents: list[dict[str, JSONValue]]) -> None:
        self.store, self.head, self.count = MemoryObjectStore(), None, len(documents)
        for document in documents:
            blob, tree = Blob.from_string(canonical.encode(document)), Tree()
            tree.add(b"TN1.json", 0o100644, blob.id)
            commit = Commit()
            commit.tree, commit.parents = tree.id, [self.head] if self.head else []
            commit.author = commit.committer = WHO
            commit.author_time = commit.commit_time = WHEN
            commit.author_timezone = commit.commit_timezone = 0
            commit.message = b"a change"
            signature = worlds.KEY.sign(commit.as_raw_string())
            commit.gpgsig = base64.b64encode(signature)
            for made in (blob, tree, commit):
                self.store.add_object(made)
            self.head = commit.id

    def verify(self) -> None:
        """Read anew, as from a disk: dulwich's ``check`` compares an object with its name."""
        at, left = self.head, self.count
        while at:
            commit = self._read(at)
            assert isinstance(commit, Commit)
            self.key.verify(base64.b64decode(commit.gpgsig), commit.raw_without_sig())
            tree = self._read(commit.tree)
            assert isinstance(tree, Tree)
            self._read(tree[b"TN1.json"][1])
            at, left = (commit.parents or [None])[0], left - 1
        assert left == 0

    def _read(self, name: bytes) -> ShaFile:
        kind, data = self.store.get_raw(name)
        made = {1: Commit, 2: Tree, 3: Blob}[kind].from_string(data)
        assert made.id == name
        made.check()
        return made
