"""``ledger clone`` and ``ledger pull``: an auditor with nothing but a URL and a pin."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ledger.format.layout import head_key
from ledger.service import Settings, create_app
from ledger.service.tokens import parse_tokens
from ledger.stores import FolderStore
from tests.cli.shell import TITLE, Shell
from tests.service.client import listening
from tests.trust.registry import ALICE, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "0123456789abcdef"


@pytest.fixture
def logged(title: Shell) -> Shell:
    """A ledger with a log, and one title with a version."""
    title("key generate --for log")
    title("seal --genesis")
    return title


@pytest.fixture(scope="session")
def settled_made(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("settled")
    registry = Registry(FolderStore(folder / "registry"), folder)
    registry.write("TN1", ALICE)
    registry.write("TN2")
    registry.seal()
    good = registry.size()
    registry.write("TN1", ALICE)
    registry.seal()
    registry.revoke(ALICE, good)
    registry.seal()
    registry.ledger().settle("TN1", voids=[2])
    registry.seal()
    return registry


@pytest.fixture
def registry(settled_made: Registry, tmp_path: Path) -> Registry:
    """Alice's key was stolen and revoked, and what her thief wrote is settled."""
    return settled_made.copied_to(tmp_path)


@pytest.fixture
def service(registry: Registry) -> Iterator[str]:
    tokens = parse_tokens(f"auditor read {TOKEN}")
    with listening(create_app(registry.ledger(None), Settings(tokens=tokens))) as url:
        yield url


def test_a_copy_is_made_audited_and_kept_up_to_date(logged: Shell) -> None:
    said = logged("clone ledger-data copy").out
    assert "titles moved: 1" in said
    assert "ledger audit --store copy" in said
    assert "verified: 1 title" in logged("audit --store copy").out
    assert logged("pull --store copy").out == "nothing new\n"
    logged(f"append {TITLE} --set a=b -q")
    logged("append TN2 --new --set a=b -q")
    logged("seal -q")
    shown = logged("pull --store copy --json").json
    assert (shown["moved"], shown["log_leaves"], shown["not_logged"]) == (2, 2, 0)
    logged("audit --store copy")
    logged("pull ledger-data --store copy")


def test_what_is_not_logged_yet_is_said(logged: Shell) -> None:
    logged(f"append {TITLE} --set a=b -q")
    assert "not in the log yet: newer versions of 1 title" in logged("clone ledger-data copy").err
    logged("audit --store copy")


def test_a_url_and_a_pin_are_enough(
    bare: Shell, registry: Registry, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = registry.files[0].digest
    assert "LEDGER_TOKEN" in bare.fails(13, f"clone {service} copy --pin {digest}")
    bare.environment["LEDGER_TOKEN"] = TOKEN
    assert "your keyring doesn't know" in bare.fails(12, f"clone {service} copy")
    assert not (bare.folder / "copy").exists()
    bare(f"clone {service} copy --pin {digest}")
    assert bare("audit --store copy").out.startswith("verified: 2 titles")
    registry.write("TN2")
    registry.seal()
    bare("pull --store copy")
    assert "TN2 version 2" in bare("show TN2 --store copy").out
    assert TOKEN not in (bare.config / "stores.json").read_text()
    another = registry.files[1].digest
    assert "pinned another trust file" in bare.fails(12, f"clone {service} c2 --pin {another}")


def test_keys_can_be_named_in_place_of_a_pin(logged: Shell, new_shell) -> None:
    for role in ("registrar", "log"):
        text = logged(f"key show --for {role}").out
        (logged.folder / f"{role}.pem").write_text(text)
    auditor = new_shell("auditor")
    place = logged.folder
    keys = f"--registrar {place}/registrar.pem --log-key {place}/log.pem"
    auditor(f"clone {place}/ledger-data copy {keys}")
    assert auditor("audit --store copy").out.startswith("verified: 1 title")


def test_a_token_is_not_sent_where_a_project_file_leads(bare: Shell, service: str) -> None:
    bare.environment["LEDGER_TOKEN"] = TOKEN
    (bare.folder / "ledger.toml").write_text(f'store = "{service}"\n')
    assert "401" in bare.fails(13, "titles")
    assert "your keyring doesn't know" in bare.fails(12, f"titles --store {service}")


def test_a_source_that_lies_is_named(logged: Shell) -> None:
    store = logged.folder / "ledger-data"
    logged("clone ledger-data copy")
    shutil.copytree(store, logged.folder / "old")
    logged(f"append {TITLE} --set a=b -q")
    logged("append TN2 --new --set a=b -q")
    logged("seal -q")
    head = store / head_key(TITLE)
    kept = head.read_bytes()
    head.write_bytes((logged.folder / "old" / head_key(TITLE)).read_bytes())
    said = logged.fails(20, "pull --store copy")
    assert "not-as-logged" in said
    assert "it was set back" in said
    assert "the log of the copy" in said
    logged("audit --store copy", code=20)  # TN2 came, and its leaf did not: until the next pull
    head.write_bytes(kept)
    logged("pull --store copy")
    logged("audit --store copy")
    assert "an older state is served" in logged.fails(20, "pull old --store copy")
    logged("audit --store copy")
    assert logged("pull --store copy --json").json["source"].endswith("/ledger-data")  # not old
    shutil.rmtree(logged.folder / "old" / "_log")
    said = logged("clone old c2")
    assert "no log" in said.err
    assert "no log" not in logged("pull --store copy").err


def test_wrong_places_are_refused(logged: Shell, new_shell, registry: Registry) -> None:
    assert "never cloned" in logged.fails(65, "pull")
    assert "no ledger in" in logged.fails(13, "clone nothing copy")
    assert "holds the ledger" in logged.fails(12, "clone ledger-data copy --origin example.org/x")
    assert "read-only" in logged.fails(13, "clone ledger-data https://register.example")
    web = "--store https://register.example"
    assert "read-only" in logged.fails(13, f"append {TITLE} --set a=b {web}")
    stores = json.loads((logged.config / "stores.json").read_text())
    assert "sources" not in stores
