"""Print for people and programs: plain lines, JSON lines, and colour and a pager on a terminal."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from cli.terminal.text import hush, isolated, json_text, printable
from ledger.errors import LedgerError
from ledger.format.entry import KINDS, OPEN
from ledger.format.standing import FALLEN, STANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger import Entry, Finding, Keyring, Report, Stand

SHORT = 16
KEY_IN_MESSAGE = re.compile(r"\b([0-9a-f]{16})…")

ROOM = 72
"""Characters for what was not checked, in the one line that names it."""


def style(text: str, colour: str, *, bold: bool = False) -> str:
    """Colour a text, if stdout is a terminal and NO_COLOR is not set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return typer.style(text, fg=colour, bold=bold)


def note(text: str) -> None:
    """Tell people, on stderr, of something that is no error."""
    with suppress(OSError):  # nobody reads it
        sys.stderr.write(f"ledger: note: {printable(text)}\n")


def print_json(value: dict[str, Any]) -> None:
    """Print an object on one line, in ASCII if the output can't encode more."""
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json_text(value, ascii_only=not unicode) + "\n")


@contextmanager
def until_closed() -> Iterator[None]:
    """Carry on when nobody reads the output any more (| head), for the sake of the exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        hush()


class OutputCutOffError(LedgerError):
    """Whoever read the output went away before all of it was written."""

    slug = "output-cut-off"
    exit_code = 74


@contextmanager
def whole_output() -> Iterator[BinaryIO]:
    """Give stdout for data that is worth nothing unless all of it arrives, and flush it.

    Raises OutputCutOffError if the reader goes away: half a backup must not look like success.
    """
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        hush()
        raise OutputCutOffError(
            "the output was cut off: its reader went away before the end"
        ) from error


def pager(lines: Iterable[str]) -> None:
    """Write lines, through a pager if stdout is a terminal."""
    command = _pager_command()
    if not command:
        for line in lines:
            sys.stdout.write(line + "\n")
        return
    import subprocess  # noqa: PLC0415 -- only on a terminal

    environment = {
        "LESS": "FRX"
    } | os.environ  # as git sets it: quit if it fits on the screen, keep colours
    with subprocess.Popen(  # noqa: S603 -- the user's own pager
        command,
        stdin=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    ) as process:
        assert process.stdin is not None  # noqa: S101 -- for the type checker
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's, as in git
        try:
            with suppress(BrokenPipeError):  # the reader has seen enough
                process.stdin.writelines(f"{line}\n" for line in lines)
                process.stdin.close()
            process.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def _pager_command() -> list[str]:
    """Return the pager's command line; empty if no pager is wanted or installed."""
    if not sys.stdout.isatty():
        return []
    import shlex  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    try:
        command = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:  # a quote without its end
        return []
    return command if command and shutil.which(command[0]) else []


@contextmanager
def counting(what: str, *, quiet: bool) -> Iterator[Callable[[object], None]]:
    """Show a count and the time on stderr, if it is a terminal; the result adds one."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 -- slow to import, and seldom needed
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    # Output goes to stdout, not into the progress.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(what, total=None)

        def count(_: object) -> None:
            done = int(progress.tasks[0].completed) + 1
            progress.update(task, completed=done, description=f"{what}: {done:,}")

        yield count


def working(what: str, *, quiet: bool) -> AbstractContextManager[object]:
    """Show on stderr that work is under way, and for how long, if it is a terminal."""
    return counting(what, quiet=quiet)


def signer_name(entry: Entry, keyring: Keyring) -> str:
    """Return the signer's name in the keyring with the start of the key id, or just the latter."""
    name = keyring.name(entry.ledger, entry.key)
    return f"{name} ({entry.key[:SHORT]})" if name else entry.key[:SHORT]


def entry_lines(
    entry: Entry, keyring: Keyring, *, head: bool = False, stand: Stand = STANDS
) -> Iterator[str]:
    """Yield the lines of an entry, without its document, in the style of ``git log``."""
    mark = style(" (HEAD)", typer.colors.CYAN) if head else ""
    yield style(f"entry {entry.address}", typer.colors.YELLOW) + mark + stand_mark(stand)
    yield f"Title:     {entry.title_number} version {entry.version}"
    for name, value in _facts(entry, keyring):
        if value:
            yield f"{name + ':':<10} {isolated(printable(value))}"
    if entry.is_withheld or entry.message:
        yield ""
        for line in ERASED if entry.is_withheld else entry.message.split("\n"):
            yield f"    {isolated(printable(line))}"


