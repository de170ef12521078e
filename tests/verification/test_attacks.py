"""What somebody with the store in his hands can do to a ledger that is logged, and what it shows.

Some hold the registrar's key as well, or the log's. Every attack leaves chains that verify; each is
named by an audit.
"""

from __future__ import annotations

from collections import Counter

import pytest

from ledger import Log
from ledger.errors import IntegrityError, StoreDenied, StoreUnavailable
from ledger.format.layout import LOG, LOG_CHECKPOINT, PENDING, entry_key, head_key, pending_key
from ledger.stores.base import Blob
from ledger.testing import ORIGIN, keyring_for, memory_ledger, signer
from ledger.tlog import Checkpoint, Leaf, sign_checkpoint
from ledger.verification.replay import rehash
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR, log_in
from tests.tampering import address, members, objects_of, signed
from tests.verification.register import Register, forged_log, found, leaves_of, slugs, store_of
from tests.wrappers import Wrapper


@pytest.fixture
def register(tmp_path):
    return Register(tmp_path)


def rewrite(register, title_number, version):
    """The objects with this version and all later ones made anew, and signed by the registrar."""
    objects = register.objects()
    entries = register.entries[title_number]
    parent = entries[version - 2].address if version > 1 else None
    for entry in entries[version - 1 :]:
        data = signed(REGISTRAR, members(entry, parent=parent, document={"owner": "Mallory"}))
        parent = address(data)
        objects[entry_key(title_number, parent)] = data
        del objects[entry_key(title_number, entry.address)]
    objects[head_key(title_number)] = data
    return objects


def verifies(register, objects):
    """Without the log, nothing is to be seen: the attack is a good one."""
    return bool(register.open(store_of(objects)).verify_all())


def log_of(objects):
    return {key: data for key, data in objects.items() if key.startswith(LOG)}


def without_log(objects):
    return {key: data for key, data in objects.items() if not key.startswith(LOG)}


# --- heads and titles ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 1])
@pytest.mark.parametrize("state", [None, "mine"])
def test_a_head_that_was_set_back(register, version, state):
    if state:
        register.audit(state=state)
    objects = register.objects()
    register.set_back(objects, "TN1", version)
    assert verifies(register, objects)
    report = register.audit(objects, state=state)
    assert report.outcome == ("mismatch" if state else "tampered")
    (finding,) = report.findings
    assert finding.slug == ("pin-missing" if state else "not-as-logged")
    assert finding.object_key == head_key("TN1")


def test_a_head_that_was_set_back_with_all_that_came_after_it_deleted(register):
    objects = register.objects()
    register.set_back(objects, "TN1", 1)
    for entry in register.entries["TN1"][1:]:
        del objects[entry_key("TN1", entry.address)]
    message = found(register.audit(objects), "not-as-logged")
    assert "the log has version 2" in message
    assert "its head is version 1: it was set back" in message


@pytest.mark.parametrize("state", [None, "mine"])
def test_a_title_whose_folder_was_removed(register, state):
    if state:
        register.audit(state=state)
    objects = {k: v for k, v in register.objects().items() if not k.startswith("TN2/")}
    assert verifies(register, objects)
    assert found(register.audit(objects, state=state), "head-missing").startswith(head_key("TN2"))


def test_a_title_of_one_version_that_lost_its_head_only(register):
    objects = register.objects()
    del objects[head_key("TN3")]
    assert verifies(register, objects)
    assert found(register.audit(objects), "head-missing").startswith(head_key("TN3"))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_and_all_later_ones_replaced_by_the_registrar_himself(register, version):
    objects = rewrite(register, "TN1", version)
    assert verifies(register, objects)
    message = found(register.audit(objects), "not-as-logged")
    assert f"the log has version {version} " in message
    assert "another history was put in its place" in message


def test_a_version_replaced_since_the_last_audit(register):
    register.audit(state="mine")
    objects = rewrite(register, "TN1", 2)
    assert found(register.audit(objects, state="mine"), "pin-missing").startswith(head_key("TN1"))


def test_a_head_that_moved_without_a_marker(register):
    register.append("TN1")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    assert verifies(register, objects)
    assert found(register.audit(objects), "unlogged").startswith(head_key("TN1"))


def test_a_new_title_without_a_marker(register):
    register.append("TN9")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    assert "has nothing of it" in found(register.audit(objects), "unlogged")


