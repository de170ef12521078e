"""What thieves of keys do to a ledger with trust files, on real stores: none of it counts."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import pytest

from ledger import Keyring, TrustError, verify_bundle
from ledger.errors import IntegrityError, LedgerError, NotProven
from ledger.format import layout
from ledger.format.layout import trust_key
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.packs.format import Packable, make_pack
from ledger.stores import open_store
from ledger.testing import ORIGIN, signer
from ledger.tlog import Leaf, sign_checkpoint
from ledger.tlog.objects import SealedRecord, TrustLeaf, decode_leaf
from tests.titles.test_settle import put
from tests.trust.people import ADA, after, listed, log_key, registrar, revoke, root_of
from tests.trust.siege import Siege
from tests.trust.world import SEALER, slugs

NEW_LOG = signer("log 2")
YEAR = timedelta(days=365)


STORES = ["memory", pytest.param("folder", marks=pytest.mark.slow)]
in_both = pytest.mark.parametrize("siege", STORES, indirect=True)


@pytest.fixture
def siege(request, tmp_path):
    """Alice and bob are registrars who may erase; carol is one who may not."""
    is_folder = getattr(request, "param", "") == "folder"
    store = open_store(str(tmp_path / "store")) if is_folder else None
    siege = Siege(tmp_path, store, registrars="alice bob")
    siege.publish(keys=siege.with_registrar("carol"))
    siege.seal()
    return siege


def assert_clean(siege, *, warnings=(), state=""):
    report = siege.audit(state)
    assert (report.outcome, slugs(report)) == ("verified", list(warnings))


def in_a_bundle(siege):
    """What a bundle of all titles says, which has the log."""
    out = BytesIO()
    siege.open().export(out)
    return verify_bundle(BytesIO(out.getvalue()), keyring=siege.keyring)


def assert_found(siege, slug, title="TN1"):
    """The title's own verification, the audit and every writer have to see it."""
    assert slug in slugs(siege.verify(title))
    report = siege.audit()
    assert slug in slugs(report)
    assert not report


# --- a registrar's key ----------------------------------------------------------------------------


@pytest.mark.parametrize("siege", ["memory", "folder"], indirect=True)
@pytest.mark.parametrize("is_logged", [True, False])
def test_a_revoked_key_that_back_dates_its_entry_does_not_count(siege, is_logged):
    siege.append("TN1")
    siege.seal()
    siege.revoke("alice", siege.checkpoint().size)
    siege.seal()
    siege.write("TN2", "alice", ago=YEAR)
    siege.write("TN1", "alice", ago=YEAR)
    if is_logged:
        siege.log_leaves(
            *(Leaf(t, siege.head(t).version, siege.head(t).address) for t in ("TN1", "TN2"))
        )
    assert_found(siege, "key-ended", "TN1")
    assert_found(siege, "key-ended", "TN2")
    assert siege.seal().leaves == 0
    for title in ("TN1", "TN2"):
        with pytest.raises(TrustError, match="before its key"):
            siege.append(title, "bob")


@in_both
def test_an_entry_that_a_retired_key_signed_in_its_time_is_too_late_when_it_is_brought_in(siege):
    siege.append("TN1")
    siege.append("TN2", "bob")
    siege.seal()
    kept = siege.sign("TN1", "alice"), siege.sign("TN3", "alice")
    siege.publish(keys=siege.without("alice"))
    siege.seal()
    for entry in kept:
        siege.place(entry)
    siege.seal()
    assert_found(siege, "key-ended", "TN1")
    assert_found(siege, "key-ended", "TN3")


@in_both
def test_a_head_set_to_a_sibling_that_lost_a_race_is_not_the_title(siege):
    first = siege.append("TN1")
    sibling = siege.place(siege.sign("TN1", "alice"), head=False)
    siege.append("TN1", "bob", document={"by": "bob, first"})
    siege.seal()
    siege.publish(keys=siege.without("alice"))
    siege.seal()
    siege.place(sibling)
    assert sibling.parent == first.address
    assert_found(siege, "key-ended")
    assert {"key-ended", "not-as-logged"} & set(slugs(siege.seal().report))


