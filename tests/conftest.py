"""What all tests share: an environment that is not the developer's, and S3 servers."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import signal
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"  # it would load Trio, because it is installed

from hypothesis import HealthCheck, settings

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ledger.stores.s3.store import S3Store

pytest.register_assert_rewrite("ledger.stores.contract")

# How long an example takes is a matter of what else the machine does.
settings.register_profile(
    "unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

# Python keeps what it compiles, whatever the environment says: else every worker would compile
# every test again, and every process that a test starts the whole package.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Started in the background of a shell, a process ignores SIGINT, and so do its children. Those that
# tests interrupt may not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What tests write is gone when they end: to force it to a disk takes longer than most of them do.
# Docker gives 64 MB of memory for it, which is too little.
SHM = Path("/dev/shm")
if SHM.is_dir() and shutil.disk_usage(SHM).free > 4 << 30:
    tempfile.tempdir = str(SHM)

LONG = {"slow": 900, "ceph": 1800, "faults": 7200}
"""Seconds that a test with one of these marks may take; the others: pyproject.toml."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Start no workers for a test or a file that is named: they take longer than it does."""
    files = any("::" in each or each.endswith(".py") for each in config.args)
    return 0 if files else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test the time that its marks allow, and the group."""
    for item in items:
        if getattr(config.option, "loadgroup", False):  # in a worker
            _name_the_group(item)
        marks = LONG.keys() & {mark.name for mark in item.iter_markers()}
        if marks and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(max(LONG[mark] for mark in marks)))


def _name_the_group(item: pytest.Item) -> None:
    """Let tests of a group stay together: pytest-xdist 3.8 says it where pytest 9.2 does not look.

    Without, every worker starts every server.
    """
    groups = [mark.args[0] for mark in item.iter_markers("xdist_group")]
    if groups and not item.nodeid.endswith(f"@{groups[0]}") and hasattr(item, "_id"):
        item._id = item._id.parse(f"{item.nodeid}@{groups[0]}")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector all the tests: else it looks through them over and over."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Let no module leave its clients, and their sockets, for another's time.

    What is left then, such as modules and caches, is not looked through again: it becomes so much
    that this would take longer than most tests.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test be skipped in CI because a tool is missing: its reason begins with "needs"."""
    report = yield
    if report.skipped and "CI" in os.environ and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome, report.longrepr = "failed", f"CI must have it: {reason}"
    return report


OURS = ("AWS_", "LEDGER_", "XDG_")
# A server that is running already, such as http://127.0.0.1:7481, with its AWS_* credentials.
GIVEN_SERVER = os.environ.get("LEDGER_TEST_S3", "")
GIVEN_CREDENTIALS = {
    name: os.environ[name]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    if GIVEN_SERVER and name in os.environ
}


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the developer's configuration, credentials or home, nor does a subprocess."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith(OURS) or name.lower().endswith("_proxy"):
                environment.delenv(name)
        environment.setenv("HOME", str(home))
        environment.setenv("XDG_CONFIG_HOME", str(home / ".config"))
        environment.setenv("AWS_CONFIG_FILE", str(home / "no-config"))
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "no-credentials"))
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="session", autouse=True)
def _memory_keeps_its_promises() -> Iterator[None]:
    """Ledgers are made in memory by the thousand: to try out the store each time takes longest."""
    from ledger.stores import MemoryStore, probe

    tried = probe.probe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            probe, "probe", lambda store: [] if type(store) is MemoryStore else tried(store)
        )
        yield


# --- S3: each server is started when a test first asks for it ------------------------------------


@pytest.fixture(scope="session")
def _botocore() -> Iterator[None]:
    """Read once what AWS offers, and what botocore's handlers are: nearly all that clients take."""
    from botocore import hooks
    from botocore.loaders import JSONFileLoader, Loader

    load, services = JSONFileLoader.load_file, Loader.list_available_services
    accepts, alias = hooks.accepts_kwargs, hooks.EventAliaser._alias_event_name
    by_code: dict[Any, bool] = {}

    def accepts_kwargs(handler: Any) -> bool:
        code = getattr(handler, "__code__", None)
        if code not in by_code or code is None:
            by_code[code] = accepts(handler)
        return by_code[code]

    @cache
    def loaded(path: str) -> Any:
        return load(JSONFileLoader(), path)

    @cache
    def available(type_name: str) -> Any:
        return services(Loader(), type_name=type_name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: loaded(path))
        patch.setattr(Loader, "list_available_services", lambda _, type_name: available(type_name))
        patch.setattr(hooks, "accepts_kwargs", accepts_kwargs)
        aliases = cache(partial(alias, hooks.EventAliaser(None)))
        patch.setattr(hooks.EventAliaser, "_alias_event_name", lambda _, name: aliases(name))
        yield


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory, _botocore: None) -> Iterator[str]:
    with servers.moto(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def ministack_url(tmp_path_factory: pytest.TempPathFactory, _botocore: None) -> Iterator[str]:
    with servers.ministack(tmp_path_factory.mktemp("ministack") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def moto_client(moto_url: str) -> Any:
    return servers.client_of(moto_url)


@pytest.fixture(scope="session")
def ministack_client(ministack_url: str) -> Any:
    return servers.client_of(ministack_url)


@pytest.fixture(scope="session")
def given_client() -> Any:
    return servers.client_of(GIVEN_SERVER, **GIVEN_CREDENTIALS)


def _server(name: str) -> Any:
    # One worker for all tests of a server, so that it is started once. The second one is for CI.
    slow = [pytest.mark.slow] if name == "ministack" else []
    return pytest.param(name, marks=[pytest.mark.xdist_group(name), *slow])


@pytest.fixture(
    scope="session",
    params=[_server(name) for name in ("moto", "ministack", *["given"][: bool(GIVEN_SERVER)])],
)
def s3_client(request: pytest.FixtureRequest) -> Any:
    """A client of each server in turn."""
    return request.getfixturevalue(f"{request.param}_client")


@pytest.fixture
def s3_bucket(s3_client: Any) -> Iterator[str]:
    """The name of a new bucket, on each server in turn."""
    name = f"test-{secrets.token_hex(8)}"
    s3_client.create_bucket(Bucket=name)
    yield name
    if s3_client.meta.endpoint_url != GIVEN_SERVER:
        return  # it is gone with the server
    while found := s3_client.list_objects_v2(Bucket=name).get("Contents"):
        keys = [{"Key": each["Key"]} for each in found]
        s3_client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
    s3_client.delete_bucket(Bucket=name)


@pytest.fixture
def s3_store(s3_bucket: str, s3_client: Any) -> Iterator[S3Store]:
    """A store in a new bucket, on each server in turn."""
    from ledger.stores.s3.store import S3Store

    store = S3Store(s3_bucket, client=s3_client)
    yield store
    store.close()
