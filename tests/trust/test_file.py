"""Trust files as bytes: one spelling, exact members, limits."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import InvalidError, MalformedError, UnsupportedFormatError
from ledger.format import canonical
from ledger.format.keyring import Root
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.testing import ORIGIN, signer
from ledger.trust.chain import assemble
from ledger.trust.file import (
    MAX_BYTES,
    Holder,
    HolderSignature,
    Revocation,
    TrustFile,
    TrustKey,
    log_keys_of,
)
from ledger.trust.keys import OtherKey
from tests.trust.people import (
    ADA,
    ALICE,
    BEN,
    BOB,
    CLEO,
    DAN,
    FIRST,
    KEYS,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    people,
    person,
    pin,
    registrar,
    revoke,
)

ONE = first()
TWO = after(ONE, keys=listed(*KEYS, registrar(BOB, "bob", erase=True)), next="2027-12-01")
THREE = after(TWO, keys=listed(registrar(BOB, "bob", erase=True), log_key(LOG)), size=30)
FOUR = after(THREE, revoked=(revoke(ALICE, 7),), size=30)
FILES = [ONE, TWO, THREE, FOUR]


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
    assert {"erase": True, "key": base64_of(BOB), "name": "bob", "role": "registrar"} in trust[
        "keys"
    ]
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


def base64_of(key: Any) -> str:
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
        *(
            pytest.param(data, id=f"no file {data!r}")
            for data in (b"", b"[]", b"1", b'"a"', b"null")
        ),
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
        pytest.param(edited("trust", to={}), id="nothing in T"),
        pytest.param(edited("trust", "format", to=True), id="a boolean for the format"),
        pytest.param(edited("trust", "threshold", to=True), id="a boolean for a number"),
        pytest.param(edited("trust", "log", "size", to=True), id="a boolean for a size"),
        pytest.param(edited("trust", "log", "more", to=1), id="another member of a pin"),
        pytest.param(edited("trust", "holders", to={}), id="holders that are no list"),
        pytest.param(edited("trust", "holders", 0, to=[]), id="a holder that is no object"),
        pytest.param(edited("trust", "holders", 0, "keys", to={}), id="keys that are no list"),
        pytest.param(edited("trust", "version", to=0), id="version 0"),
        pytest.param(edited("trust", "previous", to=7), id="a previous that is no text"),
        pytest.param(edited("trust", "next", to=7), id="a number for a day"),
        pytest.param(edited("trust", "next", to="2027-02-30"), id="no day"),
        pytest.param(edited("trust", "next", to="20270201"), id="a day in another spelling"),
        pytest.param(edited("trust", "origin", to="a b"), id="no origin"),
        pytest.param(edited("trust", "origin", to=7), id="a number for an origin"),
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


@pytest.mark.parametrize("name", json.loads(ONE.payload))
def test_no_member_may_be_missing(name: str) -> None:
    value = json.loads(ONE.encode())
    del value["trust"][name]
    with pytest.raises(MalformedError, match=r"no format number|missing or unknown"):
        TrustFile.decode(canonical.encode(value))


@pytest.mark.parametrize("number", [0, 2])
def test_another_format_is_unsupported(number: int) -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        TrustFile.decode(edited("trust", "format", to=number))
    assert caught.value.reason == "unsupported-trust"


def keys_of(*names: str) -> tuple[Any, ...]:
    """The keys of some holders as those of one."""
    keys = (key for name in names for key in person(name).holder.keys)
    return tuple(sorted(keys, key=lambda key: key.key_id))


def holders(*keys: Any) -> tuple[Holder, ...]:
    """Ada with other keys, and two more."""
    return Holder(ADA, tuple(sorted(keys, key=lambda key: key.key_id))), *people(BEN, CLEO)


ADA1, ADA2 = person(ADA).ed25519.public_key, person(ADA).mldsa.public_key
DAN1, DAN2 = person(DAN).ed25519.public_key, person(DAN).mldsa.public_key
BESIDE = MLDSAPrivateKey("ML-DSA-44", bytes(32)).public_key
STRANGE = OtherKey(bytes.fromhex("3043300506032b6571033a00") + bytes(57))
IDS = sorted([ALICE.key_id, BOB.key_id])
NAME_64 = "a" * 64


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        *(("not a version", {"version": version}) for version in (0, -1, 2**53, True)),
        ("previous null", {"previous": None}),
        ("previous null", {"version": 1}),
        ("not an address", {"previous": "abc"}),
        *(("not a day", {"next": day}) for day in ("", "2027-02-30", "2027-2-01", "20270201")),
        ("a threshold of 0", {"threshold": 0}),
        ("a threshold of 4", {"threshold": 4}),
        *(
            ("not exactly one", {"holders": holders(*keys)})
            for keys in [
                (),
                (ADA1,),
                (ADA2,),
                (ADA1, DAN1),
                (ADA2, DAN2),
                (ADA1, DAN1, ADA2),
                (ADA1, ADA2, DAN2),
                (ADA1, BESIDE),
            ]
        ),
        ("ascend", {"holders": (Holder(ADA, keys_of(ADA)[::-1]), *people(BEN))}),
        ("ascend", {"holders": people(ADA, BEN)[::-1]}),
        ("twice", {"holders": people(ADA, ADA)}),
        ("not a name", {"holders": (Holder(NAME_64 + "a", keys_of(ADA)), *people(BEN))}),
        ("one holder", {"holders": (*people(ADA), person(BEN, ADA).holder)}),
        ("one holder", {"holders": (*holders(ADA1, DAN2)[:1], person(DAN).holder)}),
        ("ascend", {"keys": KEYS[::-1]}),
        ("twice", {"keys": (*KEYS, KEYS[-1])}),
        ("not a name", {"keys": listed(registrar(ALICE, "a\nb"), log_key(LOG))}),
        ("not a role", {"keys": listed(KEYS[0]._replace(role="witness"), log_key(LOG2))}),
        ("not a role", {"keys": listed(KEYS[0]._replace(role="a"), log_key(LOG2))}),
        ("can't have erase", {"keys": listed(TrustKey(LOG, "", "log", erase=True))}),
        ("at least one key", {"keys": listed(registrar(ALICE))}),
        ("at least one key", {"keys": ()}),
        ("ascend", {"revoked": (Revocation(IDS[1], 1), Revocation(IDS[0], 2))}),
        ("twice", {"revoked": (Revocation(IDS[0], 1), Revocation(IDS[0], 2))}),
        ("not an address", {"revoked": (Revocation("abc", 1),)}),
        ("not a position", {"revoked": (Revocation(IDS[0], -1),)}),
        ("not a position", {"revoked": (Revocation(IDS[0], 2**53),)}),
        ("ascend", {"signatures": TWO.signatures[::-1]}),
        ("twice", {"signatures": (TWO.signatures[0], TWO.signatures[0])}),
    ],
)
def test_no_file_can_be_so(why: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match=why):
        replace(TWO, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2**53 - 1},
        {"next": None},
        {"threshold": 1},
        {"threshold": 3},
        {"holders": people(ADA), "threshold": 1},
        {"holders": (Holder(NAME_64, keys_of(ADA)), *people(BEN))},
        *(
            {"holders": holders(*keys)}
            for keys in [(STRANGE,), (ADA1, STRANGE), (ADA1, DAN1, STRANGE)]
        ),
        {"keys": listed(registrar(ALICE, "", erase=True), log_key(LOG))},
        {"keys": listed(log_key(LOG), log_key(LOG2))},
        {"revoked": (Revocation(IDS[0], 0), Revocation(IDS[1], 2**53 - 1))},
        {"signatures": ()},
    ],
)
def test_a_file_may_be_so(changes: dict[str, Any]) -> None:
    file = replace(TWO, **changes)
    assert TrustFile.decode(file.encode()) == file


def test_what_can_not_be_judged_is_named():
    for keys in (KEYS, listed(*KEYS, registrar(STRANGE)), listed(log_key(BESIDE), *KEYS)):
        assert replace(ONE, keys=keys).unsupported == ""
    for keys in (listed(log_key(STRANGE)), listed(*KEYS, log_key(ADA2))):
        assert "the log's key" in replace(ONE, keys=keys).unsupported
    for one in (holders(STRANGE), holders(ADA1, STRANGE)):
        assert replace(ONE, holders=one).unsupported.endswith("holder ada")


def test_a_key_is_found_by_its_id():
    assert [TWO.key(each.key_id) for each in TWO.keys] == list(TWO.keys)
    for key_id in ("0" * 64, "f" * 64, LOG2.key_id):
        assert TWO.key(key_id) is None


def test_a_new_signature_replaces_an_old_one_of_the_same_key():
    old, *others = ONE.signatures
    new, more = HolderSignature(old.key_id, b"new"), HolderSignature("0" * 64, b"more")
    assert ONE.signed([new, more]).signatures == (more, new, *others)


def test_keys_of_the_log_are_those_of_any_file_that_can_be_used():
    other = replace(ONE, keys=listed(log_key(LOG), log_key(LOG2), log_key(STRANGE)))
    assert set(log_keys_of([ONE, other])) == {LOG, LOG2}
    assert len(log_keys_of([ONE, other])) == 2


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
