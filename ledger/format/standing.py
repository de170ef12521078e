"""Whether an entry stands: what is said of it, and what has to be known to say it.

Without trust files every entry stands. With them, ``ledger.trust.standing`` judges, by the rules of
``docs/spec.md``, "When an entry counts".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from ledger.format.report import Finding, Severity

if TYPE_CHECKING:
    from ledger.format.entry import Entry


class Positions(NamedTuple):
    """What is known of the leaves of one title, all proved."""

    leaves: Mapping[str, int] = {}
    """The lowest leaf known to name each address."""
    searched: int = 0
    """All leaves below this index were looked at: none other below it names the title."""


FindPositions: TypeAlias = Callable[[int, bool], Positions]
"""Tells what leaves below an index name a title: True searches all of them, False takes what is
quick to prove."""


def find_positions(_end: int, _search: bool) -> Positions:
    """Know of no leaf."""
    return Positions()


class Stand(NamedTuple):
    """How one entry of a chain stands."""

    stands: bool | None
    """None: that is not known."""
    may_erase: bool | None
    """Whether the texts that it orders erased may be withheld; None: that is not known."""
    reason: str = ""
    """The slug of what is wrong with it, or "": ``key-ended``, ``may-not-erase``,
    ``position-unknown``, ``needs-trust``; ``named-needlessly`` for an entry that stands."""
    by: int = 0
    """The version of the entry above that confirms or voids it; 0: none that stands."""

    @property
    def is_void(self) -> bool:
        """Whether an entry that stands says that this one never was."""
        return self.stands is False and bool(self.by)

    @property
    def is_confirmed(self) -> bool:
        """Whether it stands only because an entry above that stands confirms it."""
        return self.stands is True and bool(self.by) and not self.reason

    @property
    def words(self) -> str:
        """Say how the entry stands, for a list of entries; "" for one that simply counts."""
        if self.is_void:
            return f"void, by version {self.by}"
        if self.is_confirmed:
            return f"confirmed by version {self.by}"
        if not self.reason:
            return "" if self.stands else "in no chain"
        return WORDS[self.reason].format(by=self.by)

    def finding(self, entry: Entry, object_key: str) -> Finding | None:
        """What a verification reports of the entry; None: nothing."""
        if not self.reason:
            return None
        severity, why = WHY[self.reason]
        said = why.format(version=entry.version, key=entry.key[:16], by=self.by)
        message = f"{object_key}: {said}"
        return Finding(severity, self.reason, object_key, message)


WHY: dict[str, tuple[Severity, str]] = {
    "key-ended": (
        "tampering",
        "version {version} is not in the log before its key {key}… ends, and no entry confirms it",
    ),
    "may-not-erase": (
        "tampering",
        "version {version} erases texts, its key {key}… may not, and no entry confirms it",
    ),
    "position-unknown": (
        "unchecked",
        "its key {key}… has an end, and the place of version {version} in the log is not shown",
    ),
    "needs-trust": (
        "unchecked",
        "version {version} confirms or voids other versions: only trust files say what counts",
    ),
    "named-needlessly": (
        "warning",
        "version {by} confirms or voids version {version}, which counts without it",
    ),
}

FALLEN = frozenset({"key-ended", "may-not-erase"})
"""The findings of entries that have to be settled."""

WORDS = {
    "key-ended": "does not stand: it is not in the log before its key ends",
    "may-not-erase": "does not stand: it erases texts, and its key may not",
    "position-unknown": "may not stand: its place in the log is not shown",
    "needs-trust": "confirms or voids others: only trust files say what counts",
    "named-needlessly": "counts; version {by} names it needlessly",
}

Judged: TypeAlias = "tuple[Entry, Stand]"
"""An entry, and how it stands."""

STANDS = Stand(stands=True, may_erase=True)


def stand_json(stand: Stand) -> dict[str, Any]:
    """Return how an entry stands as a JSON object."""
    return {"stands": stand.stands, "reason": stand.reason or None, "by": stand.by or None}


def stand_members(stand: Stand) -> dict[str, Any]:
    """Return the member of an entry's JSON that says how it stands; none if it simply counts."""
    return {"standing": stand_json(stand)} if stand.words else {}


class Judge(Protocol):
    """Judges the entries of one chain, which it is given from the head down."""

    def __call__(self, entry: Entry) -> Stand:
        """Say how the next entry stands."""
        ...


class Standing:
    """Follows one chain from its head down: how each entry stands, and what is ordered erased."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.erased: dict[int, Entry] = {}
        """The newest entry above that may erase a version and names it."""
        self.perhaps_erased: set[int] = set()
        """Versions that an entry above names which may or may not erase: nobody can tell."""

    def take(self, entry: Entry) -> Stand:
        """Say how the next entry stands, and note what it orders."""
        stand = self._judge(entry)
        if stand.may_erase:
            for version in entry.erases:
                self.erased.setdefault(version, entry)
        elif stand.may_erase is None:
            self.perhaps_erased.update(entry.erases)
        return stand

    def closed(self) -> Standing:
        """Return one for an entry outside the chain, whose orders mean nothing."""
        closed = Standing(lambda _: Stand(stands=False, may_erase=False))
        closed.erased = self.erased
        return closed


def judge_without_trust(entry: Entry) -> Stand:
    """Judge by a keyring alone: every entry counts and may erase."""
    return STANDS if not (entry.confirms or entry.voids) else NEEDS_TRUST


NEEDS_TRUST = Stand(stands=True, may_erase=True, reason="needs-trust")
