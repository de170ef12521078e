"""Checkpoints and cosignatures: which log, how large, which root, who says so, and when."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, InvalidError, LedgerError, MalformedError, TrustError
from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    EMPTY_ROOT,
    Checkpoint,
    NoteKey,
    WitnessKey,
    add_signatures,
    cosign,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    sign_note,
)
from ledger.tlog.note import Signature, encode_base64, parse_unverified
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(200))

ROOT = hashlib.sha256(b"root").digest()
LOG, OLD_LOG, WITNESS, OTHER = map(signer, ["log", "old log", "witness", "other witness"])
WITNESS_KEY = WitnessKey("witness.example/w1", WITNESS.public_key)
OTHER_KEY = WitnessKey("witness.example/w2", OTHER.public_key)
CHECKPOINT = Checkpoint(ORIGIN, 70_000, ROOT)
SIGNED = sign_checkpoint(CHECKPOINT, LOG)
NOON = 1_795_000_000
COSIGNED = add_signatures(SIGNED, cosign(CHECKPOINT, WITNESS_KEY, WITNESS, NOON))

# Of a public log of certificates, with a signature of a type that is not ours, too; real keys.
PUBLISHED_LOG = "arche2025h1.staging.ct.transparency.dev"
PUBLISHED_LOG_KEY = f"{PUBLISHED_LOG}+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
PUBLISHED_WITNESS_KEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
PUBLISHED = f"""\
{PUBLISHED_LOG}
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— {PUBLISHED_LOG} \
zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon\
5Ch9MNL5zRNZ55lvGt0=
— {PUBLISHED_LOG} \
ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— witness1.smartit.nu/witness1 \
pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZ\
sDsUAQ==
— remora.n621.de \
2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0D\
rAWfBw==
""".encode()


def opened(note, **changes):
    arguments = {"origin": ORIGIN, "log_keys": [LOG.public_key], "witnesses": [WITNESS_KEY]}
    return open_checkpoint(note, **(arguments | changes))


# --- the text ------------------------------------------------------------------------------------


def test_a_checkpoint_is_three_lines():
    assert CHECKPOINT.text == f"{ORIGIN}\n70000\n{encode_base64(ROOT)}\n"
    assert Checkpoint.parse(CHECKPOINT.text) == CHECKPOINT


def test_the_empty_log_has_the_root_of_nothing():
    assert Checkpoint.parse(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text).size == 0
    for size, root in [(0, ROOT), (1, EMPTY_ROOT)]:
        with pytest.raises(InvalidError):
            Checkpoint(ORIGIN, size, root)


@law
@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_comes_back(size, root):
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert Checkpoint.parse(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, ROOT),
        ("two words", 1, ROOT),
        ("a+b", 1, ROOT),
        ("a\nb", 1, ROOT),
        (ORIGIN, -1, ROOT),
        (ORIGIN, 2**63, ROOT),
        (ORIGIN, 1, ROOT[:-1]),
        (ORIGIN, 1, ROOT + b"\0"),
        (ORIGIN, 1, b""),
    ],
)
def test_what_is_no_checkpoint_is_not_made(origin, size, root):
    with pytest.raises(InvalidError):
        Checkpoint(origin, size, root)


HASH = encode_base64(ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        f"{ORIGIN}\n1\n{HASH}",
        f"{ORIGIN}\n1\n{HASH}\n\n",
        f"{ORIGIN}\n1\n{HASH}\nan extension\n",
        f"{ORIGIN}\n1\n",
        f"\n1\n{HASH}\n",
        f"{ORIGIN} \n1\n{HASH}\n",
        f"{ORIGIN}\n01\n{HASH}\n",
        f"{ORIGIN}\n+1\n{HASH}\n",
        f"{ORIGIN}\n-1\n{HASH}\n",
        f"{ORIGIN}\n1.0\n{HASH}\n",
        f"{ORIGIN}\n1_0\n{HASH}\n",
        f"{ORIGIN}\n 1\n{HASH}\n",
        f"{ORIGIN}\n\N{ARABIC-INDIC DIGIT ONE}\n{HASH}\n",
        f"{ORIGIN}\n9223372036854775808\n{HASH}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{HASH}\n",
        f"{ORIGIN}\n\n{HASH}\n",
        f"{ORIGIN}\n0\n{HASH}\n",
        f"{ORIGIN}\n1\n{HASH[:-1]}\n",
        f"{ORIGIN}\n1\n{HASH}=\n",
        f"{ORIGIN}\n1\n{HASH} \n",
        f"{ORIGIN}\n1\n{encode_base64(ROOT[:31])}\n",
        f"{ORIGIN}\n1\n{ROOT.hex()}\n",
    ],
)
def test_every_other_text_is_refused(text):
    with pytest.raises(MalformedError):
        Checkpoint.parse(text)


@law
@given(st.text(max_size=99))
def test_a_text_that_is_read_is_the_text_of_its_checkpoint(text):
    with suppress(MalformedError):
        assert Checkpoint.parse(text).text == text


# --- who signed ----------------------------------------------------------------------------------


def test_a_checkpoint_opens_with_the_key_of_its_log():
    found = opened(SIGNED)
    assert (found.checkpoint, found.cosignatures, found.note) == (CHECKPOINT, (), SIGNED)


def test_a_published_checkpoint_opens():
    log_key = NoteKey.from_vkey(PUBLISHED_LOG_KEY).key
    witness = WitnessKey.from_vkey(PUBLISHED_WITNESS_KEY)
    found = open_checkpoint(
        PUBLISHED, origin=PUBLISHED_LOG, log_keys=[log_key], witnesses=[witness]
    )
    assert found.checkpoint.size == 1_432_088_532
    assert found.cosignatures == ((witness, 0x6A122120),)
    changed = PUBLISHED.replace(b"1432088532", b"1432088533")
    for key in (NoteKey.from_vkey(PUBLISHED_LOG_KEY), witness):
        with pytest.raises(IntegrityError):
            open_note(changed, [key])


def test_one_of_the_logs_keys_is_enough():
    """A log may go on with a new key: who knows both opens old and new checkpoints."""
    keys = [OLD_LOG.public_key, LOG.public_key]
    assert opened(SIGNED, log_keys=keys).checkpoint == CHECKPOINT
    both = add_signatures(
        sign_checkpoint(CHECKPOINT, OLD_LOG),
        _lines(SIGNED),
    )
    for some in (keys, keys[:1], keys[1:]):
        assert opened(both, log_keys=some).checkpoint == CHECKPOINT


def test_a_checkpoint_that_the_log_did_not_sign_does_not_open():
    for keys in ([], [OLD_LOG.public_key]):
        with pytest.raises(TrustError) as caught:
            opened(SIGNED, log_keys=keys)
        assert caught.value.reason == "unknown-key"


def test_cosignatures_alone_do_not_make_it_the_logs():
    line = cosign(CHECKPOINT, WITNESS_KEY, WITNESS, NOON)
    note = CHECKPOINT.text.encode() + b"\n" + line
    with pytest.raises(TrustError, match="signed by no key of") as caught:
        opened(note)
    assert caught.value.reason == "unknown-key"


@pytest.mark.parametrize("other", ["a.example/first", "z.example/last"])
def test_a_logs_key_signs_for_its_own_origin_only(other):
    """Another log of the same key, or another name under the same text."""
    with pytest.raises(TrustError):
        opened(SIGNED, origin=other)
    note = sign_note(Checkpoint(other, 1, ROOT).text, [(NoteKey(ORIGIN, LOG.public_key), LOG)])
    with pytest.raises(IntegrityError, match=other) as caught:
        opened(note)
    assert caught.value.reason == "wrong-ledger"


def test_a_signed_note_that_is_no_checkpoint_is_refused():
    key = NoteKey(ORIGIN, LOG.public_key)
    for text in ("hello\n", CHECKPOINT.text + "an extension\n", CHECKPOINT.text + "\n"):
        with pytest.raises(MalformedError):
            opened(sign_note(text, [(key, LOG)]))


def test_nobody_signs_in_the_name_of_another_key():
    with pytest.raises(InvalidError):
        sign_note(CHECKPOINT.text, [(NoteKey(ORIGIN, LOG.public_key), OTHER)])
    with pytest.raises(InvalidError):
        cosign(CHECKPOINT, WITNESS_KEY, OTHER, NOON)


# --- cosignatures --------------------------------------------------------------------------------


def test_a_witness_says_when_it_saw_the_checkpoint():
    assert opened(COSIGNED).cosignatures == ((WITNESS_KEY, NOON),)
    assert opened(COSIGNED, witnesses=[]).cosignatures == ()


def test_a_cosignature_is_over_the_time_and_the_text():
    """c2sp.org/tlog-cosignature, Ed25519 signed message."""
    _, (_, signature) = parse_unverified(COSIGNED)
    typed = b"witness.example/w1\n\x04" + WITNESS.public_key.raw
    assert signature.key_hash == hashlib.sha256(typed).digest()[:4]
    assert signature.body[:8] == NOON.to_bytes(8, "big")
    message = f"cosignature/v1\ntime {NOON}\n{CHECKPOINT.text}".encode()
    assert WITNESS.public_key.verify(signature.body[8:], message)


def test_a_witness_may_sign_again_and_others_too():
    note = COSIGNED
    for key, held, time in [(OTHER_KEY, OTHER, 0), (WITNESS_KEY, WITNESS, NOON + 60)]:
        note = add_signatures(note, cosign(CHECKPOINT, key, held, time))
    found = opened(note, witnesses=[WITNESS_KEY, OTHER_KEY]).cosignatures
    assert found == ((WITNESS_KEY, NOON), (OTHER_KEY, 0), (WITNESS_KEY, NOON + 60))


def test_a_log_is_no_witness_of_itself():
    own = WitnessKey("witness.example/own", LOG.public_key)
    note = add_signatures(SIGNED, cosign(CHECKPOINT, own, LOG, NOON))
    assert opened(note, witnesses=[WITNESS_KEY, own]).cosignatures == ()


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_a_time_is_from_1970_and_fits_into_63_bits(timestamp):
    last = add_signatures(SIGNED, cosign(CHECKPOINT, WITNESS_KEY, WITNESS, 2**63 - 1))
    assert opened(last).cosignatures == ((WITNESS_KEY, 2**63 - 1),)
    with pytest.raises(InvalidError):
        cosign(CHECKPOINT, WITNESS_KEY, WITNESS, timestamp)


def test_a_time_beyond_63_bits_is_refused_though_signed():
    time = 2**63
    signed = WITNESS.sign(f"cosignature/v1\ntime {time}\n{CHECKPOINT.text}".encode())
    body = time.to_bytes(8, "big") + signed
    line = Signature(WITNESS_KEY.name, WITNESS_KEY.key_hash, body).encode()
    with pytest.raises(IntegrityError):
        opened(add_signatures(SIGNED, line))


def test_a_witnesss_plain_signature_is_no_cosignature():
    """Same key, same name, same text: a signature of a note is of another type."""
    body = WITNESS.sign(CHECKPOINT.text.encode())
    for changed in (body, bytes(8) + body, b"?"):
        line = Signature(WITNESS_KEY.name, WITNESS_KEY.key_hash, changed).encode()
        with pytest.raises(IntegrityError):
            opened(add_signatures(SIGNED, line))


def test_a_cosignature_of_another_checkpoint_spoils_the_note():
    line = cosign(Checkpoint(ORIGIN, 70_001, ROOT), WITNESS_KEY, WITNESS, NOON)
    with pytest.raises(IntegrityError, match=r"witness\.example/w1") as caught:
        opened(add_signatures(SIGNED, line))
    assert caught.value.reason == "bad-signature"
    assert opened(add_signatures(SIGNED, line), witnesses=[]).checkpoint == CHECKPOINT


# --- no other bytes ------------------------------------------------------------------------------


def test_no_part_of_a_checkpoint_opens():
    whole = len(SIGNED)
    for start, end in itertools.combinations(range(whole + 1), 2):
        if (start, end) != (0, whole):
            with pytest.raises(LedgerError):
                opened(SIGNED[start:end])


def test_a_changed_byte_opens_only_where_it_makes_a_cosignature_unknown():
    for place, bit in itertools.product(range(len(COSIGNED)), range(8)):
        changed = bytearray(COSIGNED)
        changed[place] ^= 1 << bit
        with suppress(MalformedError, IntegrityError, TrustError):
            found = opened(bytes(changed))
            assert place > len(SIGNED)
            assert (found.checkpoint, found.cosignatures) == (CHECKPOINT, ())


def _lines(note):
    return b"".join(each.encode() for each in parse_unverified(note)[1])


@pytest.mark.parametrize("more", ["x", "x\n", "\n"])
def test_nothing_follows_the_root(more):
    assert Checkpoint.parse(CHECKPOINT.text) == CHECKPOINT
    with pytest.raises(MalformedError):
        Checkpoint.parse(CHECKPOINT.text + more)
