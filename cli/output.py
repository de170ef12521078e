"""What a person or a program reads: plain lines, JSON lines, colour and a pager on a terminal.

Text that comes from a store is data: whatever could move the cursor, change the colour or turn the
reading direction is shown as its escape.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import unicodedata
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from ledger import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger import Change, Entry, Keyring, Report

__all__ = [
    "change_json",
    "change_lines",
    "counting",
    "entry_json",
    "entry_lines",
    "pager",
    "print_json",
    "printable",
    "report_json",
    "report_lines",
    "signer_name",
    "style",
]

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""The Unicode categories that are shown as escapes."""

SHORT = 16


def printable(text: str) -> str:
    """The text with everything that a terminal would act on, or hide, as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HIDDEN else char
        for char in text
    )


def style(text: str, colour: str, *, bold: bool = False) -> str:
    """The text in a colour, on a terminal that wants colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return typer.style(text, fg=colour, bold=bold)


def print_json(value: dict[str, Any]) -> None:
    """One object on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def pager(lines: Iterable[str]) -> None:
    """Write the lines: through a pager on a terminal, as they come otherwise."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    if not sys.stdout.isatty() or not command or shutil.which(command[0]) is None:
        for line in lines:
            sys.stdout.write(line + "\n")
        return
    environment = {"LESS": "FRX"} | os.environ  # as git does: quit if it fits, keep colours
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603 -- the user's own pager
        assert process.stdin is not None  # noqa: S101 -- for the type checker
        with suppress(BrokenPipeError):  # the reader has seen enough
            process.stdin.writelines(f"{line}\n" for line in lines)
            process.stdin.close()


@contextmanager
def counting(what: str, *, quiet: bool) -> Iterator[Callable[[object], None]]:
    """Show on stderr how many there were so far, and how fast; only on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 -- slow to import, and seldom needed
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} " + what), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda _: progress.advance(task)


def signer_name(entry: Entry, keyring: Keyring) -> str:
    """Who signed, as people call them, with enough of the key id to tell them apart."""
    name = keyring.name(entry.ledger, entry.key)
    return f"{name} ({entry.key[:SHORT]})" if name else entry.key[:SHORT]


def entry_lines(entry: Entry, keyring: Keyring, *, head: bool = False) -> Iterator[str]:
    """An entry as ``git log`` would show it, without its document."""
    mark = style(" (HEAD)", typer.colors.CYAN) if head else ""
    yield style(f"entry {entry.address}", typer.colors.YELLOW) + mark
    yield f"Title:     {entry.title_number} version {entry.version}"
    yield f"Signer:    {printable(signer_name(entry, keyring))}"
    yield f"Recorded:  {entry.recorded_at}"
    if entry.effective_at is not None:
        yield f"Effective: {entry.effective_at}"
    if entry.reference:
        yield f"Reference: {printable(entry.reference)}"
    if entry.message:
        yield ""
        for line in entry.message.split("\n"):
            yield f"    {printable(line)}"


def change_lines(changes: Iterable[Change]) -> Iterator[str]:
    """The changes, a line each: ``+`` added, ``-`` removed, ``~`` changed."""
    for change in changes:
        path = printable(change.path or "/")
        match change.kind:
            case "added":
                yield style(f"+ {path}: {_value(change.new)}", typer.colors.GREEN)
            case "removed":
                yield style(f"- {path}: {_value(change.old)}", typer.colors.RED)
            case "changed":
                yield f"~ {path}: {_value(change.old)} -> {_value(change.new)}"


def _value(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False, sort_keys=True))


def change_json(change: Change) -> dict[str, Any]:
    """A change as an object; what was added has no ``old``, what was removed no ``new``."""
    values = {"old": change.old, "new": change.new}
    present = {name: value for name, value in values.items() if value is not ABSENT}
    return {"path": change.path, "kind": change.kind, **present}


def entry_json(entry: Entry, keyring: Keyring) -> dict[str, Any]:
    """An entry as an object: the members of the format, but not the document."""
    return {
        "address": entry.address,
        "title_number": entry.title_number,
        "version": entry.version,
        "parent": entry.parent,
        "recorded_at": entry.recorded_at,
        "effective_at": entry.effective_at,
        "message": entry.message,
        "reference": entry.reference,
        "key": entry.key,
        "key_name": keyring.name(entry.ledger, entry.key),
        "ledger": entry.ledger,
        "kind": entry.kind,
    }


def report_json(report: Report) -> dict[str, Any]:
    """A report as an object."""
    return {
        "outcome": report.outcome,
        "origin": report.origin,
        "titles": report.titles,
        "entries": report.entries,
        "findings": [
            {
                "severity": finding.severity,
                "slug": finding.slug,
                "object": finding.object_key,
                "message": finding.message,
            }
            for finding in report.findings
        ],
        "not_shown": list(report.not_shown),
    }


def report_lines(report: Report) -> Iterator[str]:
    """A report for people: what was found, the verdict, and what it does not say."""
    colours = {
        "tampering": typer.colors.RED,
        "unchecked": typer.colors.YELLOW,
        "warning": typer.colors.YELLOW,
    }
    for finding in report.findings:
        label = style(f"{finding.severity}: {finding.slug}", colours[finding.severity], bold=True)
        yield f"{label}: {printable(finding.message)}"
    entries = _count(report.entries, "entry")
    checked = f"{_count(report.titles, 'title')}, {entries}"
    match report.outcome:
        case "verified":
            verdict = style("verified", typer.colors.GREEN, bold=True)
            yield f"{verdict}: {checked} of {report.origin}"
        case "unchecked":
            verdict = style("not everything could be checked", typer.colors.YELLOW, bold=True)
            yield f"{verdict}; what could: {checked} of {report.origin}"
        case "tampered":
            verdict = style("NOT VERIFIED", typer.colors.RED, bold=True)
            yield f"{verdict}: {report.origin} is not as it was signed (sound: {entries})"
    for item in report.not_shown:
        yield f"not shown: {printable(item)}"


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"