def test_a_sibling_of_a_logged_entry_takes_no_position_from_it(siege):
    """Bob's entry is logged before alice's key ends; her sibling of it is in no leaf."""
    siege.append("TN1", "bob")
    sibling = siege.sign("TN1", "alice")
    siege.append("TN1", "bob")
    siege.seal()
    siege.publish(keys=siege.without("alice"))
    siege.seal()
    siege.place(sibling)
    siege.write("TN1", "bob")  # an accomplice, or somebody who was not careful
    assert_found(siege, "key-ended")


def test_an_entry_of_a_dropped_key_that_waits_for_the_seal_does_not_count(siege):
    siege.append("TN1")
    siege.seal()
    siege.append("TN1")
    siege.publish(keys=siege.without("alice"))
    sealed = siege.seal()
    assert slugs(sealed.report) == ["key-ended"]
    assert sealed.leaves == 1  # the trust file
    assert_found(siege, "key-ended")
    siege.write("TN1", "bob", confirms=(2,))
    assert siege.seal().leaves == 2
    assert_clean(siege)


def test_all_registrars_revoked_at_once_leave_what_was_logged_before(siege):
    siege.append("TN1")
    siege.seal()
    good = siege.checkpoint().size
    siege.write("TN1", "alice")
    siege.write("TN2", "bob")
    siege.seal()
    siege.revoke(
        "alice",
        good,
        "bob",
        "carol",
        keys=listed(
            *(key for key in siege.keys if key.role == "log"),
            registrar(signer("dora").public_key, "dora", erase=True),
        ),
    )
    siege.seal()
    assert_found(siege, "key-ended", "TN1")
    assert_found(siege, "key-ended", "TN2")
    siege.write("TN1", "dora", voids=(2,))
    siege.write("TN2", "dora", confirms=(1,))
    siege.seal()
    assert_clean(siege)


def test_the_position_of_a_revocation_is_the_first_leaf_that_does_not_count(siege):
    siege.append("TN1")
    siege.append("TN2")
    siege.seal()
    at = {
        leaf.title_number: n
        for n in range(siege.checkpoint().size)
        if isinstance(leaf := siege.log().reader.leaf_at(n, siege.checkpoint()), Leaf)
    }
    last = max(at, key=at.__getitem__)
    before = min(at, key=at.__getitem__)
    siege.revoke("alice", at[last])
    siege.seal()
    assert siege.verify(before).outcome == "verified"
    assert slugs(siege.verify(last)) == ["key-ended"]
    siege.revoke("alice", at[before])
    siege.seal()
    assert slugs(siege.verify(before)) == ["key-ended"]


def test_what_was_signed_with_a_key_that_no_file_lists_is_no_registrars(siege):
    siege.write("TN1", "mallory")
    assert_found(siege, "unknown-key")
    siege.write("TN1", "bob", confirms=(1,))
    assert_found(siege, "unknown-key")


# --- erasing --------------------------------------------------------------------------------------


def test_a_registrar_who_may_not_erase_erases_nothing(siege):
    siege.append("TN1")
    siege.append("TN1", "bob")
    siege.seal()
    siege.write("TN1", "carol", erases=(1,))
    siege.withhold("TN1", 1)
    assert_found(siege, "may-not-erase")
    assert_found(siege, "text-missing")
    assert slugs(siege.seal().report) == ["may-not-erase"]


def test_no_pack_makes_an_erasure_of_one_who_may_not_erase_look_done(siege):
    siege.append("TN1")
    siege.write("TN1", "carol", erases=(1,))
    first = siege.entry("TN1", 1)
    name, data = make_pack(ORIGIN, [Packable("TN1", first.address, first.short)])
    siege.put(layout.pack_key(name), data)
    assert slugs(siege.open().verify_all()) == ["may-not-erase"]


@in_both
@pytest.mark.parametrize("settler", ["carol", "bob"])
def test_who_confirms_an_erasure_has_to_be_allowed_to_erase(siege, settler):
    siege.append("TN1")
    siege.seal()
    good = siege.checkpoint().size
    siege.write("TN1", "alice", erases=(1,))
    siege.withhold("TN1", 1)
    siege.seal()
    siege.revoke("alice", good - 1)  # what she registered herself does not count either
    siege.write("TN1", settler, confirms=(1, 2))
    siege.seal()
    report = siege.audit()
    if settler == "bob":
        assert report.outcome == "verified", report.findings
    else:
        assert slugs(report) == ["text-missing"]
        assert slugs(siege.verify("TN1")) == ["text-missing"]


