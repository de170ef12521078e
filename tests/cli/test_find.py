"""``index`` and ``find``: the index of a ledger in the shell."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import TITLE, Shell
from tests.cli.test_startup import loaded_in

if TYPE_CHECKING:
    from pathlib import Path


def cached(shell: Shell) -> Path:
    """The index that is used if nothing names one."""
    (found,) = (shell.home / ".cache" / "title-ledger").glob("index-*.sqlite")
    return found


def test_find_what_was_indexed(title: Shell) -> None:
    missing = title.fails(10, "find grace")
    assert "there is no index" in missing
    assert "hint: 'ledger index' makes it" in missing
    made = title("index")
    assert made.lines[0] == "verified: 1 title, 3 entries of example.org/titles"
    assert made.lines[-1] == str(cached(title))
    assert cached(title).parent.stat().st_mode & 0o777 == 0o700
    assert title("find grace").lines == [f"{TITLE}  version 3  from 2026-01-31"]
    assert title("find tn123").lines == title("find GRACE hop*").lines
    assert title("find lovelace").out == ""
    assert title("find lovelace --every-version --json").json["version"] == 1
    assert title("find --reference case-7").lines[0].endswith("reference case-7")
    assert title("find --reference case-7 --effective today").out == ""
    assert title("find --path /price=185000").lines == title("find grace").lines
    assert title("find grace --effective 2026-02-01 -q").out == ""
    assert "as of 20" in title("find grace").err


def test_it_says_that_a_title_has_changed_since(title: Shell) -> None:
    title("index")
    assert title("find grace --json").json["current"] is True
    title(f"append {TITLE} --set proprietor=Zoe")
    stale = title("find grace --json")
    assert stale.json["current"] is False
    assert f"changed since: {TITLE}; 'ledger index' brings the index up to date" in stale.err
    assert title("index -q").out == ""
    assert title("find zoe").lines[0].startswith(TITLE)
    assert "note: this is about the future" in title("find zoe --effective 2999-01-01").err
    assert "about the future" not in title("find zoe --effective today").err


def test_the_index_is_where_an_option_or_the_environment_says(title: Shell) -> None:
    title("index one.sqlite")
    title.environment["LEDGER_INDEX"] = "two.sqlite"
    assert title("index").lines[-1] == "two.sqlite"
    assert title("find grace").lines == title("find grace --index one.sqlite").lines
    assert not (title.home / ".cache").exists()
    assert "no index: three.sqlite" in title.fails(10, "find grace --index three.sqlite")


def test_a_title_that_does_not_verify_is_named_and_left_out(title: Shell) -> None:
    title("append TN2 --set proprietor=Grace --new")
    (title.folder / "ledger-data" / TITLE / "head.json").write_bytes(b"{}")
    report = title("index --json", code=20).json
    assert [each["slug"] for each in report["findings"]] == ["malformed-entry"]
    assert report["index"]["left_out"] == 1
    found = title("find grace")
    assert found.lines[0].startswith("TN2")
    assert "1 title did not verify: 'ledger index' names them" in found.err


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("find", 65, "nothing to look for"),
        ("find '--' '\"'", 65, "nothing to look for in"),
        ("find --path name=Ada", 65, "not a path and a value"),
        ("find grace --effective 2020", 65, "not a whole date"),
        ("find grace --effective 2020-01-01 --every-version", 65, "not both"),
        ("index ledger-data/index.sqlite", 65, "inside the store"),
        ("index missing/index.sqlite", 13, "missing"),
        ("index notes.txt", 65, "is not an index of a ledger, and is left as it is"),
    ],
)
def test_what_cannot_be_done(title: Shell, line: str, code: int, why: str) -> None:
    title("index")
    (title.folder / "notes.txt").write_text("my own notes")
    assert why in title.fails(code, line)
    assert (title.folder / "notes.txt").read_text() == "my own notes"


def test_another_ledger_s_index_is_refused(title: Shell, tmp_path: Path) -> None:
    title("index mine.sqlite")
    other = Shell.make(tmp_path / "other")
    other("init --origin example.org/other")
    shutil.copy(title.folder / "mine.sqlite", other.folder / "theirs.sqlite")
    for line in ("index theirs.sqlite", "find grace --index theirs.sqlite"):
        assert "is the index of another ledger: example.org/titles" in other.fails(65, line)


def test_with_a_log_it_says_which_leaf_it_is_of(title: Shell) -> None:
    title("key generate --for log")
    title("seal --genesis")
    assert title("index").lines[-1].endswith(": as of leaf 3")
    assert "note: as of leaf 3 of the log, 20" in title("find grace").err


def test_finding_loads_neither_boto3_nor_rich(title: Shell) -> None:
    title("index")
    assert not loaded_in(title, "find grace") & {"boto3", "rich", "pydantic"}


@pytest.mark.slow
def test_it_opens_in_datasette_and_sqlite_utils(title: Shell) -> None:
    import asyncio

    from datasette.app import Datasette
    from sqlite_utils import Database

    title("append TN2 --set proprietor='Ada Lovelace' --new")
    title("index titles.sqlite")
    file = title.folder / "titles.sqlite"
    database = Database(sqlite3.connect(file))
    assert database["entries"].detect_fts() == "entries_fts"
    found = {row["title_number"] for row in database["entries"].search("lovelace")}
    assert found == {TITLE, "TN2"}
    assert {"newest", "in_force", "in_force_today"} <= set(database.view_names())
    assert database["newest"].count == 2
    database.conn.close()

    async def ask(path: str) -> dict[str, object]:
        datasette = Datasette([str(file)])
        answer = await datasette.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    searched = asyncio.run(ask("/titles/entries.json?_search=lovelace&_shape=objects"))
    assert {row["title_number"] for row in searched["rows"]} == {TITLE, "TN2"}  # type: ignore[attr-defined, index]
    today = asyncio.run(ask("/titles/in_force_today.json?_shape=objects"))
    assert len(today["rows"]) == 2  # type: ignore[arg-type]
    query = "select title_number from newest where document ->> '$.proprietor' = :who"
    named = asyncio.run(ask(f"/titles.json?sql={query}&who=Ada+Lovelace&_shape=objects"))
    assert [row["title_number"] for row in named["rows"]] == ["TN2"]  # type: ignore[attr-defined, index]
