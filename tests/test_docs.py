"""Every shell session and every Python block of the README and of docs/ runs, as it stands.

A page is a story: its blocks run from top to bottom, in one shell, in one fresh folder, with a home
of its own. What a fence says of its block:

``console``
    lines that begin with ``$ `` are typed into bash (``> `` continues one); what is below one is
    what it prints, stdout and stderr together, where ``...`` stands for anything. Nothing below:
    it may print anything. A command must succeed, unless the next one is ``echo $?``.
``python``
    is run as a script.
a language and a file name (``sh check.sh``)
    is saved under that name, and not run by itself.
    The port 5000 is one that is free.
anything else (``text``, ``json``, ``ini``, ``python no-run`` …)
    is only to be read: the page says why it can't run here.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers import free_port

ROOT = Path(__file__).parent.parent
PAGES = [
    page
    for page in (
        *sorted(ROOT.glob("*.md")),
        ROOT / "tests" / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
    if page.exists()
]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z]+")
MARK = "=-=-= %d =-=-="
TIMEOUT = 300
# What a page needs beside the package; macOS has no sha256sum, and an openssl that is LibreSSL.
TOOLS = {
    "README.md": ("curl",),
    "verify-by-hand.md": ("sha256sum", "jq", "openssl"),
    "serve.md": ("curl",),
    "subscribe.md": ("curl", "jq"),
    "audit.md": ("sha256sum",),
    "keys.md": ("openssl", "ssh-agent", "softhsm2-util"),
    "timestamps.md": ("openssl",),
    "migrate.md": ("sha256sum",),
    "time-in-law.md": ("jq",),
}


class Block(NamedTuple):
    info: str
    text: str


class Step(NamedTuple):
    """One thing to run: what bash is told, what is to be printed (None: anything)."""

    shown: str
    script: str
    expected: str | None
    may_fail: bool = False


def blocks(page: Path) -> list[Block]:
    return [Block(m[1].strip(), m[2]) for m in FENCE.finditer(page.read_text())]


def saved_as(block: Block) -> str | None:
    """The name of the file that a block is, if it is one."""
    words = block.info.split()
    return words[1] if len(words) == 2 and FILE_NAME.fullmatch(words[1]) else None


def console_steps(text: str) -> list[Step]:
    """The commands of a session, each with what it is to print."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0].append(line[2:])
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"output before any command: {line!r}")
    commands = ["\n".join(command) for command, _ in found]
    follows = [*commands[1:], ""]
    return [
        Step(command, command, "\n".join(output).strip() or None, after.startswith("echo $?"))
        for command, (_, output), after in zip(commands, found, follows, strict=True)
    ]


def steps(page: Path, scripts: Path) -> list[Step]:
    """All that a page runs, in order; Python blocks become files in ``scripts``."""
    result: list[Step] = []
    port = str(free_port())
    for number, block in enumerate(blocks(page)):
        name = saved_as(block)
        if name:
            file = scripts / f"saved-{number}"
            file.write_text(block.text)
            copy = f"cp {shlex.quote(str(file))} {name}"
            result.append(Step(f"save {name}", copy, None))
        elif block.info == "console":
            result += console_steps(re.sub(r"\b5000\b", port, block.text))
        elif block.info == "python":
            script = scripts / f"{page.stem}-{number}.py"
            script.write_text(block.text)
            result.append(Step(block.text, f"python {shlex.quote(str(script))}", None))
    return result


def environment(home: Path) -> dict[str, str]:
    """What a user has who has just installed the package, and nothing of the developer's."""
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def run(todo: list[Step], folder: Path, home: Path) -> list[tuple[Step, str, int]]:
    """Run the steps in one shell and return what each printed, and its exit code."""
    script = "".join(
        f"{step.script}\n__code=$?; printf '\\n{MARK}\\n' $__code; (exit $__code)\n"
        for step in todo
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        check=False,
    )
    text = done.stdout.decode()
    pieces = re.split(MARK.replace("%d", "([0-9]+)"), text)
    outputs, codes = pieces[0::2], [int(code) for code in pieces[1::2]]
    assert len(codes) == len(todo), f"the session ended early:\n{text}"
    return [
        (step, output.strip("\n"), code)
        for step, output, code in zip(todo, outputs, codes, strict=False)
    ]


def matches(expected: str, output: str) -> bool:
    pattern = re.escape(expected).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def has(tool: str) -> bool:
    """Whether this machine has a tool; of openssl, version 3 or later."""
    if shutil.which(tool) is None:
        return False
    if tool != "openssl":
        return True
    done = subprocess.run(
        [tool, "version"], capture_output=True, text=True, check=False, timeout=60
    )
    name, _, version = done.stdout.partition(" ")
    return name == "OpenSSL" and int(version.split(".")[0]) >= 3


def with_something_to_run() -> list[Path]:
    return [
        page for page in PAGES if any(block.info in {"console", "python"} for block in blocks(page))
    ]


# The other pages are run at length: each of their commands is a process.
QUICK = {"README.md"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for page in with_something_to_run()
        for name in [str(page.relative_to(ROOT))]
    ],
)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    for tool in TOOLS.get(page.name, ()):
        if not has(tool):
            pytest.skip(f"needs {tool}")
    folder, home, scripts = (tmp_path / name for name in ("here", "home", "scripts"))
    for made in (folder, home, scripts):
        made.mkdir()
    for step, output, code in run(steps(page, scripts), folder, home):
        if not step.may_fail:
            logs = "\n".join(f"{log.name}:\n{log.read_text()}" for log in folder.glob("*.log"))
            assert code == 0, f"exit code {code} of:\n{step.shown}\nprinted:\n{output}\n{logs}"
        if step.expected is not None:
            assert matches(step.expected, output), (
                f"{step.shown}\nprinted:\n{output}\nthe page says:\n{step.expected}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    for target, anchor in LINK.findall(prose):
        if target.startswith(("http:", "https:")):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor[1:] in anchors(there), f"{page.name} links to {target}{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on code forges."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())}
    for page in (ROOT / "docs").rglob("*.md"):
        assert page == index or page in linked, f"docs/README.md lacks {page.relative_to(ROOT)}"
