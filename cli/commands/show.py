"""``ledger show`` and ``ledger cat``: show one version of a title, or its exact bytes."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.session import find_entry, find_judged, note_in_force, open_ledger
from cli.terminal.output import document_lines, entry_lines, note, pager, print_json, whole_output
from ledger import Entry, Ledger, LedgerError
from ledger.format.entry import CLOSED, entry_json
from ledger.format.standing import stand_json, stand_members
from ledger.registrations.registration import role_of


def show(
    title_number: options.TitleArgument,
    revision: options.RevisionArgument = "HEAD",
    *,
    effective: options.EffectiveOption = None,
    recorded: options.RecordedOption = None,
    document: Annotated[
        bool, typer.Option("--document", help="Only the document, as 'ledger append' takes it.")
    ] = False,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show one version of a title with its document.

    That is the newest version, the one that REV names, or the one in law on a day.
    """
    with open_ledger(store) as ledger:
        answer, stand = find_judged(ledger, title_number, revision, effective, recorded)
        entry = ledger.history.read_text(answer.entry)
        if document:
            if as_json:
                print_json(entry.document)
            elif not quiet:
                pager(document_lines(entry.document))
        elif as_json:
            shown = entry_json(entry, ledger.keyring) | stand_members(stand)
            if answer.passed_over:
                shown["passed_over"] = [
                    {"version": each.version} | stand_json(how) for each, how in answer.passed_over
                ]
            print_json(
                shown
                | _origins(ledger, entry)
                | {"digest": entry.digest, "document": entry.document}
            )
        elif not quiet:
            lines = list(entry_lines(entry, ledger.keyring, stand=stand))
            for what, titles in _origins(ledger, entry).items():
                lines.append(f"{what.capitalize().replace('_', ' ')}: {', '.join(titles)}")
            pager([*lines, "", *document_lines(entry.document)])
        # Else an address says which version.
        is_head = (title_number, revision) == (entry.title_number, "HEAD")
        if is_head and effective is None and recorded is None and not quiet:
            note_in_force(ledger, entry)


def _origins(ledger: Ledger, entry: Entry) -> dict[str, tuple[str, ...]]:
    """Return what the title came from and went into by the registration that the entry is of.

    Of a closed title, that is the one that closed it: the record may have been rectified since.
    """
    title_number = entry.title_number
    try:
        if entry.status == CLOSED and role_of(entry) != "closes":
            entry = _closing(ledger, entry)
        if entry.part[1] == 1:
            return {}
        found = ledger.registration(entry.reference)
    except LedgerError as error:
        note(f"what else its registration changed can't be read: {error}")
        return {}
    named = {
        "came_from": found.came_from(title_number),
        "went_into": found.went_into(title_number),
    }
    return {what: titles for what, titles in named.items() if titles}


def _closing(ledger: Ledger, entry: Entry) -> Entry:
    """Return the entry that closed the title, at or below this one; this one if none did."""
    for each, stand in ledger.history.judged_log(entry.title_number, "HEAD"):
        if stand.stands and each.version <= entry.version and role_of(each):
            return each
    return entry


def cat(
    title_number: options.TitleArgument,
    revision: options.RevisionArgument = "HEAD",
    *,
    effective: options.EffectiveOption = None,
    recorded: options.RecordedOption = None,
    short: Annotated[
        bool,
        typer.Option("--short", help="Leave out the text: what the address is the sha256 of."),
    ] = False,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,  # noqa: ARG001 -- every command takes it
    quiet: options.QuietOption = False,
) -> None:
    """Write the exact bytes of an entry.

    The sha256 of its short form is the entry's address: ledger cat --short TITLE | sha256sum. They
    are JSON, with or without --json.
    """
    with open_ledger(store) as ledger:
        entry = find_entry(ledger, title_number, revision, effective, recorded)
        data = entry.short if short else ledger.history.read_text(entry).data
    if not quiet:
        with whole_output() as stdout:
            stdout.write(data)
