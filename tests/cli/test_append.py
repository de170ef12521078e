"""``append``: what is registered, what is refused, and that nothing is written then."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import TITLE, Shell

NESTED = "[" * 64 + "]" * 64
HUGE = "1" + "0" * 400


def test_from_a_file_and_from_stdin(shell: Shell) -> None:
    (shell.folder / "a.json").write_text('{"proprietor": "Ada"}')
    said = shell(f"append {TITLE} a.json -m first").out
    assert said == f"{TITLE} version 1 is {shell.addresses()[-1]}\n"
    shell(f"append {TITLE} -", stdin=b'{"proprietor": "Grace"}')
    assert shell(f"show {TITLE} --json").json["document"] == {"proprietor": "Grace"}


def test_as_json(shell: Shell) -> None:
    entry = shell(
        f"append {TITLE} --new --set a=b -m why --reference case-1 --effective 2026-01-31 --json"
    ).json
    assert entry["title_number"] == TITLE
    assert entry["version"] == 1
    assert entry["parent"] is None
    assert entry["message"] == "why"
    assert entry["reference"] == "case-1"
    assert entry["effective_at"] == "2026-01-31"
    assert entry["kind"] == "registration"
    assert len(entry["address"]) == 64


def test_what_a_person_may_say_of_a_version(shell: Shell) -> None:
    said = "--effective 2020 --effective-until 2021-06 --kind migration --author Ada -m why --close"
    dry = shell(f"append {TITLE} --new --set a=b {said} --dry-run").out
    shell(f"append {TITLE} --new --set a=b {said}")
    shown = shell(f"show {TITLE}").out
    for line in (
        "Author:    Ada",
        "Effective: 2020 until 2021-06",
        "Kind:      migration",
        "Status:    closed",
    ):
        assert f"\n{line}\n" in dry
        assert f"\n{line}\n" in shown
    entry = shell(f"show {TITLE} --json").json
    assert (entry["effective_at"], entry["effective_until"]) == ("2020", "2021-06")
    assert (entry["kind"], entry["status"], entry["author"]) == ("migration", "closed", "Ada")
    assert " (HEAD) (closed) why" in shell(f"log {TITLE} --oneline").out
    assert "not a kind of entry" in shell.fails(65, f"append {TITLE} --set a=c --kind sale")


def test_a_closed_title_takes_what_reopens_it(shell: Shell) -> None:
    shell(f"append {TITLE} --new --set a=1 --close")
    assert "version 1 closed it" in shell.fails(11, f"append {TITLE} --set a=2")
    assert "--reopen" in shell.fails(11, f"append {TITLE} --set a=2 --dry-run")
    shell(f"append {TITLE} --set a=2 --kind rectification")
    assert shell(f"show {TITLE} --json").json["status"] == "closed"
    shell(f"append {TITLE} --set a=3 --reopen")
    shell(f"append {TITLE} --set a=4")
    assert shell(f"show {TITLE} --json").json["status"] == "open"
    assert "used together" in shell.fails(2, f"append {TITLE} --set a=5 --close --reopen")


def test_the_author_is_named_by_an_option_a_variable_or_the_users_file(shell: Shell) -> None:
    def author(options: str = "", **environment: str) -> object:
        shell(f"append {TITLE} - {options}", stdin=b"{}", **environment)
        return shell(f"show {TITLE} --json").json["author"]

    assert author() == ""
    (shell.config / "config.toml").write_text('author = "Ada"\n')
    assert author() == "Ada"
    assert author(LEDGER_AUTHOR="Grace") == "Grace"
    assert author("--author Hedy", LEDGER_AUTHOR="Grace") == "Hedy"
    assert author("--author ''", LEDGER_AUTHOR="Grace") == ""


def test_a_late_registration_does_not_displace_a_later_one_unawares(title: Shell) -> None:
    late = f"append {TITLE} --set proprietor=Eve --effective 2020-01-01"
    said = title.fails(11, late)
    assert "version 3 holds from 2026-01-31, and this would take its place" in said
    assert "--effective-until 2026-01-31; or insist with --supersede-later" in said
    title(f"{late} --effective-until 2026-01-31")
    title(f"{late} --supersede-later")


def test_a_version_that_says_nothing_new_is_told_of(title: Shell) -> None:
    again = f"append {TITLE} --set charge=Bank --effective 2026-01-31 --supersede-later"
    *_, head = title.addresses()
    left_out = title(f"{again} --skip-unchanged")
    assert left_out.out == f"{TITLE} version 3 says it already, so nothing was appended: {head}\n"
    assert title(f"{again} --skip-unchanged --dry-run").out == left_out.out
    assert title(f"{again} --skip-unchanged --json").json["unchanged"] is True
    note = "ledger: note: version 4 says nothing that version 3 didn't; --skip-unchanged leaves"
    assert title(f"{again} --dry-run").err.startswith(note)
    assert title.addresses()[-1] == head
    assert title(again).err.startswith(note)
    assert title(f"{again} -q").err == ""
    assert len(title.addresses()) == 5


def test_a_title_that_is_not_there_is_not_made_by_a_slip(shell: Shell) -> None:
    said = shell.fails(10, f"append {TITLE} --set a=b")
    assert f"no such title: {TITLE}\n" in said
    assert "add --new" in said
    shell(f"append {TITLE} --new --set a=b")


def test_quietly(shell: Shell) -> None:
    assert shell(f"append {TITLE} --new --set a=b -q").out == ""


# -- --set ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["a=1"], {"a": "1"}),
        (["a:=1"], {"a": 1}),
        (["a="], {"a": ""}),
        (["a=b=c"], {"a": "b=c"}),
        (['a:={"b": [true, null]}'], {"a": {"b": [True, None]}}),
        (["a:=[1,2]", "/a/0=x"], {"a": ["x", 2]}),
        (["a:=[1]", "/a/-:=2"], {"a": [1, 2]}),
        (["a:={}", "/a/b=x"], {"a": {"b": "x"}}),
        (["/a~1b=x"], {"a/b": "x"}),
        (["/a~01=x"], {"a~1": "x"}),
        (["/=x"], {"": "x"}),
        (["a.b=x"], {"a.b": "x"}),
        (["naïve=é"], {"naïve": "é"}),
    ],
)
def test_set(shell: Shell, settings: list[str], expected: object) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    shell(f"append {TITLE} --new", *words)
    assert shell(f"show {TITLE} --json").json["document"] == expected


def test_set_keeps_the_rest_of_the_head(title: Shell) -> None:
    document = title(f"show {TITLE} --json").json["document"]
    assert document == {"charge": "Bank", "price": 185000, "proprietor": "Grace Hopper"}


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("/x/y=1", "'/x/y'"),
        ("/list/2=1", "'/list/2'"),
        ("/list/-1=1", "'/list/-1'"),
        ("/list/01=1", "'/list/01'"),
        ("/list/\u0661=1", "/list/"),
        ("/list/one=1", "'/list/one'"),
        ("/text/0=1", "'/text/0'"),
        ("/a~2b=1", "'/a~2b'"),
        ("a:=nope", "'a'"),
        ('a:={"b":1,"b":2}', "duplicate member 'b'"),
    ],
)
def test_set_refuses_what_is_no_place_or_no_value(shell: Shell, setting: str, place: str) -> None:
    shell(f"append {TITLE} --new", "--set", "list:=[1,2]", "--set", "text=t")
    before = shell.listing()
    said = shell.fails(65, f"append {TITLE}", "--set", setting)
    assert said.startswith("ledger: error: --set ")
    assert place in said
    assert shell.listing() == before


@pytest.mark.parametrize("setting", ["a", "=b", ":=1"])
def test_set_without_a_name_or_a_value_is_a_usage_error(shell: Shell, setting: str) -> None:
    said = shell.fails(2, f"append {TITLE} --new", "--set", setting)
    assert "NAME=TEXT or NAME:=JSON" in said


def test_a_document_comes_from_one_place(shell: Shell) -> None:
    assert "either" in shell.fails(2, f"append {TITLE}")
    assert "either" in shell.fails(2, f"append {TITLE} a.json --set a=b")


# -- Parents, references, dry runs ---------------------------------------------------------------


def test_on_top_of_the_head_that_was_named(title: Shell) -> None:
    first, _, head = title.addresses()
    title(f"append {TITLE} --set a=1 --parent {head}")
    said = title.fails(11, f"append {TITLE} --set a=2 --parent {first}")
    now = title.addresses()[-1]
    assert said == (
        f"ledger: error: cannot append to {TITLE}: head moved from {first[:8]} to {now[:8]}\n"
        f"ledger: hint: another writer was first; see 'ledger log {TITLE}', then append again\n"
    )


def test_only_if_there_is_none_yet(shell: Shell) -> None:
    shell(f"append {TITLE} --set a=1 --new")
    assert "exists already" in shell.fails(11, f"append {TITLE} --set a=1 --new")
    assert "can't be used together" in shell.fails(
        2, f"append {TITLE} --set a=1 --new --parent {'0' * 64}"
    )


def test_a_parent_is_a_revision(title: Shell) -> None:
    for wrong in ("ABCD", ""):  # an empty variable must not mean: on top of anything
        said = title.fails(65, f"append {TITLE} --set a=1 --parent", wrong)
        assert "not a revision" in said
    assert "head moved" in title.fails(11, f"append {TITLE} --set a=1 --parent v1")
    short = title.addresses()[-1][:9]
    for parent in ("HEAD", "v4", short):
        title(
            f"append {TITLE} --set a={parent} --parent {parent}", code=11 if parent == short else 0
        )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("charges/0/lender=B", "write /charges/0/lender for the place, or /charges~10~1lender"),
        ("a=1 --set a=2", "given twice"),
    ],
)
def test_what_could_mean_two_things_is_refused(title: Shell, setting: str, words: str) -> None:
    assert words in title.fails(65, f"append {TITLE} --set {setting}")


def test_the_same_append_again_is_the_same_entry(title: Shell) -> None:
    again = title(f"append {TITLE} --set proprietor='Grace Hopper' --reference case-7 --json").json
    assert again["address"] == title.addresses()[1]
    assert again["repeated"] is True
    said = title(f"append {TITLE} --set proprietor='Grace Hopper' --reference case-7").out
    assert said == f"{TITLE} version 2 was there already: {again['address']}\n"
    assert len(title.addresses()) == 3


def test_the_same_reference_for_another_document(title: Shell) -> None:
    said = title.fails(11, f"append {TITLE} --set proprietor=Eve --reference case-7")
    assert "'case-7' is taken" in said


def test_a_change_is_made_to_the_head_that_was_read_and_to_no_other(
    title: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer between reading the head and appending must not be undone."""
    from cli.commands import append

    def slowly(*edits: Any) -> dict[str, object]:
        monkeypatch.undo()
        title(f"append {TITLE} --set proprietor=Hedy")
        return original(*edits)

    original = append.apply_edits
    monkeypatch.setattr(append, "apply_edits", slowly)
    said = title.fails(11, f"append {TITLE} --set charge=none --reference case-9")
    assert "head moved from" in said
    assert title(f"show {TITLE} --json").json["document"]["proprietor"] == "Hedy"


