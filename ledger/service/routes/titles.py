"""Read one title: its current and earlier versions, its history, and what proves them."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from anyio import to_thread
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import IntegrityError, InvalidError, LedgerError, NotStanding, TrustError
from ledger.format.chain import NO_PIN
from ledger.format.diff import Change, change_json, changes
from ledger.format.entry import Entry, entry_json
from ledger.format.law import corrections, find_in_law, turns
from ledger.format.layout import is_address
from ledger.format.report import report_json
from ledger.format.standing import STANDS, Judged, Stand, stand_members
from ledger.format.times import as_bound
from ledger.registrations.registration import Registration, find_registration, role_of
from ledger.service.http.answers import answer, html, to_json
from ledger.service.http.bodies import representation
from ledger.service.http.parameters import (
    MANY_CHANGED,
    MANY_ENTRIES,
    Address,
    AddressOrPrefix,
    Effective,
    Expect,
    Limit,
    NewRevision,
    OldRevision,
    Pointer,
    Raw,
    Recorded,
    TitleNumber,
    Version,
)
from ledger.service.openapi.routes import BLAME, BUNDLE, DIFF, ENTRIES, ENTRY, TITLE, VERIFICATION
from ledger.service.pages.pages import MAX_TOLD, Law, holds, is_newest_unknown
from ledger.service.routes.group import Routes, reading
from ledger.titles.history import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from ledger.format.canonical import JSONValue

    Document = dict[str, JSONValue] | None
    """None: its text is erased."""
    Step = tuple[Judged, Entry | None]


PATH = "/titles/{title_number}"
BUNDLE_TYPE = "application/octet-stream"
CHUNK = 1 << 16
IN_MEMORY = 1 << 20
MAX_CHANGES = 4 << 20
"""How many bytes of changes an answer has at most. Each repeats its path, which can be long."""
PAGE_CHANGES = 1 << 18
"""The same for a page, which shows less."""
PAGE_DOCUMENTS = 1 << 20
"""How many bytes of entries are compared for a page. JSON compares all."""
SEARCHED = 500
SEARCHED_BYTES = 1 << 25
"""How many versions, and bytes of them, one answer looks through for changes of a field."""
MAX_PASSED_OVER = 50
"""How many versions a header names. A proxy refuses what is longer than 8 KiB, mostly."""
MAX_ORIGINS = 5
"""How many registrations a title's page reads: each reads all titles that it changed."""
PREFIX = re.compile(r"[0-9a-f]{4,64}")
# The head is read once, so that both sides of a comparison come from the same state.
HEAD = re.compile(r"\A(?:HEAD|@(?!\{))")
# An address is given by 4 digits or more, so a shorter number can only be a version's.
NUMBER = re.compile(r"[1-9][0-9]{0,2}")


class Part(NamedTuple):
    """A part of a title's history."""

    history: list[tuple[Entry, list[Change] | None]]
    """Entries, newest first, with what changed in each; None: too much to show, or erased."""
    older: str | None
    """The address that the next part begins with."""
    orders: dict[int, Entry]
    """The erased versions of the title, with the entry that orders each erased; empty if no text
    that is needed here is erased."""
    stands: dict[str, Stand]
    """How each entry stands, by its address."""


def _version(entry: Entry) -> int:
    return entry.version


def _is_at(change: Change, field: str) -> bool:
    """Tell whether a change is at a field, below it, or of what the field is in."""
    return any(
        f"{path}/".startswith(f"{field}/") or f"{field}/".startswith(f"{path}/")
        for path in (change.path, change.old_path)
        if path is not None
    )


def _document(entry: Entry) -> Document:
    return None if entry.is_withheld else entry.document


