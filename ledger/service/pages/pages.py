"""Render HTML pages that work without scripts, on a phone and on paper.

The ``Ledger`` has read and checked whatever they show. Everything that a store can hold is escaped
(see ``filters``). No page loads anything from elsewhere, so the strictest Content-Security-Policy
fits: ``default-src 'none'; style-src 'self'; img-src 'self';
form-action 'self'``.
"""

from __future__ import annotations

import hashlib
import shlex
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ledger.format import canonical, layout
from ledger.format.chain import NO_PIN
from ledger.format.diff import ABSENT, Change
from ledger.format.standing import FALLEN, STANDS, Stand
from ledger.registrations.registration import Registration, role_of, spell_parts
from ledger.service.log_view import LogSummary
from ledger.service.pages import filters, naming
from ledger.service.pages.api_page import operations
from ledger.service.pages.plan import Plan, Plans
from ledger.service.pages.proof import BAD_TRUST, Proof, words_of
from ledger.service.pages.summary import summary
from ledger.titles.trust_files import accepted_by
from ledger.tlog.objects import TrustLeaf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from ledger.format.blame import Blame
    from ledger.format.canonical import JSONValue
    from ledger.format.entry import Entry
    from ledger.format.keyring import Keyring
    from ledger.format.law import Correction, Turn
    from ledger.format.report import Finding, Report
    from ledger.sealing.feed import LoggedChange
    from ledger.service.http.problems import ProblemKind
    from ledger.titles.history import Answer
    from ledger.trust.chain import Trust

    History = list[tuple[Entry, list[Change] | None]]
    Orders = dict[int, Entry]
    """The erased versions of a title, with the entry that orders each erased."""


HERE = Path(__file__).parent
NO_LOG = LogSummary()
NO_ORDERS: dict[int, Entry] = {}
NO_STANDS: Mapping[str, Stand] = MappingProxyType({})
NO_ORIGINS: Mapping[str, Registration | None] = MappingProxyType({})
"""No entry needs a word on how it stands: each simply counts."""

WHAT_TO_DO = {
    "key-ended": "Rely on the versions before it. Ask the registry to settle it: honest work is"
    " confirmed, the rest is void.",
    "may-not-erase": "Ask the registry: a registrar who may erase can confirm it, or void it.",
    "position-unknown": "Ask for an audit: it reads the whole log. Until then, rely on the versions"
    " that stand.",
    "needs-trust": "This service has pinned no trust file. Verify with a keyring that has: ledger"
    " trust pin.",
    "named-needlessly": "Nothing: the version counts by itself.",
    "trust-missing": "Ask the registry to bring the file back from a copy of the ledger.",
    "trust-not-accepted": "The files before it count. Ask its holders who wrote it.",
    "unsupported-trust": "The files before it count. A newer version of the software may judge it.",
    "trust-overdue": "Ask the holders for the newest file: an older state may be served.",
    "log-behind-pin": "Ask for a newer copy of the log: this one lags, or was set back.",
    "checkpoint-unproven": "Ask whoever seals the log to seal it again, with a key that counts.",
}
"""What a reader does about a finding that has to do with whose keys count."""

MAX_TOLD = 10
"""How many changes to come, and how many corrections, a title's page tells of."""

MAX_FIELDS = 500
"""How many fields a page says the origin of."""

MANY_LEAVES = 20
"""How many leaves a page begins with when a link leads to one of them."""

LOCAL = "http://127.0.0.1:5000"
"""Where ``ledger serve`` listens by default."""


class Law(NamedTuple):
    """What a title's page says about the law."""

    today: datetime
    asked: dict[str, str]
    """The days that were asked about: ``effective``, ``recorded``, or none."""
    found: Answer
    """The answer: what the page shows."""
    in_force: Entry | None = None
    """The version in force today; None: there is none."""
    is_known: bool = False
    """Whether ``in_force`` could be found out."""
    turns: Sequence[Turn] | None = None
    """What changes after today; the next comes first. None: that takes a history that holds."""
    corrections: Sequence[Correction] = ()
    """What was corrected; the newest comes first."""

    @property
    def day(self) -> str:
        """Today's date, in the service's zone."""
        return self.today.date().isoformat()

    def asked_on(self, name: str) -> str:
        """A day that was asked about."""
        return self.day if self.asked[name] == "today" else self.asked[name]


