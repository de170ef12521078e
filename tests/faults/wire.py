"""What goes wrong on the way to an S3 server and back, at one request or from it on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from tests.faults.proxy import Broken, Forward, Request, Response, error

if TYPE_CHECKING:
    from tests.faults.proxy import Between

__all__ = ["FAULTS", "PATIENCE", "STALLS", "Strike"]


def reset_before(request: Request, forward: Forward) -> Response:
    """The server never hears of it."""
    raise Broken(reset=True)


def closed_before(request: Request, forward: Forward) -> Response:
    raise Broken


def lost(request: Request, forward: Forward) -> Response:
    """The server has acted, and nobody hears of it."""
    forward(request)
    raise Broken


def reset_after(request: Request, forward: Forward) -> Response:
    forward(request)
    raise Broken(reset=True)


def truncated(request: Request, forward: Forward) -> Response:
    """The answer ends within its body; if it has none, within its headers."""
    answer = forward(request)
    data = answer.encode(request.method)
    raise Broken(data[: -(len(answer.body) // 2 + 1)] if answer.body else data[: len(data) // 2])


def busy(request: Request, forward: Forward) -> Response:
    return error(503, "SlowDown")


def busy_after(request: Request, forward: Forward) -> Response:
    """The server has acted, and a gateway before it says that it has not."""
    forward(request)
    return error(503, "SlowDown")


def failed_after(request: Request, forward: Forward) -> Response:
    forward(request)
    return error(500, "InternalError")


def conflict(request: Request, forward: Forward) -> Response:
    """What AWS answers while another write of the same key is under way."""
    if request.method != "PUT":
        return forward(request)
    return error(409, "ConditionalRequestConflict")


def doubled(request: Request, forward: Forward) -> Response:
    """A gateway repeats it: a write is then refused for its own success."""
    forward(request)
    return forward(request)


def altered(request: Request, forward: Forward) -> Response:
    """One bit of what was read is another."""
    answer = forward(request)
    if request.method != "GET" or answer.status != 200 or not answer.body:
        return answer
    middle = len(answer.body) // 2
    body = bytearray(answer.body)
    body[middle] ^= 1
    return replace(answer, body=bytes(body))


FAULTS: tuple[Between, ...] = (
    reset_before,
    closed_before,
    lost,
    reset_after,
    truncated,
    busy,
    busy_after,
    failed_after,
    conflict,
    doubled,
    altered,
)


PATIENCE = 1.0
"""Seconds after which who asks has to have given up."""


def stalled_before(request: Request, forward: Forward) -> Response:
    """Nothing happens, and nothing is said."""
    time.sleep(1.3 * PATIENCE)
    raise Broken


def stalled_after(request: Request, forward: Forward) -> Response:
    """The server has acted; its answer doesn't come."""
    forward(request)
    time.sleep(1.3 * PATIENCE)
    raise Broken


def late(request: Request, forward: Forward) -> Response:
    """The request arrives when its sender has given up, and has sent others."""
    time.sleep(1.3 * PATIENCE)
    forward(request)
    raise Broken


STALLS = (stalled_before, stalled_after, late)


@dataclass
class Strike:
    """Lets a fault strike the n-th request (0 is the first): once, or from then on."""

    fault: Between
    place: int
    for_good: bool = False
    seen: int = 0
    broken: int = 0
    """How many requests were not simply passed on, and answered as the server did."""

    def __post_init__(self) -> None:
        self._lock = Lock()

    def __call__(self, request: Request, forward: Forward) -> Response:
        with self._lock:
            hit = self.seen == self.place or (self.for_good and self.seen > self.place)
            self.seen += 1
        return self._break(request, forward) if hit else forward(request)

    def _break(self, request: Request, forward: Forward) -> Response:
        answers = []

        def passed_on(each: Request) -> Response:
            answers.append(forward(each))
            return answers[-1]

        try:
            answer = self.fault(request, passed_on)
        except Broken:
            self._note()
            raise
        if len(answers) != 1 or answer is not answers[0]:
            self._note()
        return answer

    def _note(self) -> None:
        with self._lock:
            self.broken += 1
