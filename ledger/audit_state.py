"""What audits remember: for each title, the version and the address of the head that verified.

A repeated audit then costs what is new, not what exists. The file is text, sorted as titles are
(by their keys, "A-1/" before "A/"), so that it can be joined with a store's listing line by line,
whatever the size::

    {"audited_at":"2026-11-23T10:00:00.000000Z","format":1,"keys":["<key id>"],
     "kind":"title-ledger-audit-state","ledger":"example.org/titles"}       (one line)
    TN1234567 3 <address>
    TN1234568 1 <address> pin
    {"sha256":"<of all before this line>","titles":2}

A line vouches for all that lies below its address. One that ends with ``pin`` does not: the address
has to be in the chain, but the title is verified from head to root.

The digest shows damage, not malice: whoever can write the file can make another one. So it belongs
to the auditor, and a file that others can write is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from ledger import canonical, layout, times
from ledger.audit import Known, Subject
from ledger.errors import (
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    StoreUnavailable,
    TrustError,
    UnsupportedFormatError,
)
from ledger.newfile import NewFile, check_name, check_outside
from ledger.stores import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.history import History
    from ledger.keyring import Keyring

__all__ = ["AuditState", "Header", "Remembered", "open_state"]

KIND = "title-ledger-audit-state"
BLOCK = 1 << 20
"""How much is read at once, and the longest line that is looked at."""

LINE = re.compile(rb"([A-Z0-9][A-Z0-9_-]{0,31}) ([1-9][0-9]{0,15}) ([0-9a-f]{64})( pin)?")
DECIDE = (
    "bring back a copy of it; or move it away, and everything is verified anew,"
    " with nothing remembered"
)


class Header(NamedTuple):
    """What the first line of a state says."""

    origin: str
    keys: tuple[str, ...]
    """The ids of the registrars' keys that counted when it was written, sorted."""
    audited_at: str


class Remembered(NamedTuple):
    """One title's line. Version 0: only that nothing vouches for the title any more."""

    title_number: str
    version: int
    address: str
    vouched: bool = True


