"""Take what people type out of habit for what it means here, or say what does."""

from __future__ import annotations

SYNONYMS = {
    "add": "append",
    "annotate": "blame",
    "backup": "export",
    "commit": "append",
    "create": "init",
    "dump": "export",
    "fetch": "pull",
    "get": "show",
    "grep": "find",
    "history": "log",
    "info": "status",
    "list": "titles",
    "load": "import",
    "ls": "titles",
    "mirror": "clone",
    "new": "append",
    "put": "append",
    "restore": "import",
    "search": "find",
    "sync": "pull",
    "view": "show",
}
"""What other programs call a command, and its name here."""

BEFORE = {"--json", "-q", "--quiet", "--debug", "--store"}
"""The options of every command, which may also come before its name."""


def as_meant(arguments: list[str]) -> list[str]:
    """Return the command line that is meant.

    ``help log`` is ``log --help``, ``version`` is ``--version``, the options that every command has
    may come first, and ``log -5`` is ``log -n 5``.
    """
    early: list[str] = []
    rest = list(arguments)
    while rest and (rest[0] in BEFORE or rest[0].startswith("--store=")):
        taken = 2 if rest[0] == "--store" else 1
        early += rest[:taken]
        rest = rest[taken:]
    if not rest:
        return arguments
    command, *words = rest
    if command in {"version", "-V"}:
        return ["--version"]
    if command in {"help", "-h"}:
        return [*words, "--help"]
    if command in {"log", "titles", "changes"}:
        words = [f"-n{word[1:]}" if _is_count(word) else word for word in words]
    return [command, *early, *words]


def _is_count(word: str) -> bool:
    return word[:1] == "-" and word[1:].isascii() and word[1:].isdigit()