def stand_mark(stand: Stand) -> str:
    """Return how an entry stands, in brackets after a blank; empty if it simply counts."""
    if not stand.words:
        return ""
    return style(f" ({stand.words})", typer.colors.CYAN if stand.stands else typer.colors.RED)


ERASED = ("(its text is erased)",)
"""What stands in place of the message of an entry without its text."""


def _facts(entry: Entry, keyring: Keyring) -> Iterator[tuple[str, str]]:
    """Yield what there is to know of an entry, each with its name; what is empty goes unsaid."""
    until = f"until {entry.effective_until}" if entry.effective_until else ""
    yield "Signer", signer_name(entry, keyring)
    yield "Author", entry.author
    yield "Recorded", entry.recorded_at
    yield "Effective", f"{entry.effective_at or ''} {until}".strip()
    yield "Reference", entry.reference
    yield "Part", "{} of {}".format(*entry.part) if entry.part != (1, 1) else ""
    yield "Kind", entry.kind if entry.kind != KINDS[0] else ""
    yield "Status", entry.status if entry.status != OPEN else ""
    yield "Erases", ", ".join(f"version {version}" for version in entry.erases)
    yield "Confirms", ", ".join(f"version {version}" for version in entry.confirms)
    yield "Voids", ", ".join(f"version {version}" for version in entry.voids)


def document_lines(document: dict[str, Any]) -> list[str]:
    """Return the lines of a document as indented JSON."""
    return json_text(document, indent=2).split("\n")


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for each finding."""
    colours = {
        "tampering": typer.colors.RED,
        "mismatch": typer.colors.RED,
        "unchecked": typer.colors.YELLOW,
        "warning": typer.colors.YELLOW,
    }
    for finding in findings:
        label = style(f"{finding.severity}: {finding.slug}", colours[finding.severity], bold=True)
        yield f"{label}: {printable(finding.message)}"


def report_lines(report: Report, *, verbose: bool = False, new: bool = False) -> Iterator[str]:
    """Yield the lines of a report: findings, verdict, and what was not checked.

    ``new``: the entries are those that no earlier verification had seen.
    """
    yield from finding_lines(report.findings)
    entries = counted(report.entries, "new entry" if new else "entry")
    checked = f"{counted(report.titles, 'title')}, {entries}"
    match report.outcome:
        case "verified":
            verdict = style("verified", typer.colors.GREEN, bold=True)
            yield f"{verdict}: {checked} of {report.origin}"
        case "unchecked":
            verdict = style("not everything could be checked", typer.colors.YELLOW, bold=True)
            yield f"{verdict}; what could: {checked} of {report.origin}"
        case "mismatch":
            verdict = style("NOT WHAT YOU REMEMBER", typer.colors.RED, bold=True)
            what = report.origin or "this"
            yield f"{verdict}: {what} lacks an address that was pinned (sound: {entries})"
        case "tampered":
            verdict = style("NOT VERIFIED", typer.colors.RED, bold=True)
            what = report.origin or "this"
            yield f"{verdict}: {what} is not as it was signed (sound: {entries})"
    for key in dict.fromkeys(filter(None, map(_key_to_settle, report.findings))):
        yield f"to settle what it signed: ledger settle {key}"
    yield from not_checked_lines(report, verbose=verbose)


def _key_to_settle(finding: Finding) -> str:
    """Return the key in the message of an entry that has to be settled, or ""."""
    found = KEY_IN_MESSAGE.search(finding.message) if finding.slug in FALLEN else None
    return found[1] if found else ""


def not_checked_lines(report: Report, *, verbose: bool) -> Iterator[str]:
    """Yield what a report did not check: in full, or in one line that names as much as it holds.

    Begins with the last: what every verification lacks is noted first.
    """
    items = [printable(item) for item in report.not_shown]
    if verbose:
        yield from (f"not checked: {item}" for item in items)
        return
    named: list[str] = []
    for item in reversed(items):
        short = cut(re.split(r": | \(", item, maxsplit=1)[0], ROOM)
        if not named or len("; ".join([*named, short])) <= ROOM:
            named.append(short)
    if items:
        more = len(items) - len(named)
        listed = "; ".join([*named, f"and {more:,} more"] if more else named)
        yield f"not checked: {listed}" + ("" if set(named) == set(items) else " (-v explains)")


def cut(text: str, most: int) -> str:
    """Cut a text that has more characters, and mark that by an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 entry``, ``1,200 titles``."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    plural = plural.replace("leafs", "leaves")
    return f"{number:,} {noun if number == 1 else plural}"
