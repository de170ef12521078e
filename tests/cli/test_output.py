"""What reaches a terminal, a pipe, a full disk; and how the command ends then."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.commands import COMMANDS, GROUPS
from cli.habits import SYNONYMS
from cli.terminal.output import counting, not_checked_lines
from cli.terminal.progress import verifying
from cli.terminal.text import json_text, printable
from ledger import Report
from tests.cli.shell import ORIGIN, PATIENCE, TITLE, Shell
from tests.laws import examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

ALL = [*COMMANDS, *(f"{group} {name}" for group in GROUPS for name in GROUPS[group][1])]
HOSTILE = "\x1b[2J\x07a\rb\u202ec\u2066d\u200be\x9b31m\x7f\u2028f\U000e0041\x00"


def hidden(text: str) -> list[str]:
    """The characters that a terminal would act on, or hide."""
    return [c for c in text if c == "\u2028" or (c != "\n" and unicodedata.category(c)[0] == "C")]


# -- Hostile text --------------------------------------------------------------------------------


@pytest.fixture
def hostile(shell: Shell) -> Shell:
    """A title in which everything that may hold a text holds the worst of it."""
    text = HOSTILE
    document = {text: text, "deep": [{text: [text]}]}
    message = f"first{text}\nsecond{text}"
    (shell.folder / "a.json").write_text(json.dumps(document))
    from ledger import Ledger, load_key

    key = load_key(shell.config / "key.pem")
    with Ledger.open(str(shell.store), keyring=shell.keyring(), signer=key) as ledger:
        ledger.append(TITLE, {}, message="nothing yet")
        ledger.append(TITLE, document, message=message, author=text, reference="case 7")
    return shell


@pytest.mark.parametrize("command", ["log", "log --oneline", "show", "diff"])
@pytest.mark.parametrize("options", ["", "--json"])
def test_hostile_text_is_shown_escaped(hostile: Shell, command: str, options: str) -> None:
    shown = hostile(f"{command} {TITLE} {options}").out
    assert not hidden(shown)
    if command != "log --oneline":
        assert r"\u202e" in shown
    if "json" in options:
        for line in shown.splitlines():
            json.loads(line)


def test_escaping_keeps_the_meaning_of_json() -> None:
    value = {HOSTILE: [HOSTILE, "naïve 𝄞 日本"]}
    for text in (json_text(value), json_text(value, indent=2), json_text(value, spaced=True)):
        assert json.loads(text) == value
        assert "naïve 𝄞 日本" in text
        assert not hidden(text)
    assert json_text(value, ascii_only=True).isascii()


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("Zoë 𝄞 日本 [bold]") == "Zoë 𝄞 日本 [bold]"
    assert printable("a\x1b\n\u202e") == r"a\x1b\n\u202e"


def test_an_error_does_not_repeat_hostile_words(title: Shell) -> None:
    for line in ("show TN1", f"log {TITLE} --since", f"log {TITLE}", f"append {TITLE} --set"):
        said = title(line, HOSTILE.replace("\x00", ""), code=None).err
        assert not hidden(said)
    for words in ([HOSTILE], [f"--{HOSTILE}"], ["append", TITLE, HOSTILE.replace("\x00", "")]):
        result = title("", *words, code=None)
        assert result.code
        assert not hidden(result.err)


# -- Usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("show", "missing argument 'TITLE'"),
        ("log TN1 v1 v2", "unexpected extra argument"),
        ("log TN1 --nope", "no such option: --nope"),
        ("log TN1 -n x", "invalid value for '-n': expected a whole number"),
        ("nope", "no such command 'nope'"),
        ("key nope", "no such command 'nope'"),
        ("--key x titles", "options come after the command's name"),
        ("ls", "no such command 'ls'"),
        ("key ls", "no such command 'ls'. Did you mean 'list'?"),
        ("key trust x", "--origin"),
    ],
)
def test_usage_errors_are_short(bare: Shell, line: str, words: str) -> None:
    said = bare.fails(2, line)
    assert said.startswith("ledger: error: ")
    assert words in said
    assert "--help'\n" in said
    assert len(said.splitlines()) == 2


def test_without_a_command_it_shows_what_there_is(bare: Shell) -> None:
    said = bare.fails(2, "")
    assert all(f"\n  {name} " in said for name in COMMANDS)
    for group, (_, below) in GROUPS.items():
        said = bare.fails(2, group)
        assert all(f"\n  {name} " in said for name in below)


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_and_the_common_options(bare: Shell, name: str) -> None:
    text = bare(f"{name} --help").out
    assert text.startswith(f"Usage: ledger {name} ")
    for option in ("--json", "-q, --quiet", "--debug", "-h, --help"):
        assert f"\n  {option} " in text
    if name not in {"check", "clone", "demo", "verifier"} and not name.startswith("key "):
        assert "\n  --store STORE " in text


def test_the_list_of_commands_is_not_cut_short(bare: Shell) -> None:
    assert "..." not in bare("--help").out.split("Commands:")[1]
    for group in ("key", "trust"):
        assert "..." not in bare(f"{group} --help").out.split("Commands:")[1]


@pytest.mark.parametrize(
    ("habit", "meant"),
    [
        ("help", "--help"),
        ("-h", "--help"),
        ("help key show", "key show --help"),
        ("log -h", "log --help"),
        ("log {} -1", "log {} -n 1"),
        ("log -1 {} --oneline", "log {} --oneline -n 1"),
        ("--json -q titles", "titles --json -q"),
        ("--store={0} log {1}", "log {1} --store {0}"),
        ("--store {0} --json log {1}", "log {1} --store {0} --json"),
        ("diff {} v1..v3", "diff {} v1 v3"),
    ],
)
def test_habits_from_elsewhere_work(title: Shell, habit: str, meant: str) -> None:
    words = [title.store, TITLE] if "{0}" in habit else [TITLE]
    assert title(habit.format(*words)).out == title(meant.format(*words)).out


def test_what_other_programs_call_a_command_is_named(bare: Shell) -> None:
    for name, ours in SYNONYMS.items():
        assert name not in {*COMMANDS, *GROUPS}
        assert ours in COMMANDS
        assert f"here that is 'ledger {ours}'" in bare.fails(2, name)


def test_version(bare: Shell) -> None:
    from importlib.metadata import version

    expected = f"ledger {version('title-ledger')}\n"
    assert [bare(line).out for line in ("--version", "-V", "version")] == [expected] * 3


def test_the_package_runs_as_the_command() -> None:
    for module in ("ledger", "cli"):
        line = [sys.executable, "-m", module, "--version"]
        assert subprocess.check_output(line, timeout=60).startswith(b"ledger ")


# -- Errors --------------------------------------------------------------------------------------


def test_no_traceback_unless_asked_for(title: Shell) -> None:
    assert title.fails(10, "log TN404").count("\n") == 2
    said = title.fails(10, "log TN404 --debug")
    assert said.startswith("Traceback (most recent call last):\n")
    assert said.endswith("mends a head that was lost\n")


def test_what_nobody_expected(title: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("ledger.Ledger.titles", broken)
    assert title.fails(70, "titles") == (
        "ledger: error: unexpected: ZeroDivisionError: division by zero\n"
        "ledger: hint: this is a bug; --debug shows where it happened\n"
    )
    assert "in broken\n" in title.fails(70, "titles --debug")


# -- Pipes, disks, signals -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["log", "log --json", "show", "diff"])
def test_a_reader_who_has_seen_enough(title: Shell, command: str) -> None:
    done = title.unread(f"{command} {TITLE}")
    assert (done.code, done.err) == (0, "")


def test_a_process_whose_reader_has_seen_enough(title: Shell) -> None:
    done = title.bash(f"ledger log {TITLE} | true")
    assert (done.code, done.err) == (0, "")


@pytest.mark.slow
def test_a_reader_who_has_seen_enough_of_thousands_of_lines(shell: Shell) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    shell.append_at(*(start + timedelta(hours=n) for n in range(40)))
    document = {"lines": [f"line {n}" for n in range(4000)]}
    shell(f"append {TITLE} -", stdin=json.dumps(document).encode())
    done = shell.bash(f"ledger log {TITLE} | head -1")
    assert (done.code, done.err, len(done.lines)) == (0, "", 1)
    done = shell.bash(f"ledger show {TITLE} | head -1")
    assert (done.code, done.err) == (0, "")
    done = shell.bash("ledger export - -q | head -c 1")
    assert done.code == 74  # half a backup is no success
    assert "its reader went away before the end" in done.err


def test_a_verdict_that_nobody_read_is_one_all_the_same(title: Shell) -> None:
    (title.store / TITLE / "head.json").write_text("{}")
    done = title.unread("verify")
    assert (done.code, done.err) == (20, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.slow
def test_a_full_disk(title: Shell) -> None:
    done = title.bash(
        f"for c in 'log {TITLE}' 'cat {TITLE}' verify --help --version 'export - -q'; do"
        " ledger $c >/dev/full; echo $?; done"
    )
    assert done.lines == ["74"] * 6
    assert done.err == "ledger: error: cannot write the output: No space left on device\n" * 6


@pytest.mark.slow
def test_closed_streams(title: Shell) -> None:
    done = title.bash("ledger verify >&-; echo $?; ledger nope 2>&-; echo $?; ledger titles <&-")
    assert done.lines == ["0", "2", TITLE]
    assert done.err == ""


def test_an_encoding_that_lacks_the_characters(shell: Shell) -> None:
    shell(f"append {TITLE} --new --set 'Straße=Zoë 𝄞' -m née")
    environment = {"PYTHONIOENCODING": "ascii"}
    process = shell.popen(f"show {TITLE}", stdout=-1, stderr=-1, environment=environment)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert rb"n\xe9e" in out
    out = shell.encoded("ascii", f"log {TITLE} --json")
    assert json.loads(out)["changes"][0]["new"] == "Zoë 𝄞"


def test_an_interrupt(shell: Shell) -> None:
    process = shell.popen("import -", stdin=-1, stdout=-1, stderr=-1)
    assert process.stdin is not None
    process.stdin.write(bytes(1 << 17))  # more than a pipe holds: who has taken it waits for more
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"ledger: error: interrupted\n")


# -- On a terminal -------------------------------------------------------------------------------


def test_colour_and_pager_only_on_a_terminal(title: Shell) -> None:
    assert "\x1b" not in title(f"log {TITLE}").out
    pager = f"{sys.executable} -c 'import sys; print(\"paged\", *sys.stdin)'"
    shown = title.terminal(f"log {TITLE}", PAGER=pager).out
    assert shown.startswith("paged \x1b[33m")
    plain = title.on_terminal(f"log {TITLE} --oneline", NO_COLOR="1").out
    assert plain == title(f"log {TITLE} --oneline").out


@pytest.mark.parametrize(
    "pager",
    [
        pytest.param("", marks=pytest.mark.slow),
        "no-such-pager",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("'", "true")),
    ],
)
def test_a_pager_that_is_none(title: Shell, pager: str) -> None:
    result = title.terminal("titles", PAGER=pager)
    assert result.code == 0
    assert result.out == ("" if pager == "true" else f"{TITLE}\n")


def test_progress_only_on_a_terminal(title: Shell) -> None:
    assert title("verify").err == ""
    shown = title.on_terminal("verify").out
    assert "verified: 1" in shown
    assert shown.count("not checked") == 1
    assert "\x1b" not in title.on_terminal("verify --json", NO_COLOR="1").out


# -- Completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shell_name",
    ["bash", *(pytest.param(name, marks=pytest.mark.slow) for name in ("zsh", "fish"))],
)
def test_completion(bare: Shell, shell_name: str) -> None:
    ask = {
        "bash": {"COMP_WORDS": "ledger lo", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "ledger lo"},
        "fish": {"_TYPER_COMPLETE_ARGS": "ledger lo", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    environment = {"_LEDGER_COMPLETE": f"complete_{shell_name}", **ask[shell_name]}
    process = bare.popen("", stdout=subprocess.PIPE, environment=environment)
    assert b"log" in process.communicate(timeout=30)[0]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ledger log TN", TITLE),
        ("ledger verify T", TITLE),
        (f"ledger show {TITLE} v", "v3\nv2\nv1"),
        (f"ledger diff {TITLE} v1 H", "HEAD"),
        ("ledger log --store nowhere T", ""),
    ],
)
def test_titles_and_revisions_complete(title: Shell, words: str, offered: str) -> None:
    count = len(words.split()) - 1
    environment = {
        "_LEDGER_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(count),
    }
    assert title("", **environment).out.strip() == offered


@pytest.mark.slow
def test_the_completion_script(bare: Shell) -> None:
    done = bare.bash("ledger --show-completion; true")
    assert "_LEDGER_COMPLETE=complete_bash" in done.out


@pytest.mark.parametrize("shown", [partial(counting, "reading"), verifying])
def test_output_does_not_go_where_the_progress_is_shown(
    shown: Callable[..., AbstractContextManager[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    out = io.StringIO()
    with (
        os.fdopen(ours),
        os.fdopen(theirs, "w") as terminal,
        redirect_stderr(terminal),
        redirect_stdout(out),
        shown(quiet=False),
    ):
        print("output")
    assert out.getvalue() == "output\n"


def test_a_backup_that_was_cut_off_is_never_a_success(title: Shell) -> None:
    """It is more than a pipe holds, so that it can't end before its reader does."""
    title(f"append {TITLE} --set", f"long={'x' * 400_000}")
    done = title.bash("ledger export - | head -c 100 > half; echo ${PIPESTATUS[0]}")
    assert done.lines[-1] == "74"
    assert "cut off" in done.err


