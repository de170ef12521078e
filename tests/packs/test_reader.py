"""Packs, read: a cache that may be late, damaged or made up, and never makes anything wrong."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError, StoreDenied, StoreUnavailable
from ledger.format import layout
from ledger.format.layout import PackName
from ledger.packs import reader as reader_module
from ledger.packs.format import MAX_PACK, Packable, make_pack, open_pack
from ledger.packs.reader import PackCache, PackReader, check_packs, listed_packs, pack_names
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, keyring_for, memory_ledger, signer
from ledger.titles.history import History
from tests.format.test_layout import title_numbers
from tests.laws import examples
from tests.tampering import address
from tests.wrappers import CountingStore, FailingStore, Wrapper

law = settings(deadline=None, max_examples=examples(60))


def entry(title: str, number: int, size: int = 20) -> Packable:
    data = f"{title} {number} ".encode().ljust(size, b"x")
    return Packable(title, address(data), data)


def put(store, entries: list[Packable], origin: str = ORIGIN) -> PackName:
    """Store a pack of these entries, which may be in any order."""
    name, data = make_pack(origin, sorted(entries, key=lambda each: layout.head_key(each[0])))
    store.create(layout.pack_key(name), data)
    return name


def of(entries: list[Packable], title: str) -> dict[str, bytes]:
    return {each.address: each.data for each in entries if each.title_number == title}


def everything(store, titles, **options) -> tuple[dict[str, dict[str, bytes]], list[str]]:
    """What a reader hands out for these titles, and the slugs of what it found."""
    found = []
    names = options.pop("names", None) or listed_packs(store, found)
    with PackReader(store, ORIGIN, names, **options) as reader:
        handed = {title: reader.entries_of(title) for title in sorted(titles, key=layout.head_key)}
        return handed, [finding.slug for finding in (*found, *reader.findings)]


def findings(store) -> list[tuple[str, str, str]]:
    history = History(store, ORIGIN, keyring_for(signer()))
    return [
        (finding.severity, finding.slug, finding.object_key)
        for report in check_packs(history)
        for finding in report.findings
    ]


def replace(store, name: PackName, data: bytes) -> None:
    """Put other bytes in a pack's place."""
    store.delete(layout.pack_key(name))
    store.create(layout.pack_key(name), data)


# --- handing out ---------------------------------------------------------------------------------


@law
@given(st.data())
def test_every_entry_of_every_pack_is_handed_out_with_its_title(draw):
    """However the packs overlap, and whichever of the titles are asked for."""
    titles = draw.draw(st.lists(title_numbers, min_size=1, max_size=8, unique=True))
    entries = [entry(title, number) for title in titles for number in range(3)]
    store = MemoryStore()
    packs = draw.draw(st.lists(st.lists(st.sampled_from(entries), min_size=1), max_size=6))
    for chosen in packs:
        put(store, list(dict.fromkeys(chosen)))
    asked = draw.draw(st.lists(st.sampled_from(titles), unique=True))
    packed = [each for chosen in packs for each in chosen]
    assert everything(store, asked) == ({title: of(packed, title) for title in asked}, [])


def test_packs_are_listed_in_the_order_of_their_titles_keys():
    store = MemoryStore()
    for title in ("A", "A-1", "A0", "A_", "0"):
        put(store, [entry(title, 1)])
    assert [name.first for name in pack_names(store)] == ["0", "A-1", "A", "A0", "A_"]


def test_each_pack_is_read_once_and_none_where_no_title_is_asked_for():
    store = CountingStore(MemoryStore())
    titles = [f"T{number:03}" for number in range(40)]
    for start in range(0, 40, 10):
        put(store, [entry(title, start) for title in titles[start : start + 10]])
    put(store, [entry("T000", 7), entry("T039", 7)])
    calls = store.during(lambda: everything(store, titles))
    assert sorted(key for call, key in calls if call == "get") == sorted(
        map(layout.pack_key, pack_names(store))
    )
    assert [call for call, _ in calls].count("list") == 1
    far = store.during(lambda: everything(store, ["T025"]))
    passed = {name for name in pack_names(store) if name.last < "T025"}
    assert not {key for _, key in far} & set(map(layout.pack_key, passed))


