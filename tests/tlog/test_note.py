"""Signed notes: who signed, and that no other bytes pass."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import PublicKey
from ledger.errors import IntegrityError, InvalidError, LedgerError, MalformedError, TrustError
from ledger.testing import signer
from ledger.tlog import NoteKey, WitnessKey, add_signatures, open_note, sign_note
from ledger.tlog.note import Signature, encode_base64, parse_unverified
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(200))

ALICE, BOB = signer("alice"), signer("bob")
ALICE_KEY = NoteKey("example.org/alice", ALICE.public_key)
BOB_KEY = NoteKey("example.org/bob", BOB.public_key)
TEXT = "If you can read this,\n\nthank a teacher: \N{LATIN SMALL LETTER E WITH ACUTE}.\n"
NOTE = sign_note(TEXT, [(ALICE_KEY, ALICE)])

# Published with the packages and logs that they are from.
PUBLISHED = [
    (
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        """\
This is an example message.

— example.com/foo \
Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""",
    ),
    (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann \
x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""",
    ),
]


# --- what is signed ------------------------------------------------------------------------------


@pytest.mark.parametrize(("vkey", "published"), PUBLISHED)
def test_published_notes_open(vkey, published):
    key = NoteKey.from_vkey(vkey)
    assert key.vkey == vkey
    note = open_note(published.encode(), [key])
    assert note.text == published.rpartition("\n\n")[0] + "\n"
    assert [each for each, _ in note.verified] == [key]


def test_a_note_is_the_text_an_empty_line_and_the_signatures():
    text, signature = NOTE.decode().rsplit("\n\n", 1)
    assert text + "\n" == TEXT
    assert signature.startswith("— example.org/alice ")
    assert open_note(NOTE, [ALICE_KEY]).text == TEXT


@law
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=99)
)
def test_every_text_without_control_characters_is_signed_and_opened(text):
    note = sign_note(text + "\n", [(ALICE_KEY, ALICE)])
    assert open_note(note, [ALICE_KEY]).text == text + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no newline",
        "\t\n",
        "\r\n",
        "\0\n",
        "\x1b[1m\n",
        "x\n\ny",
        "a lone surrogate: \ud800\n",
        f"and the last of them: {chr(0xDFFF)}\n",
        "x\n\n— example.org/bob AAAAAAA=",  # it would be signed as another text
    ],
)
def test_what_is_no_text_is_not_signed(text):
    with pytest.raises(InvalidError):
        sign_note(text, [(ALICE_KEY, ALICE)])


def test_a_note_without_a_signature_is_not_made():
    with pytest.raises(InvalidError):
        sign_note(TEXT, [])


@pytest.mark.parametrize(("key", "signer"), [(ALICE_KEY, BOB), (BOB_KEY, ALICE)])
def test_nobody_signs_in_the_name_of_another_key(key, signer):
    with pytest.raises(InvalidError):
        sign_note(TEXT, [(key, signer)])


def test_a_witness_signs_no_plain_notes():
    with pytest.raises(InvalidError):
        sign_note(TEXT, [(WitnessKey("example.org/alice", ALICE.public_key), ALICE)])


# --- who signed ----------------------------------------------------------------------------------


def test_all_known_keys_are_verified_and_the_others_ignored():
    note = sign_note(TEXT, [(BOB_KEY, BOB), (ALICE_KEY, ALICE)])
    both = open_note(note, [ALICE_KEY, BOB_KEY])
    assert [key for key, _ in both.verified] == [BOB_KEY, ALICE_KEY]
    one = open_note(note, [ALICE_KEY])
    assert [key for key, _ in one.verified] == [ALICE_KEY]
    assert [line.name for line in one.ignored] == ["example.org/bob"]


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [BOB_KEY],
        [NoteKey("example.org/alice", BOB.public_key)],
        [NoteKey("example.org/other", ALICE.public_key)],
        [WitnessKey("example.org/alice", ALICE.public_key)],
    ],
    ids=["none", "another", "the same name", "the same key", "the same, to witness"],
)
def test_a_note_signed_by_no_known_key_does_not_open(keys):
    with pytest.raises(TrustError, match=r"example\.org/alice") as caught:
        open_note(NOTE, keys)
    assert caught.value.reason == "unknown-key"


