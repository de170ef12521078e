"""The page judges as the library does: every vector, and whatever bytes can be changed."""

from __future__ import annotations

import base64
import io
import json
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from ledger import LedgerError, PublicKey, Report
from ledger.errors import IntegrityError, MalformedError, TrustError, UnsupportedFormatError
from ledger.format import canonical
from ledger.format.bundle import BUNDLE_KEY, Header, write_bundle
from ledger.format.chain import verify_chain
from ledger.format.entry import address_of
from ledger.format.layout import LEDGER_KEY, entry_key
from ledger.format.report import Finding
from ledger.offline import check_entry, verify_bundle
from ledger.testing import ORIGIN, signer
from ledger.titles.identity import encode_identity
from ledger.tlog.checkpoint import log_key
from ledger.tlog.note import Signature
from ledger.tlog.objects import Leaf
from tests import corpora
from tests.tampering import HEAD, SCENARIOS, TITLE, small_world
from tests.verifier.page import Refused, needs_browser
from tests.verifier.samples import (
    KEYRING,
    LOG_KEY,
    LOG_MLDSA,
    NOW,
    REGISTRAR,
    REGISTRARS,
    STRANGER,
    Log,
    bundle,
    chain,
    erased_chain,
    other_ledgers,
    sign,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger import Keyring
    from tests.verifier.page import Page

pytestmark = [needs_browser, pytest.mark.xdist_group("browser")]

VECTORS = corpora.CORPORA.parent / "vectors" / "format.jsonl"
MUTANTS = 20

# Judges cases of the vectors' file, by its own words for verdicts.
JUDGE = """
const CLOCK = Date.UTC(9999, 11, 31);
const judge = async ({origin, registrars, title, objects, ask}) => {
    const keyring = new verifier.Keyring();
    for (const key of registrars) {
        const raw = Uint8Array.from(key.match(/../g), pair => parseInt(pair, 16));
        await keyring.trust(origin, "registrar", raw).catch(error => {
            if (error.reason !== "malformed") throw error;
        });
    }
    const stored = key => key in objects ? unbase64(objects[key]) : null;
    const head = stored(`${title}/head.json`), read = address => stored(`${title}/${address}.json`);
    if (!head) return {verdict: "not-found", finding: null, answers: []};
    const report = await verifier.verifyTitle(title, {origin, keyring, head, read, now: CLOCK});
    const ranks = {
        tampering: each => each.severity === "tampering",
        unsupported: each => each.slug.startsWith("unsupported"),
        unchecked: each => each.severity === "unchecked",
    };
    for (const [verdict, isOfRank] of Object.entries(ranks)) {
        const first = report.findings.find(isOfRank);
        if (first) return {verdict, finding: first.slug, answers: []};
    }
    const bound = (text, partial) => text && verifier.parseBound(text, partial);
    const answers = ask.map(({effective, recorded}) =>
        verifier.inLaw(report, bound(effective, false), bound(recorded, true)).answer);
    return {verdict: "verified", finding: null, answers};
};
const cases = JSON.parse(arguments[0]);
answer((async () => {
    const judged = [];
    for (const each of cases) judged.push(await judge(each));
    return judged;
})());
"""


@pytest.mark.skipif(not VECTORS.is_file(), reason=f"no {VECTORS} (LEDGER_CORPORA is beside it)")
@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_the_vectors_of_the_format(page: Page, step: int) -> None:
    cases = [json.loads(line) for line in VECTORS.read_bytes().split(b"\n") if line][::step]
    judged = page.run(JUDGE, json.dumps(cases))
    wrong = [
        (case["id"], case["expect"], said)
        for case, said in zip(cases, judged, strict=True)
        if said != case["expect"]
    ]
    assert wrong == []
    assert {case["expect"]["verdict"] for case in cases} >= {"verified", "tampering"}


# -- Keys, signatures, JSON ------------------------------------------------------------------------

CHECK_SIGNATURES = """
const cases = arguments[0].map(each => each.map(unbase64));
answer((async () => {
    const said = [];
    for (const [key, signature, data] of cases) {
        said.push(verifier.isSoundKey(key) && await verifier.isSignature(key, signature, data));
    }
    return said;
})());
"""


def _is_signature(key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        return PublicKey(key).verify(signature, data)
    except MalformedError:
        return False


def _check_signatures(page: Page, cases: list[tuple[bytes, bytes, bytes]]) -> set[bool]:
    encoded = [[base64.b64encode(each).decode() for each in case] for case in cases]
    said = page.run(CHECK_SIGNATURES, encoded)
    assert said == [_is_signature(*case) for case in cases]
    return set(said)


@corpora.needs("ed25519/ed25519_test.json")
def test_signatures_as_wycheproof_judges_them(page: Page) -> None:
    (file,) = corpora.files("ed25519/ed25519_test.json")
    cases = [
        tuple(bytes.fromhex(each) for each in (group["publicKey"]["pk"], test["sig"], test["msg"]))
        for group in json.loads(file.read_text())["testGroups"]
        for test in group["tests"]
    ]
    assert _check_signatures(page, cases) == {True, False}


SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
# A key of the main subgroup; what follows is made with its secret scalar, or beside it.
KEY = bytes.fromhex("0717f71068712bfc6bf6236e51a5b3c577a8d5b1d8bd2c72a2ebd701e06a36a8")
OF_MIXED_ORDER = bytes.fromhex("2b7830b667424e498a8b0a152cedc9a7c0b2857e6bd6bb9512ee4c7e952c3714")
NEUTRAL_R = bytes.fromhex(
    f"01{'00' * 31}48759d4754b51fa35aeb103967dc5d2d955b82fe49f547079f90205167df3c00"
)


def test_keys_and_signatures_that_a_lenient_check_accepts(page: Page) -> None:
    good = signer("page")
    raw, signature = good.public_key.raw, good.sign(b"data")
    assert _check_signatures(page, [(raw, signature, b"data"), (raw, signature, b"date")]) == {
        True,
        False,
    }
    keys = [bytes.fromhex(each) for each in SMALL_ORDER]
    # With R = A = a point of small order and S = 0, one signature fits many messages.
    forged = [(key, key + bytes(32), bytes([n])) for key in keys for n in range(8)]
    wrong = [
        (KEY, NEUTRAL_R, b"test"),
        (OF_MIXED_ORDER, signature, b"data"),
        (raw[:-1], signature, b"data"),
        (raw, signature[:-1], b"data"),
        (b"\xff" * 32, signature, b"data"),
        (bytes([2]) + bytes(31), signature, b"data"),  # on no point of the curve
    ]
    assert _check_signatures(page, forged + wrong) == {False}


LENIENT = """
const verify = crypto.subtle.verify;
crypto.subtle.verify = async () => arguments[0] === "accepts" || Promise.reject(new Error("no"));
answer(verifier.selfTest().finally(() => { crypto.subtle.verify = verify; }));
"""


@pytest.mark.parametrize("browser", ["accepts", "refuses"])
def test_a_browser_that_judges_otherwise_is_not_relied_on(page: Page, browser: str) -> None:
    said = page.run(LENIENT, browser)
    assert (said["reason"], said["exit"]) == ("browser", 70)
    assert page.run("answer(verifier.selfTest().then(() => 'restored'));") == "restored"


LOAD = """
done(arguments[0].map(each => {
    try { verifier.load(unbase64(each)); return true; } catch (error) {
        if (error.reason !== "malformed") throw error;
        return false;
    }
}));
"""


def _loads(data: bytes) -> bool:
    try:
        canonical.load(data)
    except MalformedError:
        return False
    return b"e+" not in data  # what an entry refuses beyond that, the page refuses everywhere


def _check_json(page: Page, texts: list[bytes]) -> set[bool]:
    said = page.run(LOAD, [base64.b64encode(each).decode() for each in texts])
    differ = [text for text, one in zip(texts, said, strict=True) if one != _loads(text)]
    assert differ == []
    return set(said)


@corpora.needs("json/test_parsing/*.json")
def test_json_as_the_corpora_have_it(page: Page) -> None:
    files = corpora.files("json/test_parsing/*.json") + corpora.files("jcs/*put/*.json")
    assert _check_json(page, [file.read_bytes() for file in files]) == {True, False}


DISPUTED = r"""
{"a":1,"a":2} {"a":1,"\u0061":1} {"__proto__":1} {"__proto__":{"a":1},"a":2} -0 0 1.0 1e0
9007199254740991 9007199254740992 9007199254740993 1e400 1e-400 1e-7 1E-7 0.1 1e21 1e+21
"\ud800" "\ud83d\ude00" "\u00e9" "\u001f" "\u001F" "\n" "\u000a" "/" "\/" nul NaN
{"10":1,"9":2} {"9":1,"10":2} [1,2] [1,] {"":1}
"""


def test_json_that_readers_differ_about(page: Page) -> None:
    raw = [
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'\xef\xbb\xbf""',
        b'"\x7f"',
        '"😀"'.encode(),
        b" 1",
        b"1\n",
    ]
    astral = ['{"\ue000":1,"😀":2}'.encode(), '{"😀":2,"\ue000":1}'.encode()]
    deep = [b"[" * depth + b"]" * depth for depth in (64, 65, 66, 10_000)]
    cases = [*(text.encode() for text in DISPUTED.split()), *raw, *astral, *deep]
    assert _check_json(page, cases) == {True, False}


# -- Bundles ---------------------------------------------------------------------------------------


def _facts(said: Report | Refused) -> Any:
    """What has to be the same: all but the wording of findings."""
    if isinstance(said, Refused):
        return said
    return (
        said.outcome,
        said.titles,
        said.entries,
        [(each.severity, each.slug, each.object_key) for each in said.findings],
        said.not_shown,
    )


def _of_library(data: bytes, keyring: Keyring, **options: Any) -> Any:
    """What ``ledger verify --bundle`` says, of which the shell makes a report."""
    try:
        return verify_bundle(io.BytesIO(data), keyring=keyring, clock=lambda: NOW, **options)
    except (IntegrityError, TrustError) as error:
        if not error.object_key:
            return Refused(error.slug, error.exit_code)
        found = Finding("tampering", error.reason, error.object_key, str(error))
        return Report("", findings=(found,))
    except LedgerError as error:
        return Refused(getattr(error, "reason", error.slug), error.exit_code)


def _compare(page: Page, files: list[bytes], keyring: Keyring, **options: Any) -> list[Any]:
    """See that page and library say the same of each; return it."""
    said = page.verify_files([(data, None) for data in files], keyring, now=NOW, **options)
    facts = [_facts(each) for each in said]
    assert facts == [_facts(_of_library(data, keyring, **options)) for data in files]
    return said


def _sound_bundles() -> Iterator[bytes]:
    one, long_name = chain("TN1", 3), chain("T" * 40 + "-9", 2)
    yield bundle(log=Log([]))
    yield bundle(one)
    yield bundle(one, long_name)
    yield bundle(one, log=Log(one))
    yield bundle(one, erased_chain("TN2"), log=Log(one[:2]))
    yield bundle(chain("TN1", 1), complete=True)


def test_bundles_that_hold(page: Page) -> None:
    for keyring in (KEYRING, REGISTRARS):
        for said in _compare(page, list(_sound_bundles()), keyring):
            assert said.outcome == "verified"


def test_a_log_of_several_tiles(page: Page) -> None:
    many = chain("TN1", 258)
    (said,) = _compare(page, [bundle(many, chain("TN2", 2), log=Log(many))], KEYRING)
    assert said.outcome == "verified"


def test_what_is_withheld_is_named(page: Page) -> None:
    first, second, third = erased_chain("TN1")
    said = _compare(page, [bundle([first, second, third])], KEYRING)
    objects = {"TN1/head.json": third}
    for data in (first, second, third):
        objects[f"TN1/{address_of(data)}.json"] = data
    expected = verify_chain(
        "TN1",
        origin=ORIGIN,
        keyring=KEYRING,
        head=third,
        read=lambda address: objects.get(f"TN1/{address}.json"),
        now=NOW,
    )
    of_objects = page.verify_objects(objects, "TN1", origin=ORIGIN, keyring=KEYRING, now=NOW)
    assert of_objects == expected
    assert expected.not_shown[1] in said[0].not_shown


def test_incremental_bundles_and_pins(page: Page) -> None:
    entries = chain("TN1", 4)
    files = [bundle(entries), bundle(entries[2:], complete=False), bundle(entries[2:])]
    for pin in (entries[0].address, entries[2].address, "0" * 64):
        outcomes = [each.outcome for each in _compare(page, files, KEYRING, expect=pin)]
        assert outcomes[1:] == ["unchecked", "tampered"]
    (said,) = _compare(page, files[:1], KEYRING, expect="0" * 64)
    assert said.outcome == "mismatch"


def _leaf(**members: Any) -> bytes:
    return canonical.encode(members)


def _slugs(said: Report | Refused) -> list[str]:
    assert isinstance(said, Report)
    return [each.slug for each in said.findings]


def test_bundles_are_held_against_their_own_log(page: Page) -> None:
    first, one = chain("TN1-A", 2), chain("TN1", 4)
    fork = sign("TN1", {"owner": "Eve"}, one[1])
    log = Log([*one, *first])
    files = {
        bundle(first[:1], one, log=log): ["not-as-logged"],
        bundle(one[:2], log=log): ["head-missing", "not-as-logged"],
        bundle(first, [*one[:2], fork], log=log): ["not-as-logged"],
        bundle(first, [*one[:2], fork], log=Log([*one[:2], *first])): [],
        bundle(one, log=log): ["head-missing"],
        bundle(log=log): ["head-missing", "head-missing"],
        bundle(one, log=log, left_out=("TN1-A",)): ["left-out"],
        bundle(one[:3], log=log, left_out=("TN1-A", "TN1")): [
            "left-out",
            "left-out",
            "not-as-logged",
        ],
        bundle(one[2:], log=log, complete=False): ["not-in-bundle", "not-in-bundle"],
        bundle(first, one[2:3], log=log, complete=False): ["not-in-bundle", "not-as-logged"],
        bundle(first, one[3:], log=Log(one[:2]), complete=False): ["not-in-bundle"],
        bundle(log=log, complete=False): ["not-in-bundle"],
        bundle(one, log=Log([one[0], *one])): ["logged-twice"],
        bundle(one, log=Log([one[0], fork, *one[1:]])): ["forked", "not-as-logged"],
        bundle(one, log=Log([*one[1:], fork])): ["forked"],
        bundle(one, log=Log([one[0], one[2], one[3]])): ["unlogged"],
        bundle([one[0], one[2]], log=Log([one[0], one[0], fork])): [
            "entry-missing",
            "logged-twice",
            "unlogged",
        ],
    }
    said = _compare(page, list(files), KEYRING)
    assert [_slugs(each) for each in said] == list(files.values())
    _compare(page, list(files), REGISTRARS)


def test_leaves_that_are_not_about_entries(page: Page) -> None:
    one = chain("TN1", 2)
    leaf = Leaf("TN1", 1, one[0].address).encode()
    types = ["note", "!order", "note", "it's", "'\"", "\\\n\x00\x7f\u00e9\u2028😀", "x" * 50]
    others = [_leaf(type=each) for each in types]
    bad = [b"", b"{}", b"[]", _leaf(type=1), _leaf(type="entry"), leaf + b" "]
    bad += [leaf.replace(b'"version":1', b'"version":0'), leaf.replace(b"TN1", b"tn1")]
    files = [bundle(one, log=Log([*others, *one])), bundle(log=Log(others))]
    said = _compare(page, [*files, *(bundle(one, log=Log([each])) for each in bad)], KEYRING)
    assert _slugs(said[0]) == ["unsupported-leaf"]
    assert "what 2 leaves of type 'note' of the log say: this version does not judge them" in (
        said[0].not_shown
    )
    assert [_slugs(each) for each in said[2:]] == [["malformed-bundle"]] * len(bad)


def test_bundles_with_nothing_in_them(page: Page) -> None:
    files = [bundle(), bundle(complete=False), bundle(left_out=("TN1",))]
    said = _compare(page, files, KEYRING)
    assert [_slugs(each)[-1] for each in said] == ["nothing-there"] * 3
    for each in _compare(page, files[:2], REGISTRARS):
        assert each.outcome == "verified"


def test_titles_that_were_left_out_are_in_order(page: Page) -> None:
    data, header = bundle(), Header(ORIGIN, complete=True).encode()
    files = []
    for left_out in (b'["A-1","A"]', b'["A","A-1"]', b'["A","A"]', b"[]", b"null", b"[1]", b'"A"'):
        changed = header.replace(b'"origin"', b'"left_out":' + left_out + b',"origin"')
        members = [(BUNDLE_KEY, changed), (LEDGER_KEY, encode_identity(ORIGIN))]
        files.append(b"".join(write_bundle(members)))
    assert len(data) == len(files[0])
    said = _compare(page, files, REGISTRARS)
    assert _slugs(said[0]) == ["left-out", "left-out"]
    assert said[1:] == [Refused("not-a-bundle", 65)] * 6


def test_bundles_that_were_cut_short(page: Page) -> None:
    entries, forged = chain("TN1", 3), [sign("TN0", {}, key=STRANGER)]
    whole, tampered = bundle(entries, log=Log(entries)), bundle(forged, entries)
    assert whole.startswith(BUNDLE_KEY.encode())
    cuts = [whole[:at] for at in range(0, len(whole), 512 if len(whole) < 20_000 else 1024)]
    for each in _compare(page, cuts, KEYRING):
        assert each == Refused("not-a-bundle", 65)
    others = [b"GIF89a", b"\0" * 1024, b"\x1f\x8b" + whole, whole[1024:]]
    assert _compare(page, others, KEYRING) == [Refused("not-a-bundle", 65)] * len(others)
    (said,) = _compare(page, [tampered[:-600]], KEYRING)
    assert _slugs(said) == ["unknown-key", "malformed-bundle"]


def test_bundles_of_others(page: Page) -> None:
    mine = chain("TN1", 2)
    theirs = [sign("TN1", {}, key=STRANGER)]
    elsewhere = [sign("TN1", {}, ledger="example.org/other")]
    files = [
        bundle(theirs),
        bundle(elsewhere),
        bundle(mine, origin="example.org/other"),
        bundle(mine, log=Log(mine, STRANGER)),
        bundle([sign("TN1", {}, status="closed"), mine[1]]),
        bundle([mine[1], mine[0]]),
        bundle([first := sign("TN1", {}), sign("TN1", {}, first, voids=(1,))]),
        bundle([sign("TN1", {}, recorded_at="2099-01-01T00:00:00.000000Z")]),
        bundle([mine[0], sign("TN1", {}, mine[0], erases=(1,), reference="R")]),
        bundle([mine[0].short, mine[1]]),
        bundle([mine[0], mine[1].short]),
    ]
    said = _compare(page, files, KEYRING)
    assert {each.slug for one in said if isinstance(one, Report) for each in one.findings} >= {
        "unknown-key",
        "wrong-ledger",
        "needs-trust",
        "not-erased",
        "text-missing",
        "time-in-future",
        "entry-missing",
    }
    _compare(page, files, other_ledgers(), origin=ORIGIN)
    _compare(page, files, other_ledgers(), origin="example.org/third")


def _mutants(data: bytes, count: int, seed: int) -> list[bytes]:
    """The bytes with something changed: a bit, a byte that was taken, a cut, another block."""
    changed = (each for each in _changes(data, Random(seed)) if each != data)
    return list(islice(changed, count))


def _changes(data: bytes, random: Random) -> Iterator[bytes]:
    while True:
        at = random.randrange(len(data))
        match random.randrange(6):
            case 0 | 1 | 2:
                yield data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
            case 3:
                yield data[:at] + data[at + 1 :]
            case 4:
                yield data[:at]
            case _:
                size = min(512, len(data) // 4)
                at, other = (random.randrange(len(data) // size) * size for _ in range(2))
                moved = data[other : other + size]
                yield data[:at] + moved + data[at + size :]


def _check_mutants(page: Page, count: int, seed: int) -> None:
    one, two = chain("TN1", 2), erased_chain("TN2")
    data = bundle(one, two, log=Log(one))
    for keyring in (KEYRING, REGISTRARS):
        # What begins with a brace is taken for an entry: the shell is told which it is.
        files = [each for each in _mutants(data, count, seed) if not each.startswith(b"{")]
        said = _compare(page, files, keyring)
        caught = [each for each in said if isinstance(each, Refused) or each.outcome == "tampered"]
        # Without the log's key nobody can tell what is wrong with its tiles.
        assert len(caught) == len(files) or keyring == REGISTRARS


def test_bundles_with_something_changed(page: Page) -> None:
    _check_mutants(page, MUTANTS, seed=1)


@pytest.mark.slow
def test_many_bundles_with_something_changed(page: Page) -> None:
    for seed in (2, 3):
        _check_mutants(page, 1000, seed)


# -- Entries and receipts --------------------------------------------------------------------------


def _check_by_library(data: bytes, receipt: bytes, keyring: Keyring, **options: Any) -> Any:
    """What ``ledger check`` says, of which the shell makes a report."""
    try:
        proven = check_entry(receipt, data, keyring=keyring, **options)
    except (IntegrityError, TrustError) as error:
        if error.slug == "origin-not-pinned":
            return Refused(error.slug, error.exit_code)
        return "tampered", error.reason
    except UnsupportedFormatError as error:
        return Refused(error.reason, error.exit_code)
    except MalformedError as error:
        return Refused("malformed", error.exit_code)
    return "verified", proven.leaf


def _compare_receipts(
    page: Page, pairs: list[tuple[bytes, bytes]], keyring: Keyring, **options: Any
) -> list[Any]:
    said = page.verify_files(pairs, keyring, **options)
    facts = []
    for each, (data, receipt) in zip(said, pairs, strict=True):
        expected = _check_by_library(data, receipt, keyring, **options)
        facts.append(expected)
        if isinstance(each, Refused):
            assert each == expected
        elif each.outcome == "tampered":
            assert ("tampered", each.findings[0].slug) == expected
        else:
            assert (each.outcome, each.entries, expected[0]) == ("verified", 1, "verified")
    return facts


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 257])
def test_receipts_that_hold(page: Page, size: int) -> None:
    entries = chain("TN1", size)
    log = Log(entries)
    chosen = entries if size < 10 else [entries[0], entries[128], entries[255], entries[256]]
    pairs = [(entry.data, log.receipt(entry)) for entry in chosen]
    facts = _compare_receipts(page, pairs, KEYRING)
    assert facts == [("verified", entry.version - 1) for entry in chosen]


def test_receipts_that_do_not_hold(page: Page) -> None:
    entries = chain("TN1", 5)
    log, theirs = Log(entries), Log(entries, STRANGER)
    data, receipt = entries[1].data, log.receipt(entries[1])
    pairs = [
        (data, log.receipt(entries[2])),
        (data, theirs.receipt(entries[1])),
        (sign("TN1", {}, key=STRANGER).data, receipt),
        (data, b""),
        (data, receipt.replace(b"index 1", b"index 01")),
        (data, receipt.replace(b"index 1", b"extra !\nindex 1")),
        (data, receipt.replace(b"index 1", b"index 9223372036854775807")),
        (data, receipt.replace(b"index 1", b"index 9223372036854775806")),
        (data, receipt + "— \ufeff.example AAAAAAA=\n".encode()),
        (data, receipt + "— \u0085 AAAAAAA=\n".encode()),
        (data, receipt + b"\n"),
        (data[:-1], receipt),
    ]
    facts = _compare_receipts(page, pairs, KEYRING)
    assert {fact[0] for fact in facts} == {
        "tampered",
        "verified",
    }  # a stranger's line means nothing
    _compare_receipts(page, [(data, receipt)], REGISTRARS)
    _compare_receipts(page, [(data, receipt)], KEYRING, origin="example.org/other")
    mutants = [(data, each) for each in _mutants(receipt, MUTANTS, seed=3)]
    mutants += [(each, receipt) for each in _mutants(data, MUTANTS, seed=4)]
    kept = [fact for fact in _compare_receipts(page, mutants, KEYRING) if fact[0] == "verified"]
    assert kept == []


def test_a_log_that_signs_with_two_algorithms(page: Page) -> None:
    entries = chain("TN1", 3)
    both = KEYRING.trust(ORIGIN, LOG_MLDSA.public_key, role="log")
    mldsa_alone = both.untrust(LOG_KEY.public_key.key_id)
    slugs = {"verified": [], "unchecked": ["half-signed"], "tampered": ["unknown-key"]}
    for keys, keyring, outcome in (
        ((LOG_KEY, LOG_MLDSA), both, "verified"),
        ((LOG_KEY, LOG_MLDSA), KEYRING, "verified"),
        ((LOG_KEY, LOG_MLDSA), mldsa_alone, "verified"),
        ((LOG_KEY,), both, "unchecked"),
        ((LOG_MLDSA,), both, "unchecked"),
        ((STRANGER, LOG_MLDSA), both, "unchecked"),
        ((STRANGER,), both, "tampered"),
    ):
        log = Log(entries, *keys)
        (said,) = _compare(page, [bundle(entries, log=log)], keyring)
        (of_receipt,) = page.verify_files([(entries[1].data, log.receipt(entries[1]))], keyring)
        for each in (said, of_receipt):
            assert isinstance(each, Report)
            assert (each.outcome, _slugs(each)) == (outcome, slugs[outcome])
    log = Log(entries, LOG_KEY, LOG_MLDSA)
    line = log.note.rindex(b" ") + 1  # that of ML-DSA-44, the longer one
    for at in (
        line,
        line + 8,
        line + 15,
        line + 16,
        line + 900,
        len(log.note) - 3,
        len(log.note) - 9,
    ):
        note = bytearray(log.note)
        note[at] = ord("A") if note[at] != ord("A") else ord("B")
        changed = Log(entries)
        changed.note = bytes(note)
        (said,) = _compare(page, [bundle(entries, log=changed)], both)
        assert said.outcome != "verified" or line + 8 > at


@pytest.mark.parametrize("time", [0, 5, 2**63 - 1, 2**63])
def test_a_line_of_the_log_in_mldsa_may_bear_a_time(page: Page, time: int) -> None:
    entries, key = chain("TN1", 1), log_key(ORIGIN, LOG_MLDSA.public_key)
    log = Log(entries)
    name, checkpoint = bytes([len(ORIGIN)]) + ORIGIN.encode(), log.checkpoint
    size = checkpoint.size.to_bytes(8, "big")
    moment = time.to_bytes(8, "big")
    signed = b"subtree/v1\n\0" + name + moment + name + bytes(8) + size + checkpoint.root
    log.note += Signature(ORIGIN, key.key_hash, moment + LOG_MLDSA.sign(signed)).encode()
    both = KEYRING.trust(ORIGIN, LOG_MLDSA.public_key, role="log")
    (said,) = _compare(page, [bundle(entries, log=log)], both)
    assert said.outcome == ("verified" if time < 2**63 else "tampered")


def test_an_entry_by_itself(page: Page) -> None:
    entry, theirs = sign("TN1", {}), sign("TN1", {}, key=STRANGER)
    files = [(each, None) for each in (entry.data, entry.short, theirs.data)]
    held, withheld, forged = page.verify_files(files, REGISTRARS)
    assert isinstance(held, Report)
    assert (held.outcome, len(held.not_shown)) == ("verified", 1)
    assert isinstance(withheld, Report)
    assert (withheld.outcome, withheld.findings[0].slug) == ("unchecked", "erased")
    assert isinstance(forged, Report)
    assert (forged.outcome, forged.findings[0].slug) == ("tampered", "unknown-key")
    log_only = type(REGISTRARS)().trust(ORIGIN, LOG_KEY.public_key, role="log")
    assert page.verify_files(files, log_only) == [Refused("origin-not-pinned", 12)] * 3
    pairs = [(each, Log([entry]).receipt(entry)) for each in (entry.data, entry.short)]
    for said, more in zip(page.verify_files(pairs, log_only), ([], ["erased"]), strict=True):
        assert isinstance(said, Report)
        # As the shell has it: whose entry it is was not looked at.
        assert (said.outcome, said.entries) == ("unchecked", 0)
        assert [each.slug for each in said.findings] == ["no-registrar", *more]


def test_questions_that_a_file_can_not_answer_are_refused(page: Page) -> None:
    data = sign("TN1", {}).data
    for options in (
        {"effective": "2026-01-01"},
        {"expect": "0" * 64},
        {"origin": "not an origin"},
        {"effective": "2026"},
        {"recorded": "2026-01-01"},
    ):
        assert page.verify_files([(data, None)], KEYRING, **options) == [Refused("malformed", 65)]
    receipt = Log([]).note
    assert page.verify_files([(bundle(), receipt)], KEYRING) == [Refused("malformed", 65)]


def test_the_registrar_of_the_samples_is_no_stranger() -> None:
    assert REGISTRAR.public_key.key_id != STRANGER.public_key.key_id != LOG_KEY.public_key.key_id


# -- Objects of a store ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_every_way_to_tamper_is_judged_as_by_the_library(page: Page, step: int) -> None:
    judged = 0
    for scenario in SCENARIOS[::step]:
        world = small_world()
        scenario.change(world)
        head = world.objects.get(HEAD)
        if head is None:
            continue  # whether there ever was one, only a listing tells
        expected = verify_chain(
            TITLE,
            origin=world.origin,
            keyring=world.keyring,
            head=head,
            read=lambda address, world=world: world.objects.get(entry_key(TITLE, address)),
            now=world.clock.now,
            expect=world.pin,
        )
        said = page.verify_objects(
            world.objects,
            TITLE,
            origin=world.origin,
            keyring=world.keyring,
            now=world.clock.now,
            expect=world.pin,
        )
        assert _facts(said) == _facts(expected), scenario.name
        judged += 1
    assert judged > 150 // step
