"""The audit by the log: what it reads, what it remembers, and what it says it can't show."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import Log, NotFoundError
from ledger.errors import OriginNotPinned
from ledger.format.chain import NO_PIN
from ledger.format.layout import LOG, PENDING, head_key, pending_key
from ledger.testing import ORIGIN, keyring_for, signer
from ledger.tlog import WitnessKey, WitnessPolicy
from tests.sealing.sealers import KEYRING, REGISTRAR
from tests.verification.register import Register, forged_log, found, leaves_of, slugs, store_of
from tests.wrappers import Wrapper


@pytest.fixture
def register(tmp_path):
    return Register(tmp_path)


def test_a_ledger_as_its_log_has_it_is_verified(register):
    report = register.audit()
    assert report
    assert (report.titles, report.entries, report.findings) == (3, 6, ())


def test_a_first_audit_says_that_forks_are_invisible_to_it(register):
    notes = register.audit(state="mine").not_shown
    assert any("ever set back" in note and "--witness" in note for note in notes)


def test_what_a_title_leaves_open_is_said_but_not_that_a_pin_is_missing(register):
    """The log is worth a pin for every title."""
    register.append("NEW")
    objects = register.objects()
    del objects[head_key("NEW")]
    notes = register.audit(objects).not_shown
    assert "whether NEW ever had a head" in notes
    assert NO_PIN not in notes


def test_what_was_read_out_of_packs_is_said(register):
    register.ledger.pack()
    assert slugs(register.audit()) == ["from-packs"]


def test_a_later_audit_says_that_only_witnesses_show_what_others_saw(register):
    register.audit(state="mine")
    notes = register.audit(state="mine").not_shown
    assert not any("ever set back" in note for note in notes)
    assert any("only witnesses show it" in note for note in notes)


def test_entries_that_wait_for_the_next_seal_are_no_finding(register):
    register.append("TN1", 2)
    register.append("TN9")
    report = register.audit()
    assert report
    assert (report.titles, report.entries) == (4, 9)


def test_a_seal_between_the_heads_and_the_markers_is_no_finding(register):
    """The markers are gone by then; the newer checkpoint says why."""

    class Sealing(Wrapper):
        def list(self, prefix="", **how):
            if prefix == PENDING:
                register.seal()
            return super().list(prefix, **how)

    register.append("TN1", 2)
    register.append("TN9")
    report = Log(register.open(Sealing(register.store))).audit().run()
    assert report
    assert report.findings == ()


def test_appends_during_an_audit_are_no_finding(register):
    class Growing(Wrapper):
        def called(self, operation, key):
            if operation == "get" and key.endswith("head.json"):
                register.append(key.partition("/")[0])

    assert Log(register.open(Growing(register.store))).audit().run()


def test_a_ledger_without_a_log_cannot_be_audited_by_it(register):
    objects = {key: data for key, data in register.objects().items() if not key.startswith(LOG)}
    with pytest.raises(NotFoundError, match="no log"):
        register.audit(objects)


def test_without_a_key_of_the_log_there_is_no_audit(register):
    with pytest.raises(OriginNotPinned):
        register.audit(keyring=keyring_for(REGISTRAR))


# --- what is remembered --------------------------------------------------------------------------


class Reads(Wrapper):
    def __init__(self, inner):
        super().__init__(inner)
        self.keys = []

    def called(self, operation, key):
        self.keys.append(key)


def test_a_repeated_audit_reads_heads_and_what_is_new(register):
    for number in range(300):
        register.append(f"B{number}")
    register.seal()
    register.audit(state="mine")
    register.append("TN1")
    register.seal()
    reads = Reads(register.store)
    report = Log(register.open(reads)).audit(state=register.folder / "mine").run()
    assert report
    assert report.entries == 2  # the new one, and the one that it is on top of
    tiles = {key.removeprefix(f"{LOG}tile/") for key in reads.keys if key.startswith(f"{LOG}tile/")}
    assert tiles == {
        *("entries/001.p/50", "0/001.p/50", "1/000.p/1"),  # of the old edge
        *("entries/001.p/51", "0/001.p/51"),
    }
    titles = [key for key in reads.keys if not key.startswith("_") and "/" in key]
    heads = [key for key in titles if key.endswith("head.json")]
    assert len(heads) == 303
    assert len(titles) - len(heads) == 2


def test_the_state_holds_the_checkpoint_and_how_far_the_log_has_each_title(register):
    register.append("TN1")
    register.audit(state="mine")
    lines = (register.folder / "mine").read_text().splitlines()
    assert '"checkpoint":"example.org/titles\\n6\\n' in lines[0]
    assert [line.split(" ")[3:] for line in lines[1:4]] == [
        ["logged", "3", "since", "2026-11-23T10:07:00.000000Z"],
        ["logged", "2"],
        ["logged", "1"],
    ]


def test_an_audit_that_is_not_clean_moves_no_checkpoint(register):
    register.audit(state="mine")
    before = (register.folder / "mine").read_text().splitlines()[0]
    register.append("TN2")
    register.append("TN1")
    register.seal()
    objects = register.objects()
    register.set_back(objects, "TN1", 3)
    assert not register.audit(objects, state="mine")
    after = (register.folder / "mine").read_text().splitlines()[0]
    assert after.partition("example.org")[2][:20] == before.partition("example.org")[2][:20]
    found(register.audit(objects, state="mine"), "not-as-logged")


def test_a_verification_keeps_what_the_audit_remembered(register):
    register.audit(state="mine")
    register.append("TN1", 2)
    register.ledger.verify_all(state=register.folder / "mine")
    line = (register.folder / "mine").read_text().splitlines()[1]
    assert line.split(" ")[1] == "5"
    assert line.endswith(" logged 3")


def test_titles_that_a_verification_vouched_for_are_still_compared_with_the_log(register):
    """What was verified before it was logged is not below what the log is compared with."""
    register.audit(state="mine")
    register.append("TN1", 2)
    register.ledger.verify_all(state=register.folder / "mine")
    register.append("TN1")
    register.seal()
    report = register.audit(state="mine")
    assert report
    assert report.entries == 6  # TN1 once more, down to its root


def test_a_verification_with_a_state_sees_that_the_log_was_set_back(register):
    old = register.objects()
    register.append("TN1")
    register.seal()
    register.audit(state="mine")
    logs = {key: data for key, data in old.items() if key.startswith(LOG)}
    others = {key: data for key, data in register.objects().items() if not key.startswith(LOG)}
    report = register.open(store_of(others | logs)).verify_all(state=register.folder / "mine")
    assert "6 leaves" in found(report, "log-set-back")


def test_a_verification_without_the_logs_key_says_that_it_could_not_compare(register):
    register.audit(state="mine")
    ledger = register.open(register.store, keyring_for(REGISTRAR))
    report = ledger.verify_all(state=register.folder / "mine")
    assert report.outcome == "unchecked"
    assert slugs(report) == ["unknown-key"]


def test_a_lost_registrars_key_lets_the_whole_log_be_read_again(register):
    other = KEYRING.trust(ORIGIN, signer("bob").public_key)
    register.audit(state="mine", keyring=other)
    trusted = "the first 6 leaves of the log"
    assert any(trusted in note for note in register.audit(state="mine", keyring=other).not_shown)
    report = register.audit(state="mine")
    assert report
    assert not any(trusted in note for note in report.not_shown)


def test_a_checkpoint_by_a_key_of_the_log_that_counts_no_more_is_no_memory(register):
    register.audit(state="mine")
    new = signer("new log")
    keyring = keyring_for(REGISTRAR).trust(ORIGIN, new.public_key, role="log")
    objects = register.objects() | forged_log(leaves_of(register, "TN1", "TN2", "TN3"), key=new)
    report = register.audit(objects, state="mine", keyring=keyring)
    assert report.outcome == "unchecked"
    assert slugs(report) == ["unknown-key"]


def test_what_witnesses_have_not_signed_is_unchecked_where_they_are_asked_for(register):
    vkey = WitnessKey("city.example/witness", signer("city").public_key).vkey
    policy = WitnessPolicy.parse(f"witness city {vkey}\nquorum city\n")
    report = register.audit(policy=policy)
    assert report.outcome == "unchecked"
    assert slugs(report) == ["not-witnessed"]
    assert not any("--witness" in note for note in report.not_shown)


# --- delays --------------------------------------------------------------------------------------


def test_a_marker_counts_for_a_day(register):
    register.append("TN1")
    register.clock.forward(hours=23, minutes=59)  # the register has let one pass
    assert register.audit()
    register.clock.forward(seconds=1)
    message = found(register.audit(), "overdue")
    assert message.startswith(f"{head_key('TN1')} ")
    assert "version 4 was recorded at 2026-11-23T10:06:00.000000Z" in message


def test_newer_appends_do_not_hide_that_an_older_one_waits(register):
    register.append("TN1")
    register.clock.forward(hours=25)
    register.append("TN1")
    assert "version 4 was recorded" in found(register.audit(), "overdue")


def test_how_long_is_too_long_is_the_auditors_choice(register):
    register.append("TN1")
    register.clock.forward(hours=25)
    assert register.audit(max_delay=timedelta(days=2))


def test_of_two_waiting_times_the_longer_one_counts(register):
    """A registrar whose clock is ahead can't make an entry look younger than it was seen."""
    now = register.clock.now
    register.clock.forward(minutes=4)
    register.append("TN1")
    register.clock.now = now
    register.audit(state="mine")
    register.clock.forward(hours=24, minutes=1)
    assert "seen to wait at" in found(register.audit(state="mine"), "overdue")


