"""``ledger register``, ``ledger registration``, and what other commands say of a registration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ledger import Draft, Ledger, load_key

if TYPE_CHECKING:
    from tests.cli.shell import Shell

LINES = [
    {"title_number": "P1", "document": {"area": 0}, "status": "closed"},
    {"title_number": "P3", "area": 40},
    {"title_number": "P2", "area": 60},
]


@pytest.fixture
def split(shell: Shell) -> Shell:
    shell("append P1 --new --set area:=100 -q")
    write(shell, *LINES)
    return shell


def write(shell: Shell, *lines: object) -> None:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (shell.folder / "parts.jsonl").write_text(text)


def test_a_split_is_registered_shown_and_repeated(split: Shell) -> None:
    dry = split("register parts.jsonl --reference APP --dry-run --json").json
    assert [part["part"] for part in dry["parts"]] == [[1, 3], [2, 3], [3, 3]]
    assert split("registration APP", code=10).err.startswith("ledger: error: no entry has")
    done = split("register parts.jsonl --reference APP -m split --author clerk --json").json
    assert [part["repeated"] for part in done["parts"]] == [False] * 3
    assert {(part["message"], part["author"]) for part in done["parts"]} == {("split", "clerk")}
    again = split("register parts.jsonl --reference APP").lines
    assert again[0].startswith("part 1 of 3: P1 version 2 was there already: ")
    found = split("registration APP --json").json
    assert (found["complete"], found["missing"], found["conflicts"]) == (True, [], [])
    assert [entry["role"] for entry in found["entries"]] == ["closes", "begins", "begins"]
    assert found["titles"]["P1"] == {"came_from": [], "went_into": ["P2", "P3"]}
    assert "Came from: P1" in split("show P2").lines
    assert split("show P1 --json").json["went_into"] == ["P2", "P3"]
    assert split("titles --open").lines == ["P2", "P3"]
    assert split("titles --closed --json").objects == [{"title_number": "P1"}]


def test_an_incomplete_registration_is_named_finished_or_given_up(split: Shell) -> None:
    split("register parts.jsonl --reference 'APP 7' -q")
    last = split.store / "P3" / "head.json"
    head = last.read_bytes()
    last.unlink()  # as a power cut would have left it, before the last head moved
    shown = split("registration 'APP 7'", code=16)
    assert shown.lines[0] == "APP 7: INCOMPLETE, missing: 3 of 3"
    split("register parts.jsonl --reference 'APP 7' -q")
    assert split("registration 'APP 7' -q").out == ""
    assert last.read_bytes() != head  # sealed again, by another time
    last.unlink()
    given_up = split("register --give-up 'APP 7' -m withdrawn").lines
    assert [line.partition(" is ")[0] for line in given_up] == ["part 3 of 3: P2 version 2"]
    assert split("register --give-up 'APP 7'").lines == [
        "APP 7: no part is missing; nothing was written"
    ]
    assert "rectifies" in split("registration 'APP 7'").lines[-1]
    assert "is taken" in split("register parts.jsonl --reference 'APP 7'", code=11).err


def test_a_line_can_say_what_its_title_must_be(split: Shell) -> None:
    head = split("show P1 --json").json["address"]
    write(
        split, LINES[0] | {"parent": head}, {"title_number": "P1A", "document": {}, "parent": None}
    )
    split("append P1 --set area:=99 -q")
    refused = split("register parts.jsonl --reference APP", code=11)
    assert "head moved" in refused.err
    assert "P1A" not in split("titles").lines


def test_what_happens_meanwhile_leaves_a_command_to_paste(
    split: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        from ledger.errors import RegistrationIncomplete

        raise RegistrationIncomplete("incomplete")

    monkeypatch.setattr(Ledger, "register", fail)
    failed = split("register parts.jsonl --reference 'APP 7'", code=16)
    assert "give it up: ledger register --give-up 'APP 7'" in failed.err


def test_two_entries_of_one_part_and_what_the_log_lacks_are_named(split: Shell) -> None:
    split("key generate --for log -q")
    split("seal --genesis -q")
    split("register parts.jsonl --reference APP -q")
    assert "not in the log yet: 1 of 3: P1 version 2" in split("registration APP").lines
    split("seal -q")
    key = load_key(split.config / "key.pem")
    with Ledger.open(str(split.store), keyring=split.keyring(), signer=key) as ledger:
        ledger.submit(Draft("P9", {}, reference="APP", part=(2, 3)))
    shown = split("registration APP --json")
    assert shown.json["unlogged"] == [[2, 3]]
    assert shown.json["conflicts"] == [[2, 3]]
    assert shown.err == "ledger: note: more than one entry is part 2 of 3\n"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("register", "give either a FILE.jsonl"),
        ("register parts.jsonl", "give --reference"),
        ("register parts.jsonl --give-up APP", "give either a FILE.jsonl"),
        ("register --give-up APP --reference APP", "takes no option of what is to be registered"),
        ("titles --open --closed", "can't be used together"),
    ],
)
def test_a_wrong_command_line_is_refused(shell: Shell, line: str, why: str) -> None:
    assert why in shell(line, code=2).err


def test_bad_lines_are_named_and_nothing_is_written(split: Shell) -> None:
    write(
        split,
        {"title_number": ["P2"], "document": {}, "parent": None},
        {"title_number": "P2", "document": {}, "parent": "81be"},
        {"title_number": "P3", "document": {}, "parent": None},
        {"title_number": "P3", "document": {}, "parent": "0" * 64},
        {"title_number": "P4", "document": {}, "kin": "registration"},
    )
    refused = split("register parts.jsonl --reference APP", code=65).err
    for number, why in ((1, "title number"), (2, "address"), (4, "another parent"), (5, "'kin'")):
        assert f"line {number}: " in refused
        assert why in refused
    assert split("titles").lines == ["P1"]


def test_a_title_that_was_rectified_once_it_was_closed_still_says_what_it_went_into(
    split: Shell,
) -> None:
    split("register parts.jsonl --reference APP -q")
    period = "--kind rectification --effective 2010 --effective-until 2011"
    split(f"append P1 --set area:=99 {period} -q")
    assert split("show P1 --json").json["went_into"] == ["P2", "P3"]
    assert "Went into: P2, P3" in split("show P1").lines
    assert "went_into" not in split("show P1 v1 --json").json
