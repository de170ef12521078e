"""What appending costs beyond a signature in memory, and beyond three durable files on a disk."""

from __future__ import annotations

import os
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import worlds
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table
from ledger.stores import MemoryStore
from ledger.titles.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table
    from ledger import Ledger

OPENSSL, SODIUM = "OpenSSL, signing alone", "libsodium, signing alone"
MEMORY = "ledger.append"
FILES, SINGLE, BATCH = "three files, forced to the disk", "ledger.append", "ledger.append_many"


def run(size: Size) -> Iterator[Table]:
    yield from in_memory(size)
    with tempfile.TemporaryDirectory() as scratch:
        yield from in_a_folder(Path(scratch), size)


def in_memory(size: Size) -> Iterator[Table]:
    """One title grows; what is signed alone are the same bytes, ready-made."""
    documents = [worlds.document(number) for number in range(size.entries)]
    inputs = [worlds.signature_of(entry).data for entry in worlds.chain("TN1", size.entries)]

    def openssl() -> None:
        for data in inputs:
            worlds.OPENSSL_KEY.sign(data)

    def sodium() -> None:
        for data in inputs:
            worlds.KEY.sign(data)

    def append() -> float:
        ledger = worlds.new_ledger(MemoryStore())
        start = time.perf_counter()
        for document in documents:
            ledger.append("TN1", document)
        return time.perf_counter() - start

    cases = [
        Case(name, size.entries, work)
        for name, work in ((OPENSSL, openssl), (SODIUM, sodium), (MEMORY, append))
    ]
    times = take_turns(cases, size.rounds)
    yield times_table(f"Appending {size.entries:,} versions to a title in memory", times)
    claims = [Claim(MEMORY, OPENSSL, 0.6), Claim(MEMORY, SODIUM)]
    yield claims_table("Appending in memory against a bare signature", times, claims)


def in_a_folder(scratch: Path, size: Size) -> Iterator[Table]:
    """Each of many titles gets its next version, again and again, as on a day at a registry."""
    titles = [worlds.title(number) for number in range(size.entries)]
    ledger = worlds.new_ledger(str(scratch / "titles"))
    for title in titles:
        ledger.append(title, worlds.document(0))
        (scratch / "bare" / title).mkdir(parents=True)
    (scratch / "bare" / "_pending").mkdir()
    data = ledger.head(titles[0]).data
    numbers = count(1)

    def files() -> None:
        number = next(numbers)
        for title in titles:
            three_files(scratch / "bare", title, number, data)

    def single() -> None:
        document = worlds.document(next(numbers))
        for title in titles:
            ledger.append(title, document)

    def batch() -> None:
        append_batch(ledger, titles, next(numbers))

    cases = [
        Case(name, size.entries, work)
        for name, work in ((FILES, files), (SINGLE, single), (BATCH, batch))
    ]
    times = take_turns(cases, size.rounds)
    yield times_table(f"The next version of {size.entries:,} titles in a folder", times)
    claims = [Claim(SINGLE, FILES, at_most=1.3), Claim(BATCH, SINGLE, at_least=2.5)]
    yield claims_table("Appending in a folder against bare files", times, claims)


def append_batch(ledger: Ledger, titles: list[str], number: int) -> None:
    document = worlds.document(number)
    for outcome in ledger.append_many(Draft(title, document) for title in titles):
        assert outcome.appended, outcome.error


def three_files(root: Path, title: str, number: int, data: bytes) -> None:
    """The least that an append has to make durable: an entry, a marker, a head."""
    create_file(root / title / f"{number}.json", data)
    create_file(root / "_pending" / f"{title}.{number}", b"")
    create_file(root / title / f"{number}-head.json", data)


def create_file(path: Path, data: bytes) -> None:
    """Write a file whole under another name, force it to the disk, link it, force the folder."""
    temporary = f"{path}.tmp"
    write_file(temporary, data)
    os.link(temporary, path)
    Path(temporary).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def write_file(path: str, data: bytes) -> None:
    """Write a file and force its bytes to the disk."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(file, data)
    os.fsync(file)
    os.close(file)