class AuditState:
    """The state in a file: what it remembers, and what the audit under way adds to it.

    ``add`` notes what came of one title after the other; ``finish`` joins that with the rest of
    what was remembered, and replaces the file. Until then the file is as it was, however this
    process ends. Of two audits at once the last to finish wins.
    """

    def __init__(
        self, path: str | os.PathLike[str], origin: str, keyring: Keyring, now: datetime
    ) -> None:
        """Read and check the file, if it is there; make sure that it can be written.

        Raises MalformedError for a damaged one, TrustError for one of another ledger or one that
        others can write, UnsupportedFormatError, InvalidError, StoreUnavailable.
        """
        self.path = Path(path)
        keys = {t.key.key_id for t in keyring if (t.origin, t.role) == (origin, "registrar")}
        self._next = Header(origin, tuple(sorted(keys)), times.format_time(now))
        check_name(self.path, replace=True)
        self.header: Header | None = None
        self.digest: str | None = None
        """The sha256 of the file as it was found; None where there was none."""
        self._notes = self._make_notes()
        self._failed: StoreUnavailable | None = None
        self._file: IO[bytes] | None = None
        try:
            self._file = _open(self.path)
            if self._file is not None:
                self.header = _check_header(self._file, self.path, origin)
                self.digest = _check_whole(self._file, self.path)
        except BaseException:
            self.close()
            raise
        self.lost_keys = sorted(set(self.header.keys) - keys) if self.header else []
        """The keys that it relied on and that count no more: it vouches for nothing then."""

    def close(self) -> None:
        """Let go of the files; what was not finished is forgotten."""
        self._notes.close()
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- What is remembered --------------------------------------------------------------------

    def remembered(self) -> Iterator[Remembered]:
        """Every title that it knows, in order."""
        if self._file is not None:
            titles = _titles(self._file, self.path)
            yield from (
                (found._replace(vouched=False) for found in titles) if self.lost_keys else titles
            )

    def subjects(self, titles: Iterable[str], *, listed: bool, every: bool) -> Iterator[Subject]:
        """The titles as what to verify, each with what is known of it; they are in order.

        ``every``: also those that are remembered but not among them.
        """
        old = self.remembered()
        known = next(old, None)
        last = ""
        for title_number in titles:
            key = f"{layout.check_title_number(title_number)}/"
            if key <= last:
                raise IntegrityError(f"titles out of order: {title_number} after {last[:-1]}")
            last = key
            while known is not None and f"{known.title_number}/" < key:
                if every:
                    yield _subject(known)
                known = next(old, None)
            if known is not None and known.title_number == title_number:
                yield _subject(known)
                known = next(old, None)
            else:
                yield Subject(title_number, listed=listed)
        while every and known is not None:
            yield _subject(known)
            known = next(old, None)

    # -- What is new ---------------------------------------------------------------------------

    def add(self, title_number: str, head: Known | None, *, tampered: bool = False) -> None:
        """Note what came of a title, in order: its head if it verified, or that it is tampered."""
        if head is not None:
            self._note(Remembered(title_number, head.version, head.address))
        elif tampered:
            self._note(Remembered(title_number, 0, "", vouched=False))

    def _note(self, found: Remembered) -> None:
        try:
            self._notes.write(f"{found.title_number} {found.version} {found.address}\n".encode())
        except OSError as error:  # the verification goes on: ``finish`` says so
            self._failed = self._failure(error)

    def finish(self) -> str:
        """Replace the file, durably; return its sha256. It may be called again if it was cut off.

        Raises StoreUnavailable where that failed: the file is as it was.

        A title that was not verified keeps its line: so it stays pinned. One that was found
        tampered keeps it as a pin only, to be verified whole from now on.
        """
        try:
            self._notes.flush()
        except OSError as error:
            self._failed = self._failure(error)
        if self._failed is not None:
            raise self._failed
        whole = hashlib.sha256()
        with NewFile(self.path, replace=True, mode=0o600) as new:
            for line in _lines_of(self._next, self._joined()):
                whole.update(line)
                new.write(line)
            new.commit()
        return whole.hexdigest()

    def _joined(self) -> Iterator[Remembered]:
        old = self.remembered()
        known = next(old, None)
        for new in self._noted():
            while known is not None and _key(known) < _key(new):
                yield known
                known = next(old, None)
            same = known is not None and known.title_number == new.title_number
            if new.version > 0:
                yield new
            elif same and known is not None:
                yield known._replace(vouched=False)
            if same:
                known = next(old, None)
        while known is not None:
            yield known
            known = next(old, None)

    def _noted(self) -> Iterator[Remembered]:
        # A line without its end is one that a Ctrl-C came in the middle of.
        for line in _lines(self._notes, self.path, cut=True):
            title_number, version, address = line.decode().split(" ")
            yield Remembered(title_number, int(version), address)

    def _make_notes(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self.path.parent)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"cannot write {self.path}: {error.strerror}")


def open_state(path: str | os.PathLike[str], history: History, now: datetime) -> AuditState:
    """The state of a ledger's audits; refused inside the store that it is to watch over."""
    if isinstance(history.store, FolderStore):
        check_outside(path, history.store.path)
    return AuditState(path, history.origin, history.keyring, now)


def _subject(known: Remembered) -> Subject:
    # Not "listed": somebody remembers it, so that one that is gone is a finding.
    if known.vouched:
        return Subject(known.title_number, Known(known.version, known.address))
    return Subject(known.title_number, expect=known.address)


def _key(found: Remembered) -> str:
    return f"{found.title_number}/"


# -- The bytes -------------------------------------------------------------------------------------


def _lines_of(header: Header, titles: Iterable[Remembered]) -> Iterator[bytes]:
    """The lines of a file, each with its end."""
    before = hashlib.sha256()
    first = {
        "audited_at": header.audited_at,
        "format": 1,
        "keys": list(header.keys),
        "kind": KIND,
        "ledger": header.origin,
    }
    line = canonical.encode(first) + b"\n"
    before.update(line)
    yield line
    count = 0
    for count, found in enumerate(titles, 1):  # noqa: B007 -- the last one counts
        pin = "" if found.vouched else " pin"
        line = f"{found.title_number} {found.version} {found.address}{pin}\n".encode()
        before.update(line)
        yield line
    yield canonical.encode({"sha256": before.hexdigest(), "titles": count}) + b"\n"


