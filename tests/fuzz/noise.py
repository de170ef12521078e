"""Noise for readers: accepted bytes with a few changes, the same for the same seed."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ODD = (
    *(b"\n", b"\n\n", b" ", b"\t", b"\r\n", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"0", b"-", b"00", b"1e400", b"1e5", b"-0", b"0.1", b"9" * 20, b"9007199254740993", b"NaN"),
    *(b'"', b"\\ud800", b"\\u0041", b"\\/", b"{}", b"[]", b"[" * 70, b",", b'"":1', b"null"),
    *(b"true", b"/", b"../", b"~", b"^", b"+", b"=", b"--", b":", b"%00", b"A" * 33, b"json"),
    *(
        "é".encode(),
        "\N{EM DASH} ".encode(),
        "\u202e\U0001f600".encode(),
        "\N{ARABIC-INDIC DIGIT ONE}".encode(),
    ),
)
NUMBER = re.compile(rb"[0-9]+")


def noise(seeds: Sequence[bytes], seed: str, count: int) -> Iterator[bytes]:
    """The seeds, and ``count`` variations of them."""
    yield from seeds
    draw = random.Random(seed)
    for _ in range(count):
        data = draw.choice(seeds)
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            data = _changed(draw, data, seeds)
        yield data


def _changed(draw: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + draw.choice((0, 0, 1, 1, 4, 64, 512)))
    match draw.randrange(7):
        case 0:
            return data[:start] + draw.choice(ODD) + data[end:]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:end] + data[start:]
        case 3:
            return data[:start] + draw.randbytes(min(end - start, 8) or 1) + data[end:]
        case 4:
            other = draw.choice(seeds)
            return data[:start] + other[draw.randrange(len(other) + 1) :]
        case 5:
            numbers = list(NUMBER.finditer(data))
            return _renumbered(draw, data, draw.choice(numbers)) if numbers else data[:start]
        case _:
            bit = 1 << draw.randrange(8)
            return data[:start] + bytes(each ^ bit for each in data[start : start + 1]) + data[end:]


def _renumbered(draw: random.Random, data: bytes, number: re.Match[bytes]) -> bytes:
    power = 1 << draw.choice((0, 8, 16, 31, 32, 53, 63, 64))
    value = draw.choice((0, power, power - 1, -power, power + 1))
    return data[: number.start()] + str(value).encode() + data[number.end() :]
