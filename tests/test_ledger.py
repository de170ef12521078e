"""The ledger as a whole: create, open, whose it is, its titles, and use from many threads."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import shutil
import threading
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from io import BytesIO, StringIO
from pathlib import Path
from types import MappingProxyType

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
    NotFoundError,
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


WRONG = [7, None, object(), b"x", [7], {}, Path("none"), "x y", date(2026, 1, 1), StringIO("x")]
CALLED = {"change", "check", "clock", "each", "left_out", "random_bytes", "stop"}
NUMBERS = {"connections", "executor", "jobs", "options", "timeout"}


@cache
def two_versions() -> tuple[dict[str, bytes], bytes]:
    """The objects of a small ledger, and its bundle."""
    ledger = memory_ledger()
    ledger.append("TN1", {})
    ledger.append("TN1", {"a": 1})
    ledger.export(bundle := BytesIO())
    return objects_of(ledger.store), bundle.getvalue()


def small_ledger() -> Ledger:
    store = MemoryStore()
    store.create_many(two_versions()[0].items())
    return Ledger.open(store, keyring=KEYRING, signer=KEY)


def good_for(ledger: Ledger) -> dict[str, object]:
    """One good value for every parameter that has to be given."""
    return {
        "draft": Draft("TN1", {}),
        "drafts": [Draft("TN1", {}), Draft("TN2", {})],
        "data": KEYRING.encode(),
        "document": {},
        "entry": ledger.head("TN1").data,
        "files": {},
        "key": KEY.public_key,
        "key_id": KEY.public_key.key_id,
        "keyring": KEYRING,
        "kept": b"",
        "message": "m",
        "origin": ORIGIN,
        "out": BytesIO(),
        "passphrase": None,
        "path": "none",
        "pem": KEY.pem(),
        "prefix": ledger.head("TN1").address[:8],
        "raw": KEY.public_key.raw,
        "receipt": b"",
        "reference": "r",
        "seed": bytes(32),
        "signer": KEY,
        "source": BytesIO(two_versions()[1]),
        "store": ledger.store,
        "title_number": "TN1",
        "uri": "none",
        "url": "memory:",
        "versions": [1],
    }


@pytest.mark.parametrize(
    "call",
    [
        *(
            pytest.param(lambda ledger, name=name: getattr(ledger, name), id=name)
            for name in vars(Ledger)
            if name[0] != "_" and name not in {"close", "pull", "verification"}
            if callable(getattr(Ledger, name))
        ),
        pytest.param(lambda ledger: Log(ledger).receipt, id="receipt"),
        pytest.param(lambda ledger: Log(ledger).known, id="known"),
        pytest.param(lambda ledger: Log(ledger).markers, id="markers"),
        *(
            pytest.param(lambda ledger, call=call: call, id=call.__name__)
            for call in (
                *(create_key, package.load_key, package.open_signer, package.open_store),
                *(verify_bundle, package.audit_bundle, package.check_entry, package.accept),
                *(PrivateKey, package.PublicKey, KEYRING.trust, KEYRING.untrust, Keyring.decode),
            )
        ),
    ],
)
def test_a_wrong_type_never_fails_inside(tmp_path, monkeypatch, call):
    """Whatever is given for any parameter, it works, or the error is one of ours."""
    monkeypatch.chdir(tmp_path)
    for wanted in inspect.signature(call(small_ledger())).parameters.values():
        if wanted.name in CALLED | NUMBERS:
            continue
        for wrong in WRONG:
            ledger = small_ledger()
            method, good = call(ledger), good_for(ledger)
            needed = inspect.signature(method).parameters.values()
            given = {each.name: good[each.name] for each in needed if each.default is each.empty}
            with suppress(LedgerError):
                result = method(**given | {wanted.name: wrong})
                if hasattr(result, "__next__"):
                    list(result)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda ledger: Ledger.open(7, keyring=KEYRING),
        lambda ledger: Ledger.open(ledger.store, keyring="keyring.json"),
        lambda ledger: Ledger.create(MemoryStore(), origin=ORIGIN, signer="key.pem"),
        lambda ledger: ledger.append("TN1", {}, parent=1),
        lambda ledger: ledger.append("TN1", {}, effective_at=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda ledger: ledger.append("TN1", Draft("TN1", {})),
        lambda ledger: ledger.erase("TN1", 1, reference="r", message="m"),
        lambda ledger: ledger.entry("TN1", 1),
        lambda ledger: ledger.at("TN1", effective="2026-11"),
        lambda ledger: ledger.export(StringIO()),
        lambda ledger: ledger.export(BytesIO(), since="file"),
        lambda ledger: ledger.export(BytesIO(), "TN1"),
        lambda ledger: ledger.import_bundle(StringIO()),
        lambda ledger: ledger.import_bundle("none"),
        lambda ledger: ledger.verify("TN1", expect="v1"),
        lambda ledger: "no title" in ledger,
        lambda ledger: list(ledger.append_many([None])),
        lambda ledger: bundle_origin(7),
        lambda ledger: create_key("key.pem", ""),
        pickle.dumps,
        lambda ledger: pickle.dumps(Log(ledger)),
    ],
)
def test_a_mistake_is_refused_and_leaves_nothing(tmp_path, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    ledger = memory_ledger()
    ledger.append("TN1", {})
    with pytest.raises(LedgerError) as caught:
        mistake(ledger)
    assert not isinstance(caught.value, StoreUnavailable)
    assert not list(tmp_path.iterdir())
    assert ledger.head("TN1").version == 1


def test_a_ledger_that_is_pickled_says_what_to_do(tmp_path):
    with pytest.raises(InvalidError, match="can't be pickled") as caught:
        pickle.dumps(Ledger.create(tmp_path, origin=ORIGIN, signer=KEY))
    assert "open it in each process" in caught.value.hint


def test_paths_take_the_place_of_files(tmp_path):
    ledger = memory_ledger()
    first = ledger.append("TN1", {"n": 1})
    assert ledger.export(tmp_path / "one") == 1
    ledger.append("TN1", {"n": 2})
    ledger.export(str(tmp_path / "two"), since=[tmp_path / "one"])
    with pytest.raises(InvalidError, match="exists already"):
        ledger.export(tmp_path / "one")
    other = Ledger.for_import(tmp_path / "other", origin=ORIGIN, keyring=KEYRING)
    for bundle in ("one", "two"):
        other.import_bundle(tmp_path / bundle)
    assert other.head("TN1") == ledger.head("TN1")
    assert verify_bundle(tmp_path / "one", keyring=KEYRING, expect=first)
    ledger.strip_bundle(tmp_path / "one", tmp_path / "three")
    assert (tmp_path / "three").read_bytes() == (tmp_path / "one").read_bytes()
    with pytest.raises(NotFoundError):
        ledger.export(tmp_path / "four", ["TN9"])
    assert not (tmp_path / "four").exists()


def test_dates_and_mappings_are_written_as_their_texts():
    ledger = memory_ledger()
    plain, lent = {"a": {"b": [1]}}, MappingProxyType({"a": UserDict(b=[1])})
    cet = timezone(timedelta(hours=1))
    for document, at, until in (
        (plain, "2026-01-01", "2027-01-01T10:30:00+01:00"),
        (lent, date(2026, 1, 1), datetime(2027, 1, 1, 10, 30, tzinfo=cet)),
    ):
        draft = Draft("TN1", document, effective_at=at, effective_until=until, reference="r")
        done = ledger.submit(draft)
        assert (done.entry.document, done.entry.effective_at) == (plain, "2026-01-01")
        assert done.entry.effective_until == "2027-01-01T10:30:00+01:00"
    assert done.repeated

    class Liar(UserDict):
        """Holds a member that it denies."""

        def __contains__(self, name):
            return False

    for class_ in (Liar, type("LyingDict", (dict,), {"__contains__": Liar.__contains__})):
        with pytest.raises(InvalidError, match="sha256"):
            ledger.append("TN2", class_(sha256="x"))


def test_an_entry_is_a_revision():
    ledger = memory_ledger()
    first, second = ledger.append("TN1", {"n": 1}), ledger.append("TN1", {"n": 2})
    assert ledger.entry("TN1", first) == first
    assert list(ledger.log("TN1", first)) == [first]
    assert [change.new for change in ledger.diff("TN1", first, second)] == [2]
    report = ledger.verify("TN1", expect=first, since=first)
    assert report.entries == 2
    other = ledger.append("TN2", {})
    with pytest.raises(NotFoundError):
        ledger.entry("TN1", other)
    assert [f.slug for f in ledger.verify("TN1", expect=other).findings] == ["pin-missing"]


def test_the_log_is_chosen_by_time():
    clock = FixedClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    ledger = memory_ledger(clock=clock)
    for n in range(1, 6):
        ledger.append("TN1", {"n": n})
        clock.forward(days=1)

    def versions(**chosen):
        return [entry.version for entry in ledger.log("TN1", **chosen)]

    assert versions(since=date(2026, 1, 3)) == [5, 4, 3]
    assert versions(since="2026-01-03T12:00:00.000001Z") == [5, 4]
    assert versions(until="2026-01-03") == [3, 2, 1]
    assert versions(until=datetime(2026, 1, 3, 11, tzinfo=UTC)) == [2, 1]
    assert versions(until=datetime(2026, 1, 3, 13, tzinfo=timezone(timedelta(hours=1)))) == [
        3,
        2,
        1,
    ]
    assert versions(since="2026-01-02", until="2026-01-04", limit=2, reverse=True) == [3, 4]
    assert versions(since="2027-01-01") == versions(until="2025-12-31") == []


def test_a_ledger_is_a_collection_of_titles(tmp_path):
    ledger = Ledger.create(tmp_path / "titles", origin=ORIGIN, signer=KEY)
    for title in ("TN2", "TN1"):
        ledger.append(title, {})
    assert list(ledger) == ["TN1", "TN2"]
    assert "TN1" in ledger
    assert "TN3" not in ledger
    shutil.rmtree(tmp_path / "titles")
    with pytest.raises(StoreUnavailable):  # gone is not absent
        assert "TN1" not in ledger


def test_what_is_printed_says_what_it_is_and_no_secret(tmp_path):
    ledger = Ledger.create(tmp_path, origin=ORIGIN, signer=KEY)
    assert repr(ledger) == f"<Ledger {ORIGIN} in file:{tmp_path}>"
    assert repr(Log(ledger)) == f"<Log {ORIGIN} in file:{tmp_path}>"
    assert repr(KEYRING) == f"<Keyring {ORIGIN}; keys: 1, roots: 0>"
    done = ledger.submit(Draft("TN1", {}))
    assert f"Entry(TN1 version 1: {done.entry.address})" in repr(done)


def test_a_cancelled_append_goes_on():
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Wrapper):
        def replace(self, key, data, expected):
            begun.set()
            assert go_on.wait(30)
            return self.inner.replace(key, data, expected)

    ledger = memory_ledger()
    ledger.append("TN1", {})
    slow = memory_ledger(Slow(ledger.store))

    async def cancel() -> None:
        task = asyncio.create_task(asyncio.to_thread(slow.append, "TN1", {"n": 2}, reference="r"))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ledger.head("TN1").version == 1
        again = asyncio.create_task(
            asyncio.to_thread(ledger.append, "TN1", {"n": 2}, reference="r")
        )
        first = await again  # while the cancelled one is under way
        go_on.set()
        assert (await asyncio.to_thread(slow.append, "TN1", {"n": 2}, reference="r")) == first

    asyncio.run(cancel())  # and waits for the thread
    assert [entry.document for entry in ledger.log("TN1")] == [{"n": 2}, {}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a matter of fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_ledger_in_a_folder_goes_on_after_a_fork(tmp_path):
    ledger = Ledger.create(tmp_path, origin=ORIGIN, signer=KEY)
    list(ledger.append_many(Draft(f"TN{n}", {}) for n in range(20)))
    assert ledger.verify_all(jobs=4)
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            outcomes = ledger.append_many(Draft(f"TN{n}", {"n": 1}) for n in range(20))
            os._exit(not (all(outcome.appended for outcome in outcomes) and ledger.verify_all()))
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert ledger.verify_all().entries == 100
