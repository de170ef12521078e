"""git with SSH-signed commits: the same documents, one commit each, verified in three ways.

git starts a process for a commit, and ``ssh-keygen`` for every signature, made or checked; that is
how it is used, and it is what is measured. Its objects are not forced to the disk; a ledger's are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import worlds
from benchmarks.append import append_batch
from benchmarks.harness import (
    Case,
    Claim,
    NeedsTool,
    claims_table,
    seconds,
    take_turns,
    times_table,
)
from ledger.format import canonical
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table
    from ledger import Ledger

WHO = "registrar@example.org"
SETTINGS = {
    "user.name": "Registrar",
    "user.email": WHO,
    "gpg.format": "ssh",
    "commit.gpgsign": "true",
    "gc.auto": "0",
}

COMMIT, MEMORY = "git commit -S", "ledger.append, in memory"
FOLDER, BATCH = "ledger.append, durable", "ledger.append_many, durable"
BATCH_COMMAND = "the command ledger append --batch, durable"
VERIFY_COMMIT, LOG, FSCK = (
    "git verify-commit",
    "git log --show-signature",
    "git fsck (no signatures)",
)
LIBRARY, COMMAND = "ledger.verify, in process", "the command ledger verify"


def run(size: Size) -> Iterator[Table]:
    for tool in ("git", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise NeedsTool(f"no {tool} (Debian: apt install git openssh-client)")
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), size.entries)
        yield from appending(world, size)
        yield from verifying(world, size)


class World:
    """A repository with a history of signed commits, and a title with as many versions."""

    def __init__(self, scratch: Path, entries: int) -> None:
        self.scratch, self.entries = scratch, entries
        self.repository = scratch / "repository"
        self.environment = os.environ | {
            "HOME": str(scratch),
            "XDG_CONFIG_HOME": str(scratch),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.number = count()
        self.ledger = worlds.new_ledger(str(scratch / "titles"))
        self._make_repository()
        self.command = str(Path(sys.executable).with_name("ledger"))
        self.key = scratch / "registrar.key"
        self.key.touch(0o600)
        self.key.write_bytes(worlds.KEY.pem())
        public = scratch / "registrar.pem"
        public.write_bytes(worlds.KEY.public_key.pem())
        self.call(self.command, "key", "trust", str(public), "--origin", ORIGIN)

    def _make_repository(self) -> None:
        self.repository.mkdir()
        key, allowed = self.scratch / "key", self.scratch / "allowed"
        self.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        allowed.write_text(f"{WHO} {key.with_suffix('.pub').read_text()}")
        self.git("init", "-q")
        own = {"user.signingkey": f"{key}.pub", "gpg.ssh.allowedSignersFile": str(allowed)}
        for name, value in (SETTINGS | own).items():
            self.git("config", name, value)

    def git(self, *arguments: str) -> str:
        return self.call("git", *arguments)

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.repository,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout + done.stderr

    def commit(self) -> None:
        """Put every document in place of the one before, and commit it."""
        file = self.repository / "TN1.json"
        for _ in range(self.entries):
            file.write_bytes(canonical.encode(worlds.document(next(self.number))))
            self.git("add", "TN1.json")
            self.git("commit", "-q", "-S", "-m", "a change")

    def append_batch(self, titles: list[str]) -> float:
        """Append with the command, a line for each title; writing the lines does not count."""
        document, lines = worlds.document(next(self.number)), self.scratch / "lines.jsonl"
        with lines.open("w") as file:
            for title in titles:
                print(json.dumps({"title_number": title, "document": document}), file=file)
        store = str(self.scratch / "titles")
        command = [self.command, "append", "--batch", str(lines), "--quiet"]
        return seconds(lambda: self.call(*command, "--store", store, "--key", str(self.key)))

    def verify(self, store: Path, title: str) -> str:
        """Verify with the command, as a user who trusts the key."""
        return self.call(self.command, "verify", "--store", str(store), title)


def appending(world: World, size: Size) -> Iterator[Table]:
    """The repository and one title grow; a batch goes to as many titles."""
    many = [worlds.title(number) for number in range(size.entries)]

    def grow(ledger: Ledger) -> float:
        documents = [worlds.document(number) for number in range(size.entries)]
        start = time.perf_counter()
        for document in documents:
            ledger.append("TN1", document)
        return time.perf_counter() - start

    works = {
        COMMIT: world.commit,
        MEMORY: lambda: grow(worlds.new_ledger(MemoryStore())),
        FOLDER: lambda: grow(world.ledger),
        BATCH: lambda: append_batch(world.ledger, many, next(world.number)),
        BATCH_COMMAND: lambda: world.append_batch(many),
    }
    cases = [Case(name, size.entries, work) for name, work in works.items()]
    times = take_turns(cases, size.rounds, warm_up=False)
    yield times_table(f"Appending {size.entries:,} documents", times)
    claims = [Claim(MEMORY, COMMIT, 100)]
    claims += [Claim(name, COMMIT) for name in (FOLDER, BATCH, BATCH_COMMAND)]
    yield claims_table("Appending against signed commits", times, claims)


def verifying(world: World, size: Size) -> Iterator[Table]:
    """The newest of the commits and a title of as many versions, warm, both on disk."""
    store = worlds.folder(world.scratch / "verified", 1, size.entries)
    ledger, title = worlds.open_ledger(str(store)), worlds.title(0)
    commits = world.git("rev-list", f"--max-count={size.entries}", "HEAD").split()

    def log() -> None:
        shown = world.git("log", "--show-signature", f"--max-count={size.entries}")
        assert shown.count('Good "git" signature') == size.entries

    def library() -> None:
        worlds.check(ledger.verify(title), size.entries)

    works = {
        VERIFY_COMMIT: lambda: world.git("verify-commit", *commits),
        LOG: log,
        FSCK: lambda: world.git("fsck", "--full", "--strict"),
        LIBRARY: library,
        COMMAND: lambda: world.verify(store, title),
    }
    cases = [Case(name, size.entries, work) for name, work in works.items()]
    times = take_turns(cases, size.rounds)
    yield times_table(f"Verifying {size.entries:,} versions of one document on a disk", times)
    claims = [
        Claim(LIBRARY, VERIFY_COMMIT, 100),
        Claim(LIBRARY, LOG),
        Claim(COMMAND, VERIFY_COMMIT, 40),
        Claim(COMMAND, LOG),
    ]
    yield claims_table("Verification against git's; the command with its start-up", times, claims)
