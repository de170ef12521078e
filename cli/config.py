"""Find the store, the keys and the keyring: option > LEDGER_* > project file > user file > default.

The user's files are in the folder ``$XDG_CONFIG_HOME/title-ledger``: ``config.toml``, ``key.pem``,
``keyring.json``, and ``stores.json``, which records which ledger each store was made for. A project
file, ``ledger.toml`` in this folder or one above, may name a store and a schema, and nothing else,
because those who commit to a project must not decide whom its users trust or where they sign.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ledger import (
    InvalidError,
    Keyring,
    MalformedError,
    NotFoundError,
    Signer,
    TrustError,
    open_signer,
    open_signers,
)
from ledger.errors import KeyUnavailable, StoreUnavailable
from ledger.local.files import lock_file, make_folder, read_own, write_file
from ledger.stores import CONNECTIONS, MAX_CONNECTIONS, SCHEME, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from ledger.format.canonical import JSONValue
    from ledger.format.keyring import Role
    from ledger.format.pem import OwnKey

DEFAULT_STORE = "ledger-data"
PROJECT_FILE = "ledger.toml"
USER_FILE = "config.toml"
USER_MEMBERS: dict[str, type] = {
    "store": str,
    "key": str,
    "connections": int,
    "author": str,
    "zone": str,
    "schema": str,
}
PROJECT_MEMBERS: dict[str, type] = {"store": str, "schema": str}

KeyFor: TypeAlias = "Role | Literal['holder']"
"""What a private key of the user's is for: a role in a keyring, or to sign trust files."""

KEYS: dict[KeyFor, tuple[str, str]] = {
    "registrar": ("LEDGER_KEY", "key.pem"),
    "log": ("LEDGER_LOG_KEY", "log-key.pem"),
    "witness": ("LEDGER_WITNESS_KEY", "witness-key.pem"),
    "holder": ("LEDGER_HOLDER_KEY", "holder-key.pem"),
}
"""For each role the variable that names the key, and the file it is in if nothing does."""

THE_DEFAULT = "the default"
FOUND = {PROJECT_FILE, THE_DEFAULT}
"""Sources that depend on the current folder, so that whoever filled the folder chose the store."""


