"""Erase the texts of versions: order it in the chain, then replace each object by its short form.

The order is an entry of the title that names the versions. What is owed follows from the chain, so
every step can be repeated, by anybody, at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import HeadMoved, InvalidError, LedgerError, OutcomeUnknown, StoreDenied
from ledger.format import layout
from ledger.format.entry import Entry, address_of
from ledger.format.given import check_versions
from ledger.format.law import restated
from ledger.stores.swap import update
from ledger.titles.append import RACES, append
from ledger.titles.draft import Appended, Draft, Guards, Pen
from ledger.titles.history import History, check_address, missing_entry, missing_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger.format.canonical import JSONValue

Edit: TypeAlias = "Callable[[dict[str, JSONValue]], dict[str, JSONValue]]"
"""Makes the document of the next version out of the newest."""


class Erasure(NamedTuple):
    """How far the texts of a title are erased that its chain orders erased."""

    order: Entry | None
    """The newest entry that orders an erasure; None: there is none."""
    erased: tuple[Entry, ...] = ()
    """The entries whose objects have no text any more, newest first."""
    waiting: tuple[int, ...] = ()
    """Versions whose texts stay until the log has the entry that orders them erased."""
    left: tuple[str, ...] = ()
    """What could not be reached, and why, in words."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left in this store."""
        return not self.waiting and not self.left


def order_erasure(
    history: History,
    pen: Pen,
    title_number: str,
    versions: Iterable[int],
    *,
    reference: str,
    message: str,
    author: str = "",
    change: Edit | None = None,
    lost: bool = False,
    clamp_time: bool = False,
) -> Appended:
    """Append the entry that orders the texts of these versions erased; see ``Ledger.erase``.

    It has the newest document, or what ``change`` makes of it, and holds in law when that does. If
    the chain has an entry with this reference that erases the same versions, nothing is written.
    """
    wanted = tuple(sorted(check_versions(versions)))
    if not wanted:
        raise InvalidError("no version to be erased")
    for _ in range(RACES):
        head = history.head(title_number)
        found = history.find_reference(head, reference, (1, 1)) if reference else None
        if found is not None and found.erases == wanted:
            return Appended(found, repeated=True)
        _check_texts(history, head, wanted, lost=lost)
        document = head.document
        at, until = restated(head)
        draft = Draft(
            title_number,
            change(document) if change else document,
            message,
            at,
            reference,
            effective_until=until,
            author=author,
            erases=wanted,
        )
        guards = Guards(clamp_time=clamp_time, supersede_later=True)
        try:
            return append(history, pen, draft, parent=head.address, guards=guards)
        except HeadMoved:
            continue  # the document is to be that of the newest version
    raise HeadMoved(
        f"cannot append to {title_number}: lost the race {RACES} times",
        hint="nothing was written: many writers append to this title, so try again",
    )


def _check_texts(history: History, head: Entry, wanted: tuple[int, ...], *, lost: bool) -> None:
    """Refuse to erase what does not verify: nobody could tell any more whose it was."""
    if not 1 <= wanted[0] <= wanted[-1] <= head.version:
        raise InvalidError(
            f"{head.title_number} has the versions 1 to {head.version}, not all of"
            f" {', '.join(map(str, wanted))}"
        )
    standing = history.standing(head.title_number)
    for entry, data in history.walk_short(head):
        if entry.version in wanted:
            key = layout.entry_key(entry.title_number, entry.address)
            stored = history.open(data, entry.title_number, key, entry.address)
            if stored.is_withheld and entry.version not in standing.erased and not lost:
                error = missing_text(entry)
                error.hint = "bring it back from a bundle; if there is no copy, --lost erases it"
                raise error
        standing.take(entry)
        if entry.version <= wanted[0]:
            return


def erase_texts(history: History, title_number: str, is_sealed: Callable[[Entry], bool]) -> Erasure:
    """Replace the objects of versions that the chain orders erased, and delete older versions.

    ``is_sealed`` says whether an order counts: if there is a log, it has to have the entry.
    """
    orders: list[Entry] = []
    due: list[Entry] = []
    waiting: list[int] = []
    left: list[str] = []
    standing = history.standing(title_number)
    for entry, data in history.walk_short(history.head(title_number)):
        naming = [order for order in orders if entry.version in order.erases]
        if any(map(is_sealed, naming)):
            due.append(entry)
            left += _strip(history, entry, data)
        elif naming and data != entry.data:
            waiting.append(entry.version)
        if standing.take(entry).may_erase and entry.erases:
            orders.append(entry)
    if due:
        left += _purge(history, title_number, due)
    return Erasure(orders[0] if orders else None, tuple(due), tuple(waiting), tuple(left))


def _strip(history: History, entry: Entry, found: bytes) -> Iterator[str]:
    """Replace an entry's object by its short form; yield why not, if that is not allowed."""
    key = layout.entry_key(entry.title_number, entry.address)

    def change(data: bytes | None) -> bytes | None:
        if data is None:
            raise missing_entry(entry.title_number, entry.address)
        check_address(key, data, entry.address)
        return None if data == entry.data else entry.data

    def unknown(why: LedgerError) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"cannot tell whether the text of {entry.title_number} version {entry.version} was"
            f" erased: {why}",
            hint=f"'ledger erase {entry.title_number} --finish' does what is left",
            address=entry.address,
        )

    try:
        if found == entry.data:
            history.store.make_durable(key)
        else:
            update(history.store, key, change, unknown=unknown)
    except StoreDenied as error:
        yield str(error)


def _purge(history: History, title_number: str, due: Iterable[Entry]) -> tuple[str, ...]:
    """Delete the older versions of entries, and of the head, that hold the texts."""
    short = {entry.address: entry.data for entry in due}

    def is_unwanted(key: str, read: Callable[[], bytes]) -> bool:
        parsed = layout.parse_entry_key(key)
        if parsed:
            return parsed[1] in short and read() != short[parsed[1]]
        return key == layout.head_key(title_number) and address_of(read()) in short

    return history.store.purge(f"{title_number}/", is_unwanted)
