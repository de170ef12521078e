"""Random histories of a ledger whose keys change hands, and are stolen, on a real store.

Each step is drawn. What is true at any time is said by the ``Oracle``; ``check`` compares every
reader with it.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from ledger import Entry, Keyring, Ledger, LedgerError
from ledger.format import layout
from ledger.format.standing import Positions
from ledger.format.times import format_time
from ledger.sealing.positions import LogPositions, _hinted
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, FixedRandom, signer
from ledger.titles.history import History
from ledger.tlog.objects import Leaf, SealedRecord, decode_leaf
from tests.trust.oracle import Oracle
from tests.trust.people import listed, log_key, registrar, revoke
from tests.trust.siege import Siege
from tests.trust.world import SEALER

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from ledger import Report
    from ledger.trust import TrustKey

__all__ = ["Story", "play"]

TITLES = ("TN1", "TN2")
NAMES = {"alice": True, "bob": True, "carol": False, "dora": True, "emil": False, "fay": True}
"""The registrars of all histories, and whether they may erase."""

LOG_KEYS = [SEALER, signer("log 2"), signer("log 3")]
ALARMS = {"tampered", "mismatch", "unchecked"}


@cache
def beginning(folder: Path) -> tuple[Siege, dict[str, bytes], bytes]:
    """A ledger of two registrars; made once, as signatures of holders take time."""
    siege = Siege(folder, registrars="alice bob")
    siege.publish(keys=siege.with_registrar("carol"))
    siege.seal()
    return siege, siege.objects(), (folder / "sealer.json").read_bytes()


class Story(Siege):
    """One history, and what only somebody who was there can know of it."""

    def __init__(self, folder: Path, random: Random) -> None:
        begun, objects, memory = beginning(folder)
        self.__dict__ |= begun.__dict__
        self.files = list(begun.files)
        self.store = MemoryStore()
        self.restore(objects)
        for each in folder.iterdir():
            each.unlink()
        (folder / "sealer.json").write_bytes(memory)
        (folder / "sealer.json").chmod(0o600)
        self.clock, self.random = FixedClock(begun.clock.now), FixedRandom()
        self.draw = random
        self.log_signer = LOG_KEYS[0]
        self.stolen_log_at: int | None = None
        """From where on the thief of the log's key may have signed."""
        self.disowned: list[tuple[int, int]] = []
        self.kept: list[Entry] = []
        """What a thief has signed, and keeps."""
        self.texts: dict[str, bytes] = {}
        """Objects with the texts that somebody took away."""
        self.forged_hints = self.was_set_back = False
        self.counts: Counter[str] = Counter()
        self.accepted: tuple[int, Keyring] | None = None

    def open(self, name: str | None = None, *, keyring: Keyring | None = None) -> Ledger:
        """Open it with what was read of the trust files, which only the holders add to here."""
        if keyring is not None or self.accepted is None or self.accepted[0] != len(self.files):
            ledger = super().open(name, keyring=keyring)
            self.accepted = len(self.files), ledger.keyring
            return ledger
        history = History(self.store, ORIGIN, self.accepted[1], LogPositions())
        return Ledger(history, signer(name) if name else None, self.clock, self.random)

    # -- What is true --------------------------------------------------------------------------

    def named(self) -> list[tuple[int, Leaf]]:
        """Every leaf of an entry."""
        state = self.log().reader.state(any_algorithm=True)
        assert state is not None
        leaves = self.log().reader.leaves(state[0].checkpoint.size)
        decoded = ((at, decode_leaf(data)) for at, data in enumerate(leaves))
        return [(at, leaf) for at, leaf in decoded if isinstance(leaf, Leaf)]

    def oracle(self) -> Oracle:
        lowest: dict[str, int] = {}
        for at, leaf in self.named():
            lowest.setdefault(leaf.address, at)
        return Oracle(self.files, lowest)

    def chain(self, title: str) -> list[Entry]:
        """A title's entries, its head first."""
        entry = self.head(title)
        chain = []
        while entry is not None:
            chain.append(entry)
            if entry.parent is None:
                break
            entry = Entry.unverified(self.read(layout.entry_key(title, entry.parent)))
        return chain

    def chains(self) -> dict[str, list[Entry]]:
        return {title: chain for title in TITLES if (chain := self.chain(title))}

    def contradicts_log(self) -> bool:
        """Whether some leaf names what no chain has, and is not disowned."""
        there = {
            (title, entry.version, entry.address)
            for title, chain in self.chains().items()
            for entry in chain
        }
        return self.stolen_log_at is not None or any(
            tuple(leaf) not in there and not any(start <= at < end for start, end in self.disowned)
            for at, leaf in self.named()
        )

    # -- What happens --------------------------------------------------------------------------

    def registrars(self) -> list[str]:
        """Who is listed now."""
        current = {each.key_id for each in self.keys}
        return [name for name in NAMES if signer(name).public_key.key_id in current]

    def some(self, options: list[int]) -> tuple[int, ...]:
        return tuple(sorted(self.draw.sample(options, self.draw.randint(0, min(2, len(options))))))

    def do_append(self) -> None:
        """A registrar appends, if the software lets them: it must, if the head stands."""
        if not (names := self.registrars()):
            return
        title, name = self.draw.choice(TITLES), self.draw.choice(names)
        chain = self.chain(title)
        stands = not chain or self.oracle().judge(chain)[0].stands
        try:
            self.append(title, name, document={"n": self.draw.randint(0, 10**9)})
        except LedgerError:
            assert not stands or self.contradicts_log() or chain[0].is_withheld
        else:
            assert stands

    def do_write(self) -> None:
        """Somebody with a key, a registrar or a thief, writes whatever they like."""
        title, name = self.draw.choice(TITLES), self.draw.choice(list(NAMES))
        if not self.is_listed(name):
            return
        self.write(title, name, **self.lists(title), ago=self.ago())

    def is_listed(self, name: str) -> bool:
        key = signer(name).public_key.key_id
        return any(each.key_id == key for file in self.files for each in file.keys)

    def ago(self) -> timedelta | None:
        return timedelta(days=self.draw.randint(0, 400)) if self.draw.random() < 0.3 else None

    def lists(self, title: str) -> dict[str, tuple[int, ...]]:
        head = self.head(title)
        versions = list(range(1, head.version + 1)) if head else []
        if self.draw.random() < 0.4:
            return {}
        confirms = self.some(versions)
        voids = self.some([each for each in versions if each not in confirms])
        erases = self.some(versions) if self.draw.random() < 0.4 else ()
        return {"confirms": confirms, "voids": voids, "erases": erases}

    def do_keep(self) -> None:
        """A thief signs something for later."""
        title, name = self.draw.choice(TITLES), self.draw.choice(list(NAMES))
        if self.is_listed(name):
            self.kept.append(self.sign(title, name, ago=self.ago(), **self.lists(title)))

    def do_place(self) -> None:
        """A thief brings in what was kept: on top of the head, or in the place of a sibling."""
        if not self.kept:
            return
        entry = self.kept.pop(self.draw.randrange(len(self.kept)))
        head = self.head(entry.title_number)
        if (head.address if head else None) != entry.parent:
            self.was_set_back = True
        self.place(entry)

    def do_withhold(self) -> None:
        """Somebody takes a text away that some entry names, whether that may erase or not."""
        title = self.draw.choice(TITLES)
        chain = self.chain(title)
        versions = [v for entry in chain for v in entry.erases]
        versions += [entry.version for entry in chain[1:]] * (self.draw.random() < 0.1)
        if versions:
            version = self.draw.choice(versions)
            key = layout.entry_key(title, self.entry(title, version).address)
            self.texts.setdefault(key, self.read(key))
            self.withhold(title, version)

    def do_seal(self) -> None:
        """The sealer logs what stands, and nothing else."""
        before = self.oracle()
        had = len(self.named())
        try:
            self.seal(self.log_signer)
        except LedgerError:
            assert self.stolen_log_at is not None or self.was_set_back
            return
        after = self.named()
        verdicts = {
            entry.address: verdict
            for chain in self.chains().values()
            for entry, verdict in zip(chain, before.judge(chain), strict=True)
        }
        for _, leaf in after[had:]:
            self.counts["logged"] += 1
            assert verdicts[leaf.address].passes

    def do_log(self) -> None:
        """The thief has the log's key as well, and logs an entry, perhaps before it is there."""
        if self.stolen_log_at is None:
            if self.draw.random() < 0.7:
                return
            self.stolen_log_at = self.checkpoint_size()
        kept = [Leaf(e.title_number, e.version, e.address) for e in self.kept]
        heads = [
            Leaf(title, e.version, e.address)
            for title, chain in self.chains().items()
            for e in chain
        ]
        bogus = [
            Leaf(
                self.draw.choice(TITLES),
                self.draw.randint(1, 9),
                f"{self.draw.getrandbits(256):064x}",
            )
        ]
        self.log_leaves(
            self.draw.choice(self.draw.choice([kept or bogus, heads or bogus, bogus])),
            key=self.log_signer,
        )

    def checkpoint_size(self) -> int:
        state = self.log().reader.state(any_algorithm=True)
        assert state is not None
        return state[0].checkpoint.size

    def do_hint(self) -> None:
        """Somebody forges a hint, or takes it away."""
        self.forged_hints = True
        title = self.draw.choice(TITLES)
        head = self.head(title)
        if head is None or self.draw.random() < 0.3:
            self.hint(title, None)
            return
        size = self.checkpoint_size() + 3
        at = sorted(self.draw.sample(range(size), min(size, self.draw.randint(1, 3), head.version)))
        self.hint(title, SealedRecord(head.version, head.address, tuple(at)))

    def do_trust(self) -> None:
        """The holders publish a file: keys come, go, or are revoked, from wherever they like."""
        keys = list(self.keys)
        size = self.checkpoint_size()
        revoked = {each.key_id: each.start for each in self.files[-1].revoked}
        for name, erase in NAMES.items():
            key_id = signer(name).public_key.key_id
            mine = [each for each in keys if each.key_id == key_id]
            chance = self.draw.random()
            if mine and chance < 0.2:
                keys.remove(mine[0])
            elif self.is_listed(name) and chance < 0.45:
                keys = [each for each in keys if each.key_id != key_id]
                revoked[key_id] = self.draw.randint(0, revoked.get(key_id, size))
            elif not self.is_listed(name) and chance < 0.3:
                keys.append(registrar(signer(name).public_key, name, erase=erase))
        self.give(keys, revoked)

    def give(self, keys: list[TrustKey], revoked: dict[str, int]) -> None:
        try:
            pin = self.checkpoint()
        except LedgerError:
            return  # nobody pins what they can't check
        by_id = {signer(name).public_key.key_id: signer(name).public_key for name in NAMES}
        by_id |= {key.public_key.key_id: key.public_key for key in LOG_KEYS}
        self.publish(
            keys=listed(*keys),
            revoked=[revoke(by_id[key], start) for key, start in revoked.items()],
            log=pin,
        )

    def do_revoke_log(self) -> None:
        """The theft of the log's key is noticed."""
        at = LOG_KEYS.index(self.log_signer)
        if self.stolen_log_at is None or at + 1 == len(LOG_KEYS):
            return
        old, new = self.log_signer.public_key, LOG_KEYS[at + 1]
        keys = [each for each in self.keys if each.key_id != old.key_id]
        revoked = {each.key_id: each.start for each in self.files[-1].revoked}
        count = len(self.files)
        start = self.stolen_log_at
        self.give([*keys, log_key(new.public_key)], revoked | {old.key_id: start})
        if len(self.files) > count:
            self.disowned.append((start, self.files[-1].log.size))
            self.log_signer, self.stolen_log_at = new, None

    # -- The way out ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Whatever happened, honest people can make the ledger sound again."""
        self.do_revoke_log()
        if self.stolen_log_at is not None:
            return  # no further key of the log in these histories
        name = next((each for each in self.registrars() if NAMES[each]), None)
        if name is None:
            name = "gwen"
            key = registrar(signer(name).public_key, name, erase=True)
            self.give(
                [*self.keys, key], {each.key_id: each.start for each in self.files[-1].revoked}
            )
        for key, data in self.texts.items():  # from a bundle
            self.put(key, data)
        for title, chain in self.chains().items():
            verdicts = self.oracle().judge(chain)
            wrong = [e.version for e, v in zip(chain, verdicts, strict=True) if not v.passes]
            if wrong:
                confirms = {each for each in wrong if self.draw.random() < 0.5}
                self.write(
                    title,
                    name,
                    confirms=tuple(sorted(confirms)),
                    voids=tuple(sorted(set(wrong) - confirms)),
                )
        self.seal(self.log_signer)
        self.seal(self.log_signer, every_title=True)
        self.forged_hints = False
        assert self.oracle_holds()
        report = self.audit()
        assert report.outcome == "verified", report.findings
        self.counts["settled"] += 1

    # -- What readers say ----------------------------------------------------------------------

    def oracle_holds(self) -> bool:
        oracle = self.oracle()
        return all(oracle.holds(chain) for chain in self.chains().values())

    def check(self) -> None:
        """Compare every reader with what is true."""
        try:
            self.checkpoint()
        except LedgerError:
            assert not self.audit()
            return
        oracle, chains = self.oracle(), self.chains()
        for title, chain in chains.items():
            self.check_title(oracle, title, chain)
        holds = all(oracle.holds(chain) for chain in chains.values())
        for state in ("", "state"):
            report = self.audit(state)
            self.counts["audits"] += 1
            if report and state:  # it takes on trust which texts were there, and says so
                assert all(oracle.passes(chain) for chain in chains.values())
            elif report:
                assert holds, "a false pass of the audit"
            elif state:
                continue  # it also remembers what was set back
            elif holds and not self.contradicts_log() and not self.was_set_back:
                found = {each.slug for each in report.findings if each.severity != "warning"}
                # Hints that were forged, and an entry that says that it has long been waiting.
                right = ({"bad-record"} if self.forged_hints else set()) | self.overdue()
                assert found <= right, report.findings

    def overdue(self) -> set[str]:
        named = {leaf.address for _, leaf in self.named()}
        yesterday = format_time(self.clock() - timedelta(days=1))
        waits = (e for chain in self.chains().values() for e in chain if e.address not in named)
        return {"overdue"} if any(each.recorded_at < yesterday for each in waits) else set()

    def check_title(self, oracle: Oracle, title: str, chain: list[Entry]) -> None:
        verdicts = oracle.judge(chain)
        report: Report = self.verify(title)
        assert bool(report) == oracle.holds(chain), (report.findings, verdicts)
        self.counts["titles"] += 1
        ledger = self.open()
        log = self.log().reader
        checkpoint = self.checkpoint()

        def by_hints(history: History, title: str, end: int, *, search: bool) -> Positions:
            return Positions() if search else _hinted(log, title, end, checkpoint)

        by_hint = History(self.store, ledger.origin, ledger.keyring, by_hints)
        for history in (ledger.history, by_hint):
            standing = history.standing(title)
            for entry, verdict in zip(chain, verdicts, strict=True):
                stand = standing.take(entry)
                self.counts["entries"] += 1
                if history is by_hint and stand.stands is None:
                    self.counts["unknown"] += 1
                else:
                    assert stand.stands is verdict.stands, (entry, stand, verdict)
                    assert stand.is_void is verdict.is_void, (entry, stand, verdict)
                if history is not by_hint or stand.may_erase is not None:
                    assert stand.may_erase is verdict.may_erase, (entry, stand, verdict)


STEPS = {
    "append": 9,
    "write": 6,
    "keep": 2,
    "place": 2,
    "withhold": 2,
    "seal": 5,
    "log": 1,
    "hint": 1,
    "trust": 3,
    "revoke_log": 1,
}


def play(folder: Path, random: Random, steps: int = 24) -> Counter[str]:
    """Play one history, and compare all readers with what is true along the way."""
    story = Story(folder, random)
    for _ in range(random.randint(steps // 4, steps)):
        step = random.choice([name for name, weight in STEPS.items() for _ in range(weight)])
        story.clock.forward(seconds=1)
        getattr(story, f"do_{step}")()
        if step in {"trust", "seal", "place", "revoke_log"} and random.random() < 0.5:
            story.check()
    story.check()
    if not story.was_set_back:
        story.settle()
    story.counts["histories"] += 1
    return story.counts
