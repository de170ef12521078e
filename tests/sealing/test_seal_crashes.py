"""Whatever fails, before or after it took effect: what was acknowledged is logged, once.

Every store operation of a seal, and of an append, fails in its turn; then somebody seals again.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from functools import cache, partial
from itertools import count
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Ledger
from ledger.errors import LedgerError, NotDurable, OutcomeUnknown, StoreUnavailable
from ledger.format.layout import LOG_CHECKPOINT, LOG_STATE, PENDING, STAGING, sealed_key
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import FixedClock
from ledger.tlog import Leaf
from tests.faults.stores import (
    CRASH_AFTER,
    CRASH_BEFORE,
    NOT_DURABLE,
    REFUSED,
    UNKNOWN_AND_DONE,
    UNKNOWN_AND_NOT_DONE,
)
from tests.sealing.sealers import (
    KEYRING,
    REGISTRAR,
    Begun,
    Recorder,
    Sealer,
    assert_one_log,
    assert_sealed,
    assert_signed_no_fork,
    ledger_in,
    log_in,
    logged,
)
from tests.wrappers import CountingStore, CrashError, Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.stores import Store
    from tests.faults.stores import Fault

FAULTS = [CRASH_BEFORE, CRASH_AFTER, REFUSED, UNKNOWN_AND_NOT_DONE, UNKNOWN_AND_DONE, NOT_DURABLE]


class World:
    """A ledger with a log, two sealers, and something new to be logged."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = Recorder(store)
        self.ledger = ledger_in(self.store)
        self.one = Sealer(folder, "one")
        self.two = Sealer(folder, "two")

    def begin(self) -> None:
        """Once for all that have their store in memory: there are hundreds."""
        if isinstance(self.store.inner, MemoryStore):
            _begun().put_into(self.store, self.one, self.two)
        else:
            self._begin()

    def _begin(self) -> None:
        for title in ("A", "B"):
            self.ledger.append(title, {"n": 1})
        self.one.seal(self.store, genesis=True)
        self.two.seal(self.store, adopt=True)
        for title in ("A", "C", "A"):
            self.ledger.append(title, {"n": 2})

    def check(self) -> None:
        assert_sealed(self.ledger)
        assert_one_log(self.store, self.one, self.two)


@cache
def _begun() -> Begun:
    with tempfile.TemporaryDirectory(prefix="title-ledger-") as folder:
        world = World(MemoryStore(), Path(folder))
        world._begin()
        return Begun(world.store, world.one, world.two)


# Each write of a folder is forced to the disk; what a store raises is the same for all of them.
# By default, each operation fails in one of the ways; at length, in every way.
AT_LENGTH = [("memory", fault) for fault in FAULTS] + [("folder", fault) for fault in FAULTS[:2]]
WAYS = [pytest.param("some", fault, id=f"some-{fault}") for fault in FAULTS] + [
    pytest.param(kind, fault, id=f"{kind}-{fault}", marks=pytest.mark.slow)
    for kind, fault in AT_LENGTH
]
every_fault = pytest.mark.parametrize(("kind", "fault"), WAYS)
every_crash = pytest.mark.parametrize(
    ("kind", "fault"), [way for way in WAYS if way.values[1] in FAULTS[:2]]
)


class Worlds(NamedTuple):
    kind: str
    folder: Path

    def make(self) -> World:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        store = FolderStore(folder / "store") if self.kind == "folder" else MemoryStore()
        return World(store, folder)

    def numbers(self, fault: Fault, shift: int) -> Iterator[int]:
        """The operations that fail, one at a time."""
        if self.kind == "some":
            return count(2 * FAULTS.index(fault) + shift, 2 * len(FAULTS))
        return count()


@pytest.fixture
def worlds(kind, tmp_path) -> Worlds:
    return Worlds(kind, tmp_path)


def every_failure(
    worlds: Worlds, fault: Fault, work: Callable[[World, Store], object], shift: int = 0
) -> Iterator[World]:
    """A world for each of the operations of some work, in which that one has failed.

    Or, by default, for half of them; ``shift`` is 0 or 1, and says which half.
    """
    for number in worlds.numbers(fault, shift):
        world = worlds.make()
        failing = fault.at(number, world.store)
        with suppress(LedgerError, CrashError):
            work(world, failing)
        yield world
        if not failing.failed:
            assert number > 3
            return


