"""Take a batch apart into its records: JSON lines, the items of a JSON array, or rows of CSV.

None of them is read whole, so a file may be larger than the memory.
"""

from __future__ import annotations

import codecs
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ledger import InvalidError, MalformedError
from ledger.format.canonical import MAX_DEPTH, decode
from ledger.format.entry import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = MAX_BYTES * 8
"""The longest record, in bytes. Written wastefully, an entry can need that many."""

CHUNK = 1 << 20
BOM = codecs.BOM_UTF8
SPACES = re.compile(r"[ \t\r\n]*")
NUMBER_GOES_ON = re.compile(r"[0-9][.eE]")
BEGINNING = 4096
"""Bytes from which the kind of a file is guessed."""

FILE = "{file}"
"""What stands in a hint for the name of the file, which is not known here."""


class Place(NamedTuple):
    """Where a record is in its file."""

    line: int
    """The line in which it begins, from 1 on."""
    item: int = 0
    """Which item of an array it is, from 1 on; 0: it is in no array."""

    def __str__(self) -> str:
        return f"item {self.item} (line {self.line})" if self.item else f"line {self.line}"


class Record(NamedTuple):
    """A record, which is yet to be read."""

    place: Place
    read: Callable[[], Any]
    """Returns its value; raises MalformedError if it has none."""


def find_reader(beginning: bytes) -> Callable[[BinaryIO], Iterator[Record]]:
    """Choose the reader of a JSON file by its first bytes."""
    is_array = beginning.removeprefix(BOM).lstrip().startswith(b"[")
    return read_array if is_array else read_lines


def looks_like_json(beginning: bytes) -> bool:
    """Tell whether a file begins as an object or an array does, and no header."""
    return beginning.removeprefix(BOM).lstrip()[:1] in {b"{", b"["}


def read_lines(source: BinaryIO) -> Iterator[Record]:
    """Yield a record for every line that is not blank; the first tells whether it is JSON."""
    is_first = True
    for number, line in bounded_lines(source):
        if line.strip():
            read = partial(_read_line, number, line)
            if is_first:
                _check_first(line, read)
                is_first = False
            yield Record(Place(number), read)


def _read_line(number: int, line: bytes) -> Any:
    if len(line) > LONGEST:
        raise too_large()
    text_of(number, line)
    return decode(line, depth=MAX_DEPTH + 1)


def _check_first(line: bytes, read: Callable[[], Any]) -> None:
    """Raise an error that says what the file looks like, if its first line is not JSON."""
    try:
        read()
    except MalformedError:
        text = line.strip()
        if text.startswith(b"{") and text.endswith((b"{", b"[", b",")):
            raise InvalidError(
                "it looks like pretty-printed JSON, but each line has to be an object",
                hint=f"'jq -c . {FILE} > lines.jsonl' writes one on each line; an array"
                " may be spread over lines as it is",
            ) from None
        if not text.startswith(b"{") and (found := re.search(rb"[,;\t]", text)):
            sign = found[0].decode()
            more = "" if sign == "," else f" --delimiter {'TAB' if sign == chr(9) else repr(sign)}"
            raise InvalidError(
                "it looks like CSV",
                hint=f"add --csv{more}, and --title-column NAME if no column is title_number",
            ) from None


def bounded_lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield every line with its number; only the beginning of one that is longer than LONGEST."""
    number = 0
    while line := source.readline(LONGEST + 1):
        number += 1
        rest = line
        while not rest.endswith(b"\n") and (rest := source.readline(LONGEST)):
            pass
        yield number, line.removeprefix(BOM) if number == 1 else line


def text_of(number: int, line: bytes) -> str:
    """Return a line's text; raises an error that names its encoding if that is not UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise _other_encoding(Place(number), error.object[error.start : error.start + 1]) from None


def _other_encoding(place: Place, byte: bytes) -> EncodingError:
    told = f"; in Windows-1252 and Latin-1 that is {byte.decode('latin-1')!r}"
    return EncodingError(
        f"{place} is not UTF-8: it has the byte 0x{byte.hex().upper()}"
        f"{told if byte >= bytes([0xA0]) else ''}",
        hint=f"'iconv -f WINDOWS-1252 -t UTF-8 {FILE} > utf8' converts it",
    )


