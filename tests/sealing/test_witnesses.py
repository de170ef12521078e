"""Collecting cosignatures: from honest witnesses, slow, dead and lying ones, and from none."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Ledger, Log
from ledger.errors import InvalidError, OutcomeUnknown
from ledger.format.layout import LOG_CHECKPOINT, tile_key
from ledger.sealing import witnesses as module
from ledger.sealing.post import Target
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock
from ledger.tlog import NoteKey, WitnessKey, WitnessPolicy, add_signatures
from tests.sealing.sealers import KEYRING, LOG_KEY, Sealer, ledger_in
from tests.witnesses import Answer, Witness, served
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ledger.sealing.witnesses import Cosigned, Witnesses
    from ledger.stores.base import Blob

LOG_VKEY = NoteKey(ORIGIN, LOG_KEY.public_key).vkey
QUICK = 2
"""Seconds that witnesses have in these tests if they are to fail."""


class World:
    """A ledger with a log, and witnesses behind URLs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.clock = FixedClock()
        self.ledger = ledger_in(MemoryStore(), self.clock)
        self.sealer = Sealer(folder)
        self.stack = stack
        self.lines: list[str] = []
        self.names: list[str] = []
        self.heard: list[bytes] = []
        self.begun = False

    def witness(self, name: str, *, url: str | None = None, **options: Any) -> Witness:
        """An honest witness, whose line goes into the policy with its URL, or with another."""
        made = Witness(f"{name}.example/w", LOG_VKEY, clock=self.time, **options)
        self.line(name, made.vkey, url or self.stack.enter_context(served(made)))
        return made

    def liar(self, name: str, answer: Callable[[bytes], Answer]) -> Witness:
        """A witness in whose name a server answers so; ``heard`` notes what it is sent."""

        def hear(body: bytes) -> Answer:
            self.heard.append(body)
            return answer(body)

        return self.witness(name, url=self.stack.enter_context(served(hear)))

    def line(self, name: str, vkey: str, url: str = "") -> None:
        self.lines.append(f"witness {name} {vkey} {url}".rstrip())
        self.names.append(name)

    def time(self) -> float:
        return self.clock.now.timestamp()

    def policy(self, count: str = "all", *comments: str) -> WitnessPolicy:
        lines = [*comments, *self.lines, f"group all {count} {' '.join(self.names)}", "quorum all"]
        return WitnessPolicy.parse("".join(f"{line}\n" for line in lines))

    def seal(self, count: int = 1) -> None:
        for number in range(count):
            self.ledger.append("TN1", {"seal": f"{len(self.sealer.signed)}/{number}"})
        self.sealer.seal(self.ledger.store, genesis=not self.begun)
        self.begun = True

    def witnesses(self, *policy: str, timeout: float = 10, log: Log | None = None) -> Witnesses:
        return (log or Log(self.ledger)).witnesses(self.policy(*policy), timeout=timeout)

    def ask(self, *policy: str, timeout: float = 10) -> Cosigned:
        return self.witnesses(*policy, timeout=timeout).ask()

    def published(self) -> list[str]:
        """Whose cosignatures are published."""
        note = self.ledger.store.get(LOG_CHECKPOINT)
        assert note
        lines = note.data.decode().rpartition("\n\n")[2].splitlines()
        return [line.split(" ")[1].partition(".")[0] for line in lines if ORIGIN not in line]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def slugs(done: Cosigned) -> list[str]:
    return [finding.slug for finding in done.findings]


def why(done: Cosigned) -> str:
    """The one witness's failure."""
    (finding,) = [finding for finding in done.findings if finding.slug == "witness-failed"]
    assert finding.severity == "warning"
    return finding.message


# -- Honest ones ----------------------------------------------------------------------------------


def test_witnesses_cosign_what_was_sealed(world: World) -> None:
    city, bank = world.witness("city"), world.witness("bank")
    world.seal()
    done = world.ask()
    assert done.counted == {"city": world.clock.now, "bank": world.clock.now}
    assert done.findings == ()
    assert world.published() == ["city", "bank"]
    assert city.asked == bank.asked == [b"old 0"]
    signed = Log(world.ledger).checkpoint(witnesses=world.policy().witnesses)
    assert {each.witness.vkey for each in signed.cosignatures} == {city.vkey, bank.vkey}


