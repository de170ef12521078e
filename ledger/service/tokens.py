"""Tell who may call: by bearer token (RFC 6750) or, as in the original service, login (RFC 7617).

A tokens file has a line for each token::

    # name   may     token, or sha256:<hex of its sha256>
    auditor  read    mF_9.B5f-4.1JqMmF_9.B5f-4.1JqM
    intake   write   sha256:4e1243bd22c66e76c2ba9eddc1f91394e57f9f83f4e1243bd22c66e76c2ba9ed

Only digests are kept. Each request is compared with all of them, in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ledger.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

Scheme = Literal["bearer", "basic"]

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
# The b64token of RFC 6750, section 2.1; shorter ones can be guessed.
BEARER = re.compile(r"[A-Za-z0-9._~+/-]{16,}=*")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Token:
    """A credential: its name, what it permits, and the sha256 of the secret."""

    name: str
    may_write: bool
    digest: bytes = field(repr=False)
    scheme: Scheme = "bearer"


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Read a tokens file. Raises InvalidError, which names the line but never quotes it."""
    lines = enumerate(text.splitlines(), start=1)
    tokens = tuple(
        _parse_line(number, line.split())
        for number, line in lines
        if line.strip() and not line.lstrip().startswith("#")
    )
    if not tokens:
        raise InvalidError("the tokens file has no tokens", hint="a line is: NAME read|write TOKEN")
    if len({token.name for token in tokens}) < len(tokens):
        raise InvalidError("the tokens file gives two tokens the same name")
    return tokens


def _parse_line(number: int, words: list[str]) -> Token:
    hint = "a line is: NAME read|write TOKEN, or sha256:HEX for the token's digest"
    if len(words) != 3 or not NAME.fullmatch(words[0]) or words[1] not in {"read", "write"}:
        raise InvalidError(f"the tokens file, line {number}: not NAME read|write TOKEN", hint=hint)
    name, scope, secret = words
    match = DIGEST.fullmatch(secret)
    if match is None and not BEARER.fullmatch(secret):
        raise InvalidError(
            f"the tokens file, line {number}: not a token of 16 characters or more", hint=hint
        )
    digest = bytes.fromhex(match[1]) if match else _digest(secret.encode())
    return Token(name, scope == "write", digest)


def basic_login(username: str, password: str) -> Token:
    """Make the one login of the original service (BASIC_AUTH_USERNAME, BASIC_AUTH_PASSWORD)."""
    if not username or ":" in username or not password:  # RFC 7617, section 2
        raise InvalidError("basic authentication needs a username without ':', and a password")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", username)[:64]
    return Token(name, True, _digest(f"{username}:{password}".encode()), "basic")


def find_token(tokens: Iterable[Token], authorization: bytes) -> Token | None:
    """Find the token that an Authorization header (RFC 9110, section 11.6.2) presents."""
    scheme, _, secret = authorization.strip().partition(b" ")
    kind = scheme.lower().decode("latin-1")
    secret = secret.strip()
    if kind == "basic":
        try:
            secret = base64.b64decode(secret, validate=True)
        except binascii.Error:
            return None
    presented = _digest(secret)
    found = None
    for token in tokens:  # all of them, so that the time reveals nothing
        if hmac.compare_digest(token.digest, presented) and token.scheme == kind:
            found = token
    return found


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
