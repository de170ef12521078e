"""The bytes of c2sp.org/tlog-witness: what is sent, and that nothing which comes back does harm."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.format.mldsa import MLDSAPrivateKey
from ledger.testing import signer
from ledger.tlog import (
    Checkpoint,
    WitnessKey,
    add_signatures,
    cosign,
    open_checkpoint,
    sign_checkpoint,
    witness_key,
)
from ledger.tlog.add_checkpoint import Answer, Reply, encode_request, own_note, read_answer
from tests.laws import examples

ORIGIN = "example.com/behind-the-sofa"
LOG, CITY = signer("log"), signer("city")
KEY = WitnessKey("witness.example/w1", CITY.public_key)
CHECKPOINT = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, LOG)
SIGNED = open_checkpoint(NOTE, origin=ORIGIN, log_keys=[LOG.public_key])
LINE = cosign(CHECKPOINT, KEY, CITY, 1_795_000_000)


def test_a_request_is_the_size_the_proof_and_the_checkpoint():
    """As in the example of the specification."""
    assert encode_request(20852014, [bytes(32), b"\xff" * 32], SIGNED) == (
        b"old 20852014\n"
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        b"//////////////////////////////////////////8=\n"
        b"\n" + NOTE
    )
    assert encode_request(0, [], SIGNED) == b"old 0\n\n" + NOTE


def test_cosignatures_that_are_there_are_not_sent():
    cosigned = open_checkpoint(
        add_signatures(NOTE, LINE), origin=ORIGIN, log_keys=[LOG.public_key], witnesses=[KEY]
    )
    assert own_note(cosigned) == NOTE


def test_a_second_key_of_the_log_is_sent():
    """While a log changes its key, witnesses may know either."""
    new = signer("the log's next key")
    both = add_signatures(NOTE, sign_checkpoint(CHECKPOINT, new).split(b"\n\n")[1])
    signed = open_checkpoint(both, origin=ORIGIN, log_keys=[LOG.public_key])
    assert own_note(signed) == both


def test_an_answer_is_the_lines():
    reply = read_answer(Answer(200, "", "", LINE), SIGNED, [KEY])
    assert [line.encode() for line in reply.lines] == [LINE]
    assert (reply.size, reply.problem) == (None, "")


def test_lines_of_others_are_ignored():
    other = WitnessKey("other.example/w", signer("other").public_key)
    lines = cosign(CHECKPOINT, other, signer("other"), 1) + LINE
    reply = read_answer(Answer(200, "", "", lines), SIGNED, [KEY])
    assert [line.encode() for line in reply.lines] == [LINE]
    assert reply.problem == ""


def test_a_witness_may_sign_with_both_algorithms():
    held = MLDSAPrivateKey("ML-DSA-44", bytes(32))
    later = witness_key(KEY.name, held.public_key)
    lines = LINE + cosign(CHECKPOINT, later, held, 1_795_000_000)
    reply = read_answer(Answer(200, "", "", lines), SIGNED, [KEY, later])
    assert b"".join(line.encode() for line in reply.lines) == lines
    assert "did not sign as witness.example/w1+" in (
        read_answer(Answer(200, "", "", LINE), SIGNED, [KEY, later]).problem
    )


def test_a_conflict_is_the_size():
    answer = Answer(409, "text/x.tlog.size", "", b"20852014\n")
    assert read_answer(answer, SIGNED, [KEY]) == Reply(size=20852014)


statuses = st.sampled_from([100, 200, 204, 301, 400, 403, 404, 409, 422, 500, 999])
types = st.sampled_from(["text/x.tlog.size", "", "text/plain", ";", "\udcff"])
bodies = st.one_of(
    st.binary(max_size=200),
    st.text(alphabet="\u2014 +=Aw/1\n", max_size=80).map(str.encode),
    st.builds(
        lambda at, byte: LINE[:at] + byte + LINE[at + 1 :],
        st.integers(0, len(LINE)),
        st.binary(max_size=2),
    ),
)


@settings(deadline=None, max_examples=examples(100))
@given(statuses, types, st.text(), bodies)
def test_any_answer_is_read_and_only_right_signatures_are_taken(status, media_type, place, body):
    reply = read_answer(Answer(status, media_type, place, body), SIGNED, [KEY])
    assert all(KEY.verify(CHECKPOINT.text, line.body) for line in reply.lines)
    assert bool(reply.lines) + (reply.size is not None) + bool(reply.problem) >= 1
    assert reply.problem.isprintable()
