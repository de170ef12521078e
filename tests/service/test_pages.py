"""The pages as text: well-formed, self-contained, and honest whatever a store holds."""

from __future__ import annotations

import asyncio
import html
import re
import shlex
import shutil
import subprocess
import sys
import time
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from ledger import ABSENT, Answer, Draft, Finding, Keyring, Log, Registration, Report
from ledger.format.blame import blame
from ledger.format.diff import changes
from ledger.format.law import Correction, Turn
from ledger.format.layout import entry_key
from ledger.format.standing import STANDS
from ledger.sealing.feed import LoggedChange
from ledger.service.log_view import LogOverview, LogSummary
from ledger.service.pages import filters
from ledger.service.pages.pages import Law, Pages
from ledger.service.pages.proof import Proof
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, memory_ledger, signer
from ledger.tlog.objects import leaf_of
from tests.laws import examples
from tests.sealing.sealers import LOG_KEY, ledger_in
from tests.service.client import HTML, Client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger import Change, Entry, Ledger
    from ledger.format.canonical import JSONValue

TITLE = "TN1234567"
NO_PIN = "whether this is the latest version (--expect)"

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></pre></details><img src=x onerror=alert(1)>",
    "\" onmouseover=alert(1) x='",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "safe\u202e\u2066txt.exe\u2069\u200b\ufeff",
    "bell\x07 escape\x1b[31m\x00\x7f\x85 line\u2028end",
    "two\nlines\r\n\tindented",
    "  spaces at both ends ",
    "מקרקעין שלום العقار",
    "unassigned \U000e0001 private \ue000 \U0010ffff",
)

VOID = {"meta", "link", "input", "br", "img", "path", "circle"}
ROUTES = re.compile(
    r"""/static/(style\.css\?v=[0-9a-f]{8}|icon\.svg) | /docs(\#[A-Za-z0-9_.~%/-]*)? | /trust
    | /openapi\.json | /log(/checkpoint)?
    | /changes\.atom | /changes(\?[a-z0-9&=]+)?(\#leaf-[0-9]+)?
    | /titles(\?[a-z]+=[^"<>\s]*)?
    | /titles/[A-Z0-9_-]+(\?version=[0-9]+)?(\#yourself)?
    | /titles/[A-Z0-9_-]+/(verification(\#noted)?|bundle|diff|blame|copy\?version=[0-9]+)
    | /titles/[A-Z0-9_-]+/entries(\?from=[0-9a-f]{64}&limit=[0-9]+(&path=[A-Za-z0-9_.~%+-]+)?)?
    | /titles/[A-Z0-9_-]+/entries\?path=[A-Za-z0-9_.~%+-]+
    | /titles/[A-Z0-9_-]+/receipt\?version=[0-9]+
    | /titles/[A-Z0-9_-]+/entries/[0-9a-f]{64}(\?raw=1|\#yourself)?
    | /registrations/(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+
    | /titles/[A-Z0-9_-]+/diff\?from=[0-9a-f]{64}&to=[0-9a-f]{64}""",
    re.VERBOSE,
)


