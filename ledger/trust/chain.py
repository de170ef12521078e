"""The trust files of a ledger as one value: whose keys count, and where each key ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from ledger.errors import (
    IntegrityError,
    LedgerError,
    MalformedError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.report import Finding, finding_of
from ledger.trust.accept import check_next, check_own, check_supported
from ledger.trust.file import TrustFile, TrustKey

if TYPE_CHECKING:
    from ledger.format.keyring import Root
    from ledger.tlog.checkpoint import Checkpoint

ReadFile: TypeAlias = Callable[[int], bytes | None]
"""Answers the bytes of the trust file of this version; None: there is none."""


@dataclass(frozen=True)
class Trust:
    """The trust files that a reader accepts, by the root in the keyring. It never changes."""

    root: Root
    files: tuple[TrustFile, ...]
    """In order and without a gap; the root's is among them. From 1 on, if none is missing."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with the files that are not here, or with the signatures of those that are."""

    @property
    def origin(self) -> str:
        """The ledger that they are about."""
        return self.root.origin

    @property
    def newest(self) -> TrustFile:
        """The last file that is accepted."""
        return self.files[-1]

    @property
    def pins(self) -> tuple[Checkpoint, ...]:
        """What the log was by each file, ascending by size."""
        return tuple(
            sorted({file.log for file in self.files}, key=lambda log: (log.size, log.root))
        )

    def file(self, version: int) -> TrustFile | None:
        """The accepted file of this version, or None."""
        at = version - self.files[0].version
        return self.files[at] if 0 <= at < len(self.files) else None

    def is_disowned(self, leaf: int) -> bool:
        """Whether a thief may have logged this leaf with a key of the log that was revoked since.

        It lies from where a file revokes the key on, and before where the log was by then.
        """
        return any(start <= leaf < end for start, end in self.disowned)

    def registrar(self, key_id: str) -> TrustKey | None:
        """The key of this id, if some file lists it as a registrar's."""
        key = self.listed.get(key_id)
        return key if key and key.role == "registrar" else None

    def is_current(self, key_id: str) -> bool:
        """Whether the newest file lists the key, so that it may sign something new."""
        return self.newest.key(key_id) is not None

    def may_erase(self, key_id: str) -> bool:
        """Whether it is a registrar's key with ``erase``."""
        key = self.registrar(key_id)
        return key is not None and key.erase

    def name(self, key_id: str) -> str:
        """What the newest file that lists the key calls it, or ""."""
        key = self.listed.get(key_id)
        return key.name if key else ""

    def end_of(self, key_id: str) -> int | None:
        """The position in the log from which on the key does not count; None: it has no end.

        It is the smaller of where the log was when a file first listed it no more, and of where
        the newest file revokes it.
        """
        return self._ends.get(key_id)

    def log_keys_for(self, size: int) -> tuple[TrustKey, ...]:
        """The log's keys that sign a checkpoint of this size.

        They are those of the file whose log is the largest that is not larger (of equals, the
        newest file), or of the first file.
        """
        file = self.files[0]
        for each in self.files:
            if file.log.size <= each.log.size <= size:
                file = each
        return tuple(key for key in file.keys if key.role == "log")

    @cached_property
    def listed(self) -> dict[str, TrustKey]:
        """All keys that any file lists, by id, as the newest of those files has them."""
        return {key.key_id: key for file in self.files for key in file.keys}

    @cached_property
    def disowned(self) -> tuple[tuple[int, int], ...]:
        """The leaves that stolen keys of the log may have made, as ranges."""
        known: dict[str, int] = {}
        for file in self.files:
            for revoked in file.revoked:
                known.setdefault(revoked.key_id, file.log.size)
        return tuple(
            (revoked.start, known[revoked.key_id])
            for revoked in self.newest.revoked
            if (key := self.listed.get(revoked.key_id)) and key.role == "log"
        )

    @cached_property
    def _ends(self) -> dict[str, int]:
        ends: dict[str, int] = {}
        before: set[str] = set()
        for file in self.files:
            listed = {key.key_id for key in file.keys}
            for key_id in before - listed:
                ends.setdefault(key_id, file.log.size)
            before |= listed
        for revoked in self.newest.revoked:
            ends[revoked.key_id] = min(revoked.start, ends.get(revoked.key_id, revoked.start))
        return ends


def assemble(root: Root, read: ReadFile, known: Trust | None = None) -> Trust:
    """Make the Trust of the trust files of a ledger, whose bytes ``read`` answers by version.

    The root is known by its sha256, and those before it by ``previous``, back to the first. Those
    after it are accepted one by one by the rules. What is not ends the chain, and is a finding.
    ``known``: what was accepted before, by the same root. If nothing was wrong with it, ``read`` is
    asked only for what follows.

    Raises IntegrityError (``trust-missing``), TrustError (``trust-not-accepted``) or
    UnsupportedFormatError if the root itself is missing, another, or can't be read: then no key of
    the ledger counts.
    """
    if known is not None and not known.findings:
        files, findings = list(known.files), list(known.findings)
    else:
        files, findings = _believed(root, read)
    while (data := read(files[-1].version + 1)) is not None:
        key = layout.trust_key(files[-1].version + 1)
        try:
            file = _read(data, key)
            check_next(files, file)
        except LedgerError as error:
            findings.append(finding_of(error, key))
            break
        files.append(file)
    return Trust(root, tuple(files), tuple(findings))


def _believed(root: Root, read: ReadFile) -> tuple[list[TrustFile], list[Finding]]:
    """The root's file and those before it, in order, and what is wrong with them."""
    files = [_named(root, root.version, root.digest, read(root.version))]
    findings: list[Finding] = []
    while files[0].previous is not None:
        version = files[0].version - 1
        try:
            file = _named(root, version, files[0].previous, read(version))
        except LedgerError as error:
            findings.append(finding_of(error, layout.trust_key(version)))
            break
        files.insert(0, file)
    # What they say is believed by their digests, which their signatures are not in.
    for before, file in zip([None, *files], files, strict=False):
        if before is not None or file.version == 1:
            try:
                check_own(file, before)
            except TrustError as error:
                findings.append(finding_of(error, file.object_key))
    return files, findings


def _named(root: Root, version: int, digest: str, data: bytes | None) -> TrustFile:
    """Read a file that is known by its digest."""
    key = layout.trust_key(version)
    if data is None:
        raise IntegrityError(
            f"{key}: missing, and the trust files that you pinned follow it",
            hint="bring it back from a copy of the ledger",
            reason="trust-missing",
            object_key=key,
        )
    file = _read(data, key)
    if (file.origin, file.version, file.digest) != (root.origin, version, digest):
        raise TrustError(
            f"{key}: its sha256 is {file.digest}, expected {digest}",
            hint="if you were told of a new first trust file: ledger trust pin --replace",
            reason="trust-not-accepted",
            object_key=key,
        )
    check_supported(file)
    return file


def _read(data: bytes, key: str) -> TrustFile:
    try:
        return TrustFile.decode(data)
    except UnsupportedFormatError as error:
        raise UnsupportedFormatError(
            f"{key}: {error}", hint=error.hint, reason=error.reason, object_key=key
        ) from error
    except MalformedError as error:
        raise TrustError(f"{key}: {error}", reason="trust-not-accepted", object_key=key) from error
