"""``ledger log``: show the history of a title, or of all titles."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cli import options
from cli.session import find_title, note_in_force, open_ledger
from cli.terminal.changes import change_lines
from cli.terminal.formats import check_format, format_entry
from cli.terminal.output import cut, entry_lines, pager, print_json, signer_name, stand_mark, style
from cli.terminal.text import printable
from ledger import Change, Entry, Erased, Ledger
from ledger.format.diff import change_json, changes
from ledger.format.entry import CLOSED, entry_json
from ledger.format.standing import stand_members
from ledger.format.times import as_bound, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.format.standing import Judged

Step: TypeAlias = "tuple[Judged, Entry | None]"
"""An entry, with how it stands, and its parent, to show what changed."""

LONG = 72
"""Characters of a message in a line, at most."""


@dataclass(frozen=True)
class Form:
    """How entries are shown."""

    oneline: bool
    template: str | None
    words: bool
    as_json: bool
    quiet: bool

    @property
    def has_changes(self) -> bool:
        """Whether it shows what changed, so that parents have to be read."""
        return not self.oneline and self.template is None


def log(
    title_number: Annotated[
        str | None,
        typer.Argument(
            metavar="TITLE",
            help="A title number; without it, all titles.",
            autocompletion=options.complete_title,
        ),
    ] = None,
    revision: options.RevisionArgument = "HEAD",
    *,
    oneline: Annotated[bool, typer.Option("--oneline", help="Print one line per entry.")] = False,
    template: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="Print '%h %v %s', or any '%(NAME)' of --json."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("-n", metavar="COUNT", min=0, help="Show at most COUNT entries.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Show the oldest first.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DATE", help="Recorded on DATE or later; days begin at 00:00 UTC."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="DATE", help="Recorded on DATE or earlier, that day included."
        ),
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option("--signer", metavar="TEXT", help="TEXT is in the signer's name, or the key."),
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="TEXT", help="TEXT is in the author's name.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="With this reference.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="Without TITLE: find the entries by the log, the index or the titles.",
        ),
    ] = None,
    word_diff: options.WordsOption = False,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show the history of a title, or of all titles, newest first.

    Shows who signed what, when and why, and what changed, and which entries are void or don't
    stand, by the trust files. A note says so if another version than the newest is in force today.
    Exits with 20 if the history is broken;
    'ledger verify' says more.

    Without TITLE, goes by the log if there is one, or else by the index, or else by all titles, and
    says what is not among them. It leaves out what changed.
    """
    form = Form(oneline, template, word_diff, as_json, quiet)
    _check(form, title_number, source, is_unbounded=reverse and limit is None)
    first, last = _moment(since), _moment(until)
    with open_ledger(store) as ledger:

        def is_wanted(entry: Entry) -> bool:
            return (
                entry.recorded_at >= first
                and (not last or entry.recorded_at[: len(last)] <= last)
                and (reference is None or entry.reference == reference)
                and (signer is None or _is_signed_by(entry, signer, ledger))
                and (author is None or _is_asked_by(entry, author))
            )

        def say_more() -> None:
            if head and revision == "HEAD":
                note_in_force(ledger, head)

        head: Entry | None = None
        if title_number is None:
            from cli.histories import Asked, read_all  # noqa: PLC0415 -- slow to load

            asked = Asked(is_wanted, first, last, reference)
            entries, say_more = read_all(ledger, asked, source or "", quiet=quiet)
            steps: Iterable[Step] = ((each, None) for each in entries)
        else:
            title_number, revision = find_title(ledger, title_number, revision)
            head = ledger.head(title_number)
            most = head.version if limit is None else limit + form.has_changes
            many = 1 if first else most
            entries = ledger.history.judged_log(title_number, revision, head, many)
            steps = _with_parents(entries) if form.has_changes else ((e, None) for e in entries)
            # Times never go back along a chain.
            recent = takewhile(lambda step: step[0][0].recorded_at >= first, steps)
            steps = (step for step in recent if is_wanted(step[0][0]))
        chosen: Iterable[Step] = islice(steps, limit)
        _show(list(chosen)[::-1] if reverse else chosen, form, ledger, head)
        if not quiet:
            say_more()


