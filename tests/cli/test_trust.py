"""``trust``: from a proposal to a pin, and what is refused on the way."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from ledger.format.keyring import Root
from ledger.trust import TrustFile
from ledger.trust.proposal import Proposal
from tests.cli.shell import ORIGIN, TITLE, Shell

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = {"LEDGER_PASSPHRASE": "a holder's"}
ADA, BEN, CLEO = "ada", "ben", "cleo"
HOLDERS = " ".join(f"--holder {name}={name}.pub" for name in (ADA, BEN, CLEO))


def make_holder(shell: Shell, name: str) -> None:
    shell(f"key generate --for holder --key {name}.pem -q", **PASSPHRASE)
    shown = shell(f"key show --for holder --key {name}.pem -q", **PASSPHRASE)
    (shell.folder / f"{name}.pub").write_bytes(shown.data)


def sign(shell: Shell, *names: str, file: str = "next.json") -> None:
    (shell.folder / "seen").write_bytes(shell("checkpoint").data)
    for name in names:
        shell(f"trust sign {file} --key {name}.pem --seen seen -q", **PASSPHRASE)


def propose(shell: Shell, options: str, *names: str) -> Proposal:
    (shell.folder / "next.json").unlink(missing_ok=True)
    shell(f"trust propose -o next.json {options} -q")
    sign(shell, *(names or (ADA, BEN)))
    return read(shell)


def read(shell: Shell, file: str = "next.json") -> Proposal:
    return Proposal.decode((shell.folder / file).read_bytes())


def stored(shell: Shell, version: int) -> TrustFile:
    return TrustFile.decode((shell.store / f"_trust/{version}.json").read_bytes())


@pytest.fixture(scope="session")
def ceremony_made(title_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = title_made.copied_to(tmp_path_factory.mktemp("ceremony") / "made")
    shell("key generate --for log -q")
    shell("seal --genesis -q")
    for name in (ADA, BEN, CLEO):
        make_holder(shell, name)
    return shell


@pytest.fixture(scope="session")
def proposal_made(ceremony_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = ceremony_made.copied_to(tmp_path_factory.mktemp("proposal") / "made")
    shell(f"trust init -o next.json {HOLDERS} -q")
    return shell


@pytest.fixture(scope="session")
def pin_made(proposal_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = proposal_made.copied_to(tmp_path_factory.mktemp("pin") / "made")
    sign(shell, ADA, BEN)
    shell("trust publish next.json -q")
    shell("trust pin next.json -q")
    return shell


@pytest.fixture
def logged(ceremony_made: Shell, tmp_path: Path) -> Shell:
    """A shell with a title in the log, and the keys of three holders."""
    return ceremony_made.copied_to(tmp_path / "work")


@pytest.fixture
def proposed(proposal_made: Shell, tmp_path: Path) -> Shell:
    """The same with a first trust file that waits for signatures."""
    return proposal_made.copied_to(tmp_path / "work")


@pytest.fixture
def pinned(pin_made: Shell, tmp_path: Path) -> Shell:
    """The same with the first trust file published and pinned."""
    return pin_made.copied_to(tmp_path / "work")


# -- Keys of holders -------------------------------------------------------------------------------


def test_a_holder_has_two_keys_in_one_encrypted_file(bare: Shell) -> None:
    made = bare("key generate --for holder --json", **PASSPHRASE).json
    path = bare.config / "holder-key.pem"
    assert made["file"] == str(path)
    assert made["encrypted"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().count("-----BEGIN ENCRYPTED PRIVATE KEY-----") == 2
    shown = bare("key show --for holder", **PASSPHRASE)
    assert shown.out.count("-----BEGIN PUBLIC KEY-----") == 2
    assert [line.split()[-1] for line in shown.err.splitlines()] == made["keys"]
    assert "passphrase" in bare.fails(12, "key show --for holder")


def test_a_holder_s_key_is_never_made_without_a_passphrase(bare: Shell) -> None:
    assert "no passphrase was given" in bare.fails(12, "key generate --for holder")
    assert not (bare.config / "holder-key.pem").exists()


def test_a_pinned_trust_file_says_whose_keys_count(pinned: Shell) -> None:
    (pinned.folder / "other.pub").write_bytes(pinned("key show").data)
    said = pinned.fails(12, f"key trust other.pub --origin {ORIGIN}")
    assert "ledger trust propose" in said
    made = pinned("key generate --for log --key new-log.pem")
    assert "the trust files must list it" in made.out


# -- The way it goes -------------------------------------------------------------------------------


def test_a_first_file_from_the_proposal_to_the_pin(logged: Shell) -> None:
    said = logged(f"trust init -o next.json {HOLDERS} --next 2999-12-01").lines
    assert said[0] == f"version 1 of the trust files of {ORIGIN}"
    assert "signed by 0 of its own 3 holders (2 must): nobody yet" in said
    assert "  A successor is due on 2999-12-01." in said
    file = read(logged).file
    assert said[1] == f"sha256 {file.digest}"
    assert sorted(key.role for key in file.keys) == ["log", "log", "registrar"]
    sign(logged, ADA)
    assert "2 of its own holders must have signed" in logged.fails(12, "trust publish next.json")
    assert not (logged.store / "_trust").exists()
    sign(logged, CLEO)
    done = logged("trust publish next.json").lines
    assert done == [
        f"published version 1 of the trust files of {ORIGIN}",
        f"sha256 {file.digest}",
        f"tell it to all readers: ledger trust pin {file.digest}",
    ]
    assert stored(logged, 1).digest == file.digest
    assert logged("trust publish next.json").lines[0].startswith("there already: version 1")
    assert logged(f"trust pin {file.digest}").lines[0] == f"pinned: version 1, sha256 {file.digest}"
    assert logged.keyring().root(ORIGIN) == Root(ORIGIN, file.digest, 1)
    assert logged("trust log").lines[1] == f"sha256 {file.digest}"
    logged(f"append {TITLE} --set proprietor=Ida")
    logged("seal")
    assert logged(f"verify {TITLE}").out.startswith("verified")


def test_the_next_file(pinned: Shell) -> None:
    pinned(f"append {TITLE} --set proprietor=Ida")
    pinned("seal -q")
    pinned("key generate --key bob.pem -q")
    (pinned.folder / "bob.pub").write_bytes(pinned("key show --key bob.pem -q").data)
    proposal = propose(pinned, "--eraser bob=bob.pub --next 2999-12-02")
    assert [proof.size for proof in proposal.proofs] == [3]
    shown = pinned("trust show next.json").lines
    assert "signed by 2 of the 3 of version 1 (2 must): ada, ben" in shown
    assert any("becomes a registrar, who may order texts erased" in line for line in shown)
    done = pinned("trust publish next.json --json").json
    assert (done["version"], done["was_there"], done["replaced"]) == (2, False, False)
    assert {(key["name"], key["erase"]) for key in done["keys"]} >= {("bob", True)}
    versions = [each["version"] for each in pinned("trust log --json").objects]
    assert versions == [2, 1]


def test_copies_signed_apart_are_published_together(proposed: Shell) -> None:
    for name in (ADA, BEN):
        copy = proposed.folder / f"{name}.json"
        copy.write_bytes((proposed.folder / "next.json").read_bytes())
        sign(proposed, name, file=copy.name)
    proposed.fails(12, "trust publish ada.json")
    proposed("trust publish ada.json ben.json")
    assert len(stored(proposed, 1).signatures) == 4


def test_options_of_a_first_file(logged: Shell) -> None:
    key_id = logged("key show --json").json["key"]
    logged(f"trust init -o a.json {HOLDERS} --eraser {key_id[:8]} --threshold 3 -q")
    file = read(logged, "a.json").file
    assert file.threshold == 3
    assert [key.erase for key in file.keys if key.role == "registrar"] == [True]
    assert "exists already" in logged.fails(65, f"trust init -o a.json {HOLDERS}")
    assert "NAME=FILE" in logged.fails(2, "trust init -o b.json --holder ada.pub")
    assert "cannot read no" in logged.fails(10, "trust init -o b.json --holder ada=no")
    assert "1 to 32 holders" in logged.fails(65, "trust init -o b.json")
    one_key = f"trust init -o b.json {HOLDERS} --holder dan=dan.pub"
    (logged.folder / "dan.pub").write_bytes(logged("key show").data)
    assert "one ML-DSA-65" in logged.fails(65, one_key)
    other = f"trust init -o b.json {HOLDERS} --registrar ada.pub"
    assert "a registrar's key is Ed25519" in logged.fails(65, other)
    assert "pinned none" in logged.fails(65, f"trust init --continues -o b.json {HOLDERS}")


def test_a_first_file_is_proposed_once(pinned: Shell) -> None:
    assert "begin already" in pinned.fails(65, f"trust init -o b.json {HOLDERS}")


def test_nothing_is_proposed_without_a_pin(proposed: Shell) -> None:
    assert "pinned no trust file" in proposed.fails(10, "trust propose -o b.json")


def test_nothing_is_proposed_without_a_log(shell: Shell) -> None:
    make_holder(shell, ADA)
    assert "there is no log" in shell.fails(10, "trust init -o b.json --holder ada=ada.pub")


# -- Signing ---------------------------------------------------------------------------------------


def test_a_holder_signs_only_what_the_holder_has_seen(proposed: Shell) -> None:
    line = "trust sign next.json --key ada.pem"
    assert "--seen FILE" in proposed.fails(12, line, **PASSPHRASE)
    (proposed.folder / "old").write_bytes(proposed("checkpoint").data)
    proposed(f"append {TITLE} --set proprietor=Ida")
    proposed("seal -q")
    (proposed.folder / "new").write_bytes(proposed("checkpoint").data)
    # What was seen goes further than the proposal: a ledger leads there.
    assert "nothing in the proposal shows" in proposed.fails(12, f"{line} --seen new", **PASSPHRASE)
    proposed(f"{line} --seen new --store ledger-data", **PASSPHRASE)
    proposed(f"trust init -o later.json {HOLDERS} -q --seen old")
    later = "trust sign later.json --key ben.pem"
    said = proposed.fails(12, f"{later} --seen old", **PASSPHRASE)
    assert "you have seen 3 leaves" in said
    proposed(f"{later} --seen new", **PASSPHRASE)


def test_a_proposal_may_carry_the_proof_to_what_a_holder_has(logged: Shell) -> None:
    (logged.folder / "mine").write_bytes(logged("checkpoint").data)
    logged(f"append {TITLE} --set proprietor=Ida")
    logged("seal -q")
    logged(f"trust init -o next.json {HOLDERS} --seen mine -q")
    assert [proof.size for proof in read(logged).proofs] == [3]


def test_witnesses_may_have_seen_it(logged: Shell) -> None:
    logged("key generate --for witness --name w.example/w --key w.pem -q")
    vkey = (logged.folder / "w.vkey").read_text().splitlines()[0]
    policy = f"witness w {vkey}\nquorum w\n"
    (logged.folder / "policy").write_text(policy)
    (logged.folder / "none").write_text("quorum none\n")
    logged(f"trust init -o next.json {HOLDERS} -q")
    line = "trust sign next.json --key ada.pem --witness"
    assert "not cosigned as the policy asks" in logged.fails(12, f"{line} policy", **PASSPHRASE)
    assert "asks for no witness" in logged.fails(65, f"{line} none", **PASSPHRASE)
    logged("audit --key w.pem --cosign cosigned -q --state state --max-delay 1d")
    logged("checkpoint --witness policy --add-cosignatures cosigned -q")
    logged(f"trust init -o cosigned.json {HOLDERS} -q")
    logged("trust sign cosigned.json --key ada.pem --witness policy", **PASSPHRASE)


def test_a_holder_s_keys_may_be_in_two_places(proposed: Shell) -> None:
    blocks = (proposed.folder / "ada.pem").read_text().split("-----BEGIN ")
    for number, block in enumerate(blocks[1:]):
        half = proposed.folder / f"half-{number}.pem"
        half.write_text(f"-----BEGIN {block}")
        half.chmod(0o600)
    (proposed.folder / "seen").write_bytes(proposed("checkpoint").data)
    line = "trust sign next.json --seen seen --key half-0.pem"
    assert "not the keys of a holder" in proposed.fails(12, line, **PASSPHRASE)
    proposed(f"{line} --key half-1.pem", **PASSPHRASE)
    assert len(read(proposed).file.signatures) == 2


def test_only_a_holder_signs(proposed: Shell) -> None:
    make_holder(proposed, "dan")
    (proposed.folder / "seen").write_bytes(proposed("checkpoint").data)
    line = "trust sign next.json --seen seen --key"
    assert "not the keys of a holder" in proposed.fails(12, f"{line} dan.pem", **PASSPHRASE)
    own = proposed.config / "key.pem"
    assert "not the keys of a holder" in proposed.fails(12, line, str(own))
    assert "no private key for a holder" in proposed.fails(12, f"{line} no.pem")


def test_a_holder_signs_only_what_follows_the_pin(pinned: Shell) -> None:
    first = (pinned.folder / "next.json").read_bytes()
    proposal = propose(pinned, "--next 2999-12-02")
    other = pinned.keyring().pin(Root(ORIGIN, "0" * 64, 1))
    (pinned.config / "keyring.json").write_bytes(other.encode())
    line = "trust sign next.json --key cleo.pem"
    assert "expected 000000" in pinned.fails(12, line, **PASSPHRASE)
    (pinned.folder / "next.json").write_bytes(first)
    said = pinned.fails(12, line, **PASSPHRASE)
    assert "version 1 does not follow the trust file that you have pinned: version 1" in said
    assert proposal.before


def test_a_stranger_to_the_ledger_signs_by_the_digest(pinned: Shell) -> None:
    propose(pinned, "--next 2999-12-02")
    (pinned.config / "keyring.json").unlink()
    done = pinned("trust sign next.json --key cleo.pem", **PASSPHRASE)
    assert f"with your own copy: {stored(pinned, 1).digest}" in done.err


# -- Showing ---------------------------------------------------------------------------------------


def test_a_trust_file_is_shown_against_a_copy(pinned: Shell) -> None:
    (pinned.folder / "old.json").write_bytes((pinned.store / "_trust/1.json").read_bytes())
    propose(pinned, "--next 2999-12-02")
    pinned("trust publish next.json -q")
    (pinned.folder / "new.json").write_bytes((pinned.store / "_trust/2.json").read_bytes())
    shown = pinned("trust show new.json --against old.json")
    assert shown.lines == pinned("trust show next.json --against old.json").lines
    assert "0 more than version 1 does" in shown.out
    assert "follows the file" in pinned.fails(12, "trust show old.json --against new.json")
    shown = pinned("trust show old.json --json").json
    assert [holder["signed"] for holder in shown["holders"]] == [True, True, False]
    (pinned.folder / "junk").write_text("{}")
    assert "not a trust file" in pinned.fails(65, "trust show junk")


def test_a_revocation_lists_what_stops_counting(pinned: Shell) -> None:
    key_id = stored(pinned, 1).keys
    own = next(key.key_id for key in key_id if key.role == "registrar")
    pinned(f"append {TITLE} --set proprietor=Ida")
    proposal = propose(pinned, f"--revoke {own[:8]} --after 2")
    assert [each.start for each in proposal.file.revoked] == [2]
    shown = pinned("trust show next.json --store ledger-data")
    assert "  2 entries would stop counting:" in shown.lines
    assert f"    {TITLE} version 3 (leaf 2)" in shown.lines
    assert f"    {TITLE} version 4 (not logged)" in shown.lines
    stopped = pinned("trust show next.json --store ledger-data --json").json["stopped"]
    assert [(each["version"], each["position"]) for each in stopped] == [(4, None), (3, 2)]
    sign(pinned, ADA, BEN)
    said = pinned("trust publish next.json").lines[-1]
    assert said == f"to settle what it signed after that: ledger settle {own}"
    assert "not settled: 2 entries of 1 title" in pinned(f"settle {own}", code=3).lines


def test_a_revocation_is_after_a_checkpoint_of_this_log(pinned: Shell) -> None:
    own = next(key.key_id for key in stored(pinned, 1).keys if key.role == "registrar")
    (pinned.folder / "good").write_bytes(pinned("checkpoint").data)
    pinned(f"append {TITLE} --set proprietor=Ida")
    pinned("seal -q")
    proposal = propose(pinned, f"--revoke {own} --after good")
    assert [each.start for each in proposal.file.revoked] == [3]
    line = f"trust propose -o b.json --revoke {own}"
    assert "the log has 4" in pinned.fails(65, f"{line} --after 5")
    assert "--after" in pinned.fails(2, line)
    assert "no trust file lists" in pinned.fails(
        10, "trust propose -o b.json --revoke 0000 --after 1"
    )


# -- Publishing and pinning ------------------------------------------------------------------------


def test_a_key_with_an_entry_that_waits_is_not_dropped(pinned: Shell) -> None:
    own = next(key.key_id for key in stored(pinned, 1).keys if key.role == "registrar")
    propose(pinned, f"--retire {own}")
    pinned(f"append {TITLE} --set proprietor=Ida")
    said = pinned.fails(11, "trust publish next.json")
    assert f"version 4 of {TITLE}" in said
    assert not (pinned.store / "_trust/2.json").exists()


def test_junk_in_its_place_is_replaced_and_named(pinned: Shell) -> None:
    propose(pinned, "--next 2999-12-02")
    (pinned.store / "_trust/2.json").write_bytes(b"junk")
    said = pinned("trust log", code=20).err
    assert "trust-not-accepted" in said
    assert "it replaced 4 bytes that no reader accepts" in pinned("trust publish next.json").lines
    pinned("trust log")


def test_another_root_takes_its_place_only_if_a_person_says_so(pinned: Shell) -> None:
    old = stored(pinned, 1).digest
    make_holder(pinned, "dan")
    pinned("trust init --continues -o on.json --holder dan=dan.pub -q")
    assert "counts only for those who pin it" in pinned("trust show on.json").out
    sign(pinned, "dan", file="on.json")
    new = read(pinned, "on.json").file.digest
    said = pinned("trust publish on.json").lines[-1]
    assert said == f"tell it to all readers: ledger trust pin --replace {new}"
    pinned("trust log", code=20)
    assert "pin --replace" in pinned.fails(12, f"trust pin {new}")
    done = pinned(f"trust pin --replace {new}").lines
    assert done[:2] == [f"before: version 1, sha256 {old}", f"pinned: version 2, sha256 {new}"]
    pinned("trust log")
    assert "--disown is for --replace" in pinned.fails(2, f"trust pin {new} --disown 1")


def test_who_pinned_a_fork_takes_the_true_file_by_disowning_it(
    pinned: Shell, tmp_path: Path
) -> None:
    deceived = pinned.copied_to(tmp_path / "deceived")
    for shell, title in ((pinned, "TN2"), (deceived, "TN666")):
        shell(f"append {title} --new --set a=b -q")
        shell("seal -q")
    fork = propose(deceived, "--next 2999-12-02").file.digest
    deceived("trust publish next.json -q")
    deceived(f"trust pin --replace {fork} -q")
    (pinned.folder / "seen").write_bytes(pinned("checkpoint").data)  # of a clean audit
    (pinned.store / "_trust/2.json").write_bytes((deceived.store / "_trust/2.json").read_bytes())
    pinned.fails(20, "trust propose -o true.json --next 2999-12-03")
    pinned("trust propose -o true.json --next 2999-12-03 --disown 2 -q")
    for name in (ADA, BEN):
        pinned(f"trust sign true.json --key {name}.pem --seen seen -q", **PASSPHRASE)
    true = read(pinned, "true.json").file.digest
    pinned("trust publish true.json -q")
    again = f"trust pin --replace {true} --store {pinned.store}"
    deceived.fails(12, again)
    deceived.fails(12, f"{again} --disown 1")
    assert deceived(f"{again} --disown 2").lines[:2] == [
        f"before: version 2, sha256 {fork}",
        f"pinned: version 2, sha256 {true}",
    ]
    assert "TN2" in deceived(f"titles --store {pinned.store}").lines
    deceived(f"audit --store {pinned.store}")


def test_only_a_signed_file_is_pinned(proposed: Shell) -> None:
    assert "have not signed it yet" in proposed.fails(12, "trust pin next.json")
    assert "no trust file in" in proposed.fails(10, f"trust pin {'0' * 64}")
    assert proposed.keyring().roots == ()


def test_what_nobody_pinned_is_shown_as_a_claim(proposed: Shell) -> None:
    assert "there are no trust files" in proposed("trust log").err
    sign(proposed, ADA, BEN)
    proposed("trust publish next.json -q")
    done = proposed("trust log --json")
    assert "your keyring has pinned none of them" in done.err
    assert done.json["pinned"] is False


def test_the_keys_beside_a_pinned_file_are_listed_as_what_they_are(pinned: Shell) -> None:
    *keys, root = pinned("key list").lines
    assert len(keys) == 3
    assert all(line.endswith("(the trust files decide)") for line in keys)
    digest = stored(pinned, 1).digest
    assert root == f"{digest}  trust 1    {ORIGIN}"
    assert pinned("key list --json").objects[-1] == {
        "origin": ORIGIN,
        "trust": digest,
        "version": 1,
    }


def test_every_command_says_json(pinned: Shell) -> None:
    assert pinned("trust pin next.json --json").json["before"] == stored(pinned, 1).digest
    made = pinned("trust propose -o b.json --json").json
    assert (made["file"], made["stopped"]) == ("b.json", [])
    signed = pinned("trust sign b.json --key ada.pem --json", **PASSPHRASE).json
    assert signed["signed_by"] == ADA
    assert json.dumps(signed["holders"][0]) == '{"name": "ada", "signed": true}'


# -- What status and doctor say --------------------------------------------------------------------


def test_status_and_doctor_name_the_newest_file_and_the_one_that_is_pinned(pinned: Shell) -> None:
    propose(pinned, "--next 2127-12-01")
    pinned("trust publish next.json -q")
    shown = pinned("status --json").json
    assert {name: value for name, value in shown.items() if name.startswith("trust_")} == {
        "trust_version": 2,
        "trust_pinned": 1,
        "trust_next": "2127-12-01",
        "trust_problem": None,
    }
    assert (shown["registrars"], shown["may_append"]) == (1, True)
    assert "trust next:    2127-12-01" in pinned("status").lines
    lines = pinned("doctor").lines
    assert (
        "ok: trust files: version 2 counts; a successor is due on 2127-12-01; your keyring has"
        " pinned version 1" in lines
    )
    assert "ok: keyring: trusted keys: 1 registrar, 2 of the log" in lines
    assert all(line.startswith("ok: ") for line in lines)


def test_a_key_that_the_newest_file_lists_no_more_may_not_append(pinned: Shell) -> None:
    key = pinned("key show --json").json["key"]
    pinned("key generate --key other.pem -q")
    (pinned.folder / "other.pub").write_bytes(pinned("key show --key other.pem -q").data)
    propose(pinned, "--registrar other.pub")
    pinned("trust publish next.json -q")
    propose(pinned, f"--retire {key}")
    pinned("trust publish next.json -q")
    shown = pinned("status --json").json
    assert (shown["registrars"], shown["may_append"]) == (1, False)
    assert any(
        line.startswith("warning: key: ") and "is not trusted" in line
        for line in pinned("doctor").lines
    )


def test_a_file_that_is_not_accepted_is_a_problem(pinned: Shell) -> None:
    (pinned.store / "_trust/2.json").write_bytes(b"junk")
    shown = pinned("status --json").json
    assert shown["trust_version"] == 1
    assert shown["trust_problem"].startswith("_trust/2.json: ")
    lines = pinned("doctor", code=20).lines
    assert any(line.startswith("problem: trust files: _trust/2.json: ") for line in lines)
    assert any("ledger trust publish" in line for line in lines)


def test_a_pinned_file_that_is_missing_is_named(pinned: Shell) -> None:
    (pinned.store / "_trust/1.json").unlink()
    assert "_trust/1.json: missing" in pinned.fails(20, "status")
    (line,) = [each for each in pinned("doctor", code=20).lines if "_trust/1.json" in each]
    assert line.startswith("problem: ledger: _trust/1.json: missing")


def test_a_successor_that_is_overdue_is_a_warning(pinned: Shell) -> None:
    propose(pinned, "--next 2020-01-01")
    pinned("trust publish next.json -q")
    assert "was due by 2020-01-01" in pinned("status --json").json["trust_problem"]
    assert any("warning: trust files: " in line for line in pinned("doctor").lines)
