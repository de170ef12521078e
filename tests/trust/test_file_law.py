"""Trust files that are written and read, and changed in any way: nothing goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError
from ledger.format import canonical
from ledger.testing import signer
from ledger.trust.chain import assemble
from ledger.trust.file import HolderSignature, TrustFile
from tests.laws import examples
from tests.trust.people import (
    BOB,
    LOG,
    listed,
    log_key,
    objects,
    people,
    pin,
    registrar,
    revoke,
    root_of,
)
from tests.trust.test_file import FILES, ONE, base64_of

law = settings(deadline=None, max_examples=examples(80))

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
    st.sampled_from(["", "ada", "log", "registrar", "2030-01-01", "0" * 64, base64_of(BOB)]),
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