def test_a_confirmed_entry_of_one_who_may_not_erase_stands_and_erases_nothing(siege):
    siege.append("TN1")
    siege.write("TN1", "carol", erases=(1,))
    siege.write("TN1", "bob", confirms=(2,))
    siege.seal()
    assert_clean(siege)
    siege.withhold("TN1", 1)
    assert_found(siege, "text-missing")


def test_the_right_to_erase_is_handed_down_through_confirmed_entries_only_by_erasers(siege):
    siege.append("TN1", "bob")
    siege.seal()
    good = siege.checkpoint().size
    siege.publish(keys=siege.with_registrar("erin", erase=True))
    siege.write("TN1", "alice", erases=(1,))  # version 2
    siege.withhold("TN1", 1)
    siege.write("TN1", "erin", confirms=(2,))  # 3, of a key that is revoked later
    siege.seal()
    siege.revoke("alice", good, "erin")
    siege.write("TN1", "bob", confirms=(3,))
    siege.seal()
    assert_clean(siege)
    siege.write("TN1", "carol", confirms=(3,))
    siege.seal()
    assert slugs(siege.audit()) == ["text-missing"]


def test_a_void_erasure_erases_nothing(siege):
    siege.append("TN1", "bob")
    siege.seal()
    good = siege.checkpoint().size
    siege.write("TN1", "alice", erases=(1,))
    siege.withhold("TN1", 1)
    siege.revoke("alice", good)
    siege.write("TN1", "bob", voids=(2,))
    siege.seal()
    assert slugs(siege.audit()) == ["text-missing"]


# --- confirms and voids ---------------------------------------------------------------------------


def test_voiding_an_entry_that_counts_has_no_effect(siege):
    siege.append("TN1")
    siege.append("TN1", "bob")
    siege.write("TN1", "carol", voids=(1, 2))
    siege.seal()
    assert_clean(siege, warnings=["named-needlessly"] * 2)
    assert siege.open().entry("TN1", "v1").document == {"by": "alice"}


def test_what_does_not_stand_settles_nothing(siege):
    siege.append("TN1", "bob")
    siege.seal()
    good = siege.checkpoint().size
    siege.write("TN1", "alice")
    siege.seal()
    siege.revoke("alice", good)
    siege.seal()
    siege.write("TN1", "alice", confirms=(2,))
    siege.write("TN1", "alice", voids=(2, 3))
    assert slugs(siege.audit()) == ["key-ended"] * 3
    siege.write("TN1", "bob", voids=(4,))
    assert slugs(siege.audit()) == ["key-ended"] * 2
    siege.write("TN1", "bob", voids=(2, 3))
    siege.seal()
    assert_clean(siege)


def test_the_newest_that_stands_decides_of_two_that_settle_one_entry(siege):
    siege.append("TN1", "bob")
    siege.seal()
    good = siege.checkpoint().size
    siege.write("TN1", "alice")
    siege.seal()
    siege.revoke("alice", good)
    siege.write("TN1", "bob", confirms=(2,))
    stands = {s.version: s for s in standing(siege, "TN1")}
    assert stands[2].stands
    siege.write("TN1", "bob", voids=(2,))
    stands = {s.version: s for s in standing(siege, "TN1")}
    assert stands[2].is_void
    siege.write("TN1", "carol", confirms=(2,))
    stands = {s.version: s for s in standing(siege, "TN1")}
    assert stands[2].stands
    siege.seal()
    assert_clean(siege)


def test_a_needless_name_wakes_when_a_revocation_falls(siege):
    siege.append("TN1")
    siege.seal()
    early = siege.checkpoint().size - 1
    siege.write("TN1", "bob", voids=(1,))
    siege.seal()
    siege.revoke("alice", siege.checkpoint().size)
    siege.seal()
    assert_clean(siege, warnings=["named-needlessly"])
    assert standing(siege, "TN1")[-1].stands
    siege.revoke("alice", early)
    siege.seal()
    assert_clean(siege)
    assert standing(siege, "TN1")[-1].is_void


class _Standing:
    def __init__(self, entry, stand):
        self.version, self.stands, self.is_void = entry.version, stand.stands, stand.is_void


def standing(siege, title):
    history = siege.open().history
    return [_Standing(*each) for each in history.judged(history.head(title))]


# --- hints ----------------------------------------------------------------------------------------


