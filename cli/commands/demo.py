"""``ledger demo``: the whole story in a fresh folder, each command as a user would type it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.options import DebugOption, JsonOption, QuietOption
from cli.terminal.output import print_json, style
from ledger import InvalidError, Keyring, Ledger

__all__ = ["demo"]

TITLE = "TN1234567"
TAMPERED = 20

REGISTRATIONS = (
    ("--set proprietor='Ada Lovelace' --set price_paid:=185000", "first registration"),
    ("--set proprietor='Grace Hopper' --set price_paid:=240000", "sale"),
    ("--set charge='Bank of Yorkshire'", "mortgage"),
)


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="A new folder to play in; else a temporary one."),
    ] = None,
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Play the whole story in a folder of its own.

    Mints three versions of a title, looks at them, verifies, changes one byte, and sees it named.

    Everything, the key too, is in a folder of its own: nothing of yours is read or changed.
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
    place.say(f"It has been named. All of this is in {place.folder}; look around, then delete it.")
    if as_json:
        print_json({"folder": str(place.folder), "title_number": TITLE, "tampered": str(file)})


class _Place:
    """A folder, and a shell in it that knows nothing of the user's own ledgers and keys."""

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
        """Show a command, run it, and insist on its exit code."""
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
        """The file of the second version, and where in it this text begins."""
        keyring = Keyring.decode((self.folder / "config/title-ledger/keyring.json").read_bytes())
        with Ledger.open(str(self.folder / "titles"), keyring=keyring) as ledger:
            entry = ledger.entry(TITLE, "v2")
        return Path("titles") / TITLE / f"{entry.address}.json", entry.data.index(text.encode())
