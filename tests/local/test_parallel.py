"""Other processes: they do what this one would, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ledger.errors import InvalidError
from ledger.format.layout import check_title_number
from ledger.local.parallel import in_chunks
from ledger.local.workers import Workers


def shout(mark, words):
    return [(word.upper() + mark, os.getpid()) for word in words]


def make_shout(mark):
    return partial(shout, mark)


def make_check():
    return check_title_number


def test_tasks_are_done_elsewhere_and_answered_in_order():
    words = [f"w{number}" for number in range(40)]
    with Workers(partial(make_shout, "!"), 2) as workers:
        answers = list(in_chunks(words, workers.work, 2, chunk=3))
    assert [word for word, _ in answers] == [f"{word.upper()}!" for word in words]
    assert os.getpid() not in {process for _, process in answers}


def test_what_the_work_raises_is_raised_and_the_worker_goes_on():
    with Workers(make_check, 1) as workers:
        with pytest.raises(InvalidError, match="not a title number"):
            workers.work("no")
        assert workers.work("TN1") == "TN1"


def test_what_a_killed_worker_would_have_done_is_done_here():
    with Workers(partial(make_shout, ""), 1) as workers:
        ((_, process),) = workers.work(["a"])
        assert process != os.getpid()
        os.kill(process, signal.SIGKILL)
        assert workers.work(["b"]) == [("B", os.getpid())]


def test_without_a_python_to_start_all_is_done_here(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Workers(partial(make_shout, ""), 2) as workers:
        assert workers.work(["a"]) == [("A", os.getpid())]


def test_workers_end_with_their_parent_however_it_ends():
    code = """
import os, sys
from functools import partial
from ledger.local.workers import Workers
from tests.local.test_parallel import make_shout
workers = Workers(partial(make_shout, ""), 2)
print(*{workers.work(["a"])[0][1] for _ in range(8)}, flush=True)
os.kill(os.getpid(), 9)
"""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, check=False, timeout=60
    )
    children = [Path(f"/proc/{number.decode()}") for number in run.stdout.split()]
    assert run.returncode == -signal.SIGKILL
    assert children
    deadline = time.monotonic() + 30
    while any(child.exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)
