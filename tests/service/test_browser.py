"""The pages in a real browser, Debian's Chromium: clicked through, tabbed through, printed."""

from __future__ import annotations

import base64
import math
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ledger import Ledger, Log
from ledger.testing import ORIGIN, FixedClock, memory_ledger
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR
from tests.service.client import listening
from tests.verifier.page import needs_browser, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = [needs_browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

TITLE, TAMPERED = "TN1234567", "TN666"
SCRIPT = "12 Mill Lane <script>alert(1)</script>"
DESKTOP, PHONE = 1280, 390

# The contrast of every element that has text of its own with what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parse = text => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = element => {
    for (let at = element; at; at = at.parentElement) {
        const colour = parse(getComputedStyle(at).backgroundColor);
        if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
};
return [...document.querySelectorAll("body *")]
    .filter(e => e.checkVisibility())
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => {
        const [low, high] = [getComputedStyle(e).color, behind(e)]
            .map(c => luminance(typeof c === "string" ? parse(c) : c)).sort((a, b) => a - b);
        return [(high + 0.05) / (low + 0.05), e.outerHTML.slice(0, 120)];
    })
    .filter(([contrast]) => contrast < 4.5);
"""


# -- A register, a service in front of it, a browser -------------------------------------------


def _fill(ledger: Ledger, clock: FixedClock, memory: Path) -> None:
    document: dict[str, Any] = {
        "title_number": TITLE,
        "property": {"address": SCRIPT, "easements": ["Right of way over the lane"]},
        "proprietors": [
            {"name": "Ada Lovelace", "share": "1/2"},
            {"name": "Charles Babbage", "share": "1/2"},
        ],
        "price_paid": 185000,
    }
    ledger.append(TITLE, document, message="first registration", effective_at="1995-03-01")
    clock.forward(days=30)
    document["proprietors"] = [{"name": "Grace Hopper", "share": "1"}]
    document["price_paid"] = 240000
    ledger.append(TITLE, document, message="sale", reference="A-2026/1841")
    Log(ledger).seal(LOG_KEY, memory, genesis=True)
    clock.forward(days=30)
    document["charges"] = [{"lender": "Bank of " + "Llanfair" * 20, "rate": 0.0425}]
    ledger.append(TITLE, document, message="mortgage")
    for number in range(3):
        ledger.append(TAMPERED, {"proprietor": f"Ada {number}"}, message="a change")
    for number in range(40):
        ledger.append(f"DN{number}", {"proprietor": "Ada"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service; one byte of a middle entry of a title in it was changed."""
    from ledger.service import Settings, create_app

    folder, clock = tmp_path_factory.mktemp("register"), FixedClock()
    with Ledger.create(
        str(folder),
        origin=ORIGIN,
        keyring=KEYRING,
        signer=REGISTRAR,
        clock=clock,
    ) as ledger:
        _fill(ledger, clock, tmp_path_factory.mktemp("sealer") / "memory")
        middle = folder / TAMPERED / f"{ledger.entry(TAMPERED, 'v2').address}.json"
        _change_a_byte(middle)
        app = create_app(ledger, Settings())
        with listening(app) as url:
            yield url


@pytest.fixture(scope="module")
def robbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service whose trust files revoke a registrar's key; TN1 is settled."""
    from tests.service.test_standing import Register

    register = Register(tmp_path_factory.mktemp("robbed"))
    register.settle()
    with listening(register.client.app) as url:
        yield url


def _change_a_byte(file: Path) -> None:
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"Ada 1", b"Bob 1"))


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    yield from start(tmp_path_factory.mktemp("chromium"))


