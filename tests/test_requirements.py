"""What CI installs is pinned by hash, to versions that it may have, and has no known weakness."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINS = (ROOT / "requirements" / "ci.txt").read_text()
# One requirement a paragraph: its first line, and those of its hashes.
PINNED = re.findall(r"^(?!#)(\S.*?) \\\n((?:    --hash=.*\n)+)", PINS, re.MULTILINE)


def _wanted() -> dict[str, list[Requirement]]:
    """All that pyproject.toml asks for, by name: of the library, and of every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, [text for texts in lists for text in texts]):
        wanted.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    del wanted["title-ledger"]
    return wanted


def test_every_dependency_is_pinned_to_versions_that_it_may_have() -> None:
    pins: dict[str, list[str]] = {}
    for line, _ in PINNED:
        (specifier,) = Requirement(line).specifier
        assert specifier.operator == "==", line
        pins.setdefault(canonicalize_name(Requirement(line).name), []).append(specifier.version)
    for name, requirements in _wanted().items():
        assert name in pins, f"{name}: requirements/update pins it"
        for requirement in requirements:
            assert all(version in requirement.specifier for version in pins[name]), requirement


def test_every_pin_has_hashes_and_nothing_says_where_it_comes_from() -> None:
    rest = PINS
    for line, hashes in PINNED:
        for each in hashes.splitlines():
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", each), line
        rest = rest.replace(f"{line} \\\n{hashes}", "", 1)
    assert all(line.startswith("#") for line in rest.splitlines()), rest
    assert "//" not in PINS
    assert "index" not in rest


def test_ci_installs_what_is_pinned() -> None:
    steps = (ROOT / ".ci" / "run").read_text()
    assert "pip install -q --require-hashes -r requirements/ci.txt" in steps


# --- for those who only verify ------------------------------------------------------------------

VERIFY = (ROOT / "requirements" / "verify.txt").read_text()
PINNED_TO_VERIFY = re.findall(r"^(?!#)(\S.*?) \\\n((?:    --hash=.*\n)+)", VERIFY, re.MULTILINE)


def test_what_verifying_takes_is_never_pinned_otherwise_than_ci_tries_it() -> None:
    assert set(PINNED_TO_VERIFY) <= set(PINNED)


def test_nothing_that_verifying_takes_is_left_out() -> None:
    pinned = {canonicalize_name(Requirement(line).name) for line, _ in PINNED_TO_VERIFY}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    todo, seen = list(map(Requirement, project["dependencies"])), set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or not (requirement.marker is None or requirement.marker.evaluate()):
            continue
        seen.add(name)
        assert name in pinned, f"{name}: requirements/update pins it"
        todo += map(Requirement, requires(name) or [])


def test_the_bill_of_materials_is_never_another_than_what_is_pinned() -> None:
    command = [sys.executable, "requirements/sbom"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert made.stdout == (ROOT / "requirements" / "verify.cdx.json").read_text()
    bill = json.loads(made.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    lines = [Requirement(line) for line, _ in PINNED_TO_VERIFY]
    assert [each["purl"] for each in bill["components"]] == [
        f"pkg:pypi/{line.name}@{str(line.specifier).removeprefix('==')}" for line in lines
    ]


@pytest.mark.slow
def test_no_dependency_has_a_known_weakness() -> None:
    audit = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off"]
    pins = ["--requirement", "requirements/ci.txt", "--require-hashes", "--disable-pip"]
    try:
        done = subprocess.run(
            [*audit, *pins], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        pytest.skip("the database of advisories can't be reached")
    unknown = [each["name"] for each in found if "skip_reason" in each]
    weak = [(each["name"], each["version"], each["vulns"]) for each in found if each.get("vulns")]
    assert not weak
    if unknown:
        pytest.skip(f"no database of advisories here knows {len(unknown)} of {len(found)} packages")
