"""The audit of many titles in a folder, against what their signatures alone take on all cores."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import nacl.bindings

from benchmarks import worlds
from benchmarks.harness import (
    Case,
    Claim,
    Table,
    claims_table,
    duration,
    number,
    take_turns,
    times_table,
)
from ledger import Processes
from ledger.local.parallel import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness import Size
    from ledger import Ledger

SAMPLE = 20_000
"""How many signatures are checked by themselves: they are all alike."""

ALONE = "the signatures alone, on all cores"
THREADS, PROCESSES = "ledger.verify_all, in threads", "ledger.verify_all, in processes"


def run(size: Size) -> Iterator[Table]:
    titles = max(size.entries // worlds.VERSIONS, 1)
    with tempfile.TemporaryDirectory() as scratch:
        path = worlds.folder(Path(scratch) / "titles", titles, worlds.VERSIONS)
        ledger = worlds.open_ledger(str(path))
        entries = (entry for name in ledger.titles() for entry in ledger.log(name))
        inputs = [worlds.signature_of(each).joined for each in islice(entries, SAMPLE)]
        count = titles * worlds.VERSIONS

        def in_threads() -> None:
            worlds.check(ledger.verify_all(), count)

        def in_processes() -> None:
            with Processes(cores()) as executor:
                worlds.check(ledger.verify_all(executor=executor), count)

        cases = [
            Case(ALONE, len(inputs), lambda: on_all_cores(inputs)),
            Case(THREADS, count, in_threads),
            Case(PROCESSES, count, in_processes),
        ]
        times = take_turns(cases, size.rounds)
        serial: dict[str, Callable[[], tuple[float, float]]] = {
            "in threads": lambda: with_the_lock(ledger, inputs, count),
            "in processes": lambda: in_this_process(in_processes, count),
        }
        rows = [
            (name, *map(median, zip(*(measure() for _ in range(size.rounds)), strict=True)))
            for name, measure in serial.items()
        ]
    what = f"{titles:,} titles of {worlds.VERSIONS} versions in a folder, warm"
    yield times_table(what, times)
    claims = [Claim(THREADS, ALONE), Claim(PROCESSES, ALONE, at_most=1.4)]
    yield claims_table("An audit against its signatures", times, claims)
    yield Table(
        "What of it is done one after another, however many cores there are",
        ("", "processor time of an entry", "of it one after another", "share", "cores kept busy"),
        [
            (name, duration(whole), duration(alone), f"{alone / whole:.1%}", number(whole / alone))
            for name, whole, alone in rows
        ],
    )


def with_the_lock(ledger: Ledger, inputs: list[bytes], count: int) -> tuple[float, float]:
    """Measure an entry's processor time, and what of it no other thread of Python can run beside.

    That is all but the check of the signature, which lets the interpreter's lock go.
    """
    whole = processor(lambda: worlds.check(ledger.verify_all(jobs=1), count)) / count
    signature = processor(lambda: check_signatures(inputs)) / len(inputs)
    return whole, whole - signature


def in_this_process(verify: Callable[[], None], count: int) -> tuple[float, float]:
    """Measure an entry's processor time in all processes, and in the one that asks the others."""
    before = ended()
    alone = processor(verify) / count
    return alone + (ended() - before) / count, alone


def processor(work: Callable[[], None]) -> float:
    """Return the seconds of processor time of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ended() -> float:
    """Return the seconds of processor time of the processes that were started here and ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check_signatures(inputs: list[bytes]) -> None:
    for joined in inputs:
        nacl.bindings.crypto_sign_open(joined, worlds.KEY.public_key.raw)


def on_all_cores(inputs: list[bytes]) -> float:
    """The seconds that checking takes in as many processes as there are cores, once they run."""
    context = multiprocessing.get_context("fork")
    ready, done = context.Barrier(cores() + 1), context.Barrier(cores() + 1)

    def check(mine: list[bytes]) -> None:
        ready.wait()
        check_signatures(mine)
        done.wait()

    shares = [inputs[number :: cores()] for number in range(cores())]
    processes = [context.Process(target=check, args=(share,)) for share in shares]
    for process in processes:
        process.start()
    ready.wait()
    start = time.perf_counter()
    done.wait()
    took = time.perf_counter() - start
    for process in processes:
        process.join()
    return took