@dataclass(frozen=True)
class Config:
    """The settings in the environment and in the user's files."""

    environment: Mapping[str, str]
    folder: Path
    """Where the user's files are."""
    user: dict[str, Any]

    def store(self, flag: str | None = None) -> str:
        """Return the store to use, as ``open_store`` takes it."""
        return self.choose_store(flag)[0]

    def choose_store(self, flag: str | None = None) -> tuple[str, str]:
        """Return the store to use and what named it."""
        bucket = self.environment.get("S3_BUCKET")  # as in the original service
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

    def open_store(self, flag: str | None = None, connections: int | None = None) -> Store:
        """Open the store to use.

        The token in LEDGER_TOKEN goes only where the user named the store: whoever filled a folder
        could otherwise collect it.
        """
        url, source = self.choose_store(flag)
        return self.open_named(url, connections, with_token=source not in FOUND)

    def open_named(
        self, url: str, connections: int | None = None, *, with_token: bool = True
    ) -> Store:
        """Open a store that the user named."""
        token = self.environment.get("LEDGER_TOKEN") if with_token else None
        return open_store(url, connections=self.connections(connections), bearer=token or None)

    def check(self, flag: Path | None = None) -> Callable[[JSONValue], None] | None:
        """Return what refuses documents that don't fit the schema, if one is named.

        Raises InvalidError for a schema that can't be used: without it nothing is signed.
        """
        named = flag or _find_project().get("schema") or self.user.get("schema")
        if not named:
            return None
        from ledger.schema import Schema  # noqa: PLC0415 -- seldom needed

        data = _read(Path(named))
        if data is None:
            raise NotFoundError(f"cannot read the schema {named}: no such file")
        return Schema.decode(data, name=str(named)).check

    def connections(self, flag: int | None = None) -> int:
        """Return how many requests to a bucket may run at once."""
        if flag is not None:
            return flag
        if named := self.environment.get("LEDGER_CONNECTIONS"):
            number, source = _number(named), "LEDGER_CONNECTIONS"
        else:
            number = self.user.get("connections", CONNECTIONS)
            source = str(self.folder / USER_FILE)
        if not 1 <= number <= MAX_CONNECTIONS:
            raise InvalidError(
                f"{source}: connections must be a number from 1 to {MAX_CONNECTIONS}"
            )
        return number

    def index(self, origin: str, flag: Path | None = None) -> Path:
        """Return the file of a ledger's index; if nothing names it, make the folder it is in."""
        if flag is not None:
            return flag
        if named := self.environment.get("LEDGER_INDEX"):
            return Path(_expand(named))
        base = self.environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        name = f"index-{hashlib.sha256(origin.encode()).hexdigest()[:16]}.sqlite"
        path = Path(base) / "title-ledger" / name
        make_own_folder(path.parent)
        return path

    def author(self, flag: str | None = None) -> str:
        """Return who asks for what is appended; empty if nothing says so."""
        if flag is not None:
            return flag
        return self.environment.get("LEDGER_AUTHOR") or str(self.user.get("author", ""))

    def zone(self, flag: str | None = None) -> ZoneInfo | None:
        """Return the time zone in which "today" is told; None: that of this machine."""
        name, source = flag, "the command line"
        if name is None:
            name, source = self.user.get("zone"), str(self.folder / USER_FILE)
        if name is None:
            return None
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 -- seldom needed

        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidError(
                f"{source}: zone is not a time zone: {name!a:.60}",
                hint="write an IANA name, such as Europe/London",
            ) from None

    def now(self, flag: str | None = None) -> datetime:
        """Return the time, with the offset of the zone in which "today" is told."""
        return datetime.now(UTC).astimezone(self.zone(flag))

    def key(self, flag: str | None = None, role: KeyFor = "registrar") -> str:
        """Return the path or the URI of the key to sign with."""
        variable, default = KEYS[role]
        named = flag or self.environment.get(variable)
        if not named and role == "registrar":
            named = self.user.get("key")
        return _expand(str(named)) if named else str(self.folder / default)

    def signer(self, uri: str, *, prompt: bool = True) -> Signer:
        """Open what signs; if it takes a passphrase or a PIN, ask for it unless it is given."""
        return open_signer(uri, **self._how_to_open(prompt=prompt))

    def signers(self, uri: str, *, prompt: bool = True) -> tuple[Signer | OwnKey, ...]:
        """Open all that signs: as ``signer`` does, but every key of a file."""
        return open_signers(uri, **self._how_to_open(prompt=prompt))

    def _how_to_open(self, *, prompt: bool) -> dict[str, Any]:
        ask = self._prompt if prompt else lambda _: None
        return {
            "passphrase": lambda words: self.given_passphrase() or ask(words),
            "pin": ask,  # not a file's passphrase: a token locks itself after a few wrong PINs
            "pkcs11_module": self.environment.get("LEDGER_PKCS11_MODULE"),
            "ssh_agent": self.environment.get("SSH_AUTH_SOCK"),
        }

    def given_passphrase(self) -> bytes | None:
        """Return the passphrase in LEDGER_PASSPHRASE_FILE or LEDGER_PASSPHRASE, if there is one."""
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
        """Return a passphrase for a new key: the one given, or one typed twice."""
        given = self.given_passphrase()
        if given:
            return given
        typed = self._prompt("Passphrase for the new key: ")
        if not typed:
            raise KeyUnavailable(
                "no passphrase was given",
                hint="type one, or set LEDGER_PASSPHRASE_FILE to a file that holds it",
            )
        if typed != self._prompt("The same again: "):
            raise KeyUnavailable("the two passphrases differ", hint="run the command again")
        return typed

    def _prompt(self, text: str) -> bytes | None:
        if not (sys.stdin.isatty() or sys.stderr.isatty()):
            return None  # nobody to ask; stdin alone may be a pipe with a document
        import getpass  # noqa: PLC0415 -- seldom needed

        try:
            return os.fsencode(getpass.getpass(text))
        except EOFError:
            return None

    @property
    def keyring_file(self) -> Path:
        """The file that says whose signatures count."""
        return self.folder / "keyring.json"

    def keyring(self) -> Keyring:
        """Return the user's keyring, which is empty if there is no file yet."""
        data = _read(self.keyring_file)
        try:
            return Keyring.decode(data) if data is not None else Keyring()
        except MalformedError as error:
            raise TrustError(f"{self.keyring_file}: {error}") from error

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Lock the user's files against other processes, to read, change and write them inside."""
        make_own_folder(self.folder)
        path = self.folder / ".lock"
        try:
            lock = lock_file(path)
        except OSError as error:
            raise StoreUnavailable(f"cannot lock {path}: {error.strerror}") from error
        with lock:
            yield

    def save_keyring(self, keyring: Keyring) -> None:
        """Replace the keyring; only while ``changing``."""
        _write(self.keyring_file, keyring.encode())

    @property
    def origin(self) -> str | None:
        """The ledger in LEDGER_ORIGIN, which the user means whatever the store is."""
        return self.environment.get("LEDGER_ORIGIN") or None

    def origin_of(self, store: str | Store) -> str | None:
        """Return the origin this store must have: LEDGER_ORIGIN, or the one in ``stores.json``."""
        return self.origin or self.remembered(store)

    def remembered(self, store: str | Store) -> str | None:
        """Return the origin of the ledger that the user made or joined in this store, if any."""
        known = self._known_stores()
        return next((known[name] for name in _names_of(store) if name in known), None)

    def remember_store(self, store: str | Store, origin: str, source: str | None = None) -> None:
        """Record which ledger a store was made for; only while ``changing``.

        ``source``: the store that it is a copy of.
        """
        names = _names_of(store)
        text = {"format": 1, "stores": self._known_stores() | dict.fromkeys(names, origin)}
        sources = self._known_stores("sources") | (dict.fromkeys(names, source) if source else {})
        if sources:
            text["sources"] = sources
        shown = json.dumps(text, indent=2, sort_keys=True)
        _write(self.folder / "stores.json", shown.encode() + b"\n")

    def source_of(self, store: Store) -> str | None:
        """Return the store that this one was cloned from, if the user did."""
        known = self._known_stores("sources")
        return next((known[name] for name in _names_of(store) if name in known), None)

    def remember_link(self, store: Store) -> None:
        """If a link leads to a store on record, record the link as well."""
        name, *resolved = _names_of(store)
        known = self._known_stores()
        if name in known or not known.keys() & set(resolved):
            return
        with suppress(StoreUnavailable), self.changing():  # reading must work without it
            self.remember_store(store, known[resolved[0]])

    def _known_stores(self, member: str = "stores") -> dict[str, str]:
        path = self.folder / "stores.json"
        data = _read(path)
        try:
            found = json.loads(data) if data is not None else {"stores": {}}
            stores = found["stores"] if member == "stores" else found.get(member, {})
            return {str(store): str(origin) for store, origin in stores.items()}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise InvalidError(
                f"{path} is not a list of known stores",
                hint="move it away; 'ledger init STORE' records a store again",
            ) from None


