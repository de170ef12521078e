"""docs/reference/python.md has every public name, every method of a ledger, and no false one."""

from __future__ import annotations

import inspect
import re

import pytest

import ledger
from ledger import Ledger, Store, testing
from tests.test_docs import ROOT

PAGE = ROOT / "docs" / "reference" / "python.md"
TEXT = PAGE.read_text()
METHOD = re.compile(r"^\| `(?:Ledger)?\.(\w+)\(([^`]*?)\)(?: -> [^`]*)?` \|", re.MULTILINE)
METHODS = {match[1]: match[2] for match in METHOD.finditer(TEXT)}


@pytest.mark.parametrize("name", [*ledger.__all__, *testing.__all__])
def test_every_public_name_is_there(name: str) -> None:
    assert re.search(rf"`{name}\b", TEXT), f"{name} is not in {PAGE.name}"


def public_members(cls: type) -> list[str]:
    return [name for name in vars(cls) if not name.startswith("_")]


@pytest.mark.parametrize("cls", [Ledger, Store, ledger.Keyring, ledger.Entry, ledger.Report])
def test_every_public_member_is_there(cls: type) -> None:
    internal = {"open", "sign", "merge"} if cls is not Ledger else set()
    for name in public_members(cls):
        assert name in internal or re.search(rf"\b{name}\b", TEXT), f"{cls.__name__}.{name}"


@pytest.mark.parametrize("name", METHODS)
def test_a_signature_is_true(name: str) -> None:
    parameters = inspect.signature(getattr(Ledger, name)).parameters.values()
    real = [parameter.name for parameter in parameters if parameter.name != "self"]
    told = [part.partition("=")[0] for part in METHODS[name].split(", ") if part not in {"", "*"}]
    assert told == real
