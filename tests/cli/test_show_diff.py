"""``show``, ``cat``, ``diff``: versions of a title, and what lies between them."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime

import pytest

from cli.config import load_config
from ledger import Draft, Ledger, load_key
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


def test_show_what_was_in_law_on_a_day_as_it_was_known_on_another(shell: Shell) -> None:
    shell.append_at(datetime(2026, 6, 1, tzinfo=UTC))
    shell(f"append {TITLE} --set n:=2 --effective 1995-05-05 --effective-until 2026-06-01")
    shell(f"append {TITLE} --set n:=3 --effective 2090-01-01")

    def version(options: str) -> int:
        found: int = shell(f"show {TITLE} --json {options}").json["version"]
        data = shell(f"cat {TITLE} {options}").data
        assert json.loads(data)["entry"]["version"] == found
        return found

    assert version("--effective 1995-05-05") == 2
    assert version("--effective 2026-05-31") == 2
    assert version("--effective 2026-06-01") == 1
    assert version("--effective 2089-12-31") == 1
    assert version("--effective 2090-01-01") == 3
    assert version("--effective 2090-01-01 --recorded 2026-06-01") == 1
    assert version("--recorded 2026-06-02") == 1
    assert version("--effective today --recorded today") == 1
    for command in ("show", "cat"):
        said = shell.fails(10, f"{command} {TITLE} --effective 1995-05-04")
        assert "nothing was in law then: version 2 holds from 1995-05-05" in said
        assert "recorded by 2025" in shell.fails(10, f"{command} {TITLE} --recorded 2025-12-31")
        for option in ("--effective", "--recorded"):
            said = shell.fails(2, f"{command} {TITLE} {option} 2026-01-01 v1")
            assert "can't be used with REV" in said
            said = shell.fails(65, f"{command} {TITLE} {option} 2026-01")
            assert "not a whole date or a time with an offset" in said


def test_what_is_asked_about_the_future_may_still_change(title: Shell) -> None:
    for asked in ("--effective 2999-01-01", "--recorded 2999-01-01"):
        assert "may still change" in title(f"show {TITLE} {asked}").err
    assert title(f"show {TITLE} --effective today --recorded today").err == ""


@pytest.mark.parametrize("command", ["show", "show --json", "log", "log --oneline", "log --json"])
def test_a_newest_version_that_is_not_in_force_today_is_shown_with_a_note(
    shell: Shell, command: str
) -> None:
    shell(f"append {TITLE} --new --set n:=1 --effective 2999-01-01")
    said = shell(f"{command} {TITLE}").err
    assert said.startswith(f"ledger: note: no version of {TITLE} is in force today (20")
    shell(f"append {TITLE} --set n:=2 --effective 2020-01-01 --effective-until 2998-01-01")
    assert shell(f"{command} {TITLE}").err == ""
    shell(f"append {TITLE} --set n:=3 --effective 2999-01-01")
    said = shell(f"{command} {TITLE}").err
    assert said.startswith("ledger: note: version 2 is in force today (20")
    assert said.endswith("), not version 3\n")
    assert shell(f"{command} {TITLE} v3").err == ""
    assert shell(f"{command} {shell.addresses()[0]}").err == ""
    assert shell(f"{command} {TITLE} -q").err == ""


def test_today_is_the_day_in_the_zone_that_the_user_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one instant, the date differs between two ends of the world."""
    shell(f"append {TITLE} --new --set n:=1 --effective 2020-01-01")
    days = {}
    for zone in ("Etc/GMT+12", "Etc/GMT-12"):
        (shell.config / "config.toml").write_text(f'zone = "{zone}"\n')
        with monkeypatch.context() as patched:
            patched.setenv("XDG_CONFIG_HOME", str(shell.home / ".config"))
            days[zone] = load_config().now().date()
    assert days["Etc/GMT+12"] < days["Etc/GMT-12"]
    (shell.config / "config.toml").write_text('zone = "Mars/Olympus"\n')
    assert "IANA name" in shell.fails(65, f"show {TITLE} --effective today")
    (shell.config / "config.toml").write_text("zone = 1\n")
    assert "zone is not a string" in shell.fails(65, f"show {TITLE}")


def test_cat_writes_the_bytes_of_which_the_short_form_has_the_address(title: Shell) -> None:
    for revision, address in zip(("v1", "v2", "HEAD"), title.addresses(), strict=True):
        data = title(f"cat {TITLE} {revision}").data
        short = title(f"cat {TITLE} {revision} --short").data
        assert hashlib.sha256(short).hexdigest() == address
        assert data.startswith(short[:-1] + b',"text":{')
        assert data == (title.store / TITLE / f"{address}.json").read_bytes()
        assert title(f"cat {TITLE} {revision} --json").data == data
    assert title(f"cat {TITLE} -q").data == b""


# -- A text that is erased -----------------------------------------------------------------------


@pytest.fixture
def erased(title: Shell) -> Shell:
    """A shell in whose title an entry orders the text of version 2 erased."""
    signer = load_key(title.config / "key.pem")
    with Ledger.open(str(title.store), keyring=title.keyring(), signer=signer) as ledger:
        document = ledger.head(TITLE).document
        ledger.submit(Draft(TITLE, document, "by order", reference="C-1", erases=(2,)))
    return title


