"""Many titles on an executor: one report, whoever does the work, and no answer that is none."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial

import pytest

import ledger as package
from ledger import Ledger, Log
from ledger.errors import InvalidError, StoreUnavailable, UnsupportedFormatError
from ledger.format.layout import PACKS, PackName, pack_key
from ledger.format.report import Finding, report_json
from ledger.index import Index
from ledger.local.parallel import software
from ledger.packs import writer
from ledger.packs.reader import FROM_PACKS, pack_names
from ledger.packs.slices import cut
from ledger.stores import FolderStore, open_store
from ledger.verification import many
from ledger.verification.many import Answer
from ledger.verification.walk import Known
from tests.executors import Remote
from tests.sealing.sealers import KEYRING, Sealer, ledger_in

TITLES = [f"TN{number}" for number in range(40)]


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch):
    for size in ("SLICE", "REMOTE", "PACKED"):
        monkeypatch.setattr(many, size, 5)
    monkeypatch.setattr(writer, "SLICE", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty titles in a folder, sealed, and packed before the last of them got another version."""
    path = tmp_path_factory.mktemp("register")
    ledger = ledger_in(FolderStore(path / "store"))
    for version in range(3):
        for title_number in TITLES:
            ledger.append(title_number, {"v": version})
    ledger.pack()
    ledger.append("TN7", {"v": 3})
    Sealer(path).seal(ledger.store, genesis=True)
    return path / "store"


@pytest.fixture
def ledger(folder) -> Ledger:
    return Ledger.open(folder, keyring=KEYRING)


# --- the same, whoever does it -------------------------------------------------------------------


def test_one_report_the_same_to_the_byte(ledger, tmp_path):
    there = Remote()
    for verify in (ledger.verify_all, lambda **how: Log(ledger).audit(**how).run()):
        said = [json.dumps(report_json(verify(executor=each, jobs=3))) for each in (None, there)]
        assert said[0] == said[1]
        assert json.loads(said[0])["entries"] == 121
    assert FROM_PACKS in ledger.verify_all(executor=there).not_shown
    assert there.tasks > 2
    indexes = [Index(ledger, tmp_path / name) for name in ("one", "two")]
    reports = [i.update(executor=e) for i, e in zip(indexes, (None, there), strict=True)]
    assert reports[0] == reports[1]
    assert [list(i.find("v")) for i in indexes[:1]] == [list(i.find("v")) for i in indexes[1:]]


def test_a_damaged_pack_is_named_once_by_however_many_tasks_it_is_met(tmp_path):
    ledger = ledger_in(FolderStore(tmp_path))
    for title_number in TITLES:
        ledger.append(title_number, {})
    ledger.pack()
    (name,) = pack_names(ledger.store)
    (tmp_path / pack_key(name)).write_bytes(b"junk")
    reports = [ledger.verify_all(executor=executor) for executor in (None, Remote())]
    assert reports[0] == reports[1]
    assert reports[0]
    assert [finding.slug for finding in reports[0].findings] == ["damaged-pack"]


@pytest.mark.parametrize("room", [writer.SENT_BYTES, 100])
def test_packing_on_an_executor_makes_the_same_packs(room, tmp_path, monkeypatch):
    """Also if it is too much to be sent, and is walked here."""
    monkeypatch.setattr(writer, "SENT_BYTES", room)
    one = ledger_in(FolderStore(tmp_path / "one"))
    for title_number in TITLES[:20]:
        one.append(title_number, {"x": 1})
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    two = ledger_in(FolderStore(tmp_path / "two"))
    assert one.pack() == two.pack(executor=Remote())
    entry = one.append("TN3", {"x": 2})
    for key in (f"TN3/{entry.address}.json", "TN3/head.json"):
        (tmp_path / "two" / key).write_bytes(entry.data)
    assert one.pack() == two.pack(executor=Remote())
    assert list(one.store.list(PACKS)) == list(two.store.list(PACKS)) != []


