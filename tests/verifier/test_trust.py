"""The page follows trust files as the library does: which it accepts, and which entries stand."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from ledger.errors import LedgerError
from ledger.format import canonical
from ledger.format.chain import verify_chain
from ledger.format.dsse import pre_authentication
from ledger.format.keyring import Root
from ledger.format.layout import entry_key, head_key
from ledger.format.mldsa import MLDSAPrivateKey, MLDSAPublicKey
from ledger.format.standing import Positions
from ledger.testing import ORIGIN, signer
from ledger.trust.chain import assemble
from ledger.trust.file import PAYLOAD_TYPE, Holder, HolderSignature, TrustFile
from ledger.trust.keyring import AcceptedKeyring
from ledger.trust.keys import OtherKey
from tests.trust.people import (
    ADA,
    ALICE,
    BEN,
    BOB,
    CLEO,
    DAN,
    KEYS,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    objects,
    people,
    person,
    pin,
    registrar,
    revoke,
    root_of,
    signed,
    trust_of,
)
from tests.verifier.page import needs_browser
from tests.verifier.samples import NOW, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger import Entry
    from ledger.trust.chain import Trust
    from tests.verifier.page import Page

pytestmark = [needs_browser, pytest.mark.xdist_group("browser")]

# -- ML-DSA ----------------------------------------------------------------------------------------

CHECK_MLDSA = """
const cases = arguments[0].map(([algorithm, ...each]) => [algorithm, ...each.map(unbase64)]);
answer((async () => {
    const said = [];
    for (const [algorithm, raw, signature, data] of cases) {
        said.push(await verifier.isSignedBy({algorithm, raw}, signature, data));
    }
    return said;
})());
"""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _mldsa_cases(random: Random) -> Iterator[tuple[MLDSAPublicKey, bytes, bytes]]:
    for algorithm, hints in (("ML-DSA-44", 84), ("ML-DSA-65", 61)):
        for size in (0, 1, 135, 136, 137, 5000):
            key, data = MLDSAPrivateKey(algorithm, random.randbytes(32)), random.randbytes(size)
            signature = key.sign(data)
            yield key.public_key, signature, data
            yield key.public_key, signature[:-1], data
            yield key.public_key, signature + b"\0", data
            yield key.public_key, signature, data + b"\0"
            swapped, at = bytearray(signature), len(signature) - hints
            swapped[at : at + 2] = swapped[at : at + 2][::-1]  # hints have one order
            yield key.public_key, bytes(swapped), data
            for at in (random.randrange(48), random.randrange(len(signature)), -1):
                place = at if at >= 0 else len(signature) - 1 - random.randrange(hints)
                changed = bytearray(signature)
                changed[place] ^= 1 << random.randrange(8)
                yield key.public_key, bytes(changed), data


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 9))]
)
def test_mldsa_signatures_as_the_library_judges_them(page: Page, seed: int) -> None:
    cases = list(_mldsa_cases(Random(seed)))
    encoded = [
        (key.algorithm, _text(key.raw), _text(signature), _text(data))
        for key, signature, data in cases
    ]
    said = page.run(CHECK_MLDSA, encoded)
    assert said == [key.verify(signature, data) for key, signature, data in cases]
    assert set(said) == {True, False}


# -- Which files are accepted ----------------------------------------------------------------------

ACCEPT = """
const accept = async ([origin, digest, version, files]) => {
    const given = new Map(files.map(([number, data]) => [number, unbase64(data)]));
    const own = new verifier.Keyring().pin(origin, digest, version);
    try {
        const {accepted} = await own.for(origin, given);
        const findings = accepted.findings.map(each => [each.severity, each.slug, each.object]);
        const ends = Array.from(accepted.ends).sort();
        return [accepted.files.map(each => each.digest), findings, ends];
    } catch (error) {
        if (!error.reason) throw error;
        return error.reason;
    }
};
answer((async () => {
    const said = [];
    for (const each of arguments[0]) said.push(await accept(each));
    return said;
})());
"""

Case = tuple[Root, dict[int, bytes]]


def _accepted(root: Root, files: dict[int, bytes]) -> Any:
    try:
        trust = assemble(root, files.get)
    except LedgerError as error:
        return getattr(error, "reason", "")
    findings = [[each.severity, each.slug, each.object_key] for each in trust.findings]
    ends = {each: trust.end_of(each) for each in trust.listed}
    return [
        [file.digest for file in trust.files],
        findings,
        sorted([key_id, end] for key_id, end in ends.items() if end is not None),
    ]


def _compare(page: Page, cases: Iterable[Case]) -> list[Any]:
    """See that page and library accept the same files; return what."""
    cases = list(cases)
    encoded = [
        (root.origin, root.digest, root.version, [(n, _text(data)) for n, data in files.items()])
        for root, files in cases
    ]
    said: list[Any] = page.run(ACCEPT, encoded)
    assert said == [_accepted(*each) for each in cases]
    return said


def _chain(*files: TrustFile, root: TrustFile | None = None) -> Case:
    return root_of(root or files[0]), objects(files)


ONE = first()
BOTH = listed(*KEYS, registrar(BOB, "bob", erase=True))
EDDY = listed(registrar(BOB, "bob", erase=True), log_key(LOG))
TWO = after(ONE, keys=BOTH)
THREE = after(TWO, keys=EDDY)
FOUR = after(
    THREE,
    keys=listed(registrar(BOB, "bob", erase=True), log_key(LOG2)),
    revoked=(revoke(LOG, 12), revoke(ALICE, 5))
    if LOG.key_id < ALICE.key_id
    else (
        revoke(ALICE, 5),
        revoke(LOG, 12),
    ),
)
FILES = [ONE, TWO, THREE, FOUR]
ED448 = OtherKey(bytes.fromhex("3043300506032b6571033a00") + bytes(57))


def test_from_any_root_all_files_are_accepted(page: Page) -> None:
    said = _compare(page, [_chain(*FILES, root=each) for each in FILES])
    assert [each[0] for each in said] == [[file.digest for file in FILES]] * 4


ALLOWED = [
    after(ONE, size=10),
    after(ONE, BEN, CLEO),
    after(ONE, keys=EDDY, revoked=(revoke(ALICE, 3),)),
    after(ONE, keys=listed(log_key(LOG2)), revoked=(revoke(LOG, 3),)),
    after(ONE, ADA, BEN, DAN, holders=people(ADA, BEN, DAN)),
    after(ONE, ADA, BEN, DAN, holders=people(DAN), threshold=1),
    after(ONE, next="2027-12-01"),
    after(ONE, holders=(*people(ADA, BEN), person(CLEO, keys="cleo's second").holder)),
    after(ONE, keys=listed(*KEYS, registrar(ED448))),
    after(ONE, keys=listed(*KEYS, registrar(person(DAN).mldsa.public_key))),
]
REVOKED = after(ONE, keys=EDDY, revoked=(revoke(ALICE, 5),))
FORGED = HolderSignature(person(CLEO).ed25519.public_key.key_id, bytes(64))
FORGED_MLDSA = HolderSignature(person(CLEO).mldsa.public_key.key_id, bytes(3309))


def _without(file: TrustFile, kind: str) -> TrustFile:
    ids = {getattr(person(name), kind).public_key.key_id for name in (ADA, BEN)}
    return replace(
        file, signatures=tuple(each for each in file.signatures if each.key_id not in ids)
    )


ATTACKS = [
    [ONE, after(ONE, ADA)],
    [ONE, after(ONE, ADA, holders=people(ADA), threshold=1)],
    [ONE, after(ONE, ADA, BEN, holders=people(CLEO, DAN))],
    [ONE, _without(after(ONE), "ed25519")],
    [ONE, _without(after(ONE), "mldsa")],
    [ONE, after(ONE).signed([FORGED])],
    [ONE, after(ONE).signed([FORGED_MLDSA])],
    [ONE, replace(after(ONE), signatures=after(ONE, next="2030-01-01").signatures)],
    [ONE, after(ONE).signed(person(DAN).sign(after(ONE)))],
    [ONE, after(first(next="2030-01-01"))],
    [ONE, after(ONE, log=replace(pin(20), origin="example.org/other"))],
    [ONE, after(ONE, size=9)],
    [ONE, after(ONE, log=pin(10, "fork"))],
    [ONE, REVOKED, after(REVOKED, revoked=())],
    [ONE, REVOKED, after(REVOKED, revoked=(revoke(ALICE, 6),))],
    [ONE, after(ONE, revoked=(revoke(ALICE, 3),))],
    [ONE, after(ONE, revoked=(revoke(BOB, 3),))],
    [ONE, after(ONE, keys=EDDY), after(after(ONE, keys=EDDY), keys=BOTH)],
    [ONE, after(ONE, keys=listed(log_key(ALICE), log_key(LOG)))],
    [ONE, after(ONE, keys=listed(registrar(ALICE, erase=True), log_key(LOG)))],
    [ONE, after(ONE, keys=listed(*KEYS, registrar(person(ADA).ed25519.public_key)))],
    [ONE, after(ONE, holders=(*people(ADA, BEN), person("zoe", keys=CLEO).holder))],
    [ONE, after(ONE, keys=listed(*KEYS, log_key(ED448)))],
    [ONE, after(ONE, keys=listed(*KEYS, log_key(person(DAN).mldsa.public_key)))],
    [ONE, after(ONE, holders=(*people(ADA, BEN), Holder(CLEO, (ED448,))))],
    [ONE, after(ONE, ADA, keys=listed(*KEYS, log_key(ED448)))],
]


def test_what_holders_may_change_and_what_not(page: Page) -> None:
    said = _compare(page, [_chain(ONE, each) for each in ALLOWED])
    assert [len(each[0]) for each in said] == [2] * len(ALLOWED)
    said = _compare(page, [_chain(*files) for files in ATTACKS])
    slugs = [[slug for _, slug, _ in each[1]] for each in said]
    refused, unknown = ["trust-not-accepted"], ["unsupported-trust"]
    assert slugs == [*[refused] * (len(ATTACKS) - 4), *[unknown] * 3, refused]


def _edited(file: TrustFile, edit: Callable[[dict[str, Any]], object]) -> tuple[str, bytes]:
    """The digest and the bytes of a file that says something else, rightly signed."""
    value = json.loads(file.payload)
    edit(value)
    payload = canonical.encode(value)
    data = pre_authentication(PAYLOAD_TYPE, payload)
    keys = [key for name in (ADA, BEN) for key in (person(name).ed25519, person(name).mldsa)]
    signatures = sorted((key.public_key.key_id, _text(key.sign(data))) for key in keys)
    made = [{"key": key_id, "signature": text} for key_id, text in signatures]
    return _digest(payload), canonical.encode({"signatures": made, "trust": value})


ODD: list[Callable[[dict[str, Any]], object]] = [
    lambda t: t.update(format=2),
    lambda t: t.update(format="1"),
    lambda t: t.update(more=1),
    lambda t: t.pop("next"),
    lambda t: t.update(next="2027-02-30"),
    lambda t: t.update(next="0000-01-01"),
    lambda t: t.update(next=""),
    lambda t: t.update(next=7),
    lambda t: t.update(origin="a b"),
    lambda t: t.update(origin=None),
    lambda t: t.update(previous="0" * 63),
    lambda t: t.update(previous=None),
    lambda t: t.update(version=0),
    lambda t: t.update(version="2"),
    lambda t: t.update(threshold=0),
    lambda t: t.update(threshold=4),
    lambda t: t.update(threshold=True),
    lambda t: t.update(holders=[]),
    lambda t: t.update(holders={}),
    lambda t: t["holders"].reverse(),
    lambda t: t["holders"][0].update(name=""),
    lambda t: t["holders"][0].update(name=" ada"),
    lambda t: t["holders"][0].update(more=1),
    lambda t: t["holders"][0]["keys"].reverse(),
    lambda t: t["holders"][0]["keys"].pop(),
    lambda t: t["holders"][0].update(keys=[]),
    lambda t: t["holders"][0].update(keys=[1]),
    lambda t: t["holders"][0].update(keys=t["holders"][1]["keys"]),
    lambda t: t.update(keys=t["keys"][::-1]),
    lambda t: t.update(keys=[]),
    lambda t: t.update(keys=[t["keys"][0]] * 2),
    lambda t: [each.update(role="witness") for each in t["keys"]],
    lambda t: [each.update(role=None) for each in t["keys"]],
    lambda t: [each.update(erase=True) for each in t["keys"]],
    lambda t: [each.update(erase=0) for each in t["keys"]],
    lambda t: [each.update(name="-") for each in t["keys"]],
    lambda t: [each.update(name=None) for each in t["keys"]],
    lambda t: t["log"].update(size=0),
    lambda t: t["log"].update(size=-1),
    lambda t: t["log"].update(size="9"),
    lambda t: t["log"].update(root="AAAA"),
    lambda t: t["log"].update(root=None),
    lambda t: t.update(log=[]),
    lambda t: t.update(revoked=[{"from": 1, "key": "0" * 63}]),
    lambda t: t.update(revoked=[{"from": -1, "key": "0" * 64}]),
    lambda t: t.update(revoked=[{"from": 1, "key": "0" * 64}] * 2),
    lambda t: t.update(revoked=None),
]


def _keys_as(*spki: bytes) -> list[Callable[[dict[str, Any]], object]]:
    """Edits that list these as registrars' keys."""

    def edit(der: bytes) -> Callable[[dict[str, Any]], object]:
        key = {"erase": False, "key": _text(der), "name": "", "role": "registrar"}

        def add(value: dict[str, Any]) -> None:
            both = [*value["keys"], key]
            value["keys"] = sorted(both, key=lambda each: _digest(base64.b64decode(each["key"])))

        return add

    return [edit(each) for each in spki]