@pytest.fixture
def stolen(siege):
    """Alice's key was stolen: version 1 of TN1 is good, 2 is the thief's, and both are logged."""
    siege.append("TN1")
    siege.append("TN2")
    siege.seal()
    siege.good = siege.checkpoint().size
    siege.write("TN1", "alice")
    siege.seal()
    siege.revoke("alice", siege.good)
    siege.seal()
    return siege


def places(siege, title):
    """The leaves of a title."""
    log, checkpoint = siege.log().reader, siege.checkpoint()
    return {
        leaf.version: n
        for n in range(checkpoint.size)
        if isinstance(leaf := log.leaf_at(n, checkpoint), Leaf) and leaf.title_number == title
    }


@pytest.mark.parametrize("other", ["missing", "forged", "too high", "another title's", "no record"])
def test_hints_make_nothing_count_and_take_nothing_away(stolen, other):
    honest = SealedRecord.decode(stolen.read(layout.sealed_key("TN1")))
    assert slugs(stolen.verify("TN1")) == ["key-ended"]
    low = places(stolen, "TN2")[1]
    forged = {
        "missing": None,
        "forged": SealedRecord(honest.version, honest.address, (0, 1)),
        "too high": SealedRecord(honest.version, honest.address, (10**6, 10**6 + 1)),
        "another title's": SealedRecord(honest.version, honest.address, (low, low + 1)),
    }
    for title in ("TN1", "TN2"):
        if other == "no record":
            stolen.put(layout.sealed_key(title), b"{}")
        else:
            stolen.hint(title, forged[other])
    assert slugs(stolen.verify("TN1")) == ["key-ended"]
    assert stolen.verify("TN2").outcome == "verified"
    stolen.seal(every_title=True)
    assert slugs(stolen.verify("TN1")) == ["key-ended"]


def test_a_leaf_that_names_the_address_for_another_title_gives_no_position(siege):
    """A thief of both keys logs early what is only later put into the title."""
    siege.append("TN1", "bob")
    siege.seal()
    entry = siege.sign("TN1", "alice")
    siege.log_leaves(Leaf("TN9", 2, entry.address))
    siege.publish(keys=siege.without("alice"))
    siege.place(entry)
    assert "key-ended" in slugs(siege.verify("TN1"))
    siege.hint("TN1", SealedRecord(2, entry.address, (places(siege, "TN9")[2],)))
    assert "key-ended" in slugs(siege.verify("TN1"))


# --- the log's keys -------------------------------------------------------------------------------


def rotate(siege):
    """The log's key is retired for another one; returns a copy of the store from before."""
    siege.publish(keys=listed(*siege.keys, log_key(NEW_LOG.public_key)))
    both = [SEALER, NEW_LOG]
    siege.seal(both)
    siege.publish(
        keys=listed(*(key for key in siege.keys if key.key_id != SEALER.public_key.key_id))
    )
    siege.seal(NEW_LOG)


@in_both
def test_a_retired_key_of_the_log_signs_no_larger_checkpoint(siege):
    siege.append("TN1")
    siege.seal()
    rotate(siege)
    assert_clean(siege)
    entry = siege.write("TN1", "bob")
    siege.log_leaves(Leaf("TN1", 2, entry.address))
    assert slugs(siege.audit())[0] == "checkpoint-unproven"
    assert siege.audit().outcome == "unchecked"
    with pytest.raises(NotProven, match="no end"):
        siege.log().checkpoint()
    with pytest.raises(LedgerError):
        siege.seal(SEALER)


@pytest.mark.parametrize("where", ["below the first pin", "between two pins"])
def test_a_key_of_the_log_forks_neither_below_nor_between_pins(siege, where):
    siege.append("TN1")
    siege.seal()
    if where == "between two pins":
        siege.publish()
        siege.seal()
    start = siege.objects()
    for number in range(3):
        siege.append(f"TN{number + 2}")
    siege.seal()
    rotate(siege)
    files = {key: data for key, data in siege.objects().items() if key.startswith("_trust/")}
    siege.restore({**start, **files})
    for number in range(12):
        entry = siege.write(f"TN{number + 2}", "bob")
        siege.log_leaves(Leaf(entry.title_number, 1, entry.address))
    report = siege.audit()
    # It is not signed as it must be, and if it were, a pin would refute it.
    assert report.outcome in {"unchecked", "tampered"}
    assert slugs(report)[0] in {"checkpoint-unproven", "wrong-root"}
    with pytest.raises(LedgerError):
        siege.checkpoint()


