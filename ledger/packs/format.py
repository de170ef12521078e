"""The format of a pack: entries of many titles in one object, each byte for byte as it is stored.

The first line is the index, in canonical JSON. The entries follow, in its order::

    {"entries":[["TN1","<address>",<length>],…],"format":1,"ledger":"example.org/titles"}
    {"entry":…,"signature":"…"}{"entry":…

Titles come in the order of their keys. A pack is a cache: nothing that it says is believed, and a
malformed pack is ignored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import MalformedError, UnsupportedFormatError
from ledger.format import canonical, layout
from ledger.format.entry import MAX_BYTES, is_settled_by
from ledger.format.layout import PackName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_PACK = 16 << 20
"""The largest pack, in bytes; writers keep to half of it."""

FORMAT = 1

ONE = rb'\["[A-Z0-9._-]{1,64}","[0-9a-f]{64}",[1-9][0-9]{0,6}\]'
ITEM = re.compile(rb'\["([A-Z0-9._-]{1,64})","([0-9a-f]{64})",([1-9][0-9]{0,6})\]')
LAST = rb'\],"format":1,"ledger":("(?:[^"\\]|\\.){1,400}")\}'
LATER = re.compile(rb'"format":([1-9][0-9]{0,14})[,}]')
TAIL = re.compile(LAST + rb"\Z")
INDEX = re.compile(rb'\{"entries":\[' + ONE + rb"(?:," + ONE + rb")*" + LAST)


class Packable(NamedTuple):
    """An entry to be packed."""

    title_number: str
    address: str
    data: bytes


class OpenPack(Mapping[str, dict[str, bytes]]):
    """The entries of a pack, by title and address: held in one piece, and cut out when asked for.

    Thousands of small pieces would leave holes in memory, which other threads can't use.
    """

    def __init__(self, data: bytes, places: dict[str, dict[str, slice]]) -> None:
        self._data = data
        self._places = places

    def __getitem__(self, title_number: str) -> dict[str, bytes]:
        places = self._places[title_number]
        return {address: self._data[place] for address, place in places.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def make_pack(origin: str, entries: Sequence[Packable]) -> tuple[PackName, bytes]:
    """Make the pack of these entries: at least one, in the order of their titles' keys."""
    items = [[entry.title_number, entry.address, len(entry.data)] for entry in entries]
    index = canonical.encode({"entries": items, "format": FORMAT, "ledger": origin})
    data = b"".join([index, b"\n", *(entry.data for entry in entries)])
    digest = hashlib.sha256(data).hexdigest()
    first, last = entries[0].title_number, entries[-1].title_number
    return PackName(first, last, len(data), digest), data


def open_pack(name: PackName, data: bytes, origin: str) -> OpenPack:
    """Return the entries of a pack; each is what its address names.

    Raises MalformedError if any byte of the pack contradicts its name or its index, or if it is
    another ledger's; UnsupportedFormatError for a later format.
    """
    if len(data) != name.size or len(data) > MAX_PACK:
        raise MalformedError(f"not a pack: {len(data):,} bytes, of {name.size:,} in its name")
    if hashlib.sha256(data).hexdigest() != name.digest:
        raise MalformedError("not the pack that it was: its sha256 is not the one in its name")
    start = data.find(b"\n") + 1
    items = _decode_index(data[: max(start - 1, 0)], origin)
    found: dict[str, dict[str, slice]] = {}
    title_number = ""
    for title, address, place in _cut(items, start, len(data)):
        if title != title_number and layout.head_key(title) <= layout.head_key(title_number):
            raise MalformedError("not a pack: its titles are in another order than their keys")
        title_number = title
        entries = found.setdefault(title, {})
        if address in entries:
            raise MalformedError(f"not a pack: it has {address} twice")
        if not is_settled_by(address, data[place]):
            what = "have another address, or another text than it names"
            raise MalformedError(f"not a pack: its bytes for {address} {what}")
        entries[address] = place
    if (next(iter(found)), title_number) != (name.first, name.last):
        raise MalformedError("not a pack: its titles are not those in its name")
    return OpenPack(data, found)


def _decode_index(line: bytes, origin: str) -> list[tuple[str, str, int]]:
    """Read an index by its exact form: to decode any JSON of this size would cost far more."""
    if not INDEX.fullmatch(line):
        later = LATER.search(line, max(0, len(line) - 1000))
        if later and int(later[1]) != FORMAT:
            raise UnsupportedFormatError(f"a pack of format {int(later[1])}; this knows {FORMAT}")
        raise MalformedError("not a pack: its index is not a list of entries, a format, a ledger")
    found = TAIL.search(line)
    if found is None:
        raise MalformedError("not a pack: its index names no ledger")
    if found[1] != canonical.encode(origin):
        raise MalformedError("a pack of another ledger")
    return [
        (title.decode(), address.decode(), int(length))
        for title, address, length in ITEM.findall(line)
    ]


def _cut(
    items: list[tuple[str, str, int]], place: int, end: int
) -> Iterator[tuple[str, str, slice]]:
    """Yield the title and address of each item of an index, and where its bytes are.

    Each length is compared with what is left, and the bytes must end with the last item.
    """
    for title_number, address, length in items:
        if not layout.is_title_number(title_number) or length > MAX_BYTES:
            raise MalformedError("not a pack: an item of its index names no entry")
        if length > end - place:
            raise MalformedError("not a pack: it ends before its last entry")
        yield title_number, address, slice(place, place + length)
        place += length
    if place != end:
        raise MalformedError("not a pack: bytes after its last entry")
