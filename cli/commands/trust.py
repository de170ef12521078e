"""``ledger trust``: the trust files of a ledger, from proposal to pin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.config import load_config
from cli.keys import own_keys
from cli.reports import EXIT_CODES
from cli.terminal.output import counted, finding_lines, note, print_json
from cli.trust_files import (
    check_pin,
    describe,
    file_of,
    find_file,
    find_key_id,
    open_ceremony,
    open_place,
    read_holder,
    read_position,
    read_proposal,
    read_seen,
    read_trust_file,
    read_trust_key,
)
from cli.witnesses import WitnessOption, read_policy
from ledger import Finding, InvalidError, NotFoundError, Report, TrustError
from ledger.format.keyring import Keyring, Root
from ledger.format.report import finding_json
from ledger.format.signing import sign_with
from ledger.local.files import write_file
from ledger.sealing.ceremony import Ceremony, check_replacement
from ledger.titles.trust_files import read_trust, trust_objects
from ledger.tlog import open_checkpoint
from ledger.tlog.policy import NONE
from ledger.trust import HolderSignature, Revocation, TrustFile, TrustKey, assemble
from ledger.trust.changes import TrustChanges
from ledger.trust.explain import trust_json
from ledger.trust.file import Holder, log_keys_of
from ledger.trust.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.sealing.impact import Stopped

SHOWN = 20
"""How many entries that stop counting are named one by one."""

OutOption = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="The new file, for the holders.")
]
HolderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--holder", metavar="NAME=FILE", help="A holder, with the two public keys. Repeat it."
    ),
]
RegistrarOption = Annotated[
    list[str] | None,
    typer.Option(
        "--registrar",
        metavar="[NAME=]KEY",
        help="A registrar's public key: a file, or the id of a key in your keyring. Repeat it.",
    ),
]
EraserOption = Annotated[
    list[str] | None,
    typer.Option(
        "--eraser", metavar="[NAME=]KEY", help="A registrar who may order texts erased. Repeat it."
    ),
]
LogKeyOption = Annotated[
    list[str] | None,
    typer.Option("--log-key", metavar="FILE", help="Public keys of the log. Repeat it."),
]
ThresholdOption = Annotated[
    int | None,
    typer.Option("--threshold", metavar="N", min=1, help="How many holders decide."),
]
NextOption = Annotated[
    str | None,
    typer.Option("--next", metavar="DATE", help="When the file after this one is due."),
]
SeenOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--seen",
        metavar="CHECKPOINT",
        help="A holder's checkpoint, to prove it against. Repeat it.",
    ),
]
ProposalArgument = Annotated[
    Path, typer.Argument(metavar="NEXT", help="What 'ledger trust propose' wrote.")
]


# -- Propose ---------------------------------------------------------------------------------------


def init(
    *,
    output: OutOption,
    holder: HolderOption = None,
    registrar: RegistrarOption = None,
    eraser: EraserOption = None,
    log_key: LogKeyOption = None,
    threshold: ThresholdOption = None,
    due: NextOption = None,
    seen: SeenOption = None,
    continues: Annotated[
        bool,
        typer.Option(
            "--continues", help="The holders before are lost: go on without their signatures."
        ),
    ] = False,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Propose the first trust file of a ledger.

    Its holders have to sign it. It lists the registrars and log keys of your keyring, and those
    named here. The threshold is more than half of the holders if you name none.

    With --continues, proposes a file with other holders, without the signatures of those before. It
    counts only for those who pin it: 'ledger trust pin --replace'.
    """
    ceremony = open_ceremony(store)
    if ceremony.files and not continues:
        raise InvalidError(
            f"the trust files of {ceremony.origin} begin already, and your keyring has one",
            hint="'ledger trust propose' changes them",
        )
    if continues and not ceremony.files:
        raise InvalidError(
            "--continues goes on after trust files, and your keyring has pinned none",
            hint="ledger trust pin SHA256",
        )
    holders = tuple(map(read_holder, holder or ()))
    keys = _read_keys(ceremony, registrar, eraser, log_key)
    if not continues:
        listed = {each.key_id for each in keys}
        keys = [*keys, *(key for key in _known_keys(ceremony) if key.key_id not in listed)]
    kept = {each.name for each in holders}
    dropped = [
        each.name for file in ceremony.files[-1:] for each in file.holders if each.name not in kept
    ]
    threshold = threshold or len(holders) // 2 + 1
    changes = TrustChanges(holders, tuple(dropped), tuple(keys), (), (), threshold, due)
    _propose(ceremony, changes, output, seen, continues=continues, as_json=as_json, quiet=quiet)


