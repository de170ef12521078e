"""A ledger with a log and trust files in a real store, through which years can pass."""

from __future__ import annotations

import os
import shutil
from copy import copy, deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ledger import Keyring, Ledger, Log
from ledger.format.layout import trust_key
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, FixedRandom, signer
from ledger.titles.append import append
from ledger.titles.draft import Draft
from ledger.titles.history import History
from tests.trust.people import (
    ADA,
    BEN,
    CLEO,
    FIRST,
    listed,
    log_key,
    people,
    registrar,
    root_of,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ledger import Entry, Report
    from ledger.format.keys import AnySigner
    from ledger.sealing.seal import Sealed
    from ledger.stores import Store
    from ledger.tlog import Checkpoint
    from ledger.trust import Revocation, TrustFile, TrustKey

SEALER = signer("log")


class World:
    """The people of a register, their store, and what each does; the clock moves on its own."""

    def __init__(
        self,
        folder: Path,
        store: Store | None = None,
        registrars: str = "alice",
        erasers: str | None = None,
        log_keys: Sequence[AnySigner] = (SEALER,),
    ) -> None:
        """``erasers``: those of the registrars who may erase; all, if it is not given."""
        self.folder = folder
        self.store = store if store is not None else MemoryStore()
        self.clock = FixedClock()
        self.random = FixedRandom()
        self.files: list[TrustFile] = []
        names = registrars.split()
        rights = names if erasers is None else erasers.split()
        self.keys: tuple[TrustKey, ...] = listed(
            *(log_key(key.public_key) for key in log_keys),
            *(registrar(signer(n).public_key, n, erase=n in rights) for n in names),
        )
        own = Keyring()
        for key in log_keys:
            own = own.trust(ORIGIN, key.public_key, role="log")
        for name in names:
            own = own.trust(ORIGIN, signer(name).public_key)
        self.keyring = own
        Ledger.create(self.store, origin=ORIGIN, keyring=own)
        self.seal(log_keys, genesis=True)
        self.publish()
        self.keyring = Keyring(roots=[root_of(self.files[0])])

    def copied_to(self, folder: Path) -> Self:
        """The same in another folder, which holds its store as well."""
        assert isinstance(self.store, FolderStore)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        world = copy(self)
        world.folder = folder
        world.store = FolderStore(folder / os.path.relpath(self.store.path, self.folder))
        world.clock, world.random = deepcopy((self.clock, self.random))
        world.files = [*self.files]
        return world

    # -- Trust files ---------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """The log as it is published."""
        return self.log().checkpoint().checkpoint

    def publish(
        self,
        *,
        revoked: Sequence[Revocation] | None = None,
        write: bool = True,
        signed_by: Sequence[str] = (ADA, BEN),
        **changes: Any,
    ) -> TrustFile:
        """Write the next trust file, which pins the log as it is now."""
        before = self.files[-1] if self.files else None
        file = replace(
            before or FIRST,
            version=before.version + 1 if before else 1,
            previous=before.digest if before else None,
            holders=changes.pop("holders", None) or people(ADA, BEN, CLEO),
            threshold=2,
            keys=changes.pop("keys", self.keys),
            log=changes.pop("log", None) or self.checkpoint(),
            revoked=tuple(
                sorted(revoked, key=lambda each: each.key_id)
                if revoked is not None
                else before.revoked
                if before
                else ()
            ),
            signatures=(),
            **changes,
        )
        file = signed(file, *signed_by)
        self.keys = file.keys
        self.files.append(file)
        if write:
            self.store.create(trust_key(file.version), file.encode())
        return file

    def without(self, name: str) -> tuple[TrustKey, ...]:
        """The keys but for one registrar's."""
        return listed(*(key for key in self.keys if key.key_id != signer(name).public_key.key_id))

    def with_registrar(self, name: str, *, erase: bool = False) -> tuple[TrustKey, ...]:
        """The keys and one more registrar's."""
        return listed(*self.keys, registrar(signer(name).public_key, name, erase=erase))

    # -- The ledger ----------------------------------------------------------------------------

    def open(self, name: str | None = None, *, keyring: Keyring | None = None) -> Ledger:
        """The ledger as somebody opens it who follows the trust files; to append, as ``name``."""
        return Ledger.open(
            self.store,
            keyring=keyring or self.keyring,
            signer=signer(name) if name else None,
            clock=self.clock,
            random_bytes=self.random,
        )

    def log(self) -> Log:
        return Log(self.open())

    def append(self, title: str, name: str = "alice", **members: Any) -> Entry:
        """Append honestly."""
        self.clock.forward(seconds=1)
        document = members.pop("document", {"by": name})
        return self.open(name).append(title, document, **members)

    def forge(self, title: str, name: str, **members: Any) -> Entry:
        """Append as a thief does, with a key that counts no more, on top of whatever is there."""
        self.clock.forward(seconds=1)
        key = signer(name)
        own = Keyring()
        for each in (*self.files[0].keys, *self.keys, registrar(key.public_key)):
            if each.role == "registrar":
                own = own.trust(ORIGIN, each.key)  # type: ignore[arg-type]
        history = History(self.store, ORIGIN, own)
        document = members.pop("document", {"by": f"the thief of {name}'s key"})
        ledger = Ledger(history, key, self.clock, self.random)
        return append(
            history,
            ledger._pen(),
            Draft(
                title,
                document,
                members.pop("message", ""),
                None,
                members.pop("reference", ""),
                **members,
            ),
        ).entry

    def seal(
        self,
        key: AnySigner | Sequence[AnySigner] = SEALER,
        memory: str = "sealer",
        **options: Any,
    ) -> Sealed:
        self.clock.forward(seconds=1)
        return self.log().seal(key, self.folder / f"{memory}.json", jobs=1, **options)

    def objects(self) -> dict[str, bytes]:
        """All that is in the store."""
        return {key: blob.data for key in self.store.list() if (blob := self.store.get(key))}

    def restore(self, objects: dict[str, bytes]) -> None:
        """Put a store with just these objects in the place of the one that was there."""
        self.store = MemoryStore()
        for key, data in objects.items():
            self.store.create(key, data)

    def audit(self, state: str = "", *, keyring: Keyring | None = None) -> Report:
        where = self.folder / state if state else None
        return Log(self.open(keyring=keyring)).audit(state=where, jobs=1).run()

    def verify(self, title: str) -> Report:
        return self.open().verify(title)


def slugs(report: Report) -> list[str]:
    """What a report found, without its reminders of time."""
    return [finding.slug for finding in report.findings]
