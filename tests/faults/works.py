"""What is done to a ledger while something fails: it can be repeated, and says what may be left.

Every document is ``{"n": …}``, another one each time, so that a chain is told by its numbers.
"""

from __future__ import annotations

import io
import tempfile
from copy import copy, deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cli.commands.export import new_file
from cli.config import make_own_folder
from ledger import Ledger, Log, create_key, load_key, verify_bundle
from ledger.errors import ConflictError, LedgerError, NotFoundError, StoreError
from ledger.format.layout import LEDGER_KEY, head_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for
from ledger.titles.batch import append_together
from ledger.titles.draft import Draft, Guards
from ledger.titles.history import Tip
from ledger.titles.identity import encode_identity
from tests.faults.tally import Chains, Tally, chains, check_chains, check_verifies, is_prefix
from tests.sealing.sealers import (
    CLOCK,
    KEYRING,
    REGISTRAR,
    Begun,
    Recorder,
    Sealer,
    assert_one_log,
    assert_sealed,
    assert_signed_no_fork,
    log_in,
    logged,
)
from tests.tampering import objects_of
from tests.wrappers import KeepingStore, holding

if TYPE_CHECKING:
    from typing import Self

    from ledger import Pulled
    from ledger.stores import Store


def opened(store: Store) -> Ledger:
    return Ledger.open(store, keyring=KEYRING, signer=REGISTRAR, clock=CLOCK)


def begin(store: Store) -> Ledger:
    """A ledger without the probe of its store, which takes longer than all the rest."""
    store.create(LEDGER_KEY, encode_identity(ORIGIN))
    return opened(store)


def fill(ledger: Ledger, titles: dict[str, int]) -> None:
    """So many versions of each title, with the numbers 1, 2, …"""
    for title, versions in titles.items():
        for number in range(1, versions + 1):
            ledger.append(title, {"n": number})


