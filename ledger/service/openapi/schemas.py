"""Describe bodies, headers and problems, the components of the OpenAPI 3.1 document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, get_args

from ledger.format.entry import KINDS, MAX_PARTS, STATUSES
from ledger.format.layout import ADDRESS, MAX_TITLE_NUMBER, TITLE_NUMBER
from ledger.format.report import Outcome, Severity

Schema = dict[str, Any]

EXAMPLE = "78f08a9bb7e01441832a50e9dc9938ccae6bf5359c6efa2312fa4aa652a8747d"
HEX = f"^{ADDRESS.pattern}$"

PROBLEM_TYPE = "application/problem+json"


def ref(kind: str, name: str) -> dict[str, str]:
    """Refer to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(required: Schema, optional: Schema | None = None, **more: object) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, **more}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _told(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _header(description: str, schema: Schema | None = None) -> Schema:
    return {"schema": schema or TEXT, "description": description}


TEXT: Schema = {"type": "string"}
BYTES: Schema = {"type": "string", "format": "binary"}
ANYTHING: Schema = {"type": "object", "additionalProperties": True}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
URL: Schema = {"type": "string", "format": "uri"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ADDRESS_: Schema = {"type": "string", "pattern": HEX, "example": EXAMPLE}
PARENT: Schema = {"type": ["string", "null"], "pattern": HEX}
VERSION: Schema = {"type": "integer", "minimum": 1}
TITLE_NUMBER_: Schema = {
    "type": "string",
    "pattern": f"^{TITLE_NUMBER.pattern}$",
    "maxLength": MAX_TITLE_NUMBER,
    "example": "TN1234567",
}
TIME: Schema = {"type": "string", "example": "2026-11-23T10:00:00.000000Z"}
EFFECTIVE: Schema = {"type": ["string", "null"], "example": "1995-06-01"}
VERSIONS = _array(VERSION)
PART: Schema = {
    **_array(VERSION),
    "minItems": 2,
    "maxItems": 2,
    "description": "Which part of a registration, of how many: [1,1] for an ordinary entry.",
}
ERASED: Schema = {
    **_object({"version": VERSION, "reference": TEXT}),
    "type": ["object", "null"],
    "description": "The entry that orders the text erased, and its reference; null: it is there.",
}
REASONS = ("key-ended", "may-not-erase", "position-unknown", "needs-trust", "named-needlessly")
STANDING = _object(
    {
        "stands": _told({"type": ["boolean", "null"]}, "null: nobody can tell yet."),
        "reason": _told(
            {"enum": [*REASONS, None]}, "The finding; null: a later version confirms or voids it."
        ),
        "by": _told(
            {"type": ["integer", "null"], "minimum": 1},
            "The version that confirms it, or voids it: then it never was.",
        ),
    },
    description="How the entry stands, by the trust files. Absent if it simply counts.",
)
DIGEST = _told(ADDRESS_, "The sha256 of the canonical JSON (RFC 8785) of all other members.")
MEMBERS: Schema = {
    "confirms": VERSIONS,
    "effective_at": EFFECTIVE,
    "effective_until": EFFECTIVE,
    "erases": VERSIONS,
    "key": ADDRESS_,
    "kind": {"enum": list(KINDS)},
    "ledger": TEXT,
    "parent": PARENT,
    "part": PART,
    "recorded_at": TIME,
    "reference": TEXT,
    "status": {"enum": list(STATUSES)},
    "title_number": TITLE_NUMBER_,
    "version": VERSION,
    "voids": VERSIONS,
}
FACTS: Schema = {
    "address": ADDRESS_,
    "key_name": TEXT,
    **MEMBERS,
    "author": _told(TEXT_OR_NULL, "Who asked for it; null: the text is erased."),
    "message": TEXT_OR_NULL,
}
PLACE: Schema = {
    "part": PART,
    "title_number": TITLE_NUMBER_,
    "version": VERSION,
    "address": ADDRESS_,
}
DIFFERENCES: Schema = {"type": ["array", "null"], "items": ref("schemas", "Change")}
NAMED: Schema = _object(
    {"address": ADDRESS_, "version": VERSION, "erased": ERASED}, {"standing": STANDING}
)

SCHEMAS: dict[str, Schema] = {
    "Document": _object(
        {"title_number": TITLE_NUMBER_},
        {"sha256": DIGEST},
        additionalProperties=True,
        description="The title to register, with any members."
        " sha256 is checked if present, and not stored.",
        example={"address": "1 low street", "title_number": "TN1234567"},
    ),
    "DocumentOfTitle": _object(
        {},
        {"title_number": TITLE_NUMBER_, "sha256": DIGEST},
        additionalProperties=True,
        description="A Document. Its title_number is that of the path, or absent.",
        example={"address": "1 low street"},
    ),
    "Title": _object(
        {"title_number": TITLE_NUMBER_, "sha256": DIGEST},
        additionalProperties=True,
        description="The document, exactly as it was posted, with its number and digest.",
        example={"address": "1 low street", "title_number": "TN1234567", "sha256": EXAMPLE},
    ),
    "Titles": _object(
        {"titles": _array(URL)},
        {
            "index": _object(
                {
                    "leaf": _told(
                        {"type": ["integer", "null"]}, "How many leaves of the log it has taken up."
                    ),
                    "updated_at": _told(TEXT_OR_NULL, "null: it is being made."),
                    "waiting": _told(COUNT, "Titles that are not looked at yet."),
                    "left_out": _told(COUNT, "Titles that did not verify."),
                },
                description="What was searched; absent if that was no index.",
            )
        },
    ),
    "Entry": _object(
        {"entry": _object({**MEMBERS, "text": ADDRESS_}), "signature": TEXT},
        {
            "text": _object(
                {"author": TEXT, "document": ANYTHING, "message": TEXT, "salt": ADDRESS_},
                description="Absent if it is erased. Its sha256 is in the entry.",
            )
        },
        description="The stored object, byte for byte. The sha256 of all but the text is its"
        " address.",
    ),
    "Change": _object(
        {"path": TEXT, "kind": {"enum": ["added", "removed", "changed", "moved"]}},
        {"from": TEXT, "old": {}, "new": {}},
        description="path is a JSON pointer (RFC 6901) into the newer document; from is the same"
        " place in the older one, if an item on the way has another index there. An added field"
        " has no old, a removed one no new, one that moved only new. The index of a removed item"
        " is that of the older list.",
    ),
    "HistoryEntry": _object(
        {
            **FACTS,
            "erased": ERASED,
            "changes": _told(
                DIFFERENCES,
                "null: a text is erased, or too much changed to show. An answer has"
                " 4 MiB of changes at most. Read both entries.",
            ),
        },
        {"standing": STANDING},
    ),
    "Entries": _object(
        {"title_number": TITLE_NUMBER_, "entries": _array(ref("schemas", "HistoryEntry"))}
    ),
    "Diff": _object(
        {
            "title_number": TITLE_NUMBER_,
            "from": NAMED,
            "to": NAMED,
            "changes": _told(DIFFERENCES, "null: a text is erased."),
        }
    ),
    "Fields": _object(
        {
            "title_number": TITLE_NUMBER_,
            "fields": _array(
                _object(
                    {
                        "path": _told(TEXT, "A JSON pointer (RFC 6901)."),
                        "value": {},
                        "version": _told(VERSION, "The one that gave it this value."),
                        "or_before": _told(
                            {"type": "boolean"},
                            "Whether it may have been one before, whose text is erased.",
                        ),
                    }
                )
            ),
            "entries": _told(
                _array(_object(FACTS)),
                "Those of these versions, the newest first.",
            ),
        }
    ),
    "LoggedChange": _object(
        {
            "leaf": _told(COUNT, "The number of the leaf. It never changes."),
            "type": _told(TEXT, "entry, trust, or another."),
        },
        {
            "address": ADDRESS_,
            **{name: MEMBERS[name] for name in MEMBERS if name not in {"ledger", "parent"}},
            "trust": _told(ADDRESS_, "Of a trust leaf: the sha256 of the trust file."),
            "erased": ERASED,
            "standing": STANDING,
            "disowned": _told(
                {"type": "boolean"}, "true: a thief made it, and it counts for nothing."
            ),
            "links": {"type": "object", "additionalProperties": URL},
        },
        description="A leaf of the log. All but leaf, type, version and trust are of an entry.",
    ),
    "Changes": _object(
        {
            "changes": _array(ref("schemas", "LoggedChange")),
            "next": _told(URL, "Where to go on, now or later."),
        }
    ),
    "Order": _object(
        {
            "versions": {**VERSIONS, "minItems": 1},
            "reference": _told(TEXT, "That of the order. It stays."),
            "message": _told(TEXT, "The reason."),
        },
        additionalProperties=False,
        example={"versions": [1], "reference": "ORDER-2026-7", "message": "by order of the court"},
    ),
    "Erasure": _object(
        {
            "title_number": TITLE_NUMBER_,
            "order": _object({"address": ADDRESS_, "version": VERSION, "reference": TEXT}),
            "erased": VERSIONS,
            "waiting": _told(VERSIONS, "Their texts stay until the log has the order."),
            "left": _told(_array(TEXT), "What could not be erased, and why."),
        }
    ),
    "ToRegister": _object(
        {
            "reference": _told(TEXT, "The application. Its parts are found by it."),
            "parts": {
                "type": "array",
                "minItems": 2,
                "maxItems": MAX_PARTS,
                "items": _object(
                    {"title_number": TITLE_NUMBER_, "document": ref("schemas", "DocumentOfTitle")},
                    {
                        "parent": _told(
                            PARENT,
                            "The address that the title's head must have; null: it must be new."
                            " Absent: on top of whatever is there.",
                        ),
                        "message": TEXT,
                        "effective_at": EFFECTIVE,
                        "effective_until": EFFECTIVE,
                        "kind": {"enum": list(KINDS)},
                        "status": {"enum": [*STATUSES, None]},
                    },
                    additionalProperties=False,
                ),
            },
        },
        additionalProperties=False,
        example={
            "reference": "APP-2026-77",
            "parts": [
                {"title_number": "TN1", "document": {"area": 0}, "status": "closed"},
                {"title_number": "TN2", "document": {"area": 60}},
                {"title_number": "TN3", "document": {"area": 40}},
            ],
        },
    ),
    "GivingUp": _object(
        {},
        {"message": _told(TEXT, "Why nobody registers the rest.")},
        additionalProperties=False,
        example={"message": "withdrawn"},
    ),
    "Registration": _object(
        {
            "reference": TEXT,
            "complete": _told({"type": "boolean"}, "Whether each part stands."),
            "entries": _array(
                _object(
                    {
                        **PLACE,
                        "recorded_at": TIME,
                        "kind": {"enum": list(KINDS)},
                        "status": {"enum": list(STATUSES)},
                        "role": _told(
                            {"enum": ["begins", "closes", None]}, "What the entry did to its title."
                        ),
                    }
                )
            ),
            "missing": _told(_array(PART), "Parts that no entry is."),
            "conflicts": _told(_array(PART), "Parts that more than one entry is."),
            "passed_over": _told(
                _array(_object({**PLACE, "standing": STANDING})), "Entries that do not stand."
            ),
            "titles": {
                "type": "object",
                "additionalProperties": _object(
                    {"came_from": _array(TITLE_NUMBER_), "went_into": _array(TITLE_NUMBER_)}
                ),
                "description": "What each title came from and went into by this registration.",
            },
        },
        {
            "unlogged": _told(
                _array(PART), "Parts that nothing shows to be in the log; absent: there is none."
            ),
        },
    ),
    "Finding": _object(
        {
            "severity": {"enum": list(get_args(Severity))},
            "slug": TEXT,
            "object": TEXT,
            "message": TEXT,
        }
    ),
    "Report": _object(
        {
            "title_number": TITLE_NUMBER_,
            "expect": PARENT,
            "outcome": _told(
                {"enum": list(get_args(Outcome))},
                "mismatch: the title is sound, but no entry of it has the address to expect.",
            ),
            "origin": TEXT,
            "titles": COUNT,
            "entries": COUNT,
            "findings": _array(ref("schemas", "Finding")),
            "not_shown": _array(TEXT),
        }
    ),
    "Trust": _object(
        {
            "origin": TEXT,
            "version": VERSION,
            "trust": _told(ADDRESS_, "The sha256 of the file, without signatures."),
            "size": _told(COUNT, "The leaves of the log that it pins."),
            "threshold": VERSION,
            "holders": _array(_object({"name": TEXT, "signed": {"type": "boolean"}})),
            "keys": _array(
                _object(
                    {
                        "key": ADDRESS_,
                        "name": TEXT,
                        "role": {"enum": ["registrar", "log"]},
                        "erase": {"type": "boolean"},
                    }
                )
            ),
            "revoked": _array(_object({"key": ADDRESS_, "from": COUNT})),
            "next": _told(TEXT_OR_NULL, "When its successor is due."),
            "changes": _told(_array(TEXT), "What it changed, in sentences."),
            "pinned": _object(
                {"version": VERSION, "trust": ADDRESS_},
                description="The file that this service goes by, and follows to this one.",
            ),
            "findings": _told(
                _array(ref("schemas", "Finding")),
                "Files that are missing or not accepted, or late.",
            ),
        }
    ),
    "Health": _object(
        {
            "status": {
                "enum": ["ok", "degraded"],
                "description": "degraded: it serves, but somebody has to look at what follows.",
            }
        },
        {
            "keyring": {
                "enum": ["incomplete", "stale"],
                "description": "incomplete: an entry was signed by a key that it lacks. stale: it"
                " or the tokens could not be read again.",
            },
            "log": {
                "const": "contradicted",
                "description": "A title that this service read is not as it was logged.",
            },
            "trust": {
                "enum": ["missing", "not-accepted", "unsupported", "overdue"],
                "description": "A trust file that is missing, or that breaks a rule, or is of a"
                " later format; or the newest says that its successor was due by now.",
            },
            "origin": TEXT,
            "sealing": {
                "enum": ["ok", "failing", "starting"],
                "description": "How the last seal of the log went, if the service seals.",
            },
        },
    ),
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "slug": _told(TEXT, "Stable, for programs."),
            "hint": _told(TEXT, "What to do next; may be empty."),
        },
        {
            "expected": PARENT,
            "actual": PARENT,
            "address": TEXT,
            "parent": PARENT,
            "version": VERSION,
            "digest": DIGEST,
            "reference": TEXT,
            "standing": {
                "type": "object",
                "additionalProperties": ADDRESS_,
                "description": "Of a registration that is incomplete, the parts that stand.",
            },
            "missing": _told(_array(COUNT), "The numbers of the other parts."),
            "reason": TEXT,
            "object_key": TEXT,
            "faults": _told(
                _array(_object({"pointer": TEXT, "problem": TEXT})),
                "Where the document doesn't fit the schema, and why.",
            ),
            "more_faults": _told(COUNT, "How many faults are left out."),
            "verification": _told(URL, "What can be verified of the damaged title."),
        },
        description="Problem details (RFC 9457).",
    ),
}

