"""The store protocol: dumb objects, and compare-and-swap on one of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from ledger.errors import InvalidError, LedgerError, NotDurable, StoreUnavailable
from ledger.format.layout import KEY

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime


# The bytes of a key are all printable ASCII, so str sorts as bytes do; "0" can begin, continue and
# end a part, so a text is the start of a key exactly if the text and a "0" are one.
FILLER = "0"

CONNECTIONS = 64
"""Requests to a server that are under way at once, if nobody says otherwise."""

MOST_KEYS = 1_000_000
"""Keys that are held at once, to sort them: more than the versions of any title."""

OBJECTS_HEADER = "Ledger-Objects"
"""The header by which a service tells that an answer is about an object, a 404 too."""


class Blob(NamedTuple):
    """An object as it was read: its bytes, and an opaque version to replace it by."""

    data: bytes
    version: str


class Swap(NamedTuple):
    """An object that is to be replaced if it has still a version, or created."""

    key: str
    data: bytes
    expected: str | None
    """The version to be replaced; None: there must be no object, or one with the same bytes."""


IsUnwanted: TypeAlias = "Callable[[str, Callable[[], bytes]], bool]"
"""Judges an older version of an object by its key, and by its bytes, which it can read."""


class Store(Protocol):
    """What a ledger needs of the place it is kept in.

    Keys are those of ``ledger.format.layout``; anything else is refused with InvalidError. Every
    call is safe from many threads and processes. A call that fails raises one of

    * ``StoreError`` (StoreUnavailable, for a bucket that is not there too, StoreDenied): it did not
      happen;
    * ``PreconditionFailed``: it did not happen, as its condition did not hold;
    * ``OutcomeUnknown``: a write that may have happened (a timeout, a reset, a server's error);
    * ``IntegrityError``: what is there is not an object (a link, a folder, a wrong checksum).

    ``ledger.testing.StoreContract`` is the executable form of this page.
    """

    url: str
    """How a person names this store: what ``open_store`` takes, without credentials."""

    concurrency: int = 1
    """Reads that are worth having under way at once: 1 if a read does not wait for a network."""

    together: int = 1
    """Appends that are worth being written at once, by ``swap_many``."""

    is_listable: bool = True
    """Whether ``list`` answers. If not, titles are found by the log."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be pickled; a store that another process can open overrides this."""
        raise InvalidError(
            f"{self.url} can't be used from other processes",
            hint="use threads: pass no executor, or a ThreadPoolExecutor",
        )

    def get(self, key: str) -> Blob | None:
        """The object, or None if there is none."""
        ...

    def create(self, key: str, data: bytes) -> str:
        """Create the object, durably, and return its version.

        An object that is there already with the same bytes is success; with other bytes,
        PreconditionFailed.
        """
        ...

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Replace the object if its version is still ``expected``, durably; return the new version.

        PreconditionFailed if it is not, or if there is no object.
        """
        ...

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        """The keys that start with ``prefix`` and sort after ``after``, in their bytes' order.

        With a delimiter ("/"), keys that go on behind the next one are given once, as what is
        common to them, up to and with the delimiter; ``after`` is compared with that. A listing may
        be stale: believe no absence.
        """
        ...

    def list_newest(self, prefix: str, about: int) -> Iterable[Sequence[str]]:
        """The keys that ``list`` gives, in groups, that which was written last first.

        A group's keys were written at one time, as far as the store can tell. ``about``: how many
        keys are expected; of many more, some may be left out. It is a guess, and decides nothing.
        """
        return [list(islice(self.list(prefix), most_listed(about)))]

    def delete(self, key: str) -> None:
        """Delete an object that ``layout.check_deletable`` lets go; success if there is none.

        Heads, ``ledger.json`` and the log are refused with InvalidError.
        """
        ...

    def purge(self, prefix: str, is_unwanted: IsUnwanted) -> tuple[str, ...]:  # noqa: ARG002 -- see S3
        """Delete older versions of the objects below a prefix: those that are unwanted.

        Return what could not be deleted, and why, in words. The objects that ``get`` finds stay. A
        store that keeps no older versions has nothing to do.
        """
        return ()

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
        """Every key with what ``get`` would answer, in the order asked for."""
        for key in keys:
            yield key, self.get(key)

    def create_many(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Create all the objects, in any order or side by side; the first failure is raised."""
        for key, data in objects:
            self.create(key, data)

    def swap_many(
        self, objects: Iterable[tuple[str, bytes]], swaps: Sequence[Swap]
    ) -> Sequence[str | LedgerError]:
        """Create the objects, then ``replace`` or ``create`` what each swap says.

        No swap happens before all the objects are there, durably. If that fails, no swap happens,
        and the first failure is raised. Then each swap has an outcome of its own, in their order:
        the new version, or the error that the call for this one object would raise.
        """
        self.create_many(objects)
        return [swap_one(self, each) for each in swaps]

    def make_durable(self, *keys: str) -> None:  # noqa: ARG002 -- for stores that have to
        """Make durable what ``get`` answers, whoever wrote it. Raise NotDurable if that fails.

        The writer may have been stopped after the object became visible and before it became
        durable. If a store shows only what is durable, this does nothing.
        """
        return

    def check_outside(self, path: str | os.PathLike[str]) -> None:  # noqa: ARG002
        """Raise InvalidError for a file that would be inside the store: only a folder has some."""
        return

    def check_writable(self) -> None:
        """Raise StoreDenied if nothing can ever be written here, so that nobody begins to."""
        return

    def server_time(self, *, remembered: bool = False) -> datetime | None:  # noqa: ARG002
        """What the store's own clock says, to the second; None if it has none, or none is known.

        ``remembered``: as the last answer told it, and the time that has passed here since; this
        asks nothing.
        """
        return None

    def close(self) -> None:
        """Let go of what the store holds open; nothing, for most."""
        return


def swap_one(store: Store, swap: Swap) -> str | LedgerError:
    """Do one swap; return the new version, or why it was not done."""
    key, data, expected = swap
    try:
        return store.create(key, data) if expected is None else store.replace(key, data, expected)
    except LedgerError as error:
        return error


def most_listed(about: int) -> int:
    """How many keys to list of a title that has about so many: some lost a race, or are a flood."""
    return min(2 * about + 1000, MOST_KEYS)


def find_doubt(error: LedgerError) -> NotDurable | None:
    """Return why what failed for several objects together must not be tried for each of them.

    A disk that failed to force names may say yes the next time, without having written them.
    """
    return next((e for e in (error, error.__cause__) if isinstance(e, NotDurable)), None)


class ClosedStore(Store):
    """Takes the place of the store of a ledger that was closed: each use is StoreUnavailable."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, key: str) -> Blob | None:  # noqa: ARG002
        """Raise StoreUnavailable, as all methods do."""
        raise self._closed()

    def create(self, key: str, data: bytes) -> str:  # noqa: ARG002
        """Raise StoreUnavailable."""
        raise self._closed()

    def replace(self, key: str, data: bytes, expected: str) -> str:  # noqa: ARG002
        """Raise StoreUnavailable."""
        raise self._closed()

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:  # noqa: ARG002
        """Raise StoreUnavailable."""
        raise self._closed()

    def delete(self, key: str) -> None:  # noqa: ARG002
        """Raise StoreUnavailable."""
        raise self._closed()

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"the ledger in {self.url} was closed", hint="open it again")


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
