"""Erasure: a text that the chain orders erased is in no object of the store, and all else holds."""

from __future__ import annotations

import io
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Erased, IntegrityError, InvalidError, Ledger, OutcomeUnknown, StoreError
from ledger.errors import KeyUnavailable, OriginNotPinned, ReferenceConflict
from ledger.format import layout
from ledger.format.entry import short_form
from ledger.log import Log
from ledger.stores import FolderStore, MemoryStore
from ledger.stores.s3.store import S3Store
from ledger.testing import FixedClock, keyring_for, memory_ledger, signer
from tests import wrappers
from tests.sealing.sealers import LOG_KEY, ledger_in
from tests.wrappers import CountingStore, FailingStore, KeepingStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ledger.stores import Store

TITLE = "TN1"
NAME = "Ada Lovelace"
ORDER: dict[str, Any] = {"reference": "LG 7/26", "message": "by order of the court"}


def forget(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"proprietor": "withheld"}


def named(ledger: Ledger) -> Ledger:
    """Version 1 and 3 of the title hold the name, version 2 and another title don't."""
    ledger.append(TITLE, {"proprietor": NAME}, reference="A 1")
    ledger.append(TITLE, {"proprietor": "Grace"})
    ledger.append(TITLE, {"proprietor": NAME}, author=NAME, message=f"for {NAME}")
    ledger.append("TN2", {"proprietor": "Alan"})
    return ledger


def holding(store: Store) -> list[str]:
    return wrappers.holding(store, NAME.encode())


def entry_keys(ledger: Ledger) -> dict[int, str]:
    return {e.version: layout.entry_key(TITLE, e.address) for e in ledger.log(TITLE)}


def put(store: Store, key: str, data: bytes) -> None:
    blob = store.get(key)
    assert blob is not None
    store.replace(key, data, blob.version)


@pytest.fixture(
    params=[
        "memory",
        "folder",
        pytest.param("s3", marks=[pytest.mark.xdist_group("moto"), pytest.mark.slow]),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "folder":
        yield FolderStore(tmp_path / "titles")
    else:
        yield request.getfixturevalue("versioned")


@pytest.fixture
def bucket(moto_client: Any) -> str:
    name = f"test-{secrets.token_hex(8)}"
    moto_client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def versioned(bucket: str, moto_client: Any) -> Iterator[S3Store]:
    """A bucket that keeps every version of every object."""
    found = S3Store(bucket, "a/b", client=moto_client)
    yield found
    found.close()


def versions_with_name(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket)
    found = [each for page in pages for each in page.get("Versions", ())]
    return [
        each["Key"]
        for each in found
        if NAME.encode()
        in client.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])[
            "Body"
        ].read()
    ]


def test_after_an_erasure_the_name_is_nowhere_and_all_else_holds(store):
    ledger = named(memory_ledger(store))
    ledger.pack()
    assert len(holding(store)) == 4  # two entries, the head, and the pack
    erasure = ledger.erase(TITLE, [3, 1], change=forget, **ORDER)
    assert erasure.is_done, erasure
    assert [entry.version for entry in erasure.erased] == [3, 1]
    assert holding(store) == []
    report = ledger.verify(TITLE)
    assert report
    assert report.findings == ()
    assert f"the texts of 2 entries of {TITLE}, erased by version 4 (reference LG 7/26)" in (
        report.not_shown
    )
    assert ledger.fsck().findings == ()
    assert ledger.verify_all()
    assert [e.is_withheld for e in ledger.log(TITLE)] == [False, True, False, True]
    assert ledger.head(TITLE).document == {"proprietor": "withheld"}
    assert ledger.entry(TITLE, "v2").document == {"proprietor": "Grace"}
    with pytest.raises(Erased, match=r"erased by version 4 \(reference LG 7/26\)"):
        ledger.history.read_text(ledger.entry(TITLE, "v1"))
    ledger.append(TITLE, {"proprietor": "Bob"}, reference="A 2")
    with pytest.raises(ReferenceConflict, match="nothing can be compared"):
        ledger.append(TITLE, {"proprietor": NAME}, reference="A 1")
    ledger.pack(rebuild=True)
    assert ledger.verify_all()
    ledger.export(io.BytesIO())
    assert holding(store) == []


@pytest.mark.xdist_group("moto")
def test_no_older_version_in_a_bucket_holds_the_name(versioned, bucket, moto_client):
    ledger = named(memory_ledger(versioned))
    ledger.pack()
    assert len(versions_with_name(moto_client, bucket)) == 5  # version 1 was the head, too
    erasure = ledger.erase(TITLE, [1, 3], change=forget, **ORDER)
    assert erasure.is_done, erasure
    assert versions_with_name(moto_client, bucket) == []
    # What was not ordered erased stays, in every version.
    found = moto_client.list_object_versions(Bucket=bucket, Prefix=f"a/b/{TITLE}/head.json")
    assert len(found["Versions"]) == 2
    assert ledger.fsck().findings == ()


@pytest.mark.xdist_group("moto")
@pytest.mark.parametrize("how", [pytest.param("lock", marks=pytest.mark.slow), "hold"])
def test_what_a_bucket_keeps_is_named_and_erased_when_it_may_go(
    versioned, bucket, moto_client, how
):
    ledger = named(memory_ledger(versioned))
    key = f"a/b/{entry_keys(ledger)[1]}"
    until = datetime.now(UTC) + timedelta(days=9)
    if how == "lock":
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
        moto_client.put_object_retention(Bucket=bucket, Key=key, Retention=retention)
    else:
        moto_client.put_object_legal_hold(Bucket=bucket, Key=key, LegalHold={"Status": "ON"})
    (version,) = moto_client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    erasure = ledger.erase(TITLE, [1, 3], change=forget, **ORDER)
    why = f"Object Lock keeps it until {until:%Y-%m-%d}" if how == "lock" else "a legal hold"
    (left,) = erasure.left
    assert why in left
    assert entry_keys(ledger)[1] in left
    assert not erasure.is_done
    assert versions_with_name(moto_client, bucket) == [key]
    assert holding(versioned) == []
    if how == "hold":
        moto_client.put_object_legal_hold(
            Bucket=bucket, Key=key, VersionId=version["VersionId"], LegalHold={"Status": "OFF"}
        )
        assert ledger.finish_erasure(TITLE).is_done
        assert versions_with_name(moto_client, bucket) == []


def test_an_erasure_waits_for_the_log(tmp_path):
    ledger = named(ledger_in(MemoryStore()))
    log = Log(ledger)
    log.seal(LOG_KEY, tmp_path / "sealer", genesis=True)
    erasure = ledger.erase(TITLE, [1], **ORDER)
    assert (erasure.waiting, erasure.erased, erasure.is_done) == ((1,), (), False)
    assert ledger.finish_erasure(TITLE) == erasure
    report = ledger.verify(TITLE)
    assert report
    assert [finding.slug for finding in report.findings] == ["not-erased"]
    log.seal(LOG_KEY, tmp_path / "sealer")
    erasure = ledger.finish_erasure(TITLE)
    assert erasure.is_done
    assert [entry.version for entry in erasure.erased] == [1]
    assert ledger.verify(TITLE).findings == ()
    audited = log.audit().run()
    assert audited, audited.findings
    assert log.receipt(TITLE, "v1")


def test_who_cannot_check_the_log_orders_nothing(tmp_path):
    ledger = named(ledger_in(MemoryStore()))
    Log(ledger).seal(LOG_KEY, tmp_path / "sealer", genesis=True)
    other = Ledger.open(ledger.store, keyring=keyring_for(signer()), signer=signer())
    with pytest.raises(OriginNotPinned, match="no key of the log"):
        other.erase(TITLE, [1], **ORDER)
    assert ledger.head(TITLE).version == 3


def test_an_erasure_is_repeated_without_a_second_order():
    ledger = named(memory_ledger())
    first = ledger.erase(TITLE, [1], change=forget, **ORDER)
    ledger.append(TITLE, {"proprietor": "Bob"})
    assert ledger.erase(TITLE, [1], change=forget, **ORDER) == first
    assert ledger.head(TITLE).version == 5
    with pytest.raises(ReferenceConflict, match="list of erased versions"):
        ledger.erase(TITLE, [2], change=lambda _: forget({}), **ORDER)