def test_a_text_that_is_erased_is_not_shown(erased: Shell) -> None:
    _, second, _, _ = erased.addresses()
    order = "version 2 was erased by version 4 (reference C-1)\n"
    for command in ("show", "cat"):
        assert order in erased.fails(10, f"{command} {TITLE} v2"), command
    assert erased(f"diff {TITLE} v2").err.endswith(order)
    assert erased(f"diff {TITLE} v2 --exit-code", code=1).out == ""
    short = erased(f"cat {TITLE} v2 --short").data
    assert hashlib.sha256(short).hexdigest() == second


def test_the_log_says_which_text_is_erased(erased: Shell) -> None:
    newest, third, second, first = erased(f"log {TITLE}").out.strip().split("\n\nentry ")
    assert "\nErases:    version 2\n" in newest
    order = "    not shown: the text of TN1234567 version 2 was erased by version 4 (reference C-1)"
    assert third.endswith(f"    mortgage\n\n{order}")
    assert second.endswith(f"\nReference: case-7\n\n    (its text is erased)\n\n{order}")
    assert first.endswith('+ /proprietor: "Ada Lovelace"')
    assert "Grace" not in erased(f"log {TITLE} v2").out
    assert erased(f"log {TITLE} --oneline").lines[2].endswith(" (erased by version 4)")
    shown = erased(f"log {TITLE} --json").objects
    assert [each["changes"] is None for each in shown] == [False, True, True, False]
    assert (shown[2]["message"], shown[2]["author"]) == (None, None)
    assert shown[0]["erases"] == [2]


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
    shell(f"append {TITLE} --new --set a=b")
    said = shell.fails(10, f"diff {TITLE}")
    assert f"{TITLE} has no version before version 1\n" in said
    assert f"'ledger show {TITLE} v1'" in said
    assert "without --new" in shell.fails(11, f"append {TITLE} --new --set a=b")


def test_an_address_finds_its_entry_without_the_title(title: Shell) -> None:
    first, second, _ = title.addresses()
    assert title(f"rev-parse {TITLE} v2").out == f"{second}\n"
    short = next(second[:n] for n in range(8, 20) if not second[:n].isdigit())
    for named in (short, second):
        assert title(f"rev-parse {named} --json").json == {
            "title_number": TITLE,
            "version": 2,
            "address": second,
        }
    assert title(f"show {short}~1 --json").json["address"] == first
    assert len(title(f"log {short} --oneline").lines) == 2
    assert "no entry of the ledger begins with" in title.fails(10, "show abcdef0123")
    assert "can't be used with REV" in title.fails(2, f"show {short} v1")


def test_blame_names_the_version_that_set_each_field(title: Shell) -> None:
    lines = title(f"blame {TITLE}").lines
    assert [(line.split()[1], line.partition(" /")[2]) for line in lines] == [
        ("v3", 'charge: "Bank"'),
        ("v1", "price: 185000"),
        ("v2", 'proprietor: "Grace Hopper"'),
    ]
    [found] = title(f"blame {TITLE} /price --json").objects
    assert (found["path"], found["value"], found["version"]) == ("/price", 185000, 1)
    assert "has nothing at" in title.fails(10, f"blame {TITLE} /nope")


def test_a_discharged_charge_and_a_new_one_are_two_changes(shell: Shell) -> None:
    a, b, c = ({"lender": f"Bank {name}", "amount": amount} for name, amount in ABC)
    for charges in ([a, b], [b, c], [c, b], [a, c, b | {"amount": 9}]):
        shell(
            f"append {TITLE} - --new" if charges == [a, b] else f"append {TITLE} -",
            stdin=json.dumps({"charges": charges}).encode(),
        )
    assert shell(f"diff {TITLE} v1 v2").lines == [
        '- /charges/0: {"amount": 1, "lender": "Bank A"}',
        '+ /charges/1: {"amount": 3, "lender": "Bank C"}',
    ]
    assert shell(f"diff {TITLE} v2 v3").lines in (
        ["~ /charges/0: moved from /charges/1"],
        ["~ /charges/1: moved from /charges/0"],
    )
    assert shell(f"diff {TITLE} v3 v4").lines[-1] == (
        "~ /charges/2/amount (was /charges/1/amount): 2 -> 9"
    )
    assert shell(f"diff {TITLE} v2 v3 --json").json["kind"] == "moved"


ABC = (("A", 1), ("B", 2), ("C", 3))


def test_long_texts_are_shown_where_they_differ(shell: Shell) -> None:
    words = [f"word{n}" for n in range(60)]
    shell(f"append {TITLE} --new --set", f"note={' '.join(words)}")
    words[30] = "other [-one-]"
    shell(f"append {TITLE} --set", f"note={' '.join(words)}")
    [line] = shell(f"diff {TITLE}").lines
    assert "word27" in line
    assert line.count("word33") == 2
    assert "word20" not in line
    assert line.count("…") == 4
    [line] = shell(f"diff {TITLE} --word-diff").lines
    assert "word29 [-word30-]{+other [-one-]+} word31" in line
    assert "word0 " in line


def test_text_from_right_to_left_is_kept_to_itself_on_a_terminal(shell: Shell) -> None:
    shell(f"append {TITLE} --new --set owner=שלום")
    shell(f"append {TITLE} --set owner=עולם")
    assert '"שלום" -> "עולם"' in shell(f"diff {TITLE}").out
    shown = shell.on_terminal(f"diff {TITLE}", NO_COLOR="1").out
    assert '\u2068"שלום"\u2069 -> \u2068"עולם"\u2069' in shown


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
