"""A JSON Schema at the pen: what doesn't fit is refused by every way in, and every fault named."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

import ledger.schema as schema_module
from ledger import Draft, InvalidError, Ledger, MalformedError
from ledger.errors import DoesNotFit
from ledger.schema import MOST, Schema
from ledger.testing import ORIGIN, keyring_for, memory_ledger, signer
from tests.laws import examples
from tests.service.client import Client, problem

DEED = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["proprietor"],
    "additionalProperties": False,
    "properties": {
        "title_number": {"type": "string"},
        "proprietor": {"type": "string", "minLength": 1},
        "price_paid": {"type": "integer", "minimum": 1},
        "sold": {"format": "date"},
        "seen": {"type": "string", "format": "date-time"},
        "party": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
    },
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
GOOD = {"proprietor": "Ada"}
BAD = {"propietor": "Ada", "price_paid": "oops", "a/b": 1, "sold": "2025-02-30"}


def faults(document: Any, schema: Any = DEED) -> list[tuple[str, str]]:
    try:
        Schema(schema).check(document)
    except DoesNotFit as error:
        return [tuple(fault) for fault in error.faults]
    return []


# -- What fits -----------------------------------------------------------------------------------


def test_every_fault_is_named_with_its_place_and_the_value() -> None:
    assert faults(GOOD) == []
    long = "x" * 5000
    assert faults(BAD | {"party": {"name": 7}, "seen": long}) == [
        ("", "'proprietor' is a required property"),
        ("", "Additional properties are not allowed ('a/b', 'propietor' were unexpected)"),
        (
            "/party",
            (
                '{"name":7} is not valid under any of the given schemas;'
                " nearest: /party/name: 7 is not of type 'string'"
            ),
        ),
        ("/price_paid", "\"oops\" is not of type 'integer'"),
        ("/seen", f"\"{'x' * 38}… is not a 'date-time'"),
        ("/sold", "\"2025-02-30\" is not a 'date'"),
    ]


def test_a_place_is_a_json_pointer() -> None:
    within = {"properties": {"a/b~c": {"items": {"type": "null"}}}}
    assert faults({"a/b~c": [None, True]}, within) == [("/a~1b~0c/1", "true is not of type 'null'")]


def test_a_document_that_is_all_wrong_gets_no_endless_answer() -> None:
    with pytest.raises(DoesNotFit) as told:
        Schema({"items": {"type": "null"}}).check(list(range(5000)))
    assert (len(told.value.faults), told.value.more) == (MOST, 5000 - MOST)
    assert str(told.value).endswith("; and 4,900 more")
    assert len(str(told.value)) < 300 * MOST


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(json_values)
@settings(max_examples=examples(60), deadline=None)
def test_a_constant_fits_itself_and_nothing_else(value: Any) -> None:
    exact, other = {"const": value}, {"not": {"const": value}}
    assert faults(value, exact) == []
    assert [place for place, _ in faults(value, other)] == [""]


# -- Schemas that are no good --------------------------------------------------------------------

META = "https://json-schema.org/draft/2020-12/meta"
BROKEN: dict[str, tuple[Any, str]] = {
    "no object": ([], "its top: a schema is an object"),
    "a type that is none": ({"properties": {"a": {"type": "strin"}}}, "/properties/a/type"),
    "a pattern that is none": ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern"),
    "a pattern with a look-ahead": ({"properties": {"a": {"pattern": "(?!b)"}}}, "/properties/a/"),
    "a name's pattern with a look-behind": (
        {"patternProperties": {"(?<=b)": {}}},
        """/patternProperties: "(?<=b)" is not a 'regex'""",
    ),
    "an unknown keyword": ({"items": {"requird": []}}, "/items/requird: no keyword"),
    "a keyword of OpenAPI": ({"properties": {"a": {"nullable": True}}}, "/properties/a/nullable"),
    "a keyword of draft 7": ({"dependencies": {}}, "/dependencies: no keyword"),
    "another draft": ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema: not"),
    "another draft inside": (
        {"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}},
        "/$defs/a/$schema",
    ),
    "a format that nobody checks": ({"properties": {"a": {"format": "iri"}}}, "the format 'iri'"),
    "a misspelled format": ({"format": "dat"}, "/format: nothing here can check"),
    "a pointer to nothing": ({"allOf": [{"$ref": "#/$defs/a"}]}, "/allOf/0/$ref: '#/$defs/a'"),
    "an anchor that is not there": ({"$ref": "#a"}, "/$ref: '#a' is not in this schema"),
    "somebody else's": ({"$ref": "https://example.org/a.json"}, "nothing is fetched"),
    "a file": ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "nothing is fetched"),
    "what is broken only where it is referred to": (
        {"properties": {"a": {"$ref": "#/x-mine/a"}}, "x-mine": {"a": {"requird": []}}},
        "/requird: no keyword",
    ),
    "a pattern that is none, where nobody expects a schema": (
        {"properties": {"a": {"$ref": "#/x-mine/a"}}, "x-mine": {"a": {"not": {"pattern": "("}}}},
        "/properties/a/$ref/not/pattern",
    ),
    "a number for a schema": ({"$ref": "#/x-mine", "x-mine": 5}, "/$ref: 5 is not of type"),
    "JSON Schema's own": ({"$ref": f"{META}/core#/$defs/anchorString"}, "nothing is fetched"),
    "a circle": ({"$ref": "#"}, "refers to itself without end"),
    "a circle of two": (
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#"}}},
        "without end",
    ),
}


@pytest.mark.parametrize(
    ("keyword", "fits", "does_not"),
    [
        ({"pattern": r"^\d+$"}, "123", ["123\n", "\u0661"]),
        ({"pattern": r"^[$]\$$"}, "$$", ["$$\n", "$"]),
        ({"pattern": r"^[\u00e4\p{Greek}]\\u00e4$"}, "ä\\u00e4", ["ää", "u\\u00e4"]),
        ({"patternProperties": {"^a$": {}}, "additionalProperties": False}, {"a": 1}, [{"a\n": 1}]),
        (  # joined, they are too large for RE2
            {
                "patternProperties": {rf"^(abcdefghij){{1,1000}}{n}$": {} for n in range(60)},
                "additionalProperties": False,
            },
            {"abcdefghij59": 1},
            [{"abcdefghij60": 1}],
        ),
        ({"multipleOf": 0.01}, 0.07, [0.071]),
        ({"multipleOf": 1e-9}, 2**53 - 1, [2.5e-10]),
        ({"uniqueItems": True}, [1, True, "1", [], {"a": 1, "b": 2}], [[1, 1.0], [{}, {}]]),
    ],
)
def test_a_keyword_means_what_json_schema_says(keyword: Any, fits: Any, does_not: Any) -> None:
    """And not what Python's regular expressions or floats make of it."""
    assert faults({"a": fits}, {"properties": {"a": keyword}}) == []
    for value in does_not:
        ((_, said),) = faults({"a": value}, {"properties": {"a": keyword}})
        assert "(?:" not in said


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": "^(a+)+$"}}},
        {"patternProperties": {"^(a+)+$": False}},
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        {"allOf": [{"patternProperties": {"^(a+)+$": {}}}], "unevaluatedProperties": False},
    ],
)
def test_no_pattern_takes_exponential_time(schema: Any) -> None:
    """Python's own regular expressions take it, and no other thread runs meanwhile."""
    bad = "a" * 26 + "!"
    begun = time.process_time()
    faults({"a": bad} if "properties" in schema else {bad: 1}, schema)
    faults({"a": r"\p{L}" * 100_000}, {"properties": {"a": {"format": "regex"}}})
    assert time.process_time() - begun < 2


