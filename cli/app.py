"""The command ``ledger``: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import (
    append,
    bundles,
    demo,
    diff,
    fsck,
    init,
    key,
    log,
    recover,
    show,
    status,
    titles,
    verify,
)
from cli.output import printable
from ledger import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["app", "main"]

UNEXPECTED = 70
INTERRUPTED = 130

app = typer.Typer(
    name="ledger",
    help="A signed, content-addressed, versioned store of land-title entries.",
    no_args_is_help=True,
    rich_markup_mode=None,  # a [word] in a help text is a word
    pretty_exceptions_enable=False,
)
keys = typer.Typer(
    help="Private keys, and whose signatures count.", no_args_is_help=True, rich_markup_mode=None
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ledger {version('title-ledger')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """The command with its outcome turned into an exit code: its own, or that of its error."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        try:
            code = command(**options)
            sys.stdout.flush()
        except LedgerError as error:
            _complain(str(error), error.hint)
            code = error.exit_code
        except BrokenPipeError:
            # The reader has seen enough (| head). Nothing more may be written, at exit neither.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0
        except KeyboardInterrupt:
            _complain("interrupted", "")
            code = INTERRUPTED
        except typer.Exit:
            raise
        except Exception as error:
            if isinstance(error, typer.BadParameter):
                raise
            name = f"{type(error).__name__}: {error}"
            _complain(f"unexpected: {name}", "this is a defect; --debug shows where it happened")
            code = UNEXPECTED
        else:
            raise typer.Exit(code or 0)
        if options.get("debug"):
            traceback.print_exc()
        raise typer.Exit(code)

    return run


def _complain(message: str, hint: str) -> None:
    typer.echo(f"ledger: error: {printable(message)}", err=True)
    if hint:
        typer.echo(f"ledger: hint: {printable(hint)}", err=True)


COMMANDS: dict[str, Callable[..., int | None]] = {
    "init": init.init,
    "append": append.append,
    "log": log.log,
    "show": show.show,
    "cat": show.cat,
    "diff": diff.diff,
    "verify": verify.verify,
    "fsck": fsck.fsck,
    "titles": titles.titles,
    "status": status.status,
    "export": bundles.export,
    "import": bundles.import_,
    "recover": recover.recover,
    "demo": demo.demo,
}
KEY_COMMANDS: dict[str, Callable[..., int | None]] = {
    "generate": key.generate,
    "show": key.show,
    "list": key.list_,
    "trust": key.trust,
    "untrust": key.untrust,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_guarded(_command))
for _name, _command in KEY_COMMANDS.items():
    keys.command(_name)(_guarded(_command))
app.add_typer(keys, name="key")


def main() -> None:
    """Run the command line."""
    app()
