"""What an error says of what was written, held against what is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ledger.format.layout import LEDGER_KEY, LOG_CHECKPOINT, LOG_STATE, PACKS, head_key

if TYPE_CHECKING:
    from ledger.errors import LedgerError
    from ledger.stores import Store
    from tests.faults.tally import Tally

NOTHING = re.compile(
    r"nothing was (?:written|done|changed|sealed|appended(?: to (?P<title>[^\s:]+))?)"
)

Decisive = dict[str, bytes]
"""The objects that say what a ledger, its log and its packs are; no leftover is among them."""


def decisive(store: Store) -> Decisive:
    found = store.get_many([key for key in store.list() if _is_decisive(key)])
    return {key: blob.data for key, blob in found if blob}


def _is_decisive(key: str) -> bool:
    in_log = key in {LEDGER_KEY, LOG_STATE, LOG_CHECKPOINT}
    return in_log or key.startswith(PACKS) or key.endswith("/head.json")


def check_said(
    tally: Tally, where: str, error: LedgerError, before: Decisive, after: Decisive
) -> None:
    """Nothing was written where the error, or its hint, says so: of a title, or at all."""
    for said in NOTHING.finditer(f"{error}; {error.hint}"):
        title = said["title"]
        keys = {head_key(title)} if title else before.keys() | after.keys()
        changed = sorted(key for key in keys if before.get(key) != after.get(key))
        tally.check(not changed, "unclear", f"{where}: {said[0]!r}, and {changed} changed: {error}")