def test_a_fork_by_a_key_without_an_end_is_refuted_by_the_pin(siege):
    siege.append("TN1")
    siege.seal()
    start = siege.objects()
    siege.append("TN2")
    siege.seal()
    second = siege.publish()
    siege.restore({**start, trust_key(second.version): second.encode()})
    for number in range(5):
        entry = siege.write(f"TN{number + 3}", "bob")
        siege.log_leaves(Leaf(entry.title_number, 1, entry.address))
    report = siege.audit()
    assert (report.outcome, slugs(report)[0]) == ("tampered", "wrong-root")


def test_a_log_older_than_the_file_that_judges_it_shows_no_position(siege):
    siege.append("TN1")
    siege.seal()
    siege.write("TN1", "alice")
    siege.seal()
    lagging = siege.objects()
    siege.append("TN2", "bob")
    siege.seal()
    newest = siege.publish(keys=siege.without("alice"))
    siege.restore({**lagging, trust_key(newest.version): newest.encode()})
    report = siege.verify("TN1")
    assert (report.outcome, set(slugs(report))) == ("unchecked", {"position-unknown"})
    assert siege.audit().outcome == "unchecked"
    assert "log-behind-pin" in slugs(siege.audit())
    with pytest.raises(LedgerError):
        siege.append("TN1", "bob")
    with pytest.raises(LedgerError):
        siege.seal()


def test_a_text_that_may_have_been_erased_rightly_is_not_called_tampering_by_a_lagging_log(siege):
    siege.append("TN1")
    siege.write("TN1", "alice", erases=(1,))
    siege.withhold("TN1", 1)
    siege.seal()
    lagging = siege.objects()
    siege.append("TN2", "bob")
    siege.seal()
    newest = siege.publish(keys=siege.without("alice"))
    siege.restore({**lagging, trust_key(newest.version): newest.encode()})
    report = siege.verify("TN1")
    assert (report.outcome, set(slugs(report))) == ("unchecked", {"position-unknown"})
    with pytest.raises(LedgerError) as raised:
        list(siege.open().log("TN1"))
    assert raised.value.reason == "position-unknown"


# --- trust files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("there", ["deleted", "junk"])
def test_without_the_newest_trust_file_the_log_names_what_is_missing(stolen, there):
    assert stolen.audit("state").outcome == "tampered"
    stolen.write("TN1", "bob", voids=(2,))
    stolen.seal()
    assert_clean(stolen, state="state")
    key = trust_key(stolen.files[-1].version)
    if there == "deleted":
        stolen.take(key)
    else:
        stolen.put(key, b"junk")
    for state in ("", "state"):
        report = stolen.audit(state)
        assert report.outcome == "tampered"
        assert "trust-missing" in slugs(report)
        assert ("trust-set-back" in slugs(report)) == bool(state)
        assert ("trust-not-accepted" in slugs(report)) == (there == "junk")
    assert ("trust-not-accepted" in slugs(stolen.verify("TN1"))) == (there == "junk")
    with pytest.raises(IntegrityError) as raised:
        stolen.seal()
    assert raised.value.reason == "trust-set-back"


def test_a_store_set_back_to_before_the_leaf_is_noticed_by_whoever_remembers(siege):
    siege.append("TN1")
    siege.seal()
    assert_clean(siege, state="state")
    before = siege.objects()
    siege.revoke("alice", siege.checkpoint().size)
    siege.seal()
    assert_clean(siege, state="state")
    siege.restore(before)
    found = slugs(siege.audit("state"))
    assert "trust-set-back" in found
    assert "log-set-back" in found
    with pytest.raises(IntegrityError) as raised:
        siege.seal()
    assert raised.value.reason == "trust-set-back"


def test_a_trust_file_that_one_victim_alone_is_shown_is_named_and_then_called_tampering(siege):
    siege.append("TN1")
    siege.seal()
    assert_clean(siege, state="state")
    siege.revoke("alice", siege.checkpoint().size)  # the sealer never sees it
    assert_clean(siege, warnings=["trust-not-logged"], state="state")
    assert_clean(siege, warnings=["trust-not-logged"])
    siege.clock.forward(hours=23)
    assert_clean(siege, warnings=["trust-not-logged"], state="state")
    siege.clock.forward(hours=2)
    report = siege.audit("state")
    assert (report.outcome, slugs(report)) == ("tampered", ["trust-not-logged"])
    assert_clean(siege, warnings=["trust-not-logged"])  # without a memory it is only named


