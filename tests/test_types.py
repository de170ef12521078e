"""The docs' Python as a user's type checkers see it: mypy --strict, and pyright."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.test_docs import PAGES, ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

IMPORT = re.compile(r"^(from|import) ledger\b", re.MULTILINE)
ELSEWHERE = ("name-defined", "import-not-found", "no-redef", "untyped-decorator")
"""What mypy may miss in an example that is not run: parts of the reader's own program."""


def examples(folder: Path) -> list[Path]:
    """The examples that use the library, as files: first those that are run, then the others."""
    found = []
    for page in PAGES:
        for number, block in enumerate(blocks(page)):
            language, _, rest = block.info.partition(" ")
            if language == "python" and IMPORT.search(block.text):
                name = f"{page.stem.replace('-', '_')}_{number}"
                file = folder / ("not_run" if rest == "no-run" else "run") / f"{name}.py"
                file.parent.mkdir(exist_ok=True)
                file.write_text(block.text)
                found.append(file)
    return found


def checked(*command: str | Path, cwd: Path) -> None:
    """Run a type checker as one does who has installed the package."""
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_is_content_with_the_examples(tmp_path: Path) -> None:
    if not find_spec("mypy"):
        pytest.skip("needs mypy")
    files = examples(tmp_path)
    assert len(files) > 12
    ran = [file for file in files if file.parent.name == "run"]
    mypy = ("mypy", "--strict", "--cache-dir", str(tmp_path / "cache"))
    checked(*mypy, *ran, cwd=tmp_path)
    lenient = [f"--disable-error-code={code}" for code in ELSEWHERE]
    lenient.append("--untyped-calls-exclude=distributed")  # it has no types
    checked(*mypy, *lenient, *sorted(set(files) - set(ran)), cwd=tmp_path)


def test_pyright_is_content_with_the_examples(tmp_path: Path) -> None:
    if not find_spec("pyright"):
        pytest.skip("needs pyright")
    examples(tmp_path)
    checked("pyright", "run", cwd=tmp_path)
