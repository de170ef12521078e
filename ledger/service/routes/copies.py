"""Official copies of titles, to print."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 -- FastAPI reads the annotations

from ledger.errors import ConflictError, IntegrityError, LedgerError, NotStanding
from ledger.format.layout import head_key
from ledger.format.times import format_time
from ledger.service.http.parameters import TitleNumber, Version  # noqa: TC001 -- FastAPI reads the annotations
from ledger.service.openapi.routes import COPY
from ledger.service.routes.group import Routes, reading

if TYPE_CHECKING:
    from ledger.format.entry import Entry
    from ledger.service.pages.proof import Proof


class CopyRoutes(Routes):
    """The route ``/titles/{title_number}/copy``."""

    @reading("/titles/{title_number}/copy", COPY, "copy")
    def copy(
        self, request: Request, title_number: TitleNumber, version: Version = None
    ) -> Response:
        """An official copy of a version, as a page to print; none of what does not hold."""
        history = self._ledger.history
        revision = "HEAD" if version is None else f"v{version}"
        entry, stand = next(history.judged_log(title_number, revision))
        if not stand.stands:
            said = f"there is no official copy of version {entry.version}: {stand.words}"
            raise NotStanding(said, reason=stand.reason) if stand.reason else ConflictError(said)
        history.read_text(entry)
        proof = self._context.prove(entry)
        if proof.words.outcome != "verified":  # in doubt, none: paper outlives the doubt
            raise _refused(title_number, proof)
        now, head = self._ledger.clock(), self._ledger.head(title_number)
        in_force: Entry | None = None
        is_known = False
        with suppress(LedgerError):  # nobody can tell what is in force: the copy says so
            in_force, is_known = history.in_force(head, now), True
        page = self._context.pages(request.scope).render(
            "copy.html",
            title_number=title_number,
            shown=entry,
            head=head,
            in_force=in_force,
            is_known=is_known,
            issued_at=format_time(now),
            proof=proof,
        )
        named = {"Cache-Control": "no-store"}  # it has the time of issue
        return Response(page, headers=named, media_type="text/html")


def _refused(title_number: str, proof: Proof) -> IntegrityError:
    found = sorted(proof.report.findings, key=lambda each: each.severity != "tampering")
    return IntegrityError(
        f"there is no official copy of {title_number}:"
        f" {found[0].message if found else proof.words.meaning}",
        reason=found[0].slug if found else "not-as-logged",
        object_key=found[0].object_key if found else head_key(title_number),
    )
