"""What an audit remembers: the next one costs what is new, and finds what is gone or set back."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Ledger, Report
from ledger.errors import (
    ConflictError,
    InvalidError,
    LedgerError,
    MalformedError,
    StoreDenied,
    StoreUnavailable,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.layout import head_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from ledger.verification.state import VerificationState
from ledger.verification.walk import Known, Subject
from tests.laws import examples
from tests.tampering import (
    HEAD,
    OTHER_ORIGIN,
    OTHER_TITLE,
    TITLE,
    assert_named,
    objects_of,
    small_world,
)
from tests.wrappers import CountingStore, Wrapper

GROUPS = 0o070


@pytest.fixture
def world():
    return small_world()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def audited(world, path):
    """The path of a state that remembers the whole world."""
    assert world.open().verify_all(state=path)
    return path


def lines(path):
    """The lines about titles."""
    return path.read_text().splitlines()[1:-1]


def title_numbers(path):
    return [line.split(" ")[0] for line in lines(path)]


# --- what it is for ------------------------------------------------------------------------------


def test_a_repeated_audit_reads_a_head_of_each_title_and_what_is_new(world, audited):
    store = CountingStore(world.store())
    reads = store.during(lambda: world.open(store).verify_all(state=audited))
    assert sorted(key for operation, key in reads if operation == "get" and "/" in key) == [
        HEAD,
        head_key(OTHER_TITLE),
    ]
    writer = Ledger.open(store, keyring=world.keyring, signer=world.key, clock=world.clock)
    newest = writer.append(TITLE, {"owner": "Di"})
    reads = store.during(lambda: world.open(store).verify_all(state=audited))
    read = {key for operation, key in reads if operation == "get" and key.startswith(f"{TITLE}/")}
    assert read == {HEAD, f"{TITLE}/{newest.address}.json", world.key_of(3)}


def test_the_file_names_each_title_with_the_version_and_address_of_its_head(world, audited):
    head = world.open().head(OTHER_TITLE)
    assert lines(audited) == [
        f"{TITLE} 3 {world.entries[2].address}",
        f"{OTHER_TITLE} 1 {head.address}",
    ]
    first, *_, last = audited.read_text().splitlines(keepends=True)
    assert json.loads(first) == {
        "audited_at": "2026-11-26T10:00:00.000000Z",
        "format": 1,
        "keys": [world.key.public_key.key_id],
        "kind": "title-ledger-audit-state",
        "ledger": ORIGIN,
    }
    above = audited.read_bytes().removesuffix(last.encode())
    assert json.loads(last) == {"sha256": hashlib.sha256(above).hexdigest(), "titles": 2}


def test_a_title_number_of_any_length_is_remembered(tmp_path):
    ledger = memory_ledger()
    for title in ("0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9", "A.1", "Z" * 64):
        ledger.append(title, {})
    for _ in range(2):
        assert ledger.verify_all(state=tmp_path / "state")
    assert [line.split()[0] for line in lines(tmp_path / "state")] == list(ledger.titles())


def test_the_report_says_how_much_was_taken_on_trust(world, audited):
    report = world.open().verify_all(state=audited)
    assert report
    assert (report.titles, report.entries) == (2, 0)
    trusted = (
        f"4 entries of 2 titles, up to what {audited} remembers of 2026-11-26T10:00:00.000000Z"
    )
    assert f"{trusted}: taken on trust (--state)" in report.not_shown
    assert not [note for note in report.not_shown if "--expect" in note]


def test_entries_on_top_of_what_is_remembered_are_checked_with_the_one_they_stand_on(world, path):
    world.objects[HEAD] = world.entries[1].data
    assert world.open().verify_all(state=path)
    world.objects[HEAD] = world.entries[2].data
    report = world.open().verify_all(state=path)
    assert (report.titles, report.entries) == (2, 2)
    assert any(note.startswith("2 entries of 2 titles, up to") for note in report.not_shown)
    assert lines(path)[0] == f"{TITLE} 3 {world.entries[2].address}"


def test_the_first_audit_says_that_nothing_was_remembered(world, path):
    report = world.open().verify_all(state=path)
    assert f"what was there before: {path} did not exist, so nothing was remembered" in (
        report.not_shown
    )


def test_a_title_that_is_gone_is_found(world, audited):
    before = lines(audited)
    world.objects = {k: v for k, v in world.objects.items() if f"{TITLE}" not in k}
    for _ in "again":  # and again: the pin survives
        report = world.open().verify_all(state=audited)
        assert_named(report, "head-missing", HEAD)
    assert lines(audited) == [f"{before[0]} pin", before[1]]


@pytest.mark.parametrize("version", [1, 2])
def test_a_head_that_was_set_back_is_found(world, audited, version):
    before = lines(audited)
    world.objects[HEAD] = world.entries[version - 1].data
    for _ in "again":
        assert_named(world.open().verify_all(state=audited), "pin-missing", HEAD)
    assert lines(audited)[0] == f"{before[0]} pin"
    world.objects[HEAD] = world.entries[2].data
    assert world.open().verify_all(state=audited)
    assert lines(audited) == before


def test_a_tampered_title_is_never_taken_on_trust_again(world, audited):
    """What was once found wanting below the pin is looked at, until it holds."""
    world.objects[HEAD] = b"{}"
    assert not world.open().verify_all(state=audited)
    world.objects[HEAD] = world.entries[2].data
    world.objects[world.key_of(1)] = b"{}"
    assert_named(world.open().verify_all(state=audited), "address-mismatch", world.key_of(1))


def test_what_could_not_be_checked_keeps_its_line(world, audited):
    class Denying(MemoryStore):
        def get(self, key):
            if key == HEAD:
                raise StoreDenied("no permission")
            return super().get(key)

    store = Denying()
    store.create_many(world.objects.items())
    before = lines(audited)
    assert world.open(store).verify_all(state=audited).outcome == "unchecked"
    assert lines(audited) == before


def test_the_listing_is_said_to_hide_only_what_was_not_remembered(world, audited):
    report = world.open().verify_all(state=audited)
    assert any("whether a title is missing that" in note for note in report.not_shown)
    chosen = world.open().verify_all([TITLE], state=audited)
    assert not any("a title is missing" in note for note in chosen.not_shown)


# --- titles that were chosen ---------------------------------------------------------------------


def test_titles_that_were_not_chosen_keep_their_lines(world, audited):
    before = lines(audited)
    writer = Ledger.open(world.store(), keyring=world.keyring, signer=world.key, clock=world.clock)
    writer.append(OTHER_TITLE, {"owner": "Edi"})
    newest = writer.append("TN3", {"owner": "Flo"})
    assert writer.verify_all(["TN3"], state=audited)
    assert lines(audited) == [*before, f"TN3 1 {newest.address}"]


def test_a_title_that_was_chosen_twice_or_out_of_order_is_verified_once(world, path):
    report = world.open().verify_all([OTHER_TITLE, TITLE, OTHER_TITLE], state=path)
    assert (report.titles, report.entries) == (2, 4)
    assert title_numbers(path) == [TITLE, OTHER_TITLE]


def test_titles_are_in_the_order_of_their_keys(path):
    ledger = memory_ledger()
    for number in ("A", "A-1", "A1", "B"):
        ledger.append(number, {})
    assert ledger.verify_all(state=path)
    assert title_numbers(path) == ["A-1", "A", "A1", "B"]
    assert ledger.verify_all(state=path).entries == 0


def test_a_store_that_lists_out_of_order_is_no_reason_to_lose_a_line(world, audited):
    class Disordered(MemoryStore):
        def list(self, prefix="", *, after="", delimiter=""):
            return reversed(list(super().list(prefix, after=after, delimiter=delimiter)))

    store = Disordered()
    store.create_many(world.objects.items())
    before = lines(audited)
    report = world.open(store).verify_all(state=audited)
    assert [(f.severity, f.slug) for f in report.findings] == [("tampering", "damaged")]
    assert "out of order" in report.findings[0].message
    assert lines(audited) == before


class BreaksOff(Wrapper):
    """Its listing of everything ends with an error, after so many keys or folders."""

    def __init__(self, inner, after):
        super().__init__(inner)
        self.after = after

    def list(self, prefix="", *, after="", delimiter=""):
        found = self.inner.list(prefix, after=after, delimiter=delimiter)
        if prefix:
            yield from found
        else:
            yield from islice(found, self.after)
            raise StoreUnavailable("no answer to the request for page 2")


def reopened(ledger, store):
    return Ledger.open(store, keyring=ledger.keyring)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_what_was_listed_before_the_listing_broke_off_is_checked_and_kept(path, concurrency):
    ledger = many(10)
    ledger.verify_all(["TN009"], state=path)
    ledger.store.replace("TN003/head.json", b"", ledger.store.get("TN003/head.json").version)
    store = BreaksOff(ledger.store, 6)
    store.concurrency = concurrency
    heard = []
    report = reopened(ledger, store).verify_all(state=path, each=heard.append)
    assert (report.outcome, report.titles, len(heard)) == ("tampered", 6, 6)
    assert [f.slug for f in report.findings] == ["malformed-entry", "store-unavailable"]
    assert "page 2" in report.findings[1].message
    assert title_numbers(path) == [f"TN{n:03}" for n in (0, 1, 2, 4, 5, 9)]


def test_a_store_that_lists_nothing_at_all_is_an_error_of_the_store(path):
    ledger = many(2)
    for verify in (lambda broken: broken.verify_all(state=path), Ledger.fsck):
        with pytest.raises(StoreUnavailable, match="page 2"):
            verify(reopened(ledger, BreaksOff(ledger.store, 0)))


def test_fsck_keeps_what_it_found_before_the_listing_broke_off():
    ledger = many(10)
    ledger.store.replace("TN003/head.json", b"", ledger.store.get("TN003/head.json").version)
    report = reopened(ledger, BreaksOff(ledger.store, 20)).fsck()
    assert report.outcome == "tampered"
    assert {f.slug for f in report.findings} >= {"malformed-entry", "store-unavailable"}
    assert report.titles == 7  # the last of them was listed in part, and is walked as a whole


# --- keys ----------------------------------------------------------------------------------------


def two_registrars(world, path):
    """A world with TITLE's newest version by bob, and a state that relied on both keys."""
    both = keyring_for(world.key, signer("bob"))
    store = world.store()
    Ledger.open(store, keyring=both, signer=signer("bob"), clock=world.clock).append(
        TITLE, {"a": 1}
    )
    world.objects = objects_of(store)
    world.keyring = both
    assert world.open().verify_all(state=path)


