"""``ledger audit`` from a shell."""

from __future__ import annotations

import json
import shutil

import pytest

from ledger.format.layout import LOG_CHECKPOINT, head_key
from ledger.stores import FolderStore
from ledger.tlog import open_checkpoint, parse_witness_key
from tests.cli.shell import ORIGIN, TITLE, Shell

CITY = "city.example/witness"


@pytest.fixture
def logged(title: Shell) -> Shell:
    """A shell whose title's three versions are in the log."""
    title("key generate --for log -q")
    title("seal --genesis -q")
    return title


def log_keys(shell: Shell) -> list[object]:
    return [t.key for t in shell.keyring() if t.role == "log"]


def test_a_ledger_that_is_as_its_log_has_it(logged: Shell) -> None:
    lines = logged("audit").lines
    assert lines[0] == f"verified: 1 title, 3 entries of {ORIGIN}"
    assert lines[-1].startswith("as the log has it: 3 leaves, checkpoint ")
    assert logged("audit -q").out == ""


def test_the_answer_as_json_has_the_checkpoints(logged: Shell) -> None:
    logged("audit --state mine -q")
    said = logged("audit --state mine --json").json
    note = (logged.store / LOG_CHECKPOINT).read_text()
    assert said["outcome"] == "verified"
    assert said["log"] == {"checkpoint": note, "newest": note, "remembered": note}


def test_a_head_that_was_set_back_is_exit_code_20_and_named(logged: Shell) -> None:
    store = FolderStore(logged.store)
    first = logged(f"log {TITLE} v1 --json").objects[0]["address"]
    (logged.store / head_key(TITLE)).write_bytes(store.get(f"{TITLE}/{first}.json").data)
    logged("verify -q")
    said = logged("audit", code=20)
    assert f"tampering: not-as-logged: {head_key(TITLE)}" in said.out
    assert "as the log has it" not in said.out


def test_a_store_set_back_as_a_whole_leaves_both_checkpoints_as_evidence(logged: Shell) -> None:
    shutil.copytree(logged.store, logged.folder / "old")
    logged(f"append {TITLE} --set owner=Zoe")
    logged("seal -q")
    logged("audit --state mine -q")
    said = logged("audit --store old --state mine --report evidence", code=20)
    assert "log-set-back" in said.out
    log = json.loads((logged.folder / "evidence").read_text())["log"]
    assert log["checkpoint"].startswith(f"{ORIGIN}\n3\n")
    assert log["remembered"].startswith(f"{ORIGIN}\n4\n")
    assert "log-set-back" in logged("verify --store old --state mine", code=20).out


def test_how_long_entries_may_wait(logged: Shell) -> None:
    logged(f"append {TITLE} --set owner=Zoe")
    logged("audit -q")
    assert "overdue" in logged("audit --max-delay 0.001s", code=20).out
    assert "not a length of time" in logged.fails(2, "audit --max-delay soon")


def vkeys(shell: Shell) -> list[str]:
    return (shell.folder / "city.vkey").read_text().splitlines()


def test_a_witness_signs_what_held(logged: Shell) -> None:
    logged(f"key generate --for witness --name {CITY} --key city.pem -q")
    logged("audit --state mine --cosign signed --key city.pem -q")
    keys = [parse_witness_key(line) for line in vkeys(logged)]
    note = (logged.folder / "signed").read_bytes()
    opened = open_checkpoint(note, origin=ORIGIN, log_keys=log_keys(logged), witnesses=keys)
    assert [each.witness for each in opened.cosignatures] == keys
    assert "exists already" in logged.fails(65, "audit --state mine --cosign signed --key city.pem")


def test_a_witness_signs_nothing_that_did_not_hold(logged: Shell) -> None:
    logged(f"key generate --for witness --name {CITY} --key city.pem -q")
    (logged.store / head_key(TITLE)).unlink()
    logged("audit --state mine --cosign signed --key city.pem", code=20)
    assert not (logged.folder / "signed").exists()


def test_a_witness_has_a_memory_and_a_key(logged: Shell) -> None:
    assert "--state" in logged.fails(2, "audit --cosign signed")
    assert "no private key for a witness" in logged.fails(12, "audit --state mine --cosign signed")
    logged.fails(2, "audit --key city.pem")
    logged.fails(2, "audit --state same --report same")
    assert not (logged.folder / "signed").exists()


def test_a_policy_of_witnesses_is_demanded(logged: Shell) -> None:
    logged(f"key generate --for witness --name {CITY} --key city.pem -q")
    vkey = vkeys(logged)[-1]
    (logged.folder / "policy").write_text(f"witness city {vkey}\nquorum city\n")
    assert "not-witnessed" in logged("audit --witness policy", code=3).out
    logged("audit --state mine --cosign signed --key city.pem -q")
    logged("checkpoint --witness policy --add-cosignatures signed")
    said = logged("audit --witness policy").out
    assert "whether others were shown the same log, and" not in said
    assert "only witnesses" not in said


def test_without_a_log_there_is_nothing_to_audit_by(title: Shell) -> None:
    assert "there is no log" in title.fails(10, "audit")
