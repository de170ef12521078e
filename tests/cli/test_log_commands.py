"""The transparency log from a shell: seal, checkpoint, prove, check, and waiting for a receipt."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

import pytest

from ledger import load_keys
from ledger.format import canonical
from ledger.format.entry import Entry
from ledger.format.keyring import Keyring
from ledger.format.layout import LOG_CHECKPOINT, PENDING, head_key
from ledger.format.pem import read_public_keys
from ledger.tlog import MLDSAKey, NoteKey, Receipt, open_checkpoint, parse_log_key
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.merkle import hash_leaf
from ledger.tlog.note import encode_base64, parse_unverified
from ledger.tlog.objects import leaf_of
from tests.cli.shell import ORIGIN, PATIENCE, TITLE, Shell
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def begin(shell: Shell) -> Shell:
    """Make the log's key, and begin the log."""
    shell("key generate --for log -q")
    shell("seal --genesis -q")
    return shell


@pytest.fixture(scope="session")
def log_made(title_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return begin(title_made.copied_to(tmp_path_factory.mktemp("log") / "made"))


@pytest.fixture
def logged(log_made: Shell, tmp_path: Path) -> Shell:
    """A shell whose title's three versions are in the log."""
    return log_made.copied_to(tmp_path / "work")


def memory(shell: Shell) -> Path:
    (path,) = (shell.home / ".local" / "state" / "title-ledger").glob("sealer-*.json")
    return path


def prove(shell: Shell, *words: str) -> tuple[str, str]:
    """A receipt and the entry that it is of, as two files."""
    shell("prove", TITLE, *words, "-o", "receipt")
    (shell.folder / "entry.json").write_bytes(shell("cat", TITLE, *words).data)
    return "receipt", "entry.json"


# --- the log's key -------------------------------------------------------------------------------


def test_the_log_has_a_key_of_its_own(shell: Shell) -> None:
    made = shell("key generate --for log --json").json
    path = shell.config / "log-key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made == {
        "key": made["keys"][0],
        "keys": made["keys"],
        "file": str(path),
        "encrypted": False,
        "origin": ORIGIN,
        "role": "log",
    }
    keyring = shell.keyring()
    found = [keyring.key(ORIGIN, key, "log") for key in made["keys"]]
    assert [key.algorithm for key in found if key] == ["Ed25519", "ML-DSA-44"]
    assert keyring.key(ORIGIN, made["key"], "registrar") is None
    assert "there is a key already" in shell.fails(12, "key generate --for log")


def test_a_log_key_is_for_a_ledger(bare: Shell) -> None:
    assert "cannot tell which ledger" in bare.fails(65, "key generate --for log")
    assert not (bare.config / "log-key.pem").exists()
    bare(f"key generate --for log --origin {ORIGIN}")
    assert bare.keyring().origins == [ORIGIN]


def test_it_is_shown_as_pem_and_as_others_tools_take_it(logged: Shell) -> None:
    shown = logged("key show --for log --vkey --json").objects
    public = read_public_keys(logged("key show --for log").data)
    assert [each["key"] for each in shown] == [key.key_id for key in public]
    keys = [parse_log_key(each["vkey"]) for each in shown]
    assert keys == [NoteKey(ORIGIN, public[0]), MLDSAKey(ORIGIN, public[1])]
    assert logged("key show --for log --vkey").lines == [each["vkey"] for each in shown]
    assert logged("key show --json").json["key"] not in [key.key_id for key in public]


def test_key_options_that_mean_nothing_are_refused(shell: Shell) -> None:
    for line in ("key show --vkey", "key show --origin a", "key generate --origin a"):
        shell.fails(2, line)
    assert "not a role" in shell.fails(65, "key generate --for reeve")


# --- seal ----------------------------------------------------------------------------------------


