"""Bundles: the history of one title, of some or of all, as one file.

A bundle is a tar archive (POSIX ustar) of the store's own objects, so that ``tar xf`` makes a
folder store of it and ``sha256sum`` checks it. There is one byte string for one content: members
come in one order (titles in that of their keys: ``A-1/`` is before ``A/``), with one header each,
and nothing between or after them::

    bundle.json              {"complete":true,"format":1,"origin":"example.org/titles"}
    ledger.json              as in the store
    _trust/1.json            the ledger's trust files, if it has any, from the first on
    TN1/head.json            for every title, in order: its head,
    TN1/<address>.json       and its entries, newest first,
    TN1/<address>.receipt    of some of them, behind each, the proof that the log has it
    _log/checkpoint          where there is a log, and these are all titles: its checkpoint,
    _log/tile/…              and its tiles, in the order in which they become full

A bundle with a log is of format 2. Where ``complete`` is false, chains may end above their root:
the rest is in an earlier bundle.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ledger.errors import MalformedError, NotABundle, UnsupportedFormatError
from ledger.format import canonical, layout
from ledger.format.entry import MAX_BYTES, address_of, version_hint
from ledger.format.keyring import check_origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUNDLE_KEY = "bundle.json"
FORMAT = 1
WITH_LOG = 2
BLOCK = 512
END = bytes(2 * BLOCK)
MAX_TRUST_BYTES = 64 << 20
"""All trust files of a bundle together, as a reader has them in memory."""
HOW_TO_GET_ONE = "get it again, and compare its sha256; if it was compressed, decompress it first"


class Source(Protocol):
    """What a bundle is read from: a binary file."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; fewer only at the end."""
        ...


class Header(NamedTuple):
    """What a bundle says of itself; to be compared, not believed."""

    origin: str
    complete: bool
    has_log: bool = False
    """Whether the log's part comes after the titles."""
    left_out: tuple[str, ...] = ()
    """Titles, in order, that did not hold together when the others were exported."""

    def encode(self) -> bytes:
        """The bytes of ``bundle.json``."""
        number = WITH_LOG if self.has_log else FORMAT
        value: dict[str, Any] = {
            "complete": self.complete,
            "format": number,
            "origin": self.origin,
        }
        if self.left_out:
            value["left_out"] = list(self.left_out)
        return canonical.encode(value)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read ``bundle.json``; raises MalformedError or UnsupportedFormatError."""
        value = canonical.load(data)
        if not isinstance(value, dict) or type(value.get("format")) is not int:
            raise MalformedError("not a bundle: bundle.json has no format number")
        if value["format"] not in {FORMAT, WITH_LOG}:
            raise UnsupportedFormatError(
                f"a bundle of format {value['format']}; this knows {FORMAT} and {WITH_LOG}"
            )
        titles = _titles(value.pop("left_out")) if "left_out" in value else ()
        if value.keys() != {"complete", "format", "origin"} or type(value["complete"]) is not bool:
            raise MalformedError("not a bundle: bundle.json has missing or unknown members")
        origin = check_origin(value["origin"])
        return cls(origin, value["complete"], value["format"] == WITH_LOG, titles)


def _titles(value: object) -> tuple[str, ...]:
    """Check the titles that were left out: at least one, each once, in order."""
    if not isinstance(value, list) or not value:
        raise MalformedError("not a bundle: left_out names no titles")
    titles = tuple(layout.check_title_number(each) for each in value)
    if list(titles) != sorted(set(titles), key=layout.head_key):
        raise MalformedError("not a bundle: the titles in left_out are not in order")
    return titles


class Section:
    """One title of a bundle, while the reader stands at it."""

    source = "bundle"

    def __init__(self, reader: BundleReader, title_number: str, head: bytes) -> None:
        """Use ``BundleReader.sections``."""
        self.title_number = title_number
        self.head = head
        self.receipts: dict[str, tuple[int, bytes]] = {}
        """The receipts that were read so far, by the address of their entry, with its version.

        Each is read with its entry, and the head's with the section: a reader may need it before
        it judges the entry.
        """
        self._reader = reader
        self._own = self._take(address_of(head))

    def read(self, address: str) -> bytes | None:
        """The entry of this address, if it comes next; to be called from the head down."""
        if self._own is not None:
            data, self._own = self._own, None
            return data if address == address_of(self.head) else None
        return self._take(address)

    @property
    def is_begun(self) -> bool:
        """Whether the head's own entry was read, if it is there."""
        return self._own is None

    def skip(self) -> None:
        """Leave the head's own entry unread."""
        self._own = None

    def _take(self, address: str) -> bytes | None:
        data = self._reader.take_if(layout.entry_key(self.title_number, address))
        if data is not None:
            receipt = self._reader.take_if(layout.receipt_key(self.title_number, address))
            if receipt is not None:
                self.receipts[address] = version_hint(data), receipt
        return data