def _check(form: Form, title_number: str | None, source: str | None, *, is_unbounded: bool) -> None:
    """Refuse options that don't go together."""
    if form.template is not None:
        check_format(form.template)
        if form.oneline or form.as_json:
            raise typer.BadParameter("--format can't be used with --oneline or --json")
    if title_number is not None and source is not None:
        raise typer.BadParameter("--from is for all titles, so it can't be used with TITLE")
    if source not in {None, "log", "index", "titles"}:
        raise typer.BadParameter(f"--from is 'log', 'index' or 'titles', not {source!a:.40}")
    if title_number is None and form.words:
        raise typer.BadParameter("--word-diff needs TITLE")
    if title_number is None and is_unbounded:
        raise typer.BadParameter(
            "--reverse needs TITLE or -n: 'ledger changes' begins with the oldest of all"
        )


def _moment(date: str | None) -> str:
    """Return a date, or a time as entries have it; "" for none."""
    bound = None if date is None else as_bound(date)
    if bound is None:
        return ""
    return bound.day.isoformat() if bound.instant is None else format_time(bound.instant)


def _is_signed_by(entry: Entry, text: str, ledger: Ledger) -> bool:
    name = ledger.keyring.name(entry.ledger, entry.key) or ""
    return text.casefold() in name.casefold() or entry.key.startswith(text.lower())


def _is_asked_by(entry: Entry, text: str) -> bool:
    return not entry.is_withheld and text.casefold() in entry.author.casefold()


def _with_parents(entries: Iterator[Judged]) -> Iterator[Step]:
    """Pair each entry with the one before it; reads one entry ahead."""
    entry = next(entries, None)
    while entry is not None:
        parent = next(entries, None)
        yield entry, parent and parent[0]
        entry = parent


def _order(ledger: Ledger, entry: Entry) -> Erased:
    """Return the error that names the order by which a text was erased."""
    try:
        ledger.history.read_text(entry)
    except Erased as error:
        return error
    raise AssertionError(entry)


def _changes(entry: Entry, parent: Entry | None) -> list[Change] | None:
    """Return what an entry changed; None if its text, or that of its parent, is erased."""
    if entry.is_withheld or (parent is not None and parent.is_withheld):
        return None
    return changes(parent.document if parent else {}, entry.document)


# -- Show ------------------------------------------------------------------------------------------


def _show(steps: Iterable[Step], form: Form, ledger: Ledger, head: Entry | None) -> None:
    """Print the entries; ``head`` is that of their title, or None if they are of all titles."""
    if form.as_json:
        for step in steps:
            _print_json(step, form, ledger, head)
    elif form.quiet:
        deque(steps, maxlen=0)  # reading checks the entries
    else:
        pager(line for step in steps for line in _lines(step, form, ledger, head))


def _print_json(step: Step, form: Form, ledger: Ledger, head: Entry | None) -> None:
    (entry, stand), parent = step
    shown = entry_json(entry, ledger.keyring) | stand_members(stand)
    if entry.is_withheld:
        order = _order(ledger, entry)
        shown["erased"] = {"version": order.version, "reference": order.reference}
    if form.has_changes and head:
        found = _changes(entry, parent)
        shown["changes"] = found and [change_json(c) for c in found]
    print_json(shown)


def _lines(step: Step, form: Form, ledger: Ledger, head: Entry | None) -> Iterator[str]:
    (entry, stand), parent = step
    if form.template is not None:
        yield format_entry(form.template, entry, ledger.keyring, stand)
        return
    if form.oneline:
        yield _line(step[0], ledger, head)
        return
    is_head = head is not None and entry.address == head.address
    yield from entry_lines(entry, ledger.keyring, head=is_head, stand=stand)
    yield ""
    if head is None:
        return
    found = _changes(entry, parent)
    if found is None:
        withheld = entry if entry.is_withheld else parent
        yield f"    not shown: {printable(str(_order(ledger, withheld)))}" if withheld else ""
    else:
        yield from (f"    {line}" for line in change_lines(found, words=form.words))
    yield ""


def _line(judged: Judged, ledger: Ledger, head: Entry | None) -> str:
    entry, stand = judged
    address = style(entry.address[:8], typer.colors.YELLOW)
    title = "" if head else f"{entry.title_number} "
    is_head = head is not None and entry.address == head.address
    mark = style(" (HEAD)", typer.colors.CYAN) if is_head else ""
    if entry.is_withheld:
        said = f"(erased by version {_order(ledger, entry).version})"
    else:
        said = cut(printable(entry.message.split("\n")[0]), LONG)
    mark += style(" (closed)", typer.colors.CYAN) if entry.status == CLOSED else ""
    mark += stand_mark(stand)
    who = printable(signer_name(entry, ledger.keyring))
    when = f"{entry.recorded_at[:19]}Z"
    return f"{address} {title}v{entry.version} {when} {who}{mark} {said}".rstrip()
