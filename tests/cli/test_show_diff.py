"""``show``, ``cat``, ``diff``: versions of a title, and what lies between them."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime

import pytest

from tests.cli.shell import TITLE, Shell


def test_show_the_head(title: Shell) -> None:
    text = title(f"show {TITLE}").out
    assert text.startswith(f"entry {title.addresses()[-1]}\nTitle:     {TITLE} version 3\n")
    assert '\n  "proprietor": "Grace Hopper"\n}\n' in text
    assert title(f"show {TITLE} -q").out == ""


def test_show_a_revision_as_json(title: Shell) -> None:
    shown = title(f"show {TITLE} HEAD~2 --json").json
    assert shown["version"] == 1
    assert shown["document"] == {"price": 185000, "proprietor": "Ada Lovelace"}
    canonical = b'{"price":185000,"proprietor":"Ada Lovelace"}'
    assert shown["digest"] == hashlib.sha256(canonical).hexdigest()


def test_show_what_was_in_force_on_a_date(shell: Shell) -> None:
    shell.append_at(datetime(2026, 6, 1, tzinfo=UTC))
    shell(f"append {TITLE} --set n:=2 --effective 1995-05-05")
    shell(f"append {TITLE} --set n:=3 --effective 2090-01-01")
    show = f"show {TITLE} --json --effective"
    assert shell(f"{show} 1995-05-05").json["version"] == 2
    assert shell(f"{show} 2089-12-31").json["version"] == 2
    assert shell(f"{show} 2090-01-01").json["version"] == 3
    assert "in effect" in shell.fails(10, f"{show} 1995-05-04")
    assert "can't be used with" in shell.fails(2, f"{show} 2026-01-01 v1")


def test_cat_writes_the_bytes_whose_sha256_is_the_address(title: Shell) -> None:
    for revision, address in zip(("v1", "v2", "HEAD"), title.addresses(), strict=True):
        data = title(f"cat {TITLE} {revision}").data
        assert hashlib.sha256(data).hexdigest() == address
        assert title(f"cat {TITLE} {revision} --json").data == data
    assert title(f"cat {TITLE} -q").data == b""


def test_diff_from_the_parent_to_the_head(title: Shell) -> None:
    assert title(f"diff {TITLE}").out == '+ /charge: "Bank"\n'
    assert title(f"diff {TITLE} --json").json == {
        "path": "/charge",
        "kind": "added",
        "new": "Bank",
    }


def test_diff_between_any_two(title: Shell) -> None:
    assert title(f"diff {TITLE} v1 v2").out == ('~ /proprietor: "Ada Lovelace" -> "Grace Hopper"\n')
    assert title(f"diff {TITLE} v3 v1").lines == [
        '- /charge: "Bank"',
        '~ /proprietor: "Grace Hopper" -> "Ada Lovelace"',
    ]
    assert title(f"diff {TITLE} v3 v1 --json").objects[0] == {
        "path": "/charge",
        "kind": "removed",
        "old": "Bank",
    }


def test_diff_tells_by_its_exit_code_if_asked(title: Shell) -> None:
    assert title(f"diff {TITLE}").code == 0
    assert title(f"diff {TITLE} --exit-code -q", code=1).out == ""
    assert title(f"diff {TITLE} v2 v2 --exit-code").out == ""


def test_diff_of_a_title_with_one_version(shell: Shell) -> None:
    shell(f"append {TITLE} --set a=b")
    assert "no entry 1 before version 1" in shell.fails(10, f"diff {TITLE}")


@pytest.mark.parametrize(
    "line",
    [f"show {TITLE}", f"log {TITLE}", f"verify {TITLE}", "verify", "titles", "fsck", "export -"],
)
def test_a_lost_mount_is_never_no_such_title_and_never_empty(shell: Shell, line: str) -> None:
    shutil.rmtree(shell.store)
    shell.store.mkdir()
    result = shell(line, code=13)
    assert not result.data
    assert "no ledger in file:" in result.err
    assert "see whether the disk is mounted" in result.err
