"""Turn the OpenAPI document into what a page shows: calls with parameters and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query, path or header parameter."""

    name: str
    place: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that an operation may answer with."""

    status: str
    description: str
    types: list[str]
    headers: list[str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call."""

    method: str
    path: str
    summary: str
    description: str
    parameters: list[Parameter]
    bodies: list[tuple[str, str]]
    """Media types, each with the type of what is expected."""
    answers: list[Answer]

    @property
    def headline(self) -> str:
        """What the call does, in one line."""
        return self.description.partition("\n")[0] or self.summary

    @property
    def anchor(self) -> str:
        """A name for links: ``get-titles-title_number``."""
        words = "".join(c if c.isalnum() or c == "_" else " " for c in self.path).split()
        return "-".join([self.method.lower(), *words])


def operations(openapi: dict[str, Any]) -> Iterator[Operation]:
    """Yield every call of the document, in its order."""
    for path, item in openapi.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                yield _operation(openapi, path, method, item)


def _operation(openapi: dict[str, Any], path: str, method: str, item: dict[str, Any]) -> Operation:
    call = item[method]
    parameters = [*item.get("parameters", ()), *call.get("parameters", ())]
    body = _resolve(openapi, call.get("requestBody", {}))
    return Operation(
        method=method.upper(),
        path=path,
        summary=call.get("summary", ""),
        description=call.get("description", ""),
        parameters=[_parameter(_resolve(openapi, each)) for each in parameters],
        bodies=[
            (media, _type(content.get("schema", {})))
            for media, content in body.get("content", {}).items()
        ],
        answers=[
            _answer(status, _resolve(openapi, each))
            for status, each in call.get("responses", {}).items()
        ],
    )


def _parameter(item: dict[str, Any]) -> Parameter:
    return Parameter(
        name=item.get("name", ""),
        place=item.get("in", ""),
        type=_type(item.get("schema", {})),
        required=item.get("required", False),
        description=item.get("description", ""),
    )


def _answer(status: str, item: dict[str, Any]) -> Answer:
    return Answer(
        status=status,
        description=item.get("description", ""),
        types=list(item.get("content", {})),
        headers=list(item.get("headers", {})),
    )


def _resolve(openapi: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Follow a local reference such as ``#/components/responses/NotFound``."""
    found: Any = openapi
    if "$ref" not in item:
        return item
    for part in item["$ref"].removeprefix("#/").split("/"):
        found = found.get(part, {})
    resolved: dict[str, Any] = found
    return resolved


def _type(schema: dict[str, Any]) -> str:
    """Name a schema in a few words: ``string``, ``integer or null``, ``Problem``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[several])))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    return f"array of {_type(schema.get('items', {}))}" if kind == "array" else str(kind)
