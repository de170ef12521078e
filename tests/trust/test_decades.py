"""A register of twenty years, from 64 hex digits: judged by the software, and by the script of
``docs/how-to/verify-in-2046.md``, which shares no code with it. They agree on it, and on every
attack on it."""

from __future__ import annotations

import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ledger import Keyring, Ledger, LedgerError, Log
from ledger.format.entry import Entry, short_form
from ledger.format.keyring import Root
from ledger.format.layout import entry_key, head_key, trust_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, FixedRandom, signer
from ledger.tlog import Checkpoint, Leaf, sign_checkpoint
from ledger.tlog.objects import TrustLeaf
from ledger.tlog.tiles import ENTRIES, Tile, TileBuilder, decode_entries
from ledger.trust import HolderSignature, TrustFile
from tests.cli.shell import Shell
from tests.test_docs import blocks, saved_as
from tests.trust import decades
from tests.trust.decades import ARCHIVE, FACTS, LOG_A, LOG_C, READ_IN, Decades
from tests.trust.people import ADA, BEN, DAN, listed, people, registrar, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "verify-in-2046.md"
TOLD = json.loads(FACTS.read_text())
DIGEST = TOLD["trust"]


def leaf_of(entry: Entry) -> bytes:
    return Leaf(entry.title_number, entry.version, entry.address).encode()


class Copy:
    """The objects of the register, which an attacker may change."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = dict(objects)

    # -- What is there -------------------------------------------------------------------------

    def file(self, version: int) -> TrustFile:
        return TrustFile.decode(self.objects[trust_key(version)])

    def head(self, title: str) -> Entry:
        return Entry.unverified(self.objects[head_key(title)])

    def chain(self, title: str) -> list[Entry]:
        """The entries of a title, the first one first."""
        chain = [self.head(title)]
        while chain[0].parent:
            data = self.objects[entry_key(title, chain[0].parent)]
            chain.insert(0, Entry.unverified(data))
        return chain

    def open(self, root: TrustFile | None = None, name: str | None = None) -> Ledger:
        store = MemoryStore()
        for key, data in self.objects.items():
            store.create(key, data)
        file = root or TrustFile.decode(STORE[trust_key(1)])
        return Ledger.open(
            store,
            keyring=Keyring(roots=[Root(ORIGIN, file.digest, file.version)]),
            signer=signer(name) if name else None,
            clock=FixedClock(READ_IN),
            random_bytes=FixedRandom(),
        )

    def leaves(self) -> list[bytes]:
        tile = Tile(ENTRIES, 0, self.checkpoint().size)
        return decode_entries(tile, self.objects[f"_log/{tile.path}"])

    def checkpoint(self) -> Checkpoint:
        text, _, _ = self.objects["_log/checkpoint"].decode().partition("\n\n")
        return Checkpoint.parse(f"{text}\n")

    # -- What an attacker does -----------------------------------------------------------------

    def put(self, file: TrustFile) -> None:
        self.objects[trust_key(file.version)] = file.encode()

    def next_file(self, *names: str, **changes: Any) -> TrustFile:
        """A file on top of the newest one, signed by these holders."""
        newest = self.file(20)
        file = replace(
            newest,
            **{"version": 21, "previous": newest.digest, "log": self.checkpoint(), **changes},
        )
        return signed(file, *(names or (BEN, DAN)))

    def relog(self, leaves: Sequence[bytes], *signers: Any) -> None:
        """Publish a log of these leaves, signed by whoever has these keys."""
        builder = TileBuilder()
        made = [tile for leaf in leaves for tile in builder.append(leaf)]
        for tile, data in [*made, *builder.unfinished()]:
            self.objects[f"_log/{tile.path}"] = data
        note = sign_checkpoint(
            Checkpoint(ORIGIN, builder.size, builder.root()), *(signers or LOG_C)
        )
        self.objects["_log/checkpoint"] = note

    def add(self, title: str, name: str, *, logged: bool, **members: Any) -> Entry:
        """Put an entry of somebody's on top of a title."""
        head = self.head(title) if head_key(title) in self.objects else None
        defaults = {
            "document": {"forged": True},
            "recorded_at": "2045-12-24T00:00:00.000000Z",
            "salt": bytes(32),
        }
        entry = Entry.sign(
            signer(name), ledger=ORIGIN, title_number=title, parent=head, **(defaults | members)
        )
        self.objects[entry_key(title, entry.address)] = entry.data
        self.objects[head_key(title)] = entry.data
        if logged:
            self.relog([*self.leaves(), leaf_of(entry)])
        return entry

    # -- The two judges ------------------------------------------------------------------------

    def by_library(self, root: TrustFile | None = None) -> list[str]:
        """What the software finds, or what it refuses to go on for."""
        try:
            report = Log(self.open(root)).audit(jobs=1).run()
        except LedgerError as error:
            return [type(error).__name__]
        return [finding.slug for finding in report.findings]

    def by_script(self, folder: Path, digest: str = DIGEST) -> list[str]:
        """What the script prints that is wrong; [] only if it says that all is good."""
        for key, data in self.objects.items():
            path = folder / "copy" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        script = folder / "verify_2046.py"
        script.write_text(script_text())
        printed, argv, hook = io.StringIO(), sys.argv, sys.excepthook
        sys.argv = [str(script), str(folder / "copy"), digest]
        code: object = "none"
        try:
            with redirect_stdout(printed):
                runpy.run_path(str(script))
        except SystemExit as end:
            code = end.code
        except Exception as error:  # noqa: BLE001 -- a process would print it, and end with 1
            return [repr(error)]
        finally:
            sys.argv, sys.excepthook = argv, hook
        found = [line for line in printed.getvalue().splitlines() if line.startswith("WRONG: ")]
        assert code == bool(found)
        return found


