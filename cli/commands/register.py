"""``ledger register`` and ``ledger registration``: change several titles as one, and show it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.batch.run import open_lines
from cli.config import load_config
from cli.session import in_steps, open_ledger
from cli.terminal.output import counted, note, pager, print_json, stand_mark
from cli.terminal.text import printable
from ledger import Appended, Draft, Entry, Guards, Ledger, NotFoundError, Registration
from ledger.errors import OriginNotPinned, RegistrationIncomplete
from ledger.format.entry import entry_json
from ledger.registrations.registration import registration_json, role_of, spell_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

ReferenceArgument = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="The application or case number.")
]


def register(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE.jsonl", help="One part per line; - is stdin."),
    ] = None,
    *,
    reference: Annotated[
        str,
        typer.Option(
            "--reference", metavar="TEXT", help="The case number, by which the parts are found."
        ),
    ] = "",
    give_up: Annotated[
        str,
        typer.Option(
            "--give-up",
            metavar="REFERENCE",
            help="Complete this registration without the parts that are missing.",
        ),
    ] = "",
    message: options.MessageOption = "",
    author: options.AuthorOption = None,
    as_document: options.AsDocumentOption = False,
    schema: options.SchemaOption = None,
    supersede_later: options.SupersedeOption = False,
    clamp_time: options.ClampOption = False,
    trust_clock: options.TrustClockOption = False,
    dry_run: options.DryRunOption = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Register new versions of several titles as one.

    The lines are those of 'ledger append --batch', and may also have a parent. If one part can't be
    appended, none is. If the command is cut off, or a title moves meanwhile, some parts may stand
    and others not: then the same command again does the rest. If nobody is going to, --give-up
    completes the registration by rectifications, which change no document.

    Exits with 16 if the registration is incomplete.
    """
    if bool(give_up) == (file is not None):
        raise typer.BadParameter("give either a FILE.jsonl (- is stdin) or --give-up REFERENCE")
    if give_up and (reference or dry_run or as_document or supersede_later or schema):
        raise typer.BadParameter("--give-up takes no option of what is to be registered")
    if file is not None and not reference:
        raise typer.BadParameter("give --reference: the parts are found by it")
    config = load_config()
    author = config.author(author)
    guards = Guards(clamp_time, supersede_later, trust_clock)
    if file is None:
        with (
            open_ledger(
                store, key=key, sign=True, connections=connections, asks_schema=False
            ) as ledger,
            in_steps(),
        ):
            done = ledger.give_up(give_up, message=message, author=author, guards=guards)
            _show(done, ledger, give_up, as_json=as_json, quiet=quiet)
            return 0
    parents: dict[str, str | None] = {}
    about: Any = {"message": message, "author": author, "as_document": as_document}
    about |= {"reference": reference, "parents": parents, "check": config.check(schema)}
    with open_lines(file, "-", quiet=quiet, **about) as lines:
        drafts: list[Draft] = [draft for _, draft in lines.drafts()]
    with open_ledger(store, key=key, sign=True, connections=connections, schema=schema) as ledger:
        try:
            done = ledger.register(
                drafts, reference=reference, parents=parents, guards=guards, dry_run=dry_run
            )
        except RegistrationIncomplete as error:
            again = shlex.quote(reference)
            error.hint = (
                "the same command again does what is left (a line with a parent needs the new"
                f" one); or give it up: ledger register --give-up {again}"
            )
            raise
        _show(done, ledger, reference, as_json=as_json, quiet=quiet, dry_run=dry_run)
    return 0


def _show(
    done: list[Appended],
    ledger: Ledger,
    reference: str,
    *,
    as_json: bool,
    quiet: bool,
    dry_run: bool = False,
) -> None:
    if as_json:
        parts = []
        for each in done:
            shown = entry_json(each.entry, ledger.keyring) | {"repeated": each.repeated}
            if dry_run and not each.repeated:
                del shown["address"]  # the real one differs, as it has a later time
            parts.append(shown)
        print_json({"reference": reference, "parts": parts, "dry_run": dry_run})
    if as_json or quiet:
        return
    if dry_run:
        typer.echo("dry run: nothing was written; this would be registered:")
    for each in done:
        address = "" if dry_run and not each.repeated else f" {each.entry.address}"
        there = "was there already:" if each.repeated else "is" if address else "would be new"
        typer.echo(f"part {_part(each.entry)} {there}{address}")
    if not done:
        typer.echo(f"{printable(reference)}: no part is missing; nothing was written")


def _part(entry: Entry) -> str:
    return f"{spell_parts([entry.part])}: {entry.title_number} version {entry.version}"


def registration(
    reference: ReferenceArgument,
    *,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Show what an application changed, and what is missing.

    Entries are found by their names in the store, and each is checked on its title's chain. If
    there is a log, it says which of them the log doesn't have yet.

    Exits with 16 if the registration is incomplete, and with 10 if no entry has the reference.
    """
    with open_ledger(store, connections=connections) as ledger:
        found = ledger.registration(reference)
        if not found.entries and not found.passed_over:
            ledger.history.check_there()
            raise NotFoundError(
                f"no entry has the reference {reference!a:.80}",
                hint="a reference is compared as it is written; 'ledger fsck' makes names that"
                " are missing",
            )
        unlogged = _unlogged(ledger, found)
        if as_json:
            print_json(registration_json(found, unlogged))
        elif not quiet:
            pager(_lines(found, unlogged))
    for part in found.conflicts:
        note(f"more than one entry is part {spell_parts([part])}")
    return RegistrationIncomplete.exit_code if found.missing else 0


def _unlogged(ledger: Ledger, found: Registration) -> tuple[Entry, ...] | None:
    """Return the entries that the log lacks; None without a log, or without a key of it."""
    from ledger import Log  # noqa: PLC0415 -- slow to load

    try:
        return Log(ledger).lacks(found.entries)
    except (NotFoundError, OriginNotPinned):
        return None


def _lines(found: Registration, unlogged: tuple[Entry, ...] | None) -> Iterator[str]:
    parts = counted(len(found.parts), "part")
    if not found.parts:
        verdict = "no registration of several titles"
    elif found.missing:
        verdict = f"INCOMPLETE, missing: {spell_parts(found.missing)}"
    else:
        verdict = f"complete, {parts}"
    yield f"{printable(found.reference)}: {verdict}"
    for entry in found.entries:
        said = f"{_part(entry)}" if entry.part[1] > 1 else f"{entry.title_number} v{entry.version}"
        yield " ".join(filter(None, (f"  {said}", entry.recorded_at, _role(found, entry))))
    for entry, stand in found.passed_over:
        yield f"  passed over: {_part(entry)}{stand_mark(stand)}"
    for entry in unlogged or ():
        yield f"not in the log yet: {_part(entry)}"


def _role(found: Registration, entry: Entry) -> str:
    """Say what a part did to its title, and what that came from or went into."""
    if entry.part[1] == 1:
        return ""
    title_number, role = entry.title_number, role_of(entry)
    origins = found.came_from(title_number) if role != "closes" else ()
    targets = found.went_into(title_number) if role != "begins" else ()
    said = [role or ("rectifies" if entry.kind == "rectification" else "")]
    said += [f"from {', '.join(origins)}"] if origins else []
    said += [f"into {', '.join(targets)}"] if targets else []
    return ", ".join(filter(None, said))
