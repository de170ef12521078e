"""A signed, content-addressed, versioned store of land-title entries.

::

    from ledger import Keyring, Ledger, load_key

    key = load_key("key.pem")
    ledger = Ledger.create("file:titles", origin="example.org/titles", signer=key)
    entry = ledger.append("TN1234567", {"proprietor": "Ada Lovelace"}, message="first registration")
    assert ledger.verify("TN1234567", expect=entry.address)
"""

from typing import TYPE_CHECKING

from ledger.errors import (
    ConflictError,
    HeadMissing,
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    NotFoundError,
    OutcomeUnknown,
    ReferenceConflict,
    StoreError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.diff import ABSENT, Change
from ledger.format.entry import Entry
from ledger.format.keyring import Keyring
from ledger.format.keys import PrivateKey, PublicKey, Signer
from ledger.format.report import Finding, Report
from ledger.ledger import Ledger
from ledger.local.keyfile import create_key, load_key
from ledger.offline import verify_bundle
from ledger.stores import Store, open_store
from ledger.titles.append import ANY, Draft

if TYPE_CHECKING:
    from ledger.log import Log, check_entry

__all__ = [
    "ABSENT",
    "ANY",
    "Change",
    "ConflictError",
    "Draft",
    "Entry",
    "Finding",
    "HeadMissing",
    "HeadMoved",
    "IntegrityError",
    "InvalidError",
    "Keyring",
    "Ledger",
    "LedgerError",
    "Log",
    "MalformedError",
    "NotFoundError",
    "OutcomeUnknown",
    "PrivateKey",
    "PublicKey",
    "ReferenceConflict",
    "Report",
    "Signer",
    "Store",
    "StoreError",
    "TrustError",
    "UnsupportedFormatError",
    "check_entry",
    "create_key",
    "load_key",
    "open_store",
    "verify_bundle",
]


def __getattr__(name: str) -> object:
    """Load the log only for those who use it: every command of the shell would wait for it."""
    if name not in {"Log", "check_entry"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ledger import log  # noqa: PLC0415

    found: object = getattr(log, name)
    globals()[name] = found
    return found
