"""A ledger in Ceph: the whole session, the policies of the docs, and a wire that breaks."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests import corpora
from tests.cli.shell import ORIGIN, TITLE, Shell
from tests.cli.test_acceptance import test_the_session as run_the_session
from tests.faults.guard import ROLES, policy
from tests.faults.wire import conflict, doubled, failed_after, lost, reset_after, truncated
from tests.faults.wire_works import AppendBatch, AppendVersion, Seal, Striking, Work

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.proxy import Between
    from tests.integration.ceph import Ceph

pytestmark = [pytest.mark.ceph, pytest.mark.xdist_group("ceph")]


@pytest.fixture(autouse=True)
def _as_owner(cluster: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", cluster.url)
    for name, value in cluster.owner.credentials.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"test-{secrets.token_hex(8)}"
    client.create_bucket(Bucket=name)
    return name


@corpora.needs("registers/*.json")
def test_the_session_with_real_registers(bucket: str, tmp_path: Path) -> None:
    run_the_session(f"s3://{bucket}/registers", lambda name: Shell.make(tmp_path / name))


def test_doctor_finds_a_bucket_that_was_given_versions(
    bucket: str, client: Any, tmp_path: Path
) -> None:
    shell = Shell.make(tmp_path / "work")
    shell.environment["LEDGER_STORE"] = f"s3://{bucket}"
    shell(f"init --origin {ORIGIN}")
    print(f"\n{shell('doctor').out}")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    said = shell("doctor", code=13).out
    assert "problem: conditional writes: this store is not safe for a ledger:" in said
    assert "on Ceph one without versioning" in said
    print(said)


# --- the policies --------------------------------------------------------------------------------


def without_conditions(role: str, bucket: str) -> list[dict[str, Any]]:
    """The statements of a role as Ceph understands them: it has no keys for the two headers."""
    return [
        {name: value for name, value in each.items() if name != "Condition"}
        for each in policy(role, bucket)["Statement"]
    ]


@pytest.fixture
def shells(cluster: Ceph, client: Any, bucket: str, tmp_path: Path) -> dict[str, Shell]:
    """A shell for each role, in which only its user's credentials are; one home for all."""
    users = {role: cluster.make_user(f"{role}-{secrets.token_hex(4)}") for role in ROLES}
    names = {role: f"arn:aws:iam:::user/{user.name}" for role, user in users.items()}
    statements = [
        statement | {"Sid": f"{role}{statement['Sid']}", "Principal": {"AWS": [names[role]]}}
        for role in ROLES
        for statement in without_conditions(role, bucket)
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    client.put_bucket_policy(Bucket=bucket, Policy=document)
    made = {}
    for role, user in users.items():
        made[role] = Shell.make(tmp_path / "work")
        made[role].environment |= {"LEDGER_STORE": f"s3://{bucket}"} | user.credentials
    return made


def test_each_role_does_its_work_and_is_denied_the_others(
    shells: dict[str, Shell], bucket: str, cluster: Ceph
) -> None:
    writer, service, auditor, sealer = (shells[role] for role in ROLES)
    writer(f"init --origin {ORIGIN}")
    writer(f"append {TITLE} --new --set proprietor=Ada")
    writer("key generate --for log")
    writer("doctor")
    service(f"append {TITLE} --set price:=1")
    sealer("seal --genesis")
    sealer("pack")
    auditor("verify")
    auditor("fsck")
    auditor("doctor --read-only")

    service(f"append {TITLE} --set price:=2")
    for shell, line in (
        (writer, "seal"),
        (service, "seal"),
        (auditor, "seal"),
        (auditor, f"append {TITLE} --set a=b"),
        (auditor, "append TN9 --new --set a=b"),
        (sealer, f"append {TITLE} --set a=b"),
    ):
        assert "AccessDenied" in shell.fails(13, line), line
    assert "unchecked: conditional writes" in service("doctor", code=3).out


def test_no_role_deletes_what_was_registered(
    shells: dict[str, Shell], bucket: str, cluster: Ceph, client: Any
) -> None:
    from tests.integration.ceph import User

    shells["writer"](f"init --origin {ORIGIN}")
    shells["writer"](f"append {TITLE} --set a=b")
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    for shell in shells.values():
        environment = shell.environment
        user = User("", environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        theirs = user.client(cluster.url)
        for key in (key for key in keys if key.endswith(".json")):
            with pytest.raises(theirs.exceptions.ClientError, match="AccessDenied"):
                theirs.delete_object(Bucket=bucket, Key=key)


def test_what_may_not_be_read_could_not_be_checked(
    shells: dict[str, Shell], bucket: str, client: Any
) -> None:
    shells["writer"](f"init --origin {ORIGIN}")
    shells["writer"](f"append {TITLE} --set a=b")
    found = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/{TITLE}/*",
    }
    found["Statement"].append(deny)
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(found))
    said = shells["auditor"]("verify", code=3).out
    assert "not everything could be checked" in said
    assert "tampering" not in said


def test_with_their_conditions_the_policies_let_nobody_write(
    cluster: Ceph, client: Any, bucket: str
) -> None:
    """Ceph doesn't know the keys, so what asks for them is never allowed: safe, and of no use."""
    user = cluster.make_user(f"writer-{secrets.token_hex(4)}")
    statements = [
        each | {"Principal": {"AWS": [f"arn:aws:iam:::user/{user.name}"]}}
        for each in policy("writer", bucket)["Statement"]
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    client.put_bucket_policy(Bucket=bucket, Policy=document)
    theirs = user.client(cluster.url)
    with pytest.raises(theirs.exceptions.ClientError, match="AccessDenied"):
        theirs.put_object(Bucket=bucket, Key="TN1/head.json", Body=b"x", IfNoneMatch="*")


def test_asking_for_a_condition_in_the_buckets_policy_denies_every_write(
    client: Any, bucket: str
) -> None:
    """Also those that have one."""
    (wanted,) = (
        each
        for each in policy("bucket", bucket)["Statement"]
        if each["Sid"] == "NoWriteWithoutCondition"
    )
    client.put_object(Bucket=bucket, Key="TN1/head.json", Body=b"x", IfNoneMatch="*")
    document = json.dumps({"Version": "2012-10-17", "Statement": [wanted]})
    client.put_bucket_policy(Bucket=bucket, Policy=document)
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.put_object(Bucket=bucket, Key="TN2/head.json", Body=b"x", IfNoneMatch="*")


# --- faults --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(cluster: Ceph, client: Any, tmp_path_factory: pytest.TempPathFactory) -> Striking:
    return Striking(cluster.url, client, tmp_path_factory.mktemp("striking"))


@pytest.mark.parametrize(
    "fault",
    [lost, reset_after, truncated, doubled, conflict, failed_after],
    ids=lambda fault: fault.__name__,
)
@pytest.mark.parametrize("work", [AppendVersion, AppendBatch, Seal])
def test_every_broken_request_is_survived(run: Striking, work: type[Work], fault: Between) -> None:
    tally = run(work, fault)
    print(f"\n{work.__name__}: {fault.__name__}: {tally.count} requests")
    tally.assert_sound(at_least=2)
