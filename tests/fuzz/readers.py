"""What reads foreign bytes: each with bytes that it takes, and what has to hold of any.

A reader is called with any bytes. It raises LedgerError, or AssertionError where it accepts what it
would not have written; every other exception is a defect.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from binascii import b2a_base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ledger.bundles.verifying import verify_bundle
from ledger.errors import MalformedError
from ledger.format import canonical, layout, times
from ledger.format.bundle import BundleReader, write_bundle
from ledger.format.entry import (
    Entry,
    address_of,
    holds_text,
    parent_hint,
    signed_bytes,
    version_hint,
)
from ledger.format.keyring import Keyring
from ledger.format.keys import PublicKey
from ledger.format.layout import PackName
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.format.pem import read_public_key, read_public_keys
from ledger.format.revision import parse_revision
from ledger.format.signing import PrivateKey
from ledger.packs.format import Packable, make_pack, open_pack
from ledger.testing import ORIGIN, memory_ledger, signer
from ledger.titles.identity import decode_identity, encode_identity
from ledger.tlog.add_checkpoint import Answer, Reply, read_answer
from ledger.tlog.checkpoint import (
    Checkpoint,
    MLDSAKey,
    WitnessKey,
    cosign,
    open_checkpoint,
    parse_log_key,
    parse_witness_key,
)
from ledger.tlog.merkle import hash_leaf
from ledger.tlog.note import NoteKey, add_signatures, parse_unverified, sign_note
from ledger.tlog.objects import Leaf, LogState, SealedRecord, Staging
from ledger.tlog.policy import WitnessPolicy
from ledger.tlog.receipt import Receipt, check_receipt
from ledger.tlog.tiles import Tile, decode_entries, encode_entries, parse_tile
from ledger.verification import state_file

Read: TypeAlias = Callable[[bytes], object]

REGISTRAR, LOG, WITNESS = signer(), signer("log"), signer("witness")
KEYRING = Keyring().trust(ORIGIN, REGISTRAR.public_key).trust(ORIGIN, LOG.public_key, role="log")
LOG_KEY = NoteKey(ORIGIN, LOG.public_key)
WITNESS_KEY = WitnessKey("witness.example/w", WITNESS.public_key)
MLDSA = MLDSAPrivateKey("ML-DSA-44", bytes(32))
MLDSA_KEY = MLDSAKey("witness.example/w", MLDSA.public_key)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Reader(NamedTuple):
    """A reader, and bytes that it accepts."""

    read: Read
    seeds: tuple[bytes, ...]


READERS: dict[str, Reader] = {}


def reader(*seeds: bytes | str) -> Callable[[Read], Read]:
    """Register a reader under its own name."""

    def register(read: Read) -> Read:
        encoded = tuple(seed.encode() if isinstance(seed, str) else seed for seed in seeds)
        READERS[read.__name__] = Reader(read, encoded)
        return read

    return register


def _text(data: bytes) -> str:
    """Any text: what is no UTF-8 as the lone surrogates that Python's own readers make of it."""
    return data.decode("utf-8", "surrogateescape")


# --- What the seeds are ---------------------------------------------------------------------------

LEDGER = memory_ledger()
FIRST = LEDGER.append("TN1", {"proprietor": "Ada", "price": 1.5, "\u00e9\U0001f600": [None, True]})
SECOND = LEDGER.append(
    "TN1",
    {},
    message="sale",
    author="Di",
    reference="A-1",
    effective_at="1995-06-01",
    effective_until="1996",
)


def _bundle() -> bytes:
    out = io.BytesIO()
    LEDGER.export(out)
    return out.getvalue()