def test_a_key_that_counts_no_more_voids_all_that_relied_on_it(world, path):
    two_registrars(world, path)
    before = lines(path)
    world.keyring = keyring_for(world.key)
    for _ in "again":  # the title of the lost key is not taken on trust later on, either
        report = world.open().verify_all(state=path)
        assert_named(report, "unknown-key", HEAD)
    assert lines(path) == [f"{before[0]} pin", before[1]]


def test_a_void_state_is_still_a_pin_and_the_report_says_what_it_is_not(world, audited):
    bob = keyring_for(world.key, signer("bob"))
    world.keyring = bob
    assert world.open().verify_all(state=audited)
    world.keyring = keyring_for(world.key)
    whole = world.open().verify_all(state=audited)
    assert whole
    assert whole.entries == 4
    assert any(
        signer("bob").public_key.key_id[:16] in n and "verified anew" in n for n in whole.not_shown
    )
    assert world.open().verify_all(state=audited).entries == 0
    world.keyring = bob
    assert world.open().verify_all(state=audited)
    world.keyring = keyring_for(world.key)
    world.objects[HEAD] = world.entries[1].data
    assert_named(world.open().verify_all(state=audited), "pin-missing", HEAD)


def test_after_a_lost_key_titles_that_were_not_chosen_are_pins_only(world, audited):
    world.keyring = keyring_for(world.key, signer("bob"))
    assert world.open().verify_all(state=audited)
    world.keyring = keyring_for(world.key)
    assert world.open().verify_all([OTHER_TITLE], state=audited)
    assert [line.endswith(" pin") for line in lines(audited)] == [True, False]
    assert world.open().verify_all(state=audited).entries == 3


