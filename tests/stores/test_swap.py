"""The one compare-and-swap: whatever is lost on the way, what it says of the swap is true."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from ledger.errors import (
    HeadMoved,
    IntegrityError,
    LedgerError,
    NotDurable,
    NotFoundError,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from ledger.stores import Blob, MemoryStore
from ledger.stores.swap import RACES, SENDS, swap, update
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KEY = "TN1/head.json"
OLD, OURS, RIVAL = b"old", b"ours", b"rival"

NOTHING = {
    "refused": PreconditionFailed,
    "unclear": OutcomeUnknown,
    "late": OutcomeUnknown,
    "down": StoreUnavailable,
    "denied": StoreDenied,
    "gone": NotFoundError,
}
"""What a send is answered that has not written, or (``late``) not yet."""

WRITTEN = {"refused ours": PreconditionFailed, "lost": OutcomeUnknown, "not durable": NotDurable}
"""What a send is answered that has written."""

ANSWERS = ("sent", "refused", "unclear", "late", "down", *WRITTEN)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


class Scripted(Wrapper):
    """Answers each send, and each read, as it is told to, and knows what was written."""

    def __init__(
        self,
        expected: bytes | None,
        answers: Sequence[str] = (),
        *,
        broken_read: int | None = None,
        rival_before: int | None = None,
        error: type[LedgerError] = StoreUnavailable,
    ) -> None:
        super().__init__(MemoryStore())
        self.expected = self.inner.create(KEY, expected) if expected else None
        self.written = [expected] if expected else []
        self.answers = answers
        self.broken_read = broken_read
        self.rival_before = rival_before
        self.error = error
        self.sends = self.reads = self.steps = self.forced = 0
        self.late: list[Callable[[], object]] = []

    def step(self) -> None:
        """Let the rival write, if it is its turn."""
        if self.steps == self.rival_before:
            there = self.inner.get(KEY)
            if there is None:
                self.inner.create(KEY, RIVAL)
            else:
                self.inner.replace(KEY, RIVAL, there.version)
            self.written.append(RIVAL)
        self.steps += 1

    def land(self) -> None:
        """Let what is still on its way arrive."""
        arrived, self.late = self.late, []
        for send in arrived:
            try:
                send()
            except PreconditionFailed:
                continue

    def get(self, key: str) -> Blob | None:
        self.step()
        self.reads += 1
        if self.reads - 1 == self.broken_read:
            raise self.error("cannot read")
        return self.inner.get(key)

    def create(self, key: str, data: bytes) -> str:
        return self.send(lambda: self.write(data, self.inner.create(key, data)))

    def replace(self, key: str, data: bytes, expected: str) -> str:
        return self.send(lambda: self.write(data, self.inner.replace(key, data, expected)))

    def write(self, data: bytes, version: str) -> str:
        if not self.written or self.written[-1] != data:
            self.written.append(data)
        return version

    def send(self, write: Callable[[], str]) -> str:
        self.step()
        self.land()
        answer = self.answers[self.sends] if self.sends < len(self.answers) else "sent"
        self.sends += 1
        if answer == "late":
            self.late.append(write)
        if answer in NOTHING:
            raise NOTHING[answer](answer)
        version = write()
        if answer in WRITTEN:
            raise WRITTEN[answer](answer)
        return version

    def make_durable(self, key: str) -> None:
        self.forced += 1
        super().make_durable(key)


def unknown(why: LedgerError) -> OutcomeUnknown:
    return OutcomeUnknown(f"nobody knows: {why}", hint="again")


def is_built_on_ours(store: Scripted) -> Callable[[bytes], bool]:
    return lambda data: OURS in store.written[: store.written.index(data)]


@pytest.mark.parametrize("expected", [None, OLD])
@pytest.mark.parametrize("first", ANSWERS)
def test_every_answer_is_true_whatever_is_lost_at_each_send_and_read(first, expected):
    """No rival, or one before any step; no broken read, or any; three answers, then good ones."""
    places = (None, 0, 1, 2, 3)
    for second, third, rival, broken in product(ANSWERS, ANSWERS, places, places[:3]):
        answers = (first, second, third)
        store = Scripted(expected, answers, rival_before=rival, broken_read=broken)
        case = (answers, rival, broken)
        error = None
        won = None
        try:
            won = swap(
                store,
                KEY,
                OURS,
                store.expected,
                unknown=unknown,
                is_built_on_ours=is_built_on_ours(store),
            )
        except LedgerError as raised:
            error = raised
        used = answers[: store.sends]
        store.land()
        if won:
            assert OURS in store.written, case
            assert won == store.inner.get(KEY), case
        elif error is None:
            assert OURS not in store.written, case
            assert RIVAL in store.written, case
        elif isinstance(error, NotDurable):
            assert used[-1] == "not durable", case
        elif isinstance(error, OutcomeUnknown):
            assert store.reads - 1 == broken, case
        else:
            assert OURS not in store.written, case
            assert used[-1] == "down", case
            assert not {"unclear", "late", "lost"} & set(used), case


@pytest.mark.parametrize("expected", [None, OLD])
def test_a_swap_that_is_answered_reads_nothing(expected):
    store = Scripted(expected)
    won = swap(store, KEY, OURS, store.expected, unknown=unknown)
    assert won == store.inner.get(KEY) == Blob(OURS, won.version)
    assert (store.sends, store.reads, store.forced) == (1, 0, 0)


@pytest.mark.parametrize("expected", [None, OLD])
@pytest.mark.parametrize("answer", ["refused ours", "lost"])
def test_what_only_reading_shows_is_made_durable(answer, expected):
    store = Scripted(expected, [answer])
    assert swap(store, KEY, OURS, store.expected, unknown=unknown) == store.inner.get(KEY)
    assert (store.sends, store.reads, store.forced) == (1, 1, 1)


@pytest.mark.parametrize(
    ("error", "raised"), [(NotDurable, NotDurable), (StoreUnavailable, OutcomeUnknown)]
)
def test_what_can_not_be_made_durable_is_not_said_to_be_unwritten(error, raised):
    class Forgetful(Scripted):
        def make_durable(self, key: str) -> None:
            raise error(f"{key} may not survive")

    store = Forgetful(OLD, ["refused ours"])
    with pytest.raises(raised, match="may not survive"):
        swap(store, KEY, OURS, store.expected, unknown=unknown)


@pytest.mark.parametrize("expected", [None, OLD])
@pytest.mark.parametrize("answer", ["lost", "refused ours"])
def test_a_later_object_that_is_built_on_ours_is_our_success(answer, expected):
    store = Scripted(expected, [answer], rival_before=1)
    won = swap(
        store,
        KEY,
        OURS,
        store.expected,
        unknown=unknown,
        is_built_on_ours=lambda data: data == RIVAL,
    )
    assert won is not None
    assert won.data == RIVAL
    assert store.forced == 1


@pytest.mark.parametrize("expected", [None, OLD])
def test_a_rival_that_was_first_wins_and_nothing_is_sent_again(expected):
    store = Scripted(expected, rival_before=0)
    assert swap(store, KEY, OURS, store.expected, unknown=unknown) is None
    assert (store.sends, store.reads) == (1, 1)


def test_an_object_that_is_gone_was_swapped_by_somebody_else():
    store = Scripted(None)
    assert swap(store, KEY, OURS, "7", unknown=unknown) is None


@pytest.mark.parametrize("answer", ["unclear", "late", "refused"])
@pytest.mark.parametrize("expected", [None, OLD])
def test_an_unchanged_object_is_sent_again_and_its_caller_is_not_asked(expected, answer):
    def never(data: bytes) -> bool:
        raise AssertionError(data)

    store = Scripted(expected, [answer] * (SENDS - 1))
    won = swap(store, KEY, OURS, store.expected, unknown=unknown, is_built_on_ours=never)
    assert won == store.inner.get(KEY)
    assert won.data == OURS


@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied, NotFoundError, IntegrityError])
def test_what_can_not_be_read_back_is_unknown(error):
    store = Scripted(OLD, ["refused"], broken_read=0, error=error)
    with pytest.raises(OutcomeUnknown, match=r"^nobody knows: cannot read$") as caught:
        swap(store, KEY, OURS, store.expected, unknown=unknown)
    assert type(caught.value.__cause__) is error


def test_what_its_caller_can_not_judge_is_unknown():
    def judge(data: bytes) -> bool:
        raise IntegrityError(f"{data!r} is damaged")

    store = Scripted(OLD, rival_before=0)
    with pytest.raises(OutcomeUnknown, match="is damaged") as caught:
        swap(store, KEY, OURS, store.expected, unknown=unknown, is_built_on_ours=judge)
    assert caught.value.hint == "again"


@pytest.mark.parametrize("then", ["unclear", "down", "denied", "refused", "gone"])
def test_a_swap_that_was_unclear_once_is_unknown_in_the_end(then):
    store = Scripted(OLD, ["unclear", *[then] * (SENDS - 1)])
    with pytest.raises(OutcomeUnknown):
        swap(store, KEY, OURS, store.expected, unknown=unknown)
    assert store.sends == store.reads == SENDS


@pytest.mark.parametrize("expected", [None, OLD])
def test_a_store_that_refuses_its_own_version_is_unavailable(expected):
    store = Scripted(expected, ["refused"] * SENDS)
    with pytest.raises(StoreUnavailable, match="refuses the version that it gave itself"):
        swap(store, KEY, OURS, store.expected, unknown=unknown)
    assert store.sends == SENDS


def test_each_wait_is_longer_than_the_one_before(monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    store = Scripted(OLD, ["refused"] * (SENDS - 1))
    assert swap(store, KEY, OURS, store.expected, unknown=unknown)
    assert waits == sorted(set(waits))
    assert sum(waits) < 1


# --- update --------------------------------------------------------------------------------------


def note(found: bytes | None) -> bytes:
    return (found or b"") + b"+"


def after(store: Scripted) -> bytes | None:
    there = store.inner.get(KEY)
    return there.data if there else None


@pytest.mark.parametrize(("expected", "made"), [(None, b"+"), (OLD, b"old+")])
def test_an_update_is_made_of_what_is_there(expected, made):
    store = Scripted(expected)
    update(store, KEY, note, unknown=unknown)
    assert after(store) == made
    assert (store.reads, store.sends) == (1, 1)


@pytest.mark.parametrize("answer", ["sent", "lost", "refused ours", "unclear", "refused"])
def test_an_update_after_a_lost_race_is_made_of_what_the_rival_wrote(answer):
    store = Scripted(OLD, ["sent", answer], rival_before=1)
    update(store, KEY, note, unknown=unknown)
    assert after(store) == b"rival+"


def test_what_is_to_be_left_as_it_is_is_made_durable_and_not_sent():
    store = Scripted(OLD)
    update(store, KEY, lambda _: None, unknown=unknown)
    assert (store.sends, store.forced) == (0, 1)


def test_the_bytes_that_are_there_are_created_once_more():
    created: list[bytes] = []

    class Noting(Scripted):
        def create(self, key: str, data: bytes) -> str:
            created.append(data)
            return super().create(key, data)

    update(Noting(OLD), KEY, lambda found: found, unknown=unknown)
    assert created == [OLD]


def test_what_the_change_raises_is_raised_and_nothing_is_sent():
    def refuse(_: bytes | None) -> bytes:
        raise HeadMoved("not on top of this")

    store = Scripted(OLD)
    with pytest.raises(HeadMoved):
        update(store, KEY, refuse, unknown=unknown)
    assert store.sends == 0


def test_an_update_of_which_nobody_knows_says_how_to_repeat_it():
    store = Scripted(OLD, ["unclear"] * SENDS)
    with pytest.raises(OutcomeUnknown, match="nobody knows: unclear") as e:
        update(store, KEY, note, unknown=unknown)
    assert e.value.hint == "again"


def test_an_update_that_is_not_durable_is_said_to_be_so():
    with pytest.raises(NotDurable):
        update(Scripted(OLD, ["not durable"]), KEY, note, unknown=unknown)


def test_a_store_that_fails_is_raised_as_it_is():
    store = Scripted(OLD, ["down"])
    with pytest.raises(StoreError, match=r"^down$"):
        update(store, KEY, note, unknown=unknown)
    assert after(store) == OLD


def test_an_update_ends_though_others_are_always_first():
    def rivals() -> Iterator[bytes]:
        yield from (f"rival {number}".encode() for number in range(2 * RACES))

    writes = rivals()

    class Busy(Scripted):
        def replace(self, key: str, data: bytes, expected: str) -> str:
            self.inner.replace(key, next(writes), expected)
            return super().replace(key, data, expected)

    store = Busy(OLD)
    with pytest.raises(StoreUnavailable, match=f"other writers were first {RACES} times") as caught:
        update(store, KEY, note, unknown=unknown)
    assert (store.sends, caught.value.hint) == (RACES, "try again")