def test_a_wrong_signature_by_a_known_key_spoils_the_note_whoever_else_signed():
    wrong = Signature("example.org/bob", BOB_KEY.key_hash, bytes(64)).encode()
    note = add_signatures(NOTE, wrong)
    assert open_note(note, [ALICE_KEY]).text == TEXT
    with pytest.raises(IntegrityError, match=r"example\.org/bob") as caught:
        open_note(note, [ALICE_KEY, BOB_KEY])
    assert caught.value.reason == "bad-signature"


def test_a_second_line_of_a_known_key_is_verified_too():
    wrong = Signature("example.org/alice", ALICE_KEY.key_hash, bytes(64)).encode()
    with pytest.raises(IntegrityError):
        open_note(add_signatures(NOTE, wrong), [ALICE_KEY])


def test_keys_that_cannot_be_told_apart_are_refused(monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NoteKey, "key_hash", property(lambda _: b"same"))
        with pytest.raises(InvalidError, match="told apart"):
            open_note(NOTE, [ALICE_KEY, NoteKey("example.org/alice", BOB.public_key)])
    assert open_note(NOTE, [ALICE_KEY, ALICE_KEY]).text == TEXT


# --- adding signatures ---------------------------------------------------------------------------


def test_signatures_are_added_once():
    more = sign_note(TEXT, [(BOB_KEY, BOB)]).decode().rpartition("\n\n")[2].encode()
    both = add_signatures(NOTE, more)
    assert both == NOTE + more
    assert add_signatures(both, more + more) == both


@pytest.mark.parametrize("lines", [b"", b"\n", b"x\n", b"\xff\n", b"\xe2\x80\x94 a AAAAAAA="])
def test_what_is_no_line_is_not_added(lines):
    with pytest.raises(MalformedError):
        add_signatures(NOTE, lines)


# --- what is no note -----------------------------------------------------------------------------

LINE = NOTE.decode().rpartition("\n\n")[2]


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        TEXT.encode(),
        LINE.encode(),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.replace(b"\n\n\xe2", b"\n\xe2"),
        b"\n" + LINE.encode(),
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace("é".encode(), b"\xe9"),
        NOTE.replace(b"teacher", b"tea\x00her"),
        NOTE.replace(b"teacher", b"tea\xed\xa0\x80her"),
        NOTE + b"\xe2\x80\x94 +  AAAAAAA=\n",
        *[
            f"{TEXT}\n{line}".encode()
            for line in (
                LINE.replace("—", "-"),
                LINE.replace("— ", "—"),
                LINE.replace("— ", "—  "),
                LINE.replace(" example", "\N{NO-BREAK SPACE}example"),
                LINE.replace("/alice", "+alice"),
                LINE.replace("/alice", "\N{EM SPACE}alice"),
                LINE.replace("/alice", "\N{LINE SEPARATOR}alice"),
                LINE.replace("example.org/alice", ""),
                LINE.replace("=\n", "\n"),
                LINE.replace("=\n", "==\n"),
                LINE.replace("\n", " \n"),
                "— example.org/alice\n",
                "— example.org/alice \n",
                "— example.org/alice AAAAAA==\n",
                "— example.org/alice AAAAAAB=\n",
                "— example.org/alice AAAAAA+=\n",
                "— example.org/alice AAAA AAA=\n",
                "— example.org/alice AAAA-AA=\n",
                LINE + "more\n",
            )
        ],
    ],
)
def test_what_is_no_note_is_refused(note):
    with pytest.raises(MalformedError):
        parse_unverified(note)


def test_a_note_has_at_most_100_signatures_and_a_million_bytes():
    lines = [Signature(f"example.org/{n}", b"hash", b"signature").encode() for n in range(100)]
    assert open_note(NOTE + b"".join(lines[:99]), [ALICE_KEY]).text == TEXT
    with pytest.raises(MalformedError):
        open_note(NOTE + b"".join(lines), [ALICE_KEY])
    text = "x" * (1_000_000 - len(NOTE) + len(TEXT.encode()) - 1)
    assert len(sign_note(f"{text}\n", [(ALICE_KEY, ALICE)])) == 1_000_000
    with pytest.raises(InvalidError, match="at most 1000000"):
        sign_note(f"{text}x\n", [(ALICE_KEY, ALICE)])