ED448_DER = ED448.spki
ODD_KEYS = [
    b"",
    b"\x30",
    b"\x30\x00",
    ED448_DER + b"\0",
    ED448_DER[:-1],
    b"\x31" + ED448_DER[1:],
    b"\x30\x81" + ED448_DER[1:],
    b"\x30\x82\x00" + ED448_DER[1:],
    b"\x30\x80" + ED448_DER[2:],
    ED448_DER.replace(b"\x03\x3a\0", b"\x04\x3a\0"),
    bytes.fromhex("302a300506032b6570032101") + ALICE.raw,
    bytes.fromhex("302c300706032b65700500032100") + ALICE.raw,
    bytes.fromhex("302a300506032b6570032100") + bytes(32),
    bytes.fromhex("302a300506032b6570032100") + ALICE.raw[:-1],
    bytes.fromhex("300c300506032b65710303000102"),
    bytes.fromhex("300a300306012a0303000102"),
    person(ADA).mldsa.public_key.spki[:-1],
    ED448_DER,
]


# Which of the odd files are a second one, too: it is read as the first is.
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_files_that_are_none_though_they_are_signed(page: Page, step: int) -> None:
    cases: list[Case] = []
    edits = [*ODD, *_keys_as(*ODD_KEYS)]
    for edit in edits:
        digest, data = _edited(ONE, edit)
        cases.append((Root(ORIGIN, digest, 1), {1: data}))
    for edit in edits[::step]:
        _, data = _edited(TWO, edit)
        cases.append((root_of(ONE), {1: ONE.encode(), 2: data}))
    said = _compare(page, cases)
    # A first file without a previous one; and keys of other algorithms, in both.
    good = [isinstance(each, list) and not each[1] for each in said]
    assert sum(good[: len(edits)]) == 1 + 3
    assert sum(good[len(edits) :]) == (3 if step == 1 else 1)


