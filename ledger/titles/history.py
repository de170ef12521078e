"""Reading one title: every entry that is handed out has been checked.

``History`` has a store, and what counts in it: the ledger's origin and a keyring. ``Entry.open``
checks the stored bytes, ``check_link`` an entry and its parent. Both raise what does not hold.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, dropwhile, islice
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import msgspec

from ledger.errors import (
    Erased,
    IntegrityError,
    InvalidError,
    NotFoundError,
    NotInLaw,
    NotStanding,
    TrustError,
)
from ledger.format import layout
from ledger.format.chain import check_link
from ledger.format.entry import Entry, address_of, short_form
from ledger.format.law import covers, find_in_law, in_law, is_known
from ledger.format.revision import Revision, parse_revision
from ledger.format.standing import FindPositions, Judge, Judged, Positions, Stand, Standing
from ledger.format.times import Question, as_bound
from ledger.local.parallel import in_chunks
from ledger.titles.ahead import Ahead
from ledger.titles.identity import check_there
from ledger.titles.trust_files import accepted_by, accepted_keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from ledger.format.keyring import Keyring
    from ledger.stores.base import Blob, Store

HEADS = 256
"""How many checked heads are remembered."""

LARGE = 1 << 16
"""Bytes: a larger head is not remembered."""

MAX_NAMES = 1000
"""With more entries of one reference than that, a walk is quicker than their names."""


class Answer(NamedTuple):
    """The entry that answers a question about time, and what was passed over to find it."""

    entry: Entry
    passed_over: tuple[Judged, ...] = ()
    """The newer entries that would be the answer, but do not stand; the newest first."""
    is_future: bool = False
    """Whether the question is about the future: what is appended by then may change the answer."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """A title's newest entry, and the version of ``head.json`` to replace it by."""

    entry: Entry
    version: str


Read: TypeAlias = "Callable[[str, int], bytes | None]"
"""Gives the bytes of an entry, by its address and version, if they were read already."""


class PositionsIn(Protocol):
    """Finds out what leaves of a store's log name a title; see ``FindPositions``."""

    def __call__(self, history: History, title_number: str, end: int, *, search: bool) -> Positions:
        """Tell what is known of the leaves below ``end``."""
        ...


def nothing_known(
    history: History,  # noqa: ARG001 -- a PositionsIn
    title_number: str,  # noqa: ARG001
    end: int,  # noqa: ARG001
    *,
    search: bool,  # noqa: ARG001
) -> Positions:
    """Know of no leaf, as where there is no log."""
    return Positions()


