"""The commands, one file each, and the app, which holds only those a command line needs."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = {
    "init": "init:init",
    "append": "append:append",
    "register": "register:register",
    "registration": "register:registration",
    "edit": "edit:edit",
    "revert": "edit:revert",
    "erase": "erase:erase",
    "settle": "settle:settle",
    "log": "log:log",
    "show": "show:show",
    "cat": "show:cat",
    "diff": "diff:diff",
    "blame": "blame:blame",
    "rev-parse": "rev_parse:rev_parse",
    "verify": "verify:verify",
    "audit": "audit:audit",
    "fsck": "fsck:fsck",
    "seal": "seal:seal",
    "checkpoint": "checkpoint:checkpoint",
    "prove": "prove:prove",
    "check": "check:check",
    "verifier": "verifier:verifier",
    "titles": "titles:titles",
    "changes": "changes:changes",
    "index": "index:index",
    "find": "find:find",
    "status": "status:status",
    "doctor": "doctor:doctor",
    "export": "export:export",
    "import": "import_:import_",
    "clone": "clone:clone",
    "pull": "pull:pull",
    "pack": "pack:pack",
    "recover": "recover:recover",
    "serve": "serve:serve",
    "demo": "demo:demo",
}
"""The module and the function of each command."""

KEY_COMMANDS = {
    "generate": "key:generate",
    "show": "key:show",
    "list": "key:list_",
    "trust": "key:trust",
    "untrust": "key:untrust",
}

TRUST_COMMANDS = {
    "init": "trust:init",
    "propose": "trust:propose",
    "show": "trust:show",
    "sign": "trust:sign",
    "publish": "trust:publish",
    "pin": "trust:pin",
    "log": "trust:log",
}

GROUPS = {
    "key": ("Manage your keys and the keys you trust.", KEY_COMMANDS),
    "trust": ("Say over the years whose keys count for a ledger.", TRUST_COMMANDS),
    "bundle": ("Work on bundles.", {"strip": "bundle:strip"}),
}
"""The commands that have commands of their own: what helps, and these."""

DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback with each error.")]
"""What every command has, and none reads: ``cli.app`` does, as one may fail before it runs."""

HELP = {"help_option_names": ["-h", "--help"]}
"""What typer takes for a wish for help, down to the last command."""


def make_app(arguments: list[str]) -> typer.Typer:
    """Make the app with the one command that the arguments name, or with all if they name none."""
    app = typer.Typer(
        name="ledger",
        help="A signed, content-addressed, versioned store of land-title entries.",
        no_args_is_help=True,
        context_settings=HELP,
        rich_markup_mode=None,  # a [word] in a help text is a word
        pretty_exceptions_enable=False,
    )
    app.callback()(_ledger)
    first = arguments[0] if arguments else ""
    names = [first] if first in {*COMMANDS, *GROUPS} else [*COMMANDS, *GROUPS]
    if first == "--version":
        names = []
    for name in names:
        if name in GROUPS:
            app.add_typer(_make_group(*GROUPS[name]), name=name)
        else:
            app.command(name, context_settings=HELP)(_load(COMMANDS[name]))
    return app


def _make_group(what: str, commands: dict[str, str]) -> typer.Typer:
    app = typer.Typer(help=what, no_args_is_help=True, context_settings=HELP, rich_markup_mode=None)
    for name, place in commands.items():
        app.command(name, context_settings=HELP)(_load(place))
    return app


def _load(place: str) -> Callable[..., int | None]:
    """Load the function of a command, and give it ``--debug``."""
    module, _, function = place.partition(":")
    command: Callable[..., int | None] = getattr(import_module(f"cli.commands.{module}"), function)

    @wraps(command)
    def run(*, debug: bool, **given: Any) -> int | None:  # noqa: ARG001 -- cli.app reads it
        return command(**given)

    taken = signature(command, eval_str=True)
    debug = Parameter("debug", Parameter.KEYWORD_ONLY, default=False, annotation=DebugOption)
    run.__signature__ = taken.replace(  # type: ignore[attr-defined]
        parameters=[*taken.parameters.values(), debug]
    )
    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ledger {__version__}")
        raise typer.Exit


def _ledger(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass
