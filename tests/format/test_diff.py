"""What differs between two documents."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import ABSENT, Change
from ledger.errors import InvalidError
from ledger.format.canonical import MAX_INTEGER, encode
from ledger.format.diff import changes

law = settings(deadline=None, max_examples=50)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, -0.0, MAX_INTEGER])
    | st.sampled_from(["", "a", "é", "/", "~"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab/~"), inner, max_size=3)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c/d", "e~"]), values, max_size=4)


def apply(document, change):
    """The document with one change made, by its pointer."""
    *path, last = [
        part.replace("~1", "/").replace("~0", "~") for part in change.path.split("/")[1:]
    ]
    place = document
    for part in path:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if isinstance(place, list):
        if change.kind == "added":
            place.insert(int(last), change.new)
        elif change.kind == "removed":
            del place[int(last)]
        else:
            place[int(last)] = change.new
    elif change.new is ABSENT:
        del place[last]
    else:
        place[last] = change.new


@law
@given(documents, documents)
def test_there_are_no_changes_only_between_equal_documents(old, new):
    assert (changes(old, new) == []) == (encode(old) == encode(new))
    assert changes(old, copy.deepcopy(old)) == []


@law
@given(documents, documents)
def test_the_way_back_mirrors_the_way_there(old, new):
    there, back = changes(old, new), changes(new, old)
    assert back == [Change(change.path, change.new, change.old) for change in there]


@law
@given(documents, documents)
def test_the_changes_lead_from_the_old_document_to_the_new(old, new):
    found = changes(old, new)
    document = copy.deepcopy(old)
    # Items are taken out from the end of a list, so that the others keep their places.
    removed = [change for change in reversed(found) if change.kind == "removed"]
    for change in [*removed, *(change for change in found if change.kind != "removed")]:
        apply(document, change)
    assert encode(document) == encode(new)


@law
@given(st.lists(values, max_size=5), st.integers(0, 5), values)
def test_an_item_put_into_a_list_is_one_change(items, place, item):
    longer = [*items[:place], item, *items[place:]]
    added = changes({"a": items}, {"a": longer})
    assert [(change.kind, encode(change.new)) for change in added] == [("added", encode(item))]
    removed = changes({"a": longer}, {"a": items})
    assert [(change.kind, encode(change.old)) for change in removed] == [("removed", encode(item))]


def test_fields_are_named_by_json_pointers_in_order():
    old = {"b": 1, "a": {"x/y": [1, 2, 3]}, "gone": None}
    new = {"b": 2, "a": {"x/y": [1, 9, 3]}, "new": None}
    assert changes(old, new) == [
        Change("/a/x~1y/1", 2, 9),
        Change("/b", 1, 2),
        Change("/gone", None, ABSENT),
        Change("/new", ABSENT, None),
    ]
    assert [change.kind for change in changes(old, new)] == [
        "changed",
        "changed",
        "removed",
        "added",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [(True, 1), (False, 0), (None, False), ("1", 1), ([], {}), ([1], [True]), ("", None), ([], "")],
)
def test_what_python_confuses_differs(old, new):
    assert len(changes({"a": old}, {"a": new})) == 1


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (0.0, -0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
)
def test_what_json_spells_alike_is_the_same(old, new):
    assert changes({"a": old}, {"a": new}) == []


def test_a_changed_item_of_a_list_of_objects_is_compared_field_by_field():
    old = {"owners": [{"name": "Ada", "share": 1}, {"name": "Bo", "share": 1}]}
    new = {"owners": [{"name": "Ada", "share": 2}, {"name": "Bo", "share": 1}]}
    assert changes(old, new) == [Change("/owners/0/share", 1, 2)]


def test_a_limit_counts_the_path_that_every_change_repeats():
    name = "x" * 1000
    old, new = ({name: dict.fromkeys("abcdefgh", value)} for value in (1, 2))
    assert len(changes(old, new, limit=9000)) == len(changes(old, new)) == 8
    with pytest.raises(InvalidError, match="too much changed"):
        changes(old, new, limit=8000)


def test_a_limit_counts_the_values():
    [change] = changes({}, {"a": ["b" * 1000]}, limit=1100)
    assert change.size > 1000
    with pytest.raises(InvalidError):
        changes({}, {"a": ["b" * 1000]}, limit=1000)
