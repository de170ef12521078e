"""``ledger checkpoint``: what the transparency log says that it is, signed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options import ConnectionsOption, DebugOption, JsonOption, QuietOption, StoreOption
from cli.output import print_json
from cli.session import open_ledger
from ledger import Log
from ledger.tlog.note import encode_base64

__all__ = ["checkpoint"]


def checkpoint(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that the newest tiles lead to its root, too.")
    ] = False,
    store: StoreOption = None,
    connections: ConnectionsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the signed checkpoint of the log, to the byte.

    Its signature is checked; whoever keeps it can tell later whether the log lost anything.
    """
    with open_ledger(store, connections=connections) as ledger:
        signed = Log(ledger).checkpoint(verify=verify)
    found = signed.checkpoint
    if as_json:
        root, note = encode_base64(found.root), signed.note.decode()
        print_json({"origin": found.origin, "size": found.size, "root": root, "note": note})
        return
    sys.stdout.buffer.write(signed.note)
    sys.stdout.buffer.flush()
    if verify and not quiet:
        typer.echo("verified: signed by the log's key, and its newest tiles lead to it", err=True)
