"""What processes are given to do: they import this module, and so it imports little."""

from __future__ import annotations

import os
import signal

from ledger.format.layout import check_title_number


def shout(mark, words):
    return [(word.upper() + mark, os.getpid()) for word in words]


def check_titles(titles):
    return [check_title_number(title) for title in titles]


def end_in_a_worker(parent, words):
    """As if the system killed a process that took too much memory."""
    if os.getpid() != parent and "w9" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    return [word.upper() for word in words]


def stores_of(stores):
    return [type(store).__name__ for store in stores]
