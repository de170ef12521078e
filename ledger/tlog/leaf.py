"""Leaves: what the log says, in canonical JSON.

::

    {"entry":"<address>","title_number":"TN1234567","type":"entry","version":3}

Which entry is version 3 of a title, and nothing of what it says: the log may be public where the
register is not.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.errors import MalformedError, UnsupportedFormatError
from ledger.format import canonical
from ledger.format.layout import check_address, check_title_number

__all__ = ["Leaf"]

TYPE = "entry"
MEMBERS = {"entry", "title_number", "type", "version"}


class Leaf(NamedTuple):
    """One entry in the log."""

    title_number: str
    version: int
    address: str

    def encode(self) -> bytes:
        """The content of the leaf; raises InvalidError for what is none."""
        return canonical.encode(
            {
                "entry": check_address(self.address),
                "title_number": check_title_number(self.title_number),
                "type": TYPE,
                "version": _check_version(self.version),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Leaf:
        """Read a leaf; raises MalformedError, or UnsupportedFormatError for another type."""
        value = canonical.load(data)
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise MalformedError("not a leaf of the log: no object with a type")
        if value["type"] != TYPE:
            raise UnsupportedFormatError(
                f"a leaf of type {value['type']!a:.40}; this version knows {TYPE!r} only"
            )
        if value.keys() != MEMBERS:
            raise MalformedError(f"not a leaf of the log: expected {', '.join(sorted(MEMBERS))}")
        return cls(
            check_title_number(value["title_number"]),
            _check_version(value["version"]),
            check_address(value["entry"]),
        )


def _check_version(version: object) -> int:
    if type(version) is not int or not 1 <= version <= canonical.MAX_INTEGER:
        raise MalformedError(f"not a version: {version!a:.40}")
    return version