class History:
    """The checked reading of titles: head, walk, one entry, a revision, a moment."""

    def __init__(
        self,
        store: Store,
        origin: str,
        keyring: Keyring,
        positions: PositionsIn = nothing_known,
    ) -> None:
        """``positions`` finds out where the log has a title's entries, if a key has an end."""
        self.store = store
        self.origin = origin
        self.keyring: Keyring = keyring
        self._positions = positions
        self._heads: dict[str, Entry] = {}

    def __reduce__(self) -> tuple[type[History], tuple[object, ...]]:
        # Another process reads for itself, and remembers nothing.
        return History, (self.store, self.origin, self.keyring, self._positions)

    def use_keyring(self, keyring: Keyring) -> None:
        """Check by this keyring from now on. What the old one has let pass is forgotten."""
        self.keyring = keyring
        self._heads = {}

    def follow_trust(self) -> None:
        """Take up new trust files, if the reader pinned any; raises what ``read_trust`` does."""
        own = self.keyring.own
        if own.root(self.origin) is not None:
            known = accepted_by(self.keyring, self.origin)
            keyring = accepted_keyring(self.store, self.origin, own, known, anew=False)
            if keyring != self.keyring:
                self.use_keyring(keyring)

    def open(
        self, data: bytes, title_number: str, object_key: str, address: str | None = None
    ) -> Entry:
        """Check stored bytes as an entry of this ledger."""
        return Entry.open(
            data,
            keyring=self.keyring,
            ledger=self.origin,
            title_number=title_number,
            address=address,
            object_key=object_key,
        )

    def find_head(self, title_number: str, blob: Blob | None = None) -> Head | None:
        """The head, or None if the title has none. ``blob``: what was read of it already.

        No entry is above it, so nothing erases its text: it is always the long form.
        """
        key = layout.head_key(layout.check_title_number(title_number))
        blob = blob or self.store.get(key)
        if blob is None:
            return None
        checked = self._heads.get(title_number)
        # The same bytes again, by the same keys for the same title: nothing else could come of it.
        if checked is None or checked.data != blob.data:
            checked = self.open(blob.data, title_number, key)
            if checked.is_withheld:
                raise missing_text(checked, key)
            self.remember(checked)
        return Head(checked, blob.version)

    def check_there(self) -> None:
        """Check that the ledger is still in its store; raises StoreUnavailable."""
        check_there(self.store, self.origin)

    def remember(self, head: Entry) -> None:
        """Keep a head that was checked, or made, so that its bytes need no second check."""
        heads = self._heads  # another thread may just be giving up its key, and these with it
        if len(head.data) <= LARGE and self.keyring.key(self.origin, head.key):
            while len(heads) >= HEADS:
                with suppress(KeyError, StopIteration, RuntimeError):  # another thread was first
                    del heads[next(iter(heads))]
            heads[head.title_number] = head

    def head(self, title_number: str) -> Entry:
        """The newest entry; raises NotFoundError if there is no such title."""
        head = self.find_head(title_number)
        if head is None:
            self.check_there()
            raise NotFoundError(
                f"no such title: {title_number}",
                hint="'ledger titles' lists them; 'ledger recover' mends a head that was lost",
            )
        return head.entry

    def entry(self, title_number: str, address: str, data: bytes | None = None) -> Entry:
        """The entry of this address. Only a walk tells whether it is in the chain.

        ``data``: what was read of it already.
        """
        key = layout.entry_key(layout.check_title_number(title_number), address)
        if data is None:
            blob = self.store.get(key)
            if blob is None:
                self.check_there()
                raise NotFoundError(f"no such entry: {key}")
            data = blob.data
        return self.open(data, title_number, key, address)

    def parent(self, child: Entry, read: Read | None = None) -> Entry | None:
        """The entry before this one, or None before version 1; ``read`` may have it already."""
        if child.parent is None:
            return None
        data = read(child.parent, child.version - 1) if read else None
        try:
            parent = self.entry(child.title_number, child.parent, data)
        except NotFoundError:
            raise missing_entry(child.title_number, child.parent) from None
        check_link(child, parent)
        return parent

    def find_positions(self, title_number: str) -> FindPositions:
        """What tells where the log has the entries of a title."""

        def find(end: int, search: bool) -> Positions:
            return self._positions(self, title_number, end, search=search)

        return find

    def expect_all(self) -> None:
        """Find out where the log has all entries, at once: most titles are about to be judged."""
        if self.keyring.has_ends(self.origin):
            self._positions(self, "0", 0, search=True)

    def judge(self, title_number: str, find_positions: FindPositions | None = None) -> Judge:
        """What says how each entry of a chain stands, from its head down; see ``standing``."""
        find = find_positions or self.find_positions(title_number)
        return self.keyring.judge(self.origin, find)

    def standing(self, title_number: str, find_positions: FindPositions | None = None) -> Standing:
        """What follows a chain of the title from its head down.

        ``find_positions`` knows more than the store's log.
        """
        return Standing(self.judge(title_number, find_positions))

    def walk(self, head: Entry, read: Read | None = None) -> Iterator[Entry]:
        """The head and all before it, newest first, one read each.

        In a bucket, the entries of a long chain are read side by side; ``read`` may have some.
        A text that an entry above orders erased is left out, whether it is still there or not.
        Raises IntegrityError (``text-missing``) for a text that is gone and that no entry erases.
        """
        return (entry for entry, _ in self._walk(head, self.standing(head.title_number), read))

    def judged(
        self, head: Entry, above: Entry | None = None, many: int = 1
    ) -> Iterator[tuple[Entry, Stand]]:
        """Walk as ``walk`` does, and say how each entry stands, with an entry above the head.

        ``many``: how many will be asked for at least, so that they are read side by side at once.
        """
        standing = self.standing(head.title_number)
        if above is not None:
            standing.take(above)
        return self._walk(head, standing, many=many)

    def standing_entries(self, head: Entry, above: Entry | None = None) -> Iterator[Entry]:
        """The entries that stand, newest first.

        Raises TrustError (``position-unknown``) at one of which nobody can tell.
        """
        for entry, stand in self.judged(head, above):
            if stand.stands is None:
                raise not_standing(entry, stand)
            if stand.stands:
                yield entry

    def check_stands(self, head: Entry) -> None:
        """Check that a head stands; raises NotStanding, with the slug of the finding."""
        stand = self.judge(head.title_number)(head)
        if not stand.stands:
            raise not_standing(head, stand)

    def walk_short(self, head: Entry) -> Iterator[tuple[Entry, bytes]]:
        """Yield the chain from the head down: each entry's short form, and its object's bytes.

        The short forms are checked, and so the chain is. Whatever stands in the place of a text is
        not looked at, so a text that is missing or damaged does not end the walk.
        """
        title_number = head.title_number
        address: str | None = head.address
        child: Entry | None = None
        while address is not None:
            key = layout.entry_key(title_number, address)
            blob = self.store.get(key)
            if blob is None:
                raise missing_entry(title_number, address)
            check_address(key, blob.data, address)
            entry = self.open(short_form(blob.data), title_number, key, address)
            if child is not None:
                check_link(child, entry)
            yield entry, blob.data
            child, address = entry, entry.parent

    def _walk(
        self, start: Entry, standing: Standing, read: Read | None = None, many: int = 1
    ) -> Iterator[tuple[Entry, Stand]]:
        if read is None and self.store.concurrency > 1 and self.store.is_listable:
            read = Ahead(self.store, start, many).take
        entry: Entry | None = start
        while entry is not None:
            if entry.version in standing.erased:
                entry = entry.without_text()
            elif entry.is_withheld:
                if entry.version in standing.perhaps_erased:
                    raise perhaps_erased(entry)
                raise missing_text(entry)
            yield entry, standing.take(entry)
            entry = self.parent(entry, read)

    def orders(self, head: Entry, lowest: int) -> dict[int, Entry]:
        """Map the erased versions, from ``lowest`` on, to the newest entry that erases each."""
        standing = self.standing(head.title_number)
        for entry, _ in self._walk(head, standing):
            if entry.version <= lowest:
                break
        return standing.erased

    def read_text(self, entry: Entry) -> Entry:
        """Return an entry that a walk gave, if it has its text; raises Erased, naming the order."""
        if not entry.is_withheld:
            return entry
        by = self.orders(self.head(entry.title_number), entry.version).get(entry.version)
        if by is None:
            raise missing_text(entry)
        raise Erased(
            f"the text of {entry.title_number} version {entry.version} was erased by version"
            f" {by.version} (reference {by.reference})",
            hint=f"'ledger log {entry.title_number}' shows what is left",
            version=by.version,
            reference=by.reference,
        )

    def find_reference(self, head: Entry, reference: str, part: tuple[int, int]) -> Entry | None:
        """The newest entry that stands with this reference and part; None: there is none.

        A listing names the candidates: one request, if there are none. A name that is not in the
        chain means nothing.
        """
        if (head.reference, head.part) == (reference, part) and self._stands(head):
            return head
        prefix = f"{layout.reference_prefix(reference)}{head.title_number}."
        listed = list(islice(self.store.list(prefix), MAX_NAMES + 1))
        # Names of titles that begin with this number and a dot are among them.
        everything = len(listed) > MAX_NAMES
        parsed = map(layout.parse_reference_key, listed)
        names = [name for name in parsed if name and name.title_number == head.title_number]
        versions = {name.version for name in names if name.version <= head.version}
        if not versions and not everything:
            return None
        lowest = 1 if everything else min(versions)
        for entry in self.standing_entries(head):
            if entry.version < lowest:
                break
            if (everything or entry.version in versions) and (
                (entry.reference, entry.part) == (reference, part)
            ):
                return entry
        return None

    def _stands(self, head: Entry) -> bool:
        return self.judge(head.title_number)(head).stands is True

    def with_status(self, titles: Iterable[str], status: str) -> Iterator[str]:
        """Those of the titles whose newest entry that stands has this status."""

        def choose(taken: list[str]) -> list[str | None]:
            return [title if self._status(title) == status else None for title in taken]

        found = in_chunks(titles, choose, max(1, self.store.concurrency), chunk=1)
        return (title for title in found if title is not None)

    def _status(self, title_number: str) -> str | None:
        head = self.find_head(title_number)
        newest = next(self.standing_entries(head.entry), None) if head else None
        return newest.status if newest else None

    def descends(self, head: Entry, address: str, version: int) -> bool:
        """Whether the head's chain contains this address as this version, with its text or not."""
        entry: Entry | None = head
        while entry is not None and entry.version > version:
            entry = self.parent(entry)
        return entry is not None and entry.address == address

    def markers(self, title_number: str) -> Iterator[tuple[int, str]]:
        """The version and address of every move of the title's head that was ever prepared.

        That it happened is not said: an append may have crashed, or lost a race. A store that
        can't be listed shows none.
        """
        if not self.store.is_listable:
            return
        for key in self.store.list(layout.pending_prefix(title_number)):
            parsed = layout.parse_pending_key(key)
            if parsed:
                yield parsed[1:]

    def answer(
        self,
        title_number: str,
        *,
        effective: Question | None = None,
        recorded: Question | None = None,
        head: Entry | None = None,
    ) -> Answer:
        """The entry in law on a day, as known on another; without ``effective``, the newest known.

        ``docs/spec.md``, "Time in law". It names what was passed over. The entry's text may be
        erased. Raises NotInLaw.
        """
        day = as_bound(effective) if effective is not None else None
        known = as_bound(recorded) if recorded is not None else None
        passed_over: list[Judged] = []

        def standing() -> Iterator[Entry]:
            for entry, stand in self.judged(head or self.head(title_number)):
                if known is not None and not is_known(entry, known):
                    continue
                if stand.stands:
                    yield entry
                elif day is None or covers(entry, day):
                    if stand.stands is None:
                        raise not_standing(entry, stand)
                    passed_over.append((entry, stand))

        try:
            found = in_law(standing(), day) if day is not None else next(standing(), None)
        except NotInLaw as error:
            raise NotInLaw(f"{error}{_passed_over(passed_over)}") from None
        if found is None:
            raise NotFoundError(
                f"no entry of {title_number} was recorded by {recorded}{_passed_over(passed_over)}"
            )
        return Answer(found, tuple(passed_over))

    def in_force(self, head: Entry, now: datetime) -> Entry | None:
        """The entry in law today; None: there is none. Its text may be erased.

        ``now`` has the offset of the place where "today" is told. Raises NotStanding if nobody can
        tell, as the place of an entry in the log is not shown.
        """
        return find_in_law(self.standing_entries(head), as_bound(now))

    def resolve(
        self, title_number: str, revision: str | Entry | Revision, head: Entry | None = None
    ) -> Entry:
        """The entry that a revision names (see ``format/revision.py``), seen from the head.

        Reads every entry from the head down to it: one above may erase its text. A prefix also
        lists the title.
        """
        return next(self.log(title_number, revision, head))

    def log(
        self,
        title_number: str,
        revision: str | Entry | Revision,
        head: Entry | None = None,
        many: int = 1,
    ) -> Iterator[Entry]:
        """The entry that a revision names and all before it, newest first.

        ``many``: how many will be asked for at least, so that they are read side by side at once.
        """
        return (entry for entry, _ in self.judged_log(title_number, revision, head, many))

    def judged_log(
        self,
        title_number: str,
        revision: str | Entry | Revision,
        head: Entry | None = None,
        many: int = 1,
    ) -> Iterator[Judged]:
        """Do what ``log`` does, and say how each entry stands, seen from the head."""
        layout.check_title_number(title_number)
        if not isinstance(revision, Revision):
            revision = parse_revision(revision)
        if revision.prefix is not None:
            named = self.entry(title_number, self._complete(title_number, revision.prefix))
            entries = self._down_from(named, head, many)
        else:
            entries = self._base(title_number, revision, head, many)
        first = next(entries)
        if revision.back >= first[0].version:
            back = "" if revision.back == 1 else f"{revision.back} "
            raise NotFoundError(
                f"{title_number} has no version {back}before version {first[0].version}",
                hint=f"'ledger show {title_number} v1' shows its first",
            )
        return islice(chain([first], entries), revision.back, None)

    def _base(
        self, title_number: str, revision: Revision, head: Entry | None, many: int
    ) -> Iterator[Judged]:
        head = head or self.head(title_number)
        version = revision.version or head.version
        entries = self.judged(head, many=head.version - version + revision.back + many)
        if revision.time is not None:
            known = as_bound(revision.time)
            entries = dropwhile(lambda each: not is_known(each[0], known), entries)
            first = next(entries, None)
            if first is None:
                raise NotFoundError(f"no entry of {title_number} was recorded by {revision.time}")
            return chain([first], entries)
        if version > head.version:
            raise NotFoundError(
                f"{title_number} has no version {version}; its head is {head.version}"
            )
        return dropwhile(lambda each: each[0].version > version, entries)

    def _down_from(self, start: Entry, head: Entry | None, many: int) -> Iterator[Judged]:
        """Walk from an entry, of the chain or not, with what the chain erases left out."""
        head = head or self.head(start.title_number)
        walked = self.judged(head, many=head.version - start.version + many)
        entries = dropwhile(lambda each: each[0].version > start.version, walked)
        first = next(entries, None)
        if first is not None and first[0].address == start.address:
            return chain([first], entries)
        standing = self.standing(start.title_number)
        for _ in self._walk(head, standing):
            pass
        # It lost a race, or belongs to a head that was lost: what it orders means nothing.
        return self._walk(start, standing.closed())

    def find(self, prefix: str) -> Entry:
        """The entry whose address begins so, in any title; lists the whole store."""
        if parse_revision(prefix).prefix != prefix:
            raise InvalidError(f"not the beginning of an address: {prefix!a:.80}")
        return self.entry(*self._only(prefix, "", "the ledger"))

    def _complete(self, title_number: str, prefix: str) -> str:
        if layout.is_address(prefix):
            return prefix
        return self._only(prefix, f"{title_number}/{prefix}", title_number)[1]

    def _only(self, prefix: str, start: str, where: str) -> tuple[str, str]:
        """Return the title and the address of the one entry whose address begins so."""
        found = [
            parsed
            for key in self.store.list(start)
            if (parsed := layout.parse_entry_key(key)) and parsed[1].startswith(prefix)
        ]
        if not found:
            self.check_there()
            raise NotFoundError(f"no entry of {where} begins with {prefix}")
        if len(found) > 1:
            raise InvalidError(
                f"{prefix} is ambiguous in {where}: "
                + ", ".join("/".join(each) for each in found[:10]),
                hint="write more of its digits",
            )
        return found[0]


