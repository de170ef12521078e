"""``ledger key``: the user's own key, and the keyring that says whose signatures count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.config import load_config
from cli.options import DebugOption, JsonOption, KeyOption, QuietOption
from cli.output import print_json, printable
from cli.session import own_key
from ledger import InvalidError, NotFoundError, PublicKey, TrustError, create_key
from ledger.keyring import ROLES

__all__ = ["generate", "list_", "show", "trust", "untrust"]

OriginOption = Annotated[
    str, typer.Option("--origin", metavar="NAME", help="The ledger for which it counts.")
]


def generate(
    *,
    key: KeyOption = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Ask for a passphrase (or LEDGER_PASSPHRASE_FILE).")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make your private key. A key that is there is never overwritten."""
    config = load_config()
    path = config.key_file(key)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase = config.new_passphrase() if encrypt else config.given_passphrase()
    made = create_key(path, passphrase)
    if as_json:
        print_json({"key": made.key_id, "file": str(path), "encrypted": passphrase is not None})
    elif not quiet:
        typer.echo(f"made the key {made.key_id}")
        typer.echo(f"in {path}" + (", encrypted" if passphrase else ""))


def show(
    *,
    key: KeyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print your public key (PEM), for others to trust; its id goes to stderr."""
    public = own_key(load_config(), key).public_key
    pem = public.pem().decode()
    if as_json:
        print_json({"key": public.key_id, "public_key": pem})
    else:
        if not quiet:
            typer.echo(f"key id {public.key_id}", err=True)
        typer.echo(pem, nl=False)


def list_(
    *, as_json: JsonOption = False, quiet: QuietOption = False, debug: DebugOption = False
) -> None:
    """List the keys that count, by ledger and role."""
    for trusted in load_config().keyring():
        if as_json:
            print_json(
                {
                    "origin": trusted.origin,
                    "role": trusted.role,
                    "key": trusted.key.key_id,
                    "name": trusted.name,
                }
            )
        else:
            name = f"  {printable(trusted.name)}" if trusted.name else ""
            typer.echo(f"{trusted.key.key_id}  {trusted.role:<9}  {trusted.origin}{name}")


def trust(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A public key (PEM).")],
    *,
    origin: OriginOption,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="registrar, log or witness.")
    ] = "registrar",
    name: Annotated[
        str, typer.Option("--name", metavar="NICK", help="What to call it in listings.")
    ] = "",
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="ID", help="The key id that its owner told you."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Let a public key count for a ledger. Ask its owner for the key id, over another channel."""
    if role not in ROLES:
        raise InvalidError(f"not a role: {role!a:.40} (one of {', '.join(ROLES)})")
    try:
        public = PublicKey.from_pem(file.read_bytes())
    except OSError as error:
        raise NotFoundError(f"cannot read {file}: {error.strerror}") from error
    if fingerprint is not None and fingerprint != public.key_id:
        raise TrustError(
            f"{file} holds the key {public.key_id}, not {fingerprint!a:.80}",
            hint="do not trust it; ask its owner for the file and the id again",
        )
    config = load_config()
    keyring = config.keyring().trust(origin, public, role=role, name=name)
    config.save_keyring(keyring)
    if as_json:
        print_json({"key": public.key_id, "origin": origin, "role": role, "name": name})
    elif not quiet:
        typer.echo(f"key {public.key_id} counts as {role} of {origin} now")


def untrust(
    key_id: Annotated[str, typer.Argument(metavar="KEYID", help="A key id, or how it begins.")],
    *,
    origin: Annotated[
        str | None,
        typer.Option("--origin", metavar="NAME", help="Only for this ledger; else for all."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Let a key count no more: what it signed doesn't verify any longer."""
    config = load_config()
    keyring = config.keyring()
    found = sorted({t.key.key_id for t in keyring if t.key.key_id.startswith(key_id)})
    if len(found) > 1:
        raise InvalidError(f"{key_id} is ambiguous: {', '.join(found)}")
    full = found[0] if found else key_id
    config.save_keyring(keyring.untrust(full, origin=origin))
    if as_json:
        print_json({"key": full, "origin": origin})
    elif not quiet:
        typer.echo(f"key {full} counts no more" + (f" for {origin}" if origin else ""))
