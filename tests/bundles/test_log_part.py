"""The log in a bundle of a whole ledger: checked to its root, and never moved backward."""

from __future__ import annotations

import io
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from ledger import IntegrityError, Ledger, LedgerError, verify_bundle
from ledger.errors import OriginNotPinned, OutcomeUnknown, StoreUnavailable
from ledger.format.layout import HEAD_NAME, LOG, LOG_CHECKPOINT, LOG_STATE
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, keyring_for
from tests.sealing.sealers import KEYRING, REGISTRAR, Sealer, assert_sealed, ledger_in, logged
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores.base import Store
    from ledger.tlog import Leaf


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    return Sealer(tmp_path)


def grow(titles: Ledger, count: int, name: str = "TN") -> None:
    for number in range(count):
        titles.append(f"{name}{number % 7}", {"n": number})


def bundle(titles: Ledger) -> io.BytesIO:
    out = io.BytesIO()
    titles.export(out)
    return io.BytesIO(out.getvalue())


def titles_of(ledger: Ledger, *titles: str) -> io.BytesIO:
    """A bundle of some titles, which carries no log."""
    out = io.BytesIO()
    ledger.export(out, titles)
    return io.BytesIO(out.getvalue())


def report(source: io.BytesIO, keyring=KEYRING):
    source.seek(0)
    return verify_bundle(source, keyring=keyring)


def log_of(store: Store) -> dict[str, bytes]:
    return {key: blob.data for key in store.list(LOG) if (blob := store.get(key))}


def bring(source: io.BytesIO, store: Store | None = None) -> tuple[Ledger, tuple[int, bool]]:
    target = ledger_in(MemoryStore() if store is None else store)
    source.seek(0)
    done = target.import_bundle(source)
    return target, (done.leaves, done.left_out)


@pytest.fixture(scope="module")
def more_than_a_tile(tmp_path_factory) -> tuple[list[Leaf], bytes, bytes]:
    """A log of 260 leaves, a bundle of it, and what its sealer remembers."""
    titles = ledger_in(MemoryStore())
    grow(titles, 260)
    sealer = Sealer(tmp_path_factory.mktemp("more"))
    sealer.seal(titles.store, genesis=True)
    return logged(titles.store), bundle(titles).getvalue(), sealer.memory.read_bytes()


# --- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count", [0, 1, 256, *(pytest.param(n, marks=pytest.mark.slow) for n in (255, 257, 600))]
)
def test_an_imported_ledger_has_the_same_log_and_goes_on_with_it(count, sealer, tmp_path):
    titles = ledger_in(MemoryStore())
    grow(titles, count)
    sealer.seal(titles.store, genesis=True)
    source = bundle(titles)
    assert report(source)
    copy, done = bring(source)
    assert done == (count, False)
    assert logged(copy.store) == logged(titles.store)
    grow(copy, 3)
    # Neither the sealer's own memory nor a new one has anything to say against it.
    assert sealer.seal(copy.store).leaves == 3
    assert_sealed(copy)


def test_a_log_with_a_part_of_the_entries_leaves_the_rest_to_the_next_seal(sealer):
    titles = ledger_in(MemoryStore())
    grow(titles, 300)
    sealer.seal(titles.store, genesis=True)
    grow(titles, 20)
    copy, done = bring(bundle(titles))
    assert done == (300, False)
    assert sealer.seal(copy.store).leaves == 20
    assert_sealed(copy)