class Page(HTMLParser):
    """A page taken apart; refuses one whose tags don't nest."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice: {attrs}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID, f"<{tag}/>"
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in tags]

    def classes(self) -> set[str]:
        return {name for _, found in self.tags for name in found.get("class", "").split()}

    def commands(self) -> list[str]:
        found = re.findall(
            r'<pre class="commands"><code>(.*?)</code></pre>', self.source, re.DOTALL
        )
        return [html.unescape(each) for each in found]


def check(source: str, base: str = "") -> Page:
    """What holds for every page, whatever is in it."""
    page = Page(source)
    assert source.startswith("<!doctype html>")
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("title")
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    _check_harmless(page)
    _check_links(page, base)
    _check_headings(page)
    _check_tables(page)
    _check_inputs(page)
    hidden = {c for c in source if c != "\n" and unicodedata.category(c) in filters.HIDDEN}
    assert not hidden, f"{hidden!a} would not be seen"
    return page


def _check_harmless(page: Page) -> None:
    assert not page.all("script", "style", "iframe", "object", "base", "img")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def _check_links(page: Page, base: str) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id twice"
    for _, attributes in page.tags:
        for name in ("href", "src", "action"):
            url = attributes.get(name)
            if url and url.startswith("#"):
                assert url[1:] in ids
            elif url is not None:
                assert url.startswith(base)
                assert ROUTES.fullmatch(url.removeprefix(base)), url


def _check_headings(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def _check_tables(page: Page) -> None:
    assert all(attributes.get("scope") in {"row", "col"} for attributes in page.all("th"))
    tables = re.findall(r"<table.*?</table>", page.source, re.DOTALL)
    assert len(tables) == len(page.all("table")), "a table in a table"
    for table in tables:
        assert '<th scope="col">' in table


def _check_inputs(page: Page) -> None:
    labels = {attributes["for"] for attributes in page.all("label")}
    assert labels == {attributes["id"] for attributes in page.all("input", "select")}


class Case:
    """A title of three versions with this text wherever a text can be, and its pages."""

    def __init__(self, text: str = "Ada", *, origin: str = ORIGIN, base: str = "") -> None:
        self.text, self.base = text, base
        clock = FixedClock()
        ledger = memory_ledger(origin=origin, clock=clock)
        for version in range(1, 4):
            clock.forward(days=1, minutes=1)
            ledger.append(
                TITLE,
                {
                    "proprietor": f"{text}{version}",
                    f"name {text}": {text: [text, version, 0.5, None, True, [], {}, ""]},
                    "rows": [{text: version, "share": "1/2"}, {"share": "1/2", "since": text}],
                    f"only in {version}": {"a": text},
                },
                message=text,
                author=text,
                reference=f"A-{version}",
                effective_at="1995-03-01" if version == 1 else None,
            )
        self.report = ledger.verify(TITLE)
        entries = list(ledger.log(TITLE))
        self.history = history_of(entries)
        self.head, self.middle, self.root = entries
        self.law = Law(
            clock(),
            {},
            Answer(self.head),
            in_force=self.head,
            is_known=True,
            turns=[Turn("2030", self.middle), Turn("2031-05", None)],
            corrections=[Correction(self.middle, self.root), Correction(self.root, None)],
        )
        self.proof = Proof(self.head, self.report, LogSummary())
        keyring = Keyring().trust(origin, signer().public_key, name="Alice Archer")
        self.pages = Pages(origin=origin, keyring=keyring, base=base)

    def title(self, shown: Entry | None = None, report: Report | None = None) -> str:
        return self.pages.title(
            shown=shown or self.head,
            head=self.head,
            law=self.law,
            history=self.history,
            older_url=None,
            report=self.report if report is None else report,
        )

    def entry(
        self, entry: Entry, differing: Sequence[Change] = (), pages: Pages | None = None
    ) -> str:
        return (pages or self.pages).render(
            "entry.html",
            title_number=TITLE,
            entry=entry,
            stand=STANDS,
            changes=differing,
            orders={},
            is_head=entry is self.head,
            proof=self.proof,
        )

    def diff(self, old: Entry, new: Entry, differing: list[Change]) -> str:
        return self.pages.render(
            "diff.html",
            title_number=TITLE,
            old=old,
            new=new,
            changes=differing,
            stands={},
            orders={},
            proof=self.proof,
        )

    def titles(self, *titles: str, query: str = "", next_url: str | None = None) -> str:
        return self.pages.render(
            "titles.html",
            titles=titles,
            query=query,
            next_url=next_url,
            searches=False,
            index=None,
            why={},
        )

    def verification(self, report: Report, pin: str | None = None) -> str:
        values = {"title_number": TITLE, "report": report, "pin": pin}
        return self.pages.render("verification.html", **values)

    def all(self) -> dict[str, str]:
        """Every kind of page."""
        pages, text = self.pages, self.text
        older = f"{self.base}/titles/{TITLE}/entries?from={self.root.address}&limit=2"
        odd = Report(
            self.head.ledger,
            titles=1,
            entries=1,
            findings=(Finding("tampering", "bad-signature", text, text),),
            not_shown=(text,),
        )
        openapi: dict[str, Any] = {
            "info": {"title": text, "version": text, "description": text},
            "paths": {f"/{text}": {"get": {"summary": text, "responses": {text: {"x": text}}}}},
            "components": {"schemas": {"Problem": {"description": text}}},
        }
        return {
            "titles": self.titles(TITLE, query=text, next_url=f"{self.base}/titles?after=A"),
            "no titles": self.titles(),
            "title": self.title(),
            "old": self.title(self.root),
            "tampered": self.title(report=odd),
            "entries": pages.entries(title_number=TITLE, history=self.history[:2], older_url=older),
            "entry": self.entry(self.head, self.history[0][1]),
            "root": self.entry(self.root, self.history[2][1]),
            "diff": self.diff(self.root, self.head, self.history[0][1]),
            "same": self.diff(self.head, self.head, []),
            "backwards": self.diff(self.head, self.root, self.history[0][1]),
            "verification": self.verification(odd, text),
            "problem": pages.render(
                "problem.html",
                **dict.fromkeys(("title", "detail", "slug", "hint"), text),
                status=404,
                damaged=None,
            ),
            "docs": pages.docs(openapi=openapi),
            "blame": pages.blame(
                found=blame([e for e, _ in self.history]), field=text, proof=self.proof
            ),
            "copy": pages.render(
                "copy.html",
                title_number=TITLE,
                shown=self.head,
                head=self.head,
                in_force=None,
                is_known=True,
                issued_at=self.head.recorded_at,
                proof=self.proof,
            ),
            "changes": pages.changes(
                [LoggedChange(1, leaf_of(self.head), self.head)],
                limit=1,
                size=3,
                next_url=f"{self.base}/changes?after=1&limit=1",
            ),
            "log": pages.render(
                "log.html",
                log=LogOverview(problem=text),
                sealed_at=None,
                contradicted=(TITLE,),
            ),
            "field": pages.entries(
                title_number=TITLE,
                history=[],
                older_url=None,
                proof=self.proof,
                field=f"/{text}",
                fields=[f"{text} 1"],
            ),
            "registration": pages.render(
                "registration.html",
                found=Registration(text, (structs.replace(self.root, part=(1, 3)),)),
                unlogged=None,
            ),
        }


def history_of(entries: list[Entry]) -> list[tuple[Entry, list[Change]]]:
    parents = [*(entry.document for entry in entries[1:]), {}]
    return [(e, changes(parent, e.document)) for e, parent in zip(entries, parents, strict=True)]


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


# -- Whatever a store holds --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        *("".join(HOSTILE[at::4]) for at in range(4)),
        *(pytest.param(each, marks=pytest.mark.slow) for each in HOSTILE),
    ],
    ids=ascii,
)
def test_every_page_shows_any_text_as_text(text: str) -> None:
    case = Case(text)
    seen = str(filters.visible(text.replace("\n", "")))
    for name, source in case.all().items():
        page = check(source)
        if name not in {"no titles", "same", "changes"}:
            squeezed = page.text.replace("\n", "").replace("␣", " ").replace("\\n", "")
            assert seen in squeezed, name


def test_an_origin_is_any_printable_name() -> None:
    origin = "example.org/<script>\"'$(id)`;&"
    case = Case(origin=origin)
    for source in case.all().values():
        assert origin in check(source).text
    for commands in Page(case.title()).commands()[:1]:
        for line in commands.splitlines()[1:]:
            assert shlex.split(line)[shlex.split(line).index("--origin") + 1] == origin


def test_every_link_begins_with_the_base() -> None:
    base = "https://register.example/ledger"
    for source in Case(base=base).all().values():
        check(source, base)


def test_every_link_of_the_service_leads_somewhere(tmp_path: Path) -> None:
    ledger = ledger_in(MemoryStore())
    for number, versions in (("TN1", 3), ("TN3", 1)):
        for price in range(versions):
            ledger.append(number, {"price": price})
    split = [Draft("TN3", {}, status="closed"), Draft("TN4", {}), Draft("TN5", {})]
    ledger.register(split, reference="A/7 \N{SNOWMAN}?#%2F../")
    Log(ledger).seal(LOG_KEY, tmp_path / "memory", genesis=True)
    asyncio.run(_crawl(ledger, "/titles?limit=2", "/titles/TN1/entries?limit=1", "/docs"))


async def _crawl(ledger: Ledger, *paths: str) -> None:
    import httpx

    from ledger.service import Settings, create_app

    base = "http://testserver"
    app = create_app(ledger, Settings(public_url=base))
    todo = {f"{base}{path}" for path in paths}
    seen: set[str] = set()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        while todo:
            seen.add(url := todo.pop())
            answer = await client.get(url, headers={"Accept": "text/html"})
            assert answer.status_code == 200, url
            if answer.headers["Content-Type"].startswith("text/html"):
                page = check(answer.text, base)
                links = {found["href"].partition("#")[0] for found in page.all("a", "link")}
                todo |= links - seen - {""}
    assert len(seen) > 30


def test_a_deep_document() -> None:
    document: Any = {"end": "the innermost"}
    for depth in range(62):
        document = [document] if depth % 2 else {"in": document}
    document = {"in": document}
    page = check(_title_of(document))
    assert page.text.count("the innermost") >= 2  # for reading, and as JSON


def test_a_wide_document_says_what_it_leaves_out() -> None:
    page = check(_title_of({f"field{n:05}": n for n in range(3_000)}))
    assert "2,800 more" in page.text
    assert "field02999" in page.text  # the JSON has all


def test_a_long_value_is_cut_but_in_the_json() -> None:
    page = check(_title_of({"plan": "x" * 90_000 + "the end"}))
    assert page.text.count("x" * 10_000 + "… (the JSON has all of it)") >= 1
    assert page.text.count("the end") == 1


def test_json_shows_what_is_hidden_by_its_own_escapes() -> None:
    assert html.unescape(filters.pretty("a\x7f\u202e\x00")) == r'"a\u007f\u202e\u0000"'


def test_many_changes_lead_to_the_comparison() -> None:
    ledger = memory_ledger()
    for version in range(2):
        ledger.append(TITLE, {f"f{n}": version for n in range(40)})
    entries = list(ledger.log(TITLE))
    case = Case()
    source = case.pages.entries(title_number=TITLE, history=history_of(entries), older_url=None)
    assert "28 more fields" in check(source).text
    whole = case.diff(entries[1], entries[0], history_of(entries)[0][1])
    assert "/f39" in [found["value"] for found in check(whole).all("data")]


def _title_of(document: dict[str, Any]) -> str:
    ledger = memory_ledger()
    entry = ledger.append(TITLE, document)
    pages = Pages(origin=ORIGIN, keyring=ledger.keyring, base="")
    return pages.title(
        shown=entry,
        head=entry,
        law=Law(ledger.clock(), {}, Answer(entry)),
        history=history_of([entry]),
        older_url=None,
        report=ledger.verify(TITLE),
    )


# -- The honest states -------------------------------------------------------------------------


def _report(case: Case, *severities: str, entries: int = 1) -> Report:
    key = entry_key(TITLE, case.root.address)
    findings = tuple(Finding(each, f"slug-{each}", key, f"why {each}") for each in severities)  # type: ignore[arg-type]
    return Report(ORIGIN, 1, entries, findings, (NO_PIN,))


@pytest.mark.parametrize(
    ("severities", "state", "word"),
    [
        ((), "verified", "Verified"),
        (("warning",), "verified", "Verified"),
        (("unchecked",), "unchecked", "Could not check everything"),
        (("unchecked", "warning"), "unchecked", "Could not check everything"),
        (("tampering",), "tampered", "NOT as it was signed"),
        (("unchecked", "tampering"), "tampered", "NOT as it was signed"),
    ],
)
def test_the_verdict_is_the_report_s(
    case: Case, severities: tuple[str, ...], state: str, word: str
) -> None:
    report = _report(case, *severities)
    for source in (
        case.title(report=report),
        case.verification(report),
    ):
        page = check(source)
        assert page.classes() & {"verified", "unchecked", "tampered"} >= {state}
        assert f'<div class="verdict {state}">' in source
        assert source.count('<div class="verdict') == 1
        assert f'<p class="word">{word}</p>' in source
        assert NO_PIN in page.text
        for severity in severities:
            assert f"slug-{severity}" in page.text
            assert f"why {severity}" in page.text


def test_nothing_checked_is_not_verified(case: Case) -> None:
    report = Report(ORIGIN, findings=(Finding("warning", "unfinished-append", "TN1", "why"),))
    assert report  # true for the library: nothing failed
    source = case.verification(report)
    assert "verdict verified" not in source
    assert "Nothing was verified" in check(source).text


def test_a_pin_is_in_the_chain_only_if_it_was_verified(case: Case) -> None:
    pin = case.root.address
    good = case.verification(case.report, pin)
    assert "The entry you noted is in the chain" in check(good).text
    for severity in ("tampering", "unchecked"):
        report = _report(case, severity)
        bad = case.verification(report, pin)
        assert "you noted is in the chain" not in check(bad).text


def test_the_chain_marks_what_does_not_hold(case: Case) -> None:
    for severity, words in (("tampering", "does not hold"), ("unchecked", "could not be checked")):
        source = case.title(report=_report(case, severity))
        item = source[source.index('<li id="v1"') :]
        assert f'class="{severity}"' in item.split("\n")[0]
        assert words in item.split("</h3>")[0]
    assert "does not hold" not in check(case.title()).text


# -- What is current, and what is not ----------------------------------------------------------


def test_the_current_version_is_marked_so(case: Case) -> None:
    page = check(case.title())
    assert "Version 3 of 3" in page.text
    assert "not current" not in page.text


def test_an_old_version_is_marked_and_leads_to_the_current_one(case: Case) -> None:
    page = check(case.title(case.root))
    assert "This is not the current version." in page.text
    assert "(not current)" in page.source.split("</title>")[0]
    assert {"class": "button", "href": f"/titles/{TITLE}"} in page.all("a")
    assert "Ada1" in page.text


def test_an_entry_page_does_not_claim_to_be_the_newest(case: Case) -> None:
    page = check(case.entry(case.root))
    assert "This is not the newest entry" in page.text


def test_the_history_shows_old_and_new_side_by_side(case: Case) -> None:
    source = case.title()
    row = source[source.index('<data value="/proprietor">') :].split("</tr>")[0]
    assert "<del>" in row.split("Ada2")[0]
    assert "<ins>" in row.split("Ada2")[1].split("Ada3")[0]


def test_the_chain_is_drawn_from_head_to_root(case: Case) -> None:
    source = case.title()
    places = [source.index(f'id="v{version}"') for version in (3, 2, 1)]
    assert places == sorted(places)
    for entry in (case.head, case.middle, case.root):
        assert f"/entries/{entry.address}" in source
    assert "the chain begins here" in source


def test_older_versions_are_a_link_away(case: Case) -> None:
    older = f"/titles/{TITLE}/entries?from={case.middle.address}&limit=1"
    page = check(case.pages.entries(title_number=TITLE, history=case.history[:1], older_url=older))
    assert {"href": older, "rel": "next"} in page.all("a")
    assert "the chain begins here" not in page.text


def test_where_the_walk_breaks_off_nothing_is_said_to_have_changed(case: Case) -> None:
    against_nothing = [(case.head, changes({}, case.head.document))]
    source = case.pages.entries(title_number=TITLE, history=against_nothing, older_url=None)
    page = check(source)
    assert "could not be read, so the changes are not known" in page.text
    assert not page.all("table")


def test_an_unnamed_key_is_shown_by_its_id(case: Case) -> None:
    pages = Pages(origin=ORIGIN, keyring=Keyring(), base="")
    page = check(case.entry(case.root, pages=pages))
    assert case.root.key in page.text
    assert "a key without a name" in page.text


def test_the_search_keeps_what_was_asked(case: Case) -> None:
    page = check(case.titles(query='TN"1'))
    assert [found["value"] for found in page.all("input")] == ['TN"1']
    assert "No title begins with that." in page.text


# -- Verify it yourself: the commands run ------------------------------------------------------

needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "jq", "openssl", "sha256sum"))),
    reason="needs curl, jq, openssl and sha256sum",
)


def _serve_as_files(folder: Path, origin: str = ORIGIN) -> Case:
    """A case whose URLs are files, which curl gets as it would from the service."""
    case = Case("Żółta\u2028", origin=origin, base=folder.as_uri())
    entries = folder / "titles" / TITLE / "entries"
    entries.mkdir(parents=True)
    for entry, _ in case.history:
        (entries / entry.address).write_bytes(entry.data)
    (folder / "registrar.pem").write_bytes(signer().public_key.pem())
    return case


def _run(commands: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_tools
def test_the_commands_for_one_entry_run(tmp_path: Path) -> None:
    case = _serve_as_files(tmp_path)
    source = case.entry(case.middle)
    (commands,) = Page(source).commands()
    printed = _run(commands, tmp_path)
    assert "short: OK" in printed
    assert "text: OK" in printed
    assert "Signature Verified Successfully" in printed
    assert printed.count(signer().public_key.key_id) == 2


@needs_tools
def test_the_commands_for_a_title_run(tmp_path: Path) -> None:
    case = _serve_as_files(tmp_path, origin="example.org/it's")
    ledger = memory_ledger(origin="example.org/it's")
    entry = ledger.append(TITLE, {"proprietor": "Ada"})
    with (tmp_path / "titles" / TITLE / "bundle").open("wb") as out:
        ledger.export(out, [TITLE])
    source = case.pages.title(
        shown=entry,
        head=entry,
        law=case.law,
        history=history_of([entry]),
        older_url=None,
        report=ledger.verify(TITLE),
    )
    command = f'ledger() {{ {shlex.quote(sys.executable)} -m cli "$@"; }}\n'
    commands = Page(source).commands()[0].replace("KEY_ID", signer().public_key.key_id)
    root = str(Path(__file__).parents[2])
    printed = _run(
        command + commands, tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"), PYTHONPATH=root
    )
    assert "verified" in printed


def test_without_a_public_address_the_commands_name_the_default_one(case: Case) -> None:
    commands = Page(case.title()).commands()
    assert f"http://127.0.0.1:5000/titles/{TITLE}/bundle" in commands[0]


# -- Values ------------------------------------------------------------------------------------


@given(st.text())
@settings(deadline=None, max_examples=examples(100))
def test_any_text_is_shown_with_nothing_hidden(text: str) -> None:
    marked = str(filters.text(text))
    plain = html.unescape(re.sub(r"<[^>]*>", "", marked))
    assert "\n".join(str(filters.visible(line)) for line in text.split("\n")).strip(" ") in plain
    assert not [c for c in marked if c != "\n" and unicodedata.category(c) in filters.HIDDEN]


@pytest.mark.parametrize(
    ("stored", "machine", "people"),
    [
        ("1995", "1995", "1995"),
        ("1995-03", "1995-03", "March 1995"),
        ("1995-03-01", "1995-03-01", "1 March 1995"),
        (
            "2026-11-23T10:00:00.000000Z",
            "2026-11-23T10:00:00.000Z",
            "23 November 2026, 10:00:00 UTC",
        ),
        (
            "2026-12-01T00:00:00+01:00",
            "2026-12-01T00:00:00+01:00",
            "1 December 2026, 00:00:00 UTC+01:00",
        ),
        (
            "0001-01-01T00:00:00.5-12:30",
            "0001-01-01T00:00:00.5-12:30",
            "1 January 0001, 00:00:00 UTC-12:30",
        ),
    ],
)
def test_times_for_people_and_machines(stored: str, machine: str, people: str) -> None:
    assert filters.moment(stored) == f'<time datetime="{machine}">{people}</time>'


def test_json_stays_json_when_its_hidden_characters_are_written_out() -> None:
    import json

    document = {"\u202e<b>": ["\x00\x7f\u2028\U000e0001", 'quote " and \\', 1.5, None, True]}
    assert json.loads(html.unescape(str(filters.pretty(document)))) == document


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"a": 1, "b": 2}, {"b": 3, "c": None}], ["a", "b", "c"]),
        ([{"a": 1}], []),
        ([{"a": 1}, "text"], []),
        ([{"a": 1}, {}], []),
        ([{"a": 1}, {"a": [1]}], []),
        ([dict.fromkeys("abcdefg", 1)] * 2, []),
    ],
)
def test_which_lists_are_tables(items: list[Any], expected: list[str]) -> None:
    assert filters.columns(items) == expected


def test_absent_is_not_null(case: Case) -> None:
    from ledger import Change

    found = [Change("/a", ABSENT, None), Change("/b", None, ABSENT), Change("/c", "", "null")]
    source = case.diff(case.root, case.head, found)
    assert source.count('<span class="lit">absent</span>') == 2
    assert source.count('<span class="lit">null</span>') == 2
    assert '<span class="lit">empty text</span>' in source


def _nested(depth: int, value: JSONValue) -> JSONValue:
    for _ in range(depth):
        value = [value]
    return value


LARGE: dict[str, JSONValue] = {
    "one deep list": _nested(60, [1] * 400_000),
    "many deep lists": [_nested(30, 1) for _ in range(1_500)],
    "wide tree": {
        f"a{i}": {f"b{j}": dict.fromkeys("cdefghij", j) for j in range(60)} for i in range(150)
    },
    "hidden characters": "\u202e" * 300_000,
    "long names": {f"{i:0200}": i for i in range(4000)},
    "table": [{"x": i, "y": i} for i in range(40_000)],
}
QUICK = {"hidden characters"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name not in QUICK else []) for name in LARGE],
)
def test_no_document_makes_a_page_that_is_many_times_as_large(name: str) -> None:
    client = Client()
    for number in range(3):
        client.ledger.append(TITLE, {"plan": LARGE[name], "price": number})
    address = client.ledger.head(TITLE).address
    raw = f"/titles/{TITLE}/entries/{address}?raw=1"
    begun = time.process_time()
    for path in ("", "/entries", f"/entries/{address}", "/diff"):
        answer = client.get(f"/titles/{TITLE}{path}", headers=HTML)
        assert answer.status_code == 200
        assert len(answer.content) < 400_000
        if path in {"", f"/entries/{address}"}:
            assert f'href="{raw}"' in answer.text
            assert "too large to show here" in answer.text
            assert "price" in answer.text  # the rest of the document is shown
    assert time.process_time() - begun < 20  # 15 seconds for one page before
    file = client.get(raw, headers=HTML)
    assert file.content == client.ledger.head(TITLE).data
    assert file.headers["content-disposition"] == f'attachment; filename="{TITLE}.v3.json"'


@pytest.mark.slow
def test_no_number_of_large_versions_is_compared_for_one_page() -> None:
    client = Client()
    for number in range(20):
        client.ledger.append(TITLE, {"plan": [number] * 200_000})
    begun = time.process_time()
    for path in ("", "/entries"):
        answer = client.get(f"/titles/{TITLE}{path}", headers=HTML)
        assert answer.text.count("too large to compare") >= 15
        assert len(answer.content) < 400_000
    assert time.process_time() - begun < 20


def test_a_document_of_a_usual_size_is_shown_whole() -> None:
    client = Client()
    client.ledger.append(TITLE, {"plan": [[number, number] for number in range(190)]})
    page = client.get(f"/titles/{TITLE}", headers=HTML).text
    assert "too large" not in page
    assert "As JSON" in page


@pytest.mark.parametrize("typed", ["sl104455", "SL 104455", " sl1044 ", "Sl"])
def test_no_search_is_refused_for_how_people_type(typed: str) -> None:
    client = Client()
    client.ledger.append("SL104455", {})
    answer = client.get("/titles", params={"q": typed}, headers=HTML)
    assert answer.status_code == 200
    assert "/titles/SL104455" in answer.text
    assert client.get("/titles", params={"q": typed}).status_code == 200


@pytest.mark.parametrize("typed", ["Mill Lane, 4", "<b>", "x" * 200])
def test_no_search_that_finds_nothing_leaves_its_page(typed: str) -> None:
    answer = Client().get("/titles", params={"q": typed}, headers=HTML)
    assert answer.status_code == 200
    assert 'role="search"' in answer.text
    assert "No title begins with that" in answer.text
    assert "pattern" not in check(answer.text).text
