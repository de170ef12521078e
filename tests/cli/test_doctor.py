"""``doctor``: what is in order, what isn't, and what could not be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.config import KEYS
from tests.cli.shell import ORIGIN, Shell
from tests.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

LOG_FILES = ("_log/state", "_log/checkpoint")


def outcomes(found: list[Any]) -> dict[str, str]:
    return {each["check"]: each["outcome"] for each in found}


def check(shell: Shell, name: str, line: str = "doctor", *, code: int = 0) -> Any:
    """The last thing said of one check."""
    (*_, last) = [
        each for each in shell(f"{line} --json", code=code).objects if each["check"] == name
    ]
    return last


def test_all_is_in_order_after_init(shell: Shell) -> None:
    before = shell.listing()
    result = shell("doctor")
    assert all(line.startswith("ok: ") for line in result.lines)
    assert f"ok: ledger: {ORIGIN}" in result.lines
    assert shell.listing() == before


def test_as_json_each_check_is_an_object(shell: Shell) -> None:
    found = shell("doctor --json").objects
    assert outcomes(found) == dict.fromkeys(
        ["store", "ledger", "keyring", "key", "conditional writes", "log"], "ok"
    )
    assert all(each.keys() == {"check", "outcome", "message", "hint"} for each in found)


def test_quietly_it_says_what_is_wrong_and_nothing_else(shell: Shell) -> None:
    assert shell("doctor -q").out == ""
    (shell.config / "key.pem").chmod(0o644)
    said = shell("doctor -q", code=12).lines
    assert said[0].startswith("problem: key: others can read the private key")
    assert said[1].strip().startswith("chmod 600")


def test_a_place_that_is_not_there_is_not_made(bare: Shell) -> None:
    said = bare("doctor titles", code=13).lines
    assert said[0].startswith("problem: store: there is no folder")
    assert not (bare.folder / "titles").exists()


def test_a_store_can_be_looked_at_before_a_ledger_is_made_in_it(bare: Shell) -> None:
    (bare.folder / "titles").mkdir()
    found = outcomes(bare("doctor titles --json", code=13).objects)
    assert (found["store"], found["conditional writes"]) == ("ok", "ok")
    assert found["ledger"] == "problem"
    assert not [path for path in (bare.folder / "titles").rglob("*") if path.is_file()]


def test_to_look_only_nothing_is_written(title: Shell) -> None:
    title.store.chmod(0o500)
    try:
        found = outcomes(title("doctor --read-only --json").objects)
    finally:
        title.store.chmod(0o700)
    assert "conditional writes" not in found


def test_a_ledger_that_the_keyring_does_not_know(title: Shell) -> None:
    stranger = Shell.make(title.folder.with_name("stranger"))
    found = stranger(f"doctor {title.store} --json", code=12).objects
    assert outcomes(found)["ledger"] == "problem"
    assert "ledger key trust FILE" in next(e["hint"] for e in found if e["check"] == "ledger")


def test_another_ledger_in_its_place(title: Shell) -> None:
    found = title("doctor --json", code=12, LEDGER_ORIGIN="example.org/other").objects
    assert "not example.org/other" in next(e["message"] for e in found if e["check"] == "ledger")


def test_an_auditor_has_no_key(title: Shell) -> None:
    (title.config / "key.pem").unlink()
    assert check(title, "key")["outcome"] == "ok"


def test_a_key_that_does_not_count_is_a_warning(title: Shell) -> None:
    (title.config / "key.pem").unlink()
    title("key generate")
    assert check(title, "key")["outcome"] == "warning"


def test_an_encrypted_key_is_not_opened_without_its_passphrase(bare: Shell) -> None:
    bare("init --origin example.org/titles", LEDGER_PASSPHRASE="secret")
    assert "encrypted" in check(bare, "key")["message"]
    (bare.config / "key.pem").chmod(0o640)
    assert check(bare, "key", code=12)["outcome"] == "problem"


def test_a_sealer_that_has_lost_its_memory_is_warned(title: Shell) -> None:
    title("key generate --for log")
    assert check(title, "log memory")["outcome"] == "ok"
    title("seal --genesis")
    memory = check(title, "log memory")
    assert memory["outcome"] == "ok"
    (file,) = (title.home / ".local/state/title-ledger").glob("*.json")
    file.unlink()
    assert check(title, "log memory")["outcome"] == "warning"
    (title.config / KEYS["log"][1]).chmod(0o644)
    assert check(title, "log key", code=12)["outcome"] == "problem"


@pytest.fixture(scope="session")
def made_twice(
    title_made: Shell, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Shell, dict[str, bytes]]:
    """A shell that began a log and went on with it; what was in the store in between."""
    shell = title_made.copied_to(tmp_path_factory.mktemp("sealed-twice") / "made")
    shell("key generate --for log")
    shell("seal --genesis")
    before = shell.listing()
    shell("append TN1234567 --set a=b")
    shell("seal")
    shell("append TN1234567 --set a=c")
    shell("seal")
    assert check(shell, "log memory")["outcome"] == "ok"
    return shell, before


@pytest.fixture
def sealed(made_twice: tuple[Shell, dict[str, bytes]], tmp_path: Path) -> Shell:
    return made_twice[0].copied_to(tmp_path / "work")


@pytest.fixture
def before(made_twice: tuple[Shell, dict[str, bytes]]) -> dict[str, bytes]:
    return made_twice[1]


def set_back(shell: Shell, objects: dict[str, bytes]) -> None:
    for path in (shell.store / "_log").iterdir():
        if path.is_file():
            path.unlink()
    for name, data in objects.items():
        (shell.store / name).write_bytes(data)


def test_a_log_that_was_set_back_is_a_problem_where_its_sealer_remembers(
    sealed: Shell, before: dict[str, bytes]
) -> None:
    set_back(sealed, {key: data for key, data in before.items() if key in LOG_FILES})
    assert check(sealed, "log", code=20)["outcome"] == "ok"  # what is there holds together
    found = check(sealed, "log memory", code=20)
    assert found["outcome"] == "problem"
    assert "the log has 3 leaves, but a checkpoint of 5 leaves" in found["message"]
    assert "the log has 3 leaves" in sealed.fails(20, "seal")
    (sealed.config / KEYS["log"][1]).unlink()  # as where it is in a device
    assert check(sealed, "log memory", code=20)["outcome"] == "problem"


def test_a_log_that_is_gone_is_a_problem_where_its_sealer_remembers(sealed: Shell) -> None:
    set_back(sealed, {})
    assert check(sealed, "log memory", code=20)["outcome"] == "problem"


def test_a_checkpoint_that_was_set_back_alone_is_a_problem(
    sealed: Shell, before: dict[str, bytes]
) -> None:
    key = "_log/checkpoint"
    (sealed.store / key).unlink()
    (sealed.store / key).write_bytes(before[key])
    found = check(sealed, "log memory", code=20)
    assert found["outcome"] == "problem"
    assert "3 leaves, and had 5" in found["message"]


def test_a_seal_that_was_cut_off_is_a_warning_and_the_next_one_mends_it(sealed: Shell) -> None:
    key = sealed.store / "_log" / "checkpoint"
    earlier = key.read_bytes()
    sealed("append TN1234567 --set a=d")
    sealed("seal")
    key.unlink()
    key.write_bytes(earlier)
    assert check(sealed, "log memory")["outcome"] == "warning"
    sealed("seal")
    assert check(sealed, "log memory")["outcome"] == "ok"


def test_a_log_that_another_sealer_went_on_with_is_in_order(sealed: Shell) -> None:
    (memory,) = (sealed.home / ".local/state/title-ledger").glob("*.json")
    earlier = memory.read_bytes()
    sealed("append TN1234567 --set a=d")
    sealed("seal")
    memory.write_bytes(earlier)
    assert check(sealed, "log memory")["outcome"] == "ok"


def test_a_damaged_log_is_a_problem(title: Shell) -> None:
    title("key generate --for log")
    title("seal --genesis")
    checkpoint = title.store / "_log" / "checkpoint"
    checkpoint.chmod(0o600)
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n3\n", b"\n2\n"))
    assert check(title, "log", code=20)["outcome"] == "problem"


def test_a_server_that_is_not_there_is_said_once(bare: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    found = bare("doctor s3://titles --json", code=13, AWS_ENDPOINT_URL_S3=url).objects
    assert outcomes(found) == {"store": "problem", "keyring": "ok", "key": "ok"}


def test_the_store_is_named_once(bare: Shell) -> None:
    assert "once" in bare.fails(2, "doctor a --store b")


def test_trust_files_that_the_keyring_has_pinned_none_of_are_named(title: Shell) -> None:
    (title.store / "_trust").mkdir()
    (title.store / "_trust" / "1.json").write_bytes(b"{}")
    found = check(title, "trust files")
    assert found["outcome"] == "warning"
    assert "you go by none" in found["message"]
    assert "ledger trust pin SHA256" in found["hint"]
