"""Ask the witnesses of a policy for cosignatures, and publish them.

Witnesses are asked only after the checkpoint is published. So none of them can stop a seal: one
that fails is a finding.

The proof has to begin at the size that the witness cosigned last. Only the witness knows that size.
The sealer guesses it, from the newest checkpoint that it has seen with a line of the witness, and
the witness corrects it (409). No file keeps the guess, as a wrong one costs only one more request.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, IntegrityError, InvalidError, LedgerError, NotFoundError
from ledger.format.layout import LOG_CHECKPOINT
from ledger.format.report import Finding, finding_of
from ledger.sealing.cosign import add_cosignatures
from ledger.sealing.post import Target, post_all
from ledger.tlog.add_checkpoint import Reply, encode_request, own_note, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from ledger.sealing.reader import LogReader
    from ledger.tlog.checkpoint import SignedCheckpoint, WitnessKey
    from ledger.tlog.note import Signature
    from ledger.tlog.policy import WitnessPolicy

PAUSE = 60.0
"""Seconds for which a witness that failed is left alone, so that it does not delay every seal."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What the published checkpoint has of what a policy asks for."""

    counted: Mapping[str, datetime]
    """The witnesses whose cosignatures count, by the policy's names, and when they signed."""
    findings: tuple[Finding, ...]
    """What it lacks, and which witnesses failed, and why."""


@dataclass(slots=True)
class _Witness:
    """A server to ask, and the witness keys that the policy has for it."""

    target: Target
    url: str
    keys: dict[str, WitnessKey] = field(default_factory=dict)
    size: int = 0
    """The newest size that it is known to have cosigned."""
    problem: str = ""
    """Why it failed when it was asked last."""
    again: bool = False
    """Whether it has to be asked again at once, from the size that it named."""
    asked_at: float = 0.0
    """When it was asked last, by the monotonic clock."""

    @property
    def rests(self) -> bool:
        """Whether it failed just now."""
        return bool(self.problem) and time.monotonic() - self.asked_at < PAUSE

    def fail(self, problem: str) -> None:
        """Note why it failed, or with "" that it did not."""
        self.problem, self.asked_at = problem, time.monotonic()


