"""Describe what each route may answer, and build the OpenAPI 3.1 document.

FastAPI knows the paths and the parameters. The answers that it would invent are replaced here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from ledger.service.openapi.schemas import ANYTHING, BYTES, COMPONENTS, PROBLEMS, TEXT, ref

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ledger.service.settings import Settings

Contract = dict[str, Any]
"""What ``add_api_route`` takes besides the path, the endpoint and the method."""

BYTES_TYPE = "application/octet-stream"
HTML = {"text/html": {"schema": TEXT}}
AN_OBJECT = {"application/json": {"schema": ANYTHING}}
DESCRIPTION = """\
A signed, content-addressed, versioned store of land-title entries.

The `ETag` of a version is its address: the sha256 of the entry without its text. Send `If-Match` to
write on top of the version you read, and `Idempotency-Key` to be able to repeat a write safely.
HEAD works wherever GET does, OPTIONS everywhere. Errors are problem details (RFC 9457); their
`slug` is what programs compare. This describes what programs get. A client whose `Accept` prefers
`text/html`, as a browser's does, gets pages in place of JSON and of problems.
"""


def _ok(description: str, content: Contract, *headers: str) -> Contract:
    named = [*headers, "X-Request-Id"]
    return {
        "description": description,
        "headers": {name: ref("headers", name) for name in named},
        "content": content,
    }


def _json(schema: str) -> Contract:
    return {"application/json": {"schema": ref("schemas", schema)}}


def _contract(
    name: str, responses: dict[int, Contract], problems: tuple[int, ...], **more: object
) -> Contract:
    every = {status: ref("responses", str(status)) for status in problems}
    described = {status: {"description": PROBLEMS[status], **every[status]} for status in problems}
    return {
        "operation_id": name,
        "response_class": Response,
        "status_code": next(iter(responses)),
        "responses": {**responses, **described},
        **more,
    }


NOT_MODIFIED: Contract = {
    "description": "The client already has it (If-None-Match)",
    "headers": {"ETag": ref("headers", "ETag")},
}
REDIRECT: Contract = {
    "description": "Redirected",
    "headers": {"Location": ref("headers", "Location")},
}
STORE = (400, 401, 404, 422, 500, 503)
TAGGED = (*STORE, 412)
TEXT_OF_A_TITLE = (*TAGGED, 409, 410)
WRITE = (*STORE, 403, 409, 412, 413, 415, 428, 504)

IF_NONE_MATCH: dict[str, object] = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Entity tags of what the client has.",
}
CLAMP_TIME = (
    "Ledger-Clamp-Time",
    "yes: if the newest version was recorded in the future, record this one at the same time.",
)
SUPERSEDE_LATER = (
    "Ledger-Supersede-Later",
    "yes: take the place of a version that begins later, which is refused otherwise.",
)
AS_DOCUMENT = (
    "Ledger-As-Document",
    "yes: register a document that looks like one of this service's answers, refused otherwise.",
)
WRITE_HEADERS: list[tuple[str, str]] = [
    ("If-Match", 'Write only if the head is this one: "ADDRESS", several, or * for any.'),
    ("If-None-Match", "*: write only if there is no such title yet."),
    (
        "Idempotency-Key",
        "The entry's reference. Sent again, it gets the same answer and nothing is written.",
    ),
    (
        "Ledger-Message",
        "Why this version exists: in UTF-8, or all in ASCII by RFC 8187: UTF-8''T%C5%B7%20Newydd.",
    ),
    (
        "Ledger-Effective",
        "From when it holds in law: 2026, 2026-01, 2026-01-31, or a time. Absent: when recorded.",
    ),
    ("Ledger-Effective-Until", "Until when, exclusive, in the same forms. Absent: without end."),
    (
        "Ledger-Kind",
        "registration, rectification (the record was wrong) or migration. Absent: registration.",
    ),
    ("Ledger-Status", "closed closes the title, open opens it again. Absent: as it is."),
    SUPERSEDE_LATER,
    AS_DOCUMENT,
]
GUARD_HEADERS: list[tuple[str, str]] = [
    ("Idempotency-Key", "The same as reference, or absent."),
    SUPERSEDE_LATER,
    AS_DOCUMENT,
    CLAMP_TIME,
]


def _tagged(
    name: str, what: str, content: Contract, *headers: str, problems: tuple[int, ...] = TAGGED
) -> Contract:
    return _contract(
        name,
        {200: _ok(what, content, "ETag", *headers), 304: NOT_MODIFIED},
        problems,
        openapi_extra={"parameters": [IF_NONE_MATCH]},
    )


def _read(
    name: str, schema: str, what: str, *headers: str, problems: tuple[int, ...] = TAGGED
) -> Contract:
    return _tagged(name, what, _json(schema), *headers, problems=problems)


def _file(name: str, what: str, media_type: str, *headers: str) -> Contract:
    schema = BYTES if media_type == BYTES_TYPE else TEXT
    return _tagged(name, what, {media_type: {"schema": schema}}, *headers)


def _about_itself(name: str, what: str, content: Contract) -> Contract:
    answers = {200: _ok(what, content, "ETag"), 304: NOT_MODIFIED}
    return _contract(name, answers, (400, 401, 412, 422))


def _headers(*named: tuple[str, str]) -> list[Contract]:
    return [
        {"name": name, "in": "header", "schema": {"type": "string"}, "description": text}
        for name, text in named
    ]


def _write(name: str, schema: str) -> Contract:
    headers = ("Location", "ETag", "Ledger-Address", "Ledger-Unchanged")
    return _contract(
        name,
        {
            201: _ok("Registered", _json("Title"), *headers),
            200: _ok(
                "Registered already: under this Idempotency-Key, or, with skip-unchanged, as the"
                " newest version",
                _json("Title"),
                *headers,
            ),
        },
        WRITE,
        openapi_extra={
            "parameters": _headers(*WRITE_HEADERS, CLAMP_TIME),
            "requestBody": {"required": True, "content": _json(schema)},
        },
    )


ROOT = _contract("root", {307: REDIRECT}, (400, 401, 422))
TITLES = _read("listTitles", "Titles", "URLs of titles, in order", "Link")
APPEND_ANY = _write("appendAny", "Document")
TITLE = _read(
    "getTitle",
    "Title",
    "One version of the title; Link names the one in force today, if that is another",
    *("Ledger-Address", "Ledger-Effective", "Ledger-Effective-Until", "Ledger-Future", "Link"),
    *("Ledger-Status", "Ledger-Standing", "Ledger-Passed-Over"),
    problems=TEXT_OF_A_TITLE,
)
APPEND = _write("append", "DocumentOfTitle")
ERASE = _contract(
    "erase",
    {
        200: _ok("The texts are erased", _json("Erasure"), "Ledger-Address"),
        202: _ok(
            "Ordered, but texts are left: repeat it later, after the next seal of the log",
            _json("Erasure"),
            "Ledger-Address",
        ),
    },
    WRITE,
    openapi_extra={
        "parameters": _headers(CLAMP_TIME),
        "requestBody": {"required": True, "content": _json("Order")},
    },
)
REGISTER = _contract(
    "register",
    {
        201: _ok("All parts stand", _json("Registration"), "Location"),
        200: _ok("All parts stood already", _json("Registration"), "Location"),
    },
    WRITE,
    openapi_extra={
        "parameters": _headers(*GUARD_HEADERS),
        "requestBody": {"required": True, "content": _json("ToRegister")},
    },
)
GIVE_UP = _contract(
    "giveUpRegistration",
    {
        201: _ok("The missing parts are rectifications now", _json("Registration"), "Location"),
        200: _ok("No part was missing; nothing was written", _json("Registration"), "Location"),
    },
    WRITE,
    openapi_extra={
        "parameters": _headers(CLAMP_TIME),
        "requestBody": {"required": True, "content": _json("GivingUp")},
    },
)
REGISTRATION = _read(
    "getRegistration",
    "Registration",
    "The entries of all titles that stand and have this reference, and what is missing",
    problems=(*TAGGED, 409),
)
BLAME = _read(
    "blame",
    "Fields",
    "Each field of the newest document, and the version that gave it its value",
    problems=(*TAGGED, 409, 410),
)
ENTRIES = _read("listEntries", "Entries", "The history, newest first", "Link")
ENTRY = _read(
    "getEntry", "Entry", "The exact bytes of the entry, without an erased text", "Ledger-Standing"
)
ENTRY["responses"][307] = REDIRECT
DIFF = _read(
    "diff",
    "Diff",
    "The fields that differ, with old and new values, or null if a text is erased; 422 if too many"
    " differ",
)
COPY = _contract("getCopy", {200: _ok("A page to print", HTML)}, (*STORE, 409, 410))
VERIFICATION = _contract(
    "verify", {200: _ok("The report, whatever it says", _json("Report"))}, STORE
)
BUNDLE = _contract(
    "getBundle",
    {200: _ok("The offline file: a tar archive", {BYTES_TYPE: {"schema": BYTES}})},
    STORE,
)
LOG = _tagged("getLog", "The page of the log", HTML)
CHECKPOINT = _file("getCheckpoint", "The signed note (c2sp.org/tlog-checkpoint)", "text/plain")
TILE = _file("getTile", "The tile (c2sp.org/tlog-tiles)", BYTES_TYPE)
RECEIPT = _file("getReceipt", "The receipt (c2sp.org/tlog-proof)", "text/plain", "Ledger-Address")
CHANGES = _read("listChanges", "Changes", "Leaves of the log, in order", "Link")
ATOM = _file("getFeed", "The feed (RFC 4287, RFC 5005)", "application/atom+xml")
TRUST = _read("getTrust", "Trust", "The newest trust file that this service accepts")
TRUST_FILE = _tagged("getTrustFile", "The trust file, for 'ledger trust pin'", AN_OBJECT)
OBJECT = _file(
    "getObject",
    "The object, as docs/spec.md names it; a 404 has the header, too",
    BYTES_TYPE,
    "Ledger-Objects",
)
HEALTHZ = _contract("healthz", {200: _ok("The process answers", _json("Health"))}, (400, 422))
READYZ = _contract(
    "readyz", {200: _ok("The ledger can be read", _json("Health"))}, (400, 422, 500, 503)
)
METRICS = _contract(
    "metrics",
    {200: _ok("For Prometheus", {"text/plain": {"schema": TEXT}})},
    (400, 401, 422),
)
OPENAPI = _about_itself("openapi", "This document", AN_OBJECT)
DOCS = _about_itself("docs", "This document, for people", HTML)


def build_contract(app: FastAPI, settings: Settings, base: str = "") -> Contract:
    """Build the whole document. ``base``: where the service is mounted, if it has no public URL."""
    contract: Contract = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        servers=[{"url": settings.public_url or base or "/"}],
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    schemes = sorted({token.scheme for token in settings.tokens})
    known = {name: {"type": "http", "scheme": name} for name in schemes}
    contract["components"] = COMPONENTS | ({"securitySchemes": known} if known else {})
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            is_open = path in {"/healthz", "/readyz"} or not schemes
            may_be_open = method == "get" and settings.public_read
            operation["security"] = (
                [] if is_open else [*([{}] if may_be_open else []), *({s: []} for s in schemes)]
            )
    return contract
