"""DSSE's pre-authentication encoding: what every signature of a ledger is made over.

It names the type of what is signed, so a signature over one kind of object is never one over
another (https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md).
"""

from __future__ import annotations


def pre_authentication(payload_type: bytes, payload: bytes) -> bytes:
    """The bytes to sign for a payload of this type (DSSE v1)."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(payload), payload)
