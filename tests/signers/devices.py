"""Devices that sign, for real: SoftHSM, ssh-agent, MiniStack's KMS, a program; and a KMS that lies.

Each has three keys, for the three roles, and says by which URIs they are opened.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from ledger.testing import signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger import PrivateKey

ROLES = ("registrar", "log", "witness")
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")
PIN = "1234"
PATIENCE = 30


@dataclass
class Device:
    """What holds a key for each role."""

    uris: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    """What the shell needs to find it."""
    options: dict[str, Any] = field(default_factory=dict)
    """What ``open_signer`` needs to find it."""


def need(*tools: str) -> None:
    """Skip a test if a command is missing."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def run(*words: str | Path, **options: Any) -> bytes:
    return subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, timeout=PATIENCE, **options
    ).stdout


def openssh_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    need("ssh-keygen")
    how = ("-q", "-a", "1", "-t", kind, "-N", passphrase)  # -a 1: derived in a moment, not a second
    run("ssh-keygen", *how, "-C", "of the tests", "-f", path)
    return path


# -- A file of OpenSSH's ---------------------------------------------------------------------------


def files(folder: Path) -> Device:
    return Device({role: str(openssh_key(folder / f"id_{role}")) for role in ROLES})


# -- A program -------------------------------------------------------------------------------------

SCRIPT = """#!/bin/sh
set -e
case $1 in
public-key) openssl pkey -in {key} -pubout ;;
sign) data=$(mktemp); cat >"$data"
      openssl pkeyutl -sign -rawin -inkey {key} -in "$data"; rm "$data" ;;
esac
"""


def program(path: Path, text: str) -> str:
    """Write a script; return its URI."""
    path.write_text(text)
    path.chmod(0o700)
    return f"exec:{path}"


def programs(folder: Path) -> Device:
    need("openssl")
    uris = {}
    for role in ROLES:
        key = folder / f"{role}.pem"
        key.write_bytes(signer(f"program {role}").pem())
        uris[role] = program(folder / f"sign as {role}", SCRIPT.format(key=f"'{key}'"))
    return Device(uris)


# -- An ssh-agent ----------------------------------------------------------------------------------


@contextmanager
def agent(folder: Path) -> Iterator[Device]:
    need("ssh-agent", "ssh-add", "ssh-keygen")
    place = Path(f"/tmp/ledger-agent-{os.getpid()}-{folder.stat().st_ino}")  # 107 bytes at most
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert b"SSH_AUTH_SOCK" in process.stdout.readline()  # it listens
            environment = {"SSH_AUTH_SOCK": str(place)}
            uris = {}
            for role in ROLES:
                key = openssh_key(folder / f"agents_{role}")
                run("ssh-add", "-q", key, env=os.environ | environment)
                fingerprint = run("ssh-keygen", "-lf", key).split()[1].decode()
                uris[role] = f"ssh-agent:{fingerprint}"
                key.unlink()
            yield Device(uris, environment, {"ssh_agent": place})
        finally:
            process.terminate()
            process.wait(PATIENCE)


# -- An HSM ----------------------------------------------------------------------------------------


def softhsm_module() -> str:
    need("softhsm2-util")
    for module in MODULES:
        if Path(module).exists():
            return module
    pytest.skip("needs the library of softhsm2")


@contextmanager
def softhsm(folder: Path) -> Iterator[Device]:
    """A token with its keys. The library keeps to the first configuration that a process names."""
    pkcs11 = pytest.importorskip("pkcs11")
    module = softhsm_module()
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    (folder / "pin").write_text(f"{PIN}\n")
    (folder / "pin").chmod(0o600)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        words = ("--init-token", "--free", "--label", "registry", "--pin", PIN, "--so-pin", "5678")
        run("softhsm2-util", *words)
        token = pkcs11.lib(module).get_token(token_label="registry")
        with token.open(user_pin=PIN, rw=True) as session:
            for number, role in enumerate(ROLES, 1):
                generate(session, role, bytes([number]))
        source = f"pin-source=file:{folder}/pin"
        uris = {role: f"pkcs11:token=registry;object={role}?{source}" for role in ROLES}
        yield Device(uris, {"LEDGER_PKCS11_MODULE": module}, {"pkcs11_module": module})
        pkcs11.unload(module)


def generate(session: Any, label: str, key_id: bytes) -> tuple[Any, Any]:
    from pkcs11 import Attribute, KeyType, Mechanism
    from pkcs11.util.ec import encode_named_curve_parameters

    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("1.3.101.112")}
    parameters = session.create_domain_parameters(KeyType.EC_EDWARDS, curve, local=True)
    pair: tuple[Any, Any] = parameters.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label=label, id=key_id
    )
    return pair


# -- A KMS -----------------------------------------------------------------------------------------


def kms_of(url: str) -> Device:
    """Three new keys in the KMS of a server."""
    import boto3

    client = boto3.client("kms", endpoint_url=url)
    uris = {}
    for role in ROLES:
        made = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_EDWARDS25519")
        uris[role] = f"awskms:///{made['KeyMetadata']['Arn']}"
    return Device(uris, {"AWS_ENDPOINT_URL_KMS": url})


@dataclass
class OddKMS:
    """A KMS of which the test says what it answers."""

    url: str = ""
    key: PrivateKey = field(default_factory=signer)
    shown: bytes | None = None
    """In place of the public key, as DER."""
    sign: Callable[[bytes], bytes] | None = None
    """In place of signing."""
    error: tuple[int, str, str] | None = None
    """Status, code and message of every answer."""
    hang: Event | None = None
    """Answers only once this is set."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((operation, request))
        if self.hang:
            self.hang.wait(PATIENCE)
        if self.error:
            status, code, message = self.error
            return status, {"__type": code, "message": message}
        if operation == "GetPublicKey":
            der = self.key.public_key.spki if self.shown is None else self.shown
            return 200, {"PublicKey": base64.b64encode(der).decode(), "KeySpec": "A_SPEC"}
        data = base64.b64decode(request["Message"])
        signature = (self.sign or self.key.sign)(data)
        return 200, {"Signature": base64.b64encode(signature).decode()}


@contextmanager
def odd_kms() -> Iterator[OddKMS]:
    kms = OddKMS()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            status, answer = kms.answer(operation, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        kms.url = f"http://127.0.0.1:{server.server_port}"
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
            try:
                yield kms
            finally:
                if kms.hang:
                    kms.hang.set()
                server.shutdown()
