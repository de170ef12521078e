"""A shell for the tests: runs command lines in a folder and a home of their own."""

from __future__ import annotations

import io
import json
import os
import select
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO
from unittest import mock

import typer

from cli import commands, typer_texts
from cli.app import run
from ledger import Keyring, Ledger, load_key
from ledger.testing import FixedClock

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

TITLE = "TN1234567"
ORIGIN = "example.org/titles"
PATIENCE = 60


def _prepare_once() -> None:
    """Let typer make each command once, not for each line: it takes as long as most of them do."""
    make = commands.make_app
    made = cache(lambda first: make([first]))
    alone = {*commands.COMMANDS, *commands.GROUPS, "--version"}

    def make_app(arguments: list[str]) -> typer.Typer:
        first = arguments[0] if arguments else ""
        return made(first if first in alone else "")

    commands.make_app = make_app
    typer.main.get_command = cache(typer.main.get_command)
    typer_texts.keep_texts = cache(typer_texts.keep_texts)


_prepare_once()


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    data: bytes
    err: str

    @property
    def out(self) -> str:
        return self.data.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """The one object that was printed."""
        (line,) = self.lines
        return json.loads(line)

    @property
    def objects(self) -> list[Any]:
        """The objects that were printed, one a line."""
        return [json.loads(line) for line in self.lines]


class Shell:
    """Runs ``ledger`` in a folder; nothing of the developer's own configuration is seen."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self.config = home / ".config" / "title-ledger"
        self.environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}

    @classmethod
    def make(cls, folder: Path) -> Shell:
        """A shell in a folder, its home beside it; both are made where they are missing."""
        home = folder.with_name(f"home of {folder.name}")
        for path in (folder, home):
            path.mkdir(exist_ok=True)
        return cls(folder, home)

    def copied_to(self, place: Path) -> Shell:
        """The same in another place: the folder, and the home beside it, which knows the store."""
        shutil.copytree(self.folder, place)
        shell = Shell.make(place)
        shutil.copytree(self.home, shell.home, dirs_exist_ok=True)
        known = shell.config / "stores.json"
        known.write_text(known.read_text().replace(str(self.folder), str(shell.folder)))
        return shell

    def __call__(
        self, line: str, *words: str, stdin: bytes = b"", code: int | None = 0, **environment: str
    ) -> Result:
        """Run ``ledger LINE WORDS…`` in this process; the exit code has to be ``code``, if any."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        given = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        got = self._run([*shlex.split(line), *words], given, out, err, environment)
        out.flush()
        result = Result(got, out.buffer.getvalue(), err.getvalue())  # type: ignore[attr-defined]
        said = f"ledger {line} ended with {got}:\n{result.out}\n{result.err}"
        assert code is None or got == code, said
        return result

    def _run(
        self, words: list[str], given: TextIO, out: TextIO, err: TextIO, more: dict[str, str]
    ) -> int:
        with (
            chdir(self.folder),
            mock.patch.dict(os.environ, self.environment | more),
            mock.patch("sys.stdin", given),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                return run(words)
            except SystemExit as ended:  # how typer ends a completion
                return int(ended.code or 0)

    def fails(self, code: int, line: str, *words: str, **options: Any) -> str:
        """Run a command that has to fail with this code, and return what it says."""
        return self(line, *words, code=code, **options).err

    # -- In this process, on something real ----------------------------------------------------

    def unread(self, line: str) -> Result:
        """Run a command whose stdout is a pipe from which nobody reads any more."""
        reading, writing = os.pipe()
        os.close(reading)
        err = io.StringIO()
        with os.fdopen(writing, "w") as out:
            code = self._run(shlex.split(line), io.StringIO(), out, err, {})
        return Result(code, b"", err.getvalue())

    def encoded(self, encoding: str, line: str) -> str:
        """What a command prints whose stdout has this encoding."""
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        assert not self._run(shlex.split(line), io.StringIO(), out, io.StringIO(), {})
        out.seek(0)
        return out.read()

    def on_terminal(self, line: str, **environment: str) -> Result:
        """Run a command that asks for nothing on a terminal of 80 columns."""
        ours, theirs = os.openpty()
        size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm", "PAGER": ""}
        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(_read_all, ours)
            with os.fdopen(theirs, "r+b", buffering=0) as tty:
                given, out, err = (io.TextIOWrapper(tty, write_through=True) for _ in range(3))
                code = self._run(shlex.split(line), given, out, err, size | environment)
                for stream in (given, out, err):
                    stream.detach()
            return Result(code, seen.result(PATIENCE).replace(b"\r\n", b"\n"), "")

    # -- Real processes ------------------------------------------------------------------------

    def command(self, line: str) -> list[str]:
        return [sys.executable, "-m", "cli", *shlex.split(line)]

    def popen(self, line: str, **options: Any) -> subprocess.Popen[bytes]:
        environment = os.environ | self.environment | options.pop("environment", {})
        return subprocess.Popen(self.command(line), cwd=self.folder, env=environment, **options)

    def bash(self, script: str) -> Result:
        """Run a script in which ``ledger`` is the command."""
        ledger = f'ledger() {{ {shlex.quote(sys.executable)} -m cli "$@"; }}\nset -o pipefail\n'
        done = subprocess.run(
            ["bash", "-c", ledger + script],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    def terminal(self, line: str, *replies: str, **environment: str) -> Result:
        """Run on a terminal of 80 columns; each reply is typed when a line ends with a colon."""
        ours, theirs = os.openpty()
        size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
        process = self.popen(
            line,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            environment=size | environment,
        )
        os.close(theirs)
        seen, waiting = b"", list(replies)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                chunk = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that the other side has gone
                break
            if not chunk:
                break
            seen += chunk
            if waiting and seen.endswith(b": "):
                os.write(ours, waiting.pop(0).encode() + b"\n")
        else:
            process.kill()
        os.close(ours)
        return Result(process.wait(60), seen.replace(b"\r\n", b"\n"), "")

    # -- What is there -------------------------------------------------------------------------

    @property
    def store(self) -> Path:
        return self.folder / "ledger-data"

    def keyring(self) -> Keyring:
        return Keyring.decode((self.config / "keyring.json").read_bytes())

    def listing(self) -> dict[str, bytes]:
        """Every file in the store, with its bytes."""
        files = (path for path in sorted(self.store.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.store)): path.read_bytes() for path in files}

    def append_at(self, *moments: datetime, title_number: str = TITLE) -> list[str]:
        """Append a version at each of these moments; returns the addresses."""
        clock = FixedClock()
        signer = load_key(self.config / "key.pem")
        with Ledger.open(
            str(self.store), keyring=self.keyring(), signer=signer, clock=clock
        ) as ledger:
            addresses = []
            for number, clock.now in enumerate(moments, 1):
                entry = ledger.append(title_number, {"n": number}, message=f"number {number}")
                addresses.append(entry.address)
        return addresses

    def addresses(self, title_number: str = TITLE) -> list[str]:
        """The addresses of a title, oldest first."""
        found = self(f"log {title_number} --oneline --reverse --json").objects
        return [entry["address"] for entry in found]


def _read_all(terminal: int) -> bytes:
    """What is shown on a terminal until its other side is closed."""
    seen = b""
    with os.fdopen(terminal, "rb", buffering=0) as ours:
        while True:
            try:
                chunk = ours.read(1 << 16)
            except OSError:  # how Linux says that the other side has gone
                return seen
            if not chunk:
                return seen
            seen += chunk
