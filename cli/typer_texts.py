"""Texts that are texts: typer's own conversion is left out where there is nothing to convert.

From 0.29 on, typer loads pydantic to turn the words of a command line into values: 70 ms, as much
as all of our own imports, and nearly all our parameters are texts. Where typer is another one, or
a value needs more than to be passed on, typer does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["keep_texts"]


def keep_texts(command: Any) -> None:
    """Let a command, and those below it, take their texts as they are."""
    for parameter in command.get_params(command.context_class(command)):  # with --help
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
