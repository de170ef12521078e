"""``ledger key``: manage the user's own keys, and the keyring of trusted keys."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.config import KEYS, Config, KeyFor, load_config, make_own_folder
from cli.inputs import read_keys
from cli.keys import load_witness, new_name_file, own_key, own_keys, write_witness
from cli.terminal.output import print_json
from cli.terminal.text import printable
from ledger import InvalidError, Keyring, TrustError, create_key, create_keys
from ledger.format.keyring import ROLES, Role, check_origin
from ledger.signers import key_file
from ledger.tlog import log_key, witness_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.mldsa import ParameterSet
    from ledger.format.pem import VerifyingKey

REGISTRAR: Role = "registrar"
LOG: Role = "log"
WITNESS: Role = "witness"
HOLDER = "holder"
"""Not a role in a keyring: holders are in trust files."""

ForOption = Annotated[
    str,
    typer.Option("--for", metavar="ROLE", help="registrar, log, witness or holder."),
]
OwnOriginOption = Annotated[
    str | None,
    typer.Option("--origin", metavar="NAME", help="The ledger; default: the one in your store."),
]
OriginOption = Annotated[
    str, typer.Option("--origin", metavar="NAME", help="The ledger for which the key counts.")
]


def generate(
    *,
    role: ForOption = "registrar",
    origin: OwnOriginOption = None,
    witness_name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="The witness's name, such as example.com/witness."
        ),
    ] = None,
    key: options.KeyOption = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Ask for a passphrase (or LEDGER_PASSPHRASE_FILE).")
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Make a private key: yours, the log's, a witness's or a holder's.

    A log's, a witness's and a holder's file has two keys: an Ed25519 key, and an ML-DSA key for the
    day when a quantum computer can forge Ed25519 signatures. A holder's is always encrypted.

    Never overwrites a key. Your keyring trusts new log keys at once, as your ledger's log keys and
    nothing else.
    """
    config = load_config()
    path = _new_file(config, _role(role), key)
    if (role == WITNESS) != (witness_name is not None):
        raise typer.BadParameter("--name is for --for witness, which needs it")
    if witness_name is not None:
        check_origin(witness_name)  # names of witnesses are spelled as origins are
        new_name_file(path)
    name = _own_origin(config, origin) if role == LOG else origin
    if name is not None and role != LOG:
        raise typer.BadParameter(
            "--origin is for --for log; 'ledger key trust' takes it for other keys"
        )
    make_own_folder(path.parent)
    encrypt = encrypt or role == HOLDER
    passphrase = config.new_passphrase() if encrypt else config.given_passphrase()
    made = _make(path, role, passphrase)
    vkeys = [each.vkey for each in write_witness(path, witness_name, made)] if witness_name else []
    trusted = _trust_log(config, made, name) if name is not None else []
    if as_json:
        facts = {"key": made[0].key_id, "file": str(path), "encrypted": passphrase is not None}
        print_json(facts | _facts(role, made, vkeys, name))
    elif not quiet:
        for each in made:
            kind = f" ({each.algorithm})" if len(made) > 1 else ""
            typer.echo(f"made the key {each.key_id}{kind}")
        typer.echo(f"in {path}" + (", encrypted" if passphrase else ""))
        for line in (*trusted, *(f"give others this public key: {vkey}" for vkey in vkeys)):
            typer.echo(line)


def _trust_log(config: Config, keys: list[VerifyingKey], origin: str) -> list[str]:
    """Trust the new keys of a log, and return what there is to say; trust files may say instead."""
    if config.keyring().root(origin) is not None:
        return ["for it to count, the trust files must list it: ledger trust propose --log-key"]
    _trust(config, keys, origin, LOG, LOG)
    return [f"trusted from now on as {LOG} of {origin}"]


