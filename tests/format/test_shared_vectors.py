"""The verdicts of two other implementations, written by people who didn't see this one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from ledger import Keyring, PublicKey
from ledger.errors import MalformedError, NotInLaw
from ledger.format import layout, times
from ledger.format.chain import verify_chain
from ledger.format.entry import Entry, address_of, parent_hint
from ledger.format.law import in_law
from tests.corpora import VECTORS

FILE = VECTORS / "format.jsonl"
FAR = datetime(9999, 12, 31, tzinfo=UTC)
"""No clock is in the vectors: nothing lies in the future of this one."""


class Verdict(NamedTuple):
    """What a reader says of a title."""

    verdict: str
    finding: str | None
    answers: list[int | str]


def read_all() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_bytes().split(b"\n") if line]


def cases() -> list[Any]:
    if not FILE.exists():
        reason = f"no {FILE} (LEDGER_CORPORA names the folder beside it)"
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]
    lines = read_all()
    size = 50  # a test for each case would take longer to collect than to run
    return [
        pytest.param(lines[i : i + size], id=f"from {lines[i]['id']}")
        for i in range(0, len(lines), size)
    ]


def keyring(case: dict[str, Any]) -> Keyring:
    ring = Keyring()
    for text in case["registrars"]:
        try:
            ring = ring.trust(case["origin"], PublicKey(bytes.fromhex(text)))
        except MalformedError:  # as if it were not listed
            continue
    return ring


def judge(case: dict[str, Any]) -> Verdict:
    title, origin = case["title"], case["origin"]
    objects = {key: base64.b64decode(text) for key, text in case["objects"].items()}
    head = objects.get(layout.head_key(title))
    if head is None:
        return Verdict("not-found", None, [])
    ring = keyring(case)
    report = verify_chain(
        title,
        origin=origin,
        keyring=ring,
        head=head,
        read=lambda address: objects.get(layout.entry_key(title, address)),
        now=FAR,
    )
    tampering = [each.slug for each in report.findings if each.severity == "tampering"]
    unchecked = [each.slug for each in report.findings if each.severity == "unchecked"]
    unsupported = [slug for slug in unchecked if slug.startswith("unsupported-")]
    for verdict, slugs in (
        ("tampering", tampering),
        ("unsupported", unsupported),
        ("unchecked", unchecked),
    ):
        if slugs:
            return Verdict(verdict, slugs[0], [])
    entries = []
    data: bytes | None = head
    while data is not None:
        entries.append(Entry.open(data, keyring=ring, ledger=origin, title_number=title))
        assert entries[-1].address == address_of(data)
        parent = parent_hint(data)
        assert parent == entries[-1].parent
        data = objects[layout.entry_key(title, parent)] if parent else None
    return Verdict("verified", None, [answer(entries, question) for question in case["ask"]])


def answer(entries: list[Entry], question: dict[str, Any]) -> int | str:
    """The version in law, as it was known; ``entries`` are the newest first."""
    recorded = question["recorded"]
    try:
        found = in_law(
            entries,
            times.parse_bound(question["effective"], partial=False),
            times.parse_bound(recorded, partial=False) if recorded else None,
        )
    except NotInLaw:
        return "NotInLaw"
    erased = {version for entry in entries for version in entry.erases}
    return "Erased" if found.version in erased else found.version


@pytest.mark.parametrize("several", cases())
def test_all_implementations_agree(several: list[dict[str, Any]]) -> None:
    found = {case["id"]: judge(case) for case in several}
    assert found == {case["id"]: Verdict(**case["expect"]) for case in several}


def test_none_is_missing() -> None:
    if not FILE.exists():
        pytest.skip(f"no {FILE}")
    verdicts = [case["expect"]["verdict"] for case in read_all()]
    assert len(verdicts) == 597
    assert set(verdicts) == {"verified", "tampering", "unchecked", "unsupported", "not-found"}
