"""What one would write in an afternoon: rfc8785, cryptography and sha256, in a loop."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmarks import worlds

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue


class ByHand:
    """A chain of signed entries in canonical JSON, kept by their sha256."""

    name = "rfc8785 + cryptography, by hand"

    def __init__(self) -> None:
        self.key = Ed25519PublicKey.from_public_bytes(worlds.KEY.public_key.raw)
        self.objects: dict[str, bytes] = {}
        self.head: str | None = None
        self.count = 0

    def append(self, documents: list[dict[str, JSONValue]]) -> None:
        self.objects, self.head, self.count = {}, None, len(documents)
        for version, document in enumerate(documents, 1):
            entry: dict[str, Any] = {"document": document, "parent": self.head, "version": version}
            payload = rfc8785.dumps(entry)
            signature = base64.b64encode(worlds.OPENSSL_KEY.sign(payload)).decode()
            data = rfc8785.dumps({"entry": entry, "signature": signature})
            self.head = hashlib.sha256(data).hexdigest()
            self.objects[self.head] = data

    def verify(self) -> None:
        address, version = self.head, self.count
        while address:
            data = self.objects[address]
            assert hashlib.sha256(data).hexdigest() == address
            sealed = json.loads(data)
            assert rfc8785.dumps(sealed) == data
            entry = sealed["entry"]
            self.key.verify(base64.b64decode(sealed["signature"]), rfc8785.dumps(entry))
            assert entry["version"] == version
            address, version = entry["parent"], version - 1
        assert version == 0
