"""An erasure from the order to the audit: the name is nowhere but where the erasure says."""

from __future__ import annotations

import io
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ledger import Entry, Erased, Ledger, Log, check_entry, verify_bundle
from ledger.errors import ReferenceConflict
from ledger.format import layout
from ledger.stores import FolderStore
from ledger.stores.s3.store import S3Store
from ledger.testing import ORIGIN, FixedClock
from ledger.titles.append import names_of
from tests.sealing.sealers import KEYRING, LOG_KEY, REGISTRAR, ledger_in
from tests.service.client import Client
from tests.wrappers import KeepingStore, holding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ledger.stores import Store

TITLE = "TN1"
NAME = b"Ada Lovelace"
DOCUMENT = {"proprietor": NAME.decode()}
ORDER: dict[str, Any] = {"reference": "LG 7/26", "message": "by order of the court"}
SAID = f"the texts of 2 entries of {TITLE}, erased by version 4 (reference LG 7/26)"
RETENTION = timedelta(days=9)


class Place(NamedTuple):
    """Where a ledger is, and who can look through all of it, past the store's own answers."""

    store: Store
    grep: Callable[[], list[str]]
    """The keys of what holds the name, older versions included."""


def grep_folder(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(p.relative_to(folder)) for p in files if NAME in p.read_bytes())


def grep_bucket(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket)
    found = [(v["Key"], v["VersionId"]) for page in pages for v in page.get("Versions", ())]
    return sorted(
        key
        for key, version in found
        if NAME in client.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read()
    )


def make_bucket(client: Any) -> str:
    """A bucket that keeps every version, and can lock them."""
    name = f"test-{secrets.token_hex(8)}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def on_s3(client: Any, bucket: str) -> Place:
    return Place(S3Store(bucket, client=client), lambda: grep_bucket(client, bucket))


SERVERS = [
    pytest.param("moto", marks=pytest.mark.xdist_group("moto")),
    pytest.param("ministack", marks=[pytest.mark.slow, pytest.mark.xdist_group("ministack")]),
]
KINDS = [
    "memory",
    "folder",
    *(pytest.param(*each.values, marks=[*each.marks, pytest.mark.slow]) for each in SERVERS),
]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "memory":
        store = KeepingStore()
        yield Place(store, lambda: holding(store, NAME))
    elif request.param == "folder":
        yield Place(FolderStore(tmp_path / "titles"), lambda: grep_folder(tmp_path / "titles"))
    else:
        client = request.getfixturevalue(f"{request.param}_client")
        found = on_s3(client, make_bucket(client))
        yield found
        found.store.close()


def fill(ledger: Ledger) -> None:
    """Versions 1 and 3 of the title hold the name, as does one that lost its race; TN2 doesn't."""
    ledger.append(TITLE, DOCUMENT, reference="A 1")
    first = ledger.append(TITLE, {"proprietor": "Grace"})
    loser = Entry.sign(
        REGISTRAR,
        ledger=ORIGIN,
        title_number=TITLE,
        document=DOCUMENT,
        recorded_at=first.recorded_at,
        salt=bytes(32),
        parent=first,
    )
    key = layout.entry_key(TITLE, loser.address)
    ledger.store.create_many([(key, loser.data), *names_of(loser)])
    ledger.append(TITLE, DOCUMENT, author=NAME.decode(), message=f"for {NAME.decode()}")
    ledger.append("TN2", {"proprietor": "Alan"})
    ledger.pack()


def exported(ledger: Ledger) -> bytes:
    out = io.BytesIO()
    ledger.export(out)
    return out.getvalue()


def forget(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"proprietor": "withheld"}


