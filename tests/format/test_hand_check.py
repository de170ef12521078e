"""The scripts of docs/how-to/verify-by-hand.md accept what the library wrote, and nothing else.

That the page's own session works is for ``test_docs`` to say; here its scripts meet other shells,
naughty texts and tampering.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ledger.format.entry import Entry, address_of, short_form
from ledger.testing import ORIGIN, signer
from tests.format.by_hand import ALICE, SALT, TITLE, entry, members, pae, sealed, spell, text, wrap
from tests.format.make_vectors import malicious
from tests.test_docs import ROOT, TOOLS, blocks, has, saved_as

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "verify-by-hand.md"

pytestmark = [
    pytest.mark.skipif(not has(tool), reason=f"needs {tool}") for tool in TOOLS[PAGE.name]
]

NEUTRAL = b"\x01" + bytes(31)
NAUGHTY: list[dict[str, Any]] = [
    {},
    {"document": {"name": "Żółta\x7f\u2028"}, "message": "\x7f\x00\x1f"},
    {"document": {"price": 0.5, "small": 1e-7, "smallest": 5e-324, "large": 2**53 - 1}},
    {"document": {"text": "a\\n\"b'$(exit 1)%s`exit`"}, "message": "'; exit 1; '"},
    {"message": '},"signature":"AA==","text":{}}'},
    {"document": {"entry": {"parent": "a" * 64, "version": 9}, "signature": "", "text": {}}},
    {"reference": '},"signature":"AA=="'},
    {"reference": "Az. 7 C 12/26 ü \U0001f3e1"},
    {"reference": "%d %s \\n $HOME `id`"},
    {"reference": "-n"},
    {"document": {"\U0001f600": 1, "\ufb33": 2, "é": 3, "e\u0301": 4, "": 5}},
    {"document": {"a": "x" * 100_000}},
    {"document": {"list": [[[[[]]]], {}, None, True, False]}, "author": "-e"},
    {"effective_at": "1866", "effective_until": "2099-12-31T23:59:59+14:00"},
    {"author": "O'Brien \\", "message": '\\\\"\\u0041'},
]


def recorded(number: int) -> str:
    return f"2026-11-23T10:{number:02}:00.000000Z"


def sign(number: int, parent: Entry | None, **changes: Any) -> Entry:
    plain = {"ledger": ORIGIN, "title_number": TITLE, "recorded_at": recorded(number)}
    return Entry.sign(ALICE, **({"document": {}, "salt": SALT, "parent": parent} | plain | changes))


class Folder:
    """A folder with one title, and the scripts beside it."""

    def __init__(self, folder: Path, *changes: dict[str, Any]) -> None:
        self.folder = folder
        for block in blocks(PAGE):
            name = saved_as(block)
            if name:
                (folder / name).write_text(block.text)
        self.key = folder / "registrar.pem"
        self.key.write_bytes(ALICE.public_key.pem())
        self.title = folder / TITLE
        self.title.mkdir()
        self.entries: list[Entry] = []
        for number, change in enumerate(changes, 1):
            self.entries.append(sign(number, self.entries[-1] if self.entries else None, **change))
            self.put(self.entries[-1].data, head=True)

    def file(self, version: int) -> Path:
        return self.title / f"{self.entries[version - 1].address}.json"

    def withhold(self, *versions: int) -> None:
        for version in versions:
            self.file(version).write_bytes(self.entries[version - 1].short)

    def check_entry(self, file: Path, key: Path | None = None) -> bool:
        return self.run("verify-entry.sh", str(file), str(key or self.key)).returncode == 0

    def check_chain(self, pin: str = "", origin: str = ORIGIN) -> bool:
        done = self.run("verify-chain.sh", str(self.title), str(self.key), origin, pin)
        return done.returncode == 0

    def run(self, script: str, *arguments: str, shell: str = "sh") -> Any:
        command = [*shell.split(), str(self.folder / script), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def put(self, data: bytes, *, head: bool = False) -> Path:
        """Store bytes under the address that is theirs."""
        file = self.title / f"{address_of(data)}.json"
        file.write_bytes(data)
        if head:
            (self.title / "head.json").write_bytes(data)
        return file


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, *NAUGHTY[:3])


# --- what holds ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_a_chain_of_thirty_naughty_entries_holds_in_every_shell(shell, tmp_path):
    """Each naughty entry stands in it once in its long form, and once in its short one."""
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"no {shell}")
    half = len(NAUGHTY)
    last = {"erases": tuple(range(1, half)), "reference": "AG 7/26"}
    folder = Folder(tmp_path, *NAUGHTY, *NAUGHTY, last)
    folder.withhold(*range(1, half))
    done = folder.run("verify-chain.sh", str(folder.title), str(folder.key), ORIGIN, shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{TITLE}: the chain holds, from head to root"
    assert sum(line.endswith(", its text holds") for line in lines) == half + 2
    assert sum(line.endswith(", its text is withheld") for line in lines) == half - 1
    assert sum(line.endswith(" was erased") for line in lines) == half - 1


def test_the_chain_passes_with_a_pin(folder):
    assert folder.check_chain(folder.entries[1].address)


# --- what does not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("withheld", "step"),
    [
        *((False, 251), (True, 503)),
        *(pytest.param(each, 53, marks=pytest.mark.slow) for each in (False, True)),
    ],
)
def test_a_changed_byte_fails_wherever_it_is(folder, withheld, step):
    file = folder.file(3)
    data = folder.entries[2].short if withheld else folder.entries[2].data
    file.write_bytes(data)
    assert folder.check_entry(file)
    for position in range(0, len(data), step):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        file.write_bytes(changed)
        assert not folder.check_entry(file), f"byte {position} (under the old name)"
        assert not folder.check_entry(folder.put(changed)), f"byte {position} (under its own name)"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: data + b"}",
        lambda data: b" " + data,
        lambda data: data[:-1],
        lambda data: data[:-1] + b',"more":1}',
        lambda data: data.replace(b',"text":', b',"signature":"","text":'),
        lambda data: data.replace(b'{"entry":', b'{"entry":{},"entry":'),
        lambda data: data.replace(b',"text":', b',"text":{},"text":'),
        lambda data: data.replace(b'"kind":', b'"kind": '),
    ],
)
def test_nothing_else_may_be_in_the_object(folder, change):
    file = folder.file(2)
    file.write_bytes(change(folder.entries[1].data))
    assert not folder.check_entry(file)


def test_another_text_fails(folder):
    one, other = folder.entries[:2]
    file = folder.put(one.short[:-1] + b',"text":' + other.text_bytes + b"}")
    assert file == folder.file(1)
    done = folder.run("verify-entry.sh", str(file), str(folder.key))
    assert done.returncode == 1
    assert done.stderr.endswith("its text is not the one that was signed\n")


def test_a_text_that_nobody_erased_may_not_be_withheld(folder):
    folder.withhold(2)
    done = folder.run("verify-chain.sh", str(folder.title), str(folder.key), ORIGIN)
    assert done.returncode == 1
    assert done.stderr == (
        f"{TITLE}: the text of version 2 is withheld, and no entry above erases it\n"
    )


def test_a_withheld_head_fails(folder):
    folder.withhold(3)
    (folder.title / "head.json").write_bytes(folder.entries[2].short)
    assert not folder.check_chain()


def test_an_entry_does_not_erase_itself_nor_what_is_above_it(tmp_path):
    folder = Folder(tmp_path, {}, {"erases": (1,), "reference": "R"}, {})
    folder.withhold(1)
    assert folder.check_chain()
    folder.withhold(2)
    assert not folder.check_chain()


def test_a_missing_entry_fails_the_chain(folder):
    folder.file(1).unlink()
    assert not folder.check_chain()


def test_another_key_fails(folder):
    other = folder.folder / "other.pem"
    other.write_bytes(signer("bob").public_key.pem())
    assert not folder.check_entry(folder.file(1), other)


def test_a_signature_over_other_bytes_fails(folder):
    payload = folder.entries[0].payload
    assert not folder.check_entry(folder.put(wrap(payload, ALICE.sign(payload))))
    assert folder.check_entry(folder.put(wrap(payload, ALICE.sign(pae(payload)))))


def test_a_point_of_small_order_fails_though_openssl_accepts_it(folder):
    payload = folder.entries[0].payload
    small = malicious(pae(payload), NEUTRAL, small=True)
    done = folder.run("verify-entry.sh", str(folder.put(wrap(payload, small))), str(folder.key))
    assert done.returncode == 1
    assert "a point of small order" in done.stderr

    spki = bytes.fromhex("302a300506032b6570032100") + NEUTRAL
    key = folder.folder / "small.der"
    key.write_bytes(spki)
    pem = folder.folder / "small.pem"
    command = ["openssl", "pkey", "-pubin", "-inform", "DER", "-in", key, "-out", pem]
    subprocess.run(command, check=True, timeout=60)
    payload = spell(members(key=hashlib.sha256(spki).hexdigest()))
    file = folder.put(wrap(payload, NEUTRAL + bytes(32)))
    done = folder.run("verify-entry.sh", str(file), str(pem))
    assert done.returncode == 1
    assert "a point of small order" in done.stderr


def test_another_ledger_fails(folder):
    assert not folder.check_chain(origin="example.org/others")


def test_a_rollback_passes_without_a_pin_and_fails_with_one(folder):
    (folder.title / "head.json").write_bytes(folder.entries[1].data)
    assert folder.check_chain()
    assert not folder.check_chain(folder.entries[2].address)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parent": "0" * 64},
        pytest.param({"recorded_at": recorded(0)}, marks=pytest.mark.slow),
        pytest.param({"version": 4}, marks=pytest.mark.slow),
        pytest.param({"title_number": "TN2"}, marks=pytest.mark.slow),
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_link_that_is_wrong_fails(tmp_path, wrong):
    folder = Folder(tmp_path, {})
    right = {"version": 2, "parent": folder.entries[0].address, "recorded_at": recorded(2)}
    folder.put(entry(**right), head=True)
    assert folder.check_chain()
    folder.put(entry(**(right | wrong)), head=True)
    assert not folder.check_chain()


def test_the_lone_address_is_that_of_the_one_line_on_the_page(folder):
    line = next(block.text for block in blocks(PAGE) if block.info == "sh").strip()
    for data in (folder.entries[1].data, folder.entries[1].short):
        (folder.folder / "ENTRY").write_bytes(data)
        command = ["sh", "-c", line]
        done = subprocess.run(
            command, cwd=folder.folder, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.split()[0] == folder.entries[1].address
    assert short_form(sealed(spell(members()), spell(text()))) == sealed(spell(members()))
