"""Mending a head that is missing or unreadable, from the entries that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import layout
from ledger.append import move_head
from ledger.errors import ConflictError, HeadMoved, IntegrityError, NotFoundError

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.history import History

__all__ = ["recover", "tips"]


def recover(
    history: History, title_number: str, *, to: str | None = None, expect: str | None = None
) -> Entry:
    """Point the head at the one tip there is, or at ``to`` where there are several.

    Never moves a head that can be read, nor to an entry whose chain lacks the pin ``expect``.
    Raises ConflictError, naming the tips, where one has to be chosen.
    """
    version = _version_of_broken_head(history, title_number)
    found = {tip.address: tip for tip in tips(history, title_number)}
    if not found:
        raise NotFoundError(
            f"nothing to recover {title_number} from: no entry of it holds together",
            hint="import a bundle of it",
        )
    if to is None and len(found) > 1:
        listed = ", ".join(f"{tip.address} (version {tip.version})" for tip in found.values())
        raise ConflictError(
            f"{title_number} has several entries that nothing follows: {listed}",
            hint=f"choose one: 'ledger recover {title_number} --to ADDRESS'",
        )
    target = found.get(to) if to else next(iter(found.values()))
    if target is None:
        raise ConflictError(
            f"{to} is no tip of {title_number}; these are: {', '.join(found)}",
            hint="a head only moves to an entry that nothing follows",
        )
    _check_chain(history, target, expect)
    if not move_head(history, target, version):
        raise HeadMoved(f"{title_number} was mended by somebody else", expected=to)
    return target


def _version_of_broken_head(history: History, title_number: str) -> str | None:
    key = layout.head_key(layout.check_title_number(title_number))
    blob = history.store.get(key)
    if blob is None:
        return None
    try:
        head = history.open(blob.data, title_number, key)
    except IntegrityError:
        return blob.version
    raise ConflictError(
        f"the head of {title_number} is readable: version {head.version} ({head.address[:8]})",
        hint=f"'ledger verify {title_number}' checks what is below it",
    )


def tips(history: History, title_number: str) -> list[Entry]:
    """The sound entries that no other sound entry follows, the highest version first."""
    sound: list[Entry] = []
    for key in history.store.list(f"{title_number}/"):
        parsed = layout.parse_entry_key(key)
        if parsed:
            try:
                sound.append(history.entry(*parsed))
            except (IntegrityError, NotFoundError):
                continue  # damaged: verify and fsck name it
    followed = {entry.parent for entry in sound}
    left = [entry for entry in sound if entry.address not in followed]
    return sorted(left, key=lambda entry: (-entry.version, entry.address))


def _check_chain(history: History, target: Entry, expect: str | None) -> None:
    found = False
    for entry in history.walk(target):  # raises where the chain is broken
        found = found or entry.address == expect
    if expect is not None and not found:
        raise IntegrityError(
            f"the chain of {target.address} lacks the pinned {expect}",
            reason="pin-missing",
            object_key=layout.head_key(target.title_number),
        )
