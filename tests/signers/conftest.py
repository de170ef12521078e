"""Devices for the tests of signers; each is made once in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import Shell
from tests.signers import devices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.signers.devices import Device, OddKMS


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with devices.softhsm(tmp_path_factory.mktemp("softhsm")) as device:
        yield device


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with devices.agent(tmp_path_factory.mktemp("agent")) as device:
        yield device


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return devices.programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return devices.files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def ministack_kms(ministack_url: str) -> Iterator[Device]:
    device = devices.kms_of(ministack_url)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in device.environment.items():
            environment.setenv(name, value)
        yield device


@pytest.fixture(
    params=[
        "files",
        "programs",
        "agent",
        pytest.param("hsm", marks=pytest.mark.xdist_group("softhsm")),
        pytest.param(
            "ministack_kms", marks=[pytest.mark.slow, pytest.mark.xdist_group("ministack")]
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> Device:
    """Every device in turn."""
    found: Device = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def kms(_botocore: None) -> Iterator[OddKMS]:
    with devices.odd_kms() as server:
        yield server


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    return Shell.make(tmp_path / "work")
