"""``ledger export`` and ``ledger import``: histories as one file."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from cli.batch.spool import spooled
from cli.config import load_config
from cli.options import (
    ConnectionsOption,
    DebugOption,
    JsonOption,
    QuietOption,
    StoreOption,
    TitlesArgument,
)
from cli.session import in_steps, open_ledger
from cli.terminal.output import counted, print_json, working
from cli.terminal.text import printable
from ledger import InvalidError, Ledger, NotFoundError, TrustError
from ledger.errors import StoreUnavailable
from ledger.offline import bundle_origin
from ledger.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["export", "import_"]


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The new file; - is stdout.")],
    title_numbers: TitlesArgument = None,
    *,
    since: Annotated[
        list[Path] | None,
        typer.Option(
            "--since",
            metavar="BUNDLE",
            help="An earlier bundle: only what came after it (may be repeated).",
        ),
    ] = None,
    store: StoreOption = None,
    connections: ConnectionsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the history of titles as one file.

    Of all titles, if none are named. The file verifies offline, and imports into another store.
    """
    with open_ledger(store, connections=connections) as ledger, ExitStack() as stack:
        earlier = [stack.enter_context(_reading(path)) for path in since or []]
        with _new_file(file) as out, working("exporting", quiet=quiet or as_json):
            count = ledger.export(out, title_numbers or None, since=earlier)
    if as_json and file != "-":
        print_json({"file": file, "titles": count})
    elif not quiet:
        titles = "title" if count == 1 else "titles"
        typer.echo(f"wrote {count:,} {titles} to {printable(file)}", err=file == "-")


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A bundle; - is stdin.")],
    *,
    store: StoreOption = None,
    connections: ConnectionsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Bring the titles of a bundle into the store.

    Each to where the bundle has it, once all of it has verified; titles that are further already
    stay as they are.

    A store without a ledger becomes the bundle's, if you trust a registrar of its origin.
    """
    reading = spooled(sys.stdin.buffer) if file == "-" else _reading(Path(file))
    shown = working("importing", quiet=quiet or as_json)
    with (
        reading as source,
        _open_or_create(store, connections, source) as ledger,
        shown,
        in_steps(),
    ):
        done = ledger.import_bundle(source)
    if as_json:
        facts = {"moved": done.moved, "unchanged": done.unchanged}
        print_json(
            {"file": file, **facts, "log_leaves": done.leaves, "log_left_out": done.left_out}
        )
    elif not quiet:
        typer.echo(f"titles moved: {done.moved:,}; there already: {done.unchanged:,}")
        if done.leaves:
            typer.echo(f"the log has {counted(done.leaves, 'leaf')} more")
        if done.left_out:
            typer.echo("the log was left out: your keyring has no key of it", err=True)


def _open_or_create(store: str | None, connections: int | None, source: BinaryIO) -> Ledger:
    try:
        return open_ledger(store, connections=connections)
    except NotFoundError:
        config = load_config()
        opened = open_store(config.store(store), connections=config.connections(connections))
        origin, expected = bundle_origin(source), config.origin_of(opened)
        if expected not in {None, origin}:
            raise TrustError(
                f"a bundle of the ledger {origin}, but {opened.url} has to be {expected}",
                hint="choose the right bundle, or another store",
                reason="wrong-ledger",
            ) from None
        ledger = Ledger.create(opened, origin=origin, keyring=config.keyring())
        with config.changing():
            config.remember_store(opened, origin)
        return ledger


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise NotFoundError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """A file that is there, whole and durable, only once everything was written."""
    if name == "-":
        yield sys.stdout.buffer
        return
    target = Path(name)
    if target.exists():
        raise InvalidError(f"{name} exists already; a bundle is never overwritten")
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.link(temporary, target)  # unlike a rename, this never replaces
            finally:
                temporary.unlink()
    except OSError as error:
        raise StoreUnavailable(f"cannot write {name}: {error.strerror}") from error
