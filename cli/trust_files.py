"""Read and show trust files and proposals, and read what options say of holders and keys."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.config import load_config
from cli.inputs import naming, read_input, read_keys
from cli.terminal.text import printable
from cli.witnesses import read_checkpoint
from ledger import InvalidError, LedgerError, MalformedError, NotFoundError, TrustError
from ledger.format.keyring import ALGORITHMS, Root
from ledger.format.layout import is_address
from ledger.sealing.ceremony import Ceremony
from ledger.titles.identity import check_pinned, read_origin
from ledger.titles.trust_files import trust_objects
from ledger.tlog import Checkpoint, open_checkpoint
from ledger.trust import Holder, TrustFile, TrustKey
from ledger.trust.accept import Signatures
from ledger.trust.changes import find_key
from ledger.trust.explain import explain
from ledger.trust.proposal import MAX_BYTES, Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ledger.format.pem import VerifyingKey
    from ledger.stores import Store
    from ledger.trust.file import TrustRole


def open_place(store: str | None) -> tuple[Store, str]:
    """Open a store that must hold the ledger that it is known for; return its origin as well."""
    config = load_config()
    opened = config.open_store(store)
    return opened, read_origin(opened, config.origin_of(opened))


def open_ceremony(store: str | None) -> Ceremony:
    """Open what the next trust file of the ledger in a store is made from."""
    opened, origin = open_place(store)
    keyring = load_config().keyring()
    check_pinned(origin, keyring, opened.url)
    return Ceremony(opened, origin, keyring)


# -- Files -----------------------------------------------------------------------------------------


def read_trust_file(path: Path) -> TrustFile | Proposal:
    """Read a trust file or a proposal; raises NotFoundError or MalformedError."""
    data = read_input(path, MAX_BYTES + 1)
    is_proposal = data.startswith(b'{"before":')
    with naming(path):
        return Proposal.decode(data) if is_proposal else TrustFile.decode(data)


def file_of(found: TrustFile | Proposal) -> TrustFile:
    """Return the trust file that was read, or that is proposed."""
    return found.file if isinstance(found, Proposal) else found


def find_file(what: str, place: Callable[[], tuple[Store, str]]) -> TrustFile:
    """Return the trust file that is named by its sha256 in a store, or by its place on the disk.

    ``place``: opens the store, and says which ledger it has to be of.
    """
    if not is_address(what):
        if not Path(what).exists():
            raise NotFoundError(
                f"neither a file nor a sha256: {what}",
                hint="give a trust file, or the 64 hex digits that 'ledger trust show' prints",
            )
        file = file_of(read_trust_file(Path(what)))
        if len(Signatures(file).voices(file)) < file.threshold:
            raise TrustError(
                f"{what}: its own holders have not signed it yet",
                hint=f"ledger trust sign {what}",
                reason="trust-not-accepted",
            )
        return file
    opened, origin = place()
    for data in trust_objects(opened):
        with suppress(LedgerError):
            file = TrustFile.decode(data)
            if file.digest == what and file.origin == origin:
                return file
    raise NotFoundError(
        f"no trust file in {opened.url} has the sha256 {what}",
        hint="'ledger trust log' lists those that are there",
    )


def check_pin(before: Root | None, root: Root, how: str) -> None:
    """Refuse to pin a trust file in the place of another that the user pinned; ``how`` to do it."""
    if before is not None and before != root:
        raise TrustError(
            f"your keyring has pinned another trust file of {root.origin}: version"
            f" {before.version}, sha256 {before.digest}",
            hint=f"if you were told of a new one: {how}",
            reason="trust-not-accepted",
        )


def read_proposal(path: Path) -> Proposal:
    """Read a proposal; raises NotFoundError or MalformedError."""
    found = read_trust_file(path)
    if isinstance(found, TrustFile):
        raise MalformedError(
            f"{path}: a trust file, not a proposal", hint="'ledger trust propose' makes one"
        )
    return found


def read_seen(path: Path, origin: str, log_keys: Iterable[VerifyingKey]) -> Checkpoint:
    """Read a checkpoint that somebody kept, which one of these keys of the log signed."""
    with naming(path):
        return open_checkpoint(
            read_checkpoint(path), origin=origin, log_keys=log_keys, any_algorithm=True
        ).checkpoint


# -- Options ---------------------------------------------------------------------------------------


def read_holder(text: str) -> Holder:
    """Read ``NAME=FILE``, where the file has a holder's two public keys."""
    name, equals, file = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"not a holder: {text!a:.80} (expected NAME=FILE)")
    return Holder(name, tuple(sorted(read_keys(file), key=lambda key: key.key_id)))


def read_trust_key(
    text: str, role: TrustRole, *, known: Sequence[TrustKey] = (), erase: bool = False
) -> list[TrustKey]:
    """Read ``[NAME=]FILE`` or the id of a known key; a log's file may hold several keys."""
    name, equals, rest = text.partition("=")
    if not equals:
        name, rest = "", text
    listed = [each for each in known if len(rest) >= 4 and each.key_id.startswith(rest)]
    if len(listed) == 1 and not Path(rest).exists():
        return [listed[0]._replace(role=role, erase=erase, name=name or listed[0].name)]
    keys = read_keys(rest)
    known_to = ALGORITHMS[role]
    for key in keys:
        if key.algorithm not in known_to:
            raise InvalidError(
                f"{rest}: a {role}'s key is {' or '.join(known_to)}, and not {key.algorithm}"
            )
    return [TrustKey(key, name, role, erase) for key in keys]


def read_position(text: str, ceremony: Ceremony) -> int:
    """Read a checkpoint file, or a number of leaves: the position that comes after them."""
    if text.isdecimal():
        return int(text)
    seen = read_seen(Path(text), ceremony.origin, ceremony.log.log_keys)
    ceremony.log.check_continues(ceremony.checkpoint().checkpoint, seen)
    return seen.size


def find_key_id(files: Sequence[TrustFile], digits: str) -> str:
    """Complete the id of a key that some trust file lists."""
    return find_key(files, digits.lower()).key_id


# -- What people see -------------------------------------------------------------------------------


def describe(before: Sequence[TrustFile], file: TrustFile, *, continues: bool = False) -> list[str]:
    """Say in lines what a trust file is, who signed it, and what it changes."""
    alone = "it goes on without the holders before: it counts only for those who pin it"
    return [
        f"version {file.version} of the trust files of {printable(file.origin)}",
        f"sha256 {file.digest}",
        *(printable(line) for line in _signatures(before, file)),
        *([alone] if continues else []),
        *(f"  {printable(sentence)}" for sentence in explain(before, file)),
    ]


def _signatures(before: Sequence[TrustFile], file: TrustFile) -> list[str]:
    lines = []
    signatures = Signatures(file)
    for judges in (*before[-1:], file):
        names = signatures.voices(judges)
        own = f"its own {len(file.holders)} holders"
        whose = own if judges is file else f"the {len(judges.holders)} of version {judges.version}"
        lines.append(
            f"signed by {len(names)} of {whose} ({judges.threshold} must):"
            f" {', '.join(names) or 'nobody yet'}"
        )
    return lines
