"""Make text from a store safe to show: nothing in it may control the terminal, or hide.

Whatever could move the cursor, change the colour or reverse the reading direction becomes an
escape.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""The Unicode categories to show as escapes."""

RIGHT_TO_LEFT = {"R", "AL", "AN"}
"""The Unicode bidirectional classes of letters and digits that run from right to left."""


def printable(text: str) -> str:
    r"""Replace every hidden character by its Python escape, such as ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HIDDEN else char
        for char in text
    )


def complain(message: str, hint: str = "") -> None:
    """Print an error to stderr, and what to do about it."""
    with suppress(OSError):  # nobody reads it; the exit code says it as well
        sys.stderr.write(f"ledger: error: {printable(message)}\n")
        if hint:
            sys.stderr.write(f"ledger: hint: {printable(hint)}\n")
        sys.stderr.flush()


def isolated(text: str) -> str:
    """Keep a text that runs from right to left to itself, if stdout is a terminal.

    Without the marks (Unicode's bidirectional algorithm, UAX #9, isolates) two values of a line
    would be shown as one run, the new one before the old.
    """
    if text.isascii() or not sys.stdout.isatty():
        return text
    if any(unicodedata.bidirectional(char) in RIGHT_TO_LEFT for char in text):
        return f"\u2068{text}\u2069"
    return text


def json_text(
    value: Any, *, indent: int | None = None, spaced: bool = False, ascii_only: bool = False
) -> str:
    r"""Encode a value as JSON, with every hidden character as an escape such as ``\u001b``."""
    separators = None if indent or spaced else (",", ":")
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, separators=separators)
    text = text.replace("\x7f", "\\u007f")  # json escapes the other control characters itself
    if text.isascii():
        return text
    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and unicodedata.category(char) in HIDDEN else char
        for char in text
    )


def hush() -> None:
    """Send nothing more to stdout, not even at exit: nobody reads it, or the disk is full."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
