"""What botocore logs at the level DEBUG, without what belongs in no log.

It writes down whole requests and answers: the token of a session, the keys that a role is given,
and the bytes that are stored. Only these are taken out; who switches its logs on has all the rest.
"""

from __future__ import annotations

import logging
import re

LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.parsers", "botocore.utils")
NAMES = r"x-amz-security-token|secret_?access_?key|session_?token|security_?token"
# As a header, as a member of JSON or of a dict, as an element of XML.
CREDENTIAL = re.compile(
    rf"({NAMES})(['\"]?\s*[:=]\s*(?:b?['\"])?|>)[^'\",;<>\s&}}]+", re.IGNORECASE
)


class Unlogged(bytes):
    """Bytes to be sent that say only how many they are where they are printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


class _Hiding(logging.Filter):
    """Lets every record through, without the credentials in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        hidden = CREDENTIAL.sub(r"\1\2...", said)
        if hidden != said:
            record.msg, record.args = hidden, ()
        return True


_HIDING = _Hiding()


def hide_credentials() -> None:
    """Keep credentials out of botocore's logs, in this process; doing it again changes nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_HIDING)
