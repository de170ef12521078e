"""A copy of a ledger in another store: made, and kept up to date, by the log.

The log leads. Its checkpoint has to continue the one that the copy has; its leaves, once they are
proved, name every entry by its address. So nothing has to be listed, all that is new is read side
by side, and what the source hides, sets back or replaces is missed. Each title is verified before
anything of it is written: its entries first, then its head, by compare-and-swap. The log's state
and its checkpoint come last, and only if every title came. So a copy that was cut off, or refused,
still has the checkpoint from before, and the next pull begins there.

A copy goes as far as the log does: whoever audits it must not find entries that wait for a seal
that happens elsewhere.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple, Self

from ledger.bundles.importing import Arrival, check_arrival, down_to, follow_files
from ledger.errors import (
    Forked,
    HeadMoved,
    IntegrityError,
    LedgerError,
    NotProven,
    OutcomeUnknown,
    StoreError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.entry import Entry, address_of
from ledger.format.report import Finding, Report, finding_of
from ledger.local.parallel import cores, in_chunks
from ledger.titles.append import Move, check_new, move_heads
from ledger.titles.history import Head, History, missing_entry
from ledger.titles.identity import create_identity
from ledger.titles.trust_files import accepted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from ledger.bundles.log_part import LogImport
    from ledger.sealing.reader import LogReader
    from ledger.stores.base import Blob
    from ledger.titles.erase import Erasure
    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint
    from ledger.verification.compare import LoggedVersions
    from ledger.verification.prefetch import Near

TITLES = 16
"""Titles in a task."""

MARKERS = 1000
"""How many markers are looked at in the end. Mostly there are none."""

JOBS = 4
"""Tasks at once, if neither store waits for a network."""

ROUNDS = 3
"""How often a pull starts again, if the source went on meanwhile and titles were refused for it."""


class Pulled(NamedTuple):
    """What a pull did."""

    moved: int
    """Titles whose heads moved."""
    unchanged: int
    """Titles that were looked at and were there already."""
    leaves: int
    """Leaves that the copy's log has more."""
    unlogged: int
    """Titles, of those looked at, with versions that the source's log does not have yet."""
    not_erased: tuple[str, ...] = ()
    """What is left of texts that chains order erased, and why, in words."""
    trust_left_out: bool = False
    """Whether trust files were left out: the keyring has no root of the ledger."""
    without_log: bool = False
    """Whether the source showed no log: then nobody can tell whether it left titles out."""


class _Todo(NamedTuple):
    """What is still to be done for a title, whose entries were verified."""

    move: Move
    logged: int | None
    """The version to which the log has the title; None: there is no log."""
    may_erase: bool


class _Result(NamedTuple):
    """What became of one title."""

    report: Report
    moved: bool = False
    unlogged: bool = False
    not_erased: tuple[str, ...] = ()
    todo: _Todo | None = None


def pull(
    history: History,
    source: History,
    now: datetime,
    *,
    finish: Callable[[str, Callable[[Entry], bool]], Erasure],
    list_titles: Callable[[], Iterable[str]],
    each: Callable[[Report], None],
) -> Pulled:
    """Bring what is new in the source; repeating it changes nothing.

    ``each`` hears of every title; ``finish`` erases texts in one, by the orders that count;
    ``list_titles`` names the titles of a source without a log.

    Raises IntegrityError (``log-set-back``, ``not-consistent``) if the source's log does not
    continue the copy's: nothing was changed then. Raises it, or NotProven, at the end, if titles
    were refused: these, and the copy's log, are as they were.
    """
    for left in reversed(range(ROUNDS)):
        with _open_log(history, source, now) as log:
            done = _Pull(history, source, now, finish, log).run(list_titles, each)
            if not done.refused:
                return done.finish()
            if not (left and log.has_grown()):
                raise done.refusal()
    raise AssertionError("the last round returns or raises")


