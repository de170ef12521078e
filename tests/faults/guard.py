"""A guard before a server: what the policies of docs/policies say, it enforces on real requests.

It decides as IAM does, by the policies of a role and of the bucket together: on the action, on the
object, and on the conditional headers, of which the policies make keys. Servers other than AWS know
the first two only; what all of them answer to who may not is 403 AccessDenied.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.faults.proxy import Forward, Request, Response, error
from tests.test_docs import ROOT

if TYPE_CHECKING:
    from tests.faults.proxy import Between

FOLDER = ROOT / "docs" / "policies"
ROLES = ("writer", "service", "auditor", "sealer")
READ_OBJECT = {"GET": "s3:GetObject", "HEAD": "s3:GetObject"}
ACTIONS = {**READ_OBJECT, "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
HEADERS = ("if-match", "if-none-match")


def policy(name: str, bucket: str, prefix: str = "") -> dict[str, Any]:
    """A policy as a user adapts it: to a bucket, and a prefix if there is one."""
    text = (FOLDER / f"{name}.json").read_text()
    adapted = text.replace("PREFIX/", f"{prefix}/" if prefix else "").replace("BUCKET", bucket)
    found: dict[str, Any] = json.loads(adapted)
    return found


def guarded(role: str, bucket: str, prefix: str = "") -> Between:
    """Let through what a role may do, in the bucket with the policy for buckets."""
    statements = [
        statement
        for name in (role, "bucket")
        for statement in policy(name, bucket, prefix)["Statement"]
    ]

    def between(request: Request, forward: Forward) -> Response:
        _, found, key = (*request.path.split("/", 2), "")[:3]
        assert found == bucket
        query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
        action = ACTIONS[request.method] if key else "s3:ListBucket"
        if "versionId" in query:
            action += "Version"
        elif "versions" in query:
            action += "Versions"
        arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
        effects = {
            each["Effect"] for each in statements if _applies(each, action, arn, request, role)
        }
        return forward(request) if effects == {"Allow"} else error(403, "AccessDenied")

    return between


def _applies(statement: dict[str, Any], action: str, arn: str, request: Request, role: str) -> bool:
    return (
        any(_matches(each, action) for each in _list(statement["Action"]))
        and any(_matches(each, arn) for each in _list(statement["Resource"]))
        and _holds(statement.get("Condition", {}), request, role)
    )


def _holds(condition: dict[str, dict[str, str]], request: Request, role: str) -> bool:
    """Whether a statement's condition holds; the requests count as sent over TLS."""
    values = {f"s3:{name}": request.header(name) for name in HEADERS}
    for key, absent in condition.get("Null", {}).items():
        if (values[key] is None) != (absent == "true"):
            return False
    exempt = condition.get("ArnNotEquals", {}).get("aws:PrincipalArn", "")
    return "Bool" not in condition and not exempt.endswith(f":role/{role.upper()}")


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