def test_the_first_seal_has_to_be_declared(title: Shell) -> None:
    assert "'ledger key generate --for log'" in title.fails(12, "seal")
    title("key generate --for log")
    assert "'ledger seal --genesis'" in title.fails(10, "seal")
    root = title("seal --genesis").out.split()[-1]
    assert len(base64.b64decode(root)) == 32
    assert title("seal").out == f"nothing new to seal: 3 leaves, checkpoint {root}\n"


def test_seal_says_what_it_did(logged: Shell) -> None:
    logged(f"append {TITLE} --set a=b")
    logged("append TN9 --new --set a=b")
    assert logged("seal").out.startswith("sealed 2 entries: 5 leaves, checkpoint ")
    logged("append TN9 --set a=c")
    done = logged("seal --json").json
    assert (done["origin"], done["sealed"], done["settled"]) == (ORIGIN, 1, 1)
    assert (done["size"], done["findings"]) == (6, [])
    assert not list(logged.store.glob(f"{PENDING}*/*"))


def test_a_title_that_does_not_verify_is_named_and_the_others_are_sealed(logged: Shell) -> None:
    logged(f"append {TITLE} --set a=b")
    logged("append TN9 --new --set a=b")
    (logged.store / head_key("TN9")).write_bytes(b"{}")
    done = logged("seal", code=20)
    assert done.out.startswith("sealed 1 entry: 4 leaves")
    assert done.err.startswith("tampering: malformed-entry: TN9/head.json")
    found = logged("seal --json", code=20).json
    assert [each["object"] for each in found["findings"]] == [head_key("TN9")]


def test_all_looks_at_titles_without_markers(title: Shell) -> None:
    for marker in (title.store / PENDING).glob("*/*"):
        marker.unlink()
    begin(title)
    assert title("seal --json").json["size"] == 0
    assert title("seal --all --json").json["sealed"] == 3


def test_only_the_logs_key_seals(title: Shell) -> None:
    said = title.fails(12, f"seal --genesis --key '{title.config / 'key.pem'}'")
    assert f"is not a key of the log of {ORIGIN}" in said
    assert not (title.store / LOG_CHECKPOINT).exists()


def test_a_sealer_without_its_memory_asks_to_be_told(logged: Shell) -> None:
    memory(logged).unlink()
    assert "'ledger seal --adopt'" in logged.fails(11, "seal")
    assert logged("seal --adopt --json").json["size"] == 3
    assert logged("seal").out.startswith("nothing new")


def test_a_log_that_was_set_back_is_not_sealed_until_that_is_declared(logged: Shell) -> None:
    before = {p: p.read_bytes() for p in logged.store.joinpath("_log").rglob("*") if p.is_file()}
    logged(f"append {TITLE} --set a=b")
    logged("seal")
    for path in logged.store.joinpath("_log").rglob("*"):
        if path.is_file():
            path.unlink()
    for path, data in before.items():
        path.write_bytes(data)
    assert "nothing is signed" in logged.fails(20, "seal")
    logged.fails(2, "seal --restored ' '")
    logged("seal --all --restored 'the disk of 23 November was restored'")
    assert "the disk of 23 November" in memory(logged).read_text()
    assert logged("checkpoint --json").json["size"] == 4


def test_the_memory_is_kept_out_of_the_store(title: Shell) -> None:
    title("key generate --for log")
    assert "inside the store" in title.fails(65, "seal --genesis --memory ledger-data/memory")
    title("seal --genesis --memory elsewhere.json")
    assert (title.folder / "elsewhere.json").exists()


def test_nothing_is_signed_for_a_store_that_the_folder_names(logged: Shell) -> None:
    (logged.config / "stores.json").unlink()
    assert "not signed" in logged.fails(12, "seal")


# --- checkpoint ----------------------------------------------------------------------------------