def _open_log(history: History, source: History, now: datetime) -> _Leaves:
    """Read the trust files and the log of the source, and compare them with the copy's."""
    from ledger.bundles.log_part import LogImport, published_log  # noqa: PLC0415 -- slow to load
    from ledger.bundles.trust_part import with_trust  # noqa: PLC0415
    from ledger.sealing.disowned import disowned_ranges  # noqa: PLC0415
    from ledger.sealing.reader import LogReader, check_remembered  # noqa: PLC0415

    members, signed = with_trust(source, published_log)
    has_root = history.keyring.own.root(history.origin) is not None
    if has_root:
        files = {version: data for version, (_, data) in enumerate(members, 1)}
        follow_files(history, files, now)
        source.use_keyring(history.keyring)
    reader = LogReader(History(source.store, source.origin, history.keyring))
    kept = LogImport(history)
    kept.look()
    if signed is not None:
        signed = reader.open(signed.note)
        reader.check_pins(signed.checkpoint)
    if kept.there is not None:
        check_remembered(reader, signed, kept.there)
    # Whether a leaf counts that a thief may have made is judged by all leaves of its title.
    whole = bool(disowned_ranges(history.keyring))
    return _Leaves(reader, signed, kept, whole=whole, trust_left_out=bool(members) and not has_root)


class _Leaves:
    """The leaves of the source's log that are new here: proved, sorted by title, on the disk."""

    def __init__(
        self,
        reader: LogReader,
        signed: SignedCheckpoint | None,
        kept: LogImport,
        *,
        whole: bool,
        trust_left_out: bool,
    ) -> None:
        from ledger.verification.leaf_index import LeafIndex  # noqa: PLC0415 -- slow to load

        self.signed = signed
        self.trust_left_out = trust_left_out
        self.leaves = 0
        """How many the copy's log lacks."""
        self._reader = reader
        self._kept = kept
        self._whole = whole
        self._index = LeafIndex()
        self._spool = TemporaryFile()  # noqa: SIM115 -- closed in __exit__
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        try:
            if self.signed is not None:
                self._read(self.signed.checkpoint)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._index.close()
        self._spool.close()

    def _read(self, checkpoint: Checkpoint) -> None:
        from ledger.sealing.reader import read_leaf  # noqa: PLC0415 -- slow to load
        from ledger.verification.compare import OtherLeaves  # noqa: PLC0415
        from ledger.verification.trust import drop_disowned, judge_trust  # noqa: PLC0415

        base = None if self._whole else self._kept.base
        start, root = (base.size, base.root) if base else (0, None)
        others = OtherLeaves()
        proved = self._spooling(self._reader.proved_leaves(checkpoint, start, root), start)
        leaves = map(read_leaf, count(start), proved)
        self._index.add_leaves(others.passing(leaves, start), start)
        for finding in others.findings():
            raise UnsupportedFormatError(finding.message)
        before = max(1, others.trust[0][1].version - 1) if start and others.trust else 1
        _, found = judge_trust(self._reader.keyring, others.trust, before)
        for finding in found:
            if finding.severity == "tampering":
                raise _as_error(finding)
        for _ in drop_disowned(self._reader, self._index):
            pass  # an audit of the copy names them

    def _spooling(self, leaves: Iterable[bytes], start: int) -> Iterator[bytes]:
        """Keep the leaves that the copy lacks: the source is not asked for them again."""
        from ledger.tlog.tiles import encode_entries  # noqa: PLC0415 -- slow to load

        size = self._kept.base.size if self._kept.base else 0
        for at, leaf in enumerate(leaves, start):
            if at >= size:
                encoded = encode_entries([leaf])
                self._spool.write(encoded)
                self._digest.update(encoded)
                self.leaves += 1
            yield leaf

    def titles(self) -> Iterator[tuple[str, LoggedVersions]]:
        """Yield the titles that have such leaves, in order, with the versions that they name."""
        from ledger.verification.compare import gather  # noqa: PLC0415 -- slow to load

        for title_number, rows in self._index.titles():
            yield title_number, gather(title_number, rows)

    def has_grown(self) -> bool:
        """Whether the source has published more since."""
        newest = self._reader.checkpoint()
        return bool(self.signed and newest and newest.checkpoint.size > self.signed.checkpoint.size)

    def keep(self) -> None:
        """Write the log: the tiles, the state, and the checkpoint last."""
        if self.signed is not None:
            self._kept.bring(self.signed, self._unspooled(), self._digest.hexdigest())

    def _unspooled(self) -> Iterator[bytes]:
        self._spool.seek(0)
        while length := self._spool.read(2):
            yield self._spool.read(int.from_bytes(length, "big"))


