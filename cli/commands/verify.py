"""``ledger verify``: walk the chains and check everything in them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.config import load_config
from cli.inputs import cannot_read, sha256_of
from cli.reports import (
    Evidence,
    keys_of,
    note,
    note_ambiguity,
    print_report,
    report_of,
    run_verification,
    was_interrupted,
)
from cli.sampling import Sample, draw, read_titles
from cli.session import open_ledger
from cli.terminal.output import working
from cli.terminal.progress import heeding
from cli.trust_copies import TrustOption, accept_bundle
from cli.witnesses import WitnessOption, address_by, judge_published, read_policy
from cli.workers import workers_for, workers_for_bundle
from ledger import Ledger, Report
from ledger.format.layout import is_address
from ledger.format.report import Tally
from ledger.local.files import reading
from ledger.verification.walk import FROM_A_LISTING

if TYPE_CHECKING:
    from ledger.tlog import WitnessPolicy

AS_LOGGED = "whether the titles are as the log has them: only its checkpoint was looked at"


@dataclass(frozen=True)
class Asked:
    """The options of the command line."""

    titles: list[str]
    expect: str | None
    since: str | None
    origin: str | None
    state: Path | None
    sample: int | None
    seed: str | None
    jobs: int | None
    dask: str | None
    store: str | None
    connections: int | None
    silent: bool
    witness: WitnessPolicy | None
    trust: list[Path] | None


def verify(
    title_numbers: options.TitlesArgument = None,
    *,
    expect: options.ExpectOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="REV",
            help="Trust what is below this version, verified before; or a checkpoint's FILE.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            help="Remember what verified here, and read only what is new.",
        ),
    ] = None,
    titles_from: Annotated[
        str | None,
        typer.Option(
            "--titles-from",
            metavar="FILE",
            help="Read the titles from FILE, one per line; - is stdin.",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, help="Verify N titles, drawn at random."),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option("--seed", metavar="TEXT", help="Draw the sample that belongs to TEXT."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Verify a bundle offline.")
    ] = None,
    trust: TrustOption = None,
    report_file: options.ReportOption = None,
    origin: options.OriginOption = None,
    witness: WitnessOption = None,
    jobs: options.JobsOption = None,
    dask: options.DaskOption = None,
    connections: options.ConnectionsOption = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> int:
    """Verify titles, or all of them, from head to root.

    Checks every address, signature and link.

    Exits with 0 if everything was checked and is sound, 20 if something is not, and 3 if something
    could not be checked.
    """
    chosen = title_numbers or []
    asked = Asked(
        titles=chosen if titles_from is None else read_titles(titles_from),
        expect=expect,
        since=since,
        origin=origin,
        state=state,
        sample=sample,
        seed=seed,
        jobs=jobs,
        dask=dask,
        store=store,
        connections=connections,
        silent=quiet or as_json,
        witness=read_policy(witness) if witness is not None else None,
        trust=trust,
    )
    if titles_from is not None and chosen:
        raise typer.BadParameter("--titles-from can't be used with TITLE")
    if report_file is not None and report_file == state:
        raise typer.BadParameter("--report and --state must be different files")
    (_check_bundle if bundle is not None else _check_titles)(asked)
    with Evidence(report_file) as evidence:
        if bundle is not None:
            report = report_of(lambda: _verify_bundle(bundle, asked, evidence))
        else:
            report = report_of(lambda: _verify_store(asked, evidence))
        evidence.write(report, interrupted=was_interrupted(report))
    return print_report(
        report, as_json=as_json, quiet=quiet, verbose=verbose, new=evidence.is_of_news
    )


def _check_titles(asked: Asked) -> None:
    if asked.trust:
        raise typer.BadParameter("--trust needs --bundle: a store has its own trust files")
    pinned = asked.expect is not None or asked.since is not None
    if pinned and len(asked.titles) != 1:
        raise typer.BadParameter("--expect and --since need exactly one TITLE")
    if pinned and asked.state is not None:
        raise typer.BadParameter(
            "--state can't be used with --expect or --since, as it has pins of its own"
        )
    if asked.sample is not None and asked.titles:
        raise typer.BadParameter("--sample draws from all titles, so it can't be used with TITLE")
    if asked.dask is not None and len(asked.titles) == 1:
        raise typer.BadParameter("--dask spreads titles, so it can't be used with a single TITLE")
    if asked.seed is not None and asked.sample is None:
        raise typer.BadParameter("--seed needs --sample")


def _check_bundle(asked: Asked) -> None:
    others = (
        *(asked.since, asked.store, asked.state, asked.sample, asked.seed),
        *(asked.witness, asked.dask),
    )
    if asked.titles or any(other is not None for other in others):
        raise typer.BadParameter(
            "--bundle verifies a whole file, so it can't be used with TITLE, --since, --state,"
            " --sample, --witness, --dask or --store"
        )


def _verify_store(asked: Asked, evidence: Evidence) -> Report:
    with ExitStack() as stack:
        ledger = stack.enter_context(
            open_ledger(asked.store, origin=asked.origin, connections=asked.connections)
        )
        evidence.note_ledger(ledger)
        judged = _judge_log(ledger, asked.witness)
        evidence.note(expect=asked.expect, since=asked.since)
        if len(asked.titles) == 1 and asked.state is None:
            evidence.note(titles_chosen=asked.titles)
            report = _verify_title(ledger, asked)
        else:
            report = _verify_many(ledger, asked, evidence)
        if was_interrupted(report):
            stack.pop_all()  # closing would wait for reads in progress
        report = report if judged is None else Report.merge(report.origin, [report, judged])
        known = asked.origin or load_config().origin_of(ledger.store)
        return note_ambiguity(report, ledger.keyring, known)


def _judge_log(ledger: Ledger, policy: WitnessPolicy | None) -> Report | None:
    if policy is None:
        return None
    judged = judge_published(ledger, policy, datetime.now(UTC))
    return note(judged, AS_LOGGED)


def _verify_title(ledger: Ledger, asked: Asked) -> Report:
    (title_number,) = asked.titles
    since = asked.since
    if since is not None and not is_address(since):
        named = Path(since)
        since = (
            address_by(ledger, title_number, named)
            if named.is_file()
            else ledger.entry(title_number, since).address
        )
    try:
        with working("verifying", quiet=asked.silent):
            return heeding(
                lambda: ledger.verify(
                    title_number, expect=asked.expect, since=since, jobs=asked.jobs
                )
            )
    except KeyboardInterrupt:
        return Tally(ledger.origin).report(interrupted=True)


def _verify_many(ledger: Ledger, asked: Asked, evidence: Evidence) -> Report:
    sample = None
    titles: list[str] | None = asked.titles or None
    if asked.sample is not None:
        size = asked.sample
        sample = heeding(lambda: draw(ledger.titles(), size, asked.seed))
        titles = sample.titles
    with workers_for(ledger, titles, asked.jobs, asked.dask) as (executor, jobs):
        verification = ledger.verification(
            titles,
            listed=sample is not None,
            state=asked.state,
            jobs=jobs,
            executor=executor,
        )
        report = run_verification(ledger, verification, titles, silent=asked.silent)
    evidence.note(titles_chosen=titles, sample=_facts_of(sample), state=verification.facts())
    return report if sample is None else note(report, _note_of(sample))


def _facts_of(sample: Sample | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    return {"drawn": len(sample.titles), "of": sample.total, "seed": sample.seed}


def _note_of(sample: Sample) -> str:
    if len(sample.titles) == sample.total:
        return FROM_A_LISTING
    return (
        f"the titles that were not drawn: {len(sample.titles):,} of {sample.total:,} titles that"
        f" the store lists were, with the seed {sample.seed}; nothing is known of the others"
    )


def _verify_bundle(bundle: Path, asked: Asked, evidence: Evidence) -> Report:
    from ledger import verify_bundle  # noqa: PLC0415 -- slow to load

    config = load_config()
    keyring = config.keyring()
    known = config.origin if asked.origin is None else asked.origin
    try:
        with (
            reading(bundle) as source,
            working("verifying", quiet=asked.silent),
            workers_for_bundle(bundle, asked.jobs) as workers,
        ):
            keyring = accept_bundle(keyring, asked.trust, source)
            report = heeding(
                lambda: verify_bundle(
                    source,
                    keyring=keyring,
                    origin=known,
                    expect=asked.expect,
                    **workers._asdict(),
                )
            )
            evidence.note(bundle={"file": str(bundle), "sha256": sha256_of(source)})
    except OSError as error:
        raise cannot_read(bundle, error) from error
    except KeyboardInterrupt:
        report = Tally(known or "").report(interrupted=True)
    evidence.note(expect=asked.expect, keys=keys_of(keyring, report.origin))
    return note_ambiguity(report, keyring, known)
