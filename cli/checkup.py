"""The checks of ``ledger doctor``, one function for each thing that a user depends on.

Each yields one or more ``Check``. An error of one ends up in its own result, as it says nothing
about the others.
"""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cli.keys import is_missing, memory_place, shown_key
from cli.session import check_place, count_registrars
from cli.terminal.output import counted
from ledger import Keyring, Ledger, LedgerError, NotFoundError, Signer, Store
from ledger.errors import OutcomeUnknown, StoreDenied, StoreUnavailable
from ledger.format.layout import LEDGER_KEY, trust_key
from ledger.format.signing import is_encrypted, sign_with
from ledger.local.keyfile import read_private
from ledger.signers import key_file
from ledger.stores import FolderStore
from ledger.stores.probe import probe
from ledger.titles.trust_files import accepted_by
from ledger.verification.trust import trust_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.config import Config
    from ledger.format.pem import OwnKey
    from ledger.format.report import Severity

Outcome = Literal["ok", "warning", "unchecked", "problem"]

SKEW = timedelta(minutes=5)
"""How far a clock may be off. Verification reports entries dated further ahead; S3 refuses
requests at three times as much."""

HINTS = {
    "bad-record": "'ledger seal --all' writes it again from the log",
    "trust-missing": "bring it back from a copy of the ledger",
    "trust-not-accepted": "see who wrote it; 'ledger trust publish' puts the true one in its place",
    "trust-overdue": "ask the holders for the newest file; 'ledger trust propose' begins the next",
    "unsupported-trust": "a newer version of ledger may judge it",
    "time-in-future": "compare clocks; --clamp-time appends to the title in spite of it",
}
"""What to do about a finding of the log or the trust files."""

OUTCOMES: dict[Severity, Outcome] = {
    "tampering": "problem",
    "mismatch": "problem",
    "unchecked": "unchecked",
    "warning": "warning",
}

TEST_MESSAGE = b"ledger doctor: not an entry, not a checkpoint"

UNCHECKED = (StoreDenied, StoreUnavailable, OutcomeUnknown)
"""Errors that leave open whether the thing itself is in order."""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    outcome: Outcome
    message: str
    hint: str = ""
    exit_code: int = 0
    """The exit code a command would fail with because of this problem."""


