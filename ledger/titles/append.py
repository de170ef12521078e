"""Appending to one title: an entry is acknowledged once the head points at it, and never twice.

The order of the writes keeps it safe. First the entry becomes durable, and with it a marker that
the head is about to move. Then the head is swapped, if it is still the one that was read. An
unclear outcome is settled by reading: see ``ledger.stores.swap``.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import msgspec

from ledger.errors import (
    ClockAhead,
    ClockBehind,
    HeadMissing,
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotDurable,
    OutcomeUnknown,
    PreconditionFailed,
    ReferenceConflict,
    StoreError,
    StoreUnavailable,
    Supersedes,
    TitleClosed,
    TrustError,
)
from ledger.format import canonical, layout, times
from ledger.format.entry import CLOSED, OPEN, Entry
from ledger.format.given import check_given
from ledger.format.law import place
from ledger.format.times import CLOCK_SKEW
from ledger.stores.base import Swap, find_doubt
from ledger.stores.swap import swap
from ledger.titles.draft import ANY, Anything, Appended, Draft, Guards, Pen
from ledger.titles.history import Head, History, Tip, not_standing

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from datetime import datetime

    from ledger.stores.base import Blob

RACES = 50
"""How often an append starts again after losing a race."""

_HOW_TO_SETTLE = (
    "see 'ledger log {}'; with a --reference, the same append can be sent again without harm"
)


def append(
    history: History,
    pen: Pen,
    draft: Draft,
    *,
    parent: str | Anything | None = ANY,
    guards: Guards = Guards(),  # noqa: B008 -- frozen
    tip: Tip | None = None,
    settles: bool = False,
) -> Appended:
    """Add the draft to its title's chain; see ``Ledger.append``.

    ``tip``: what an earlier append to this title, on top of ANY, has read of it. ``settles``: the
    head need not stand, as the draft says what becomes of it, and its bounds are those of a version
    that was registered before. Only ``settle`` may say so.
    """
    check_types(draft, guards)
    tip = tip or Tip(history, draft.title_number)
    if guards.skip_unchanged:
        tip.forget()  # where nothing is written, no swap tells that somebody else moved the head
    for attempt in range(RACES):
        prepared = prepare(history, pen, draft, parent, guards, tip, settles=settles)
        if write(history, prepared, tip, guards):
            return prepared
        # Even with a parent given: the entry that was first may be another try of this append.
        time.sleep(random.uniform(0, 0.002 * min(2**attempt, 64)))  # noqa: S311 -- no secret
    raise HeadMoved(
        f"cannot append to {draft.title_number}: lost the race {RACES} times",
        hint="nothing was written: many writers append to this title, so try again",
    )


def write(history: History, prepared: Appended, tip: Tip, guards: Guards) -> bool:
    """Write what was prepared, or make it durable if it is there; False: another was first."""
    entry = prepared.entry
    if is_new(prepared, guards):
        move = move_of(entry, tip)
        (sent,) = send_heads(history, [move], entry.title_number)
        return finish_move(history, move, tip, sent)
    if prepared.repeated:
        make_durable(history, entry)
    else:
        history.store.make_durable(layout.head_key(entry.title_number))
    return True


def is_new(prepared: Appended, guards: Guards) -> bool:
    """Whether it is to be written, as the title has nothing that stands for it."""
    return not (prepared.repeated or (prepared.unchanged and guards.skip_unchanged))


def check_types(draft: object, guards: object) -> None:
    """Raise InvalidError unless the two are a Draft and Guards."""
    check_given(draft, Draft, "a Draft")
    check_given(guards, Guards, "Guards")


def make_durable(history: History, entry: Entry) -> None:
    """Create the entry again: whoever wrote it may have crashed before it was durable.

    If that fails, the entry is still in the chain, so no StoreError may say that nothing was
    written.
    """
    key = layout.entry_key(entry.title_number, entry.address)
    try:
        history.store.create(key, entry.data)
    except PreconditionFailed as error:
        raise _other_bytes(history, entry, error) from error
    except (OutcomeUnknown, StoreError) as error:
        raise in_doubt(entry, error) from error


def in_doubt(entry: Entry, why: LedgerError) -> OutcomeUnknown:
    """Return the error of an entry that is in the chain, but may not be durable."""
    return OutcomeUnknown(
        f"{entry.title_number} has it, as version {entry.version} ({entry.address}), but it is"
        f" unknown whether a crash would undo that: {why}",
        hint=_HOW_TO_SETTLE.format(entry.title_number),
        address=entry.address,
    )


def _other_bytes(history: History, entry: Entry, why: LedgerError) -> IntegrityError:
    """The error of bytes that are in an entry's place, and not the entry as registered."""
    key = layout.entry_key(entry.title_number, entry.address)
    blob = history.store.get(key)
    if blob is not None and blob.data == entry.short:
        reason, what = "text-missing", "the entry is stored without its text"
    else:
        reason, what = "address-mismatch", "other bytes are stored under this address"
    return IntegrityError(f"{key}: {what} ({why})", reason=reason, object_key=key)


