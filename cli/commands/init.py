"""``ledger init``: make a ledger, and a key that may sign in it."""

from __future__ import annotations

import getpass
import platform
import re
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from cli.config import load_config
from cli.options import DebugOption, JsonOption, KeyOption, QuietOption, StoreOption
from cli.output import print_json, printable
from cli.session import own_key
from ledger import Ledger, create_key
from ledger.errors import LedgerExists, NotFoundError
from ledger.identity import read_origin
from ledger.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from cli.config import Config
    from ledger import Keyring, PrivateKey, Store

__all__ = ["init"]


def init(
    place: Annotated[
        str | None,
        typer.Argument(metavar="[STORE]", help="A folder, or s3://BUCKET/PREFIX."),
    ] = None,
    *,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            metavar="NAME",
            help="The ledger's name, like example.org/titles; it is in every entry, for ever.",
        ),
    ] = None,
    store: StoreOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make a ledger in STORE, after a test of whether it is safe for many writers.

    Makes your key if you have none, and trusts it for this ledger.
    """
    config = load_config()
    url = config.store(place or store)
    opened = open_store(url)
    keyring = config.keyring()
    _refuse_others(opened, origin, keyring)
    name = origin or _new_origin()
    signer, made = _own_or_new_key(config, key)
    if keyring.key(name, signer.key_id) is None:
        keyring = keyring.trust(name, signer.public_key, name=_nickname())
    Ledger.create(opened, origin=name, keyring=keyring, signer=signer)
    config.save_keyring(keyring)
    config.remember_store(url, name)
    if as_json:
        print_json({"store": opened.url, "origin": name, "key": signer.key_id, "key_made": made})
    elif not quiet:
        if made:
            typer.echo(f"made your key {signer.key_id[:16]}: {config.key_file(key)}")
        typer.echo(f"made the ledger {name} in {printable(opened.url)}")


def _new_origin() -> str:
    host = re.sub(r"[^a-z0-9-]", "", platform.node().lower()) or "localhost"
    return f"{host}/ledger-{secrets.token_hex(4)}"


def _refuse_others(store: Store, origin: str | None, keyring: Keyring) -> None:
    """Refuse a store that holds a ledger, unless it is the one asked for, and known."""
    try:
        existing = read_origin(store)
    except NotFoundError:
        return
    if existing != origin or existing not in keyring.origins:
        raise LedgerExists(
            f"{store.url} holds a ledger already: {existing}",
            hint="to join it, trust its registrar's key: "
            f"ledger key trust FILE --origin {existing}",
        )


def _nickname() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return ""
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", name) else ""


def _own_or_new_key(config: Config, flag: Path | None) -> tuple[PrivateKey, bool]:
    path = config.key_file(flag)
    if path.exists() or flag is not None:
        return own_key(config, flag), False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return create_key(path, config.given_passphrase()), True
