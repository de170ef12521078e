"""Print what changed between two documents, a line for each field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer

from cli.terminal.output import style
from cli.terminal.text import isolated, json_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger import Change

LONG = 80
"""Of texts with more characters, only the part that differs is shown."""

AROUND = 24
"""Characters shown before and after that part."""

MOST_PAIRS = 4_000_000
"""Pairs of words that are compared at most; that takes a second or two."""


def change_lines(changes: Iterable[Change], *, words: bool = False) -> Iterator[str]:
    """Yield a line for each change: ``+`` added, ``-`` removed, ``~`` changed or moved.

    ``words``: mark the words that differ within a text, as ``git diff --word-diff`` does.
    """
    for change in changes:
        path = printable(change.path or "/")
        if change.kind == "moved":
            moved = f"~ {path}: moved from {printable(change.old_path or '')}"
            yield style(moved, typer.colors.YELLOW)
            continue
        if change.old_path is not None:
            path += f" (was {printable(change.old_path)})"
        match change.kind:
            case "added":
                yield style(f"+ {path}: {_value(change.new)}", typer.colors.GREEN)
            case "removed":
                yield style(f"- {path}: {_value(change.old)}", typer.colors.RED)
            case "changed":
                yield style(f"~ {path}:", typer.colors.YELLOW) + f" {_changed(change, words=words)}"


def _value(value: object) -> str:
    return isolated(json_text(value, spaced=True))


def _changed(change: Change, *, words: bool) -> str:
    old, new = change.old, change.new
    if not isinstance(old, str) or not isinstance(new, str):
        return f"{_value(old)} -> {_value(new)}"
    pieces = words and _by_words(old, new)
    return pieces or " -> ".join(_around(old, new))


def _around(old: str, new: str) -> Iterator[str]:
    """Yield both texts, without what long ones have in common far from where they differ."""
    start = end = 0
    if max(len(old), len(new)) > LONG:
        start = _same(old, new)
        end = max(_same(old[start:][::-1], new[start:][::-1]) - AROUND, 0)
        start = max(start - AROUND, 0)
    for text in old, new:
        shown = _value(text[start : len(text) - end])
        yield ("…" if start else "") + shown + ("…" if end else "")


def _same(old: str, new: str) -> int:
    """Return with how many characters both begin."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))


def _by_words(old: str, new: str) -> str:
    """Return one text in which words are marked as removed or added; empty if that takes long."""
    from difflib import SequenceMatcher  # noqa: PLC0415 -- only if asked for

    before, after = (re.findall(r"\w+|\s+|.", text) for text in (old, new))
    if len(before) * len(after) > MOST_PAIRS:
        return ""
    shown = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, *(a, b, c, d) in matcher.get_opcodes():
        gone, come = (json_text("".join(part))[1:-1] for part in (before[a:b], after[c:d]))
        if kind == "equal":
            shown.append(gone)
            continue
        shown.append(style(f"[-{gone}-]", typer.colors.RED) if gone else "")
        shown.append(style(f"{{+{come}+}}", typer.colors.GREEN) if come else "")
    return isolated(f'"{"".join(shown)}"')