def test_slices_end_where_packs_do():
    titles = [f"T{number:03}" for number in range(100)]
    names = [PackName(f"T{a:03}", f"T{a + 39:03}", 1, "") for a in (0, 40)]
    wide = PackName("T000", "T099", 1, "")
    for most, sizes in {
        50: [(40, 2), (40, 2), (20, 1)],
        30: [(30, 2), (30, 3), (20, 2), (20, 1)],  # one that ends in the first half is read on
        100: [(80, 3), (20, 1)],
        1000: [(100, 3)],
    }.items():
        slices = list(cut(titles, [names[0], wide, names[1]], str, lambda _: 1, most))
        assert [title for each in slices for title in each.items] == titles
        assert [(len(each.items), len(each.packs)) for each in slices] == sizes


# --- what is lost, and what is no answer ---------------------------------------------------------


class Engine(Exception):
    """An error of Dask's own: a task whose workers died."""

    __module__ = "distributed.scheduler"


@pytest.mark.parametrize("error", [BrokenProcessPool("gone"), CancelledError(), Engine("killed")])
@pytest.mark.parametrize("at", ["submit", "result"])
def test_what_an_executor_loses_is_done_here(ledger, error, at):
    class Losing(Remote):
        def submit(self, fn, /, *args, **kwargs):
            if self.tasks % 2 == 0:
                return super().submit(fn, *args, **kwargs)
            self.tasks += 1
            if at == "submit":
                raise error
            future: Future = Future()
            future.set_exception(error)
            return future

    assert ledger.verify_all(executor=Losing()) == ledger.verify_all()


def change(answers, **changes):
    (answer,) = answers
    return [answer._replace(**changes)]


def first(answers, **changes):
    (answer,) = answers
    return change(answers, verified=[answer.verified[0]._replace(**changes), *answer.verified[1:]])


def said(answers, **changes):
    return first(answers, report=replace(answers[0].verified[0].report, **changes))


