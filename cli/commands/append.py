"""``ledger append``: register a new version of a title."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import (
    DebugOption,
    JsonOption,
    KeyOption,
    QuietOption,
    StoreOption,
    TitleArgument,
)
from cli.output import change_json, change_lines, entry_json, entry_lines, print_json
from cli.session import open_ledger
from ledger import ANY, InvalidError, NotFoundError
from ledger.canonical import decode
from ledger.diff import changes
from ledger.entry import MAX_BYTES
from ledger.layout import check_title_number

if TYPE_CHECKING:
    from ledger import Entry, Ledger

__all__ = ["append"]


def append(
    title_number: TitleArgument,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The document (JSON); - is stdin.")
    ] = None,
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=TEXT|NAME:=JSON",
            help="Change a member of the head's document; /a/0/b reaches inside.",
        ),
    ] = None,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="Why this version exists.")
    ] = "",
    reference: Annotated[
        str,
        typer.Option(
            "--reference", metavar="TEXT", help="The case number; makes the append repeatable."
        ),
    ] = "",
    effective: Annotated[
        str | None,
        typer.Option("--effective", metavar="DATE", help="From when it holds in law."),
    ] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="ADDRESS", help="Only on top of this head.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Only if there is no such title yet.")] = False,
    clamp_time: Annotated[
        bool,
        typer.Option("--clamp-time", help="Accept that this clock is far behind the head's."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be registered; write nothing.")
    ] = False,
    store: StoreOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Register a new version of TITLE: the document in FILE, or the head's with --set applied."""
    if (file is None) == (not settings):
        raise typer.BadParameter("give either a FILE (- is stdin) or --set")
    if new and parent is not None:
        raise typer.BadParameter("--new and --parent exclude each other")
    check_title_number(title_number)
    given = _read_document(file) if file is not None else None
    with open_ledger(store, key=key, sign=True) as ledger:
        head = _find_head(ledger, title_number) if settings or dry_run else None
        document = given if given is not None else _changed(head, settings or [])
        expected: Any = None if new else parent or ANY
        if settings and expected is ANY and head is not None and not reference:
            expected = head.address  # what was changed is the head that was read, no other
        if dry_run:
            entry = ledger.preview(
                title_number,
                document,
                message=message,
                effective_at=effective,
                reference=reference,
            )
            _show_preview(entry, head, ledger, as_json=as_json)
            return
        entry = ledger.append(
            title_number,
            document,
            message=message,
            effective_at=effective,
            reference=reference,
            parent=expected,
            clamp_time=clamp_time,
        )
        if as_json:
            print_json(entry_json(entry, ledger.keyring))
        elif not quiet:
            typer.echo(f"{title_number} version {entry.version} is {entry.address}")


def _read_document(file: str) -> dict[str, Any]:
    # One byte more than could ever be kept shows that there is too much.
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_BYTES * 8 + 1)
        else:
            with Path(file).open("rb") as source:
                data = source.read(MAX_BYTES * 8 + 1)
    except OSError as error:
        raise NotFoundError(f"cannot read {file}: {error.strerror}") from error
    if len(data) > MAX_BYTES * 8:
        raise InvalidError(f"{file}: too large: an entry has at most {MAX_BYTES:,} bytes")
    document = decode(data)
    if not isinstance(document, dict):
        raise InvalidError(f"{file}: a document is a JSON object")
    return document


def _find_head(ledger: Ledger, title_number: str) -> Entry | None:
    try:
        return ledger.head(title_number)
    except NotFoundError:
        return None


def _changed(head: Entry | None, settings: list[str]) -> dict[str, Any]:
    document = copy.deepcopy(head.document) if head else {}
    for setting in settings:
        name, value = _parse_setting(setting)
        path = name[1:].split("/") if name.startswith("/") else [name]
        _put(document, [part.replace("~1", "/").replace("~0", "~") for part in path], value, name)
    return document


def _parse_setting(setting: str) -> tuple[str, Any]:
    name, equals, text = setting.partition("=")
    if not equals or not name.strip(":"):
        raise typer.BadParameter(f"--set {setting}: expected NAME=TEXT or NAME:=JSON")
    if not name.endswith(":"):
        return name, text
    return name[:-1], decode(text.encode("utf-8", "surrogateescape"))


def _put(target: Any, path: list[str], value: object, name: str) -> None:
    try:
        for part in path[:-1]:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list) and path[-1] == "-":
            target.append(value)  # as in a JSON patch (RFC 6902, section 4.1)
        elif isinstance(target, list):
            target[int(path[-1])] = value
        else:
            target[path[-1]] = value
    except (LookupError, ValueError, TypeError):
        raise InvalidError(f"--set {name!a:.80}: the document has no such place") from None


def _show_preview(entry: Entry, head: Entry | None, ledger: Ledger, *, as_json: bool) -> None:
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