class SlowHeads(Wrapper):
    """Moves heads slowly, and notes what has been written."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.written: list[str] = []

    def called(self, operation: str, key: str) -> None:
        if operation in {"create", "replace"} and key.endswith(HEAD_NAME):
            time.sleep(0.02)

    def returned(self, operation: str, key: str) -> None:
        if operation in {"create", "replace"}:
            self.written.append(key)


def test_the_log_claims_nothing_before_every_head_has_moved(sealer):
    titles = ledger_in(MemoryStore())
    for number in range(40):
        titles.append(f"TN{number}", {"n": number})
    sealer.seal(titles.store, genesis=True)
    store = SlowHeads(MemoryStore())
    bring(bundle(titles), store)
    heads = [key for key in store.written if key.endswith(HEAD_NAME)]
    assert len(heads) == 40
    before = store.written[: store.written.index(LOG_STATE)]
    assert set(heads) <= set(before)
    assert not any(key.startswith(LOG) for key in before[: before.index(heads[-1])])


def test_importing_again_changes_nothing(more_than_a_tile):
    source = io.BytesIO(more_than_a_tile[1])
    copy, _ = bring(source)
    before = log_of(copy.store)
    assert bring(source, copy.store)[1] == (0, False)
    assert log_of(copy.store) == before


def test_a_log_moves_forward_by_a_newer_bundle_and_never_backward(sealer):
    titles = ledger_in(MemoryStore())
    grow(titles, 250)
    sealer.seal(titles.store, genesis=True)
    old = bundle(titles)
    grow(titles, 50)
    sealer.seal(titles.store)
    new = bundle(titles)
    copy, _ = bring(old)
    assert bring(new, copy.store)[1] == (50, False)
    assert logged(copy.store) == logged(titles.store)
    assert bring(old, copy.store)[1] == (0, False)
    assert logged(copy.store) == logged(titles.store)
    sealer.seal(copy.store)
    assert_sealed(copy)


def test_an_incremental_bundle_carries_the_whole_log(sealer):
    titles = ledger_in(MemoryStore())
    grow(titles, 30)
    sealer.seal(titles.store, genesis=True)
    old = bundle(titles)
    grow(titles, 10)
    sealer.seal(titles.store)
    out = io.BytesIO()
    titles.export(out, since=[io.BytesIO(old.getvalue())])
    copy, _ = bring(old)
    assert bring(out, copy.store)[1] == (10, False)
    assert logged(copy.store) == logged(titles.store)


# --- what is refused -----------------------------------------------------------------------------


def test_another_log_is_not_overwritten(tmp_path):
    one, other = (ledger_in(MemoryStore()) for _ in range(2))
    grow(one, 5)
    Sealer(tmp_path, "one").seal(one.store, genesis=True)
    grow(other, 9, "TX")
    Sealer(tmp_path, "other").seal(other.store, genesis=True)
    for source, target in ((bundle(one), other), (bundle(other), one)):
        before = log_of(target.store)
        with pytest.raises(IntegrityError) as caught:
            target.import_bundle(source)
        assert caught.value.reason == "not-consistent"
        assert log_of(target.store) == before
    assert "TX1" not in list(one.titles())


@pytest.mark.parametrize("step", [131, pytest.param(5, marks=pytest.mark.slow)])
def test_every_changed_byte_of_the_log_is_found(sealer, step):
    titles = ledger_in(MemoryStore())
    grow(titles, 3)
    sealer.seal(titles.store, genesis=True)
    data = bundle(titles).getvalue()
    start = data.index(LOG_CHECKPOINT.encode())
    for place in range(start, len(data), step):
        changed = io.BytesIO(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert report(changed).outcome == "tampered", place
        if place % 4 == 0:
            target = ledger_in(MemoryStore())
            changed.seek(0)
            with pytest.raises(LedgerError):
                target.import_bundle(changed)
            assert list(target.store.list()) == ["ledger.json"]


def test_a_log_that_lacks_its_end_is_refused(sealer):
    titles = ledger_in(MemoryStore())
    grow(titles, 3)
    sealer.seal(titles.store, genesis=True)
    data = bundle(titles).getvalue()
    cut = data[: data.index(LOG_CHECKPOINT.encode())] + bytes(1024)
    assert [each.slug for each in report(io.BytesIO(cut)).findings] == ["malformed-bundle"]


def test_who_does_not_know_the_logs_key_exports_nothing_and_imports_the_titles(sealer):
    titles = ledger_in(MemoryStore())
    grow(titles, 3)
    sealer.seal(titles.store, genesis=True)
    source = bundle(titles)
    only_registrar = keyring_for(REGISTRAR)
    stranger = Ledger.open(titles.store, keyring=only_registrar)
    with pytest.raises(OriginNotPinned, match="no key of the log"):
        stranger.export(io.BytesIO())
    stranger.export(io.BytesIO(), ["TN1"])  # a title has no log
    checked = report(source, only_registrar)
    assert checked
    assert any("no key of the log" in each for each in checked.not_shown)
    target = Ledger.create(MemoryStore(), origin=ORIGIN, keyring=only_registrar)
    source.seek(0)
    done = target.import_bundle(source)
    assert (done.moved, done.leaves, done.left_out) == (3, 0, True)
    assert not list(target.store.list(LOG))


def test_tiles_that_do_not_lead_to_the_root_are_not_exported(sealer):
    titles = ledger_in(MemoryStore())
    grow(titles, 3)
    sealer.seal(titles.store, genesis=True)
    key = "_log/tile/entries/000.p/3"
    blob = titles.store.get(key)
    assert blob is not None
    titles.store.replace(key, blob.data.replace(b"TN1", b"TN9"), blob.version)
    with pytest.raises(IntegrityError) as caught:
        titles.export(io.BytesIO())
    assert caught.value.reason == "wrong-root"


# --- an import that is cut off, or meets a sealer ------------------------------------------------


class Failing(Wrapper):
    """Fails at the n-th write below ``_log/``, before it or after."""

    def __init__(self, inner: Store, at: int, *, happened: bool) -> None:
        super().__init__(inner)
        self.left = at
        self.happened = happened

    def _count(self, key: str) -> bool:
        self.left -= key.startswith(LOG)
        return key.startswith(LOG) and self.left == 0

    def create(self, key: str, data: bytes) -> str:
        if not self._count(key):
            return self.inner.create(key, data)
        if self.happened:
            self.inner.create(key, data)
        raise OutcomeUnknown("cut off") if self.happened else StoreUnavailable("cut off")

    def create_many(self, objects) -> None:
        for key, data in objects:
            self.create(key, data)


QUICK = {(2, False), (7, True)}


@pytest.mark.parametrize(
    ("at", "happened"),
    [
        pytest.param(at, happened, marks=[] if (at, happened) in QUICK else pytest.mark.slow)
        for at in range(1, 12)
        for happened in (False, True)
    ],
)
def test_an_import_that_is_cut_off_is_finished_by_the_next_seal_or_import(
    at, happened, more_than_a_tile, sealer
):
    leaves, data, memory = more_than_a_tile
    sealer.memory.write_bytes(memory)
    source = io.BytesIO(data)
    for finish in ("seal", "import"):
        store = MemoryStore()
        with suppress(OutcomeUnknown, StoreUnavailable):
            bring(source, Failing(store, at, happened=happened))
        if finish == "import" or not store.get(LOG_STATE):
            bring(source, store)
        if finish == "import":  # whoever keeps a copy has no key to seal with
            assert logged(store) == leaves
        sealer.seal(store)
        assert_sealed(ledger_in(store))
        assert logged(store) == leaves


class Sealing(Wrapper):
    """Seals just before the state is swapped, what was imported and some titles more."""

    def __init__(self, inner: Store, sealer: Sealer, more: int) -> None:
        super().__init__(inner)
        self.sealer = sealer
        self.more = more

    def replace(self, key: str, data: bytes, expected: str) -> str:
        if key == LOG_STATE:
            grow(ledger_in(self.inner), self.more, "TD")
            self.sealer.seal(self.inner)
        return self.inner.replace(key, data, expected)


@pytest.mark.parametrize("more", [0, 1])
def test_a_seal_that_comes_in_between_is_not_lost(sealer, tmp_path, more):
    titles = ledger_in(MemoryStore())
    grow(titles, 20)
    sealer.seal(titles.store, genesis=True)
    copy, _ = bring(bundle(titles))
    of_the_copy = Sealer(tmp_path, "copy")
    of_the_copy.seal(copy.store, adopt=True)
    grow(titles, 1, "TC")
    copy.import_bundle(titles_of(titles, "TC0"))  # the entry, before it was logged
    sealer.seal(titles.store)
    before = bundle(titles)
    if more:
        with pytest.raises(LedgerError, match="was sealed during the import"):
            bring(before, Sealing(copy.store, of_the_copy, more))
    else:  # it committed to the very same
        bring(before, Sealing(copy.store, of_the_copy, more))
    assert_sealed(copy)
