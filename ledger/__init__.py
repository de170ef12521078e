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
    from ledger.bundles.copying import Pulled as Pulled
    from ledger.bundles.importing import Imported as Imported
    from ledger.errors import ConflictError as ConflictError
    from ledger.errors import Erased as Erased
    from ledger.errors import HeadMissing as HeadMissing
    from ledger.errors import HeadMoved as HeadMoved
    from ledger.errors import IntegrityError as IntegrityError
    from ledger.errors import InvalidError as InvalidError
    from ledger.errors import LedgerError as LedgerError
    from ledger.errors import MalformedError as MalformedError
    from ledger.errors import NotFoundError as NotFoundError
    from ledger.errors import NotInLaw as NotInLaw
    from ledger.errors import NotStanding as NotStanding
    from ledger.errors import OutcomeUnknown as OutcomeUnknown
    from ledger.errors import ReferenceConflict as ReferenceConflict
    from ledger.errors import StoreError as StoreError
    from ledger.errors import TrustError as TrustError
    from ledger.errors import UnsupportedFormatError as UnsupportedFormatError
    from ledger.format.blame import Blame as Blame
    from ledger.format.diff import ABSENT as ABSENT
    from ledger.format.diff import Change as Change
    from ledger.format.entry import Entry as Entry
    from ledger.format.keyring import Keyring as Keyring
    from ledger.format.keys import PublicKey as PublicKey
    from ledger.format.keys import Signer as Signer
    from ledger.format.report import Finding as Finding
    from ledger.format.report import Report as Report
    from ledger.format.signing import PrivateKey as PrivateKey
    from ledger.format.standing import Stand as Stand
    from ledger.ledger import Ledger as Ledger
    from ledger.local.keyfile import create_key as create_key
    from ledger.local.keyfile import create_keys as create_keys
    from ledger.local.keyfile import load_key as load_key
    from ledger.local.keyfile import load_keys as load_keys
    from ledger.local.processes import Processes as Processes
    from ledger.log import Log as Log
    from ledger.log import Pending as Pending
    from ledger.offline import Proven as Proven
    from ledger.offline import accept as accept
    from ledger.offline import audit_bundle as audit_bundle
    from ledger.offline import check_entry as check_entry
    from ledger.offline import verify_bundle as verify_bundle
    from ledger.packs.writer import Packed as Packed
    from ledger.registrations.registration import Registration as Registration
    from ledger.sealing.ceremony import Ceremony as Ceremony
    from ledger.sealing.ceremony import PublishedTrust as PublishedTrust
    from ledger.sealing.feed import LoggedChange as LoggedChange
    from ledger.sealing.seal import Sealed as Sealed
    from ledger.sealing.witnesses import Cosigned as Cosigned
    from ledger.sealing.witnesses import Witnesses as Witnesses
    from ledger.signers import open_signer as open_signer
    from ledger.signers import open_signers as open_signers
    from ledger.stores import Store as Store
    from ledger.stores import open_store as open_store
    from ledger.titles.batch import Outcome as Outcome
    from ledger.titles.draft import ANY as ANY
    from ledger.titles.draft import Appended as Appended
    from ledger.titles.draft import Draft as Draft
    from ledger.titles.draft import Guards as Guards
    from ledger.titles.erase import Erasure as Erasure
    from ledger.titles.history import Answer as Answer
    from ledger.titles.settle import Fallen as Fallen
    from ledger.tlog.checkpoint import SignedCheckpoint as SignedCheckpoint
    from ledger.tlog.objects import Leaf as Leaf
    from ledger.tlog.receipt import Receipt as Receipt
    from ledger.trust.chain import Trust as Trust
    from ledger.trust.changes import TrustChanges as TrustChanges
    from ledger.trust.file import TrustFile as TrustFile
    from ledger.trust.proposal import Proposal as Proposal
    from ledger.verification.run import Verification as Verification

__version__ = "0.1.0"

_NAMES = {
    "bundles.copying": ["Pulled"],
    "bundles.importing": ["Imported"],
    "errors": [
        *("ConflictError", "Erased", "HeadMissing", "HeadMoved", "IntegrityError", "InvalidError"),
        *("LedgerError", "MalformedError", "NotFoundError", "NotInLaw", "NotStanding"),
        *("OutcomeUnknown", "ReferenceConflict", "StoreError", "TrustError"),
        "UnsupportedFormatError",
    ],
    "format.blame": ["Blame"],
    "format.diff": ["ABSENT", "Change"],
    "format.entry": ["Entry"],
    "format.keyring": ["Keyring"],
    "format.keys": ["PublicKey", "Signer"],
    "format.report": ["Finding", "Report"],
    "format.signing": ["PrivateKey"],
    "format.standing": ["Stand"],
    "ledger": ["Ledger"],
    "local.keyfile": ["create_key", "create_keys", "load_key", "load_keys"],
    "local.processes": ["Processes"],
    "log": ["Log", "Pending"],
    "offline": ["Proven", "accept", "audit_bundle", "check_entry", "verify_bundle"],
    "packs.writer": ["Packed"],
    "registrations.registration": ["Registration"],
    "sealing.ceremony": ["Ceremony", "PublishedTrust"],
    "sealing.feed": ["LoggedChange"],
    "sealing.seal": ["Sealed"],
    "sealing.witnesses": ["Cosigned", "Witnesses"],
    "signers": ["open_signer", "open_signers"],
    "stores": ["Store", "open_store"],
    "titles.batch": ["Outcome"],
    "titles.draft": ["ANY", "Appended", "Draft", "Guards"],
    "titles.erase": ["Erasure"],
    "titles.history": ["Answer"],
    "titles.settle": ["Fallen"],
    "tlog.checkpoint": ["SignedCheckpoint"],
    "tlog.objects": ["Leaf"],
    "tlog.receipt": ["Receipt"],
    "trust.chain": ["Trust"],
    "trust.changes": ["TrustChanges"],
    "trust.file": ["TrustFile"],
    "trust.proposal": ["Proposal"],
    "verification.run": ["Verification"],
}
"""The names, by their modules. Each module is loaded when one of its names is first used."""

_HOMES = {name: home for home, names in _NAMES.items() for name in names}
_ROOMS = {home.split(".")[0] for home in _NAMES}

if not TYPE_CHECKING:  # type checkers see the imports, and so they find a name that is not there
    __all__ = sorted(_HOMES)  # noqa: PLE0605 -- it is a list

    def __getattr__(name: str) -> object:
        """Load a name on its first use: what a program doesn't use costs it no time."""
        if name in _HOMES:
            found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        elif name in _ROOMS:
            found = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
