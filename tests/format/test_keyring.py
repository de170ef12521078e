"""Keyrings: whose signatures count, for which ledger, as what."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Keyring
from ledger.errors import (
    InvalidError,
    LedgerError,
    MalformedError,
    NotFoundError,
    UnsupportedFormatError,
)
from ledger.format.keyring import ROLES, TrustedKey, check_origin
from ledger.testing import ORIGIN, signer
from tests.format.test_keys import SMALL_ORDER, SPKI_PREFIX, _pem
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(50))

ALICE, BOB = signer("alice").public_key, signer("bob").public_key
OTHER = "example.org/other"

people = st.sampled_from([signer(name).public_key for name in "abcdef"])
keyrings = st.lists(
    st.builds(
        TrustedKey,
        st.sampled_from([ORIGIN, OTHER]),
        st.just("registrar"),
        people,
        st.sampled_from(["", "alice", "Bob O."]),
    ),
    max_size=5,
).map(Keyring)


def test_a_key_counts_for_the_origin_and_the_role_it_is_trusted_for_and_no_other():
    keyring = Keyring().trust(ORIGIN, ALICE).trust(ORIGIN, BOB, role="log")
    assert keyring.key(ORIGIN, ALICE.key_id) == ALICE
    assert keyring.key(ORIGIN, ALICE.key_id, "log") is None
    assert keyring.key(ORIGIN, BOB.key_id) is None
    assert keyring.key(ORIGIN, BOB.key_id, "log") == BOB
    assert keyring.key(OTHER, ALICE.key_id) is None
    assert keyring.has_key(ALICE.key_id)
    assert not keyring.has_key("0" * 64)
    assert keyring.origins == [ORIGIN]


def test_a_keyring_never_changes():
    empty = Keyring()
    trusting = empty.trust(ORIGIN, ALICE)
    untrusting = trusting.untrust(ALICE.key_id)
    assert (len(empty), len(trusting), len(untrusting)) == (0, 1, 0)
    assert untrusting == empty
    assert hash(untrusting) == hash(empty)
    assert trusting != empty
    assert trusting != [ALICE]


@pytest.mark.parametrize("first", ROLES)
@pytest.mark.parametrize("second", ROLES)
def test_a_key_has_one_role_in_a_ledger(first, second):
    keyring = Keyring().trust(ORIGIN, ALICE, role=first)
    keyring.trust(OTHER, ALICE, role=second)
    if first == second:
        assert len(keyring.trust(ORIGIN, ALICE, role=second)) == 1
    else:
        with pytest.raises(InvalidError, match=f"is a {first} of {ORIGIN} already"):
            keyring.trust(ORIGIN, ALICE, role=second)


def test_trusting_a_key_again_renames_it():
    keyring = Keyring().trust(ORIGIN, ALICE, name="alice").trust(ORIGIN, ALICE, name="Alice B.")
    assert [trusted.name for trusted in keyring] == ["Alice B."]
    assert keyring.name(ORIGIN, ALICE.key_id) == "Alice B."
    assert keyring.name(OTHER, ALICE.key_id) == ""


def test_a_key_is_untrusted_for_one_origin_or_for_all():
    keyring = Keyring().trust(ORIGIN, ALICE).trust(OTHER, ALICE).trust(ORIGIN, BOB)
    assert keyring.untrust(ALICE.key_id, origin=OTHER).origins == [ORIGIN]
    assert [t.key for t in keyring.untrust(ALICE.key_id)] == [BOB]
    for origin in (None, ORIGIN):
        with pytest.raises(NotFoundError, match="no such key"):
            keyring.untrust("0" * 64, origin=origin)


@law
@given(keyrings)
def test_a_keyring_survives_its_file(keyring):
    data = keyring.encode()
    assert Keyring.decode(data) == keyring
    assert Keyring.decode(data).encode() == data
    assert pickle.loads(pickle.dumps(keyring)) == keyring


@law
@given(keyrings, st.integers(0, 2000), st.binary(max_size=3))
def test_a_damaged_file_is_refused_with_our_error_or_is_a_keyring(keyring, place, noise):
    data = keyring.encode()
    with suppress(LedgerError):
        Keyring.decode(data[:place] + noise + data[place + 1 :])


def test_the_file_is_json_that_people_can_read():
    value = json.loads(Keyring().trust(ORIGIN, ALICE, name="alice").encode())
    key = {"key": ALICE.pem().decode(), "name": "alice", "origin": ORIGIN, "role": "registrar"}
    assert value == {"format": 1, "keys": [key]}


def _file(**changes: object) -> bytes:
    key = {"key": ALICE.pem().decode(), "name": "", "origin": ORIGIN, "role": "registrar"}
    return json.dumps({"format": 1, "keys": [key | changes]}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"format":"1","keys":[]}',
        b'{"format":true,"keys":[]}',
        b'{"format":1}',
        b'{"format":1,"keys":{}}',
        b'{"format":1,"keys":[],"more":1}',
        b'{"format":1,"keys":[1]}',
        b'{"format":1,"keys":[{}]}',
        b'{"format":1,"keys":[],"keys":[]}',
        _file(more=1),
        _file(more="text"),
        _file(key=1),
        _file(key=""),
        _file(key=_pem("PUBLIC KEY", SPKI_PREFIX + bytes.fromhex(SMALL_ORDER[0])).decode()),
        _file(key=signer().pem().decode()),
        _file(role="owner"),
        _file(role=None),
        _file(origin="a b"),
        _file(name="a\nb"),
    ],
)
def test_what_is_no_keyring_is_refused(data):
    assert Keyring.decode(_file())
    with pytest.raises(MalformedError):
        Keyring.decode(data)


@pytest.mark.parametrize("number", [0, 2])
def test_a_keyring_of_another_format_is_named_as_such(number):
    with pytest.raises(UnsupportedFormatError, match=f"format {number}"):
        Keyring.decode(b'{"format":%d,"rings":[]}' % number)


def test_trust_is_taken_from_one_key_for_one_origin_and_from_no_other():
    keys = [signer(name).public_key for name in ("alice", "bob", "carol")]
    keyring = Keyring()
    for key in keys:
        keyring = keyring.trust(ORIGIN, key).trust("example.org/other", key)
    for key in keys:
        left = keyring.untrust(key.key_id, origin=ORIGIN)
        gone = {(each.origin, each.key) for each in keyring} - {(e.origin, e.key) for e in left}
        assert gone == {(ORIGIN, key)}


@pytest.mark.parametrize("key_id", ["0" * 64, "f" * 64, ""])
def test_no_other_key_is_known(key_id):
    assert Keyring().trust(ORIGIN, ALICE).has_key(ALICE.key_id)
    assert not Keyring().trust(ORIGIN, ALICE).has_key(key_id)


@pytest.mark.parametrize("text", ["example.org/titles", "x", "a-b_c.d/e:f~!", "x" * 200])
def test_origins(text):
    assert check_origin(text) == text


@pytest.mark.parametrize(
    "text", ["", "a b", "a+b", "a\n", "\ta", "é", "a\0", "x" * 201, "\x7f", None, 1, b"a"]
)
def test_an_origin_is_a_name_without_spaces_and_plus(text):
    with pytest.raises(InvalidError, match="not an origin"):
        check_origin(text)
    with pytest.raises(InvalidError):
        Keyring().trust(text, ALICE)


@pytest.mark.parametrize("name", [" ", "-x", "a/b", "a\x1b[31m", "x" * 65, "é", "a\n"])
def test_a_name_for_a_key_is_short_and_plain(name):
    with pytest.raises(InvalidError, match="not a name for a key"):
        Keyring().trust(ORIGIN, ALICE, name=name)


def test_a_file_with_one_key_twice_is_never_read_as_the_last_one():
    value = json.loads(Keyring().trust(ORIGIN, ALICE, name="alice").encode())
    value["keys"].append(value["keys"][0] | {"name": "mallory"})
    with pytest.raises(MalformedError, match="one key twice"):
        Keyring.decode(json.dumps(value).encode())
