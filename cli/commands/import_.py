"""``ledger import``: bring the histories in a bundle into a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from cli import options
from cli.config import load_config
from cli.inputs import spooled
from cli.session import in_steps, open_ledger
from cli.terminal.output import counted, print_json, working
from cli.terminal.text import printable
from ledger import Keyring, Ledger, Store, TrustError
from ledger.format.layout import LEDGER_KEY, trust_key
from ledger.local.files import reading
from ledger.offline import bundle_origin
from ledger.titles.identity import find_origin

UNFINISHED = 3


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A bundle; - is stdin.")],
    *,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Import the titles of a bundle into the store.

    The whole bundle is verified first. Then each title moves to the version that the bundle has;
    titles that are further along stay as they are. A text that a title orders erased never comes
    back; one that is here is erased as 'ledger erase --finish' does.

    A store without a ledger becomes the bundle's ledger, if you trust one of its registrars, or
    pinned one of its trust files. Trust files come first, and titles are judged by them: a title
    whose head would not stand is refused.

    Exits with 3 if something was left out, or a text that is ordered erased is still here.
    """
    bundle = spooled(sys.stdin.buffer) if file == "-" else reading(Path(file))
    shown = working("importing", quiet=quiet or as_json)
    with (
        bundle as source,
        _open_or_prepare(store, connections, source) as ledger,
        shown,
        in_steps(),
    ):
        is_new = ledger.store.get(LEDGER_KEY) is None
        done = ledger.import_bundle(source)
        if is_new:
            config = load_config()
            with config.changing():
                config.remember_store(ledger.store, ledger.origin)
    if as_json:
        facts = {"moved": done.moved, "unchanged": done.unchanged, "restored": done.restored}
        print_json(
            {"file": file, **facts, "log_leaves": done.leaves, "log_left_out": done.left_out}
            | {"trust_left_out": done.trust_left_out}
            | {"not_erased": list(done.not_erased), "left_out": list(done.titles_left_out)}
        )
    elif not quiet:
        typer.echo(f"titles moved: {done.moved:,}; there already: {done.unchanged:,}")
        if done.restored:
            typer.echo(f"texts put back: {done.restored:,}")
        if done.leaves:
            typer.echo(f"the log has {counted(done.leaves, 'leaf')} more")
        if done.left_out:
            typer.echo("the log was left out, as your keyring has no key of it", err=True)
        if done.trust_left_out:
            typer.echo("the trust files were left out, as you pinned none of them", err=True)
        for title_number in done.titles_left_out:
            typer.echo(f"not in the bundle: {title_number} was left out of it", err=True)
        for said in done.not_erased:
            typer.echo(f"not erased: {printable(said)}", err=True)
    return 0 if done.is_whole else UNFINISHED


def _open_or_prepare(store: str | None, connections: int | None, source: BinaryIO) -> Ledger:
    config = load_config()
    opened = config.open_store(store, connections)
    there = find_origin(opened)
    if there is not None and not _lacks_trust(opened, there, config.keyring()):
        opened.close()
        return open_ledger(store, connections=connections)
    origin, expected = bundle_origin(source), config.origin_of(opened)
    if expected not in {None, origin}:
        raise TrustError(
            f"the bundle is of the ledger {origin}, but {opened.url} must be {expected}",
            hint="import another bundle, or choose another store with --store",
            reason="wrong-ledger",
        )
    return Ledger.for_import(opened, origin=origin, keyring=config.keyring())


def _lacks_trust(store: Store, origin: str, keyring: Keyring) -> bool:
    """Whether a store can't be opened, as the trust file that is pinned is to be imported yet."""
    root = keyring.root(origin)
    return root is not None and store.get(trust_key(root.version)) is None