class Urls:
    """The URLs of pages. Each begins with ``base``."""

    def __init__(self, base: str, local: str) -> None:
        self.base = base
        self.local = local
        # The hash keeps a browser from using the stylesheet of another version.
        self.style: str = f"{base}/static/style.css?v={_style_version()}"
        self.icon: str = f"{base}/static/icon.svg"
        self.titles: str = f"{base}/titles"
        self.docs: str = f"{base}/docs"
        self.trust: str = f"{base}/trust"
        self.log: str = f"{base}/log"
        self.registrations: str = f"{base}/registrations"
        self.trust_file: Callable[..., str] = f"{base}/trust/{{}}".format

    def title(self, title_number: str, version: int | None = None) -> str:
        """A title's page, or that of one version."""
        query = f"?version={version}" if version is not None else ""
        return f"{self.titles}/{quote(title_number, safe='')}{query}"

    def registration(self, reference: str) -> str:
        """What an application changed."""
        return f"{self.registrations}/{quote(reference, safe='')}"

    def entries(self, title_number: str, field: str = "") -> str:
        """The history, or that of a field."""
        query = f"?{urlencode({'path': field})}" if field else ""
        return f"{self.title(title_number)}/entries{query}"

    def blame(self, title_number: str) -> str:
        """Where each field of a title comes from."""
        return f"{self.title(title_number)}/blame"

    def copy(self, title_number: str, version: int) -> str:
        """The official copy of a version, to print."""
        return f"{self.title(title_number)}/copy?version={version}"

    def entry(self, title_number: str, address: str) -> str:
        """One entry; without HTML, its exact bytes."""
        return f"{self.entries(title_number)}/{quote(address, safe='')}"

    def raw(self, title_number: str, address: str) -> str:
        """The exact bytes of an entry, as a file."""
        return f"{self.entry(title_number, address)}?raw=1"

    def diff(self, title_number: str, old: str = "", new: str = "") -> str:
        """The comparison of two revisions."""
        query = f"?{urlencode({'from': old, 'to': new})}" if old else ""
        return f"{self.title(title_number)}/diff{query}"

    def verification(self, title_number: str) -> str:
        """The verification of a title."""
        return f"{self.title(title_number)}/verification"

    def changes(self, first: int = 0, limit: int = MANY_LEAVES) -> str:
        """The leaves of the log from one on."""
        after = {"after": first - 1} if first > 0 else {}
        return f"{self.base}/changes?{urlencode(after | {'limit': limit})}"

    def leaf(self, index: int) -> str:
        """A leaf of the log, among those after it."""
        return f"{self.changes(index)}#leaf-{index}"

    def receipt(self, title_number: str, version: int) -> str:
        """The receipt of a version."""
        return f"{self.title(title_number)}/receipt?version={version}"

    def bundle(self, title_number: str) -> str:
        """The offline file."""
        return f"{self.title(title_number)}/bundle"

    def absolute(self, url: str) -> str:
        """Complete a URL to copy, with the address in this request if no public one is known."""
        return url if "://" in self.base else self.local + url


class Pages:
    """Renders the pages of one ledger. All URLs begin with ``base``, which may be "".

    ``local`` is what this client reached the service by, for the commands to copy.
    """

    def __init__(self, *, origin: str, keyring: Keyring, base: str, local: str = LOCAL) -> None:
        trust = accepted_by(keyring)
        self._shared: dict[str, Any] = {
            "origin": origin,
            "url": Urls(base, local),
            "signer_name": lambda entry: keyring.name(entry.ledger, entry.key),
            "trust_root": trust.root if trust else None,
        }

    def title(
        self,
        *,
        shown: Entry,
        head: Entry,
        law: Law,
        history: History,
        older_url: str | None,
        report: Report,
        stand: Stand = STANDS,
        stands: Mapping[str, Stand] = NO_STANDS,
        orders: Orders = NO_ORDERS,
        log: LogSummary = NO_LOG,
        origins: Mapping[str, Registration | None] = NO_ORIGINS,
    ) -> str:
        """A title as one of its entries has it: ``head``, or an older one, and marked as such.

        The newest version is called current, unless it does not stand, is not in force today, or
        may not be the newest.
        """
        head_stand = stands.get(head.address, STANDS)
        is_in_force = law.in_force is not None and law.in_force.address == head.address
        set_back = any(finding.slug == "not-as-logged" for finding in report.findings)
        may_be = is_in_force or not (law.is_known or is_newest_unknown(head.title_number, report))
        is_current = head_stand.stands and may_be
        proved = Proof(shown, report, log).words
        plans = Plans.of(shown.document)
        # A page whose proof fails has to say that first.
        is_sound = proved.outcome == "verified" and stand.stands
        summed_up = summary(plans.document) if is_sound else None
        return self.render(
            "title.html",
            title_number=head.title_number,
            shown=shown,
            stand=stand,
            head=head,
            head_stand=head_stand,
            newest="current" if is_current else "newest",
            stands=stands,
            law=law,
            history=history,
            orders=orders,
            older_url=older_url,
            report=report,
            words=proved,
            log=log,
            origins=origins,
            flagged=_flagged(report.findings),
            set_back=set_back,
            plans=plans,
            summary=summed_up,
            drawn_above=summed_up and summed_up.plan,
        )

    def entries(
        self,
        *,
        title_number: str,
        history: History,
        older_url: str | None,
        stands: Mapping[str, Stand] = NO_STANDS,
        orders: Orders = NO_ORDERS,
        log: LogSummary = NO_LOG,
        proof: Proof | None = None,
        field: str = "",
        fields: Sequence[str] = (),
    ) -> str:
        """A page of the history, newest first: of ``field``, if it is one, or of all ``fields``."""
        return self.render(
            "entries.html",
            title_number=title_number,
            history=history,
            stands=stands,
            orders=orders,
            older_url=older_url,
            log=log,
            proof=proof,
            field=field,
            fields=[
                (canonical.pointer((name,)), said.words[0])
                for name, said in zip(fields, naming.columns(fields), strict=True)
            ],
        )

    def blame(self, *, found: Sequence[Blame], field: str, proof: Proof) -> str:
        """The fields of the newest document, and the version that gave each its value."""
        document = proof.entry.document
        return self.render(
            "blame.html",
            title_number=proof.entry.title_number,
            found=[(each, _outside_lists(document, each.path)) for each in found[:MAX_FIELDS]],
            more=max(0, len(found) - MAX_FIELDS),
            field=field,
            proof=proof,
        )

    def changes(
        self, changes: Sequence[LoggedChange], *, limit: int, size: int, next_url: str | None
    ) -> str:
        """Leaves of the log, which has ``size`` of them, in its order."""
        first = changes[0].index if changes else size
        return self.render(
            "changes.html", changes=changes, first=first, limit=limit, size=size, next_url=next_url
        )

    def trust(self, *, shown: dict[str, Any], trust: Trust, findings: Sequence[Finding]) -> str:
        """Whose keys count, by the newest trust file; ``shown`` is the file as JSON has it."""
        keys = [
            (key, trust.end_of(key.key_id))
            for key in sorted(trust.listed.values(), key=lambda key: (key.role, key.key_id))
        ]
        return self.render("trust.html", shown=shown, keys=keys, found=findings)

    def docs(self, *, openapi: dict[str, Any], problems: Sequence[ProblemKind] = ()) -> str:
        """The description of the API, for people, and what each kind of problem means."""
        return self.render(
            "docs.html",
            info=openapi.get("info", {}),
            operations=list(operations(openapi)),
            schemas=openapi.get("components", {}).get("schemas", {}),
            problems=problems,
        )

    def render(self, template: str, **values: object) -> str:
        """Render a template with the values that it names."""
        values["room"] = filters.Room()
        return _environment().get_template(template).render(self._shared | values)