def _facts(
    role: str, made: list[VerifyingKey], vkeys: list[str], origin: str | None
) -> dict[str, object]:
    """Return what --json says of the keys of a log or a witness beyond those of a registrar."""
    if role == REGISTRAR:
        return {}
    facts: dict[str, object] = {"role": role, "keys": [each.key_id for each in made]}
    return facts | ({"vkeys": vkeys} if vkeys else {}) | ({"origin": origin} if origin else {})


def _make(path: Path, role: str, passphrase: bytes | None) -> list[VerifyingKey]:
    """Make the private keys for a role in a new file, and return their public keys."""
    if role == REGISTRAR:
        return [create_key(path, passphrase).public_key]
    algorithm: ParameterSet = "ML-DSA-65" if role == HOLDER else "ML-DSA-44"
    return [each.public_key for each in create_keys(path, passphrase, algorithm)]


def _trust(
    config: Config, keys: Iterable[VerifyingKey], origin: str, role: Role, name: str
) -> None:
    with config.changing():
        keyring = config.keyring()
        for key in keys:
            keyring = keyring.trust(origin, key, role=role, name=name)
        config.save_keyring(keyring)


def show(
    *,
    role: ForOption = "registrar",
    vkey: Annotated[
        bool, typer.Option("--vkey", help="Print it as a vkey, for policies and other tools.")
    ] = False,
    origin: OwnOriginOption = None,
    witness_name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The witness's name; default: in its file."),
    ] = None,
    key: options.KeyOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Print your public key, or that of another role, as PEM.

    The key ids go to stderr. Tell them to the recipient over another channel, to compare.
    """
    config = load_config()
    known = _role(role)
    if (vkey and role in {REGISTRAR, HOLDER}) or (
        origin is not None and not (vkey and role == LOG)
    ):
        raise typer.BadParameter(
            "--vkey is for --for log and --for witness; --origin is for --for log --vkey"
        )
    if witness_name is not None and role != WITNESS:
        raise typer.BadParameter("--name is for --for witness")
    public: list[VerifyingKey]
    vkeys: list[str] = []
    if role == REGISTRAR:
        public = [own_key(config, key).public_key]
    elif role == WITNESS and witness_name is None:
        witness = [each for each, _ in load_witness(config, key)]
        public, vkeys = [each.key for each in witness], [each.vkey for each in witness]
    else:
        public = [each.public_key for each in own_keys(config, key, known)]
        if vkey:
            vkeys = [_vkey(config, each, origin, witness_name) for each in public]
    pems = [each.pem().decode() for each in public]
    if as_json:
        for each, pem, spelled in zip_longest(public, pems, vkeys if vkey else []):
            facts = {"key": each.key_id, "public_key": pem}
            print_json(facts | ({"vkey": spelled} if vkey else {}))
        return
    for each in () if quiet else public:
        typer.echo(f"key id {each.key_id}", err=True)
    typer.echo("".join(f"{each}\n" for each in vkeys) if vkey else "".join(pems), nl=False)


def _vkey(config: Config, public: VerifyingKey, origin: str | None, witness: str | None) -> str:
    """Spell the key of a witness with this name, else that of the log."""
    if witness is not None:
        return witness_key(check_origin(witness), public).vkey
    return log_key(_own_origin(config, origin), public).vkey


def _role(text: str) -> KeyFor:
    for role in KEYS:
        if role == text:
            return role
    raise InvalidError(f"not a role: {text!a:.40} (one of {', '.join(KEYS)})")


def _new_file(config: Config, role: KeyFor, key: str | None) -> Path:
    """Return the file for a new key; raises InvalidError if a device is named."""
    path = key_file(config.key(key, role))
    if path is None:
        raise InvalidError(
            "a key is made in a file; a device makes its own, with its maker's tools",
            hint=f"--key FILE makes one in spite of {KEYS[role][0]}",
        )
    return path


def _own_origin(config: Config, given: str | None) -> str:
    """Return the ledger whose log it is: the one named, or that of the store in use."""
    origin = given or config.origin_of(config.store())
    if origin is None:
        raise InvalidError(
            "cannot tell which ledger the log key is for",
            hint="add --origin NAME; 'ledger status' shows the name of the ledger in use",
        )
    return check_origin(origin)


def list_(*, as_json: options.JsonOption = False, quiet: options.QuietOption = False) -> None:
    """List the trusted keys, and the pinned trust files.

    They are in the order of ledgers and roles. If a trust file of a ledger is pinned, it says whose
    keys count, and yours do not.
    """
    keyring = load_config().keyring()
    for trusted in keyring:
        key_id, role, name = trusted.key.key_id, trusted.role, trusted.name
        if as_json:
            facts = {"origin": trusted.origin, "role": role, "key": key_id, "name": name}
            print_json(facts | {"algorithm": trusted.key.algorithm})
        elif not quiet:
            beside = "" if keyring.counts(trusted) else "(the trust files decide)"
            line = f"{key_id}  {role:<9}  {trusted.origin}  {printable(name)} {beside}"
            typer.echo(line.rstrip())
    for root in keyring.roots:
        if as_json:
            print_json({"origin": root.origin, "trust": root.digest, "version": root.version})
        elif not quiet:
            typer.echo(f"{root.digest}  trust {root.version:<3}  {root.origin}")


def trust(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Public keys, as PEM.")],
    *,
    origin: OriginOption,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="registrar, log or witness.")
    ] = "registrar",
    name: Annotated[
        str, typer.Option("--name", metavar="NICK", help="A name to show for the key.")
    ] = "",
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            "--fingerprint",
            metavar="ID",
            help="The key id its owner told you; refuse another key. Once for each key.",
        ),
    ] = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Trust a public key for a ledger.

    Of a log or a witness, trusts all the keys of the file. First ask its owner for the key id over
    another channel. --fingerprint compares it.
    """
    if role not in ROLES:
        raise InvalidError(f"not a role: {role!a:.40} (one of {', '.join(ROLES)})")
    public = read_keys(file)
    ids = [key.key_id for key in public]
    if fingerprint and sorted(fingerprint) != sorted(ids):
        raise TrustError(
            f"{file} holds the key {' and the key '.join(ids)},"
            f" not {', '.join(f'{each!a:.80}' for each in fingerprint)}",
            hint="don't trust it; ask its owner for the file and the id again"
            + (" (--fingerprint once for each key)" if len(ids) > 1 else ""),
        )
    config = load_config()
    if role != WITNESS and config.keyring().root(origin) is not None:
        raise TrustError(
            f"the trust files of {origin} say whose keys count, and your keyring has pinned one",
            hint="its holders list another key with 'ledger trust propose'",
        )
    _trust(config, public, origin, role, name)
    for key_id in ids:
        if as_json:
            print_json({"key": key_id, "origin": origin, "role": role, "name": name})
        elif not quiet:
            typer.echo(f"key {key_id} is now trusted as {role} of {origin}")


def untrust(
    key_id: Annotated[
        str, typer.Argument(metavar="KEYID", help="A key id, or its first 4 or more digits.")
    ],
    *,
    origin: Annotated[
        str | None,
        typer.Option("--origin", metavar="NAME", help="Only for this ledger; default: for all."),
    ] = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Stop trusting a key.

    Nothing that it signed verifies any more, whenever it was signed.
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
        typer.echo(f"key {full} is no longer trusted" + (f" for {origin}" if origin else ""))


def _find_key(keyring: Keyring, begins: str, origin: str | None) -> str:
    """Return the full key id that begins so, or the text given if no key matches."""
    found = sorted(
        {
            trusted.key.key_id
            for trusted in keyring
            if trusted.key.key_id.startswith(begins) and origin in (None, trusted.origin)
        }
    )
    if len(found) > 1:
        raise InvalidError(f"{begins} is ambiguous: {', '.join(found)}", hint="give more digits")
    return found[0] if found else begins
