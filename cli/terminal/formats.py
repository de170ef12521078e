"""Print an entry in a form of the user's own: ``%h %t v%v %s``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer

from cli.terminal.output import signer_name
from cli.terminal.text import json_text, printable
from ledger.format.entry import entry_json

if TYPE_CHECKING:
    from ledger import Entry, Keyring, Stand

LETTERS = {
    "H": "address",
    "h": "short",
    "p": "parent",
    "t": "title_number",
    "v": "version",
    "d": "recorded_at",
    "g": "signer",
    "a": "author",
    "r": "reference",
    "s": "subject",
    "B": "message",
}
"""What a single letter stands for."""

FIELDS = {
    *("address", "title_number", "version", "parent", "recorded_at", "effective_at"),
    *("effective_until", "author", "message", "reference", "part", "kind", "status"),
    *("confirms", "erases", "voids", "key", "key_name", "ledger"),  # so far, those of --json
    *("document", "short", "signer", "standing", "subject"),
}
"""What ``%(NAME)`` may name."""

FIELD = re.compile(r"%(?:\(([a-z_]*)\)|(.?))", re.DOTALL)


def check_format(template: str) -> None:
    """Raise BadParameter for a field that is not there."""
    for found in FIELD.finditer(template):
        name, letter = found.groups()
        if name not in FIELDS and letter not in {*LETTERS, "n", "%"}:
            raise typer.BadParameter(
                f"--format has no field {found[0]!a}; it has %{', %'.join(LETTERS)}, %n, %% and"
                f" %(NAME) with one of {', '.join(sorted(FIELDS))}"
            )


def format_entry(template: str, entry: Entry, keyring: Keyring, stand: Stand) -> str:
    """Put the values of an entry into a template that was checked; what is not there is empty."""
    shown: dict[str, Any] = entry_json(entry, keyring)
    message: str = shown["message"] or ""
    shown |= {
        "short": entry.address[:8],
        "subject": message.split("\n", maxsplit=1)[0],
        "signer": signer_name(entry, keyring),
        "standing": stand.words,
        "document": None if entry.is_withheld else entry.document,
    }

    def spell(found: re.Match[str]) -> str:
        name, letter = found.groups()
        if letter in {"n", "%"}:
            return "\n" if letter == "n" else "%"
        value = shown[name or LETTERS[letter]]
        if value is None:
            return ""
        if isinstance(value, str):
            return "\n".join(map(printable, value.split("\n")))
        return json_text(value)

    return FIELD.sub(spell, template)