def test_a_file_that_too_few_holders_signed_ends_the_chain(stolen):
    """The thief, and one holder, lift the revocation."""
    newest, before = stolen.files[-1], stolen.files[-2]
    forged = after(newest, ADA, size=newest.log.size, log=newest.log, keys=before.keys, revoked=())
    stolen.put(trust_key(forged.version), forged.encode())
    assert slugs(stolen.verify("TN1")) == ["trust-not-accepted", "key-ended"]


# --- the log's only key, and bogus leaves ---------------------------------------------------------


def revoke_log_key(siege, start):
    """The holders revoke the log's only key, and name another one."""
    keys = (key for key in siege.keys if key.key_id != SEALER.public_key.key_id)
    return siege.publish(
        keys=listed(*keys, log_key(NEW_LOG.public_key)),
        revoked=[*siege.files[-1].revoked, revoke(SEALER.public_key, start)],
    )


BOGUS = [
    Leaf("TN9", 1, "0" * 64),  # a title that isn't there
    Leaf("TN1", 99, "1" * 64),  # a version that isn't there
    Leaf("TN2", 1, "2" * 64),  # another entry as one that is there
]


@in_both
@pytest.mark.parametrize("is_settled", [True, False])
def test_what_the_thief_of_the_logs_only_key_logged_is_disowned(siege, is_settled):
    first = siege.append("TN1")
    siege.append("TN2")
    siege.seal()
    assert_clean(siege, state="state")
    good = siege.checkpoint().size
    next_version = siege.files[-1].version + 1
    siege.log_leaves(*BOGUS, Leaf("TN1", 7, first.address), TrustLeaf(next_version, "3" * 64))
    honest = siege.append("TN3", "bob")
    siege.log_leaves(Leaf("TN3", 1, honest.address))  # true, and by the same key
    assert siege.audit().outcome == "tampered"
    true = revoke_log_key(siege, good)
    sealed = siege.seal(NEW_LOG)
    if is_settled:
        for title in ("TN1", "TN2", "TN3"):
            siege.append(title, "bob", document={"after": "the theft"})
        siege.append("TN9", "carol", document={"a title": "at last"})
        sealed = siege.seal(NEW_LOG)
        assert sealed.leaves == 4
    assert set(slugs(sealed.report)) <= {"bad-record"}  # the thief wrote none
    start = good + len(BOGUS) + 2
    leaves = map(decode_leaf, siege.log().reader.leaves(siege.checkpoint().size, start))
    named = [leaf for leaf in leaves if isinstance(leaf, TrustLeaf)]
    assert named == [TrustLeaf(true.version, true.digest)]
    for state in ("", "state"):
        assert_clean(siege, warnings=["leaf-disowned"] * (len(BOGUS) + 2), state=state)
    assert_clean(siege, state="state")  # once
    report = in_a_bundle(siege)
    assert (report.outcome, slugs(report)) == ("verified", ["leaf-disowned"] * (len(BOGUS) + 2))
    assert siege.log().newest_of("TN1").version == (2 if is_settled else 1)
    newest = siege.log().newest_of("TN9")
    assert newest is None or newest.address == siege.head("TN9").address


def test_bogus_leaves_outside_of_the_disowned_range_stay_tampering(siege):
    siege.append("TN1")
    siege.seal()
    siege.log_leaves(Leaf("TN1", 2, "1" * 64))
    late = siege.checkpoint().size
    siege.log_leaves(Leaf("TN2", 1, "2" * 64))
    revoke_log_key(siege, late)
    siege.seal(NEW_LOG)
    report = siege.audit()
    assert report.outcome == "tampered"
    assert {"leaf-disowned", "not-as-logged"} <= set(slugs(report))
    assert {"leaf-disowned", "not-as-logged"} <= set(slugs(in_a_bundle(siege)))


