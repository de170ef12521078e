"""When a trust file is accepted: who must have signed it, and what it may change.

A reader accepts file N + 1 after files 1 … N. Each rule here is one of ``docs/spec.md``, "Trust
files"; what a file must be by itself is checked where it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import TrustError, UnsupportedFormatError
from ledger.trust.keys import AnyKey, OtherKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.trust.file import TrustFile


def check_first(file: TrustFile) -> None:
    """Check the first trust file of a ledger; raises what ``check_next`` does."""
    check_place((), file)
    check_supported(file)
    check_content((), file)
    check_own(file, None)


class Signatures:
    """The signatures of a file; each is verified once, when it is asked for."""

    def __init__(self, file: TrustFile) -> None:
        self._given = {each.key_id: each.signature for each in file.signatures}
        self._data = file.signed_bytes
        self._right: dict[str, bool] = {}

    def voices(self, judges: TrustFile) -> list[str]:
        """Name the holders of a file who have signed this one, each with all keys."""
        return [
            holder.name for holder in judges.holders if all(self.has(key) for key in holder.keys)
        ]

    def has(self, key: AnyKey) -> bool:
        """Whether the key has signed, and rightly."""
        if key.key_id not in self._given or isinstance(key, OtherKey):
            return False
        if key.key_id not in self._right:
            self._right[key.key_id] = key.verify(self._given[key.key_id], self._data)
        return self._right[key.key_id]


def check_next(files: Sequence[TrustFile], file: TrustFile, *, continues: bool = False) -> None:
    """Check that this file is accepted after the files before it, which are in order.

    ``continues``: whether or not the holders of the file before signed it. No reader accepts such
    a file unless a person pins it.

    Raises TrustError (reason ``trust-not-accepted``) with the rule that is broken, or
    UnsupportedFormatError (``unsupported-trust``) if enough holders signed what this version can't
    judge.
    """
    newest = files[-1]
    check_place(files, file)
    signatures = Signatures(file)
    speaking = signatures.voices(newest)
    if not continues and len(speaking) < newest.threshold:
        raise _refused(
            file,
            f"of the holders of version {newest.version}, {newest.threshold} must have signed it"
            f" with all their keys, and {_count(speaking)}",
        )
    # Only now: anybody can write a key of an unknown algorithm into a file.
    check_supported(file)
    check_content(files, file)
    check_own(file, newest, signatures)


def check_supported(file: TrustFile) -> None:
    """Raise UnsupportedFormatError if this version can't judge the file."""
    if file.unsupported:
        raise UnsupportedFormatError(
            f"{file.object_key}: this version doesn't know {file.unsupported}",
            hint="a newer version of this software may",
            reason="unsupported-trust",
            object_key=file.object_key,
        )


def check_own(
    file: TrustFile, before: TrustFile | None, signatures: Signatures | None = None
) -> None:
    """Check that a threshold of a file's own holders signed it, and nobody else or wrongly.

    The holders of the file ``before`` may have signed as well. ``signatures``: those of the file,
    if some were verified already.
    """
    signatures = signatures or Signatures(file)
    known = {
        key.key_id: (holder.name, key)
        for each in (file, before)
        if each is not None
        for holder in each.holders
        for key in holder.keys
    }
    for each in file.signatures:
        if each.key_id not in known:
            raise _refused(file, f"it is signed by key {each.key_id[:16]}…, which is no holder's")
        name, key = known[each.key_id]
        if not signatures.has(key):
            raise _refused(file, f"the signature by key {each.key_id[:16]}… of {name} is wrong")
    speaking = signatures.voices(file)
    if len(speaking) < file.threshold:
        raise _refused(
            file,
            f"{file.threshold} of its own holders must have signed it with all their keys, and"
            f" {_count(speaking)}",
        )


def _count(names: list[str]) -> str:
    return f"{len(names)} did ({', '.join(names)})" if names else "none did"


def check_place(files: Sequence[TrustFile], file: TrustFile) -> None:
    """Check that a file is the one that follows these files."""
    if not files:
        if file.version != 1:
            raise _refused(file, f"it is version {file.version}, and no file comes before it")
        return
    newest = files[-1]
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
    return TrustError(
        f"{file.object_key}: {why}", reason="trust-not-accepted", object_key=file.object_key
    )