def load_config() -> Config:
    """Read the environment and the user's settings; raises InvalidError."""
    environment = dict(os.environ)
    base = environment.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    folder = Path(base) / "title-ledger"
    _use_original_names(environment)
    user = _read_toml(folder / USER_FILE, USER_MEMBERS)
    if path := _path_in(user.get("store", "")):
        user["store"] = path
    if "schema" in user:
        user["schema"] = _expand(user["schema"])
    return Config(environment, folder, user)


def _use_original_names(environment: Mapping[str, str]) -> None:
    """Accept the original service's AWS_KEY and AWS_SECRET if the usual names aren't set."""
    if "AWS_ACCESS_KEY_ID" in environment or "AWS_PROFILE" in environment:
        return
    if environment.get("AWS_KEY") and environment.get("AWS_SECRET"):
        os.environ["AWS_ACCESS_KEY_ID"] = environment["AWS_KEY"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = environment["AWS_SECRET"]


def _find_project() -> dict[str, Any]:
    try:
        here = Path.cwd()
    except OSError:
        return {}  # the current folder was deleted
    for folder in (here, *here.parents):
        path = folder / PROJECT_FILE
        if path.is_file():
            _check_owners(path)
            settings = _read_toml(path, PROJECT_MEMBERS)
            if store := _path_in(settings.get("store", "")):
                settings["store"] = str(folder / store)
            if schema := settings.get("schema"):
                settings["schema"] = str(folder / _expand(schema))
            return settings
    return {}


def _check_owners(path: Path) -> None:
    """Refuse a project file that another user may have put there, as git refuses its own."""
    me = os.geteuid()
    try:
        owners = {path.stat().st_uid, path.lstat().st_uid}
        folder = path.parent.stat()
    except OSError as error:
        raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error
    if not owners <= {me, 0}:
        problem = "belongs to another user"
    elif folder.st_mode & stat.S_IWOTH and folder.st_uid != me:
        problem = "is in a folder that anybody can write to"
    else:
        return
    raise InvalidError(
        f"{path} {problem}, so it can't choose your store or schema",
        hint="name the store with --store or LEDGER_STORE, and the schema with --schema",
    )


def _read_toml(path: Path, members: dict[str, type]) -> dict[str, Any]:
    data = _read(path)
    if data is None:
        return {}
    import tomllib  # noqa: PLC0415 -- only needed if there is a file

    try:
        values: dict[str, Any] = tomllib.loads(data.decode())
    except ValueError as error:
        raise InvalidError(f"{path}: {error}") from None
    for name, value in values.items():
        if name not in members:
            raise InvalidError(
                f"{path}: unknown setting {name!a}",
                hint=f"it can set: {', '.join(sorted(members))}",
            )
        if type(value) is not members[name]:  # True is an int
            what = "string" if members[name] is str else "number"
            raise InvalidError(f"{path}: {name} is not a {what}")
    return values


def _check_store(store: str, source: str) -> str:
    if not store:
        raise InvalidError(f"no store: the one in {source} is empty")
    if store.lower() == "memory:":
        raise InvalidError(
            "a store in memory: ends with the command, so a shell has no use for it",
            hint="name a folder or s3://BUCKET/PREFIX; memory: is for programs that embed a ledger",
        )
    return store


def _number(text: str) -> int:
    """Return the number in a text, or 0, which no setting can have."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def _expand(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 -- Path's raises if there is no such user


def _path_in(store: str) -> str | None:
    """Return the path of a store that is a folder, with ``~`` expanded; None for other stores."""
    path = re.sub("^file:", "", store, flags=re.IGNORECASE)
    if not path or path.startswith("//") or SCHEME.fullmatch(path):
        return None
    return _expand(path)


def _names_of(store: str | Store) -> list[str]:
    """Return the names a store is recorded by: the one given, then the one its links lead to."""
    if isinstance(store, str):
        with closing(open_store(store)) as opened:
            return _names_of(opened)
    if not store.url.startswith("file:"):
        return [store.url]
    # The first shows when a link now leads elsewhere; the second finds the store by other links.
    return [store.url, f"file:{Path(store.url.removeprefix('file:')).resolve()}"]


def _read(path: Path) -> bytes | None:
    try:
        return read_own(path)
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
