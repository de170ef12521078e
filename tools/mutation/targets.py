"""What is changed, and which tests have to notice: quick ones, that run in one process."""

from __future__ import annotations

TARGETS = {
    "format/ordered": ("format/test_ordered.py",),
    "format/chain": ("format/test_chain.py", "format/test_vectors.py", "format/test_report.py"),
    "format/law": ("format/test_law.py", "format/test_vectors.py"),
    "format/keyring": ("format/test_keyring.py",),
    "format/entry": ("format/test_entry.py", "format/test_vectors.py"),
    "tlog/note": ("tlog/test_note.py", "tlog/test_checkpoint.py"),
    "tlog/checkpoint": ("tlog/test_checkpoint.py", "tlog/test_vectors.py"),
    "tlog/receipt": ("tlog/test_receipt.py", "tlog/test_vectors.py"),
    "tlog/merkle": ("tlog/test_merkle.py", "tlog/test_receipt.py"),
    "tlog/policy": ("tlog/test_policy.py", "sealing/test_cosign.py"),
    "tlog/tiles": ("tlog/test_tiles.py", "test_log.py"),
    "tlog/objects": ("tlog/test_objects.py", "tlog/test_leaf.py"),
    "sealing/reader": (
        "verification/test_by_log.py",
        "verification/test_attacks.py",
        "verification/test_state.py",
    ),
    "verification/replay": (
        "verification/test_replay.py",
        "verification/test_by_log.py",
        "verification/test_attacks.py",
        "test_log.py",
    ),
    "verification/by_log": ("verification/test_by_log.py", "verification/test_attacks.py"),
    "verification/compare": ("verification/test_by_log.py", "verification/test_attacks.py"),
    "verification/unlogged": ("verification/test_by_log.py", "verification/test_attacks.py"),
    "format/standing": ("format/test_standing.py",),
    "trust/accept": ("trust/test_accept.py", "trust/test_chain.py"),
    "trust/chain": ("trust/test_chain.py", "trust/test_attacks.py"),
    "trust/checkpoints": ("trust/test_checkpoints.py",),
    "trust/file": ("trust/test_file.py", "trust/test_accept.py"),
    "trust/keys": ("trust/test_keys.py",),
    "trust/keyring": ("trust/test_keyring.py",),
    "trust/leaves": ("trust/test_leaves.py",),
    "trust/standing": ("trust/test_hints.py", "trust/test_standing.py", "trust/test_attacks.py"),
    "sealing/disowned": ("sealing/test_disowned.py",),
    "sealing/positions": ("sealing/test_positions.py",),
    "format/canonical": ("format/test_canonical.py", "format/test_entry.py"),
}
"""Modules below ``ledger``, the most telling first, and the tests of each, below ``tests``."""
