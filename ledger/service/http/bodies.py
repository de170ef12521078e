"""Read the body of a write, and spell the answer to it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Raw

from ledger.errors import InvalidError, MalformedError
from ledger.format import canonical
from ledger.format.entry import Entry, check_document, digest
from ledger.format.layout import check_address, check_title_number
from ledger.service.http.errors import TooLarge
from ledger.service.http.headers import check_json, one_header
from ledger.titles.batch import check_draft
from ledger.titles.draft import Draft, check_own_document

if TYPE_CHECKING:
    from starlette.requests import Request

    from ledger.format.canonical import JSONValue


class Order(NamedTuple):
    """Which versions' texts are to be erased, by which order, and why."""

    versions: list[int]
    reference: str
    message: str


class ToRegister(NamedTuple):
    """A registration that a body asks for."""

    reference: str
    drafts: list[Draft]
    parents: dict[str, str | None]
    """Of a title, the address that its head has to have, or None if it has to be new."""


ABOUT = {"message", "effective_at", "effective_until", "kind", "status"}
PART = {"title_number", "document", "parent", *ABOUT}


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body. Raises UnsupportedMediaType or TooLarge before reading too much."""
    check_json(request)
    declared = one_header(request.scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise _too_large(limit)
    return bytes(data)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit:,} bytes")


def parse_document(
    data: bytes, title_number: str | None, *, as_document: bool = False
) -> tuple[str, dict[str, JSONValue]]:
    """Return the title number and the document in a body; its ``sha256`` is checked and removed.

    ``title_number`` is the one in the path, if there is one. ``as_document``: take it even if it
    looks like one of our own answers. Raises MalformedError if the body is
    not JSON, InvalidError if it can't be registered.
    """
    if not data:
        raise MalformedError("the body is empty", hint="send the document, a JSON object")
    return _take_document(canonical.decode(data), title_number, as_document=as_document)


def _take_document(
    value: JSONValue, title_number: str | None, *, as_document: bool
) -> tuple[str, dict[str, JSONValue]]:
    if not isinstance(value, dict):
        raise InvalidError(f"a document is a JSON object, not {type(value).__name__}")
    if not as_document:
        check_own_document(value)
    if title_number is None and "title_number" not in value:
        raise InvalidError(
            "the document has no title_number", hint="put it in, or post to /titles/TITLE_NUMBER"
        )
    if title_number is None:
        name = check_title_number(value["title_number"], place="the document's title_number")
    else:
        name = check_title_number(title_number)
    has_digest = "sha256" in value
    claimed = value.pop("sha256", None)
    check_document(value, name)
    # Of the document as it will be shown, with its title number, or as it was sent.
    shown = {**value, "title_number": name}
    if has_digest and claimed != digest(shown) and claimed != digest(value):
        raise InvalidError(
            f"sha256 is not that of the document, which is {digest(shown)}",
            hint="take the sha256 of the canonical JSON (RFC 8785) of all other members, with or"
            " without the title_number of the path, or leave sha256 out",
        )
    return name, value


def parse_order(data: bytes) -> Order:
    """Return the order in the body of an erasure; raises MalformedError or InvalidError."""
    value = canonical.decode(data)
    if not isinstance(value, dict) or value.keys() != set(Order._fields):
        raise InvalidError(
            "an erasure is an object with the members versions, reference and message, no others"
        )
    versions, reference, message = (value[name] for name in Order._fields)
    if type(versions) is not list or any(type(each) is not int for each in versions):
        raise InvalidError("versions is not a list of integers")
    if type(reference) is not str or type(message) is not str:
        raise InvalidError("reference and message are strings")
    return Order(versions, reference, message)


def parse_giving_up(data: bytes) -> str:
    """Return the message in the body that gives a registration up; raises as above."""
    value = canonical.decode(data)
    if not isinstance(value, dict) or not value.keys() <= {"message"}:
        raise InvalidError("to give up takes an object with the member message, or none")
    message = value.get("message", "")
    if type(message) is not str:
        raise InvalidError("message is a string")
    return message


def parse_registration(data: bytes, author: str, *, as_document: bool = False) -> ToRegister:
    """Return the registration in a body; raises MalformedError or InvalidError."""
    value: Any = canonical.decode(data, depth=canonical.MAX_DEPTH + 3)
    if not isinstance(value, dict) or value.keys() != {"reference", "parts"}:
        raise InvalidError(
            "a registration is an object with the members reference and parts, no others"
        )
    if type(value["reference"]) is not str or not isinstance(value["parts"], list):
        raise InvalidError("reference is a string, and parts is a list")
    found = ToRegister(value["reference"], [], {})
    for number, part in enumerate(value["parts"], 1):
        try:
            _take_part(part, found, author, as_document=as_document)
        except MalformedError as error:
            raise type(error)(f"part {number}: {error}", hint=error.hint) from None
    return found


def _take_part(part: object, found: ToRegister, author: str, *, as_document: bool) -> None:
    if not isinstance(part, dict) or not {"title_number", "document"} <= part.keys() <= PART:
        raise InvalidError(
            "not an object with the members title_number and document, and perhaps"
            f" {', '.join(sorted(PART - {'title_number', 'document'}))}"
        )
    title_number = check_title_number(part["title_number"], place="its title_number")
    if "parent" in part:
        parent = None if part["parent"] is None else check_address(part["parent"])
        if found.parents.setdefault(title_number, parent) != parent:
            raise InvalidError(f"another part gives {title_number} another parent")
    _, document = _take_document(part["document"], title_number, as_document=as_document)
    about = {name: part[name] for name in part.keys() & ABOUT}
    draft = Draft(title_number, document, author=author, **about)
    check_draft(draft)
    found.drafts.append(draft)


def title_digest(entry: Entry) -> str:
    """Compute the ``sha256`` of a version as it is shown.

    It is the document digest only if the document has its title_number. One that was posted to
    ``/titles/{title_number}`` need not have it.
    """
    return hashlib.sha256(canonical.join(_shown(entry))).hexdigest()


def representation(entry: Entry) -> bytes:
    """Spell a version as it is shown, and can be posted again.

    It is the document with its title number and the digest of both. The stored bytes are spliced:
    nothing is decoded or encoded again. The entry has to have its text.
    """
    shown = _shown(entry)
    digest_of_shown = hashlib.sha256(canonical.join(shown)).hexdigest()
    return canonical.join({**shown, "sha256": Raw(canonical.encode(digest_of_shown))})


def _shown(entry: Entry) -> dict[str, Raw]:
    document = canonical.split(entry.document_bytes)
    return {**document, "title_number": Raw(canonical.encode(entry.title_number))}
