"""Run one command line of ``ledger``, and turn what goes wrong into an exit code.

This module imports almost nothing, so that Ctrl-C works from the first moment and each command
loads only what it needs.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress
from typing import TextIO

OUTPUT_FAILED = 74
UNEXPECTED = 70
INTERRUPTED = 130

COMPLETE = "_LEDGER_COMPLETE"
"""The variable that a shell sets to ask for completions."""

OUTPUT_ERRORS = {errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EBADF}


def main() -> None:
    """Run the command line of this process, and exit."""
    _prepare_streams()
    # Imports make little garbage; collecting it takes a tenth of the start.
    gc.set_threshold(50_000)
    code = run(sys.argv[1:])
    if code == INTERRUPTED:
        _leave(code)
    gc.freeze()  # else the interpreter collects it as it ends: a fifth of a short command's time
    sys.exit(code)


def _leave(code: int) -> None:
    """End at once, where the interpreter would wait for reads that nobody needs any more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; docs/reference/cli.md lists them."""
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough (| head)
        _hush()
        return 0
    except KeyboardInterrupt:
        _complain("interrupted", "")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- a user sees no traceback, unless asked for
        return _fail(error, arguments)
    return code


def _prepare_streams() -> None:
    """Replace closed streams, and escape characters that the terminal's encoding lacks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 -- as a stream is
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _dispatch(arguments: list[str]) -> int:
    from typer import Exit  # noqa: PLC0415
    from typer.main import get_command  # noqa: PLC0415

    from cli.commands import make_app  # noqa: PLC0415
    from cli.habits import as_meant  # noqa: PLC0415
    from cli.typer_texts import keep_texts  # noqa: PLC0415

    arguments = as_meant(arguments)
    command = get_command(make_app(arguments))
    keep_texts(command)
    if COMPLETE in os.environ:
        command.main(arguments, prog_name="ledger")
    try:
        with command.make_context("ledger", list(arguments)) as context:
            return command.invoke(context) or 0
    except Exit as done:
        return done.exit_code


def _fail(error: Exception, arguments: list[str]) -> int:
    """Tell the user what went wrong, and return the exit code for it."""
    from typer import BadParameter  # noqa: PLC0415

    from ledger.errors import LedgerError  # noqa: PLC0415

    debug = "--debug" in arguments
    if debug:
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    if isinstance(error, LedgerError):
        _complain(str(error), error.hint)
        return error.exit_code
    if isinstance(error, BadParameter.__bases__):  # all that typer says of a command line
        return _fail_usage(error, arguments)
    if isinstance(error, OSError) and error.errno in OUTPUT_ERRORS and error.filename is None:
        _hush()
        _complain(f"cannot write the output: {error.strerror}", "")
        return OUTPUT_FAILED
    hint = "" if debug else "this is a bug; --debug shows where it happened"
    _complain(f"unexpected: {type(error).__name__}: {error}", hint)
    return UNEXPECTED


def _fail_usage(error: Exception, arguments: list[str]) -> int:
    plain = getattr(error, "param", None) is None
    message: str = error.message if plain and hasattr(error, "message") else ""
    message = message or getattr(error, "format_message", error.__str__)()
    what, said, _ = message.partition("Input should be a valid integer")
    message = f"{what}expected a whole number" if said else message
    context = getattr(error, "ctx", None)
    if message.startswith("Usage:"):  # no command was given, so typer answers with the help
        sys.stderr.write(message + "\n")
    else:
        command = " ".join(
            ["ledger", *arguments[:1]]
        )  # an error that typer finds before it has one
        where = context.command_path if context is not None else command
        hint = f"see '{where} --help'"
        is_first = context is not None and context.parent is None
        if message.startswith("No such command"):
            hint = _suggest(arguments, hint)
        elif is_first and message.startswith("No such option"):
            hint = "options come after the command's name; " + hint
        _complain(message[:1].lower() + message[1:].rstrip("."), hint)
    return 2


def _suggest(arguments: list[str], hint: str) -> str:
    """Return the hint about a command that is not there: perhaps it has another name here."""
    from cli.habits import SYNONYMS, as_meant  # noqa: PLC0415

    name = SYNONYMS.get(as_meant(arguments)[0])
    return f"here that is 'ledger {name}': see 'ledger {name} --help'" if name else hint


def _hush() -> None:
    from cli.terminal.text import hush  # noqa: PLC0415

    hush()


def _complain(message: str, hint: str) -> None:
    from cli.terminal.text import complain  # noqa: PLC0415

    complain(message, hint)
