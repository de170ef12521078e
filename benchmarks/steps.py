"""What one entry costs, step by step, on a machine that does other work as well.

Every step is timed for each entry by itself, in turns, and the least of all rounds counts: no other
program is awake in the shortest. A step by itself finds all that it needs in the processor's
caches, so the steps come to less than the whole.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from typing import TYPE_CHECKING

import msgspec
import nacl.bindings

from benchmarks import worlds
from benchmarks.harness import Table, duration, number
from ledger.format import canonical
from ledger.format.entry import MAX_DEPTH, Entry
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Size

    Steps = dict[str, Callable[[Entry], object]]

ALONE = "all calls of C that it takes, and no rule"
CHECK, SIGN = "libsodium, the signature alone", "OpenSSL, the signature alone"

SPELL = msgspec.json.Encoder(order="deterministic").encode


def run(size: Size) -> Iterator[Table]:
    entries = list(worlds.chain("TN1", size.entries))
    yield measure("Verifying one entry", verifying(entries), entries, size.rounds, than=CHECK)
    yield measure("Appending one entry", appending(entries), entries, size.rounds, than=SIGN)


def verifying(entries: list[Entry]) -> Steps:
    key = worlds.KEY.public_key
    signed = {each.address: worlds.signature_of(each) for each in entries}
    texts = {each.address: each.text_bytes for each in entries}

    def judge(entry: Entry, data: bytes) -> Entry:
        return Entry.judge(
            data,
            keyring=worlds.KEYRING,
            ledger=ORIGIN,
            title_number=entry.title_number,
            address=entry.address,
        )

    def least(entry: Entry) -> bytes:
        hashlib.sha256(shorts[entry.address]).hexdigest()
        hashlib.sha256(texts[entry.address]).hexdigest()
        key.verify(*signed[entry.address][:2])
        return SPELL(msgspec.json.decode(entry.data))

    shorts = {each.address: each.short for each in entries}
    return {
        CHECK: lambda each: nacl.bindings.crypto_sign_open(signed[each.address].joined, key.raw),
        "the same, as the ledger calls it": lambda each: key.verify(*signed[each.address][:2]),
        "sha256 of the text": lambda each: hashlib.sha256(texts[each.address]).hexdigest(),
        "sha256 of the short form": lambda each: hashlib.sha256(shorts[each.address]).hexdigest(),
        "reading JSON that is canonical": lambda each: canonical.load(each.data, depth=MAX_DEPTH),
        ALONE: least,
        "an entry, its text withheld": lambda each: judge(each, shorts[each.address]),
        "an entry": lambda each: judge(each, each.data),
    }


def appending(entries: list[Entry]) -> Steps:
    signed = {each.address: worlds.signature_of(each).data for each in entries}
    documents = {each.address: each.document for each in entries}
    ledger = worlds.new_ledger(MemoryStore())

    def sign(entry: Entry) -> Entry:
        return Entry.sign(
            worlds.KEY,
            ledger=ORIGIN,
            title_number=entry.title_number,
            document=documents[entry.address],
            recorded_at=worlds.RECORDED_AT,
            salt=bytes(32),
            parent=entry,
        )

    def least(entry: Entry) -> str:
        text = SPELL(documents[entry.address]) + os.urandom(32)
        hashlib.sha256(text).hexdigest()
        worlds.KEY.sign(signed[entry.address])
        return hashlib.sha256(shorts[entry.address]).hexdigest()

    shorts = {each.address: each.short for each in entries}
    return {
        SIGN: lambda each: worlds.OPENSSL_KEY.sign(signed[each.address]),
        "libsodium, the same, as the ledger calls it": lambda each: worlds.KEY.sign(
            signed[each.address]
        ),
        "the document's canonical JSON": lambda each: canonical.encode(documents[each.address]),
        ALONE: least,
        "an entry, made and signed": sign,
        "ledger.append": lambda each: ledger.append("TN1", documents[each.address]),
        **_peer(documents),
    }


def _peer(documents: dict[str, canonical.JSONValue]) -> Steps:
    try:
        from benchmarks.peers_tuf import Dsse
    except ModuleNotFoundError:
        return {}
    peer = Dsse()
    return {peer.name: lambda each: peer.append([documents[each.address]])}


def measure(title: str, steps: Steps, entries: list[Entry], rounds: int, *, than: str) -> Table:
    least = {name: [float("inf")] * len(entries) for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            for place, entry in enumerate(entries):
                start = time.perf_counter()
                step(entry)
                took = time.perf_counter() - start
                least[name][place] = min(took, least[name][place])
    found = {name: statistics.median(times) for name, times in least.items()}
    rows = [(name, duration(took), number(found[than] / took)) for name, took in found.items()]
    return Table(title, ("", "least each", "speed, of the signature alone"), rows)
