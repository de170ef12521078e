"""Everything that can go wrong, under one base class.

::

    LedgerError
      MalformedError          the bytes are not valid: JSON, entry, bundle, key
        InvalidError          readable, but not acceptable: a title number, a document, a date
          DoesNotFit          a document that the ledger's schema refuses
        NotABundle            the file is not a bundle, or was cut short
      IntegrityError          what is stored does not hold together
      TrustError              signed by a key that does not count here
        NotProven             it may be sound, but nothing at hand shows it
        OriginNotPinned       the keyring does not know this ledger's origin
        KeyUnavailable        no private key to sign with, or it can't be used
        NotStanding           an entry does not stand, or nobody can tell: its key has an end
      NotFoundError           no such ledger, title or entry
        Erased                the text of an entry is withheld
        NotInLaw              no entry covers the day that was asked about
      ConflictError           somebody was first
        HeadMoved             the head is not the parent that was asked for
        HeadMissing           the title has a history but no head
        ReferenceConflict     the reference is taken by another document
        Forked                two histories of one title, neither a continuation of the other
        LedgerExists          the store holds a ledger of another origin
        Skipped               an earlier draft of its title failed in the same batch
        TitleClosed           a closed title takes no ordinary entry
        Supersedes            it would take the place of a version that begins later
        ClockBehind           this clock is far behind the parent's time
        ClockAhead            this clock is far ahead of the store's
        PreconditionFailed    a store's condition did not hold (stores raise it)
      StoreError              the store could not be used; nothing was appended
        StoreUnavailable      unreachable, busy, or full
        StoreDenied           no permission
        StoreUnsafe           the store ignores conditions: two writers would lose entries
      RegistrationIncomplete  some parts of a registration stand, and some don't yet
      OutcomeUnknown          it may have been written
        NotDurable            it was written, but a crash may still undo it
      UnsupportedFormatError  made by another version, or not by this software
      LibraryUnsafe           a library judges signatures otherwise than the format does

Each class carries its ``slug`` (stable, for machines), the shell's ``exit_code`` and the service's
``http_status``. Every error pickles, and carries its evidence as attributes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LedgerError(Exception):
    """The base of every error here: ``str(error)`` says what and why, ``hint`` what next."""

    slug: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MalformedError(LedgerError):
    """The bytes are not valid: JSON, entry, bundle or key."""

    slug = "malformed"
    exit_code = 65
    http_status = 400


class InvalidError(MalformedError):
    """The value can be read but not accepted: a title number, a document, a date, a revision."""

    slug = "invalid"
    http_status = 422


class DoesNotFit(InvalidError):
    """The document doesn't fit the ledger's schema.

    ``faults`` holds (pointer, problem) for each place that doesn't, and ``more`` counts those that
    are left out of it.
    """

    slug = "does-not-fit"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        faults: Sequence[tuple[str, str]] = (),
        more: int = 0,
    ) -> None:
        super().__init__(message, hint=hint)
        self.faults: tuple[tuple[str, str], ...] = tuple(faults)
        self.more = more


class NotABundle(MalformedError):
    """The file is not a bundle, or was cut short: nothing in it was signed to be otherwise."""

    slug = "not-a-bundle"


class IntegrityError(LedgerError):
    """What is stored does not hold together.

    ``reason`` is the slug of the finding that ``verify`` would report, ``object_key`` the object.
    """

    slug = "integrity"
    exit_code = 20

    def __init__(
        self, message: str, *, hint: str = "", reason: str = "damaged", object_key: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.object_key = object_key


class TrustError(LedgerError):
    """Signed by a key that does not count here. ``reason`` is the finding's slug."""

    slug = "untrusted"
    exit_code = 12
    http_status = 403

    def __init__(
        self, message: str, *, hint: str = "", reason: str = "untrusted-key", object_key: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.object_key = object_key


class NotProven(TrustError):
    """It may be sound, but nothing at hand shows it: neither true nor false is known."""

    slug = "not-proven"
    exit_code = 3
    http_status = 503


class OriginNotPinned(TrustError):
    """The keyring does not know this ledger's origin, so none of its keys can count."""

    slug = "origin-not-pinned"
    http_status = 500


class KeyUnavailable(TrustError):
    """There is no private key to sign with, or it can't be used: missing, locked, exposed."""

    slug = "key-unavailable"
    http_status = 500


class NotStanding(TrustError):
    """An entry does not stand, or nobody can tell whether it does: its key has an end.

    Nothing is written on top of such a head until somebody settles it.
    """

    slug = "not-standing"
    http_status = 409


class NotFoundError(LedgerError):
    """No such ledger, title or entry."""

    slug = "not-found"
    exit_code = 10
    http_status = 404


class Erased(NotFoundError):
    """The text of an entry is withheld; ``version`` names the entry that orders it, if known."""

    slug = "erased"
    http_status = 410

    def __init__(
        self, message: str, *, hint: str = "", version: int = 0, reference: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.version = version
        self.reference = reference


class NotInLaw(NotFoundError):
    """No entry of the title covers the day that was asked about."""

    slug = "not-in-law"


class ConflictError(LedgerError):
    """Somebody was first, or the histories disagree; nothing was changed."""

    slug = "conflict"
    exit_code = 11
    http_status = 409


class HeadMoved(ConflictError):
    """The head is not the parent that was asked for. ``actual`` is None if there is no head."""

    slug = "head-moved"
    http_status = 412

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        expected: str | None = None,
        actual: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.actual = actual


class HeadMissing(ConflictError):
    """The title has a history but no head; an append would start a second history."""

    slug = "head-missing"


class ReferenceConflict(ConflictError):
    """The reference is in the title's chain already, with another document (``address``)."""

    slug = "reference-conflict"

    def __init__(self, message: str, *, hint: str = "", address: str = "") -> None:
        super().__init__(message, hint=hint)
        self.address = address


class Forked(ConflictError):
    """Two histories of one title, neither a continuation of the other."""

    slug = "forked"


class LedgerExists(ConflictError):
    """The store holds a ledger already, of another origin."""

    slug = "ledger-exists"


class Skipped(ConflictError):
    """An earlier draft of the title (``draft``, from 1 on) failed in this batch."""

    slug = "skipped"

    def __init__(self, message: str, *, hint: str = "", draft: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.draft = draft


class TitleClosed(ConflictError):
    """The title is closed: what is appended has to reopen it, or to rectify the record."""

    slug = "title-closed"


class Supersedes(ConflictError):
    """A version without an end would take the place of one that begins later."""

    slug = "supersedes-later"


class ClockBehind(ConflictError):
    """This clock is further behind the parent's time than clocks may differ."""

    slug = "clock-behind"


class ClockAhead(ConflictError):
    """This clock is further ahead of the store's than clocks may differ."""

    slug = "clock-ahead"
    http_status = 503  # the client can't set that clock


class PreconditionFailed(ConflictError):
    """A store's condition did not hold: the object exists, or is not the version expected."""

    slug = "precondition-failed"
    http_status = 412


class StoreError(LedgerError):
    """The store could not be used; nothing was appended.

    Raised amid the steps of an import, a pack or a seal, it is about the last: the others stay.
    """

    slug = "store"
    exit_code = 13
    http_status = 503


class StoreUnavailable(StoreError):
    """The store is unreachable, busy, out of room, or not what its address says."""

    slug = "store-unavailable"


class StoreDenied(StoreError):
    """The store refuses: no permission, no or expired credentials."""

    slug = "store-denied"


class StoreUnsafe(StoreError):
    """The store ignores conditions: two writers at once would lose entries."""

    slug = "store-unsafe"


class RegistrationIncomplete(LedgerError):
    """Some parts of a registration stand, and some don't yet; the same call again finishes it.

    ``standing`` maps the parts that stand to their addresses, ``missing`` has the others.
    """

    slug = "registration-incomplete"
    exit_code = 16
    http_status = 409

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        reference: str = "",
        standing: Mapping[int, str] = MappingProxyType({}),
        missing: tuple[int, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.reference = reference
        self.standing: dict[int, str] = dict(standing)
        self.missing = missing


class OutcomeUnknown(LedgerError):
    """The write may or may not have happened; ``address`` is what to look for."""

    slug = "outcome-unknown"
    exit_code = 15
    http_status = 504

    def __init__(self, message: str, *, hint: str = "", address: str = "") -> None:
        super().__init__(message, hint=hint)
        self.address = address


class NotDurable(OutcomeUnknown):
    """It was written, but not forced to the disk: that it can be read settles nothing."""

    slug = "not-durable"


class UnsupportedFormatError(LedgerError):
    """Made by another version of this software, or not by this software at all."""

    slug = "unsupported-format"
    exit_code = 14

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        reason: str = "unsupported-kind",
        object_key: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.object_key = object_key


class LibraryUnsafe(LedgerError):
    """A library judges signatures otherwise than the format does: no verdict of it would count."""

    slug = "library-unsafe"