class TitleRoutes(Routes):
    """The routes below ``/titles/{title_number}`` that only read."""

    @reading(PATH, TITLE, "title")
    def title(
        self,
        request: Request,
        title_number: TitleNumber,
        version: Version = None,
        effective: Effective = None,
        recorded: Recorded = None,
    ) -> Response:
        """One version of a title: the newest, a numbered one, or the one in law on a day."""
        days = {"effective": effective, "recorded": recorded}
        asked = {name: day for name, day in days.items() if day is not None}
        page = self._wants_page(request, title_number)
        self._context.read_ahead(title_number)
        found, stand = self._find(title_number, version, asked)
        entry = found.entry
        if page:
            law = Law(self._ledger.clock(), asked, found)
            return html(request, self._title_page(request, stand, law))
        if version is None:  # a page says so in words
            self._context.log.check_head(title_number, None if asked else entry)
        named = {"Ledger-Address": entry.address, **_standing(stand)}
        if stand.stands is not False:  # else it holds on no day
            named |= _effective(entry) | {"Ledger-Status": entry.status}
        if found.passed_over:
            named["Ledger-Passed-Over"] = _passed_over(found.passed_over)
        if found.is_future:
            named["Ledger-Future"] = "yes"
        if not asked and version is None:
            named |= self._link(request, entry)
        return answer(request, representation(entry), tag=entry.address, headers=named)

    def _wants_page(self, request: Request, title_number: str) -> bool:
        """Tell whether the client prefers a page: it takes all that its verification does."""
        page = self._context.wants_html(request.scope)
        if page:
            self._context.read_ahead(title_number, whole=True)
        return page

    def _find(
        self, title_number: str, version: int | None, asked: dict[str, str]
    ) -> tuple[Answer, Stand]:
        """The version that was asked for, which has its text, and how it stands."""
        if version is not None and asked:
            raise InvalidError("version cannot be used together with effective or recorded")
        history = self._ledger.history
        if asked:
            found, stand = self._ledger.answer(title_number, **asked), STANDS
        else:
            revision = "HEAD" if version is None else f"v{version}"
            entry, stand = next(history.judged_log(title_number, revision))
            found = Answer(entry)
        history.read_text(found.entry)
        return found, stand

    def _link(self, request: Request, head: Entry) -> dict[str, str]:
        """Name the version in force today, if it is known, and not the newest."""
        try:
            entry = self._ledger.history.in_force(head, self._ledger.clock())
        except NotStanding:
            return {}
        if entry is None or entry.version == head.version:
            return {}
        path = f"/titles/{head.title_number}"
        url = self._context.url(request.scope, path, version=entry.version)
        title = f"version {entry.version} is in force today"
        return {"Link": f'<{url}>; rel="alternate"; title="{title}"'}

    def _title_page(self, request: Request, stand: Stand, law: Law) -> str:
        shown = law.found.entry
        title_number = shown.title_number
        # Each call reads the head again, so what is shown must be in the chain that is verified.
        walked: list[Judged] = []

        def hear(entry: Entry, stand: Stand) -> None:
            walked.append((entry.without_text(), stand))

        report = self._context.verify(title_number, shown.address, hear)
        # But the pin came from this very request, so it shows nothing about a rollback.
        report = replace(report, not_shown=(NO_PIN, *report.not_shown))
        # After the verification, which reads the entries of a bucket side by side.
        history, older, orders, stands = self._history(
            title_number, "HEAD", MANY_ENTRIES, page=True, broken=True
        )
        entries = [entry for entry, _ in history]
        head = history[0][0]
        # Down to version 1: the walk was not cut off.
        is_whole = holds(report) and bool(walked) and walked[-1][0].version == 1
        if not is_newest_unknown(title_number, report):  # else it may be in what is lacking
            law = self._look_out(law, head, walked if is_whole else [])
        return self._context.pages(request.scope).title(
            shown=shown,
            stand=stand,
            head=head,
            law=law,
            history=history,
            stands=stands,
            orders=orders,
            older_url=self._older(request, title_number, older, MANY_ENTRIES),
            report=report,
            log=self._context.log.of(entries, shown),
            origins=self._origins([shown, *(entry for entry, _ in walked)]),
        )

    def _look_out(self, law: Law, head: Entry, walked: list[Judged]) -> Law:
        """Add what is in force today, and, of a history that holds, what comes and was corrected.

        Of one that does not, what is in force can still be known, from the entries above the break.
        """
        if walked and all(stand.stands is not None for _, stand in walked):
            standing = [entry for entry, stand in walked if stand.stands]
            today = as_bound(law.today)
            return law._replace(
                in_force=find_in_law(standing, today),
                is_known=True,
                turns=list(islice(turns(standing, today), MAX_TOLD + 1)),
                corrections=list(islice(corrections(standing), MAX_TOLD + 1)),
            )
        with suppress(LedgerError):  # the report names what is wrong
            in_force = self._ledger.history.in_force(head, law.today)
            return law._replace(in_force=in_force, is_known=True)
        return law

    def _origins(self, entries: list[Entry]) -> dict[str, Registration | None]:
        """The registrations that these entries are parts of; None: it can't be read.

        Those that began or closed the title come first, as only so many are read.
        """
        parts = sorted((e for e in entries if e.part[1] > 1), key=lambda e: not role_of(e))
        found: dict[str, Registration | None] = {}
        for reference in list(dict.fromkeys(part.reference for part in parts))[:MAX_ORIGINS]:
            found[reference] = None
            with suppress(LedgerError):  # another title may be damaged
                found[reference] = find_registration(self._ledger.history, reference, MANY_CHANGED)
        return found

    @reading(PATH + "/entries", ENTRIES, "entries")
    def entries(
        self,
        request: Request,
        title_number: TitleNumber,
        start: Address = None,
        limit: Limit = MANY_ENTRIES,
        path: Pointer = "",
    ) -> Response:
        """The history of a title, newest first, from its head or from an address down.

        With path, only the versions that changed what is there, or may have.
        """
        page = self._wants_page(request, title_number)
        history, older, orders, stands = self._history(
            title_number, start or "HEAD", limit, page=page, field=path
        )
        url = self._older(request, title_number, older, limit, path)
        if page:
            head = self._ledger.head(title_number)
            shown_page = self._context.pages(request.scope).entries(
                title_number=title_number,
                history=history,
                stands=stands,
                orders=orders,
                older_url=url,
                log=self._context.log.of([each for each, _ in history]),
                proof=self._context.prove(*([each for each, _ in history] or [head])),
                field=path,
                fields=[] if head.is_withheld else list(head.document),
            )
            return html(request, shown_page)
        shown = [
            {
                **entry_json(entry, self._ledger.keyring),
                **stand_members(stands[entry.address]),
                "erased": _erased(entry, orders),
                "changes": None
                if differing is None
                else [change_json(change) for change in differing],
            }
            for entry, differing in history
        ]
        body = to_json({"title_number": title_number, "entries": shown})
        return answer(request, body, headers={"Link": f'<{url}>; rel="next"'} if url else {})

    def _history(
        self,
        title_number: str,
        start: str,
        limit: int,
        *,
        page: bool = False,
        broken: bool = False,
        field: str = "",
    ) -> Part:
        """Read some history, for a ``page`` or for JSON, which has more of the changes.

        ``broken``: stop at a broken link, for the report names it. ``field``: only versions whose
        changes are there, or are not known.
        """
        history: list[tuple[Entry, list[Change] | None]] = []
        stands: dict[str, Stand] = {}
        older, left, is_complete = None, PAGE_CHANGES if page else MAX_CHANGES, True
        documents, lowest = 0, 0
        most_bytes = SEARCHED_BYTES if field else PAGE_DOCUMENTS if page else None
        most = SEARCHED if field else limit
        below: tuple[str, Document] = ("", {})  # each document is decoded once
        steps = self._steps(title_number, start, most + 1, broken=broken)
        for count, ((entry, stand), parent) in enumerate(steps):
            documents += len(entry.data) + (len(parent.data) if parent else 0)
            is_too_much = most_bytes is not None and documents > most_bytes
            if len(history) == limit or count == most or (field and count and is_too_much):
                older = entry.address
                break
            lowest = entry.version - 1
            differing = None
            if not is_too_much:
                new = below[1] if below[0] == entry.address else _document(entry)
                below = (parent.address, _document(parent)) if parent else ("", {})
                old = below[1]
                if old is None or new is None:
                    is_complete = False
                else:
                    with suppress(InvalidError):  # too much changed
                        differing = changes(old, new, limit=left)
            if field and differing is not None:
                there = [change for change in differing if _is_at(change, field)]
                if not there:
                    continue
                differing = there if page and entry.parent else differing
            left -= sum(change.size for change in differing or ())
            history.append((entry, differing))
            stands[entry.address] = stand
        orders = {} if is_complete else self._orders(title_number, lowest)
        return Part(history, older, orders, stands)

    def _orders(self, title_number: str, lowest: int) -> dict[int, Entry]:
        """Map the erased versions, from ``lowest`` on, to the entry that orders each erased."""
        history = self._ledger.history
        return history.orders(history.head(title_number), lowest)

    def _steps(self, title_number: str, start: str, limit: int, *, broken: bool) -> Iterator[Step]:
        """Yield each entry with the one before it; holds two at a time."""
        child: Judged | None = None
        try:
            walked = self._ledger.history.judged_log(title_number, start, many=limit)
            for judged in islice(walked, limit):
                if child is not None:
                    yield child, judged[0]
                child = judged
        except (IntegrityError, TrustError):
            if not broken or child is None:
                raise
        if child is not None:
            yield child, None

    def _older(
        self,
        request: Request,
        title_number: str,
        address: str | None,
        limit: int,
        field: str = "",
    ) -> str | None:
        path = f"/titles/{title_number}/entries"
        if address is None:
            return None
        query: dict[str, str | int] = {"from": address, "limit": limit}
        return self._context.url(request.scope, path, **query, **({"path": field} if field else {}))

    @reading(PATH + "/entries/{address}", ENTRY, "entry")
    def entry(
        self,
        request: Request,
        title_number: TitleNumber,
        address: AddressOrPrefix,
        raw: Raw = None,
    ) -> Response:
        """The exact bytes of an entry, without its text if that is erased."""
        if not PREFIX.fullmatch(address):
            raise InvalidError(
                f"not an address: {address!a:.80}", hint="4 to 64 lower-case hex digits"
            )
        page = raw is None and self._wants_page(request, title_number)
        entry, stand = self._judged(title_number, address)
        if not is_address(address):
            path = f"/titles/{title_number}/entries/{entry.address}"
            return RedirectResponse(self._context.url(request.scope, path), 307)
        if page:
            return html(request, self._entry_page(request, entry))
        # A tag of its own: whoever has the text must not hear that nothing has changed.
        tag = f"{entry.address}-short" if entry.is_withheld else entry.address
        file = f'attachment; filename="{title_number}.v{entry.version}.json"'
        headers = {"Content-Disposition": file} if raw else {}
        return answer(request, entry.data, tag=tag, headers=headers | _standing(stand))

    def _judged(self, title_number: str, revision: str) -> Judged:
        """An entry, and how it stands."""
        return next(self._ledger.history.judged_log(title_number, revision))

    def _entry_page(self, request: Request, entry: Entry) -> str:
        [(_, differing)], _, orders, stands = self._history(
            entry.title_number, entry.address, 1, page=True
        )
        head = self._ledger.head(entry.title_number)
        return self._context.pages(request.scope).render(
            "entry.html",
            title_number=entry.title_number,
            entry=entry,
            stand=stands[entry.address],
            changes=differing,
            orders=orders,
            is_head=entry.address == head.address,
            proof=self._context.prove(entry),
        )

    @reading(PATH + "/diff", DIFF, "diff")
    def diff(
        self,
        request: Request,
        title_number: TitleNumber,
        old: OldRevision = "HEAD~1",
        new: NewRevision = "HEAD",
    ) -> Response:
        """What changed between two revisions of a title."""
        is_page = self._wants_page(request, title_number)
        head = self._ledger.head(title_number).address
        before, old_stand = self._judged(title_number, _revision(old, head))
        after, new_stand = self._judged(title_number, _revision(new, head))
        differing, orders = None, {}
        if before.is_withheld or after.is_withheld:
            orders = self._orders(title_number, min(before.version, after.version))
        else:
            differing = changes(before.document, after.document, limit=MAX_CHANGES)
        if is_page:
            page = self._context.pages(request.scope).render(
                "diff.html",
                title_number=title_number,
                old=before,
                new=after,
                changes=differing,
                stands={before.address: old_stand, after.address: new_stand},
                orders=orders,
                proof=self._context.prove(*sorted((before, after), key=_version, reverse=True)),
            )
            return html(request, page)
        shown = {
            "title_number": title_number,
            "from": _named(before, orders) | stand_members(old_stand),
            "to": _named(after, orders) | stand_members(new_stand),
            "changes": None if differing is None else list(map(change_json, differing)),
        }
        return answer(request, to_json(shown))

    @reading(PATH + "/blame", BLAME, "blame")
    def blame(self, request: Request, title_number: TitleNumber, path: Pointer = "") -> Response:
        """Which version gave each field of the newest document its value."""
        is_page = self._wants_page(request, title_number)
        if not is_page:  # a page says so in words
            self._context.log.check_head(title_number)
        found = self._ledger.blame(title_number, path, limit=MAX_CHANGES)
        if is_page:
            head = self._ledger.head(title_number)
            page = self._context.pages(request.scope).blame(
                found=found,
                field=path,
                proof=self._context.prove(head, *(each.entry for each in found)),
            )
            return html(request, page)
        entries = {each.entry.version: each.entry for each in found}
        shown = {
            "title_number": title_number,
            "fields": [
                {
                    "path": each.path,
                    "value": each.value,
                    "version": each.entry.version,
                    "or_before": each.or_before,
                }
                for each in found
            ],
            "entries": [
                entry_json(entries[version], self._ledger.keyring)
                for version in sorted(entries, reverse=True)
            ],
        }
        return answer(request, to_json(shown))

    @reading(PATH + "/verification", VERIFICATION, "verification")
    def verification(
        self, request: Request, title_number: TitleNumber, expect: Expect = None
    ) -> Response:
        """The report of a verification, made now. The status is 200 whatever it says."""
        report = self._context.verify(title_number, expect)
        headers = {"Vary": "Accept", "Cache-Control": "no-store"}
        if self._context.wants_html(request.scope):
            page = self._context.pages(request.scope).render(
                "verification.html", title_number=title_number, report=report, pin=expect
            )
            return Response(page, headers=headers, media_type="text/html")
        shown = {"title_number": title_number, "expect": expect}
        body = to_json(shown | report_json(report))
        return Response(body, headers=headers, media_type="application/json")

    @reading(PATH + "/bundle", BUNDLE, "bundle")
    def bundle(self, title_number: TitleNumber) -> Response:
        """The title with all its history, as a file to verify offline."""
        # Complete before the first byte is sent, so that a broken history is an error.
        with ExitStack() as undo:
            out = cast("BinaryIO", undo.enter_context(SpooledTemporaryFile(IN_MEMORY)))
            self._ledger.export(out, [title_number])
            headers = {
                "Content-Disposition": f'attachment; filename="{title_number}.bundle"',
                "Content-Length": str(out.tell()),
                "Cache-Control": "no-store",
            }
            out.seek(0)
            undo.pop_all()  # _chunks closes it
        return StreamingResponse(_chunks(out), media_type=BUNDLE_TYPE, headers=headers)


