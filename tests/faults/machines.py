"""The ledger beside its model, in each kind of store."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from ledger.stores import FolderStore, MemoryStore
from ledger.stores.s3.store import S3Store, make_client
from tests import servers
from tests.faults.machine import LedgerMachine
from tests.faults.tally import Tally, part

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "steps of the ledger beside its model"


class MemoryMachine(LedgerMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()

    def overwrite(self, key: str, data: bytes | None) -> None:
        objects = {k: b.data for k, b in self.store._objects.items()} | {key: data}
        self.store.__init__()
        self.store.create_many((k, d) for k, d in objects.items() if d is not None)


class FolderMachine(LedgerMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="title-ledger-"))
        self.store = FolderStore(self.folder)

    def overwrite(self, key: str, data: bytes | None) -> None:
        path = self.folder / key
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.folder)


class S3Machine(LedgerMachine):
    """In a new bucket of a server each time; ``client`` is boto3's."""

    client: Any

    def __init__(self) -> None:
        super().__init__()
        self.bucket = f"machine-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=self.bucket)
        self.store = S3Store(self.bucket, client=self.client)

    def overwrite(self, key: str, data: bytes | None) -> None:
        if data is None:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        else:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=data)


def run(machine: type[LedgerMachine], examples: int, steps: int = 20) -> None:
    """Try so many sequences of so many steps; raises what was found."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None,
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@part(NAME)
def many_steps() -> Iterator[Tally]:
    """Hundreds of sequences in memory, fewer where each step takes longer."""
    tally = Tally(NAME)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        for name, value in servers.CREDENTIALS.items():
            environment.setenv(name, value)
        with servers.moto(Path(folder) / "log") as url:
            environment.setenv("AWS_ENDPOINT_URL_S3", url)
            S3Machine.client = make_client()
            for machine, examples in ((MemoryMachine, 150), (FolderMachine, 25), (S3Machine, 8)):
                LedgerMachine.taken = 0
                try:
                    run(machine, examples, 30)
                except Exception as error:  # noqa: BLE001 -- whatever it is, the model was wrong
                    tally.note("torn", f"{machine.__name__}: {error!r:.500}")
                tally.count += LedgerMachine.taken
    yield tally
