"""``ledger serve`` over real sockets: races, signals, slow clients, what is on the wire."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import httpx
import pytest

from ledger import Ledger
from tests.servers import PATIENCE, wait_until
from tests.service.client import DOCUMENT, HTML, TITLE, Server, keyring_in, problem, serving, shell

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 8


# -- A race --------------------------------------------------------------------------------------


async def race(url: str, rounds: int) -> list[str]:
    """All clients want to be next, again and again; returns who won each round."""
    winners: list[str] = []
    condition = {"If-None-Match": "*"}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def post(number: int) -> httpx.Response:
            document = {"round": len(winners), "client": number}
            return await client.post(f"/titles/{TITLE}", json=document, headers=condition)

        for _ in range(rounds):
            answers = await asyncio.gather(*(post(number) for number in range(CLIENTS)))
            [won] = [answer for answer in answers if answer.status_code == 201]
            for answer in answers:
                if answer is not won:
                    said = problem(answer, 412, "head-moved")
                    assert said["address"] == won.headers["ledger-address"]
            winners.append(won.headers["ledger-address"])
            condition = {"If-Match": won.headers["etag"]}
    return winners


def check_race(folder: str, home: Path, rounds: int) -> None:
    with serving(folder, home) as server:
        winners = asyncio.run(race(server.url, rounds))
        answer = httpx.get(f"{server.url}/titles/{TITLE}/verification", timeout=60).json()
        assert (answer["outcome"], answer["entries"]) == ("verified", rounds)
        assert server.stop() == 0
    with Ledger.open(folder, keyring=keyring_in(home)) as ledger:
        assert [entry.address for entry in ledger.log(TITLE)] == winners[::-1]
        assert ledger.verify(TITLE, expect=winners[0])


@pytest.mark.slow
def test_one_of_eight_wins_each_round(folder: str, home: Path) -> None:
    check_race(folder, home, rounds=8)


def test_a_connection_beyond_the_limit_is_refused_by_a_problem(folder: str, home: Path) -> None:
    fewer = "import ledger.service.server as server; server.MAX_CONNECTIONS = 2"
    with serving(folder, home, before=fewer) as server, ExitStack() as undo:
        for _ in range(2):
            undo.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        refused = httpx.get(f"{server.url}/titles", headers={"Connection": "keep-alive"})
        problem(refused, 503, "busy")
        assert refused.headers["retry-after"]
        assert refused.headers["connection"] == "close"
        undo.close()
        wait_until(lambda: httpx.get(f"{server.url}/titles").status_code == 200)


@pytest.mark.slow
def test_one_of_eight_wins_each_of_fifty_rounds(folder: str, home: Path) -> None:
    check_race(folder, home, rounds=50)


# -- Signals -------------------------------------------------------------------------------------


class Slow:
    """A client that sends a request in two parts."""

    def __init__(self, server: Server, number: int) -> None:
        self.title = f"TN{number}"
        body = json.dumps({"n": number}).encode()
        request = (
            f"POST /titles/{self.title} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Expect: 100-continue\r\n\r\n"
        )
        self.rest = body[3:]
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.socket.sendall(request.encode())
        assert self.socket.recv(1 << 16).startswith(b"HTTP/1.1 100 ")  # it waits for the body
        self.socket.sendall(body[:3])

    def finish(self) -> str:
        """Send the rest, and return the address that was acknowledged."""
        self.socket.sendall(self.rest)
        answer = b""
        while chunk := self.socket.recv(1 << 16):  # to the end: the server closes after it
            answer += chunk
        self.socket.close()
        head = answer.decode().lower()
        assert head.startswith("http/1.1 201"), head
        return head.partition("ledger-address: ")[2][:64]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new(
    folder: str, home: Path, number: int
) -> None:
    with serving(folder, home) as server:
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        clients = [Slow(server, n) for n in range(20)]  # which arrive after it
        server.process.send_signal(number)
        assert idle.recv(1) == b""  # nothing was in flight there
        idle.close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)
        acknowledged = {client.title: client.finish() for client in clients}
        assert server.process.wait(20) == 0
        assert "Traceback" not in server.log.read_text()
    with Ledger.open(folder, keyring=keyring_in(home)) as ledger:
        assert {name: ledger.head(name).address for name in ledger.titles()} == acknowledged


@pytest.mark.slow
def test_a_stop_under_load_loses_nothing_that_was_acknowledged(folder: str, home: Path) -> None:
    acknowledged: list[tuple[str, str]] = []

    async def write(url: str, number: int) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            while True:
                try:
                    answer = await client.post(f"/titles/TN{number}", json={"n": number})
                except httpx.TransportError:
                    return
                assert answer.status_code == 201
                acknowledged.append((f"TN{number}", answer.headers["ledger-address"]))

    async def scene(server: Server) -> None:
        writers = [asyncio.create_task(write(server.url, n)) for n in range(20)]
        while len(acknowledged) < 40:
            await asyncio.sleep(0.01)
        server.process.terminate()
        await asyncio.gather(*writers)

    with serving(folder, home) as server:
        asyncio.run(scene(server))
        assert server.process.wait(30) == 0
    with Ledger.open(folder, keyring=keyring_in(home)) as ledger:
        chains = {name: [e.address for e in ledger.log(name)] for name in ledger.titles()}
        assert all(address in chains[name] for name, address in acknowledged)
        assert ledger.verify_all()


SLOW_STORE = """
import os, sys, time
import ledger.service.server
from ledger.stores.folder import FolderStore

