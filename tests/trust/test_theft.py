"""A registrar's key that is retired, or stolen: what counts afterwards, on a real store."""

from __future__ import annotations

import pytest

from ledger import TrustError
from ledger.errors import NotProven
from ledger.format.keyring import Keyring
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, Leaf, open_checkpoint, sign_checkpoint
from tests.trust.people import listed, log_key, revoke, root_of
from tests.trust.world import SEALER, World, slugs


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, registrars="alice bob")


def revoke_alice(world, start):
    return world.publish(
        keys=world.without("alice"), revoked=[revoke(signer("alice").public_key, start)]
    )


def test_what_a_retired_key_signed_before_its_end_stands(world):
    world.append("TN1")
    world.append("TN1", "bob")
    world.seal()
    world.publish(keys=world.without("alice"))
    world.seal()
    assert world.verify("TN1").outcome == "verified"
    report = world.audit()
    assert (report.outcome, slugs(report)) == ("verified", [])


def test_a_retired_key_can_sign_nothing_more(world):
    world.append("TN1")
    world.seal()
    world.publish(keys=world.without("alice"))
    with pytest.raises(TrustError, match="not a registrar"):
        world.append("TN1")
    world.forge("TN1", "alice")
    assert slugs(world.verify("TN1")) == ["key-ended"]
    sealed = world.seal()
    assert slugs(sealed.report) == ["key-ended"]
    assert "key-ended" in slugs(world.audit())


def test_what_a_thief_signed_after_the_revocation_position_is_void_once_it_is_settled(world):
    world.append("TN1")
    world.seal()
    good = world.checkpoint().size
    world.forge("TN1", "alice")
    world.seal()  # nobody knows yet
    assert world.audit().outcome == "verified"
    revoke_alice(world, good)
    assert slugs(world.verify("TN1")) == ["key-ended"]
    with pytest.raises(TrustError, match="before its key"):
        world.append("TN1", "bob")
    assert "key-ended" in slugs(world.audit())


def test_an_older_keyring_follows_the_files_from_its_root(world):
    world.append("TN1")
    world.seal()
    second = revoke_alice(world, world.checkpoint().size)
    world.seal()
    for root in (world.files[0], second):
        keyring = Keyring(roots=[root_of(root)])
        assert world.audit(keyring=keyring).outcome == "verified"
    names = [
        leaf for leaf in world.log().reader.leaves(world.checkpoint().size) if b'"trust"' in leaf
    ]
    assert len(names) == 1


def test_a_state_notices_trust_files_that_were_set_back(world):
    world.append("TN1")
    world.seal()
    assert world.audit("state").outcome == "verified"
    revoke_alice(world, world.checkpoint().size)
    world.seal()
    assert world.audit("state").outcome == "verified"
    world.restore({key: data for key, data in world.objects().items() if key != "_trust/2.json"})
    found = slugs(world.audit("state"))
    assert "trust-set-back" in found
    assert "trust-missing" in found  # the log names it


def test_a_trust_file_that_is_not_logged_is_named_and_later_a_failure(world):
    world.append("TN1")
    world.seal()
    assert world.audit("state").outcome == "verified"
    revoke_alice(world, world.checkpoint().size)
    report = world.audit("state")
    assert (report.outcome, slugs(report)) == ("verified", ["trust-not-logged"])
    world.clock.forward(days=2)
    report = world.audit("state")
    assert (report.outcome, slugs(report)) == ("tampered", ["trust-not-logged"])


# --- the log's key --------------------------------------------------------------------------------

NEW_LOG = signer("log 2")


def test_the_logs_key_is_replaced_without_a_gap(world):
    world.append("TN1")
    world.seal()
    world.publish(keys=listed(*world.keys, log_key(NEW_LOG.public_key)))
    with_old = world.seal()
    assert with_old.leaves == 1  # the trust file
    both = world.log().seal([SEALER, NEW_LOG], world.folder / "sealer.json", jobs=1)
    assert both.signatures == 1
    world.publish(
        keys=listed(*(key for key in world.keys if key.key_id != SEALER.public_key.key_id))
    )
    world.append("TN1", "bob")
    world.seal(NEW_LOG)
    assert (world.audit().outcome, slugs(world.audit())) == ("verified", [])


def published_by(world, key):
    """Whether the published checkpoint has a line of this key, whoever knows it."""
    blob = world.store.get("_log/checkpoint")
    try:
        open_checkpoint(blob.data, origin=ORIGIN, log_keys=[key.public_key])
    except TrustError:
        return False
    return True


@pytest.mark.parametrize("new", [0, 1])
def test_the_next_key_of_the_log_signs_before_a_trust_file_lists_it(world, new):
    """So that file may drop the old one at once, whether or not the log has something new."""
    world.append("TN1")
    world.seal()
    for _ in range(new):
        world.append("TN1", "bob")
    world.seal([SEALER, NEW_LOG])
    assert published_by(world, SEALER)
    assert published_by(world, NEW_LOG)
    kept = (key for key in world.keys if key.role == "registrar")
    world.publish(keys=listed(log_key(NEW_LOG.public_key), *kept))
    world.seal(NEW_LOG)
    assert (world.audit().outcome, slugs(world.audit())) == ("verified", [])


def test_a_line_of_the_next_key_that_was_not_published_is_published_later(world):
    world.append("TN1")
    world.seal()
    before = world.store.get("_log/checkpoint")
    world.seal([SEALER, NEW_LOG])
    now = world.store.get("_log/checkpoint")
    assert world.store.replace("_log/checkpoint", before.data, now.version)
    assert not published_by(world, NEW_LOG)
    world.seal([SEALER, NEW_LOG])
    assert published_by(world, NEW_LOG)


def test_a_retired_key_of_the_log_signs_no_larger_checkpoint(world):
    test_the_logs_key_is_replaced_without_a_gap(world)
    log = world.log().reader
    size = world.checkpoint().size
    builder = log.builder(size)
    builder.append(Leaf("TN9", 1, "0" * 64).encode())
    note = sign_checkpoint(Checkpoint(ORIGIN, builder.size, builder.root()), SEALER)
    with pytest.raises(NotProven, match="no end"):
        log.open(note)
    objects = world.objects()
    objects["_log/checkpoint"] = note
    world.restore(objects)
    assert "checkpoint-unproven" in slugs(world.audit())
    assert world.audit().outcome != "verified"


def test_a_log_below_the_newest_pin_shows_nothing(world):
    world.append("TN1")
    world.seal()
    before = world.objects()
    world.append("TN2")
    world.seal()
    second = world.publish(keys=world.without("bob"))
    before["_trust/2.json"] = second.encode()
    world.restore(before)
    report = world.audit()
    assert (report.outcome, slugs(report)) == ("unchecked", ["log-behind-pin"])


def test_a_fork_below_a_pin_is_another_history(world):
    """The thief of the log's key forks below or between the pins."""
    start = world.objects()
    world.append("TN1")
    world.append("TN2")
    world.seal()
    second = world.publish(keys=world.without("bob"))
    world.restore(start)
    world.append("TN1", "bob")
    world.append("TN2", "bob")
    world.append("TN3", "bob")
    world.seal(memory="thief", adopt=True)
    world.store.create("_trust/2.json", second.encode())
    report = world.audit()
    assert (report.outcome, slugs(report)[0]) == ("tampered", "wrong-root")
