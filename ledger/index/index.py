"""Keep an index of a ledger, and ask it.

What goes in is verified as ``Ledger.verify`` does. Which titles to look at is taken from the log,
from the leaf that the index has reached, and from the markers of what waits to be logged. Without a
log, all heads are compared. A forged hint costs a read, and no more; one that is withheld leaves
a title as it was, which ``audit`` finds.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Self

from ledger.bundles.log_part import published_log
from ledger.errors import ConflictError, IntegrityError, NotProven, StoreUnavailable
from ledger.format import layout, times
from ledger.format.entry import address_of
from ledger.format.report import Finding, Report, Tally, finding_of
from ledger.index.file import IndexFile, coverage, newest
from ledger.index.search import Coverage, Found, Listed, newest_first, search
from ledger.local.files import lock_file
from ledger.local.parallel import cores
from ledger.packs.reader import findings_once
from ledger.sealing.pending import pending_titles
from ledger.sealing.reader import LogReader, judge_remembered, read_leaf
from ledger.titles.trust_files import accepted_by
from ledger.tlog.objects import Leaf, OtherLeaf
from ledger.verification.many import verify_titles
from ledger.verification.trust import trust_findings
from ledger.verification.walk import Subject, Verified

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from ledger.format.times import Question
    from ledger.ledger import Ledger
    from ledger.tlog.checkpoint import SignedCheckpoint

TITLES = 500
"""Titles in a transaction, at most."""

BYTES = 8 << 20
"""Bytes of entries in a transaction, about."""


class Index:
    """A searchable copy of a ledger's verified entries, in a SQLite file.

    It is a cache: delete the file, and ``update`` makes it again. Whoever can write to it can make
    it say anything, so keep it where only you can. Safe to use from many threads; updating stops
    nobody from searching.
    """

    def __init__(self, ledger: Ledger, path: str | os.PathLike[str]) -> None:
        """Name the file, which ``update`` makes; raises InvalidError for one inside the store."""
        ledger.store.check_outside(path)
        self.path: Path = Path(path)
        self._ledger = ledger
        self._file = IndexFile(path, ledger.origin)
        self._updating = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next update opens it again."""
        with self._updating:
            self._file.close()

    # -- Update --------------------------------------------------------------------------------

    def update(
        self,
        titles: Iterable[str] | None = None,
        *,
        each: Callable[[Report], None] | None = None,
        jobs: int | None = None,
        executor: Executor | None = None,
    ) -> Report:
        """Bring it up to date, and return what verifying the new entries found.

        Make the file if it is missing. ``titles``: look only at these, which are known to have
        changed. A title that does not verify is left out, and looked at again the next time. If the
        update is cut off, the next one goes on from there. ``jobs`` and ``executor`` are those of
        ``Ledger.verification``.

        Raises InvalidError for a file that is not an index of this ledger, ConflictError if another
        process updates it, OriginNotPinned if there is a log and the keyring has no key of it,
        StoreUnavailable.
        """
        with self._updating, self._locked():
            self._file.open()
            tally = Tally(self._ledger.origin)
            if _lost(self._file.keys(), self._keys()):
                self._file.reset({})
            self._file.rely_on(self._keys())
            if titles is None:
                self._find_new(tally)
            else:
                self._file.expect(map(layout.check_title_number, titles))
            # If most is there already, whole packs hold more than what is left to read.
            packs = titles is None and self._file.is_empty()
            self._take_waiting(tally, each, jobs or cores(), executor, packs=packs)
            # If the keyring has changed meanwhile, the next update sees it.
            self._file.rely_on(self._keys() | self._file.keys())
            self._file.finish(times.format_time(self._ledger.clock()))
            if not self._file.scrub():
                tally.note(f"that {self.path} keeps no erased text: another program is reading it")
            return tally.report()

    def _locked(self) -> IO[bytes]:
        path = self.path.with_name(f".{self.path.name}.lock")
        try:
            return lock_file(path, wait=False)
        except BlockingIOError as error:
            raise ConflictError(
                f"another process is updating {self.path}", hint="wait until it has ended"
            ) from error
        except OSError as error:
            raise StoreUnavailable(f"cannot lock {path}: {error.strerror}") from error

    def _keys(self) -> dict[str, int | None]:
        """The registrars' keys that count now, and where each ends."""
        keyring, origin = self._ledger.keyring, self._ledger.origin
        accepted = accepted_by(keyring)
        return {
            trusted.key.key_id: accepted.end_of(trusted.key.key_id) if accepted else None
            for trusted in keyring
            if (trusted.origin, trusted.role) == (origin, "registrar")
        }

    def _find_new(self, tally: Tally) -> None:
        """Note the titles that may have changed."""
        ledger = self._ledger
        self._add(tally, trust_findings(ledger.keyring, ledger.clock()))
        published, note = published_log(ledger.history), self._file.checkpoint()
        if published is None and note is None:
            self._file.expect_again(every=True)
            self._file.expect(ledger.titles())
            return
        self._file.expect_again(every=False)
        try:
            self._follow(published, note, tally)
        except IntegrityError as error:
            self._add(tally, (finding_of(error, layout.LOG),))
        # After the leaves: what was sealed in between has a later leaf.
        self._file.expect(title_number for title_number, _ in pending_titles(ledger.store))

    def _add(self, tally: Tally, findings: tuple[Finding, ...]) -> None:
        tally.add(Report(self._ledger.origin, findings=findings))

    def _follow(self, published: SignedCheckpoint | None, note: str | None, tally: Tally) -> None:
        """Note the titles that the log names beyond the leaf that was reached."""
        log = LogReader(self._ledger.history)
        start, root = 0, None
        if note is not None:
            findings = judge_remembered(log, note)
            self._add(tally, findings)
            if any(finding.severity != "warning" for finding in findings):
                return  # a log that was set back or forked is not followed
            if not findings:
                old = log.open(note.encode(), any_algorithm=True).checkpoint
                start, root = old.size, old.root
        if published is not None and (note is None or published.checkpoint.size > start):
            leaves = log.proved_leaves(published.checkpoint, start, root)
            size = published.checkpoint.size
            self._file.expect(_titles_of(leaves, start), size, published.note.decode())

    def _take_waiting(
        self,
        tally: Tally,
        each: Callable[[Report], None] | None,
        jobs: int,
        executor: Executor | None,
        *,
        packs: bool,
    ) -> None:
        batch: list[Verified] = []
        weight = 0
        wrong: list[Finding] = []
        for verified in verify_titles(
            self._ledger.history,
            self._subjects(),
            self._ledger.clock(),
            jobs=jobs,
            executor=executor,
            packs=wrong if packs else None,
        ):
            tally.add(verified.report)
            batch.append(verified)
            weight += sum(len(entry.data) for entry, _ in verified.entries)
            if len(batch) >= TITLES or weight >= BYTES:
                self._file.take(batch)
                batch, weight = [], 0
            if each is not None:
                each(verified.report)
        self._file.take(batch)
        self._add(tally, findings_once(wrong))

    def _subjects(self) -> Iterator[Subject]:
        for title_number in self._file.waiting():
            pin = self._file.pin(title_number)
            known = self._file.known(title_number) if pin is None else None
            # Listed, unless it was there before: then its absence is a finding.
            listed = known is None and pin is None
            yield Subject(title_number, known, listed, pin, entries=True)

    # -- Ask -----------------------------------------------------------------------------------

    def coverage(self) -> Coverage:
        """Say what it is of; raises NotFoundError if there is no file, or what ``find`` does."""
        with self._reading() as database:
            return coverage(database)

    def counts(self) -> tuple[int, int]:
        """Return of how many titles it has how many entries; raises what ``find`` does."""
        query = "SELECT count(DISTINCT title_number), count(*) FROM entries"
        with self._reading() as database:
            titles, entries = database.execute(query).fetchone()
        return titles, entries

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._file.reading() as database:
            if _lost(self._file.keys(database), self._keys()):
                raise NotProven(
                    f"the index {self.path} relied on a key that counts no more",
                    hint="'ledger index' makes it anew",
                )
            yield database

    def find(
        self,
        text: str = "",
        *,
        reference: str | None = None,
        path: str = "",
        effective: Question | None = None,
        recorded: Question | None = None,
        every_version: bool = False,
        after: str = "",
        limit: int | None = None,
    ) -> Iterator[Found]:
        """Yield the versions of titles that answer, in the order of their title numbers.

        ``text``: all of its words are in the document, the title number or the reference, in any
        order (a word may end with ``*``); or the title number begins with it. ``reference``: the
        version has it. ``path``: ``/proprietors/*/name=Ada``, a JSON pointer in which ``*`` is any
        member or item, and the whole value there.

        Of each title, the version is looked at that ``Ledger.at`` answers with: the one in law on a
        day, as known on another; without ``effective``, the newest; or with ``every_version`` all
        that stand. ``after``: only titles that sort after this one.

        Raises InvalidError for what can't be asked or is no index of this ledger, NotFoundError if
        there is no file, StoreUnavailable if it can't be read.
        """
        now = self._ledger.clock()
        day, known = (now if asked == "today" else asked for asked in (effective, recorded))
        with self._reading() as database:
            yield from search(
                database,
                text,
                reference=reference,
                path=path,
                effective=day,
                recorded=known,
                every_version=every_version,
                after=after,
                limit=limit,
            )

    def newest_first(
        self, *, since: str = "", until: str = "", reference: str | None = None
    ) -> Iterator[Listed]:
        """Yield where each version of every title is, those recorded last first.

        Void ones are there as well. ``since`` and ``until`` are dates, or times as entries have
        them. Raises what ``find`` does.
        """
        with self._reading() as database:
            yield from newest_first(database, since=since, until=until, reference=reference)

    def changed(self, titles: Iterable[str]) -> set[str]:
        """Return which of these titles have another head in the ledger now: one read each."""
        keys = {layout.head_key(title_number): title_number for title_number in titles}
        with self._reading() as database:
            known = {key: newest(database, title_number) for key, title_number in keys.items()}
        return {
            keys[key]
            for key, blob in self._ledger.store.get_many(list(keys))
            for head in [known[key]]
            if head is None or blob is None or address_of(blob.data) != head.address
        }


def _lost(before: Mapping[str, int | None], now: Mapping[str, int | None]) -> bool:
    """Tell whether a key counts no more, or up to another place in the log."""
    return any(key not in now or now[key] != end for key, end in before.items())


def _titles_of(leaves: Iterable[bytes], start: int) -> Iterator[str]:
    for leaf in map(read_leaf, count(start), leaves):
        if isinstance(leaf, Leaf):
            yield leaf.title_number
        elif isinstance(leaf, OtherLeaf) and not leaf.may_be_passed_over:
            raise leaf.unsupported()
