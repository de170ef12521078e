"""The trust files of a ledger: whose keys count, by the root that a reader pinned."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from ledger.errors import NotProven
from ledger.format import layout
from ledger.format.keyring import Keyring
from ledger.titles.identity import check_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ledger.stores.base import Store
    from ledger.trust.chain import Trust

__all__ = ["accept", "accepted_by", "accepted_keyring", "read_trust", "trust_objects"]


def accepted_by(keyring: Keyring, origin: str | None = None) -> Trust | None:
    """The trust files that a keyring goes by; None: its own keys count.

    ``origin``: only if they are about this ledger.
    """
    if type(keyring) is Keyring:
        return None
    from ledger.trust.keyring import AcceptedKeyring  # noqa: PLC0415 -- slow to load

    if isinstance(keyring, AcceptedKeyring) and origin in {None, keyring.accepted.origin}:
        return keyring.accepted
    return None


def accept(keyring: Keyring, files: Mapping[int, bytes], *, origin: str) -> Keyring:
    """Return the keyring that trust files make of a reader's own, from the root in it.

    ``files`` are their bytes by version; nothing is believed of them. The keyring may go by some
    already: what those say stays. Without a root for this ledger it is returned as it is.

    Raises what ``assemble`` does if the root can't be used, but NotProven if it is not there.
    """
    own = keyring.own
    root = own.root(origin)
    if root is None:
        return keyring
    from ledger.trust.chain import assemble  # noqa: PLC0415 -- slow to load
    from ledger.trust.keyring import AcceptedKeyring  # noqa: PLC0415

    known = accepted_by(keyring, origin)

    def read(version: int) -> bytes | None:
        file = known.file(version) if known else None
        return file.encode() if file else files.get(version)

    if read(root.version) is None:
        key = layout.trust_key(root.version)
        raise NotProven(
            f"{key}: not at hand, and it is the trust file of {origin} that you pinned: without it"
            " nobody's signature counts",
            hint="it is in the ledger's store, and in every bundle that was written since",
            reason="trust-missing",
            object_key=key,
        )
    return AcceptedKeyring(assemble(root, read), own)


def accepted_keyring(store: Store, origin: str, own: Keyring) -> Keyring:
    """Return the keyring that counts for a ledger: that of its trust files, or the reader's own.

    Raises what ``read_trust`` does.
    """
    from ledger.trust.keyring import AcceptedKeyring  # noqa: PLC0415

    trust = read_trust(store, origin, own)
    return AcceptedKeyring(trust, own) if trust else own


def read_trust(store: Store, origin: str, keyring: Keyring) -> Trust | None:
    """Read the trust files of a ledger, up to the first that is missing or not accepted.

    None: the keyring has no root for it, so its own keys count. Raises what ``assemble`` does if
    the pinned file can't be used, and what the store raises.
    """
    from ledger.trust.chain import assemble  # noqa: PLC0415

    root = keyring.root(origin)
    if root is None:
        return None
    keys = [layout.trust_key(version) for version in range(1, root.version + 1)]
    known = dict(store.get_many(keys))

    def read(version: int) -> bytes | None:
        key = layout.trust_key(version)
        blob = known[key] if key in known else store.get(key)
        return blob.data if blob else None

    if not all(known.values()):
        check_there(store, origin)
    return assemble(root, read)


def trust_objects(store: Store) -> Iterator[bytes]:
    """Yield the trust files that a store has, from the first to where one is missing, unchecked."""
    for version in count(1):
        blob = store.get(layout.trust_key(version))
        if blob is None:
            return
        yield blob.data
