"""Where things are: flag > LEDGER_* > project file > user file > default.

The user's side is the folder ``$XDG_CONFIG_HOME/title-ledger``: ``config.toml``, ``key.pem``,
``keyring.json``, and ``stores.json``, which remembers which ledger a store was made for. A project
file, ``ledger.toml`` in this folder or one above, may name a store, and nothing else: who commits
to a project must not decide whom its users trust, nor where they sign.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger import InvalidError, Keyring, MalformedError, TrustError
from ledger.errors import KeyUnavailable, StoreUnavailable
from ledger.local.files import lock_file, make_folder, write_file
from ledger.stores import CONNECTIONS, MAX_CONNECTIONS, SCHEME, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Config", "load_config", "make_own_folder"]

DEFAULT_STORE = "ledger-data"
PROJECT_FILE = "ledger.toml"
USER_FILE = "config.toml"
USER_MEMBERS: dict[str, type] = {"store": str, "key": str, "connections": int}
PROJECT_MEMBERS: dict[str, type] = {"store": str}

THE_DEFAULT = "the default"
FOUND = {PROJECT_FILE, THE_DEFAULT}
"""What names a store by the folder that one is in: who filled that folder chose it."""


@dataclass(frozen=True)
class Config:
    """What the environment and the files say."""

    environment: Mapping[str, str]
    folder: Path
    """The user's side."""
    user: dict[str, Any]

    def store(self, flag: str | None = None) -> str:
        """The store to use, as ``open_store`` takes it."""
        return self.choose_store(flag)[0]

    def choose_store(self, flag: str | None = None) -> tuple[str, str]:
        """The store to use, and what named it."""
        bucket = self.environment.get("S3_BUCKET")  # the original service's name for it
        if flag is not None:
            return _check_store(flag, "the command line"), "the command line"
        if named := self.environment.get("LEDGER_STORE"):
            return _check_store(named, "LEDGER_STORE"), "LEDGER_STORE"
        candidates = (
            (_find_project().get("store"), PROJECT_FILE),
            (self.user.get("store"), str(self.folder / USER_FILE)),
            (f"s3://{bucket}" if bucket else None, "S3_BUCKET"),
        )
        for store, source in candidates:
            if store is not None:
                return _check_store(store, source), source
        return DEFAULT_STORE, THE_DEFAULT

    def connections(self, flag: int | None = None) -> int:
        """How many requests to a bucket may be under way at once."""
        if flag is not None:
            return flag
        if named := self.environment.get("LEDGER_CONNECTIONS"):
            number, source = _number(named), "LEDGER_CONNECTIONS"
        else:
            number = self.user.get("connections", CONNECTIONS)
            source = str(self.folder / USER_FILE)
        if not 1 <= number <= MAX_CONNECTIONS:
            raise InvalidError(f"{source}: connections are a number from 1 to {MAX_CONNECTIONS}")
        return number

    def key_file(self, flag: Path | None = None) -> Path:
        """The private key to sign with."""
        named = flag or self.environment.get("LEDGER_KEY_FILE") or self.user.get("key")
        return Path(_expand(str(named))) if named else self.folder / "key.pem"

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
        return os.fsencode(self.environment.get("LEDGER_PASSPHRASE", "")) or None

    def new_passphrase(self) -> bytes:
        """A passphrase for a new key: given, or typed twice."""
        given = self.given_passphrase()
        if given:
            return given
        typed = self._prompt("Passphrase for the new key: ")
        if not typed:
            raise KeyUnavailable("no passphrase was given", hint="set LEDGER_PASSPHRASE_FILE")
        if typed != self._prompt("The same again: "):
            raise KeyUnavailable("the two passphrases differ")
        return typed

    def _prompt(self, text: str) -> bytes | None:
        if not (sys.stdin.isatty() or sys.stderr.isatty()):
            return None  # nobody is there to ask; a document may come from a pipe all the same
        import getpass  # noqa: PLC0415 -- seldom needed

        try:
            return os.fsencode(getpass.getpass(text))
        except EOFError:
            return None

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

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the user's files against other processes: read, change and write them inside."""
        make_own_folder(self.folder)
        path = self.folder / ".lock"
        try:
            lock = lock_file(path)
        except OSError as error:
            raise StoreUnavailable(f"cannot lock {path}: {error.strerror}") from error
        with lock:
            yield

    def save_keyring(self, keyring: Keyring) -> None:
        """Replace the keyring, whole or not at all; only while ``changing``."""
        _write(self.keyring_file, keyring.encode())

    @property
    def origin(self) -> str | None:
        """The ledger that the user means, whatever the store: LEDGER_ORIGIN."""
        return self.environment.get("LEDGER_ORIGIN") or None

    def origin_of(self, store: str | Store) -> str | None:
        """The origin that this store has to have: LEDGER_ORIGIN, or what is remembered of it."""
        return self.origin or self.remembered(store)

    def remembered(self, store: str | Store) -> str | None:
        """The origin of the ledger that was made here, in this store."""
        known = self._known_stores()
        return next((known[name] for name in _names_of(store) if name in known), None)

    def remember_store(self, store: str | Store, origin: str) -> None:
        """Remember which ledger a store was made for; only while ``changing``."""
        known = self._known_stores() | dict.fromkeys(_names_of(store), origin)
        text = json.dumps({"format": 1, "stores": known}, indent=2, sort_keys=True)
        _write(self.folder / "stores.json", text.encode() + b"\n")

    def remember_link(self, store: Store) -> None:
        """Where a link leads to a store that is remembered, remember that it did."""
        name, *resolved = _names_of(store)
        known = self._known_stores()
        if name in known or not known.keys() & set(resolved):
            return
        with suppress(StoreUnavailable), self.changing():  # to read has to work without, too
            self.remember_store(store, known[resolved[0]])

    def _known_stores(self) -> dict[str, str]:
        path = self.folder / "stores.json"
        data = _read(path)
        try:
            stores = json.loads(data)["stores"] if data is not None else {}
            return {str(store): str(origin) for store, origin in stores.items()}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise InvalidError(f"{path}: not the list of known stores") from None


