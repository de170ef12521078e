"""What documents have to look like, by a JSON Schema.

::

    schema = Schema.decode(Path("deed.schema.json").read_bytes())
    ledger = Ledger.open(store, keyring=keyring, signer=key, check=schema.check)

It needs the extra ``schema``. The dialect is draft 2020-12, and it is read strictly. What a reader
of JSON Schema may pass over in silence is refused when the schema is read, because it would let in
what the schema's author meant to keep out: an unknown keyword, a format that nothing here can
check, another draft. A reference to another document is refused as well; nothing is ever fetched.
"""

from __future__ import annotations

import re
from copy import deepcopy
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec, module_from_spec
from threading import local
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ledger.errors import DoesNotFit, InvalidError, MalformedError
from ledger.format.canonical import JSONValue, decode, encode, pointer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from jsonschema import Draft202012Validator, ValidationError
    from referencing import Resource
    from referencing._core import Resolver

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SCHEMAS = {
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
}
"""Keywords whose value is a schema."""

LISTS = {"allOf", "anyOf", "oneOf", "prefixItems"}
"""Keywords whose value is a list of schemas."""

MAPS = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
"""Keywords whose value is an object of schemas."""

SILENT = {
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$id",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
    "description",
    "examples",
    "maxContains",
    "minContains",
    "readOnly",
    "title",
    "writeOnly",
}
"""Keywords that refuse nothing by themselves."""

LONGEST = 200
"""Characters of a fault's description."""

SHORT = 40
"""Characters of a value in it."""

MOST = 100
"""Faults that are named; the others are counted."""

UNCOUNTED = 10_000
"""How many others are counted: a document of a million wrong items would take a minute."""

MOST_STEPS = 300_000
"""References that are followed for one document, which takes half a minute."""

ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)

LONG_PATTERN = 10_000
"""Characters of a pattern, at most: RE2 takes seconds to read a million."""

SEARCHING = ("pattern", "patternProperties", "additionalProperties", "unevaluatedProperties")
"""Keywords that look for patterns."""


NO_PATTERN = (
    "patterns are RE2's, which take no exponential time: without (?=…), (?!…) and \\1, and with at"
    " most 1,000 repetitions; say with 'not', 'allOf' or 'maxLength' what else you mean"
)


class Fault(NamedTuple):
    """What is wrong with a document at one place."""

    pointer: str
    """The place, as a JSON pointer; "" is the whole document."""
    problem: str

    def __str__(self) -> str:
        return f"{self.pointer or 'the document'}: {self.problem}"


