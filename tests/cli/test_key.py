"""``key``, and the private key that other commands use: made, kept, refused."""

from __future__ import annotations

import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.cli.shell import ORIGIN, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

APPEND = f"append {TITLE} --set a=b"
OTHERS = {
    "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "X25519": x25519.X25519PrivateKey.generate,
}


def test_generate(bare: Shell) -> None:
    made = bare("key generate --json").json
    path = bare.config / "key.pem"
    assert made == {"key": made["key"], "file": str(path), "encrypted": False}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    before = path.read_bytes()
    said = bare.fails(12, "key generate")
    assert "there is a key already" in said
    assert path.read_bytes() == before
    assert bare("key generate --key other.pem").lines[1] == "in other.pem"


def test_show(bare: Shell) -> None:
    key = bare("key generate --json").json["key"]
    result = bare("key show")
    assert result.out.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert result.err == f"key id {key}\n"
    assert bare("key show -q").err == ""
    assert bare("key show --json").json == {"key": key, "public_key": result.out}


def test_the_key_id_is_what_openssl_says(bare: Shell) -> None:
    bare("key generate")
    (bare.folder / "a.pub").write_text(bare("key show").out)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", bare.folder / "a.pub", "-outform", "DER"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    import hashlib

    assert bare("key show --json").json["key"] == hashlib.sha256(der).hexdigest()


def test_trust_list_untrust(bare: Shell) -> None:
    key = bare("key generate --json").json["key"]
    (bare.folder / "a.pub").write_text(bare("key show").out)
    bare(f"key trust a.pub --origin {ORIGIN} --name alice")
    bare("key trust a.pub --origin example.org/log --role log")
    assert bare("key list").lines == [
        f"{key}  log        example.org/log",
        f"{key}  registrar  {ORIGIN}  alice",
    ]
    assert bare("key list --json").objects[1] == {
        "origin": ORIGIN,
        "role": "registrar",
        "key": key,
        "name": "alice",
        "algorithm": "Ed25519",
    }
    assert bare("key list -q").out == ""
    assert bare(f"key untrust {key[:8]} --origin {ORIGIN} --json").json == {
        "key": key,
        "origin": ORIGIN,
    }
    assert len(bare("key list").lines) == 1
    assert "no such key" in bare.fails(10, f"key untrust {key} --origin {ORIGIN}")
    bare(f"key untrust {key}")
    assert bare("key list").out == ""


@pytest.mark.parametrize("key_id", ["", "abc", "ABCD", "zzzz", "a" * 65])
def test_untrust_takes_nothing_that_could_mean_any_key(shell: Shell, key_id: str) -> None:
    assert "not a key id" in shell.fails(65, "key untrust", key_id)
    assert len(shell("key list").lines) == 1


def test_trust_compares_with_the_fingerprint(bare: Shell) -> None:
    key = bare("key generate --json").json["key"]
    (bare.folder / "a.pub").write_text(bare("key show").out)
    said = bare.fails(12, f"key trust a.pub --origin {ORIGIN} --fingerprint {'0' * 64}")
    assert key in said
    assert "don't trust it" in said
    assert bare("key list").out == ""
    bare(f"key trust a.pub --origin {ORIGIN} --fingerprint {key}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--role boss", "not a role: 'boss'"),
        ("--origin 'a b'", "not an origin"),
        ("--name 'a\x1bb'", "not a name for a key"),
    ],
)
def test_trust_refuses(bare: Shell, options: str, words: str) -> None:
    bare("key generate")
    (bare.folder / "a.pub").write_text(bare("key show").out)
    assert words in bare.fails(65, f"key trust a.pub --origin {ORIGIN} {options}")
    assert bare("key list").out == ""


def test_trust_needs_an_origin_and_a_file(bare: Shell) -> None:
    assert "--origin" in bare.fails(2, "key trust a.pub")
    assert "cannot read a.pub" in bare.fails(10, f"key trust a.pub --origin {ORIGIN}")
    bare("key generate")
    said = bare.fails(65, f"key trust --origin {ORIGIN}", str(bare.config / "key.pem"))
    assert "'ledger key show' prints its public key" in said


# -- The key to sign with ------------------------------------------------------------------------


def test_no_key(shell: Shell) -> None:
    (shell.config / "key.pem").unlink()
    said = shell.fails(12, APPEND)
    assert "no private key: " in said
    assert "ledger: hint: 'ledger key generate' makes one" in said


def test_the_key_of_the_command_line_and_of_the_environment(shell: Shell) -> None:
    (shell.config / "key.pem").rename(shell.folder / "moved.pem")
    shell(f"{APPEND} --key moved.pem --new")
    shell(APPEND, LEDGER_KEY="moved.pem")
    shell(f"{APPEND} --key moved.pem", LEDGER_KEY="nowhere.pem")
    (shell.config / "config.toml").write_text(f'key = "{shell.folder}/moved.pem"\n')
    shell(APPEND)


