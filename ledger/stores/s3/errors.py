"""What an S3 server, or botocore on the way to it, means by an error.

Sources: the S3 API reference ("Error responses", "Conditional requests"), and what servers were
seen to do: Ceph loses a race with 409 ConcurrentModification or with 500, Swift answers 501.
"""

from __future__ import annotations

import re

from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from ledger.errors import (
    IntegrityError,
    InvalidError,
    LedgerError,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreUnavailable,
    StoreUnsafe,
)

FOREIGN = (
    *(boto.BotoCoreError, boto.ClientError, HTTPError, OSError),
    ValueError,  # for an endpoint that is no address
    # For a server that redirects every request: botocore follows without end (RecursionError). And
    # for one that tells a time beyond all calendars.
    RuntimeError,
)
"""Everything that botocore lets out."""

# Nobody heard the request: the connection could not be made. A ProxyConnectionError is not among
# them: urllib3 gives it, too, where a request went through the proxy and the answer was lost.
UNREACHABLE = (boto.EndpointConnectionError, boto.ConnectTimeoutError)
NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.UnknownCredentialError,
    boto.ProfileNotFound,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.LoginTokenLoadError,
    boto.NoAuthTokenError,
)
INVALID = (
    boto.ParamValidationError,
    boto.ValidationError,
    boto.InvalidRegionError,
    boto.InvalidConfigError,
    boto.ConfigParseError,
    boto.InvalidRetryConfigurationError,
    boto.InvalidRetryModeError,
    boto.InvalidMaxRetryAttemptsError,
)

DENIED_HINTS = {
    "AccessDenied": "the credentials need s3:GetObject, s3:PutObject, s3:ListBucket on the bucket",
    "ExpiredToken": "the session's token has expired: sign in again",
    "InvalidToken": "the session's token is not valid: sign in again",
    "TokenRefreshRequired": "the session's token must be refreshed: sign in again",
    "InvalidAccessKeyId": "the server doesn't know this access key: see AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret is not this access key's: see AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it, then try again",
}
CHECKSUM = re.compile("checksum|trailer|x-amz-sdk|XAmzContentSHA256Mismatch", re.IGNORECASE)
WITHOUT_CHECKSUMS = (
    "a server that does not know the checksums of newer clients needs"
    " AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
)
CONDITION = {409, 412}
NOT_SO_SOON = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"}


def is_missing_object(error: Exception) -> bool:
    """Whether a server says that there is no such object (the bucket being there).

    A 404 that doesn't say so may be a proxy's own page, and says nothing of the object.
    """
    return isinstance(error, boto.ClientError) and _code(error) == "NoSuchKey"


def explain(error: Exception, action: str, key: str = "") -> LedgerError:
    """The error of ours for one of ``FOREIGN``; ``action`` says what failed, in words.

    OutcomeUnknown stands for every request that was sent and got no clear answer, reads too.
    """
    if isinstance(error, boto.ClientError):
        return _explain_answer(error, action)
    message = f"{action}: {_first_line(error)}"
    if isinstance(error, boto.FlexibleChecksumError):
        return IntegrityError(message, object_key=key)
    if isinstance(error, NO_CREDENTIALS):
        return StoreDenied(message, hint="see AWS_PROFILE, AWS_ACCESS_KEY_ID, or 'aws configure'")
    if isinstance(error, INVALID):
        return InvalidError(message)
    if isinstance(error, UNREACHABLE) or _is_untrusted(error):
        return StoreUnavailable(message, hint="see AWS_ENDPOINT_URL_S3, and whether it is up")
    return OutcomeUnknown(message)


def _explain_answer(error: boto.ClientError, action: str) -> LedgerError:
    status, code = _status(error), _code(error)
    message = error.response.get("Error", {}).get("Message")
    said = f"{action}: {code} ({status}): {_first_line(message)}"
    remedy = WITHOUT_CHECKSUMS if CHECKSUM.search(f"{code} {message}") else ""
    if _no_bucket(error):
        remedy = "make the bucket first, and see the endpoint and region"
    if remedy:
        return StoreUnavailable(said, hint=remedy)
    if status in CONDITION:
        return PreconditionFailed(said)
    if status in {401, 403} or code in DENIED_HINTS:
        return StoreDenied(said, hint=DENIED_HINTS.get(code, DENIED_HINTS["AccessDenied"]))
    if status == 501:
        hint = "a ledger needs a server that does conditional writes"
        return StoreUnsafe(said, hint=f"{hint}; if it has them: {WITHOUT_CHECKSUMS}")
    if status >= 500 or status == 429 or code in NOT_SO_SOON:
        return OutcomeUnknown(said)
    return StoreUnavailable(said, hint="see the bucket's region and the endpoint")


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "no code"))


def _no_bucket(error: boto.ClientError) -> bool:
    return _code(error) == "NoSuchBucket"


def _is_untrusted(error: Exception) -> bool:
    """Whether the server's certificate was refused, which is before anything is sent."""
    return isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)


def _first_line(text: object) -> str:
    """The start of what somebody else says, which may be a page of HTML, without credentials.

    A URL may hold some: in front of its host, or as a signature behind its question mark.
    """
    line = str(text or "no message").partition("\n")[0].partition("?")[0]
    return re.sub(r"//\S*@", "//", line)[:200]
