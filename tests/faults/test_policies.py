"""Each role of docs/policies at its work, on the requests that it really sends, and at others'."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.shell import ORIGIN, TITLE, Shell
from tests.faults.guard import ROLES, guarded
from tests.faults.proxy import error, proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("moto")]

PREFIX = "registers/titles"


class Registry:
    """A shell whose requests are those of the role that it plays."""

    def __init__(self, shell: Shell, between: Proxy, bucket: str) -> None:
        self.shell = shell
        self.between = between
        self.bucket = bucket
        shell.environment |= {
            "LEDGER_STORE": f"s3://{bucket}/{PREFIX}",
            "AWS_ENDPOINT_URL_S3": between.url,
        }

    def play(self, role: str) -> Shell:
        self.between.between = guarded(role, self.bucket, PREFIX)
        return self.shell


@pytest.fixture(scope="module")
def registry(
    moto_url: str, moto_client: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A ledger that the writer has made, with a title and a log that has it."""
    bucket = f"test-{secrets.token_hex(8)}"
    moto_client.create_bucket(Bucket=bucket)
    with proxy(moto_url) as between:
        made = Registry(Shell.make(tmp_path_factory.mktemp("registry") / "work"), between, bucket)
        writer = made.play("writer")
        writer(f"init --origin {ORIGIN}")
        writer(f"append {TITLE} --new --set proprietor=Ada")
        writer("key generate --for log")
        sealer = made.play("sealer")
        sealer("seal --genesis")
        yield made


def test_the_writer_makes_appends_reads_and_examines(registry: Registry) -> None:
    writer = registry.play("writer")
    writer(f"append {TITLE} --set price:=1")
    writer("append TN7 --new --set a=b")
    writer(f"show {TITLE}")
    assert writer("doctor").code == 0
    assert writer("verify").code == 0


def test_the_service_appends_and_reads_and_may_not_probe(registry: Registry) -> None:
    service = registry.play("service")
    service(f"append {TITLE} --set price:=2")
    service("append TN8 --new --set a=b")
    service("verify")
    found = {each["check"]: each["outcome"] for each in service("doctor --json", code=3).objects}
    assert found["conditional writes"] == "unchecked"
    assert service("doctor --read-only").code == 0


def test_the_auditor_reads_all_and_writes_nothing(registry: Registry) -> None:
    auditor = registry.play("auditor")
    for line in (
        "verify",
        f"verify {TITLE}",
        "fsck",
        f"log {TITLE}",
        "titles",
        "export all.bundle",
    ):
        auditor(line)
    auditor("doctor --read-only")
    for line in (f"append {TITLE} --set a=b", "append TN9 --new --set a=b", "pack"):
        assert "AccessDenied" in auditor.fails(13, line)
    registry.play("writer")(f"append {TITLE} --set to=seal")
    assert "AccessDenied" in registry.play("auditor").fails(13, "seal")


def test_the_sealer_seals_and_packs_and_registers_nothing(registry: Registry) -> None:
    registry.play("writer")(f"append {TITLE} --set to=log")
    sealer = registry.play("sealer")
    sealer("seal")
    sealer("pack")
    assert sealer("verify").code == 0
    assert "AccessDenied" in sealer.fails(13, f"append {TITLE} --set a=b")


def test_only_the_publisher_publishes_trust_files(registry: Registry) -> None:
    from tests.cli.test_trust import PASSPHRASE, make_holder

    shell = registry.play("auditor")
    make_holder(shell, "ada")
    shell("trust init -o next.json --holder ada=ada.pub")
    (shell.folder / "seen").write_bytes(shell("checkpoint").data)
    shell("trust sign next.json --key ada.pem --seen seen", **PASSPHRASE)
    for role in ("writer", "service", "sealer", "eraser"):
        assert "AccessDenied" in registry.play(role).fails(13, "trust publish next.json")
    publisher = registry.play("publisher")
    assert publisher("trust publish next.json").lines[0].startswith("published version 1")
    assert publisher("trust publish next.json").lines[0].startswith("there already: version 1")
    assert "AccessDenied" in publisher.fails(13, f"append {TITLE} --set a=b")


def test_the_eraser_erases_and_nobody_else_may(registry: Registry, moto_client: Any) -> None:
    moto_client.put_bucket_versioning(
        Bucket=registry.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    writer = registry.play("writer")
    writer("append TN6 --new --set proprietor=Ada")
    writer("append TN6 --set proprietor=withheld")
    registry.play("sealer")("pack")
    order = "erase TN6 1 --reference ORDER -m ordered"
    # The order is in the chain, and waits for the log; then the writer may not replace an entry.
    assert registry.play("writer")(order, code=3)
    registry.play("sealer")("seal")
    said = registry.play("writer")("erase TN6 --finish", code=3).out
    assert said.count("AccessDenied") >= 3
    registry.play("eraser")("erase TN6 --finish")
    found = moto_client.list_object_versions(Bucket=registry.bucket)["Versions"]
    for each in found:
        body = moto_client.get_object(
            Bucket=registry.bucket, Key=each["Key"], VersionId=each["VersionId"]
        )["Body"].read()
        assert b"Ada" not in body or "/TN6/" not in each["Key"]
    assert registry.play("auditor")("verify TN6").code == 0


@pytest.mark.parametrize("role", ["writer", "service"])
def test_who_appends_leaves_the_log_and_the_packs_alone(registry: Registry, role: str) -> None:
    registry.play("writer")(f"append {TITLE} --set for={role}")
    shell = registry.play(role)
    assert "AccessDenied" in shell.fails(13, "seal")
    assert "AccessDenied" in shell.fails(13, "pack")


@pytest.mark.parametrize("role", ROLES)
def test_no_role_overwrites_or_deletes_what_was_registered(
    registry: Registry, role: str, moto_client: Any
) -> None:
    from tests.servers import client_of

    registry.play(role)
    client = client_of(registry.between.url)
    found = moto_client.list_objects_v2(Bucket=registry.bucket)["Contents"]
    keys = [each["Key"] for each in found]
    entries = [key for key in keys if key.endswith(".json")]
    assert len(entries) > 3
    for key in entries:
        for call in (
            lambda key=key: client.put_object(Bucket=registry.bucket, Key=key, Body=b"{}"),
            lambda key=key: client.delete_object(Bucket=registry.bucket, Key=key),
        ):
            with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
                call()


def test_what_may_not_be_read_could_not_be_checked(registry: Registry) -> None:
    """It is neither fine nor tampered with."""
    shell = registry.play("auditor")
    whole = registry.between.between

    def one_less(request: Any, forward: Any) -> Any:
        refused = request.path.endswith(f"{TITLE}/head.json")
        return error(403, "AccessDenied") if refused else whole(request, forward)

    registry.between.between = one_less
    report = shell("verify", code=3).out
    assert "not everything could be checked" in report
    assert "tampering" not in report
    registry.between.between = lambda request, forward: error(403, "AccessDenied")
    assert "AccessDenied" in shell.fails(13, "verify")
