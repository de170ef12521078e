"""``ledger erase``: erase the texts of versions, by an order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.edits import apply_removals, apply_settings
from cli.session import in_steps, open_ledger
from cli.terminal.output import print_json, working
from cli.terminal.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger import Erasure

UNFINISHED = 3

HERE_ONLY = (
    "copies outside this store: bundles, backups, replicas and caches keep the text"
    " ('ledger bundle strip', and an import, take it out)"
)


def erase(
    title_number: options.TitleArgument,
    versions: Annotated[
        list[int] | None,
        typer.Argument(metavar="VERSION", min=1, help="The versions to erase: 1, 2, 3."),
    ] = None,
    *,
    reference: Annotated[
        str, typer.Option("--reference", metavar="ORDER", help="The order's number; it stays.")
    ] = "",
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="REASON", help="Why; it stays.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=TEXT|NAME:=JSON",
            help="Change a member of the newest document, which the order is put on.",
        ),
    ] = None,
    removals: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="NAME", help="Take a member out of it."),
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Order nothing; erase what is ordered and still there.")
    ] = False,
    lost: Annotated[
        bool,
        typer.Option("--lost", help="Erase a text that is gone, and of which there is no copy."),
    ] = False,
    clamp_time: options.ClampOption = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Erase the texts of versions, by an order.

    Appends an entry that names the versions, then takes their texts out of the store: out of their
    objects, older versions that a bucket keeps, and packs. Addresses, signatures and dates stay,
    and verify. If there is a log, that waits until the log has the order: seal it, then use
    --finish.

    Exits with 3 until nothing is left here. Repeating the command is safe.
    """
    if finish and (versions or reference or message or settings or removals or lost):
        raise typer.BadParameter("--finish takes a TITLE and no other option of an order")
    if not finish and not (versions and reference and message):
        raise typer.BadParameter("give VERSIONs, --reference and -m; or --finish")
    with (
        open_ledger(
            store, key=key, sign=not finish, connections=connections, asks_schema=False
        ) as ledger,
        working("erasing", quiet=quiet or as_json),
        in_steps(),
    ):
        if finish:
            erasure = ledger.finish_erasure(title_number)
        else:
            change = partial(_change, settings or [], removals or [])
            erasure = ledger.erase(
                title_number,
                versions or [],
                reference=reference,
                message=message,
                change=change,
                lost=lost,
                clamp_time=clamp_time,
            )
    if as_json:
        print_json(_facts(title_number, erasure))
    elif not quiet:
        for line in _lines(title_number, erasure):
            typer.echo(line)
    if not finish and not (settings or removals) and not quiet:
        typer.echo(
            f"the newest version of {title_number} has the document of the one before:"
            " if that holds the text, erase that one, with --set or --unset",
            err=True,
        )
    return 0 if erasure.is_done else UNFINISHED


def _change(settings: list[str], removals: list[str], document: dict[str, Any]) -> dict[str, Any]:
    return apply_removals(apply_settings(document, settings), removals)


def _facts(title_number: str, erasure: Erasure) -> dict[str, Any]:
    order = erasure.order
    return {
        "title_number": title_number,
        "order": order and {"version": order.version, "address": order.address},
        "erased": sorted(entry.version for entry in erasure.erased),
        "waiting": sorted(erasure.waiting),
        "left": list(erasure.left),
        "done": erasure.is_done,
    }


def _lines(title_number: str, erasure: Erasure) -> Iterator[str]:
    order = erasure.order
    if order is None:
        yield f"nothing of {title_number} is ordered erased"
        return
    yield (
        f"{title_number} version {order.version} is {order.address}"
        f" (reference {printable(order.reference)})"
    )
    if erasure.erased:
        yield f"erased: {_listed(entry.version for entry in erasure.erased)}"
    if erasure.waiting:
        yield (
            f"waiting for the log: {_listed(erasure.waiting)}; after the next 'ledger seal':"
            f" ledger erase {title_number} --finish"
        )
    for said in erasure.left:
        yield f"left: {printable(said)}"
    yield f"not reached: {HERE_ONLY}"


def _listed(versions: Iterator[int] | tuple[int, ...]) -> str:
    return ", ".join(f"version {version}" for version in sorted(versions))
