"""The audit of many titles in a folder, against what their signatures alone take on all cores."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import nacl.bindings

from benchmarks import worlds
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table
from ledger import Processes
from ledger.local.parallel import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table

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
    what = f"{titles:,} titles of {worlds.VERSIONS} versions in a folder, warm"
    yield times_table(what, times)
    claims = [Claim(THREADS, ALONE), Claim(PROCESSES, ALONE, at_most=1.4)]
    yield claims_table("An audit against its signatures", times, claims)


def on_all_cores(inputs: list[bytes]) -> float:
    """The seconds that checking takes in as many processes as there are cores, once they run."""
    context = multiprocessing.get_context("fork")
    ready, done = context.Barrier(cores() + 1), context.Barrier(cores() + 1)

    def check(mine: list[bytes]) -> None:
        ready.wait()
        for joined in mine:
            nacl.bindings.crypto_sign_open(joined, worlds.KEY.public_key.raw)
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
