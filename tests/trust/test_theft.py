"""A registrar's key that is retired, or stolen: what counts afterwards, on a real store."""

from __future__ import annotations

import pytest

from ledger import TrustError
from ledger.format.keyring import Keyring
from ledger.testing import signer
from tests.trust.people import revoke, root_of
from tests.trust.world import World, slugs


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