def test_asked_in_another_order_a_reader_hands_out_less():
    store = MemoryStore()
    put(store, [entry("A", 1)])
    put(store, [entry("B", 1)])
    with PackReader(store, ORIGIN, pack_names(store)) as reader:
        assert len(reader.entries_of("B")) == 1
        assert reader.entries_of("A") == {}


def test_memory_stays_flat_however_many_packs_are_read(tmp_path):
    """One that is handed out, the next one behind it, one on its way, and what a title takes."""
    store = FolderStore(tmp_path)
    titles = [f"T{number:03}" for number in range(48)]
    sizes = set()
    for start in range(0, 48, 4):
        of_four = titles[start : start + 4]
        entries = [entry(title, n, 1 << 14) for title in of_four for n in range(8)]
        sizes.add(put(store, entries).size)
    tracemalloc.start()
    with PackReader(store, ORIGIN, pack_names(store)) as reader:
        assert all(len(reader.entries_of(title)) == 8 for title in titles)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.5 * max(sizes)


@pytest.mark.slow
def test_few_packs_are_held_however_many_there_are():
    """Those passed are let go of; where too many overlap, those that go on furthest are, too."""

    class Watching(Wrapper):
        def __init__(self, inner) -> None:
            super().__init__(inner)
            self.read: list[str] = []

        def get(self, key):
            self.read.append(key)
            return super().get(key)

    store = Watching(MemoryStore())
    titles = [f"T{number:03}" for number in range(30)]
    for title in titles:
        put(store, [entry(title, 1)])
    with PackReader(store, ORIGIN, pack_names(store)) as reader:
        for number, title in enumerate(titles, 1):
            assert len(reader.entries_of(title)) == 1
            assert len(store.read) <= number + 3

    wide = MemoryStore()
    for number in range(20):  # each nearly as large as a pack may be
        large = [entry("A", 100 * number + each, 1 << 20) for each in range(15)]
        put(wide, [*large, entry(f"B{number:02}", number)])
    handed, found = everything(wide, ["A", *(f"B{number:02}" for number in range(20))])
    assert found == []
    kept = [number for number in range(20) if handed[f"B{number:02}"]]
    assert 0 < len(kept) <= 8
    assert len(handed["A"]) == 15 * len(kept)


def test_a_cache_keeps_what_goes_on_for_the_next_reader_and_nothing_that_ended():
    store = CountingStore(MemoryStore())
    titles = [f"T{number:03}" for number in range(20)]
    wide = put(store, [entry("T000", 0), entry("T019", 0)])
    pairs = [put(store, [entry(a, 1), entry(b, 2)]) for a, b in pairwise(titles)]
    cache = PackCache()

    def read() -> None:
        for title in titles:  # each is the last one of its reader
            names = [name for name in pack_names(store) if name.first <= title <= name.last]
            with PackReader(store, ORIGIN, names, cache=cache, until=title) as reader:
                reader.entries_of(title)

    gets = [key for call, key in store.during(read) if call == "get"]
    assert sorted(gets) == sorted(map(layout.pack_key, [wide, *pairs]))  # each once
    assert [name for name in (wide, *pairs) if cache.get(name)] == [wide, pairs[-1]]


def test_addresses_only():
    store = MemoryStore()
    put(store, [entry("A", 1), entry("A", 2)])
    handed, _ = everything(store, ["A"], addresses_only=True)
    assert handed == {"A": {entry("A", 1).address: b"", entry("A", 2).address: b""}}


def test_the_threads_of_a_reader_end_with_it():
    store = MemoryStore()
    put(store, [entry("A", 1)])
    reader = PackReader(store, ORIGIN, pack_names(store))
    reader.entries_of("A")
    workers = [each for each in threading.enumerate() if each.name.startswith("ledger-packs")]
    assert workers
    reader.close()
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()
    assert reader.entries_of("A") == {}


