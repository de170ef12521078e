"""What ``ledger doctor`` looks at: one function for each thing that a user depends on.

Each gives one or more ``Check``, and raises nothing that is the store's or the files' doing: what
is wrong with one of them says nothing of the others.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cli.keys import log_key_file, memory_place
from cli.session import check_place
from ledger import Ledger, LedgerError, NotFoundError, PrivateKey
from ledger.errors import OutcomeUnknown, StoreDenied, StoreUnavailable
from ledger.format.layout import LEDGER_KEY
from ledger.local.keyfile import read_private
from ledger.stores import FolderStore, open_store
from ledger.stores.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.config import Config
    from ledger import Store

__all__ = ["Check", "Examination", "Outcome"]

Outcome = Literal["ok", "warning", "unchecked", "problem"]

SKEW = timedelta(minutes=5)
"""So far a clock may be off: what it dates then is reported, and S3 refuses three times as much."""

UNCHECKED = (StoreDenied, StoreUnavailable, OutcomeUnknown)
"""What says nothing of the thing that was to be looked at."""


@dataclass(frozen=True)
class Check:
    """What was found of one thing."""

    name: str
    outcome: Outcome
    message: str
    hint: str = ""
    exit_code: int = 0
    """What a command would end with that this is in the way of."""


class Examination:
    """One look at a store, and at what the user has for it."""

    def __init__(self, config: Config, flag: str | None, key: Path | None) -> None:
        self._config = config
        self._flag = flag
        self._key = key
        self._ledger: Ledger | None = None

    def run(self, *, write: bool) -> Iterator[Check]:
        """Everything, what others rest on first; ``write``: try the store's conditions, too."""
        url, source = self._config.choose_store(self._flag)
        try:
            store = open_store(url, connections=self._config.connections())
        except LedgerError as error:
            yield _failed("store", error)
            return
        with closing(store):
            found = list(self._guard("store", lambda: self._reach(store, source)))
            yield from found
            reached = all(check.outcome == "ok" for check in found)
            if reached:
                yield from self._guard("clock", lambda: _compare_clocks(store))
            if reached and write:
                yield from self._guard("conditional writes", lambda: _probe(store))
            if reached:
                yield from self._guard("ledger", lambda: self._open(store))
            yield from self._guard("keyring", self._see_keyring)
            yield from self._guard("key", self._see_key)
            yield from self._guard("log", self._see_log)
            yield from self._guard("log key", self._see_log_key)
            yield from self._guard("log memory", self._see_memory)

    def _guard(self, name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
        try:
            yield from look()
        except LedgerError as error:
            yield _failed(name, error)

    def _reach(self, store: Store, source: str) -> Iterator[Check]:
        """A reading and a listing: a role may be allowed one, and not the other."""
        if isinstance(store, FolderStore) and not Path(store.path).is_dir():
            # To write into it would make it.
            raise NotFoundError(f"there is no folder {store.path}", hint="'ledger init' makes it")
        store.get(LEDGER_KEY)
        next(iter(store.list()), None)
        yield Check("store", "ok", f"{store.url} can be read and listed; {source} names it")

    def _open(self, store: Store) -> Iterator[Check]:
        config = self._config
        self._ledger = Ledger.open(store, keyring=config.keyring(), origin=config.origin_of(store))
        origin = self._ledger.origin
        yield Check("ledger", "ok", origin)
        try:
            check_place(config, self._ledger, self._flag)
        except LedgerError as error:
            yield Check("ledger", "warning", str(error), error.hint)

    def _see_keyring(self) -> Iterator[Check]:
        keyring = self._config.keyring()
        if self._ledger is None:
            yield Check("keyring", "ok", f"knows {len(keyring.origins)} ledgers")
            return
        origin = self._ledger.origin
        roles = [trusted.role for trusted in keyring if trusted.origin == origin]
        registrars, logs = roles.count("registrar"), roles.count("log")
        said = f"{registrars} of registrars, {logs} of the log"
        if registrars:
            yield Check("keyring", "ok", f"keys that count: {said}")
        else:
            yield Check(
                "keyring",
                "problem",
                f"no key of a registrar of {origin}: nothing can be verified",
                f"get it from them, then: ledger key trust FILE --origin {origin}",
                exit_code=12,
            )

    def _see_key(self) -> Iterator[Check]:
        path = self._config.key_file(self._key)
        if not path.exists() and self._key is None:
            yield Check("key", "ok", "you have none, and can read and verify without")
            return
        key_id = _key_id(self._config, path)
        if key_id is None:
            yield Check("key", "ok", f"{path} is yours alone, and encrypted: not opened")
            return
        trusted = self._ledger and self._config.keyring().key(self._ledger.origin, key_id)
        if self._ledger is None or trusted:
            yield Check("key", "ok", f"{path} is yours alone: {key_id[:16]}")
        else:
            said = f"{path}: your key {key_id[:16]} doesn't count in this ledger"
            yield Check("key", "warning", said, "you can read and verify; to append, be trusted")

    def _see_log(self) -> Iterator[Check]:
        from ledger import Log  # noqa: PLC0415 -- slow to load: after what may fail at once

        if self._ledger is None:
            return
        try:
            size = Log(self._ledger).checkpoint(verify=True).checkpoint.size
        except NotFoundError:
            yield Check("log", "ok", "there is none yet")
            return
        yield Check("log", "ok", f"{size} leaves, its checkpoint signed by a key that counts")

    def _see_log_key(self) -> Iterator[Check]:
        """Only where a log is sealed there are its key and the sealer's memory."""
        path = log_key_file(self._config)
        if path.exists():
            _key_id(self._config, path)
            yield Check("log key", "ok", f"{path} is yours alone")

    def _see_memory(self) -> Iterator[Check]:
        if self._ledger is None:
            return
        path = memory_place(self._config, self._ledger.origin)
        if path.exists() or log_key_file(self._config).exists():  # the key may be in a device
            yield self._compare_memory(self._ledger, path)

    def _compare_memory(self, ledger: Ledger, path: Path) -> Check:
        from ledger import Log  # noqa: PLC0415
        from ledger.sealing.commit import is_as_remembered  # noqa: PLC0415
        from ledger.sealing.memory import MemoryFile  # noqa: PLC0415
        from ledger.sealing.reader import LogReader  # noqa: PLC0415

        remembered = MemoryFile(path).read()
        if remembered is not None and remembered.origin == ledger.origin:
            log = LogReader(ledger.store, ledger.origin, self._config.keyring())
            if is_as_remembered(log, remembered):
                return Check("log memory", "ok", f"{path}: the log has all that it remembers")
            said = "not all of the log is published: a seal is under way, or was cut off"
            return Check("log memory", "warning", said, "'ledger seal' publishes it")
        if remembered is not None:
            said, hint = f"{path} is of another log, {remembered.origin}", "bring the file back"
            return Check("log memory", "problem", said, hint, exit_code=12)
        try:
            Log(ledger).checkpoint()
        except NotFoundError:
            return Check("log memory", "ok", "none yet: the log is not begun")
        return Check(
            "log memory",
            "warning",
            f"there is a log, and its key, but no memory of what was sealed: {path}",
            "bring the file back from a backup; 'ledger seal --adopt' goes on without",
        )


def _key_id(config: Config, path: Path) -> str | None:
    """The key in a file that nobody else can read; None: it has a passphrase, not given."""
    pem, passphrase = read_private(path), config.given_passphrase()
    if passphrase is None and b"ENCRYPTED" in pem:
        return None
    return PrivateKey.from_pem(pem, passphrase).key_id


def _compare_clocks(store: Store) -> Iterator[Check]:
    """This machine's clock and the store's, for those stores that have one."""
    ask: Callable[[], datetime] | None = getattr(store, "server_time", None)
    if ask is None:
        return
    before = datetime.now(UTC)
    theirs = ask()
    # A server says whole seconds; and its answer was under way for a while.
    ahead = before - theirs
    behind = theirs - datetime.now(UTC)
    off = max(ahead, behind)
    if off <= SKEW:
        yield Check("clock", "ok", "agrees with the server's")
        return
    way = "ahead of" if ahead > behind else "behind"
    said = f"this clock is {_rounded(off)} {way} the server's"
    yield Check("clock", "warning", said, "set this machine's clock, or tell who runs the server")


def _rounded(time: timedelta) -> str:
    return f"{round(time.total_seconds() / 60):,} minutes"


def _probe(store: Store) -> Iterator[Check]:
    name = "conditional writes"
    try:
        left = probe(store)
    except StoreDenied as error:
        yield Check(
            name, "unchecked", str(error), "whoever may run 'ledger init' may try; or --read-only"
        )
        return
    yield Check(name, "ok", "of many writers at once, one wins and the others are told")
    if left:
        yield Check(
            name,
            "warning",
            f"the test has left {len(left)} objects behind, which it may not delete: {left[0]} …",
            "whoever may delete below _probe/ can remove them; they mean nothing",
        )


def _failed(name: str, error: LedgerError) -> Check:
    """What can't be looked at is no problem of the thing itself, except for the store."""
    outcome: Outcome = (
        "unchecked" if isinstance(error, UNCHECKED) and name != "store" else "problem"
    )
    return Check(name, outcome, str(error), error.hint, error.exit_code)


def as_json(check: Check) -> dict[str, Any]:
    """The object that is printed for a check."""
    return {
        "check": check.name,
        "outcome": check.outcome,
        "message": check.message,
        "hint": check.hint or None,
    }