ledger.service.server.GRACE_SECONDS = 0.5
swap_many, close = FolderStore.swap_many, FolderStore.close

def slow_swap(store, objects, swaps):
    print("writes", file=sys.stderr, flush=True)
    while not os.path.exists(os.environ["GO_ON"]):
        time.sleep(0.01)
    swapped = swap_many(store, objects, swaps)
    print("wrote", swaps[0].key, file=sys.stderr)
    return swapped

def noted_close(store):
    print("closed", file=sys.stderr)
    close(store)

FolderStore.swap_many, FolderStore.close = slow_swap, noted_close
"""


@pytest.mark.slow
def test_a_stop_ends_no_write_and_makes_up_no_answer_to_it(folder: str, home: Path) -> None:
    go_on = home / "go-on"
    with serving(folder, home, before=SLOW_STORE, GO_ON=str(go_on)) as server:
        client = Slow(server, 1)
        client.socket.sendall(client.rest)
        wait_until(lambda: "writes" in server.log.read_text())
        server.process.terminate()
        assert client.socket.recv(1) == b""
        client.socket.close()
        go_on.touch()
        assert server.process.wait(20) == 0
        log = server.log.read_text()
    assert log.index("/head.json") < log.rindex("closed")
    with Ledger.open(folder, keyring=keyring_in(home)) as ledger:
        assert ledger.head(client.title).version == 1


# -- Slow clients --------------------------------------------------------------------------------

IMPATIENT = """
import sys
import ledger.service.server as s
s.HEAD_SECONDS = s.BODY_SECONDS = s.WRITE_SECONDS = 0.6
too_slow = s._Protocol._too_slow

def noted(connection):
    too_slow(connection)
    print("let go", file=sys.stderr, flush=True)

s._Protocol._too_slow = noted
"""
HEAD = b"POST /titles HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def seconds_until_closed(server: Server, beginning: bytes, drip: bytes) -> float:
    """How long a client may go on that sends a byte now and then."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.1) as client:
        client.sendall(beginning)
        while time.monotonic() - started < 9:
            try:
                if drip:
                    client.sendall(drip)
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - started


@pytest.mark.slow
def test_slow_clients_are_not_waited_for(folder: str, home: Path) -> None:
    with serving(folder, home, before=IMPATIENT) as server:
        for beginning, drip in (
            (b"", b""),
            (b"GET / HTT", b""),
            (HEAD, b"X"),
            (HEAD + b"Content-Length: 9999\r\n\r\n", b" "),
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        ):
            assert 0.5 < seconds_until_closed(server, beginning, drip) < 9, beginning
        assert server.stop() == 0


@pytest.mark.slow
def test_who_has_asked_properly_may_come_again_after_a_pause(folder: str, home: Path) -> None:
    seconds = 3
    before = f"import ledger.service.server; ledger.service.server.HEAD_SECONDS = {seconds}"
    with (
        serving(folder, home, before=before) as server,
        closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as client,
    ):
        begun = time.monotonic()
        while time.monotonic() - begun < seconds + 1:  # on one connection
            client.request("GET", "/healthz")
            assert client.getresponse().read()
            time.sleep(0.3)


def everything_from(client: socket.socket) -> bytes:
    """All that comes, until the server closes."""
    answer = bytearray()
    try:
        while chunk := client.recv(1 << 16):
            answer += chunk
    except ConnectionResetError:
        pass
    return bytes(answer)


