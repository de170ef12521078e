"""``export``, ``import``, ``verify --bundle``: histories as one file."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import ORIGIN, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable


def befriend(other: Shell, shell: Shell, origin: str = ORIGIN) -> None:
    """Let the one trust the key of the other."""
    public = other.folder / "registrar.pub"
    public.write_text(shell("key show").out)
    other(f"key trust registrar.pub --origin {origin} --name registry")


def test_there_and_back(title: Shell, new_shell: Callable[[str], Shell]) -> None:
    title("append TN2 --new --set a=b")
    assert title("export all.bundle").out == "wrote 2 titles to all.bundle\n"
    auditor = new_shell("auditor")
    befriend(auditor, title)
    bundle = str(title.folder / "all.bundle")
    assert auditor("verify --bundle", bundle).lines[0] == (
        f"verified: 2 titles, 4 entries of {ORIGIN}"
    )
    assert auditor("import", bundle).out == "titles moved: 2; there already: 0\n"
    assert auditor.addresses() == title.addresses()
    assert auditor("verify").lines[0] == f"verified: 2 titles, 4 entries of {ORIGIN}"
    before = auditor.listing()
    done = auditor("import --json", bundle).json
    assert (done["file"], done["moved"], done["unchanged"]) == (bundle, 0, 2)
    assert (done["log_leaves"], done["log_left_out"]) == (0, False)
    assert auditor.listing() == before
    assert "registry (" in auditor(f"log {TITLE} --oneline").out


def test_through_a_pipe(title: Shell, new_shell: Callable[[str], Shell]) -> None:
    result = title(f"export - {TITLE}")
    assert result.err == "wrote 1 title to -\n"
    other = new_shell("other")
    befriend(other, title)
    other("import -", stdin=result.data)
    assert other.addresses() == title.addresses()
    assert title("export - -q").data == result.data


def test_chosen_titles(title: Shell) -> None:
    title("append TN2 --new --set a=b")
    assert title("export two.bundle TN2 --json").json == {"file": "two.bundle", "titles": 1}
    assert "1 title, 1 entry" in title("verify --bundle two.bundle").out
    assert "no such title: TN404" in title.fails(10, "export none.bundle TN404")
    assert not (title.folder / "none.bundle").exists()
    assert not list(title.folder.glob(".none*"))


def test_a_title_is_not_taken_for_the_name_of_a_bundle(title: Shell) -> None:
    said = title.fails(65, f"export {TITLE}")
    assert f"name the file first: ledger export {TITLE}.bundle {TITLE}" in said
    assert not (title.folder / TITLE).exists()
    title("export BACKUP")


def test_a_bundle_is_never_overwritten(title: Shell) -> None:
    (title.folder / "b").write_text("mine")
    assert "b exists already" in title.fails(65, "export b")
    assert (title.folder / "b").read_text() == "mine"
    assert "cannot write none/b" in title.fails(13, "export none/b")


def test_a_bundle_has_the_mode_that_other_files_have(title: Shell) -> None:
    title("export b")
    (title.folder / "other").touch()
    mode = (title.folder / "other").stat().st_mode
    assert stat.S_IMODE((title.folder / "b").stat().st_mode) == stat.S_IMODE(mode)


def test_what_came_after_an_earlier_bundle(title: Shell, new_shell: Callable[[str], Shell]) -> None:
    title("export monday")
    title("append TN2 --new --set a=b")
    title(f"append {TITLE} --set a=b")
    assert title("export tuesday --since monday").out == "wrote 2 titles to tuesday\n"
    assert title("export wednesday --since monday --since tuesday --json").json["titles"] == 0
    said = title("verify --bundle tuesday", code=3).out
    assert "earlier bundle" in said
    other = new_shell("other")
    befriend(other, title)
    for day in ("monday", "tuesday", "wednesday"):
        other("import", str(title.folder / day))
    assert other.addresses() == title.addresses()


def test_a_changed_byte_in_a_bundle_is_named(
    title: Shell, new_shell: Callable[[str], Shell]
) -> None:
    data = title("export -").data
    offset = data.index(b"Ada Lovelace")
    (title.folder / "bad").write_bytes(data[:offset] + b"X" + data[offset + 1 :])
    first, *_ = title.addresses()
    assert first in title("verify --bundle bad", code=20).out
    other = new_shell("other")
    befriend(other, title)
    assert first in other.fails(20, "import", str(title.folder / "bad"))
    assert "no ledger in" in other.fails(13, "titles")  # nothing of it was written


@pytest.mark.parametrize("command", ["verify --bundle wrong", "import wrong --store new"])
def test_a_file_that_is_not_a_whole_bundle_is_never_called_tampering(
    title: Shell, command: str
) -> None:
    data = title("export -").data
    wrong = {
        "cut": data[: len(data) // 2],
        "cut in its first entry": data[:3000],
        "cut at its end": data[:-1],
        "empty": b"",
        "compressed": gzip.compress(data),
        "JSON": title(f"cat {TITLE}").data,
        "text": b"hello",
        "another archive": _tar_of("readme.txt", b"hello" * 1000),
    }
    for name, content in wrong.items():
        (title.folder / "wrong").write_bytes(content)
        result = title(command, code=65)
        assert "not a bundle" in result.err, name
        assert "tampering" not in result.out + result.err, name


def _tar_of(name: str, data: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


def test_tampering_before_a_cut_is_still_tampering(title: Shell) -> None:
    title("append TN2 --new --set a=b")
    data = bytearray(title("export -").data)
    data[data.index(b"Ada Lovelace")] ^= 1
    (title.folder / "cut").write_bytes(data[:-1024])
    assert "malformed-bundle" in title("verify --bundle cut", code=20).out


def test_a_damaged_title_never_stops_the_others_nor_goes_unnamed(
    title: Shell, new_shell: Callable[[str], Shell]
) -> None:
    title("append TN1 --new --set a=b")
    title("append TN2 --new --set a=b")
    entry = title.store / TITLE / f"{title.addresses()[0]}.json"
    entry.write_bytes(entry.read_bytes().replace(b"Ada", b"Eve"))
    assert TITLE in title.fails(20, "export all")
    done = title("export some --keep-going", code=3)
    assert done.out == "wrote 2 titles to some\n"
    assert done.err.startswith(f"left out: {TITLE}: ")
    shown = title("export again --keep-going --json", code=3).json
    assert (shown["titles"], [each["title_number"] for each in shown["left_out"]]) == (2, [TITLE])
    report = title("verify --bundle some --json", code=3).json
    assert (report["titles"], report["entries"]) == (2, 2)
    assert [(each["slug"], each["object"]) for each in report["findings"]] == [
        ("left-out", f"{TITLE}/head.json")
    ]
    other = new_shell("other")
    befriend(other, title)
    done = other("import", str(title.folder / "some"), code=3)
    assert done.err == f"not in the bundle: {TITLE} was left out of it\n"
    assert other("titles").lines == ["TN1", "TN2"]


def test_keeping_going_where_all_is_sound_leaves_nothing_out(title: Shell) -> None:
    title("export a")
    title("export b --keep-going")
    assert (title.folder / "a").read_bytes() == (title.folder / "b").read_bytes()


def test_pins_of_a_bundle(title: Shell) -> None:
    title("export b")
    *_, head = title.addresses()
    title(f"verify --bundle b --expect {head} --origin {ORIGIN}")
    assert "pin-missing" in title(f"verify --bundle b --expect {'0' * 64}", code=20).out
    assert "of the ledger" in title("verify --bundle b --origin example.org/x", code=20).out
    assert "cannot read none" in title.fails(10, "verify --bundle none")
    assert "whole file" in title.fails(2, f"verify {TITLE} --bundle b")
    assert "whole file" in title.fails(2, "verify --bundle b --store x")


def test_a_bundle_of_a_ledger_that_the_keyring_does_not_know(
    title: Shell, new_shell: Callable[[str], Shell]
) -> None:
    title("export b")
    stranger = new_shell("stranger")
    assert "keyring doesn't know" in stranger.fails(12, "import", str(title.folder / "b"))
    assert "keyring doesn't know" in stranger.fails(12, "verify --bundle", str(title.folder / "b"))
    assert not stranger.listing()


def test_a_bundle_of_another_ledger(title: Shell, new_shell: Callable[[str], Shell]) -> None:
    title("export b")
    other = new_shell("other")
    other("init --origin example.org/other")
    befriend(other, title)
    assert f"of the ledger {ORIGIN}" in other.fails(12, "import", str(title.folder / "b"))
    assert other("titles").out == ""


def test_histories_that_part_are_refused(title: Shell) -> None:
    title("export b")
    (title.store / TITLE / "head.json").write_bytes(title(f"cat {TITLE} v2").data)
    title(f"append {TITLE} --set proprietor=Hedy")
    before = title.listing()
    assert TITLE in title.fails(11, "import b")
    assert title.listing() == before


# -- Which ledger a bundle has to be of ----------------------------------------------------------


@pytest.fixture
def two(bare: Shell) -> Shell:
    """The ledgers a and b of one user, and a bundle of b."""
    for name in "ab":
        bare(f"init {name} --origin example.org/{name}")
        bare(f"append TN1 --new --set of={name} --store {name}")
    bare("export b.bundle --store b")
    return bare


def test_the_ledger_that_a_bundle_has_to_be_of(two: Shell) -> None:
    assert (
        "which ledger this should be: your keyring knows 1 more"
        in two("verify -v --bundle b.bundle").out
    )
    said = two("verify --bundle b.bundle", code=20, LEDGER_ORIGIN="example.org/a").out
    assert "the bundle is of the ledger example.org/b, not of example.org/a" in said
    said = two("verify --bundle b.bundle", LEDGER_ORIGIN="example.org/b").out
    assert "which ledger" not in said
    two("verify --bundle b.bundle --origin example.org/b", LEDGER_ORIGIN="example.org/a")


def test_an_import_makes_no_other_ledger_than_the_one_that_was_there(two: Shell) -> None:
    shutil.rmtree(two.folder / "a")
    before = (two.config / "stores.json").read_bytes()
    said = two.fails(12, "import b.bundle --store a")
    assert f"of the ledger example.org/b, but file:{two.folder}/a must be example.org/a" in said
    two.fails(12, "import b.bundle --store new", LEDGER_ORIGIN="example.org/a")
    assert (two.config / "stores.json").read_bytes() == before
    assert not (two.folder / "a").exists()
    assert not (two.folder / "new").exists()
    two("import b.bundle --store new")
    two("append TN1 --set a=b --store new")  # it is known now
