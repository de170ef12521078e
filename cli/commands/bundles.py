"""``ledger export`` and ``ledger import``: histories as one file."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from cli.config import load_config
from cli.options import DebugOption, JsonOption, QuietOption, StoreOption, TitlesArgument
from cli.output import print_json
from cli.session import open_ledger
from ledger import InvalidError, Ledger, NotFoundError
from ledger.errors import StoreUnavailable
from ledger.ledger import bundle_origin

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
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the history of titles, or of all of them, as one file that verifies offline."""
    with open_ledger(store) as ledger, ExitStack() as stack:
        earlier = [stack.enter_context(_reading(path)) for path in since or []]
        with _new_file(file) as out:
            count = ledger.export(out, title_numbers or None, since=earlier)
    if as_json and file != "-":
        print_json({"file": file, "titles": count})
    elif not quiet:
        typer.echo(f"wrote {count:,} {'title' if count == 1 else 'titles'} to {file}", err=True)


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A bundle; - is stdin.")],
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Bring every title of a bundle to where the bundle has it, once all of it has verified.

    A store without a ledger becomes the bundle's, if you trust a registrar of its origin.
    """
    reading = _spooled_input() if file == "-" else _reading(Path(file))
    with reading as source, _open_or_create(store, source) as ledger:
        done = ledger.import_bundle(source)
    if as_json:
        print_json({"file": file, "moved": done.moved, "unchanged": done.unchanged})
    elif not quiet:
        typer.echo(f"titles moved: {done.moved:,}; there already: {done.unchanged:,}")


def _open_or_create(store: str | None, source: BinaryIO) -> Ledger:
    try:
        return open_ledger(store)
    except NotFoundError:
        config = load_config()
        url = config.store(store)
        origin = bundle_origin(source)
        ledger = Ledger.create(url, origin=origin, keyring=config.keyring())
        config.remember_store(url, origin)
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
def _spooled_input() -> Iterator[BinaryIO]:
    """Standard input as a file that can be read twice."""
    with tempfile.TemporaryFile() as spool:
        while chunk := sys.stdin.buffer.read(1 << 20):
            spool.write(chunk)
        spool.seek(0)
        yield cast("BinaryIO", spool)


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """A file that is there, whole and durable, only once everything was written."""
    if name == "-":
        yield sys.stdout.buffer
        return
    target = Path(name)
    if target.exists():
        raise InvalidError(f"{name} exists already; a bundle is never overwritten")
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-") as file:
            yield cast("BinaryIO", file)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            os.link(file.name, target)  # unlike a rename, this never replaces
    except OSError as error:
        raise StoreUnavailable(f"cannot write {name}: {error.strerror}") from error
