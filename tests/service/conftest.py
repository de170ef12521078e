"""A client in this process, and a folder with a ledger that ``ledger serve`` can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.service.client import Client, shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def client() -> Client:
    """A service of an empty ledger in memory, open to all."""
    return Client()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's side with a key that may sign in ``folder``."""
    made = shell(
        *("init", str(tmp_path / "titles"), "--origin", "example.org/titles"),
        XDG_CONFIG_HOME=str(tmp_path),
    )
    assert made.returncode == 0, made.stderr
    return tmp_path


@pytest.fixture
def folder(home: Path) -> str:
    """A folder with an empty ledger, made by ``ledger init``."""
    return str(home / "titles")
