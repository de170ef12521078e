"""``ledger status``: which ledger, which key, whom you trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cli.config import load_config
from cli.options import DebugOption, JsonOption, KeyOption, QuietOption, StoreOption
from cli.output import print_json, printable
from cli.session import own_key
from ledger import Ledger, LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.config import Config
    from ledger import Keyring

__all__ = ["status"]


def status(
    *,
    store: StoreOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Show which store, ledger and key these options, files and variables lead to."""
    config = load_config()
    url = config.store(store)
    keyring = config.keyring()
    problem: LedgerError | None = None
    origin = None
    try:
        with Ledger.open(url, keyring=keyring, origin=config.origin_of(url)) as ledger:
            url, origin = ledger.store.url, ledger.origin
    except LedgerError as error:
        problem = error
    shown: dict[str, Any] = {
        "store": url,
        "ledger": origin,
        "problem": str(problem) if problem else None,
        "configuration": str(config.folder),
        "registrars": sum(t.origin == origin and t.role == "registrar" for t in keyring),
        **_key_status(config, key, keyring, origin),
    }
    if as_json:
        print_json(shown)
    elif not quiet:
        for name, value in shown.items():
            if value is not None:
                typer.echo(f"{name + ':':<15}{printable(str(value))}")
    return problem.exit_code if problem else 0


def _key_status(
    config: Config, flag: Path | None, keyring: Keyring, origin: str | None
) -> dict[str, Any]:
    path = config.key_file(flag)
    try:
        key_id = own_key(config, flag).key_id
    except LedgerError as error:
        return {"key_file": str(path), "key": str(error), "may_append": False}
    trusted = origin is not None and keyring.key(origin, key_id) is not None
    return {"key_file": str(path), "key": key_id, "may_append": trusted}
