"""Tiles: the log as files that never change (c2sp.org/tlog-tiles).

::

    tile/<level>/<index>[.p/<width>]     up to 256 hashes of subtrees of 256^level leaves
    tile/entries/<index>[.p/<width>]     up to 256 leaves, a 16-bit length before each

The index is written as ``x001/x234/067``. A tile of fewer than 256 is partial: it is at the right
edge of the tree that a checkpoint was made for, and has another name than the full tile will have,
so that no file is ever written twice. Nothing here opens a file: ``ReadTiles`` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ledger.errors import IntegrityError, InvalidError, MalformedError
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    MAX_SIZE,
    ReadHashes,
    Subtree,
    hash_leaf,
    root_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HEIGHT = 8
WIDTH = 1 << HEIGHT
"""How many hashes, or leaves, a full tile has."""

ENTRIES = -1
"""The level of the tiles that hold the leaves themselves."""

MAX_LEAF_BYTES = 2**16 - 1

PATH = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of a tile: ``level`` is from 0 to 63, or ``ENTRIES``; ``width`` from 1 to 256."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where the tile is, below the log's prefix: ``tile/0/x001/x234/067.p/8``."""
        level = "entries" if self.level == ENTRIES else self.level
        groups = f"{self.index:,}".split(",")  # in thousands
        number = "/".join([f"x{group:0>3}" for group in groups[:-1]] + [f"{groups[-1]:0>3}"])
        return f"tile/{level}/{number}" + ("" if self.width == WIDTH else f".p/{self.width}")

    @property
    def full(self) -> Tile:
        """What this tile becomes when it is full."""
        return Tile(self.level, self.index)


ReadTiles: TypeAlias = Callable[[Sequence[Tile]], Iterable[bytes]]
"""Answers the bytes of tiles, in the order asked for.

A log may remove partial tiles that are full by now: if one is gone, ``cut_tile`` makes it of the
full one.
"""


def parse_tile(path: str) -> Tile:
    """The tile at a path; raises MalformedError for every other text."""
    match = PATH.fullmatch(path)
    if match:
        level, groups, width = match.groups()
        index = int(re.sub("[x/]", "", groups))
        tile = Tile(ENTRIES if level == "entries" else int(level), index, int(width or WIDTH))
        # One spelling each: no needless x000, no leading zero, no .p/256.
        if tile.path == path and 0 < tile.width <= WIDTH and index <= MAX_SIZE // WIDTH:
            return tile
    raise MalformedError(f"not the path of a tile: {path!a:.120}")