def test_a_key_that_was_added_voids_nothing(world, audited):
    world.keyring = keyring_for(world.key, signer("bob"))
    assert world.open().verify_all(state=audited).entries == 0
    assert json.loads(audited.read_text().splitlines()[0])["keys"] == sorted(
        [world.key.public_key.key_id, signer("bob").public_key.key_id]
    )


# --- an audit that was cut short -----------------------------------------------------------------


class Stop(BaseException):
    pass


def stop_after(count):
    heard = []

    def each(report: Report) -> None:
        heard.append(report)
        if len(heard) == count:
            raise Stop

    return each


def many(count):
    ledger = memory_ledger()
    for number in range(count):
        for version in range(2):
            ledger.append(f"TN{number:03}", {"version": version})
    return ledger


@pytest.mark.parametrize("checked", [1, 4, 10])
def test_what_was_checked_is_kept_when_it_is_interrupted_and_the_next_one_goes_on(path, checked):
    ledger = many(10)
    with pytest.raises(Stop):
        ledger.verify_all(state=path, each=stop_after(checked))
    assert title_numbers(path) == [f"TN{number:03}" for number in range(checked)]
    report = ledger.verify_all(state=path)
    assert (report.titles, report.entries) == (10, 2 * (10 - checked))


def test_what_an_interrupted_audit_did_not_come_to_keeps_its_line(path):
    ledger = many(10)
    assert ledger.verify_all(state=path)
    before = path.read_text().splitlines()[1:-1]
    newest = ledger.append("TN001", {"version": 2})
    with pytest.raises(Stop):
        ledger.verify_all(state=path, each=stop_after(4))
    before[1] = f"TN001 3 {newest.address}"
    assert lines(path) == before