def _revision(typed: str, head: str) -> str:
    """Read a revision as people type it: ``3`` is ``v3``, and HEAD the head that was read."""
    typed = typed.strip()
    return f"v{typed}" if NUMBER.fullmatch(typed) else HEAD.sub(head, typed)


def _effective(entry: Entry) -> dict[str, str]:
    """Say in headers from when, and until when, an entry holds in law."""
    headers = {"Ledger-Effective": entry.effective_at or entry.recorded_at}
    if entry.effective_until:
        headers["Ledger-Effective-Until"] = entry.effective_until
    return headers


def _standing(stand: Stand) -> dict[str, str]:
    """Say in a header how an entry stands; none if it simply counts."""
    if not stand.words:
        return {}
    said = "unknown" if stand.stands is None else "yes" if stand.stands else "no"
    return {"Ledger-Standing": said + _why(stand)}


def _passed_over(judged: Sequence[Judged]) -> str:
    """Name the versions that were passed over, the newest first."""
    return ", ".join(f"{entry.version}{_why(stand)}" for entry, stand in judged[:MAX_PASSED_OVER])


def _why(stand: Stand) -> str:
    """Say why an entry stands as it does, in parameters (RFC 9651, section 3.1.2)."""
    reason = f";reason={stand.reason}" if stand.reason else ""
    return f"{reason};by={stand.by}" if stand.by else reason


def _named(entry: Entry, orders: dict[int, Entry]) -> dict[str, Any]:
    erased = _erased(entry, orders)
    return {"address": entry.address, "version": entry.version, "erased": erased}


def _erased(entry: Entry, orders: dict[int, Entry]) -> dict[str, Any] | None:
    """Say which entry erased a text; None if it is there."""
    if not entry.is_withheld:
        return None
    order = orders[entry.version]
    return {"version": order.version, "reference": order.reference}


async def _chunks(source: BinaryIO) -> AsyncIterator[bytes]:
    with source:
        while chunk := await to_thread.run_sync(source.read, CHUNK):
            yield chunk