class Tip:
    """The head of one title, kept from one append to the next so that it need not be read again.

    Of a title that it saw begin, it knows all references as well. If somebody else has appended in
    between, the swap of the head fails. Throw it away after any error.
    """

    def __init__(self, history: History, title_number: str) -> None:
        self._history = history
        self._title_number = title_number
        self.forget()

    def forget(self) -> None:
        """Read the head anew: somebody else moved it."""
        self._head: Head | None = None
        self._is_read = False
        self._references: set[tuple[str, tuple[int, int]]] | None = None

    def head(self) -> Head | None:
        """The head, or None if the title has none."""
        if not self._is_read:
            self._head = self._history.find_head(self._title_number)
            self._is_read = True
            self._references = set() if self._head is None else None
        return self._head

    def lacks(self, reference: str, part: tuple[int, int]) -> bool:
        """Whether it is known that no entry below the head has them, so that none need be found."""
        return self._references is not None and (reference, part) not in self._references

    def grow(self, entry: Entry, head: Blob) -> None:
        """Put the entry on top; ``head`` is what the store has for a head since it moved."""
        if head.data != entry.data:  # others have gone on
            self.forget()
            return
        self._head = Head(entry, head.version)
        if self._references is not None:
            self._references.add((entry.reference, entry.part))
            if len(self._references) > MAX_NAMES:
                self._references = None


