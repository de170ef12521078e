"""``ledger changes``: the feed, on a terminal, for a command, and for a subscriber who resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ledger.local.files import lock_file
from tests.cli.shell import ORIGIN, PATIENCE, TITLE, Shell
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def sealed_made(title_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = title_made.copied_to(tmp_path_factory.mktemp("sealed") / "made")
    made("key generate --for log")
    made("append TN2 --set a=b --new --kind migration --reference 'case 8' --close")
    made("seal --genesis")
    return made


@pytest.fixture
def sealed(sealed_made: Shell, tmp_path: Path) -> Shell:
    """A shell whose log has four leaves: TN1234567 in three versions, and TN2, which is closed."""
    return sealed_made.copied_to(tmp_path / "work")


def add(shell: Shell, *titles: str) -> None:
    """Append to titles, and seal."""
    for title in titles:
        shell(f"append {title} --set more=yes --new -q")
    shell("seal -q")


def leaves(lines: list[str]) -> list[int]:
    return [json.loads(line)["leaf"] for line in lines]


def test_the_feed_is_in_the_order_of_the_log(sealed: Shell) -> None:
    lines = sealed("changes").lines
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"]
    assert f"{TITLE} v2" in lines[1]
    assert lines[1].endswith("case-7")
    assert lines[3].endswith("migration case 8 closed")
    addresses = sealed.addresses()
    found = sealed("changes --json").objects
    assert [each["leaf"] for each in found] == [0, 1, 2, 3]
    assert [each["address"] for each in found[:3]] == addresses
    assert found[2]["effective_at"] == "2026-01-31"
    assert sealed("changes --after 0 --limit 2 --json").objects == found[1:3]
    assert sealed("changes --after 3").lines == sealed("changes -n 0").lines == []
    assert sealed("changes --quiet").lines == []
    assert "the log has no leaf 4: it has 4 leaves" in sealed.fails(65, "changes --after 4")


def test_without_a_log_it_says_so(title: Shell) -> None:
    assert "there is no log" in title.fails(10, "changes")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("changes --every 1s", "--every needs --follow"),
        ("changes --exec true --json", "leave --json out"),
        ("changes --after -1", "--after"),
        ("changes --follow --every 0s", "not a length of time"),
    ],
)
def test_what_makes_no_sense_is_refused(sealed: Shell, line: str, said: str) -> None:
    assert said in sealed.fails(2, line)


# --- a command for each change --------------------------------------------------------------------

TAKE = "cat >> taken; test $LEDGER_CHANGE_LEAF != $STOP"


def taken(shell: Shell) -> list[Any]:
    file = shell.folder / "taken"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_command_gets_each_change_and_the_first_failure_ends_it(sealed: Shell) -> None:
    said = sealed.fails(1, "changes --exec", TAKE, STOP="1")
    assert f"leaf 1 ({TITLE} version 2): {TAKE} ended with exit code 1" in said
    assert "'ledger changes --after 0' resumes there" in said
    assert taken(sealed) == sealed("changes --json").objects[:2]
    said = sealed.fails(1, "changes --exec", "kill -9 $$")
    assert "ended with signal 9" in said
    assert "'ledger changes' resumes there" in said
    line = "changes -n 1 --exec"
    names = ("LEAF", "TITLE_NUMBER", "VERSION", "ADDRESS")
    show = " ".join(f"$LEDGER_CHANGE_{name}" for name in names)
    sealed(line, f"echo {show} > shown")
    shown = (sealed.folder / "shown").read_text().split()
    assert shown == ["0", TITLE, "1", sealed.addresses()[0]]


def test_a_state_is_kept_after_the_command_succeeded(sealed: Shell) -> None:
    said = sealed.fails(1, "changes --state place --exec", TAKE, STOP="2")
    assert "the same command again resumes there" in said
    place = sealed.folder / "place"
    assert place.stat().st_mode & 0o777 == 0o600
    kept = json.loads(place.read_bytes())
    assert (kept["leaf"], kept["origin"]) == (1, ORIGIN)
    assert kept["checkpoint"].encode() == sealed("checkpoint -q").data
    sealed("changes --state place --exec", TAKE, STOP="9")
    assert [each["leaf"] for each in taken(sealed)] == [0, 1, 2, 2, 3]
    sealed("changes --state place --exec", TAKE, STOP="9")
    assert "--after is for a new file" in sealed("changes --state place --after 0").err
    add(sealed, "TN5")
    assert leaves(sealed("changes --state place --json").lines) == [4]
    assert sealed("changes --state place --json").lines == []
    # One leaf is passed over on purpose, and what the log was is still remembered.
    add(sealed, "TN6", "TN7")
    sealed("changes --state place --limit 1 --exec true")
    assert leaves(sealed("changes --state place --json").lines) == [6]


def test_a_new_state_begins_where_it_is_told_to(sealed: Shell) -> None:
    assert leaves(sealed("changes --state place --after 2 --json").lines) == [3]
    sealed("changes --state other --after 3")
    assert json.loads((sealed.folder / "other").read_bytes())["leaf"] == 3
    add(sealed, "TN5")
    assert leaves(sealed("changes --state other --json").lines) == [4]


def test_a_new_state_does_not_keep_a_leaf_that_the_log_never_had(sealed: Shell) -> None:
    assert "no leaf 9" in sealed.fails(65, "changes --state place --after 9")
    assert not (sealed.folder / "place").exists()


def test_a_state_that_is_not_this_subscriber_s_is_refused(sealed: Shell) -> None:
    sealed("changes --state place -q")
    place = sealed.folder / "place"
    good = place.read_text()
    for bad in ("", "{}", good.replace(":1", ":2"), good.replace('"leaf":3', '"leaf":-3')):
        place.write_text(bad)
        assert "not the state of a subscriber" in sealed.fails(65, "changes --state place")
    place.write_text(good.replace("}", ',"more":1}'))
    assert "not the state of a subscriber" in sealed.fails(65, "changes --state place")
    place.write_text(good.replace(f'"origin":"{ORIGIN}"', '"origin":"example.org/other"'))
    assert "is about example.org/other" in sealed.fails(12, "changes --state place")
    place.write_text(good.replace(f"{ORIGIN}\\n4", f"{ORIGIN}\\n3"))
    sealed.fails(20, "changes --state place")  # the log's key did not sign that
    place.write_text(good.replace('"leaf":3', '"leaf":4'))
    assert "no leaf 4" in sealed.fails(65, "changes --state place")
    place.write_text(good)
    place.chmod(0o666)
    assert "can be written by others" in sealed.fails(12, "changes --state place")
    assert "inside the store" in sealed.fails(65, "changes --state ledger-data/place")


# --- a log that was set back ----------------------------------------------------------------------


def test_a_log_that_does_not_continue_what_was_seen_is_refused(sealed: Shell) -> None:
    before = sealed.folder / "before"
    shutil.copytree(sealed.store, before)
    memory = sealed.home / ".local" / "state"
    shutil.copytree(memory, sealed.folder / "memory")
    add(sealed, "TN5", "TN6")
    sealed("changes --state place --quiet")
    kept = (sealed.folder / "place").read_bytes()

    def set_back() -> None:
        shutil.rmtree(sealed.store)
        shutil.copytree(before, sealed.store)

    set_back()
    said = sealed.fails(20, "changes --state place")
    assert "had 6 by a checkpoint from before" in said
    shutil.rmtree(memory)
    shutil.copytree(sealed.folder / "memory", memory)
    add(sealed, "TN7", "TN8", "TN9")  # a fork, and larger
    said = sealed.fails(20, "changes --state place --exec", "touch ran")
    assert "the log was rewritten, or forked" in said
    shutil.rmtree(sealed.store / "_log")
    assert "the log is gone" in sealed.fails(20, "changes --state place")
    assert (sealed.folder / "place").read_bytes() == kept
    assert not (sealed.folder / "ran").exists()


# --- following ------------------------------------------------------------------------------------


class Follower:
    """``ledger changes --follow`` as a process, whose lines are read as they come."""

    def __init__(self, shell: Shell, line: str = "", **options: Any) -> None:
        self._process = shell.popen(
            f"changes --follow --every 0.1s --json {line}",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def leaf(self) -> int:
        assert self._process.stdout is not None
        found: int = json.loads(self._process.stdout.readline())["leaf"]
        return found

    def says(self) -> str:
        """The next line of what it says beside that."""
        assert self._process.stderr is not None
        return self._process.stderr.readline().decode()

    def end(self, number: signal.Signals) -> tuple[int, bytes]:
        """Send a signal, and return the exit code and what was said."""
        self._process.send_signal(number)
        _, said = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, said

    def close(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=PATIENCE)


@pytest.fixture
def following(sealed: Shell) -> Iterator[Follower]:
    follower = Follower(sealed, "--state place")
    yield follower
    follower.close()


def test_what_is_sealed_later_follows_and_a_store_that_is_away_is_waited_for(
    sealed: Shell, following: Follower
) -> None:
    assert [following.leaf() for _ in range(4)] == [0, 1, 2, 3]
    assert "in use by another process" in sealed.fails(11, "changes --state place")
    add(sealed, "TN5")
    assert following.leaf() == 4
    sealed.store.rename(sealed.folder / "away")
    assert "trying again" in following.says()
    (sealed.folder / "away").rename(sealed.store)
    add(sealed, "TN6")
    assert following.leaf() == 5
    code, said = following.end(signal.SIGTERM)
    assert code == 0
    assert b"trying again" not in said  # it was said once
    assert json.loads((sealed.folder / "place").read_bytes())["leaf"] == 5


def test_what_cannot_be_recorded_ends_it(sealed: Shell) -> None:
    place = sealed.folder / "kept" / "place"
    place.parent.mkdir()
    follower = Follower(sealed, "--state kept/place")
    try:
        assert [follower.leaf() for _ in range(4)] == [0, 1, 2, 3]
        wait_until(lambda: json.loads(place.read_bytes())["leaf"] == 3)
        shutil.rmtree(place.parent)
        add(sealed, "TN5")
        given_out, said = follower._process.communicate(timeout=PATIENCE)
        assert (follower._process.returncode, given_out) == (13, b"")
        assert b"how far this is can't be recorded" in said
    finally:
        follower.close()


@pytest.mark.parametrize("ignoring", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ctrl_c_ends_it_and_where_that_is_ignored_sigterm_does(
    sealed: Shell, ignoring: bool
) -> None:
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    follower = Follower(sealed, **(ignore if ignoring else {}))
    try:
        assert [follower.leaf() for _ in range(4)] == [0, 1, 2, 3]
        if ignoring:
            follower._process.send_signal(signal.SIGINT)
            add(sealed, "TN5")
            assert follower.leaf() == 4
        assert follower.end(signal.SIGTERM if ignoring else signal.SIGINT) == (0, b"")
    finally:
        follower.close()


@pytest.mark.slow
def test_a_log_that_is_set_back_under_a_follower_ends_it(sealed: Shell) -> None:
    shutil.copytree(sealed.store / "_log", sealed.folder / "before")
    add(sealed, "TN5")
    follower = Follower(sealed)
    try:
        assert [follower.leaf() for _ in range(5)] == [0, 1, 2, 3, 4]
        (sealed.folder / "before" / "checkpoint").replace(sealed.store / "_log" / "checkpoint")
        _, said = follower._process.communicate(timeout=PATIENCE)
        assert follower._process.returncode == 20
        assert b"an older state is served, or it was set back" in said
    finally:
        follower.close()


def test_a_command_that_outlives_a_kill_is_not_run_beside_itself(sealed: Shell) -> None:
    wait = "touch began; read go < go; echo $LEDGER_CHANGE_LEAF >> done"
    os.mkfifo(sealed.folder / "go")
    process = sealed.popen("changes --state place --exec '" + wait + "'")
    wait_until((sealed.folder / "began").exists)
    process.kill()
    process.wait(PATIENCE)
    assert "a command that --exec began may still be running" in sealed.fails(
        11, "changes --state place"
    )
    (sealed.folder / "go").write_text("\n")
    with lock_file(sealed.folder / "place.lock"):  # it has ended
        assert (sealed.folder / "done").exists()
    assert leaves(sealed("changes --state place --json").lines) == [0, 1, 2, 3]