def test_a_marker_that_is_kept_alive_for_ever(register):
    register.append("TN1")
    register.audit(state="mine")
    for _ in range(2):
        register.clock.forward(hours=13)
        report = register.audit(state="mine")
    assert found(report, "overdue").startswith(head_key("TN1"))


def test_a_head_kept_out_of_the_log_while_others_are_sealed(register):
    """The sealer is shown the old head; auditors are shown the new one, and a marker."""
    register.append("TN1")
    shown = register.objects()
    register.audit(shown, state="mine")
    register.clock.forward(hours=25)
    assert "version 4" in found(register.audit(shown, state="mine"), "overdue")


def test_an_acknowledged_entry_replaced_by_a_sibling_before_it_was_sealed(register):
    """The registrar signed both; an auditor saw the one that was acknowledged."""
    register.append("TN1")
    register.audit(state="mine")
    acknowledged = register.entries["TN1"][3]
    objects = rewrite(register, "TN1", 4)
    sibling = address(objects[head_key("TN1")])
    del objects[pending_key("TN1", 4, acknowledged.address)]
    objects[pending_key("TN1", 4, sibling)] = b""
    assert verifies(register, objects)
    assert found(register.audit(objects, state="mine"), "pin-missing").startswith(head_key("TN1"))


def test_a_sibling_that_was_sealed_in_the_place_of_what_an_audit_saw(register):
    register.append("TN1")
    register.audit(state="mine")
    saw = register.objects()
    objects = rewrite(register, "TN1", 4)
    sibling = address(objects[head_key("TN1")])
    objects[pending_key("TN1", 4, sibling)] = b""
    store = store_of(objects)
    register.sealer.seal(store)
    log = log_of(objects_of(store))
    assert register.audit(objects_of(store)), "the log and the chain agree"
    # Whichever of the two is shown now, one of them contradicts it.
    assert found(register.audit(objects_of(store), state="mine"), "pin-missing")
    assert found(register.audit(without_log(saw) | log, state="mine"), "not-as-logged")


class Answers(Wrapper):
    """Serves other bytes than it has, for some keys, or at some times."""

    def __init__(self, inner, answer):
        super().__init__(inner)
        self.answer = answer
        self.asked = Counter()

    def get(self, key):
        blob = super().get(key)
        self.asked[key] += 1
        data = self.answer(key, self.asked[key])
        return Blob(data, "0") if data is not None else blob


def audit_of(register, store, state=None, **options):
    path = register.folder / state if state else None
    return Log(register.open(store)).audit(state=path, **options).run()


def test_an_old_checkpoint_first_and_the_true_one_to_explain_heads(register):
    """A log that is frozen for auditors; what was sealed since is taken out of a chain."""
    frozen = register.objects()[LOG_CHECKPOINT]
    register.append("TN1")
    register.append("TN2")
    register.seal()
    objects = register.objects()
    register.set_back(objects, "TN1", 3)

    def answer(key, times):
        return frozen if (key, times) == (LOG_CHECKPOINT, 1) else None

    report = audit_of(register, Answers(store_of(objects), answer))
    assert found(report, "not-as-logged").startswith(head_key("TN1"))


def test_an_older_checkpoint_explains_nothing(register):
    older = register.objects()[LOG_CHECKPOINT]
    register.append("TN2")
    register.seal()
    register.append("TN1")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}

    def answer(key, times):
        return older if key == LOG_CHECKPOINT and times > 1 else None

    report = audit_of(register, Answers(store_of(objects), answer))
    assert {"log-set-back", "unlogged"} <= set(slugs(report))


def test_a_checkpoint_that_explained_a_head_is_remembered(register):
    frozen = register.objects()[LOG_CHECKPOINT]
    register.append("TN2")
    register.seal()

    def answer(key, times):
        return frozen if (key, times) == (LOG_CHECKPOINT, 1) else None

    assert audit_of(register, Answers(register.store, answer), "mine")
    report = audit_of(register, Answers(register.store, answer), "mine")
    assert "the log has 6 leaves, and had 7" in found(report, "log-set-back")


