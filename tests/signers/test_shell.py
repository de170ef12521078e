"""Signers in the shell: where they are named, and what devices that fail leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.testing import signer
from tests.cli.shell import ORIGIN, Shell
from tests.signers.devices import SCRIPT, need, program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.signers.devices import Device

CITY = "city.example/witness"
ROLES = ("registrar", "log", "witness")
BAD = {
    "wrong": "openssl rand 64",
    "short": "openssl rand 63",
    "long": "openssl rand 65",
    "small order": "printf '\\001'; head -c 63 /dev/zero",
    "failing": "echo 'no card' >&2; exit 1",
}


@pytest.fixture
def sealed(sealed_made: Shell, tmp_path: Path) -> Shell:
    """A shell whose three keys are in programs, of which a log is begun."""
    shell = sealed_made.copied_to(tmp_path / "work")
    for role in ROLES:
        shell.environment[variable(role)] = mend(shell, role)
    return shell


@pytest.fixture(scope="session")
def sealed_made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    need("openssl")
    bare = Shell.make(tmp_path_factory.mktemp("sealed") / "made")
    for role in ROLES:
        (bare.folder / f"{role}.key").write_bytes(signer(role).pem())
        bare.environment[variable(role)] = mend(bare, role)
    bare(f"init --origin {ORIGIN}")
    bare("append TN1 --new --set a=b")
    (bare.folder / "log.pub").write_bytes(bare("key show --for log").data)
    bare(f"key trust log.pub --origin {ORIGIN} --role log")
    bare("seal --genesis")
    vkey = bare(f"key show --for witness --name {CITY} --vkey -q").data
    (bare.config / "witness-key.vkey").write_bytes(vkey)
    bare("append TN1 --set a=c")
    return bare


def variable(role: str) -> str:
    return "LEDGER_KEY" if role == "registrar" else f"LEDGER_{role.upper()}_KEY"


def mend(shell: Shell, role: str) -> str:
    return program(shell.folder / role, SCRIPT.format(key=shell.folder / f"{role}.key"))


def spoil(shell: Shell, role: str, how: str) -> None:
    script = SCRIPT.format(key=shell.folder / f"{role}.key")
    begin, _, _ = script.partition("sign)")
    program(shell.folder / role, f"{begin}sign) cat >/dev/null; {how} ;;\nesac\n")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


LINES = (
    ("registrar", "append TN1 --set a=d"),
    ("registrar", "append TN2 --new --set a=d"),
    ("registrar", "erase TN1 1 --reference order-7 -m why"),
    ("log", "seal"),
    ("witness", "audit --state memory --cosign cosigned"),
)


def is_quick(line: str, bad: str) -> bool:
    """All that signs badly, and all that asks for a signature; each with each is slow."""
    return line == LINES[0][1] or bad == "wrong" or (line, bad) == ("seal", "failing")


@pytest.mark.parametrize(
    ("role", "line", "bad"),
    [
        pytest.param(role, line, bad, marks=[] if is_quick(line, bad) else pytest.mark.slow)
        for role, line in LINES
        for bad in BAD
    ],
)
def test_what_signs_wrongly_writes_nothing(sealed: Shell, role: str, line: str, bad: str) -> None:
    spoil(sealed, role, BAD[bad])
    before = everything(sealed.folder / "ledger-data")
    said = sealed.fails(12, line)
    assert ("does not verify" if bad != "failing" else "no card") in said
    after = everything(sealed.folder / "ledger-data")
    assert {name for name in after if "/staging/" not in name} == before.keys()
    assert {name: after[name] for name in before} == before
    assert not (sealed.folder / "cosigned").exists()
    mend(sealed, role)
    sealed(line, code=3 if "erase" in line else 0)  # 3: the order waits for the log


def test_doctor_names_what_does_not_sign(sealed: Shell) -> None:
    said = sealed("doctor").out
    assert f"ok: key: exec:{sealed.folder}/registrar signs: " in said
    assert f"ok: log key: exec:{sealed.folder}/log signs: " in said
    spoil(sealed, "log", BAD["failing"])
    said = sealed("doctor", code=12).out
    assert "problem: log key: " in said
    assert "no card" in said
    spoil(sealed, "registrar", BAD["wrong"])
    assert "problem: key: " in sealed("doctor", code=12).out
    (sealed.folder / "registrar").unlink()
    said = sealed("doctor", code=12).out
    assert f"problem: key: cannot run {sealed.folder}/registrar" in said


def test_the_pin_is_in_nothing_that_is_printed(bare: Shell) -> None:
    uri = "pkcs11:token=t;object=o?pin-value=7391&module-path=/none.so"
    bare.environment["LEDGER_KEY"] = uri
    (bare.folder / "witness-key.vkey").write_text("")
    for line in ("status", "status --json", "doctor", "init", "key show", "serve --port 0"):
        result = bare(line, code=None)
        assert "7391" not in result.out + result.err, line
        assert line.startswith("status") or result.code


@pytest.mark.parametrize("role", ["registrar", "log", "witness"])
def test_a_key_is_not_generated_in_a_device(bare: Shell, role: str) -> None:
    words = f"--name {CITY}" if role == "witness" else ""
    words += f" --origin {ORIGIN}" if role == "log" else ""
    line = f"key generate --for {role} {words}"
    uri = "exec:/bin/true"
    said = bare.fails(65, line, **{variable(role): uri})
    assert "a key is made in a file" in said
    bare(f"{line} --key new.pem", **{variable(role): uri})
    assert (bare.folder / "new.pem").exists()


def test_a_device_of_another_kind_is_refused(bare: Shell) -> None:
    assert "no signer is called gcpkms:" in bare.fails(65, "key show --key gcpkms://x")
    said = bare.fails(65, "init --origin a.example/b", LEDGER_KEY="yubikey:1")
    assert "no signer is called" in said


def test_a_witness_in_a_device_needs_its_name(bare: Shell, programs: Device) -> None:
    uri = programs.uris["witness"]
    said = bare.fails(12, "key show --for witness", LEDGER_WITNESS_KEY=uri)
    assert f"cannot read the witness's name: {bare.config}/witness-key.vkey" in said
    assert "ledger key show --for witness --name NAME --vkey" in said
    assert "--name is for --for witness" in bare.fails(2, f"key show --name {CITY}")


def test_the_key_may_be_named_in_the_settings(bare: Shell, programs: Device) -> None:
    bare.config.mkdir(parents=True)
    (bare.config / "config.toml").write_text(f'key = "{programs.uris["registrar"]}"\n')
    bare(f"init --origin {ORIGIN}")
    bare("append TN1 --new --set a=b")
    assert list(bare.config.glob("*.pem")) == []