def propose(
    *,
    output: OutOption,
    holder: HolderOption = None,
    drop_holder: Annotated[
        list[str] | None,
        typer.Option("--drop-holder", metavar="NAME", help="A holder who leaves. Repeat it."),
    ] = None,
    registrar: RegistrarOption = None,
    eraser: EraserOption = None,
    retire: Annotated[
        list[str] | None,
        typer.Option(
            "--retire",
            metavar="KEYID",
            help="A key that is listed no more; what it signed counts. Repeat it.",
        ),
    ] = None,
    log_key: LogKeyOption = None,
    revoke: Annotated[
        list[str] | None,
        typer.Option("--revoke", metavar="KEYID", help="A key that was stolen. Repeat it."),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            metavar="CHECKPOINT",
            help="The last good checkpoint, or its number of leaves: nothing after it counts.",
        ),
    ] = None,
    threshold: ThresholdOption = None,
    due: NextOption = None,
    seen: SeenOption = None,
    disown: Annotated[
        int | None,
        typer.Option(
            "--disown", metavar="N", help="Take the place of version N, which pins a forked log."
        ),
    ] = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Propose the next trust file of a ledger.

    Its holders have to sign it. It pins the published checkpoint, and has the proof that leads to
    it from the last pin. What is not named stays as it is.
    """
    if bool(revoke) != (after is not None):
        raise typer.BadParameter("--revoke and --after go together")
    ceremony = open_ceremony(store)
    if not ceremony.files:
        raise NotFoundError(
            f"your keyring has pinned no trust file of {ceremony.origin}",
            hint="'ledger trust init' proposes the first; 'ledger trust pin' pins one",
        )
    if disown is not None:
        ceremony.disown(disown)
    start = read_position(after, ceremony) if after is not None else 0
    files = ceremony.files
    changes = TrustChanges(
        holders=tuple(map(read_holder, holder or ())),
        dropped_holders=tuple(drop_holder or ()),
        keys=tuple(_read_keys(ceremony, registrar, eraser, log_key)),
        retired=tuple(find_key_id(files, digits) for digits in retire or ()),
        revoked=tuple(Revocation(find_key_id(files, digits), start) for digits in revoke or ()),
        threshold=threshold,
        next=due,
    )
    _propose(ceremony, changes, output, seen, continues=False, as_json=as_json, quiet=quiet)


def _read_keys(
    ceremony: Ceremony,
    registrar: list[str] | None,
    eraser: list[str] | None,
    log_key: list[str] | None,
) -> list[TrustKey]:
    known = _known_keys(ceremony)
    read = partial(read_trust_key, role="registrar", known=known)
    return [
        *chain.from_iterable(map(read, registrar or ())),
        *chain.from_iterable(map(partial(read, erase=True), eraser or ())),
        *(key for text in log_key or () for key in read_trust_key(text, "log")),
    ]


def _known_keys(ceremony: Ceremony) -> list[TrustKey]:
    """The registrars and log keys of the user's own keyring."""
    return [
        TrustKey(trusted.key, trusted.name, trusted.role)
        for trusted in load_config().keyring()
        if trusted.origin == ceremony.origin and trusted.role != "witness"
    ]


