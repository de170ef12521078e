"""The whole session, on a folder and on S3, with real registers: the same addresses everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import corpora
from tests.cli.shell import ORIGIN, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTERS = corpora.files("registers/*.json")
DUPLICATED = "AGL1004"

pytestmark = corpora.needs("registers/*.json")


@pytest.fixture(
    params=[
        "folder",
        pytest.param("s3", marks=[pytest.mark.xdist_group("moto"), pytest.mark.slow]),
    ],
)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new place to keep a ledger in."""
    if request.param == "folder":
        return "titles"
    url = request.getfixturevalue("moto_url")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    bucket = "acceptance"
    request.getfixturevalue("moto_client").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/registers"


def test_the_session(store: str, new_shell: Callable[[str], Shell]) -> None:
    registrar, colleague = new_shell("registrar"), new_shell("colleague")
    registrar.environment["LEDGER_STORE"] = store
    made = registrar("key generate --json").json["key"]
    registrar(f"init --origin {ORIGIN}")

    # Whoever is to work with it trusts the registrar's key, after comparing its id.
    (colleague.folder / "registrar.pub").write_text(registrar("key show").out)
    colleague(f"key trust registrar.pub --origin {ORIGIN} --fingerprint {made} --name registry")

    titles = []
    for path in REGISTERS:
        if path.name.startswith(DUPLICATED):
            refuse(registrar, path)
        else:
            titles.append(register(registrar, path))
    look_around(registrar, titles[0], json.loads(REGISTERS[0].read_text()))
    assert len(titles) == len(REGISTERS) - 1
    assert registrar("titles").lines == sorted(titles)
    count = f"{len(titles)} titles, {3 * len(titles)} entries of {ORIGIN}"
    assert registrar("verify").lines[0] == f"verified: {count}"
    assert registrar("fsck").lines[0] == f"verified: {count}"

    # The same bundle, in another folder, on another machine: the same addresses.
    registrar("export registers.bundle")
    bundle = shutil.copy(registrar.folder / "registers.bundle", colleague.folder)
    assert colleague(f"verify --bundle {bundle}").lines[0] == f"verified: {count}"
    assert colleague(f"import {bundle}").out == f"titles moved: {len(titles)}; there already: 0\n"
    assert colleague("verify").lines[0] == f"verified: {count}"
    for title_number in titles:
        addresses = registrar.addresses(title_number)
        assert colleague.addresses(title_number) == addresses
        colleague(f"verify {title_number} --expect {addresses[-1]}")
    assert colleague("export -").data == Path(bundle).read_bytes()


def refuse(shell: Shell, path: Path) -> None:
    """One real register has a member twice, with two different dates."""
    said = shell.fails(65, f"append {DUPLICATED}", str(path))
    assert f"{path}: duplicate member 'edition_date' at /" in said
    assert "no such title" in shell.fails(10, f"log {DUPLICATED}")


def register(shell: Shell, path: Path) -> str:
    """Append three versions of a register, and return its title number."""
    title_number = path.stem.partition("_")[0]
    shell(f"append {title_number} --effective 2026-01-01", str(path), "-m", "as registered")
    shell(f"append {title_number} --set sold_to=Zoë -m sale --effective 2026-01-31")
    shell(f"append {title_number} --set price:=1.5 -m priced --reference A-{title_number}")
    return title_number


def look_around(shell: Shell, title_number: str, document: dict[str, Any]) -> None:
    """The log of a title, what changed, the version before, and those at two dates."""
    newest, sale, first = shell(f"log {title_number} --json").objects
    assert [newest["message"], sale["message"]] == ["priced", "sale"]
    assert shell(f"diff {title_number} v1").lines == ["+ /price: 1.5", '+ /sold_to: "Zoë"']
    sold = document | {"sold_to": "Zoë"}
    assert show(shell, title_number, "HEAD~1") == sold
    assert show(shell, title_number, f"@{{{first['recorded_at']}}}") == document
    assert show(shell, title_number, "--effective", "2026-01-31") == sold


def show(shell: Shell, title_number: str, *words: str) -> Any:
    return shell(f"show --json {title_number}", *words).json["document"]