def test_a_log_with_another_fork_to_explain_heads_each_time(register):
    register.append("TN2")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    leaves = [Leaf.decode(data) for data in log_in(register.store).leaves(6)]
    newest = leaves_of(register, "TN2")[-1:]
    for number, slug in enumerate([None, "not-consistent"]):
        forged = Leaf("ZZ", 1, f"{number:064x}")
        fork = objects | forged_log([*leaves, *newest, forged])
        note = fork.pop(LOG_CHECKPOINT)
        fork[LOG_CHECKPOINT] = objects[LOG_CHECKPOINT]

        def answer(key, times, note=note):
            return note if key == LOG_CHECKPOINT and times > 1 else None

        report = audit_of(register, Answers(store_of(fork), answer), "mine")
        assert slug is None or slug in slugs(report) or "head-missing" in slugs(report)
        assert not report  # what explains a head has to be in the chains itself


def test_markers_of_a_title_that_is_gone(register):
    register.append("NEW", 2)
    objects = {k: v for k, v in register.objects().items() if not k.startswith("NEW/")}
    assert found(register.audit(objects), "head-missing").startswith(head_key("NEW"))


def test_markers_of_a_title_that_is_gone_among_others_that_wait(register):
    register.append("NEW", 2)
    register.append("TN1")
    objects = {k: v for k, v in register.objects().items() if not k.startswith("NEW/")}
    assert found(register.audit(objects), "head-missing").startswith(head_key("NEW"))


@pytest.mark.parametrize("other", ["TN1", "TN2-A"])  # in the order of keys both come before TN2
def test_a_marker_of_another_title_explains_no_head(register, other):
    register.append("TN2")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    objects[pending_key(other, 3, register.entries["TN2"][-1].address)] = b""
    assert found(register.audit(objects), "unlogged").startswith(head_key("TN2"))


def test_markers_far_ahead_of_a_head(register):
    register.append("TN1", 2)
    objects = register.objects()
    register.set_back(objects, "TN1", 3)
    report = register.audit(objects)
    assert report.outcome == "unchecked"
    assert slugs(report) == ["set-back"]


def test_markers_far_ahead_of_a_head_among_others_that_wait(register):
    register.append("TN1", 2)
    register.append("TN2", 3)
    objects = register.objects()
    register.set_back(objects, "TN1", 3)
    register.set_back(objects, "TN2", 3)
    report = register.audit(objects)
    assert report.outcome == "unchecked"
    named = [(finding.slug, finding.object_key) for finding in report.findings]
    assert named == [("set-back", head_key("TN1")), ("set-back", head_key("TN2"))]


@pytest.mark.parametrize(("title_number", "version"), [("TN1", 4), ("NEW", 1)])
def test_a_marker_of_an_append_that_never_came_to_be_is_no_finding(register, title_number, version):
    objects = register.objects() | {pending_key(title_number, version, "0" * 64): b""}
    assert not register.audit(objects).findings


def test_a_listing_that_names_a_title_twice(register):
    class Twice(Wrapper):
        def list(self, prefix="", **how):
            for key in super().list(prefix, **how):
                yield key
                if key == "TN2/":
                    yield key

    report = audit_of(register, Twice(register.store))
    assert report.outcome == "tampered"


def test_markers_that_can_not_be_listed_hide_nothing_that_was_found(register):
    class Denied(Wrapper):
        def list(self, prefix="", **how):
            if prefix == PENDING:
                raise StoreDenied("not yours")
            return super().list(prefix, **how)

    register.append("TN2")
    objects = register.objects()
    register.set_back(objects, "TN1", 1)
    report = audit_of(register, Denied(store_of(objects)))
    assert found(report, "not-as-logged")
    assert "store-denied" in slugs(report)


def test_a_newer_checkpoint_that_can_not_be_read_proves_nothing(register):
    def answer(key, times):
        if (key, times) == (LOG_CHECKPOINT, 2):
            raise StoreUnavailable("no answer")

    register.append("TN1")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    report = audit_of(register, Answers(store_of(objects), answer))
    assert report.outcome == "unchecked"
    assert slugs(report) == ["store-unavailable"]


# --- the log -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [19, pytest.param(1, marks=pytest.mark.slow)])
def test_one_byte_of_any_tile_changed(register, step):
    objects = register.objects()
    tiles = [key for key in objects if key.startswith(f"{LOG}tile/")]
    assert len(tiles) == 2
    for key in tiles:
        for at in range(0, len(objects[key]), step):
            data = bytearray(objects[key])
            data[at] ^= 1
            report = register.audit(objects | {key: bytes(data)})
            assert report.outcome == "tampered", (key, at)
            assert slugs(report) == ["wrong-root"]


