"""Remember, for each title, the version and address of the head that verified.

To verify again then costs what is new, not what exists. ``state_file`` has the format.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, NamedTuple

from ledger.errors import ConflictError, StoreUnavailable
from ledger.format import layout, times
from ledger.format.ordered import join
from ledger.format.report import Finding
from ledger.local.files import NewFile, as_path, check_name, lock_file
from ledger.titles.trust_files import accepted_by
from ledger.verification.state_file import (
    RememberedTitle,
    RememberedTrust,
    StateHeader,
    check_header,
    check_whole,
    lines_of,
    open_file,
    read_lines,
    read_titles,
)
from ledger.verification.walk import Known, Subject

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Container, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from ledger.format.keyring import Keyring
    from ledger.titles.history import History


class LogProgress(NamedTuple):
    """What the state remembers of the log after a clean audit."""

    checkpoint: str
    """The signed checkpoint that the audit compared with."""
    seen: str
    """The newest that it relied on: the same, or one that was sealed meanwhile."""
    versions: Callable[[], Iterator[tuple[str, int]]]
    """The titles with new leaves, in order, and the last version of each."""
    trust: int
    """The last trust file that the log names."""


class VerificationState:
    """The state in a file: what it remembers, and what the verification under way adds.

    ``add`` notes the result of one title after the other. ``finish`` joins the notes with what was
    remembered and replaces the file; until then the file stays as it was, however this process
    ends. A lock admits one verification at a time: of two, the later to end would forget what the
    other saw.
    """

    def __init__(
        self, path: str | os.PathLike[str], origin: str, keyring: Keyring, now: datetime
    ) -> None:
        """Read and check the file, if there is one, and make sure that it can be written.

        Raises MalformedError if it is damaged, TrustError if it is another ledger's or others can
        write it, ConflictError if another verification uses it, UnsupportedFormatError,
        InvalidError, StoreUnavailable.
        """
        self.path: Path = as_path(path)
        keys = {t.key.key_id for t in keyring if (t.origin, t.role) == (origin, "registrar")}
        self._next = StateHeader(origin, tuple(sorted(keys)), times.format_time(now))
        self._accepted = accepted_by(keyring)
        check_name(self.path, replace=True)
        self.header: StateHeader | None = None
        self.digest: str | None = None
        """The sha256 of the file as it was found, or None if there was none."""
        self._failed: StoreUnavailable | None = None
        self._file: IO[bytes] | None = None
        self._held = ExitStack()
        try:
            self._held.enter_context(_lock(self.path))
            self._notes = self._held.enter_context(self._make_notes())
            self._file = open_file(self.path)
            if self._file is not None:
                self.header = check_header(self._file, self.path, origin)
                self._next = self._next._replace(
                    checkpoint=self.header.checkpoint, seen=self.header.seen
                )
                self.digest = check_whole(self._file, self.path)
        except BaseException:
            self.close()
            raise
        self.trust: RememberedTrust | None = self.header.trust if self.header else None
        """What it remembers of trust files."""
        self.lost_keys: list[str] = self._find_lost(keys)
        """Keys that it relied on and that count no more, or up to another place in the log; if any,
        it vouches for nothing."""

    def _find_lost(self, keys: set[str]) -> list[str]:
        if self.header is None:
            return []
        ends = self.trust.ends if self.trust else {}
        end_of = self._accepted.end_of if self._accepted else ends.get
        return sorted(
            key for key in self.header.keys if key not in keys or end_of(key) != ends.get(key)
        )

    def judge_trust(self) -> tuple[Finding, ...]:
        """Report trust files that were set back, or replaced, since they were seen."""
        if self.trust is None or self._accepted is None:
            return ()
        file = self._accepted.file(self.trust.version)
        if file is not None and file.digest == self.trust.digest:
            return ()
        key = layout.trust_key(self.trust.version)
        there = "another file is there now" if file else "it is not there any more, or not accepted"
        message = f"{key}: {self.path} has seen {self.trust.digest} there, and {there}"
        return (Finding("tampering", "trust-set-back", key, message),)

    def close(self) -> None:
        """Close the files and forget what was not finished."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._held.close()

    # -- What is remembered --------------------------------------------------------------------

    def remembered(self) -> Iterator[RememberedTitle]:
        """Yield every title that it knows, in order."""
        if self._file is not None:
            titles = read_titles(self._file, self.path)
            yield from (
                (found._replace(vouched=False) for found in titles) if self.lost_keys else titles
            )

    def subjects(self, titles: Iterable[str], *, listed: bool, every: bool) -> Iterator[Subject]:
        """Yield the titles, which come in order, as subjects with what is known of each.

        ``every``: also those that are remembered and not among them. Raises IntegrityError if the
        titles are out of order.
        """
        named = ((layout.check_title_number(title), title) for title in titles)
        for title_number, given, known in join(named, self._by_title()):
            if known is not None and (every or given is not None):
                yield _subject(known)
            elif given is not None:
                yield Subject(title_number, listed=listed)

    def _by_title(self) -> Iterator[tuple[str, RememberedTitle]]:
        return ((found.title_number, found) for found in self.remembered())

    # -- What is new ---------------------------------------------------------------------------

    def add(self, title_number: str, head: Known | None, *, tampered: bool = False) -> None:
        """Note the result of the next title: its head if it verified, or that it is tampered."""
        if head is not None:
            self._note(RememberedTitle(title_number, head.version, head.address))
        elif tampered:
            self._note(RememberedTitle(title_number, 0, "", vouched=False))

    def _note(self, found: RememberedTitle) -> None:
        try:
            self._notes.write(f"{found.title_number} {found.version} {found.address}\n".encode())
        except OSError as error:  # the verification goes on: ``finish`` says so
            self._failed = self._failure(error)

    def finish(self, logged: LogProgress | None = None, pinned: Container[str] = ()) -> str:
        """Replace the file, durably, and return its sha256; call it again if it was cut off.

        ``logged``: what the log had, if everything held; without it the checkpoint stays.
        ``pinned``: titles that are to be verified from head to root the next time. A title
        that was not verified keeps its line, and so stays pinned. A title that was found tampered
        keeps its line only as a pin, and is verified from head to root from now on.

        Raises StoreUnavailable if the file can't be replaced: it is as it was.
        """
        try:
            self._notes.flush()
        except OSError as error:
            self._failed = self._failure(error)
        if self._failed is not None:
            raise self._failed
        whole = hashlib.sha256()
        with NewFile(self.path, replace=True, mode=0o600) as new:
            header = self._next
            titles: Iterable[RememberedTitle] = (
                each._replace(vouched=False) if each.title_number in pinned else each
                for each in self._joined()
            )
            header = header._replace(trust=self._next_trust(logged))
            if logged is not None:
                header = header._replace(checkpoint=logged.checkpoint, seen=logged.seen)
                titles = _advance(titles, logged.versions(), header.audited_at)
            for line in lines_of(header, titles):
                whole.update(line)
                new.write(line)
            new.commit()
        return whole.hexdigest()

    def _next_trust(self, progress: LogProgress | None) -> RememberedTrust | None:
        if self._accepted is None or self.judge_trust():
            return self.trust
        newest, before = self._accepted.newest, self.trust
        logged = progress.trust if progress else before.logged if before else 1
        since = before.since if before and before.logged == logged else ""
        ends = {
            key: end for key in self._next.keys if (end := self._accepted.end_of(key)) is not None
        }
        waiting = (since or self._next.audited_at) if newest.version > logged else ""
        seen_at = self._next.audited_at if progress else before.seen_at if before else ""
        return RememberedTrust(newest.version, newest.digest, ends, logged, waiting, seen_at)

    def _joined(self) -> Iterator[RememberedTitle]:
        noted = ((found.title_number, found) for found in self._noted())
        for _, old, new in join(self._by_title(), noted):
            if old is None:
                if new is not None and new.vouched:
                    yield new
            elif new is None:
                yield old
            elif new.vouched:
                yield old._replace(version=new.version, address=new.address, vouched=True)
            else:
                yield old._replace(vouched=False)

    def _noted(self) -> Iterator[RememberedTitle]:
        # A line without its end is one that a Ctrl-C came in the middle of.
        for line in read_lines(self._notes, self.path, cut=True):
            title_number, version, address = line.decode().split(" ")
            yield RememberedTitle(title_number, int(version), address, vouched=version != "0")

    def _make_notes(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self.path.parent)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"cannot write {self.path}: {error.strerror}")