class Person:
    """Somebody in front of the browser; on every page that they see, nothing is amiss."""

    def __init__(self, chrome: Chrome, site: str) -> None:
        self.chrome = chrome
        self.site = site
        self.look(DESKTOP)

    def look(self, width: int, *, scheme: str = "light", media: str = "") -> None:
        """At a screen of this width, in these colours, or at paper."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.chrome.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": features}
        )

    def open(self, path: str) -> None:
        self.chrome.get(self.site + path)
        self.check()

    def click(self, text: str) -> None:
        with self.new_page():
            self.chrome.find_element("link text", text).click()

    def type(self, field: str, text: str) -> None:
        element = self.chrome.find_element("id", field)
        element.clear()
        element.send_keys(text)
        with self.new_page():
            element.submit()

    @contextmanager
    def new_page(self) -> Iterator[None]:
        """Wait until what is done in here has led to another page, and look it over."""
        from selenium.webdriver.support.expected_conditions import staleness_of
        from selenium.webdriver.support.wait import WebDriverWait

        wait = WebDriverWait(self.chrome, timeout=30, poll_frequency=0.02)
        page = self.chrome.find_element("tag name", "html")
        yield
        wait.until(staleness_of(page))
        wait.until(lambda _: self.script("return document.readyState === 'complete'"))
        self.check()

    def check(self) -> None:
        wide = self.script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{self.chrome.current_url} is {wide} too wide"
        unpainted = self.script("return document.styleSheets.length !== 1")
        assert not unpainted, "the stylesheet was not loaded"
        said = [line["message"] for line in self.chrome.get_log("browser")]
        assert not said, f"the console says {said}"

    def script(self, code: str) -> Any:
        return self.chrome.execute_script(code)

    @property
    def heading(self) -> str:
        return self.chrome.find_element("tag name", "h1").text

    @property
    def verdict(self) -> str:
        return self.chrome.find_element("css selector", ".verdict .word").text

    @property
    def text(self) -> str:
        return self.chrome.find_element("tag name", "main").text

    def address_of(self, version: int) -> str:
        self.open(f"/titles/{TITLE}")
        code = self.chrome.find_element("css selector", f"#v{version} .line code")
        return str(code.get_attribute("data-full"))

    # -- Only the keyboard

    def press(self, key: str) -> WebElement:
        self.chrome.switch_to.active_element.send_keys(key)
        return self.chrome.switch_to.active_element

    def tab_to(self, text: str) -> None:
        """Press Tab until the focus is on a link or button with this text, and seen to be."""
        from selenium.webdriver.common.keys import Keys

        for _ in range(80):
            element = self.press(Keys.TAB)
            assert element.value_of_css_property("outline-style") != "none", "an unseen focus"
            if element.text == text:
                return
        raise AssertionError(f"no {text!r} within 80 tabs")


@pytest.fixture
def person(chrome: Chrome, site: str) -> Person:
    return Person(chrome, site)


# -- What a person does ------------------------------------------------------------------------


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_from_the_list_to_a_title_a_version_a_comparison_and_the_verification(
    person: Person, width: int
) -> None:
    person.look(width)
    person.open("/titles")
    assert person.heading == "Titles"
    person.type("q", "TN12")
    assert "DN1" not in person.text
    person.click(TITLE)
    assert (person.heading, person.verdict) == (TITLE, "Verified")
    assert "Version 3 of 3 current" in person.text
    person.click("Show version 1")
    assert "This is not the current version." in person.text
    assert "Ada Lovelace" in person.text
    person.click("See what changed since")
    assert "version 1 and version 3 compared" in person.heading
    cells = [cell.text for cell in person.chrome.find_elements("css selector", "del, ins")]
    assert ("185000", "240000") in pairwise(cells)
    person.click(TITLE)
    person.click("More about this verification")
    assert person.verdict == "Verified"
    assert "Without" not in person.text
    assert "whether this is the latest version" in person.text


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_whether_a_version_is_in_the_log_and_its_receipt(person: Person, width: int) -> None:
    person.look(width)
    person.open(f"/titles/{TITLE}")
    assert "Version 3 is not in the log yet." in person.text
    person.click("Show version 2")
    assert "Version 2 is in the log, as leaf 1 of the 2 that the log has" in person.text
    links = person.chrome.find_elements("link text", "Receipt of version 2")
    assert [link.get_attribute("download") for link in links] == [""]
    receipt = httpx.get(links[0].get_attribute("href")).text
    assert receipt.startswith("c2sp.org/tlog-proof@v1\nindex 1\n")
    person.tab_to("Receipt of version 2")


def test_an_address_remembered_from_before(person: Person) -> None:
    pin = person.address_of(1)
    person.click("More about this verification")
    person.type("expect", pin)
    assert person.verdict == "Verified"
    assert "you noted is in the chain" in person.text
    person.type("expect", "0" * 64)
    assert person.verdict == f"This address is not in the history of {TITLE}"
    assert "pin-missing" in person.text


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_title_that_was_tampered_with(person: Person, width: int) -> None:
    person.look(width)
    person.open(f"/titles/{TAMPERED}")
    assert person.verdict == "NOT as it was signed"
    assert "text-mismatch" in person.text
    assert "not known" in person.text
    assert not person.chrome.find_elements("class name", "verified")
    person.open(f"/titles/{TAMPERED}/verification")
    assert person.verdict == "NOT as it was signed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_what_is_void_or_does_not_stand_is_seen_at_once(
    chrome: Chrome, robbed: str, width: int, scheme: str
) -> None:
    person = Person(chrome, robbed)
    person.look(width, scheme=scheme)
    person.open("/titles/TN1")
    assert person.verdict == "Verified"
    fell = [each.text for each in chrome.find_elements("css selector", "li.fell h3")]
    assert fell == ["Version 4 void"]
    assert person.script(CONTRAST) == []
    person.click("Show version 4")
    assert "This version never was. Version 5 says that it is void." in person.text
    person.open("/titles/TN2")
    assert person.verdict == "NOT all of it stands"
    first = chrome.find_element("css selector", ".notice.bad")
    assert first.text.startswith("The newest version, 2, does not stand")
    assert person.script("return document.querySelector('.notice.bad').offsetTop") < 500
    assert person.script(CONTRAST) == []
    person.click("More about this verification")
    assert "What to do: Rely on the versions before it." in person.text
    person.click("trust files")
    assert person.heading == "Whose keys count"
    assert person.script(CONTRAST) == []


def test_script_in_a_document_is_text(person: Person) -> None:
    for path in ("", "?version=1", "/entries"):
        person.open(f"/titles/{TITLE}{path}")
        assert path == "/entries" or SCRIPT in person.text
        assert not person.chrome.find_elements("tag name", "script")


def test_every_page_fits_a_phone_and_can_be_read(person: Person) -> None:
    entry = person.address_of(2)
    paths = [
        "/titles",
        f"/titles/{TITLE}",
        f"/titles/{TAMPERED}",
        f"/titles/{TITLE}?version=1",
        f"/titles/{TITLE}/entries",
        f"/titles/{TITLE}/entries?path=/proprietors",
        f"/titles/{TITLE}/blame",
        f"/titles/{TITLE}/copy",
        "/log",
        "/changes",
        f"/titles/{TITLE}/diff?from=v1&to=v3",
        f"/titles/{TAMPERED}/verification",
        f"/titles/{TITLE}/entries/{entry}",
        "/titles/NONE",
        "/docs",
    ]
    for scheme in ("light", "dark"):
        for width in (PHONE, 360, DESKTOP):
            person.look(width, scheme=scheme)
            for path in paths:
                person.chrome.get(person.site + path)
                person.chrome.get_log("browser")  # a 404 is said there, too
                person.script("document.querySelectorAll('details').forEach(d => d.open = true)")
                person.check()
                assert person.script(CONTRAST) == [], (path, scheme, width)


def test_the_keyboard_is_enough(person: Person) -> None:
    from selenium.webdriver.common.keys import Keys

    person.open("/titles")
    assert person.press(Keys.TAB).text == "Skip to the content"
    person.press(Keys.ENTER)
    assert person.script("return document.activeElement.id") == "main"
    assert person.press(Keys.TAB).get_attribute("id") == "q"
    person.press("TN12")
    with person.new_page():
        person.chrome.switch_to.active_element.send_keys(Keys.ENTER)
    for text, heading in (
        (TITLE, TITLE),
        ("Show version 2", TITLE),
        ("See what changed since", "compared"),
        (TITLE, TITLE),
        ("More about this verification", "Verification"),
    ):
        person.tab_to(text)
        with person.new_page():
            person.chrome.switch_to.active_element.send_keys(Keys.ENTER)
        assert heading in person.heading
    assert person.verdict == "Verified"


def test_a_title_on_paper(person: Person) -> None:
    person.open(f"/titles/{TITLE}")
    person.look(DESKTOP, media="print")
    assert not person.chrome.find_element("css selector", "header nav").is_displayed()
    full = person.script(
        "return getComputedStyle(document.querySelector('#v1 .line .hash'), '::after').content"
    )
    assert len(full.strip('"')) == 64
    assert not [
        each for each in person.chrome.find_elements("tag name", "form") if each.is_displayed()
    ]
    assert pages_of(person).startswith(b"%PDF")


def test_an_official_copy_of_a_short_title_is_one_page(person: Person) -> None:
    person.open(f"/titles/{TITLE}/copy?version=2")
    assert pages_of(person).count(b"/Type /Page\n") == 1


def pages_of(person: Person) -> bytes:
    """What the browser prints, on A4."""
    options = {"printBackground": False, "paperWidth": 8.27, "paperHeight": 11.69}
    paper = person.chrome.execute_cdp_cmd("Page.printToPDF", options)
    return base64.b64decode(paper["data"])


# -- The land, and documents that are deep or long ---------------------------------------------

# What is broken in the middle, and what sticks out of its column or covers another one.
MISPLACED = """
const seen = [...document.querySelectorAll("main *")].filter(e => e.checkVisibility());
const inside = (e, scroller = e.closest(".scroll")) => scroller && scroller !== e;
return [
    ...seen.filter(e => e.matches(".num") && e.getClientRects().length > 1),
    ...seen.filter(e => e.matches("section :is(dd *, td *, li *, pre)"))
        .filter(e => !e.closest("svg") && !inside(e))
        .filter(e => e.getBoundingClientRect().right
            > e.closest("section").getBoundingClientRect().right + 1),
    ...seen.filter(e => e.matches("dt")).filter(e => {
        const [a, b] = [e, e.nextElementSibling].map(each => each.getBoundingClientRect());
        return a.right > b.left + 1 && a.bottom > b.top + 1 && b.height > 0;
    }),
].map(e => e.outerHTML.slice(0, 200));
"""


@pytest.fixture(scope="module")
def land() -> Iterator[str]:
    """The address of a service of titles whose documents are hard to show."""
    from ledger.service import Settings, create_app

    turn = [i / 200 * math.tau for i in range(200)]
    ring = [[-2.71583 + math.cos(a) / 1e3, 52.3676 + math.sin(a) / 1e3] for a in turn]
    terms: Any = "the innermost"
    for level in range(40):
        terms = {f"clause_{level}": terms, "weight": -1.2345678901234567e-300 + level / 3}
    ledger = memory_ledger()
    extent = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    numbers = [-(1 / 3 + n) for n in range(100)]
    ledger.append("LAND", {"proprietor": "Ada", "extent": extent, "numbers": numbers})
    charges = [{"lender": "A", "amount": -1.2345678901234567e-300}]
    new = {"proprietor": "Ada", "extent": extent, "numbers": numbers[1:], "charges": charges}
    ledger.append("LAND", new)
    ledger.append("DEEP", {"terms": terms, "covenants": ["keep the fence"] * 60})
    with listening(create_app(ledger, Settings())) as url:
        yield url


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("title", ["LAND", "DEEP"])
def test_no_number_breaks_and_no_column_runs_into_the_next(
    chrome: Chrome, land: str, title: str, width: int
) -> None:
    person = Person(chrome, land)
    for media in ("", "print"):
        for path in ("", "/entries", "?version=1", "/blame", "/copy"):
            person.look(720 if media else width, media=media)
            person.open(f"/titles/{title}{path}")
            tall = person.script("return document.documentElement.scrollHeight")
            assert media or tall < 12_000 or path == "/blame"  # it was 30,000
            assert person.script(MISPLACED) == []
            person.script("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert person.script(MISPLACED) == []
            assert person.script(CONTRAST) == []


def test_a_plan_is_seen_in_any_colours_and_what_is_folded_is_on_paper(
    chrome: Chrome, land: str
) -> None:
    person = Person(chrome, land)
    for scheme in ("light", "dark"):
        person.look(DESKTOP, scheme=scheme)
        person.open("/titles/LAND")
        stroke, behind = person.script(
            "const colour = (s, name) => getComputedStyle(document.querySelector(s))[name];"
            "return [colour('.plan .area', 'stroke'), colour('.plan svg', 'backgroundColor')]"
        )
        assert stroke != behind
    plan = chrome.find_element("css selector", ".plan svg")
    assert plan.aria_role == "image"
    assert plan.accessible_name == "Plan 1 area with 200 corners, about 136 m by 222 m."
    person.open("/titles/DEEP")
    covenants = "return document.querySelector('main').innerText.split('keep the fence').length"
    assert person.script(covenants) == 11
    person.look(DESKTOP, media="print")
    assert person.script(covenants) == 61
