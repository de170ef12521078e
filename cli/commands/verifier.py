"""``ledger verifier``: the page that verifies in a browser."""

from __future__ import annotations

import sys
from importlib.resources import files

from cli.options import DebugOption, JsonOption, QuietOption


def verifier(
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a page that verifies files in a browser.

    It is one HTML file that works offline. It is HTML, with or without --json.
    """
    page = (files("ledger") / "verifier.html").read_bytes()
    if not quiet:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
