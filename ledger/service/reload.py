"""Read the keyring and the tokens again while the service runs."""

from __future__ import annotations

import logging
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import InvalidError, LedgerError
from ledger.format.report import finding_of
from ledger.titles.identity import check_pinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.format.keyring import Keyring
    from ledger.format.keys import AnySigner, Signer
    from ledger.service.tokens import Token

SECONDS = 15.0
"""How old what was read may be when a request comes."""

logger: logging.Logger = logging.getLogger("ledger.service")


class Access(NamedTuple):
    """Whose signatures count, who may call, and what signs from now on."""

    keyring: Keyring
    tokens: tuple[Token, ...] = ()
    signer: Signer | None = None
    """What signs entries from now on; None: what did so before."""
    log_signers: tuple[AnySigner, ...] = ()
    """What signs the log from now on; empty: what did so before."""


class Reload:
    """Reads them again, at most every SECONDS or when it is told to, and hands it on.

    What can't be read, or would open a protected service to all, changes nothing. It is logged,
    and ``problem`` has the slug of the error, ``reason`` its finding, until a later read succeeds.
    Tokens that could be read count even if ``accept``, which asks the store whose keys count, does
    not come to an end: whoever can damage the store can't keep a stolen token alive.
    """

    def __init__(
        self,
        origin: str,
        now: Access,
        read: Callable[[], Access],
        accept: Callable[[Keyring], Keyring],
        use: Callable[[Access], None],
    ) -> None:
        self.access: Access = now
        self.problem: str = ""
        self.reason: str = ""
        self._origin = origin
        self._read = read
        self._accept = accept
        self._use = use
        self._lock = Lock()
        self._due = monotonic() + SECONDS

    @property
    def is_due(self) -> bool:
        """Whether it is time to read again, and nobody does."""
        return monotonic() >= self._due and not self._lock.locked()

    def hurry(self) -> None:
        """Read again at the next request; safe to call from a signal handler."""
        self._due = 0.0

    def run(self) -> None:
        """Read again, if it is due and no other thread does."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if monotonic() >= self._due:
                self._due = monotonic() + SECONDS
                self._reload()
        finally:
            self._lock.release()

    def _reload(self) -> None:
        before = self.access
        try:
            access = self._read()
            if before.tokens and not access.tokens:
                raise InvalidError("there are no tokens any more")
            self.access = before._replace(tokens=access.tokens)
            access = access._replace(keyring=self._accept(access.keyring))
            check_pinned(self._origin, access.keyring, "the service")
        except LedgerError as error:
            if self.problem != error.slug:
                logger.warning("not reloaded: %s: %a", error.slug, str(error))
            self.problem, self.reason = error.slug, finding_of(error, "").slug
            return
        self.problem = self.reason = ""
        if access != before:
            self.access = access
            self._use(access)
            logger.info("reloaded: %d keys, %d tokens", len(access.keyring), len(access.tokens))