def test_the_order_holds_in_law_when_the_head_does():
    ledger = memory_ledger()
    ledger.append(TITLE, {"n": 1}, effective_at="2020-01-01")
    ledger.append(TITLE, {"n": 2}, effective_at="2021-01-01", effective_until="2022-01-01")
    ledger.erase(TITLE, [1], **ORDER)
    head = ledger.head(TITLE)
    assert (head.effective_at, head.effective_until) == ("2021-01-01", "2022-01-01")
    assert ledger.at(TITLE, effective="2021-06-01") == head
    with pytest.raises(Erased):
        ledger.at(TITLE, effective="2023-06-01")


def test_a_text_can_be_erased_when_the_head_holds_no_longer():
    clock = FixedClock()
    ledger = memory_ledger(clock=clock)
    first = ledger.append(TITLE, {"n": 1}, effective_until="2026-12-01")
    ledger.append(TITLE, {"n": 2}, effective_until="2026-12-01")
    clock.forward(days=30)
    assert ledger.erase(TITLE, [1], **ORDER).is_done
    head = ledger.head(TITLE)
    assert (head.effective_at, head.effective_until) == (first.recorded_at, "2026-12-01")
    assert ledger.at(TITLE, effective="2026-11-30") == head


def test_a_closed_title_stays_closed():
    ledger = memory_ledger()
    ledger.append(TITLE, {"n": 1})
    ledger.append(TITLE, {"n": 2}, status="closed")
    assert ledger.erase(TITLE, [1], **ORDER).is_done
    assert ledger.head(TITLE).status == "closed"


def test_what_is_erased_or_ordered_erased_can_be_named_again():
    ledger = named(memory_ledger())
    ledger.erase(TITLE, [1], **ORDER)
    again = ledger.erase(TITLE, [1, 2], reference="LG 8/26", message="once more")
    assert [entry.version for entry in again.erased] == [2, 1]
    assert ledger.verify(TITLE).findings == ()


@pytest.mark.parametrize("versions", [[], [0], [4], [1, 9], [-1]])
def test_only_versions_that_are_there_can_be_erased(versions):
    ledger = named(memory_ledger())
    with pytest.raises(InvalidError, match="version"):
        ledger.erase(TITLE, versions, **ORDER)
    assert ledger.head(TITLE).version == 3


def test_an_order_needs_a_reference_and_a_key():
    ledger = named(memory_ledger())
    with pytest.raises(InvalidError, match="need a reference"):
        ledger.erase(TITLE, [1], reference="", message="")
    reader = Ledger.open(ledger.store, keyring=ledger.keyring)
    with pytest.raises(KeyUnavailable):
        reader.erase(TITLE, [1], **ORDER)
    assert ledger.head(TITLE).version == 3


def test_nothing_to_finish_is_nothing_left():
    ledger = named(memory_ledger())
    erasure = ledger.finish_erasure(TITLE)
    assert erasure.order is None
    assert erasure.is_done
    assert ledger.fsck().findings == ()


# --- a bucket's owner ----------------------------------------------------------------------------


def test_a_text_that_somebody_took_is_tampering_and_no_order_covers_it_up():
    ledger = named(memory_ledger())
    key = entry_keys(ledger)[1]
    whole = ledger.store.get(key).data
    put(ledger.store, key, short_form(whole))
    for report in (ledger.verify(TITLE), ledger.fsck()):
        (finding,) = report.findings
        assert (finding.severity, finding.slug, finding.object_key) == (
            "tampering",
            "text-missing",
            key,
        )
    with pytest.raises(IntegrityError, match="is gone") as caught:
        ledger.erase(TITLE, [1], **ORDER)
    assert caught.value.reason == "text-missing"
    assert ledger.head(TITLE).version == 3
    assert ledger.erase(TITLE, [1], lost=True, **ORDER).is_done
    assert ledger.verify(TITLE).findings == ()


