"""Shells to run command lines in: with nothing, with a ledger, with a title of three versions.

A ledger is made once in each worker, and copied: to make one syncs the disk many times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.stores import FolderStore, probe
from tests.cli.shell import ORIGIN, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ledger.stores import Store


@pytest.fixture(scope="package", autouse=True)
def _folders_are_tried_once() -> Iterator[None]:
    """All folders of the tests are in one file system: to try out each takes longest."""
    tried = probe.probe
    found: list[str] | None = None

    def once(store: Store) -> list[str]:
        nonlocal found
        if type(store) is not FolderStore:
            return tried(store)
        found = tried(store) if found is None else found
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "probe", once)
        yield


@pytest.fixture
def new_shell(tmp_path: Path) -> Callable[[str], Shell]:
    """Makes a shell for somebody, with a home and a folder of their own."""
    return lambda name: Shell.make(tmp_path / name)


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """A shell of somebody who has nothing yet."""
    return Shell.make(tmp_path / "work")


@pytest.fixture
def shell(ledger_made: Shell, tmp_path: Path) -> Shell:
    """A shell with an empty ledger in ./ledger-data."""
    return ledger_made.copied_to(tmp_path / "work")


@pytest.fixture
def title(title_made: Shell, tmp_path: Path) -> Shell:
    """A shell whose ledger has the title TN1234567 in three versions."""
    return title_made.copied_to(tmp_path / "work")


@pytest.fixture(scope="session")
def ledger_made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = Shell.make(tmp_path_factory.mktemp("ledger") / "made")
    made(f"init --origin {ORIGIN}")
    return made


@pytest.fixture(scope="session")
def title_made(ledger_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = ledger_made.copied_to(tmp_path_factory.mktemp("title") / "made")
    made(f"append {TITLE} --set proprietor='Ada Lovelace' --set price:=185000 -m first --new")
    made(f"append {TITLE} --set proprietor='Grace Hopper' -m sale --reference case-7")
    made(f"append {TITLE} --set charge=Bank -m mortgage --effective 2026-01-31 --supersede-later")
    return made
