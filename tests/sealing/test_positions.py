"""Where the log has entries: by a hint that is proved, by a search of all leaves, or not at all."""

from __future__ import annotations

import pickle

import pytest

from ledger import Keyring
from ledger.errors import LedgerError
from ledger.format.layout import LOG_CHECKPOINT, sealed_key
from ledger.format.standing import Positions
from ledger.sealing.positions import LogPositions
from ledger.testing import ORIGIN, signer
from ledger.titles.history import History
from ledger.titles.trust_files import accepted_keyring
from ledger.tlog import Leaf
from ledger.tlog.objects import SealedRecord, TrustLeaf
from tests.titles.test_settle import put
from tests.trust.people import listed, log_key
from tests.trust.siege import Siege
from tests.trust.world import SEALER

PINNED, SIZE = 256, 300
"""A search costs as much as two hints: it reads the leaves below the pin where alice's key ends."""

PLACES = {"TN1": (0, 3, 254, 298), "TN2": (1,), "TN3": (2, 255)}
"""The leaves of each title; those between are of TN9, which has no record."""

NEW_LOG = signer("log 2")
NOTHING = Positions()


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A register, its objects, and the addresses that the leaves of its log name."""
    siege = Siege(tmp_path_factory.mktemp("positions"), registrars="alice bob")
    leaves = {at: Leaf("TN9", 1 + at, f"{at:064}") for at in range(SIZE)}
    address = {name: [f"{at:064}" for at in places] for name, places in PLACES.items()}
    for name, places in PLACES.items():
        leaves |= {at: Leaf(name, 1 + n, f"{at:064}") for n, at in enumerate(places)}
        siege.put(sealed_key(name), SealedRecord(len(places), address[name][-1], places).encode())
    every = list(leaves.values())
    every[200] = TrustLeaf(2, "0" * 64)
    siege.log_leaves(*every[:PINNED])
    without_alice = siege.without("alice")
    siege.publish(keys=listed(*without_alice, log_key(NEW_LOG.public_key)))
    siege.log_leaves(*every[PINNED:280])
    siege.publish(keys=without_alice)  # a key of the log that ends later makes no difference
    siege.log_leaves(*every[280:])
    assert siege.checkpoint().size == SIZE
    return siege, siege.objects(), address


@pytest.fixture
def address(logged):
    return logged[2]


@pytest.fixture
def siege(logged):
    siege, objects, _ = logged
    siege.restore(objects)
    return siege


def history_of(siege):
    keyring = accepted_keyring(siege.store, ORIGIN, siege.keyring)
    return History(siege.store, ORIGIN, keyring, LogPositions())


@pytest.fixture
def history(siege):
    return history_of(siege)


@pytest.fixture
def find(history):
    positions = LogPositions()
    return lambda title, end=SIZE, *, search=False: positions(history, title, end, search=search)


def hint(siege, title, *places):
    found = SealedRecord.decode(siege.read(sealed_key(title)))
    siege.put(sealed_key(title), SealedRecord(found.version, found.address, places).encode())


@pytest.mark.parametrize(
    ("end", "version", "leaf"),
    [(1, 1, 0), (3, 1, 0), (4, 2, 3), (254, 2, 3), (255, 3, 254), (2**40, 4, 298)],
)
def test_the_newest_hint_below_the_end_is_proved(find, address, end, version, leaf):
    assert find("TN1", end) == Positions({address["TN1"][version - 1]: leaf}, 0)


def test_there_may_be_no_hint(find):
    assert find("TN1", 0) == NOTHING
    assert find("TN8") == NOTHING


@pytest.mark.parametrize(
    ("title", "place"), [("TN1", at) for at in (1, 2, 100, 200)] + [("TN2", 0)]
)
def test_the_leaf_of_another_title_or_of_a_trust_file_shows_nothing(siege, find, title, place):
    hint(siege, title, place)
    assert find(title) == NOTHING


@pytest.mark.parametrize("place", [SIZE, SIZE + 1, 10**6])
def test_a_hint_behind_the_log_is_passed_over(siege, find, address, place):
    hint(siege, "TN1", 3, place)
    assert find("TN1", 2**40) == Positions({address["TN1"][1]: 3}, 0)


@pytest.mark.parametrize("data", [b"{}", b"junk"])
def test_a_record_that_is_none_shows_nothing(siege, find, data):
    siege.put(sealed_key("TN1"), data)
    assert find("TN1") == NOTHING
    assert find("TN1", search=True).searched == PINNED


def test_a_search_finds_all_and_what_it_found_is_asked_from_then_on(siege, find, address):
    every = Positions(dict(zip(address["TN1"][:3], PLACES["TN1"][:3], strict=True)), PINNED)
    assert find("TN1", 1, search=True) == every
    put(siege.store, sealed_key("TN1"), None)
    assert find("TN1", 1) == every
    assert find("TN3") == Positions(dict(zip(address["TN3"], PLACES["TN3"], strict=True)), PINNED)
    assert find("TN8") == Positions({}, PINNED)


def test_without_trust_files_all_leaves_are_searched(siege):
    own = Keyring().trust(ORIGIN, SEALER.public_key, role="log")
    history = History(siege.store, ORIGIN, own, LogPositions())
    assert LogPositions()(history, "TN1", 1, search=True).searched == SIZE


def test_many_hints_cost_as_much_as_a_search(find):
    assert [find("TN2").searched for _ in range(4)] == [0, 0, PINNED, PINNED]


@pytest.mark.parametrize("search", [True, False])
def test_a_log_that_can_not_be_checked_shows_nothing(siege, find, search):
    checkpoint = siege.read(LOG_CHECKPOINT)
    for data in (None, checkpoint.replace(b"\n300\n", b"\n299\n")):
        put(siege.store, LOG_CHECKPOINT, data)
        assert find("TN1", search=search) == NOTHING
    put(siege.store, LOG_CHECKPOINT, checkpoint)
    tiles = {key: siege.read(key) for key in siege.objects() if "/tile/" in key}
    for key in tiles:
        put(siege.store, key, None)
    assert find("TN1", search=search) == NOTHING
    for key, data in tiles.items():
        put(siege.store, key, data)
    assert find("TN1", search=search).leaves


@pytest.mark.parametrize("search", [True, False])
def test_a_checkpoint_that_counts_no_more_shows_nothing_by_another_keyring(siege, search):
    history, positions = history_of(siege), LogPositions()
    assert positions(history, "TN1", SIZE, search=search).leaves
    files, keys = list(siege.files), siege.keys
    beside = signer("log 3").public_key
    new = [log_key(beside), *(key for key in keys if key.key != SEALER.public_key)]
    siege.publish(keys=listed(*new), log=files[-1].log)
    later = history_of(siege)
    siege.files[:], siege.keys = files, keys
    assert later.keyring != history.keyring
    assert positions(later, "TN1", SIZE, search=search) == NOTHING
    assert positions(history, "TN1", SIZE, search=search).leaves


def test_what_is_newest_in_the_log_is_told_or_why_it_can_not_be(siege, history, address):
    positions = LogPositions()
    assert positions.newest(history, "TN1") == Leaf("TN1", 4, address["TN1"][3])
    assert positions.newest(history, "TN8") is None
    put(siege.store, LOG_CHECKPOINT, None)
    with pytest.raises(LedgerError) as raised:
        positions.newest(history, "TN1")
    assert raised.value.reason == "log-set-back"


def test_another_process_searches_for_itself(history):
    positions = LogPositions()
    assert positions(history, "TN1", SIZE, search=True).searched
    copy = pickle.loads(pickle.dumps(positions))
    assert copy(history, "TN1", SIZE, search=False).searched == 0