def script_text() -> str:
    (script,) = [block for block in blocks(PAGE) if saved_as(block) == "verify_2046.py"]
    return script.text


def read_archive() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


STORE = read_archive()


# -- As it is --------------------------------------------------------------------------------------


def test_the_software_finds_nothing_wrong():
    ledger = Copy(STORE).open()
    report = Log(ledger).audit(jobs=1).run()
    assert (report.outcome, report.findings) == ("verified", ())
    for title, told in TOLD["titles"].items():
        assert ledger.verify(title).outcome == "verified"
        judged = list(ledger.history.judged(ledger.head(title)))
        assert told == {
            "versions": len(judged),
            "void": [entry.version for entry, stand in judged if stand.is_void],
            "confirmed": [entry.version for entry, stand in judged if stand.is_confirmed],
            "erased": [entry.version for entry, _ in judged if entry.is_withheld],
        }


def test_the_script_finds_nothing_wrong_with_cryptography_alone(tmp_path):
    """Nothing of ours can be imported, and no package but one."""
    decades.unpack(tmp_path / "titles")
    (tmp_path / "verify_2046.py").write_text(script_text())
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, "verify_2046.py", "titles", DIGEST],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *titles, verdict = done.stdout.splitlines()
    assert verdict == "good: 20 trust files, 42 leaves, 5 titles of example.org/titles"
    assert titles == [
        f"{title}: {told['versions']} versions, {told['versions']} holds; void {told['void']},"
        f" confirmed {told['confirmed']}, erased {told['erased']}"
        for title, told in TOLD["titles"].items()
    ]


ALONE = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {*sys.stdlib_module_names, "cryptography", "cffi", "_cffi_backend"}:
            raise ImportError(f"not here: {name}")
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_any_trust_file_may_be_the_one_that_is_pinned(tmp_path):
    copy = Copy(STORE)
    for version in (5, 20):
        file = copy.file(version)
        assert copy.by_library(file) == []
        assert copy.by_script(tmp_path, file.digest) == []


def test_the_commands_find_nothing_wrong(tmp_path):
    shell = Shell.make(tmp_path / "work")
    decades.unpack(shell.folder / "titles")
    shell(f"trust pin {DIGEST} --store titles")
    # To this machine's clock all of it lies in the future: the other findings would be failures.
    for line in ("audit", "verify"):
        assert "\nverified: 5 titles, 23 entries of " in shell(f"{line} --store titles").out
    assert "passed over: version 2 (void, by version 3)" in (
        shell("show TN3 --recorded 2035-06-01 --store titles").err
    )
    assert len(shell("trust log --store titles --json").objects) == 20