def test_an_audit_is_stopped_from_another_thread_and_is_never_true_then(path):
    ledger = many(3)
    verification = ledger.verification(state=path)
    stopped = []
    ended = verification.run(lambda _: stopped.append(verification.stop()))
    assert stopped == [ended]
    assert not ended
    assert (ended.outcome, ended.titles) == ("unchecked", 1)
    assert [(f.severity, f.slug) for f in ended.findings] == [("unchecked", "interrupted")]
    assert verification.state_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert title_numbers(path) == ["TN000"]


def test_tampering_that_was_found_before_it_was_stopped_is_in_the_report(world, path):
    world.objects[HEAD] = b""
    verification = world.open().verification(state=path)
    verification.run(lambda _: verification.stop())
    assert verification.stop().outcome == "tampered"


def test_of_two_audits_at_once_the_second_is_refused(world, path):
    """The later to end would forget what the other one saw."""
    first = world.open().verification(state=path)
    with pytest.raises(ConflictError, match="another verification is using"):
        world.open().verification(state=path)
    assert first.run()
    assert world.open().verification(state=path).run()


def test_until_it_has_ended_the_file_is_as_it_was(world, audited):
    before = audited.read_bytes()
    world.clock.forward(days=1)

    def each(_: Report) -> None:
        assert audited.read_bytes() == before

    assert world.open().verify_all(state=audited, each=each)
    assert audited.read_bytes() != before


def test_a_memory_that_can_not_be_written_at_the_end_is_a_finding_beside_the_others(world, audited):
    """What took hours to find out is not lost for it."""
    world.objects[HEAD] = b""

    def in_the_way(_: Report) -> None:
        if audited.is_file():
            audited.unlink()
            audited.mkdir()

    report = world.open().verify_all(state=audited, each=in_the_way)
    assert [(f.severity, f.slug, f.object_key) for f in report.findings] == [
        ("tampering", "malformed-entry", HEAD),
        ("unchecked", "state-not-written", str(audited)),
    ]


def test_an_audit_that_will_not_be_remembered_is_not_true(world, path):
    assert not world.open().verify_all(state=path, each=lambda _: path.mkdir(exist_ok=True))


# --- what is refused -----------------------------------------------------------------------------


def test_every_changed_byte_is_refused(world, audited):
    whole = audited.read_bytes()
    store = world.store()
    for position in range(len(whole)):
        for change in (0x01, 0x20, 0x80):
            changed = bytearray(whole)
            changed[position] ^= change
            audited.write_bytes(changed)
            with pytest.raises((MalformedError, TrustError, UnsupportedFormatError)) as caught:
                world.open(store).verify_all(state=audited)
            assert str(audited) in str(caught.value)
            assert audited.read_bytes() == changed


def test_every_cut_and_all_that_is_added_is_refused(world, audited):
    whole = audited.read_bytes()
    texts = [whole[:size] for size in range(len(whole))]
    texts += [whole + b"\n", whole + whole, whole + b"TN9", b"\n" + whole]
    for changed in texts:
        audited.write_bytes(changed)
        with pytest.raises(MalformedError, match="is damaged"):
            world.open().verify_all(state=audited)