BAD = Finding("tampring", "bad-signature", "TN1/head.json", "TN1/head.json: no")
LIES = {
    "nothing": lambda answers: None,
    "no list": tuple,
    "no answer": lambda answers: [tuple(answers[0])],
    "a title less": lambda answers: change(answers, verified=answers[0].verified[1:]),
    "a title more": lambda answers: change(answers, verified=answers[0].verified * 2),
    "another order": lambda answers: change(answers, verified=answers[0].verified[::-1]),
    "another title": lambda answers: first(answers, title_number="TN404"),
    "no result": lambda answers: change(answers, verified=[None] * len(answers[0].verified)),
    "no report": lambda answers: first(answers, report=True),
    "a report of another ledger": lambda answers: said(answers, origin="example.org/other"),
    "two titles in one": lambda answers: said(answers, titles=2),
    "entries that are true": lambda answers: said(answers, entries=True),
    "an unknown severity": lambda answers: said(answers, findings=(BAD,)),
    "no finding": lambda answers: said(answers, findings=("all is well",)),
    "no note": lambda answers: said(answers, not_shown=(None,)),
    "no head": lambda answers: first(answers, head=(1, "0" * 64)),
    "a head without an address": lambda answers: first(answers, head=Known(1, "HEAD")),
    "no part": lambda answers: first(answers, parts=(None,)),
    "no time": lambda answers: first(answers, noted_at=None),
    "half a trace": lambda answers: first(answers, trace=b"half"),
    "entries nobody asked for": lambda answers: first(answers, entries=(None,)),
    "a pack that is tampering": lambda answers: change(
        answers, findings=[replace(BAD, severity="tampering")]
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_answer_is_refused(ledger, lie):
    with pytest.raises(UnsupportedFormatError, match="answer is refused"):
        ledger.verify_all(executor=Remote(LIES[lie]))


def test_no_entry_of_another_title_gets_into_an_index(ledger, tmp_path):
    other = ledger.entry("TN39")

    def lie(answers):
        entries = ((other, answers[0].verified[0].entries[0][1]),)
        return first(answers, entries=entries)

    with pytest.raises(UnsupportedFormatError, match="answer is refused"):
        Index(ledger, tmp_path / "index").update(executor=Remote(lie))


PACKING_LIES = {
    "no answer": lambda answers: [Answer([], [])],
    "an entry that is not listed": lambda answers: change(
        answers, steps=[answers[0].steps[0]._replace(address="0" * 64)]
    ),
    "other bytes": lambda answers: change(
        answers, steps=[answers[0].steps[0]._replace(data=answers[0].steps[-1].data)]
    ),
    "another order": lambda answers: change(answers, steps=answers[0].steps[::-1]),
    "a pack of others": lambda answers: change(answers, damaged=["_packs/x"]),
}


@pytest.mark.parametrize("lie", PACKING_LIES)
def test_only_what_the_store_lists_is_packed(lie, tmp_path):
    ledger = ledger_in(FolderStore(tmp_path))
    for title_number in TITLES[:9]:
        ledger.append(title_number, {"x": title_number})
    with pytest.raises(UnsupportedFormatError, match="answer is refused"):
        ledger.pack(executor=Remote(PACKING_LIES[lie]))
    assert list(ledger.store.list(PACKS)) == []


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [("__version__", "0.0.1", r"0\.0\.1 \("), ("__path__", ["/elsewhere"], r"\S+ \(sources e3b0")],
)
def test_a_worker_with_other_software_is_refused(ledger, name, other, said):
    class Older(Remote):
        def submit(self, fn, /, *args, **kwargs):
            task = pickle.loads(pickle.dumps((fn, args)))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(package, name, other)
                return super().submit(partial(task[0], *task[1]))

    with pytest.raises(UnsupportedFormatError, match=f"a worker has title-ledger {said}"):
        ledger.verify_all(executor=Older())


def test_software_is_the_same_only_if_each_of_its_sources_is(tmp_path, monkeypatch):
    here = software()
    for number, change in enumerate(["", "# another\n"]):
        copy = tmp_path / str(number)
        shutil.copytree(package.__path__[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
        with (copy / "format" / "entry.py").open("a") as source:
            source.write(change)
        (copy / ".#entry.py").symlink_to("nobody@nowhere")  # an editor's
        with monkeypatch.context() as patch:
            patch.setattr(package, "__path__", [str(copy)])
            assert (software() == here) == (not change)


# --- what workers open ---------------------------------------------------------------------------


def test_a_folder_of_the_same_name_that_is_another_is_not_read(ledger, tmp_path):
    """As on a machine that has an old copy there, and not the folder that the others mount."""
    store = FolderStore(tmp_path / "store")
    store.create("ledger.json", b"{}")
    sent = pickle.dumps(store)
    assert pickle.loads(sent).url == store.url
    (tmp_path / "store").rename(tmp_path / "moved")
    (tmp_path / "store").mkdir()
    with pytest.raises(StoreUnavailable, match="another folder"):
        pickle.loads(sent)


def test_a_copy_at_the_top_of_another_file_system_is_not_read(tmp_path):
    """The topmost folders have the same number there: it is another file that tells."""
    store = FolderStore(tmp_path / "store")
    store.create("ledger.json", b"{}")
    sent = pickle.dumps(store)
    shutil.copy2(tmp_path / "store/ledger.json", tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / "store/ledger.json")
    with pytest.raises(StoreUnavailable, match="another folder"):
        pickle.loads(sent)


@pytest.mark.usefixtures("_botocore")
def test_a_bucket_is_opened_at_the_same_endpoint_without_any_credential(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    store = open_store("s3://titles/here", connections=7)
    sent = pickle.dumps(store)
    assert b"geheim" not in sent
    copy = pickle.loads(sent)
    assert (copy.url, copy.concurrency) == (store.url, 7)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9001")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9001 by a worker"):
        pickle.loads(sent)
    for each in (store, copy):
        each.close()


@pytest.mark.xdist_group("moto")
def test_a_client_of_the_callers_own_and_a_token_stay_here(moto_client):
    from ledger.stores.s3.store import S3Store

    for store in (
        S3Store("titles", client=moto_client),
        open_store("https://example.org/titles", bearer="geheim"),
        open_store("https://ada:geheim@example.org/titles"),
    ):
        with pytest.raises(InvalidError, match="can't be used from other processes"):
            pickle.dumps(store)
        store.close()
    plain = open_store("https://example.org/titles", connections=3)
    copy = pickle.loads(pickle.dumps(plain))
    assert (copy.url, copy.concurrency) == (plain.url, 3)


def test_the_store_is_opened_once_in_a_process(ledger, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "ledger.stores.folder._numbers", lambda path: opened.append(threading.get_ident()) or [1]
    )
    there = Remote()
    assert ledger.verify_all(executor=there)
    assert there.tasks > 2
    assert len(opened) == 2  # as it is sent, and as it is opened
