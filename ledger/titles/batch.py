"""Many appends at once: titles side by side, the versions of one title in the order given.

If the store says that this is worth it, the drafts of several titles are written together.
Only the appends themselves run in other threads. The thread that iterates over the outcomes decides
what is taken, started and handed out. So nothing needs a lock, and to stop iterating stops it.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import LedgerError, NotDurable, Skipped
from ledger.format import canonical, layout
from ledger.format.entry import MAX_BYTES, OPEN, Entry
from ledger.format.given import check_given
from ledger.format.signing import PrivateKey
from ledger.stores.base import find_doubt
from ledger.titles.append import (
    Move,
    append,
    check_types,
    finish_move,
    in_doubt,
    is_new,
    move_of,
    not_stored,
    prepare,
    send_heads,
    write,
)
from ledger.titles.draft import ANY, Appended, Draft, Guards, Pen
from ledger.titles.history import History, Tip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

WRITERS = 16
"""Threads, at least, if each draft is appended by itself."""

GROUPS = 4
"""Threads, if drafts are written together: some are prepared while others wait for the disk."""

WINDOW = 1024
"""Drafts that may be taken before the oldest of them is done."""

WINDOW_BYTES = 16 << 20
"""Bytes of their documents, at which no more drafts are taken."""


class Done(NamedTuple):
    """A draft that was appended, or was there already."""

    draft: Draft
    appended: Appended
    error: None
    number: int
    """Which draft of the batch it is, from 1 on: a batch that is stopped leaves some out."""


class Failed(NamedTuple):
    """A draft that was not appended."""

    draft: Draft
    appended: None
    error: LedgerError
    number: int
    """Which draft of the batch it is, from 1 on."""


_Todo: TypeAlias = tuple[Draft, Tip]

Outcome: TypeAlias = Done | Failed
"""What became of one draft. Of ``appended`` and ``error`` one is None: a type checker knows it."""


def append_many(
    history: History,
    pen: Pen,
    drafts: Iterable[Draft],
    *,
    guards: Guards = Guards(),  # noqa: B008 -- frozen
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Append the drafts, and yield the outcomes in their order; see ``Ledger.append_many``."""
    together = history.store.together
    writers = GROUPS if together > 1 else max(WRITERS, history.store.concurrency)
    # Leaving the pool waits for what is being written; more than that was never handed to it.
    with ThreadPoolExecutor(writers, thread_name_prefix="ledger-append") as pool:
        window = _Window(
            start=lambda todo: pool.submit(append_together, history, pen, todo, guards),
            open_tip=lambda title_number: Tip(history, title_number),
            writers=writers,
            together=together,
        )
        yield from window.run(iter(drafts), stop)


def append_together(
    history: History, pen: Pen, todo: list[_Todo], guards: Guards
) -> list[Appended | LedgerError]:
    """Append drafts of different titles, and write them together; each has its own outcome."""
    if len(todo) == 1:
        ((draft, tip),) = todo
        return [_outcome(partial(append, history, pen, draft, guards=guards, tip=tip))]
    outcomes = [_outcome(partial(_prepare, history, pen, *each, guards)) for each in todo]
    prepared = {n: each for n, each in enumerate(outcomes) if isinstance(each, Appended)}
    moves = {
        n: move_of(each.entry, todo[n][1]) for n, each in prepared.items() if is_new(each, guards)
    }
    there = [each for n, each in prepared.items() if n not in moves]
    sent = _send(history, moves, there)

    def finish(n: int) -> Appended:
        (draft, tip), each = todo[n], prepared[n]
        if isinstance(sent, NotDurable):
            raise not_stored(draft.title_number, sent) if n in moves else in_doubt(each.entry, sent)
        if sent is None:
            done = write(history, each, tip, guards)
        else:
            done = n not in moves or finish_move(history, moves[n], tip, sent[n])
        return each if done else append(history, pen, draft, guards=guards, tip=tip)

    for n in prepared:
        outcomes[n] = _outcome(partial(finish, n))
    return outcomes


def _prepare(history: History, pen: Pen, draft: Draft, tip: Tip, guards: Guards) -> Appended:
    check_types(draft, guards)
    if guards.skip_unchanged:
        tip.forget()
    return prepare(history, pen, draft, ANY, guards, tip)


def _send(
    history: History, moves: dict[int, Move], there: list[Appended]
) -> dict[int, str | LedgerError] | NotDurable | None:
    """Write all that the moves need and send the heads; make durable what is ``there`` already.

    None: it failed before a head was sent. Written by itself, each draft tells what is wrong. But
    after NotDurable nothing is tried again.
    """
    entries = [each.entry for each in there if each.repeated]
    repeated = [(layout.entry_key(each.title_number, each.address), each.data) for each in entries]
    heads = [layout.head_key(each.entry.title_number) for each in there if not each.repeated]
    try:
        history.store.make_durable(*heads)
        sent = send_heads(history, list(moves.values()), "these titles", repeated)
    except LedgerError as error:
        return find_doubt(error)
    return dict(zip(moves, sent, strict=True))


def _outcome(work: Callable[[], Appended]) -> Appended | LedgerError:
    try:
        return work()
    except LedgerError as error:
        return error


def check_draft(draft: Draft) -> None:
    """Raise the MalformedError that an append of this draft would, whatever its title holds."""
    Entry.sign(
        _nobody(),
        ledger="example.org",
        title_number=layout.check_title_number(draft.title_number),
        document=draft.document,
        recorded_at="2000-01-01T00:00:00.000000Z",
        salt=bytes(32),
        kind=draft.kind,
        message=draft.message,
        author=draft.author,
        effective_at=draft.effective_at,
        effective_until=draft.effective_until,
        reference=draft.reference,
        part=draft.part,
        status=OPEN if draft.status is None else draft.status,
    )


