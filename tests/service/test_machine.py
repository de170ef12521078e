"""A machine of its own: the unit and the proxy of docs/how-to/serve.md, as they stand there."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.servers import PROGRAMS, free_port, run_nginx
from tests.service.client import DOCUMENT, TITLE, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"
NAME = "titles.example.org"
TOKEN = "w" * 20
WRITER = {"Authorization": f"Bearer {TOKEN}"}
PERSON = {"Cookie": "_oauth2_proxy=alice"}
BROWSER = {"Accept": "text/html"}


def saved(name: str) -> str:
    """A file that the page says to save."""
    [text] = re.findall(
        rf"^```[a-z]+ {re.escape(name)}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    return str(text)


def needs(program: str) -> str:
    found = shutil.which(program, path=PROGRAMS)
    if found is None:
        pytest.skip(f"needs {program}")
    return found


# -- The unit ------------------------------------------------------------------------------------


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "title-ledger.service"
    unit.write_text(saved(unit.name))
    done = subprocess.run(
        [needs("systemd-analyze"), "security", "--offline=true", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    said = re.search(r"Overall exposure level for title-ledger.service: (\S+)", done.stdout)
    assert said is not None
    assert f"gives it {said[1]}," in PAGE.read_text()


# -- The proxy -----------------------------------------------------------------------------------


class SignIn(BaseHTTPRequestHandler):
    """Answers what oauth2-proxy documents: 202 with the address of who has signed in, or 401."""

    def do_GET(self) -> None:
        user = re.fullmatch(r"_oauth2_proxy=(\w+)", self.headers.get("Cookie", ""))
        if self.path == "/oauth2/auth":
            self.send_response(202 if user else 401)
            if user:
                self.send_header("X-Auth-Request-Email", f"{user[1]}@land.example")
        else:
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def signing_in() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), SignIn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextmanager
def proxied(conf: str, server: Server, work: Path) -> Iterator[httpx.Client]:
    """A client of nginx with this configuration, before a service at its port."""
    certificate, port = work / "titles.pem", free_port()
    subprocess.run(
        [
            *(needs("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(work / "titles.key"), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    conf = conf.replace("127.0.0.1:5000", f"127.0.0.1:{server.port}")
    conf = conf.replace("/etc/ssl/certs/", f"{work}/").replace("/etc/ssl/private/", f"{work}/")
    conf = re.sub(r"listen \[::\]:443.*\n", "", conf).replace("443 ssl", f"127.0.0.1:{port} ssl")
    trust = ssl.create_default_context(cafile=str(certificate))
    with run_nginx(conf, port, work):
        base = f"https://127.0.0.1:{port}"
        # The name of the certificate, as curl's --resolve would have it.
        extensions = {"sni_hostname": NAME}
        with httpx.Client(base_url=base, verify=trust, timeout=30) as client:
            client.headers["Host"] = NAME
            client.event_hooks["request"].append(lambda r: r.extensions.update(extensions))
            yield client


def problem(answer: httpx.Response, status: int, slug: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["slug"] == slug
    assert answer.json()["status"] == status


@contextmanager
def behind(
    conf: str, folder: str, home: Path, *options: str
) -> Iterator[tuple[httpx.Client, Server]]:
    tokens = home / "tokens"
    tokens.write_text(f"intake write {TOKEN}")
    tokens.chmod(0o600)
    options = (
        "--public-url",
        "https://titles.example.org",
        "--trusted-proxy",
        "127.0.0.1",
        *options,
    )
    with (
        serving(folder, home, *options, LEDGER_TOKENS_FILE=str(tokens)) as server,
        proxied(conf, server, home) as client,
    ):
        yield client, server


def test_the_service_behind_nginx(folder: str, home: Path) -> None:
    conf = saved("title-ledger.conf")
    for shown, less in (("rate=20r/s", "rate=1r/m"), ("burst=60", "burst=9")):
        assert conf.count(shown) == 1
        conf = conf.replace(shown, less)
    with behind(conf, folder, home) as (client, server):
        trust = ssl.create_default_context(cafile=str(home / "titles.pem"))
        trust.set_alpn_protocols(["h2"])
        address = ("127.0.0.1", client.base_url.port)
        with (
            socket.create_connection(address, 20) as plain,
            trust.wrap_socket(plain, server_hostname=NAME) as wrapped,
        ):
            assert wrapped.selected_alpn_protocol() == "h2"
        message = {"Ledger-Message*": "UTF-8''first%20registration"}
        made = client.post("/titles", json=DOCUMENT, headers=WRITER | message)
        assert made.status_code == 201, made.text
        assert made.headers["location"] == f"https://titles.example.org/titles/{TITLE}"
        read = client.get(f"/titles/{TITLE}/entries", headers=WRITER).json()
        assert read["entries"][0]["message"] == "first registration"
        assert read["entries"][0]["author"] == "intake"
        # The service's own answers pass as they are; those of nginx are problems as well.
        problem(client.get("/titles"), 401, "unauthorized")
        problem(
            client.post("/titles", content=b"x" * (2 << 20 | 1), headers=WRITER), 413, "too-large"
        )
        server.process.kill()
        server.process.wait(30)
        problem(client.post("/titles", json=DOCUMENT, headers=WRITER), 504, "outcome-unknown")
        answers = [client.get("/titles", headers=WRITER) for _ in range(7)]
        assert {answer.status_code for answer in answers} == {504, 429}
        problem(answers[-1], 429, "too-many-requests")
        assert answers[-1].headers["retry-after"] == "1"


def test_people_sign_in_at_nginx_and_only_read(folder: str, home: Path) -> None:
    conf = saved("title-ledger.conf")
    location, server_part = saved("people-location.conf"), saved("people-server.conf")
    assert conf.count("    location / {\n") == 1
    conf = conf.replace("    location / {\n", f"{server_part}    location / {{\n{location}")
    forged = {"X-Forwarded-Email": "chief@land.example", "X-Auth-Request-Email": "c@land.example"}
    with (
        signing_in() as port,
        behind(
            conf.replace("127.0.0.1:4180", f"127.0.0.1:{port}"),
            *(folder, home, "--user-header", "X-Forwarded-Email"),
        ) as (client, server),
    ):
        # A program goes by its token, and needs no cookie.
        assert client.post("/titles", json=DOCUMENT, headers=WRITER | forged).status_code == 201
        problem(
            client.get("/titles", headers={"Authorization": "Bearer nope"}), 401, "unauthorized"
        )
        # Who has signed in reads, under the name that was checked, and writes nothing.
        assert client.get(f"/titles/{TITLE}", headers=PERSON | forged).status_code == 200
        problem(client.post("/titles", json=DOCUMENT, headers=PERSON), 401, "unauthorized")
        # Nobody else does; browsers are sent to sign in.
        problem(client.get("/titles", headers=forged), 401, "unauthorized")
        sent = client.get("/titles", headers=BROWSER | forged)
        assert sent.status_code == 302
        there = "/oauth2/sign_in?rd=https://titles.example.org/titles"
        assert sent.headers["location"].endswith(there)
        assert client.get("/oauth2/sign_in").status_code == 200
        assert client.get("/oauth2/auth", headers=PERSON).status_code == 404  # for nginx alone
        log = server.log.read_text()
    assert "alice@land.example" in log
    assert "chief" not in log
