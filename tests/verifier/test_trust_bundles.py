"""Bundles, entries and receipts of ledgers with trust files, judged by page and library."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Entry, Keyring, Ledger, accept, verify_bundle
from ledger.errors import IntegrityError, LedgerError, TrustError
from ledger.format.keyring import Root
from ledger.format.layout import LOG_CHECKPOINT, entry_key, trust_key
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.log import leaf_of
from ledger.offline import check_entry
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, signer
from ledger.titles.trust_files import trust_objects
from ledger.tlog import Checkpoint, Leaf, sign_checkpoint
from ledger.tlog.objects import TrustLeaf
from tests.bundles.bundles import contents, of_objects
from tests.trust.decades import ARCHIVE, FACTS, READ_IN
from tests.trust.people import (
    ADA,
    after,
    first,
    listed,
    log_key,
    people,
    registrar,
    revoke,
    root_of,
    signed,
)
from tests.trust.registry import ALICE, ALICE_ID, BOB, ERIN, Registry, retire, rob, settle
from tests.trust.world import SEALER
from tests.verification.register import store_of
from tests.verifier.page import Refused, needs_browser
from tests.verifier.samples import Log as SampleLog
from tests.verifier.samples import bundle as sample_bundle
from tests.verifier.samples import sign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ledger import PrivateKey, Report
    from tests.verifier.page import Page

pytestmark = [needs_browser, pytest.mark.xdist_group("browser")]

LOG_MLDSA = MLDSAPrivateKey("ML-DSA-44", bytes(32))
NEW_LOG = signer("log 2")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(MemoryStore(), tmp_path)


# -- What is compared ------------------------------------------------------------------------------


def export(registry: Registry, *titles: str, blind: bool = False) -> bytes:
    """A bundle of all titles, or of some; ``blind``: by one who does not look at trust files."""
    out = io.BytesIO()
    ledger = registry.stolen(None) if blind else registry.ledger(None)
    ledger.export(out, titles or None)
    return out.getvalue()


def files_of(registry: Registry) -> dict[int, bytes]:
    """The trust files in the store, by version."""
    return dict(enumerate(trust_objects(registry.store), 1))


def changed(data: bytes, **members: bytes | None) -> bytes:
    """A bundle with other bytes for some members, by their keys, or without them."""
    found = [(key, members.get(key, old)) for key, old in contents(io.BytesIO(data))]
    return of_objects([(key, new) for key, new in found if new is not None]).getvalue()


def _facts(said: Report | Refused) -> Any:
    if isinstance(said, Refused):
        return said
    findings = [(each.severity, each.slug, each.object_key) for each in said.findings]
    return said.outcome, said.titles, said.entries, findings, said.not_shown


def compare(
    page: Page,
    registry: Registry,
    files: Sequence[bytes],
    keyring: Keyring | None = None,
    trust: Sequence[bytes] = (),
) -> list[tuple[str, list[str]]]:
    """See that page and library judge these bundles alike; return the outcomes and the slugs."""
    keyring, now = registry.keyring if keyring is None else keyring, registry.clock()
    said = page.verify_files([(each, None) for each in files], keyring, now=now, trust=trust)
    if trust:
        keyring = accept(keyring, dict(enumerate(trust, 1)), origin=ORIGIN)
    expected = [
        verify_bundle(io.BytesIO(each), keyring=keyring, clock=lambda: now) for each in files
    ]
    assert [_facts(each) for each in said] == [_facts(each) for each in expected]
    return [(each.outcome, [found.slug for found in each.findings]) for each in expected]


def compare_all(page: Page, registry: Registry) -> list[tuple[str, list[str]]]:
    """Compare the bundle of all titles and those of each, from every root."""
    files = [export(registry), *(export(registry, title) for title in registry.ledger().titles())]
    roots = [Keyring(roots=[root_of(file)]) for file in (registry.files[0], registry.files[-1])]
    found = [compare(page, registry, files, keyring) for keyring in roots]
    assert found[0] == found[1]
    return found[0]


# -- The lives of keys -----------------------------------------------------------------------------


@pytest.fixture
def retired(registry: Registry) -> Registry:
    retire(registry)
    return registry


@pytest.fixture
def robbed(registry: Registry) -> Registry:
    rob(registry)
    return registry


def test_a_key_that_retired(page: Page, retired: Registry) -> None:
    assert compare_all(page, retired) == [("verified", [])] * 3
    without_root = Keyring([*retired._before])
    compare(page, retired, [export(retired), export(retired, "TN1")], without_root)


def test_a_key_that_was_stolen_before_and_after_it_is_settled(page: Page, robbed: Registry) -> None:
    before = compare_all(page, robbed)
    assert before[0] == ("tampered", ["key-ended", "key-ended"])
    settle(robbed)
    after = compare_all(page, robbed)
    assert [outcome for outcome, _ in after] == ["verified", "unchecked", "verified", "verified"]
    assert after[1][1] == ["position-unknown"]


def test_receipts_that_are_missing_or_wrong_show_nothing(page: Page, retired: Registry) -> None:
    data = export(retired, "TN1")
    (receipt,) = [key for key, _ in contents(io.BytesIO(data)) if key.endswith(".receipt")]
    good = dict(contents(io.BytesIO(data)))[receipt]
    random = Random(1)
    wrong: list[bytes | None] = [None, b"", good[:-9], b"c2sp.org/tlog-proof@v1\n"]
    for _ in range(12):
        mutant = bytearray(good)
        mutant[random.randrange(len(good))] ^= 1 << random.randrange(8)
        wrong.append(bytes(mutant))
    said = compare(page, retired, [changed(data, **{receipt: each}) for each in wrong])
    assert {outcome for outcome, _ in said} <= {"unchecked", "verified"}
    assert said[:4] == [("unchecked", said[0][1])] * 4
    members = contents(io.BytesIO(data))
    rest = [each for each in members if each[0] != receipt]
    moved = [of_objects([*rest[:at], (receipt, good), *rest[at:]]) for at in (5, len(rest))]
    said = compare(page, retired, [each.getvalue() for each in moved])
    assert {outcome for outcome, _ in said} == {"tampered"}


def test_texts_that_a_key_may_erase_and_one_may_not(page: Page, registry: Registry) -> None:
    for title in ("TN1", "TN2"):
        for _ in range(2):
            registry.write(title)
    registry.plant("TN1", ERIN, erases=(1,), reference="COURT 1")
    registry.plant("TN2", BOB, erases=(1,), reference="COURT 2")
    registry.seal()
    data = export(registry)
    assert compare(page, registry, [data])[0][1] == ["may-not-erase"]
    entries = [Entry.unverified(each) for key, each in contents(io.BytesIO(data)) if len(key) > 68]
    short = {
        entry_key(each.title_number, each.address): each.short
        for each in entries
        if each.version == 1
    }
    assert compare(page, registry, [changed(data, **short)])[0][1] == [
        "may-not-erase",
        "text-missing",
    ]
    registry.revoke(ERIN, 2)
    registry.seal()
    said = compare(page, registry, [export(registry), changed(export(registry), **short)])
    assert [slugs for _, slugs in said] == [
        ["key-ended", "may-not-erase"],
        ["key-ended", "text-missing", "may-not-erase", "text-missing"],
    ]


def test_names_that_are_needless(page: Page, retired: Registry) -> None:
    retired.plant("TN1", BOB, confirms=(1,), voids=(2,))
    retired.seal()
    assert compare(page, retired, [export(retired)])[0][0] == "verified"


def test_whatever_happened(page: Page, registry: Registry) -> None:
    """A bundle of a random history is judged alike, before and after it is settled."""
    dice = Random(4)
    good = registry.size()
    for _ in range(14):
        match dice.randrange(5):
            case 0 | 1 | 2:
                registry.write(dice.choice(["TN1", "TN2", "TN3"]), dice.choice([ALICE, BOB]))
            case 3:
                registry.seal()
            case _:
                good = dice.choice([good, registry.size()])
    registry.seal()
    registry.revoke(ALICE, min(good, registry.size()))
    registry.seal()
    compare_all(page, registry)
    fallen, _ = registry.ledger().fallen(ALICE_ID)
    for title in {each.entry.title_number for each in fallen}:
        which = [each.entry.version for each in fallen if each.entry.title_number == title]
        cut = dice.randrange(len(which) + 1)
        registry.ledger().settle(title, voids=which[:cut], confirms=which[cut:])
    registry.seal()
    assert compare_all(page, registry)[0][0] == "verified"


# -- The trust files -------------------------------------------------------------------------------


def test_trust_files_that_are_forged_or_missing(page: Page, robbed: Registry) -> None:
    data, (one, two) = export(robbed), robbed.files
    forged = signed(replace(two, keys=one.keys, revoked=(), signatures=()), ADA)
    mine = replace(first(ADA, holders=people(ADA), threshold=1), log=one.log, keys=one.keys)
    key = trust_key(2)
    files = [
        changed(data, **{key: forged.encode()}),
        changed(data, **{key: b"junk"}),
        changed(data, **{key: None}),
        changed(data, **{trust_key(1): signed(mine, ADA).encode()}),
        changed(data, **{trust_key(1): signed(one, ADA).encode()}),
        changed(data, **{key: None, trust_key(1): None}),
    ]
    for root in robbed.files:
        said = compare(page, robbed, files, Keyring(roots=[root_of(root)]))
        assert "verified" not in {outcome for outcome, _ in said}
    wrong = Keyring(roots=[Root(ORIGIN, two.digest, 1)])
    assert compare(page, robbed, [data], wrong)[0] == ("tampered", ["trust-not-accepted"])
    elsewhere = Keyring(roots=[Root("example.org/other", two.digest, 1)])
    (said,) = page.verify_files([(data, None)], elsewhere)
    assert said == Refused("origin-not-pinned", 12)


def test_trust_files_that_are_newer_than_the_bundle(page: Page, robbed: Registry) -> None:
    old = export(robbed)
    robbed.publish(keys=robbed.without("erin"))
    robbed.seal()
    robbed.publish(keys=robbed.with_registrar("carol"))
    trust = list(files_of(robbed).values())
    for root in (robbed.files[0], robbed.files[-1]):
        keyring = Keyring(roots=[root_of(root)])
        (said,) = compare(page, robbed, [old], keyring, trust)
        assert said[0] != "verified"
        assert "log-behind-pin" in said[1]
    newest = Keyring(roots=[root_of(robbed.files[-1])])
    assert compare(page, robbed, [old], newest) == [("unchecked", ["trust-missing"])]


def test_a_file_that_is_overdue_or_not_logged(page: Page, registry: Registry) -> None:
    registry.write("TN1")
    registry.seal()
    registry.publish(next="2020-01-01")
    (said,) = compare(page, registry, [export(registry)])
    assert said == ("verified", ["trust-overdue", "trust-not-logged"])


# -- The log's keys --------------------------------------------------------------------------------


def test_the_log_s_key_is_replaced(page: Page, registry: Registry) -> None:
    registry.write("TN1")
    registry.seal()
    registry.publish(keys=listed(*registry.keys, log_key(NEW_LOG.public_key)))
    registry.log().seal([SEALER, NEW_LOG], registry.folder / "sealer.json", jobs=1)
    old_id = SEALER.public_key.key_id
    registry.publish(keys=listed(*(key for key in registry.keys if key.key_id != old_id)))
    registry.write("TN1")
    registry.seal(NEW_LOG)
    data = export(registry)
    assert compare_all(page, registry)[0] == ("verified", [])
    log = registry.log().reader
    size, version = registry.size(), registry.ledger().head("TN1").version
    builder = log.builder(size)
    builder.append(Leaf("TN1", version + 1, "0" * 64).encode())
    larger = sign_checkpoint(Checkpoint(ORIGIN, builder.size, builder.root()), SEALER)
    checkpoint = registry.checkpoint()
    by_old, by_both = (
        sign_checkpoint(checkpoint, SEALER),
        sign_checkpoint(checkpoint, SEALER, NEW_LOG),
    )
    by_none = sign_checkpoint(checkpoint, signer("mallory"))
    fork = sign_checkpoint(Checkpoint(ORIGIN, registry.files[-1].log.size, bytes(32)), SEALER)
    files = [
        changed(data, **{LOG_CHECKPOINT: each}) for each in (larger, fork, by_old, by_both, by_none)
    ]
    said = compare(page, registry, files)
    assert [slugs for _, slugs in said] == [
        ["checkpoint-unproven"],
        ["checkpoint-unproven"],
        ["checkpoint-unproven"],
        [],
        ["unknown-key"],
    ]


def test_a_log_that_signs_with_two_algorithms(page: Page, registry: Registry) -> None:
    registry.publish(keys=listed(*registry.keys, log_key(LOG_MLDSA.public_key)))
    registry.write("TN1")
    both = [SEALER, LOG_MLDSA]
    registry.log().seal(both, registry.folder / "sealer.json", jobs=1)
    data, checkpoint = export(registry), registry.checkpoint()
    notes = [sign_checkpoint(checkpoint, *keys) for keys in (both, [SEALER], [LOG_MLDSA])]
    said = compare(page, registry, [changed(data, **{LOG_CHECKPOINT: note}) for note in notes])
    assert [slugs for _, slugs in said] == [[], ["checkpoint-unproven"], ["checkpoint-unproven"]]


def test_a_log_that_is_not_as_it_was_pinned(page: Page, registry: Registry) -> None:
    start = registry.objects()
    for title in ("TN1", "TN2"):
        registry.write(title)
    registry.seal()
    lagging = export(registry)
    for _ in range(3):
        registry.write("TN2")
    registry.seal()
    second = registry.publish(keys=registry.without("erin"))
    behind = contents(io.BytesIO(lagging))
    behind.insert(3, (trust_key(2), second.encode()))
    registry.restore(start)
    for title in ("TN1", "TN2", "TN3", "TN4", "TN5", "TN6"):
        registry.write(title)
    registry.seal(memory="thief", adopt=True)
    fork = contents(io.BytesIO(export(registry, blind=False)))
    fork.insert(3, (trust_key(2), second.encode()))
    said = compare(page, registry, [of_objects(each).getvalue() for each in (behind, fork)])
    assert [slugs for _, slugs in said] == [["log-behind-pin"], ["wrong-root"]]


# -- Entries and receipts --------------------------------------------------------------------------


def by_library(entry: bytes, receipt: bytes, keyring: Keyring) -> Any:
    try:
        proven = check_entry(receipt, entry, keyring=keyring)
    except (IntegrityError, TrustError) as error:
        if error.slug == "origin-not-pinned":
            return Refused(error.slug, error.exit_code)
        return "unchecked" if error.exit_code == 3 else "tampered", [error.reason]
    except LedgerError as error:
        return Refused(getattr(error, "reason", error.slug), error.exit_code)
    found = [each.slug for each in (proven.unsigned(), proven.doubt) if each]
    return "unchecked" if found else "verified", found


def compare_entries(
    page: Page, registry: Registry, pairs: Sequence[tuple[bytes, bytes]], trust: dict[int, bytes]
) -> list[Any]:
    now = registry.clock()
    said = page.verify_files(pairs, registry.keyring, now=now, trust=list(trust.values()))
    keyring = registry.keyring
    if trust:
        keyring = accept(keyring, trust, origin=ORIGIN)
    expected = [by_library(entry, receipt, keyring) for entry, receipt in pairs]
    found = [
        each if isinstance(each, Refused) else (each.outcome, [one.slug for one in each.findings])
        for each in said
    ]
    assert found == expected
    return found


def receipt_of(registry: Registry, entry: Entry) -> bytes:
    return registry.log().reader.receipt(leaf_of(entry)).encode()


def test_an_entry_and_its_receipt(page: Page, robbed: Registry) -> None:
    settle(robbed)
    ledger = robbed.ledger()
    which = [("TN1", 1), ("TN1", 3), ("TN2", 2), ("TN3", 1)]
    entries = [ledger.entry(title, f"v{version}") for title, version in which]
    pairs = [(each.data, receipt_of(robbed, each)) for each in entries]
    trust = files_of(robbed)
    said = compare_entries(page, robbed, pairs, trust)
    assert said == [
        ("verified", []),
        ("verified", []),
        ("unchecked", ["position-unknown"]),
        ("verified", []),
    ]
    said = compare_entries(page, robbed, pairs, {})
    assert said == [("unchecked", ["trust-missing"])] * 4
    # Alice's first entry was in time; that is not shown by a receipt that is older than the file.
    robbed.publish(keys=robbed.without("erin"))
    robbed.seal()
    robbed.publish(keys=robbed.with_registrar("carol"))
    compare_entries(page, robbed, pairs, files_of(robbed))
    wrong = [
        (pairs[0][0], pairs[1][1]),
        (pairs[0][0], pairs[0][1][:-9]),
        (pairs[0][0][:-1], pairs[0][1]),
    ]
    compare_entries(page, robbed, wrong, trust)


def test_receipts_of_a_log_whose_key_was_replaced(page: Page, registry: Registry) -> None:
    """A pin needs no signature; what the old key signed besides shows nothing any more."""
    registry.write("TN1", ALICE)
    registry.seal()
    entry = registry.ledger().entry("TN1", "v1")
    old = receipt_of(registry, entry)
    registry.publish(keys=listed(*registry.keys, log_key(NEW_LOG.public_key)))
    registry.log().seal([SEALER, NEW_LOG], registry.folder / "sealer.json", jobs=1)
    between = receipt_of(registry, entry)
    registry.write("TN2")
    registry.log().seal([SEALER, NEW_LOG], registry.folder / "sealer.json", jobs=1)
    old_id = SEALER.public_key.key_id
    registry.publish(keys=listed(*(key for key in registry.keys if key.key_id != old_id)))
    pinned = receipt_of(registry, entry)
    registry.write("TN2")
    registry.seal(NEW_LOG)
    registry.publish(keys=registry.without("alice"))
    newest = receipt_of(registry, entry)

    def signed_by(receipt: bytes, key: PrivateKey) -> bytes:
        head, text, _ = receipt.split(b"\n\n")
        note = sign_checkpoint(Checkpoint.parse(f"{text.decode()}\n"), key)
        return head + b"\n\n" + note

    receipts = [old, between, pinned, newest]
    receipts += [signed_by(each, SEALER) for each in (between, pinned, newest)]
    forged = [b"forged"] * (registry.files[2].log.size - 1)
    receipts += [SampleLog([entry, *forged], key).receipt(entry) for key in (SEALER, NEW_LOG)]
    pairs = [(entry.data, each) for each in receipts]
    counts, unknown = ("verified", []), ("unchecked", ["position-unknown"])
    unproven, fork = ("unchecked", ["checkpoint-unproven"]), ("tampered", ["wrong-root"])
    assert compare_entries(page, registry, pairs, files_of(registry)) == [
        *(counts, unknown, counts, counts),
        *(unproven, counts, counts),
        *(fork, fork),
    ]


def test_a_leaf_by_a_thief_of_the_log_s_key_is_disowned(page: Page, registry: Registry) -> None:
    entry = sign("TN1", {}, key=ALICE)
    bogus = [Leaf("TN9", 1, "0" * 64), Leaf("TN1", 1, "1" * 64), Leaf("TN1", 2, "2" * 64)]
    leaves: list[Entry | bytes] = [entry, TrustLeaf(2, "0" * 64).encode()]
    leaves += [each.encode() for each in bogus]
    alice = registrar(ALICE.public_key)
    keys, new_keys = (listed(alice, log_key(each.public_key)) for each in (SEALER, NEW_LOG))
    one = first(keys=keys, log=SampleLog(leaves[:1]).checkpoint)
    stolen = {"keys": new_keys, "revoked": (revoke(SEALER.public_key, 1),)}
    said = []
    for changes in (stolen, {"keys": new_keys}):
        two = after(one, **changes, log=SampleLog(leaves).checkpoint)
        log = SampleLog([*leaves, TrustLeaf(2, two.digest).encode()], NEW_LOG)
        members = contents(io.BytesIO(sample_bundle([entry], log=log)))
        members[2:2] = [(each.object_key, each.encode()) for each in (one, two)]
        data = of_objects(members).getvalue()
        said += compare(page, registry, [data], Keyring(roots=[root_of(one)]))
    assert said[0] == ("verified", ["leaf-disowned"] * 4)
    assert said[1][0] == "tampered"
    assert said[1][1][:2] == ["trust-not-as-logged", "trust-logged-twice"]
    assert "head-missing" in said[1][1]


# -- Twenty years ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_register_of_twenty_years_from_64_hex_digits(page: Page, count: int) -> None:
    with tarfile.open(ARCHIVE) as tar:
        objects = {each.name: file.read() for each in tar if (file := tar.extractfile(each))}
    told = json.loads(FACTS.read_text())
    keyring = Keyring(roots=[Root(told["origin"], told["trust"], told["version"])])
    out = io.BytesIO()
    clock = FixedClock(READ_IN)
    Ledger.open(store_of(objects), keyring=keyring, clock=clock).export(out)
    whole = out.getvalue()
    seventh, last = (trust_key(version) for version in (7, 20))
    forged = bytearray(objects[last])
    forged[40] ^= 1
    files = [
        whole,
        changed(whole, **{seventh: None}),
        changed(whole, **{last: bytes(forged)}),
        changed(whole, **{last: None}),
    ][:count]
    said = page.verify_files([(each, None) for each in files], keyring, now=READ_IN)
    expected = [verify_bundle(io.BytesIO(each), keyring=keyring, clock=clock) for each in files]
    assert [_facts(each) for each in said] == [_facts(each) for each in expected]
    assert [each.outcome == "verified" for each in expected] == [True, False, False, False][:count]
