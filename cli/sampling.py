"""Choose the titles to verify: those named in a file, or a random sample."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from cli.inputs import read_input
from ledger import InvalidError
from ledger.format.layout import check_title_number, head_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Sample(NamedTuple):
    """Titles drawn from ``total`` titles, in order, and the seed that draws them again."""

    titles: list[str]
    total: int
    seed: str


def draw(titles: Iterable[str], size: int, seed: str | None = None) -> Sample:
    """Draw titles so that anybody can draw the same ones again, even with other tools.

    They are the titles with the smallest sha256 of "SEED TITLE". If nobody could foresee the seed,
    each title is equally likely. A new title does not change the order of the others.
    """
    from heapq import nsmallest  # noqa: PLC0415 -- only for this
    from secrets import token_hex  # noqa: PLC0415

    seed = token_hex(8) if seed is None else seed
    total = 0

    def counted() -> Iterator[str]:
        nonlocal total
        for title_number in titles:
            total += 1
            yield title_number

    def lot(title_number: str) -> bytes:
        return hashlib.sha256(f"{seed} {title_number}".encode()).digest()

    drawn = sorted(nsmallest(size, counted(), key=lot), key=head_key)
    return Sample(drawn, total, seed)


def read_titles(file: str) -> list[str]:
    """Read the titles in a file, one per line; return each once, in order. ``-`` is stdin.

    Skips blank lines and lines that begin with ``#``.
    """
    data = read_input(file)
    found = set()
    for number, line in enumerate(data.decode("utf-8", "backslashreplace").split("\n"), 1):
        text = line.strip(" \t\r")
        if text and not text.startswith("#"):
            try:
                found.add(check_title_number(text))
            except InvalidError as error:
                raise InvalidError(f"{file}, line {number}: {error}", hint=error.hint) from None
    if not found:
        raise InvalidError(f"{file} names no title", hint="write one title number per line")
    return sorted(found, key=head_key)