def test_a_bundle_of_it_is_enough_for_both(tmp_path):
    shell = Shell.make(tmp_path / "work")
    decades.unpack(shell.folder / "titles")
    shell(f"trust pin {DIGEST} --store titles")
    shell("export all.bundle --store titles")
    stranger = Shell.make(tmp_path / "stranger")
    with tarfile.open(shell.folder / "all.bundle") as tar:
        tar.extractall(stranger.folder / "copy", filter="data")
    assert stranger("trust pin copy/_trust/1.json --json").json["trust"] == DIGEST
    shutil.move(shell.folder / "all.bundle", stranger.folder)
    for line in ("audit", "verify"):
        report = stranger(f"{line} --bundle all.bundle").out
        assert "\nverified: 5 titles, 23 entries of " in report
    copy = Copy(
        {
            path.relative_to(stranger.folder / "copy").as_posix(): path.read_bytes()
            for path in (stranger.folder / "copy").rglob("*")
            if path.is_file()
        }
    )
    assert copy.by_script(tmp_path) == []


@pytest.mark.slow
def test_it_is_what_the_generator_makes(tmp_path):
    """But for the signatures of ML-DSA, which differ each time."""
    made = Decades(MemoryStore(), tmp_path).objects()
    assert made.keys() == STORE.keys()
    for key, data in made.items():
        if key.startswith("_trust/"):
            assert TrustFile.decode(data).digest == TrustFile.decode(STORE[key]).digest
        elif key in {"_log/checkpoint", "_log/state"}:
            assert data.partition("—".encode())[0] == STORE[key].partition("—".encode())[0]
        else:
            assert data == STORE[key], key


# -- What somebody adds lawfully -------------------------------------------------------------------


def more_than_a_tile(copy: Copy) -> None:
    entries = [copy.add("TN7", "erin", logged=False) for _ in range(250)]
    copy.relog([*copy.leaves(), *map(leaf_of, entries)])


LAWFUL = {
    "more leaves than a tile has": more_than_a_tile,
    "an entry by a registrar": lambda copy: copy.add("TN2", "grace", logged=True),
    "another title": lambda copy: copy.add("TN6", "erin", logged=True, document={"n": 1.5}),
    "a trust file": lambda copy: put_logged(copy, copy.next_file()),
    "a pin that moves": lambda copy: (
        copy.add("TN2", "grace", logged=True),
        put_logged(copy, copy.next_file()),
    ),
    "a holder replaced": lambda copy: put_logged(
        copy, copy.next_file(ADA, BEN, holders=people(ADA, BEN, "eve"))
    ),
}


def put_logged(copy: Copy, file: TrustFile) -> None:
    copy.put(file)
    copy.relog([*copy.leaves(), TrustLeaf(file.version, file.digest).encode()])


# -- What somebody does to it ----------------------------------------------------------------------


def drop(*keys: str) -> Callable[[Copy], object]:
    return lambda copy: [copy.objects.pop(key) for key in keys]


def change(key: str, old: bytes, new: bytes) -> Callable[[Copy], None]:
    def change_one(copy: Copy) -> None:
        assert old in copy.objects[key]
        copy.objects[key] = copy.objects[key].replace(old, new)

    return change_one


def follow(*names: str, **changes: Any) -> Callable[[Copy], None]:
    """Publish a trust file on top of the newest one, and log it."""
    return lambda copy: put_logged(copy, copy.next_file(*names, **changes))


def resign(version: int, *names: str, **changes: Any) -> Callable[[Copy], None]:
    """Put another file in the place of one, signed by some."""
    return lambda copy: copy.put(signed(replace(copy.file(version), **changes), *names))


def without_signature(version: int, algorithm: str) -> Callable[[Copy], None]:
    """Take the signatures of one algorithm out of a file."""

    def take_out(copy: Copy) -> None:
        file = copy.file(version)
        lost = {
            key.key_id
            for holder in file.holders
            for key in holder.keys
            if key.algorithm == algorithm
        }
        kept = tuple(each for each in file.signatures if each.key_id not in lost)
        copy.put(replace(file, signatures=kept))

    return take_out


