"""What a log already had by a checkpoint that somebody kept: the newest version of a title.

Nothing is taken from the store unproved: all leaves are read, and have to lead to the root of the
kept checkpoint. So one checkpoint is worth as much as an address of every title, remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, MalformedError, TrustError
from ledger.format import layout
from ledger.sealing.reader import check_remembered
from ledger.tlog.objects import Leaf
from ledger.tlog.tiles import TileBuilder

if TYPE_CHECKING:
    from ledger.sealing.reader import LogReader
    from ledger.tlog.checkpoint import Checkpoint

__all__ = ["last_logged"]

KEPT = "the kept checkpoint"


def last_logged(log: LogReader, title_number: str, note: bytes) -> Leaf | None:
    """The newest version of a title that was logged by a kept checkpoint; None: none was.

    Reads the log from its first leaf up to the kept size: the newest version need not be in the
    last leaf of a title, as a sealer whose records are taken away logs a second time. Raises what
    ``check_remembered`` does, and IntegrityError (reason ``wrong-root``) where the leaves do not
    lead to the checkpoint, or (``forked``) give one version two addresses.
    """
    sought = f'"title_number":"{layout.check_title_number(title_number)}",'.encode()
    kept = _open_kept(log, note)
    check_remembered(log, log.checkpoint(), kept)
    builder = TileBuilder()
    found: dict[bytes, None] = {}
    for leaf in log.leaves(kept.size):
        builder.append(leaf)
        if sought in leaf:
            found[leaf] = None
    if builder.root() != kept.root:
        key = f"{layout.LOG}tile/"
        message = f"{key}: the leaves do not lead to the root of the kept checkpoint"
        raise IntegrityError(message, reason="wrong-root", object_key=key)
    return _newest([Leaf.decode(leaf) for leaf in found])


def _newest(leaves: list[Leaf]) -> Leaf | None:
    """The highest version; several leaves of one title, none of them twice."""
    newest = max(leaves, key=lambda leaf: leaf.version, default=None)
    for leaf in leaves:
        if newest and leaf.version == newest.version and leaf != newest:
            key = layout.head_key(leaf.title_number)
            raise IntegrityError(
                f"{key}: the log has two entries as version {leaf.version}: {leaf.address} and"
                f" {newest.address}",
                reason="forked",
                object_key=key,
            )
    return newest


def _open_kept(log: LogReader, note: bytes) -> Checkpoint:
    """Open a kept checkpoint; what is wrong with it is not said of the one that is published."""
    try:
        return log.open(note).checkpoint
    except MalformedError as error:
        raise MalformedError(f"{KEPT}: {error}") from error
    except TrustError as error:
        raise TrustError(f"{KEPT}: {error}", reason=error.reason) from error
    except IntegrityError as error:
        raise IntegrityError(f"{KEPT}: {error}", reason=error.reason) from error