def seal_by_one(world: World, store: Store) -> None:
    world.begin()
    world.one.seal(store)


@every_fault
def test_a_seal_that_failed_anywhere_is_made_good_by_the_next(worlds, fault):
    for world in every_failure(worlds, fault, seal_by_one):
        world.one.seal(world.store)
        world.check()
        assert_signed_no_fork(world.store, world.one)


@every_fault
def test_what_came_in_after_a_failure_makes_the_sealer_sign_no_fork(worlds, fault):
    for world in every_failure(worlds, fault, seal_by_one, shift=1):
        world.ledger.append("A", {"n": "later"})
        world.one.seal(world.store)
        world.check()
        assert_signed_no_fork(world.store, world.one)


@every_fault
def test_a_seal_that_failed_anywhere_is_made_good_by_another_sealer(worlds, fault):
    for world in every_failure(worlds, fault, seal_by_one):
        world.ledger.append("B", {"n": "later"})
        world.two.seal(world.store)
        world.check()
        world.ledger.append("D", {})
        world.one.seal(world.store)
        world.check()
        world.two.seal(world.store)
        world.check()


@every_crash
def test_two_sealers_that_both_crash_leave_one_log(worlds, fault):
    def both(world: World, failing: Store) -> None:
        world.begin()
        with suppress(CrashError):
            world.two.seal(failing)
        world.ledger.append("B", {"n": "later"})
        world.one.seal(failing)

    for world in every_failure(worlds, fault, both):
        for sealer in (world.one, world.two):
            sealer.seal(world.store)
            world.check()


@every_fault
def test_a_log_whose_beginning_failed_is_begun_by_the_next(worlds, fault):
    def begin(world: World, store: Store) -> None:
        world.ledger.append("A", {})
        world.one.seal(store, genesis=True)

    for world in every_failure(worlds, fault, begin):
        world.one.seal(world.store, genesis=True)
        world.check()


@every_fault
def test_an_append_that_failed_anywhere_is_logged_if_it_happened(worlds, fault):
    acknowledged: list[Leaf] = []

    def append(world: World, store: Store) -> None:
        world.begin()
        acknowledged.clear()
        writer = Ledger.open(store, keyring=KEYRING, signer=REGISTRAR, clock=FixedClock())
        for title in ("A", "E"):
            entry = writer.append(title, {"n": "new"}, reference="case 7")
            acknowledged.append(Leaf(title, entry.version, entry.address))

    for world in every_failure(worlds, fault, append):
        world.one.seal(world.store)
        world.check()
        assert set(acknowledged) <= set(logged(world.store))
        for title in ("A", "E"):  # the client asks again
            world.ledger.append(title, {"n": "new"}, reference="case 7")
        world.one.seal(world.store)
        world.check()


# --- one at a time, as a crash at the right moment is rare ---------------------------------------


def test_a_sealer_that_comes_late_sets_nothing_back(tmp_path):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    log = log_in(world.store)

    class Late(Wrapper):
        """Between its swap and its publishing, another sealer goes on."""

        done = False

        def make_durable(self, key: str) -> None:
            durable.append(key)

        def returned(self, operation: str, key: str) -> None:
            if (operation, key) == ("replace", LOG_STATE) and not self.done:
                self.done = True
                world.two.seal(world.store)
                world.ledger.append("A", {"n": 3})
                world.two.seal(world.store)

    before = log.record("A")
    durable: list[str] = []
    assert world.one.seal(Late(world.store)).leaves == 3
    # What the other one wrote is relied on from here, and it may have been stopped in between.
    assert {LOG_CHECKPOINT, sealed_key("A")} <= set(durable)
    after = log.record("A")
    assert before is not None
    assert after is not None
    assert (before[0].version, after[0].version) == (1, 4)
    world.check()


def test_a_sealer_whose_commit_is_published_by_another_meanwhile_goes_on(tmp_path):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    with pytest.raises(CrashError):  # at the first tile, after the swap
        world.one.seal(AtKey(world.store, "create", "_log/tile/", CrashError("now")))

    class Overtaken(Wrapper):
        done = False

        def called(self, operation: str, key: str) -> None:
            if operation == "get" and key.startswith(STAGING) and not self.done:
                self.done = True
                world.one.seal(world.store)

    store = Overtaken(world.store)
    world.two.seal(store)
    assert store.done
    world.check()