def forged_signature(copy: Copy) -> None:
    file = copy.file(12)
    first, *others = file.signatures
    broken = HolderSignature(first.key_id, bytes([first.signature[0] ^ 1]) + first.signature[1:])
    copy.put(replace(file, signatures=(broken, *others)))


def head_at(title: str, version: int) -> Callable[[Copy], None]:
    """Set a title back, and take away what is above."""

    def set_back(copy: Copy) -> None:
        chain = copy.chain(title)
        for entry in chain[version:]:
            del copy.objects[entry_key(title, entry.address)]
        copy.objects[head_key(title)] = chain[version - 1].data

    return set_back


def text_back(copy: Copy) -> None:
    """Put the text of TN1's first version back: the generator is not to keep it, so as it was."""
    parent = copy.chain("TN1")[0]
    made = Entry.sign(
        signer("alice"),
        ledger=ORIGIN,
        title_number="TN1",
        document={"proprietor": "Ada Lovelace"},
        message="first registration",
        recorded_at=parent.recorded_at,
        salt=FixedRandom()(32),
    )
    assert made.address == parent.address, "the text is the one that was erased"
    copy.objects[entry_key("TN1", made.address)] = made.data


def text_gone(copy: Copy) -> None:
    entry = copy.chain("TN2")[1]
    copy.objects[entry_key("TN2", entry.address)] = short_form(entry.data)


def erased_without_the_right(copy: Copy) -> None:
    copy.add("TN2", "grace", logged=True, erases=(1,), reference="LG 1")
    entry = copy.chain("TN2")[0]
    copy.objects[entry_key("TN2", entry.address)] = short_form(entry.data)


def pre_signed(copy: Copy) -> None:
    """A retired registrar brings in what he signed in time, beside what was registered."""
    head_at("TN2", 2)(copy)
    copy.add("TN2", "bob", logged=False)


def go_on(*signers: Any) -> Callable[[Copy], None]:
    """Append honestly, and publish a log of it that is signed with these keys."""

    def append(copy: Copy) -> None:
        entry = copy.add("TN2", "grace", logged=False)
        copy.relog([*copy.leaves(), leaf_of(entry)], *signers)

    return append


def another_log(copy: Copy) -> None:
    """Leave an entry out of the log, and sign it anew with its newest keys."""
    leaves = copy.leaves()
    copy.relog([*leaves[:5], leaves[6], leaves[5], *leaves[7:]])


def shorter_log(copy: Copy) -> None:
    copy.relog(copy.leaves()[:30])


def unsettled(copy: Copy) -> None:
    """Take back the answer to the theft, from the log as well, with the newest keys of the log."""
    settled = copy.head("TN3").address.encode()
    head_at("TN3", 2)(copy)
    copy.relog([leaf for leaf in copy.leaves() if settled not in leaf])


def swapped_heads(copy: Copy) -> None:
    one, other = head_key("TN1"), head_key("TN2")
    copy.objects[one], copy.objects[other] = copy.objects[other], copy.objects[one]


def gone_title(copy: Copy) -> None:
    for key in [key for key in copy.objects if key.startswith("TN4/")]:
        del copy.objects[key]


ALICE, BOB = (signer(name).public_key for name in ("alice", "bob"))

