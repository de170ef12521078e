"""Find the data beside the repository that some tests read, or skip with the reason.

``LEDGER_CORPORA`` names the folder of third-party data; without it, ``../shared/corpora`` beside
the repository. Vectors of the format by other hands are in ``vectors`` beside that folder. Nothing
of it is copied into the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read when the tests are collected: later, no test sees the developer's LEDGER_* variables.
CORPORA = Path(
    os.environ.get("LEDGER_CORPORA") or Path(__file__).parents[2] / "shared" / "corpora"
).absolute()

VECTORS = CORPORA.parent / "vectors"


def files(pattern: str) -> list[Path]:
    """The files of the corpora that match, sorted; none where the corpora are absent."""
    return sorted(CORPORA.glob(pattern))


def needs(pattern: str) -> pytest.MarkDecorator:
    """Skip a test where the corpora lack these files."""
    return pytest.mark.skipif(
        not files(pattern), reason=f"no {pattern} in {CORPORA} (LEDGER_CORPORA names the folder)"
    )


def params(pattern: str) -> list[object]:
    """The files as test parameters; one that is skipped, with the reason, where there are none."""
    found = [pytest.param(path, id=path.stem) for path in files(pattern)]
    return found or [pytest.param(None, id="none", marks=needs(pattern))]