def test_no_part_of_a_note_opens():
    for start in range(len(NOTE)):
        for end in range(start, len(NOTE) + 1):
            if (start, end) != (0, len(NOTE)):
                with pytest.raises(LedgerError):
                    open_note(NOTE[start:end], [ALICE_KEY])


@pytest.mark.parametrize(
    "values", [[*b"\0\n +/=Az\xff"], pytest.param(range(256), marks=pytest.mark.slow)], ids=len
)
def test_no_changed_byte_opens(values):
    for place, byte in enumerate(NOTE):
        for value in {*values, *(byte ^ 1 << bit for bit in range(8))}:
            changed = NOTE[:place] + bytes([value]) + NOTE[place + 1 :]
            if changed != NOTE:
                with pytest.raises((MalformedError, IntegrityError, TrustError)):
                    open_note(changed, [ALICE_KEY])


@law
@given(st.data())
def test_no_inserted_removed_or_moved_bytes_open(data):
    start = data.draw(st.integers(0, len(NOTE)))
    end = data.draw(st.integers(start, len(NOTE)))
    changed = NOTE[:start] + data.draw(st.binary(max_size=5)) + NOTE[end:]
    if changed != NOTE:
        with suppress(MalformedError, IntegrityError, TrustError):
            note = open_note(changed, [ALICE_KEY])
            assert note.text == TEXT  # a line more or less below the signature
            assert note.ignored


@law
@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_malformed(data):
    with suppress(MalformedError):
        parse_unverified(data)


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NoteKey, WitnessKey])
def test_a_key_comes_back_from_its_text(kind):
    key = kind("example.org/alice", ALICE.public_key)
    assert kind.from_vkey(key.vkey) == key
    assert hash(kind.from_vkey(key.vkey)) == hash(key)


def test_the_key_of_a_log_is_no_key_of_a_witness():
    assert WitnessKey("example.org/alice", ALICE.public_key) != ALICE_KEY
    with pytest.raises(MalformedError, match="type 01, expected 04"):
        WitnessKey.from_vkey(ALICE_KEY.vkey)
    with pytest.raises(MalformedError, match="type 04, expected 01"):
        NoteKey.from_vkey(WitnessKey("example.org/alice", ALICE.public_key).vkey)


def test_no_part_of_a_keys_text_and_no_changed_byte_is_a_key():
    vkey = ALICE_KEY.vkey
    for end in range(len(vkey)):
        with pytest.raises(MalformedError):
            NoteKey.from_vkey(vkey[:end])
    for place in range(len(vkey)):
        for value in range(128):
            changed = vkey[:place] + chr(value) + vkey[place + 1 :]
            if changed != vkey:
                with pytest.raises(MalformedError):
                    NoteKey.from_vkey(changed)


def test_a_weak_key_is_refused_even_with_the_right_hash():
    typed = b"\x01" + bytes(32)
    with pytest.raises(MalformedError):
        NoteKey.from_vkey(f"weak+00000000+{encode_base64(typed)}")
    with pytest.raises(MalformedError):
        NoteKey("weak", PublicKey(bytes(32)))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "\ud800",
        chr(0xDFFF),
        " a",
        "a ",
        "a b",
        "a+b",
        "a\nb",
        "a\N{NO-BREAK SPACE}b",
        " ",
        "a\x1b",
    ],
)
def test_a_name_has_no_spaces_plus_control_characters_or_lone_surrogates(name):
    with pytest.raises(InvalidError):
        NoteKey(name, ALICE.public_key)


def test_a_note_does_not_get_more_signatures_than_it_may_have():
    lines = b"".join(Signature("w", b"hash", bytes([each, 0])).encode() for each in range(100))
    with pytest.raises(MalformedError, match="more than 100 signatures"):
        add_signatures(NOTE, lines)
