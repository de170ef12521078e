"""The contract, /openapi.json: complete, true, and in the docs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

import ledger.service.http.errors
from ledger.errors import LedgerError
from ledger.service.openapi.schemas import PROBLEMS
from ledger.stores import MemoryStore
from tests.sealing.sealers import Sealer, ledger_in
from tests.service.client import TITLE, Client

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"


def make_client() -> Client:
    """A ledger with two versions of a title, in a log of its own."""
    client = Client(ledger_in(MemoryStore()))
    for number in (1, 2):
        client.ledger.append(TITLE, {"address": f"{number} low street"})
    with tempfile.TemporaryDirectory() as folder:
        Sealer(Path(folder)).seal(client.ledger.store, genesis=True)
    return client


CLIENT = make_client()
CONTRACT = CLIENT.app.openapi()
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in CONTRACT["paths"].items()
    for method, operation in item.items()
]


def test_it_is_an_openapi_document() -> None:
    validate(CONTRACT)  # type: ignore[arg-type]


def test_every_route_is_in_it() -> None:
    routes = {
        (method, getattr(route, "path_format", ""))
        for route in CLIENT.app.routes
        for method in getattr(route, "methods", ())
        if getattr(route, "path", "") != "/static/{name}"
    }
    assert routes == {(method, path) for method, path, _ in OPERATIONS}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_operation_is_described(method: str, path: str, operation: dict) -> None:
    assert operation["summary"]
    assert operation["operationId"]
    for status, answer in operation["responses"].items():
        assert answer["description"], status
    assert "HTTPValidationError" not in str(operation)
    if path.startswith("/titles"):
        assert {"400", "401", "404", "422", "500", "503"} <= operation["responses"].keys()
    if method == "POST":
        assert {"409", "412", "413", "415", "428", "504"} <= operation["responses"].keys()


def test_security_is_what_the_settings_say() -> None:
    from ledger.service import basic_login

    contract = Client(tokens=(basic_login("a", "b"),), public_read=True).app.openapi()
    assert contract["paths"]["/titles"]["get"]["security"] == [{}, {"basic": []}]
    assert contract["paths"]["/titles"]["post"]["security"] == [{"basic": []}]
    assert "security" not in contract["paths"]["/healthz"]["get"]


# -- The reference -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_the_reference_has_every_route(method: str, path: str, operation: dict) -> None:
    assert f"`{method} {path}`" in PAGE.read_text()
    for parameter in operation.get("parameters", ()):
        assert f"`{parameter['name']}`" in PAGE.read_text(), parameter["name"]


@pytest.mark.parametrize("status", PROBLEMS)
def test_the_reference_has_every_status(status: int) -> None:
    assert re.search(rf"^\| {status} \|", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ledger.service.http.errors.__all__)
def test_the_reference_has_every_error(name: str) -> None:
    error = getattr(ledger.service.http.errors, name)
    assert issubclass(error, LedgerError)
    row = rf"^\| `{error.slug}` \| {error.http_status} \|"
    assert re.search(row, PAGE.read_text(), re.MULTILINE), row


# -- Schemathesis --------------------------------------------------------------------------------

load_all_checks()
TRUE = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
WANTED = (
    *TRUE,
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
CHOSEN = [CHECKS.get_one(name) for name in WANTED]
schema = schemathesis.openapi.from_asgi("/openapi.json", CLIENT.app)
TESTED = {result.ok().label for result in schema.get_all_operations()}
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_every_operation_but_the_contract_itself_is_tried() -> None:
    operations = {f"{method} {path}" for method, path, _ in OPERATIONS}
    assert operations - TESTED == {"GET /openapi.json"}


def _define(label: str, max_examples: int) -> Callable[..., None]:
    method, path = label.split()

    # A function for each: schemathesis gives all operations of one function the same node id, of
    # which pytest-xdist would run just one.
    @schema.include(method=method, path=path).parametrize()
    @settings(
        max_examples=max_examples, deadline=None, derandomize=True, suppress_health_check=QUIET
    )
    def test(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHOSEN)

    return test


for label in sorted(TESTED):
    name = "_".join(re.findall(r"\w+", label)).lower()
    globals()[f"test_answers_of_{name}"] = _define(label, 60)
    globals()[f"test_answers_of_{name}_at_length"] = pytest.mark.slow(_define(label, 400))
