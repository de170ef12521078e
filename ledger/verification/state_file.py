"""Read and write the file in which verifications remember, and believe nothing that it says.

The file is text, sorted as titles are (``ledger.format.ordered``), so that it can be joined with a
store's listing line by line, whatever its size::

    {"audited_at":"2026-11-23T10:00:00.000000Z","format":1,"keys":["<key id>"],
     "kind":"title-ledger-audit-state","ledger":"example.org/titles"}       (one line)
    TN1234567 3 <address>
    TN1234568 1 <address> pin
    {"sha256":"<of all before this line>","titles":2}

A line vouches for all that lies below its address. A line with ``pin`` does not: the address must
be in the chain, but the title is verified from head to root.

If the reader pinned a trust file, the first line has ``"trust"``: the newest file that was seen,
where each key's end was, how far the log named the files, and when an audit saw it so.

After an audit, the first line is of format 2. It then has two signed notes: ``"checkpoint"``, which
the audit compared with, and ``"seen"``, the newest that it relied on. A title's line then says how
far the log had the title and, if the head was beyond that, when an audit first saw so::

    TN1234567 3 <address> logged 3
    TN1234568 4 <address> logged 2 since 2026-11-23T10:00:00.000000Z

The digest shows damage, not malice: whoever can write the file can make another one. So the file
belongs to whoever verifies, and one that others can write is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from ledger.errors import (
    InvalidError,
    LedgerError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import canonical, layout, times
from ledger.format.ordered import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KIND = "title-ledger-audit-state"
BLOCK = 1 << 20
"""Bytes read at once, and the length of the longest line that is accepted."""

LINE = re.compile(
    rb"([A-Z0-9][A-Z0-9._-]{0,63}) ([1-9][0-9]{0,15}) ([0-9a-f]{64})( pin)?"
    rb"(?: logged (0|[1-9][0-9]{0,15}))?(?: since ([0-9TZ.:-]{20,40}))?"
)
DECIDE = (
    "bring back a copy of it; or move it away, and everything is verified anew,"
    " with nothing remembered"
)


class RememberedTrust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader remembers of the trust files of a ledger."""

    version: int
    """The newest that it accepted."""
    digest: str
    ends: dict[str, int]
    """Where keys ended, by id."""
    logged: int = 1
    """The last version that the log named."""
    since: str = ""
    """When it was first seen that the next one was not logged, or ""."""
    seen_at: str = ""
    """When the log was what the checkpoint says, or "" if there is none."""


class StateHeader(NamedTuple):
    """The first line of a state."""

    origin: str
    keys: tuple[str, ...]
    """The ids of the registrars' keys that counted when it was written, sorted."""
    audited_at: str
    checkpoint: str | None = None
    """The signed checkpoint of the last clean audit, if there was one."""
    seen: str | None = None
    """The newest checkpoint that the audit relied on."""
    trust: RememberedTrust | None = None


class RememberedTitle(NamedTuple):
    """One title's line. Version 0 says only that nothing vouches for the title any more."""

    title_number: str
    version: int
    address: str
    vouched: bool = True
    logged: int = 0
    """The last version in the log, or 0 if it had none."""
    since: str = ""
    """When an audit first saw that the next version was missing there, or "" if unknown."""


def lines_of(header: StateHeader, titles: Iterable[RememberedTitle]) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end."""
    before = hashlib.sha256()
    first: dict[str, canonical.JSONValue] = {
        "audited_at": header.audited_at,
        "format": 1,
        "keys": list(header.keys),
        "kind": KIND,
        "ledger": header.origin,
    }
    if header.checkpoint is not None and header.seen is not None:
        first |= {"checkpoint": header.checkpoint, "format": 2, "seen": header.seen}
    if header.trust is not None:
        first["trust"] = msgspec.to_builtins(header.trust)
    line = canonical.encode(first) + b"\n"
    before.update(line)
    yield line
    count = 0
    for count, found in enumerate(titles, 1):  # noqa: B007 -- the last one counts
        line = _line_of(found)
        before.update(line)
        yield line
    yield canonical.encode({"sha256": before.hexdigest(), "titles": count}) + b"\n"


def _line_of(found: RememberedTitle) -> bytes:
    line = f"{found.title_number} {found.version} {found.address}"
    line += "" if found.vouched else " pin"
    line += f" logged {found.logged}" if found.logged else ""
    line += f" since {found.since}" if found.since else ""
    return f"{line}\n".encode()


def read_lines(file: IO[bytes], path: Path, *, cut: bool = False) -> Iterator[bytes]:
    """Yield the lines without their ends; several readers can share the file.

    ``cut``: leave out a last line without an end, instead of raising MalformedError.
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


