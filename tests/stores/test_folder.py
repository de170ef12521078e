"""The store in a folder: what is on the disk, what the disk does, and other processes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from ledger.errors import (
    IntegrityError,
    InvalidError,
    NotDurable,
    PreconditionFailed,
    StoreUnavailable,
)
from ledger.stores import FolderStore
from ledger.stores.base import Swap, find_doubt
from ledger.stores.contract import StoreContract
from ledger.stores.folder import TOGETHER

HEAD = "TN1/head.json"
REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "root")


@pytest.fixture
def root(store: FolderStore) -> Path:
    """The store's folder, which is there."""
    path = Path(store.path)
    path.mkdir()
    return path


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path)


# --- the root ------------------------------------------------------------------------------------


def test_a_root_that_is_not_there_reads_as_empty_and_is_not_made(store):
    assert store.get(HEAD) is None
    assert list(store.list()) == []
    store.delete("_probe/x")
    with pytest.raises(PreconditionFailed):
        store.replace(HEAD, b"x", "version")
    assert not Path(store.path).exists()


def test_the_root_is_made_with_its_parents_when_an_object_is_created(tmp_path):
    store = FolderStore(tmp_path / "a" / "b" / "c")
    store.create(HEAD, b"x")
    assert (tmp_path / "a/b/c/TN1/head.json").read_bytes() == b"x"


def test_the_root_may_be_a_link(tmp_path, root):
    (tmp_path / "link").symlink_to(root)
    FolderStore(tmp_path / "link").create(HEAD, b"x")
    assert (root / HEAD).read_bytes() == b"x"


def test_a_root_that_is_a_file_is_no_store(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        store = FolderStore(path)
        for use in (
            lambda store=store: store.get(HEAD),
            lambda store=store: store.create(HEAD, b"x"),
            lambda store=store: list(store.list()),
        ):
            with pytest.raises(StoreUnavailable, match="not a folder"):
                use()


def test_a_relative_root_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = FolderStore("titles")
    monkeypatch.chdir("/")
    assert store.url == f"file:{tmp_path}/titles"
    assert repr(store) == f"FolderStore('{tmp_path}/titles')"


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidError):
        FolderStore(path)


# --- what is on the disk -------------------------------------------------------------------------


def test_an_object_is_a_file_with_its_bytes_and_nothing_else_is_left(store, root):
    version = store.create(HEAD, b"one")
    store.replace(HEAD, b"two", version)
    with pytest.raises(PreconditionFailed):
        store.create(HEAD, b"three")
    assert [path.name for path in (root / "TN1").iterdir()] == ["head.json"]
    assert (root / HEAD).read_bytes() == b"two"


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_files_and_folders_have_the_modes_of_the_umask(store, mask, file, folder):
    before = os.umask(mask)
    try:
        version = store.create(HEAD, b"x")
        store.replace(HEAD, b"y", version)
    finally:
        os.umask(before)
    root = Path(store.path)
    assert stat.S_IMODE((root / HEAD).stat().st_mode) == file
    assert stat.S_IMODE((root / "TN1").stat().st_mode) == folder
    assert stat.S_IMODE(root.stat().st_mode) == folder


def test_what_a_crash_left_is_neither_listed_nor_in_the_way(store, root):
    (root / "TN1").mkdir()
    (root / "TN1" / ".tmp-0123").write_bytes(b"half an ent")
    (root / "TN2").mkdir()
    assert list(store.list()) == []
    assert list(store.list(delimiter="/")) == []
    store.create(HEAD, b"x")
    assert list(store.list()) == [HEAD]


def test_files_that_are_no_objects_are_not_listed(store, root):
    store.create(HEAD, b"x")
    for name in (".DS_Store", "read me.txt", "TN1/.git", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"):
        (root / name).write_bytes(b"")
    (root / os.fsdecode(b"\xff")).mkdir()
    assert list(store.list()) == [HEAD]
    assert list(store.list(delimiter="/")) == ["TN1/"]


def test_neither_reading_nor_writing_lists_a_folder(store, monkeypatch):
    version = store.create(HEAD, b"x")
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("a folder was listed"))
    version = store.replace(HEAD, b"y", version)
    assert store.get(HEAD) == (b"y", version)
    store.create("TN2/head.json", b"z")
    store.delete("_probe/x")