def _propose(
    ceremony: Ceremony,
    changes: TrustChanges,
    output: Path,
    seen: list[Path] | None,
    *,
    continues: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    log = ceremony.log
    opened = [read_seen(path, log.origin, log.log_keys) for path in seen or ()]
    proposal = ceremony.propose(changes, seen=opened, continues=continues)
    stopped = list(ceremony.stopped(proposal.file))
    write_file(output, proposal.encode())
    last = f"give {output} to its holders: ledger trust sign {output}"
    facts = {"file": str(output)} | _stopped_json(stopped)
    _print(proposal, facts, *_stopped_lines(stopped), last, as_json=as_json, quiet=quiet)


def _print(
    proposal: Proposal, facts: dict[str, Any], *lines: str, as_json: bool, quiet: bool
) -> None:
    """Print what a proposal changes, and what more there is to say of it."""
    before, file = proposal.before, proposal.file
    if as_json:
        print_json(trust_json(before, file) | facts)
    elif not quiet:
        for line in (*describe(before, file, continues=proposal.continues), *lines):
            typer.echo(line)


# -- Look and sign ---------------------------------------------------------------------------------


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A proposal, or a trust file.")],
    *,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="OLD", help="Your own copy of the trust file before it."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="STORE", help="Also tell which entries in this store stop counting."
        ),
    ] = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Say what a trust file changes.

    Says who gains, who loses, and from which position. Needs no ledger. With --store, reads the log
    and lists the entries that stop counting, and those of them that a later version confirms or
    voids.
    """
    proposal = _read_with_before(file, against)
    stopped = list(open_ceremony(store).stopped(proposal.file)) if store is not None else []
    facts = _stopped_json(stopped) if store else {}
    _print(proposal, facts, *_stopped_lines(stopped), as_json=as_json, quiet=quiet)


def _read_with_before(file: Path, against: Path | None) -> Proposal:
    """Read a proposal, or a trust file as one, and check what it is shown against."""
    found = read_trust_file(file)
    proposal = Proposal(found, (), b"") if isinstance(found, TrustFile) else found
    if against is None:
        return proposal
    old = file_of(read_trust_file(against))
    if proposal.file.previous != old.digest:
        raise TrustError(
            f"{file} follows the file {proposal.file.previous}, and {against} is {old.digest}",
            reason="trust-not-accepted",
        )
    return proposal if proposal.before else replace(proposal, before=(old,))


def sign(
    file: ProposalArgument,
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="Your private keys: a file, or a device's URI (LEDGER_HOLDER_KEY). Repeat it.",
        ),
    ] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            "--seen", metavar="CHECKPOINT", help="Your own checkpoint, of an audit that was clean."
        ),
    ] = None,
    witness: WitnessOption = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="STORE", help="A ledger whose log leads to your checkpoint."
        ),
    ] = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Sign a trust file as one of its holders, offline.

    Writes the signatures into NEXT. What the log has beyond the last pin you vouch for: so your own
    checkpoint has to reach as far (--seen), or the witnesses that you trust must have cosigned it
    (--witness).
    """
    proposal = read_proposal(file)
    config = load_config()
    _check_root(proposal, config.keyring())
    proposal.check()
    _check_log(proposal, seen, witness, store)
    named: list[str | None] = [*(key or [])] or [None]
    signers = [signer for each in named for signer in own_keys(config, each, "holder")]
    ids = {signer.public_key.key_id for signer in signers}
    name = _find_holder(proposal, ids)
    data = proposal.file.signed_bytes
    made = [HolderSignature(each.public_key.key_id, sign_with(each, data)) for each in signers]
    signed = replace(proposal, file=proposal.file.signed(made))
    write_file(file, signed.encode(), replace=True)
    last = f"signed by {name}: {file}"
    _print(signed, {"signed_by": name}, last, as_json=as_json, quiet=quiet)


def _check_root(proposal: Proposal, keyring: Keyring) -> None:
    """Check that a proposal follows what its holder has pinned, or say that nothing is."""
    file, before = proposal.file, proposal.before
    root = keyring.root(file.origin)
    if root is None:
        if before:
            note(
                f"your keyring has no trust file of {file.origin}: compare the sha256 of version"
                f" {before[-1].version} with your own copy: {before[-1].digest}"
            )
        return
    objects = {each.version: each.encode() for each in before}
    if file.version <= root.version or assemble(root, objects.get).newest != before[-1]:
        raise TrustError(
            f"version {file.version} does not follow the trust file that you have pinned:"
            f" version {root.version}, sha256 {root.digest}",
            reason="trust-not-accepted",
        )


