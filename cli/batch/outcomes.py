"""Show what became of each line of a batch, the progress, and a summary."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.terminal.output import print_json
from cli.terminal.progress import Countdown
from cli.terminal.text import hush, printable
from ledger import Draft, LedgerError, StoreError, TrustError
from ledger.errors import Skipped

if TYPE_CHECKING:
    from cli.batch.records import Place
    from ledger.titles.batch import Outcome
    from ledger.titles.draft import Appended

HOPELESS = 100
"""Give up after this many failures in a row that are due to the store or the key."""


@dataclass(frozen=True)
class Shown:
    """How to show the outcomes."""

    as_json: bool
    quiet: bool
    dry_run: bool = False
    skips: bool = False
    """Versions that say nothing new are left out."""


class Tally:
    """Shows the outcomes of the lines and counts them."""

    def __init__(self, total: int, shown: Shown) -> None:
        self._total = total
        self._shown = shown
        self._meter = Countdown(total, "lines", quiet=shown.quiet)
        self._appended = self._new = self._unchanged = self._repeated = self._left_out = (
            self._failed
        ) = 0
        self._first_of: dict[str, Place] = {}  # the line that failed, by title
        self._in_a_row = 0
        self.gave_up = False
        """Whether so many lines in a row failed that the rest would as well."""
        self.code = 0
        """The exit code of the first failure."""

    @property
    def missing(self) -> int:
        """How many lines have no outcome."""
        done = self._appended + self._repeated + self._left_out + self._failed
        return self._total - done

    def add(self, place: Place, outcome: Outcome) -> None:
        """Count the outcome of a line and show it."""
        if outcome.error is None:
            self._add_success(place, outcome.appended)
        else:
            self._add_failure(place, outcome.draft, outcome.error)
        self._meter.draw(self._total - self.missing)

    def _add_success(self, place: Place, appended: Appended) -> None:
        entry, repeated, unchanged = appended
        self._in_a_row = 0
        left_out = unchanged and self._shown.skips
        self._repeated += repeated
        self._left_out += left_out
        self._appended += not (repeated or left_out)
        self._new += entry.version == 1 and not (repeated or left_out)
        self._unchanged += unchanged and not left_out
        if self._shown.as_json:
            facts = {"version": entry.version, "address": entry.address}
            facts |= {"repeated": repeated, "unchanged": unchanged}
            self._print(_json_of(place) | {"title_number": entry.title_number} | facts)
        elif not self._shown.quiet:
            self._print(said_of(appended, skips=self._shown.skips))

    def _add_failure(self, place: Place, draft: Draft, error: LedgerError) -> None:
        self._failed += 1
        self._in_a_row += isinstance(error, StoreError | TrustError)
        self.gave_up = self.gave_up or self._in_a_row >= HOPELESS
        self.code = self.code or error.exit_code
        first = self._first_of.setdefault(draft.title_number, place)
        message = str(error)
        if isinstance(error, Skipped):
            message = f"not appended to {draft.title_number}, because {first} failed"
        self._meter.clear()
        complain(place, message, "" if isinstance(error, Skipped) else error.hint)
        if self._shown.as_json:
            facts = {"error": error.slug, "message": message}
            self._print(_json_of(place) | {"title_number": draft.title_number} | facts)

    def _print(self, what: dict[str, Any] | str) -> None:
        if sys.stdout.isatty():
            self._meter.clear()
        try:
            if isinstance(what, str):
                sys.stdout.write(what + "\n")
            else:
                print_json(what)
            sys.stdout.flush()  # what it names is durable, so a reader may act on it at once
        except BrokenPipeError:  # nobody reads on, but the lines are still appended
            hush()

    def close(self) -> None:
        """Print the summary."""
        self._meter.clear()
        if self.gave_up:
            _say(f"error: given up after {HOPELESS} failures in a row")
        if not self._shown.quiet or self.missing:
            parts = [f"{self._appended:,} appended", f"{self._repeated:,} were there already"]
            if self._shown.skips and self._appended:
                changed = self._appended - self._new
                parts[0] += f" ({self._new:,} new, {changed:,} changed)"
            if self._unchanged:
                parts[0] += f" ({self._unchanged:,} of them unchanged)"
            parts += [f"{self._left_out:,} unchanged, left out"] if self._left_out else []
            parts += [f"{self._failed:,} failed"] if self._failed else []
            parts += [f"{self.missing:,} not tried"] if self.missing else []
            _say(", ".join(parts))
        if self._failed or self.missing:
            _say("hint: append the same file again; what is there already stays as it is")


def said_of(appended: Appended, *, skips: bool) -> str:
    """Say what became of an append; ``skips``: what says nothing new was left out."""
    entry = appended.entry
    verb = "is"
    if appended.repeated:
        verb = "was there already:"
    elif appended.unchanged and skips:
        verb = "says it already, so nothing was appended:"
    return f"{entry.title_number} version {entry.version} {verb} {entry.address}"


def _json_of(place: Place) -> dict[str, Any]:
    return {"line": place.line} | ({"item": place.item} if place.item else {})


def complain(place: Place, message: str, hint: str = "") -> None:
    """Print to stderr what is wrong with a line."""
    _say(f"error: {place}: {message}")
    if hint:
        _say(f"hint: {hint}")


def _say(text: str) -> None:
    with suppress(OSError):  # nobody reads on; the exit code says it too
        sys.stderr.write(f"ledger: {printable(text)}\n")
