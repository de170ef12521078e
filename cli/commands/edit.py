"""``ledger edit`` and ``ledger revert``: a new version by hand, or with an older document."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.appended import register
from cli.batch.outcomes import Shown
from cli.config import load_config
from cli.inputs import read_document
from cli.session import find_base, open_ledger
from cli.terminal.output import document_lines
from ledger import Draft, Entry, InvalidError, LedgerError
from ledger.format.canonical import encode
from ledger.format.entry import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def edit(
    title_number: options.TitleArgument,
    *,
    message: options.MessageOption = "",
    reference: options.ReferenceOption = "",
    author: options.AuthorOption = None,
    effective: options.BeginsOption = None,
    effective_until: options.EndsOption = None,
    kind: options.KindOption = KINDS[0],
    schema: options.SchemaOption = None,
    dry_run: options.DryRunOption = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Change the document in law in your editor, and register it.

    The editor is that of VISUAL or EDITOR. Nothing is registered if the document is left as it is,
    or if somebody else has registered a version meanwhile. What you wrote is kept if it can't be
    registered.
    """
    draft = _drafting(message, reference, author, effective, effective_until, kind)
    shown = Shown(as_json, quiet, dry_run)
    with open_ledger(store, key=key, sign=True, schema=schema) as ledger:
        head = ledger.head(title_number)
        base = find_base(ledger, head, effective)
        with _edited(base, head.address) as document:
            _check_changed(document, base)
            register(ledger, draft(title_number, document), head.address, shown)


def revert(
    title_number: options.TitleArgument,
    revision: Annotated[
        str,
        typer.Argument(
            metavar="REV",
            help="The version to go back to.",
            autocompletion=options.complete_revision,
        ),
    ],
    *,
    message: options.MessageOption = "",
    reference: options.ReferenceOption = "",
    author: options.AuthorOption = None,
    effective: options.BeginsOption = None,
    effective_until: options.EndsOption = None,
    kind: options.KindOption = KINDS[0],
    schema: options.SchemaOption = None,
    dry_run: options.DryRunOption = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Register the document of an older version again.

    Nothing is undone: all versions stay. Only the document is taken over; say when it holds, and
    why. Without a message it is "back to version N".
    """
    with open_ledger(store, key=key, sign=True, schema=schema) as ledger:
        head = ledger.head(title_number)
        old = ledger.history.read_text(ledger.history.resolve(title_number, revision, head))
        _check_changed(old.document, head)
        message = message or f"back to version {old.version}"
        draft = _drafting(message, reference, author, effective, effective_until, kind)
        shown = Shown(as_json, quiet, dry_run)
        register(ledger, draft(title_number, old.document), head.address, shown)


def _drafting(  # noqa: PLR0917 -- as the options of both commands come
    message: str,
    reference: str,
    author: str | None,
    effective: str | None,
    effective_until: str | None,
    kind: str,
) -> Callable[[str, dict[str, Any]], Draft]:
    """Return what makes a draft of a title and a document, with all that the options say."""
    return partial(
        Draft,
        message=message,
        reference=reference,
        author=load_config().author(author),
        effective_at=effective,
        effective_until=effective_until,
        kind=kind,
    )


def _check_changed(document: dict[str, Any], head: Entry) -> None:
    if encode(document) == head.document_bytes:
        raise InvalidError(f"nothing was registered: version {head.version} has this document")


@contextmanager
def _edited(base: Entry, parent: str) -> Iterator[dict[str, Any]]:
    """Let the user edit a document, and give what becomes of it; keep the file if that fails."""
    descriptor, name = tempfile.mkstemp(prefix=f"{base.title_number}-", suffix=".json")
    file = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in document_lines(base.document))
    before = file.read_bytes()
    try:
        _run_editor(file)
        yield read_document(name, as_document=True)
    except LedgerError as error:
        if file.read_bytes() != before:
            again = f"ledger append {base.title_number} {shlex.quote(name)} --parent {parent}"
            kept = f"what you wrote is kept; once it is right: {again}"
            error.hint = f"{error.hint}; {kept}" if error.hint else kept
            raise
        file.unlink()
        raise
    file.unlink()


def _run_editor(file: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), file], check=False).returncode  # noqa: S603
    except (OSError, ValueError) as error:
        raise InvalidError(
            f"cannot run the editor {editor!a:.80}: {error}",
            hint="name one in EDITOR: export EDITOR=nano",
        ) from None
    if code != 0:
        raise InvalidError(f"nothing was registered: the editor ended with {code}")
