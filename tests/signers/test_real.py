"""Every kind of device signs what a registrar, a log and a witness sign, in library and shell."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ledger import Keyring, Ledger, Log, open_signer
from ledger.format.signing import sign_with
from ledger.stores import MemoryStore
from ledger.titles.draft import Draft
from ledger.tlog import WitnessKey, open_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell
    from tests.signers.devices import Device

ORIGIN = "example.org/titles"
CITY = "city.example/witness"


def test_it_appends_seals_and_cosigns(device: Device, tmp_path: Path) -> None:
    registrar, log_key, city = (
        open_signer(device.uris[role], **device.options) for role in ("registrar", "log", "witness")
    )
    keyring = Keyring().trust(ORIGIN, registrar.public_key)
    keyring = keyring.trust(ORIGIN, log_key.public_key, role="log")
    store = MemoryStore()
    with Ledger.create(store, origin=ORIGIN, keyring=keyring, signer=registrar) as ledger:
        done = ledger.append_many(Draft(f"TN{number}", {"n": number}) for number in range(6))
        assert all(outcome.appended for outcome in done)
        log = Log(ledger)
        sealed = log.seal(log_key, tmp_path / "memory", genesis=True)
        assert sealed.leaves == 6
        assert ledger.verify_all()
        witness = WitnessKey(CITY, city.public_key)
        note = log.cosign(sealed.signed.note, [(witness, city)])
    opened = open_checkpoint(
        note, origin=ORIGIN, log_keys=[log_key.public_key], witnesses=[witness]
    )
    assert [each.witness for each in opened.cosignatures] == [witness]


def test_it_signs_from_many_threads(device: Device) -> None:
    signer = open_signer(device.uris["log"], **device.options)
    inputs = [b"%d" % number for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(lambda data: sign_with(signer, data), inputs))
    assert all(map(signer.public_key.verify, signatures, inputs))


@pytest.mark.parametrize("size", [1, 4096])
def test_it_signs_every_size_that_kms_takes(device: Device, size: int) -> None:
    signer = open_signer(device.uris["witness"], **device.options)
    sign_with(signer, bytes(size))


def test_the_shell_signs_with_it(device: Device, bare: Shell) -> None:
    environment = device.environment | {
        "LEDGER_KEY": device.uris["registrar"],
        "LEDGER_LOG_KEY": device.uris["log"],
        "LEDGER_WITNESS_KEY": device.uris["witness"],
    }
    bare.environment |= environment
    bare(f"init --origin {ORIGIN}")
    assert not (bare.config / "key.pem").exists()
    bare("append TN1 --new --set a=b")
    (bare.folder / "log.pub").write_bytes(bare("key show --for log").data)
    bare(f"key trust log.pub --origin {ORIGIN} --role log")
    assert "1 leaf" in bare("seal --genesis").out
    vkey = bare(f"key show --for witness --name {CITY} --vkey -q").data
    name = bare.config / "witness-key.vkey"
    if (path := device.uris["witness"]).startswith("/"):
        name = bare.folder / f"{path}.vkey"
    name.write_bytes(vkey)
    bare("audit --state memory --cosign cosigned -q")
    assert CITY in (bare.folder / "cosigned").read_text()
    bare("verify TN1")
    assert "signs: " in bare("doctor").out or device.uris["log"].startswith("/")
    assert bare("status --json").json["may_append"]