PACKED = make_pack(ORIGIN, [Packable("TN1", each.address, each.data) for each in (SECOND, FIRST)])
LEAF = Leaf("TN1", 1, FIRST.address).encode()
CHECKPOINT = Checkpoint(ORIGIN, 1, hash_leaf(LEAF))
NOTE = sign_note(CHECKPOINT.text, [(LOG_KEY, LOG)])
ADDRESS = FIRST.address.encode()
POLICY = (
    f"# max-age: 1d\nlog {LOG_KEY.vkey}\nwitness w {WITNESS_KEY.vkey} https://w.example/\n"
    "group g all w\ngroup h 1 g\nquorum h\n"
)
STATE = b"".join(
    state_file.lines_of(
        state_file.StateHeader(
            ORIGIN, (REGISTRAR.public_key.key_id,), "2026-11-23T10:00:00.000000Z", NOTE.decode()
        ),
        [
            state_file.RememberedTitle("TN1", 3, FIRST.address),
            state_file.RememberedTitle("TN2", 2, SECOND.address, vouched=False),
            state_file.RememberedTitle(
                "TN3", 2, FIRST.address, logged=1, since="2026-11-23T10:00:00.000000Z"
            ),
        ],
    )
)


# --- JSON, entries and what they travel in --------------------------------------------------------


@reader('{"a":[1,-0.0,1e-30,"\\u00e9\\ud83d\\ude00",null,true]}', b"[0.1]", FIRST.data)
def any_json(data: bytes) -> None:
    value = canonical.decode(data)
    assert canonical.load(canonical.encode(value)) == value


@reader('{"a":[1,0.5,1e-30,"\u00e9\U0001f600",null,true]}', SECOND.data)
def canonical_json(data: bytes) -> None:
    assert canonical.encode(canonical.load(data)) == data


@reader(FIRST.data, SECOND.data, FIRST.short, SECOND.short)
def entry(data: bytes) -> None:
    found = Entry.unverified(data)
    whole = {"entry": canonical.load(found.payload), "signature": _signature(found)}
    if not found.is_withheld:
        whole["text"] = canonical.load(found.text_bytes, depth=65)
    assert canonical.encode(whole, depth=66) == data == found.data
    assert holds_text(data) is not found.is_withheld
    assert found.without_text().data == found.short
    assert found.address == address_of(data) == hashlib.sha256(found.short).hexdigest()
    assert (parent_hint(data), version_hint(data)) == (found.parent, found.version)


def _signature(found: Entry) -> str:
    return b2a_base64(found.signature, newline=False).decode()


@reader(FIRST.data, SECOND.data, FIRST.short, SECOND.short)
def stored_entry(data: bytes) -> None:
    opened = Entry.open(data, keyring=KEYRING, ledger=ORIGIN, title_number="TN1")
    assert opened.data == data


@reader(FIRST.payload, SECOND.payload)
def signed_payload(payload: bytes) -> None:
    """A registrar can sign anything; what is no entry is refused all the same."""
    signature = b2a_base64(REGISTRAR.sign(signed_bytes(payload)), newline=False)
    stored_entry(b'{"entry":' + payload + b',"signature":"' + signature + b'"}')


@reader(_bundle())
def bundle(data: bytes) -> None:
    opened = BundleReader(io.BytesIO(data))
    found = [("bundle.json", opened.header.encode()), (layout.LEDGER_KEY, opened.ledger)]
    for section in opened.sections():
        found.append((layout.head_key(section.title_number), section.head))
        address = address_of(section.head)
        while (member := section.read(address)) is not None:
            found.append((layout.entry_key(section.title_number, address), member))
            address = parent_hint(member) or ""
    found += opened.log()
    assert b"".join(write_bundle(found)) == data


@reader(_bundle())
def verified_bundle(data: bytes) -> None:
    report = verify_bundle(io.BytesIO(data), KEYRING, NOW)
    if not report:
        raise MalformedError(str(report.findings))
    bundle(data)


@reader(_bundle())
def imported_bundle(data: bytes) -> None:
    target = memory_ledger()
    try:
        target.import_bundle(io.BytesIO(data))
    finally:
        assert target.fsck(), "whatever came in, what is there holds together"


