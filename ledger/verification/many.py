"""Verify many titles: here, or in slices on an executor, in other processes or on other machines.

A slice is verified as all titles are here, by the same function: a worker opens the store, and
reads heads, entries and packs for itself. What it answers is believed as much as what this process
finds, if it has the form of an answer to what was asked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from ledger.format.chain import SeenPart
from ledger.format.entry import Entry
from ledger.format.layout import is_address
from ledger.format.report import Finding, Report, Severity
from ledger.local.parallel import Shared, in_chunks, refuse, twice
from ledger.packs.reader import PackCache, PackReader, listed_packs
from ledger.packs.slices import Slice, cut
from ledger.verification.prefetch import TITLES, Fetched, Wanted, fetch_each
from ledger.verification.walk import Known, Subject, Verified, verify_subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from ledger.format.layout import PackName
    from ledger.titles.history import History

SLICE = 64
"""Titles that are handed to an executor at once: their signatures take longer than the way there
and back."""

REMOTE = 256
"""The same, if reading means waiting: a slice begins and ends with little under way."""

PACKED = 1024
"""The same, if they are in packs: the first and the last are read for two slices."""

WITH_ENTRIES = 4
"""For how many titles one counts whose entries are wanted: all of a slice are in memory."""


class _Run(NamedTuple):
    """What all tasks of a verification need."""

    history: History
    now: datetime
    packs: PackCache


class Answer(NamedTuple):
    """What was found in a slice."""

    verified: list[Verified]
    findings: list[Finding]
    """What is wrong with packs."""


def verify_titles(
    history: History,
    subjects: Iterable[Subject],
    now: datetime,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    packs: list[Finding] | None = None,
) -> Iterator[Verified]:
    """Verify the titles, each as a whole, and yield the results in the same order.

    Titles are checked on ``jobs`` threads, while other threads read ahead if the store is remote.
    An ``executor`` is given slices of the titles, and does the same with each; ``jobs`` is how many
    it works on at once. ``packs``: read entries from packs too, which pays if most titles are
    verified, in order. What is wrong with packs is added to it.
    """
    wrong = [] if packs is None else packs
    names = [] if packs is None else listed_packs(history.store, wrong)
    run = _Run(history, now, PackCache())
    if executor is None:
        yield from _verify_here(run, subjects, names, wrong, jobs)
        return
    most = PACKED if names else REMOTE if history.store.concurrency > 1 else SLICE
    slices, asked = twice(cut(subjects, names, _title_of, _weigh, most))
    work = partial(_verify_slices, Shared(run))
    answers = in_chunks(slices, work, jobs, executor=executor, chunk=1)
    for answer, (items, _) in zip(answers, asked, strict=True):
        _check_answer(answer, items, history.origin)
        wrong += answer.findings
        yield from answer.verified


def _title_of(subject: Subject) -> str:
    return subject.title_number


def _weigh(subject: Subject) -> int:
    return WITH_ENTRIES if subject.entries else 1


def _verify_slices(shared: Shared[_Run], slices: list[Slice[Subject]]) -> list[Answer]:
    """Verify slices, wherever this runs."""
    answers = []
    for subjects, names in slices:
        findings: list[Finding] = []
        verified = list(_verify_here(shared.value, subjects, names, findings))
        answers.append(Answer(verified, findings))
    return answers


def _verify_here(
    run: _Run,
    subjects: Iterable[Subject],
    names: Sequence[PackName],
    wrong: list[Finding],
    jobs: int = 1,
) -> Iterator[Verified]:
    store = run.history.store
    until = subjects[-1].title_number if isinstance(subjects, list) else None
    with PackReader(store, run.history.origin, names, cache=run.packs, until=until) as reader:
        asked, subjects = twice(subjects)
        wanted = (_wanted(each, reader.entries_of(each.title_number)) for each in asked)
        fetched = (each for _, each in fetch_each(store, wanted))
        brought = zip(subjects, fetched, strict=False)
        yield from in_chunks(brought, partial(_check, run), jobs, chunk=TITLES)
        wrong += reader.findings


def _wanted(subject: Subject, packed: Mapping[str, bytes]) -> Wanted:
    version, until = subject.known or (0, None)
    return Wanted(subject.title_number, packed, until, version)


def _check(run: _Run, brought: list[tuple[Subject, Fetched]]) -> list[Verified]:
    return [verify_subject(run.history, subject, fetched, run.now) for subject, fetched in brought]


# -- What a worker answers -------------------------------------------------------------------------


def _check_answer(answer: object, subjects: list[Subject], origin: str) -> None:
    """Refuse what is no answer to these subjects; raises UnsupportedFormatError."""
    if type(answer) is not Answer or type(answer.verified) is not list:
        raise refuse(f"it is a {type(answer).__name__}")
    _check_findings(answer.findings)
    if any(finding.severity != "warning" for finding in answer.findings):
        raise refuse("it blames a pack for more than a warning")
    if len(answer.verified) != len(subjects):
        raise refuse(f"{len(answer.verified):,} results for {len(subjects):,} titles")
    for subject, verified in zip(subjects, answer.verified, strict=True):
        check_verified(verified, subject, origin)


def check_verified(verified: object, subject: Subject, origin: str) -> None:
    """Refuse what is no result for this title; raises UnsupportedFormatError."""
    title_number = subject.title_number
    if type(verified) is not Verified or verified.title_number != title_number:
        raise refuse(f"no result for {title_number} where one should be")
    report, head = verified.report, verified.head
    if type(report) is not Report or report.origin != origin:
        raise refuse(f"no report of {title_number} in {origin}")
    _check_findings(report.findings)
    if not (
        type(report.titles) is type(report.entries) is int
        and 0 <= report.titles <= 1
        and report.entries >= 0
        and all(type(note) is str for note in report.not_shown)
    ):
        raise refuse(f"a report of {title_number} that can't be one")
    if head is not None and not (
        type(head) is Known and type(head.version) is int and is_address(head.address)
    ):
        raise refuse(f"no head of {title_number}")
    if type(verified.trace) is not bytes or len(verified.trace) % 32:
        raise refuse(f"no trace of {title_number}")
    if type(verified.noted_at) is not str or not all(
        type(part) is SeenPart and part.title_number == title_number for part in verified.parts
    ):
        raise refuse(f"no parts of {title_number}")
    if verified.entries and not subject.entries:
        raise refuse(f"entries of {title_number}, which nobody asked for")
    entries: Iterable[Any] = verified.entries
    for each in entries:
        if type(each) is not tuple or len(each) != 2 or not _is_of(each[0], title_number):
            raise refuse(f"no entries of {title_number}")


def _is_of(entry: object, title_number: str) -> bool:
    return type(entry) is Entry and entry.title_number == title_number


def _check_findings(findings: Iterable[object]) -> None:
    """See that each has one of the severities: a report with any other would be true."""
    for finding in findings:
        if type(finding) is not Finding or finding.severity not in get_args(Severity):
            raise refuse("a finding that is none")
