"""``init`` and ``doctor`` on servers that cheat: refused, by name, and nothing is left behind."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.shell import ORIGIN, Shell
from tests.faults import cheats
from tests.faults.proxy import Forward, Request, Response, error, honest, proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.proxy import Proxy

pytestmark = pytest.mark.xdist_group("moto")


@pytest.fixture
def between(moto_url: str) -> Iterator[Proxy]:
    with proxy(moto_url) as made:
        yield made


@pytest.fixture
def bucket(moto_client: Any) -> str:
    name = f"test-{secrets.token_hex(8)}"
    moto_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def shell(tmp_path: Path, between: Proxy, bucket: str) -> Shell:
    """A shell whose store is the bucket, through the proxy."""
    made = Shell.make(tmp_path / "work")
    made.environment |= {"LEDGER_STORE": f"s3://{bucket}", "AWS_ENDPOINT_URL_S3": between.url}
    return made


def keys_in(client: Any, bucket: str) -> list[str]:
    found = client.list_objects_v2(Bucket=bucket).get("Contents", ())
    return [each["Key"] for each in found]


def checks(shell: Shell, line: str = "doctor", *, code: int = 0) -> dict[str, Any]:
    """What doctor says of each thing."""
    return {each["check"]: each for each in shell(f"{line} --json", code=code).objects}


@pytest.mark.parametrize(
    ("cheat", "said"),
    [
        (cheats.ignores_conditions, "create twice: it let an object be overwritten"),
        (cheats.ignores_swaps, "stale swap: it let an object be replaced by one who had not seen"),
        (cheats.wants_bare_versions, "as Ceph 16 and 18 do with quoted ones"),
        (cheats.checks_then_writes(), "writers at once were all told they had won"),
        (cheats.has_no_conditions, "NotImplemented"),
        (cheats.leaves_out_versions, "leaves out the ETag"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_server_that_cheats_is_refused_by_what_it_does(
    cheat: Any, said: str, shell: Shell, between: Proxy, moto_client: Any, bucket: str
) -> None:
    between.between = cheat
    assert said in shell.fails(13, f"init --origin {ORIGIN}")
    assert keys_in(moto_client, bucket) == []
    found = checks(shell, code=13)["conditional writes"]
    assert found["outcome"] == "problem"
    assert said in found["message"]
    assert found["hint"]
    assert keys_in(moto_client, bucket) == []


@pytest.mark.slow
def test_doctor_finds_a_server_that_cheats_since_its_upgrade(
    shell: Shell, between: Proxy, moto_client: Any, bucket: str
) -> None:
    shell(f"init --origin {ORIGIN}")
    before = keys_in(moto_client, bucket)
    assert checks(shell)["conditional writes"]["outcome"] == "ok"
    between.between = cheats.checks_then_writes()
    assert "race" in checks(shell, code=13)["conditional writes"]["message"]
    assert keys_in(moto_client, bucket) == before == ["ledger.json"]


def test_to_look_only_doctor_sends_no_write(shell: Shell, between: Proxy) -> None:
    shell(f"init --origin {ORIGIN}")
    between.requests.clear()
    assert checks(shell, "doctor --read-only").keys() >= {"store", "ledger", "clock"}
    assert between.requests
    assert not any(request.writes for request in between.requests)


def off_by(minutes: int) -> Any:
    def between(request: Request, forward: Forward) -> Response:
        answer = forward(request)
        headers = dict(answer.headers)
        date = parsedate_to_datetime(headers["Date"]) + timedelta(minutes=minutes)
        headers["Date"] = format_datetime(date, usegmt=True)
        return replace(answer, headers=tuple(headers.items()))

    return between


@pytest.mark.parametrize(
    ("minutes", "outcome", "said"),
    [
        pytest.param(0, "ok", "agrees", marks=pytest.mark.slow),
        (4, "ok", "agrees"),
        pytest.param(-4, "ok", "agrees", marks=pytest.mark.slow),
        (60, "warning", "60 minutes behind"),
        (-60, "warning", "60 minutes ahead of"),
    ],
)
def test_doctor_compares_the_clocks(
    minutes: int, outcome: str, said: str, shell: Shell, between: Proxy
) -> None:
    between.between = off_by(minutes)
    found = checks(shell, "doctor --read-only", code=13)["clock"]  # 13: there is no ledger
    assert found["outcome"] == outcome
    assert said in found["message"]


def refuses_the_probe(request: Request, forward: Forward) -> Response:
    refused = request.writes and "/_probe/" in request.path
    return error(403, "AccessDenied") if refused else forward(request)


def keeps_what_is_probed(request: Request, forward: Forward) -> Response:
    return error(403, "AccessDenied") if request.method == "DELETE" else forward(request)


@pytest.mark.slow
def test_who_may_not_probe_is_told_that_it_was_not_checked(shell: Shell, between: Proxy) -> None:
    shell(f"init --origin {ORIGIN}")
    between.between = refuses_the_probe
    found = checks(shell, code=3)["conditional writes"]
    assert found["outcome"] == "unchecked"
    assert "--read-only" in found["hint"]


@pytest.mark.slow
def test_what_doctor_may_not_delete_it_names(
    shell: Shell, between: Proxy, moto_client: Any, bucket: str
) -> None:
    shell(f"init --origin {ORIGIN}")
    between.between = keeps_what_is_probed
    left = [key for key in keys_in(moto_client, bucket) if key.startswith("_probe/")]
    assert not left
    found = checks(shell)["conditional writes"]
    left = [key for key in keys_in(moto_client, bucket) if key.startswith("_probe/")]
    assert found["outcome"] == "warning"
    assert f"has left {len(left)} objects behind" in found["message"]
    assert left[0] in found["message"]


@pytest.mark.slow
def test_an_honest_proxy_changes_nothing(shell: Shell, between: Proxy) -> None:
    between.between = honest
    shell(f"init --origin {ORIGIN}")
    assert {each["outcome"] for each in checks(shell).values()} == {"ok"}
