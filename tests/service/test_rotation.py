"""The keys of a running service are replaced, while writers write: nobody notices."""

from __future__ import annotations

import time
from collections import Counter
from signal import SIGHUP
from threading import Event, Thread
from typing import Self

import httpx
import pytest

from ledger import Ledger, Log
from ledger.errors import NotFoundError
from ledger.format.layout import trust_key
from ledger.stores import FolderStore
from ledger.testing import ORIGIN, signer
from tests.service.client import serving
from tests.trust.people import listed, log_key
from tests.trust.world import SEALER, World, slugs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WRITERS = 4
NEW_LOG = signer("log 2")


class Writers:
    """Post to titles of their own until they are stopped; they note every answer."""

    def __init__(self, url: str) -> None:
        self.statuses: Counter[int] = Counter()
        self.longest = 0.0
        self._url = url
        self._over = Event()
        self._threads = [Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            for n in range(1_000_000):
                began = time.monotonic()
                answer = client.post(f"/titles/TN{number}", json={"n": n})
                self.statuses[answer.status_code] += 1
                self.longest = max(self.longest, time.monotonic() - began)
                if self._over.wait(0.05):
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive()


def wait_until(what: str, holds, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def replace(path, *keys) -> None:
    """Put a key file in the place of another, as an operator does."""
    new = path.with_suffix(".new")
    new.touch(0o600)
    new.write_bytes(b"".join(key.pem() for key in keys))
    new.rename(path)


def test_both_keys_of_a_running_service_are_replaced_while_others_write(tmp_path):
    world = World(tmp_path, FolderStore(tmp_path / "store"), registrars="alice bob")
    world.clock.now = world.clock.now.__class__.now(world.clock.now.tzinfo)
    home = tmp_path / "config"
    config = home / "title-ledger"
    config.mkdir(parents=True, mode=0o700)
    (config / "keyring.json").write_bytes(world.keyring.encode())
    (config / "keyring.json").chmod(0o600)
    replace(config / "key.pem", signer("alice"))
    replace(config / "log-key.pem", SEALER)
    options = ("--seal-every", "1s", "--seal-memory", str(tmp_path / "sealer.json"))

    def opened() -> Ledger:
        return Ledger.open(FolderStore(tmp_path / "store"), keyring=world.keyring, origin=ORIGIN)

    def signed_by(name: str) -> bool:
        key = signer(name).public_key.key_id
        ledger = opened()
        try:
            heads = [ledger.head(title) for title in ledger.titles()]
        except NotFoundError:  # its folder is there, and its first head not yet
            return False
        return len(heads) == WRITERS and all(head.key == key for head in heads)

    def sealed_by(*keys) -> bool:
        found = Log(opened()).checkpoint().note
        return all(log_line(key) in found for key in keys)

    with serving(str(tmp_path / "store"), home, *options) as server:
        with Writers(server.url) as writers:
            wait_until("alice signs", lambda: signed_by("alice"))
            # The registrar's key: bob's is listed, so the service takes it up from its file, in
            # its own time; the others at once, by a signal.
            replace(config / "key.pem", signer("bob"))
            wait_until("bob signs", lambda: signed_by("bob"))
            wait_until("all of alice's are sealed", lambda: not waits_for(opened(), "alice"))
            world.publish(keys=world.without("alice"))
            # The log's key: listed beside the old one, then used, then alone.
            replace(config / "log-key.pem", SEALER, NEW_LOG)
            server.process.send_signal(SIGHUP)
            wait_until("both sign the log", lambda: sealed_by(SEALER, NEW_LOG))
            world.publish(keys=listed(*world.keys, log_key(NEW_LOG.public_key)))
            old = SEALER.public_key.key_id
            world.publish(keys=listed(*(key for key in world.keys if key.key_id != old)))
            replace(config / "log-key.pem", NEW_LOG)
            server.process.send_signal(SIGHUP)
            wait_until("the new key alone", lambda: not sealed_by(SEALER))
            wait_until("the files are logged", lambda: logged_files(opened()) == 4)
        wait_until("all is sealed", lambda: not waits_for(opened(), "bob"))
        assert server.stop() == 0
    assert set(writers.statuses) == {201}, writers.statuses
    assert writers.longest < 60
    assert sum(writers.statuses.values()) > 50
    report = Log(opened()).audit(jobs=1).run()
    assert (report.outcome, slugs(report)) == ("verified", [])
    assert trust_key(4) in set(FolderStore(tmp_path / "store").list("_trust/"))


def log_line(key) -> bytes:
    from ledger.tlog.note import NoteKey, encode_base64

    note_key = NoteKey(ORIGIN, key.public_key)
    return encode_base64(note_key.key_hash)[:5].encode()


def waits_for(ledger: Ledger, name: str) -> bool:
    """Whether an entry by this registrar waits to be logged."""
    key = signer(name).public_key.key_id
    log = Log(ledger)
    for title in ledger.titles():
        newest = log.newest_of(title)
        for entry in ledger.log(title):
            if newest and entry.version <= newest.version:
                break
            if entry.key == key:
                return True
    return False


def logged_files(ledger: Ledger) -> int:
    """The newest trust file that the log names."""
    log = Log(ledger).reader
    size = Log(ledger).checkpoint().checkpoint.size
    return 1 + sum(b'"type":"trust"' in leaf for leaf in log.leaves(size))
