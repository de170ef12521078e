"""Nothing secret is in what is said, at any level: no key, passphrase, token or document's value.

Errors name places in documents, and so the names of members: these are no secrets here.

Everything that Python can log is switched on: our own loggers, boto3's, urllib3's and uvicorn's,
and a traceback with every error. This process runs the commands by default, and the slow tests run
them as processes, on a bucket as well.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from ledger.stores import open_store
from ledger.stores.s3.store import make_client
from tests.cli.shell import Shell
from tests.service.client import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSPHRASE = "open-SECRET-sesame"
DOCUMENT = '{"proprietor": "Ada-SECRET-Lovelace", "price": 185000}'
DOCUMENT_KEPT = '{"price":185000,"proprietor":"Ada-SECRET-Lovelace"}'
DIGITS = "7700770077"
VALUES = (
    *('"SECRET" "SECRET"', '"SECRET', "SECRET", '"SECRET \\q"', '"SECRET \t"', '[NaN, "SECRET"]'),
    *('{"a": "SECRET1", "a": "SECRET2"}', '"SECRET \\ud800"', '{"\\ud800": "SECRET"}'),
    *(f"{DIGITS}{'1' * 20}", f"{DIGITS}1111111", f"{DIGITS}e15"),
    *(f"{DIGITS}e400", f"{DIGITS}e-999", f"{'[' * 70}{DIGITS}{']' * 70}"),
)
MISNAMED = [
    f'{{"title_number": {value}}}'
    for value in ('"Ada-SECRET"', '"SECRET Lane"', '["SECRET"]', '{"name": "SECRET"}', DIGITS)
]
REFUSED = [f'{DOCUMENT[:-1]}, "b": {value}}}' for value in VALUES] + MISNAMED
REFUSED += ['["SECRET"]', '"SECRET"', DIGITS, '{"sha256": "SECRET"}', f'{{"sha256": {DIGITS}}}']
"""Documents that nobody can register, each for another value in it, which is secret."""
TOKEN = "SECRETtoken0123456789"
SECRETS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "SECRET-access-key",
    "AWS_SESSION_TOKEN": "SECRET-session-token",
}
ALL_LEVELS = "import logging; logging.basicConfig(level=logging.NOTSET)"


class Told:
    """Runs commands with all logs on, and keeps every word that they say beside their results."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.said = ""
        self.environment = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "LEDGER_STORE": store,
            "LEDGER_PASSPHRASE": PASSPHRASE,
        }

    def __call__(self, *words: str, code: int = 0, stdin: str = "", **environment: str) -> None:
        run = f"{ALL_LEVELS}; from cli.app import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", run, *words],
            env=os.environ | self.environment | environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr[-3000:]
        self.said += done.stderr

    @property
    def is_folder(self) -> bool:
        return not self.environment["LEDGER_STORE"].startswith("s3:")

    def put(self, key: str, data: bytes) -> None:
        """Have other bytes lie in the store."""
        if not self.is_folder:
            _, _, bucket, prefix = self.environment["LEDGER_STORE"].split("/")
            make_client().put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)
        else:
            path = self.folder / "titles" / key
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(data)

    def take(self, key: str) -> bytes:
        """What lies in the store."""
        with closing(open_store(self.environment["LEDGER_STORE"])) as store:
            blob = store.get(key)
        assert blob is not None
        return blob.data

    def secrets(self) -> Iterator[str]:
        """What may nowhere be said: the lines of the key, and all that has SECRET in it."""
        for pem in self.folder.rglob("*.pem"):
            if "PRIVATE" in pem.read_text():
                yield from (line for line in pem.read_text().splitlines() if "-" not in line)

    def check(self) -> None:
        secret = ("SECRET", DIGITS)
        leaks = [line for line in self.said.splitlines() if any(each in line for each in secret)]
        assert not leaks, f"{len(leaks)}, such as {leaks[0][:1000]}"
        keys = list(self.secrets())
        assert keys
        assert not any(line in self.said for line in keys)


class ToldHere(Told):
    """Runs them in this process, and logs as much."""

    def __init__(self, folder: Path, store: str, logs: pytest.LogCaptureFixture) -> None:
        super().__init__(folder, store)
        logs.set_level(logging.NOTSET)
        self.logs = logs

    def __call__(self, *words: str, code: int = 0, stdin: str = "", **environment: str) -> None:
        shell = Shell(self.folder, self.folder)
        given = self.environment | environment
        self.said += shell("", *words, stdin=stdin.encode(), code=code, **given).err

    def check(self) -> None:
        self.said += self.logs.text
        super().check()


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("folder", "bucket")]