def preview(
    history: History,
    pen: Pen,
    draft: Draft,
    *,
    parent: str | Anything | None = ANY,
    guards: Guards = Guards(),  # noqa: B008 -- frozen
) -> Appended:
    """Return what ``append`` would return now, or raise what it would raise. Write nothing."""
    check_types(draft, guards)
    tip = Tip(history, draft.title_number)
    return prepare(history, pen, draft, parent, guards, tip)


def prepare(  # noqa: PLR0917 -- two callers, next to it
    history: History,
    pen: Pen,
    draft: Draft,
    parent: str | Anything | None,
    guards: Guards,
    tip: Tip,
    *,
    settles: bool = False,
) -> Appended:
    """Read the head, see that the draft may follow it, and sign the entry that does."""
    if isinstance(parent, str):
        layout.check_address(parent)
    head = tip.head()
    if head is not None and not settles:
        history.check_stands(head.entry)
    spelled = canonical.encode(draft.document) if head else None
    unchanged = head is not None and _difference(draft, head.entry, spelled) is None
    skips = head is not None and unchanged and guards.skip_unchanged
    # A reference that only an older version could have need not be looked for if nothing is
    # written: that would be a listing for each title of a full extract.
    if not (skips and head is not None and head.entry.reference != draft.reference):
        repeated = _find_repeated(history, tip, draft)
        if repeated:
            return Appended(repeated, repeated=True)
    _check_parent(draft.title_number, head, parent)
    if head is None:
        _check_first(history, draft.title_number, pen)
    if head is not None and skips:
        return Appended(head.entry, repeated=False, unchanged=True)
    # Who erases, settles or closes registers no new document.
    if pen.check is not None and not (
        settles or draft.erases or (head is not None and head.entry.document_bytes == spelled)
    ):
        spelled = spelled or canonical.encode(draft.document)
        pen.check(canonical.load(spelled))  # what is registered, and not what it is made of
    now = pen.clock()
    entry = _sign(history, pen, draft, head.entry if head else None, guards, now, spelled)
    if head is not None:
        _check_closed(entry, head.entry)
        if not settles:
            _check_law(history, entry, head.entry, now, guards)
    _check_lists(history, entry, head.entry if head else None)
    return Appended(entry, repeated=False, unchanged=unchanged)


def _sign(  # noqa: PLR0917 -- one caller, above
    history: History,
    pen: Pen,
    draft: Draft,
    parent: Entry | None,
    guards: Guards,
    now: datetime,
    spelled: bytes | None,
) -> Entry:
    """Sign the entry that puts the draft on top of its parent."""
    recorded_at = _recorded_at(now, parent, clamp=guards.clamp_time)
    if not guards.trust_clock:
        _check_clock(history, draft.title_number, now)
    return Entry.sign(
        pen.signer,
        ledger=history.origin,
        title_number=draft.title_number,
        document=draft.document,
        recorded_at=recorded_at,
        salt=pen.random_bytes(32),
        parent=parent,
        kind=draft.kind,
        message=draft.message,
        author=draft.author,
        effective_at=draft.effective_at,
        effective_until=draft.effective_until,
        reference=draft.reference,
        part=draft.part,
        status=_status(draft, parent),
        erases=draft.erases,
        confirms=draft.confirms,
        voids=draft.voids,
        spelled=spelled,
    )