@cache
def _style_version() -> str:
    return hashlib.sha256((HERE / "static" / "style.css").read_bytes()).hexdigest()[:8]


@cache  # compiling the templates takes long
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=filters.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        text=filters.text,
        literal=filters.literal,
        pretty=filters.pretty,
        moment=filters.moment,
        prose=filters.prose,
        columns=filters.columns,
        numbers=filters.numbers,
        height=filters.height,
        fits=filters.fits,
        members=naming.members,
        headings=naming.columns,
        place=naming.place,
        told=Plans.told,
        shell=shlex.quote,
    )
    environment.globals.update(
        max_members=filters.MAX_MEMBERS,
        max_told=MAX_TOLD,
        no_pin=NO_PIN,
        what_to_do=WHAT_TO_DO,
        plans_of=Plans.of,
        role_of=role_of,
        words_of=words_of,
        spell_parts=spell_parts,
    )
    environment.filters["too_large"] = filters.TooLarge
    environment.tests["too_large"] = lambda value: isinstance(value, filters.TooLarge)
    environment.tests["trust_leaf"] = lambda leaf: isinstance(leaf, TrustLeaf)
    environment.tests["plan"] = lambda value: isinstance(value, Plan)
    environment.tests["absent"] = lambda value: value is ABSENT
    return environment


def holds(report: Report) -> bool:
    """Tell whether what was walked of a history is as it was signed, whether it stands or not."""
    return all(
        each.severity in {"unchecked", "warning"} or each.slug in FALLEN | BAD_TRUST
        for each in report.findings
    )


def is_newest_unknown(title_number: str, report: Report) -> bool:
    """Tell whether what failed would show if there are later versions, or whose keys count.

    The log and the trust files do. What is wrong below the head does not.
    """
    return any(
        each.slug == "not-as-logged" or not each.object_key.startswith(f"{title_number}/")
        for each in report.findings
        if each.severity != "warning"
    )


def _outside_lists(document: JSONValue, path: str) -> str:
    """Cut a JSON pointer at the first list: its items have other places in other versions."""
    kept: list[str] = []
    for step in path.split("/")[1:]:
        if not isinstance(document, dict):
            break
        kept.append(f"/{step}")
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return "".join(kept)


def _flagged(findings: Iterable[Finding]) -> dict[str, str]:
    """Map the addresses that findings are about to the worst severity of each."""
    flagged: dict[str, str] = {}
    for finding in findings:
        parsed = layout.parse_entry_key(finding.object_key)
        if parsed and finding.severity != "warning" and flagged.get(parsed[1]) != "tampering":
            flagged[parsed[1]] = finding.severity
    return flagged