def test_a_changed_leaf_from_before_the_last_audit_in_a_tile_that_grew(register):
    register.audit(state="mine")
    register.append("TN1")
    register.seal()
    objects = register.objects()
    key = f"{LOG}tile/entries/000.p/7"
    data = bytearray(objects[key])
    data[40] ^= 1
    assert key in found(register.audit(objects | {key: bytes(data)}, state="mine"), "wrong-root")


@pytest.mark.parametrize("size", [257, pytest.param(600, marks=pytest.mark.slow)])
def test_a_byte_of_a_tile_of_every_level_changed(register, size):
    register.append("BIG", size - 6)
    register.seal()
    objects = register.objects()
    current = f".p/{size % 256}"
    tiles = [
        key
        for key in objects
        if key.startswith(f"{LOG}tile/") and (".p/" not in key or key.endswith((current, "p/2")))
    ]
    assert {key.split("/")[2] for key in tiles} >= {"entries", "0"}
    for key in tiles:
        data = bytearray(objects[key])
        data[len(data) // 2] ^= 1
        report = register.audit(objects | {key: bytes(data)})
        assert report.outcome == "tampered", key
        assert slugs(report) == ["wrong-root"]


def test_a_tile_that_is_gone(register):
    objects = register.objects()
    del objects[f"{LOG}tile/0/000.p/6"]
    assert f"{LOG}tile/0/000.p/6" in found(register.audit(objects), "tile-missing")


def test_a_tile_that_is_gone_hides_no_title_that_is_gone(register):
    register.append("NEW", 2)
    register.append("TN1")
    objects = {k: v for k, v in register.objects().items() if not k.startswith("NEW/")}
    del objects[f"{LOG}tile/0/000.p/6"]
    assert slugs(register.audit(objects)) == ["tile-missing", "head-missing"]


def test_a_tile_that_is_gone_is_no_fork(register):
    register.audit(state="mine")
    register.append("TN1")
    register.seal()
    objects = {k: v for k, v in register.objects().items() if not k.startswith(f"{LOG}tile/0/")}
    assert slugs(register.audit(objects, state="mine"))[0] == "tile-missing"


@pytest.mark.parametrize("at", range(0, 140, 7))
def test_a_byte_of_the_checkpoint_changed(register, at):
    objects = register.objects()
    note = bytearray(objects[LOG_CHECKPOINT])
    note[at % len(note)] ^= 1
    report = register.audit(objects | {LOG_CHECKPOINT: bytes(note)})
    assert report.outcome == "tampered"
    assert [finding.object_key for finding in report.findings] == [LOG_CHECKPOINT]


def test_an_older_checkpoint_served(register):
    old = register.objects()
    register.append("TN1")
    register.seal()
    register.audit(state="mine")
    objects = register.objects() | {LOG_CHECKPOINT: old[LOG_CHECKPOINT]}
    message = found(register.audit(objects, state="mine"), "log-set-back")
    assert "the log has 6 leaves, and had 7" in message


def test_everything_set_back_to_last_week(register):
    old = register.objects()
    register.append("TN1")
    register.seal()
    register.audit(state="mine")
    assert verifies(register, old)
    report = register.audit(old, state="mine")
    found(report, "log-set-back")
    assert found(report, "pin-missing").startswith(head_key("TN1"))


def test_the_log_taken_away(register):
    register.audit(state="mine")
    report = register.audit(without_log(register.objects()), state="mine")
    assert "the log is gone" in found(report, "log-set-back")
    report = register.open(store_of(without_log(register.objects()))).verify_all(
        state=register.folder / "mine"
    )
    assert "the log is gone, and had 6" in found(report, "log-set-back")


def test_a_checkpoint_of_another_ledger(register):
    other = KEYRING.trust("example.org/other", LOG_KEY.public_key, role="log")
    objects = register.objects()
    forged = forged_log(leaves_of(register, "TN1"), origin="example.org/other")
    report = register.audit(objects | forged, keyring=other)
    assert "example.org/other" in found(report, "unknown-key")


def test_a_log_key_replaced(register):
    other = signer("another log")
    objects = without_log(register.objects())
    forged = forged_log(leaves_of(register, "TN1", "TN2", "TN3"), key=other)
    assert LOG_CHECKPOINT in found(register.audit(objects | forged), "unknown-key")


def test_a_fork_shown_to_a_second_auditor(register, tmp_path):
    """Two auditors are shown two ledgers, each of them clean."""
    (tmp_path / "fork").mkdir()
    fork = Register(tmp_path / "fork")
    for shown, title_number in ((register, "TN1"), (fork, "TN2")):
        shown.append(title_number)
        shown.seal()
        assert shown.audit(state="mine")
    # Once one of them is shown what the other one saw, it shows.
    message = found(register.audit(fork.objects(), state="mine"), "not-consistent")
    assert "forked" in message


def test_both_checkpoints_of_a_fork_are_the_evidence(register):
    register.audit(state="mine")
    register.append("TN1")
    objects = without_log(register.objects())
    objects |= forged_log(leaves_of(register, "TN3", "TN2", "TN1"))
    audit = Log(register.open(store_of(objects))).audit(state=register.folder / "mine")
    found(audit.run(), "not-consistent")
    facts = audit.log_facts()
    assert facts["checkpoint"].startswith(f"{ORIGIN}\n7\n")
    assert facts["remembered"].startswith(f"{ORIGIN}\n6\n")


def test_a_version_logged_with_two_addresses(register):
    """Who has both keys logs a fork; both are in one log for all to see."""
    objects = rewrite(register, "TN2", 2)
    mine = address(objects[head_key("TN2")])
    leaves = [*leaves_of(register, "TN1", "TN2", "TN3"), Leaf("TN2", 2, mine)]
    objects = without_log(register.objects()) | forged_log(leaves)
    message = found(register.audit(objects), "forked")
    assert message.startswith(head_key("TN2"))
    assert mine in message


@pytest.mark.parametrize("digit", "0f")
def test_a_version_logged_with_an_address_that_is_nowhere_else(register, digit):
    leaves = [*leaves_of(register, "TN1", "TN2", "TN3"), Leaf("TN2", 2, digit * 64)]
    objects = without_log(register.objects()) | forged_log(leaves)
    assert digit * 64 in found(register.audit(objects), "forked")


def test_a_fork_that_was_logged_after_the_last_audit(register):
    register.audit(state="mine")
    objects = rewrite(register, "TN2", 2)
    forged = Leaf("TN2", 2, address(objects[head_key("TN2")]))
    leaves = [Leaf.decode(data) for data in log_in(register.store).leaves(6)]
    log = log_of(objects) | forged_log([*leaves, forged])  # the tiles of before are still there
    assert found(register.audit(objects | log, state="mine"), "pin-missing")
    assert found(register.audit(register.objects() | log, state="mine"), "not-as-logged")


def test_a_version_that_the_log_leaves_out(register):
    first, second, third = leaves_of(register, "TN1")
    for leaves in ([first, third], [second, third], [third]):
        objects = without_log(register.objects())
        objects |= forged_log([*leaves, *leaves_of(register, "TN2", "TN3")])
        report = register.audit(objects)
        assert "TN1" in found(report, "unlogged"), leaves


def test_no_marker_excuses_a_version_that_the_log_leaves_out(register):
    leaves = leaves_of(register, "TN1", "TN2", "TN3")
    objects = without_log(register.objects()) | forged_log([leaves[0], *leaves[2:]])
    objects[pending_key("TN1", 3, register.entries["TN1"][2].address)] = b""
    assert "version 2 is in no leaf" in found(register.audit(objects), "unlogged")


def test_another_titles_line_in_the_state_excuses_no_new_title(register):
    register.audit(state="mine")
    register.append("AA")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    assert found(register.audit(objects, state="mine"), "unlogged").startswith(head_key("AA"))


def test_a_head_that_was_set_back_to_where_the_last_audit_saw_it(register):
    register.audit(state="mine")
    register.append("TN1")
    register.seal()
    objects = register.objects()
    register.set_back(objects, "TN1", 3)
    message = found(register.audit(objects, state="mine"), "not-as-logged")
    assert "the log has version 4" in message
    assert "its head is version 3: it was set back" in message


@pytest.mark.parametrize("root", [bytes(32), b"\xff" * 32])
def test_tiles_that_fit_each_other_and_not_the_checkpoint(register, root):
    note = sign_checkpoint(Checkpoint(ORIGIN, 6, root), LOG_KEY)
    message = found(register.audit(register.objects() | {LOG_CHECKPOINT: note}), "wrong-root")
    assert message.startswith(LOG_CHECKPOINT)


def test_the_first_of_several_leaves_that_are_none_is_named(register):
    class Bad(Leaf):
        def encode(self):
            return b"{}"

    bad = [Bad("ZZ", version, "0" * 64) for version in (1, 2)]
    objects = without_log(register.objects())
    objects |= forged_log([*leaves_of(register, "TN1", "TN2", "TN3"), *bad])
    assert "leaf 6" in found(register.audit(objects), "malformed-leaf")


def test_a_byte_of_any_full_tile_of_a_log_of_many(register):
    made_up = [Leaf("ZZ", version, f"{version:064x}") for version in range(1, 1400)]
    objects = without_log(register.objects()) | forged_log(made_up)
    log = log_in(store_of(objects))
    assert len(list(rehash(log, log.checkpoint().checkpoint))) == len(made_up)
    full = [k for k in objects if k.startswith(f"{LOG}tile/0/") and ".p/" not in k]
    assert len(full) == 5
    for key in full:
        data = bytearray(objects[key])
        data[100] ^= 1
        log = log_in(store_of(objects | {key: bytes(data)}))
        with pytest.raises(IntegrityError, match=key):
            list(rehash(log, log.checkpoint().checkpoint))


def test_a_version_that_is_logged_twice_is_a_warning(register):
    leaves = leaves_of(register, "TN1", "TN2", "TN3")
    objects = without_log(register.objects()) | forged_log([*leaves, leaves[0]])
    report = register.audit(objects)
    assert report
    assert set(slugs(report)) == {"logged-twice", "bad-record"}  # the records are gone


def test_a_warning_excuses_no_head_that_moved_unseen(register):
    leaves = leaves_of(register, "TN1", "TN2", "TN3")
    register.append("TN1")
    objects = {k: v for k, v in register.objects().items() if not k.startswith(PENDING)}
    objects = without_log(objects) | forged_log([*leaves, leaves[0]])
    assert found(register.audit(objects), "unlogged").startswith(head_key("TN1"))


def test_what_the_log_contradicts_is_vouched_for_by_no_state(register):
    objects = rewrite(register, "TN1", 2)
    assert found(register.audit(objects, state="mine"), "not-as-logged")
    assert "TN1" not in (register.folder / "mine").read_text().partition("\n")[2]


def test_where_all_is_read_again_nothing_may_be_left_out(register):
    """A registrar's key that counts no more takes the state's word away, its counts, too."""
    other = KEYRING.trust(ORIGIN, signer("bob").public_key)
    register.audit(state="mine", keyring=other)
    leaves = leaves_of(register, "TN2", "TN3", "TN1")
    objects = without_log(register.objects()) | forged_log([*leaves[:3], leaves[-1]])
    report = register.audit(objects, state="mine")
    assert {"unlogged", "log-set-back"} <= set(slugs(report))


def test_a_leaf_that_is_none(register):
    objects = without_log(register.objects())

    class Bad(Leaf):
        def encode(self):
            return b"{}"

    objects |= forged_log([*leaves_of(register, "TN1", "TN2"), Bad("TN3", 1, "0" * 64)])
    assert "leaf 5" in found(register.audit(objects), "malformed-leaf")


def test_a_title_that_only_the_log_has(register):
    leaves = [*leaves_of(register, "TN1", "TN2", "TN3"), Leaf("ZZ", 1, "0" * 64)]
    objects = without_log(register.objects()) | forged_log(leaves)
    assert found(register.audit(objects), "head-missing").startswith("ZZ/head.json")


def test_another_ledger_in_the_place_of_this_one(register):
    other = memory_ledger(origin="example.org/other")
    other.append("TN1", {"owner": "x"})
    with pytest.raises(Exception, match=r"example\.org/other"):
        register.audit(objects_of(other.store), keyring=keyring_for(REGISTRAR))


def test_a_damaged_state_is_no_memory(register):
    register.audit(state="mine")
    path = register.folder / "mine"
    path.write_bytes(path.read_bytes().replace(b"logged 3", b"logged 2"))
    with pytest.raises(Exception, match="damaged"):
        register.audit(state="mine")
