"""Work in chunks on any executor: the same results, in order, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.local.parallel import in_chunks, twice
from ledger.local.processes import Processes
from ledger.stores import FolderStore, MemoryStore
from tests.local.works import check_titles, end_in_a_worker, shout, stores_of

ROOT = Path(__file__).parents[2]
WORDS = [f"w{number}" for number in range(40)]


@pytest.fixture(scope="module")
def processes():
    with Processes(2) as executor:
        yield executor


@pytest.mark.parametrize("kind", ["processes", "plain processes", "threads", "none"])
def test_results_come_in_the_order_of_the_items(kind, processes):
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(1, get_context("spawn")) as plain:
        executor = {"processes": processes, "plain processes": plain, "threads": threads}.get(kind)
        answers = list(in_chunks(WORDS, partial(shout, "!"), 2, executor=executor, chunk=3))
    assert [word for word, _ in answers] == [f"{word.upper()}!" for word in WORDS]
    assert (os.getpid() in {process for _, process in answers}) == ("processes" not in kind)


def test_what_the_work_raises_is_raised_here_and_the_executor_goes_on(processes):
    results = in_chunks(["TN1", "no", "TN2"], check_titles, 1, executor=processes, chunk=1)
    assert next(results) == "TN1"
    with pytest.raises(InvalidError, match="not a title number") as raised:
        next(results)
    assert raised.value.hint
    results = in_chunks(["TN1", "TN2"], check_titles, 1, executor=processes, chunk=1)
    assert list(results) == ["TN1", "TN2"]


def test_what_a_killed_process_would_have_done_is_done_here():
    work = partial(end_in_a_worker, os.getpid())
    with Processes(2) as executor:
        found = list(in_chunks(WORDS, work, 2, executor=executor, chunk=3))
        assert found == [word.upper() for word in WORDS]
        found = list(in_chunks(WORDS, work, 2, executor=executor, chunk=3))
    assert found == [word.upper() for word in WORDS]


class Counting(ThreadPoolExecutor):
    """Notes how many tasks were handed over and not taken back, and never does any."""

    futures: list[Future]

    def submit(self, fn, /, *args):
        self.futures.append(Future())
        return self.futures[-1]


def test_few_chunks_are_under_way_and_those_not_begun_are_cancelled():
    executor = Counting(1)
    executor.futures = []
    taken = []

    def items():
        for number in range(100):
            if number == 4:
                for future in executor.futures[:1]:
                    future.set_result(["first"])
            taken.append(number)
            yield number

    results = in_chunks(items(), list, 2, executor=executor, chunk=1)
    assert next(results) == "first"
    assert (len(executor.futures), len(taken)) == (5, 5)
    results.close()
    assert [future.cancelled() for future in executor.futures] == [False] + [True] * 4


def test_closing_does_not_wait_for_the_work_under_way():
    release = Event()

    def work(numbers):
        if numbers != [0]:
            release.wait(30)
        return numbers

    begun = time.monotonic()
    results = in_chunks(range(20), work, 2, chunk=1)
    assert next(results) == 0
    results.close()
    assert time.monotonic() - begun < 20
    release.set()


def test_a_store_in_memory_does_not_go_to_other_processes(processes, tmp_path):
    stores = [FolderStore(tmp_path), FolderStore(tmp_path)]
    found = list(in_chunks(stores, stores_of, 1, executor=processes, chunk=1))
    assert found == ["FolderStore"] * 2
    with pytest.raises(InvalidError, match="memory: can't be used from other processes"):
        list(in_chunks([MemoryStore()] * 2, stores_of, 1, executor=processes, chunk=1))


START = """
import os, sys, time
from functools import partial
from ledger.local.parallel import in_chunks
from ledger.local.processes import Processes
from tests.local.works import shout
executor = Processes(2)
answers = in_chunks(list("abcdefgh"), partial(shout, ""), 2, executor=executor, chunk=1)
"""


def alive(processes):
    return [each for each in processes if Path(f"/proc/{each}").exists()]


def wait_for_their_end(processes):
    deadline = time.monotonic() + 30
    while alive(processes):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(*arguments, path=ROOT):
    """A Python in a group of its own, ended whatever happens."""
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{path}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def test_processes_end_with_their_parent_even_if_it_is_killed():
    code = START + "print(*{each[1] for each in answers}, flush=True); os.kill(os.getpid(), 9)"
    with running("-c", code) as child:
        out, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert out.split()
    assert b"Traceback" not in err
    wait_for_their_end([int(process) for process in out.split()])


@pytest.mark.parametrize("seconds", [0, 0.1, pytest.param(0.4, marks=pytest.mark.slow)])
def test_ctrl_c_is_heard_by_the_parent_only(seconds):
    """At whatever moment it comes: while the processes start, or later."""
    code = f"""{START}
print("ready", flush=True)
try:
    next(answers)
    time.sleep(30)
except KeyboardInterrupt:
    executor.shutdown(wait=False, cancel_futures=True)
    print("heard", flush=True)
"""
    with running("-c", code) as child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, b"heard\n", b"")


@pytest.mark.parametrize(
    "how", ["script", *(pytest.param(how, marks=pytest.mark.slow) for how in ("stdin", "module"))]
)
def test_processes_start_however_python_was_started_and_do_not_run_it_again(how, tmp_path):
    code = "print('once')\n" + START + "print(os.getpid() in {each[1] for each in answers})"
    (tmp_path / "script.py").write_text(code)
    argument = {"stdin": "-", "module": "-mscript", "script": str(tmp_path / "script.py")}[how]
    with running(argument, path=tmp_path) as child:
        out, err = child.communicate(code.encode(), timeout=60)
    assert (child.returncode, out, err) == (0, b"once\nFalse\n", b"")


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 20))
def test_two_readers_get_the_same_items_whoever_is_ahead(turns, count):
    readers = twice(iter(range(count)))
    got: tuple[list[int], list[int]] = ([], [])
    for turn in [*turns, *[False] * count, *[True] * count]:
        got[turn].extend(islice(readers[turn], 1))
    assert got == ([*range(count)],) * 2


def test_what_both_have_read_is_let_go():
    class Large:
        pass

    made: list[weakref.ref[Large]] = []

    def items():
        for _ in range(10):
            item = Large()
            made.append(weakref.ref(item))
            yield item

    ahead, behind = twice(items())
    for _ in zip(ahead, behind, strict=True):
        assert sum(each() is not None for each in made) <= 2
