"""Title numbers, addresses and object keys: the only place that spells them.

::

    ledger.json                             layout version and origin, written once
    TN1234567/head.json                     the ref: byte for byte the newest entry object
    TN1234567/<sha256>.json                 every entry, immutable
    _pending/TN1234567.<version>-<sha256>   a head is about to move (an empty object)
    _packs/<first title>.<last title>.<size>-<sha256>   entries of these titles, once more
    _log/state                              what the log is committed to, swapped as a whole
    _log/staging/<base size>-<sha256>       the leaves of one commit, until they are published
    _log/checkpoint, _log/tile/…            what the log publishes
    _log/sealed/TN1234567                   how far the title is logged
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ledger.errors import InvalidError

__all__ = [
    "HEAD_NAME",
    "LEDGER_KEY",
    "LOG",
    "LOG_CHECKPOINT",
    "LOG_STATE",
    "PACKS",
    "PENDING",
    "PROBE",
    "STAGING",
    "PackName",
    "check_address",
    "check_deletable",
    "check_key",
    "check_title_number",
    "entry_key",
    "head_key",
    "is_address",
    "is_title_number",
    "pack_key",
    "parse_entry_key",
    "parse_pack_key",
    "parse_pending_key",
    "pending_key",
    "sealed_key",
    "staging_key",
    "tile_key",
]

LEDGER_KEY = "ledger.json"
HEAD_NAME = "head.json"
PENDING = "_pending/"
PROBE = "_probe/"
LOG = "_log/"
LOG_STATE = f"{LOG}state"
LOG_CHECKPOINT = f"{LOG}checkpoint"
SEALED = f"{LOG}sealed/"
STAGING = f"{LOG}staging/"
PACKS = "_packs/"
DELETABLE = (PENDING, PROBE, PACKS, STAGING)

TITLE_NUMBER = re.compile(r"(?!.*\.\.)[A-Z0-9](?:[A-Z0-9._-]{0,62}[A-Z0-9_-])?")
ADDRESS = re.compile(r"[0-9a-f]{64}")
DEVICE_NAME = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?")
PENDING_NAME = re.compile(rf"({TITLE_NUMBER.pattern})\.([1-9][0-9]{{0,15}})-({ADDRESS.pattern})")
PACK_NAME = re.compile(
    rf"({TITLE_NUMBER.pattern})\.({TITLE_NUMBER.pattern})\.([1-9][0-9]{{0,15}})-({ADDRESS.pattern})"
)
# No empty, hidden or climbing part; what remains is safe on every disk and in every bucket.
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}")


class PackName(NamedTuple):
    """What a pack's key says of it: the range of its titles, its size and sha256.

    As "." sorts beside "/", packs are listed in the order of their first title's keys.
    """

    first: str
    last: str
    size: int
    """In bytes."""
    digest: str


def is_title_number(text: object) -> bool:
    """Whether this is a title number, as it stands: nothing is normalised."""
    return (
        isinstance(text, str)
        and TITLE_NUMBER.fullmatch(text) is not None
        and DEVICE_NAME.fullmatch(text) is None
    )


def check_title_number(text: object, *, place: str = "") -> str:
    """Return the title number, or raise InvalidError saying what one looks like.

    ``place``: where it stands in a document, of which an error has places and no values.
    """
    if isinstance(text, str) and is_title_number(text):
        return text
    why = "expected 1 to 32 of A-Z 0-9 _ -, not starting with _ or -"
    if isinstance(text, str) and DEVICE_NAME.fullmatch(text):
        why = "a device name on some systems"
    found = f"{place} is not a title number" if place else f"not a title number: {text!a:.80}"
    raise InvalidError(
        f"{found} ({why})",
        hint="title numbers look like TN1234567; they are never changed to fit",
    )


def is_address(text: object) -> bool:
    """Whether this is an address: 64 lower-case hex digits."""
    return isinstance(text, str) and ADDRESS.fullmatch(text) is not None


def check_address(text: object) -> str:
    """Return the address, or raise InvalidError."""
    if isinstance(text, str) and is_address(text):
        return text
    raise InvalidError(f"not an address: {text!a:.80} (expected 64 lower-case hex digits)")


def head_key(title_number: str) -> str:
    """The key of a title's ref."""
    return f"{title_number}/{HEAD_NAME}"


def entry_key(title_number: str, address: str) -> str:
    """The key of an entry."""
    return f"{title_number}/{address}.json"


def pending_key(title_number: str, version: int, address: str) -> str:
    """The key of the marker that is written before a head moves."""
    return f"{PENDING}{title_number}.{version}-{address}"


def sealed_key(title_number: str) -> str:
    """The key of the record of how far a title is logged."""
    return f"{SEALED}{title_number}"


def staging_key(name: str) -> str:
    """The key of the leaves of one commit; the name is that of a ``Staging``."""
    return f"{STAGING}{name}"


def tile_key(path: str) -> str:
    """The key of a tile of the log, from its path."""
    return f"{LOG}{path}"


def parse_entry_key(key: str) -> tuple[str, str] | None:
    """The title number and address in an entry's key; None where the key is no entry's."""
    title_number, _, name = key.partition("/")
    address = name.removesuffix(".json")
    if is_title_number(title_number) and is_address(address) and name.endswith(".json"):
        return title_number, address
    return None


def parse_pending_key(key: str) -> tuple[str, int, str] | None:
    """The title number, version and address in a marker's key; None where it is no marker's."""
    match = PENDING_NAME.fullmatch(key.removeprefix(PENDING)) if key.startswith(PENDING) else None
    return (match[1], int(match[2]), match[3]) if match else None


def pack_key(name: PackName) -> str:
    """The key of a pack."""
    return f"{PACKS}{name.first}.{name.last}.{name.size}-{name.digest}"


def parse_pack_key(key: str) -> PackName | None:
    """What a pack's key says of it; None where the key is no pack's."""
    match = PACK_NAME.fullmatch(key.removeprefix(PACKS)) if key.startswith(PACKS) else None
    if match is None or not (is_title_number(match[1]) and is_title_number(match[2])):
        return None
    if head_key(match[1]) > head_key(match[2]):
        return None
    return PackName(match[1], match[2], int(match[3]), match[4])


def check_key(key: str) -> str:
    """Return the object key, or raise InvalidError: stores accept no other shape."""
    if not KEY.fullmatch(key):
        raise InvalidError(f"not an object key: {key!a:.120}")
    return key


def check_deletable(key: str) -> str:
    """Return the key if its object may ever be deleted; entries and heads never may."""
    if not check_key(key).startswith(DELETABLE):
        raise InvalidError(f"never deleted: {key}")
    return key
