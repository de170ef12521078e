"""Whose keys count over the years, pure: trust files, their chain, and where each key ends.

A trust file says which keys count, and a threshold of its holders signs it. Each file names the one
before it. A reader pins one of them by its sha256, the root, and follows the chain from there: who
signed, and what a file may change, is checked. A key that a later file drops or revokes has an end,
which is a position in the log.
"""

from ledger.trust.accept import check_first, check_next
from ledger.trust.chain import Trust, assemble
from ledger.trust.file import Holder, HolderSignature, Revocation, TrustFile, TrustKey

__all__ = [
    "Holder",
    "HolderSignature",
    "Revocation",
    "Trust",
    "TrustFile",
    "TrustKey",
    "assemble",
    "check_first",
    "check_next",
]
