"""Which store, and with what credentials: flag, LEDGER_*, project file, user file, default."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from contextlib import chdir
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from cli.config import load_config
from ledger import InvalidError, Keyring
from ledger.stores import open_store
from tests.cli.shell import PATIENCE, TITLE, Shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def where(shell: Shell, flag: str | None = None, **environment: str) -> tuple[str, str]:
    """The store that a command would use, and what named it."""
    with chdir(shell.folder), mock.patch.dict(os.environ, shell.environment | environment):
        return load_config().choose_store(flag)


def in_folder(shell: Shell, name: str) -> Shell:
    """The same user, in another folder."""
    folder = shell.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    return Shell(folder, shell.home)


def user_file(shell: Shell, text: str) -> Path:
    shell.config.mkdir(parents=True, exist_ok=True)
    path = shell.config / "config.toml"
    path.write_text(text)
    return path


def test_the_order(bare: Shell) -> None:
    assert where(bare) == ("ledger-data", "the default")
    assert where(bare, S3_BUCKET="titles") == ("s3://titles", "S3_BUCKET")
    path = user_file(bare, 'store = "from-user"\n')
    assert where(bare, S3_BUCKET="titles") == ("from-user", str(path))
    (bare.folder / "ledger.toml").write_text('store = "from-project"\n')
    assert where(bare) == (str(bare.folder / "from-project"), "ledger.toml")
    assert where(bare, LEDGER_STORE="from-env") == ("from-env", "LEDGER_STORE")
    assert where(bare, "from-flag", LEDGER_STORE="from-env") == ("from-flag", "the command line")
    shown = bare("status --json --store from-flag", code=13, LEDGER_STORE="from-env").json
    assert shown["store"] == f"file:{bare.folder}/from-flag"
    assert shown["store_from"] == "the command line"


def test_an_empty_variable_names_nothing_but_an_empty_option_is_a_mistake(bare: Shell) -> None:
    assert where(bare, LEDGER_STORE="") == ("ledger-data", "the default")
    assert "empty" in bare.fails(65, "titles --store", "")


@pytest.mark.parametrize("store", ["data", "file:data", "./data"])
def test_a_project_file_counts_in_the_folders_below_it(bare: Shell, store: str) -> None:
    (bare.folder / "ledger.toml").write_text(f'store = "{store}"\n')
    bare("init --origin example.org/titles")
    assert (bare.folder / "data" / "ledger.json").exists()
    below = in_folder(bare, "a/b")
    assert below("status --json").json["store"] == f"file:{bare.folder}/data"
    below("append TN1 --new --set a=b")
    assert bare("titles").lines == ["TN1"]


def test_a_project_file_may_name_a_bucket(bare: Shell) -> None:
    (bare.folder / "ledger.toml").write_text('store = "s3://titles/x"\n')
    assert where(bare) == ("s3://titles/x", "ledger.toml")


@pytest.mark.parametrize("setting", ['key = "k.pem"', 'trust = "x"', 'passphrase = "x"', "[keys]"])
def test_a_project_file_decides_nothing_but_store_and_schema(bare: Shell, setting: str) -> None:
    (bare.folder / "ledger.toml").write_text(f"{setting}\n")
    said = in_folder(bare, "a").fails(65, "titles")
    name = setting.partition(" ")[0].strip("[]")
    assert f"{bare.folder}/ledger.toml: unknown setting '{name}'" in said
    assert "ledger: hint: it can set: schema, store\n" in said


@pytest.mark.parametrize("text", ["store", "store = 1", "store = 'a'\nstore = 'b'", "\x00"])
def test_files_that_make_no_sense_are_named(bare: Shell, text: str) -> None:
    path = user_file(bare, text)
    assert f"ledger: error: {path}: " in bare.fails(65, "titles")


def test_an_unknown_setting_of_the_user(bare: Shell) -> None:
    user_file(bare, 'bucket = "x"\n')
    assert "unknown setting 'bucket'" in bare.fails(65, "titles")


def test_unknown_variables_are_nobodys_business(title: Shell) -> None:
    title("verify", LEDGER_FILE="/tmp/hledger.journal", LEDGER_WHATEVER="1")


def test_a_broken_keyring_is_named(shell: Shell) -> None:
    (shell.config / "keyring.json").write_text('{"format": 1}')
    assert f"{shell.config}/keyring.json: not a keyring" in shell.fails(12, "verify")
    (shell.config / "keyring.json").write_text('{"format": 9}')
    shell.fails(14, "verify")
    (shell.config / "stores.json").write_text("[]")
    (shell.config / "keyring.json").unlink()
    assert "stores.json is not a list of known stores" in shell.fails(65, "verify")


def test_a_home_that_can_not_be_written(bare: Shell) -> None:
    bare.config.parent.mkdir()
    bare.config.write_text("a file where the folder should be")
    assert "Not a directory" in bare.fails(13, "init")


# -- The original service's names ----------------------------------------------------------------


@pytest.fixture
def credentials(bare: Shell) -> object:
    """What boto3 will find, after the configuration was read with these variables."""

    def found(**environment: str) -> tuple[str | None, str | None]:
        modern = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")
        kept = {name: value for name, value in os.environ.items() if name not in modern}
        with mock.patch.dict(os.environ, kept | bare.environment | environment, clear=True):
            load_config()
            return tuple(os.environ.get(name) for name in modern[:2])  # type: ignore[return-value]

    return found


ORIGINAL = {"AWS_KEY": "old", "AWS_SECRET": "old secret"}


def test_the_original_credentials_work(credentials: object) -> None:
    assert credentials(**ORIGINAL) == ("old", "old secret")  # type: ignore[operator]


def test_the_modern_names_come_first(credentials: object) -> None:
    modern = {"AWS_ACCESS_KEY_ID": "new", "AWS_SECRET_ACCESS_KEY": "new secret"}
    assert credentials(**ORIGINAL, **modern) == ("new", "new secret")  # type: ignore[operator]
    assert credentials(**ORIGINAL, AWS_PROFILE="work") == (None, None)  # type: ignore[operator]


def test_half_of_the_original_credentials_is_none(credentials: object) -> None:
    assert credentials(AWS_KEY="old") == (None, None)  # type: ignore[operator]


# -- Names ---------------------------------------------------------------------------------------


def test_a_tilde_is_the_home(bare: Shell) -> None:
    user_file(bare, 'store = "~/titles"\nkey = "~/k.pem"\n')
    bare("init --origin example.org/titles")
    assert (bare.home / "titles" / "ledger.json").exists()
    assert (bare.home / "k.pem").exists()
    user_file(bare, 'store = "FILE:~/titles"\nkey = "~/k.pem"\n')
    bare("append TN1 --new --set a=b")
    user_file(bare, 'key = "~nobody-of-this-name/k.pem"\n')
    assert "no private key: ~nobody" in bare.fails(
        12, "append TN1 --new --set a=b --store", "~/titles"
    )


@pytest.mark.parametrize("store", ["file:///data", "FILE:/data", "file://localhost/data", "/data"])
def test_an_absolute_path_in_a_project_file_stays_as_it_is(bare: Shell, store: str) -> None:
    (bare.folder / "ledger.toml").write_text(f'store = "{store}"\n')
    assert open_store(where(bare)[0]).url == "file:/data"


def test_status_shows_no_credentials(bare: Shell) -> None:
    for store in ("s3://AKIA:SECRET@bucket/x", "https://user:SECRET@example.org/?", "s4:SECRET"):
        for options in ("", "--json"):
            result = bare(f"status {options} --store", store, code=65)
            assert "SECRET" not in result.out + result.err
    assert bare("status --json --store s4:SECRET", code=65).json["store"] is None


# -- Project files of others ---------------------------------------------------------------------

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@as_root
def test_a_project_file_of_another_user_is_refused(
    bare: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare.folder / "ledger.toml").write_text('store = "data"\n')
    os.chown(bare.folder / "ledger.toml", 12345, -1)
    said = in_folder(bare, "a").fails(65, "titles")
    assert f"{bare.folder}/ledger.toml belongs to another user" in said
    assert "hint: name the store with --store or LEDGER_STORE" in said
    bare("init --store mine --origin example.org/titles")
    bare("titles", LEDGER_STORE="mine")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert where(bare) == (f"{bare.folder}/data", "ledger.toml")


@as_root
def test_a_project_file_where_everybody_may_put_one_is_refused(
    bare: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare.folder / "ledger.toml").write_text('store = "data"\n')
    bare.folder.chmod(0o1777)
    where(bare)  # a folder of one's own may be as open as one likes
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(InvalidError, match="anybody can write to"):
        where(bare)


# -- What is remembered of a store ---------------------------------------------------------------


@pytest.fixture(scope="session")
def replaced_made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    made = Shell.make(tmp_path_factory.mktemp("replaced") / "made")
    for name in "abc":
        made(f"init {name} --origin example.org/{name}")
    made("init here --origin example.org/a")
    shutil.rmtree(made.folder / "here")
    shutil.copytree(made.folder / "b", made.folder / "here")
    return made


@pytest.fixture
def replaced(replaced_made: Shell, tmp_path: Path) -> Shell:
    """The ledgers a, b and c; ./here held a, and b's store was put in its place."""
    return replaced_made.copied_to(tmp_path / "work")


