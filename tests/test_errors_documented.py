"""docs/reference/errors.md has a row for every class of errors, and the row is true."""

from __future__ import annotations

import re

import pytest

from ledger import errors
from tests.test_docs import ROOT

PAGE = ROOT / "docs" / "reference" / "errors.md"
ROW = re.compile(
    r"^\| `([a-z-]+)` \| `(\w+)` \| ([0-9]+) \| ([0-9]+) \| (.+) \| (.+) \|$", re.MULTILINE
)
ROWS = {match[2]: match.groups() for match in ROW.finditer(PAGE.read_text())}


def test_every_class_has_a_row_in_the_order_of_the_module() -> None:
    classes = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.LedgerError)
    ]
    assert list(ROWS) == classes


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_true(name: str) -> None:
    error = getattr(errors, name)
    slug, _, exit_code, status, meaning, remedy = ROWS[name]
    assert (slug, int(exit_code), int(status)) == (error.slug, error.exit_code, error.http_status)
    assert meaning.strip()
    assert remedy.strip()
