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

if TYPE_CHECKING:
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
    from ledger.format.keys import PublicKey, Signer
    from ledger.format.report import Finding, Report
    from ledger.format.signing import PrivateKey
    from ledger.format.standing import Stand
    from ledger.ledger import Ledger
    from ledger.local.keyfile import create_key, create_keys, load_key, load_keys
    from ledger.local.processes import Processes
    from ledger.log import Log, Pending
    from ledger.offline import Proven, accept, audit_bundle, check_entry, verify_bundle
    from ledger.packs.writer import Packed
    from ledger.registrations.registration import Registration
    from ledger.sealing.ceremony import Ceremony, PublishedTrust
    from ledger.sealing.feed import LoggedChange
    from ledger.sealing.seal import Sealed
    from ledger.sealing.witnesses import Cosigned, Witnesses
    from ledger.signers import open_signer, open_signers
    from ledger.stores import Store, open_store
    from ledger.titles.batch import Outcome
    from ledger.titles.draft import ANY, Appended, Draft, Guards
    from ledger.titles.erase import Erasure
    from ledger.titles.history import Answer
    from ledger.titles.settle import Fallen
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.objects import Leaf
    from ledger.tlog.receipt import Receipt
    from ledger.trust.chain import Trust
    from ledger.trust.changes import TrustChanges
    from ledger.trust.file import TrustFile
    from ledger.trust.proposal import Proposal
    from ledger.verification.run import Verification

__version__ = "0.1.0"

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

_HOMES = {
    "ABSENT": "ledger.format.diff",
    "ANY": "ledger.titles.draft",
    "Answer": "ledger.titles.history",
    "Appended": "ledger.titles.draft",
    "Blame": "ledger.format.blame",
    "Ceremony": "ledger.sealing.ceremony",
    "Change": "ledger.format.diff",
    "ConflictError": "ledger.errors",
    "Cosigned": "ledger.sealing.witnesses",
    "Draft": "ledger.titles.draft",
    "Entry": "ledger.format.entry",
    "Erased": "ledger.errors",
    "Erasure": "ledger.titles.erase",
    "Fallen": "ledger.titles.settle",
    "Finding": "ledger.format.report",
    "Guards": "ledger.titles.draft",
    "HeadMissing": "ledger.errors",
    "HeadMoved": "ledger.errors",
    "Imported": "ledger.bundles.importing",
    "IntegrityError": "ledger.errors",
    "InvalidError": "ledger.errors",
    "Keyring": "ledger.format.keyring",
    "Leaf": "ledger.tlog.objects",
    "Ledger": "ledger.ledger",
    "LedgerError": "ledger.errors",
    "Log": "ledger.log",
    "LoggedChange": "ledger.sealing.feed",
    "MalformedError": "ledger.errors",
    "NotFoundError": "ledger.errors",
    "NotInLaw": "ledger.errors",
    "NotStanding": "ledger.errors",
    "Outcome": "ledger.titles.batch",
    "OutcomeUnknown": "ledger.errors",
    "Packed": "ledger.packs.writer",
    "Pending": "ledger.log",
    "PrivateKey": "ledger.format.signing",
    "Processes": "ledger.local.processes",
    "Proposal": "ledger.trust.proposal",
    "Proven": "ledger.offline",
    "PublicKey": "ledger.format.keys",
    "PublishedTrust": "ledger.sealing.ceremony",
    "Pulled": "ledger.bundles.copying",
    "Receipt": "ledger.tlog.receipt",
    "ReferenceConflict": "ledger.errors",
    "Registration": "ledger.registrations.registration",
    "Report": "ledger.format.report",
    "Sealed": "ledger.sealing.seal",
    "SignedCheckpoint": "ledger.tlog.checkpoint",
    "Signer": "ledger.format.keys",
    "Stand": "ledger.format.standing",
    "Store": "ledger.stores",
    "StoreError": "ledger.errors",
    "Trust": "ledger.trust.chain",
    "TrustChanges": "ledger.trust.changes",
    "TrustError": "ledger.errors",
    "TrustFile": "ledger.trust.file",
    "UnsupportedFormatError": "ledger.errors",
    "Verification": "ledger.verification.run",
    "Witnesses": "ledger.sealing.witnesses",
    "accept": "ledger.offline",
    "audit_bundle": "ledger.offline",
    "check_entry": "ledger.offline",
    "create_key": "ledger.local.keyfile",
    "create_keys": "ledger.local.keyfile",
    "load_key": "ledger.local.keyfile",
    "load_keys": "ledger.local.keyfile",
    "open_signer": "ledger.signers",
    "open_signers": "ledger.signers",
    "open_store": "ledger.stores",
    "verify_bundle": "ledger.offline",
}
"""The modules of the names above. Each is loaded when one of its names is first used."""

_ROOMS = {home.split(".")[1] for home in _HOMES.values()}

if not TYPE_CHECKING:  # type checkers see the imports, and so they find a name that is not there

    def __getattr__(name: str) -> object:
        """Load a name on its first use: what a program doesn't use costs it no time."""
        if name in _HOMES:
            found = getattr(import_module(_HOMES[name]), name)
        elif name in _ROOMS:
            found = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