HEADERS: dict[str, Schema] = {
    "ETag": _header('The address in quotes: "<address>".'),
    "Ledger-Address": _header("The entry's address.", ADDRESS_),
    "Ledger-Effective": _header(
        "From when the version holds in law; if it names no date, when it was recorded."
    ),
    "Ledger-Effective-Until": _header("Until when, exclusive; absent: without end."),
    "Ledger-Future": _header(
        "The question is about the future: what is registered by then may change the answer.",
        {"const": "yes"},
    ),
    "Ledger-Status": _header(
        "What the title is from the version shown on.", {"enum": list(STATUSES)}
    ),
    "Ledger-Standing": _header(
        "How the entry stands, by the trust files; absent if it simply counts."
        " yes;by=5: version 5 confirms it. no;by=5: version 5 voids it, it never was."
        " no;reason=key-ended: it does not stand. unknown;reason=position-unknown: nobody can tell"
        " yet."
    ),
    "Ledger-Objects": _header(
        "1: the answer is about an object of the ledger, and not a proxy's own"
    ),
    "Ledger-Passed-Over": _header(
        "The newer versions, 50 at most, that would be the answer if they stood:"
        " 4;by=5, 3;reason=key-ended."
    ),
    "Ledger-Unchanged": _header(
        "The document says nothing that the newest version didn't. With"
        " skip-unchanged, nothing was registered.",
        {"const": "yes"},
    ),
    "Location": _header("The URL of the title, or where to go."),
    "Link": _header(
        'Of a list, the next page: <URL>; rel="next". Of a title, the version in'
        ' force today, if that is another: <URL>; rel="alternate".'
    ),
    "Retry-After": _header("Seconds. Nothing was written."),
    "WWW-Authenticate": {"schema": TEXT},
    "X-Request-Id": _header("The request's id, as in the log."),
}