def test_a_key_that_does_not_count(shell: Shell) -> None:
    shell("key generate --key other.pem")
    said = shell.fails(12, f"{APPEND} --new --key other.pem")
    assert f"is not a registrar of {ORIGIN}" in said
    how = said.partition("if it is to sign there: ")[2].strip().replace("FILE", "other.pem")
    show, trust = (each.removeprefix("ledger ") for each in how.split(", then "))
    line, _, file = show.partition(" > ")
    (shell.folder / file).write_bytes(shell(line).data)
    shell(trust)
    shell(f"{APPEND} --new --key other.pem")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602])
def test_a_key_that_others_can_read(shell: Shell, mode: int) -> None:
    (shell.config / "key.pem").chmod(mode)
    said = shell.fails(12, APPEND)
    assert f"others can read the private key: {shell.config}/key.pem (mode {mode:04o})" in said
    assert "ledger: hint: chmod 600 " in said


@pytest.mark.parametrize("kind", OTHERS)
def test_a_key_of_another_kind(shell: Shell, kind: str) -> None:
    key = OTHERS[kind]()
    private, public = shell.config / "key.pem", shell.folder / "a.pub"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private.write_bytes(pem)
    assert f"not an Ed25519 key but {kind}" in shell.fails(65, APPEND)
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    assert f"not an Ed25519 key but {kind}" in shell.fails(65, "key trust a.pub --origin x")


def test_a_small_order_key_is_not_trusted(shell: Shell) -> None:
    key = ed25519.Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (shell.folder / "a.pub").write_bytes(pem)
    shell.fails(65, "key trust a.pub --origin x")


def test_what_is_no_key(shell: Shell) -> None:
    (shell.config / "key.pem").write_text("hello")
    assert "not a private key in PEM form" in shell.fails(65, APPEND)


# -- Passphrases ---------------------------------------------------------------------------------


@pytest.fixture
def locked(new_shell: Callable[[str], Shell]) -> Shell:
    """A shell whose key has the passphrase "open sesame"."""
    shell = new_shell("locked")
    shell(f"init --origin {ORIGIN}", LEDGER_PASSPHRASE="open sesame")
    assert b"ENCRYPTED" in (shell.config / "key.pem").read_bytes()
    return shell


def test_a_passphrase_from_a_file_or_the_environment(locked: Shell) -> None:
    (locked.folder / "pass").write_text("open sesame\n")
    locked(f"{APPEND} --new", LEDGER_PASSPHRASE_FILE="pass")
    locked(APPEND, LEDGER_PASSPHRASE="open sesame")
    locked(APPEND, LEDGER_PASSPHRASE_FILE="pass", LEDGER_PASSPHRASE="wrong")


def test_a_missing_passphrase(locked: Shell) -> None:
    said = locked.fails(12, APPEND)
    assert "encrypted and no passphrase was given" in said
    assert "LEDGER_PASSPHRASE_FILE" in said
    assert "cannot read the passphrase: none" in locked.fails(
        12, APPEND, LEDGER_PASSPHRASE_FILE="none"
    )


def test_a_wrong_passphrase_is_not_repeated(locked: Shell) -> None:
    said = locked.fails(12, APPEND, LEDGER_PASSPHRASE="open barley")
    assert "wrong passphrase" in said
    assert "barley" not in said


def test_a_passphrase_that_is_typed(locked: Shell) -> None:
    result = locked.terminal(f"{APPEND} --new", "open sesame")
    assert result.code == 0, result.out
    assert "Passphrase for " in result.out
    assert "sesame" not in result.out
    assert f"{TITLE} version 1 is " in result.out


def test_a_new_passphrase_is_typed_twice(bare: Shell) -> None:
    result = bare.terminal("key generate --encrypt", "one", "another")
    assert result.code == 12
    assert "the two passphrases differ" in result.out
    assert not (bare.config / "key.pem").exists()
    result = bare.terminal("key generate --encrypt", "one", "one")
    assert ", encrypted" in result.out
    bare("key show", LEDGER_PASSPHRASE="one")
    assert "no passphrase was given" in bare.fails(12, "key generate --encrypt --key x.pem")


def test_a_passphrase_that_is_too_long_leaves_no_file(bare: Shell) -> None:
    for command in ("key generate", f"init --origin {ORIGIN}"):
        said = bare.fails(65, command, LEDGER_PASSPHRASE="x" * 1024)
        assert "passphrase" in said
        assert "xxx" not in said
        assert not (bare.config / "key.pem").exists()
    bare("key generate", LEDGER_PASSPHRASE="x" * 1023)


def test_a_passphrase_may_be_any_bytes(bare: Shell) -> None:
    (bare.folder / "pass").write_bytes(b"sesam\xe9")
    bare("key generate", LEDGER_PASSPHRASE="sesam\udce9")
    bare("key show", LEDGER_PASSPHRASE_FILE="pass")


def test_a_registrars_key_is_refused_as_a_key_of_the_same_ledgers_log(shell: Shell) -> None:
    (shell.folder / "own.pub").write_bytes(shell("key show").data)
    before = shell.keyring()
    said = shell.fails(65, f"key trust own.pub --origin {ORIGIN} --role log")
    assert f"is a registrar of {ORIGIN} already" in said
    assert shell.keyring() == before
    shell("key trust own.pub --origin example.org/other --role log")  # what it signs names it
