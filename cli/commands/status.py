"""``ledger status``: show the ledger, the key and the log in use."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options
from cli.config import Config, load_config
from cli.keys import shown_key
from cli.session import check_place, count_registrars
from cli.terminal.output import print_json
from cli.terminal.text import printable
from ledger import Keyring, Ledger, LedgerError, NotFoundError, TrustError
from ledger.format.layout import parse_entry_key
from ledger.format.times import parse_time
from ledger.stores import FolderStore
from ledger.titles.trust_files import accepted_by
from ledger.verification.trust import trust_findings

UNSAID = {"problem", "oldest_pending_seconds"}
"""Members that are for programs; people get the same in other words."""


def status(
    *,
    count: Annotated[
        bool,
        typer.Option("--count", help="Count the titles, entries and bytes: list the whole store."),
    ] = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show which store, ledger, key and log are in use.

    Shows what the options, the environment and the files lead to, and how many titles and entries
    the index has, if there is one. If the ledger can't be opened,
    it then fails as any other command would.
    """
    config = load_config()
    source = config.choose_store(store)[1]
    keyring = config.keyring()
    problem: LedgerError | None = None
    shown_url = origin = None
    mine = False
    about_trust: dict[str, Any] = {}
    about_log: dict[str, Any] = {}
    try:
        opened = config.open_store(store)
        shown_url = opened.url  # only now, as a wrong name may hold credentials
        with Ledger.open(opened, keyring=keyring, origin=config.origin_of(opened)) as ledger:
            origin, keyring = ledger.origin, ledger.keyring
            about_trust = _trust_status(keyring)
            mine = _is_mine(config, ledger, store)
            about_log = _log_status(ledger) | (
                _counts(ledger) if count else _indexed(ledger, config)
            )
    except LedgerError as error:
        problem = error
    about_key = _key_status(config, key, keyring, origin)
    shown: dict[str, Any] = {
        "store": shown_url,
        "store_from": source,
        "ledger": origin,
        "configuration": str(config.folder),
        "registrars": count_registrars(keyring, origin),
        **about_key,
        "may_append": mine and about_key["may_append"],
        **about_trust,
        **about_log,
        "problem": str(problem) if problem else None,
    }
    if as_json:
        print_json(shown)
    elif not quiet:
        for name, value in shown.items():
            if value is not None and name not in UNSAID:
                label = name.replace("_", " ") + ":"
                typer.echo(f"{label:<15}{printable(_said(value))}")
    if problem is not None:
        raise problem


def _is_mine(config: Config, ledger: Ledger, flag: str | None) -> bool:
    try:
        check_place(config, ledger, flag)
    except TrustError:
        return False
    return True


def _said(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _trust_status(keyring: Keyring) -> dict[str, Any]:
    """Return which trust file is the newest, which one is pinned, and what is wrong with them."""
    trust = accepted_by(keyring)
    if trust is None:
        return {}
    found = trust_findings(keyring, datetime.now(UTC))
    return {
        "trust_version": trust.newest.version,
        "trust_pinned": trust.root.version,
        "trust_next": trust.newest.next,
        "trust_problem": "; ".join(finding.message for finding in found) or None,
    }


def _log_status(ledger: Ledger) -> dict[str, Any]:
    """Return the size of the log, its newest entry, and what waits to be sealed.

    A checkpoint has no time, so the newest entry's tells when the last seal was at the earliest.
    """
    from ledger import Log  # noqa: PLC0415 -- slow to load, so after what may fail at once

    log = Log(ledger)
    shown: dict[str, Any] = {"log_size": None, "log_newest": None, "log_problem": None}
    try:
        shown["log_size"] = log.checkpoint().checkpoint.size
        shown["log_problem"] = "; ".join(found.message for found in log.look()) or None
        newest = log.newest()
        if newest is not None:
            entry = ledger.entry(newest.title_number, newest.address)
            named = f"{newest.title_number} version {newest.version}"
            shown["log_newest"] = f"{named}, recorded {entry.recorded_at}"
    except NotFoundError:
        return shown  # without a log, nothing waits for it
    except LedgerError as error:
        shown["log_problem"] = str(error)
    if not ledger.store.is_listable:
        return shown  # what waits would have to be listed
    moves, oldest = log.pending()
    age = None if oldest is None else _seconds_since(oldest)
    return {**shown, "pending": moves, "waiting_since": oldest, "oldest_pending_seconds": age}


def _indexed(ledger: Ledger, config: Config) -> dict[str, Any]:
    """Return how much the index has, and as of when; nothing if there is none that counts."""
    path = config.index(ledger.origin)
    if not path.exists():
        return {}
    from ledger.index import Index  # noqa: PLC0415 -- slow to load

    index = Index(ledger, path)
    try:
        (titles, entries), as_of = index.counts(), index.coverage().updated_at
    except LedgerError as error:
        return {"index_problem": str(error)}
    return {"titles": titles, "entries": entries, "counted": f"by the index, as of {as_of}"}


def _counts(ledger: Ledger) -> dict[str, Any]:
    """Return how much is in the store: entries in no chain and objects of the log as well."""
    store = ledger.store
    folder = Path(store.path) if isinstance(store, FolderStore) else None
    titles = entries = size = 0
    last = ""
    for key in store.list():
        if folder:
            with suppress(FileNotFoundError):  # deleted since it was listed
                size += (folder / key).stat().st_size
        if (parsed := parse_entry_key(key)) is not None:
            titles += parsed[0] != last
            entries += 1
            last = parsed[0]
    by = "by the store's listing"
    return {"titles": titles, "entries": entries, "bytes": size if folder else None, "counted": by}


def _seconds_since(moment: str) -> int:
    return max(0, round((datetime.now(UTC) - parse_time(moment)).total_seconds()))


def _key_status(
    config: Config, flag: str | None, keyring: Keyring, origin: str | None
) -> dict[str, Any]:
    name = config.key(flag)
    shown: dict[str, Any] = {"signer": shown_key(name), "key": None, "key_problem": None}
    try:
        # Without a prompt, as looking around needs no secret.
        shown["key"] = config.signer(name, prompt=False).public_key.key_id
    except LedgerError as error:
        shown["key_problem"] = str(error)
    trusted = origin and shown["key"] and keyring.may_sign(origin, shown["key"])
    return {**shown, "may_append": bool(trusted)}