def read_titles(file: IO[bytes], path: Path) -> Iterator[RememberedTitle]:
    """Yield the titles of a file; it is known to be whole once the last was taken."""
    lines = read_lines(file, path)
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
        found = _remembered(match)
        if _line_of(found) != line + b"\n":
            raise _damaged(path, f"line {count + 2} is not as it is written")
        key = sort_key(found.title_number)
        if key <= last:
            raise _damaged(path, f"line {count + 2}: {found.title_number} is out of order")
        last = key
        before.update(line + b"\n")
        yield found
    raise _damaged(path, "it has no end: it was cut")


def _remembered(match: re.Match[bytes]) -> RememberedTitle:
    title_number, version, address, pin, logged, since = match.groups(b"")
    return RememberedTitle(
        title_number.decode(),
        int(version),
        address.decode(),
        not pin,
        int(logged or b"0"),
        since.decode() if times.is_recorded_time(since.decode()) else "",
    )


def _parse_header(line: bytes, path: Path) -> StateHeader:
    try:
        value = canonical.load(line)
    except LedgerError as error:
        raise _damaged(path, f"its first line: {error}") from error
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise _damaged(path, "its first line is not that of a verification's state")
    if type(value.get("format")) is not int or value["format"] not in {1, 2}:  # True is 1, too
        raise UnsupportedFormatError(f"{path}: a state of format {value.get('format')!a:.20}")
    members = {"audited_at", "format", "keys", "kind", "ledger"}
    trust = _trust(value.pop("trust"), path) if "trust" in value else None
    if value.keys() != (members if value["format"] == 1 else {*members, "checkpoint", "seen"}):
        raise _damaged(path, "its first line has other members than a state's")
    origin, keys, audited_at = value["ledger"], value["keys"], value["audited_at"]
    if not isinstance(origin, str) or not isinstance(keys, list):
        raise _damaged(path, "its first line: not a ledger and keys")
    texts = [key for key in keys if isinstance(key, str) and layout.is_address(key)]
    if texts != keys or texts != sorted(set(texts)) or not times.is_recorded_time(audited_at):
        raise _damaged(path, "its first line: not key ids and a time")
    checkpoint, seen = value.get("checkpoint"), value.get("seen")
    if value["format"] == 2 and not (isinstance(checkpoint, str) and isinstance(seen, str)):
        raise _damaged(path, "its first line: a checkpoint is no text")
    return StateHeader(origin, tuple(texts), str(audited_at), checkpoint, seen, trust)


def _trust(value: object, path: Path) -> RememberedTrust:
    try:
        trust = msgspec.convert(value, RememberedTrust, strict=True)
    except msgspec.ValidationError as error:
        raise _damaged(path, f"its first line: trust: {error}") from error
    if not layout.is_address(trust.digest) or trust.logged < 1:
        raise _damaged(path, "its first line: not what a state has of trust files")
    return trust


def check_header(file: IO[bytes], path: Path, origin: str) -> StateHeader:
    """Read the first line; raise MalformedError, or TrustError if it is another ledger's."""
    header = _parse_header(next(read_lines(file, path), b""), path)
    if header.origin != origin:
        raise TrustError(
            f"{path} remembers the ledger {header.origin}, not {origin}",
            hint="each ledger has a state of its own: name the right one",
            reason="wrong-ledger",
        )
    return header


def check_whole(file: IO[bytes], path: Path) -> str:
    """Check that the file is neither cut nor changed, and return its sha256."""
    whole = hashlib.sha256()
    for line in read_lines(file, path):
        whole.update(line + b"\n")
    for _ in read_titles(file, path):
        pass
    return whole.hexdigest()


def open_file(path: Path) -> IO[bytes] | None:
    """Open the file for reading, or return None if there is none."""
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