def test_a_title_that_was_sealed_since_waits_anew(register):
    register.append("TN1")
    register.audit(state="mine")
    register.clock.forward(hours=25)
    register.seal()
    register.append("TN1")
    assert register.audit(state="mine")
    register.clock.forward(hours=23)
    assert register.audit(state="mine")


# --- requests ------------------------------------------------------------------------------------


def test_what_an_audit_asks_for(register):
    """Titles cost what verifying them costs, and their records; the log is a request a tile."""
    reads = Reads(register.store)
    Log(register.open(reads)).audit().run()
    assert [key for key in reads.keys if key.startswith("_log")] == [
        f"{LOG}checkpoint",
        f"{LOG}tile/entries/000.p/6",
        f"{LOG}tile/0/000.p/6",
        *(f"{LOG}sealed/TN{number}" for number in (1, 2, 3)),
    ]


def test_where_heads_are_beyond_the_log_the_markers_are_listed_once(register):
    register.append("TN1")
    register.append("TN2")
    reads = Reads(register.store)
    Log(register.open(reads)).audit().run()
    assert reads.keys.count(PENDING) == 1


def test_a_marker_of_another_version_explains_nothing(register):
    register.append("TN1", 2)
    objects = register.objects()
    del objects[pending_key("TN1", 5, register.entries["TN1"][4].address)]
    for version, digit in ((5, "0"), (5, "f"), (6, "0")):
        more = {pending_key("TN1", version, digit * 64): b""}
        assert "version 5" in found(register.audit(objects | more), "unlogged")
