"""What the format's sentences say of entries, in the plainest words, for one who knows all leaves.

Nothing here is shared with the code under test: keys' ends, positions and standing are computed
anew, each as its sentence in ``docs/spec.md`` reads, however slow that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger import Entry
    from ledger.trust import TrustFile

__all__ = ["Oracle", "Verdict"]


class Verdict(NamedTuple):
    """What is true of one entry."""

    counts: bool
    stands: bool
    is_void: bool
    may_erase: bool

    @property
    def passes(self) -> bool:
        return self.stands or self.is_void


class Oracle:
    """Knows the trust files and every leaf, by what it names."""

    def __init__(self, files: Sequence[TrustFile], leaves: Mapping[str, int]) -> None:
        """``leaves``: the lowest index of a leaf that names an address, by address."""
        self.files = files
        self.leaves = leaves

    def is_registrar(self, key: str) -> bool:
        return any(
            each.key_id == key and each.role == "registrar"
            for file in self.files
            for each in file.keys
        )

    def may_erase(self, key: str) -> bool:
        return any(each.key_id == key and each.erase for file in self.files for each in file.keys)

    def end(self, key: str) -> float:
        """The smaller of where the first file that lists it no more pins the log, and ``from``."""
        ends = [float("inf")]
        was_listed = False
        for file in self.files:
            is_listed = any(each.key_id == key for each in file.keys)
            if was_listed and not is_listed:
                ends.append(file.log.size)
                break
            was_listed = is_listed
        ends += [each.start for each in self.files[-1].revoked if each.key_id == key]
        return min(ends)

    def judge(self, chain: Sequence[Entry]) -> list[Verdict]:
        """Judge a chain, the head first."""
        verdicts: list[Verdict] = []
        for at, entry in enumerate(chain):
            position = min(
                (
                    self.leaves[each.address]
                    for each in chain[: at + 1]
                    if each.address in self.leaves
                ),
                default=None,
            )
            end = self.end(entry.key)
            counts = (
                self.is_registrar(entry.key)
                and (end == float("inf") if position is None else position < end)
                and (not entry.erases or self.may_erase(entry.key))
            )
            naming = next(
                (
                    (above, verdict)
                    for above, verdict in zip(chain[:at], verdicts, strict=True)  # head first
                    if verdict.stands and entry.version in (*above.confirms, *above.voids)
                ),
                None,
            )
            is_confirmed = naming is not None and entry.version in naming[0].confirms
            stands = self.is_registrar(entry.key) and (counts or is_confirmed)
            is_void = not stands and naming is not None and entry.version in naming[0].voids
            may_erase = self.may_erase(entry.key) and (
                counts or (naming is not None and is_confirmed and naming[1].may_erase)
            )
            verdicts.append(Verdict(counts, stands, is_void, may_erase))
        return verdicts

    def passes(self, chain: Sequence[Entry]) -> bool:
        """Whether each entry of a title stands or is void."""
        is_known = all(self.is_registrar(each.key) for each in chain)
        return is_known and all(each.passes for each in self.judge(chain))

    def holds(self, chain: Sequence[Entry]) -> bool:
        """Whether a title may pass: it also has no text that is gone without an order."""
        verdicts = self.judge(chain)
        if not self.passes(chain):
            return False
        erased = {
            version
            for entry, verdict in zip(chain, verdicts, strict=True)
            if verdict.may_erase
            for version in entry.erases
        }
        return all(not each.is_withheld or each.version in erased for each in chain)
