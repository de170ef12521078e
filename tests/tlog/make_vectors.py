"""Makes ``tests/vectors/log-1.json``: ``python -m tests.tlog.make_vectors``.

The vectors are for those who write another reader of the log (``docs/spec.md``). Ed25519 is
deterministic and every time is fixed, so the file comes out the same, byte for byte, every time.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    Checkpoint,
    NoteKey,
    Receipt,
    WitnessKey,
    add_signatures,
    consistency_proof,
    cosign,
    hash_leaf,
    inclusion_proof,
    sign_checkpoint,
)
from tests.sealing.logs import Log, leaf

FILE = Path(__file__).parents[1] / "vectors" / "log-1.json"

SIZES = [0, 1, 2, 3, 7, 256, 257, 513]
LOG, WITNESS = signer("log"), signer("witness")
WITNESS_KEY = WitnessKey("witness.example/w1", WITNESS.public_key)
TIME = 1_795_000_000


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _checkpoint(log: Log, size: int) -> dict[str, Any]:
    checkpoint = Checkpoint(ORIGIN, size, log.roots[size])
    note = sign_checkpoint(checkpoint, LOG)
    cosigned = add_signatures(note, cosign(checkpoint, WITNESS_KEY, WITNESS, TIME))
    return {"size": size, "root": _b64(log.roots[size]), "note": cosigned.decode()}


def _receipt(log: Log, size: int, index: int) -> dict[str, Any]:
    proof = inclusion_proof(index, size, log.reader(size))
    note = _checkpoint(log, size)["note"].encode()
    return {
        "size": size,
        "leaf": leaf(index).decode(),
        "leaf_hash": _b64(hash_leaf(leaf(index))),
        "receipt": Receipt(index, proof, note).encode().decode(),
    }


def _consistency(log: Log, old: int, new: int) -> dict[str, Any]:
    proof = consistency_proof(old, new, log.reader(new))
    return {"old": old, "new": new, "proof": [_b64(each) for each in proof]}


def vectors() -> dict[str, Any]:
    """The whole file, as a value."""
    log = Log(SIZES)
    return {
        "about": "Test vectors of the log in docs/spec.md. The keys are no secrets.",
        "origin": ORIGIN,
        "log_key": NoteKey(ORIGIN, LOG.public_key).vkey,
        "witness_key": WITNESS_KEY.vkey,
        "witness_time": TIME,
        "leaves": [leaf(index).decode() for index in range(max(SIZES))],
        "tiles": {
            path: hashlib.sha256(data).hexdigest() for path, data in sorted(log.files.items())
        },
        "checkpoints": [_checkpoint(log, size) for size in SIZES],
        "receipts": [
            _receipt(log, size, index)
            for size in SIZES
            for index in sorted({0, 5, size // 2, size - 1})
            if 0 <= index < size
        ],
        "consistency": [
            _consistency(log, old, new) for new in SIZES for old in SIZES if old <= new
        ],
    }


def text() -> bytes:
    """The bytes of the file."""
    return json.dumps(vectors(), indent=1, ensure_ascii=False).encode() + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(text())