PROBLEMS: dict[int, str] = {
    400: "Malformed: not JSON, an invalid header, or a parameter given twice",
    401: "A token is required, or this one is not known",
    403: "The token may only read",
    404: "No such title, version or entry; nothing is in law then; or it is not in the log yet",
    409: "Conflict: a taken reference, a closed title, a later version, a late clock, a head that"
    " is lost or does not stand; or some parts of a registration stand, and some don't yet",
    410: "The text is erased. version and reference are those of the entry that orders it",
    412: "The condition does not hold. address, parent, version and digest are those of the head",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "Readable but invalid: a title number, a document, a digest or a parameter",
    428: "A condition is required: If-Match with an address, or If-None-Match: *",
    500: "The stored data is damaged, or the service is not set up for this",
    503: "The store is unavailable or busy; nothing was written",
    504: "It may have been written: look for the address",
}

_HEADERS_OF = {401: ["WWW-Authenticate"], 403: ["WWW-Authenticate"], 503: ["Retry-After"]}


def _problem(status: int, description: str) -> Schema:
    example = {
        "type": "/docs",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": description,
        "slug": HTTPStatus(status).phrase.lower().replace(" ", "-"),
        "hint": "",
    }
    return {
        "description": description,
        "headers": {
            name: ref("headers", name) for name in [*_HEADERS_OF.get(status, []), "X-Request-Id"]
        },
        "content": {
            PROBLEM_TYPE: {"schema": ref("schemas", "Problem"), "example": example},
        },
    }


COMPONENTS: dict[str, dict[str, Schema]] = {
    "schemas": SCHEMAS,
    "headers": HEADERS,
    "responses": {str(status): _problem(status, text) for status, text in PROBLEMS.items()},
}