@cache
def _nobody() -> PrivateKey:
    """Return a key that everybody knows: what it signs is thrown away."""
    return PrivateKey(bytes(32))


@dataclass(slots=True, eq=False)
class _Slot:
    """A draft in the window."""

    number: int
    """Which draft of the batch it is, from 1 on."""
    draft: Draft
    weight: int
    outcome: Outcome | None = None


@dataclass(slots=True, eq=False)
class _TitleQueue:
    """A title that has drafts in the window; forgotten, with its tip, when it has none."""

    tip: Tip
    drafts: int = 0
    busy: bool = False
    """It is being written to, or about to be."""
    waiting: deque[_Slot] = field(default_factory=deque)


class _Window:
    """The window of drafts that were taken and whose outcomes have not been handed out yet."""

    def __init__(
        self,
        start: Callable[[list[_Todo]], Future[list[Appended | LedgerError]]],
        open_tip: Callable[[str], Tip],
        writers: int,
        together: int,
    ) -> None:
        self._start = start
        self._open_tip = open_tip
        self._writers = writers
        self._together = together
        self._taken = 0
        self._weight = 0
        self._slots: deque[_Slot] = deque()
        self._titles: dict[str, _TitleQueue] = {}
        self._ready: deque[_TitleQueue] = deque()
        self._under_way: dict[Future[list[Appended | LedgerError]], list[_Slot]] = {}
        self._done: SimpleQueue[Future[list[Appended | LedgerError]]] = SimpleQueue()
        # Which draft of a title failed. It grows with the failures, and with nothing else.
        self._failed: dict[str, int] = {}

    def run(self, drafts: Iterator[Draft], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Take, start and collect, until all is done or nothing new is wanted."""
        more, failure = True, None
        while more or self._slots:
            if stop():
                yield from self._finish()
                return
            while not self._done.empty():
                self._collect()
            self._start_ready()  # all may be done: what is waited for below has to be under way
            if more and len(self._slots) < WINDOW and self._weight < WINDOW_BYTES:
                try:
                    more = self._take(drafts)
                except Exception as error:  # noqa: BLE001 -- raised when what came before it is done
                    more, failure = False, error
            elif self._slots[0].outcome is None:
                self._collect()
            self._start_ready()
            yield from self._release()
        if failure is not None:
            raise failure

    def _take(self, drafts: Iterator[Draft]) -> bool:
        """Put the next draft into the window; False if there is none."""
        try:
            draft = next(drafts)
        except StopIteration:
            return False
        check_given(draft, Draft, "a Draft")
        self._taken += 1
        slot = _Slot(self._taken, draft, _weigh(draft))
        self._slots.append(slot)
        self._weight += slot.weight
        title = self._titles.get(draft.title_number)
        if title is None:
            title = self._titles[draft.title_number] = _TitleQueue(
                self._open_tip(draft.title_number)
            )
        title.drafts += 1
        title.waiting.append(slot)
        self._go_on(title)
        return True

    def _go_on(self, title: _TitleQueue) -> None:
        """Queue the title for a writer, if it is free and has something to be written."""
        while title.waiting and (failed := self._failed.get(title.waiting[0].draft.title_number)):
            slot = title.waiting.popleft()
            skipped = _skipped(slot.draft, failed)
            slot.outcome = Failed(slot.draft, None, skipped, slot.number)
        if title.waiting and not title.busy:
            title.busy = True
            self._ready.append(title)

    def _start_ready(self) -> None:
        while self._ready and len(self._under_way) < self._writers:
            titles = [self._ready.popleft() for _ in range(min(self._together, len(self._ready)))]
            slots = [title.waiting.popleft() for title in titles]
            future = self._start(
                [(slot.draft, title.tip) for slot, title in zip(slots, titles, strict=True)]
            )
            self._under_way[future] = slots
            future.add_done_callback(self._done.put)

    def _collect(self) -> None:
        """Wait for some appends to be done, and let their titles go on."""
        future = self._done.get()
        for slot, outcome in zip(self._under_way.pop(future), future.result(), strict=True):
            draft = slot.draft
            if isinstance(outcome, LedgerError):
                slot.outcome = Failed(draft, None, outcome, slot.number)
                self._failed[draft.title_number] = slot.number
            else:
                slot.outcome = Done(draft, outcome, None, slot.number)
            title = self._titles[draft.title_number]
            title.busy = False
            self._go_on(title)

    def _release(self) -> Iterator[Outcome]:
        """Hand out what is done, up to the first that isn't."""
        while self._slots and (outcome := self._slots[0].outcome):
            slot = self._slots.popleft()
            self._weight -= slot.weight
            title = self._titles[slot.draft.title_number]
            title.drafts -= 1
            if not title.drafts:
                del self._titles[slot.draft.title_number]
            yield outcome

    def _finish(self) -> Iterator[Outcome]:
        """Hand out what is done or being written; the others have no outcome."""
        while self._under_way:
            self._collect()
        yield from (slot.outcome for slot in self._slots if slot.outcome)


def _weigh(draft: Draft) -> int:
    try:
        return len(canonical.spell(draft.document))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return MAX_BYTES  # it will be refused; till then it may be as large as any


def _skipped(draft: Draft, failed: int) -> Skipped:
    return Skipped(
        f"not appended to {draft.title_number}: draft {failed} of this batch, which comes before it"
        " in the same title, failed",
        hint="nothing was written; see to the first failure of the title, then append both again",
        draft=failed,
    )
