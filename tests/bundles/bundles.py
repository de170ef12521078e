"""Ledgers and bundles for the tests of this folder."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime

import pytest

from ledger import Ledger, Report, verify_bundle
from ledger.errors import LedgerError
from ledger.format.bundle import Header, write_bundle
from ledger.format.entry import short_form
from ledger.format.layout import entry_key
from ledger.local import parallel
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from tests.executors import Remote
from tests.tampering import TITLE, World, address

NOW = FixedClock(datetime(2027, 1, 1, tzinfo=UTC))


def filled(titles=("TN1", "TN2", "TN3"), versions=3, store=None) -> Ledger:
    clock = FixedClock()
    ledger = memory_ledger(store, clock=clock)
    for version in range(versions):
        for title in titles:
            ledger.append(title, {"v": version})
        clock.forward(days=1)
    clock.now = NOW.now
    return ledger


def bundle(ledger: Ledger, titles=None, since=()) -> io.BytesIO:
    out = io.BytesIO()
    ledger.export(out, titles, since=since)
    out.seek(0)
    return out


def check(data: io.BytesIO | bytes, **changes) -> Report:
    """What verifying a bundle says or raises: the same in one thread and with an executor."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    options = {"keyring": keyring_for(signer()), "clock": NOW} | changes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "CHUNK", 1)
        said = []
        for executor in (Remote(), None):
            source.seek(0)
            try:
                report = verify_bundle(source, executor=executor, jobs=2, **options)
                said.append(report)
            except LedgerError as error:
                said.append((type(error), str(error)))
                if executor is None:
                    assert said[0] == said[1]
                    raise
    assert said[0] == said[1]
    return report


def addresses(ledger: Ledger) -> dict[str, list[str]]:
    return {title: [e.address for e in ledger.log(title)] for title in ledger.titles()}


def of_objects(objects: list[tuple[str, bytes]]) -> io.BytesIO:
    return io.BytesIO(b"".join(write_bundle(objects)))


def contents(data: io.BytesIO) -> list[tuple[str, bytes]]:
    data.seek(0)
    with tarfile.open(fileobj=data) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def again(data: io.BytesIO) -> io.BytesIO:
    """The same bundle, to be read from its start."""
    data.seek(0)
    return data


def assert_named_anywhere(report: Report, slug: str, severity: str = "tampering") -> None:
    assert not report
    if slug == "pin-missing":
        severity = "mismatch"
    assert (severity, slug) in {(f.severity, f.slug) for f in report.findings}, report.findings


def bundled(world: World) -> io.BytesIO:
    """A bundle of the world's title, put together without any check."""
    objects = [("bundle.json", Header(ORIGIN, complete=True).encode())]
    objects.append(("ledger.json", world.objects["ledger.json"]))
    head = world.objects.get(f"{TITLE}/head.json")
    if head is None:
        return of_objects(objects)
    objects.append((f"{TITLE}/head.json", head))
    parent = address(head)
    while parent:
        key = entry_key(TITLE, parent)
        if key not in world.objects:
            break
        objects.append((key, world.objects[key]))
        try:
            parent = json.loads(short_form(world.objects[key]))["entry"]["parent"]
        except (LedgerError, ValueError, TypeError, KeyError):
            break
        if not isinstance(parent, str) or len(parent) != 64:
            break
    return of_objects(objects)
