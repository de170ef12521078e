"""Names of signers: paths and URIs, and what they do not take."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from ledger import InvalidError, create_key, create_keys, load_key, open_signer, open_signers
from ledger.errors import KeyUnavailable, MalformedError
from ledger.format.signing import PrivateKey, is_encrypted
from ledger.signers import key_file
from tests.signers.devices import openssh_key, run

DEVICES = (
    "pkcs11:token=t;object=o",
    "ssh-agent:SHA256:" + "A" * 43,
    "awskms:///alias/registrar",
    "exec:/bin/true",
)


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["key.pem", "./with:colon.pem", "C:key.pem"])
def test_a_path_is_a_key_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    made = create_key(name)
    assert open_signer(name).public_key == made.public_key
    assert open_signer(tmp_path / name).public_key == made.public_key
    assert key_file(name) == Path(name)


def test_all_keys_of_a_file_are_opened_and_the_passphrase_is_asked_for_once(tmp_path):
    made = create_keys(tmp_path / "both.pem", b"open sesame")
    asked = []

    def ask(words):
        asked.append(words)
        return b"open sesame"

    opened = open_signers(tmp_path / "both.pem", passphrase=ask)
    assert [each.public_key for each in opened] == [each.public_key for each in made]
    assert len(asked) == 1


def test_a_device_has_one_key(programs):
    (opened,) = open_signers(programs.uris["log"], timeout=20)
    assert opened.public_key == open_signer(programs.uris["log"]).public_key


@pytest.mark.parametrize("uri", [*DEVICES, *(uri.upper() for uri in DEVICES)])
def test_a_device_has_no_file(uri):
    assert key_file(uri) is None


@pytest.mark.parametrize("uri", ["gcpkms://x", "file:key.pem", "https://example.org/", "pkcs12:x"])
def test_another_kind_is_refused_with_the_kinds_there_are(uri):
    for opening in (open_signer, key_file):
        with pytest.raises(InvalidError, match="no signer is called ") as caught:
            opening(uri)
        assert "awskms:///ARN" in caught.value.hint


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("exec:program", "not an absolute path"),
        ("exec:", "not an absolute path"),
        ("awskms:arn", "not the name of a key"),
        ("awskms://host/arn", "not the name of a key"),
        ("awskms:///", "not the name of a key"),
        ("awskms:///a key", "not the name of a key"),
        ("ssh-agent:", "not a fingerprint"),
        ("ssh-agent:MD5:00:11", "not a fingerprint"),
        ("ssh-agent:SHA256:short", "not a fingerprint"),
        ("pkcs11:", "''"),
        ("pkcs11:token=t", "a token .* and a key"),
        ("pkcs11:object=o", "a token .* and a key"),
        ("pkcs11:token=t;object=o;model=m", "'model'"),
        ("pkcs11:token=t;token=t;object=o", "two of token"),
        ("pkcs11:token=t;object=o;type=public", "type=private"),
        ("pkcs11:token=t;object=o?slot-id=1", "'slot-id'"),
        ("pkcs11:token=t;object=o;pin-value=1234", "'pin-value'"),
        ("pkcs11:token", "'token'"),
    ],
)
def test_a_bad_uri_is_refused(uri, words):
    with pytest.raises(InvalidError, match=words) as caught:
        open_signer(uri, pkcs11_module="/nowhere.so", ssh_agent="/nowhere")
    assert "1234" not in str(caught.value) + caught.value.hint


# --- OpenSSH's files -----------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_key_of_openssh_is_read(tmp_path, passphrase):
    path = openssh_key(tmp_path / "id", passphrase)
    key = load_key(path, passphrase.encode() or None)
    kind, blob = path.with_suffix(".pub").read_text().split()[:2]
    assert kind == "ssh-ed25519"
    assert base64.b64decode(blob)[-32:] == key.public_key.raw
    assert is_encrypted(path.read_bytes()) == bool(passphrase)


def test_the_passphrase_is_asked_for_only_if_there_is_one(tmp_path):
    asked = []

    def ask(words):
        asked.append(words)
        return b"open sesame"

    for number, path in enumerate(
        (openssh_key(tmp_path / "open"), openssh_key(tmp_path / "locked", "open sesame"))
    ):
        open_signer(str(path), passphrase=ask)
        assert len(asked) == number
    create_key(tmp_path / "pkcs8", b"open sesame")
    open_signer(tmp_path / "pkcs8", passphrase=ask)
    assert asked == [f"Passphrase for {tmp_path}/{name}: " for name in ("locked", "pkcs8")]


@pytest.mark.parametrize(
    ("passphrase", "words"), [(None, "no passphrase was given"), (b"barley", "wrong passphrase")]
)
def test_a_key_of_openssh_needs_its_passphrase(tmp_path, passphrase, words):
    path = openssh_key(tmp_path / "id", "open sesame")
    with pytest.raises(KeyUnavailable, match=words):
        load_key(path, passphrase)


def test_a_passphrase_that_is_not_needed_does_no_harm(tmp_path):
    load_key(openssh_key(tmp_path / "id"), b"open sesame")


def test_a_key_of_openssh_that_others_can_read_is_refused(tmp_path):
    path = openssh_key(tmp_path / "id")
    path.chmod(0o640)
    with pytest.raises(KeyUnavailable, match="others can read the private key"):
        open_signer(str(path))


def test_another_kind_of_openssh_key_is_refused(tmp_path):
    path = openssh_key(tmp_path / "id", kind="ecdsa")
    with pytest.raises(MalformedError, match="not an Ed25519 key but EC"):
        open_signer(str(path))


def without(module: str, uri: str, **options: object) -> str:
    """What ``open_signer`` says to do in a process that has not got a module."""
    code = f"""
import sys
sys.modules[{module!r}] = None
from ledger import LedgerError, open_signer
try:
    open_signer({uri!r}, **{options!r})
except LedgerError as error:
    print(type(error).__name__, error, error.hint)
"""
    return run(sys.executable, "-c", code).decode()


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path):
    path = openssh_key(tmp_path / "id", "open sesame")
    said = without("bcrypt", str(path), passphrase=b"open sesame")
    assert said.startswith("KeyUnavailable")
    assert "pip install bcrypt" in said
    said = without("pkcs11", "pkcs11:token=t;object=o", pkcs11_module="/nowhere.so")
    assert said.startswith("KeyUnavailable")
    assert "pip install python-pkcs11" in said


@pytest.mark.parametrize("damage", ["no base64", "cut", "changed"])
def test_a_damaged_key_of_openssh_is_malformed(tmp_path, damage):
    pem = openssh_key(tmp_path / "id").read_bytes()
    first, *body, last = pem.splitlines(keepends=True)
    damaged = {
        "no base64": [b"&&&\n"],
        "cut": body[:1],
        "changed": [body[0], b"A" * 70 + b"\n", *body[2:]],
    }[damage]
    with pytest.raises(MalformedError):
        PrivateKey.from_pem(b"".join([first, *damaged, last]))