def test_no_depth_takes_exponential_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of node asks for the same of its children."""
    monkeypatch.setattr(schema_module, "MOST_STEPS", 1000)
    kinds = [{"properties": {"kind": {"const": kind}, "in": {"$ref": "#"}}} for kind in "ab"]
    tree = Schema({"oneOf": kinds}, name="tree.json")
    node: Any = {"kind": "a"}
    for depth in range(60):
        node = {"kind": "ab"[depth % 2], "in": node}
    for _ in range(2):
        tree.check({"kind": "a", "in": {"kind": "b"}})
        with pytest.raises(InvalidError, match="more than 1,000 steps to check by tree"):
            tree.check(node)


def test_others_who_use_jsonschema_have_its_own_patterns() -> None:
    own = deepcopy(REGISTRY.contents(f"{META}/core"))
    Schema({"pattern": "b"})
    with suppress(InvalidError):
        Schema({"$ref": f"{META}/core#/$defs/anchorString"})
    assert REGISTRY.contents(f"{META}/core") == own
    jsonschema.validate("b", {"pattern": "(?!a)b"})


def test_a_large_document_takes_no_minutes() -> None:
    several = {"properties": {"a": {"uniqueItems": True, "items": {"type": "object"}}}}
    assert faults({"a": [{"n": number} for number in range(3000)]}, several) == []
    with pytest.raises(DoesNotFit, match="and at least 10,000 more"):
        Schema(several).check({"a": list(range(100_000))})


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_schema_is_refused_with_its_place(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    schema, words = BROKEN[name]
    with pytest.raises(InvalidError, match=r"^deed\.schema\.json is broken at ") as told:
        Schema(schema, name="deed.schema.json")
    assert words in str(told.value)


def test_what_a_schema_may_say_beside() -> None:
    tree = {
        "$id": "https://example.org/deed",
        "$anchor": "deed",
        "x-ours": {"anything": 1},
        "title": "A deed",
        "properties": {
            "parts": {"items": {"$ref": "#deed"}},
            "whole": {"$ref": "https://example.org/deed"},
            "n": {"$ref": "n"},
        },
        "$defs": {"n": {"$id": "n", "type": "integer"}},
        "additionalProperties": False,
    }
    assert faults({"parts": [{"parts": []}], "n": 1}, tree) == []
    assert [place for place, _ in faults({"parts": [{"n": "1"}]}, tree)] == ["/parts/0/n"]


def test_a_schema_is_strict_json() -> None:
    with pytest.raises(MalformedError, match=r"^deed\.json: duplicate member 'type'"):
        Schema.decode(b'{"type":"null","type":"object"}', name="deed.json")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(InvalidError, match="jsonschema or google-re2 is not installed") as told:
        Schema(DEED)
    assert told.value.hint.startswith("pip install ")


# -- At the pen ----------------------------------------------------------------------------------


def checked_ledger() -> Ledger:
    made, key = memory_ledger(), signer()
    return Ledger.open(
        made.store, keyring=keyring_for(key), signer=key, check=Schema(DEED, name="deeds").check
    )


def test_every_way_to_register_a_document_asks_the_schema() -> None:
    ledger = checked_ledger()
    before = set(ledger.store.list(""))
    bad = Draft("TN1", dict(BAD))
    with pytest.raises(DoesNotFit):
        ledger.append("TN1", dict(BAD))
    with pytest.raises(DoesNotFit):
        ledger.submit(bad)
    with pytest.raises(DoesNotFit):
        ledger.preview(bad)
    with pytest.raises(DoesNotFit):
        ledger.register([Draft("TN1", dict(GOOD)), Draft("TN2", dict(BAD))], reference="A-1")
    (outcome,) = ledger.append_many([bad])
    assert isinstance(outcome.error, DoesNotFit)
    assert set(ledger.store.list("")) == before
    assert ledger.append("TN1", dict(GOOD)).version == 1
    key = signer()
    with pytest.raises(DoesNotFit):
        Ledger.create(ledger.store, origin=ORIGIN, signer=key, check=Schema(DEED).check).append(
            "TN2", dict(BAD)
        )


def test_what_was_accepted_before_a_schema_was_can_be_repeated_and_erased() -> None:
    ledger, key = memory_ledger(), signer()
    old = ledger.append("TN1", {"old": 1}, reference="A-1")
    checked = Ledger.open(
        ledger.store,
        keyring=keyring_for(key),
        signer=key,
        clock=ledger.clock,
        check=Schema(DEED).check,
    )
    assert checked.append("TN1", {"old": 1}, reference="A-1") == old
    checked.append("TN1", dict(GOOD))
    ledger.append("TN1", {"old": 2})
    assert checked.append("TN1", {"old": 2}, status="closed").status == "closed"
    assert checked.erase("TN1", [1], reference="C-1", message="order").is_done
    with pytest.raises(DoesNotFit):
        checked.append("TN1", {"old": 3}, status="open")


# -- Over HTTP -----------------------------------------------------------------------------------


def test_a_post_that_does_not_fit_gets_all_faults() -> None:
    client = Client(checked_ledger())
    said = problem(client.post("/titles/TN1", BAD), 422, "does-not-fit")
    assert {"pointer": "/price_paid", "problem": "\"oops\" is not of type 'integer'"} in (
        said["faults"]
    )
    assert (len(said["faults"]), said["more_faults"]) == (4, 0)
    assert client.post("/titles/TN1", GOOD).status_code == 201
    assert client.post("/titles", {"title_number": "TN2", **GOOD}).status_code == 201
    problem(client.post("/titles", {"title_number": "TN2", **BAD}), 422, "does-not-fit")
