"""Nothing secret is in what is said: no key, passphrase, token or document, at any level.

Real processes, with everything that Python can log switched on: our own loggers, boto3's, urllib3's
and uvicorn's, and a traceback with every error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from ledger.stores.s3 import make_client
from tests.service.client import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSPHRASE = "open-SECRET-sesame"
DOCUMENT = '{"proprietor": "Ada-SECRET-Lovelace", "price": 185000}'
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
        )
        assert done.returncode == code, done.stderr[-3000:]
        self.said += done.stderr

    def put(self, key: str, data: bytes) -> None:
        """Have other bytes lie in the store."""
        store = self.environment["LEDGER_STORE"]
        if store.startswith("s3:"):
            _, _, bucket, prefix = store.split("/")
            make_client().put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)
        else:
            path = self.folder / "titles" / key
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(data)

    def secrets(self) -> Iterator[str]:
        """What may nowhere be said: the lines of the key, and all that has SECRET in it."""
        for pem in self.folder.rglob("*.pem"):
            if "PRIVATE" in pem.read_text():
                yield from (line for line in pem.read_text().splitlines() if "-" not in line)

    def check(self) -> None:
        leaks = [line for line in self.said.splitlines() if "SECRET" in line]
        assert not leaks, f"{len(leaks)}, such as {leaks[0][:1000]}"
        keys = list(self.secrets())
        assert keys
        assert not any(line in self.said for line in keys)


@pytest.fixture(params=["folder", "bucket"])
def told(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Commands on a folder or, with credentials that are secret, on a bucket."""
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
    refused = ("[", '{"x": NaN}', '{"a": 1, "a": 2}', '{"sha256": 1}', '{"n": 1e400}', '["x"]')
    for more in refused:
        told("append", "TN1", "-", "--debug", code=65, stdin=f'{DOCUMENT[:-1]}, "b": {more}')
    told("append", "TN2", "-", "--parent", "0" * 64, "--debug", code=11, stdin=DOCUMENT)
    told("log", "TN1", "--debug")
    told("show", "TN1", "--debug")
    told("verify", "--debug")
    told("fsck", "--debug")
    told("export", "b.bundle", "--debug")
    bundle = told.folder / "b.bundle"
    bundle.write_bytes(bundle.read_bytes().replace(b"SECRET", b"SECRET!"))
    told("verify", "--bundle", "b.bundle", "--debug", code=20)
    told("import", "b.bundle", "--debug", code=20)
    told.check()
    if told.environment["LEDGER_STORE"].startswith("s3:"):
        assert "DEBUG:botocore.endpoint:Making request for" in told.said
        assert "X-Amz-Security-Token" in told.said


def test_a_service_tells_no_secret_whatever_it_is_asked(told: Told) -> None:
    told("init", "--origin", "example.org/titles")
    tokens = told.folder / "tokens"
    tokens.write_text(f"intake write {TOKEN}\n")
    tokens.chmod(0o600)
    environment = told.environment | {"LEDGER_TOKENS_FILE": str(tokens)}
    store = environment.pop("LEDGER_STORE")
    loud = f"{ALL_LEVELS}; import cli.logs; cli.logs.logging.Logger.setLevel = lambda *_: None"
    with serving(store, told.folder, "--debug", before=loud, **environment) as server:
        stranger = {"Authorization": "Bearer SECRETSECRETSECRET"}
        mine = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{server.url}/titles/TN1"
        body = DOCUMENT.encode()
        assert httpx.post(url, content=body, headers=mine | _json()).status_code == 201
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


def _json() -> dict[str, str]:
    return {"Content-Type": "application/json"}
