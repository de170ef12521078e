"""Settle what no longer stands because of a key: find it, and append what becomes of it.

A key that was stolen has an end in the log. What it signed from there on doesn't count, until an
entry above confirms it (honest work) or voids it (it never was).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ledger.errors import HeadMoved, IntegrityError, InvalidError, NotFoundError
from ledger.format import layout
from ledger.format.entry import CLOSED, OPEN, Entry
from ledger.format.given import check_versions
from ledger.format.law import restated
from ledger.titles.append import RACES, append
from ledger.titles.draft import Appended, Draft, Guards, Pen
from ledger.titles.history import History, missing_text, not_standing
from ledger.titles.trust_files import accepted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger.format.standing import Stand
    from ledger.titles.erase import Edit
    from ledger.tlog.objects import Leaf


class Fallen(NamedTuple):
    """An entry that does not stand, and that no standing entry settles."""

    entry: Entry
    stand: Stand
    """Why: ``reason`` is ``key-ended`` or ``may-not-erase``."""
    held_by: int = 0
    """The version of the entry that settled it, and does not stand either; 0: none did."""
    was_confirmed: bool = False
    """Whether that one confirmed it."""


def find_registrar(history: History, begins: str) -> str:
    """Return the id of the registrar's key, of any trust file, that begins so."""
    accepted = accepted_by(history.keyring)
    if accepted is None or history.origin != accepted.origin:
        raise InvalidError(
            f"nothing can be settled in {history.origin}: you follow no trust files of it,"
            " so no key has an end",
            hint="pin one, by its sha256 or as a file: ledger trust pin SHA256",
        )
    if not layout.is_address(begins.ljust(64, "0")):
        raise InvalidError(f"not a key id: {begins!a:.80} (expected lower-case hex digits)")
    found = [
        key_id
        for key_id in sorted(accepted.listed)
        if key_id.startswith(begins) and accepted.registrar(key_id)
    ]
    if not found:
        raise NotFoundError(
            f"no trust file of {history.origin} lists a registrar's key {begins}",
            hint="'ledger trust show' lists the keys",
        )
    if len(found) > 1:
        raise InvalidError(f"{begins} is ambiguous: {', '.join(found)}", hint="give more digits")
    return found[0]


def find_fallen(history: History, title_number: str, key_id: str) -> Iterator[Fallen]:
    """Yield what no longer stands because of a key, newest first.

    That is what the key signed, and what was settled only by an entry that no longer stands because
    of it. Raises NotStanding if nobody can tell.
    """
    standing = history.standing(title_number)
    held: dict[int, tuple[int, bool]] = {}
    for entry, data in history.walk_short(history.head(title_number)):
        stand = standing.take(entry)
        if stand.stands or not (entry.key == key_id or entry.version in held):
            continue
        if stand.stands is None:
            raise not_standing(entry, stand)
        for version in (*entry.confirms, *entry.voids):
            held.setdefault(version, (entry.version, version in entry.confirms))
        if not stand.is_void:
            if entry.version not in standing.erased:
                with suppress(IntegrityError):  # without its text, if something else is there
                    key = layout.entry_key(title_number, entry.address)
                    entry = history.open(data, title_number, key, entry.address)  # noqa: PLW2901
            yield Fallen(entry, stand, *held.get(entry.version, (0, False)))


