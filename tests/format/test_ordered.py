"""The join of sorted sources: nothing lost, nothing twice, everything in its place."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import IntegrityError
from ledger.format.ordered import in_order, join, sort_key
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

titles = st.text("A-_019", min_size=1, max_size=3).filter(lambda text: text[0] not in "-_")
sources = st.dictionaries(titles, st.integers()).map(
    lambda found: sorted(found.items(), key=lambda pair: f"{pair[0]}/")
)


def swapped(joined):
    return [(title, right, left) for title, left, right in joined]


@law
@given(sources, sources)
def test_a_join_has_every_title_once_with_the_items_of_both(left, right):
    joined = list(join(left, right))
    named = [title for title, _, _ in joined]
    assert named == sorted({*dict(left), *dict(right)}, key=lambda title: f"{title}/")
    assert joined == [(title, dict(left).get(title), dict(right).get(title)) for title in named]


@law
@given(sources, sources)
def test_a_join_is_the_same_from_either_side(left, right):
    assert swapped(join(left, right)) == list(join(right, left))


@law
@given(sources)
def test_a_join_with_nothing_changes_nothing(source):
    assert [(title, item) for title, item, _ in join(source, [])] == source
    assert list(join(source, source)) == [(title, item, item) for title, item in source]


@law
@given(sources, sources, sources)
def test_joins_nest(one, two, three):
    both = ((title, items) for title, *items in join(one, two))
    assert list(in_order((title, ()) for title, _, _ in join(both, three))) == [
        (title, ()) for title in sorted({*dict(one), *dict(two), *dict(three)}, key=sort_key)
    ]


@law
@given(sources, sources)
def test_a_group_can_be_used_before_the_next_one_is_read(left, right):
    rows = [(title, count) for title, _ in left for count in range(2)]
    groups = groupby(rows, key=lambda row: row[0])
    for title, group, _ in join(groups, right):
        assert [row[1] for row in group or ()] == ([0, 1] if title in dict(left) else [])


@law
@given(sources.filter(lambda source: len(source) > 1), sources, st.randoms())
def test_titles_out_of_order_are_refused_on_either_side(source, other, random):
    mixed = [*source, random.choice(source)]
    random.shuffle(mixed)
    for pair in ((mixed, other), (other, mixed)):
        with pytest.raises(IntegrityError, match="titles out of order: "):
            list(join(*pair))


def test_what_comes_before_the_disorder_is_passed_on():
    joined = join([("A", 1), ("C", 3), ("B", 2)], [("B", 0)])
    assert next(joined) == ("A", 1, None)
    assert next(joined) == ("B", None, 0)
    with pytest.raises(IntegrityError, match="titles out of order: B after C"):
        list(joined)


def test_titles_are_sorted_as_their_keys_are_listed():
    assert sorted(["A", "A1", "A-1", "B", "A_"], key=sort_key) == ["A-1", "A", "A1", "A_", "B"]


@law
@given(titles, titles)
def test_the_order_of_titles_is_that_of_their_keys(one, other):
    keys = [f"{title}/head.json" for title in (one, other)]
    assert (sort_key(one) < sort_key(other)) == (keys[0] < keys[1])
