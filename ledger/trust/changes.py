"""What the next trust file changes, and the file that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import InvalidError, NotFoundError
from ledger.trust.file import Holder, Revocation, TrustFile, TrustKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.tlog.checkpoint import Checkpoint

FEWEST_DIGITS = 4
"""How many digits of a key id are enough, if they tell one key from all others."""


@dataclass(frozen=True)
class TrustChanges:
    """What is to be other than in the newest trust file."""

    holders: tuple[Holder, ...] = ()
    """New ones, or those there under the same name with new keys."""
    dropped_holders: tuple[str, ...] = ()
    keys: tuple[TrustKey, ...] = ()
    """Keys that are listed from now on."""
    retired: tuple[str, ...] = ()
    """Ids of keys that are listed no more: what they signed until now still counts."""
    revoked: tuple[Revocation, ...] = ()
    """Keys that are listed no more, and whose entries do not count from a position on."""
    threshold: int | None = None
    """None: as it was."""
    next: str | None = None
    """When the file after that is due."""


def first_file(changes: TrustChanges, log: Checkpoint) -> TrustFile:
    """Make the first trust file of a ledger; raises InvalidError for what none can be."""
    return TrustFile(
        version=1,
        previous=None,
        holders=_by_name(changes.holders),
        threshold=changes.threshold or len(changes.holders) // 2 + 1,
        keys=_by_id(changes.keys),
        log=log,
        next=changes.next,
    )


def apply(files: Sequence[TrustFile], changes: TrustChanges, log: Checkpoint) -> TrustFile:
    """Make the file that follows these, with these changes, and this log as its pin.

    Raises InvalidError for what no file can be, and for a key that is revoked from a position that
    the log has not reached; NotFoundError for a key or holder that is not there.
    """
    newest = files[-1]
    names = {holder.name for holder in newest.holders}
    for name in changes.dropped_holders:
        if name not in names:
            raise NotFoundError(f"no holder is called {name!a:.80}")
    replaced = {*changes.dropped_holders, *(holder.name for holder in changes.holders)}
    kept = [holder for holder in newest.holders if holder.name not in replaced]
    revoked = {each.key_id: each.start for each in newest.revoked}
    for each in changes.revoked:
        if each.start > log.size:
            raise InvalidError(
                f"key {each.key_id[:16]}… can't be revoked from leaf {each.start:,} on:"
                f" the log has {log.size:,}"
            )
        revoked[each.key_id] = min(each.start, revoked.get(each.key_id, each.start))
    for key_id in changes.retired:
        if newest.key(key_id) is None:
            raise NotFoundError(f"version {newest.version} does not list the key {key_id[:16]}…")
    gone = {*changes.retired, *revoked}
    added = {each.key_id for each in changes.keys}
    return TrustFile(
        version=newest.version + 1,
        previous=newest.digest,
        holders=_by_name((*kept, *changes.holders)),
        threshold=newest.threshold if changes.threshold is None else changes.threshold,
        keys=_by_id(
            (*(each for each in newest.keys if each.key_id not in gone | added), *changes.keys)
        ),
        log=log,
        revoked=tuple(Revocation(key_id, revoked[key_id]) for key_id in sorted(revoked)),
        next=changes.next,
    )


def find_key(files: Sequence[TrustFile], digits: str) -> TrustKey:
    """Find the registrar's or log's key whose id begins with these digits, in any file.

    Raises NotFoundError, or InvalidError if there are several.
    """
    found = {
        each.key_id: each
        for file in files
        for each in file.keys
        if len(digits) >= FEWEST_DIGITS and each.key_id.startswith(digits)
    }
    if len(found) > 1:
        raise InvalidError(
            f"{len(found)} keys have an id that begins with {digits!a:.64}",
            hint="write more of its digits",
        )
    if not found:
        raise NotFoundError(
            f"no trust file lists a key whose id begins with {digits!a:.64}",
            hint="'ledger trust log' shows the keys with their ids",
        )
    return next(iter(found.values()))


def _by_name(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    return tuple(sorted(holders, key=lambda holder: holder.name))


def _by_id(keys: tuple[TrustKey, ...]) -> tuple[TrustKey, ...]:
    return tuple(sorted(keys, key=lambda each: each.key_id))
