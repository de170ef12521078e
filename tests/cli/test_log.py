"""``log``: the history of a title, by number, by date, by revision."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.cli.shell import ORIGIN, TITLE, Shell

MOMENTS = [datetime(2026, 1, day, hour, tzinfo=UTC) for day, hour in ((30, 9), (31, 0), (31, 23))]


def numbers(shell: Shell, options: str) -> list[int]:
    """The versions that ``log`` shows, in its order."""
    return [entry["version"] for entry in shell(f"log {TITLE} --oneline --json {options}").objects]


def test_the_whole_story_newest_first(title: Shell) -> None:
    _, middle, newest = title.addresses()
    text = title(f"log {TITLE}").out
    first, second, third = text.strip().split("\n\nentry ")
    assert first.startswith(f"entry {newest} (HEAD)\n")
    assert "\nEffective: 2026-01-31\n" in first
    assert first.endswith('\n\n    mortgage\n\n    + /charge: "Bank"')
    assert second.startswith(f"{middle}\nTitle:     {TITLE} version 2\nSigner:    ")
    assert "\nReference: case-7\n" in second
    assert '    ~ /proprietor: "Ada Lovelace" -> "Grace Hopper"' in second
    assert third.endswith('    + /price: 185000\n    + /proprietor: "Ada Lovelace"')


def test_one_line_an_entry(title: Shell) -> None:
    newest, *_, oldest = title(f"log {TITLE} --oneline").lines
    assert re.fullmatch(r"[0-9a-f]{8} v3 \S+Z .*\([0-9a-f]{16}\) \(HEAD\) mortgage", newest)
    assert re.fullmatch(r"[0-9a-f]{8} v1 \S+Z .*\([0-9a-f]{16}\) first", oldest)


def test_as_json_one_object_a_line(title: Shell) -> None:
    entries = title(f"log {TITLE} --json").objects
    assert [entry["version"] for entry in entries] == [3, 2, 1]
    assert entries[0].keys() == {
        *("address", "title_number", "version", "parent", "recorded_at", "effective_at"),
        *("effective_until", "author", "message", "reference", "part", "kind", "status"),
        *("confirms", "erases", "voids", "key", "key_name", "ledger", "changes"),
    }
    assert entries[0]["parent"] == entries[1]["address"]
    assert entries[0]["ledger"] == ORIGIN
    assert entries[1]["changes"] == [
        {"path": "/proprietor", "kind": "changed", "old": "Ada Lovelace", "new": "Grace Hopper"}
    ]
    assert entries[2]["changes"][0] == {"path": "/price", "kind": "added", "new": 185000}
    assert "changes" not in title(f"log {TITLE} --json --oneline").objects[0]


def test_quietly(title: Shell) -> None:
    assert title(f"log {TITLE} -q").out == ""


@pytest.mark.parametrize(
    ("options", "versions"),
    [
        ("", [3, 2, 1]),
        ("--reverse", [1, 2, 3]),
        ("-n 2", [3, 2]),
        ("-n 2 --reverse", [2, 3]),
        ("-n 0", []),
        ("--since 2026-01-31", [3, 2]),
        ("--since 2026-01-31T00:00:00.000001Z", [3]),
        ("--until 2026-01-30", [1]),
        ("--until 2026-01-31", [3, 2, 1]),
        ("--until 2026-01-31T00:00:00Z", [2, 1]),
        ("--until 2026-01-31T01:00:00+01:00", [2, 1]),
        ("--since 2026-01-31 --until 2026-01-31 -n 1", [3]),
        ("--since 2026-02-01", []),
        ("--since 0001-01-01 --until 9999-12-31", [3, 2, 1]),
        ("HEAD~1", [2, 1]),
        ("HEAD~", [2, 1]),
        ("v1", [1]),
        ("'@{2026-01-31}'", [2, 1]),
        ("'@{2026-01-30T12:00:00Z}'", [1]),
    ],
)
def test_which_entries(shell: Shell, options: str, versions: list[int]) -> None:
    shell.append_at(*MOMENTS)
    assert numbers(shell, options) == versions


def test_a_short_address_is_a_revision(title: Shell) -> None:
    _, middle, _ = title.addresses()
    assert numbers(title, middle[:8]) == [2, 1]
    assert "(HEAD)" not in title(f"log {TITLE} {middle[:8]}").out


@pytest.mark.parametrize("revision", ["head", "v0", "abc", "HEAD~x", "--", "@{}", "V1", ""])
def test_what_is_no_revision(title: Shell, revision: str) -> None:
    said = title.fails(65, f"log {TITLE} --", revision)
    assert "not a revision" in said


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("v9", "no version 9"),
        ("HEAD~3", "no version 3 before"),
        ("0000", "begins with 0000"),
        ("@{2001-01-01}", "was recorded"),
    ],
)
def test_a_revision_that_is_not_there(title: Shell, revision: str, words: str) -> None:
    assert words in title.fails(10, f"log {TITLE}", revision)


def test_no_such_title(shell: Shell) -> None:
    said = shell.fails(10, "log TN404")
    assert said.startswith("ledger: error: no such title: TN404\nledger: hint: 'ledger titles'")


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_bad_date(title: Shell, option: str) -> None:
    message = "not a whole date or a time with an offset: "
    assert f"{message}'soon'" in title.fails(65, f"log {TITLE} {option} soon")
    assert f"{message}''" in title.fails(65, f"log {TITLE} {option}", "")


def test_a_negative_count_is_a_usage_error(title: Shell) -> None:
    assert "'-n'" in title.fails(2, f"log {TITLE} -n -1")


def test_a_broken_history_is_named(title: Shell) -> None:
    first, _, _ = title.addresses()
    (title.store / TITLE / f"{first}.json").unlink()
    assert f"{TITLE}/{first}.json: missing" in title.fails(20, f"log {TITLE}")


def test_a_quiet_log_reads_all_of_it(title: Shell) -> None:
    first, *_ = title.addresses()
    file = title.store / TITLE / f"{first}.json"
    file.write_bytes(file.read_bytes().replace(b"Ada", b"Eve"))
    for options in ("-q", "-q --oneline", "-q --reverse", "", "--json"):
        assert first in title.fails(20, f"log {TITLE} {options}"), options
    title(f"log {TITLE} -q --oneline -n 2")
