"""Where things are: flag > LEDGER_* > project file > user file > default.

The user's side is the folder ``$XDG_CONFIG_HOME/title-ledger``: ``config.toml``, ``key.pem``,
``keyring.json``, and ``stores.json``, which remembers which ledger a store was made for. A project
file, ``ledger.toml`` in this folder or one above, may name a store, and nothing else: who commits
to a project must not decide whom its users trust.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger import InvalidError, Keyring, MalformedError, TrustError
from ledger.errors import KeyUnavailable, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config", "load_config"]

DEFAULT_STORE = "ledger-data"
PROJECT_FILE = "ledger.toml"
USER_MEMBERS = {"store", "key"}


@dataclass(frozen=True)
class Config:
    """What the environment and the files say."""

    environment: Mapping[str, str]
    folder: Path
    """The user's side."""
    user: dict[str, str]
    project: dict[str, str]

    def store(self, flag: str | None = None) -> str:
        """The store to use, as ``open_store`` takes it."""
        return (
            flag
            or self.environment.get("LEDGER_STORE")
            or self.project.get("store")
            or self.user.get("store")
            or self._original_bucket()
            or DEFAULT_STORE
        )

    def _original_bucket(self) -> str | None:
        bucket = self.environment.get("S3_BUCKET")  # the original service's name for it
        return f"s3://{bucket}" if bucket else None

    def key_file(self, flag: Path | None = None) -> Path:
        """The private key to sign with."""
        named = flag or self.environment.get("LEDGER_KEY_FILE") or self.user.get("key")
        return Path(named).expanduser() if named else self.folder / "key.pem"

    def passphrase(self, key_file: Path) -> bytes | None:
        """The passphrase, if the key asks for one: from a file, the environment, or a prompt."""
        try:
            if b"ENCRYPTED" not in key_file.read_bytes()[:200]:
                return None
        except OSError:
            return None  # reading the key says what is wrong
        return self.given_passphrase() or self._prompt(f"Passphrase for {key_file}: ")

    def given_passphrase(self) -> bytes | None:
        """The passphrase in LEDGER_PASSPHRASE_FILE or LEDGER_PASSPHRASE, if there is one."""
        file = self.environment.get("LEDGER_PASSPHRASE_FILE")
        if file:
            try:
                return Path(file).read_bytes().removesuffix(b"\n").removesuffix(b"\r") or None
            except OSError as error:
                raise KeyUnavailable(
                    f"cannot read the passphrase: {file}: {error.strerror}"
                ) from error
        return self.environment.get("LEDGER_PASSPHRASE", "").encode() or None

    def new_passphrase(self) -> bytes:
        """A passphrase for a new key: given, or typed twice."""
        given = self.given_passphrase()
        if given:
            return given
        typed = self._prompt("Passphrase for the new key: ")
        if not typed:
            raise KeyUnavailable("an empty passphrase", hint="set LEDGER_PASSPHRASE_FILE")
        if typed != self._prompt("The same again: "):
            raise KeyUnavailable("the two passphrases differ")
        return typed

    def _prompt(self, text: str) -> bytes | None:
        if not sys.stdin.isatty():
            return None
        return getpass.getpass(text).encode()

    @property
    def keyring_file(self) -> Path:
        """Whose signatures count."""
        return self.folder / "keyring.json"

    def keyring(self) -> Keyring:
        """The user's keyring; empty where there is none yet."""
        data = _read(self.keyring_file)
        try:
            return Keyring.decode(data) if data is not None else Keyring()
        except MalformedError as error:
            raise TrustError(f"{self.keyring_file}: {error}") from error

    def save_keyring(self, keyring: Keyring) -> None:
        """Replace the keyring, whole or not at all."""
        _write(self.keyring_file, keyring.encode())

    def origin_of(self, store: str) -> str | None:
        """The origin that this store is known for: from LEDGER_ORIGIN, or since its ``init``."""
        return self.environment.get("LEDGER_ORIGIN") or self._known_stores().get(_canonical(store))

    def remember_store(self, store: str, origin: str) -> None:
        """Remember which ledger a store was made for, so that no other can take its place."""
        known = self._known_stores() | {_canonical(store): origin}
        text = json.dumps({"format": 1, "stores": known}, indent=2, sort_keys=True)
        _write(self.folder / "stores.json", text.encode() + b"\n")

    def _known_stores(self) -> dict[str, str]:
        path = self.folder / "stores.json"
        data = _read(path)
        try:
            stores = json.loads(data)["stores"] if data is not None else {}
            return {str(store): str(origin) for store, origin in stores.items()}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise InvalidError(f"{path}: not the list of known stores") from None


def load_config() -> Config:
    """Read the environment, the user's file and the project's file; raises InvalidError."""
    environment = dict(os.environ)
    base = environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    folder = Path(base) / "title-ledger"
    _use_original_names(environment)
    user = _read_toml(folder / "config.toml", USER_MEMBERS)
    return Config(environment, folder, user, _find_project())


def _use_original_names(environment: Mapping[str, str]) -> None:
    """Let AWS_KEY and AWS_SECRET of the original service work where the modern names aren't set."""
    if "AWS_ACCESS_KEY_ID" in environment or "AWS_PROFILE" in environment:
        return
    if environment.get("AWS_KEY") and environment.get("AWS_SECRET"):
        os.environ["AWS_ACCESS_KEY_ID"] = environment["AWS_KEY"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = environment["AWS_SECRET"]


def _find_project() -> dict[str, str]:
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / PROJECT_FILE
        if path.is_file():
            settings = _read_toml(path, {"store"})
            store = settings.get("store", "")
            if store and ":" not in store:
                settings["store"] = str(folder / store)
            return settings
    return {}


def _read_toml(path: Path, members: set[str]) -> dict[str, str]:
    data = _read(path)
    if data is None:
        return {}
    try:
        values: dict[str, Any] = tomllib.loads(data.decode())
    except ValueError as error:
        raise InvalidError(f"{path}: {error}") from None
    for name, value in values.items():
        if name not in members:
            raise InvalidError(
                f"{path}: unknown setting {name!a}",
                hint=f"it may set: {', '.join(sorted(members))}",
            )
        if not isinstance(value, str):
            raise InvalidError(f"{path}: {name} is no string")
    return values


def _canonical(store: str) -> str:
    """One spelling for one store, to remember it by."""
    if store.startswith("s3://"):
        return store.rstrip("/")
    return f"file:{Path(store.removeprefix('file:')).expanduser().resolve()}"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error
