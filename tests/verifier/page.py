"""The verifier's page, open in a real browser, and what it says of files and objects."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ledger import Finding, Report
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from selenium.webdriver import Chrome

    from ledger import Keyring

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="needs Chromium and its driver (Debian: chromium, chromium-driver)",
)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

HTML = (files("ledger") / "verifier.html").read_bytes()

# What every script below begins with: the page's own functions, and bytes and keys for them.
COMMON = """
const done = arguments[arguments.length - 1];
const unbase64 = text => Uint8Array.from(atob(text), char => char.charCodeAt(0));
const trusted = async ([keys, roots]) => {
    const keyring = new verifier.Keyring();
    for (const [origin, role, pem] of keys) await keyring.trustPem(origin, role, pem);
    for (const root of roots) keyring.pin(...root);
    return keyring;
};
const said = ({findings, notShown, titles, entries, origin}) =>
    ({findings, notShown, titles, entries, origin});
const refused = error => ({error: String(error), reason: error.reason, exit: error.exit});
const answer = promise => promise.then(done, error => done(refused(error)));
"""

# Many files with the same keys and options: pairs of a file and a receipt, if any.
VERIFY_FILES = """
const [files, keys, {trust = [], ...rest}] = arguments;
answer((async () => {
    const keyring = await trusted(keys), reports = [];
    const options = {...rest, trust: trust.map(unbase64)};
    for (const [file, receipt] of files) {
        const bytes = [file, receipt].map(each => each === null ? null : unbase64(each));
        const asked = verifier.verifyFile(...bytes, keyring, options);
        reports.push(await asked.then(said, refused));
    }
    return reports;
})());
"""

VERIFY_OBJECTS = """
const [objects, title, origin, keys, now, expect] = arguments;
answer((async () => {
    const keyring = await trusted(keys);
    const stored = key => key in objects ? unbase64(objects[key]) : null;
    const read = address => stored(`${title}/${address}.json`);
    const head = stored(`${title}/head.json`);
    return said(await verifier.verifyTitle(title, {origin, keyring, head, read, now, expect}));
})());
"""


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _keys(keyring: Keyring) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, int]]]:
    """The keys and the roots of a keyring."""
    keys = [(each.origin, each.role, each.key.pem().decode()) for each in keyring]
    return keys, [(each.origin, each.digest, each.version) for each in keyring.roots]


def _milliseconds(now: datetime) -> float:
    return now.timestamp() * 1000


class Refused(NamedTuple):
    """Why nothing was checked: the slug and the exit code of the library's error."""

    slug: str
    exit_code: int


def _said(value: Any) -> Report | Refused:
    if "error" in value:
        assert value["exit"], value["error"]
        return Refused(value["reason"], value["exit"])
    findings = [
        Finding(each["severity"], each["slug"], each["object"], each["message"])
        for each in value["findings"]
    ]
    counts = value["titles"], value["entries"]
    return Report(value["origin"], *counts, tuple(findings), tuple(value["notShown"]))


class Page:
    """The page, opened from a disk."""

    def __init__(self, chrome: Chrome, file: Path) -> None:
        self.chrome = chrome
        self.file = file
        self.open()

    def open(self) -> None:
        """Open it afresh."""
        self.chrome.get(self.file.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script beside the page's own answers with, by ``answer`` or ``done``."""
        return self.chrome.execute_async_script(COMMON + script, *arguments)

    def verify_files(
        self, files: Iterable[tuple[bytes, bytes | None]], keyring: Keyring, **options: Any
    ) -> list[Report | Refused]:
        """What is said of each file and its receipt, if any; ``trust``: trust files beside them."""
        options["trust"] = [_text(data) for data in options.get("trust", ())]
        if "now" in options:
            options["now"] = _milliseconds(options["now"])
        encoded = [
            (_text(data), None if receipt is None else _text(receipt)) for data, receipt in files
        ]
        return [_said(each) for each in self.run(VERIFY_FILES, encoded, _keys(keyring), options)]

    def verify_objects(
        self,
        objects: Mapping[str, bytes],
        title_number: str,
        *,
        origin: str,
        keyring: Keyring,
        now: datetime,
        expect: str | None = None,
    ) -> Report | Refused:
        """What is said of one title in a store of these objects."""
        encoded = {key: _text(data) for key, data in objects.items()}
        moment = _milliseconds(now)
        keys = _keys(keyring)
        return _said(self.run(VERIFY_OBJECTS, encoded, title_number, origin, keys, moment, expect))


OFFLINE = "--proxy-server=127.0.0.1:1"
"""Lets a browser reach nothing: its proxy is a port that nobody listens on."""


def start(profile: Path, *flags: str) -> Iterator[Chrome]:
    """A browser with these flags, as new."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    service = webdriver.ChromeService(DRIVER, port=free_port())
    with webdriver.Chrome(options=options, service=service) as driver:
        driver.set_script_timeout(300)
        yield driver


def hash_of(element: str) -> str:
    """The sha256 of the page's one ``script`` or ``style``, as its policy has to name it."""
    (content,) = re.findall(rf"<{element}>(.*?)</{element}>".encode(), HTML, re.DOTALL)
    return f"sha256-{_text(hashlib.sha256(content).digest())}"
