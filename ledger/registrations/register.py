"""Registering several titles as one: either all parts come to stand, or it is said which do.

A store can swap one object at a time, so no two heads move at once. The order makes up for that:

1. Read all heads, and refuse if one part doesn't fit.
2. Store the first new entry of each title, with its marker and the name of its reference.
3. Swap the heads, in ascending order of title number.

If the first swap fails, nothing has happened, and it starts over. So of two registrations that
share titles, one is ahead on all that they share, and neither waits for the other. If a later head
has moved, the part is sealed again on top of it, unless its caller named the parent. What can't be
done then is left to the same call, which finds the parts that stand by reference and part, and goes
on with the others.

Of several parts on one title, each is stored when the one before it is the head: a marker is never
ahead of its title's head by more than one version.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import (
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotFoundError,
    OutcomeUnknown,
    ReferenceConflict,
    RegistrationIncomplete,
)
from ledger.format.entry import CLOSED, MAX_PARTS, Entry
from ledger.format.given import check_given
from ledger.format.layout import head_key
from ledger.local.parallel import in_chunks
from ledger.registrations.registration import find_registration, spell_parts
from ledger.stores.base import Blob
from ledger.titles.append import RACES, append, make_durable, prepare, store_entries, swap_head
from ledger.titles.draft import ANY, Anything, Appended, Draft, Guards, Pen
from ledger.titles.history import Head, History, Tip

if TYPE_CHECKING:
    from collections.abc import Mapping

AGAIN = "the same call again, with the same reference, does what is left"
TO_FINISH = (
    "register the same again: what stands stays as it is; a part with a parent needs the new one;"
    " or 'ledger register --give-up' with the reference"
)


@dataclass(slots=True)
class _Part:
    """One part on its way."""

    draft: Draft
    parent: str | Anything | None = ANY
    """What it must be on top of."""
    expected: str | None = None
    """The version of the head to swap; None: the title has none."""
    is_first: bool = False
    """Whether it is the first new part of its title."""
    done: Appended | None = None
    """What came of it; before its head is swapped, what will."""
    stands: bool = False
    """Whether the chain has it."""
    error: LedgerError | None = None


def register(
    history: History,
    pen: Pen,
    drafts: Iterable[Draft],
    *,
    reference: str,
    parents: Mapping[str, str | Anything | None],
    guards: Guards,
    dry_run: bool = False,
) -> list[Appended]:
    """Append the drafts as the parts of one registration; see ``Ledger.register``."""
    check_given(guards, Guards, "Guards")
    numbered = _number(drafts, reference)
    if guards.skip_unchanged:
        raise InvalidError("a registration leaves no part out: skip_unchanged can't be used")
    if odd := parents.keys() - {draft.title_number for draft in numbered}:
        raise InvalidError(f"a parent is given for {min(odd)!a:.80}, which no part is about")
    for attempt in range(RACES):
        _check_free(history, numbered, reference)
        parts = [_Part(draft) for draft in numbered]
        _prepare_all(history, pen, parts, parents, guards)
        _check_fits(parts)
        if dry_run:
            return [part.done for part in parts if part.done]
        if _write(history, pen, parts, guards):
            return [part.done for part in parts if part.done]
        time.sleep(random.uniform(0, 0.002 * min(2**attempt, 64)))  # noqa: S311 -- no secret
    raise HeadMoved(
        f"nothing was appended to {numbered[0].title_number}, nor to the other titles: lost the"
        f" race {RACES} times",
        hint="many writers append to this title, so try again",
    )


def _number(drafts: Iterable[Draft], reference: str) -> list[Draft]:
    """Give each draft its part, in ascending order of title number, and the reference."""
    check_given(drafts, Iterable, "a list of drafts")
    check_given(reference, str, "a reference: a text")
    found = list(drafts)
    for draft in found:
        check_given(draft, Draft, "a Draft")
    found.sort(key=lambda draft: draft.title_number)
    if not 2 <= len(found) <= MAX_PARTS:
        raise InvalidError(
            f"a registration has 2 to {MAX_PARTS:,} parts, not {len(found):,}",
            hint="append a single version with its reference: 'ledger append --reference'",
        )
    if not reference:
        raise InvalidError("a registration needs a reference: its parts are found by it")
    for draft in found:
        if draft.reference not in {"", reference} or draft.part != (1, 1):
            raise InvalidError(
                f"the draft of {draft.title_number!a:.80} has a reference or part of its own",
                hint="leave both out: the registration gives them",
            )
    return [
        msgspec.structs.replace(draft, reference=reference, part=(i, len(found)))
        for i, draft in enumerate(found, 1)
    ]


def _check_free(history: History, drafts: list[Draft], reference: str) -> None:
    """Refuse a reference that another registration has: its parts would be taken for these."""
    planned = {draft.part: draft.title_number for draft in drafts}
    for entry in find_registration(history, reference).parts:
        if planned.get(entry.part) != entry.title_number:
            raise ReferenceConflict(
                f"the reference {reference!a:.80} is taken: {entry.title_number} version"
                f" {entry.version} is part {spell_parts([entry.part])}, and no part of this is",
                hint="use a new reference for a new registration; 'ledger registration' shows what"
                " this one changed",
                address=entry.address,
            )


def _prepare_all(
    history: History,
    pen: Pen,
    parts: list[_Part],
    parents: Mapping[str, str | Anything | None],
    guards: Guards,
) -> None:
    """Read the heads, see which parts stand already, and seal the others."""
    titles = [list(group) for _, group in groupby(parts, lambda part: part.draft.title_number)]

    def work(groups: list[list[_Part]]) -> list[_Part]:
        for group in groups:
            _prepare(history, pen, group, parents, guards)
        return []

    deque(in_chunks(titles, work, max(1, history.store.concurrency), chunk=1), maxlen=0)


def _prepare(
    history: History,
    pen: Pen,
    group: list[_Part],
    parents: Mapping[str, str | Anything | None],
    guards: Guards,
) -> None:
    """Prepare the parts of one title, each on top of the one before it."""
    title_number = group[0].draft.title_number
    tip = Tip(history, title_number)
    parent = parents.get(title_number, ANY)
    above = False
    for part in group:
        part.parent = parent
        try:
            head = tip.head()
            part.done = prepare(history, pen, part.draft, part.parent, guards, tip)
            _check_begun(part, head)
        except LedgerError as error:
            part.error = error
            return
        entry = part.done.entry
        if part.done.repeated:
            part.stands = True
        else:
            part.is_first, above = not above, True
            part.expected = head.version if head else None
            tip.grow(entry, Blob(entry.data, ""))  # as if it were the head by now
        if parent is not ANY:
            parent = entry.address


def _check_begun(part: _Part, head: Head | None) -> None:
    """Refuse to close a title that is not there: its number is mistyped, and another stays open."""
    draft = part.draft
    if head or part.parent is None or draft.status != CLOSED or draft.kind == "migration":
        return
    raise InvalidError(
        f"cannot close {draft.title_number}: there is no such title",
        hint="if it is to begin as a closed one, say so: its parent is null",
    )


def _check_fits(parts: list[_Part]) -> None:
    """Raise the first error, if there is one: nothing was written by this call."""
    failed = next((part for part in parts if part.error), None)
    if failed is None or failed.error is None:
        return
    if isinstance(failed.error, ReferenceConflict) or not any(part.stands for part in parts):
        raise failed.error
    raise _incomplete(parts, failed, failed.error) from failed.error


def _write(history: History, pen: Pen, parts: list[_Part], guards: Guards) -> bool:
    """Store the parts and move the heads. False: another writer was first, and nothing moved."""
    first = [part.done.entry for part in parts if part.is_first and part.done]
    for part in parts:
        try:
            if part.stands and part.done:
                make_durable(history, part.done.entry)
                continue
            if first:
                store_entries(history, first, f"{first[0].title_number}, nor to the other titles")
                first = []
            if not _move(history, pen, part, guards, again=any(each.stands for each in parts)):
                return False
        except OutcomeUnknown as error:
            raise _unclear(parts, part, error) from error
        except LedgerError as error:
            if not any(each.stands for each in parts):
                raise
            raise _incomplete(parts, part, error) from error
        part.stands = True
    return True


def _move(history: History, pen: Pen, part: _Part, guards: Guards, *, again: bool) -> bool:
    """Move a title's head to a part. ``again``: seal it once more if the head was moved."""
    assert part.done is not None  # noqa: S101 -- it was prepared
    entry = part.done.entry
    if part.is_first:
        now = swap_head(history, entry, part.expected)
        if now is not None:
            if now.data == entry.data:
                history.remember(entry)
            return True
        if not again:
            return False
    part.done = append(history, pen, part.draft, parent=part.parent, guards=guards)
    return True


