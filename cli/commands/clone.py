"""``ledger clone``: make a copy of a ledger."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from cli import options
from cli.config import Config, load_config
from cli.copies import bring
from cli.inputs import read_keys
from cli.terminal.text import printable
from cli.trust_files import check_pin, find_file
from ledger import Store, TrustError
from ledger.format.keyring import Role, Root
from ledger.titles.identity import read_origin


def clone(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="https://HOST/PATH, s3://BUCKET/PREFIX, or a folder."
        ),
    ],
    copy: Annotated[str, typer.Argument(metavar="COPY", help="A folder, or s3://BUCKET/PREFIX.")],
    *,
    pin: Annotated[
        str | None,
        typer.Option(
            "--pin",
            metavar="FILE|SHA256",
            help="Pin this trust file of the ledger first, as 'ledger trust pin' does.",
        ),
    ] = None,
    registrar: Annotated[
        list[str] | None,
        typer.Option(
            "--registrar",
            metavar="FILE",
            help="Trust these public keys as registrars of the ledger first. Repeat it.",
        ),
    ] = None,
    log_key: Annotated[
        list[str] | None,
        typer.Option(
            "--log-key",
            metavar="FILE",
            help="Trust these public keys as those of the ledger's log first. Repeat it.",
        ),
    ] = None,
    origin: options.OriginOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Make a copy of a ledger, and verify all of it on the way in.

    The titles come from the ledger's log, so the source need not be listed. Each is verified before
    it is written. The copy goes as far as the log does. One that was cut off is finished by the
    same command, or by 'ledger pull'.

    The source may be the service of a ledger, or a web server over its folder. A token for it is
    read from LEDGER_TOKEN.

    Exits with 3 if texts are left that should be erased.
    """
    config = load_config()
    there = config.open_named(source, connections)
    here = config.open_named(copy, connections)
    here.check_writable()
    name = read_origin(there, origin or config.origin_of(there) or config.origin_of(here))
    _trust(config, there, name, pin, {"registrar": registrar or [], "log": log_key or []})
    code = bring(config, there, name, here, as_json=as_json, quiet=quiet, cloning=True)
    if not (as_json or quiet):
        typer.echo(f"a copy of {name} is in {printable(here.url)}")
        typer.echo(f"to audit it: ledger audit --store {shlex.quote(copy)}")
        typer.echo(f"to keep it up to date: ledger pull --store {shlex.quote(copy)}")
    return code


def _trust(
    config: Config, store: Store, origin: str, pin: str | None, keys: dict[Role, list[str]]
) -> None:
    """Trust what the options name, from now on."""
    if pin is None and not any(keys.values()):
        return
    keyring = config.keyring()
    if pin is not None:
        file = find_file(pin, lambda: (store, origin))
        if file.origin != origin:
            raise TrustError(
                f"{pin} is a trust file of {file.origin}, and {store.url} holds {origin}",
                reason="wrong-ledger",
            )
        root = Root(file.origin, file.digest, file.version)
        check_pin(keyring.root(origin), root, f"ledger trust pin --replace {pin} --store COPY")
        keyring = keyring.pin(root)
    elif keyring.root(origin) is not None:
        raise TrustError(
            f"the trust files of {origin} say whose keys count, and your keyring has pinned one",
            hint="leave --registrar and --log-key out",
        )
    for role, files in keys.items():
        for key in (key for file in files for key in read_keys(file)):
            keyring = keyring.trust(origin, key, role=role)
    with config.changing():
        config.save_keyring(keyring)
