"""Feeding a reader: what may come out of it, and what is kept of what may not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from tests.fuzz.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Iterable

CASES = Path(__file__).with_name("cases")
"""A folder for each reader, in it the bytes that went wrong once."""


def feed(name: str, data: bytes) -> bool:
    """Whether the reader accepts these bytes; whatever else it does than refuse them is raised."""
    try:
        READERS[name].read(data)
    except LedgerError:
        return False
    return True


def cases(name: str) -> list[bytes]:
    """What the reader once got wrong."""
    return [path.read_bytes() for path in sorted((CASES / name).glob("*"))]


def keep(name: str, data: bytes) -> Path:
    """Keep bytes that the reader gets wrong, so that every run of the tests tries them."""
    folder = CASES / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def feed_all(name: str, inputs: Iterable[bytes]) -> tuple[int, int]:
    """Feed a reader with all of these: how many there were, and how many of them it accepted."""
    count = accepted = 0
    for data in inputs:
        count += 1
        try:
            accepted += feed(name, data)
        except Exception as error:
            error.add_note(f"{name} of {data[:200]!r}; kept in {keep(name, data)}")
            raise
    return count, accepted
