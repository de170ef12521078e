# ruff: noqa: S101  asserts are what a test suite is made of
"""What every store must do, as tests: the executable form of ``ledger.stores.base``.

For those who write a store of their own::

    import pytest
    from ledger.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)      # an empty one, for each test

pytest finds the tests; this module does not import it. To see the values in a failed ``assert``,
put ``pytest.register_assert_rewrite("ledger.stores.contract")`` into a ``conftest.py``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from threading import Barrier
from typing import TYPE_CHECKING

from ledger.errors import InvalidError, OutcomeUnknown, PreconditionFailed
from ledger.stores.base import Swap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.stores.base import Store

HEAD = "TN1234567/head.json"
MARKER = "_pending/TN1234567.1-" + "0" * 64
PROBE = "_probe/contract"

NOT_KEYS = (
    *("", "/", ".", "..", "../x", "/x", "x/"),
    "a//b",
    "a/../b",
    "a/./b",
    "a/..",
    ".hidden",
    "a/.hidden",
    "-a",
    "a\0b",
    "a\n",
    "\na",
    *("a b", "a\\b", "a?b", "a%2fb"),
    "ä",
    "a/\N{FULLWIDTH DIGIT ONE}",
    "\udcff",
    "a/b/c/d/e/f/g/h/i",
)

# In the order of their bytes, which is not that of a walk through folders: "A-1/" is before "A/".
KEYS = (
    "A-1/head.json",
    "A.json",
    "A/b.json",
    "A/head.json",
    "A0/head.json",
    "Z/head.json",
    "_probe/x",
    "ledger.json",
)


class StoreContract:
    """Inherit from it, and give it a ``store`` fixture: an empty store, a new one for each test."""

    # --- get, create -----------------------------------------------------------------------------

    def test_an_object_that_is_not_there_is_none(self, store: Store) -> None:
        """In an empty store, and beside another object."""
        assert store.get("ledger.json") is None
        assert store.get(HEAD) is None
        store.create(HEAD, b"x")
        assert store.get("TN1234567/" + "0" * 64 + ".json") is None

    def test_what_was_created_is_read_with_its_version(self, store: Store) -> None:
        """The version that create returns is the one that get gives."""
        version = store.create(HEAD, b"data")
        there = store.get(HEAD)
        assert there is not None
        assert there.data == b"data"
        assert there.version == version
        assert isinstance(version, str)

    def test_any_bytes_are_kept(self, store: Store) -> None:
        """None, all 256 values, line ends, a whole MiB, and what looks like compressed data."""
        for number, data in enumerate(
            (b"", bytes(range(256)), b"\r\n\n\r\x1a", b"\0" * (1 << 20), b"\x1f\x8b\x08\x00", b" ")
        ):
            key = f"A/{number}.json"
            store.create(key, data)
            assert _data(store, key) == data

    def test_creating_the_same_object_again_is_success(self, store: Store) -> None:
        """This is how a write is repeated whose answer was lost."""
        assert store.create(HEAD, b"same") == store.create(HEAD, b"same")
        assert store.create(MARKER, b"") == store.create(MARKER, b"")

    def test_creating_an_object_with_other_bytes_is_refused(self, store: Store) -> None:
        """Nothing is overwritten, also not by or with an empty object."""
        for key, first, second in (
            (HEAD, b"first", b"other"),
            ("A/1", b"", b"x"),
            ("A/2", b"x", b""),
        ):
            store.create(key, first)
            with _raises(PreconditionFailed):
                store.create(key, second)
            assert _data(store, key) == first

    # --- replace ---------------------------------------------------------------------------------

    def test_an_object_is_replaced_by_its_version(self, store: Store) -> None:
        """With what create, get and replace itself gave."""
        version = store.create(HEAD, b"1")
        version = store.replace(HEAD, b"2", version)
        assert _data(store, HEAD) == b"2"
        store.replace(HEAD, b"3", version)
        store.replace(HEAD, b"4", _version(store, HEAD))
        assert _data(store, HEAD) == b"4"

    def test_a_stale_version_replaces_nothing(self, store: Store) -> None:
        """Nor does one that was never given."""
        stale = store.create(HEAD, b"1")
        store.replace(HEAD, b"2", stale)
        for version in (stale, '"0123456789abcdef0123456789abcdef"'):
            with _raises(PreconditionFailed):
                store.replace(HEAD, b"3", version)
        assert _data(store, HEAD) == b"2"

    def test_an_object_that_is_not_there_is_not_replaced(self, store: Store) -> None:
        """Without a folder, and in one that is there."""
        version = store.create("A/1", b"x")
        for key in (HEAD, "A/2"):
            with _raises(PreconditionFailed):
                store.replace(key, b"x", version)
            assert store.get(key) is None

    def test_another_object_has_another_version(self, store: Store) -> None:
        """Each of several bytes in one place, and never the same before and after."""
        versions = [store.create(HEAD, b"0")]
        for number in range(1, 5):
            versions.append(store.replace(HEAD, b"%d" % number, versions[-1]))
            assert versions[-1] == _version(store, HEAD)
        assert len(set(versions)) == len(versions)

    # --- list ------------------------------------------------------------------------------------

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        """With and without a prefix and a delimiter."""
        assert list(store.list()) == []
        assert list(store.list("A/")) == []
        assert list(store.list(delimiter="/")) == []

    def test_keys_are_listed_in_the_order_of_their_bytes(self, store: Store) -> None:
        """Whatever the order they were created in."""
        _fill(store)
        assert tuple(store.list()) == KEYS
        for about in (0, len(KEYS), 2000):  # one page, and some that are asked for at once
            listed = chain.from_iterable(store.list_newest("A/", about))
            assert sorted(listed) == sorted(store.list("A/"))

    def test_a_prefix_selects_keys_and_may_end_inside_a_name(self, store: Store) -> None:
        """Every prefix of every key."""
        _fill(store)
        for prefix in {key[:end] for key in KEYS for end in range(len(key) + 1)} - {"A-"} | {"A-1"}:
            assert list(store.list(prefix)) == [key for key in KEYS if key.startswith(prefix)]
        assert list(store.list("B")) == []
        assert list(store.list("A/x/y")) == []

    def test_a_listing_goes_on_after_a_key_or_a_folder(self, store: Store) -> None:
        """The key itself is left out; it need not be there, nor have the prefix."""
        _fill(store)
        for after in (*KEYS, "A/", "A", "A/a", "A/c.json", "Y", "z", "0"):
            assert list(store.list(after=after)) == [key for key in KEYS if key > after]
            assert list(store.list("A", after=after)) == [
                key for key in KEYS if key.startswith("A") and key > after
            ]

    def test_a_delimiter_gives_folders_once(self, store: Store) -> None:
        """Below the prefix, in order with the keys beside them."""
        _fill(store)
        expected = ["A-1/", "A.json", "A/", "A0/", "Z/", "_probe/", "ledger.json"]
        assert list(store.list(delimiter="/")) == expected
        assert list(store.list("A", delimiter="/")) == expected[:4]
        assert list(store.list("A/", delimiter="/")) == ["A/b.json", "A/head.json"]
        assert list(store.list("A/h", delimiter="/")) == ["A/head.json"]

    def test_a_listing_of_folders_goes_on_after_each_of_them(self, store: Store) -> None:
        """``after`` is compared with what is given: a folder is not given again after itself."""
        _fill(store)
        whole = list(store.list(delimiter="/"))
        for position, after in enumerate(whole):
            assert list(store.list(after=after, delimiter="/")) == whole[position + 1 :]
        assert list(store.list(after="A/b.json", delimiter="/")) == whole[3:]

    def test_deep_keys_are_listed(self, store: Store) -> None:
        """As the tiles of a log have them."""
        keys = ["_log/tile/0/x001/067", "_log/tile/0/x001/068", "_log/tile/1/000"]
        store.create_many((key, b"x") for key in reversed(keys))
        assert list(store.list("_log/")) == keys
        assert list(store.list("_log/tile/", delimiter="/")) == ["_log/tile/0/", "_log/tile/1/"]
        assert list(store.list("_log/tile/0/x", after=keys[0])) == keys[1:2]

    def test_a_listing_is_longer_than_a_page(self, store: Store) -> None:
        """S3 gives a thousand names at a time."""
        keys = [f"T{number:04}/head.json" for number in range(1001)]
        store.create_many((key, b"") for key in keys)
        assert list(store.list()) == keys
        assert list(store.list(delimiter="/")) == [key.partition("/")[0] + "/" for key in keys]
        assert list(store.list(after=keys[500])) == keys[501:]

    # --- delete ----------------------------------------------------------------------------------

    def test_what_may_go_can_be_deleted(self, store: Store) -> None:
        """Twice as well; then it can be created anew, with other bytes.

        An entry is among it, as a lost race leaves some.
        """
        names = (MARKER, "_references/0ab/1", PROBE, "_packs/A.B.1-0", "_log/staging/1")
        for key in (*names, "A/" + "0" * 64 + ".json"):
            store.delete(key)
            store.create(key, b"1")
            store.delete(key)
            store.delete(key)
            assert store.get(key) is None
            assert list(store.list()) == []
            assert list(store.list(delimiter="/")) == []
            store.create(key, b"2")
            store.delete(key)

    def test_nothing_else_is_ever_deleted(self, store: Store) -> None:
        """Heads, the ledger's own object, the log, what is no entry's."""
        others = ("A/" + "0" * 63 + ".json", "a/" + "0" * 64 + ".json", "_log/checkpoint", "_probe")
        for key in ("ledger.json", HEAD, *others):
            with _raises(InvalidError):
                store.delete(key)
        store.create(HEAD, b"x")
        with _raises(InvalidError):
            store.delete(HEAD)
        assert _data(store, HEAD) == b"x"

    # --- purge -----------------------------------------------------------------------------------

    def test_what_get_finds_is_never_purged(self, store: Store) -> None:
        """Whether older versions are kept or not, none is left after it, and none is in doubt."""
        version = store.create(HEAD, b"1")
        store.replace(HEAD, b"2", version)
        store.create("A/other", b"3")
        for _ in range(2):
            assert store.purge("A/", lambda key, read: key == HEAD and read() == b"1") == ()
        asked: list[tuple[str, bytes]] = []

        def is_unwanted(key: str, read: Callable[[], bytes]) -> bool:
            asked.append((key, read()))
            return False

        assert store.purge("A/", is_unwanted) == ()
        assert asked == []
        assert [_data(store, key) for key in (HEAD, "A/other")] == [b"2", b"3"]

    # --- many ------------------------------------------------------------------------------------

    def test_many_objects_are_read_in_the_order_asked_for(self, store: Store) -> None:
        """Those that are missing too, and one that is asked for twice."""
        keys = [f"A/{number}" for number in range(60)]
        store.create_many((key, key.encode()) for key in keys[::2])
        asked = [*reversed(keys), keys[0], "B/missing"]
        answers = list(store.get_many(iter(asked)))
        assert [key for key, _ in answers] == asked
        for key, there in dict(answers).items():
            assert (there and there.data) == (key.encode() if key in keys[::2] else None)
            assert there is None or store.replace(key, there.data, there.version)
        assert list(store.get_many([])) == []

    def test_many_are_read_as_they_are_taken(self, store: Store) -> None:
        """Neither the keys nor the objects are all held in memory."""
        taken = 0

        def keys() -> Iterator[str]:
            nonlocal taken
            while True:
                taken += 1
                yield f"A/{taken}"

        answers = store.get_many(keys())
        assert [next(answers)[0] for _ in range(3)] == ["A/1", "A/2", "A/3"]
        assert taken < 1000
        close: Callable[[], None] = getattr(answers, "close", lambda: None)
        close()

    def test_creating_many_raises_a_refusal(self, store: Store) -> None:
        """And what is there already with the same bytes is none."""
        store.create("A/5", b"mine")
        store.create_many([])
        store.create_many([("A/5", b"mine"), ("A/6", b"6")])
        with _raises(PreconditionFailed):
            store.create_many((f"A/{number}", b"theirs") for number in range(9))
        assert _data(store, "A/5") == b"mine"

    def test_of_many_swaps_each_has_an_outcome_of_its_own(self, store: Store) -> None:
        """The objects are there by then."""
        version = store.create("A/1", b"1")
        taken = store.create("A/2", b"1")
        swaps = [
            Swap("A/1", b"2", version),
            Swap("A/2", b"2", None),
            Swap("A/3", b"2", None),
            Swap("A/4", b"2", version),
            Swap("B/5", b"2", version),
            Swap("A/2", b"1", None),
            Swap("C/6", b"2", None),
        ]
        outcomes = store.swap_many([("A/new", b"x"), (MARKER, b"")], swaps)
        done = [0, 2, 5, 6]
        for number, (swap, outcome) in enumerate(zip(swaps, outcomes, strict=True)):
            if number in done:
                assert store.get(swap.key) == (swap.data, outcome)
            else:
                assert isinstance(outcome, PreconditionFailed), outcome
        assert store.get("A/2") == (b"1", taken)
        assert [store.get(key) for key in ("A/4", "B/5")] == [None, None]
        assert (_data(store, "A/new"), _data(store, MARKER)) == (b"x", b"")
        store.swap_many([("A/newer", b"x")], [])
        assert _data(store, "A/newer") == b"x"

    def test_no_swap_is_done_if_the_objects_before_cannot_be_created(self, store: Store) -> None:
        """A head never points at what is not there."""
        version = store.create("A/1", b"1")
        store.create("A/new", b"mine")
        swaps = [Swap("A/1", b"2", version), Swap("A/2", b"2", None)]
        with _raises(PreconditionFailed):
            store.swap_many([("A/new", b"theirs")], swaps)
        assert store.get("A/1") == (b"1", version)
        assert store.get("A/2") is None

    def test_making_durable_changes_nothing_that_can_be_read(self, store: Store) -> None:
        """It says nothing of an object that is not there, either."""
        version = store.create(HEAD, b"x")
        for key in (HEAD, "A/missing", "B/missing"):
            store.make_durable(key)
        store.make_durable("B/missing", HEAD, "A/missing")
        store.make_durable()
        assert store.get(HEAD) == (b"x", version)
        assert list(store.list()) == [HEAD]

    # --- keys ------------------------------------------------------------------------------------

    def test_whatever_is_no_key_is_refused_by_every_method(self, store: Store) -> None:
        """Whether it climbs, hides, or would not be the same name everywhere."""
        for key in NOT_KEYS:
            for call in (
                store.get,
                lambda key: store.create(key, b"x"),
                lambda key: store.replace(key, b"x", "version"),
                store.delete,
                lambda key: store.delete(f"_probe/{key}"),
                lambda key: list(store.get_many([key])),
                lambda key: store.create_many([(key, b"x")]),
                lambda key: store.swap_many([(key, b"x")], []),
            ):
                with _raises(InvalidError, f"for {key!r}"):
                    call(key)
            for expected in (None, "version"):
                (outcome,) = store.swap_many([], [Swap(key, b"x", expected)])
                assert isinstance(outcome, InvalidError), key
        assert list(store.list()) == []

    def test_a_listing_of_what_begins_no_key_is_refused_at_once(self, store: Store) -> None:
        """When it is asked for, not when its first key is taken."""
        for text in ("../", "/", "a//", "a/../b", ".", "a/.", "a\0", "a\n", "ä"):
            with _raises(InvalidError, f"for {text!r}"):
                store.list(text)
            with _raises(InvalidError, f"for {text!r}"):
                store.list(after=text)
        with _raises(InvalidError):
            store.list(delimiter="-")

    # --- many at once ----------------------------------------------------------------------------

    def test_of_many_who_create_one_object_one_wins(self, store: Store) -> None:
        """And what it wrote is there."""
        for number in range(3):
            key = f"A/{number}"
            won = _race(partial(store.create, key))
            assert won == [_data(store, key)]

    def test_of_many_who_replace_one_version_one_wins(self, store: Store) -> None:
        """And what it wrote is there."""
        for number in range(3):
            key = f"A/{number}"
            won = _race(partial(store.replace, key, expected=store.create(key, b"-")))
            assert won == [_data(store, key)]

    def test_a_counter_of_many_threads_loses_nothing(self, store: Store) -> None:
        """Each reads, adds one and replaces, until it was not too late."""
        store.create(HEAD, b"0")

        def count(_: int) -> None:
            for _ in range(4):
                while not _add_one(store):
                    pass

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count, range(8)))
        assert _data(store, HEAD) == b"32"

    def test_a_store_has_a_name(self, store: Store) -> None:
        """Which is what ``open_store`` takes, for those it knows."""
        assert isinstance(store.url, str)


def _fill(store: Store) -> None:
    for key in reversed(KEYS):
        store.create(key, key.encode())


def _data(store: Store, key: str) -> bytes | None:
    there = store.get(key)
    return None if there is None else there.data


def _version(store: Store, key: str) -> str:
    there = store.get(key)
    assert there is not None, f"{key} is missing"
    return there.version


def _add_one(store: Store) -> bool:
    there = store.get(HEAD)
    assert there is not None
    try:
        store.replace(HEAD, b"%d" % (int(there.data) + 1), there.version)
    except PreconditionFailed:
        return False
    return True


def _race(write: Callable[[bytes], object], threads: int = 16) -> list[bytes]:
    """Let each thread write bytes of its own, all at once; what was written by those that won.

    An unclear outcome of a loser (some servers answer 500) is no victory and no mistake.
    """
    start = Barrier(threads)

    def run(number: int) -> bytes | None:
        data = b"from thread %d" % number
        start.wait()
        try:
            write(data)
        except (PreconditionFailed, OutcomeUnknown):
            return None
        return data

    with ThreadPoolExecutor(threads) as pool:
        return [data for data in pool.map(run, range(threads)) if data is not None]


@contextmanager
def _raises(error: type[Exception], what: str = "") -> Iterator[None]:
    try:
        yield
    except error:
        return
    raise AssertionError(f"no {error.__name__} {what}".rstrip())
