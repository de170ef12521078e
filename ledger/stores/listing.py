"""What a listing may ask for and what it may give, the same for every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import InvalidError
from ledger.format.layout import KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["check_listing", "fold", "is_listed"]

# The bytes of a key are all printable ASCII, so str sorts as bytes do; "0" can begin, continue and
# end a part, so a text is the start of a key exactly if the text and a "0" are one.
FILLER = "0"


def check_listing(prefix: str, after: str, delimiter: str) -> None:
    """Raise InvalidError unless the prefix and ``after`` begin a key and the delimiter is "/"."""
    for name, text in (("prefix", prefix), ("position", after)):
        if not KEY.fullmatch(text + FILLER):
            raise InvalidError(f"not a {name} of object keys: {text!r:.120}")
    if delimiter not in {"", "/"}:
        raise InvalidError(f"not a delimiter of object keys: {delimiter!r:.20} (only '/' is)")


def is_listed(item: str) -> bool:
    """Whether a name found in a store is a key or a folder of keys; other files are not ours."""
    return KEY.fullmatch(item + FILLER if item.endswith("/") else item) is not None


def fold(keys: Iterable[str], prefix: str, delimiter: str) -> Iterator[str]:
    """Give sorted keys, those that go on behind a delimiter once, as what is common to them."""
    last = ""
    for key in keys:
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        item = key if end < 0 else key[: end + 1]
        if item != last:
            yield item
        last = item
