"""``ledger pull``: bring a copy up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.config import load_config
from cli.copies import bring
from ledger import InvalidError
from ledger.titles.identity import read_origin


def pull(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Where to pull from; default: the clone's source."),
    ] = None,
    *,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Bring what is new in its source into a copy.

    The log of the source has to continue the one that the copy has: an older state, or another
    history, is refused. Texts that the log orders erased are erased in the copy.

    Exits with 3 if texts are left that should be erased.
    """
    config = load_config()
    here = config.open_store(store, connections)
    here.check_writable()
    named = source or config.source_of(here)
    if named is None:
        raise InvalidError(
            f"you never cloned {here.url}, so its source is not known",
            hint="ledger pull SOURCE --store COPY",
        )
    there = config.open_named(named, connections)
    origin = read_origin(there, read_origin(here))
    return bring(config, there, origin, here, as_json=as_json, quiet=quiet)
