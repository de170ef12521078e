"""Servers that don't keep what a ledger rests on, as some that people run: each before a true one.

What they do was seen on the servers that they are named for; docs/how-to/s3.md has the list.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING

from ledger.format.layout import PROBE
from ledger.stores.probe import THREADS
from tests.faults.proxy import Forward, Request, Response, error

if TYPE_CHECKING:
    from tests.faults.proxy import Between

CONDITIONS = ("if-match", "if-none-match")
MEETING = 15  # seconds for all writers of a race to come: less than they wait for an answer


def ignores_conditions(request: Request, forward: Forward) -> Response:
    """As s3rver and rclone's ``serve s3``: the last one to write wins."""
    return forward(request.without(*CONDITIONS))


def ignores_swaps(request: Request, forward: Forward) -> Response:
    """Keeps the condition of a creation only."""
    return forward(request.without("if-match"))


def wants_bare_versions(request: Request, forward: Forward) -> Response:
    """As Ceph 16 and 18: an ETag in quotes, as it gives them itself, matches nothing."""
    version = request.header("if-match")
    if version is None:
        return forward(request)
    if version.startswith('"'):
        return error(412, "PreconditionFailed")
    quoted = (("If-Match", f'"{version}"'),)
    return forward(replace(request, headers=request.without("if-match").headers + quoted))


def has_no_conditions(request: Request, forward: Forward) -> Response:
    """As Swift's ``s3api``."""
    if request.writes and any(request.header(name) for name in CONDITIONS):
        return error(501, "NotImplemented")
    return forward(request)


def leaves_out_versions(request: Request, forward: Forward) -> Response:
    """As a gateway that passes on some headers, and not the ETag."""
    answer = forward(request)
    return replace(answer, headers=tuple(h for h in answer.headers if h[0].lower() != "etag"))


def checks_then_writes() -> Between:
    """As a bucket with versions on Ceph: each condition holds for one writer, not for several."""
    meeting = Barrier(THREADS)

    def between(request: Request, forward: Forward) -> Response:
        if request.method != "PUT" or not any(request.header(name) for name in CONDITIONS):
            return forward(request)
        there = forward(replace(request.without(*CONDITIONS), method="GET", body=b""))
        version = there.header("etag") if there.status == 200 else None
        wanted = request.header("if-match")
        if version != wanted:
            return error(412, "PreconditionFailed")
        if PROBE in request.path and not request.path.endswith(".0"):  # which one writes alone
            with suppress(BrokenBarrierError):
                meeting.wait(MEETING)
        return forward(request.without(*CONDITIONS))

    return between
