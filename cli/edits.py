"""Apply ``--set`` and ``--unset`` options to a document.

``name=text`` sets a member to a string, ``name:=json`` to any JSON value. A name that begins with
``/`` is a JSON pointer (RFC 6901); a pointer that ends with ``-`` appends to a list.
"""

from __future__ import annotations

import re
from typing import Any

import typer

from ledger import InvalidError, MalformedError
from ledger.format.canonical import decode

INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
BAD_ESCAPE = re.compile(r"~(?![01])")


def apply_edits(
    document: dict[str, Any],
    settings: list[str] | None,
    removals: list[str] | None,
    patch: dict[str, Any] | None,
) -> dict[str, Any]:
    """Merge, set, then take out, in place, and return the document; raises InvalidError.

    What is to be taken out has to be there.
    """
    if patch:
        _merge(document, patch)
    apply_settings(document, settings or [])
    for name in removals or []:
        if not _take_out(document, name):
            raise InvalidError(f"--unset {name!a:.80}: there is no such place in the document")
    return document


def _merge(document: dict[str, Any], patch: dict[str, Any]) -> None:
    """Apply a merge patch (RFC 7396)."""
    for name, value in patch.items():
        if value is None:
            document.pop(name, None)
        elif isinstance(value, dict):
            inner = document[name] if isinstance(document.get(name), dict) else {}
            document[name] = inner
            _merge(inner, value)
        else:
            document[name] = value


def apply_settings(document: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Change a document in place and return it; raises InvalidError or MalformedError."""
    named: set[str] = set()
    for setting in settings:
        name, value = _parse(setting)
        if name in named and not name.endswith("/-"):
            raise InvalidError(
                f"--set {name!a:.80}: given twice", hint="keep the one that is meant"
            )
        named.add(name)
        _put(document, _path(name, "--set"), value, name)
    return document


def apply_removals(document: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Take members out of a document in place, if they are there, and return it."""
    for name in names:
        _take_out(document, name)
    return document


def _take_out(document: dict[str, Any], name: str) -> bool:
    """Take out what is at a place, and tell whether there was anything."""
    *parents, last = _path(name, "--unset")
    target: Any = document
    try:
        for part in parents:
            target = target[_index(part)] if isinstance(target, list) else target[part]
        del target[_index(last) if isinstance(target, list) else last]
    except (LookupError, ValueError, TypeError):
        return False
    return True


def _path(name: str, option: str) -> list[str]:
    if not name.startswith("/"):
        if "/" in name:
            escaped = name.replace("~", "~0").replace("/", "~1")
            raise InvalidError(
                f"{option} {name!a:.80}: is it a place inside, or a name with a slash?",
                hint=f"write /{name} for the place, or /{escaped} for the name",
            )
        return [name]
    if BAD_ESCAPE.search(name):
        raise InvalidError(
            f"{option} {name!a:.80}: not a JSON pointer",
            hint="write ~ as ~0, and / in a name as ~1",
        )
    return [part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/")]


def _parse(setting: str) -> tuple[str, Any]:
    name, equals, text = setting.partition("=")
    if not equals or not name.strip(":"):
        raise typer.BadParameter(f"--set {name}{equals}: expected NAME=TEXT or NAME:=JSON")
    if not name.endswith(":"):
        return name, text
    try:
        return name[:-1], decode(text.encode("utf-8", "surrogateescape"))
    except MalformedError as error:
        raise type(error)(f"--set {name[:-1]!a:.80}: {error}", hint=error.hint) from None


def _put(target: Any, path: list[str], value: object, name: str) -> None:
    *parents, last = path
    try:
        for part in parents:
            target = target[_index(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list) and last == "-":
            target.append(value)
        elif isinstance(target, list):
            target[_index(last)] = value
        else:
            target[last] = value
    except (LookupError, ValueError, TypeError):
        raise InvalidError(
            f"--set {name!a:.80}: there is no such place in the document",
            hint="set the object or the list around it first, with --set NAME:=JSON",
        ) from None


def _index(part: str) -> int:
    if not INDEX.fullmatch(part):
        raise ValueError(part)
    return int(part)
