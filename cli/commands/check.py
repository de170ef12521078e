"""``ledger check``: a receipt and its entry, offline."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.config import load_config
from cli.options import DebugOption, JsonOption, OriginOption, QuietOption
from cli.reports import EXIT_CODES, note_ambiguity
from cli.terminal.output import print_json, report_json, report_lines, style
from cli.terminal.text import printable
from cli.witnesses import WitnessOption, read_policy
from ledger import Finding, IntegrityError, Keyring, NotFoundError, Report, TrustError, check_entry
from ledger.errors import OriginNotPinned
from ledger.format.entry import MAX_BYTES
from ledger.offline import RECEIPT
from ledger.tlog import NoteKey
from ledger.tlog.policy import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.offline import Proven
    from ledger.tlog import WitnessPolicy

__all__ = ["check"]

FORKS = (
    "that the log is the same for everybody: no witness's word is asked for;"
    " an auditor who remembers checkpoints can tell"
)


def check(
    receipt: Annotated[str, typer.Argument(metavar="RECEIPT", help="A receipt; - is stdin.")],
    *,
    entry: Annotated[
        str,
        typer.Option("--entry", metavar="FILE", help="The entry, as 'ledger cat' writes it."),
    ],
    vkey: Annotated[
        str | None,
        typer.Option("--vkey", metavar="VKEY", help="The log's key; else your keyring's count."),
    ] = None,
    origin: OriginOption = None,
    witness: WitnessOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Check a receipt offline: that the log has this entry.

    The entry's own signature is checked, too, where your keyring has the registrars' keys.

    Exits with 0 if it holds, 20 if not, 3 if it is not cosigned as --witness asks.
    """
    if receipt == entry == "-":
        raise typer.BadParameter("only one of RECEIPT and --entry is stdin")
    config = load_config()
    policy = read_policy(witness) if witness is not None else None
    keyring = config.keyring()
    known = config.origin if origin is None else origin
    if vkey is not None:
        key = NoteKey.from_vkey(vkey.strip())
        keyring = _with_only_log_key(keyring, key)
        known = key.name if known is None else known
    files = _read(receipt), _read(entry)
    proven: Proven | None = None
    try:
        witnesses = policy.witnesses if policy else ()
        proven = check_entry(*files, keyring=keyring, origin=known, witnesses=witnesses)
        report = _judge(proven, policy)
    except OriginNotPinned:
        raise  # nothing was checked
    except (IntegrityError, TrustError) as error:
        finding = Finding("tampering", error.reason, error.object_key or RECEIPT, str(error))
        report = Report(known or "", findings=(finding,))
    report = note_ambiguity(report, keyring, known)
    if as_json:
        print_json(report_json(report) | _facts(proven))
    elif report.findings or not quiet:
        for line in _lines(report, proven):
            typer.echo(line)
    return EXIT_CODES[report.outcome]


def _read(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(file).open("rb") as source:
            return source.read(MAX_BYTES + 1)  # one byte more than could be right
    except OSError as error:
        raise NotFoundError(f"cannot read {file}: {error.strerror}") from error


def _with_only_log_key(keyring: Keyring, log: NoteKey) -> Keyring:
    """A keyring in which this is the log's one key."""
    others = (t for t in keyring if (t.origin, t.role) != (log.name, "log"))
    return Keyring(others).trust(log.name, log.key, role="log")


def _judge(proven: Proven, policy: WitnessPolicy | None) -> Report:
    """What was shown of a receipt that holds, and what was asked for and was not."""
    not_shown = []
    if not proven.is_signed:
        origin = proven.entry.ledger
        not_shown.append(f"whose entry it is: your keyring has no registrar of {origin}")
    if policy is None or policy.quorum == NONE:
        not_shown.append(FORKS)
    found = policy.judge(proven.signed, datetime.now(UTC), RECEIPT) if policy else None
    findings = (found,) if found else ()
    return Report(proven.entry.ledger, 0, 1, findings, tuple(not_shown))


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


def _lines(report: Report, proven: Proven | None) -> Iterator[str]:
    if proven is None or report.findings:
        yield from report_lines(report)
        return
    entry, size = proven.entry, proven.signed.checkpoint.size
    verdict = style("verified", typer.colors.GREEN, bold=True)
    yield f"{verdict}: {entry.title_number} version {entry.version} is {entry.address}"
    yield f"leaf {proven.leaf:,} of the log of {entry.ledger}, at {size:,} leaves"
    for item in report.not_shown:
        yield f"not shown: {printable(item)}"
