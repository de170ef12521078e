"""Errors that only the HTTP service raises. All others are in ``ledger.errors``.

``docs/reference/http.md`` has a row for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ledger.errors import HeadMoved, LedgerError

if TYPE_CHECKING:
    from ledger.format.entry import Entry

Headers = tuple[tuple[str, str], ...]


class RequestError(LedgerError):
    """The request can't be understood: for example, a header is invalid or came twice."""

    slug = "bad-request"
    http_status = 400
    headers: Headers = ()
    """Headers that go with the answer."""

    def __init__(self, message: str, *, hint: str = "", headers: Headers = ()) -> None:
        super().__init__(message, hint=hint)
        self.headers = (*self.headers, *headers)


class UnknownHost(RequestError):
    """The request is for another host (``--allowed-host``)."""

    slug = "unknown-host"


class Unauthorized(RequestError):
    """The request has no token, or an unknown one (RFC 9110, section 15.5.2)."""

    slug = "unauthorized"
    http_status = 401


class Forbidden(RequestError):
    """A token that may only read tries to write (RFC 6750, section 3.1)."""

    slug = "read-only-token"
    http_status = 403


class UnknownPath(RequestError):
    """There is no such page."""

    slug = "unknown-path"
    http_status = 404


class NotSealed(RequestError):
    """The transparency log does not have it yet."""

    slug = "not-sealed"
    http_status = 404


class MethodNotAllowed(RequestError):
    """The page does not support this method (RFC 9110, section 15.5.6)."""

    slug = "method-not-allowed"
    http_status = 405


class TooLarge(RequestError):
    """The body is larger than ``--max-body`` (RFC 9110, section 15.5.14)."""

    slug = "too-large"
    http_status = 413
    headers: Headers = (("Connection", "close"),)  # the rest of the body is not read


class HeadTooLarge(RequestError):
    """The request line and the headers are too long together (RFC 6585, section 5)."""

    slug = "head-too-large"
    http_status = 431
    headers: Headers = (("Connection", "close"),)


class UnsupportedMediaType(RequestError):
    """The Content-Type is not JSON, or the body is encoded (RFC 9110, section 15.5.16)."""

    slug = "unsupported-media-type"
    http_status = 415
    headers: Headers = (("Accept-Post", "application/json"),)


class MatchRequired(RequestError):
    """The write has no condition, and the service requires one (RFC 6585, section 3)."""

    slug = "match-required"
    http_status = 428


class Busy(RequestError):
    """Too many requests need the store; nothing was done."""

    slug = "busy"
    http_status = 503


class TimedOut(RequestError):
    """The store did not answer in time (``--timeout``); nothing was written."""

    slug = "timed-out"
    http_status = 503


class NotReady(RequestError):
    """The service is running, but can't read its ledger."""

    slug = "not-ready"
    http_status = 503


class WriteRefused(HeadMoved):
    """HeadMoved with the current head, so that a client whose answer was lost can find its own."""

    slug: ClassVar[str] = HeadMoved.slug
    head: Entry | None = None

    @classmethod
    def because(cls, error: HeadMoved, head: Entry | None) -> WriteRefused:
        """Make the same refusal, with the evidence."""
        refused = cls(str(error), hint=error.hint, expected=error.expected, actual=error.actual)
        refused.head = head
        return refused
