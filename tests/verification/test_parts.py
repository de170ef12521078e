"""A verification that meets a part of a registration asks for the others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ledger import Draft, Ledger, Log
from ledger.errors import StoreUnavailable
from ledger.format.layout import head_key
from ledger.local.processes import Processes
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import FixedClock
from tests.sealing.sealers import Sealer, ledger_in
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Report

R = "APP-7"
MISSING = ("unchecked", "registration-incomplete")
LATE = ("tampering", "registration-incomplete")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def ledger(clock: FixedClock) -> Ledger:
    """Of three parts, on A, B and C, the second is missing."""
    ledger = ledger_in(MemoryStore(), clock)
    for title in "ABCD":
        ledger.append(title, {"n": 1})
    for part in (1, 3):
        submit(ledger, part)
    return ledger


def submit(ledger: Ledger, part: int, title: str = "") -> None:
    draft = Draft(title or " ABC"[part], {"n": 2}, reference=R, part=(part, 3))
    ledger.submit(draft)


def found(report: Report) -> list[tuple[str, str]]:
    return [(finding.severity, finding.slug) for finding in report.findings]


def test_a_missing_part_is_unchecked_at_first_and_a_failure_after_a_day(
    ledger: Ledger, clock: FixedClock
) -> None:
    report = ledger.verify_all()
    assert found(report) == [MISSING]
    (finding,) = report.findings
    assert "'APP-7' is incomplete: missing 2 of 3; it was begun at 2026-11-23" in finding.message
    clock.forward(days=1, seconds=1)
    assert found(ledger.verify_all()) == [LATE]
    ledger.give_up(R)
    assert ledger.verify_all()


def test_two_entries_of_one_part_are_a_warning_that_names_both(ledger: Ledger) -> None:
    submit(ledger, 2)
    submit(ledger, 2, "D")
    report = ledger.verify_all()
    assert found(report) == [("warning", "registration-conflict")]
    assert "part 2 of 3 more than once: B version 2, D version 2" in report.findings[0].message
    assert report


def test_a_state_vouches_for_no_title_whose_registration_is_incomplete(
    ledger: Ledger, clock: FixedClock, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    for _ in range(2):
        assert found(ledger.verify_all(state=state)) == [MISSING]
    pins = [line.split()[0] for line in state.read_text().splitlines() if line.endswith(" pin")]
    assert pins == ["A", "C"]
    clock.forward(days=2)
    assert found(ledger.verify_all(state=state)) == [LATE]
    submit(ledger, 2)
    assert ledger.verify_all(state=state)
    assert " pin" not in state.read_text()
    assert ledger.verify_all(state=state)


def test_parts_that_are_taken_on_trust_are_found_by_their_names(
    ledger: Ledger, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    ledger.verify_all(["B", "D"], state=state)
    submit(ledger, 2)
    assert ledger.verify_all(state=state)
    submit(ledger, 2, "D")  # A, B and C are not read again
    assert found(ledger.verify_all(state=state)) == [("warning", "registration-conflict")]


def test_some_titles_bring_the_others_of_their_registration(ledger: Ledger) -> None:
    assert found(ledger.verify_all(["A"])) == [MISSING]
    submit(ledger, 2)
    assert ledger.verify_all(["A"])


def test_what_is_stopped_vouches_for_no_title_that_waits_for_its_registration(
    ledger: Ledger, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    verification = ledger.verification(state=state, jobs=1)
    verification.run(lambda _: verification.stop())
    assert [line.split()[0] for line in state.read_text().splitlines() if "pin" in line] == ["A"]
    assert found(ledger.verify_all(state=state)) == [MISSING]


def test_a_part_that_comes_while_titles_are_read_is_seen(ledger: Ledger) -> None:
    """C is read after the second part has come to stand on A, which was read before."""
    ledger = ledger_in(MemoryStore())
    drafts = [Draft("A", {"n": 1}), Draft("C", {"n": 1})]
    ledger.append("A", {"n": 0})
    ledger.append("B", {"n": 0})

    def meanwhile(report: Report) -> None:
        if next(titles) == "A":
            ledger.register(drafts, reference="late")

    titles = iter("ABC")
    assert ledger.verification(jobs=1).run(meanwhile)
    assert ledger.registration("late").is_complete


def test_names_that_were_taken_away_hide_no_part_from_who_reads_all(ledger: Ledger) -> None:
    submit(ledger, 2)
    store = ledger.store
    for key in [key for key in store.list("_references/") if ".B." in key or ".C." in key]:
        store.delete(key)
    assert ledger.registration(R).missing == ((2, 3), (3, 3))
    assert ledger.verify_all()
    ledger.fsck()  # makes the names again
    assert ledger.registration(R).is_complete


def test_a_part_whose_chain_can_not_be_read_is_not_taken_for_complete(
    ledger: Ledger, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    submit(ledger, 2)
    assert ledger.verify_all(["A", "C", "D"], state=state)

    class Broken(Wrapper):
        def called(self, operation: str, key: str) -> None:
            if key == head_key("B"):
                raise failure

    failure = StoreUnavailable("a bad sector")
    submit(ledger, 1, "D")
    broken = ledger_in(Broken(ledger.store))  # type: ignore[arg-type]
    report = broken.verify_all(["D"], state=state)
    assert found(report) == [("unchecked", "store-unavailable")]
    assert found(ledger.verify_all(state=state)) == [("warning", "registration-conflict")]


def test_other_processes_tell_of_parts(tmp_path: Path) -> None:
    ledger = ledger_in(FolderStore(tmp_path / "store"))
    ledger.append("A", {"n": 1})
    submit(ledger, 1)
    with Processes(1) as processes:
        assert found(ledger.verify_all(executor=processes)) == [MISSING]


def test_an_audit_names_it_and_max_delay_says_when_it_fails(
    ledger: Ledger, clock: FixedClock, tmp_path: Path
) -> None:
    sealer = Sealer(tmp_path)
    log = Log(ledger)

    def audit(**options: object) -> Report:
        return log.audit(state=tmp_path / "state", **options).run()  # type: ignore[arg-type]

    sealer.seal(ledger.store, genesis=True)
    assert found(audit()) == [MISSING]
    clock.forward(hours=2)
    assert found(audit()) == [MISSING]
    assert found(audit(max_delay=timedelta(hours=1))) == [LATE]
    assert log.lacks(ledger.registration(R).entries) == ()
    submit(ledger, 2)
    assert [entry.title_number for entry in log.lacks(ledger.registration(R).entries)] == ["B"]
    sealer.seal(ledger.store)
    assert audit()
    assert audit()