@pytest.mark.parametrize(
    "command",
    [f"cat {TITLE}", f"prove {TITLE}", f"prove {TITLE} --json", "checkpoint", "checkpoint --json"],
)
def test_data_that_nobody_reads_is_never_a_success(title: Shell, command: str) -> None:
    title("key generate --for log -q")
    title("seal --genesis -q")
    done = title.unread(command)
    assert done.code == 74
    assert "the output was cut off" in done.err


def test_a_bundle_is_never_written_to_a_terminal(title: Shell) -> None:
    shown = title.on_terminal("export -")
    assert shown.code == 65
    assert "ledger export - > FILE" in shown.out
    assert "ustar" not in shown.out


# -- What was not checked --------------------------------------------------------------------------


@given(st.lists(st.text("ab: \n", max_size=90), max_size=8))
@settings(max_examples=examples(100))
def test_what_was_not_checked_is_one_short_line_that_counts_all_of_it(items: list[str]) -> None:
    report = Report(ORIGIN, not_shown=tuple(items))
    short = list(not_checked_lines(report, verbose=False))
    assert len(short) == bool(items)
    for line in short:
        assert len(line) <= 120
        more = re.search(r"; and ([0-9]+) more", line)
        named = line.removeprefix("not checked: ").split("; and ")[0].split("; ")
        assert len(named) + int(more[1] if more else 0) == len(items)
    in_full = list(not_checked_lines(report, verbose=True))
    assert in_full == [f"not checked: {printable(item)}" for item in items]
