"""An honest witness, and servers that are not: who asks for cosignatures is tested against these.

The witness is written from c2sp.org/tlog-witness and the specifications that it names. It shares no
code with the client, the notes or the proofs of the library.
"""

from __future__ import annotations

import base64
import hashlib
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ssl import SSLContext

PATIENCE = 10


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class Refuse(Exception):
    """The answer that ends the handling of a request."""

    def __init__(self, status: int, body: str = "", media_type: str = "text/plain") -> None:
        super().__init__(status)
        self.answer = Answer(status, body.encode(), media_type)


class Witness:
    """Remembers the newest checkpoint of each log that it knows, and cosigns what continues it."""

    def __init__(self, name: str, *log_vkeys: str, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.key = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))
        self.clock = clock
        self.logs: dict[str, list[tuple[bytes, Ed25519PublicKey]]] = {}
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.asked: list[bytes] = []
        """The first line of every request."""
        self._lock = Lock()
        for vkey in log_vkeys:
            self.know(vkey)

    def know(self, log_vkey: str) -> None:
        """Accept checkpoints that this key signed; its name is the log's origin."""
        origin, key_hash, key = log_vkey.split("+", 2)
        typed = base64.b64decode(key)
        assert typed[0] == 1
        public = Ed25519PublicKey.from_public_bytes(typed[1:])
        self.logs.setdefault(origin, []).append((bytes.fromhex(key_hash), public))

    @property
    def _typed(self) -> bytes:
        return b"\x04" + self.key.public_key().public_bytes_raw()

    @property
    def _key_hash(self) -> bytes:
        return sha256(self.name.encode(), b"\n", self._typed)[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self._key_hash.hex()}+{base64.b64encode(self._typed).decode()}"

    def __call__(self, body: bytes) -> Answer:
        try:
            return Answer(200, self.add_checkpoint(body))
        except Refuse as refused:
            return refused.answer
        except ValueError as error:
            return Answer(400, str(error).encode())

    def add_checkpoint(self, body: bytes) -> bytes:
        head, _, note = body.partition(b"\n\n")
        self.asked.append(head.partition(b"\n")[0])
        first, *hashes = head.decode().split("\n")
        word, size = first.split(" ")
        if word != "old" or str(int(size)) != size or len(hashes) > 63:
            raise Refuse(400)
        old_size, proof = int(size), [base64.b64decode(line, validate=True) for line in hashes]
        text, _, lines = note.decode().rpartition("\n\n")
        origin, new, root64, *_ = text.split("\n")
        new_size, root = int(new), base64.b64decode(root64, validate=True)
        if origin not in self.logs:
            raise Refuse(404, "unknown log\n")
        self._check_signed(origin, f"{text}\n".encode(), lines)
        if old_size > new_size:
            raise Refuse(400, "old size above the checkpoint's\n")
        with self._lock:
            cosigned, cosigned_root = self.seen.get(origin, (0, sha256()))
            if old_size != cosigned or (old_size == new_size and root != cosigned_root):
                raise Refuse(409, f"{cosigned}\n", "text/x.tlog.size")
            if not continues(old_size, cosigned_root, new_size, root, proof):
                raise Refuse(422, "the proof does not hold\n")
            self.seen[origin] = new_size, root
        return self.cosign(f"{text}\n".encode())

    def _check_signed(self, origin: str, text: bytes, lines: str) -> None:
        for line in lines.splitlines():
            dash, name, signature = line.split(" ")
            data = base64.b64decode(signature, validate=True)
            for key_hash, key in self.logs[origin]:
                if (dash, name, data[:4]) == ("\u2014", origin, key_hash):
                    try:
                        key.verify(data[4:], text)
                    except InvalidSignature:
                        continue
                    return
        raise Refuse(403, "no signature by a key of the log\n")

    def cosign(self, text: bytes) -> bytes:
        now = int(self.clock())
        signature = self.key.sign(b"cosignature/v1\ntime %d\n%s" % (now, text))
        data = self._key_hash + now.to_bytes(8, "big") + signature
        return f"\u2014 {self.name} {base64.b64encode(data).decode()}\n".encode()


def continues(m: int, old: bytes, n: int, new: bytes, proof: list[bytes]) -> bool:
    """Whether PROOF(m, D[n]) of RFC 6962, section 2.1.2, leads to both roots."""
    if m in (0, n):
        return not proof and (m == 0 or old == new)
    try:
        return rebuilt(m, n, proof, old, whole=True) == (old, new)
    except ValueError:  # too many hashes, or too few
        return False


def rebuilt(m: int, n: int, proof: list[bytes], old: bytes, *, whole: bool) -> tuple[bytes, bytes]:
    """The roots of the first m of n leaves, and of all n, as SUBPROOF(m, D[n], whole) has them."""
    if m == n:
        (only,) = [*proof, old] if whole else proof
        return only, only
    k = 1 << ((n - 1).bit_length() - 1)
    *rest, last = proof
    if m <= k:
        first, all_ = rebuilt(m, k, rest, old, whole=whole)
        return first, sha256(b"\x01", all_, last)
    first, all_ = rebuilt(m - k, n - k, rest, old, whole=False)
    return sha256(b"\x01", last, first), sha256(b"\x01", last, all_)


@contextmanager
def served(
    answer: Callable[[bytes], Answer], prefix: str = "", tls: SSLContext | None = None
) -> Iterator[str]:
    """The URL of a server that answers POSTs to add-checkpoint so, each in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found = answer(body) if self.path == f"{prefix}/add-checkpoint" else Answer(404)
            self.send_response(found.status)
            for name, value in (("Content-Type", found.media_type), *found.headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """The client went away: it had waited long enough."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}{prefix}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)