def test_the_checkpoint_is_printed_to_the_byte(logged: Shell) -> None:
    shown = logged("checkpoint --verify")
    assert shown.data == (logged.store / LOG_CHECKPOINT).read_bytes()
    assert shown.err.startswith("verified")
    keys = [t.key for t in logged.keyring() if t.role == "log"]
    checkpoint = open_checkpoint(shown.data, origin=ORIGIN, log_keys=keys).checkpoint
    as_json = logged("checkpoint --json").json
    assert as_json["note"].encode() == shown.data
    assert (as_json["origin"], as_json["size"]) == (checkpoint.origin, checkpoint.size)
    assert base64.b64decode(as_json["root"]) == checkpoint.root


def test_a_checkpoint_of_nobody_is_refused(logged: Shell) -> None:
    path = logged.store / LOG_CHECKPOINT
    path.write_bytes(path.read_bytes().replace(b"\n3\n", b"\n2\n"))
    assert "wrong signature" in logged.fails(20, "checkpoint")


def test_verifying_a_checkpoint_reads_the_edge_of_the_tree(logged: Shell) -> None:
    tile = logged.store / "_log/tile/0/000.p/3"
    tile.write_bytes(bytes(96))
    logged("checkpoint")
    logged.fails(20, "checkpoint --verify")


def test_whoever_does_not_know_the_logs_key_is_told(logged: Shell) -> None:
    registrars = [t for t in logged.keyring() if t.role == "registrar"]
    (logged.config / "keyring.json").write_bytes(Keyring(registrars).encode())
    assert "--role log" in logged.fails(12, "checkpoint")
    assert "no key of the log" in logged("status --json").json["log_problem"]


# --- prove and check -----------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["v1", "v2", "HEAD"])
def test_a_receipt_proves_every_version(logged: Shell, revision: str) -> None:
    receipt, entry = prove(logged, revision)
    checked = logged("check", receipt, "--entry", entry, "--json").json
    shown = logged("show", TITLE, revision, "--json").json
    assert checked["outcome"] == "verified"
    assert (checked["address"], checked["version"]) == (shown["address"], shown["version"])
    assert (checked["leaf"], checked["size"]) == (shown["version"] - 1, 3)


def test_a_receipt_needs_no_store_but_without_a_registrar_it_is_not_verified(
    logged: Shell, new_shell: Callable[[str], Shell]
) -> None:
    receipt, entry = prove(logged)
    vkey = logged("key show --for log --vkey").out
    other = new_shell("elsewhere")
    for name in (receipt, entry):
        (other.folder / name).write_bytes((logged.folder / name).read_bytes())
    assert "no key of the log" in other.fails(12, "check receipt --entry entry.json")
    checked = other("check receipt --entry entry.json --vkey", vkey, code=3)
    assert checked.lines[0].startswith("unchecked: no-registrar: the entry: it is leaf 2")
    assert "verified" not in checked.out
    (registrar,) = [t for t in logged.keyring() if t.role == "registrar"]
    (other.folder / "registrar.pub").write_bytes(registrar.key.pem())
    other(f"key trust registrar.pub --origin {ORIGIN}")
    checked = other("check receipt --entry entry.json --vkey", vkey)
    assert checked.lines[0].startswith(f"verified: {TITLE} version 3 is ")
    piped = (other.folder / entry).read_bytes()
    assert other("check receipt --entry - -q --vkey", vkey, stdin=piped).out == ""


def test_an_entry_that_nobody_signed_is_never_verified(logged: Shell) -> None:
    """The log takes in what its sealer gives it, as here: an entry with a made-up signature."""
    log_keys = load_keys(logged.config / "log-key.pem")
    _, entry = prove(logged)
    value = json.loads((logged.folder / entry).read_bytes())
    value["entry"]["key"], value["signature"] = "0" * 64, encode_base64(bytes(64))
    data = canonical.encode(value)
    checkpoint = Checkpoint(ORIGIN, 1, hash_leaf(leaf_of(Entry.unverified(data)).encode()))
    receipt = Receipt(0, (), sign_checkpoint(checkpoint, *log_keys))
    (logged.folder / "forged.json").write_bytes(data)
    (logged.folder / "forged.receipt").write_bytes(receipt.encode())
    only_log = Keyring(t for t in logged.keyring() if t.role == "log")
    (logged.config / "keyring.json").write_bytes(only_log.encode())
    checked = logged("check forged.receipt --entry forged.json --json", code=3).json
    assert checked["outcome"] == "unchecked"
    assert [each["slug"] for each in checked["findings"]] == ["no-registrar"]


