"""The one compare-and-swap: every head, record, checkpoint and log state moves through it.

A store swaps an object if it still has the version that the writer read. The difficulty is an
answer that gets lost on the way. The writer then does not know what happened, and neither error nor
refusal tells it alone:

* **A refused condition** may be our own success. The network, or a client library that sends a
  request again, lost the first answer, and the second request met the object that the first one
  wrote. So a refusal never decides; the object does.
* **OutcomeUnknown** (a timeout, a reset, a server's error) means that the write may have happened,
  or may still happen.
* **StoreError** means that this request did nothing. After an unclear one it does not help: the
  unclear request may have been the one that wrote.
* **NotDurable** means that the bytes can be read, but a crash may still undo them. Reading them
  again settles nothing, so the error goes to the caller as it is.

In all other cases the object itself settles it. After each unsuccessful send the writer reads it:

* It has our bytes, or the caller sees that it was built on them: the swap happened. It is made
  durable, as whoever wrote it may have crashed before it was.
* It has the version that we expected: the swap has not happened. The same bytes are sent again. A
  request that is still on its way does no harm: only one of them can meet the expected version.
* It has anything else: another writer was first, and no request of ours can succeed any more.

If the object cannot be read, or is unchanged after the last send while an earlier one was unclear,
nobody can tell whether the swap happened, or will: that is OutcomeUnknown.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ledger.errors import (
    LedgerError,
    NotDurable,
    OutcomeUnknown,
    PreconditionFailed,
    StoreUnavailable,
)
from ledger.stores.base import Blob, Store, Swap, swap_one

if TYPE_CHECKING:
    from collections.abc import Callable

SENDS = 5
"""How often one swap is sent."""

PAUSE = 0.05
"""Seconds by which the wait grows after each send."""

RACES = 10
"""How often an update starts again after losing a race."""


def swap(
    store: Store,
    key: str,
    data: bytes,
    expected: str | None,
    *,
    unknown: Callable[[LedgerError], OutcomeUnknown],
    is_built_on_ours: Callable[[bytes], bool] = lambda _: False,
    sent: str | LedgerError | None = None,
) -> Blob | None:
    """Put ``data`` in the place of the ``expected`` version; None as that expects no object.

    Return the object that is there now, durably: ours, or a later one for which
    ``is_built_on_ours`` says of its bytes that ours came before it. Return None if another writer
    was first. Raise what the store raises if nothing happened, NotDurable, or, if nobody can tell,
    the error that ``unknown`` makes of the reason: only the caller knows what was at stake.

    ``sent``: the outcome of the first attempt, if ``Store.swap_many`` has made it already.
    """
    unclear: LedgerError | None = None
    for attempt in range(SENDS):
        try:
            return Blob(data, _send(store, Swap(key, data, expected), sent))
        except PreconditionFailed:
            pass
        except NotDurable:
            raise
        except OutcomeUnknown as error:
            unclear = error
        except LedgerError as error:
            if unclear is None:
                raise
            unclear = error
        found, is_ours = _read_back(store, key, data, expected, unknown, is_built_on_ours)
        if is_ours:
            return found
        if (found.version if found else None) != expected:
            return None
        sent = None
        time.sleep(PAUSE * attempt)
    if unclear is None:
        raise StoreUnavailable(f"{key}: the store refuses the version that it gave itself")
    raise unknown(unclear) from unclear


def _send(store: Store, swap: Swap, sent: str | LedgerError | None) -> str:
    """Send it, unless it was sent already, and return the new version or raise the error."""
    outcome = swap_one(store, swap) if sent is None else sent
    if isinstance(outcome, LedgerError):
        raise outcome
    return outcome


def _read_back(  # noqa: PLR0917 -- one caller, next to it
    store: Store,
    key: str,
    data: bytes,
    expected: str | None,
    unknown: Callable[[LedgerError], OutcomeUnknown],
    is_built_on_ours: Callable[[bytes], bool],
) -> tuple[Blob | None, bool]:
    """Read the object after a send, and tell whether the swap has happened, durably then."""
    try:
        found = store.get(key)
        is_ours = found is not None and (
            found.data == data or (found.version != expected and is_built_on_ours(found.data))
        )
        if is_ours:
            store.make_durable(key)
    except NotDurable:
        raise
    except LedgerError as error:
        raise unknown(error) from error
    return found, is_ours


def update(
    store: Store,
    key: str,
    change: Callable[[bytes | None], bytes | None],
    *,
    unknown: Callable[[LedgerError], OutcomeUnknown],
) -> None:
    """Read an object and swap it for what ``change`` makes of it; start again after a lost race.

    ``change`` gets the bytes that are there, or None, and returns the bytes that are to be there,
    or None to leave the object as it is. Either way it is durable then. Raise what ``change``
    raises, and what ``swap`` does.
    """
    for _ in range(RACES):
        found = store.get(key)
        data = change(found.data if found else None)
        if data is None:
            store.make_durable(key)
            return
        # Bytes that are there already are created once more: that makes them durable.
        expected = found.version if found and found.data != data else None
        if swap(store, key, data, expected, unknown=unknown):
            return
    raise StoreUnavailable(
        f"{key}: could not be written: other writers were first {RACES} times", hint="try again"
    )
