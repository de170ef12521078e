"""Tiles: their names, their bytes, and the tree that they hold."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, InvalidError, MalformedError
from ledger.format.layout import LOG, check_key
from ledger.tlog import (
    EMPTY_ROOT,
    ENTRIES,
    Edge,
    Subtree,
    Tile,
    TileBuilder,
    check_consistency,
    check_inclusion,
    consistency_proof,
    cut_tile,
    decode_entries,
    entries_tiles,
    hash_leaf,
    hash_reader,
    inclusion_proof,
    parse_tile,
    unfinished_tiles,
)
from ledger.tlog.tiles import encode_entries
from tests.laws import examples
from tests.sealing.logs import Log, leaf
from tests.tlog.reference import root

law = settings(deadline=None, max_examples=examples(100))

tiles = st.builds(
    Tile,
    st.sampled_from([ENTRIES, *range(64)]),
    st.integers(0, 10**12 - 1),
    st.integers(1, 256),
)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(2, 5, 1), "tile/2/005.p/1"),
        (Tile(63, 0, 255), "tile/63/000.p/255"),
        (Tile(ENTRIES, 273, 112), "tile/entries/273.p/112"),
        (Tile(ENTRIES, 1234067), "tile/entries/x001/x234/067"),
    ],
)
def test_the_path_of_a_tile(tile, path):
    assert tile.path == path
    assert parse_tile(path) == tile


@law
@given(tiles)
def test_every_tile_has_one_path_and_that_is_an_object_key(tile):
    assert parse_tile(tile.path) == tile
    assert check_key(LOG + tile.path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/000/001",
        "tile/0/x001",
        "tile/0/001/x000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.P/1",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/../0/000",
    ],
)
def test_every_other_path_is_refused(path):
    with pytest.raises(MalformedError):
        parse_tile(path)


def test_an_index_is_as_large_as_the_largest_log_needs():
    last = (2**63 - 1) // 256
    assert parse_tile(Tile(0, last).path).index == last
    with pytest.raises(MalformedError):
        parse_tile(Tile(0, last + 1).path)


@law
@given(st.from_regex(r"tile/[0-9a-z]{1,7}/[x0-9/]{1,12}(\.p/[0-9]{1,4})?", fullmatch=True))
def test_a_path_that_is_read_is_the_path_of_its_tile(path):
    with suppress(MalformedError):
        assert parse_tile(path).path == path


# --- which tiles a tree has ----------------------------------------------------------------------


def test_the_unfinished_tiles_of_a_tree_of_70_000_leaves():
    """The example of c2sp.org/tlog-tiles."""
    assert [tile.path for tile in unfinished_tiles(70_000)] == [
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]


@pytest.mark.parametrize(
    ("size", "paths"),
    [
        (0, []),
        (1, ["tile/entries/000.p/1", "tile/0/000.p/1"]),
        (255, ["tile/entries/000.p/255", "tile/0/000.p/255"]),
        (256, ["tile/1/000.p/1"]),
        (257, ["tile/entries/001.p/1", "tile/0/001.p/1", "tile/1/000.p/1"]),
        (65_536, ["tile/2/000.p/1"]),
    ],
)
def test_the_unfinished_tiles_at_the_boundaries(size, paths):
    assert [tile.path for tile in unfinished_tiles(size)] == paths


def test_a_builder_gives_every_tile_once_each_when_it_is_full():
    builder = TileBuilder()
    given_at = {}
    for index in range(513):
        full = [tile.path for tile, _ in builder.append(leaf(index))]
        if full:
            given_at[builder.size] = full
    assert given_at == {
        256: ["tile/entries/000", "tile/0/000"],
        512: ["tile/entries/001", "tile/0/001"],
    }
    assert [tile.path for tile, _ in builder.unfinished()] == [
        "tile/entries/002.p/1",
        "tile/0/002.p/1",
        "tile/1/000.p/2",
    ]


def test_the_tiles_that_hold_the_leaves():
    assert [tile.path for tile in entries_tiles(513)] == [
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/1",
    ]
    assert [tile.index for tile in entries_tiles(513, start=256)] == [1, 2]
    assert [tile.index for tile in entries_tiles(513, start=255)] == [0, 1, 2]
    assert list(entries_tiles(512, start=512)) == list(entries_tiles(0)) == []


# --- the leaves in tiles -------------------------------------------------------------------------


@law
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_leaves_come_back_out_of_a_tile(leaves):
    tile = Tile(ENTRIES, 0, len(leaves))
    assert decode_entries(tile, encode_entries(leaves)) == leaves


def test_a_leaf_has_a_length_of_16_bits_before_it():
    assert encode_entries([b"a", b"", b"b" * 258]) == b"\0\1a\0\0\1\2" + b"b" * 258
    largest = b"\xff\xff" + bytes(65_535)
    assert encode_entries([bytes(65_535)]) == largest
    assert decode_entries(Tile(ENTRIES, 0, 1), largest) == [bytes(65_535)]
    with pytest.raises(InvalidError):
        encode_entries([bytes(65_536)])
    with pytest.raises(InvalidError):
        TileBuilder().append(bytes(65_536))


def test_no_part_of_a_tile_of_leaves_is_one_nor_one_with_more():
    tile = Tile(ENTRIES, 0, 3)
    data = encode_entries([b"one", b"", b"three"])
    for end in range(len(data)):
        with pytest.raises(MalformedError, match=tile.path):
            decode_entries(tile, data[:end])
    for start in range(1, len(data)):
        with pytest.raises(MalformedError):
            decode_entries(tile, data[start:])
    for more in (b"\0", b"\0\0", b"\0\1a"):
        with pytest.raises(MalformedError):
            decode_entries(tile, data + more)


@law
@given(st.integers(1, 5), st.binary(max_size=40))
def test_any_bytes_are_a_tile_of_leaves_or_refused(width, data):
    with suppress(MalformedError):
        assert encode_entries(decode_entries(Tile(ENTRIES, 0, width), data)) == data


# --- the tree in tiles ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log() -> Log:
    return Log([1, 2, 255, 256, 257, 511, 512, 513, 700])


def test_the_root_is_that_of_the_leaves(log):
    leaves = [leaf(index) for index in range(700)]
    for size, its_root in log.roots.items():
        assert its_root == root(leaves[:size])


def test_the_edge_that_was_read_from_tiles_has_the_root(log):
    for size, its_root in log.roots.items():
        assert Edge.read(size, log.reader(size)).root() == its_root


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_every_leaf_is_proven_from_tiles(log, step):
    for size in (1, 256, 257, 513, 700):
        read = log.reader(size)
        for index in {*range(0, size, step), size - 1}:
            proof = inclusion_proof(index, size, read)
            check_inclusion(hash_leaf(leaf(index)), index, size, proof, log.roots[size])


def test_every_checkpoint_is_proven_to_continue_those_before_from_its_tiles(log):
    for new_size in log.roots:
        for old_size in (size for size in log.roots if size <= new_size):
            proof = consistency_proof(old_size, new_size, log.reader(new_size))
            check_consistency(old_size, log.roots[old_size], new_size, log.roots[new_size], proof)


@law
@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.data())
def test_a_builder_that_goes_on_from_tiles_makes_what_one_that_never_stopped_makes(steps, data):
    straight, resumed = TileBuilder(), TileBuilder()
    for step in steps:
        for _ in range(step):
            content = leaf(straight.size)
            assert straight.append(content) == resumed.append(content)
        assert straight.unfinished() == resumed.unfinished()
        assert straight.root() == resumed.root()
        written = [content for _, content in resumed.unfinished()]
        resumed = TileBuilder.resume(resumed.size, written, resumed.root())


@pytest.mark.parametrize("size", [1, 255, 257, 513, 700])
def test_a_builder_does_not_go_on_from_tiles_of_another_tree(log, size):
    written = log.read(unfinished_tiles(size))
    assert TileBuilder.resume(size, written, log.roots[size]).root() == log.roots[size]
    for at, data in enumerate(written):
        changed = [*written[:at], data[:-1] + bytes([data[-1] ^ 1]), *written[at + 1 :]]
        with pytest.raises(IntegrityError) as caught:
            TileBuilder.resume(size, changed, log.roots[size])
        assert caught.value.reason == "wrong-root"
        if at == 0:
            assert caught.value.object_key == unfinished_tiles(size)[0].path
        with pytest.raises(MalformedError):
            TileBuilder.resume(size, [*written[:at], data[:-1], *written[at + 1 :]], b"")
    with pytest.raises(IntegrityError):
        TileBuilder.resume(size, written, EMPTY_ROOT)


def test_an_empty_log_goes_on_from_nothing():
    builder = TileBuilder.resume(0, [], EMPTY_ROOT)
    assert (builder.size, builder.unfinished(), builder.root()) == (0, [], EMPTY_ROOT)


def test_a_partial_tile_can_be_cut_from_the_full_one():
    """A log may remove the partial tiles of old checkpoints."""
    log = Log([1, 200, 255, 512])
    partial = [path for path in log.files if ".p/" in path and "tile/1" not in path]
    assert len(partial) == 6
    for tile in map(parse_tile, partial):
        assert cut_tile(tile, log.files[tile.full.path]) == log.files[tile.path]
        with pytest.raises(MalformedError):
            cut_tile(tile, log.files[tile.path])


# --- reading hashes ------------------------------------------------------------------------------


def test_a_proof_reads_each_tile_once_and_all_at_once(log):
    calls = []

    def read(wanted):
        calls.append([tile.path for tile in wanted])
        return log.read(wanted)

    inclusion_proof(300, 700, hash_reader(700, read))
    assert [sorted(paths) for paths in calls] == [
        ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"]
    ]


@pytest.mark.parametrize(
    "subtree", [Subtree(0, 700), Subtree(2, 175), Subtree(8, 2), Subtree(9, 1)]
)
def test_a_subtree_that_is_not_full_has_no_hash(log, subtree):
    with pytest.raises(InvalidError):
        log.reader(700)([subtree])


def test_every_full_subtree_can_be_read(log):
    leaves = [leaf(index) for index in range(700)]
    every = [Subtree(level, index) for level in range(10) for index in range(700 >> level)]
    for subtree, found in zip(every, log.reader(700)(every), strict=True):
        start = subtree.index << subtree.level
        assert found == root(leaves[start : start + (1 << subtree.level)])


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda _: b""]
)
def test_a_tile_of_the_wrong_length_is_refused(log, change):
    read = hash_reader(700, lambda wanted: [change(data) for data in log.read(wanted)])
    with pytest.raises(MalformedError, match=r"tile/0/000 has [0-9]+ bytes, expected 8192"):
        read([Subtree(0, 0)])


def test_a_changed_tile_proves_nothing(log):
    """Nobody trusts a tile: what is made of it does not lead to the checkpoint's root."""

    def read(wanted):
        return [bytes([data[0] ^ 1]) + data[1:] for data in log.read(wanted)]

    proof = inclusion_proof(300, 700, hash_reader(700, read))
    with pytest.raises(IntegrityError):
        check_inclusion(hash_leaf(leaf(300)), 300, 700, proof, log.roots[700])
