"""Locks between the processes of one machine: a file beside what they keep from each other."""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["lock_file"]


def lock_file(path: Path, *, wait: bool = True) -> IO[bytes]:
    """Lock a file, which is made where it is missing, until what this returns is closed.

    A file, as a folder can't be locked on NFS. It is left behind: deleting it would let two
    processes lock two files of one name. Raises OSError; without ``wait``, BlockingIOError where
    another process, or another open file of this one, has it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        file.close()
        raise
    return file