def trust_members(files: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The members of trust files, from the first on, as far as a bundle may have them.

    One that is larger than any trust file ends them: it is none.
    """
    room = MAX_TRUST_BYTES
    for version, data in enumerate(files, 1):
        room -= len(data)
        if len(data) > layout.MAX_TRUST_FILE or room < 0:
            return
        yield layout.trust_key(version), data


def write_bundle(objects: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The bytes of a bundle with these objects, in chunks."""
    for key, data in objects:
        yield _member_header(key, len(data))
        yield data
        yield bytes(-len(data) % BLOCK)
    yield END


def _member_header(key: str, size: int) -> bytes:
    """The header of a member, as tarfile makes it: ten times faster, as there are millions."""
    name = key.encode("ascii")
    if len(name) > NAME_BYTES or not 0 <= size < MAX_SIZE:
        return _full_header(key, size)
    digits = b"%011o" % size
    checksum = PLAIN_SUM + sum(name) + sum(digits)
    return b"".join(
        [
            *(name.ljust(NAME_BYTES, b"\0"), PLAIN[100:124], digits, PLAIN[135:148]),
            *(b"%06o" % checksum, PLAIN[154:]),
        ]
    )


def _full_header(key: str, size: int) -> bytes:
    member = tarfile.TarInfo(key)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


NAME_BYTES = 100
"""Of a longer key, the folder is in another field of its header."""
MAX_SIZE = 8**11
PLAIN = _full_header("", 0)
"""The header of a member without name and size."""
PLAIN_SUM = int(PLAIN[148:154], 8) - sum(b"0" * 11)


class BundleReader:
    """Reads a bundle from front to back, and accepts no other bytes than ``write_bundle`` writes.

    Everything raises MalformedError where the file was changed: NotABundle, which is one, where it
    does not begin as a bundle does or was cut short.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next: tuple[str, bytes] | None = None
        try:
            self._advance()
            self.header: Header = Header.decode(self._take(BUNDLE_KEY))
            self.ledger: bytes = self._take(layout.LEDGER_KEY)
            self.trust: dict[int, bytes] = dict(self._trust_files())
            """The bytes of the trust files, by version, from 1 on. Nothing is checked."""
        except NotABundle:
            raise
        except MalformedError as error:
            why = str(error)
            why = why if why.startswith("not a bundle") else f"not a bundle: {why}"
            raise NotABundle(why, hint=HOW_TO_GET_ONE) from error

    def sections(self) -> Iterator[Section]:
        """Every title in turn. What the caller leaves unread of one is refused."""
        previous = ""
        while self._next is not None:
            key = self._next[0]
            if self.header.has_log and key.startswith(layout.LOG):
                return
            title_number = key.partition("/")[0]
            if not layout.is_title_number(title_number) or key != layout.head_key(title_number):
                raise MalformedError(f"not a bundle: {key!a} where a head should be")
            if key <= previous:
                raise MalformedError(f"not a bundle: {key} comes after {previous}")
            section = Section(self, title_number, self._take(key))
            yield section
            if not section.is_begun:
                raise MalformedError(f"not a bundle: {key} was not read to its end")
            previous = key

    def log(self) -> Iterator[tuple[str, bytes]]:
        """The members of the log's part, to the end; to be called after all sections.

        None where the header says that there is no log. That they are a log is not checked here.
        """
        if self.header.has_log and self._next is None:
            raise MalformedError("not a bundle: it lacks its log")
        while self._next is not None:
            member = self._next
            if not member[0].startswith(layout.LOG):
                raise MalformedError(f"not a bundle: {member[0]!a} within its log")
            self._advance()
            yield member

    def skip(self, section: Section) -> None:
        """Pass over what is left of the title that the reader stands at."""
        section.skip()
        while self._next is not None and self._stands_in(section.title_number):
            self._advance()

    def take_if(self, key: str) -> bytes | None:
        """The member of this key, if it comes next."""
        return self._take(key) if self._next and self._next[0] == key else None

    def _stands_in(self, title_number: str) -> bool:
        key = self._next[0] if self._next else ""
        parsed = layout.parse_entry_key(key) or layout.parse_receipt_key(key)
        return parsed is not None and parsed[0] == title_number

    def _trust_files(self) -> Iterator[tuple[int, bytes]]:
        version, room = 1, MAX_TRUST_BYTES
        while (data := self.take_if(layout.trust_key(version))) is not None:
            room -= len(data)
            if room < 0:
                raise MalformedError(
                    f"not a bundle: more than {MAX_TRUST_BYTES:,} bytes of trust files"
                )
            yield version, data
            version += 1

    def _take(self, key: str) -> bytes:
        if self._next is None or self._next[0] != key:
            raise MalformedError(f"not a bundle: it lacks {key}")
        data = self._next[1]
        self._advance()
        return data

    def _advance(self) -> None:
        block = self._read(BLOCK)
        if block == END[:BLOCK]:
            if self._read(BLOCK) != END[BLOCK:] or self._source.read(1):
                raise MalformedError("not a bundle: bytes after its end")
            self._next = None
            return
        key, size = _parse_member(block)
        data = self._read(size)
        if any(self._read(-size % BLOCK)):
            raise MalformedError(f"not a bundle: bytes between the members, after {key}")
        self._next = key, data

    def _read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) != size:
            raise NotABundle("not a bundle, or a bundle that was cut short", hint=HOW_TO_GET_ONE)
        return data


def _parse_member(block: bytes) -> tuple[str, int]:
    try:
        prefix, name = block[345:500].rstrip(b"\0"), block[:NAME_BYTES].rstrip(b"\0")
        key = (prefix + b"/" + name if prefix else name).decode("ascii")
        size = int(block[124:135], 8)
        # Whatever was read, only the one header for it is accepted.
        if _member_header(key, size) != block:
            raise ValueError
    except ValueError:
        raise MalformedError("not a bundle, or a bundle with a damaged member header") from None
    if size > MAX_BYTES and (layout.parse_trust_key(key) is None or size > layout.MAX_TRUST_FILE):
        raise MalformedError(f"not a bundle: a member of {size:,} bytes")
    return layout.check_key(key), size
