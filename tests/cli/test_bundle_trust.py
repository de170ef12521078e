"""Bundles and receipts by trust files: ``verify``, ``audit``, ``import`` and ``check``."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ledger.format.layout import trust_key
from ledger.stores import FolderStore
from tests.cli.shell import Shell
from tests.trust.registry import ALICE, ALICE_ID, Registry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """TN1: 1 by Alice, 2 by her thief; TN2: Bob's."""
    registry = Registry(FolderStore(tmp_path / "work" / "ledger-data"), tmp_path)
    registry.write("TN1", ALICE)
    registry.write("TN2")
    registry.seal()
    good = registry.size()
    registry.write("TN1", ALICE)
    registry.seal()
    registry.revoke(ALICE, good)
    registry.seal()
    return registry


@pytest.fixture
def shell(registry: Registry, tmp_path: Path) -> Shell:
    """The shell of somebody who has pinned the first trust file."""
    shell = Shell.make(tmp_path / "work")
    shell.config.mkdir(parents=True)
    (shell.config / "keyring.json").write_bytes(registry.keyring.encode())
    shell.environment["LEDGER_STORE"] = str(shell.store)
    return shell


def settle(registry: Registry) -> None:
    registry.ledger().settle("TN1", voids=[2])
    registry.seal()


def test_verify_and_audit_of_a_bundle_go_by_its_trust_files(
    shell: Shell, registry: Registry
) -> None:
    shell("export stolen.bundle")
    said = shell("verify --bundle stolen.bundle", code=20)
    assert "key-ended" in said.out
    (hint,) = (line for line in said.lines if line.startswith("to settle what it signed: "))
    assert " ledger settle " in hint
    assert "key-ended" in shell("audit --bundle stolen.bundle", code=20).out
    settle(registry)
    shell("export all.bundle")
    shell("verify --bundle all.bundle --report verified.json")
    shell("audit --bundle all.bundle")
    keys = json.loads((shell.folder / "verified.json").read_bytes())["keys"]
    assert ALICE_ID in [each["key"] for each in keys]
    shell("export one.bundle TN1")
    done = shell("verify -v --bundle one.bundle", code=3)
    assert "position-unknown" in done.out
    assert "all leaves of the log" in done.out


def test_trust_files_at_hand_judge_an_older_bundle(shell: Shell, registry: Registry) -> None:
    shell("export old.bundle")
    registry.write("TN2")
    registry.seal()
    registry.publish(keys=registry.without("erin"))
    assert "key-ended" in shell("verify --bundle old.bundle", code=20).out
    done = shell("verify --bundle old.bundle --trust ledger-data", code=3)
    assert "log-behind-pin" in done.out
    assert "position-unknown" in done.out
    assert "--bundle" in shell("verify TN2 --trust ledger-data", code=2).err
    assert "--bundle" in shell("audit --trust ledger-data", code=2).err


def test_import_restores_the_trust_files(shell: Shell, registry: Registry) -> None:
    shell("export stolen.bundle")
    assert "ledger settle" in shell("import stolen.bundle --store other", code=12).err
    settle(registry)
    shell("export all.bundle")
    done = shell("import all.bundle --store other --json").json
    assert (done["moved"], done["trust_left_out"]) == (2, False)
    shell("audit --store other")
    shell("export one.bundle TN1")
    shell("import one.bundle --store third")  # its head stands
    assert "position-unknown" in shell("verify TN1 --store third", code=3).out


def test_a_store_without_its_trust_files_takes_them_from_a_bundle(
    shell: Shell, registry: Registry
) -> None:
    settle(registry)
    shell("export all.bundle")
    shell("import all.bundle --store other")
    for version in (1, 2):
        (shell.folder / "other" / trust_key(version)).unlink()
    shell("audit --store other", code=20)
    shell("import all.bundle --store other")
    shell("audit --store other")


def test_without_a_root_trust_files_are_left_out(shell: Shell, registry: Registry) -> None:
    settle(registry)
    shell("export all.bundle")
    (shell.config / "keyring.json").write_bytes(registry._before.encode())
    assert "only trust files say" in shell("import all.bundle --store other", code=14).err
    shell("export one.bundle TN2")
    done = shell("import one.bundle --store other", code=3)
    assert "the trust files were left out" in done.err


def test_check_takes_trust_files_from_anywhere(shell: Shell, registry: Registry) -> None:
    settle(registry)
    (shell.folder / "entry").write_bytes(shell("cat TN1 v1").data)
    shell("prove TN1 v1 -o receipt")
    shell("export all.bundle")
    shutil.copytree(shell.store / "_trust", shell.folder / "files")
    for copy in ("ledger-data", "files", "all.bundle"):
        assert "verified" in shell(f"check receipt --entry entry --trust {copy}").out
    both = "--trust files/1.json --trust files/2.json"
    assert "verified" in shell(f"check receipt --entry entry {both}").out
    done = shell("check receipt --entry entry", code=3)
    assert "trust-missing" in done.out
    assert "--trust" in done.err + done.out
    shell("check receipt --entry entry --trust nothing", code=10)
    shell("check receipt --entry entry --trust entry", code=65)
    assert "--vkey" in shell("check receipt --entry entry --trust files --vkey x", code=2).err


def test_check_says_what_a_receipt_does_not_show(shell: Shell, registry: Registry) -> None:
    (shell.folder / "entry").write_bytes(shell("cat TN1 v2").data)
    shell("prove TN1 v2 -o receipt")
    done = shell("check receipt --entry entry --trust ledger-data", code=3)
    assert "position-unknown" in done.out
    (shell.folder / "entry").write_bytes(shell("cat TN1 v1").data)
    shell("prove TN1 v1 -o old")
    registry.write("TN2")
    registry.seal()
    registry.publish(keys=registry.without("erin"))
    done = shell("check old --entry entry --trust ledger-data", code=3)
    assert "'ledger prove' makes a newer receipt" in done.out


def test_trust_needs_a_root(shell: Shell, registry: Registry) -> None:
    (shell.folder / "entry").write_bytes(shell("cat TN1 v1").data)
    shell("prove TN1 v1 -o receipt")
    (shell.config / "keyring.json").write_bytes(registry._before.encode())
    done = shell("check receipt --entry entry --trust ledger-data", code=12)
    assert "ledger trust pin" in done.err
    assert "verified" in shell("check receipt --entry entry").out
