"""Many writers and two sealers at once: what was acknowledged is logged, once, and nothing else."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Ledger, Log
from ledger.errors import HeadMoved
from ledger.format.layout import PENDING, STAGING
from ledger.stores import open_store
from ledger.tlog import Checkpoint, Leaf
from tests.sealing.sealers import (
    CLOCK,
    KEYRING,
    REGISTRAR,
    Sealer,
    assert_sealed,
    ledger_in,
    log_in,
    logged,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor

WRITERS = 8
SEALERS = ("one", "two")


def write(url: str, folder: str, writer: int, rounds: int) -> list[Leaf]:
    """Append to shared titles and to new ones, some of it twice; what was acknowledged."""
    try:
        with open_ledger(url) as ledger:
            return [register(ledger, writer, number) for number in range(rounds)]
    finally:
        finished(folder, writer).touch()


def register(ledger: Ledger, writer: int, number: int) -> Leaf:
    dice = random.Random(f"{writer}/{number}")
    # All writers want the same titles at about the same time, and each has some of its own.
    title = dice.choice((f"TN{number // 4}", f"TN{number // 10}", f"OWN-{writer}-{number}"))
    reference = f"case {writer}/{number}"
    leaf = append(ledger, title, reference, on_head=dice.random() < 0.3)
    if dice.random() < 0.3:  # as a client does that never saw the answer
        assert append(ledger, title, reference) == leaf
    return leaf


def append(ledger: Ledger, title: str, reference: str, *, on_head: bool = False) -> Leaf:
    """Append until it is acknowledged; ``on_head``: only on top of what was looked at."""
    while True:
        on: dict[str, Any] = {}
        if on_head and ledger.store.get(f"{title}/head.json"):
            on = {"parent": ledger.head(title).address}
        try:
            entry = ledger.append(title, {"case": reference}, reference=reference, **on)
        except HeadMoved:
            continue
        return Leaf(title, entry.version, entry.address)


def seal(url: str, folder: str, name: str) -> list[Checkpoint]:
    """Seal for as long as anybody writes; what was signed and published meanwhile."""
    sealer = Sealer(Path(folder), name)
    published = []
    with open_ledger(url) as ledger:
        while not all(finished(folder, writer).exists() for writer in range(WRITERS)):
            assert sealer.seal(ledger.store).report
            published.append(Log(ledger).checkpoint(verify=True).checkpoint)
    return published


def open_ledger(url: str) -> Ledger:
    return Ledger.open(open_store(url), keyring=KEYRING, signer=REGISTRAR, clock=CLOCK)


def finished(folder: str, writer: int) -> Path:
    return Path(folder) / f"writer {writer} has finished"


def work(pool: Executor, url: str, folder: Path, rounds: int) -> tuple[list[Leaf], Any]:
    """All that was acknowledged, and what each of the sealers has published."""
    writers = [pool.submit(write, url, str(folder), n, rounds) for n in range(WRITERS)]
    sealers = [pool.submit(seal, url, str(folder), name) for name in SEALERS]
    return [leaf for each in writers for leaf in each.result()], [s.result() for s in sealers]


def check(pool: Executor, url: str, folder: Path, rounds: int) -> None:
    ledger = ledger_in(open_store(url))
    store = ledger.store
    one, two = (Sealer(folder, name) for name in SEALERS)
    one.seal(store, genesis=True)
    two.seal(store, adopt=True)
    acknowledged, published = work(pool, url, folder, rounds)
    one.seal(store)

    leaves = logged(store)  # and every tile leads to the root
    assert Counter(leaves) == Counter(acknowledged)
    assert len(leaves) == WRITERS * rounds
    assert_sealed(ledger)
    assert not list(store.list(PENDING))
    assert not list(store.list(STAGING))
    assert two.seal(store).leaves == 0
    final = Log(ledger).checkpoint().checkpoint
    for checkpoints in published:
        assert [each.size for each in checkpoints] == sorted(each.size for each in checkpoints)
        for each in set(checkpoints):
            log_in(store).check_continues(final, each)
    report = ledger.verify_all()
    assert report
    assert report.entries == len(leaves)
    store.close()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(WRITERS + len(SEALERS)) as pool:
        yield pool


@pytest.fixture
def processes():
    context = get_context("spawn")
    with ProcessPoolExecutor(WRITERS + len(SEALERS), mp_context=context) as pool:
        yield pool


@pytest.fixture
def folder_url(tmp_path):
    return str(tmp_path / "ledger")


@pytest.fixture
def s3_url(moto_url, moto_client, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_url)
    bucket = f"stress-{secrets.token_hex(8)}"
    moto_client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


def test_writers_and_two_sealers_at_once_in_a_folder(threads, folder_url, tmp_path):
    check(threads, folder_url, tmp_path, 10)


@pytest.mark.slow
def test_processes_that_write_and_two_that_seal_in_a_folder(processes, folder_url, tmp_path):
    check(processes, folder_url, tmp_path, 75)


@pytest.mark.slow
@pytest.mark.xdist_group("moto")
def test_processes_that_write_and_two_that_seal_on_a_server(processes, s3_url, tmp_path):
    check(processes, s3_url, tmp_path, 12)
