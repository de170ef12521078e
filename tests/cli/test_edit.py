"""``edit``, ``revert``, ``--merge`` and ``--unset``: a new version out of one that is there."""

from __future__ import annotations

import json
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from cli.edits import apply_edits
from tests.cli.shell import TITLE, Shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def editor(shell: Shell, script: str) -> dict[str, str]:
    """What names an editor that does this to the text of the file."""
    file = shell.folder / "editor.py"
    file.write_text(
        "import sys, pathlib\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n"
        f"{script}\nfile.write_text(text)\n"
    )
    return {"VISUAL": "", "EDITOR": f"{sys.executable} {file}"}


def document(shell: Shell) -> dict[str, object]:
    found: dict[str, object] = json.loads(shell(f"show {TITLE} --document").out)
    return found


def test_what_the_editor_leaves_is_registered(title: Shell, tmp_path: Path) -> None:
    environment = editor(title, "text = text.replace('Bank', 'A bank')")
    title(f"edit {TITLE} -m 'name of the bank' --reference case-9", **environment)
    shown = title(f"show {TITLE} --json").json
    assert shown["document"]["charge"] == "A bank"
    assert (shown["message"], shown["reference"]) == ("name of the bank", "case-9")
    assert not list(tmp_path.glob("*.json"))


def test_a_document_left_as_it_is_is_not_registered(title: Shell, tmp_path: Path) -> None:
    said = title.fails(65, f"edit {TITLE}", **editor(title, "text = text.replace('\\n', '\\n\\n')"))
    assert "nothing was registered: version 3 has this document" in said
    assert len(title.addresses()) == 3


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("text = '{\"a\": oops}'", "not JSON"),
        ("text = '[]'", "not a JSON object"),
        ("file.write_text('half'); sys.exit(3)", "the editor ended with 3"),
    ],
)
def test_what_cannot_be_registered_is_kept(
    title: Shell, tmp_path: Path, script: str, words: str
) -> None:
    said = title.fails(65, f"edit {TITLE}", **editor(title, script))
    assert words in said
    [kept] = tmp_path.glob(f"{TITLE}-*.json")
    kept.write_text('{"a": "right now"}')
    title(said.partition("once it is right: ledger ")[2].strip())
    assert document(title) == {"a": "right now"}


def test_what_another_registered_meanwhile_is_not_undone(title: Shell, tmp_path: Path) -> None:
    other = [sys.executable, "-m", "cli", "append", TITLE, "--set", "charge=none"]
    script = f"import subprocess; subprocess.run({other}, check=True); text = '{{}}'"
    said = title.fails(11, f"edit {TITLE}", **editor(title, script))
    assert "head moved" in said
    assert document(title)["charge"] == "none"
    assert list(tmp_path.glob(f"{TITLE}-*.json"))


def test_an_editor_that_is_not_there(title: Shell, tmp_path: Path) -> None:
    said = title.fails(65, f"edit {TITLE}", VISUAL="", EDITOR="no-such-editor")
    assert "name one in EDITOR" in said
    assert not list(tmp_path.glob("*.json"))


def test_an_older_document_comes_back_as_a_new_version(title: Shell) -> None:
    assert "dry run" in title(f"revert {TITLE} v1 --dry-run").out
    title(f"revert {TITLE} v1 --kind rectification")
    shown = title(f"show {TITLE} --json").json
    assert shown["document"] == title(f"show {TITLE} v1 --json").json["document"]
    assert (shown["version"], shown["message"]) == (4, "back to version 1")
    assert shown["kind"] == "rectification"
    assert "version 4 has this document" in title.fails(65, f"revert {TITLE} v1")
    assert "missing argument 'REV'" in title.fails(2, f"revert {TITLE}")


def test_members_are_taken_out_and_merged(title: Shell) -> None:
    patch = {"charge": None, "plan": {"no": 1, "old": None}, "price": {"pence": 1}}
    (title.folder / "patch.json").write_text(json.dumps(patch))
    title(f"append {TITLE} --merge patch.json --set /plan/no:=2 --unset proprietor")
    assert document(title) == {"plan": {"no": 2}, "price": {"pence": 1}}
    said = title.fails(65, f"append {TITLE} --unset nope")
    assert "--unset 'nope': there is no such place in the document" in said
    assert "give either a FILE" in title.fails(2, f"append {TITLE} patch.json --unset plan")


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the test cases of RFC 7396, appendix A, whose target and patch are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_is_that_of_the_rfc(
    target: dict[str, object], patch: dict[str, object], result: dict[str, object]
) -> None:
    assert apply_edits(target, None, None, patch) == result


def test_what_is_in_law_is_edited_and_not_a_corrected_past(title: Shell) -> None:
    period = "--kind rectification --effective 2010 --effective-until 2011"
    title(f"append {TITLE} - {period} -q", stdin=b'{"charge": "Bank", "owner": "long ago"}')
    environment = editor(title, "text = text.replace('Bank', 'A bank')")
    said = title(f"edit {TITLE}", **environment)
    assert "made from version" in said.err
    assert document(title)["charge"] == "A bank"
    assert "owner" not in document(title)
