"""Register several titles as one, and show what an application changed."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import ConflictError, NotFoundError, RegistrationIncomplete
from ledger.registrations.registration import Registration, find_registration, registration_json
from ledger.service.http import headers
from ledger.service.http.answers import JSON_TYPE, answer, html, to_json
from ledger.service.http.bodies import ToRegister, parse_giving_up, parse_registration, read_body
from ledger.service.http.errors import Busy, MatchRequired, RequestError
from ledger.service.http.parameters import MANY_CHANGED, Reference
from ledger.service.openapi.routes import GIVE_UP, REGISTER, REGISTRATION
from ledger.service.routes.group import Routes, reading, route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.service.context import Context
    from ledger.titles.draft import Guards


class RegistrationRoutes(Routes):
    """The routes ``/registrations`` and ``/registrations/{reference}``."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._under_way: list[tuple[str, str]] = []
        """What is being done with which references, by whoever waits for it, or nobody any more."""
        self._lock = Lock()

    @route("/registrations", REGISTER, "POST")
    async def register(self, request: Request) -> Response:
        """Register new versions of several titles as one. Repeat it to finish what was begun."""
        guards = headers.guards(request)
        as_document = headers.as_document(request)
        key = headers.reference(request)
        author = request.scope["ledger"].caller
        data = await read_body(request, self._context.settings.max_body)

        def write() -> Response:
            asked = parse_registration(data, author, as_document=as_document)
            if key not in {"", asked.reference}:
                raise RequestError(
                    "the Idempotency-Key is not the reference",
                    hint="leave the header out: the reference makes it repeatable",
                )
            return self._register(request, asked, guards)

        return await self._context.run("register", write)

    def _register(self, request: Request, asked: ToRegister, guards: Guards) -> Response:
        titles = {draft.title_number for draft in asked.drafts}
        request.scope["ledger"].titles = ",".join(sorted(titles))
        if self._context.settings.require_match and asked.parents.keys() != titles:
            raise MatchRequired(
                "every part must say which version it builds on: parent, an address or null",
                hint="read the titles and send their addresses",
            )
        for title_number in sorted(titles):
            self._context.log.check_head(title_number)
        metrics = self._context.metrics
        try:
            with self._one_of_both("registered", asked.reference):
                done = self._ledger.register(
                    asked.drafts, reference=asked.reference, parents=asked.parents, guards=guards
                )
        except (ConflictError, RegistrationIncomplete) as error:
            metrics.conflicted(error.slug)
            raise
        finally:  # some parts may stand
            for title_number in titles:
                self._context.changed(title_number)
        for each in done:
            metrics.appended("repeated" if each.repeated else "appended")
        request.scope["ledger"].wrote(done)
        found = Registration(asked.reference, tuple(each.entry for each in done))
        return self._answer(request, found, is_new=not all(each.repeated for each in done))

    def _answer(self, request: Request, found: Registration, *, is_new: bool) -> Response:
        path = f"/registrations/{quote(found.reference, safe='')}"
        named = {
            "Location": self._context.url(request.scope, path),
            "Cache-Control": "no-store",
        }
        status = 201 if is_new else 200
        return Response(to_json(registration_json(found)), status, named, JSON_TYPE)

    # A reference may have slashes, and a server decodes them before it looks for a route.
    @route("/registrations/{reference:path}/give-up", GIVE_UP, "POST")
    async def give_up(self, request: Request, reference: Reference) -> Response:
        """Complete a registration without the parts that are missing: a rectification for each."""
        guards = headers.guards(request)
        author = request.scope["ledger"].caller
        data = await read_body(request, self._context.settings.max_body)

        def write() -> Response:
            message = parse_giving_up(data)
            history = self._ledger.history
            # A part that is missing may have been there, in a title that was set back or is lost.
            titles = find_registration(history, reference).titles
            for title_number in titles:
                self._context.log.check_head(title_number)
            try:
                with self._one_of_both("given up", reference):
                    done = self._ledger.give_up(
                        reference, message=message, author=author, guards=guards
                    )
            finally:
                for title_number in titles:
                    self._context.changed(title_number)
            request.scope["ledger"].wrote(done)
            for _ in done:
                self._context.metrics.appended("appended")
            found = find_registration(history, reference)
            return self._answer(request, found, is_new=bool(done))

        return await self._context.run("give-up", write)

    @contextmanager
    def _one_of_both(self, done: str, reference: str) -> Iterator[None]:
        """Refuse to register and to give up at once: both would stand, as the same part."""
        with self._lock:
            for other, each in self._under_way:
                if each == reference and other != done:
                    raise Busy(
                        f"{reference!a:.300} is just being {other}: nothing was {done}",
                        hint="try again later, and only if it is incomplete then",
                    )
            self._under_way.append((done, reference))
        try:
            yield
        finally:
            self._under_way.remove((done, reference))

    @reading("/registrations/{reference:path}", REGISTRATION, "registration")
    def registration(self, request: Request, reference: Reference) -> Response:
        """What an application changed: its entries, of all titles, and what is missing."""
        found = find_registration(self._ledger.history, reference, MANY_CHANGED)
        if not found.entries and not found.passed_over:
            raise NotFoundError(
                f"no entry has the reference {reference!a:.300}",
                hint="a reference is compared as it is written",
            )
        unlogged = self._context.log.lacks(found.entries)
        if self._context.wants_html(request.scope):
            page = self._context.pages(request.scope).render(
                "registration.html", found=found, unlogged=unlogged
            )
            return html(request, page)
        return answer(request, to_json(registration_json(found, unlogged)))