@pytest.mark.parametrize(
    "spelling",
    ["here", "./b/../here", "{}/here", "FILE:here", "file:{}/here", "file://localhost{}/here"],
)
def test_a_store_is_known_by_all_its_names(replaced: Shell, spelling: str) -> None:
    store = spelling.format(replaced.folder)
    assert "not example.org/a" in replaced("verify --store", store, code=20).out
    replaced.fails(12, "append TN1 --set a=b --store", store)


def test_a_store_is_known_by_links_to_it(replaced: Shell) -> None:
    (replaced.folder / "link").symlink_to("here")
    assert "not example.org/a" in replaced("verify --store link", code=20).out


def test_a_link_that_leads_elsewhere_by_now_is_noticed(replaced: Shell) -> None:
    link = replaced.folder / "link"
    link.symlink_to("a")
    replaced("verify --store link")
    link.unlink()
    link.symlink_to("b")
    assert (
        "holds the ledger example.org/b, not example.org/a"
        in replaced("verify --store link", code=20).out
    )
    replaced("verify --store b")


def test_a_bucket_is_known_by_all_its_names(bare: Shell) -> None:
    with mock.patch.dict(os.environ, bare.environment):
        config = load_config()
        config.remember_store("S3://bucket/x/", "example.org/a")
        assert config.remembered("s3://bucket/x") == "example.org/a"
        assert config.remembered("s3://bucket/y") is None