ATTACKS: dict[str, Callable[[Copy], object]] = {
    # The trust files.
    "the newest trust file deleted": drop("_trust/20.json"),
    "a trust file in the middle deleted": drop("_trust/9.json"),
    "the first trust file deleted": drop("_trust/1.json"),
    "junk in the newest file's place": lambda copy: copy.objects.update({"_trust/20.json": b"{}"}),
    "the first file with another threshold": resign(1, ADA, BEN, threshold=1),
    "a file in the middle signed anew, with another day": resign(9, BEN, DAN, next="2099-01-01"),
    "one holder's signatures taken away": lambda copy: copy.put(signed(copy.file(12), BEN)),
    "ML-DSA taken away": without_signature(12, "ML-DSA-65"),
    "Ed25519 taken away": without_signature(12, "Ed25519"),
    "a wrong signature": forged_signature,
    "a next file by one holder": follow(DAN),
    "by a holder who names herself the only one": follow(DAN, holders=people(DAN), threshold=1),
    "by the holder who was lost": follow("cleo", BEN, DAN),
    "that takes a revocation back": follow(revoked=()),
    "that skips a version": follow(version=22),
    "of another ledger": follow(log=Checkpoint("example.org/other", 42, bytes(32))),
    "that follows another file": follow(previous="0" * 64),
    "whose pin goes back": follow(log=Copy(STORE).file(3).log),
    "that pins a fork": follow(log=Checkpoint(ORIGIN, 42, bytes(32))),
    "that lists a revoked key again": lambda copy: put_logged(
        copy,
        copy.next_file(keys=listed(*copy.file(20).keys, registrar(ALICE, "alice"))),
    ),
    "that lists a retired key again": lambda copy: put_logged(
        copy, copy.next_file(keys=listed(*copy.file(20).keys, registrar(BOB, "bob")))
    ),
    "that lets grace erase": lambda copy: put_logged(
        copy,
        copy.next_file(
            keys=listed(
                *(key._replace(erase=key.role == "registrar") for key in copy.file(20).keys)
            )
        ),
    ),
    "that the log doesn't name": lambda copy: copy.put(copy.next_file()),
    # The log.
    "a leaf changed": change("_log/tile/entries/000.p/42", b'"version":2', b'"version":3'),
    "a tile deleted": drop("_log/tile/entries/000.p/42"),
    "no checkpoint": drop("_log/checkpoint"),
    "one that was signed with Ed25519 alone": go_on(LOG_C[0]),
    "with ML-DSA-44 alone": go_on(LOG_C[1]),
    "by the log's first keys": go_on(*LOG_A),
    "another log below the pins": another_log,
    "a log that was set back": shorter_log,
    "a trust file logged twice": lambda copy: copy.relog(
        [*copy.leaves(), TrustLeaf(20, copy.file(20).digest).encode()]
    ),
    "a trust file logged that nobody signed": lambda copy: copy.relog(
        [*copy.leaves(), TrustLeaf(21, "0" * 64).encode()]
    ),
    # The titles.
    "an erased text put back": text_back,
    "a text taken away": text_gone,
    "a text erased without the right": erased_without_the_right,
    "a void entry un-voided": head_at("TN3", 2),
    "and the log with it": unsettled,
    "a confirmed entry not confirmed": head_at("TN4", 2),
    "a title set back": head_at("TN2", 7),
    "a title taken away": gone_title,
    "heads swapped": swapped_heads,
    "a letter changed": lambda copy: change(
        entry_key("TN2", copy.chain("TN2")[0].address), b"Babbage", b"Cabbage"
    )(copy),
    "an entry deleted": lambda copy: drop(entry_key("TN2", copy.chain("TN2")[3].address))(copy),
    "a revoked key goes on": lambda copy: copy.add("TN4", "alice", logged=True),
    "a revoked key begins a title": lambda copy: copy.add("TN9", "alice", logged=True),
    "a retired key brings in what it signed in time": pre_signed,
    "a key that nobody listed": lambda copy: copy.add("TN4", "mallory", logged=True),
    "a needless name": lambda copy: copy.add("TN4", "grace", logged=True, voids=(1,)),
}


@pytest.mark.parametrize("name", LAWFUL)
def test_what_is_added_lawfully_is_good_for_both(name, tmp_path):
    copy = Copy(STORE)
    LAWFUL[name](copy)
    # The records by which readers find leaves are the sealer's, which nobody asked here.
    assert set(copy.by_library()) <= {"bad-record"}
    assert copy.by_script(tmp_path) == []


QUICK = {
    "the newest trust file deleted",
    "ML-DSA taken away",
    "that takes a revocation back",
    "with ML-DSA-44 alone",
    "another log below the pins",
    "an erased text put back",
    "and the log with it",
    "a revoked key goes on",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in ATTACKS],
)
def test_what_is_wrong_is_wrong_for_both(name, tmp_path):
    copy = Copy(STORE)
    ATTACKS[name](copy)
    found = copy.by_library()
    assert set(found) - {"bad-record"}, "the software"
    assert copy.by_script(tmp_path), f"the script, where the software finds {found}"
