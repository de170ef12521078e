"""``ledger.json``: the layout version and the origin of a ledger, written once."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ledger.errors import (
    IntegrityError,
    LedgerExists,
    MalformedError,
    OriginNotPinned,
    PreconditionFailed,
    StoreUnavailable,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import canonical, layout
from ledger.format.keyring import Keyring, check_keyring, check_origin

if TYPE_CHECKING:
    from ledger.stores.base import Store

FORMAT = 1


def encode_identity(origin: str) -> bytes:
    """The bytes of ``ledger.json``."""
    return canonical.encode({"format": FORMAT, "origin": check_origin(origin)})


def decode_identity(data: bytes) -> str:
    """The origin in a ``ledger.json``; raises IntegrityError or UnsupportedFormatError."""
    try:
        value = canonical.load(data)
        if not isinstance(value, dict) or type(value.get("format")) is not int:
            raise MalformedError("it has no format number")
        if value["format"] != FORMAT:
            raise UnsupportedFormatError(
                f"a ledger of format {value['format']}; this version knows {FORMAT}",
                hint="a newer version of this software may read it",
            )
        if value.keys() != {"format", "origin"}:
            raise UnsupportedFormatError("a ledger.json with members that this version lacks")
        return check_origin(value["origin"])
    except MalformedError as error:
        raise IntegrityError(
            f"{layout.LEDGER_KEY}: {error}", reason="malformed-ledger", object_key=layout.LEDGER_KEY
        ) from None


def read_origin(store: Store, expected: str | None = None) -> str:
    """Return what the store says its origin is: a claim, to be compared with a pin.

    Raises StoreUnavailable if there is no ledger, TrustError if it is not the one that was
    ``expected``, UnsupportedFormatError for the unsigned store of the original service.
    """
    origin = find_origin(store)
    if origin is None:
        raise StoreUnavailable(
            f"no ledger in {store.url}",
            hint="'ledger init' makes one; if one was there, see whether the disk is mounted",
        )
    if expected is not None and origin != expected:
        raise other_ledger(store, origin, expected)
    return origin


def other_ledger(store: Store, found: str, expected: str) -> TrustError:
    """The error of a store that says it holds another ledger."""
    return TrustError(
        f"{store.url} holds the ledger {found}, not {expected}",
        hint="somebody put another ledger in its place, or the address is wrong",
        reason="wrong-ledger",
        object_key=layout.LEDGER_KEY,
    )


def find_origin(store: Store) -> str | None:
    """Return what the store says its origin is, or None if there is no ledger."""
    blob = store.get(layout.LEDGER_KEY)
    if blob is not None:
        return decode_identity(blob.data)
    _refuse_original(store)
    return None


def check_there(store: Store, origin: str) -> None:
    """Check that the store still holds the ledger, before anybody is told that a part is missing.

    A disk that was unmounted and a bucket that was emptied look like a ledger without titles.
    Raises StoreUnavailable.
    """
    blob = store.get(layout.LEDGER_KEY)
    found = None if blob is None else decode_identity(blob.data)
    if found != origin:
        now = "is not there any more" if found is None else f"is now the ledger {found}"
        raise StoreUnavailable(
            f"{store.url} held the ledger {origin}, and {now}",
            hint="see whether the disk is mounted and the bucket is the right one",
        )


def create_identity(store: Store, origin: str) -> None:
    """Write ``ledger.json``, after probing the store; success if it is there already.

    Raises StoreUnsafe, LedgerExists, or UnsupportedFormatError for an original, unsigned store.
    """
    from ledger.stores.probe import probe  # noqa: PLC0415 -- slow to load, for new ledgers only

    check_origin(origin)
    blob = store.get(layout.LEDGER_KEY)
    if blob is None:
        store.check_writable()
        _refuse_original(store)
        probe(store)
        try:
            store.create(layout.LEDGER_KEY, encode_identity(origin))
        except PreconditionFailed:
            blob = store.get(layout.LEDGER_KEY)
    if blob is not None and decode_identity(blob.data) != origin:
        raise LedgerExists(
            f"{store.url} holds a ledger already: {decode_identity(blob.data)}",
            hint="choose another folder or prefix",
        )
    if blob is not None:
        store.make_durable(layout.LEDGER_KEY)


def check_pinned(origin: str, keyring: Keyring, store_url: str) -> None:
    """Refuse an origin that the keyring doesn't know; raises OriginNotPinned."""
    check_keyring(keyring)
    if origin not in keyring.origins:
        raise OriginNotPinned(
            f"{store_url} says it is the ledger {origin}, which your keyring doesn't know",
            hint=f"get its registrar's public key from them, then:"
            f" ledger key trust FILE --origin {origin}",
        )


def _refuse_original(store: Store) -> None:
    if not store.is_listable:
        return
    for prefix in islice(store.list(delimiter="/"), 10):
        key = layout.head_key(prefix.removesuffix("/"))
        if layout.is_title_number(prefix.removesuffix("/")) and store.get(key) is not None:
            raise UnsupportedFormatError(
                f"{store.url} has titles ({key}) but no ledger.json:"
                " the unsigned store of the original service, or a ledger that lost it",
                hint="docs/how-to/migrate.md moves an original store over",
            )
