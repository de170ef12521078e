"""Disks that are full, have no inodes left, or can't be written: a clean error, and the old state.

The store, or the memory of the sealer, lies on a small disk in memory, with room for so many pages,
or so many files, more than it holds. Only root may mount one.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from tests.faults.commands import (
    COMMANDS,
    ONE_AT_A_TIME,
    check_code,
    check_repeated,
    check_state,
    make_shell,
)
from tests.faults.tally import Tally, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Result, Shell

NAME = "writes on a disk that is full, out of inodes or read-only"
PAGE = os.sysconf("SC_PAGE_SIZE")
MOST = 60
"""Pages or inodes that no command needs more of."""


class Disk:
    """A small disk in memory, over a folder, with a copy of what the folder holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def allow(self, *, pages: int = 1000, inodes: int = 1000, mode: str = "rw") -> None:
        """Leave room for so many pages and files more than there are."""
        status = os.statvfs(self.folder)
        used = status.f_blocks - status.f_bfree, status.f_files - status.f_ffree
        size = (used[0] + pages) * status.f_frsize
        self.mount(f"remount,{mode},size={size},nr_inodes={used[1] + inodes}")

    def mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextmanager
def disk_over(folder: Path) -> Iterator[Disk]:
    aside = folder.with_name(f"{folder.name} aside")
    shutil.copytree(folder, aside)
    disk = Disk(folder)
    disk.mount("size=16m,nr_inodes=4k")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield disk
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True, timeout=60)
        shutil.rmtree(aside)


@cache
def missing() -> str:
    """Why no disk can be mounted here; empty where one can."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "place"
        place.mkdir()
        try:
            with disk_over(place):
                return ""
        except (OSError, subprocess.CalledProcessError) as error:
            return f"only root may mount a small disk: {error}"


def fill(
    made: Shell, place: Path, name: str, what: str, room: int, *, memory: bool = False
) -> Tally:
    """Run a command with so much room; a tally of 0 where that was enough."""
    tally, command = Tally(NAME), COMMANDS[name]
    where = f"{name}, {room} {what}{' for the memory' * memory}"
    shell = made.copied_to(place)
    full = shell.home / ".local" / "state" / "title-ledger" if memory else shell.store
    with ExitStack() as mounted:
        disk = mounted.enter_context(disk_over(full))
        disk.allow(**({"mode": "ro"} if what == "read-only" else {what: room}))
        with ONE_AT_A_TIME:
            done = shell(command.line, code=None)
        check_code(tally, where, done.code, done.err)
        check_state(tally, shell, command, where, out=done.data, err=done.err, code=done.code)
        disk.allow()
        check_repeated(tally, shell, command, where)
    tally.count = int(done.code != 0)
    return tally


def fill_each(
    made: Shell, folder: Path, name: str, what: str, *, memory: bool = False, step: int = 1
) -> Iterator[Tally]:
    """Leave room for nothing, for one, for two, …, until there is enough; or in larger steps."""
    for room in count(step=step):
        place = folder / f"{name} {room} {what} {memory}"
        one = fill(made, place, name, what, room, memory=memory)
        yield one
        if what == "read-only" or not one.count:
            assert one.count or room, f"{name} needs no {what}"
            return
        assert room < MOST


def limit(made: Shell, place: Path, name: str, size: int) -> Tally:
    """Run a command that may make no file larger than so many bytes (RLIMIT_FSIZE)."""
    tally, command = Tally(NAME), COMMANDS[name]
    where = f"{name}, files of {size} bytes"
    shell = made.copied_to(place)
    done = limited(shell, command.line, size)
    check_code(tally, where, done.code, done.err)
    check_state(tally, shell, command, where, out=done.data, err=done.err, code=done.code)
    check_repeated(tally, shell, command, where)
    tally.count = int(done.code != 0)
    return tally


def limited(shell: Shell, line: str, size: int) -> Result:
    """Run a command that may write no file of more than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python would keep modules that are cut off.
    with ONE_AT_A_TIME, mock.patch.object(sys, "dont_write_bytecode", True):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            return shell(line, code=None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@part(NAME)
def every_disk() -> Iterator[Tally]:
    total = Tally(NAME)
    if missing():
        total.name = f"{NAME}: not run, {missing()}"
        yield total
        return
    with tempfile.TemporaryDirectory(prefix="title-ledger-") as name:
        folder = Path(name)
        made = make_shell(folder / "made")
        for command in COMMANDS:
            for what in ("pages", "inodes", "read-only"):
                for tally in fill_each(made, folder, command, what):
                    total.add(tally)
        for what in ("pages", "inodes", "read-only"):
            for tally in fill_each(made, folder, "seal", what, memory=True):
                total.add(tally)
        for command in COMMANDS:
            for size in range(0, 1000, 50):
                total.add(limit(made, folder / f"{command} {size}", command, size))
    yield total
