"""``ledger settle``, and how ``log`` and ``show`` name what is void or doesn't stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ledger.format.layout import head_key
from ledger.stores import FolderStore
from tests.cli.shell import Shell
from tests.trust.registry import ALICE, ALICE_ID, BOB, ERIN, Registry

if TYPE_CHECKING:
    from pathlib import Path

KEY = ALICE_ID[:16]


@pytest.fixture(scope="session")
def registry_made(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry(FolderStore(folder / "work" / "ledger-data"), folder)
    for title, key in (("TN1", BOB), ("TN1", ALICE), ("TN2", BOB), ("TN4", BOB)):
        registry.write(title, key)
    registry.seal()
    good = registry.size()
    registry.write("TN1", ALICE, message="honest work", reference="A 7")
    registry.write("TN2", ALICE)
    registry.seal()
    registry.write("TN1", ALICE)
    registry.write("TN3", ALICE)
    registry.revoke(ALICE, good)
    return registry


@pytest.fixture
def registry(registry_made: Registry, tmp_path: Path) -> Registry:
    """TN1: 3 (honest, logged) and 4 (pending) fell; TN2: 2 fell; TN3: all of it; TN4: nothing."""
    return registry_made.copied_to(tmp_path)


@pytest.fixture
def shell(registry: Registry, tmp_path: Path) -> Shell:
    """Bob's shell; he has pinned the first trust file."""
    shell = Shell.make(tmp_path / "work")
    shell.config.mkdir(parents=True)
    (shell.config / "keyring.json").write_bytes(registry.keyring.encode())
    key = shell.config / "key.pem"
    key.write_bytes(BOB.pem())
    key.chmod(0o600)
    shell.environment["LEDGER_STORE"] = str(shell.store)
    return shell


def test_without_answers_it_lists_and_writes_nothing(shell: Shell) -> None:
    before = shell.listing()
    done = shell(f"settle {KEY}", code=3)
    lines = [line for line in done.lines if line.startswith("TN")]
    assert [re.sub(r" 2026-11-23T10:00:..Z ", " ", line) for line in lines] == [
        f"TN1:4 alice ({KEY}) key-ended",
        f"TN1:3 alice ({KEY}) key-ended",
        f"TN2:2 alice ({KEY}) key-ended",
        f"TN3:1 alice ({KEY}) key-ended",
    ]
    assert "    message: honest work" in done.lines
    assert "    reference: A 7" in done.lines
    assert "not settled: 4 entries of 3 titles" in done.lines
    assert shell.listing() == before
    assert shell(f"settle {KEY} -q", code=3).out == ""


def test_as_json_it_lists_an_object_for_each(shell: Shell) -> None:
    found = shell(f"settle {KEY} --json", code=3).objects
    assert [(each["title_number"], each["version"]) for each in found] == [
        ("TN1", 4),
        ("TN1", 3),
        ("TN2", 2),
        ("TN3", 1),
    ]
    assert found[0]["standing"] == {"stands": False, "reason": "key-ended", "by": None}
    assert found[0]["held_by"] is None


def test_answers_settle_title_by_title(shell: Shell) -> None:
    done = shell(f"settle {KEY} --confirm TN1:3 --void TN1:4 -m theft --reference CRIME-7")
    (line,) = done.lines
    assert line.startswith("TN1 version 5 is ")
    assert line.endswith(": confirms 3; voids 4")
    assert "(it was there already)" in shell(f"settle {KEY} --confirm TN1:3 --void TN1:4").out
    assert shell(f"settle {KEY}", code=3).lines[-2] == "not settled: 2 entries of 2 titles"
    shell("verify TN1")


def test_all_is_all_that_is_listed_but_what_is_named(shell: Shell) -> None:
    done = shell(f"settle {KEY} --void all --confirm TN1:3 -m theft")
    assert [line.split(" ")[0] for line in done.lines if " key-ended" in line] == [
        "TN1:4",
        "TN1:3",
        "TN2:2",
        "TN3:1",
    ], "the list comes first"
    assert [line.split(": ")[1] for line in done.lines if " is " in line] == [
        "confirms 3; voids 4",
        "voids 2",
        "voids 1",
    ]
    shell("verify")
    done = shell(f"settle {KEY} --void all")
    assert done.lines == ["nothing to settle: all that this key signed counts, or is settled"]
    assert shell(f"settle {KEY}").lines == done.lines


def test_all_confirmed_as_json(shell: Shell) -> None:
    done = shell(f"settle {KEY} --confirm all --json").objects
    assert [(each["title_number"], each["confirms"]) for each in done[4:]] == [
        ("TN1", [3, 4]),
        ("TN2", [2]),
        ("TN3", [1]),
    ]
    assert {each["repeated"] for each in done[4:]} == {False}


