"""Many machines: a Dask cluster verifies a bucket's titles, and the report is that of one process.

The scheduler and the workers are processes of their own, as `dask scheduler` and `dask worker`
start them.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ledger import Ledger, Log
from ledger.format.layout import PACKS
from ledger.format.report import report_json
from ledger.packs import writer
from ledger.stores import FolderStore, MemoryStore, open_store
from ledger.verification import many
from tests.cli.shell import Shell
from tests.sealing.sealers import KEYRING, Sealer, ledger_in
from tests.servers import free_port, running
from tests.tampering import objects_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import distributed

PATHS = {"PYTHONPATH": str(Path(__file__).parents[1])}
TITLES = [f"TN{number:03}" for number in range(60)]
PATIENCE = 60

pytestmark = [pytest.mark.xdist_group("moto"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def dask() -> Any:
    """Dask, whose import takes longer than all other tests need to be collected."""
    pytest.importorskip("psutil", reason="needs the extra dask")
    return pytest.importorskip("distributed", reason="needs the extra dask")


class Cluster(NamedTuple):
    """A scheduler, and its workers of one thread each."""

    address: str
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    python = [sys.executable, "-m", "distributed.cli.dask_"]
    # Without an address Dask wants the port 8787, dashboard or not.
    at = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    with ExitStack() as stack:
        # As Dask's own command starts them, which would take a process more.
        scheduler = [*python[:2], f"{python[2]}scheduler", *at, "--port", str(port)]
        stack.enter_context(running(scheduler, port, folder / "scheduler", **PATHS))
        started = []
        for number in range(workers):
            output = stack.enter_context((folder / f"worker{number}").open("wb"))
            worker = subprocess.Popen(
                [*python[:2], f"{python[2]}worker", address, *at, "--no-nanny", "--nthreads", "1"],
                env=os.environ | PATHS,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            stack.callback(worker.wait, 30)
            stack.callback(worker.kill)
            started.append(worker)
        yield Cluster(address, started)


@contextmanager
def connected(to: Cluster) -> Iterator[distributed.Client]:
    import distributed  # slow to load, and not needed by all workers

    client = distributed.Client(to.address, timeout=PATIENCE, set_as_default=False)
    try:
        client.wait_for_workers(len(to.workers), timeout=PATIENCE)
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module")
def bucket(moto_url, moto_client) -> Iterator[str]:
    """The URL of a sealed register of sixty titles, half of it packed."""
    name = f"dask-{secrets.token_hex(4)}"
    moto_client.create_bucket(Bucket=name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_S3", moto_url)
        yield f"s3://{name}/titles"


@pytest.fixture(scope="module")
def register(bucket, tmp_path_factory) -> Ledger:
    source = MemoryStore()
    ledger = ledger_in(source)
    for title_number in TITLES:
        ledger.append(title_number, {"v": 1})
    ledger.pack()
    for title_number in TITLES[::3]:
        ledger.append(title_number, {"v": 2})
    Sealer(tmp_path_factory.mktemp("sealer")).seal(source, genesis=True)
    store = open_store(bucket, connections=8)
    store.create_many(objects_of(source).items())
    return Ledger.open(store, keyring=KEYRING)


@pytest.fixture(scope="module")
def two(dask, bucket, tmp_path_factory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch):
    for size in ("REMOTE", "PACKED"):
        monkeypatch.setattr(many, size, 4)
    monkeypatch.setattr(writer, "SLICE", 4)


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle_and_the_report_is_the_same_to_the_byte(
    dask, register, tmp_path
):
    alone = json.dumps(report_json(Log(register).audit().run()))
    assert json.loads(alone)["outcome"] == "verified"
    with cluster(tmp_path) as ours, connected(ours) as client:
        heard = []

        def each(report) -> None:
            heard.append(report)
            if len(heard) == 1:
                os.kill(ours.workers[0].pid, signal.SIGKILL)

        executor = client.get_executor(pure=False)
        audit = Log(register).audit(executor=executor, jobs=2)
        assert json.dumps(report_json(audit.run(each))) == alone
        assert len(heard) == len(TITLES)
        ours.workers[0].wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while len(client.scheduler_info()["workers"]) != 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_cluster_in_this_process_gives_the_report_of_none(dask, tmp_path):
    ledger = ledger_in(FolderStore(tmp_path / "titles"))
    for title_number in TITLES[:12]:
        ledger.append(title_number, {"v": 1})
    Sealer(tmp_path / "sealer").seal(ledger.store, genesis=True)
    local = dask.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with local, dask.Client(local, set_as_default=False) as client:
        executor = client.get_executor(pure=False)
        spread = Log(ledger).audit(executor=executor, jobs=2).run()
    assert spread == Log(ledger).audit().run()
    assert spread.outcome == "verified"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("verify --dask localhost", "tcp://HOST:PORT"),
        ("verify TN001 --dask tcp://127.0.0.1:1", "single TITLE"),
        ("verify --bundle x --dask tcp://127.0.0.1:1", "--dask"),
    ],
)
def test_what_cannot_be_spread_is_a_wrong_command_line(tmp_path, line, said):
    shell = Shell.make(tmp_path / "here")
    shell("init --origin example.org/titles")
    assert said in shell.fails(2, line)


@pytest.mark.slow
def test_the_shell_spreads_what_it_verifies_indexes_and_packs(register, bucket, two, tmp_path):
    shell = Shell.make(tmp_path / "here")
    shell.config.mkdir(parents=True)
    (shell.config / "keyring.json").write_bytes(KEYRING.encode())
    dask = f"--dask {two.address}"
    for name in ("verify", "audit"):
        alone = shell(f"{name} --json --store {bucket}").out
        assert shell(f"{name} --json --store {bucket} {dask}").out == alone
    found = [
        shell(f"index {name} --json --store {bucket} {dask if name == 'b' else ''}")
        for name in "ab"
    ]
    assert [one.json["index"].pop("file") != "" for one in found]
    assert (found[0].json | {"index": 0}) == (found[1].json | {"index": 0})
    before = set(register.store.list(PACKS))
    packed = shell(f"pack --json --store {bucket} {dask}").json
    assert (packed["entries"], packed["packs"], packed["findings"]) == (80, 1, [])
    assert set(register.store.list(PACKS)) != before
    assert shell(f"pack --store {bucket} {dask}").out == "nothing new to pack\n"
    assert shell(f"verify --json --store {bucket} {dask}").json["entries"] == 80


@pytest.mark.slow
def test_what_cannot_be_spread_says_why(bucket, register, two, tmp_path):
    shell = Shell.make(tmp_path / "here")
    shell.config.mkdir(parents=True)
    (shell.config / "keyring.json").write_bytes(KEYRING.encode())
    at = f"--store {bucket} --dask"
    with cluster(tmp_path, workers=0) as empty, pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.workers.PATIENCE", 8)
        said = shell.fails(13, f"verify {at} {empty.address}")
        assert f"start one: dask worker {empty.address}" in said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.workers.PATIENCE", 1)
        assert "cannot reach the cluster" in shell.fails(13, f"verify {at} {empty.address}")
        patch.setattr("ledger.__version__", "9.9")
        patch.setattr("cli.workers.PATIENCE", 30)
        assert "has title-ledger" in shell.fails(14, f"verify {at} {two.address}")
        patch.setitem(sys.modules, "distributed", None)
        said = shell.fails(65, f"verify {at} {two.address}")
        assert "pip install '.[dask]'" in said


@pytest.mark.slow
def test_one_worker_and_two_give_the_report_of_none(
    dask, ministack_url, ministack_client, tmp_path, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ministack_url)
    monkeypatch.setattr(many, "REMOTE", 50)
    ministack_client.create_bucket(Bucket="share")
    source = MemoryStore()
    ledger = ledger_in(source)
    for title_number in (f"TN{number:04}" for number in range(150)):
        for version in range(4):
            ledger.append(title_number, {"v": version})
    store = open_store("s3://share/titles", connections=8)
    store.create_many(objects_of(source).items())
    ledger = Ledger.open(store, keyring=KEYRING)
    reports = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        with cluster(folder, workers) as started, connected(started) as client:
            executor = client.get_executor(pure=False)
            reports.append(ledger.verify_all(executor=executor, jobs=2 * workers))
    assert reports[0] == reports[1] == ledger.verify_all()
    assert reports[0].entries == 600
