"""A key in an HSM, a smart card or what else speaks PKCS#11, by its URI (RFC 7512).

``pkcs11:token=registry;object=registrar?module-path=/usr/lib/…so&pin-source=file:/run/…``. The
token is named by ``token`` (its label) or ``serial``, the key by ``object`` (its label) or ``id``.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from ledger.errors import InvalidError, KeyUnavailable, MalformedError
from ledger.format.keys import PublicKey
from ledger.local.keyfile import Passphrase, read_private

if TYPE_CHECKING:
    from collections.abc import Callable

    import pkcs11

T = TypeVar("T")

ASK = object()
"""In the place of a PIN that has to be given."""

PATH = ("token", "serial", "object", "id", "type")
QUERY = ("module-path", "pin-source", "pin-value")


class Place(NamedTuple):
    """What a URI says."""

    token: dict[str, Any]
    """What finds the token."""
    key: dict[str, Any]
    """What finds the key on it."""
    module: str | None
    pin_source: str | None
    pin: bytes | None
    shown: str
    """The URI without what may be secret."""


class HSMSigner:
    """Signs on a token; one signature at a time, in a session that is opened anew if it breaks."""

    limit: int | None = None

    def __init__(
        self,
        rest: str,
        *,
        module: str | os.PathLike[str] | None,
        pin: Passphrase,
        timeout: float,
    ) -> None:
        """Log in and find the key; raises KeyUnavailable, or InvalidError for a bad URI."""
        self._place = _parse(rest)
        self._timeout = timeout
        self._module = self._place.module or os.fspath(module or "")
        if not self._module:
            raise KeyUnavailable(
                f"{self._place.shown}: no PKCS#11 module is named",
                hint="set LEDGER_PKCS11_MODULE to the library of the token's maker,"
                " or add ?module-path=/PATH.so",
            )
        try:
            import pkcs11  # noqa: PLC0415 -- an extra
        except ImportError:
            raise KeyUnavailable(
                "a PKCS#11 token needs the package python-pkcs11",
                hint="pip install python-pkcs11",
            ) from None
        self._pkcs11 = pkcs11
        self._pin: Any = None
        self._pin_refused = False
        self._session: pkcs11.Session | None = None
        self._key: Any = None  # the stubs of the library know no key that signs
        self._lock = Lock()
        needed = self._in_time(self._how_to_log_in)
        # Asked for here, as a person may take longer than the device.
        self._pin = needed if needed is not ASK else _read_pin(self._place, pin)
        self.public_key: PublicKey = self._in_time(self._open)

    def sign(self, data: bytes) -> bytes:
        """The token's signature; raises KeyUnavailable if it refuses, or does not answer."""
        return self._in_time(lambda: self._sign(data))

    def _sign(self, data: bytes) -> bytes:
        """Sign in the session that is open; if it has broken, in a new one."""
        mechanism = self._pkcs11.Mechanism.EDDSA
        if self._key is not None:
            try:
                return bytes(self._key.sign(data, mechanism=mechanism))
            except self._pkcs11.PKCS11Error:
                self._close()
        self._open()
        return bytes(self._key.sign(data, mechanism=mechanism))

    def _token(self) -> pkcs11.Token:
        return self._pkcs11.lib(self._module).get_token(**self._place.token)

    def _how_to_log_in(self) -> object:
        """Return what stands for the PIN: None if there is none, or ASK."""
        flags, known = self._token().flags, self._pkcs11.TokenFlag
        if not flags & known.LOGIN_REQUIRED:
            return None
        has_keypad = flags & known.PROTECTED_AUTHENTICATION_PATH
        return self._pkcs11.PROTECTED_AUTH if has_keypad else ASK

    def _open(self) -> PublicKey:
        """Log in and find the key; returns its public key."""
        self._session = self._log_in()
        try:
            kind = self._pkcs11.ObjectClass.PRIVATE_KEY
            self._key = self._session.get_key(object_class=kind, **self._place.key)
            return PublicKey(self._point(self._session, self._key))
        except BaseException:
            self._close()
            raise

    def _log_in(self) -> pkcs11.Session:
        p, token = self._pkcs11, self._token()
        if self._pin_refused:
            raise p.PinIncorrect  # a token counts the wrong ones, and locks itself
        try:
            return token.open(user_pin=self._pin)
        except p.UserAlreadyLoggedIn:  # by another signer of this process
            return token.open()
        except p.PinIncorrect:
            self._pin_refused = True
            raise

    def _point(self, session: pkcs11.Session, key: Any) -> bytes:
        """Return the 32 bytes of the public key that belongs to a private one."""
        p = self._pkcs11
        same = {"id": key.id} if key.id else {"label": key.label}
        public = session.get_key(object_class=p.ObjectClass.PUBLIC_KEY, **same)
        point = bytes(public[p.Attribute.EC_POINT])
        # A DER OCTET STRING by the text of the standard; some modules leave out its two bytes.
        return point[2:] if point[:2] == b"\x04\x20" else point

    def _close(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            with suppress(self._pkcs11.PKCS11Error):
                session.close()

    def _in_time(self, work: Callable[[], T]) -> T:
        """Run what may hang in the code of a device's maker, and wait no longer than allowed."""
        if not self._lock.acquire(timeout=self._timeout):
            raise self._late()
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 -- raised in the caller's thread
                future.set_exception(error)
            finally:
                self._lock.release()

        Thread(target=run, name="pkcs11", daemon=True).start()
        try:
            return future.result(self._timeout)
        except TimeoutError:
            raise self._late() from None
        except (RuntimeError, OSError, ValueError, MalformedError) as error:
            raise self._explain(error) from error

    def _late(self) -> KeyUnavailable:
        return KeyUnavailable(
            f"{self._place.shown}: the token has not answered within {self._timeout:g} seconds"
        )

    def _explain(self, error: Exception) -> KeyUnavailable:
        """Turn an error of the module into one of ours."""
        p, hint = self._pkcs11, ""
        why = str(error) or type(error).__name__
        if isinstance(error, p.PinIncorrect | p.PinInvalid | p.PinLenRange | p.PinLocked):
            why = "wrong PIN" if not isinstance(error, p.PinLocked) else "the PIN is locked"
            hint = "it is not tried again: a token locks itself after a few wrong ones"
        elif isinstance(error, p.NoSuchKey | p.UserNotLoggedIn):
            why = "no such key, or it shows itself only after a PIN"
            hint = "'pkcs11-tool -O --login' lists the keys; the token needs both halves of a pair"
        elif isinstance(error, p.NoSuchToken):
            why, hint = "no such token", "'pkcs11-tool -L' lists the tokens"
        elif isinstance(error, p.MechanismInvalid | p.KeyTypeInconsistent):
            why, hint = "it can't sign with Ed25519 (CKM_EDDSA)", ""
        return KeyUnavailable(f"{self._place.shown}: {why:.200}", hint=hint)

    def __repr__(self) -> str:
        return f"HSMSigner({self._place.shown}, {self.public_key.key_id[:16]}…)"


def _parse(rest: str) -> Place:
    """Read a URI without its scheme; raises InvalidError, and never repeats a value."""
    path, _, query = rest.partition("?")
    named = _attributes(path.split(";"), PATH)
    asked = _attributes(query.split("&") if query else [], QUERY)
    token: dict[str, Any] = {}
    key: dict[str, Any] = {}
    if "token" in named:
        token["token_label"] = unquote(named["token"])
    if "serial" in named:
        token["token_serial"] = unquote_to_bytes(named["serial"])
    if "object" in named:
        key["label"] = unquote(named["object"])
    if "id" in named:
        key["id"] = unquote_to_bytes(named["id"])
    if named.get("type", "private") != "private":
        raise InvalidError("a PKCS#11 URI to sign with has type=private, or no type")
    if not token or not key:
        raise InvalidError(
            "a PKCS#11 URI has to name a token (token or serial) and a key (object or id)",
            hint="pkcs11:token=TOKEN;object=KEY",
        )
    pin = asked.get("pin-value")
    return Place(
        token,
        key,
        unquote(asked["module-path"]) if "module-path" in asked else None,
        unquote(asked["pin-source"]) if "pin-source" in asked else None,
        unquote_to_bytes(pin) if pin is not None else None,
        f"pkcs11:{path}",
    )


def _attributes(parts: list[str], known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            raise InvalidError(
                f"a PKCS#11 URI with {name!a:.40}, which is not among {', '.join(known)}",
                hint="leave it out",
            )
        if name in found:
            raise InvalidError(f"a PKCS#11 URI with two of {name}")
        found[name] = value
    return found


def _read_pin(place: Place, given: Passphrase) -> str:
    """Return the PIN: of the URI, else of the file that it names, else as given."""
    pin: bytes | str | None = place.pin
    if pin is None and place.pin_source is not None:
        path = place.pin_source.removeprefix("file:")
        if not path.startswith("/"):
            raise InvalidError(
                "pin-source is not a file", hint="pin-source=file:/PATH, which only you can read"
            )
        pin = read_private(path).removesuffix(b"\n").removesuffix(b"\r")
    if pin is None:
        pin = given(f"PIN for {place.shown}: ") if callable(given) else given
    try:
        if pin:
            return pin if isinstance(pin, str) else pin.decode()
    except UnicodeDecodeError:
        raise KeyUnavailable(f"{place.shown}: the PIN is not UTF-8") from None
    raise KeyUnavailable(
        f"{place.shown} needs a PIN, and none was given",
        hint="add ?pin-source=file:/PATH to the URI, or answer the prompt in a terminal",
    )
