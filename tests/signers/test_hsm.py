"""SoftHSM, for real: what is wrong with a token, a PIN or a key, and one that breaks or hangs."""

from __future__ import annotations

import sys
import time
from threading import Event

import pytest

from ledger import Ledger, open_signer
from ledger.errors import KeyUnavailable
from ledger.format.signing import sign_with
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN
from tests.signers.devices import PIN, generate, run

pytestmark = pytest.mark.xdist_group("softhsm")


def session_of(hsm):
    import pkcs11

    token = pkcs11.lib(hsm.options["pkcs11_module"]).get_token(token_label="registry")
    try:
        return token.open(user_pin=PIN, rw=True)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open(rw=True)


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=registry;object=registrar",
        "PKCS11:object=registrar;token=registry;type=private",
        "pkcs11:token=registry;id=%01",
        "pkcs11:token=%72egistry;object=registr%61r;id=%01",
    ],
)
def test_all_spellings_find_the_same_key(hsm, uri):
    expected = open_signer(hsm.uris["registrar"], **hsm.options).public_key
    assert open_signer(uri, pin=PIN.encode(), **hsm.options).public_key == expected
    module = hsm.options["pkcs11_module"]
    assert open_signer(f"{uri}?module-path={module}&pin-value={PIN}").public_key == expected


def test_the_pin_is_asked_for_only_if_the_uri_has_none(hsm):
    asked = []

    def ask(words):
        asked.append(words)
        return PIN.encode()

    open_signer(hsm.uris["registrar"], pin=ask, **hsm.options)
    assert asked == []
    open_signer("pkcs11:token=registry;object=log", pin=ask, **hsm.options)
    assert asked == ["PIN for pkcs11:token=registry;object=log: "]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("pkcs11:token=none;object=log?pin-value=1234", "no such token"),
        ("pkcs11:token=registry;object=none?pin-value=1234", "no such key"),
        ("pkcs11:token=registry;object=log", "needs a PIN, and none was given"),
        ("pkcs11:token=registry;object=log?pin-source=file:/no/pin", "/no/pin"),
        ("pkcs11:token=registry;object=log?pin-value=%FF", "not UTF-8"),
        ("pkcs11:token=registry;object=log?module-path=/no.so", "cannot open shared object"),
        ("pkcs11:token=registry;object=log?module-path=/etc/passwd", "loading /etc/passwd"),
    ],
)
def test_what_is_missing_is_named_without_the_pin(hsm, uri, words):
    with pytest.raises(KeyUnavailable, match=words) as caught:
        open_signer(uri, **hsm.options)
    assert "1234" not in str(caught.value) + caught.value.hint


def test_a_module_has_to_be_named():
    with pytest.raises(KeyUnavailable, match=r"no PKCS#11 module is named") as caught:
        open_signer("pkcs11:token=registry;object=log")
    assert "LEDGER_PKCS11_MODULE" in caught.value.hint


def test_a_pin_that_others_can_read_is_refused(hsm, tmp_path):
    path = tmp_path / "pin"
    path.write_text(PIN)
    path.chmod(0o644)
    with pytest.raises(KeyUnavailable, match="others can read"):
        open_signer(f"pkcs11:token=registry;object=log?pin-source={path}", **hsm.options)


def test_a_wrong_pin_is_not_repeated(hsm, monkeypatch):
    import pkcs11

    found = open_signer(hsm.uris["log"], **hsm.options)
    tried = []

    class Token:
        """As the real one, whose PIN somebody has changed."""

        def open(self, user_pin=None):
            tried.append(user_pin)
            raise pkcs11.PinIncorrect

    monkeypatch.setattr(found, "_token", Token)
    found._close()
    for _ in range(3):
        with pytest.raises(KeyUnavailable, match="wrong PIN"):
            found.sign(b"data")
    assert tried == [PIN]


def test_a_real_wrong_pin_is_refused(hsm):
    """In a process of its own: a token asks each process for its PIN once."""
    uri = "pkcs11:token=registry;object=log?pin-value=0000"
    code = f"""
from ledger import LedgerError, open_signer
try:
    open_signer({uri!r}, **{hsm.options!r})
except LedgerError as error:
    print(type(error).__name__, error, error.hint)
"""
    said = run(sys.executable, "-c", code).decode()
    assert said.startswith("KeyUnavailable pkcs11:token=registry;object=log: wrong PIN")
    assert "0000" not in said


def test_a_session_that_broke_is_opened_anew(hsm):
    found = open_signer(hsm.uris["registrar"], **hsm.options)
    other = open_signer(hsm.uris["log"], **hsm.options)
    sign_with(found, b"one")
    other._close()  # logs this process out, as pulling the card does
    found._session.close()
    for signer in (found, other, found):
        sign_with(signer, b"two")


def test_a_token_whose_halves_do_not_belong_together_signs_nothing(hsm):
    from pkcs11 import Attribute

    with session_of(hsm) as session:
        public, private = generate(session, "half", b"\x11")
        strange, _ = generate(session, "strange", b"\x12")
        public.destroy()
        strange[Attribute.ID] = b"\x11"
        store = MemoryStore()
        found = open_signer(f"pkcs11:token=registry;object=half?pin-value={PIN}", **hsm.options)
        ledger = Ledger.create(store, origin=ORIGIN, signer=found)
        before = list(store.list())
        with pytest.raises(KeyUnavailable, match="does not verify"):
            ledger.append("TN1", {})
        assert list(store.list()) == before
        private.destroy()
        with pytest.raises(KeyUnavailable):
            sign_with(found, b"data")


@pytest.mark.parametrize("answer", [b"", bytes(63), bytes(64), b"\x01" + bytes(63), bytes(65)])
def test_a_wrong_signature_is_refused(hsm, monkeypatch, answer):
    class Key:
        def sign(self, data, mechanism):
            return answer

    found = open_signer(hsm.uris["log"], **hsm.options)
    monkeypatch.setattr(found, "_key", Key())
    with pytest.raises(KeyUnavailable, match="does not verify"):
        sign_with(found, b"data")


def test_a_token_that_hangs_is_given_up_and_used_again_once_it_answers(hsm, monkeypatch):
    found = open_signer(hsm.uris["log"], **hsm.options)
    monkeypatch.setattr(found, "_timeout", 0.3)
    go_on, real = Event(), found._key

    class Key:
        def sign(self, data, mechanism):
            go_on.wait(30)
            return real.sign(data, mechanism=mechanism)

    monkeypatch.setattr(found, "_key", Key())
    start = time.monotonic()
    for _ in range(2):
        with pytest.raises(KeyUnavailable, match=r"not answered within 0\.3 seconds"):
            found.sign(b"data")
    assert time.monotonic() - start < 20
    go_on.set()
    monkeypatch.setattr(found, "_timeout", 30)
    sign_with(found, b"data")