def test_a_listing_opens_only_folders_it_can_need(store, monkeypatch):
    for title in ("A", "B", "BA", "C", "D"):
        store.create(f"{title}/head.json", b"")
    opened = []
    items = FolderStore._items
    monkeypatch.setattr(
        FolderStore, "_items", lambda self, *of: opened.append(of[0]) or items(self, *of)
    )
    assert list(store.list("B", after="BA/a")) == ["BA/head.json"]
    assert opened == ["", "BA/"]
    opened.clear()
    assert next(store.list(after="C")) == "C/head.json"
    assert opened == ["", "C/"]


def test_no_descriptor_stays_open(store, root):
    (root / "TN2").symlink_to("/etc")
    os.mkfifo(root / "fifo")

    def use_everything() -> None:
        store.get(HEAD)
        store.create("_probe/x", b"x")
        store.delete("_probe/x")
        next(store.list())
        for wrong in ("TN2/head.json", "fifo", "TN1", "TN1/head.json/x"):
            for use in (store.get, lambda key: store.create(key, b"y")):
                with pytest.raises(IntegrityError):
                    use(wrong)
            with pytest.raises(IntegrityError):
                store.replace(wrong, b"y", "version")

    store.create(HEAD, b"x")
    use_everything()
    before = set(Path("/dev/fd").iterdir())
    use_everything()
    assert set(Path("/dev/fd").iterdir()) == before


# --- what the disk does --------------------------------------------------------------------------


def fail_to_sync(monkeypatch, *paths) -> None:
    """Fail to force these folders to the disk; without any, all files."""
    sync = os.fsync
    folders = {path.stat().st_ino for path in paths}

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if status.st_ino in folders or (not folders and stat.S_ISREG(status.st_mode)):
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def recorded(monkeypatch) -> list[str]:
    """The steps that force bytes and names to the disk, as they are taken."""
    steps = []
    for name in ("fsync", "link", "rename"):
        call = getattr(os, name)

        def record(*arguments, name=name, call=call, **options):
            what = name
            if name == "fsync":
                is_folder = stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
                what = "sync folder" if is_folder else "sync file"
            steps.append(what)
            return call(*arguments, **options)

        monkeypatch.setattr(os, name, record)
    return steps


def files(root) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_a_file_is_forced_to_the_disk_before_it_has_its_name_and_the_folder_after(
    store, monkeypatch
):
    store.create("TN1/first.json", b"")
    steps = recorded(monkeypatch)
    version = store.create("TN1/second.json", b"x")
    assert steps == ["sync file", "link", "sync folder"]
    steps.clear()
    store.replace("TN1/second.json", b"y", version)
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_head_has_its_name_only_once_that_of_its_folder_is_on_the_disk(store, monkeypatch):
    """Whoever made the folder may not have come so far, and whoever reads the head relies on it."""
    store.create("TN1/first.json", b"")
    steps = recorded(monkeypatch)
    version = store.create(HEAD, b"x")
    assert steps == ["sync file", "sync folder", "link", "sync folder"]
    steps.clear()
    store.replace(HEAD, b"y", version)
    assert steps == ["sync file", "rename", "sync folder"]
    steps.clear()
    store.create("TN2/head.json", b"x")  # its folder is new, and forced no sooner than it has to be
    assert steps == ["sync file", "sync folder", "link", "sync folder"]


def test_objects_created_together_are_forced_to_the_disk_together(store, root, monkeypatch):
    """First all files, then all names: a journal writes the second of each with the first."""
    steps = recorded(monkeypatch)
    store.create_many([("TN1/a.json", b"a"), ("_pending/b", b"")])
    # And the root, once, as both folders are new.
    assert steps == [*["sync file"] * 2, "sync folder", *["link"] * 2, *["sync folder"] * 2]
    assert files(root) == {"TN1/a.json": b"a", "_pending/b": b""}
    steps.clear()
    store.create_many([("TN1/c.json", b"c"), ("_pending/d", b"")])
    assert steps == [*["sync file"] * 2, *["link"] * 2, *["sync folder"] * 2]


def test_a_swap_comes_once_what_it_needs_is_on_the_disk_by_name(store, monkeypatch):
    """Its bytes are forced with those of the others: a journal waits for the disk once less."""
    version = store.create(HEAD, b"1")
    store.create("_pending/a", b"")
    steps = recorded(monkeypatch)
    (new,) = store.swap_many(
        [("TN1/2.json", b"2"), ("_pending/b", b"")], [Swap(HEAD, b"2", version)]
    )
    assert steps == [
        *["sync file"] * 3,
        *["link"] * 2,
        *["sync folder"] * 2,
        "rename",
        "sync folder",
    ]
    assert store.get(HEAD) == (b"2", new)