def test_a_dry_run_writes_nothing(title: Shell) -> None:
    before = title.listing()
    shown = title(f"append {TITLE} --set charge=none -m 'paid off' --dry-run").out
    assert "nothing was written" in shown
    assert f"{TITLE} version 4" in shown
    assert '~ /charge: "Bank" -> "none"' in shown
    preview = title(f"append {TITLE} --set charge=none --dry-run --json").json
    assert preview["dry_run"] is True
    assert preview["version"] == 4
    assert preview["changes"] == [
        {"path": "/charge", "kind": "changed", "old": "Bank", "new": "none"}
    ]
    assert title(f"append {TITLE} --set charge=none --dry-run -q").out == ""
    assert title.listing() == before


def test_a_dry_run_is_refused_where_the_append_would_be(title: Shell) -> None:
    first, *_ = title.addresses()
    dry = f"append {TITLE} --dry-run --set a=b"
    assert "head moved" in title.fails(11, f"{dry} --parent {first}")
    assert "exists already" in title.fails(11, f"{dry} --new")
    title.append_at(datetime.now(UTC) + timedelta(hours=1), title_number="TN2")
    behind = "append TN2 --dry-run --set a=b"
    assert "--clamp-time" in title.fails(11, behind)
    head = title("show TN2 --json").json
    clamped = title(f"{behind} --clamp-time --json").json
    assert clamped["recorded_at"] == head["recorded_at"]
    (title.store / TITLE / "head.json").unlink()
    assert f"ledger recover {TITLE}" in title.fails(11, dry)


