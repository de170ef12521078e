"""``ledger append``: register a new version of a title."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.edits import apply_settings
from cli.inputs import read_input
from cli.options import (
    ConnectionsOption,
    DebugOption,
    JsonOption,
    KeyOption,
    QuietOption,
    StoreOption,
)
from cli.receipts import waiting
from cli.session import open_ledger
from cli.terminal.output import change_json, change_lines, entry_json, entry_lines, print_json
from ledger import ANY, InvalidError, MalformedError, NotFoundError
from ledger.format.canonical import decode
from ledger.format.diff import changes
from ledger.format.entry import MAX_BYTES
from ledger.format.layout import check_title_number
from ledger.titles.append import Draft

if TYPE_CHECKING:
    from ledger import Entry, Ledger
    from ledger.titles.append import Anything

__all__ = ["append"]


TitleArgument = Annotated[
    str | None, typer.Argument(metavar="TITLE", help="A title number, such as TN1234567.")
]
FileArgument = Annotated[
    str | None, typer.Argument(metavar="FILE", help="The document (JSON); - is stdin.")
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        "--batch", metavar="FILE.jsonl", help="A document a line, with title_number; - is stdin."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=TEXT|NAME:=JSON",
        help="Change a member of the head's document; /a/0/b reaches inside.",
    ),
]
MessageOption = Annotated[
    str, typer.Option("--message", "-m", metavar="TEXT", help="Why this version exists.")
]
ReferenceOption = Annotated[
    str,
    typer.Option(
        "--reference", metavar="TEXT", help="The case number; makes the append repeatable."
    ),
]
EffectiveOption = Annotated[
    str | None, typer.Option("--effective", metavar="DATE", help="From when it holds in law.")
]
ParentOption = Annotated[
    str | None, typer.Option("--parent", metavar="ADDRESS", help="Only on top of this head.")
]
NewOption = Annotated[bool, typer.Option("--new", help="Only if there is no such title yet.")]
ClampOption = Annotated[
    bool, typer.Option("--clamp-time", help="Accept that this clock is far behind the head's.")
]
WaitOption = Annotated[
    Path | None,
    typer.Option(
        "--wait-receipt", metavar="FILE", help="Wait until it is in the log; keep the receipt."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0, help="How long to wait for it; default: 60."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be registered; write nothing.")
]


def append(
    title_number: TitleArgument = None,
    file: FileArgument = None,
    *,
    batch: BatchOption = None,
    settings: SetOption = None,
    message: MessageOption = "",
    reference: ReferenceOption = "",
    effective: EffectiveOption = None,
    parent: ParentOption = None,
    new: NewOption = False,
    clamp_time: ClampOption = False,
    wait_receipt: WaitOption = None,
    timeout: TimeoutOption = None,
    dry_run: DryRunOption = False,
    store: StoreOption = None,
    key: KeyOption = None,
    connections: ConnectionsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Register a new version of a title; with --batch, of many.

    The document in FILE, or the head's with --set applied. Without --parent, a document from a file
    goes on top of whatever is there; one made by --set only on top of the head it was made from.

    The lines of a batch are checked first, all of them. What is there already stays as it is, so
    the same file can be given again.

    An entry that was acknowledged survives a crash. A receipt binds: it shows that the log has the
    entry, whatever becomes of the store.
    """
    about: Any = {"message": message, "effective_at": effective}
    _check_waiting(wait_receipt, timeout, one=batch is None and not dry_run)
    if batch is not None:
        if title_number is not None or settings or new or parent is not None:
            raise typer.BadParameter("--batch excludes TITLE, --set, --parent and --new")
        from cli.batch.run import Shown, append_batch  # noqa: PLC0415 -- seldom needed

        opening = partial(open_ledger, store, key=key, sign=True, connections=connections)
        shown = Shown(as_json, quiet, dry_run)
        return append_batch(batch, opening, shown, reference, clamp_time=clamp_time, **about)
    if title_number is None:
        raise typer.BadParameter("give a TITLE, or --batch FILE.jsonl")
    if (file is None) == (not settings):
        raise typer.BadParameter("give either a FILE (- is stdin) or --set")
    if new and parent is not None:
        raise typer.BadParameter("--new and --parent exclude each other")
    check_title_number(title_number)
    given = _read_document(file) if file is not None else None
    with ExitStack() as stack:
        ledger = stack.enter_context(
            open_ledger(store, key=key, sign=True, connections=connections)
        )
        wait = stack.enter_context(waiting(ledger, wait_receipt, timeout))
        expected: str | Anything | None = ANY if parent is None else parent
        if given is None:
            base, head = _find_base(ledger, title_number, reference)
            expected = head if parent is None else parent
            given = apply_settings(base.document if base else {}, settings or [])
        about["reference"] = reference
        how: Any = {"parent": None if new else expected, "clamp_time": clamp_time}
        if dry_run:
            entry, repeated = ledger.preview(title_number, given, **about, **how)
        else:
            entry, repeated = ledger.submit(Draft(title_number, given, **about), **how)
        if dry_run and not repeated:
            if not quiet or as_json:
                _show_preview(entry, ledger, as_json=as_json)
        else:
            _show_entry(entry, ledger, repeated=repeated, as_json=as_json, quiet=quiet)
        wait(entry)
    return 0


