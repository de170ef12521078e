"""Leaf types, damaged objects of the log and wrong records, as an audit and fsck name them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger import Log
from ledger.format.canonical import encode
from ledger.format.layout import (
    LOG,
    LOG_CHECKPOINT,
    LOG_STATE,
    PENDING,
    entry_key,
    head_key,
    pending_key,
    sealed_key,
    tile_key,
)
from ledger.testing import keyring_for
from ledger.tlog import Leaf
from ledger.tlog.objects import OtherLeaf, SealedRecord, decode_leaf
from tests.sealing.sealers import KEYRING, REGISTRAR
from tests.verification.register import Register, forged_log, found, leaves_of, slugs, store_of


@pytest.fixture
def register(tmp_path):
    return Register(tmp_path)


def fsck(register, objects, keyring=KEYRING):
    return register.open(store_of(objects), keyring).fsck()


# --- types of leaves -----------------------------------------------------------------------------


class Other(Leaf):
    """A leaf of another type; its title number is the type."""

    def encode(self):
        return encode({"title_number": "TN1", "type": self.title_number, "version": 3})


def with_leaves(register, *types):
    leaves = leaves_of(register, "TN1", "TN2")
    others = [Other(each, 1, "") for each in types]
    log = forged_log([*leaves[:2], *others, *leaves[2:], *leaves_of(register, "TN3")])
    kept = {k: v for k, v in register.objects().items() if not k.startswith(LOG)}
    state = {"checkpoint": log[LOG_CHECKPOINT].decode(), "format": 1, "staging": f"0-{'0' * 64}"}
    records = {}
    places = {leaf: at for at, leaf in enumerate(leaves)}
    for title, at in (("TN1", 2), ("TN2", 4), ("TN3", 5)):
        own = leaves_of(register, title)
        shift = len(others)
        indexes = [
            places.get(leaf, at) + (shift if places.get(leaf, at) >= 2 else 0) for leaf in own
        ]
        records[sealed_key(title)] = SealedRecord(
            own[-1].version, own[-1].address, tuple(indexes)
        ).encode()
    return kept | log | records | {LOG_STATE: encode(state)}


def test_leaves_of_other_types_are_counted_and_everything_else_is_compared(register):
    objects = with_leaves(register, "note", "witness", "witness")
    report = register.audit(objects)
    assert report.outcome == "verified", report
    assert not report.findings
    notes = "\n".join(report.not_shown)
    assert "1 leaf of type 'note'" in notes
    assert "2 leaves of type 'witness'" in notes
    register.set_back(objects, "TN1", 2)
    assert "TN1" in found(register.audit(objects), "not-as-logged")
    assert Log(register.open(store_of(objects))).newest_of("TN1").version == 3


def test_leaves_that_must_not_be_passed_over_leave_an_audit_unchecked(register):
    objects = with_leaves(register, "feature", "!hand-over")
    report = register.audit(objects)
    assert (report.outcome, slugs(report)) == ("unchecked", ["unsupported-leaf"])
    assert "'!hand-over'" in report.findings[0].message
    assert fsck(register, objects).outcome == "unchecked"
    register.set_back(objects, "TN1", 2)
    assert "TN1" in found(register.audit(objects), "not-as-logged")


def test_an_auditor_with_a_memory_names_what_is_new(register):
    assert register.audit(state="mine")
    leaves = leaves_of(register, "TN1", "TN2", "TN3")
    log = forged_log([*leaves, Other("!new", 1, "")])
    log |= {k: v for k, v in register.objects().items() if ".p/6" in k}
    report = register.audit(register.objects() | log, state="mine")
    assert slugs(report) == ["unsupported-leaf"]


def test_a_leaf_of_another_type_is_read_as_one():
    leaf = decode_leaf(Other("x", 1, "").encode())
    assert leaf == OtherLeaf("x")
    assert leaf.may_be_passed_over
    assert not OtherLeaf("!x").may_be_passed_over


# --- damaged objects -----------------------------------------------------------------------------


def large(register):
    made_up = [Leaf("ZZ", version, f"{version:064x}") for version in range(1, 600)]
    return {k: v for k, v in register.objects().items() if not k.startswith(LOG)} | forged_log(
        made_up
    )


@pytest.mark.parametrize(
    "path",
    [
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/87",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/87",
        "tile/1/000.p/2",
    ],
)
def test_a_changed_byte_of_a_tile_is_blamed_on_that_tile(register, path):
    objects = large(register)
    data = bytearray(objects[tile_key(path)])
    data[50] ^= 1  # within the first leaf or hash but one
    report = register.audit(objects | {tile_key(path): bytes(data)})
    finding = next(each for each in report.findings if each.slug == "wrong-root")
    assert finding.object_key == tile_key(path)


def test_fsck_checks_every_object_of_the_log(register):
    register.append("TN1")
    register.seal()
    objects = register.objects()
    report = fsck(register, objects)
    assert report.outcome == "verified", report
    assert not report.findings
    for key in objects:
        if not key.startswith(LOG):
            continue
        data = bytearray(objects[key])
        data[len(data) // 2] ^= 4
        for changed in ({key: bytes(data)}, {key: b""}):
            report = fsck(register, objects | changed)
            assert report.outcome == "tampered", key
        needed = ".p/6" not in key  # a tile of an earlier size is not missed
        less = {k: v for k, v in objects.items() if k != key}
        report = fsck(register, less)
        if key.startswith(sealed_key("")):
            assert [(f.severity, f.slug) for f in report.findings] == [("warning", "bad-record")]
        else:
            assert (report.outcome == "tampered") == needed, key


def test_fsck_misses_a_log_whose_key_it_has_and_says_so_if_it_has_none(register):
    objects = {k: v for k, v in register.objects().items() if not k.startswith(LOG)}
    report = fsck(register, objects)
    assert (report.outcome, slugs(report)) == ("unchecked", ["log-missing"])
    stranger = keyring_for(REGISTRAR)
    assert fsck(register, objects, stranger).outcome == "verified"
    report = fsck(register, register.objects(), stranger)
    assert any("no key of the log" in note for note in report.not_shown)


# --- records -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        b"{}",
        SealedRecord(3, "0" * 64, (0, 1, 2)).encode(),
        SealedRecord(4, "0" * 64, (6,)).encode(),
        SealedRecord(3, "0" * 64, (1,)).encode(),
    ],
)
def test_a_wrong_record_is_named_by_audit_and_fsck_and_the_title_is_not(register, record):
    key = sealed_key("TN1")
    objects = {**register.objects(), key: record}
    for report in (register.audit(objects), fsck(register, objects)):
        assert [(f.slug, f.object_key) for f in report.findings] == [("bad-record", key)]
        assert report.outcome == "tampered"


def test_an_audit_with_a_memory_compares_the_records_of_what_is_new(register):
    assert register.audit(state="mine")
    register.append("TN1")
    register.seal()
    report = register.audit(state="mine")
    assert report.outcome == "verified", report
    register.append("TN1")
    register.seal()
    old = Leaf("TN1", 4, register.entries["TN1"][3].address)
    changed = {sealed_key("TN1"): SealedRecord(old.version, old.address, (6,)).encode()}
    assert slugs(register.audit(register.objects() | changed, state="mine")) == ["bad-record"]


# --- times ---------------------------------------------------------------------------------------


def test_a_head_in_the_future_that_is_not_logged_is_no_plain_yes(register):
    now = register.clock.now
    register.clock.now = datetime(9999, 12, 31, tzinfo=UTC)
    register.append("TN3")
    register.clock.now = now
    report = register.audit(max_delay=timedelta(seconds=1))
    assert report.outcome == "unchecked"
    assert "delay-unknown" in slugs(report)
    assert "9999-12-31" in next(f.message for f in report.findings if f.slug == "delay-unknown")
    assert "time-in-future" in slugs(report)


def test_markers_of_titles_in_any_order_are_joined_with_their_heads(register):
    for number in range(30):
        register.append(f"TN{number}")
    assert sorted(register.store.list(PENDING)) != sorted(
        register.store.list(PENDING), key=lambda key: key.split("/")[2]
    )
    report = register.audit()
    assert report.outcome == "verified", report
    objects = register.objects()
    entry = register.entries["TN17"][-1]
    del objects[pending_key("TN17", entry.version, entry.address)]
    assert head_key("TN17") in found(register.audit(objects), "unlogged")


# --- packs ---------------------------------------------------------------------------------------


def test_an_audit_takes_no_pack_for_an_entrys_own_object(register):
    register.ledger.pack()
    report = register.audit()
    assert (report.outcome, slugs(report)) == ("verified", ["from-packs"])
    assert "3 titles" in report.findings[0].message
    assert slugs(register.audit(loose=2)) == ["from-packs"]
    report = register.audit(loose=3)
    assert (report.outcome, slugs(report)) == ("verified", [])
    objects = register.objects()
    for entries in register.entries.values():
        for entry in entries:
            del objects[entry_key(entry.title_number, entry.address)]
    assert slugs(register.audit(objects)) == ["from-packs"]
    report = register.audit(objects, loose=1)
    assert report.outcome == "tampered"
    assert "entry-missing" in slugs(report)


# --- a look ---------------------------------------------------------------------------------------


def test_a_look_names_a_wrong_record_and_a_head_in_the_future(register):
    assert Log(register.ledger).look() == ()
    now = register.clock.now
    register.clock.now = datetime(9999, 12, 31, tzinfo=UTC)
    register.append("TN3")
    register.clock.now = now
    objects = register.objects()
    objects[sealed_key("TN1")] = SealedRecord(3, "0" * 64, (0, 1, 2)).encode()
    del objects[sealed_key("TN2")]
    found_by = Log(register.open(store_of(objects))).look()
    assert [(each.severity, each.slug, each.object_key) for each in found_by] == [
        ("tampering", "bad-record", sealed_key("TN1")),
        ("warning", "bad-record", sealed_key("TN2")),
        ("warning", "time-in-future", head_key("TN3")),
    ]