def _check_log(
    proposal: Proposal, seen: Path | None, witness: Path | None, store: str | None
) -> None:
    """Check that the holder, or the holder's witnesses, saw the log that would be pinned."""
    if not proposal.pins_more:
        return
    files = (*proposal.before, proposal.file)
    if seen is not None:
        checkpoint = read_seen(seen, proposal.file.origin, log_keys_of(files))
        proof = None
        if store is not None and checkpoint.size > proposal.file.log.size:
            proof = open_ceremony(store).prove(proposal.file.log, checkpoint.size)
        proposal.check_seen(checkpoint, proof)
    if witness is not None:
        policy = read_policy(witness)
        if policy.quorum == NONE:
            raise InvalidError(f"{witness}: the policy asks for no witness")
        signed = open_checkpoint(
            proposal.checkpoint,
            origin=proposal.file.origin,
            log_keys=log_keys_of(files),
            witnesses=policy.witnesses,
            any_algorithm=True,
        )
        lacking = policy.judge(signed, datetime.now(UTC))
        if lacking:
            raise TrustError(f"not signed: {lacking.message}", reason="not-witnessed")
    if seen is None and witness is None:
        raise TrustError(
            "not signed: nothing shows that you have seen the log of"
            f" {counted(proposal.file.log.size, 'leaf')} that would be pinned",
            hint="if 'ledger audit' finds nothing: 'ledger checkpoint > FILE', and --seen FILE; or"
            " --witness POLICY",
            reason="trust-not-accepted",
        )


def _find_holder(proposal: Proposal, ids: set[str]) -> str:
    """Return the name of the holder whose keys these are."""
    holders: list[Holder] = [
        holder for each in (proposal.file, *proposal.before[-1:]) for holder in each.holders
    ]
    for holder in holders:
        if ids == {each.key_id for each in holder.keys}:
            return holder.name
    raise TrustError(
        f"not signed: these are not the keys of a holder of version {proposal.file.version}",
        hint="the holders: " + ", ".join(dict.fromkeys(holder.name for holder in holders)),
        reason="trust-not-accepted",
    )


# -- Publish and pin -------------------------------------------------------------------------------