def not_standing(entry: Entry, stand: Stand) -> TrustError:
    """The error of an entry that does not stand, or of which nobody can tell."""
    key = layout.entry_key(entry.title_number, entry.address)
    finding = stand.finding(entry, key)
    assert finding is not None  # noqa: S101 -- who asks has seen that it does not stand
    hint = (
        f"'ledger settle {entry.key[:16]}' lists what no longer stands because of the key"
        if stand.stands is False
        else "only the log can show it: 'ledger audit' reads all of it"
    )
    return NotStanding(finding.message, hint=hint, reason=finding.slug, object_key=key)


def _passed_over(judged: list[Judged]) -> str:
    """Name the entries that do not stand, at the end of a message."""
    named = ", ".join(f"version {entry.version} ({stand.words})" for entry, stand in judged)
    return f"; passed over: {named}" if named else ""


def check_address(key: str, data: bytes, address: str) -> None:
    """Check that an object's bytes have the address that its key says; raises IntegrityError."""
    if address_of(data) != address:
        raise IntegrityError(
            f"{key}: its bytes have the address {address_of(data)}",
            reason="address-mismatch",
            object_key=key,
        )


def perhaps_erased(entry: Entry) -> TrustError:
    """The error of a text that is gone, if nobody can tell whether an entry above may erase it."""
    key = layout.entry_key(entry.title_number, entry.address)
    return TrustError(
        f"{key}: the text of version {entry.version} is gone, and nobody can tell whether the entry"
        " above that orders it erased may do so: its place in the log is not shown",
        hint="only the log can show it: 'ledger audit' reads all of it",
        reason="position-unknown",
        object_key=key,
    )


def missing_text(entry: Entry, key: str = "") -> IntegrityError:
    """The error of a text that is gone, and that no entry erases."""
    key = key or layout.entry_key(entry.title_number, entry.address)
    return IntegrityError(
        f"{key}: the text of version {entry.version} is gone, and no entry above erases it",
        hint="if a bundle has it: 'ledger import FILE'",
        reason="text-missing",
        object_key=key,
    )


def missing_entry(title_number: str, address: str) -> IntegrityError:
    """The error of an entry that a chain leads through, and that is not there."""
    key = layout.entry_key(title_number, address)
    return IntegrityError(
        f"{key}: missing, and the chain leads through it",
        hint=f"'ledger verify {title_number}' tells more; a bundle can bring it back",
        reason="entry-missing",
        object_key=key,
    )
