"""A key in AWS KMS: ``awskms:///`` and its ARN, its id or ``alias/NAME``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from ledger.errors import InvalidError, KeyUnavailable, MalformedError
from ledger.format.keys import PublicKey
from ledger.stores.s3.redact import hide_credentials
from ledger.trust.keys import read_spki

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
REGION = re.compile(r"arn:[a-z-]+:kms:([a-z0-9-]+):.*")
LIMIT = 4096
"""The most bytes that KMS signs in one call (API reference, Sign)."""

FOREIGN = (BotoCoreError, ClientError, HTTPError, OSError, ValueError)
"""Everything that boto3 lets out."""

HINTS = {
    "AccessDeniedException": "the credentials need kms:GetPublicKey and kms:Sign on the key",
    "NotFoundException": "see the ARN, and its region and account",
    "UnrecognizedClientException": "see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "ExpiredTokenException": "the session's token has expired: sign in again",
}


class KMSSigner:
    """Signs by asking AWS, as the AWS configuration of this machine says."""

    limit: int | None = LIMIT

    def __init__(self, place: str, *, timeout: float) -> None:
        """Ask for the public key; raises KeyUnavailable, or InvalidError for what names no key."""
        name = place.removeprefix("///")
        if name == place or not KEY.fullmatch(name):
            raise InvalidError(
                "not the name of a key in AWS KMS",
                hint="write awskms:///ARN, awskms:///KEY-ID or awskms:///alias/NAME",
            )
        self._key = name
        try:
            self._client = _connect(name, timeout)
            found = self._client.get_public_key(KeyId=name)
        except FOREIGN as error:
            raise self._explain(error) from error
        try:
            public_key = read_spki(found.get("PublicKey", b""))
        except MalformedError as error:
            raise KeyUnavailable(f"AWS KMS, {name}: {error}") from error
        if not isinstance(public_key, PublicKey):
            raise KeyUnavailable(
                f"AWS KMS, {name}: not an Ed25519 key but {found.get('KeySpec')}",
                hint="aws kms create-key --key-usage SIGN_VERIFY --key-spec ECC_NIST_EDWARDS25519",
            )
        self.public_key = public_key

    def sign(self, data: bytes) -> bytes:
        """The signature that KMS makes; raises KeyUnavailable if it refuses, or is not there."""
        try:
            answer = self._client.sign(
                KeyId=self._key,
                Message=data,
                MessageType="RAW",
                SigningAlgorithm="ED25519_SHA_512",
            )
        except FOREIGN as error:
            raise self._explain(error) from error
        return answer.get("Signature", b"")

    def _explain(self, error: Exception) -> KeyUnavailable:
        if isinstance(error, ClientError):
            answer = error.response.get("Error", {})
            code = str(answer.get("Code", "no code"))
            why = f"{code}: {answer.get('Message', '')}"
            hint = HINTS.get(code, "")
        else:
            why = str(error)
            hint = "see AWS_REGION, AWS_PROFILE and AWS_ENDPOINT_URL_KMS"
        return KeyUnavailable(f"AWS KMS, {self._key}: {' '.join(why.split()):.300}", hint=hint)

    def __repr__(self) -> str:
        return f"KMSSigner({self._key}, {self.public_key.key_id[:16]}…)"


def _connect(name: str, timeout: float) -> KMSClient:
    hide_credentials()
    region = REGION.fullmatch(name)
    # Two tries, each of a connection and an answer.
    each = timeout / 4
    config = Config(
        connect_timeout=each,
        read_timeout=each,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    client: KMSClient = Session(region_name=region[1] if region else None).client(
        "kms", config=config
    )
    return client
