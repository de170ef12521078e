"""S3 servers for the tests: MiniStack, moto over a real socket, and whatever LEDGER_TEST_S3 names.

Run as a script it is the moto server: ``python tests/servers.py PORT``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PATIENCE = 60  # seconds for a server to answer; it takes one or two


def free_port() -> int:
    """A port that nobody listens on.

    It lies below those that systems give to outgoing connections, and among those of this worker of
    pytest's: neither one of the former nor another test takes it before the server that it is for.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 10
    while True:
        port = 10_000 + 2_000 * worker + secrets.randbelow(2_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def client_of(endpoint: str, **credentials: str) -> Any:
    """The client that a store makes itself, where the environment names this endpoint."""
    import pytest

    from ledger.stores.s3.store import make_client

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        for name, value in credentials.items():
            environment.setenv(name, value)
        return make_client()


def wait_until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for what is to come about, and no longer than this."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


@contextmanager
def ministack(log: Path) -> Iterator[str]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("ministack"))]
    with running(command, port, log, BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port)) as url:
        yield url


@contextmanager
def moto(log: Path) -> Iterator[str]:
    port = free_port()
    with running([sys.executable, __file__, str(port)], port, log) as url:
        yield url


@contextmanager
def running(command: list[str], port: int, log: Path, **environment: str) -> Iterator[str]:
    """The URL of a server that is up, and is stopped at the end, however the test ends."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    try:
        _wait_until_it_listens(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(60)


def _wait_until_it_listens(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{server.args} did not start: {log.read_text(errors='replace')[-2000:]}")


def serve_moto(port: int) -> None:
    """Serve moto's S3, with conditional writes made atomic: of itself, moto's are not."""
    from moto.s3.responses import S3Response
    from moto.server import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, run_simple

    one_at_a_time, answer = Lock(), S3Response.key_response

    def key_response(*arguments: object, **named: object) -> object:
        with one_at_a_time:
            return answer(*arguments, **named)

    S3Response.key_response = key_response  # type: ignore[method-assign, assignment]
    # Without it every request opens a connection of its own, and waits for it.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    # Not for every service: which one a request is for takes longer to find out than to answer.
    run_simple("127.0.0.1", port, create_backend_app("s3"), threaded=True)


PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
"""Where nginx may be: not everybody has it in the PATH."""


@contextmanager
def nginx(folder: Path, work: Path, rules: str = "") -> Iterator[str]:
    """The address of nginx, which serves a folder as ``/register/``; its files are elsewhere.

    ``rules``: what it does instead.
    """
    port = free_port()
    rules = rules or f"location /register/ {{ alias {folder}/; }}"
    with run_nginx(f"server {{ listen 127.0.0.1:{port}; {rules} }}", port, work):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def run_nginx(conf: str, port: int, work: Path) -> Iterator[None]:
    """Run nginx with these servers, as whoever runs the tests, with its own files in a folder."""
    import pytest

    program = shutil.which("nginx", path=PROGRAMS)
    if program is None:
        pytest.skip("needs nginx")
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {work}/{name};" for name in names)
    (work / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {work}/pid; error_log {work}/error;"
        f"events {{}} http {{ access_log off; keepalive_requests 1000000; {places}"
        f"{conf} }}"
    )
    command = [program, "-e", f"{work}/error", "-c", f"{work}/nginx.conf"]
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
            return
        assert process.poll() is None, "it ended at once"
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.02)


if __name__ == "__main__":
    serve_moto(int(sys.argv[1]))
