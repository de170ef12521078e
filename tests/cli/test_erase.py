"""``ledger erase``, and what the other commands say of an erased text."""

from __future__ import annotations

import pytest

from tests.cli.shell import TITLE, Shell

NAME = "Ada Lovelace"
ORDER = "--reference 'LG 7' -m 'by order of the court'"
BY = "erased by version 4 (reference LG 7)"


@pytest.fixture
def title(shell: Shell) -> Shell:
    """A shell whose ledger has a title of three versions, the first with the name."""
    shell(f"append {TITLE} --new --set proprietor='{NAME}' --set price:=185000 -m first")
    shell(f"append {TITLE} --set proprietor='Grace Hopper' -m sale --reference case-7")
    shell(f"append {TITLE} --set charge=Bank -m mortgage")
    return shell


def holding(shell: Shell) -> list[str]:
    """The files of the store in which the name is."""
    files = (path for path in (shell.folder / "ledger-data").rglob("*") if path.is_file())
    return [path.name for path in files if NAME.encode() in path.read_bytes()]


def test_an_order_is_carried_out_and_said_everywhere(title: Shell) -> None:
    title("export before.bundle")
    title("pack")
    assert len(holding(title)) == 2
    result = title(f"erase {TITLE} 1 {ORDER}")
    assert "erased: version 1\n" in result.out
    assert "not reached: copies outside this store" in result.out
    assert "has the document of the one before" in result.err
    assert holding(title) == []
    for command in (f"show {TITLE} v1", f"cat {TITLE} v1", f"show {TITLE} v1 --json"):
        said = title.fails(10, command)
        assert f"was {BY}" in said
    log = title(f"log {TITLE}").out
    assert log.count(f"not shown: the text of {TITLE} version 1 was {BY}") == 2  # and its child's
    assert "Erases:    version 1\n" in log
    assert title(f"log {TITLE} --oneline").lines[-1].endswith("(erased by version 4)")
    first = title(f"log {TITLE} --json").objects[-1]
    assert first["erased"] == {"version": 4, "reference": "LG 7"}
    assert first["message"] is None
    assert first["changes"] is None
    diff = title(f"diff {TITLE} v1 v2")
    assert (diff.out, BY in diff.err) == ("", True)
    title(f"diff {TITLE} v1 v2 --exit-code", code=1)
    assert f"not checked: the text of 1 entry of {TITLE}, {BY}" in title("verify -v").out
    title("fsck")
    # An old bundle brings nothing back, and can be stripped.
    title("import before.bundle")
    assert holding(title) == []
    assert "without 1 text" in title("bundle strip before.bundle after.bundle").out
    assert NAME.encode() in (title.folder / "before.bundle").read_bytes()
    assert NAME.encode() not in (title.folder / "after.bundle").read_bytes()
    assert BY in title("verify -v --bundle after.bundle").out


def test_the_document_of_the_order_can_be_changed(title: Shell) -> None:
    title(f"append {TITLE} --set proprietor='{NAME}'")
    order = f"erase {TITLE} 1 4 {ORDER} --set proprietor=withheld --unset charge --unset /a/b"
    for _ in range(2):
        facts = title(order + " --json").json
        assert (facts["erased"], facts["done"], facts["order"]["version"]) == ([1, 4], True, 5)
    assert holding(title) == []
    assert title(f"show {TITLE} --json").json["document"] == {
        "price": 185000,
        "proprietor": "withheld",
    }


def test_it_waits_for_the_log_and_is_finished(title: Shell) -> None:
    title("key generate --for log")
    title("seal --genesis")
    said = title(f"erase {TITLE} 1 {ORDER}", code=3).out
    assert f"after the next 'ledger seal': ledger erase {TITLE} --finish" in said
    assert title(f"erase {TITLE} --finish --json", code=3).json["waiting"] == [1]
    title("fsck", code=20)
    title("seal")
    assert "erased: version 1\n" in title(f"erase {TITLE} --finish").out
    assert holding(title) == []
    title("audit")
    # The receipt of what was erased still holds; what was said is not shown.
    title(f"prove {TITLE} v1 -o v1.receipt")
    address = title.addresses()[0]
    entry = title.folder / "ledger-data" / TITLE / f"{address}.json"
    said = title(f"check v1.receipt --entry {entry}", code=3).out
    assert "unchecked: erased: the entry: its text is withheld" in said


def test_an_order_is_whole(title: Shell) -> None:
    for line in ("1", ORDER, "1 --reference A", "1 -m why"):
        assert "give VERSIONs" in title.fails(2, f"erase {TITLE} {line}")
    for line in (f"1 {ORDER}", "1", "--lost"):
        assert "--finish takes" in title.fails(2, f"erase {TITLE} {line} --finish")
    assert "has the versions 1 to 3" in title.fails(65, f"erase {TITLE} 9 {ORDER}")
    assert title(f"erase {TITLE} --finish").out == f"nothing of {TITLE} is ordered erased\n"
    assert len(title.addresses()) == 3


def test_a_text_that_is_gone_is_erased_only_on_purpose(title: Shell) -> None:
    entry = title.folder / "ledger-data" / TITLE / f"{title.addresses()[0]}.json"
    data = entry.read_bytes()
    entry.write_bytes(data[: data.index(b',"text":{')] + b"}")
    assert "text-missing" in title("verify", code=20).out
    assert "--lost" in title.fails(20, f"erase {TITLE} 1 {ORDER}")
    title(f"erase {TITLE} 1 {ORDER} --lost")
    title("fsck")
