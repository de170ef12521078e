"""Forcing files, folders and their names to the disk.

A name is on the disk once the folder that it is in was forced there, the name of a folder, too. A
process may be stopped between making a folder and forcing its name, and whoever comes next finds
the folder there. So a name is forced again before something is put where it leads to.
"""

from __future__ import annotations

import fcntl
import os
import sys

__all__ = ["FOLDER", "make_folder", "sync", "sync_folder"]

FOLDER = os.O_RDONLY | os.O_DIRECTORY


def sync(descriptor: int) -> None:
    """Force a file's bytes, or a folder's names, to the disk."""
    if sys.platform == "darwin":  # there fsync(2) reaches the disk's cache only
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(path: str) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(path, FOLDER)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str, mode: int = 0o777) -> None:
    """Make a folder and those above it, or find them there: with its name on the disk.

    ``path`` is absolute; ``mode`` is of the folder alone. Raises OSError as it comes.
    """
    above = os.path.dirname(path)  # noqa: PTH120  as fast as it gets
    try:
        _sync_name(above)
    except FileNotFoundError:
        make_folder(above)
    try:
        os.mkdir(path, mode)  # noqa: PTH102
    except FileExistsError:
        _sync_name(path)
    else:
        sync_folder(above)


def _sync_name(path: str) -> None:
    """Force the name of a folder that is there to the disk, whoever made it.

    Not that of a mount point, nor one in a folder that may not be read: those we never made.
    """
    above = os.path.join(path, "..")  # noqa: PTH118  of the folder itself, if this is a link to it
    try:
        if os.stat(path).st_dev == os.stat(above).st_dev:  # noqa: PTH116
            sync_folder(above)
    except PermissionError:
        return