def _check_lists(history: History, entry: Entry, parent: Entry | None) -> None:
    """Refuse an entry that would not stand itself, or that settles what needs no settling."""
    judge = history.judge(entry.title_number)
    named = entry.confirms or entry.voids
    if named:
        named = tuple(sorted({*entry.confirms, *entry.voids}))
    # As if it voided all that it names: then the verdict on each tells whether that one counts.
    stand = judge(msgspec.structs.replace(entry, confirms=(), voids=named) if named else entry)
    if stand.reason == "needs-trust":
        raise InvalidError(
            f"cannot append to {entry.title_number}: only a ledger whose trust files you follow"
            " can confirm or void versions",
            hint="pin one, by its sha256 or as a file: ledger trust pin SHA256",
        )
    if not stand.stands:
        may_not = "may not order texts erased" if stand.reason == "may-not-erase" else "has an end"
        raise TrustError(
            f"cannot append to {entry.title_number}: key {entry.key[:16]}… {may_not} by the trust"
            " files, so the entry would not stand",
            hint="sign with another key: --key FILE",
            reason=stand.reason,
        )
    if parent is None or not named:
        return
    for each, _ in history.walk_short(parent):
        stand = judge(each)
        if each.version in named and not stand.is_void:
            if stand.stands is None:
                raise not_standing(each, stand)
            raise InvalidError(
                f"cannot append to {entry.title_number}: version {each.version} counts, so nothing"
                " can confirm or void it",
                hint="register what is right now, or a rectification of the record",
            )
        if each.version <= named[0]:
            return


def _check_closed(entry: Entry, parent: Entry) -> None:
    """A closed title takes what reopens it, what has a list, and what rectifies the record."""
    if parent.status != CLOSED or entry.status != CLOSED:
        return
    if entry.kind == "rectification" or entry.erases or entry.confirms or entry.voids:
        return
    raise TitleClosed(
        f"cannot append to {entry.title_number}: version {parent.version} closed it",
        hint="reopen it with --reopen, or append a rectification of the record",
    )


def _check_law(
    history: History, entry: Entry, parent: Entry, now: datetime, guards: Guards
) -> None:
    """Refuse bounds that would leave a day without law, or make the wrong person owner.

    Only bounds that could do so cost a walk of the chain.
    """
    at, until = entry.effective_at, entry.effective_until
    has_instant = "T" in (at or "") or "T" in (until or "")
    may_supersede = until is None and at is not None and not guards.supersede_later
    if not (has_instant or may_supersede):
        return
    mine, today = entry.begins, times.as_bound(now)
    later: list[Entry] = []
    for other in history.standing_entries(parent, entry):
        if may_supersede and mine.is_before(other.begins) and not today.is_before(other.begins):
            later.append(other.without_text())
        _check_spelling(entry.effective_at, other.effective_until, other)
        _check_spelling(entry.effective_until, other.effective_at, other)
    if later:
        # The first to begin: with a later end, this would still take the place of that one.
        first = min(later, key=lambda other: place(other.begins))
        begins = first.effective_at or first.recorded_at
        raise Supersedes(
            f"cannot append to {entry.title_number}: version {first.version} holds from {begins},"
            " and this would take its place",
            hint=f"give it an end: --effective-until {begins}; or insist with --supersede-later",
        )


def _check_spelling(mine: str | None, theirs: str | None, other: Entry) -> None:
    """Two spellings of one instant compare as two dates with a day between them, or none."""
    if not mine or not theirs or mine == theirs:
        return
    ours, others = times.parse_bound(mine), times.parse_bound(theirs)
    if ours.instant is not None and ours.instant == others.instant and ours.day != others.day:
        raise InvalidError(
            f"{mine} is the instant that version {other.version} spells {theirs}: a day between"
            " the two spellings would be without law",
            hint=f"write {theirs}",
        )


