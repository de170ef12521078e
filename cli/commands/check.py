"""``ledger check``: check a receipt and its entry offline."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.config import load_config
from cli.inputs import read_input
from cli.reports import EXIT_CODES, note_ambiguity
from cli.terminal.output import counted, not_checked_lines, print_json, report_lines, style
from cli.trust_copies import TrustOption, accept_copies
from cli.witnesses import WitnessOption, read_policy
from ledger import (
    Entry,
    Erased,
    Finding,
    IntegrityError,
    Keyring,
    LedgerError,
    MalformedError,
    Report,
    TrustError,
    check_entry,
)
from ledger.errors import NotProven, OriginNotPinned
from ledger.format.entry import MAX_BYTES
from ledger.format.report import finding_of, report_json
from ledger.offline import ENTRY, RECEIPT, Proven
from ledger.tlog import NoteKey, WitnessPolicy, parse_log_key
from ledger.tlog.policy import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

FORKS = (
    "whether others were shown the same log: no witness's word is asked for;"
    " an auditor who remembers checkpoints can tell"
)


def check(
    receipt: Annotated[str, typer.Argument(metavar="RECEIPT", help="The receipt; - is stdin.")],
    *,
    entry: Annotated[
        str,
        typer.Option("--entry", metavar="FILE", help="The entry, as 'ledger cat' writes it."),
    ],
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey",
            metavar="VKEY",
            help="The log's keys; default: those in your keyring.",
        ),
    ] = None,
    trust: TrustOption = None,
    origin: options.OriginOption = None,
    witness: WitnessOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> int:
    """Check offline what a receipt proves of an entry.

    Also checks the entry's own signature, for which your keyring needs the registrars' keys.

    If you pinned a trust file, pass them all with --trust: they say whose keys count, and up to
    where in the log.

    Exits with 0 if both hold, 20 if one does not, and 3 if your keyring has no registrar of the
    ledger, if the entry is without its text, if the receipt is not cosigned as --witness asks, or
    not signed with every algorithm that the log has a key of; by trust files also if a key that
    ended signed the entry or the receipt, and 'ledger prove' has to make a newer receipt.
    """
    if receipt == entry == "-":
        raise typer.BadParameter("only one of RECEIPT and --entry can be stdin")
    if vkey and trust:
        raise typer.BadParameter("--trust says what the log's keys are, so --vkey can't be used")
    config = load_config()
    keyring = config.keyring()
    known = config.origin if origin is None else origin
    if vkey:
        keys = [parse_log_key(each) for each in " ".join(vkey).split()]
        keyring = _with_only_log_keys(keyring, keys)
        known = keys[0].name if known is None else known
    policy = read_policy(witness, keyring) if witness is not None else None
    # One byte more than either can have shows that a file is too large.
    files = read_input(receipt, MAX_BYTES + 1), read_input(entry, MAX_BYTES + 1)
    if trust:
        keyring = accept_copies(keyring, trust, known or _claimed_origin(files[1]))
    proven: Proven | None = None
    try:
        witnesses = policy.witnesses if policy else ()
        proven = check_entry(*files, keyring=keyring, origin=known, witnesses=witnesses)
        report = _judge(proven, policy)
    except OriginNotPinned:
        raise  # nothing was checked
    except (IntegrityError, TrustError) as error:
        report = Report(known or "", findings=(_refusal(error),))
    report = note_ambiguity(report, keyring, known)
    if as_json:
        print_json(report_json(report) | _facts(proven))
    elif report.findings or not quiet:
        for line in _lines(report, proven, verbose=verbose):
            typer.echo(line)
    return EXIT_CODES[report.outcome]


def _claimed_origin(entry: bytes) -> str:
    """Return which ledger an entry says it is of, or "": checking it says what is wrong."""
    try:
        return Entry.unverified(entry).ledger
    except MalformedError:
        return ""


def _refusal(error: LedgerError) -> Finding:
    """Return the finding of what does not hold, or is not shown; then with what would show it."""
    found = finding_of(error, RECEIPT)
    if isinstance(error, NotProven) and error.hint:
        return replace(found, message=f"{found.message} ({error.hint})")
    return found


def _with_only_log_keys(keyring: Keyring, keys: list[NoteKey]) -> Keyring:
    """Return the keyring with these as the only keys of their log."""
    logs = {key.name for key in keys}
    kept = [each for each in keyring if keyring.counts(each) and each.role != "log"]
    kept += [each for each in keyring if each.role == "log" and each.origin not in logs]
    keyring = Keyring(kept, [root for root in keyring.roots if root.origin not in logs])
    for key in keys:
        keyring = keyring.trust(key.name, key.key, role="log")
    return keyring


def _judge(proven: Proven, policy: WitnessPolicy | None) -> Report:
    """Report on a receipt that holds: what it does not show, and what the policy lacks."""
    not_shown = [] if policy is not None and policy.quorum != NONE else [FORKS]
    unsigned = proven.unsigned()
    found = policy.judge(proven.signed, datetime.now(UTC), RECEIPT) if policy else None
    findings = [finding for finding in (unsigned, proven.doubt, found) if finding]
    if proven.entry.is_withheld:
        what = "its text is withheld: the signature and the receipt hold, but not what was said"
        findings.append(Finding("unchecked", Erased.slug, ENTRY, f"{ENTRY}: {what}"))
    return Report(
        proven.entry.ledger,
        0,
        int(not (unsigned or proven.doubt)),
        tuple(findings),
        tuple(not_shown),
    )


def _facts(proven: Proven | None) -> dict[str, Any]:
    if proven is None:
        return {}
    entry = proven.entry
    return {
        "title_number": entry.title_number,
        "version": entry.version,
        "address": entry.address,
        "leaf": proven.leaf,
        "size": proven.signed.checkpoint.size,
    }


def _lines(report: Report, proven: Proven | None, *, verbose: bool) -> Iterator[str]:
    if proven is None or report.findings:
        yield from report_lines(report, verbose=verbose)
        return
    entry, size = proven.entry, proven.signed.checkpoint.size
    verdict = style("verified", typer.colors.GREEN, bold=True)
    yield f"{verdict}: {entry.title_number} version {entry.version} is {entry.address}"
    yield f"leaf {proven.leaf:,} of the log of {entry.ledger}, at {counted(size, 'leaf')}"
    yield from not_checked_lines(report, verbose=verbose)