class Witnesses:
    """The witnesses of a policy, to be asked again and again.

    Make it before the seal: it notes the cosignatures that the seal replaces. Raises InvalidError
    if no witness of the policy has a URL, or one can't be posted to.
    """

    def __init__(
        self,
        read_log: Callable[[], LogReader],
        policy: WitnessPolicy,
        clock: Callable[[], datetime],
        timeout: float,
    ) -> None:
        self._read_log = read_log
        self._policy = policy
        self._clock = clock
        self._timeout = timeout
        self._witnesses: dict[Target, _Witness] = {}
        for name, url in policy.urls.items():
            target = Target.parse(url, "add-checkpoint")
            witness = self._witnesses.setdefault(target, _Witness(target, url))
            witness.keys[name] = policy.keys[name]
        if not self._witnesses:
            raise InvalidError(
                "no witness of the policy can be asked: none has a URL",
                hint="write it at the end of the line: witness NAME VKEY https://HOST/PATH",
            )
        with suppress(LedgerError):  # only a guess is lost
            self._read(read_log())

    def ask(self) -> Cosigned:
        """Ask all whose cosignature is missing or gets old, and publish what they sign.

        A cosignature gets old at half of the policy's ``max_age``, so that it is renewed in time.
        Takes at most twice the timeout, and what the store takes. Every LedgerError becomes a
        finding.
        """
        try:
            signed, findings = self._collect(self._read_log())
        except ConflictError as error:  # sealed again meanwhile, by another sealer
            message = f"{LOG_CHECKPOINT}: {error}"
            return self._failed(Finding("unchecked", "not-witnessed", LOG_CHECKPOINT, message))
        except LedgerError as error:
            return self._failed(finding_of(error, LOG_CHECKPOINT))
        now = self._clock()
        lacking = self._policy.judge(signed, now)
        found = ([lacking] if lacking else []) + findings
        return Cosigned(self._policy.counted(signed, now), tuple(found))

    def _failed(self, finding: Finding) -> Cosigned:
        return Cosigned({}, (finding, *_problems(self._witnesses.values())))

    def _read(self, log: LogReader) -> SignedCheckpoint:
        """Read the published checkpoint, and note whose lines it has."""
        try:
            signed = log.checkpoint(self._policy.witnesses)
        except IntegrityError:
            # A writer of the store may have put a wrong line there in a witness's name. A right one
            # replaces it. If the log's own signature is wrong, this raises again.
            signed = log.checkpoint()
        if signed is None:
            raise NotFoundError(f"there is no log in {log.store.url}")
        have = {each.witness for each in signed.cosignatures}
        for witness in self._witnesses.values():
            if have.intersection(witness.keys.values()):
                witness.size = max(witness.size, signed.checkpoint.size)
        return signed

    def _collect(self, log: LogReader) -> tuple[SignedCheckpoint, list[Finding]]:
        signed = self._read(log)
        due = self._due(signed)
        asked = [witness for witness in due if not witness.rests]
        lines = self._ask(log, signed, asked)
        lines += self._ask(log, signed, [witness for witness in asked if witness.again])
        if lines:
            note = own_note(signed) + b"".join(line.encode() for line in lines)
            signed = add_cosignatures(log, note, self._policy.witnesses)
        for witness in self._due(signed):
            if not witness.problem:
                witness.fail("the time of its signature is too long ago or in the future, by ours")
        return signed, list(_problems(due))

    def _due(self, signed: SignedCheckpoint) -> list[_Witness]:
        """Return the witnesses whose cosignature is missing, or half as old as it may be."""
        now = self._clock()
        oldest = self._policy.max_age
        fresh = {
            name
            for name, moment in self._policy.counted(signed, now).items()
            if oldest is None or now - moment <= oldest / 2
        }
        return [each for each in self._witnesses.values() if not fresh.issuperset(each.keys)]

    def _ask(
        self, log: LogReader, signed: SignedCheckpoint, asked: list[_Witness]
    ) -> list[Signature]:
        """Ask these witnesses, side by side. Return their lines, and note what else they say."""
        size = signed.checkpoint.size
        begin = [min(witness.size, size) for witness in asked]
        bodies = {
            old: encode_request(old, log.consistency(old, size), signed) for old in set(begin)
        }
        requests = [(each.target, bodies[old]) for each, old in zip(asked, begin, strict=True)]
        answers = post_all(requests, self._timeout)
        lines: list[Signature] = []
        for witness, old, answer in zip(asked, begin, answers, strict=True):
            if isinstance(answer, str):
                reply = Reply(problem=answer)
            else:
                reply = read_answer(answer, signed, witness.keys.values())
            witness.again = reply.size is not None and reply.size <= size and reply.size != old
            if reply.size is None:
                witness.fail(reply.problem)
            else:
                witness.fail(_elsewhere(reply.size, size))
                witness.size = reply.size
            if reply.lines:
                witness.size = size
                lines += reply.lines
        return lines


def _elsewhere(cosigned: int, size: int) -> str:
    """Say why a witness that cosigned another size does not sign this one."""
    if cosigned > size:
        return (
            f"it has cosigned {cosigned:,} leaves, and this log has {size:,}: the log was set back"
            " or forked, or another sealer is ahead"
        )
    if cosigned == size:
        return f"it has cosigned another log of {size:,} leaves: the log was forked"
    return f"it wants a proof from {cosigned:,} leaves, and refuses the one that it gets (HTTP 409)"


def _problems(witnesses: Iterable[_Witness]) -> Iterator[Finding]:
    for witness in witnesses:
        if witness.problem:
            names = " and ".join(dict.fromkeys(key.name for key in witness.keys.values()))
            message = f"the witness {names} ({witness.url}): {witness.problem}"
            yield Finding("warning", "witness-failed", LOG_CHECKPOINT, message)
