"""The glossary is law: it has the words of this software, and public names use them as it says."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import ledger
from tests.cli.test_reference import commands
from tests.test_docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "reference" / "glossary.md").read_text()
WORDS = re.findall(r"^\*\*(.+?)\.\*\* ", PAGE, re.MULTILINE)
WANTED = """
address, audit, bundle, chain, checkpoint, consistency proof, cosignature, digest, document, entry,
finding, head, inclusion proof, key id, keyring, leaf, ledger, log, origin, pack, parent, receipt,
ref, reference, report, role, seal, sign, signer, store, tile, title, verify, version, witness
"""
NOWHERE = {"block", "record", "records", "node", "nodes", "token", "tokens", "blob", "blobs"}
NOT_IN = {
    "ledger.Ledger": {"audit", "seal"},
    "ledger.Entry": {"seal", "pack"},
    "ledger.format.bundle": {"pack", "packed"},
    "ledger.format.entry": {"seal", "sealed"},
    "ledger.verify_bundle": {"audit", "pack"},
}


def test_the_glossary_is_in_order_and_has_every_word() -> None:
    assert sorted(WORDS, key=str.lower) == WORDS
    wanted = {" ".join(word.split()) for word in WANTED.split(",")}
    assert wanted <= {word.lower() for word in WORDS}


def words_of(name: str) -> set[str]:
    """The words of a name: ``append_many``, ``HeadMoved``, ``--wait-receipt``."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def names_of(thing: object) -> Iterator[str]:
    """The public members of a class or module, and the parameters of all that can be called."""
    with_parameters = [thing] if inspect.isfunction(thing) else []
    if inspect.isclass(thing) or inspect.ismodule(thing):
        public = getattr(thing, "__all__", None) or [n for n in vars(thing) if n[0] != "_"]
        yield from public
        with_parameters += [getattr(thing, name) for name in public]
    for each in with_parameters:
        if inspect.isfunction(each) or inspect.ismethod(each):
            yield from inspect.signature(each).parameters


def found(place: str) -> object:
    module, _, name = place.rpartition(".")
    return getattr(ledger, name) if module == "ledger" else import_module(place)


@pytest.mark.parametrize("name", ledger.__all__)
def test_a_name_of_the_library_uses_no_word_that_is_not_ours(name: str) -> None:
    # What a store returns is a blob; what a sealer notes of a title is its record.
    allowed = {"Store": {"blob", "blobs"}, "SealedRecord": {"record"}}.get(name, set())
    for each in (name, *names_of(getattr(ledger, name))):
        assert not words_of(each) & (NOWHERE - allowed), f"{name}: {each}"


@pytest.mark.parametrize("name", commands())
def test_a_command_uses_no_word_that_is_not_ours(name: str) -> None:
    options = [spelling for each in commands()[name].params for spelling in each.opts]
    for each in (name, *options):
        assert not words_of(each) & NOWHERE, f"{name}: {each}"


@pytest.mark.parametrize("place", NOT_IN)
def test_a_word_has_one_meaning(place: str) -> None:
    for each in names_of(found(place)):
        assert not words_of(each) & NOT_IN[place], f"{place}: {each}"
