"""Register a version, or show what would be, and say what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.batch.outcomes import Shown, said_of
from cli.terminal.changes import change_lines
from cli.terminal.output import entry_lines, note, print_json
from ledger import Appended, Draft, Entry, Guards, Ledger
from ledger.format.diff import change_json, changes
from ledger.format.entry import entry_json

if TYPE_CHECKING:
    from ledger.titles.draft import Anything


def register(
    ledger: Ledger,
    draft: Draft,
    parent: str | Anything | None,
    shown: Shown,
    *,
    guards: Guards = Guards(),  # noqa: B008 -- frozen
) -> Entry:
    """Append the draft, or see what that would do, print it, and return the entry."""
    attempt = ledger.preview if shown.dry_run else ledger.submit
    done = attempt(draft, parent=parent, guards=guards)
    is_new = not (done.repeated or (done.unchanged and guards.skip_unchanged))
    show = _show_preview if shown.dry_run and is_new else _show_appended
    show(done, ledger, guards, as_json=shown.as_json, quiet=shown.quiet)
    return done.entry


def _show_appended(
    done: Appended, ledger: Ledger, guards: Guards, *, as_json: bool, quiet: bool
) -> None:
    if as_json:
        facts = {"repeated": done.repeated, "unchanged": done.unchanged}
        print_json(entry_json(done.entry, ledger.keyring) | facts)
    elif not quiet:
        typer.echo(said_of(done, skips=guards.skip_unchanged))
    if not quiet:
        _note_unchanged(done, guards)


def _note_unchanged(done: Appended, guards: Guards) -> None:
    if done.unchanged and not guards.skip_unchanged:
        note(
            f"version {done.entry.version} says nothing that version {done.entry.version - 1}"
            " didn't; --skip-unchanged leaves such a version out"
        )


def _show_preview(
    done: Appended, ledger: Ledger, guards: Guards, *, as_json: bool, quiet: bool
) -> None:
    entry = done.entry
    head = ledger.entry(entry.title_number, entry.parent) if entry.parent else None
    differing = changes(head.document if head else {}, entry.document)
    if as_json:
        shown = entry_json(entry, ledger.keyring)
        del shown["address"]  # the real one differs, as it has a later time
        print_json(shown | {"dry_run": True, "changes": [change_json(c) for c in differing]})
    if as_json or quiet:
        return
    typer.echo("dry run: nothing was written; this would be registered:")
    for line in list(entry_lines(entry, ledger.keyring))[1:]:
        typer.echo(line)
    for line in change_lines(differing):
        typer.echo(f"  {line}")
    _note_unchanged(done, guards)