def test_a_text_that_was_changed_is_not_erased_before_it_is_mended():
    ledger = named(memory_ledger())
    key = entry_keys(ledger)[1]
    whole = ledger.store.get(key).data
    put(ledger.store, key, whole.replace(b"Ada", b"Eve"))
    for lost in (False, True):
        with pytest.raises(IntegrityError) as caught:
            ledger.erase(TITLE, [1], lost=lost, **ORDER)
        assert caught.value.reason == "text-mismatch"
    put(ledger.store, key, whole)
    ledger.erase(TITLE, [1], change=forget, **ORDER)
    # Once ordered, whatever is put in its place is no text that anybody registered.
    put(ledger.store, key, whole.replace(b"Ada", b"Eve"))
    assert ledger.finish_erasure(TITLE).is_done
    assert ledger.store.get(key).data == short_form(whole)
    assert ledger.verify(TITLE).findings == ()


def test_an_erasure_does_not_cover_up_another_loss():
    ledger = named(memory_ledger())
    keys = entry_keys(ledger)
    whole = ledger.store.get(keys[2]).data
    put(ledger.store, keys[2], short_form(whole))
    erasure = ledger.erase(TITLE, [3], **ORDER)
    assert [entry.version for entry in erasure.erased] == [3]
    (finding,) = ledger.verify(TITLE).findings
    assert (finding.slug, finding.object_key) == ("text-missing", keys[2])


def test_other_bytes_under_an_address_are_left_as_they_are():
    ledger = named(memory_ledger())
    keys = entry_keys(ledger)
    ledger.erase(TITLE, [1], **ORDER)
    put(ledger.store, keys[1], b"{}")
    with pytest.raises(IntegrityError) as caught:
        ledger.finish_erasure(TITLE)
    assert caught.value.reason == "address-mismatch"
    assert ledger.store.get(keys[1]).data == b"{}"


def test_fsck_fails_while_a_text_is_there_that_is_ordered_erased():
    ledger = named(memory_ledger())
    key = entry_keys(ledger)[1]
    whole = ledger.store.get(key).data
    ledger.erase(TITLE, [1], **ORDER)
    put(ledger.store, key, whole)
    assert [(f.severity, f.slug) for f in ledger.verify(TITLE).findings] == [
        ("warning", "not-erased")
    ]
    assert [(f.severity, f.slug) for f in ledger.fsck().findings] == [("tampering", "not-erased")]
    assert next(e for e in ledger.log(TITLE) if e.version == 1).is_withheld
    assert ledger.finish_erasure(TITLE).is_done
    assert ledger.fsck().findings == ()


# --- whatever fails ------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
def test_a_write_that_fails_is_done_by_the_repeat(after):
    for number in range(100):
        store = KeepingStore()
        named(memory_ledger(store)).pack()
        assert len(holding(store)) == 5  # version 1 was the head, and is an older version of it
        failing = FailingStore(
            store, number, after=after, operations=("create", "replace", "delete", "purge")
        )
        ledger = memory_ledger(failing)
        with suppress(OutcomeUnknown, StoreError):
            ledger.erase(TITLE, [1, 3], change=forget, **ORDER)
        if not failing.failed:
            assert number > 5
            return
        whole = memory_ledger(store)
        assert whole.verify_all(), whole.verify_all().findings
        assert whole.erase(TITLE, [1, 3], change=forget, **ORDER).is_done
        assert whole.head(TITLE).version == 4
        assert holding(store) == []
        assert {finding.slug for finding in whole.fsck().findings} <= {"dangling-entry"}
    raise AssertionError("it never ended")


def test_an_erasure_of_one_text_writes_no_more_than_it_must():
    store = CountingStore(MemoryStore())
    ledger = named(memory_ledger(store))
    calls = store.during(lambda: ledger.erase(TITLE, [1], **ORDER))
    writes = [key for operation, key in calls if operation in {"create", "replace", "delete"}]
    assert len(writes) == 5  # the order, its marker, its reference, the head; the short form
    calls = store.during(lambda: ledger.finish_erasure(TITLE))
    assert {operation for operation, _ in calls} <= {"get", "list"}
