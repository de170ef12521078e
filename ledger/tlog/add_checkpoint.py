"""Ask a witness to cosign a checkpoint: the bytes of c2sp.org/tlog-witness, both ways.

The log sends ``add-checkpoint`` the size that the witness cosigned last, a proof that the
checkpoint continues it, and the checkpoint. The witness answers with its signature lines, or with
the size if that was another. The size is not signed: it says from where to prove, and no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import MalformedError
from ledger.tlog.note import Signature, encode_base64, parse_unverified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey

MAX_ANSWER_BYTES = 100_000
"""Thirty of the largest signatures. A witness has one or two keys."""

SIZE_TYPE = "text/x.tlog.size"
SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
SHOWN = 100

REFUSALS = {
    400: "it finds the request malformed",
    403: "it does not know the key that signed the checkpoint; give its operator the log's new key",
    404: "it does not know this log, or the URL is wrong; ask its operator to add the log",
    422: "it says that this log does not continue the one that it cosigned: the log was forked, or"
    " a tile is damaged ('ledger audit' tells)",
    429: "it was asked too often",
}


class Answer(NamedTuple):
    """What a server answered over HTTP."""

    status: int
    media_type: str
    location: str
    """Where a redirect leads; "" for other answers."""
    body: bytes
    """At most one byte more than MAX_ANSWER_BYTES."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer says."""

    lines: tuple[Signature, ...] = ()
    """The witness's signatures, verified: of each key the newest."""
    size: int | None = None
    """The size that the witness cosigned last, if the proof has to begin there."""
    problem: str = ""
    """Why there is no signature, or that one of them is wrong."""


def own_note(signed: SignedCheckpoint) -> bytes:
    """Return the checkpoint with the lines of the log alone, which a witness has to see."""
    text, lines = parse_unverified(signed.note)
    own = [line.encode() for line in lines if line.name == signed.checkpoint.origin]
    return b"".join([text.encode(), b"\n", *own])


def encode_request(old_size: int, proof: Sequence[bytes], signed: SignedCheckpoint) -> bytes:
    """Return the body of a request, with the proof that it continues ``old_size`` leaves."""
    hashes = "".join(f"{encode_base64(each)}\n" for each in proof)
    return f"old {old_size}\n{hashes}\n".encode() + own_note(signed)


def read_answer(answer: Answer, signed: SignedCheckpoint, keys: Iterable[WitnessKey]) -> Reply:
    """Read the answer of a witness that has these keys, to a request for this checkpoint."""
    if len(answer.body) > MAX_ANSWER_BYTES:
        return Reply(problem=f"its answer has more than {MAX_ANSWER_BYTES:,} bytes")
    if answer.status == 200:
        return _read_lines(answer.body, signed, keys)
    if answer.status == 409:
        return _read_size(answer)
    if 300 <= answer.status < 400:
        place = f" to {answer.location!a:.200}" if answer.location else ""
        return Reply(problem=f"it redirects{place}; put the URL that it has now into the policy")
    why = REFUSALS.get(answer.status, "it failed" if answer.status >= 500 else "it refused")
    return Reply(problem=f"{why} (HTTP {answer.status}{_said(answer.body)})")


def _read_lines(body: bytes, signed: SignedCheckpoint, keys: Iterable[WitnessKey]) -> Reply:
    text = signed.checkpoint.text
    try:
        found, lines = parse_unverified(text.encode() + b"\n" + body)
    except MalformedError as error:
        return Reply(problem=f"its answer is no list of signatures: {error}")
    if found != text:  # an empty line in the answer would make some of it the text
        return Reply(problem="its answer is no list of signatures: it has an empty line")
    known = {(key.name, key.key_hash): key for key in keys}
    newest: dict[tuple[str, bytes], Signature] = {}
    wrong = False
    for line in lines:
        who = line.name, line.key_hash
        if who not in known:
            continue
        if not known[who].verify(text, line.body):
            wrong = True
        elif who not in newest or line.body > newest[who].body:  # a body begins with the time
            newest[who] = line
    if wrong:
        return Reply(tuple(newest.values()), problem="its signature is wrong")
    missing = [f"{name}+{hash_.hex()}" for name, hash_ in known if (name, hash_) not in newest]
    problem = f"it did not sign as {' or '.join(missing)}, as the policy has it" if missing else ""
    return Reply(tuple(newest.values()), problem=problem)


def _read_size(answer: Answer) -> Reply:
    media_type = answer.media_type.partition(";")[0].strip().lower()
    size = SIZE.fullmatch(answer.body)
    if media_type != SIZE_TYPE or size is None:
        said = _said(answer.body)
        return Reply(problem=f"it does not say which size it cosigned (HTTP 409{said})")
    return Reply(size=int(size[1]))


def _said(body: bytes) -> str:
    """Quote the first line of an answer, for people."""
    first = body.decode("utf-8", "replace").strip().partition("\n")[0].strip()
    return f": {first[:SHOWN]!a}" if first else ""