def remade(header, *titles):
    """The bytes of a state with these lines, its digest right."""
    above = "".join(f"{line}\n" for line in (header, *titles)).encode()
    digest = hashlib.sha256(above).hexdigest()
    return above + f'{{"sha256":"{digest}","titles":{len(titles)}}}\n'.encode()


ADDRESS = "a" * 64


@pytest.mark.parametrize(
    "titles",
    [
        ["TN2 1 " + ADDRESS, "TN1 1 " + ADDRESS],
        ["TN1 1 " + ADDRESS, "TN1 1 " + ADDRESS],
        ["A 1 " + ADDRESS, "A-1 1 " + ADDRESS],
        ["TN1 0 " + ADDRESS],
        ["TN1 01 " + ADDRESS],
        ["TN1 1 " + ADDRESS.upper()],
        ["TN1 1 " + ADDRESS + " "],
        ["TN1 1 " + ADDRESS + " Pin"],
        ["TN1  1 " + ADDRESS],
        ["tn1 1 " + ADDRESS],
        ["CON 1 " + ADDRESS],
        ["TN1 1 " + ADDRESS + "\r"],
        [""],
    ],
)
def test_a_line_of_another_form_or_order_is_refused(world, audited, titles):
    header = audited.read_text().splitlines()[0]
    audited.write_bytes(remade(header, "ABC 1 " + ADDRESS) if not titles else b"")
    audited.write_bytes(remade(header, *titles))
    with pytest.raises(MalformedError, match="is damaged"):
        world.open().verify_all(state=audited)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": 3}, UnsupportedFormatError),
        ({"format": True}, UnsupportedFormatError),
        ({"kind": "something else"}, MalformedError),
        ({"more": 1}, MalformedError),
        ({"keys": ["A"]}, MalformedError),
        ({"keys": ["b" * 64, "a" * 64]}, MalformedError),
        ({"keys": ["a" * 64, "a" * 64]}, MalformedError),
        ({"keys": [1]}, MalformedError),
        ({"keys": ADDRESS}, MalformedError),
        ({"ledger": 1}, MalformedError),
        ({"audited_at": "2026-11-23"}, MalformedError),
        ({"audited_at": None}, MalformedError),
        ({"ledger": OTHER_ORIGIN}, TrustError),
    ],
)
def test_a_first_line_that_says_something_else_is_refused(world, audited, change, error):
    header = json.loads(audited.read_text().splitlines()[0]) | change
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    audited.write_bytes(remade(text, *lines(audited)))
    with pytest.raises(error):
        world.open().verify_all(state=audited)


def test_the_bytes_of_another_file_are_refused(world, path):
    path.write_bytes(os.urandom(1 << 16))
    with pytest.raises(MalformedError, match="is damaged"):
        world.open().verify_all(state=path)
    path.write_bytes(b"x" * (3 << 20))
    with pytest.raises(MalformedError, match="a line without an end"):
        world.open().verify_all(state=path)


def test_one_that_others_can_write_is_refused(world, audited):
    assert stat.S_IMODE(audited.stat().st_mode) == 0o600
    audited.chmod(0o644)
    assert world.open().verify_all(state=audited)
    for mode in (0o620, 0o602):
        audited.chmod(mode)
        with pytest.raises(TrustError, match="others can write"):
            world.open().verify_all(state=audited)


def test_a_link_or_a_folder_in_its_place_is_refused(world, audited, tmp_path):
    link = tmp_path / "link"
    for target in (audited, tmp_path / "nowhere"):
        link.symlink_to(target)
        with pytest.raises(InvalidError, match="symbolic link"):
            world.open().verify_all(state=link)
        link.unlink()
    link.mkdir()
    with pytest.raises(InvalidError, match="not a plain file"):
        world.open().verify_all(state=link)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidError, match="not a plain file"):
        world.open().verify_all(state=tmp_path / "pipe")


def test_one_in_the_store_itself_is_refused(tmp_path):
    ledger = Ledger.create(str(tmp_path / "store"), origin=ORIGIN, signer=signer())
    (tmp_path / "link").symlink_to(tmp_path / "store")
    for place in ("store/state", "link/state", "store/TN1/state"):
        with pytest.raises(InvalidError, match="inside the store"):
            ledger.verify_all(state=tmp_path / place)