def _check_waiting(wait_receipt: Path | None, timeout: float | None, *, one: bool) -> None:
    if wait_receipt is not None and not one:
        raise typer.BadParameter("--wait-receipt is for one entry, and one that is written")
    if timeout is not None and wait_receipt is None:
        raise typer.BadParameter("--timeout is for --wait-receipt")


def _show_entry(
    entry: Entry, ledger: Ledger, *, repeated: bool, as_json: bool, quiet: bool
) -> None:
    if as_json:
        print_json(entry_json(entry, ledger.keyring) | {"repeated": repeated})
    elif not quiet:
        verb = "was there already:" if repeated else "is"
        typer.echo(f"{entry.title_number} version {entry.version} {verb} {entry.address}")


def _read_document(file: str) -> dict[str, Any]:
    # One byte more than could ever be kept shows that there is too much.
    data = read_input(file, MAX_BYTES * 8 + 1)
    if len(data) > MAX_BYTES * 8:
        raise InvalidError(f"{file}: too large: an entry has at most {MAX_BYTES:,} bytes")
    document = _decode(data, "standard input" if file == "-" else file)
    if not isinstance(document, dict):
        raise InvalidError(f"{file}: a document is a JSON object")
    return document


def _decode(data: bytes, where: str) -> Any:
    try:
        return decode(data)
    except MalformedError as error:
        raise type(error)(f"{where}: {error}", hint=error.hint) from None


def _find_base(
    ledger: Ledger, title_number: str, reference: str
) -> tuple[Entry | None, str | Anything | None]:
    """The entry that --set changes, and the parent that the append has to have.

    The head, and no other: who changed it meanwhile must not be undone. Where the reference is in
    the chain already, this is the same append again: it changes what it changed the first time.
    """
    try:
        head = ledger.head(title_number)
    except NotFoundError:
        return None, None
    for entry in ledger.log(title_number) if reference else ():
        if entry.reference == reference:
            return ledger.entry(title_number, entry.parent) if entry.parent else None, ANY
    return head, head.address


def _show_preview(entry: Entry, ledger: Ledger, *, as_json: bool) -> None:
    head = ledger.entry(entry.title_number, entry.parent) if entry.parent else None
    differing = changes(head.document if head else {}, entry.document)
    if as_json:
        shown = entry_json(entry, ledger.keyring)
        del shown["address"]  # it will be another one: the time will have gone on
        print_json(shown | {"dry_run": True, "changes": [change_json(c) for c in differing]})
        return
    typer.echo("not written, as --dry-run asks; it would be:")
    for line in list(entry_lines(entry, ledger.keyring))[1:]:
        typer.echo(line)
    for line in change_lines(differing):
        typer.echo(f"  {line}")