def _check_clock(history: History, title_number: str, now: datetime) -> None:
    """Refuse a clock that is far ahead of the store's: later entries could not go back behind it.

    What the last answer told costs nothing, but this machine may have slept since. So the store is
    asked before the clock is refused.
    """
    told = history.store.server_time(remembered=True)
    if told is None or now - told <= CLOCK_SKEW:
        return
    told = history.store.server_time()
    if told is not None and now - told > CLOCK_SKEW:
        raise ClockAhead(
            f"cannot append to {title_number}: this clock says {times.format_time(now)}, but that"
            f" of {history.store.url} says {times.format_time(told)}",
            hint="set the clock; or, if the store's is wrong, append with --trust-clock",
        )


def _status(draft: Draft, parent: Entry | None) -> str:
    if draft.status is not None:
        return draft.status
    return parent.status if parent else OPEN


def _recorded_at(now: datetime, parent: Entry | None, *, clamp: bool) -> str:
    text = times.format_time(now)
    if parent is None or text >= parent.recorded_at:
        return text
    if not clamp and times.parse_time(parent.recorded_at) - now > CLOCK_SKEW:
        raise ClockBehind(
            f"cannot append to {parent.title_number}: its head was recorded {parent.recorded_at},"
            f" but this clock says {text}",
            hint="set the clock; or, if the head's was wrong, append with --clamp-time",
        )
    return parent.recorded_at


def _check_parent(title_number: str, head: Head | None, parent: str | Anything | None) -> None:
    actual = head.entry.address if head else None
    if parent is ANY or parent == actual:
        return
    look = f"see 'ledger log {title_number}', then append again"
    if parent is None:
        why = f"it exists already, at {_short(actual)}"
        hint = f"{look} without --new"
    else:
        why = f"head moved from {_short(parent)} to {_short(actual)}"
        hint = f"another writer was first; {look}"
    raise HeadMoved(
        f"cannot append to {title_number}: {why}",
        hint=hint,
        expected=parent,
        actual=actual,
    )


def _short(address: str | None) -> str:
    return address[:8] if address else "nothing"


def _find_repeated(history: History, tip: Tip, draft: Draft) -> Entry | None:
    """The entry that an earlier try of the same append left, by its reference and part.

    A repeat asks for the same in every member but ``author`` and ``message``.
    """
    head = tip.head()
    if head is None or not draft.reference or tip.lacks(draft.reference, draft.part):
        return None
    entry = history.find_reference(head.entry, draft.reference, draft.part)
    if entry is None:
        return None
    other = _difference(draft, entry)
    if other is None:
        return entry
    raise ReferenceConflict(
        f"the reference {draft.reference!a:.80} is taken: {draft.title_number} has it at"
        f" version {entry.version} ({_short(entry.address)}), {other}",
        hint="use a new reference for a new registration",
        address=entry.address,
    )


def _difference(draft: Draft, entry: Entry, spelled: bytes | None = None) -> str | None:
    """What differs between a draft and the entry that has its reference; None: nothing.

    ``spelled``: the canonical JSON of the draft's document, if it is known.
    """
    if entry.is_withheld:
        return "whose text is erased, so that nothing can be compared"
    if (spelled or canonical.encode(draft.document)) != entry.document_bytes:
        return "with another document"
    pairs = {
        "effective date": (times.spell(draft.effective_at), entry.effective_at),
        "end": (times.spell(draft.effective_until), entry.effective_until),
        "list of erased versions": (draft.erases, entry.erases),
        "list of confirmed versions": (draft.confirms, entry.confirms),
        "list of void versions": (draft.voids, entry.voids),
        "kind": (draft.kind, entry.kind),
        # None means: as the title was.
        "status": (_status(draft, entry), entry.status),
    }
    for name, (asked, found) in pairs.items():
        if asked != found:
            return f"with another {name}"
    return None


