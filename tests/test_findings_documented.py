"""Every slug that a finding can have is in docs/reference/findings.md, and no other is."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from ledger import errors
from ledger.format.standing import WHY
from tests.test_docs import ROOT
from tests.test_walls import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("walls")  # which parse the same files

PAGE = ROOT / "docs" / "reference" / "findings.md"
# Where the slug is in a call's arguments.
PLACES = {"Finding": 1, "_broken": 1, "_finding": 1, "_found": 0}
# What a store raises when it can't be read, or forced to the disk: slugs of findings as they are.
UNREADABLE = {
    errors.Erased,
    errors.NotDurable,
    errors.NotFoundError,
    errors.OutcomeUnknown,
    errors.StoreDenied,
    errors.StoreUnavailable,
}
SERVICE = ROOT / "ledger" / "service"  # it answers with problems of its own
SOURCES = sorted(set((ROOT / "ledger").rglob("*.py")) - set(SERVICE.rglob("*.py")))


def texts(node: ast.expr | None) -> Iterator[str]:
    """The texts that an expression may be: a literal, or a choice of two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def of_call(node: ast.Call) -> Iterator[str]:
    name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
    place = PLACES.get(str(name))
    if place is not None and len(node.args) > place:
        yield from texts(node.args[place])
    for keyword in node.keywords:
        if keyword.arg == "reason":
            yield from texts(keyword.value)


def of_default(node: ast.FunctionDef) -> Iterator[str]:
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if argument.arg == "reason":
            yield from texts(default)


def of_class(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "slug":
            yield from texts(statement.value)


def of_table(node: ast.AnnAssign) -> Iterator[str]:
    """The slugs that a table WHY explains."""
    if ast.unparse(node.target) == "WHY" and isinstance(node.value, ast.Dict):
        for key in node.value.keys:
            yield from texts(key)


def slugs(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield from of_call(node)
        elif isinstance(node, ast.FunctionDef):
            yield from of_default(node)
        elif isinstance(node, ast.AnnAssign):
            yield from of_table(node)
        elif isinstance(node, ast.ClassDef) and path.name != "errors.py":
            yield from of_class(node)


def test_the_page_lists_every_slug_and_no_other() -> None:
    in_source = {slug for path in SOURCES for slug in slugs(path)}
    in_source |= {error.slug for error in UNREADABLE} | WHY.keys()
    in_page = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE))
    assert in_page == in_source
