"""securesystemslib's DSSE envelopes and python-tuf's signed metadata."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Targets

from ledger.format import canonical
from ledger.format.entry import PAYLOAD_TYPE

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue

    Documents = list[dict[str, JSONValue]]

EXPIRES = datetime(2100, 1, 1, tzinfo=UTC)


def tuf_signer() -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.generate())


class Dsse:
    """One envelope for each document's canonical JSON."""

    name = "securesystemslib, DSSE"

    def __init__(self) -> None:
        self.signer = tuf_signer()
        self.kept: list[bytes] = []

    def append(self, documents: Documents) -> None:
        self.kept = []
        for document in documents:
            envelope = Envelope(canonical.encode(document), PAYLOAD_TYPE.decode(), {})
            envelope.sign(self.signer)
            self.kept.append(json.dumps(envelope.to_dict()).encode())

    def verify(self) -> None:
        for data in self.kept:
            envelope = Envelope.from_dict(json.loads(data))
            assert envelope.verify([self.signer.public_key], 1)
            json.loads(envelope.payload)


class Tuf:
    """Each document a version of the targets role, as python-tuf signs and verifies its own."""

    name = "python-tuf, Metadata"

    def __init__(self) -> None:
        self.signer = tuf_signer()
        self.root = Root()
        self.root.add_key(self.signer.public_key, "targets")
        self.kept: list[bytes] = []

    def append(self, documents: Documents) -> None:
        self.kept = []
        for version, document in enumerate(documents, 1):
            targets = Targets(
                version=version, expires=EXPIRES, unrecognized_fields={"document": document}
            )
            metadata = Metadata(targets)
            metadata.sign(self.signer)
            self.kept.append(metadata.to_bytes())

    def verify(self) -> None:
        for version, data in enumerate(self.kept, 1):
            metadata = Metadata[Targets].from_bytes(data)
            self.root.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
            assert metadata.signed.version == version
