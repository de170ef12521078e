"""``ledger pack``: entries put together, for those who read all of a ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, load_key
from ledger.format import layout
from tests.cli.shell import PATIENCE, TITLE, Shell
from tests.servers import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def packs(shell: Shell) -> list[Path]:
    return sorted((shell.store / "_packs").glob("*/*"))


def test_packing(title: Shell) -> None:
    title("append TN2 --new --set a=b")
    before = title.listing()
    assert title("pack").out == "packed 4 entries of 2 titles into 1 pack (0.0 MB)\n"
    (pack,) = packs(title)
    assert pack.parent.name == TITLE
    assert pack.name.startswith(f"TN2.{pack.stat().st_size}-")
    assert {key: data for key, data in title.listing().items() if "_packs" not in key} == before
    assert title("pack").out == "nothing new to pack\n"
    assert packs(title) == [pack]
    title(f"append {TITLE} --set a=b")
    assert title("pack").out == (
        "packed 5 entries of 2 titles into 1 pack (0.0 MB), in place of 1 earlier\n"
    )
    assert title("pack --rebuild --quiet").out == ""
    title("verify")


def test_packing_for_a_program(title: Shell) -> None:
    assert title("pack --json").json == {
        "titles": 1,
        "entries": 3,
        "packs": 1,
        "bytes": packs(title)[0].stat().st_size,
        "deleted": 0,
        "findings": [],
    }


def test_a_key_is_not_needed(title: Shell) -> None:
    (title.config / "key.pem").unlink()
    title("pack --connections 4")
    assert len(packs(title)) == 1


def test_what_does_not_verify_is_named_and_left_out(title: Shell) -> None:
    title("append TN2 --new --set a=b")
    first = title.addresses()[0]
    path = title.store / TITLE / f"{first}.json"
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
    result = title("pack", code=20)
    assert result.out == "packed 3 entries of 2 titles into 1 pack (0.0 MB)\n"
    assert result.err.startswith("tampering: text-mismatch: ")
    assert first in result.err
    assert first.encode() not in packs(title)[0].read_bytes().partition(b"\n")[0]
    (finding,) = title("pack --json", code=20).json["findings"]
    assert finding["object"] == f"{TITLE}/{first}.json"


def test_a_damaged_pack_is_made_anew(title: Shell) -> None:
    title("pack")
    (pack,) = packs(title)
    whole = pack.read_bytes()
    pack.write_bytes(whole[:-1])
    result = title("pack")
    assert "warning: damaged-pack: " in result.err
    assert result.out == "packed 3 entries of 1 title into 1 pack (0.0 MB)\n"
    assert packs(title) == [pack]
    assert pack.read_bytes() == whole


def test_where_there_is_no_ledger(bare: Shell) -> None:
    assert "no ledger in" in bare.fails(13, "pack")


ONE_PACK = """
import time
from cli.app import main
from ledger.stores import FolderStore
create = FolderStore.create

def and_wait(store, key, data):
    version = create(store, key, data)
    if key.startswith("_packs/"):
        time.sleep(600)
    return version

FolderStore.create = and_wait
main()
"""


@pytest.mark.slow
def test_stopped_in_the_middle_it_leaves_whole_packs_and_goes_on_later(shell: Shell) -> None:
    with Ledger.open(
        str(shell.store), keyring=shell.keyring(), signer=load_key(shell.config / "key.pem")
    ) as ledger:
        for number in range(60):
            ledger.append(f"TN{number % 6}", {"plan": "x" * 900_000, "n": number})
    process = subprocess.Popen(
        [sys.executable, "-c", ONE_PACK, "pack"],
        cwd=shell.folder,
        env=os.environ | shell.environment,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: packs(shell))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, b"ledger: error: interrupted\n")
    assert all(
        layout.parse_pack_key(f"_packs/{path.parent.name}/{path.name}") for path in packs(shell)
    )
    assert shell("fsck").out.startswith("verified: 6 titles, 60 entries")
    shell("pack")
    assert shell("fsck").out.startswith("verified: 6 titles, 60 entries")