@pytest.mark.slow
def test_who_takes_no_answer_is_not_waited_for(folder: str, home: Path) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(folder, home, before=IMPATIENT) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(request * 1000)  # more in return than all buffers hold
            wait_until(lambda: "let go" in server.log.read_text())
            assert everything_from(client).count(b"HTTP/1.1 200 ") < 1000
        assert server.stop() == 0


# -- On the wire ---------------------------------------------------------------------------------


def wire(server: Server, request: bytes) -> bytes:
    """All that a server answers to some bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(request)
        return everything_from(client)


def test_the_wire(folder: str, home: Path) -> None:
    with serving(folder, home, "--max-body", "1000", "--log-format", "json") as server:
        url = server.url
        # A large body is refused before it comes, and the connection ends there.
        refused = wire(server, HEAD + b"Content-Length: 1000000000\r\n\r\n{")
        assert refused.startswith(b"HTTP/1.1 413 ")
        # Two lengths are one too many: the connection ends there, too.
        lengths = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        smuggled = wire(
            server, HEAD + lengths + b"2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
        )
        assert smuggled.startswith(b"HTTP/1.1 400 ")
        assert b"connection: close" in smuggled.lower()
        assert smuggled.count(b"HTTP/1.1") == 1
        # HEAD has the length, and no body.
        close = b"Host: localhost\r\nConnection: close\r\n\r\n"
        headed = wire(server, b"HEAD /titles HTTP/1.1\r\n" + close)
        assert headed.endswith(b"\r\n\r\n")
        assert b"content-length: 13\r\n" in headed
        assert b"server:" not in headed
        # A page that has pointed its own name here is not answered.
        rebound = httpx.get(f"{url}/titles", headers={"Host": "evil.example"})
        problem(rebound, 400, "unknown-host")
        # What is not HTTP, or too long, is refused by a problem, whoever finds it.
        head = b"GET /titles HTTP/1.1\r\n" + close[:-2]
        for request, status, slug in (
            (b"nonsense\r\n\r\n", 400, "bad-request"),
            (b"GET /" + b"x" * 100_000, 431, "head-too-large"),
            (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n" + close, 431, "head-too-large"),
            (head + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431, "head-too-large"),
        ):
            said, _, body = wire(server, request).partition(b"\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 %d " % status)
            assert b"application/problem+json" in said
            assert json.loads(body)["slug"] == slug
        long = wire(server, head + b"X: " + b"x" * 16_000 + b"\r\n\r\n")
        assert long.startswith(b"HTTP/1.1 200 ")
        assert server.stop() == 0
        lines = server.log.read_text().splitlines()
        [line] = [entry for entry in map(json.loads, lines) if entry.get("status") == 413]
        assert line.keys() == {
            *("time", "level", "logger", "method", "path", "status", "ms"),
            *("request_id", "client", "caller", "title", "address"),
        }


@pytest.mark.slow
def test_a_trusted_proxy_says_who_calls_and_how(folder: str, home: Path) -> None:
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    for options, scheme, caller in (
        ((), "http", "127.0.0.1"),
        (("--trusted-proxy", "127.0.0.1", "--insecure"), "https", "192.0.2.7"),
    ):
        with serving(folder, home, *options) as server:
            root = httpx.get(server.url, headers=forwarded)
            assert root.headers["location"] == f"{scheme}://127.0.0.1:{server.port}/titles"
            assert server.stop() == 0
            [line] = [each for each in server.log.read_text().splitlines() if " GET '/' " in each]
            assert f" {caller} -" in line


@pytest.mark.slow
def test_tokens_from_the_environment(folder: str, home: Path) -> None:
    tokens = home / "tokens"
    tokens.write_text("intake write " + "w" * 20)
    tokens.chmod(0o600)
    environment = {
        "LEDGER_TOKENS_FILE": str(tokens),
        "BASIC_AUTH_USERNAME": "alice",
        "BASIC_AUTH_PASSWORD": "opensesame",
    }
    with serving(folder, home, **environment) as server:
        url = f"{server.url}/titles"
        assert httpx.get(url).status_code == 200  # on loopback, reading is open
        problem(httpx.post(url, json=DOCUMENT), 401, "unauthorized")
        bearer = {"Authorization": f"Bearer {'w' * 20}"}
        assert httpx.post(url, json=DOCUMENT, headers=bearer).status_code == 201
        assert httpx.post(url, json=DOCUMENT, auth=("alice", "opensesame")).status_code == 201
        problem(httpx.post(url, json=DOCUMENT, auth=("alice", "x")), 401, "unauthorized")
    with serving(folder, home, "--host", "0.0.0.0", **environment) as server:
        here = f"http://127.0.0.1:{server.port}/titles"
        assert httpx.get(here).status_code == 401
        assert httpx.get(here, headers=bearer).status_code == 200
    with serving(folder, home, "--host", "0.0.0.0", "--public-read", **environment) as server:
        here = f"http://127.0.0.1:{server.port}/titles"
        assert httpx.get(here).status_code == 200
        assert httpx.post(here, json=DOCUMENT).status_code == 401


@pytest.mark.slow
def test_without_a_key_it_only_reads(folder: str, home: Path) -> None:
    added = home / "deed.json"
    added.write_text("{}")
    environment = {"LEDGER_STORE": folder, "XDG_CONFIG_HOME": str(home)}
    assert shell("append", TITLE, str(added), **environment).returncode == 0
    (home / "title-ledger" / "key.pem").unlink()
    with serving(folder, home) as server:
        assert "read-only: no key" in server.log.read_text()
        assert httpx.get(f"{server.url}/titles/{TITLE}").status_code == 200
        problem(httpx.post(f"{server.url}/titles", json=DOCUMENT), 500, "key-unavailable")


# -- What a request line and a framing may be ----------------------------------------------------


def exchange(server: Server, request: bytes) -> tuple[int, bytes]:
    """The status and all that a server answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), answer