class Schema:
    """A schema, read once, which any number of threads may ask."""

    def __init__(self, schema: JSONValue, *, name: str = "the schema") -> None:
        """Compile a schema; raises InvalidError that says where it is broken."""
        self._name = name
        try:
            import jsonschema  # noqa: PLC0415 -- an extra, and slow to load
            import re2  # type: ignore[import-untyped]  # noqa: F401, PLC0415
            from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # noqa: PLC0415
            from referencing import Registry  # noqa: PLC0415
            from referencing.jsonschema import DRAFT202012  # noqa: PLC0415
        except ImportError:
            raise InvalidError(
                f"{name} can't be used: jsonschema or google-re2 is not installed",
                hint="pip install 'jsonschema>=4.23' google-re2 rfc3339-validator",
            ) from None
        self._steps = _Steps()
        follow = jsonschema.Draft202012Validator.VALIDATORS
        validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
            jsonschema.Draft202012Validator,
            {"multipleOf": _multiple_of, "uniqueItems": _unique_items, **_searching()}
            | {name: self._counted(follow[name]) for name in ("$ref", "$dynamicRef")},
        )
        self._formats = jsonschema.FormatChecker()
        regex = (_is_pattern, ValueError)
        self._formats.checkers = {**validator.FORMAT_CHECKER.checkers, "regex": regex}
        self._keywords = validator.VALIDATORS.keys() | SCHEMAS | LISTS | MAPS | SILENT
        self._best_match = jsonschema.exceptions.best_match
        self._resource = DRAFT202012.create_resource
        if not isinstance(schema, (bool, dict)):
            raise self._error_at("", "a schema is an object")
        self._check_dialect(schema, "")
        schema = deepcopy(schema)  # for its patterns to be spelled anew
        about = {"registry": REGISTRY, "format_checker": self._formats}
        self._is_schema = validator(validator.META_SCHEMA, **about)
        self._check_form(schema, "")
        root = DRAFT202012.create_resource(schema)
        base = root.id() or ""
        # It fetches nothing. It lacks the metaschemas, too: they are not ours to respell.
        registry: Registry[Any] = Registry().with_resource(base, root)
        self._check_parts(registry.resolver(base), root)
        self._validator: Draft202012Validator = validator(
            schema, registry=registry, format_checker=self._formats
        )
        try:
            self._validator.is_valid({})
        except RecursionError:
            raise self._error_at("", "it refers to itself without end") from None

    @classmethod
    def decode(cls, data: bytes, *, name: str = "the schema") -> Self:
        """Read a schema's JSON; raises MalformedError."""
        try:
            schema = decode(data)
        except MalformedError as error:
            raise type(error)(f"{name}: {error}", hint=error.hint) from None
        return cls(schema, name=name)

    def check(self, document: JSONValue) -> None:
        """Raise DoesNotFit, with every fault, unless the document fits."""
        faults: list[Fault] = []
        more = 0
        self._steps.left = MOST_STEPS
        try:
            for error in self._validator.iter_errors(document):
                if len(faults) < MOST:
                    faults.append(self._fault(error))
                else:
                    more += 1
                if more == UNCOUNTED:
                    break
        except RecursionError:
            raise InvalidError(f"{self._name} refers to itself without end") from None
        if faults:
            faults.sort()
            least = "at least " if more == UNCOUNTED else ""
            said = "; ".join(map(str, faults)) + (f"; and {least}{more:,} more" if more else "")
            raise DoesNotFit(
                f"the document doesn't fit {self._name}: {said}",
                hint="correct the document, or the schema if that is wrong",
                faults=faults,
                more=more,
            )

    def _counted(self, follow: Any) -> Any:
        """Return the keyword, which may be followed only so often for one document.

        Without references, the schema's size bounds the time. With alternatives that refer to their
        whole, it doubles at each level of a document.
        """

        def counted(*given: Any) -> Any:
            self._steps.left -= 1
            if self._steps.left < 0:
                raise InvalidError(
                    f"the document takes more than {MOST_STEPS:,} steps to check by {self._name}",
                    hint="if the schema's alternatives refer to their whole, tell them apart before"
                    " they do: if, then, else",
                )
            return follow(*given)

        return counted

    def _fault(self, error: ValidationError) -> Fault:
        place, problem = pointer(tuple(error.absolute_path)), _problem(error)
        nearest = self._best_match([error]) if error.context else None
        if nearest is not None and nearest is not error:
            deeper = pointer(tuple(nearest.absolute_path))
            problem = f"{problem}; nearest: {deeper or 'the document'}: {_problem(nearest)}"
        return Fault(place, problem)

    # -- The schema itself ---------------------------------------------------------------------

    def _check_parts(self, resolver: Resolver[Any], root: Resource[Any]) -> None:
        """Look at every schema in the schema, and at all that these refer to."""
        seen: set[int] = set()
        parts = [("", root.contents, resolver)]
        referred: list[tuple[str, Any, Resolver[Any]]] = []
        while parts or referred:
            is_checked = bool(parts)  # or it may lie where nobody expects a schema
            place, part, resolver = (parts or referred).pop()
            if id(part) in seen:
                continue
            if not is_checked:
                self._check_form(part, place)
            if not isinstance(part, dict):
                continue
            seen.add(id(part))
            self._check_keywords(part, place)
            referred += [
                self._follow(resolver, part[keyword], f"{place}/{keyword}")
                for keyword in sorted({"$ref", "$dynamicRef"} & part.keys())
            ]
            for path, child in _parts_of(part):
                inside = resolver.in_subresource(self._resource(child))
                parts.append((place + pointer(path), child, inside))
            _spell_patterns(part)

    def _check_form(self, part: JSONValue, place: str) -> None:
        """Look at it by the metaschema."""
        for error in self._is_schema.iter_errors(part):
            hint = NO_PATTERN if error.validator_value == "regex" else ""
            where = place + pointer(tuple(error.absolute_path))
            raise self._error_at(where, _problem(error), hint=hint)

    def _check_keywords(self, part: dict[str, Any], place: str) -> None:
        self._check_dialect(part, place)
        for keyword in part:
            if keyword not in self._keywords and not keyword.startswith("x-"):
                raise self._error_at(
                    f"{place}{pointer((keyword,))}",
                    "no keyword of draft 2020-12; write x-… for one of your own",
                )
        wanted = part.get("format")
        if wanted is not None and wanted not in self._formats.checkers:
            raise self._error_at(
                f"{place}/format",
                f"nothing here can check the format {wanted!a:.40}",
                hint=f"these it can: {', '.join(sorted(self._formats.checkers))}; for more:"
                " pip install 'jsonschema[format-nongpl]'",
            )

    def _check_dialect(self, part: JSONValue, place: str) -> None:
        dialect = part.get("$schema", DIALECT) if isinstance(part, dict) else DIALECT
        if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
            raise self._error_at(f"{place}/$schema", f"not draft 2020-12, which is {DIALECT}")

    def _follow(
        self, resolver: Resolver[Any], reference: str, place: str
    ) -> tuple[str, Any, Resolver[Any]]:
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 -- slow to load

        try:
            found = resolver.lookup(reference)
        except (Unresolvable, ValueError, RecursionError):
            raise self._error_at(
                place,
                f"{reference!a:.80} is not in this schema, and nothing is fetched",
                hint="put what it refers to into the schema, under $defs",
            ) from None
        return place, found.contents, found.resolver

    def _error_at(self, place: str, problem: str, *, hint: str = "") -> InvalidError:
        return InvalidError(f"{self._name} is broken at {place or 'its top'}: {problem}", hint=hint)