def swaps(store, titles) -> list[Swap]:
    return [Swap(f"TN{n}/head.json", b"2", store.create(f"TN{n}/head.json", b"1")) for n in titles]


def test_of_swaps_done_together_one_that_may_not_survive_says_so(store, root, monkeypatch):
    moves = swaps(store, range(20))
    fail_to_sync(monkeypatch, root / "TN7")
    outcomes = store.swap_many([("_pending/a", b"")], moves)
    assert [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, str)] == [7]
    assert isinstance(outcomes[7], NotDurable)
    assert {store.get(move.key).data for move in moves} == {b"2"}


def test_of_swaps_done_together_one_that_fails_leaves_the_others_done(store, monkeypatch):
    moves = swaps(store, range(20))
    rename = os.rename
    named = []

    def failing(*arguments, **options):
        named.append(arguments)
        if len(named) == 8:
            raise OSError(errno.EIO, "Input/output error")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "rename", failing)
    outcomes = store.swap_many([], moves)
    assert [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, str)] == [7]
    assert isinstance(outcomes[7], StoreUnavailable)
    assert store.get(moves[7].key).data == b"1"


def test_before_all_bytes_are_on_the_disk_no_swap_is_done(store, root, monkeypatch):
    moves = swaps(store, range(20))
    before = files(root)
    fail_to_sync(monkeypatch)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        store.swap_many([("TN1/new.json", b"x")], moves)
    assert files(root) == before


def fail_once_to_sync(monkeypatch, folder) -> None:
    """Fail to force this folder to the disk, and each file before that; say yes from then on."""
    sync = os.fsync
    failed = []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        is_folder = status.st_ino == folder.stat().st_ino
        if not failed and (is_folder or stat.S_ISREG(status.st_mode)):
            failed.extend([is_folder] * is_folder)
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_folder_that_may_not_be_on_the_disk_gets_no_head_by_asking_again(
    store, root, monkeypatch
):
    store.create("TN1/first.json", b"")
    before = files(root)
    fail_once_to_sync(monkeypatch, root)
    with pytest.raises(StoreUnavailable, match="Input/output error") as caught:
        store.swap_many([("TN2/new.json", b"x")], [Swap("TN2/head.json", b"x", None)])
    assert find_doubt(caught.value)
    assert files(root) == before


def test_after_some_swaps_are_done_a_folder_that_may_not_last_is_the_outcome_of_the_others(
    store, root, monkeypatch
):
    moves = swaps(store, range(TOGETHER))
    new = [Swap(f"NEW{n}/head.json", b"x", None) for n in range(2)]
    fail_to_sync(monkeypatch, root)
    outcomes = store.swap_many([], [*moves, *new])
    assert all(isinstance(outcome, str) for outcome in outcomes[:TOGETHER])
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes[TOGETHER:])
    assert [store.get(each.key) for each in new] == [None, None]


def test_more_swaps_than_are_done_at_once_each_have_an_outcome(store, root):
    moves = swaps(store, range(2 * TOGETHER))
    shutil.rmtree(root / f"TN{TOGETHER}")
    (root / f"TN{TOGETHER}").write_bytes(b"")
    outcomes = store.swap_many([("TN1/new.json", b"x")], moves)
    assert [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, str)] == [TOGETHER]
    assert isinstance(outcomes[TOGETHER], IntegrityError)
    assert store.get(moves[-1].key).data == b"2"


AFTER_THE_MAIN_THREAD = """
import sys, threading, time
from ledger.stores import FolderStore
def write():
    threading.main_thread().join()
    time.sleep(0.05)
    FolderStore(sys.argv[1]).create_many((f"TN{n}/new.json", b"x") for n in range(20))
threading.Thread(target=write).start()
"""


def test_a_thread_that_goes_on_after_the_main_one_can_write_many_files(store, root):
    """No thread can be started by then to force them side by side."""
    code = [sys.executable, "-c", AFTER_THE_MAIN_THREAD, str(root)]
    done = subprocess.run(
        code, check=False, cwd=REPOSITORY, timeout=60, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(store.list())) == 20