def unfinished_tiles(size: int) -> list[Tile]:
    """The partial tiles of a tree: that of the entries, then those of hashes, the lowest first."""
    tiles = [Tile(ENTRIES, size // WIDTH, size % WIDTH)]
    level = 0
    while size:
        tiles.append(Tile(level, size // WIDTH, size % WIDTH))
        size //= WIDTH
        level += 1
    return [tile for tile in tiles if tile.width]


def entries_tiles(size: int, start: int = 0) -> Iterator[Tile]:
    """The tiles that hold the leaves of a tree from ``start`` to the end, in order."""
    for first in range(start - start % WIDTH, size, WIDTH):
        yield Tile(ENTRIES, first // WIDTH, min(WIDTH, size - first))


def check_tile(tile: Tile, data: bytes) -> bytes:
    """Return the bytes of a tile of hashes, or raise MalformedError if there are more or less."""
    if len(data) != tile.width * HASH_BYTES:
        raise MalformedError(
            f"{tile.path} has {len(data)} bytes, expected {tile.width * HASH_BYTES}"
        )
    return data


def cut_tile(tile: Tile, data: bytes) -> bytes:
    """The bytes of a partial tile, from those of the full one; raises MalformedError."""
    if tile.level == ENTRIES:
        return encode_entries(decode_entries(tile.full, data)[: tile.width])
    return check_tile(tile.full, data)[: tile.width * HASH_BYTES]


def encode_entries(leaves: Iterable[bytes]) -> bytes:
    """The bytes of a tile of these leaves; raises InvalidError for a leaf over 65,535 bytes."""
    return b"".join(_prefixed(leaf) for leaf in leaves)


def decode_entries(tile: Tile, data: bytes) -> list[bytes]:
    """The leaves in a tile of entries; raises MalformedError if there are more or less."""
    leaves: list[bytes] = []
    at = 0
    while at < len(data) and len(leaves) < tile.width:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data):
            break
        leaves.append(data[at + 2 : end])
        at = end
    if at != len(data) or len(leaves) != tile.width:
        raise MalformedError(f"{tile.path} does not hold exactly {tile.width} leaves")
    return leaves


def _prefixed(leaf: bytes) -> bytes:
    if len(leaf) > MAX_LEAF_BYTES:
        raise InvalidError(f"a leaf of {len(leaf)} bytes; at most {MAX_LEAF_BYTES}")
    return len(leaf).to_bytes(2, "big") + leaf


# -- Reading hashes ------------------------------------------------------------------------------


def hash_reader(size: int, read: ReadTiles) -> ReadHashes:
    """Reads hashes out of the tiles of a tree of ``size`` leaves, each tile once a call.

    The hashes are what the tiles say. Whoever makes a proof or a root of them compares it with the
    root of a checkpoint. Raises MalformedError for a tile of the wrong length.
    """

    def read_hashes(subtrees: Sequence[Subtree]) -> list[bytes]:
        places = [_place(subtree, size) for subtree in subtrees]
        tiles = list(dict.fromkeys(tile for tile, _, _ in places))
        data = dict(zip(tiles, read(tiles), strict=True))
        for tile in tiles:
            check_tile(tile, data[tile])
        return [root_of(data[tile][start:end]) for tile, start, end in places]

    return read_hashes


def _place(subtree: Subtree, size: int) -> tuple[Tile, int, int]:
    """The tile of a full subtree, and where in it the hashes are that it is made of."""
    level, height = divmod(subtree.level, HEIGHT)
    first = subtree.index << height
    index = first // WIDTH
    width = min(WIDTH, (size >> HEIGHT * level) - index * WIDTH)
    start = first % WIDTH
    count = 1 << height
    if start + count > width:
        raise InvalidError(f"a tree of {size} leaves has no full {subtree}")
    return Tile(level, index, width), start * HASH_BYTES, (start + count) * HASH_BYTES


# -- Writing tiles -------------------------------------------------------------------------------


class TileBuilder:
    """Makes tiles of leaves as they come; keeps the unfinished ones, at most one a level.

    ::

        builder = TileBuilder()
        for leaf in leaves:
            for tile, data in builder.append(leaf):
                write(tile.path, data)
        for tile, data in builder.unfinished():
            write(tile.path, data)
        checkpoint = Checkpoint(origin, builder.size, builder.root())
    """

    def __init__(self) -> None:
        self.size: int = 0
        self._entries = bytearray()
        self._rows: list[bytearray] = []

    @classmethod
    def resume(cls, size: int, tiles: Iterable[bytes], root: bytes) -> TileBuilder:
        """Go on with a log of this size and root, from the bytes of its ``unfinished_tiles``.

        Raises IntegrityError, its reason ``wrong-root``, if these tiles are not that tree's.
        """
        builder = cls()
        builder.size = size
        level, above = 0, size
        while above:
            builder._rows.append(bytearray())
            level, above = level + 1, above // WIDTH
        for tile, data in zip(unfinished_tiles(size), tiles, strict=True):
            if tile.level == ENTRIES:
                builder._entries += data
            else:
                builder._rows[tile.level] += check_tile(tile, data)
        builder._check_entries()
        if builder.root() != root:
            raise IntegrityError(
                f"the tiles of {size} leaves do not lead to the checkpoint's root",
                reason="wrong-root",
            )
        return builder

    def _check_entries(self) -> None:
        tile = Tile(ENTRIES, self.size // WIDTH, self.size % WIDTH)
        hashes = b"".join(hash_leaf(leaf) for leaf in decode_entries(tile, bytes(self._entries)))
        if hashes != (self._rows[0] if self._rows else b""):
            raise IntegrityError(
                f"the leaves in {tile.path} do not have the hashes that the tree has",
                reason="wrong-root",
                object_key=tile.path,
            )

    def append(self, leaf: bytes) -> list[tuple[Tile, bytes]]:
        """Add a leaf; the tiles that are full now, with their bytes: mostly none."""
        self._entries += _prefixed(leaf)
        full = []
        if self.size % WIDTH == WIDTH - 1:
            full.append((Tile(ENTRIES, self.size // WIDTH), bytes(self._entries)))
            self._entries.clear()
        self.size += 1
        level, above = 0, hash_leaf(leaf)
        while self._push(level, above):
            data = bytes(self._rows[level])
            self._rows[level].clear()
            level, above = level + 1, root_of(data)
            full.append((Tile(level - 1, (self.size >> HEIGHT * level) - 1), data))
        return full

    def _push(self, level: int, above: bytes) -> bool:
        """Add a hash to a row; whether the row is full."""
        if level == len(self._rows):
            self._rows.append(bytearray())
        self._rows[level] += above
        return len(self._rows[level]) == WIDTH * HASH_BYTES

    def unfinished(self) -> list[tuple[Tile, bytes]]:
        """The partial tiles of the tree as it is now, with their bytes."""
        tiles = unfinished_tiles(self.size)
        return [
            (tile, bytes(self._entries if tile.level == ENTRIES else self._rows[tile.level]))
            for tile in tiles
        ]

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        root = b""
        for row in self._rows:
            hashes = bytes(row) + root  # what is below comes last: it is no full subtree
            root = root_of(hashes) if hashes else b""
        return root or EMPTY_ROOT
