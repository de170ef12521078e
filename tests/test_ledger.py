"""The ledger as a whole: create, open, whose it is, its titles, and use from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

import ledger as package
from ledger import Draft, Keyring, Ledger, Log, PrivateKey, create_key, verify_bundle
from ledger.errors import (
    HeadMoved,
    IntegrityError,
    InvalidError,
    KeyUnavailable,
    LedgerError,
    LedgerExists,
    OriginNotPinned,
    StoreUnavailable,
    StoreUnsafe,
    TrustError,
    UnsupportedFormatError,
)
from ledger.offline import bundle_origin
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from tests.tampering import OTHER_ORIGIN, objects_of
from tests.wrappers import CountingStore, Wrapper

KEY = signer()
KEYRING = keyring_for(KEY)


# --- create --------------------------------------------------------------------------------------


def test_a_ledger_is_one_object_until_something_is_appended():
    ledger = Ledger.create(store := MemoryStore(), origin=ORIGIN, signer=KEY)
    assert objects_of(store) == {"ledger.json": b'{"format":1,"origin":"example.org/titles"}'}
    assert ledger.origin == ORIGIN
    assert ledger.store is store
    assert ledger.keyring == KEYRING


def test_creating_a_ledger_again_opens_it(tmp_path):
    first = Ledger.create(str(tmp_path), origin=ORIGIN, signer=KEY)
    entry = first.append("TN1", {})
    again = Ledger.create(f"file:{tmp_path}", origin=ORIGIN, signer=KEY)
    assert again.head("TN1") == entry


def test_a_store_holds_one_ledger():
    store = MemoryStore()
    Ledger.create(store, origin=ORIGIN, signer=KEY)
    with pytest.raises(LedgerExists, match=r"holds a ledger already: example\.org/titles"):
        Ledger.create(store, origin=OTHER_ORIGIN, signer=KEY)
    assert objects_of(store) == {"ledger.json": b'{"format":1,"origin":"example.org/titles"}'}


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "é", None])
def test_an_origin_is_a_name(origin):
    store = MemoryStore()
    with pytest.raises((InvalidError, OriginNotPinned)):
        Ledger.create(store, origin=origin, signer=KEY)
    assert objects_of(store) == {}


def test_without_a_keyring_the_signer_is_the_registrar():
    with pytest.raises(KeyUnavailable, match="needs a signer"):
        Ledger.create(MemoryStore(), origin=ORIGIN)
    ledger = Ledger.create(MemoryStore(), origin=ORIGIN, signer=KEY)
    assert [trusted.key for trusted in ledger.keyring] == [KEY.public_key]


def test_a_keyring_that_does_not_know_the_origin_makes_no_ledger():
    store = MemoryStore()
    with pytest.raises(OriginNotPinned):
        Ledger.create(store, origin=OTHER_ORIGIN, keyring=KEYRING, signer=KEY)
    assert objects_of(store) == {}


def test_a_store_that_ignores_conditions_is_refused_and_left_empty():
    class Careless(Wrapper):
        def replace(self, key, data, expected):
            return self.inner.replace(key, data, self.inner.get(key).version)

    store = Careless(MemoryStore())
    with pytest.raises(StoreUnsafe):
        Ledger.create(store, origin=ORIGIN, signer=KEY)
    assert objects_of(store.inner) == {}


def test_a_ledger_that_somebody_made_is_made_durable_before_it_is_called_made():
    """Whoever made it may have been stopped before that."""
    durable = []

    class Noting(Wrapper):
        def make_durable(self, key):
            durable.append(key)

    Ledger.create(Noting(memory_ledger().store), origin=ORIGIN, signer=KEY)
    assert durable == ["ledger.json"]


def test_of_many_who_create_a_ledger_one_origin_wins():
    store = MemoryStore()

    def create(number: int) -> str:
        try:
            return Ledger.create(store, origin=f"origin-{number % 2}", signer=KEY).origin
        except LedgerExists:
            return ""

    with ThreadPoolExecutor(4) as pool:
        origins = set(pool.map(create, range(4))) - {""}
    assert len(origins) == 1
    assert Ledger.open(store, keyring=keyring_for(KEY, origin=origins.pop()))


# --- open ----------------------------------------------------------------------------------------


def test_opening_reads_one_object():
    store = CountingStore(memory_ledger().store)
    assert store.during(lambda: Ledger.open(store, keyring=KEYRING)) == [("get", "ledger.json")]


def test_where_there_is_no_ledger_it_says_so(tmp_path):
    with pytest.raises(StoreUnavailable, match=f"no ledger in file:{tmp_path}/none") as caught:
        Ledger.open(str(tmp_path / "none"), keyring=KEYRING)
    assert "'ledger init' makes one" in caught.value.hint
    assert not (tmp_path / "none").exists()


def test_the_unsigned_store_of_the_original_service_is_named_as_such(tmp_path):
    store = FolderStore(tmp_path)
    store.create("TN1234567/head.json", b'{"title_number": "TN1234567"}')
    store.create("TN1234567/abc.json", b"{}")
    for call in (
        lambda: Ledger.open(store, keyring=KEYRING),
        lambda: Ledger.create(store, origin=ORIGIN, signer=KEY),
    ):
        with pytest.raises(UnsupportedFormatError, match="unsigned store of the original service"):
            call()
    assert store.get("ledger.json") is None


def test_an_origin_that_the_keyring_does_not_know_is_not_believed():
    store = memory_ledger().store
    for keyring in (Keyring(), keyring_for(KEY, origin=OTHER_ORIGIN)):
        with pytest.raises(OriginNotPinned, match="which your keyring doesn't know") as caught:
            Ledger.open(store, keyring=keyring)
        assert f"--origin {ORIGIN}" in caught.value.hint


def test_the_origin_can_be_asked_for():
    store = memory_ledger().store
    keyring = KEYRING.trust(OTHER_ORIGIN, KEY.public_key)
    assert Ledger.open(store, keyring=keyring, origin=ORIGIN).origin == ORIGIN
    with pytest.raises(TrustError, match=r"not example\.org/other") as caught:
        Ledger.open(store, keyring=keyring, origin=OTHER_ORIGIN)
    assert caught.value.reason == "wrong-ledger"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", IntegrityError),
        (b"{}", IntegrityError),
        (b"null", IntegrityError),
        (b"\xff", IntegrityError),
        (b'{"format":1,"origin":"\xff"}', IntegrityError),
        (b'{"format":1,"origin":"example.org/titles"}\n', IntegrityError),
        (b'{"format": 1, "origin": "example.org/titles"}', IntegrityError),
        (b'{"format":true,"origin":"example.org/titles"}', IntegrityError),
        (b'{"format":"1","origin":"example.org/titles"}', IntegrityError),
        (b'{"format":1,"origin":"a b"}', IntegrityError),
        (b'{"format":1,"origin":1}', IntegrityError),
        (b'{"format":1}', UnsupportedFormatError),
        (b'{"format":2,"origin":"example.org/titles"}', UnsupportedFormatError),
        (b'{"format":0,"origin":"example.org/titles"}', UnsupportedFormatError),
        (b'{"format":1,"more":1,"origin":"example.org/titles"}', UnsupportedFormatError),
    ],
)
def test_a_ledgers_own_object_has_one_form(data, error):
    store = MemoryStore()
    store.create("ledger.json", data)
    for call in (
        lambda: Ledger.open(store, keyring=KEYRING),
        lambda: Ledger.create(store, origin=ORIGIN, signer=KEY),
    ):
        with pytest.raises(error):
            call()


def test_a_ledger_is_closed_with_its_store():
    closed = []

    class Closing(Wrapper):
        def close(self):
            closed.append(True)

    with Ledger.create(Closing(MemoryStore()), origin=ORIGIN, signer=KEY) as ledger:
        ledger.append("TN1", {})
        assert not closed
    assert closed == [True]
    with pytest.raises(ZeroDivisionError), Ledger.create("memory:", origin=ORIGIN, signer=KEY):
        raise ZeroDivisionError


# --- titles --------------------------------------------------------------------------------------

TITLES = ["A-1", "A", "A0", "A_", "B", "TN1", "TN10", "TN2"]


@pytest.fixture(params=["memory", "folder"])
def ledger(request, tmp_path) -> Ledger:
    made = memory_ledger(MemoryStore() if request.param == "memory" else FolderStore(tmp_path))
    for title in reversed(TITLES):
        made.append(title, {})
    return made


def test_titles_come_in_the_order_of_their_keys(ledger):
    assert list(ledger.titles()) == TITLES


def test_titles_go_on_after_one_which_need_not_be_there(ledger):
    for position, title in enumerate(TITLES):
        assert list(ledger.titles(after=title)) == TITLES[position + 1 :]
        assert list(ledger.titles(after=title, limit=2)) == TITLES[position + 1 : position + 3]
    assert list(ledger.titles(after="TN11")) == ["TN2"]
    assert list(ledger.titles(after="Z")) == []
    with pytest.raises(InvalidError):
        ledger.titles(after="../A")


def test_titles_are_paged_without_one_twice_or_missing(ledger):
    pages, after = [], ""
    while page := list(ledger.titles(after=after, limit=3)):
        pages.append(page)
        after = page[-1]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [title for page in pages for title in page] == TITLES


def test_what_is_no_title_is_not_listed(ledger):
    for key in ("_log/checkpoint", "_packs/x", "lower/head.json", "CON/head.json", "README.md"):
        ledger.store.create(key, b"")
    assert list(ledger.titles()) == TITLES


def test_an_empty_ledger_has_no_titles_and_verifies():
    ledger = memory_ledger()
    assert list(ledger.titles()) == []
    for report in (ledger.verify_all(), ledger.fsck()):
        assert report
        assert (report.titles, report.entries, report.findings) == (0, 0, ())
        assert report.not_shown


# --- many threads --------------------------------------------------------------------------------


def test_one_ledger_is_used_from_many_threads(tmp_path):
    ledger = memory_ledger(FolderStore(tmp_path))

    def work(number: int) -> bool:
        title = f"TN{number}"
        for version in range(5):
            ledger.append(title, {"v": version})
            assert ledger.head(title).document == {"v": version}
        assert [entry.version for entry in ledger.log(title)] == [5, 4, 3, 2, 1]
        return bool(ledger.verify(title))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))
    assert ledger.verify_all().entries == 80


# --- the package ---------------------------------------------------------------------------------


def test_the_public_names_are_few_and_there():
    assert sorted(package.__all__) == package.__all__
    assert 20 <= len(package.__all__) <= 70
    assert all(hasattr(package, name) for name in package.__all__)


def test_the_example_of_the_package_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package.create_key("key.pem")
    example = [line[4:] for line in package.__doc__.splitlines() if line.startswith("    ")]
    exec(compile("\n".join(example), "example", "exec"), {})
    assert (tmp_path / "titles" / "TN1234567" / "head.json").exists()


def test_the_clock_is_the_machines_if_none_is_given():
    from datetime import UTC, datetime, timedelta

    ledger = Ledger.create("memory:", origin=ORIGIN, signer=KEY)
    recorded = datetime.fromisoformat(ledger.append("TN1", {}).recorded_at)
    assert abs(datetime.now(UTC) - recorded) < timedelta(minutes=1)
    assert ledger.verify("TN1").findings == ()
    past = Ledger.open(
        ledger.store, keyring=KEYRING, clock=FixedClock(datetime(2020, 1, 1, tzinfo=UTC))
    )
    assert [f.slug for f in past.verify("TN1").findings] == ["time-in-future"]


# --- closed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda ledger: ledger.head("TN1"),
        lambda ledger: ledger.append("TN1", {}),
        lambda ledger: ledger.titles(),
        lambda ledger: ledger.verify_all(),
        lambda ledger: ledger.export(BytesIO()),
        lambda ledger: Log(ledger).pending(),
    ],
)
@pytest.mark.parametrize("place", ["memory:", "folder"])
def test_a_closed_ledger_never_goes_on(tmp_path, place, use):
    url = place if place == "memory:" else str(tmp_path / place)
    with Ledger.create(url, origin=ORIGIN, signer=KEY, keyring=KEYRING) as ledger:
        ledger.append("TN1", {})
    with pytest.raises(StoreUnavailable, match="was closed"):
        use(ledger)
    ledger.close()


# --- what a notebook passes ----------------------------------------------------------------------


def test_a_path_is_a_store(tmp_path):
    with Ledger.create(tmp_path / "titles", origin=ORIGIN, signer=KEY) as ledger:
        entry = ledger.append("TN1", {})
    with Ledger.open(tmp_path / "titles", keyring=KEYRING) as ledger:
        assert ledger.head("TN1") == entry


def test_an_entry_is_a_parent():
    ledger = memory_ledger()
    first = ledger.append("TN1", {})
    second = ledger.append("TN1", {"n": 2}, parent=first)
    assert second.parent == first.address
    with pytest.raises(HeadMoved):
        ledger.append("TN1", {"n": 3}, parent=first)
    with pytest.raises(HeadMoved):
        ledger.preview(Draft("TN1", {"n": 3}), parent=first)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda ledger: Ledger.open(7, keyring=KEYRING),
        lambda ledger: Ledger.open(ledger.store, keyring="keyring.json"),
        lambda ledger: Ledger.create(MemoryStore(), origin=ORIGIN, keyring="keyring.json"),
        lambda ledger: ledger.append("TN1", {}, parent=1),
        lambda ledger: ledger.preview(Draft("TN1", {}), parent=1),
        lambda ledger: ledger.entry("TN1", 1),
        lambda ledger: list(ledger.log("TN1", 1)),
        lambda ledger: ledger.diff("TN1", 1, 1),
        lambda ledger: ledger.at("TN1", effective="2026-11"),
        lambda ledger: ledger.at("TN1", recorded=7),
        lambda ledger: ledger.export("file"),
        lambda ledger: ledger.export(BytesIO(), since=["file"]),
        lambda ledger: ledger.export(BytesIO(), "TN1"),
        lambda ledger: ledger.import_bundle("file"),
        lambda ledger: ledger.verify_all("TN1"),
        lambda ledger: verify_bundle("file", keyring=KEYRING),
        lambda ledger: bundle_origin("file"),
        lambda ledger: create_key("key.pem", "text"),
        lambda ledger: PrivateKey.from_pem(KEY.pem(b"secret"), "secret"),
        lambda ledger: KEY.pem("text"),
    ],
)
def test_a_wrong_type_never_fails_inside(tmp_path, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    ledger = memory_ledger()
    ledger.append("TN1", {})
    with pytest.raises(LedgerError):
        mistake(ledger)
    assert not list(tmp_path.iterdir())
