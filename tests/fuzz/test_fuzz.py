"""Readers of foreign bytes refuse with an error of ours, or take what they would have written."""

from __future__ import annotations

import pytest

from tests.fuzz.noise import noise
from tests.fuzz.readers import READERS
from tests.fuzz.run import CASES, cases, feed, feed_all

every_reader = pytest.mark.parametrize("name", READERS)


@every_reader
def test_a_reader_takes_what_it_should(name: str) -> None:
    assert [feed(name, seed) for seed in READERS[name].seeds[:1]] == [True]


@every_reader
def test_what_went_wrong_once_does_so_no_more(name: str) -> None:
    feed_all(name, cases(name))


@every_reader
def test_noise_is_refused_or_read_as_it_would_be_written(name: str) -> None:
    count, accepted = feed_all(name, noise(READERS[name].seeds, f"1 {name}", 150))
    assert count > 150
    assert accepted < count


@pytest.mark.slow
@every_reader
def test_much_noise_is_refused_or_read_as_it_would_be_written(name: str) -> None:
    count = 1_000 if name == "imported_bundle" else 5_000  # it writes a ledger each time
    feed_all(name, noise(READERS[name].seeds, f"2 {name}", count))


def test_every_kept_case_has_its_reader() -> None:
    assert {path.name for path in CASES.iterdir() if path.is_dir()} <= READERS.keys()
