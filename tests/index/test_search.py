"""Searching an index: words, beginnings, references, places in a document."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import InvalidError
from ledger.index import Index
from ledger.testing import memory_ledger
from tests.index.helpers import found, rows, update
from tests.laws import examples

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Ledger


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, Path]:
    """A few titles, and their index."""
    ledger, path = memory_ledger(), tmp_path_factory.mktemp("index") / "index.sqlite"
    ledger.append("TN1", {"owner": {"name": "Ada Lovelace"}}, effective_at="2010", reference="A/1")
    ledger.append(
        "TN1",
        {"proprietors": [{"name": "Bob"}, {"name": "Zoë O'Neill"}], "price": 250000, "sold": True},
        effective_at="2020-05-01",
        reference="A/2-7 (b)",
    )
    ledger.append(
        "TN10", {"proprietors": [{"name": "bob"}], "address": "12 High Street", "m2": 7.5}
    )
    ledger.append(
        "NGL-7", {"a/b": {"~": ["x", {"name": "Bob"}]}, "*": None, "note": 'say "or" NOT'}
    )
    update(ledger, path)
    return ledger, path


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, Path]:
    """Titles with words that differ in case, in ways that the alphabet of English does not."""
    ledger, path = memory_ledger(), tmp_path_factory.mktemp("index") / "index.sqlite"
    for number, name in enumerate(
        ["Straße 5", "STRASSE 5", "Οδος", "ΟΔΟΣ", "İstanbul", "ISTANBUL", "\u0131sparta"], 1
    ):
        ledger.append(f"N{number}", {"name": name})
    update(ledger, path)
    return ledger, path


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("STRASSE", ["N1", "N2"]),
        ("straße", ["N1", "N2"]),
        ("STRAẞE 5", ["N1", "N2"]),
        ("Straß*", ["N1", "N2"]),
        ("οδος", ["N3", "N4"]),
        ("ΟΔΟΣ", ["N3", "N4"]),
        ("istanbul", ["N5", "N6"]),
        ("İSTANBUL", ["N5", "N6"]),
        ("\u0131sparta", ["N7"]),
    ],
)
def test_case_is_folded_as_unicode_does_it(
    streets: tuple[Ledger, Path], asked: str, expected: list[str]
) -> None:
    assert [title for title, _ in found(*streets, asked)] == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bob", ["NGL-7", "TN1", "TN10"]),
        ("BOB  high", ["TN10"]),
        ("street High 12", ["TN10"]),
        ("zoe", ["TN1"]),
        ("o'neill", ["TN1"]),
        ("neil", []),
        ("neil*", ["TN1"]),
        ("ada", []),
        ("250000", ["TN1"]),
        ("7.5", ["TN10"]),
        ("tn1", ["TN1", "TN10"]),
        (" t n 1 0 ", ["TN10"]),
        ("ngl-7", ["NGL-7"]),
        ("ngl", ["NGL-7"]),
        ("A/2-7", ["TN1"]),
        ('"or" NOT', ["NGL-7"]),
        ("say or bob", ["NGL-7"]),
        ("words: high", []),
        ("NEAR(bob, high)", []),
        ("-bob", ["NGL-7", "TN1", "TN10"]),
        ("^bob + * {bob}", ["NGL-7", "TN1", "TN10"]),
        ("proprietors", []),
        ("true", []),
    ],
)
def test_all_words_in_any_order_or_how_a_number_begins(
    register: tuple[Ledger, Path], asked: str, expected: list[str]
) -> None:
    assert [title for title, _ in found(*register, asked)] == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("/proprietors/*/name=Bob", ["TN1"]),
        ("/proprietors/0/name=Bob", ["TN1"]),
        ("/proprietors/1/name=Bob", []),
        ("/proprietors/01/name=Bob", []),
        ("/proprietors/-1/name=bob", []),
        ("/proprietors/*/name=Zoë O'Neill", ["TN1"]),
        ("/proprietors/*/name=Zoe O'Neill", []),
        ("/*/*/name=Bob", ["TN1"]),
        ("/a~1b/~0/1/name=Bob", ["NGL-7"]),
        ("/a~1b/*/*/name=Bob", ["NGL-7"]),
        ("/price=250000", ["TN1"]),
        ("/m2=7.5", ["TN10"]),
        ("/sold=true", ["TN1"]),
        ("/*=null", ["NGL-7"]),
        ('/note=say "or" NOT', ["NGL-7"]),
        ("/address=12 High", []),
        ("/owner/name=Ada Lovelace", []),
        ("/a=b=c", []),
    ],
)
def test_the_whole_value_at_a_place(
    register: tuple[Ledger, Path], asked: str, expected: list[str]
) -> None:
    assert [title for title, _ in found(*register, path=asked)] == expected


def test_what_is_asked_together_is_all_true(register: tuple[Ledger, Path]) -> None:
    assert found(*register, "bob", path="/price=250000") == [("TN1", 2)]
    assert found(*register, "bob", reference="A/1", every_version=True) == []
    assert found(*register, "ada", effective="2015-01-01") == [("TN1", 1)]
    assert found(*register, path="/owner/name=Ada Lovelace", effective="2015-01-01") == [("TN1", 1)]
    assert found(*register, reference="A/1", every_version=True) == [("TN1", 1)]
    assert found(*register, reference="A/1") == []
    assert found(*register, "bob", effective="2015-01-01") == []


def test_pages_go_on_where_the_last_one_ended(register: tuple[Ledger, Path]) -> None:
    assert found(*register, "bob", limit=2) == [("NGL-7", 1), ("TN1", 2)]
    assert found(*register, "bob", limit=2, after="TN1") == [("TN10", 1)]


def test_what_is_found_is_what_was_registered(register: tuple[Ledger, Path]) -> None:
    ledger, path = register
    (one,) = Index(ledger, path).find("zoe")
    entry = ledger.head("TN1")
    for name in ("address", "recorded_at", "effective_at", "reference", "part", "key", "document"):
        assert getattr(one, name) == getattr(entry, name)
    assert (one.erased_by, one.standing) == (None, "")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"text": "  "},
        {"text": '" - *'},
        {"path": "name=Ada"},
        {"path": "/name"},
        {"text": "bob", "effective": "2020"},
        {"text": "bob", "effective": "2020-01-01", "every_version": True},
    ],
    ids=str,
)
def test_what_cannot_be_asked(register: tuple[Ledger, Path], asked: Any) -> None:
    with pytest.raises(InvalidError):
        found(*register, **asked)


texts = st.text(max_size=30) | st.text("\"*()^-+:{}'\\ \0aNOT", max_size=20)


@settings(
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts, texts)
def test_no_text_is_syntax(register: tuple[Ledger, Path], text: str, value: str) -> None:
    for asked in ({"text": text}, {"path": f"/name={value}"}, {"reference": text}):
        with suppress(InvalidError):  # there is nothing to look for
            found(*register, **asked)


words = st.sampled_from(["ada", "Bob", "HIGH", "street", "12", "Zoë"])
documents = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.one_of(words, st.lists(words, max_size=2), st.dictionaries(st.just("n"), words)),
    max_size=2,
)


@settings(
    deadline=None,
    max_examples=examples(15),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(documents, min_size=1, max_size=2), max_size=4), words, words)
def test_the_results_are_those_of_reading_everything(
    tmp_path: Path, titles: list[list[Any]], one: str, other: str
) -> None:
    ledger, path = memory_ledger(), tmp_path / "index.sqlite"
    path.unlink(missing_ok=True)
    for number, versions in enumerate(titles):
        for document in versions:
            ledger.append(f"TN{number}", document)
    update(ledger, path)

    def strings(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value.lower()]
        return [
            s
            for each in (value.values() if isinstance(value, dict) else value)
            for s in strings(each)
        ]

    heads = [ledger.head(title) for title in ledger.titles()]
    read = [head for head in heads if {one.lower(), other.lower()} <= {*strings(head.document)}]
    assert found(ledger, path, f"{one} {other}") == [(e.title_number, e.version) for e in read]
    at = [head for head in heads if head.document.get("a") == one]
    assert found(ledger, path, path=f"/a={one}") == [(e.title_number, e.version) for e in at]


def test_the_registrations_of_several_titles(tmp_path: Path) -> None:
    from ledger.titles.draft import Draft

    ledger, path = memory_ledger(), tmp_path / "index.sqlite"
    for number in (1, 2):
        ledger.submit(Draft(f"TN{number}", {}, reference="SPLIT 1", part=(number, 3)))
    update(ledger, path)
    assert rows(path, "SELECT * FROM registrations") == [("SPLIT 1", 3, 2, 0, "TN1 TN2")]
    ledger.submit(Draft("TN3", {}, reference="SPLIT 1", part=(3, 3)))
    update(ledger, path)
    assert rows(path, "SELECT * FROM registrations") == [("SPLIT 1", 3, 3, 1, "TN1 TN2 TN3")]
