"""A log of ours, read and checked by the code that Go's checksum database is made of."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ledger import PrivateKey
from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    Checkpoint,
    NoteKey,
    WitnessKey,
    add_signatures,
    consistency_proof,
    cosign,
    inclusion_proof,
    sign_checkpoint,
)
from tests.sealing.logs import SIZES, Log, leaf
from tests.tlog.building import build_go

if TYPE_CHECKING:
    from pathlib import Path

SEED = bytes(range(32))
LOG, WITNESS = PrivateKey(SEED), signer("witness")
LOG_KEY = NoteKey(ORIGIN, LOG.public_key)
WITNESS_KEY = WitnessKey("witness.example/w1", WITNESS.public_key)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("go")]  # built once


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return build_go(".", tmp_path_factory.mktemp("go"), request.config)


@pytest.fixture(scope="module")
def log() -> Log:
    return Log(SIZES)


@pytest.fixture(scope="module")
def claims(log: Log, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What we say of the log, for the program."""
    folder = tmp_path_factory.mktemp("log")
    for path, data in log.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return {
        "Files": str(folder),
        "Log": LOG_KEY.vkey,
        "Witness": WITNESS_KEY.vkey,
        "Signer": f"PRIVATE+KEY+{ORIGIN}+{LOG_KEY.key_hash.hex()}+" + text(b"\x01" + SEED),
        "Checkpoints": [checkpoint(log, size) for size in SIZES],
        "Inclusion": [included(log, size, index) for size in SIZES for index in places(size)],
        "Consistency": [continued(log, old, new) for new in SIZES for old in SIZES if old <= new],
    }


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def checkpoint(log: Log, size: int) -> str:
    claimed = Checkpoint(ORIGIN, size, log.roots[size])
    note = sign_checkpoint(claimed, LOG)
    return add_signatures(note, cosign(claimed, WITNESS_KEY, WITNESS, 1_795_000_000)).decode()


def places(size: int) -> list[int]:
    """The first and last leaves, and those beside the edges of tiles."""
    edges = {0, 255, 256, 511, 512, 65_535, 65_536, size // 3, size - 2, size - 1}
    return sorted(index for index in edges if 0 <= index < size)


def included(log: Log, size: int, index: int) -> dict[str, Any]:
    proof = inclusion_proof(index, size, log.reader(size))
    return {
        "Size": size,
        "Index": index,
        "Leaf": text(leaf(index)),
        "Proof": [text(each) for each in proof],
    }


def continued(log: Log, old: int, new: int) -> dict[str, Any]:
    proof = consistency_proof(old, new, log.reader(new))
    return {"Old": old, "New": new, "Proof": [text(each) for each in proof]}


def run(program: Path, claims: dict[str, Any]) -> tuple[int, str]:
    done = subprocess.run(
        [program],
        input=json.dumps(claims),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def test_go_agrees_with_our_checkpoints_tiles_and_proofs(program, claims):
    counts = [len(claims[kind]) for kind in ("Checkpoints", "Inclusion", "Consistency")]
    assert counts == [11, 61, 66]
    said = "{} checkpoints, {} inclusion proofs, {} consistency proofs\n".format(*counts)
    assert run(program, claims) == (0, said)


def with_last(claims: dict[str, Any], kind: str, **changes: Any) -> dict[str, Any]:
    """The claims, with the last of one kind changed."""
    *others, last = claims[kind]
    return {**claims, kind: [*others, {**last, **changes}]}


def test_go_does_not_agree_with_anything_else(program, claims):
    """What the program says is worth something: it notices each of these."""
    small = {**claims, "Checkpoints": claims["Checkpoints"][:1], "Consistency": []}
    small["Inclusion"] = claims["Inclusion"][:1]
    assert run(program, small)[0] == 0
    note = small["Checkpoints"][0]
    for changed, complaint in [
        ({**small, "Checkpoints": [note.replace("\n1\n", "\n2\n")]}, "invalid signature"),
        ({**small, "Checkpoints": [note.rpartition("— ")[0]]}, "1 signatures"),
        ({**small, "Log": LOG_KEY.vkey.replace(ORIGIN, "example.org/x")}, "the log's key"),
        ({**small, "Witness": WITNESS_KEY.vkey.replace("w1", "w2")}, "1 signatures"),
        (with_last(small, "Inclusion", Leaf=text(b"another")), "leaf 0 of 1"),
        (with_last(small, "Inclusion", Index=1), "leaf 1 of 1"),
        (with_last(small, "Inclusion", Proof=[text(bytes(32))]), "leaf 0 of 1"),
    ]:
        status, said = run(program, changed)
        assert (status, complaint in said) == (1, True), said


def test_go_notices_a_tile_that_is_not_of_the_leaves(program, claims, tmp_path):
    folder = shutil.copytree(claims["Files"], tmp_path / "log")
    only = {**claims, "Files": str(folder), "Inclusion": [], "Consistency": []}
    only["Checkpoints"] = [each for each in claims["Checkpoints"] if "\n257\n" in each]
    assert run(program, only)[0] == 0
    for path in ("tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000"):
        data = (folder / path).read_bytes()
        (folder / path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert run(program, only)[0] == 1, path
        (folder / path).write_bytes(data)
