"""``log`` without a title, its filters and ``--format``: the entries of all titles, in one list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cli.histories import Asked, read_all
from cli.terminal.formats import FIELDS, LETTERS
from ledger import Draft
from ledger.stores import MemoryStore
from tests.cli.shell import TITLE, Shell
from tests.sealing.sealers import Sealer, ledger_in
from tests.wrappers import CountingStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def two_made(title_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = title_made.copied_to(tmp_path_factory.mktemp("two") / "made")
    made("append TN2 --new --set a=b --author 'Grace Hopper' --reference R1 -m other")
    made("append TN2 --set a=c --author 'Emmy Noether' --reference R2 -m", "x" * 4_000)
    return made


@pytest.fixture
def two(two_made: Shell, tmp_path: Path) -> Shell:
    """Two titles, of three versions and of two; neither a log nor an index."""
    return two_made.copied_to(tmp_path / "work")


def shown(shell: Shell, options: str = "") -> list[str]:
    return shell(f"log --format '%t %v' {options}").lines


ALL = ["TN2 2", "TN2 1", f"{TITLE} 3", f"{TITLE} 2", f"{TITLE} 1"]


@pytest.mark.parametrize("source", ["titles", "index", "log"])
def test_all_titles_newest_first(two: Shell, source: str) -> None:
    result = two("log --oneline")
    assert "so all titles are read ('ledger index' makes one)" in result.err
    if source == "index":
        two("index -q")
    elif source == "log":
        two("key generate --for log")
        two("seal --genesis")
        leaves = two("changes --json").objects[::-1]
        assert [f"{each['title_number']} {each['version']}" for each in leaves] == ALL
    expected = ALL
    assert shown(two) == shown(two, f"--from {source}") == expected
    assert shown(two, "-n 2") == expected[:2]
    assert shown(two, "-n 2 --reverse") == expected[1::-1]
    assert shown(two, "--author hopper") == shown(two, "--reference R1") == ["TN2 1"]
    assert shown(two, "--signer root -n 1 --until 2025-01-01") == []
    assert shown(two, "--since 2025-01-01") == expected
    assert shown(two, "--signer nobody") == []
    key = two("log -n 1 --json").objects[0]["key"]
    assert shown(two, f"--signer {key[:8]}") == expected
    # What they are found by may be behind, and says so.
    two("append TN3 --new --set a=b")
    two("append TN4 --new --set a=b")
    result = two("log --format %t")
    if source == "log":
        assert "TN3" not in result.out
        assert "2 versions are not in the log yet, so not shown: TN" in result.err
    elif source == "index":
        assert "TN3" not in result.out
        assert "note: as of " in result.err
    else:
        assert result.lines[:2] == ["TN4", "TN3"]
    assert two("log -q").out == two("log -q").err == ""


def test_a_line_is_short_whatever_the_message(two: Shell) -> None:
    newest, other, *_ = two("log --oneline").lines
    assert len(newest) < 150
    assert newest.endswith("x…")
    assert re.fullmatch(r"[0-9a-f]{8} TN2 v1 \S+Z .*\([0-9a-f]{16}\) other", other)
    assert max(map(len, two("titles --long").lines)) < 110


def test_in_full_it_has_no_changes(two: Shell) -> None:
    text = two("log -n 2").out
    assert text.count("\nTitle:     TN2 version ") == 2
    assert "+ /a" not in text
    assert "changes" not in two("log -n 1 --json").objects[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--reverse", "--reverse needs TITLE or -n"),
        ("--word-diff", "--word-diff needs TITLE"),
        ("--from tea", "--from is 'log', 'index' or 'titles', not 'tea'"),
        (f"{TITLE} --from log", "can't be used with TITLE"),
        ("--format %h --json", "can't be used with --oneline or --json"),
        ("--format %x", "--format has no field '%x'; it has %H, "),
        ("--format '%(nope)'", "no field '%(nope)'"),
        ("--format 100%", "no field '%'"),
    ],
)
def test_what_does_not_go_together(two: Shell, options: str, words: str) -> None:
    assert words in two.fails(2, f"log {options}")


@pytest.mark.parametrize("source", ["log", "index"])
def test_what_is_not_there(two: Shell, source: str) -> None:
    assert f"ledger {'seal' if source == 'log' else 'index'}" in two.fails(
        10, f"log --from {source}"
    )


def test_a_title_is_filtered_the_same_way(two: Shell) -> None:
    assert two("log TN2 --format '%v %r' --author grace").lines == ["1 R1"]
    assert two("log TN2 --oneline --json --reference R2").objects[0]["version"] == 2
    (only,) = two(f"log {TITLE} --json --reference case-7").objects
    assert only["changes"][0]["old"] == "Ada Lovelace"  # compared with its parent all the same
    assert two("log TN2 --signer nobody").out == ""


def test_a_format_has_what_json_has(two: Shell) -> None:
    entry = two(f"log {TITLE} v2 -n 1 --oneline --json").objects[0]
    assert set(entry) | {"document", "short", "signer", "standing", "subject"} == FIELDS
    assert set(LETTERS.values()) < FIELDS
    template = "%(address) %H %h %(part)%n%% %p %(effective_at)|%(key_name)|%(document)|%s|%B"
    lines = two(f"log {TITLE} v2 -n 1 --format '{template}'").lines
    address = entry["address"]
    assert lines[0] == f"{address} {address} {address[:8]} [1,1]"
    assert lines[1].startswith(f'% {entry["parent"]} |{entry["key_name"]}|{{"')


def test_a_format_shows_hidden_characters(two: Shell) -> None:
    two("append TN3 --new --set a=b -m", "a\x1b[2J\nb\u202e")
    assert two("log TN3 --format '%B|%s'").lines == [r"a\x1b[2J", r"b\u202e|a\x1b[2J"]


def test_the_first_broken_entry_ends_it(two: Shell) -> None:
    two("index -q")
    oldest = two("log --format %H").lines[-1]
    path = two.store / TITLE / f"{oldest}.json"
    path.write_bytes(path.read_bytes().replace(b"first", b"firs7"))
    for options in ("", "--from titles"):
        result = two(f"log --format %v {options}", code=20)
        assert oldest in result.err


# -- Erased texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["titles", "index", "log", "both"])
def test_a_text_is_not_shown_once_it_is_ordered_erased(two: Shell, source: str) -> None:
    """An order that waits for the log leaves the text where it is, for now."""
    two("index -q")
    two("key generate --for log")
    two("seal --genesis")
    secret = two("show TN2 v1 --json").data
    assert b"Hopper" in secret
    waiting = two("erase TN2 1 --reference LG1 -m order", code=3).out
    if source == "both":
        two("seal -q")
        source = "log"
    holding = [p for p in (two.store / "TN2").iterdir() if b"Hopper" in p.read_bytes()]
    assert bool(holding) == ("waiting for the log" in waiting)
    result = two(f"log --json --from {source}")
    (erased,) = [each for each in result.objects if each.get("erased")]
    assert (erased["title_number"], erased["version"], erased["author"]) == ("TN2", 1, None)
    assert erased["erased"] == {"version": 3, "reference": "LG1"}
    assert "Hopper" not in result.out
    assert two(f"log --author hopper --from {source}").out == ""
    assert "(erased by version 3)" in two(f"log --oneline --from {source}").out


# -- What it reads ---------------------------------------------------------------------------------


def test_the_newest_of_a_long_log_are_few_reads(tmp_path: Path) -> None:
    counting = CountingStore(MemoryStore())
    ledger = ledger_in(counting)
    list(ledger.append_many(Draft(f"M{n}", {"n": n}) for n in range(600)))
    Sealer(tmp_path).seal(counting, genesis=True)
    calls = counting.during(lambda: next(read_all(ledger, Asked(lambda _: True), "log")[0]))
    assert len(calls) < 300  # those of the last tile, and what proves it
    rest = counting.during(lambda: list(read_all(ledger, Asked(lambda _: True), "log")[0]))
    assert len(rest) < 600 + 60


# -- Titles and status -----------------------------------------------------------------------------


def test_titles_in_long(two: Shell) -> None:
    two("append TN2 --set a=d --close -m done")
    lines = two("titles --long").lines
    assert re.fullmatch(r"TN1234567  v3   \S{10} open   mortgage", lines[0])
    assert re.fullmatch(r"TN2        v3   \S{10} closed done", lines[1])
    assert two("titles --long --closed --json").objects[0].keys() == {
        *("title_number", "versions", "newest", "recorded_at", "status", "message"),
    }
    assert two("titles -l 'TN2'").lines == lines[1:]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("TN*", [TITLE, "TN2"]),
        ("TN?", ["TN2"]),
        ("*7", [TITLE]),
        ("TN[12]", ["TN2"]),
        ("TN2", ["TN2"]),
        ("TN", []),
        ("tn*", []),
        ("T N*", []),
        ("[", []),
        ("../*", []),
        ("TN* -n 1", [TITLE]),
        ("*2 --after TN1234567", ["TN2"]),
    ],
)
def test_titles_that_fit_a_pattern(two: Shell, pattern: str, found: list[str]) -> None:
    words, _, options = pattern.partition(" -")
    assert two("titles", words, *(f"-{options}".split() if options else [])).lines == found


def test_status_counts(two: Shell) -> None:
    assert "titles" not in two("status --json").objects[0]
    two("index -q")
    by_index = two("status --json").objects[0]
    assert (by_index["titles"], by_index["entries"]) == (2, 5)
    assert by_index["counted"].startswith("by the index, as of ")
    listed = two("status --count --json").objects[0]
    assert (listed["titles"], listed["entries"]) == (2, 5)
    assert listed["bytes"] == sum(p.stat().st_size for p in two.store.rglob("*") if p.is_file())