def test_no_absolute_form_is_a_404_or_passes_the_check_of_its_host(folder: str, home: Path) -> None:
    close = b"Connection: close\r\n\r\n"
    chunked = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    body = b"2\r\n{}\r\n0\r\n\r\n"
    with serving(folder, home) as server:
        httpx.post(f"{server.url}/titles", json=DOCUMENT)
        path = f"/titles/{TITLE}".encode()
        for target in (b"http://localhost" + path, b"HTTP://127.0.0.1:1" + path + b"?version=1"):
            status, answer = exchange(
                server, b"GET " + target + b" HTTP/1.1\r\nHost: evil.example\r\n" + close
            )
            assert status == 200, answer
            assert TITLE.encode() in answer
        status, answer = exchange(
            server, b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n" + close
        )
        assert (status, b"location: http://localhost/titles" in answer.lower()) == (307, True)
        for target in (b"http://evil.example" + path, b"http://me@localhost" + path):
            refused = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + close
            assert exchange(server, refused)[0] == 400
        told = exchange(server, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + close)
        assert told[0] == 204
        # A body in chunks is for HTTP/1.1: an HTTP/1.0 proxy may have seen another body.
        post = b"POST " + path + b" HTTP/1.%d\r\nHost: localhost\r\n" + chunked
        assert exchange(server, post % 0 + close + body)[0] == 400
        assert exchange(server, post % 1 + close + body)[0] == 201
        assert httpx.get(f"{server.url}/titles/{TITLE}/verification").json()["entries"] == 2


def test_no_token_added_to_the_file_waits_for_a_restart(folder: str, home: Path) -> None:
    file = home / "tokens"
    file.write_text("first write aaaaaaaaaaaaaaaaaaaa\n")
    file.chmod(0o600)
    added = {"Authorization": "Bearer bbbbbbbbbbbbbbbbbbbb"}
    with serving(folder, home, LEDGER_TOKENS_FILE=str(file)) as server:
        post = f"{server.url}/titles"
        assert httpx.post(post, json=DOCUMENT, headers=added).status_code == 401
        with file.open("a") as tokens:
            tokens.write("second write bbbbbbbbbbbbbbbbbbbb\n")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10  # less than it takes without the signal
        while (status := httpx.post(post, json=DOCUMENT, headers=added).status_code) == 401:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert status == 201
        assert server.stop() == 0


def test_no_command_on_a_page_names_another_port(folder: str, home: Path) -> None:
    with serving(folder, home) as server:
        httpx.post(f"{server.url}/titles", json=DOCUMENT)
        page = httpx.get(f"{server.url}/titles/{TITLE}", headers=HTML).text
        assert f"{server.url}/titles/{TITLE}/bundle" in page
        assert ":5000" not in page