@pytest.mark.parametrize("count", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_bytes_that_are_no_trust_file(page: Page, count: int) -> None:
    good = TWO.encode()
    junk = [b"", b"{}", b"[]", good + b"\n", good[:-1], b'{"signatures":[],"trust":{}}']
    junk += [good.replace(b'"signatures":[{', b'"signatures":[{"x":1,', 1)]
    junk += [good.replace(b'"signatures":[', b'"signatures":{', 1), b'{"trust":[],"signatures":[]}']
    random = Random(5)
    for _ in range(count):
        changed = bytearray(good)
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        junk.append(bytes(changed))
    cases = [(root_of(ONE), {1: ONE.encode(), 2: each}) for each in junk]
    for each in _compare(page, [*cases, *((root_of(TWO), files) for _, files in cases)]):
        assert each == "trust-not-accepted" or each[1]


def test_files_that_are_missing_or_others(page: Page) -> None:
    other = after(ONE, next="2030-01-01").encode()
    files = objects(FILES)
    cases = [
        (root_of(THREE), {1: files[1], 3: files[3], 4: files[4]}),
        (root_of(THREE), {1: files[1], 2: files[2]}),
        (root_of(THREE), {**files, 2: other}),
        (root_of(THREE), {**files, 2: b"junk"}),
        (root_of(ONE), {1: files[1], 2: files[2], 4: files[4]}),
        (root_of(ONE), {1: other}),
        (Root("a/b", ONE.digest, 1), files),
        (Root(ORIGIN, TWO.digest, 1), {1: files[2]}),
        (root_of(THREE), {**files, 2: signed(TWO, ADA).encode()}),
        (root_of(THREE), {**files, 2: TWO.signed(signed(TWO, DAN).signatures).encode()}),
        (root_of(ONE), {**files, 1: signed(ONE, ADA).encode()}),
    ]
    assert len(_compare(page, cases)) == len(cases)


def test_a_digest_alone_finds_its_file(page: Page) -> None:
    files = [(number, _text(data)) for number, data in objects(FILES).items()]
    cases = [(ORIGIN, digest, None, files) for digest in (ONE.digest, FOUR.digest, "0" * 64)]
    oldest, newest, unknown = page.run(ACCEPT, cases)
    assert oldest == newest == _accepted(root_of(ONE), objects(FILES))
    assert unknown == "trust-missing"


# -- Which entries stand ---------------------------------------------------------------------------

JUDGE = """
const [files, [origin, digest, version], title, now, histories] = arguments;
const judge = async (keyring, [objects, leaves, searched]) => {
    const stored = key => key in objects ? unbase64(objects[key]) : null;
    const head = stored(`${title}/head.json`), read = address => stored(`${title}/${address}.json`);
    const positions = {locate: ({address}) => leaves[address] ?? Infinity, searched};
    const said = await verifier.verifyTitle(title, {origin, keyring, head, read, now, positions});
    const findings = said.findings.map(each => [each.severity, each.slug, each.object]);
    return [said.entries, findings, said.notShown];
};
answer((async () => {
    const given = new Map(files.map(([number, data]) => [number, unbase64(data)])), said = [];
    const keyring = await new verifier.Keyring().pin(origin, digest, version).for(origin, given);
    for (const each of histories) said.push(await judge(keyring, each));
    return said;
})());
"""

SIGNERS = [signer("alice"), signer("bob"), signer("carl"), signer("dora")]
MALLORY = signer("mallory")


def _trust(random: Random) -> tuple[list[TrustFile], Trust]:
    """Files by which some of the four registrars have an end, and some may erase."""
    all_keys = [registrar(key.public_key, erase=random.random() < 0.6) for key in SIGNERS]
    files = [first(keys=listed(*all_keys, log_key(LOG)), log=pin(0))]
    kept = all_keys
    gone: dict[str, Any] = {}
    for size in (4, 8):
        kept = [each for each in kept if random.random() < 0.7]
        for each in all_keys:
            if each not in kept and each.key_id not in gone and random.random() < 0.6:
                gone[each.key_id] = revoke(each.key, random.randrange(size + 1))
        files.append(
            after(
                files[-1],
                keys=listed(*kept, log_key(LOG)),
                revoked=tuple(gone[key_id] for key_id in sorted(gone)),
                size=size,
            )
        )
    return files, trust_of(files)


def _history(random: Random) -> list[tuple[Entry, bytes]]:
    """A chain with its stored bytes, from the first version on, in which much names much."""
    entries: list[Entry] = []
    named: set[int] = set()
    for version in range(1, random.randrange(2, 9)):
        lists: dict[str, tuple[int, ...]] = {}
        below = range(1, version)
        if random.random() < 0.6:
            lists["confirms"] = tuple(each for each in below if random.random() < 0.3)
        if random.random() < 0.5:
            free = [each for each in below if each not in lists.get("confirms", ())]
            lists["voids"] = tuple(each for each in free if random.random() < 0.3)
        if random.random() < 0.4:
            lists["erases"] = tuple(each for each in below if random.random() < 0.4)
            named |= set(lists["erases"])
        key = random.choice([*SIGNERS, *SIGNERS, MALLORY] if random.random() < 0.1 else SIGNERS)
        parent = entries[-1] if entries else None
        reference = "ORDER" if lists.get("erases") else ""
        entries.append(sign("TN1", {"v": version}, parent, key, reference=reference, **lists))
    withheld = {each for each in named if random.random() < 0.7}
    return [
        (each, each.short if each.version in withheld and each is not entries[-1] else each.data)
        for each in entries
    ]


def _case(random: Random, trust: Trust) -> tuple[Any, Any]:
    """What is asked of the page about one history, and what the library says of it."""
    chain = _history(random)
    leaves, at = {}, 0
    for entry, _ in chain:  # in the order of versions, with gaps, and some that nobody knows of
        at += random.choice([0, 1, 1, 2])
        if random.random() < 0.7:
            leaves[entry.address] = at
            at += 1
    searched = random.choice([0, 2, 5, 99])
    stored = {entry_key("TN1", entry.address): data for entry, data in chain}
    stored[head_key("TN1")] = chain[-1][1]
    report = verify_chain(
        "TN1",
        origin=ORIGIN,
        keyring=AcceptedKeyring(trust),
        head=chain[-1][1],
        read=lambda address: stored.get(entry_key("TN1", address)),
        now=NOW,
        find_positions=lambda _end, _search: Positions(leaves, searched),
    )
    findings = [[each.severity, each.slug, each.object_key] for each in report.findings]
    asked = [{key: _text(data) for key, data in stored.items()}, leaves, searched]
    return asked, [report.entries, findings, list(report.not_shown)]


# Of these, only 9 confirms an entry by an eraser whose position nobody knows.
@pytest.mark.parametrize(
    ("seed", "rounds"),
    [(9, 4), *(pytest.param(n, 10, marks=pytest.mark.slow) for n in range(1, 10))],
)
def test_which_entries_stand_as_the_library_judges_them(page: Page, seed: int, rounds: int) -> None:
    random = Random(seed)
    found: set[str] = set()
    for _ in range(rounds):
        files, trust = _trust(random)
        cases = [_case(random, trust) for _ in range(30)]
        given = [(number, _text(data)) for number, data in objects(files).items()]
        root, now = [ORIGIN, files[0].digest, 1], NOW.timestamp() * 1000
        said = page.run(JUDGE, given, root, "TN1", now, [asked for asked, _ in cases])
        assert said == [expected for _, expected in cases]
        found |= {slug for _, expected in cases for _, slug, _ in expected[1]}
    assert found >= {
        "key-ended",
        "may-not-erase",
        "position-unknown",
        "named-needlessly",
        "not-erased",
        "text-missing",
        "unknown-key",
    }
