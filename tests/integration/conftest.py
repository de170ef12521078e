"""A real Ceph for the tests of this folder: ``pytest -m ceph``.

It is installed for the run and removed with it; ``LEDGER_TEST_CEPH`` names a folder to keep it in.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import ceph
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_IN = os.environ.get("LEDGER_TEST_CEPH", "")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ceph.Ceph]:
    """A cluster that is up; skips where there can be none."""
    folder = Path(KEPT_IN) if KEPT_IN else tmp_path_factory.mktemp("ceph") / "root"
    try:
        ceph.check_machine()
        ceph.install(folder)
        with ceph.running(folder, free_port()) as up:
            print(f"\n{up.version}")
            yield up
    except ceph.CannotRunError as why:
        pytest.skip(str(why))
    finally:
        if not KEPT_IN:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def client(cluster: ceph.Ceph) -> Any:
    """A client of the owner of the buckets."""
    return cluster.owner.client(cluster.url)
