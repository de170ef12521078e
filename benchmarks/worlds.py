"""What is measured upon: documents of 2,048 bytes, and ledgers full of them.

Large ledgers are written straight, as appending durably would take longer than all the rest. The
bytes are those that appending writes, but for the markers, which verification does not read.
"""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ledger import Ledger
from ledger.format import canonical
from ledger.format.entry import Entry, signed_bytes
from ledger.format.layout import entry_key, head_key
from ledger.local.parallel import cores
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, keyring_for, signer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ledger import Report, Store
    from ledger.format.canonical import JSONValue

KEY = signer()
OPENSSL_KEY = cast("Ed25519PrivateKey", load_pem_private_key(KEY.pem(), None))
"""The same key, as most software that is written in Python signs with it."""
KEYRING = keyring_for(KEY)
RECORDED_AT = "2026-01-01T10:00:00.000000Z"
DOCUMENT_BYTES = 2048
VERSIONS = 5
"""How many versions each of many titles has."""


def document(number: int) -> dict[str, JSONValue]:
    """A title of a real one's size: 2,048 bytes of canonical JSON, others for each number."""
    found: dict[str, JSONValue] = {
        "address": {"street": f"{number} Żółta", "town": "Bury St Edmunds", "postcode": "IP33 1AA"},
        "charges": [
            {"lender": f"Lender {n} plc", "rank": n, "registered": f"20{n:02}-03-01", "open": n > 3}
            for n in range(1, 9)
        ],
        "number": number,
        "price_paid": 250_000 + number,
        "proprietors": [
            {"name": name, "share": "1/2", "since": "2019-07-15"}
            for name in ("Ada Lovelace", "Grace Hopper")
        ],
        "tenure": "freehold",
        "text": "",
    }
    found["text"] = ("The land shown edged red on the plan. " * 60)[
        : DOCUMENT_BYTES - len(canonical.encode(found))
    ]
    assert len(canonical.encode(found)) == DOCUMENT_BYTES
    return found


def title(number: int) -> str:
    return f"TN{number:07}"


class Signature(NamedTuple):
    """What a bare signature check is given."""

    signature: bytes
    data: bytes
    joined: bytes
    """Signature and data, as libsodium takes them."""


def signature_of(entry: Entry) -> Signature:
    data = signed_bytes(entry.payload)
    return Signature(entry.signature, data, entry.signature + data)


def chain(title_number: str, versions: int) -> Iterator[Entry]:
    """The entries of a title, oldest first."""
    parent = None
    for number in range(versions):
        parent = Entry.sign(
            KEY,
            ledger=ORIGIN,
            title_number=title_number,
            document=document(number),
            recorded_at=RECORDED_AT,
            parent=parent,
            salt=random.Random(f"{title_number} {number}").randbytes(32),
        )
        yield parent


def objects(title_number: str, versions: int) -> Iterator[tuple[str, bytes]]:
    """All that a store holds of a title."""
    entry = None
    for entry in chain(title_number, versions):
        yield entry_key(title_number, entry.address), entry.data
    if entry is not None:
        yield head_key(title_number), entry.data


def new_ledger(store: str | Store) -> Ledger:
    return Ledger.create(store, origin=ORIGIN, keyring=KEYRING, signer=KEY)


def open_ledger(store: str | Store) -> Ledger:
    return Ledger.open(store, keyring=KEYRING, signer=KEY)


def check(report: Report, entries: int) -> None:
    """See that all of it was verified: what fails sooner is fast for nothing."""
    if not report or report.entries != entries:
        found = [finding.message for finding in report.findings[:3]]
        raise AssertionError(f"{report.entries} of {entries} entries were verified: {found}")


def filled(store: Store, titles: int, versions: int) -> Ledger:
    """A ledger in this store, full through its own ``create_many``."""
    ledger = new_ledger(store)
    for number in range(titles):
        store.create_many(objects(title(number), versions))
    return ledger


def memory(titles: int, versions: int) -> Ledger:
    return filled(MemoryStore(), titles, versions)


def folder(path: Path, titles: int, versions: int) -> Path:
    """A ledger in a folder, written on all cores and not forced to the disk."""
    new_ledger(str(path)).close()
    write = partial(_write_title, path, versions)
    if titles < 100:
        _exhaust(map(write, range(titles)))
    else:
        with ProcessPoolExecutor(cores()) as pool:
            _exhaust(pool.map(write, range(titles), chunksize=50))
    return path


def _write_title(path: Path, versions: int, number: int) -> None:
    (path / title(number)).mkdir()
    for key, data in objects(title(number), versions):
        (path / key).write_bytes(data)


def _exhaust(results: Iterable[object]) -> None:
    for _ in results:
        pass
