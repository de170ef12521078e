"""Where many titles are verified: on threads, in processes, or by the workers of a Dask cluster."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from ledger import InvalidError, Ledger, LedgerError, UnsupportedFormatError
from ledger.errors import StoreUnavailable
from ledger.local.parallel import cores, other_software, software
from ledger.stores import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from pathlib import Path

MANY = 1_000
"""Titles from which on it pays to start processes."""

LARGE = 16 << 20
"""Bytes of a bundle from which on it does."""

ADDRESS = re.compile(r"(tcp|tls)://[^\s/@]+:[0-9]{1,5}")

PATIENCE = 30
"""Seconds for a cluster to answer, and to have a worker."""


class Workers(NamedTuple):
    """What a verification is given: an executor, if any, and how many tasks it works on at once."""

    executor: Executor | None
    jobs: int | None


@contextmanager
def workers_for(
    ledger: Ledger, titles: list[str] | None, jobs: int | None, cluster: str | None = None
) -> Iterator[Workers]:
    """Connect to the cluster; else, make processes for many titles in a folder, nothing for others.

    Reading and decoding such a title takes nearly as long as checking its signatures, and threads
    would do that in turns.
    """
    if cluster is not None:
        with _cluster(ledger, cluster, jobs) as workers:
            yield workers
        return
    count = jobs or cores()
    if count == 1 or type(ledger.store) is not FolderStore or not _are_many(ledger, titles):
        yield Workers(None, jobs)
        return
    with _processes(count) as workers:
        yield workers


@contextmanager
def workers_for_bundle(bundle: Path, jobs: int | None) -> Iterator[Workers]:
    """Make processes for a large bundle, and nothing for another, or for a pipe."""
    count = jobs or cores()
    if count == 1 or bundle.stat().st_size < LARGE:
        yield Workers(None, jobs)
        return
    with _processes(count) as workers:
        yield workers


@contextmanager
def _processes(count: int) -> Iterator[Workers]:
    from ledger.local.processes import Processes  # noqa: PLC0415 -- slow to load

    # After a Ctrl-C the resource tracker cleans up what they leave, and need not say so.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    processes = Processes(count)
    try:
        yield Workers(processes, count)
    finally:
        # This waits for a process that is just being started, which would complain otherwise.
        processes.shutdown(wait=False, cancel_futures=True)


def _are_many(ledger: Ledger, titles: list[str] | None) -> bool:
    try:
        return len(list(islice(ledger.titles() if titles is None else titles, MANY))) == MANY
    except LedgerError:
        return False  # the verification will hit the error again


@contextmanager
def _cluster(ledger: Ledger, address: str, jobs: int | None) -> Iterator[Workers]:
    """Use the workers of a Dask cluster; each opens the store for itself."""
    if not ADDRESS.fullmatch(address):
        raise typer.BadParameter("--dask needs the scheduler's address: tcp://HOST:PORT, or tls://")
    import logging  # noqa: PLC0415 -- slow to load
    import pickle  # noqa: PLC0415

    try:
        pickle.dumps(ledger.store)
    except InvalidError as error:
        error.hint = "without --dask this machine does all of it"
        raise
    try:
        from distributed import Client  # noqa: PLC0415 -- an extra, and slow to load
    except ImportError as error:
        raise InvalidError(
            "--dask needs Dask's scheduler",
            hint="in the clone of the source: pip install '.[dask]'",
        ) from error
    # What is lost is done again, or here: no reason to fill the terminal.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    connect: Any = Client  # it has no types
    try:
        client = connect(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StoreUnavailable(
            f"cannot reach the cluster at {address}: {error}",
            hint="'dask scheduler' prints its address",
        ) from error
    try:
        threads = _check_workers(client, address)
        yield Workers(client.get_executor(pure=False), jobs or threads)
    finally:
        client.close(timeout=2)


def _check_workers(client: Any, address: str) -> int:
    """Return how many threads the workers have; they must have the very same software."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
        found = client.run(software)
    except TimeoutError as error:
        raise StoreUnavailable(
            f"the cluster at {address} has no worker", hint=f"start one: dask worker {address}"
        ) from error
    except Exception as error:
        raise UnsupportedFormatError(
            f"a worker of {address} can't do it: {error}",
            hint="install the same version on every worker",
        ) from error
    for worker, there in found.items():
        if there != software():
            raise other_software(f"the worker {worker}", there, software())
    return int(sum(client.nthreads().values()))