def _check_first(history: History, title_number: str, pen: Pen) -> None:
    """Refuse a first version if the ledger is gone, or if the title had later ones."""
    history.check_there()
    check_new(history, title_number)
    prepared = max((version for version, _ in history.markers(title_number)), default=0)
    # The head is looked at after the markers: other writers may have gone two versions ahead.
    if prepared > 1 and history.store.get(layout.head_key(title_number)) is None:
        raise HeadMissing(
            f"{title_number} has no history, though its version {prepared} was prepared",
            hint="its objects were lost: import a bundle of it",
        )
    logged = pen.logged(title_number)
    if logged and history.store.get(layout.head_key(title_number)) is None:
        raise HeadMissing(
            f"{title_number} has no head, though the log has its version {logged.version}"
            f" ({logged.address})",
            hint=f"'ledger recover {title_number}' brings back what is left of it; or import a"
            " bundle of it",
        )


def check_new(
    history: History, title_number: str, known: Container[str] = frozenset[str]()
) -> None:
    """Refuse to start a history if there is one without a head; raises HeadMissing.

    A crashed first append leaves an entry of version 1 and no head: that is not a history yet. Nor
    are the ``known`` addresses, which a crashed import may have left.
    """
    keys = [
        key
        for key in history.store.list(f"{title_number}/")
        if (parsed := layout.parse_entry_key(key)) and parsed[1] not in known
    ]
    if not keys or history.store.get(layout.head_key(title_number)) is not None:
        return  # new, or another writer is just now first: the swap will tell
    for key, blob in history.store.get_many(keys):
        if blob is None:
            continue
        try:
            version = Entry.unverified(blob.data).version
        except LedgerError:
            version = 0  # who can say what it was
        if version != 1:
            raise HeadMissing(
                f"{title_number} has entries ({key}) but no head",
                hint=f"see 'ledger recover {title_number}'",
            )


def store_entries(history: History, entries: Sequence[Entry], what: str) -> None:
    """Store entries of different titles, and their names: that comes before any head moves.

    ``what`` is named if it fails: nothing was appended to it.
    """
    try:
        history.store.create_many(each for entry in entries for each in objects_of(entry))
    except (PreconditionFailed, OutcomeUnknown) as error:
        _raise_not_stored(history, entries, what, error)


def _raise_not_stored(
    history: History, entries: Sequence[Entry], what: str, why: LedgerError
) -> NoReturn:
    if isinstance(why, OutcomeUnknown):
        raise not_stored(what, why) from why
    if not entries:
        raise why
    raise _other_bytes(history, _find_other(history, entries), why) from why


def not_stored(what: str, why: LedgerError) -> StoreUnavailable:
    """Return the error of entries of which nobody knows whether they are stored, durably.

    Without a head that points at them, an entry and a marker are nothing yet.
    """
    return StoreUnavailable(f"nothing was appended to {what}: {why}", hint=why.hint)


def _find_other(history: History, entries: Sequence[Entry]) -> Entry:
    """The entry in whose place there is something else."""
    keys = {layout.entry_key(each.title_number, each.address): each for each in entries}
    for key, blob in history.store.get_many(list(keys)[:-1]):
        if blob is not None and blob.data != keys[key].data:
            return keys[key]
    return entries[-1]


def names_of(entry: Entry) -> list[tuple[str, bytes]]:
    """The empty objects that are written with an entry: its marker, and its reference's name."""
    move = (entry.title_number, entry.version, entry.address)
    names = [(layout.pending_key(*move), b"")]
    if entry.reference:
        names.append((layout.reference_key(entry.reference, *move), b""))
    return names


def objects_of(entry: Entry, is_logged: bool = False) -> list[tuple[str, bytes]]:
    """What is written before a head moves to an entry; without a marker, if a log has it."""
    key = layout.entry_key(entry.title_number, entry.address)
    return [(key, entry.data), *names_of(entry)[1 if is_logged else 0 :]]


