"""What the sealing keeps beside the log: only its one form is read, signed by the log's key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import IntegrityError, LedgerError, MalformedError, UnsupportedFormatError
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, Leaf, NoteKey, TileBuilder
from ledger.tlog.note import sign_note
from ledger.tlog.objects import LogState, OtherLeaf, SealedRecord, Staging, decode_leaf, is_log_key

LOG = signer("log")
LEAF = Leaf("TN1", 1, "0" * 64).encode()
STAGING, LEAVES = Staging.encode(0, [LEAF])


def _note(size: int = 1) -> str:
    builder = TileBuilder()
    for _ in range(size):
        builder.append(LEAF)
    text = Checkpoint(ORIGIN, size, builder.root()).text
    return sign_note(text, [(NoteKey(ORIGIN, LOG.public_key), LOG)]).decode()


def _open(**changes: object) -> LogState:
    members = {"checkpoint": _note(), "format": 1, "staging": STAGING.name} | changes
    kept = {name: value for name, value in members.items() if value is not None}
    data = json.dumps(kept, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()
    return LogState.open(data, origin=ORIGIN, log_keys=[LOG.public_key])


@pytest.mark.parametrize(
    "changes",
    [
        {"format": None},
        {"format": True},
        {"format": "1"},
        {"staging": None},
        {"staging": 1},
        {"checkpoint": 1},
        {"a": 1},
        {"staging": "x"},
        {"staging": f"2-{'0' * 64}"},
        {"checkpoint": "x"},
    ],
)
def test_what_is_no_state_is_refused(changes: dict[str, object]) -> None:
    assert _open().staging == STAGING
    assert _open(staging=f"1-{'0' * 64}").staging.base == 1
    with pytest.raises(IntegrityError) as caught:
        _open(**changes)
    assert caught.value.reason == "bad-state"


@pytest.mark.parametrize("number", [0, 2])
def test_a_state_of_another_format_is_named_as_such(number: int) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"format {number}"):
        _open(format=number, more=1)


def test_staged_leaves_are_those_of_their_name() -> None:
    assert STAGING.decode(LEAVES, 1) == [LEAF]
    other = Staging.encode(0, [LEAF, LEAF])[1]
    for data, size in ((other, 2), (LEAVES, 2), (LEAVES, 0), (b"", 0), (b"", 1)):
        with pytest.raises(MalformedError):
            STAGING.decode(data, size)
    nothing = Staging.encode(2, [])[0]
    assert nothing.decode(b"", 2) == []
    for staging, data in (
        (nothing, b""),
        (Staging(0, "0" * 64), LEAVES),
        (Staging(0, "f" * 64), LEAVES),
    ):
        with pytest.raises(MalformedError, match="named after"):
            staging.decode(data, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": True},
        {"version": 1},
        {"leaves": [0, -1]},
        {"leaves": [0, True]},
        {"leaves": [0, 0.5]},
        {"leaves": []},
        {"leaves": [0, 1, 2]},
        {"address": "x"},
    ],
)
def test_a_record_has_a_version_an_address_and_the_indexes_of_leaves(
    changes: dict[str, object],
) -> None:
    record = SealedRecord(2, "0" * 64, (3, 17))
    assert (record.leaf_of(0), record.leaf_of(1), record.leaf_of(2), record.leaf_of(3)) == (
        None,
        3,
        17,
        None,
    )
    assert SealedRecord.decode(record.encode()) == record
    with pytest.raises(IntegrityError) as caught:
        SealedRecord.decode(record._replace(**changes).encode())  # type: ignore[arg-type]
    assert caught.value.reason == "bad-record"


def test_a_record_has_the_leaves_of_a_thousand_versions_at_most() -> None:
    record = SealedRecord(2000, "0" * 64, tuple(range(1000)))
    assert SealedRecord.decode(record.encode()) == record
    with pytest.raises(IntegrityError):
        SealedRecord.decode(record._replace(leaves=tuple(range(1001))).encode())


@pytest.mark.parametrize(
    ("key", "belongs"),
    [
        ("_log/state", True),
        ("_log/checkpoint", True),
        (f"_log/staging/0-{'0' * 64}", True),
        (f"_log/staging/x-{'0' * 64}", False),
        ("_log/staging/tile/0/000", False),
        ("_log/sealed/TN1", True),
        ("_log/sealed/tn1", False),
        ("_log/tile/0/000", True),
        ("_log/tile/0/0", False),
        ("tile/0/000", False),
        ("_log/else", False),
        ("TN1/head.json", False),
    ],
)
def test_what_belongs_to_a_log_has_one_of_its_names(key: str, belongs: bool) -> None:
    assert is_log_key(key) == belongs


@pytest.mark.parametrize("more", ['{"more":1,', '{"Address":"",'])
def test_a_record_has_no_other_members(more: str) -> None:
    text = SealedRecord(1, "0" * 64, (0,)).encode().decode()
    members = json.loads(more + text[1:])
    fewer = {name: members[name] for name in ("address", "version")}
    for value in (members, fewer, [], "x"):
        data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
        with pytest.raises(IntegrityError, match="expected the members"):
            SealedRecord.decode(data)


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"1", b"null"])
def test_a_state_is_an_object(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="no format number"):
        LogState.open(data, origin=ORIGIN, log_keys=[LOG.public_key])


def test_no_leaves_are_staged_beyond_the_largest_log() -> None:
    assert Staging.parse(f"{2**63 - 1}-{'0' * 64}")
    assert Staging.parse(f"{2**63}-{'0' * 64}") is None


# --- entries' leaves are read in one look ---------------------------------------------------------

LEAF_BYTES = Leaf("TN.1-2", 12, "ab" * 32).encode()


@given(
    st.integers(0, len(LEAF_BYTES) - 1),
    st.binary(max_size=3) | st.sampled_from([b"\n", b" ", b"0", b"..", b"\\u0041", b'"']),
    st.integers(0, 3),
)
def test_a_leaf_is_read_only_if_it_is_spelled_as_it_is_written(
    at: int, instead: bytes, taken: int
) -> None:
    data = LEAF_BYTES[:at] + instead + LEAF_BYTES[at + taken :]
    try:
        leaf = decode_leaf(data)
    except LedgerError:
        return
    assert isinstance(leaf, OtherLeaf) or leaf.encode() == data


@pytest.mark.parametrize("version", [1, 10**14 - 1, 10**15, 2**53 - 1])
def test_a_leaf_of_any_version_is_read(version: int) -> None:
    leaf = Leaf("A" * 64, version, "0" * 64)
    assert decode_leaf(leaf.encode()) == leaf
