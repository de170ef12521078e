"""The page as a person uses it: files chosen, keys pasted, a verdict read, on a desk or a phone."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest

from ledger.stores import MemoryStore
from ledger.testing import ORIGIN
from tests.service.test_browser import CONTRAST, DESKTOP, PHONE
from tests.trust.registry import ALICE, Registry
from tests.verifier.page import HTML, hash_of, needs_browser
from tests.verifier.samples import (
    KEYRING,
    LOG_KEY,
    LOG_MLDSA,
    REGISTRAR,
    REGISTRARS,
    STRANGER,
    Log,
    bundle,
    chain,
    erased_chain,
    other_ledgers,
    sign,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Keyring
    from tests.verifier.page import Page

PEM = REGISTRAR.public_key.pem().decode()
LOG_PEM = LOG_KEY.public_key.pem().decode()


def test_nothing_but_the_file_is_ever_asked_for() -> None:
    text = HTML.decode()
    assert re.findall(r"https?:|//[a-z]|@import|url\(|src=|href=|fetch\(|XMLHttp", text) == []
    assert "innerHTML" not in text
    assert "eval(" not in text


@pytest.mark.parametrize("element", ["script", "style"])
def test_the_policy_lets_only_this_script_and_style_run(element: str) -> None:
    policy = re.search(rb'Content-Security-Policy" content="([^"]*)"', HTML)
    assert policy
    rules = policy[1].decode().split("; ")
    assert rules[0] == "default-src 'none'"
    expected = f"{element}-src '{hash_of(element)}'"
    assert expected in rules, "run python -m tests.verifier.sign"


class Person:
    """Somebody with some files, in front of the page."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.chrome = page.chrome
        self.folder = folder
        page.open()
        self.look(DESKTOP)

    def look(self, width: int, scheme: str = "light") -> None:
        """At a screen of this width, in these colours."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def choose(self, field: str, data: bytes) -> None:
        file = self.folder / f"{field}.file"
        file.write_bytes(data)
        self.chrome.find_element("id", field).send_keys(str(file))

    def type(self, **texts: str) -> None:
        for field, text in texts.items():
            self.chrome.execute_script(
                "document.getElementById(arguments[0]).value = arguments[1]", field, text
            )

    def verify(self) -> str:
        """Press the button; the verdict."""
        from selenium.webdriver.support.wait import WebDriverWait

        self.chrome.find_element("css selector", "button").click()
        found = WebDriverWait(self.chrome, timeout=60, poll_frequency=0.02).until(
            lambda chrome: chrome.find_elements("css selector", "#result .verdict h2")
        )
        assert self.chrome.switch_to.active_element.get_attribute("id") == "result"
        said = [line["message"] for line in self.chrome.get_log("browser")]
        assert not said, f"the console says {said}"
        return str(found[0].text)

    @property
    def text(self) -> str:
        """The whole result, opened."""
        self.chrome.execute_script(
            "document.querySelectorAll('details').forEach(each => { each.open = true; })"
        )
        return str(self.chrome.find_element("id", "result").text)


@pytest.fixture
def person(page: Page, tmp_path: Path) -> Person:
    return Person(page, tmp_path)


pytestmark = pytest.mark.xdist_group("browser")


@needs_browser
def test_a_bundle_with_a_pasted_key(person: Person) -> None:
    person.choose("file", bundle(chain("TN1", 3), chain("TN2", 1)))
    person.type(registrars=PEM, origin=ORIGIN)
    assert person.verify() == f"verified: 2 titles, 4 entries of {ORIGIN}"
    text = person.text
    assert "exit code 0." in text
    assert "not checked: whether the bundle has every title" in text
    assert REGISTRAR.public_key.key_id in text
    assert '"owner": "Ödi 2"' in text


@needs_browser
def test_a_bundle_with_a_keyring_and_a_log(person: Person) -> None:
    entries = chain("TN1", 3)
    person.choose("file", bundle(entries, log=Log(entries)))
    person.choose("registrars-file", KEYRING.encode())
    assert person.verify() == f"verified: 1 title, 3 entries of {ORIGIN}"
    assert "the log in the bundle" not in person.text
    assert LOG_KEY.public_key.key_id in person.text
    person.type(registrars=REGISTRARS.encode().decode())
    person.verify()
    assert "not checked: the log in the bundle: your keyring has no key" in person.text
    person.type(log=LOG_PEM, origin=ORIGIN)
    assert person.verify().startswith("verified")
    assert "the log in the bundle" not in person.text
    person.type(log=STRANGER.public_key.pem().decode())
    assert person.verify().startswith("NOT VERIFIED")
    assert "tampering: unknown-key" in person.text


@needs_browser
def test_a_bundle_in_which_a_byte_was_changed(person: Person) -> None:
    data = bundle(chain("TN1", 3)).replace("Ödi 1".encode(), "Ödi 7".encode())
    person.choose("file", data)
    person.type(registrars=PEM, origin=ORIGIN)
    assert person.verify() == f"NOT VERIFIED: {ORIGIN} is not as it was signed (sound: 1 entry)"
    assert "tampering: text-mismatch: TN1/" in person.text
    assert "exit code 20." in person.text
    assert "Ödi 7" not in person.text


@needs_browser
def test_a_pin_that_is_not_in_the_history(person: Person) -> None:
    person.choose("file", bundle(chain("TN1", 3)))
    person.type(registrars=PEM, origin=ORIGIN, expect="0" * 64)
    assert person.verify() == (
        f"NOT WHAT YOU REMEMBER: {ORIGIN} lacks an address that was pinned (sound: 3 entries)"
    )
    assert "mismatch: pin-missing: " in person.text
    assert "exit code 20." in person.text


@needs_browser
def test_a_title_that_the_log_refutes_says_nothing(person: Person) -> None:
    entries = chain("TN1", 3)
    person.choose("file", bundle(entries[:2], log=Log(entries)))
    person.type(registrars=KEYRING.encode().decode(), effective="2026-01-03")
    assert person.verify().startswith("NOT VERIFIED")
    assert "tampering: not-as-logged: TN1/head.json" in person.text
    assert "What was in law is not answered" in person.text
    assert "Ödi" not in person.text


@needs_browser
def test_a_bundle_that_was_cut_short(person: Person) -> None:
    person.choose("file", bundle(chain("TN1", 3))[:-1])
    person.type(registrars=PEM, origin=ORIGIN)
    assert person.verify() == ("Nothing was checked: not a bundle, or a bundle that was cut short")
    assert "exit code 65." in person.text


@needs_browser
def test_which_version_was_in_law(person: Person) -> None:
    first = sign("TN1", {"owner": "Ada"}, effective_at="2020", effective_until="2024-06-01")
    second = sign("TN1", {"owner": "Bo"}, first, effective_at="2024-06-01")
    person.choose("file", bundle([first, second], erased_chain("TN2")))
    person.type(registrars=PEM, origin=ORIGIN, effective="2023-05-05")
    person.verify()
    assert "TN1: 2 versions; in law on 2023-05-05: version 1" in person.text
    assert '"owner": "Ada"' in person.text
    person.type(effective="2024-06-01T00:30:00+01:00")
    person.verify()
    assert "version 2" in person.text
    person.type(effective="2019-01-01", recorded="2026-01-02")
    person.verify()
    assert "nothing was in law then: version 1 holds from 2020" in person.text
    person.type(effective="2026-01-02", recorded="")
    person.verify()
    assert "TN2: 3 versions; in law on 2026-01-02: version 1, whose text is erased" in person.text
    assert "not checked: the text of 1 entry of TN2, erased by version 3" in person.text


@needs_browser
def test_a_receipt(person: Person) -> None:
    entries = chain("TN1", 5)
    person.choose("file", entries[1].data)
    person.choose("receipt", Log(entries).receipt(entries[1]))
    person.type(registrars=PEM, log=LOG_PEM, origin=ORIGIN)
    assert person.verify() == (
        f"verified: TN1 version 2 is {entries[1].address},"
        f" leaf 1 of the log of {ORIGIN}, at 5 leaves"
    )
    assert "no witness's word is asked for" in person.text
    person.type(log=LOG_PEM + LOG_MLDSA.public_key.pem().decode())
    assert person.verify().startswith("not everything could be checked")
    assert "half-signed" in person.text
    person.choose("receipt", Log(entries, LOG_KEY, LOG_MLDSA).receipt(entries[1]))
    assert person.verify().startswith("verified: TN1 version 2")
    person.choose("receipt", Log(entries).receipt(entries[2]))
    person.type(log=LOG_PEM)
    assert person.verify().startswith("NOT VERIFIED")
    assert "not-included" in person.text


@needs_browser
def test_the_sha256_of_a_trust_file_in_the_place_of_keys(person: Person, tmp_path: Path) -> None:
    registry = Registry(MemoryStore(), tmp_path)
    registry.write("TN1", ALICE)
    registry.seal()
    good = registry.size()
    registry.write("TN1", ALICE, message="by a thief")
    registry.seal()
    old = io.BytesIO()
    registry.ledger(None).export(old)
    registry.revoke(ALICE, good)
    registry.ledger().settle("TN1", voids=[2])
    registry.seal()
    new = io.BytesIO()
    registry.ledger(None).export(new)
    first, second = registry.files
    person.choose("file", new.getvalue())
    person.type(root=first.digest, origin=ORIGIN)
    assert person.verify() == f"verified: 1 title, 3 entries of {ORIGIN}"
    text = person.text
    assert f"by 2 trust files, the newest of which is version 2: {second.digest}" in text
    assert f"registrar, alice, ends at leaf {good}: {ALICE.public_key.key_id}" in text
    assert "void, by version 3" in text
    assert '"n": 1' in text  # of the settlement, which restates what stands

    person.choose("file", old.getvalue())
    assert person.verify().startswith("verified")
    person.type(root=second.digest)
    assert person.verify().startswith("not everything could be checked")
    assert "trust-missing" in person.text
    person.choose("trust", second.encode())
    assert person.verify().startswith("NOT VERIFIED")
    assert "tampering: key-ended: TN1/head.json" in person.text
    person.type(root="abc")
    assert person.verify().startswith("Nothing was checked: the sha256 of a trust file is not 64")
    person.type(root=second.digest, origin="")
    assert person.verify().startswith("Nothing was checked: name the ledger's origin")


@pytest.mark.slow
@needs_browser
def test_what_is_missing_or_wrong_is_said(person: Person) -> None:
    person.choose("file", bundle(chain("TN1", 1)))
    private = REGISTRAR.pem().decode()
    wrong: tuple[tuple[dict[str, str], str], ...] = (
        ({"registrars": ""}, "no key: paste a public key"),
        ({"registrars": PEM}, "name the ledger's origin"),
        ({"registrars": PEM, "origin": "a b"}, "not an origin"),
        ({"registrars": private, "origin": ORIGIN}, "this is a private key"),
        ({"registrars": PEM.replace("M", "!")}, "not a public key in PEM form"),
        ({"registrars": PEM, "origin": "example.org/other"}, ""),
        ({"registrars": '{"format":1}'}, "not a keyring"),
        (
            {"registrars": '{"format":1,"keys":[],"keys":[]}'},
            "not a keyring: a member is there twice",
        ),
        (
            {"registrars": PEM, "origin": ORIGIN, "expect": "abc"},
            "the address that you noted is not 64",
        ),
        ({"registrars": PEM, "expect": "", "effective": "2026"}, "not a whole date or a time"),
    )
    for texts, said in wrong:
        person.type(**texts)
        verdict = person.verify()
        assert verdict.startswith(f"Nothing was checked: {said}" if said else "NOT VERIFIED"), texts
    assert "exit code 65." in person.text


@needs_browser
def test_text_from_a_file_is_text(person: Person) -> None:
    document: dict[str, Any] = {"owner": "<script>alert(1)</script>\u202eevil", "b": "\u200b\x1b"}
    person.choose("file", bundle([sign("TN1", document, message="<b>bold\u2066")]))
    person.type(registrars=PEM, origin=ORIGIN)
    assert person.verify().startswith("verified")
    text = person.text
    assert "<script>alert(1)</script>\\u{202e}evil" in text
    assert "<b>bold\\u{2066}" in text
    assert not re.search("[\u200b\u202e\u2066\x1b]", text)
    assert len(person.chrome.find_elements("tag name", "script")) == 1


@needs_browser
def test_a_keyring_of_several_ledgers_leaves_open_which_this_is(person: Person) -> None:
    person.choose("file", bundle(chain("TN1", 1)))
    person.type(registrars=other_ledgers().encode().decode())
    assert person.verify().startswith("verified")
    assert "not checked: which ledger this should be: your keyring knows 1 more" in person.text


@pytest.mark.slow
@needs_browser
def test_it_fits_a_phone_can_be_read_and_has_a_label_for_every_field(person: Person) -> None:
    long = chain("T" * 60, 2, reference="R" * 250)
    withheld: Keyring = KEYRING
    for data in (bundle(long, log=Log(long)), bundle([long[0].short, long[1]])):
        person.choose("file", data)
        person.type(registrars=withheld.encode().decode())
        person.verify()
        assert person.text
        for scheme in ("light", "dark"):
            for width in (PHONE, 360, DESKTOP):
                person.look(width, scheme)
                wide = "return document.documentElement.scrollWidth - innerWidth"
                assert person.chrome.execute_script(wide) <= 0, (width, scheme)
                assert person.chrome.execute_script(CONTRAST) == [], (width, scheme)
    unnamed = (
        "return [...document.querySelectorAll('input, textarea')].filter(e => !e.labels.length)"
    )
    assert person.chrome.execute_script(unnamed) == []


@pytest.mark.slow
@needs_browser
def test_the_keyboard_is_enough(person: Person) -> None:
    from selenium.webdriver.common.keys import Keys

    person.choose("file", bundle(chain("TN1", 1)))
    person.type(registrars=PEM)
    origin = person.chrome.find_element("id", "origin")
    origin.send_keys(ORIGIN, Keys.ENTER)
    assert person.verify().startswith("verified")
    summary = person.chrome.find_element("tag name", "summary")
    for _ in range(10):
        person.chrome.switch_to.active_element.send_keys(Keys.TAB)
        if person.chrome.switch_to.active_element == summary:
            break
    assert summary.value_of_css_property("outline-style") != "none"
    summary.send_keys(Keys.ENTER)
    assert person.chrome.find_element("tag name", "pre").is_displayed()
