"""``ledger key``: the user's own key, and the keyring that says whose signatures count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.config import load_config, make_own_folder
from cli.inputs import read_input
from cli.keys import (
    load_witness,
    log_key,
    log_key_file,
    new_name_file,
    own_key,
    witness_key_file,
    write_witness,
)
from cli.options import DebugOption, JsonOption, KeyOption, QuietOption
from cli.terminal.output import print_json
from cli.terminal.text import printable
from ledger import InvalidError, PublicKey, TrustError, create_key
from ledger.format.keyring import ROLES, check_origin
from ledger.tlog import NoteKey

if TYPE_CHECKING:
    from cli.config import Config
    from ledger import Keyring
    from ledger.format.keyring import Role

__all__ = ["generate", "list_", "show", "trust", "untrust"]

LOG: Role = "log"
WITNESS: Role = "witness"

ForOption = Annotated[
    str,
    typer.Option("--for", metavar="ROLE", help="registrar; log: the log's own; or witness."),
]
OwnOriginOption = Annotated[
    str | None,
    typer.Option("--origin", metavar="NAME", help="The ledger; else that of your store."),
]
OriginOption = Annotated[
    str, typer.Option("--origin", metavar="NAME", help="The ledger for which it counts.")
]


def generate(
    *,
    role: ForOption = "registrar",
    origin: OwnOriginOption = None,
    witness_name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The witness, such as example.com/witness."),
    ] = None,
    key: KeyOption = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Ask for a passphrase (or LEDGER_PASSPHRASE_FILE).")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make your private key, or one of another role.

    A key that is there is never overwritten. The log's counts at once for your ledger, as its log's
    key and nothing else.
    """
    config = load_config()
    path = _own_file(config, role, key)
    if (role == WITNESS) != (witness_name is not None):
        raise typer.BadParameter("--for witness needs a --name, and nothing else has one")
    if witness_name is not None:
        check_origin(witness_name)  # names of witnesses are spelled as origins are
        new_name_file(path)
    name = _own_origin(config, origin) if role == LOG else origin
    if name is not None and role != LOG:
        raise typer.BadParameter("--origin is for --for log: 'ledger key trust' does the others")
    make_own_folder(path.parent)
    passphrase = config.new_passphrase() if encrypt else config.given_passphrase()
    made = create_key(path, passphrase)
    vkey = write_witness(path, witness_name, made.public_key).vkey if witness_name else ""
    if name is not None:
        with config.changing():
            config.save_keyring(config.keyring().trust(name, made.public_key, role=LOG, name=LOG))
    if as_json:
        shown = {"key": made.key_id, "file": str(path), "encrypted": passphrase is not None}
        shown |= {"vkey": vkey, "role": WITNESS} if vkey else {}
        print_json(shown | ({"origin": name, "role": LOG} if name is not None else {}))
    elif not quiet:
        typer.echo(f"made the key {made.key_id}")
        typer.echo(f"in {path}" + (", encrypted" if passphrase else ""))
        if name is not None:
            typer.echo(f"it counts as {LOG} of {name} now")
        if vkey:
            typer.echo(f"others know it as {vkey}")


def show(
    *,
    role: ForOption = "registrar",
    vkey: Annotated[
        bool, typer.Option("--vkey", help="The key as policies and others' tools take it.")
    ] = False,
    origin: OwnOriginOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print your public key (PEM), or one of another role.

    Its id goes to stderr: tell it to them over another channel.
    """
    config = load_config()
    _own_file(config, role, key)
    if (vkey and role == "registrar") or (origin is not None and not (vkey and role == LOG)):
        raise typer.BadParameter("--vkey is for --for log and witness, --origin for the log's")
    if role == WITNESS:
        witness = load_witness(config, key)[0]
        public, spelled = witness.key, witness.vkey
    else:
        public = (log_key if role == LOG else own_key)(config, key).public_key
        spelled = NoteKey(_own_origin(config, origin), public).vkey if vkey else ""
    pem = public.pem().decode()
    if as_json:
        print_json({"key": public.key_id, "public_key": pem} | ({"vkey": spelled} if vkey else {}))
    else:
        if not quiet:
            typer.echo(f"key id {public.key_id}", err=True)
        typer.echo(f"{spelled}\n" if vkey else pem, nl=False)


def _own_file(config: Config, role: str, key: Path | None) -> Path:
    """Where the key of this role is, or will be."""
    if role not in ROLES:
        raise InvalidError(f"not a role for your own key: {role!a:.40} ({', '.join(ROLES)})")
    if role == WITNESS:
        return witness_key_file(config, key)
    return log_key_file(config, key) if role == LOG else config.key_file(key)


def _own_origin(config: Config, given: str | None) -> str:
    """The ledger whose log it is: named, or that of the store in use."""
    origin = given or config.origin_of(config.store())
    if origin is None:
        raise InvalidError(
            "the log of which ledger? Its name is in what the log's key signs",
            hint="name it: --origin NAME; 'ledger status' shows the one in use",
        )
    return check_origin(origin)


def list_(
    *, as_json: JsonOption = False, quiet: QuietOption = False, debug: DebugOption = False
) -> None:
    """List the keys that count, by ledger and role."""
    for trusted in load_config().keyring():
        key_id, role, name = trusted.key.key_id, trusted.role, trusted.name
        if as_json:
            print_json({"origin": trusted.origin, "role": role, "key": key_id, "name": name})
        elif not quiet:
            line = f"{key_id}  {role:<9}  {trusted.origin}  {printable(name)}"
            typer.echo(line.rstrip())


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
    """Let a public key count for a ledger.

    First ask its owner for the key id, over another channel, and compare: --fingerprint does.
    """
    if role not in ROLES:
        raise InvalidError(f"not a role: {role!a:.40} (one of {', '.join(ROLES)})")
    public = PublicKey.from_pem(read_input(file))
    if fingerprint is not None and fingerprint != public.key_id:
        raise TrustError(
            f"{file} holds the key {public.key_id}, not {fingerprint!a:.80}",
            hint="do not trust it; ask its owner for the file and the id again",
        )
    config = load_config()
    with config.changing():
        config.save_keyring(config.keyring().trust(origin, public, role=role, name=name))
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
    """Let a key count no more.

    What it signed, before or after, doesn't verify any longer.
    """
    if not re.fullmatch("[0-9a-f]{4,64}", key_id):
        raise InvalidError(
            f"not a key id: {key_id!a:.80} (expected 4 to 64 lower-case hex digits)",
            hint="'ledger key list' shows the ids",
        )
    config = load_config()
    with config.changing():
        keyring = config.keyring()
        full = _find_key(keyring, key_id, origin)
        config.save_keyring(keyring.untrust(full, origin=origin))
    if as_json:
        print_json({"key": full, "origin": origin})
    elif not quiet:
        typer.echo(f"key {full} counts no more" + (f" for {origin}" if origin else ""))


def _find_key(keyring: Keyring, begins: str, origin: str | None) -> str:
    """The key id that begins so; where none does, what was given."""
    found = sorted(
        {
            trusted.key.key_id
            for trusted in keyring
            if trusted.key.key_id.startswith(begins) and origin in (None, trusted.origin)
        }
    )
    if len(found) > 1:
        raise InvalidError(
            f"{begins} is ambiguous: {', '.join(found)}", hint="write more of its digits"
        )
    return found[0] if found else begins