def test_init_does_not_forget_which_ledger_it_was(replaced: Shell) -> None:
    before = (replaced.config / "stores.json").read_bytes()
    assert "not example.org/a" in replaced.fails(12, "init here")
    assert (replaced.config / "stores.json").read_bytes() == before
    replaced("init here --origin example.org/b")  # unless one says so
    replaced("append TN1 --new --set a=b --store here")


# -- Two at once ---------------------------------------------------------------------------------


def test_two_changes_at_once_are_both_kept(shell: Shell) -> None:
    (shell.folder / "a.pub").write_text(shell("key show").out)
    with mock.patch.dict(os.environ, shell.environment):
        config = load_config()
    with config.changing():
        before = config.keyring()
        trusting = shell.popen("key trust a.pub --origin example.org/other")
        initing = shell.popen("init more --origin example.org/more")
        for process in (trusting, initing):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)
        [own] = before
        config.save_keyring(before.untrust(own.key.key_id))
        config.remember_store("elsewhere", "example.org/x")
    assert trusting.wait(PATIENCE) == initing.wait(PATIENCE) == 0
    assert shell.keyring().origins == ["example.org/more", "example.org/other"]
    assert {"example.org/x", "example.org/more"} <= set(
        json.loads((shell.config / "stores.json").read_text())["stores"].values()
    )


