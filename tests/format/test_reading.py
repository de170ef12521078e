"""Nearly every object is read in a fast way: no other verdict may come of it than of the exact one.

The exact way reads any JSON and then judges it member by member; the fast one takes only what has
the names and types of a known kind. Both are asked about the same bytes here, most of them signed.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, LedgerError, MalformedError
from ledger.format.entry import Entry
from ledger.testing import ORIGIN, keyring_for
from tests.format.by_hand import ALICE, TITLE, entry, members, nested, sealed, spell, text, wrap
from tests.format.refused import MALFORMED, MALFORMED_TEXTS
from tests.fuzz.noise import noise
from tests.laws import examples

KEYRING = keyring_for(ALICE)
HEX = "0123456789abcdef" * 4

TEXTS = [
    spell(each)
    for each in (
        text(),
        text(author="Żółta 1", message="1234567890123456 and more"),
        text(
            document={"n": 2**53 - 1, "m": -(2**53) + 1, "x": 0.5, "y": [1e-7, [], {}, None, True]}
        ),
        text(document={"\U0001f600": 1, "\uff5e": 2, "title_number": TITLE}),
        text(document=nested(64)),
        text(document={"wide": [{"in": [{}]}] * 40, "z": '"\\\n'}),
    )
]
PAYLOADS = [
    spell(members(TEXTS[0], **changes))
    for changes in (
        {},
        {
            "version": 9,
            "parent": HEX,
            "confirms": [1, 7],
            "voids": [2],
            "erases": [3],
            "reference": "R",
        },
        {"effective_at": "2026-03", "effective_until": "2026-03-31T10:00:00.5+01:00"},
        {"part": [2, 3], "reference": "é 1", "status": "closed", "kind": "migration"},
        {"kind": "later", "more": ["x", 1, None]},
        {"status": "frozen"},
    )
]
OBJECTS = [
    *map(entry, TEXTS),
    *(sealed(each, TEXTS[0]) for each in PAYLOADS),
    *map(sealed, PAYLOADS),
]


def verdict(data: bytes) -> Any:
    try:
        return Entry.judge(data, keyring=KEYRING, ledger=ORIGIN, title_number=TITLE)
    except LedgerError as error:
        return type(error), str(error), error.__dict__


def exact_verdict(data: bytes) -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ledger.format.entry._read_known", lambda *_: None)
        return verdict(data)


@settings(deadline=None, max_examples=examples(20))
@given(st.integers(0, 2**32), st.sampled_from(["object", "text", "payload", "withheld"]))
def test_the_fast_way_and_the_exact_one_agree_on_bytes_that_were_changed(seed, changed):
    """Where P or T was changed, they are signed again: so more than the signature is judged."""
    seeds = {"object": OBJECTS, "text": TEXTS}.get(changed, PAYLOADS)
    for noisy in noise(seeds, f"{seed}", 40):
        data = noisy
        if changed == "text":
            data = entry(noisy)
        elif changed != "object":
            data = sealed(noisy, TEXTS[0] if changed == "payload" else None)
        assert verdict(data) == exact_verdict(data)


@pytest.mark.parametrize("name", [*MALFORMED, *MALFORMED_TEXTS])
def test_they_agree_on_what_no_reader_accepts(name):
    data = (MALFORMED | MALFORMED_TEXTS)[name]
    assert verdict(data) == exact_verdict(data)


@pytest.mark.parametrize(
    "data",
    [
        entry(spell(text(document={"n": 2**53}, salt=""))),
        entry(spell(text(document={"n": 2**53}, salt="0" * 63))),
        entry(spell(text(document={"n": 2**53}, salt="é" * 64))),
        entry(spell(text(document=nested(65), salt=""))),
        entry(spell(text(document=nested(65)))),
        entry(spell(text(document={"in": [nested(65)] * 2}))),
        entry(spell(text(document={"n": 1})).replace(b'"n":1', b'"n":1e0')),
        entry(spell(text(document={"n": 1})).replace(b'"n":1', b'"n":1.0')),
        entry(spell(text(message="\ud800"))),
        entry(spell(text(message="x")).replace(b'"x"', b'"\\ud800"')),
        entry(spell(text(document={"\U0001f600": 1, "\uff5e": 2}))),
        entry(spell(text(message=5))),
        entry(b"null"),
        entry(b"{}"),
        entry(confirms=[2**53], version=3, parent=HEX),
        entry(version=2**53, parent=HEX),
        entry(version=2**63, parent=HEX),
        entry(version=-(2**64), parent=HEX),
        entry(part=[1]),
        entry(part=[1, 1.0]),
        entry(key="\u00e9" * 64),
        entry(key=5),
        entry(key=None),
        entry(key=HEX),
        entry(reference="x" * 4000),
        wrap(spell(members()), "A" * 88, spell(text())),
        wrap(spell(members(key=HEX)), "A", spell(text())),
        wrap(spell(members()), "\\u0041" * 88, spell(text())),
    ],
    ids=range(28),
)
def test_they_agree_at_the_edges(data):
    assert verdict(data) == exact_verdict(data)


@pytest.mark.parametrize("member", ["text", "ledger", "title_number"])
@pytest.mark.parametrize("value", ["", None])
def test_nothing_is_well_spelled_that_is_empty(member, value):
    """Not even if there is nothing to compare it with: no text, no ledger, no title."""
    data = sealed(spell(members(**{member: value})))
    assert verdict(data)[0] is IntegrityError
    with pytest.raises(MalformedError):
        Entry.unverified(data)


def test_the_fast_way_is_taken():
    """It would show in no verdict if it never were."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ledger.format.entry._read_any", None)
        for data in (
            entry(),
            entry(spell(text(document={"n": [1, 0.5, "é", {}]}))),
            sealed(spell(members())),
        ):
            assert isinstance(verdict(data), Entry)
