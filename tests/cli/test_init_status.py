"""``init``, ``status``, ``titles``: what there is to begin with."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tests.cli.shell import ORIGIN, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable


def test_after_init_append_works(bare: Shell) -> None:
    said = bare(f"init --origin {ORIGIN}").lines
    assert said[0].startswith("made your key ")
    assert said[1].startswith("made the ledger ")
    assert said[2:] == ["to log it: ledger key generate --for log, then ledger seal --genesis"]
    bare(f"append {TITLE} --new --set a=b")


def test_init_in_another_place_says_how_to_use_it(bare: Shell) -> None:
    assert (
        bare(f"init titles --origin {ORIGIN}").lines[-1] == "to use it: export LEDGER_STORE=titles"
    )
    bare(f"append {TITLE} --new --set a=b", LEDGER_STORE="titles")


def test_what_init_says_of_the_log_is_all_it_takes(bare: Shell) -> None:
    begin = bare(f"init --origin {ORIGIN}").lines[2].removeprefix("to log it: ")
    for command in begin.split(", then "):
        bare(command.removeprefix("ledger "))
    assert bare("checkpoint").out
    assert "to log it" not in bare("init").out


def test_init_as_json(bare: Shell) -> None:
    made = bare(f"init --origin {ORIGIN} --json").json
    assert made.keys() == {"store", "origin", "key", "key_made"}
    assert made["origin"] == ORIGIN
    assert made["key_made"] is True


def test_a_ledger_is_never_named_by_guessing(bare: Shell) -> None:
    said = bare.fails(65, "init titles")
    assert "the ledger needs a name" in said
    assert "such as: ledger init titles --origin example.org/titles" in said
    assert not bare.store.exists()
    asked = bare.terminal("init", ORIGIN).out
    assert "The ledger's name, such as example.org/titles: " in asked
    assert f"made the ledger {ORIGIN} in file:" in asked


def test_init_again_is_harmless(title: Shell) -> None:
    before, keyring = title.listing(), title.keyring()
    assert title("init").out.startswith(f"there already: the ledger {ORIGIN}")
    assert title(f"init --origin {ORIGIN}").code == 0
    assert title.listing() == before
    assert title.keyring() == keyring


def test_init_refuses_a_place_that_holds_another_ledger(shell: Shell) -> None:
    assert "holds a ledger already" in shell.fails(11, "init --origin example.org/other")


def test_init_refuses_a_ledger_that_the_keyring_does_not_know(
    shell: Shell, new_shell: Callable[[str], Shell]
) -> None:
    other = new_shell("other")
    said = other.fails(11, "init", str(shell.store))
    assert f"ledger key trust FILE --origin {ORIGIN}" in said
    assert not (other.config / "key.pem").exists()


def test_the_key_is_for_the_owner_alone(shell: Shell) -> None:
    assert stat.S_IMODE((shell.config / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(shell.config.stat().st_mode) == 0o700


def test_what_is_no_origin(bare: Shell) -> None:
    for origin in ("", "a b", "a+b", "naïve"):
        assert "not an origin" in bare.fails(65, "init --origin", origin)
    assert not bare.listing()


def test_a_store_in_memory_is_of_no_use_in_a_shell(bare: Shell) -> None:
    assert "ends with the command" in bare.fails(65, "init memory:")


def test_the_store_is_named_once(bare: Shell) -> None:
    assert "once" in bare.fails(2, "init a --store b")


def test_status_before_anything(bare: Shell) -> None:
    result = bare("status", code=13)
    assert "may append:    no" in result.lines
    assert "no ledger in file:" in result.err
    assert "ledger: hint: 'ledger init' makes one" in result.err


def test_status_of_a_ledger(shell: Shell) -> None:
    shown = shell("status --json").json
    assert shown["ledger"] == ORIGIN
    assert shown["store"] == f"file:{shell.store}"
    assert shown["store_from"] == "the default"
    assert shown["registrars"] == 1
    assert shown["may_append"] is True
    assert shown["problem"] is None
    assert "may append:    yes" in shell("status").lines
    assert shell("status -q").out == ""


def test_status_asks_for_no_passphrase(bare: Shell) -> None:
    bare("init --origin example.org/titles", LEDGER_PASSPHRASE="secret")
    assert "encrypted" in bare("status --json").json["key_problem"]
    assert bare("status --json", LEDGER_PASSPHRASE="secret").json["may_append"] is True


def test_titles(shell: Shell) -> None:
    for name in ("B2", "A1", "C3"):
        shell(f"append {name} --new --set a=b")
    assert shell("titles").lines == ["A1", "B2", "C3"]
    assert shell("titles --after A1 -n 1").lines == ["B2"]
    assert shell("titles --json").objects == [{"title_number": n} for n in ("A1", "B2", "C3")]
    assert shell("titles -q").out == ""
    assert "title number" in shell.fails(65, "titles --after a1")