def test_where_it_could_not_be_written_nothing_is_read(world, tmp_path):
    store = CountingStore(world.store())
    ledger = world.open(store)

    def audit() -> None:
        with pytest.raises(StoreUnavailable, match="cannot write"):
            ledger.verify_all(state=tmp_path / "no folder" / "state")

    assert store.during(audit) == []


def test_where_its_folder_may_not_be_written_nothing_is_read(world, audited):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    store = CountingStore(world.store())
    ledger = world.open(store)
    audited.parent.chmod(0o500)

    def audit() -> None:
        with pytest.raises(StoreUnavailable, match="cannot write"):
            ledger.verify_all(state=audited)

    try:
        assert store.during(audit) == []
    finally:
        audited.parent.chmod(0o700)


# --- the join, as a law --------------------------------------------------------------------------

NUMBERS = st.sampled_from(["A", "A-1", "A1", "B", "B-", "B_", "C", "TN1", "TN10", "TN2"])
VERSIONS = st.integers(1, 2**53)
ADDRESSES = st.binary(min_size=32, max_size=32).map(bytes.hex)
KNOWN = st.dictionaries(NUMBERS, st.builds(Known, VERSIONS, ADDRESSES))


def in_order(titles):
    return sorted(titles, key=head_key)


def audit_by(state, outcomes):
    for number in in_order(outcomes):
        head = outcomes[number]
        state.add(number, head, tampered=False)
    state.finish()
    state.close()


@settings(max_examples=examples(100))
@given(first=KNOWN, second=KNOWN, listed=st.sets(NUMBERS), tampered=st.sets(NUMBERS))
def test_a_state_is_what_was_last_said_of_each_title(
    tmp_path_factory, first, second, listed, tampered
):
    path = tmp_path_factory.mktemp("law") / "state"
    keyring, now = keyring_for(), FixedClock().now
    audit_by(VerificationState(path, ORIGIN, keyring, now), first)

    state = VerificationState(path, ORIGIN, keyring, now)
    asked = list(state.subjects(in_order(listed), listed=True, every=True))
    assert asked == [
        Subject(number, first[number]) if number in first else Subject(number, listed=True)
        for number in in_order(listed | first.keys())
    ]
    chosen = list(state.subjects(in_order(listed), listed=False, every=False))
    assert chosen == [Subject(number, first.get(number)) for number in in_order(listed)]
    for number in in_order(second.keys() | tampered):
        state.add(number, second.get(number), tampered=number in tampered)
    state.finish()
    state.finish()  # as often as one likes
    state.close()

    expected = first | second
    pins = {number for number in tampered if number in first and number not in second}
    again = VerificationState(path, ORIGIN, keyring, now)
    assert [(r.title_number, (r.version, r.address), r.vouched) for r in again.remembered()] == [
        (number, expected[number], number not in pins) for number in in_order(expected)
    ]
    again.close()


def test_many_titles_are_read_as_they_are_needed(path):
    """More than fits one block; nothing of it is held."""
    keyring, now = keyring_for(signer()), FixedClock().now
    state = VerificationState(path, ORIGIN, keyring, now)
    for number in range(30_000):
        state.add(f"TN{number:08}", Known(number + 1, f"{number:064x}"))
    state.finish()
    state.close()
    again = VerificationState(path, ORIGIN, keyring, now)
    found = again.remembered()
    assert [r.version for r in islice(found, 3)] == [1, 2, 3]
    assert sum(1 for _ in found) == 29_997
    again.close()


def test_errors_of_a_state_are_the_ledgers_own(world, audited):
    audited.write_text("")
    with pytest.raises(LedgerError) as caught:
        world.open().verification(state=audited)
    assert "move it away" in caught.value.hint


def test_a_text_that_was_erased_since_is_named_as_not_shown(path):
    ledger = memory_ledger()
    ledger.append(TITLE, {"n": 1})
    assert ledger.verify_all(state=path)
    for number in (2, 3):
        ledger.append(TITLE, {"n": number})
    assert ledger.erase(TITLE, [2], reference="ORDER-1", message="by order").is_done
    said = f"the text of 1 entry of {TITLE}, erased by version 4 (reference ORDER-1)"
    assert said in ledger.verify_all(state=path).not_shown