@pytest.fixture(params=["folder here", *SLOW])
def told(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Told:
    """Commands on a folder or, with credentials that are secret, on a bucket."""
    if request.param == "folder here":
        return ToldHere(tmp_path, str(tmp_path / "titles"), caplog)
    if request.param == "folder":
        return Told(tmp_path, str(tmp_path / "titles"))
    url = request.getfixturevalue("moto_url")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    httpx.put(f"{url}/privacy")
    return Told(tmp_path, f"s3://privacy/{tmp_path.name}")


def test_commands_that_succeed_and_commands_that_fail_tell_no_secret(told: Told) -> None:
    told("init", "--origin", "example.org/titles", "--debug")
    told("append", "TN1", "-", "-m", "first", "--debug", stdin=DOCUMENT)
    told("append", "TN1", "-", "-m", "second", "--debug", stdin=DOCUMENT.replace("185", "190"))
    told("append", "TN1", "-", "--debug", code=12, stdin=DOCUMENT, LEDGER_PASSPHRASE="SECRET-no")
    told("append", "TN2", "-", "--parent", "0" * 64, "--debug", code=11, stdin=DOCUMENT)
    told("log", "TN1", "--debug")
    told("show", "TN1", "--debug")
    told("verify", "--debug")
    told("fsck", "--debug")
    told("export", "b.bundle", "--debug")
    bundle = told.folder / "b.bundle"
    bundle.write_bytes(bundle.read_bytes().replace(b"Ada-SECRET", b"Eva-SECRET"))
    told("verify", "--bundle", "b.bundle", "--debug", code=20)
    told("import", "b.bundle", "--debug", code=20)
    told.check()
    if not told.is_folder:
        assert "DEBUG:botocore.endpoint:Making request for" in told.said
        assert "X-Amz-Security-Token" in told.said


def test_a_service_tells_no_secret_whatever_it_is_asked(told: Told) -> None:
    told("init", "--origin", "example.org/titles")
    tokens = told.folder / "tokens"
    tokens.write_text(f"intake write {TOKEN}\n")
    tokens.chmod(0o600)
    environment = told.environment | {"LEDGER_TOKENS_FILE": str(tokens)}
    store = environment.pop("LEDGER_STORE")
    loud = f"{ALL_LEVELS}; import logging; logging.Logger.setLevel = lambda *_: None"
    with serving(store, told.folder, "--debug", before=loud, **environment) as server:
        stranger = {"Authorization": "Bearer SECRETSECRETSECRET"}
        mine = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{server.url}/titles/TN1"
        body = DOCUMENT.encode()
        assert httpx.post(url, content=body, headers=mine | _json()).status_code == 201
        for document in REFUSED:
            for place in (url, f"{server.url}/titles"):
                answer = httpx.post(place, content=document.encode(), headers=mine | _json())
                assert answer.status_code in {400, 422}, answer.text
                told.said += answer.text
        answers = [
            httpx.post(url, content=body[:-1], headers=mine | _json()),
            httpx.post(url, content=body, headers=mine | _json() | {"If-Match": '"SECRET"'}),
            httpx.post(url, content=body, headers=_json() | stranger),
            httpx.post(url, content=b"\xff SECRET", headers=mine | _json()),
        ]
        assert all(400 <= each.status_code < 500 for each in answers), answers
        told.put("TN1/head.json", body)
        answers = [httpx.get(url), httpx.post(url, content=body, headers=mine | _json())]
        told.put("ledger.json", b"{}")
        told.put("_log/checkpoint", body)
        answers += [httpx.get(f"{server.url}/{path}") for path in ("readyz", "log/checkpoint")]
        assert all(each.status_code >= 500 for each in answers), answers
        server.stop()
        told.said += server.log.read_text()
    told.check()


def test_no_value_of_a_document_is_told_by_the_command_that_refuses_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = ToldHere(tmp_path, str(tmp_path / "titles"), caplog)
    told("init", "--origin", "example.org/titles")
    named = [each for each in REFUSED if each not in MISNAMED]
    lines = [each.replace("{", '{"title_number": "TN1", ', 1) for each in named]
    lines += [f'{{"title_number": "TN1", "document": {each}}}' for each in REFUSED] + MISNAMED
    for start in range(0, len(lines), 20):  # so many bad lines are named at most
        given = "\n".join(lines[start : start + 20])
        told("append", "--batch", "-", "--debug", code=65, stdin=given)
    assert told.said.count("error: line ") == len(lines)
    for document in REFUSED:
        told("append", "TN1", "-", "--debug", code=65, stdin=document)
    for setting in (f"a:={DIGITS}e400", 'a:={"SECRET"', "title_number=SECRET", "/a/b=SECRET"):
        told("append", "TN1", "--new", "--set", setting, "--debug", code=65)
    told("append", "TN1", "--new", "--set", "=SECRET", "--debug", code=2)
    told.check()


@pytest.mark.slow
def test_no_value_of_a_document_is_told_that_lies_in_the_place_of_an_entry(told: Told) -> None:
    told("init", "--origin", "example.org/titles")
    told("append", "TN1", "-", stdin=DOCUMENT)
    envelope = told.take("TN1/head.json").decode()
    assert DOCUMENT_KEPT in envelope
    for number, document in enumerate(REFUSED[:: 1 if told.is_folder else 5]):
        told.put(f"BARE{number}/head.json", document.encode())
        told.put(f"IN{number}/head.json", envelope.replace(DOCUMENT_KEPT, document).encode())
    told("verify", "--debug", code=20)
    told("fsck", "--debug", code=20)
    told("log", "IN1", "--debug", code=20)
    told.check()


def _json() -> dict[str, str]:
    return {"Content-Type": "application/json"}