def test_prove_prints_the_receipt_or_writes_a_new_file(logged: Shell) -> None:
    printed = logged(f"prove {TITLE} v2").data
    assert Receipt.decode(printed).index == 1
    assert logged(f"prove {TITLE} v2 --json").json["receipt"].encode() == printed
    said = logged(f"prove {TITLE} v2 -o r").out
    assert said == f"{TITLE} version 2 is leaf 1 of the log: wrote r\n"
    assert (logged.folder / "r").read_bytes() == printed
    assert "exists already" in logged.fails(65, f"prove {TITLE} -o r")


def test_what_is_not_sealed_has_no_receipt(logged: Shell) -> None:
    logged(f"append {TITLE} --set a=b")
    said = logged.fails(10, f"prove {TITLE} -o r")
    assert "is not in the log" in said
    assert "ledger seal" in said
    assert not (logged.folder / "r").exists()


def test_another_entry_does_not_go_with_the_receipt(logged: Shell) -> None:
    prove(logged, "v1")
    (logged.folder / "entry.json").write_bytes(logged(f"cat {TITLE} v2").data)
    checked = logged("check receipt --entry entry.json --json", code=20).json
    assert [each["slug"] for each in checked["findings"]] == ["not-included"]


@pytest.mark.parametrize(
    ("file", "old", "new", "slug"),
    [
        ("entry.json", b"Grace", b"Trace", "text-mismatch"),
        ("entry.json", b'{"entry"', b'{ "entry"', "malformed-entry"),
        ("receipt", b"index 1", b"index 2", "not-included"),
        ("receipt", b"\n3\n", b"\n4\n", "bad-signature"),
        ("receipt", b"c2sp.org", b"c3sp.org", "malformed-receipt"),
        ("receipt", b"\xe2\x80\x94 example", b"\xe2\x80\x94 Example", "unknown-key"),
    ],
)
def test_a_changed_byte_is_found(
    logged: Shell, file: str, old: bytes, new: bytes, slug: str
) -> None:
    prove(logged, "v2")
    path = logged.folder / file
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    checked = logged("check receipt --entry entry.json", code=20)
    assert checked.lines[0].startswith(f"tampering: {slug}: ")
    assert checked.lines[1].startswith("NOT VERIFIED")


def test_a_receipt_of_another_ledger_is_refused(logged: Shell) -> None:
    prove(logged)
    said = logged("check receipt --entry entry.json --origin example.org/other", code=12)
    assert "no key of the log of example.org/other" in said.err
    vkey = logged("key show --for log --vkey --origin example.org/other").out
    checked = logged("check receipt --entry entry.json --vkey", vkey, code=20)
    assert checked.out.startswith("tampering: wrong-ledger: ")


def test_a_check_says_what_it_does_not_show(logged: Shell) -> None:
    prove(logged)
    (not_shown,) = logged("check receipt --entry entry.json --json").json["not_shown"]
    assert "others were shown the same log" in not_shown


def test_check_needs_two_files_that_can_be_read(logged: Shell) -> None:
    logged.fails(2, "check receipt")
    logged.fails(2, "check - --entry -")
    logged.fails(10, "check receipt --entry entry.json")


# --- append --wait-receipt -----------------------------------------------------------------------


