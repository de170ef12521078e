"""Reports: true only where everything was checked and held."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Finding, Report
from ledger.errors import IntegrityError
from ledger.format.report import finding_of
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

ORIGIN = "example.org/titles"


def finding(severity: str) -> Finding:
    return Finding(severity, "a-slug", "TN1/head.json", "TN1/head.json: why")


@pytest.mark.parametrize(
    ("severities", "outcome"),
    [
        ([], "verified"),
        (["warning"], "verified"),
        (["warning", "unchecked"], "unchecked"),
        (["unchecked"], "unchecked"),
        (["tampering"], "tampered"),
        (["mismatch", "unchecked", "warning"], "mismatch"),
        (["mismatch", "tampering"], "tampered"),
        (["unchecked", "tampering", "warning"], "tampered"),
    ],
)
def test_tampering_outranks_what_was_not_checked_and_that_outranks_a_warning(severities, outcome):
    report = Report(ORIGIN, findings=tuple(map(finding, severities)))
    assert report.outcome == outcome
    assert bool(report) == (outcome == "verified")


severities = st.sampled_from(["tampering", "unchecked", "warning"])
reports = st.builds(
    Report,
    st.just(ORIGIN),
    st.integers(0, 5),
    st.integers(0, 50),
    st.lists(severities.map(finding), max_size=3).map(tuple),
    st.lists(st.sampled_from(["one", "two", "three"]), max_size=2, unique=True).map(tuple),
)


@law
@given(st.lists(reports, max_size=6))
def test_a_merged_report_is_true_only_if_all_are_and_keeps_every_finding(parts):
    merged = Report.merge(ORIGIN, iter(parts))
    assert bool(merged) == all(parts)
    assert merged.titles == sum(part.titles for part in parts)
    assert merged.entries == sum(part.entries for part in parts)
    assert list(merged.findings) == [found for part in parts for found in part.findings]
    assert set(merged.not_shown) == {text for part in parts for text in part.not_shown}
    assert len(set(merged.not_shown)) == len(merged.not_shown)


def test_a_finding_reads_as_a_line():
    assert str(finding("tampering")) == "tampering: a-slug: TN1/head.json: why"


def test_a_report_pickles():
    report = Report(ORIGIN, 1, 3, (finding("warning"),), ("that",))
    assert pickle.loads(pickle.dumps(report)) == report


def test_a_finding_names_the_object_that_the_error_names_or_the_one_that_was_read():
    for named, expected in (("TN1/x.json", "TN1/x.json"), ("", "TN1/head.json")):
        error = IntegrityError("it is bent", reason="damaged", object_key=named)
        assert finding_of(error, "TN1/head.json").object_key == expected
