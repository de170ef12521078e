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
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(50))

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
charges = [
    {"id": name, "lender": lender, "rank": rank} if name else {"lender": lender, "rank": rank}
    for name in ("", "c1", "c2")
    for lender in ("Bank A", "Bank B")
    for rank in (1, 2)
]
documents = st.dictionaries(st.sampled_from(["a", "b", "c/d", "e~"]), values, max_size=4)


def patched(old, found):
    """The old document with the changes made, each given as its two paths and itself."""
    for (path, _), change in found:
        if not path:
            return change.new
    if isinstance(old, dict):
        new = dict(old)
        for name in {path[0] for (path, _), _ in found}:
            inside = [each for each in found if each[0][0][0] == name]
            new[name] = patched(old.get(name), [deeper(each) for each in inside])
        return {name: value for name, value in new.items() if value is not ABSENT}
    moved, put = {}, {}
    for (path, old_path), change in found:
        if len(path) > 1 or change.kind in {"changed", "moved"}:
            moved.setdefault(int(old_path[0]), int(path[0]))
        elif change.kind == "added":
            put[int(path[0])] = change.new
        else:
            moved[int(path[0])] = None
    for i, j in moved.items():
        if j is not None:
            inside = [
                deeper(each)
                for each in found
                if (each[0][1][0], each[0][0][0]) == (str(i), str(j))
                and (len(each[0][0]) > 1 or each[1].kind in {"changed", "moved"})
            ]
            put[j] = patched(old[i], inside)
    stay = [item for i, item in enumerate(old) if i not in moved]
    return [put[j] if j in put else stay.pop(0) for j in range(len(put) + len(stay))]


def deeper(each):
    (path, old_path), change = each
    return (path[1:], old_path[1:]), change


def apply(document, found):
    """The document with the changes made."""
    return patched(document, [((parts(c.path), parts(c.old_path or c.path)), c) for c in found])


def parts(path):
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


@law
@given(documents, documents)
def test_there_are_no_changes_only_between_equal_documents(old, new):
    assert (changes(old, new) == []) == (encode(old) == encode(new))
    assert changes(old, copy.deepcopy(old)) == []


@law
@given(documents, documents)
def test_the_changes_lead_from_the_old_document_to_the_new(old, new):
    assert encode(apply(old, changes(old, new))) == encode(new)


@law
@given(
    st.lists(st.sampled_from(charges), max_size=8), st.lists(st.sampled_from(charges), max_size=8)
)
def test_the_changes_of_a_list_of_objects_lead_there_too(old, new):
    assert encode(apply(old, changes(old, new))) == encode(new)


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


A, B, C = (
    {"lender": f"Bank {name}", "amount": amount}
    for name, amount in zip("ABC", (1, 2, 3), strict=True)
)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ([A, B], [B, C], [("removed", "/0", None), ("added", "/1", None)]),
        ([A], [C], [("removed", "/0", None), ("added", "/0", None)]),
        (list("abcdef"), list("acef"), [("removed", "/1", None), ("removed", "/3", None)]),
        ([A, B, C], [C, A, B], [("moved", "/0", "/2")]),
        ([A], [C, A | {"rank": 9}], [("added", "/0", None), ("added", "/1/rank", "/0/rank")]),
        ([{"id": 1, "x": 1}, B], [B, {"id": 1, "x": 2}], [("changed", "/1/x", "/0/x")]),
        ([{"id": 1, **A}], [{"id": 2, **A}], [("removed", "/0", None), ("added", "/0", None)]),
        ([[[0, 0], [0, 1], [1, 1]]], [[[0, 0], [0, 2], [1, 1]]], [("changed", "/0/1/1", None)]),
        ([[A], [B, C]], [[B], [A], [B, C]], [("added", "/0", None)]),
        (["Ada Lovelace"], ["Ada King"], [("changed", "/0", None)]),
        (["Ada"], ["Bo"], [("removed", "/0", None), ("added", "/0", None)]),
    ],
)  # fmt: skip
def test_items_of_lists_are_compared_as_what_they_are(old, new, found):
    assert [(each.kind, each.path, each.old_path) for each in changes(old, new)] == found


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_items_are_compared_in_any_order(count):
    items = [{"lender": f"Bank {n}", "amount": n} for n in range(count)]
    assert {change.kind for change in changes(items, items[::-1])} == {"moved"}
    other = [item | {"amount": -1} for item in items]
    assert len(changes(items, other)) == count


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