@reader(PACKED[1])
def packed(data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    name = PackName("TN1", "TN1", len(data), digest)
    found = open_pack(name, data, ORIGIN)
    entries = [
        Packable(title, address, each)
        for title, entries in found.items()
        for address, each in entries.items()
    ]
    assert make_pack(ORIGIN, entries) == (name, data)


@reader(encode_identity(ORIGIN))
def identity(data: bytes) -> None:
    assert encode_identity(decode_identity(data)) == data


@reader(KEYRING.encode())
def keyring(data: bytes) -> None:
    found = Keyring.decode(data)
    assert Keyring.decode(found.encode()) == found


@reader(REGISTRAR.public_key.pem())
def public_key(data: bytes) -> None:
    found = PublicKey.from_pem(data)
    assert PublicKey.from_pem(found.pem()) == found


@reader(REGISTRAR.pem())
def private_key(data: bytes) -> None:
    found = PrivateKey.from_pem(data, b"passphrase")
    assert PrivateKey.from_pem(found.pem()).public_key == found.public_key


# --- The log --------------------------------------------------------------------------------------


@reader(NOTE)
def note(data: bytes) -> None:
    text, signatures = parse_unverified(data)
    assert (text + "\n").encode() + b"".join(each.encode() for each in signatures) == data


@reader(NOTE.rpartition(b"\n\n")[2])
def signature_lines(data: bytes) -> None:
    assert add_signatures(NOTE, data).startswith(NOTE)


@reader(CHECKPOINT.text)
def checkpoint(data: bytes) -> None:
    text = _text(data)
    found = Checkpoint.parse(text)
    assert found.text == text
    signed = sign_note(text, [(LOG_KEY, LOG)])
    assert open_checkpoint(signed, origin=ORIGIN, log_keys=[LOG.public_key]).checkpoint == found


@reader(CHECKPOINT.text, "a\n\nb\n")
def text_to_sign(data: bytes) -> None:
    text = _text(data)
    assert parse_unverified(sign_note(text, [(LOG_KEY, LOG)]))[0] == text


@reader(LOG_KEY.vkey, MLDSA_KEY.vkey)
def note_key(data: bytes) -> None:
    assert parse_log_key(_text(data)).vkey == _text(data)


@reader(WITNESS_KEY.vkey, MLDSA_KEY.vkey)
def witness_key(data: bytes) -> None:
    assert parse_witness_key(_text(data)).vkey == _text(data)


@reader(LOG.public_key.pem() + MLDSA.public_key.pem())
def public_keys(data: bytes) -> None:
    for key in read_public_keys(data):
        assert read_public_key(key.pem()) == key


@reader(Receipt(0, (), NOTE).encode(), Receipt(0, (b"a" * 32,), NOTE, b"extra").encode())
def receipt(data: bytes) -> None:
    found = Receipt.decode(data)
    assert found.encode() == data
    check_receipt(found, LEAF, origin=ORIGIN, log_keys=[LOG.public_key])


@reader(LEAF)
def leaf(data: bytes) -> None:
    assert Leaf.decode(data).encode() == data


@reader(POLICY, "quorum none\n")
def witness_policy(data: bytes) -> None:
    policy = WitnessPolicy.parse(data)
    signed = open_checkpoint(
        NOTE, origin=ORIGIN, log_keys=[LOG.public_key], witnesses=policy.witnesses
    )
    found = policy.judge(signed, NOW)
    assert found is None or found.message.encode()


@reader(cosign(CHECKPOINT, WITNESS_KEY, WITNESS, 1_795_000_000))
def cosignature_of_a_witness(data: bytes) -> None:
    reply = witness_reply(200, data)
    if not reply.lines:
        raise MalformedError(reply.problem)
    assert all(WITNESS_KEY.verify(CHECKPOINT.text, line.body) for line in reply.lines)
    assert all(line.encode() in data for line in reply.lines)


@reader(b"20852014\n", b"0\n")
def size_of_a_witness(data: bytes) -> None:
    reply = witness_reply(409, data)
    if reply.size is None:
        raise MalformedError(reply.problem)
    assert b"%d\n" % reply.size == data


def witness_reply(status: int, data: bytes) -> Reply:
    signed = open_checkpoint(NOTE, origin=ORIGIN, log_keys=[LOG.public_key])
    return read_answer(Answer(status, "text/x.tlog.size", "", data), signed, [WITNESS_KEY])


@reader(LogState(open_checkpoint(NOTE, origin=ORIGIN, log_keys=[LOG.public_key]),
                 Staging(0, "0" * 64)).encode())  # fmt: skip
def log_state(data: bytes) -> None:
    assert LogState.open(data, origin=ORIGIN, log_keys=[LOG.public_key]).encode() == data


@reader(SealedRecord(1, FIRST.address, (0,)).encode())
def sealed_record(data: bytes) -> None:
    assert SealedRecord.decode(data).encode() == data


@reader(encode_entries([LEAF, b"", b"x" * 300]))
def tile_of_entries(data: bytes) -> None:
    assert encode_entries(decode_entries(Tile(-1, 0, 3), data)) == data


@reader("tile/0/x001/x234/067.p/8", "tile/entries/000", "tile/63/x001/000")
def tile_path(data: bytes) -> None:
    tile = parse_tile(_text(data))
    assert tile.path == _text(data)
    layout.check_key(layout.tile_key(tile.path))


# --- What an audit remembers ----------------------------------------------------------------------


@reader(STATE)
def audit_state(data: bytes) -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        header = state_file.check_header(file, Path("state"), ORIGIN)
        titles = list(state_file.read_titles(file, Path("state")))
        state_file.check_whole(file, Path("state"))
    assert b"".join(state_file.lines_of(header, titles)) == data


@reader(STATE.rpartition(b'{"sha256"')[0])
def audit_state_with_its_digest(data: bytes) -> None:
    """Whoever changes the file can make its digest anew: still, it is read as it is written."""
    end = {"sha256": hashlib.sha256(data).hexdigest(), "titles": data.count(b"\n") - 1}
    audit_state(data + canonical.encode(end) + b"\n")


# --- Names and times ------------------------------------------------------------------------------


@reader("TN1234567", "A-1_2")
def title_number(data: bytes) -> None:
    text = _text(data)
    assert layout.check_title_number(text) == text
    assert layout.check_key(layout.head_key(text))


@reader(
    f"TN1/{FIRST.address}.json",
    layout.pending_key("TN1", 3, FIRST.address),
    layout.reference_key("A-1", "TN1", 2, SECOND.address),
    layout.pack_key(PACKED[0]),
    f"0-{FIRST.address}",
)
def object_key(data: bytes) -> None:
    text = _text(data)
    parsers: list[tuple[Callable[[str], Any], Callable[[Any], str]]] = [
        (layout.parse_entry_key, lambda found: layout.entry_key(*found)),
        (layout.parse_pending_key, lambda found: layout.pending_key(*found)),
        (layout.parse_pack_key, layout.pack_key),
        (Staging.parse, lambda found: found.name),
    ]
    for parse, spell in parsers:
        found = parse(text)
        assert found is None or spell(found) == layout.check_key(text)
    layout.check_key(text)


@reader("HEAD~2^", "v3", "@{2026-01-31T10:00:00+01:00}~1", ADDRESS[:9])
def revision(data: bytes) -> None:
    found = parse_revision(_text(data))
    assert found.back >= 0
    assert sum(part is not None for part in (found.version, found.prefix, found.time)) <= 1


@reader("2026-11-23T10:00:00.000000Z", "2026-01-31", "0001-01-01T00:00:00+01:00")
def moment(data: bytes) -> None:
    text = _text(data)
    found = times.parse_time(text)
    assert times.is_recorded_time(text) == (times.format_time(found) == text)
