"""Several processes that serve one ledger, and several services on one bucket."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from ledger import Ledger, Log
from ledger.service.sealer import Sealing
from ledger.service.workers import State, Worker
from tests.service.client import Server, keyring_in, serving, shell

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0


def wait_until(holds: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """The processes that a process has started (Linux)."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def started(server: Server) -> int:
    return server.log.read_text().count(" started: ")


def total(server: Server, name: str) -> float:
    """What all series of a metric add up to."""
    text = httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
    return sum(
        float(each) for each in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    )


def processes(server: Server) -> set[str]:
    """Those that have told the one that answers how they are doing."""
    text = httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
    return {*re.findall(r'process_cpu_seconds_total\{worker="(.)"\}', text)}


def post(server: Server, number: int, **headers: str) -> int:
    """Write to a title over a connection of its own, so that any process may get it."""
    url = f"{server.url}/titles/TN{number}"
    return httpx.post(url, json={"n": number}, headers=headers, timeout=PATIENCE).status_code


@pytest.fixture
def logged(home: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder, with a log that was begun by a sealer whose memory is in ``home``."""
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    environment = {"LEDGER_STORE": folder, "XDG_CONFIG_HOME": str(home)}
    for command in (("key", "generate", "--for", "log"), ("seal", "--genesis")):
        done = shell(*command, "-q", **environment)
        assert done.returncode == 0, done.stderr
    return folder


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


@needs_proc
def test_three_processes_are_one_service(logged: str, home: Path) -> None:
    tokens = home / "tokens"
    tokens.write_text("intake write " + "w" * 20)
    tokens.chmod(0o600)
    options = ("--workers", "3", "--seal-every", "0.2s", "--index", str(home / "index.sqlite"))
    caller = {"Authorization": "Bearer " + "w" * 20}
    with serving(logged, home, *options, LEDGER_TOKENS_FILE=str(tokens)) as server:
        wait_until(lambda: started(server) == 3, server)
        with ThreadPoolExecutor(6) as pool:
            codes = [*pool.map(lambda n: post(server, n, **caller), range(1, 13))]
        assert codes == [201] * 12
        assert total(server, "ledger_appends_total") == 12
        assert total(server, 'ledger_http_seconds_count{method="POST",.*}') == 12
        assert total(server, "ledger_store_in_use") <= 2
        wait_until(lambda: processes(server) == {*"123"}, server)

        # Whichever process answers, it tells how the one that seals is doing.
        def all_say(told: str) -> bool:
            return all(told in httpx.get(f"{server.url}/healthz").text for _ in range(9))

        wait_until(lambda: all_say('"sealing":"ok","indexing":"ok"'), server)
        wait_until(lambda: total(server, "ledger_log_size") == 12, server)

        # One that is killed is replaced, the one that seals too, and what was counted stays.
        for pid in children(server.process.pid)[:2]:
            before = started(server)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda before=before: started(server) == before + 1, server)  # type: ignore[misc]
        assert total(server, "ledger_appends_total") == 12
        assert post(server, 13, **caller) == 201
        wait_until(lambda: total(server, "ledger_log_sealed_timestamp_seconds") > 0, server)

        # All of them read the tokens again.
        tokens.write_text("intake write " + "x" * 20)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: {post(server, 13, **caller) for _ in range(9)} == {401}, server)

        workers = children(server.process.pid)
        assert server.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        log = server.log.read_text()
        assert log.count(" stopped") == 3
        assert log.count("has ended (-9): another takes its place") == 2
        assert "sealed: " in log
        assert "Traceback" not in log
    with Ledger.open(logged, keyring=keyring_in(home)) as ledger:
        assert {entry.author for name in ledger.titles() for entry in ledger.log(name)} == {
            "intake"
        }
        assert ledger.verify_all().titles == 13


@pytest.mark.slow
@needs_proc
def test_the_processes_end_with_the_one_that_started_them(folder: str, home: Path) -> None:
    with serving(folder, home, "--workers", "2") as server:
        wait_until(lambda: started(server) == 2, server)
        server.process.kill()
        server.process.wait(PATIENCE)

        def is_free() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 5):
                return False
            return True

        wait_until(is_free, server)


def test_what_keeps_one_process_from_starting_is_said_once(home: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "cli", "serve", "--workers", "4", "--port", "0"]
    environment = os.environ | {"LEDGER_STORE": str(home / "none"), "XDG_CONFIG_HOME": str(home)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode not in {0, 1}
    assert done.stderr.count("error:") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_tells_the_others_what_it_has_met(tmp_path: Path) -> None:
    one, other = Worker(1, tmp_path), Worker(2, tmp_path)
    sealing = Sealing()
    one.start(lambda: State(worker=1, sealing=sealing, problems={"log": "contradicted"}))
    try:
        deadline = time.monotonic() + PATIENCE
        while not other.others():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sealing.problem, sealing.findings = "store-unavailable", frozenset({"TN1/head.json"})
        while (told := other.others()[0].sealing) != sealing:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert told is not None
        assert told.state == "failing"
        assert other.others()[0].problems == {"log": "contradicted"}
        assert one.others() == []
    finally:
        one.stop()
    (tmp_path / "3.json").write_bytes(b"{")  # one that was killed while it began
    assert len(other.others()) == 1


@pytest.mark.slow
def test_services_on_two_machines_seal_one_bucket(
    home: Path, moto_client: object, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import servers

    bucket = "night"
    moto_client.create_bucket(Bucket=bucket)  # type: ignore[attr-defined]
    store = f"s3://{bucket}/titles"
    for name, value in (*servers.CREDENTIALS.items(), ("AWS_ENDPOINT_URL_S3", moto_url)):
        monkeypatch.setenv(name, value)
    environment = {"LEDGER_STORE": store, "XDG_CONFIG_HOME": str(home)}
    here, there = ({"XDG_STATE_HOME": str(home / each)} for each in ("here", "there"))
    for command, state in (
        (("init", store, "--origin", "example.org/titles"), here),
        (("key", "generate", "--for", "log"), here),
        (("seal", "--genesis"), here),
        (("seal", "--adopt"), there),
    ):
        done = shell(*command, "-q", **environment, **state)
        assert done.returncode == 0, done.stderr
    options = ("--workers", "2", "--seal-every", "0.1s")
    with (
        serving(store, home, *options, **here) as one,
        serving(store, home, *options, log_name="there.log", **there) as other,
        ThreadPoolExecutor(8) as pool,
    ):
        codes = [*pool.map(lambda n: post((one, other)[n % 2], n // 4), range(80))]
        assert {*codes} <= {201, 409, 412, 503}
        one.process.kill()  # in the middle of a seal, as likely as not
        codes += pool.map(lambda n: post(other, n), range(20, 30))
        wait_until(lambda: total(other, "ledger_log_size") == codes.count(201), other)
        assert other.stop() == 0
    with Ledger.open(store, keyring=keyring_in(home)) as ledger:
        report = Log(ledger).audit(jobs=1).run()
        assert report.entries == codes.count(201)
        assert report, report.findings
