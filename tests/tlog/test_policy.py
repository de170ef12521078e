"""Witness policies: who has to have cosigned a checkpoint, how many of them, and how lately."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    Checkpoint,
    NoteKey,
    WitnessKey,
    WitnessPolicy,
    add_signatures,
    cosign,
    open_checkpoint,
    sign_checkpoint,
)
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

LOG = signer("log")
LOG_KEY = NoteKey(ORIGIN, LOG.public_key)
CHECKPOINT = Checkpoint(ORIGIN, 3, bytes(range(32)))
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)

SIGNERS = {name: signer(name) for name in ("x1", "x2", "x3", "y1", "y2", "new x1")}
KEYS = {
    name: WitnessKey(f"{name}.example/w", held.public_key)
    for name, held in SIGNERS.items()
    if name != "new x1"
}
NEW_X1 = WitnessKey(KEYS["x1"].name, SIGNERS["new x1"].public_key)
WITNESSES = "".join(f"witness {name} {key.vkey}\n" for name, key in KEYS.items())


def cosigned(*names, at=NOW, to=None):
    """The checkpoint with the cosignatures of these."""
    note = to or sign_checkpoint(CHECKPOINT, LOG)
    for name in names:
        key = NEW_X1 if name == "new x1" else KEYS[name]
        line = cosign(CHECKPOINT, key, SIGNERS[name], int(at.timestamp()))
        note = add_signatures(note, line)
    return note


def judge(policy, note, now=NOW):
    parsed = WitnessPolicy.parse(policy)
    signed = open_checkpoint(
        note, origin=ORIGIN, log_keys=[LOG.public_key], witnesses=parsed.witnesses
    )
    return parsed.judge(signed, now)


# --- how many ------------------------------------------------------------------------------------


def test_a_witness_that_is_the_quorum_has_to_have_cosigned():
    policy = f"{WITNESSES}quorum x1\n"
    assert judge(policy, cosigned("x1")) is None
    found = judge(policy, cosigned("x2"))
    assert (found.severity, found.slug) == ("unchecked", "not-witnessed")
    assert found.object_key == "_log/checkpoint"
    assert "x1: no cosignature" in found.message


@pytest.mark.parametrize(("count", "needed"), [("any", 1), ("2", 2), ("all", 3)])
def test_a_group_has_to_have_as_many_as_it_says(count, needed):
    policy = f"{WITNESSES}group X {count} x1 x2 x3\nquorum X\n"
    names = ["x3", "x1", "x2"]
    for have in range(4):
        found = judge(policy, cosigned(*names[:have]))
        assert (found is None) == (have >= needed)


def test_groups_nest():
    """The example of c2sp.org/tlog-policy: two of the Xs, and one of the Ys."""
    policy = (
        f"log {LOG_KEY.vkey}\n\n{WITNESSES}"
        "group X-witnesses 2 x1 x2 x3\n"
        "group Y-witnesses any y1 y2\n"
        "group X-and-Y all X-witnesses Y-witnesses\n"
        "quorum X-and-Y\n"
    )
    assert judge(policy, cosigned("x1", "x3", "y2")) is None
    for too_few in (["x1", "x2", "x3"], ["y1", "y2", "x1"], ["y1"], []):
        assert judge(policy, cosigned(*too_few)).slug == "not-witnessed"


def test_nobody_is_asked_for_where_the_quorum_is_none():
    assert judge("quorum none\n", cosigned()) is None


def test_a_witness_that_signed_twice_counts_once():
    policy = f"{WITNESSES}group X 2 x1 x2\nquorum X\n"
    note = cosigned("x1", at=NOW - DAY)
    assert judge(policy, cosigned("x1", to=note)) is not None


def test_two_keys_of_a_witness_count_once():
    keys = f"{WITNESSES}witness x1-new {NEW_X1.vkey}\n"
    policy = f"{keys}group X 2 x1 x1-new x2\nquorum X\n"
    assert judge(policy, cosigned("x1", "new x1")) is not None
    assert judge(policy, cosigned("new x1", "x2")) is None
    assert judge(policy, cosigned("x1", "x2")) is None
    everybody = f"{keys}group X all x1 x1-new x2\nquorum X\n"
    assert judge(everybody, cosigned("new x1", "x2")) is None


def test_a_witness_that_is_not_in_the_quorum_does_not_help():
    policy = f"{WITNESSES}group X 2 x1 x2\nquorum X\n"
    assert judge(policy, cosigned("x1", "x3", "y1", "y2")) is not None


@law
@given(st.sets(st.sampled_from(sorted(KEYS))), st.integers(1, 5))
def test_more_cosignatures_never_make_it_worse(names, needed):
    policy = f"{WITNESSES}group G {needed} {' '.join(KEYS)}\nquorum G\n"
    assert (judge(policy, cosigned(*sorted(names))) is None) == (len(names) >= needed)


nested = st.recursive(
    st.none(), lambda below: st.tuples(st.floats(0, 1), st.lists(below, min_size=1, max_size=3))
)


def write(tree, lines, unused):
    """The lines of a tree of groups, each witness in one place, and the name of its root."""
    if tree is None:
        return unused.pop() if unused else None
    members = [name for below in tree[1] if (name := write(below, lines, unused))]
    if not members:
        return None
    name = f"group-{len(lines)}"
    needed = 1 + int(tree[0] * (len(members) - 1))
    lines.append((name, needed, members))
    return name


def holds(name, groups, names):
    """A group as the format describes it, from the top down."""
    if name not in groups:
        return name in names
    needed, members = groups[name]
    return sum(holds(member, groups, names) for member in members) >= needed


@law
@given(nested, st.sets(st.sampled_from(sorted(KEYS))))
def test_groups_of_groups_are_as_the_format_says(tree, names):
    lines: list[tuple[str, int, list[str]]] = []
    quorum = write(tree, lines, sorted(KEYS))
    text = "".join(f"group {name} {needed} {' '.join(of)}\n" for name, needed, of in lines)
    found = judge(f"{WITNESSES}{text}quorum {quorum}\n", cosigned(*sorted(names)))
    groups = {name: (needed, of) for name, needed, of in lines}
    assert (found is None) == holds(quorum, groups, names)


# --- how lately ----------------------------------------------------------------------------------


def test_a_cosignature_may_be_of_any_age_unless_the_policy_says_so():
    old = cosigned("x1", at=NOW - 10_000 * DAY)
    assert judge(f"{WITNESSES}quorum x1\n", old) is None
    found = judge(f"# max-age: 7d\n{WITNESSES}quorum x1\n", old)
    assert (found.severity, found.slug) == ("unchecked", "not-witnessed")
    assert "too long ago" in found.message


@pytest.mark.parametrize(
    ("limit", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)]
)
def test_it_may_be_as_old_as_the_policy_says_and_no_older(limit, seconds):
    policy = f"#max-age:{limit}\n{WITNESSES}quorum x1\n"
    assert judge(policy, cosigned("x1", at=NOW - timedelta(seconds=seconds))) is None
    assert judge(policy, cosigned("x1", at=NOW - timedelta(seconds=seconds + 1))) is not None


def test_the_newest_of_a_witness_counts():
    policy = f"# max-age: 1d\n{WITNESSES}quorum x1\n"
    note = cosigned("x1", at=NOW - 3 * DAY)
    assert judge(policy, cosigned("x1", at=NOW - DAY, to=note)) is None


def test_enough_of_them_have_to_be_recent():
    policy = f"# max-age: 1d\n{WITNESSES}group X 2 x1 x2 x3\nquorum X\n"
    note = cosigned("x1", "x2", at=NOW - 3 * DAY)
    assert judge(policy, cosigned("x3", to=note)) is not None
    assert judge(policy, cosigned("x3", "x2", to=note)) is None


def test_a_cosignature_from_the_future_does_not_count_but_for_what_clocks_differ():
    policy = f"{WITNESSES}quorum x1\n"
    assert judge(policy, cosigned("x1", at=NOW + timedelta(minutes=5))) is None
    early = cosigned("x1", at=NOW + timedelta(minutes=5, seconds=1))
    assert "in the future" in judge(policy, early).message
    last = add_signatures(early, cosign(CHECKPOINT, KEYS["x1"], SIGNERS["x1"], 2**63 - 1))
    assert judge(policy, last) is not None
    assert judge(policy, cosigned("x1", at=NOW - DAY, to=last)) is None


# --- whose log -----------------------------------------------------------------------------------


def test_a_log_that_the_policy_does_not_list_is_none_of_its():
    other = NoteKey(ORIGIN, signer("other log").public_key)
    policy = f"log {other.vkey}\nquorum none\n"
    found = judge(policy, cosigned("x1"))
    assert (found.severity, found.slug) == ("unchecked", "not-witnessed")
    assert "no log that the policy lists" in found.message
    assert judge(f"log {LOG_KEY.vkey} https://example.org\n{policy}", cosigned()) is None


# --- the file ------------------------------------------------------------------------------------


def test_a_policy_may_have_blanks_comments_urls_and_names_of_any_bytes():
    text = (
        b"  # comment\n\n \t \n"
        b"\twitness  \xff\xfe  " + KEYS["x1"].vkey.encode() + b" https://example.org/x \t\n"
        b"group K any \xff\xfe\nquorum K\n"
    )
    policy = WitnessPolicy.parse(text)
    assert policy.witnesses == (KEYS["x1"],)
    assert judge(text, cosigned("x1")) is None
    assert judge(text, cosigned("x2")).message.isprintable()


X1, X2 = KEYS["x1"].vkey, KEYS["x2"].vkey


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("quorum x1\n", 1, "no witness or group above"),
        (f"quorum x1\nwitness x1 {X1}\n", 1, "no witness or group above"),
        (f"witness x1 {X1}\ngroup G any x1 x2\nwitness x2 {X2}\n", 2, "no witness or group above"),
        ("group G any G\n", 1, "no witness or group above"),
        (f"witness x1 {X1}\nwitness x1 {X2}\n", 2, "is taken"),
        (f"witness x1 {X1}\ngroup x1 any x1\n", 2, "is taken"),
        (f"witness none {X1}\n", 1, "is taken"),
        (f"witness x1 {X1}\ngroup none any x1\n", 2, "is taken"),
        (f"witness x1 {X1}\ngroup G any none\n", 2, "no witness or group above"),
        (f"witness a {X1}\n# comment\nwitness b {X1}\n", 3, "again"),
        (f"witness a {X1}\nwitness b {X1.replace('x1', 'x9')}\n", 2, "does not have the hash"),
        (f"log {LOG_KEY.vkey}\nlog {LOG_KEY.vkey}\n", 2, "again"),
        (f"witness x1 {X1}\ngroup G 0 x1\n", 2, "not a number"),
        (f"witness x1 {X1}\ngroup G 2 x1\n", 2, "not a number"),
        (f"witness x1 {X1}\ngroup G +1 x1\n", 2, "not a number"),
        (f"witness x1 {X1}\ngroup G most x1\n", 2, "not a number"),
        (f"witness x1 {X1}\ngroup G any\n", 2, "expected: group"),
        (f"witness x1 {X1}\ngroup G any x1 x1\n", 2, "member already"),
        (f"witness x1 {X1}\ngroup G any x1\ngroup H any x1\n", 3, "member already"),
        (f"witness x1 {X1}\ngroup H any x1\ngroup G any x1\n", 3, "member already"),
        ("witness x1\n", 1, "expected: witness"),
        (f"witness x1 {X1} https://a b\n", 1, "expected: witness"),
        (f"witness x1 {LOG_KEY.vkey}\n", 1, "type 01"),
        (f"log {X1}\n", 1, "type 04"),
        ("witness x1 \udcff+00000000+BA==\n", 1, "no UTF-8"),
        ("log\n", 1, "expected: log"),
        ("quorum\n", 1, "expected: quorum"),
        ("quorum none none\n", 1, "expected: quorum"),
        ("quorum all\n", 1, "no witness or group above"),
        ("quorum none\nquorum none\n", 2, "second quorum"),
        ("quorum none\r\n", 1, "control characters"),
        ("Quorum none\n", 1, "not a log, witness"),
        ("\N{NO-BREAK SPACE}\n", 1, "not a log, witness"),
        ("# max-age: 1w\n", 1, "not an age"),
        ("# max-age 1d\n", 1, "not an age"),
        ("# maxage: 1d\n", 1, "not an age"),
        ("# Max-Age: a day\n", 1, "not an age"),
        ("# max-age: 0d\n", 1, "not an age"),
        ("# max-age: 999999999d\n# max-age: 1d\n", 2, "second max-age"),
    ],
)
def test_every_other_line_is_refused_and_named(text, line, why):
    data = text.encode("utf-8", "surrogateescape")
    with pytest.raises(MalformedError, match=f"^line {line} of the policy: .*{why}"):
        WitnessPolicy.parse(data)


def test_a_key_has_one_name():
    """Under two names, one key would be two witnesses."""
    other = WitnessKey("other.example/w", SIGNERS["x1"].public_key)
    with pytest.raises(MalformedError, match="line 2"):
        WitnessPolicy.parse(f"witness a {X1}\nwitness b {other.vkey}\n")
    own = WitnessKey("own.example/w", LOG.public_key)
    with pytest.raises(MalformedError, match="line 2"):
        WitnessPolicy.parse(f"log {LOG_KEY.vkey}\nwitness own {own.vkey}\n")


@pytest.mark.parametrize(("first", "second"), ["AB", "BA"])
def test_the_keys_of_a_witness_are_in_one_group(first, second):
    """From two, it would speak twice."""
    keys = f"witness a {X1}\nwitness b {NEW_X1.vkey}\n"
    with pytest.raises(MalformedError, match=r"line 4 .*another key of x1\.example/w"):
        WitnessPolicy.parse(f"{keys}group {first} any a\ngroup {second} any b\n")


@pytest.mark.parametrize(
    "text", ["", "# nobody\n", WITNESSES, "quorum none", f"{WITNESSES}quorum x", "#" * 100_001]
)
def test_a_policy_without_a_quorum_or_an_end_is_none(text):
    with pytest.raises(MalformedError):
        WitnessPolicy.parse(text)


@law
@given(st.text(st.sampled_from("\n \tadglnopqruwxy12#: ") | st.characters(), max_size=80))
def test_no_text_does_any_harm(text):
    with suppress(MalformedError):
        WitnessPolicy.parse(text)


def test_a_policy_is_whole_and_of_no_more_than_100_000_bytes():
    WitnessPolicy.parse(b"quorum none\n".ljust(99_999, b"#") + b"\n")
    for data in (b"quorum none\n# max-age: 1d", b"quorum none\n".ljust(100_000, b"#") + b"\n"):
        with pytest.raises(MalformedError, match=r"no newline at the end|at most 100000"):
            WitnessPolicy.parse(data)


def test_a_group_and_a_witness_do_not_share_a_name():
    lines = [f"witness {name} {KEYS[name].vkey}\n" for name in ("x1", "y1")]
    parts = [lines[0], "group g any x1\n", lines[1].replace("witness y1", "witness g")]
    WitnessPolicy.parse("".join([*parts[:2], lines[1], "quorum g\n"]))
    with pytest.raises(MalformedError, match="the name 'g' is taken"):
        WitnessPolicy.parse("".join([*parts, "quorum g\n"]))


def test_without_a_limit_of_age_no_cosignature_is_too_old():
    policy = WITNESSES + "group a any x2\ngroup h any x3\ngroup g 2 x1 y1\nquorum g\n"
    found = judge(policy, cosigned("x1", at=NOW - 400 * DAY))
    assert found is not None
    assert "(2 of x1, y1); x1: cosigned 2025-10-19T12:00:00Z; " in found.message
    assert "too long ago" not in found.message


def test_of_a_recent_cosignature_nobody_says_that_it_is_too_old():
    policy = f"# max-age: 1d\n{WITNESSES}group g 2 x1 y1\nquorum g\n"
    found = judge(policy, cosigned("x1", at=NOW - DAY))
    assert "x1: cosigned 2026-11-22T12:00:00Z; " in found.message


# --- where witnesses are asked -------------------------------------------------------------------


def test_a_witness_may_have_a_url_which_changes_no_judgement():
    lines = WITNESSES.splitlines()
    lines[0] += "\t https://x1.example/w "
    lines[2] += " anything"
    policy = "\n".join([*lines, "quorum x1", ""])
    assert WitnessPolicy.parse(policy).urls == {"x1": "https://x1.example/w", "x3": "anything"}
    assert judge(policy, cosigned("x1")) is None
    assert WitnessPolicy.parse(f"{WITNESSES}quorum x1\n").urls == {}
