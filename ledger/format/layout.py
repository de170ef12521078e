"""Title numbers, addresses and object keys: the only place that spells them.

::

    ledger.json                             layout version and origin, written once
    TN1234567/head.json                     the ref: byte for byte the newest entry object
    TN1234567/<address>.json                every entry
    _pending/<3 hex>/TN1234567.<version>-<address>      a head is about to move (an empty object)
    _references/<3 hex>/<61 hex>.TN1234567.<version>-<address>   this entry has that reference
    _packs/<first title>/<last title>.<size>-<sha256>   entries of these titles, once more
    _log/state                              what the log is committed to, swapped as a whole
    _log/staging/<base size>-<sha256>       the leaves of one commit, until they are published
    _log/checkpoint, _log/tile/…            what the log publishes
    _log/sealed/TN1234567                   how far the title is logged
    _trust/3.json                           the third trust file: whose keys count

A bundle has the same objects, and receipts: ``TN1234567/<address>.receipt``.

The hex digits spread what would be one folder that grows with the ledger: they begin the sha256 of
the title number, or are that of the reference.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from ledger.errors import InvalidError
from ledger.format.given import check_given

LEDGER_KEY = "ledger.json"
HEAD_NAME = "head.json"
PENDING = "_pending/"
REFERENCES = "_references/"
PROBE = "_probe/"
LOG = "_log/"
LOG_STATE = f"{LOG}state"
LOG_CHECKPOINT = f"{LOG}checkpoint"
SEALED = f"{LOG}sealed/"
STAGING = f"{LOG}staging/"
PACKS = "_packs/"
TRUST = "_trust/"
DELETABLE = (PENDING, PROBE, PACKS, REFERENCES, STAGING)

MAX_TITLE_NUMBER = 64
"""The longest title number, in characters."""

MAX_TRUST_FILE = 4 << 20
"""The largest trust file, in bytes."""

MAX_VERSION = 2**53 - 1
"""The largest integer that every JSON reader keeps."""

# Without look-ahead, which other engines of regular expressions lack.
TITLE_NUMBER = re.compile(r"[A-Z0-9][A-Z0-9_-]*(?:\.[A-Z0-9_-]+)*")
ADDRESS = re.compile(r"[0-9a-f]{64}")
DEVICE_NAME = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?")
FAN = 3
"""How many hex digits make the folders that objects are spread over: 4,096 of them."""

# Title numbers may have dots. What follows them has none, so there is one way to read a name.
MOVE = rf"({TITLE_NUMBER.pattern})\.([1-9][0-9]{{0,15}})-({ADDRESS.pattern})"
PENDING_NAME = re.compile(rf"{PENDING}([0-9a-f]{{{FAN}}})/{MOVE}")
REFERENCE_NAME = re.compile(rf"{REFERENCES}([0-9a-f]{{{FAN}}})/([0-9a-f]{{{64 - FAN}}})\.{MOVE}")
TRUST_NAME = re.compile(rf"{TRUST}([1-9][0-9]{{0,15}})\.json")
PACK_NAME = re.compile(rf"{PACKS}({TITLE_NUMBER.pattern})/{MOVE}")
# No empty, hidden or climbing part; what remains is safe on every disk and in every bucket.
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}")


class PackName(NamedTuple):
    """What a pack's key says of it: the range of its titles, its size and sha256.

    The first title is a folder, so that packs are listed in the order of their first title's keys.
    """

    first: str
    last: str
    size: int
    """In bytes."""
    digest: str


class ReferenceName(NamedTuple):
    """What the key of a reference says: which entry has it. A hint, until the entry is read."""

    digest: str
    """Hex sha256 of the reference."""
    title_number: str
    version: int
    address: str


def is_title_number(text: object) -> bool:
    """Whether this is a title number, as it stands: nothing is normalised."""
    return isinstance(text, str) and len(text) <= MAX_TITLE_NUMBER and _is_title_number(text)


@lru_cache(maxsize=4096)
def _is_title_number(text: str) -> bool:
    return TITLE_NUMBER.fullmatch(text) is not None and DEVICE_NAME.fullmatch(text) is None


def check_title_number(text: object, *, place: str = "") -> str:
    """Return the title number, or raise InvalidError saying what one looks like.

    ``place``: where it stands in a document, of which an error has places and no values.
    """
    if isinstance(text, str) and is_title_number(text):
        return text
    why = (
        "expected 1 to 64 of A-Z 0-9 . _ -, the first a letter or digit, no '..', no dot at the end"
    )
    if isinstance(text, str) and DEVICE_NAME.fullmatch(text):
        why = "a device name on some systems"
    found = f"{place} is not a title number" if place else f"not a title number: {text!a:.80}"
    near = _nearest_title_number(text)
    raise InvalidError(
        f"{found} ({why})",
        hint=f"write {near}"
        if near and not place
        else "title numbers look like TN1234567; they are never changed to fit",
    )


def _nearest_title_number(text: object) -> str | None:
    """Spell a text as a title number, as registers with blanks, slashes or small letters might."""
    if not isinstance(text, str) or not text.isascii():
        return None
    near = re.sub(r"[ /:]", "-", text.strip().upper())
    return near if is_title_number(near) else None


def is_address(text: object) -> bool:
    """Whether this is an address: 64 lower-case hex digits."""
    return isinstance(text, str) and ADDRESS.fullmatch(text) is not None


def check_address(text: object) -> str:
    """Return the address, or raise InvalidError."""
    if isinstance(text, str) and is_address(text):
        return text
    raise InvalidError(f"not an address: {text!a:.80} (expected 64 lower-case hex digits)")


def check_version(version: object) -> int:
    """Return the number of a version, of a title or a trust file, or raise InvalidError."""
    if type(version) is int and 1 <= version <= MAX_VERSION:
        return version
    raise InvalidError(f"not a version: {version!a:.40}")


def head_key(title_number: str) -> str:
    """The key of a title's ref."""
    return f"{title_number}/{HEAD_NAME}"


