"""A keyring by trust files: whose keys count, as what, and from where in the log on no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.format.keyring import ALGORITHMS, Keyring, TrustedKey
from ledger.trust.keys import OtherKey
from ledger.trust.standing import ChainJudge

if TYPE_CHECKING:
    from ledger.format.standing import FindPositions, Judge
    from ledger.trust.chain import Trust


class AcceptedKeyring(Keyring):
    """The keys that the trust files of one ledger list, and the rest of the reader's own keyring.

    Signatures are looked up in all keys that any file lists: when one counts is for ``judge`` and
    for ``log_keys`` to say.
    """

    def __init__(self, accepted: Trust, own: Keyring | None = None) -> None:
        """``own`` is the reader's keyring: its other ledgers and its witnesses are kept."""
        own = Keyring() if own is None else own
        origin = accepted.origin
        listed = [
            TrustedKey(origin, each.role, each.key, each.name)
            for each in accepted.listed.values()
            if not isinstance(each.key, OtherKey) and each.key.algorithm in ALGORITHMS[each.role]
        ]
        kept = [
            trusted
            for trusted in own
            if trusted.origin != origin
            or (trusted.role == "witness" and trusted.key.key_id not in accepted.listed)
        ]
        others = [root for root in own.roots if root.origin != origin]
        super().__init__([*kept, *listed], others)
        self.accepted = accepted
        self._own = own

    @property
    def own(self) -> Keyring:
        """What the reader's own keyring says, without trust files."""
        return self._own

    def has_ends(self, origin: str) -> bool:
        """Whether a registrar's key has an end, so that positions in the log matter."""
        ids = self.accepted.listed if origin == self.accepted.origin else ()
        return any(
            self.accepted.registrar(each) and self.accepted.end_of(each) is not None for each in ids
        )

    def judge(self, origin: str, find_positions: FindPositions) -> Judge:
        """Return what judges the entries of one chain."""
        if origin != self.accepted.origin:
            return super().judge(origin, find_positions)
        return ChainJudge(self.accepted, find_positions)

    def is_unsupported(self, origin: str, key_id: str) -> bool:
        """Whether this is a registrar's key of an algorithm that no entry can be checked with."""
        listed = self.accepted.registrar(key_id) if origin == self.accepted.origin else None
        return listed is not None and self.key(origin, key_id) is None

    def may_sign(self, origin: str, key_id: str) -> bool:
        """Whether what this registrar's key signs from now on can count."""
        if origin != self.accepted.origin:
            return super().may_sign(origin, key_id)
        return self.accepted.registrar(key_id) is not None and self.accepted.is_current(key_id)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AcceptedKeyring)
            and super().__eq__(other)
            and self.accepted == other.accepted
        )

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.accepted.root))
