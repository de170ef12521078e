"""Decide who may call the service and where it listens: tokens, hosts, socket."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ledger import InvalidError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.service import Token

TOO_OPEN = 0o026
"""Mode bits of a file that everybody can read, or that others than the owner can write."""
BACKLOG = 2048


class CannotServeError(LedgerError):
    """The service can't be started with these options."""

    slug = "cannot-serve"
    exit_code = 2


def read_tokens(environment: Mapping[str, str]) -> tuple[Token, ...]:
    """Read the tokens in LEDGER_TOKENS_FILE, and the login of the original service.

    A variable that is set but empty is an error, as somebody meant to protect the service.
    """
    from ledger.service import basic_login, parse_tokens  # noqa: PLC0415 -- only needed to serve

    tokens: tuple[Token, ...] = ()
    file = environment.get("LEDGER_TOKENS_FILE")
    if file == "":
        raise CannotServeError(
            "LEDGER_TOKENS_FILE is set but empty", hint="name a file of tokens in it, or unset it"
        )
    if file is not None:
        tokens = parse_tokens(_read_secret(Path(file)))
    username = environment.get("BASIC_AUTH_USERNAME")
    password = environment.get("BASIC_AUTH_PASSWORD")
    if username is not None or password is not None:
        tokens += (basic_login(username or "", password or ""),)
    return tokens


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & TOO_OPEN:
                raise CannotServeError(
                    f"{path}: others on this machine can read or change the tokens",
                    hint=f"chmod 600 {path}",
                )
            return file.read().decode()
    except OSError as error:
        raise CannotServeError(f"cannot read the tokens: {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidError(
            f"the tokens in {path} are not UTF-8", hint="save the file as UTF-8"
        ) from None


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can connect to an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def hosts_to_answer_to(named: list[str], public_url: str, *, local: bool) -> frozenset[str]:
    """Return the host names to answer to; an empty set means any.

    On loopback, these are the names given and those of this machine.
    """
    hosts = {name.lower() for name in named}
    if local:
        # A web site can point its own name at 127.0.0.1 and call the service from a browser here.
        hosts |= {"localhost", "127.0.0.1", "[::1]"}
    if hosts and public_url:
        hosts.add((urlsplit(public_url).hostname or "").lower())
    return frozenset(hosts)


def listen(host: str, port: int) -> socket.socket:
    """Open a socket that listens; raises CannotServeError with another port to try."""
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotServeError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            hint=f"choose another port: 'ledger serve --port {min(port + 1, 65535)}'; 0 takes any",
        ) from error
    return listener
