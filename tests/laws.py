"""How many examples of a law a run tries."""

from __future__ import annotations

import os

THOROUGH = "LEDGER_TEST_THOROUGH" in os.environ


def examples(number: int) -> int:
    """So many in a thorough run, and a quarter by default: a law that is broken fails early."""
    return number if THOROUGH else max(number // 4, 10)
