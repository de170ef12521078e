"""Trust files as bytes: one spelling, exact members, limits; and no byte that can be changed."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError, LedgerError, MalformedError, UnsupportedFormatError
from ledger.format import canonical
from ledger.format.keyring import Root
from ledger.testing import ORIGIN, signer
from ledger.trust.chain import assemble
from ledger.trust.file import MAX_BYTES, HolderSignature, TrustFile
from tests.trust.people import (
    ADA,
    ALICE,
    BEN,
    BOB,
    FIRST,
    KEYS,
    LOG,
    after,
    first,
    listed,
    log_key,
    objects,
    people,
    person,
    pin,
    registrar,
    revoke,
    root_of,
)

law = settings(deadline=None, max_examples=200)

ONE = first()
TWO = after(ONE, keys=listed(*KEYS, registrar(BOB, "bob", erase=True)), next="2027-12-01")
THREE = after(TWO, keys=listed(registrar(BOB, "bob", erase=True), log_key(LOG)), size=30)
FOUR = after(THREE, revoked=(revoke(ALICE, 7),), size=30)
FILES = [ONE, TWO, THREE, FOUR]

SOMEBODY = [signer(f"somebody {number}").public_key for number in range(6)]


@st.composite
def files(draw: Any) -> TrustFile:
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5, unique=True))
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(SOMEBODY), st.sampled_from(["", "x y"]), st.booleans()),
            max_size=6,
            unique_by=lambda each: each[0].key_id,
        )
    )
    size = draw(st.integers(0, 2**53 - 1))
    version = draw(st.integers(1, 9))
    revoked = draw(st.lists(st.sampled_from(SOMEBODY), max_size=3, unique_by=lambda k: k.key_id))
    chosen = [revoke(key, draw(st.integers(0, size))) for key in revoked]
    signatures = draw(st.dictionaries(st.sampled_from(SOMEBODY), st.binary(max_size=99)))
    made = TrustFile(
        version=version,
        previous=None
        if version == 1
        else draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        holders=people(*names),
        threshold=draw(st.integers(1, len(names))),
        keys=listed(log_key(LOG), *(registrar(key, name, erase=may) for key, name, may in keys)),
        log=pin(size),
        revoked=tuple(sorted(chosen)),
        next=draw(st.sampled_from([None, "2027-12-01", "2028-02-29"])),
    )
    return made.signed(HolderSignature(key.key_id, data) for key, data in signatures.items())


@law
@given(files())
def test_a_file_is_read_as_it_was_written(file: TrustFile) -> None:
    data = file.encode()
    read = TrustFile.decode(data)
    assert read == file
    assert read.encode() == data
    assert pickle.loads(pickle.dumps(read)) == file
    assert canonical.load(data)["trust"] == json.loads(file.payload)
    assert file.digest == hashlib.sha256(file.payload).hexdigest()
    assert file.payload in data


def test_its_members_are_those_of_the_format():
    value = json.loads(TWO.encode())
    assert list(value) == ["signatures", "trust"]
    ed25519 = person(ADA).ed25519.public_key
    assert {each["key"] for each in value["signatures"]} >= {ed25519.key_id}
    trust = value["trust"]
    assert trust["holders"][0] == {
        "keys": [base64.b64encode(key.spki).decode() for key in person(ADA).holder.keys],
        "name": "ada",
    }
    assert {"erase": True, "key": _base64(BOB), "name": "bob", "role": "registrar"} in trust["keys"]
    assert trust["log"] == {"root": base64.b64encode(pin(20).root).decode(), "size": 20}
    rest = {name: trust[name] for name in trust.keys() - {"holders", "keys", "log"}}
    assert rest == {
        "format": 1,
        "next": "2027-12-01",
        "origin": ORIGIN,
        "previous": ONE.digest,
        "revoked": [],
        "threshold": 2,
        "version": 2,
    }
    assert json.loads(FOUR.encode())["trust"]["revoked"] == [{"from": 7, "key": ALICE.key_id}]


def _base64(key: Any) -> str:
    return base64.b64encode(key.spki).decode()


def test_what_is_signed_is_the_dsse_encoding_of_t():
    kind = b"application/vnd.title-ledger.trust.v1+json"
    expected = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(ONE.payload), ONE.payload)
    assert ONE.signed_bytes == expected
    signature = next(
        each.signature
        for each in ONE.signatures
        if each.key_id == person(ADA).ed25519.public_key.key_id
    )
    assert person(ADA).ed25519.public_key.verify(signature, expected)


# -- What a file can not be ------------------------------------------------------------------------


def edited(*place: Any, to: Any) -> bytes:
    value = json.loads(ONE.encode())
    parent = value
    for name in place[:-1]:
        parent = parent[name]
    parent[place[-1]] = to
    return canonical.encode(value)


SIGNATURES = json.loads(ONE.encode())["signatures"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"signatures":[]}', id="no trust"),
        pytest.param(edited("more", to=1), id="another member"),
        pytest.param(edited("signatures", to={}), id="signatures that are no list"),
        pytest.param(edited("signatures", 0, "key", to="ada"), id="a key that is no id"),
        pytest.param(edited("signatures", 0, "signature", to="AB"), id="no base64"),
        pytest.param(edited("signatures", to=SIGNATURES[::-1]), id="signatures that descend"),
        pytest.param(edited("signatures", to=SIGNATURES[:1] * 2), id="a signature twice"),
        pytest.param(edited("trust", to=[]), id="no object"),
        pytest.param(edited("trust", "format", to="1"), id="no format number"),
        pytest.param(edited("trust", "more", to=1), id="another member of T"),
        pytest.param(edited("trust", "threshold", to=True), id="a boolean for a number"),
        pytest.param(edited("trust", "version", to=0), id="version 0"),
        pytest.param(edited("trust", "previous", to=7), id="a previous that is no text"),
        pytest.param(edited("trust", "next", to=7), id="a number for a day"),
        pytest.param(edited("trust", "next", to="2027-02-30"), id="no day"),
        pytest.param(edited("trust", "next", to="20270201"), id="a day in another spelling"),
        pytest.param(edited("trust", "origin", to="a b"), id="no origin"),
        pytest.param(edited("trust", "log", "size", to=0), id="a root of no leaves"),
        pytest.param(edited("trust", "log", "root", to="AAAA"), id="a short root"),
        pytest.param(edited("trust", "holders", 0, "name", to=""), id="a holder without a name"),
        pytest.param(edited("trust", "holders", 0, "name", to="\u202e"), id="an unseen name"),
        pytest.param(edited("trust", "holders", 0, "keys", to=[1]), id="a key that is no text"),
        pytest.param(edited("trust", "keys", 0, "key", to="AAAA"), id="no key"),
        *(
            pytest.param(edited("trust", "keys", number, "role", to="witness"), id=f"role {number}")
            for number in range(2)
        ),
        pytest.param(edited("trust", "keys", 0, "name", to="\n"), id="an odd name"),
        pytest.param(edited("trust", "keys", 0, "erase", to=0), id="a number for a boolean"),
        pytest.param(edited("trust", "revoked", to=[{"key": "0" * 64}]), id="no from"),
        pytest.param(
            edited("trust", "revoked", to=[{"from": 1, "key": "0"}]),
            id="a revoked key that is none",
        ),
        pytest.param(ONE.encode() + b"\n", id="a newline"),
        pytest.param(ONE.encode().replace(b":", b": ", 1), id="a blank"),
    ],
)
def test_it_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        TrustFile.decode(data)


def test_a_later_format_is_unsupported():
    with pytest.raises(UnsupportedFormatError) as caught:
        TrustFile.decode(edited("trust", "format", to=2))
    assert caught.value.reason == "unsupported-trust"


@pytest.mark.parametrize("version", [0, -1, 2**53])
def test_a_version_is_a_number_from_1_on(version: int) -> None:
    with pytest.raises(InvalidError, match="not a version"):
        replace(TWO, version=version)


def test_a_file_has_at_most_4_mib():
    large = ONE.signed([HolderSignature("0" * 64, bytes(MAX_BYTES))])
    with pytest.raises(InvalidError, match="at most"):
        large.encode()
    # Base64 comes in fours: some trust file has exactly 4 MiB.
    filled = next(
        file
        for name in ("", "a", "ab", "abc")
        if len((file := _filled(name)).encode()) == MAX_BYTES
    )
    assert TrustFile.decode(filled.encode()) == filled
    with pytest.raises(MalformedError, match="at most"):
        TrustFile.decode(filled.encode().replace(b'"version":1', b'"version":10'))


def _filled(name: str) -> TrustFile:
    """A file as large as can be, with a registrar's key of this name."""
    file = replace(FIRST, keys=listed(registrar(ALICE, name), log_key(LOG)))
    empty = len(file.signed([HolderSignature("0" * 64, b"")]).encode())
    return file.signed([HolderSignature("0" * 64, bytes((MAX_BYTES - empty) // 4 * 3))])


def test_a_file_has_at_most_32_holders():
    names = [f"h{number:02}" for number in range(33)]
    replace(FIRST, holders=people(*names[:32]))
    with pytest.raises(InvalidError, match="1 to 32 holders"):
        replace(FIRST, holders=people(*names))
    with pytest.raises(InvalidError, match="1 to 32 holders"):
        replace(FIRST, holders=(), threshold=0)


def test_a_file_has_at_most_1000_keys():
    keys = [registrar(signer(f"r{number}").public_key) for number in range(1000)]
    file = replace(FIRST, keys=listed(log_key(LOG), *keys[:999]))
    assert TrustFile.decode(file.encode()) == file
    with pytest.raises(InvalidError, match="at most 1,000 keys"):
        replace(FIRST, keys=listed(log_key(LOG), *keys))


def test_a_root_is_the_digest_of_t_not_of_the_file():
    other = ONE.signed(person("cleo").sign(ONE))
    assert other.digest == ONE.digest
    assert assemble(Root(ORIGIN, ONE.digest, 1), {1: other.encode()}.get).files == (other,)
    assert {BEN, ADA} < {holder.name for holder in ONE.holders}


# -- What cannot be changed ------------------------------------------------------------------------


def is_noticed(data: dict[int, bytes]) -> bool:
    """Whether a reader of these files, who has pinned the first, hears that something is wrong."""
    try:
        trust = assemble(root_of(ONE), data.get)
    except LedgerError:
        return True
    return bool(trust.findings)


def test_nothing_is_wrong_with_the_files_as_they_are():
    assert not is_noticed(objects(FILES))


@law
@given(st.integers(1, 4), st.integers(0, 2**20), st.integers(1, 255))
def test_a_changed_byte_is_noticed(version: int, place: int, other: int) -> None:
    data = bytearray(FILES[version - 1].encode())
    data[place % len(data)] ^= other
    assert is_noticed({**objects(FILES), version: bytes(data)})


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value but the value itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for name, member in items:
        found.append((*path, name))
        if isinstance(member, dict | list):
            found += places(member, (*path, name))
    return found


OTHERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 50),
    st.sampled_from(["", "ada", "log", "registrar", "2030-01-01", "0" * 64, _base64(BOB)]),
    st.just([]),
    st.just({}),
)


@law
@given(st.data())
def test_a_changed_member_is_noticed(data: Any) -> None:
    version = data.draw(st.integers(1, 4))
    value = json.loads(FILES[version - 1].encode())
    place = data.draw(st.sampled_from(places(value)))
    parent = value
    for name in place[:-1]:
        parent = parent[name]
    if data.draw(st.booleans()):
        del parent[place[-1]]
    else:
        before = canonical.encode(parent[place[-1]])
        other = data.draw(OTHERS.filter(lambda each: canonical.encode(each) != before))
        parent[place[-1]] = other
    assert is_noticed({**objects(FILES), version: canonical.encode(value)})


@given(st.binary(max_size=200))
def test_other_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        TrustFile.decode(data)
