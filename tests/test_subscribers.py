"""Subscribers that are killed at random moments, with the scripts of docs/how-to/subscribe.md.

While the log grows, they miss nothing, and what they keep has each change once.
"""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import groupby
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, Log
from ledger.sealing.feed import logged_change_json
from ledger.service import create_app
from ledger.stores import FolderStore
from tests.sealing.sealers import KEYRING, LOG_KEY, ledger_in
from tests.service.client import listening
from tests.test_docs import ROOT, blocks, saved_as

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "subscribe.md"
# More of them: LEDGER_TEST_KILLS=100 pytest -m slow --timeout 900 tests/test_subscribers.py
KILLS = int(os.environ.get("LEDGER_TEST_KILLS", "6"))
LIMIT = 100
IN_USE = 11
"""The exit code while a command of one that was killed is still running."""


class Register:
    """A register that grows in the background, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = ledger_in(FolderStore(folder / "titles"))
        self._memory = folder / "sealer.json"
        self._count = 0
        Log(self.ledger).seal(LOG_KEY, self._memory, genesis=True)

    def grow(self) -> None:
        """Append to two titles, and seal."""
        for _ in range(2):
            self._count += 1
            self.ledger.append(f"TN{self._count % 7}", {"n": self._count})
        Log(self.ledger).seal(LOG_KEY, self._memory, jobs=1)

    @contextmanager
    def growing(self, pause: float) -> Iterator[None]:
        stop = Event()

        def grow() -> None:
            while not stop.wait(pause):
                self.grow()

        thread = Thread(target=grow)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(LIMIT)

    def changes(self) -> list[object]:
        """All that a subscriber should have."""
        reader = Ledger.open(FolderStore(self.folder / "titles"), keyring=KEYRING)
        return [logged_change_json(change) for change in Log(reader).changes()]


@pytest.fixture
def register(tmp_path: Path) -> Register:
    home = tmp_path / "home" / "title-ledger"
    home.mkdir(parents=True)
    (home / "keyring.json").write_bytes(KEYRING.encode())
    for block in blocks(PAGE):
        name = saved_as(block)
        if name:
            (tmp_path / name).write_text(block.text.replace("sleep(5)", "sleep(0.05)"))
    return Register(tmp_path)


def kill_again_and_again(
    register: Register, following: list[str], ending: list[str], longest: float
) -> None:
    """Kill a subscriber at random moments, and let it end once when nothing more comes."""
    random = Random(KILLS)
    environment = os.environ | {"XDG_CONFIG_HOME": str(register.folder / "home")}
    with register.growing(longest / 4):
        for _ in range(KILLS):
            process = subprocess.Popen(
                following,
                cwd=register.folder,
                env=environment,
                start_new_session=True,
            )
            try:
                process.wait(random.uniform(0, longest))
            except subprocess.TimeoutExpired:
                # Half of the time what it runs lives on, as after a kill of this process alone.
                kill = os.killpg if random.random() < 0.5 else os.kill
                kill(process.pid, 9)
                process.wait(LIMIT)
    for _ in range(LIMIT):
        done = subprocess.run(
            ending, cwd=register.folder, env=environment, timeout=LIMIT, check=False
        )
        if done.returncode != IN_USE:
            break
        time.sleep(0.1)
    assert done.returncode == 0


def kept(file: Path) -> list[tuple[int, object]]:
    with sqlite3.connect(file) as copy:
        rows = copy.execute("SELECT leaf, json FROM changes ORDER BY leaf").fetchall()
    copy.close()
    return [(leaf, json.loads(text)) for leaf, text in rows]


@pytest.mark.slow
def test_a_command_for_each_change_misses_none_and_repeats_only_the_last(
    register: Register,
) -> None:
    python = shlex.quote(sys.executable)
    take = f"echo $LEDGER_CHANGE_LEAF >> ran; {python} take.py"
    command = [sys.executable, "-m", "cli", "changes", "--store", "titles", "--state", "place"]
    command += ["--exec", take]
    following = [*command, "--follow", "--every", "0.05s"]
    kill_again_and_again(register, following, command, 2.5)
    expected = register.changes()
    assert [json_ for _, json_ in kept(register.folder / "copy.sqlite")] == expected
    ran = [int(line) for line in (register.folder / "ran").read_text().split()]
    assert [leaf for leaf, _ in groupby(ran)] == list(range(len(expected)))
    assert len(ran) - len(expected) <= KILLS


@pytest.mark.slow
def test_a_subscriber_over_http_has_each_change_once(register: Register) -> None:
    service = Ledger.open(FolderStore(register.folder / "titles"), keyring=KEYRING)
    with listening(create_app(service)) as url:
        command = [sys.executable, "subscriber.py", url, "copy.sqlite"]
        kill_again_and_again(register, command, [*command, "once"], 0.6)
    found = [change for _, change in kept(register.folder / "copy.sqlite")]
    for change in found:
        assert isinstance(change, dict)
        change.pop("links")
    assert found == register.changes()
    assert len(found) > KILLS