def test_an_untrust_outlasts_a_power_cut(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is forced to the disk after the new keyring has its name."""
    synced = []

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            synced.append((shell.config / "keyring.json").read_bytes())

    [own] = shell.keyring()
    monkeypatch.setattr(os, "fsync", fsync)
    shell(f"key untrust {own.key.key_id}")
    assert synced[-1] == Keyring().encode()


def connections(shell: Shell, flag: int | None = None, **environment: str) -> int:
    with chdir(shell.folder), mock.patch.dict(os.environ, shell.environment | environment):
        return load_config().connections(flag)


def test_how_many_connections_is_said_by_option_variable_or_file(bare: Shell) -> None:
    assert connections(bare) == 64
    user_file(bare, "connections = 5\n")
    assert connections(bare) == 5
    assert connections(bare, LEDGER_CONNECTIONS="") == 5
    assert connections(bare, LEDGER_CONNECTIONS="6") == 6
    assert connections(bare, 7, LEDGER_CONNECTIONS="6") == 7


@pytest.mark.parametrize("number", ["0", "-1", "1001", "many", "1.5", "9" * 5000, "\u0663"])
def test_a_number_of_connections_that_is_none_is_a_mistake(bare: Shell, number: str) -> None:
    assert "LEDGER_CONNECTIONS" in bare.fails(65, "titles", LEDGER_CONNECTIONS=number)


@pytest.mark.parametrize("number", ["0", "1001", '"32"', "true", "1.5"])
def test_the_file_has_to_give_a_number_of_connections(bare: Shell, number: str) -> None:
    user_file(bare, f"connections = {number}\n")
    assert "config.toml" in bare.fails(65, "titles")


def test_an_option_out_of_range_is_a_wrong_command_line(bare: Shell) -> None:
    assert "--connections" in bare.fails(2, "fsck --connections 0")
    assert "--connections" in bare.fails(2, "export x.bundle --connections 1001")


def test_a_project_does_not_say_how_many_connections(bare: Shell) -> None:
    (bare.folder / "ledger.toml").write_text("connections = 1000\n")
    assert "ledger.toml" in bare.fails(65, "titles")


# --- Your own files are yours --------------------------------------------------------------------


def give_away(path: Path) -> None:
    os.chown(path, 65534, 65534)


def link_of_another(path: Path) -> None:
    real = path.with_name("real")
    path.rename(real)
    path.symlink_to(real)
    os.lchown(path, 65534, 65534)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
SPOILT = {
    "world-writable": (lambda path: path.chmod(0o606), "can be written by others"),
    "group-writable": (lambda path: path.chmod(0o660), "can be written by others"),
    "in an open folder": (lambda path: path.parent.chmod(0o777), "everybody can write to"),
    "a FIFO": (fifo, "is not a plain file"),
}
GIVEN_AWAY = {
    "another's": (give_away, "belongs to another user"),
    "another's link": (link_of_another, "belongs to another user"),
}
CASES = [
    *(pytest.param(*case, id=name) for name, case in SPOILT.items()),
    *(pytest.param(*case, id=name, marks=AS_ROOT) for name, case in GIVEN_AWAY.items()),
]


@pytest.mark.parametrize("name", ["keyring.json", "config.toml", "stores.json"])
@pytest.mark.parametrize(("spoil", "why"), CASES)
def test_a_file_that_others_can_change_never_says_whom_to_trust(
    title: Shell, name: str, spoil: Callable[[Path], None], why: str
) -> None:
    (title.config / "config.toml").write_text("connections = 8\n")
    (title.config / "config.toml").chmod(0o600)
    spoil(title.config / name)
    said = title.fails(12, f"verify {TITLE}")
    assert (str(title.config) if why == "everybody can write to" else name) in said
    assert why in said


@pytest.mark.parametrize(("spoil", "why"), CASES)
def test_a_memory_that_others_can_change_is_never_believed(
    title: Shell, spoil: Callable[[Path], None], why: str
) -> None:
    title("key generate --for log -q")
    title("seal --genesis -q")
    (memory,) = (title.home / ".local" / "state" / "title-ledger").glob("sealer-*.json")
    spoil(memory)
    said = title.fails(12, "seal")
    assert memory.name in said
    assert why in said


def test_a_sticky_folder_is_as_good_as_ones_own(title: Shell) -> None:
    title.config.chmod(0o1777)
    title(f"verify {TITLE}")