def load_config() -> Config:
    """Read the environment and the user's file; raises InvalidError."""
    environment = dict(os.environ)
    base = environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    folder = Path(base) / "title-ledger"
    _use_original_names(environment)
    user = _read_toml(folder / USER_FILE, USER_MEMBERS)
    if path := _path_in(user.get("store", "")):
        user["store"] = path
    return Config(environment, folder, user)


def _use_original_names(environment: Mapping[str, str]) -> None:
    """Let AWS_KEY and AWS_SECRET of the original service work where the modern names aren't set."""
    if "AWS_ACCESS_KEY_ID" in environment or "AWS_PROFILE" in environment:
        return
    if environment.get("AWS_KEY") and environment.get("AWS_SECRET"):
        os.environ["AWS_ACCESS_KEY_ID"] = environment["AWS_KEY"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = environment["AWS_SECRET"]


def _find_project() -> dict[str, Any]:
    try:
        here = Path.cwd()
    except OSError:
        return {}  # the folder we are in was deleted
    for folder in (here, *here.parents):
        path = folder / PROJECT_FILE
        if path.is_file():
            _check_owners(path)
            settings = _read_toml(path, PROJECT_MEMBERS)
            if store := _path_in(settings.get("store", "")):
                settings["store"] = str(folder / store)
            return settings
    return {}


def _check_owners(path: Path) -> None:
    """Refuse a project file that another user may have put there, as git does."""
    me = os.geteuid()
    try:
        owners = {path.stat().st_uid, path.lstat().st_uid}
        folder = path.parent.stat()
    except OSError as error:
        raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error
    if not owners <= {me, 0}:
        problem = "belongs to another user"
    elif folder.st_mode & stat.S_IWOTH and folder.st_uid != me:
        problem = "is in a folder where everybody may put files"
    else:
        return
    raise InvalidError(
        f"{path} {problem}: it doesn't decide which store you use",
        hint="name the store with --store or LEDGER_STORE",
    )


def _read_toml(path: Path, members: dict[str, type]) -> dict[str, Any]:
    data = _read(path)
    if data is None:
        return {}
    import tomllib  # noqa: PLC0415 -- where there is no file, there is nothing to wait for

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
        if type(value) is not members[name]:  # True is an int, too
            what = "string" if members[name] is str else "number"
            raise InvalidError(f"{path}: {name} is no {what}")
    return values


def _check_store(store: str, source: str) -> str:
    if not store:
        raise InvalidError(f"no store: {source} names it with an empty text")
    if store.lower() == "memory:":
        raise InvalidError(
            "memory: lasts no longer than one command, so it is of no use in a shell",
            hint="it is for programs that embed a ledger; here, name a folder or s3://BUCKET/PREFIX",
        )
    return store


def _number(text: str) -> int:
    """The number that a text is, or 0, which is none that anything may be set to."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def _expand(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 -- Path's raises where there is no such user


def _path_in(store: str) -> str | None:
    """The path that a store's name consists of, with ``~`` for the home; None for other stores."""
    path = re.sub("^file:", "", store, flags=re.IGNORECASE)
    if not path or path.startswith("//") or SCHEME.fullmatch(path):
        return None
    return _expand(path)


def _names_of(store: str | Store) -> list[str]:
    """What a store is remembered by: as it is named, and then where links in that name lead."""
    if isinstance(store, str):
        with closing(open_store(store)) as opened:
            return _names_of(opened)
    if not store.url.startswith("file:"):
        return [store.url]
    # The first one tells when a link leads elsewhere by now, the second finds it by other links.
    return [store.url, f"file:{Path(store.url.removeprefix('file:')).resolve()}"]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error


def make_own_folder(folder: Path) -> None:
    """Make a folder that only the user can enter, or find it; raises StoreUnavailable."""
    try:
        make_folder(str(folder.absolute()), 0o700)
    except OSError as error:
        raise StoreUnavailable(f"cannot make {folder}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    make_own_folder(path.parent)
    write_file(path, data, replace=True, mode=0o600)