def test_one_title_that_cannot_be_settled_does_not_stop_the_others(
    shell: Shell, registry: Registry
) -> None:
    good = registry.ledger().entry("TN2", "v1")
    (shell.store / head_key("TN2")).write_bytes(good.data)
    done = shell(f"settle {KEY} --void all --confirm TN2:1", code=20)
    assert "TN2 is not settled" in done.err
    assert "ledger recover TN2" in done.err
    assert [line.split(" ")[0] for line in done.lines if " is " in line] == ["TN1", "TN3"]
    shell("recover TN2")
    assert shell(f"settle {KEY} --void all").lines[-1].endswith(": voids 2")
    shell("verify")


def test_a_name_of_an_entry_that_counts_is_refused(shell: Shell) -> None:
    done = shell(f"settle {KEY} --void TN4:1", code=65)
    assert "version 1 counts" in done.err


def test_a_document_for_a_title_of_which_nothing_stands(shell: Shell) -> None:
    shell(f"settle {KEY} --void TN3:1 --set proprietor=Crown")
    assert shell("show TN3 --json").json["document"] == {"proprietor": "Crown"}


@pytest.mark.parametrize(
    "line",
    [
        "--confirm TN1",
        "--void TN1:x",
        "--void TN1:-1",
        "--void TN1:0",
        "--confirm all --void all",
        "--confirm TN1:3 --void TN1:3",
        "--set a=b",
        "-m words",
        "--lost",
        "--void all --set a=b",
        "--void TN1:3 --void TN2:2 --set a=b",
    ],
)
def test_answers_that_make_no_sense_are_a_mistake_of_usage(shell: Shell, line: str) -> None:
    before = shell.listing()
    shell.fails(2, f"settle {KEY} {line}")
    assert shell.listing() == before


def test_what_only_a_fallen_settlement_held_follows_it(shell: Shell, registry: Registry) -> None:
    """Alice settles what Erin's thief did; then her settlement falls as well."""
    registry.write("TN9", BOB)
    registry.seal()
    registry.write("TN9", ERIN)
    registry.revoke(ERIN, registry.size())
    registry.plant("TN9", ALICE, voids=(2,), kind="rectification", document={"n": 1})
    done = shell(f"settle {KEY}", code=3)
    at = done.lines.index("    voided by version 3, which does not stand any more")
    assert done.lines[at - 2].startswith("TN9:2 ")
    done = shell(f"settle {KEY} --void all --confirm TN9:3")
    assert [line for line in done.lines if line.startswith("TN9 ")][-1].endswith(": confirms 3")
    shell("verify")


def test_what_it_could_not_see_is_said(shell: Shell, registry: Registry) -> None:
    entry = registry.ledger().entry("TN4")
    (shell.store / f"TN4/{entry.address}.json").write_bytes(b"{}")
    done = shell(f"settle {KEY}", code=20)
    assert "tampering: address-mismatch" in done.out
    assert {"finding"} == set(shell(f"settle {KEY} --json", code=20).objects[-1])
    assert "voids 3, 4" in shell(f"settle {KEY} --void all", code=20).out, "in spite of it"


# -- Marks -----------------------------------------------------------------------------------------


def test_the_log_of_a_title_says_what_does_not_stand(shell: Shell) -> None:
    lines = shell("log TN1 --oneline").lines
    reason = "(does not stand: it is not in the log before its key ends)"
    assert [reason in line for line in lines] == [True, True, False, False]
    shell(f"settle {KEY} --confirm TN1:3 --void TN1:4")
    lines = shell("log TN1 --oneline").lines
    assert "(void, by version 5)" in lines[1]
    assert "(confirmed by version 5)" in lines[2]
    full = shell("log TN1").out
    assert "(void, by version 5)" in full
    shown = shell("log TN1 --json").objects
    assert [each.get("standing") for each in shown] == [
        None,
        {"stands": False, "reason": None, "by": 5},
        {"stands": True, "reason": None, "by": 5},
        None,
        None,
    ]
    assert "(void, by version 5)" in shell("show TN1 v4").lines[0]
    assert shell("show TN1 v4 --json").json["standing"]["by"] == 5


def test_answers_about_time_name_what_they_passed_over(shell: Shell) -> None:
    done = shell("show TN1 --effective 2026-11-23 --json")
    assert done.json["version"] == 2
    assert [each["version"] for each in done.json["passed_over"]] == [4, 3]
    assert "passed over: version 4 (does not stand" in done.err
    shell(f"settle {KEY} --confirm TN1:3 --void TN1:4")
    done = shell("show TN1 --recorded 2026-11-23 --json")
    assert (done.json["version"], done.json["passed_over"]) == (
        3,
        [{"version": 4, "stands": False, "reason": None, "by": 5}],
    )
    assert done.err == "ledger: note: passed over: version 4 (void, by version 5)\n"
    assert "passed over" in shell("cat TN1 --recorded 2026-11-23").err


def test_a_head_that_does_not_stand_takes_nothing(shell: Shell) -> None:
    error = shell.fails(12, "append TN1 --set a=b")
    assert f"ledger settle {KEY}" in error
