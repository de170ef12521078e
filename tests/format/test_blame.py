"""Which version gave each field its value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import InvalidError, Ledger, NotFoundError
from ledger.format.canonical import encode
from ledger.stores import MemoryStore
from ledger.testing import memory_ledger
from tests.laws import examples
from tests.wrappers import CountingStore

law = settings(deadline=None, max_examples=examples(20))

TITLE = "TN1"
values = st.one_of(st.integers(0, 2), st.booleans(), st.just({}), st.just([]), st.just("a"))
documents = st.dictionaries(
    st.sampled_from("abc"), values | st.dictionaries(st.sampled_from("xy/"), values, min_size=1)
)


def titled(*versions: dict) -> Ledger:
    ledger = memory_ledger()
    for document in versions:
        ledger.append(TITLE, document)
    return ledger


def fields(document, path=""):
    """Every field that holds no other, by its pointer."""
    if isinstance(document, dict) and document:
        inner = {}
        for name, value in document.items():
            inner |= fields(value, f"{path}/{name.replace('/', '~1')}")
        return inner
    return {path: encode(document)}


def blamed(ledger: Ledger, path: str = "") -> dict[str, int]:
    return {each.path: each.entry.version for each in ledger.blame(TITLE, path)}


@law
@given(st.lists(documents, min_size=1, max_size=6))
def test_a_field_was_set_by_the_first_version_since_which_it_is_the_same(versions):
    by_version = [fields(document) for document in versions]
    expected = {}
    for path, value in by_version[-1].items():
        version = len(versions)
        while version > 1 and by_version[version - 2].get(path) == value:
            version -= 1
        expected[path] = version
    found = titled(*versions).blame(TITLE)
    assert {each.path: each.entry.version for each in found} == expected
    assert {each.path: encode(each.value) for each in found} == by_version[-1]
    assert not any(each.or_before for each in found)


def test_an_item_of_a_list_keeps_its_history_wherever_it_goes():
    a, b = {"lender": "A", "amount": 1}, {"lender": "B", "amount": 2}
    ledger = titled(
        {"charges": [a]},
        {"charges": [b, a]},
        {"charges": [b, a | {"amount": 9}]},
        {"charges": [{"lender": "C"}, a | {"amount": 9}, b]},
    )
    assert blamed(ledger) == {
        "/charges/0/lender": 4,
        "/charges/1/amount": 3,
        "/charges/1/lender": 1,
        "/charges/2/amount": 2,
        "/charges/2/lender": 2,
    }
    assert blamed(ledger, "/charges/1") == {"/charges/1/amount": 3, "/charges/1/lender": 1}


@pytest.mark.parametrize("path", ["/nope", "/a/0", "a", "/"])
def test_a_place_that_is_not_there_is_not_found(path):
    with pytest.raises(NotFoundError, match="has nothing at"):
        titled({"a": "b"}).blame(TITLE, path)


@pytest.mark.parametrize(
    "path", ["/0", "/x/00", "/x/+1", "/x/2", "/x/-", "/~2", "/x/" + "9" * 5000]
)
def test_a_pointer_is_followed_as_it_is_written(path):
    with pytest.raises(NotFoundError):
        titled({"x": [1, 2], "~2": 0}).blame(TITLE, path)


def test_names_with_slashes_tildes_and_none_at_all():
    ledger = titled({"a/b": {"~": {"": 1}}, "": [[]]})
    assert blamed(ledger) == {"//0": 1, "/a~1b/~0/": 1}
    assert blamed(ledger, "/a~1b") == blamed(ledger, "/a~1b/~0/") == {"/a~1b/~0/": 1}


def test_fields_beyond_the_limit_are_refused_before_they_fill_the_memory():
    ledger = titled({"n" * 100_000: list(range(50_000)), "b": 1})
    with pytest.raises(InvalidError, match="too many fields"):
        ledger.blame(TITLE, limit=1 << 20)  # 5 GB of paths
    assert [each.path for each in ledger.blame(TITLE, "/b", limit=1 << 20)] == ["/b"]


def test_what_an_erased_text_hides_may_have_been_set_before():
    ledger = titled({"a": 1}, {"a": 1}, {"a": 1, "b": 2})
    ledger.erase(TITLE, [2], reference="C-1", message="order")
    found = {each.path: (each.entry.version, each.or_before) for each in ledger.blame(TITLE)}
    assert found == {"/a": (3, True), "/b": (3, True)}


def test_each_of_many_versions_is_read_once():
    store = CountingStore(MemoryStore())
    ledger = memory_ledger(store)
    for n in range(100):
        ledger.append(TITLE, {"first": 0, "n": n, "list": [n, 0]})
    assert blamed(ledger) == {"/first": 1, "/n": 100, "/list/0": 100, "/list/1": 1}
    assert store.reads(lambda: blamed(ledger)) == 100
    assert store.reads(lambda: blamed(ledger, "/n")) == 2