def _standing(parts: list[_Part]) -> dict[int, str]:
    return {p.draft.part[0]: p.done.entry.address for p in parts if p.stands and p.done}


def _words(parts: list[_Part]) -> str:
    """Name the parts that stand."""
    return ", ".join(
        f"{part.draft.part[0]} ({part.draft.title_number} version {part.done.entry.version})"
        for part in parts
        if part.stands and part.done
    )


def _incomplete(parts: list[_Part], failed: _Part, why: LedgerError) -> RegistrationIncomplete:
    draft = failed.draft
    if isinstance(why.__cause__, OutcomeUnknown):
        why = why.__cause__  # that nothing was appended to the title is not so of an earlier part
    return RegistrationIncomplete(
        f"the registration {draft.reference!a:.80} is incomplete: of {draft.part[1]} parts,"
        f" {_words(parts)} stand; part {draft.part[0]} ({draft.title_number}) does not: {why}",
        hint=TO_FINISH,
        reference=draft.reference,
        standing=_standing(parts),
        missing=tuple(part.draft.part[0] for part in parts if not part.stands),
    )


def _unclear(parts: list[_Part], failed: _Part, why: OutcomeUnknown) -> OutcomeUnknown:
    stands = _words(parts)
    draft = failed.draft
    return type(why)(
        f"the registration {draft.reference!a:.80}, part {draft.part[0]} of {draft.part[1]}: {why}"
        + (f"; what stands: {stands}" if stands else ""),
        hint=AGAIN,
        address=why.address,
    )