def test_an_erasure_from_the_order_to_the_audit(place: Place, tmp_path: Path) -> None:
    clock = FixedClock()
    ledger = ledger_in(place.store, clock)
    fill(ledger)
    log = Log(ledger)
    log.seal(LOG_KEY, tmp_path / "sealer", genesis=True)
    receipt = log.receipt(TITLE, "v1").encode()
    before = exported(ledger)
    replica = ledger_in(FolderStore(tmp_path / "replica"), clock)
    replica.import_bundle(io.BytesIO(before))
    replica.pack()
    assert place.grep()
    assert grep_folder(tmp_path / "replica")

    # The order waits until the published log has it; nothing shows the texts from here on.
    erasure = ledger.erase(TITLE, [1, 3], change=forget, **ORDER)
    assert (erasure.waiting, erasure.erased) == ((3, 1), ())
    assert place.grep()
    assert Client(ledger).get(f"/titles/{TITLE}?version=1").status_code == 410
    log.seal(LOG_KEY, tmp_path / "sealer")
    assert ledger.finish_erasure(TITLE).is_done
    later = FixedClock(clock.now + timedelta(days=31))
    cleaner = Ledger.open(place.store, keyring=KEYRING, clock=later)
    (pruned,) = cleaner.fsck(prune_losers=timedelta(days=30)).findings
    assert pruned.slug == "pruned"
    assert place.grep() == []

    # What was made before holds the name until it is stripped, or gets the next bundle.
    after = exported(ledger)
    assert NAME not in after
    stripped = io.BytesIO()
    assert ledger.strip_bundle(io.BytesIO(before), stripped) == 2
    assert NAME not in stripped.getvalue()
    assert ledger.import_bundle(io.BytesIO(before)).not_erased == ()
    assert place.grep() == []
    assert replica.import_bundle(io.BytesIO(after)).not_erased == ()
    assert grep_folder(tmp_path / "replica") == []

    # Everything works on, and says what is not shown.
    for each in (ledger, replica):
        for report in (each.verify(TITLE), each.verify_all(), Log(each).audit().run()):
            assert report
            assert {finding.slug for finding in report.findings} <= {"from-packs"}
            assert SAID in report.not_shown
        assert each.fsck().findings == ()
        assert [entry.is_withheld for entry in each.log(TITLE)] == [False, True, False, True]
    for data in (after, stripped.getvalue()):
        report = verify_bundle(io.BytesIO(data), keyring=KEYRING, clock=clock)
        assert report
        assert SAID in report.not_shown
    first = ledger.entry(TITLE, "v1")
    with pytest.raises(Erased, match=r"erased by version 4 \(reference LG 7/26\)"):
        ledger.history.read_text(first)
    proven = check_entry(receipt, first.data, keyring=KEYRING)
    assert proven.entry == first
    assert log.receipt(TITLE, "v3")
    with pytest.raises(ReferenceConflict, match="nothing can be compared"):
        ledger.append(TITLE, DOCUMENT, reference="A 1")
    assert ledger.append(TITLE, {"proprietor": "Bob"}, reference="A 2").version == 5
    client = Client(ledger)
    for path in ("", "?version=1", "/versions", f"/entries/{first.address}"):
        assert NAME not in client.get(f"/titles/{TITLE}{path}").content
    log.seal(LOG_KEY, tmp_path / "sealer")
    ledger.pack(rebuild=True)
    assert log.audit().run()
    assert place.grep() == []


@pytest.mark.parametrize("server", SERVERS)
def test_a_copy_that_a_lock_keeps_is_named_and_holds_the_name_there_alone(
    server: str, request: pytest.FixtureRequest
) -> None:
    s3 = request.getfixturevalue(f"{server}_client")
    ledger = ledger_in(KeepingStore())
    fill(ledger)
    bucket = make_bucket(s3)
    days = [datetime.now(UTC)]
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": RETENTION.days}},
        },
    )
    place = on_s3(s3, bucket)
    worm = ledger_in(place.store)
    worm.import_bundle(io.BytesIO(exported(ledger)))
    worm.pack()
    days.append(datetime.now(UTC))  # it may be the next by now
    until = [f"Object Lock keeps it until {day + RETENTION:%Y-%m-%d}" for day in days]
    assert ledger.erase(TITLE, [1, 3], change=forget, **ORDER).is_done
    after = exported(ledger)
    for _ in range(2):  # what is left is said again for as long as it is left
        left = worm.import_bundle(io.BytesIO(after)).not_erased
        found = place.grep()
        assert len(left) == len(found) == 4
        assert all(any(key in each for each in left) for key in found)
        assert sum(any(text in each for text in until) for each in left) >= 3
    # Only older versions have the name. (MiniStack keeps the pack: it refuses a delete marker.)
    assert all(key.startswith(layout.PACKS) for key in holding(place.store, NAME))
    assert worm.verify_all()
    assert [entry.is_withheld for entry in worm.log(TITLE)] == [False, True, False, True]
    assert SAID in worm.verify(TITLE).not_shown
    place.store.close()