def publish(
    files: Annotated[
        list[Path], typer.Argument(metavar="NEXT...", help="The proposal, signed; or copies of it.")
    ],
    *,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Publish a trust file that enough holders have signed.

    Checks all rules first. If it is stopped, run it again. Puts together the signatures of several
    copies.

    Exits with 20 if an entry came in meanwhile by a key that the file drops: it does not count, and
    is named.
    """
    first, *others = map(read_proposal, files)
    proposal = first.signed(others)
    done = open_ceremony(store).publish(proposal)
    file = done.file
    report = Report(file.origin, findings=done.findings)
    if as_json:
        findings = [finding_json(finding) for finding in done.findings]
        print_json(
            trust_json(proposal.before, file)
            | {"was_there": done.was_there, "replaced": bool(done.replaced), "findings": findings}
        )
        return EXIT_CODES[report.outcome]
    if not quiet:
        verb = "there already:" if done.was_there else "published"
        typer.echo(f"{verb} version {file.version} of the trust files of {file.origin}")
        typer.echo(f"sha256 {file.digest}")
        if done.replaced:
            typer.echo(f"it replaced {len(done.replaced):,} bytes that no reader accepts")
        for key_id in _newly_revoked(proposal):
            typer.echo(f"to settle what it signed after that: ledger settle {key_id}")
        if file.version == 1 or proposal.continues:
            again = " --replace" if proposal.continues else ""
            typer.echo(f"tell it to all readers: ledger trust pin{again} {file.digest}")
    for line in finding_lines(report.findings):
        typer.echo(line, err=True)
    return EXIT_CODES[report.outcome]


def _newly_revoked(proposal: Proposal) -> list[str]:
    """Return the ids of the registrars' keys that a file is the first to revoke."""
    before = {each.key_id for file in proposal.before for each in file.revoked}
    return [
        each.key_id
        for each in proposal.file.revoked
        if each.key_id not in before
        and any(
            key.role == "registrar" for file in proposal.before if (key := file.key(each.key_id))
        )
    ]


def pin(
    what: Annotated[
        str, typer.Argument(metavar="FILE|SHA256", help="A trust file, or its sha256.")
    ],
    *,
    swap: Annotated[
        bool, typer.Option("--replace", help="Take it in the place of the one that is pinned.")
    ] = False,
    disown: Annotated[
        list[int] | None,
        typer.Option(
            "--disown", metavar="N", help="A version whose pin was of a forked log. Repeat it."
        ),
    ] = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Pin a trust file, for it to say whose keys count.

    From now on the keys in your keyring do not. First compare its sha256 over another channel. The
    files before it are known by it, and those after it are accepted if its holders signed them.

    With --replace, takes another one in the place of what is pinned. The log must continue all that
    the old files pin.
    """
    if disown and not swap:
        raise typer.BadParameter("--disown is for --replace")
    config = load_config()
    file = find_file(what, lambda: open_place(store))
    root = Root(file.origin, file.digest, file.version)
    before = config.keyring().root(file.origin)
    if not swap:
        check_pin(before, root, f"ledger trust pin --replace {what}")
    elif before is not None and before != root:
        opened, origin = open_place(store)
        check_replacement(opened, origin, config.keyring(), root, set(disown or ()))
    with config.changing():
        config.save_keyring(config.keyring().pin(root))
    if as_json:
        old = before.digest if before else None
        print_json(
            {"origin": root.origin, "version": root.version, "trust": root.digest, "before": old}
        )
    elif not quiet:
        if before is not None and before != root:
            typer.echo(f"before: version {before.version}, sha256 {before.digest}")
        typer.echo(f"pinned: version {root.version}, sha256 {root.digest}")
        typer.echo(f"the trust files of {root.origin} now say whose keys count")


def log(
    *,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """List the trust files of a ledger, and what each changed.

    The newest comes first. Without one that is pinned, shows what the store has, which nothing
    vouches for.
    """
    opened, origin = open_place(store)
    keyring = load_config().keyring()
    pinned = keyring.root(origin) is not None
    if not pinned:
        first = next(trust_objects(opened), None)
        if first is None:
            note(f"there are no trust files in {opened.url}")
            return 0
        note(f"your keyring has pinned none of them: anybody may have put them in {opened.url}")
        keyring = keyring.pin(Root(origin, TrustFile.decode(first).digest, 1))
    trust = read_trust(opened, origin, keyring)
    assert trust is not None  # noqa: S101 -- the keyring has a root
    files = trust.files
    for number in reversed(range(len(files))):
        before, file = files[:number], files[number]
        if as_json:
            print_json(trust_json(before, file) | {"pinned": pinned})
        elif not quiet:
            for line in describe(before, file):
                typer.echo(line)
            typer.echo("")
    for line in finding_lines(trust.findings):
        typer.echo(line, err=True)
    return EXIT_CODES[Report(origin, findings=trust.findings).outcome]


# -- Entries that stop counting --------------------------------------------------------------------


def _stopped_lines(stopped: Sequence[Stopped | Finding]) -> Iterator[str]:
    entries = [each for each in stopped if not isinstance(each, Finding)]
    if entries:
        yield f"  {counted(len(entries), 'entry')} would stop counting:"
    for each in entries[:SHOWN]:
        place = "not logged" if each.position is None else f"leaf {each.position:,}"
        named = f"; version {each.named_by} names it, which now takes effect"
        yield (
            f"    {each.title_number} version {each.version} ({place})"
            f"{named if each.named_by else ''}"
        )
    if len(entries) > SHOWN:
        yield f"    and {len(entries) - SHOWN:,} more; --json lists all"
    yield from finding_lines([each for each in stopped if isinstance(each, Finding)])


def _stopped_json(stopped: Sequence[Stopped | Finding]) -> dict[str, object]:
    return {
        "stopped": [
            {
                "title_number": each.title_number,
                "version": each.version,
                "address": each.address,
                "key": each.key_id,
                "position": each.position,
                "named_by": each.named_by,
            }
            for each in stopped
            if not isinstance(each, Finding)
        ],
        "findings": [finding_json(each) for each in stopped if isinstance(each, Finding)],
    }
