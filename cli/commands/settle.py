"""``ledger settle``: say what becomes of entries that no longer stand because of a key."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli import options
from cli.config import load_config
from cli.edits import apply_settings
from cli.reports import EXIT_CODES
from cli.session import in_steps, open_ledger
from cli.terminal.output import counted, counting, finding_lines, print_json, signer_name
from cli.terminal.text import complain, printable
from cli.workers import workers_for
from ledger import (
    Appended,
    Fallen,
    Keyring,
    Ledger,
    LedgerError,
    OutcomeUnknown,
    Report,
    StoreError,
)
from ledger.format.entry import entry_json
from ledger.format.layout import check_title_number
from ledger.format.report import finding_json
from ledger.format.standing import stand_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNSETTLED = 3
ALL = "all"
VERSION = re.compile(r"[1-9][0-9]{0,8}")

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEYID", help="The id of a registrar's key, or its first digits.")
]
ConfirmOption = Annotated[
    list[str] | None,
    typer.Option(
        "--confirm",
        metavar="TITLE:VERSION|all",
        help="It is honest work: let it stand. 'all': all that no other answer names.",
    ),
]
VoidOption = Annotated[
    list[str] | None,
    typer.Option(
        "--void",
        metavar="TITLE:VERSION|all",
        help="It never was: pass over it. 'all': all that no other answer names.",
    ),
]


class _Shown(NamedTuple):
    """How to print, and for which key."""

    key_id: str
    keyring: Keyring
    as_json: bool
    quiet: bool


class _Answers(NamedTuple):
    """What the command line says of entries, by title and version: whether each is confirmed."""

    named: dict[tuple[str, int], bool]
    rest: bool | None
    """What becomes of all others; None: nothing."""


def settle(
    key_id: KeyArgument,
    *,
    confirm: ConfirmOption = None,
    void: VoidOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=TEXT|NAME:=JSON",
            help="Change a member of the newest document that stands; for one title.",
        ),
    ] = None,
    reference: Annotated[
        str, typer.Option("--reference", metavar="TEXT", help="The number of the case.")
    ] = "",
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="Why.")] = "",
    author: Annotated[
        str | None,
        typer.Option("--author", metavar="TEXT", help="Who decided it (LEDGER_AUTHOR)."),
    ] = None,
    lost: Annotated[
        bool,
        typer.Option("--lost", help="Go on if the newest text is gone, and there is no copy."),
    ] = False,
    clamp_time: options.ClampOption = False,
    store: options.StoreOption = None,
    key: options.KeyOption = None,
    connections: options.ConnectionsOption = None,
    jobs: options.JobsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Settle what no longer stands because of a key.

    Without an answer, verifies all titles, and lists what the key signed after its end in the log,
    or without the right to erase, and what only such an entry had confirmed or voided. With
    answers, also appends one entry to each title: it confirms or voids the versions, and restates
    the newest document that stands.

    Exits with 3 while something is left. Repeating the command is safe.
    """
    answers = _read_answers(confirm or [], void or [])
    signs = bool(answers.named) or answers.rest is not None
    _check_options(answers, settings, others=bool(reference or message or author or lost))
    with open_ledger(
        store, key=key, sign=signs, connections=connections, asks_schema=False
    ) as ledger:
        shown = _Shown(key_id, ledger.keyring, as_json, quiet)
        look = partial(_find, ledger, key_id, jobs=jobs, quiet=quiet or as_json)
        found, report = look(_titles_of(answers))
        if answers.rest is not None or not signs:
            _print_list(found, report, shown)
        code = EXIT_CODES[report.outcome]
        if signs:
            append = partial(
                ledger.settle,
                reference=reference,
                message=message,
                author=load_config().author(author),
                change=partial(apply_settings, settings=settings) if settings else None,
                lost=lost,
                clamp_time=clamp_time,
            )
            asked = _by_title(answers, found)
            code = _append_all(append, asked, shown) or code
            found, report = look(sorted(asked.keys() | {each.entry.title_number for each in found}))
            _print_left(found, report, shown)
    return code or EXIT_CODES[report.outcome] or (UNSETTLED if found else 0)


def _check_options(answers: _Answers, settings: list[str] | None, *, others: bool) -> None:
    if answers.rest is None and not answers.named and (settings or others):
        raise typer.BadParameter("give an answer: --confirm or --void, TITLE:VERSION or all")
    if settings and (answers.rest is not None or len(_titles_of(answers) or []) != 1):
        raise typer.BadParameter("--set is for the answers of one title")


def _append_all(
    append: Callable[..., Appended], asked: dict[str, dict[int, bool]], shown: _Shown
) -> int:
    """Settle each title, and return the exit code of the first that could not be settled."""
    code = 0
    with in_steps():
        for title_number, answers in asked.items():
            try:
                done = append(
                    title_number,
                    confirms=[version for version, stands in answers.items() if stands],
                    voids=[version for version, stands in answers.items() if not stands],
                )
            except (OutcomeUnknown, StoreError):
                raise
            except LedgerError as error:
                code = code or error.exit_code
                complain(f"{title_number} is not settled: {error}", error.hint)
            else:
                _print_done(done, shown)
    return code