def test_a_dry_run_of_an_append_that_was_there_already(shell: Shell) -> None:
    line = f"append {TITLE} --new --set a=b --reference case-1"
    made = shell(f"{line} --json").json
    shown = shell(f"{line} --dry-run --json").json
    assert shown == made | {"repeated": True}
    assert "was there already" in shell(f"{line} --dry-run").out


# -- What is refused -----------------------------------------------------------------------------

BAD_DOCUMENTS = {
    "duplicate member": (b'{"a": 1, "a": 2}', "duplicate member 'a' at /a"),
    "duplicate, spelled otherwise": (rb'{"a": 1, "\u0061": 2}', "duplicate member 'a' at /a"),
    "nested duplicate": (b'{"x": [{"b": 1, "b": 1}]}', "duplicate member 'b' at /x/0/b"),
    "NaN": (b'{"a": NaN}', "NaN"),
    "infinity": (b'{"a": -Infinity}', "Infinity"),
    "beyond a double": (b'{"a": 1e400}', "a number that would not be kept as it is at /a"),
    "integer beyond 2^53-1": (b'{"a": {"b": 9007199254740992}}', "/a/b"),
    "a very long integer": (b'{"a": ' + HUGE.encode() + b"}", "integer beyond 2^53-1"),
    "float beyond 2^53-1": (b'{"a": 1e30}', "/a"),
    "lone surrogate": (rb'{"a": "\ud800"}', "lone surrogate in the text at /a"),
    "lone surrogate in a name": (rb'{"\udfff": 1}', "lone surrogate"),
    "BOM": (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8"),
    "invalid UTF-8": (b'{"a": "\xff"}', "UTF-8"),
    "too deep": (b'{"a": ' + NESTED.encode() + b"}", "deeper than allowed, at /a/0/0"),
    "much too deep": (b'{"a": ' + b"[" * 100_000, "deep"),
    "over-size": (b'{"a": "' + b"x" * (1 << 20) + b'"}', "too large"),
    "far over-size": (b'{"a": "' + b"x" * (9 << 20) + b'"}', "too large"),
    "a list": (b"[1]", "object"),
    "a text": (b'"a"', "object"),
    "nothing": (b"", "JSON"),
    "no JSON": (b"{'a': 1}", "line 1, column 2"),
    "two documents": (b"{} {}", "JSON"),
    "another title's": (b'{"title_number": "TN7"}', "title_number is not the entry's, which is"),
    "title number of another type": (b'{"title_number": 7}', "title_number"),
    "a member sha256": (b'{"sha256": "x"}', "sha256"),
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_bad_document_is_refused_by_name(shell: Shell, name: str) -> None:
    document, words = BAD_DOCUMENTS[name]
    before = shell.listing()
    said = shell.fails(65, f"append {TITLE} -", stdin=document)
    assert words in said
    assert said.startswith("ledger: error: ")
    assert shell.listing() == before


@pytest.mark.parametrize(
    "title_number",
    [
        *("../x", "TN1/../X", "TN%2e", "TN1\x00", "TN1\n", "tn1", "\uff34N1", "\u0422N1", "COM1"),
        *("CON", "", "TN 1", "-TN1", "_log", "T" * 65, "TN1.", "TN\u0661"),
    ],
)
def test_a_bad_title_number_is_refused_by_every_command(shell: Shell, title_number: str) -> None:
    before = shell.listing()
    for command in ("append --new --set a=b", "log", "show", "cat", "diff", "verify", "recover"):
        said = shell.fails(65, f"{command} --", title_number)
        assert "not a title number" in said, command
    assert shell.listing() == before


@pytest.mark.parametrize(
    "date", ["yesterday", "2026-13-01", "2026-02-30", "26-1-1", "", "\uff12026-01-01"]
)
def test_a_bad_date_is_refused(shell: Shell, date: str) -> None:
    for option in ("--effective", "--effective-until"):
        said = shell.fails(65, f"append {TITLE} --new --set a=b", option, date)
        assert "not a year, a month, a date or a time with an offset" in said


def test_a_file_that_is_not_there(shell: Shell) -> None:
    assert "cannot read none.json" in shell.fails(10, f"append {TITLE} none.json")
    assert "cannot read ." in shell.fails(10, f"append {TITLE} .")


def test_the_error_names_the_file(shell: Shell) -> None:
    (shell.folder / "double.json").write_text('{"a":1,"a":2}')
    assert "double.json: duplicate member" in shell.fails(65, f"append {TITLE} double.json")


@pytest.mark.parametrize(("encoding", "iconv"), [("utf-16", "UTF-16"), ("cp1252", "WINDOWS-1252")])
def test_another_encoding_is_named_with_what_converts_it(
    shell: Shell, encoding: str, iconv: str
) -> None:
    (shell.folder / "a b.json").write_bytes('{"proprietor": "Müller"}'.encode(encoding))
    said = shell(f"append {TITLE} 'a b.json'", code=65).err
    assert said.startswith("ledger: error: a b.json: not UTF-8 (at byte ")
    assert f"'iconv -f {iconv} -t UTF-8 'a b.json' > utf8' converts it" in said


def test_a_folder_that_may_not_be_written() -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        (Path(place) / "home").mkdir()
        shell = Shell(Path(place), Path(place) / "home")
        if root:  # who may write everywhere
            os.chown(place, 65534, -1)
            os.chown(shell.home, 65534, -1)
            os.seteuid(65534)
        try:
            shell("init --origin example.org/titles")
            before = shell.listing()
            folders = [shell.store, *(path for path in shell.store.rglob("*") if path.is_dir())]
            for folder in folders:
                folder.chmod(0o555)
            said = shell.fails(13, f"append {TITLE} --new --set a=b")
            for folder in folders:
                folder.chmod(0o755)
        finally:
            if root:
                os.seteuid(0)
        assert "ermission denied" in said
        assert shell.listing() == before


def test_the_stored_bytes_are_what_was_registered(shell: Shell) -> None:
    shell(f"append {TITLE} -", stdin=b'{"b": 1.0, "a": "\xc3\xa9"}')
    stored = json.loads(shell(f"cat {TITLE}").data)
    assert stored["text"]["document"] == {"a": "é", "b": 1}


def test_with_verify_nothing_is_ever_put_on_a_damaged_chain(title: Shell) -> None:
    title(f"append {TITLE} --verify --set n:=1")
    title("append TN2 --new --verify --set n:=1")
    entry = title.store / TITLE / f"{title.addresses()[0]}.json"
    sound = entry.read_bytes()
    entry.write_bytes(sound.replace(b"Ada", b"Eve"))
    before = title.listing()
    said = title.fails(20, f"append {TITLE} --verify --set n:=2")
    assert f"nothing was appended to {TITLE}: {TITLE}/{entry.name}" in said
    assert title.listing() == before
    assert "--verify" in title.fails(2, "append --batch lines --verify")
    entry.write_bytes(sound)
    title(f"append {TITLE} --verify --set n:=2")


def test_set_changes_what_is_in_law_when_the_version_begins(shell: Shell) -> None:
    shell("append P1 --new --set owner=Ada --effective 1995-06-01 -q")
    shell("append P1 --set owner=Bob --set area:=5 --effective 2024-01-01 -q")
    period = "--kind rectification --effective 2010-05-01 --effective-until 2024-01-01"
    shell(f"append P1 --set owner=Eva {period} -q")
    assert shell("show P1 --json").json["document"] == {"owner": "Eva"}
    mortgage = "append P1 --set charge=Bank --reference APP-1"
    said = shell(mortgage)
    assert "made from version 2, which was in law" in said.err
    assert shell("show P1 --json").json["document"] == {"area": 5, "charge": "Bank", "owner": "Bob"}
    shell("append P1 --set owner=Zoe --effective 2099-01-01 -q")
    assert "there already" in shell(mortgage).out
    shell("append P1 --set area:=6 -q")
    assert shell("show P1 --json").json["document"]["owner"] == "Bob"
    # Nothing was in law before 1995: what is in law now is the best there is.
    shell("append P1 --set area:=7 --effective 1990 --effective-until 1995-06-01 -q")
    assert shell("show P1 --json").json["document"]["owner"] == "Bob"


def test_set_changes_the_newest_version_if_its_clock_was_ahead(shell: Shell) -> None:
    now = datetime.now(UTC)
    shell.append_at(now - timedelta(days=1), now + timedelta(minutes=2))
    shell(f"append {TITLE} --set owner=Ada -q")
    assert shell(f"show {TITLE} --json").json["document"] == {"n": 2, "owner": "Ada"}