def give_up(
    history: History,
    pen: Pen,
    reference: str,
    *,
    message: str,
    author: str,
    guards: Guards,
) -> list[Appended]:
    """Fill the missing parts of a registration with rectifications; see ``Ledger.give_up``."""
    found = find_registration(history, reference)
    if not found.parts:
        raise NotFoundError(
            f"no part of a registration {reference!a:.80} stands: there is nothing to give up",
            hint="a reference is compared as it is written",
        )
    _check_logged(history, pen, found.titles)
    return [
        _restate(
            history, pen, _nearest(found.parts, part), part, reference, message, author, guards
        )
        for part in found.missing
    ]


def _check_logged(history: History, pen: Pen, titles: Iterable[str]) -> None:
    """Refuse if a title lacks what the log has of it: a part that is missing may be there."""
    for title_number in titles:
        logged, head = pen.logged(title_number), history.find_head(title_number)
        if logged and (head is None or head.entry.version < logged.version):
            raise IntegrityError(
                f"{title_number} is behind the log, which has its version {logged.version}: nobody"
                " can tell which parts are missing",
                hint=f"see what is wrong: ledger verify {title_number}",
                reason="not-as-logged",
                object_key=head_key(title_number),
            )


def _nearest(parts: Iterable[Entry], part: tuple[int, int]) -> str:
    """The title of the standing part before a missing one, or else of the one after it."""
    i, n = part
    there = [entry for entry in parts if entry.part[1] == n]
    before = [entry for entry in there if entry.part[0] < i]
    return (before[-1] if before else there[0]).title_number


def _restate(  # noqa: PLR0917 -- one caller, above
    history: History,
    pen: Pen,
    title_number: str,
    part: tuple[int, int],
    reference: str,
    message: str,
    author: str,
    guards: Guards,
) -> Appended:
    """Append what the title says already, for the same days of law, as a part."""
    for _ in range(RACES):
        head = history.head(title_number)
        draft = Draft(
            title_number,
            head.document,
            message,
            # The very days that the head covers, so that law does not change.
            head.effective_at or head.recorded_at,
            reference,
            effective_until=head.effective_until,
            author=author,
            kind="rectification",
            part=part,
        )
        try:
            return append(
                history,
                pen,
                draft,
                parent=head.address,
                guards=replace(guards, supersede_later=True, skip_unchanged=False),
            )
        except HeadMoved:
            continue  # the document is to be that of the newest version
    raise HeadMoved(
        f"cannot append to {title_number}: lost the race {RACES} times",
        hint=f"many writers append to this title; {AGAIN}",
    )
