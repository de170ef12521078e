"""The policies of docs/policies let each role do its work on the real object keys, and no more."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ledger.format import layout
from tests.test_docs import ROOT

FOLDER = ROOT / "docs" / "policies"
ARN = "arn:aws:s3:::BUCKET/PREFIX/"
TITLE, ADDRESS = "TN1234567", "0" * 64

ENTRY = layout.entry_key(TITLE, ADDRESS)
HEAD = layout.head_key(TITLE)
MARKER = layout.pending_key(TITLE, 1, ADDRESS)
REFERENCE = layout.reference_key("A 1", TITLE, 1, ADDRESS)
PROBE = f"{layout.PROBE}0123"
TILE = layout.tile_key("tile/0/000")
STAGING = layout.staging_key(f"0-{ADDRESS}")
RECORD = layout.sealed_key(TITLE)
STATE, CHECKPOINT = layout.LOG_STATE, layout.LOG_CHECKPOINT
LOG = (TILE, STAGING, RECORD, STATE, CHECKPOINT)
PACK = layout.pack_key(layout.PackName(TITLE, TITLE, 1, ADDRESS))
TRUST = layout.trust_key(1)
KEYS = (layout.LEDGER_KEY, ENTRY, HEAD, MARKER, REFERENCE, PROBE, PACK, TRUST, *LOG)

CREATE, SWAP = "if-none-match", "if-match"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _holds(condition: dict[str, dict[str, str]], header: str | None, role: str) -> bool:
    """Whether a statement's condition holds for a role's request over TLS with this header."""
    for operator, wanted in condition.items():
        for key, value in wanted.items():
            if operator == "ArnNotEquals" and value.endswith(f":role/{role.upper()}"):
                return False
            absent = key != f"s3:{header}"
            if operator == "Null" and (value == "true") != absent:
                return False
            if operator == "Bool" and (key, value) == ("aws:SecureTransport", "false"):
                return False
    return True


def _matches(pattern: str, arn: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), arn) is not None


def allowed(role: str, action: str, key: str, header: str | None = None) -> bool:
    """What IAM decides: a denial anywhere wins, and what nothing allows is denied."""
    effects = {
        statement["Effect"]
        for name in (role, "bucket")
        for statement in json.loads((FOLDER / f"{name}.json").read_bytes())["Statement"]
        if any(_matches(each, f"s3:{action}") for each in _list(statement["Action"]))
        and any(_matches(each, ARN + key) for each in _list(statement["Resource"]))
        and _holds(statement.get("Condition", {}), header, role)
    }
    return effects == {"Allow"}


def may_write(role: str) -> set[tuple[str, str]]:
    return {
        (key, header)
        for key in KEYS
        for header in (CREATE, SWAP)
        if allowed(role, "PutObject", key, header)
    }


APPEND = {(key, CREATE) for key in (ENTRY, HEAD, MARKER, REFERENCE)} | {(HEAD, SWAP)}
INIT = {(layout.LEDGER_KEY, CREATE), (PROBE, CREATE), (PROBE, SWAP)}
SEAL = {(key, CREATE) for key in (*LOG, PACK)}
SEAL |= {(key, SWAP) for key in (RECORD, STATE, CHECKPOINT)}


@pytest.mark.parametrize(
    ("role", "writes", "deletes"),
    [
        ("writer", APPEND | INIT, {PROBE}),
        ("service", APPEND, set()),
        ("auditor", set(), set()),
        ("publisher", {(TRUST, CREATE), (TRUST, SWAP)}, set()),
        ("sealer", SEAL, {MARKER, STAGING, PACK}),
        ("sealing-service", APPEND | (SEAL - {(PACK, CREATE)}), {MARKER, STAGING}),
        (
            "eraser",
            APPEND | {(ENTRY, SWAP), (PACK, CREATE)},
            {ENTRY, MARKER, REFERENCE, PACK},
        ),
    ],
)
def test_a_role_may_do_its_work_and_no_more(
    role: str, writes: set[tuple[str, str]], deletes: set[str]
) -> None:
    assert may_write(role) == writes
    assert {key for key in KEYS if allowed(role, "DeleteObject", key)} == deletes
    assert all(allowed(role, "GetObject", key) for key in KEYS)
    assert not any(allowed(role, "PutObject", key) for key in KEYS), "a write without a condition"
    versions = {ENTRY, HEAD, PACK} if role == "eraser" else set()
    assert {key for key in KEYS if allowed(role, "DeleteObjectVersion", key)} == versions


def test_every_role_may_list_the_bucket() -> None:
    roles = [path.stem for path in FOLDER.iterdir() if path.stem != "bucket"]
    assert len(roles) == 7
    for role in roles:
        statements = json.loads((FOLDER / f"{role}.json").read_bytes())["Statement"]
        (listing,) = [each for each in statements if each["Action"] == "s3:ListBucket"]
        # Without it, or with a condition on it, S3 answers 403 for an object that isn't there.
        assert listing["Resource"] == "arn:aws:s3:::BUCKET"
        assert "Condition" not in listing
