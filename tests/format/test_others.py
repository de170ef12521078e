"""What implementations that aren't ours make of the same documents, entries and signatures.

Canonical JSON (RFC 8785): Python's ``rfc8785`` and ``jcs``, npm's ``canonicalize``. DSSE: Python's
``securesystemslib``, npm's ``@sigstore/core``.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from hypothesis import given, settings
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from ledger.errors import MalformedError
from ledger.format.canonical import MAX_DEPTH, decode, encode, load
from ledger.format.entry import PAYLOAD_TYPE, Entry, short_form, signed_bytes
from tests import corpora
from tests.format.by_hand import ALICE
from tests.format.test_canonical import values
from tests.format.test_diff import documents
from tests.format.test_entry import references, sign, sly
from tests.laws import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors" / "format-1.json"
TYPE = PAYLOAD_TYPE.decode()
KEY_ID = ALICE.public_key.key_id
KEY = SSlibKey(KEY_ID, "ed25519", "ed25519", {"public": ALICE.public_key.raw.hex()})
law = settings(deadline=None, max_examples=examples(500))


class Npm:
    """The packages of npm, each by its hash, in a process that answers line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, **asked: str) -> bytes:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "node has ended"
        return base64.b64decode(line)

    def canonicalize(self, text: bytes) -> bytes:
        return self._ask(json=base64.b64encode(text).decode())

    def encode_dsse(self, payload: bytes) -> bytes:
        return self._ask(payload=base64.b64encode(payload).decode(), type=TYPE)


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Npm]:
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("needs npm (Debian: npm)")
    folder = tmp_path_factory.mktemp("npm")
    shutil.copytree(HERE / "others", folder, dirs_exist_ok=True)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True, timeout=600)
    with subprocess.Popen(
        ["node", "answer.js"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Npm(process)
        finally:
            process.kill()


def spellings(npm: Npm, text: bytes) -> list[bytes]:
    """How the others spell the value of a JSON text."""
    import jcs  # only the slow tests need it

    value = json.loads(text)
    return [rfc8785.dumps(value), jcs.canonicalize(value), npm.canonicalize(text)]


def encodings(npm: Npm, payload: bytes) -> list[bytes]:
    """What the others would sign in place of this P."""
    return [Envelope(payload, TYPE, {}).pae(), npm.encode_dsse(payload)]


def accepts(entry: Entry) -> bool:
    """Whether another verifier of DSSE envelopes accepts the entry's signature."""
    signature = {"keyid": KEY_ID, "sig": base64.b64encode(entry.signature).decode()}
    payload = base64.b64encode(entry.payload).decode()
    envelope = {"payload": payload, "payloadType": TYPE, "signatures": [signature]}
    return Envelope.from_dict(envelope).verify([KEY], 1).keys() == {KEY_ID}


@law
@given(value=values)
def test_any_value_is_spelled_as_others_spell_it(npm, value):
    spelled = encode(value)
    for text in (spelled, json.dumps(value, indent=1).encode()):
        assert spellings(npm, text) == [spelled] * 3


@law
@given(document=documents, author=sly, message=sly, reference=references)
def test_any_entry_is_spelled_and_signed_as_others_would(npm, document, author, message, reference):
    entry = sign(document, author=author, message=message, reference=reference)
    for data in (entry.data, entry.short, entry.payload, entry.text_bytes):
        assert spellings(npm, data) == [data] * 3
    assert encodings(npm, entry.payload) == [signed_bytes(entry.payload)] * 2
    assert accepts(entry)


def test_the_vectors_are_spelled_and_signed_as_others_would(npm):
    vectors: dict[str, Any] = json.loads(VECTORS.read_text())
    objects = [data for chain in vectors["chains"] for data in chain["objects"].values()]
    assert check(npm, [data.encode() for data in objects]) > 20
    refused = [base64.b64decode(each["object_base64"]) for each in vectors["invalid_entries"]]
    check(npm, refused)


@pytest.mark.skipif(
    not (corpora.VECTORS / "format.jsonl").exists(),
    reason=f"no format.jsonl in {corpora.VECTORS} (LEDGER_CORPORA names the folder beside it)",
)
def test_the_objects_that_others_judged_are_spelled_and_signed_as_others_would(npm):
    lines = (corpora.VECTORS / "format.jsonl").read_bytes().splitlines()
    objects = [each for line in lines for each in json.loads(line)["objects"].values()]
    assert check(npm, [base64.b64decode(each) for each in objects]) > 1000


def check(npm: Npm, objects: list[bytes]) -> int:
    """Compare what is canonical of these objects, in either form; return how many are."""
    read = 0
    for data in {*objects, *short_forms(objects)}:
        try:
            value = load(data, depth=MAX_DEPTH + 2)
        except MalformedError:
            continue
        assert spellings(npm, data) == [data] * 3
        payload = rfc8785.dumps(value.get("entry") if isinstance(value, dict) else value)
        assert encodings(npm, payload) == [signed_bytes(payload)] * 2
        read += 1
    return read


def short_forms(objects: list[bytes]) -> Iterator[bytes]:
    for data in objects:
        try:
            yield short_form(data)
        except MalformedError:
            continue


@corpora.needs("json/test_parsing/y_*.json")
def test_what_is_read_of_the_json_test_suite_is_spelled_as_others_spell_it(npm):
    read = 0
    for path in corpora.files("json/test_parsing/y_*.json"):
        try:
            spelled = encode(decode(path.read_bytes()))
        except MalformedError:
            continue
        assert spellings(npm, path.read_bytes()) == [spelled] * 3
        read += 1
    assert read > 80