WITH_FEW_FILES = """
import os, resource, sys, time
from concurrent.futures import ThreadPoolExecutor
from ledger.stores import FolderStore
from ledger.stores.base import Swap

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))  # macOS' soft limit; most of Linux have 1024
sync, store = os.fsync, FolderStore(sys.argv[1])

def slow(descriptor):
    time.sleep(0.01)
    sync(descriptor)

def write(group):
    titles = [f"{group}{n}" for n in range(16)]
    folders = [f"_pending/{title}" for title in titles] + [f"_n/{title}" for title in titles]
    objects = [(f"{folder}/new", b"") for folder in [*titles, *folders]]
    return store.swap_many(objects, [Swap(f"{title}/head.json", b"x", None) for title in titles])

os.fsync = slow
with ThreadPoolExecutor(4) as pool:
    outcomes = [each for some in pool.map(write, "ABCD") for each in some]
assert all(isinstance(each, str) for each in outcomes), outcomes
"""


def test_several_threads_write_many_titles_together_where_few_files_may_be_open(store, root):
    """On a slow disk, all files of a group are open while it is asked to force them."""
    code = [sys.executable, "-c", WITH_FEW_FILES, str(root)]
    done = subprocess.run(
        code, check=False, cwd=REPOSITORY, timeout=60, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(store.list())) == 4 * 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_many_are_written_after_a_fork_too(store):
    """The threads that force files to the disk are not in the child."""
    store.create_many((f"TN1/{n}.json", b"x") for n in range(20))
    child = os.fork()
    if not child:
        try:
            signal.alarm(20)
            store.create_many((f"TN2/{n}.json", b"x") for n in range(20))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(store.list("TN2/"))) == 20


def test_of_objects_created_together_a_failing_one_leaves_nothing_unfinished(store, root):
    store.create("TN1/b.json", b"mine")
    objects = [("TN1/a.json", b"a"), ("TN1/b.json", b"theirs"), ("TN1/c.json", b"c")]
    with pytest.raises(PreconditionFailed, match="TN1/b"):
        store.create_many(objects)
    assert files(root) == {"TN1/a.json": b"a", "TN1/b.json": b"mine"}
    (root / "TN1" / "d.json").mkdir()
    with pytest.raises(IntegrityError, match="TN1/d"):
        store.create_many([("TN1/c.json", b"c"), ("TN1/d.json", b"d")])
    assert not list(root.glob("**/.tmp*"))


def test_any_number_of_objects_is_created_with_few_files_open(store):
    code = (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "store.create_many((f'TN1/{n}.json', b'x') for n in range(300))"
    )
    assert run(code, store.path) == ""
    assert len(list(store.list("TN1/"))) == 300


def test_a_write_that_fails_before_it_is_visible_did_not_happen(store, root, monkeypatch):
    version = store.create(HEAD, b"x")
    fail_to_sync(monkeypatch)
    for write in (
        lambda: store.create("TN1/new.json", b"y"),
        lambda: store.replace(HEAD, b"y", version),
    ):
        with pytest.raises(StoreUnavailable, match=r"TN1/.*Input/output error"):
            write()
    assert [path.name for path in (root / "TN1").iterdir()] == ["head.json"]
    assert store.get(HEAD) == (b"x", version)


def test_a_folder_that_may_not_be_on_the_disk_gets_no_head(store, root, monkeypatch):
    store.create("TN1/first.json", b"")
    fail_to_sync(monkeypatch, root)
    with pytest.raises(StoreUnavailable, match=r"TN1/head.*Input/output error"):
        store.create(HEAD, b"x")
    assert files(root) == {"TN1/first.json": b""}


def test_a_write_that_fails_after_it_is_visible_is_unknown(store, root, monkeypatch):
    version = store.create(HEAD, b"x")
    fail_to_sync(monkeypatch, root / "TN1")
    for write in (
        lambda: store.create("TN1/new.json", b"y"),
        lambda: store.create(HEAD, b"x"),
        lambda: store.replace(HEAD, b"y", version),
        lambda: store.make_durable(HEAD),
    ):
        with pytest.raises(NotDurable, match="may not survive"):
            write()


def test_making_durable_forces_the_name_to_the_disk_whoever_wrote_it(store, monkeypatch):
    FolderStore(store.path).create(HEAD, b"x")
    steps = recorded(monkeypatch)
    store.make_durable(HEAD)
    assert steps == ["sync folder"]