class EncodingError(InvalidError):
    """A file is not UTF-8, so that no more than its first bad line need be named."""


def check_encoding(beginning: bytes) -> None:
    """Raise an error that names UTF-16 or UTF-32, if the file begins like it."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in beginning:
        raise EncodingError(
            "it looks like UTF-16, not UTF-8",
            hint=f"'iconv -f UTF-16 -t UTF-8 {FILE} > utf8' converts it",
        )


def too_large() -> InvalidError:
    """Make the error of a record that is longer than any entry."""
    return InvalidError(f"too large: an entry has at most {MAX_BYTES:,} bytes")


# -- An array ------------------------------------------------------------------------------------

# It only finds where an item ends. The item's text is then read again, strictly.
_FINDER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def read_array(source: BinaryIO) -> Iterator[Record]:
    """Yield a record for every item of a JSON array, however it is spread over lines."""
    text = _Text(source)
    text.skip("[")
    number, is_first = 0, text.next() != "]"
    while is_first or text.next() == ",":
        if not is_first:
            text.skip(",")
        is_first = False
        number += 1
        text.next()
        place = Place(text.line, number)
        yield Record(place, partial(_read_item, text.take(number)))
    text.skip("]")
    if text.next():
        raise MalformedError(f"line {text.line}: there is more after the array's end")


def _read_item(item: str) -> Any:
    return decode(item.encode(), depth=MAX_DEPTH + 1)


class _Text:
    """The text of a file, of which only the part that is being read is in memory."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._is_whole = False
        self.line = 1
        """The line of the next character."""

    def next(self) -> str:
        """Skip spaces, and return the character after them without taking it; "" at the end."""
        while True:
            self._move(SPACES.match(self._text, self._at).end())  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def skip(self, sign: str) -> None:
        """Take this character, which has to be the next one after any spaces."""
        found = self.next()
        if found != sign:
            what = "the file ends" if not found else f"{found!a} is"
            wanted = "',' or ']'" if sign == "]" else repr(sign)
            raise MalformedError(f"line {self.line}: {what} where the array should have {wanted}")
        self._move(self._at + 1)

    def take(self, number: int) -> str:
        """Return the text of the next item of the array, which begins here."""
        while (end := self._find_end()) is None:
            # What can't be read may only be cut off, until there is enough of it, or no more.
            if len(self._text) - self._at > LONGEST or not self._more():
                raise self._cannot_read(number)
        item = self._text[self._at : end]
        self._move(end)
        return item

    def _find_end(self) -> int | None:
        """Return where the item ends; None if that can't be told from what was read yet."""
        try:
            end = _FINDER.raw_decode(self._text, self._at)[1]
        except (ValueError, RecursionError):
            return None
        after = SPACES.match(self._text, end)
        is_cut = NUMBER_GOES_ON.match(self._text, end - 1)  # it may, in what is not read yet
        return end if after and after.end() < len(self._text) and not is_cut else None

    def _cannot_read(self, number: int) -> MalformedError:
        place = Place(self.line, number)
        if len(self._text) - self._at > LONGEST:
            return MalformedError(f"{place}: not JSON, or too large")
        try:
            end = _FINDER.raw_decode(self._text, self._at)[1]
        except json.JSONDecodeError as error:
            line = self.line + self._text.count("\n", self._at, error.pos)
            return MalformedError(f"{place}: not JSON: {error.msg} (line {line})")
        except (ValueError, RecursionError):
            return MalformedError(f"{place}: not JSON, or nested too deeply")
        self._move(end)
        return MalformedError(
            f"line {self.line}: the file ends where the array should have ',' or ']'"
        )

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        """Read another piece; False if there is none."""
        if self._is_whole:
            return False
        data = self._source.read(CHUNK)
        self._is_whole = not data
        try:
            new = self._decoder.decode(data, final=self._is_whole)
        except UnicodeDecodeError as error:
            line = self.line + self._text.count("\n", self._at)
            line += error.object.count(b"\n", 0, error.start)
            byte = error.object[error.start : error.start + 1]
            raise _other_encoding(Place(line), byte) from None
        self._text = self._text[self._at :] + new
        self._at = 0
        return not self._is_whole or bool(new)
