"""What is changed, and which tests have to notice: quick ones, that run in one process."""

from __future__ import annotations

TARGETS = {
    "verify": ("test_verify.py", "test_vectors.py", "test_report.py"),
    "keyring": ("test_keyring.py",),
    "entry": ("test_entry.py", "test_vectors.py"),
    "tlog/note": ("tlog/test_note.py", "tlog/test_checkpoint.py"),
    "tlog/checkpoint": ("tlog/test_checkpoint.py", "tlog/test_vectors.py"),
    "tlog/proof": ("tlog/test_proof.py", "tlog/test_vectors.py"),
    "tlog/merkle": ("tlog/test_merkle.py", "tlog/test_proof.py"),
    "tlog/leaf": ("tlog/test_leaf.py",),
    "tlog/witness": ("tlog/test_witness.py", "tlog/test_cosigned.py"),
    "tlog/tiles": ("tlog/test_tiles.py", "tlog/test_log.py"),
    "tlog/state": ("tlog/test_state.py",),
    "tlog/since": ("tlog/test_since.py", "tlog/test_attacks.py"),
    "tlog/remembered": ("tlog/test_audit.py", "tlog/test_attacks.py", "test_audit_state.py"),
    "tlog/rehash": ("tlog/test_audit.py", "tlog/test_attacks.py", "tlog/test_log.py"),
    "tlog/audit": ("tlog/test_audit.py", "tlog/test_attacks.py"),
    "tlog/compare": ("tlog/test_audit.py", "tlog/test_attacks.py"),
    "tlog/beyond": ("tlog/test_audit.py", "tlog/test_attacks.py"),
    "canonical": ("test_canonical.py", "test_entry.py"),
}
"""Modules below ``ledger``, the most telling first, and the tests of each, below ``tests``."""