@pytest.mark.parametrize("step", ["open", "close"])
def test_once_an_object_has_its_name_no_failure_says_that_it_did_not_happen(
    store, monkeypatch, step
):
    named = []
    for name in ("link", "rename", step):
        call = getattr(os, name)

        def failing(*arguments, name=name, call=call, **options):
            if name == "close":
                call(*arguments, **options)  # a descriptor is gone, whatever its close says
            if name == step and named:
                raise OSError(errno.EIO, "Input/output error")
            named.extend([name] * (name != step))
            return call(*arguments, **options) if name != "close" else None

        monkeypatch.setattr(os, name, failing)
    version = store.create(HEAD, b"x")
    assert named.pop() == "link"
    store.replace(HEAD, b"y", version)
    assert named.pop() == "rename"
    assert store.get(HEAD).data == b"y"


@pytest.mark.parametrize("step", ["write", "fsync", "link"])
def test_an_interrupt_leaves_nothing_behind(store, root, monkeypatch, step):
    store.create("TN1/first.json", b"")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.create(HEAD, b"x")
    assert [path.name for path in (root / "TN1").iterdir()] == ["first.json"]


def test_a_full_disk_is_reported_with_the_file_and_the_reason(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)]
    mounted = shutil.which("mount") and subprocess.run(
        command, check=False, capture_output=True, timeout=60
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        store = FolderStore(mount)
        version = store.create(HEAD, b"x")
        for write in (
            lambda: store.create("TN1/big.json", bytes(1 << 17)),
            lambda: store.replace(HEAD, bytes(1 << 17), version),
        ):
            with pytest.raises(StoreUnavailable, match=r"TN1/.*No space left on device"):
                write()
        assert store.get(HEAD) == (b"x", version)
        assert [path.name for path in (mount / "TN1").iterdir()] == ["head.json"]
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True, timeout=60)


def run(code: str, path: str) -> str:
    """What another Python says that has run the code, with the store of the path."""
    start = (
        "import os, resource, sys\n"
        "from ledger.stores import FolderStore\n"
        "store = FolderStore(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + code, path],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout + done.stderr


def test_a_file_above_the_process_limit_is_reported(store):
    code = (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "store.create('TN1/head.json', bytes(2000))"
    )
    said = run(code, store.path)
    assert "StoreUnavailable: cannot write" in said
    assert "File too large" in said
    assert list(store.list()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else_is_denied():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        store = FolderStore(name)
        store.create(HEAD, b"x")
        (Path(name) / HEAD).chmod(0o600)
        for code in (
            "store.get('TN1/head.json')",
            "store.create('TN1/new.json', b'x')",
            "store.create('TN2/new.json', b'x')",
        ):
            said = run(f"os.setuid({NOBODY})\n{code}", name)
            assert "StoreDenied: cannot" in said
            assert "Permission denied" in said
        assert list(store.list()) == [HEAD]


# --- many processes ------------------------------------------------------------------------------


def create_each(path: str, name: str) -> list[bool]:
    """Try to be first with each of twenty objects."""
    store = FolderStore(path)
    won = []
    for number in range(20):
        try:
            store.create(f"TN{number}/head.json", name.encode())
        except PreconditionFailed:
            won.append(False)
        else:
            won.append(True)
    return won


def count_up(path: str, _: str) -> None:
    """Add one to a counter, twenty times."""
    store = FolderStore(path)
    done = 0
    while done < 20:
        there = store.get(HEAD)
        try:
            store.replace(HEAD, str(int(there.data) + 1).encode(), there.version)
        except PreconditionFailed:
            continue
        done += 1


@pytest.mark.slow
def test_many_processes_lose_nothing(store):
    """Each object has one creator, whose bytes it has, and a counter counts every one."""
    names = [f"process {number}" for number in range(8)]
    paths = [store.path] * len(names)
    with ProcessPoolExecutor(len(names), mp_context=get_context("spawn")) as pool:
        won = list(pool.map(create_each, paths, names))
        for number, column in enumerate(zip(*won, strict=True)):
            assert sum(column) == 1
            assert store.get(f"TN{number}/head.json").data.decode() == names[column.index(True)]
        store.replace(HEAD, b"0", store.get(HEAD).version)
        list(pool.map(count_up, paths, names))
    assert store.get(HEAD).data == b"160"