class Move(NamedTuple):
    """A move of a title's head to an entry."""

    entry: Entry
    expected: str | None
    """The version of the head that it takes the place of; None: there is none yet."""
    is_logged: bool = False
    """A log has the entry already, so no marker tells a sealer of it."""


def move_of(entry: Entry, tip: Tip) -> Move:
    """The move to an entry that was prepared on top of a tip."""
    head = tip.head()
    return Move(entry, head.version if head else None)


def send_heads(
    history: History, moves: Sequence[Move], what: str, before: Iterable[tuple[str, bytes]] = ()
) -> Sequence[str | LedgerError]:
    """Store the entries of different titles and their names, then send each head to the store.

    ``what`` is named if it fails before a head was sent: nothing was appended to it. Else return
    what ``Store.swap_many`` does, for ``swap_head`` to settle. ``before``: objects that are to be
    there as well by then.
    """
    objects = dict(before)
    for entry, _, is_logged in moves:
        objects.update(objects_of(entry, is_logged))
    heads = [
        Swap(layout.head_key(entry.title_number), entry.data, expected)
        for entry, expected, _ in moves
    ]
    try:
        return history.store.swap_many(objects.items(), heads)
    except (PreconditionFailed, OutcomeUnknown) as error:
        _raise_not_stored(history, [move.entry for move in moves], what, error)


def finish_move(history: History, move: Move, tip: Tip, sent: str | LedgerError) -> bool:
    """Settle a head that was sent; False: another writer was first. Raises as ``append``."""
    now = swap_head(history, move.entry, move.expected, sent)
    if now:
        tip.grow(move.entry, now)
        history.remember(move.entry)
    else:
        tip.forget()
    return now is not None


def move_head(
    history: History, entry: Entry, expected: str | None, is_logged: bool = False
) -> Blob | None:
    """Store the entry and swap the head to it, if the head is still the ``expected`` version.

    ``is_logged``: a log has it already, so no marker tells a sealer of it.

    Return the head that is there now, durably: this entry, or a later one on top of it. Return None
    if another writer was first: this entry is in no chain. Raise StoreError if nothing happened,
    OutcomeUnknown if nobody can tell.
    """
    (sent,) = send_heads(history, [Move(entry, expected, is_logged)], entry.title_number)
    return swap_head(history, entry, expected, sent)


def move_heads(
    history: History,
    moves: Sequence[Move],
    before: Iterable[tuple[str, bytes]] = (),
    write_before: Callable[[], object] = lambda: None,
) -> Iterator[Blob | None]:
    """Do what ``move_head`` does, for different titles that are written together; in their order.

    All are written before the first is yielded; what one raises ends it. ``before``: objects that
    have to be there first. If they can't be created, ``write_before`` has to see to them.
    """
    sent: Sequence[str | LedgerError | None] = [None] * len(moves)
    try:
        sent = send_heads(history, moves, "these titles", before)
    except LedgerError as error:
        if find_doubt(error):
            raise
        write_before()
    for move, each in zip(moves, sent, strict=True):
        if each is None:
            yield move_head(history, *move)
        else:
            yield swap_head(history, move.entry, move.expected, each)


def swap_head(
    history: History, entry: Entry, expected: str | None, sent: str | LedgerError | None = None
) -> Blob | None:
    """Do the second half of ``move_head``, once the entry and its marker are stored.

    ``sent``: the outcome, if the head was sent already.
    """
    title_number, address = entry.title_number, entry.address
    key = layout.head_key(title_number)

    def is_built_on_ours(data: bytes) -> bool:
        return history.descends(history.open(data, title_number, key), address, entry.version)

    def unknown(why: LedgerError) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"cannot tell whether {title_number} version {entry.version} was appended"
            f" as {address}: {why}",
            hint=_HOW_TO_SETTLE.format(title_number),
            address=address,
        )

    try:
        return swap(
            history.store,
            key,
            entry.data,
            expected,
            unknown=unknown,
            is_built_on_ours=is_built_on_ours,
            sent=sent,
        )
    except NotDurable as error:
        raise unknown(error) from error