def test_an_append_waits_until_it_is_in_the_log(logged: Shell) -> None:
    head = logged.store / TITLE / "head.json"
    before = head.read_bytes()
    waiting = logged.popen(f"append {TITLE} --set a=b --wait-receipt r")
    wait_until(lambda: head.read_bytes() != before)
    logged("seal -q")
    assert waiting.wait(PATIENCE) == 0
    (logged.folder / "entry.json").write_bytes(logged(f"cat {TITLE}").data)
    assert logged("check r --entry entry.json --json").json["version"] == 4


def test_what_was_not_sealed_in_time_is_appended_all_the_same(logged: Shell) -> None:
    done = logged(f"append {TITLE} --set a=b --wait-receipt r --timeout 0", code=3)
    assert done.out.startswith(f"{TITLE} version 4 is ")
    assert "is appended and durable, but was not in the log" in done.err
    assert not (logged.folder / "r").exists()
    logged("seal")
    logged(f"prove {TITLE} v4 -o r")


def test_what_can_not_be_waited_for_is_not_appended(title: Shell) -> None:
    before = title.listing()
    assert "there is no log" in title.fails(10, f"append {TITLE} --set a=b --wait-receipt r")
    begin(title)
    assert title.folder.joinpath("r").write_bytes(b"mine")
    title.fails(65, f"append {TITLE} --set a=b --wait-receipt r")
    title.fails(2, f"append {TITLE} --set a=b --timeout 1")
    title.fails(2, f"append {TITLE} --set a=b --dry-run --wait-receipt s")
    title.fails(2, "append --batch x --wait-receipt s")
    log = {key: data for key, data in title.listing().items() if key.startswith("_log/")}
    entries = {key: data for key, data in before.items() if not key.startswith(PENDING)}
    assert title.listing() == entries | log


# --- status --------------------------------------------------------------------------------------


def test_status_shows_how_far_the_log_is(title: Shell) -> None:
    assert title("status --json").json["log_size"] is None
    begin(title)
    shown = title("status --json").json
    assert (shown["log_size"], shown["pending"], shown["waiting_since"]) == (3, 0, None)
    assert shown["log_newest"].startswith(f"{TITLE} version 3, recorded 20")
    title(f"append {TITLE} --set a=b")
    entry = title(f"show {TITLE} --json").json
    shown = title("status --json").json
    assert (shown["pending"], shown["waiting_since"]) == (1, entry["recorded_at"])
    assert shown["oldest_pending_seconds"] >= 0
    assert "pending:       1" in title("status").lines


# --- another key ---------------------------------------------------------------------------------


def test_a_new_log_key_goes_on_where_the_old_one_ended(logged: Shell) -> None:
    prove(logged, "v1")
    logged("key generate --for log --key new-log-key.pem")
    (logged.config / "log-key.pem").unlink()
    logged(f"append {TITLE} --set a=b")
    assert logged("seal --key new-log-key.pem --json").json["size"] == 4
    assert logged("seal", LEDGER_LOG_KEY="new-log-key.pem").out.startswith("nothing new")
    logged("check receipt --entry entry.json -q")
    logged("checkpoint --verify -q")


# --- bundles -------------------------------------------------------------------------------------


def test_a_bundle_carries_the_log(logged: Shell) -> None:
    logged("export all.bundle")
    logged("verify --bundle all.bundle -q")
    done = logged("import all.bundle --store copy")
    assert done.lines[-1] == "the log has 3 leaves more"
    assert logged("checkpoint --verify --store copy").data == logged("checkpoint").data
    logged(f"append {TITLE} --set a=b --store copy")
    assert logged("seal --store copy --json").json["size"] == 4


def test_a_log_that_nobody_can_check_is_left_out(logged: Shell) -> None:
    logged("export all.bundle")
    registrars = [t for t in logged.keyring() if t.role == "registrar"]
    (logged.config / "keyring.json").write_bytes(Keyring(registrars).encode())
    assert "no key of the log" in logged("verify -v --bundle all.bundle").out
    done = logged("import all.bundle --store copy", code=3)
    assert "the log was left out" in done.err
    assert "no key of the log" in logged.fails(12, "export again.bundle")
    assert not (logged.folder / "again.bundle").exists()