def settle(
    history: History,
    pen: Pen,
    title_number: str,
    *,
    confirms: Iterable[int],
    voids: Iterable[int],
    logged: Callable[[str], Leaf | None],
    reference: str = "",
    message: str = "",
    author: str = "",
    change: Edit | None = None,
    lost: bool = False,
    clamp_time: bool = False,
) -> Appended:
    """Append the entry that confirms and voids these versions; see ``Ledger.settle``.

    ``logged`` answers the newest version of a title that the log has. If entries that stand say all
    of it already, nothing is written.
    """
    answers = _answers(confirms, voids)
    for _ in range(RACES):
        head = history.head(title_number)
        chain = list(history.walk_short(head))
        _check_continues(chain, logged(title_number))
        left, by = _unsettled(history, chain, answers)
        if not left:
            return Appended(history.entry(title_number, by), repeated=True)
        names = (_named(left, confirmed=True), _named(left, confirmed=False))
        base = _find_base(history, pen, chain, *names, lost=lost)
        document = base.document if base else {}
        at, until = restated(base) if base else (None, None)
        draft = Draft(
            title_number,
            change(document) if change else document,
            message,
            at,
            reference,
            effective_until=until,
            author=author,
            kind="rectification",
            status=base.status if base else OPEN if change else CLOSED,
            confirms=names[0],
            voids=names[1],
        )
        guards = Guards(clamp_time=clamp_time, supersede_later=True)
        try:
            return append(history, pen, draft, parent=head.address, guards=guards, settles=True)
        except HeadMoved:
            continue  # what stands may be other entries now
    raise HeadMoved(
        f"cannot append to {title_number}: lost the race {RACES} times",
        hint="nothing was written: many writers append to this title, so try again",
    )


def _answers(confirms: Iterable[int], voids: Iterable[int]) -> dict[int, bool]:
    """Map each version to whether it is confirmed."""
    confirmed, voided = check_versions(confirms), check_versions(voids)
    if not confirmed and not voided:
        raise InvalidError("no version to be confirmed or voided")
    if both := confirmed & voided:
        raise InvalidError(f"version {min(both)} can't be both confirmed and voided")
    return dict.fromkeys(confirmed, True) | dict.fromkeys(voided, False)


def _named(answers: dict[int, bool], *, confirmed: bool) -> tuple[int, ...]:
    return tuple(sorted(version for version in answers if answers[version] is confirmed))


def _check_continues(chain: list[tuple[Entry, bytes]], newest: Leaf | None) -> None:
    """Refuse a head that was set back: what is settled on top of it would be of no use."""
    head = chain[0][0]
    if newest is None or any(entry.address == newest.address for entry, _ in chain):
        return
    key = layout.head_key(head.title_number)
    raise IntegrityError(
        f"{key}: its chain lacks version {newest.version} ({newest.address}), which the log has:"
        " the head was set back, or another history was put in its place",
        hint=f"'ledger recover {head.title_number}' puts the head back; then settle",
        reason="not-as-logged",
        object_key=key,
    )


def _unsettled(
    history: History, chain: list[tuple[Entry, bytes]], answers: dict[int, bool]
) -> tuple[dict[int, bool], str]:
    """Say which answers no standing entry has given yet, and which entry gave the newest."""
    head = chain[0][0]
    if outside := [version for version in answers if not 1 <= version <= head.version]:
        raise InvalidError(
            f"{head.title_number} has the versions 1 to {head.version}, not {outside[0]}"
        )
    standing = history.standing(head.title_number)
    left, given = dict(answers), 0
    for entry, _ in chain:
        stand = standing.take(entry)
        said = True if stand.is_confirmed else False if stand.is_void else None
        if said is not None and answers.get(entry.version) is said:
            del left[entry.version]
            given = max(given, stand.by)
    return left, next((entry.address for entry, _ in chain if entry.version == given), "")


def _find_base(
    history: History,
    pen: Pen,
    chain: list[tuple[Entry, bytes]],
    confirms: tuple[int, ...],
    voids: tuple[int, ...],
    *,
    lost: bool,
) -> Entry | None:
    """Find the newest entry that will stand, which is restated; None: there is none."""
    head = chain[0][0]
    standing = history.standing(head.title_number)
    above = {
        "address": "",  # it is in no log yet, whatever its address will be
        "version": head.version + 1,
        "key": pen.signer.public_key.key_id,
        "confirms": confirms,
        "erases": (),
        "voids": voids,
    }
    standing.take(msgspec.structs.replace(head, **above))
    for entry, data in chain:
        stand = standing.take(entry)
        if stand.stands is None:
            raise not_standing(entry, stand)
        if stand.stands:
            key = layout.entry_key(entry.title_number, entry.address)
            found = history.open(data, entry.title_number, key, entry.address)
            if not found.is_withheld:
                return found
            if lost:
                return None
            error = missing_text(entry)
            error.hint = (
                "bring it back from a bundle: 'ledger import FILE'; if there is no copy, --lost"
                " goes on without"
            )
            raise error
    return None