def test_the_log_grows_and_each_checkpoint_is_proved_from_the_last(world: World) -> None:
    """What a seal replaces tells from where: nobody is asked twice."""
    city = world.witness("city")
    world.seal()
    world.ask()
    for count in (1, 2, 5, 300, 1):
        before = world.witnesses()
        world.seal(count)
        assert before.ask().findings == ()
    assert city.asked == [b"old 0", b"old 1", b"old 2", b"old 4", b"old 9", b"old 309"]
    assert city.seen[ORIGIN][0] == 310


def test_a_wrong_guess_is_corrected_by_the_witness(world: World) -> None:
    city, bank = world.witness("city"), world.witness("bank")
    world.seal(3)
    world.ask()
    world.seal(4)
    bank.seen.clear()
    assert world.ask().findings == ()  # whoever comes after the seal knows of no cosignature
    assert city.asked == [b"old 0", b"old 0", b"old 3"]
    assert bank.asked == [b"old 0", b"old 0"]


def test_a_witness_that_lost_its_memory_is_asked_from_nothing(world: World) -> None:
    city = world.witness("city")
    world.seal(3)
    before = world.witnesses()
    before.ask()
    city.seen.clear()
    world.seal()
    assert before.ask().findings == ()
    assert city.asked == [b"old 0", b"old 3", b"old 0"]


def test_a_witness_that_has_signed_is_not_asked_again(world: World) -> None:
    city = world.witness("city")
    world.seal()
    for _ in range(3):
        assert list(world.ask().counted) == ["city"]
    assert len(city.asked) == 1


def test_a_cosignature_is_renewed_at_half_the_age_that_counts(world: World) -> None:
    city = world.witness("city")
    world.seal()
    world.ask("all", "# max-age: 2d")
    begin = world.clock.now
    for hours, renewed in ((23, 1), (25, 2), (48, 2), (50, 3)):
        world.clock.now = begin + timedelta(hours=hours)
        assert world.ask("all", "# max-age: 2d").findings == ()
        assert len(city.asked) == renewed
    assert world.published() == ["city"]


def test_one_server_may_have_several_keys_and_is_asked_once(world: World) -> None:
    city, second = world.witness("city"), Witness("second.example/w", clock=world.time)
    url = world.lines[0].split(" ")[3]
    world.line("second", second.vkey, f"{url}/")
    answers = iter([True, False])

    def cosign(text: bytes) -> bytes:
        line = Witness.cosign(city, text)
        return line + second.cosign(text) if next(answers) else line

    city.cosign = cosign  # type: ignore[method-assign]
    world.seal()
    assert world.ask().findings == ()
    assert (world.published(), len(city.asked)) == (["city", "second"], 1)
    world.seal()
    done = world.ask()
    assert "it did not sign as second.example/w+" in why(done)
    assert world.published() == ["city"]


