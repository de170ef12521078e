"""Witnesses from a shell: their keys, what they sign, and who asks for it; and --since FILE."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ledger import load_key
from ledger.format.keyring import Keyring
from ledger.format.layout import LOG_CHECKPOINT, head_key
from ledger.tlog import (
    WitnessKey,
    add_signatures,
    cosign,
    open_checkpoint,
    parse_witness_key,
    witness_key,
)
from tests.cli.shell import ORIGIN, TITLE, Shell
from tests.witnesses import Witness, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CITY, BANK = "city.example/witness", "bank.example/witness"


@pytest.fixture
def logged(witnesses_made: Shell, tmp_path: Path) -> Shell:
    """A shell whose title's three versions are in the log, and that has keys of two witnesses."""
    return witnesses_made.copied_to(tmp_path / "work")


@pytest.fixture(scope="session")
def witnesses_made(title_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    title = title_made.copied_to(tmp_path_factory.mktemp("witnesses") / "made")
    title("key generate --for log -q")
    title("seal --genesis -q")
    title(f"key generate --for witness --name {CITY} --key city.pem -q")
    title(f"key generate --for witness --name {BANK} --key bank.pem -q")
    policy(title, "any")
    return title


def policy(shell: Shell, count: str, *comments: str) -> None:
    """The file ``policy``: so many of the two witnesses."""
    lines = [*comments]
    for name in ("city", "bank"):
        vkey = vkeys(shell, name)[0]
        lines.append(f"witness {name} {vkey}")
    lines += [f"group both {count} city bank", "quorum both", ""]
    (shell.folder / "policy").write_text("\n".join(lines))


def vkeys(shell: Shell, name: str) -> list[str]:
    """The public keys of a witness: Ed25519, ML-DSA-44."""
    return (shell.folder / f"{name}.vkey").read_text().splitlines()


def sign(shell: Shell, name: str, *, age: timedelta = timedelta()) -> str:
    """A file with the published checkpoint as the witness of this name returns it."""
    note = (shell.store / LOG_CHECKPOINT).read_bytes()
    keys = [t.key for t in shell.keyring() if t.role == "log"]
    signed = open_checkpoint(note, origin=ORIGIN, log_keys=keys)
    witness = WitnessKey.from_vkey(vkeys(shell, name)[0])
    moment = int((datetime.now(UTC) - age).timestamp())
    line = cosign(signed.checkpoint, witness, load_key(shell.folder / f"{name}.pem"), moment)
    (shell.folder / f"{name}.cosigned").write_bytes(add_signatures(note, line))
    return f"{name}.cosigned"


def publish(shell: Shell, name: str, *, age: timedelta = timedelta()) -> None:
    cosigned = sign(shell, name, age=age)
    shell(f"checkpoint --witness policy --add-cosignatures {cosigned}", code=None)


def prove(shell: Shell, revision: str = "HEAD") -> None:
    """The files ``receipt`` and ``entry.json``."""
    (shell.folder / "receipt").write_bytes(shell(f"prove {TITLE} {revision}").data)
    (shell.folder / "entry.json").write_bytes(shell(f"cat {TITLE} {revision}").data)


# --- keys ----------------------------------------------------------------------------------------


def test_a_witness_has_a_key_and_a_name(bare: Shell) -> None:
    made = bare(f"key generate --for witness --name {CITY} --json").json
    path = bare.config / "witness-key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    witness, later = map(parse_witness_key, made["vkeys"])
    assert (witness.name, witness.key.algorithm) == (CITY, "Ed25519")
    assert (later.name, later.key.algorithm) == (CITY, "ML-DSA-44")
    assert [witness.key.key_id, later.key.key_id] == made["keys"]
    assert (made["key"], made["file"], made["role"]) == (made["keys"][0], str(path), "witness")
    shown = bare("key show --for witness --vkey")
    assert shown.lines == made["vkeys"]
    listed = bare("key show --for witness --vkey --json").objects
    assert [each["vkey"] for each in listed] == made["vkeys"]
    assert bare("key show --for witness").out.count("-----BEGIN PUBLIC KEY") == 2
    assert (bare.config / "witness-key.vkey").read_text().splitlines() == made["vkeys"]
    assert not (bare.config / "keyring.json").exists()


def test_the_key_of_a_witness_is_never_overwritten_and_may_be_elsewhere(bare: Shell) -> None:
    line = f"key generate --for witness --name {CITY}"
    bare(line)
    assert "already" in bare.fails(12, line)
    bare.fails(12, f"key generate --for witness --name {BANK}")
    bare(line, LEDGER_WITNESS_KEY="other.pem")
    shown = bare("key show --for witness --vkey --key other.pem").out
    assert shown != bare("key show --for witness --vkey").out
    (bare.folder / "other.pem").unlink()
    assert "already a witness's name" in bare.fails(12, f"{line} --key other.pem")


def test_a_witness_needs_a_name_and_nobody_else_has_one(bare: Shell) -> None:
    bare.fails(2, "key generate --for witness")
    bare.fails(2, f"key generate --name {CITY}")
    bare.fails(2, f"key generate --for log --origin {ORIGIN} --name {CITY}")
    bare.fails(2, f"key generate --for witness --name {CITY} --origin {ORIGIN}")
    for name in ("two words", "a+b", ""):
        bare.fails(65, "key generate --for witness --name", name)
    assert not bare.config.exists() or not list(bare.config.glob("*.pem"))


def test_a_witness_without_its_key_or_its_name_is_told(bare: Shell) -> None:
    assert "'ledger key generate --for witness" in bare.fails(12, "key show --for witness --vkey")
    for name in ("a", "b"):
        bare(f"key generate --for witness --name {CITY} --key {name}.pem -q")
    (bare.folder / "a.vkey").write_bytes((bare.folder / "b.vkey").read_bytes())
    assert "does not belong to the keys" in bare.fails(12, "key show --for witness --key a.pem")
    (bare.folder / "a.vkey").unlink()
    assert "witness's name" in bare.fails(12, "key show --for witness --key a.pem")


# --- checkpoint ----------------------------------------------------------------------------------


def test_a_checkpoint_that_nobody_cosigned_does_not_do(logged: Shell) -> None:
    shown = logged("checkpoint --witness policy", code=3)
    assert shown.data == (logged.store / LOG_CHECKPOINT).read_bytes()
    assert shown.err.startswith("unchecked: not-witnessed: ")
    assert "city: no cosignature; bank: no cosignature" in shown.err


def test_cosignatures_are_published_and_then_do(logged: Shell) -> None:
    before = (logged.store / LOG_CHECKPOINT).read_bytes()
    cosigned = sign(logged, "city")
    shown = logged(f"checkpoint --witness policy --add-cosignatures {cosigned}")
    assert shown.data == (logged.store / LOG_CHECKPOINT).read_bytes()
    assert shown.data == (logged.folder / cosigned).read_bytes()
    assert shown.data.startswith(before)
    assert shown.err.startswith("cosigned: by city, 20")
    asked = logged("checkpoint --witness policy --json").json
    assert asked["outcome"] == "verified"
    assert [each["witness"] for each in asked["cosigned"]] == [CITY]
    assert logged("checkpoint").data == shown.data


def test_too_few_and_too_old_do_not_do(logged: Shell) -> None:
    policy(logged, "all", "# max-age: 1d")
    publish(logged, "city")
    publish(logged, "bank", age=timedelta(days=2))
    asked = logged("checkpoint --witness policy --json", code=3).json
    assert [each["witness"] for each in asked["cosigned"]] == [CITY]
    assert [each["slug"] for each in asked["findings"]] == ["not-witnessed"]
    publish(logged, "bank")
    assert logged("checkpoint --witness policy --json").json["outcome"] == "verified"


def test_a_wrong_cosignature_spoils_the_checkpoint_for_those_who_know_the_witness(
    logged: Shell,
) -> None:
    publish(logged, "city")
    path = logged.store / LOG_CHECKPOINT
    note = path.read_bytes()
    place = note.rindex(b"=") - 20
    other = b"B" if note[place : place + 1] == b"A" else b"A"
    path.write_bytes(note[:place] + other + note[place + 1 :])
    assert "wrong signature" in logged.fails(20, "checkpoint --witness policy")
    logged("checkpoint")


def test_what_is_added_is_checked(logged: Shell) -> None:
    cosigned = sign(logged, "city")
    before = logged.listing()
    logged.fails(2, f"checkpoint --add-cosignatures {cosigned}")
    logged.fails(10, "checkpoint --witness policy --add-cosignatures nothing")
    plain = logged.folder / "plain"
    plain.write_bytes(logged("checkpoint").data)
    logged.fails(12, "checkpoint --witness policy --add-cosignatures plain")
    assert logged.listing() == before
    logged(f"append {TITLE} --set a=b")
    logged("seal")
    said = logged.fails(11, f"checkpoint --witness policy --add-cosignatures {cosigned}")
    assert "is published by now" in said


def test_a_policy_that_is_none_is_refused_by_its_line(logged: Shell) -> None:
    (logged.folder / "policy").write_text("# ours\nwitness city\n")
    prove(logged)
    for line in ("checkpoint", f"verify {TITLE}", "check receipt --entry entry.json"):
        said = logged.fails(65, f"{line} --witness policy")
        assert "policy: line 2 of the policy: expected: witness NAME VKEY" in said
        logged.fails(10, f"{line} --witness nothing")


# --- seal ----------------------------------------------------------------------------------------


@pytest.fixture
def asked(logged: Shell) -> Iterator[Witness]:
    """A witness with a server, in the file ``asked``, beside one without."""
    log = logged("key show --for log --vkey -q").lines[0]
    witness = Witness("moon.example/w", log)
    with served(witness) as url:
        bank = vkeys(logged, "bank")[0]
        lines = [f"witness moon {witness.vkey} {url}", f"witness bank {bank}", "quorum moon", ""]
        (logged.folder / "asked").write_text("\n".join(lines))
        yield witness


def test_a_seal_asks_the_witnesses(logged: Shell, asked: Witness) -> None:
    logged(f"append {TITLE} --set a=b")
    shown = logged("seal --witness asked")
    assert shown.lines[0].startswith("sealed 1 entry: 4 leaves, checkpoint ")
    assert shown.lines[1].startswith("cosigned: by moon, 20")
    assert shown.err == ""
    logged("checkpoint --witness asked")
    prove(logged)
    logged("check receipt --entry entry.json --witness asked")
    logged(f"append {TITLE} --set a=c")
    made = logged("seal --witness asked --json").json
    assert [each["witness"] for each in made["cosigned"]] == ["moon.example/w"]
    assert (made["sealed"], made["findings"]) == (1, [])
    assert asked.asked == [b"old 0", b"old 4"]


def test_a_seal_of_nothing_asks_whoever_has_not_signed(logged: Shell, asked: Witness) -> None:
    assert logged("seal --witness asked").lines[0].startswith("nothing new to seal")
    assert logged("seal --witness asked -q").out == ""
    assert asked.asked == [b"old 0"]


def test_a_log_begins_with_its_witnesses(title: Shell) -> None:
    title("key generate --for log -q")
    witness = Witness("moon.example/w", title("key show --for log --vkey -q").lines[0])
    with served(witness) as url:
        (title.folder / "asked").write_text(f"witness moon {witness.vkey} {url}\nquorum moon\n")
        assert "cosigned: by moon" in title("seal --genesis --witness asked").out


def test_a_log_that_no_witness_signs_is_sealed_all_the_same(logged: Shell, asked: Witness) -> None:
    asked.logs.clear()
    logged(f"append {TITLE} --set a=b")
    failed = logged("seal --witness asked", code=3)
    assert failed.out.startswith("sealed 1 entry: 4 leaves")
    assert failed.err.startswith("unchecked: not-witnessed: _log/checkpoint: the checkpoint of 4 ")
    assert "warning: witness-failed: the witness moon.example/w (http://127" in failed.err
    assert "it does not know this log" in failed.err
    assert logged("seal").out.startswith("nothing new to seal: 4 leaves")
    made = logged("seal --witness asked --json", code=3).json
    assert [each["slug"] for each in made["findings"]] == ["not-witnessed", "witness-failed"]
    assert made["cosigned"] == []


def test_a_title_left_out_outranks_what_was_not_witnessed(logged: Shell, asked: Witness) -> None:
    asked.logs.clear()
    logged(f"append {TITLE} --set a=b")
    path = logged.store / head_key(TITLE)
    path.write_bytes(path.read_bytes()[:-9])
    assert "not-witnessed" in logged("seal --witness asked", code=20).err


def test_a_policy_that_cannot_be_asked_is_refused_before_the_seal(logged: Shell) -> None:
    logged(f"append {TITLE} --set a=b")
    before = logged.listing()
    assert "none has a URL" in logged.fails(65, "seal --witness policy")
    logged.fails(10, "seal --witness nothing")
    (logged.folder / "policy").write_text("nonsense\n")
    assert "line 1 of the policy" in logged.fails(65, "seal --witness policy")
    assert logged.listing() == before


# --- check ---------------------------------------------------------------------------------------


def test_a_receipt_carries_the_cosignatures_of_its_checkpoint(logged: Shell) -> None:
    prove(logged)
    checked = logged("check receipt --entry entry.json --witness policy", code=3)
    assert checked.lines[0].startswith("unchecked: not-witnessed: the receipt: ")
    assert "verified" not in checked.lines[1].lower().replace("not verified", "")
    publish(logged, "bank")
    prove(logged)
    checked = logged("check receipt --entry entry.json --witness policy")
    assert checked.lines[0].startswith("verified: ")
    assert "others were shown the same log" not in checked.out
    as_json = logged("check receipt --entry entry.json --witness policy --json").json
    assert (as_json["outcome"], as_json["not_shown"]) == ("verified", [])
    assert logged("check receipt --entry entry.json --witness policy -q").out == ""


def test_a_policy_that_asks_for_nobody_leaves_forks_possible(logged: Shell) -> None:
    (logged.folder / "policy").write_text("quorum none\n")
    prove(logged)
    checked = logged("check receipt --entry entry.json --witness policy")
    assert "others were shown the same log" in checked.out


def test_tampering_outranks_what_was_not_witnessed(logged: Shell) -> None:
    prove(logged)
    (logged.folder / "entry.json").write_bytes(logged(f"cat {TITLE} v1").data)
    logged("check receipt --entry entry.json --witness policy", code=20)


# --- verify --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [TITLE, "", "--state s"])
def test_verify_asks_for_witnesses_of_the_log(logged: Shell, what: str) -> None:
    report = logged(f"verify {what} --witness policy --json", code=3).json
    assert [each["slug"] for each in report["findings"]] == ["not-witnessed"]
    assert report["entries"] == 3
    publish(logged, "city")
    report = logged(f"verify {what} --witness policy --json").json
    assert report["outcome"] == "verified"
    assert any("as the log has them" in each for each in report["not_shown"])


def test_verify_says_so_where_there_is_no_log_to_be_witnessed(logged: Shell) -> None:
    (logged.store / LOG_CHECKPOINT).unlink()
    report = logged("verify --witness policy --json", code=3).json
    assert [each["object"] for each in report["findings"]] == [LOG_CHECKPOINT]


def test_a_checkpoint_that_the_log_did_not_sign_is_tampering(logged: Shell) -> None:
    path = logged.store / LOG_CHECKPOINT
    path.write_bytes(path.read_bytes().replace(b"\n3\n", b"\n2\n"))
    report = logged("verify --witness policy --json", code=20).json
    assert [each["slug"] for each in report["findings"]] == ["bad-signature"]


def test_a_checkpoint_that_is_none_is_tampering(logged: Shell) -> None:
    (logged.store / LOG_CHECKPOINT).write_bytes(b"nothing of the kind\n")
    report = logged("verify --witness policy --json", code=20).json
    assert [each["slug"] for each in report["findings"]] == ["damaged"]


def test_whoever_has_no_key_of_the_log_is_told(logged: Shell) -> None:
    registrars = [t for t in logged.keyring() if t.role == "registrar"]
    (logged.config / "keyring.json").write_bytes(Keyring(registrars).encode())
    assert "--role log" in logged.fails(12, "verify --witness policy")


def test_a_bundle_is_not_asked_for_witnesses(logged: Shell) -> None:
    logged("export all.bundle")
    logged.fails(2, "verify --bundle all.bundle --witness policy")


def test_a_witnessed_checkpoint_travels_in_a_bundle(logged: Shell) -> None:
    publish(logged, "city")
    logged("export all.bundle")
    logged("import all.bundle --store copy")
    logged("checkpoint --witness policy --store copy")


# --- verify --since FILE -------------------------------------------------------------------------


def keep(shell: Shell) -> Path:
    """The file ``kept``: the checkpoint that is published now."""
    path = shell.folder / "kept"
    path.write_bytes(shell("checkpoint").data)
    return path


def test_what_a_kept_checkpoint_covers_is_taken_on_trust(logged: Shell) -> None:
    keep(logged)
    logged(f"append {TITLE} --set a=b")
    logged("seal -q")
    logged(f"append {TITLE} --set a=c")
    address = logged.addresses()[2]
    report = logged(f"verify {TITLE} --since kept --json").json
    assert report == logged(f"verify {TITLE} --since {address} --json").json
    assert report["entries"] == 3


def test_a_title_that_was_not_logged_by_then_is_verified_whole(logged: Shell) -> None:
    keep(logged)
    logged("append TN9 --new --set a=b")
    logged("append TN9 --set a=c")
    logged("seal -q")
    report = logged("verify TN9 --since kept --json").json
    assert (report["outcome"], report["entries"]) == ("verified", 2)
    assert report["not_shown"] == logged("verify TN9 --json").json["not_shown"]


def test_a_title_that_was_set_back_below_a_kept_checkpoint_is_found(logged: Shell) -> None:
    old = logged(f"cat {TITLE} v2").data
    keep(logged)
    (logged.store / head_key(TITLE)).write_bytes(old)
    for record in (logged.store / "_log" / "sealed").iterdir():
        record.unlink()
    logged(f"verify {TITLE}")
    report = logged(f"verify {TITLE} --since kept --json", code=20).json
    assert [each["slug"] for each in report["findings"]] == ["pin-missing"]


def test_a_log_that_was_set_back_below_a_kept_checkpoint_is_found(logged: Shell) -> None:
    before = logged("checkpoint").data
    logged(f"append {TITLE} --set a=b")
    logged("seal -q")
    keep(logged)
    (logged.store / LOG_CHECKPOINT).write_bytes(before)
    report = logged(f"verify {TITLE} --since kept --json", code=20).json
    assert [each["slug"] for each in report["findings"]] == ["log-set-back"]


def test_a_log_that_does_not_continue_a_kept_checkpoint_is_a_fork(
    logged: Shell, tmp_path: Path
) -> None:
    """The log's key signed another history, of which somebody has the checkpoint."""
    logged("export all.bundle TN1234567")
    logged("import all.bundle --store copy")
    logged(f"append {TITLE} --set a=other --store copy")
    seal = f"seal --genesis --memory '{tmp_path / 'other-memory'}' --store copy -q"
    logged(seal)
    logged(f"append {TITLE} --set a=b")
    logged("seal -q")
    (logged.folder / "kept").write_bytes(logged("checkpoint --store copy").data)
    report = logged(f"verify {TITLE} --since kept --json", code=20).json
    assert [each["slug"] for each in report["findings"]] == ["not-consistent"]


def test_a_checkpoint_that_nobody_of_ours_signed_is_no_pin(logged: Shell) -> None:
    kept = keep(logged)
    kept.write_bytes(kept.read_bytes().replace(b"\n3\n", b"\n2\n"))
    logged.fails(20, f"verify {TITLE} --since kept")
    kept.write_text("a note\n")
    logged.fails(65, f"verify {TITLE} --since kept")
    assert "not a revision" in logged.fails(65, f"verify {TITLE} --since nothing")
    logged.fails(2, "verify --since kept")


def test_the_kept_checkpoint_is_in_the_report_that_is_kept(logged: Shell) -> None:
    keep(logged)
    logged(f"verify {TITLE} --since kept --witness policy --report report", code=3)
    report = json.loads((logged.folder / "report").read_text())
    assert report["since"] == "kept"
    assert "not-witnessed" in json.dumps(report)


@pytest.mark.parametrize("role", ["registrar", "log"])
@pytest.mark.parametrize("command", ["audit", "checkpoint", "seal", f"verify {TITLE}"])
def test_who_is_to_be_watched_is_never_the_witness(logged: Shell, role: str, command: str) -> None:
    own = next(trusted for trusted in logged.keyring() if trusted.role == role)
    vkey = witness_key("independent.example/w", own.key).vkey
    (logged.folder / "own").write_text(f"witness w {vkey}\nquorum w\n")
    said = logged.fails(65, f"{command} --witness own")
    assert f"independent.example/w has the key of a {role} of {ORIGIN}" in said
