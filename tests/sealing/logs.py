"""A log in a dictionary: every file that it ever wrote, and its root at every checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.tlog import EMPTY_ROOT, Leaf, TileBuilder
from ledger.tlog.tiles import hash_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.tlog import ReadHashes, Tile

# From one tile to several levels of them, one below, at and above each boundary.
SIZES = [1, 2, 255, 256, 257, 512, 513, 65_535, 65_536, 65_537, 70_000]


def leaf(index: int) -> bytes:
    return Leaf(f"TN{index // 3}", index % 3 + 1, f"{index:064x}").encode()


class Log:
    def __init__(self, sizes: Iterable[int]) -> None:
        self.files: dict[str, bytes] = {}
        self.roots = {0: EMPTY_ROOT}
        self.size = 0
        builder = TileBuilder()
        for size in sizes:
            for index in range(self.size, size):
                for tile, data in builder.append(leaf(index)):
                    self.create(tile, data)
            for tile, data in builder.unfinished():
                self.create(tile, data)
            self.roots[size] = builder.root()
            self.size = size

    def create(self, tile: Tile, data: bytes) -> None:
        assert self.files.setdefault(tile.path, data) == data, "a file is written once"

    def read(self, tiles: Sequence[Tile]) -> list[bytes]:
        return [self.files[tile.path] for tile in tiles]

    def reader(self, size: int) -> ReadHashes:
        return hash_reader(size, self.read)
