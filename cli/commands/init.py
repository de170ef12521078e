"""``ledger init``: make a ledger, and a key that can sign in it."""

from __future__ import annotations

import getpass
import re
import shlex
import sys
from typing import Annotated

import typer

from cli import options
from cli.config import FOUND, Config, load_config, make_own_folder
from cli.keys import own_key
from cli.terminal.output import print_json
from cli.terminal.text import printable
from ledger import InvalidError, Keyring, Ledger, LedgerError, Signer, Store, create_key
from ledger.errors import LedgerExists
from ledger.format.keyring import check_origin
from ledger.signers import key_file
from ledger.stores import open_store
from ledger.titles.identity import find_origin


def init(
    place: Annotated[
        str | None,
        typer.Argument(metavar="STORE", help="A folder, or s3://BUCKET/PREFIX."),
    ] = None,
    *,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            metavar="NAME",
            help="The ledger's name, such as example.org/titles. It can never change. On a"
            " terminal, asked for if it is not given.",
        ),
    ] = None,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Make a ledger, and a key for you if you have none.

    Tests first whether the store is safe for many writers. Your keyring then trusts your key for
    the new ledger.
    """
    if place is not None and store is not None:
        raise typer.BadParameter("give the store only once, as STORE or as --store")
    config = load_config()
    url, source = config.choose_store(place if place is not None else store)
    opened = open_store(url)
    opened.check_writable()
    keyring = config.keyring()
    known = _find_known(opened, origin, config)
    name = known or check_origin(_ask_origin(url) if origin is None else origin)
    signer, made = _own_or_new_key(config, key)
    key_id = signer.public_key.key_id

    def trusting(keyring: Keyring) -> Keyring:
        return keyring if known else keyring.trust(name, signer.public_key, name=_nickname())

    Ledger.create(opened, origin=name, keyring=trusting(keyring), signer=signer)
    with config.changing():  # read again, as making a ledger takes a while
        config.save_keyring(trusting(config.keyring()))
        if known is None or source not in FOUND:  # a folder can't vouch for what is in it
            config.remember_store(opened, name)
    if as_json:
        print_json({"store": opened.url, "origin": name, "key": key_id, "key_made": made})
    elif not quiet:
        if made:
            typer.echo(f"made your key {key_id[:16]}: {config.key(key)}")
        verb = "made" if known is None else "there already:"
        typer.echo(f"{verb} the ledger {name} in {printable(opened.url)}")
        if known is None:
            typer.echo("to log it: ledger key generate --for log, then ledger seal --genesis")
        if _store_otherwise(config) != url:
            typer.echo(f"to use it: export LEDGER_STORE={shlex.quote(url)}")


def _ask_origin(url: str) -> str:
    """Ask for the ledger's name, on a terminal; raises InvalidError elsewhere."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("The ledger's name, such as example.org/titles")
        return asked
    raise InvalidError(
        "the ledger needs a name: it is in every entry, and can never change",
        hint=f"such as: ledger init {shlex.quote(url)} --origin example.org/titles",
    )


def _store_otherwise(config: Config) -> str | None:
    """Return the store that the next command will use."""
    try:
        return config.store()
    except LedgerError:
        return None


def _find_known(store: Store, origin: str | None, config: Config) -> str | None:
    """Return the ledger that is there, if it is known and the one asked for; refuse any other."""
    existing = find_origin(store)
    if existing is None:
        return None
    keyring = config.keyring()
    if existing in keyring.origins and origin in (None, existing):
        Ledger.open(store, keyring=keyring, origin=origin or config.origin_of(store))
        return existing
    raise LedgerExists(
        f"{store.url} holds a ledger already: {existing}",
        hint="to join it, get its registrar's public key, then:"
        f" ledger key trust FILE --origin {existing}",
    )


def _nickname() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return ""
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", name) else ""


def _own_or_new_key(config: Config, flag: str | None) -> tuple[Signer, bool]:
    path = key_file(config.key(flag))
    if path is None or path.exists() or flag is not None:
        return own_key(config, flag), False
    make_own_folder(path.parent)
    return create_key(path, config.given_passphrase()), True
