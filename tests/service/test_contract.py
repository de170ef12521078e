"""The contract, /openapi.json: complete, true, and in the docs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

import ledger.service.http.errors as service_errors
from ledger.service.openapi.schemas import PROBLEMS
from ledger.stores import MemoryStore
from tests.sealing.sealers import Sealer, ledger_in
from tests.service.client import TITLE, Client, listening

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
    from openapi_spec_validator import validate  # slow to load, and used here alone

    validate(CONTRACT)  # type: ignore[arg-type]


def test_every_route_is_in_it() -> None:
    routes = {
        (method, getattr(route, "path_format", ""))
        for route in CLIENT.app.routes
        for method in getattr(route, "methods", ())
        if getattr(route, "path", "") not in {"/static/{name}", "/robots.txt", "/favicon.ico"}
    }
    assert routes == {(method, path) for method, path, _ in OPERATIONS}


def test_whatever_fastapi_looks_at_an_endpoint_is_awaited() -> None:
    """Some of its versions look below what wraps a function, and then await nothing."""
    endpoints = [route.endpoint for route in CLIENT.app.routes if isinstance(route, Route)]
    assert all(inspect.iscoroutinefunction(inspect.unwrap(each)) for each in endpoints)
    assert len(endpoints) >= len(OPERATIONS)


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
    assert contract["paths"]["/healthz"]["get"]["security"] == []
    assert all(operation["security"] == [] for _, _, operation in OPERATIONS)
    assert "securitySchemes" not in CONTRACT["components"]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_generators_can_tell_parameters_apart(method: str, path: str, operation: dict) -> None:
    names = [parameter["name"] for parameter in operation.get("parameters", ())]
    assert len({re.sub(r"\W+", "", name).lower() for name in names}) == len(names)


def test_the_server_is_where_the_service_is_mounted() -> None:
    mounted = Starlette(routes=[Mount("/land", CLIENT.app)])
    with listening(mounted) as url:
        found = httpx.get(f"{url}/land/openapi.json").json()
    assert found["servers"] == [{"url": "/land"}]
    assert CONTRACT["servers"] == [{"url": "/"}]
    public = Client(public_url="https://example.org/deeds").get("/openapi.json").json()
    assert public["servers"] == [{"url": "https://example.org/deeds"}]


# -- The reference -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_the_reference_has_every_route(method: str, path: str, operation: dict) -> None:
    assert f"`{method} {path}`" in PAGE.read_text()
    for parameter in operation.get("parameters", ()):
        assert f"`{parameter['name']}`" in PAGE.read_text(), parameter["name"]


@pytest.mark.parametrize("status", PROBLEMS)
def test_the_reference_has_every_status(status: int) -> None:
    assert re.search(rf"^\| {status} \|", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "error",
    [
        each
        for each in vars(service_errors).values()
        if getattr(each, "__module__", "") == service_errors.__name__
    ],
    ids=lambda each: each.__name__,
)
def test_the_reference_has_every_error(error: type[service_errors.RequestError]) -> None:
    row = rf"^\| `{error.slug}` \| {error.http_status} \|"
    assert re.search(row, PAGE.read_text(), re.MULTILINE), row


# -- Schemathesis --------------------------------------------------------------------------------

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


@pytest.mark.parametrize(
    "examples",
    [pytest.param(25, marks=pytest.mark.slow), pytest.param(1000, marks=pytest.mark.faults)],
)
def test_every_operation_answers_as_described(tmp_path: Path, examples: int) -> None:
    """Requests that keep to the description, and requests that break it, so many an operation."""
    with listening(make_client().app) as url:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--url", url, "--checks", ",".join(CHECKS), "--max-examples", str(examples)),
                *("--phases", "examples,coverage,fuzzing", "--seed", "1"),
                *("--suppress-health-check", "all", "--warnings", "off"),
                *("--report", "json", "--report-json-path", str(tmp_path / "report.json")),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=3600,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    print(done.stdout)
