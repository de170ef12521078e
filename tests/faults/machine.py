"""The ledger against a model of it, in any order of appends, races, crashes, repairs and damage.

The model is a dict: for every title the documents and addresses that were acknowledged. Whatever
happens, the ledger holds just these, in order, and verifies; what is damaged is named; and what was
sealed is in the log once.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import ANY, Entry, Ledger, Report, verify_bundle
from ledger.errors import HeadMissing, HeadMoved, LedgerError, NotFoundError, ReferenceConflict
from ledger.format.canonical import encode
from ledger.format.layout import LOG_CHECKPOINT, entry_key, head_key
from ledger.log import Log
from ledger.stores import MemoryStore, Store
from ledger.testing import ORIGIN, FixedClock, keyring_for, signer
from ledger.titles.draft import Draft
from tests.faults.stores import FAST, FAULTS, LASTING, Fault
from tests.sealing.sealers import LOG_KEY, assert_sealed
from tests.wrappers import CrashError, CrashingStore

TITLES = st.sampled_from(["A", "A-1", "B2"])
DOCUMENTS = st.dictionaries(
    st.sampled_from(["owner", "price", "é"]),
    st.none() | st.integers(-9, 9) | st.sampled_from([0.5, 1e-7, "Zoë", ["x"], {"y": True}]),
    max_size=2,
)
WARNINGS = {"dangling-entry", "unfinished-append"}


class LedgerMachine(RuleBasedStateMachine):
    """Every rule does one thing to the ledger and to the model."""

    store: Store
    taken = 0
    """Steps, of all machines."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock()
        self.model: dict[str, list[Entry]] = {}
        self.documents: dict[str, Any] = {}
        self.references = 0
        self.bundles: list[tuple[bytes, dict[str, str]]] = []
        self.touched: str | None = None
        self.own = Path(tempfile.mkdtemp(prefix="title-ledger-", dir=FAST))
        """The disk of the auditor and of the sealer, which the store's writers can't reach."""

    @initialize()
    def create(self) -> None:
        self.key = signer()
        self.ledger = Ledger.create(
            self.store,
            origin=ORIGIN,
            keyring=keyring_for(self.key).trust(ORIGIN, LOG_KEY.public_key, role="log"),
            signer=self.key,
            clock=self.clock,
        )

    def overwrite(self, key: str, data: bytes | None) -> None:
        """Change the store as an attacker with access to it would."""
        raise NotImplementedError

    def on(self, store: Store) -> Ledger:
        return Ledger.open(store, keyring=self.ledger.keyring, signer=self.key, clock=self.clock)

    def head(self, title: str) -> str | None:
        chain = self.model.get(title)
        return chain[-1].address if chain else None

    def acknowledged(self, title: str, document: Any, entry: Entry) -> None:
        chain = self.model.setdefault(title, [])
        assert entry.version == len(chain) + 1
        assert entry.parent == self.head(title)
        chain.append(entry)
        self.documents[entry.address] = document
        self.touched = title

    def new_reference(self) -> str:
        self.references += 1
        return f"case {self.references}"

    # -- Appends -------------------------------------------------------------------------------

    @rule(title=TITLES, document=DOCUMENTS, referred=st.booleans())
    def append(self, title: str, document: Any, referred: bool) -> None:
        reference = self.new_reference() if referred else ""
        entry = self.ledger.append(title, document, reference=reference)
        self.acknowledged(title, document, entry)

    @rule(title=TITLES, document=DOCUMENTS)
    def append_on_the_head(self, title: str, document: Any) -> None:
        entry = self.ledger.append(title, document, parent=self.head(title))
        self.acknowledged(title, document, entry)

    @rule(title=TITLES, document=DOCUMENTS, data=st.data())
    def append_on_a_stale_parent(self, title: str, document: Any, data: st.DataObject) -> None:
        chain = self.model.get(title, [])
        stale = [None, "0" * 64, *(entry.address for entry in chain[:-1])]
        parent = data.draw(st.sampled_from([p for p in stale if p != self.head(title)]))
        with pytest.raises(HeadMoved) as caught:
            self.ledger.append(title, document, parent=parent)
        assert (caught.value.expected, caught.value.actual) == (parent, self.head(title))

    @rule(title=TITLES, ours=DOCUMENTS, theirs=DOCUMENTS)
    def lose_a_race(self, title: str, ours: Any, theirs: Any) -> None:
        """Another writer is first, between our reading and our swap."""
        # The same document on the same parent in the same microsecond is the same entry: no race.
        assume(encode(ours) != encode(theirs))
        machine = self

        class Raced(CrashingStore):
            done = False

            def called(self, operation: str, key: str) -> None:
                if key == head_key(title) and operation != "get" and not self.done:
                    self.done = True
                    machine.acknowledged(title, theirs, machine.ledger.append(title, theirs))

        entry = self.on(Raced(self.store, None)).append(title, ours, parent=ANY)
        self.acknowledged(title, ours, entry)

    @precondition(lambda self: any(e.reference for c in self.model.values() for e in c))
    @rule(data=st.data(), other=DOCUMENTS)
    def send_a_reference_again(self, data: st.DataObject, other: Any) -> None:
        entry = data.draw(
            st.sampled_from([e for chain in self.model.values() for e in chain if e.reference])
        )
        document = self.documents[entry.address]
        again = self.ledger.append(entry.title_number, document, reference=entry.reference)
        assert again == entry
        if encode(other) != encode(document):
            with pytest.raises(ReferenceConflict) as caught:
                self.ledger.append(entry.title_number, other, reference=entry.reference)
            assert caught.value.address == entry.address
        self.touched = entry.title_number

    @rule(title=TITLES, document=DOCUMENTS, failing=st.integers(0, 2), after=st.booleans())
    def crash_and_send_again(
        self,
        title: str,
        document: Any,
        failing: int,
        after: bool,
    ) -> None:
        reference = self.new_reference()
        with pytest.raises(CrashError):
            self.on(CrashingStore(self.store, failing, after=after)).append(
                title, document, reference=reference
            )
        self.clock.forward(seconds=1)
        entry = self.ledger.append(title, document, reference=reference)
        self.acknowledged(title, document, entry)

    @rule(
        title=TITLES,
        document=DOCUMENTS,
        fault=st.sampled_from(FAULTS + LASTING),
        number=st.integers(0, 8),
    )
    def fail_and_send_again(self, title: str, document: Any, fault: Fault, number: int) -> None:
        """Whatever the store does; what was acknowledged all the same, is not sent again."""
        reference = self.new_reference()
        failing = fault.at(number, self.store)
        with mock.patch("time.sleep"):
            try:
                entry = self.on(failing).append(title, document, reference=reference)
            except (LedgerError, CrashError):
                assert failing.failed
                entry = self.ledger.append(title, document, reference=reference)
        self.acknowledged(title, document, entry)

    @rule(drafts=st.lists(st.tuples(TITLES, DOCUMENTS), max_size=8), referred=st.booleans())
    def append_a_batch(self, drafts: list[tuple[str, Any]], referred: bool) -> None:
        outcomes = self.ledger.append_many(
            Draft(title, document, reference=self.new_reference() if referred else "")
            for title, document in drafts
        )
        for (title, document), outcome in zip(drafts, outcomes, strict=True):
            assert outcome.appended, outcome.error
            self.acknowledged(title, document, outcome.appended.entry)
        for title in sorted({title for title, _ in drafts}):
            self.check(title)

    @rule(title=TITLES, document=DOCUMENTS, failing=st.integers(0, 1), after=st.booleans())
    def crash_before_the_head_moved(
        self,
        title: str,
        document: Any,
        failing: int,
        after: bool,
    ) -> None:
        """It leaves a dangling entry, or only half of what precedes a head."""
        with pytest.raises(CrashError):
            self.on(CrashingStore(self.store, failing, after=after)).append(title, document)
        self.touched = title

    @rule(minutes=st.integers(-5, 600))
    def time_passes(self, minutes: int) -> None:
        self.clock.forward(minutes=max(minutes, 0) or minutes)
        latest = max((c[-1].recorded_at for c in self.model.values()), default="")
        while self.clock.now.isoformat()[:16] < latest[:16]:
            self.clock.forward(minutes=1)

    # -- Packs, the log, audits ----------------------------------------------------------------

    @rule(rebuild=st.booleans())
    def pack(self, rebuild: bool) -> None:
        assert self.ledger.pack(rebuild=rebuild).findings == ()

    def log_on(self, store: Store) -> None:
        """Seal, with the memory of the one sealer there is."""
        memory = self.own / "sealer.json"
        Log(self.on(store)).seal(LOG_KEY, memory, genesis=True, jobs=1)

    @rule()
    def seal(self) -> None:
        self.log_on(self.store)
        assert_sealed(self.ledger)

    @rule(fault=st.sampled_from(FAULTS), number=st.integers(0, 40))
    def fail_to_seal(self, fault: Fault, number: int) -> None:
        """The next seal makes it good."""
        with suppress(LedgerError, CrashError), mock.patch("time.sleep"):
            self.log_on(fault.at(number, self.store))

    @rule()
    def audit(self) -> None:
        """The auditor comes again, and remembers the last visit."""
        report = self.audited()
        if self.model:
            assert report, report.findings
        else:  # the keyring has the key of a log: the ledger may have been emptied
            assert {finding.slug for finding in report.findings} <= WARNINGS | {"nothing-there"}
        assert report.titles == len(self.model)

    def audited(self) -> Report:
        """By the log, where there is one."""
        state = self.own / "audit"
        if self.store.get(LOG_CHECKPOINT) is None:
            return self.ledger.verify_all(state=state)
        return Log(self.ledger).audit(state=state, max_delay=timedelta(days=1000)).run()

    @precondition(lambda self: any(len(chain) > 1 for chain in self.model.values()))
    @rule(data=st.data())
    def set_a_head_back(self, data: st.DataObject) -> None:
        """Every signature holds; whoever remembers more finds it, and nothing of it is sealed."""
        self.seal()
        self.audit()
        title = data.draw(st.sampled_from([t for t, c in self.model.items() if len(c) > 1]))
        chain = self.model[title]
        older = data.draw(st.sampled_from(chain[:-1]))
        self.overwrite(head_key(title), older.data)
        report = self.audited()
        assert report.outcome in {"tampered", "mismatch"}  # by the log, or by what was remembered
        assert head_key(title) in {finding.object_key for finding in report.findings}
        self.overwrite(head_key(title), chain[-1].data)
        self.touched = title

    # -- Repair --------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @rule(data=st.data(), damage=st.sampled_from([None, b"", b"{}"]))
    def lose_the_head_and_recover(self, data: st.DataObject, damage: bytes | None) -> None:
        title = data.draw(st.sampled_from(sorted(self.model)))
        newest = self.model[title][-1]
        assume(newest.address not in self.followed(title))  # recover moves to tips only
        self.overwrite(head_key(title), damage)
        assert not self.ledger.verify(title, expect=newest.address)
        if damage is None and newest.version > 1:
            with pytest.raises(HeadMissing):
                self.ledger.append(title, {})
        assert self.ledger.recover(title, to=newest.address, expect=newest.address) == newest
        self.touched = title

    def followed(self, title: str) -> set[str | None]:
        """The addresses that some stored entry has as its parent, a dangling one, too."""
        keys = [k for k in self.store.list(f"{title}/") if k != head_key(title)]
        blobs = [self.store.get(key) for key in keys]
        return {Entry.unverified(blob.data).parent for blob in blobs if blob}

    # -- Bundles -------------------------------------------------------------------------------

    @rule()
    def export_and_import_elsewhere(self) -> None:
        out = io.BytesIO()
        assert self.ledger.export(out) == len(self.model)
        out.seek(0)
        report = verify_bundle(out, keyring=self.ledger.keyring, clock=self.clock)
        assert report or not self.model  # nothing at all is no yes
        other = Ledger.create(
            MemoryStore(), origin=ORIGIN, keyring=self.ledger.keyring, clock=self.clock
        )
        out.seek(0)
        assert other.import_bundle(out).moved == len(self.model)
        assert {t: [e.address for e in other.log(t)] for t in other.titles()} == {
            t: [e.address for e in reversed(chain)] for t, chain in self.model.items()
        }
        self.bundles.append((out.getvalue(), {t: c[-1].address for t, c in self.model.items()}))

    @precondition(lambda self: self.bundles)
    @rule(data=st.data())
    def import_an_old_bundle(self, data: st.DataObject) -> None:
        """The ledger has all of it already, and stays where it is."""
        bundle, heads = data.draw(st.sampled_from(self.bundles[-3:]))
        done = self.ledger.import_bundle(io.BytesIO(bundle))
        assert (done.moved, done.unchanged) == (0, len(heads))

    @precondition(lambda self: self.bundles)
    @rule(data=st.data())
    def restore_from_backups(self, data: st.DataObject) -> None:
        """An old bundle, and then what came after it."""
        old, _ = data.draw(st.sampled_from(self.bundles[-3:]))
        out = io.BytesIO()
        self.ledger.export(out, since=[io.BytesIO(old)])
        other = Ledger.create(
            MemoryStore(), origin=ORIGIN, keyring=self.ledger.keyring, clock=self.clock
        )
        for data in (old, out.getvalue()):
            other.import_bundle(io.BytesIO(data))
        assert {t: other.head(t) for t in other.titles()} == {
            t: chain[-1] for t, chain in self.model.items()
        }

    # -- Damage --------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def tamper(self, data: st.DataObject) -> None:
        title = data.draw(st.sampled_from(sorted(self.model)))
        chain = self.model[title]
        keys = [head_key(title), *(entry_key(title, entry.address) for entry in chain)]
        key = data.draw(st.sampled_from(keys))
        blob = self.store.get(key)
        assert blob is not None
        position = data.draw(st.integers(0, len(blob.data) - 1))
        bit = 1 << data.draw(st.integers(0, 7))
        changed = bytearray(blob.data)
        changed[position] ^= bit
        self.overwrite(key, bytes(changed))
        for report in (self.ledger.verify(title), self.ledger.fsck()):
            assert report.outcome == "tampered"
            assert key in {f.object_key for f in report.findings if f.severity == "tampering"}
        self.overwrite(key, None)
        for report in (self.ledger.verify(title, expect=chain[-1].address), self.ledger.fsck()):
            named = {f.object_key for f in report.findings}
            assert key in named, report.findings
        self.overwrite(key, blob.data)
        self.touched = title

    # -- What always holds ---------------------------------------------------------------------

    @invariant()
    def a_step_was_taken(self) -> None:
        LedgerMachine.taken += 1

    @invariant()
    def the_touched_title_is_what_the_model_says(self) -> None:
        title, self.touched = self.touched, None
        if title is not None:
            self.check(title)

    def check(self, title: str) -> None:
        chain = self.model.get(title)
        if chain is None:
            with pytest.raises(NotFoundError):
                self.ledger.head(title)
            return
        assert list(self.ledger.log(title)) == chain[::-1]
        for entry in chain[-2:]:
            assert encode(entry.document) == encode(self.documents[entry.address])
        report = self.ledger.verify(title, expect=chain[0].address)
        assert report
        assert report.entries == len(chain)
        assert {finding.slug for finding in report.findings} <= {"time-in-future"}

    def teardown(self) -> None:
        try:
            self.check_all()
        finally:
            shutil.rmtree(self.own)

    def check_all(self) -> None:
        self.log_on(self.store)
        assert_sealed(self.ledger)
        for title in ("A", "A-1", "B2"):
            self.check(title)
        report = self.ledger.fsck()
        assert report, report.findings
        assert {finding.slug for finding in report.findings} <= WARNINGS
        assert report.entries == sum(map(len, self.model.values()))
        listed = list(self.ledger.titles())
        assert listed == sorted(listed, key=head_key)
        assert set(listed) >= self.model.keys()
