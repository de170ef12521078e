"""A receipt and an entry, checked offline by trust files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import IntegrityError, Log, TrustError, accept, check_entry
from ledger.errors import NotProven
from ledger.format.keyring import Keyring
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.titles.trust_files import trust_objects
from ledger.tlog import Checkpoint, Leaf, Receipt, sign_checkpoint
from ledger.tlog.merkle import hash_leaf
from ledger.tlog.objects import leaf_of
from ledger.tlog.tiles import TileBuilder
from tests.trust.people import listed, log_key, revoke, root_of
from tests.trust.registry import ALICE, BOB, ERIN, Registry
from tests.trust.world import SEALER

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Entry, Proven

NEW_LOG = signer("log 2")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Two versions of TN1 by Alice, who leaves then, and one by Bob."""
    registry = Registry(MemoryStore(), tmp_path)
    registry.write("TN1", ALICE)
    registry.write("TN1", ALICE)
    registry.seal()
    registry.publish(keys=registry.without("alice"))
    registry.write("TN1")
    registry.seal()
    return registry


def accepted(registry: Registry) -> Keyring:
    files = dict(enumerate(trust_objects(registry.store), 1))
    return accept(registry.keyring, files, origin=ORIGIN)


def entry_of(registry: Registry, version: int) -> Entry:
    return registry.stolen(None).entry("TN1", f"v{version}")


def prove(registry: Registry, version: int) -> bytes:
    return Log(registry.ledger(None)).receipt("TN1", entry_of(registry, version).address).encode()


def check(registry: Registry, receipt: bytes, version: int) -> Proven:
    return check_entry(receipt, entry_of(registry, version).data, keyring=accepted(registry))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_receipt_shows_that_an_entry_counts(registry: Registry, version: int) -> None:
    proven = check(registry, prove(registry, version), version)
    assert proven.is_signed
    assert proven.doubt is None


def test_trust_files_must_be_at_hand(registry: Registry) -> None:
    receipt, entry = prove(registry, 1), entry_of(registry, 1).data
    with pytest.raises(NotProven, match="not at hand") as raised:
        check_entry(receipt, entry, keyring=registry.keyring)
    assert raised.value.reason == "trust-missing"
    with pytest.raises(NotProven, match="not at hand"):
        accept(registry.keyring, {}, origin=ORIGIN)


def test_trust_files_are_judged_from_the_root(registry: Registry) -> None:
    files = dict(enumerate(trust_objects(registry.store), 1))
    other = Keyring(roots=[root_of(registry.files[1])._replace(version=1)])
    with pytest.raises(TrustError, match="sha256"):
        accept(other, files, origin=ORIGIN)
    assert accept(registry._before, files, origin=ORIGIN) == registry._before
    keyring = accept(registry.keyring, {1: files[1], 2: files[1]}, origin=ORIGIN)
    assert accept(keyring, files, origin=ORIGIN) == accepted(registry)


def test_a_receipt_beyond_the_end_of_a_key_shows_nothing(registry: Registry) -> None:
    registry.publish(revoked=[revoke(ALICE.public_key, 1)])
    registry.seal()
    assert check(registry, prove(registry, 1), 1).doubt is None
    doubt = check(registry, prove(registry, 2), 2).doubt
    assert doubt
    assert (doubt.severity, doubt.slug) == ("unchecked", "position-unknown")
    assert "ends at leaf 1 of the log, and the receipt shows leaf 1" in doubt.message


def test_a_receipt_older_than_the_newest_trust_file_shows_no_position(registry: Registry) -> None:
    old, by_bob = prove(registry, 2), prove(registry, 3)
    registry.write("TN2")
    registry.seal()
    registry.publish(keys=registry.with_registrar("carol"))
    registry.seal()
    doubt = check(registry, old, 2).doubt
    assert doubt
    assert "ledger prove" in doubt.message
    assert check(registry, by_bob, 3).doubt is None  # without an end, no position is asked for
    assert check(registry, prove(registry, 2), 2).doubt is None


def test_a_receipt_from_a_pin_shows_positions_for_ever(registry: Registry) -> None:
    registry.publish(keys=registry.with_registrar("carol"))
    pinned = prove(registry, 2)
    registry.seal()
    registry.write("TN2")
    registry.seal()
    registry.publish(keys=registry.without("carol"))
    assert check(registry, pinned, 2).doubt is None