def test_a_head_that_the_thief_set_back_is_still_missed_outside_of_the_range(siege):
    first = siege.append("TN1")
    siege.append("TN1")
    siege.seal()
    revoke_log_key(siege, siege.checkpoint().size)
    siege.seal(NEW_LOG)
    siege.put(layout.head_key("TN1"), siege.read(layout.entry_key("TN1", first.address)))
    assert "not-as-logged" in slugs(siege.audit())
    assert siege.log().newest_of("TN1").version == 2


def test_a_receipt_from_before_the_theft_of_the_logs_key_has_to_be_made_anew(siege):
    siege.append("TN1")
    siege.seal()
    receipt = siege.log().receipt("TN1")
    siege.append("TN2")
    siege.seal()
    revoke_log_key(siege, siege.checkpoint().size)
    siege.seal(NEW_LOG)
    log = siege.log().reader
    with pytest.raises(NotProven, match="prove") as raised:
        log.open(receipt.note)
    assert raised.value.reason == "checkpoint-unproven"
    log.open(siege.log().receipt("TN1").note)


def test_a_sealer_that_followed_the_thief_forgets_the_thiefs_tree_once(siege):
    siege.append("TN1")
    siege.seal()
    assert_clean(siege, state="state")
    before = siege.objects()
    entry = siege.append("TN2", "bob")
    siege.log_leaves(Leaf("TN2", 1, entry.address))
    siege.seal()  # follows
    assert_clean(siege, state="state")
    kept = siege.log().checkpoint().note
    siege.restore(before)
    good = siege.checkpoint().size
    with pytest.raises(IntegrityError) as raised:
        siege.log().checkpoint(since=kept)
    assert raised.value.reason == "log-set-back"
    revoke_log_key(siege, good)
    with pytest.raises(IntegrityError) as raised:
        siege.log().checkpoint(since=kept)
    assert raised.value.reason == "memory-disowned"
    assert f"from leaf {good} on" in raised.value.hint
    found = slugs(siege.audit("state"))
    assert "memory-disowned" in found
    assert "log-set-back" not in found
    assert "memory-disowned" in slugs(siege.seal(NEW_LOG).report)
    assert slugs(siege.seal(NEW_LOG).report) == []


def test_one_of_the_logs_two_algorithms_alone_is_not_enough(siege):
    beside = MLDSAPrivateKey("ML-DSA-44", b"4" * 32)
    siege.append("TN1")
    siege.seal([SEALER, beside])
    siege.publish(keys=listed(*siege.keys, log_key(beside.public_key)))
    siege.seal([SEALER, beside])
    assert_clean(siege)
    checkpoint = siege.checkpoint()
    for alone in (SEALER, beside):
        with pytest.raises(NotProven):
            siege.log().reader.open(sign_checkpoint(checkpoint, alone))
    siege.append("TN2")
    with pytest.raises(LedgerError, match="ML-DSA-44"):
        siege.seal(SEALER)
    entry = siege.head("TN2")
    siege.log_leaves(Leaf("TN2", 1, entry.address))
    report = siege.audit()
    assert (report.outcome, slugs(report)[0]) == ("unchecked", "checkpoint-unproven")
    with pytest.raises(LedgerError):
        siege.seal([SEALER, beside])


# --- time -----------------------------------------------------------------------------------------


def test_an_entry_older_than_an_audit_that_did_not_see_it_is_named(siege):
    siege.append("TN1")
    siege.seal()
    assert_clean(siege, state="state")
    siege.clock.forward(days=30)
    assert_clean(siege, state="state")
    siege.clock.forward(days=1)
    siege.write("TN2", "bob", ago=timedelta(days=10))
    siege.append("TN1", "bob")
    siege.seal()
    assert_clean(siege, warnings=["back-dated"], state="state")
    assert_clean(siege, state="state")
    assert_clean(siege)


def test_an_entry_within_the_delay_is_not_back_dated(siege):
    siege.append("TN1")
    siege.seal()
    siege.clock.forward(days=30)
    assert_clean(siege, state="state")
    siege.write("TN2", "bob", ago=timedelta(hours=23))
    siege.write("TN2", "bob")
    siege.seal()
    assert_clean(siege, state="state")


def test_only_what_saw_the_log_dates_it(siege):
    """Verifying titles with a state, without the log, says nothing of when the log was seen."""
    siege.append("TN1")
    siege.seal()
    assert_clean(siege, state="state")
    siege.clock.forward(days=5)
    siege.append("TN2")
    siege.seal()
    siege.clock.forward(days=5)
    assert siege.open().verification(state=siege.folder / "state").run().outcome == "verified"
    assert_clean(siege, state="state")


