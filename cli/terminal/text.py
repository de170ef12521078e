"""Text that comes from a store is data: nothing in it may act on a terminal, or hide.

Whatever could move the cursor, change the colour or turn the reading direction is shown as its
escape.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any

__all__ = ["hush", "json_text", "printable"]

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""The Unicode categories that are shown as escapes."""


def printable(text: str) -> str:
    r"""The text with every hidden character as its Python escape: ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HIDDEN else char
        for char in text
    )


def json_text(
    value: Any, *, indent: int | None = None, spaced: bool = False, ascii_only: bool = False
) -> str:
    r"""The JSON text of a value with every hidden character as its JSON escape: ``\u001b``."""
    separators = None if indent or spaced else (",", ":")
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, separators=separators)
    text = text.replace("\x7f", "\\u007f")  # all control characters below it have gone
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
