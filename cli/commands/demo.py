"""``ledger demo``: play the whole story in a new folder, each command as a user would type it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.terminal.output import print_json, style
from ledger import InvalidError, Keyring, Ledger

TITLE = "TN1234567"
TAMPERED = 20

REGISTRATIONS = (
    ("--new --set proprietor='Ada Lovelace' --set price_paid:=185000", "first registration"),
    ("--set proprietor='Grace Hopper' --set price_paid:=240000", "sale"),
    ("--set charge='Bank of Yorkshire'", "mortgage"),
)


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="A new folder to use; default: a temporary one."),
    ] = None,
    *,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show what a ledger does, in a folder of its own.

    Registers three versions of a title, verifies them, changes one byte, and finds the change.

    Everything is in that folder, even the key. Nothing of yours is read or changed.
    """
    place = _Place(folder, quiet=quiet or as_json)
    place.run("ledger init titles --origin example.org/titles")
    for settings, message in REGISTRATIONS:
        place.run(f"ledger append {TITLE} {settings} -m '{message}'")
    place.run(f"ledger log {TITLE}")
    place.run(f"ledger diff {TITLE} HEAD~2 HEAD")
    place.run("ledger verify")
    place.say("Now somebody who can write to the store changes one byte of the second version:")
    file, offset = place.find_byte("Grace Hopper")
    place.run(f"printf X | dd of={file} bs=1 seek={offset} conv=notrunc status=none")
    place.run("ledger verify", expected=TAMPERED)
    place.say(f"Verification names the entry. Look around in {place.folder}, then delete it.")
    if as_json:
        print_json({"folder": str(place.folder), "title_number": TITLE, "tampered": str(file)})


class _Place:
    """A folder, and a shell in it that knows nothing about the user's own ledgers and keys."""

    def __init__(self, folder: Path | None, *, quiet: bool) -> None:
        if folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="ledger-demo-"))
        else:
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise InvalidError(f"cannot make {folder}: {error.strerror}") from error
            self.folder = folder.resolve()
        self.quiet = quiet
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LEDGER_", "S3_"))}
        config = str(self.folder / "config")
        self.environment = kept | {"XDG_CONFIG_HOME": config, "LEDGER_STORE": "titles"}

    def say(self, text: str) -> None:
        if not self.quiet:
            typer.echo(f"\n# {text}")

    def run(self, command: str, *, expected: int = 0) -> None:
        """Show a command, run it, and check its exit code."""
        if not self.quiet:
            typer.echo(style(f"\n$ {command}", typer.colors.BLUE, bold=True))
        sys.stdout.flush()
        ledger = f"{shlex.quote(sys.executable)} -m cli"
        done = subprocess.run(  # noqa: S602 -- our own lines, shown to the user as they run
            command.replace("ledger", ledger, 1) if command.startswith("ledger ") else command,
            shell=True,
            check=False,
            cwd=self.folder,
            env=self.environment | {"PAGER": "cat"},
            stdout=subprocess.DEVNULL if self.quiet else None,
        )
        if done.returncode != expected:
            raise RuntimeError(f"'{command}' ended with {done.returncode}, not {expected}")

    def find_byte(self, text: str) -> tuple[Path, int]:
        """Return the file of the second version, and where this text begins in it."""
        keyring = Keyring.decode((self.folder / "config/title-ledger/keyring.json").read_bytes())
        with Ledger.open(str(self.folder / "titles"), keyring=keyring) as ledger:
            entry = ledger.entry(TITLE, "v2")
        return Path("titles") / TITLE / f"{entry.address}.json", entry.data.index(text.encode())
