"""What a trust file says and changes: who gains, who loses, and from which position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.trust.accept import Signatures
from ledger.trust.keys import algorithm_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.trust.file import TrustFile, TrustKey


def explain(before: Sequence[TrustFile], file: TrustFile) -> list[str]:
    """Say what a file changes against the last of those before it; without any, what it says."""
    old = before[-1] if before else None
    return [
        *_explain_holders(old, file),
        *_explain_keys(old, file),
        *_explain_revoked(before, file),
        *_explain_log(old, file),
        *([f"A successor is due on {file.next}."] if file.next else []),
    ]


def trust_json(before: Sequence[TrustFile], file: TrustFile) -> dict[str, Any]:
    """Return a trust file as an object for programs."""
    signed = Signatures(file).voices(file)
    return {
        "origin": file.origin,
        "version": file.version,
        "trust": file.digest,
        "size": file.log.size,
        "threshold": file.threshold,
        "holders": [
            {"name": holder.name, "signed": holder.name in signed} for holder in file.holders
        ],
        "keys": [
            {"key": each.key_id, "name": each.name, "role": each.role, "erase": each.erase}
            for each in file.keys
        ],
        "revoked": [{"key": each.key_id, "from": each.start} for each in file.revoked],
        "next": file.next,
        "changes": explain(before, file),
    }


def _explain_holders(old: TrustFile | None, file: TrustFile) -> Iterator[str]:
    names = ", ".join(holder.name for holder in file.holders)
    count = len(file.holders)
    held = {holder.name: holder for holder in old.holders} if old else {}
    if not old or (old.threshold, len(old.holders)) != (file.threshold, count):
        were = f"; it took {old.threshold} of {len(old.holders)}" if old else ""
        yield f"{file.threshold} of {count} holders decide{were}: {names}."
    for holder in file.holders if old else ():
        if holder.name not in held:
            yield f"{holder.name} becomes a holder."
        elif held[holder.name] != holder:
            yield f"{holder.name} remains a holder, with new keys."
    for name in sorted(held.keys() - {holder.name for holder in file.holders}):
        yield f"{name} is a holder no more."


def _explain_keys(old: TrustFile | None, file: TrustFile) -> Iterator[str]:
    listed = {each.key_id for each in old.keys} if old else set()
    for each in file.keys:
        if each.key_id not in listed:
            may = ", who may order texts erased" if each.erase else ""
            yield f"{_call(each)} {'becomes' if old else 'is'} {_role(each)}{may}."
    revoked = {each.key_id for each in file.revoked}
    for each in old.keys if old else ():
        if file.key(each.key_id) is None and each.key_id not in revoked:
            yield (
                f"{_call(each)} is {_role(each)} no more: what it signed counts before leaf"
                f" {file.log.size:,}, and nothing after."
            )


def _explain_revoked(before: Sequence[TrustFile], file: TrustFile) -> Iterator[str]:
    names = {each.key_id: each for past in before for each in past.keys}
    were = {each.key_id: each.start for each in before[-1].revoked} if before else {}
    for each in file.revoked:
        key = names.get(each.key_id)
        called = _call(key) if key else f"The key {each.key_id[:16]}…"
        if each.key_id not in were:
            yield f"{called} is revoked: nothing that it signed counts from leaf {each.start:,} on."
        elif each.start < were[each.key_id]:
            yield (
                f"{called} was revoked from leaf {were[each.key_id]:,} on, and now from"
                f" {each.start:,} on: what it signed between stops counting."
            )


def _explain_log(old: TrustFile | None, file: TrustFile) -> Iterator[str]:
    size = file.log.size
    more = f", {size - old.log.size:,} more than version {old.version} does" if old else ""
    yield f"It pins the log at {size:,} {'leaf' if size == 1 else 'leaves'}{more}."


def _call(key: TrustKey) -> str:
    if key.role == "registrar" and key.name:
        return f"{key.name} (key {key.key_id[:16]}…)"
    return f"The key {key.key_id[:16]}…"


def _role(key: TrustKey) -> str:
    if key.role == "log":
        return f"a key of the log ({algorithm_of(key.key) or 'of an unknown algorithm'})"
    return "a registrar"
