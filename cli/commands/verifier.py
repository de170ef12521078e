"""``ledger verifier``: the page that verifies in a browser."""

from __future__ import annotations

import sys
from importlib.resources import files

from cli import options


def verifier(
    *,
    as_json: options.JsonOption = False,  # noqa: ARG001 -- every command takes it
    quiet: options.QuietOption = False,
) -> None:
    """Write a page that verifies files in a browser.

    It is one HTML file that works offline. It is HTML, with or without --json.
    """
    page = (files("ledger") / "verifier.html").read_bytes()
    if not quiet:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
