"""Refuse what a caller passes by mistake where it comes in, and not by an error from inside."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.errors import InvalidError


def check_given(value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Raise InvalidError, with what is expected, for a value of another type."""
    if not isinstance(value, kinds):
        raise InvalidError(f"expected {expected}, not a {type(value).__name__}: {value!a:.60}")


def check_versions(versions: Iterable[int]) -> set[int]:
    """The versions, each once; raises InvalidError for anything but numbers."""
    check_given(versions, Iterable, "a list of versions, such as [2]")
    found = set()
    for version in versions:
        check_given(version, int, "the number of a version")
        found.add(version)
    return found
