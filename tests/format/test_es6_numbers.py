"""RFC 8785's numbers: the published checksums of millions of doubles, printed as ECMAScript does.

The sequence is that of the RFC's test data (cyberphone/json-canonicalization, testdata/README.md):
edge cases, 2,000 of the smallest normal numbers, then what sha256 of sha256 of … gives.
``LEDGER_ES6_LINES=10000000`` runs the ten million, or as many as it says; CI runs 100,000.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rfc8785

from ledger import InvalidError
from ledger.format.canonical import MAX_INTEGER, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

EDGES = Path(__file__).parents[1] / "vectors" / "es6-edges.txt"
SMALLEST_NORMAL = 0x0010000000000000
WANTED = os.environ.get("LEDGER_ES6_LINES")
CHECKSUMS = {
    10_000: "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892",
    100_000: "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7",
    1_000_000: "49415fee2c56c77864931bd3624faad425c3c577d6d74e89a83bc725506dad16",
    10_000_000: "b9f8a44a91d46813b21b9602e72f112613c91408db0b8341fb94603d9db135e0",
}


def random_doubles() -> Iterator[int]:
    block = bytes(32)
    while True:
        block = hashlib.sha256(block).digest()
        for bits in struct.unpack("<4Q", block):
            value = double(bits)
            if value and math.isfinite(value):
                yield bits


def double(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


def sequence() -> Iterator[int]:
    edges = (int(line, 16) for line in EDGES.read_text().split())
    return chain(edges, range(SMALLEST_NORMAL, SMALLEST_NORMAL + 2000), random_doubles())


def printed(value: float) -> bytes:
    """As a document prints it; numbers that not every reader could keep are in none."""
    try:
        return encode(value)
    except InvalidError:
        assert abs(value) > MAX_INTEGER
        return rfc8785.dumps(value)


def check(lines: int) -> None:
    whole = hashlib.sha256()
    for bits in islice(sequence(), lines):
        whole.update(b"%x,%s\n" % (bits, printed(double(bits))))
    assert whole.hexdigest() == CHECKSUMS[lines]


def test_ten_thousand_numbers_have_the_published_checksum() -> None:
    check(10_000)


@pytest.mark.slow
def test_a_hundred_thousand_numbers_have_the_published_checksum() -> None:
    check(100_000)


@pytest.mark.skipif(not WANTED, reason="LEDGER_ES6_LINES says how many")
def test_as_many_numbers_as_are_asked_for_have_the_published_checksum() -> None:
    check(int(WANTED or 0))