# --- damage --------------------------------------------------------------------------------------

ENTRIES = [entry(title, number) for title in ("A-1", "A", "B") for number in range(3)]


@law
@given(st.data())
def test_whatever_becomes_of_a_pack_only_entries_that_match_their_address_are_handed_out(draw):
    """Changed, cut, lengthened, renamed, of another ledger: it is passed over, and named."""
    store = MemoryStore()
    name = put(store, ENTRIES)
    good = put(store, [entry("A", 99)])
    data = store.get(layout.pack_key(name)).data
    match draw.draw(st.sampled_from(["change", "cut", "add", "rename", "other"])):
        case "change":
            place = draw.draw(st.integers(0, len(data) - 1))
            other = draw.draw(st.integers(1, 255))
            replace(store, name, data[:place] + bytes([data[place] ^ other]) + data[place + 1 :])
        case "cut":
            replace(store, name, data[: draw.draw(st.integers(0, len(data) - 1))])
        case "add":
            replace(store, name, data + draw.draw(st.binary(min_size=1, max_size=9)))
        case "rename":
            store.delete(layout.pack_key(name))
            titles = sorted([draw.draw(title_numbers), "B"], key=layout.head_key)
            size = draw.draw(st.integers(1, 2**50))
            new = PackName(*titles, size, name.digest)
            store.create(layout.pack_key(new), data)
        case "other":
            store.delete(layout.pack_key(name))
            put(store, ENTRIES, "example.org/other")
    handed, found = everything(store, ["A-1", "A", "B"])
    assert found == ["damaged-pack"]
    assert handed == {"A-1": {}, "A": of([entry("A", 99)], "A"), "B": {}}
    assert [slug for _, slug, _ in findings(store)] == ["damaged-pack"]
    assert layout.pack_key(good) not in {key for _, _, key in findings(store)}


def test_a_pack_that_its_maker_made_up_is_of_no_use():
    """The name is the sha256 of what is there, and yet the bytes are not those of the address."""
    store = MemoryStore()
    real, forged = entry("A", 1), entry("A", 2)
    name = put(store, [Packable("A", real.address, forged.data)])
    handed, found = everything(store, ["A"])
    assert (handed, found) == ({"A": {}}, ["damaged-pack"])
    assert findings(store) == [("warning", "damaged-pack", layout.pack_key(name))]


@pytest.mark.parametrize(
    "rest", [b',"text":{"document":{}}}', b'}{"also":1}', b"]"], ids=["text", "more", "end"]
)
def test_nobody_is_accused_of_what_is_wrong_in_a_pack_alone(rest):
    """The address is that of the short form: whoever writes packs can put any text behind it."""
    ledger = memory_ledger()
    for _ in range(2):
        ledger.append("A", {"owner": "Ada"})
    short = [each.short for each in ledger.log("A")]
    name = put(ledger.store, [Packable("A", address(each), each[:-1] + rest) for each in short])
    report = ledger.verify_all()
    assert report
    assert report.entries == 2
    blamed = ("warning", "damaged-pack", layout.pack_key(name))
    assert [(f.severity, f.slug, f.object_key) for f in report.findings] == [blamed]
    assert findings(ledger.store) == [blamed]
    assert ledger.pack().deleted == 1
    assert ledger.verify_all().findings == ()


def test_a_name_that_claims_too_much_is_not_even_read():
    store = CountingStore(MemoryStore())
    name = PackName("A", "B", MAX_PACK + 1, "0" * 64)
    store.create(layout.pack_key(name), b"x")
    calls = store.during(lambda: everything(store, ["A"]))
    assert [call for call, _ in calls] == ["list"]
    assert findings(store) == [("warning", "damaged-pack", layout.pack_key(name))]


