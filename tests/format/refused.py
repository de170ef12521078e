"""Objects that no reader accepts, by what is wrong with them: for the tests and the vectors."""

from __future__ import annotations

from tests.format.by_hand import (
    ABSENT,
    ALICE,
    SALT,
    entry,
    members,
    nested,
    sealed,
    spell,
    text,
    wrap,
)

HEX = "0123456789abcdef" * 4


def spelled(old: str, new: str) -> bytes:
    """An entry with another spelling in P, and a signature that is good for it."""
    payload = spell(members()).decode()
    assert payload.count(old) == 1
    changed = payload.replace(old, new).encode("utf-8", "surrogatepass")
    return sealed(changed, spell(text()))


MALFORMED = {
    "a space": spelled('"kind":', '"kind": '),
    "an escape that is not needed": spelled('"registration"', '"registr\\u0061tion"'),
    "a member twice": spelled('"kind":', '"kind":"migration","kind":'),
    "1.0": spelled('"version":1', '"version":1.0'),
    "-0": spelled('"version":1', '"version":-0'),
    "2^53": spelled('"version":1', '"version":9007199254740992'),
    "a lone surrogate": spelled('"reference":""', '"reference":"\\ud800"'),
    "no UTF-8": spelled('"reference":""', '"reference":"\ud800"'),
    "a text with a space": entry(b'{ "author":"","document":{},"message":""}'),
    "a text that is cut": entry(b'{"author":"",'),
    "65 levels": entry(spell(text(document=nested(65)))),
    "1e+30 in a text": entry(spell(text(document=[1])).replace(b"[1]", b"[1e+30]")),
    "a newline at the end": entry() + b"\n",
    "a member before": entry().replace(b'},"signature"', b'},"a":1,"signature"'),
    "a member between": entry().replace(b',"text":', b',"tex":0,"text":'),
    "a member behind": entry()[:-1] + b',"z":0}',
    "true": entry(status=True),
    "a fraction": entry(status=0.5),
    "an object": entry(status={}),
    "a list in a list": entry(erases=[[]]),
    "true in a list": entry(part=[True, 1]),
    "U+007F": entry(reference="\x7f"),
    "an unknown member": entry(more=1),
    **{f"no {name}": entry(**{name: ABSENT}) for name in members()},
    "a key id in capitals": entry(key=ALICE.public_key.key_id.upper()),
    "a kind that is null": entry(kind=None),
    "a status that is null": entry(status=None),
    "a parent at version 1": entry(parent=HEX),
    "no parent at version 2": entry(version=2),
    "version 0": entry(version=0),
    "version -1": entry(version=-1),
    "version '1'": entry(version="1"),
    "a version in a list that is a text": entry(version=2, parent=HEX, voids=["1"]),
    "a list that is null": entry(voids=None),
    "the own version in a list": entry(version=2, parent=HEX, voids=[2]),
    "confirms and voids": entry(version=2, parent=HEX, voids=[1], confirms=[1]),
    "a bound that is a number": entry(effective_at=2026),
    "a bound that is no date": entry(effective_at="2026-13"),
    "an empty bound": entry(effective_until=""),
    "an end before the beginning": entry(effective_until="2026-11-23"),
    "a part of three": entry(part=[1, 1, 1]),
    "a part that is a text": entry(part="1/1"),
    "a part without a reference": entry(part=[1, 2]),
    "an erasure without a reference": entry(version=2, parent=HEX, erases=[1]),
    "a text that is no sha256": entry(text=HEX[1:]),
    "recorded_at with an offset": entry(recorded_at="2026-11-23T10:00:00.000000+00:00"),
    "a title number with two dots": entry(title_number="TN1..2"),
    "an origin with a plus": entry(ledger="a+b"),
    "S of 63 bytes": wrap(spell(members()), bytes(63), spell(text())),
    "S of 65 bytes": wrap(spell(members()), bytes(65), spell(text())),
    "S of 8,193 bytes": wrap(spell(members()), bytes(8193)),
    "an empty S": wrap(spell(members()), b""),
    "S with an escaped quote": wrap(spell(members()), '\\"'),
}  # fmt: skip

TEXTS = {
    "a list": [],
    "null": None,
    "a member more": text(more=1),
    **{f"no {name}": text(**{name: ABSENT}) for name in text()},
    "an author of 257 bytes": text(author="x" * 257),
    "an author that is null": text(author=None),
    "a message of 4,097 bytes": text(message="x" * 4097),
    "a message that is a list": text(message=[]),
    "a salt in capitals": text(salt=SALT.hex().upper()),
    "a short salt": text(salt=SALT.hex()[2:]),
    "a document that is a list": text(document=[]),
    "a document of another title": text(document={"title_number": "TN2"}),
    "a document with sha256": text(document={"sha256": ""}),
}

MALFORMED_TEXTS = {name: entry(spell(value)) for name, value in TEXTS.items()}