def test_a_sealer_that_is_overtaken_while_it_repeats_what_it_signed_gives_it_up(tmp_path):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    with pytest.raises(CrashError):  # signed and remembered, but not swapped
        world.one.seal(AtKey(world.store, "replace", LOG_STATE, CrashError("now")))

    class Overtaken(Wrapper):
        done = False

        def called(self, operation: str, key: str) -> None:
            if operation == "get" and key.startswith(STAGING) and not self.done:
                self.done = True
                world.ledger.append("A", {"n": "later"})
                world.two.seal(world.store)

    store = Overtaken(world.store)
    world.one.seal(store)
    assert store.done
    assert {state.checkpoint.size for state in world.store.states} == {0, 2, 6}
    world.check()


def test_a_sealer_that_is_overtaken_while_it_repeats_a_record_leaves_the_later_one(tmp_path):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    with pytest.raises(CrashError):
        world.one.seal(AtKey(world.store, "replace", LOG_CHECKPOINT, CrashError("now")))

    class Overtaken(Wrapper):
        done = False

        def returned(self, operation: str, key: str) -> None:
            if (operation, key) == ("get", sealed_key("A")) and not self.done:
                self.done = True
                world.one.seal(world.store)
                world.ledger.append("A", {"n": "later"})
                world.one.seal(world.store)

    store = Overtaken(world.store)
    world.two.seal(store)
    assert store.done
    world.check()


def test_a_record_that_may_not_survive_a_crash_settles_no_marker(tmp_path):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    markers = list(world.store.list(PENDING))
    with pytest.raises(NotDurable):
        world.one.seal(AtKey(world.store, "replace", "_log/sealed/", NotDurable("now"), after=True))
    assert list(world.store.list(PENDING)) == markers
    assert list(world.store.list(STAGING))
    world.one.seal(world.store)
    world.check()


def test_a_record_that_may_not_survive_a_crash_is_put_again_before_markers_are_settled(
    tmp_path,
):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    killed = AtKey(world.store, "replace", sealed_key("A"), CrashError("now"), after=True)
    with pytest.raises(CrashError):
        world.one.seal(killed)
    counting = CountingStore(world.store)
    calls = counting.during(lambda: world.one.seal(counting))
    settled = [n for n, (what, key) in enumerate(calls) if what == "delete" and PENDING in key]
    assert settled
    assert ("create", sealed_key("A")) in calls[: settled[0]]
    world.check()


def test_a_commit_of_which_nothing_can_be_read_any_more_is_an_unknown_outcome(tmp_path):
    """Its swap may have happened: nobody can say that nothing was written."""
    world = World(MemoryStore(), tmp_path)
    world.begin()

    class Unreachable(AtKey):
        def called(self, operation: str, key: str) -> None:
            if self.error is None and operation == "get":
                raise StoreUnavailable("unreachable")

    lost = OutcomeUnknown("timed out")
    with pytest.raises(OutcomeUnknown, match="whether the log was committed: unreachable"):
        world.one.seal(Unreachable(world.store, "replace", LOG_STATE, lost, after=True))
    world.one.seal(world.store)
    world.check()


@pytest.mark.parametrize("key", [sealed_key("A"), LOG_CHECKPOINT])
def test_what_may_have_been_published_is_not_said_to_be_unwritten(tmp_path, key):
    world = World(MemoryStore(), tmp_path)
    world.begin()

    class Lost(Wrapper):
        def replace(self, key_: str, data: bytes, expected: str) -> str:
            if key_ == key:
                raise OutcomeUnknown("timed out")
            return super().replace(key_, data, expected)

    with pytest.raises(OutcomeUnknown, match=f"whether {key} was written: timed out"):
        world.one.seal(Lost(world.store))
    world.one.seal(world.store)
    world.check()


def test_a_state_that_may_not_survive_a_crash_is_made_durable_before_it_is_built_on(tmp_path):
    world = World(MemoryStore(), tmp_path)
    world.begin()
    with pytest.raises(NotDurable):
        world.one.seal(AtKey(world.store, "replace", LOG_STATE, NotDurable("now"), after=True))
    assert not list(world.store.list("_log/tile/0/000.p/5"))
    counting = CountingStore(world.store)
    calls = counting.during(lambda: world.one.seal(counting))
    assert ("create", LOG_STATE) in calls
    world.check()


