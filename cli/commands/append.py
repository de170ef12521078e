"""``ledger append``: register a new version of a title."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.appended import register
from cli.batch.outcomes import Shown
from cli.config import load_config
from cli.edits import apply_edits
from cli.inputs import read_document
from cli.receipts import waiting
from cli.session import find_base, open_ledger
from ledger import ANY, Entry, IntegrityError, Ledger, NotFoundError
from ledger.errors import StoreUnavailable
from ledger.format.entry import CLOSED, KINDS, OPEN
from ledger.format.layout import check_title_number, is_address
from ledger.titles.append import check_new
from ledger.titles.draft import Anything, Draft, Guards

if TYPE_CHECKING:
    from cli.batch.rows import Columns

TitleArgument = Annotated[
    str | None, typer.Argument(metavar="TITLE", help="A title number, such as TN1234567.")
]
FileArgument = Annotated[
    str | None, typer.Argument(metavar="FILE", help="The document, as JSON; - is stdin.")
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="FILE",
        help="Many documents, each with its title_number: JSON lines, an array, or CSV.",
    ),
]
CsvOption = Annotated[bool, typer.Option("--csv", help="The batch is CSV; each row is a document.")]
TitleColumnOption = Annotated[
    str,
    typer.Option(
        "--title-column",
        metavar="NAME[,NAME…]",
        help="The column of the title number; or several, which make it.",
    ),
]
TypesOption = Annotated[
    str,
    typer.Option(
        "--types",
        metavar="NAME:KIND,…",
        help="What columns are, as price:int; the header may say it as well.",
    ),
]
ColumnsOption = Annotated[
    str,
    typer.Option(
        "--columns", metavar="NAME,NAME,…", help="The header of a CSV file that has none."
    ),
]
DelimiterOption = Annotated[
    str,
    typer.Option(
        "--delimiter", metavar="SIGN", help="What is between the cells: , or ; or TAB, for example."
    ),
]
UnsetOption = Annotated[
    list[str] | None,
    typer.Option("--unset", metavar="NAME", help="Take a member out of the document."),
]
MergeOption = Annotated[
    str | None,
    typer.Option(
        "--merge",
        metavar="FILE",
        help="Merge the JSON in FILE into it; null takes a member out (RFC 7396).",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=TEXT|NAME:=JSON",
        help="Change a member of the document in law then; /a/0/b is a place inside.",
    ),
]
CloseOption = Annotated[bool, typer.Option("--close", help="Close the title.")]
ReopenOption = Annotated[bool, typer.Option("--reopen", help="Reopen a title that was closed.")]
SkipOption = Annotated[
    bool,
    typer.Option("--skip-unchanged", help="Append nothing if the newest version says it all."),
]
ParentOption = Annotated[
    str | None,
    typer.Option("--parent", metavar="REV", help="Append only if this is still the head."),
]
NewOption = Annotated[bool, typer.Option("--new", help="Append only if the title is new.")]
WaitOption = Annotated[
    Path | None,
    typer.Option(
        "--wait-receipt",
        metavar="FILE",
        help="Wait until it is in the log; write the receipt to FILE.",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0, help="How long to wait for the receipt; default: 60."
    ),
]
VerifyOption = Annotated[
    bool,
    typer.Option("--verify", help="Walk the title first, and append only if all of it holds."),
]


def append(
    title_number: TitleArgument = None,
    file: FileArgument = None,
    *,
    batch: BatchOption = None,
    csv: CsvOption = False,
    title_column: TitleColumnOption = "",
    types: TypesOption = "",
    columns: ColumnsOption = "",
    delimiter: DelimiterOption = "",
    settings: SetOption = None,
    removals: UnsetOption = None,
    merge: MergeOption = None,
    message: options.MessageOption = "",
    reference: options.ReferenceOption = "",
    author: options.AuthorOption = None,
    effective: options.BeginsOption = None,
    effective_until: options.EndsOption = None,
    kind: options.KindOption = KINDS[0],
    close: CloseOption = False,
    reopen: ReopenOption = False,
    parent: ParentOption = None,
    new: NewOption = False,
    skip_unchanged: SkipOption = False,
    as_document: options.AsDocumentOption = False,
    schema: options.SchemaOption = None,
    supersede_later: options.SupersedeOption = False,
    clamp_time: options.ClampOption = False,
    trust_clock: options.TrustClockOption = False,
    wait_receipt: WaitOption = None,
    timeout: TimeoutOption = None,
    verify: VerifyOption = False,
    dry_run: options.DryRunOption = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Register a new version of a title.

    The document comes from FILE, or is the one in law when this version begins, with --merge, --set
    and --unset applied, in this order. A document from a file goes on top of whatever is there,
    unless --parent or --new is given. One made with these options only goes on top of the newest
    version that was read.

    With --batch, registers many versions from one file. All of it is checked before any is
    appended. The same file can be appended again: what is there already stays as it is.

    Once 'ledger append' names an entry, it survives a crash. A receipt also proves that the log has
    the entry, whatever becomes of the store.
    """
    config = load_config()
    about: Any = {
        "message": message,
        "author": config.author(author),
        "effective_at": effective,
        "effective_until": effective_until,
        "kind": kind,
        "status": _status(close=close, reopen=reopen),
    }
    guards = Guards(clamp_time, supersede_later, trust_clock, skip_unchanged)
    _check_waiting(wait_receipt, timeout, one=batch is None and not dry_run)
    of_rows = _columns(title_column, types, columns, delimiter, csv=csv, batch=batch)
    opening = partial(
        open_ledger, store, key=key, sign=True, connections=connections, schema=schema
    )
    shown = Shown(as_json, quiet, dry_run, skip_unchanged)
    if batch is not None:
        one = (title_number, settings, removals, merge, parent, new or None, verify or None)
        _check_only_batch(*one)
        from cli.batch.run import append_batch  # noqa: PLC0415 -- seldom needed

        about |= {"as_document": as_document, "columns": of_rows, "check": config.check(schema)}
        return append_batch(batch, opening, shown, reference, guards=guards, **about)
    if title_number is None:
        raise typer.BadParameter("give a TITLE, or --batch FILE")
    edits = bool(settings or removals or merge)
    _check_source(file, edits=edits, new=new, parent=parent)
    check_title_number(title_number)
    given = read_document(file, as_document=as_document) if file is not None else None
    with ExitStack() as stack:
        ledger = stack.enter_context(opening())
        wait = stack.enter_context(waiting(ledger, wait_receipt, timeout))
        _check_chain(ledger, title_number, wanted=verify)
        expected: str | Anything | None = ANY
        if parent is not None:
            expected = parent if is_address(parent) else ledger.entry(title_number, parent).address
        if given is None:
            base, head = _find_base(ledger, title_number, reference, effective, new=new)
            expected = head if parent is None else expected
            patch = read_document(merge) if merge else None
            given = apply_edits(base.document if base else {}, settings, removals, patch)
        draft = Draft(title_number, given, reference=reference, **about)
        wait(register(ledger, draft, None if new else expected, shown, guards=guards))
    return 0


