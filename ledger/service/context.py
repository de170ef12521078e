"""Hold what every route needs: the ledger, the threads, the URLs and the pages."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from ledger.errors import (
    IntegrityError,
    LedgerError,
    NotFoundError,
    OutcomeUnknown,
    StoreError,
    TrustError,
)
from ledger.format.entry import version_hint
from ledger.format.layout import LOG_CHECKPOINT, head_key, sealed_key
from ledger.format.report import Finding, Report
from ledger.service.http.errors import NotReady, NotSealed, RequestError, TimedOut
from ledger.service.http.headers import one_header, prefers_html
from ledger.service.log_view import LogView
from ledger.service.pages.pages import LOCAL, Pages
from ledger.service.pages.proof import Proof
from ledger.service.reload import Access, Reload
from ledger.service.workers import State
from ledger.titles.identity import read_origin
from ledger.titles.trust_files import accepted_by, accepted_keyring
from ledger.verification.prefetch import Wanted, fetch
from ledger.verification.trust import trust_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import Scope

    from ledger.format.entry import Entry
    from ledger.format.keyring import Keyring
    from ledger.format.standing import Stand
    from ledger.ledger import Ledger
    from ledger.service.answering import AnsweringStore
    from ledger.service.indexer import Indexer
    from ledger.service.metrics import Metrics
    from ledger.service.sealer import Sealer
    from ledger.service.settings import Settings
    from ledger.service.threads import Threads, Turn
    from ledger.service.workers import Worker
    from ledger.titles.draft import Appended

T = TypeVar("T")
REMEMBERED = 1000
"""How many objects with unknown keys are remembered, for the readiness."""
READ_AHEAD = 1000
"""Versions of a title that are read for a page before it is known which it needs."""
TRUST_PROBLEMS = {
    "trust-missing": "missing",
    "trust-not-accepted": "not-accepted",
    "unsupported-trust": "unsupported",
    "trust-overdue": "overdue",
}
"""What the readiness calls a finding of the trust files; the worst comes first."""
PIN_MISSING = "pin-missing"
"""The slug of the finding for an address that was to be in the chain and is not."""


@dataclass(slots=True)
class Call:
    """A request, as the access log will show it."""

    request_id: str
    user: tuple[bytes, ...] = ()
    """Who has signed in at the proxy, as the header of ``Settings.user_header`` says."""
    caller: str = ""
    """The caller's name: that of the token or login that came with the request, or the user's."""
    titles: str = ""
    """The titles that the request wrote to, unless the path names it."""
    addresses: str = ""
    """The addresses of the entries that the answer is about."""

    def wrote(self, done: Sequence[Appended]) -> None:
        """Note what the request wrote."""
        self.titles = ",".join(each.entry.title_number for each in done)
        self.addresses = ",".join(each.entry.address for each in done)


@dataclass(frozen=True)
class Context:
    """What the routes of one ledger share."""

    ledger: Ledger
    settings: Settings
    store: AnsweringStore = field(repr=False)
    """The store of the ledger's history."""
    threads: Threads = field(repr=False)
    probes: Threads = field(repr=False)
    """A few threads for what asks how the service is doing, however busy or hung the others are."""
    metrics: Metrics = field(repr=False)
    sealer: Sealer | None = field(default=None, repr=False)
    """Seals the log while the service runs; None: the service does not seal."""
    read_access: Callable[[], Access] | None = field(default=None, repr=False)
    """Reads the keyring and the tokens again; None: they stay as they are."""
    indexer: Indexer | None = field(default=None, repr=False)
    """Keeps the index that the service searches; None: it has none."""
    worker: Worker | None = field(default=None, repr=False)
    """Which of several processes this is; None: the service has only this one."""
    unknown_keys: set[str] = field(default_factory=set, repr=False)
    """The objects that were signed by a key that this service's keyring lacks."""

    @property
    def name(self) -> str:
        """What the log calls this process."""
        return f"worker {self.worker.number}" if self.worker else "the service"

    @property
    def is_first(self) -> bool:
        """Whether this is the process that seals and updates the index; the others only search."""
        return self.worker is None or self.worker.number == 1

    @contextmanager
    def working(self) -> Iterator[None]:
        """Seal, update the index, and tell the other processes, until the end of the block."""
        with ExitStack() as running:
            for each in (self.sealer, self.indexer) if self.is_first else ():
                if each is not None:
                    each.start()
                    running.callback(each.stop)
            if self.worker is not None:
                self.worker.start(self.state)
                running.callback(self.worker.stop)
            yield

    def state(self) -> State:
        """How this process is doing."""
        indexing = ""
        if self.indexer is not None and self.is_first:
            indexing = "failing" if self.indexer.problem else "ok"
        return State(
            worker=self.worker.number if self.worker else 1,
            in_use=self.threads.in_use,
            problems=self._problems(),
            contradicted=[*self.log.contradicted],
            indexing=indexing,
            sealing=self.sealer.sealing if self.sealer else None,
        )

    def states(self) -> list[State]:
        """How all processes of the service are doing."""
        return [self.state(), *(self.worker.others() if self.worker else ())]

    async def run(self, name: str, call: Callable[[], T], title_number: str = "") -> T:
        """Make a call of the ledger in a thread; raises what it and ``Threads`` raise, or NotReady.

        If it is about a title and fails, the error says what is known of the title.
        """

        def answer(turn: Turn) -> T:
            with self.store.answering(turn.begin_writing):
                return self._run(call, title_number)

        try:
            return await self.threads.run(name, answer)
        except (OutcomeUnknown, StoreError, TimedOut) as error:
            self.metrics.store_failed(error.slug)
            raise

    def _run(self, call: Callable[[], T], title_number: str) -> T:
        try:
            return call()
        except (IntegrityError, NotFoundError, NotSealed, TrustError) as error:
            self.check_store()
            if isinstance(error, TrustError):
                self._note_unknown(error.reason, error.object_key)
            if not title_number or isinstance(error, NotSealed):
                raise
            raise self._explain(title_number, error) from error

    def _explain(
        self, title_number: str, error: IntegrityError | NotFoundError | TrustError
    ) -> LedgerError:
        """Say what is known of a title: was it registered, and what has the log of it."""
        hint = "the title's verification says what holds and what does not"
        logged = self.log.last_logged(title_number)
        if not isinstance(error, NotFoundError):
            message = f"{error}; {logged}" if logged else str(error)
            return type(error)(message, hint=hint, reason=error.reason, object_key=error.object_key)
        if self.ledger.history.find_head(title_number) is not None:
            return error  # only that version or entry does not exist
        unknown = NotFoundError(f"no such title: {title_number}", hint="/titles lists them")
        try:
            found = self.verify(title_number).findings
        except NotFoundError:
            return unknown
        gone = next((each for each in found if each.severity == "tampering"), None)
        if gone is None:
            return unknown
        message = f"{gone.message}; {logged}" if logged else gone.message
        return IntegrityError(message, hint=hint, reason=gone.slug, object_key=gone.object_key)

    def verify(
        self,
        title_number: str,
        expect: str | None = None,
        each: Callable[[Entry, Stand], None] | None = None,
    ) -> Report:
        """Verify a title, and compare it with the log: the report has the worst of both."""
        self._read_side_by_side(head_key(title_number), sealed_key(title_number), LOG_CHECKPOINT)
        try:
            report = self.ledger.verify(title_number, expect=expect, each=each)
        except NotFoundError:
            found = self.log.compare(title_number)
            if not found:
                raise
            return Report(self.ledger.origin, findings=found)
        for finding in report.findings:
            self._note_unknown(finding.slug, finding.object_key)
        if expect is not None:
            report = replace(report, findings=self._judge_pin(title_number, expect, report))
        known = {(finding.slug, finding.object_key) for finding in report.findings}
        found = tuple(
            finding
            for finding in self.log.compare(title_number)
            if (finding.slug, finding.object_key) not in known
        )
        if not report:
            self.check_store()
        return replace(report, findings=(*report.findings, *found))

    def prove(self, entry: Entry, *others: Entry) -> Proof:
        """Verify the title of an entry, and say what that proves of it and of older ones."""
        walked: set[str] = set()
        title_number = entry.title_number
        report = self.verify(title_number, each=lambda each, _: walked.add(each.address))
        shown = {each.address for each in (entry, *others)}
        return Proof(entry, report, self.log.of([entry], entry), shown <= walked)

    def _judge_pin(self, title_number: str, expect: str, report: Report) -> tuple[Finding, ...]:
        """Tell an address that is in no entry of this title from one that the chain has lost.

        The first may be mistyped, or another title's. An entry that is there, signed for this title
        and not in its chain, shows that the chain was set back or replaced.
        """
        if all(finding.slug != PIN_MISSING for finding in report.findings):
            return report.findings
        try:
            self.ledger.history.entry(title_number, expect)
        except LedgerError:
            return report.findings
        return tuple(
            replace(each, severity="tampering") if each.slug == PIN_MISSING else each
            for each in report.findings
        )

    def read_ahead(self, title_number: str, *, whole: bool = False) -> None:
        """Read a head and its record side by side, if the store is remote.

        ``whole``: all that a verification takes, as it comes later, or most of it is needed anyway.
        """
        keys = [head_key(title_number), sealed_key(title_number)]
        self._read_side_by_side(*keys, *[LOG_CHECKPOINT] * whole)
        head = self.store.known.get(keys[0])
        if whole and head is not None and version_hint(head.data) <= READ_AHEAD:
            fetch(self.ledger.history.store, [Wanted(title_number)])

    def _read_side_by_side(self, *keys: str) -> None:
        if self.store.concurrency > 1 and self.log.has_keys:
            with suppress(LedgerError):  # whoever needs it meets it again
                deque(self.store.get_many(keys), maxlen=0)

    def changed(self, title_number: str) -> None:
        """Note that this service has changed a title."""
        if self.indexer is not None and self.is_first:
            self.indexer.note(title_number)

    def check_store(self) -> None:
        """Check that the ledger is still there, before an answer says that something is not.

        An unmounted disk and an emptied bucket look like a ledger without titles. Raises NotReady.
        """
        try:
            origin = read_origin(self.ledger.store)
            if origin != self.ledger.origin:
                raise TrustError(f"the store holds the ledger {origin} now")
        except LedgerError as error:
            raise NotReady(f"the ledger can't be read: {error}", hint="try again later") from error

    def _problems(self) -> dict[str, str]:
        """Say what this process has met that somebody has to look at; empty if there is nothing."""
        found: dict[str, str] = {}
        if self.log.contradicted:
            found["log"] = "contradicted"
        if self.reload.problem:
            found["keyring"] = "stale"
        elif self.unknown_keys:
            found["keyring"] = "incomplete"
        slugs = {self.reload.reason, *(finding.slug for finding in self.trust_findings())}
        trust = next((name for slug, name in TRUST_PROBLEMS.items() if slug in slugs), None)
        return found | ({"trust": trust} if trust else {})

    def trust_findings(self) -> tuple[Finding, ...]:
        """What is wrong with the trust files that this service goes by, and whether one is due."""
        return trust_findings(self.ledger.keyring, self.ledger.clock())

    @cached_property
    def reload(self) -> Reload:
        """What reads the keyring, the trust files and the tokens again."""
        now = Access(self.ledger.keyring, self.settings.tokens)
        return Reload(self.ledger.origin, now, self._read_access, self._accept, self._use)

    def _read_access(self) -> Access:
        """Read the keyring and the tokens again."""
        if self.read_access is not None:
            return self.read_access()
        return Access(self.ledger.keyring.own, self.settings.tokens)

    def _accept(self, own: Keyring) -> Keyring:
        """Read the trust files that a keyring pins."""
        ledger = self.ledger
        known = accepted_by(ledger.keyring, ledger.origin)
        return accepted_keyring(ledger.store, ledger.origin, own, known)

    def _use(self, access: Access) -> None:
        self.ledger.history.use_keyring(access.keyring)
        new, origin = access.signer, self.ledger.origin
        if new is not None and access.keyring.may_sign(origin, new.public_key.key_id):
            self.ledger.use_signer(new)
        if access.log_signers and self.sealer is not None:
            self.sealer.use_signers(access.log_signers)
        self.unknown_keys.clear()

    def _note_unknown(self, reason: str, object_key: str) -> None:
        if reason == "unknown-key" and len(self.unknown_keys) < REMEMBERED:
            self.unknown_keys.add(object_key)

    def url(self, scope: Scope, path: str, /, **query: str | int) -> str:
        """Build the absolute URL of a page, as this client sees it."""
        base = self.settings.public_url
        if not base:
            base = f"{self._here(scope)}{scope.get('root_path', '')}"
        return f"{base}{path}?{urlencode(query)}" if query else f"{base}{path}"

    def _here(self, scope: Scope) -> str:
        return f"{scope['scheme']}://{_host(scope)}"

    def base_path(self, scope: Scope) -> str:
        """Return what comes before the path of every page, as this client sees it."""
        url = self.settings.public_url
        return self.settings.base_path if url else str(scope.get("root_path", ""))

    def wants_html(self, scope: Scope) -> bool:
        """Tell whether this client prefers HTML to JSON."""
        accept = b", ".join(value for name, value in scope["headers"] if name == b"accept")
        return prefers_html(accept.decode("latin-1"))

    @cached_property
    def for_ever(self) -> str:
        """The Cache-Control header of an answer that never changes."""
        settings = self.settings
        public = settings.public_read or not (settings.tokens or settings.user_header)
        # A shared cache must not keep what only some may see (RFC 9111, section 3.5).
        return f"{'public' if public else 'private'}, max-age=31536000, immutable"

    @cached_property
    def log(self) -> LogView:
        """The transparency log, as the routes look at it."""
        return LogView(self.ledger, self.store.forget)

    def pages(self, scope: Scope) -> Pages:
        """Return the pages, with links that work wherever the service is mounted."""
        try:
            local = self._here(scope)
        except RequestError:  # two Host headers: the page says so
            local = LOCAL
        return self.pages_at(self.settings.public_url or scope.get("root_path", ""), local)

    def pages_at(self, base: str, local: str = LOCAL) -> Pages:
        """Return the pages whose links begin with ``base``."""
        return Pages(origin=self.ledger.origin, keyring=self.ledger.keyring, base=base, local=local)


def _host(scope: Scope) -> str:
    host = one_header(scope, b"host")
    if host:
        return host.decode("latin-1")
    server = scope.get("server") or ("localhost", None)  # HTTP/1.0 may come without a Host
    return f"{server[0]}:{server[1]}" if server[1] else str(server[0])
