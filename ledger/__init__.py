"""A signed, content-addressed, versioned store of land-title entries.

::

    from ledger import Keyring, Ledger, load_key

    key = load_key("key.pem")
    ledger = Ledger.create("file:titles", origin="example.org/titles", signer=key)
    entry = ledger.append("TN1234567", {"proprietor": "Ada Lovelace"}, message="first registration")
    assert ledger.verify("TN1234567", expect=entry.address)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ledger.bundles.copying import Pulled
from ledger.bundles.importing import Imported
from ledger.errors import (
    ConflictError,
    Erased,
    HeadMissing,
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    MalformedError,
    NotFoundError,
    NotInLaw,
    NotStanding,
    OutcomeUnknown,
    ReferenceConflict,
    StoreError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.blame import Blame
from ledger.format.diff import ABSENT, Change
from ledger.format.entry import Entry
from ledger.format.keyring import Keyring
from ledger.format.keys import PrivateKey, PublicKey, Signer
from ledger.format.report import Finding, Report
from ledger.format.standing import Stand
from ledger.ledger import Ledger
from ledger.local.keyfile import create_key, create_keys, load_key, load_keys
from ledger.offline import Proven, accept, audit_bundle, check_entry, verify_bundle
from ledger.packs.writer import Packed
from ledger.registrations.registration import Registration
from ledger.signers import open_signer, open_signers
from ledger.stores import Store, open_store
from ledger.titles.append import ANY, Appended, Draft, Guards
from ledger.titles.batch import Outcome
from ledger.titles.erase import Erasure
from ledger.titles.history import Answer
from ledger.titles.settle import Fallen
from ledger.verification.run import Verification

if TYPE_CHECKING:
    from ledger.local.processes import Processes
    from ledger.log import Log, Pending
    from ledger.sealing.ceremony import Ceremony, PublishedTrust
    from ledger.sealing.feed import LoggedChange
    from ledger.sealing.seal import Sealed
    from ledger.sealing.witnesses import Cosigned, Witnesses
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.objects import Leaf
    from ledger.tlog.receipt import Receipt
    from ledger.trust.chain import Trust
    from ledger.trust.changes import TrustChanges
    from ledger.trust.file import TrustFile
    from ledger.trust.proposal import Proposal

__all__ = [
    "ABSENT",
    "ANY",
    "Answer",
    "Appended",
    "Blame",
    "Ceremony",
    "Change",
    "ConflictError",
    "Cosigned",
    "Draft",
    "Entry",
    "Erased",
    "Erasure",
    "Fallen",
    "Finding",
    "Guards",
    "HeadMissing",
    "HeadMoved",
    "Imported",
    "IntegrityError",
    "InvalidError",
    "Keyring",
    "Leaf",
    "Ledger",
    "LedgerError",
    "Log",
    "LoggedChange",
    "MalformedError",
    "NotFoundError",
    "NotInLaw",
    "NotStanding",
    "Outcome",
    "OutcomeUnknown",
    "Packed",
    "Pending",
    "PrivateKey",
    "Processes",
    "Proposal",
    "Proven",
    "PublicKey",
    "PublishedTrust",
    "Pulled",
    "Receipt",
    "ReferenceConflict",
    "Registration",
    "Report",
    "Sealed",
    "SignedCheckpoint",
    "Signer",
    "Stand",
    "Store",
    "StoreError",
    "Trust",
    "TrustChanges",
    "TrustError",
    "TrustFile",
    "UnsupportedFormatError",
    "Verification",
    "Witnesses",
    "accept",
    "audit_bundle",
    "check_entry",
    "create_key",
    "create_keys",
    "load_key",
    "load_keys",
    "open_signer",
    "open_signers",
    "open_store",
    "verify_bundle",
]

_SLOW = {
    "Ceremony": "ledger.sealing.ceremony",
    "Cosigned": "ledger.sealing.witnesses",
    "Leaf": "ledger.tlog.objects",
    "Log": "ledger.log",
    "LoggedChange": "ledger.sealing.feed",
    "Pending": "ledger.log",
    "Processes": "ledger.local.processes",
    "Proposal": "ledger.trust.proposal",
    "PublishedTrust": "ledger.sealing.ceremony",
    "Receipt": "ledger.tlog.receipt",
    "Sealed": "ledger.sealing.seal",
    "SignedCheckpoint": "ledger.tlog.checkpoint",
    "Trust": "ledger.trust.chain",
    "TrustChanges": "ledger.trust.changes",
    "TrustFile": "ledger.trust.file",
    "Witnesses": "ledger.sealing.witnesses",
}


def __getattr__(name: str) -> object:
    """Load what is slow to load only for those who use it; every command would wait for it."""
    if name not in _SLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_SLOW[name]), name)
    globals()[name] = found
    return found