def _lines(file: IO[bytes], path: Path, *, cut: bool = False) -> Iterator[bytes]:
    """The lines, without their ends; several readers of one file don't disturb each other.

    ``cut``: the last line may be, and is left out then.
    """
    offset, rest = 0, b""
    while block := os.pread(file.fileno(), BLOCK, offset):
        offset += len(block)
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > BLOCK:
            raise _damaged(path, "a line without an end")
    if rest and not cut:
        raise _damaged(path, "its last line has no end: it was cut")


def _titles(file: IO[bytes], path: Path) -> Iterator[Remembered]:
    """The titles of a file; that it is whole is known once the last of them was taken."""
    lines = _lines(file, path)
    before = hashlib.sha256(next(lines, b"") + b"\n")
    last = ""
    for count, line in enumerate(lines):
        match = LINE.fullmatch(line)
        if match is None or not layout.is_title_number(match[1].decode()):
            end = canonical.encode({"sha256": before.hexdigest(), "titles": count})
            if line != end:
                raise _damaged(path, f"line {count + 2} is no title, nor the digest of all above")
            if next(lines, None) is not None:
                raise _damaged(path, f"it goes on below its end, line {count + 2}")
            return
        found = Remembered(match[1].decode(), int(match[2]), match[3].decode(), not match[4])
        if _key(found) <= last:
            raise _damaged(path, f"line {count + 2}: {found.title_number} is out of order")
        last = _key(found)
        before.update(line + b"\n")
        yield found
    raise _damaged(path, "it has no end: it was cut")


def _parse_header(line: bytes, path: Path) -> Header:
    try:
        value = canonical.load(line)
    except LedgerError as error:
        raise _damaged(path, f"its first line: {error}") from error
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise _damaged(path, "its first line is not that of an audit's state")
    if type(value.get("format")) is not int or value["format"] != 1:  # True is 1, too
        raise UnsupportedFormatError(f"{path}: a state of format {value.get('format')!a:.20}")
    if value.keys() != {"audited_at", "format", "keys", "kind", "ledger"}:
        raise _damaged(path, "its first line has other members than a state's")
    origin, keys, audited_at = value["ledger"], value["keys"], value["audited_at"]
    if not isinstance(origin, str) or not isinstance(keys, list):
        raise _damaged(path, "its first line: not a ledger and keys")
    texts = [key for key in keys if isinstance(key, str) and layout.is_address(key)]
    if texts != keys or texts != sorted(set(texts)) or not times.is_recorded_time(audited_at):
        raise _damaged(path, "its first line: not key ids and a time")
    return Header(origin, tuple(texts), str(audited_at))


def _check_header(file: IO[bytes], path: Path, origin: str) -> Header:
    header = _parse_header(next(_lines(file, path), b""), path)
    if header.origin != origin:
        raise TrustError(
            f"{path} remembers the ledger {header.origin}, not {origin}",
            hint="each ledger has a state of its own: name the right one",
            reason="wrong-ledger",
        )
    return header


def _check_whole(file: IO[bytes], path: Path) -> str:
    """Check that it is neither cut nor changed; return its sha256."""
    whole = hashlib.sha256()
    for line in _lines(file, path):
        whole.update(line + b"\n")
    for _ in _titles(file, path):
        pass
    return whole.hexdigest()


def _open(path: Path) -> IO[bytes] | None:
    """Open the file for reading, if it is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}") from error
    info = os.fstat(descriptor)
    ours = info.st_uid in {0, os.geteuid()}
    if ours and stat.S_ISREG(info.st_mode) and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return os.fdopen(descriptor, "rb", buffering=0)
    os.close(descriptor)
    raise TrustError(
        f"others can write {path} (mode {stat.S_IMODE(info.st_mode):04o}, user {info.st_uid}):"
        " what it remembers may be theirs",
        hint=f"compare it with a copy, or its sha256 with one on paper; then chmod 600 {path}",
    )


def _damaged(path: Path, why: str) -> MalformedError:
    return MalformedError(f"{path} is damaged: {why}", hint=DECIDE)
