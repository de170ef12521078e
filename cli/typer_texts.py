"""Pass strings on the command line through without typer's conversion.

Since 0.29, typer loads pydantic to convert the words of a command line. That takes 70 ms, as long
as all our own imports, and nearly all our parameters are plain strings. Typer still converts all
other values, and everything in versions that work differently.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from typer import main

if TYPE_CHECKING:
    from collections.abc import Callable

# typer evaluates the annotations of a command twice, and each time takes longer than over the rest.
_READ = "get_params_from_function"
if hasattr(main, _READ):
    setattr(main, _READ, cache(getattr(main, _READ)))


def keep_texts(command: Any) -> None:
    """Let a command and its subcommands take strings as they are."""
    context = command.context_class(command, **command.context_settings)
    for parameter in command.get_params(context):  # --help included
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is not None:
            parameter.process_value = _process(parameter, descriptor.annotation)
    for subcommand in getattr(command, "commands", {}).values():
        keep_texts(subcommand)


def _process(parameter: Any, annotation: object) -> Callable[[Any, Any], Any]:
    convert = parameter.process_value
    several = parameter.multiple or parameter.nargs != 1

    def process_value(context: Any, value: Any) -> Any:
        if value in (None, (), []) and not parameter.required:
            value = () if several else None
        elif annotation == list[str] and type(value) in {list, tuple}:
            value = list(value)
        elif annotation is not str or type(value) is not str:
            return convert(context, value)
        return parameter.callback(context, parameter, value) if parameter.callback else value

    return process_value
