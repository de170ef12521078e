"""Revisions, as in git."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.format.revision import Revision, parse_revision
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        ("HEAD", Revision()),
        ("@", Revision()),
        ("HEAD~", Revision(back=1)),
        ("HEAD^", Revision(back=1)),
        ("HEAD~2", Revision(back=2)),
        ("HEAD^^", Revision(back=2)),
        ("HEAD~0", Revision()),
        ("HEAD~1~2^", Revision(back=4)),
        ("@~3", Revision(back=3)),
        ("v1", Revision(version=1)),
        ("v12~2", Revision(version=12, back=2)),
        ("81be", Revision(prefix="81be")),
        ("1234", Revision(prefix="1234")),
        ("a" * 64, Revision(prefix="a" * 64)),
        ("81be04aa^", Revision(prefix="81be04aa", back=1)),
        ("@{2026-01-01}", Revision(time=NEW_YEAR)),
        ("@{2026-01-01T01:00:00+01:00}", Revision(time=NEW_YEAR)),
        ("@{2026-01-01}~1", Revision(time=NEW_YEAR, back=1)),
    ],
)
def test_revisions(text, revision):
    assert parse_revision(text) == revision


@pytest.mark.parametrize(
    "text",
    [
        "",
        "head",
        "Head",
        "HEAD ",
        "HEAD\n",
        " HEAD",
        "HEAD~x",
        "HEAD~-1",
        "HEAD^2",
        "HEAD~1234567890",
        "HEAD~²",
        "HEAD..HEAD",
        "v0",
        "v",
        "v-1",
        "v01",
        "V1",
        "v٣",
        "v12345678901234567",
        "81b",
        "81BE04AA",
        "81be04ag",
        "a" * 65,
        "@{}",
        "@{yesterday}",
        "@{2026-02-30}",
        "@{2026-01-01",
        "@2026-01-01",
        "HEAD@{2026-01-01}",
        "~1",
        "../HEAD",
        "\ud800",
    ],
)
def test_what_is_no_revision_is_refused(text):
    with pytest.raises(InvalidError) as caught:
        parse_revision(text)
    assert caught.value.hint


@law
@given(st.lists(st.just(("^", 1)) | st.integers(0, 99).map(lambda n: (f"~{n}", n)), max_size=5))
def test_steps_back_add_up(steps):
    text = "HEAD" + "".join(spelled for spelled, _ in steps)
    assert parse_revision(text).back == sum(count for _, count in steps)


@law
@given(st.text(alphabet="HEAD@v019af~^{}-T:Z", max_size=20))
def test_any_text_is_a_revision_or_refused(text):
    try:
        revision = parse_revision(text)
    except InvalidError:
        return
    named = [revision.version, revision.prefix, revision.time]
    assert sum(name is not None for name in named) <= 1
    assert revision.back >= 0