# --- two keys ------------------------------------------------------------------------------------


def test_others_trust_both_keys_of_a_log_and_compare_both_ids(
    logged: Shell, new_shell: Callable[[str], Shell]
) -> None:
    other = new_shell("elsewhere")
    (other.folder / "log.pub").write_bytes(logged("key show --for log").data)
    ids = [each["key"] for each in logged("key show --for log --json").objects]
    line = f"key trust log.pub --origin {ORIGIN} --role log"
    for wrong in (ids[:1], [ids[0], "0" * 64], [*ids, ids[0]]):
        words = [word for each in wrong for word in ("--fingerprint", each)]
        said = other(line, *words, code=12).err
        assert "--fingerprint once for each key" in said
    words = [word for each in reversed(ids) for word in ("--fingerprint", each)]
    assert [each["key"] for each in other(f"{line} --json", *words).objects] == ids
    assert [key.key_id for key in other.keyring().keys(ORIGIN, "log")] == sorted(ids)
    said = other.fails(65, "key trust log.pub --origin example.org/other")
    assert "ML-DSA-44 can't be a registrar's" in said


def test_a_receipt_that_lacks_a_line_is_not_verified(logged: Shell) -> None:
    receipt, _ = prove(logged)
    note = (logged.folder / receipt).read_bytes().splitlines(keepends=True)
    vkeys = logged("key show --for log --vkey").lines
    for gone, lacks in ((1, "ML-DSA-44"), (2, "Ed25519")):
        (logged.folder / "half").write_bytes(b"".join(note[:-gone] + note[len(note) - gone + 1 :]))
        checked = logged("check half --entry entry.json", code=3)
        assert checked.lines[0].startswith("unchecked: half-signed: ")
        assert f"lacks the {lacks} signature" in checked.out
        logged("check half --entry entry.json --vkey", "\n".join(vkeys), code=3)
        logged("check half --entry entry.json --vkey", vkeys[gone - 1])  # all that is asked for
    logged("check receipt --entry entry.json --vkey", vkeys[0], "--vkey", vkeys[1])


def test_new_keys_sign_the_log_that_is_there(logged: Shell) -> None:
    logged("checkpoint")
    before = (logged.store / LOG_CHECKPOINT).read_bytes()
    logged("key generate --for log --key new.pem -q")
    done = logged("seal --key new.pem")
    assert done.out.startswith(
        "nothing new to seal, 2 signatures added to the checkpoint that was there: 3 leaves"
    )
    after = (logged.store / LOG_CHECKPOINT).read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == before.count(b"\n") + 2
    logged("audit -q")
    assert logged("seal --key new.pem --json").json["signatures"] == 0
    for trusted in load_keys(logged.config / "log-key.pem"):
        logged(f"key untrust {trusted.public_key.key_id} -q")
    logged("audit -q")


def test_a_log_of_one_key_goes_on_until_it_gets_the_other(title: Shell) -> None:
    title("key generate --key log.pem -q")  # as KMS keys are: Ed25519 alone
    (title.folder / "log.pub").write_bytes(title("key show --key log.pem").data)
    title(f"key trust log.pub --origin {ORIGIN} --role log -q")
    title("seal --genesis --key log.pem -q")
    assert len(parse_unverified((title.store / LOG_CHECKPOINT).read_bytes())[1]) == 1
    receipt, _ = prove(title)
    title("key generate --for log --key both.pem -q")
    assert "half-signed" in title("audit", code=3).out
    assert "half-signed" in title("fsck", code=3).out
    said = title.fails(12, "seal --key log.pem")
    assert "has an ML-DSA-44 key" in said
    title("seal --key both.pem -q")
    title("audit -q")
    title("fsck -q")
    assert "half-signed" in title(f"check {receipt} --entry entry.json", code=3).out
    title(f"prove {TITLE} -o again")
    title("check again --entry entry.json -q")