class Examination:
    """Examines a store, and the user's keys and files for it."""

    def __init__(self, config: Config, flag: str | None, key: str | None) -> None:
        self._config = config
        self._flag = flag
        self._key = key
        self._ledger: Ledger | None = None

    def run(self, *, write: bool) -> Iterator[Check]:
        """Check everything, starting with what the rest depends on.

        With ``write``, also test the store's conditional writes.
        """
        source = self._config.choose_store(self._flag)[1]
        try:
            store = self._config.open_store(self._flag)
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
            yield from self._guard("trust files", self._see_trust)
            yield from self._guard("keyring", self._see_keyring)
            yield from self._guard("key", self._see_key)
            yield from self._guard("log", self._see_log)
            yield from self._guard("log key", self._see_log_key)
            yield from self._guard("log memory", self._see_memory)

    @property
    def _keyring(self) -> Keyring:
        """The keys that count: by the trust files, if the user's keyring has pinned one."""
        return self._ledger.keyring if self._ledger else self._config.keyring()

    def _guard(self, name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
        try:
            yield from look()
        except LedgerError as error:
            yield _failed(name, error)

    def _reach(self, store: Store, source: str) -> Iterator[Check]:
        """Read and list, as a role may be allowed only one of the two."""
        if isinstance(store, FolderStore) and not Path(store.path).is_dir():
            # The test of conditional writes would make it.
            raise StoreUnavailable(
                f"there is no folder {store.path}", hint="'ledger init' makes it"
            )
        store.get(LEDGER_KEY)
        if store.is_listable:
            next(iter(store.list()), None)
        can = "can be read and listed" if store.is_listable else "can be read"
        yield Check("store", "ok", f"{store.url} {can}; {source} names it")

    def _open(self, store: Store) -> Iterator[Check]:
        config = self._config
        self._ledger = Ledger.open(store, keyring=config.keyring(), origin=config.origin_of(store))
        origin = self._ledger.origin
        yield Check("ledger", "ok", origin)
        try:
            check_place(config, self._ledger, self._flag)
        except LedgerError as error:
            yield Check("ledger", "warning", str(error), error.hint)

    def _see_trust(self) -> Iterator[Check]:
        """Check the trust files, or say that there are some and the keyring has pinned none."""
        trust = accepted_by(self._keyring)
        if trust is None:
            if self._ledger and self._ledger.store.get(trust_key(1)) is not None:
                yield Check(
                    "trust files",
                    "warning",
                    "this ledger has some, and you go by none: what they revoke counts for you",
                    "get the sha256 of one from a holder, then: ledger trust pin SHA256",
                )
            return
        name, newest = "trust files", trust.newest
        due = f"; a successor is due on {newest.next}" if newest.next else ""
        pinned = f"your keyring has pinned version {trust.root.version}"
        yield Check(name, "ok", f"version {newest.version} counts{due}; {pinned}")
        for found in trust_findings(self._keyring, datetime.now(UTC)):
            outcome = OUTCOMES[found.severity]
            hint = HINTS.get(found.slug, "'ledger trust log' lists them")
            exit_code = 20 if outcome == "problem" else 0
            yield Check(name, outcome, found.message, hint, exit_code)

    def _see_keyring(self) -> Iterator[Check]:
        keyring = self._keyring
        if self._ledger is None:
            yield Check("keyring", "ok", f"knows {counted(len(keyring.origins), 'ledger')}")
            return
        origin = self._ledger.origin
        registrars = count_registrars(keyring, origin)
        logs = sum(trusted.origin == origin and trusted.role == "log" for trusted in keyring)
        said = f"{counted(registrars, 'registrar')}, {logs} of the log"
        if registrars:
            yield Check("keyring", "ok", f"trusted keys: {said}")
        else:
            yield Check(
                "keyring",
                "problem",
                f"it has no registrar's key of {origin}, so nothing can be verified",
                f"get a registrar's public key, then: ledger key trust FILE --origin {origin}",
                exit_code=12,
            )

    def _see_key(self) -> Iterator[Check]:
        name = self._config.key(self._key)
        if self._key is None and is_missing(name):
            yield Check("key", "ok", "you have none; reading and verifying need none")
            return
        said, key_id = self._try(name, lambda: (self._config.signer(name, prompt=False),))
        trusted = self._ledger and self._keyring.may_sign(self._ledger.origin, key_id or "")
        if key_id is None or self._ledger is None or trusted:
            yield Check("key", "ok", said)
        else:
            shown = shown_key(name)
            yield Check(
                "key",
                "warning",
                f"{shown}: your key {key_id[:16]} is not trusted in this ledger",
                f"to append, trust it: ledger key show --key {shlex.quote(shown)} > me.pub;"
                f" ledger key trust me.pub --origin {self._ledger.origin}",
            )

    def _try(
        self, name: str, opened: Callable[[], tuple[Signer | OwnKey, ...]]
    ) -> tuple[str, str | None]:
        """Sign with what a name opens; return what to say of it, and its id if it was opened."""
        path = key_file(name)
        if path and is_encrypted(read_private(path)) and not self._config.given_passphrase():
            return f"{path} is readable only by you; it is encrypted, and was not opened", None
        signers = opened()
        for signer in signers:
            sign_with(signer, TEST_MESSAGE)
        key_id = signers[0].public_key.key_id
        fine = f"{path} is readable only by you" if path else f"{shown_key(name)} signs"
        return f"{fine}: {key_id[:16]}", key_id

    def _see_log(self) -> Iterator[Check]:
        from ledger import Log  # noqa: PLC0415 -- slow to load, so after what may fail at once

        if self._ledger is None:
            return
        log = Log(self._ledger)
        try:
            size = log.checkpoint(verify=True).checkpoint.size
        except NotFoundError:
            yield Check("log", "ok", "there is none yet")
            return
        yield Check(
            "log", "ok", f"{counted(size, 'leaf')}; its checkpoint is signed by a trusted key"
        )
        for found in log.look():
            tampered = found.severity == "tampering"
            yield Check(
                "records" if found.slug == "bad-record" else "titles",
                "problem" if tampered else "warning",
                found.message,
                HINTS.get(found.slug, "'ledger audit' looks at all titles"),
                exit_code=20 if tampered else 0,
            )

    def _see_log_key(self) -> Iterator[Check]:
        """Check the log's key; only a machine that seals the log has one."""
        name = self._config.key(role="log")
        if not is_missing(name):
            said, _ = self._try(name, lambda: self._config.signers(name, prompt=False))
            yield Check("log key", "ok", said)

    def _see_memory(self) -> Iterator[Check]:
        if self._ledger is None:
            return
        path = memory_place(self._config, self._ledger.origin)
        if path.exists() or not is_missing(self._config.key(role="log")):
            yield self._compare_memory(self._ledger, path)

    def _compare_memory(self, ledger: Ledger, path: Path) -> Check:
        from ledger import Log  # noqa: PLC0415
        from ledger.sealing.commit import is_as_remembered  # noqa: PLC0415
        from ledger.sealing.memory import MemoryFile  # noqa: PLC0415
        from ledger.sealing.reader import LogReader  # noqa: PLC0415

        remembered = MemoryFile(path).read()
        if remembered is not None and remembered.origin == ledger.origin:
            log = LogReader(ledger.history)
            if is_as_remembered(log, remembered):
                return Check("log memory", "ok", f"{path}: the log holds everything it remembers")
            said = (
                "the newest part of the log is not published: a seal is running, or was interrupted"
            )
            return Check("log memory", "warning", said, "'ledger seal' publishes it")
        if remembered is not None:
            said, hint = (
                f"{path} belongs to another log, {remembered.origin}",
                "restore the file from a backup",
            )
            return Check("log memory", "problem", said, hint, exit_code=12)
        try:
            Log(ledger).checkpoint()
        except NotFoundError:
            return Check("log memory", "ok", "none yet, as there is no log")
        return Check(
            "log memory",
            "warning",
            f"there is a log and its key, but nothing remembers what was sealed: {path}",
            "restore the file from a backup; 'ledger seal --adopt' starts a new one",
        )


def _compare_clocks(store: Store) -> Iterator[Check]:
    """Compare this machine's clock with the store's, if the store has one."""
    before = datetime.now(UTC)
    theirs = store.server_time()
    if theirs is None:
        return
    # The server rounds to whole seconds, and its answer took a while to arrive.
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
    """Turn an error into a check: unchecked if it only says that nothing could be read."""
    read = name in {"store", "ledger"}  # nothing else makes sense without these two
    outcome: Outcome = "unchecked" if isinstance(error, UNCHECKED) and not read else "problem"
    return Check(name, outcome, str(error), error.hint, error.exit_code)


def as_json(check: Check) -> dict[str, Any]:
    """Return the JSON object of a check."""
    return {
        "check": check.name,
        "outcome": check.outcome,
        "message": check.message,
        "hint": check.hint or None,
    }
