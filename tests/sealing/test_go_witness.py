"""A witness in Go, which checks notes and proofs with the code of Go's checksum database."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ledger import Log
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, signer
from ledger.tlog import NoteKey, WitnessPolicy
from tests.sealing.sealers import LOG_KEY, Sealer, ledger_in
from tests.tlog.building import build_go

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG_VKEY = NoteKey(ORIGIN, LOG_KEY.public_key).vkey

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("go")]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return build_go("./witness", tmp_path_factory.mktemp("go"), request.config)


@contextmanager
def running(program: Path, *log_vkeys: str) -> Iterator[WitnessPolicy]:
    """The policy that asks for this witness."""
    command = [str(program), "go.example/w", *log_vkeys]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            vkey, url = (process.stdout.readline().strip() for _ in range(2))
            yield WitnessPolicy.parse(f"witness go {vkey} {url}\nquorum go\n")
        finally:
            process.stdin.close()
            process.wait(10)


def test_it_cosigns_every_size_and_refuses_a_fork(program: Path, tmp_path: Path) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    ledger, sealer = ledger_in(MemoryStore(), now), Sealer(tmp_path)  # type: ignore[arg-type]
    with running(program, LOG_VKEY) as policy:
        ledger.append("TN1", {})
        sealer.seal(ledger.store, genesis=True)
        for count in (0, 1, 1, 2, 3, 5, 8, 240, 300):
            kept = Log(ledger).witnesses(policy)
            for _ in range(count):
                ledger.append("TN1", {"n": ledger.head("TN1").version})
            sealer.seal(ledger.store)
            for asking in (kept, Log(ledger).witnesses(policy)):  # it knows from where, or asks
                done = asking.ask()
                assert (list(done.counted), done.findings) == (["go"], ())
        other = ledger_in(MemoryStore(), now)  # type: ignore[arg-type]
        for number in range(600):
            other.append("TN2", {"n": number})
        forger = Sealer(tmp_path, "forger")
        forger.seal(other.store, genesis=True)
        done = Log(other).witnesses(policy).ask()
        said = done.findings[1].message
        assert "does not continue the one that it cosigned" in said
        assert "(HTTP 422: 'invalid transparency proof')" in said


def test_it_knows_the_log_by_any_of_its_keys(program: Path, tmp_path: Path) -> None:
    ledger = ledger_in(MemoryStore(), lambda: datetime.now(UTC))  # type: ignore[arg-type]
    Sealer(tmp_path).seal(ledger.store, genesis=True)
    next_key = NoteKey(ORIGIN, signer("next").public_key).vkey
    with running(program, next_key, LOG_VKEY) as policy:
        assert Log(ledger).witnesses(policy).ask().findings == ()
    with running(program, next_key) as policy:
        assert "does not know the key" in Log(ledger).witnesses(policy).ask().findings[1].message
    with running(program, NoteKey("example.org/x", LOG_KEY.public_key).vkey) as policy:
        assert "does not know this log" in Log(ledger).witnesses(policy).ask().findings[1].message