def test_a_pack_that_goes_while_it_is_listed_is_nothing_to_speak_of():
    """Another packer has just put its entries into another pack."""
    store = MemoryStore()
    name = put(store, [entry("A", 1)])
    store.delete(layout.pack_key(name))
    assert everything(store, ["A"], names=[name]) == ({"A": {}}, [])


@pytest.mark.parametrize("error", [StoreUnavailable, StoreDenied])
def test_a_store_that_fails_costs_time_and_nothing_else(error):
    inner = MemoryStore()
    put(inner, [entry("A", 1)])
    for operation in ("list", "get"):
        store = FailingStore(inner, 0, error=error, operations=(operation,))
        assert everything(store, ["A"]) == ({"A": {}}, ["unread-pack"])
    assert [
        slug for _, slug, _ in findings(FailingStore(inner, 0, error=error, operations=("get",)))
    ] == ["unread-pack"]


def test_a_pack_of_a_later_format_is_not_called_damaged():
    store = MemoryStore()
    data = b'{"format":2}\n'
    name = PackName("A", "A", len(data), hashlib.sha256(data).hexdigest())
    store.create(layout.pack_key(name), data)
    with PackReader(store, ORIGIN, pack_names(store)) as reader:
        assert reader.entries_of("A") == {}
        assert [finding.slug for finding in reader.findings] == ["unread-pack"]
        assert reader.damaged == []


def test_what_is_no_pack_is_passed_over_and_named_by_a_check(tmp_path):
    store = FolderStore(tmp_path / "store")
    name = put(store, [entry("A", 1)])
    strays = ["_packs/readme", f"_packs/A/B.0-{'0' * 64}", f"_packs/B/A.1-{'0' * 64}", "_packs/x/y"]
    for key in strays:
        store.create(key, b"x")
    handed, found = everything(store, ["A"])
    assert (len(handed["A"]), found) == (1, [])
    assert sorted(findings(store)) == sorted(("warning", "stray-object", key) for key in strays)
    (tmp_path / "store" / layout.pack_key(name)).unlink()
    (tmp_path / "store" / layout.pack_key(name)).symlink_to("/etc/passwd")
    assert everything(store, ["A"]) == ({"A": {}}, ["damaged-pack"])


def test_a_check_of_a_store_without_packs_finds_nothing():
    ledger = memory_ledger()
    ledger.append("A", {})
    assert findings(ledger.store) == []


def test_an_error_that_is_not_ours_is_not_hidden():
    class Broken(Wrapper):
        def get(self, key):
            raise RuntimeError(key)

    inner = MemoryStore()
    put(inner, [entry("A", 1)])
    with (
        pytest.raises(RuntimeError),
        PackReader(Broken(inner), ORIGIN, pack_names(inner)) as reader,
    ):
        reader.entries_of("A")


def test_packs_that_nobody_asks_for_are_soon_given_up(monkeypatch):
    """However many somebody puts there, reading them ends after a while."""
    store = CountingStore(MemoryStore())
    for number in range(30):
        put(store, [entry(f"T{number:03}X", number, 1000)])
    monkeypatch.setattr(reader_module, "USELESS_BYTES", 3000)
    with PackReader(store, ORIGIN, pack_names(store)) as reader:
        for number in range(40):
            reader.entries_of(f"T{number:03}")
        assert [finding.slug for finding in reader.findings] == ["unread-pack"]
        assert "no more of them" in reader.findings[0].message
    assert len([key for call, key in store.calls if call == "get"]) < 10


def test_an_index_of_anything_else_is_refused_unread():
    for junk in (b"0.0000001," * 1000, b'"\xf0\x9f\x98\x80",' * 1000, b"[" * 1000, b"[[]]" * 1000):
        data = b'{"entries":[' + junk + b'1],"format":1,"ledger":"example.org"}\n' + b"x"
        name = PackName("A", "A", len(data), hashlib.sha256(data).hexdigest())
        with pytest.raises(MalformedError, match="not a list of entries"):
            open_pack(name, data, ORIGIN)
