"""Open the ledger that the options name."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from cli.config import FOUND, Config, load_config
from cli.keys import own_key
from cli.terminal.output import note
from ledger import (
    Answer,
    Entry,
    Keyring,
    Ledger,
    NotStanding,
    OutcomeUnknown,
    Stand,
    StoreError,
    TrustError,
)
from ledger.format.law import find_in_law
from ledger.format.standing import STANDS
from ledger.format.times import Bound, as_bound, parse_bound, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = re.compile(r"(?=[0-9]*[a-f])(?P<prefix>[0-9a-f]{4,64})(?P<back>[~^0-9]*)")
"""An address, or how one begins, and how far to go back from it."""


def open_ledger(
    store: str | None,
    *,
    key: str | None = None,
    sign: bool = False,
    origin: str | None = None,
    connections: int | None = None,
    schema: Path | None = None,
    asks_schema: bool = True,
) -> Ledger:
    """Open the ledger that the options, the environment and the files name; to append, ``sign``.

    ``asks_schema``: False if no new document is registered, so that no schema can be in the way.
    """
    config = load_config()
    source = config.choose_store(store)[1]
    opened = config.open_store(store, connections)
    if sign:
        opened.check_writable()
    ledger = Ledger.open(
        opened,
        keyring=config.keyring(),
        origin=config.origin_of(opened) if origin is None else origin,
        signer=own_key(config, key) if sign else None,
        clock=config.now,
        check=config.check(schema) if sign and asks_schema else None,
    )
    if sign:
        check_place(config, ledger, store)
    if source not in FOUND:
        config.remember_link(opened)
    return ledger


def find_title(ledger: Ledger, title_number: str, revision: str = "HEAD") -> tuple[str, str]:
    """Return the title and the revision that the arguments name.

    If the first is an address, or how one begins, it is found in the whole ledger: it tells the
    title. A small letter shows that it is one; digits alone are a title's number.
    """
    named = PREFIX.fullmatch(title_number)
    if named is None:
        return title_number, revision
    if revision != "HEAD":
        raise typer.BadParameter(f"{title_number} is an address, so it can't be used with REV")
    found = ledger.find(named["prefix"])
    return found.title_number, found.address + named["back"]


def find_entry(
    ledger: Ledger, title_number: str, revision: str, effective: str | None, recorded: str | None
) -> Entry:
    """Return the entry that the arguments of a command name; see ``find_judged``."""
    return find_judged(ledger, title_number, revision, effective, recorded)[0].entry


def find_judged(
    ledger: Ledger, title_number: str, revision: str, effective: str | None, recorded: str | None
) -> tuple[Answer, Stand]:
    """Return the entry that the arguments of a command name, and how it stands.

    That is the one of a revision, or the one in law on a day as it was known on another; what was
    passed over for that is said on stderr. The entry's text may be erased.
    """
    title_number, revision = find_title(ledger, title_number, revision)
    if effective is None and recorded is None:
        entry, stand = next(ledger.history.judged_log(title_number, revision))
        return Answer(entry), stand
    if revision != "HEAD":
        raise typer.BadParameter("--effective and --recorded can't be used with REV")
    answer = ledger.answer(title_number, effective=effective, recorded=recorded)
    if answer.is_future:
        note("this is about the future: what is registered by then may still change it")
    for entry, stand in answer.passed_over:
        note(f"passed over: version {entry.version} ({stand.words})")
    return answer, STANDS


def find_base(
    ledger: Ledger, head: Entry, effective: str | None, first: Entry | None = None
) -> Entry:
    """Return the entry that a change on top of this head is made from; it has its text.

    That is what is in law when the new version begins, or else today: the newest one may be about a
    time that is over, or still to come. ``first``: this repeats that entry's append.
    """
    now = ledger.clock()
    # If that clock is ahead of this one, the new version is recorded at the same time.
    now = max(now, parse_time(head.recorded_at).astimezone(now.tzinfo))
    begins = parse_bound(effective) if effective else as_bound(now)
    above = head.version + 1
    if first:
        above, begins, now = first.version, first.begins, parse_time(first.recorded_at)

    def find(day: Bound) -> Entry | None:
        entries = ledger.history.standing_entries(head)
        return find_in_law((entry for entry in entries if entry.version < above), day)

    base = find(begins) or find(as_bound(now)) or ledger.entry(head.title_number, f"v{above - 1}")
    if base.version < head.version and not first:
        note(f"made from version {base.version}, which was in law, not from the newest one")
    return ledger.history.read_text(base)


def note_in_force(ledger: Ledger, head: Entry) -> None:
    """Say so if the version in force today is not the newest one."""
    now = ledger.clock()
    today = f"today ({now:%Y-%m-%d})"
    try:
        found = ledger.history.in_force(head, now)
    except NotStanding as error:
        note(f"nobody can tell which version is in force {today}: {error}")
        return
    if found is None:
        note(f"no version of {head.title_number} is in force {today}")
    elif found.version != head.version:
        note(f"version {found.version} is in force {today}, not version {head.version}")


def check_place(config: Config, ledger: Ledger, flag: str | None) -> None:
    """Refuse to sign if only the store itself says that it is the user's ledger.

    A store can claim to be any ledger. Whoever fills a folder or writes a project file could
    otherwise collect signatures that are valid in the real one.
    """
    source = config.choose_store(flag)[1]
    if config.remembered(ledger.store) == ledger.origin:
        return
    if source in FOUND:
        url = shlex.quote(ledger.store.url)
        raise TrustError(
            f"not signed: {source} leads to {ledger.store.url}, which says it is {ledger.origin},"
            " but you have never named that store yourself",
            hint=f"if it is right, record it: ledger init {url}",
            reason="wrong-ledger",
        )
    if config.origin is None and len(ledger.keyring.origins) > 1:
        raise TrustError(
            f"not signed: {ledger.store.url} says it is {ledger.origin}, but your keyring knows"
            " several ledgers, and this could be another one in its place",
            hint=f"if it is right, record it: ledger init {shlex.quote(ledger.store.url)}"
            f" --origin {ledger.origin}",
            reason="wrong-ledger",
        )


def count_registrars(keyring: Keyring, origin: str | None) -> int:
    """Count the keys that may sign entries of a ledger from now on."""
    return sum(
        trusted.role == "registrar" and keyring.may_sign(trusted.origin, trusted.key.key_id)
        for trusted in keyring
        if trusted.origin == origin
    )


@contextmanager
def in_steps() -> Iterator[None]:
    """Add to a store's error that the steps before it stay done."""
    try:
        yield
    except (OutcomeUnknown, StoreError) as error:
        said = "what was done before stays; the same command again does the rest"
        error.hint = f"{error.hint}; {said}" if error.hint else said
        raise