class Work:
    """Something that a ledger does with its store, in which an operation may fail."""

    before: ClassVar[dict[str, int]] = {}
    """How many versions each title has before it,"""
    after: ClassVar[dict[str, int]] = {}
    """and when it is done."""
    harmless: ClassVar[set[str]] = set()
    one_answer: ClassVar[bool] = True
    """Its error is about all of it; else there are several appends, each with its own answer."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.acknowledged: Chains = {}
        self.nothing_happened: Chains = {}
        """Of what was refused with an error that says so."""
        if isinstance(store, MemoryStore):
            self.take(_prepared(type(self)))
        else:
            self.prepare()

    def prepare(self) -> None:
        fill(begin(self.store), self.before)

    def take(self, made: Prepared) -> None:
        """Be as another that was prepared: that takes as long as what it is prepared for."""
        for key, data in made.objects.items():
            self.store.create(key, data)
        if isinstance(self.store, KeepingStore):
            self.store.older = list(made.older)
        vars(self).update(made.noted)

    def run(self, store: Store) -> None:
        """Do it; raises LedgerError where it failed."""
        raise NotImplementedError

    def rival(self) -> None:
        """Somebody else does the same, at the worst moment."""
        type(self).run(self, self.store)

    def opened_anew(self, store: Store) -> Store:
        """The store for another process, which has not used it before."""
        return store

    def look(self) -> None:
        """Somebody reads what there is, just before the power goes."""

    def after_cut(self, store: Store) -> Self:
        """The same work, for those who find that a power cut has left this; it can be tried out."""
        later = copy(self)
        later.store = store
        later.acknowledged = deepcopy(self.acknowledged)
        later.nothing_happened = deepcopy(self.nothing_happened)
        return later

    def go_on(self, *, done: bool) -> None:
        """Repeat what was not done before the power went."""
        if not done:
            self.run(self.store)

    def allowed(self, title: str, numbers: list[object]) -> bool:
        """Whether a chain is one of those that may be there on the way."""
        done = list(range(1, self.after.get(title, 0) + 1))
        return is_prefix(numbers, done) and len(numbers) >= self.before.get(title, 0)

    def check(self, tally: Tally, where: str) -> None:
        """Nothing is lost, doubled or torn, done or not."""
        ledger = opened(self.store)
        found = chains(ledger)
        there = {title: list(range(1, n + 1)) for title, n in self.before.items()}
        check_chains(tally, found, self.allowed, there | self.acknowledged, where)
        check_verifies(tally, ledger, where, harmless=self.harmless)
        for title, numbers in self.nothing_happened.items():
            there_yet = set(numbers) & set(found.get(title, ()))
            tally.check(not there_yet, "unclear", f"{where}: {title}: said no, and has {there_yet}")

    def check_done(self, tally: Tally, where: str) -> None:
        """All of it is there, once."""
        ledger = opened(self.store)
        done = {title: list(range(1, n + 1)) for title, n in self.after.items()}
        found = chains(ledger)
        check_chains(tally, found, lambda title, ns: ns == done.get(title), done, where)
        check_verifies(tally, ledger, where)


class Prepared(NamedTuple):
    """What a work has prepared, once for all of its type that have their store in memory."""

    objects: dict[str, bytes]
    older: list[tuple[str, bytes]]
    noted: dict[str, Any]
    """What it has noted of itself beside the store; no work changes it."""


@cache
def _prepared(work_type: type[Work]) -> Prepared:
    work = work_type.__new__(work_type)
    with tempfile.TemporaryDirectory(prefix="title-ledger-") as folder:
        store = work.store = KeepingStore()
        work.folder = Path(folder)
        work.prepare()
    noted = {name: of for name, of in vars(work).items() if name not in {"store", "folder"}}
    return Prepared(objects_of(store), store.older, noted)


class Append(Work):
    """A later version of one title, and the first of another."""

    before: ClassVar = {"A": 2}
    after: ClassVar = {"A": 3, "B": 1}
    one_answer: ClassVar = False

    def run(self, store: Store) -> None:
        ledger = opened(store)
        for title, number in (("A", 3), ("B", 1)):
            try:
                ledger.append(title, {"n": number}, reference=f"case {title}")
            except (StoreError, ConflictError):
                self.nothing_happened.setdefault(title, []).append(number)
                raise
            self.acknowledged.setdefault(title, []).append(number)

    def rival(self) -> None:
        Append.run(self, self.store)


class Second(Work):
    """The first version of the second title."""

    before: ClassVar = {"A": 1}
    after: ClassVar = {"A": 1, "B": 1}

    def run(self, store: Store) -> None:
        opened(store).append("B", {"n": 1}, reference="case B")
        self.acknowledged = {"B": [1]}


class First(Work):
    """A ledger that is made, without the probe of its store, and its first title."""

    after: ClassVar = {"B": 1}

    def prepare(self) -> None:
        return

    def run(self, store: Store) -> None:
        begin(store).append("B", {"n": 1}, reference="case B")
        self.acknowledged = {"B": [1]}

    def check(self, tally: Tally, where: str) -> None:
        if self.store.get(LEDGER_KEY) is not None:
            super().check(tally, where)
        else:
            tally.check(not self.acknowledged, "lost", f"{where}: the ledger")


class AppendMany(Work):
    """A batch over three titles, one of them new."""

    before: ClassVar = {"A": 1, "B": 2}
    after: ClassVar = {"A": 3, "B": 3, "C": 2}
    one_answer: ClassVar = False

    def run(self, store: Store) -> None:
        # The first of each title, then the second: no two that follow each other are of one title.
        drafts = [
            Draft(title, {"n": number}, reference=f"case {number}")
            for number in range(1, 4)
            for title in self.after
            if self.before.get(title, 0) < number <= self.after[title]
        ]
        failure: LedgerError | None = None
        for outcome in opened(store).append_many(drafts):
            draft, number = outcome.draft, outcome.draft.document["n"]
            if outcome.appended:
                self.acknowledged.setdefault(draft.title_number, []).append(number)
            elif isinstance(outcome.error, StoreError | ConflictError):
                self.nothing_happened.setdefault(draft.title_number, []).append(number)
            failure = failure or outcome.error
        if failure is not None:
            raise failure


class AppendTogether(AppendMany):
    """The same, as a batch writes drafts of different titles that are there at once."""

    def run(self, store: Store) -> None:
        ledger = opened(store)
        tips = {title: Tip(ledger.history, title) for title in self.after}
        failures: dict[str, LedgerError] = {}
        for numbers in ({"A": 2, "B": 3, "C": 1}, {"A": 3, "C": 2}):
            todo = [
                (Draft(title, {"n": number}, reference=f"case {number}"), tips[title])
                for title, number in numbers.items()
                if title not in failures
            ]
            outcomes = append_together(ledger.history, ledger._pen(), todo, Guards())
            for (draft, _), outcome in zip(todo, outcomes, strict=True):
                title, number = draft.title_number, draft.document["n"]
                if not isinstance(outcome, LedgerError):
                    self.acknowledged.setdefault(title, []).append(number)
                    continue
                failures[title] = outcome
                if isinstance(outcome, StoreError | ConflictError):
                    self.nothing_happened.setdefault(title, []).append(number)
        for failure in failures.values():
            raise failure


class Register(Work):
    """A registration of four parts: two on one title, and one title is new."""

    before: ClassVar = {"A": 1, "B": 2}
    after: ClassVar = {"A": 2, "B": 4, "C": 1}

    def run(self, store: Store) -> None:
        drafts = [Draft(*part) for part in [("C", {"n": 1}), ("B", {"n": 3}), ("A", {"n": 2})]]
        drafts.append(Draft("B", {"n": 4}))
        opened(store).register(drafts, reference="case")
        self.acknowledged = {title: list(range(1, n + 1)) for title, n in self.after.items()}

    def check(self, tally: Tally, where: str) -> None:
        """A later title has its parts only if the ones before have theirs."""
        super().check(tally, where)
        parts = [entry.part[0] for entry in opened(self.store).registration("case").parts]
        tally.check(parts == list(range(1, len(parts) + 1)), "torn", f"{where}: parts {parts}")

    def check_done(self, tally: Tally, where: str) -> None:
        super().check_done(tally, where)
        found = opened(self.store).registration("case")
        whole = found.is_complete and not found.conflicts
        tally.check(whole, "torn", f"{where}: {found}")


class Import(Work):
    """A bundle, with a log, over a ledger that has a part of it."""

    before: ClassVar = {"A": 1}
    after: ClassVar = {"A": 3, "B": 2}

    def prepare(self) -> None:
        source = begin(MemoryStore())
        fill(source, self.before)
        first = io.BytesIO()
        source.export(first)
        for title, versions in self.after.items():
            for number in range(self.before.get(title, 0) + 1, versions + 1):
                source.append(title, {"n": number})
        Sealer(self.folder, "source").seal(source.store, genesis=True)
        self.leaves = logged(source.store)
        out = io.BytesIO()
        source.export(out)
        self.bundle = out.getvalue()
        begin(self.store).import_bundle(io.BytesIO(first.getvalue()))

    harmless: ClassVar = {"set-back", "head-missing", "log-missing"}

    def run(self, store: Store) -> None:
        opened(store).import_bundle(io.BytesIO(self.bundle))
        self.acknowledged = {t: list(range(1, n + 1)) for t, n in self.after.items()}

    def allowed(self, title: str, numbers: list[object]) -> bool:
        return len(numbers) in {self.before.get(title), self.after[title]}

    def check_done(self, tally: Tally, where: str) -> None:
        super().check_done(tally, where)
        tally.check(logged(self.store) == self.leaves, "torn", f"{where}: the log")


class Pull(Work):
    """What is new in another store, with a log, over a copy that has a part of it."""

    before: ClassVar = {"A": 1}
    after: ClassVar = {"A": 3, "B": 2}
    harmless: ClassVar = {"set-back", "head-missing", "log-missing"}

    def prepare(self) -> None:
        self.source = begin(MemoryStore())
        fill(self.source, self.before)
        sealer = Sealer(self.folder, "source")
        begin(self.store)
        if self.before:
            sealer.seal(self.source.store, genesis=True)
            self.run(self.store)
        for title, versions in self.after.items():
            for number in range(self.before.get(title, 0) + 1, versions + 1):
                self.source.append(title, {"n": number}, reference=f"case {number}")
        sealer.seal(self.source.store, genesis=not self.before)

    def run(self, store: Store) -> None:
        pull_into(store, self.source)

    def allowed(self, title: str, numbers: list[object]) -> bool:
        return len(numbers) in {self.before.get(title), self.after[title]}

    def check_done(self, tally: Tally, where: str) -> None:
        super().check_done(tally, where)
        told = logged(self.store) == logged(self.source.store)
        tally.check(told, "torn", f"{where}: the log")
        report = Log(opened(self.store)).audit().run()
        tally.check(bool(report), "torn", f"{where}: {report.findings}")


class Clone(Pull):
    """All of a ledger, into a store that has nothing of it."""

    before: ClassVar[dict[str, int]] = {}


def pull_into(store: Store, source: Ledger) -> Pulled:
    copy = Ledger.for_import(store, origin=ORIGIN, keyring=KEYRING)
    return copy.pull(Ledger.open(source.store, keyring=KEYRING, clock=CLOCK))


class Recover(Work):
    """A head that is gone, and one that is no entry.

    It believes the store's listings: there is nothing else that tells of an entry, no log either.
    """

    before: ClassVar = {"A": 3, "B": 2}
    after: ClassVar = before
    harmless: ClassVar = {"head-missing", "malformed-entry"}

    def prepare(self) -> None:
        whole = MemoryStore()
        fill(begin(whole), self.before)
        damaged = {head_key("A"): None, head_key("B"): b"{}"}
        for key in whole.list():
            blob = whole.get(key)
            data = damaged.get(key, blob.data if blob else None)
            if data is not None:
                self.store.create(key, data)

    def run(self, store: Store) -> None:
        for title in self.after:
            try:
                unlogged = keyring_for(REGISTRAR)
                Ledger.open(store, keyring=unlogged, clock=CLOCK).recover(title)
            except ConflictError as error:
                if "is readable" not in str(error):  # mended already
                    raise

    def check(self, tally: Tally, where: str) -> None:
        ledger = opened(self.store)
        for title, versions in self.after.items():
            try:
                found = ledger.head(title).version
            except (NotFoundError, LedgerError):
                continue  # as broken as it was
            tally.check(found == versions, "lost", f"{where}: {title} went back to {found}")
        check_verifies(tally, ledger, where, harmless=self.harmless)


class Pack(Work):
    """New entries, beside a small pack that is dissolved into the new one."""

    before: ClassVar = {"A": 3, "B": 2, "C": 2}
    after: ClassVar = before
    rebuild = False

    def prepare(self) -> None:
        ledger = begin(self.store)
        fill(ledger, {"A": 3})
        ledger.pack()
        fill(ledger, {"B": 2, "C": 2})

    def run(self, store: Store) -> None:
        opened(store).pack(rebuild=self.rebuild)

    def check_done(self, tally: Tally, where: str) -> None:
        super().check_done(tally, where)
        again = opened(self.store).pack()
        tally.check((again.packs, again.findings) == (0, ()), "torn", f"{where}: packs: {again}")


class Rebuild(Pack):
    """All packs made anew, and the old ones deleted."""

    rebuild = True


class Erase(Work):
    """A text that is ordered erased, and is in a pack, too."""

    before: ClassVar = {"A": 3}
    one_answer: ClassVar = False
    harmless: ClassVar = {"not-erased"}
    """Until it is repeated."""

    def prepare(self) -> None:
        super().prepare()
        opened(self.store).pack()

    def run(self, store: Store) -> None:
        erasure = opened(store).erase(
            "A", [1], reference="order", message="", change=lambda _: {"n": 4}
        )
        if not erasure.is_done:
            raise StoreError("; ".join(erasure.left))

    def check(self, tally: Tally, where: str) -> None:
        ledger = opened(self.store)
        entries = list(ledger.log("A"))
        found = [entry.document["n"] for entry in entries if not entry.is_withheld]
        done = len(entries) == 4
        tally.check(found == ([4, 3, 2] if done else [3, 2, 1]), "torn", f"{where}: {found}")
        check_verifies(tally, ledger, where, harmless=self.harmless)

    def check_done(self, tally: Tally, where: str) -> None:
        Erase.check(self, tally, where)
        ledger = opened(self.store)
        tally.check(ledger.head("A").version == 4, "doubled", f"{where}: {ledger.head('A')}")
        check_verifies(tally, ledger, where)
        for key in holding(self.store, b'{"n":1}'):
            tally.note("lost", f"{where}: {key} holds the text")


class PullErasure(Erase):
    """An erasure that was done in the source, into a copy that has the text."""

    left: tuple[str, ...] = ()
    """What a pull could not erase, and said so: it is for the user to finish."""

    def prepare(self) -> None:
        self.source = begin(MemoryStore())
        fill(self.source, self.before)
        sealer = Sealer(self.folder, "source")
        sealer.seal(self.source.store, genesis=True)
        begin(self.store)
        self.run(self.store)
        self.source.erase("A", [1], reference="order", message="", change=lambda _: {"n": 4})
        sealer.seal(self.source.store)
        self.source.finish_erasure("A")

    def run(self, store: Store) -> None:
        self.left = pull_into(store, self.source).not_erased or self.left
        if self.left and (left := opened(store).finish_erasure("A").left):
            raise StoreError("; ".join(left))


class Seal(Work):
    """A log that goes on, with titles that are new and titles that went on."""

    before: ClassVar = {"A": 3, "B": 1, "C": 1}
    after: ClassVar = before
    genesis = False
    seals_the_same: ClassVar = True
    """Whenever it is repeated; else what was signed may be lost before anybody could see it."""

    def prepare(self) -> None:
        self.recorder = Recorder(self.store)
        self.sealer = Sealer(self.folder, "one")
        self.other = Sealer(self.folder, "two")
        ledger = begin(self.store)
        fill(ledger, {"A": 1, "B": 1})
        if not self.genesis:
            self.sealer.seal(self.recorder, genesis=True)
            self.other.seal(self.recorder, adopt=True)
        ledger.append("A", {"n": 2})
        ledger.append("A", {"n": 3})
        ledger.append("C", {"n": 1})
        self.begun = Begun(self.recorder, self.sealer, self.other)
        self.store = self.recorder

    def take(self, made: Prepared) -> None:
        super().take(made)
        self.store = self.recorder = Recorder(self.store)
        self.sealer = Sealer(self.folder, "one")
        self.other = Sealer(self.folder, "two")
        self.begun.put_into(self.recorder, self.sealer, self.other)

    def run(self, store: Store) -> None:
        self.sealer.seal(store, genesis=self.genesis)

    def rival(self) -> None:
        if not self.genesis:
            self.other.seal(self.store)

    def opened_anew(self, store: Store) -> Store:
        anew = Recorder(store)  # what it notes goes to the same lists
        anew.states, anew.written = self.recorder.states, self.recorder.written
        return anew

    def look(self) -> None:
        found = log_in(self.recorder.inner).state()
        if found and found[0] not in self.recorder.states:
            self.recorder.states.append(found[0])

    def after_cut(self, store: Store) -> Self:
        later = super().after_cut(store)
        later.store = later.recorder = Recorder(store)
        later.recorder.states[:] = self.recorder.states
        later.recorder.written[:] = self.recorder.written
        later.sealer, later.other = deepcopy((self.sealer, self.other))
        return later

    def go_on(self, *, done: bool) -> None:
        """Once more in any case: a marker that was deleted may be back."""
        self.run(self.store)

    def check_done(self, tally: Tally, where: str) -> None:
        super().check_done(tally, where)
        try:
            assert_sealed(opened(self.store))
            assert_one_log(self.recorder, self.sealer, self.other)
            if self.seals_the_same:
                assert_signed_no_fork(self.store, self.sealer)
        except (AssertionError, LedgerError) as error:
            tally.note("torn", f"{where}: the log: {error!r:.300}")


class Begin(Seal):
    """A log that is begun."""

    genesis = True


class AppendSealed(Seal):
    """A title goes on, and is sealed; after a power cut, another one does before that."""

    after: ClassVar = {"A": 4, "B": 2, "C": 1}
    seals_the_same: ClassVar = False

    def run(self, store: Store) -> None:
        self._append(store, "A", 4)
        self.sealer.seal(store)

    def _append(self, store: Store, title: str, number: int) -> None:
        opened(store).append(title, {"n": number}, reference=f"case {title}")
        self.acknowledged[title] = [number]

    def go_on(self, *, done: bool) -> None:
        self._append(self.store, "B", 2)
        self.run(self.store)

    def check(self, tally: Tally, where: str) -> None:
        super().check(tally, where)
        findings = Log(opened(self.store)).audit(jobs=1).run().findings
        bad = [finding.message for finding in findings if finding.severity == "tampering"]
        tally.check(not bad, "torn", f"{where}: audited: {bad}")


class Kept(Work):
    """A file beside the store: whole, or not there, and there for good once it was acknowledged."""

    before: ClassVar = {"A": 2}
    after: ClassVar = before

    def prepare(self) -> None:
        super().prepare()
        self.kept = self.folder / "kept"
        make_own_folder(self.folder)

    def run(self, store: Store) -> None:
        self.kept.unlink(missing_ok=True)
        self.keep(opened(store))

    def keep(self, ledger: Ledger) -> None:
        raise NotImplementedError

    def problem(self) -> str:
        """What is wrong with the file; empty if it is whole."""
        raise NotImplementedError

    def check(self, tally: Tally, where: str) -> None:
        super().check(tally, where)
        if self.kept.exists():
            problem = self.problem()
            tally.check(not problem, "torn", f"{where}: {problem}")

    def check_done(self, tally: Tally, where: str) -> None:
        super().check_done(tally, where)
        tally.check(self.kept.exists(), "lost", f"{where}: {self.kept.name} is gone")


class Export(Kept):
    """A backup."""

    def keep(self, ledger: Ledger) -> None:
        with new_file(str(self.kept)) as file:
            ledger.export(file)

    def problem(self) -> str:
        with self.kept.open("rb") as bundle:
            report = verify_bundle(bundle, keyring=KEYRING)
        return "" if report and report.entries == 2 else repr(report)


class Key(Kept):
    """A private key."""

    def keep(self, ledger: Ledger) -> None:
        create_key(self.kept)

    def problem(self) -> str:
        self.kept.chmod(0o600)
        load_key(self.kept)
        return ""


class Init(Work):
    """A ledger that is made, after its store was tried out."""

    def prepare(self) -> None:
        return

    def run(self, store: Store) -> None:
        Ledger.create(store, origin=ORIGIN, keyring=KEYRING, signer=REGISTRAR, clock=FixedClock())

    def check(self, tally: Tally, where: str) -> None:
        blob = self.store.get(LEDGER_KEY)
        whole = blob is None or blob.data == encode_identity(ORIGIN)
        tally.check(whole, "torn", f"{where}: {LEDGER_KEY}: {blob}")


WORKS: list[type[Work]] = [
    Append,
    AppendMany,
    AppendTogether,
    Register,
    Import,
    Clone,
    Pull,
    PullErasure,
    Recover,
    Pack,
    Rebuild,
    Erase,
    Seal,
    Begin,
    Init,
]