def _lock(path: Path) -> IO[bytes]:
    """Keep every other verification on this machine from using the file."""
    try:
        return lock_file(path.with_name(f".{path.name}.lock"), wait=False)
    except BlockingIOError as error:
        raise ConflictError(
            f"another verification is using {path}",
            hint="wait until it has ended, or name another state file",
        ) from error
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write beside {path}, or lock a file there: {error.strerror}"
        ) from error


def open_state(path: str | os.PathLike[str], history: History, now: datetime) -> VerificationState:
    """Open the state of a ledger's verifications; refuse one inside the store that it watches."""
    history.store.check_outside(path)
    return VerificationState(path, history.origin, history.keyring, now)


def _subject(known: RememberedTitle) -> Subject:
    # Not "listed": it is remembered, so if it is gone, that is a finding.
    if known.vouched:
        return Subject(known.title_number, Known(known.version, known.address))
    return Subject(known.title_number, expect=known.address)


def _advance(
    titles: Iterable[RememberedTitle], versions: Iterator[tuple[str, int]], now: str
) -> Iterator[RememberedTitle]:
    """Yield the lines with how far the log has each title now."""
    for _, found, version in join(((each.title_number, each) for each in titles), versions):
        if found is not None:
            logged = max(found.logged, version or 0)
            since = (found.since if logged == found.logged else "") or now
            yield found._replace(logged=logged, since=since if found.version > logged else "")