class _Steps(local):
    """How many references may still be followed in this thread."""

    left: int = MOST_STEPS


class _Pattern(str):
    """A pattern of ECMA-262, for which JSON Schema stands, as RE2 spells it."""

    __slots__ = ("_said",)
    _said: str

    def __new__(cls, said: str) -> Self:
        spelled = ESCAPE.sub(lambda found: rf"\x{{{found[1]}}}" if found[1] else found[0], said)
        pattern = super().__new__(cls, f"(?:{spelled})")
        pattern._said = said
        return pattern

    def __repr__(self) -> str:
        return repr(self._said)


class _Linear:
    """What jsonschema needs of ``re``, in time that grows with the text as it does: by RE2.

    ``re`` takes exponential time for some patterns, and stops all threads meanwhile: whoever may
    post a document could stop the service.
    """

    @staticmethod
    def search(pattern: str, text: str) -> object:
        return _compile(pattern).search(text)


@lru_cache(maxsize=1000)
def _compile(spelled: str) -> Any:
    return _read_pattern(spelled)


def _read_pattern(spelled: str) -> Any:
    import re2  # noqa: PLC0415 -- an extra

    options = re2.Options()
    options.log_errors = False
    return re2.compile(spelled, options)


def _is_pattern(value: object) -> bool:
    import re2  # noqa: PLC0415 -- an extra

    if type(value) is not str:  # no text, or a pattern that was read before
        return True
    try:
        # It may be a stranger's, in a document: so it is not kept.
        return len(value) <= LONG_PATTERN and bool(_read_pattern(_Pattern(value)))
    except re2.error:
        return False


def _searching() -> dict[str, Any]:
    """Return jsonschema's own keywords that look for patterns, with RE2 in the place of ``re``.

    They are in modules that are loaded once more, so that others who use jsonschema see no change.
    """
    utils, keywords = _load_again("jsonschema._utils"), _load_again("jsonschema._keywords")
    name = "find_evaluated_property_keys_by_schema"
    setattr(keywords, name, getattr(utils, name))
    keywords.find_additional_properties = _find_additional  # type: ignore[attr-defined]
    return {name: getattr(keywords, name) for name in SEARCHING}


def _find_additional(instance: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield names outside the properties and patterns, which joined may be too large for RE2."""
    patterns = schema.get("patternProperties", ())
    for name in instance.keys() - schema.get("properties", {}).keys():
        if not any(_Linear.search(pattern, name) for pattern in patterns):
            yield name


def _load_again(name: str) -> ModuleType:
    spec = find_spec(name)
    assert spec is not None  # noqa: S101 -- jsonschema was imported
    assert spec.loader is not None  # noqa: S101
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.re = _Linear  # type: ignore[attr-defined]
    return module


def _spell_patterns(part: dict[str, Any]) -> None:
    if "pattern" in part:
        part["pattern"] = _Pattern(part["pattern"])
    if "patternProperties" in part:
        found = part["patternProperties"]
        part["patternProperties"] = {_Pattern(name): each for name, each in found.items()}


def _multiple_of(validator: Any, factor: Any, value: Any, _: Any) -> Iterator[ValidationError]:
    """Judge the numbers as they are written: 0.07 is a multiple of 0.01."""
    from jsonschema import ValidationError  # noqa: PLC0415 -- an extra, and slow to load

    if validator.is_type(value, "number") and Fraction(str(value)) % Fraction(str(factor)):
        yield ValidationError(f"{value!r} is not a multiple of {factor}")


def _unique_items(validator: Any, wanted: Any, value: Any, _: Any) -> Iterator[ValidationError]:
    """Compare all items at once: one by one, some thousand objects take minutes."""
    from jsonschema import ValidationError  # noqa: PLC0415 -- an extra, and slow to load

    if wanted and validator.is_type(value, "array") and len({*map(encode, value)}) < len(value):
        yield ValidationError(f"{value!r} has non-unique elements")


def _parts_of(part: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the schemas directly inside a schema, with their places."""
    for keyword, value in part.items():
        if keyword in SCHEMAS:
            yield (keyword,), value
        elif keyword in LISTS:
            yield from (((keyword, number), each) for number, each in enumerate(value))
        elif keyword in MAPS:
            yield from (((keyword, name), each) for name, each in value.items())


def _problem(error: ValidationError) -> str:
    """Say what is wrong in a few words: jsonschema's, but for the value, which may be long."""
    words = error.message.removeprefix(repr(error.instance))
    if words != error.message:
        value = encode(error.instance).decode()
        words = (value if len(value) <= SHORT else f"{value[: SHORT - 1]}…") + words
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
