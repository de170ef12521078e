"""Clients that other people's generators make of /openapi.json read and write."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.client import TITLE, Client, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "clients"
BIN = "node_modules/.bin"
CONFIG = """
content_type_overrides: {application/atom+xml: text/plain}
post_hooks: []  # no formatter is needed
"""


def call(folder: Path, *command: str) -> str:
    """What a program prints."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with npm's packages, each by its hash, and the description of the API."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("needs npm (Debian: npm)")
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    call(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    (folder / "openapi.json").write_text(Client().get("/openapi.json").text)
    return folder


@pytest.fixture
def service() -> Iterator[tuple[Client, str]]:
    client = Client()
    with listening(client.app) as url:
        yield client, url


def check_session(client: Client, facts: dict[str, Any]) -> None:
    """Compare what a client made, and says, with what the library says."""
    ledger = client.ledger
    [order, second, first] = ledger.log(TITLE)
    assert (first.is_withheld, second.reference) == (True, "APP-1")
    assert facts == {
        "statuses": [201, 201, 200, 304],
        "refused": ["head-moved", 412, 2, facts["sha256"]],
        "address": "2 low street",
        "sha256": client.get(f"/titles/{TITLE}").json()["sha256"],
        "old": "1 low street",
        "missing": "not-found",
        "parts": [["P1", [1, 2]], ["P2", [2, 2]]],
        "complete": ledger.registration("APP 7/26").is_complete,
        "erased": [1],
        "titles": ["/titles/P1", "/titles/P2"],
        "entries": [
            [3, "by order", False, order.kind],
            [2, "Tŷ Newydd", False, "registration"],
            [1, None, True, "registration"],
        ],
        "changes": 0,
        "blame": [["/address", "2 low street", 2]],
        "outcome": ledger.verify(TITLE).outcome,
        "bundle": len(client.get(f"/titles/{TITLE}/bundle").content),
    }


def test_a_client_in_python(service: tuple[Client, str], tmp_path: Path) -> None:
    client, url = service
    call(tmp_path, sys.executable, "-m", "venv", "--without-pip", "venv")
    python = str(tmp_path / "venv" / "bin" / "python")
    pins = str(HERE / "requirements.txt")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile")
    call(tmp_path, *pip, "--require-hashes", "-r", pins)
    (tmp_path / "config.yaml").write_text(CONFIG)
    call(
        tmp_path,
        *(python, "-m", "openapi_python_client", "generate", "--url", f"{url}/openapi.json"),
        *("--config", "config.yaml", "--meta", "none", "--fail-on-warning"),
        *("--output-path", "title_ledger_client"),
    )
    shutil.copy(HERE / "session.py", tmp_path)
    check_session(client, json.loads(call(tmp_path, python, "session.py", url)))


def test_a_client_in_typescript(service: tuple[Client, str], node: Path) -> None:
    client, url = service
    call(node, f"{BIN}/openapi-typescript", "openapi.json", "--output", "ledger.d.ts")
    call(
        node,
        *(f"{BIN}/tsc", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022"),
        *("--module", "nodenext", "--types", "node", "session.ts"),
    )
    check_session(client, json.loads(call(node, "node", "session.js", url)))


def test_a_linter_finds_nothing(node: Path) -> None:
    """Not even a warning, but that ``/`` only redirects."""
    lint = (f"{BIN}/redocly", "lint", "--format", "json", "openapi.json")
    done = json.loads(call(node, *lint, "--skip-rule", "operation-2xx-response"))
    assert done["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, done["problems"]
