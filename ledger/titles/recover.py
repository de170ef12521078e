"""Mending a head that is missing or unreadable, from the entries that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import (
    ConflictError,
    HeadMoved,
    IntegrityError,
    NotFoundError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.titles.append import move_head

if TYPE_CHECKING:
    from ledger.format.entry import Entry
    from ledger.titles.history import History

__all__ = ["recover"]


def recover(
    history: History, title_number: str, *, to: str | None = None, expect: str | None = None
) -> Entry:
    """Point the head at the one tip there is, or at ``to`` if that is not certain.

    It is certain if one sound entry has no successor, nothing is damaged, and no marker tells of
    a later version. Never moves a head that can be read, nor to an entry whose chain lacks the pin
    ``expect``. Raises ConflictError, naming the tips and the doubts, if one has to be chosen.
    """
    for address in (to, expect):
        if address is not None:
            layout.check_address(address)
    version = _version_of_broken_head(history, title_number, chosen=to is not None)
    found, doubts = _survey(history, title_number)
    if not found:
        raise NotFoundError(
            f"nothing to recover {title_number} from: no entry of it holds together",
            hint="import a bundle of it",
        )
    target = found.get(next(iter(found)) if to is None else to)
    if target is None:
        raise ConflictError(
            f"{to} is not a tip of {title_number}; the tips are: {', '.join(found)}",
            hint="a head only moves to an entry that nothing follows",
        )
    if to is None and (doubts or len(found) > 1):
        tips = [f"{tip.address} (version {tip.version})" for tip in found.values()]
        raise ConflictError(
            f"which entry the head of {title_number} was is not certain:"
            f" nothing follows {', '.join(tips)}" + "".join(f"; {doubt}" for doubt in doubts),
            hint=f"choose: 'ledger recover {title_number} --to ADDRESS'; a bundle may know more",
        )
    _check_chain(history, target, expect)
    if not move_head(history, target, version):
        raise HeadMoved(f"{title_number} was mended by another writer", expected=to)
    return target


def _version_of_broken_head(history: History, title_number: str, *, chosen: bool) -> str | None:
    key = layout.head_key(layout.check_title_number(title_number))
    blob = history.store.get(key)
    if blob is None:
        return None
    try:
        head = history.open(blob.data, title_number, key)
        if head.is_withheld:
            return blob.version
    except IntegrityError:
        return blob.version
    except TrustError:
        # That may be the keyring's fault: only a choice of the user's goes past it.
        if not chosen:
            raise
        return blob.version
    raise ConflictError(
        f"the head of {title_number} is readable: version {head.version} ({head.address[:8]})",
        hint=f"'ledger verify {title_number}' checks what is below it",
    )


def _survey(history: History, title_number: str) -> tuple[dict[str, Entry], list[str]]:
    """The sound entries that no other one follows, highest version first, and what is in doubt."""
    sound: dict[str, Entry] = {}
    doubts: list[str] = []
    for key in history.store.list(f"{title_number}/"):
        parsed = layout.parse_entry_key(key)
        if parsed:
            try:
                sound[parsed[1]] = history.entry(*parsed)
            except (IntegrityError, NotFoundError):
                doubts.append(f"{key} is damaged, and may have been later")
            except (TrustError, UnsupportedFormatError) as error:
                doubts.append(str(error))
    followed = {entry.parent for entry in sound.values()}
    tips = [entry for entry in sound.values() if entry.address not in followed]
    tips.sort(key=lambda entry: (-entry.version, entry.address))
    highest = tips[0].version if tips else 0
    for version, address in history.markers(title_number):
        if version >= highest and address not in sound:
            doubts.append(f"{address} (version {version}) was about to be the head, and is missing")
    return {tip.address: tip for tip in tips}, doubts


def _check_chain(history: History, target: Entry, expect: str | None) -> None:
    found = False
    for entry in history.walk(target):  # raises if the chain is broken
        found = found or entry.address == expect
    if expect is not None and not found:
        raise IntegrityError(
            f"the chain of {target.address} lacks the pinned {expect}",
            reason="pin-missing",
            object_key=layout.head_key(target.title_number),
        )
