"""``verify``, ``fsck``, ``recover``: what holds, what doesn't, and what can't be told."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from ledger.errors import StoreDenied
from ledger.stores import FolderStore
from tests.cli.shell import ORIGIN, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def entry_file(shell: Shell, version: int) -> Path:
    return shell.store / TITLE / f"{shell.addresses()[version - 1]}.json"


def change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_all_titles(title: Shell) -> None:
    title("append TN2 --new --set a=b")
    verdict, short = title("verify").lines
    assert verdict == f"verified: 2 titles, 4 entries of {ORIGIN}"
    assert short.startswith("not checked: ")
    assert "latest version; whether a title is missing (-v explains)" in short
    said = title("verify -v").lines
    assert said[0] == verdict
    assert all(line.startswith("not checked: ") for line in said[1:])
    assert any("whether a title is missing" in line for line in said)
    assert any("--expect" in line for line in said)


def test_one_title_and_several(title: Shell) -> None:
    title("append TN2 --new --set a=b")
    title("append TN3 --new --set a=b")
    assert title(f"verify {TITLE}").lines[0] == f"verified: 1 title, 3 entries of {ORIGIN}"
    assert title("verify TN2 TN3").lines[0] == f"verified: 2 titles, 2 entries of {ORIGIN}"


def test_an_empty_ledger(shell: Shell) -> None:
    assert shell("verify").lines[0] == f"verified: 0 titles, 0 entries of {ORIGIN}"


def test_a_pin_shows_that_nothing_was_set_back(title: Shell) -> None:
    first, _, head = title.addresses()
    said = title(f"verify {TITLE} --expect {head}").out
    assert "latest version" not in said
    title(f"verify {TITLE} --expect {first}")
    wrong = title(f"verify {TITLE} --expect {'0' * 64}", code=20).out
    assert "mismatch: pin-missing" in wrong
    assert "NOT WHAT YOU REMEMBER" in wrong
    assert "tampering" not in wrong
    assert "signed" not in wrong
    assert "not an address" in title.fails(65, f"verify {TITLE} --expect 1234")


def test_below_an_address_that_was_verified_before(title: Shell) -> None:
    _, middle, _ = title.addresses()
    change_a_byte(entry_file(title, 1))
    said = title(f"verify {TITLE} -v --since {middle}").lines
    assert said[0] == f"verified: 1 title, 2 entries of {ORIGIN}"
    assert "taken on trust" in said[1]


def test_an_empty_pin_is_not_no_pin(title: Shell) -> None:
    for option in ("--expect", "--since"):
        assert re.search(
            "not an? (address|revision)", title.fails(65, f"verify {TITLE} {option}", "")
        )
        assert "need exactly one TITLE" in title.fails(2, f"verify {option}", "")
    assert "wrong-ledger" in title("verify --origin", "", code=20).out
    assert "not an address" in title.fails(65, f"recover {TITLE} --to", "")


def test_pins_are_about_one_title(title: Shell) -> None:
    address = "0" * 64
    for options in (f"--expect {address}", f"--since {address}", f"A B --expect {address}"):
        assert "need exactly one TITLE" in title.fails(2, f"verify {options}")


@pytest.mark.parametrize("command", ["verify", f"verify {TITLE}", f"verify {TITLE} TN2", "fsck"])
def test_a_changed_byte_is_named(title: Shell, command: str) -> None:
    title("append TN2 --new --set a=b")
    victim = entry_file(title, 2)
    change_a_byte(victim)
    for options in ("", "-q"):
        said = title(f"{command} {options}", code=20).out
        assert said.startswith("tampering: ")
        assert f"{TITLE}/{victim.name}" in said
        assert f"NOT VERIFIED: {ORIGIN} is not as it was signed" in said
    report = title(f"{command} --json", code=20).json
    assert report["outcome"] == "tampered"
    assert report["findings"][0]["severity"] == "tampering"
    assert report["findings"][0]["object"] == f"{TITLE}/{victim.name}"


def test_a_report_as_json(title: Shell) -> None:
    report = title("verify --json").json
    assert report.pop("not_shown")
    assert report == {
        "outcome": "verified",
        "origin": ORIGIN,
        "titles": 1,
        "entries": 3,
        "findings": [],
    }


def test_a_quiet_verification_that_holds_says_nothing(title: Shell) -> None:
    assert title("verify -q").out == ""
    assert title("fsck -q").out == ""


def test_what_can_not_be_read_is_neither_sound_nor_tampered(
    title: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, _ = title.addresses()
    get = FolderStore.get

    def denied(store: FolderStore, key: str) -> object:
        if first in key:
            raise StoreDenied("no permission to read it")
        return get(store, key)

    monkeypatch.setattr(FolderStore, "get", denied)
    said = title(f"verify {TITLE}", code=3).out
    assert said.startswith(f"unchecked: store-denied: {TITLE}/{first}.json")
    assert "not everything could be checked" in said
    assert title("verify --json", code=3).json["outcome"] == "unchecked"
    change_a_byte(title.store / TITLE / "head.json")
    title("verify", code=20)  # tampering outranks it


def test_a_title_that_is_not_there(shell: Shell) -> None:
    assert "no such title: TN404" in shell.fails(10, "verify TN404")


def test_a_key_that_counts_no_more(title: Shell) -> None:
    key = title("status --json").json["key"]
    title(f"key trust {_public_key_of_another(title)} --origin {ORIGIN}")
    title(f"key untrust {key}")
    assert "unknown-key" in title("verify", code=20).out


def _public_key_of_another(shell: Shell) -> str:
    shell("key generate --key other.pem")
    (shell.folder / "other.pub").write_text(shell("key show --key other.pem").out)
    return "other.pub"


# -- Another ledger in its place -----------------------------------------------------------------


@pytest.fixture
def swapped(bare: Shell) -> Shell:
    """Two ledgers of one user; the second one's store lies where the first one's was."""
    bare("init --origin example.org/a")
    bare("append TN1 --new --set a=b")
    bare("init other --origin example.org/b")
    bare("append TN1 --new --set a=b --store other")
    shutil.rmtree(bare.store)
    shutil.copytree(bare.folder / "other", bare.store)
    return bare


@pytest.mark.parametrize("command", ["verify", "verify TN1", "fsck"])
def test_another_ledger_in_its_place_is_named(swapped: Shell, command: str) -> None:
    said = swapped(command, code=20).out
    assert said.startswith("tampering: wrong-ledger: ledger.json: ")
    assert "holds the ledger example.org/b, not example.org/a" in said
    (finding,) = swapped(f"{command} --json", code=20).json["findings"]
    assert finding["object"] == "ledger.json"


def test_no_other_command_opens_it_either(swapped: Shell) -> None:
    for command in ("log TN1", "show TN1", "append TN1 --set a=c", "titles", "status", "export x"):
        said = swapped.fails(12, command)
        assert "holds the ledger example.org/b, not example.org/a" in said, command


def test_who_means_the_other_ledger_can_say_so(swapped: Shell) -> None:
    swapped("verify --origin example.org/b")
    swapped("log TN1", LEDGER_ORIGIN="example.org/b")


def test_the_ledger_that_it_has_to_be(swapped: Shell) -> None:
    (swapped.config / "stores.json").unlink()
    said = swapped("verify --origin example.org/a", code=20).out
    assert "wrong-ledger: ledger.json" in said
    noted = swapped("verify --verbose").out
    assert "which ledger this should be: your keyring knows 1 more" in noted
    assert "LEDGER_ORIGIN" in noted


def test_a_damaged_identity(title: Shell) -> None:
    (title.store / "ledger.json").write_text("{}")
    assert "malformed-ledger: ledger.json" in title("verify", code=20).out
    title.fails(20, f"log {TITLE}")


def test_an_unknown_format(title: Shell) -> None:
    (title.store / "ledger.json").write_text('{"format":2,"origin":"example.org/titles"}')
    assert "a ledger of format 2; this version knows 1" in title.fails(14, "verify")
    assert "format 2" in title.fails(14, f"append {TITLE} --set a=b")


def test_an_origin_that_the_keyring_does_not_know(
    title: Shell, new_shell: Callable[[str], Shell]
) -> None:
    auditor = new_shell("auditor")
    said = auditor.fails(12, "verify --store", str(title.store))
    assert f"says it is the ledger {ORIGIN}, which your keyring doesn't know" in said
    assert f"ledger key trust FILE --origin {ORIGIN}" in said


def test_the_unsigned_store_of_the_original_service(bare: Shell) -> None:
    (bare.store / TITLE).mkdir(parents=True)
    (bare.store / TITLE / "head.json").write_text('{"proprietor":"Ada"}')
    for command in ("verify", f"log {TITLE}", "init"):
        said = bare.fails(14, command)
        assert "the unsigned store of the original service" in said, command
    assert not (bare.store / "ledger.json").exists()


# -- fsck and recover ----------------------------------------------------------------------------


def test_fsck_warns_of_what_is_in_no_chain(title: Shell) -> None:
    addresses = title.addresses()
    (title.store / TITLE / "head.json").write_bytes(entry_file(title, 2).read_bytes())
    (title.store / TITLE / "notes.txt").write_text("hello")
    said = title("fsck").out
    assert f"warning: dangling-entry: {TITLE}/{addresses[2]}.json" in said
    assert "warning: stray-object" in said
    assert f"verified: 1 title, 2 entries of {ORIGIN}" in said
    assert "dangling" not in title("verify").out


def test_fsck_checks_what_is_in_no_chain(title: Shell) -> None:
    victim = entry_file(title, 3)
    (title.store / TITLE / "head.json").write_bytes(entry_file(title, 2).read_bytes())
    change_a_byte(victim)
    assert victim.name in title("fsck", code=20).out
    title("verify")


def test_recover_a_head_that_was_lost(title: Shell) -> None:
    *_, head = title.addresses()
    (title.store / TITLE / "head.json").unlink()
    assert "'ledger recover'" in title.fails(10, f"log {TITLE}")
    assert f"ledger recover {TITLE}" in title.fails(11, f"append {TITLE} --set a=b")
    assert title(f"recover {TITLE}").out == f"{TITLE} is at version 3 again: {head}\n"
    title(f"verify {TITLE} --expect {head}")


def test_recover_asks_which_of_several(title: Shell) -> None:
    first, middle, head = title.addresses()
    (title.store / TITLE / "head.json").write_bytes(entry_file(title, 1).read_bytes())
    title(f"append {TITLE} --set proprietor=Hedy")
    other = title.addresses()[-1]
    (title.store / TITLE / "head.json").unlink()
    said = title.fails(11, f"recover {TITLE}")
    assert head in said
    assert other in said
    assert "--to ADDRESS" in said
    assert first in title.fails(11, f"recover {TITLE} --to {first}")
    title.fails(20, f"recover {TITLE} --to {other} --expect {middle}")
    assert title(f"recover {TITLE} --to {head} --json").json["address"] == head


def test_recover_leaves_a_head_that_can_be_read(title: Shell) -> None:
    assert "is readable: version 3" in title.fails(11, f"recover {TITLE}")
    assert "nothing to recover" in title.fails(10, "recover TN404")
