"""A trust file on its way from holder to holder, with all that they check it by, offline.

It is canonical JSON::

    {"before":[<trust file>,…],
     "checkpoint":"<signed checkpoint>",
     "continues":false,
     "file":<trust file>,
     "format":1,
     "proofs":[{"proof":["<base64>",…],"size":81004},…]}

``before`` are the files that it follows. ``checkpoint`` is the one that it pins, with the lines of
the log and of witnesses. Each proof shows that the log of the checkpoint and that of ``size``
leaves are one log. Nothing in a proposal is believed: it has to lead from what a holder knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import MalformedError, TrustError, UnsupportedFormatError
from ledger.format import canonical
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.merkle import check_consistency
from ledger.tlog.note import decode_base64, encode_base64, parse_unverified
from ledger.trust.accept import check_content, check_place, check_supported
from ledger.trust.file import TrustFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.format.canonical import JSONValue

FORMAT = 1
MAX_BYTES = 64 << 20
"""The largest proposal, in bytes."""


class Proof(NamedTuple):
    """A consistency proof between the pinned log and that of another size."""

    size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True)
class Proposal:
    """A trust file that holders are asked to sign, and what they check it by."""

    file: TrustFile
    """With the signatures that it has so far."""
    before: tuple[TrustFile, ...]
    """The files that it follows, in order."""
    checkpoint: bytes
    """The signed checkpoint that the file pins."""
    proofs: tuple[Proof, ...] = ()
    continues: bool = False
    """Whether it is meant to stand without the threshold of the file before, which was lost."""

    def check(self) -> None:
        """Check all rules but those of signatures; raises what ``check_next`` does.

        Raises IntegrityError (``not-consistent``) if the proof does not lead from the last pin to
        the new one, TrustError if there is none.
        """
        check_place(self.before, self.file)
        check_supported(self.file)
        check_content(self.before, self.file)
        pinned = Checkpoint.parse(parse_unverified(self.checkpoint)[0])
        if pinned != self.file.log:
            raise TrustError(
                f"the checkpoint in the proposal has {pinned.size:,} leaves, and is not the one"
                f" that version {self.file.version} would pin",
                reason="trust-not-accepted",
            )
        if self.before:
            self.check_continues(self.before[-1].log)

    def check_continues(self, other: Checkpoint, proof: Sequence[bytes] | None = None) -> None:
        """Check that the pinned log and another are one: the smaller is where the larger begins.

        ``proof``: in the place of one in the proposal. Raises IntegrityError
        (``not-consistent``), or TrustError if there is no proof of this size.
        """
        old, new = sorted([other, self.file.log], key=lambda each: each.size)
        if proof is None:
            known = {each.size: each.hashes for each in self.proofs}
            proof = () if old.size in {0, new.size} else known.get(other.size)
        if proof is None:
            raise TrustError(
                f"nothing in the proposal shows that the log of {other.size:,} leaves and the one"
                f" of {self.file.log.size:,} that it pins are one",
                hint="name the ledger with --store, or have it proposed again with --seen"
                " and your checkpoint",
                reason="trust-not-accepted",
            )
        check_consistency(old.size, old.root, new.size, new.root, proof)

    def check_seen(self, seen: Checkpoint, proof: Sequence[bytes] | None = None) -> None:
        """Check that a holder's own checkpoint covers all that would be pinned, and agrees with it.

        Without that a holder signs what a stolen log key made up since the last pin.
        """
        if seen.size < self.file.log.size:
            raise TrustError(
                f"you have seen {seen.size:,} leaves of the log, and version {self.file.version}"
                f" would pin {self.file.log.size:,}",
                hint="if 'ledger audit' finds nothing: 'ledger checkpoint > FILE', and --seen FILE",
                reason="trust-not-accepted",
            )
        self.check_continues(seen, proof)

    @property
    def pins_more(self) -> bool:
        """Whether the log has leaves that no file before pinned."""
        return not self.before or self.before[-1].log.size < self.file.log.size

    def signed(self, others: Iterable[Proposal]) -> Proposal:
        """Add the signatures of copies of the proposal; raises TrustError for another file."""
        file = self.file
        for other in others:
            if other.file.digest != file.digest:
                raise TrustError(
                    f"two proposals of different files: {file.digest} and {other.file.digest}",
                    reason="trust-not-accepted",
                )
            file = file.signed(other.file.signatures)
        return replace(self, file=file)

    def encode(self) -> bytes:
        """The bytes of the proposal."""
        return canonical.encode(
            {
                "before": [canonical.load(file.encode()) for file in self.before],
                "checkpoint": self.checkpoint.decode(),
                "continues": self.continues,
                "file": canonical.load(self.file.encode()),
                "format": FORMAT,
                "proofs": [
                    {"proof": [encode_base64(each) for each in proof.hashes], "size": proof.size}
                    for proof in self.proofs
                ],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Proposal:
        """Read a proposal; raises MalformedError, or UnsupportedFormatError."""
        if len(data) > MAX_BYTES:
            raise MalformedError(f"a proposal of {len(data):,} bytes; at most {MAX_BYTES:,}")
        value = canonical.load(data)
        if type(value) is not dict or type(value.get("format")) is not int:
            raise MalformedError("not a proposal: it has no format number")
        if value["format"] != FORMAT:
            raise UnsupportedFormatError(
                f"a proposal of format {value['format']}; this version knows {FORMAT}",
                reason="unsupported-trust",
            )
        types = {"before": list, "checkpoint": str, "continues": bool, "file": dict, "proofs": list}
        if value.keys() != {*types, "format"} or any(
            type(value[name]) is not kind for name, kind in types.items()
        ):
            raise MalformedError(
                f"not a proposal: expected the members {', '.join(sorted(types))} and format"
            )
        return cls(
            file=TrustFile.decode(canonical.encode(value["file"])),
            before=tuple(TrustFile.decode(canonical.encode(each)) for each in value["before"]),
            checkpoint=value["checkpoint"].encode(),
            proofs=tuple(map(_proof, value["proofs"])),
            continues=value["continues"],
        )


def _proof(value: JSONValue) -> Proof:
    if (
        type(value) is not dict
        or value.keys() != {"proof", "size"}
        or type(value["size"]) is not int
        or type(value["proof"]) is not list
        or any(type(each) is not str for each in value["proof"])
    ):
        raise MalformedError("not a proposal: a proof has the members proof and size")
    return Proof(value["size"], tuple(decode_base64(each) for each in value["proof"]))
