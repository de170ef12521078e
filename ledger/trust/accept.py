"""When a trust file is accepted: who must have signed it, and what it may change.

A reader accepts file N + 1 after files 1 … N. Each rule here is one of ``docs/spec.md``, "Trust
files"; what a file must be by itself is checked where it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import TrustError, UnsupportedFormatError
from ledger.trust.keys import OtherKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.trust.file import TrustFile
    from ledger.trust.keys import AnyKey

__all__ = [
    "NOT_ACCEPTED",
    "UNSUPPORTED",
    "check_content",
    "check_first",
    "check_next",
    "check_own",
    "voices",
]

NOT_ACCEPTED = "trust-not-accepted"
UNSUPPORTED = "unsupported-trust"


def check_first(file: TrustFile) -> None:
    """Check the first trust file of a ledger; raises what ``check_next`` does."""
    if file.version != 1:
        raise _refused(file, f"it is version {file.version}, and no file comes before it")
    check_content((), file)
    check_own(file, None)


def check_next(files: Sequence[TrustFile], file: TrustFile) -> None:
    """Check that this file is accepted after the files before it, which are in order.

    Raises TrustError (reason ``trust-not-accepted``) with the rule that is broken, or
    UnsupportedFormatError (``unsupported-trust``) if enough holders signed what this version can't
    judge.
    """
    newest = files[-1]
    _check_place(newest, file)
    speaking = voices(newest, file)
    if len(speaking) < newest.threshold:
        raise _refused(
            file,
            f"of the holders of version {newest.version}, {newest.threshold} must have signed it"
            f" with all their keys, and {_count(speaking)}",
        )
    # Only now: anybody can write a key of an unknown algorithm into a file.
    check_supported(file)
    check_content(files, file)
    check_own(file, newest)


def check_supported(file: TrustFile) -> None:
    """Raise UnsupportedFormatError if this version can't judge the file."""
    if file.unsupported:
        raise UnsupportedFormatError(
            f"{file.object_key}: this version doesn't know {file.unsupported}",
            hint="a newer version of this software may",
            reason=UNSUPPORTED,
            object_key=file.object_key,
        )


def voices(judges: TrustFile, file: TrustFile) -> list[str]:
    """Name the holders of one file who have signed another, each with all keys."""
    by_key = {each.key_id: each.signature for each in file.signatures}
    data = file.signed_bytes
    return [
        holder.name
        for holder in judges.holders
        if all(_has_signed(key, by_key.get(key.key_id), data) for key in holder.keys)
    ]


def _has_signed(key: AnyKey, signature: bytes | None, data: bytes) -> bool:
    if signature is None or isinstance(key, OtherKey):
        return False
    return key.verify(signature, data)


def check_own(file: TrustFile, before: TrustFile | None) -> None:
    """Check that a threshold of a file's own holders signed it, and nobody else or wrongly.

    The holders of the file ``before`` may have signed as well.
    """
    known = {
        key.key_id: (holder.name, key)
        for each in (file, before)
        if each is not None
        for holder in each.holders
        for key in holder.keys
    }
    data = file.signed_bytes
    for each in file.signatures:
        if each.key_id not in known:
            raise _refused(file, f"it is signed by key {each.key_id[:16]}…, which is no holder's")
        name, key = known[each.key_id]
        if not _has_signed(key, each.signature, data):
            raise _refused(file, f"the signature by key {each.key_id[:16]}… of {name} is wrong")
    speaking = voices(file, file)
    if len(speaking) < file.threshold:
        raise _refused(
            file,
            f"{file.threshold} of its own holders must have signed it with all their keys, and"
            f" {_count(speaking)}",
        )


def _count(names: list[str]) -> str:
    return f"{len(names)} did ({', '.join(names)})" if names else "none did"


def _check_place(newest: TrustFile, file: TrustFile) -> None:
    if file.origin != newest.origin:
        raise _refused(file, f"it is of the ledger {file.origin}, not {newest.origin}")
    if file.version != newest.version + 1:
        raise _refused(file, f"it is version {file.version}, and follows {newest.version}")
    if file.previous != newest.digest:
        raise _refused(
            file, f"it follows {file.previous}, and version {newest.version} is {newest.digest}"
        )


def check_content(files: Sequence[TrustFile], file: TrustFile) -> None:
    """Check what a file says against the files before it, whoever signed it."""
    if files:
        _check_pin(files[-1], file)
    _check_revoked(files, file)
    _check_uses(files, file)
    _check_dropped(files, file)


def _check_pin(newest: TrustFile, file: TrustFile) -> None:
    old, new = newest.log, file.log
    if new.size < old.size:
        raise _refused(
            file,
            f"its log has {new.size:,} leaves, and had {old.size:,} by version {newest.version}",
        )
    if new.size == old.size and new.root != old.root:
        raise _refused(
            file, f"it gives the log of {new.size:,} leaves another root than {newest.version} does"
        )


def _check_revoked(files: Sequence[TrustFile], file: TrustFile) -> None:
    listed = {each.key_id for before in files for each in before.keys}
    now = {each.key_id: each.start for each in file.revoked}
    for each in files[-1].revoked if files else ():
        if each.key_id not in now:
            raise _refused(file, f"it takes back that key {each.key_id[:16]}… is revoked")
        if now[each.key_id] > each.start:
            raise _refused(
                file,
                f"it revokes key {each.key_id[:16]}… from leaf {now[each.key_id]:,} on, and version"
                f" {files[-1].version} from {each.start:,}: a position may only fall",
            )
    for key_id in now:
        if key_id not in listed:
            raise _refused(file, f"it revokes key {key_id[:16]}…, which no file before it lists")
        if file.key(key_id):
            raise _refused(file, f"it lists key {key_id[:16]}…, and revokes it")


def _check_uses(files: Sequence[TrustFile], file: TrustFile) -> None:
    """Check that over all files a key is one thing: a holder's, a registrar's or the log's."""
    uses: dict[str, str] = {}
    for each in (*files, file):
        for key_id, use in _uses(each):
            if uses.setdefault(key_id, use) != use:
                raise _refused(file, f"key {key_id[:16]}… is {uses[key_id]}, and can't be {use}")


def _uses(file: TrustFile) -> list[tuple[str, str]]:
    held = [(key.key_id, f"the holder {each.name}'s") for each in file.holders for key in each.keys]
    return held + [
        (
            each.key_id,
            "the log's"
            if each.role == "log"
            else f"a registrar's that may {'' if each.erase else 'not '}erase",
        )
        for each in file.keys
    ]


def _check_dropped(files: Sequence[TrustFile], file: TrustFile) -> None:
    """Check that no key comes back that a file dropped."""
    current = {key_id for key_id, _ in _uses(files[-1])} if files else set()
    seen = {key_id for each in files for key_id, _ in _uses(each)}
    for key_id, use in _uses(file):
        if key_id in seen and key_id not in current:
            raise _refused(file, f"key {key_id[:16]}…, {use}, was dropped, and can't come back")


def _refused(file: TrustFile, why: str) -> TrustError:
    return TrustError(f"{file.object_key}: {why}", reason=NOT_ACCEPTED, object_key=file.object_key)
