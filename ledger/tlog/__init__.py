"""The formats of the log, pure: those of C2SP, bytes in, an object or an error out.

The log says which entry is which version of a title, in one order that everybody can see. Whoever
holds a checkpoint can tell whether the log ever lost, changed or reordered a leaf. The formats are
signed-note, tlog-checkpoint, tlog-cosignature, tlog-witness, tlog-tiles and tlog-proof: witnesses,
monitors and other people's tools understand them. Nothing here opens a file or reads a clock.

::

    builder = TileBuilder()
    for leaf in leaves:
        for tile, data in builder.append(leaf.encode()):
            write(tile.path, data)
    checkpoint = Checkpoint(origin, builder.size, builder.root())
    note = sign_checkpoint(checkpoint, signer)
"""

from ledger.tlog.checkpoint import (
    Checkpoint,
    Cosignature,
    MLDSAKey,
    SignedCheckpoint,
    WitnessKey,
    cosign,
    log_key,
    open_checkpoint,
    parse_log_key,
    parse_witness_key,
    sign_checkpoint,
    witness_key,
)
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    Edge,
    ReadHashes,
    Subtree,
    check_consistency,
    check_inclusion,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
)
from ledger.tlog.note import Note, NoteKey, add_signatures, open_note, sign_note
from ledger.tlog.objects import Leaf
from ledger.tlog.policy import WitnessPolicy
from ledger.tlog.receipt import Receipt, check_receipt
from ledger.tlog.tiles import (
    ENTRIES,
    ReadTiles,
    Tile,
    TileBuilder,
    cut_tile,
    decode_entries,
    entries_tiles,
    hash_reader,
    parse_tile,
    unfinished_tiles,
)

__all__ = [
    "EMPTY_ROOT",
    "ENTRIES",
    "Checkpoint",
    "Cosignature",
    "Edge",
    "Leaf",
    "MLDSAKey",
    "Note",
    "NoteKey",
    "ReadHashes",
    "ReadTiles",
    "Receipt",
    "SignedCheckpoint",
    "Subtree",
    "Tile",
    "TileBuilder",
    "WitnessKey",
    "WitnessPolicy",
    "add_signatures",
    "check_consistency",
    "check_inclusion",
    "check_receipt",
    "consistency_proof",
    "cosign",
    "cut_tile",
    "decode_entries",
    "entries_tiles",
    "hash_leaf",
    "hash_reader",
    "inclusion_proof",
    "log_key",
    "open_checkpoint",
    "open_note",
    "parse_log_key",
    "parse_tile",
    "parse_witness_key",
    "sign_checkpoint",
    "sign_note",
    "unfinished_tiles",
    "witness_key",
]
