"""Find what a reference changed: names lead to titles, and only their chains count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.errors import InvalidError
from ledger.format import layout
from ledger.format.entry import CLOSED, Entry, check_reference
from ledger.format.standing import Judged, stand_json
from ledger.local.parallel import in_chunks
from ledger.titles.history import History, not_standing

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TITLES = 10_000
"""Titles that are looked at for one reference. A registration has 1,000 parts at most."""

TRIES = 100
"""Names for each of them, on average: each try that lost a race or was cut off has left one."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a reference changed: the entries that stand and have it, of every title.

    Its parts are the entries that are one of several. An ordinary entry with the same reference is
    among the entries, and is no part.
    """

    reference: str
    entries: tuple[Entry, ...] = ()
    """In the order of their parts."""
    passed_over: tuple[Judged, ...] = ()
    """Those that do not stand, and how each stands."""
    titles: tuple[str, ...] = ()
    """The titles that the store names for this reference, also if they have no entry with it."""

    @property
    def parts(self) -> tuple[Entry, ...]:
        """The entries that are one of several parts."""
        return tuple(entry for entry in self.entries if entry.part[1] > 1)

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The parts that no entry is: (2, 3) is the second of three."""
        there = {entry.part for entry in self.parts}
        totals = sorted({n for _, n in there})
        return tuple((i, n) for n in totals for i in range(1, n + 1) if (i, n) not in there)

    @property
    def conflicts(self) -> tuple[tuple[int, int], ...]:
        """The parts that more than one entry is."""
        counts = Counter(entry.part for entry in self.parts)
        return tuple(part for part, count in counts.items() if count > 1)

    @property
    def is_complete(self) -> bool:
        """Whether each of its parts stands. What has no parts is no registration."""
        return bool(self.parts) and not self.missing

    def came_from(self, title_number: str) -> tuple[str, ...]:
        """The titles that this one came from, or took in, by this registration."""
        sources, targets = self._flow()
        return _others(sources, title_number) if title_number in targets else ()

    def went_into(self, title_number: str) -> tuple[str, ...]:
        """The titles that this one, or a part of it, went into by this registration."""
        sources, targets = self._flow()
        return _others(targets, title_number) if title_number in sources else ()

    def _flow(self) -> tuple[list[str], list[str]]:
        """From which titles it went to which: from those that close to those that begin.

        If none closes, it came from those that stay; if none begins, those that stay took it in.
        """
        titles: dict[str, str] = {}
        for entry in self.parts:
            titles[entry.title_number] = titles.get(entry.title_number) or role_of(entry)
        closing, beginning, staying = (
            [title for title, role in titles.items() if role == wanted]
            for wanted in ("closes", "begins", "")
        )
        return closing or staying, beginning or (staying if closing else [])


def _others(titles: list[str], title_number: str) -> tuple[str, ...]:
    return tuple(sorted(each for each in titles if each != title_number))


def role_of(entry: Entry) -> str:
    """Say what an entry does to its title: it ``begins`` or ``closes`` it; "": it goes on.

    What is appended to a closed title, and leaves it closed, does not close it.
    """
    if entry.version == 1:
        return "begins"
    settles = entry.kind == "rectification" or entry.erases or entry.confirms or entry.voids
    return "closes" if entry.status == CLOSED and not settles else ""


def find_registration(history: History, reference: str, most: int = MAX_TITLES) -> Registration:
    """Read what a reference changed, of ``most`` titles at most; see ``Ledger.registration``."""
    check_reference(reference)
    lowest: dict[str, list[int]] = {}
    for count, key in enumerate(history.store.list(layout.reference_prefix(reference))):
        if name := layout.parse_reference_key(key):
            lowest.setdefault(name.title_number, []).append(name.version)
        if len(lowest) > most or count > most * TRIES:
            raise InvalidError(
                f"more than {most:,} titles have the reference {reference!a:.80}, or too many names"
                " do",
                hint="'ledger log' shows each title; no registration has so many parts",
            )

    def read(titles: list[str]) -> list[tuple[list[Entry], list[Judged]]]:
        return [_find_in(history, title, reference, lowest[title]) for title in titles]

    entries: list[Entry] = []
    passed_over: list[Judged] = []
    for standing, others in in_chunks(
        sorted(lowest), read, max(1, history.store.concurrency // 2), chunk=1
    ):
        entries += standing
        passed_over += others
    entries.sort(key=lambda each: (each.part[::-1], each.title_number, each.version))
    return Registration(reference, tuple(entries), tuple(passed_over), tuple(sorted(lowest)))


def _find_in(
    history: History, title_number: str, reference: str, versions: Iterable[int]
) -> tuple[list[Entry], list[Judged]]:
    """Find the entries of one title with the reference: those that stand, and the others."""
    standing: list[Entry] = []
    others: list[Judged] = []
    head = history.find_head(title_number)
    lowest = min((v for v in versions if head is not None and v <= head.entry.version), default=0)
    if head is None or not lowest:
        return standing, others
    for entry, stand in history.judged(head.entry):
        if entry.version < lowest:
            break
        if entry.reference != reference:
            continue
        if stand.stands is None:
            raise not_standing(entry, stand)
        if stand.stands:
            standing.append(entry)
        else:
            others.append((entry, stand))
    return standing, others


def spell_parts(parts: Iterable[tuple[int, int]]) -> str:
    """Name parts in a sentence: ``2 of 3, 3 of 3``."""
    return ", ".join(f"{i} of {n}" for i, n in parts)


def registration_json(
    found: Registration, unlogged: Iterable[Entry] | None = None
) -> dict[str, Any]:
    """Return a registration as a JSON object; ``unlogged``: what the log lacks, if there is one."""
    more = {} if unlogged is None else {"unlogged": [list(entry.part) for entry in unlogged]}
    return {
        **more,
        "reference": found.reference,
        "complete": found.is_complete,
        "entries": [
            {
                "part": list(entry.part),
                "title_number": entry.title_number,
                "version": entry.version,
                "address": entry.address,
                "recorded_at": entry.recorded_at,
                "kind": entry.kind,
                "status": entry.status,
                "role": role_of(entry) or None,
            }
            for entry in found.entries
        ],
        "missing": [list(part) for part in found.missing],
        "conflicts": [list(part) for part in found.conflicts],
        "passed_over": [
            {
                "part": list(entry.part),
                "title_number": entry.title_number,
                "version": entry.version,
                "address": entry.address,
                "standing": stand_json(stand),
            }
            for entry, stand in found.passed_over
        ],
        "titles": {
            title: {"came_from": found.came_from(title), "went_into": found.went_into(title)}
            for title in dict.fromkeys(entry.title_number for entry in found.parts)
        },
    }