def _read_answers(confirm: list[str], void: list[str]) -> _Answers:
    named: dict[tuple[str, int], bool] = {}
    rest: bool | None = None
    for texts, stands in ((confirm, True), (void, False)):
        for text in texts:
            if text == ALL:
                if rest is not None and rest != stands:
                    raise typer.BadParameter("--confirm all and --void all can't be used together")
                rest = stands
                continue
            title_number, _, version = text.partition(":")
            if not VERSION.fullmatch(version):
                raise typer.BadParameter(f"{text!a:.80}: expected TITLE:VERSION, such as TN1:5")
            named_as = (check_title_number(title_number), int(version))
            if named.setdefault(named_as, stands) != stands:
                raise typer.BadParameter(f"{text} can't be both confirmed and voided")
    return _Answers(named, rest)


def _titles_of(answers: _Answers) -> list[str] | None:
    """Return the titles to look at; None: all."""
    if answers.rest is not None or not answers.named:
        return None
    return sorted({title_number for title_number, _ in answers.named})


def _find(
    ledger: Ledger, key_id: str, titles: list[str] | None, *, jobs: int | None, quiet: bool
) -> tuple[list[Fallen], Report]:
    with (
        workers_for(ledger, titles, jobs) as workers,
        counting("titles looked at", quiet=quiet) as each,
    ):
        return ledger.fallen(key_id, titles, each=each, **workers._asdict())


def _by_title(answers: _Answers, found: list[Fallen]) -> dict[str, dict[int, bool]]:
    """Map titles to the answers for their versions; ``all`` is what no other in the list holds.

    What a fallen entry had settled follows that one if it is confirmed, and is asked about again if
    it is voided.
    """
    named = dict(answers.named)
    if answers.rest is not None:
        listed = {(each.entry.title_number, each.entry.version) for each in found}
        for title_number, version in sorted(listed - _held(found, listed)):
            named.setdefault((title_number, version), answers.rest)
    asked: dict[str, dict[int, bool]] = {}
    for (title_number, version), stands in sorted(named.items()):
        asked.setdefault(title_number, {})[version] = stands
    return asked


def _held(found: list[Fallen], listed: set[tuple[str, int]]) -> set[tuple[str, int]]:
    return {
        (each.entry.title_number, each.entry.version)
        for each in found
        if (each.entry.title_number, each.held_by) in listed
    }


def _print_list(found: list[Fallen], report: Report, shown: _Shown) -> None:
    """Print what is to be settled, and what may have kept entries from being seen."""
    for each in found:
        if shown.as_json:
            facts = {"standing": stand_json(each.stand), "held_by": _held_json(each)}
            print_json(entry_json(each.entry, shown.keyring) | facts)
        elif not shown.quiet:
            for line in _lines(each, shown.keyring):
                typer.echo(line)
    _print_findings(report, shown)
    if not shown.as_json and not shown.quiet:
        titles = counted(len({each.entry.title_number for each in found}), "title")
        if found:
            typer.echo(f"not settled: {_counted(found)} of {titles}")
            typer.echo(f"settle: ledger settle {shown.key_id} --confirm TITLE:VERSION --void all")
        else:
            typer.echo("nothing to settle: all that this key signed counts, or is settled")


def _print_left(found: list[Fallen], report: Report, shown: _Shown) -> None:
    """Print what the answers have left."""
    _print_findings(report, shown)
    if found and not shown.as_json and not shown.quiet:
        typer.echo(f"left: {_counted(found)}; see: ledger settle {shown.key_id}")


def _print_findings(report: Report, shown: _Shown) -> None:
    if shown.as_json:
        for finding in report.findings:
            print_json({"finding": finding_json(finding)})
    elif not (shown.quiet and report):
        for line in finding_lines(report.findings):
            typer.echo(line)


def _counted(found: list[Fallen]) -> str:
    return counted(len(found), "entry")


def _held_json(fallen: Fallen) -> dict[str, Any] | None:
    if not fallen.held_by:
        return None
    return {"version": fallen.held_by, "confirmed": fallen.was_confirmed}


def _lines(fallen: Fallen, keyring: Keyring) -> Iterator[str]:
    entry = fallen.entry
    yield (
        f"{entry.title_number}:{entry.version} {entry.recorded_at[:19]}Z"
        f" {printable(signer_name(entry, keyring))} {fallen.stand.reason}"
    )
    facts = {
        "author": entry.author,
        "reference": entry.reference,
        "message": entry.message.split("\n")[0],
        "erases": ", ".join(f"version {version}" for version in entry.erases),
    }
    for name, value in facts.items():
        if value:
            yield f"    {name}: {printable(value)}"
    if fallen.held_by:
        was = "confirmed" if fallen.was_confirmed else "voided"
        yield f"    {was} by version {fallen.held_by}, which does not stand any more"


def _print_done(done: Appended, shown: _Shown) -> None:
    entry = done.entry
    if shown.as_json:
        print_json(entry_json(entry, shown.keyring) | {"repeated": done.repeated})
    elif not shown.quiet:
        lists = (("confirms", entry.confirms), ("voids", entry.voids))
        said = [f"{what} {', '.join(map(str, versions))}" for what, versions in lists if versions]
        already = " (it was there already)" if done.repeated else ""
        typer.echo(
            f"{entry.title_number} version {entry.version} is {entry.address}:"
            f" {'; '.join(said)}{already}"
        )