def entry_key(title_number: str, address: str) -> str:
    """The key of an entry."""
    return f"{title_number}/{address}.json"


def receipt_key(title_number: str, address: str) -> str:
    """The key of an entry's receipt in a bundle; no store has it."""
    return f"{title_number}/{address}.receipt"


@lru_cache(maxsize=4096)
def pending_prefix(title_number: str) -> str:
    """The prefix of a title's markers."""
    return f"{PENDING}{_digest(title_number)[:FAN]}/{title_number}."


def pending_key(title_number: str, version: int, address: str) -> str:
    """The key of the marker that is written before a head moves."""
    return f"{pending_prefix(title_number)}{version}-{address}"


def reference_prefix(reference: str) -> str:
    """The prefix of the keys that name the entries with a reference."""
    check_given(reference, str, "a reference: a text")
    digest = _digest(reference)
    return f"{REFERENCES}{digest[:FAN]}/{digest[FAN:]}."


def reference_key(reference: str, title_number: str, version: int, address: str) -> str:
    """The key that names an entry as one with this reference."""
    return f"{reference_prefix(reference)}{title_number}.{version}-{address}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sealed_key(title_number: str) -> str:
    """The key of the record of how far a title is logged."""
    return f"{SEALED}{title_number}"


def staging_key(name: str) -> str:
    """The key of the leaves of one commit; the name is that of a ``Staging``."""
    return f"{STAGING}{name}"


def tile_key(path: str) -> str:
    """The key of a tile of the log, from its path."""
    return f"{LOG}{path}"


def trust_key(version: int) -> str:
    """The key of a trust file."""
    return f"{TRUST}{version}.json"


def parse_trust_key(key: str) -> int | None:
    """The version of a trust file; None if the key is not that of one."""
    match = TRUST_NAME.fullmatch(key)
    return int(match[1]) if match else None


def parse_entry_key(key: str) -> tuple[str, str] | None:
    """The title number and address in an entry's key; None where the key is no entry's."""
    return _parse_address_key(key, ".json")


def parse_receipt_key(key: str) -> tuple[str, str] | None:
    """The title number and address in the key of a receipt; None if it is not one's."""
    return _parse_address_key(key, ".receipt")


def _parse_address_key(key: str, ending: str) -> tuple[str, str] | None:
    title_number, _, name = key.partition("/")
    address = name.removesuffix(ending)
    if is_title_number(title_number) and is_address(address) and name.endswith(ending):
        return title_number, address
    return None


def parse_pending_key(key: str) -> tuple[str, int, str] | None:
    """The title number, version and address in a marker's key; None if it is not a marker's."""
    match = PENDING_NAME.fullmatch(key)
    if not match or not is_title_number(match[2]) or not key.startswith(pending_prefix(match[2])):
        return None
    return match[2], int(match[3]), match[4]


def parse_reference_key(key: str) -> ReferenceName | None:
    """What the key of a reference says; None if the key is not a reference's."""
    match = REFERENCE_NAME.fullmatch(key)
    if not match or not is_title_number(match[3]):
        return None
    return ReferenceName(match[1] + match[2], match[3], int(match[4]), match[5])


def pack_key(name: PackName) -> str:
    """The key of a pack."""
    return f"{PACKS}{name.first}/{name.last}.{name.size}-{name.digest}"


def parse_pack_key(key: str) -> PackName | None:
    """What a pack's key says of it; None if the key is not a pack's."""
    match = PACK_NAME.fullmatch(key)
    if not match or not (is_title_number(match[1]) and is_title_number(match[2])):
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
    """Return the key if its object may ever be deleted.

    Heads, ``ledger.json``, the log and trust files never may. An entry may, as it can be one that
    lost a race: whoever deletes it has to know that no chain leads to it.
    """
    if check_key(key).startswith(DELETABLE) or parse_entry_key(key):
        return key
    raise InvalidError(f"never deleted: {key}")