class AtKey(Wrapper):
    """Fails at one operation on keys that begin so, once, before it takes effect or after."""

    def __init__(
        self,
        inner: Store,
        operation: str,
        prefix: str,
        error: BaseException,
        *,
        after: bool = False,
    ) -> None:
        super().__init__(inner)
        self.target = operation, prefix
        self.error: BaseException | None = error
        self.after = after

    def called(self, operation: str, key: str) -> None:
        if not self.after:
            self._fail(operation, key)

    def returned(self, operation: str, key: str) -> None:
        if self.after:
            self._fail(operation, key)

    def _fail(self, operation: str, key: str) -> None:
        if self.error and operation == self.target[0] and key.startswith(self.target[1]):
            error, self.error = self.error, None
            raise error


# --- any order -----------------------------------------------------------------------------------


class Turns:
    """Lets threads go on one store operation at a time, in an order that is given."""

    def __init__(self, choose: Callable[[list[int]], int]) -> None:
        self.choose = choose
        self.condition = Condition()
        self.waiting: set[int] = set()
        self.running: int | None = None
        self.alive: set[int] = set()

    def wait(self, me: int) -> None:
        with self.condition:
            self.waiting.add(me)
            if self.running == me:
                self.running = None
            self.condition.notify_all()
            self.condition.wait_for(lambda: self.running == me)
            self.waiting.discard(me)

    def end(self, me: int) -> None:
        with self.condition:
            self.alive.discard(me)
            if self.running == me:
                self.running = None
            self.condition.notify_all()

    def run(self, actors: list[Callable[[], None]]) -> None:
        def act(me: int, actor: Callable[[], None]) -> None:
            try:
                self.wait(me)
                actor()
            finally:
                self.end(me)

        self.alive = set(range(len(actors)))
        threads = [Thread(target=act, args=each, daemon=True) for each in enumerate(actors)]
        for thread in threads:
            thread.start()
        while self.alive:
            with self.condition:
                self.condition.wait_for(lambda: self.running is None and self.waiting == self.alive)
                if self.alive:
                    self.running = self.choose(sorted(self.waiting))
                    self.condition.notify_all()
        for thread in threads:
            thread.join(60)


class InTurns(Wrapper):
    """Waits for its turn before every operation."""

    def __init__(self, inner: Store, turns: Turns, me: int) -> None:
        super().__init__(inner)
        self.turns = turns
        self.me = me

    def called(self, operation: str, key: str) -> None:
        self.turns.wait(self.me)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_appends_and_two_sealers_in_any_order_make_one_log(data):
    folder = Path(tempfile.mkdtemp(prefix="title-ledger-"))
    try:
        world = World(MemoryStore(), folder)
        world.begin()
        appended: list[Leaf] = []
        problems: list[BaseException] = []
        # Runs of turns, as long ones meet what single steps hardly ever do.
        runs = data.draw(
            st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12)), max_size=40), label="turns"
        )
        order = [who for who, length in runs for _ in range(length)]

        def choose(waiting: list[int]) -> int:
            while order:
                who = order.pop(0)
                if who in waiting:
                    return who
            return waiting[0]

        turns = Turns(choose)

        def write(store: Store) -> None:
            writer = Ledger.open(store, keyring=KEYRING, signer=REGISTRAR, clock=FixedClock())
            for title in ("A", "D"):
                entry = writer.append(title, {"by": "a writer"})
                appended.append(Leaf(title, entry.version, entry.address))

        def acting(me: int, work: Callable[[Store], object]) -> None:
            try:
                work(InTurns(world.store, turns, me))
            except BaseException as error:  # noqa: BLE001 -- the test's thread raises it
                problems.append(error)

        works = [world.one.seal, world.two.seal, write, write]
        turns.run([partial(acting, me, work) for me, work in enumerate(works)])
        assert not problems, problems
        world.one.seal(world.store)
        world.check()
        assert len(appended) == 4
        assert set(appended) <= set(logged(world.store))
        world.two.seal(world.store)
        world.check()
    finally:
        shutil.rmtree(folder)
