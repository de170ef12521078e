"""Mending a head that is missing or unreadable, from the entries that are left."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from ledger.errors import (
    ConflictError,
    HeadMoved,
    IntegrityError,
    LedgerError,
    NotFoundError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.titles.append import move_head, names_of
from ledger.titles.history import History, missing_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ledger.format.entry import Entry
    from ledger.tlog.objects import Leaf


def recover(
    history: History,
    title_number: str,
    *,
    to: str | None = None,
    expect: str | None = None,
    logged: Callable[[str], Leaf | None],
    packed: Callable[[str], Mapping[str, bytes]],
) -> Entry:
    """Point the head at the one tip there is, or at ``to`` if that is not certain.

    It is certain if one sound entry has no successor, nothing is damaged, and no marker tells of
    a later version. An entry that would not stand is no successor, unless it is what the log has.
    Never moves a head that can be read, unless its chain lacks what is ``logged`` of the title: if
    that one does not follow it, only to ``to``. Never moves a head to an entry whose chain lacks
    the pin ``expect``, or what is logged. ``packed`` answers the entries of the title that are in
    packs: those that the store lost are put back. Raises ConflictError, naming the tips and the
    doubts, if one has to be chosen.
    """
    for address in (to, expect):
        if address is not None:
            layout.check_address(address)
    version, head = _find_broken_head(history, title_number, chosen=to is not None)
    newest, doubts = None, []
    try:
        newest = logged(title_number)
    except (IntegrityError, TrustError) as error:
        doubts.append(str(error))
    if head is not None:
        _check_set_back(history, head, newest)
    found = _Survey(history, title_number, packed(title_number), newest)
    found.doubts += doubts
    if newest is not None and newest.address not in found.sound:
        raise ConflictError(
            f"the log has version {newest.version} of {title_number} ({newest.address}), and"
            " neither the store nor a pack has that entry: an older head would set the title back",
            hint="import a bundle of it",
        )
    if head is not None and newest is not None and to is None:
        _check_nothing_lost(found, head, newest)
    target = _choose(found, newest, to)
    _check_pins(found, target, expect, newest)
    if newest is None or target.address != newest.address:  # what was logged was the head once
        history.check_stands(target)
    history.store.create_many(list(found.lost_objects(target)))
    for _ in history.walk(target):  # raises if the chain is broken
        pass
    if not move_head(history, target, version):
        raise HeadMoved(f"{title_number} was mended by another writer", expected=to)
    return target


def _choose(found: _Survey, newest: Leaf | None, to: str | None) -> Entry:
    """The entry to point the head at: ``to``, or the one tip on top of what is logged."""
    title_number = found.title_number
    tips = found.tips()
    if not tips:
        raise NotFoundError(
            f"nothing to recover {title_number} from: no entry of it holds together",
            hint="import a bundle of it",
        )
    if to is not None:
        if to not in tips:
            raise ConflictError(
                f"{to} is not a tip of {title_number}; the tips are: {', '.join(tips)}",
                hint="a head only moves to an entry that nothing follows",
            )
        return tips[to]
    on_top = [tip for tip in tips.values() if found.leads_to(tip, newest.address if newest else "")]
    possible = on_top if newest else list(tips.values())
    if found.doubts or len(possible) != 1:
        named = [f"{tip.address} (version {tip.version})" for tip in possible]
        raise ConflictError(
            f"which entry the head of {title_number} was is not certain: nothing follows"
            f" {', '.join(named)}" + "".join(f"; {doubt}" for doubt in found.doubts),
            hint=f"choose: 'ledger recover {title_number} --to ADDRESS'; a bundle may know more",
        )
    return possible[0]


def _check_pins(found: _Survey, target: Entry, expect: str | None, newest: Leaf | None) -> None:
    """Refuse a target whose chain lacks the pin of the caller, or what the log has."""
    key = layout.head_key(target.title_number)
    if newest is not None and not found.leads_to(target, newest.address):
        raise ConflictError(
            f"the log has version {newest.version} of {target.title_number} ({newest.address}),"
            f" which is not in the chain of {target.address}",
            hint="choose a tip on top of it",
        )
    if expect is not None and not found.leads_to(target, expect):
        raise IntegrityError(
            f"the chain of {target.address} lacks the pinned {expect}",
            reason="pin-missing",
            object_key=key,
        )


def _find_broken_head(
    history: History, title_number: str, *, chosen: bool
) -> tuple[str | None, Entry | None]:
    """The version of ``head.json``, if there is one, and the head, if it can be read."""
    key = layout.head_key(layout.check_title_number(title_number))
    blob = history.store.get(key)
    if blob is None:
        return None, None
    try:
        head = history.open(blob.data, title_number, key)
    except IntegrityError:
        head = None
    except TrustError:
        # That may be the keyring's fault: only a choice of the user's goes past it.
        if not chosen:
            raise
        head = None
    return blob.version, head if head and not head.is_withheld else None


def _check_set_back(history: History, head: Entry, newest: Leaf | None) -> None:
    """Refuse to move a head that can be read, and whose chain has what is logged."""
    with suppress(IntegrityError):  # a chain that breaks off may have it further down
        if newest and all(entry.address != newest.address for entry, _ in history.walk_short(head)):
            return
    raise ConflictError(
        f"the head of {head.title_number} is readable: version {head.version} ({head.address[:8]})",
        hint=f"'ledger verify {head.title_number}' checks what is below it",
    )


def _check_nothing_lost(found: _Survey, head: Entry, newest: Leaf) -> None:
    """Refuse to drop entries of a head beside what is logged: somebody may have been told of them.

    Only a choice of the user's goes past it.
    """
    if found.leads_to(found.sound[newest.address], head.address):
        return
    on_top = [tip for tip in found.tips().values() if found.leads_to(tip, newest.address)]
    address = on_top[0].address if len(on_top) == 1 else "ADDRESS"
    raise ConflictError(
        f"the head of {head.title_number}, version {head.version} ({head.address}), is not in the"
        f" chain that the log has, up to version {newest.version} ({newest.address})",
        hint=f"'ledger recover {head.title_number} --to {address}' gives it up: what is only in its"
        " chain has to be registered again",
    )


class _Survey:
    """The sound entries of a title, in the store and in packs, and what is in doubt."""

    def __init__(
        self,
        history: History,
        title_number: str,
        packed: Mapping[str, bytes],
        newest: Leaf | None,
    ) -> None:
        self.title_number = title_number
        self._history = history
        self.sound: dict[str, Entry] = {}
        self.doubts: list[str] = []
        self._lost: set[str] = set()
        stored: set[str] = set()
        for key in history.store.list(f"{title_number}/"):
            parsed = layout.parse_entry_key(key)
            if parsed:
                stored.add(parsed[1])
                try:
                    self.sound[parsed[1]] = history.entry(*parsed)
                except (IntegrityError, NotFoundError):
                    self.doubts.append(f"{key} is damaged, and may have been later")
                except (TrustError, UnsupportedFormatError) as error:
                    self.doubts.append(str(error))
        for address in packed.keys() - stored:
            key = layout.entry_key(title_number, address)
            with suppress(LedgerError):  # a pack is a cache, and anybody may have made it
                self.sound[address] = history.open(packed[address], title_number, key, address)
                self._lost.add(address)
        signed = set(self.sound)
        self._leave_out(newest)
        highest = max((entry.version for entry in self.tips().values()), default=0)
        for version, address in history.markers(title_number):
            if version >= highest and address not in signed:
                self.doubts.append(
                    f"{address} (version {version}) was about to be the head, and is missing"
                )

    def _leave_out(self, newest: Leaf | None) -> None:
        """Leave out what can't be the head, nor be below one: a stolen key may have signed it."""
        kept: dict[str, Entry] = {}
        for entry in sorted(self.sound.values(), key=lambda each: -each.version):
            if entry.address in kept:
                continue
            stand = self._history.standing(self.title_number).take(entry)
            if stand.stands is not False or (newest and entry.address == newest.address):
                kept |= {each.address: each for each in self._chain(entry)}
        self.sound = kept

    def tips(self) -> dict[str, Entry]:
        """The entries that no other one follows, highest version first."""
        followed = {entry.parent for entry in self.sound.values()}
        tips = [entry for entry in self.sound.values() if entry.address not in followed]
        tips.sort(key=lambda entry: (-entry.version, entry.address))
        return {tip.address: tip for tip in tips}

    def leads_to(self, tip: Entry, address: str) -> bool:
        """Whether the chain of the tip has this address."""
        return any(entry.address == address for entry in self._chain(tip))

    def _chain(self, tip: Entry) -> Iterator[Entry]:
        entry: Entry | None = tip
        while entry is not None:
            yield entry
            entry = self.sound.get(entry.parent) if entry.parent else None

    def lost_objects(self, target: Entry) -> Iterator[tuple[str, bytes]]:
        """What to put back of the target's chain, out of packs, each entry in its lawful form."""
        standing = self._history.standing(self.title_number)
        for at, entry in enumerate(self._chain(target)):
            lawful = entry.without_text() if entry.version in standing.erased else entry
            if lawful.is_withheld and entry.version not in standing.erased:
                raise missing_text(entry)  # not from this pack: another one may have it
            standing.take(entry)
            # The target's own object and names are written when the head moves.
            if at and entry.address in self._lost:
                yield layout.entry_key(self.title_number, entry.address), lawful.data
                yield from islice(names_of(entry), 1, None)
