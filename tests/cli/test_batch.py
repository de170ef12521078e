"""``append --batch``: every line once, whatever happens, and all bad lines named at once."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.batch.lines import Lines
from cli.batch.outcomes import HOPELESS, Shown
from cli.batch.records import LONGEST, Place
from cli.batch.run import append_batch
from ledger import Guards, InvalidError, Ledger, load_key
from ledger.testing import memory_ledger
from ledger.titles.batch import WINDOW
from tests.cli.shell import PATIENCE, Shell
from tests.laws import examples

if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = 300


def line(title_number: str, n: object, **more: object) -> str:
    return json.dumps({"title_number": title_number, "n": n, **more})


def write(shell: Shell, *lines: str, name: str = "deeds.jsonl") -> None:
    (shell.folder / name).write_text("".join(f"{each}\n" for each in lines))


def ledger_of(shell: Shell) -> Ledger:
    return Ledger.open(
        str(shell.store), keyring=shell.keyring(), signer=load_key(shell.config / "key.pem")
    )


def registered(shell: Shell) -> dict[str, list[Any]]:
    """What was registered for every title, oldest first, seen through the library."""
    with ledger_of(shell) as ledger:
        assert ledger.fsck().outcome == "verified"
        return chains(ledger)


def chains(ledger: Ledger) -> dict[str, list[Any]]:
    found = {}
    for title in ledger.titles():
        if ledger.store.get(f"{title}/head.json"):  # what a crash left of a first version is none
            found[title] = [entry.document["n"] for entry in ledger.log(title)][::-1]
    return found


# -- What is appended ----------------------------------------------------------------------------


def test_every_line_is_a_version(shell: Shell) -> None:
    write(shell, line("TN1", 1), line("TN2", 1), line("TN1", 2), line("TN1", 3))
    done = shell("append --batch deeds.jsonl")
    first, second, third = shell.addresses("TN1")
    assert done.lines == [
        f"TN1 version 1 is {first}",
        f"TN2 version 1 is {shell.addresses('TN2')[0]}",
        f"TN1 version 2 is {second}",
        f"TN1 version 3 is {third}",
    ]
    assert done.err == "ledger: 4 appended, 0 were there already\n"
    assert registered(shell) == {"TN1": [1, 2, 3], "TN2": [1]}


def test_an_envelope_says_more_than_the_document(shell: Shell) -> None:
    about = {
        "message": "sale",
        "effective_at": "1995-03-01",
        "reference": "A-17",
        "author": "Ada",
        "effective_until": "2001",
        "kind": "migration",
        "status": "closed",
    }
    envelope = {"title_number": "TN1", "document": {"n": 1}, **about}
    write(shell, json.dumps(envelope))
    others = "--effective-until 2002 --author Eve --kind rectification --reopen"
    shell(f"append --batch deeds.jsonl -m other --effective 2001-01-01 {others}")
    shown = shell("show TN1 --json").json
    assert shown["document"] == {"n": 1}
    assert {name: shown[name] for name in about} == about


def test_a_document_may_have_a_member_document_in_an_envelope(shell: Shell) -> None:
    document = {"title_number": "TN1", "document": "deed 7", "n": 1}
    write(shell, json.dumps(document))
    said = shell.fails(65, "append --batch deeds.jsonl")
    assert "line 1: an envelope has no member 'n'; to register a document with a member" in said
    write(shell, json.dumps({"title_number": "TN1", "document": document}))
    shell("append --batch deeds.jsonl")
    assert shell("show TN1 --json").json["document"] == document


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ({"entry": {}, "signature": "x"}, "looks like an entry"),
        ({"title_number": "TN1", "document": {}}, "looks like an envelope"),
    ],
)
def test_a_document_that_looks_like_ours_is_refused_unless_it_is_meant(
    shell: Shell, ours: dict[str, Any], words: str
) -> None:
    write(shell, json.dumps({"title_number": "TN1", "document": ours}))
    said = shell.fails(65, "append --batch deeds.jsonl")
    assert words in said
    shell("append --batch deeds.jsonl --as-document -m meant")
    assert shell("show TN1 --json").json["document"] == ours
    document = json.dumps(ours).encode()
    assert words in shell.fails(65, "append TN1 -", stdin=document)
    shell("append TN1 - --as-document", stdin=document)
    assert len(shell.addresses("TN1")) == 2


def test_what_says_nothing_new_is_counted_and_left_out_if_asked(shell: Shell) -> None:
    write(shell, line("TN1", 1), line("TN1", 1), line("TN1", 2), line("TN1", 2))
    done = shell("append --batch deeds.jsonl --skip-unchanged")
    first, second = shell.addresses("TN1")
    assert done.lines == [
        f"TN1 version 1 is {first}",
        f"TN1 version 1 says it already, so nothing was appended: {first}",
        f"TN1 version 2 is {second}",
        f"TN1 version 2 says it already, so nothing was appended: {second}",
    ]
    assert done.err == (
        "ledger: 2 appended (1 new, 1 changed), 0 were there already, 2 unchanged, left out\n"
    )
    write(shell, line("TN1", 2), line("TN1", 3), name="more.jsonl")
    done = shell("append --batch more.jsonl")
    assert done.err == "ledger: 2 appended (1 of them unchanged), 0 were there already\n"
    assert registered(shell) == {"TN1": [1, 2, 2, 3]}


def test_the_message_and_the_date_are_those_of_the_lines_that_have_none(shell: Shell) -> None:
    null = {"title_number": "TN2", "document": {"n": 1}, "effective_at": None}
    write(shell, line("TN1", 1), json.dumps(null))
    shell("append --batch deeds.jsonl -m import --effective 1995-03-01")
    one, other = (shell(f"show {title} --json").json for title in ("TN1", "TN2"))
    assert (one["message"], one["effective_at"]) == ("import", "1995-03-01")
    assert (other["message"], other["effective_at"]) == ("import", None)


def test_blank_lines_and_other_line_ends_are_nothing(shell: Shell) -> None:
    text = f"\n{line('TN1', 1)}\r\n  \n\t\r\n{line('TN1', 2)}"
    (shell.folder / "deeds.jsonl").write_text(text)
    said = shell("append --batch deeds.jsonl --json").objects
    assert [each["line"] for each in said] == [2, 5]
    assert registered(shell) == {"TN1": [1, 2]}


def test_an_empty_file(shell: Shell) -> None:
    write(shell)
    assert shell("append --batch deeds.jsonl").err == "ledger: 0 appended, 0 were there already\n"


def test_as_json(shell: Shell) -> None:
    write(shell, line("TN1", 1), line("TN1", 1))
    done = shell("append --batch deeds.jsonl --json").objects
    first, second = shell.addresses("TN1")
    told = {"repeated": False, "unchanged": False}
    assert done == [
        {"line": 1, "title_number": "TN1", "version": 1, "address": first} | told,
        {"line": 2, "title_number": "TN1", "version": 2, "address": second}
        | told
        | {"unchanged": True},
    ]


def test_quietly(shell: Shell) -> None:
    write(shell, line("TN1", 1))
    done = shell("append --batch deeds.jsonl -q")
    assert (done.out, done.err) == ("", "")


def test_on_a_terminal_it_shows_how_far_it_is(shell: Shell) -> None:
    write(shell, *(line(f"TN{n % 9}", n) for n in range(MANY)))
    seen = shell.on_terminal("append --batch deeds.jsonl").out
    assert f" of {MANY} lines, " in seen
    assert "/s, 0:00:0" in seen
    assert seen.endswith(f"\r\x1b[Kledger: {MANY} appended, 0 were there already\n")


def test_a_log_hears_how_long_it_will_take_ever_more_rarely(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(shell, *(line(f"TN{n % 9}", n) for n in range(40)))
    assert "left" not in shell("append --batch deeds.jsonl").err
    seconds = iter(range(10_000))
    monkeypatch.setattr("cli.terminal.progress.time.monotonic", lambda: float(next(seconds)))
    said = shell("append --batch deeds.jsonl --reference again").err.splitlines()
    assert [each for each in said if " of 40 lines, " in each] == [
        "ledger: 10 of 40 lines, 1/s, 0:00:30 left",
        "ledger: 20 of 40 lines, 1/s, 0:00:20 left",
        "ledger: 40 of 40 lines, 1/s, 0:00:00 left",
    ]
    assert "left" not in shell("append --batch deeds.jsonl --reference more -q").err


def test_a_dry_run_only_checks_the_lines(bare: Shell) -> None:
    write(bare, line("TN1", 1), "", line("TN1", 2))
    assert bare("append --batch deeds.jsonl --dry-run").out == (
        "dry run: all 2 lines can be appended; nothing was written\n"
    )
    done = bare("append --batch deeds.jsonl --dry-run --json").json
    assert done == {"lines": 2, "dry_run": True}
    write(bare, line("tn1", 1))
    said = bare.fails(65, "append --batch deeds.jsonl --dry-run")
    assert "line 1: its title_number is not a title number" in said
    assert not bare.store.exists()


@pytest.mark.parametrize("words", ["TN1", "TN1 x.json", "--set a=b", "--new", "--parent 81be04aa"])
def test_what_is_for_one_title_excludes_a_batch(shell: Shell, words: str) -> None:
    write(shell, line("TN1", 1))
    assert "--batch can't be used with" in shell.fails(2, f"append {words} --batch deeds.jsonl")


# -- Given again ---------------------------------------------------------------------------------


def test_the_same_file_again_is_there_already(shell: Shell) -> None:
    write(shell, line("TN1", "A"), line("TN1", "B"), line("TN1", "A"), line("TN2", "A"))
    shell("append --batch deeds.jsonl")
    before = shell.listing()
    done = shell("append --batch deeds.jsonl")
    assert [each.split()[3:6] for each in done.lines] == [["was", "there", "already:"]] * 4
    assert done.err == "ledger: 0 appended, 4 were there already\n"
    assert shell.listing() == before
    assert registered(shell) == {"TN1": ["A", "B", "A"], "TN2": ["A"]}


def test_lines_that_were_added_moved_or_spelled_otherwise(shell: Shell) -> None:
    write(shell, line("TN1", 1, m=2), line("TN2", 1), line("TN1", 2))
    shell("append --batch deeds.jsonl")
    (shell.folder / "elsewhere").mkdir()
    respelled = '  {"m":2.0, "n" : 1,\t"title_number": "\\u0054N1"}'
    write(
        shell,
        *("", line("TN2", 0), line("TN2", 1), respelled, line("TN1", 1.5), line("TN1", 2)),
        name="elsewhere/deeds.jsonl",
    )
    done = shell("append --batch elsewhere/deeds.jsonl")
    assert done.err == "ledger: 2 appended, 3 were there already\n"
    assert registered(shell) == {"TN1": [1, 2, 1.5], "TN2": [1, 0]}


def test_another_file_is_another_batch_unless_they_have_one_reference(shell: Shell) -> None:
    write(shell, line("TN1", 1))
    write(shell, line("TN1", 1), name="other.jsonl")
    shell("append --batch deeds.jsonl")
    shell("append --batch other.jsonl")
    assert len(shell.addresses("TN1")) == 2
    shell("append --batch deeds.jsonl --reference 2026-11")
    shell("append --batch other.jsonl --reference 2026-11")
    assert len(shell.addresses("TN1")) == 3


def test_the_reference_is_the_name_the_digest_and_the_occurrence(shell: Shell) -> None:
    write(shell, *[line("TN1", 1)] * 2)
    shell("append --batch deeds.jsonl")
    digest = shell("show TN1 --json").json["digest"]
    said = shell("log TN1 --oneline --reverse --json").objects
    assert [entry["reference"] for entry in said] == [
        f"deeds.jsonl:{digest}:1",
        f"deeds.jsonl:{digest}:2",
    ]


def test_standard_input_has_no_name(shell: Shell) -> None:
    lines = f"{line('TN1', 1)}\n{line('TN1', 2)}\n".encode()
    said = shell.fails(2, "append --batch -", stdin=lines)
    assert "give --reference" in said
    assert registered(shell) == {}
    for counts in ("2 appended, 0 were", "0 appended, 2 were"):
        assert counts in shell("append --batch - --reference case-7", stdin=lines).err
    envelope = {"title_number": "TN2", "document": {"n": 1}, "reference": "case 8"}
    shell("append --batch -", stdin=json.dumps(envelope).encode())
    assert registered(shell) == {"TN1": [1, 2], "TN2": [1]}


def test_nor_has_a_pipe(shell: Shell) -> None:
    """Such as bash makes of ``<(…)``."""
    for code, options in ((2, ""), (0, "--reference case-7")):
        reading, writing = os.pipe()
        with os.fdopen(reading), os.fdopen(writing, "w") as pipe:
            pipe.writelines(f"{line('TN1', n)}\n" for n in range(3))
            pipe.close()
            shell(f"append --batch /dev/fd/{reading} {options}", code=code)
    assert registered(shell) == {"TN1": [0, 1, 2]}


titles = st.sampled_from(["TN1", "TN2", "TN3"])
contents = st.lists(st.tuples(titles, st.sampled_from("AB")), max_size=12)


def run(ledger: Ledger, pairs: Iterable[tuple[str, str]]) -> None:
    """What the command does with a ledger and a file."""
    text = "".join(line(*pair) + "\n" for pair in pairs)
    lines = Lines(io.BytesIO(text.encode()), "deeds.jsonl")
    assert list(lines.check()) == []
    outcomes = ledger.append_many(draft for _, draft in lines.drafts())
    assert all(outcome.appended for outcome in outcomes)


@given(contents, st.lists(st.integers(0, 12), max_size=3))
@settings(max_examples=examples(20), deadline=None)
def test_however_often_it_was_begun_the_chains_are_the_lines_in_order(
    pairs: list[tuple[str, str]], breaks: list[int]
) -> None:
    ledger = memory_ledger()
    for end in [*breaks, len(pairs), len(pairs)]:
        run(ledger, pairs[:end])
    expected = {
        title: [n for each, n in pairs if each == title] for title in {each for each, _ in pairs}
    }
    # What was first begun further down comes in the order in which it was first given.
    if breaks == sorted(breaks):
        assert chains(ledger) == expected
    assert {k: sorted(v) for k, v in chains(ledger).items()} == {
        k: sorted(v) for k, v in expected.items()
    }


def test_lines_whose_digests_begin_alike_are_counted_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whoever looks long enough finds two lines whose digests share eight bytes.
    monkeypatch.setattr("cli.batch.lines._short", lambda _: 7)
    ledger = memory_ledger()
    run(ledger, [("TN1", "A"), ("TN1", "B")])
    run(ledger, [("TN2", "A"), ("TN1", "B"), ("TN1", "A"), ("TN1", "A")])
    assert chains(ledger) == {"TN1": ["A", "B", "A"], "TN2": ["A"]}


# -- A file that changes -------------------------------------------------------------------------


def checked(source: BinaryIO) -> Lines:
    lines = Lines(source, "deeds.jsonl")
    assert list(lines.check()) == []
    return lines


def add(shell: Shell, *lines: str) -> None:
    with (shell.folder / "deeds.jsonl").open("a") as file:
        file.writelines(f"{each}\n" for each in lines)


def test_a_file_that_grew_after_it_was_checked_is_refused_before_anything_is_written(
    shell: Shell,
) -> None:
    write(shell, line("TN1", 1))

    def open_ledger() -> Ledger:
        add(shell, line("TN1", 2))
        return ledger_of(shell)

    file = str(shell.folder / "deeds.jsonl")
    with pytest.raises(InvalidError, match="after it was checked; nothing was written"):
        append_batch(file, open_ledger, Shown(as_json=False, quiet=True), "", guards=Guards())
    assert registered(shell) == {}
    shell("append --batch deeds.jsonl")
    assert registered(shell) == {"TN1": [1, 2]}


def test_lines_that_are_added_while_it_is_read_are_not_appended(shell: Shell) -> None:
    write(shell, line("TN1", 1), line("TN1", 2))
    with (shell.folder / "deeds.jsonl").open("rb") as source:
        drafts = checked(source).drafts()
        place, first = next(drafts)
        assert (place, first.document["n"]) == (Place(1), 1)
        add(shell, line("TN1", 1), line("TN1", 3))
        with pytest.raises(InvalidError, match="stopped before line 2") as told:
            next(drafts)
    assert "append it again" in told.value.hint


@pytest.mark.parametrize("change", [b'{"title_number":"TN1","n":3}\n', b"{", b""])
def test_a_change_that_no_time_tells_of_is_found_by_the_bytes(change: bytes) -> None:
    first, second = b'{"title_number":"TN1","n":1}\n', b'{"title_number":"TN1","n":2}\n'
    source = io.BytesIO(first + second)
    lines = checked(source)
    source.seek(len(first))
    source.truncate()
    source.write(change)
    with pytest.raises(InvalidError, match="changed while it was read"):
        list(lines.drafts())


# -- Bad lines -----------------------------------------------------------------------------------

BAD_LINES = {
    "no JSON": ("{'a': 1}", "JSON"),
    "duplicate member": ('{"title_number":"TN1","a":1,"a":2}', "duplicate member 'a' at /a"),
    "a list": ("[1]", "not a JSON object"),
    "no title number": ('{"a":1}', "no member title_number"),
    "a bad title number": ('{"title_number":"tn1"}', "its title_number is not a title number"),
    "a title number that is no text": ('{"title_number":["TN1"]}', "not a title number"),
    "a member sha256": (line("TN1", 1, sha256="x"), "sha256"),
    "a large integer": (line("TN1", 1 << 60), "/n"),
    "a large float": (line("TN1", 1e30), "/n"),
    "too large": (line("TN1", "x" * (1 << 20)), "too large"),
    "far too large": (line("TN1", "x" * (LONGEST + 100)), "too large"),
    "two objects": ('{"title_number":"TN1"} {}', "JSON"),
    "an envelope without title number": ('{"document":{"title_number":"TN1"}}', "title_number"),
    "another title's document": (
        '{"title_number":"TN1","document":{"title_number":"TN2"}}',
        "the document's title_number is not the entry's, which is TN1",
    ),
    "an envelope around a text": ('{"title_number":"TN1","document":"x"}', "object"),
    "a message that is no text": ('{"title_number":"TN1","document":{},"message":7}', "message"),
    "a reference that is null": (
        '{"title_number":"TN1","document":{},"reference":null}',
        "reference",
    ),
    "a bad date": ('{"title_number":"TN1","document":{},"effective_at":"soon"}', "not a year"),
    "a bad end": ('{"title_number":"TN1","document":{},"effective_until":7}', "effective_until"),
    "an unknown kind": ('{"title_number":"TN1","document":{},"kind":[]}', "not a kind of entry"),
    "an unknown status": ('{"title_number":"TN1","document":{},"status":0}', "not a status"),
    "a member of no envelope": (
        '{"title_number":"TN1","document":{},"erases":[1]}',
        "erases",
    ),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named_and_nothing_is_written(shell: Shell, name: str) -> None:
    bad, words = BAD_LINES[name]
    write(shell, line("TN1", 1), "", bad, line("TN1", 2))
    before = shell.listing()
    first, second, hint = shell.fails(65, "append --batch deeds.jsonl").splitlines()
    assert first.startswith("ledger: error: line 3: ")
    assert words in first
    assert second == "ledger: error: deeds.jsonl: 1 of 3 lines can't be appended"
    assert "nothing was written" in hint
    assert shell.listing() == before


def test_the_first_twenty_bad_lines_are_named_and_all_are_counted(shell: Shell) -> None:
    write(shell, *(line("TN1" if n % 2 else "tn1", n) for n in range(60)))
    said = shell.fails(65, "append --batch deeds.jsonl").splitlines()
    named = [each.split(":")[2] for each in said if ": line " in each]
    assert named == [f" line {n}" for n in range(1, 41, 2)]
    assert "30 of 60 lines can't be appended; the first 20 are named" in said[20]


def test_bad_lines_that_nobody_reads_of_are_refused_all_the_same(shell: Shell) -> None:
    write(shell, line("tn1", 1))
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as nobody:
        process = shell.popen("append --batch deeds.jsonl", stderr=nobody)
    assert process.wait(PATIENCE) == 65


def test_a_bad_date_for_all_lines_is_a_bad_date_of_each(shell: Shell) -> None:
    write(shell, line("TN1", 1))
    assert "not a year" in shell.fails(65, "append --batch deeds.jsonl --effective soon")


def test_a_file_that_cannot_be_read(shell: Shell) -> None:
    assert "cannot read none.jsonl" in shell.fails(10, "append --batch none.jsonl")
    assert "cannot read ./." in shell.fails(10, "append --batch ./.")


def test_a_line_cannot_hide_in_the_terminal(shell: Shell) -> None:
    write(shell, json.dumps({"title_number": "\x1b[2J"}))
    assert "\x1b" not in shell.fails(65, "append --batch deeds.jsonl")


# -- Lines that fail -----------------------------------------------------------------------------


def envelope(title_number: str, n: object, reference: str) -> str:
    return json.dumps({"title_number": title_number, "document": {"n": n}, "reference": reference})


def test_after_a_failure_the_title_waits_and_the_others_go_on(shell: Shell) -> None:
    shell("append TN1 --new --set n:=0 --reference case-1")
    write(
        shell,
        *(line("TN2", 1), envelope("TN1", 1, "case-1"), line("TN2", 2), line("TN1", 2)),
    )
    done = shell("append --batch deeds.jsonl --json", code=11)
    errors = [each for each in done.objects if "error" in each]
    assert [(each["line"], each["error"]) for each in errors] == [
        (2, "reference-conflict"),
        (4, "skipped"),
    ]
    assert errors[1]["message"] == "not appended to TN1, because line 2 failed"
    assert "ledger: error: line 2: the reference 'case-1' is taken" in done.err
    assert "ledger: error: line 4: not appended to TN1, because line 2 failed" in done.err
    assert "2 appended, 0 were there already, 2 failed\n" in done.err
    assert registered(shell) == {"TN1": [0], "TN2": [1, 2]}


def test_the_exit_code_is_that_of_the_first_failure(shell: Shell) -> None:
    shell("append TN1 --new --set n:=0")
    shell("append TN2 --new --set n:=0 --reference case-1")
    (shell.store / "TN1" / "head.json").write_text("{}")
    damaged, taken = line("TN1", 1), envelope("TN2", 1, "case-1")
    for lines, code in (((damaged, taken), 20), ((taken, damaged), 11)):
        write(shell, *lines, line("TN3", 1))
        assert "2 failed" in shell.fails(code, "append --batch deeds.jsonl")


def test_no_room_for_the_lines_of_a_pipe_is_said_before_anything_is_written(shell: Shell) -> None:
    write(shell, *(line(f"TN{n}", "x" * 1000) for n in range(100)))
    done = shell.bash("cat deeds.jsonl | (ulimit -f 8; ledger append --batch - --reference x)")
    assert done.code == 13
    assert "error: cannot keep the input in a temporary file: File too large" in done.err
    assert "TMPDIR" in done.err
    assert registered(shell) == {}


def test_it_gives_up_where_the_store_fails_whatever_is_tried(shell: Shell) -> None:
    write(shell, *(line(f"TN{n}", n) for n in range(1500)))
    done = shell.bash("ulimit -f 0; ledger append --batch deeds.jsonl -q")  # no file may grow
    assert done.code == 13
    said = done.err.splitlines()
    assert "ledger: error: given up after 100 failures in a row" in said
    failed = sum(each.startswith("ledger: error: line ") for each in said)
    assert HOPELESS <= failed <= HOPELESS + WINDOW  # and those that were under way by then
    assert (
        f"0 appended, 0 were there already, {failed:,} failed, {1500 - failed:,} not tried"
        in said[-2]
    )
    assert registered(shell) == {}


# -- Cut off -------------------------------------------------------------------------------------


def wait_for_entries(shell: Shell, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(list(shell.store.glob("TN*/head.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def expected(total: int, titles: int) -> dict[str, list[Any]]:
    return {f"TN{title}": list(range(title, total, titles)) for title in range(titles)}


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again_every_line_is_there_once(shell: Shell) -> None:
    write(shell, *(line(f"TN{n % 20}", n) for n in range(MANY * 4)))
    # What it says is more than a pipe holds, so that it can't end.
    process = shell.popen("append --batch deeds.jsonl", stdout=subprocess.PIPE)
    wait_for_entries(shell, 5)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    before = sum(len(chain) for chain in registered(shell).values())
    assert 5 <= before < MANY * 4
    done = shell("append --batch deeds.jsonl")
    assert f"{before:,} were there already" in done.err
    assert registered(shell) == expected(MANY * 4, 20)


def test_interrupted_it_finishes_what_is_being_written_and_says_how_far_it_got(
    shell: Shell,
) -> None:
    write(shell, *(line(f"TN{n % 20}", n) for n in range(MANY * 4)))
    process = shell.popen(
        "append --batch deeds.jsonl", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_entries(shell, 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    told = len(out.splitlines())
    there = sum(len(chain) for chain in registered(shell).values())
    assert 5 <= told == there < MANY * 4
    rest = MANY * 4 - told
    assert f"{told:,} appended, 0 were there already, {rest:,} not tried" in err.decode()
    assert "append the same file again" in err.decode()


def test_interrupted_it_names_the_lines_that_were_appended_not_others(shell: Shell) -> None:
    # Most of the first lines wait for their turn when it is stopped; later ones were appended.
    pairs = [("TN0", n) for n in range(600)] + [(f"TN{n}", 0) for n in range(1, 600)]
    write(shell, *(line(*pair) for pair in pairs))
    process = shell.popen(
        "append --batch deeds.jsonl --json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    wait_for_entries(shell, 5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    told = [json.loads(each) for each in out.splitlines()]
    assert [pairs[each["line"] - 1] for each in told] == [
        (each["title_number"], each["version"] - 1) for each in told
    ]
    assert {each["title_number"] for each in told} > {"TN0"}


@pytest.mark.slow
def test_the_same_file_from_two_processes_at_once_is_there_once(shell: Shell) -> None:
    write(shell, *(line(f"TN{n % 7}", n) for n in range(70)))
    processes = [shell.popen("append --batch deeds.jsonl -q") for _ in range(2)]
    assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    assert registered(shell) == expected(70, 7)


def test_a_reader_that_has_seen_enough_does_not_end_it(shell: Shell) -> None:
    write(shell, *(line(f"TN{n % 20}", n) for n in range(60)))
    assert shell.unread("append --batch deeds.jsonl").code == 0
    assert registered(shell) == expected(60, 20)


def test_a_name_that_is_no_text_is_spelled_in_escapes(shell: Shell) -> None:
    name = os.fsdecode(b"\xff.jsonl")
    write(shell, line("TN1", 1), name=name)
    shell("append --batch", name)
    shell("append --batch", name)
    (entry,) = shell("log TN1 --oneline --json").objects
    assert entry["reference"].startswith("\\xff.jsonl:")
