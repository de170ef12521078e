"""Leaves that a thief of the log's key may have made: what they name counts only if it is there.

A trust file that revokes a key of the log says from which leaf on the thief may have signed.
``docs/spec.md``, "Trust files in the log".
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ledger.format import layout
from ledger.format.entry import address_of, parent_hint, version_hint
from ledger.titles.trust_files import accepted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.format.keyring import Keyring
    from ledger.stores.base import Store


def disowned_ranges(keyring: Keyring) -> tuple[tuple[int, int], ...]:
    """The leaves that revoked keys of the log may have made, as ranges of their indexes."""
    accepted = accepted_by(keyring)
    return accepted.disowned if accepted else ()


def is_doubtful(keyring: Keyring, at: int) -> bool:
    """Whether a revoked key of the log may have made the leaf of this index."""
    accepted = accepted_by(keyring)
    return accepted is not None and accepted.is_disowned(at)


def find_bogus(
    store: Store,
    keyring: Keyring,
    title_number: str,
    leaves: Iterable[tuple[int, str, int]],
    logged: int = 0,
) -> set[int]:
    """Find the leaves of a title that are disowned: a thief made them, or may as well have.

    ``leaves`` are versions, addresses and indexes, all from some index on; ``logged`` is the last
    version that the leaves before them name. A doubtful leaf is disowned if the title's chain does
    not have its entry, or if it leaves out a version: no sealer would log it then. Nothing of the
    chain is checked here: who relies on it verifies it.
    """
    return find_disowned(keyring, leaves, partial(_those_there, store, title_number), logged)


def find_disowned(
    keyring: Keyring,
    leaves: Iterable[tuple[int, str, int]],
    find_there: Callable[[set[tuple[int, str]]], set[tuple[int, str]]],
    logged: int = 0,
) -> set[int]:
    """Do what ``find_bogus`` does; ``find_there`` tells which entries are in the title's chain."""
    accepted = accepted_by(keyring)
    if accepted is None or not accepted.disowned:
        return set()
    rows = sorted(leaves, key=lambda row: row[2])
    doubtful = {at: (version, address) for version, address, at in rows if accepted.is_disowned(at)}
    if not doubtful:
        return set()
    there = find_there(set(doubtful.values()))
    bogus = set()
    for version, address, at in rows:
        if at in doubtful and (version > logged + 1 or (version, address) not in there):
            bogus.add(at)
        else:
            logged = max(logged, version)
    return bogus


def _those_there(
    store: Store, title_number: str, named: set[tuple[int, str]]
) -> set[tuple[int, str]]:
    """The entries that are in the title's chain or, if that breaks off, in the store."""
    there: set[tuple[int, str]] = set()
    lowest = min(version for version, _ in named)
    head = store.get(layout.head_key(title_number))
    data = head.data if head else b""
    before = inf
    while 0 < (version := version_hint(data)) < before:
        there.add((version, address_of(data)))
        if version <= lowest:
            return named & there
        parent = parent_hint(data)
        blob = store.get(layout.entry_key(title_number, parent)) if parent else None
        data, before = blob.data if blob else b"", version
    for version, address in named:
        blob = store.get(layout.entry_key(title_number, address))
        if blob and (version_hint(blob.data), address_of(blob.data)) == (version, address):
            there.add((version, address))
    return named & there
