"""``ledger audit``: compare every chain with the log, and the log with what was remembered."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.config import load_config
from cli.inputs import cannot_read, sha256_of
from cli.keys import load_witness
from cli.reports import (
    Evidence,
    keys_of,
    note_ambiguity,
    print_report,
    report_of,
    run_verification,
    was_interrupted,
)
from cli.session import open_ledger
from cli.terminal.output import counted, working
from cli.terminal.progress import heeding
from cli.trust_copies import TrustOption, accept_bundle
from cli.witnesses import WitnessOption, read_policy
from cli.workers import workers_for, workers_for_bundle
from ledger import Log, Report, audit_bundle
from ledger.format.report import Tally
from ledger.local.files import NewFile, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.tlog import WitnessPolicy
    from ledger.verification.run import Verification


@dataclass(frozen=True)
class Asked:
    """The options of the command line."""

    state: Path | None
    max_delay: timedelta
    policy: WitnessPolicy | None
    origin: str | None
    loose: int
    jobs: int | None
    dask: str | None
    connections: int | None
    store: str | None
    silent: bool
    trust: list[Path] | None


def audit(
    *,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            help="Remember the log and the heads here, and read only what is new.",
        ),
    ] = None,
    max_delay: Annotated[
        str,
        typer.Option(
            "--max-delay",
            metavar="TIME",
            help="How long an entry may wait to be logged, such as 1d or 6h.",
        ),
    ] = "1d",
    witness: WitnessOption = None,
    cosign: Annotated[
        Path | None,
        typer.Option(
            "--cosign",
            metavar="FILE",
            help="If all holds, write the cosigned checkpoint to a new file.",
        ),
    ] = None,
    loose: Annotated[
        int,
        typer.Option(
            "--loose",
            metavar="N",
            min=0,
            help="Read the entries of N titles, drawn at random, from their own objects as well.",
        ),
    ] = 0,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="FILE", help="Audit a bundle offline, by the log that it carries."
        ),
    ] = None,
    key: options.KeyOption = None,
    trust: TrustOption = None,
    report_file: options.ReportOption = None,
    origin: options.OriginOption = None,
    jobs: options.JobsOption = None,
    dask: options.DaskOption = None,
    connections: options.ConnectionsOption = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> int:
    """Verify all titles, and compare them with the log.

    Verifies every title. Every leaf must be in its title's chain, and every entry that is not in
    the log must be waiting for it, no longer than --max-delay. --cosign signs as a witness, with
    witness-key.pem or --key.

    Exits as 'ledger verify' does: with 0 if everything was checked and is sound, 20 if something is
    not, and 3 if something could not be checked.
    """
    files = [each for each in (state, report_file, cosign) if each is not None]
    if len(set(files)) < len(files):
        raise typer.BadParameter("--state, --report and --cosign must be different files")
    if cosign is not None and state is None:
        raise typer.BadParameter(
            "--cosign needs --state FILE, as a witness vouches for what it saw before"
        )
    if key is not None and cosign is None:
        raise typer.BadParameter("--key needs --cosign")
    if bundle is not None and any(
        each is not None for each in (state, witness, cosign, store, dask)
    ):
        raise typer.BadParameter(
            "--bundle audits a whole file, so it can't be used with --state, --witness, --cosign,"
            " --dask or --store"
        )
    if trust and bundle is None:
        raise typer.BadParameter("--trust needs --bundle: a store has its own trust files")
    asked = Asked(
        state=state,
        max_delay=timedelta(seconds=options.parse_duration(max_delay)),
        policy=read_policy(witness) if witness is not None else None,
        origin=origin,
        loose=loose,
        jobs=jobs,
        dask=dask,
        connections=connections,
        store=store,
        silent=quiet or as_json,
        trust=trust,
    )
    with Evidence(report_file) as evidence, _signing(cosign, key) as sign:
        if bundle is not None:
            report = report_of(lambda: _audit_bundle(bundle, asked, evidence))
        else:
            report = report_of(lambda: _audit(asked, evidence, sign))
        evidence.write(report, interrupted=was_interrupted(report))
    facts = evidence.only("log")
    return print_report(
        report,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
        new=evidence.is_of_news,
        facts=facts,
        more=_gone_by(**facts.get("log", {})),
    )


def _gone_by(checkpoint: str | None = None, **_others: object) -> str:
    if checkpoint is None:
        return ""
    _origin, size, root, *_rest = checkpoint.split("\n")
    return f"as the log has it: {counted(int(size), 'leaf')}, checkpoint {root}"


def _audit(asked: Asked, evidence: Evidence, sign: Callable[[Log, Verification], None]) -> Report:
    with ExitStack() as stack:
        ledger = stack.enter_context(
            open_ledger(asked.store, origin=asked.origin, connections=asked.connections)
        )
        evidence.note_ledger(ledger)
        log = Log(ledger)
        with workers_for(ledger, None, asked.jobs, asked.dask) as (executor, jobs):
            audit = log.audit(
                state=asked.state,
                max_delay=asked.max_delay,
                policy=asked.policy,
                loose=asked.loose,
                jobs=jobs,
                executor=executor,
            )
            report = run_verification(ledger, audit, None, silent=asked.silent)
        evidence.note(log=audit.log_facts(), state=audit.facts())
        if was_interrupted(report):
            stack.pop_all()  # closing could wait for the reads under way
        elif report:
            sign(log, audit)
        known = asked.origin or load_config().origin_of(ledger.store)
        return note_ambiguity(report, ledger.keyring, known)


def _audit_bundle(bundle: Path, asked: Asked, evidence: Evidence) -> Report:
    config = load_config()
    keyring = config.keyring()
    known = config.origin if asked.origin is None else asked.origin
    try:
        with (
            reading(bundle) as source,
            working("auditing", quiet=asked.silent),
            workers_for_bundle(bundle, asked.jobs) as workers,
        ):
            keyring = accept_bundle(keyring, asked.trust, source)
            report = heeding(
                lambda: audit_bundle(source, keyring=keyring, origin=known, **workers._asdict())
            )
            evidence.note(bundle={"file": str(bundle), "sha256": sha256_of(source)})
    except OSError as error:
        raise cannot_read(bundle, error) from error
    except KeyboardInterrupt:
        report = Tally(known or "").report(interrupted=True)
    evidence.note(keys=keys_of(keyring, report.origin))
    return note_ambiguity(report, keyring, known)


@contextmanager
def _signing(path: Path | None, key: str | None) -> Iterator[Callable[[Log, Verification], None]]:
    """Give a function that cosigns the checkpoint into a new file; checks at once that it can."""
    if path is None:
        yield lambda *_: None
        return
    cosigners = load_witness(load_config(), key)
    with NewFile(path) as file:

        def sign(log: Log, audit: Verification) -> None:
            facts = audit.log_facts() or {}
            file.write(log.cosign(facts["checkpoint"].encode(), cosigners))
            file.commit()

        yield sign