# --- roots ----------------------------------------------------------------------------------------


def test_an_old_root_and_a_new_one_judge_alike(stolen):
    stolen.write("TN1", "bob", voids=(2,))
    stolen.seal()
    for file in stolen.files:
        assert stolen.audit(keyring=Keyring(roots=[root_of(file)])).outcome == "verified"


def test_a_keyring_of_the_readers_own_adds_no_key(stolen):
    own = Keyring(roots=[root_of(stolen.files[0])])
    own = own.trust(ORIGIN, signer("alice").public_key).trust(ORIGIN, signer("mallory").public_key)
    assert slugs(stolen.open(keyring=own).verify("TN1")) == ["key-ended"]
    stolen.write("TN5", "mallory")
    assert slugs(stolen.open(keyring=own).verify("TN5")) == ["unknown-key"]


def test_a_state_vouches_for_nothing_that_a_new_entry_names(siege):
    """Carol, who may not erase, confirms what bob had confirmed: its erasure falls."""
    siege.append("TN1", "bob")
    siege.seal()
    good = siege.checkpoint().size
    siege.write("TN1", "alice", erases=(1,))
    siege.withhold("TN1", 1)
    siege.revoke("alice", good)
    siege.write("TN1", "bob", confirms=(2,))
    siege.seal()
    assert_clean(siege, state="state")
    siege.write("TN1", "carol", confirms=(2,))
    siege.seal()
    assert slugs(siege.audit()) == ["text-missing"]
    assert slugs(siege.audit("state")) == ["text-missing"]


def test_a_thief_who_goes_on_after_the_revocation_is_left_behind(siege):
    """The log's revoked key continues the log: the sealer goes on from where the pin is."""
    siege.append("TN1")
    siege.seal()
    good = siege.checkpoint().size
    siege.log_leaves(Leaf("TN8", 1, "0" * 64))
    revoke_log_key(siege, good)
    pinned = siege.checkpoint().size
    before = siege.objects()
    siege.log_leaves(Leaf("TN9", 1, "0" * 64))
    with pytest.raises(NotProven, match="not seen that tree") as raised:
        siege.seal(NEW_LOG)
    assert raised.value.reason == "checkpoint-unproven"
    foreign = [key for key in siege.objects().keys() - before.keys() if "/tile/" in key]
    assert foreign
    with pytest.raises(IntegrityError) as raised:
        siege.seal(NEW_LOG, restored="the thief went on")
    assert raised.value.reason == "foreign-tile"
    for key in foreign:
        siege.take(key)
    siege.append("TN9", "bob")
    sealed = siege.seal(NEW_LOG)
    assert sealed.signed.checkpoint.size == pinned + 2  # the trust file, and TN9
    assert_clean(siege, warnings=["leaf-disowned"])


def test_a_new_key_of_the_log_signs_nothing_from_before_the_file_that_lists_it(siege):
    siege.append("TN1")
    siege.seal()
    old = siege.checkpoint()
    siege.append("TN2")
    siege.seal()
    siege.publish(keys=listed(*siege.keys, log_key(NEW_LOG.public_key)))
    siege.seal([SEALER, NEW_LOG])
    with pytest.raises(NotProven):
        siege.log().reader.open(sign_checkpoint(old, NEW_LOG))
    siege.log().reader.open(sign_checkpoint(old, SEALER))
    siege.log().reader.open(sign_checkpoint(siege.checkpoint(), NEW_LOG))


def test_without_a_log_nobody_can_tell_what_a_key_with_an_end_signed(stolen):
    stolen.take(layout.LOG_CHECKPOINT)
    report = stolen.verify("TN1")
    assert (report.outcome, set(slugs(report))) == ("unchecked", {"position-unknown"})


def test_a_copy_that_has_only_the_newest_tiles_tells_positions(stolen):
    """Tiles of the size that a file pins are on no copy: they are cut of those that are there."""
    said = slugs(stolen.open().verify_all())
    newest = f".p/{stolen.checkpoint().size}"
    old = [key for key in stolen.objects() if ".p/" in key and not key.endswith(newest)]
    assert old
    for key in old:
        put(stolen.store, key, None)
    assert slugs(stolen.open().verify_all()) == said
    assert "position-unknown" not in said