def test_a_witness_may_be_below_a_path(world: World) -> None:
    city = Witness("city.example/w", LOG_VKEY, clock=world.time)
    url = world.stack.enter_context(served(city, "/logs/city"))
    world.line("city", city.vkey, f"{url}/")
    world.seal()
    assert list(world.ask().counted) == ["city"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that it signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now - timedelta(days=1)).add_extension(address, True)
    made = builder.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_https_is_used_and_the_certificate_is_checked(
    world: World, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = Witness("city.example/w", LOG_VKEY, clock=world.time)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    world.line("city", city.vkey, world.stack.enter_context(served(city, "/w", context)))
    world.seal()
    assert "CERTIFICATE_VERIFY_FAILED" in why(world.ask())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert world.ask().findings == ()


def test_only_the_lines_of_the_log_are_sent(world: World) -> None:
    world.witness("city")
    bank = world.witness("bank")
    world.liar("note", lambda _: Answer(503))
    world.seal()
    world.ask("2")
    world.clock.now += timedelta(days=400)
    world.ask("2")
    assert bank.asked == [b"old 0"]
    first, second = world.heard
    assert second == first
    assert second.count(b"\n\xe2\x80\x94 ") == 1


@settings(deadline=None, max_examples=10)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["", "new", "forgets"])), max_size=6
    )
)
def test_an_honest_witness_cosigns_however_the_log_grows(
    steps: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From whichever size is guessed, two requests do: by an old process, and by a new one."""
    with ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("sealer"), stack)
        city = world.witness("city")
        world.seal()
        asking = world.witnesses()
        for count, event in steps:
            if event == "new":
                asking = world.witnesses()
            elif event == "forgets":
                city.seen.clear()
            world.seal(count)
            asked = len(city.asked)
            done = asking.ask()
            assert (list(done.counted), done.findings) == (["city"], ())
            assert len(city.asked) - asked <= 2


# -- Those that fail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(400, b"no\n"), "malformed (HTTP 400: 'no')"),
        (Answer(403), "does not know the key that signed"),
        (Answer(404), "does not know this log, or the URL is wrong"),
        (Answer(422, b"the proof does not hold"), "does not continue the one that it cosigned"),
        (Answer(429), "asked too often (HTTP 429)"),
        (Answer(500, b"\xff\x1b[31m\nmore"), r"it failed (HTTP 500: '\ufffd\x1b[31m')"),
        (Answer(418), "it refused (HTTP 418)"),
        (Answer(204), "it refused (HTTP 204)"),
        (
            Answer(307, headers=(("Location", "http://127.0.0.1:9/add-checkpoint"),)),
            "it redirects to 'http://127.0.0.1:9/add-checkpoint'; put the URL",
        ),
        (Answer(302), "it redirects; put the URL"),
        (Answer(200), "no list of signatures"),
        (Answer(200, b"<html>hello</html>\n"), "no list of signatures"),
        (Answer(200, b"\xff\xfe"), "no list of signatures"),
        (Answer(200, b"\n"), "no list of signatures"),
        (Answer(200, "\u2014 w AAAAAAA=".encode()), "no list of signatures: not a signed note"),
        (Answer(200, "text\n\n\u2014 w AAAAAAA=\n".encode()), "it has an empty line"),
        (Answer(200, "\u2014 w AAAAAAA=\n".encode() * 101), "no list of signatures"),
        (Answer(200, "\u2014 w AAAAAAA=\n".encode()), "did not sign as city.example/w+"),
        (Answer(200, b"x" * 100_001), "more than 100,000 bytes"),
        (Answer(409, b"7\n"), "does not say which size it cosigned (HTTP 409: '7')"),
        (Answer(409, b"", "text/x.tlog.size"), "does not say which size"),
        (Answer(409, b"-1\n", "text/x.tlog.size"), "does not say which size"),
        (Answer(409, b"01\n", "text/x.tlog.size"), "does not say which size"),
        (Answer(409, b"9" * 40 + b"\n", "text/x.tlog.size"), "does not say which size"),
        (Answer(409, b"7\n", "Text/X.tlog.size; q"), "has cosigned 7 leaves, and this log has 2"),
        (Answer(409, b"2\n", "text/x.tlog.size"), "cosigned another log of 2 leaves"),
        (Answer(409, b"1\n", "text/x.tlog.size"), "wants a proof from 1 leaves, and refuses"),
        (Answer(409, b"0\n", "text/x.tlog.size"), "wants a proof from 0 leaves, and refuses"),
    ],
)
def test_a_bad_answer_is_told_and_costs_no_other_witness(
    world: World, answer: Answer, said: str
) -> None:
    world.witness("bank")
    world.liar("city", lambda _: answer)
    world.seal(2)
    done = world.ask()
    assert slugs(done) == ["not-witnessed", "witness-failed"]
    assert said in why(done)
    assert why(done).startswith("the witness city.example/w (http://127.0.0.1:")
    assert (list(done.counted), world.published()) == (["bank"], ["bank"])
    assert len(world.heard) <= 2
    assert slugs(world.ask("any")) == ["witness-failed"]


@pytest.mark.parametrize(("size", "requests"), [(7, 1), (0, 1), (1, 2), (2, 2)])
def test_only_a_size_that_can_be_proved_from_is_worth_a_second_request(
    world: World, size: int, requests: int
) -> None:
    world.liar("city", lambda _: Answer(409, b"%d\n" % size, "text/x.tlog.size"))
    world.seal(2)
    world.ask()
    assert len(world.heard) == requests


def test_a_witness_that_always_names_another_size_is_asked_twice(world: World) -> None:
    sizes = iter([2, 1, 0, 3])
    world.liar("city", lambda _: Answer(409, b"%d\n" % next(sizes), "text/x.tlog.size"))
    world.seal(4)
    assert "wants a proof from 1 leaves" in why(world.ask())
    assert [body.partition(b"\n")[0] for body in world.heard] == [b"old 0", b"old 2"]


def test_a_wrong_signature_is_not_published(world: World) -> None:
    other = b"example.org/other\n5\n%s\n" % base64.b64encode(bytes(32))
    city = world.liar("city", lambda _: Answer(200, city.cosign(other)))
    world.seal()
    assert "its signature is wrong" in why(world.ask())
    assert world.published() == []


def test_a_right_signature_beside_a_wrong_one_counts_and_is_told(world: World) -> None:
    def both(body: bytes) -> Answer:
        good = city(body)
        wrong = city.cosign(b"another text\n")
        return Answer(200, wrong + good.body)

    city = world.liar("city", both)
    world.seal()
    done = world.ask()
    assert (list(done.counted), slugs(done)) == (["city"], ["witness-failed"])
    assert world.published() == ["city"]


def test_a_witness_cannot_crowd_out_another(world: World) -> None:
    """Of ever so many signatures of one key, the newest is taken."""

    def many(body: bytes) -> Answer:
        text = body.partition(b"\n\n")[2].rpartition(b"\n\n")[0] + b"\n"
        lines = b""
        for age in range(90):
            city.clock = lambda age=age: world.time() - age  # type: ignore[misc]
            lines += city.cosign(text)
        return Answer(200, lines)

    city = world.liar("city", many)
    for number in range(12):
        world.witness(f"w{number}")
    world.seal()
    done = world.ask()
    assert (done.findings, done.counted["city"]) == ((), world.clock.now)
    assert len(world.published()) == 13


def test_nobody_signs_in_the_name_of_another(world: World) -> None:
    """Each server's lines are read by its own keys alone; it can't spoil those of others."""
    bank = Witness("bank.example/w", LOG_VKEY, clock=world.time)
    world.line("bank", bank.vkey)
    spoilt = bank.cosign(b"another text\n")
    city = world.liar("city", lambda body: Answer(200, spoilt + city(body).body))
    world.seal()
    assert slugs(world.ask("any")) == []
    assert world.published() == ["city"]


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(days=2)])
def test_a_time_that_cannot_be_is_told(world: World, age: timedelta) -> None:
    city = world.witness("city")
    city.clock = (world.clock.now - age).timestamp
    world.seal()
    done = world.ask("all", "# max-age: 1d")
    assert "the time of its signature" in why(done)
    assert slugs(done) == ["not-witnessed", "witness-failed"]


def test_a_log_that_a_witness_does_not_know_or_by_another_key(world: World) -> None:
    city = world.witness("city")
    world.seal()
    known, city.logs = city.logs, {}
    assert "does not know this log" in why(world.ask())
    other = known[ORIGIN][0]
    city.logs = {ORIGIN: [(bytes(4), other[1])]}
    assert "does not know the key" in why(world.ask())
    city.logs = {ORIGIN: [(bytes(4), other[1]), other]}  # its old key and the new one
    assert world.ask().findings == ()


def test_a_log_that_was_forked_or_set_back_is_not_cosigned(world: World, tmp_path: Path) -> None:
    city = world.witness("city")
    world.seal(3)
    world.ask()
    other = World(tmp_path / "other", world.stack)
    (tmp_path / "other").mkdir()
    other.lines, other.names = world.lines, world.names
    other.seal(2)
    assert "has cosigned 3 leaves, and this log has 2" in why(other.ask())
    other.seal()
    assert "another log of 3 leaves: the log was forked" in why(other.ask())
    other.seal()
    assert "does not continue the one that it cosigned" in why(other.ask())
    assert other.published() == []
    assert city.seen[ORIGIN][0] == 3


# -- Those that don't answer ----------------------------------------------------------------------


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does as it likes with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = Event()

        def run() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    with suppress(OSError):
                        serve(connection)

        thread = Thread(target=run, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            done.set()
            thread.join(10)


def hangs(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def drips(begin: bytes) -> Callable[[socket.socket], None]:
    """One byte every few milliseconds, for ever: no single read takes long."""

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(begin)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            connection.sendall(b"x")
            time.sleep(0.02)

    return serve


def says(data: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        with suppress(OSError):
            while connection.recv(1 << 16):  # what is left unread would reset the connection
                pass

    return serve


SLOW = f"no answer within {QUICK} s"


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        (hangs, SLOW),
        (drips(b""), SLOW),
        (drips(b"HTTP/1.1 200 OK\r\nX-"), SLOW),
        (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), SLOW),
        (drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), SLOW),
        (lambda _: None, "no answer: "),
        (says(b"SSH-2.0-nothing\r\n"), "no answer: "),
        (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"), "no answer: 'got more than"),
        (says(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000), "no answer: "),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nhalf"), "no list of signatures"),
        (
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "no answer: ",
        ),
    ],
)
def test_a_server_that_is_slow_or_talks_nonsense_is_left_in_time(
    world: World, serve: Callable[[socket.socket], None], said: str
) -> None:
    world.witness("bank")
    world.witness("city", url=world.stack.enter_context(listening(serve)))
    world.seal()
    begin, limit = time.monotonic(), QUICK if said == SLOW else 30
    done = world.ask("any", timeout=limit)
    assert time.monotonic() - begin < limit + 10
    assert said in why(done)
    assert list(done.counted) == world.published() == ["bank"]
    # A service asks for years: no thread may stay behind with a server that goes on sending.
    for thread in threading.enumerate():
        if thread.name == "ledger-post":
            thread.join(10)
            assert not thread.is_alive()


def test_a_dead_server_is_told(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    world.witness("city", url=f"http://127.0.0.1:{port}")
    world.witness("bank", url=f"https://127.0.0.1:{port}")
    world.witness("moon", url="http://no-such-host.invalid")
    world.witness("long", url=f"http://{'a' * 70}.invalid")
    world.seal()
    done = world.ask()
    assert slugs(done) == ["not-witnessed", *["witness-failed"] * 4]
    assert all(": no answer: " in each.message for each in done.findings[1:])


def test_plain_http_behind_https_is_no_answer(world: World) -> None:
    world.witness("city", url=world.stack.enter_context(listening(says(b"HTTP/1.1 400\r\n\r\n"))))
    world.lines = [line.replace("http:", "https:") for line in world.lines]
    world.seal()
    assert "no answer: " in why(world.ask())


def test_all_are_asked_at_once(world: World) -> None:
    """Two that hang take the time of one."""
    for name in ("a", "b", "c"):
        world.witness(name, url=world.stack.enter_context(listening(hangs)))
    world.seal()
    begin = time.monotonic()
    assert len(world.ask(timeout=QUICK).findings) == 4
    assert time.monotonic() - begin < 2.5 * QUICK + 0.5


def test_a_witness_that_failed_is_left_alone_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that seals every few seconds must not wait for a dead witness each time."""
    up = Event()
    city = world.liar("city", lambda body: city(body) if up.is_set() else Answer(503))
    world.seal()
    witnesses = world.witnesses()
    assert "HTTP 503" in why(witnesses.ask())
    up.set()
    assert "HTTP 503" in why(witnesses.ask())
    assert city.asked == []
    monkeypatch.setattr(module, "PAUSE", 0.0)
    assert witnesses.ask().findings == ()


# -- The store meanwhile --------------------------------------------------------------------------


def test_without_a_log_nobody_is_asked(world: World) -> None:
    city = world.witness("city")
    done = world.ask()
    assert (slugs(done), city.asked) == (["not-found"], [])
    assert done.findings[0].severity == "unchecked"


def test_a_wrong_line_that_is_published_gives_way(world: World) -> None:
    city = world.witness("city")
    world.seal()
    blob = world.ledger.store.get(LOG_CHECKPOINT)
    assert blob
    spoilt = add_signatures(blob.data, city.cosign(b"another text\n"))
    world.ledger.store.replace(LOG_CHECKPOINT, spoilt, blob.version)
    assert world.ask().findings == ()
    assert world.published() == ["city"]


def test_a_seal_that_comes_between_is_not_hidden(world: World) -> None:
    """Another sealer published a newer checkpoint while the witness was signing the old one."""

    def slowly(body: bytes) -> Answer:
        world.seal()
        return city(body)

    city = world.liar("city", slowly)
    world.seal()
    done = world.ask()
    assert slugs(done) == ["not-witnessed"]
    assert "of 1 leaves, and that of 2 is published by now" in done.findings[0].message
    assert world.published() == []


def test_a_store_that_fails_is_a_finding(world: World) -> None:
    class Lost(Wrapper):
        def replace(self, key: str, data: bytes, expected: str) -> str:
            raise OutcomeUnknown("timed out")

    world.witness("city")
    world.seal()
    losing = Ledger.open(Lost(world.ledger.store), keyring=KEYRING, clock=world.clock)
    done = world.witnesses(log=Log(losing)).ask()
    assert slugs(done) == ["outcome-unknown"]


def test_a_tile_that_is_missing_is_tampering(world: World) -> None:
    class Without(Wrapper):
        def get(self, key: str) -> Blob | None:
            return None if key == tile_key("tile/0/000.p/5") else super().get(key)

    city = world.witness("city")
    world.seal(3)
    world.ask()
    damaged = Ledger.open(Without(world.ledger.store), keyring=KEYRING, clock=world.clock)
    before = world.witnesses(log=Log(damaged))
    world.seal(2)
    (finding,) = before.ask().findings
    assert (finding.severity, finding.slug) == ("tampering", "tile-missing")
    assert len(city.asked) == 1


# -- The policy -----------------------------------------------------------------------------------


def test_a_policy_without_urls_cannot_be_asked(world: World) -> None:
    world.line("city", Witness("city.example/w").vkey)
    with pytest.raises(InvalidError, match="none has a URL"):
        world.witnesses()


def test_a_witness_without_a_url_lacks(world: World) -> None:
    world.witness("city")
    world.line("bank", Witness("bank.example/w").vkey)
    world.seal()
    done = world.ask()
    assert slugs(done) == ["not-witnessed"]
    assert "bank: no cosignature" in done.findings[0].message
    assert world.ask("any").findings == ()


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://city.example", "city.example", "https://", "https://user:pw@city.example"),
        *("https://city.example/?a=b", "https://city.example/#a", "https://city.example:99999"),
        *("https://city.example:port", "https://[::1", "https://städte.example"),
    ],
)
def test_a_url_that_is_none_is_refused_before_anything_is_sealed(world: World, url: str) -> None:
    world.line("city", Witness("city.example/w").vkey, url)
    with pytest.raises(InvalidError, match="not a URL to post to"):
        world.witnesses()


def test_a_url_without_a_port_has_that_of_its_scheme() -> None:
    assert Target.parse("https://city.example/w/", "add-checkpoint") == (
        True,
        "city.example",
        443,
        "/w/add-checkpoint",
    )
    assert Target.parse("http://[::1]", "add-checkpoint") == (False, "::1", 80, "/add-checkpoint")


def test_the_log_is_no_witness_of_itself(world: World) -> None:
    own = WitnessKey("city.example/w", LOG_KEY.public_key)
    world.line("city", own.vkey, "http://127.0.0.1:9")
    with pytest.raises(InvalidError, match="has the key of a log"):
        world.witnesses()


def test_the_time_of_a_cosignature_is_the_witness_s(world: World) -> None:
    city = world.witness("city")
    city.clock = lambda: world.time() - 60
    world.seal()
    when: datetime = world.ask().counted["city"]
    assert when == world.clock.now - timedelta(minutes=1)