class _Title:
    """One title, as the source has it."""

    source = "source"

    def __init__(self, title_number: str, head: bytes, source: History, copy: Head | None) -> None:
        from ledger.verification.prefetch import Near  # noqa: PLC0415 -- slow to load

        self.title_number = title_number
        self.head = head
        self.near: Near = Near({})
        self._history = source
        self._known = copy.entry.address if copy else None

    def read(self, address: str) -> bytes | None:
        """The entry of this address; None: the copy has it. Raises IntegrityError if it is gone."""
        if address == self._known:
            return None
        if address == address_of(self.head):
            return self.head
        data = self.near.get(address)
        if data is None:
            blob = self._history.store.get(layout.entry_key(self.title_number, address))
            if blob is None:
                self._history.check_there()
                raise missing_entry(self.title_number, address)
            data = blob.data
            self.near.add(address, data)
        return data

    def fetch(self, addresses: Iterable[str]) -> None:
        """Read entries side by side; the walk meets again what could not be read."""
        keys = {layout.entry_key(self.title_number, each): each for each in addresses}
        for key, blob in self._history.store.get_many(keys):
            if blob is not None:
                self.near.add(keys[key], blob.data)


class _Pull:
    """One round of a pull."""

    def __init__(
        self,
        history: History,
        source: History,
        now: datetime,
        finish: Callable[[str, Callable[[Entry], bool]], Erasure],
        log: _Leaves,
    ) -> None:
        self.refused: list[Finding] = []
        self._history = history
        self._source = source
        self._now = now
        self._finish = finish
        self._log = log
        self._done = Pulled(
            0,
            0,
            log.leaves,
            0,
            trust_left_out=log.trust_left_out,
            without_log=log.signed is None,
        )

    def run(self, list_titles: Callable[[], Iterable[str]], each: Callable[[Report], None]) -> Self:
        """Bring the titles."""
        history = self._history
        titles: Iterable[tuple[str, LoggedVersions | None]] = self._log.titles()
        if self._log.signed is None:
            titles = ((title_number, None) for title_number in list_titles())
        if history.store.get(layout.LEDGER_KEY) is None:
            create_identity(history.store, history.origin)
        accepted = accepted_by(history.keyring, history.origin)
        if accepted is not None:
            from ledger.bundles.trust_part import put_trust  # noqa: PLC0415 -- slow to load

            put_trust(history.store, accepted)
        # Within a task heads are read side by side, and so are the entries of a title.
        requests = max(history.store.concurrency, self._source.store.concurrency)
        jobs = max(JOBS, cores(), requests // 2)
        results = in_chunks(titles, self._take_all, jobs, chunk=TITLES, writes=True)
        with closing(results):  # also if ``each`` fails
            for result in results:
                self._count(result)
                each(result.report)
        return self

    def finish(self) -> Pulled:
        """Write the log, now that every title is there."""
        self._log.keep()
        self._clear_markers()
        return self._done

    def _clear_markers(self) -> None:
        """Delete the markers of what had to come before it was logged, and is logged now."""
        from ledger.sealing.reader import LogReader  # noqa: PLC0415 -- slow to load

        history = self._history
        reader = LogReader(history)
        for key in list(islice(history.store.list(layout.PENDING), MARKERS)):
            marker = layout.parse_pending_key(key)
            found = reader.record(marker[0]) if marker else None
            if marker and found and found[0].version >= marker[1]:
                history.store.delete(key)

    def refusal(self) -> LedgerError:
        """The error that says which titles were refused."""
        worst = next(
            (each for each in self.refused if each.severity == "tampering"), self.refused[0]
        )
        others = len(self.refused) - 1
        more = f" (and {others:,} more)" if others else ""
        return _as_error(
            replace(worst, message=f"{worst.message}{more}"),
            hint="these, and the log of the copy, are as they were; all others came",
        )

    def _count(self, result: _Result) -> None:
        self.refused += result.report.findings
        done = self._done
        self._done = done._replace(
            moved=done.moved + result.moved,
            unchanged=done.unchanged + (not result.moved and not result.report.findings),
            unlogged=done.unlogged + result.unlogged,
            not_erased=done.not_erased + result.not_erased,
        )

    # -- Title by title ------------------------------------------------------------------------

    def _take_all(self, taken: list[tuple[str, LoggedVersions | None]]) -> list[_Result]:
        """Bring some titles; their heads are read side by side."""
        there: dict[str, Head | None] = {}
        heads: dict[str, Blob | None] = {}
        broken: dict[str, LedgerError] = {}
        for title_number, _ in taken:
            try:
                there[title_number] = self._history.find_head(title_number)
            except StoreError:
                raise
            except LedgerError as error:
                broken[title_number] = error
        lacking = [
            layout.head_key(title_number)
            for title_number, new in taken
            if title_number in there and not _is_there(there[title_number], new)
        ]
        heads.update(self._source.store.get_many(lacking))
        results = [
            self._refuse(title_number, broken[title_number])
            if title_number in broken
            else self._take(title_number, new, there[title_number], heads)
            for title_number, new in taken
        ]
        moves = [result.todo.move for result in results if result.todo]
        moved = move_heads(self._history, moves)
        return [
            self._finish_move(result, result.todo, next(moved)) if result.todo else result
            for result in results
        ]

    def _finish_move(self, result: _Result, todo: _Todo, now: Blob | None) -> _Result:
        title_number = todo.move.entry.title_number
        if now is None:
            raise HeadMoved(
                f"{title_number} was appended to in the copy during the pull",
                hint="pull again: what is there already stays as it is",
            )
        left = self._erase(title_number, todo.logged) if todo.may_erase else ()
        return result._replace(not_erased=left)

    def _take(
        self,
        title_number: str,
        new: LoggedVersions | None,
        there: Head | None,
        heads: dict[str, Blob | None],
    ) -> _Result:
        key = layout.head_key(title_number)
        try:
            if key not in heads:
                return self._check_old(title_number, new, there)
            return self._bring(title_number, new, there, heads[key])
        except (HeadMoved, OutcomeUnknown, StoreError):
            raise  # of the copy or the source as a whole: the next title would fail alike
        except LedgerError as error:
            return self._refuse(title_number, error)

    def _refuse(self, title_number: str, error: LedgerError) -> _Result:
        key = layout.head_key(title_number)
        finding = finding_of(error, key)
        if isinstance(error, Forked):
            finding = Finding("tampering", error.slug, key, str(error))
        return _Result(Report(self._history.origin, findings=(finding,)))

    def _check_old(
        self, title_number: str, new: LoggedVersions | None, there: Head | None
    ) -> _Result:
        """Look at a title that is as far as the log, or further: a pull may have been cut off."""
        if there is None or new is None:
            raise AssertionError("such a title has a head, and leaves")
        _check_leaves(new)
        if not self._history.descends(there.entry, new.address(new.last), new.last):
            raise Forked(
                f"{title_number}: the log of the source has version {new.last}"
                f" ({new.address(new.last)}), which the copy's chain does not have",
            )
        orders = any(entry.erases for entry in down_to(self._history, there.entry, new.first))
        left = self._erase(title_number, new.last) if orders else ()
        return _Result(Report(self._history.origin, titles=1), not_erased=left)

    def _bring(
        self, title_number: str, new: LoggedVersions | None, there: Head | None, blob: Blob | None
    ) -> _Result:
        """Verify a title, and write what is new of it."""
        if new is not None:
            _check_leaves(new)
        if blob is None:
            self._source.check_there()
            raise _head_missing(title_number, new)
        title = _Title(title_number, blob.data, self._source, there)
        above: tuple[Entry, ...] = ()
        if new is not None:
            above = self._above(title_number, blob.data, new)
            if above:
                title.head = title.read(new.address(new.last)) or b""
            known = there.entry.version if there else 0
            wanted = range(max(new.first, known + 1), new.last)
            title.fetch(map(new.address, wanted))
        arrival, entry = self._check(title, there, above)
        if arrival.erased_above:
            # Only an order that is not logged yet explains a text that is gone: take that, too.
            title.head = blob.data
            arrival, entry = self._check(title, there)
        if there is not None and entry.version <= there.entry.version:
            return _Result(Report(self._history.origin, titles=1), unlogged=bool(above))
        if new is not None:
            _compare(title_number, entry, bytes(arrival.trace), new)
        if there is None:
            check_new(self._history, title_number, arrival.addresses)
        entries = entry.version - (there.entry.version if there else 0)
        if entries > 1:  # those below the head
            self._check(title, there, keep=True)[0].flush()
        logged = new.last if new else None
        # No marker is needed of what the log has: the copy's gets the leaf at the end.
        is_logged = logged is not None and entry.version <= logged
        expected = there.version if there else None
        todo = _Todo(Move(entry, expected, is_logged), logged, arrival.may_erase)
        report = Report(self._history.origin, titles=1, entries=entries)
        return _Result(report, moved=True, unlogged=bool(above), todo=todo)

    def _above(self, title_number: str, data: bytes, new: LoggedVersions) -> tuple[Entry, ...]:
        """What the source's chain has above the log, which has to be in it; the newest first."""
        if address_of(data) == new.address(new.last):
            return ()
        head = self._source.open(data, title_number, layout.head_key(title_number))
        above = tuple(down_to(self._source, head, new.last + 1))
        if not above or above[-1].parent != new.address(new.last):
            raise _set_back(title_number, head, new)
        return above

    def _check(
        self,
        title: _Title,
        there: Head | None,
        above: tuple[Entry, ...] = (),
        *,
        keep: bool = False,
    ) -> tuple[Arrival, Entry]:
        positions = self._source.find_positions(title.title_number)
        arrival = Arrival(self._history, title, there, positions, keep=keep, above=above)
        return arrival, check_arrival(arrival, there, self._now)

    def _erase(self, title_number: str, logged: int | None) -> tuple[str, ...]:
        """Carry out what the chain orders, if the log has the order, or there is no log."""
        erasure = self._finish(title_number, lambda each: logged is None or each.version <= logged)
        return tuple(f"{title_number}: {said}" for said in erasure.left)


def _is_there(there: Head | None, new: LoggedVersions | None) -> bool:
    return there is not None and new is not None and there.entry.version >= new.last


def _check_leaves(new: LoggedVersions) -> None:
    for finding in new.findings:
        if finding.severity == "tampering":
            raise _as_error(finding)


def _compare(title_number: str, entry: Entry, trace: bytes, new: LoggedVersions) -> None:
    from ledger.bundles.log_part import compare_chain  # noqa: PLC0415 -- slow to load

    for finding in compare_chain(title_number, entry.version, trace, new):
        raise _as_error(finding)


def _set_back(title_number: str, head: Entry, new: LoggedVersions) -> LedgerError:
    from ledger.verification.compare import not_as_logged  # noqa: PLC0415 -- slow to load

    address = head.address if head.version == new.last else ""
    return _as_error(
        not_as_logged(title_number, head.version, new.last, new.address(new.last), address)
    )


def _head_missing(title_number: str, new: LoggedVersions | None) -> IntegrityError:
    key = layout.head_key(title_number)
    what = f"the log has version {new.last} ({new.address(new.last)})" if new else "it is listed"
    return IntegrityError(
        f"{key}: missing in the source, though {what}", reason="head-missing", object_key=key
    )


def _as_error(finding: Finding, hint: str = "") -> LedgerError:
    kind = IntegrityError if finding.severity in {"tampering", "mismatch"} else NotProven
    return kind(finding.message, hint=hint, reason=finding.slug, object_key=finding.object_key)
