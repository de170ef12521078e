"""Sealers for tests, and what has to be true of a store once they are done."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ledger import Ledger, Log
from ledger.format.layout import (
    LOG,
    LOG_CHECKPOINT,
    LOG_STATE,
    PENDING,
    STAGING,
    parse_pending_key,
    tile_key,
)
from ledger.sealing.reader import LogReader
from ledger.sealing.seal import Sealed, seal
from ledger.testing import ORIGIN, FixedClock, keyring_for, signer
from ledger.titles.history import History
from ledger.tlog import Checkpoint, Leaf, TileBuilder
from ledger.tlog.objects import LogState, Staging
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores.base import Store

REGISTRAR = signer()
LOG_KEY = signer("log")
KEYRING = keyring_for(REGISTRAR).trust(ORIGIN, LOG_KEY.public_key, role="log")
CLOCK = FixedClock()


def ledger_in(store: Store, clock: FixedClock = CLOCK) -> Ledger:
    """A ledger whose keyring knows the log's key."""
    return Ledger.create(store, origin=ORIGIN, keyring=KEYRING, signer=REGISTRAR, clock=clock)


def log_in(store: Store) -> LogReader:
    return LogReader(History(store, ORIGIN, KEYRING))


class Sealer:
    """A sealer with a disk of its own; it notes every checkpoint that it signs."""

    public_key = LOG_KEY.public_key
    limit = None

    def __init__(self, folder: Path, name: str = "sealer") -> None:
        self.memory = folder / f"{name}.json"
        self.signed: list[Checkpoint] = []

    def sign(self, data: bytes) -> bytes:
        self.signed.append(Checkpoint.parse(data.decode()))
        return LOG_KEY.sign(data)

    def seal(self, store: Store, **options: Any) -> Sealed:
        return seal(History(store, ORIGIN, KEYRING), self, self.memory, CLOCK.now, **options)


class Recorder(Wrapper):
    """Notes every state that ever was in the store, and everything else that was written."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.states: list[LogState] = []
        self.written: list[bytes] = []

    def create(self, key: str, data: bytes) -> str:
        version = super().create(key, data)
        self._note(key, data)
        return version

    def replace(self, key: str, data: bytes, expected: str) -> str:
        version = super().replace(key, data, expected)
        self._note(key, data)
        return version

    def _note(self, key: str, data: bytes) -> None:
        self.written.append(data)
        if key == LOG_STATE:
            self.states.append(log_in(self.inner).open_state(data))


class Begun:
    """A store in memory, and two who seal it: to be had again sooner than by sealing again."""

    def __init__(self, recorder: Recorder, *sealers: Sealer) -> None:
        self._objects = {
            key: blob.data for key, blob in recorder.get_many(list(recorder.list())) if blob
        }
        self._noted = list(recorder.states), list(recorder.written)
        self._sealers = [
            (sealer.memory.name, list(sealer.signed), _bytes_of(sealer.memory))
            for sealer in sealers
        ]

    def put_into(self, recorder: Recorder, *sealers: Sealer) -> None:
        """Let a new store, and new sealers, be as those were."""
        recorder.inner.create_many(self._objects.items())
        recorder.states[:], recorder.written[:] = self._noted
        for sealer, (name, signed, memory) in zip(sealers, self._sealers, strict=True):
            assert sealer.memory.name == name
            sealer.signed[:] = signed
            if memory is not None:
                sealer.memory.write_bytes(memory)


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def logged(store: Store) -> list[Leaf]:
    """All leaves, in order, after seeing that every tile leads to what is published."""
    log = log_in(store)
    found = log.state()
    assert found is not None
    checkpoint = found[0].checkpoint
    assert log.checkpoint() == found[0].signed
    leaves = list(log.leaves(checkpoint.size))
    builder = TileBuilder()
    for leaf in leaves:
        for tile, data in builder.append(leaf):
            assert read(store, tile_key(tile.path)) == data
    for tile, data in builder.unfinished():
        assert read(store, tile_key(tile.path)) == data
    assert (builder.size, builder.root()) == (checkpoint.size, checkpoint.root)
    return [Leaf.decode(leaf) for leaf in leaves]


def read(store: Store, key: str) -> bytes | None:
    blob = store.get(key)
    return blob.data if blob else None


def chains(ledger: Ledger) -> list[Leaf]:
    """The leaf of every entry that is in a chain."""
    return [
        Leaf(title, entry.version, entry.address)
        for title in ledger.titles()
        if ledger.store.get(f"{title}/head.json")
        for entry in ledger.log(title)
    ]


def assert_sealed(ledger: Ledger) -> None:
    """Every entry is logged once, in its title's order; nothing is left lying about.

    And an audit by the log is clean.
    """
    store = ledger.store
    report = Log(ledger).audit(max_delay=timedelta(0), jobs=1).run()
    assert report, report
    leaves = logged(store)
    assert Counter(leaves) == Counter(chains(ledger))
    index = {leaf: number for number, leaf in enumerate(leaves)}
    for leaf, number in index.items():
        record = log_in(store).record(leaf.title_number)
        assert record is not None
        assert record[0].leaf_of(leaf.version) == number
        if record[0].version == leaf.version:
            assert record[0].address == leaf.address
    heads = {leaf.title_number: leaf.version for leaf in leaves}
    for key in store.list(PENDING):
        parsed = parse_pending_key(key)
        assert parsed
        assert parsed[1] > heads.get(parsed[0], 0), f"{key}: not settled"
    for key in store.list(STAGING):
        staging = Staging.parse(key.removeprefix(STAGING))
        assert staging
        assert staging.base >= len(leaves), f"{key}: not cleaned up"
    for key in store.list(LOG):
        assert key.startswith((f"{LOG}tile/", f"{LOG}sealed/", STAGING, LOG_STATE, LOG_CHECKPOINT))


def assert_one_log(recorder: Recorder, *sealers: Sealer) -> None:
    """Every state that ever was in the store continues the one before it.

    And what a sealer signed without it becoming a state, no reader of the store ever saw.
    """
    log = log_in(recorder.inner)
    final = recorder.states[-1].checkpoint
    sizes = [state.checkpoint.size for state in recorder.states]
    assert sizes == sorted(sizes)
    for state in recorder.states:
        log.check_continues(final, state.checkpoint)
    committed = {state.checkpoint for state in recorder.states}
    for sealer in sealers:
        for lost in set(sealer.signed) - committed:
            root = lost.text.split("\n")[2].encode()
            assert not any(root in data for data in recorder.written), f"{lost} was to be seen"


def assert_signed_no_fork(store: Store, sealer: Sealer) -> None:
    """All that the sealer ever signed is one log, what was never to be seen, too."""
    log = log_in(store)
    found = log.state()
    assert found is not None
    for checkpoint in sealer.signed:
        log.check_continues(found[0].checkpoint, checkpoint)