def change_the_logs_key(registry: Registry, *, revoked_from: int | None = None) -> None:
    registry.publish(keys=listed(*registry.keys, log_key(NEW_LOG.public_key)))
    registry.log().seal([SEALER, NEW_LOG], registry.folder / "sealer.json", jobs=1)
    kept = listed(*(each for each in registry.keys if each.key_id != SEALER.public_key.key_id))
    revoked = [revoke(SEALER.public_key, revoked_from)] if revoked_from is not None else None
    registry.publish(keys=kept, revoked=revoked)
    registry.write("TN2")
    registry.seal(NEW_LOG)


def test_an_old_receipt_of_a_log_key_with_an_end_is_unchecked(registry: Registry) -> None:
    old = prove(registry, 3)
    registry.write("TN3")
    registry.seal()
    change_the_logs_key(registry)
    with pytest.raises(NotProven, match="no end") as raised:
        check(registry, old, 3)
    assert raised.value.reason == "checkpoint-unproven"
    assert "ledger prove" in raised.value.hint
    assert check(registry, prove(registry, 3), 3).doubt is None


def test_a_receipt_that_the_thief_of_the_logs_key_made_is_worth_nothing(registry: Registry) -> None:
    size = registry.size()
    change_the_logs_key(registry, revoked_from=size)
    reader = registry.log().reader
    builder = reader.builder(size)
    assert size == 4
    entry, other = (registry.sign(title, None, ALICE) for title in ("TN8", "TN9"))
    proof = (hash_leaf(leaf_of(other).encode()), builder.root())
    for each in (entry, other):
        builder.append(leaf_of(each).encode())
    note = sign_checkpoint(Checkpoint(ORIGIN, builder.size, builder.root()), SEALER)
    forged = Receipt(size, proof, note).encode()
    with pytest.raises((NotProven, IntegrityError)) as raised:
        check_entry(forged, entry.data, keyring=accepted(registry))
    assert raised.value.reason == "checkpoint-unproven"
    assert check_entry(forged, entry.data, keyring=registry._before).doubt is None  # once believed


def test_a_fork_at_the_size_of_a_pin_is_another_history(registry: Registry) -> None:
    entry = entry_of(registry, 1)
    leaf = leaf_of(entry).encode()
    pin = registry.files[1].log
    builder = TileBuilder()
    builder.append(leaf)
    while builder.size < pin.size:
        builder.append(Leaf("TN9", builder.size, "0" * 64).encode())
    assert pin.size == 2
    proof = (hash_leaf(Leaf("TN9", 1, "0" * 64).encode()),)
    note = sign_checkpoint(Checkpoint(ORIGIN, pin.size, builder.root()), SEALER)
    with pytest.raises(IntegrityError) as raised:
        check_entry(Receipt(0, proof, note).encode(), entry.data, keyring=accepted(registry))
    assert raised.value.reason == "wrong-root"


def test_half_a_signature_is_not_enough(registry: Registry) -> None:
    second = MLDSAPrivateKey("ML-DSA-44", bytes(32))
    registry.publish(keys=listed(*registry.keys, log_key(second.public_key)))
    registry.write("TN2")
    registry.log().seal([SEALER, second], registry.folder / "sealer.json", jobs=1)
    whole = prove(registry, 3)
    assert check(registry, whole, 3).doubt is None
    lines = whole.split(b"\n")
    for kept in (lines[:-2], [*lines[:-3], *lines[-2:]]):
        half = b"\n".join(kept) if kept[-1] == b"" else b"\n".join([*kept, b""])
        with pytest.raises(NotProven) as raised:
            check(registry, half, 3)
        assert raised.value.reason == "checkpoint-unproven"


def test_an_order_to_erase_needs_the_right(registry: Registry) -> None:
    for key, slug in ((ERIN, ""), (BOB, "may-not-erase")):
        entry = registry.plant("TN1", key, erases=(1,), reference="order 7")
        # A sealer to whom the trust files are nothing logs both.
        memory = registry.folder / f"{slug}.json"
        Log(registry.stolen(None)).seal(SEALER, memory, adopt=True, jobs=1)
        receipt = registry.log().reader.receipt(leaf_of(entry)).encode()
        doubt = check_entry(receipt, entry.data, keyring=accepted(registry)).doubt
        assert (doubt.slug if doubt else "") == slug
        assert doubt is None or doubt.severity == "unchecked"
