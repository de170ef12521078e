"""Where the shell signs: not in every store that claims to be the user's ledger."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import ORIGIN, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

APPEND = "append TN9 --set owner=mallory"


@pytest.fixture
def clone(shell: Shell) -> Shell:
    """A folder that somebody else filled, with a store that claims to be the user's ledger."""
    folder = shell.folder.with_name("clone")
    shutil.copytree(shell.store, folder / "evil")
    (folder / "ledger.toml").write_text('store = "evil"\n')
    return Shell(folder, shell.home)


@pytest.mark.parametrize("options", ["", "--dry-run"])
def test_a_project_file_does_not_decide_where_one_signs(clone: Shell, options: str) -> None:
    said = clone.fails(12, f"{APPEND} {options}")
    assert f"ledger.toml leads to file:{clone.folder}/evil, which says it is {ORIGIN}" in said
    assert f"hint: if it is right, record it: ledger init file:{clone.folder}/evil\n" in said
    assert not (clone.folder / "evil" / "TN9").exists()
    clone.fails(12, APPEND, LEDGER_ORIGIN=ORIGIN)  # it says which ledger, not which store
    assert clone("status --json").json["may_append"] is False
    clone("verify")


def test_a_project_file_counts_once_the_user_has_named_the_store(clone: Shell) -> None:
    said = clone.fails(12, APPEND)
    clone(said.strip().partition("hint: if it is right, record it: ledger ")[2])
    clone(f"{APPEND} --new")


def test_nor_does_a_store_that_lies_where_the_default_is(clone: Shell) -> None:
    (clone.folder / "ledger.toml").unlink()
    (clone.folder / "evil").rename(clone.store)
    assert "the default leads to" in clone.fails(12, APPEND)


def test_init_is_no_way_around_it(clone: Shell) -> None:
    clone("init")
    clone.fails(12, APPEND)


def test_who_names_the_store_signs_in_it(clone: Shell) -> None:
    clone(f"{APPEND} --store evil --new")
    clone(APPEND, LEDGER_STORE="evil")
    assert clone("status --json --store evil").json["may_append"] is True


def test_a_store_that_is_known_may_be_named_by_a_project(clone: Shell) -> None:
    clone("init evil")
    clone(f"{APPEND} --new")
    (clone.folder / "sub").mkdir()
    Shell(clone.folder / "sub", clone.home)(APPEND)


def test_of_several_ledgers_one_has_to_be_meant(
    shell: Shell, new_shell: Callable[[str], Shell]
) -> None:
    colleague = new_shell("colleague")
    (shell.folder / "c.pub").write_text((colleague("key generate"), colleague("key show"))[1].out)
    (colleague.folder / "c.pub").write_text((shell.folder / "c.pub").read_text())
    colleague(f"key trust c.pub --origin {ORIGIN}")
    there = ("--store", str(shell.store))
    colleague(f"{APPEND} --new", *there)
    colleague("key trust c.pub --origin example.org/other")
    said = colleague.fails(12, APPEND, *there)
    assert "your keyring knows several ledgers" in said
    colleague(APPEND, *there, LEDGER_ORIGIN=ORIGIN)
    assert "holds the ledger" in colleague.fails(12, APPEND, *there, LEDGER_ORIGIN="example.org/x")
    colleague("titles", *there)
    colleague(said.strip().partition("hint: if it is right, record it: ledger ")[2])
    colleague(APPEND, *there)


def test_a_link_in_a_project_is_not_remembered(clone: Shell, shell: Shell) -> None:
    (clone.folder / "evil").rename(clone.folder / "kept")
    (clone.folder / "evil").symlink_to(shell.store)
    clone("titles")
    clone(f"{APPEND} --new")  # the true ledger
    (clone.folder / "evil").unlink()
    (clone.folder / "kept").rename(clone.folder / "evil")
    assert "you have never named that store" in clone.fails(12, APPEND)
