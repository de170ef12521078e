"""The scripts of docs/how-to/verify-by-hand.md accept what the library wrote, and nothing else.

That the page's own session works is for ``test_docs`` to say; here its scripts meet tampering.
"""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger
from ledger.format.entry import Entry
from ledger.testing import ORIGIN, FixedClock, keyring_for, signer
from tests.format.make_vectors import wrap
from tests.test_docs import ROOT, TOOLS, blocks, has, saved_as

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "verify-by-hand.md"
TITLE = "TN1234567"


pytestmark = [
    pytest.mark.skipif(not has(tool), reason=f"needs {tool}") for tool in TOOLS[PAGE.name]
]


class Store:
    """A folder store with one title of four versions, and the scripts beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for block in blocks(PAGE):
            name = saved_as(block)
            if name:
                (folder / name).write_text(block.text)
        self.key = folder / "registrar.pem"
        self.key.write_bytes(signer().public_key.pem())
        self.clock = FixedClock()
        self.title = folder / "titles" / TITLE
        with Ledger.create(
            str(folder / "titles"),
            origin=ORIGIN,
            keyring=keyring_for(signer(), signer("bob")),
            signer=signer(),
            clock=self.clock,
        ) as ledger:
            documents = [
                {},
                {"name": "Żółta\x7f\u2028"},
                {"price": 0.5},
                {"text": "a\\n\"b'$(x)%s"},
            ]
            for document in documents:
                self.clock.forward(hours=1)
                ledger.append(TITLE, document, message="a change")
            self.entries = list(ledger.log(TITLE))[::-1]

    def file(self, version: int) -> Path:
        return self.title / f"{self.entries[version - 1].address}.json"

    def check_entry(self, file: Path, key: Path | None = None) -> bool:
        return self._succeeds("verify-entry.sh", str(file), str(key or self.key))

    def check_chain(self, pin: str = "", origin: str = ORIGIN) -> bool:
        return self._succeeds("verify-chain.sh", str(self.title), str(self.key), origin, pin)

    def _succeeds(self, script: str, *arguments: str) -> bool:
        command = ["sh", str(self.folder / script), *arguments]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    def put(self, data: bytes, *, head: bool = False) -> Path:
        """Store bytes under the address that is theirs."""
        file = self.title / f"{hashlib.sha256(data).hexdigest()}.json"
        file.write_bytes(data)
        if head:
            (self.title / "head.json").write_bytes(data)
        return file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_every_entry_passes(store: Store) -> None:
    for version in range(1, 5):
        assert store.check_entry(store.file(version))


def test_the_chain_passes_with_a_pin_and_without(store: Store) -> None:
    assert store.check_chain()
    assert store.check_chain(store.entries[1].address)


@pytest.mark.parametrize("step", [97, pytest.param(23, marks=pytest.mark.slow)])
def test_a_changed_byte_fails_wherever_it_is(store: Store, step: int) -> None:
    file = store.file(3)
    data = file.read_bytes()
    for position in range(0, len(data), step):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        file.write_bytes(changed)
        assert not store.check_entry(file), f"byte {position} (under the old name)"
        assert not store.check_entry(store.put(changed)), f"byte {position} (under its own name)"


@pytest.mark.slow
def test_a_changed_entry_fails_the_chain(store: Store) -> None:
    file = store.file(2)
    file.write_bytes(file.read_bytes().replace(b"a change", b"a chance"))
    assert not store.check_chain()


@pytest.mark.slow
def test_a_missing_entry_fails_the_chain(store: Store) -> None:
    store.file(1).unlink()
    assert not store.check_chain()


def test_another_key_fails(store: Store) -> None:
    other = store.folder / "other.pem"
    other.write_bytes(signer("bob").public_key.pem())
    assert not store.check_entry(store.file(1), other)


def test_a_signature_over_other_bytes_fails(store: Store) -> None:
    payload = store.entries[0].payload
    assert not store.check_entry(store.put(wrap(payload, signer().sign(payload))))


@pytest.mark.slow
def test_another_ledger_fails(store: Store) -> None:
    assert not store.check_chain(origin="example.org/others")


def test_a_rollback_passes_without_a_pin_and_fails_with_one(store: Store) -> None:
    (store.title / "head.json").write_bytes(store.entries[2].data)
    assert store.check_chain()
    assert not store.check_chain(store.entries[3].address)


@pytest.mark.slow
def test_time_going_back_fails(store: Store) -> None:
    early = Entry.sign(
        signer(),
        ledger=ORIGIN,
        title_number=TITLE,
        document={},
        recorded_at="2020-01-01T00:00:00.000000Z",
        parent=store.entries[-1],
    )
    store.put(early.data, head=True)
    assert not store.check_chain()
