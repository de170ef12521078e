"""One browser for all tests of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.verifier.page import HTML, OFFLINE, Page, start

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page as ``ledger verifier`` writes it, in a browser that is offline."""
    file = tmp_path_factory.mktemp("verifier") / "verify.html"
    file.write_bytes(HTML)
    for chrome in start(tmp_path_factory.mktemp("chromium"), OFFLINE):
        yield Page(chrome, file)
