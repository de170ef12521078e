"""Every request to an S3 server breaks, in every way: in several processes, a server for each."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.local.parallel import cores
from tests import servers
from tests.faults.tally import Tally, part
from tests.faults.wire import FAULTS, STALLS, altered
from tests.faults.wire_works import NAME, WORKS, AppendBatch, Import, Seal, Striking, Verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import SimpleQueue

    from tests.faults.proxy import Between
    from tests.faults.wire_works import Work

    Task = tuple[type[Work], Between, bool, int]

STRIDES: dict[type[Work], int] = {AppendBatch: 3, Import: 3, Seal: 3}
"""Of the longer ones, every so-many-th request stalls: each takes seconds, spent waiting. And what
breaks for good does so from every second request on."""


def tasks() -> Iterator[Task]:
    """What is to be tried: a work, a fault, whether it stays, and a stride. The longest first."""
    for work in sorted(WORKS, key=lambda each: each not in STRIDES):
        for stall in STALLS:
            yield work, stall, False, STRIDES.get(work, 1)
        for fault in FAULTS:
            if (work, fault) == (Verify, altered):
                continue  # what was altered on the way is called damaged, and has to be
            yield work, fault, False, 1
            yield work, fault, True, 2 if work in STRIDES else 1


@part(NAME)
def every_request() -> Iterator[Tally]:
    context = multiprocessing.get_context("spawn")
    workers = cores() + 1  # stalls wait
    total = Tally(NAME)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="title-ledger-")))
        urls: SimpleQueue[str] = context.SimpleQueue()
        for number in range(workers):
            urls.put(stack.enter_context(servers.moto(folder / f"log-{number}")))
        pool = stack.enter_context(context.Pool(workers, _begin, (urls, folder)))
        for tally in pool.imap_unordered(_run, tasks()):
            total.add(tally)
    yield total


striking: Striking
"""Of this process, before a server of its own."""


def _begin(urls: SimpleQueue[str], folder: Path) -> None:
    global striking  # noqa: PLW0603 -- a process of a pool has no other place for it
    os.environ.update(servers.CREDENTIALS)
    url = urls.get()
    striking = Striking(url, servers.client_of(url), folder)


def _run(task: Task) -> Tally:
    work, fault, for_good, stride = task
    return striking(work, fault, for_good=for_good, step=stride)