def _check_only_batch(*one: object) -> None:
    if any(each is not None for each in one):
        raise typer.BadParameter(
            "--batch can't be used with TITLE, --set, --unset, --merge, --parent, --new or --verify"
        )


def _status(*, close: bool, reopen: bool) -> str | None:
    if close and reopen:
        raise typer.BadParameter("--close and --reopen can't be used together")
    return CLOSED if close else OPEN if reopen else None


def _columns(
    title: str, types: str, names: str, delimiter: str, *, csv: bool, batch: str | None
) -> Columns | None:
    """Return what the options say of the columns of a CSV file; None: the batch is not CSV."""
    if csv and batch is None:
        raise typer.BadParameter("--csv needs --batch FILE")
    if not csv:
        if title or types or names or delimiter:
            raise typer.BadParameter(
                "--title-column, --types, --columns and --delimiter need --csv"
            )
        return None
    from cli.batch.rows import Columns  # noqa: PLC0415 -- seldom needed

    sign = "\t" if delimiter == "TAB" else delimiter or ","
    if len(sign) != 1 or sign in '"\r\n ':
        raise typer.BadParameter(f"--delimiter {delimiter!a:.20}: give one sign, or TAB")
    return Columns(title or "title_number", types, names, sign)


def _check_source(file: str | None, *, edits: bool, new: bool, parent: str | None) -> None:
    if (file is not None) == edits:
        raise typer.BadParameter("give either a FILE (- is stdin) or --set, --unset or --merge")
    if new and parent is not None:
        raise typer.BadParameter("--new and --parent can't be used together")


def _check_waiting(wait_receipt: Path | None, timeout: float | None, *, one: bool) -> None:
    if wait_receipt is not None and not one:
        raise typer.BadParameter("--wait-receipt can't be used with --batch or --dry-run")
    if timeout is not None and wait_receipt is None:
        raise typer.BadParameter("--timeout needs --wait-receipt")


def _check_chain(ledger: Ledger, title_number: str, *, wanted: bool) -> None:
    """Verify the title that is to be appended to; raise what its worst finding amounts to."""
    if not wanted:
        return
    try:
        report = ledger.verify(title_number)
    except NotFoundError:
        return  # there is nothing to verify yet
    for severity, failure in (("tampering", IntegrityError), ("unchecked", StoreUnavailable)):
        for finding in report.findings:
            if finding.severity == severity:
                raise failure(
                    f"nothing was appended to {title_number}: {finding.message}",
                    hint=f"'ledger verify {title_number}' tells more",
                )


def _find_base(
    ledger: Ledger, title_number: str, reference: str, effective: str | None, *, new: bool
) -> tuple[Entry | None, str | Anything | None]:
    """Return the entry that --set changes, and the parent that the append must have.

    The parent is the head and no other, so that nobody else's change is undone. If the chain has
    the reference already, this is a repeat, and changes what the first append changed.
    """
    try:
        head = ledger.head(title_number)
    except NotFoundError:
        if new:
            return None, None
        check_new(ledger.history, title_number)  # a head that was lost is another error
        raise NotFoundError(
            f"no such title: {title_number}",
            hint="--set changes what is there; if the title is to be made, add --new",
        ) from None
    first = ledger.history.find_reference(head, reference, (1, 1)) if reference else None
    if first:
        return find_base(ledger, head, effective, first) if first.parent else None, ANY
    return find_base(ledger, head, effective), head.address
