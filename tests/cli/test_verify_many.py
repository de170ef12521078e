"""``verify`` of many titles: what it remembers, keeps, draws and shows, also when interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from cli.sampling import draw
from cli.terminal.progress import Meter, heeding
from ledger import Ledger, Report, load_key
from ledger.errors import StoreUnavailable
from ledger.stores import MemoryStore
from tests.cli.shell import ORIGIN, PATIENCE, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def titles_made(title_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = title_made.copied_to(tmp_path_factory.mktemp("titles") / "made")
    for number in range(2, 6):
        made(f"append TN{number} --new --set a=b")
    return made


@pytest.fixture
def titles(titles_made: Shell, tmp_path: Path) -> Shell:
    """A shell whose ledger has TN1234567 in three versions, and TN2 to TN5 in one."""
    return titles_made.copied_to(tmp_path / "work")


def set_back(shell: Shell) -> None:
    """Somebody who can write the store lets the head name the first version again."""
    first = shell.addresses()[0]
    entry = shell.store / TITLE / f"{first}.json"
    (shell.store / TITLE / "head.json").write_bytes(entry.read_bytes())


# -- --state -------------------------------------------------------------------------------------


def test_a_repeated_audit_checks_what_is_new(titles: Shell) -> None:
    first = titles("verify --state memory -v").lines
    assert first[0] == f"verified: 5 titles, 7 entries of {ORIGIN}"
    assert "not checked: what was there before: memory did not exist" in "\n".join(first)
    titles("append TN2 --set a=c")
    second = titles("verify --state memory -v").lines
    assert second[0] == f"verified: 5 titles, 2 new entries of {ORIGIN}"
    assert "not checked: 6 entries of 4 titles, up to what memory remembers of" in "\n".join(second)


def test_what_was_set_back_or_is_gone_is_found_by_a_memory_only(titles: Shell) -> None:
    titles("verify --state memory")
    set_back(titles)
    titles("verify")
    assert (
        f"mismatch: pin-missing: {TITLE}/head.json" in titles("verify --state memory", code=20).out
    )
    for file in (titles.store / "TN3").iterdir():
        file.unlink()
    (titles.store / "TN3").rmdir()
    titles("verify TN2 --state memory")
    said = titles("verify --state memory", code=20).out
    assert "tampering: head-missing: TN3/head.json" in said
    titles(f"verify TN3 {TITLE} --state memory", code=20)


def test_a_damaged_memory_is_never_ignored(titles: Shell) -> None:
    titles("verify --state memory")
    memory = titles.folder / "memory"
    memory.write_bytes(memory.read_bytes().replace(b"TN2 1", b"TN2 2"))
    said = titles.fails(65, "verify --state memory")
    assert "memory is damaged" in said
    assert "ledger: hint: bring back a copy" in said


def test_the_memory_of_another_ledger_is_refused(titles: Shell) -> None:
    titles("verify --state memory")
    titles("init other --origin example.org/other")
    said = titles.fails(12, "verify --store other --origin example.org/other --state memory")
    assert f"memory remembers the ledger {ORIGIN}, not example.org/other" in said


def test_a_memory_that_can_not_be_written_is_told_before_anything_is_verified(
    titles: Shell,
) -> None:
    assert "cannot write" in titles.fails(13, "verify --state nowhere/memory")
    assert "inside the store" in titles.fails(65, "verify --state ledger-data/memory")


# -- --report ------------------------------------------------------------------------------------


def test_the_report_as_evidence(titles: Shell) -> None:
    key = titles("status --json").json["key"]
    titles("verify --state memory")
    before = hashlib.sha256((titles.folder / "memory").read_bytes()).hexdigest()
    titles("verify --state memory --report report.json")
    report = json.loads((titles.folder / "report.json").read_text())
    after = hashlib.sha256((titles.folder / "memory").read_bytes()).hexdigest()
    assert report["outcome"] == "verified"
    assert (report["titles"], report["entries"], report["findings"]) == (5, 0, [])
    assert report["interrupted"] is False
    assert report["origin"] == ORIGIN
    assert report["store"] == f"file:{titles.store}"
    assert [trusted["key"] for trusted in report["keys"]] == [key]
    assert (report["state"]["sha256_before"], report["state"]["sha256_after"]) == (before, after)
    assert report["software"] == f"title-ledger {version('title-ledger')}"
    assert report["commit"] is None  # not installed from git
    assert report["libraries"] == {
        name: version(name) for name in ("PyNaCl", "cryptography", "msgspec")
    }
    assert report["started_at"] < report["ended_at"]
    assert any("taken on trust" in note for note in report["not_shown"])


def test_a_report_of_one_title_and_its_pin(titles: Shell) -> None:
    head = titles.addresses()[-1]
    titles(f"verify {TITLE} --expect {head} --report report.json")
    report = json.loads((titles.folder / "report.json").read_text())
    assert (report["titles_chosen"], report["expect"]) == ([TITLE], head)


def test_a_report_of_what_does_not_hold(titles: Shell) -> None:
    (titles.store / "TN2" / "head.json").write_bytes(b"{}")
    titles("verify --report report.json", code=20)
    report = json.loads((titles.folder / "report.json").read_text())
    assert report["outcome"] == "tampered"
    assert report["findings"][0]["object"] == "TN2/head.json"
    (titles.store / "ledger.json").write_text("{}")
    titles("verify --report another.json", code=20)
    assert json.loads((titles.folder / "another.json").read_text())["outcome"] == "tampered"


def test_a_report_of_a_bundle_names_its_digest(titles: Shell) -> None:
    titles("export all.bundle")
    titles("verify --bundle all.bundle --report report.json")
    report = json.loads((titles.folder / "report.json").read_text())
    digest = hashlib.sha256((titles.folder / "all.bundle").read_bytes()).hexdigest()
    assert report["bundle"] == {"file": "all.bundle", "sha256": digest}


def test_evidence_is_never_overwritten_nor_kept_in_the_store(titles: Shell) -> None:
    titles("verify --report report.json")
    before = (titles.folder / "report.json").read_bytes()
    assert "report.json exists already" in titles.fails(65, "verify --report report.json")
    assert (titles.folder / "report.json").read_bytes() == before
    assert "inside the store" in titles.fails(65, "verify --report ledger-data/report.json")
    assert "cannot write" in titles.fails(13, "verify --report nowhere/report.json")
    assert not [file for file in titles.listing() if "report" in file]
    assert sorted(path.name for path in titles.folder.iterdir()) == ["ledger-data", "report.json"]


# -- Which titles --------------------------------------------------------------------------------


def test_titles_from_a_file_and_from_stdin(titles: Shell) -> None:
    text = "# of interest\n\nTN3\r\n  TN2\nTN3\n"
    (titles.folder / "list").write_text(text)
    for result in (
        titles("verify --titles-from list"),
        titles("verify --titles-from -", stdin=text.encode()),
    ):
        assert result.lines[0] == f"verified: 2 titles, 2 entries of {ORIGIN}"
    titles("verify --titles-from -", stdin=b"TN2\nTN404", code=20)


def test_titles_from_a_file_are_strict(titles: Shell) -> None:
    said = titles.fails(65, "verify --titles-from -", stdin=b"TN2\n\ntn3\n")
    assert "-, line 3: not a title number: 'tn3'" in said
    titles.fails(65, "verify --titles-from -", stdin=b"TN2\n\xff\n")
    assert "names no title" in titles.fails(65, "verify --titles-from -", stdin=b"# none\n")
    assert "cannot read nowhere" in titles.fails(10, "verify --titles-from nowhere")
    assert "can't be used with TITLE" in titles.fails(2, "verify TN2 --titles-from -", stdin=b"TN3")


def test_a_sample_can_be_drawn_again(titles: Shell) -> None:
    titles("verify --sample 2 --report one.json")
    one = json.loads((titles.folder / "one.json").read_text())
    seed = one["sample"]["seed"]
    (note,) = [note for note in one["not_shown"] if "drawn" in note]
    assert f"2 of 5 titles that the store lists were, with the seed {seed};" in note
    assert one["outcome"] == "verified"
    assert one["titles"] == 2
    titles(f"verify --sample 2 --seed {seed} --report two.json")
    two = json.loads((titles.folder / "two.json").read_text())
    assert two["titles_chosen"] == one["titles_chosen"]
    assert two["sample"] == one["sample"] == {"drawn": 2, "of": 5, "seed": seed}


def test_a_sample_is_drawn_with_sha256sum_as_well(titles: Shell) -> None:
    listed = " ".join(titles("titles").lines)
    by_hand = titles.bash(
        f'for title in {listed}; do printf "dice %s" $title | sha256sum | tr -d "\\n";'
        " echo $title; done | sort | head -3 | sed 's/.*-//' | sort"
    ).lines
    titles("verify --sample 3 --seed dice --report report.json")
    report = json.loads((titles.folder / "report.json").read_text())
    assert sorted(report["titles_chosen"]) == by_hand


def test_a_sample_of_more_titles_than_there_are_is_all_of_them(titles: Shell) -> None:
    said = titles("verify --sample 9").out
    assert said.startswith("verified: 5 titles")
    assert "nothing is known of the others" not in said
    assert "whether a title is missing" in said


def test_every_title_is_as_likely_to_be_drawn_as_any_other() -> None:
    numbers = [f"TN{number}" for number in range(10)]
    counts = dict.fromkeys(numbers, 0)
    for seed in range(1000):
        for drawn in draw(numbers, 3, str(seed)).titles:
            counts[drawn] += 1
    assert all(230 < count < 370 for count in counts.values()), counts


def test_what_does_not_go_together(titles: Shell) -> None:
    address = "0" * 64
    for line in (
        "--sample 2 TN2",
        "--seed x",
        "--sample 0",
        "--jobs 0",
        f"TN2 --state memory --expect {address}",
        f"TN2 --state memory --since {address}",
        "--bundle x --state memory",
        "--bundle x --sample 2",
        "--state memory --report memory",
    ):
        titles.fails(2, f"verify {line}")
    assert sorted(path.name for path in titles.folder.iterdir()) == ["ledger-data"]


def test_a_number_of_threads_changes_nothing(titles: Shell) -> None:
    assert titles("verify --jobs 1").out == titles("verify --jobs 3").out
    assert titles(f"verify {TITLE} --jobs 1").out == titles(f"verify {TITLE} --jobs 3").out


# -- How far it is -------------------------------------------------------------------------------


def test_what_is_left_is_shown_on_a_terminal(titles: Shell) -> None:
    assert "of 2 titles" in titles.on_terminal("verify TN2 TN3").out
    assert "\x1b" not in titles.on_terminal("verify TN2 TN3 --quiet").out


def test_the_time_left_is_that_of_the_titles_left() -> None:
    meter = Meter()
    for _ in range(10):
        meter.add(Report(ORIGIN, titles=1, entries=5))
    assert meter.text(20) == "verified: 10 titles, 50 entries, 2/s"
    meter.total = 1000
    assert meter.text(20) == "verified: 10 of 1,000 titles, 50 entries, 2/s, 0:33:00 left"
    meter.total = 5  # the listing was counted before these were appended
    assert meter.text(20).endswith("0:00:00 left")
    assert Meter(7).text(0) == "verified: 0 of 7 titles, 0 entries"


def test_what_goes_wrong_in_the_background_is_raised_in_front() -> None:
    def fail() -> None:
        raise StoreUnavailable("no answer")

    with pytest.raises(StoreUnavailable, match="no answer"):
        heeding(fail)
    assert heeding(lambda: 7) == 7


# -- Ctrl-C --------------------------------------------------------------------------------------

COUNT = 200
HANGING = 190
MADE: dict[tuple[str, int], dict[str, bytes]] = {}


class Bucket(ThreadingHTTPServer):
    """A bucket that can be read, in which one object is never answered for."""

    daemon_threads = True

    def __init__(self, objects: dict[str, bytes], hanging: str) -> None:
        super().__init__(("127.0.0.1", 0), _Reader)
        self.objects = objects
        self.hanging = hanging
        self.one_page_only = False  # of a listing: the second is refused
        self.hangs, self.ended = Event(), Event()


class _Reader(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever asked has gone
            super().handle()

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        key = unquote(url.path).removeprefix("/bucket").removeprefix("/")
        if key == self.server.hanging:
            self.server.hangs.set()
            self.server.ended.wait(10 * PATIENCE)
        elif not key:
            self._list(parse_qs(url.query))
        elif key in self.server.objects:
            self._answer(200, self.server.objects[key])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.send_header("Last-Modified", "Mon, 23 Nov 2026 10:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def _list(self, query: dict[str, list[str]]) -> None:
        if "continuation-token" in query:
            self._answer(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        else:
            self._answer(200, self._listing(query))

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        found, common = [], set()
        for key in sorted(key for key in self.server.objects if key.startswith(prefix)):
            folder = key[len(prefix) :].find("/")
            if "delimiter" in query and folder >= 0:
                common.add(key[: len(prefix) + folder + 1])
            else:
                found.append(key)
        parts = [f"<Contents><Key>{escape(key)}</Key></Contents>" for key in found]
        parts += [f"<CommonPrefixes><Prefix>{p}</Prefix></CommonPrefixes>" for p in sorted(common)]
        if self.server.one_page_only and not prefix:
            more = "<IsTruncated>true</IsTruncated><NextContinuationToken>2</NextContinuationToken>"
            parts = [more, *parts[: COUNT // 2]]
        return f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode()


def objects_of(shell: Shell, count: int) -> dict[str, bytes]:
    """The objects of a ledger of so many titles, by the key of somebody."""
    key = load_key(shell.config / "key.pem")
    if (key.public_key.key_id, count) in MADE:
        return dict(MADE[key.public_key.key_id, count])
    store = MemoryStore()
    keyring = shell.keyring()
    with Ledger.create(store, origin=ORIGIN, keyring=keyring, signer=key) as ledger:
        for number in range(count):
            ledger.append(f"TN{number:0{len(str(count - 1))}}", {"n": number})
    objects = {name: blob.data for name in store.list() if (blob := store.get(name))}
    MADE[key.public_key.key_id, count] = objects
    return dict(objects)


@contextmanager
def hanging_bucket(shell: Shell) -> Iterator[Bucket]:
    """A ledger of COUNT titles in a bucket that never gives the head of one of the last."""
    server = Bucket(objects_of(shell, COUNT), f"TN{HANGING:03}/head.json")
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join(60)
        server.server_close()


def interrupted(shell: Shell, bucket: Bucket, line: str) -> tuple[int, str, str]:
    """Run a command in a process of its own, with a Ctrl-C while it waits for the one object."""
    url = f"http://127.0.0.1:{bucket.server_address[1]}"
    process = shell.popen(
        f"{line} --store s3://bucket --connections 8",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        environment={"AWS_ENDPOINT_URL_S3": url},
    )
    try:
        assert bucket.hangs.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)  # the bucket itself would take longer
    finally:
        process.kill()
    bucket.hangs.clear()
    return process.returncode, out.decode(), err.decode()


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:-1]


@pytest.mark.slow
def test_an_interrupted_audit_says_so_keeps_what_it_has_and_goes_on_later(shell: Shell) -> None:
    memory = shell.folder / "memory"
    with hanging_bucket(shell) as bucket:
        code, out, err = interrupted(shell, bucket, "verify --state memory --report report.json")
        assert (code, err) == (130, "")
        checked = lines_of(memory)
        assert 0 < len(checked) < HANGING
        assert "unchecked: interrupted: " in out
        count = len(checked)
        assert (
            f"not everything could be checked; what could: {count} titles, {count} entries" in out
        )
        assert "verified:" not in out
        report = json.loads((shell.folder / "report.json").read_text())
        assert report["interrupted"] is True
        assert report["outcome"] == "unchecked"
        assert report["titles"] == count

        code, out, _ = interrupted(shell, bucket, "verify --state memory --json")
        assert code == 130
        assert json.loads(out)["interrupted"] is True
        assert json.loads(out)["outcome"] == "unchecked"
        assert lines_of(memory)[:count] == checked

        bucket.hanging = "nothing"
        url = f"http://127.0.0.1:{bucket.server_address[1]}"
        done = shell("verify --state memory --store s3://bucket", AWS_ENDPOINT_URL_S3=url)
        assert done.lines[0].startswith(f"verified: {COUNT} titles, ")
        assert len(lines_of(memory)) == COUNT


@pytest.mark.parametrize(
    "line",
    [
        f"verify TN{HANGING:03}",
        pytest.param("fsck", marks=pytest.mark.slow),
        pytest.param(f"verify --quiet TN{HANGING:03} TN0", marks=pytest.mark.slow),
    ],
)
def test_whatever_is_verified_a_ctrl_c_ends_it_at_once(shell: Shell, line: str) -> None:
    with hanging_bucket(shell) as bucket:
        code, out, err = interrupted(shell, bucket, line)
    assert (code, err) == (130, "")
    assert "unchecked: interrupted" in out
    assert "verified:" not in out
    assert [path.name for path in shell.folder.iterdir()] == ["ledger-data"]


@pytest.mark.slow
def test_a_ctrl_c_ends_packing_at_once(shell: Shell) -> None:
    with hanging_bucket(shell) as bucket:
        code, out, err = interrupted(shell, bucket, "pack")
    assert (code, out, err) == (130, "", "ledger: error: interrupted\n")


# -- A listing that breaks off -------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["verify --report report.json", pytest.param("fsck", marks=pytest.mark.slow)]
)
def test_tampering_that_was_found_outlives_a_listing_that_breaks_off(
    shell: Shell, line: str
) -> None:
    with hanging_bucket(shell) as bucket:
        bucket.hanging, bucket.one_page_only = "nothing", True
        bucket.objects["TN001/head.json"] = b"{}"
        url = f"http://127.0.0.1:{bucket.server_address[1]}"
        done = shell(f"{line} --store s3://bucket", code=20, AWS_ENDPOINT_URL_S3=url)
    assert "tampering: malformed-entry: TN001/head.json" in done.out
    assert "unchecked: store-denied: the store's listing broke off: " in done.out
    if "--report" in line:
        report = json.loads((shell.folder / "report.json").read_text())
        assert [f["slug"] for f in report["findings"]] == ["malformed-entry", "store-denied"]
        assert (report["outcome"], report["interrupted"]) == ("tampered", False)


# -- In other processes --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thousand(ledger_made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell whose ledger has so many titles in a folder that processes verify them."""
    shell = ledger_made.copied_to(tmp_path_factory.mktemp("thousand") / "made")
    for name, data in objects_of(shell, 1_000).items():  # not by its store: nothing need last
        (shell.store / name).parent.mkdir(parents=True, exist_ok=True)
        (shell.store / name).write_bytes(data)
    return shell


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that verify, once all have started."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        found = []
        with suppress(OSError):  # a thread or a process that has just ended
            found = [
                int(child)
                for task in Path(f"/proc/{process.pid}/task").iterdir()
                for child in (task / "children").read_text().split()
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
            ]
        if len(found) == 2:
            return found
        time.sleep(0.01)
    raise AssertionError("it started no processes")


@pytest.mark.xdist_group("thousand")
def test_processes_verify_many_titles_in_a_folder_and_find_what_is_wrong(thousand: Shell) -> None:
    head = thousand.store / "TN500" / "head.json"
    good = head.read_bytes()
    head.write_bytes(b"{}")
    process = thousand.popen("verify --jobs 2", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert workers_of(process)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        head.write_bytes(good)
    assert (process.returncode, err) == (20, b"")
    assert b"tampering: malformed-entry: TN500/head.json" in out
    assert b"sound: 999 entries" in out


@pytest.mark.xdist_group("thousand")
@pytest.mark.parametrize(
    "command", ["verify", pytest.param("verify --state memory", marks=pytest.mark.slow)]
)
def test_a_ctrl_c_ends_the_processes_without_a_word_of_theirs(thousand: Shell, command) -> None:
    process = thousand.popen(
        f"{command} --jobs 2",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    workers = workers_of(process)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, b"")
    assert b"unchecked: interrupted: " in out
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)
