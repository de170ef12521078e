"""What a verification says of the trust files themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ledger.format import layout, times
from ledger.format.ordered import join
from ledger.format.report import Finding
from ledger.titles.trust_files import accepted_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.format.keyring import Keyring
    from ledger.sealing.reader import LogReader
    from ledger.tlog.objects import TrustLeaf
    from ledger.verification.leaf_index import LeafIndex, Row

MAX_DELAY = timedelta(days=1)
"""How long an entry, or a trust file, may wait to be logged."""


def trust_findings(keyring: Keyring, now: datetime) -> tuple[Finding, ...]:
    """Report trust files that are missing or not accepted, or whose successor is overdue."""
    accepted = accepted_by(keyring)
    if accepted is None:
        return ()
    newest = accepted.newest
    if newest.next is None or f"{now:%Y-%m-%d}" <= newest.next:
        return accepted.findings
    message = (
        f"{newest.object_key}: a later file was due by {newest.next}: an older state of the ledger"
        " may be served, or its holders are late"
    )
    overdue = Finding("warning", "trust-overdue", newest.object_key, message)
    return (*accepted.findings, overdue)


def judge_trust(
    keyring: Keyring, leaves: Iterable[tuple[int, TrustLeaf]], logged: int = 1
) -> tuple[int, tuple[Finding, ...]]:
    """Compare the leaves that name trust files with the accepted files; see ``judge_leaves``."""
    from ledger.trust.leaves import judge_leaves  # noqa: PLC0415 -- slow to load

    accepted = accepted_by(keyring)
    return judge_leaves(accepted, leaves, logged) if accepted else (logged, ())


def drop_disowned(
    log: LogReader, index: LeafIndex, logged: Iterable[tuple[str, int]] = ()
) -> Iterator[Finding]:
    """Forget the leaves of entries that a thief of the log's key made, and report each.

    ``logged``: titles, in order, and the last version of each that earlier leaves name.
    """
    from ledger.sealing.disowned import disowned_ranges, find_bogus  # noqa: PLC0415

    before = list(logged) if disowned_ranges(log.keyring) else []
    bogus: dict[str, dict[int, Finding]] = {}
    for start, end in disowned_ranges(log.keyring):
        for title_number, group, version in join(index.titles_within(start, end), before):
            if group is None:
                continue
            rows = list(group)
            named = ((row.version, row.address, row.at) for row in rows)
            found = find_bogus(log.store, log.keyring, title_number, named, version or 0)
            if found:
                bogus[title_number] = {
                    row.at: leaf_disowned(title_number, row) for row in rows if row.at in found
                }
    for title_number, findings in bogus.items():
        index.drop(title_number, findings)
        yield from findings.values()


def leaf_disowned(title_number: str, row: Row) -> Finding:
    """Report a leaf that counts for nothing."""
    key = layout.head_key(title_number)
    message = (
        f"{key}: leaf {row.at} of the log names version {row.version} ({row.address}), which its"
        " chain does not have, or which leaves out a version: a revoked key of the log may have"
        " made it, and it counts for nothing"
    )
    return Finding("warning", "leaf-disowned", key, message)


def not_logged(logged: int, since: str, now: datetime, max_delay: timedelta) -> Finding:
    """Report that the log does not name the trust files after version ``logged``.

    ``since``: when this reader first saw so, or "". They count, but must be logged in time.
    """
    key = layout.trust_key(logged + 1)
    seen = f", and was seen to wait at {since}" if since else ""
    message = f"{key}: the log does not name it yet{seen} (the next seal does)"
    late = bool(since) and now - times.parse_time(since) > max_delay
    return Finding("tampering" if late else "warning", "trust-not-logged", key, message)
