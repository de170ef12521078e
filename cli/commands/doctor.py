"""``ledger doctor``: check everything that a ledger depends on."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.checkup import Check, Examination, as_json
from cli.config import load_config
from cli.terminal.output import print_json, style, working
from cli.terminal.text import printable

COLOURS = {
    "ok": typer.colors.GREEN,
    "warning": typer.colors.YELLOW,
    "unchecked": typer.colors.YELLOW,
    "problem": typer.colors.RED,
}
UNCHECKED = 3


def doctor(
    place: Annotated[
        str | None,
        typer.Argument(metavar="STORE", help="A folder, or s3://BUCKET/PREFIX."),
    ] = None,
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write nothing, so don't test conditional writes.")
    ] = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    as_json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Check the store, the clock, your keys, and the log.

    Like 'ledger init', tests whether the store is safe for many writers. It deletes its test
    objects; on a folder store, the empty folder _probe stays.
    """
    if place is not None and store is not None:
        raise typer.BadParameter("give the store once: as STORE or as --store")
    named = place if place is not None else store
    examination = Examination(load_config(), named, key)
    with working("examining", quiet=quiet or as_json_):
        checks = list(examination.run(write=not read_only))
    for check in checks:
        if as_json_:
            print_json(as_json(check))
        elif not quiet or check.outcome in {"problem", "unchecked"}:
            _show(check)
    return _exit_code(checks)


def _show(check: Check) -> None:
    label = style(f"{check.outcome}:", COLOURS[check.outcome], bold=True)
    typer.echo(f"{label} {check.name}: {printable(check.message)}")
    if check.hint and check.outcome != "ok":
        typer.echo(f"    {printable(check.hint)}")


def _exit_code(checks: list[Check]) -> int:
    """Return the code of the first problem, 3 if something was unchecked, else 0."""
    problems = [check.exit_code for check in checks if check.outcome == "problem"]
    if problems:
        return problems[0]
    return UNCHECKED if any(check.outcome == "unchecked" for check in checks) else 0
