"""The trust files of a ledger: whose keys count, by the root that a reader pinned."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, NotProven
from ledger.format import layout
from ledger.format.keyring import Keyring, check_keyring, check_origin
from ledger.format.report import Finding
from ledger.titles.identity import check_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ledger.stores.base import Store
    from ledger.trust.chain import ReadFile, Trust

AHEAD = 16
"""How many trust files are asked for at once, at most, that may not be there."""

MOST = 32 << 20
"""Bytes of a ledger's trust files; one of three holders takes 18,000."""

SMALL = 4096
"""Bytes that each of them counts for, at least."""


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
    check_keyring(keyring)
    check_origin(origin)
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
    return AcceptedKeyring(assemble(root, read, known), own)


def accepted_keyring(
    store: Store, origin: str, own: Keyring, known: Trust | None = None, *, anew: bool = True
) -> Keyring:
    """Return the keyring that counts for a ledger: that of its trust files, or the reader's own.

    The other arguments, and what is raised, are those of ``read_trust``.
    """
    from ledger.trust.keyring import AcceptedKeyring  # noqa: PLC0415

    trust = read_trust(store, origin, own, known, anew=anew)
    return AcceptedKeyring(trust, own) if trust else own


def read_trust(
    store: Store, origin: str, keyring: Keyring, known: Trust | None = None, *, anew: bool = True
) -> Trust | None:
    """Read the trust files of a ledger, up to the first that is missing or not accepted.

    ``known``: what an earlier reading came to. If the store has less by now, that is a finding, and
    the known files go on counting. If not ``anew``, and nothing was wrong, only what follows them
    is read.

    None: the keyring has no root for it, so its own keys count. Raises what ``assemble`` does if
    the pinned file can't be used, and what the store raises.
    """
    from ledger.trust.chain import assemble  # noqa: PLC0415

    root = keyring.root(origin)
    if root is None:
        return None
    if known is not None and known.root != root:
        known = None
    if known and not known.findings and not anew:
        return assemble(root, _reader(store), known)
    read = _reader(store, root.version + 1)
    if not all(map(read, range(1, root.version + 1))):
        check_there(store, origin)
    trust = assemble(root, read)
    if known and known.newest.version > trust.newest.version:
        key = layout.trust_key(trust.newest.version + 1)
        gone = Finding(
            "tampering", "trust-missing", key, f"{key}: missing, and it was there before"
        )
        trust = replace(known, findings=trust.findings or (gone,))
    return trust


def trust_objects(store: Store) -> Iterator[bytes]:
    """Yield the trust files that a store has, from the first to where one is missing, unchecked.

    Raises IntegrityError if they don't end: a server may have one for every number.
    """
    read, room = _reader(store), MOST
    for version in count(1):
        data = read(version)
        if data is None:
            return
        room -= max(len(data), SMALL)
        if room < 0:
            key = layout.trust_key(version)
            raise IntegrityError(
                f"{key}: no ledger has so many trust files as {store.url}", object_key=key
            )
        yield data


def _reader(store: Store, first: int = 1) -> ReadFile:
    """Return what reads trust files: ``first`` side by side, and then ever more.

    It asks for more as long as they follow each other, and believes no listing, which might hide
    the newest.
    """
    found: dict[int, bytes | None] = {}

    def read(version: int) -> bytes | None:
        if version not in found:
            more = min(len(found), AHEAD) or first
            keys = [layout.trust_key(each) for each in range(version, version + more)]
            # A single one is mostly not there, for which ``get_many`` may ask a bucket twice.
            blobs = store.get_many(keys) if more > 1 else [(keys[0], store.get(keys[0]))]
            for each, (_, blob) in enumerate(blobs, version):
                found[each] = blob.data if blob else None
        return found[version]

    return read
